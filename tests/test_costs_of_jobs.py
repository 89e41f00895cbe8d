"""How often the verbs of jobs compare what jobs are sorted by.

Each is carried out on a small and on a large backlog. What may not grow at all is the
same on both. What may grow is held to a few times the logarithm, of which to go through
the large backlog would be a thousand times as much.
"""

from __future__ import annotations

from math import log2
from random import Random
from typing import TYPE_CHECKING

import pytest

from tests.counting import CountedEngine, Moment, compared

if TYPE_CHECKING:
    from collections.abc import Callable

    from inproc_tubes.core.record import AnyJob

SMALL = 1_000
LARGE = 20_000
TIMES = 200
"""How often a verb is repeated: often enough for what is swept now and then."""

Counts = list[int]  # of comparisons, one for each time


def dice() -> Random:
    return Random(7)  # noqa: S311 - the same each time is the point


# Putting


def putting(n: int) -> Counts:
    counted = CountedEngine()
    counted.fill(n)
    return [compared(counted.put) for _ in range(TIMES)]


def putting_where_a_put_has_interrupted_a_turn(n: int) -> Counts:
    """Put jobs that got their ids in the middle of other turns, in their order."""
    counted = CountedEngine()
    counted.fill(n)
    jobs: list[AnyJob] = [counted.job() for _ in range(TIMES)]
    counted.engine.store.number(jobs)
    put = counted.engine.put_numbered
    return [compared(put, counted.now, counted.producer, [j], None) for j in jobs]


def putting_after_younger_jobs(n: int) -> Counts:
    """Put such jobs the other way round: there are younger ones each time."""
    counted = CountedEngine()
    jobs: list[AnyJob] = [counted.job() for _ in range(TIMES)]
    counted.engine.store.number(jobs)
    counted.fill(n)
    put = counted.engine.put_numbered
    jobs.reverse()
    return [compared(put, counted.now, counted.producer, [j], None) for j in jobs]


def putting_with_a_known_priority(n: int) -> Counts:
    counted = CountedEngine()
    for priority in range(100):
        counted.put(priority)
    counted.fill(n)
    priorities = dice().choices(range(100), k=TIMES)
    return [compared(counted.put, p) for p in priorities]


