"""Why a verb does not find a job: the answer to a caller who wonders.

Only a refusal asks. So nothing here costs anything to a verb that succeeds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from inproc_tubes.errors import NotFoundError, NotFoundReason

from .job import PeekedJob
from .making import holder_name, holder_of
from .record import JobState

if TYPE_CHECKING:
    from .limits import JobId
    from .record import AnyJob
    from .session import Session
    from .store import Store

__all__ = ["is_of_another", "why_not"]


def why_not(
    store: Store,
    now: float,
    job_id: JobId,
    handle: AnyJob | None,
    session: Session | None = None,
) -> NotFoundError:
    """Return the error of a verb that is refused.

    Args:
        store: Where the job is, or was.
        now: The moment.
        job_id: The job.
        handle: The handle that the verb was given, None if it was given an id.
        session: Who calls the verb, if that matters.

    Cost: O(1).
    """
    if is_of_another(store, handle):
        return NotFoundError(job_id, None, None, NotFoundReason.FOREIGN)
    job = store.jobs.get(job_id)
    ended = None if job is not None else _end_of(store, job_id, handle)
    if ended is NotFoundReason.CANCELLED:
        return NotFoundError(job_id, None, None, ended)
    state = None if job is None else job._state.value
    holder = None if job is None else holder_name(job)
    expired_at = _expired_at(job, handle, session)
    if expired_at is not None:
        reason, late = NotFoundReason.EXPIRED, now - expired_at
        return NotFoundError(job_id, None, state, reason, expired_at, late, holder)
    if job is not None:
        ended = _reason(store, job, handle, session)
    return NotFoundError(job_id, None, state, ended, holder=holder)


def is_of_another(store: Store, handle: AnyJob | None) -> bool:
    """Tell whether this is a handle of another broker."""
    holder = holder_of(handle)
    return holder is not None and holder._jobs is not store.jobs


def _end_of(store: Store, job_id: JobId, handle: AnyJob | None) -> NotFoundReason:
    """Return how a job that is not there has ended, if it has ever been there."""
    if handle is not None and handle._history.cancelled:
        return NotFoundReason.CANCELLED
    if not 0 < job_id < store.next_id:
        return NotFoundReason.NEVER_PUT
    return store.gone.reason_of(job_id)


def _expired_at(
    job: AnyJob | None, handle: AnyJob | None, session: Session | None
) -> float | None:
    """Return when the reservation of the caller has expired, None if it has not."""
    if handle is None:
        # Who asks by an id may have been the last to hold the job.
        holder = holder_of(job)
        if job is None or holder is None or holder._session is not session:
            return None
        handle = job
    history = handle._history
    return history.expired_at if history.lost else None


def _reason(
    store: Store, job: AnyJob, handle: AnyJob | None, session: Session | None
) -> NotFoundReason:
    """Return what is in the way to a job that exists."""
    if job._state is JobState.RESERVED and (
        session is None or session.held.get(job._id) is not job
    ):
        return NotFoundReason.HELD
    if store.find(job._id, handle) is None:
        return NotFoundReason.RESERVED_SINCE
    if isinstance(handle, PeekedJob):
        return NotFoundReason.ONLY_PEEKED
    return NotFoundReason.WRONG_STATE
