"""A clock moves the wall clock along that time-machine or freezegun has set."""

from __future__ import annotations

import datetime as dt
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import freezegun
import pytest
import time_machine

from inproc_tubes import Broker, TimedOutError
from inproc_tubes.testing import FakeClock
from tests.autojump.shared import run_in

if TYPE_CHECKING:
    from collections.abc import Iterator

NEW_YEAR = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)


@contextmanager
def travel() -> Iterator[Any]:
    with time_machine.travel(NEW_YEAR, tick=False) as traveller:
        yield traveller


@contextmanager
def freeze() -> Iterator[Any]:
    with freezegun.freeze_time(NEW_YEAR) as freezer:
        yield freezer


@pytest.fixture(params=[travel, freeze])
def wall(request: pytest.FixtureRequest) -> Iterator[Any]:
    with request.param() as wall:
        yield wall


def now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def test_two_times_are_one(wall: Any) -> None:
    clock = FakeClock(wall=wall)
    assert NEW_YEAR == now() == dt.datetime.fromtimestamp(clock.now(), dt.UTC)
    broker: Broker[str] = Broker(clock=clock)
    broker.producer().put("tea", delay=60)
    clock.advance(59.5)
    assert NEW_YEAR + dt.timedelta(seconds=59.5) == now()
    clock.advance_to_next()
    assert NEW_YEAR + dt.timedelta(seconds=60) == now()
    assert now().timestamp() == clock.now()
    assert "tea" == broker.consumer().reserve(timeout=0).body


def test_a_jump_moves_the_wall_too(wall: Any) -> None:
    clock = FakeClock(start=100, autojump=True, wall=wall)
    broker: Broker[str] = Broker(clock=clock)
    with pytest.raises(TimedOutError):
        broker.consumer().reserve(timeout=86_400)
    assert 86_500 == clock.now()
    assert NEW_YEAR + dt.timedelta(days=1) == now()


def test_it_is_moved_at_each_due_moment_on_the_way(wall: Any) -> None:
    """Whoever is called there, reads the time of that moment."""
    clock = FakeClock(wall=wall)
    broker: Broker[str] = Broker(clock=clock)
    broker.producer().put("tea", delay=10)
    seen = []
    look = broker._monitor.engine.catch_up

    def catch_up(moment: float) -> None:
        seen.append((now() - NEW_YEAR).total_seconds())
        look(moment)

    engine: Any = broker._monitor.engine

    class Watched:
        """The engine, watched."""

        def __getattr__(self, name: str) -> Any:
            return catch_up if name == "catch_up" else getattr(engine, name)

    broker._monitor.engine = Watched()  # type: ignore[assignment]  # as far as is needed
    clock.advance(60)
    assert 10 in seen


def test_rounding_errors_do_not_add_up(wall: Any) -> None:
    clock = FakeClock(start=0, wall=wall)  # where floats are finer than microseconds
    for _ in range(1000):
        clock.advance(0.0000016)
    clock.advance(0.9984)
    assert NEW_YEAR + dt.timedelta(seconds=1) == now()


def test_the_clock_follows_a_wall_that_was_moved_otherwise(wall: Any) -> None:
    clock = FakeClock(wall=wall)
    begun_at = clock.now()
    broker: Broker[str] = Broker(clock=clock)
    broker.producer().put("tea", delay=60)
    wall.move_to(NEW_YEAR + dt.timedelta(hours=1))
    assert begun_at == clock.now()
    assert 3600 == clock.follow_wall()
    assert begun_at + 3600 == clock.now() == now().timestamp()
    assert "tea" == broker.consumer().reserve(timeout=0).body
    assert 0 == clock.follow_wall()
    clock.advance(5)
    assert NEW_YEAR + dt.timedelta(seconds=3605) == now()


def test_time_never_runs_backwards(wall: Any) -> None:
    clock = FakeClock(wall=wall)
    wall.move_to(NEW_YEAR - dt.timedelta(seconds=1))
    with pytest.raises(ValueError, match=r"^the wall's time was moved back, by 1 s$"):
        clock.follow_wall()


def test_what_cannot_be_moved_is_refused() -> None:
    with pytest.raises(TypeError, match=r"^wall is what time_machine\.travel or "):
        FakeClock(wall=time_machine.travel(NEW_YEAR))  # type: ignore[arg-type]  # not entered
    with pytest.raises(TypeError, match=r"^the clock was made without a wall"):
        FakeClock().follow_wall()


def test_the_fixtures_of_a_traveller_that_ticks_will_do() -> None:
    with time_machine.travel(NEW_YEAR) as traveller:
        clock = FakeClock(wall=traveller)
        clock.advance(3600)
        assert NEW_YEAR + dt.timedelta(hours=1) <= now()
        assert 0 <= clock.follow_wall() < 3600


def test_coroutines_go_by_the_same_time(factory: Any, wall: Any) -> None:
    """Freezegun stops the loop's own time: its timers are to go by the clock as well."""

    async def main() -> None:
        clock = FakeClock(autojump=True, loop_time=True, wall=wall)
        broker: Broker[str] = Broker(clock=clock)
        with pytest.raises(TimedOutError):
            await broker.async_consumer().reserve(timeout=3600)
        assert NEW_YEAR + dt.timedelta(hours=1) == now()

    run_in(factory, main())
