"""beanstalkd's work queue inside one Python process.

Named tubes, priorities, delays, reservations that expire, and burying, between the
threads and coroutines of one program: in memory, with no server and no network.

    >>> from inproc_tubes import Broker
    >>> with Broker() as broker:
    ...     producer = broker.producer("orders")
    ...     consumer = broker.consumer("orders")
    ...     job_id = producer.put({"sku": 7}, priority=0)
    ...     with consumer.reserve(timeout=5) as job:
    ...         print(job.id, job.body)
    1 {'sku': 7}

For workers there is `inproc_tubes.worker`, and for tests `inproc_tubes.testing`. The
documentation is at https://inproc-tubes.readthedocs.io/.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .version import __version__ as __version__

if TYPE_CHECKING:
    from .async_consumer import AsyncConsumer
    from .async_producer import AsyncProducer
    from .broker import Broker
    from .clock import Clock, MonotonicClock
    from .consumer import Consumer
    from .core.event import Event, EventKind
    from .core.failure import JobError
    from .core.job import Job, JobState
    from .core.native import compiled
    from .core.statistics import (
        BrokerSnapshot,
        BrokerStats,
        HandleStats,
        HeldJob,
        JobStats,
        TubeStats,
    )
    from .errors import (
        BadTubeNameError,
        ClosedError,
        ConnectionLostError,
        DeadlineSoonError,
        DeadlockError,
        DrainingError,
        DuplicateJobError,
        JobTooBigError,
        NotFoundError,
        NotFoundReason,
        NotIgnoredError,
        NotSupportedError,
        ReentrantCallError,
        ServerError,
        StoppedError,
        TimedOutError,
        TooManyTriesError,
        TubeFullError,
        TubesError,
    )
    from .event_stream import EventStream
    from .future import JobFuture
    from .portable import (
        AnyAsyncConsumer,
        AnyAsyncProducer,
        AnyBroker,
        AnyConsumer,
        AnyProducer,
        make_broker,
    )
    from .producer import Producer
    from .subscriptions import Subscription

__all__ = [
    "AnyAsyncConsumer",
    "AnyAsyncProducer",
    "AnyBroker",
    "AnyConsumer",
    "AnyProducer",
    "AsyncConsumer",
    "AsyncProducer",
    "BadTubeNameError",
    "Broker",
    "BrokerSnapshot",
    "BrokerStats",
    "Clock",
    "ClosedError",
    "ConnectionLostError",
    "Consumer",
    "DeadlineSoonError",
    "DeadlockError",
    "DrainingError",
    "DuplicateJobError",
    "Event",
    "EventKind",
    "EventStream",
    "HandleStats",
    "HeldJob",
    "Job",
    "JobError",
    "JobFuture",
    "JobState",
    "JobStats",
    "JobTooBigError",
    "MonotonicClock",
    "NotFoundError",
    "NotFoundReason",
    "NotIgnoredError",
    "NotSupportedError",
    "Producer",
    "ReentrantCallError",
    "ServerError",
    "StoppedError",
    "Subscription",
    "TimedOutError",
    "TooManyTriesError",
    "TubeFullError",
    "TubeStats",
    "TubesError",
    "compiled",
    "make_broker",
]

# {module: its names}. Nothing is imported before it is used: pytest imports the package in
# every run, for the plugin, and asyncio and the dataclasses of the statistics each cost
# more than all the rest.
_MODULES = {
    "async_consumer": ("AsyncConsumer",),
    "async_producer": ("AsyncProducer",),
    "broker": ("Broker",),
    "clock": ("Clock", "MonotonicClock"),
    "consumer": ("Consumer",),
    "core.event": ("Event", "EventKind"),
    "core.failure": ("JobError",),
    "core.job": ("Job", "JobState"),
    "core.native": ("compiled",),
    "core.statistics": (
        "BrokerSnapshot",
        "BrokerStats",
        "HandleStats",
        "HeldJob",
        "JobStats",
        "TubeStats",
    ),
    "errors": (
        "BadTubeNameError",
        "ClosedError",
        "ConnectionLostError",
        "DeadlineSoonError",
        "DeadlockError",
        "DrainingError",
        "DuplicateJobError",
        "JobTooBigError",
        "NotFoundError",
        "NotFoundReason",
        "NotIgnoredError",
        "NotSupportedError",
        "ReentrantCallError",
        "ServerError",
        "StoppedError",
        "TimedOutError",
        "TooManyTriesError",
        "TubeFullError",
        "TubesError",
    ),
    "event_stream": ("EventStream",),
    "future": ("JobFuture",),
    "portable": (
        "AnyAsyncConsumer",
        "AnyAsyncProducer",
        "AnyBroker",
        "AnyConsumer",
        "AnyProducer",
        "make_broker",
    ),
    "producer": ("Producer",),
    "subscriptions": ("Subscription",),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> object:
    if name not in _MODULE_OF:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    from importlib import import_module  # noqa: PLC0415 - needed as late

    found: object = getattr(import_module(f".{_MODULE_OF[name]}", __name__), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
