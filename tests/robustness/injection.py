"""An exception at any bytecode of the package, chosen by number.

A trace function counts the bytecodes that are executed in frames of the package, and
raises in front of the one that was chosen. Nothing else raises at so many points: the
interpreter lets a signal handler run only after calls and before loops.
"""

from __future__ import annotations

import opcode
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import inproc_tubes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import CodeType, FrameType

_PACKAGE = str(Path(inproc_tubes.__file__).parent)

# The last bytecode of these hands a job to the caller. No Python code can undo anything
# after it, just as nothing can if the caller is interrupted before he has stored the
# job. The interpreter runs no signal handler there.
_LAST = {
    f"{handle}.{verb}"
    for handle in ("BaseConsumer", "Consumer", "AsyncConsumer")
    for verb in ("reserve", "reserve_many", "reserve_job", "__next__", "__anext__")
}


_TAKES_OVER = {"AsyncConsumer.reserve", "AsyncConsumer.__anext__"}


class Interrupt(BaseException):
    """What is raised in the middle of a verb. Nothing catches it by name."""


class Place(NamedTuple):
    """Where a bytecode is."""

    file: str
    function: str
    line: int | None
    bytecode: str

    @classmethod
    def of(cls, frame: FrameType) -> Place:
        """Return where a frame is."""
        code = frame.f_code
        name = opcode.opname[code.co_code[frame.f_lasti]]
        return cls(Path(code.co_filename).name, code.co_qualname, frame.f_lineno, name)

    @property
    def is_last(self) -> bool:
        """Whether this hands a job to the caller.

        To a coroutine, the step that takes it over belongs to that: it follows at once.
        """
        if self.file == "aio.py" and self.bytecode.startswith("STORE_FAST"):
            return self.function in _TAKES_OVER
        return self.bytecode == "RETURN_VALUE" and self.function in _LAST


class Tracer:
    """Calls `step` in front of each bytecode of the package."""

    def __init__(self) -> None:
        self._active = False
        self._ours: dict[CodeType, bool] = {}

    def step(self, frame: FrameType) -> None:
        """See a bytecode."""
        raise NotImplementedError

    @contextmanager
    def armed(self) -> Iterator[None]:
        """Look at what is executed in this block."""
        before = sys.gettrace()
        self._active = True
        sys.settrace(self._enter)
        try:
            yield
        finally:
            sys.settrace(before)
            self._active = False

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Do not look in this block: it plays what another thread does."""
        active, self._active = self._active, False
        try:
            yield
        finally:
            self._active = active

    def _enter(
        self, frame: FrameType, _event: str, _arg: Any
    ) -> Callable[..., Any] | None:
        code = frame.f_code
        ours = self._ours.get(code)
        if ours is None:
            ours = self._ours[code] = code.co_filename.startswith(_PACKAGE)
        if not (ours and self._active):
            return None
        frame.f_trace_lines = False
        frame.f_trace_opcodes = True
        return self._trace

    def _trace(self, frame: FrameType, event: str, _arg: object) -> Any:
        if event == "opcode" and self._active:
            self.step(frame)
        return self._trace


class Recorder(Tracer):
    """Lists the bytecodes that are executed.

    Attributes:
        paths: For each the code and the offset of it, and those of its caller.
    """

    def __init__(self) -> None:
        super().__init__()
        self.paths: list[tuple[object, ...]] = []

    def step(self, frame: FrameType) -> None:
        """List a bytecode."""
        caller = frame.f_back
        assert caller is not None  # the verb's caller is a test
        self.paths.append((frame.f_code, frame.f_lasti, caller.f_code, caller.f_lasti))


class Injector(Tracer):
    """Raises `Interrupt` in front of the bytecode of this number; the first is 1.

    Attributes:
        place: Where that was.
    """

    def __init__(self, number: int) -> None:
        super().__init__()
        self._left = number
        self.place: Place | None = None

    def step(self, frame: FrameType) -> None:
        """Count a bytecode, and raise in front of the right one."""
        self._left -= 1
        if self._left == 0:
            self.place = Place.of(frame)
            if not self.place.is_last:
                raise Interrupt


class Visitor(Tracer):
    """Calls a function in front of the bytecode of this number, as a signal would."""

    def __init__(self, number: int, visit: Callable[[], object]) -> None:
        super().__init__()
        self._left = number
        self._visit = visit

    def step(self, frame: FrameType) -> None:  # noqa: ARG002 - the frame goes on
        """Count a bytecode, and call the function in front of the right one."""
        self._left -= 1
        if self._left == 0:
            self._visit()
