"""Reserves that wait, in whatever way: in what order, until when, and for what.

Each test is about threads, about coroutines in two loops, and about both together on
one broker.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from inproc_tubes import (
    Broker,
    ClosedError,
    DeadlineSoonError,
    Job,
    NotFoundError,
    TimedOutError,
)
from inproc_tubes.core.recovery import check
from inproc_tubes.monitor import Monitor
from inproc_tubes.testing import FakeClock, wait_until_waiting
from tests.shells import InterruptingClock, each, step
from tests.threads import LONG

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from tests.shells import Shell


@pytest.fixture
def clock() -> InterruptingClock:
    return InterruptingClock()


@pytest.fixture
def broker(clock: FakeClock) -> Broker:
    return Broker(clock=clock)


# In what order


def test_consumers_are_served_in_the_order_in_which_they_began_to_wait(
    broker: Broker,
    shell: Shell,
) -> None:
    futures = [shell.waiting(shell.consumer().reserve) for _ in range(5)]
    producer = broker.producer()
    ids = [producer.put(n) for n in range(5)]
    assert ids == [future.result(LONG).id for future in futures]


def test_a_consumer_that_waits_again_is_last_in_line(
    broker: Broker, shell: Shell
) -> None:
    producer = broker.producer()
    first = shell.consumer()
    served = shell.waiting(first.reserve)
    second = shell.waiting(shell.consumer().reserve)
    producer.put("for the first")
    served.result(LONG)
    again = shell.waiting(first.reserve)
    producer.put("for the second")
    producer.put("for the first again")
    assert "for the second" == second.result(LONG).body
    assert "for the first again" == again.result(LONG).body


def test_reserves_on_one_handle_are_served_in_the_order_in_which_they_came(
    broker: Broker,
    shell: Shell,
) -> None:
    consumer = shell.consumer()
    futures = [shell.waiting(consumer.reserve) for _ in range(3)]
    ids = [broker.producer().put(n) for n in range(3)]
    jobs = [future.result(LONG) for future in futures]
    assert ids == [job.id for job in jobs]
    # They hold the jobs in common.
    consumer.delete(jobs[0])
    consumer.release(jobs[1].id)
    jobs[2].bury()


def test_a_consumer_of_another_tube_is_passed_over(
    broker: Broker, shell: Shell
) -> None:
    longer = shell.waiting(shell.consumer("a").reserve)
    shorter = shell.waiting(shell.consumer("b").reserve)
    job_id = broker.producer("b").put("b")
    assert job_id == shorter.result(LONG).id
    assert not longer.done()
    broker.close()
    assert isinstance(longer.exception(LONG), ClosedError)


# What serves, and when

Prepared = tuple[int, "Callable[[], object]"]


def by_put(broker: Broker, _clock: FakeClock) -> Prepared:
    return 1, lambda: broker.producer("b").put("job")


def by_put_into_this_tube_alone(broker: Broker, _clock: FakeClock) -> Prepared:
    return 1, lambda: broker.producer("x").put("job", tube="b")


def by_release(broker: Broker, _clock: FakeClock) -> Prepared:
    broker.producer("b").put("job")
    job = broker.consumer("b").reserve()
    return job.id, job.release


def by_release_with_a_delay(broker: Broker, clock: FakeClock) -> Prepared:
    broker.producer("b").put("job")
    job = broker.consumer("b").reserve()
    job.release(delay=5)
    return job.id, lambda: clock.advance(5)


def by_kick(broker: Broker, _clock: FakeClock) -> Prepared:
    broker.producer("b").put("job")
    job = broker.consumer("b").reserve()
    job.bury()
    return job.id, lambda: broker.kick("b", 1)


def by_kick_of_a_delayed_job(broker: Broker, _clock: FakeClock) -> Prepared:
    job_id = broker.producer("b").put("job", delay=100)
    return job_id, lambda: broker.kick_job(job_id)


def by_delay(broker: Broker, clock: FakeClock) -> Prepared:
    job_id = broker.producer("b").put("job", delay=0.25)
    return job_id, lambda: clock.advance(0.25)


def by_expiry(broker: Broker, clock: FakeClock) -> Prepared:
    broker.producer("b").put("job", ttr=3)
    job = broker.consumer("b").reserve()
    broker.producer("x").put(job)  # as a body it is not dropped
    return job.id, lambda: clock.advance(3)


def by_the_end_of_a_pause(broker: Broker, clock: FakeClock) -> Prepared:
    job_id = broker.producer("b").put("job")
    broker.pause_tube("b", 7)
    return job_id, lambda: clock.advance(7)


def by_a_pause_of_0(broker: Broker, _clock: FakeClock) -> Prepared:
    job_id = broker.producer("b").put("job")
    broker.pause_tube("b", 7)
    return job_id, lambda: broker.pause_tube("b", 0)


def by_close(broker: Broker, _clock: FakeClock) -> Prepared:
    broker.producer("b").put("job")
    other = broker.consumer("b")
    job_id = other.reserve().id
    return job_id, other.close


ARRIVALS = [
    by_put,
    by_put_into_this_tube_alone,
    by_release,
    by_release_with_a_delay,
    by_kick,
    by_kick_of_a_delayed_job,
    by_delay,
    by_expiry,
    by_the_end_of_a_pause,
    by_a_pause_of_0,
    by_close,
]


@pytest.mark.parametrize("arrival", ARRIVALS, ids=lambda arrival: arrival.__name__)
def test_a_job_is_reserved_before_the_verb_returns_that_brings_it(
    broker: Broker,
    shell: Shell,
    clock: FakeClock,
    arrival: Callable[[Broker, FakeClock], Prepared],
) -> None:
    job_id, bring = arrival(broker, clock)
    consumer = shell.consumer("a", "b", "c")
    future = shell.waiting(consumer.reserve)
    bring()
    assert "reserved" == broker.stats_job(job_id).state
    assert job_id == future.result(LONG).id
    check(broker._engine)


def test_a_consumer_of_several_tubes_takes_what_comes_first(
    broker: Broker, shell: Shell, clock: FakeClock
) -> None:
    other = shell.consumer("b")
    broker.producer("b").put("expired", ttr=2)
    held = shell.run(other.reserve)
    broker.producer("c").put("un-paused")
    broker.pause_tube("c", 3)
    broker.producer("a").put("delayed", delay=1)
    broker.producer("d").put("last")
    broker.pause_tube("d", 4)
    consumer = shell.consumer("d", "c", "b", "a")
    bodies = []
    for _ in range(4):
        future = shell.waiting(consumer.reserve)
        clock.advance(1)
        job = future.result(LONG)
        bodies.append(job.body)
        job.delete()
    assert ["delayed", "expired", "un-paused", "last"] == bodies
    with pytest.raises(NotFoundError):
        held.delete()


def test_watch_from_another_thread_serves_a_reserve_that_waits(
    broker: Broker, shell: Shell
) -> None:
    job_id = broker.producer("b").put("job")
    consumer = shell.consumer("a")
    future = shell.waiting(consumer.reserve)
    assert 2 == consumer.watch("b")
    assert "reserved" == broker.stats_job(job_id).state
    assert job_id == future.result(LONG).id


def test_ignore_from_another_thread_takes_effect_at_once(
    broker: Broker, shell: Shell
) -> None:
    consumer = shell.consumer("a", "b")
    future = shell.waiting(consumer.reserve)
    assert 1 == consumer.ignore("b")
    ignored = broker.producer("b").put("ignored")
    assert "ready" == broker.stats_job(ignored).state
    job_id = broker.producer("a").put("job")
    assert job_id == future.result(LONG).id


def test_the_consumer_that_has_waited_longest_is_first_in_a_tube_that_it_watches_last(
    broker: Broker,
    shell: Shell,
) -> None:
    consumer = shell.consumer("a")
    longer = shell.waiting(consumer.reserve)
    shorter = shell.waiting(shell.consumer("b").reserve)
    consumer.watch("b")
    first, second = (broker.producer("b").put(n) for n in range(2))
    assert first == longer.result(LONG).id
    assert second == shorter.result(LONG).id


# Until when


def test_a_job_beats_a_timeout_of_the_same_moment(
    broker: Broker, shell: Shell, clock: FakeClock
) -> None:
    job_id = broker.producer().put("job", delay=5)
    lucky = shell.waiting(lambda: shell.consumer().reserve(timeout=5))
    unlucky = shell.waiting(lambda: shell.consumer().reserve(timeout=5))
    clock.advance(5)
    assert job_id == lucky.result(LONG).id
    error = unlucky.exception(LONG)
    assert isinstance(error, TimedOutError)
    assert 5 == error.timeout


def test_no_timeout_ends_a_moment_too_early(
    broker: Broker, shell: Shell, clock: FakeClock
) -> None:
    shell.waiting(lambda: shell.consumer().reserve(timeout=5))
    clock.advance(4.999)
    assert 1 == broker.stats().current_waiting
    clock.advance(0.001)
    assert 0 == broker.stats().current_waiting


def test_all_reserves_on_a_handle_raise_deadline_soon(
    broker: Broker, shell: Shell, clock: FakeClock
) -> None:
    consumer = shell.consumer()
    job_id = broker.producer().put("job", ttr=10)
    held = shell.run(consumer.reserve)
    futures = [shell.waiting(consumer.reserve) for _ in range(3)]
    iterating = shell.waiting(step(consumer))
    stranger = shell.waiting(shell.consumer().reserve)
    clock.advance(9)
    errors = [future.exception(LONG) for future in futures]
    for error in errors:
        assert isinstance(error, DeadlineSoonError)
        assert (job_id, 1) == (error.job_id, error.time_left)
    # Each raises its own, or their tracebacks would be mixed.
    assert 3 == len({id(error) for error in errors})
    assert 2 == broker.stats().current_waiting
    held.delete()
    broker.close()
    assert isinstance(iterating.exception(LONG), (StopIteration, StopAsyncIteration))
    assert isinstance(stranger.exception(LONG), ClosedError)


def test_a_reserve_within_the_margin_raises_deadline_soon_at_once(
    broker: Broker, shell: Shell, clock: FakeClock
) -> None:
    consumer = shell.consumer()
    broker.producer().put("job", ttr=10)
    held = shell.run(consumer.reserve)
    clock.advance(9.5)
    with pytest.raises(DeadlineSoonError) as info:
        shell.run(consumer.reserve)
    assert (held.id, 0.5) == (info.value.job_id, info.value.time_left)


def test_a_job_that_is_handed_over_within_its_margin_ends_the_other_reserves(
    broker: Broker,
    shell: Shell,
) -> None:
    consumer = shell.consumer()
    lucky = shell.waiting(consumer.reserve)
    other = shell.waiting(consumer.reserve)
    job_id = broker.producer().put("job", ttr=1)
    assert job_id == lucky.result(LONG).id
    assert isinstance(other.exception(LONG), DeadlineSoonError)


def test_iteration_waits_on_through_the_margin(
    broker: Broker, shell: Shell, clock: FakeClock
) -> None:
    consumer = shell.consumer()
    job_id = broker.producer().put("job", ttr=10)
    lost = shell.run(consumer.reserve)
    future = shell.waiting(step(consumer))
    clock.advance(9.5)
    assert 1 == broker.stats().current_waiting
    clock.advance(0.5)
    job = future.result(LONG)
    assert (job_id, 1) == (job.id, job.timeouts)
    with pytest.raises(NotFoundError):
        lost.delete()


@pytest.mark.parametrize("closed", ["consumer", "broker"])
def test_iteration_ends_on_close(broker: Broker, shell: Shell, closed: str) -> None:
    consumer = shell.consumer()
    bodies = []

    def work(job: Job) -> None:
        bodies.append(job.body)
        job.delete()

    future = shell.waiting(each(consumer, work))
    broker.producer().put("job")
    wait_until_waiting(broker, 1)
    if closed == "consumer":
        consumer.close()
    else:
        broker.close()
    future.result(LONG)
    assert ["job"] == bodies


def test_closing_a_consumer_ends_the_reserves_on_it_and_no_other(
    broker: Broker,
    shell: Shell,
) -> None:
    consumer = shell.consumer()
    futures = [shell.waiting(consumer.reserve) for _ in range(3)]
    stranger = shell.waiting(shell.consumer().reserve)
    consumer.close()
    for future in futures:
        with pytest.raises(ClosedError, match=r"^the consumer was closed$"):
            future.result(LONG)
    assert 1 == broker.stats().current_waiting
    broker.producer().put("job")
    assert "job" == stranger.result(LONG).body


def test_closing_the_broker_ends_all_reserves_and_it_stays_closed(
    broker: Broker,
    shell: Shell,
) -> None:
    # The first of them leads, so that the leader changes while all leave.
    futures = [shell.waiting(shell.consumer().reserve) for _ in range(3)]
    broker.close()
    for future in futures:
        with pytest.raises(ClosedError, match=r"^the broker was closed$"):
            future.result(LONG)
    with pytest.raises(ClosedError):
        broker.tubes()


# Interrupted


def snapshot(broker: Broker) -> dict[str, int | float | str | None]:
    stats = broker.stats().as_dict()
    for name in ("rusage-utime", "rusage-stime", "cmd-stats", "cmd-reserve"):
        del stats[name]
    return stats


def test_an_interrupted_reserve_leaves_the_queue_as_it_was(
    broker: Broker, shell: Shell
) -> None:
    consumer = shell.consumer()
    with pytest.raises(TimedOutError):
        shell.run(lambda: consumer.reserve(timeout=0))
    broker.producer().put("job", delay=10)
    before = snapshot(broker)
    shell.interrupt(consumer.reserve, lambda: None)
    assert before == snapshot(broker)
    check(broker._engine)


def test_a_job_that_came_too_late_goes_back_to_its_place(
    broker: Broker, shell: Shell
) -> None:
    producer = broker.producer()
    consumer = shell.consumer()

    def put() -> None:
        first = producer.put("first")
        assert "reserved" == broker.stats_job(first).state
        producer.put("second")

    shell.interrupt(consumer.reserve, put)
    stats = broker.stats_job(1)
    assert ("ready", 0, 0) == (stats.state, stats.reserves, stats.releases)
    check(broker._engine)
    jobs = [shell.run(lambda: consumer.reserve(0)) for _ in range(2)]
    assert ["first", "second"] == [job.body for job in jobs]


def test_a_job_that_came_too_late_goes_to_the_next_that_waits(
    broker: Broker, shell: Shell
) -> None:
    consumer, other = shell.consumer(), shell.consumer()
    futures: list[Future[Job]] = []

    def put() -> None:
        futures.append(shell.waiting(other.reserve))
        broker.producer().put("job")

    shell.interrupt(consumer.reserve, put)
    job = futures[0].result(LONG)
    assert ("job", 1) == (job.body, job.reserves)


@pytest.mark.parametrize("end", ["consumer", "broker", "job", "expiry"])
def test_what_became_of_a_job_before_the_interruption_stands(
    broker: Broker, clock: InterruptingClock, shell: Shell, end: str
) -> None:
    consumer = shell.consumer()

    def put() -> None:
        job_id = broker.producer().put("job", ttr=1)
        ends: dict[str, Callable[[], None]] = {
            "consumer": consumer.close,
            "broker": broker.close,
            "job": lambda: consumer.delete(job_id),
            "expiry": lambda: clock.advance(1),
        }
        ends[end]()

    shell.interrupt(consumer.reserve, put)
    if end == "broker":
        assert broker._engine.closed
    else:
        states = {"consumer": ["ready"], "job": [], "expiry": ["ready"]}
        jobs = broker._engine.jobs.values()
        assert states[end] == [job._state.value for job in jobs]
        check(broker._engine)


def test_an_interrupted_iteration_gives_its_job_back(
    broker: Broker, shell: Shell
) -> None:
    consumer = shell.consumer()
    producer = broker.producer()
    shell.interrupt(step(consumer), lambda: producer.put("job"))
    assert "ready" == broker.stats_job(1).state


def test_a_reserve_that_fails_with_its_job_in_hand_gives_it_back(
    broker: Broker, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail_once(_monitor: Monitor) -> None:
        monkeypatch.undo()
        raise MemoryError

    consumer = shell.consumer()
    broker.producer().put("job")
    # The handle of the first reservation is dropped after the turn of the second.
    shell.run(consumer.reserve).release()
    monkeypatch.setattr(Monitor, "finish", fail_once)
    with pytest.raises(MemoryError):
        shell.run(consumer.reserve)
    stats = broker.stats_job(1)
    assert ("ready", 1) == (stats.state, stats.reserves)
    assert 2 == shell.run(consumer.reserve).reserves
    check(broker._engine)
