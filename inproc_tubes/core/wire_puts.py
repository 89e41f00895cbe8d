"""The puts of beanstalkd's connections: first a line, then the body."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inproc_tubes.errors import DrainingError, TubeFullError

from .making import new_job
from .record import JobState

if TYPE_CHECKING:
    from .dispatcher import Dispatcher
    from .record import AnyJob
    from .session import Session

__all__ = ["WirePuts"]


class WirePuts:
    """Jobs whose bodies are still to come: ``Session.incoming`` is that of a session."""

    __slots__ = ("_dispatch",)

    def __init__(self, dispatch: Dispatcher) -> None:
        self._dispatch = dispatch

    def begin_put(
        self,
        now: float,
        session: Session,
        body: memoryview,
        priority: int,
        delay: int,
        ttr: int,
    ) -> None:
        """Take an id for a job whose body is still to come; it is INVALID till then.

        It can be peeked at, and nothing else. A session that uses a tube has at most one
        such job, in that tube. Cost: O(1).
        """
        assert session.used is not None  # it does
        self.abort_put(now, session)  # one of which the end was broken off
        self._dispatch.counts.other_puts += 1
        session.is_producer = True
        job: AnyJob = new_job(body, priority, delay, ttr)
        self._dispatch.store.number([job])
        job._tube = session.used.name
        job._created_at = now
        job._state = JobState.INVALID
        self._dispatch.jobs[job._id] = job
        session.incoming = job

    def finish_put(self, now: float, session: Session, body: bytes) -> int:
        """Put the session's half-received job, now that its body is there.

        It does not wait for room: a client that waits over the wire is not listened to.
        If it is refused, its id is spent (enqueue_incoming_job).

        Cost: that of `put`.
        """
        begun = session.incoming
        tube = session.used
        assert begun is not None  # it was begun
        assert tube is not None  # it is in it
        self.abort_put(now, session)
        if self._dispatch.store.draining:
            self._dispatch.turn.refuse(DrainingError())
        if not tube.admits(1):
            assert tube.occupancy is not None  # else it would be admitted
            self._dispatch.turn.refuse(TubeFullError(tube.name, tube.occupancy.maxsize))
        job: AnyJob = new_job(body, begun._priority, begun._delay, begun._ttr)
        job._id = begun._id
        self._dispatch.insert(now, tube, job)
        job._created_at = begun._created_at
        self._dispatch.counts.other_puts -= 1
        return job._id

    def abort_put(self, _now: float, session: Session) -> None:
        """Forget the session's half-received job, if any; its id is spent.

        Cost: O(1).
        """
        incoming, session.incoming = session.incoming, None
        if incoming is not None:
            self._dispatch.jobs.pop(incoming._id, None)
