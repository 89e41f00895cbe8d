"""Which session watches what, and where it looks for a job and waits for one.

A session that watches one tube looks there; one that watches several shares a
`Selection` with all that watch the same. A selection is made when it is first
needed, so that a list of many tubes may be built up one by one.

These are steps for `engine.Engine`, under the rules printed there.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from .ledger import Ledger
from .selection import Selection

if TYPE_CHECKING:
    from .session import Session
    from .tube import Tube
    from .waiting import Pending, Waiter

__all__ = ["Watching"]


class Watching(Ledger):
    """The tubes that sessions watch."""

    def _watch(self, session: Session, tube: Tube) -> None:
        """Add a tube that the session does not watch yet."""
        self._leave_place(session)
        session.watched.append(tube)
        tube.watching += 1
        self._find_place(session)

    def _unwatch(self, session: Session, tube: Tube) -> None:
        """Drop a tube that the session watches."""
        self._leave_place(session)
        session.watched.remove(tube)
        tube.watching -= 1
        self._find_place(session)

    def _leave_place(self, session: Session) -> None:
        """Look nowhere, until `_find_place`."""
        for ticket in session.waiters:
            del self._place(session).waiters[ticket]
        session.only = None
        selection = session.selection
        if selection is not None:
            session.selection = None
            selection.users -= 1
            if not selection.users:
                del self._selections[selection.tubes]
                for tube in selection.tubes:
                    del tube.selections[selection]

    def _find_place(self, session: Session) -> None:
        """Look where the watched tubes say, and wait there."""
        if len(session.watched) == 1:
            session.only = session.watched[0]
        if session.waiters:
            waiters = self._place(session).waiters
            waiters.update(session.waiters)
            for ticket in sorted(waiters):
                waiters.move_to_end(ticket)

    def _place(self, session: Session) -> Tube | Selection:
        """Return where the session waits. Cost: O(1), but for a new selection."""
        return session.only or session.selection or self._select(session)

    def _select(self, session: Session) -> Selection:
        """Let the session share the selection of its tubes.

        Cost: O(number of watched tubes).
        """
        tubes = frozenset(session.watched)
        selection = self._selections.get(tubes)
        if selection is None:
            self._selections[tubes] = selection = Selection(tubes)
            for tube in tubes:
                tube.selections[selection] = None
        selection.users += 1
        session.selection = selection
        return selection

    def _enter(self, now: float, waiter: Waiter) -> None:
        """Let a waiter wait where its session looks."""
        self._plan_timeout(now, waiter)
        self.waiting += 1
        session = waiter.session
        place = session.only or session.selection or self._select(session)
        session.waiters[waiter.ticket] = place.waiters[waiter.ticket] = waiter

    def _plan_timeout(self, now: float, waiter: Pending) -> None:
        """Give a waiter its number, and note when its timeout passes."""
        self._tickets += 1
        waiter.ticket = self._tickets
        if waiter.timeout != inf:
            waiter.timeout_at = now + waiter.timeout
            self._timeouts.plan(waiter, waiter.timeout_at)
            self.due_at = min(self.due_at, waiter.timeout_at)

    def _dismiss(self, waiter: Waiter) -> None:
        """Let a waiter wait no longer."""
        self.waiting -= 1
        session = waiter.session
        del session.waiters[waiter.ticket]
        # An interruption may have kept it from coming so far.
        (session.only or session.selection).waiters.pop(waiter.ticket, None)
        if waiter.timeout != inf:
            self._timeouts.forget(waiter)
