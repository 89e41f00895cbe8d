"""The verbs by which a job's end says more than that it is over.

Each takes a turn with an engine, as a question does, and is made of the engine's verbs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .reasons import why_not
from .record import JobState
from .requests import OVER

if TYPE_CHECKING:
    from .engine import Engine
    from .failure import Failure
    from .limits import JobId
    from .promise import Resolvable
    from .record import AnyJob
    from .requests import ResultRequest
    from .session import Session

__all__ = ["await_end", "fail", "fail_block", "finish", "is_promised", "withdraw"]


def finish(
    now: float, engine: Engine, session: Session, job: AnyJob, result: object
) -> object:
    """Delete a job that is done, and hand over its result to who has submitted it.

    Where the job was lost meanwhile, this is done if nobody has reserved it yet, as in
    `Engine.settle`. It returns what is to be dropped.

    Raises:
        NotFoundError: The session does not hold it.

    Cost: that of `Engine.delete`.
    """
    if session.closed is not None:
        engine.turn.refuse_closed(session)
    job_id = job._id
    is_late = job._history.lost and engine.jobs.get(job_id) is job
    if session.held.get(job_id) is not job and not is_late:
        engine.counts.other_deletes += 1
        engine.turn.refuse(why_not(engine.store, now, job_id, job, session))
    promise = job._history.promise
    if promise is not None:
        promise.result = result
    return engine.delete(now, session, job_id, job)


def fail(
    now: float,
    engine: Engine,
    session: Session,
    job: AnyJob,
    priority: int | None,
    failure: Failure | None,
    error: BaseException | None,
) -> None:
    """Bury a held job for good: whoever has submitted it is told the error.

    Kicked, it is a job like any other.

    Raises:
        NotFoundError: The session does not hold it.

    Cost: that of `Engine.bury`.
    """
    promise = job._history.promise
    if promise is not None and session.held.get(job._id) is job:
        promise.error = error
    engine.bury(now, session, job._id, job, priority, failure)
    if error is not None:
        engine.store.promises.fail(job)


def fail_block(
    now: float,
    engine: Engine,
    session: Session,
    job: AnyJob,
    failure: Failure | None,
    error: BaseException | None,
) -> None:
    """Leave the with-block of a job that was submitted, and has failed.

    Cost: that of `Engine.fail`.
    """
    if session.held.get(job._id) is job:
        fail(now, engine, session, job, None, failure, error)


def await_end(now: float, engine: Engine, request: ResultRequest) -> None:
    """Let a request wait for its promise, unless that is due: then it has its outcome.

    Where the future was told already, it is over.

    Raises:
        TimedOutError: The timeout is 0.

    Cost: O(1), O(log n) with a timeout.
    """
    promises = engine.store.promises
    promise = promises.of_future(request.job_id, request.future)
    if promise is None:
        request.outcome = OVER
    elif promises.pending.get(request.job_id) is not promise:
        request.outcome = promise
    elif request.timeout == 0:
        engine.turn.refuse(request.too_late())
    else:
        engine.schedule.enter(now, request)
        promises.add_request(request, promise)


def withdraw(
    now: float, engine: Engine, job_id: JobId, future: Resolvable
) -> AnyJob | None:
    """Take a job that was submitted out of the queue, unless somebody holds it.

    Returns it, for the caller to drop. In statistics this counts as a delete.

    Cost: O(1) amortised.
    """
    job = engine.jobs.get(job_id)
    if job is None or job._state is JobState.RESERVED or not is_promised(job, future):
        return None
    return engine.clients.cancel_job(now, job_id, None)


def is_promised(job: AnyJob, future: Resolvable) -> bool:
    """Tell whether the job was submitted for that future. Cost: O(1)."""
    promise = job._history.promise
    return promise is not None and promise.future is future
