"""How the clients of an in-memory server wait for its answers.

A thread that reads sleeps on a token of its own. It is woken by output of its connection;
by time, which every reader keeps for all of them (a fake has few); and by its own
timeout, which is a due moment of the broker, so that a clock that is moved by hand stops
there.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from math import inf
from typing import TYPE_CHECKING, Protocol

from inproc_tubes.broker import Broker
from inproc_tubes.monitor import Monitor

if TYPE_CHECKING:
    from collections.abc import Callable
    from threading import Lock

    from inproc_tubes.clock import Clock
    from inproc_tubes.errors import TubesError
    from inproc_tubes.protocol import ProtocolSession

__all__ = ["SOMETHING", "Reader", "Readers", "ServedBroker", "Sleeper"]


# What a client reads that has asked for nothing.
SOMETHING = "a read from a connection, though no command is under way"


class Sleeper(Protocol):
    """What keeps time while it waits for output."""

    due_at: float
    """When it must be answered at the latest; inf for never, or if it was."""

    def answer(self, error: TubesError | None = None) -> None:
        """Wake it for good: its time is up, or it would wait for ever."""

    def nudge(self) -> None:
        """Have it look again; needs no lock."""


class Reader:
    """A thread that reads from a connection which has nothing to read yet."""

    __slots__ = ("_session", "answered", "due_at", "error", "timeout_at", "token")

    def __init__(self, timeout_at: float, session: ProtocolSession) -> None:
        self._session = session
        self.timeout_at: float = timeout_at
        self.due_at: float = timeout_at
        self.answered: bool = False
        self.error: TubesError | None = None
        self.token: Lock = threading.Lock()
        self.token.acquire()

    @property
    def waits_for(self) -> str:
        """Which command is under way, and for which tubes."""
        return self._session.waits_for or SOMETHING

    def begin_to_wait(self) -> None:
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
        with suppress(RuntimeError):  # woken already
            self.token.release()


class Readers:
    """All that wait for output of one server: one of the ways to sleep in its monitor.

    But no request of the engine sleeps in it: those are the sessions', so it wakes none.
    """

    def __init__(self) -> None:
        self._asleep: dict[Sleeper, None] = {}
        self.armed_for: float = -inf

    def enter(self, monitor: ServedMonitor, sleeper: Sleeper) -> float:
        """Note that it sleeps, and return until when it may if nothing comes up."""
        due_at = monitor.next_due_of_engine()
        with monitor.guard:
            self._asleep[sleeper] = None
            self.armed_for = min(due_at, monitor.engine.schedule.due_at)
            monitor.reckon()
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

    def answer_all(self, error: Callable[[str], TubesError]) -> None:
        """Wake them all with an error."""
        for sleeper in list(self._asleep):
            sleeper.answer(error(SOMETHING))

    def rearm(self, due_at: float) -> None:
        """Have them look again: something is due before ``armed_for``."""
        self.armed_for = due_at
        self.nudge()

    def nudge(self) -> None:
        """Have them take a turn."""
        for sleeper in list(self._asleep):
            sleeper.nudge()

    def recover(self) -> None:
        """Have all of them look around, after a turn was broken off."""
        self.nudge()


class ServedMonitor(Monitor):
    """A monitor whose clock knows of those who read from its connections, too."""

    __slots__ = ("readers",)

    def __init__(self, clock: Clock) -> None:
        # First: a clock may ask as soon as the monitor is attached to it.
        self.readers: Readers = Readers()
        super().__init__(clock)
        self.add_way(self.readers)

    def next_due_of_engine(self) -> float:
        """Return when something is due next, but for the readers' own timeouts."""
        return super().next_due()

    def next_due(self) -> float:
        """Return when something is due next, inf for never."""
        return min(super().next_due(), self.readers.next_due())

    def look(self) -> None:
        """Carry out what is due. Output at the very moment of a timeout is in time."""
        super().look()
        self.readers.answer_due(self.now())

    def fail_all(self, error: Callable[[str], TubesError]) -> None:
        """Answer all that waits with an error, which is made of what it waits for.

        Sessions first: whoever reads from one that waits is told there, once.
        """
        super().fail_all(error)
        self.readers.answer_all(error)


class ServedBroker(Broker):
    """The broker of a server in memory."""

    @property
    def monitor(self) -> ServedMonitor:
        """Its monitor, for the server's connections."""
        assert isinstance(self._monitor, ServedMonitor)  # see _new_monitor
        return self._monitor

    @staticmethod
    def _new_monitor(clock: Clock) -> ServedMonitor:
        return ServedMonitor(clock)
