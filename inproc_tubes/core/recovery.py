"""Recovery: how an engine goes on after a turn that was broken off in its middle.

An exception may come at any point of a turn: Ctrl-C, ``PyThreadState_SetAsyncExc``, a
``RecursionError``, a ``MemoryError``. The truth is in the fields of the jobs, in the
tubes, the sessions and the pending requests, and is consistent at each such point. Every
index may be wrong. So all of them are made anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .record import JobRecord, JobState
from .session import Session
from .turn import TURN

if TYPE_CHECKING:
    from .engine import Engine
    from .record import AnyJob

__all__ = ["check", "rebuild"]


def rebuild(now: float, engine: Engine) -> None:
    """Make every index of an engine anew from the truth.

    What the broken turn had begun is finished, or has never been. The caller has begun
    a turn, and goes on with its verb.

    Cost: O(n log n) for all jobs and requests.
    """
    if engine.closed is not None:
        engine.close(engine.closed)
        return
    if isinstance(engine.turn.unfinished, Session):
        # Nobody has it.
        engine.clients.sessions.pop(engine.turn.unfinished, None)
        if engine.turn.log is not None:
            engine.turn.log.take_back(engine.turn.unfinished)
    sessions = engine.clients.everyone()
    held = _held(engine, sessions)
    not_received = _not_received(engine)
    held -= {id(job) for job in not_received}
    if engine.turn.log is not None:
        for job in not_received:
            engine.turn.log.take_back(job._id, job._reserves + 1)
        engine.turn.log.recovered(now)
    _finish_replacing(now, engine)
    _rebuild_indexes(now, engine, sessions, held)
    _finish(now, engine, sessions)
    engine.turn.unfinished = TURN
    engine.turn.batch = None


def _rebuild_indexes(
    now: float, engine: Engine, sessions: list[Session], held: set[int]
) -> None:
    store = engine.store
    for session in sessions:
        # Every tube that a session uses or watches exists.
        for tube in (session.used, *session.watched):
            if tube is not None:
                store.tubes.setdefault(tube.name, tube)
        jobs = session.held.in_sequence()
        session.held.rebuild([job for job in jobs if id(job) in held])
        for job in session.held.in_sequence():
            if job._history.lost:  # it was being cancelled, or its session closed
                job._history.lost = job._history.cancelled = False
    store.rebuild({job._id for job in store.jobs.values() if id(job) in held})
    tubes = store.tubes.values()
    engine.queue.rebuild(tubes, sessions)
    engine.admission.rebuild(sessions)
    for tube in tubes:
        tube.draining = store.draining
        tube.recorded = store.recorded = engine.turn.log is not None
        tube.settle()
    engine.dispatch.rebuild_lives(now)
    engine.schedule.rebuild(
        tubes,
        [(session, engine.queue.warns(session)) for session in sessions],
        engine.dispatch.requests(),
    )


def _finish(now: float, engine: Engine, sessions: list[Session]) -> None:
    """Carry out what the broken turn, or the rebuilding, has left to do."""
    dispatch = engine.dispatch
    for request in dispatch.requests():
        if request.outcome is not None:
            dispatch.strike_out(request)
    if engine.store.draining:
        engine.drain(now)
    for session in sessions:
        if session.closed is not None:
            engine.clients.finish_closing(now, session)
        elif session.stopped is not None:
            engine.clients.finish_stopping(session)
    if engine.stopped is not None:
        engine.stop(now, engine.stopped)
    for tube in list(engine.tubes.values()):
        if tube.occupancy is not None:
            engine.limit_tube(now, tube.name, tube.occupancy.maxsize)
        dispatch.serve(now, tube)
        dispatch.after_leaving(now, tube)


def _held(engine: Engine, sessions: list[Session]) -> set[int]:
    """Return which jobs are really held, by `id`; forget those that are no jobs."""
    jobs = engine.jobs
    incoming = {id(session.incoming) for session in sessions}
    for job in list(jobs.values()):
        if job._state is JobState.GONE or (
            job._state is JobState.INVALID and id(job) not in incoming
        ):
            del jobs[job._id]
    return {
        id(job)
        for session in sessions
        for job in session.held.in_sequence()
        if job._state is JobState.RESERVED and jobs.get(job._id) is job
    }


def _not_received(engine: Engine) -> list[AnyJob]:
    """Return the jobs that were handed out, and whose consumer was never told.

    Those that a put_many was adding are forgotten: they are put all or none.
    """
    turn = engine.turn
    answers = {id(request.outcome) for request in engine.dispatch.requests()}
    unfinished = turn.unfinished
    jobs = [unfinished] if isinstance(unfinished, JobRecord) else []
    jobs += turn.batch or []
    if isinstance(unfinished, list):
        jobs += unfinished
    not_received = []
    for job in jobs:
        if id(job) not in answers:
            job._reserves = _reserves_before(engine, job)
        if job._state is JobState.READY or job._state is JobState.DELAYED:
            if job._reserves == 0 and isinstance(unfinished, list):
                engine.jobs.pop(job._id, None)
                turn.after.append(job)
        elif id(job) not in answers:
            not_received.append(job)
    return not_received


def _finish_replacing(now: float, engine: Engine) -> None:
    """Delete the jobs that were replaced, where the new ones are put."""
    for job in list(engine.jobs.values()):
        successor = job._history.successor
        if successor in engine.jobs:
            engine.store.delete(job)
            if engine.turn.log is not None:
                engine.turn.log.deleted(now, job, False)  # noqa: FBT003 - see there
            engine.turn.after.append(job)
        elif successor:
            job._history.successor = 0


def _reserves_before(engine: Engine, job: AnyJob) -> int:
    """Return how often a job was reserved before the broken turn reserved it.

    Its last handle knows: that is dropped when the job is reserved again.
    """
    dropped = [
        item._reserves
        for item in engine.turn.after
        if isinstance(item, JobRecord) and item._id == job._id
    ]
    return max(dropped, default=0)


def check(engine: Engine) -> None:
    """Raise AssertionError if an engine is not as its rules want it. For tests."""
    dispatch = engine.dispatch
    assert engine.turn.unfinished is not TURN or engine.closed is not None
    assert engine.turn.batch is None
    engine.clients._check()
    sessions = engine.clients.everyone()
    engine.store._check(job for s in sessions for job in s.held.in_sequence())
    engine.queue._check(engine.tubes.values(), sessions)
    engine.admission._check(sessions)
    engine.schedule._check(engine.tubes.values(), sessions, dispatch.requests())
    assert all(request.outcome is None for request in dispatch.requests())
    assert not engine.store.draining or not engine.admission.puts
    for session in sessions:
        assert not any(job._history.lost for job in session.held.in_sequence())
        assert session.stopped is None or not (session.watched or session.tickets)
    if engine.stopped is not None:
        assert all(s.stopped or not s.stops for s in engine.clients.sessions)
        assert not engine.admission.puts
        assert not engine.admission.joins
