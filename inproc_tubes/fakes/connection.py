"""A connection in memory: the server's end, and what its client may do with it.

A connection that a forked child has inherited is its parent's. There it takes no lock,
which another thread of the parent may have held, and refuses everything.
"""

from __future__ import annotations

import errno
import itertools
import os
import socket
import threading
from abc import ABC, abstractmethod
from math import inf
from typing import TYPE_CHECKING, Protocol, TypeAlias

from inproc_tubes.protocol import ProtocolSession
from inproc_tubes.weak_registry import WeakRegistry

from .reading import Reader
from .refusals import os_error, parents

if TYPE_CHECKING:
    from inproc_tubes.clock import Clock

    from .reading import ServedBroker, Sleeper

__all__ = ["Connection", "Server", "SocketConnection"]

# Host and port, and two numbers more for IPv6; or a path.
Address: TypeAlias = tuple[str, int] | tuple[str, int, int, int] | str

# Where Linux' ephemeral ports begin.
_ports = itertools.cycle(range(32768, 61000))


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

    def admit(self) -> Server:
        """Return the server; raise ConnectionRefusedError if it takes no connections."""

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
        server.admit()
        self._server = server
        self.unix: bool = isinstance(server.address, str)
        self.broker: ServedBroker = server.broker
        # Whether it is the parent's, and this is a forked child.
        self.inherited: bool = False
        # Guards the session, which is one thread's at a time. Taken before the broker's
        # lock, never while holding it. Looked up now, for gevent: see Monitor.
        self._lock = threading.Lock()
        self._was_reset = False
        self.session: ProtocolSession = ProtocolSession(
            self.broker, version=server.version, on_output=self.on_output
        )
        server.add(self)
        _connections.add(self)

    @abstractmethod
    def on_output(self) -> None:
        """Note that there may be something to read; the broker's lock may be held."""

    def send(self, data: bytes) -> None:
        """Let the server receive this.

        Raises:
            BrokenPipeError: The server has ended the connection. Over TCP the first to
                send afterwards does not know yet.
            ConnectionResetError: It is the parent process's.
        """
        self._check_ours()
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
        self._check_ours()
        with self._lock:
            self.session.receive_eof()
        self._after_turn()

    def take(self) -> tuple[bytes, bool]:
        """Return what the server has said, and whether it has ended the connection."""
        self._check_ours()
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

    def leave_to_parent(self) -> None:
        """Refuse everything from now on, in a forked child."""
        self.inherited = True
        self._lock = threading.Lock()

    def _check_ours(self) -> None:
        if self.inherited:
            raise parents(errno.ECONNRESET)


class SocketConnection(Connection):
    """A connection that is read by threads."""

    def __init__(self, server: Server) -> None:
        # Who waits for output; changed and read by single steps, without a lock.
        self._readers: dict[Sleeper, None] = {}
        # Guards what was taken from the session; held while it is.
        self._reading = threading.Lock()
        self._unread = bytearray()
        self.hung_up: bool = False
        self.may_read: bool = True
        self.may_write: bool = True
        self.port: int = next(_ports)  # the client's, if it did not choose one
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
        if (data := self.cut(size, peek=peek)) is not None:
            return data
        broker = self.broker
        monitor = broker.monitor
        clock = monitor.clock
        timeout_at = inf if timeout is None else clock.now() + timeout
        reader = Reader(timeout_at, self.session)
        # Before looking again: no output comes unnoticed.
        self.add_reader(reader)
        try:
            while True:
                monitor.look()
                reader.begin_to_wait()
                due_at = monitor.readers.enter(monitor, reader)
                if (data := self.cut(size, peek=peek)) is not None:
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
            self.remove_reader(reader)

    def add_reader(self, reader: Sleeper) -> None:
        """Wake a reader whenever there may be something to read."""
        self._readers[reader] = None

    def remove_reader(self, reader: Sleeper) -> None:
        """Wake a reader no more, not for what is due either."""
        del self._readers[reader]
        self.broker.monitor.readers.leave(reader)

    def cut(self, size: int, *, peek: bool) -> bytes | None:
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

    def leave_to_parent(self) -> None:
        """Refuse everything from now on, in a forked child."""
        super().leave_to_parent()
        self._reading = threading.Lock()
        self._readers.clear()  # threads of the parent

    def shut_down(self, how: int) -> None:
        """Close one direction, or both."""
        if how in {socket.SHUT_RD, socket.SHUT_RDWR}:
            self.may_read = False
            self.on_output()
        if how in {socket.SHUT_WR, socket.SHUT_RDWR}:
            self.may_write = False
            self.send_eof()


def _is_free(lock: threading.Lock | threading.RLock) -> bool:
    if lock.acquire(blocking=False):
        lock.release()
        return True
    return False


_connections: WeakRegistry[Connection] = WeakRegistry()


def _leave_all_to_parent() -> None:  # pragma: no cover - runs in a forked child only
    for connection in _connections:
        connection.leave_to_parent()


# Windows cannot fork.
if hasattr(os, "register_at_fork"):  # pragma: no branch - tests run where one can
    os.register_at_fork(after_in_child=_leave_all_to_parent)
