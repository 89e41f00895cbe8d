"""How the with-block of a job is left: failure buries, and interruption releases."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from inproc_tubes.testing import wait_until_waiting
from tests.handles.shared import bodies, state
from tests.threads import LONG, waiting

if TYPE_CHECKING:
    from collections.abc import Iterator

    from inproc_tubes import Broker, Consumer, Job, Producer
    from inproc_tubes.testing import FakeClock

INTERRUPTIONS = [
    asyncio.CancelledError(),
    GeneratorExit(),
    KeyboardInterrupt(),
    SystemExit(1),
    BaseExceptionGroup("several", [KeyboardInterrupt()]),
]
FAILURES = [ValueError(), ExceptionGroup("several", [ValueError()]), StopIteration()]


def leave(job: Job, error: BaseException) -> None:
    """Leave the block of a job by this exception."""
    with pytest.raises(type(error)) as caught, job:
        raise error
    assert caught.value is error
    assert error.__context__ is None


@pytest.mark.parametrize("error", INTERRUPTIONS, ids=repr)
def test_a_block_that_is_interrupted_releases_its_job_to_its_old_place(
    broker: Broker, producer: Producer, consumer: Consumer, error: BaseException
) -> None:
    producer.put_many([*"ab"], priority=5, delay=1)
    broker.kick("default", 2)
    job = consumer.reserve()
    producer.put("c", priority=5)
    leave(job, error)
    stats = job.stats()
    assert ("ready", 5, 0) == (stats.state, stats.priority, stats.delay)
    # As the server counts a release: the reserve has been.
    assert (1, 1, 0) == (stats.reserves, stats.releases, stats.buries)
    assert 1 == broker.stats().cmd_release
    assert job.error is None
    assert not job.lost
    assert list("abc") == bodies(consumer)


@pytest.mark.parametrize("error", FAILURES, ids=repr)
def test_a_block_that_fails_buries_its_job(
    broker: Broker, job: Job, error: Exception
) -> None:
    leave(job, error)
    assert "buried" == state(broker, 1)
    assert 0 == broker.stats().cmd_release


def test_a_released_job_goes_to_who_waits(
    broker: Broker, job: Job, other: Consumer
) -> None:
    future = waiting(broker, other.reserve)
    leave(job, KeyboardInterrupt())
    assert job.id == future.result(LONG).id


@pytest.mark.parametrize("error", [*INTERRUPTIONS, *FAILURES], ids=repr)
@pytest.mark.parametrize("verb", ["delete", "bury", "release"])
def test_what_the_block_did_with_its_job_stands(
    broker: Broker, job: Job, verb: str, error: BaseException
) -> None:
    def work() -> None:
        with job:
            getattr(job, verb)()
            raise error

    with pytest.raises(type(error)):
        work()
    stats = broker.stats()
    assert {verb: 1} == {
        name: count
        for name in ("delete", "bury", "release")
        if (count := getattr(stats, f"cmd_{name}"))
    }
    assert job.error is None


@pytest.mark.parametrize("error", [*INTERRUPTIONS, *FAILURES], ids=repr)
def test_a_lost_job_is_left_alone(
    clock: FakeClock, broker: Broker, job: Job, other: Consumer, error: BaseException
) -> None:
    with suppress(type(error)), job:
        clock.advance(10)
        again = other.reserve()
        raise error
    assert "reserved" == state(broker, 1)
    assert again.error is None


def test_a_generator_that_nobody_goes_on_with_releases_its_job(
    broker: Broker, job: Job
) -> None:
    def work() -> Iterator[object]:
        with job:
            yield job.body

    generator = work()
    assert "work" == next(generator)
    del generator
    assert "ready" == state(broker, 1)


def test_an_exception_that_is_only_a_class_is_told_apart_as_well(
    broker: Broker, producer: Producer, consumer: Consumer
) -> None:
    """As `contextlib` and old code may call it."""
    producer.put_many([*"ab"])
    first, second = consumer.reserve_many(2)
    first.__exit__(ValueError, None, None)
    second.__exit__(KeyboardInterrupt, None, None)
    assert ["buried", "ready"] == [state(broker, 1), state(broker, 2)]
    assert first.error is None


def test_one_failure_in_a_task_group_of_three_buries_one_job_and_gives_two_back(
    broker: Broker, producer: Producer
) -> None:
    async def work(turn: asyncio.Event) -> None:
        with await broker.async_consumer().reserve():
            await turn.wait()
            raise ZeroDivisionError

    async def main() -> None:
        never, now = asyncio.Event(), asyncio.Event()
        async with asyncio.TaskGroup() as group:
            for turn in (never, now, never):
                group.create_task(work(turn))
            await asyncio.to_thread(wait_until_waiting, broker, 3)
            producer.put_many(["first", "second", "third"])
            now.set()

    with pytest.raises(ExceptionGroup):
        asyncio.run(main())
    (buried,) = broker.jobs("default", "buried")
    assert buried.error is not None
    assert "ZeroDivisionError" == buried.error.headline
    ready = broker.jobs("default", "ready")
    assert [(1, 1)] * 2 == [(job.reserves, job.releases) for job in ready]
    assert {"first", "second", "third"} == {job.body for job in [buried, *ready]}
