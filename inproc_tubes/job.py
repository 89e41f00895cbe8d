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

__all__ = ["JobState", "Record"]


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

    def __init__(
        self,
        job_id: int,
        body: Any,
        tube: Any,
        priority: int,
        delay: float,
        ttr: float,
        now: float,
    ) -> None:
        self.id = job_id
        self.body = body
        self.tube = tube  # its Tube, in which it stays for life
        self.priority = priority
        self.delay = delay  # as last given by put or release
        self.ttr = ttr
        self.created_at = now
        self.state = _READY
        self.due_at = 0.0  # RESERVED: when it expires; DELAYED: when it is ready
        self.owner: object = None  # the Session that holds it while RESERVED
        self.reservation = 0  # the number of its last reservation
        self.expired: list[int] | None = None  # reservations that have run out
        self.reserves = 0
        self.timeouts = 0
        self.releases = 0
        self.buries = 0
        self.kicks = 0
