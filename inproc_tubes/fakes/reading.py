"""How the clients of an in-memory server wait for its answers.

A thread that reads sleeps on a lock of its own. It is roused by output of its
connection; by time, which every reader keeps for all of them (a fake has few); and by
its own timeout, which is a due moment of the broker, so that a clock that is moved by
hand stops there.
"""

from __future__ import annotations

from contextlib import suppress
from math import inf
from threading import Lock
from typing import TYPE_CHECKING, Protocol

from inproc_tubes.broker import Broker

if TYPE_CHECKING:
    from inproc_tubes.clock import Clock
    from inproc_tubes.door import Door
    from inproc_tubes.errors import TubesError

__all__ = ["Reader", "Readers", "ServedBroker", "Sleeper"]


class Sleeper(Protocol):
    """One who keeps time while it waits for output."""

    due_at: float
    """When it must be answered at the latest; inf for never, or if it was."""

    def answer(self, error: TubesError | None = None) -> None:
        """Wake it for good: its time is up, or it would wait for ever."""

    def nudge(self) -> None:
        """Have it look again; needs no lock."""


class Reader:
    """A thread that reads from a connection which has nothing to read yet."""

    __slots__ = ("answered", "bed", "due_at", "error", "timeout_at")

    def __init__(self, timeout_at: float) -> None:
        self.timeout_at = timeout_at
        self.due_at = timeout_at
        self.answered = False
        self.error: TubesError | None = None
        self.bed = Lock()
        self.bed.acquire()

    def lie_down(self) -> None:
        """Be ready to be woken, before looking whether there is something to read."""
        self.due_at = self.timeout_at
        self.answered = False

    def answer(self, error: TubesError | None = None) -> None:
        """Wake it: there is output, or an error, or its time is up."""
        if error is not None:
            self.error = error
        self.due_at = inf
        self.answered = True
        self.nudge()

    def nudge(self) -> None:
        """Have it look again."""
        with suppress(RuntimeError):  # roused already
            self.bed.release()


class Readers:
    """All who wait for output of one server: a `Lot` of its broker.

    But no waiter of the engine sleeps in it: those are the sessions', so it wakes none.
    """

    def __init__(self) -> None:
        self._asleep: dict[Sleeper, None] = {}
        self.armed_for = -inf

    def enter(self, door: Door, sleeper: Sleeper) -> float:
        """Note that it sleeps, and return until when it may if nothing comes up."""
        with door._lock:
            self._asleep[sleeper] = None
            engine = door._engine
            self.armed_for = inf if engine.closed else engine.next_due()
            door._reckon()
            return self.armed_for

    def leave(self, sleeper: Sleeper) -> None:
        """Note that it is awake; takes no lock."""
        self._asleep.pop(sleeper, None)

    def next_due(self) -> float:
        """Return when the next of them must be answered."""
        return min((sleeper.due_at for sleeper in list(self._asleep)), default=inf)

    def answer_due(self, now: float) -> None:
        """Wake those whose time is up."""
        for sleeper in list(self._asleep):
            if sleeper.due_at <= now:
                sleeper.answer()

    def answer_all(self, error: type[TubesError]) -> None:
        """Wake them all with an error."""
        for sleeper in list(self._asleep):
            sleeper.answer(error())

    def rearm(self, due_at: float) -> None:
        """Have them look again: something is due before ``armed_for``."""
        self.armed_for = due_at
        self.nudge()

    def nudge(self) -> None:
        """Have them take a turn."""
        for sleeper in list(self._asleep):
            sleeper.nudge()


class ServedBroker(Broker):
    """A broker whose clock knows of those who read from its connections, too."""

    __slots__ = ("readers",)

    def __init__(self, *, clock: Clock, max_job_size: int) -> None:
        # First: a clock may ask as soon as the broker is attached to it.
        self.readers = Readers()
        super().__init__(clock=clock, max_job_size=max_job_size)
        self._lots += (self.readers,)  # type: ignore[operator] # it wakes no waiter

    def _next_due(self) -> float:
        return min(super()._next_due(), self.readers.next_due())

    def _look(self) -> None:
        # What comes at the very moment of a timeout comes in time.
        super()._look()
        self.readers.answer_due(self._now())

    def _answer_all(self, error: type[TubesError]) -> None:
        # Sessions first: who reads from one that waits hears it from there, once.
        super()._answer_all(error)
        self.readers.answer_all(error)
