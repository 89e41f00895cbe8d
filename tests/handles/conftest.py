"""A broker whose time is moved by hand, and its handles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from inproc_tubes import Broker, Consumer, Job, Producer
from inproc_tubes.core.recovery import check
from tests.handles.not_portable import NOT_PORTABLE, NOT_PORTABLE_FILES
from tests.real_server import why_missing
from tests.remote_brokers import ServerClock, broker_on

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def clock() -> ServerClock:
    return ServerClock()


@pytest.fixture(params=["memory", "fake", pytest.param("real", marks=pytest.mark.real)])
def broker(request: pytest.FixtureRequest, clock: ServerClock) -> Iterator[Any]:
    """Let the test be about a broker in memory, and about one on a beanstalkd."""
    if request.param != "memory":
        why = NOT_PORTABLE_FILES.get(request.path.name) or NOT_PORTABLE.get(
            request.function.__name__
        )
        if why is not None:
            pytest.skip(f"not portable: {why}")
        missing = why_missing()
        if (
            request.param == "real" and missing is not None
        ):  # pragma: no cover - as it says
            pytest.skip(missing)
        with broker_on(request.param, clock) as remote:
            yield remote
        return
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
