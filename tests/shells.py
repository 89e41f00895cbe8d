"""The two ways to wait, in threads and in event loops, and a clock for both."""

from __future__ import annotations

import asyncio
import inspect
from contextlib import ExitStack, contextmanager
from functools import partial, wraps
from itertools import cycle
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

import pytest

from inproc_tubes import AsyncConsumer, Broker, Consumer
from inproc_tubes.testing import FakeClock, wait_until_waiting
from inproc_tubes.waiting.coroutines import Anchor, _anchors, _ring
from tests import threads
from tests.threads import LONG

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator
    from concurrent.futures import Future

    from inproc_tubes import Job
    from inproc_tubes.clock import Parked

AnyConsumer = Any  # a Consumer, or an AsyncConsumer
AnyProducer = Any  # a Producer, or an AsyncProducer

THREADS = (Broker.consumer, Broker.producer, Broker.join)
COROUTINES = (Broker.async_consumer, Broker.async_producer, Broker.async_join)
SHELLS = {
    "threads": (THREADS,),
    "coroutines": (COROUTINES,),
    "both": (THREADS, COROUTINES),
}


class LoopThread:
    """An event loop in debug mode that runs in a thread of its own."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.loop.set_debug(True)
        self._failures = noted_failures(self.loop)
        # A loop refers to its tasks weakly.
        self._running: set[Future[Any]] = set()
        self._thread = Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    def start(self, coroutine: Coroutine[Any, Any, Any]) -> Future[Any]:
        """Run a coroutine in the loop."""
        future = asyncio.run_coroutine_threadsafe(coroutine, self.loop)
        self._running.add(future)
        future.add_done_callback(self._running.discard)
        return future

    @contextmanager
    def blocked(self) -> Iterator[None]:
        """Keep the loop from running anything."""
        begun, end = Event(), Event()

        def block() -> None:
            begun.set()
            assert end.wait(LONG)

        self.loop.call_soon_threadsafe(block)
        assert begun.wait(LONG)
        try:
            yield
        finally:
            end.set()

    def close(self) -> None:
        """Cancel what is left in the loop, and check that nothing stays behind."""
        self.start(self._cancel_all()).result(LONG)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(LONG)
        assert_nothing_scheduled(self.loop)
        self.loop.close()
        assert [] == self._failures

    async def _cancel_all(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def noted_failures(loop: asyncio.AbstractEventLoop) -> list[dict[str, Any]]:
    """Return the list that will contain the failures of a loop's callbacks.

    The loop itself would log them, and no test would fail.
    """
    failures: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _loop, context: failures.append(context))
    return failures


def timers_of(loop: asyncio.AbstractEventLoop) -> list[Any]:
    """Return the timers that a loop has, besides that of its `Anchor`."""
    scheduled = loop._scheduled  # type: ignore[attr-defined]  # nobody else knows
    return [
        timer
        for timer in scheduled
        if not timer.cancelled()
        and not isinstance(getattr(timer._callback, "__self__", None), Anchor)
    ]


def assert_nothing_scheduled(loop: asyncio.AbstractEventLoop) -> None:
    """Check that no timer is left but one for each broker, which it refers to weakly."""
    timers = timers_of(loop)
    assert [] == [timer for timer in timers if timer._callback is not _ring]
    found = [timer._args[0]() for timer in timers]
    sleepers = [each for each in found if each is not None]
    assert len(sleepers) == len(set(sleepers))


def in_a_loop(
    test: Callable[..., Coroutine[Any, Any, None]],
) -> Callable[..., None]:
    """Run a test in an event loop in debug mode, and check that nothing stays there."""

    @wraps(test)
    def run(**fixtures: Any) -> None:
        with asyncio.Runner(debug=True) as runner:
            loop = runner.get_loop()
            failures = noted_failures(loop)
            runner.run(test(**fixtures))
            assert set() == asyncio.all_tasks(loop)
            anchor = _anchors.get(loop, lambda: None)()
            assert anchor is None or {} == anchor.tasks
            assert_nothing_scheduled(loop)
            assert [] == failures

    return run


class InterruptingClock(FakeClock):
    """Calls ``interrupt``, if it is set, in the next thread that parks."""

    interrupt: Callable[[], None] | None = None

    def park(self, sleeper: Parked, until: float) -> None:
        self.interrupt_if_asked()
        super().park(sleeper, until)

    def interrupt_if_asked(self) -> None:
        interrupt, self.interrupt = self.interrupt, None
        if interrupt is not None:
            interrupt()


class Shell:
    """Makes handles, and calls their verbs where they may block.

    Coroutines run in two loops by turns, so that each test is about more than one loop.
    """

    def __init__(self, kind: str, loops: list[LoopThread], broker: Broker) -> None:
        consumers, producers, joins = zip(*SHELLS[kind], strict=True)
        self._consumers: Iterator[Any] = cycle(consumers)
        self._producers: Iterator[Any] = cycle(producers)
        self._joins: Iterator[Any] = cycle(joins)
        self._loops = cycle(loops)
        self._broker = broker

    def consumer(self, *tubes: str) -> AnyConsumer:
        """Make a consumer of the next kind."""
        return next(self._consumers)(self._broker, *tubes)

    def producer(self, tube: str = "default") -> AnyProducer:
        """Make a producer of the next kind."""
        return next(self._producers)(self._broker, tube)

    def join(self, *tubes: str, timeout: float | None = None) -> Callable[[], Any]:
        """Return a join of the next kind."""
        return partial(next(self._joins), self._broker, *tubes, timeout=timeout)

    def start(self, verb: Callable[[], Any]) -> Future[Any]:
        """Call a verb in a thread of its own or, if it is awaited, in a loop."""
        loop = next(self._loops)

        def call() -> Any:
            result = verb()
            if inspect.iscoroutine(result):
                result = loop.start(result).result()
            return result

        return threads.start(call)

    def waiting(self, verb: Callable[[], Any]) -> Future[Any]:
        """Do the same, and return once it waits."""
        n = self._broker._monitor.waiting
        future = self.start(verb)
        wait_until_waiting(self._broker, n + 1)
        return future

    def interrupt(
        self, verb: Callable[[], Any], meanwhile: Callable[[], object]
    ) -> None:
        """Call a verb in this thread, do something once it waits, and interrupt it.

        A thread is interrupted by Ctrl-C, a coroutine by its cancellation. Neither runs
        between ``meanwhile`` and the interruption.
        """
        n = self._broker._monitor.waiting

        def ctrl_c() -> None:
            assert n + 1 == self._broker._monitor.waiting
            meanwhile()
            raise KeyboardInterrupt

        async def cancel(coroutine: Coroutine[Any, Any, Any]) -> None:
            task = asyncio.ensure_future(coroutine)
            while n == self._broker._monitor.waiting:  # noqa: ASYNC110 - nothing tells it in this thread
                await asyncio.sleep(0)
            meanwhile()
            task.cancel()
            await asyncio.wait([task])
            assert task.cancelled()

        clock = self._broker._monitor.clock
        assert isinstance(clock, InterruptingClock)
        clock.interrupt = ctrl_c  # no coroutine parks
        try:
            coroutine = verb()
        except KeyboardInterrupt:
            return
        clock.interrupt = None
        asyncio.run(cancel(coroutine), debug=True)

    def run(self, verb: Callable[[], Any]) -> Any:
        """Call a verb that need not wait, and return its result."""
        return self.start(verb).result(LONG)


def step(consumer: AnyConsumer) -> Callable[[], Any]:
    """Return what takes one step of an iteration."""
    if isinstance(consumer, Consumer):
        return lambda: next(consumer)
    return lambda: anext(consumer)


def each(consumer: AnyConsumer, work: Callable[[Job], None]) -> Callable[[], Any]:
    """Return what does one job after the other."""

    def loop() -> None:
        for job in consumer:
            work(job)

    async def async_loop() -> None:
        async for job in consumer:
            work(job)

    return async_loop if isinstance(consumer, AsyncConsumer) else loop


@pytest.fixture
def loops() -> Iterator[list[LoopThread]]:
    """Two event loops, each in a thread of its own."""
    with ExitStack() as stack:
        loops = []
        for _ in range(2):
            loops.append(LoopThread())
            stack.callback(loops[-1].close)
        yield loops


@pytest.fixture(params=SHELLS)
def shell(
    request: pytest.FixtureRequest, loops: list[LoopThread], broker: Broker
) -> Shell:
    """Let the test be about threads, about coroutines, and about both together."""
    return Shell(request.param, loops, broker)
