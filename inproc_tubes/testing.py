"""Tools for tests of code that uses a broker: time that is moved by hand.

    >>> from inproc_tubes import Broker
    >>> from inproc_tubes.testing import FakeClock
    >>> clock = FakeClock()
    >>> broker = Broker(clock=clock)
    >>> consumer = broker.consumer()
    >>> job_id = broker.producer().put("work", ttr=60)
    >>> lost = consumer.reserve()
    >>> clock.advance(60)
    >>> consumer.reserve().timeouts
    1

How an autojumping clock knows that nobody can go on
    A thread counts if it is alive and has used a broker of the clock (`now` notes
    it), or has made the clock. It waits while its waiter has no outcome. The engine
    sets an outcome before anybody is roused, so a thread that was answered and has
    not run yet counts as busy, and time does not jump over its head.
"""

from __future__ import annotations

import weakref
from math import inf
from threading import Condition, RLock, Thread, current_thread
from typing import TYPE_CHECKING, Any

from .assertions import Drained, assert_empty, assert_put, drain, refute_put
from .checks import check_seconds
from .errors import DeadlockError

if TYPE_CHECKING:
    from .broker import Broker

__all__ = [
    "Drained",
    "FakeClock",
    "assert_empty",
    "assert_put",
    "drain",
    "refute_put",
    "wait_until_waiting",
]

# So often a parked thread looks whether another has ended, which nobody tells it.
_GLANCE = 0.005


class FakeClock:
    """A clock that stands still until it is moved. Several brokers may go by it.

    Moving it carries out all that falls due on the way, moment by moment in order, as
    if time had flowed: threads and coroutines that are blocked in a broker are answered.

    Args:
        autojump: Let time jump to the next due moment whenever every living thread
            that has used one of the clock's brokers, and the thread that has made the
            clock, waits in one of them. If nothing will ever be due then, all of them
            hear `DeadlockError`. A thread that runs an event loop counts as busy, and so
            does one that waits for something else, such as the end of a thread.
        start: The time at which it starts, in seconds; far from any real clock's, so
            that code that forgot the clock is found out.
    """

    def __init__(self, start: float = 1_000_000.0, *, autojump: bool = False) -> None:
        self._time = float(check_seconds("start", start))
        self._autojump = autojump
        self._brokers: weakref.WeakSet[Any] = weakref.WeakSet()
        # Guards the moving of time; never taken by one who holds a broker's lock.
        self._lock = RLock()
        self._users: dict[Thread, None] = {current_thread(): None}
        self._parked: dict[Thread, Any] = {}  # {thread: its waiter}

    def now(self) -> float:
        """Return the time in seconds. Cost: O(1)."""
        if self._autojump:
            self._users[current_thread()] = None
        return self._time

    def attach(self, broker: Any) -> None:
        """Move this broker's time too. Cost: O(1)."""
        with self._lock:
            self._brokers.add(broker)

    def park(self, waiter: Any, due_at: float) -> None:  # noqa: ARG002 - who moves time rouses
        """Let the calling thread sleep until it is roused. Cost: O(1)."""
        if not self._autojump:
            waiter.bed.acquire()
            return
        thread = current_thread()
        self._parked[thread] = waiter
        try:
            self._jump_if_all_wait()
            while not waiter.bed.acquire(timeout=_GLANCE):
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

    def _next_due(self) -> float:
        return min((broker._next_due() for broker in self._brokers), default=inf)

    def _move(self, moment: float) -> None:
        self._time = max(self._time, moment)
        for broker in self._brokers:
            broker._look()

    def _jump_if_all_wait(self) -> None:
        with self._lock:
            # First, because a dropped consumer's job may answer one who waits.
            moment = self._next_due()
            for thread in list(self._users):
                if not thread.is_alive():
                    del self._users[thread]
                    continue
                waiter = self._parked.get(thread)
                if waiter is None or waiter.answered:
                    return
            if moment != inf:
                self._move(moment)
                return
            for broker in self._brokers:
                broker._answer_all(DeadlockError)

    def __repr__(self) -> str:
        kind = "autojumping " if self._autojump else ""
        return f"<{kind}FakeClock at {self._time:g}>"


def wait_until_waiting(broker: Broker, n: int, timeout: float = 10) -> None:
    """Block until at least ``n`` verbs wait in this broker, whatever for.

    A reserve waits for a job, a put for room, a join for the end. It sleeps on a
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
    with broker._lock:
        if broker._waiting_changed is None:
            broker._waiting_changed = Condition(broker._lock)
        if not broker._waiting_changed.wait_for(
            lambda: broker._engine.all_waiting >= n, timeout
        ):
            message = f"{broker._engine.all_waiting} of {n} wait"
            raise AssertionError(message)
