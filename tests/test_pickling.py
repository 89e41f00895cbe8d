"""What lives in one process can be neither pickled nor copied."""

from __future__ import annotations

import copy
import pickle
from typing import TYPE_CHECKING, Any

import pytest

from inproc_tubes import Broker
from inproc_tubes.fakes import FakeBeanstalkd
from inproc_tubes.protocol import ProtocolSession
from inproc_tubes.testing import FakeClock
from inproc_tubes.worker import AsyncWorker, Worker

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def broker() -> Broker:
    return Broker(clock=FakeClock())


@pytest.mark.parametrize(
    "what",
    [
        "Broker",
        "Producer",
        "Consumer",
        "AsyncProducer",
        "AsyncConsumer",
        "Job",
        "Job that was only looked at",
    ],
)
@pytest.mark.parametrize(
    "double", [pickle.dumps, copy.copy, copy.deepcopy], ids=["pickle", "copy", "deep"]
)
def test_handles_and_jobs_can_be_neither_pickled_nor_copied(
    broker: Broker, what: str, double: Callable[[object], object]
) -> None:
    broker.producer().put("job")
    things = {
        "Broker": broker,
        "Producer": broker.producer(),
        "Consumer": broker.consumer(),
        "AsyncProducer": broker.async_producer(),
        "AsyncConsumer": broker.async_consumer(),
        "Job": broker.consumer().reserve(),
        "Job that was only looked at": broker.peek(1),
    }
    what, thing = what.partition(" ")[0], things[what]
    reason = (
        rf"^an? {what} can be neither pickled nor copied: "
        r"its jobs live in this process, behind one lock$"
    )
    with pytest.raises(TypeError, match=reason):
        double(thing)


def test_the_article_is_that_of_the_name(broker: Broker) -> None:
    with pytest.raises(TypeError, match=r"^a Broker can"):
        copy.copy(broker)
    with pytest.raises(TypeError, match=r"^an AsyncProducer can"):
        copy.copy(broker.async_producer())


@pytest.mark.parametrize(
    "double", [pickle.dumps, copy.copy, copy.deepcopy], ids=["pickle", "copy", "deep"]
)
@pytest.mark.parametrize(
    "make",
    [
        FakeClock,
        FakeBeanstalkd,
        lambda: ProtocolSession(Broker()),
        lambda: Worker(Broker[Any]()),
        lambda: AsyncWorker(Broker[Any]()),
    ],
    ids=["FakeClock", "FakeBeanstalkd", "ProtocolSession", "Worker", "AsyncWorker"],
)
def test_what_has_locks_or_threads_can_be_neither_pickled_nor_copied(
    make: Callable[[], object], double: Callable[[object], object]
) -> None:
    reason = r" can be neither pickled nor copied: it belongs to the threads of this"
    with pytest.raises(TypeError, match=reason):
        double(make())
