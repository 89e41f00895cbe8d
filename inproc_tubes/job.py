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

__all__ = ["JobState", "Record", "new_record"]


class JobState(Enum):
    """Where a job is in its life; the values are beanstalkd's words."""

    READY = "ready"
    RESERVED = "reserved"
    DELAYED = "delayed"
    BURIED = "buried"
    #: Its put line has been read and its body has not: seen on the wire alone.
    INVALID = "invalid"


_READY = JobState.READY


class Record:
    """All that is known of one job.

    ``reservation`` is its fencing token: every reservation of a broker has a number
    of its own, a handle remembers the one it was made for, and once the job has been
    reserved again the numbers differ and the handle is a stranger's.
    """

    __slots__ = (
        "body",
        "buries",
        "created_at",
        "delay",
        "due_at",
        "expired",
        "id",
        "kicks",
        "owner",
        "priority",
        "releases",
        "reservation",
        "reserves",
        "state",
        "timeouts",
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
    expired: list[int] | None  # reservations that have run out
    reserves: int
    timeouts: int
    releases: int
    buries: int
    kicks: int


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
    record.owner = record.expired = None
    record.due_at = record.reservation = record.reserves = 0
    record.timeouts = record.releases = record.buries = record.kicks = 0
    return record
