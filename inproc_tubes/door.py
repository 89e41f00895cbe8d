"""The door to a broker's engine: one lock, one clock, and who must be roused.

The law of the lock
    ``Door._lock`` guards the engine and the lots of those who sleep. It is taken
    for one *turn*: read the clock once, carry out what is due, do one verb, rouse
    who was answered. `Door._do` is such a turn, and every verb goes through it but
    for `Consumer.reserve`, `Consumer.reserve_many` and `Job.delete`, which write it
    out, because a call with ``*args`` would cost as much as the rest of them; and for
    `Producer.put`, which takes no turn where it can do without: it leaves its job in
    the engine's inbox, which every turn takes in before all else (`Engine.take_in`).

    It is never held while anybody sleeps or users' code runs, and it is not
    reentrant. So a finaliser, which the collector may run in the middle of a turn of
    the same thread, must not take it: it leaves a note (`Door._abandon`). A signal
    handler may run there just as well, and must not call the broker's verbs.
"""

from __future__ import annotations

import os
import weakref
from collections import deque
from contextlib import suppress
from math import inf
from threading import Lock, get_ident
from typing import TYPE_CHECKING, Any, Protocol

from .engine import Engine
from .errors import ClosedError, DrainingError
from .job import JobState
from .latch import crowd_latch, quick_latch
from .session import Session

if TYPE_CHECKING:
    from collections.abc import Iterable
    from threading import Condition

    from .clock import Clock
    from .errors import TubesError
    from .job import Record
    from .waiting import Pending

__all__ = ["Door", "Lot"]

_doors: weakref.WeakSet[Door] = weakref.WeakSet()


class Lot(Protocol):
    """Those who sleep in one way, one of whom keeps time for them all."""

    armed_for: float
    """Until when the keeper sleeps if nothing earlier comes up; -inf: no keeper."""

    def enter(self, door: Door, waiter: Pending) -> None:
        """Make the bed of a waiter that the engine has let wait."""

    def wake(self, door: Door, waiter: Pending) -> None:
        """Rouse a waiter that was answered; doing it twice does no harm."""

    def leave(self, door: Door, waiter: Pending) -> None:
        """Strike out a waiter that waits no longer; doing it twice does no harm."""

    def rearm(self, due_at: float) -> None:
        """Have the keeper look again: something is due before ``armed_for``."""

    def nudge(self) -> None:
        """Have the keeper take a turn; needs no lock, and takes none."""


