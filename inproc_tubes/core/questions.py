"""Questions: what looks into an engine, and changes nothing but a counter.

Each question counts itself, as beanstalkd's commands do. The first argument is ``now``,
as for the verbs.

Function names in comments are those of beanstalkd's ``prot.c`` if not said otherwise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from inproc_tubes.errors import NotFoundError

from .making import holder_name, peeked
from .record import JobState

if TYPE_CHECKING:
    from collections.abc import Callable

    from .engine import Engine
    from .job import AnySnapshot, JobHolder
    from .record import AnyJob
    from .session import Session
    from .statistics import HandleStats, JobStats, TubeStats
    from .tube import Tube

X = TypeVar("X")

__all__ = [
    "broker_counts",
    "everything",
    "find_key",
    "list_jobs",
    "list_tube_used",
    "list_tubes",
    "list_tubes_watched",
    "peek",
    "peek_buried",
    "peek_delayed",
    "peek_ready",
    "snapshot",
    "stats_job",
    "stats_tube",
]


def snapshot(
    now: float,
    engine: Engine,
    holder: JobHolder,
    question: Callable[[float, Engine, X], AnyJob],
    about: X,
) -> AnySnapshot:
    """Return the job that a question finds as it is now. Cost: that of the question."""
    return peeked(question(now, engine, about), holder)


def peek(now: float, engine: Engine, job_id: int) -> AnyJob:
    """Return this job. Cost: O(1)."""
    engine.counts.peek += 1
    return engine.find(now, job_id, None)


def _found(engine: Engine, name: str, job: AnyJob | None, state: JobState) -> AnyJob:
    if job is None:
        engine.turn.refuse(NotFoundError(None, name, state.value))
    return job


def peek_ready(_now: float, engine: Engine, name: str) -> AnyJob:
    """Return the tube's job that is served next, paused or not. Cost: O(1)."""
    engine.counts.peek_ready += 1
    tube = engine.tubes.get(name)
    job = None if tube is None else tube.ready.first()
    return _found(engine, name, job, JobState.READY)


def peek_delayed(_now: float, engine: Engine, name: str) -> AnyJob:
    """Return the tube's job whose delay is over first. Cost: O(1)."""
    engine.counts.peek_delayed += 1
    tube = engine.tubes.get(name)
    job = None if tube is None else tube.delayed.first()
    return _found(engine, name, job, JobState.DELAYED)


def peek_buried(_now: float, engine: Engine, name: str) -> AnyJob:
    """Return the tube's job that was buried first. Cost: O(1)."""
    engine.counts.peek_buried += 1
    tube = engine.tubes.get(name)
    job = None if tube is None else next(iter(tube.buried.values()), None)
    return _found(engine, name, job, JobState.BURIED)


def find_key(
    _now: float, engine: Engine, holder: JobHolder, name: str, key: str
) -> AnySnapshot | None:
    """Return a snapshot of the tube's job with this key, if any. Cost: O(1)."""
    job = engine.store.keys.find(name, key)
    return None if job is None else peeked(job, holder)


def list_jobs(
    _now: float,
    engine: Engine,
    holder: JobHolder,
    name: str,
    states: tuple[JobState, ...],
) -> list[AnySnapshot]:
    """Return snapshots of the tube's jobs, state by state.

    Cost: O(n log n) for n ready or reserved jobs, else O(n), and O(number of sessions)
    for the reserved ones.
    """
    tube = engine.tubes.get(name)
    if tube is None:
        return []
    jobs: list[AnyJob] = []
    for state in states:
        if state is JobState.RESERVED:
            held = [
                job
                for session in engine.clients.everyone()
                for job in session.held.in_sequence()
                if job._tube == name
            ]
            jobs += sorted(held, key=lambda job: job._due_at)
        else:
            jobs += engine.store.in_state(tube, state)
    return [peeked(job, holder) for job in jobs]


def list_tubes(_now: float, engine: Engine) -> list[str]:
    """Return the names of all tubes. Cost: O(number of tubes)."""
    engine.counts.list_tubes += 1
    return [tube.name for tube in engine.store.tube_list]


def list_tubes_watched(_now: float, engine: Engine, session: Session) -> list[str]:
    """Return the names of the watched tubes. Cost: O(number of them)."""
    engine.counts.list_tubes_watched += 1
    if session.closed is not None:
        engine.turn.refuse_closed(session)
    return [tube.name for tube in session.watched]


def nobody_could_put(engine: Engine) -> bool:
    """Tell whether there is neither a job, nor a client that uses a tube.

    Cost: O(number of sessions).
    """
    return not engine.jobs and all(s.used is None for s in engine.clients.sessions)


def list_tube_used(_now: float, engine: Engine, session: Session) -> str:
    """Return the name of the used tube. Cost: O(1)."""
    if session.closed is not None:
        engine.turn.refuse_closed(session)
    engine.counts.list_tube_used += 1
    assert session.used is not None  # only asked of one that puts
    return session.used.name


def stats_job(
    now: float, engine: Engine, job_id: int, handle: AnyJob | None = None
) -> JobStats:
    """Return the statistics of a job: fmt_job_stats. Cost: O(1)."""
    from .statistics import JobStats  # noqa: PLC0415 - dataclasses are slow to import

    engine.counts.stats_job += 1
    job = engine.find(now, job_id, handle)
    timed = job._state is JobState.RESERVED or job._state is JobState.DELAYED
    return JobStats(
        id=job._id,
        tube=job._tube,
        state=job._state.value,
        priority=job._priority,
        age=now - job._created_at,
        delay=job._delay,
        ttr=job._ttr,
        time_left=job._due_at - now if timed else 0,
        reserves=job._reserves,
        timeouts=job._history.timeouts,
        releases=job._history.releases,
        buries=job._history.buries,
        kicks=job._history.kicks,
        holder=holder_name(job),
    )


