"""What the owner of a broker does to jobs that nobody holds. It is no client's verb."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Final

from .failure import JobError
from .reasons import why_not
from .record import JobState

if TYPE_CHECKING:
    from .dispatcher import Dispatcher
    from .failure import Failure
    from .limits import JobId, Seconds
    from .record import AnyJob

__all__ = ["Interventions"]

_READY: Final = JobState.READY
_DELAYED: Final = JobState.DELAYED
_BURIED: Final = JobState.BURIED


class Interventions:
    """The verbs of a broker itself that beanstalkd does not have."""

    __slots__ = ("_dispatch",)

    def __init__(self, dispatch: Dispatcher) -> None:
        self._dispatch = dispatch

    def move(self, now: float, job_id: JobId, handle: AnyJob | None, name: str) -> None:
        """Let a job that nobody holds belong to another tube, in its present state.

        Cost: O(log n).
        """
        job = self._unheld(now, job_id, handle)
        dispatch = self._dispatch
        before = dispatch.tubes[job._tube]
        if name == before.name:
            return
        error = dispatch.admission.why_not(job, name)
        if error is not None:
            dispatch.turn.refuse(error)
        store = dispatch.store
        tube = store.tube(name)
        store.leave(job)
        store.transfer(job, tube)
        if dispatch.turn.log is not None:
            dispatch.turn.log.moved(now, job, before.name)
        if job._state is _READY:
            dispatch.make_ready(now, job)
        elif job._state is _DELAYED:
            dispatch.delay(tube, job)
        else:
            store.bury(job)
        dispatch.after_leaving(now, before)

    def update(
        self,
        now: float,
        job_id: JobId,
        handle: AnyJob | None,
        priority: int | None,
        delay: Seconds | None,
    ) -> None:
        """Give a job that nobody holds another priority, or another delay from now on.

        A buried job stays buried. Cost: O(log n).
        """
        job = self._unheld(now, job_id, handle)
        dispatch = self._dispatch
        if job._state is _BURIED or (delay is None and job._state is _DELAYED):
            # Its place does not depend on these.
            if priority is not None:
                job._priority = priority
            if delay is not None:
                job._delay = delay
            self._updated(now, job, None)
            return
        dispatch.store.leave(job)
        if priority is not None:
            job._priority = priority
        if delay is not None:
            job._delay = delay
        if delay:
            if job._history.expires_at != inf:
                dispatch.stop_life(now, job)
            job._due_at = now + delay
            job._state = _DELAYED
        else:
            job._state = _READY
        self._updated(now, job, delay)
        if delay:
            dispatch.delay(dispatch.tubes[job._tube], job)
        else:
            dispatch.make_ready(now, job)

    def put_aside(
        self,
        now: float,
        job_id: JobId,
        handle: AnyJob | None,
        priority: int | None,
        failure: Failure | None,
    ) -> None:
        """Put a ready or delayed job aside until it is kicked. Cost: O(log n)."""
        job = self._unheld(now, job_id, handle)
        dispatch = self._dispatch
        if job._state is _BURIED:
            dispatch.turn.refuse(why_not(dispatch.store, now, job_id, handle))
        dispatch.store.leave(job)
        history = job._own_history()
        if history.expires_at != inf:
            dispatch.stop_life(now, job)
        if priority is not None:
            job._priority = priority
        history.buries += 1
        if failure is not None:
            history.error = JobError(*failure, job._tube, job._reserves, now)
        dispatch.store.bury(job)
        if dispatch.turn.log is not None:
            dispatch.turn.log.buried(now, job, failure is not None, False)  # noqa: FBT003 - see there
        dispatch.after_leaving(now, dispatch.tubes[job._tube])

    def _updated(self, now: float, job: AnyJob, delay: Seconds | None) -> None:
        log = self._dispatch.turn.log
        if log is not None:
            log.updated(now, job, delay)

    def _unheld(self, now: float, job_id: JobId, handle: AnyJob | None) -> AnyJob:
        """Return a job that nobody holds."""
        dispatch = self._dispatch
        job = dispatch.store.find(job_id, handle)
        if (
            job is None
            or job._state is JobState.RESERVED
            or job._state is JobState.INVALID
        ):
            dispatch.turn.refuse(why_not(dispatch.store, now, job_id, handle))
        return job

    def limit_tries(self, _now: float, name: str, tries: int) -> None:
        """Let a job of the tube be reserved so often, 0 for any number of times.

        It is buried when a reservation of it ends then by a release or an expiry. A tube
        that has such a limit stays, though nothing else refers to it.

        Cost: O(1).
        """
        dispatch = self._dispatch
        tube = dispatch.store.tube(name) if tries else dispatch.tubes.get(name)
        if tube is not None:
            tube.max_tries = tries
            dispatch.free_if_unreferenced(tube)

    def clear_tube(
        self, now: float, name: str, states: tuple[JobState, ...]
    ) -> list[AnyJob]:
        """Delete the tube's jobs in these states, none of them reserved.

        Returns them, for the caller to drop. Each counts as a delete.

        Cost: O(log n) for each job.
        """
        dispatch = self._dispatch
        tube = dispatch.tubes.get(name)
        if tube is None:
            return []
        store = dispatch.store
        jobs = [job for state in states for job in store.in_state(tube, state)]
        for job in jobs:
            store.leave(job)
            store.delete(job)
            if dispatch.turn.log is not None:
                dispatch.turn.log.deleted(now, job, False)  # noqa: FBT003 - see there
        dispatch.after_leaving(now, tube)
        return jobs
