"""Keys of jobs of many priorities: a heap, and lanes beside it.

Strategy
    A heap of a million keys takes long to walk through: they lie all over the memory.
    Where there are few priorities, most jobs are the youngest of theirs. These wait in a
    *lane*, a deque of ids, and only its head is in the heap. What is out of order in its
    lane is in the heap as well, and so is all that has none.

    A key is one int for priority and id. Comparing two ints takes a third of the time of
    comparing two tuples.

    A priority gets a lane when it comes for the second time among `MAX_LANES` others, and
    keeps it while it is used. So priorities that are numbers without end get few. And
    there are none before the heap has `SMALL_HEAP` keys: up to there it is quicker alone.
"""

from __future__ import annotations

from collections import deque
from heapq import heapify, heappop, heappush, heapreplace
from itertools import islice
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .limits import JobId

__all__ = ["ID_BITS", "ID_MASK", "MAX_LANES", "SMALL_HEAP", "SideLanes"]

# Enough for all who give names to their priorities.
MAX_LANES: Final = 1024
# So many keys lie near enough to each other.
SMALL_HEAP = 4096  # not Final: tests replace it

# A key is priority << ID_BITS | id. An id has 64 bits in beanstalkd.
ID_BITS: Final = 64
ID_MASK: Final = (1 << ID_BITS) - 1


class SideLanes:
    """Keys, in the order of priority and id; one may be in it several times.

    Attributes:
        heap: Its first item is the first key. It is false without any.
    """

    __slots__ = ("_lanes", "_seen", "heap")

    def __init__(self) -> None:
        self.heap: list[int] = []
        self._lanes: dict[int, deque[int]] = {}  # {priority: ids}
        # Priorities without a lane that came lately. Not a set: one that cannot grow, for
        # want of memory, is filled to its last place, and CPython then searches for ever.
        self._seen: dict[int, None] = {}

    def add(self, priority: int, job_id: JobId) -> None:
        """Add a key. Cost: O(1) for the youngest of a lane, else O(log n)."""
        heap = self.heap
        if not self._lanes and len(heap) < SMALL_HEAP:
            heappush(heap, priority << ID_BITS | job_id)
            return
        lane = self._lanes.get(priority)
        if lane and lane[-1] < job_id:
            lane.append(job_id)
            return
        heappush(heap, priority << ID_BITS | job_id)
        if lane is None:
            lane = self._lane_for(priority)
        if lane is not None and not lane:
            lane.append(job_id)

    def _lane_for(self, priority: int) -> deque[int] | None:
        """Return a lane for a priority that has none, if it is to have one."""
        if priority not in self._seen:
            if len(self._seen) >= MAX_LANES:
                self._seen.clear()
                self._lanes = {key: lane for key, lane in self._lanes.items() if lane}
            self._seen[priority] = None
            return None
        if len(self._lanes) >= MAX_LANES:
            return None
        lane = self._lanes[priority] = deque()
        return lane

    def add_many(self, keys: Iterable[int], count: int) -> None:
        """Add so many keys. Cost: O(n) for many, O(log n) for each of a few."""
        heap = self.heap
        if count > len(heap) >> 2:
            heap += keys
            heapify(heap)
        else:
            for key in keys:
                self.add(key >> ID_BITS, key & ID_MASK)

    def drop_first(self) -> None:
        """Drop the first key. Cost: O(log n), n the size of the heap."""
        heap = self.heap
        key = heap[0]
        lane = self._lanes.get(key >> ID_BITS) if self._lanes else None
        if lane and lane[0] == key & ID_MASK:
            lane.popleft()
            if lane:
                heapreplace(heap, key >> ID_BITS << ID_BITS | lane[0])
                return
        heappop(heap)

    def clear(self) -> None:
        """Drop all keys."""
        self.heap.clear()
        self._lanes.clear()
        self._seen.clear()

    def __iter__(self) -> Iterator[int]:
        """Return all keys, in no order."""
        yield from self.heap
        for priority, lane in self._lanes.items():
            for job_id in islice(lane, 1, None):  # the first is in the heap
                yield priority << ID_BITS | job_id

    def _check(self) -> None:
        """Raise AssertionError unless the lanes are in order, and their heads in it."""
        heap = self.heap
        assert all(heap[(i - 1) // 2] <= heap[i] for i in range(1, len(heap)))
        assert len(self._lanes) <= MAX_LANES
        assert len(self._seen) <= MAX_LANES
        keys = set(heap)
        for priority, lane in self._lanes.items():
            assert list(lane) == sorted(set(lane))
            assert not lane or priority << ID_BITS | lane[0] in keys
