"""Which addresses are ours, and what is patched while there are any.

There are three ways to reach a server, and each is patched at its innermost function, so
that it does not matter how early a module has imported what:

- ``connect`` and ``connect_ex`` of the class `socket.socket`, under every way in which
  a blocking client connects (``socket.create_connection`` among them);
- ``_socket.getaddrinfo``, under all that resolves names: a host name of ours resolves,
  to a number that only we know;
- ``create_connection`` and ``create_unix_connection`` of asyncio's event loops, under
  ``asyncio.open_connection``.

Calls for other addresses go to what was there before.
"""

from __future__ import annotations

import _socket
import asyncio
import errno
import os
import socket
from ipaddress import ip_address
from threading import Lock
from typing import TYPE_CHECKING, Any

from .connection import FakeSocket, os_error, plug_in
from .streams import connect_stream

if TYPE_CHECKING:
    from .connection import Server

__all__ = ["Key", "add", "find", "key_of", "number_of", "remove"]

# A host (a number in its shortest form, or a name) and a port; or a path.
Key = tuple[str, int] | str

# Guards the tables when they change; who looks something up does without.
_lock = Lock()
_servers: dict[Key, Server] = {}
# {host name: its number}. They are from the block for benchmarks (RFC 2544), which no
# network routes, and are never given to another name.
_numbers: dict[str, str] = {}
# {(class or module, name): what was there before}; None: it was inherited.
_before: dict[tuple[Any, str], Any] = {}
_originals: dict[str, Any] = {}


def key_of(address: Any) -> Key | None:
    """Return what an address is found under; None if it is none that we could serve.

    A server that listens everywhere is reached where the machine is.
    """
    if isinstance(address, (str, bytes, os.PathLike)):
        return os.fsdecode(address)
    try:
        host, port, *_ = address
        name = host.decode() if isinstance(host, bytes) else host.lower()
        number = int(port)
    except (AttributeError, TypeError, UnicodeDecodeError, ValueError):
        return None
    if name in {"", "0.0.0.0", "localhost"}:  # noqa: S104 # no socket is bound to it
        name = "127.0.0.1"
    return _shortest(name) or name, number


def number_of(host: str) -> str:
    """Return the numeric address of a host."""
    return _shortest(host) or _numbers.setdefault(
        host, f"198.18.{len(_numbers) // 256}.{len(_numbers) % 256}"
    )


def _shortest(host: str) -> str | None:
    try:
        return str(ip_address(host))
    except ValueError:
        return None


def add(server: Server, key: Key) -> None:
    """Let a server be reached.

    Raises:
        OSError: There is another one at its address.
    """
    with _lock:
        if key in _servers:
            raise os_error(errno.EADDRINUSE)
        if not _servers:
            _patch()
        for name in _names(key):
            _servers[name] = server


def remove(key: Key) -> None:
    """Let a server be reached no longer."""
    with _lock:
        for name in _names(key):
            del _servers[name]
        if not _servers:
            _restore()


def _names(key: Key) -> set[Key]:
    return {key} if isinstance(key, str) else {key, (number_of(key[0]), key[1])}


def find(address: Any) -> Server | None:
    """Return the server that is reached at this address; None if it is not ours."""
    key = key_of(address)
    return None if key is None else _servers.get(key)


def _find_for(sock: socket.socket, address: Any) -> Server | None:
    if sock.type != socket.SOCK_STREAM:
        return None
    # A path for a TCP socket, or the reverse, is for the original to refuse.
    is_path = isinstance(address, (str, bytes))
    is_unix = sock.family not in {socket.AF_INET, socket.AF_INET6}
    return find(address) if is_path == is_unix else None


def _connect(self: socket.socket, address: Any, /) -> None:
    server = _find_for(self, address)
    if server is None:
        _originals["connect"](self, address)
    else:
        plug_in(self, server)


def _connect_ex(self: socket.socket, address: Any, /) -> int:
    server = _find_for(self, address)
    if server is None:
        result: int = _originals["connect_ex"](self, address)
        return result
    try:
        plug_in(self, server)
    except OSError as error:
        return error.errno or 0
    return 0


def _getaddrinfo(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
    if host is not None and find((host, port)) is not None:
        key = key_of((host, port))
        assert isinstance(key, tuple)  # that of a pair is one
        host = number_of(key[0])
    return _originals["getaddrinfo"](host, port, *args, **kwargs)


def _refuse_fake(sock: Any) -> None:
    # The loop's transport would ask for the descriptor too, and fall apart in the middle.
    if isinstance(sock, FakeSocket):
        sock.fileno()


async def _create_connection(
    self: asyncio.AbstractEventLoop,
    protocol_factory: Any,
    host: Any = None,
    port: Any = None,
    **kwargs: Any,
) -> Any:
    server = None if host is None else find((host, port))
    if server is None:
        _refuse_fake(kwargs.get("sock"))
        original = _originals["create_connection"]
        return await original(self, protocol_factory, host, port, **kwargs)
    return connect_stream(self, protocol_factory, server, **kwargs)


async def _create_unix_connection(
    self: asyncio.AbstractEventLoop,
    protocol_factory: Any,
    path: Any = None,
    **kwargs: Any,
) -> Any:
    server = None if path is None else find(path)
    if server is None:
        _refuse_fake(kwargs.get("sock"))
        original = _originals["create_unix_connection"]
        return await original(self, protocol_factory, path, **kwargs)
    return connect_stream(self, protocol_factory, server, **kwargs)


def _patch() -> None:
    patches: tuple[tuple[Any, Any], ...] = (
        (socket.socket, _connect),
        (socket.socket, _connect_ex),
        (_socket, _getaddrinfo),
        (asyncio.BaseEventLoop, _create_connection),
        (asyncio.SelectorEventLoop, _create_unix_connection),
    )
    for owner, ours in patches:
        name = ours.__name__.removeprefix("_")
        _before[owner, name] = vars(owner).get(name)
        _originals[name] = getattr(owner, name)
        setattr(owner, name, ours)


def _restore() -> None:
    while _before:
        (owner, name), before = _before.popitem()
        if before is None:
            delattr(owner, name)
        else:
            setattr(owner, name, before)
