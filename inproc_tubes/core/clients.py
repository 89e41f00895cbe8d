"""The clients: how each session begins and ends, what it uses and watches, and loses."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast
from weakref import ref

from inproc_tubes.errors import (
    ClosedError,
    NotFoundReason,
    NotIgnoredError,
    StoppedError,
)

from .making import holder_of, renewed
from .reasons import is_of_another, why_not
from .record import JobState
from .session import Session

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .dispatcher import Dispatcher
    from .limits import JobId
    from .record import AnyJob
    from .tube import Tube

__all__ = ["Clients"]


class Clients:
    """All sessions of one engine.

    Attributes:
        sessions: Those that are open, in the order of opening.
    """

    __slots__ = ("_abandoned", "_dispatch", "sessions")

    def __init__(self, dispatch: Dispatcher) -> None:
        self._dispatch = dispatch
        self.sessions: dict[Session, None] = {}
        # Sessions whose handle was dropped while their user had jobs in hand.
        self._abandoned: dict[Session, None] = {}

    def everyone(self) -> list[Session]:
        """Return all sessions that may hold a job.

        Cost: O(number of sessions).
        """
        for session in list(self._abandoned):
            if not session.is_abandoned:
                del self._abandoned[session]
        return list(dict.fromkeys((*self.sessions, *self._abandoned)))

    def open(self, used: str | None, watched: Iterable[str]) -> Session:
        """Add a client. Cost: O(number of tubes)."""
        session = Session()
        if used is not None:
            session.used = self._dispatch.store.tube(used)
            session.used.using += 1
        for name in watched:
            session.is_consumer = True
            self._watch_one(session, name)
        self._dispatch.counts.total_sessions += 1
        self._dispatch.turn.unfinished = session
        self.sessions[session] = None  # from here on it is open
        return session

    def use(self, _now: float, session: Session, name: str) -> None:
        """Put into this tube from now on. Cost: O(1)."""
        dispatch = self._dispatch
        if session.closed is not None:
            dispatch.turn.refuse_closed(session)
        dispatch.counts.use += 1
        tube = dispatch.store.tube(name)
        before, session.used = session.used, tube
        tube.using += 1
        if before is not None:
            before.using -= 1
            dispatch.free_if_unreferenced(before)

    def watch(self, now: float, session: Session, names: Iterable[str]) -> int:
        """Reserve from these tubes too; a reserve that waits is served at once.

        Cost: O(number of names); for each, that of `ignore` if the session waits.
        """
        dispatch = self._dispatch
        dispatch.turn.refuse_if_stopped(session)
        for name in names:
            dispatch.counts.watch += 1
            dispatch.serve(now, self._watch_one(session, name))
        return len(session.watched)

    def ignore(self, _now: float, session: Session, name: str) -> int:
        """Reserve from this tube no longer; NOT_IGNORED only for the last one.

        A tube that is not watched, or does not exist, is no error (OP_IGNORE).

        Cost: O(number of watched tubes); O(n log n) for n that wait for the same tubes
        if the session waits.
        """
        dispatch = self._dispatch
        dispatch.turn.refuse_if_stopped(session)
        dispatch.counts.ignore += 1
        tube = dispatch.tubes.get(name)
        if tube is not None and tube in session.watched:
            if len(session.watched) == 1:
                dispatch.turn.refuse(NotIgnoredError(name))
            dispatch.queue.unwatch(session, tube)
            dispatch.free_if_unreferenced(tube)
        return len(session.watched)

    def _watch_one(self, session: Session, name: str) -> Tube:
        """Let a session watch this tube, if it does not yet. Cost: O(1)."""
        tube = self._dispatch.store.tube(name)
        if tube not in session.watched:
            self._dispatch.queue.watch(session, tube)
        return tube

    def stop_session(self, _now: float, session: Session, what: str) -> None:
        """Let a client reserve no more; what it holds stays its own.

        Its reserves that wait are answered, and it watches nothing.

        Cost: O(log n) for each reserve that waits, and O(1) for each tube.
        """
        if session.stopped is None and session.closed is None:
            session.stopped = what
            self.finish_stopping(session)

    def finish_stopping(self, session: Session) -> None:
        """Carry out what `stop_session` has begun. Cost: as there."""
        what = session.stopped
        assert what is not None  # `stop_session` has set it
        dispatch = self._dispatch
        for ticket in list(session.tickets):
            dispatch.answer(dispatch.queue.requests[ticket], StoppedError(what))
        self._watch_nothing(session)

    def close_session(self, now: float, session: Session, what: str) -> None:
        """End a client: its requests are answered, its jobs are ready again.

        In the order of connclose (conn.c): each job in the order in which it was
        reserved, each offered to the waiting reserves at once. No counter of a job
        moves.

        Cost: O(log n) for each job and tube.
        """
        if session.closed is None:
            session.closed = what
            self.finish_closing(now, session)

    def finish_closing(self, now: float, session: Session) -> None:
        """Carry out what `close_session` has begun. Cost: as there."""
        what = session.closed
        assert what is not None  # `close_session` has set it
        dispatch = self._dispatch
        for ticket in list(session.tickets):
            dispatch.answer(dispatch.queue.requests[ticket], ClosedError(what))
        puts = [dispatch.admission.puts[ticket] for ticket in session.puts]
        dispatch.refuse_puts(now, puts, lambda _: ClosedError(what))
        if session.incoming is not None:
            dispatch.jobs.pop(session.incoming._id, None)
            session.incoming = None
        for job in session.held.in_sequence():
            job._own_history().lost = True
            session.held.remove(job._id)
            if dispatch.turn.log is not None:
                dispatch.turn.log.returned(now, job)
            dispatch.make_ready(now, job)
        self._leave(now, session)

    def _watch_nothing(self, session: Session) -> None:
        dispatch = self._dispatch
        dispatch.queue.leave_place(session)
        for tube in list(session.watched):
            session.watched.remove(tube)
            tube.watching -= 1
            dispatch.free_if_unreferenced(tube)

    def _leave(self, now: float, session: Session) -> None:
        """Let a session use and watch nothing, and be no client any more."""
        dispatch = self._dispatch
        if hasattr(session, "holder"):
            del session.holder  # which refers to it, and to the monitor
        self._watch_nothing(session)
        used, session.used = session.used, None
        if used is not None:
            used.using -= 1
            dispatch.free_if_unreferenced(used)
        if session in self.sessions:
            counts = dispatch.counts
            counts.other_reserves += session.cmd_reserve
            counts.other_reserves_with_timeout += session.cmd_reserve_with_timeout
            del self.sessions[session]
            if dispatch.turn.log is not None:
                dispatch.turn.log.closed(now, session)
        if not len(session.held):
            dispatch.schedule.forget_session(session)

    def abandon(self, now: float, session: Session, what: str) -> None:
        """End a client whose handle was dropped; jobs that its user has stay his.

        A job and its handle are one object, which the engine refers to as well. So each
        held job is replaced by a new object, to see whether anybody else refers to the
        old one. If so, the old one takes its place again, and the session lives on until
        that job is settled or expires.

        Cost: that of `close_session`.
        """
        dispatch = self._dispatch
        in_hand = []
        for job_id in [job._id for job in session.held.in_sequence()]:
            job = session.held.get(job_id)
            assert job is not None
            spare: AnyJob = renewed(job)
            spare._due_at = job._due_at
            spare._state = JobState.RESERVED
            probe = ref(job)
            session.held.replace(spare)
            dispatch.jobs[spare._id] = spare
            del job
            hand = probe()
            if hand is None:
                session.held.remove(spare._id)
                if dispatch.turn.log is not None:
                    dispatch.turn.log.returned(now, spare)
                dispatch.make_ready(now, spare)
            else:
                session.held.replace(hand)
                dispatch.jobs[hand._id] = hand
                in_hand.append(hand)
        if not in_hand:
            self.close_session(now, session, what)
            return
        session.held.rebuild(in_hand)
        session.is_abandoned = True
        self._abandoned[session] = None
        dispatch.schedule.replan(session, warns=False)
        self._leave(now, session)

    def cancel_job(self, now: float, job_id: JobId, handle: AnyJob | None) -> AnyJob:
        """End a job, whoever holds it; return it.

        A handle stands for its job here, whoever has reserved that since. For its holder
        the job is lost. In statistics this counts as a delete.

        Cost: O(1) amortised.
        """
        dispatch = self._dispatch
        store = dispatch.store
        job = store.jobs.get(job_id)
        if (
            job is None
            or job._state is JobState.INVALID
            or is_of_another(store, handle)
        ):
            dispatch.turn.refuse(why_not(store, now, job_id, handle))
        holder = holder_of(job) if job._state is JobState.RESERVED else None
        if holder is None:
            store.leave(job)
        else:
            # Where this is broken off before the job is deleted, that is taken back.
            history = job._own_history()
            history.lost = history.cancelled = True
        store.gone.remember(job_id, NotFoundReason.CANCELLED)
        tube = store.delete(job)
        if dispatch.turn.log is not None:
            dispatch.turn.log.cancelled(now, job, holder is not None)
        if holder is not None:
            session = cast("Session", holder._session)
            session.held.remove(job_id)
            dispatch.drop_if_idle(session)
        dispatch.after_leaving(now, tube)
        return job

    def _check(self) -> None:
        for session in self.everyone():
            assert session.closed is None
            assert session.is_abandoned or session in self.sessions
            session.held._check()
            if session.incoming is not None:
                # Its body is still to come, in the tube that the session uses.
                assert self._dispatch.jobs[session.incoming._id] is session.incoming
                assert session.used is not None
                assert session.incoming._tube == session.used.name
