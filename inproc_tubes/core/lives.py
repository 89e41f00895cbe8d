"""The ready jobs of a tube that expire, by the moment at which each does.

The life of a job runs while it is ready, and stands still otherwise: see `History`.

Strategy
    A heap of (expires_at, id). Nobody tells it that a job is ready no longer, so that
    nothing else costs more. An entry is *live* while it tells the moment of a ready job of
    the tube. Dead entries are dropped when they come to the head, and all at once when the
    entries have doubled.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from math import inf
from typing import TYPE_CHECKING, Final

from .heaps import take_due
from .record import JobState

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .record import AnyJob

__all__ = ["SWEEP_FLOOR", "Lives"]

# Fewer entries than this are never swept: a sweep would cost more than they do.
SWEEP_FLOOR: Final = 64

_READY: Final = JobState.READY


class Lives:
    """A heap with dead entries."""

    __slots__ = ("_heap", "_jobs", "_sweep_at", "_tube")

    def __init__(self, jobs: dict[int, AnyJob], tube: str) -> None:
        self._jobs = jobs  # the engine's, {id: job}
        self._tube = tube
        self._heap: list[tuple[float, int]] = []
        self._sweep_at = SWEEP_FLOOR

    def add(self, job: AnyJob) -> None:
        """Add a ready job whose life has begun to run. Cost: O(log n) amortised."""
        heappush(self._heap, (job._history.expires_at, job._id))
        if len(self._heap) > self._sweep_at:
            self.rebuild(self._living())

    @property
    def due_at(self) -> float:
        """When the first of them expires, inf for never. Cost: O(1) amortised."""
        heap = self._heap
        while heap:
            if self._living_job(heap[0]) is not None:
                return heap[0][0]
            heappop(heap)
        return inf

    def take(self, until: float) -> list[AnyJob]:
        """Take the jobs that expire by then, in order.

        Cost: O(log n) for each, and at most O(n) for all of them.
        """
        # One may have two entries that are equal, if it was taken and came back.
        entries = dict.fromkeys(take_due(self._heap, until))
        jobs = map(self._living_job, entries)
        return [job for job in jobs if job is not None]

    def _living_job(self, entry: tuple[float, int]) -> AnyJob | None:
        """Return the job whose entry this is, None where it is dead."""
        job = self._jobs.get(entry[1])
        if (
            job is not None
            and job._state is _READY
            and job._history.expires_at == entry[0]
            and job._tube == self._tube
        ):
            return job
        return None

    def _living(self) -> list[AnyJob]:
        jobs = map(self._living_job, dict.fromkeys(self._heap))
        return [job for job in jobs if job is not None]

    def rebuild(self, jobs: Iterable[AnyJob]) -> None:
        """Contain exactly these jobs. Cost: O(n)."""
        self._heap = [(job._history.expires_at, job._id) for job in jobs]
        heapify(self._heap)
        self._sweep_at = 2 * len(self._heap) + SWEEP_FLOOR

    def _check(self, jobs: list[AnyJob]) -> None:
        """Raise AssertionError unless exactly these jobs are in it, and in order."""
        heap = self._heap
        assert all(heap[(i - 1) // 2] <= heap[i] for i in range(1, len(heap)))
        assert len(heap) <= self._sweep_at
        assert sorted(job._id for job in self._living()) == [job._id for job in jobs]
