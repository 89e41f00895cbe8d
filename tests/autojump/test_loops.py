"""In an event loop an autojumping clock jumps when all tasks wait, and not before."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING, Any

import aiostalk
import pytest

from inproc_tubes import Broker, DeadlockError, TimedOutError
from inproc_tubes.fakes import FakeBeanstalkd
from inproc_tubes.testing import FakeClock, wait_until_waiting
from tests.autojump.shared import FACTORIES, GRACE, run_in
from tests.threads import LONG, start

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

START = 1_000_000.0


def a_clock(**options: Any) -> FakeClock:
    return FakeClock(autojump=True, **options)


def test_a_reserve_times_out_at_once(factory: Any) -> None:
    async def main() -> float:
        clock = a_clock()
        with pytest.raises(TimedOutError):
            await Broker(clock=clock).async_consumer().reserve(timeout=3600)
        return clock.now()

    assert START + 3600 == run_in(factory, main())


def test_a_clock_that_was_made_before_the_loop_jumps_in_it(factory: Any) -> None:
    clock = a_clock()
    broker = Broker(clock=clock)
    broker.producer().put("tea", delay=3600)

    async def main() -> str:
        with await broker.async_consumer().reserve() as job:
            return str(job.body)

    assert "tea" == run_in(factory, main())
    assert START + 3600 == clock.now()
    # One loop after the other, and the thread itself.
    with pytest.raises(TimedOutError):
        broker.consumer().reserve(timeout=60)
    broker.producer().put("tea", delay=60)
    assert "tea" == run_in(factory, main())
    assert START + 3720 == clock.now()


def test_puts_and_joins_time_out_at_once_as_well(factory: Any) -> None:
    async def main() -> float:
        clock = a_clock()
        broker = Broker(clock=clock)
        broker.limit_tube("default", 1)
        producer = broker.async_producer()
        await producer.put("first")
        with pytest.raises(TimedOutError):
            await broker.async_join(timeout=100)
        with pytest.raises(Exception, match="no room for one more job"):
            await producer.put("second", timeout=10)
        return clock.now()

    assert START + 110 == run_in(factory, main())


def test_a_task_that_can_run_holds_time(factory: Any) -> None:
    async def main() -> None:
        clock = a_clock()
        broker = Broker(clock=clock)

        async def work() -> None:
            for _ in range(1000):  # more rounds than the loop is looked at in a row
                await asyncio.sleep(0)
            broker.producer().put("done")

        async with asyncio.TaskGroup() as group:
            group.create_task(work())
            job = await broker.async_consumer().reserve(timeout=5)
        assert "done" == job.body
        assert START == clock.now()

    run_in(factory, main())


def test_tasks_that_wait_for_each_other_do_not_hold_time(factory: Any) -> None:
    async def main() -> float:
        clock = a_clock()
        broker = Broker(clock=clock)
        done = asyncio.Event()
        queue: asyncio.Queue[str] = asyncio.Queue()
        lock = asyncio.Lock()

        async def reserve() -> None:
            async with lock:
                job = await broker.async_consumer().reserve()
            queue.put_nowait(job.body)

        async def hand_on() -> None:
            assert "late" == await queue.get()
            done.set()

        async def be_last() -> None:
            await done.wait()
            async with lock:
                pass

        broker.producer().put("late", delay=3600)
        first = asyncio.create_task(reserve())
        await asyncio.gather(first, asyncio.shield(first), hand_on(), be_last())
        await asyncio.wait_for(asyncio.create_task(be_last()), None)
        return clock.now()

    assert START + 3600 == run_in(factory, main())


def test_a_reserve_in_an_async_generator_jumps(factory: Any) -> None:
    async def main() -> list[int]:
        broker = Broker(clock=a_clock())

        async def bodies() -> AsyncGenerator[int]:
            consumer = broker.async_consumer()
            while True:
                with await consumer.reserve() as job:
                    yield job.body

        for delay in range(3):
            broker.producer().put(delay, delay=delay)
        async with contextlib.aclosing(bodies()) as each:
            return [await anext(each) for _ in range(3)]

    assert [0, 1, 2] == run_in(factory, main())


def test_a_timer_of_the_loop_that_is_due_before_stays_real(factory: Any) -> None:
    async def main() -> None:
        clock = a_clock()
        broker = Broker(clock=clock)
        loop = asyncio.get_running_loop()
        begun_at = loop.time()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.03):
                await broker.async_consumer().reserve(timeout=3600)
        assert loop.time() - begun_at >= 0.029
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await broker.async_consumer().reserve()
        assert START == clock.now()

    run_in(factory, main())


def test_a_timer_of_the_loop_that_is_due_later_does_not_hold_time(factory: Any) -> None:
    async def main() -> None:
        clock = a_clock()
        broker = Broker(clock=clock)
        async with asyncio.timeout(60):
            with pytest.raises(TimedOutError):
                await broker.async_consumer().reserve(timeout=5)
        assert START + 5 == clock.now()

    run_in(factory, main())


def test_time_does_not_jump_over_a_thread_of_an_executor(factory: Any) -> None:
    async def main() -> None:
        clock = a_clock()
        broker = Broker(clock=clock)

        def work() -> str:
            wait_until_waiting(broker, 1)
            return "computed"

        async def put() -> None:
            broker.producer().put(await asyncio.to_thread(work))

        async with asyncio.TaskGroup() as group:
            group.create_task(put())
            job = await broker.async_consumer().reserve(timeout=3600)
        assert "computed" == job.body
        assert START == clock.now()

    run_in(factory, main())


def test_time_does_not_jump_over_a_network(factory: Any) -> None:
    async def main() -> None:
        clock = a_clock()
        broker = Broker(clock=clock)

        async def answer(
            reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            writer.write(await reader.readline())
            writer.close()
            await writer.wait_closed()

        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            # A server that nobody talks to holds no time.
            with pytest.raises(TimedOutError):
                await broker.async_consumer().reserve(timeout=5)

            async def put() -> None:
                address = server.sockets[0].getsockname()
                reader, writer = await asyncio.open_connection(*address)
                writer.write(b"from afar\n")
                broker.producer().put(await reader.readline())
                writer.close()
                await writer.wait_closed()

            async with asyncio.TaskGroup() as group:
                group.create_task(put())
                job = await broker.async_consumer().reserve(timeout=3600)
        assert b"from afar\n" == job.body
        assert START + 5 == clock.now()

    run_in(factory, main())


def test_nobody_who_could_go_on_is_a_deadlock(factory: Any) -> None:
    async def main() -> None:
        clock = a_clock()
        broker = Broker(clock=clock)
        other = asyncio.create_task(broker.async_consumer("a", "b").reserve())
        other.set_name("the other one")
        own = asyncio.current_task()
        assert own is not None
        own.set_name("this one")
        broker.producer("never").put("held")
        with pytest.raises(DeadlockError, match=r"ever be due: join of ") as caught:
            await broker.async_join("never", timeout=None)
        assert "join of 'never'" == caught.value.verb
        second, first = sorted(caught.value.waits)
        assert "task 'this one': join of 'never', at " in first
        assert "task 'the other one': reserve from 'a', 'b', at " in second
        assert ".py:" in second
        with pytest.raises(DeadlockError, match=r"due: reserve from 'a', 'b'"):
            await other
        assert START == clock.now()

    run_in(factory, main())


def test_a_task_that_waits_outside_for_ever_is_told(factory: Any) -> None:
    async def main() -> None:
        clock = a_clock(grace=GRACE)
        broker = Broker(clock=clock)
        future: Future[None] = Future()
        outside = asyncio.create_task(asyncio.to_thread(future.result))
        await asyncio.sleep(0)
        with pytest.raises(DeadlockError, match=r"^time cannot jump") as caught:
            await broker.async_consumer().reserve(timeout=3600)
        assert "reserve-with-timeout 3600 from 'default'" == caught.value.verb
        assert any("a thread or process, at " in line for line in caught.value.waits)
        assert START == clock.now()
        future.set_result(None)
        await outside

    run_in(factory, main())


def test_a_connection_that_stays_silent_is_told(factory: Any) -> None:
    async def main(ours: socket.socket) -> None:
        broker = Broker(clock=a_clock(grace=GRACE))
        reader, writer = await asyncio.open_connection(sock=ours)
        silent = asyncio.create_task(reader.read())
        await asyncio.sleep(0)
        with pytest.raises(DeadlockError) as caught:
            await broker.async_consumer().reserve(timeout=3600)
        assert any("a connection, at " in line for line in caught.value.waits)
        silent.cancel()
        await asyncio.wait([silent])
        writer.close()
        await writer.wait_closed()

    theirs, ours = socket.socketpair()
    with theirs:
        ours.settimeout(0)
        run_in(factory, main(ours))


def test_a_callback_that_a_library_has_set_for_much_later_is_told(factory: Any) -> None:
    """Nobody knows whether anything comes of it; a task that sleeps is another thing."""

    async def main() -> None:
        broker = Broker(clock=a_clock(grace=GRACE))
        timer = asyncio.get_running_loop().call_later(1000, print)
        with pytest.raises(DeadlockError) as caught:
            await broker.async_consumer().reserve(timeout=3600)
        assert any(", a timer of the loop: " in line for line in caught.value.waits)
        with pytest.raises(TimedOutError):
            await broker.async_consumer().reserve(timeout=10)
        timer.cancel()

    run_in(factory, main())


@pytest.mark.parametrize("rounds", [0, 1, 5])
def test_a_message_from_a_thread_that_parks_comes_before_a_jump(
    factory: Any, rounds: int
) -> None:
    """No task has it until it was handed on from callback to callback."""
    clock = a_clock()
    broker = Broker(clock=clock)
    begun: Future[asyncio.AbstractEventLoop] = Future()

    async def main() -> None:
        begun.set_result(asyncio.get_running_loop())
        with pytest.raises(TimedOutError):
            await broker.async_consumer("never").reserve(timeout=3600)

    def hand_on(number: int, left: int) -> None:
        if left:
            loop.call_soon(hand_on, number, left - 1)
        else:
            broker.producer().put(number)

    looping = start(lambda: run_in(factory, main()))
    loop = begun.result(LONG)
    consumer = broker.consumer()
    for number in range(100):
        loop.call_soon_threadsafe(hand_on, number, rounds)
        with consumer.reserve(timeout=1) as job:
            assert number == job.body
    assert START == clock.now()
    with pytest.raises(TimedOutError):
        consumer.reserve(timeout=3600)
    looping.result(LONG)


def test_a_message_that_goes_from_loop_to_loop_is_not_jumped_over() -> None:
    """It is under way between them: each of them may be idle when it is looked at."""
    clock = a_clock()
    broker = Broker(clock=clock)
    loops: dict[int, asyncio.AbstractEventLoop] = {}
    begun: list[Future[None]] = [Future() for _ in range(3)]

    async def main(place: int) -> None:
        loops[place] = asyncio.get_running_loop()
        begun[place].set_result(None)
        with pytest.raises(TimedOutError):
            await broker.async_consumer("never").reserve(timeout=3600)

    async def pass_on(place: int, number: int) -> None:
        await asyncio.sleep(0)
        if place == len(begun):
            broker.producer().put(number)
        else:
            asyncio.run_coroutine_threadsafe(pass_on(place + 1, number), loops[place])

    factories = [*FACTORIES.values(), None]
    looping = [
        start(partial(run_in, factory, main(place)))
        for place, factory in enumerate(factories)
    ]
    for future in begun:
        future.result(LONG)
    wait_until_waiting(broker, len(begun))  # from now on they count
    consumer = broker.consumer()
    for number in range(100):
        asyncio.run_coroutine_threadsafe(pass_on(1, number), loops[0])
        with consumer.reserve(timeout=1) as job:
            assert number == job.body
    assert START == clock.now()
    with pytest.raises(TimedOutError):
        consumer.reserve(timeout=3600)
    for each in looping:
        each.result(LONG)


def test_two_loops_in_two_threads_and_a_thread_jump_together(factory: Any) -> None:
    clock = a_clock()
    broker = Broker(clock=clock)

    async def main(source: str, target: str) -> None:
        consumer = broker.async_consumer(source)
        for _ in range(20):
            with await consumer.reserve() as job:
                broker.producer(target).put(job.body + 1, delay=10)

    first = start(lambda: run_in(factory, main("a", "b")))
    second = start(lambda: run_in(factory, main("b", "c")))
    wait_until_waiting(broker, 2)  # from now on they count
    consumer = broker.consumer("c")
    for number in range(20):
        broker.producer("a").put(number)
        with consumer.reserve() as job:
            assert number + 2 == job.body
    assert START + 20 * 20 == clock.now()
    first.result(LONG)
    second.result(LONG)


def test_a_thread_that_waits_in_a_loop_is_blocked_like_any_other(factory: Any) -> None:
    """The loop cannot look at itself then."""
    clock = a_clock(grace=GRACE)
    broker = Broker(clock=clock)
    released = threading.Event()

    async def main() -> None:
        broker.tubes()
        begun.set_result(None)
        assert released.wait(LONG)

    begun: Future[None] = Future()
    looping = start(lambda: run_in(factory, main()))
    begun.result(LONG)
    with pytest.raises(DeadlockError) as caught:
        broker.consumer().reserve(timeout=3600)
    assert any("something else, at " in line for line in caught.value.waits)
    released.set()
    looping.result(LONG)


def test_aiostalk_waits_for_an_hour_in_no_time(factory: Any) -> None:
    async def main() -> None:
        with FakeBeanstalkd() as server:
            async with aiostalk.Client(server.address, watch=["a", "b"]) as client:
                with pytest.raises(aiostalk.TimedOutError):
                    await client.reserve(timeout=3600)
                assert START + 3600 == server.clock.now()
                server.broker.producer("a").put(b"late", delay=60)
                assert "late" == (await client.reserve()).body

    run_in(factory, main())


def test_a_deadlock_reaches_a_client_of_the_loop(factory: Any) -> None:
    async def main() -> None:
        with FakeBeanstalkd() as server:
            client = aiostalk.Client(server.address, watch=["a", "b"])
            await client.connect()
            with pytest.raises(DeadlockError) as caught:
                await client.reserve()
            # In beanstalkd's order, after "default" was ignored.
            assert "reserve from 'b', 'a'" == caught.value.verb
            (line,) = caught.value.waits
            assert ": reserve from 'b', 'a', at " in line
            assert f"called at {__file__}:" in line
            with pytest.raises(DeadlockError):  # the connection has ended by it
                await client.close()
            assert 0 == server.connections

    run_in(factory, main())


def test_several_clocks_may_be_used_in_one_loop(factory: Any) -> None:
    async def main() -> None:
        clocks = [a_clock(grace=GRACE) for _ in range(2)]
        brokers = [Broker(clock=clock) for clock in clocks]
        with pytest.raises(TimedOutError):
            await brokers[0].async_consumer().reserve(timeout=5)
        with pytest.raises(TimedOutError):
            await brokers[1].async_consumer().reserve(timeout=6)
        assert [START + 5, START + 6] == [clock.now() for clock in clocks]
        # The one does not know of the other.
        both = [
            asyncio.create_task(broker.async_consumer().reserve(timeout=7))
            for broker in brokers
        ]
        errors = await asyncio.gather(*both, return_exceptions=True)
        # When one has given up, the other is alone.
        assert {DeadlockError, TimedOutError} == {type(error) for error in errors}

    run_in(factory, main())
