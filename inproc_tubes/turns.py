"""The turns of a session that are taken most: a put, a reserve, and the end of a job.

They are written out, as the law of the lock (see `monitor`) wants every turn to be: a
call of `Monitor.run` would cost half of what they cost. They stand apart from the verbs
of the handles, which check what a user gives them, so that they can be compiled.
"""

from __future__ import annotations

from contextvars import copy_context
from typing import TYPE_CHECKING

from .core.making import new_job
from .core.native import mypyc_attr
from .core.requests import ReserveRequest
from .core.turn import TURN
from .errors import ReentrantCallError

if TYPE_CHECKING:
    from collections.abc import Callable

    from .core.limits import JobId, Seconds
    from .core.record import AnyJob
    from .core.session import Session
    from .monitor import Monitor

__all__ = ["EndTurn", "PutTurn", "ReserveTurn"]


@mypyc_attr(allow_interpreted_subclasses=True)
class Turns:
    """A session and the monitor of its broker, for the turns that it takes most."""

    __slots__ = (
        "_engine",
        "_guard",
        "_monitor",
        "_now",
        "_schedule",
        "_session",
        "_turn",
    )

    def __init__(self, monitor: Monitor, session: Session) -> None:
        self._monitor = monitor
        # What the turns need of it, one step nearer.
        self._guard = monitor.guard
        self._now = monitor.now
        self._engine = monitor.engine
        self._turn = monitor.turn
        self._schedule = monitor.engine.schedule
        self._session = session


@mypyc_attr(allow_interpreted_subclasses=True)
class EndTurn(Turns):
    """The turn that ends a job: a delete, or the end of its with-block.

    A consumer is one, and so is what the jobs that it has reserved refer to.
    """

    __slots__ = ()

    def _end(
        self,
        job_id: JobId,
        job: AnyJob | None,
        strict: bool,  # noqa: FBT001 - a keyword takes longer
    ) -> object:
        """Delete a job; leave its with-block, if not ``strict``.

        For `Job`, which refers to this. It returns the job, for the caller to drop: the
        lock is free then.
        """
        turn = self._turn
        try:
            with self._guard:
                if turn.unfinished is not None:
                    self._monitor.recover()
                turn.unfinished = TURN
                # Its own job it may delete without looking at the clock.
                gone = self._engine.delete_held(self._session, job_id, job)
                if gone is None:
                    gone = self._end_otherwise(job_id, job, strict)
                turn.unfinished = None
        except BaseException:
            self._monitor.break_off()
            raise
        if turn.after:
            self._monitor.finish()
        return gone

    def _end_otherwise(
        self,
        job_id: JobId,
        job: AnyJob | None,
        strict: bool,  # noqa: FBT001 - as above
    ) -> AnyJob | None:
        now = self._monitor.catch_up()
        if strict:
            return self._engine.delete(now, self._session, job_id, job)
        assert job is not None  # only a job has a block
        return self._engine.settle(now, self._session, job)


@mypyc_attr(allow_interpreted_subclasses=True)
class PutTurn(Turns):
    """The turn that puts a job. A producer is one.

    Args:
        monitor: The monitor of the broker.
        session: Whose put it is.
        keeps_context: Whether each job keeps the context of its put.
    """

    __slots__ = ("_keeps_context",)

    def __init__(
        self, monitor: Monitor, session: Session, *, keeps_context: bool
    ) -> None:
        super().__init__(monitor, session)
        self._keeps_context = keeps_context

    def _put(
        self,
        body: object,
        priority: int,
        delay: Seconds,
        ttr: Seconds,
        tube: str | None,
    ) -> JobId:
        """Put a job; return its id, or 0 if there is no room."""
        context = copy_context() if self._keeps_context else None
        job: AnyJob = new_job(body, priority, delay, ttr, context)
        turn = self._turn
        try:
            with self._guard:
                if turn.unfinished is not None:
                    self._monitor.recover()
                turn.unfinished = TURN
                now = self._now()
                if now >= self._schedule.due_at:
                    self._engine.catch_up(now)
                job_id = self._engine.put(now, self._session, job, tube)
                turn.unfinished = None
        except ReentrantCallError:
            raise  # it is put later
        except BaseException:
            self._monitor.break_off()
            raise
        if turn.after:
            self._monitor.finish()
        return job_id


class ReserveTurn(Turns):
    """The turn that reserves a job.

    Args:
        monitor: The monitor of the broker.
        session: Whose reserve it is.
        enter: Lets a request wait; returns what sleeps until it is answered.
    """

    __slots__ = ("_enter",)

    def __init__(
        self,
        monitor: Monitor,
        session: Session,
        enter: Callable[[Monitor, ReserveRequest], Callable[[], object]],
    ) -> None:
        super().__init__(monitor, session)
        self._enter = enter

    def __getitem__(self, timeout: float | None) -> object:
        """Reserve a job, or return what is returned by what ``enter`` has returned.

        A subscript, and no method: after a call of compiled code the interpreter runs
        signal handlers, which may raise, before the caller has the result. After a
        subscript it does not, so no job is lost there.
        """
        turn = self._turn
        job: AnyJob | None = None
        request: ReserveRequest | None = None
        sleep: Callable[[], object] | None = None
        try:
            with self._guard:
                if turn.unfinished is not None:
                    self._monitor.recover()
                turn.unfinished = TURN
                now = self._now()
                if now >= self._schedule.due_at:
                    self._engine.catch_up(now)
                job = self._engine.reserve(now, self._session, timeout)
                if job is None:
                    request = ReserveRequest(self._session, timeout)
                    self._engine.wait_to_reserve(now, request)
                    sleep = self._enter(self._monitor, request)
                turn.unfinished = None
            if turn.after:
                self._monitor.finish()
            if job is not None:
                return job
            assert sleep is not None  # there was no job
            return sleep()
        except BaseException:
            # Interrupted: `finish` leaves the queue as if it had never asked.
            if job is not None:
                turn.after.append((self._session, [job]))
            if request is not None:
                turn.after.append(request)
            self._monitor.break_off()
            raise
