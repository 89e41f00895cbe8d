"""The ready jobs of a tube: a lane for the usual priority, and a heap for the rest."""

from __future__ import annotations

import pytest

from inproc_tubes.core.limits import DEFAULT_PRIORITY as USUAL
from inproc_tubes.core.ready import key_of
from tests.index_jobs import Shelf, ids_of


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


# Order


def test_jobs_are_served_by_priority_then_by_id(shelf: Shelf) -> None:
    shelf.add(5, 5, 9)
    assert shelf.pop() == 1
    shelf.add(3, 3, 1, 5)
    assert shelf.pop_all() == [6, 4, 5, 2, 7, 3]


def test_a_key_sorts_as_priority_and_id_do(shelf: Shelf) -> None:
    last_id = 2**64 - 1  # beanstalkd's ids have 64 bits
    jobs = [shelf.jobs.new(priority) for priority in (0, 0, 1, 1, 2**32 - 1)]
    jobs[1]._id = last_id
    mixed = [jobs[place] for place in (3, 0, 4, 1, 2)]
    assert sorted(mixed, key=key_of) == jobs


def test_the_first_key_is_that_of_the_first_job(shelf: Shelf) -> None:
    shelf.add(USUAL, 7)
    assert shelf.index.first_key == key_of(shelf.jobs.by_id[2])
    shelf.take(2)
    assert shelf.index.first_key == key_of(shelf.jobs.by_id[1])


def test_without_a_job_there_is_none_to_serve(shelf: Shelf) -> None:
    index = shelf.index
    assert len(index) == 0
    assert index.first() is None
    assert index.first_key is None
    assert index.pop() is None
    assert index.pop_many(3) == []
    assert index.in_sequence() == []


def test_several_jobs_are_served_in_order_together(shelf: Shelf) -> None:
    shelf.add(USUAL, 7, USUAL, 9, USUAL, 7)
    assert shelf.pop_many(0) == []
    assert shelf.pop_many(3) == [2, 6, 4]
    assert shelf.pop_many(2) == [1, 3]
    assert shelf.pop_many(9) == [5]
    assert shelf.pop_many(9) == []


def test_several_jobs_of_the_lane_are_served_together(shelf: Shelf) -> None:
    shelf.add(USUAL, USUAL, USUAL)
    assert shelf.index.in_order
    assert shelf.pop_many(2) == [1, 2]
    assert shelf.pop_many(2) == [3]


def test_a_sequence_takes_nothing(shelf: Shelf) -> None:
    shelf.add(USUAL, 7, USUAL)
    assert ids_of(shelf.index.in_sequence()) == [2, 1, 3]
    assert shelf.pop_all() == [2, 1, 3]


# The lane


def test_the_lane_begins_with_the_usual_priority(shelf: Shelf) -> None:
    shelf.add(USUAL, USUAL)
    assert (shelf.lane, shelf.beside) == ([1, 2], 0)


def test_a_single_job_of_an_odd_priority_does_not_occupy_the_lane(
    shelf: Shelf,
) -> None:
    shelf.add(7)
    assert (shelf.lane, shelf.beside) == ([], 1)
    shelf.add(USUAL, 9, USUAL)
    assert (shelf.lane, shelf.beside) == ([2, 4], 2)
    assert shelf.pop_all() == [1, 3, 2, 4]


def test_two_jobs_of_a_priority_in_a_row_take_over_an_empty_lane(
    shelf: Shelf,
) -> None:
    shelf.add(7, 7, 7)
    assert shelf.index.lane_priority == 7
    assert (shelf.lane, shelf.beside) == ([2, 3], 1)
    assert shelf.pop_all() == [1, 2, 3]


def test_jobs_of_alternating_priorities_take_over_no_lane(shelf: Shelf) -> None:
    shelf.add(7, 9, 7, 9, 7)
    assert (shelf.lane, shelf.beside) == ([], 5)
    assert shelf.index.lane_priority == USUAL
    assert shelf.pop_all() == [1, 3, 5, 2, 4]


def test_a_lane_with_jobs_is_not_taken_over(shelf: Shelf) -> None:
    shelf.add(USUAL, 7, 7, 7)
    assert (shelf.lane, shelf.beside) == ([1], 3)
    assert shelf.pop_all() == [2, 3, 4, 1]


def test_a_lane_of_dead_entries_is_taken_over_once_they_are_dropped(
    shelf: Shelf,
) -> None:
    """The urgent jobs would be miscounted if a lane changed its priority before."""
    shelf.add(USUAL)
    shelf.take(1)
    shelf.add(7, 7)
    assert (shelf.lane, shelf.beside) == ([1], 2)
    assert shelf.pop() == 2
    shelf.add(7, 7)
    assert (shelf.lane, shelf.beside) == ([5], 2)
    assert shelf.pop_all() == [3, 4, 5]


def test_an_empty_lane_keeps_its_priority(shelf: Shelf) -> None:
    shelf.add(7, 7)
    assert shelf.pop_all() == [1, 2]
    shelf.add(9, 7)
    assert (shelf.lane, shelf.beside) == ([4], 1)
    assert shelf.pop_all() == [4, 3]


def test_an_empty_lane_takes_back_the_job_that_left_it(shelf: Shelf) -> None:
    shelf.add(USUAL)
    assert shelf.pop() == 1
    shelf.give_back(1, USUAL)
    assert (shelf.lane, shelf.beside) == ([1], 0)
    assert shelf.pop() == 1


