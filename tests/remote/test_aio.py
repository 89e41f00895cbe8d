"""The handles for coroutines, on a beanstalkd in memory and on a real one."""

from __future__ import annotations

import asyncio
import inspect
from functools import wraps
from typing import TYPE_CHECKING, Any

import pytest

from inproc_tubes import (
    ClosedError,
    ConnectionLostError,
    DeadlineSoonError,
    JobTooBigError,
    StoppedError,
    TimedOutError,
)
from inproc_tubes.remote import RemoteBroker, connect
from inproc_tubes.testing import FakeClock

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from inproc_tubes.fakes import FakeBeanstalkd
    from tests.remote.shared import Beanstalkd


def in_a_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run a test in an event loop in debug mode."""

    @wraps(test)
    def run(**fixtures: Any) -> None:
        asyncio.run(test(**fixtures), debug=True)

    run.__signature__ = inspect.signature(test)  # type: ignore[attr-defined]  # for pytest
    return run


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.real)])
def either(request: pytest.FixtureRequest) -> Iterator[RemoteBroker]:
    """Let the test be about either of the two."""
    if request.param == "fake":
        yield request.getfixturevalue("broker")
        return
    server: Beanstalkd = request.getfixturevalue("beanstalkd")
    with connect(server.url) as broker:
        yield broker


async def until(condition: Callable[[], bool]) -> None:
    """Let others run until something is so."""
    while not condition():  # noqa: ASYNC110 - nothing tells it in this thread
        await asyncio.sleep(0)


@in_a_loop
async def test_jobs_are_put_and_reserved(either: RemoteBroker) -> None:
    async with either.async_producer("a") as producer, either.async_consumer("a") as c:
        assert 1 == await producer.put({"n": 1}, 5, ttr=9)
        assert [2, 3] == await producer.put_many([2, 3])
        assert 4 == await producer.put(4, tube="b")
        assert ("a", "a") == (producer.using(), either.peek(3).tube)
        producer.use("b")
        assert 5 == await producer.put(5)
        with await c.reserve() as job:
            assert ({"n": 1}, 5, 9) == (job.body, job.priority, job.ttr)
        assert [2, 3] == [each.body for each in await c.reserve_many(5)]
        c.watch("b")
        assert 4 == c.reserve_job(4).body
        again = c.reserve_nowait()
        assert again is not None
        assert 5 == again.body
        assert c.reserve_nowait() is None
        assert await c.reserve(0, default=None) is None


@in_a_loop
async def test_a_job_that_comes_is_served_to_a_reserve_that_waits(
    either: RemoteBroker,
) -> None:
    consumer = either.async_consumer()
    task = asyncio.create_task(consumer.reserve())
    await until(lambda: either.stats().current_waiting == 1)
    either.producer().put("x")
    job = await task
    assert "x" == job.body
    job.touch()
    job.release()
    async for again in consumer:
        assert job.id == again.id
        again.delete()
        consumer.stop()


@in_a_loop
async def test_a_reserve_times_out(either: RemoteBroker) -> None:
    consumer = either.async_consumer()
    task = asyncio.create_task(consumer.reserve(0.01))
    await until(lambda: either.stats().current_waiting == 1)
    if isinstance(either.clock, FakeClock):
        await until(lambda: either._network.sleepers.waiting == 1)
        either.clock.advance(0.01)
    with pytest.raises(TimedOutError):
        await task
    with pytest.raises(TimedOutError):
        await consumer.reserve(0)


@in_a_loop
async def test_a_cancelled_reserve_leaves_nothing_behind(either: RemoteBroker) -> None:
    consumer = either.async_consumer()
    for timeout in (None, 50):
        task = asyncio.create_task(consumer.reserve(timeout))
        await until(lambda: either.stats().current_waiting == 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert 0 == either.stats().current_waiting
    either.producer().put("x")
    assert "x" == (await consumer.reserve(0)).body


@pytest.mark.parametrize(
    ("end", "error"), [("stop", StoppedError), ("close", ClosedError)]
)
def test_the_end_of_a_consumer_is_told(
    either: RemoteBroker, end: str, error: type[Exception]
) -> None:
    async def run() -> None:
        consumer = either.async_consumer()
        for timeout in (None, 50):
            consumer = either.async_consumer()
            task = asyncio.create_task(consumer.reserve(timeout))
            await until(lambda: either.stats().current_waiting == 1)
            getattr(consumer, end)()
            with pytest.raises(error):
                await task

    asyncio.run(run(), debug=True)


@in_a_loop
async def test_a_wrong_body_is_refused(either: RemoteBroker) -> None:
    async with either.async_producer() as producer:
        with pytest.raises(TypeError):
            await producer.put({1, 2})
        with pytest.raises(JobTooBigError) as caught:
            await producer.put("x" * 65536)
        assert (65538, 65535) == (caught.value.size, caught.value.limit)
        assert await producer.put("fits")


@in_a_loop
async def test_a_closed_producer_puts_no_more(either: RemoteBroker) -> None:
    producer = either.async_producer(name="shop")
    await producer.put(1)
    assert "<RemoteAsyncProducer 'shop': uses 'default'>" == repr(producer)
    with producer:
        pass
    with pytest.raises(ClosedError):
        await producer.put(2)
    with pytest.raises(ClosedError):
        producer.using()
    await asyncio.sleep(0)  # so that it closes its connection


@in_a_loop
async def test_a_join_is_awaited(either: RemoteBroker) -> None:
    assert 0 == await either.async_join("default")
    either.producer().put(1)
    with pytest.raises(TimedOutError):
        await either.async_join(timeout=0)


# By a clock that is moved by hand


@in_a_loop
async def test_a_put_and_a_reserve_wait_for_a_server_that_is_away(
    fake: FakeBeanstalkd, broker: RemoteBroker, clock: FakeClock
) -> None:
    producer, consumer = broker.async_producer(), broker.async_consumer()
    fake.refuse()
    tasks = [
        asyncio.create_task(producer.put("x")),
        asyncio.create_task(consumer.reserve()),
    ]
    sleepers = broker._network.sleepers
    await until(lambda: sleepers.waiting == 2)
    fake.restore()
    clock.advance(1)
    assert 1 == await tasks[0]
    assert "x" == (await tasks[1]).body  # type: ignore[attr-defined]  # a job
    fake.drop()
    assert 2 == await producer.put("y")
    producer.close()


@in_a_loop
async def test_a_put_gives_a_server_up(fake: FakeBeanstalkd, clock: FakeClock) -> None:
    fake.refuse()
    url = "beanstalk://beanstalkd.test"
    told = pytest.raises(ConnectionLostError, match=r"^put: no beanstalkd could be ")
    with connect(url, clock=clock, reconnect_timeout=0) as broker, told:
        await broker.async_producer().put("x")


@in_a_loop
async def test_a_put_whose_answer_is_lost_is_not_repeated(
    fake: FakeBeanstalkd, broker: RemoteBroker
) -> None:
    producer = broker.async_producer()
    await producer.put("x")
    (client,) = producer._all

    async def put(*_: object) -> int:
        fake.drop()
        raise ConnectionError

    client.put = put
    with pytest.raises(ConnectionLostError, match=r"^put: beanstalkd\.test:11300 may "):
        await producer.put("y")
    assert await producer.put("z")
    producer.close()


@in_a_loop
async def test_a_reserve_that_waits_is_told_of_a_deadline(
    broker: RemoteBroker, clock: FakeClock
) -> None:
    broker.producer().put("x", ttr=10)
    consumer = broker.async_consumer()
    job = await consumer.reserve()
    task = asyncio.create_task(consumer.reserve())
    await until(lambda: broker.stats().current_waiting == 1)
    clock.advance(9)
    with pytest.raises(DeadlineSoonError) as caught:
        await task
    assert job.id == caught.value.job_id
