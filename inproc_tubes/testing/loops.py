"""The event loops that use a clock: whether each of them is idle, and what for.

How a loop is known to be idle
    It is looked at in a callback of its own. If nothing else is to be called, and all of
    its tasks wait, each for the same future as before, nothing can run in it until
    something comes from outside.

How long a loop is known to be idle
    A callback may come and go between two looks, and neither sees it. So a look asks for
    the next one first, and sees then that the loop has nothing else to call. Nothing runs
    between two such looks, and a row of them is a time in which the loop was idle.

What comes from outside
    A task that waits for a broker of the clock, or for a client's connection to a fake
    of its, is woken by a jump. One that waits for another task, a lock, an event or a queue
    is woken by somebody else in the loop. All others are woken from outside, by a thread,
    a process or a network: time does not jump over their heads. So it is with a timer of
    the loop that is due before.

All of this is seen from Python alike for asyncio's loops and for uvloop's. The latter hide
their callbacks, timers and transports, but let the collector, and us, find them.
"""

from __future__ import annotations

import asyncio
import gc
import types
import weakref
from collections import deque
from concurrent.futures import Future
from math import inf
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from inproc_tubes.future import JobFuture
from inproc_tubes.waiting.coroutines import Anchor, LoopAnswer, _ring

from .stillness import Decision, Stillness, stand

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import FrameType

    from .stillness import ThreadUser

__all__ = ["LoopUser", "is_idle_timer", "timers_of"]

# So often a loop is looked at without a pause while its tasks, or another loop, can run.
_SPINS = 100

# What asyncio's loops call when another thread has woken them.
_OF_A_WAKE_UP = {"_loop_self_reading", "_read_from_self"}

# Whoever waits in these modules waits for something else in the loop.
_WITHIN = {
    "asyncio.locks",
    "asyncio.mixins",
    "asyncio.queues",
    "asyncio.runners",
    "asyncio.taskgroups",
    "asyncio.tasks",
    "asyncio.timeouts",
}
# In anyio some functions do, and others wait for a thread or a network.
_ANYIO = "anyio._backends._asyncio"
_WITHIN_ANYIO = {"__aexit__", "_call_in_runner_task", "acquire", "wait"}
_OUT_OF_ANYIO = {"run_sync_in_worker_thread"}
# And here for a process.
_OUT = {"asyncio.base_subprocess", "asyncio.subprocess", "asyncio.unix_events"}

# What a timer calls that somebody waits for: sleep, timeout, wait, and anyio's timeout.
_AWAITED_TIMERS = {
    "_set_result_unless_cancelled",
    "Timeout._on_timeout",
    "_release_waiter",
    "CancelScope._timeout",
}


class Stamps(Protocol):
    """What tells what was before what."""

    @property
    def changed_at(self) -> int:
        """The stamp of the last that anybody did."""

    def stamp(self) -> int:
        """Return a number that is higher than any before."""

    def note_change(self) -> None:
        """Note that something has run."""


class JumpingClock(Protocol):
    """The clock, as a loop that uses it sees it."""

    @property
    def _users(self) -> Stamps: ...

    def _jump_if_all_wait(self) -> Decision:
        """Let time jump if everybody waits."""

    def _look_later(self) -> None:
        """Have the loops looked at again in a moment."""


class Wait(NamedTuple):
    """What a task waits for."""

    text: str
    outside: bool
    """Whether nobody knows when it is over."""


def _nobody() -> None:
    """Serve as the reference to a thread that is not known yet."""


