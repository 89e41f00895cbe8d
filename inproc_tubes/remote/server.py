"""A beanstalkd, and all of those that a broker has: which of them is away."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import socket
from math import inf
from typing import TYPE_CHECKING, Protocol

from inproc_tubes.core.statistics import JobStats
from inproc_tubes.errors import ServerError
from inproc_tubes.weak_registry import WeakRegistry

from .sleeping import Sleepers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from inproc_tubes.clock import Clock

    from .addresses import Address
    from .codecs import Codec

__all__ = ["Away", "Network", "Server", "as_os_error", "wrong_greeting"]

_logger = logging.getLogger("inproc_tubes.remote")

# Seconds until a server that is away is tried again: at first, and at most. A random part
# of up to a half is left out, so that clients do not all come back at once.
_FIRST = 0.1
_LONGEST = 5.0

# After so many new connections in a row that it has ended at once, a server is away.
_FEW = 3


# The first command on each connection. It changes nothing, so nothing is lost if no answer
# comes: the server is stopped, or a proxy stands before one that is away.
_GREETING = b"use default\r\n"
_GREETED = b"USING default\r\n"
_CHUNK = 4096


class Away(Exception):  # noqa: N818 - it never leaves this package
    """A server cannot be reached.

    Attributes:
        retry_at: When it is tried again.
        why: The error of the last try.
    """

    def __init__(self, place: str, retry_at: float, why: OSError) -> None:
        super().__init__(f"{place}: {why}")
        self.retry_at = retry_at
        self.why = why


def _some(data: bytes) -> bytes:
    """Return what was received, if it is not the end."""
    if not data:
        message = "it has ended the connection at once"
        raise ConnectionError(message)
    return data


def as_os_error(error: Exception) -> OSError:
    """Return an error of a connection as what the system raises."""
    return error if isinstance(error, OSError) else OSError("a broken answer")


def wrong_greeting(answer: bytes) -> Exception:
    """Return the error for an answer to the first command that is no beanstalkd's."""
    if answer == _GREETING:
        # The system has connected it to itself, where nobody listens.
        return ConnectionRefusedError("nobody listens there")
    return ServerError((answer.split() or [b""])[0].decode("ascii", "replace"))


def _check_greeting(answer: bytes) -> None:
    if answer != _GREETED:
        raise wrong_greeting(answer)


class Server:
    """A beanstalkd: where it is, and whether it could be reached.

    Attributes:
        address: Host and port.
        index: Its place among the servers of the broker.
        hangs: Whether it has not noticed in time that a connection was ended.
        breaks: How often a new connection has ended before anything was answered. What
            was made before the last time does not count.
    """

    def __init__(self, address: Address, index: int, clock: Clock) -> None:
        self.address = address
        self.index = index
        self.hangs: bool = False
        self.breaks: int = 0
        self._breaks_in_a_row = 0
        self._clock = clock
        self._pause = 0.0
        self._retry_at = -inf
        self._why = OSError()

    def __str__(self) -> str:
        host, port = self.address
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    @property
    def is_away(self) -> bool:
        """Whether the last try has failed, and it is not yet time for the next."""
        return self._clock.now() < self._retry_at

    def connect(self, patience: float) -> socket.socket:
        """Return a socket that is connected.

        Args:
            patience: Seconds after which it is away if it does not answer.

        Raises:
            Away: It could not be made now, or a moment ago, or is not answered.
            ServerError: There is something else.
        """
        self.check_not_away()
        try:
            sock = socket.create_connection(self.address, patience)
            try:
                sock.sendall(_GREETING)
                answer = b""
                while not answer.endswith(b"\n"):
                    answer += _some(sock.recv(_CHUNK))
                _check_greeting(answer)
            except BaseException:
                sock.close()
                raise
        except OSError as error:
            raise self.note_failure(error) from error
        self.note_success()
        return sock

    async def connect_in_loop(self, patience: float) -> socket.socket:
        """Return a socket that is connected, and do not block the event loop for it.

        Args:
            patience: The same as for `connect`.

        Raises:
            Away: It could not be made now, or a moment ago, or is not answered.
            ServerError: There is something else.
        """
        self.check_not_away()
        loop = asyncio.get_running_loop()
        host, port = self.address
        error: OSError | None = None
        try:
            infos = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            for family, kind, protocol, _, address in infos:
                sock = socket.socket(family, kind, protocol)
                try:
                    sock.settimeout(0)
                    async with asyncio.timeout(patience):
                        await loop.sock_connect(sock, address)
                        await loop.sock_sendall(sock, _GREETING)
                        answer = b""
                        while not answer.endswith(b"\n"):
                            answer += _some(await loop.sock_recv(sock, _CHUNK))
                    _check_greeting(answer)
                    self.note_success()
                    return sock  # noqa: TRY300 - one block, as more may go wrong
                except OSError as failed:
                    sock.close()
                    error = failed
                except BaseException:
                    sock.close()
                    raise
        except OSError as failed:
            error = failed
        raise self.note_failure(error or OSError("it has no address"))

    def check_not_away(self) -> None:
        """Raise `Away` if it was away a moment ago."""
        if self._clock.now() < self._retry_at:
            raise Away(str(self), self._retry_at, self._why)

    def note_failure(self, error: OSError) -> Away:
        """Note that it could not be reached, and return what to raise."""
        if not self._pause:
            _logger.warning("beanstalkd at %s is away: %s", self, error)
        self._pause = min(2 * self._pause or _FIRST, _LONGEST)
        pause = self._pause * random.uniform(0.5, 1)  # noqa: S311 - no secret
        self._retry_at = self._clock.now() + pause
        self._why = error
        return Away(str(self), self._retry_at, error)

    def note_break(self, made_after: int, error: Exception) -> None:
        """Note that it has ended a connection before it has answered anything.

        Where it does so again and again, it is left alone for a while.

        Args:
            made_after: What `breaks` was when the connection was made.
            error: What the connection has ended by.
        """
        if made_after == self.breaks:
            self.breaks += 1
            self._breaks_in_a_row += 1
            if self._breaks_in_a_row >= _FEW:
                self.note_failure(as_os_error(error))

    def note_answer(self) -> None:
        """Note that it has answered on a new connection."""
        self._breaks_in_a_row = 0

    def note_success(self) -> None:
        """Note that it was reached."""
        self.hangs = False
        if self._pause:
            self._pause = 0
            self._retry_at = -inf
            _logger.info("beanstalkd at %s is back", self)


