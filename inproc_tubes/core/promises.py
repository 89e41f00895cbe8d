"""The promises to those who have submitted a job: what becomes of it.

Strategy
    The truth is in the jobs: `History.promise`. Here they stand by the ids of their
    jobs, so that all of them can be kept when the broker is closed, and none is
    forgotten when a turn is broken off: a promise in here whose job is gone is due.

    A promise that is due goes into ``Turn.after``. The shell tells its future there,
    without the lock: that runs user's code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from inproc_tubes.errors import ClosedError

from .record import JobState

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Mapping

    from .promise import Promise
    from .record import AnyJob

__all__ = ["Promises"]


class Promises:
    """The promises that are not due yet, {id of the job: promise}."""

    __slots__ = ("_after", "pending")

    def __init__(self, after: deque[object]) -> None:
        self._after = after  # that of the turn
        self.pending: dict[int, Promise] = {}

    def add(self, job: AnyJob) -> None:
        """Enter a job that was put, if it was submitted. Cost: O(1)."""
        promise = job._history.promise
        if promise is not None:
            self.pending[job._id] = promise

    def keep(self, job_id: int, promise: Promise) -> None:
        """Let a promise be due: its job has left for good, or has failed. Cost: O(1)."""
        self._after.append(promise)
        self.pending.pop(job_id, None)

    def fail(self, job: AnyJob) -> None:
        """Let the promise of a job be due that was buried with an error. Cost: O(1)."""
        promise = job._history.promise
        if promise is not None:
            job._history.promise = None  # from here on it has failed
            self.keep(job._id, promise)

    def close(self, what: str) -> None:
        """Let all of them be due: the broker was closed. Cost: O(n)."""
        for promise in self.pending.values():
            promise.reset()
            promise.error = ClosedError(what)
            self._after.append(promise)

    def rebuild(self, jobs: Mapping[int, AnyJob]) -> None:
        """Keep those that are due, and contain those of these jobs. Cost: O(n)."""
        for job_id, promise in list(self.pending.items()):
            job = jobs.get(job_id)
            if job is None or job._history.promise is not promise:
                self.keep(job_id, promise)
            elif promise.error is not None and job._state is JobState.BURIED:
                self.fail(job)
            else:
                promise.reset()  # an end that was broken off has never been
        for job in jobs.values():
            self.add(job)

    def _check(self, jobs: Mapping[int, AnyJob]) -> None:
        assert self.pending == {
            job_id: job._history.promise
            for job_id, job in jobs.items()
            if job._history.promise is not None
        }
        for promise in self.pending.values():
            assert promise.result is promise.error is None
            assert not promise.cancelled
            assert not promise.told
