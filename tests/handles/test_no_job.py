"""Reserving where there is no job, and no exception is wanted."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from inproc_tubes import (
    ClosedError,
    DeadlineSoonError,
    Job,
    StoppedError,
    TimedOutError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from inproc_tubes import Broker, Consumer, Producer
    from inproc_tubes.testing import FakeClock


def reserve_in_a_loop(broker: Broker, **how: Any) -> Any:
    """Reserve from a new consumer for coroutines."""

    async def reserve() -> Any:
        return await broker.async_consumer().reserve(**how)

    return asyncio.run(reserve())


WAYS: tuple[Callable[..., Any], ...] = (
    lambda broker, **how: broker.consumer().reserve(**how),
    reserve_in_a_loop,
)
NOTHING = object()


@pytest.mark.parametrize("reserve", WAYS)
@pytest.mark.parametrize("default", [None, 0, NOTHING])
def test_a_default_is_returned_where_there_is_no_job(
    broker: Broker, reserve: Callable[..., Any], default: object
) -> None:
    assert reserve(broker, timeout=0, default=default) is default
    assert 0 == broker.stats().current_waiting


@pytest.mark.parametrize("reserve", WAYS)
def test_a_default_is_not_returned_where_there_is_a_job(
    broker: Broker, producer: Producer, reserve: Callable[..., Any]
) -> None:
    producer.put("x")
    assert "x" == reserve(broker, timeout=0, default=None).body


@pytest.mark.parametrize("reserve", WAYS)
def test_without_a_default_the_error_is_raised(
    broker: Broker, reserve: Callable[..., Any]
) -> None:
    with pytest.raises(TimedOutError):
        reserve(broker, timeout=0)


def test_a_default_is_by_position_too(consumer: Consumer) -> None:
    assert "none" == consumer.reserve(0, "none")


@pytest.mark.parametrize("reserve", WAYS)
def test_a_default_stands_for_no_other_error(
    broker: Broker, reserve: Callable[..., Any]
) -> None:
    broker.stop()
    with pytest.raises(StoppedError):
        reserve(broker, timeout=0, default=None)


def test_a_default_does_not_hide_that_a_job_expires_soon(
    clock: FakeClock, consumer: Consumer, job: Job
) -> None:
    clock.advance(9)
    with pytest.raises(DeadlineSoonError) as caught:
        consumer.reserve(0, default=None)
    assert job.id == caught.value.job_id
    assert consumer.reserve(0, default=None) is None


def test_reserve_nowait_takes_a_job_if_there_is_one(
    broker: Broker, producer: Producer, consumer: Consumer
) -> None:
    for taker in (consumer, broker.async_consumer()):
        assert taker.reserve_nowait() is None
        job_id = producer.put("x")
        job = taker.reserve_nowait()
        assert job is not None
        assert (job_id, "reserved") == (job.id, job.stats().state)
        job.delete()
    assert 2 == broker.stats().cmd_reserve_with_timeout


def test_reserve_nowait_tells_nothing_of_deadlines_and_uses_none_up(
    clock: FakeClock, consumer: Consumer, job: Job
) -> None:
    clock.advance(9)
    assert consumer.reserve_nowait() is None
    with pytest.raises(DeadlineSoonError) as caught:
        consumer.reserve(0)
    assert job.id == caught.value.job_id


def test_reserve_nowait_of_a_closed_consumer_is_refused(consumer: Consumer) -> None:
    consumer.close()
    with pytest.raises(ClosedError):
        consumer.reserve_nowait()
