"""Loops that are closed, and coroutines and handles that are dropped in them."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import weakref
from typing import TYPE_CHECKING, Any

import pytest

from inproc_tubes import AsyncConsumer, Broker, ClosedError, TimedOutError
from inproc_tubes.core.recovery import check
from inproc_tubes.monitor import Monitor
from inproc_tubes.testing import wait_until_waiting
from inproc_tubes.waiting.coroutines import Anchor, LoopSleepers
from tests.loops import FlowingClock, begin, in_loops
from tests.shells import (
    LoopThread,
    assert_nothing_scheduled,
    in_a_loop,
    noted_failures,
    timers_of,
)
from tests.threads import LONG, start, waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from inproc_tubes.clock import Clock


@pytest.fixture
def clock() -> FlowingClock:
    return FlowingClock()


@pytest.fixture
def broker(clock: FlowingClock) -> Broker:
    return Broker(clock=clock)


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
    assert 4 == broker._monitor.waiting
    broker.producer().put("job")
    assert 1 == len(other._session.held)
    assert 1 == thread.result(LONG).reserves
    # All of them are withdrawn, not the first alone.
    assert 0 == broker._monitor.waiting
    assert [] == in_loops(broker)
    check(broker._engine)
    for coroutine in dead:
        coroutine.close()
    check(broker._engine)


def test_a_job_for_a_closed_loop_goes_back_to_its_place_if_nothing_waits(
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
    check(broker._engine)
    for coroutine in dead:
        coroutine.close()


def test_a_moment_that_a_closed_loop_would_wait_for_withdraws_what_waits_in_it(
    broker: Broker, closed_loop: asyncio.AbstractEventLoop
) -> None:
    dead = begin(closed_loop, broker.async_consumer().reserve())
    closed_loop.close()
    assert 1 == len(in_loops(broker))
    broker.producer().put("job", delay=5)
    assert [] == in_loops(broker)
    assert 0 == broker._monitor.waiting
    check(broker._engine)
    dead.close()


def test_a_put_behind_one_of_a_closed_loop_is_let_in_in_the_same_turn(
    broker: Broker, closed_loop: asyncio.AbstractEventLoop
) -> None:
    broker.limit_tube("default", 2)
    broker.producer().put("first")
    batch = broker.async_producer().put_many(["has", "no room"])
    dead = begin(closed_loop, batch)
    with contextlib.closing(asyncio.new_event_loop()) as loop:
        # It does not run, and so takes no turn itself.
        other = begin(loop, broker.async_producer().put("has"))
        closed_loop.close()
        # The loop is to keep this time, and is found to be closed.
        broker.producer("elsewhere").put("job", delay=5)
        assert 0 == broker._monitor.waiting
        check(broker._engine)
        other.close()
    dead.close()


def test_the_jobs_of_a_put_that_a_closed_loop_cannot_resume_have_never_been(
    broker: Broker, closed_loop: asyncio.AbstractEventLoop
) -> None:
    broker.limit_tube("default", 1)
    broker.producer().put("first")
    dead = begin(closed_loop, broker.async_producer().put("second"))
    thread = waiting(broker, lambda: broker.producer().put("third"))
    closed_loop.close()
    broker.delete(1)
    thread.result(LONG)
    assert ["third"] == [job._body for job in broker._engine.jobs.values()]
    check(broker._engine)
    dead.close()


def test_a_closed_loop_does_not_hinder_the_end_of_the_broker(
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


@pytest.mark.parametrize("end", ["closed", "collected"])
@pytest.mark.usefixtures("no_collector")
def test_a_consumer_dropped_beside_a_turn_gives_its_jobs_back_though_a_loop_has_ended(
    broker: Broker, end: str
) -> None:
    """The turn is another thread's, and nobody can be told to take the next one."""
    with contextlib.closing(asyncio.new_event_loop()) as loop:
        waits = [begin(loop, broker.async_consumer("other").reserve())]
    if end == "collected":
        waits.clear()
        del loop
        gc.collect()
    dropped = [broker.consumer()]
    broker.producer().put("job")
    dropped[0].reserve()
    with broker._monitor.lock:
        start(dropped.clear).result(LONG)
        assert 0 < len(broker._monitor.turn.after) < 5
    broker.tubes()
    assert "ready" == broker.stats_job(1).state
    assert 0 == broker._monitor.waiting
    check(broker._engine)


def test_a_loop_that_is_closed_before_it_resumes_a_coroutine_loses_no_job(
    broker: Broker, closed_loop: asyncio.AbstractEventLoop
) -> None:
    """The loop was to resume it in its next round, and has none."""
    dead = begin(closed_loop, broker.async_consumer().reserve())
    broker.producer().put("job")
    assert "reserved" == broker.stats_job(1).state
    closed_loop.close()
    dead.close()  # as the collector does
    stats = broker.stats_job(1)
    assert ("ready", 0) == (stats.state, stats.reserves)
    check(broker._engine)


# Dropped


@in_a_loop
async def test_a_task_that_waits_is_not_collected_though_nothing_else_refers_to_it(
    broker: Broker,
) -> None:
    """Worker tasks are often made and forgotten."""
    consumer = broker.async_consumer()
    taken = []

    async def work() -> None:
        taken.append(await consumer.reserve())

    asyncio.ensure_future(work())  # noqa: RUF006 - that is the point
    await asyncio.sleep(0)
    gc.collect()
    assert 1 == broker._monitor.waiting
    broker.producer().put("job")
    await asyncio.sleep(0)
    assert ["job"] == [job.body for job in taken]


