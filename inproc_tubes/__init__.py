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

For tests there is `inproc_tubes.testing`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .broker import Broker
from .clock import Clock, MonotonicClock
from .consumer import Consumer
from .core.failure import JobError
from .core.job import Job, JobState
from .errors import (
    BadTubeNameError,
    ClosedError,
    DeadlineSoonError,
    DeadlockError,
    DrainingError,
    JobTooBigError,
    NotFoundError,
    NotIgnoredError,
    ReentrantCallError,
    StoppedError,
    TimedOutError,
    TubeFullError,
    TubesError,
)
from .producer import Producer
from .version import __version__ as __version__

if TYPE_CHECKING:
    from .aio import AsyncConsumer, AsyncProducer
    from .core.statistics import BrokerStats, JobStats, TubeStats

__all__ = [
    "AsyncConsumer",
    "AsyncProducer",
    "BadTubeNameError",
    "Broker",
    "BrokerStats",
    "Clock",
    "ClosedError",
    "Consumer",
    "DeadlineSoonError",
    "DeadlockError",
    "DrainingError",
    "Job",
    "JobError",
    "JobState",
    "JobStats",
    "JobTooBigError",
    "MonotonicClock",
    "NotFoundError",
    "NotIgnoredError",
    "Producer",
    "ReentrantCallError",
    "StoppedError",
    "TimedOutError",
    "TubeFullError",
    "TubeStats",
    "TubesError",
]

# {name: its module}: asyncio, and the dataclasses of the statistics, each cost more to
# import than all the rest.
_LATE = {
    "AsyncConsumer": "aio",
    "AsyncProducer": "aio",
    "BrokerStats": "core.statistics",
    "JobStats": "core.statistics",
    "TubeStats": "core.statistics",
}


def __getattr__(name: str) -> object:
    if name in _LATE:
        from importlib import import_module  # noqa: PLC0415 - needed as late

        found: object = getattr(import_module(f".{_LATE[name]}", __name__), name)
        return found
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)
