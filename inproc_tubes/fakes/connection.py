"""A connection in memory, and the socket that believes in it.

How a socket becomes a fake one
    `plug_in` changes the class of the very object that the client has made and
    connects, to a subclass that overrides what would go over the wire, and nothing
    else. So ``isinstance`` holds, every reference to it sees the change, and the methods
    of a user's own subclass stay in front of ours. The operating system's socket below
    is kept, unconnected, and goes on doing what needs no wire: it holds the options
    and the timeout, knows when it is closed, and warns when it is leaked.
"""

from __future__ import annotations

import errno
import itertools
import os
import socket
import weakref
from abc import ABC, abstractmethod
from math import inf
from threading import Lock, RLock
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, TypeAlias

from inproc_tubes.protocol import ProtocolSession

from .reading import Reader

if TYPE_CHECKING:
    from collections.abc import Iterable

    from inproc_tubes.clock import Clock

    from .reading import ServedBroker

__all__ = ["Connection", "FakeSocket", "Server", "os_error", "plug_in"]

# Host and port, and two numbers more for IPv6; or a path.
Address: TypeAlias = tuple[str, int] | tuple[str, int, int, int] | str

# What a read may ask for; the rest is refused.
# As plain numbers: to combine flags takes as long as to answer a command.
_PEEK = int(socket.MSG_PEEK)
_DONT_WAIT = int(getattr(socket, "MSG_DONTWAIT", 0))  # Windows has none
_TO_SEND = _DONT_WAIT | int(getattr(socket, "MSG_NOSIGNAL", 0))
_TO_RECEIVE = _PEEK | _DONT_WAIT

# Where Linux' ephemeral ports begin.
_ports = itertools.cycle(range(32768, 61000))


def os_error(number: int) -> OSError:
    """Return an error as the operating system raises it."""
    return OSError(number, os.strerror(number))


class Server(Protocol):
    """What a connection needs to know of its server."""

    version: str

    @property
    def address(self) -> Address:
        """Where it is reached."""

    @property
    def broker(self) -> ServedBroker:
        """The broker behind it."""

    @property
    def clock(self) -> Clock:
        """The clock of that."""

    def check_listens(self) -> None:
        """Raise ConnectionRefusedError if it takes no connections now."""

    def add(self, connection: Connection) -> None:
        """Learn of a new connection."""

    def forget(self, connection: Connection) -> None:
        """Learn that a connection has ended."""

    def peer_name(self, family: int = socket.AF_INET) -> Address:
        """Return its address as the operating system would tell a client."""


class Connection(ABC):
    """The server's end of a connection, and what its client may do with it.

    Raises:
        ConnectionRefusedError: The server takes no connections now.
    """

    def __init__(self, server: Server) -> None:
        server.check_listens()
        self._server = server
        self.unix = isinstance(server.address, str)
        self.broker = server.broker
        # Guards the session, which is one thread's at a time. Taken before the broker's
        # lock, never while holding it.
        self._lock = Lock()
        self._was_reset = False
        self.session = ProtocolSession(
            self.broker, version=server.version, on_output=self.on_output
        )
        server.add(self)

    @abstractmethod
    def on_output(self) -> None:
        """Note that there may be something to read; the broker's lock may be held."""

    def send(self, data: bytes) -> None:
        """Let the server receive this.

        Raises:
            BrokenPipeError: The server has ended the connection. Over TCP the first to
                send afterwards does not know yet.
        """
        with self._lock:
            if self.session.closed:
                if self.unix or self._was_reset:
                    raise os_error(errno.EPIPE)
                self._was_reset = True
            else:
                self.session.receive(data)
        self._after_turn()

    def send_eof(self) -> None:
        """Let the server see the end of what is sent."""
        with self._lock:
            self.session.receive_eof()
        self._after_turn()

    def take(self) -> tuple[bytes, bool]:
        """Return what the server has said, and whether it has ended the connection."""
        with self._lock:
            data = self.session.take()
            ended = self.session.closed
        if ended:
            self._server.forget(self)
        return data, ended

    def _after_turn(self) -> None:
        if self.session.closed:
            self._server.forget(self)
        self.on_output()

    def end(self) -> None:
        """End it from the server's side: its jobs are given back."""
        with self._lock:
            self.session.close()
        self._after_turn()

    def hang_up(self) -> None:
        """End it from the client's side: its jobs are given back.

        A finaliser may call it, which the collector may run in the middle of a turn of
        the same thread. So it waits for no lock that somebody holds.
        """
        monitor = self.broker.monitor
        if not monitor.is_in_turn() and _is_free(self._lock) and _is_free(monitor.lock):
            self.end()
        else:
            self.abandon()

    def abandon(self) -> None:
        """End it with the broker's next turn; takes no lock."""
        self._server.forget(self)
        self.broker.monitor.abandon(self.session.session)


