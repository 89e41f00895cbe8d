"""Heaps of what is due at some moment."""

from __future__ import annotations

from heapq import heapify, heappop
from typing import Final, TypeVar

__all__ = ["take_due"]

E = TypeVar("E", bound=tuple[float, *tuple[int, ...]])

# A pop from a large heap takes some 32 times as long as looking at an entry. So where
# more than one entry in 32 is due, dividing the whole heap costs less.
_SAMPLE: Final = 32


def take_due(heap: list[E], until: float) -> list[E]:
    """Take the entries whose moment, the first item, is not later; in their order.

    Cost: O(log n) for each, and at most O(n) for all of them.
    """
    sample = heap[:: len(heap) // _SAMPLE + 1]
    if sum(entry[0] <= until for entry in sample) > 1:
        entries = [entry for entry in heap if entry[0] <= until]
        entries.sort()
        heap[:] = [entry for entry in heap if entry[0] > until]
        heapify(heap)
        return entries
    entries = []
    while heap and heap[0][0] <= until:
        entries.append(heappop(heap))
    return entries
