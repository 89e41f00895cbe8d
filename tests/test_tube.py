"""A tube: what it counts, what keeps it alive, and who waits in it."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

import pytest

from inproc_tubes.core.job import JobState
from inproc_tubes.core.ready import key_of
from inproc_tubes.core.tube import Occupancy, Tube
from inproc_tubes.core.watch_set import WatchSet
from tests.index_jobs import Jobs

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def jobs() -> Jobs:
    return Jobs()


@pytest.fixture
def tube(jobs: Jobs) -> Tube:
    return Tube("t", jobs.by_id)


def limit(tube: Tube, maxsize: int) -> Occupancy:
    """Limit a tube."""
    tube.occupancy = Occupancy()
    tube.occupancy.maxsize = maxsize
    return tube.occupancy


@pytest.mark.parametrize(
    "refer",
    [
        lambda tube: setattr(tube, "pinned", True),
        lambda tube: setattr(tube, "using", 1),
        lambda tube: setattr(tube, "watching", 1),
        lambda tube: setattr(tube, "total_jobs", 1),
        lambda tube: setattr(tube, "occupancy", Occupancy()),
    ],
    ids=["pinned", "using", "watching", "job", "occupancy"],
)
def test_anything_at_all_keeps_a_tube(
    tube: Tube, refer: Callable[[Tube], object]
) -> None:
    assert not tube.referenced
    refer(tube)
    assert tube.referenced


def test_jobs_that_were_deleted_do_not_keep_a_tube(tube: Tube) -> None:
    tube.total_jobs = tube.cmd_delete = 3
    assert not tube.referenced


def test_jobs_that_are_in_no_index_are_reserved(tube: Tube, jobs: Jobs) -> None:
    tube.total_jobs = 7
    tube.cmd_delete = 1
    assert (tube.count, tube.reserved) == (6, 6)
    tube.ready.add(jobs.new())
    tube.delayed.add(jobs.new_delayed(105.0))
    tube.buried[3] = jobs.new()
    assert (tube.count, tube.reserved) == (6, 3)


def test_a_tube_is_due_at_its_first_delay_or_the_end_of_its_pause(
    tube: Tube, jobs: Jobs
) -> None:
    moments = [tube.due_at]
    job = jobs.new_delayed(105.0)
    tube.delayed.add(job)
    moments.append(tube.due_at)
    tube.paused_until = 103.0
    moments.append(tube.due_at)
    tube.paused_until = 107.0
    moments.append(tube.due_at)
    tube.delayed.remove(job)
    jobs.delete(job)
    moments.append(tube.due_at)
    assert moments == [inf, 105.0, 103.0, 105.0, 107.0]


def test_a_paused_tube_serves_no_job(tube: Tube, jobs: Jobs) -> None:
    found = [tube.best_key]
    job = jobs.new()
    tube.ready.add(job)
    found.append(tube.best_key)
    tube.paused_until = 105.0
    found.append(tube.best_key)
    assert found == [None, key_of(job), None]


def test_the_longest_waiting_is_first_over_tubes_and_watch_sets(tube: Tube) -> None:
    assert (tube.waiting, tube.first_ticket) == (0, None)
    watch_sets = [WatchSet([tube]) for _ in range(3)]
    tube.watch_sets.update(dict.fromkeys(watch_sets))
    watch_sets[0].tickets.update({2: None, 5: None})
    watch_sets[2].tickets[3] = None
    tube.tickets[4] = None
    places: list[Tube | WatchSet[Tube]] = [tube, *watch_sets]
    order = []
    for waiting in (4, 3, 2, 1):
        assert tube.waiting == waiting
        ticket = tube.first_ticket
        assert ticket is not None
        order.append(ticket)
        for place in places:
            place.tickets.pop(ticket, None)
    assert order == [2, 3, 4, 5]
    assert (tube.waiting, tube.first_ticket) == (0, None)


# Room


def test_a_tube_without_a_limit_has_room_for_all(tube: Tube) -> None:
    tube.total_jobs = 10**6
    assert tube.fits(10**6)
    assert tube.admits(10**6)


def test_a_tube_that_only_holds_up_a_join_has_room_for_all(tube: Tube) -> None:
    limit(tube, 0).joins[1] = None
    tube.total_jobs = 10**6
    assert tube.fits(10**6)
    assert tube.admits(10**6)


def test_a_limited_tube_has_room_for_the_rest(tube: Tube) -> None:
    limit(tube, 5)
    tube.total_jobs, tube.cmd_delete = 7, 4
    assert [tube.fits(count) for count in (1, 2, 3)] == [True, True, False]
    assert [tube.admits(count) for count in (1, 2, 3)] == [True, True, False]


def test_a_put_is_not_admitted_before_one_that_waits(tube: Tube) -> None:
    limit(tube, 5).puts[1] = 6
    assert tube.fits(1)
    assert not tube.admits(1)


# Work


def test_a_tube_is_done_with_buried_jobs_alone(tube: Tube, jobs: Jobs) -> None:
    found = [tube.unfinished]
    tube.total_jobs = 1
    found.append(tube.unfinished)
    tube.buried[1] = jobs.new()
    found.append(tube.unfinished)
    occupancy = limit(tube, 1)
    found.append(tube.unfinished)
    occupancy.puts[1] = 1
    found.append(tube.unfinished)
    assert found == [False, True, False, False, True]


# Whether a put is simple


def wait_for_a_job(tube: Tube) -> None:
    tube.tickets[1] = None


def watch_with_others(tube: Tube) -> None:
    tube.watch_sets[WatchSet([tube])] = None


def wait_for_room(tube: Tube) -> None:
    limit(tube, 1)


def drain(tube: Tube) -> None:
    tube.draining = True


@pytest.mark.parametrize(
    "change", [wait_for_a_job, watch_with_others, wait_for_room, drain]
)
def test_a_tube_is_plain_while_nothing_is_in_the_way_of_a_put(
    tube: Tube, change: Callable[[Tube], None]
) -> None:
    found = [tube.is_plain]
    change(tube)
    tube.settle()
    found.append(tube.is_plain)
    tube.tickets.clear()
    tube.watch_sets.clear()
    tube.occupancy = None
    tube.draining = False
    tube.settle()
    found.append(tube.is_plain)
    assert found == [True, False, True]


def test_a_tube_that_is_made_while_draining_is_not_plain(jobs: Jobs) -> None:
    tube = Tube("t", jobs.by_id, draining=True)
    found = [tube.is_plain]
    tube.settle()
    assert [*found, tube.is_plain] == [False, False]


def test_delayed_and_ready_jobs_of_a_tube_are_the_engines(
    tube: Tube, jobs: Jobs
) -> None:
    job = jobs.new_delayed(105.0)
    tube.delayed.add(job)
    (taken,) = tube.delayed.take(105.0)
    taken._state = JobState.READY
    tube.ready.add(taken)
    assert tube.ready.pop() is job
