"""How cost grows: the figures that are drawn."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING

from . import threads
from .scenarios_scale import CYCLES, SPREAD, Backlog, PriorityBacklog
from .scenarios_threads import waiting
from .scenarios_tubes import watching

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from .measuring import Effort

    Sides = dict[str, Callable[[], float]]  # one line each

ROUNDS = 3  # of which the median counts


@dataclass
class Chart:
    """Lines over a common axis: {name: [(x, y), ...]}.

    Attributes:
        largest: How far the axis goes, in steps of ten, or of two for threads.
        sides: Returns what measures each line at a point of the axis.
    """

    name: str
    title: str
    x: str
    y: str
    largest: int
    sides: Callable[[Effort, int], AbstractContextManager[Sides]]
    base: int = 10
    lines: dict[str, list[tuple[int, float]]] = field(default_factory=dict)

    @property
    def axis(self) -> list[int]:
        """The places that are measured."""
        places = [1]
        while places[-1] < self.largest:
            places.append(places[-1] * self.base)
        return places

    def measure(self, effort: Effort, tick: Callable[[], None]) -> None:
        """Measure the median of each line at each place, the lines in turns."""
        for place in self.axis:
            if place <= effort.largest:
                with self.sides(effort, place) as sides:
                    gc.collect()
                    self._measure(place, sides)
            tick()

    def _measure(self, place: int, sides: Sides) -> None:
        figures: dict[str, list[float]] = {name: [] for name in sides}
        for _ in range(ROUNDS):
            for name, side in sides.items():
                figures[name].append(side())
        for name in sides:
            self.lines.setdefault(name, []).append((place, median(figures[name])))


@contextmanager
def of_jobs(effort: Effort, jobs: int) -> Iterator[Sides]:
    """One cycle on a backlog of so many jobs."""
    count = effort.count(CYCLES)
    yield {
        "tubes, one priority": _micro(Backlog(jobs, 1, count).cycle),
        "tubes, random priorities": _micro(Backlog(jobs, SPREAD, count).cycle),
        "PriorityQueue, random priorities": _micro(
            PriorityBacklog(jobs, SPREAD, count).cycle
        ),
    }


@contextmanager
def of_tubes(effort: Effort, tubes: int) -> Iterator[Sides]:
    """One reserve of a consumer that watches so many tubes."""
    count = effort.count(500)
    yield {
        "one tube with jobs": _micro(watching(tubes, 1, count)),
        "all tubes with jobs": _micro(watching(tubes, tubes, max(count, tubes))),
    }


@contextmanager
def of_waiters(effort: Effort, waiters: int) -> Iterator[Sides]:
    """One put while so many threads wait, each on its tube."""
    count = effort.count(1_000)
    with waiting(waiters) as threads_there:
        yield {"put to one of them": _micro(lambda: threads_there.put(count))}


@contextmanager
def of_threads(effort: Effort, pairs: int) -> Iterator[Sides]:
    """Jobs in a second through so many threads that put, and as many that take."""
    jobs = pairs * effort.count(40_000 // pairs)
    yield {
        "tubes": lambda: jobs / threads.tubes(pairs, pairs, jobs),
        "PriorityQueue": lambda: jobs / threads.priority_queue(pairs, pairs, jobs),
        "queue.Queue": lambda: jobs / threads.fifo_queue(pairs, pairs, jobs),
    }


def charts() -> list[Chart]:
    """Return all charts, without figures yet."""
    micro = "µs"
    return [
        Chart(
            name="jobs",
            title="reserve + delete + put",
            x="ready jobs",
            y=micro,
            largest=1_000_000,
            sides=of_jobs,
        ),
        Chart(
            name="tubes",
            title="reserve",
            x="tubes watched",
            y=micro,
            largest=10_000,
            sides=of_tubes,
        ),
        Chart(
            name="waiters",
            title="put to a consumer that waits",
            x="consumers waiting",
            y=micro,
            largest=1_000,
            sides=of_waiters,
        ),
        Chart(
            name="threads",
            title="throughput",
            x="producers, and as many consumers",
            y="jobs in a second",
            largest=16,
            sides=of_threads,
            base=2,
        ),
    ]


def _micro(side: Callable[[], float]) -> Callable[[], float]:
    return lambda: side() * 1e6
