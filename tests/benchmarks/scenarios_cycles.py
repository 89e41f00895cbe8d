"""One thread puts, takes and acknowledges: ours, in its shortest idiom, and each peer.

The other idioms are in `scenarios_idioms`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import cycles, peers, wire
from .measuring import Sides, Target, faster, scenario

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .measuring import Effort

WHAT = "put + reserve + delete"


def _beside(
    name: str,
    theirs: Callable[[int], float],
    peer: str,
    target: Target | None = None,
    needs: tuple[str, ...] = (),
    slower: int = 1,
) -> None:
    """Add a row; a peer that is so many times slower goes through fewer cycles."""

    @scenario(name, WHAT, peer, target, group="cycles", needs=needs)
    def cycle(effort: Effort) -> Iterator[Sides]:
        count = effort.count(20_000)
        fewer = effort.count(20_000 // slower)
        yield Sides(
            ours=lambda: cycles.tubes(count) / count,
            peer=lambda: theirs(fewer) / fewer,
        )


_beside("cycle-queue", cycles.fifo_queue, "queue.Queue")
_beside("cycle-simplequeue", cycles.simple_queue, "queue.SimpleQueue (C)")
_beside(
    "cycle-culsans",
    peers.culsans,
    "culsans PriorityQueue",
    faster(1),
    needs=("culsans",),
)
_beside(
    "cycle-kombu",
    peers.kombu,
    "kombu memory",
    faster(1),
    needs=("kombu",),
    slower=10,
)
_beside(
    "cycle-dramatiq",
    peers.dramatiq,
    "dramatiq StubBroker",
    faster(1),
    needs=("dramatiq",),
    slower=10,
)
_beside("cycle-huey", peers.huey, "huey MemoryHuey", needs=("huey",), slower=10)
_beside("cycle-huey-storage", peers.huey_storage, "huey MemoryStorage", needs=("huey",))
_beside(
    "cycle-persist-queue",
    peers.persist_queue,
    "persist-queue, SQLite in memory",
    needs=("persistqueue",),
    slower=20,
)


@scenario(
    "cycle-beanstalkd",
    WHAT,
    "greenstalk on beanstalkd",
    faster(50),
    group="cycles",
    needs=("greenstalk", "!beanstalkd"),
)
def beanstalkd(effort: Effort) -> Iterator[Sides]:
    count = effort.count(20_000)
    fewer = effort.count(1_000)
    with wire.beanstalkd() as address:
        yield Sides(
            ours=lambda: cycles.tubes(count) / count,
            peer=lambda: wire.greenstalk(address, fewer) / fewer,
        )


@scenario(
    "greenstalk",
    "greenstalk on the in-memory connection",
    "greenstalk on beanstalkd",
    faster(3),
    group="cycles",
    needs=("greenstalk", "!beanstalkd"),
)
def greenstalk(effort: Effort) -> Iterator[Sides]:
    count = effort.count(1_000)
    with wire.beanstalkd() as address, wire.in_memory() as ours:
        yield Sides(
            ours=lambda: wire.greenstalk(ours, count) / count,
            peer=lambda: wire.greenstalk(address, count) / count,
        )
