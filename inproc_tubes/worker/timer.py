"""What a worker does at a given moment, by the clock of its broker.

A `Timer` rings its alarms when they are due. On a clock that flows by itself somebody
must sleep until then: the thread or the event loop that keeps the worker, by `arm`. A
clock that is moved by hand knows the timer as it knows a broker, and has it look at each
due moment on the way, in the thread that moves the time. So nothing is late by such a
clock, however far it is moved at once.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from math import inf
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from inproc_tubes import Clock, TubesError

__all__ = ["Alarm", "Sleeper", "Timer"]


class Alarm(Protocol):
    """What is done at a given moment, once or again and again."""

    due_at: float
    """When it rings next; inf for never."""

    def ring(self, now: float) -> None:
        """Set ``due_at`` anew, and then do it."""


class Timer:
    """Rings alarms when they are due.

    Args:
        clock: The broker's clock.
        nudge: What has the keeper `arm` and `look` again: something is due sooner than
            it sleeps for. It is called in any thread, and must not wait.
    """

    def __init__(self, clock: Clock, nudge: Callable[[], None]) -> None:
        self._clock = clock
        self._nudge = nudge
        self._alarms: dict[Alarm, None] = {}  # in the order in which they were added
        self._armed_for = inf
        # Held while alarms ring, so that whoever looks after that finds nothing half
        # done. No alarm waits for anything, or for a thread that looks.
        self._ringing = threading.RLock()
        clock.attach(self)

    def add(self, alarm: Alarm) -> None:
        """Ring this alarm when it is due, from now on."""
        self._alarms[alarm] = None
        if alarm.due_at < self._armed_for:
            self._nudge()

    def discard(self, alarm: Alarm) -> None:
        """Do not ring this alarm any more. It may be ringing now."""
        self._alarms.pop(alarm, None)

    def clear(self) -> None:
        """Ring nothing any more."""
        self._alarms.clear()

    def arm(self) -> float:
        """Return until when the keeper sleeps. It is nudged if that becomes too long."""
        # In this order: an alarm that is added meanwhile nudges.
        self._armed_for = inf
        self._armed_for = due_at = self.next_due()
        return due_at

    # For clocks, as a broker's monitor

    def next_due(self) -> float:
        """Return when something is due next, inf for never."""
        return min((alarm.due_at for alarm in list(self._alarms)), default=inf)

    def look(self) -> None:
        """Ring what is due, the earliest first."""
        with self._ringing:
            now = self._clock.now()
            due = [alarm for alarm in list(self._alarms) if alarm.due_at <= now]
            for alarm in sorted(due, key=lambda alarm: alarm.due_at):
                alarm.ring(now)

    def lock_for_clock(self) -> None:
        """Do nothing: only threads that run change what is due."""

    def unlock_for_clock(self) -> None:
        """Do nothing."""

    def fail_all(self, error: Callable[[str], TubesError]) -> None:
        """Do nothing: nobody waits here."""

    @property
    def waiting(self) -> int:
        """None: the keeper is a thread or a task, and waits there."""
        return 0


class Sleeper:
    """A thread that sleeps by a broker's clock, until it is woken.

    Attributes:
        token: Held while it sleeps.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.token: threading.Lock = threading.Lock()
        self.token.acquire()

    @property
    def answered(self) -> bool:
        """Whether it was woken, although it may still sleep."""
        return not self.token.locked()

    @property
    def waits_for(self) -> str:
        """What a clock tells of it."""
        return "what a worker has to do next"

    def sleep(self, until: float) -> None:
        """Sleep until it is woken, or until that moment. It may end too early."""
        self._clock.park(self, until)

    def wake(self) -> None:
        """Wake it, or let its next sleep end at once. From any thread; never waits."""
        with suppress(RuntimeError):  # woken already
            self.token.release()
