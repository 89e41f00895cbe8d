"""Alarms that ring by a broker's clock, and threads that sleep by it."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from inproc_tubes import Broker, DeadlockError, MonotonicClock
from inproc_tubes.testing import FakeClock
from inproc_tubes.worker.timer import Sleeper, Timer
from tests.threads import LONG, start, waiting

if TYPE_CHECKING:
    from collections.abc import Callable


def nobody() -> None:
    """Serve as a keeper that is nudged."""


class Bell:
    """An alarm that notes when it has rung."""

    def __init__(
        self, name: str, due_at: float, rings: list[tuple[str, float]]
    ) -> None:
        self._name = name
        self._rings = rings
        self.due_at = due_at
        self.next: list[float] = []
        self.meanwhile: Callable[[], object] = dict

    def ring(self, now: float) -> None:
        self.due_at = self.next.pop(0) if self.next else inf
        self._rings.append((self._name, now))
        self.meanwhile()


class Tower:
    """A timer, its bells, and how often its keeper was nudged."""

    def __init__(self) -> None:
        self.clock = FakeClock(start=100)
        self.nudges = 0
        self.rings: list[tuple[str, float]] = []
        self.timer = Timer(self.clock, self._nudge)

    def _nudge(self) -> None:
        self.nudges += 1

    def bell(self, name: str, due_at: float) -> Bell:
        bell = Bell(name, due_at, self.rings)
        self.timer.add(bell)
        return bell


def test_an_alarm_rings_at_its_moment_however_far_the_clock_is_moved() -> None:
    tower = Tower()
    tower.bell("a", 110).next = [120, 150]
    tower.bell("b", 115)
    tower.clock.advance(1000)
    assert [("a", 110), ("b", 115), ("a", 120), ("a", 150)] == tower.rings
    assert inf == tower.timer.next_due()


def test_alarms_that_are_late_ring_the_earliest_first() -> None:
    tower = Tower()
    tower.bell("b", 90)
    tower.bell("a", 80)
    tower.bell("c", 110)
    tower.timer.look()
    assert [("a", 100), ("b", 100)] == tower.rings


def test_an_alarm_that_was_discarded_does_not_ring() -> None:
    tower = Tower()
    tower.timer.discard(bell := tower.bell("a", 110))
    tower.timer.discard(bell)
    tower.bell("b", 110)
    tower.timer.clear()
    tower.clock.advance(100)
    assert [] == tower.rings


def test_the_keeper_is_nudged_only_if_it_would_sleep_for_too_long() -> None:
    tower = Tower()
    tower.bell("a", 110)
    assert 1 == tower.nudges
    assert 110 == tower.timer.arm()
    tower.bell("b", 120)
    assert 1 == tower.nudges
    tower.bell("c", 105)
    assert 2 == tower.nudges
    assert 105 == tower.timer.arm()


def test_an_alarm_that_is_added_while_the_keeper_arms_nudges_it() -> None:
    tower = Tower()
    tower.bell("a", 110)
    late = Bell("late", 105, tower.rings)

    class Adding(Bell):
        """Is asked by the keeper for its moment, and has another one added."""

        @property
        def due_at(self) -> float:
            tower.timer.add(late)
            return 120

        @due_at.setter
        def due_at(self, value: float) -> None: ...

    tower.timer.add(Adding("adding", 120, tower.rings))
    before = tower.nudges
    tower.timer.arm()
    assert before < tower.nudges


def test_whoever_looks_waits_for_the_alarms_that_ring() -> None:
    """So the clock does not go on over what another thread has half done."""
    tower = Tower()
    bell = tower.bell("a", 110)
    tower.clock._time = 110

    def look() -> None:
        other = start(tower.timer.look)
        assert not other.done()
        others.append(other)

    others: list[object] = []
    bell.meanwhile = look
    tower.timer.look()
    assert [("a", 110)] == tower.rings


def test_an_alarm_may_look_itself() -> None:
    tower = Tower()
    tower.bell("a", 110).meanwhile = tower.timer.look
    tower.clock.advance(100)
    assert [("a", 110)] == tower.rings


def test_a_clock_does_not_keep_a_timer() -> None:
    clock = FakeClock()
    rings: list[tuple[str, float]] = []
    timer = Timer(clock, nobody)
    timer.add(Bell("a", clock.now() + 10, rings))
    del timer
    clock.advance(100)
    assert [] == rings


def test_an_autojumping_clock_jumps_to_an_alarm() -> None:
    clock = FakeClock(autojump=True)
    broker = Broker(clock=clock)
    timer = Timer(clock, nobody)
    rings: list[tuple[str, float]] = []
    bell = Bell("a", clock.now() + 10, rings)
    bell.meanwhile = lambda: broker.producer().put("job")
    timer.add(bell)
    assert "job" == broker.consumer().reserve().body
    assert 1_000_010 == clock.now()


def test_nothing_that_a_timer_does_fails_for_a_deadlock() -> None:
    timer = Tower().timer
    timer.fail_all(DeadlockError)
    assert 0 == timer.waiting


# Sleepers


def test_a_sleeper_sleeps_until_it_is_woken() -> None:
    for clock in (FakeClock(), MonotonicClock()):
        sleeper = Sleeper(clock)
        assert not sleeper.answered
        assert "what a worker has to do next" == sleeper.waits_for
        future = start(lambda sleeper=sleeper: sleeper.sleep(inf))  # type: ignore[misc]  # its own
        sleeper.wake()
        future.result(LONG)
        assert not sleeper.answered


def test_a_sleeper_that_was_woken_before_does_not_sleep() -> None:
    sleeper = Sleeper(FakeClock())
    sleeper.wake()
    sleeper.wake()
    assert sleeper.answered
    sleeper.sleep(inf)
    assert not sleeper.answered


def test_a_sleeper_looks_again_at_its_moment_by_a_real_clock() -> None:
    clock = MonotonicClock()
    Sleeper(clock).sleep(clock.now() + 0.01)


def test_a_sleeper_counts_as_waiting_for_an_autojumping_clock() -> None:
    clock = FakeClock(autojump=True)
    broker = Broker(clock=clock)
    sleeper = Sleeper(clock)

    def reserve() -> None:
        broker.consumer().reserve(timeout=50)

    other = waiting(broker, reserve)
    other.add_done_callback(lambda _: sleeper.wake())
    sleeper.sleep(inf)
    assert other.exception() is not None  # nothing came in time
    assert 1_000_050 == clock.now()
