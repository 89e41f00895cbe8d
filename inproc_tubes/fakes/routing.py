"""What is done while any server is active: all ways lead to it, and none past it."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

from . import audit, blocked_sockets, loop_routes, patches, registry, socket_routes

if TYPE_CHECKING:
    from .addresses import Key
    from .registry import Place

__all__ = ["add", "guard", "rearm", "remove", "unguard"]


def add(server: Place, key: Key) -> None:
    """Let a server be reached.

    Raises:
        OSError: There is another one at its address.
    """
    with registry.lock:
        registry.add(server, key)
        try:
            _arm()
        except BaseException:  # Ctrl-C
            remove(server)
            raise


def remove(server: Place) -> None:
    """Let a server be reached no longer."""
    with registry.lock:
        registry.remove(server)
        _disarm_if_idle()


def guard(place: Place, key: Key) -> None:
    """Let nothing be reached at an address but a server of ours."""
    with registry.lock:
        registry.guard(place, key)
        _arm()


def unguard(place: Place) -> None:
    """Let the addresses of this guard be reached again."""
    with registry.lock:
        registry.unguard(place)
        _disarm_if_idle()


def rearm() -> None:
    """Put back in place whatever of ours another tool has replaced meanwhile."""
    if registry.is_empty():
        return
    with registry.lock:
        _patch()


def _arm() -> None:
    # It connects in C, and raises no audit event: it must be patched before it is used.
    if find_spec("uvloop") is not None:  # pragma: no branch - the tests have it
        import_module("uvloop")
    audit.install(rearm)
    _patch()


def _patch() -> None:
    blocked_sockets.allow_ours()
    for each in (*socket_routes.patches(), *loop_routes.patches()):
        each.apply()


def _disarm_if_idle() -> None:
    if registry.is_empty():
        patches.undo_all()
        blocked_sockets.undo()
