"""Rates, from what two looks have seen."""

from __future__ import annotations

import pytest

from inproc_tubes import Broker
from inproc_tubes.rates import Rate, Rates
from inproc_tubes.testing import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def broker(clock: FakeClock) -> Broker:
    return Broker(clock=clock)


def test_the_first_look_knows_no_rate(broker: Broker) -> None:
    rates = Rates()
    assert rates.look(broker.snapshot()) == {}
    assert rates.look(broker.snapshot()) == {}  # no time has passed


def test_looks_in_short_order_do_not_shorten_the_window(
    broker: Broker, clock: FakeClock
) -> None:
    rates, producer = Rates(), broker.producer()
    rates.look(broker.snapshot())
    producer.put_many(["a"] * 4)
    for _ in range(3):
        clock.advance(0.5)
        rates.look(broker.snapshot())
    clock.advance(0.5)
    assert rates.look(broker.snapshot()) == {"default": Rate(2, 0)}


def test_a_rate_is_of_the_last_minute(broker: Broker, clock: FakeClock) -> None:
    rates, producer = Rates(), broker.producer()
    rates.look(broker.snapshot())
    producer.put_many(["a"] * 600)
    for _ in range(6):
        clock.advance(10)
        rates.look(broker.snapshot())
    clock.advance(10)
    assert rates.look(broker.snapshot()) == {"default": Rate(0, 0)}


def test_after_a_long_time_it_is_of_the_time_since_the_last_look(
    broker: Broker, clock: FakeClock
) -> None:
    rates, producer = Rates(), broker.producer()
    rates.look(broker.snapshot())
    producer.put_many(["a"] * 600)
    clock.advance(600)
    assert rates.look(broker.snapshot()) == {"default": Rate(1, 0)}


def test_a_new_tube_has_begun_at_nothing(broker: Broker, clock: FakeClock) -> None:
    rates = Rates()
    rates.look(broker.snapshot())
    broker.producer("orders").put("a")
    clock.advance(2)
    assert rates.look(broker.snapshot())["orders"] == Rate(0.5, 0)


def test_a_tube_that_was_made_anew_has_no_rate(
    broker: Broker, clock: FakeClock
) -> None:
    rates = Rates()
    broker.producer("orders").put_many(["a", "b"])
    rates.look(broker.snapshot())
    broker.clear_tube("orders")
    broker.producer("orders").put("c")
    clock.advance(2)
    assert "orders" not in rates.look(broker.snapshot())
