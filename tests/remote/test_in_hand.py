"""What a consumer keeps of the jobs it has in hand, and for how long."""

from __future__ import annotations

import asyncio
import os
import resource
from typing import TYPE_CHECKING, Any

import greenstalk
import pytest

from inproc_tubes import (
    ConnectionLostError,
    NotFoundError,
    NotFoundReason,
    StoppedError,
    TimedOutError,
)
from inproc_tubes.remote import connect, reserving
from inproc_tubes.remote.connection import Client, Lost
from tests.remote.conftest import URL
from tests.remote.shared import Beanstalkd, wait_until, wait_until_asleep
from tests.remote.test_outages import go_away
from tests.threads import LONG, start

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from inproc_tubes.fakes import FakeBeanstalkd
    from inproc_tubes.remote import RemoteBroker
    from inproc_tubes.testing import FakeClock


# Handles that were dropped


def test_a_job_that_was_dropped_keeps_its_connection_until_it_expires(
    fake: FakeBeanstalkd, broker: RemoteBroker, clock: FakeClock
) -> None:
    producer, consumer = broker.producer(), broker.consumer()
    others = broker.consumer()
    before = fake.connections
    for _ in range(10):
        producer.put(1, ttr=1)
        consumer.reserve()
        clock.advance(3)
        others.reserve(0).delete()
    assert fake.connections <= before + 1


def test_a_job_that_was_dropped_can_be_settled_by_its_id(
    fake: FakeBeanstalkd, broker: RemoteBroker
) -> None:
    producer, consumer = broker.producer(), broker.consumer()
    producer.put_many([1, 2, 3])
    ids = [consumer.reserve().id for _ in range(3)]
    for each in ids:
        consumer.delete(each)
    assert 0 == fake.broker.stats().current_jobs_reserved
    assert not consumer._pool.held


def test_a_job_that_was_dropped_and_is_gone_frees_its_connection(
    fake: FakeBeanstalkd, broker: RemoteBroker
) -> None:
    producer, consumer = broker.producer(), broker.consumer()
    producer.put_many([1, 2])
    job_id = consumer.reserve().id
    (held,) = consumer._pool.held.values()
    fake.broker.cancel(job_id)
    before = fake.connections
    consumer.reserve()
    assert before == fake.connections
    assert held.connection is not None
    assert [2] == list(held.connection.jobs)


def test_a_job_in_hand_that_is_gone_says_so(
    fake: FakeBeanstalkd, broker: RemoteBroker
) -> None:
    broker.producer().put(1)
    job = broker.consumer().reserve()
    fake.broker.cancel(job.id)
    with pytest.raises(NotFoundError) as caught:
        job.stats()
    assert NotFoundReason.GONE is caught.value.reason


# Connections that have ended


def test_the_end_of_a_connection_is_none_of_a_newer_reservation(
    broker: RemoteBroker,
) -> None:
    broker.producer().put_many([1, 2])
    consumer = broker.consumer()
    old, new = consumer.reserve(), consumer.reserve()
    held = consumer._pool.held
    connection, newer = held[old.id].connection, held[new.id]
    assert connection is not None
    # Another thread has just noted that its connection has reserved the job since.
    held[old.id] = newer
    connection.close()
    assert newer is held[old.id]


def test_a_connection_ends_where_it_cannot_be_noted_that_its_job_does(
    fake: FakeBeanstalkd, broker: RemoteBroker
) -> None:
    broker.producer().put_many([1, 2])
    consumer = broker.consumer()
    first, second = consumer.reserve_many(2)

    class Interrupted(dict[int, Any]):
        def get(self, *_: Any) -> Any:
            raise KeyboardInterrupt

    connection = consumer._pool.held[first.id].connection
    assert connection is not None
    connection.jobs = Interrupted(connection.jobs)
    with pytest.raises(KeyboardInterrupt):
        first.delete()
    assert second.lost
    assert not consumer._pool.held
    wait_until(lambda: fake.broker.stats().current_jobs_ready == 1)


def test_nothing_is_kept_of_what_was_lost(
    fake: FakeBeanstalkd, broker: RemoteBroker
) -> None:
    broker.producer().put_many(range(10))
    consumer = broker.consumer()
    jobs = [*consumer.reserve_many(5), *(consumer.reserve() for _ in range(5))]
    fake.drop()
    assert all(each.lost for each in jobs)
    assert not consumer._pool.held
    assert all(each.lost is False for each in consumer._pool._all)


def test_whether_it_is_lost_is_told_while_the_server_is_away(
    fake: FakeBeanstalkd, clock: FakeClock
) -> None:
    with connect(URL, clock=clock, reconnect_timeout=None) as broker:
        broker.producer().put_many([1, 2])
        consumer = broker.consumer()
        one, other = consumer.reserve_many(2)
        go_away(fake)
        assert one.lost
        with pytest.raises(TimedOutError):
            consumer.reserve(0)
        assert other.lost


def test_a_command_does_not_come_between_a_reserve_and_its_answer(
    broker: RemoteBroker, clock: FakeClock
) -> None:
    broker.producer().put(1, ttr=1)
    consumer = broker.consumer()
    consumer.reserve()
    (first,) = consumer._pool.held.values()
    clock.advance(1)
    job = consumer.reserve()  # the other one has expired: its connection is free
    connection = consumer._pool.free_one(first.server)
    assert connection is not None
    assert connection is first.connection
    connection.begin_reserve(None)
    with pytest.raises(Lost) as caught:
        connection.ask(Client.touch, greenstalk.Job(job.id, b""))
    assert caught.value.sent is False
    broker.producer().put(2)
    found = connection.end_reserve(connection.wait(None) or b"")
    assert found is not None
    assert 2 == found.id
    connection.ask(Client.touch, found)


