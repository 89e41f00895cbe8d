"""asyncio's side: a transport whose peer is in memory.

A loop's thread never sleeps in a broker. Output, from whatever thread it comes, is
noted by ``call_soon_threadsafe`` and read in the loop's next round.
"""

from __future__ import annotations

import asyncio
import warnings
from contextlib import suppress
from math import inf
from typing import TYPE_CHECKING, Any

from inproc_tubes.errors import DeadlockError
from inproc_tubes.testing import FakeClock

from .connection import Connection, Server
from .reading import SOMETHING

if TYPE_CHECKING:
    from collections.abc import Callable

    from inproc_tubes.errors import TubesError

__all__ = ["FakeTransport", "connect_stream"]


class StreamConnection(Connection):
    """A connection that is read by an event loop."""

    due_at = inf  # its timeouts are the loop's affair

    def __init__(self, server: Server, transport: FakeTransport) -> None:
        self._transport = transport
        super().__init__(server)

    def on_output(self) -> None:
        """Have the loop read."""
        self._transport._soon(self._transport._read)

    def answer(self, error: TubesError | None = None) -> None:
        """Do nothing: a loop does not hang."""

    def nudge(self) -> None:
        """Have the loop look when the next moment is due."""
        self._transport._soon(self._transport._keep_time)


class FakeTransport(asyncio.Transport):
    """What an event loop's protocol writes to. Made by `connect_stream`."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        protocol: asyncio.Protocol,
        server: Server,
    ) -> None:
        super().__init__(extra={"peername": server.peer_name()})
        self._loop = loop
        self._protocol = protocol
        self._closing = True  # until it has a connection
        self._connection = StreamConnection(server, self)
        self._closing = False
        self._paused = False
        self._ended = False
        self._may_write = True
        self._timer: asyncio.TimerHandle | None = None

    def write(self, data: Any) -> None:
        """Let the server receive this at once."""
        if not isinstance(data, (bytes, bytearray, memoryview)):
            message = f"data is a bytes-like object, not {type(data).__name__}"
            raise TypeError(message)
        if not self._may_write:
            message = "Cannot call write() after write_eof()"
            raise RuntimeError(message)
        if data and not self._closing:
            try:
                self._connection.send(bytes(data))
            except OSError as error:
                self._lose(error)

    def can_write_eof(self) -> bool:
        """Return that it can."""
        return True

    def write_eof(self) -> None:
        """Let the server see the end of what is written."""
        if self._may_write and not self._closing:
            self._may_write = False
            self._connection.send_eof()

    def get_write_buffer_size(self) -> int:
        """Return 0: what is written is received."""
        return 0

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """Return limits that are never reached."""
        return 0, 0

    def set_write_buffer_limits(
        self, high: int | None = None, low: int | None = None
    ) -> None:
        """Do nothing: there is no buffer."""

    def pause_reading(self) -> None:
        """Hand nothing to the protocol for now."""
        self._paused = True

    def resume_reading(self) -> None:
        """Go on, and hand over what has come."""
        self._paused = False
        self._soon(self._read)

    def is_reading(self) -> bool:
        """Return whether the protocol is handed what comes."""
        return not self._paused and not self._closing

    @property
    def waits_for(self) -> str:
        """Which command its client waits for. For `FakeClock`, which asks its task."""
        return self._connection.session.waits_for or SOMETHING

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return the protocol."""
        return self._protocol

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Hand what comes to another protocol from now on."""
        assert isinstance(protocol, asyncio.Protocol)  # that is fed by data_received
        self._protocol = protocol

    def is_closing(self) -> bool:
        """Return whether it was closed, or is lost."""
        return self._closing

    def close(self) -> None:
        """End the connection; the protocol is told in the loop's next round."""
        self._lose(None)

    def abort(self) -> None:
        """Do the same: nothing is ever left to be written."""
        self._lose(None)

    def _lose(self, error: OSError | DeadlockError | None) -> None:
        if self._closing:
            return
        self._closing = True
        if self._timer is not None:
            self._timer.cancel()
        connection = self._connection
        connection.broker.monitor.readers.leave(connection)
        connection.hang_up()
        self._soon(self._protocol.connection_lost, error)

    def _soon(self, callback: Callable[..., object], *args: Any) -> None:
        # The loop may be closed already.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(callback, *args)

    def _read(self) -> None:
        while not (self._paused or self._closing or self._ended):
            try:
                data, ended = self._connection.take()
            except (OSError, DeadlockError) as error:
                # A forked child's, of its parent's; or whoever reads is to be told, and
                # the loop has no other way.
                self._lose(error)
                return
            if data:
                self._protocol.data_received(data)
            elif ended:
                self._ended = True
                if not self._protocol.eof_received():
                    self.close()
            else:
                break

    def _keep_time(self) -> None:
        if self._closing:
            return
        connection = self._connection
        broker = connection.broker
        monitor = broker.monitor
        monitor.look()
        due_at = monitor.readers.enter(monitor, connection)
        if self._timer is not None:
            self._timer.cancel()
        if due_at < inf:
            left = max(0, due_at - monitor.clock.now())
            self._timer = self._loop.call_later(left, self._keep_time)

    def __del__(self) -> None:
        if not self._closing:
            message = f"unclosed transport {self!r}"
            warnings.warn(message, ResourceWarning, stacklevel=2, source=self)
            self._connection.abandon()

    def __repr__(self) -> str:
        state = "closed" if self._closing else repr(self._connection._server)
        return f"<{type(self).__name__} in memory: {state}>"


def connect_stream(
    loop: asyncio.AbstractEventLoop,
    protocol_factory: Callable[[], asyncio.Protocol],
    server: Server,
    **options: Any,
) -> tuple[FakeTransport, asyncio.Protocol]:
    """Connect an event loop to a server in memory.

    Raises:
        ConnectionRefusedError: The server takes no connections now.
        ValueError: It shall be encrypted, which beanstalkd knows nothing of.
    """
    if options.get("ssl"):
        message = "beanstalkd does not speak TLS"
        raise ValueError(message)
    protocol = protocol_factory()
    transport = FakeTransport(loop, protocol, server)
    # A clock that is moved by hand tells the broker itself what is due.
    if not isinstance(server.clock, FakeClock):
        transport._keep_time()
    protocol.connection_made(transport)
    return transport, protocol
