"""What tests of event loops share: a clock, and coroutines that no task runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from inproc_tubes.waiting.coroutines import LoopSleepers
from tests.meddling import MeddlingClock

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Coroutine

    from inproc_tubes import Broker


class FlowingClock(MeddlingClock):
    """Is moved by hand, and has loops set their timers as if it flowed."""

    def seconds_until(self, moment: float) -> float:
        return moment - super().now()


def in_loops(broker: Broker) -> list[LoopSleepers]:
    """Return the sleepers of each loop that something waits in."""
    ways = broker._monitor.ways
    return [way for way in ways if isinstance(way, LoopSleepers) and way._asleep]


def begin(
    loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, Any]
) -> Coroutine[Any, Any, Any]:
    """Run a coroutine, without a task, in a loop as far as it waits."""

    async def run() -> None:
        coroutine.send(None)

    loop.run_until_complete(run())
    return coroutine
