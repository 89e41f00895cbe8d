"""Which servers are reached where: the fakes that are active, and addresses under guard.

It is looked at by every way to connect that there is, and knows none of them.
"""

from __future__ import annotations

import _socket
import errno
import os
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

from .addresses import (
    LOOPBACK,
    is_number,
    key_of_connect,
    key_of_lookup,
    name_of,
)
from .refusals import os_error

if TYPE_CHECKING:
    import socket

    from .addresses import Key
    from .connection import Server

__all__ = [
    "Place",
    "add",
    "find",
    "find_for_socket",
    "guard",
    "has_host",
    "is_empty",
    "learn",
    "lock",
    "may_be_ours",
    "number_for",
    "number_of",
    "remove",
    "unguard",
]


class Place(Protocol):
    """What is at an address of ours."""

    inherited: bool
    """Whether it is a parent process's."""

    def admit(self) -> Server:
        """Return the server to connect to.

        Raises:
            ConnectionRefusedError: There is none that could be.
        """


# Guards the tables when they change; who looks something up does without. Reentrant:
# an audit hook may come in between.
lock: threading.RLock = threading.RLock()
# Windows cannot fork.
if hasattr(os, "register_at_fork"):  # pragma: no branch - tests run where one can
    os.register_at_fork(after_in_child=lock._at_fork_reinit)  # type: ignore[attr-defined]  # as logging does
_servers: dict[Key, Place] = {}
_guards: dict[Key, Place] = {}
# {host name: its number}. They are from the block for benchmarks (RFC 2544), which no
# network routes, and are never given to another name.
_numbers: dict[str, str] = {}
# Who looks up a name to learn where it is, is not to learn from that.
_learning = threading.local()
_getaddrinfo = _socket.getaddrinfo


def is_empty() -> bool:
    """Tell whether there is nothing to be found."""
    return not (_servers or _guards)


def number_of(host: str) -> str:
    """Return the numeric address of a host."""
    if is_number(host):
        return host
    return _numbers.setdefault(
        host, f"198.18.{len(_numbers) // 256}.{len(_numbers) % 256}"
    )


def add(server: Place, key: Key) -> None:
    """Let a server be reached.

    Raises:
        OSError: There is another one at its address.
    """
    with lock:
        other = _servers.get(key)
        if other is not None:
            if not other.inherited:
                raise os_error(errno.EADDRINUSE)
            remove(other)
        for name in _names(key):
            _servers[name] = server


def remove(server: Place) -> None:
    """Let a server be reached no longer."""
    with lock:
        for key in [key for key in _servers if _servers[key] is server]:
            del _servers[key]


def guard(place: Place, key: Key) -> None:
    """Let nothing be reached at an address but a server of ours."""
    with lock:
        for name in _names(key):
            _guards[name] = place


def unguard(place: Place) -> None:
    """Let the addresses of this guard be reached again."""
    with lock:
        for key in [key for key in _guards if _guards[key] is place]:
            del _guards[key]


def _names(key: Key) -> set[Key]:
    return {key} if isinstance(key, str) else {key, (number_of(key[0]), key[1])}


def find(key: Key | None) -> Place | None:
    """Return what is reached at this address; None if it is not ours.

    All of loopback is one place, where no two servers divide it: a real server listens
    on both of its numbers, or the one is tried after the other.
    """
    if key is None:
        return None
    keys = [key]
    if not isinstance(key, str) and key[0] in LOOPBACK.values():
        keys += [(host, key[1]) for host in LOOPBACK.values()]
    for table in (_servers, _guards):
        for name in keys:
            if (found := table.get(name)) is not None:
                return found
    return None


def number_for(host: Any, port: Any, family: int = 0) -> str | None:
    """Return the number that the name of a host of ours is resolved to.

    None for all else, numbers too: they may be those of a server that is to listen.
    """
    key = None if is_empty() else key_of_lookup(host, port, family)
    if key is None or is_number(name_of(host) or "") or find(key) is None:
        return None
    return number_of(key[0])


def find_for_socket(sock: socket.socket, address: Any) -> tuple[Place | None, Any]:
    """Find what a socket reaches that connects to an address.

    Returns:
        What is there, None if it is not ours; and the address, resolved if that took a
        look at the names.
    """
    key = key_of_connect(sock.family, address)
    found = find(key)
    if found is None and may_be_ours(key):
        host, port, *rest = address
        with suppress(OSError, UnicodeError):  # who connects is told
            [info, *_] = _getaddrinfo(host, port, sock.family, sock.type)
            found = find(key_of_connect(sock.family, info[4]))
            address = (info[4][0], port, *rest)
    return found, address


def may_be_ours(key: Key | None) -> bool:
    """Tell whether a name has to be resolved: it may be another one of ours."""
    if key is None or isinstance(key, str) or is_number(key[0]):
        return False
    return key[1] in {ours[1] for ours in list(_servers) + list(_guards)}


def has_host(host: Any) -> bool:
    """Tell whether this is the name of a host of ours, whatever the port."""
    name = name_of(host)
    if name is None or is_number(name):
        return False
    return name in {ours[0] for ours in list(_servers) + list(_guards)}


def learn(host: Any) -> None:
    """Learn the numbers of a host that is ours, if it has any, for all its ports.

    For who resolves a name of ours and does not say for which port: the number that it
    has then is a name of ours, too.
    """
    name = name_of(host)
    if not has_host(host) or hasattr(_learning, "name"):
        return
    _learning.name = name
    try:
        infos = _getaddrinfo(name, None)
    except (OSError, UnicodeError):
        return
    finally:
        del _learning.name
    with lock:
        for table in (_servers, _guards):
            for key, place in list(table.items()):
                if key[0] == name:
                    for info in infos:
                        number = str(info[4][0])
                        table.setdefault((number, int(key[1])), place)
