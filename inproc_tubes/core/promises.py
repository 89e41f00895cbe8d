"""The promises to those who have submitted a job: what becomes of it.

Strategy
    The truth is in the jobs: `History.promise`. Here they stand by the ids of their
    jobs, so that all of them can be kept when the broker is closed, and none is
    forgotten when a turn is broken off: a promise in here whose job is gone is due.

    A promise that is due goes into ``Turn.after``. The shell tells its future there,
    without the lock: that runs user's code. Before that it lets the engine answer the
    requests that wait for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from inproc_tubes.errors import ClosedError

from .promise import Promise
from .record import JobState

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Mapping

    from .promise import Resolvable
    from .record import AnyJob
    from .requests import ResultRequest

__all__ = ["Promises"]


class Promises:
    """The promises, and who waits for them.

    Attributes:
        pending: Those that are not due yet, {id of the job: promise}.
        requests: All pending requests for results, {ticket: request}, in their order.
    """

    __slots__ = ("_after", "pending", "requests")

    def __init__(self, after: deque[object]) -> None:
        self._after = after  # that of the turn
        self.pending: dict[int, Promise] = {}
        self.requests: dict[int, ResultRequest] = {}

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

    def of_future(self, job_id: int, future: Resolvable) -> Promise | None:
        """Return the promise to a future, None if it was told. Cost: O(1).

        For one that is due, and not told yet: O(number of things left to do).
        """
        promise = self.pending.get(job_id)
        if promise is not None and promise.future is future:
            return promise
        for item in self._after:
            if isinstance(item, Promise) and item.future is future:
                return item
        return None

    def add_request(self, request: ResultRequest, promise: Promise) -> None:
        """Let a request that has its ticket wait for a promise. Cost: O(1)."""
        request.promise = promise
        self.requests[request.ticket] = request
        promise.tickets[request.ticket] = None

    def remove_request(self, request: ResultRequest) -> None:
        """Let a request wait no longer. Cost: O(1)."""
        request.promise.tickets.pop(request.ticket, None)
        # Last: see `rebuild`, which knows only those that are in here.
        del self.requests[request.ticket]

    def close(self, what: str) -> None:
        """Let all of them be due: the broker was closed, and its requests answered.

        Cost: O(n).
        """
        for request in self.requests.values():
            request.promise.tickets.clear()
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
        for request in self.requests.values():
            request.promise.tickets.clear()
        for request in self.requests.values():
            request.promise.tickets[request.ticket] = None

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
        # Each request waits for a promise that is not due, or is about to be told.
        for ticket, request in self.requests.items():
            assert request.ticket == ticket
            found = self.of_future(request.job_id, request.future)
            assert found is not None
            assert found is request.promise
            assert ticket in found.tickets
        assert sorted(self.requests) == list(self.requests)
        due = {item for item in self._after if isinstance(item, Promise)}
        assert len(self.requests) == sum(
            len(promise.tickets) for promise in due.union(self.pending.values())
        )
