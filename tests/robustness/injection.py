"""An exception at any bytecode of the package, chosen by number.

A trace function counts the bytecodes that are executed in frames of the package, and
raises in front of the one that was chosen. Nothing else raises at so many points: the
interpreter lets a signal handler run only after calls and before loops.
"""

from __future__ import annotations

import gc
import opcode
import sys
from collections import Counter
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import get_ident
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, TypeVar

import inproc_tubes
import inproc_tubes.async_consumer  # what is imported late is looked at, too
import inproc_tubes.async_producer
import inproc_tubes.remote.aio
from tests.breaking import apart

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

R = TypeVar("R")

# Its code and its offset there. The collector need not look at a plain tuple of those;
# there are a quarter of a million of them.
Bytecode: TypeAlias = tuple[CodeType, int]

_PACKAGE = str(Path(inproc_tubes.__file__).parent)

_TOOL = 4  # of those that `sys.monitoring` has for whoever takes them; Hypothesis has 3

# The last bytecode of these hands a job to the caller. No Python code can undo anything
# after it, just as nothing can if the caller is interrupted before he has stored the
# job. The interpreter runs no signal handler there. The same holds for what subscribes.
_LAST = {
    f"{handle}.{verb}"
    for handle in ("BaseConsumer", "Consumer", "AsyncConsumer")
    for verb in (
        "reserve",
        "reserve_many",
        "reserve_nowait",
        "reserve_job",
        "__next__",
        "__anext__",
    )
} | {
    "ReserveTurn.__getitem__",
    "Broker.subscribe",
    "subscribe",
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
    def of(
        cls, frame: FrameType
    ) -> Place:  # pragma: no cover - a trace function is not traced
        """Return where a frame is."""
        code = frame.f_code
        name = opcode.opname[code.co_code[frame.f_lasti]]
        return cls(Path(code.co_filename).name, code.co_qualname, frame.f_lineno, name)

    @property
    def is_last(self) -> bool:  # pragma: no cover - a trace function is not traced
        """Whether this hands a job, or a subscription, to the caller.

        To a coroutine, the step that takes it over belongs to that: it follows at once.
        """
        if self.file == "async_consumer.py" and self.bytecode.startswith("STORE_FAST"):
            return self.function in _TAKES_OVER
        return self.bytecode == "RETURN_VALUE" and self.function in _LAST


class Tracer:
    """Calls `step` in front of each bytecode of the package, or of one of them."""

    def __init__(self, only: Bytecode | None = None) -> None:
        self._active = False
        self._only = only
        self._ours: dict[CodeType, bool] = {}

    def step(
        self, frame: FrameType, /
    ) -> None:  # pragma: no cover - a trace function is not traced
        """See a bytecode."""
        raise NotImplementedError

    def armed(self) -> _Armed | _Monitored:
        """Look at what is executed in a block of this."""
        return _Armed(self) if sys.version_info < (3, 12) else _Monitored(self)

    def call(self, verb: Callable[[], R]) -> R | None:
        """Look at a verb; return what it returns, None if it is broken off."""
        with suppress(Interrupt), self.armed():  # pragma: no branch - as the next line
            return apart(verb)  # pragma: no cover - here it is this that traces
        return None

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
    ) -> Callable[..., Any] | None:  # pragma: no cover - a trace function is not traced
        if not (self._active and self._looks_into(frame.f_code)):
            return None
        frame.f_trace_lines = False
        frame.f_trace_opcodes = True
        return self._trace

    def _looks_into(
        self, code: CodeType
    ) -> bool:  # pragma: no cover - a trace function is not traced
        if self._only is not None:
            return code is self._only[0]
        ours = self._ours.get(code)
        if ours is None:
            ours = self._ours[code] = code.co_filename.startswith(_PACKAGE)
        return ours

    def _trace(
        self, frame: FrameType, event: str, _arg: object
    ) -> Any:  # pragma: no cover - a trace function is not traced
        if (
            event == "opcode"
            and self._active
            and (self._only is None or frame.f_lasti == self._only[1])
        ):
            self.step(frame)
        return self._trace


