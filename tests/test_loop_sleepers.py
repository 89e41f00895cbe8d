"""How coroutines sleep: in loops each of which keeps time for itself."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest

from inproc_tubes import Broker
from inproc_tubes.core.recovery import check
from inproc_tubes.testing import wait_until_waiting
from tests.loops import FlowingClock, begin, in_loops
from tests.shells import LoopThread, in_a_loop, timers_of
from tests.threads import LONG, start, waiting

if TYPE_CHECKING:
    from inproc_tubes.waiting.coroutines import LoopSleepers

START = 1_000_000.0


@pytest.fixture
def clock() -> FlowingClock:
    return FlowingClock()


@pytest.fixture
def broker(clock: FlowingClock) -> Broker:
    return Broker(clock=clock)


def timers() -> list[float]:
    """Return in how many seconds the timers of the running loop go off."""
    loop = asyncio.get_running_loop()
    return [round(timer.when() - loop.time(), 1) for timer in timers_of(loop)]


def ring(way: LoopSleepers) -> None:
    """Let the timer of the running loop go off now."""
    timer = way._timer()
    assert timer is not None
    timer.cancel()
    way.ring()


# The life of a loop's sleepers


@in_a_loop
async def test_a_loop_has_sleepers_while_something_waits_in_it(broker: Broker) -> None:
    consumer = broker.async_consumer()
    tasks = [asyncio.ensure_future(consumer.reserve()) for _ in range(3)]
    await asyncio.sleep(0)
    assert [asyncio.get_running_loop()] == [way._loop() for way in in_loops(broker)]
    broker.producer().put("job")
    assert 1 == len(in_loops(broker))
    tasks[1].cancel()
    broker.producer().put("job")
    assert [] == in_loops(broker)
    await asyncio.wait(tasks)


@in_a_loop
async def test_each_loop_has_sleepers_of_its_own(
    broker: Broker, loops: list[LoopThread]
) -> None:
    for n, loop in enumerate(loops):
        loop.start(broker.async_consumer().reserve())
        await asyncio.to_thread(wait_until_waiting, broker, n + 1)
    assert [loop.loop for loop in loops] == [way._loop() for way in in_loops(broker)]
    assert broker._sleepers in broker._monitor.ways


def test_the_sleepers_of_a_closed_loop_are_forgotten_when_another_loop_comes(
    broker: Broker,
) -> None:
    consumer = broker.async_consumer()
    for _ in range(3):
        with contextlib.closing(asyncio.new_event_loop()) as loop:
            coroutine = begin(loop, consumer.reserve())
            coroutine.close()
            assert 2 == len(broker._monitor.ways)  # with those of the threads


@in_a_loop
async def test_a_loop_has_the_same_sleepers_again(broker: Broker) -> None:
    consumer = broker.async_consumer()
    found = []
    for _ in range(3):
        task = asyncio.ensure_future(consumer.reserve())
        await asyncio.sleep(0)
        found += in_loops(broker)
        task.cancel()
        await asyncio.wait([task])
    assert 3 == len(found)
    assert 1 == len(set(found))


@in_a_loop
async def test_a_reserve_that_waits_before_the_last_one_has_returned_has_its_timer(
    broker: Broker,
) -> None:
    """The last one is answered, and the loop has not resumed it yet."""
    consumer = broker.async_consumer()
    first = asyncio.ensure_future(consumer.reserve(timeout=50))
    await asyncio.sleep(0)
    start(lambda: broker.producer().put("job")).result(LONG)
    second = asyncio.ensure_future(consumer.reserve(timeout=90))
    await asyncio.sleep(0)
    await first
    # That of the first serves for both: it is before the second's DEADLINE_SOON.
    assert [50] == timers()
    second.cancel()
    await asyncio.wait([second])


@in_a_loop
async def test_to_wake_a_coroutine_twice_has_no_effect(broker: Broker) -> None:
    """A turn is broken off after the first time, and the recovery wakes it again."""
    task = asyncio.ensure_future(broker.async_consumer().reserve())
    await asyncio.sleep(0)
    (way,) = in_loops(broker)
    (sleeper,) = way._asleep
    broker.producer().put("job")
    with broker._monitor.lock:
        sleeper.wake()
    assert "reserved" == (await task).stats().state


# Time


@in_a_loop
async def test_one_timer_keeps_time_for_all_coroutines(
    broker: Broker, clock: FlowingClock
) -> None:
    producer = broker.producer()
    tasks = [asyncio.ensure_future(broker.async_consumer().reserve())]
    await asyncio.sleep(0)
    assert [] == timers()
    # From its own thread, and from another thread.
    producer.put("later", delay=70)
    await asyncio.sleep(0)
    assert [70] == timers()
    start(lambda: producer.put("sooner", delay=50)).result(LONG)
    await asyncio.sleep(0)
    assert [50] == timers()
    # A reserve that brings an earlier moment sets the timer itself.
    tasks.append(asyncio.ensure_future(broker.async_consumer().reserve(timeout=30)))
    await asyncio.sleep(0)
    assert [30] == timers()
    assert (
        START + 30 == in_loops(broker)[0].armed_for == broker._engine.schedule.armed_for
    )
    clock.advance(70)
    assert "sooner" == (await tasks[0]).body
    with pytest.raises(TimeoutError):
        await tasks[1]
    # It stays for the next one that waits, and does nothing if none does.
    assert [30] == timers()


@in_a_loop
async def test_a_timer_that_goes_off_carries_out_what_is_due(
    broker: Broker, clock: FlowingClock
) -> None:
    consumer = broker.async_consumer()
    broker.producer().put("job", delay=30)
    task = asyncio.ensure_future(consumer.reserve())
    await asyncio.sleep(0)
    clock._time += 30  # nobody looks
    ring(in_loops(broker)[0])
    assert "job" == (await task).body


@in_a_loop
async def test_a_timer_that_goes_off_too_early_is_set_again(
    broker: Broker, clock: FlowingClock
) -> None:
    producer = broker.producer()
    producer.put("job", delay=30)
    task = asyncio.ensure_future(broker.async_consumer().reserve())
    await asyncio.sleep(0)
    clock._time += 10
    ring(in_loops(broker)[0])
    assert [20] == timers()
    # For nothing, in the end; and what comes up later is noticed all the same.
    broker.delete(1)
    ring(in_loops(broker)[0])
    assert [20] == timers()
    clock._time += 20
    ring(in_loops(broker)[0])
    assert [] == timers()
    producer.put("job", delay=80)
    await asyncio.sleep(0)
    assert [80] == timers()
    task.cancel()
    await asyncio.wait([task])


@in_a_loop
async def test_a_timer_that_goes_off_when_nothing_waits_does_nothing(
    broker: Broker,
) -> None:
    task = asyncio.ensure_future(broker.async_consumer().reserve(timeout=5))
    await asyncio.sleep(0)
    (way,) = in_loops(broker)
    start(lambda: broker.producer().put("job", ttr=90)).result(LONG)
    ring(way)
    assert [] == timers()
    await task


def test_a_loop_that_hangs_delays_no_other(
    broker: Broker, clock: FlowingClock, loops: list[LoopThread]
) -> None:
    hanging, other = loops
    late = hanging.start(broker.async_consumer("a").reserve(timeout=10))
    wait_until_waiting(broker, 1)
    coroutine = other.start(broker.async_consumer("b").reserve())
    wait_until_waiting(broker, 2)
    thread = waiting(broker, broker.consumer("b").reserve)
    with hanging.blocked():
        broker.producer("b").put("first", delay=5)
        broker.producer("b").put("second", delay=20)
        clock.advance(20)
        assert "first" == coroutine.result(LONG).body
        assert "second" == thread.result(LONG).body
        assert not late.done()
    assert isinstance(late.exception(LONG), TimeoutError)


# A wake-up that fails


def out_of_stack(*_args: object) -> None:
    raise RecursionError


@in_a_loop
async def test_a_put_that_runs_out_of_stack_as_it_wakes_a_coroutine_loses_nothing(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next turn wakes it."""
    producer = broker.producer()
    task = asyncio.ensure_future(broker.async_consumer().reserve())
    await asyncio.sleep(0)
    loop = asyncio.get_running_loop()
    with monkeypatch.context() as patch:
        patch.setattr(loop, "call_soon_threadsafe", out_of_stack)
        error = start(lambda: producer.put("job")).exception(LONG)
    assert isinstance(error, RecursionError)
    await asyncio.sleep(0)
    assert not task.done()
    broker.tubes()
    assert "job" == (await task).body
    check(broker._engine)


