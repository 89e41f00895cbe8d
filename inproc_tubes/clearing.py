"""Looking at all jobs of a tube, and clearing it: what beanstalkd cannot do.

These are verbs of `engine.Engine`, under the rules printed there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .admission import Admission
from .job import JobState

if TYPE_CHECKING:
    from .job import Record
    from .tube import Tube

__all__ = ["Clearing"]


class Clearing(Admission):
    """What takes a tube's jobs as a whole."""

    def list_jobs(
        self, _now: float, name: str, states: tuple[JobState, ...]
    ) -> list[tuple[Record, int]]:
        """Return the tube's jobs, state by state, each with its last reservation.

        Cost: O(n log n) for n ready or reserved jobs, else O(n), and O(number of
        sessions) for the reserved ones.
        """
        tube = self.tubes.get(name)
        if tube is None:
            return []
        return [
            (record, record.reservation)
            for state in states
            for record in self._in_state(tube, state)
        ]

    def clear_tube(self, now: float, name: str, states: tuple[JobState, ...]) -> int:
        """Delete the tube's jobs in these states, none of them reserved.

        Each counts as a delete. Cost: O(log n) for each job.
        """
        tube = self.tubes.get(name)
        if tube is None:
            return 0
        records = [job for state in states for job in self._in_state(tube, state)]
        for record in records:
            self._leave_container(record)
            del self.jobs[record.id]
        tube.cmd_delete += len(records)
        if tube.room is not None:
            self._after_leaving(now, tube)
        self._free_if_unreferenced(tube)
        return len(records)

    def _in_state(self, tube: Tube, state: JobState) -> list[Record]:
        """Return the tube's jobs in this state, in the order they are served."""
        if state is JobState.READY:
            return tube.list_ready()
        if state is JobState.DELAYED:
            return tube.delayed.in_order()
        if state is JobState.BURIED:
            return list(tube.buried.values())
        held = (record for s in self.sessions for record in s.held.values())
        return sorted(
            (record for record in held if record.tube is tube),
            key=lambda record: (record.due_at, record.reservation),
        )
