"""What the statistics of the naive model tell, and all that can be compared of it."""

from __future__ import annotations

from collections import Counter
from math import inf
from typing import TYPE_CHECKING, Any

from inproc_tubes import NotFoundError
from tests.model_parts import Served

if TYPE_CHECKING:
    from tests.naive_model import Model


def stats_job(model: Model, job_id: int, fence: int | None = None) -> dict[str, Any]:
    model.commands["cmd_stats_job"] += 1
    job = model.find(job_id, fence)
    fields = dict(vars(job))
    for name in (
        "body",
        "owner",
        "reservation",
        "burial",
        "created_at",
        "due_at",
        "reserved_at",
        "error",
        "told_of",
        "key",
        "life",
        "expires_at",
    ):
        del fields[name]
    timed = job.state in {"reserved", "delayed"}
    return fields | {
        "age": model.now - job.created_at,
        "time_left": job.due_at - model.now if timed else 0,
        "file": 0,
        "holder": model.holder(job),
    }


def jobs_by_state(model: Model, names: list[str]) -> dict[str, int]:
    jobs = [job for name in names for job in model.inside(name)]
    states = Counter(job.state for job in jobs)
    urgent = sum(job.priority < 1024 for job in jobs if job.state == "ready")
    of_states = ("ready", "reserved", "delayed", "buried")
    return {f"current_jobs_{state}": states[state] for state in of_states} | {
        "current_jobs_urgent": urgent
    }


def stats_tube(model: Model, name: str) -> dict[str, Any]:
    model.commands["cmd_stats_tube"] += 1
    if name not in model.tubes:
        raise NotFoundError(None, name)
    return fields_of_tube(model, name)


def fields_of_tube(model: Model, name: str) -> dict[str, Any]:
    fields = dict(vars(model.tubes[name]))
    until = fields.pop("paused_until")
    sessions = model.sessions.values()
    return {
        "name": name,
        **fields,
        **jobs_by_state(model, [name]),
        "current_using": sum(s.used == name for s in sessions),
        "current_watching": sum(name in s.watched for s in sessions),
        "current_waiting": len(model.waiting_in(name)),
        "current_putting": len(model.puts_into(name)),
        "pause_time_left": until - model.now if until else 0,
    }


def broker_counts(model: Model) -> dict[str, Any]:
    model.commands["cmd_stats"] += 1
    clients = [s for s in model.sessions.values() if not s.is_abandoned]
    return {
        **model.commands,
        **jobs_by_state(model, model.listing),
        "job_timeouts": model.job_timeouts,
        "total_jobs": model.puts,
        "current_tubes": len(model.tubes),
        "current_connections": len(clients),
        "current_producers": sum(s.is_producer for s in clients),
        "current_workers": sum(s.is_worker for s in clients),
        "current_waiting": sum(r.waits for r in model.requests.reserves),
        "total_connections": model.opened,
        "draining": model.draining,
    }


def everything(model: Model) -> object:
    """Return what `questions.everything` does, as dictionaries."""
    # The abandoned ones come last, in the order in which they were.
    order = sorted(model.sessions, key=lambda n: (model.sessions[n].abandoned, n))
    return (
        model.now,
        Counter(broker_counts(model)),
        {name: fields_of_tube(model, name) for name in model.listing},
        [handle(model, number) for number in order],
    )


def handle(model: Model, number: int) -> dict[str, Any]:
    client = model.sessions[number]
    kind = "consumer" if client.used is None else "producer"
    return {
        "name": client.name,
        "kind": kind if client.stops else "connection",
        "using": client.used,
        "watching": tuple(client.watched),
        "waiting": len(model.waiting(number)),
        "putting": sum(p.waits for p in model.requests.puts if p.session == number),
        "holds": tuple(
            {
                "id": job.id,
                "tube": job.tube,
                "reserved_at": job.reserved_at,
                "time_left": job.due_at - model.now,
            }
            for job in model.held(number)
        ),
    }


def shown(model: Model) -> dict[str, Any]:
    """Return what can be compared with `EngineAgainstModel.shown`."""
    return {
        "jobs": {
            job.id: (
                job.owner,
                job.body,
                job.error,
                job.key,
                job.life if job.expires_at == inf else None,
                job.expires_at,
                stats_job(model, job.id),
            )
            for job in model.jobs.values()
        },
        "tubes": [stats_tube(model, name) for name in model.listing],
        "sessions": {
            number: (
                s.used,
                s.watched,
                [job.id for job in model.held(number)],
                s.stopped,
            )
            for number, s in model.sessions.items()
        },
        "outcomes": [
            # Of a reserve, only the job: which reservation it is, no engine knows.
            request.outcome.id
            if isinstance(request.outcome, Served)
            else request.outcome
            for request in model.requests.all
        ],
        "stats": Counter(broker_counts(model)),  # in which what is missing is 0
    }
