"""`Job.lost`: whether the reservation is over, and its consumer did not end it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from inproc_tubes import (
    Broker,
    ClosedError,
    Consumer,
    Job,
    NotFoundError,
    Producer,
)
from tests.handles.shared import BY, Target, state

if TYPE_CHECKING:
    from collections.abc import Callable

    from inproc_tubes.testing import FakeClock


def test_a_job_in_hand_is_not_lost(clock: FakeClock, job: Job) -> None:
    assert not job.lost
    clock.advance(9)
    job.touch()
    clock.advance(9)
    assert not job.lost


def test_an_expired_job_is_lost_whoever_has_it(
    clock: FakeClock, other: Consumer, job: Job
) -> None:
    clock.advance(10)
    assert job.lost
    again = other.reserve()
    assert (True, False) == (job.lost, again.lost)
    again.delete()
    assert (True, False) == (job.lost, again.lost)


def test_a_job_is_lost_in_the_moment_in_which_it_expires_though_nobody_has_looked(
    clock: FakeClock, broker: Broker, job: Job
) -> None:
    clock._time += 10  # the process was suspended, say
    assert job.lost
    assert "ready" == state(broker, 1)


@pytest.mark.parametrize("by", BY)
@pytest.mark.parametrize(
    "settle",
    [
        pytest.param(lambda c, t: c.delete(t), id="delete"),
        pytest.param(lambda c, t: c.release(t), id="release"),
        pytest.param(lambda c, t: c.release(t, delay=5), id="release delayed"),
        pytest.param(lambda c, t: c.bury(t), id="bury"),
    ],
)
def test_a_job_that_its_consumer_has_settled_is_not_lost(
    clock: FakeClock,
    broker: Broker,
    consumer: Consumer,
    other: Consumer,
    job: Job,
    settle: Callable[[Consumer, Target], None],
    by: Callable[[Job], Target],
) -> None:
    settle(consumer, by(job))
    assert not job.lost
    broker.kick("default", 1)
    clock.advance(5)
    if job.id in broker._engine.jobs:
        again = other.reserve()
        clock.advance(10)
        assert (False, True) == (job.lost, again.lost)
    other.close()
    broker.close()
    assert not job.lost


@pytest.mark.parametrize("error", [None, ValueError(), KeyboardInterrupt()], ids=repr)
def test_a_job_whose_block_was_left_is_not_lost(
    job: Job, error: BaseException | None
) -> None:
    job.__exit__(None if error is None else type(error), error, None)
    assert not job.lost


def test_what_is_given_back_by_a_close_is_lost(
    broker: Broker, consumer: Consumer, other: Consumer, job: Job
) -> None:
    consumer.close()
    assert job.lost
    with pytest.raises(ClosedError), job:
        pass
    again = other.reserve()
    broker.close()
    assert (True, True) == (job.lost, again.lost)


def test_a_block_that_has_settled_its_job_may_end_after_a_close(
    consumer: Consumer, job: Job
) -> None:
    with job:
        job.release()
        consumer.close()
    assert not job.lost


def test_a_late_delete_that_succeeds_settles_the_job_all_the_same(
    clock: FakeClock, job: Job
) -> None:
    clock.advance(10)
    assert job.lost
    job.delete()
    assert not job.lost


def test_a_late_block_that_succeeds_settles_the_job_all_the_same(
    clock: FakeClock, job: Job
) -> None:
    with job:
        clock.advance(10)
        assert job.lost
    assert not job.lost


def test_an_expired_job_that_others_delete_is_lost(
    clock: FakeClock, broker: Broker, job: Job
) -> None:
    clock.advance(10)
    broker.delete(job.id)
    assert job.lost


def test_a_block_that_ends_late_does_not_kill_a_loop(
    clock: FakeClock, producer: Producer, consumer: Consumer, other: Consumer
) -> None:
    producer.put_many([*"ab"], ttr=10)
    done: list[object] = []
    for job in consumer:
        try:
            with job:
                if not done:
                    clock.advance(10)
                    other.reserve()
                done.append(job.body)
        except NotFoundError:
            assert job.lost
        else:
            consumer.stop()
    assert list("ab") == done


def test_a_job_that_was_only_looked_at_is_not_lost(
    clock: FakeClock, broker: Broker, job: Job
) -> None:
    look = broker.peek(job.id)
    clock.advance(10)
    broker.close()
    assert (True, False) == (job.lost, look.lost)


def test_a_job_that_a_dropped_consumer_has_left_in_hand_may_be_lost(
    clock: FakeClock, broker: Broker, producer: Producer
) -> None:
    producer.put("job", ttr=10)
    job = broker.consumer().reserve()
    assert not job.lost
    clock.advance(10)
    assert job.lost
