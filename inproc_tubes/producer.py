"""The handle for those who put jobs.

A `Feeder` is all of it, for threads and for coroutines; the latter's own handle is
`inproc_tubes.aio.AsyncProducer`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .checks import (
    DEFAULT_PRIORITY,
    DEFAULT_TTR,
    MAX_PRIORITY,
    MAX_SECONDS,
    SIZED,
    check_priority,
    check_seconds,
    check_ttr,
    check_tube_name,
    size_beyond,
)
from .handle import Owner

if TYPE_CHECKING:
    from .door import Door
    from .session import Session

__all__ = ["Feeder", "Producer"]


class Feeder(Owner):
    """A producer, be it a thread's or a coroutine's."""

    __slots__ = ("__weakref__", "_door", "_engine", "_max_job_size", "_session")

    def __init__(self, door: Door, tube: str, max_job_size: int | None) -> None:
        self._door = door
        self._engine = door._engine
        self._max_job_size = max_job_size
        self._session: Session = door._open(tube, ())

    def put(
        self,
        body: Any,
        priority: int = DEFAULT_PRIORITY,
        delay: float = 0,
        ttr: float = DEFAULT_TTR,
        *,
        tube: str | None = None,
    ) -> int:
        """Put a job into a tube.

        If a consumer waits for such a job, it has it when this returns.

        Args:
            body: Any object; it is handed over by reference, and never looked into.
            priority: 0 to 2**32 - 1, the lower the more urgent.
            delay: Seconds until it is ready, 0 to 2**32 - 1.
            ttr: Time to run: the seconds that a consumer has for it once it has
                reserved it, up to 2**32 - 1; 0 becomes 1.
            tube: The tube for this job alone, None for the one that is used.

        Returns:
            The job's id; the first is 1, and they rise.

        Raises:
            JobTooBigError: The body is ``str``, ``bytes``, ``bytearray`` or
                ``memoryview``, and larger than the broker's ``max_job_size``.
            DrainingError: `Broker.drain` was called.
            BadTubeNameError: ``tube`` is no tube name.
            ClosedError: The producer or the broker was closed.

        Cost: O(1) for a job of the best priority, else O(log n).
        Source: OP_PUT (prot.c).
        """
        # Numbers as they nearly always come pass without a call.
        if type(priority) is not int or not 0 <= priority <= MAX_PRIORITY:
            priority = check_priority(priority)
        if type(delay) is not int or delay:
            delay = check_seconds("delay", delay)
        if type(ttr) is not int or not 0 < ttr <= MAX_SECONDS:
            ttr = check_ttr(ttr)
        if tube is not None:
            check_tube_name(tube)
        limit = self._max_job_size
        if (
            limit is not None
            and isinstance(body, SIZED)
            and (size := size_beyond(body, limit)) is not None
        ):
            self._do(self._engine.refuse_put, size, limit)
        # The door of Door._do, written out: see there.
        door = self._door
        engine = self._engine
        with door._lock:
            now = door._now()
            if now >= engine.due_at or door._notes:
                door._catch_up(now)
            session = self._session
            if session.closed is not None:
                door._refuse(session)
            job_id = engine.put(now, session, tube, body, priority, delay, ttr)
            if engine.answered or engine.due_at < door._armed_for:
                door._rouse()
        return job_id

    def use(self, tube: str) -> None:
        """Put into this tube from now on; it is made if it is new.

        Raises:
            BadTubeNameError: That is no tube name.
            ClosedError: The producer or the broker was closed.

        Cost: O(1).
        Source: OP_USE (prot.c).
        """
        self._do(self._engine.use, self._session, check_tube_name(tube))

    def using(self) -> str:
        """Return the name of the tube it uses.

        Raises:
            ClosedError: The producer or the broker was closed.

        Cost: O(1).
        """
        name: str = self._do(self._engine.list_tube_used, self._session)
        return name

    def close(self) -> None:
        """Put no more. Closing twice does no harm.

        Cost: O(1).
        """
        self._door._close_session(self._session, "the producer was closed")

    def __repr__(self) -> str:
        session = self._session
        used = session.used
        state = session.closed or (used and f"uses {used.name!r}")
        return f"<{type(self).__name__}: {state}>"

    def _do(self, verb: Any, *args: Any) -> Any:
        return self._door._do(self._session, verb, *args)


class Producer(Feeder):
    """Puts jobs into the tube it uses. Made by `Broker.producer`.

    It may be shared by threads. It is a context manager that closes itself.
    """

    __slots__ = ()
