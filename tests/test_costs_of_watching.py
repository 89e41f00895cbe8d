"""What a reserve costs a consumer that watches many tubes, and a put into one of them."""

from __future__ import annotations

from math import log2
from random import Random

import pytest

from inproc_tubes import Broker, Consumer, TimedOutError
from inproc_tubes.testing import FakeClock
from tests.counting import CountedEngine, Touches, called, compared, names
from tests.interpreted import interpreted

FEW = 10
MANY = 1_000
TIMES = 200
"""How often a verb is repeated: often enough for what is swept now and then."""

Counts = list[int]  # of comparisons, one for each time


def reserving_from_the_only_one_filled(n: int) -> Counts:
    counted = CountedEngine()
    counted.fill(TIMES + 1)
    counted.do("watch", names(n))
    counted.reserve()  # the first time it has to look at all of them
    return [compared(counted.reserve) for _ in range(TIMES)]


def reserving_where_all_are_filled(n: int) -> Counts:
    counted = CountedEngine()
    chance = Random(7)  # noqa: S311 - the same each time is the point
    for name in chance.choices(names(n), k=n + TIMES):
        counted.put(tube=name)
    counted.do("watch", names(n))
    counted.reserve()
    return [compared(counted.reserve) for _ in range(TIMES)]


def putting_into_one_of_many_watched_tubes(n: int) -> Counts:
    counted = CountedEngine()
    counted.do("watch", names(n))
    counted.reserve()
    return [compared(counted.put) for _ in range(TIMES)]


def test_a_reserve_does_not_compare_tubes_that_have_no_job() -> None:
    few, many = map(reserving_from_the_only_one_filled, (FEW, MANY))
    assert max(few) == max(many)


def test_a_reserve_compares_the_tubes_that_have_jobs_as_a_heap_does() -> None:
    for n in FEW, MANY:
        assert max(reserving_where_all_are_filled(n)) <= 8 * log2(n) + 24


def test_a_put_does_not_compare_tubes_that_are_watched_along_with_its_own() -> None:
    few, many = map(putting_into_one_of_many_watched_tubes, (FEW, MANY))
    assert max(few) == max(many)


def watching(n: int, *filled: str) -> tuple[Broker, Consumer]:
    """Let a consumer watch so many tubes; jobs are in some of them."""
    broker = Broker(clock=FakeClock())
    consumer = broker.consumer(*names(n))
    for name in filled:
        broker.producer(name).put_many(["body"] * 3)
    if filled:
        consumer.reserve()  # the first time it has to look at all of them
    return broker, consumer


@interpreted
def test_a_reserve_touches_no_tube_that_has_no_job(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    touches = Touches(monkeypatch)
    for n in FEW, MANY:
        _broker, consumer = watching(n, "tube-7")
        touched = touches.count(consumer.reserve)
        assert {"Session": 1, "WatchSet": 1, "Tube": 1, "Job": 1} == touched


def test_a_reserve_calls_nothing_for_a_tube_that_has_no_job() -> None:
    few, many = [called(watching(n, "tube-7")[1].reserve) for n in (FEW, MANY)]
    assert few == many


@interpreted
def test_a_reserve_looks_at_a_few_of_the_tubes_that_have_jobs() -> None:
    _broker, consumer = watching(MANY, *names(MANY))
    looks = [called(consumer.reserve)["Tube.best_key"] for _ in range(2_000)]
    assert 1 <= max(looks) <= 3


@interpreted
def test_a_reserve_that_finds_nothing_touches_no_tube(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    touches = Touches(monkeypatch)
    _broker, consumer = watching(MANY)

    def reserve() -> None:
        with pytest.raises(TimedOutError):
            consumer.reserve(timeout=0)

    reserve()
    touched = touches.count(reserve)
    assert {"Session": 1, "WatchSet": 1, "ReserveRequest": 1} == touched


@interpreted
def test_a_second_consumer_of_the_same_tubes_shares_the_watch_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    touches = Touches(monkeypatch)
    broker, _first = watching(MANY, "tube-7")
    second = broker.consumer(*names(MANY))
    second.reserve()
    assert 1 == touches.count(second.reserve)["Tube"]
