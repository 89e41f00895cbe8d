"""Break a verb of the engine off in its middle, at any bytecode of the core."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import inproc_tubes.core

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

__all__ = ["BrokenOffError", "apart", "break_off"]

R = TypeVar("R")

CORE = str(Path(inproc_tubes.core.__file__).parent)


class BrokenOffError(BaseException):
    """Stands for Ctrl-C, a ``RecursionError``, a ``MemoryError``."""


class _Breaker:
    """A trace function that raises at the n-th bytecode of the core."""

    def __init__(self, at: int) -> None:
        self.left = at

    # No tracer sees itself, so coverage.py does not see what it does either.
    def __call__(
        self, frame: FrameType, event: str, _arg: Any
    ) -> Any:  # pragma: no cover - as above
        if not frame.f_code.co_filename.startswith(CORE):
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            self.left -= 1
            if not self.left:
                raise BrokenOffError
        return self


def apart(
    verb: Callable[[], R],
) -> R:  # pragma: no cover - it runs under another tracer than coverage.py's
    """Call a verb that may be broken off, and return what it returns.

    Broken off at the end of an except block, a thread of CPython 3.11 believes for ever
    to be in that block, and chains all later exceptions to that one. A generator has
    exceptions of its own, which end with it.
    """

    def alone() -> Iterator[R]:
        yield verb()

    return next(alone())


def break_off(verb: Callable[[], object], at: int) -> object:
    """Call a verb, and raise `BrokenOffError` at the ``at``-th bytecode in the core.

    Returns:
        What the verb does, if it comes to its end before that.
    """
    before = sys.gettrace()
    # CPython 3.12 tells of bytecodes only if somebody has asked for them beforehand.
    sys._getframe().f_trace_opcodes = True
    sys.settrace(_Breaker(at))
    try:
        return apart(verb)
    finally:
        sys.settrace(before)
