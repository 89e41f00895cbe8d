"""The handle for those who reserve jobs and work them off.

A `Watcher` is all of it but how to wait, which is a `Consumer`'s for threads, and an
`inproc_tubes.aio.AsyncConsumer`'s for coroutines.
"""

from __future__ import annotations

from itertools import repeat
from typing import TYPE_CHECKING, Any, Self

from .checks import check_count, check_job_id, check_timeout, check_tube_name
from .errors import ClosedError
from .handle import Hands, Job, Owner, new_job
from .waiting import Waiter
from .words import counted, waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .door import Door
    from .job import Record
    from .parking import ThreadLot

__all__ = ["Consumer", "Watcher"]


class Watcher(Owner, Hands):
    """A consumer, but for how it waits."""

    __slots__ = ()

    _lot: Any  # the `Lot` that whoever calls sleeps in

    def __init__(self, door: Door, tubes: Iterable[str]) -> None:
        super().__init__(door, door._open(None, tubes))

    def watch(self, *tubes: str) -> int:
        """Reserve from these tubes too, also where a reserve is waiting already.

        Args:
            tubes: Names; watching a tube twice is the same as once.

        Returns:
            How many tubes it watches now.

        Raises:
            BadTubeNameError: One of them is no tube name; none is watched then.
            ClosedError: The consumer or the broker was closed.

        Cost: O(number of tubes).
        Source: OP_WATCH (prot.c).
        """
        names = [check_tube_name(tube) for tube in tubes]
        count: int = self._do(self._engine.watch, self._session, names)
        return count

    def ignore(self, tube: str) -> int:
        """Reserve from this tube no longer; it may well not be watched.

        Returns:
            How many tubes it watches now.

        Raises:
            NotIgnoredError: It is the only one that is watched.
            BadTubeNameError: That is no tube name.
            ClosedError: The consumer or the broker was closed.

        Cost: O(number of watched tubes); O(n log n) for n that wait for the same tubes
        if somebody waits on this handle.
        Source: OP_IGNORE (prot.c).
        """
        name = check_tube_name(tube)
        count: int = self._do(self._engine.ignore, self._session, name)
        return count

    def watching(self) -> list[str]:
        """Return the names of the tubes it watches, in beanstalkd's order.

        Raises:
            ClosedError: The consumer or the broker was closed.

        Cost: O(number of tubes).
        """
        names: list[str] = self._do(self._engine.list_tubes_watched, self._session)
        return names

    def _reserve(
        self,
        timeout: float | None,
        hears_deadlines: bool = True,  # noqa: FBT001, FBT002 - the hot path
        then: Callable[[Waiter], Any] | None = None,
    ) -> Any:
        """Take a job, or return what the lot's `sleep` returns of a waiter for one."""
        door = self._door
        engine = self._engine
        session = self._session
        record = waiter = None
        try:
            # The door of Door._do, written out: see there.
            with door._latch:
                now = door._now()
                if engine.inbox:
                    engine.take_in(now)
                if now >= engine.due_at or door._notes:
                    door._catch_up(now)
                record = engine.reserve(now, session, timeout)
                if record is not None:
                    if engine.due_at < door._armed_for:
                        door._rouse()
                    # new_job, written out
                    job = Job()
                    job._owner = self
                    job._record = record
                    job._fence = record.reservation
                    return job
                waiter = Waiter(session, timeout, hears_deadlines=hears_deadlines)
                lot = self._lot
                engine.wait(now, waiter)
                lot.enter(door, waiter)
            return lot.sleep(door, waiter, then or self._told)
        except BaseException:
            # Interrupted: leave the queue as if it had never asked.
            if record is not None:
                self._give_back(record)
            elif waiter is not None and waiter.ticket:
                door._give_up(self._lot, waiter)
            raise

    def _give_back(self, record: Record) -> None:
        door = self._door
        with door._lock:
            number = record.reservation
            self._engine.give_back(door._now(), self._session, record, number)
            door._rouse()

    def _told(self, waiter: Waiter) -> Job:
        return new_job(self, waiter.told(), waiter.reservation)

    def _reserve_many(self, n: int, timeout: float | None) -> Any:
        """Take several jobs, or return what the lot's `sleep` returns."""
        n = check_count(n)
        timeout = check_timeout(timeout)
        jobs = self._take(n, timeout)
        if jobs:
            return jobs

        def more(waiter: Waiter) -> list[Job]:
            return self._add_to(self._told(waiter), n - 1, timeout)

        found = self._reserve(timeout, True, more)  # noqa: FBT003 - as reserve does
        # One has become ready in between.
        return self._add_to(found, n - 1, timeout) if isinstance(found, Job) else found

    def _add_to(self, first: Job, n: int, timeout: float | None) -> list[Job]:
        """Take up to so many jobs more that are ready."""
        try:
            jobs = [first, *self._take(n, timeout)]
        except BaseException:
            self._give_back(first._record)
            raise
        jobs.sort(key=lambda job: (job._record.priority, job._record.id))
        return jobs

    def _take(self, n: int, timeout: float | None) -> list[Job]:
        """Reserve up to so many of the jobs that are ready."""
        door = self._door
        engine = self._engine
        records: list[Record] = []
        try:
            # The door of Door._do, written out: see there.
            with door._lock:
                now = door._now()
                if engine.inbox:
                    engine.take_in(now)
                if now >= engine.due_at or door._notes:
                    door._catch_up(now)
                if self._session.closed is not None:
                    self._session.refuse()
                records = engine.reserve_many(now, self._session, n, timeout)
                if engine.due_at < door._armed_for:
                    door._rouse()
                # Half the cost of a comprehension.
                fences = [record.reservation for record in records]
                return list(map(new_job, repeat(self), records, fences))
        except BaseException:
            # Interrupted: leave the queue as if it had never asked.
            for record in records:
                self._give_back(record)
            raise

    def reserve_job(self, job_id: int) -> Job:
        """Take this job, from whatever tube and in whatever order; never wait.

        It may be ready, in a paused tube too, delayed or buried.

        Raises:
            NotFoundError: Somebody holds it, be it this consumer, or it is not there.
            ClosedError: The consumer or the broker was closed.

        Cost: O(log n).
        Source: OP_RESERVE_JOB (prot.c).
        """
        number = check_job_id(job_id)
        record = self._do(self._engine.reserve_job, self._session, number)
        return self._job(record)

    def close(self) -> None:
        """Give all jobs back and watch nothing; who waits on it hears `ClosedError`.

        The jobs are ready again in the order in which they were reserved. Closing
        twice does no harm.

        Cost: O(log n) for each job and tube.
        Source: connclose (conn.c).
        """
        self._door._close_session(self._session, "the consumer was closed")

    def __repr__(self) -> str:
        session = self._session
        if session.closed is not None:
            return f"<{type(self).__name__}: {session.closed}>"
        names = ", ".join(repr(tube.name) for tube in list(session.watched))
        parts = [f"watches {names}", f"holds {counted(len(session.held), 'job')}"]
        if session.waiters:
            parts.append(waiting([(len(session.waiters), "reserve")]))
        return f"<{type(self).__name__}: {'; '.join(parts)}>"


