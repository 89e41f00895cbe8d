"""An event: what has happened in a broker, for whoever has subscribed to it.

It is a value. It refers to nothing of the broker, and to a body only where that was asked
for.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .failure import JobError

__all__ = ["ALL_KINDS", "Event", "EventKind", "with_body"]


class EventKind(Enum):
    """The kinds of events."""

    PUT = "put"
    """A job was put."""
    READY = "ready"
    """The delay of a job is over."""
    RESERVED = "reserved"
    """A consumer has reserved a job."""
    TOUCHED = "touched"
    """Its consumer has restarted the time to run of a job."""
    RELEASED = "released"
    """Its consumer has released a job."""
    TIMED_OUT = "timed_out"
    """A reservation has ended, as the job's time to run was over."""
    RETURNED = "returned"
    """A job is ready again, and nobody has released it: its consumer was closed or
    dropped, or its reserve was interrupted."""
    BURIED = "buried"
    """A job was buried: by its consumer, `Broker.bury` or `Broker.limit_tries`."""
    KICKED = "kicked"
    """A buried or delayed job was kicked."""
    MOVED = "moved"
    """A job belongs to another tube."""
    UPDATED = "updated"
    """A job has another priority, or another delay: see `Broker.update`."""
    DELETED = "deleted"
    """A job was deleted, or its put was interrupted while it waited for room."""
    CANCELLED = "cancelled"
    """A job was cancelled: see `Broker.cancel`."""
    EXPIRED = "expired"
    """The life of a job has ended: see ``expires`` of `Producer.put`."""
    TUBE_PAUSED = "tube_paused"
    """A tube was paused."""
    TUBE_RESUMED = "tube_resumed"
    """The pause of a tube is over."""
    TUBE_LIMITED = "tube_limited"
    """A tube has another limit: see `Broker.limit_tube`."""
    CONSUMER_OPENED = "consumer_opened"
    """A consumer was made, or a connection of the protocol."""
    CONSUMER_CLOSED = "consumer_closed"
    """A consumer was closed or dropped, or a connection of the protocol."""
    RECOVERED = "recovered"
    """The broker has recovered from an exception in the middle of a verb. Events of what
    happened in that verb may be missing."""
    CLOSED = "closed"
    """The broker was closed, and all its jobs are gone. There is no event after this."""


ALL_KINDS = frozenset(EventKind)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that has happened. What does not apply, or is not known, is None."""

    kind: EventKind
    """What has happened."""
    at: float
    """When that happened, by the clock of the broker."""
    tube: str | None = None
    """The name of the tube; of a MOVED job, that of the new one."""
    job_id: int | None = None
    """The id of the job."""
    tries: int | None = None
    """How often the job was reserved by then."""
    age: float | None = None
    """Seconds since the job was put."""
    waited: float | None = None
    """RESERVED for the first time: seconds since the job was put, less its delay."""
    held: float | None = None
    """Where a reservation has ended, or was touched: how many seconds it has lasted."""
    consumer: str | None = None
    """The name of the consumer that has the job or had it, or of the one itself."""
    priority: int | None = None
    """The priority of the job."""
    delay: float | None = None
    """PUT, RELEASED: seconds until the job is ready. UPDATED: the same, None where only
    its priority has changed. TUBE_PAUSED: seconds of the pause."""
    limit: int | None = None
    """TUBE_LIMITED: how many jobs the tube may have; 0 for any number."""
    source: str | None = None
    """MOVED: the name of the tube that the job was in before."""
    error: JobError | None = None
    """RELEASED, BURIED: what the job has failed with, if that is known."""
    body: object = None
    """The body of the job, where bodies were asked for."""


def with_body(event: Event, body: object) -> Event:
    """Return an event that shows the body as well. Cost: O(1)."""
    return replace(event, body=body)