def test_a_lane_may_be_taken_over_where_the_heap_has_its_oldest(shelf: Shelf) -> None:
    shelf.add(USUAL, 7, 7)
    assert shelf.pop_many(2) == [2, 3]
    assert shelf.pop() == 1
    shelf.give_back(3, 9)
    shelf.give_back(2, 9)
    assert (shelf.index.lane_priority, shelf.lane, shelf.beside) == (9, [2], 1)
    shelf.add(9)
    assert shelf.pop_all() == [2, 3, 4]


def test_an_older_job_of_the_lanes_priority_has_its_place(shelf: Shelf) -> None:
    shelf.add(USUAL, USUAL)
    assert shelf.pop() == 1
    shelf.give_back(1, USUAL)
    assert (shelf.lane, shelf.beside) == ([2], 1)
    shelf.add(USUAL)
    assert shelf.pop_all() == [1, 2, 3]


def test_an_engine_may_append_to_the_lane_itself(shelf: Shelf) -> None:
    shelf.add(USUAL, 7)
    shelf.index.lane.append(shelf.jobs.new(USUAL)._id)
    shelf.check()
    assert shelf.pop_all() == [2, 1, 3]


def test_the_lane_alone_is_in_order(shelf: Shelf) -> None:
    index = shelf.index
    found = [index.in_order]
    shelf.add(USUAL, USUAL)
    found.append(index.in_order)
    shelf.add(7)
    found.append(index.in_order)
    assert shelf.pop() == 3
    found.append(index.in_order)
    shelf.take(1)
    found.append(index.in_order)
    assert index.first() is shelf.jobs.by_id[2]
    found.append(index.in_order)
    assert found == [True, True, False, True, False, True]


def test_a_heap_that_ends_does_not_put_a_lane_of_dead_entries_in_order(
    shelf: Shelf,
) -> None:
    shelf.add(USUAL, USUAL, 7)
    shelf.take(2)
    assert shelf.pop() == 3
    assert not shelf.index.in_order
    shelf.index.lane.append(shelf.jobs.new(USUAL)._id)
    shelf.check()
    assert shelf.pop_all() == [1, 4]


# Several at once


def test_several_jobs_give_an_empty_lane_their_priority(shelf: Shelf) -> None:
    shelf.add_many(7, 7, 7)
    assert (shelf.index.lane_priority, shelf.lane) == (7, [1, 2, 3])
    assert shelf.index.in_order


def test_no_jobs_change_nothing(shelf: Shelf) -> None:
    shelf.add_many()
    assert shelf.index.lane_priority == USUAL
    shelf.add(USUAL)
    shelf.add_many()
    assert (shelf.lane, shelf.beside) == ([1], 0)


def test_several_jobs_of_the_lanes_priority_extend_it(shelf: Shelf) -> None:
    shelf.add(USUAL)
    shelf.add_many(USUAL, USUAL)
    assert (shelf.lane, shelf.beside) == ([1, 2, 3], 0)


def test_several_jobs_may_differ_in_priority(shelf: Shelf) -> None:
    shelf.add(USUAL)
    shelf.add_many(7, USUAL, 9, 7)
    assert (shelf.lane, shelf.beside) == ([1, 3], 3)
    assert shelf.pop_all() == [2, 5, 4, 1, 3]


def test_several_jobs_of_other_priorities_leave_the_lane_alone(shelf: Shelf) -> None:
    shelf.add(USUAL)
    shelf.add_many(7, 9)
    assert (shelf.lane, shelf.beside) == ([1], 2)
    assert shelf.pop_all() == [2, 3, 1]


def test_several_jobs_may_come_in_any_order(shelf: Shelf) -> None:
    shelf.add(USUAL, USUAL, USUAL, 7)
    assert shelf.pop_many(4) == [4, 1, 2, 3]
    shelf.give_back_many(3, 4, 1, 2, priority=USUAL)
    assert (shelf.lane, shelf.beside) == ([1, 2, 3, 4], 0)


def test_many_older_jobs_are_merged_with_the_lane(shelf: Shelf) -> None:
    shelf.add(*[USUAL] * 17)
    assert shelf.pop_many(3) == [1, 2, 3]
    shelf.give_back_many(3, 1, priority=USUAL)  # more than an eighth of the other 14
    assert shelf.lane == [1, *range(3, 18)]
    assert shelf.index.in_order
    assert shelf.pop_all() == [1, *range(3, 18)]


def test_few_older_jobs_are_left_to_the_heap(shelf: Shelf) -> None:
    shelf.add(*[USUAL] * 18)
    assert shelf.pop_many(2) == [1, 2]
    shelf.give_back_many(2, 1, priority=USUAL)  # an eighth of the other 16
    assert (shelf.lane, shelf.beside) == ([*range(3, 19)], 2)
    assert not shelf.index.in_order
    assert shelf.pop_all() == [*range(1, 19)]


@pytest.mark.parametrize("count", [2, 3])
def test_a_heap_stays_one_however_many_come(shelf: Shelf, count: int) -> None:
    """Few are pushed; more than a quarter of the heap are made a new one with it."""
    shelf.add(USUAL, *range(20, 12, -1))
    shelf.add_many(*range(count))
    assert shelf.beside == 8 + count
    assert shelf.pop_all() == [*range(10, 10 + count), *range(9, 1, -1), 1]