class SocketConnection(Connection):
    """A connection that is read by threads."""

    def __init__(self, server: Server) -> None:
        # Who waits for output; changed and read by single steps, without a lock.
        self._readers: dict[Reader, None] = {}
        # Guards what was taken from the session; held while it is.
        self._reading = Lock()
        self._unread = bytearray()
        self.hung_up = False
        self.may_read = True
        self.may_write = True
        self.port = next(_ports)  # the client's, if it did not choose one
        super().__init__(server)

    def on_output(self) -> None:
        """Wake who reads."""
        for reader in list(self._readers):
            reader.answer()

    def read(self, size: int, timeout: float | None, *, peek: bool) -> bytes:
        """Return what there is, at most so much; wait if there is nothing.

        Raises:
            BlockingIOError: There is nothing, and the timeout is 0.
            TimeoutError: Nothing came in time.
            OSError: The client has closed the connection meanwhile.
            DeadlockError: Nothing would ever come: all users of the clock wait.
        """
        if (data := self._cut(size, peek=peek)) is not None:
            return data
        broker = self.broker
        monitor = broker.monitor
        clock = monitor.clock
        timeout_at = inf if timeout is None else clock.now() + timeout
        reader = Reader(timeout_at)
        # Before looking again: no output comes unnoticed.
        self._readers[reader] = None
        try:
            while True:
                monitor.look()
                reader.begin_to_wait()
                due_at = monitor.readers.enter(monitor, reader)
                if (data := self._cut(size, peek=peek)) is not None:
                    return data
                if reader.error is not None:
                    raise reader.error
                if clock.now() >= timeout_at:
                    if timeout == 0:
                        raise os_error(errno.EAGAIN)
                    message = "timed out"  # as socketmodule.c puts it
                    raise TimeoutError(message)
                clock.park(reader, min(timeout_at, due_at))
        finally:
            del self._readers[reader]
            monitor.readers.leave(reader)

    def _cut(self, size: int, *, peek: bool) -> bytes | None:
        """Return what can be read now, nothing at the end; None if there may be more.

        The operating system would let a read go on when another thread closes the
        socket, for ever perhaps. Here the read fails.
        """
        with self._reading:
            if self.hung_up:
                raise os_error(errno.EBADF)
            ended = not self.may_read
            if len(self._unread) < size:
                taken, closed = self.take()
                self._unread += taken
                ended = ended or closed
            data = bytes(self._unread[:size])
            if not peek:
                del self._unread[:size]
        return data if data or ended else None

    def hang_up(self) -> None:
        """Close the client's end."""
        self.hung_up = True
        super().hang_up()
        self.on_output()

    def shut_down(self, how: int) -> None:
        """Close one direction, or both."""
        if how in {socket.SHUT_RD, socket.SHUT_RDWR}:
            self.may_read = False
            self.on_output()
        if how in {socket.SHUT_WR, socket.SHUT_RDWR}:
            self.may_write = False
            self.send_eof()


