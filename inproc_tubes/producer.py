"""The handle for those who put jobs.

A `Feeder` is all of it but how to wait for room, which is a `Producer`'s for threads,
and an `inproc_tubes.aio.AsyncProducer`'s for coroutines.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .checks import (
    DEFAULT_DELAY,
    DEFAULT_PRIORITY,
    DEFAULT_TTR,
    OCTETS,
    check_priority,
    check_seconds,
    check_timeout,
    check_tube_name,
    first_size_beyond,
    size_beyond,
)
from .handle import Owner
from .job import NO_PAST, JobState, Record
from .waiting import Putter
from .words import counted, waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .door import Door
    from .parking import ThreadLot
    from .session import Session

__all__ = ["Feeder", "Producer"]

_READY = JobState.READY
# A put whose id has none of these bits takes a turn in any case: one in 256.
_RARELY = 255


class Feeder(Owner):
    """A producer, but for how it waits."""

    __slots__ = ("__weakref__", "_door", "_engine", "_max_job_size", "_session")

    _lot: Any  # the `Lot` that whoever calls sleeps in

    def __init__(self, door: Door, tube: str, max_job_size: int | None) -> None:
        self._door = door
        self._engine = door._engine
        self._max_job_size = max_job_size
        self._session: Session = door._open(tube, ())

    def put(
        self,
        body: Any,
        priority: int = DEFAULT_PRIORITY,
        delay: float = DEFAULT_DELAY,
        ttr: float = DEFAULT_TTR,
        *,
        tube: str | None = None,
        timeout: float | None = None,
    ) -> int:
        """Put a job into a tube; if that is full, wait for room.

        If a consumer waits for such a job, it has it when this returns. Puts are let
        into a tube that `Broker.limit_tube` limits in the order in which they came; a
        job that has waited gets its id, and its delay begins, as it is let in. A put that
        is interrupted while it waits leaves nothing behind.

        Args:
            body: Any object; it is handed over by reference, and never looked into.
            priority: 0 to 2**32 - 1, the lower the more urgent.
            delay: Seconds until it is ready, 0 to 2**32 - 1.
            ttr: Time to run: the seconds that a consumer has for it once it has
                reserved it, up to 2**32 - 1; 0 becomes 1.
            tube: The tube for this job alone, None for the one that is used.
            timeout: Seconds to wait for room, None for ever, 0 not at all.

        Returns:
            The job's id; the first is 1, and they rise.

        Raises:
            TubeFullError: There was no room in time.
            JobTooBigError: The body is ``str``, ``bytes``, ``bytearray`` or
                ``memoryview``, and larger than the broker's ``max_job_size``.
            DrainingError: `Broker.drain` was called, if need be while this waited.
            BadTubeNameError: ``tube`` is no tube name.
            ClosedError: The producer or the broker was closed, if need be while this
                waited.

        Cost: O(1) for a job of the best priority, else O(log n); and O(1) for each
        different set of several tubes, with this one among them, that is watched.
        Source: OP_PUT (prot.c).
        """
        # The defaults themselves pass at once, and whole numbers of 32 bits, as others
        # nearly always are, without a call; so does a body that is far from the limit.
        if not (
            priority is DEFAULT_PRIORITY
            and ttr is DEFAULT_TTR
            and delay is DEFAULT_DELAY
        ) and not (
            type(priority) is type(delay) is type(ttr) is int
            and (priority | delay | ttr) >> 32 == 0
        ):
            priority = check_priority(priority)
            delay = check_seconds("delay", delay)
            ttr = check_seconds("ttr", ttr)
        if tube is not None:
            check_tube_name(tube)
        if timeout is not None:
            timeout = check_timeout(timeout)
        limit = self._max_job_size
        if (
            limit is not None
            and (
                4 * len(body) > limit
                if isinstance(body, OCTETS)
                else isinstance(body, memoryview)
            )
            and (size := size_beyond(body, limit)) is not None
        ):
            self._do(self._engine.refuse_put, size, limit)
        door = self._door
        engine = self._engine
        session = self._session
        used = session.used
        if used is None:
            session.refuse()
        if tube is not None or used.room is not None or engine.others:
            rest = (priority, delay, ttr or 1)
            job_id: int = self._do(engine.put, session, tube, body, *rest)
            if not job_id:
                job_id = self._wait(_only, timeout, tube, [body], *rest)
            return job_id
        # The job is left at the door: see `Engine.take_in`. This is new_record,
        # written out.
        record = Record()
        record.id = job_id = next(engine.ids)
        record.body = body
        record.tube = used
        record.priority = priority
        record.delay = delay
        record.ttr = ttr or 1
        record.created_at = door._now()
        record.state = _READY
        record.owner = None
        record.due_at = record.reservation = record.reserves = 0
        record.past = NO_PAST
        session.is_producer = True
        engine.inbox.append(record)
        if engine.waiting or engine.draining or not job_id & _RARELY:
            door._attend(record)
        return job_id

    def put_many(
        self,
        bodies: Iterable[Any],
        priority: int = DEFAULT_PRIORITY,
        delay: float = DEFAULT_DELAY,
        ttr: float = DEFAULT_TTR,
        *,
        tube: str | None = None,
        timeout: float | None = None,
    ) -> list[int]:
        """Put several jobs into a tube at once: all of them, or none.

        Nobody sees some of them without the others. Consumers that wait are served in
        their order: the first job goes to the first of them. Where the tube is limited,
        this waits until there is room for all; puts that come later wait behind it.
        In statistics each job counts as a put.

        Args:
            bodies: Any objects, gone through before anything is put.
            priority: That of each job, as in `put`.
            delay: The same.
            ttr: The same.
            tube: The tube for these jobs, None for the one that is used.
            timeout: Seconds to wait for room, None for ever, 0 not at all.

        Returns:
            The jobs' ids, in the order of the bodies; they rise.

        Raises:
            TubeFullError: There was no room for all of them in time; at once if they
                are more than the tube may ever have.
            JobTooBigError: One of the bodies is too large, see `put`.
            DrainingError: `Broker.drain` was called, if need be while this waited.
            BadTubeNameError: ``tube`` is no tube name.
            ClosedError: The producer or the broker was closed, if need be while this
                waited.

        Cost: O(1) for each job, and O(log n) for them all; with a delay or where
        consumers wait, O(log n) for each.
        """
        jobs = list(bodies)
        priority = check_priority(priority)
        delay = check_seconds("delay", delay)
        ttr = check_seconds("ttr", ttr) or 1
        if tube is not None:
            check_tube_name(tube)
        timeout = check_timeout(timeout)
        limit = self._max_job_size
        if limit is not None and (size := first_size_beyond(jobs, limit)) is not None:
            self._do(self._engine.refuse_put, size, limit, len(jobs))
        put = self._engine.put_many
        ids: list[int] | None
        ids = self._do(put, self._session, tube, jobs, priority, delay, ttr)
        if ids is None:
            ids = self._wait(Putter.told, timeout, tube, jobs, priority, delay, ttr)
        return ids

    def _wait(self, then: Callable[[Putter], Any], *question: Any) -> Any:
        """Wait for room, and return what the lot's `wait` returns."""
        putter = Putter(self._session, *question)
        begin = self._engine.wait_for_room
        return self._lot.wait(self._door, self._session, putter, begin, then)

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
        """Put no more; who waits for room on it hears `ClosedError`.

        Closing twice does no harm.

        Cost: O(1), and O(log n) for each put that waits.
        """
        self._door._close_session(self._session, "the producer was closed")

    def __repr__(self) -> str:
        session = self._session
        used = session.used
        if session.closed is not None or used is None:
            return f"<{type(self).__name__}: {session.closed}>"
        parts = [f"uses {used.name!r}"]
        if used.room is not None and used.room.maxsize:
            parts[0] += f", {used.count} of {counted(used.room.maxsize, 'job')}"
        if session.putters:
            parts.append(waiting([(len(session.putters), "put")]))
        return f"<{type(self).__name__}: {'; '.join(parts)}>"

    def _do(self, verb: Any, *args: Any) -> Any:
        return self._door._do(self._session, verb, *args)


class Producer(Feeder):
    """Puts jobs into the tube it uses. Made by `Broker.producer`.

    - Putting: `put`, `put_many`.
    - Tubes: `use`, `using`.
    - The end: `close`, or the end of a with-block; a put that waits hears of it.

    It may be shared by threads. It is a context manager that closes itself.
    """

    __slots__ = ("_lot",)

    def __init__(
        self, door: Door, lot: ThreadLot, tube: str, max_job_size: int | None
    ) -> None:
        super().__init__(door, tube, max_job_size)
        self._lot = lot


def _only(putter: Putter) -> int:
    ids: list[int] = putter.told()
    return ids[0]
