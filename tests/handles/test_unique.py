"""Unique jobs, as the handles have them."""

from __future__ import annotations

import asyncio
import gc
from enum import StrEnum
from typing import Any

import pytest

from inproc_tubes import (
    Broker,
    Consumer,
    DuplicateJobError,
    Producer,
    TubeFullError,
)
from tests.threads import LONG, waiting


def test_a_key_is_for_one_job_at_a_time(
    broker: Broker, producer: Producer, consumer: Consumer
) -> None:
    job_id = producer.put("a", key="invoice-7")
    with pytest.raises(DuplicateJobError) as info:
        producer.put("b", key="invoice-7")
    assert str(info.value) == (
        "tube 'default' has job 1 with the key 'invoice-7' already"
    )
    assert info.value.job_id == job_id
    assert producer.put("c", key="invoice-7", on_duplicate="keep") == job_id
    assert producer.put("d", key="invoice-7", on_duplicate="replace") == 2
    with consumer.reserve() as job:
        assert (job.key, job.body) == ("invoice-7", "d")
        with pytest.raises(DuplicateJobError):
            producer.put("e", key="invoice-7", on_duplicate="replace")
    assert producer.put("f", key="invoice-7") == 3
    found = broker.find("invoice-7")
    assert found is not None
    assert (found.id, found.body, found.key) == (3, "f", "invoice-7")
    assert found.stats().state == "ready"


def test_a_job_that_has_no_key_has_none(producer: Producer, consumer: Consumer) -> None:
    producer.put("a")
    producer.put("b", key=None, on_duplicate="keep")
    assert [consumer.reserve().key, consumer.reserve().key] == [None, None]


def test_what_is_not_there_is_not_found(broker: Broker, producer: Producer) -> None:
    producer.put("a", key="k", tube="other")
    assert broker.find("k") is None
    assert broker.find("k", tube="nowhere") is None
    assert broker.find("x", tube="other") is None


def test_a_long_key_is_cut_in_the_message() -> None:
    assert "k" * 60 + "...'" in str(DuplicateJobError("k" * 100, "t", 1))


class Kind(StrEnum):
    """A str that compares by code of its own."""

    REPORT = "report"


def test_a_key_of_a_subclass_is_kept_as_a_plain_one(
    broker: Broker, producer: Producer
) -> None:
    producer.put("a", key=Kind.REPORT)
    job = broker.find("report")
    assert job is not None
    assert type(job.key) is str


def test_put_many_takes_the_key_from_each_body(
    broker: Broker, producer: Producer
) -> None:
    def key(number: int) -> str | None:
        return f"n{number}" if number else None

    assert producer.put_many([1, 2, 0, 0], key=key) == [1, 2, 3, 4]
    with pytest.raises(DuplicateJobError):
        producer.put_many([5, 2], key=key)
    assert broker.find("n5") is None
    assert producer.put_many([5, 2, 5], key=key, on_duplicate="keep") == [5, 2, 5]
    assert producer.put_many([6, 2], key=key, on_duplicate="replace") == [6, 7]
    assert producer.put_many([0], key=lambda _: None, on_duplicate="keep") == [8]


@pytest.mark.parametrize("mode", ["raise", "replace"])
def test_two_bodies_with_the_same_key_are_refused_before_anything_is_put(
    broker: Broker, producer: Producer, mode: Any
) -> None:
    with pytest.raises(ValueError, match=r"^two of the bodies have the key 'k'$"):
        producer.put_many(["a", "b"], key=lambda _: "k", on_duplicate=mode)
    assert broker.jobs("default") == []


def test_a_function_that_fails_leaves_nothing_behind(
    broker: Broker, producer: Producer
) -> None:
    with pytest.raises(ZeroDivisionError):
        producer.put_many([1, 0], key=lambda n: str(1 / n))
    assert broker.stats().cmd_put == 0


def test_a_put_with_a_key_waits_for_room(
    broker: Broker, producer: Producer, consumer: Consumer
) -> None:
    broker.limit_tube("default", 1)
    producer.put("a")
    with pytest.raises(TubeFullError):
        producer.put("b", key="k", timeout=0)
    future = waiting(broker, lambda: producer.put("b", key="k"))
    consumer.reserve().delete()
    assert future.result(LONG) == 2
    assert broker.find("k") is not None
    with pytest.raises(TubeFullError):
        producer.put_many(["c"], key=str, timeout=0)


def test_coroutines_have_keys_too(broker: Broker) -> None:
    async def main() -> None:
        producer = broker.async_producer()
        assert await producer.put("a", key="k") == 1
        assert await producer.put("b", key="k", on_duplicate="keep") == 1
        with pytest.raises(DuplicateJobError):
            await producer.put_many(
                ["a", "b"], key=lambda _: "k", on_duplicate="replace"
            )

    with pytest.raises(ValueError, match="two of the bodies"):
        asyncio.run(main())

    async def wait() -> None:
        producer = broker.async_producer()
        broker.limit_tube("default", 1)
        putting = asyncio.ensure_future(producer.put("b", key="other"))
        await asyncio.sleep(0)
        broker.delete(1)
        assert await putting == 2

    asyncio.run(wait())


def test_the_body_of_a_put_that_has_waited_in_vain_dies_when_the_lock_is_free(
    broker: Broker,
) -> None:
    seen = []

    class Body:
        def __del__(self) -> None:
            seen.append(broker.tubes())

    async def main() -> None:
        producer = broker.async_producer()
        broker.limit_tube("default", 1)
        await producer.put("first")
        putting = [
            asyncio.ensure_future(
                producer.put_many([body], key=lambda _: "k", on_duplicate="keep")
            )
            for body in ("second", Body())
        ]
        await asyncio.sleep(0)
        broker.delete(1)
        assert [await each for each in putting] == [[2], [2]]

    asyncio.run(main())
    gc.collect()
    assert seen == [["default"]]
