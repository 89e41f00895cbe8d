"""The watch set: which of many tubes serves the next job."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest

from inproc_tubes.core import watch_set as watch_set_module
from inproc_tubes.core.ready import key_of
from inproc_tubes.core.tube import Tube
from inproc_tubes.core.watch_set import SWEEP_FLOOR, WatchSet
from tests.index_jobs import Jobs

if TYPE_CHECKING:
    from collections.abc import Callable


class Tubes:
    """Tubes that share their jobs, and are watched together."""

    def __init__(self, names: str) -> None:
        self.jobs = Jobs()
        self.tubes = {name: Tube(name, self.jobs.by_id) for name in names}
        self.watch_set = WatchSet(self.tubes.values())

    def __getitem__(self, name: str) -> Tube:
        return self.tubes[name]

    def add(self, name: str, *priorities: int) -> None:
        """Put jobs into a tube, and offer them as an engine does."""
        for priority in priorities:
            job = self.jobs.new(priority)
            job._tube = name
            self.tubes[name].ready.add(job)
            self.watch_set.offer(self.tubes[name], key_of(job))
            self.watch_set._check()

    def pop(self) -> int:
        """Reserve the next job, 0 without any."""
        tube = self.watch_set.best()
        self.watch_set._check()
        job = None if tube is None else tube.ready.pop()
        if job is None:
            return 0
        self.jobs.hold(job)
        self.watch_set._check()
        return job._id


def test_the_best_tube_has_the_first_job_of_all() -> None:
    tubes = Tubes("abc")
    tubes.add("a", 5)
    tubes.add("b", 7, 3)
    tubes.add("a", 3, 1)
    assert [tubes.pop() for _ in range(6)] == [5, 3, 4, 1, 2, 0]
    tubes.add("c", 9)
    assert tubes.watch_set.best() is tubes["c"]


def test_a_watch_set_knows_the_jobs_that_were_there_before_it() -> None:
    tubes = Tubes("abc")
    tubes.add("a", 5)
    tubes.add("b", 3)
    watch_set = WatchSet([tubes["a"], tubes["b"]])
    watch_set._check()
    assert watch_set.tubes == {"a": tubes["a"], "b": tubes["b"]}
    assert watch_set.best() is tubes["b"]
    assert watch_set.users == 0
    assert list(watch_set.tickets) == []


def test_without_a_job_no_tube_is_the_best() -> None:
    assert Tubes("ab").watch_set.best() is None


def test_looking_twice_finds_the_same_tube() -> None:
    tubes = Tubes("ab")
    tubes.add("a", 5, 6)
    tubes.add("b", 5)
    assert tubes.watch_set.best() is tubes["a"]
    assert tubes.watch_set.best() is tubes["a"]


def test_a_paused_tube_is_passed_over_until_it_is_looked_at_again() -> None:
    tubes = Tubes("ab")
    tubes.add("a", 1)
    tubes.add("b", 2)
    tubes["a"].paused_until = 105.0
    assert tubes.watch_set.best() is tubes["b"]
    tubes.watch_set._check()
    tubes["a"].paused_until = 0.0
    tubes.watch_set.look_at(tubes["a"])
    tubes.watch_set._check()
    assert tubes.watch_set.best() is tubes["a"]


def test_a_tube_without_a_job_is_looked_at_in_vain() -> None:
    tubes = Tubes("ab")
    tubes.watch_set.look_at(tubes["a"])
    tubes.watch_set._check()
    assert tubes.watch_set.best() is None


def test_a_bound_is_corrected_where_jobs_have_left() -> None:
    tubes = Tubes("ab")
    tubes.add("a", 1, 9)
    tubes.add("b", 5)
    job = tubes.jobs.by_id[1]
    tubes["a"].ready.remove(job)
    tubes.jobs.hold(job)
    tubes.watch_set._check()
    assert tubes.watch_set.best() is tubes["b"]
    assert [tubes.pop() for _ in range(3)] == [3, 2, 0]


def test_a_worse_job_does_not_change_the_bound() -> None:
    tubes = Tubes("ab")
    tubes.add("a", 5, 6, 7)
    assert len(tubes.watch_set._heap) == 1
    assert [tubes.pop() for _ in range(4)] == [1, 2, 3, 0]


def test_a_bound_that_was_void_is_dropped_though_it_is_true_again() -> None:
    """It is in the heap twice then, and counts once."""
    tubes = Tubes("ab")
    tubes.add("a", 5, 3)
    assert tubes.pop() == 2
    assert tubes.watch_set.best() is tubes["a"]
    assert len(tubes.watch_set._heap) == 2
    assert [tubes.pop(), tubes.pop()] == [1, 0]
    assert tubes.watch_set._heap == []


def test_bounds_that_were_lowered_are_swept() -> None:
    tubes = Tubes("ab")
    tubes.add("b", 150)
    most = 0
    for priority in range(300, 0, -1):
        tubes.add("a", priority)
        most = max(most, len(tubes.watch_set._heap))
    assert most == 2 * 2 + SWEEP_FLOOR
    for _ in range(149):
        assert tubes.watch_set.best() is tubes["a"]
        tubes.pop()
    assert tubes.watch_set.best() is tubes["b"]


# The check of a watch set


def lose_a_bound(watch_set: WatchSet[Tube]) -> None:
    watch_set._bounds.clear()


def lose_an_entry_of_the_heap(watch_set: WatchSet[Tube]) -> None:
    watch_set._heap.clear()


def swap_in_heap(watch_set: WatchSet[Tube]) -> None:
    watch_set._heap.reverse()


def have_a_bound_too_high(watch_set: WatchSet[Tube]) -> None:
    watch_set._bounds["a"] += 1
    watch_set._heap.append((watch_set._bounds["a"], "a"))


def let_the_latest_be_first(watch_set: WatchSet[Tube]) -> None:
    watch_set.tickets.update({2: None, 1: None})


@pytest.mark.parametrize(
    "harm",
    [
        lose_a_bound,
        lose_an_entry_of_the_heap,
        swap_in_heap,
        have_a_bound_too_high,
        let_the_latest_be_first,
    ],
)
def test_a_check_of_a_watch_set_finds_what_is_wrong(
    harm: Callable[[WatchSet[Tube]], None],
) -> None:
    tubes = Tubes("ab")
    tubes.add("a", 1)
    tubes.add("b", 5)
    harm(tubes.watch_set)
    with pytest.raises((AssertionError, KeyError)):
        tubes.watch_set._check()


# Random steps


class Keys:
    """What serves keys, in the most simple way."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.keys: list[int] = []
        self.paused = False

    @property
    def best_key(self) -> int | None:
        """The lowest key, None without any, or if paused."""
        return None if self.paused else min(self.keys, default=None)


