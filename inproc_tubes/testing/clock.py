"""A clock that is moved by hand, or that jumps by itself.

How an autojumping clock knows that nobody can go on
    A thread counts if it is alive and has used a broker of the clock (`FakeClock.now`
    notes it), or has made the clock. It waits if it is parked and not answered. The
    engine answers a request before anything is woken, so a thread that was answered and
    has not run yet counts as busy, and time does not jump over its head. All threads are
    looked at in one instant: with the locks of all brokers of the clock.
"""

from __future__ import annotations

import threading
import weakref
from contextlib import contextmanager
from math import inf
from typing import TYPE_CHECKING

from inproc_tubes.checks import check_seconds
from inproc_tubes.errors import DeadlockError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from threading import Thread

    from inproc_tubes.broker import Broker
    from inproc_tubes.clock import Parked, Timed

__all__ = ["FakeClock", "wait_until_waiting"]

# So often a parked thread looks whether another one has ended, which nobody tells it.
_GLANCE = 0.005


class FakeClock:
    """A clock that stands still until it is moved. Several brokers may go by it.

    Moving it carries out all that falls due on the way, moment by moment in order, as
    if time had flowed: threads and coroutines that are blocked in a broker are answered.

    Args:
        autojump: Let time jump to the next due moment whenever every living thread
            that has used one of the clock's brokers, and the thread that has made the
            clock, waits in one of them. If nothing will ever be due then, all of them
            are answered `DeadlockError`. A thread that runs an event loop counts as busy, and so
            does one that waits for something else, such as the end of a thread.
        start: The time at which it starts, in seconds; far from any real clock's, so
            that code that forgot the clock is found out.
    """

    def __init__(self, start: float = 1_000_000.0, *, autojump: bool = False) -> None:
        self._time = float(check_seconds("start", start))
        self._autojump = autojump
        # The monitors of the brokers that go by it, in the order of coming.
        self._timed: weakref.WeakValueDictionary[int, Timed] = (
            weakref.WeakValueDictionary()
        )
        self._attached = 0
        # Guards the moving of time. It is taken before the lock of any broker.
        self._lock = threading.RLock()
        # Weak: a thread that has ended is not kept.
        self._users: weakref.WeakSet[Thread] = weakref.WeakSet()
        self._users.add(threading.current_thread())
        self._parked: dict[Thread, Parked] = {}

    @property
    def autojump(self) -> bool:
        """Whether time jumps by itself. Cost: O(1)."""
        return self._autojump

    def now(self) -> float:
        """Return the time in seconds. Cost: O(1)."""
        if self._autojump:
            self._users.add(threading.current_thread())
        return self._time

    def attach(self, timed: Timed) -> None:
        """Move the time of this broker's monitor too. Cost: O(1)."""
        with self._lock:
            self._attached += 1
            self._timed[self._attached] = timed

    def park(self, sleeper: Parked, until: float) -> None:  # noqa: ARG002 - who moves time wakes
        """Let the calling thread sleep until it is woken. Cost: O(1)."""
        if not self._autojump:
            sleeper.token.acquire()
            return
        thread = threading.current_thread()
        self._parked[thread] = sleeper
        try:
            self._jump_if_all_wait()
            while not sleeper.token.acquire(timeout=_GLANCE):
                self._jump_if_all_wait()
        finally:
            self._parked.pop(thread, None)

    def seconds_until(self, moment: float) -> float:  # noqa: ARG002 - no moment comes by itself
        """Return inf: whoever moves the time tells the brokers. Cost: O(1)."""
        return inf

    def advance(self, seconds: float) -> None:
        """Let so many seconds pass, through every due moment on the way.

        Raises:
            ValueError: ``seconds`` is negative, NaN or infinite.
            TypeError: It is not a number.

        Cost: that of what falls due.
        """
        seconds = check_seconds("seconds", seconds)
        with self._lock:
            until = self._time + seconds
            while (moment := self._next_due()) <= until:
                self._move(moment)
            self._move(until)

    def advance_to_next(self) -> float:
        """Go on to the next moment at which something is due, and return it.

        Raises:
            DeadlockError: Nothing will ever be due.

        Cost: that of what falls due.
        """
        with self._lock:
            moment = self._next_due()
            if moment == inf:
                raise DeadlockError
            self._move(moment)
            return self._time

    def _all_timed(self) -> list[Timed]:
        return [timed for _, timed in sorted(self._timed.items())]

    def _next_due(self) -> float:
        return min((timed.next_due() for timed in self._all_timed()), default=inf)

    def _move(self, moment: float) -> None:
        self._time = max(self._time, moment)
        for timed in self._all_timed():
            timed.look()

    def _jump_if_all_wait(self) -> None:
        with self._lock:
            # First what was left to do: a dropped consumer's job may answer a request.
            self._next_due()
            with self._standstill():
                if not self._all_wait():
                    return
                moment = self._next_due()
                if moment == inf:
                    for timed in self._all_timed():
                        timed.fail_all(DeadlockError)
                    return
                self._time = max(self._time, moment)
            self._move(moment)

    def _all_wait(self) -> bool:
        for thread in list(self._users):
            if thread.is_alive():
                sleeper = self._parked.get(thread)
                if sleeper is None or sleeper.answered:
                    return False
        return True

    @contextmanager
    def _standstill(self) -> Iterator[None]:
        """Hold the locks of all brokers, always taken in the same order."""
        held: list[Timed] = []
        try:
            for timed in self._all_timed():
                timed.lock_for_clock()
                held.append(timed)
            yield
        finally:
            for timed in reversed(held):
                timed.unlock_for_clock()

    def __repr__(self) -> str:
        kind = "autojumping " if self._autojump else ""
        return f"<{kind}FakeClock at {self._time:g}>"


def wait_until_waiting(broker: Broker, n: int, timeout: float = 10) -> None:
    """Block until at least ``n`` verbs wait in this broker, whatever for.

    A reserve waits for a job, a put for room, a join for the end. This sleeps on a
    condition that each of them announces as it begins to wait. It blocks the thread:
    in a coroutine write ``await asyncio.to_thread(wait_until_waiting, broker, n)``.

    Args:
        broker: The broker.
        n: How many.
        timeout: Real seconds after which the test has a bug.

    Raises:
        AssertionError: So many did not wait within the timeout.

    Cost: O(1) for each that begins to wait.
    """
    monitor = broker._monitor
    with monitor.lock:
        if monitor.waiting_changed is None:
            monitor.waiting_changed = threading.Condition(monitor.lock)
        changed = monitor.waiting_changed
        if not changed.wait_for(lambda: monitor.waiting >= n, timeout):
            message = f"{monitor.waiting} of {n} wait"
            raise AssertionError(message)
