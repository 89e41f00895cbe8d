"""What falls due when: delays and pauses, reservations, and the timeouts of requests.

Every entry is a lower bound, as in any `TimerQueue`. So is ``due_at``, which a shell
compares with the clock before each verb.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, TypeAlias

from .limits import SAFETY_MARGIN
from .timers import TimerQueue
from .turn import ALARM

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable, Iterable

    from .record import AnyJob
    from .requests import JoinRequest, PutRequest, ReserveRequest, ResultRequest
    from .session import Session
    from .tube import Tube

__all__ = ["AnyRequest", "Schedule"]

AnyRequest: TypeAlias = "ReserveRequest | PutRequest | JoinRequest | ResultRequest"


class Schedule:
    """The timers of one engine.

    Attributes:
        due_at: Nothing is due before this moment; -inf where every verb is to call
            `Engine.catch_up`.
        armed_for: Until when those sleep who keep the time, as the shell has set it. If
            something is due sooner, an `ALARM` is left for it in ``Turn.after``. But not
            where a request begins to wait: there the shell looks itself, since the one
            that waits may keep the time.
    """

    __slots__ = (
        "_after",
        "_requests",
        "_sessions",
        "_tickets",
        "_tubes",
        "armed_for",
        "due_at",
    )

    def __init__(self, after: deque[object]) -> None:
        self._after = after  # that of the turn
        self.due_at: float = inf
        self.armed_for: float = -inf
        self._tickets = 0  # given to requests
        self._tubes: TimerQueue[Tube] = TimerQueue()
        self._sessions: TimerQueue[Session] = TimerQueue()
        self._requests: TimerQueue[AnyRequest] = TimerQueue()

    def expect(self, moment: float) -> None:
        """Note that something is due then. Cost: O(1)."""
        if moment < self.due_at:
            self.due_at = moment
            if moment < self.armed_for:
                self._after.append(ALARM)

    def plan_tube(self, tube: Tube, moment: float) -> None:
        """Look at a tube at that moment: a delay or a pause is over. Cost: O(log n)."""
        self._tubes.plan(tube, moment)
        self.expect(moment)

    def plan_deadline(self, session: Session, job: AnyJob) -> None:
        """Look at a session when its new reservation ends. Cost: O(log n)."""
        margin = SAFETY_MARGIN if session.tickets else 0
        moment = job._due_at - margin
        if moment < session.planned_at:
            session.planned_at = moment
            self._sessions.plan(session, moment)
            self.expect(moment)

    def replan(self, session: Session, *, warns: bool) -> None:
        """Look at a session when the first of its reservations ends. No alarm.

        Args:
            session: The session.
            warns: Whether one of its requests is to be told DEADLINE_SOON.

        Cost: O(log n).
        """
        soonest = session.held.soonest()
        if soonest is not None:
            moment = soonest._due_at
            if warns and (untold := session.held.soonest_untold()) is not None:
                moment = min(moment, untold._due_at - SAFETY_MARGIN)
            if moment < session.planned_at:
                session.planned_at = moment
                self._sessions.plan(session, moment)
                self.due_at = min(self.due_at, moment)

    def enter(self, now: float, request: AnyRequest) -> None:
        """Give a request its ticket, and plan its timeout. No alarm.

        Cost: O(log n) with a timeout, else O(1).
        """
        self._tickets += 1
        request.ticket = self._tickets
        if request.timeout != inf:
            request.timeout_at = now + request.timeout
            self._requests.plan(request, request.timeout_at)
            self.due_at = min(self.due_at, request.timeout_at)

    def leave(self, request: AnyRequest) -> None:
        """Forget the timeout of a request. Cost: O(log n) with a timeout, else O(1)."""
        if request.timeout != inf:
            self._requests.forget(request)

    def forget_tube(self, tube: Tube) -> None:
        """Do not look at a tube that is gone. Cost: O(log n)."""
        self._tubes.forget(tube)

    def forget_session(self, session: Session) -> None:
        """Do not look at a session that is closed. Cost: O(log n)."""
        self._sessions.forget(session)

    # What is due

    def take_tubes(self, now: float) -> list[Tube]:
        """Return the tubes to be looked at by now. Cost: O(log n) for each."""
        return self._tubes.take(now)

    def take_sessions(self, moment: float) -> list[Session]:
        """Return the sessions to be looked at by then. Cost: O(log n) for each."""
        sessions = self._sessions.take(moment)
        for session in sessions:
            session.planned_at = inf
        return sessions

    def take_requests(self, moment: float) -> list[AnyRequest]:
        """Return the requests whose timeout has passed by then.

        Those of puts come first: a put that gives up may make way for a job that a
        reserve waits for, and both for the end that a join waits for.

        Cost: O(log n) for each.
        """
        return sorted(self._requests.take(moment), key=_rank_of)

    @property
    def first_of_clients(self) -> float:
        """When the first session or request is to be looked at. Cost: O(1)."""
        return min(self._sessions.first()[0], self._requests.first()[0])

    def settle(self) -> None:
        """Set ``due_at``, after all that was due was carried out. Cost: O(1)."""
        self.due_at = min(self._tubes.first()[0], self.first_of_clients)
        if self.due_at < self.armed_for:
            self._after.append(ALARM)  # the leader has changed meanwhile

    def next_due(self, warns: Callable[[Session], bool]) -> float:
        """Return the next moment at which something happens, inf for never.

        The timers are corrected on the way, so that it is the exact moment.

        Args:
            warns: Tells whether a session has a request to be told DEADLINE_SOON.

        Cost: O(log n), amortised.
        """
        moment, tube = self._tubes.first()
        while tube is not None and tube.due_at > moment:
            self._tubes.forget(tube)
            if tube.due_at != inf:
                self._tubes.plan(tube, tube.due_at)
            moment, tube = self._tubes.first()
        moment, session = self._sessions.first()
        while session is not None:
            self._sessions.forget(session)
            session.planned_at = inf
            self.replan(session, warns=warns(session))
            if session.planned_at == moment:
                break
            moment, session = self._sessions.first()
        self.settle()
        return self.due_at

    # Recovery

    def rebuild(
        self,
        tubes: Iterable[Tube],
        sessions: Iterable[tuple[Session, bool]],
        requests: Iterable[AnyRequest],
    ) -> None:
        """Make all timers anew. Cost: O(n log n)."""
        self._tubes.clear()
        self._sessions.clear()
        self._requests.clear()
        for tube in tubes:
            if tube.due_at != inf:
                self._tubes.plan(tube, tube.due_at)
        for session, warns in sessions:
            session.planned_at = inf
            self.replan(session, warns=warns)
        for request in requests:
            if request.timeout != inf:
                self._requests.plan(request, request.timeout_at)
        self.settle()

    def _check(
        self,
        tubes: Iterable[Tube],
        sessions: Iterable[Session],
        requests: Iterable[AnyRequest],
    ) -> None:
        for timers in (self._tubes, self._sessions, self._requests):
            timers._check()
        # Nothing is looked at that is gone.
        tubes, sessions, requests = list(tubes), list(sessions), list(requests)
        assert len(self._tubes) == sum(tube in self._tubes for tube in tubes)
        assert len(self._sessions) == sum(one in self._sessions for one in sessions)
        for tube in tubes:
            assert self.due_at <= tube.due_at
        for session in sessions:
            for job in session.held.in_sequence():
                assert self.due_at <= session.planned_at <= job._due_at
        for request in requests:
            assert self.due_at <= request.timeout_at
            assert (request in self._requests) == (request.timeout != inf)
        assert len(self._requests) == sum(r.timeout != inf for r in requests)


def _rank_of(request: AnyRequest) -> int:
    return request.rank
