"""A hundred jobs at once, beside the same hundred one by one."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING

from inproc_tubes import Broker

from .measuring import BODY, Sides, at_most, scenario

if TYPE_CHECKING:
    from collections.abc import Iterator

    from inproc_tubes import Consumer, Job, Producer

    from .measuring import Effort

BATCH = 100
BODIES = [BODY] * BATCH


def put_many(producer: Producer) -> None:
    """Put a batch."""
    producer.put_many(BODIES)


def put_each(producer: Producer) -> None:
    """Put the jobs of a batch one by one."""
    for body in BODIES:
        producer.put(body)


def reserve_many(consumer: Consumer) -> list[Job]:
    """Reserve a batch."""
    return consumer.reserve_many(BATCH, timeout=0)


def reserve_each(consumer: Consumer) -> list[Job]:
    """Reserve the jobs of a batch one by one."""
    return [consumer.reserve(timeout=0) for _ in range(BATCH)]


def rounds(*, batched_put: bool, batched_reserve: bool) -> tuple[float, float]:
    """Put, reserve and delete a batch; return seconds per put and per reserve."""
    put = put_many if batched_put else put_each
    reserve = reserve_many if batched_reserve else reserve_each
    with Broker() as broker:
        producer, consumer = broker.producer(), broker.consumer()
        start = perf_counter()
        put(producer)
        middle = perf_counter()
        jobs = reserve(consumer)
        end = perf_counter()
        for job in jobs:
            job.delete()
    return (middle - start) / BATCH, (end - middle) / BATCH


def put(count: int, *, batched: bool) -> float:
    """Return the seconds per put of so many batches."""
    both = [rounds(batched_put=batched, batched_reserve=True) for _ in range(count)]
    return sum(seconds for seconds, _ in both) / count


def reserve(count: int, *, batched: bool) -> float:
    """Return the seconds per reserve of so many batches."""
    both = [rounds(batched_put=True, batched_reserve=batched) for _ in range(count)]
    return sum(seconds for _, seconds in both) / count


@scenario(
    "put_many",
    "one job of a put_many of 100",
    "put",
    at_most(0.5),
    group="batches",
)
def batched_put(effort: Effort) -> Iterator[Sides]:
    count = effort.count(200)
    yield Sides(lambda: put(count, batched=True), lambda: put(count, batched=False))


@scenario(
    "reserve_many",
    "one job of a reserve_many of 100",
    "reserve",
    at_most(0.5),
    group="batches",
)
def batched_reserve(effort: Effort) -> Iterator[Sides]:
    count = effort.count(200)
    yield Sides(
        lambda: reserve(count, batched=True), lambda: reserve(count, batched=False)
    )
