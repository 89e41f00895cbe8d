"""The tools for tests: a clock that is moved by hand, and counting what waits."""

from __future__ import annotations

from threading import Event
from typing import TYPE_CHECKING

import pytest

from inproc_tubes import (
    Broker,
    DeadlineSoonError,
    DeadlockError,
    MonotonicClock,
    TimedOutError,
)
from inproc_tubes.testing import FakeClock, wait_until_waiting
from tests.threads import LONG, start, waiting

if TYPE_CHECKING:
    from inproc_tubes.testing.stillness import Decision

START = 1_000_000.0


def put_when_due(broker: Broker, *delays: float) -> None:
    for delay in delays:
        broker.producer().put(delay, delay=delay)


# Moved by hand


def test_a_fake_clock_starts_far_from_any_real_one_and_stands_still() -> None:
    clock = FakeClock()
    assert START == clock.now() == clock.now()
    assert "<FakeClock at 1000000>" == repr(clock)
    assert "<autojumping FakeClock at 5>" == repr(FakeClock(5, autojump=True))


def test_the_real_clock_is_another() -> None:
    assert START != MonotonicClock().now()


def test_advance_moves_time_by_so_much() -> None:
    clock = FakeClock(start=10)
    clock.advance(2.5)
    clock.advance(0)
    assert 12.5 == clock.now()


def test_advance_walks_through_every_moment_on_the_way() -> None:
    """A chain of events, each of which is due only because the last one happened."""
    clock = FakeClock()
    broker = Broker(clock=clock)
    futures = [waiting(broker, broker.consumer().reserve) for _ in range(3)]
    broker.producer().put("job", delay=1, ttr=10)
    clock.advance(100)
    # It was ready at 1, expired at 11, 21 and 31, and was reserved at once each time.
    # The handles of the first two are snapshots of when it was reserved again.
    jobs = [future.result(LONG) for future in futures]
    assert [(1, 1, 1), (1, 2, 2), (1, 3, 3)] == [
        (job.id, job.reserves, job.timeouts) for job in jobs
    ]
    assert 3 == broker.stats_job(1).timeouts
    assert 100 == clock.now() - START


def test_each_request_is_answered_in_its_own_moment() -> None:
    clock = FakeClock()
    broker = Broker(clock=clock)
    consumer = broker.consumer()
    broker.producer().put("held", ttr=5)
    held = consumer.reserve()
    soon = waiting(broker, consumer.reserve)
    late = waiting(broker, lambda: broker.consumer().reserve(timeout=4.5))
    clock.advance(1000)
    error = soon.exception(LONG)
    assert isinstance(error, DeadlineSoonError)
    assert 1 == error.time_left  # as it was then
    assert isinstance(late.exception(LONG), TimedOutError)
    assert 1 == held.timeouts


def test_advance_to_next_stops_at_the_next_moment() -> None:
    clock = FakeClock()
    broker = Broker(clock=clock)
    put_when_due(broker, 3, 1, 3, 7)
    states = []
    for _ in range(3):
        at = clock.advance_to_next()
        assert at == clock.now()
        states.append((at - START, broker.stats().current_jobs_ready))
    assert [(1, 1), (3, 3), (7, 4)] == states
    with pytest.raises(DeadlockError, match=r"nothing will ever be due$"):
        clock.advance_to_next()
    assert START + 7 == clock.now()


def test_advance_to_next_knows_of_timeouts_pauses_and_reservations() -> None:
    clock = FakeClock()
    broker = Broker(clock=clock)
    consumer = broker.consumer()
    broker.producer().put("job", ttr=30)
    held = consumer.reserve()
    broker.pause_tube("default", 20)
    future = waiting(broker, lambda: broker.consumer().reserve(timeout=10))
    assert [10, 20, 30] == [clock.advance_to_next() - START for _ in range(3)]
    assert isinstance(future.exception(LONG), TimedOutError)
    assert 1 == held.timeouts


def test_what_is_void_by_now_is_no_moment_to_stop_at() -> None:
    clock = FakeClock()
    broker = Broker(clock=clock)
    consumer = broker.consumer()
    broker.producer().put("deleted", ttr=5)
    consumer.reserve().delete()
    broker.delete(broker.producer().put("delayed", delay=6))
    put_when_due(broker, 9)
    assert START + 9 == clock.advance_to_next()


@pytest.mark.parametrize("seconds", [-1, -0.001, float("nan"), float("inf"), 2**32])
def test_advance_refuses_numbers_that_are_no_duration(seconds: float) -> None:
    clock = FakeClock()
    with pytest.raises(ValueError, match=r"^seconds is from 0 to 4294967295 seconds"):
        clock.advance(seconds)
    assert START == clock.now()


