"""The tubes that consumers watch together, by the job that each would serve first.

Who watches one tube asks that tube. Who watches many would have to ask every one of
them, each time; so those who watch the same tubes share a `Selection`, which knows.

Strategy
    A heap with a *lower bound* for each tube that has anything to serve: no job of
    the tube comes before it. A job that becomes ready lowers the bound of its tube
    if need be; that jobs leave, and that tubes are paused, is noticed only when the
    bound has come to the top, and is put right then. So what a reserve costs does
    not grow with the tubes that have no job, and a put need not tell each consumer.
"""

from __future__ import annotations

from collections import OrderedDict
from heapq import heapify, heappop, heappush, heapreplace
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .tube import Tube
    from .waiting import Waiter

__all__ = ["Selection"]

# A job's priority and its id, by which it is served.
_Key: TypeAlias = tuple[int, int]

# Fewer void bounds than this are never swept: it would cost more than they do.
_SWEEP_FLOOR = 64


class Selection:
    """A set of tubes that at least one session watches, just these and no other."""

    __slots__ = ("_bounds", "_heap", "tubes", "users", "waiters")

    def __init__(self, tubes: Iterable[Tube]) -> None:
        self.tubes = frozenset(tubes)
        self.users = 0  # how many sessions
        # {ticket: waiter}, longest waiting first
        self.waiters: OrderedDict[int, Waiter] = OrderedDict()
        self._bounds: dict[Tube, _Key] = {}
        # Of bounds, and of some that have been lowered since and are void.
        self._heap: list[tuple[_Key, Tube]] = []
        for tube in self.tubes:
            self.look_at(tube)

    def look_at(self, tube: Tube) -> None:
        """Learn what this tube has to serve. Cost: O(log n)."""
        if tube.ready and not tube.paused_until:
            first = tube.first_ready()
            self.offer(tube, (first.priority, first.id))

    def offer(self, tube: Tube, key: _Key) -> None:
        """Learn that this job of the tube is ready. Cost: O(log n), mostly O(1)."""
        bound = self._bounds.get(tube)
        if bound is None or key < bound:
            self._bounds[tube] = key
            heappush(self._heap, (key, tube))
            if len(self._heap) > 2 * len(self._bounds) + _SWEEP_FLOOR:
                self._heap[:] = [(key, tube) for tube, key in self._bounds.items()]
                heapify(self._heap)

    def best(self) -> Tube | None:
        """Return the tube with the first job by (priority, id), None without any.

        Cost: O(log n), amortised over the bounds that it puts right.
        """
        heap = self._heap
        while heap:
            bound, tube = heap[0]
            if self._bounds.get(tube) != bound:
                heappop(heap)
            elif not tube.ready or tube.paused_until:
                heappop(heap)
                del self._bounds[tube]
            else:
                first = tube.first_ready()
                key = (first.priority, first.id)
                if key == bound:
                    return tube
                self._bounds[tube] = key
                heapreplace(heap, (key, tube))
        return None

    def _check(self) -> None:
        heap = self._heap
        assert all(heap[(i - 1) // 2] <= heap[i] for i in range(1, len(heap)))
        # Every bound is in the heap, and no tube serves a job before its bound.
        assert {(key, tube) for tube, key in self._bounds.items()} <= set(heap)
        for tube in self.tubes:
            assert self in tube.selections
            if not tube.paused_until:
                assert all(self._bounds[tube] <= key for key in tube._ready_keys())
        # Whoever has waited longest is first.
        assert list(self.waiters) == sorted(self.waiters)
