"""A clock that lets something happen in the middle of a turn."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import ref

from inproc_tubes.monitor import Monitor
from inproc_tubes.testing import FakeClock

if TYPE_CHECKING:
    from collections.abc import Callable

    from inproc_tubes import Broker, Consumer
    from inproc_tubes.clock import Parked, Timed


class MeddlingClock(FakeClock):
    """Calls ``meddle``, once, the next time that a turn reads the clock.

    And ``meddle_in_park`` each time that a thread parks. The collector, a signal handler
    or a profiler's hook might do the same at any such point.

    Attributes:
        was_in_turn: Whether ``meddle`` was called in the middle of a turn.
    """

    def __init__(self) -> None:
        self.meddle: Callable[[], object] | None = None
        self.meddle_in_park: Callable[[], object] = lambda: None
        self.was_in_turn = False
        self._monitor: Callable[[], Monitor | None] = lambda: None
        super().__init__()

    def attach(self, timed: Timed) -> None:
        assert isinstance(timed, Monitor)
        self._monitor = ref(timed)
        super().attach(timed)

    def park(self, sleeper: Parked, until: float) -> None:
        self.meddle_in_park()
        super().park(sleeper, until)

    def now(self) -> float:
        meddle, self.meddle = self.meddle, None
        if meddle is not None:
            monitor = self._monitor()
            assert monitor is not None  # a broker is in a turn
            self.was_in_turn = monitor.is_in_turn()
            del monitor
            meddle()
        return super().now()


def held(broker: Broker, *bodies: str, ttr: float = 60) -> Consumer:
    """Return a consumer that holds these jobs, of which nobody has the handles."""
    consumer = broker.consumer()
    for body in bodies:
        broker.producer().put(body, ttr=ttr)
        consumer.reserve()
    return consumer


def state(broker: Broker, job_id: int = 1) -> str:
    return broker.stats_job(job_id).state
