"""Closing brokers and handles, and what is left of their verbs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from inproc_tubes import Broker, ClosedError, Consumer, Job, Producer
from inproc_tubes.testing import FakeClock
from tests.meddling import MeddlingClock, held, state
from tests.threads import LONG, waiting

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def broker(clock: FakeClock) -> Broker:
    return Broker(clock=clock)


def test_a_broker_ends_with_its_block(clock: FakeClock) -> None:
    with Broker(clock=clock) as broker:
        producer = broker.producer()
        broker.tubes()
    with pytest.raises(ClosedError, match=r"^the broker was closed$"):
        broker.tubes()
    with pytest.raises(ClosedError, match=r"^the broker was closed$"):
        producer.put("job")


def test_a_producer_ends_with_its_block(broker: Broker) -> None:
    with broker.producer("a") as producer:
        assert "a" in broker.tubes()
    assert "a" not in broker.tubes()
    with pytest.raises(ClosedError, match=r"^the producer was closed$"):
        producer.put("job")


def test_a_consumer_ends_with_its_block_and_gives_its_jobs_back(
    broker: Broker,
) -> None:
    with held(broker, "first", "second") as consumer:
        assert "reserved" == state(broker, 1) == state(broker, 2)
    assert "ready" == state(broker, 1) == state(broker, 2)
    with pytest.raises(ClosedError, match=r"^the consumer was closed$"):
        consumer.reserve()


def test_a_block_that_fails_closes_all_the_same(broker: Broker) -> None:
    def fail() -> None:
        with broker, broker.producer(), held(broker, "job"):
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    assert "<Broker: the broker was closed>" == repr(broker)


def test_a_closed_consumer_gives_back_in_the_order_of_reserving(
    broker: Broker,
) -> None:
    consumer = held(broker, "first", "second", "third")
    futures = [waiting(broker, broker.consumer().reserve) for _ in range(3)]
    consumer.close()
    bodies = [future.result(LONG).body for future in futures]
    assert ["first", "second", "third"] == bodies
    stats = broker.stats_job(1)
    assert (2, 0, 0) == (stats.reserves, stats.timeouts, stats.releases)


def test_closing_twice_has_no_effect(broker: Broker) -> None:
    handles: list[Producer | Consumer] = [broker.producer(), broker.consumer()]
    for handle in handles:
        handle.close()
        handle.close()
    assert 0 == broker.stats().current_connections
    handles = [broker.producer(), broker.consumer()]
    broker.close()
    broker.close()
    for handle in handles:
        handle.close()
        assert repr(handle).endswith(": the broker was closed>")


def test_a_broker_that_is_closed_in_the_middle_of_a_turn_ends_with_that_turn() -> None:
    """By a signal handler, say."""
    clock = MeddlingClock()
    broker = Broker(clock=clock)
    future = waiting(broker, broker.consumer().reserve)
    clock.meddle = broker.close
    assert ["default"] == broker.tubes()
    assert clock.was_in_turn
    with pytest.raises(ClosedError, match=r"^the broker was closed$"):
        future.result(LONG)
    with pytest.raises(ClosedError, match=r"^the broker was closed$"):
        broker.tubes()


def test_handles_are_counted_until_they_are_closed(broker: Broker) -> None:
    handles: list[Producer | Consumer] = [broker.producer("a"), broker.consumer("b")]
    assert 2 == broker.stats().current_connections
    for handle in handles:
        handle.close()
    assert 0 == broker.stats().current_connections
    assert 2 == broker.stats().total_connections
    assert ["default"] == broker.tubes()


PRODUCER_VERBS: dict[str, Callable[[Producer], object]] = {
    "put": lambda producer: producer.put("job"),
    "put in a tube": lambda producer: producer.put("job", tube="a"),
    "put too much": lambda producer: producer.put("x" * 65536),
    "put with a key": lambda producer: producer.put("job", key="key"),
    "put_many": lambda producer: producer.put_many(["job", "job"]),
    "submit": lambda producer: producer.submit("job"),
    "put_many of none": lambda producer: producer.put_many([]),
    "put too many": lambda producer: producer.put_many(["job", "x" * 65536]),
    "use": lambda producer: producer.use("a"),
    "using": lambda producer: producer.using(),
}
CONSUMER_VERBS: dict[str, Callable[[Consumer], object]] = {
    "watch": lambda consumer: consumer.watch("a"),
    "ignore": lambda consumer: consumer.ignore("a"),
    "watching": lambda consumer: consumer.watching(),
    "reserve": lambda consumer: consumer.reserve(),
    "reserve at once": lambda consumer: consumer.reserve(timeout=0),
    "reserve_many": lambda consumer: consumer.reserve_many(2),
    "reserve_nowait": lambda consumer: consumer.reserve_nowait(),
    "reserve_job": lambda consumer: consumer.reserve_job(1),
    "delete": lambda consumer: consumer.delete(1),
    "release": lambda consumer: consumer.release(1),
    "bury": lambda consumer: consumer.bury(1),
    "touch": lambda consumer: consumer.touch(1),
}
JOB_VERBS: dict[str, Callable[[Job], object]] = {
    "delete": lambda job: job.delete(),
    "release": lambda job: job.release(),
    "bury": lambda job: job.bury(),
    "touch": lambda job: job.touch(),
    "finish": lambda job: job.finish(1),
    "fail": lambda job: job.fail(ValueError()),
}
BROKER_VERBS: dict[str, Callable[[Broker], object]] = {
    "producer": lambda broker: broker.producer(),
    "consumer": lambda broker: broker.consumer(),
    "tubes": lambda broker: broker.tubes(),
    "snapshot": lambda broker: broker.snapshot(),
    "stats": lambda broker: broker.stats(),
    "stats_tube": lambda broker: broker.stats_tube("default"),
    "stats_job": lambda broker: broker.stats_job(1),
    "peek": lambda broker: broker.peek(1),
    "peek_ready": lambda broker: broker.peek_ready("default"),
    "peek_delayed": lambda broker: broker.peek_delayed("default"),
    "peek_buried": lambda broker: broker.peek_buried("default"),
    "kick": lambda broker: broker.kick("default", 1),
    "kick_job": lambda broker: broker.kick_job(1),
    "cancel": lambda broker: broker.cancel(1),
    "delete": lambda broker: broker.delete(1),
    "pause_tube": lambda broker: broker.pause_tube("default", 1),
    "move": lambda broker: broker.move(1, "other"),
    "update": lambda broker: broker.update(1, 5),
    "bury": lambda broker: broker.bury(1),
    "limit_tries": lambda broker: broker.limit_tries("default", 1),
    "limit_tube": lambda broker: broker.limit_tube("default", 1),
    "find": lambda broker: broker.find("key"),
    "jobs": lambda broker: broker.jobs("default"),
    "clear_tube": lambda broker: broker.clear_tube("default"),
    "join": lambda broker: broker.join(),
    "drain": lambda broker: broker.drain(),
}


@pytest.mark.parametrize("verb", PRODUCER_VERBS)
@pytest.mark.parametrize("closed", ["producer", "broker"])
def test_a_closed_producer_refuses_every_verb(
    broker: Broker, verb: str, closed: str
) -> None:
    producer = broker.producer()
    (producer if closed == "producer" else broker).close()
    with pytest.raises(ClosedError, match=rf"^the {closed} was closed$") as info:
        PRODUCER_VERBS[verb](producer)
    assert f"the {closed} was closed" == info.value.what


@pytest.mark.parametrize("verb", CONSUMER_VERBS)
@pytest.mark.parametrize("closed", ["consumer", "broker"])
def test_a_closed_consumer_refuses_every_verb(
    broker: Broker, verb: str, closed: str
) -> None:
    consumer = held(broker, "job")
    (consumer if closed == "consumer" else broker).close()
    with pytest.raises(ClosedError, match=rf"^the {closed} was closed$"):
        CONSUMER_VERBS[verb](consumer)
    assert [] == list(consumer)


@pytest.mark.parametrize("verb", JOB_VERBS)
@pytest.mark.parametrize("closed", ["consumer", "broker"])
def test_a_job_of_a_closed_consumer_refuses_every_verb(
    broker: Broker, verb: str, closed: str
) -> None:
    broker.producer().put("job")
    consumer = broker.consumer()
    job = consumer.reserve()
    (consumer if closed == "consumer" else broker).close()
    with pytest.raises(ClosedError, match=rf"^the {closed} was closed$"):
        JOB_VERBS[verb](job)


@pytest.mark.parametrize("verb", BROKER_VERBS)
def test_a_closed_broker_refuses_every_verb(broker: Broker, verb: str) -> None:
    held(broker, "job")
    broker.close()
    with pytest.raises(ClosedError, match=r"^the broker was closed$"):
        BROKER_VERBS[verb](broker)


def test_the_block_of_a_job_that_failed_raises_its_own_exception(
    broker: Broker,
) -> None:
    broker.producer().put("job")

    def work() -> None:
        with broker.consumer().reserve():
            broker.close()
            raise LookupError

    with pytest.raises(LookupError):
        work()


def test_the_block_of_a_job_that_is_done_raises_closed_error(broker: Broker) -> None:
    broker.producer().put("job")
    with (
        pytest.raises(ClosedError, match=r"^the broker was closed$"),
        broker.consumer().reserve(),
    ):
        broker.close()
