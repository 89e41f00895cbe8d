"""The live table in a terminal."""

from __future__ import annotations

import io
from threading import Condition
from typing import TYPE_CHECKING, NoReturn

import pytest
from rich.console import Console

from inproc_tubes import Broker, ClosedError
from inproc_tubes.rates import Rates
from inproc_tubes.terminal import _picture, watch
from inproc_tubes.testing import FakeClock
from tests.threads import LONG, start

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def broker(clock: FakeClock) -> Iterator[Broker]:
    with Broker(clock=clock) as broker:
        yield broker


class Screen(io.StringIO):
    """A terminal of which one can wait for what is to be shown."""

    def __init__(self) -> None:
        super().__init__()
        self._changed = Condition()

    def write(self, text: str) -> int:
        with self._changed:
            self._changed.notify_all()
            return super().write(text)

    def wait_for(self, text: str) -> None:
        """Wait until this was shown."""
        with self._changed:
            assert self._changed.wait_for(lambda: text in self.getvalue(), LONG)


def seen(broker: Broker, rates: Rates) -> str:
    """Print what is to be seen now."""
    screen = Screen()
    snapshot = broker.snapshot()
    picture = _picture(snapshot, rates.look(snapshot))
    Console(file=screen, width=100).print(picture)
    return screen.getvalue()


def cells(line: str) -> list[str]:
    """Read a row of a table."""
    return [cell.strip() for cell in line.strip("│┃\n").split("│")]


def test_it_shows_counts_and_rates_of_tubes(broker: Broker, clock: FakeClock) -> None:
    rates = Rates()
    producer = broker.producer("orders")
    producer.put_many(["a", "b"])
    broker.consumer("orders").reserve().bury()
    broker.pause_tube("orders", 60)
    rows = [cells(line) for line in seen(broker, rates).splitlines()]
    assert ["orders (paused)", "1", "0", "0", "1", "-", "-"] in rows
    assert ["default", "0", "0", "0", "0", "-", "-"] in rows
    producer.put("c")
    clock.advance(2)
    rows = [cells(line) for line in seen(broker, rates).splitlines()]
    assert ["orders (paused)", "2", "0", "0", "1", "0.5", "0.0"] in rows


def test_it_shows_who_holds_what(broker: Broker, clock: FakeClock) -> None:
    broker.producer().put_many(["a"] * 22)
    consumer = broker.consumer(name="[red]packer\x1b[2J")
    consumer.reserve()
    clock.advance(5)
    text = seen(broker, Rates())
    row = ["1", "default", "[red]packer?[2J", "5.0 s", "55.0 s"]
    assert row in [cells(line) for line in text.splitlines()]
    assert "more in hand" not in text
    consumer.reserve_many(21)
    assert "and 2 jobs more in hand" in seen(broker, Rates())


def test_it_is_live_until_the_broker_is_closed(broker: Broker) -> None:
    screen = Screen()
    console = Console(file=screen, width=100, force_terminal=True)
    done = start(lambda: watch(broker, interval=0.001, console=console))
    screen.wait_for("default")
    broker.producer("parcels").put("a")
    screen.wait_for("parcels")
    broker.close()
    done.result(LONG)
    assert "The broker was closed." in screen.getvalue()


def test_it_ends_at_once_however_long_the_interval(broker: Broker) -> None:
    screen = Screen()
    console = Console(file=screen, width=100, force_terminal=True)
    done = start(lambda: watch(broker, interval=LONG * 10, console=console))
    screen.wait_for("default")
    broker.close()
    done.result(LONG)


@pytest.mark.parametrize(
    ("error", "printed"), [(KeyboardInterrupt(), False), (ClosedError("a"), True)]
)
def test_it_ends_quietly_in_the_middle_of_a_look(
    broker: Broker,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    *,
    printed: bool,
) -> None:
    screen = Screen()
    first = [broker.snapshot()]

    def snapshot() -> object:
        return first.pop() if first else fail()

    def fail() -> NoReturn:
        raise error

    monkeypatch.setattr(broker, "snapshot", snapshot)
    watch(broker, interval=0.001, console=Console(file=screen))
    assert ("The broker was closed." in screen.getvalue()) is printed


def test_a_closed_broker_is_not_watched(broker: Broker) -> None:
    broker.close()
    with pytest.raises(ClosedError):
        watch(broker)


@pytest.mark.parametrize("interval", [0, -1, float("nan"), float("inf")])
def test_an_interval_is_positive(broker: Broker, interval: float) -> None:
    with pytest.raises(ValueError, match=r"^interval is a finite number above 0, not "):
        watch(broker, interval=interval)


def test_arguments_are_checked(broker: Broker) -> None:
    with pytest.raises(TypeError, match=r"^broker is a Broker, not str$"):
        watch("broker")  # type: ignore[arg-type]  # that is the point
    for wrong in ("1", True, None):
        with pytest.raises(TypeError, match=r"^interval is a number of seconds, not "):
            watch(broker, interval=wrong)  # type: ignore[arg-type]  # as above
