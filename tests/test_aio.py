"""The handles for coroutines: what they do that those for threads do not."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from inproc_tubes import (
    AsyncConsumer,
    AsyncProducer,
    Broker,
    ClosedError,
    DeadlineSoonError,
    DeadlockError,
    TimedOutError,
)
from inproc_tubes.core.recovery import check
from inproc_tubes.testing import FakeClock, wait_until_waiting
from tests.shells import LoopThread, in_a_loop, timers_of
from tests.threads import LONG, start, waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator

START = 1_000_000.0


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def broker(clock: FakeClock) -> Broker:
    return Broker(clock=clock)


def states(broker: Broker) -> dict[object, str]:
    """Return the state of every job by its body."""
    return {job._body: job._state.value for job in broker._engine.jobs.values()}


# The handles


@in_a_loop
async def test_jobs_are_put_and_worked_off(broker: Broker) -> None:
    async with (
        broker.async_producer("a") as producer,
        broker.async_consumer("a", "b") as consumer,
    ):
        assert 1 == await producer.put("first", priority=5, delay=0, ttr=9)
        assert 2 == await producer.put("second", tube="b")
        assert "a" == producer.using()
        assert ["a", "b"] == consumer.watching()
        job = await consumer.reserve(timeout=5)
        assert ("first", "a", 5, 9) == (job.body, job.tube, job.priority, job.ttr)
        job.touch()
        consumer.release(job, priority=6)
        (await consumer.reserve()).bury()
        (await consumer.reserve()).delete()
        assert {"first": "buried"} == states(broker)
        consumer.reserve_job(1).delete()
    assert {} == states(broker)


@in_a_loop
async def test_a_handle_ends_with_its_block_of_either_kind(broker: Broker) -> None:
    await broker.async_producer().put("job")
    with broker.async_consumer() as consumer, broker.async_producer() as producer:
        await consumer.reserve()
    async with broker.async_consumer() as other, broker.async_producer():
        # The first consumer has given it back.
        assert 2 == (await other.reserve()).reserves
    for closed in (consumer, other):
        with pytest.raises(ClosedError, match=r"^the consumer was closed$"):
            await closed.reserve()
    with pytest.raises(ClosedError, match=r"^the producer was closed$"):
        await producer.put("job")
    assert 0 == broker.stats().current_connections


@in_a_loop
async def test_the_block_of_a_job_deletes_or_buries_it(broker: Broker) -> None:
    producer, consumer = broker.async_producer(), broker.async_consumer()
    for body in ("good", "bad"):
        await producer.put(body)
    with await consumer.reserve() as job:
        assert "good" == job.body

    async def fail() -> None:
        with await consumer.reserve():
            raise LookupError

    with pytest.raises(LookupError):
        await fail()
    assert {"bad": "buried"} == states(broker)


@in_a_loop
async def test_the_block_of_a_job_that_is_cancelled_releases_it(broker: Broker) -> None:
    await broker.async_producer().put("job")

    async def work() -> None:
        with await broker.async_consumer().reserve():
            await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await work()
    assert {"job": "ready"} == states(broker)
    assert 1 == broker.peek_ready().releases


def test_a_handle_shows_what_it_is(broker: Broker) -> None:
    consumer, producer = broker.async_consumer("a"), broker.async_producer("a")
    assert "<AsyncConsumer 'MainThread': watches 'a'; holds no jobs>" == repr(consumer)
    assert "<AsyncProducer 'MainThread': uses 'a'>" == repr(producer)
    consumer.close()
    producer.close()
    assert "<AsyncConsumer 'MainThread': the consumer was closed>" == repr(consumer)
    assert "<AsyncProducer 'MainThread': the producer was closed>" == repr(producer)


def test_a_closed_broker_makes_no_handles(broker: Broker) -> None:
    broker.close()
    for make in (broker.async_consumer, broker.async_producer):
        with pytest.raises(ClosedError, match=r"^the broker was closed$"):
            make()


@in_a_loop
async def test_one_handle_serves_several_loops_and_threads(
    broker: Broker, loops: list[LoopThread]
) -> None:
    consumer = broker.async_consumer()
    futures = []
    for n, loop in enumerate(loops):
        futures.append(loop.start(consumer.reserve()))
        await asyncio.to_thread(wait_until_waiting, broker, n + 1)
    own = asyncio.ensure_future(consumer.reserve())
    await asyncio.sleep(0)
    ids = [broker.producer().put(n) for n in range(3)]
    jobs = [*map(asyncio.wrap_future, futures), own]
    assert ids == [(await job).id for job in jobs]
    # They hold the jobs in common.
    for job_id in ids:
        consumer.delete(job_id)


# When it waits, and when it does not


@in_a_loop
async def test_a_reserve_of_what_is_ready_does_not_suspend(broker: Broker) -> None:
    broker.producer().put("job")
    with pytest.raises(StopIteration) as returned:
        broker.async_consumer().reserve().send(None)
    assert "job" == returned.value.value.body


@pytest.mark.parametrize("seconds_held", [0, 9.5])
@in_a_loop
async def test_a_reserve_that_must_not_wait_does_not_suspend(
    broker: Broker, clock: FakeClock, seconds_held: float
) -> None:
    broker.producer().put("job", ttr=10)
    consumer = broker.async_consumer()
    with pytest.raises(StopIteration):
        consumer.reserve().send(None)
    clock.advance(seconds_held)
    error = DeadlineSoonError if seconds_held else TimedOutError
    with pytest.raises(error):
        consumer.reserve(timeout=0).send(None)


class Resumed:
    """Awaits a coroutine, and counts how often that is resumed."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        self._steps = coroutine.__await__()
        self.count = 0

    def __await__(self) -> Generator[Any, Any, Any]:
        try:
            while True:
                yield next(self._steps)
                self.count += 1
        except StopIteration as returned:
            return returned.value


