"""How verbs wait for a server that is away, by the clock of their broker.

`Sleepers` serves a clock that is moved by hand as the monitor of a broker in memory does:
the clock asks it what is due next, and has it wake what is due.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager, suppress
from math import inf
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from inproc_tubes.clock import Clock
    from inproc_tubes.errors import TubesError

__all__ = ["Sleeper", "Sleepers", "ThreadSleeper"]


class Sleeper(Protocol):
    """A thread or a coroutine that sleeps."""

    due_at: float
    """Until when it sleeps."""

    def nudge(self) -> None:
        """Wake it; from any thread, and in a signal handler. Never waits."""


class ThreadSleeper:
    """A thread that sleeps, as a clock sees it."""

    def __init__(self, due_at: float) -> None:
        self.due_at = due_at
        self.token: threading.Lock = threading.Lock()
        self.token.acquire()

    @property
    def answered(self) -> bool:
        """Whether it was woken, although it may still sleep."""
        return not self.token.locked()

    @property
    def waits_for(self) -> str:
        """What a clock tells of it."""
        return "a beanstalkd that is away"

    def nudge(self) -> None:
        """Wake it."""
        with suppress(RuntimeError):  # woken already
            self.token.release()


class Sleepers:
    """All threads and coroutines that sleep by one clock.

    Attributes:
        clock: The clock.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._asleep: dict[
            Sleeper, None
        ] = {}  # changed by single steps, without a lock
        clock.attach(self)

    @contextmanager
    def asleep(self, sleeper: Sleeper) -> Iterator[None]:
        """Nudge a sleeper when it is due, in this block."""
        self._asleep[sleeper] = None
        try:
            yield
        finally:
            self._asleep.pop(sleeper, None)

    def sleep(self, sleeper: ThreadSleeper) -> None:
        """Let the calling thread sleep until it is nudged or due. It may end too early."""
        with self.asleep(sleeper):
            if self.clock.now() < sleeper.due_at:
                self.clock.park(sleeper, sleeper.due_at)

    # For clocks, as the monitor of a broker

    def next_due(self) -> float:
        """Return when somebody is due next, inf for never."""
        return min((sleeper.due_at for sleeper in list(self._asleep)), default=inf)

    def look(self) -> None:
        """Wake whoever is due."""
        now = self.clock.now()
        for sleeper in list(self._asleep):
            if sleeper.due_at <= now:
                sleeper.due_at = inf  # nothing more is due for it
                sleeper.nudge()

    def lock_for_clock(self) -> None:
        """Do nothing: only threads that run change what is due."""

    def unlock_for_clock(self) -> None:
        """Do nothing."""

    def fail_all(self, error: Callable[[str], TubesError]) -> None:
        """Do nothing: who sleeps here is due, sooner or later."""

    @property
    def waiting(self) -> int:
        """How many sleep."""
        return len(self._asleep)
