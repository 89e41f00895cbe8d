"""A tube's delayed jobs, by the moment at which they are ready."""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING

from .job import JobState

if TYPE_CHECKING:
    from .job import Record

__all__ = ["SWEEP_FLOOR", "Delayed"]

# Fewer dead entries than this are never swept: it would cost more than they do.
SWEEP_FLOOR = 64

_DELAYED = JobState.DELAYED


class Delayed:
    """A heap of (due_at, id). A job that leaves from the middle leaves its entry.

    An entry is *live* while it tells the moment of a delayed job. Against a sorted list,
    adding to a million jobs compares two entries instead of twenty, each of which would
    have to be fetched from main memory.
    """

    __slots__ = ("_count", "_heap", "_jobs")

    def __init__(self, jobs: dict[int, Record]) -> None:
        self._jobs = jobs  # the engine's, {id: record}
        self._heap: list[tuple[float, int]] = []
        self._count = 0  # of live entries; two that are equal count once

    def __len__(self) -> int:
        return self._count

    def add(self, record: Record) -> None:
        """Add a job whose ``due_at`` is set. Cost: O(log n), O(1) on average."""
        heappush(self._heap, (record.due_at, record.id))
        self._count += 1

    def remove(self, record: Record) -> None:
        """Take a job from the middle. Cost: O(1) amortised."""
        self._count -= 1
        if len(self._heap) > 2 * self._count + SWEEP_FLOOR:
            gone = (record.due_at, record.id)
            self._heap = list({e for e in self._heap if e != gone and self._is_live(e)})
            heapify(self._heap)

    def first(self) -> Record | None:
        """Return the job that is ready first, None without any.

        Cost: O(1), amortised over the dead entries it drops.
        """
        heap = self._heap
        while heap:
            if self._is_live(heap[0]):
                return self._jobs[heap[0][1]]
            heappop(heap)
        return None

    def pop(self) -> Record:
        """Take the job that is ready first; there must be one. Cost: O(log n)."""
        record = self.first()
        assert record is not None  # says the caller
        self._drop(heappop(self._heap))
        self._count -= 1
        return record

    def take(self, until: float) -> list[Record]:
        """Take all jobs that are ready by then, in order. Cost: O(log n) for each."""
        heap = self._heap
        records = []
        while heap and heap[0][0] <= until:
            entry = heappop(heap)
            if self._is_live(entry):
                records.append(self._jobs[entry[1]])
                self._drop(entry)
        self._count -= len(records)
        return records

    def _drop(self, entry: tuple[float, int]) -> None:
        """Drop the entries of a job that has left, and come back for the same moment."""
        while self._heap and self._heap[0] == entry:
            heappop(self._heap)

    def in_order(self) -> list[Record]:
        """Return all jobs in the order in which they are ready. Cost: O(n log n)."""
        live = {entry for entry in self._heap if self._is_live(entry)}
        return [self._jobs[job_id] for _, job_id in sorted(live)]

    def _is_live(self, entry: tuple[float, int]) -> bool:
        record = self._jobs.get(entry[1])
        return (
            record is not None
            and record.state is _DELAYED
            and record.due_at == entry[0]
        )

    def _check(self) -> None:
        heap = self._heap
        assert all(heap[(i - 1) // 2] <= heap[i] for i in range(1, len(heap)))
        # Every delayed job has a live entry.
        assert len(self.in_order()) == self._count
