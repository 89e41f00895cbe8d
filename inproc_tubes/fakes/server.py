"""A beanstalkd server in memory, at an address of this process's own."""

from __future__ import annotations

import errno
import os
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

from inproc_tubes.broker import Broker
from inproc_tubes.core.limits import DEFAULT_MAX_JOB_SIZE
from inproc_tubes.errors import ClosedError
from inproc_tubes.protocol import ProtocolSession
from inproc_tubes.testing import FakeClock
from inproc_tubes.verbs import BELONGS_HERE, refuse_to_pickle
from inproc_tubes.weak_registry import WeakRegistry

from .addresses import LOOPBACK, key_of, loopback_number
from .listening import Listener
from .reading import ServedBroker
from .refusals import os_error, parents
from .registry import number_of
from .routing import add, remove

if TYPE_CHECKING:
    from types import TracebackType
    from typing import NoReturn, SupportsIndex

    from inproc_tubes.clock import Clock
    from inproc_tubes.core.engine import Engine
    from inproc_tubes.core.session import Session

    from .connection import Connection

__all__ = ["FakeBeanstalkd"]


class FakeBeanstalkd:
    """A beanstalkd that client libraries reach at its address, while it is entered.

    - Looking on: `broker`, `clock`, `address`, `connections`.
    - Intervening: `drain`, `reset`; `refuse`, `drop`, `restore` for outages.
    - Beyond this process: `listen`.

    Blocking clients reach it in their own thread, and clients of asyncio and uvloop in
    the thread of their loop. It has no thread and no port, unless `listen` is called.
    What cannot be connected in memory (trio, Twisted, Tornado, selectors, eventlet) is
    refused with an `OSError`; nothing goes to a real server at its address. Every other
    address behaves as before. Several may be active at once, each at its own address.
    It may be shared by threads. When it is entered again, it is as if just started.

    In a forked child it refuses everything, as it belongs to the parent.

    Args:
        address: Host and port, or the path of a Unix socket. The host may be a name
            that does not resolve. "localhost", "127.0.0.1" and "::1" are one place,
            unless another server is made for one of them.
        clock: The clock; None for a new `FakeClock` that jumps to the next due moment
            whenever all of its users wait.
        version: The version of beanstalkd whose protocol it speaks, "1.12" or "1.13".
        max_job_size: The largest body in bytes that it takes.

    Raises:
        TypeError: The address or the size has a wrong type.
        ValueError: There is no such version, or the size is negative.
    """

    def __init__(
        self,
        address: tuple[str, int] | str | os.PathLike[str] = ("127.0.0.1", 11300),
        *,
        clock: Clock | None = None,
        version: str = "1.12",
        max_job_size: int = DEFAULT_MAX_JOB_SIZE,
    ) -> None:
        key = key_of(address)
        if key is None:
            message = f"address is (host, port) or a path, not {address!r}"
            raise TypeError(message)
        # A version that there is not is refused now, not when a client connects.
        ProtocolSession(Broker(), version=version)
        self._key = key
        self._address: Any = address
        if not isinstance(address, tuple):
            self._address = os.fsdecode(address)
        self._clock = FakeClock(autojump=True) if clock is None else clock
        self.version = version
        self._max_job_size = max_job_size
        self._refuses = False
        self.inherited: bool = False
        # A dict for its order.
        self._connections: dict[Connection, None] = {}
        self._broker = self._new_broker()
        self._is_active = False
        self._listeners: list[Listener] = []
        _all.add(self)

    @property
    def address(self) -> Any:
        """The address that it was made with: (host, port), or a path."""
        return self._address

    @property
    def clock(self) -> Any:
        """Its clock: the one that was given, or else its own `FakeClock`."""
        return self._clock

    @property
    def broker(self) -> ServedBroker:
        """The broker behind it, to look into, and to put and reserve jobs."""
        return self._broker

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return len(self._connections)

    def drain(self) -> None:
        """Refuse every put from now on, as beanstalkd does after SIGUSR1.

        Cost: O(1).
        """
        self._broker.drain()

    def reset(self) -> None:
        """Start anew: no connection, no job, no refusal; ids begin with 1.

        `broker` is a new one after that. The clock goes on.

        Cost: O(number of connections and jobs).
        """
        self.drop()
        self._broker.close()
        self._broker = self._new_broker()
        self.inherited = False
        self.restore()

    def refuse(self) -> None:
        """Refuse new connections; open ones stay.

        Cost: O(1).
        """
        for listener in self._listeners:
            listener.refuse()
        self._refuses = True

    def restore(self) -> None:
        """Accept new connections again.

        Cost: O(1).
        """
        self._refuses = False
        for listener in self._listeners:
            listener.restore()

    def drop(self) -> None:
        """End all open connections now, also those that wait for a job.

        Their jobs are given back. A client reads what it was sent before, and then the
        end.

        Cost: O(number of connections), and what closing each of them costs.
        """
        for listener in self._listeners:
            listener.accept()
        connections = list(self._connections)
        sessions = [connection.session.session for connection in connections]
        # First, so that nobody is handed a job of another who is dropped as well.
        with suppress(ClosedError):
            self._broker._monitor.run(_withdraw, self._broker._engine, sessions)
        for connection in connections:
            connection.end()

    def listen(self, port: int = 0, host: str = "127.0.0.1") -> tuple[str, int]:
        """Serve the same broker on a real port as well, from a thread of its own.

        This is for clients outside this process (child processes, other languages,
        tools), and for those that cannot be connected in memory. It ends with the
        server. The clock cannot jump by itself, as it does not know whether clients in
        other processes wait: give the server a `MonotonicClock`, or a `FakeClock` that
        is moved by hand.

        Args:
            port: The port; 0 for a free one. It may be that of its own address: this
                process still reaches it in memory there.
            host: An address of loopback. It never listens on another network.

        Returns:
            Host and port.

        Raises:
            ValueError: That host is not loopback, or the clock jumps by itself.
            RuntimeError: The server is not active.
            OSError: The port is taken.

        Cost: A thread that sleeps, and two or three system calls for each command.
        """
        number = loopback_number(host)
        if number is None:
            message = (
                f"a FakeBeanstalkd listens on loopback only, and not on {host!r}, "
                "since it lets everybody in"
            )
            raise ValueError(message)
        if isinstance(self._clock, FakeClock) and self._clock.autojump:
            message = (
                "an autojumping clock does not know whether other processes wait: "
                "give the FakeBeanstalkd clock=MonotonicClock(), or clock=FakeClock() "
                "and advance it"
            )
            raise ValueError(message)
        if not self._is_active or self.inherited:
            message = (
                "the FakeBeanstalkd is not active: enter it first, in a with block"
            )
            raise RuntimeError(message)
        listener = Listener(self, number, port)
        self._listeners.append(listener)
        if self._refuses:
            listener.refuse()
        return listener.address

    def __enter__(self) -> Self:
        """Begin to serve the address: what connects to it reaches this server.

        Raises:
            OSError: The address is in use by another fake.
        """
        if self._broker._engine.closed is not None:
            self.reset()
        add(self, self._key)
        self._is_active = True
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the server: its connections are lost, and its broker is closed."""
        remove(self)
        self._is_active = False
        self._refuses = True
        self.drop()
        self._broker.close()
        while self._listeners:
            self._listeners.pop().stop()

    def __reduce_ex__(self, protocol: SupportsIndex, /) -> NoReturn:
        refuse_to_pickle(self, protocol, BELONGS_HERE)

    def __repr__(self) -> str:
        return f"<FakeBeanstalkd at {self._address!r}>"

    def _new_broker(self) -> ServedBroker:
        return ServedBroker(clock=self._clock, max_job_size=self._max_job_size)

    def admit(self) -> Self:
        """Return itself; raise ConnectionRefusedError if it takes no connections."""
        if self.inherited:
            raise parents(errno.ECONNREFUSED)
        if self._refuses:
            raise os_error(errno.ECONNREFUSED)
        return self

    def leave_to_parent(self) -> None:
        """Be the parent's, in a forked child: refuse everything, until it is reset."""
        self.inherited = True
        self._connections.clear()
        while self._listeners:
            self._listeners.pop().leave_to_parent()

    def add(self, connection: Connection) -> None:
        """Learn of a new connection. For `Connection`.

        Args:
            connection: The connection.
        """
        self._connections[connection] = None

    def forget(self, connection: Connection) -> None:
        """Learn that a connection has ended. For `Connection`.

        Args:
            connection: The connection.
        """
        self._connections.pop(connection, None)

    def peer_name(self, family: int = socket.AF_INET) -> Any:
        """Return its address as the operating system would tell a client.

        Args:
            family: The family of the client's socket.
        """
        if isinstance(self._key, str):
            return self._key
        host, port = self._key
        number = number_of(host)
        if number in LOOPBACK.values():  # which is one place
            number = LOOPBACK[family]
        rest = () if family == socket.AF_INET else (0, 0)
        return (number, port, *rest)


_all: WeakRegistry[FakeBeanstalkd] = WeakRegistry()


def _leave_all_to_parent() -> None:  # pragma: no cover - runs in a forked child only
    for server in _all:
        server.leave_to_parent()


# Windows cannot fork.
if hasattr(os, "register_at_fork"):  # pragma: no branch - tests run where one can
    os.register_at_fork(after_in_child=_leave_all_to_parent)


# A verb of a turn: it calls no user's code.
def _withdraw(now: float, engine: Engine, sessions: list[Session]) -> None:
    for session in sessions:
        for ticket in list(session.tickets):
            engine.dispatch.withdraw(now, engine.queue.requests[ticket])
