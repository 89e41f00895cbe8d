"""The names of handles: what they are called whose users give them none."""

from __future__ import annotations

import sys
import threading

__all__ = ["check_name", "name_here"]


def check_name(value: object) -> str | None:
    """Return the name for a handle, None for that of whoever makes it."""
    if value is None:
        return None
    if not isinstance(value, str):
        message = f"a handle's name is a str, not {type(value).__name__}"
        raise TypeError(message)
    if not value:
        message = "a handle's name is not empty"
        raise ValueError(message)
    return value


def name_here() -> str:
    """Return the name of the task that runs here, or else of the thread. Cost: O(1)."""
    asyncio = sys.modules.get("asyncio")
    # While another thread imports it for the first time, it has not all of its names.
    running = getattr(asyncio, "_get_running_loop", None)
    if running is not None and running() is not None:
        task = asyncio.current_task()  # type: ignore[union-attr]  # it is there, see above
        if task is not None:
            name: str = task.get_name()
            return name
    return threading.current_thread().name
