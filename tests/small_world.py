"""A broker with something in every container: what a refusal must leave as it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from inproc_tubes import (
    AsyncConsumer,
    AsyncProducer,
    Broker,
    Consumer,
    Job,
    Producer,
)
from inproc_tubes.core.making import new_job
from inproc_tubes.core.requests import (
    JoinRequest,
    PutRequest,
    ReserveRequest,
    ResultRequest,
)
from inproc_tubes.core.results import await_end
from inproc_tubes.monitor import Monitor
from inproc_tubes.testing import FakeClock
from tests.snapshots import snapshot

if TYPE_CHECKING:
    from inproc_tubes.core.schedule import AnyRequest


@dataclass
class World:
    """A broker with something in every container, and handles on it."""

    clock: FakeClock
    broker: Broker
    producer: Producer
    consumer: Consumer
    waiting: Consumer
    async_producer: AsyncProducer
    async_consumer: AsyncConsumer
    job: Job  # held by the consumer
    foreign: Job  # of another broker; its id exists here, too

    @classmethod
    def new(cls) -> World:
        clock = FakeClock()
        broker = Broker(clock=clock, max_job_size=10)
        producer = broker.producer("jobs")
        consumer = broker.consumer("jobs", "idle")
        for body in ({"any": "object"}, "text", b"bytes", None):
            producer.put(body, ttr=30)
        job = consumer.reserve()
        consumer.reserve().bury()
        producer.put("late", delay=20)
        producer.put("ready", tube="elsewhere")
        broker.pause_tube("elsewhere", 100)
        waiting = broker.consumer("idle")
        broker.limit_tube("narrow", 1)
        producer.put("first", tube="narrow")
        job_that_waits = new_job("second", 0, 0, 60)
        let_wait(broker, ReserveRequest(waiting._session, 50))
        let_wait(broker, PutRequest(producer._session, 50, [job_that_waits], "narrow"))
        let_wait(broker, JoinRequest(50, ["narrow"]))
        stranger = Broker(clock=FakeClock())
        stranger.producer().put("foreign")
        foreign = stranger.consumer().reserve()
        return cls(
            clock,
            broker,
            producer,
            consumer,
            waiting,
            broker.async_producer("jobs"),
            broker.async_consumer("jobs"),
            job,
            foreign,
        )

    def snapshot(self) -> Any:
        monitor = self.broker._monitor
        sleepers = [monitor.ways, self.broker._sleepers]
        parts = [monitor.engine, monitor.admin, sleepers, self.clock.now()]
        return snapshot(parts, Monitor)


def let_wait(broker: Broker, request: AnyRequest) -> None:
    """Leave a request in the engine as a thread does that goes to sleep then."""
    engine = broker._engine

    def wait(now: float) -> None:
        if isinstance(request, ReserveRequest):
            engine.wait_to_reserve(now, request)
        elif isinstance(request, PutRequest):
            engine.wait_to_put(now, request)
        elif isinstance(request, ResultRequest):
            await_end(now, engine, request)
        else:
            engine.join(now, request)
        assert request.outcome is None
        broker._sleepers.enter(broker._monitor, request)

    broker._monitor.run(wait)
