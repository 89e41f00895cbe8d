"""What the naive model does with jobs that are moved, or changed."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from inproc_tubes import DuplicateJobError, TubeFullError
from tests import model_keys

if TYPE_CHECKING:
    from inproc_tubes.core.failure import Failure
    from tests.model_parts import ModelJob
    from tests.naive_model import Model


def unheld(model: Model, job_id: int, fence: int | None) -> ModelJob:
    job = model.find(job_id, fence)
    if job.state in {"reserved", "invalid"}:
        raise model.not_found(job_id, fence)
    return job


def check(model: Model, job: ModelJob, name: str) -> None:
    """Raise what keeps a job out of a tube."""
    other = model_keys.find(model, name, job.key)
    if other is not None:
        raise DuplicateJobError(str(job.key), name, other.id)
    if name in model.tubes and not model.takes(name, 1):
        raise TubeFullError(name, model.tubes[name].maxsize)


def transfer(model: Model, job: ModelJob, name: str) -> str:
    """Let a job belong to another tube; return the name of the old one."""
    before = job.tube
    model.add_tube(name)
    model.tubes[before].total_jobs -= 1
    model.tubes[name].total_jobs += 1
    job.tube = name
    return before


def move(model: Model, job_id: int, fence: int | None, name: str) -> None:
    job = unheld(model, job_id, fence)
    if name != job.tube:
        check(model, job, name)
        before = transfer(model, job, name)
        if job.state == "ready":
            model.serve(name)
        elif job.state == "buried":
            model.burials += 1
            job.burial = model.burials
        model.settle_tube(before)
        model.drop_tube(before)


def update(
    model: Model,
    job_id: int,
    fence: int | None,
    priority: int | None,
    delay: int | None,
) -> None:
    job = unheld(model, job_id, fence)
    job.priority = job.priority if priority is None else priority
    job.delay = job.delay if delay is None else delay
    if delay is not None and job.state != "buried":
        if job.state == "ready":
            job.life = min(job.life, job.expires_at - model.now)
            job.expires_at = inf
        model.make_ready_in(job, delay)


def bury(
    model: Model,
    job_id: int,
    fence: int | None,
    priority: int | None,
    failure: Failure | None,
) -> None:
    job = unheld(model, job_id, fence)
    if job.state == "buried":
        raise model.not_found(job_id, fence)
    if job.state == "ready":
        job.life = min(job.life, job.expires_at - model.now)
        job.expires_at = inf
    job.priority = job.priority if priority is None else priority
    job.buries += 1
    model.note(job, failure)
    model.set_aside(job)


def release(
    model: Model,
    session: int,
    job_id: int,
    fence: int | None,
    name: str,
    failure: Failure | None,
) -> None:
    """Release a job to another tube."""
    model.commands["cmd_release"] += 1
    job = model.mine(session, job_id, fence)
    if name != job.tube:
        check(model, job, name)
    job.delay = 0
    job.releases += 1
    model.note(job, failure)
    if name == job.tube:
        model.put_back(job, 0)
    else:
        before = transfer(model, job, name)
        model.put_back(job, 0)
        model.settle_tube(before)
        model.drop_tube(before)