@pytest.mark.parametrize("seconds", ["1", None, True, 1j])
def test_advance_refuses_what_is_no_number(seconds: object) -> None:
    clock = FakeClock()
    with pytest.raises(TypeError, match=r"^seconds is an int or a float, not "):
        clock.advance(seconds)  # type: ignore[arg-type]  # that is the point
    assert START == clock.now()


def test_two_brokers_go_by_one_clock() -> None:
    clock = FakeClock()
    first, second = Broker(clock=clock), Broker(clock=clock)
    put_when_due(first, 1, 3)
    put_when_due(second, 2)
    assert [1, 2, 3] == [clock.advance_to_next() - START for _ in range(3)]
    assert (2, 1) == (
        first.stats().current_jobs_ready,
        second.stats().current_jobs_ready,
    )


def test_a_broker_that_is_closed_or_gone_does_not_hold_the_clock() -> None:
    clock = FakeClock()
    closed = Broker(clock=clock)
    put_when_due(closed, 1)
    closed.close()
    put_when_due(Broker(clock=clock), 2)
    put_when_due(living := Broker(clock=clock), 3)
    clock.advance(3)
    assert 1 == living.stats().current_jobs_ready


def test_a_broker_may_be_made_while_the_clock_moves() -> None:
    """Brokers come and go, and the clock looks at all that there are."""
    clock = FakeClock()
    broker = Broker(clock=clock)
    brokers: list[Broker] = []

    def make() -> None:
        brokers.extend(Broker(clock=clock) for _ in range(100))

    made = start(make)
    for _ in range(100):
        broker.producer().put("job", delay=1)
        clock.advance(1)
    made.result(LONG)
    assert 101 == len(brokers) + 1 == len(clock._timed)


def test_threads_blocked_for_an_hour_are_served_in_order_in_no_time() -> None:
    clock = FakeClock()
    broker = Broker(clock=clock)
    for delay in (3600, 1200, 2400):
        broker.producer().put(delay, delay=delay, ttr=7200)
    futures = [waiting(broker, broker.consumer().reserve) for _ in range(3)]
    clock.advance(3600)
    assert [1200, 2400, 3600] == [future.result(LONG).body for future in futures]


# That jumps by itself


def test_a_single_thread_never_blocks() -> None:
    clock = FakeClock(autojump=True)
    broker = Broker(clock=clock)
    consumer = broker.consumer()
    put_when_due(broker, 3600)
    assert 3600 == consumer.reserve().body
    assert START + 3600 == clock.now()
    with pytest.raises(TimedOutError):
        broker.consumer("other").reserve(timeout=10)
    assert START + 3610 == clock.now()
    with pytest.raises(DeadlineSoonError):
        consumer.reserve()
    assert START + 3659 == clock.now()


def test_time_jumps_over_moments_that_serve_nobody() -> None:
    clock = FakeClock(autojump=True)
    broker = Broker(clock=clock)
    broker.producer("unwatched").put("unwatched", delay=5)
    put_when_due(broker, 10)
    assert 10 == broker.consumer().reserve().body


def test_a_reserve_of_what_is_there_moves_no_time() -> None:
    clock = FakeClock(autojump=True)
    broker = Broker(clock=clock)
    put_when_due(broker, 0, 5)
    consumer = broker.consumer()
    assert 0 == consumer.reserve().body
    with pytest.raises(TimedOutError):
        consumer.reserve(timeout=0)
    assert START == clock.now()


def test_time_jumps_when_all_workers_wait() -> None:
    clock = FakeClock(autojump=True)
    broker = Broker(clock=clock)
    done = broker.consumer("done")
    put_when_due(broker, 3600, 60, 7200)

    def work() -> None:
        producer = broker.producer("done")
        for job in broker.consumer():
            job.delete()
            producer.put((job.body, clock.now() - START))

    workers = [waiting(broker, work) for _ in range(3)]
    results = []
    for _ in range(3):
        with done.reserve() as job:
            results.append(job.body)
    assert [(60, 60), (3600, 3600), (7200, 7200)] == results
    broker.close()
    for worker in workers:
        worker.result(LONG)