@in_a_loop
async def test_a_job_resumes_exactly_the_coroutine_that_is_served(
    broker: Broker,
) -> None:
    """Also where its deadline comes before all that was due till then."""
    producer = broker.async_producer("tube-1")
    tubes = [f"tube-{i % 6}" for i in range(12)]
    consumers = [broker.async_consumer(tube) for tube in tubes]
    resumed = [Resumed(consumer.reserve()) for consumer in consumers]
    tasks = [asyncio.ensure_future(one) for one in resumed]
    await asyncio.sleep(0)
    assert 12 == broker._monitor.waiting
    await producer.put("first", ttr=1)
    await producer.put("unwatched", tube="elsewhere")
    await producer.put("later", delay=10)
    for _ in range(5):  # rounds of the loop, more than it takes
        await asyncio.sleep(0)
    assert [int(i == 1) for i in range(12)] == [one.count for one in resumed]
    assert "first" == tasks[1].result().body
    await producer.put_many(range(2), tube="tube-2")
    await asyncio.wait([tasks[2], tasks[8]])
    assert [int(i in {1, 2, 8}) for i in range(12)] == [one.count for one in resumed]
    broker.close()
    await asyncio.wait(tasks)
    errors = [task.exception() for i, task in enumerate(tasks) if i not in {1, 2, 8}]
    assert [ClosedError] * 9 == [type(error) for error in errors]


def test_a_reserve_that_must_wait_wants_a_running_loop(broker: Broker) -> None:
    with pytest.raises(RuntimeError, match=r"^no running event loop$"):
        broker.async_consumer().reserve().send(None)
    assert 0 == broker._monitor.waiting
    check(broker._engine)


@in_a_loop
async def test_iteration_over_a_full_tube_lets_other_tasks_run(broker: Broker) -> None:
    producer, consumer = broker.async_producer(), broker.async_consumer()
    for number in range(10):
        await producer.put(number)
    seen: list[object] = []

    async def count() -> None:
        while len(seen) < 20:
            seen.append("other")
            await asyncio.sleep(0)

    other = asyncio.ensure_future(count())
    async for job in consumer:
        with job:
            seen.append(job.body)
        if job.body == 9:
            consumer.close()
    await other
    # No task had to wait for two jobs.
    assert [n for number in range(10) for n in ("other", number)] == seen[:20]


