"""A consumer: what it watches, and what it may reserve."""

from __future__ import annotations

import pytest

from inproc_tubes import (
    Broker,
    Consumer,
    DeadlineSoonError,
    Job,
    NotFoundError,
    NotIgnoredError,
    Producer,
    TimedOutError,
)
from inproc_tubes.testing import FakeClock
from tests.handles.shared import bodies

# Watch


def test_a_consumer_watches_exactly_the_tubes_it_was_made_for(broker: Broker) -> None:
    assert ["default"] == broker.consumer().watching()
    assert ["b", "a"] == broker.consumer("b", "a").watching()


def test_a_consumer_made_for_one_tube_twice_watches_it_once(broker: Broker) -> None:
    consumer = broker.consumer("a", "a")
    assert ["a"] == consumer.watching()
    assert 1 == broker.stats_tube("a").current_watching


def test_watch_returns_how_many_tubes_are_watched(consumer: Consumer) -> None:
    assert 2 == consumer.watch("a")
    assert 2 == consumer.watch("a")
    assert 4 == consumer.watch("a", "b", "c")
    assert 4 == consumer.watch()
    assert ["default", "a", "b", "c"] == consumer.watching()


def test_ignore_moves_the_last_tube_into_the_hole(broker: Broker) -> None:
    consumer = broker.consumer("default", "a", "b", "c", "d")
    assert 4 == consumer.ignore("a")
    assert ["default", "d", "b", "c"] == consumer.watching()


def test_the_last_watched_tube_may_not_be_ignored(consumer: Consumer) -> None:
    with pytest.raises(NotIgnoredError) as caught:
        consumer.ignore("default")
    assert "default" == caught.value.tube
    assert ["default"] == consumer.watching()


def test_to_ignore_what_is_not_watched_is_no_error(
    broker: Broker, consumer: Consumer
) -> None:
    with broker.producer("used"):
        assert 1 == consumer.ignore("used")
        assert 1 == consumer.ignore("nowhere")
        assert ["default", "used"] == broker.tubes()


def test_an_ignored_tube_is_reserved_from_no_longer(broker: Broker) -> None:
    consumer = broker.consumer("a", "b")
    broker.producer("a").put("x")
    consumer.ignore("a")
    assert [] == bodies(consumer)
    consumer.watch("a")
    assert ["x"] == bodies(consumer)


# Reserve


def test_jobs_are_served_by_priority_and_then_by_id(
    producer: Producer, consumer: Consumer
) -> None:
    for priority, body in [(9, "c"), (0, "a"), (9, "d"), (5, "b"), (9, "e")]:
        producer.put(body, priority)
    assert list("abcde") == bodies(consumer)


def test_the_order_of_watching_has_no_effect(
    broker: Broker, producer: Producer
) -> None:
    for tube, priority in [("a", 5), ("b", 5), ("a", 5), ("b", 1), ("c", 5)]:
        producer.put(f"{tube}{priority}", priority, tube=tube)
    consumer = broker.consumer("c", "b", "a")
    assert ["b1", "a5", "b5", "a5", "c5"] == bodies(consumer)


@pytest.mark.parametrize("timeout", [None, 0, 0.0, 0.5, 10, 2**31 - 1])
def test_reserve_takes_what_is_ready_whatever_the_timeout(
    producer: Producer, consumer: Consumer, timeout: float | None
) -> None:
    producer.put("x")
    assert "x" == consumer.reserve(timeout).body


@pytest.mark.parametrize("timeout", [0, 0.0, -0.0])
def test_reserve_with_a_timeout_of_0_does_not_wait(
    clock: FakeClock, consumer: Consumer, timeout: float
) -> None:
    before = clock.now()
    with pytest.raises(TimedOutError) as caught:
        consumer.reserve(timeout)
    assert 0 == caught.value.timeout
    assert before == clock.now()


@pytest.mark.parametrize("timeout", [0.25, 1, 2.5, 2**31 - 1])
def test_reserve_waits_for_its_timeout_to_the_moment(timeout: float) -> None:
    clock = FakeClock(autojump=True)
    consumer = Broker(clock=clock).consumer()
    before = clock.now()
    with pytest.raises(TimedOutError) as caught:
        consumer.reserve(timeout)
    assert timeout == caught.value.timeout
    assert before + timeout == clock.now()


def test_a_job_that_comes_in_the_moment_of_the_timeout_beats_it() -> None:
    clock = FakeClock(autojump=True)
    broker = Broker(clock=clock)
    broker.producer().put("x", delay=5)
    assert "x" == broker.consumer().reserve(5).body


def test_reserve_without_a_timeout_waits_until_a_job_comes() -> None:
    clock = FakeClock(autojump=True)
    broker = Broker(clock=clock)
    broker.producer().put("x", delay=3600)
    before = clock.now()
    assert "x" == broker.consumer().reserve().body
    assert before + 3600 == clock.now()


