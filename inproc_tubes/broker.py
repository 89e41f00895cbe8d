"""The broker: where handles come from, and where everything ends."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from .administration import Administration
from .checks import (
    DEFAULT_MAX_JOB_SIZE,
    DEFAULT_TUBE,
    check_max_job_size,
    check_tube_name,
)
from .clock import MonotonicClock
from .consumer import Consumer
from .handle import Closing
from .parking import ThreadLot
from .producer import Producer
from .waiting import Joiner
from .words import counted, counts, waiting

if TYPE_CHECKING:
    from .aio import AsyncConsumer, AsyncProducer
    from .clock import Clock

__all__ = ["Broker"]

_CLOSED = "the broker was closed"


class Broker(Administration, Closing):
    """Named tubes of jobs, for the threads and the event loops of this process.

    - Handles: `producer`, `consumer`; for coroutines `async_producer`,
      `async_consumer`.
    - Looking: `tubes`, `peek`, `peek_ready`, `peek_delayed`, `peek_buried`, `stats`,
      `stats_tube`, `stats_job`, `jobs`.
    - Intervening: `kick`, `kick_job`, `delete`, `clear_tube`, `pause_tube`,
      `limit_tube`.
    - The end: `drain`, `join` or `async_join`, `close`, or the end of a with-block.

    It may be shared by threads and event loops, and has none of its own. Jobs live in memory, and end
    with it. After a fork it is the parent's: the child's copy is closed.

    Args:
        clock: What tells it the time; the machine's monotonic clock if None.
        max_job_size: The largest body in bytes that is taken, for bodies that have a
            size (``str``, counted as UTF-8, and bytes); None for no limit.
    """

    __slots__ = ("_id", "_max_job_size", "_threads")

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        max_job_size: int | None = DEFAULT_MAX_JOB_SIZE,
    ) -> None:
        self._max_job_size = check_max_job_size(max_job_size)
        if clock is None:
            clock = MonotonicClock()
        for method in ("now", "attach", "park", "seconds_until"):
            if not callable(getattr(clock, method, None)):
                message = f"a clock has {method}(), {type(clock).__name__} has not"
                raise TypeError(message)
        super().__init__(clock)
        self._threads = ThreadLot()
        self._lots += (self._threads,)
        self._id = os.urandom(8).hex()

    def producer(self, tube: str = DEFAULT_TUBE) -> Producer:
        """Return a new handle that puts into this tube.

        Raises:
            BadTubeNameError: That is no tube name.
            ClosedError: The broker was closed.

        Cost: O(1).
        """
        name = check_tube_name(tube)
        return Producer(self, self._threads, name, self._max_job_size)

    def consumer(self, *tubes: str) -> Consumer:
        """Return a new handle that reserves from exactly these tubes.

        Args:
            tubes: Their names; none stands for "default".

        Raises:
            BadTubeNameError: One of them is no tube name.
            ClosedError: The broker was closed.

        Cost: O(number of tubes).
        """
        names = [check_tube_name(tube) for tube in tubes] or [DEFAULT_TUBE]
        return Consumer(self, self._threads, names)

    def async_producer(self, tube: str = DEFAULT_TUBE) -> AsyncProducer:
        """Return a new handle, for coroutines, that puts into this tube.

        Raises:
            BadTubeNameError: That is no tube name.
            ClosedError: The broker was closed.

        Cost: O(1).
        """
        # Imported late: asyncio costs a user of plain threads too much.
        from .aio import AsyncProducer  # noqa: PLC0415 - as above

        return AsyncProducer(self, check_tube_name(tube), self._max_job_size)

    def async_consumer(self, *tubes: str) -> AsyncConsumer:
        """Return a new handle, for coroutines, that reserves from these tubes.

        Args:
            tubes: Their names; none stands for "default".

        Raises:
            BadTubeNameError: One of them is no tube name.
            ClosedError: The broker was closed.

        Cost: O(number of tubes).
        """
        from .aio import AsyncConsumer  # noqa: PLC0415 - see async_producer

        names = [check_tube_name(tube) for tube in tubes] or [DEFAULT_TUBE]
        return AsyncConsumer(self, names)

    def close(self) -> None:
        """End everything: whoever waits hears `ClosedError`, and the jobs are gone.

        Closing twice does no harm.

        Cost: O(number of handles and waiters).
        """
        with self._lock:
            if self._engine.closed is None:
                self._engine.close(_CLOSED)
                self._rouse()

    def _close_later(self) -> None:
        engine = self._engine
        self._leave_note(lambda _now: engine.close(_CLOSED))

    def __repr__(self) -> str:
        engine = self._engine
        if engine.closed is not None:
            return f"<Broker: {engine.closed}>"
        # Without the lock, which the one who asks may hold: a glance, no snapshot.
        inbox = engine.inbox.copy()
        to_wait = sum(record.delay > 0 for record in inbox)
        tubes = list(engine.tubes.values())
        others = list(engine.others.values())
        jobs = counts(
            (
                (sum(t.ready for t in tubes) + len(inbox) - to_wait, "ready"),
                (sum(t.reserved for t in tubes), "reserved"),
                (sum(len(t.delayed) for t in tubes) + to_wait, "delayed"),
                (sum(len(t.buried) for t in tubes), "buried"),
            )
        )
        joins = sum(isinstance(other, Joiner) for other in others)
        parts = (
            f"{jobs or 'no jobs'} in {counted(len(tubes), 'tube')}",
            waiting(
                (
                    (engine.waiting, "reserve"),
                    (len(others) - joins, "put"),
                    (joins, "join"),
                )
            ),
            "draining" if engine.draining else "",
        )
        return f"<Broker: {'; '.join(filter(None, parts))}>"