class LoopUser:
    """An event loop that uses a clock.

    Attributes:
        thread: Returns the thread that it last ran in, if that is alive.
        is_asked: Whether the loop has still to look.
        idle_since: A stamp after the first look of the row that found it idle, since the
            last that anybody did; 0 if it was not idle.
        idle_until: A stamp before the last look of that row. All that was sent to the
            loop before this had come when it looked.
        is_outside: Whether one of its tasks waits for something outside, when idle.
        timer: In how many seconds its first timer is due, and whether a task waits for it.
        stillness: For how long it was idle.
        waiting: Which task waits for which future, and for which timers the loop, when
            idle.
    """

    def __init__(self, clock: JumpingClock, loop: asyncio.AbstractEventLoop) -> None:
        # Weak, both: this ends with the one or the other.
        self._clock = weakref.ref(clock)
        self._loop = weakref.ref(loop)
        self.thread: Callable[[], ThreadUser | None] = _nobody
        self.is_asked: bool = False
        self.idle_since: int = 0
        self.idle_until: int = 0
        self.is_outside: bool = False
        self.timer: tuple[float, bool] = (inf, False)
        self.stillness: Stillness = Stillness()
        self.waiting: object = None
        # Whether nothing runs in the loop between the last look and the next.
        self._in_a_row = False
        self._spins = 0

    @property
    def is_running(self) -> bool:
        """Whether the loop runs now."""
        loop = self._loop()
        return loop is not None and loop.is_running()

    def ask(self) -> None:
        """Have the loop look, after all that was sent to it before."""
        loop = self._loop()
        if self.is_asked or loop is None:
            return
        self.is_asked = True
        try:
            if asyncio._get_running_loop() is loop:
                loop.call_soon(self._look)
            else:
                loop.call_soon_threadsafe(self._look)
        except BaseException as error:
            self.is_asked = False
            if not isinstance(error, RuntimeError):  # that it was closed
                raise

    def _look(self) -> None:
        in_a_row, self._in_a_row = self._in_a_row, False
        self.is_asked = False
        clock, loop = self._clock(), self._loop()
        if clock is None or loop is None:
            return
        tasks = self._see_tasks(clock, loop, in_a_row=in_a_row)
        decision = Decision.AGAIN if tasks is None else clock._jump_if_all_wait()
        self._spins = self._spins + 1 if decision is Decision.AGAIN else 0
        if self._spins == _SPINS:
            self._spins = 0
            decision = Decision.HELD
        if decision in {Decision.GONE_ON, Decision.AGAIN}:
            self.ask()
            self._in_a_row = tasks is not None and _looks_next(loop)
        elif decision is Decision.HELD:
            clock._look_later()

    def _see_tasks(
        self, clock: JumpingClock, loop: asyncio.AbstractEventLoop, *, in_a_row: bool
    ) -> dict[asyncio.Task[Any], asyncio.Future[Any]] | None:
        """Note since when the loop is idle, and return the tasks; None if it is not."""
        users = clock._users
        # What is sent to the loop from now on may not be seen; what was sent before is.
        stamp = users.stamp()
        tasks = None if _has_callbacks(loop) else _waiting_tasks(loop)
        timers = timers_of(loop)
        waiting = None if tasks is None else _weakly(tasks, timers)
        if tasks is None or waiting != self.waiting:
            self.waiting = waiting
            self.idle_since = 0
            users.note_change()
            return tasks
        if not in_a_row or self.idle_since <= users.changed_at:
            self.idle_since = users.stamp()
        self.idle_until = stamp
        waits = _waits(loop, tasks, clock)
        self.is_outside = any(wait.outside for _, wait in waits)
        self.timer = _first_timer(loop, timers)
        return tasks

    def see(self, left: float, now: float, step: float) -> list[Stillness]:
        """Look at it as it is idle.

        Args:
            left: In how many seconds something is due, by the clock that it uses.
            now: See `Stillness.see`.
            step: See `Stillness.see`.

        Returns:
            For how long it was idle, if something may come from elsewhere before.
        """
        self.stillness.see(self.waiting, now, step)
        timer_left, is_awaited = self.timer
        if timer_left < left and is_awaited:
            return [Stillness()]  # something does come
        is_held = self.is_outside or timer_left < left
        return [self.stillness] if is_held else []

    def describe(self, thread: str, clock: object) -> Iterator[str]:
        """Tell for each task what it waits for."""
        loop = self._loop()
        tasks = None if loop is None else _waiting_tasks(loop)
        if loop is None or tasks is None:
            return
        for task, wait in _waits(loop, tasks, clock):
            yield f"{thread}, task {task.get_name()!r}: {wait.text}"
        for _, timer in timers_of(loop):
            yield f"{thread}, a timer of the loop: {timer!r}"


# Tasks


def _waiting_tasks(
    loop: asyncio.AbstractEventLoop,
) -> dict[asyncio.Task[Any], asyncio.Future[Any]] | None:
    """Return the future that each task waits for; None if one of them can run."""
    waiting = {}
    for task in asyncio.all_tasks(loop):
        future = task._fut_waiter  # type: ignore[attr-defined]  # nobody else knows
        if future is None or future.done():
            return None
        waiting[task] = future
    return waiting


