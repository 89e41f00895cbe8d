"""What is left of a handle when it, or its broker, is closed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from inproc_tubes import Broker, ClosedError, Consumer, Job, Producer
from tests.handles.shared import bodies

if TYPE_CHECKING:
    from collections.abc import Callable

    from inproc_tubes.testing import FakeClock


def verbs_of_producer(producer: Producer) -> list[Callable[[], object]]:
    return [
        lambda: producer.put("x"),
        lambda: producer.put("x" * 65536),
        lambda: producer.use("jobs"),
        producer.using,
    ]


def verbs_of_consumer(consumer: Consumer, job: Job) -> list[Callable[[], object]]:
    return [
        consumer.reserve,
        lambda: consumer.reserve(0),
        lambda: consumer.reserve_job(1),
        lambda: consumer.delete(1),
        lambda: consumer.release(1),
        lambda: consumer.bury(1),
        lambda: consumer.touch(1),
        lambda: consumer.watch("a"),
        lambda: consumer.ignore("a"),
        consumer.watching,
        job.delete,
        job.release,
        job.bury,
        job.touch,
    ]


def test_a_closed_producer_puts_no_more(broker: Broker) -> None:
    producer = broker.producer("jobs")
    producer.close()
    producer.close()
    for verb in verbs_of_producer(producer):
        with pytest.raises(ClosedError, match=r"^the producer was closed$"):
            verb()
    assert ["default"] == broker.tubes()


def test_a_closed_consumer_does_nothing_more(consumer: Consumer, job: Job) -> None:
    consumer.close()
    consumer.close()
    for verb in verbs_of_consumer(consumer, job):
        with pytest.raises(ClosedError, match=r"^the consumer was closed$"):
            verb()
    # To look at a job takes no consumer.
    assert "ready" == job.stats().state


def test_a_closed_consumer_gives_its_jobs_back_and_no_counter_moves(
    producer: Producer, consumer: Consumer, other: Consumer
) -> None:
    for body in "abc":
        producer.put(body)
    jobs = [consumer.reserve() for _ in "abc"]
    consumer.close()
    assert [(1, 0, 0)] * 3 == [(j.reserves, j.timeouts, j.releases) for j in jobs]
    assert list("abc") == bodies(other)


def test_after_the_broker_was_closed_every_verb_raises(
    broker: Broker, producer: Producer, consumer: Consumer, job: Job
) -> None:
    broker.close()
    broker.close()
    producer.close()
    consumer.close()
    verbs: list[Callable[[], object]] = [
        *verbs_of_producer(producer),
        *verbs_of_consumer(consumer, job),
        job.stats,
        broker.producer,
        broker.consumer,
        broker.tubes,
        broker.stats,
        lambda: broker.stats_tube("default"),
        lambda: broker.stats_job(1),
        lambda: broker.peek(1),
        broker.peek_ready,
        broker.peek_delayed,
        broker.peek_buried,
        lambda: broker.kick("default", 1),
        lambda: broker.kick_job(1),
        lambda: broker.delete(1),
        lambda: broker.pause_tube("default", 1),
        broker.drain,
    ]
    for verb in verbs:
        with pytest.raises(ClosedError, match=r"^the broker was closed$"):
            verb()


def test_handles_and_brokers_close_at_the_end_of_their_blocks(
    clock: FakeClock,
) -> None:
    with Broker(clock=clock) as broker:
        with broker.producer() as producer, broker.consumer() as consumer:
            producer.put("x")
        for verb in (producer.using, consumer.watching):
            with pytest.raises(ClosedError):
                verb()
        assert "x" == broker.peek(1).body
    with pytest.raises(ClosedError):
        broker.tubes()


def test_a_block_does_not_swallow_what_it_is_left_by(clock: FakeClock) -> None:
    with (
        pytest.raises(ZeroDivisionError),
        Broker(clock=clock) as broker,
        broker.producer(),
        broker.consumer(),
    ):
        raise ZeroDivisionError
