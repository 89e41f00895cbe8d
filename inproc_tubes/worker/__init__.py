"""Workers: they do jobs until they are told to stop.

    >>> from inproc_tubes import Broker
    >>> from inproc_tubes.testing import FakeClock
    >>> from inproc_tubes.worker import Worker
    >>> broker = Broker(clock=FakeClock())
    >>> worker = Worker(broker, {"orders": lambda job: print(job.body)}, threads=0)
    >>> job_id = broker.producer("orders").put("scarf")
    >>> worker.run_pending()
    scarf
    1

A worker uses the public interface of `inproc_tubes`, and nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .policy import Backoff, Bury, Retry
from .threads import Worker

if TYPE_CHECKING:
    from .tasks import AsyncWorker

__all__ = ["AsyncWorker", "Backoff", "Bury", "Retry", "Worker"]


def __getattr__(name: str) -> object:
    if name == "AsyncWorker":
        # asyncio is slow to import, for one who uses plain threads.
        from .tasks import AsyncWorker  # noqa: PLC0415 - as above

        return AsyncWorker
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)
