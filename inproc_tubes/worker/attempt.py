"""One attempt at one job: its heartbeat, and what becomes of the job.

The rules are the same for threads and for tasks:

=============================================  =======================================
the handler                                    the job
=============================================  =======================================
returns                                        is deleted; what it returns is its result
raises an `Exception`                          is released with a delay, or buried
raises `Retry` or `Bury`                       is released or buried, as that says
is cancelled, or raises another BaseException  is released, and that counts as no failure
has settled its job itself                     stays as it is
=============================================  =======================================

A handler that has lost its job changes nothing. The job is with somebody else, or will
be; each of the verbs here fails then, as a stale handle is no key to anything.
"""

from __future__ import annotations

import sys
from contextvars import copy_context
from inspect import iscoroutine
from math import inf
from typing import TYPE_CHECKING, Generic

from inproc_tubes import (
    ClosedError,
    ConnectionLostError,
    NotFoundError,
    NotFoundReason,
)

from .policy import Bury, Retry
from .settings import T

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Context

    from inproc_tubes import Job

    from .log import Log
    from .settings import Handler

__all__ = ["Attempt", "is_cancellation"]

# After so many times its time to run, and again after each, a job that is still touched
# is told of.
_LONG = 10


class Attempt(Generic[T]):
    """A job in the hands of a handler. As an alarm, it is the heartbeat of the job.

    Half of the time to run after it was reserved or touched, the job is touched, and so
    it cannot expire. After ``max_runtime`` it is touched no more.

    Attributes:
        job: The job.
        handler: Who does it.
        due_at: When it is touched next; inf for never.
        abandoned: Whether it was given back, and nobody waits for the handler any more.
        settled: Whether the handler has ended.
    """

    __slots__ = (
        "_log",
        "_lost_told",
        "_max_runtime",
        "_now",
        "_started_at",
        "_told_at",
        "abandoned",
        "due_at",
        "handler",
        "job",
        "settled",
    )

    def __init__(
        self,
        job: Job[T],
        handler: Handler[T],
        now: Callable[[], float],
        max_runtime: float | None,
        log: Log,
    ) -> None:
        self.job: Job[T] = job
        self.handler: Handler[T] = handler
        self._now = now
        self._max_runtime = max_runtime
        self._log = log
        self._started_at = self._told_at = now()
        self.due_at: float = self._started_at + job.ttr / 2
        self._lost_told = False
        self.abandoned: bool = False
        self.settled: bool = False

    # The heartbeat

    def ring(self, now: float) -> None:
        """Touch the job."""
        job = self.job
        runtime = self.runtime
        self.due_at = inf
        if self._max_runtime is not None:
            if runtime > self._max_runtime:
                return
        elif now >= self._told_at + _LONG * job.ttr:
            self._told_at = now
            self._log.runs_long(job, runtime)
        try:
            job.touch()
        except NotFoundError as error:
            self._tell_if_lost(error)  # else the handler has settled it
        except (ClosedError, ConnectionLostError):
            pass  # nothing is left that could be touched
        else:
            self.due_at = now + job.ttr / 2

    @property
    def runtime(self) -> float:
        """For how many seconds it has been in hand."""
        return self._now() - self._started_at

    # The handler

    @property
    def context(self) -> Context:
        """The context that the handler runs in: that of the put, if it was kept."""
        context = self.job.context  # an empty one is false
        return copy_context() if context is None else context

    def perform(self) -> None:
        """Run the handler in this thread, and settle the job.

        Raises:
            BaseException: The handler has raised it, and it is neither an `Exception`
                nor a cancellation. The job is given back.
        """
        try:
            result = self.context.run(self.handler.function, self.job)
            _refuse_coroutine(result)
        except BaseException as error:
            self.settle(error)
            if not isinstance(error, Exception) and not is_cancellation(error):
                raise
        else:
            self.settle(None, result)

    # What becomes of the job

    def settle(self, error: BaseException | None, result: object = None) -> None:
        """Do with the job what the end of its handler calls for. Twice has no effect.

        Args:
            error: What the handler has raised, None if it has returned.
            result: What it has returned, for whoever has submitted the job.
        """
        if self.settled:
            return
        self.settled = True
        try:
            if self.abandoned:
                if isinstance(error, Exception):
                    self._log.failed_late(self.job, error)
            elif error is None and result is not None:
                self.job.finish(result)
            elif error is None:
                with self.job:
                    pass  # and so it is deleted, unless the handler has settled it
            elif isinstance(error, Exception):
                self._fail(error)
            else:
                self.job.release()
                self._log.given_back(self.job, error)
        except NotFoundError as not_found:
            self._tell_if_lost(not_found)  # else the handler has settled it
            if isinstance(error, Exception):
                self._log.failed_late(self.job, error)
        except (ClosedError, ConnectionLostError) as closed:
            self._log.not_settled(self.job, closed)

    def _fail(self, error: Exception) -> None:
        job, retry = self.job, self.handler.retry
        if isinstance(error, Retry):
            priority, delay = error.priority, error.delay
            if delay is None:
                delay = 0 if retry is None else retry.delay(job.reserves, job.kicks)
        elif (
            not isinstance(error, Bury)
            and retry is not None
            and retry.allows(job.reserves, job.kicks)
        ):
            priority, delay = None, retry.delay(job.reserves, job.kicks)
        else:
            priority = error.priority if isinstance(error, Bury) else None
            job.fail(error, priority=priority)
            self._log.buried(job, retry, error)
            return
        job.release(priority=priority, delay=delay, error=error)
        self._log.retried(job, retry, delay, error)

    def abandon(self) -> bool:
        """Wait no longer for the handler. The job was given back, if it was not settled.

        Returns:
            Whether it was still at work.
        """
        self.due_at = inf
        if self.settled or self.abandoned:
            return False
        self.abandoned = True
        return True

    def _tell_if_lost(self, error: NotFoundError) -> None:
        """Log that the job was lost, if it was, but only once."""
        if self.job.lost and not self._lost_told:
            self._lost_told = True
            cancelled = error.reason is NotFoundReason.CANCELLED
            tell = self._log.cancelled if cancelled else self._log.lost
            tell(self.job, self.runtime)


def _refuse_coroutine(result: object) -> None:
    """Raise an error if a plain function returns a coroutine: nobody would run it."""
    if iscoroutine(result):
        result.close()
        message = "the handler has returned a coroutine: that is for AsyncWorker"
        raise TypeError(message)


def is_cancellation(error: BaseException) -> bool:
    """Tell whether this is asyncio's cancellation, without importing asyncio."""
    asyncio = sys.modules.get("asyncio")
    return asyncio is not None and isinstance(error, asyncio.CancelledError)
