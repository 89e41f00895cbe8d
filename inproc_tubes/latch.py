"""Two ways to take a lock in a with statement, each for its own kind of traffic.

A lock's own with statement takes a third of what a put costs, since it makes two bound
methods each time, ``__enter__`` and ``__exit__``. Here they are bound once and for all.

When threads crowd, something else matters more. The interpreter stops a thread every
few milliseconds to let another one run, and mostly in the middle of a turn. The other
soon wants the lock, sleeps on it, and is given it while the first one runs again; which
soon wants the lock, and sleeps... So each turn costs a switch of threads: a convoy. It
is not formed if nobody owns the lock but who runs. Therefore who finds it taken does
not sleep on it, but lets the owner run, who wants nothing else, and tries again.
So four threads that put and four that reserve get three times as much done.

Either way a lock that was taken is released again, whatever a signal handler raises and
when: no step of Python, after which one may run, comes between taking it and the block.
"""

from __future__ import annotations

from functools import partial
from itertools import cycle
from operator import call
from typing import TYPE_CHECKING

from .clock import give_way

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from threading import Lock

__all__ = ["crowd_latch", "quick_latch"]

# Some ten microseconds of tries, in which an owner that runs elsewhere may be done.
_TRIES = 255

_call: Callable[[Callable[[], bool | None]], bool | None] = call


def quick_latch(lock: Lock) -> AbstractContextManager[object]:
    """Return what takes the lock as fast as can be while nobody else wants it."""
    methods = {"__enter__": lock.__enter__, "__exit__": lock.__exit__}
    latch: AbstractContextManager[object] = type("QuickLatch", (), methods)()
    return latch


def crowd_latch(lock: Lock) -> AbstractContextManager[object]:
    """Return what takes the lock without sleeping on it."""
    take = partial(lock.acquire, False)  # noqa: FBT003 - a keyword takes longer
    # Endless: the next of these that is true has taken the lock. Who has tried in vain
    # soon comes to where the owner may go on; who has not, comes there so seldom that
    # it costs nothing. All threads go round here, wherever the others are.
    steps: cycle[Callable[[], bool | None]] = cycle([take] * _TRIES + [give_way])
    enter = staticmethod(partial(next, filter(None, map(_call, steps))))
    methods = {"__enter__": enter, "__exit__": lock.__exit__}
    latch: AbstractContextManager[object] = type("CrowdLatch", (), methods)()
    return latch
