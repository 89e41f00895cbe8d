"""How coroutines wait: each on a future, and each event loop keeps time for itself.

One broker serves threads and any number of event loops in any number of threads at
once. Who waits where makes no difference to whose turn it is.

Nothing here waits for a loop. It is woken from whatever thread the answer comes, with the
monitor's lock held, and goes on in its next round. A loop that is blocked meanwhile
delays only its own coroutines, and the jobs that they were given. A loop that is closed
cannot be woken: whatever waited in it is withdrawn, and its job goes to the next one.

A loop that was dropped unclosed is collected: nothing here refers to it, or to a future
of it, but weakly. A task that waits here must not be, though nobody else refers to it. So
the loop itself does, by an `Anchor`.
"""

from __future__ import annotations

import asyncio
import weakref
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Generic, TypeVar

from inproc_tubes.core.requests import NOBODY
from inproc_tubes.monitor import Deferred

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from inproc_tubes.core.engine import Engine
    from inproc_tubes.core.schedule import AnyRequest
    from inproc_tubes.monitor import Monitor

__all__ = ["Anchor", "LoopAnswer", "LoopSleepers"]

# How often an anchor asks whether it is needed.
_A_DAY = 86_400

Q = TypeVar("Q", bound="AnyRequest")
R = TypeVar("R")


class LoopSleeper:
    """A coroutine that sleeps until its request is answered."""

    __slots__ = ("_future", "_sleepers", "request")

    def __init__(
        self,
        sleepers: LoopSleepers,
        request: AnyRequest,
        future: asyncio.Future[None],
    ) -> None:
        self._sleepers = sleepers
        self.request: AnyRequest = request
        # Its end without an answer is the end of whoever waited.
        self._future = weakref.ref(
            future, partial(_withdraw_unanswered, sleepers, request)
        )

    def wake(self) -> None:
        """Wake it: its request is answered. Needs the monitor's lock."""
        sleepers = self._sleepers
        sleepers.leave(self)
        future = self._future()
        if future is None or future.cancelled():
            # It is gone, or gives up as soon as it runs. The next need not wait for that.
            sleepers.withdraw(self.request)
            return
        loop = future.get_loop()
        try:
            if asyncio._get_running_loop() is loop:
                _resume(future)
            else:
                loop.call_soon_threadsafe(_resume, future)
        except RecursionError:
            raise
        except RuntimeError:  # the loop is closed
            sleepers.die(self.request)

    def is_alive(self) -> bool:
        """Tell whether anybody could go on who waits for it."""
        future = self._future()
        return future is not None and not future.get_loop().is_closed()


class LoopAnswer(Generic[Q, R]):
    """What a coroutine awaits for its request. `withdraw` it if it is not taken."""

    __slots__ = ("_future", "_request", "_result", "_sleepers")

    def __init__(
        self,
        sleepers: LoopSleepers,
        request: Q,
        future: asyncio.Future[None],
        result: Callable[[Q], R],
    ) -> None:
        self._sleepers = sleepers
        self._request = request
        self._future = future
        self._result = result

    def __await__(self) -> Generator[object, None, R]:
        anchor = self._sleepers.anchor()
        try:
            anchor.tasks[self] = asyncio.current_task()
            yield from self._future
        finally:
            anchor.tasks.pop(self, None)
        # Or they would refer to each other, and to a job.
        self._request.sleeper = NOBODY
        return self._result(self._request)

    def withdraw(self) -> None:
        """Let the request leave the queue as if it had never been."""
        self._sleepers.withdraw(self._request)


class Anchor:
    """What an event loop refers to the tasks by that wait in it: a timer's argument.

    Attributes:
        tasks: The task of each `LoopAnswer` that is awaited.
    """

    __slots__ = ("__weakref__", "tasks")

    def __init__(self) -> None:
        self.tasks: dict[object, object] = {}

    @classmethod
    def of_running_loop(cls) -> Anchor:
        """Return that of the running loop, for all brokers."""
        loop = asyncio.get_running_loop()
        anchor = _anchors.get(loop, _gone)()
        if anchor is None:
            anchor = cls()
            anchor.stay()
            _anchors[loop] = weakref.ref(anchor)
        return anchor

    def stay(self) -> None:
        """Let the running loop refer to it for a day more."""
        asyncio.get_running_loop().call_later(_A_DAY, self.look_around)

    def look_around(self) -> None:
        """Stay if a task waits; the loop calls it."""
        if self.tasks:
            self.stay()


