"""The sockets of blocking clients, connected to a server in memory.

How a socket becomes a fake one
    `plug_in` changes the class of the very object that the client has made and
    connects, to a subclass that overrides what would go over the wire, and nothing
    else. So ``isinstance`` holds, every reference to it sees the change, and the methods
    of a user's own subclass stay in front of ours. The operating system's socket below
    is kept, unconnected, and goes on doing what needs no wire: it holds the options
    and the timeout, knows when it is closed, and warns when it is leaked.
"""

from __future__ import annotations

import _socket
import errno
import socket
import sys
import weakref
from typing import TYPE_CHECKING, Any, NoReturn

from .connection import SocketConnection
from .refusals import os_error, refuse_to_connect, refuse_use

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .connection import Server

    _Base = socket.socket
else:
    _Base = object  # it is put before any class of sockets there is, see `plug_in`

__all__ = ["InMemorySocket", "connection_of", "plug_in", "socket_classes"]

# What a read may ask for; the rest is refused.
# As plain numbers: to combine flags takes as long as to answer a command.
_PEEK = int(socket.MSG_PEEK)
_DONT_WAIT = int(getattr(socket, "MSG_DONTWAIT", 0))  # Windows has none
_TO_SEND = _DONT_WAIT | int(getattr(socket, "MSG_NOSIGNAL", 0))
_TO_RECEIVE = _PEEK | _DONT_WAIT

# Not an attribute: the class of an object can only be changed to one that has no more
# of them.
_connections: weakref.WeakKeyDictionary[socket.socket, SocketConnection] = (
    weakref.WeakKeyDictionary()
)


