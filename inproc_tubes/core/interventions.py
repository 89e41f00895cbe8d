"""What the owner of a broker does to jobs that nobody holds. It is no client's verb."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .dispatcher import Dispatcher
    from .record import AnyJob, JobState

__all__ = ["Interventions"]


class Interventions:
    """The verbs of a broker itself that beanstalkd does not have."""

    __slots__ = ("_dispatch",)

    def __init__(self, dispatch: Dispatcher) -> None:
        self._dispatch = dispatch

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
        dispatch.after_leaving(now, tube)
        return jobs
