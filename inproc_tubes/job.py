"""A job as the engine keeps it.

Only `engine.Engine` changes a record, and it does so by these transitions::

                      put                     put with delay
                       │                            │
                       ▼       delay is over        ▼
     ┌──────────────▶ READY ◀──────────────────  DELAYED ◀──────┐
     │                 │  ▲         or kick                     │
     │         reserve │  └───────── kick ──────── BURIED       │
     │ release, expiry,▼                             ▲          │
     └───── close ─ RESERVED ──────── bury ──────────┘          │
                       └───────────── release with delay ───────┘

    reserve_job takes a READY, DELAYED or BURIED job;
    delete ends a job in any state.
"""

from __future__ import annotations

from enum import Enum
from typing import Any

__all__ = ["NO_PAST", "JobState", "Past", "Record", "new_record"]


class JobState(Enum):
    """Where a job is in its life; the values are beanstalkd's words."""

    READY = "ready"
    RESERVED = "reserved"
    DELAYED = "delayed"
    BURIED = "buried"
    #: Its put line has been read and its body has not: seen on the wire alone.
    INVALID = "invalid"


_READY = JobState.READY


class Past:
    """What has happened to a job besides being reserved."""

    __slots__ = ("buries", "expired", "kicks", "releases", "timeouts")

    def __init__(self) -> None:
        self.timeouts = self.releases = self.buries = self.kicks = 0
        self.expired: list[int] = []  # reservations that have run out


NO_PAST = Past()
"""That of most jobs, which share it: never changed, see `Record.own_past`."""


class Record:
    """All that is known of one job.

    ``reservation`` is its fencing token: every reservation of a broker has a number
    of its own, a handle remembers the one it was made for, and once the job has been
    reserved again the numbers differ and the handle is a stranger's.
    """

    __slots__ = (
        "body",
        "created_at",
        "delay",
        "due_at",
        "id",
        "owner",
        "past",
        "priority",
        "reservation",
        "reserves",
        "state",
        "ttr",
        "tube",
    )

    id: int
    body: Any
    tube: Any  # its Tube, in which it stays for life
    priority: int
    delay: float  # as last given by put or release
    ttr: float
    created_at: float
    state: JobState
    due_at: float  # RESERVED: when it expires; DELAYED: when it is ready
    owner: Any  # the Session that holds it while RESERVED
    reservation: int  # the number of its last reservation
    reserves: int
    past: Past

    def own_past(self) -> Past:
        """Return its past, to be changed. Cost: O(1)."""
        if self.past is NO_PAST:
            self.past = Past()
        return self.past


def new_record(
    job_id: int,
    body: Any,
    tube: Any,
    priority: int,
    delay: float,
    ttr: float,
    now: float,
) -> Record:
    """Return the record of a job that is in no container yet.

    Not `Record.__init__`: that would take twice as long, as every class does that
    initialises its objects in Python.
    """
    record = Record()
    record.id = job_id
    record.body = body
    record.tube = tube
    record.priority = priority
    record.delay = delay
    record.ttr = ttr
    record.created_at = now
    record.state = _READY
    record.owner = None
    record.due_at = record.reservation = record.reserves = 0
    record.past = NO_PAST
    return record