class Consumer(Watcher):
    """Reserves jobs from the tubes it watches. Made by `Broker.consumer`.

    - Tubes: `watch`, `ignore`, `watching`.
    - Getting jobs: `reserve`, `reserve_many`, `reserve_job`, and iteration: ``for job in consumer``
      waits for ever, and ends when the consumer or the broker is closed.
    - With a job that it holds: `delete`, `release`, `bury`, `touch`.
    - The end: `close`, or the end of a with-block; its jobs are ready again then, as
      they are when it is garbage collected.

    It may be shared by threads, which then hold their jobs in common, as the users of
    one connection would: each may delete what another has reserved, and each hears
    DEADLINE_SOON.
    """

    __slots__ = ("_lot",)

    def __init__(self, door: Door, lot: ThreadLot, tubes: Iterable[str]) -> None:
        super().__init__(door, tubes)
        self._lot = lot

    def reserve(self, timeout: float | None = None) -> Job:
        """Take the most urgent job of all watched tubes; wait for one if need be.

        Jobs are served by priority, the oldest of the same priority first. Consumers
        are served in the order in which they began to wait.

        Args:
            timeout: Seconds to wait, None for ever, 0 not at all.

        Returns:
            The job. It is this consumer's for ``job.ttr`` seconds.

        Raises:
            TimedOutError: No job came in time.
            DeadlineSoonError: There is no job, and one that this handle holds already
                expires within a second.
            ClosedError: The consumer or the broker was closed, if need be while this
                was waiting.

        Cost: O(log n) amortised for a job that is ready.
        Source: OP_RESERVE, OP_RESERVE_TIMEOUT (prot.c).
        """
        # 0 and None, of which loops are made, pass without a call.
        if timeout is not None and (timeout or type(timeout) is not int):
            timeout = check_timeout(timeout)
        return self._reserve(timeout)  # type: ignore[no-any-return]  # a thread's lot returns the job

    def reserve_many(self, n: int, timeout: float | None = None) -> list[Job]:
        """Take up to ``n`` jobs at once; wait for the first if need be.

        It does not wait for more than one: when that has come, it takes what else is
        ready by then. In statistics each job counts as a reserve.

        Args:
            n: How many at most, 1 or more.
            timeout: Seconds to wait for the first, None for ever, 0 not at all.

        Returns:
            The jobs, the most urgent first, at least one. Each is this consumer's for
            its own ``ttr``, and they run from now: mind that the last of them has to
            wait for the others.

        Raises:
            TimedOutError: No job came in time.
            DeadlineSoonError: There is no job, and one that this handle holds already
                expires within a second.
            ClosedError: The consumer or the broker was closed, if need be while this
                was waiting.

        Cost: O(log n) for each job.
        """
        jobs: list[Job] = self._reserve_many(n, timeout)
        return jobs

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Job:
        try:
            job: Job = self._reserve(None, hears_deadlines=False)
        except ClosedError:
            raise StopIteration from None
        return job
