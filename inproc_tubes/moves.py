"""How jobs move between states, how waiters are served, and what falls due when.

These are the steps that the verbs of `engine.Engine` are made of, under the rules
printed there. A step checks nothing: the verb has.

Function names in comments are those of beanstalkd's ``prot.c`` if not said otherwise.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from .errors import (
    ClosedError,
    DeadlineSoonError,
    NotFoundError,
)
from .job import JobState
from .waiting import Waiter
from .watching import Watching

if TYPE_CHECKING:
    from .errors import TubesError
    from .job import Record
    from .session import Session
    from .tube import Tube
    from .waiting import Pending

__all__ = ["SAFETY_MARGIN", "Moves"]

# beanstalkd's SAFETY_MARGIN (conn.c): so long before its first reservation ends,
# a client hears DEADLINE_SOON.
SAFETY_MARGIN = 1.0

_READY = JobState.READY
_RESERVED = JobState.RESERVED
_DELAYED = JobState.DELAYED
_BURIED = JobState.BURIED


class Moves(Watching):
    """The steps, and `catch_up`, which takes those that are due."""

    # From state to state

    def _make_ready(self, now: float, record: Record) -> None:
        """Put a job that is in no container to its place, or into waiting hands."""
        tube: Tube = record.tube
        waiter = None if tube.paused_until else tube.first_waiter
        if waiter is not None:
            self._hand_over(now, record, waiter)
        else:
            record.state = _READY
            tube.add_ready(record)

    def _delay(self, now: float, record: Record) -> None:
        tube: Tube = record.tube
        record.state = _DELAYED
        record.due_at = now + record.delay
        tube.delayed.add(record)
        self._plan_tube(tube, record.due_at)

    def _reserve(self, now: float, record: Record, session: Session) -> None:
        """Let a session hold a job that is in no container."""
        self._reservations = number = self._reservations + 1
        record.state = _RESERVED
        record.owner = session
        record.reservation = number
        record.reserves += 1
        record.due_at = due_at = now + record.ttr
        session.held[number] = record
        if due_at < session.planned_at or session.waiters:
            self._plan_deadline(session, due_at)

    def _end_reservation(self, record: Record, session: Session) -> None:
        """Leave a held job in no container."""
        del session.held[record.reservation]
        record.owner = None

    def _leave_container(self, record: Record) -> None:
        tube: Tube = record.tube
        if record.state is _READY:
            tube.remove_ready(record)
        elif record.state is _DELAYED:
            tube.delayed.remove(record)
        elif record.state is _BURIED:
            del tube.buried[record.id]
        else:
            raise NotFoundError(record.id)

    # To whom it may concern

    def _hand_over(self, now: float, record: Record, waiter: Waiter) -> None:
        """Give a job that is in no container to who has waited longest."""
        self._dismiss(waiter)
        self._reserve(now, record, waiter.session)
        waiter.reservation = record.reservation
        waiter.outcome = record
        self.answered.append(waiter)

    def _serve_waiters(self, now: float, tube: Tube) -> None:
        # process_queue: here alone is there a choice of jobs, and the best goes first.
        while (
            tube.ready
            and not tube.paused_until
            and (waiter := tube.first_waiter) is not None
        ):
            self._hand_over(now, tube.pop_ready(), waiter)

    def _refuse(self, waiter: Waiter, error: TubesError) -> None:
        self._dismiss(waiter)
        waiter.outcome = error
        self.answered.append(waiter)

    # Tubes

    def _end_pause(self, now: float, tube: Tube) -> None:
        tube.pause = tube.paused_until = 0.0
        self._serve_waiters(now, tube)
        for selection in tube.selections:
            selection.look_at(tube)

    def _free_if_unreferenced(self, tube: Tube) -> None:
        # tube_dref and tube_free (tube.c): its counters and its pause go with it.
        if not tube.referenced:
            tube.gone = True
            del self.tubes[tube.name]
            self.listing.remove(tube)
            self._tube_agenda.forget(tube)
            self._total_jobs_of_dead_tubes += tube.total_jobs
            self._deletes_of_dead_tubes += tube.cmd_delete

    # Time

    def _plan_tube(self, tube: Tube, moment: float) -> None:
        self._tube_agenda.plan(tube, moment)
        self.due_at = min(self.due_at, moment)

    def _plan_session(self, session: Session, moment: float) -> None:
        if moment < session.planned_at:
            session.planned_at = moment
            self._session_agenda.plan(session, moment)
            self.due_at = min(self.due_at, moment)

    def catch_up(self, now: float) -> None:
        """Carry out all that is due by now, in the order of prottick.

        Cost: O(log n) for each job and waiter that is due.
        """
        if self.closed is not None:
            raise ClosedError(self.closed)
        tubes = self._tube_agenda.take(now)
        self._mature(now, tubes)
        for tube in sorted(tubes, key=self.listing.place):
            if tube.paused_until and tube.paused_until <= now:
                self._end_pause(now, tube)
        for tube in tubes:
            if tube.due_at != inf:
                self._tube_agenda.plan(tube, tube.due_at)
        while (moment := self._first_of_clients()) <= now:
            self._end_moment(now, moment)
        self.due_at = min(self._tube_agenda.first()[0], self._first_of_clients())

    def _mature(self, now: float, tubes: list[Tube]) -> None:
        """Make delayed jobs ready: the soonest first, on a tie by the tube's place."""
        due = []
        for tube in tubes:
            place = self.listing.place(tube)
            due += [(r.due_at, place, r.id) for r in tube.delayed.take(now)]
        due.sort()
        for _, _, job_id in due:
            self._make_ready(now, self.jobs[job_id])

    def _first_of_clients(self) -> float:
        return min(self._session_agenda.first()[0], self._timeouts.first()[0])

    def _end_moment(self, now: float, moment: float) -> None:
        """Carry out what falls due for clients in one moment: a job beats an error.

        In conn_timeout a client that is late hears DEADLINE_SOON although it has just
        been given a job, which it then holds unknowingly. That is not copied: here
        the moments pass in their order, even when all are late.
        """
        sessions = self._session_agenda.take(moment)
        for session in sessions:
            session.planned_at = inf
        for session in sessions:
            while (record := session.soonest()) and record.due_at <= moment:
                self._end_reservation(record, session)
                past = record.own_past()
                past.timeouts += 1
                past.expired.append(record.reservation)
                self._job_timeouts += 1
                self._make_ready(now, record)
        # Whoever was handed a job that expires within the margin is to be told, too.
        for session in (late := self._session_agenda.take(moment)):
            session.planned_at = inf
        for session in sessions + late:
            self._tell_deadline_soon(now, moment, session)
        # By kinds, since a put that gives up may make way for a job that a reserve
        # waits for, and both for the end that a join waits for.
        late_ones = self._timeouts.take(moment)
        for waiter in sorted(late_ones, key=lambda one: one.rank):
            if not waiter.answered:
                self._lose_patience(now, waiter)

    def _lose_patience(self, _now: float, waiter: Pending) -> None:
        """Tell a waiter that its timeout has passed."""
        assert isinstance(waiter, Waiter)  # `admission` sees to the others
        self._refuse(waiter, waiter.too_late())

    def _tell_deadline_soon(self, now: float, moment: float, session: Session) -> None:
        soonest = session.soonest()
        if soonest is not None and soonest.due_at - SAFETY_MARGIN <= moment:
            left = max(0.0, soonest.due_at - now)
            for waiter in list(session.waiters.values()):
                if waiter.hears_deadlines:
                    self._refuse(waiter, DeadlineSoonError(soonest.id, left))
        self._replan_session(session)

    def _plan_deadline(self, session: Session, due_at: float) -> None:
        """See to it that the session is looked at when its new reservation ends."""
        margin = SAFETY_MARGIN if session.waiters else 0
        self._plan_session(session, due_at - margin)

    def _replan_session(self, session: Session) -> None:
        soonest = session.soonest()
        if soonest is None:
            return
        if any(waiter.hears_deadlines for waiter in session.waiters.values()):
            self._plan_session(session, soonest.due_at - SAFETY_MARGIN)
        else:
            self._plan_session(session, soonest.due_at)

    def next_due(self) -> float:
        """Return the next moment at which something happens, inf for never.

        The agendas are put right on the way, so that it is the exact moment.

        Cost: O(log n), amortised.
        """
        if self.closed is not None:
            return inf
        moment, tube = self._tube_agenda.first()
        while tube is not None and tube.due_at > moment:
            self._tube_agenda.forget(tube)
            if tube.due_at != inf:
                self._tube_agenda.plan(tube, tube.due_at)
            moment, tube = self._tube_agenda.first()
        moment, session = self._session_agenda.first()
        while session is not None:
            self._session_agenda.forget(session)
            session.planned_at = inf
            self._replan_session(session)
            if session.planned_at == moment:
                break
            moment, session = self._session_agenda.first()
        self.due_at = min(self._tube_agenda.first()[0], self._first_of_clients())
        return self.due_at
