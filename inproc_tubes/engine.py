"""The rules of the queue: a pure function of its state and of the ``now`` it is given.

It decides who gets which job, and when, and what everybody who waits is told.
The rules that this module obeys itself:

1.  Every change of a job's state happens here.
2.  It never asks what time it is. ``now`` does not run backwards.
3.  It never blocks, and it calls nobody's code but its own.
4.  Check first, change after: an illegal verb raises and *nothing has changed*, but
    for the counter of the command, which counts how often it was asked (so does
    beanstalkd's).
5.  A job leaves its container before its sort key changes.
6.  A waiter is answered exactly once, and put on ``answered`` for the shell.
7.  No tube that is not paused has both a ready job and a waiter: a job that becomes
    ready is handed, reserved, to whoever has waited longest.
8.  No put waits while its tube has room: see `admission`.

What falls due is carried out by `catch_up`, in the order of beanstalkd's
``prottick`` (prot.c): delays, then pauses, then reservations and timeouts. A shell
calls it before each verb when ``due_at`` has come, so that a verb sees no job in a
state that is over.

Function names in comments are those of beanstalkd's ``prot.c`` if not said otherwise.
"""

from __future__ import annotations

from heapq import heappop, heappush
from math import inf
from typing import TYPE_CHECKING, Any, NoReturn

from .clearing import Clearing
from .errors import (
    ClosedError,
    DeadlineSoonError,
    DrainingError,
    JobTooBigError,
    NotFoundError,
    NotIgnoredError,
    TimedOutError,
    TubeFullError,
    TubesError,
)
from .job import JobState, Record, new_record
from .moves import SAFETY_MARGIN
from .session import Session
from .tube import URGENT_THRESHOLD, Listing
from .waiting import Putter, Waiter

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .tube import Tube
    from .waiting import Pending

__all__ = ["SAFETY_MARGIN", "Engine"]

_READY = JobState.READY
_RESERVED = JobState.RESERVED
_DELAYED = JobState.DELAYED
_BURIED = JobState.BURIED


