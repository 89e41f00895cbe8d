"""Warnings of what is allowed, and yet is most likely a slip.

They are `RuntimeWarning`: the interpreter shows each once for a place in the program, and
``-W error`` raises it, before anything has changed. None is given while a lock is held,
since whatever shows warnings is user's code.
"""

from __future__ import annotations

import sys
import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType

__all__ = ["LONGEST_USUAL", "dev_mode", "runs_event_loop", "warn"]

LONGEST_USUAL = 10 * 365 * 86_400
"""The seconds of 10 years: what is longer is a time of day, most likely."""

dev_mode: bool = sys.flags.dev_mode
"""Whether the program runs in Python's development mode, ``-X dev``."""

_PACKAGE = f"{__name__.partition('.')[0]}."

# Modules that call our workers. Nobody's slip is there.
_NOBODYS = ("threading", "asyncio.events")


def warn(message: str) -> None:
    """Warn of a slip where user's code has called us, if it has.

    The message should be the same each time, so that it is shown once for each place.

    Cost: O(number of our frames).
    """
    level = 1
    frame: FrameType | None = sys._getframe()
    name = __name__
    while frame is not None and name.startswith(_PACKAGE):
        frame = frame.f_back
        name = "" if frame is None else frame.f_globals.get("__name__", "")
        level += 1
    if name not in _NOBODYS:
        warnings.warn(message, RuntimeWarning, stacklevel=level)


def runs_event_loop() -> bool:
    """Tell whether asyncio runs in this thread, without importing it. Cost: O(1)."""
    events = sys.modules.get("asyncio.events")
    # It may be just being imported.
    running = getattr(events, "_get_running_loop", None)
    return running is not None and running() is not None
