"""What falls due in the naive model, and what comes of it.

In one thing it is free: where the reservations of several sessions run out in the same
moment, any of them may come first, and `catch_up` yields all that may come of it.
"""

from __future__ import annotations

from copy import deepcopy
from itertools import permutations
from math import inf
from typing import TYPE_CHECKING

from inproc_tubes import DeadlineSoonError, NotFoundReason, TimedOutError
from tests.model_parts import told

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.model_parts import ModelJoin, ModelResult
    from tests.naive_model import Model


def moment_of(model: Model, session: int) -> float:
    """Return when something happens to a session's reservations."""
    soonest, untold = model.soonest(session), model.untold(session)
    if soonest is None:
        return inf
    if untold is not None and any(r.told_of_deadlines for r in model.waiting(session)):
        return min(soonest.due_at, untold.due_at - 1)
    return soonest.due_at


def next_of_clients(model: Model) -> float:
    timeouts = [request.timeout_at for request in model.requests.all if request.waits]
    moments = [moment_of(model, session) for session in model.sessions]
    return min([inf, *timeouts, *moments])


def next_due(model: Model) -> float:
    delays = [job.due_at for job in model.jobs.values() if job.state == "delayed"]
    pauses = [t.paused_until for t in model.tubes.values() if t.paused_until]
    lives = [job.expires_at for job in model.jobs.values()]
    return min([next_of_clients(model), *delays, *pauses, *lives])


def catch_up(model: Model, now: float) -> Iterator[Model]:
    """Yield all that may come of letting it be ``now``.

    It comes of this very model, which is of no use afterwards. A copy is made only where
    there is a choice: it takes longer than all else here.
    """
    model.now = now
    due = [
        (job.due_at, place, job.id)
        for place, name in enumerate(model.listing)
        for job in model.in_state("delayed", name)
        if job.due_at <= now
    ]
    for _, _, job_id in sorted(due):
        model.make_ready(model.jobs[job_id])
    end_lives(model)
    for name in model.listing:
        tube = model.tubes[name]
        if tube.paused_until and tube.paused_until <= now:
            tube.pause = tube.paused_until = 0
            model.serve(name)
    yield from _end_moments(model)


def end_lives(model: Model) -> None:
    """Delete the jobs that expire by now, the soonest first."""
    due = [
        (job.expires_at, place, job.id)
        for place, name in enumerate(model.listing)
        for job in model.in_state("ready", name)
        if job.expires_at <= model.now
    ]
    for _, _, job_id in sorted(due):
        job = model.jobs.get(job_id)
        if job is not None:
            tube = model.tubes[job.tube]
            model.commands["cmd_delete"] += 1
            tube.cmd_delete += 1
            tube.expired += 1
            model.remember(job.id, NotFoundReason.OUTDATED)
            model.remove(job)


def _end_moments(model: Model) -> Iterator[Model]:
    moment = next_of_clients(model)
    if moment > model.now:
        yield model
        return
    expiring = [
        session
        for session in model.sessions
        if any(job.due_at <= moment for job in model.held(session))
    ]
    for order in permutations(expiring):
        world = deepcopy(model) if len(expiring) > 1 else model
        _end_moment(world, moment, order)
        yield from _end_moments(world)


def _end_moment(model: Model, moment: float, order: tuple[int, ...]) -> None:
    """Let one moment pass: a job beats DEADLINE_SOON, and that TIMED_OUT."""
    for session in order:
        due = [job for job in model.held(session) if job.due_at <= moment]
        for job in sorted(due, key=lambda job: job.due_at):
            job.timeouts += 1
            model.job_timeouts += 1
            model.lost.add(job.reservation)
            model.expired[job.reservation] = job.due_at, session
            model.put_back(job, 0)
    for session in list(model.sessions):
        near = model.untold(session)
        if near is not None and near.due_at - 1 <= moment:
            error = told(DeadlineSoonError(near.id, max(0, near.due_at - model.now)))
            for request in model.waiting(session):
                if request.told_of_deadlines:
                    model.answer(request, error)
                    model.tell(session, near)
    _end_timeouts(model, moment)


def _end_timeouts(model: Model, moment: float) -> None:
    """Answer what has waited too long: puts first, which makes room, and joins late."""
    for put in model.requests.puts:
        if put.waits and put.timeout_at <= moment:
            model.send_away([put], model.too_late(put))
    for request in model.requests.reserves:
        if request.waits and request.timeout_at <= moment:
            model.answer(request, told(TimedOutError(request.timeout)))
    rest: list[ModelJoin | ModelResult]
    rest = [*model.requests.joins, *model.requests.results]
    for late in rest:
        if late.waits and late.timeout_at <= moment:
            late.waits = False
            late.outcome = told(TimedOutError(late.timeout))
