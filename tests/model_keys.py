"""What the naive model does with jobs that have keys, or expire."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING

from inproc_tubes import DrainingError, DuplicateJobError, TubesError
from tests.model_parts import ModelJob, ModelPut, told

if TYPE_CHECKING:
    from tests.naive_model import Model


@dataclass
class Batch:
    """Jobs to be put together."""

    tube: str
    bodies: list[object]
    keys: list[str | None]
    on_duplicate: str
    numbers: tuple[int, float, float]
    life: float = inf

    @classmethod
    def of(cls, put: ModelPut) -> Batch:
        keys, mode = put.keys, put.on_duplicate
        return cls(put.tube, put.bodies, keys, mode, put.numbers, put.life)


def find(model: Model, tube: str, key: str | None) -> ModelJob | None:
    """Return the job of a tube that has this key."""
    jobs = model.inside(tube) if key is not None else []
    return next((job for job in jobs if job.key == key), None)


def missing(model: Model, batch: Batch) -> list[int]:
    """Return the places of those whose keys no job of the tube has, nor one before."""
    return [
        place
        for place, key in enumerate(batch.keys)
        if find(model, batch.tube, key) is None
        and (key is None or key not in batch.keys[:place])
    ]


def refusal(model: Model, batch: Batch) -> TubesError | None:
    for key in batch.keys:
        job = find(model, batch.tube, key)
        if job is not None and (
            batch.on_duplicate == "raise"
            or (batch.on_duplicate == "replace" and job.state == "reserved")
        ):
            return DuplicateJobError(str(key), batch.tube, job.id)
    return None


def room_for(model: Model, batch: Batch) -> int:
    """Return how many more jobs there are once a batch is put, or refused for good."""
    if batch.on_duplicate == "raise" and refusal(model, batch) is not None:
        return 0
    return len(missing(model, batch))


def insert(model: Model, batch: Batch, ids: list[int] | None = None) -> list[int]:
    """Put a batch; return the ids that stand for its jobs.

    Where these have ids already, those of others are left out.
    """
    answer: list[int] = []
    there = [find(model, batch.tube, key) for key in batch.keys]
    new: dict[str | None, int] = {}
    jobs = []
    for place, (body, key, old) in enumerate(
        zip(batch.bodies, batch.keys, there, strict=True)
    ):
        if batch.on_duplicate == "keep" and old is not None:
            answer.append(old.id)
        elif key is not None and key in new:
            answer.append(new[key])
        else:
            job_id = model.ids + 1 if ids is None else ids[place]
            model.ids = max(model.ids, job_id)
            new[key] = job_id
            answer.append(job_id)
            job = ModelJob(job_id, body, batch.tube, *batch.numbers, model.now)
            job.key, job.life = key, batch.life
            jobs.append(job)
    for job in jobs:
        model.add_job(job)
    if batch.on_duplicate == "replace":
        for gone in filter(None, there):
            model.commands["cmd_delete"] += 1
            model.tubes[batch.tube].cmd_delete += 1
            model.remove(gone)
    model.settle_tube(batch.tube)
    return answer


def let_in(model: Model, put: ModelPut) -> None:
    """Answer a put that has waited."""
    put.waits = False
    batch = Batch.of(put)
    error = refusal(model, batch)
    if error is not None:
        put.outcome = told(error)
        return
    own = missing(model, batch)
    put.outcome = ids = insert(model, batch)
    put.own = [ids[place] for place in own]


def put_unique(model: Model, session: int, batch: Batch) -> list[int] | None:
    """Return the ids, None if there is no room."""
    model.commands["cmd_put"] += len(batch.bodies)
    model.sessions[session].is_producer = True
    if model.draining:
        model.ids += len(batch.bodies)
        raise DrainingError
    model.add_tube(batch.tube)
    error = refusal(model, batch)
    if error is not None:
        raise error
    room = len(missing(model, batch))
    if room and not model.takes(batch.tube, room):
        return None
    return insert(model, batch)


def put_numbered(model: Model, session: int, batch: Batch, ids: list[int]) -> None:
    """Put a batch that has its ids, whether there is room or not, or drop it."""
    model.commands["cmd_put"] += len(batch.bodies)
    if not model.draining:
        model.sessions[session].is_producer = True
        model.add_tube(batch.tube)
        if refusal(model, batch) is None:
            insert(model, batch, ids)
