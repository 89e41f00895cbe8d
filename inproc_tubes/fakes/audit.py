"""The last line: an audit hook, which sees every connection that Python makes.

CPython raises an audit event before it connects, whoever asks it to: a socket that was
made before another tool has put its own function over ours, a class of sockets that we
do not know, code in C that calls the methods of `_socket.socket`. What is not served by
then is refused. A hook cannot be taken away again; without a server it does nothing.

It also sees sockets being made, names being resolved, and so mends in time what another
tool has undone, and learns the numbers of our names.

`sys.settrace` raises an event, too, and in CPython 3.11 it fails if another thread comes
in between, as it may in any hook. So there, the hook is not installed while a program is
traced, by coverage or by a debugger.
"""

from __future__ import annotations

import socket
import sys
import threading
from typing import TYPE_CHECKING, Any

from . import registry
from .refusals import refuse_to_connect

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["install"]

_CONNECTING = frozenset({"socket.connect", "socket.sendto", "socket.sendmsg"})
_RESOLVING = frozenset({"socket.getaddrinfo", "socket.gethostbyname"})
_EVENTS = _CONNECTING | _RESOLVING | {"socket.__new__"}

# What has been installed, for good.
_installed: list[Callable[[str, Any], None]] = []


def install(rearm: Callable[[], None]) -> None:
    """Install the hook, once in a process, if that is safe.

    Args:
        rearm: Puts back in place whatever of ours another tool has replaced.
    """
    if _installed or not is_safe():
        return

    def hook(event: str, args: Any) -> None:  # pragma: no cover - it is not traced
        if event in _EVENTS and not registry.is_empty():
            see(event, args, rearm)

    _installed.append(hook)
    sys.addaudithook(hook)


def is_safe() -> bool:
    """Tell whether a hook would break no tool that traces."""
    tracers = sys.gettrace, sys.getprofile, threading.gettrace, threading.getprofile
    return sys.version_info[:2] > (3, 11) or not any(tracer() for tracer in tracers)


def see(event: str, args: Any, rearm: Callable[[], None]) -> None:
    """Do what is to be done at an event, while there are servers or guards.

    Raises:
        OSError: It is a connection to one of them.
    """
    if event in _RESOLVING:
        registry.learn(args[0])
        return
    rearm()
    if event in _CONNECTING:
        _refuse_to_connect(*args)


def _refuse_to_connect(sock: socket.socket, address: Any) -> None:
    if sock.type != socket.SOCK_STREAM:
        return
    place, _ = registry.find_for_socket(sock, address)
    if place is not None:
        place.admit()
        cls = type(sock)
        refuse_to_connect(f"a {cls.__module__}.{cls.__qualname__} past our patches")
