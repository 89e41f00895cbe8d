"""A coroutine that is cancelled while it waits, at every moment there is."""

from __future__ import annotations

import asyncio
from itertools import product
from math import inf
from typing import Any

import pytest

from inproc_tubes import Broker, Job, JobState, TimedOutError
from inproc_tubes.core.recovery import check
from inproc_tubes.testing import FakeClock
from tests.meddling import MeddlingClock
from tests.shells import in_a_loop
from tests.threads import LONG, start, waiting


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def broker(clock: FakeClock) -> Broker:
    return Broker(clock=clock)


async def begun(coroutine: Any) -> asyncio.Task[Job]:
    """Run a coroutine as far as it waits."""
    task: asyncio.Task[Job] = asyncio.ensure_future(coroutine)
    await asyncio.sleep(0)
    return task


def states(broker: Broker) -> dict[object, tuple[str, int]]:
    """Return the state of each job by its body, and how often it was reserved."""
    jobs = broker._engine.jobs.values()
    return {job._body: (job._state.value, job._reserves) for job in jobs}


# Every interleaving

EVENTS = ("put", "put from a thread", "cancel", "timeout", "close", "go on")


class Race:
    """A coroutine that waits, another behind it, and what happens to the first."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.broker = Broker(clock=self.clock)
        self.producer = self.broker.producer()
        self.consumer = self.broker.async_consumer()
        self.put = 0
        self.cancelled = False

    async def run(self, events: tuple[str, ...]) -> None:
        """Let it all happen, each event at once after the other unless they go on."""
        first = await begun(self.consumer.reserve(timeout=10))
        second = await begun(self.broker.async_consumer().reserve())
        for event in events:
            await self.do(event, first)
        check(self.broker._engine)
        await asyncio.wait([first])
        check(self.broker._engine)
        closed = self.consumer._consumer._session.closed is not None
        holds = has_result(first) and not closed
        held = {first.result().id} if holds else set()
        # The second has what the first has not, or what that one had to give back.
        if self.put > holds:
            held.add((await second).id)
        self.check(first, held, closed=closed)
        second.cancel()
        await asyncio.wait([second])
        check(self.broker._engine)
        assert 0 == self.broker._monitor.waiting
        assert -inf == max(way.armed_for for way in self.broker._monitor.ways)

    async def do(self, event: str, first: asyncio.Task[Job]) -> None:
        if event == "go on":
            await asyncio.sleep(0)
        elif event == "cancel":
            self.cancelled |= first.cancel()
        elif event == "timeout":
            self.clock.advance(10)
        elif event == "close":
            self.consumer.close()
        else:
            self.put += 1
            body = self.put
            if event == "put":
                self.producer.put(body)
            else:
                start(lambda: self.producer.put(body)).result(LONG)

    def check(self, first: asyncio.Task[Job], held: set[int], *, closed: bool) -> None:
        """Check that no job is lost, and that each is held by who was given it."""
        self.broker._monitor.look()
        jobs = self.broker._engine.jobs.values()
        assert self.put == len(jobs)
        assert held == {job._id for job in jobs if job._state is JobState.RESERVED}
        assert self.put - len(held) == self.broker.stats().current_jobs_ready
        if has_result(first):
            assert 1 == first.result().id
        # What never reached its consumer has never been reserved.
        if not closed:
            reserves = {job._id: job._reserves for job in jobs}
            assert reserves == {job_id: job_id in held for job_id in reserves}
        # It is cancelled only if somebody has cancelled it.
        assert self.cancelled or not first.cancelled()


def has_result(task: asyncio.Task[Job]) -> bool:
    """Tell whether a task has got its job."""
    return task.done() and not task.cancelled() and task.exception() is None


@pytest.mark.parametrize("first_event", EVENTS)
@in_a_loop
async def test_nothing_is_lost_whatever_happens_in_whatever_order(
    first_event: str,
) -> None:
    for events in product(EVENTS, repeat=2):
        # It is cancelled in the end at least.
        await Race().run((first_event, *events, "cancel"))


# The moments by name


@in_a_loop
async def test_a_job_goes_past_a_coroutine_that_is_cancelled_and_has_not_run_since(
    broker: Broker,
) -> None:
    task = await begun(broker.async_consumer().reserve())
    thread = waiting(broker, (other := broker.consumer()).reserve)
    task.cancel()
    broker.producer().put("job")
    # Before the loop has come round.
    assert [1] == [job._id for job in other._session.held.in_sequence()]
    assert 1 == thread.result(LONG).reserves
    await asyncio.wait([task])
    assert task.cancelled()
    check(broker._engine)


@in_a_loop
async def test_a_job_that_its_coroutine_was_cancelled_with_goes_to_the_next(
    broker: Broker,
) -> None:
    consumer = broker.async_consumer()
    task = await begun(consumer.reserve())
    thread = waiting(broker, broker.consumer().reserve)
    broker.producer().put("job")
    assert 1 == len(consumer._consumer._session.held)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert 1 == thread.result(LONG).reserves


@in_a_loop
async def test_a_timeout_of_asyncio_leaves_the_queue_as_it_was(broker: Broker) -> None:
    consumer = broker.async_consumer()
    with pytest.raises(TimeoutError) as caught:
        async with asyncio.timeout(0):
            await consumer.reserve(timeout=10)
    assert not isinstance(caught.value, TimedOutError)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(consumer.reserve(), 0.001)
    assert 0 == broker._monitor.waiting
    broker.producer().put("job")
    async with asyncio.timeout(LONG):
        assert 1 == (await consumer.reserve()).reserves


@in_a_loop
async def test_our_timeout_within_that_of_asyncio_is_ours(
    broker: Broker, clock: FakeClock
) -> None:
    async with asyncio.timeout(LONG):
        task = await begun(broker.async_consumer().reserve(timeout=5))
        clock.advance(5)
        with pytest.raises(TimedOutError):
            await task


@in_a_loop
async def test_an_iteration_that_is_cancelled_as_it_yields_has_taken_nothing(
    broker: Broker,
) -> None:
    broker.producer().put("job")
    task: asyncio.Task[Job] = asyncio.ensure_future(anext(broker.async_consumer()))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert ("ready", 0) == states(broker)["job"]


# Interrupted


@in_a_loop
async def test_a_batch_of_which_the_rest_is_interrupted_goes_back_to_its_place() -> (
    None
):
    """By a Ctrl-C. Its first job has come between its two looks at the tube."""
    clock = MeddlingClock()
    broker = Broker(clock=clock)
    producer, consumer = broker.producer(), broker.async_consumer()

    def put() -> None:
        producer.put_many(["first", "second"])
        interrupt_once_it_has_a_job()

    def interrupt_once_it_has_a_job() -> None:
        if len(consumer._consumer._session.held):
            raise KeyboardInterrupt
        clock.meddle = interrupt_once_it_has_a_job

    clock.meddle = put
    with pytest.raises(KeyboardInterrupt):
        await consumer.reserve_many(2)
    assert {"first": ("ready", 0), "second": ("ready", 0)} == states(broker)
    check(broker._engine)
