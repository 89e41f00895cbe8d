"""`Job.context`: the context of its put, where its producer keeps it."""

from __future__ import annotations

import asyncio
import gc
import weakref
from contextvars import Context, ContextVar, copy_context
from typing import TYPE_CHECKING

import pytest

from inproc_tubes.core.record import NO_HISTORY

if TYPE_CHECKING:
    from inproc_tubes import Broker, Consumer, Job
    from inproc_tubes.testing import FakeClock

request_id: ContextVar[object] = ContextVar("request_id", default="none")


def context_of(job: Job) -> Context:
    """Return the context of a job that has one."""
    assert job.context is not None
    return job.context


def seen_by(job: Job) -> object:
    """Return what a handler sees that runs in the context of its job."""
    return context_of(job).run(request_id.get)


def put(broker: Broker, body: str, value: object) -> None:
    """Put a job on behalf of somebody."""

    def request() -> None:
        request_id.set(value)
        broker.producer(context=True).put(body)

    copy_context().run(request)


def test_each_job_has_the_context_of_its_put(
    broker: Broker, consumer: Consumer
) -> None:
    for number in range(3):
        put(broker, "job", number)
    assert [0, 1, 2] == [seen_by(job) for job in consumer.reserve_many(3)]
    assert "none" == request_id.get()


def test_without_being_asked_for_none_is_kept(
    broker: Broker, consumer: Consumer
) -> None:
    broker.producer().put("job")
    broker.producer(context=False).put_many(["job"])
    for job in consumer.reserve_many(2):
        assert job.context is None
        assert job._history is NO_HISTORY


def test_a_batch_has_it_too(broker: Broker, consumer: Consumer) -> None:
    token = request_id.set("batch")
    broker.producer(context=True).put_many([*"ab"], delay=0)
    request_id.reset(token)
    assert ["batch"] * 2 == [seen_by(job) for job in consumer.reserve_many(2)]


def test_what_a_handler_changes_is_its_own(broker: Broker, consumer: Consumer) -> None:
    put(broker, "job", "original")
    job = consumer.reserve()
    context = context_of(job)
    context.run(request_id.set, "changed")
    # One may be entered in the other, as it is not the same.
    assert "original" == context.run(seen_by, job)


def test_it_stays_with_the_job(
    clock: FakeClock, broker: Broker, consumer: Consumer
) -> None:
    put(broker, "job", 7)
    consumer.reserve().release(delay=5)
    clock.advance(5)
    with pytest.raises(ZeroDivisionError), consumer.reserve():
        raise ZeroDivisionError
    broker.kick("default", 1)
    assert [7, 7] == [seen_by(broker.peek(1)), seen_by(consumer.reserve())]


def test_it_goes_with_the_job(broker: Broker, consumer: Consumer) -> None:
    class Payload:
        """Something that a context refers to."""

    payload = Payload()
    put(broker, "job", payload)
    gone = weakref.ref(payload)
    del payload
    with consumer.reserve() as job:
        assert gone() is seen_by(job)
    del job
    gc.collect()
    assert gone() is None


def test_coroutines_have_contexts_too(broker: Broker, consumer: Consumer) -> None:
    async def request(number: int) -> None:
        request_id.set(number)
        await broker.async_producer(context=True).put("job")
        await broker.async_producer().put("without")

    async def main() -> None:
        await asyncio.gather(request(1), request(2))

    asyncio.run(main())
    jobs = consumer.reserve_many(4)
    assert [1, 2] == [seen_by(job) for job in jobs if job.body == "job"]
    assert [None, None] == [job.context for job in jobs if job.body == "without"]
