"""Where coroutines sleep: loops that come and go, that hang, and that are closed."""

from __future__ import annotations

import asyncio
import contextlib
import weakref
from typing import TYPE_CHECKING, Any

import pytest

from inproc_tubes import (
    AsyncConsumer,
    Broker,
    ClosedError,
    TimedOutError,
)
from inproc_tubes.aio import LoopLot
from inproc_tubes.testing import FakeClock, wait_until_waiting
from tests.shells import LoopThread, assert_nothing_scheduled, in_a_loop
from tests.threads import LONG, start, waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from inproc_tubes.door import Door

START = 1_000_000.0


class FlowingClock(FakeClock):
    """Is moved by hand, and lets loops believe that it flows.

    And runs ``meddle``, once, the next time a turn reads it: under the lock.
    """

    meddle: Callable[[], object] | None = None

    def now(self) -> float:
        meddle, self.meddle = self.meddle, None
        if meddle is not None:
            meddle()
        return super().now()

    def seconds_until(self, moment: float) -> float:
        return moment - super().now()


@pytest.fixture
def clock() -> FlowingClock:
    return FlowingClock()


@pytest.fixture
def broker(clock: FlowingClock) -> Broker:
    return Broker(clock=clock)


def lots(broker: Broker) -> list[LoopLot]:
    return [lot for lot in broker._lots if isinstance(lot, LoopLot)]


def timers() -> list[float]:
    """Return in how many seconds the timers of the running loop go off."""
    loop = asyncio.get_running_loop()
    handles = loop._scheduled  # type: ignore[attr-defined]  # nobody else knows
    return [round(h.when() - loop.time(), 1) for h in handles if not h.cancelled()]


def begin(
    loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, Any]
) -> Coroutine[Any, Any, Any]:
    """Run a coroutine, without a task, in a loop as far as it waits."""

    async def run() -> None:
        coroutine.send(None)

    loop.run_until_complete(run())
    return coroutine


# A lot's life


@in_a_loop
async def test_a_loop_has_a_lot_while_somebody_waits_in_it(broker: Broker) -> None:
    consumer = broker.async_consumer()
    tasks = [asyncio.ensure_future(consumer.reserve()) for _ in range(3)]
    await asyncio.sleep(0)
    assert [asyncio.get_running_loop()] == [lot.loop for lot in lots(broker)]
    broker.producer().put("job")
    assert 1 == len(lots(broker))
    tasks[1].cancel()
    broker.producer().put("job")
    assert [] == lots(broker)
    await asyncio.wait(tasks)


@in_a_loop
async def test_each_loop_has_a_lot_of_its_own(
    broker: Broker, loops: list[LoopThread]
) -> None:
    for n, loop in enumerate(loops):
        loop.start(broker.async_consumer().reserve())
        await asyncio.to_thread(wait_until_waiting, broker, n + 1)
    assert [loop.loop for loop in loops] == [lot.loop for lot in lots(broker)]
    assert broker._threads in broker._lots


@in_a_loop
async def test_who_comes_before_the_last_one_has_left_needs_no_timer_of_his(
    broker: Broker,
) -> None:
    """The lot is gone as soon as its last one is answered; he is still on his way."""
    consumer = broker.async_consumer()
    first = asyncio.ensure_future(consumer.reserve(timeout=50))
    await asyncio.sleep(0)
    start(lambda: broker.producer().put("job")).result(LONG)
    second = asyncio.ensure_future(consumer.reserve(timeout=90))
    await asyncio.sleep(0)
    await first
    # The job's time to run, and the second's DEADLINE_SOON before it.
    assert [59] == timers()
    second.cancel()
    await asyncio.wait([second])


# Time


