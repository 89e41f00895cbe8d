"""Reserving a job, waiting for one, and leaving as if one had never asked.

These are verbs of `engine.Engine`, under the rules printed there.

Function names in comments are those of beanstalkd's ``prot.c`` if not said otherwise.
"""

from __future__ import annotations

from heapq import heappop
from typing import TYPE_CHECKING

from .errors import DeadlineSoonError, NotFoundError, TimedOutError
from .job import JobState, Record
from .moves import SAFETY_MARGIN
from .putting import Putting
from .tube import URGENT_THRESHOLD
from .waiting import Waiter

if TYPE_CHECKING:
    from .session import Session
    from .waiting import Pending

__all__ = ["Reserving"]

_RESERVED = JobState.RESERVED


class Reserving(Putting):
    """The ways into somebody's hands, but for batches."""

    def reserve(
        self, now: float, session: Session, timeout: float | None
    ) -> Record | None:
        """Take the first job by (priority, id) of all watched tubes not paused.

        None means that there is none, and that it is for `wait` to say what comes
        of it. The timeout decides here only which of two commands is counted.

        Cost: O(log n) amortised, and O(number of watched tubes) for the first session
        that watches just these.
        """
        tube = session.only
        if tube is None and session.closed is not None:
            session.refuse()
        if timeout is None:
            self.cmd_reserve += 1
        else:
            self.cmd_reserve_with_timeout += 1
        session.is_worker = True
        if tube is None:
            tube = (session.selection or self._select(session)).best()
            if tube is None:
                return None
        elif not tube.ready or tube.paused_until:
            return None
        if tube.dead or not tube.front:
            record = tube.pop_ready()
        else:
            # Tube.pop_ready, written out
            record = self.jobs[heappop(tube.front)]
            tube.ready -= 1
            if tube.front_priority < URGENT_THRESHOLD:
                tube.urgent -= 1
        # Moves._reserve, written out
        self._reservations = number = self._reservations + 1
        record.state = _RESERVED
        record.owner = session
        record.reservation = number
        record.reserves += 1
        record.due_at = due_at = now + record.ttr
        session.held[number] = record
        if due_at < session.planned_at or session.waiters:
            self._plan_deadline(session, due_at)
        return record

    def wait(self, now: float, waiter: Waiter) -> None:
        """Let a waiter wait, after `reserve` has found nothing.

        Raises:
            DeadlineSoonError: A job that its session holds expires within the safety
                margin (conndeadlinesoon in conn.c). A ready job in a paused tube
                would delay this answer by a tick, which cannot be seen.
            TimedOutError: The timeout is 0.

        Cost: O(1), O(log n) with a timeout or where the session holds jobs.
        """
        session: Session = waiter.session
        if session.held and waiter.hears_deadlines:
            soonest = session.soonest()
            if soonest is not None and soonest.due_at - SAFETY_MARGIN <= now:
                raise DeadlineSoonError(soonest.id, soonest.due_at - now)
        if waiter.timeout == 0:
            raise TimedOutError(0)
        self._enter(now, waiter)
        if session.held:
            self._replan_session(session)

    def withdraw(self, now: float, waiter: Pending) -> None:
        """Leave the queue as if that waiter had never waited.

        If it was answered meanwhile with a job, the job goes back to its place, and
        its reservation has never been. If it was a put and was let in, its jobs have
        never been, but for those that somebody has reserved already.

        Cost: that of `release`, or of `delete` for each job that was put.
        """
        if not isinstance(waiter, Waiter):
            self._withdraw_other(now, waiter)
        elif waiter.outcome is None:
            if waiter.ticket in waiter.session.waiters:
                self._dismiss(waiter)
        elif isinstance(waiter.outcome, Record):
            self.give_back(now, waiter.session, waiter.outcome, waiter.reservation)

    def give_back(
        self, now: float, session: Session, record: Record, reservation: int
    ) -> None:
        """Undo a reservation that its consumer has never heard of.

        Cost: that of `release`.
        """
        if self.closed is not None:
            return
        if record.owner is session and record.reservation == reservation:
            self._end_reservation(record, session)
            record.reserves -= 1
            self._make_ready(now, record)

    def time_out(self, _now: float, waiter: Waiter) -> None:
        """Tell a waiter TIMED_OUT ahead of time, unless it was answered.

        conn_process_io does so to a client that has hung up half-way. Cost: O(log n)
        with a timeout, else O(1).
        """
        if waiter.outcome is None:
            self._refuse(waiter, TimedOutError(waiter.timeout))

    def reserve_job(self, now: float, session: Session, job_id: int) -> Record:
        """Take this job, whatever tube it is in, unless somebody holds it.

        Cost: O(log n).
        """
        record = self.jobs.get(job_id)
        if record is None or record.owner is not None:
            raise NotFoundError(job_id)
        self._leave_container(record)
        session.is_worker = True
        self._reserve(now, record, session)
        return record
