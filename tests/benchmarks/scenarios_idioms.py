"""Every idiom in which one puts, takes and acknowledges, beside the standard library."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import coroutines, cycles
from .measuring import Sides, at_most, scenario
from .scenarios_scale import CYCLES, SMALL, SPREAD, Backlog, PriorityBacklog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .measuring import Effort

BACKLOG = 100_000
COUNT = 20_000

WHAT = {
    "cycle": "put, reserve, job.delete()",
    "delete-job": "put, reserve, consumer.delete(job)",
    "delete-id": "put, reserve, consumer.delete(job.id)",
    "with": "put, with consumer.reserve() as job",
    "for": "put, for job in consumer: job.delete()",
}


def _idiom(idiom: str, bound: float, backlog: int = 0) -> None:
    """Add a row: an idiom, maybe on a backlog of one priority on both sides."""
    what, peer = WHAT[idiom], "queue.PriorityQueue"
    if backlog:
        what, peer = f"{what}, {backlog:,} ready", f"{peer}, as many"

    @scenario(
        f"backlog-{idiom}" if backlog else idiom,
        what,
        peer,
        at_most(bound),
        group="idioms",
    )
    def sides(effort: Effort) -> Iterator[Sides]:
        count = effort.count(COUNT)
        ours = cycles.Tubes(effort.size(backlog))
        theirs = cycles.PriorityQueues(effort.size(backlog))
        yield Sides(
            lambda: ours.time(idiom, count) / count, lambda: theirs.time(count) / count
        )


_idiom("cycle", 1.05)
_idiom("delete-job", 1.1)
_idiom("delete-id", 1.15)
_idiom("with", 1.15)
_idiom("for", 1.1)
for _name in cycles.IDIOMS:
    _idiom(_name, 1.15, BACKLOG)


def _priorities(name: str, what: str, spread: int) -> None:
    """Add a row: the shortest idiom, on a small backlog of many priorities."""

    @scenario(
        f"cycle-{name}",
        f"reserve, job.delete(), put, 1,000 ready, {what}",
        "queue.PriorityQueue, the same ones",
        at_most(1.6),
        group="idioms",
    )
    def sides(effort: Effort) -> Iterator[Sides]:
        count = effort.count(CYCLES)
        yield Sides(
            Backlog(effort.size(SMALL), spread, count).cycle,
            PriorityBacklog(effort.size(SMALL), spread, count).cycle,
        )


_priorities("1000-priorities", "1,000 priorities", 1_000)
_priorities("random-priorities", "random priorities", SPREAD)


def _coroutines(
    name: str,
    what: str,
    peer: str,
    bound: float,
    ours: Callable[[int], float],
    theirs: Callable[[int], float],
) -> None:
    @scenario(name, what, peer, at_most(bound), group="coroutines")
    def sides(effort: Effort) -> Iterator[Sides]:
        count = effort.count(COUNT)
        yield Sides(lambda: ours(count) / count, lambda: theirs(count) / count)


_coroutines(
    "aio-cycle",
    "await put, await reserve, job.delete()",
    "asyncio.PriorityQueue",
    3.2,
    coroutines.cycle_of_tubes,
    coroutines.cycle_of_priority_queue,
)
_coroutines(
    "aio-ping-pong",
    "hand-off there and back, two coroutines",
    "asyncio.Queue",
    3,
    coroutines.ping_pong_of_tubes,
    coroutines.ping_pong_of_queues,
)
