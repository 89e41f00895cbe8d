"""Spans for puts and for the work, as OpenTelemetry's own SDK exports them."""

from __future__ import annotations

import asyncio
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from inproc_tubes import Broker, ClosedError
from inproc_tubes.core.event import Event, EventKind
from inproc_tubes.testing import FakeClock, wait_until_waiting
from inproc_tubes.tracing import Tracing
from inproc_tubes.worker import AsyncWorker, Worker
from tests.threads import LONG

if TYPE_CHECKING:
    from collections.abc import Iterator


class Scene:
    """A broker of which spans are made, and exported into memory."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracer = self.provider.get_tracer("test")
        self.clock = FakeClock()
        self.broker: Broker = Broker(clock=self.clock)
        self.tracing = Tracing(self.broker, self.provider)

    def spans(self) -> list[ReadableSpan]:
        """Return the spans that have ended, in this order."""
        return list(self.exporter.get_finished_spans())

    def span(self, name: str) -> ReadableSpan:
        """Return the span of this name."""
        (found,) = [span for span in self.spans() if span.name == name]
        return found


@pytest.fixture
def scene() -> Iterator[Scene]:
    """Make a scene; at its end no span is open."""
    scene = Scene()
    yield scene
    scene.tracing.close()
    assert not scene.tracing._work
    scene.provider.shutdown()


def assert_linked(work: ReadableSpan, put: ReadableSpan) -> None:
    """Check that the work has a link to the put, and a trace of its own."""
    assert [link.context for link in work.links] == [put.context]
    assert work.parent is None
    assert work.context.trace_id != put.context.trace_id


def test_a_put_and_the_work_are_two_spans_with_a_link(scene: Scene) -> None:
    with scene.tracer.start_as_current_span("request") as request:
        scene.broker.producer("orders").put("secret")
    scene.broker.consumer("orders").reserve().delete()
    put, work = scene.span("send orders"), scene.span("process orders")
    assert (SpanKind.PRODUCER, SpanKind.CONSUMER) == (put.kind, work.kind)
    assert put.parent == request.get_span_context()
    assert_linked(work, put)
    assert put.attributes == {
        "messaging.system": "inproc_tubes",
        "messaging.operation.type": "send",
        "messaging.destination.name": "orders",
        "messaging.message.id": "1",
    }
    assert work.attributes is not None
    assert work.attributes["inproc_tubes.outcome"] == "deleted"
    assert work.attributes["inproc_tubes.tries"] == 1
    assert work.status.status_code is StatusCode.UNSET
    assert not any("secret" in span.to_json() for span in scene.spans())
    assert not scene.tracing._puts


def test_each_try_is_a_span_with_its_outcome(scene: Scene) -> None:
    scene.broker.producer().put("a", ttr=5)
    consumer = scene.broker.consumer()
    consumer.reserve().release()
    consumer.reserve()
    scene.clock.advance(5)
    consumer.reserve().bury(error=ValueError("torn"))
    scene.broker.kick("default", 1)
    consumer.reserve().bury()
    scene.broker.kick("default", 1)
    consumer.reserve()
    scene.broker.cancel(1)
    put, *work = scene.spans()
    for span in work:
        assert_linked(span, put)
    found = [
        (
            span.attributes and span.attributes["inproc_tubes.outcome"],
            span.status.status_code.name,
            span.status.description,
        )
        for span in work
    ]
    assert found == [
        ("released", "UNSET", None),
        ("timed_out", "ERROR", "timed_out"),
        ("buried", "ERROR", "ValueError: torn"),
        ("buried", "ERROR", "buried"),
        ("cancelled", "UNSET", None),
    ]


def test_the_put_of_another_thread_has_the_parent_of_that_thread(
    scene: Scene,
) -> None:
    came: list[Any] = []

    def work() -> None:
        job = consumer.reserve()
        with scene.tracing.use(job), job:
            came.append(trace.get_current_span().get_span_context())
            scene.tracer.start_span("child").end()

    consumer = scene.broker.consumer()
    thread = Thread(target=work)
    thread.start()
    wait_until_waiting(scene.broker, 1)
    with scene.tracer.start_as_current_span("request") as request:
        scene.broker.producer().put("a")
    thread.join(LONG)
    scene.broker.pause_tube("default", 1)  # all is told by then
    put, span = scene.span("send default"), scene.span("process default")
    assert put.parent == request.get_span_context()
    assert_linked(span, put)
    assert [span.context] == came
    assert scene.span("child").parent == span.context


def test_a_worker_does_its_work_in_the_span(scene: Scene) -> None:
    worker = Worker(scene.broker, threads=0)

    @worker.handles("orders")
    @scene.tracing.handler
    def pack(job: Any) -> None:
        scene.tracer.start_span(f"packs {job.body}").end()

    scene.broker.producer("orders").put("scarf")
    assert worker.run_pending() == 1
    work = scene.span("process orders")
    assert scene.span("packs scarf").parent == work.context
    assert pack.__name__ == "pack"


def test_an_async_worker_does_its_work_in_the_span(scene: Scene) -> None:
    async def main() -> None:
        worker = AsyncWorker(scene.broker)

        @worker.handles("orders")
        @scene.tracing.handler
        async def pack(job: Any) -> None:
            await asyncio.sleep(0)
            scene.tracer.start_span(f"packs {job.body}").end()

        async with worker:
            scene.broker.producer("orders").put_many(["scarf", "hat"])
            await scene.broker.async_join()

    asyncio.run(main())
    spans = [span for span in scene.spans() if span.name == "process orders"]
    parents = [scene.span(f"packs {body}").parent for body in ("scarf", "hat")]
    assert parents == [span.context for span in spans]


def test_an_exception_is_noted_in_the_span(scene: Scene) -> None:
    scene.broker.producer().put("a")
    job = scene.broker.consumer().reserve()

    def tear(_job: Any) -> None:
        message = "torn"
        raise ValueError(message)

    with pytest.raises(ValueError, match="torn"):
        scene.tracing.handler(tear)(job)
    job.delete()
    span = scene.span("process default")
    assert [event.name for event in span.events] == ["exception"]
    assert span.status.status_code is StatusCode.ERROR


def test_work_that_is_begun_before_the_put_is_told_is_linked_late(
    scene: Scene,
) -> None:
    scene.tracing._subscription.unsubscribe()
    scene.broker.producer().put("a")
    consumer = scene.broker.consumer()
    job = consumer.reserve()
    with scene.tracing.use(job):
        pass
    about = {"at": 0.0, "tube": "default", "job_id": 1}
    scene.tracing._take(Event(kind=EventKind.PUT, tries=0, **about))  # type: ignore[arg-type]  # a dict
    scene.tracing._take(Event(kind=EventKind.RESERVED, tries=1, **about))  # type: ignore[arg-type]  # a dict
    scene.tracing._take(Event(kind=EventKind.DELETED, tries=1, **about))  # type: ignore[arg-type]  # a dict
    assert_linked(scene.span("process default"), scene.span("send default"))


def test_a_job_that_is_not_in_hand_has_no_span(scene: Scene) -> None:
    scene.broker.producer().put("a")
    job = scene.broker.consumer().reserve()
    job.delete()
    with scene.tracing.use(job) as span:
        assert not span.is_recording()
    assert len(scene.spans()) == 2


def test_a_job_that_was_put_before_has_no_link(scene: Scene) -> None:
    scene.tracing.close()
    scene.broker.producer().put("a")
    with Tracing(scene.broker, scene.provider):
        scene.broker.consumer().reserve().delete()
    assert () == tuple(scene.span("process default").links)


def test_a_job_that_was_reserved_before_has_no_span_of_the_work(
    scene: Scene,
) -> None:
    scene.tracing.close()
    scene.broker.producer().put("a")
    job = scene.broker.consumer().reserve()
    with Tracing(scene.broker, scene.provider):
        job.delete()
    assert scene.spans() == []


def test_the_end_of_the_broker_ends_the_spans(scene: Scene) -> None:
    scene.broker.producer().put("a")
    job = scene.broker.consumer().reserve()
    scene.broker.close()
    assert job.lost
    assert scene.span("process default").end_time is not None
    with pytest.raises(ClosedError):
        Tracing(scene.broker)


def test_a_handler_without_a_job_is_refused(scene: Scene) -> None:
    for args in ((), ("job",)):
        with pytest.raises(TypeError, match="takes a job first"):
            scene.tracing.handler(print)(*args)
