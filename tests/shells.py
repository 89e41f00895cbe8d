"""Ways to wait: a thread's, a coroutine's, and both at once on one broker."""

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
from tests import threads
from tests.threads import LONG

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator
    from concurrent.futures import Future

    from inproc_tubes import Job

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
        self._thread = Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    def start(self, coroutine: Coroutine[Any, Any, Any]) -> Future[Any]:
        """Run a coroutine in the loop."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop)

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
        """Cancel who is left in the loop, and see that he leaves nothing behind."""
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
    """Return the list that the failures of a loop's callbacks will be in.

    The loop itself would log them, and no test would fail.
    """
    failures: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _loop, context: failures.append(context))
    return failures


def assert_nothing_scheduled(loop: asyncio.AbstractEventLoop) -> None:
    """Check that no timer is left behind."""
    timers = loop._scheduled  # type: ignore[attr-defined]  # nobody else knows
    assert [] == [timer for timer in timers if not timer.cancelled()]


def in_a_loop(
    test: Callable[..., Coroutine[Any, Any, None]],
) -> Callable[..., None]:
    """Run a test in an event loop in debug mode, and see that it leaves nothing there."""

    @wraps(test)
    def run(**fixtures: Any) -> None:
        with asyncio.Runner(debug=True) as runner:
            loop = runner.get_loop()
            failures = noted_failures(loop)
            runner.run(test(**fixtures))
            assert set() == asyncio.all_tasks(loop)
            assert_nothing_scheduled(loop)
            assert [] == failures

    return run


class InterruptingClock(FakeClock):
    """Calls ``interrupt``, if it is set, in the next thread that lies down."""

    interrupt: Callable[[], None] | None = None

    def park(self, waiter: Any, due_at: float) -> None:
        self.interrupt_if_asked()
        super().park(waiter, due_at)

    def interrupt_if_asked(self) -> None:
        interrupt, self.interrupt = self.interrupt, None
        if interrupt is not None:
            interrupt()


class Shell:
    """Makes consumers, and calls their verbs where they may block.

    Coroutines are run in two loops by turns, so that what is said of those who wait is
    said of more than one loop, too.
    """

    def __init__(self, kind: str, loops: list[LoopThread], broker: Broker) -> None:
        consumers, producers, joins = zip(*SHELLS[kind], strict=True)
        self._consumers: Iterator[Any] = cycle(consumers)
        self._producers: Iterator[Any] = cycle(producers)
        self._joins: Iterator[Any] = cycle(joins)
        self._loops = cycle(loops)
        self._broker = broker

    def consumer(self, *tubes: str) -> AnyConsumer:
        """Make a consumer of the kind whose turn it is."""
        return next(self._consumers)(self._broker, *tubes)

    def producer(self, tube: str = "default") -> AnyProducer:
        """Make a producer of the kind whose turn it is."""
        return next(self._producers)(self._broker, tube)

    def join(self, *tubes: str, timeout: float | None = None) -> Callable[[], Any]:
        """Return a join of the kind whose turn it is."""
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
        n = self._broker._engine.all_waiting
        future = self.start(verb)
        wait_until_waiting(self._broker, n + 1)
        return future

    def interrupt(
        self, verb: Callable[[], Any], meanwhile: Callable[[], object]
    ) -> None:
        """Call a verb, do something as soon as it waits, and interrupt it then.

        The verb runs in this thread and has no chance to see what was done before it is
        interrupted: a thread by Ctrl-C, a coroutine by its cancellation.
        """
        n = self._broker._engine.all_waiting

        def ctrl_c() -> None:
            assert n + 1 == self._broker._engine.all_waiting
            meanwhile()
            raise KeyboardInterrupt

        async def cancel(coroutine: Coroutine[Any, Any, Any]) -> None:
            task = asyncio.ensure_future(coroutine)
            while n == self._broker._engine.all_waiting:  # noqa: ASYNC110 - it is a test's
                await asyncio.sleep(0)
            meanwhile()
            task.cancel()
            await asyncio.wait([task])
            assert task.cancelled()

        clock = self._broker._clock
        assert isinstance(clock, InterruptingClock)
        clock.interrupt = ctrl_c  # a coroutine does not come by
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
    """Return what works off one job after the other."""

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
