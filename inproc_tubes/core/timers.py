"""A timer queue: what must be looked at again, and when at the latest.

An entry is a *lower bound*. To look too early costs little and is put right then; to
look too late would be wrong. So what makes a moment later, or void, need not tell the
queue, and the verbs that do so (delete above all) stay cheap.
"""

from __future__ import annotations

from math import inf
from typing import Generic, TypeVar

from sortedcontainers import SortedDict

__all__ = ["TimerQueue"]

T = TypeVar("T")


class TimerQueue(Generic[T]):
    """Each item at most once, by its moment; ties in the order of planning."""

    __slots__ = ("_entries", "_keys", "_serial")

    def __init__(self) -> None:
        self._entries: SortedDict[tuple[float, int], T] = SortedDict()
        self._keys: dict[T, tuple[float, int]] = {}
        self._serial = 0

    def plan(self, item: T, moment: float) -> None:
        """Make sure that ``item`` is looked at no later than ``moment``.

        Cost: O(log n).
        """
        key = self._keys.get(item)
        if key is not None:
            if key[0] <= moment:
                return
            del self._entries[key]
        self._serial += 1
        self._keys[item] = key = (moment, self._serial)
        self._entries[key] = item

    def forget(self, item: T) -> None:
        """Remove ``item``, if it is in. Cost: O(log n)."""
        key = self._keys.pop(item, None)
        if key is not None:
            del self._entries[key]

    def first(self) -> tuple[float, T | None]:
        """Return the earliest moment and its item, or (inf, None). Cost: O(1)."""
        if not self._entries:
            return inf, None
        key, item = self._entries.peekitem(0)
        return key[0], item

    def take(self, until: float) -> list[T]:
        """Remove and return all items planned for ``until`` or before.

        Cost: O(log n) for each.
        """
        items = []
        while self._entries and self._entries.peekitem(0)[0][0] <= until:
            _, item = self._entries.popitem(0)
            del self._keys[item]
            items.append(item)
        return items

    def clear(self) -> None:
        """Remove all items, also where a change was broken off. Cost: O(n)."""
        self._entries = SortedDict()
        self._keys.clear()

    def __contains__(self, item: object) -> bool:
        return item in self._keys

    def __len__(self) -> int:
        return len(self._keys)

    def _check(self) -> None:
        self._entries._check()
        # Each item has one entry, and knows its key.
        assert {item: key for key, item in self._entries.items()} == self._keys
        assert len(self._entries) == len(self._keys)
