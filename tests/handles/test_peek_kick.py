"""To look at jobs that are not reserved, and to kick them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from inproc_tubes import Broker, Consumer, Job, NotFoundError, Producer
from tests.handles.shared import BY, Target, bodies, state

if TYPE_CHECKING:
    from collections.abc import Callable


def test_peek_finds_a_job_in_any_state(
    broker: Broker, producer: Producer, consumer: Consumer
) -> None:
    producer.put("reserved", 0)
    producer.put("buried", 1)
    producer.put("ready")
    producer.put("delayed", delay=1)
    consumer.reserve()
    consumer.reserve().bury()
    for job_id, word in enumerate(["reserved", "buried", "ready", "delayed"], 1):
        peeked = broker.peek(job_id)
        assert (job_id, word, word) == (peeked.id, peeked.body, peeked.stats().state)


def test_peek_changes_nothing(broker: Broker, producer: Producer) -> None:
    job_id = producer.put("x")
    before = broker.stats_job(job_id)
    broker.peek(job_id)
    broker.peek_ready()
    assert before == broker.stats_job(job_id)
    assert 0 == broker.stats().current_workers


def test_peek_ready_shows_what_is_served_next_paused_or_not(
    broker: Broker, producer: Producer
) -> None:
    producer.use("jobs")
    producer.put("later", 5)
    producer.put("next", 1)
    broker.pause_tube("jobs", 100)
    assert "next" == broker.peek_ready("jobs").body


def test_peek_delayed_shows_the_soonest(broker: Broker, producer: Producer) -> None:
    for delay in (50, 20, 90):
        producer.put(delay, delay=delay, tube="jobs")
    assert 20 == broker.peek_delayed("jobs").body


def test_peek_buried_shows_the_longest_buried(
    broker: Broker, producer: Producer, consumer: Consumer
) -> None:
    for body in "abc":
        producer.put(body)
    jobs = [consumer.reserve() for _ in "abc"]
    for place, priority in ((2, 9), (0, 0), (1, 5)):
        jobs[place].bury(priority=priority)
    assert "c" == broker.peek_buried("default").body


@pytest.mark.parametrize("which", ["ready", "delayed", "buried"])
@pytest.mark.parametrize("tube", ["default", "nowhere"])
def test_where_there_is_nothing_to_peek_at_the_error_says_so(
    broker: Broker, which: str, tube: str
) -> None:
    with pytest.raises(NotFoundError, match=rf"^tube '{tube}' has no {which} job$"):
        getattr(broker, f"peek_{which}")(tube)
    assert ["default"] == broker.tubes()


def test_a_peeked_job_may_be_deleted_where_nobody_holds_it(
    broker: Broker, producer: Producer
) -> None:
    producer.put("x")
    broker.peek_ready().delete()
    with pytest.raises(NotFoundError):
        broker.peek(1)


def test_a_peeked_job_may_not_be_released_buried_or_touched(
    broker: Broker, producer: Producer
) -> None:
    producer.put("x")
    peeked = broker.peek_ready()
    for verb in (peeked.release, peeked.bury, peeked.touch):
        with pytest.raises(NotFoundError):
            verb()
    assert "ready" == peeked.stats().state


def test_a_peeked_job_gives_no_power_over_what_another_holds(
    broker: Broker, job: Job
) -> None:
    peeked = broker.peek(job.id)
    for verb in (peeked.delete, peeked.release, peeked.bury, peeked.touch):
        with pytest.raises(NotFoundError):
            verb()
    job.delete()


def test_the_holder_may_use_a_handle_that_was_peeked_at(
    broker: Broker, consumer: Consumer, job: Job
) -> None:
    consumer.delete(broker.peek(job.id))
    assert {} == broker._engine.jobs


def test_a_peeked_job_may_be_kicked_by_its_handle(broker: Broker, job: Job) -> None:
    job.bury()
    broker.kick_job(broker.peek_buried())
    assert ("ready", 1) == (job.stats().state, job.kicks)


def test_a_peeked_handle_is_fenced_when_the_job_is_reserved(
    broker: Broker, producer: Producer, consumer: Consumer
) -> None:
    producer.put("x")
    peeked = broker.peek_ready()
    consumer.reserve().release()
    for verb in (peeked.delete, peeked.release, peeked.bury, peeked.touch):
        with pytest.raises(NotFoundError):
            verb()
    with pytest.raises(NotFoundError):
        peeked.stats()


@pytest.mark.parametrize("which", ["ready", "reserved"])
def test_a_peeked_job_as_a_context_manager_leaves_the_job_alone(
    broker: Broker, producer: Producer, consumer: Consumer, which: str
) -> None:
    producer.put("x")
    if which == "reserved":
        consumer.reserve()
    with broker.peek(1):
        pass
    assert which == state(broker, 1)
    with pytest.raises(ZeroDivisionError), broker.peek(1):
        raise ZeroDivisionError
    assert which == state(broker, 1)


def buried(producer: Producer, consumer: Consumer, *names: str) -> None:
    for name in names:
        producer.put(name)
    for job in [consumer.reserve() for _ in names]:
        job.bury()


def test_kick_takes_the_longest_buried_first(
    broker: Broker, producer: Producer, consumer: Consumer
) -> None:
    buried(producer, consumer, "a", "b", "c")
    assert 2 == broker.kick("default", 2)
    assert "c" == broker.peek_buried().body
    assert ["a", "b"] == bodies(consumer)


def test_kick_never_mixes_buried_and_delayed_jobs(
    broker: Broker, producer: Producer, consumer: Consumer
) -> None:
    buried(producer, consumer, "buried")
    producer.put("delayed", delay=50)
    assert 1 == broker.kick("default", 10)
    assert "delayed" == state(broker, 2)
    assert 1 == broker.kick("default", 10)
    assert 0 == broker.kick("default", 10)
    assert 50 == broker.peek(2).delay


def test_kick_takes_the_soonest_of_the_delayed(
    broker: Broker, producer: Producer
) -> None:
    for delay in (50, 20, 90):
        producer.put(delay, delay=delay)
    assert 1 == broker.kick("default", 1)
    assert 20 == broker.peek_ready().body


@pytest.mark.parametrize("bound", [0, 10**30])
def test_kick_takes_any_bound(broker: Broker, producer: Producer, bound: int) -> None:
    producer.put("x", delay=9)
    assert min(bound, 1) == broker.kick("default", bound)


def test_kick_in_a_tube_that_is_not_there_kicks_nothing(broker: Broker) -> None:
    assert 0 == broker.kick("nowhere", 5)
    assert ["default"] == broker.tubes()


@pytest.mark.parametrize("by", BY)
@pytest.mark.parametrize("where", ["delayed", "buried"])
def test_kick_job_makes_a_job_ready(
    broker: Broker, job: Job, where: str, by: Callable[[Job], Target]
) -> None:
    if where == "buried":
        job.bury()
    else:
        job.release(delay=5)
    broker.kick_job(by(job))
    assert ("ready", 1) == (state(broker, 1), job.kicks)


@pytest.mark.parametrize("by", BY)
@pytest.mark.parametrize("where", ["ready", "reserved"])
def test_kick_job_is_for_buried_and_delayed_jobs_only(
    broker: Broker, job: Job, where: str, by: Callable[[Job], Target]
) -> None:
    if where == "ready":
        job.release()
    with pytest.raises(NotFoundError):
        broker.kick_job(by(job))
    assert (where, 0) == (state(broker, 1), job.kicks)
