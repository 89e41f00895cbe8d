"""All that can be reached from an object, as something that can be compared."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from enum import Enum
from itertools import chain, count
from threading import Lock
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["snapshot"]

_Lock = type(Lock())


def snapshot(thing: Any, *opaque: type, seen: dict[int, int] | None = None) -> Any:
    """Return all that can be reached; what was seen before, by its number.

    Of the classes that are ``opaque`` only the name is shown.
    """
    seen = {} if seen is None else seen
    if thing is None or isinstance(thing, (int, float, str, bytes, Enum)):
        return thing
    if id(thing) in seen:
        return ("again", seen[id(thing)])
    seen[id(thing)] = len(seen)
    if isinstance(thing, (Mapping, list, tuple, deque)):
        return [snapshot(item, *opaque, seen=seen) for item in _items(thing)]
    name = type(thing).__name__
    if isinstance(thing, opaque):
        return name
    if isinstance(thing, (count, _Lock)):
        return name, repr(thing) if isinstance(thing, count) else thing.locked()
    return name, [
        (attribute, snapshot(getattr(thing, attribute), *opaque, seen=seen))
        for attribute in sorted(_attributes(thing))
    ]


def _items(container: Any) -> Iterable[Any]:
    if isinstance(container, Mapping):
        return chain.from_iterable(container.items())
    items: Iterable[Any] = container
    return items


def _attributes(thing: Any) -> list[str]:
    names = set(getattr(thing, "__dict__", ()))
    for cls in type(thing).__mro__:
        names.update(getattr(cls, "__slots__", ()))
    names -= {"__weakref__", "__dict__"}
    # A slot may be empty: a job that was never reserved has no holder.
    return [name for name in names if hasattr(thing, name)]