def _weakly(tasks: dict[Any, Any], timers: list[tuple[float, Any]]) -> object:
    """Return what is equal as long as nothing runs, and keeps none of them alive.

    A timer that is due is gone before it is run.
    """
    pairs = [(weakref.ref(task), weakref.ref(future)) for task, future in tasks.items()]
    return frozenset(pairs), frozenset(weakref.ref(handle) for _, handle in timers)


def _waits(
    loop: asyncio.AbstractEventLoop,
    tasks: dict[asyncio.Task[Any], asyncio.Future[Any]],
    clock: object,
) -> Iterator[tuple[asyncio.Task[Any], Wait]]:
    """Tell what each task waits for."""
    is_connected = _has_transports(loop)
    for task, future in tasks.items():
        yield task, _wait_of(task, future, clock, is_connected=is_connected)


def _wait_of(
    task: asyncio.Task[Any],
    future: asyncio.Future[Any],
    clock: object,
    *,
    is_connected: bool,
) -> Wait:
    """Tell what a task waits for.

    Args:
        task: The task.
        future: What it waits for, directly.
        clock: Whose brokers are meant.
        is_connected: Whether anything might come over a network.
    """
    frames = list(_frames(task.get_coro()))
    if not frames:
        return Wait("nobody knows what", outside=True)
    at = stand(reversed(frames))
    answer = frames[-1].f_locals.get("self")
    if isinstance(answer, LoopAnswer):
        monitor = answer._sleepers._monitor()
        ours = monitor is not None and monitor.clock is clock
        verb = answer._request.describe()
        return Wait(f"{verb}, {at}", outside=not ours)
    causes = list(_futures(future, frames[-1]))
    twins = [twin for cause in causes for twin in _twins(cause)]
    is_of_jobs = [_is_of_a_job(twin, clock) for twin in twins]
    module = frames[-1].f_globals.get("__name__", "")
    function = frames[-1].f_code.co_name
    if (
        module in _OUT
        or (module == _ANYIO and function in _OUT_OF_ANYIO)
        or not all(is_of_jobs)
    ):
        return Wait(f"a thread or process, {at}", outside=True)
    if module == "asyncio.streams":
        transport = getattr(answer, "_transport", None)
        command = getattr(transport, "waits_for", None)
        return Wait(f"{command or 'a connection'}, {at}", outside=command is None)
    is_within = (
        module in _WITHIN
        or (module == _ANYIO and function in _WITHIN_ANYIO)
        or any(isinstance(cause, asyncio.Task) for cause in causes)
        or any(is_of_jobs)
        or not is_connected
    )
    return Wait(f"{future!r}, {at}", outside=not is_within)


def _frames(awaited: object) -> Iterator[FrameType]:
    """Return the frames of what waits for one another, the innermost one last."""
    while awaited is not None:
        frame = None
        for kind in "cr", "gi", "ag":
            frame = getattr(awaited, f"{kind}_frame", None)
            if frame is not None:
                yield frame
                inner = "gi_yieldfrom" if kind == "gi" else f"{kind}_await"
                awaited = getattr(awaited, inner)
                break
        if frame is None:
            # What wraps a coroutine or a generator, in C, has no attribute for it.
            awaited = next(filter(_is_awaited, gc.get_referents(awaited)), None)


def _is_awaited(value: object) -> bool:
    return isinstance(value, (types.CoroutineType, types.AsyncGeneratorType))


def _futures(future: Any, frame: FrameType) -> Iterator[Any]:
    """Return all that a task waits for by this future, as far as one can see."""
    yield future
    yield from getattr(future, "_children", ())  # of a gather
    for callback in _callbacks(future):
        if getattr(callback, "__name__", "") == "_outer_done_callback":  # of a shield
            yield from filter(asyncio.isfuture, _closure(callback))
    if frame.f_globals.get("__name__") == "asyncio.tasks":  # wait, wait_for
        for value in frame.f_locals.values():
            inner: Iterable[Any] = value if isinstance(value, (set, list)) else (value,)
            yield from filter(asyncio.isfuture, inner)


def _twins(future: Any) -> Iterator[Any]:
    """Return the future of a thread, a job or another loop whose twin it is, if any."""
    for callback in _callbacks(future):
        if getattr(callback, "__name__", "") == "_call_check_cancel":
            yield from filter(_is_future, _closure(callback))


def _is_future(value: object) -> bool:
    return isinstance(value, Future) or asyncio.isfuture(value)


