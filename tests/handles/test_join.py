"""Waiting for the end of the work, in a thread or with a clock that jumps."""

from __future__ import annotations

import pytest

from inproc_tubes import (
    Broker,
    ClosedError,
    Consumer,
    DeadlockError,
    Producer,
    TimedOutError,
)
from inproc_tubes.core.recovery import check
from inproc_tubes.testing import FakeClock
from tests.shells import InterruptingClock
from tests.threads import LONG, waiting


@pytest.fixture
def clock() -> InterruptingClock:
    return InterruptingClock()


def test_join_of_nothing_returns_at_once(broker: Broker) -> None:
    assert 0 == broker.join()
    assert 0 == broker.join("default", "nowhere", timeout=0)
    assert ["default"] == broker.tubes()


def test_join_counts_the_buried_jobs_of_a_tube_that_is_named_twice_once(
    broker: Broker, producer: Producer, consumer: Consumer
) -> None:
    producer.put("job")
    consumer.reserve().bury()
    assert 1 == broker.join("default", "default")


def test_join_waits_until_the_last_job_is_deleted(
    broker: Broker, producer: Producer, consumer: Consumer
) -> None:
    for body in "ab":
        producer.put(body)
    future = waiting(broker, broker.join)
    consumer.reserve().delete()
    assert not future.done()
    consumer.reserve().delete()
    assert 0 == future.result(LONG)


def test_join_waits_until_the_block_of_the_last_job_is_left(
    broker: Broker, producer: Producer, consumer: Consumer
) -> None:
    producer.put("a")
    with consumer.reserve():
        future = waiting(broker, broker.join)
        assert not future.done()
    assert 0 == future.result(LONG)


def test_join_returns_how_many_are_buried(
    broker: Broker, producer: Producer, consumer: Consumer
) -> None:
    for body in "ab":
        producer.put(body)
    consumer.reserve().bury()
    future = waiting(broker, lambda: broker.join("default", timeout=60))
    consumer.reserve().bury()
    assert 2 == future.result(LONG)


def test_join_times_out(
    broker: Broker, producer: Producer, clock: InterruptingClock
) -> None:
    producer.put("a", delay=60)
    with pytest.raises(TimedOutError):
        broker.join(timeout=0)
    future = waiting(broker, lambda: broker.join(timeout=5))
    clock.advance(5)
    error = future.exception(LONG)
    assert isinstance(error, TimedOutError)
    assert 5 == error.timeout


def test_join_keeps_time_for_the_jobs_that_it_waits_for(
    broker: Broker, producer: Producer, consumer: Consumer, clock: InterruptingClock
) -> None:
    producer.put("a", delay=5)
    future = waiting(broker, broker.join)
    clock.advance(5)
    consumer.reserve(0).delete()
    assert 0 == future.result(LONG)


def test_closing_the_broker_ends_a_join(broker: Broker, producer: Producer) -> None:
    producer.put("a")
    future = waiting(broker, broker.join)
    broker.close()
    with pytest.raises(ClosedError, match=r"^the broker was closed$"):
        future.result(LONG)


def test_draining_does_not_end_a_join(
    broker: Broker, producer: Producer, consumer: Consumer
) -> None:
    producer.put("a")
    future = waiting(broker, broker.join)
    broker.drain()
    consumer.reserve().delete()
    assert 0 == future.result(LONG)


def test_an_interrupted_join_leaves_nothing_behind(
    broker: Broker, producer: Producer, clock: InterruptingClock
) -> None:
    def interrupt() -> None:
        assert 1 == broker._monitor.waiting
        raise KeyboardInterrupt

    producer.put("a")
    clock.interrupt = interrupt
    with pytest.raises(KeyboardInterrupt):
        broker.join(timeout=5)
    assert 0 == broker._monitor.waiting


def test_a_join_interrupted_as_it_ends_has_nothing_to_undo(
    broker: Broker, producer: Producer, clock: InterruptingClock
) -> None:
    def interrupt() -> None:
        broker.delete(1)
        raise KeyboardInterrupt

    producer.put("a")
    clock.interrupt = interrupt
    with pytest.raises(KeyboardInterrupt):
        broker.join()
    assert 0 == broker.join()


def test_an_autojumping_clock_does_not_wait_for_a_join() -> None:
    clock = FakeClock(autojump=True)
    broker = Broker(clock=clock)
    broker.producer().put("a")
    begun = clock.now()
    with pytest.raises(TimedOutError):
        broker.join(timeout=3600)
    assert 3600 == clock.now() - begun
    with pytest.raises(DeadlockError, match=r"^every thread waits, and nothing will"):
        broker.join()
    check(broker._engine)