def offer_one(watch_set: WatchSet[Keys], source: Keys, random: Random) -> None:
    key = random.randrange(1000) * 8 + "abcdefgh".index(source.name)  # of its own
    source.keys.append(key)
    watch_set.offer(source, key)


def offer_another(watch_set: WatchSet[Keys], source: Keys, random: Random) -> None:
    """Offer one, better than all before it."""
    first = source.best_key
    if first is not None:
        source.keys.append(first - 8 * random.randint(1, 5))
        watch_set.offer(source, source.keys[-1])


def leave_from_the_middle(
    _watch_set: WatchSet[Keys], source: Keys, random: Random
) -> None:
    random.shuffle(source.keys)
    del source.keys[random.randint(0, 3) :]


def take_the_best(watch_set: WatchSet[Keys], _source: Keys, _random: Random) -> None:
    best = watch_set.best()
    if best is not None:
        best.keys.remove(min(best.keys))


def pause(_watch_set: WatchSet[Keys], source: Keys, _random: Random) -> None:
    source.paused = True


def end_pause(watch_set: WatchSet[Keys], source: Keys, _random: Random) -> None:
    source.paused = False
    watch_set.look_at(source)


STEPS = (
    *[offer_one, offer_another, take_the_best, end_pause] * 3,
    *[leave_from_the_middle, pause],
)


@pytest.mark.parametrize("seed", range(20))
def test_random_steps_agree_with_asking_every_tube(
    monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(watch_set_module, "SWEEP_FLOOR", 3)
    random = Random(seed)  # noqa: S311 - nothing secret
    sources = [Keys(name) for name in "abcdefgh"]
    watch_set = WatchSet(sources)
    for _ in range(400):
        random.choice(STEPS)(watch_set, random.choice(sources), random)
        watch_set._check()
        if random.random() < 0.5:
            keys = {source.best_key: source for source in sources}
            keys.pop(None, None)
            best = min((key for key in keys if key is not None), default=None)
            assert watch_set.best() is keys.get(best)
            watch_set._check()
