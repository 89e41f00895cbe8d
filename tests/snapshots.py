"""All that can be reached from an object, as something that can be compared."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from enum import Enum
from functools import cache
from itertools import chain, count
from threading import Lock
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["snapshot"]

_Lock = type(Lock())
_PLAIN = (int, float, str, bytes, Enum)


def snapshot(thing: Any, *opaque: type) -> Any:
    """Return all that can be reached; what was seen before, by its number.

    Of the classes that are ``opaque`` only the name is shown.
    """
    seen: dict[int, int] = {}

    def show(thing: Any) -> Any:
        if thing is None or isinstance(thing, _PLAIN):
            return thing
        if id(thing) in seen:
            return ("again", seen[id(thing)])
        seen[id(thing)] = len(seen)
        cls: Any = type(thing)
        if _is_container(cls):
            return [show(item) for item in _items(thing)]
        if isinstance(thing, opaque):
            return cls.__name__
        if isinstance(thing, (count, _Lock)):
            shown = repr(thing) if isinstance(thing, count) else thing.locked()
            return cls.__name__, shown
        return cls.__name__, [
            (attribute, show(getattr(thing, attribute)))
            for attribute in _attributes(thing)
        ]

    return show(thing)


@cache
def _is_container(cls: type) -> bool:
    return issubclass(cls, (Mapping, list, tuple, deque))


def _items(container: Any) -> Iterable[Any]:
    items: Iterable[Any] = container
    if hasattr(container, "items"):  # quicker than to ask for a Mapping
        items = chain.from_iterable(container.items())
    return items


@cache
def _slots(cls: type) -> list[str]:
    names = {
        name
        for base in cls.__mro__
        # The latter where it is compiled.
        for slots in ("__slots__", "__mypyc_attrs__")
        for name in getattr(base, slots, ())
    }
    return sorted(names - {"__weakref__", "__dict__"})


def _attributes(thing: Any) -> list[str]:
    cls: Any = type(thing)
    # A slot may be empty: a job that was never reserved has no holder.
    names = [name for name in _slots(cls) if hasattr(thing, name)]
    own = getattr(thing, "__dict__", None)
    return sorted({*names, *own}) if own else names
