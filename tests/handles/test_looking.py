"""Looking at all jobs of a tube, clearing it, and what the reprs show."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from inproc_tubes import Broker, Consumer, Job, JobState, Producer
from inproc_tubes.testing import FakeClock, wait_until_waiting
from tests.threads import LONG, start, waiting

if TYPE_CHECKING:
    from inproc_tubes.broker import StateName, UnheldStateName


@pytest.fixture
def several_jobs(producer: Producer, consumer: Consumer) -> None:
    """Put two jobs in each state."""
    producer.put("buried second")
    producer.put("buried first")
    for job_id in (2, 1):
        consumer.reserve_job(job_id).bury()
    producer.put("expires second", ttr=60)
    producer.put("expires first", ttr=30)
    consumer.reserve_many(2)
    producer.put("matures second", delay=9)
    producer.put("matures first", delay=5)
    producer.put("less urgent", 2)
    producer.put("more urgent", 1)
    producer.put("elsewhere", tube="other")


ALL = [
    "more urgent",
    "less urgent",
    "expires first",
    "expires second",
    "matures first",
    "matures second",
    "buried first",
    "buried second",
]


@pytest.mark.usefixtures("several_jobs")
def test_jobs_come_state_by_state_as_they_are_served(broker: Broker) -> None:
    assert ALL == [job.body for job in broker.jobs("default")]


@pytest.mark.usefixtures("several_jobs")
@pytest.mark.parametrize("state", ["ready", "reserved", "delayed", "buried"])
def test_jobs_of_one_state_are_asked_for_by_it_or_by_its_name(
    broker: Broker, state: StateName
) -> None:
    start = 2 * ["ready", "reserved", "delayed", "buried"].index(state)
    for asked in (state, JobState(state)):
        found = [job.body for job in broker.jobs("default", asked)]
        assert ALL[start : start + 2] == found


@pytest.mark.usefixtures("several_jobs")
def test_looking_changes_nothing(broker: Broker) -> None:
    before = [job.stats() for job in broker.jobs("default")]
    assert before == [job.stats() for job in broker.jobs("default")]
    assert 0 == broker.stats().cmd_peek


def test_a_tube_that_does_not_exist_has_no_jobs(broker: Broker) -> None:
    assert [] == broker.jobs("nowhere")
    assert 0 == broker.clear_tube("nowhere")
    assert ["default"] == broker.tubes()


def test_a_job_that_was_looked_at_may_be_deleted_unless_it_is_held(
    broker: Broker, producer: Producer, consumer: Consumer
) -> None:
    producer.put_many([*"ab"])
    held, ready = (consumer.reserve(), broker.jobs("default", "ready")[0])
    ready.delete()
    (seen,) = broker.jobs("default")
    assert held.id == seen.id
    with pytest.raises(LookupError):
        seen.delete()


def test_a_job_that_was_looked_at_is_fenced(
    broker: Broker, producer: Producer, consumer: Consumer
) -> None:
    producer.put("a")
    (seen,) = broker.jobs("default")
    consumer.reserve().release()
    with pytest.raises(LookupError):
        seen.delete()


# Clearing


@pytest.mark.usefixtures("several_jobs")
def test_clearing_deletes_all_but_what_is_held(broker: Broker) -> None:
    assert 6 == broker.clear_tube("default")
    assert ALL[2:4] == [job.body for job in broker.jobs("default")]
    stats = broker.stats_tube("default")
    assert (6, 8) == (stats.cmd_delete, stats.total_jobs)
    assert 6 == broker.stats().cmd_delete
    assert 0 == broker.clear_tube("default")


@pytest.mark.usefixtures("several_jobs")
@pytest.mark.parametrize("state", ["ready", "delayed", "buried"])
def test_clearing_may_be_of_one_state(broker: Broker, state: UnheldStateName) -> None:
    for asked, count in ((state, 2), (JobState(state), 0)):
        assert count == broker.clear_tube("default", asked)
    left = {job.stats().state for job in broker.jobs("default")}
    assert {"ready", "reserved", "delayed", "buried"} - {state} == left


def test_clearing_does_not_touch_what_is_held(
    broker: Broker, job: Job, consumer: Consumer
) -> None:
    with pytest.raises(
        ValueError, match=r"^state is one of ready, delayed, buried, no"
    ):
        broker.clear_tube("default", JobState.RESERVED)
    broker.clear_tube("default")
    job.release()
    assert job.id == consumer.reserve(0).id


def test_clearing_makes_room_for_a_batch(broker: Broker, producer: Producer) -> None:
    broker.limit_tube("default", 2)
    producer.put_many([*"ab"])
    future = waiting(broker, lambda: producer.put_many([*"cd"]))
    assert 2 == broker.clear_tube("default", "ready")
    assert [3, 4] == future.result(LONG)


# What the reprs show


def test_the_repr_of_a_broker_tells_what_is_in_it(broker: Broker) -> None:
    assert "<Broker: no jobs in 1 tube>" == repr(broker)
    producer, consumer = broker.producer("jobs"), broker.consumer("jobs")
    producer.put_many([*"abcd"])
    producer.put("late", delay=5)
    consumer.reserve()
    consumer.reserve().bury()
    broker.drain()
    assert (
        "<Broker: 2 ready, 1 reserved, 1 delayed, 1 buried in 2 tubes; draining>"
    ) == repr(broker)


def test_the_repr_of_a_broker_may_be_asked_for_within_a_turn(broker: Broker) -> None:
    with broker._monitor.lock:
        assert "<Broker: no jobs in 1 tube>" == repr(broker)


def test_the_repr_of_a_tube_tells_what_one_looks_for(
    broker: Broker, clock: FakeClock
) -> None:
    producer = broker.producer("jobs")
    assert "<TubeStats of 'jobs': no jobs; 1 producer, no consumers>" == repr(
        broker.stats_tube("jobs")
    )
    broker.limit_tube("jobs", 4)
    consumer = broker.consumer("jobs")
    producer.put_many([*"abc"])
    producer.put("late", delay=50)
    consumer.reserve()
    consumer.reserve().bury()
    broker.pause_tube("jobs", 9)
    clock.advance(1.5)
    futures = [waiting(broker, lambda: producer.put("x")) for _ in range(2)]
    futures.append(waiting(broker, broker.consumer("jobs").reserve))  # type: ignore[arg-type]  # to be closed
    assert (
        "<TubeStats of 'jobs': 1 ready, 1 reserved, 1 delayed, 1 buried; at most 4; "
        "1 producer, 2 consumers; 1 reserve waits, 2 puts wait; paused for 7.5 s more>"
    ) == repr(broker.stats_tube("jobs"))
    assert "<Producer 'MainThread': uses 'jobs', 4 of 4 jobs; 2 puts wait>" == repr(
        producer
    )
    broker.close()
    for future in futures:
        assert future.exception(LONG) is not None


def test_the_repr_of_a_consumer_shows_what_waits(
    broker: Broker, consumer: Consumer
) -> None:
    futures = [start(consumer.reserve) for _ in range(2)]
    wait_until_waiting(broker, 2)
    assert (
        "<Consumer 'MainThread': watches 'default'; holds no jobs; 2 reserves wait>"
        == repr(consumer)
    )
    broker.close()
    for future in futures:
        assert future.exception(LONG) is not None


def test_the_repr_of_a_job_tells_what_became_of_it(
    job: Job, other: Consumer, clock: FakeClock
) -> None:
    assert "<Job 1 in 'default', reserved by 'MainThread', priority 5: 'work'>" == repr(
        job
    )
    clock.advance(10)
    again = other.reserve()
    assert (
        "<Job 1 in 'default', reserved since, by 'MainThread', priority 5: 'work'>"
    ) == repr(job)
    again.delete()
    assert "<Job 1 in 'default', gone, priority 5: 'work'>" == repr(job)
