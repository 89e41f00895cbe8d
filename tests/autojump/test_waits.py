"""What a task waits for: something in the loop, or something outside of it."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import weakref
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import pytest

from inproc_tubes import Broker, TimedOutError
from inproc_tubes.testing import FakeClock
from inproc_tubes.testing.loops import LoopUser, _waits, timers_of
from tests.autojump.shared import run_in

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine


class World:
    """What a task may wait for."""

    def __init__(self) -> None:
        self.clock = FakeClock(autojump=True)
        self.broker: Broker[Any] = Broker(clock=self.clock)
        self.elsewhere: Broker[Any] = Broker()
        self.outside: Future[None] = Future()  # what a thread of an executor waits for
        self.event = asyncio.Event()

    def end(self) -> None:
        """Let all end that waits."""
        self.outside.set_result(None)
        self.event.set()
        self.broker.close()
        self.elsewhere.close()

    def in_executor(self) -> asyncio.Future[None]:
        """Return what a thread will resolve."""
        loop = asyncio.get_running_loop()
        return loop.run_in_executor(None, self.outside.result)


async def wait_for_event(w: World) -> None:
    await w.event.wait()


async def wait_for_lock(w: World) -> None:
    lock = asyncio.Lock()
    await lock.acquire()
    waiting = asyncio.ensure_future(lock.acquire())
    await w.event.wait()
    lock.release()
    await waiting


async def wait_for_queue(w: World) -> None:
    queue: asyncio.Queue[None] = asyncio.Queue()
    getting = asyncio.ensure_future(queue.get())
    await w.event.wait()
    queue.put_nowait(None)
    await getting


async def wait_for_task(w: World) -> None:
    await asyncio.ensure_future(w.event.wait())


async def wait_for_gathered_tasks(w: World) -> None:
    await asyncio.gather(w.event.wait(), w.event.wait())


async def wait_for_shielded_task(w: World) -> None:
    await asyncio.shield(asyncio.ensure_future(w.event.wait()))


async def wait_for_group(w: World) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(w.event.wait())


async def wait_for_some_tasks(w: World) -> None:
    await asyncio.wait([asyncio.ensure_future(w.event.wait())])


async def wait_with_a_timeout(w: World) -> None:
    await asyncio.wait_for(w.event.wait(), 3600)


async def wait_for_group_of_anyio(w: World) -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(w.event.wait)


async def wait_for_lock_of_anyio(w: World) -> None:
    lock = anyio.Lock()

    async def wait() -> None:
        async with lock:
            pass

    async with anyio.create_task_group() as group, lock:
        group.start_soon(wait)
        await w.event.wait()


async def wait_in_an_async_generator(w: World) -> None:
    async def generate() -> AsyncIterator[None]:
        await w.event.wait()
        yield

    async for _ in generate():
        pass


async def wait_in_a_context_manager(w: World) -> None:
    @contextlib.asynccontextmanager
    async def manage() -> AsyncIterator[None]:
        await w.event.wait()
        yield

    async with manage():
        pass


class Awaitable:
    """Awaits in a generator, and in a coroutine that is wrapped."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        self._coroutine = coroutine

    def __await__(self) -> Any:
        yield from self._coroutine.__await__()


async def wait_in_an_awaitable(w: World) -> None:
    await Awaitable(w.event.wait())


async def wait_for_the_broker(w: World) -> None:
    with pytest.raises(Exception, match="the broker was closed"):
        await Awaitable(w.broker.async_consumer().reserve())


async def wait_for_another_broker(w: World) -> None:
    with pytest.raises(Exception, match="the broker was closed"):
        await w.elsewhere.async_consumer().reserve()


async def wait_for_executor(w: World) -> None:
    await w.in_executor()


async def wait_for_shielded_executor(w: World) -> None:
    await asyncio.shield(w.in_executor())


async def wait_for_gathered_executor(w: World) -> None:
    await asyncio.gather(w.event.wait(), w.in_executor())


