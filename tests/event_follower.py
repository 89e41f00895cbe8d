"""Who knows of a broker's jobs by its events alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inproc_tubes import EventKind, JobState
from inproc_tubes.core.event import ALL_KINDS

if TYPE_CHECKING:
    from inproc_tubes import Event
    from inproc_tubes.core.engine import Engine

_STATE_AFTER = {
    EventKind.PUT: "ready",
    EventKind.READY: "ready",
    EventKind.RESERVED: "reserved",
    EventKind.RELEASED: "ready",
    EventKind.TIMED_OUT: "ready",
    EventKind.RETURNED: "ready",
    EventKind.BURIED: "buried",
    EventKind.KICKED: "ready",
}
ENDS = (EventKind.DELETED, EventKind.CANCELLED, EventKind.EXPIRED)


class Follower:
    """A subscriber that keeps the tube and the state of each job, as it is told.

    Attributes:
        jobs: {id: (tube, state)}.
        events: All that it was told.
    """

    kinds = ALL_KINDS
    bodies = False

    def __init__(self, engine: Engine) -> None:
        self.jobs: dict[int | None, tuple[str | None, str]] = {}
        self.events: list[Event] = []
        self.look_at(engine)

    def look_at(self, engine: Engine) -> None:
        """Take over what there is."""
        self.jobs = {
            job._id: (job._tube, job._state.value)
            for job in engine.jobs.values()
            if job._state is not JobState.INVALID
        }

    def _take(self, event: Event) -> None:
        self.events.append(event)
        kind, job_id = event.kind, event.job_id
        if job_id is None:
            return
        if kind in ENDS:
            del self.jobs[job_id]
            return
        before = self.jobs.get(job_id)
        assert (before is None) == (kind is EventKind.PUT), event
        state = _STATE_AFTER.get(kind, "" if before is None else before[1])
        if kind is EventKind.UPDATED and event.delay is not None:
            state = "ready"
        self.jobs[job_id] = event.tube, "delayed" if event.delay else state
        if before is not None:
            was_in = event.source if kind is EventKind.MOVED else event.tube
            assert before[0] == was_in, event
            held = kind in {
                EventKind.RELEASED,
                EventKind.TIMED_OUT,
                EventKind.RETURNED,
                EventKind.TOUCHED,
            }
            assert held <= (before[1] == "reserved"), event

    def check(self, engine: Engine) -> None:
        """Compare what it was told with what there is; where events may be missing, look."""
        if any(event.kind is EventKind.RECOVERED for event in self.events):
            self.look_at(engine)
        self.events.clear()
        known = self.jobs
        self.look_at(engine)
        assert known == self.jobs
