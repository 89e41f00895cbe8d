"""A job in somebody's hands, and what can be done with it there."""

from __future__ import annotations

import reprlib
from typing import TYPE_CHECKING, Any, NoReturn, Self

from .checks import check_job_id, check_priority, check_seconds
from .errors import ClosedError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from .door import Door
    from .job import Record
    from .session import Session
    from .stats import JobStats

__all__ = ["Closing", "Hands", "Job", "Owner", "Rooted", "target_of"]


class Rooted:
    """Something that cannot leave its process: it refuses to be pickled or copied."""

    __slots__ = ()

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        message = (
            f"a {type(self).__name__} can be neither pickled nor copied: "
            "its jobs live in this process, behind one lock"
        )
        raise TypeError(message)


class Closing(Rooted):
    """A context manager that closes itself at the end of its block."""

    __slots__ = ()

    close: Callable[[], None]
    _close_later: Callable[[], None]  # for finalisers: without the lock

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if exc_type is GeneratorExit:
            # The block was suspended, in a generator or a coroutine, and nobody will
            # resume it: this may well be the collector, in the middle of a turn.
            self._close_later()
        else:
            self.close()


class Owner(Closing):
    """What the handles that own their session have in common: it ends with them."""

    __slots__ = ()

    _door: Door
    _session: Session

    def _close_later(self) -> None:
        self._door._abandon(self._session)

    def __del__(self) -> None:
        # Without a session: the constructor has raised.
        if hasattr(self, "_session"):
            self._close_later()