async def wait_for_executor_among_others(w: World) -> None:
    event: asyncio.Future[Any] = asyncio.ensure_future(w.event.wait())
    await asyncio.wait([event, w.in_executor()])


async def wait_for_executor_with_a_timeout(w: World) -> None:
    await asyncio.wait_for(w.in_executor(), 3600)


async def wait_for_thread_of_anyio(w: World) -> None:
    await anyio.to_thread.run_sync(w.outside.result)


async def wait_for_process(w: World) -> None:
    process = await asyncio.create_subprocess_exec("cat", stdin=-1)
    waiting = asyncio.ensure_future(process.wait())
    await w.event.wait()
    assert process.stdin is not None
    process.stdin.close()
    await waiting


WITHIN = [
    wait_for_event,
    wait_for_lock,
    wait_for_queue,
    wait_for_task,
    wait_for_gathered_tasks,
    wait_for_shielded_task,
    wait_for_group,
    wait_for_some_tasks,
    wait_with_a_timeout,
    wait_for_group_of_anyio,
    wait_for_lock_of_anyio,
    wait_in_an_async_generator,
    wait_in_a_context_manager,
    wait_in_an_awaitable,
    wait_for_the_broker,
]
OUTSIDE = [
    wait_for_another_broker,
    wait_for_executor,
    wait_for_shielded_executor,
    wait_for_gathered_executor,
    wait_for_executor_among_others,
    wait_for_executor_with_a_timeout,
    wait_for_thread_of_anyio,
    wait_for_process,
]


async def look(w: World, *, connected: bool = True) -> list[tuple[str, bool]]:
    """Tell what each other task of the loop waits for, and whether that is outside."""
    loop = asyncio.get_running_loop()
    tasks: dict[Any, Any] = {}
    while not tasks or None in tasks.values():
        await asyncio.sleep(0.005)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        tasks = {task: task._fut_waiter for task in others}  # type: ignore[attr-defined]  # nobody else knows
    with pytest.MonkeyPatch.context() as patch:
        # Whether there are connections decides only where nothing else is known.
        patch.setattr(
            "inproc_tubes.testing.loops._has_transports", lambda _loop: connected
        )
        return [(wait.text, wait.outside) for _, wait in _waits(loop, tasks, w.clock)]


@pytest.mark.parametrize("wait", [*WITHIN, *OUTSIDE])
def test_a_task_waits_within_the_loop_or_outside(
    factory: Any, wait: Callable[[World], Coroutine[Any, Any, None]]
) -> None:
    async def main() -> None:
        w = World()
        waiting = asyncio.create_task(wait(w))
        seen = await look(w)
        assert (wait in OUTSIDE) == any(outside for _, outside in seen)
        if wait not in {wait_for_another_broker, wait_for_the_broker}:
            assert any(f"at {__file__}:" in text for text, _ in seen)
        w.end()
        await waiting

    run_in(factory, main())


@pytest.mark.parametrize("ours", [True, False])
def test_a_job_that_was_submitted_is_done_by_its_broker(
    factory: Any, *, ours: bool
) -> None:
    async def main() -> None:
        w = World()
        broker = Broker(clock=w.clock if ours else FakeClock())
        future = broker.producer().submit("tea")

        async def wait() -> None:
            await future

        waiting = asyncio.create_task(wait())
        ((_, outside),) = await look(w)
        assert outside != ours
        broker.consumer().reserve().delete()
        await waiting
        w.end()

    run_in(factory, main())


def test_a_plain_future_is_within_where_there_is_no_connection(factory: Any) -> None:
    async def main() -> None:
        w = World()
        future = asyncio.get_running_loop().create_future()

        async def wait() -> None:
            await future

        waiting = asyncio.create_task(wait())
        ((text, outside),) = await look(w, connected=False)
        assert not outside
        assert f", at {__file__}:" in text
        ((_, outside),) = await look(w, connected=True)
        assert outside
        future.set_result(None)
        await waiting
        w.end()

    run_in(factory, main())


