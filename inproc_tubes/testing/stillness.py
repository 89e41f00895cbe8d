"""What stands still: the threads that use a clock, and where each of them stands.

How a thread is known to be blocked
    Nobody is told when a thread sleeps in C: in ``Thread.join``, ``Future.result``,
    ``Queue.get``, a socket. So it is looked at, again and again. It has run if its
    innermost frame or the place in it is another one than before, or if the operating
    system has given it time, or is about to: that tells a thread that polls, or computes
    in C, from one that is blocked. Only Linux is asked. Elsewhere a thread that polls
    with pauses looks like one that is blocked.
"""

from __future__ import annotations

import linecache
import os
import threading
from enum import Enum, auto
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import CodeType, FrameType

__all__ = ["Decision", "Stillness", "ThreadUser", "outwards", "stand"]

_PACKAGE = __name__.partition(".")[0] + "."
_STANDARD_LIBRARY = os.path.dirname(threading.__file__) + os.sep  # noqa: PTH120 - compared as text
_INSTALLED = f"{os.sep}site-packages{os.sep}"


class Decision(Enum):
    """What came of asking whether time may jump."""

    GONE_ON = auto()
    """Time has jumped, or all that waited was answered otherwise."""
    AGAIN = auto()
    """An event loop must be looked at once more, which was asked for."""
    HELD = auto()
    """Something can go on, or may be able to: ask again soon."""
    IDLE = auto()
    """Nothing waits."""


class Stillness:
    """For how long something was seen to be as it is, in real seconds.

    Attributes:
        seconds: The sum of the steps; None if it has just changed.
    """

    __slots__ = ("_seen", "_seen_at", "seconds")

    def __init__(self) -> None:
        self._seen: object = None
        self._seen_at = 0.0
        self.seconds: float | None = None

    def see(self, what: object, now: float, longest_step: float) -> None:
        """Compare it with what it was.

        Nobody may have looked for a while, as the whole process was stopped. So one
        step counts for no more than ``longest_step``.
        """
        if what != self._seen:
            self._seen = what
            self.seconds = None
        else:
            self.seconds = (self.seconds or 0) + min(now - self._seen_at, longest_step)
        self._seen_at = now


class ThreadUser:
    """A thread that has used a clock. It dies with the thread, which alone refers to it.

    Attributes:
        ident: The thread's.
        stillness: For how long it was seen to be blocked.
    """

    __slots__ = ("__weakref__", "_native_id", "ident", "stillness")

    def __init__(self) -> None:
        self.ident: int = threading.get_ident()
        self._native_id = threading.get_native_id()
        self.stillness: Stillness = Stillness()

    @property
    def name(self) -> str:
        """Its name, in words."""
        # Neither a lock, nor a new object for a thread that threading does not know.
        thread = threading._active.get(self.ident)  # type: ignore[attr-defined]  # as logging does
        return f"thread {thread.name!r}" if thread else f"thread {self.ident}"

    def see(
        self, frame: FrameType | None, patient: CodeType, now: float, step: float
    ) -> None:
        """Note whether it has run since the last look.

        Args:
            frame: Its innermost one; None if nobody knows, as of a greenlet.
            patient: Code that waits with a timeout of its own: who is in it has run.
            now: The time by a real clock.
            step: See `Stillness.see`.
        """
        seen: tuple[object, ...] = ()
        if frame is not None:
            goes_on = _takes_a_turn(frame) or _runs(frame, patient)
            work = object() if goes_on else _work_of(self._native_id)
            seen = id(frame), frame.f_lasti, work
        self.stillness.see(seen, now, step)


def _takes_a_turn(frame: FrameType) -> bool:
    """Tell whether a thread is in one of our verbs: it may wait there for a lock of ours."""
    return _is_ours(frame) and frame.f_code.co_name != "park"


def _runs(frame: FrameType, code: CodeType) -> bool:
    return any(each.f_code is code for each in outwards(frame))


def _work_of(native_id: int) -> object:
    """Return what changes when the operating system lets a thread run."""
    tasks = f"/proc/self/task/{native_id}/"
    try:
        with open(tasks + "stat", encoding="ascii", errors="replace") as stat:  # noqa: PTH123 - a hundred times as fast
            _, _, fields = stat.read().rpartition(")")
        with open(tasks + "schedstat", encoding="ascii") as times:  # noqa: PTH123 - as above
            spent, *_ = times.read().split()
    except OSError:  # this is another system, or the thread has ended
        return None
    is_running = fields.split()[0] == "R"
    return object() if is_running else spent


def outwards(frame: FrameType | None) -> Iterator[FrameType]:
    """Return the frames of a thread, the innermost one first."""
    while frame is not None:
        yield frame
        frame = frame.f_back


def stand(frames: Iterable[FrameType]) -> str:
    """Tell where somebody stands: in which line of theirs, and of the program.

    Args:
        frames: The innermost one first.
    """
    every = list(frames)
    if not every:
        return "nobody knows where"
    # A task may be made of a verb of ours itself.
    theirs = [frame for frame in every if not _is_ours(frame)] or every[-1:]
    innermost = theirs[0]
    line = linecache.getline(innermost.f_code.co_filename, _line(innermost)).strip()
    told = f"at {_where(innermost)}" + (f" ({line})" if line else "")
    if _is_of_a_library(innermost):
        for frame in theirs:
            if not _is_of_a_library(frame):
                return f"{told}, called at {_where(frame)}"
    return told


def _where(frame: FrameType) -> str:
    return f"{frame.f_code.co_filename}:{_line(frame)} in {frame.f_code.co_name}"


def _line(frame: FrameType) -> int:
    """Return the number of a frame's line. What the compiler has added is in none."""
    number: int | None = frame.f_lineno
    return frame.f_code.co_firstlineno if number is None else number


def _is_ours(frame: FrameType) -> bool:
    name: str = frame.f_globals.get("__name__", "")
    return name.startswith(_PACKAGE)


def _is_of_a_library(frame: FrameType) -> bool:
    file = frame.f_code.co_filename
    return file.startswith(_STANDARD_LIBRARY) or _INSTALLED in file
