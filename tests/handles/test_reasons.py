"""Why a verb has not found a job: what `NotFoundError.reason` tells its caller."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from inproc_tubes import (
    Broker,
    Consumer,
    Job,
    NotFoundError,
    NotFoundReason,
    Producer,
)
from tests.handles.shared import BY, Target

if TYPE_CHECKING:
    from collections.abc import Callable

    from inproc_tubes.testing import FakeClock

# The verbs for a job that the consumer holds.
HELD = ["release", "bury", "touch"]
SETTLING = [*HELD, "delete"]


def why(
    verb: Callable[..., object], *args: object
) -> tuple[NotFoundReason, str | None]:
    """Return the reason, and the state, that a verb is refused for."""
    with pytest.raises(NotFoundError) as caught:
        verb(*args)
    if caught.value.reason is not NotFoundReason.EXPIRED:
        assert caught.value.expired_at is None
    return caught.value.reason, caught.value.state


@pytest.mark.parametrize("verb", SETTLING)
def test_a_job_that_was_never_put(
    producer: Producer, consumer: Consumer, verb: str
) -> None:
    next_id = producer.put("work") + 1
    assert (NotFoundReason.NEVER_PUT, None) == why(getattr(consumer, verb), next_id)


@pytest.mark.parametrize("by", BY)
@pytest.mark.parametrize("verb", SETTLING)
def test_a_job_that_was_deleted(
    consumer: Consumer,
    job: Job,
    verb: str,
    by: Callable[[Job], Target],
) -> None:
    target = by(job)
    job.delete()
    assert (NotFoundReason.DELETED, None) == why(getattr(consumer, verb), target)


def test_a_job_that_was_looked_for_by_everybody(broker: Broker, job: Job) -> None:
    job.delete()
    verbs: list[Callable[[int], object]] = [
        broker.peek,
        broker.kick_job,
        broker.stats_job,
    ]
    for verb in verbs:
        assert (NotFoundReason.DELETED, None) == why(verb, job.id)
        assert (NotFoundReason.NEVER_PUT, None) == why(verb, 99)
    assert (NotFoundReason.NEVER_PUT, None) == why(broker.consumer().reserve_job, 99)


@pytest.mark.parametrize("by", BY)
@pytest.mark.parametrize("verb", HELD)
def test_a_reservation_that_has_expired(
    clock: FakeClock,
    consumer: Consumer,
    job: Job,
    verb: str,
    by: Callable[[Job], Target],
) -> None:
    expires_at = clock.now() + job.ttr
    clock.advance(job.ttr + 5)
    with pytest.raises(NotFoundError) as caught:
        getattr(consumer, verb)(by(job))
    error = caught.value
    assert (NotFoundReason.EXPIRED, "ready", expires_at) == (
        error.reason,
        error.state,
        error.expired_at,
    )


@pytest.mark.parametrize("verb", SETTLING)
def test_a_reservation_that_has_expired_before_another_was_made(
    clock: FakeClock,
    broker: Broker,
    consumer: Consumer,
    job: Job,
    verb: str,
) -> None:
    clock.advance(job.ttr)
    again = broker.consumer().reserve(timeout=0)
    assert (NotFoundReason.EXPIRED, "reserved") == why(getattr(consumer, verb), job)
    # An id is good for the present reservation, which is another consumer's.
    assert (NotFoundReason.HELD, "reserved") == why(getattr(consumer, verb), job.id)
    again.bury()
    assert (NotFoundReason.EXPIRED, "buried") == why(getattr(consumer, verb), job)
    broker.consumer().delete(again.id)
    assert (NotFoundReason.EXPIRED, None) == why(getattr(consumer, verb), job)


def test_a_job_that_was_done_late_is_deleted(clock: FakeClock, job: Job) -> None:
    clock.advance(job.ttr)
    job.delete()
    assert (NotFoundReason.DELETED, None) == why(job.delete)


def test_a_reservation_that_its_consumer_has_ended(
    broker: Broker, consumer: Consumer, job: Job
) -> None:
    job.release()
    assert (NotFoundReason.WRONG_STATE, "ready") == why(job.touch)
    again = broker.consumer().reserve(timeout=0)
    assert (NotFoundReason.HELD, "reserved") == why(job.touch)
    again.release(delay=5)
    assert (NotFoundReason.RESERVED_SINCE, "delayed") == why(job.touch)
    assert (NotFoundReason.WRONG_STATE, "delayed") == why(consumer.touch, job.id)


def test_a_reservation_that_ended_with_its_consumer_has_not_expired(
    clock: FakeClock, broker: Broker, consumer: Consumer, job: Job
) -> None:
    consumer.close()
    clock.advance(job.ttr)
    other = broker.consumer()
    assert (NotFoundReason.WRONG_STATE, "ready") == why(other.touch, job)


@pytest.mark.parametrize("by", BY)
@pytest.mark.parametrize("verb", SETTLING)
def test_a_job_that_another_consumer_holds(
    broker: Broker,
    job: Job,
    verb: str,
    by: Callable[[Job], Target],
) -> None:
    other = broker.consumer()
    assert (NotFoundReason.HELD, "reserved") == why(getattr(other, verb), by(job))
    assert (NotFoundReason.HELD, "reserved") == why(other.reserve_job, job.id)
    assert (NotFoundReason.HELD, "reserved") == why(broker.kick_job, job.id)


def test_a_job_that_this_consumer_holds_already(consumer: Consumer, job: Job) -> None:
    assert (NotFoundReason.WRONG_STATE, "reserved") == why(consumer.reserve_job, job.id)


def test_a_job_that_is_ready_is_not_kicked(broker: Broker, producer: Producer) -> None:
    job_id = producer.put("work")
    assert (NotFoundReason.WRONG_STATE, "ready") == why(broker.kick_job, job_id)


def test_a_job_that_was_only_looked_at(
    broker: Broker, producer: Producer, consumer: Consumer
) -> None:
    producer.put("work")
    peeked = broker.peek_ready("default")
    assert (NotFoundReason.ONLY_PEEKED, "ready") == why(consumer.touch, peeked)
    consumer.reserve(timeout=0).release()
    assert (NotFoundReason.RESERVED_SINCE, "ready") == why(consumer.touch, peeked)


@pytest.mark.parametrize("verb", SETTLING)
def test_a_job_of_another_broker(
    consumer: Consumer,
    job: Job,
    verb: str,
) -> None:
    with Broker() as other:
        other.producer().put("theirs")
        theirs = other.consumer().reserve(timeout=0)
        assert theirs.id == job.id
        assert (NotFoundReason.FOREIGN, None) == why(getattr(consumer, verb), theirs)
        theirs.delete()
        assert (NotFoundReason.FOREIGN, None) == why(getattr(consumer, verb), theirs)
    job.delete()


def test_a_tube_and_its_jobs(broker: Broker) -> None:
    assert (NotFoundReason.NO_TUBE, None) == why(broker.stats_tube, "none")
    assert (NotFoundReason.NO_TUBE, None) == why(broker.pause_tube, "none", 1)
    for state, verb in {
        "ready": broker.peek_ready,
        "delayed": broker.peek_delayed,
        "buried": broker.peek_buried,
    }.items():
        assert (NotFoundReason.NO_JOB, state) == why(verb, "default")


def test_the_text_tells_what_has_become_of_the_job(
    clock: FakeClock, broker: Broker, job: Job
) -> None:
    clock.advance(job.ttr)
    broker.consumer(name="other").reserve(timeout=0)
    with pytest.raises(
        NotFoundError, match="of job 1 expired 0 s ago; the job is held by 'other' now"
    ):
        job.delete()
