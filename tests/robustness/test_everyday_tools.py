"""Handles and jobs bear what tests and debuggers do with objects."""

from __future__ import annotations

import gc
import sys
import weakref
from collections import Counter
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest

from inproc_tubes import Broker, TimedOutError
from inproc_tubes.testing import FakeClock
from tests.robustness.injection import Tracer
from tests.threads import LONG, start

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType


@pytest.fixture
def broker() -> Broker[str]:
    return Broker(clock=FakeClock())


HANDLES: dict[str, tuple[Callable[[Broker[str]], Any], str]] = {
    "broker.tubes": (lambda broker: broker, "tubes"),
    "producer.put": (lambda broker: broker.producer(), "put"),
    "consumer.reserve": (lambda broker: broker.consumer(), "reserve"),
    "consumer.delete": (lambda broker: broker.consumer(), "delete"),
    "async_producer.put": (lambda broker: broker.async_producer(), "put"),
    "async_consumer.reserve": (lambda broker: broker.async_consumer(), "reserve"),
}


@pytest.mark.parametrize("name", HANDLES)
def test_a_verb_of_one_handle_may_be_mocked(name: str, broker: Broker[str]) -> None:
    make, verb = HANDLES[name]
    handle, other = make(broker), make(broker)
    original = getattr(type(handle), verb)
    with mock.patch.object(handle, verb, new_callable=mock.Mock) as mocked:
        getattr(handle, verb)("mocked")
        mocked.assert_called_once_with("mocked")
        assert other is handle or getattr(other, verb) is not mocked
    assert original is getattr(type(handle), verb)
    assert getattr(handle, verb).__func__ is original


def test_a_mocked_put_puts_nothing_and_the_next_one_does(broker: Broker[str]) -> None:
    producer = broker.producer()
    with mock.patch.object(producer, "put", return_value=7):
        assert 7 == producer.put("mocked")
    assert 1 == producer.put("job")


def test_a_job_may_be_referred_to_weakly(broker: Broker[str]) -> None:
    broker.producer().put("job")
    consumer = broker.consumer()
    job = consumer.reserve()
    peeked = broker.peek(1)
    references = weakref.ref(job), weakref.ref(peeked)
    assert (job, peeked) == tuple(reference() for reference in references)
    job.delete()
    del job, peeked
    gc.collect()
    assert (None, None) == tuple(reference() for reference in references)


class Looker(Tracer):
    """Has the repr of a broker in front of each bytecode."""

    def __init__(self, broker: Broker[str]) -> None:
        super().__init__()
        self.broker = broker
        self.seen: Counter[str] = Counter()

    def step(
        self, _frame: FrameType, /
    ) -> None:  # pragma: no cover - a trace function is not traced
        with self.paused():
            self.seen[repr(self.broker)] += 1


def test_a_repr_in_the_middle_of_a_turn_never_raises(broker: Broker[str]) -> None:
    producer, consumer = broker.producer("orders"), broker.consumer("orders")

    def verbs() -> None:
        for priority in (7, 7, 7, 5):
            producer.put("body", priority=priority)
        consumer.reserve(timeout=0).bury()
        consumer.reserve(timeout=0).release(delay=5)
        broker.clear_tube("orders")
        producer.put("body")
        producer.put("body", delay=5)
        broker.delete(5)  # which leaves an entry that is dead, until somebody looks
        with pytest.raises(TimedOutError):
            consumer.reserve(timeout=0)

    looker = Looker(broker)
    looker.call(verbs)
    assert sum(looker.seen.values()) > 1000
    assert "<Broker: 4 ready in 2 tubes>" in looker.seen
    assert not any("-" in each for each in looker.seen)


def test_a_repr_beside_busy_threads_never_raises() -> None:
    broker: Broker[int] = Broker()
    handles: dict[int, tuple[object, ...]] = {}
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)

    def work(number: int) -> None:
        for _ in range(200):
            with (
                broker.producer(f"tube-{number}") as producer,
                broker.consumer(f"tube-{number}", "common") as consumer,
            ):
                producer.put_many(range(3))
                producer.put(3, tube="common", priority=number, delay=0.0001)
                jobs = consumer.reserve_many(2)
                jobs[0].bury()
                jobs[1].delete()
                broker.clear_tube(f"tube-{number}")
                handles[number] = producer, consumer, jobs[0], jobs[1]

    workers = [start(lambda number=number: work(number)) for number in range(3)]  # type: ignore[misc]  # mypy does not see the default's type
    try:
        while not all(worker.done() for worker in workers):
            assert repr(broker).startswith("<Broker: ")
            for those in list(handles.values()):
                assert all(repr(one).startswith("<") for one in those)
    finally:
        sys.setswitchinterval(usual)
    for worker in workers:
        worker.result(LONG)