def test_a_busy_thread_holds_time() -> None:
    clock = FakeClock(autojump=True)
    broker = Broker(clock=clock)
    put_when_due(broker, 60)
    futures = [waiting(broker, broker.consumer().reserve) for _ in range(2)]
    # This thread has made the clock, and does not wait in a broker.
    with pytest.raises(AssertionError, match=r"^2 of 3 wait$"):
        wait_until_waiting(broker, 3, timeout=0.02)
    assert START == clock.now()
    assert not any(future.done() for future in futures)
    with pytest.raises(TimedOutError):
        broker.consumer("other").reserve(timeout=60)
    assert START + 60 == clock.now()
    assert 60 == futures[0].result(LONG).body
    broker.close()


def test_a_busy_worker_holds_time_until_it_waits_too() -> None:
    clock = FakeClock(autojump=True)
    broker = Broker(clock=clock)
    used = Event()

    def work() -> float:
        broker.tubes()
        used.set()
        wait_until_waiting(broker, 1)
        now = clock.now()
        with pytest.raises(TimedOutError):
            broker.consumer("nothing").reserve(timeout=1)
        return now

    worker = start(work)
    assert used.wait(LONG)
    with pytest.raises(TimedOutError):
        broker.consumer().reserve(timeout=60)
    assert START == worker.result(LONG)
    assert START + 60 == clock.now()


def test_a_thread_that_ends_unnoticed_does_not_hold_time() -> None:
    clock = FakeClock(autojump=True)
    broker = Broker(clock=clock)
    finish = Event()

    def work() -> None:
        broker.tubes()
        used.set()
        finish.wait(LONG)

    used = Event()
    worker = start(work)
    assert used.wait(LONG)

    def end() -> None:
        wait_until_waiting(broker, 1)
        finish.set()

    ender = start(end)
    with pytest.raises(TimedOutError):
        broker.consumer().reserve(timeout=3600)
    worker.result(LONG)
    ender.result(LONG)
    assert START + 3600 == clock.now()


def test_a_deadlock_ends_all_waits_in_all_brokers() -> None:
    clock = FakeClock(autojump=True)
    brokers = [Broker(clock=clock) for _ in range(2)]
    futures = [
        waiting(broker, broker.consumer().reserve)
        for broker in brokers
        for _ in range(2)
    ]
    with pytest.raises(DeadlockError, match=r"^every thread waits, and"):
        brokers[0].consumer().reserve()
    for future in futures:
        assert isinstance(future.exception(LONG), DeadlockError)
    assert START == clock.now()
    # Nothing is broken: all may try again.
    put_when_due(brokers[1], 1)
    assert 1 == brokers[1].consumer().reserve().body


def test_two_brokers_on_one_autojumping_clock_wait_for_each_other() -> None:
    clock = FakeClock(autojump=True)
    there, back = Broker(clock=clock), Broker(clock=clock)

    def work() -> None:
        job = there.consumer().reserve()
        back.producer().put(job.body + 1, delay=30)

    worker = waiting(there, work)
    put_when_due(there, 60)
    assert 61 == back.consumer().reserve().body
    worker.result(LONG)
    assert START + 90 == clock.now()


def test_an_autojumping_clock_may_be_moved_by_hand_too() -> None:
    clock = FakeClock(autojump=True)
    broker = Broker(clock=clock)
    future = waiting(broker, broker.consumer().reserve)
    put_when_due(broker, 5)
    clock.advance(5)
    assert 5 == future.result(LONG).body


def test_a_dropped_consumer_is_no_deadlock() -> None:
    """What its finaliser has left to do comes before any jump, and any deadlock."""
    clock = FakeClock(autojump=True)
    broker = Broker(clock=clock)
    holder = broker.consumer()
    broker.producer().put("job")
    holder.reserve()
    dropped = [holder]
    del holder
    jump = clock._jump_if_all_wait

    def drop_and_jump() -> Decision:
        dropped.clear()
        return jump()

    clock._jump_if_all_wait = drop_and_jump  # type: ignore[method-assign]  # as the
    # collector might: after the turn of the reserve
    job = broker.consumer().reserve()
    assert ("job", 0) == (job.body, job.timeouts)
    assert START == clock.now()


# What waits


def test_wait_until_waiting_returns_at_once_if_so_many_wait() -> None:
    broker = Broker(clock=FakeClock())
    wait_until_waiting(broker, 0)
    waiting(broker, broker.consumer().reserve)
    wait_until_waiting(broker, 1)
    wait_until_waiting(broker, 1)
    broker.close()


def test_wait_until_waiting_fails_with_how_many_wait_instead() -> None:
    broker = Broker(clock=FakeClock())
    waiting(broker, broker.consumer().reserve)
    with pytest.raises(AssertionError, match=r"^1 of 2 wait$"):
        wait_until_waiting(broker, 2, timeout=0.01)
    broker.close()
