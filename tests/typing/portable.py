"""Brokers of both kinds as a type checker sees them: checked, and never run."""

from __future__ import annotations

from typing import Any, assert_type

from inproc_tubes import (
    AnyAsyncConsumer,
    AnyAsyncProducer,
    AnyBroker,
    AnyConsumer,
    AnyProducer,
    Broker,
    BrokerStats,
    Clock,
    Job,
    JobStats,
    make_broker,
)
from inproc_tubes.remote import (
    BytesCodec,
    JsonCodec,
    RemoteBroker,
    StrCodec,
    UnsafePickleCodec,
    connect,
)
from inproc_tubes.testing import FakeClock
from inproc_tubes.worker import AsyncWorker, Worker

made = make_broker("memory://")
assert_type(made, AnyBroker[Any])
make_broker("beanstalk://localhost:11300", "bytes", clock=FakeClock())
remote = connect("beanstalk://localhost", JsonCodec(), answer_timeout=1)
connect("beanstalk://a,b", reconnect_timeout=None)
for codec in (BytesCodec(), StrCodec(), UnsafePickleCodec()):
    connect("beanstalk://a", codec)
assert_type(remote.clock, Clock)

# Both are one for an application

memory: AnyBroker[str] = Broker[str]()
elsewhere: RemoteBroker[str] = connect("beanstalk://localhost", "str")
either: AnyBroker[str] = elsewhere


def application(broker: AnyBroker[str]) -> None:
    """Use what both have."""
    producer: AnyProducer[str] = broker.producer("a", name="shop")
    assert_type(producer.put("a", priority=5, delay=0.5), int)
    assert_type(producer.put_many(["a"], tube="b"), list[int])
    producer.put(5)  # type: ignore[arg-type]  # no str
    consumer: AnyConsumer[str] = broker.consumer("a", "b")
    assert_type(consumer.reserve(timeout=5), Job[str])
    assert_type(consumer.reserve(0, default=None), Job[str] | None)
    assert_type(consumer.reserve_nowait(), Job[str] | None)
    assert_type(consumer.reserve_many(5), list[Job[str]])
    for each in consumer:
        assert_type(each.body, str)
        with each as same:
            same.release(delay=5)
    with broker.consumer() as other:
        other.release(7, priority=5)
        other.delete(consumer.reserve())
    assert_type(broker.stats(), BrokerStats)
    assert_type(broker.stats_job(7), JobStats)
    assert_type(broker.peek(7), Job[str])
    assert_type(broker.join("a", timeout=5), int)


async def coroutines(broker: AnyBroker[str]) -> None:
    """Use what both have, and await it."""
    producer: AnyAsyncProducer[str] = broker.async_producer("a")
    consumer: AnyAsyncConsumer[str] = broker.async_consumer("a")
    async with producer, consumer:
        assert_type(await producer.put("a"), int)
        assert_type(await consumer.reserve(5), Job[str])
        async for job in consumer:
            assert_type(job, Job[str])


def pack(job: Job[str]) -> None:
    """Do something with a word."""
    assert_type(job.body, str)


for broker in (memory, elsewhere):
    application(broker)
    Worker(broker, {"a": pack})
    AsyncWorker(broker, {"a": pack})
