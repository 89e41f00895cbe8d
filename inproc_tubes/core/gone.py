"""The memory of jobs that are gone: how those have ended that were not simply deleted.

Nearly all jobs are deleted when they are done, and none of these is noted: a job that is
gone, and that this knows nothing of, was deleted. What else may end a job is seldom, and
is remembered by its id alone, for a limited number of jobs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from inproc_tubes.errors import NotFoundReason

if TYPE_CHECKING:
    from collections.abc import Container

    from .limits import JobId

__all__ = ["REMEMBERED", "Gone"]

REMEMBERED: Final = 1024
"""How many jobs are remembered: some 100 KB of them."""


class Gone:
    """How jobs have ended, if not by a delete.

    Attributes:
        reasons: {id: reason} of those that are remembered, the last one last.
        forgotten: The highest id of those that are remembered no more, 0 for none.
        limit: How many are remembered.
    """

    __slots__ = ("forgotten", "limit", "reasons")

    def __init__(self) -> None:
        self.reasons: dict[int, NotFoundReason] = {}
        self.forgotten: int = 0
        self.limit: int = REMEMBERED

    def remember(self, job_id: JobId, reason: NotFoundReason) -> None:
        """Note how a job is about to end. Cost: O(1)."""
        self.reasons[job_id] = reason
        while len(self.reasons) > self.limit:
            oldest = next(iter(self.reasons))
            self.forgotten = max(self.forgotten, oldest)
            del self.reasons[oldest]

    def reason_of(self, job_id: JobId) -> NotFoundReason:
        """Tell how a job that was put has ended. Cost: O(1)."""
        reason = self.reasons.get(job_id)
        if reason is not None:
            return reason
        if job_id <= self.forgotten:
            return NotFoundReason.GONE
        return NotFoundReason.DELETED

    def rebuild(self, jobs: Container[int]) -> None:
        """Forget those that are there after all: their end was broken off.

        Cost: O(n).
        """
        for job_id in list(self.reasons):
            if job_id in jobs:
                del self.reasons[job_id]

    def _check(self, jobs: Container[int]) -> None:
        assert len(self.reasons) <= self.limit
        assert not any(job_id in jobs for job_id in self.reasons)
