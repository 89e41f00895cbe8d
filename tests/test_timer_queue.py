"""The timer queue: what must be looked at again, and when at the latest."""

from __future__ import annotations

from math import inf
from random import Random
from typing import TYPE_CHECKING

import pytest

from inproc_tubes.core.timers import TimerQueue

if TYPE_CHECKING:
    from collections.abc import Callable

Timers = TimerQueue[str]


@pytest.fixture
def timers() -> Timers:
    return TimerQueue()


def test_items_are_taken_by_their_moments_then_as_they_were_planned(
    timers: Timers,
) -> None:
    for item, moment in [("c", 3.0), ("b", 2.0), ("a", 1.0), ("b2", 2.0)]:
        timers.plan(item, moment)
        timers._check()
    assert timers.first() == (1.0, "a")
    assert timers.take(0.5) == []
    assert timers.take(2.0) == ["a", "b", "b2"]
    timers._check()
    assert timers.take(inf) == ["c"]
    assert timers.first() == (inf, None)


def test_an_empty_timer_queue_has_no_first_item(timers: Timers) -> None:
    assert timers.first() == (inf, None)
    assert timers.take(inf) == []
    assert len(timers) == 0


def test_planning_again_can_only_be_earlier(timers: Timers) -> None:
    timers.plan("a", 5.0)
    timers.plan("a", 7.0)
    assert timers.first() == (5.0, "a")
    timers.plan("a", 3.0)
    timers._check()
    assert timers.first() == (3.0, "a")
    assert timers.take(10.0) == ["a"]
    assert timers.take(10.0) == []


def test_planning_for_the_same_moment_keeps_the_place(timers: Timers) -> None:
    for item in ("a", "b", "a"):
        timers.plan(item, 5.0)
    assert timers.take(5.0) == ["a", "b"]


def test_planning_for_an_earlier_moment_gives_the_last_place_of_that_moment(
    timers: Timers,
) -> None:
    timers.plan("a", 7.0)
    timers.plan("b", 5.0)
    timers.plan("a", 5.0)
    assert timers.take(5.0) == ["b", "a"]


def test_what_is_forgotten_can_be_planned_later(timers: Timers) -> None:
    timers.plan("a", 5.0)
    timers.forget("a")
    timers.forget("a")
    assert timers.first() == (inf, None)
    timers.plan("a", 7.0)
    timers._check()
    assert timers.first() == (7.0, "a")


def test_what_was_taken_can_be_planned_later(timers: Timers) -> None:
    timers.plan("a", 5.0)
    assert timers.take(5.0) == ["a"]
    timers.plan("a", 7.0)
    assert timers.take(7.0) == ["a"]


def test_a_timer_queue_tells_what_is_in_it(timers: Timers) -> None:
    timers.plan("a", 5.0)
    timers.plan("b", 6.0)
    timers.plan("a", 4.0)
    assert (len(timers), "a" in timers, "b" in timers) == (2, True, True)
    timers.forget("b")
    assert (len(timers), "a" in timers, "b" in timers) == (1, True, False)
    assert timers.take(4.0) == ["a"]
    assert (len(timers), "a" in timers) == (0, False)


def forget_half(timers: Timers) -> None:
    """Break `forget` off in its middle."""
    del timers._keys["a"]


def plan_half(timers: Timers) -> None:
    """Break `plan` off in its middle."""
    timers._keys["c"] = (1.0, 3)


@pytest.mark.parametrize("harm", [forget_half, plan_half])
def test_a_timer_queue_may_be_cleared_where_a_change_was_broken_off(
    timers: Timers, harm: Callable[[Timers], None]
) -> None:
    timers.plan("a", 5.0)
    timers.plan("b", 6.0)
    harm(timers)
    timers.clear()
    timers._check()
    assert (len(timers), timers.first()) == (0, (inf, None))
    timers.plan("a", 7.0)
    timers._check()
    assert timers.take(inf) == ["a"]


def forget_all_keys(timers: Timers) -> None:
    timers._keys.clear()


def lose_an_entry(timers: Timers) -> None:
    timers._entries.popitem(0)


def enter_twice(timers: Timers) -> None:
    timers._entries[9.0, 9] = "a"


def know_another_moment(timers: Timers) -> None:
    timers._keys["a"] = (4.0, 1)


@pytest.mark.parametrize(
    "harm",
    [
        forget_half,
        plan_half,
        forget_all_keys,
        lose_an_entry,
        enter_twice,
        know_another_moment,
    ],
)
def test_a_check_of_a_timer_queue_finds_what_is_wrong(
    timers: Timers, harm: Callable[[Timers], None]
) -> None:
    timers.plan("a", 5.0)
    timers.plan("b", 6.0)
    harm(timers)
    with pytest.raises(AssertionError):
        timers._check()


class Model:
    """A timer queue in the most simple way."""

    def __init__(self) -> None:
        # Of (moment, item), in the order of planning.
        self.plans: list[tuple[float, str]] = []

    def plan(self, item: str, moment: float) -> None:
        """Plan an item."""
        if all(planned > moment for planned, name in self.plans if name == item):
            self.forget(item)
            self.plans.append((moment, item))

    def forget(self, item: str) -> None:
        """Forget an item."""
        self.plans = [plan for plan in self.plans if plan[1] != item]

    def in_order(self) -> list[tuple[float, str]]:
        """Return all plans; the sort leaves the order of planning as it is."""
        return sorted(self.plans, key=lambda plan: plan[0])

    def take(self, until: float) -> list[str]:
        """Take all items that are due."""
        due = [item for moment, item in self.in_order() if moment <= until]
        self.plans = [plan for plan in self.plans if plan[0] > until]
        return due


@pytest.mark.parametrize("seed", range(10))
def test_random_steps_agree_with_a_sorted_list(timers: Timers, seed: int) -> None:
    random = Random(seed)  # noqa: S311 - nothing secret
    model = Model()
    for now in range(500):
        item = random.choice("abcdefghij")
        verb = random.choice(("plan", "plan", "plan", "forget", "take"))
        if verb == "plan":
            moment = now + random.randint(0, 20)
            timers.plan(item, moment)
            model.plan(item, moment)
        elif verb == "forget":
            timers.forget(item)
            model.forget(item)
        else:
            assert timers.take(now) == model.take(now)
        timers._check()
        first = next(iter(model.in_order()), (inf, None))
        assert timers.first() == first
        assert len(timers) == len(model.plans)
    left = model.take(inf)
    assert timers.take(inf) == left
