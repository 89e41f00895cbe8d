"""How coroutines wait: each on a future of its own, and each loop keeps time for itself.

One broker serves threads and any number of event loops in any number of threads at
once. Who waits where makes no difference to whose turn it is.

Nothing here waits for a loop. It is told from whatever thread the news comes, under the
door's lock, and hears of it in its next round; one that is blocked meanwhile delays
nobody but its own, and the jobs that they were given. A loop that is closed can be told
nothing: whoever waited in it has left the queue, and his job goes to who is next.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from math import inf
from typing import TYPE_CHECKING, Any, Self

from .checks import (
    DEFAULT_DELAY,
    DEFAULT_PRIORITY,
    DEFAULT_TTR,
    check_timeout,
)
from .consumer import Watcher
from .errors import ClosedError
from .handle import Job, Owner
from .producer import Feeder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType

    from .door import Door
    from .session import Session
    from .waiting import Pending

__all__ = ["AsyncConsumer", "AsyncProducer", "LoopLot"]


class LoopLot:
    """The coroutines that sleep in one door and one event loop.

    It is one of the door's lots while there are any. Its keeper of time is a timer of the
    loop, or nobody where the clock is moved by hand.

    Its methods want the door's lock (but for `sleep`, `wait`, `nudge`, and what the
    loop calls). What is the loop's, the futures and the timer, is only touched
    in the loop's thread.
    """

    __slots__ = ("_asleep", "_door", "_timer", "armed_for", "loop")

    def __init__(self, door: Door, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._door = door
        self._asleep: dict[Pending, None] = {}  # in order of their coming
        self._timer: asyncio.TimerHandle | None = None
        self.armed_for = -inf

    @classmethod
    def here(cls, door: Door) -> LoopLot:
        """Return the lot of the running loop.

        Raises:
            RuntimeError: No loop is running.

        Cost: O(number of loops that somebody waits in).
        """
        loop = asyncio.get_running_loop()
        for lot in door._lots:
            if isinstance(lot, cls) and lot.loop is loop:
                return lot
        return cls(door, loop)

    def enter(self, door: Door, waiter: Pending) -> None:
        """Make the bed of a waiter that the engine has let wait; in the loop."""
        waiter.lot = self
        waiter.bed = self.loop.create_future()
        if not self._asleep:
            door._lots += (self,)
        self._asleep[waiter] = None
        due_at = door._engine.due_at
        if due_at < self.armed_for or len(self._asleep) == 1:
            self._arm(due_at)
            door._reckon()
        door._sleepers_changed()
        # Left before this lot could be nudged.
        if door._notes:
            self.nudge()

    async def sleep(
        self, door: Door, waiter: Pending, then: Callable[[Any], Any]
    ) -> Any:
        """Sleep until there is an answer, and return ``then(waiter)``.

        Cancelled, it leaves the queue as if it had never asked.
        """
        try:
            await waiter.bed
            return then(waiter)
        except GeneratorExit:
            # Nobody will resume this coroutine: it may well be the collector, in
            # whatever thread, that ends it.
            door._leave_note(self._forget, waiter)
            raise
        except BaseException:
            # The waiter may have been answered all the same, just before.
            door._give_up(self, waiter)
            self._disarm_if_empty()
            raise

    async def wait(
        self,
        door: Door,
        session: Session,
        waiter: Pending,
        verb: Any,
        then: Callable[[Any], Any],
    ) -> Any:
        """Take a turn with ``verb(now, waiter)``, and `sleep` if that has no answer."""
        if door._begin_to_wait(session, self, waiter, verb):
            return await self.sleep(door, waiter, then)
        return then(waiter)

    def wake(self, door: Door, waiter: Pending) -> None:
        """Have the loop resume a waiter that was answered."""
        # First, because the loop may resume it, and look who is left, at once.
        self.leave(door, waiter)
        if waiter.bed.cancelled():
            # It will give up as soon as it runs. The next need not wait for that.
            self._withdraw(waiter)
        elif asyncio._get_running_loop() is self.loop:
            self._resume(waiter.bed)
        else:
            try:
                self.loop.call_soon_threadsafe(self._resume, waiter.bed)
            except RuntimeError:
                self._die(waiter)

    def _resume(self, bed: asyncio.Future[None]) -> None:
        if not bed.done():
            bed.set_result(None)
        self._disarm_if_empty()

    def leave(self, door: Door, waiter: Pending) -> None:
        """Strike a waiter out; the last one takes the lot with it."""
        self._asleep.pop(waiter, None)
        if not self._asleep:
            door._lots = tuple(lot for lot in door._lots if lot is not self)

    def _forget(self, _now: float, waiter: Pending) -> None:
        self._withdraw(waiter)
        self.leave(self._door, waiter)

    def _withdraw(self, waiter: Pending) -> None:
        door = self._door
        door._engine.withdraw(door._now(), waiter)

    def _die(self, *left: Pending) -> None:
        """Withdraw everybody, and who has left already: the loop is closed."""
        waiters = [*left, *self._asleep]
        # First who has no job yet, lest he be given what another has to give back.
        for waiter in sorted(waiters, key=lambda waiter: waiter.answered):
            self._withdraw(waiter)
            self.leave(self._door, waiter)

    # Time

    def _arm(self, due_at: float) -> None:
        """Have the loop look at that moment; in the loop."""
        self._disarm()
        self.armed_for = due_at
        left = self._door._clock.seconds_until(due_at)
        if left != inf:
            self._timer = self.loop.call_later(left, self._keep_time)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _disarm_if_empty(self) -> None:
        # Without the lock: nobody enters but in the loop's thread, which is this.
        if not self._asleep:
            self._disarm()

    def _keep_time(self) -> None:
        """Carry out what is due; the loop calls it."""
        door = self._door
        door._look()
        with door._lock:
            if self._asleep:
                self._arm(door._engine.due_at)  # as ThreadLot.park does
                door._reckon()
            else:
                self._disarm()

    def rearm(self, due_at: float) -> None:
        """Have the loop look again: a moment before ``armed_for`` has come up."""
        self.armed_for = due_at
        try:
            self.loop.call_soon_threadsafe(self._keep_time)
        except RuntimeError:
            self._die()

    def nudge(self) -> None:
        """Have the loop take a turn; needs no lock, and takes none."""
        with suppress(RuntimeError):  # closed: it will be found out
            self.loop.call_soon_threadsafe(self._keep_time)


class InLoop(Owner):
    """A handle for whatever loop is running. ``async with`` closes it as ``with`` does."""

    __slots__ = ()

    @property
    def _lot(self) -> LoopLot:
        return LoopLot.here(self._door)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.__exit__(exc_type, exc, traceback)


class AsyncConsumer(InLoop, Watcher):
    """A `Consumer` for coroutines. Made by `Broker.async_consumer`.

    What may wait is awaited: `reserve`, `reserve_many`, and iteration. All else is a
    plain method, as it never waits, and so is a job: ``with await consumer.reserve() as
    job``.

    `reserve` does not yield to the event loop if a job is ready, as `asyncio.Queue.get`
    does not. ``async for job in consumer`` does before each job, so that a full tube
    does not keep the loop's other tasks from running.

    A `reserve` that is cancelled, be it in the very moment in which a job is handed to
    it, has never been: the job goes back to its place, or to who waits next.

    It may be shared by event loops and by threads, which then hold their jobs in common.
    ``async with`` and ``with`` are the same: closing does not wait.
    """

    __slots__ = ()

    async def reserve(self, timeout: float | None = None) -> Job:  # noqa: ASYNC109 - the engine's
        """Same as `Consumer.reserve`, awaited."""
        found = self._reserve(check_timeout(timeout), hears_deadlines=True)
        return found if isinstance(found, Job) else await found

    async def reserve_many(self, n: int, timeout: float | None = None) -> list[Job]:  # noqa: ASYNC109 - as above
        """Same as `Consumer.reserve_many`, awaited."""
        found = self._reserve_many(n, timeout)
        return found if isinstance(found, list) else await found

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Job:
        await asyncio.sleep(0)
        try:
            found = self._reserve(None, hears_deadlines=False)
            return found if isinstance(found, Job) else await found
        except ClosedError:
            raise StopAsyncIteration from None


class AsyncProducer(InLoop, Feeder):
    """A `Producer` for coroutines. Made by `Broker.async_producer`.

    What may wait is awaited: `put`, `put_many`. All else is a plain method, as it never
    waits.

    It may be shared by event loops and by threads. ``async with`` and ``with`` are the
    same: closing does not wait.
    """

    __slots__ = ()

    async def put(  # type: ignore[override]  # what the base returns may be to await
        self,
        body: Any,
        priority: int = DEFAULT_PRIORITY,
        delay: float = DEFAULT_DELAY,
        ttr: float = DEFAULT_TTR,
        *,
        tube: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - the engine's
    ) -> int:
        """Same as `Producer.put`, awaited."""
        found: Any
        found = super().put(body, priority, delay, ttr, tube=tube, timeout=timeout)
        return found if isinstance(found, int) else await found

    async def put_many(  # type: ignore[override]  # as above
        self,
        bodies: Iterable[Any],
        priority: int = DEFAULT_PRIORITY,
        delay: float = DEFAULT_DELAY,
        ttr: float = DEFAULT_TTR,
        *,
        tube: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - as above
    ) -> list[int]:
        """Same as `Producer.put_many`, awaited."""
        found: Any
        found = super().put_many(
            bodies, priority, delay, ttr, tube=tube, timeout=timeout
        )
        return found if isinstance(found, list) else await found
