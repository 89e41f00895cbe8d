"""To delete, release, bury and touch a job, by its handle and by its id."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from inproc_tubes import Broker, Consumer, Job, NotFoundError, Producer
from tests.handles.shared import BY, Target, bodies, state

if TYPE_CHECKING:
    from collections.abc import Callable

    from inproc_tubes.testing import FakeClock


@pytest.mark.parametrize("by", BY)
def test_delete(
    broker: Broker, consumer: Consumer, job: Job, by: Callable[[Job], Target]
) -> None:
    consumer.delete(by(job))
    with pytest.raises(NotFoundError):
        broker.peek(1)
    with pytest.raises(NotFoundError):
        consumer.delete(by(job))
    stats = broker.stats_tube("default")
    assert (1, 0) == (stats.cmd_delete, stats.current_jobs_reserved)
    assert 2 == broker.stats().cmd_delete


@pytest.mark.parametrize("by", BY)
def test_release_gives_a_job_back_to_its_old_place(
    producer: Producer, consumer: Consumer, job: Job, by: Callable[[Job], Target]
) -> None:
    producer.put("younger", priority=5)
    consumer.release(by(job))
    assert (1, 0) == (job.releases, job.delay)
    assert ["work", "younger"] == bodies(consumer)


@pytest.mark.parametrize("by", BY)
def test_release_may_change_priority_and_delay(
    clock: FakeClock,
    broker: Broker,
    consumer: Consumer,
    job: Job,
    by: Callable[[Job], Target],
) -> None:
    consumer.release(by(job), 9, 1.5)
    stats = broker.stats_job(1)
    assert ("delayed", 9, 1.5, 1.5) == (
        stats.state,
        stats.priority,
        stats.delay,
        stats.time_left,
    )
    clock.advance(1.5)
    assert "ready" == state(broker, 1)


@pytest.mark.parametrize("by", BY)
def test_bury_puts_a_job_aside(
    broker: Broker, consumer: Consumer, job: Job, by: Callable[[Job], Target]
) -> None:
    consumer.bury(by(job), 9)
    stats = broker.stats_job(1)
    assert ("buried", 9, 1) == (stats.state, stats.priority, stats.buries)
    assert [] == bodies(consumer)


@pytest.mark.parametrize("by", BY)
def test_touch_starts_the_time_to_run_anew(
    clock: FakeClock, consumer: Consumer, job: Job, by: Callable[[Job], Target]
) -> None:
    clock.advance(7)
    consumer.touch(by(job))
    assert 10 == job.stats().time_left
    clock.advance(7)
    assert ("reserved", 0) == (job.stats().state, job.timeouts)
    clock.advance(3)
    assert ("ready", 1) == (job.stats().state, job.timeouts)


def test_a_priority_of_none_is_kept_and_0_is_not_none(
    consumer: Consumer, job: Job
) -> None:
    job.release(priority=None)
    assert 5 == job.priority
    job = consumer.reserve()
    job.release(priority=0)
    assert 0 == job.priority
    job = consumer.reserve()
    job.bury(priority=None)
    assert 0 == job.priority


@pytest.mark.parametrize("verb", ["release", "bury", "touch"])
@pytest.mark.parametrize("where", ["ready", "delayed", "buried", "held by another"])
def test_only_the_consumer_that_holds_a_job_may_release_bury_or_touch_it(
    consumer: Consumer,
    job: Job,
    other: Consumer,
    verb: str,
    where: str,
) -> None:
    if where == "held by another":
        consumer, other = other, consumer
    elif where == "buried":
        job.bury()
    else:
        job.release(delay=5 if where == "delayed" else 0)
    before = job.stats()
    for target in (job, job.id):
        with pytest.raises(NotFoundError) as caught:
            getattr(consumer, verb)(target)
        assert 1 == caught.value.job_id
    assert before == job.stats()


@pytest.mark.parametrize("by", BY)
@pytest.mark.parametrize("where", ["ready", "delayed", "buried"])
def test_anybody_may_delete_what_nobody_holds(
    broker: Broker, other: Consumer, job: Job, where: str, by: Callable[[Job], Target]
) -> None:
    if where == "buried":
        job.bury()
    else:
        job.release(delay=5 if where == "delayed" else 0)
    assert where == state(broker, 1)
    other.delete(by(job))
    assert {} == broker._engine.jobs


@pytest.mark.parametrize("by", BY)
def test_nobody_may_delete_what_another_holds(
    broker: Broker, other: Consumer, job: Job, by: Callable[[Job], Target]
) -> None:
    for user in (other, broker):
        with pytest.raises(NotFoundError):
            user.delete(by(job))
    assert "reserved" == state(broker, 1)


@pytest.mark.parametrize("by", BY)
def test_the_broker_deletes_what_nobody_holds(
    broker: Broker, job: Job, by: Callable[[Job], Target]
) -> None:
    job.bury()
    broker.delete(by(job))
    with pytest.raises(NotFoundError):
        broker.peek(1)