class Engine(Clearing):
    """Everything that happens in one broker. It has no lock."""

    # Sessions

    def open_session(
        self, _now: float, used: str | None, watched: Iterable[str]
    ) -> Session:
        """Add a client. Cost: O(number of tubes)."""
        session = Session()
        self.sessions[session] = None
        self._total_sessions += 1
        if used is not None:
            session.used = self.tube(used)
            session.used.using += 1
        for name in watched:
            self._watch_too(session, name)
        return session

    def close_session(self, now: float, session: Session, what: str) -> None:
        """End a client: its waiters are answered, its jobs are ready again.

        In the order of connclose (conn.c): each job in the order in which it was
        reserved, each offered to who waits at once. No counter of a job moves.

        Cost: O(log n) for each job and tube.
        """
        if session.closed is not None:
            return
        session.closed = what
        del self.sessions[session]
        for waiter in list(session.waiters.values()):
            self._refuse(waiter, ClosedError(what))
        self._send_away(now, session.putters.values(), lambda _: ClosedError(what))
        self.abort_put(now, session)
        for record in list(session.held.values()):
            self._end_reservation(record, session)
            self._make_ready(now, record)
        self._session_agenda.forget(session)
        self._leave_place(session)
        for tube in list(session.watched):
            session.watched.remove(tube)
            tube.watching -= 1
            self._free_if_unreferenced(tube)
        if session.used is not None:
            session.used.using -= 1
            self._free_if_unreferenced(session.used)
            session.used = None

    def close(self, what: str) -> None:
        """End everything: who waits is answered, and the jobs are gone.

        Cost: O(number of sessions and waiters).
        """
        self.closed = what
        for session in self.sessions:
            session.closed = what
            session.used = None
            for waiter in session.waiters.values():
                waiter.outcome = ClosedError(what)
                self.answered.append(waiter)
            session.waiters.clear()
            session.putters.clear()
            session.held.clear()
        for other in self.others.values():
            other.outcome = ClosedError(what)
            self.answered.append(other)
        self.others.clear()
        self.waiting = 0
        self.sessions.clear()
        self.inbox.clear()
        self.jobs.clear()
        self.tubes.clear()
        self._selections.clear()
        self.listing = Listing()
        self.due_at = -inf  # so that every verb comes by catch_up, and hears of it

    def answer_all(self, error: type[TubesError]) -> None:
        """Tell every waiter this error. Cost: O(number of waiters and their tubes)."""
        for session in self.sessions:
            for waiter in list(session.waiters.values()):
                self._refuse(waiter, error())
        # All of them, so that nobody is let in in another's place.
        for other in list(self.others.values()):
            self._strike_out(other)
            other.outcome = error()
            self.answered.append(other)

    # Tubes

    def use(self, _now: float, session: Session, name: str) -> None:
        """Put into this tube from now on. Cost: O(1)."""
        self.cmd_use += 1
        tube = self.tube(name)
        tube.using += 1
        if session.used is not None:
            session.used.using -= 1
            self._free_if_unreferenced(session.used)
        session.used = tube

    def watch(self, now: float, session: Session, names: Iterable[str]) -> int:
        """Reserve from these tubes too; who waits is served at once.

        Cost: O(number of names); for each, that of `ignore` if the session waits.
        """
        for name in names:
            self.cmd_watch += 1
            self._serve_waiters(now, self._watch_too(session, name))
        return len(session.watched)

    def _watch_too(self, session: Session, name: str) -> Tube:
        tube = self.tube(name)
        if tube not in session.watched:
            self._watch(session, tube)
        return tube

    def ignore(self, _now: float, session: Session, name: str) -> int:
        """Reserve from this tube no longer; NOT_IGNORED only for the last one.

        A tube that is not watched, or does not exist, is no error (OP_IGNORE).

        Cost: O(number of watched tubes); O(n log n) for n that wait for the same tubes
        if the session waits.
        """
        self.cmd_ignore += 1
        tube = self.tubes.get(name)
        if tube is not None and tube in session.watched:
            if len(session.watched) == 1:
                raise NotIgnoredError(name)
            self._unwatch(session, tube)
            self._free_if_unreferenced(tube)
        return len(session.watched)

    def pause_tube(self, now: float, name: str, delay: float) -> None:
        """Deliver no job of this tube for so long; a new pause replaces the old.

        Cost: O(log n); with 0, that of serving those who wait.
        """
        self.cmd_pause_tube += 1
        tube = self.tubes.get(name)
        if tube is None:
            raise NotFoundError(None, name)
        tube.cmd_pause_tube += 1
        if delay:
            tube.pause = delay
            tube.paused_until = now + delay
            self._plan_tube(tube, tube.paused_until)
        else:
            self._end_pause(now, tube)

    # Putting

    def put(
        self,
        now: float,
        session: Session,
        name: str | None,
        body: Any,
        priority: int,
        delay: float,
        ttr: float,
    ) -> int:
        """Add a job to the tube of that name, or to the one the session uses.

        If somebody waits for it, it is his already when this returns. A refusal
        while draining takes an id, as in enqueue_incoming_job. 0 means that the tube
        has no room, and that it is for `wait_for_room` to say what comes of it.

        Cost: O(1) for a new or the best priority, else O(log n); and O(1) for each
        selection that the tube is in.
        """
        self.cmd_put += 1
        session.is_producer = True
        if self.draining:
            next(self.ids)
            raise DrainingError
        tube: Tube | None = session.used if name is None else self.tube(name)
        assert tube is not None  # a session that puts uses a tube
        if tube.room is not None and not tube.room.takes(1):
            return 0
        record = new_record(next(self.ids), body, tube, priority, delay, ttr, now)
        self.jobs[record.id] = record
        tube.total_jobs += 1
        if delay:
            self._delay(now, record)
        else:
            self._make_ready(now, record)
        return record.id

    def take_in(self, now: float) -> None:
        """Put the jobs of the inbox to their places: the first step of every turn.

        While nobody waits, a put need not take a turn: it leaves its job in the inbox,
        which is the one thing of the engine's that is touched without the lock. The
        job has its id and its moment, and whoever takes the next turn finds it. What
        makes a put more than that (a limit, a tube by its name, a join that waits) has
        it take a turn.

        After it has left its job, a put looks whether anybody waits, and whether the
        broker drains, and takes a turn then. He who begins to wait, or who drains it,
        says so first, and looks into the inbox afterwards: one of the two sees the
        other. And one put in 256 takes a turn in any case: it is kept waiting there
        while another takes in, so that several cannot leave jobs faster than that,
        which would never come to an end.

        Cost: O(1) for each job of the best priority, else O(log n).
        """
        inbox = self.inbox
        jobs = self.jobs
        if self.shut:
            self._turn_away()
        while inbox:
            record = inbox.popleft()
            tube = record.tube
            if tube.gone:
                # Its producer has been closed, or has turned to another, meanwhile.
                record.tube = tube = self.tube(tube.name)
            self.cmd_put += 1
            jobs[record.id] = record
            tube.total_jobs += 1
            if record.delay:
                self._delay(record.created_at, record)
            elif (
                record.priority != tube.front_priority
                or tube.waiters
                or tube.selections
            ):
                self._make_ready(now, record)
            else:
                # Tube.add_ready, written out
                heappush(tube.front, record.id)
                tube.ready += 1
                if record.priority < URGENT_THRESHOLD:
                    tube.urgent += 1

    def _turn_away(self) -> None:
        """Refuse the jobs of the inbox, each of which took an id."""
        while self.inbox:
            self.cmd_put += 1
            self.inbox.popleft().state = JobState.INVALID

    def drain(self, now: float) -> None:
        """Refuse every put from now on (enter_drain_mode), also those that wait.

        Cost: that of `take_in`, and O(1) for each put that waits.
        """
        self.draining = True
        # Whoever leaves a job from now on sees it; this is for those who have not.
        self.take_in(now)
        self.shut = True
        waiting = [w for w in self.others.values() if isinstance(w, Putter)]
        self._send_away(now, waiting, lambda _: DrainingError())

    def refuse_put(
        self, _now: float, size: int, limit: int, count: int = 1
    ) -> NoReturn:
        """Count so many puts, of which one body is too large; no id is taken.

        Cost: O(1).
        """
        self.cmd_put += count
        raise JobTooBigError(size, limit)

    # Putting over the wire, where a job is known before its body has arrived

    def begin_put(
        self,
        now: float,
        session: Session,
        body: Any,
        priority: int,
        delay: float,
        ttr: float,
    ) -> Record:
        """Take an id for a job whose body is still to come; it is INVALID till then.

        It can be peeked at, and nothing else. A session that uses a tube has at most
        one such job, in that tube. Cost: O(1).
        """
        self.cmd_put += 1
        session.is_producer = True
        job_id = next(self.ids)
        record = new_record(job_id, body, session.used, priority, delay, ttr, now)
        record.state = JobState.INVALID
        self.jobs[record.id] = record
        session.incoming = record
        return record

    def finish_put(self, now: float, session: Session, body: Any) -> int:
        """Put the session's half-received job, now that its body is there.

        It does not wait for room: whoever waits over the wire is not heard meanwhile.

        Raises:
            DrainingError: The broker is draining. The id is spent, as it is below.
            TubeFullError: The tube has no room, as for the server, whose disk is full
                (walresvput in enqueue_incoming_job).

        Cost: that of `put`.
        """
        record = session.incoming
        assert record is not None  # it was begun
        tube: Tube = record.tube
        if self.draining:
            self.abort_put(now, session)
            raise DrainingError
        if tube.room is not None and not tube.room.takes(1):
            self.abort_put(now, session)
            raise TubeFullError(tube.name, tube.room.maxsize)
        session.incoming = None
        record.body = body
        tube.total_jobs += 1
        if record.delay:
            self._delay(now, record)
        else:
            self._make_ready(now, record)
        return record.id

    def abort_put(self, _now: float, session: Session) -> None:
        """Forget the session's half-received job, if any; its id is spent. Cost: O(1)."""
        if session.incoming is not None:
            del self.jobs[session.incoming.id]
            session.incoming = None

    # Reserving

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

    def reserve_many(
        self, now: float, session: Session, n: int, timeout: float | None
    ) -> list[Record]:
        """Take up to ``n`` jobs as so many times `reserve` would.

        Each counts as a reserve; where there is none, none is counted. ``n`` is 0 for
        who wanted one, and has been given it while it waited.

        Cost: O(log n) for each.
        """
        session.is_worker = True
        only = session.only
        records: list[Record] = []
        if only is None:
            selection = session.selection or self._select(session)
            while len(records) < n and (tube := selection.best()) is not None:
                record = tube.pop_ready()
                self._reserve(now, record, session)
                records.append(record)
        elif n and only.ready and not only.paused_until:
            records = only.pop_many(n)
            self._reserve_all(now, records, session)
        if timeout is None:
            self.cmd_reserve += len(records)
        else:
            self.cmd_reserve_with_timeout += len(records)
        return records

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

    # What one does with a job. ``fence``, if it is given, is the number of the
    # reservation that the caller's handle was made for.

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

        Cost: O(1) amortised for a held or a ready job, else O(log n).
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
        record.releases += 1
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
        record.buries += 1
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
        elif held or (record.expired is not None and fence in record.expired):
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
        record.kicks += 1
        self._make_ready(now, record)