@in_a_loop
async def test_a_loop_refers_to_tasks_only_while_they_wait(broker: Broker) -> None:
    task = asyncio.ensure_future(broker.async_consumer().reserve())
    await asyncio.sleep(0)
    anchor = Anchor.of_running_loop()
    assert [task] == list(anchor.tasks.values())
    task.cancel()
    await asyncio.wait([task])
    assert {} == anchor.tasks
    assert anchor is Anchor.of_running_loop()


def test_an_anchor_stays_while_a_task_waits(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loop asks once a day."""
    days: list[Callable[[], None]] = []

    def call_later(delay: float, callback: Callable[[], None]) -> None:
        assert 86_400 == delay
        days.append(callback)

    async def wait_for_a_day() -> None:
        task = asyncio.ensure_future(broker.async_consumer().reserve())
        await asyncio.sleep(0)
        days[0]()
        task.cancel()
        await asyncio.wait([task])
        days[1]()

    loop = asyncio.new_event_loop()
    monkeypatch.setattr(loop, "call_later", call_later)
    loop.run_until_complete(wait_for_a_day())
    loop.close()
    assert 2 == len(days)


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
@in_a_loop
async def test_a_dropped_consumer_gives_back_a_job_that_it_has_waited_for(
    broker: Broker,
) -> None:
    consumers = [broker.async_consumer()]

    async def take() -> int:
        return (await consumers[0].reserve()).id

    task = asyncio.ensure_future(take())
    await asyncio.sleep(0)
    broker.producer().put("job")
    assert 1 == await task
    assert "reserved" == broker.stats_job(1).state
    consumers.clear()
    assert "ready" == broker.stats_job(1).state


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


@pytest.mark.parametrize("when", ["before its loop is looked for", "after"])
@pytest.mark.usefixtures("no_collector")
@in_a_loop
async def test_a_consumer_dropped_as_a_coroutine_begins_to_wait_gives_its_jobs_to_it(
    clock: FlowingClock, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    dropped: list[Any] = []
    of_running_loop = LoopSleepers.of_running_loop

    def drop_and_find(monitor: Monitor) -> LoopSleepers:
        dropped.clear()
        return of_running_loop(monitor)

    class Dropping(Monitor):
        def sleepers_changed(self) -> None:
            super().sleepers_changed()
            dropped.clear()

    class DroppingBroker(Broker):
        @staticmethod
        def _new_monitor(clock: Clock) -> Monitor:
            return Dropping(clock)

    broker = DroppingBroker(clock=clock)
    dropped.append(broker.consumer())
    broker.producer().put("job")
    assert "job" == dropped[0].reserve().body
    if when != "after":
        monkeypatch.setattr(LoopSleepers, "of_running_loop", drop_and_find)
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
    """The collector may end it in a thread that is in the middle of a turn."""
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
    broker._monitor.look()
    check(broker._engine)
    assert 0 == broker._monitor.waiting
    closed_loop.run_until_complete(asyncio.sleep(0))
    assert_nothing_scheduled(closed_loop)
    closed_loop.close()
    jobs = broker._engine.jobs.values()
    states = [job._state.value for job in jobs if job._body == "job"]
    # A block that is interrupted releases, and a job that was not handed out is ready.
    if answered or "work" in work.__name__:
        assert ["ready"] == states
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
    gone: list[weakref.ref[object]]
    gone = [weakref.ref(broker), weakref.ref(broker._monitor)]
    del broker, consumer, task
    await asyncio.sleep(0)
    assert not any(ref() for ref in gone)


@pytest.mark.parametrize("kept", ["nothing", "its sleepers"])
@pytest.mark.usefixtures("no_collector")
def test_what_a_loop_was_to_do_for_a_broker_that_is_gone_is_not_done(
    clock: FlowingClock,
    closed_loop: asyncio.AbstractEventLoop,
    monkeypatch: pytest.MonkeyPatch,
    kept: str,
) -> None:
    """Both when its timer goes off, and when another thread has called."""
    broker = Broker(clock=clock)
    coroutine = begin(closed_loop, broker.async_consumer().reserve(timeout=50))
    broker.producer().put("job", delay=40)
    ways = in_loops(broker) if kept == "its sleepers" else []
    coroutine.close()
    gone = weakref.ref(broker._monitor)
    del broker, coroutine
    assert gone() is None
    failures = noted_failures(closed_loop)
    late = closed_loop.time() + 3_600
    monkeypatch.setattr(closed_loop, "time", lambda: late)
    assert 1 == len(timers_of(closed_loop))
    closed_loop.run_until_complete(asyncio.sleep(0))
    assert [] == timers_of(closed_loop)
    assert [] == failures
    assert (kept == "its sleepers") == len(ways)
    closed_loop.close()


@pytest.mark.usefixtures("no_collector")
def test_a_broker_is_collected_though_a_sleeper_of_a_closed_loop_is_not(
    clock: FlowingClock, closed_loop: asyncio.AbstractEventLoop
) -> None:
    """The end of its producer wakes it, in vain; a debugger, say, refers to it."""
    broker = Broker(clock=clock)
    broker.limit_tube("default", 1)
    producer = broker.async_producer()
    broker.producer().put("first")
    coroutine = begin(closed_loop, producer.put("second"))
    (way,) = in_loops(broker)
    (sleeper,) = way._asleep
    future = sleeper._future()  # it goes on waiting, though nobody can be woken
    closed_loop.close()
    gone = weakref.ref(broker._monitor)
    garbage: list[object] = [broker, producer, coroutine]
    garbage.append(garbage)
    del broker, producer, coroutine, way, garbage
    gc.collect()
    assert gone() is None
    assert future is not None
    assert not future.done()
    assert not sleeper.is_alive()
