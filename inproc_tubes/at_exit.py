"""What is done as the program ends, before its threads have to have ended.

At the end of a program the interpreter first waits for all threads that are no daemons,
and then calls the functions of `atexit`. A thread that waits for a job would keep both
from happening. `threading` has a hook of its own for that, which comes before the
waiting; `concurrent.futures` ends its pools by it.
"""

from __future__ import annotations

import threading
from functools import cache
from typing import Protocol

from .weak_registry import WeakRegistry

__all__ = ["stop_at_exit"]


class Stoppable(Protocol):
    """What can be stopped: the monitor of a broker."""

    def stop(self, why: str, /) -> None:
        """Stop all consumers."""


# Weak: a broker that the program has dropped is not kept.
_monitors: WeakRegistry[Stoppable] = WeakRegistry()


def stop_at_exit(monitor: Stoppable) -> None:
    """Stop a broker as the program ends. A second call has no effect.

    Raises:
        RuntimeError: The program is ending already.
    """
    _register()
    _monitors.add(monitor)


@cache
def _register() -> None:
    threading._register_atexit(_stop_all)  # type: ignore[attr-defined]  # see above


def _stop_all() -> None:
    for monitor in _monitors:
        monitor.stop("the broker was stopped, as the program ends")
