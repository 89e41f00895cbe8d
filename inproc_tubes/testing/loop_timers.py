"""The timers of an event loop, run by a clock of ours instead of the loop's own."""

from __future__ import annotations

import asyncio
import sys
import weakref
from contextlib import suppress
from heapq import heappop, heappush
from math import inf
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol

from .loops import is_idle_timer

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Context

    from inproc_tubes.errors import TubesError

__all__ = ["LoopTimers"]

# One round of asyncio's loop, which asks for the time to call what is due by it.
_RUN_ONCE = asyncio.BaseEventLoop._run_once.__code__  # type: ignore[attr-defined]  # not for others

# What is looked up in the loop itself instead of its class.
_REPLACED = ("call_at", "call_later", "time")


class DrivingClock(Protocol):
    """A clock that may be looked at."""

    def now(self) -> float:
        """Return the time, which notes that the clock is used in the running loop."""

    @property
    def _time(self) -> float: ...


class _Timer(asyncio.TimerHandle):
    """A timer that no loop knows of."""

    def cancel(self) -> None:
        """Cancel it."""
        asyncio.Handle.cancel(self)


class LoopTimers:
    """The timers of a loop, as something that goes by a clock.

    The loop refers to it. When the clock is gone, the loop has its own time again.
    """

    def __init__(self, clock: DrivingClock, loop: asyncio.AbstractEventLoop) -> None:
        before = self.of(loop)
        if before is not None:
            before.give_back()
        self._last = clock._time  # the time when it was asked for last
        self._clock = weakref.ref(clock, lambda _: self.give_back())
        # Weak, lest the two live until the collector comes.
        self._loop = weakref.ref(loop)
        # Guards the heap, which the loop changes and whoever moves the time.
        self._lock = Lock()
        self._heap: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._made = 0
        for name in _REPLACED:
            setattr(loop, name, getattr(self, name))

    @classmethod
    def of(cls, loop: asyncio.AbstractEventLoop) -> LoopTimers | None:
        """Return those that a loop has, if any."""
        found = getattr(vars(loop).get("time"), "__self__", None)
        return found if isinstance(found, cls) else None

    def goes_by(self, clock: object) -> bool:
        """Tell whether it is this clock that they go by."""
        return self._clock() is clock

    def _push(self, when: float, timer: asyncio.TimerHandle) -> None:
        with self._lock:
            self._made += 1
            heappush(self._heap, (when, self._made, timer))

    # Instead of the loop's

    def time(self) -> float:
        """Return the time; to asyncio's loop itself that of its own timers."""
        loop: Any = self._loop()
        if sys._getframe(1).f_code is _RUN_ONCE:
            own: float = type(loop).time(loop)
            return own
        return self._now()

    def _now(self) -> float:
        clock = self._clock()
        if clock is not None:
            self._last = clock._time
        return self._last

    def call_later(
        self,
        delay: float,
        callback: Callable[..., object],
        *args: Any,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """Call something after so many seconds."""
        return self.call_at(self._now() + delay, callback, *args, context=context)

    def call_at(
        self,
        when: float,
        callback: Callable[..., object],
        *args: Any,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """Call something at that time."""
        loop = self._loop()
        assert loop is not None  # it is calling
        clock = self._clock()
        if clock is not None:
            clock.now()  # the loop counts from now on
        timer = _Timer(when, callback, args, loop, context)
        if when <= self._now():
            loop.call_soon(_run, timer)
        else:
            self._push(when, timer)
        return timer

    # As a clock sees it

    def lock_for_clock(self) -> None:
        """Do nothing: only the loop adds timers, and it is idle."""

    def unlock_for_clock(self) -> None:
        """Do nothing."""

    @property
    def waiting(self) -> int:
        """How many timers there are."""
        return len(self._heap) if self.next_due() < inf else 0

    def next_due(self) -> float:
        """Return when one is due next, inf for never."""
        with self._lock:
            while self._heap and self._heap[0][2].cancelled():
                heappop(self._heap)
            return min(
                (
                    when
                    for when, _, timer in self._heap
                    if not timer.cancelled() and not is_idle_timer(timer)
                ),
                default=inf,
            )

    def look(self) -> None:
        """Have the loop call what is due."""
        loop = self._loop()
        if loop is None:
            return
        now = self._now()
        with self._lock:
            due = []
            while self._heap and self._heap[0][0] <= now:
                due.append(heappop(self._heap)[2])
        with suppress(RuntimeError):  # it was closed
            for timer in due:
                loop.call_soon_threadsafe(_run, timer)

    def fail_all(self, error: Callable[[str], TubesError]) -> None:
        """Do nothing: a timer is due sooner or later."""

    def give_back(self) -> None:
        """Let the loop go by its own time, and call what is due after as long in that."""
        loop = self._loop()
        if loop is None:
            return
        for name in _REPLACED:
            if getattr(vars(loop).get(name), "__self__", None) is self:
                delattr(loop, name)
        with self._lock:
            left = [item for item in sorted(self._heap) if not item[2].cancelled()]
            self._heap.clear()
        with suppress(RuntimeError):  # it was closed
            for when, _, timer in left:
                # An anchor's is still to be known as such.
                handle: Any = timer
                callback, args = _run, [timer]
                if is_idle_timer(timer):
                    callback, args = handle._callback, handle._args
                delay = when - self._last
                loop.call_soon_threadsafe(_set_timer, loop, delay, callback, *args)


def _set_timer(
    loop: asyncio.AbstractEventLoop,
    delay: float,
    callback: Callable[..., object],
    *args: Any,
) -> None:
    loop.call_later(delay, callback, *args)  # by whatever clock the loop has by now


def _run(timer: asyncio.TimerHandle) -> None:
    if not timer.cancelled():
        timer._run()
