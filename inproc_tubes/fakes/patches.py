"""Functions of others that are ours for a while.

Another tool may replace the same functions meanwhile, and put back what it has found.
So a patch is a stack of *layers*: each is a function of ours that knows what it lies on,
and calls that for all that is not ours. A layer that was taken off or covered is followed
by a new one; one that comes to light again is as good as new.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Patch", "patch", "undo_all"]

_INHERITED = object()


class Patch:
    """One name in a class or a module.

    Args:
        owner: The class or the module.
        name: The name.
        over: Makes a function of ours, of the one that is called for what is not ours.
    """

    def __init__(self, owner: Any, name: str, over: Callable[[Any], Any]) -> None:
        self._owner = owner
        self._name = name
        self._over = over
        # {layer: what is there without it}; weak, since others may keep one, or none.
        self._layers: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()
        self._last: Any = None  # to see at a glance that all is well

    def apply(self) -> None:
        """Put a layer on top, if there is none."""
        before = vars(self._owner).get(self._name, _INHERITED)
        if before is self._last or before in self._layers:
            return
        layer = self._over(getattr(self._owner, self._name))
        self._layers[layer] = before
        self._last = layer
        setattr(self._owner, self._name, layer)

    def undo(self) -> None:
        """Take the layer on top away, if it is ours."""
        layer = vars(self._owner).get(self._name)
        if layer not in self._layers:
            return
        before = self._layers[layer]
        if before is _INHERITED:
            delattr(self._owner, self._name)
        else:
            setattr(self._owner, self._name, before)


_known: dict[tuple[Any, str], Patch] = {}


def patch(owner: Any, name: str, over: Callable[[Any], Any]) -> Patch:
    """Return the patch of a name: the same one each time, since it knows its layers."""
    if (owner, name) not in _known:
        _known[owner, name] = Patch(owner, name, over)
    return _known[owner, name]


def undo_all() -> None:
    """Take away what is ours, wherever it is on top."""
    for each in _known.values():
        each.undo()