def test_a_reserve_that_failed_does_not_wait_any_more(
    broker: Broker, consumer: Consumer
) -> None:
    assert [] == bodies(consumer)
    assert 0 == broker.stats().current_waiting


def test_deadline_soon_names_the_job_and_the_time_it_has(
    clock: FakeClock, consumer: Consumer, job: Job
) -> None:
    clock.advance(9)
    with pytest.raises(DeadlineSoonError) as caught:
        consumer.reserve(0)
    assert (job.id, 1) == (caught.value.job_id, caught.value.time_left)


def test_deadline_soon_is_raised_once_for_each_reservation_or_touch(
    clock: FakeClock, consumer: Consumer, job: Job
) -> None:
    for _ in range(2):
        clock.advance(9)
        with pytest.raises(DeadlineSoonError):
            consumer.reserve(0)
        with pytest.raises(TimedOutError):
            consumer.reserve(0)
        job.touch()
        with pytest.raises(TimedOutError):
            consumer.reserve(0)


def test_a_colleague_that_tries_again_waits_until_the_reservation_ends() -> None:
    clock = FakeClock(autojump=True)
    broker = Broker(clock=clock)
    broker.producer().put("x", ttr=1)
    shared = broker.consumer()
    shared.reserve()
    with pytest.raises(DeadlineSoonError):
        shared.reserve()
    # It waits now, and does not ask again and again.
    assert 1 == shared.reserve().timeouts


def test_deadline_soon_is_not_raised_for_others_nor_while_a_job_is_ready(
    clock: FakeClock, producer: Producer, consumer: Consumer, other: Consumer, job: Job
) -> None:
    clock.advance(9.5)
    with pytest.raises(TimedOutError):
        other.reserve(0)
    producer.put("ready")
    assert "ready" == consumer.reserve(0).body
    assert "reserved" == job.stats().state


def test_with_a_ttr_of_1_deadline_soon_is_raised_at_once(
    producer: Producer, consumer: Consumer
) -> None:
    producer.put("x", ttr=1)
    consumer.reserve()
    with pytest.raises(DeadlineSoonError):
        consumer.reserve(0)


def test_iteration_takes_one_job_after_the_other(
    producer: Producer, consumer: Consumer
) -> None:
    for body in "abc":
        producer.put(body)
    seen = []
    for job in consumer:
        with job:
            seen.append(job.body)
        if job.body == "c":
            consumer.close()
    assert list("abc") == seen
    assert [] == list(consumer)


def test_iteration_ends_with_the_broker(broker: Broker, consumer: Consumer) -> None:
    broker.close()
    assert [] == list(consumer)


def test_iteration_waits_on_where_deadline_soon_would_be_raised() -> None:
    clock = FakeClock(autojump=True)
    broker = Broker(clock=clock)
    broker.producer().put("x", ttr=5)
    consumer = broker.consumer()
    first = next(consumer)
    before = clock.now()
    second = next(consumer)
    assert before + 5 == clock.now()
    assert (first.id, 2, 1) == (second.id, second.reserves, second.timeouts)


# Reserve by id


def test_reserve_job_takes_a_job_in_any_state_that_nobody_holds(
    broker: Broker, producer: Producer, consumer: Consumer
) -> None:
    ready = producer.put("ready", tube="unwatched")
    delayed = producer.put("delayed", delay=50)
    buried = producer.put("buried")
    consumer.reserve_job(buried).bury()
    broker.pause_tube("unwatched", 100)
    jobs = [consumer.reserve_job(number) for number in (ready, delayed, buried)]
    assert ["ready", "delayed", "buried"] == [job.body for job in jobs]
    assert ["reserved"] * 3 == [job.stats().state for job in jobs]


def test_reserve_job_takes_no_job_that_is_held(
    consumer: Consumer, other: Consumer, job: Job
) -> None:
    for handle in (consumer, other):
        with pytest.raises(NotFoundError) as caught:
            handle.reserve_job(job.id)
        assert job.id == caught.value.job_id


@pytest.mark.parametrize("job_id", [0, 2, 2**64 - 1])
def test_reserve_job_takes_no_job_that_is_not_there(
    consumer: Consumer, job: Job, job_id: int
) -> None:
    assert 1 == job.id
    with pytest.raises(NotFoundError):
        consumer.reserve_job(job_id)


def test_reserve_job_raises_no_deadline_soon(
    clock: FakeClock, producer: Producer, consumer: Consumer, job: Job
) -> None:
    clock.advance(9.5)
    second = producer.put("second")
    assert second == consumer.reserve_job(second).id
    assert "reserved" == job.stats().state