def _is_of_a_job(future: Any, clock: object) -> bool:
    """Tell whether it is of a job that was submitted to a broker of the clock.

    That is done by a verb of the broker, or as time passes.
    """
    monitor = future._monitor() if isinstance(future, JobFuture) else None
    return monitor is not None and monitor.clock is clock


def _closure(function: Any) -> list[Any]:
    return [cell.cell_contents for cell in function.__closure__ or ()]


def _callbacks(future: Any) -> list[Any]:
    # Another library's may have none that we know of.
    return [callback for callback, _ in getattr(future, "_callbacks", None) or ()]


# Callbacks, timers and transports


def _called_next(loop: Any) -> list[list[Any]]:
    """Return what each callback refers to that a loop will call next."""
    ready: Iterable[Any] | None = getattr(loop, "_ready", None)
    if ready is None:  # uvloop's
        found = gc.get_referents(loop)
        ready = next((each for each in found if type(each) is deque), ())
    return [gc.get_referents(each) for each in list(ready) if not each.cancelled()]


def _has_callbacks(loop: Any) -> bool:
    """Tell whether a loop has something to call, but for our looking at it.

    Asking a sleeping loop to look also wakes it, and it has to read the byte that did so.
    """
    return not all(
        _is_a_look(parts) or _is_of_a_wake_up(parts, loop)
        for parts in _called_next(loop)
    )


def _looks_next(loop: Any) -> bool:
    """Tell whether nothing is called before our next look at a loop."""
    is_asked = any(map(_is_a_look, _called_next(loop)))
    return is_asked and not _has_callbacks(loop)


def _is_a_look(parts: list[Any]) -> bool:
    return any(getattr(part, "__func__", None) is LoopUser._look for part in parts)


def _is_of_a_wake_up(parts: list[Any], loop: Any) -> bool:
    return any(
        getattr(part, "__name__", "") in _OF_A_WAKE_UP
        and getattr(part, "__self__", None) is loop
        for part in parts
    )


def timers_of(loop: Any) -> list[tuple[float, Any]]:
    """Return the timers of a loop itself that somebody may wait for, and when they are due.

    That is by the loop's own clock.
    """
    handles: Iterable[Any] = getattr(loop, "_scheduled", None) or (
        handle
        for handles in gc.get_referents(loop)
        if type(handles) is set
        for handle in handles
        if hasattr(handle, "when")
    )
    return [
        (handle.when(), handle)
        for handle in handles
        if not handle.cancelled() and not is_idle_timer(handle)
    ]


def _parts(handle: Any) -> tuple[Any, list[Any]]:
    """Return what a timer calls, and all that it refers to."""
    callback = getattr(handle, "_callback", None)
    if callback is not None:
        return callback, list(handle._args)
    callback, arguments, *_ = gc.get_referents(handle)  # uvloop's
    return callback, list(arguments or ())


def is_idle_timer(handle: Any) -> bool:
    """Tell whether a timer is one of ours that nothing comes of."""
    callback, arguments = _parts(handle)
    if callback is _ring:
        sleepers = arguments[0]()
        return sleepers is None or not sleepers._asleep
    return isinstance(getattr(callback, "__self__", None), Anchor)


def _first_timer(
    loop: asyncio.AbstractEventLoop, timers: list[tuple[float, Any]]
) -> tuple[float, bool]:
    """Return in how many seconds a timer is due, and whether a task waits for it."""
    if not timers:
        return inf, False
    when, handle = min(timers, key=lambda timer: timer[0])
    name = getattr(_parts(handle)[0], "__qualname__", "")
    left = when - type(loop).time(loop)
    return left, name in _AWAITED_TIMERS


def _has_transports(loop: Any) -> bool:
    """Tell whether anything might come over a network, but for new connections."""
    selector: Any = getattr(loop, "_selector", None)
    if hasattr(selector, "get_map"):
        own = loop._ssock.fileno()
        return any(
            key.fd != own and not _accepts(key.data)
            for key in selector.get_map().values()
        )
    # uvloop's; another loop than these two is believed to have one.
    is_known = False
    for found in gc.get_referents(loop):
        if isinstance(found, weakref.WeakValueDictionary):
            if len(found):
                return True
            is_known = True
    return not is_known


def _accepts(data: tuple[Any, Any]) -> bool:
    """Tell by what the loop will call whether that is a server's socket."""
    reader, _ = data
    name = getattr(getattr(reader, "_callback", None), "__name__", "")
    return name == "_accept_connection"
