"""Moving and changing jobs, by the handles."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from inproc_tubes import (
    Broker,
    Consumer,
    DuplicateJobError,
    NotFoundError,
    Producer,
    TubeFullError,
)
from tests.handles.shared import BY, Target, state
from tests.threads import LONG, waiting

if TYPE_CHECKING:
    from collections.abc import Callable

    from inproc_tubes import Job


@pytest.mark.parametrize("by", BY)
def test_a_job_moves_to_another_tube(
    broker: Broker, producer: Producer, by: Callable[[Job], Target]
) -> None:
    producer.put("a", priority=7, key="k")
    broker.move(by(broker.peek(1)), "slow")
    job = broker.find("k", tube="slow")
    assert job is not None
    assert (job.id, job.tube, job.priority) == (1, "slow", 7)
    assert broker.stats_tube("slow").total_jobs == 1
    assert broker.stats_tube("default").total_jobs == 0


def test_a_consumer_that_waits_has_it_at_once(
    broker: Broker, producer: Producer
) -> None:
    producer.put("a")
    slow = broker.consumer("slow")
    future = waiting(broker, slow.reserve)
    broker.move(1, "slow")
    assert future.result(LONG).body == "a"
    with pytest.raises(NotFoundError):
        broker.move(1, "default")


@pytest.mark.parametrize("by", BY)
def test_a_job_is_changed(
    broker: Broker,
    producer: Producer,
    consumer: Consumer,
    by: Callable[[Job], Target],
) -> None:
    producer.put_many(["a", "b"])
    job = broker.peek(2)
    broker.update(by(job), priority=1)
    assert consumer.reserve(0).body == "b"
    broker.update(1, delay=5)
    assert state(broker, 1) == "delayed"
    broker.update(by(broker.peek(1)), 3, 0)
    assert consumer.reserve(0).priority == 3
    with pytest.raises(NotFoundError):
        broker.update(1, 5)


@pytest.mark.parametrize("by", BY)
def test_a_job_is_buried_from_outside(
    broker: Broker,
    producer: Producer,
    consumer: Consumer,
    by: Callable[[Job], Target],
) -> None:
    producer.put_many(["a", "b"])
    broker.bury(by(broker.peek(1)), priority=3, error=ValueError("torn"))
    job = broker.peek_buried()
    assert (job.id, job.priority) == (1, 3)
    assert job.error is not None
    assert job.error.headline == "ValueError: torn"
    assert consumer.reserve(0).body == "b"
    for job_id in (1, 2):
        with pytest.raises(NotFoundError):
            broker.bury(job_id)


def test_a_consumer_releases_its_job_to_another_tube(
    broker: Broker, producer: Producer, consumer: Consumer
) -> None:
    producer.put_many(["a", "b"])
    consumer.reserve(0).release(tube="slow", delay=5)
    consumer.release(consumer.reserve(0), tube="slow")
    slow = broker.consumer("slow")
    assert slow.reserve(0).body == "b"
    assert state(broker, 1) == "delayed"


def test_what_is_in_the_way_leaves_the_job_with_its_consumer(
    broker: Broker, producer: Producer, consumer: Consumer
) -> None:
    producer.put("a", key="k")
    producer.put("b", key="k", tube="slow")
    job = consumer.reserve(0)
    with pytest.raises(DuplicateJobError):
        job.release(tube="slow")
    broker.clear_tube("slow")
    producer.put("b", tube="full")
    broker.limit_tube("full", 1)
    with pytest.raises(TubeFullError):
        consumer.release(job, tube="full")
    assert not job.lost
    job.delete()


def test_coroutines_release_to_another_tube_too(broker: Broker) -> None:
    async def main() -> None:
        await broker.async_producer().put("a")
        consumer = broker.async_consumer()
        consumer.release(await consumer.reserve(), tube="slow")
        with await broker.async_consumer("slow").reserve() as job:
            assert job.tube == "slow"

    asyncio.run(main())
