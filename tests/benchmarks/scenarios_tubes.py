"""Many tubes: what reserve costs a consumer that watches them all."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING

from inproc_tubes import Broker

from .measuring import BODY, Sides, at_most, dice, scenario

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .measuring import Effort

TUBES = 10_000


def watching(tubes: int, filled: int, count: int) -> Callable[[], float]:
    """Return what measures one reserve of a consumer that watches so many tubes.

    Args:
        tubes: How many it watches.
        filled: How many of them have jobs; ready jobs are as many as ``count``.
        count: How many jobs are reserved in one go.
    """
    broker = Broker()
    producer = broker.producer()
    names = [f"tube-{number}" for number in range(tubes)]
    consumer = broker.consumer(*names)
    # From the middle of those watched, so that no end of the list is favoured.
    first = (tubes - filled) // 2
    chance = dice()

    def fill() -> None:
        for number in range(count):
            tube = names[first + number % filled]
            producer.put(BODY, chance.randrange(1_000), tube=tube)

    def reserve() -> float:
        fill()
        jobs = []
        start = perf_counter()
        for _ in range(count):
            jobs.append(consumer.reserve(timeout=0))  # noqa: PERF401 - measured
        seconds = perf_counter() - start
        for job in jobs:
            job.delete()
        return seconds / count

    return reserve


@scenario(
    "tubes-one-filled",
    "reserve from 10,000 tubes, one with jobs",
    "watching one tube",
    at_most(3),
    group="tubes",
)
def one_filled(effort: Effort) -> Iterator[Sides]:
    tubes = effort.size(TUBES)
    yield Sides(
        watching(tubes, 1, effort.count(500)), watching(1, 1, effort.count(10_000))
    )


@scenario(
    "tubes-all-filled",
    "reserve from 10,000 tubes, all with jobs",
    "watching one tube",
    at_most(10),
    group="tubes",
    pairs=5,
)
def all_filled(effort: Effort) -> Iterator[Sides]:
    tubes = effort.size(TUBES)
    yield Sides(watching(tubes, tubes, tubes), watching(1, 1, effort.count(10_000)))
