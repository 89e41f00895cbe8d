"""A job as a context manager."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from inproc_tubes import Broker, ClosedError, Consumer, Job, NotFoundError
from tests.handles.shared import BY, Target, state

if TYPE_CHECKING:
    from collections.abc import Callable

    from inproc_tubes.testing import FakeClock


def test_a_block_that_is_left_normally_deletes(broker: Broker, job: Job) -> None:
    with job as same:
        assert job is same
        assert "reserved" == state(broker, 1)
    assert {} == broker._engine.jobs
    assert 1 == broker.stats_tube("default").cmd_delete


@pytest.mark.parametrize("error", [ZeroDivisionError, NotFoundError])
def test_a_block_that_fails_buries(
    broker: Broker, job: Job, error: type[Exception]
) -> None:
    with pytest.raises(error) as caught, job:
        raise error
    assert caught.value.__context__ is None
    stats = job.stats()
    assert ("buried", 1, 5) == (stats.state, stats.buries, stats.priority)
    assert 1 == broker.stats().cmd_bury


# What a block may do with its job, and the state that this leaves it in.
SETTLED = [
    pytest.param(lambda c, t: c.release(t), "ready", id="release"),
    pytest.param(lambda c, t: c.release(t, 9), "ready", id="release with priority"),
    pytest.param(lambda c, t: c.release(t, delay=5), "delayed", id="release delayed"),
    pytest.param(lambda c, t: c.bury(t), "buried", id="bury"),
]


@pytest.mark.parametrize("by", BY)
@pytest.mark.parametrize(("settle", "where"), SETTLED)
def test_what_the_block_itself_does_with_the_job_stands(
    broker: Broker,
    consumer: Consumer,
    job: Job,
    settle: Callable[[Consumer, Target], None],
    where: str,
    by: Callable[[Job], Target],
) -> None:
    with job:
        settle(consumer, by(job))
        before = broker.stats_job(1)
        assert where == before.state
    assert before == broker.stats_job(1)


@pytest.mark.parametrize("by", BY)
@pytest.mark.parametrize(("settle", "where"), SETTLED)
def test_what_a_block_did_stands_if_it_fails_afterwards(
    consumer: Consumer,
    job: Job,
    settle: Callable[[Consumer, Target], None],
    where: str,
    by: Callable[[Job], Target],
) -> None:
    def work() -> None:
        with job:
            settle(consumer, by(job))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work()
    assert where == job.stats().state


@pytest.mark.parametrize("by", BY)
def test_a_block_may_delete_its_job(
    broker: Broker, consumer: Consumer, job: Job, by: Callable[[Job], Target]
) -> None:
    with job:
        consumer.delete(by(job))
    assert 1 == broker.stats().cmd_delete


@pytest.mark.parametrize("by", BY)
def test_a_block_may_delete_its_job_and_then_fail(
    broker: Broker, consumer: Consumer, job: Job, by: Callable[[Job], Target]
) -> None:
    def work() -> None:
        with job:
            consumer.delete(by(job))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work()
    assert 0 == broker.stats().cmd_bury


@pytest.mark.parametrize("by", BY)
@pytest.mark.parametrize(("settle", "where"), SETTLED)
@pytest.mark.parametrize("same", [False, True])
def test_a_job_that_the_block_has_settled_may_be_reserved_before_the_block_ends(
    consumer: Consumer,
    other: Consumer,
    job: Job,
    settle: Callable[[Consumer, Target], None],
    where: str,
    same: bool,  # noqa: FBT001  # parametrised
    by: Callable[[Job], Target],
) -> None:
    """With many workers that is what will happen: the block is none the wiser."""
    with job:
        settle(consumer, by(job))
        assert where == job.stats().state
        again = (consumer if same else other).reserve_job(1)
    assert "reserved" == again.stats().state
    again.delete()


def test_a_job_that_the_block_has_released_may_expire_elsewhere_before_it_ends(
    clock: FakeClock, broker: Broker, other: Consumer, job: Job
) -> None:
    with job:
        job.release()
        other.reserve()
        clock.advance(10)
    assert ("ready", 1) == (state(broker, 1), broker.stats_job(1).timeouts)
    # The handle is a snapshot of when the other consumer has reserved it.
    assert (1, 1, 0) == (job.reserves, job.releases, job.timeouts)


def test_a_block_may_touch_its_job(clock: FakeClock, broker: Broker, job: Job) -> None:
    with job:
        clock.advance(9)
        job.touch()
        clock.advance(9)
    assert {} == broker._engine.jobs
    assert 0 == broker.stats().job_timeouts


def test_a_job_that_expired_in_the_block_and_that_nobody_has_yet_is_deleted(
    clock: FakeClock, broker: Broker, job: Job
) -> None:
    with job:
        clock.advance(10)
    assert {} == broker._engine.jobs
    assert 1 == job.timeouts


def test_a_job_that_expired_before_the_block_and_that_nobody_has_yet_is_deleted(
    clock: FakeClock, broker: Broker, job: Job
) -> None:
    clock.advance(10)
    assert "ready" == state(broker, 1)
    with job:
        pass
    assert {} == broker._engine.jobs


def test_a_job_that_expired_in_a_block_that_fails_stays_ready(
    clock: FakeClock, broker: Broker, job: Job
) -> None:
    with pytest.raises(ZeroDivisionError), job:  # noqa: PT012  # the block is the subject
        clock.advance(10)
        raise ZeroDivisionError
    assert ("ready", 0) == (state(broker, 1), job.buries)


@pytest.mark.parametrize("same", [False, True])
def test_a_block_whose_job_expired_and_is_somebody_elses_raises(
    clock: FakeClock,
    consumer: Consumer,
    other: Consumer,
    job: Job,
    same: bool,  # noqa: FBT001  # parametrised
) -> None:
    job.__enter__()
    clock.advance(10)
    again = (consumer if same else other).reserve()
    with pytest.raises(NotFoundError) as caught:
        job.__exit__(None, None, None)
    assert 1 == caught.value.job_id
    assert "reserved" == again.stats().state


def test_a_block_whose_job_expired_and_was_done_by_another_consumer_raises_nothing(
    clock: FakeClock, broker: Broker, other: Consumer, job: Job
) -> None:
    with job:
        clock.advance(10)
        other.reserve().delete()
    assert {} == broker._engine.jobs


def test_a_block_that_fails_after_its_job_was_claimed_is_left_by_its_own_exception(
    clock: FakeClock, broker: Broker, other: Consumer, job: Job
) -> None:
    with pytest.raises(ZeroDivisionError) as caught, job:  # noqa: PT012  # the block is the subject
        clock.advance(10)
        other.reserve()
        raise ZeroDivisionError
    assert caught.value.__context__ is None
    assert ("reserved", 0) == (state(broker, 1), job.buries)


@pytest.mark.parametrize("what", ["consumer", "broker"])
def test_a_block_in_which_the_queue_was_closed_raises(
    broker: Broker, consumer: Consumer, job: Job, what: str
) -> None:
    job.__enter__()
    (consumer if what == "consumer" else broker).close()
    with pytest.raises(ClosedError, match=f"^the {what} was closed$"):
        job.__exit__(None, None, None)


@pytest.mark.parametrize("what", ["consumer", "broker"])
def test_a_block_that_fails_after_the_queue_was_closed_is_left_by_its_own_exception(
    broker: Broker, consumer: Consumer, job: Job, what: str
) -> None:
    with pytest.raises(ZeroDivisionError) as caught, job:  # noqa: PT012  # the block is the subject
        (consumer if what == "consumer" else broker).close()
        raise ZeroDivisionError
    assert caught.value.__context__ is None


def test_a_job_may_be_entered_twice(broker: Broker, job: Job) -> None:
    with job, job:
        pass
    with job:
        pass
    assert 1 == broker.stats().cmd_delete
