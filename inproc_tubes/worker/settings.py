"""What a worker is told: who does the jobs of which tube, and how."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, Generic, NamedTuple

from inproc_tubes import AnyBroker
from inproc_tubes.checks import (
    check_duration,
    check_priority,
    check_seconds,
    check_timeout,
    check_tube_name,
)

from .log import Log
from .policy import Backoff

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import EllipsisType
    from typing import TypeAlias

    from typing_extensions import TypeVar

    from inproc_tubes import Job

    T = TypeVar("T", default=Any)  # the type of the bodies, as in `Job`
    Function: TypeAlias = Callable[[Job[T]], object]
else:
    from typing import TypeVar

    T = TypeVar("T")

__all__ = ["Function", "Handler", "Periodic", "Settings", "T", "check_handled"]


class Handler(NamedTuple, Generic[T]):
    """Who does the jobs of a tube."""

    function: Function[T]
    is_coroutine_function: bool
    retry: Backoff | None


class Periodic(NamedTuple):
    """A job that is put again and again."""

    seconds: float
    tube: str
    body: Any
    priority: int
    ttr: float


class Settings(Generic[T]):
    """What a worker is told, before it runs. See `Worker` for what all of it means.

    Attributes:
        worker: What it is: the name of its class.
        broker: The broker.
        handlers: Who does the jobs of which tube, by the tube's name.
        periodic: What `Worker.every` was asked for.
        max_runtime: For how many seconds a job is touched; None for ever.
        stop_timeout: The timeout of a stop that nobody has given one; None for none.
        log: Writes what happens.
    """

    def __init__(
        self,
        worker: str,
        broker: AnyBroker[T],
        handlers: Mapping[str, Function[T]] | None,
        *,
        retry: Backoff | None,
        max_runtime: float | None,
        stop_timeout: float | None,
        log_bodies: bool,
        takes_coroutines: bool,
    ) -> None:
        _check_broker(worker, broker)
        self.worker = worker
        self._takes_coroutines = takes_coroutines
        self._retry = _check_retry(retry)
        self._running = False
        self._lock = threading.Lock()  # guards ``_running``
        self.broker = broker
        self.handlers: dict[str, Handler[T]] = {}
        self.periodic: list[Periodic] = []
        self.max_runtime: float | None = (
            None if max_runtime is None else check_seconds("max_runtime", max_runtime)
        )
        self.stop_timeout: float | None = check_timeout(stop_timeout)
        self.log: Log = Log(worker, bodies=log_bodies)
        _check_handlers(handlers)
        for tube, function in (handlers or {}).items():
            self.handle([tube], function, ...)

    def handle(
        self,
        tubes: Iterable[str],
        function: Function[T],
        retry: Backoff | EllipsisType | None,
    ) -> None:
        """Let a function do the jobs of these tubes; all of them, or an error."""
        names = check_handled(tubes)
        is_coroutine_function = _returns_coroutines(function)
        if is_coroutine_function and not self._takes_coroutines:
            message = f"{function!r} is a coroutine function: that is for AsyncWorker"
            raise TypeError(message)
        used = self._retry if retry is ... else _check_retry(retry)
        self._check_not_running()
        for name in names:
            if name in self.handlers:
                message = f"the jobs of {name!r} have a handler already"
                raise ValueError(message)
        handler = Handler(function, is_coroutine_function, used)
        self.handlers |= dict.fromkeys(names, handler)

    @property
    def tubes(self) -> str:
        """The names of the tubes that have a handler."""
        return ", ".join(map(repr, self.handlers)) or "no tube"

    def repeat(
        self, seconds: float, tube: str, body: T, priority: int, ttr: float
    ) -> None:
        """Let a job be put again and again."""
        seconds = check_seconds("seconds", seconds)
        if not seconds:
            message = "seconds is more than 0"
            raise ValueError(message)
        periodic = Periodic(
            seconds,
            check_tube_name(tube),
            body,
            check_priority(priority),
            check_duration("ttr", ttr),
        )
        self._check_not_running()
        self.periodic.append(periodic)

    def _check_not_running(self) -> None:
        if self._running:
            message = f"the {self.worker} is running: tell it before"
            raise RuntimeError(message)

    # A run

    def begin(self) -> None:
        """Begin a run.

        Raises:
            RuntimeError: There is one already, or there is no handler.
        """
        if not self.handlers:
            message = f"the {self.worker} has no handlers"
            raise RuntimeError(message)
        with self._lock:
            if self._running:
                message = f"the {self.worker} is running already"
                raise RuntimeError(message)
            self._running = True

    def end(self) -> None:
        """End the run. There may be another one."""
        self._running = False


def check_handled(tubes: Iterable[object]) -> list[str]:
    """Return the names of the tubes that are to have a handler."""
    names = [check_tube_name(tube) for tube in tubes]
    if not names:
        message = "a handler is for one tube at least"
        raise TypeError(message)
    return names


def _check_broker(worker: str, broker: object) -> None:
    if not isinstance(broker, AnyBroker):
        message = f"the broker of the {worker} is a Broker, not {type(broker).__name__}"
        raise TypeError(message)


def _check_handlers(handlers: object) -> None:
    if handlers is not None and not isinstance(handlers, Mapping):
        kind = type(handlers).__name__
        message = f"handlers is a mapping of tubes' names to functions, not {kind}"
        raise TypeError(message)


def _returns_coroutines(function: object) -> bool:
    """Tell whether this is a coroutine function, or an object that is called as one."""
    if not callable(function):
        message = f"a handler is a function, not {type(function).__name__}"
        raise TypeError(message)
    return iscoroutinefunction(function) or iscoroutinefunction(function.__call__)


def _check_retry(retry: object) -> Backoff | None:
    if retry is not None and not isinstance(retry, Backoff):
        message = f"retry is a Backoff or None, not {type(retry).__name__}"
        raise TypeError(message)
    return retry
