"""`Broker.cancel`: the end of a job, whoever holds it."""

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


@pytest.mark.parametrize("by", BY)
def test_the_holder_of_a_job_finds_it_lost(
    broker: Broker, consumer: Consumer, job: Job, by: Callable[[Job], Target]
) -> None:
    broker.cancel(by(job))
    assert job.lost
    verbs: list[Callable[[], None]] = [job.touch, job.release, job.bury, job.delete]
    for verb in verbs:
        with pytest.raises(NotFoundError, match=r"^job 1 was cancelled$") as caught:
            verb()
        assert caught.value.reason is NotFoundReason.CANCELLED
    assert [] == broker.jobs("default")
    assert "holds no jobs" in repr(consumer)
    assert "gone" in repr(job)


def test_the_block_of_a_job_that_is_cancelled_in_it_ends_quietly(
    broker: Broker, job: Job
) -> None:
    with job:
        broker.cancel(job)
    assert job.lost


def test_the_failure_of_a_block_whose_job_was_cancelled_is_the_news(
    broker: Broker, job: Job
) -> None:
    def work() -> None:
        with job:
            broker.cancel(job)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work()
    assert [] == broker.jobs("default")


def test_a_look_at_a_ready_job_is_enough_to_cancel_it_when_it_is_held(
    broker: Broker, producer: Producer, consumer: Consumer
) -> None:
    producer.put("work")
    look = broker.peek_ready("default")
    job = consumer.reserve()
    broker.cancel(look)
    assert (True, False) == (job.lost, look.lost)


def test_a_job_that_is_cancelled_after_it_was_done_is_not_found(
    broker: Broker, job: Job
) -> None:
    job.delete()
    with pytest.raises(NotFoundError, match=r"^job 1 was deleted$"):
        broker.cancel(job)
    assert not job.lost


def test_a_consumer_of_a_cancelled_job_is_told_of_no_deadline(
    clock: FakeClock, broker: Broker, producer: Producer, consumer: Consumer, job: Job
) -> None:
    clock.advance(9.5)
    broker.cancel(job)
    producer.put("more")
    assert "more" == consumer.reserve(timeout=0).body
