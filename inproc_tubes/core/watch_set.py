"""The watch set: tubes that consumers watch together, by the job each would serve.

A session that watches one tube asks that tube. One that watches many would have to ask
every one of them, each time. So the sessions that watch the same tubes share a
`WatchSet`, which knows the answer.

Strategy
    A heap with a *lower bound* for each tube that has anything to serve: no job of the
    tube comes before it. A job that becomes ready lowers the bound of its tube if need
    be. That jobs leave, and that tubes are paused, is noticed only when the bound is at
    the head of the heap, and is corrected then. So the cost of a reserve does not grow
    with the tubes that have no job, and a put need not tell each consumer.
"""

from __future__ import annotations

from collections import OrderedDict
from heapq import heapify, heappop, heappush, heapreplace
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["SWEEP_FLOOR", "Source", "WatchSet"]

# Fewer void bounds than this are never swept: a sweep would cost more than they do.
SWEEP_FLOOR: Final = 64


class Source(Protocol):
    """What a watch set wants to know of a tube."""

    name: str

    @property
    def best_key(self) -> int | None:
        """The key of the job that it would serve now; None without any, or if paused."""


S = TypeVar("S", bound=Source)


class WatchSet(Generic[S]):
    """A set of tubes that at least one session watches, exactly these."""

    __slots__ = ("_bounds", "_heap", "tickets", "tubes", "users")

    def __init__(self, tubes: Iterable[S]) -> None:
        self.tubes: dict[str, S] = {tube.name: tube for tube in tubes}
        self.users: int = 0  # how many sessions
        # The tickets of the requests that wait here, longest waiting first. Not a dict:
        # the first of a dict that is consumed from its front takes ever longer to find.
        self.tickets: OrderedDict[int, None] = OrderedDict()
        self._bounds: dict[str, int] = {}  # {a tube's name: no key of it is lower}
        # Of bounds, and of some that were lowered since and are void.
        self._heap: list[tuple[int, str]] = []
        for tube in self.tubes.values():
            self.look_at(tube)

    def look_at(self, tube: S) -> None:
        """Learn what this tube has to serve. Cost: O(log n)."""
        key = tube.best_key
        if key is not None:
            self.offer(tube, key)

    def offer(self, tube: S, key: int) -> None:
        """Learn that the job of this key is ready. Cost: O(log n), mostly O(1)."""
        bound = self._bounds.get(tube.name)
        if bound is None or key < bound:
            self._bounds[tube.name] = key
            heappush(self._heap, (key, tube.name))
            if len(self._heap) > 2 * len(self._bounds) + SWEEP_FLOOR:
                self._heap[:] = [(bound, name) for name, bound in self._bounds.items()]
                heapify(self._heap)

    def best(self) -> S | None:
        """Return the tube with the first job by (priority, id), None without any.

        Cost: O(log n), amortised over the bounds that it corrects.
        """
        heap = self._heap
        while heap:
            bound, name = heap[0]
            if self._bounds.get(name) != bound:
                heappop(heap)
                continue
            tube = self.tubes[name]
            key = tube.best_key
            if key is None:
                del self._bounds[name]  # its bound in the heap is void now
            elif key == bound:
                return tube
            else:
                self._bounds[name] = key
                heapreplace(heap, (key, name))
        return None

    def _check(self) -> None:
        heap = self._heap
        assert all(heap[(i - 1) // 2] <= heap[i] for i in range(1, len(heap)))
        # Every bound is in the heap, and no tube serves a job before its bound.
        assert {(bound, name) for name, bound in self._bounds.items()} <= set(heap)
        for name, tube in self.tubes.items():
            key = tube.best_key
            assert key is None or self._bounds[name] <= key
        # The longest waiting is first.
        assert list(self.tickets) == sorted(self.tickets)
