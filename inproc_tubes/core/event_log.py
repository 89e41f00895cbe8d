"""The log of an engine: the events that nobody was told of yet.

An engine has one from when somebody subscribes (``Turn.log``); before that it is None.

Strategy
    An event is recorded in the turn in which it happens, for each subscriber that wants
    its kind, right after the step that makes it true. So an event that is recorded has
    happened, but for a reservation that a turn which is broken off has begun: recovery
    takes that back, and its event as well. The mark `EVENTS` in ``Turn.after`` has the
    shell tell them, in this order, when the lock is free.

    Each event comes with a copy of the context of its turn, see `contextvars`: whoever is
    told by another thread sees the request id of the thread whose verb it was.
"""

from __future__ import annotations

from collections import deque
from contextvars import Context, copy_context
from enum import Enum
from typing import TYPE_CHECKING, Final, Literal, Protocol

from .event import Event, EventKind, with_body
from .making import holder_of

if TYPE_CHECKING:
    from typing import TypeAlias

    from .failure import JobError
    from .limits import Seconds
    from .record import AnyJob
    from .session import Session

    # Who is told, of what, in which context, and what it is about.
    Entry: TypeAlias = "tuple[Subscriber, Event, Context, object]"

__all__ = ["EVENTS", "EventLog", "Subscriber"]


class _Mark(Enum):
    """What `Turn.after` is told by."""

    EVENTS = "somebody is to be told of events"


EVENTS: Final[Literal[_Mark.EVENTS]] = _Mark.EVENTS
"""In ``Turn.after``: somebody is to be told of the events in the log."""


class Subscriber(Protocol):
    """Who is told of events."""

    @property
    def kinds(self) -> frozenset[EventKind]:
        """Of which."""

    @property
    def bodies(self) -> bool:
        """Whether it is shown the bodies of jobs."""

    def _take(self, event: Event) -> None:
        """Be told of an event. Without the lock: this is user's code."""


