"""The largest numbers that the handles accept work as any other does."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

import pytest

from inproc_tubes import Broker, NotFoundError, TimedOutError, TubeFullError
from inproc_tubes.testing import FakeClock

from .threads import LONG, waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LONGEST_TIMEOUT = 2**31 - 1
LARGEST_U32 = 2**32 - 1


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(start=100.0)


@pytest.fixture
def broker(clock: FakeClock) -> Iterator[Broker]:
    with Broker(clock=clock) as broker:
        yield broker


def reserve(broker: Broker) -> object:
    return broker.consumer("empty").reserve(LONGEST_TIMEOUT)


def reserve_many(broker: Broker) -> object:
    return broker.consumer("empty").reserve_many(2, LONGEST_TIMEOUT)


def put(broker: Broker) -> object:
    return broker.producer("full").put("body", timeout=LONGEST_TIMEOUT)


def put_many(broker: Broker) -> object:
    return broker.producer("full").put_many(["body"], timeout=LONGEST_TIMEOUT)


def join(broker: Broker) -> object:
    return broker.join("full", timeout=LONGEST_TIMEOUT)


@pytest.mark.parametrize(
    ("verb", "error"),
    [
        (reserve, TimedOutError),
        (reserve_many, TimedOutError),
        (put, TubeFullError),
        (put_many, TubeFullError),
        (join, TimedOutError),
    ],
)
def test_the_longest_timeout_is_waited_for(
    broker: Broker,
    clock: FakeClock,
    verb: Callable[[Broker], object],
    error: type[Exception],
) -> None:
    broker.limit_tube("full", 1)
    broker.producer("full").put("body")
    future = waiting(broker, lambda: verb(broker))
    clock.advance(LONGEST_TIMEOUT - 1)
    assert broker._monitor.waiting == 1
    clock.advance(1)
    with pytest.raises(error):
        future.result(LONG)


@pytest.mark.filterwarnings("ignore:.*a time of day:RuntimeWarning")
def test_the_longest_delay_pause_and_ttr_end(broker: Broker, clock: FakeClock) -> None:
    producer, consumer = broker.producer(), broker.consumer()
    producer.put("body", delay=LARGEST_U32, ttr=LARGEST_U32)
    clock.advance(LARGEST_U32)
    job = consumer.reserve(0)
    clock.advance(LARGEST_U32 - 1)
    assert job.stats().time_left == 1
    clock.advance(1)
    assert job.timeouts == 1
    broker.pause_tube("default", LARGEST_U32)
    clock.advance(LARGEST_U32 - 1)
    with pytest.raises(TimedOutError):
        consumer.reserve(0)
    clock.advance(1)
    assert consumer.reserve(0).reserves == 2


def test_the_largest_priority_is_the_least_urgent(broker: Broker) -> None:
    producer = broker.producer()
    for priority in (LARGEST_U32, LARGEST_U32 - 1):
        producer.put(priority, priority)
    consumer = broker.consumer()
    bodies = [consumer.reserve(0).body for _ in range(2)]
    assert bodies == [LARGEST_U32 - 1, LARGEST_U32]


def test_the_largest_job_id_is_no_job_s(broker: Broker) -> None:
    with pytest.raises(NotFoundError):
        broker.peek(2**64 - 1)


@pytest.mark.parametrize("bound", [64, 65, 128, 2**32, 2**64, 10**30])
def test_a_kick_is_bounded_by_any_number(broker: Broker, bound: int) -> None:
    broker.producer().put_many(range(128), delay=50)
    assert broker.kick("default", bound) == min(bound, 128)
    assert broker.stats_tube("default").current_jobs_ready == min(bound, 128)


@pytest.mark.parametrize("n", [64, 65, 128, 2**32, 10**30])
def test_a_batch_is_as_large_as_what_is_ready(broker: Broker, n: int) -> None:
    broker.producer().put_many(range(128))
    assert len(broker.consumer().reserve_many(n)) == min(n, 128)


@pytest.mark.parametrize("maxsize", [2**32, 2**64])
def test_a_limit_may_be_any_number(broker: Broker, maxsize: int) -> None:
    broker.limit_tube("default", maxsize)
    broker.producer().put("body", timeout=0)
    assert broker.stats_tube("default").maxsize == maxsize
    assert broker._monitor.next_due() == inf
