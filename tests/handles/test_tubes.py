"""Tubes: paused, drained, listed, and how long they live."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from inproc_tubes import (
    Broker,
    Consumer,
    DrainingError,
    Job,
    JobTooBigError,
    NotFoundError,
    Producer,
)
from tests.handles.shared import MOST, bodies

if TYPE_CHECKING:
    from inproc_tubes.testing import FakeClock


def test_a_paused_tube_serves_nobody_until_its_pause_is_over(
    clock: FakeClock, broker: Broker, producer: Producer, consumer: Consumer
) -> None:
    producer.put("x")
    broker.pause_tube("default", 2.5)
    assert [] == bodies(consumer)
    clock.advance(2.5)
    assert ["x"] == bodies(consumer)


def test_a_new_pause_replaces_the_old_one(
    clock: FakeClock, broker: Broker, producer: Producer, consumer: Consumer
) -> None:
    producer.put("x")
    broker.pause_tube("default", 100)
    broker.pause_tube("default", 1)
    stats = broker.stats_tube("default")
    assert (1, 1, 2) == (stats.pause, stats.pause_time_left, stats.cmd_pause_tube)
    broker.pause_tube("default", 50)
    clock.advance(49)
    assert [] == bodies(consumer)
    clock.advance(1)
    assert ["x"] == bodies(consumer)


@pytest.mark.filterwarnings("ignore:.*a time of day:RuntimeWarning")
def test_a_pause_of_0_ends_the_pause(
    broker: Broker, producer: Producer, consumer: Consumer
) -> None:
    producer.put("x")
    broker.pause_tube("default", MOST)
    broker.pause_tube("default", 0)
    stats = broker.stats_tube("default")
    assert (0, 0, 2) == (stats.pause, stats.pause_time_left, stats.cmd_pause_tube)
    assert ["x"] == bodies(consumer)


def test_a_pause_holds_back_one_tube_only(broker: Broker, producer: Producer) -> None:
    consumer = broker.consumer("a", "b")
    producer.put("urgent", 0, tube="a")
    producer.put("not urgent", 9, tube="b")
    broker.pause_tube("a", 100)
    assert ["not urgent"] == bodies(consumer)


def test_a_tube_that_is_not_there_cannot_be_paused(broker: Broker) -> None:
    with pytest.raises(
        NotFoundError, match=r"^tube 'nowhere' does not exist$"
    ) as caught:
        broker.pause_tube("nowhere", 1)
    assert "nowhere" == caught.value.tube
    assert ["default"] == broker.tubes()


def test_a_draining_broker_takes_no_jobs_and_goes_on_with_the_rest(
    broker: Broker, producer: Producer, consumer: Consumer, job: Job
) -> None:
    broker.drain()
    broker.drain()
    with pytest.raises(DrainingError):
        producer.put("x")
    with pytest.raises(JobTooBigError):
        producer.put(b"x" * 65536)
    job.release()
    with consumer.reserve() as again:
        assert job.id == again.id
    assert broker.stats().draining


def test_tubes_are_listed_in_beanstalkds_order(broker: Broker) -> None:
    producers = [broker.producer(name) for name in "abcd"]
    assert ["default", "a", "b", "c", "d"] == broker.tubes()
    producers[0].close()
    assert ["default", "d", "b", "c"] == broker.tubes()


def test_a_tube_lives_as_long_as_something_refers_to_it(broker: Broker) -> None:
    producer = broker.producer("jobs")
    consumer = broker.consumer("jobs")
    producer.put("x")
    producer.use("default")
    job = consumer.reserve()
    consumer.watch("default")
    consumer.ignore("jobs")
    broker.pause_tube("jobs", 100)
    assert "jobs" in broker.tubes()  # for the job that is held
    job.delete()
    with pytest.raises(NotFoundError):
        broker.stats_tube("jobs")
    producer.use("jobs")
    stats = broker.stats_tube("jobs")
    assert (0, 0, 0) == (stats.total_jobs, stats.cmd_delete, stats.pause)