@in_a_loop
async def test_one_timer_keeps_time_for_all(
    broker: Broker, clock: FlowingClock
) -> None:
    producer = broker.producer()
    tasks = [asyncio.ensure_future(broker.async_consumer().reserve())]
    await asyncio.sleep(0)
    assert [] == timers()
    # From its own thread, and from another.
    producer.put("later", delay=70)
    await asyncio.sleep(0)
    assert [70] == timers()
    start(lambda: producer.put("sooner", delay=50)).result(LONG)
    await asyncio.sleep(0)
    assert [50] == timers()
    # Who comes with an earlier one brings it himself.
    tasks.append(asyncio.ensure_future(broker.async_consumer().reserve(timeout=30)))
    await asyncio.sleep(0)
    assert [30] == timers()
    assert START + 30 == lots(broker)[0].armed_for == broker._armed_for
    clock.advance(70)
    assert "sooner" == (await tasks[0]).body
    with pytest.raises(TimeoutError):
        await tasks[1]
    assert [] == timers()


@in_a_loop
async def test_a_timer_that_goes_off_carries_out_what_is_due(
    broker: Broker, clock: FlowingClock
) -> None:
    consumer = broker.async_consumer()
    broker.producer().put("job", delay=30)
    task = asyncio.ensure_future(consumer.reserve())
    await asyncio.sleep(0)
    clock._time += 30  # nobody looks
    lots(broker)[0]._keep_time()
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
    lots(broker)[0]._keep_time()
    assert [20] == timers()
    # For nothing, in the end; and what comes up later is noticed all the same.
    broker.delete(1)
    lots(broker)[0]._keep_time()
    assert [20] == timers()
    clock._time += 20
    lots(broker)[0]._keep_time()
    assert [] == timers()
    producer.put("job", delay=80)
    await asyncio.sleep(0)
    assert [80] == timers()
    task.cancel()
    await asyncio.wait([task])


@in_a_loop
async def test_a_timer_that_goes_off_for_nobody_does_nothing(broker: Broker) -> None:
    task = asyncio.ensure_future(broker.async_consumer().reserve(timeout=5))
    await asyncio.sleep(0)
    (lot,) = lots(broker)
    start(lambda: broker.producer().put("job", ttr=90)).result(LONG)
    lot._keep_time()
    assert [] == timers()
    await task