def test_a_loop_of_another_make_is_believed_to_be_connected() -> None:
    from inproc_tubes.testing.loops import _has_transports  # noqa: PLC0415 - for this

    assert _has_transports(object())


def test_a_task_without_a_frame_is_believed_to_wait_outside() -> None:
    class Bare:
        """Awaited, and written in C as far as one can see."""

        def __init__(self, future: asyncio.Future[None]) -> None:
            self._steps = iter(future)

        def send(self, _: None) -> Any:
            return next(self._steps)

    async def main() -> None:
        w = World()
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        bare: Any = Bare(future)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(asyncio.coroutines, "iscoroutine", lambda _: True)
            task: asyncio.Task[None] = asyncio.tasks._PyTask(bare)  # type: ignore[attr-defined]  # as above
        assert [("nobody knows what", True)] == await look(w)
        future.set_result(None)
        await asyncio.wait([task])
        w.end()

    run_in(None, main())


def test_a_stale_timer_of_a_broker_on_the_real_clock_holds_no_time(
    factory: Any,
) -> None:
    async def main() -> None:
        w = World()
        loop = asyncio.get_running_loop()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await w.elsewhere.async_consumer().reserve(timeout=3600)
        # Its timer is there still, and nobody waits for it.
        assert [] == timers_of(loop)
        with pytest.raises(TimedOutError):
            await w.broker.async_consumer().reserve(timeout=86_400 * 2)
        waiting = asyncio.create_task(
            w.elsewhere.async_consumer().reserve(timeout=3600)
        )
        await asyncio.sleep(0)
        assert 1 == len(timers_of(loop))
        w.end()
        await asyncio.gather(waiting, return_exceptions=True)

    run_in(factory, main())


def test_a_loop_that_was_closed_is_not_asked() -> None:
    clock = FakeClock(autojump=True)
    loop = asyncio.new_event_loop()
    user = LoopUser(clock, loop)
    loop.close()
    user.ask()
    assert not user.is_asked
    assert not user.is_running
    assert [] == list(user.describe("a thread", clock))


def test_a_loop_that_runs_has_nothing_to_tell() -> None:
    async def main() -> None:
        clock = FakeClock(autojump=True)
        user = LoopUser(clock, asyncio.get_running_loop())
        assert [] == list(user.describe("a thread", clock))

    run_in(None, main())


def test_a_loop_that_could_not_be_asked_will_be_asked_again() -> None:
    class Interrupted(asyncio.SelectorEventLoop):
        """Is interrupted as it is called."""

        def call_soon_threadsafe(self, *_: Any, **__: Any) -> Any:  # type: ignore[override]  # never called with less
            raise KeyboardInterrupt

    clock = FakeClock(autojump=True)
    with contextlib.closing(Interrupted()) as loop:
        user = LoopUser(clock, loop)
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt):
                user.ask()


def test_neither_a_clock_nor_a_loop_is_kept() -> None:
    clock = FakeClock(autojump=True)
    refs: list[weakref.ref[Any]] = [weakref.ref(clock)]

    async def main(broker: Broker[Any]) -> None:
        refs.append(weakref.ref(asyncio.get_running_loop()))
        with pytest.raises(TimedOutError):
            await broker.async_consumer().reserve(timeout=5)

    async def look_later(broker: Broker[Any]) -> None:
        broker.tubes()

    asyncio.run(main(Broker(clock=clock)))
    gc.collect()
    assert [clock, None] == [ref() for ref in refs]
    loop = asyncio.new_event_loop()
    loop.run_until_complete(look_later(Broker(clock=clock)))
    users = [user for user in [clock._users.loop(loop)] if user is not None]
    del clock
    gc.collect()
    assert [None, None] == [ref() for ref in refs]
    # What was to be called still does no harm.
    (user,) = users
    user._look()
    loop.close()