class Door:
    """Lock, clock and engine of one broker."""

    __slots__ = (
        "__weakref__",
        "_admin",
        "_armed_for",
        "_clock",
        "_crowd_latch",
        "_engine",
        "_latch",
        "_lock",
        "_lots",
        "_notes",
        "_now",
        "_started_at",
        "_thread",
        "_waiting_changed",
    )

    def __init__(self, clock: Clock) -> None:
        self._set_lock()
        self._clock = clock
        self._now = clock.now
        self._engine = Engine()
        self._started_at = clock.now()
        # Whoever asks the broker itself: a client that is not counted, and neither
        # uses nor watches a tube.
        self._admin = Session()
        # (verb, arguments) that finalisers have left; the collector may append at
        # any time.
        self._notes: deque[tuple[Any, tuple[Any, ...]]] = deque()
        # Replaced and never changed: a finaliser may come while it is gone through.
        self._lots: tuple[Lot, ...] = ()
        # No less than the latest of the lots' armed_for: what is due earlier must be
        # told.
        self._armed_for = -inf
        # Made by testing.wait_until_waiting: announces that somebody waits.
        self._waiting_changed: Condition | None = None
        clock.attach(self)
        _doors.add(self)

    def _set_lock(self) -> None:
        self._lock = lock = Lock()
        self._thread = get_ident()
        self._latch = quick_latch(lock)
        self._crowd_latch = crowd_latch(lock)

    def _expect_a_crowd(self) -> None:
        """Take the latch for that, if another thread has come, or somebody waits.

        Not every turn asks: it is enough that every thread will sooner or later.
        """
        if get_ident() != self._thread or self._engine.all_waiting:
            self._latch = self._crowd_latch

    def _open(self, used: str | None, watched: Iterable[str]) -> Session:
        """Make a session for a handle."""
        self._expect_a_crowd()
        with self._lock:
            now = self._now()
            self._catch_up(now)
            return self._engine.open_session(now, used, watched)

    def _do(self, session: Session, verb: Any, *args: Any) -> Any:
        """Take a turn: carry out what is due, then ``verb(now, *args)``."""
        engine = self._engine
        with self._latch:
            now = self._now()
            if engine.inbox:
                engine.take_in(now)
            if now >= engine.due_at or self._notes:
                self._catch_up(now)
            if session.closed is not None:
                session.refuse()
            result = verb(now, *args)
            if engine.answered or engine.due_at < self._armed_for:
                self._rouse()
            return result

    def _attend(self, record: Record) -> None:
        """Take a turn for this job, which was left in the inbox.

        Raises:
            DrainingError: It came too late.
        """
        self._expect_a_crowd()
        engine = self._engine
        with self._latch:
            now = self._now()
            engine.take_in(now)
            if now >= engine.due_at or self._notes:
                self._catch_up(now)
            elif engine.answered or engine.due_at < self._armed_for:
                self._rouse()
        if record.state is JobState.INVALID:
            raise DrainingError

    def _begin_to_wait(
        self, session: Session, lot: Lot, waiter: Pending, verb: Any
    ) -> bool:
        """Take a turn with ``verb(now, waiter)``, after which the waiter waits.

        Or it has its outcome already, and has not been let wait: False.
        """
        engine = self._engine
        with self._lock:
            now = self._now()
            self._catch_up(now)
            if session.closed is not None:
                session.refuse()
            verb(now, waiter)
            waits = not waiter.answered
            if waits:
                lot.enter(self, waiter)
            if engine.answered or engine.due_at < self._armed_for:
                self._rouse()
            return waits

    def _give_up(self, lot: Lot, waiter: Pending) -> None:
        """Leave the queue as if that waiter had never asked: it was interrupted."""
        if not waiter.ticket and not waiter.answered:
            return  # it has been refused, or was told an error
        with self._lock:
            now = self._now()
            self._engine.take_in(now)  # lest a join that this put held up be over
            self._engine.withdraw(now, waiter)
            lot.leave(self, waiter)
            self._rouse()

    def _catch_up(self, now: float) -> None:
        """Do what finalisers have left to do, carry out what is due, and rouse."""
        self._take_notes()
        try:
            self._engine.take_in(now)
            self._engine.catch_up(now)
        finally:
            self._rouse()  # also if a note has closed the broker

    def _take_notes(self) -> None:
        # At the time before this turn's, as far as can be told: a dropped consumer
        # has lost nothing by expiry since.
        engine = self._engine
        while self._notes:
            verb, args = self._notes.popleft()
            if engine.closed is None:
                # First what a handle has put before it was dropped: it keeps a tube.
                engine.take_in(self._now())
                verb(self._now(), *args)

    def _rouse(self) -> None:
        """Wake whoever was answered, and each keeper that sleeps for too long.

        A waiter is struck out only after it was woken: if this is interrupted, the
        next turn goes on.
        """
        engine = self._engine
        answered = engine.answered
        # Notes too, after a keeper may have changed: a finaliser leaves its note first
        # and then rouses the keeper, who may be another by now.
        while answered or engine.due_at < self._armed_for or self._notes:
            if self._notes:
                self._take_notes()
            if engine.due_at < self._armed_for:
                for lot in self._lots:
                    if engine.due_at < lot.armed_for:
                        lot.rearm(engine.due_at)
                self._reckon()
            while answered:
                waiter = answered[0]
                waiter.lot.wake(self, waiter)
                del answered[0]

    def _reckon(self) -> None:
        """Find what `_armed_for` is; to be called after a lot's moment is another.

        That may be put off where the moment is earlier, but not where it is later.
        """
        lots = self._lots
        self._armed_for = (
            lots[0].armed_for
            if len(lots) == 1
            else max((lot.armed_for for lot in lots), default=-inf)
        )

    def _close_session(self, session: Session, what: str) -> None:
        """End a handle. Again, or after the broker: nothing happens."""
        with self._lock, suppress(ClosedError):
            now = self._now()
            self._catch_up(now)
            self._engine.close_session(now, session, what)
            self._rouse()

    def _abandon(self, session: Session) -> None:
        """Let the next turn close a session whose handle is gone."""
        if session.closed is None:
            what = "the handle was dropped"
            self._leave_note(self._engine.close_session, session, what)

    def _leave_note(self, verb: Any, *args: Any) -> None:
        """Let the next turn do ``verb(now, *args)``, and see to it that there is one.

        For finalisers: it takes no lock and touches nothing that a turn relies on.
        """
        self._notes.append((verb, args))
        for lot in self._lots:
            lot.nudge()

    def _sleepers_changed(self) -> None:
        """Announce that somebody has begun to wait, and rule out that he need not."""
        self._expect_a_crowd()
        if self._engine.inbox:
            self._engine.take_in(self._now())
            self._rouse()
        if self._waiting_changed is not None:
            self._waiting_changed.notify_all()

    # For clocks that are moved by hand

    def _next_due(self) -> float:
        """Return when something is due next, inf for never."""
        with self._lock:
            if self._notes or self._engine.inbox:
                with suppress(ClosedError):
                    self._catch_up(self._now())
            return self._engine.next_due()

    def _look(self) -> None:
        """Carry out what is due."""
        with self._lock, suppress(ClosedError):
            self._catch_up(self._now())

    def _answer_all(self, error: type[TubesError]) -> None:
        """Tell everybody who waits this error."""
        with self._lock:
            self._engine.answer_all(error)
            self._rouse()


def _close_after_fork() -> None:  # pragma: no cover - runs in a forked child only
    # The lock may be held by a thread that the child does not have, and the jobs
    # are the parent's to serve.
    for door in _doors:
        door._set_lock()
        door._waiting_changed = None
        door._engine.close("the broker belongs to the parent of this forked process")
        # This very thread may wait, and have forked in a signal handler.
        door._rouse()


# Windows cannot fork.
if hasattr(os, "register_at_fork"):  # pragma: no branch - tests run where one can
    os.register_at_fork(after_in_child=_close_after_fork)
