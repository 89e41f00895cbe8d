"""What it costs to wait, and what those who wait cost all others."""

from __future__ import annotations

from math import log2
from random import Random
from typing import TYPE_CHECKING

import pytest

from inproc_tubes.core import requests
from inproc_tubes.core.engine import Engine
from inproc_tubes.core.making import new_job
from tests.counting import CountedEngine, Holder, Touches, called, compared, names
from tests.interpreted import interpreted

if TYPE_CHECKING:
    from collections.abc import Callable

SMALL = 1_000
LARGE = 20_000
TIMES = 200
"""How often a verb is repeated: often enough for what is swept now and then."""

Counts = list[int]  # of comparisons, one for each time


def requests_of(counted: CountedEngine, n: int) -> list[requests.ReserveRequest]:
    """Return requests with different timeouts."""
    chance = Random(7)  # noqa: S311 - the same each time is the point
    timeouts = chance.sample(range(1, 2**31), n // 10 + TIMES)
    return [requests.ReserveRequest(counted.consumer, timeout) for timeout in timeouts]


def waiting_with_a_timeout(n: int) -> Counts:
    counted = CountedEngine()
    counts = [compared(counted.wait, one) for one in requests_of(counted, n)]
    return counts[-TIMES:]


def waiting_no_longer(n: int) -> Counts:
    counted = CountedEngine()
    pending = requests_of(counted, n)
    for request in pending:
        counted.wait(request)
    withdraw = counted.engine.dispatch.withdraw
    return [compared(withdraw, counted.now, one) for one in pending[:TIMES]]


@pytest.mark.parametrize("verb", [waiting_with_a_timeout, waiting_no_longer])
def test_to_wait_compares_no_more_than_a_heap_does(
    verb: Callable[[int], Counts],
) -> None:
    for n in SMALL, LARGE:
        # Pairs compare twice: whether they are equal, and which is less.
        assert max(verb(n)) <= 4 * log2(n) + 12


@interpreted
def test_a_reserve_that_begins_to_wait_touches_tubes_only_the_first_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    touches = Touches(monkeypatch)
    counted = CountedEngine(int, float)
    counted.do("watch", names(1_000))

    def wait() -> None:
        counted.wait(requests.ReserveRequest(counted.consumer, None))

    assert 1_001 == touches.count(wait)["Tube"]
    assert {"Session": 1, "WatchSet": 1, "ReserveRequest": 1} == touches.count(wait)


class Pending:
    """An engine in which reserves wait, each of a session that watches these tubes."""

    def __init__(self, *watched: list[str]) -> None:
        self._engine = Engine()
        self._producer = self._engine.open_session(100, "tube-0", ())
        self._job = new_job("body", 0, 0, 60)
        for tubes in watched:
            session = self._engine.open_session(100, None, tubes)
            session.holder = Holder(self._engine.jobs)  # type: ignore[assignment]  # see there
            request = requests.ReserveRequest(session, None)
            self._engine.wait_to_reserve(100, request)

    def put(self) -> None:
        """Put a job, which is for the consumer that came first."""
        self._engine.put(100, self._producer, self._job, None)


ARRANGEMENTS: dict[str, Callable[[int], Pending]] = {
    "each in a tube of its own": lambda n: Pending(*([name] for name in names(n))),
    "all in one tube": lambda n: Pending(*[["tube-0"]] * n),
    "all in the same tubes": lambda n: Pending(*[names(20)] * n),
    "one in all tubes": lambda n: Pending(names(n)),
}
in_every_arrangement = pytest.mark.parametrize(
    "arrange", ARRANGEMENTS.values(), ids=ARRANGEMENTS
)


@interpreted
@in_every_arrangement
def test_a_put_touches_no_request_but_the_one_that_is_answered(
    arrange: Callable[[int], Pending], monkeypatch: pytest.MonkeyPatch
) -> None:
    touches = Touches(monkeypatch)
    touched = [touches.count(arrange(n).put) for n in (2, 1_000)]
    for counts in touched:
        assert counts.pop("WatchSet", 0) <= 1  # which the tube is in
    # The session that puts, and the one that is served.
    served = {"Session": 2, "ReserveRequest": 1, "Job": 1, "Tube": 1}
    assert [served] * 2 == touched


@in_every_arrangement
def test_a_put_calls_nothing_for_requests_that_it_does_not_answer(
    arrange: Callable[[int], Pending],
) -> None:
    few, many = [called(arrange(n).put) for n in (2, 1_000)]
    assert few == many
