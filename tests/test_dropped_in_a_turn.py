"""Handles, brokers and bodies that are dropped in the middle of a turn."""

from __future__ import annotations

import gc
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from inproc_tubes import (
    Broker,
    ClosedError,
    Consumer,
    NotFoundError,
    Producer,
    TimedOutError,
)
from inproc_tubes.core.recovery import check
from tests.meddling import MeddlingClock, held, state
from tests.threads import LONG, waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def clock() -> MeddlingClock:
    return MeddlingClock()


@pytest.fixture
def broker(clock: MeddlingClock) -> Broker:
    return Broker(clock=clock)


TURNS: dict[str, Callable[[Broker, Producer, Consumer], object]] = {
    "put": lambda _broker, producer, _consumer: producer.put("more", tube="more"),
    "reserve": lambda _broker, _producer, consumer: consumer.reserve(0),
    "delete": lambda _broker, _producer, consumer: consumer.delete(3),
    "stats": lambda broker, _producer, _consumer: broker.stats(),
    "close": lambda _broker, _producer, consumer: consumer.close(),
    "open": lambda broker, _producer, _consumer: broker.consumer(),
    "advance": lambda broker, _producer, _consumer: broker._monitor.look(),
}


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("in_a_cycle", [False, True])
@pytest.mark.parametrize("something_waits", [False, True])
@pytest.mark.usefixtures("no_collector")
def test_a_consumer_dropped_within_a_turn_gives_its_jobs_back(
    broker: Broker,
    clock: MeddlingClock,
    turn: str,
    in_a_cycle: bool,  # noqa: FBT001 - a parameter of the test
    something_waits: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """A collection may come at any time, also in a critical section."""
    producer, consumer = broker.producer(), broker.consumer()
    dropped: list[object] = [held(broker, "first", "second")]
    producer.put("spare", tube="spare")
    future = None
    if something_waits:
        future = waiting(broker, broker.consumer().reserve)
    if in_a_cycle:
        dropped.append(dropped)
        clock.meddle = gc.collect
        del dropped
    else:
        clock.meddle = dropped.clear
    # They are ready again when the turn has ended: too late for this one.
    with suppress(TimedOutError):
        TURNS[turn](broker, producer, consumer)
    assert clock.was_in_turn
    if future is not None:
        assert future.result(LONG).body in {"first", "second"}
    broker.tubes()
    check(broker._engine)
    assert something_waits == broker.stats().current_jobs_reserved
    assert 3 + (turn == "put") - (turn == "delete") == len(broker._engine.jobs)


@pytest.mark.usefixtures("no_collector")
def test_the_block_of_a_generator_that_is_dropped_is_left_when_the_turn_ends(
    broker: Broker, clock: MeddlingClock
) -> None:
    def work() -> Iterator[str]:
        with broker.consumer() as consumer, consumer.reserve() as job:
            yield job.body

    broker.producer().put("job")
    doomed = [work()]
    assert "job" == next(doomed[0])
    clock.meddle = doomed.clear
    with pytest.raises(NotFoundError):
        broker.peek_ready()
    assert clock.was_in_turn
    assert ("job", 1) == (broker.peek_ready().body, broker.peek_ready().releases)
    assert 0 == broker.stats().current_connections


ENDS_OF_BROKERS: dict[str, Callable[[Broker, Producer], object]] = {
    "verb": lambda _broker, producer: producer.using(),
    "close of a handle": lambda _broker, producer: producer.close(),
    "close of the broker": lambda broker, _producer: broker.close(),
    "advance": lambda broker, _producer: broker._monitor.look(),
    "next moment": lambda broker, _producer: broker._monitor.next_due(),
}


@pytest.mark.parametrize("turn", ENDS_OF_BROKERS)
@pytest.mark.usefixtures("no_collector")
def test_the_block_of_a_broker_that_is_dropped_within_a_turn_closes_it(
    clock: MeddlingClock, turn: str
) -> None:
    def work() -> Iterator[Broker]:
        with Broker(clock=clock) as broker:
            yield broker

    doomed = [work()]
    broker = next(doomed[0])
    producer = broker.producer()
    future = waiting(broker, broker.consumer().reserve)
    if turn == "close of the broker":
        doomed.clear()  # it does not read the clock
    else:
        clock.meddle = doomed.clear
    with suppress(ClosedError):
        ENDS_OF_BROKERS[turn](broker, producer)
    assert not doomed
    with pytest.raises(ClosedError, match=r"^the broker was closed$"):
        future.result(LONG)
    assert "<Broker: the broker was closed>" == repr(broker)


@pytest.mark.usefixtures("no_collector")
def test_a_consumer_that_ends_with_a_body_gives_its_jobs_back(
    broker: Broker,
) -> None:
    """The body dies when the lock is free again."""
    consumer = held(broker, "job")
    body = broker.producer().put([consumer])
    del consumer
    broker.delete(body)
    assert not broker._monitor.turn.after
    assert "ready" == state(broker)


@pytest.mark.usefixtures("no_collector")
def test_a_consumer_that_ends_with_a_body_serves_a_reserve_that_waits(
    broker: Broker,
) -> None:
    consumer = held(broker, "job")
    body = broker.producer("bodies").put([consumer])
    del consumer
    future = waiting(broker, broker.consumer().reserve)
    broker.delete(body)
    assert "job" == future.result(LONG).body


@pytest.mark.usefixtures("no_collector")
def test_a_consumer_dropped_just_before_a_thread_parks_serves_it(
    broker: Broker, clock: MeddlingClock
) -> None:
    """That comes after the turn of the reserve."""
    dropped = [held(broker, "job")]
    clock.meddle_in_park = dropped.clear
    assert "job" == broker.consumer().reserve().body
