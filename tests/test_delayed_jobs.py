"""The delayed jobs of a tube: a heap with dead entries."""

from __future__ import annotations

import heapq
from itertools import count
from math import inf
from random import Random
from typing import TYPE_CHECKING

import pytest

from inproc_tubes.core import delayed as delayed_module, heaps as heaps_module
from inproc_tubes.core.delayed import SWEEP_FLOOR, DelayedJobs
from inproc_tubes.core.job import JobState
from tests.index_jobs import Jobs, ids_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from inproc_tubes.core.record import AnyJob

DELAYED = JobState.DELAYED
READY = JobState.READY


class Shelf:
    """Delayed jobs, and what an engine does with them; every step is checked."""

    def __init__(self) -> None:
        self.jobs = Jobs()
        self.index = DelayedJobs(self.jobs.by_id, "t")

    def check(self) -> None:
        """Compare the index with what the jobs say."""
        self.index._check(self.jobs.in_state(DELAYED))

    def expected(self) -> list[AnyJob]:
        """Return the delayed jobs in their order, found in the most simple way."""
        return sorted(
            self.jobs.in_state(DELAYED), key=lambda job: (job._due_at, job._id)
        )

    def add(self, *moments: float) -> None:
        """Put new jobs that are ready at these moments."""
        for moment in moments:
            self.index.add(self.jobs.new_delayed(moment))
            self.check()

    def remove(self, *ids: int) -> None:
        """Reserve these jobs before their delays are over."""
        for job_id in ids:
            job = self.jobs.by_id[job_id]
            self.index.remove(job)
            self.jobs.hold(job)
            self.check()

    def return_(self, job_id: int, due_at: float) -> None:
        """Release a job with a delay until then."""
        job = self.jobs.by_id[job_id]
        job._state = DELAYED
        job._due_at = due_at
        self.index.add(job)
        self.check()

    def take(self, until: float) -> list[int]:
        """Make ready whatever is due."""
        return self.make_ready(self.index.take(until))

    def pop(self) -> int:
        """Make the first one ready, as a kick does."""
        (job_id,) = self.make_ready([self.index.pop()])
        return job_id

    def make_ready(self, jobs: list[AnyJob]) -> list[int]:
        """Let jobs that were taken be ready."""
        for job in jobs:
            assert job is self.jobs.by_id[job._id]
            job._state = READY
        self.check()
        return ids_of(jobs)


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


# Order


def test_jobs_are_taken_by_their_moments_then_by_their_ids(shelf: Shelf) -> None:
    index = shelf.index
    shelf.add(105.0, 103.0, 105.0, 109.0, 101.0)
    assert ids_of(index.in_sequence()) == [5, 2, 1, 3, 4]
    assert shelf.take(100.0) == []
    assert shelf.take(105.0) == [5, 2, 1, 3]
    assert (len(index), index.first()) == (1, shelf.jobs.by_id[4])
    assert shelf.pop() == 4
    assert (len(index), index.first()) == (0, None)


def test_the_first_job_is_kicked_first(shelf: Shelf) -> None:
    shelf.add(105.0, 103.0, 105.0)
    assert [shelf.pop() for _ in range(3)] == [2, 1, 3]


def test_a_job_is_due_at_its_very_moment(shelf: Shelf) -> None:
    shelf.add(103.0)
    assert shelf.take(102.999) == []
    assert shelf.take(103.0) == [1]


def test_without_a_job_there_is_none_to_take(shelf: Shelf) -> None:
    assert shelf.index.first() is None
    assert shelf.take(inf) == []
    assert shelf.index.in_sequence() == []


# Out of the middle


def test_a_job_that_has_left_is_not_taken(shelf: Shelf) -> None:
    shelf.add(101.0, 102.0, 103.0)
    shelf.remove(1, 2)
    shelf.jobs.delete(shelf.jobs.by_id[2])
    assert len(shelf.index) == 1
    assert shelf.index.first() is shelf.jobs.by_id[3]
    shelf.add(100.0)
    shelf.remove(4)
    assert shelf.take(inf) == [3]


def test_jobs_that_have_left_are_not_among_those_taken(shelf: Shelf) -> None:
    shelf.add(101.0, 102.0, 103.0, 104.0)
    shelf.remove(1, 3)
    shelf.jobs.delete(shelf.jobs.by_id[3])
    assert shelf.take(103.0) == [2]
    assert shelf.take(104.0) == [4]


