"""Time, as a broker knows it. No other module reads a clock.

A `Clock` has four methods, so that a test can put its own in the place of the
machine's: see `inproc_tubes.testing.FakeClock`.
"""

from __future__ import annotations

import os
import time
from math import inf
from threading import TIMEOUT_MAX
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Clock", "MonotonicClock", "give_way"]


def give_way() -> None:
    """Let another thread have the interpreter, if one wants it. Cost: O(1)."""
    if hasattr(os, "sched_yield"):  # pragma: no branch - Windows has none
        os.sched_yield()
    else:  # pragma: no cover - as above
        # A pause of some 50 µs on Linux, by the slack of its timers.
        time.sleep(0)  # noqa: TID251 - no sleep, but the way to say so


class Clock(Protocol):
    """What tells a broker the time, and lets its threads sleep."""

    @property
    def now(self) -> Callable[[], float]:
        """Return the time in seconds from any start; it never runs backwards.

        A property for the type checker only, so that a method and an attribute that
        is a function both will do: it is called as ``clock.now()``.
        """

    def attach(self, broker: Any) -> None:
        """Learn of a broker that goes by this clock."""

    def park(self, waiter: Any, due_at: float) -> None:
        """Let the calling thread sleep until it is roused, or it is ``due_at``.

        To rouse it is to release the lock ``waiter.bed``, which the thread holds. It
        may return too early: the caller looks again.
        """

    def seconds_until(self, moment: float) -> float:
        """Return how soon an event loop is to look again, which cannot be parked.

        That is in how many real seconds it will be ``moment``, 0 or less if it is past;
        inf for never, and where somebody moves the time by hand, and tells the brokers.
        """


class MonotonicClock:
    """The machine's monotonic clock: nobody sets it, and it never jumps."""

    now = staticmethod(time.monotonic)  # noqa: TID251 - the one place that may

    def attach(self, broker: Any) -> None:
        """Do nothing: this clock runs by itself."""

    def park(self, waiter: Any, due_at: float) -> None:
        """Sleep in the operating system."""
        if due_at == inf:
            waiter.bed.acquire()
        else:
            left = due_at - self.now()
            if left > 0:
                waiter.bed.acquire(timeout=min(left, TIMEOUT_MAX))

    def seconds_until(self, moment: float) -> float:
        """Return the difference: time flows by itself."""
        return moment - self.now()
