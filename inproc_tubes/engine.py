"""The rules of the queue: a pure function of its state and of the ``now`` it is given.

It decides who gets which job, and when, and what everybody who waits is told. It is
built up in layers, each of which knows those before it: what there is (`ledger`), who
watches what (`watching`), the steps from state to state and in time (`moves`), then the
verbs by their subjects (`batches`, `admission`, `clearing`, `putting`, `reserving`,
`settling`), and here, on top, those of clients and tubes. The rules that all of them
obey:

1.  Every change of a job's state happens in one of them.
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

from math import inf
from typing import TYPE_CHECKING

from .errors import (
    ClosedError,
    NotFoundError,
    NotIgnoredError,
    TubesError,
)
from .moves import SAFETY_MARGIN
from .session import Session
from .settling import Settling
from .tube import Listing

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .tube import Tube

__all__ = ["SAFETY_MARGIN", "Engine"]


class Engine(Settling):
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
