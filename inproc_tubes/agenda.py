"""When somebody must be looked at again, at the earliest.

An entry is a *lower bound*: looking too early costs a glance and is put right then,
looking too late would be wrong. So what makes a moment later, or void, need not
tell the agenda, and the verbs that do so (delete above all) stay cheap.
"""

from __future__ import annotations

from math import inf
from typing import Generic, TypeVar

from sortedcontainers import SortedDict

__all__ = ["Agenda"]

T = TypeVar("T")


class Agenda(Generic[T]):
    """Each thing at most once, in order of its moment, ties in order of planning."""

    __slots__ = ("_entries", "_keys", "_serial")

    def __init__(self) -> None:
        self._entries: SortedDict[tuple[float, int], T] = SortedDict()
        self._keys: dict[T, tuple[float, int]] = {}
        self._serial = 0

    def plan(self, thing: T, moment: float) -> None:
        """See to it that ``thing`` is looked at no later than ``moment``.

        Cost: O(log n).
        """
        key = self._keys.get(thing)
        if key is not None:
            if key[0] <= moment:
                return
            del self._entries[key]
        self._serial += 1
        self._keys[thing] = key = (moment, self._serial)
        self._entries[key] = thing

    def forget(self, thing: T) -> None:
        """Strike ``thing`` out, if it is in. Cost: O(log n)."""
        key = self._keys.pop(thing, None)
        if key is not None:
            del self._entries[key]

    def first(self) -> tuple[float, T | None]:
        """Return the earliest moment and its thing, or (inf, None). Cost: O(1)."""
        if not self._entries:
            return inf, None
        key, thing = self._entries.peekitem(0)
        return key[0], thing

    def take(self, until: float) -> list[T]:
        """Strike out and return all things planned for ``until`` or before.

        Cost: O(log n) for each.
        """
        things = []
        while self._entries and self._entries.peekitem(0)[0][0] <= until:
            _, thing = self._entries.popitem(0)
            del self._keys[thing]
            things.append(thing)
        return things

    def _check(self) -> None:
        self._entries._check()
        # Each thing has one entry, and knows its key.
        assert {t: k for k, t in self._entries.items()} == self._keys
        assert len(self._entries) == len(self._keys)
