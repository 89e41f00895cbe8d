"""The delayed jobs of a tube, by the moment at which each is ready.

Strategy
    A heap of (due_at, id). A job that leaves from the middle leaves its entry behind. An
    entry is *live* while it tells the moment of a delayed job of the tube. Against a sorted list,
    adding to a million jobs compares two entries instead of twenty, each of which would
    have to be fetched from main memory.

    Where many delays end in one instant, the heap is divided in one pass instead of
    being popped entry by entry.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, Final

from .heaps import take_due
from .record import JobState

if TYPE_CHECKING:
    from .record import AnyJob

__all__ = ["SWEEP_FLOOR", "DelayedJobs"]

# Fewer dead entries than this are never swept: a sweep would cost more than they do.
SWEEP_FLOOR: Final = 64

_DELAYED: Final = JobState.DELAYED


class DelayedJobs:
    """A heap with dead entries."""

    __slots__ = ("_count", "_heap", "_jobs", "_tube")

    def __init__(self, jobs: dict[int, AnyJob], tube: str) -> None:
        self._jobs = jobs  # the engine's, {id: job}
        self._tube = tube
        self._heap: list[tuple[float, int]] = []
        self._count = 0  # of live entries; two that are equal count once

    def __len__(self) -> int:
        return self._count

    def add(self, job: AnyJob) -> None:
        """Add a job whose ``_due_at`` is set. Cost: O(log n), O(1) on average."""
        heappush(self._heap, (job._due_at, job._id))
        self._count += 1

    def remove(self, job: AnyJob) -> None:
        """Take a job from the middle. Cost: O(1) amortised."""
        self._count -= 1
        if len(self._heap) > 2 * self._count + SWEEP_FLOOR:
            gone = (job._due_at, job._id)
            self._heap = list({e for e in self._heap if e != gone and self._is_live(e)})
            heapify(self._heap)

    def first(self) -> AnyJob | None:
        """Return the job that is ready first, None without any.

        Cost: O(1), amortised over the dead entries that it drops.
        """
        heap = self._heap
        while heap:
            if self._is_live(heap[0]):
                return self._jobs[heap[0][1]]
            heappop(heap)
        return None

    def pop(self) -> AnyJob:
        """Take the job that is ready first; there must be one. Cost: O(log n)."""
        job = self.first()
        assert job is not None  # says the caller
        entry = heappop(self._heap)
        while self._heap and self._heap[0] == entry:
            heappop(self._heap)  # it had left, and came back for the same moment
        self._count -= 1
        return job

    def take(self, until: float) -> list[AnyJob]:
        """Take all jobs that are ready by then, in order.

        Cost: O(log n) for each, and at most O(n) for all of them.
        """
        jobs = self._jobs
        taken: list[AnyJob] = []
        last: AnyJob | None = None
        for due_at, job_id in take_due(self._heap, until):
            job = jobs.get(job_id)
            if (
                job is not None
                and job is not last  # it had left, and came back for the same moment
                and job._state is _DELAYED
                and job._due_at == due_at
                and job._tube == self._tube
            ):
                taken.append(job)
                last = job
        self._count -= len(taken)
        return taken

    def in_sequence(self) -> list[AnyJob]:
        """Return all jobs in the order in which they are ready. Cost: O(n log n)."""
        live = {entry for entry in self._heap if self._is_live(entry)}
        return [self._jobs[job_id] for _, job_id in sorted(live)]

    def rebuild(self, jobs: list[AnyJob]) -> None:
        """Contain exactly these jobs. Cost: O(n)."""
        self._heap = [(job._due_at, job._id) for job in jobs]
        heapify(self._heap)
        self._count = len(jobs)

    def _is_live(self, entry: tuple[float, int]) -> bool:
        job = self._jobs.get(entry[1])
        return (
            job is not None
            and job._state is _DELAYED
            and job._due_at == entry[0]
            and job._tube == self._tube
        )

    def _check(self, delayed: list[AnyJob]) -> None:
        """Raise AssertionError unless exactly these jobs are in it, and in order."""
        heap = self._heap
        assert all(heap[(i - 1) // 2] <= heap[i] for i in range(1, len(heap)))
        assert len(self) == len(delayed)
        assert self.in_sequence() == sorted(delayed, key=lambda j: (j._due_at, j._id))