def test_a_loop_that_hangs_delays_nobody(
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


# Closed loops


@pytest.fixture
def closed_loop() -> Iterator[asyncio.AbstractEventLoop]:
    """Return a loop that the test closes."""
    loop = asyncio.new_event_loop()
    loop.set_debug(True)
    yield loop
    assert loop.is_closed()


def test_a_job_for_a_closed_loop_goes_to_the_next_at_once(
    broker: Broker, closed_loop: asyncio.AbstractEventLoop
) -> None:
    dead = [begin(closed_loop, broker.async_consumer().reserve()) for _ in range(3)]
    other = broker.consumer()
    thread = waiting(broker, other.reserve)
    closed_loop.close()
    assert 4 == broker._engine.waiting
    broker.producer().put("job")
    assert 1 == len(other._session.held)
    assert 1 == thread.result(LONG).reserves
    # All of them have left, not the first alone.
    assert 0 == broker._engine.waiting
    assert [] == lots(broker)
    broker._engine._check()
    for coroutine in dead:
        coroutine.close()
    broker._engine._check()


def test_a_job_for_a_closed_loop_goes_back_to_its_place_if_nobody_waits(
    broker: Broker, closed_loop: asyncio.AbstractEventLoop
) -> None:
    consumer = broker.async_consumer()
    dead = begin(closed_loop, consumer.reserve())
    closed_loop.close()
    broker.producer().put("job")
    stats = broker.stats_job(1)
    assert ("ready", 0) == (stats.state, stats.reserves)
    dead.close()


def test_the_jobs_of_one_turn_for_a_closed_loop_go_on_in_their_order(
    broker: Broker, closed_loop: asyncio.AbstractEventLoop
) -> None:
    for number in range(3):
        broker.producer().put(number)
    holder = broker.consumer()
    for _ in range(3):
        holder.reserve()
    dead = [begin(closed_loop, broker.async_consumer().reserve()) for _ in range(4)]
    futures = [waiting(broker, broker.consumer().reserve) for _ in range(2)]
    closed_loop.close()
    holder.close()  # gives back three at once
    assert [0, 1] == [future.result(LONG).body for future in futures]
    assert "ready" == broker.stats_job(3).state
    broker._engine._check()
    for coroutine in dead:
        coroutine.close()


def test_a_moment_that_a_closed_loop_would_keep_ends_its_lot(
    broker: Broker, closed_loop: asyncio.AbstractEventLoop
) -> None:
    dead = begin(closed_loop, broker.async_consumer().reserve())
    closed_loop.close()
    assert 1 == len(lots(broker))
    broker.producer().put("job", delay=5)
    assert [] == lots(broker)
    assert 0 == broker._engine.waiting
    broker._engine._check()
    dead.close()


def test_a_put_behind_one_of_a_closed_loop_is_let_in_in_the_same_turn(
    broker: Broker, closed_loop: asyncio.AbstractEventLoop
) -> None:
    broker.limit_tube("default", 2)
    broker.producer().put("first")
    batch = broker.async_producer().put_many(["has", "no room"])
    dead = begin(closed_loop, batch)
    with contextlib.closing(asyncio.new_event_loop()) as loop:
        # Which does not run, and so takes no turn itself.
        other = begin(loop, broker.async_producer().put("has"))
        closed_loop.close()
        # Which finds out that nobody keeps time in it any more.
        broker.producer("elsewhere").put("job", delay=5)
        assert [] == broker._engine.answered
        assert 0 == broker._engine.all_waiting
        broker._engine._check()
        other.close()
    dead.close()


def test_the_jobs_of_a_put_that_a_closed_loop_never_hears_of_have_never_been(
    broker: Broker, closed_loop: asyncio.AbstractEventLoop
) -> None:
    broker.limit_tube("default", 1)
    broker.producer().put("first")
    dead = begin(closed_loop, broker.async_producer().put("second"))
    thread = waiting(broker, lambda: broker.producer().put("third"))
    closed_loop.close()
    broker.delete(1)
    thread.result(LONG)
    assert ["third"] == [r.body for r in broker._engine.jobs.values()]
    broker._engine._check()
    dead.close()


def test_a_closed_loop_hears_nothing_of_the_end_of_the_broker(
    broker: Broker, closed_loop: asyncio.AbstractEventLoop
) -> None:
    dead = begin(closed_loop, broker.async_consumer().reserve())
    thread = waiting(broker, broker.consumer().reserve)
    closed_loop.close()
    broker.close()
    assert isinstance(thread.exception(LONG), ClosedError)
    dead.close()


@pytest.mark.usefixtures("no_collector")
def test_a_consumer_dropped_while_a_closed_loop_keeps_time_gives_its_jobs_back(
    broker: Broker, closed_loop: asyncio.AbstractEventLoop
) -> None:
    dead = begin(closed_loop, broker.async_consumer("other").reserve())
    broker.producer().put("job")
    holder = broker.consumer()
    holder.reserve()
    closed_loop.close()
    del holder
    assert "ready" == broker.stats_job(1).state
    dead.close()


def test_a_loop_that_is_closed_with_the_news_unread_loses_no_job(
    broker: Broker, closed_loop: asyncio.AbstractEventLoop
) -> None:
    """The loop is told, and never comes to tell the coroutine."""
    dead = begin(closed_loop, broker.async_consumer().reserve())
    broker.producer().put("job")
    assert "reserved" == broker.stats_job(1).state
    closed_loop.close()
    dead.close()  # as the collector does
    stats = broker.stats_job(1)
    assert ("ready", 0) == (stats.state, stats.reserves)
    broker._engine._check()


# Dropped


@pytest.mark.usefixtures("no_collector")
def test_a_dropped_consumer_gives_its_jobs_back(broker: Broker) -> None:
    consumer = broker.async_consumer()
    broker.producer().put("job")
    with pytest.raises(StopIteration):
        consumer.reserve().send(None)
    assert "reserved" == broker.stats_job(1).state
    del consumer
    assert "ready" == broker.stats_job(1).state
    assert 0 == broker.stats().current_connections


@pytest.mark.usefixtures("no_collector")
def test_a_dropped_consumer_serves_a_coroutine_that_waits(
    broker: Broker, loops: list[LoopThread]
) -> None:
    holder = broker.consumer()
    broker.producer().put("job")
    holder.reserve()
    future = loops[0].start(broker.async_consumer().reserve())
    wait_until_waiting(broker, 1)
    del holder
    assert "job" == future.result(LONG).body


@pytest.mark.parametrize("when", ["before its lot is there", "after"])
@pytest.mark.usefixtures("no_collector")
@in_a_loop
async def test_a_consumer_dropped_as_a_coroutine_lies_down_gives_its_jobs_to_it(
    clock: FlowingClock, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    victims: list[Any] = []
    here = LoopLot.here

    def drop_and_find(door: Door) -> LoopLot:
        victims.clear()
        return here(door)

    class Dropping(Broker):
        def _sleepers_changed(self) -> None:
            super()._sleepers_changed()
            victims.clear()

    broker = Dropping(clock=clock)
    victims.append(broker.consumer())
    broker.producer().put("job")
    assert "job" == victims[0].reserve().body
    if when != "after":
        monkeypatch.setattr(LoopLot, "here", drop_and_find)
    assert "job" == (await broker.async_consumer().reserve()).body


async def asleep(consumer: AsyncConsumer) -> None:
    await consumer.reserve(timeout=50)


async def asleep_in_a_block(consumer: AsyncConsumer) -> None:
    async with consumer:
        await consumer.reserve(timeout=50)


async def at_work(consumer: AsyncConsumer) -> None:
    with await consumer.reserve():
        await asyncio.get_running_loop().create_future()


async def at_work_in_a_block(consumer: AsyncConsumer) -> None:
    with consumer:
        await at_work(consumer)


@pytest.mark.parametrize(
    "work",
    [asleep, asleep_in_a_block, at_work, at_work_in_a_block],
    ids=lambda work: work.__name__,
)
@pytest.mark.parametrize("answered", [False, True])
@pytest.mark.usefixtures("no_collector")
def test_a_coroutine_that_is_collected_within_a_turn_loses_nothing(
    broker: Broker,
    clock: FlowingClock,
    closed_loop: asyncio.AbstractEventLoop,
    work: Callable[[AsyncConsumer], Coroutine[Any, Any, None]],
    answered: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """The collector may end it while this very thread holds the lock."""
    producer = broker.producer()
    if "work" in work.__name__ or answered:
        producer.put("job")
    if answered:
        # It is handed over, and the coroutine does not run again.
        holder = broker.consumer()
        holder.reserve()
        doomed = [begin(closed_loop, work(broker.async_consumer()))]
        holder.close()
    else:
        doomed = [begin(closed_loop, work(broker.async_consumer()))]
    clock.meddle = doomed.clear
    producer.put("another", tube="elsewhere")
    assert not doomed
    broker._look()
    broker._engine._check()
    assert 0 == broker._engine.waiting
    closed_loop.run_until_complete(asyncio.sleep(0))
    assert_nothing_scheduled(closed_loop)
    closed_loop.close()
    states = [r.state.value for r in broker._engine.jobs.values() if r.body == "job"]
    # A block that is not left normally buries; who never had the job gives it back.
    if answered:
        assert ["ready"] == states
    elif "work" in work.__name__:
        assert ["buried"] == states
    else:
        assert [] == states


@pytest.mark.usefixtures("no_collector")
@in_a_loop
async def test_a_dropped_broker_is_freed_at_once_by_its_loop(
    clock: FlowingClock,
) -> None:
    broker = Broker(clock=clock)
    consumer = broker.async_consumer()
    task = asyncio.ensure_future(consumer.reserve(timeout=50))
    await asyncio.sleep(0)
    broker.producer().put("job", ttr=500)
    await task
    task = asyncio.ensure_future(consumer.reserve(timeout=50))
    await asyncio.sleep(0)
    clock.advance(50)
    with pytest.raises(TimedOutError):
        await task
    gone = weakref.ref(broker)
    del broker, consumer, task
    await asyncio.sleep(0)
    assert gone() is None
