"""What a job's handle shows, and what no handle can do."""

from __future__ import annotations

import copy
import pickle
from typing import TYPE_CHECKING

import pytest

from inproc_tubes import Broker, Consumer, Job, NotFoundError, Producer

if TYPE_CHECKING:
    from collections.abc import Callable

    from inproc_tubes.testing import FakeClock


def counts(job: Job) -> tuple[int, ...]:
    return job.reserves, job.timeouts, job.releases, job.buries, job.kicks


def test_a_job_shows_its_numbers(
    clock: FakeClock, broker: Broker, producer: Producer, consumer: Consumer
) -> None:
    body = object()
    producer.put(body, 7, 2, 30, tube="jobs")
    clock.advance(2)
    consumer.watch("jobs")
    job = consumer.reserve()
    assert job.body is body
    assert (1, "jobs", 7, 2, 30) == (job.id, job.tube, job.priority, job.delay, job.ttr)

    assert (1, 0, 0, 0, 0) == counts(job)
    job.release(priority=8, delay=3)
    assert (1, 0, 1, 0, 0) == counts(job)
    assert (8, 3) == (job.priority, job.delay)
    job = consumer.reserve_job(1)
    job.bury(priority=9)
    assert (2, 0, 1, 1, 0) == counts(job)
    broker.kick_job(1)
    assert (2, 0, 1, 1, 1) == counts(job)
    job = consumer.reserve()
    clock.advance(30)
    again = consumer.reserve()  # the verb that carries the expiry out
    assert (4, 1, 1, 1, 1) == counts(again)


def test_a_stale_handle_is_a_snapshot_of_the_moment_of_the_next_reservation(
    clock: FakeClock, broker: Broker, consumer: Consumer, job: Job
) -> None:
    clock.advance(10)
    # Nobody has reserved it yet: the handle shows the job as it is.
    assert "ready" == broker.stats_job(1).state
    assert (1, 1, 0, 0, 0) == counts(job)
    second = consumer.reserve()
    second.release(priority=8, delay=3)
    assert (8, 3, (2, 1, 1, 0, 0)) == (second.priority, second.delay, counts(second))
    third = consumer.reserve_job(1)
    third.bury(priority=9)
    broker.kick_job(1)
    assert (9, (3, 1, 1, 1, 1)) == (third.priority, counts(third))
    # The others stay as they were when the job was reserved again.
    assert (8, 3, (2, 1, 1, 0, 0)) == (second.priority, second.delay, counts(second))
    assert (5, 0, (1, 1, 0, 0, 0)) == (job.priority, job.delay, counts(job))


def test_a_job_that_was_peeked_at_is_a_snapshot(
    broker: Broker, consumer: Consumer, job: Job
) -> None:
    peeked = broker.peek(1)
    job.release(priority=8, delay=3)
    consumer.reserve_job(1).bury()
    assert (5, 0, (1, 0, 0, 0, 0)) == (peeked.priority, peeked.delay, counts(peeked))


@pytest.mark.parametrize(
    "name",
    [
        "id",
        "body",
        "tube",
        "priority",
        "delay",
        "ttr",
        "reserves",
        "timeouts",
        "releases",
        "buries",
        "kicks",
    ],
)
def test_the_attributes_of_a_job_cannot_be_set(job: Job, name: str) -> None:
    with pytest.raises(AttributeError):
        setattr(job, name, 1)


def test_a_deleted_job_can_still_be_read(job: Job) -> None:
    job.delete()
    assert (1, "work", "default", 5) == (job.id, job.body, job.tube, job.priority)
    assert repr(job)
    with pytest.raises(NotFoundError):
        job.stats()


def test_the_repr_of_a_job(job: Job) -> None:
    assert "<Job 1 in 'default', reserved by 'MainThread', priority 5: 'work'>" == repr(
        job
    )
    job.bury(priority=9)
    assert "<Job 1 in 'default', buried, priority 9: 'work'>" == repr(job)


def test_the_repr_of_a_job_with_a_large_body_is_short(
    producer: Producer, consumer: Consumer
) -> None:
    producer.put("x" * 10_000)
    shown = repr(consumer.reserve())
    assert "xxx...xxx" in shown
    assert len(shown) < 200


def test_the_reprs_of_the_handles(
    broker: Broker, producer: Producer, consumer: Consumer, job: Job
) -> None:
    assert 1 == job.id
    consumer.watch("a")
    assert "<Broker: 1 reserved in 2 tubes>" == repr(broker)
    assert "<Producer 'MainThread': uses 'default'>" == repr(producer)
    assert "<Consumer 'MainThread': watches 'default', 'a'; holds 1 job>" == repr(
        consumer
    )
    producer.close()
    consumer.close()
    assert "<Producer 'MainThread': the producer was closed>" == repr(producer)
    assert "<Consumer 'MainThread': the consumer was closed>" == repr(consumer)
    broker.close()
    assert "<Broker: the broker was closed>" == repr(broker)


@pytest.mark.parametrize("verb", [copy.copy, copy.deepcopy, pickle.dumps])
def test_no_handle_can_be_pickled_or_copied(
    verb: Callable[[object], object],
    broker: Broker,
    producer: Producer,
    consumer: Consumer,
    job: Job,
) -> None:
    for thing in (broker, producer, consumer, job):
        name = type(thing).__name__
        with pytest.raises(TypeError, match=f"^a {name} can be neither pickled nor"):
            verb(thing)


def test_two_handles_of_one_job_are_two_handles(broker: Broker, job: Job) -> None:
    peeked = broker.peek(job.id)
    assert job == job  # noqa: PLR0124  # on purpose
    assert job != peeked
    assert 2 == len({job, peeked})