def putting_with_a_new_priority(n: int) -> Counts:
    counted = CountedEngine()
    priorities = dice().sample(range(2**32), n // 10 + TIMES)
    for priority in priorities[TIMES:]:
        counted.put(priority)
    return [compared(counted.put, p) for p in priorities[:TIMES]]


def putting_with_a_delay(n: int) -> Counts:
    counted = CountedEngine()
    counted.fill(n, delay=1)
    delays = dice().sample(range(2, 2**32), n // 10 + TIMES)
    for delay in delays[TIMES:]:
        counted.put(delay=delay)
    return [compared(counted.put, delay=d) for d in delays[:TIMES]]


def putting_with_ever_shorter_delays(n: int) -> Counts:
    counted = CountedEngine()
    counted.fill(n, delay=2**30)
    delays = range(TIMES, 0, -1)
    return [compared(counted.put, delay=d) for d in delays]


# Reserving


def reserving(n: int) -> Counts:
    counted = CountedEngine()
    counted.fill(n)
    return [compared(counted.reserve) for _ in range(TIMES)]


def reserving_by_ever_worse_priority(n: int) -> Counts:
    counted = CountedEngine()
    for priority in dice().sample(range(2**32), n // 10 + TIMES):
        counted.put(priority)
    return [compared(counted.reserve) for _ in range(TIMES)]


def reserving_by_id(n: int) -> Counts:
    counted = CountedEngine()
    ids = dice().sample(counted.fill(n), TIMES)
    return [compared(counted.do, "reserve_job", i) for i in ids]


# Settling


def deleting(n: int) -> Counts:
    counted = CountedEngine()
    counted.fill(n)
    held = dice().sample(counted.reserve_all(n), TIMES)
    delete_held = counted.engine.delete_held
    return [compared(delete_held, counted.consumer, job._id, job) for job in held]


def deleting_after_looking_for_the_soonest(n: int) -> Counts:
    counted = CountedEngine()
    counted.fill(n)
    held = dice().sample(counted.reserve_all(n), TIMES)
    counted.consumer.held.soonest()  # `delete_held` does not delete these
    return [compared(counted.do, "delete", job._id, job) for job in held]


def deleting_ready_ones(n: int) -> Counts:
    counted = CountedEngine()
    ids = dice().sample(counted.fill(n), n // 2 + TIMES)
    return [compared(counted.do, "delete", i, None) for i in ids]


def deleting_delayed_ones(n: int) -> Counts:
    counted = CountedEngine()
    ids = dice().sample(counted.fill(n, delay=9), n // 2 + TIMES)
    return [compared(counted.do, "delete", i, None) for i in ids]


def releasing(n: int) -> Counts:
    """Release the oldest last, each of which comes before all others."""
    counted = CountedEngine()
    counted.fill(n)
    held = reversed(counted.reserve_all(TIMES))
    return [compared(counted.do, "release", j._id, None, None, 0) for j in held]


def releasing_with_a_delay(n: int) -> Counts:
    counted = CountedEngine()
    counted.fill(TIMES)
    held = counted.reserve_all(TIMES)
    counted.fill(n, delay=9)
    return [compared(counted.do, "release", j._id, None, None, 1) for j in held]


def burying(n: int) -> Counts:
    counted = CountedEngine()
    counted.fill(n)
    held = dice().sample(counted.reserve_all(n), TIMES)
    return [compared(counted.do, "bury", j._id, None, None) for j in held]


def kicking(n: int) -> Counts:
    counted = CountedEngine()
    counted.fill(n + TIMES)
    for job in counted.reserve_all(TIMES):
        counted.do("bury", job._id, None, None)
    kick = counted.engine.kick
    return [compared(kick, counted.now, "default", 1) for _ in range(TIMES)]


def kicking_delayed_ones(n: int) -> Counts:
    counted = CountedEngine()
    counted.fill(n, delay=9)
    kick = counted.engine.kick
    return [compared(kick, counted.now, "default", 1) for _ in range(TIMES)]


def touching(n: int) -> Counts:
    counted = CountedEngine()
    counted.fill(n)
    held = dice().sample(counted.reserve_all(n), TIMES)
    counted.consumer.held.soonest()  # they are in order
    return [compared(counted.do, "touch", j._id, None) for j in held]


def touching_over_and_over(n: int) -> Counts:
    counted = CountedEngine()
    counted.fill(n // 10)
    held = counted.reserve_all(n // 10)
    counted.consumer.held.soonest()
    counts = []
    for moment in range(3):
        counted.now = Moment(101 + moment)
        counts += [compared(counted.do, "touch", job._id, None) for job in held]
    return counts


# Looking for the job that expires first


def looking_for_the_soonest(n: int) -> Counts:
    counted = CountedEngine()
    counted.fill(n)
    held = counted.reserve_all(n)
    counted.consumer.held.soonest()
    counts = []
    for job in held[:TIMES]:
        counted.do("delete", job._id, job)
        counts.append(compared(counted.consumer.held.soonest))
    return counts


def looking_for_the_soonest_time_and_again(n: int) -> Counts:
    counted = CountedEngine()
    counted.fill(n + TIMES)
    counted.reserve_all(n)
    counts = []
    for _ in range(TIMES):
        counted.reserve()
        counts.append(compared(counted.consumer.held.soonest))
    return counts[1:]


@pytest.mark.parametrize(
    "verb",
    [
        putting,
        putting_where_a_put_has_interrupted_a_turn,
        deleting,
        deleting_after_looking_for_the_soonest,
        burying,
    ],
)
def test_a_verb_compares_as_little_on_a_large_backlog_as_on_a_small(
    verb: Callable[[int], Counts],
) -> None:
    small, large = verb(SMALL), verb(LARGE)
    assert max(small) == max(large)
    assert max(large) <= 6


@pytest.mark.parametrize(
    "verb",
    [
        deleting_ready_ones,
        deleting_delayed_ones,
        putting_with_a_delay,
        reserving_by_id,
        touching_over_and_over,
    ],
)
def test_a_verb_compares_as_little_on_average(verb: Callable[[int], Counts]) -> None:
    for n in SMALL, LARGE:
        counts = verb(n)
        assert sum(counts) <= 12 * len(counts)


@pytest.mark.parametrize(
    "verb",
    [
        putting_after_younger_jobs,
        putting_with_a_known_priority,
        putting_with_a_new_priority,
        putting_with_ever_shorter_delays,
        reserving,
        reserving_by_ever_worse_priority,
        releasing,
        releasing_with_a_delay,
        kicking,
        kicking_delayed_ones,
        touching,
        looking_for_the_soonest,
        looking_for_the_soonest_time_and_again,
    ],
)
def test_a_verb_compares_no_more_than_a_heap_does(
    verb: Callable[[int], Counts],
) -> None:
    for n in SMALL, LARGE:
        # Pairs compare twice: whether they are equal, and which is less.
        assert max(verb(n)) <= 4 * log2(n) + 12