@in_a_loop
async def test_a_put_that_runs_out_of_stack_as_it_sets_a_timer_has_the_next_turn_do_it(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    producer = broker.producer()
    task = asyncio.ensure_future(broker.async_consumer().reserve())
    await asyncio.sleep(0)
    loop = asyncio.get_running_loop()
    with monkeypatch.context() as patch:
        patch.setattr(loop, "call_soon_threadsafe", out_of_stack)
        put = start(lambda: producer.put("later", delay=50))
        assert isinstance(put.exception(LONG), RecursionError)
    await asyncio.sleep(0)
    assert [] == timers()
    broker.tubes()
    await asyncio.sleep(0)
    assert [50] == timers()
    task.cancel()
    await asyncio.wait([task])


@in_a_loop
async def test_an_error_that_looks_as_if_the_loop_was_closed_withdraws_nothing(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signal handler, say, may raise a RuntimeError as well."""

    def fail(*_args: object) -> None:
        raise RuntimeError

    producer = broker.producer()
    task = asyncio.ensure_future(broker.async_consumer().reserve())
    await asyncio.sleep(0)
    loop = asyncio.get_running_loop()
    with monkeypatch.context() as patch:
        patch.setattr(loop, "call_soon_threadsafe", fail)
        start(lambda: producer.put("later", delay=50)).result(LONG)
    assert 1 == broker._monitor.waiting
    producer.put("job")
    assert "job" == (await task).body
