"""The verbs of one session for its jobs, and what all handles have in common."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Generic, NoReturn, SupportsIndex

from .checks import (
    MAX_JOB_ID,
    check_duration,
    check_job_id,
    check_priority,
    check_tube_name,
)
from .core import questions, results
from .core.job import Job, T, refuse_to_pickle
from .core.making import holder_name
from .errors import ClosedError
from .failures import failure_of
from .turns import EndTurn

if TYPE_CHECKING:
    from .core.record import AnyJob
    from .core.statistics import JobStats

__all__ = ["Holder", "Reservations", "target_of"]


class Holder(EndTurn, Generic[T]):
    """What holds jobs: a session, and its verbs for them. A `Consumer` is one."""

    __slots__ = ("__weakref__",)

    def delete(self, job_or_id: Job[T] | int) -> None:
        """Delete a job that this consumer holds, or that nobody holds.

        Args:
            job_or_id: A handle, or a job's id.

        Raises:
            NotFoundError: Another consumer holds it, most likely because the reservation
                has expired; or there is no such job (any more).
            ClosedError: The consumer or the broker was closed.

        Cost: O(1) amortised.
        Source: OP_DELETE (prot.c).
        """
        if isinstance(job_or_id, Job):
            self._end(job_or_id._id, job_or_id, True)  # noqa: FBT003 - see there
            return
        if type(job_or_id) is not int or not 0 <= job_or_id <= MAX_JOB_ID:
            check_job_id(job_or_id)
        self._end(job_or_id, None, True)  # noqa: FBT003 - as above

    def release(
        self,
        job_or_id: Job[T] | int,
        priority: int | None = None,
        delay: float = 0,
        error: BaseException | None = None,
        *,
        tube: str | None = None,
    ) -> None:
        """Give a job that this consumer holds back to its tube.

        Args:
            job_or_id: A handle, or a job's id.
            priority: Its new priority; None keeps the present one.
            delay: Seconds until it is ready again.
            error: What it failed with, to be kept as text in `Job.error`; None keeps
                what is there.
            tube: The tube to give it to instead; None for its own. The job keeps its id, its
                key and its counters.

        Raises:
            NotFoundError: This consumer does not hold it (any more).
            TubeFullError: The other tube has no room: this does not wait.
            DuplicateJobError: A job of the other tube has its key.
            BadTubeNameError: ``tube`` is not a valid tube name.
            ClosedError: The consumer or the broker was closed.

        Cost: O(log n), and with an error that of formatting it.
        Source: OP_RELEASE (prot.c).
        """
        job_id, job = target_of(job_or_id)
        if priority is not None:
            priority = check_priority(priority)
        delay = check_duration("delay", delay)
        if tube is not None:
            check_tube_name(tube)
        failure = None if error is None else failure_of(error)
        run, engine = self._monitor.run, self._engine
        run(engine.release, self._session, job_id, job, priority, delay, failure, tube)

    def bury(
        self,
        job_or_id: Job[T] | int,
        priority: int | None = None,
        error: BaseException | None = None,
    ) -> None:
        """Put a job that this consumer holds aside, until somebody kicks it.

        Args:
            job_or_id: A handle, or a job's id.
            priority: Its new priority; None keeps the present one.
            error: What it failed with, to be kept as text in `Job.error`; None keeps
                what is there.

        Raises:
            NotFoundError: This consumer does not hold it (any more).
            ClosedError: The consumer or the broker was closed.

        Cost: O(1), and with an error that of formatting it.
        Source: OP_BURY (prot.c).
        """
        job_id, job = target_of(job_or_id)
        if priority is not None:
            priority = check_priority(priority)
        failure = None if error is None else failure_of(error)
        run, engine = self._monitor.run, self._engine
        run(engine.bury, self._session, job_id, job, priority, failure)

    def touch(self, job_or_id: Job[T] | int) -> None:
        """Restart the time to run of a job that this consumer holds.

        Args:
            job_or_id: A handle, or a job's id.

        Raises:
            NotFoundError: This consumer does not hold it (any more).
            ClosedError: The consumer or the broker was closed.

        Cost: O(log n).
        Source: touch_job (prot.c): a reset to the full ttr, not an extension.
        """
        job_id, job = target_of(job_or_id)
        self._monitor.run(self._engine.touch, self._session, job_id, job)

    def __reduce_ex__(self, protocol: SupportsIndex, /) -> NoReturn:
        refuse_to_pickle(self, protocol)


class Reservations(Holder[T]):
    """What the jobs that a session has reserved refer to, and call.

    It is no handle: a handle that is dropped closes its session, although its jobs refer
    to this still.
    """

    __slots__ = ()

    def _finish(self, job: Job[T], result: object) -> None:
        """Delete a job that is done, with a result. For `Job`."""
        self._monitor.run(results.finish, self._engine, self._session, job, result)

    def _fail(self, job: Job[T], error: BaseException, priority: int | None) -> None:
        """Bury a job for good. For `Job`."""
        if priority is not None:
            priority = check_priority(priority)
        failure = failure_of(error)
        run, engine = self._monitor.run, self._engine
        run(results.fail, engine, self._session, job, priority, failure, error)

    def _abort(
        self, job: AnyJob, exc_type: type[BaseException], exc: BaseException | None
    ) -> None:
        """Leave the with-block of a job by an exception. For `Job`."""
        engine, session, run = self._engine, self._session, self._monitor.run
        if exc_type is GeneratorExit:
            # The block was suspended, in a generator or a coroutine, and nobody will
            # resume it: this may be the collector, in the middle of a turn.
            self._monitor.defer(lambda now: engine.cancel(now, session, job))
            return
        # If the queue is gone, the exception of the block is the news.
        with suppress(ClosedError):
            if issubclass(exc_type, Exception):
                failure = None if exc is None else failure_of(exc)
                if job._history.promise is None:
                    run(engine.fail, session, job, failure)
                else:
                    run(results.fail_block, engine, session, job, failure, exc)
            else:
                run(engine.cancel, session, job)

    @property
    def _jobs(self) -> dict[int, AnyJob]:
        """The jobs of its broker, for the engine."""
        return self._engine.jobs

    @property
    def _name(self) -> str:
        """What its session is called, for `Job.holder`."""
        return self._session.name

    def _is_lost(self, job: Job[T]) -> bool:
        """Tell whether the reservation of a job was lost by now. For `Job`."""
        self._monitor.look()
        return job._history.lost

    def _stats_job(self, job_or_id: Job[T] | int) -> JobStats:
        """Return the statistics of a job, for `Job.stats`."""
        job_id, job = target_of(job_or_id)
        return self._monitor.run(questions.stats_job, self._engine, job_id, job)

    def _state_of(self, job: Job[T]) -> str:
        """Describe the state of a job as its handle sees it, without the lock."""
        current = self._engine.jobs.get(job._id)
        if current is None:
            return "gone"
        state: str = current._state.value
        who = holder_name(current)
        if self._engine.store.find(job._id, job) is None:
            return f"{state} since, by {'another handle' if who is None else repr(who)}"
        return state if who is None else f"{state} by {who!r}"


def target_of(job_or_id: Job[T] | int) -> tuple[int, Job[T] | None]:
    """Return the id of a job, and the job itself if it is not an id.

    Raises:
        TypeError: It is neither a job nor an id.
    """
    if isinstance(job_or_id, Job):
        return job_or_id._id, job_or_id
    return check_job_id(job_or_id), None
