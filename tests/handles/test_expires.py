"""Jobs that expire, as the handles have them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from inproc_tubes import Broker, Consumer, NotFoundError, Producer, TimedOutError
from tests.threads import LONG, waiting

if TYPE_CHECKING:
    from inproc_tubes.testing import FakeClock


def test_a_job_that_is_not_reserved_in_time_is_deleted(
    broker: Broker, clock: FakeClock, producer: Producer, consumer: Consumer
) -> None:
    producer.put("quote", expires=30)
    producer.put_many(["a", "b"], expires=10)
    clock.advance(10)
    assert broker.stats_tube("default").expired == 2
    job = consumer.reserve(0)
    clock.advance(50)
    job.release()
    clock.advance(19)
    assert broker.stats_tube("default").current_jobs_ready == 1
    clock.advance(1)
    with pytest.raises(TimedOutError):
        consumer.reserve(0)
    with pytest.raises(
        NotFoundError, match=r"^job 1 was deleted, as nobody had reserved it in time$"
    ):
        job.stats()
    assert broker.stats_tube("default").as_dict()["cmd-delete"] == 3


def test_it_expires_while_everybody_sleeps(
    broker: Broker, clock: FakeClock, producer: Producer
) -> None:
    """Those who wait for something else keep the time for it."""
    producer.put("a", tube="other", expires=5)
    future = waiting(broker, lambda: broker.join("other"))
    clock.advance(5)
    assert future.result(LONG) == 0


def test_a_put_with_a_key_may_expire(
    broker: Broker, clock: FakeClock, producer: Producer
) -> None:
    producer.put("a", key="k", expires=5)
    clock.advance(5)
    assert broker.find("k") is None
    assert producer.put("b", key="k", expires=5) == 2


def test_coroutines_put_such_jobs_too(broker: Broker, clock: FakeClock) -> None:
    async def main() -> None:
        producer = broker.async_producer()
        await producer.put("a", expires=5)
        await producer.put_many(["b", "c"], expires=6)

    asyncio.run(main())
    clock.advance(5)
    assert [job.body for job in broker.jobs("default")] == ["b", "c"]


def test_the_body_of_an_expired_job_dies_when_the_lock_is_free(
    broker: Broker, clock: FakeClock, producer: Producer
) -> None:
    seen = []

    class Body:
        def __del__(self) -> None:
            seen.append(broker.tubes())

    producer.put(Body(), expires=5)
    clock.advance(5)
    assert seen == [["default"]]
