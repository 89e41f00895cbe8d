"""The machine's clock, and how a thread sleeps by it."""

from __future__ import annotations

import time
from math import inf
from threading import TIMEOUT_MAX, Lock

import pytest

from inproc_tubes import Broker, Clock, MonotonicClock
from inproc_tubes.testing import FakeClock


class Sleeper:
    """A thread that is parked, as a clock sees it."""

    answered = False
    waits_for = "a test"

    def __init__(self, token: Lock) -> None:
        self.token = token


class StoppedClock(MonotonicClock):
    """Sleeps as the real one does, at an hour of ours."""

    now = staticmethod(lambda: 100.0)


class Token:
    """A lock that is held for no time, and records the timeouts of its sleepers."""

    def __init__(self) -> None:
        self.timeouts: list[float | None] = []

    def acquire(self, *, blocking: bool = True, timeout: float | None = None) -> bool:
        if blocking:
            self.timeouts.append(timeout)
        return blocking


def timeouts_of_parking_until(until: float) -> list[float | None]:
    token = Token()
    StoppedClock().park(Sleeper(token), until)  # type: ignore[arg-type]  # no real lock
    return token.timeouts


def test_it_reads_the_clock_that_nobody_sets() -> None:
    assert MonotonicClock().now is time.monotonic  # noqa: TID251  # not called


def test_it_does_not_run_backwards() -> None:
    clock = MonotonicClock()
    readings = [clock.now() for _ in range(1000)]
    assert sorted(readings) == readings


def test_a_thread_that_nothing_is_due_for_sleeps_without_a_limit() -> None:
    assert [None] == timeouts_of_parking_until(inf)


def test_a_thread_sleeps_until_the_moment_that_is_due() -> None:
    assert [2.5] == timeouts_of_parking_until(102.5)


@pytest.mark.parametrize("until", [100.0, 99.0, -inf])
def test_a_thread_does_not_sleep_when_its_moment_has_come(until: float) -> None:
    assert [] == timeouts_of_parking_until(until)


def test_a_moment_beyond_what_a_lock_can_wait_for_is_no_error() -> None:
    assert [TIMEOUT_MAX] == timeouts_of_parking_until(1e300)


def test_a_thread_that_was_woken_before_it_slept_does_not_sleep() -> None:
    token = Lock()
    MonotonicClock().park(Sleeper(token), inf)
    assert token.locked()


def test_a_thread_that_is_woken_while_others_run_does_not_sleep(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The answer often comes from a thread that only waits for its turn to run."""
    token = Lock()
    token.acquire()
    monkeypatch.setattr("inproc_tubes.clock.yield_thread", token.release)
    MonotonicClock().park(Sleeper(token), inf)
    assert token.locked()


def test_it_sleeps_in_real_time() -> None:
    clock = MonotonicClock()
    token = Lock()
    token.acquire()
    until = clock.now() + 0.02
    clock.park(Sleeper(token), until)
    # A lock may return a tick early; the caller looks again.
    tick = time.get_clock_info("monotonic").resolution
    assert clock.now() >= until - tick


def test_it_needs_to_know_of_no_broker() -> None:
    clock = MonotonicClock()
    before = dict(vars(clock))
    with Broker(clock=clock) as broker:
        assert clock is broker._monitor.clock
    assert before == vars(clock)


def test_a_broker_goes_by_the_machines_clock_if_it_is_given_none() -> None:
    with Broker() as broker:
        assert MonotonicClock is type(broker._monitor.clock)


@pytest.mark.parametrize("clock", [MonotonicClock(), FakeClock()])
def test_a_clock_has_four_methods(clock: Clock) -> None:
    for name in ("now", "attach", "park", "seconds_until"):
        assert callable(getattr(clock, name))


def test_a_broker_tells_which_clock_it_goes_by() -> None:
    clock = FakeClock()
    assert clock is Broker(clock=clock).clock
    assert isinstance(Broker().clock, MonotonicClock)
