"""Ready jobs against a sorted list, by random steps; and what their check finds."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest

from inproc_tubes.core import ready as ready_module
from inproc_tubes.core.job import JobState
from inproc_tubes.core.limits import DEFAULT_PRIORITY as USUAL, URGENT_THRESHOLD
from tests.index_jobs import Shelf, ids_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from inproc_tubes.core.ready import ReadyJobs

READY = JobState.READY


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


# The check of the index


def swap_in_lane(index: ReadyJobs) -> None:
    index.lane.reverse()


def swap_beside(index: ReadyJobs) -> None:
    index._others.heap.reverse()


def lose_an_entry_of_the_lane(index: ReadyJobs) -> None:
    index.lane.pop()


def lose_an_entry_of_the_heap(index: ReadyJobs) -> None:
    index._others.heap.pop()


def lose_a_counted_entry(index: ReadyJobs) -> None:
    index._others.heap.pop()
    index._elsewhere -= 1


def miscount_ready(index: ReadyJobs) -> None:
    index._elsewhere += 1


def miscount_dead(index: ReadyJobs) -> None:
    index._dead += 1


def miscount_urgent(index: ReadyJobs) -> None:
    index._urgent_elsewhere += 1


def claim_to_be_in_order(index: ReadyJobs) -> None:
    index.in_order = True


@pytest.mark.parametrize(
    "harm",
    [
        swap_in_lane,
        swap_beside,
        lose_an_entry_of_the_lane,
        lose_an_entry_of_the_heap,
        lose_a_counted_entry,
        miscount_ready,
        miscount_dead,
        miscount_urgent,
        claim_to_be_in_order,
    ],
)
def test_a_check_of_ready_jobs_finds_what_is_wrong(
    shelf: Shelf, harm: Callable[[ReadyJobs], None]
) -> None:
    shelf.add(USUAL, USUAL, 7, 8)
    harm(shelf.index)
    with pytest.raises(AssertionError):
        shelf.check()


# Random steps

PRIORITIES = (0, URGENT_THRESHOLD - 1, URGENT_THRESHOLD, USUAL, USUAL, USUAL)


def put_one(shelf: Shelf, random: Random) -> None:
    """Put a job, in the short way of `Engine.put`."""
    job = shelf.jobs.new(random.choice(PRIORITIES))
    if job._priority == shelf.index.lane_priority:
        shelf.index.lane.append(job._id)
    else:
        shelf.index.add(job)


def put_several(shelf: Shelf, random: Random) -> None:
    shelf.add_many(*[random.choice(PRIORITIES)] * random.randint(0, 9))


def pop_one(shelf: Shelf, _random: Random) -> None:
    """Reserve the first job, in the short way of `Engine.reserve`."""
    first = next(iter(shelf.expected()), None)
    index = shelf.index
    if index.in_order:
        job = shelf.jobs.by_id[index.lane.popleft()] if index.lane else None
    else:
        job = index.pop()
    assert job is first
    if job is not None:
        shelf.jobs.hold(job)


def pop_several(shelf: Shelf, random: Random) -> None:
    count = random.randint(0, 6)
    first = ids_of(shelf.expected()[:count])
    assert shelf.pop_many(count) == first


def look(shelf: Shelf, _random: Random) -> None:
    first = next(iter(shelf.expected()), None)
    assert shelf.index.first() is first


def take_some(shelf: Shelf, random: Random) -> None:
    shelf.take(*ids_of(shelf.jobs.some(READY, random, 5)))


def delete_some(shelf: Shelf, random: Random) -> None:
    for job in shelf.jobs.some(READY, random, 3):
        shelf.index.remove(job)
        shelf.jobs.delete(job)
        shelf.check()


def give_some_back(shelf: Shelf, random: Random) -> None:
    for job in shelf.jobs.some(JobState.RESERVED, random, 4):
        shelf.give_back(job._id, random.choice((job._priority, *PRIORITIES)))


def give_some_back_together(shelf: Shelf, random: Random) -> None:
    ids = ids_of(shelf.jobs.some(JobState.RESERVED, random, 6))
    shelf.index.add_many([shelf.return_(i, random.choice(PRIORITIES)) for i in ids])


def rebuild(shelf: Shelf, random: Random) -> None:
    ready = shelf.jobs.in_state(READY)
    random.shuffle(ready)
    shelf.index.rebuild(ready)


STEPS = (
    *[put_one, put_several, pop_one, pop_several, look, take_some] * 4,
    *[delete_some, give_some_back, give_some_back_together] * 4,
    rebuild,
)


@pytest.mark.parametrize("seed", range(20))
def test_random_steps_agree_with_a_sorted_list(
    monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(ready_module, "SWEEP_FLOOR", 3)
    random = Random(seed)  # noqa: S311 - nothing secret
    shelf = Shelf()
    for _ in range(300):
        random.choice(STEPS)(shelf, random)
        shelf.check()
    left = ids_of(shelf.expected())
    assert shelf.pop_all() == left
