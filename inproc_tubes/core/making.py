"""Where jobs are made: new ones, and new objects for those that there are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from .job import MadeJob, PeekedJob
from .record import NO_HISTORY, JobState

if TYPE_CHECKING:
    from contextvars import Context

    from .job import AnyHandle, AnySnapshot, JobHolder
    from .limits import Seconds
    from .record import AnyJob

__all__ = ["holder_name", "holder_of", "new_job", "peeked", "renewed"]

# Final, as everywhere in the core: a compiled module need not look them up.
_READY: Final = JobState.READY


def new_job(
    body: object,
    priority: int,
    delay: Seconds,
    ttr: Seconds,
    context: Context | None = None,
) -> AnyHandle:
    """Return a job that is not in any tube yet. Cost: O(1)."""
    job: AnyJob = MadeJob()
    job._body = body
    job._priority = priority
    job._delay = delay
    job._ttr = ttr
    job._state = _READY
    job._reserves = 0
    job._history = NO_HISTORY
    if context is not None:
        job._own_history().context = context
    return job  # type: ignore[return-value]  # it is a `Job`, and typed as a record


def renewed(job: AnyJob) -> AnyHandle:
    """Return a new object for the same job, ready to be reserved. Cost: O(1)."""
    new = new_job(job._body, job._priority, job._delay, job._ttr)
    job._copy_into(new)
    return new


def peeked(job: AnyJob, holder: JobHolder) -> AnySnapshot:
    """Return a snapshot of the job, with the verbs of that holder. Cost: O(1)."""
    snapshot: AnySnapshot = PeekedJob()
    snapshot._body = job._body
    snapshot._priority = job._priority
    snapshot._delay = job._delay
    snapshot._ttr = job._ttr
    snapshot._state = job._state
    job._copy_into(snapshot)
    snapshot._holder = holder
    snapshot._original = job
    snapshot._held_by = holder_name(job)
    return snapshot


def holder_of(job: AnyJob | None) -> JobHolder | None:
    """Return who has reserved a job last, or has looked at it; None for nobody."""
    return cast("JobHolder | None", getattr(job, "_holder", None))


def holder_name(job: AnyJob) -> str | None:
    """Return what the session is called that holds a job, None if it has no name.

    Cost: O(1).
    """
    holder = holder_of(job) if job._state is JobState.RESERVED else None
    return None if holder is None else holder._name or None
