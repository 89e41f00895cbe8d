"""The machine's clock, and how a thread sleeps by it."""

from __future__ import annotations

import time
from math import inf
from threading import TIMEOUT_MAX, Lock
from types import SimpleNamespace

import pytest

from inproc_tubes import Broker, Clock, MonotonicClock
from inproc_tubes.testing import FakeClock


class StoppedClock(MonotonicClock):
    """Sleeps as the real one does, at an hour of ours."""

    now = staticmethod(lambda: 100.0)


class Bed:
    """A lock that nobody has to wait for, and that notes what was asked of it."""

    def __init__(self) -> None:
        self.asked: list[float | None] = []

    def acquire(self, *, timeout: float | None = None) -> bool:
        self.asked.append(timeout)
        return True


def asked_by_parking_until(due_at: float) -> list[float | None]:
    bed = Bed()
    StoppedClock().park(SimpleNamespace(bed=bed), due_at)
    return bed.asked


def test_it_reads_the_clock_that_nobody_sets() -> None:
    assert MonotonicClock().now is time.monotonic  # noqa: TID251  # not called


def test_it_does_not_run_backwards() -> None:
    clock = MonotonicClock()
    readings = [clock.now() for _ in range(1000)]
    assert sorted(readings) == readings


def test_a_thread_that_nothing_is_due_for_sleeps_without_a_limit() -> None:
    assert [None] == asked_by_parking_until(inf)


def test_a_thread_sleeps_until_the_moment_that_is_due() -> None:
    assert [2.5] == asked_by_parking_until(102.5)


@pytest.mark.parametrize("due_at", [100.0, 99.0, -inf])
def test_a_thread_does_not_sleep_when_its_moment_has_come(due_at: float) -> None:
    assert [] == asked_by_parking_until(due_at)


def test_a_moment_beyond_what_a_lock_can_wait_for_is_no_error() -> None:
    assert [TIMEOUT_MAX] == asked_by_parking_until(1e300)


def test_a_thread_that_was_roused_before_it_slept_does_not_sleep() -> None:
    bed = Lock()
    MonotonicClock().park(SimpleNamespace(bed=bed), inf)
    assert bed.locked()


def test_it_sleeps_in_real_time() -> None:
    clock = MonotonicClock()
    bed = Lock()
    bed.acquire()
    due_at = clock.now() + 0.02
    clock.park(SimpleNamespace(bed=bed), due_at)
    # A lock may return a tick early; the caller looks again.
    tick = time.get_clock_info("monotonic").resolution
    assert clock.now() >= due_at - tick


def test_it_needs_to_know_of_no_broker() -> None:
    clock = MonotonicClock()
    before = dict(vars(clock))
    with Broker(clock=clock) as broker:
        assert clock is broker._clock
    assert before == vars(clock)


def test_a_broker_goes_by_the_machines_clock_if_it_is_given_none() -> None:
    with Broker() as broker:
        assert MonotonicClock is type(broker._clock)


@pytest.mark.parametrize("clock", [MonotonicClock(), FakeClock()])
def test_a_clock_has_four_methods(clock: Clock) -> None:
    for name in ("now", "attach", "park", "seconds_until"):
        assert callable(getattr(clock, name))
