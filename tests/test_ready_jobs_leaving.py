"""Ready jobs that leave from the middle, and what their dead entries may not do."""

from __future__ import annotations

import weakref

import pytest

from inproc_tubes.core.job import JobState
from inproc_tubes.core.limits import DEFAULT_PRIORITY as USUAL, URGENT_THRESHOLD
from inproc_tubes.core.ready import SWEEP_FLOOR
from tests.index_jobs import Shelf

READY = JobState.READY


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


# Out of the middle


def test_what_left_from_the_middle_is_not_served(shelf: Shelf) -> None:
    shelf.add(USUAL, USUAL, USUAL, 7, 8, 7)
    shelf.take(1, 3, 5)
    assert shelf.entries == 6
    assert shelf.pop_all() == [4, 6, 2]


def test_the_last_job_may_leave_from_the_middle(shelf: Shelf) -> None:
    shelf.add(USUAL, 7)
    shelf.take(1, 2)
    assert (shelf.entries, len(shelf.index)) == (2, 0)
    assert shelf.index.first() is None
    assert (shelf.entries, shelf.index.in_order) == (0, True)


@pytest.mark.parametrize("priority", [7, USUAL])
def test_a_job_that_is_gone_leaves_a_dead_entry(shelf: Shelf, priority: int) -> None:
    shelf.add(priority, priority)
    job = shelf.jobs.by_id[1]
    shelf.index.remove(job)
    shelf.jobs.delete(job)
    shelf.check()
    assert shelf.entries == 2
    assert shelf.pop_all() == [2]


@pytest.mark.parametrize("priority", [7, USUAL])
def test_a_dead_entry_does_not_keep_a_job_alive(shelf: Shelf, priority: int) -> None:
    shelf.add(priority, priority)
    job = shelf.jobs.by_id[1]
    probe = weakref.ref(job)
    shelf.index.remove(job)
    shelf.jobs.delete(job)
    shelf.check()
    del job
    assert probe() is None


def test_a_job_that_comes_back_is_served_once(shelf: Shelf) -> None:
    """Its old entry is live again, and the new one is dead once it is served."""
    shelf.add(USUAL, USUAL)
    shelf.take(1)
    shelf.give_back(1, USUAL)
    assert shelf.entries == 3
    assert shelf.pop_all() == [1, 2]
    assert len(shelf.index) == 0


@pytest.mark.parametrize("priority", [7, USUAL])
@pytest.mark.parametrize("times", [1, 2, 3])
def test_a_job_that_comes_back_is_among_several_once(
    shelf: Shelf, priority: int, times: int
) -> None:
    shelf.add(priority, priority, priority)
    for _ in range(times):
        shelf.take(1, 2)
        shelf.give_back(2, priority)
        shelf.give_back(1, priority)
    assert len(shelf.index) == 3
    assert shelf.pop_many(9) == [1, 2, 3]
    shelf.add(priority, 3)
    assert shelf.pop_many(9) == [5, 4]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_job_that_is_in_the_lane_twice_is_served_once(
    shelf: Shelf, count: int
) -> None:
    shelf.add(USUAL, USUAL, USUAL)
    shelf.take(2)
    shelf.give_back_many(2, priority=USUAL)
    assert (shelf.lane, len(shelf.index)) == ([1, 2, 2, 3], 3)
    assert shelf.pop_many(count) + shelf.pop_all() == [1, 2, 3]


def test_a_job_that_was_renewed_is_served_as_the_new_object(shelf: Shelf) -> None:
    shelf.add(USUAL, USUAL, 7)
    shelf.take(2, 3)
    shelf.give_back(2, USUAL)
    shelf.give_back(3, 7)
    shelf.take(2, 3)  # again: the engine goes on with new objects
    shelf.give_back(2, USUAL)
    shelf.give_back(3, 7)
    jobs = shelf.index.pop_many(9)
    assert jobs == [shelf.jobs.by_id[i] for i in (3, 1, 2)]


