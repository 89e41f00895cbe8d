"""A set of objects that are alive, which other threads may change meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar
from weakref import WeakValueDictionary

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["WeakRegistry"]

R = TypeVar("R")


class WeakRegistry(Generic[R]):
    """Objects by their identity, each until it is collected or discarded.

    A `weakref.WeakSet` raises `RuntimeError` from a loop over it when another thread adds
    to it or the collector takes from it. A loop over this goes over what it had at first.
    """

    def __init__(self) -> None:
        self._items: WeakValueDictionary[int, R] = WeakValueDictionary()

    def add(self, item: R) -> None:
        """Have an object in it."""
        self._items[id(item)] = item

    def discard(self, item: R) -> None:
        """Have an object in it no more."""
        self._items.pop(id(item), None)

    def __iter__(self) -> Iterator[R]:
        # All references are taken in one step of the interpreter.
        for reference in self._items.valuerefs():
            item = reference()
            if item is not None:
                yield item

    def __len__(self) -> int:
        return len(self._items)
