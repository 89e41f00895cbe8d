"""Keys of many priorities: the order, the lanes, and how few of them there are."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from inproc_tubes.core import side_lanes as module
from inproc_tubes.core.side_lanes import (
    ID_BITS,
    ID_MASK,
    MAX_LANES,
    SMALL_HEAP,
    SideLanes,
)

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def lanes(monkeypatch: pytest.MonkeyPatch) -> SideLanes:
    """Have lanes from the first key on."""
    monkeypatch.setattr(module, "SMALL_HEAP", 0)
    return SideLanes()


def key(priority: int, job_id: int) -> int:
    return priority << ID_BITS | job_id


def add(lanes: SideLanes, *keys: tuple[int, int]) -> None:
    for priority, job_id in keys:
        lanes.add(priority, job_id)
        lanes._check()


def drain(lanes: SideLanes) -> list[tuple[int, int]]:
    """Take all keys, in their order."""
    drained = []
    while lanes.heap:
        drained.append((lanes.heap[0] >> ID_BITS, lanes.heap[0] & ID_MASK))
        lanes.drop_first()
        lanes._check()
    return drained


def lanes_of(lanes: SideLanes) -> dict[int, list[int]]:
    return {priority: list(lane) for priority, lane in lanes._lanes.items()}


def test_keys_leave_by_priority_and_then_by_id(lanes: SideLanes) -> None:
    add(lanes, (7, 1), (5, 2), (7, 3), (5, 4), (0, 5), (7, 6))
    assert [(0, 5), (5, 2), (5, 4), (7, 1), (7, 3), (7, 6)] == drain(lanes)


def test_a_priority_has_a_lane_from_its_second_key_on(lanes: SideLanes) -> None:
    add(lanes, (7, 1))
    assert {} == lanes_of(lanes)
    add(lanes, (7, 2), (7, 3))
    assert {7: [2, 3]} == lanes_of(lanes)
    assert [key(7, 1), key(7, 2)] == sorted(lanes.heap)
    assert [key(7, 1), key(7, 2), key(7, 3)] == sorted(lanes)


def test_a_small_heap_has_no_lanes() -> None:
    lanes = SideLanes()
    for job_id in range(1, SMALL_HEAP + 1):
        lanes.add(7, job_id)
    assert {} == lanes_of(lanes)
    lanes.add(7, SMALL_HEAP + 1)
    lanes.add(7, SMALL_HEAP + 2)
    assert {7: [SMALL_HEAP + 2]} == lanes_of(lanes)
    for _ in range(SMALL_HEAP):
        lanes.drop_first()
    lanes._check()
    assert [(7, SMALL_HEAP + 1), (7, SMALL_HEAP + 2)] == drain(lanes)


def test_a_key_that_is_older_than_its_lane_is_in_the_heap(lanes: SideLanes) -> None:
    add(lanes, (7, 1), (7, 8), (7, 9), (7, 5), (7, 9))
    assert {7: [8, 9]} == lanes_of(lanes)
    assert [(7, 1), (7, 5), (7, 8), (7, 9), (7, 9)] == drain(lanes)


def test_the_head_of_a_lane_may_be_in_it_twice(lanes: SideLanes) -> None:
    add(lanes, (7, 1), (7, 2), (7, 2))
    assert [(7, 1), (7, 2), (7, 2)] == drain(lanes)


def test_a_lane_that_is_empty_is_used_again(lanes: SideLanes) -> None:
    add(lanes, (7, 1), (7, 2))
    lane = lanes._lanes[7]
    assert 2 == len(drain(lanes))
    add(lanes, (7, 3), (7, 4))
    assert lane is lanes._lanes[7]
    assert [3, 4] == list(lane)


def test_priorities_without_end_have_no_lanes(lanes: SideLanes) -> None:
    for priority in range(3 * MAX_LANES):
        lanes.add(priority, 1)
    lanes._check()
    assert {} == lanes_of(lanes)
    assert [(priority, 1) for priority in range(3 * MAX_LANES)] == drain(lanes)


def test_there_are_only_so_many_lanes(lanes: SideLanes) -> None:
    for job_id in (1, 2, 3):
        for priority in range(MAX_LANES):
            lanes.add(priority, job_id)
    add(lanes, (MAX_LANES, 7), (MAX_LANES, 8), (MAX_LANES, 9))
    assert set(range(MAX_LANES)) == set(lanes_of(lanes))


def test_an_empty_lane_gives_way_to_new_priorities(lanes: SideLanes) -> None:
    add(lanes, (7, 1), (7, 2))
    drain(lanes)
    add(lanes, (8, 1), (8, 2))
    for priority in range(100, 100 + MAX_LANES):
        lanes.add(priority, 1)
    lanes._check()
    assert {8: [2]} == lanes_of(lanes)


def test_a_priority_that_comes_again_too_late_has_no_lane(lanes: SideLanes) -> None:
    add(lanes, (7, 1))
    for priority in range(100, 100 + MAX_LANES):
        lanes.add(priority, 1)
    add(lanes, (7, 2))
    assert {} == lanes_of(lanes)


@pytest.mark.parametrize("before", [0, 2, 100])
def test_many_keys_may_come_at_once(lanes: SideLanes, before: int) -> None:
    olds = [(7, job_id) for job_id in range(1, before + 1)]
    news = [(job_id % 3, job_id) for job_id in range(200, 210)]
    add(lanes, *olds)
    lanes.add_many([key(*new) for new in news], len(news))
    lanes._check()
    assert sorted([*olds, *news]) == drain(lanes)


def test_a_cleared_one_is_as_good_as_new(lanes: SideLanes) -> None:
    add(lanes, (7, 1), (7, 2), (8, 3))
    lanes.clear()
    lanes._check()
    assert [] == list(lanes)
    add(lanes, (7, 1))
    assert {} == lanes_of(lanes)
    assert [(7, 1)] == drain(lanes)


@pytest.mark.parametrize("priorities", [1, 3, 2000])
def test_it_does_what_a_sorted_list_does(lanes: SideLanes, priorities: int) -> None:
    chance = random.Random(f"side lanes of {priorities}")  # noqa: S311 - repeatable
    model: list[tuple[int, int]] = []
    for job_id in range(1, 5001):
        if chance.random() < 0.6:
            old = chance.random() < 0.1
            one = (
                chance.randrange(priorities),
                chance.randrange(job_id) if old else job_id,
            )
            lanes.add(*one)
            model.append(one)
        elif model:
            model.sort()
            assert key(*model.pop(0)) == lanes.heap[0]
            lanes.drop_first()
    lanes._check()
    assert sorted(key(*one) for one in model) == sorted(lanes)
    assert sorted(model) == drain(lanes)


def lose_a_head(lanes: SideLanes) -> None:
    lanes.heap.remove(key(7, 2))


def swap_in_the_heap(lanes: SideLanes) -> None:
    lanes.heap.reverse()


def swap_in_a_lane(lanes: SideLanes) -> None:
    lanes._lanes[7].reverse()


def have_too_many_seen(lanes: SideLanes) -> None:
    lanes._seen |= dict.fromkeys(range(MAX_LANES + 1))


def have_too_many_lanes(lanes: SideLanes) -> None:
    lanes._lanes |= dict.fromkeys(range(MAX_LANES + 1), lanes._lanes[7])


@pytest.mark.parametrize(
    "harm",
    [
        lose_a_head,
        swap_in_the_heap,
        swap_in_a_lane,
        have_too_many_seen,
        have_too_many_lanes,
    ],
)
def test_a_check_of_side_lanes_finds_what_is_wrong(
    lanes: SideLanes, harm: Callable[[SideLanes], None]
) -> None:
    add(lanes, (7, 1), (7, 2), (7, 3))
    harm(lanes)
    with pytest.raises(AssertionError):
        lanes._check()