@pytest.mark.parametrize(("before", "after"), [(USUAL, 9), (9, USUAL), (7, 9)])
def test_a_job_that_comes_back_with_another_priority_has_its_new_place(
    shelf: Shelf, before: int, after: int
) -> None:
    shelf.add(before, before, after)
    shelf.take(1)
    shelf.give_back(1, after)
    assert shelf.pop_all() == ([2, 1, 3] if before < after else [1, 3, 2])


# Sweeping


def test_dead_entries_are_swept_when_they_outnumber_the_live(shelf: Shelf) -> None:
    total = 2 * SWEEP_FLOOR + 1
    # The first job stays at the head, so that nothing is dropped on the way.
    shelf.add(0, *[5, USUAL] * SWEEP_FLOOR)
    enough = (total + SWEEP_FLOOR) // 2 + 1
    for job_id in range(2, enough + 1):
        shelf.take(job_id)
        assert shelf.entries == total
    shelf.take(enough + 1)
    assert shelf.entries == len(shelf.index) == total - enough
    left = range(enough + 2, total + 1)
    assert shelf.pop_all() == [1, *sorted(left, key=lambda i: (i % 2, i))]


@pytest.mark.parametrize("priority", [5, USUAL])
def test_a_sweep_keeps_one_entry_for_a_job_that_came_back(
    shelf: Shelf, priority: int
) -> None:
    shelf.add(priority)
    for _ in range(SWEEP_FLOOR):
        shelf.take(1)
        shelf.give_back(1, priority)
    shelf.add(priority)
    shelf.take(2)
    shelf.give_back(2, 6)
    assert shelf.entries == SWEEP_FLOOR + 3
    shelf.take(2)
    assert shelf.entries == 1
    assert shelf.pop_all() == [1]


@pytest.mark.parametrize("priority", [5, USUAL])
def test_a_sweep_of_everything_leaves_an_index_that_still_works(
    shelf: Shelf, priority: int
) -> None:
    count = SWEEP_FLOOR + 1
    shelf.add(*[priority] * count)
    for job_id in range(count, 0, -1):
        shelf.take(job_id)
    assert (shelf.entries, len(shelf.index)) == (0, 0)
    assert shelf.index.in_order
    shelf.add(9, 3)
    assert shelf.pop_all() == [count + 2, count + 1]


@pytest.mark.parametrize("priority", [5, USUAL])
def test_the_dead_never_outgrow_the_living_by_more_than_the_floor(
    shelf: Shelf, priority: int
) -> None:
    for job_id in range(1, 301):
        shelf.add(priority)
        shelf.take(job_id)
        assert shelf.entries <= len(shelf.index) + SWEEP_FLOOR


# Counting


@pytest.mark.parametrize("in_lane", [False, True])
def test_urgent_counts_ready_jobs_below_the_threshold(
    shelf: Shelf,
    in_lane: bool,  # noqa: FBT001 - a parameter
) -> None:
    index = shelf.index
    if in_lane:
        index.lane_priority = 0
    shelf.add(URGENT_THRESHOLD - 1, URGENT_THRESHOLD, 0, 0)
    assert (index.urgent, len(index.lane)) == (3, 2 if in_lane else 1)
    shelf.take(2)
    assert index.urgent == 3
    shelf.take(4)
    assert index.urgent == 2
    assert shelf.pop_all() == [3, 1]
    assert index.urgent == 0


# Rebuilding


def test_an_index_is_rebuilt_from_its_jobs_alone(shelf: Shelf) -> None:
    shelf.add(USUAL, 7, USUAL, 7, USUAL)
    shelf.take(1, 2)
    index = shelf.index
    index.lane.clear()
    index._others.heap.append(0)
    index._dead, index._elsewhere, index._urgent_elsewhere = 3, -1, 4
    index.rebuild(shelf.jobs.in_state(READY))
    shelf.check()
    assert shelf.entries == 3
    assert shelf.pop_all() == [4, 3, 5]


def test_an_index_may_be_rebuilt_without_jobs(shelf: Shelf) -> None:
    shelf.add(USUAL, 7)
    shelf.pop_many(2)
    shelf.index._dead = 5
    shelf.index.rebuild([])
    shelf.check()
    assert (shelf.entries, shelf.index.in_order) == (0, True)