def test_a_job_that_comes_back_for_another_moment_is_taken_then(shelf: Shelf) -> None:
    shelf.add(105.0, 106.0)
    shelf.remove(1, 2)
    shelf.return_(1, 107.0)
    shelf.return_(2, 103.0)
    assert shelf.take(106.0) == [2]
    assert shelf.take(107.0) == [1]


@pytest.mark.parametrize("others", [1, 99])
@pytest.mark.parametrize("times", [1, 2, 3])
@pytest.mark.parametrize("take", [Shelf.take, lambda shelf, _: [shelf.pop()]])
def test_a_job_that_comes_back_for_the_same_moment_is_taken_once(
    shelf: Shelf, take: Callable[[Shelf, float], list[int]], times: int, others: int
) -> None:
    shelf.add(105.0, *[108.0] * others)
    for _ in range(times):
        shelf.remove(1)
        shelf.return_(1, 105.0)
    assert len(shelf.index) == 1 + others
    assert take(shelf, 105.0) == [1]
    assert (len(shelf.index), shelf.index.first()) == (others, shelf.jobs.by_id[2])
    shelf.return_(1, 105.0)
    assert shelf.take(inf) == [*range(1, 2 + others)]


# Where many are due


@pytest.mark.parametrize("due", [0, 1, 2, 10, 11, 12, 13, 150, 319, 320])
def test_many_jobs_are_taken_in_order(shelf: Shelf, due: int) -> None:
    """Few are popped. Where they are many, the heap is divided."""
    moments = [100.0 + i // 2 for i in range(320)]
    Random(0).shuffle(moments)  # noqa: S311 - nothing secret
    for moment in moments:
        shelf.index.add(shelf.jobs.new_delayed(moment))
    order = ids_of(shelf.expected())
    until = 99.0 + due // 2
    assert shelf.take(until) == order[: due - due % 2]
    shelf.add(until, 500.0)
    assert shelf.take(inf) == [321, *order[due - due % 2 :], 322]


@pytest.mark.parametrize(("due", "popped"), [(11, 11), (12, 0), (320, 0)])
def test_a_heap_is_divided_where_more_than_one_of_a_sample_is_due(
    monkeypatch: pytest.MonkeyPatch, shelf: Shelf, due: int, popped: int
) -> None:
    """Of 320 entries, every eleventh is looked at."""
    pops = count()

    def heappop(heap: list[tuple[float, int]]) -> tuple[float, int]:
        next(pops)
        return heapq.heappop(heap)

    monkeypatch.setattr(heaps_module, "heappop", heappop)
    for moment in range(320):
        shelf.index.add(shelf.jobs.new_delayed(moment))
    assert shelf.take(due - 1) == [*range(1, due + 1)]
    assert next(pops) == popped


@pytest.mark.parametrize("later", [1, 320])
def test_a_dead_entry_that_is_due_is_dropped_with_the_others(
    shelf: Shelf, later: int
) -> None:
    """Of 320 later ones and 10 that are due, only one of the sample is due."""
    shelf.add(*[100.0] * 10, *[101.0] * later)
    shelf.remove(*range(1, 10, 2))
    assert shelf.take(100.0) == [*range(2, 11, 2)]
    assert sorted(shelf.index._heap) == [(101.0, 11 + i) for i in range(later)]


# Sweeping


def test_dead_entries_are_swept_when_they_outnumber_the_others(shelf: Shelf) -> None:
    total = 3 * SWEEP_FLOOR
    shelf.add(*[100.0 + i for i in range(total)])
    most = 0
    for job_id in range(total, 1, -1):
        shelf.remove(job_id)
        dead = len(shelf.index._heap) - len(shelf.index)
        most = max(most, dead - len(shelf.index))
    assert most == SWEEP_FLOOR
    assert len(shelf.index._heap) <= SWEEP_FLOOR + 2
    assert shelf.take(inf) == [1]


def test_a_sweep_keeps_one_entry_for_a_job_that_came_back(shelf: Shelf) -> None:
    shelf.add(105.0, 106.0)
    for _ in range(SWEEP_FLOOR + 1):
        shelf.remove(1)
        shelf.return_(1, 105.0)
    assert len(shelf.index._heap) == SWEEP_FLOOR + 3
    shelf.remove(2)
    assert shelf.index._heap == [(105.0, 1)]
    assert shelf.take(inf) == [1]


# Rebuilding


def test_an_index_is_rebuilt_from_its_jobs_alone(shelf: Shelf) -> None:
    shelf.add(105.0, 103.0, 104.0)
    shelf.remove(3)
    shelf.index._heap.append((1.0, 1))
    shelf.index._count = 7
    shelf.index.rebuild(shelf.jobs.in_state(DELAYED))
    shelf.check()
    assert len(shelf.index._heap) == 2
    assert shelf.take(inf) == [2, 1]


def test_an_index_may_be_rebuilt_without_jobs(shelf: Shelf) -> None:
    shelf.add(105.0)
    shelf.remove(1)
    shelf.index.rebuild([])
    shelf.check()
    assert shelf.index._heap == []


# The check of the index


def swap_in_heap(index: DelayedJobs) -> None:
    index._heap.reverse()


def lose_an_entry(index: DelayedJobs) -> None:
    index._heap.pop()


def lose_a_counted_entry(index: DelayedJobs) -> None:
    index._heap.pop()
    index._count -= 1


def miscount(index: DelayedJobs) -> None:
    index._count += 1


def have_another_moment(index: DelayedJobs) -> None:
    index._jobs[1]._due_at += 1


def leave_a_job_out(index: DelayedJobs) -> None:
    index._jobs[1]._state = READY


@pytest.mark.parametrize(
    "harm",
    [
        swap_in_heap,
        lose_an_entry,
        lose_a_counted_entry,
        miscount,
        have_another_moment,
        leave_a_job_out,
    ],
)
def test_a_check_of_delayed_jobs_finds_what_is_wrong(
    shelf: Shelf, harm: Callable[[DelayedJobs], None]
) -> None:
    shelf.add(103.0, 104.0, 105.0)
    harm(shelf.index)
    with pytest.raises(AssertionError):
        shelf.check()


# Random steps


def near(random: Random, now: float) -> float:
    """Return a moment of the next seconds, so that many are the same."""
    return now + random.randint(0, 6)


def add_some(shelf: Shelf, random: Random, now: float) -> None:
    shelf.add(*(near(random, now) for _ in range(random.choice((1, 1, 1, 1, 50)))))


def remove_some(shelf: Shelf, random: Random, _now: float) -> None:
    shelf.remove(*ids_of(shelf.jobs.some(DELAYED, random, 5)))


def delete_some(shelf: Shelf, random: Random, _now: float) -> None:
    for job in shelf.jobs.some(DELAYED, random, 3):
        shelf.index.remove(job)
        shelf.jobs.delete(job)
        shelf.check()


def return_some(shelf: Shelf, random: Random, now: float) -> None:
    for job in shelf.jobs.some(JobState.RESERVED, random, 5):
        shelf.return_(job._id, near(random, now))


def move_some(shelf: Shelf, random: Random, now: float) -> None:
    """Reserve jobs and release them, mostly for the same moment as before."""
    for job in shelf.jobs.some(DELAYED, random, 4):
        moment = random.choice((job._due_at, job._due_at, near(random, now)))
        shelf.remove(job._id)
        shelf.return_(job._id, moment)


def take_what_is_due(shelf: Shelf, _random: Random, now: float) -> None:
    due = [job._id for job in shelf.expected() if job._due_at <= now]
    assert shelf.take(now) == due


def pop_first(shelf: Shelf, _random: Random, _now: float) -> None:
    expected = shelf.expected()
    if expected:
        assert shelf.pop() == expected[0]._id


def look(shelf: Shelf, _random: Random, _now: float) -> None:
    assert shelf.index.first() is next(iter(shelf.expected()), None)


def rebuild(shelf: Shelf, random: Random, _now: float) -> None:
    delayed = shelf.jobs.in_state(DELAYED)
    random.shuffle(delayed)
    shelf.index.rebuild(delayed)


STEPS = (
    *[add_some, remove_some, return_some, move_some] * 4,
    *[take_what_is_due, pop_first, look] * 4,
    *[delete_some, rebuild],
)


@pytest.mark.parametrize("seed", range(20))
def test_random_steps_agree_with_a_sorted_list(
    monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(delayed_module, "SWEEP_FLOOR", 3)
    random = Random(seed)  # noqa: S311 - nothing secret
    shelf = Shelf()
    now = 100.0
    for _ in range(300):
        now += random.choice((0, 0, 0.5, 1))
        random.choice(STEPS)(shelf, random, now)
        shelf.check()
    left = ids_of(shelf.expected())
    assert shelf.take(inf) == left