class _Inherited(Protocol):
    """A connection, which a forked child has, too."""

    reserving: bool

    def shut_down(self) -> None:
        """Have who uses it find that it has ended."""

    def leave_to_parent(self) -> None:
        """Be the parent's."""

    def close(self) -> None:
        """End it."""


class Network:
    """The servers of a broker, and what all of its handles need.

    Attributes:
        servers: The servers.
        codec: What makes bytes of bodies.
        clock: What tells the time.
        sleepers: Wakes whoever waits for a server that is away.
        reconnect_timeout: For how many seconds a verb waits for that; inf for ever.
    """

    def __init__(
        self,
        addresses: list[Address],
        codec: Codec,
        clock: Clock,
        *,
        answer_timeout: float,
        reconnect_timeout: float,
    ) -> None:
        self.servers: list[Server] = [
            Server(address, index, clock) for index, address in enumerate(addresses)
        ]
        self.codec = codec
        self.clock = clock
        self.sleepers: Sleepers = Sleepers(clock)
        self.answer_timeout = answer_timeout
        self.reconnect_timeout = reconnect_timeout
        self._turn = 0
        # All that are not lost, for a forked child.
        self.connections: WeakRegistry[_Inherited] = WeakRegistry()
        self.forked = False
        _networks.add(self)

    def in_turn(self) -> list[Server]:
        """Return the servers, each time another one first; those that are away last."""
        servers = self.servers
        if len(servers) == 1:
            return servers
        self._turn = (self._turn + 1) % len(servers)
        turned = servers[self._turn :] + servers[: self._turn]
        return sorted(turned, key=lambda server: server.is_away)

    # The ids of jobs: that on the server, and the place of the server.

    def public_id(self, server: Server, wire_id: int) -> int:
        """Return the id of a job as the user knows it."""
        return wire_id * len(self.servers) + server.index

    def place_of(self, job_id: int) -> tuple[Server, int]:
        """Return the server of a job, and the id that it has there."""
        wire_id, index = divmod(job_id, len(self.servers))
        return self.servers[index], wire_id

    def job_stats(self, server: Server, found: Mapping[str, object]) -> JobStats:
        """Return the statistics of a job as ours."""
        number = {key: each for key, each in found.items() if isinstance(each, int)}
        return JobStats(
            id=self.public_id(server, number["id"]),
            tube=str(found["tube"]),
            state=str(found["state"]),
            priority=number["pri"],
            age=number["age"],
            delay=number["delay"],
            ttr=number["ttr"],
            time_left=number["time-left"],
            file=number["file"],
            reserves=number["reserves"],
            timeouts=number["timeouts"],
            releases=number["releases"],
            buries=number["buries"],
            kicks=number["kicks"],
            holder=None,  # the server does not tell
        )


_networks: WeakRegistry[Network] = WeakRegistry()


def _leave_all_to_parent() -> None:
    for network in _networks:
        network.forked = True
        for connection in network.connections:
            connection.leave_to_parent()


# Windows cannot fork.
if hasattr(os, "register_at_fork"):  # pragma: no branch - tests run where one can
    os.register_at_fork(after_in_child=_leave_all_to_parent)
