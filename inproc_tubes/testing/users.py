"""Who uses an autojumping clock, and whether all of them wait.

A thread counts if it is alive and has used a broker of the clock, or has made the clock. It
waits if it is parked and not answered. The engine answers a request before anything is
woken, so a thread that was answered and has not run yet counts as busy, and time does not
jump over its head.

A thread that runs an event loop waits if the loop is idle; see `loops`. That is seen in the
loop alone, and a little later here. So everything is stamped: what a thread or a loop does,
and what a loop has seen. All wait if there was a moment, after the last that anybody did, in
which every loop was idle: nothing was under way between them then.

A thread that waits elsewhere could go on at any time. It holds the time, but not for ever:
only until it was seen to be blocked for long enough; see `stillness`.
"""

from __future__ import annotations

import itertools
import sys
import threading
import weakref
from contextlib import contextmanager
from enum import Enum, auto
from typing import TYPE_CHECKING

from inproc_tubes.clock import MonotonicClock

from .stillness import Stillness, ThreadUser, outwards, stand

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator
    from types import CodeType, FrameType

    from inproc_tubes.clock import Parked

    from .loops import LoopUser

__all__ = ["State", "Users"]

# Stillness is seen in so many steps at least.
_STEPS = 10

_real_clock = MonotonicClock()


class State(Enum):
    """What all users of a clock do, in one instant."""

    BUSY = auto()
    """One of them can go on, or may be able to."""
    UNSEEN = auto()
    """A loop was asked to look, and may do so at once."""
    BLOCKED = auto()
    """All wait, but one of them not for the clock, and for long enough."""
    WAITING = auto()
    """All wait for the clock."""


class Users:
    """The threads and event loops that use a clock.

    Args:
        grace: For how many real seconds one that waits elsewhere holds the time.
        patient: Code that ends by itself, though it waits elsewhere.

    Attributes:
        parked: What each thread waits for that is parked.
        changed_at: The stamp of the last that anybody did.
    """

    def __init__(self, grace: float, patient: CodeType) -> None:
        self._grace = grace
        self._patient = patient
        # Each thread has its `ThreadUser` in here, as long as it lives. Looked up now,
        # for gevent: see Monitor.
        self._own = threading.local()
        self._threads: weakref.WeakValueDictionary[int, ThreadUser] = (
            weakref.WeakValueDictionary()
        )
        self._loops: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, LoopUser] = (
            weakref.WeakKeyDictionary()
        )
        self.parked: dict[ThreadUser, Parked] = {}
        self._stamps = itertools.count(1)
        self.changed_at: int = 0

    def stamp(self) -> int:
        """Return a number that is higher than any before. Cost: O(1)."""
        return next(self._stamps)

    def note_change(self) -> None:
        """Note that something was done. Cost: O(1)."""
        self.changed_at = next(self._stamps)

    def current(self) -> ThreadUser:
        """Return what stands for the calling thread; from now on it counts. Cost: O(1)."""
        self.note_change()
        try:
            user: ThreadUser = self._own.user
        except AttributeError:
            user = self._own.user = ThreadUser()
            self._threads[next(self._stamps)] = user
        return user

    # Event loops

    def loop(self, loop: asyncio.AbstractEventLoop) -> LoopUser | None:
        """Return what stands for an event loop, if it has used the clock."""
        return self._loops.get(loop)

    def add_loop(self, loop: asyncio.AbstractEventLoop, user: LoopUser) -> None:
        """Let an event loop count, while it runs."""
        self._loops[loop] = user

    def running(self) -> dict[ThreadUser, LoopUser]:
        """Return the event loops that run now, each with its thread."""
        running = {}
        # As `_living`.
        loops = [loop for loop in (ref() for ref in self._loops.keyrefs()) if loop]
        for user in [self._loops[loop] for loop in loops]:
            thread = user.thread()
            if thread is not None and user.is_running:
                running[thread] = user
        return running

    # Looking at all of them

    def _living(self) -> list[ThreadUser]:
        # In one step: others may come meanwhile, and no lock is taken for that.
        refs = self._threads.valuerefs()
        return [thread for thread in (ref() for ref in refs) if thread is not None]

    def look(self, left: float) -> State:
        """Find out what all of them do; with the locks of all brokers.

        Args:
            left: In how many seconds something is due next, by the clock.

        Cost: O(number of threads and loops).
        """
        unseen = False
        elsewhere: list[Stillness] = []
        asked: list[Stillness] = []
        running = self.running()
        # The moment in which all were idle, if there was one.
        moment = max((loop.idle_since for loop in running.values()), default=0)
        now = _real_clock.now()
        step = self._grace / _STEPS
        with _frames_of_threads() as frames:
            for thread in self._living():
                sleeper = self.parked.get(thread)
                loop = running.get(thread)
                if sleeper is not None:
                    if sleeper.answered:
                        return State.BUSY
                elif (
                    loop is not None
                    and self.changed_at < loop.idle_since
                    and moment <= loop.idle_until
                ):
                    elsewhere += loop.see(left, now, step)
                elif loop is not None and not loop.is_asked:
                    loop.ask()
                    unseen = True
                else:
                    # A loop that was asked and does not look is blocked, or busy.
                    frames.update(frames or sys._current_frames())
                    thread.see(frames.get(thread.ident), self._patient, now, step)
                    (elsewhere if loop is None else asked).append(thread.stillness)

        if any(each.seconds is None for each in elsewhere):
            return State.BUSY
        if unseen:
            return State.UNSEEN
        blocked = [each.seconds or 0 for each in (*elsewhere, *asked)]
        if not blocked:
            return State.WAITING
        if min(blocked) >= self._grace:
            return State.BLOCKED
        return State.UNSEEN if asked else State.BUSY

    def describe(self, clock: object) -> Iterator[str]:
        """Tell where each of them stands, and what it waits for."""
        running = self.running()
        with _frames_of_threads() as frames:
            frames.update(sys._current_frames())
            for thread in self._living():
                at = stand(outwards(frames.get(thread.ident)))
                sleeper = self.parked.get(thread)
                if sleeper is not None:
                    yield f"{thread.name}: {sleeper.waits_for}, {at}"
                elif thread in running and not running[thread].is_asked:
                    yield from running[thread].describe(thread.name, clock)
                else:
                    yield f"{thread.name}: something else, {at}"


@contextmanager
def _frames_of_threads() -> Iterator[dict[int, FrameType]]:
    """Lend a dict for frames of threads, and empty it.

    The caller's own frame would refer to it, and it to that. Until the collector came, no
    local variable of another thread would die.
    """
    frames: dict[int, FrameType] = {}
    try:
        yield frames
    finally:
        frames.clear()