def stats_tube(now: float, engine: Engine, name: str) -> TubeStats:
    """Return the statistics of a tube: fmt_stats_tube. Cost: O(number of watch sets)."""
    engine.counts.stats_tube += 1
    tube = engine.tubes.get(name)
    if tube is None:
        engine.turn.refuse(NotFoundError(None, name))
    return _stats_of(now, tube)


def _stats_of(now: float, tube: Tube) -> TubeStats:
    from .statistics import TubeStats  # noqa: PLC0415 - dataclasses are slow to import

    occupancy = tube.occupancy
    return TubeStats(
        name=tube.name,
        current_jobs_urgent=tube.ready.urgent,
        current_jobs_ready=len(tube.ready),
        current_jobs_reserved=tube.reserved,
        current_jobs_delayed=len(tube.delayed),
        current_jobs_buried=len(tube.buried),
        total_jobs=tube.total_jobs,
        current_using=tube.using,
        current_watching=tube.watching,
        current_waiting=tube.waiting,
        cmd_delete=tube.cmd_delete,
        cmd_pause_tube=tube.cmd_pause_tube,
        pause=tube.pause,
        pause_time_left=tube.paused_until - now if tube.paused_until else 0,
        maxsize=0 if occupancy is None else occupancy.maxsize,
        current_putting=0 if occupancy is None else len(occupancy.puts),
        expired=tube.expired,
        max_tries=tube.max_tries,
    )


def broker_counts(_now: float, engine: Engine) -> dict[str, int]:
    """Return the fields of fmt_stats that the engine knows.

    Cost: O(number of tubes and sessions).
    """
    counts = engine.counts
    counts.stats += 1
    store = engine.store
    tubes = list(store.tube_list)
    sessions = engine.clients.sessions
    reserves = sum(s.cmd_reserve for s in sessions)
    reserves_with_timeout = sum(s.cmd_reserve_with_timeout for s in sessions)
    workers = (
        s.is_worker or s.cmd_reserve or s.cmd_reserve_with_timeout for s in sessions
    )
    return {
        "current_jobs_urgent": sum(tube.ready.urgent for tube in tubes),
        "current_jobs_ready": sum(len(tube.ready) for tube in tubes),
        "current_jobs_reserved": sum(tube.reserved for tube in tubes),
        "current_jobs_delayed": sum(len(tube.delayed) for tube in tubes),
        "current_jobs_buried": sum(len(tube.buried) for tube in tubes),
        "cmd_put": store.total_jobs + counts.other_puts,
        "cmd_peek": counts.peek,
        "cmd_peek_ready": counts.peek_ready,
        "cmd_peek_delayed": counts.peek_delayed,
        "cmd_peek_buried": counts.peek_buried,
        "cmd_reserve": reserves + counts.other_reserves,
        "cmd_reserve_with_timeout": reserves_with_timeout
        + counts.other_reserves_with_timeout,
        "cmd_delete": store.total_deletes + counts.other_deletes,
        "cmd_release": counts.release,
        "cmd_use": counts.use,
        "cmd_watch": counts.watch,
        "cmd_ignore": counts.ignore,
        "cmd_bury": counts.bury,
        "cmd_kick": counts.kick,
        "cmd_touch": counts.touch,
        "cmd_stats": counts.stats,
        "cmd_stats_job": counts.stats_job,
        "cmd_stats_tube": counts.stats_tube,
        "cmd_list_tubes": counts.list_tubes,
        "cmd_list_tube_used": counts.list_tube_used,
        "cmd_list_tubes_watched": counts.list_tubes_watched,
        "cmd_pause_tube": counts.pause_tube,
        "job_timeouts": counts.job_timeouts,
        "total_jobs": store.total_jobs,
        "current_tubes": len(tubes),
        "current_connections": len(sessions),
        "current_producers": sum(session.is_producer for session in sessions),
        "current_workers": sum(map(bool, workers)),
        "current_waiting": len(engine.queue.requests),
        "total_connections": counts.total_sessions,
        "draining": store.draining,
    }


def everything(
    now: float, engine: Engine
) -> tuple[float, dict[str, int], dict[str, TubeStats], tuple[HandleStats, ...]]:
    """Return the moment, and what there is in it: counts, tubes and handles.

    It counts as the statistics of the broker alone.

    Cost: O(number of tubes and sessions), and O(n log n) for n held jobs.
    """
    tubes = {tube.name: _stats_of(now, tube) for tube in engine.store.tube_list}
    handles = tuple([_handle(now, session) for session in engine.clients.everyone()])
    return now, broker_counts(now, engine), tubes, handles


def _handle(now: float, session: Session) -> HandleStats:
    from .statistics import HandleStats, HeldJob  # noqa: PLC0415 - as above

    used = session.used
    holds = [
        HeldJob(
            id=job._id,
            tube=job._tube,
            reserved_at=job._reserved_at(),
            time_left=job._due_at - now,
        )
        for job in session.held.in_sequence()
    ]
    return HandleStats(
        name=session.name,
        # A handle either puts or reserves. Over the wire one does both, and never stops.
        kind=(
            "connection"
            if not session.stops
            else "consumer"
            if used is None
            else "producer"
        ),
        using=None if used is None else used.name,
        watching=tuple([tube.name for tube in session.watched]),
        waiting=len(session.tickets),
        putting=len(session.puts),
        holds=tuple(holds),
    )