# Not an attribute: the class of an object can only be changed to one that has no more
# of them.
_connections: weakref.WeakKeyDictionary[socket.socket, SocketConnection] = (
    weakref.WeakKeyDictionary()
)


class FakeSocket(socket.socket):
    """A socket whose peer is in memory. Never made, see `plug_in`."""

    __slots__ = ()

    def connect(self, address: Any, /) -> NoReturn:
        """Refuse: it is connected."""
        del address
        self._connection()
        raise os_error(errno.EISCONN)

    def connect_ex(self, address: Any, /) -> int:
        """Refuse: it is connected."""
        try:
            self.connect(address)
        except OSError as error:
            return error.errno or 0

    def send(self, data: Any, flags: int = 0, /) -> int:
        """Send all of it."""
        connection = self._connection()
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
            _refuse("ancillary data")
        return self.send(b"".join(buffers), flags)

    def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
        """Return what there is, at most so much; wait if there is nothing."""
        _check_flags(flags, _TO_RECEIVE)
        if bufsize < 0:
            message = "negative buffersize in recv"
            raise ValueError(message)
        if bufsize == 0:  # of a closed socket, too: socketmodule.c asks nobody
            return b""
        connection = self._connection()
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
        connection = self._connection()
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
        return self._connection()._server.peer_name(self.family)

    def getsockname(self) -> Any:
        """Return an address that a client of the server could have."""
        connection = self._connection()
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
            _refuse("file descriptor to wait for (select, selectors)")
        return -1

    def detach(self) -> int:
        """Refuse, as `fileno` does."""
        return self.fileno()

    def recvfrom(self, *_: Any) -> NoReturn:
        """Refuse."""
        _refuse("recvfrom: call recv")

    def recvfrom_into(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse."""
        _refuse("recvfrom_into: call recv_into")

    def recvmsg(self, *_: Any) -> NoReturn:
        """Refuse."""
        _refuse("recvmsg: call recv")

    def recvmsg_into(self, *_: Any) -> NoReturn:
        """Refuse."""
        _refuse("recvmsg_into: call recv_into")

    def sendto(self, *_: Any) -> NoReturn:
        """Refuse."""
        _refuse("sendto: call send")

    def __repr__(self) -> str:
        connection = _connections.get(self)
        state = "[closed]" if connection is None else repr(connection._server)
        return f"<{type(self).__name__} in memory: {state}>"

    def _connection(self) -> SocketConnection:
        connection = _connections.get(self)
        if connection is None:
            raise os_error(errno.EBADF)
        return connection


_fakes: dict[type, type[FakeSocket]] = {socket.socket: FakeSocket}


def _fake_of(cls: type[socket.socket]) -> type[FakeSocket]:
    """Return a class like this one that overrides `FakeSocket`, not the reverse."""
    if cls not in _fakes:
        _fakes[cls] = type(cls.__name__, (cls, FakeSocket), {"__slots__": ()})
    return _fakes[cls]


def plug_in(sock: socket.socket, server: Server) -> None:
    """Connect a socket to a server in memory.

    Raises:
        ConnectionRefusedError: The server takes no connections now.
        OSError: The socket was closed.
    """
    if sock.fileno() < 0:
        raise os_error(errno.EBADF)
    connection = SocketConnection(server)
    _connections[sock] = connection
    weakref.finalize(sock, connection.abandon).atexit = False
    sock.__class__ = _fake_of(type(sock))


def _is_free(lock: Lock | RLock) -> bool:
    if lock.acquire(blocking=False):
        lock.release()
        return True
    return False


def _check_flags(flags: int, known: int) -> None:
    if flags & ~known:
        _refuse(f"such flags: {flags:#x}")


def _refuse(what: str) -> NoReturn:
    # No ValueError, io.UnsupportedOperation being one: selectors would swallow it.
    message = f"an in-memory connection has no {what}"
    raise OSError(errno.EOPNOTSUPP, message)