class EventLog:
    """The subscribers, and the events that they are still to be told of.

    Attributes:
        pending: Those events, in the order in which they happened.
        subscribers: Whom they are recorded for. Replaced, and never changed.
    """

    __slots__ = ("_after", "pending", "subscribers")

    def __init__(self, after: deque[object]) -> None:
        self._after = after  # that of the turn
        self.pending: deque[Entry] = deque()
        self.subscribers: list[Subscriber] = []

    # What happens to jobs

    def put(self, now: float, job: AnyJob) -> None:
        """Record that a job was put. Cost, as of all others: O(number of subscribers)."""
        self._record(EventKind.PUT, now, job, delay=job._delay)

    def ready(self, now: float, job: AnyJob) -> None:
        """Record that the delay of a job is over."""
        self._record(EventKind.READY, now, job)

    def reserved(self, now: float, job: AnyJob) -> None:
        """Record that a job was reserved."""
        self._record(EventKind.RESERVED, now, job, is_held=True)

    def touched(self, now: float, job: AnyJob) -> None:
        """Record that a job was touched."""
        self._record(EventKind.TOUCHED, now, job, is_held=True, ends=True)

    def released(
        self,
        now: float,
        job: AnyJob,
        delay: Seconds,
        has_failed: bool,  # noqa: FBT001 - the core passes arguments by position
    ) -> None:
        """Record that a job, which has no place yet, was released."""
        self._record(
            EventKind.RELEASED,
            now,
            job,
            is_held=True,
            ends=True,
            delay=delay,
            error=job._history.error if has_failed else None,
        )

    def timed_out(self, now: float, job: AnyJob) -> None:
        """Record that a reservation of a job, which has no place yet, has expired."""
        self._record(EventKind.TIMED_OUT, now, job, is_held=True, ends=True)

    def returned(self, now: float, job: AnyJob) -> None:
        """Record that a job, which has no place yet, has come back by itself."""
        self._record(EventKind.RETURNED, now, job, is_held=True, ends=True)

    def buried(
        self,
        now: float,
        job: AnyJob,
        has_failed: bool,  # noqa: FBT001 - as above
        was_held: bool,  # noqa: FBT001 - as above
    ) -> None:
        """Record that a job was buried, maybe as it has just failed."""
        error = job._history.error if has_failed else None
        self._record(
            EventKind.BURIED, now, job, is_held=was_held, ends=was_held, error=error
        )

    def kicked(self, now: float, job: AnyJob) -> None:
        """Record that a job, which has no place yet, was kicked."""
        self._record(EventKind.KICKED, now, job)

    def moved(self, now: float, job: AnyJob, source: str) -> None:
        """Record that a job has come from another tube."""
        self._record(EventKind.MOVED, now, job, source=source)

    def updated(self, now: float, job: AnyJob, delay: Seconds | None) -> None:
        """Record that a job has another priority or delay."""
        self._record(EventKind.UPDATED, now, job, delay=delay)

    def deleted(
        self,
        now: float,
        job: AnyJob,
        was_held: bool,  # noqa: FBT001 - as above
    ) -> None:
        """Record that a job was deleted."""
        self._record(EventKind.DELETED, now, job, is_held=was_held, ends=was_held)

    def cancelled(
        self,
        now: float,
        job: AnyJob,
        was_held: bool,  # noqa: FBT001 - as above
    ) -> None:
        """Record that a job was cancelled."""
        self._record(EventKind.CANCELLED, now, job, is_held=was_held, ends=was_held)

    def expired(self, now: float, job: AnyJob) -> None:
        """Record that the life of a job has ended."""
        self._record(EventKind.EXPIRED, now, job)

    # What happens to all else

    def tube_paused(self, now: float, tube: str, delay: Seconds) -> None:
        """Record that a tube was paused."""
        self._add(Event(kind=EventKind.TUBE_PAUSED, at=now, tube=tube, delay=delay))

    def tube_resumed(self, now: float, tube: str) -> None:
        """Record that the pause of a tube is over."""
        self._add(Event(kind=EventKind.TUBE_RESUMED, at=now, tube=tube))

    def tube_limited(self, now: float, tube: str, limit: int) -> None:
        """Record that a tube has another limit."""
        self._add(Event(kind=EventKind.TUBE_LIMITED, at=now, tube=tube, limit=limit))

    def opened(self, now: float, session: Session) -> None:
        """Record that a session was opened, if it is a consumer's."""
        if session.is_consumer:
            kind = EventKind.CONSUMER_OPENED
            self._add(Event(kind=kind, at=now, consumer=session.name), session)

    def closed(self, now: float, session: Session) -> None:
        """Record that a session is no client any more, if it was a consumer's."""
        if session.is_consumer:
            kind = EventKind.CONSUMER_CLOSED
            self._add(Event(kind=kind, at=now, consumer=session.name), session)

    def end(self, now: float) -> None:
        """Record that the broker was closed."""
        self._add(Event(kind=EventKind.CLOSED, at=now))

    # Recovery

    def take_back(self, subject: object, tries: int | None = None) -> None:
        """Forget the beginning of a session, or of this reservation of a job.

        It was recorded in a turn that was broken off, and of which that part has never
        been. A job stands here as its id. Cost: O(number of events).
        """
        begins = (EventKind.RESERVED, EventKind.CONSUMER_OPENED)
        self.pending = deque(
            entry
            for entry in self.pending
            if entry[3] != subject
            or entry[1].kind not in begins
            or entry[1].tries != tries
        )

    def recovered(self, now: float) -> None:
        """Record that a turn was broken off, and all is well again."""
        self._add(Event(kind=EventKind.RECOVERED, at=now))

    def _record(
        self,
        kind: EventKind,
        now: float,
        job: AnyJob,
        is_held: bool = False,  # noqa: FBT001, FBT002 - as above
        ends: bool = False,  # noqa: FBT001, FBT002 - as above
        delay: Seconds | None = None,
        error: JobError | None = None,
        source: str | None = None,
    ) -> None:
        """Record what has happened to a job, if anybody wants to know."""
        for subscriber in self.subscribers:
            if kind in subscriber.kinds:
                break
        else:
            return
        age = max(0.0, now - job._created_at)
        waited = None
        if kind is EventKind.RESERVED and job._reserves == 1:
            waited = max(0.0, age - job._delay)
        holder = holder_of(job) if is_held else None
        self._add(
            Event(
                kind=kind,
                at=now,
                tube=job._tube,
                job_id=job._id,
                tries=job._reserves,
                age=age,
                waited=waited,
                held=max(0.0, now - job._reserved_at()) if ends else None,
                consumer=None if holder is None else holder._name,
                priority=job._priority,
                delay=delay,
                source=source,
                error=error,
            ),
            job._id,
            job,
        )

    def _add(
        self, event: Event, subject: object = None, job: AnyJob | None = None
    ) -> None:
        """Enter an event for each who wants it."""
        context = copy_context()
        for subscriber in self.subscribers:
            if event.kind in subscriber.kinds:
                shown = event
                if job is not None and subscriber.bodies:
                    shown = with_body(event, job._body)
                self.pending.append((subscriber, shown, context, subject))
        if self.pending and not (self._after and self._after[-1] is EVENTS):
            self._after.append(EVENTS)
