"""Several beanstalkds."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from inproc_tubes import NotFoundError, TimedOutError
from inproc_tubes.remote import connect
from tests.real_server import why_missing
from tests.remote.shared import Beanstalkd, wait_until, wait_until_reserving
from tests.threads import LONG, start

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from inproc_tubes import Job
    from inproc_tubes.remote import RemoteBroker

pytestmark = pytest.mark.real


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[list[Beanstalkd]]:
    missing = why_missing()
    if missing is not None:  # pragma: no cover - where there is none
        pytest.skip(missing)
    for name in "ab":
        (tmp_path / name).mkdir()
    with Beanstalkd(tmp_path / "a") as first, Beanstalkd(tmp_path / "b") as second:
        yield [first, second]


@pytest.fixture
def broker(servers: list[Beanstalkd]) -> Iterator[RemoteBroker]:
    places = ",".join(f"127.0.0.1:{server.port}" for server in servers)
    with connect(f"beanstalk://{places}", reconnect_timeout=5) as broker:
        yield broker


def test_puts_go_round_and_an_id_names_its_server(broker: RemoteBroker) -> None:
    producer = broker.producer()
    ids = producer.put_many(range(6))
    assert 6 == len(set(ids))
    assert [3, 3] == [sum(each % 2 == place for each in ids) for place in (0, 1)]
    assert list(range(6)) == [broker.peek(each).body for each in ids]
    assert ids == [broker.stats_job(each).id for each in ids]


def test_reserves_are_served_from_all(broker: RemoteBroker) -> None:
    broker.producer().put_many(range(6))
    consumer = broker.consumer()
    jobs = [consumer.reserve(0) for _ in range(6)]
    assert set(range(6)) == {job.body for job in jobs}
    for job in jobs:
        job.touch()
        job.delete()
    with pytest.raises(TimedOutError):
        consumer.reserve(0)
    with pytest.raises(TimedOutError):
        consumer.reserve(0.01)
    with pytest.raises(NotFoundError):
        jobs[0].stats()


def test_a_reserve_waits_for_all(broker: RemoteBroker) -> None:
    consumer, producer = broker.consumer(), broker.producer()
    for body in range(4):
        future = start(consumer.reserve)
        wait_until_reserving(broker, 2)
        producer.put(body)
        with future.result(LONG) as job:
            assert body == job.body
    assert 0 == broker.stats().current_waiting
    broker.stop()


def test_a_coroutine_waits_for_all(broker: RemoteBroker) -> None:
    async def run() -> None:
        consumer, producer = broker.async_consumer(), broker.async_producer()
        for body in range(4):
            task = asyncio.create_task(consumer.reserve())
            while broker.stats().current_waiting < 2:  # noqa: ASYNC110 - nothing tells it
                await asyncio.sleep(0)
            await producer.put(body)
            with await task as job:
                assert body == job.body
        producer.close()

    asyncio.run(run(), debug=True)


def test_what_looks_at_a_tube_looks_at_all(broker: RemoteBroker) -> None:
    broker.producer("a").put_many(range(4))
    broker.producer("a").put_many(range(2), delay=50)
    assert ["default", "a"] == broker.tubes()
    stats = broker.stats_tube("a")
    assert (4, 2) == (stats.current_jobs_ready, stats.current_jobs_delayed)
    assert 6 == broker.stats().current_jobs_ready + broker.stats().current_jobs_delayed
    assert broker.peek_delayed("a").body in {0, 1}
    assert 2 == broker.kick("a", 9)
    assert 0 == broker.kick("a", 0)
    broker.pause_tube("a", 50)
    assert 50 == broker.stats_tube("a").pause
    assert 6 == broker.clear_tube("a")
    for look in (broker.peek_ready, broker.stats_tube):
        with pytest.raises(NotFoundError):
            look("nowhere")
    with pytest.raises(NotFoundError):
        broker.pause_tube("nowhere", 5)
    assert 0 == broker.join(timeout=5)


def test_while_one_is_away_the_others_serve(
    broker: RemoteBroker, servers: list[Beanstalkd]
) -> None:
    producer, consumer = broker.producer(), broker.consumer()
    servers[0].kill()
    for body in range(6):
        with consumer_gets(broker, producer.put(body)):
            pass
    future = start(lambda: consumer.reserve(30))
    servers[0].start()
    ids = [producer.put("x") for _ in range(4)]
    assert future.result(LONG).id in ids


def test_who_only_puts_goes_back_to_a_server_that_is_back(
    broker: RemoteBroker, servers: list[Beanstalkd]
) -> None:
    producer = broker.producer()
    servers[0].kill()
    assert [1, 1] == [producer.put("x") % 2 for _ in range(2)]
    servers[0].start()
    wait_until(lambda: producer.put("x") % 2 == 0)


def consumer_gets(broker: RemoteBroker, job_id: int) -> Job:
    job = broker.consumer().reserve(5)
    assert job_id == job.id
    return job
