"""Two ways to take a lock in a with statement, each for its own kind of traffic.

A lock's own with statement takes a third of what a put costs, since it makes two bound
methods each time, ``__enter__`` and ``__exit__``. Here they are bound once and for all.

When threads crowd, something else matters more. The interpreter stops a thread every
few milliseconds to let another one run, and mostly in the middle of a turn. The other
soon wants the lock, sleeps on it, and is given it while the first one runs again; which
soon wants the lock, and sleeps... So each turn costs a switch of threads: a convoy. It
is not formed if nobody owns the lock but who runs. Therefore who finds it taken does
not sleep on it, but lets the owner run, who wants nothing else, and tries again.
So four threads that put and four that reserve get five times as much done.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .clock import give_way

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from threading import Lock

__all__ = ["crowd_latch", "quick_latch"]


def quick_latch(lock: Lock) -> AbstractContextManager[object]:
    """Return what takes the lock as fast as can be while nobody else wants it."""
    methods = {"__enter__": lock.__enter__, "__exit__": lock.__exit__}
    latch: AbstractContextManager[object] = type("QuickLatch", (), methods)()
    return latch


def crowd_latch(lock: Lock) -> AbstractContextManager[object]:
    """Return what takes the lock without sleeping on it."""
    acquire = lock.acquire

    def enter(_self: object) -> None:
        while not acquire(False):  # noqa: FBT003 - a keyword takes as long again
            give_way()

    methods = {"__enter__": enter, "__exit__": lock.__exit__}
    latch: AbstractContextManager[object] = type("CrowdLatch", (), methods)()
    return latch
