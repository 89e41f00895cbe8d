"""Time, as a broker knows it. No other module reads a clock.

A `Clock` has four methods, so that a test can put its own in the place of the
machine's: see `inproc_tubes.testing.FakeClock`.
"""

from __future__ import annotations

import os
import time
from math import inf
from threading import TIMEOUT_MAX
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable
    from threading import Lock

    from .errors import TubesError

__all__ = ["Clock", "MonotonicClock", "Parked", "Timed", "yield_thread"]


def yield_thread() -> None:
    """Let another thread run, if one wants to. Cost: O(1)."""
    if hasattr(os, "sched_yield"):  # pragma: no branch - Windows has none
        os.sched_yield()
    else:  # pragma: no cover - as above
        # A pause of some 50 µs on Linux, by the slack of its timers.
        time.sleep(0)  # noqa: TID251 - this is no sleep, but the way to yield


class Parked(Protocol):
    """A thread that sleeps, as a clock sees it."""

    token: Lock
    """Held while the thread sleeps. Whoever wakes it releases the token."""

    @property
    def answered(self) -> bool:
        """Whether what it waits for is decided, although it may still sleep."""

    @property
    def waits_for(self) -> str:
        """What it waits for, in words."""


class Timed(Protocol):
    """What goes by a clock: the monitor of a broker, as a clock sees it."""

    def lock_for_clock(self) -> None:
        """Let nothing happen, until `unlock_for_clock`."""

    def unlock_for_clock(self) -> None:
        """Let things happen again."""

    def next_due(self) -> float:
        """Return when something is due next, inf for never."""

    def look(self) -> None:
        """Carry out what is due."""

    def fail_all(self, error: Callable[[str], TubesError]) -> None:
        """Answer all that waits with an error, which is made of what it waits for."""

    @property
    def waiting(self) -> int:
        """How much waits, in threads and elsewhere."""


class Clock(Protocol):
    """What tells a broker the time, and lets its threads sleep."""

    @property
    def now(self) -> Callable[[], float]:
        """Return the time in seconds from any start; it never runs backwards.

        A property for the type checker only, so that a method and an attribute that
        is a function both will do: it is called as ``clock.now()``.
        """

    def attach(self, timed: Timed) -> None:
        """Register the monitor of a broker that goes by this clock.

        Args:
            timed: The monitor.
        """

    def park(self, sleeper: Parked, until: float) -> None:
        """Let the calling thread sleep until it is woken, or until that moment.

        It is woken by a release of ``sleeper.token``, which is held when this is called.
        It may return too early: the caller looks again.

        Args:
            sleeper: The thread, which is the calling one.
            until: The moment, inf for never.
        """

    def seconds_until(self, moment: float) -> float:
        """Return for how many real seconds an event loop may sleep: it cannot be parked.

        That is how long it takes until ``moment``; 0 or less if it is past; inf for
        never, and for a clock that is moved by hand and tells the brokers itself.

        Args:
            moment: The moment, inf for never.
        """


class MonotonicClock:
    """The machine's monotonic clock: nobody sets it, and it never jumps."""

    now: staticmethod[[], float] = staticmethod(time.monotonic)  # noqa: TID251 - the one place that may

    def attach(self, timed: Timed) -> None:
        """Do nothing: this clock runs by itself."""

    def park(self, sleeper: Parked, until: float) -> None:
        """Sleep in the operating system."""
        token = sleeper.token
        # The answer often comes at once, from a thread that only waits for its turn to
        # run. To let it run costs less than to sleep and be woken.
        if token.acquire(blocking=False):
            return
        yield_thread()
        if token.acquire(blocking=False):
            return
        if until == inf:
            token.acquire()
        else:
            left = until - self.now()
            if left > 0:
                token.acquire(timeout=min(left, TIMEOUT_MAX))

    def seconds_until(self, moment: float) -> float:
        """Return the difference: time flows by itself."""
        return moment - self.now()