class InMemorySocket(_Base):
    """What a socket does whose peer is in memory. Never made, see `plug_in`."""

    __slots__ = ()

    def connect(self, address: Any, /) -> NoReturn:
        """Refuse: it is connected."""
        del address
        connection_of(self)
        raise os_error(errno.EISCONN)

    def connect_ex(self, address: Any, /) -> int:
        """Refuse: it is connected."""
        try:
            self.connect(address)
        except OSError as error:
            return error.errno or 0

    def send(self, data: Any, flags: int = 0, /) -> int:
        """Send all of it."""
        connection = connection_of(self)
        _check_flags(flags, _TO_SEND)
        if not connection.may_write:
            raise os_error(errno.EPIPE)
        with memoryview(data) as view:
            if view.nbytes:
                connection.send(view.tobytes())
            return view.nbytes

    def sendall(self, data: Any, flags: int = 0, /) -> None:
        """Send all of it."""
        self.send(data, flags)

    def sendmsg(
        self,
        buffers: Iterable[Any],
        ancdata: Any = (),
        flags: int = 0,
        address: Any = None,
        /,
    ) -> int:
        """Send all of them."""
        if ancdata or address is not None:
            refuse_use("ancillary data")
        return self.send(b"".join(buffers), flags)

    def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
        """Return what there is, at most so much; wait if there is nothing."""
        _check_flags(flags, _TO_RECEIVE)
        if bufsize < 0:
            message = "negative buffersize in recv"
            raise ValueError(message)
        if bufsize == 0:  # of a closed socket, too: socketmodule.c asks nobody
            return b""
        connection = connection_of(self)
        timeout = 0 if flags & _DONT_WAIT else self.gettimeout()
        return connection.read(bufsize, timeout, peek=bool(flags & _PEEK))

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        """Write what there is into a buffer, and return how much it is."""
        with memoryview(buffer) as view, view.cast("B") as octets:
            if nbytes < 0:
                message = "negative buffersize in recv_into"
                raise ValueError(message)
            if nbytes > len(octets):
                message = "buffer too small for requested bytes"
                raise ValueError(message)
            data = self.recv(nbytes or len(octets), flags)
            octets[: len(data)] = data
            return len(data)

    def shutdown(self, how: int, /) -> None:
        """Close one direction, or both."""
        connection = connection_of(self)
        if how not in {socket.SHUT_RD, socket.SHUT_WR, socket.SHUT_RDWR}:
            raise os_error(errno.EINVAL)
        connection.shut_down(how)

    def close(self) -> None:
        """End the connection, unless a file made of it is open still."""
        super().close()
        if super().fileno() < 0:
            connection = _connections.pop(self, None)
            if connection is not None:
                connection.hang_up()

    def getpeername(self) -> Any:
        """Return the server's address."""
        return connection_of(self)._server.peer_name(self.family)

    def getsockname(self) -> Any:
        """Return an address that a client of the server could have."""
        connection = connection_of(self)
        name = super().getsockname()
        if connection.unix:
            return name
        # What it was bound to, if it was.
        host, port, *rest = name
        loopback = "127.0.0.1" if self.family == socket.AF_INET else "::1"
        host = loopback if host in {"0.0.0.0", "::"} else host  # noqa: S104 # compared
        return (host, port or connection.port, *rest)

    def fileno(self) -> int:
        """Refuse: nothing ever comes over the operating system's socket."""
        if super().fileno() >= 0:
            refuse_use(
                "file descriptor to wait for (select, selectors): "
                "let the FakeBeanstalkd listen() on a port for that"
            )
        return -1

    def detach(self) -> int:
        """Refuse, as `fileno` does."""
        return self.fileno()

    def recvfrom(self, *_: Any) -> NoReturn:
        """Refuse."""
        refuse_use("recvfrom: call recv")

    def recvfrom_into(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse."""
        refuse_use("recvfrom_into: call recv_into")

    def recvmsg(self, *_: Any) -> NoReturn:
        """Refuse."""
        refuse_use("recvmsg: call recv")

    def recvmsg_into(self, *_: Any) -> NoReturn:
        """Refuse."""
        refuse_use("recvmsg_into: call recv_into")

    def sendto(self, *_: Any) -> NoReturn:
        """Refuse."""
        refuse_use("sendto: call send")

    def __repr__(self) -> str:
        connection = _connections.get(self)
        state = "[closed]" if connection is None else repr(connection._server)
        return f"<{type(self).__name__} in memory: {state}>"


def connection_of(sock: socket.socket) -> SocketConnection:
    """Return the connection of a socket in memory.

    Raises:
        OSError: The socket was closed.
    """
    connection = _connections.get(sock)
    if connection is None:
        raise os_error(errno.EBADF)
    return connection


def socket_classes() -> list[type[socket.socket]]:
    """Return the classes that sockets are of, or of subclasses of them.

    The standard library's is not always `socket.socket`: gevent and eventlet put
    their own there. eventlet loads another copy of the module, too.
    """
    found: list[Any] = [
        cls
        for cls in _socket.socket.__subclasses__()
        if (cls.__module__, cls.__qualname__) == ("socket", "socket")
    ]
    current: object = socket.socket  # anything, where a test has a mock there
    if isinstance(current, type) and not issubclass(current, tuple(found)):
        found.append(current)
    return found


# {class of sockets: the same in memory}
_in_memory: weakref.WeakKeyDictionary[type, type[InMemorySocket]] = (
    weakref.WeakKeyDictionary()
)


def _in_memory_class(cls: type[socket.socket]) -> type[InMemorySocket]:
    """Return a class like this one that overrides `InMemorySocket`, not the reverse."""
    if cls not in _in_memory:
        root = next((c for c in socket_classes() if issubclass(cls, c)), None)
        # eventlet's has its methods in each object, where nothing overrides them.
        if root is None or not hasattr(root, "fileno"):
            refuse_to_connect(f"a {cls.__module__}.{cls.__qualname__}")
        bases = (InMemorySocket, root) if cls is root else (cls, _in_memory_class(root))
        name = "FakeSocket" if cls is root else cls.__name__
        _in_memory[cls] = type(name, bases, {"__slots__": ()})
    return _in_memory[cls]


def plug_in(sock: socket.socket, server: Server) -> None:
    """Connect a socket to a server in memory.

    Raises:
        ConnectionRefusedError: The server takes no connections now.
        OSError: The socket was closed, is encrypted, or is of a class of its own.
    """
    if sock.fileno() < 0:
        raise os_error(errno.EBADF)
    ssl = sys.modules.get("ssl")
    if ssl is not None and isinstance(sock, ssl.SSLSocket):
        refuse_use("TLS, since beanstalkd has none")
    cls = _in_memory_class(type(sock))
    connection = SocketConnection(server)
    _connections[sock] = connection
    weakref.finalize(sock, connection.abandon).atexit = False
    sock.__class__ = cls


def _check_flags(flags: int, known: int) -> None:
    if flags & ~known:
        refuse_use(f"such flags: {flags:#x}")
