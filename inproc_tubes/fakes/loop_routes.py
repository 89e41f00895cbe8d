"""How event loops reach a server in memory: asyncio's, uvloop's, any other.

What is patched is what each class of loops has of its own: ``create_connection`` and
``create_unix_connection``, under ``asyncio.open_connection``; ``sock_connect`` and what
reads and writes such a socket; and ``getaddrinfo``, which not every loop leaves to the
module `socket`.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from math import inf
from typing import TYPE_CHECKING, Any

from . import registry
from .addresses import key_of, key_of_connect, key_of_lookup
from .patches import patch
from .sockets import InMemorySocket, connection_of, plug_in
from .streams import connect_stream

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from inproc_tubes.errors import TubesError

    from .connection import SocketConnection
    from .patches import Patch
    from .registry import Place

    Method = Callable[..., Awaitable[Any]]

__all__ = ["patches"]


def patches() -> list[Patch]:
    """Return what is to be patched."""
    classes = list(_subclasses(asyncio.AbstractEventLoop))
    if classes != _patched_classes:
        _patches[:] = dict.fromkeys(_patches_of(classes))
        _patched_classes[:] = classes
    return _patches


# The last answer, since it is asked for each time that a socket is made.
_patches: list[Patch] = []
_patched_classes: list[type[Any]] = []


def _patches_of(classes: list[type[Any]]) -> Iterator[Patch]:
    for cls in classes:
        for name, over in _OVER.items():
            owner = next((c for c in cls.__mro__ if name in vars(c)), None)
            if owner is None or owner is asyncio.AbstractEventLoop:
                continue  # it has none
            # What a loop in C inherits can be changed in the loop only.
            is_loop = issubclass(owner, asyncio.AbstractEventLoop)
            yield patch(owner if is_loop else cls, name, over)


def _subclasses(cls: type[Any]) -> Iterator[type[Any]]:
    for each in cls.__subclasses__():
        yield each
        yield from _subclasses(each)


# Streams


def _create_connection_over(before: Method) -> Method:
    async def create_connection(
        self: asyncio.AbstractEventLoop,
        protocol_factory: Any,
        host: Any = None,
        port: Any = None,
        **kwargs: Any,
    ) -> Any:
        place = await _find_by_name(self, host, port, kwargs.get("family", 0))
        if place is None:
            _refuse_fake(kwargs.get("sock"))
            return await before(self, protocol_factory, host, port, **kwargs)
        return connect_stream(self, protocol_factory, place.admit(), **kwargs)

    return create_connection


def _create_unix_connection_over(before: Method) -> Method:
    async def create_unix_connection(
        self: asyncio.AbstractEventLoop,
        protocol_factory: Any,
        path: Any = None,
        **kwargs: Any,
    ) -> Any:
        place = None if path is None else registry.find(key_of(path))
        if place is None:
            _refuse_fake(kwargs.get("sock"))
            return await before(self, protocol_factory, path, **kwargs)
        return connect_stream(self, protocol_factory, place.admit(), **kwargs)

    return create_unix_connection


async def _find_by_name(
    loop: asyncio.AbstractEventLoop, host: Any, port: Any, family: int
) -> Place | None:
    key = None if registry.is_empty() else key_of_lookup(host, port, family)
    found = registry.find(key)
    if found is None and key is not None and registry.may_be_ours(key):
        infos = []
        with suppress(OSError, UnicodeError):  # who connects is told
            infos = await loop.getaddrinfo(
                host, port, family=family, type=socket.SOCK_STREAM
            )
        numbers = (registry.find(key_of_connect(i[0], i[4])) for i in infos)
        found = next(filter(None, numbers), None)
    return found


def _refuse_fake(sock: Any) -> None:
    # The loop's transport would ask for the descriptor too, and fall apart in the middle.
    if isinstance(sock, InMemorySocket):
        sock.fileno()


# Names


def _getaddrinfo_over(before: Method) -> Method:
    async def getaddrinfo(
        self: asyncio.AbstractEventLoop, host: Any, port: Any, **kwargs: Any
    ) -> Any:
        if registry.number_for(host, port, kwargs.get("family", 0)) is not None:
            return socket.getaddrinfo(host, port, **kwargs)  # asks nobody
        if registry.has_host(host):
            await self.run_in_executor(None, registry.learn, host)
        return await before(self, host, port, **kwargs)

    return getaddrinfo


# Sockets that coroutines wait for


def _sock_connect_over(before: Method) -> Method:
    async def sock_connect(
        self: asyncio.AbstractEventLoop, sock: socket.socket, address: Any
    ) -> None:
        place = None
        if not registry.is_empty() and sock.type == socket.SOCK_STREAM:
            find = registry.find_for_socket
            if registry.may_be_ours(key_of_connect(sock.family, address)):
                place, address = await self.run_in_executor(None, find, sock, address)
            else:
                place, address = find(sock, address)
        if place is None:
            await before(self, sock, address)
        else:
            plug_in(sock, place.admit())

    return sock_connect


def _sock_recv_over(before: Method) -> Method:
    async def sock_recv(self: asyncio.AbstractEventLoop, sock: Any, n: int) -> Any:
        if isinstance(sock, InMemorySocket):
            return await _read(self, connection_of(sock), n)
        return await before(self, sock, n)

    return sock_recv


def _sock_recv_into_over(before: Method) -> Method:
    async def sock_recv_into(
        self: asyncio.AbstractEventLoop, sock: Any, buf: Any
    ) -> Any:
        if not isinstance(sock, InMemorySocket):
            return await before(self, sock, buf)
        with memoryview(buf) as view, view.cast("B") as octets:
            data = await _read(self, connection_of(sock), len(octets))
            octets[: len(data)] = data
            return len(data)

    return sock_recv_into


def _sock_sendall_over(before: Method) -> Method:
    async def sock_sendall(
        self: asyncio.AbstractEventLoop, sock: Any, data: Any
    ) -> None:
        if isinstance(sock, InMemorySocket):
            sock.sendall(data)
        else:
            await before(self, sock, data)

    return sock_sendall


class _Reader:
    """A coroutine that reads from a socket in memory."""

    due_at = inf  # its timeouts are the loop's affair

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._woken = asyncio.Event()
        self.error: TubesError | None = None

    def answer(self, error: TubesError | None = None) -> None:
        """Have it look again, or tell it that it would wait for ever."""
        if error is not None:
            self.error = error
        self.nudge()

    def nudge(self) -> None:
        """Have it look again; needs no lock, and comes from any thread."""
        with suppress(RuntimeError):  # the loop was closed
            self._loop.call_soon_threadsafe(self._woken.set)

    async def wait(self, seconds: float) -> None:
        """Wait until it is to look again, or for so long."""
        timer = None
        if seconds < inf:
            timer = self._loop.call_later(max(0, seconds), self._woken.set)
        try:
            await self._woken.wait()
        finally:
            if timer is not None:
                timer.cancel()
        self._woken.clear()


async def _read(
    loop: asyncio.AbstractEventLoop, connection: SocketConnection, size: int
) -> bytes:
    """Return what there is, at most so much; wait if there is nothing."""
    monitor = connection.broker.monitor
    reader = _Reader(loop)
    connection.add_reader(reader)
    try:
        while True:
            monitor.look()
            due_at = monitor.readers.enter(monitor, reader)
            if (data := connection.cut(size, peek=False)) is not None:
                return data
            if reader.error is not None:
                raise reader.error
            await reader.wait(monitor.clock.seconds_until(due_at))
    finally:
        connection.remove_reader(reader)


_OVER: dict[str, Callable[[Method], Method]] = {
    "create_connection": _create_connection_over,
    "create_unix_connection": _create_unix_connection_over,
    "getaddrinfo": _getaddrinfo_over,
    "sock_connect": _sock_connect_over,
    "sock_recv": _sock_recv_over,
    "sock_recv_into": _sock_recv_into_over,
    "sock_sendall": _sock_sendall_over,
}
