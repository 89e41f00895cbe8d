"""What it costs when many jobs change their state in one turn."""

from __future__ import annotations

from math import log2
from typing import TYPE_CHECKING

import pytest

from inproc_tubes.core.job import JobState
from inproc_tubes.core.requests import JoinRequest, PutRequest, ReserveRequest
from tests.counting import CountedEngine, called, compared
from tests.interpreted import interpreted

if TYPE_CHECKING:
    from collections.abc import Callable

SMALL = 1_000
LARGE = 20_000


@pytest.mark.parametrize("n", [SMALL, LARGE // 2])
@pytest.mark.parametrize("delays", [[9], [3, 1, 2]])
def test_jobs_that_mature_together_compare_no_more_than_in_a_heap(
    n: int, delays: list[float]
) -> None:
    counted = CountedEngine()
    for delay in delays:
        counted.fill(n // len(delays), delay=delay)
    assert compared(counted.to, 109) <= 4 * log2(n) * n
    assert not len(counted.engine.tubes["default"].delayed)


@pytest.mark.parametrize("n", [SMALL, LARGE // 2])
@pytest.mark.parametrize("ttrs", [[9], [3, 1, 2]])
def test_reservations_that_end_together_compare_no_more_than_in_a_heap(
    n: int, ttrs: list[float]
) -> None:
    counted = CountedEngine()
    for ttr in ttrs:
        counted.fill(n // len(ttrs), ttr=ttr)
    counted.reserve_all(n)
    assert compared(counted.to, 109) <= 4 * log2(n) * n
    assert not len(counted.consumer.held)


@pytest.mark.parametrize("state", ["delayed", "reserved"])
def test_a_job_that_is_due_costs_nothing_to_those_that_are_not(state: str) -> None:
    counts = []
    for n in SMALL, LARGE:
        counted = CountedEngine()
        counted.fill(n)
        counted.reserve_all(n // 2)
        counted.fill(n, delay=1000)
        counted.put(priority=0, delay=9, ttr=9)
        if state == "reserved":
            counted.to(109)
            counted.reserve()
        counted.consumer.held.soonest()
        counts.append(compared(counted.to, 118))
    assert counts[1] <= counts[0] + 8 * log2(LARGE / SMALL)


def plain() -> CountedEngine:
    """Return an engine of which no call is a comparison."""
    return CountedEngine(int, float)


def buried(n: int) -> CountedEngine:
    """Return one with so many buried jobs."""
    counted = plain()
    counted.fill(n)
    for job in counted.reserve_all(n):
        counted.do("bury", job._id, job, None)
    return counted


def putting(n: int) -> Callable[[], object]:
    """Prepare so many jobs for being put as a batch."""
    counted = plain()
    return lambda: counted.fill(n)


def reserving(n: int) -> Callable[[], object]:
    """Prepare so many jobs for being reserved as a batch."""
    counted = plain()
    counted.fill(n)
    return lambda: counted.reserve_all(n)


def maturing(n: int) -> Callable[[], object]:
    """Prepare so many jobs for becoming ready in one moment."""
    counted = plain()
    counted.fill(n, delay=9)
    return lambda: counted.to(109)


def maturing_where_reserves_wait(n: int) -> Callable[[], object]:
    """Prepare so many delayed jobs, and a reserve for each of them."""
    counted = plain()
    counted.fill(n, delay=9)
    for _ in range(n):
        counted.wait(ReserveRequest(counted.consumer, None))
    return lambda: counted.to(109)


def expiring(n: int) -> Callable[[], object]:
    """Prepare the end of so many reservations in one moment."""
    counted = plain()
    counted.fill(n, ttr=9)
    counted.reserve_all(n)
    return lambda: counted.to(109)


def closing(n: int) -> Callable[[], object]:
    """Prepare the end of a consumer that holds so many jobs."""
    counted = plain()
    counted.fill(n)
    counted.reserve_all(n)
    return lambda: counted.do("close_session", "closed")


def abandoning(n: int) -> Callable[[], object]:
    """Prepare the end of a consumer whose user still has so many jobs."""
    counted = plain()
    counted.fill(n)
    jobs = counted.reserve_all(n)
    return lambda: (counted.do("abandon", "dropped"), len(jobs))


def kicking(n: int) -> Callable[[], object]:
    """Prepare so many buried jobs to be kicked."""
    counted = buried(n)
    return lambda: counted.engine.kick(counted.now, "default", n)


def clearing(n: int) -> Callable[[], object]:
    """Prepare a tube with so many buried jobs for being cleared."""
    counted = buried(n)
    states = (JobState.BURIED,)
    return lambda: counted.engine.interventions.clear_tube(
        counted.now, "default", states
    )


def ending_a_pause(n: int) -> Callable[[], object]:
    """Prepare so many jobs to be handed to as many reserves that wait."""
    counted = plain()
    counted.engine.pause_tube(counted.now, "default", 9)
    for _ in range(n):
        counted.wait(ReserveRequest(counted.consumer, None))
    counted.fill(n)
    return lambda: counted.to(109)


def timing_out(n: int) -> Callable[[], object]:
    """Prepare the end of so many timeouts in one moment."""
    counted = plain()
    for _ in range(n):
        counted.wait(ReserveRequest(counted.consumer, 9))
    return lambda: counted.to(109)


def letting_in(n: int) -> Callable[[], object]:
    """Prepare so many puts that wait for room to be let in by one verb."""
    counted = plain()
    counted.engine.limit_tube(counted.now, "default", 1)
    counted.put()
    for _ in range(n):
        request = PutRequest(counted.producer, None, [counted.job()])
        counted.engine.wait_to_put(counted.now, request)
    return lambda: counted.engine.limit_tube(counted.now, "default", 0)


def joining(n: int) -> Callable[[], object]:
    """Prepare so many joins to be ended by one verb."""
    counted = plain()
    job_id = counted.put()
    for _ in range(n):
        counted.engine.join(counted.now, JoinRequest(None, ["default"]))
    return lambda: counted.do("delete", job_id, None)


@pytest.mark.parametrize(
    "prepare",
    [
        abandoning,
        clearing,
        closing,
        ending_a_pause,
        expiring,
        joining,
        kicking,
        letting_in,
        maturing,
        maturing_where_reserves_wait,
        putting,
        reserving,
        timing_out,
    ],
)
def test_what_is_done_to_many_at_once_is_done_once_for_each(
    prepare: Callable[[int], Callable[[], object]],
) -> None:
    few, many = [called(prepare(n)).total() for n in (100, 1_000)]
    assert many <= 10 * few


@interpreted
@pytest.mark.parametrize("prepare", [expiring, closing, ending_a_pause])
def test_each_of_many_jobs_is_moved_by_more_than_one_call(
    prepare: Callable[[int], Callable[[], object]],
) -> None:
    """Else the test above would count something else."""
    assert called(prepare(100)).total() >= 3 * 100