class Job(Rooted):
    """A job that was reserved or peeked at.

    A reserved one is a context manager: a block that is left normally deletes the job,
    one that is left by an exception buries it, unless the block itself has settled it
    otherwise. If the reservation runs out inside, a job that is done is deleted if it
    can be, else `NotFoundError` says that somebody else is at it. A job that was only
    peeked at stays as it is.

    It is *fenced*: when its reservation is over and somebody has reserved the job
    again, be it the same consumer, the verbs of this handle raise `NotFoundError`.
    May be shared by threads.
    """

    __slots__ = ("_fence", "_owner", "_record")

    _owner: Hands
    _record: Record
    _fence: int  # the number of the reservation that it was made for

    @property
    def id(self) -> int:
        """The number that `Producer.put` has returned."""
        return self._record.id

    @property
    def body(self) -> Any:
        """The very object that was put."""
        return self._record.body

    @property
    def tube(self) -> str:
        """The name of its tube."""
        return self._record.tube.name  # type: ignore[no-any-return]  # a Tube's is str

    @property
    def priority(self) -> int:
        """Its priority now: the lower, the more urgent."""
        return self._record.priority

    @property
    def delay(self) -> float:
        """The delay in seconds with which it was last put or released."""
        return self._record.delay

    @property
    def ttr(self) -> float:
        """Its time to run: the seconds that a reservation lasts."""
        return self._record.ttr

    @property
    def reserves(self) -> int:
        """How often it has been reserved so far."""
        return self._record.reserves

    @property
    def timeouts(self) -> int:
        """How often a reservation of it has expired so far."""
        return self._record.past.timeouts

    @property
    def releases(self) -> int:
        """How often it has been released so far."""
        return self._record.past.releases

    @property
    def buries(self) -> int:
        """How often it has been buried so far."""
        return self._record.past.buries

    @property
    def kicks(self) -> int:
        """How often it has been kicked so far."""
        return self._record.past.kicks

    def delete(self) -> None:
        """Same as `Consumer.delete` of this job.

        Cost: the same.
        """
        # The door of Door._do, written out.
        hands = self._owner
        door = hands._door
        engine = hands._engine
        with door._latch:
            now = door._now()
            if now >= engine.due_at or door._notes:
                door._catch_up(now)
            engine.delete_held(now, hands._session, self._record, self._fence)
            if engine.answered:  # a put was let in, or a join is over
                door._rouse()

    def release(self, priority: int | None = None, delay: float = 0) -> None:
        """Same as `Consumer.release` of this job.

        Cost: the same.
        """
        self._owner.release(self, priority, delay)

    def bury(self, priority: int | None = None) -> None:
        """Same as `Consumer.bury` of this job.

        Cost: the same.
        """
        self._owner.bury(self, priority)

    def touch(self) -> None:
        """Same as `Consumer.touch` of this job.

        Cost: the same.
        """
        self._owner.touch(self)

    def stats(self) -> JobStats:
        """Same as `Broker.stats_job` of this job.

        Cost: the same.
        """
        return self._owner._stats_job(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        owner = self._owner
        args = owner._session, self._record, self._fence, exc_type is not None
        if exc_type is GeneratorExit:
            # See Closing.__exit__.
            owner._door._leave_note(owner._engine.settle, *args)
            return
        try:
            owner._do(owner._engine.settle, *args)
        except ClosedError:
            # The queue is gone, and the block's own exception is the news.
            if exc_type is None:
                raise

    def __repr__(self) -> str:
        record = self._record
        state = record.state.value
        if self._owner._engine.jobs.get(record.id) is not record:
            state = "gone"
        elif record.reservation != self._fence:
            state += " since, by another handle"
        return (
            f"<Job {record.id} in {record.tube.name!r}, {state}, "
            f"priority {record.priority}: {reprlib.repr(record.body)}>"
        )


def new_job(owner: Hands, record: Record, fence: int) -> Job:
    """Return a handle. Not `Job.__init__`: calling that costs as much again."""
    job = Job()
    job._owner = owner
    job._record = record
    job._fence = fence
    return job


def target_of(door: Door, job_or_id: object) -> tuple[int, int | None]:
    """Return the id, and the fence if it is a handle.

    Raises:
        NotFoundError: The handle is of a job in another broker.
    """
    if isinstance(job_or_id, Job):
        if job_or_id._owner._door is not door:
            raise NotFoundError(job_or_id.id)
        return job_or_id._record.id, job_or_id._fence
    return check_job_id(job_or_id), None


class Hands(Rooted):
    """One session's verbs for jobs. A `Consumer` has them, and so has a peeked job."""

    __slots__ = ("__weakref__", "_door", "_engine", "_session")

    def __init__(self, door: Door, session: Session) -> None:
        self._door = door
        self._engine = door._engine
        self._session = session

    def delete(self, job_or_id: Job | int) -> None:
        """Delete a job that this consumer holds, or that nobody holds.

        Args:
            job_or_id: A handle, or a job's id.

        Raises:
            NotFoundError: Another consumer holds it (the reservation may have run
                out), or there is no such job (any more).
            ClosedError: The consumer or the broker was closed.

        Cost: O(1) amortised.
        Source: OP_DELETE (prot.c).
        """
        job_id, fence = target_of(self._door, job_or_id)
        self._do(self._engine.delete, self._session, job_id, fence)

    def release(
        self, job_or_id: Job | int, priority: int | None = None, delay: float = 0
    ) -> None:
        """Give a job that this consumer holds back to its tube.

        Args:
            job_or_id: A handle, or a job's id.
            priority: Its new priority, None to keep it.
            delay: Seconds until it is ready again.

        Raises:
            NotFoundError: This consumer does not hold it (any more).
            ClosedError: The consumer or the broker was closed.

        Cost: O(log n).
        Source: OP_RELEASE (prot.c).
        """
        job_id, fence = target_of(self._door, job_or_id)
        if priority is not None:
            priority = check_priority(priority)
        delay = check_seconds("delay", delay)
        self._do(self._engine.release, self._session, job_id, fence, priority, delay)

    def bury(self, job_or_id: Job | int, priority: int | None = None) -> None:
        """Put a job that this consumer holds aside, until somebody kicks it.

        Args:
            job_or_id: A handle, or a job's id.
            priority: Its new priority, None to keep it.

        Raises:
            NotFoundError: This consumer does not hold it (any more).
            ClosedError: The consumer or the broker was closed.

        Cost: O(1).
        Source: OP_BURY (prot.c).
        """
        job_id, fence = target_of(self._door, job_or_id)
        if priority is not None:
            priority = check_priority(priority)
        self._do(self._engine.bury, self._session, job_id, fence, priority)

    def touch(self, job_or_id: Job | int) -> None:
        """Start the time to run of a job that this consumer holds anew.

        Args:
            job_or_id: A handle, or a job's id.

        Raises:
            NotFoundError: This consumer does not hold it (any more).
            ClosedError: The consumer or the broker was closed.

        Cost: O(log n).
        Source: touch_job (prot.c): a reset to the full ttr, not an extension.
        """
        job_id, fence = target_of(self._door, job_or_id)
        self._do(self._engine.touch, self._session, job_id, fence)

    def _stats_job(self, job_or_id: Job | int) -> JobStats:
        # Imported late: dataclasses cost more time than all the rest together.
        from .stats import JobStats  # noqa: PLC0415 - as above

        job_id, fence = target_of(self._door, job_or_id)
        door = self._door
        # To look, one needs no consumer: it may be closed.
        fields = door._do(door._admin, self._engine.stats_job, job_id, fence)
        return JobStats(**fields)

    def _job(self, record: Record) -> Job:
        return new_job(self, record, record.reservation)

    def _do(self, verb: Any, *args: Any) -> Any:
        return self._door._do(self._session, verb, *args)
