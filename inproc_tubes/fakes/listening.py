"""A real port on loopback, for clients that are not in this process.

One thread serves it: it waits for all of its sockets at once, and for the next moment
at which something is due. Everything here is done in that thread, but for what is handed
to it: output of a connection, which comes from any thread, and what `Listener` is told.
"""

from __future__ import annotations

import selectors
import socket
import struct
import threading
from collections import deque
from contextlib import suppress
from math import inf
from typing import TYPE_CHECKING

from inproc_tubes.errors import ClosedError, ReentrantCallError

from .connection import Connection

if TYPE_CHECKING:
    from collections.abc import Callable

    from inproc_tubes.errors import TubesError

    from .connection import Server

__all__ = ["Listener"]

_READ_SIZE = 1 << 16
# To reset a connection when it is closed: linger for no time.
_RESET = struct.pack("ii", 1, 0)


class Listener:
    """Serves a server in memory on a real port as well.

    Args:
        server: The server.
        host: Where on loopback.
        port: The port; 0 for one that is free.

    Raises:
        OSError: The port is taken.

    Attributes:
        address: Where it is reached.
    """

    due_at = inf  # its clients' timeouts are their own affair

    def __init__(self, server: Server, host: str, port: int) -> None:
        self._server = server
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._family = family
        self._socket = socket.create_server((host, port), family=family)
        name = self._socket.getsockname()
        self.address: tuple[str, int] = (name[0], name[1])
        self._selector = selectors.DefaultSelector()
        self._waker, woken = socket.socketpair()
        self._waker.settimeout(0)
        woken.settimeout(0)
        self._woken = woken
        self._selector.register(woken, selectors.EVENT_READ)
        # What is to be done; `None` ends the thread.
        self._orders: deque[Callable[[], object] | None] = deque()
        self._clients: dict[_Client, None] = {}
        self._ended = False
        self._accept_from_now_on()
        self._thread = threading.Thread(
            target=self._run, name=f"FakeBeanstalkd at {self.address}", daemon=True
        )
        self._thread.start()

    def accept(self) -> None:
        """Have whoever has connected be connected: the system accepts before us."""
        self._have_done(self._accept)

    def refuse(self) -> None:
        """Refuse new connections, as a port does where nobody listens."""
        self._have_done(self._refuse_from_now_on)

    def restore(self) -> None:
        """Take new connections again, at the same port."""
        self._have_done(self._listen_again)

    def stop(self) -> None:
        """End all connections and the thread."""
        self._orders.append(None)
        self.nudge()
        self._thread.join()

    def leave_to_parent(self) -> None:
        """Close a forked child's copy of its sockets; the thread is not in the child."""
        self._socket.close()
        self._waker.close()
        self._woken.close()
        self._selector.close()
        for client in self._clients:
            client.sock.close()

    # From any thread

    def order(self, function: Callable[[], object]) -> None:
        """Have the thread call a function; takes no lock."""
        self._orders.append(function)
        self.nudge()

    def answer(self, error: TubesError | None = None) -> None:
        """Have the thread look around: something is due, or the broker was closed."""
        del error
        self.nudge()

    def nudge(self) -> None:
        """Have the thread look around."""
        with suppress(OSError):  # it is full of this already, or has ended
            self._waker.send(b"\0")

    def _have_done(self, function: Callable[[], object]) -> None:
        if self._server.broker.monitor.is_in_turn():
            raise ReentrantCallError  # the thread may wait for the end of that turn
        done = threading.Event()
        self._orders.append(function)
        self._orders.append(done.set)
        self.nudge()
        if not self._ended:  # what is ordered before that, is carried out
            done.wait()

    # In the thread

    def _run(self) -> None:
        while self._carry_out_orders():
            monitor = self._server.broker.monitor
            monitor.look()
            due_at = monitor.readers.enter(monitor, self)
            left = self._server.clock.seconds_until(due_at)
            for key, _ in self._selector.select(None if left == inf else max(0, left)):
                if key.fileobj is self._woken:
                    with suppress(BlockingIOError):
                        self._woken.recv(_READ_SIZE)
                elif isinstance(key.data, _Client):
                    key.data.go_on()
                else:
                    self._accept()
        self._server.broker.monitor.readers.leave(self)
        for client in list(self._clients):
            client.go_on()  # what it was answered it is to read
        for client in list(self._clients):
            client.close()
        for each in (self._socket, self._waker, self._woken, self._selector):
            each.close()
        self._ended = True
        self._carry_out_orders()

    def _carry_out_orders(self) -> bool:
        while self._orders:
            order = self._orders.popleft()
            if order is None:
                return False
            order()
        return True

    def _accept_from_now_on(self) -> None:
        self._socket.settimeout(0)
        self._selector.register(self._socket, selectors.EVENT_READ)

    def _refuse_from_now_on(self) -> None:
        if self._socket.fileno() >= 0:
            self._accept()
            self._selector.unregister(self._socket)
            self._socket.close()

    def _listen_again(self) -> None:
        if self._socket.fileno() < 0 and not self._ended:
            self._socket = socket.create_server(self.address, family=self._family)
            self._accept_from_now_on()

    def _accept(self) -> None:
        with suppress(OSError):  # there is nobody more
            while True:
                sock, _ = self._socket.accept()
                try:
                    client = _Client(self, self._server, sock)
                except (OSError, ClosedError):  # it refuses, or is being reset
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                    sock.close()
                else:
                    self._clients[client] = None

    def forget(self, client: _Client) -> None:
        """Learn that a connection has ended."""
        self._clients.pop(client, None)

    def watch(self, client: _Client, events: int) -> None:
        """Wait for these events of a connection, and for no others."""
        selector = self._selector
        if client.sock in selector.get_map():
            selector.unregister(client.sock)
        if events:
            selector.register(client.sock, events, client)


class _Client(Connection):
    """A connection over a real socket."""

    def __init__(self, listener: Listener, server: Server, sock: socket.socket) -> None:
        self._listener = listener
        self._unsent = b""
        self._may_read = True
        self._is_over = False
        self.sock = sock
        sock.settimeout(0)
        super().__init__(server)
        listener.watch(self, selectors.EVENT_READ)

    def on_output(self) -> None:
        """Have the thread write it."""
        self._listener.order(self.go_on)

    def go_on(self) -> None:
        """Read and write what can be."""
        if self._is_over:
            return
        try:
            if self._may_read and not self._unsent:
                self._read()
            self._write()
        except OSError:
            self.close()

    def _read(self) -> None:
        try:
            data = self.sock.recv(_READ_SIZE)
        except BlockingIOError:
            return
        if data:
            self.send(data)
        else:
            self._may_read = False
            self.send_eof()

    def _write(self) -> None:
        """Write what there is, and wait for what can be done next."""
        ended = False
        while True:
            if not self._unsent:
                self._unsent, ended = self.take()
                if not self._unsent:
                    break
            try:
                sent = self.sock.send(self._unsent)
            except BlockingIOError:
                break
            self._unsent = self._unsent[sent:]
        if ended:
            self.close()
            return
        events = selectors.EVENT_READ if self._may_read else 0
        # No command is begun before the last reply is written, as in the server.
        self._listener.watch(self, selectors.EVENT_WRITE if self._unsent else events)

    def close(self) -> None:
        """Close the socket, and give the jobs back."""
        self._is_over = True
        self._listener.watch(self, 0)
        self._listener.forget(self)
        self.sock.close()
        self.hang_up()
