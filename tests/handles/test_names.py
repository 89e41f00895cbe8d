"""Who is who: the names of handles, and who holds a job."""

from __future__ import annotations

import asyncio
import sys
import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from inproc_tubes import (
    AsyncConsumer,
    AsyncProducer,
    Broker,
    Consumer,
    Job,
    NotFoundError,
    Producer,
)
from inproc_tubes.names import name_here
from inproc_tubes.protocol import ProtocolSession

if TYPE_CHECKING:
    from inproc_tubes.testing import FakeClock


def handles(
    broker: Broker, name: str | None
) -> list[Producer | Consumer | AsyncProducer | AsyncConsumer]:
    """Return one handle of each kind."""
    return [
        broker.producer(name=name),
        broker.consumer(name=name),
        broker.async_producer(name=name),
        broker.async_consumer(name=name),
    ]


def test_a_handle_has_the_name_that_it_was_given(broker: Broker) -> None:
    for handle in handles(broker, "packer-1"):
        assert "packer-1" == handle.name
        assert repr(handle).startswith(f"<{type(handle).__name__} 'packer-1': ")
        handle.close()
        assert "packer-1" == handle.name


def test_names_need_not_differ(broker: Broker) -> None:
    broker.consumer(name="packer")
    assert "packer" == broker.consumer(name="packer").name


def test_without_one_it_has_that_of_its_thread(broker: Broker) -> None:
    names: list[str] = []

    def make() -> None:
        names.extend(handle.name for handle in handles(broker, None))

    thread = threading.Thread(target=make, name="packers")
    thread.start()
    thread.join()
    assert ["packers"] * 4 == names


def test_in_a_task_it_has_that_of_the_task(broker: Broker) -> None:
    async def make() -> list[str]:
        return [handle.name for handle in handles(broker, None)]

    async def main() -> list[str]:
        return await asyncio.create_task(make(), name="packers")

    assert ["packers"] * 4 == asyncio.run(main())


def test_in_a_callback_of_a_loop_it_has_that_of_the_thread(broker: Broker) -> None:
    names: list[str] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.call_soon(lambda: names.append(broker.consumer().name))
        await asyncio.sleep(0)

    asyncio.run(main())
    assert ["MainThread"] == names


@pytest.mark.parametrize("asyncio", [None, SimpleNamespace()])
def test_where_nobody_uses_asyncio_or_not_yet_it_is_not_asked(
    asyncio: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "asyncio", asyncio)
    assert "MainThread" == name_here()


def test_a_job_tells_who_holds_it(
    clock: FakeClock, broker: Broker, producer: Producer
) -> None:
    packer = broker.consumer(name="packer-1")
    producer.put("scarf", ttr=10)
    ready = broker.peek_ready("default")
    job = packer.reserve()
    held = broker.peek(job.id)
    assert ["packer-1"] * 3 == [each.holder for each in (job, held, job.stats())]
    assert ready.holder is None
    clock.advance(10)
    assert [None, None] == [job.holder, job.stats().holder]
    again = broker.consumer(name="packer-2").reserve()
    assert ("packer-2", None) == (again.holder, job.holder)
    assert "packer-2" == broker.jobs("default")[0].holder
    again.bury()
    assert again.holder is None
    # A look is one at that moment.
    assert "packer-1" == held.holder


def test_a_job_is_shown_with_its_holder(
    clock: FakeClock, broker: Broker, producer: Producer
) -> None:
    producer.put("scarf", ttr=10)
    job = broker.consumer(name="packer-1").reserve()
    shown = "<Job 1 in 'default', {}, priority 65536: 'scarf'>"
    assert shown.format("reserved by 'packer-1'") == repr(job)
    assert [repr(job)] == list(map(repr, broker.jobs("default")))
    clock.advance(10)
    assert shown.format("ready") == repr(job)
    again = broker.consumer(name="packer-2").reserve()
    assert shown.format("reserved since, by 'packer-2'") == repr(job)
    again.release()
    assert shown.format("ready since, by another handle") == repr(job)


def test_an_error_tells_who_holds_the_job(
    clock: FakeClock, broker: Broker, producer: Producer
) -> None:
    producer.put("scarf", ttr=10)
    job = broker.consumer(name="packer-1").reserve()
    with pytest.raises(NotFoundError, match=r"^job 1 is held by 'packer-1'$") as caught:
        broker.delete(job.id)
    assert "packer-1" == caught.value.holder
    clock.advance(12)
    broker.consumer(name="packer-2").reserve()
    with pytest.raises(
        NotFoundError,
        match=r"^the reservation of job 1 expired 2 s ago; "
        r"the job is held by 'packer-2' now$",
    ) as caught:
        job.touch()
    assert "packer-2" == caught.value.holder


def test_a_dropped_consumer_still_holds_what_its_user_has(
    broker: Broker, producer: Producer
) -> None:
    producer.put("scarf")
    consumer: Consumer | None = broker.consumer(name="packer-1")
    assert consumer is not None
    job: Job = consumer.reserve()
    consumer = None
    assert "packer-1" == job.holder == job.stats().holder


def test_over_the_wire_it_is_the_thread_of_the_client_and_nothing_is_shown(
    broker: Broker, producer: Producer
) -> None:
    session = ProtocolSession(broker)
    producer.put(b"scarf")
    session.receive(b"reserve\r\n")
    session.take()
    assert "MainThread" == broker.stats_job(1).holder
    session.receive(b"stats-job 1\r\n")
    assert b"holder" not in session.take()
