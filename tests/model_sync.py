"""The naive model made anew from the engine, where nobody can say what it has done."""

from __future__ import annotations

from collections import Counter
from math import inf
from typing import TYPE_CHECKING, Any

from inproc_tubes.core.job import Job, JobState
from inproc_tubes.core.requests import PutRequest
from tests.model_parts import (
    ModelJob,
    ModelPut,
    ModelRequests,
    ModelSession,
    ModelTube,
    Served,
)
from tests.naive_model import Model

if TYPE_CHECKING:
    from inproc_tubes.core.record import AnyJob
    from inproc_tubes.core.session import Session
    from inproc_tubes.core.tube import Tube
    from tests.model_comparison import EngineAndModel


def synchronise(machine: EngineAndModel) -> None:
    """Let the model of a machine agree with its engine. Old handles are forgotten."""
    engine, old = machine.engine, machine.model
    counts = machine.ask("broker_counts")
    store = engine.store
    machine.model = model = Model(
        old.now,
        tubes={tube.name: _tube(tube) for tube in store.tube_list},
        listing=[tube.name for tube in store.tube_list],
        commands=Counter({k: v for k, v in counts.items() if k.startswith("cmd_")}),
        ids=machine.last_id(),
        puts=counts["total_jobs"],
        opened=counts["total_connections"],
        numbers=max(old.numbers, *machine.sessions),
        reservations=old.reservations,
        burials=max([0, *(job._history.burial for job in engine.jobs.values())]),
        job_timeouts=counts["job_timeouts"],
        draining=counts["draining"],
        stopped=engine.stopped,
        gone=dict(store.gone.reasons),
        submitted=old.submitted - machine.told.keys(),
        kept={**machine.told},
        forgotten=store.gone.forgotten,
    )
    for number, session in machine.sessions.items():
        model.sessions[number] = ours = _session(session)
        if session.is_abandoned:
            ours.abandoned = engine.clients.everyone().index(session) + 1
    model.jobs = {job._id: _job(job) for job in engine.jobs.values()}
    for number, session in machine.sessions.items():
        for held in session.held.in_sequence():
            job = model.jobs[held._id]
            model.reservations += 1
            job.owner, job.reservation = number, model.reservations
    for held in engine.jobs.values():
        if held._history.lost:
            _learn_what_is_lost(machine, held)
    model.requests = _requests(machine, old)
    machine.handles.clear()
    machine.looks.clear()


def _learn_what_is_lost(machine: EngineAndModel, job: AnyJob) -> None:
    """Give the last reservation of a job that its holder did not end a number."""
    model = machine.model
    model.reservations += 1
    model.jobs[job._id].reservation = model.reservations
    model.lost.add(model.reservations)
    expired_at = job._history.expired_at
    if expired_at is not None:
        holder: Any = job._holder
        numbers = [n for n, s in machine.sessions.items() if s is holder._session]
        who = numbers[0] if numbers else 0  # that session is gone
        model.expired[model.reservations] = expired_at, who


def _tube(tube: Tube) -> ModelTube:
    return ModelTube(
        tube.pause,
        tube.paused_until,
        tube.total_jobs,
        tube.cmd_delete,
        tube.cmd_pause_tube,
        0 if tube.occupancy is None else tube.occupancy.maxsize,
        tube.expired,
        tube.max_tries,
    )


def _session(session: Session) -> ModelSession:
    used, incoming = session.used, session.incoming
    return ModelSession(
        None if used is None else used.name,
        [tube.name for tube in session.watched],
        session.is_producer,
        bool(
            session.is_worker or session.cmd_reserve or session.cmd_reserve_with_timeout
        ),
        None if incoming is None else incoming._id,
        stops=session.stops,
        name=session.name,
        stopped=session.stopped,
    )


def _job(job: AnyJob) -> ModelJob:
    history = job._history
    return ModelJob(
        job._id,
        job._body,
        job._tube,
        job._priority,
        job._delay,
        job._ttr,
        job._created_at,
        job._state.value,
        getattr(job, "_due_at", 0),  # a job that is simply ready has none
        burial=history.burial,
        reserved_at=job._reserved_at() if job._state is JobState.RESERVED else 0,
        reserves=job._reserves,
        timeouts=history.timeouts,
        releases=history.releases,
        buries=history.buries,
        kicks=history.kicks,
        error=history.error,
        told_of=history.told_of,
        key=history.key,
        life=history.life,
        expires_at=history.expires_at,
    )


def _requests(machine: EngineAndModel, old: Model) -> ModelRequests:
    """Return the requests of the old model, with what has become of them."""
    pending = machine.engine.dispatch.requests()
    requests = old.requests
    for request, ours in zip(machine.requests, requests.all, strict=True):
        ours.waits = request in pending
        assert ours.timeout_at == request.timeout_at or request.timeout == inf
        outcome = request.outcome
        if isinstance(outcome, Job):
            # If it is held no longer, by whatever reservation it was.
            holds = machine.owner(outcome) is not None
            job = machine.model.jobs.get(outcome._id)
            reservation = job.reservation if holds and job is not None else -1
            ours.outcome = Served(outcome._id, reservation)
        else:
            ours.outcome = machine.outcome(request)
            if isinstance(request, PutRequest) and isinstance(outcome, list):
                assert isinstance(ours, ModelPut)
                ours.own = [job._id for job in request.jobs]
    return requests