_anchors: weakref.WeakKeyDictionary[
    asyncio.AbstractEventLoop, Callable[[], Anchor | None]
] = weakref.WeakKeyDictionary()


def _withdraw_unanswered(
    sleepers: LoopSleepers, request: AnyRequest, _future: object
) -> None:
    if request.outcome is None:
        sleepers.withdraw(request)


def _gone() -> None:
    """Serve as the reference to a future that is not needed any more."""


def _resume(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


class LoopSleepers:
    """The coroutines that sleep in one monitor and one event loop.

    The monitor refers to it, for as long as the loop is open. The leader is a timer of
    the loop, or nobody where the clock is moved by hand.

    `enter` and `leave` need the monitor's lock. The timer is touched in the loop's thread
    alone. It is not cancelled when the last coroutine leaves, as the next one would need
    another one.
    """

    __slots__ = (
        "__weakref__",
        "_anchor",
        "_asleep",
        "_loop",
        "_lost",
        "_monitor",
        "_rings_at",
        "_timer",
        "armed_for",
    )

    def __init__(self, monitor: Monitor, loop: asyncio.AbstractEventLoop) -> None:
        # Weak, both: see the head of the module, and ThreadSleepers.
        self._monitor = weakref.ref(monitor)
        self._loop = weakref.ref(loop)
        self._asleep: dict[LoopSleeper, None] = {}  # in the order of coming
        self._anchor: Callable[[], Anchor | None] = _gone
        self._timer: Callable[[], asyncio.TimerHandle | None] = _gone
        self._rings_at = inf  # when the timer does
        self._lost: list[AnyRequest] = []  # answered when the loop was closed
        self.armed_for: float = -inf

    @classmethod
    def of_running_loop(cls, monitor: Monitor) -> LoopSleepers:
        """Return those of the running loop. Only in `enter` are new ones referred to.

        Raises:
            RuntimeError: No loop is running.

        Cost: O(number of loops that something has waited in).
        """
        loop = asyncio.get_running_loop()
        for way in monitor.ways:
            if isinstance(way, cls) and way._loop() is loop:
                return way
        return cls(monitor, loop)

    def is_over(self) -> bool:
        """Tell whether nothing sleeps here, and nothing will."""
        loop = self._loop()
        return not self._asleep and (loop is None or loop.is_closed())

    def enter(
        self, monitor: Monitor, request: Q, result: Callable[[Q], R]
    ) -> LoopAnswer[Q, R]:
        """Let the running coroutine be woken for a request that the engine let wait.

        Returns:
            What it awaits, for ``result(request)``.
        """
        # See ThreadSleepers.enter.
        self._monitor = weakref.ref(monitor)
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        request.sleeper = sleeper = LoopSleeper(self, request, future)
        if self not in monitor.ways:
            monitor.ways = (
                *(
                    w
                    for w in monitor.ways
                    if not (isinstance(w, type(self)) and w.is_over())
                ),
                self,
            )
        due_at = monitor.engine.schedule.due_at
        leads = not self._asleep or due_at < self.armed_for
        self._asleep[sleeper] = None
        if leads:
            self._lead(monitor, loop, due_at)
            monitor.rearm()
        monitor.sleepers_changed()
        return LoopAnswer(self, request, future, result)

    def anchor(self) -> Anchor:
        """Return what keeps the tasks of the running loop that wait."""
        anchor = self._anchor()
        if anchor is None:
            anchor = Anchor.of_running_loop()
            self._anchor = weakref.ref(anchor)
        return anchor

    def leave(self, sleeper: LoopSleeper) -> None:
        """Let a coroutine be woken no more. Twice has no effect."""
        self._asleep.pop(sleeper, None)
        if not self._asleep:
            self.armed_for = -inf

    async def wait(
        self,
        monitor: Monitor,
        verb: Callable[[float, Q], None],
        request: Q,
        result: Callable[[Q], R],
    ) -> R:
        """Take a turn with ``verb(now, request)``, and sleep if it has no answer yet.

        Cancelled, it leaves the queue as if it had never asked.

        Returns:
            ``result(request)``.
        """
        try:
            answer = self.ask(monitor, verb, request, result)
            return result(request) if answer is None else await answer
        except BaseException:
            self.withdraw(request)
            raise

    def ask(
        self,
        monitor: Monitor,
        verb: Callable[[float, Q], None],
        request: Q,
        result: Callable[[Q], R],
    ) -> LoopAnswer[Q, R] | None:
        """Take a turn with ``verb(now, request)``.

        Returns:
            What is awaited for ``result(request)``, None if it is there already.
        """

        def turn(now: float) -> LoopAnswer[Q, R] | None:
            verb(now, request)
            if request.outcome is None:
                return self.enter(monitor, request, result)
            return None

        return monitor.run(turn)

    def withdraw(self, request: AnyRequest) -> None:
        """Let a request leave the queue as soon as it can, as if it had never been.

        This may be the collector, which drops a coroutine that nobody will resume, in
        whatever thread and in the middle of a turn.
        """
        monitor = self._monitor()
        if monitor is not None:  # the collector has not got it
            engine = monitor.engine
            monitor.defer(lambda now: engine.dispatch.withdraw(now, request))

    def die(self, *answered: AnyRequest) -> None:
        """Withdraw everything that cannot go on: the loop is closed."""
        self._lost += answered
        monitor = self._monitor()
        if monitor is not None:
            engine = monitor.engine
            # At the end of this turn or, where it is another thread's, of the next one.
            # `defer` would nudge this very loop again, and so for ever.
            monitor.turn.after.append(
                Deferred(lambda now: self._withdraw_lost(now, engine))
            )

    def _withdraw_lost(self, now: float, engine: Engine) -> None:
        # First those without a job, lest they be given what others give back.
        for sleeper in list(self._asleep):
            if not sleeper.is_alive():
                engine.dispatch.withdraw(now, sleeper.request)
        while self._lost:
            engine.dispatch.withdraw(now, self._lost[0])
            del self._lost[0]

    # Keeping time

    def _lead(
        self, monitor: Monitor, loop: asyncio.AbstractEventLoop, due_at: float
    ) -> None:
        """Have the loop look at that moment, if not before; in the loop."""
        self.armed_for = due_at
        monitor.reckon()
        if due_at < self._rings_at:
            # In this order, lest a timer be believed in that there is not.
            self._rings_at = inf
            timer = self._timer()
            if timer is not None:
                timer.cancel()
            left = monitor.clock.seconds_until(due_at)
            if left != inf:
                # Weak as well: a timer refers to its loop.
                self._timer = weakref.ref(
                    loop.call_later(left, _ring, weakref.ref(self))
                )
                self._rings_at = due_at

    def keep_time(self) -> None:
        """Carry out what is due; the loop calls it."""
        monitor = self._monitor()
        loop = self._loop()
        if monitor is not None and loop is not None:
            monitor.look()
            with monitor.guard:
                if self._asleep:
                    self._lead(monitor, loop, monitor.engine.schedule.due_at)

    def ring(self) -> None:
        """Carry out what is due; the timer calls it."""
        self._timer = _gone
        self._rings_at = inf
        self.keep_time()

    def rearm(self, due_at: float) -> None:
        """Have the loop look again: something is due before ``armed_for``."""
        self.armed_for = due_at
        self.nudge()

    def nudge(self) -> None:
        """Have the loop take a turn; needs no lock, and takes none."""
        loop = self._loop()
        try:
            if loop is not None:
                loop.call_soon_threadsafe(_keep_time, weakref.ref(self))
                return
        except RecursionError:
            raise
        except RuntimeError:  # the loop is closed
            pass
        self.die()

    def recover(self) -> None:
        """Have the loop look around, after a turn was broken off."""
        if self._asleep:
            self.nudge()
        else:
            self.armed_for = -inf


def _ring(sleepers: weakref.ref[LoopSleepers]) -> None:
    found = sleepers()
    if found is not None:
        found.ring()


def _keep_time(sleepers: weakref.ref[LoopSleepers]) -> None:
    found = sleepers()
    if found is not None:
        found.keep_time()
