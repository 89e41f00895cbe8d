"""A broker whose time is moved by hand, and its handles."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from inproc_tubes import Broker, Consumer, Job, Producer
from inproc_tubes.core.recovery import check
from inproc_tubes.testing import FakeClock

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def broker(clock: FakeClock) -> Iterator[Broker]:
    with Broker(clock=clock) as broker:
        yield broker
        if broker._engine.closed is None:
            with broker._monitor.lock:  # a thread may still be in its last turn
                check(broker._engine)


@pytest.fixture
def producer(broker: Broker) -> Producer:
    return broker.producer()


@pytest.fixture
def consumer(broker: Broker) -> Consumer:
    return broker.consumer()


@pytest.fixture
def other(broker: Broker) -> Consumer:
    return broker.consumer()


@pytest.fixture
def job(producer: Producer, consumer: Consumer) -> Job:
    """Reserve a job with a ttr of 10."""
    producer.put("work", priority=5, ttr=10)
    return consumer.reserve()
