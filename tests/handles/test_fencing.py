"""An old handle of a job that was reserved again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from inproc_tubes import Broker, ClosedError, Consumer, Job, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable

    from inproc_tubes.testing import FakeClock


# How a reservation may end, and how the job comes to be reserved again.


def by_expiry(clock: FakeClock, broker: Broker, job: Job) -> None:  # noqa: ARG001 - all are called alike
    clock.advance(10)


def by_release(clock: FakeClock, broker: Broker, job: Job) -> None:  # noqa: ARG001 - all are called alike
    job.release()


def by_delay(clock: FakeClock, broker: Broker, job: Job) -> None:  # noqa: ARG001 - all are called alike
    job.release(delay=5)
    clock.advance(5)


def by_burial(clock: FakeClock, broker: Broker, job: Job) -> None:  # noqa: ARG001 - all are called alike
    job.bury()
    broker.kick("default", 1)


ENDS = [by_expiry, by_release, by_delay, by_burial]


def refusals(broker: Broker, consumer: Consumer, job: Job) -> None:
    """See to it that a handle can do nothing with its job."""
    verbs: list[Callable[[], object]] = [
        job.delete,
        job.release,
        job.bury,
        job.touch,
        job.stats,
    ]
    of_others: list[Callable[[Job], object]] = [
        consumer.delete,
        consumer.release,
        consumer.bury,
        consumer.touch,
        broker.delete,
        broker.kick_job,
        broker.stats_job,
    ]
    verbs += [lambda verb=verb: verb(job) for verb in of_others]  # type: ignore[misc]  # a default binds
    for verb in verbs:
        with pytest.raises(NotFoundError) as caught:
            verb()
        assert job.id == caught.value.job_id


@pytest.mark.parametrize("same", [False, True])
@pytest.mark.parametrize("end", ENDS)
def test_a_handle_is_a_strangers_once_the_job_is_reserved_again(
    clock: FakeClock,
    broker: Broker,
    consumer: Consumer,
    other: Consumer,
    job: Job,
    end: Callable[[FakeClock, Broker, Job], None],
    same: bool,  # noqa: FBT001  # parametrised
) -> None:
    end(clock, broker, job)
    again = (consumer if same else other).reserve(0)
    before = again.stats()
    for user in (consumer, other):
        refusals(broker, user, job)
    assert before == again.stats()
    # And it stays so, whatever becomes of the second reservation.
    again.release()
    refusals(broker, consumer, job)
    again.delete()
    refusals(broker, consumer, job)


def test_a_handle_is_a_strangers_once_a_closed_consumers_job_is_reserved_again(
    broker: Broker, consumer: Consumer, other: Consumer, job: Job
) -> None:
    consumer.close()
    again = other.reserve()
    for verb in (other.delete, other.release, other.bury, other.touch):
        with pytest.raises(NotFoundError):
            verb(job)
    with pytest.raises(NotFoundError):
        broker.stats_job(job)
    with pytest.raises(ClosedError):
        job.delete()
    again.delete()


@pytest.mark.parametrize("verb", ["delete", "release", "bury", "touch"])
@pytest.mark.parametrize("end", ENDS)
def test_a_plain_id_is_as_good_as_a_new_handle(
    clock: FakeClock,
    broker: Broker,
    consumer: Consumer,
    job: Job,
    end: Callable[[FakeClock, Broker, Job], None],
    verb: str,
) -> None:
    end(clock, broker, job)
    consumer.reserve(0)
    getattr(consumer, verb)(job.id)


@pytest.mark.parametrize("end", ENDS)
def test_until_the_job_is_reserved_again_the_old_owner_may_delete_it(
    clock: FakeClock,
    broker: Broker,
    job: Job,
    end: Callable[[FakeClock, Broker, Job], None],
) -> None:
    end(clock, broker, job)
    for verb in (job.release, job.bury, job.touch):
        with pytest.raises(NotFoundError):
            verb()
    assert "ready" == job.stats().state
    job.delete()
    assert {} == broker._engine.jobs


def test_an_expired_job_keeps_all_but_its_reservation(
    clock: FakeClock, broker: Broker, consumer: Consumer, job: Job
) -> None:
    clock.advance(10)
    stats = broker.stats_job(1)
    assert ("ready", 5, 1, 1, 0) == (
        stats.state,
        stats.priority,
        stats.reserves,
        stats.timeouts,
        stats.releases,
    )
    assert job.id == consumer.reserve(0).id


def test_a_handle_of_another_broker_is_no_handle_here(
    clock: FakeClock, broker: Broker, consumer: Consumer, job: Job
) -> None:
    stranger = Broker(clock=clock)
    stranger.producer().put("foreign")
    foreign = stranger.consumer().reserve()
    assert job.id == foreign.id
    for verb in (consumer.delete, consumer.release, consumer.bury, consumer.touch):
        with pytest.raises(NotFoundError):
            verb(foreign)
    for look in (broker.delete, broker.kick_job, broker.stats_job):
        with pytest.raises(NotFoundError):
            look(foreign)
    assert "reserved" == job.stats().state
