"""Who was given a job and then closed, before he woke, is told that, and holds nothing.

The job is somebody else's, once.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from threading import Barrier
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

from inproc_tubes import (
    AsyncConsumer,
    Broker,
    ClosedError,
    Consumer,
    Job,
    TimedOutError,
)
from inproc_tubes.core.recovery import check
from inproc_tubes.testing import FakeClock
from tests.shells import in_a_loop
from tests.threads import LONG, start

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from inproc_tubes.clock import Parked

    Sync: TypeAlias = "Callable[[Consumer], object]"
    Async: TypeAlias = "Callable[[AsyncConsumer], Awaitable[object]]"

_ROUNDS = 2000  # of putting and closing at once


class AnsweringClock(FakeClock):
    """Does something when a thread parks, which then wakes."""

    meanwhile: Callable[[], object] | None = None

    def park(self, sleeper: Parked, until: float) -> None:
        meanwhile, self.meanwhile = self.meanwhile, None
        assert meanwhile is not None  # it parks once
        meanwhile()
        super().park(sleeper, until)


@pytest.fixture
def clock() -> AnsweringClock:
    return AnsweringClock()


@pytest.fixture
def broker(clock: AnsweringClock) -> Broker[str]:
    return Broker(clock=clock)


def reserve(consumer: Consumer) -> object:
    with pytest.raises(ClosedError):
        return consumer.reserve()
    return None


def reserve_with_a_timeout(consumer: Consumer) -> object:
    with pytest.raises(ClosedError):
        return consumer.reserve(timeout=60)
    return None


def reserve_many(consumer: Consumer) -> object:
    with pytest.raises(ClosedError):
        return consumer.reserve_many(3)
    return None


def iterate(consumer: Consumer) -> object:
    assert [] == list(consumer)
    return None


def verify_that_somebody_else_has_it(broker: Broker[str]) -> None:
    """Reserve the job with another consumer."""
    check(broker._engine)
    with broker.consumer() as other:
        with other.reserve(timeout=0) as job:
            assert "job" == job.body
        with pytest.raises(TimedOutError):
            other.reserve(timeout=0)
    assert 0 == broker.stats().current_jobs_reserved


VERBS: list[Sync] = [reserve, reserve_with_a_timeout, reserve_many, iterate]


@pytest.mark.parametrize("verb", VERBS)
def test_a_thread_that_was_answered_and_closed_is_told(
    verb: Sync, broker: Broker[str], clock: AnsweringClock
) -> None:
    producer, consumer = broker.producer(), broker.consumer()

    def answer_and_close() -> None:
        producer.put("job")
        consumer.close()

    clock.meanwhile = answer_and_close
    assert verb(consumer) is None
    verify_that_somebody_else_has_it(broker)


@pytest.mark.parametrize("verb", VERBS)
def test_a_job_of_who_was_closed_goes_to_the_next_that_waits(
    verb: Sync, broker: Broker[str], clock: AnsweringClock
) -> None:
    producer, consumer, other = broker.producer(), broker.consumer(), broker.consumer()
    jobs: list[Job] = []

    def answer_and_close() -> None:
        def answer() -> None:
            producer.put("job")
            consumer.close()

        # Another one waits behind it, and is answered by the close.
        clock.meanwhile = answer
        jobs.append(other.reserve())

    clock.meanwhile = answer_and_close
    assert verb(consumer) is None
    assert ["job"] == [job.body for job in jobs]
    jobs[0].delete()
    check(broker._engine)
    assert 0 == broker.stats().current_jobs_ready


@pytest.mark.parametrize("verb", VERBS)
def test_a_thread_whose_broker_was_closed_after_the_answer_is_told(
    verb: Sync, broker: Broker[str], clock: AnsweringClock
) -> None:
    producer, consumer = broker.producer(), broker.consumer()

    def answer_and_close() -> None:
        producer.put("job")
        broker.close()

    clock.meanwhile = answer_and_close
    assert verb(consumer) is None
    with pytest.raises(ClosedError, match=r"^the broker was closed$"):
        consumer.reserve(timeout=0)
    assert {} == broker._engine.jobs


def test_a_put_that_was_let_in_and_closed_stays(
    broker: Broker[str], clock: AnsweringClock
) -> None:
    """It has happened: its id is returned."""
    producer, consumer = broker.producer(), broker.consumer()
    broker.limit_tube("default", 1)
    producer.put("first")

    def make_room_and_close() -> None:
        consumer.reserve(timeout=0).delete()
        producer.close()

    clock.meanwhile = make_room_and_close
    assert 2 == producer.put("job")
    verify_that_somebody_else_has_it(broker)


# Coroutines


async def async_reserve(consumer: AsyncConsumer) -> object:
    with pytest.raises(ClosedError):
        return await consumer.reserve()
    return None


async def async_reserve_with_a_timeout(consumer: AsyncConsumer) -> object:
    with pytest.raises(ClosedError):
        return await consumer.reserve(timeout=60)
    return None


async def async_reserve_many(consumer: AsyncConsumer) -> object:
    with pytest.raises(ClosedError):
        return await consumer.reserve_many(3)
    return None


async def async_iterate(consumer: AsyncConsumer) -> object:
    assert [] == [job async for job in consumer]
    return None


ASYNC_VERBS: list[Async] = [
    async_reserve,
    async_reserve_with_a_timeout,
    async_reserve_many,
    async_iterate,
]


async def begin(broker: Broker[str], verb: Async, consumer: AsyncConsumer) -> Any:
    """Let a coroutine wait."""
    waits = broker._monitor.waiting
    task = asyncio.ensure_future(verb(consumer))
    while broker._monitor.waiting == waits:  # noqa: ASYNC110 - it is a test's
        await asyncio.sleep(0)
    return task


@pytest.mark.parametrize("verb", ASYNC_VERBS)
@in_a_loop
async def test_a_coroutine_that_was_answered_and_closed_is_told(verb: Async) -> None:
    broker: Broker[str] = Broker(clock=FakeClock())
    consumer = broker.async_consumer()
    task = await begin(broker, verb, consumer)
    broker.producer().put("job")
    consumer.close()
    assert await task is None
    verify_that_somebody_else_has_it(broker)


@pytest.mark.parametrize("verb", ASYNC_VERBS)
@in_a_loop
async def test_a_coroutine_whose_broker_was_closed_after_the_answer_is_told(
    verb: Async,
) -> None:
    broker: Broker[str] = Broker(clock=FakeClock())
    consumer = broker.async_consumer()
    task = await begin(broker, verb, consumer)
    broker.producer().put("job")
    broker.close()
    assert await task is None
    assert {} == broker._engine.jobs


# Both at once


def _told_or_given(consumer: Consumer[int], verb: str) -> list[Job[int]]:
    if verb == "for":
        for job in consumer:
            return [job]
        return []
    try:
        if verb == "reserve_many":
            return consumer.reserve_many(2)
        return [consumer.reserve()]
    except ClosedError:
        return []


@pytest.mark.parametrize("what", ["the consumer", "the broker"])
@pytest.mark.parametrize("verb", ["reserve", "reserve_many", "for"])
def test_a_put_and_a_close_at_once_leave_the_job_with_one(verb: str, what: str) -> None:
    """Three threads meet in each round: one waits, one puts, and one closes."""
    rounds = _ROUNDS // 6
    barrier = Barrier(3)
    handles: list[tuple[Broker[int], Any, Consumer[int]]] = []
    for _ in range(rounds):
        broker: Broker[int] = Broker()
        handles.append((broker, broker.producer(), broker.consumer()))

    def wait() -> list[list[Job[int]]]:
        results = []
        for _, _, consumer in handles:
            barrier.wait(LONG)
            results.append(_told_or_given(consumer, verb))
        return results

    def put() -> list[bool]:
        results = []
        for number, (_, producer, _) in enumerate(handles):
            barrier.wait(LONG)
            with suppress(ClosedError):
                producer.put(number)
                results.append(True)
                continue
            results.append(False)
        return results

    def close() -> None:
        for broker, _, consumer in handles:
            barrier.wait(LONG)
            (consumer if what == "the consumer" else broker).close()

    waiter, putter, closer = start(wait), start(put), start(close)
    given, was_put = waiter.result(6 * LONG), putter.result(6 * LONG)
    closer.result(LONG)
    for (broker, _, consumer), jobs, put_it in zip(
        handles, given, was_put, strict=True
    ):
        if what == "the broker":
            assert {} == broker._engine.jobs
            continue
        check(broker._engine)
        assert put_it
        assert len(jobs) <= 1
        # The consumer was closed, before or after: the job is somebody else's, once.
        assert consumer._session.closed
        with broker.consumer() as other:
            (job,) = other.reserve_many(2, timeout=0)
            assert not jobs or jobs[0].id == job.id
            job.delete()
        assert 0 == broker.stats().current_jobs_ready


@in_a_loop
async def test_a_put_and_a_close_at_once_leave_a_coroutines_job_with_one() -> None:
    """The put comes from one thread, and the close from another."""
    loop = asyncio.get_running_loop()
    barrier = Barrier(2)
    brokers: list[tuple[Broker[int], AsyncConsumer[int]]] = []
    for _ in range(_ROUNDS // 6):
        broker: Broker[int] = Broker()
        brokers.append((broker, broker.async_consumer()))

    def at_once(*verbs: Callable[[int], object]) -> list[Any]:
        def run(verb: Callable[[int], object]) -> None:
            for number in range(len(brokers)):
                barrier.wait(LONG)
                verb(number)

        return [start(lambda verb=verb: run(verb)) for verb in verbs]  # type: ignore[misc]  # mypy does not see the default's type

    async def work(consumer: AsyncConsumer[int]) -> list[Job[int]]:
        try:
            return [await consumer.reserve()]
        except ClosedError:
            return []

    tasks = [asyncio.ensure_future(work(consumer)) for _, consumer in brokers]
    await asyncio.sleep(0)
    producers = [broker.producer() for broker, _ in brokers]
    threads = at_once(
        lambda number: producers[number].put(number),
        lambda number: brokers[number][1].close(),
    )
    given = await asyncio.gather(*tasks)
    for thread in threads:
        await loop.run_in_executor(None, thread.result, LONG)
    for (broker, _), jobs in zip(brokers, given, strict=True):
        check(broker._engine)
        with broker.consumer() as other:
            (job,) = other.reserve_many(2, timeout=0)
            assert not jobs or jobs[0].id == job.id
        broker.close()
