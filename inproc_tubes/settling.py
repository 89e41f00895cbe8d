"""What becomes of a job in somebody's hands, or in nobody's: the verbs for it.

These are verbs of `engine.Engine`, under the rules printed there. ``fence``, if it is
given, is the number of the reservation that the caller's handle was made for.

Function names in comments are those of beanstalkd's ``prot.c`` if not said otherwise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .errors import NotFoundError
from .job import JobState
from .reserving import Reserving

if TYPE_CHECKING:
    from .job import Record
    from .session import Session

__all__ = ["Settling"]

_DELAYED = JobState.DELAYED
_BURIED = JobState.BURIED


class Settling(Reserving):
    """Deleting, releasing, burying, touching and kicking."""

    def _held(self, session: Session, job_id: int, fence: int | None) -> Record:
        """Return a job that the session holds: is_job_reserved_by_conn."""
        record = self.find(job_id, fence)
        if record.owner is not session:
            raise NotFoundError(job_id)
        return record

    def delete(
        self, now: float, session: Session, job_id: int, fence: int | None
    ) -> None:
        """End a job that the session holds, or that nobody holds.

        Cost: O(1) amortised.
        """
        record = self.jobs.get(job_id)
        if (
            record is None
            or (fence is not None and record.reservation != fence)
            or (record.owner is not None and record.owner is not session)
            or record.state is JobState.INVALID
        ):
            self.deletes_of_nothing += 1
            raise NotFoundError(job_id)
        if record.owner is session:
            self._end_reservation(record, session)
        else:
            self._leave_container(record)
        record.tube.cmd_delete += 1
        self._forget(now, record)

    def delete_held(
        self, now: float, session: Session, record: Record, fence: int
    ) -> None:
        """Same as `delete`, faster for a job that the session holds. Cost: O(1)."""
        if session.held.pop(fence, None) is None:
            if session.closed is not None:
                session.refuse()
            self.delete(now, session, record.id, fence)
            return
        record.owner = None
        # Admission._forget, written out
        del self.jobs[record.id]
        tube = record.tube
        tube.cmd_delete += 1
        if tube.room is not None:
            self.take_in(now)
            self._after_leaving(now, tube)
        if not tube.using and not tube.watching:
            self._free_if_unreferenced(tube)

    def release(
        self,
        now: float,
        session: Session,
        job_id: int,
        fence: int | None,
        priority: int | None,
        delay: float,
    ) -> None:
        """Give a held job back, at once or after a delay. Cost: O(log n)."""
        self.cmd_release += 1
        record = self._held(session, job_id, fence)
        self._end_reservation(record, session)
        if priority is not None:
            record.priority = priority
        record.delay = delay
        record.own_past().releases += 1
        if delay:
            self._delay(now, record)
        else:
            self._make_ready(now, record)

    def bury(
        self,
        now: float,
        session: Session,
        job_id: int,
        fence: int | None,
        priority: int | None,
    ) -> None:
        """Put a held job aside until it is kicked. Cost: O(1)."""
        self.cmd_bury += 1
        record = self._held(session, job_id, fence)
        self._end_reservation(record, session)
        if priority is not None:
            record.priority = priority
        record.own_past().buries += 1
        record.state = _BURIED
        record.tube.buried[record.id] = record
        if record.tube.room is not None:
            self._after_leaving(now, record.tube)

    def touch(
        self, now: float, session: Session, job_id: int, fence: int | None
    ) -> None:
        """Start the time to run of a held job anew. Cost: O(log n)."""
        self.cmd_touch += 1
        record = self._held(session, job_id, fence)
        record.due_at = now + record.ttr
        session.move_deadline(record)

    def settle(
        self,
        now: float,
        session: Session,
        record: Record,
        fence: int,
        failed: bool,  # noqa: FBT001 - the door passes arguments by position
    ) -> None:
        """Leave the with-block of a job: delete it, or bury it if it failed.

        What the block itself has done with the job stands. Where the reservation has
        run out meanwhile, a job that is done is deleted if nobody has it yet, and one
        that failed stays ready.

        Raises:
            NotFoundError: The reservation has run out, the job is done, and somebody
                else has reserved it.

        Cost: that of `delete` or `bury`; O(number of its expiries) if it has run out.
        """
        if self.jobs.get(record.id) is not record:
            return
        held = record.owner is session and record.reservation == fence
        if failed:
            if held:
                self.bury(now, session, record.id, fence, None)
        elif held or fence in record.past.expired:
            self.delete(now, session, record.id, fence)

    def kick(self, now: float, name: str, bound: int) -> int:
        """Make up to ``bound`` buried jobs ready, or delayed ones if none is buried.

        kick_jobs: never both. Buried ones in order of burying, delayed ones in order
        of their moments, each offered to who waits at once.

        Cost: O(log n) for each job.
        """
        self.cmd_kick += 1
        tube = self.tubes.get(name)
        if tube is None:
            return 0
        count = min(bound, len(tube.buried) or len(tube.delayed))
        for _ in range(count):
            if tube.buried:
                _, record = tube.buried.popitem(last=False)
            else:
                record = tube.delayed.pop()
            self._kick(now, record)
        return count

    def kick_job(self, now: float, job_id: int, fence: int | None) -> None:
        """Make this buried or delayed job ready. Cost: O(log n)."""
        record = self.find(job_id, fence)
        if record.state is not _BURIED and record.state is not _DELAYED:
            raise NotFoundError(job_id)
        self._leave_container(record)
        self._kick(now, record)

    def _kick(self, now: float, record: Record) -> None:
        record.own_past().kicks += 1
        self._make_ready(now, record)