# A server that hangs, or is away


@pytest.mark.real
def test_a_reserve_does_not_wait_for_the_answer_much_longer_than_for_a_job(
    beanstalkd: Beanstalkd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reserving, "_SHORTEST_PATIENCE", 0.01)
    with connect(beanstalkd.url, answer_timeout=10 * LONG) as broker:
        consumer = broker.consumer()
        beanstalkd.hang()
        for _ in "again":  # also where it has to connect anew
            future = start(lambda: consumer.reserve(0.01))
            assert isinstance(future.exception(LONG), TimedOutError)


PLAIN: list[Any] = [
    pytest.param(lambda c, job: c.delete(job.id + 1), id="delete"),
    pytest.param(lambda c, _: c.reserve_job(2), id="reserve_job"),
    pytest.param(lambda _, job: job.delete(), id="job.delete"),
    pytest.param(lambda _, job: job.release(), id="job.release"),
    pytest.param(lambda _, job: job.stats(), id="job.stats"),
]


@pytest.mark.parametrize("verb", PLAIN)
def test_a_plain_verb_does_not_hold_up_the_loop_for_a_server_that_is_away(
    fake: FakeBeanstalkd, clock: FakeClock, verb: Callable[[Any, Any], object]
) -> None:
    async def main() -> None:
        with connect(URL, clock=clock, reconnect_timeout=None) as broker:
            broker.producer().put_many([1, 2])
            consumer = broker.async_consumer()
            job = await consumer.reserve()
            go_away(fake)
            with pytest.raises((ConnectionLostError, NotFoundError)):
                verb(consumer, job)

    start(lambda: asyncio.run(main())).result(LONG)


# Joins


def test_a_join_of_a_coroutine_waits_for_the_server_in_the_loop(
    fake: FakeBeanstalkd, broker: RemoteBroker, clock: FakeClock
) -> None:
    job_id = broker.producer().put(1)

    async def main() -> int:
        joining = asyncio.ensure_future(broker.async_join())
        await asyncio.sleep(0)
        go_away(fake)
        for _ in range(20):
            await asyncio.sleep(0)
            clock.advance(0.1)
        assert not joining.done()
        fake.restore()
        fake.broker.delete(job_id)
        while not joining.done():
            await asyncio.sleep(0)
            clock.advance(1)
        return joining.result()

    assert 0 == start(lambda: asyncio.run(main())).result(LONG)


def test_a_join_ends_in_time_while_the_server_is_away(
    fake: FakeBeanstalkd, broker: RemoteBroker, clock: FakeClock
) -> None:
    broker.producer().put(1)
    go_away(fake)
    with pytest.raises(TimedOutError):
        broker.join(timeout=0)
    joining = start(broker.join)
    wait_until_asleep(broker)
    broker.stop()
    assert isinstance(joining.exception(LONG), StoppedError)
    with (
        connect(URL, clock=clock, reconnect_timeout=0) as hasty,
        pytest.raises(ConnectionLostError, match=r"^tubes: no beanstalkd could "),
    ):
        hasty.join()


def test_each_join_has_its_own_result(broker: RemoteBroker, clock: FakeClock) -> None:
    consumer = broker.consumer("a")
    broker.producer("a").put_many([1, 2])
    consumer.reserve().bury()
    last = consumer.reserve()
    joining = start(lambda: broker.join("a"))
    wait_until_asleep(broker)
    assert 0 == broker.join("b")
    last.delete()
    while not joining.done():
        clock.advance(1)
    assert 1 == joining.result(LONG)


# Many files


@pytest.fixture
def many_files() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 1200
    if hard != resource.RLIM_INFINITY and hard < wanted:  # pragma: no cover - rare
        pytest.skip("this process may not have so many files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    files = [os.open(os.devnull, os.O_RDONLY) for _ in range(1050)]
    yield
    for each in files:
        os.close(each)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.real
@pytest.mark.usefixtures("many_files")
def test_a_reserve_waits_for_several_servers_among_many_files(
    beanstalkd: Beanstalkd, tmp_path: Path
) -> None:
    directory = tmp_path / "other"
    directory.mkdir()
    with Beanstalkd(directory) as other:
        urls = f"{beanstalkd.url},{other.url.removeprefix('beanstalk://')}"
        with connect(urls) as broker:
            consumer = broker.consumer()
            future = start(consumer.reserve)
            wait_until(lambda: broker.stats().current_waiting == 2)
            broker.producer().put(1)
            assert 1 == future.result(LONG).body


def test_a_job_that_was_reserved_since_says_so(
    broker: RemoteBroker, clock: FakeClock
) -> None:
    broker.producer().put(1, ttr=1)
    consumer = broker.consumer()
    old = consumer.reserve()
    clock.advance(1)
    new = consumer.reserve()
    with pytest.raises(NotFoundError) as caught:
        old.touch()
    assert NotFoundReason.RESERVED_SINCE is caught.value.reason
    new.delete()