@in_a_loop
async def test_iteration_ends_with_the_consumer_or_the_broker(broker: Broker) -> None:
    consumer = broker.async_consumer()
    broker.close()
    assert [] == [job async for job in consumer]


# Time


@in_a_loop
async def test_a_fake_clock_drives_coroutines_that_are_blocked_for_an_hour(
    broker: Broker, clock: FakeClock
) -> None:
    producer = broker.async_producer()
    for delay in (3600, 1200, 2400):
        await producer.put(delay, delay=delay, ttr=7200)
    tasks = [asyncio.ensure_future(broker.async_consumer().reserve()) for _ in range(4)]
    late = asyncio.ensure_future(broker.async_consumer("b").reserve(timeout=3601))
    await asyncio.sleep(0)
    assert 5 == broker._monitor.waiting
    # The loop's own clock has no part in it.
    assert [] == timers_of(asyncio.get_running_loop())
    clock.advance(3600)
    assert [1200, 2400, 3600] == [(await task).body for task in tasks[:3]]
    assert 3600 == clock.advance_to_next() - START - 1
    with pytest.raises(TimedOutError):
        await late
    tasks[3].cancel()
    await asyncio.wait([tasks[3]])


@in_a_loop
async def test_a_coroutine_that_waits_holds_an_autojumping_clock() -> None:
    """Its thread runs a loop, which may do anything next."""
    clock = FakeClock(autojump=True)
    broker = Broker(clock=clock)
    blocked = waiting(broker, lambda: broker.consumer("a").reserve(timeout=60))
    own = asyncio.ensure_future(broker.async_consumer("b").reserve(timeout=60))
    await asyncio.to_thread(wait_until_waiting, broker, 2)
    clock._jump_if_all_wait()
    assert START == clock.now()
    clock.advance(60)
    with pytest.raises(TimedOutError):
        await own
    assert isinstance(await asyncio.to_thread(blocked.exception, LONG), TimedOutError)


@in_a_loop
async def test_a_deadlock_ends_the_wait_of_coroutines_too(broker: Broker) -> None:
    own = asyncio.ensure_future(broker.async_consumer().reserve())
    await asyncio.sleep(0)
    broker._monitor.fail_all(DeadlockError)
    with pytest.raises(DeadlockError):
        await own


def test_a_blocked_loop_delays_no_other_on_the_real_clock(
    loops: list[LoopThread],
) -> None:
    with Broker() as broker:
        first, second = loops
        late = first.start(broker.async_consumer("a").reserve())
        wait_until_waiting(broker, 1)
        with first.blocked():
            mine = second.start(broker.async_consumer("b").reserve())
            wait_until_waiting(broker, 2)
            thread = waiting(broker, broker.consumer("c").reserve)
            broker.producer("a").put("for the blocked one", delay=0.01)
            broker.producer("b").put("for the loop", delay=0.02)
            broker.producer("c").put("for the thread", delay=0.02)
            assert "for the loop" == mine.result(LONG).body
            assert "for the thread" == thread.result(LONG).body
        assert "for the blocked one" == late.result(LONG).body


# From outside


@pytest.mark.parametrize("closed", ["consumer", "broker"])
@in_a_loop
async def test_closing_in_another_thread_ends_a_wait(
    broker: Broker, closed: str
) -> None:
    consumer = broker.async_consumer()
    ends: dict[str, Callable[[], None]] = {
        "consumer": consumer.close,
        "broker": broker.close,
    }
    task = asyncio.ensure_future(consumer.reserve())
    await asyncio.sleep(0)
    start(ends[closed]).result(LONG)
    with pytest.raises(ClosedError, match=rf"^the {closed} was closed$"):
        await task


def test_the_classes_are_part_of_the_public_face(broker: Broker) -> None:
    assert isinstance(broker.async_consumer(), AsyncConsumer)
    assert isinstance(broker.async_producer(), AsyncProducer)