class _Armed:
    """Sets a tracer for a block. No generator: what measures coverage would lose count."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        self._before = sys.gettrace()

    def __enter__(self) -> None:
        self._tracer._active = True
        sys.settrace(self._tracer._enter)

    def __exit__(self, *_args: object) -> None:  # pragma: no cover - as above
        sys.settrace(self._before)
        self._tracer._active = False


class _Monitored:  # pragma: no cover - coverage is measured on 3.11
    """The same since CPython 3.12, where a trace function is shown more or less.

    Which bytecodes it is shown differs from run to run there. `sys.monitoring`, which is
    newer, shows each that is executed.
    """

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        self._thread = get_ident()
        # Not by its name: a checker of types knows but 3.11.
        self._monitoring: Any = vars(sys)["monitoring"]

    def __enter__(self) -> None:
        monitoring = self._monitoring
        event = monitoring.events.INSTRUCTION
        if monitoring.get_tool(_TOOL) is None:
            monitoring.use_tool_id(_TOOL, "injection")
            for code in _CODES:
                monitoring.set_local_events(_TOOL, code, event)
        monitoring.register_callback(_TOOL, event, self._step)
        self._tracer._active = True

    def __exit__(self, *_args: object) -> None:
        self._tracer._active = False
        event = self._monitoring.events.INSTRUCTION
        self._monitoring.register_callback(_TOOL, event, None)

    def _step(self, code: CodeType, offset: int) -> None:
        tracer = self._tracer
        if (
            tracer._active
            and self._thread == get_ident()
            and tracer._looks_into(code)
            and (tracer._only is None or tracer._only[1] == offset)
        ):
            tracer.step(sys._getframe(1))


class Recorder(Tracer):
    """Lists the bytecodes that are executed.

    Attributes:
        paths: For each itself, and the one that has called its function.
    """

    def __init__(self) -> None:
        super().__init__()
        self.paths: list[tuple[Bytecode, Bytecode]] = []

    def numbered(self) -> Iterator[tuple[int, Bytecode]]:
        """Yield each of them, and the how manieth time it was executed."""
        times: Counter[Bytecode] = Counter()
        for bytecode, _ in self.paths:
            times[bytecode] += 1
            yield times[bytecode], bytecode

    def step(
        self, frame: FrameType, /
    ) -> None:  # pragma: no cover - a trace function is not traced
        """List a bytecode."""
        caller = frame.f_back
        assert caller is not None  # the verb's caller is a test
        bytecode = frame.f_code, frame.f_lasti
        self.paths.append((bytecode, (caller.f_code, caller.f_lasti)))


class Injector(Tracer):
    """Raises `Interrupt` in front of the bytecode of this number; the first is 1.

    If it is given ``only`` one of them, that alone is counted, which takes less time.

    Attributes:
        place: Where that was.
    """

    def __init__(self, number: int, only: Bytecode | None = None) -> None:
        super().__init__(only)
        self._left = number
        self.place: Place | None = None

    def step(
        self, frame: FrameType, /
    ) -> None:  # pragma: no cover - a trace function is not traced
        """Count a bytecode, and raise in front of the right one."""
        self._left -= 1
        if self._left == 0:
            self.place = Place.of(frame)
            if not self.place.is_last:
                raise Interrupt


class Visitor(Tracer):
    """Calls a function in front of the bytecode of this number, as a signal would.

    ``only`` is as for an `Injector`.
    """

    def __init__(
        self,
        number: int,
        visit: Callable[[], object],
        only: Bytecode | None = None,
    ) -> None:
        super().__init__(only)
        self._left = number
        self._visit = visit

    def step(
        self, _frame: FrameType, /
    ) -> None:  # pragma: no cover - a trace function is not traced
        """Count a bytecode, and call the function in front of the right one."""
        self._left -= 1
        if self._left == 0:
            self._visit()


def _codes() -> set[CodeType]:
    """Return what is executed in the package: functions, and what is in them."""
    codes: set[CodeType] = set()
    todo = [one.__code__ for one in gc.get_objects() if isinstance(one, FunctionType)]
    while todo:
        code = todo.pop()
        if code not in codes and code.co_filename.startswith(_PACKAGE):
            codes.add(code)
            todo += [one for one in code.co_consts if isinstance(one, CodeType)]
    return codes


# Found now: later a test may have hidden the functions from the collector.
_CODES = _codes()
