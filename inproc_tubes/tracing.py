"""Spans of OpenTelemetry for puts and for the work. Needs the extra ``opentelemetry``.

The put of a job is a span of kind PRODUCER, a child of the span that is current there.
Each reservation of it is a span of kind CONSUMER, from when the job is reserved until it
is deleted, released, buried or lost: the root of a trace of its own, with a link to the
put. Both come from the events of the broker, so that it makes no difference who puts and
who works, in which threads and loops.
"""

from __future__ import annotations

import inspect
import threading
from contextlib import contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, Self, TypeVar, cast

from .core.event import EventKind
from .core.job import Job, JobState
from .extras import from_extra
from .version import __version__

with from_extra("opentelemetry"):
    from opentelemetry import trace
    from opentelemetry.context import Context
    from opentelemetry.trace import (
        Link,
        Span,
        SpanContext,
        SpanKind,
        Status,
        StatusCode,
    )

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from types import TracebackType

    from opentelemetry.trace import TracerProvider

    from .broker import Broker
    from .core.event import Event

__all__ = ["Tracing"]

P = ParamSpec("P")
R = TypeVar("R")

_ENDS_OF_JOBS = {EventKind.DELETED, EventKind.CANCELLED, EventKind.EXPIRED}
_ENDS = _ENDS_OF_JOBS | {
    EventKind.RELEASED,
    EventKind.TIMED_OUT,
    EventKind.RETURNED,
    EventKind.BURIED,
}
_KINDS = _ENDS | {EventKind.PUT, EventKind.RESERVED, EventKind.CLOSED}
_ERRORS = {EventKind.TIMED_OUT, EventKind.BURIED}


class Tracing:
    """Makes spans of what happens in a broker, from now on.

    As a context manager it ends with its block. Spans do not show bodies.

    Args:
        broker: The broker.
        tracer_provider: Where the spans go; None for the global one.

    Raises:
        ClosedError: The broker was closed.
    """

    def __init__(
        self, broker: Broker[Any], tracer_provider: TracerProvider | None = None
    ) -> None:
        self._tracer = trace.get_tracer(
            "inproc_tubes", __version__, tracer_provider=tracer_provider
        )
        self._lock = threading.RLock()
        self._puts: dict[int, SpanContext] = {}  # {id of the job: that of its put}
        # {(id, tries): span} of the reservations that last.
        self._work: dict[tuple[int, int], Span] = {}
        self._unlinked: set[tuple[int, int]] = set()  # those whose put is not told yet
        self._subscription = broker.subscribe(self._take, _KINDS)

    def close(self) -> None:
        """Make no more spans, and end open ones. Calling this twice has no effect."""
        self._subscription.unsubscribe()
        self._end_all()

    def __enter__(self) -> Self:
        """Return this, which the end of the with-block closes."""
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close this, see `close`."""
        self.close()

    @contextmanager
    def use(self, job: Job[Any]) -> Iterator[Span]:
        """Make the span of a job in hand the current one, for a with-block.

        Spans that begin in the block are its children. An exception that leaves the block
        is noted in it. Use it outside of the job's own block: ``with tracing.use(job),
        job:``, so that it lasts as long as that.

        Args:
            job: A job that was reserved. Where it is not in hand any more, no span is
                made current.

        Returns:
            A context manager, which yields the span: one that records nothing where the
            job is not in hand.
        """
        span = self._work_of(job.id, job.tube, job.reserves, job._state)
        with trace.use_span(span, record_exception=True, set_status_on_exception=True):
            yield span

    def handler(self, function: Callable[P, R]) -> Callable[P, R]:
        """Return a handler of a worker that does its work within `use`.

        ``@worker.handles("orders")`` stands above ``@tracing.handler``.

        Args:
            function: What takes a job as its first argument; a coroutine function too.

        Returns:
            A function with the same signature. It raises TypeError where its first
            argument is no job.
        """
        if inspect.iscoroutinefunction(function):
            awaited = cast("Callable[P, Awaitable[Any]]", function)

            @wraps(function)
            async def work(*args: P.args, **kwargs: P.kwargs) -> Any:
                with self.use(_job_of(args)):
                    return await awaited(*args, **kwargs)

            return cast("Callable[P, R]", work)

        @wraps(function)
        def work_here(*args: P.args, **kwargs: P.kwargs) -> R:
            with self.use(_job_of(args)):
                return function(*args, **kwargs)

        return work_here

    # Events

    def _take(self, event: Event) -> None:
        if event.kind is EventKind.CLOSED:
            self._end_all()
            return
        assert event.job_id is not None  # all others are about jobs
        assert event.tube is not None
        assert event.tries is not None
        if event.kind is EventKind.PUT:
            self._put(event.job_id, event.tube)
        elif event.kind is EventKind.RESERVED:
            self._work_of(event.job_id, event.tube, event.tries, JobState.RESERVED)
        else:
            self._end((event.job_id, event.tries), event)
            if event.kind in _ENDS_OF_JOBS:
                with self._lock:
                    self._puts.pop(event.job_id, None)

    def _put(self, job_id: int, tube: str) -> None:
        span = self._tracer.start_span(
            f"send {tube}",
            kind=SpanKind.PRODUCER,
            attributes=_attributes("send", tube, job_id),
        )
        span.end()
        with self._lock:
            context = self._puts[job_id] = span.get_span_context()
            # Whoever waited for the job may be at work before this is told.
            for key in [key for key in self._unlinked if key[0] == job_id]:
                self._unlinked.discard(key)
                self._work[key].add_link(context)

    def _work_of(self, job_id: int, tube: str, tries: int, state: JobState) -> Span:
        """Return the span of a reservation, which is made where there is none yet."""
        key = job_id, tries
        with self._lock:
            span = self._work.get(key)
            if span is not None:
                return span
            if state is not JobState.RESERVED:
                return trace.INVALID_SPAN
            put = self._puts.get(job_id)
            attributes = _attributes("process", tube, job_id)
            span = self._tracer.start_span(
                f"process {tube}",
                context=Context(),  # not that of whoever has made the event
                kind=SpanKind.CONSUMER,
                attributes={**attributes, "inproc_tubes.tries": tries},
                links=[] if put is None else [Link(put)],
            )
            if put is None:
                self._unlinked.add(key)
            self._work[key] = span
            return span

    def _end(self, key: tuple[int, int], event: Event) -> None:
        with self._lock:
            span = self._work.pop(key, None)
            self._unlinked.discard(key)
        if span is not None:
            span.set_attribute("inproc_tubes.outcome", event.kind.value)
            if event.error is not None:
                span.set_status(Status(StatusCode.ERROR, event.error.headline))
            elif event.kind in _ERRORS:
                span.set_status(Status(StatusCode.ERROR, event.kind.value))
            span.end()

    def _end_all(self) -> None:
        with self._lock:
            spans = list(self._work.values())
            self._work.clear()
            self._unlinked.clear()
            self._puts.clear()
        for span in spans:
            span.end()


def _attributes(verb: str, tube: str, job_id: int) -> dict[str, str | int]:
    """Return what the semantic conventions for messaging want."""
    return {
        "messaging.system": "inproc_tubes",
        "messaging.operation.type": verb,
        "messaging.destination.name": tube,
        "messaging.message.id": str(job_id),
    }


def _job_of(args: tuple[object, ...]) -> Job[Any]:
    job = args[0] if args else None
    if not isinstance(job, Job):
        message = f"a handler takes a job first, not {type(job).__name__}"
        raise TypeError(message)
    return job
