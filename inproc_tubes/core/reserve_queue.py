"""The reserves that wait, and where each of them waits.

A session that watches one tube looks for a job there, and waits there. One that watches
several does so in a `WatchSet`, which it shares with all that watch the same tubes. A
watch set is made when it is first needed, so that a list of many tubes may be built up
one by one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .tube import Tube, TubeList
from .watch_set import WatchSet

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .requests import ReserveRequest
    from .session import Session

__all__ = ["ReserveQueue"]


class ReserveQueue:
    """All pending reserves of one engine.

    Attributes:
        requests: {ticket: request}, longest waiting first.
    """

    __slots__ = ("_watch_sets", "requests")

    def __init__(self) -> None:
        self.requests: dict[int, ReserveRequest] = {}
        self._watch_sets: dict[frozenset[str], WatchSet[Tube]] = {}

    def first_for(self, tube: Tube) -> ReserveRequest | None:
        """Return the reserve that has waited longest for a job of this tube.

        None also where the tube is paused. Cost: O(number of watch sets it is in).
        """
        if not (tube.tickets or tube.watch_sets) or tube.paused_until:
            return None
        ticket = tube.first_ticket
        return None if ticket is None else self.requests[ticket]

    def add(self, request: ReserveRequest) -> None:
        """Let a reserve that has its ticket wait. Cost: O(1) mostly."""
        session = request.session
        self.requests[request.ticket] = request
        session.tickets[request.ticket] = None
        self._place(session).tickets[request.ticket] = None
        if session.only is not None:
            session.only.is_plain = False

    def remove(self, request: ReserveRequest) -> None:
        """Let a reserve wait no longer. Cost: O(1)."""
        session = request.session
        place = session.only or session.watch_set
        if place is not None:
            place.tickets.pop(request.ticket, None)
        if session.only is not None:
            session.only.settle()
        session.tickets.pop(request.ticket, None)
        del self.requests[request.ticket]

    def warns(self, session: Session) -> bool:
        """Tell whether a request of the session is to be told DEADLINE_SOON.

        Cost: O(number of its requests).
        """
        return any(self.requests[t].told_of_deadlines for t in session.tickets)

    def best_tube(self, session: Session) -> Tube | None:
        """Return the tube that serves a session next, None without any.

        For a session that watches several. Cost: O(log n) amortised.
        """
        return (session.watch_set or self._join_watch_set(session)).best()

    # Watching

    def watch(self, session: Session, tube: Tube) -> None:
        """Let a session watch one more tube. Cost: O(1); see `unwatch` if it waits."""
        self.leave_place(session)
        session.watched.append(tube)
        tube.watching += 1
        self._find_place(session)

    def unwatch(self, session: Session, tube: Tube) -> None:
        """Let a session not watch a tube.

        Cost: O(number of watched tubes); O(n log n) for n that wait in the same place if
        the session waits.
        """
        self.leave_place(session)
        session.watched.remove(tube)
        tube.watching -= 1
        self._find_place(session)

    def leave_place(self, session: Session) -> None:
        """Let a session look nowhere, and wait nowhere. Cost: as `unwatch`."""
        if session.tickets:
            tickets = self._place(session).tickets
            for ticket in session.tickets:
                del tickets[ticket]
        if session.only is not None:
            session.only.settle()
        session.only = None
        watch_set = session.watch_set
        if watch_set is not None:
            session.watch_set = None
            watch_set.users -= 1
            if not watch_set.users:
                del self._watch_sets[frozenset(watch_set.tubes)]
                for tube in watch_set.tubes.values():
                    del tube.watch_sets[watch_set]
                    tube.settle()

    def _find_place(self, session: Session) -> None:
        """Let a session look where its tubes say, and wait there."""
        if len(session.watched) == 1:
            session.only = session.watched[0]
        if session.tickets:
            tickets = self._place(session).tickets
            tickets.update(session.tickets)
            for ticket in sorted(tickets):
                tickets.move_to_end(ticket)
        if session.only is not None:
            session.only.settle()

    def _place(self, session: Session) -> Tube | WatchSet[Tube]:
        return session.only or session.watch_set or self._join_watch_set(session)

    def _join_watch_set(self, session: Session) -> WatchSet[Tube]:
        names = frozenset(tube.name for tube in session.watched)
        watch_set = self._watch_sets.get(names)
        if watch_set is None:
            self._watch_sets[names] = watch_set = WatchSet(session.watched)
            for tube in session.watched:
                tube.watch_sets[watch_set] = None
                tube.is_plain = False
        watch_set.users += 1
        session.watch_set = watch_set
        return watch_set

    # Recovery

    def rebuild(self, tubes: Iterable[Tube], sessions: Iterable[Session]) -> None:
        """Let all sessions watch, and all requests wait, anew. Cost: O(n)."""
        self._watch_sets.clear()
        for tube in tubes:
            tube.tickets.clear()
            tube.watch_sets.clear()
            tube.using = tube.watching = 0
        for session in sessions:
            session.tickets.clear()
            session.watched = TubeList(session.watched)
            session.only = session.watched[0] if len(session.watched) == 1 else None
            session.watch_set = None
            if session.used is not None:
                session.used.using += 1
            for tube in session.watched:
                tube.watching += 1
        for request in self.requests.values():
            self.add(request)

    def _check(self, tubes: Iterable[Tube], sessions: list[Session]) -> None:
        # A watch set is there because sessions share it.
        shared = [s.watch_set for s in sessions if s.watch_set is not None]
        assert set(self._watch_sets.values()) == set(shared)
        for names, watch_set in self._watch_sets.items():
            assert watch_set.tubes.keys() == names
            assert watch_set.users == shared.count(watch_set)
            watch_set._check()
        for tube in tubes:
            assert set(tube.watch_sets) == {w for w in shared if tube.name in w.tubes}
            watchers = [s for s in sessions if tube in s.watched]
            assert tube.watching == len(watchers)
            assert tube.using == sum(s.used is tube for s in sessions)
            # Whoever watches it waits in it, the longest waiting first.
            waiting = list(tube.tickets)
            for watch_set in tube.watch_sets:
                waiting += watch_set.tickets
            assert sorted(waiting) == sorted(t for s in watchers for t in s.tickets)
            assert list(tube.tickets) == sorted(tube.tickets)
            # No ready job is kept from a request.
            assert not waiting or not len(tube.ready) or tube.paused_until
        for session in sessions:
            watched = session.watched
            assert session.only is (watched[0] if len(watched) == 1 else None)
            for ticket in session.tickets:
                assert self.requests[ticket].session is session
        assert list(self.requests) == sorted(self.requests)
        assert sum(len(s.tickets) for s in sessions) == len(self.requests)
