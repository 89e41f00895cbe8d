"""pybeanstalk's connection."""

from __future__ import annotations

import logging
import weakref
from typing import TYPE_CHECKING, Any

from inproc_tubes.clock import MonotonicClock
from inproc_tubes.fakes.addresses import key_of
from inproc_tubes.fakes.registry import find
from inproc_tubes.fakes.server import FakeBeanstalkd
from inproc_tubes.fakes.sockets import plug_in, socket_classes

from . import errors, protohandler
from .protohandler import Reply, check_name, load_yaml

if TYPE_CHECKING:
    from collections.abc import Callable

    from inproc_tubes.fakes.addresses import Key
    from inproc_tubes.fakes.connection import Server

__all__ = ["ConnectionError", "ServerConn", "logger"]

logger: logging.Logger = logging.getLogger(__name__)
logger.setLevel(logging.INFO)

# The servers of addresses where no other is active, for as long as the process lives.
_own: dict[Key | None, FakeBeanstalkd] = {}

# Python 2's str was bytes. A str here is ASCII; other bytes come and go as surrogates.
_ENCODING = ("ascii", "surrogateescape")


def _raw(data: str) -> str:
    return data


_DELETED = {"DELETED": Reply("ok")}
_BURIED = {"BURIED": Reply("ok")}
_FOUND = {"FOUND": Reply("ok", ("jid", "bytes"), _raw)}
_INSERTED = {"INSERTED": Reply("ok", ("jid",)), "BURIED": Reply("buried", ("jid",))}
_KICKED = {"KICKED": Reply("ok", ("count",))}
_OK = {"OK": Reply("ok", ("bytes",), load_yaml)}
_RELEASED = {"RELEASED": Reply("ok"), "BURIED": Reply("buried")}
_RESERVED = {"RESERVED": Reply("ok", ("jid", "bytes"), _raw)}
_RESERVED_IN_TIME = {**_RESERVED, "TIMED_OUT": Reply("timeout")}
_TOUCHED = {"TOUCHED": Reply("ok")}
_USING = {"USING": Reply("ok", ("tube",))}
_WATCHING = {"WATCHING": Reply("ok", ("count",))}


class ConnectionError(Exception):  # noqa: A001 # pybeanstalk's name
    """Never raised; code that catches it must find it."""


class ServerConn:
    """A connection to the server in memory at an address; any port number will do.

    That is the active `FakeBeanstalkd` of the address or, with none active, a server of
    the address's own, which tells the real time and lives as long as the process does.

    Commands return pybeanstalk's dicts; a dict with a ``jid`` becomes a job, if `job`
    is set. Bodies are ASCII `str`; any other byte in them is a surrogate, as
    ``errors="surrogateescape"`` makes it. `bytes` are taken, too.

    Not to be used by several threads at once.

    Args:
        server: The host.
        port: The port.
        job: Makes a job of a reply, `job.Job` for instance; if falsy, none is made.

    Attributes:
        poller: None; a connection in memory has nothing to poll.

    Raises:
        ConnectionRefusedError: The server takes no connections now.

    Cost: A command costs the server's work, and O(bytes of its reply).
    """

    def __init__(self, server: str, port: int, job: Any = False) -> None:  # noqa: FBT002 # pybeanstalk's signature
        self.server = server
        self.port = port
        self.job = job
        self.poller: None = None
        self._socket = socket_classes()[0]()  # the standard library's
        # It was no leak to forget a connection, so nothing may warn of one.
        weakref.finalize(self, self._socket.close)
        plug_in(self._socket, _server_at(server, port))
        protohandler.MAX_JOB_SIZE = self.stats()["data"]["max-job-size"]

    def __repr__(self) -> str:
        return f"<[Open]ServerConn({self.server}:{self.port})>"

    def __eq__(self, other: object) -> bool:
        """Whether both are connected to one address; only with another connection."""
        assert isinstance(other, ServerConn)
        return (self.server, self.port) == (other.server, other.port)

    def __hash__(self) -> int:
        return object.__hash__(self)  # as Python 2 has it

    @property
    def watchlist(self) -> list[str]:
        """The tubes that it watches; an empty list to watch has "default" appended."""
        names: list[str] = self.list_tubes_watched()["data"]
        return names

    @watchlist.setter
    def watchlist(self, seq: list[str]) -> None:
        if len(seq) == 0:
            seq.append("default")
        before = self.watchlist
        # First the new ones: the last one watched could not be ignored.
        for tube in dict.fromkeys(seq):
            if tube not in before:
                self.watch(tube)
        for tube in before:
            if tube not in seq:
                self.ignore(tube)

    @property
    def tube(self) -> str:
        """The tube that it uses."""
        name: str = self.list_tube_used()["tube"]
        return name

    def close(self) -> None:
        """End the connection; its jobs are ready again."""
        self._socket.close()

    def fileno(self) -> int:
        """Refuse: nothing ever comes over a file descriptor.

        Raises:
            OSError: Always, until it is closed.
        """
        return self._socket.fileno()

    def put(self, data: Any, pri: int = 1, delay: int = 0, ttr: int = 60) -> Any:
        """Put a job into the tube that is used.

        Args:
            data: The body, a `str` or `bytes`.
            pri: The priority, the lower the more urgent.
            delay: Seconds until it is ready.
            ttr: Seconds that a reservation of it lasts.
        """
        if isinstance(data, bytes):
            data = data.decode(*_ENCODING)
        size = len(data)
        limit = protohandler.MAX_JOB_SIZE
        if size >= limit:
            # The parenthesis was never closed.
            message = f"Job size is {size} (max allowed is {limit}"
            raise errors.JobTooBig(message)
        return self._call(f"put {pri} {delay} {ttr} {size}\r\n{data}", _INSERTED)

    def use(self, tube: str) -> Any:
        """Use a tube: `put`, the peeks and `kick` go there from now on.

        Args:
            tube: The tube's name.
        """
        check_name(tube)
        return self._call(f"use {tube}", _USING)

    def reserve(self) -> Any:
        """Reserve a job, waiting for one."""
        return self._call("reserve", _RESERVED)

    def reserve_with_timeout(self, timeout: int = 0) -> Any:
        """Reserve a job, waiting no longer than so many seconds.

        Args:
            timeout: Seconds, 0 for not at all.
        """
        if int(timeout) < 0:
            message = "timeout must be greater than 0"
            raise AttributeError(message)
        return self._call(f"reserve-with-timeout {timeout}", _RESERVED_IN_TIME)

    def delete(self, jid: int) -> Any:
        """Delete a job.

        Args:
            jid: The job's id.
        """
        return self._call(f"delete {jid}", _DELETED)

    def release(self, jid: int, pri: int = 1, delay: int = 0) -> Any:
        """Give a job back; its priority is 1 then, unless another is given.

        Args:
            jid: The job's id.
            pri: Its new priority.
            delay: Seconds until it is ready again.
        """
        return self._call(f"release {jid} {pri} {delay}", _RELEASED)

    def bury(self, jid: int, pri: int = 1) -> Any:
        """Put a job aside until it is kicked.

        Args:
            jid: The job's id.
            pri: Its new priority.
        """
        return self._call(f"bury {jid} {pri}", _BURIED)

    def touch(self, jid: int) -> Any:
        """Begin a reserved job's time to run anew.

        Args:
            jid: The job's id.
        """
        return self._call(f"touch {jid}", _TOUCHED)

    def watch(self, tube: str) -> Any:
        """Reserve from this tube, too.

        Args:
            tube: The tube's name.
        """
        check_name(tube)
        return self._call(f"watch {tube}", _WATCHING)

    def ignore(self, tube: str) -> Any:
        """Reserve from this tube no longer.

        Args:
            tube: The tube's name.
        """
        check_name(tube)
        return self._call(f"ignore {tube}", _WATCHING)

    def peek(self, jid: int = 0) -> Any:
        """Look at a job; without an id there is nothing to send, a `ProtoError`.

        Args:
            jid: The job's id.
        """
        if not jid:
            raise errors.ProtoError
        return self._call(f"peek {jid}", _FOUND)

    def peek_ready(self) -> Any:
        """Look at the next ready job of the tube that is used."""
        return self._call("peek-ready", _FOUND)

    def peek_delayed(self) -> Any:
        """Look at the next delayed job of the tube that is used."""
        return self._call("peek-delayed", _FOUND)

    def peek_buried(self) -> Any:
        """Look at the next buried job of the tube that is used."""
        return self._call("peek-buried", _FOUND)

    def kick(self, bound: int = 10) -> Any:
        """Make up to so many buried jobs of the tube ready; if none is, delayed ones.

        Args:
            bound: How many at most.
        """
        return self._call(f"kick {bound}", _KICKED)

    def stats(self) -> Any:
        """Return the server's statistics."""
        return self._call("stats", _OK)

    def stats_job(self, jid: int) -> Any:
        """Return a job's statistics.

        Args:
            jid: The job's id.
        """
        return self._call(f"stats-job {jid}", _OK)

    def stats_tube(self, tube: str) -> Any:
        """Return a tube's statistics.

        Args:
            tube: The tube's name.
        """
        check_name(tube)
        return self._call(f"stats-tube {tube}", _OK)

    def list_tubes(self) -> Any:
        """Return the names of all tubes."""
        return self._call("list-tubes", _OK)

    def list_tube_used(self) -> Any:
        """Return the name of the tube that is used."""
        return self._call("list-tube-used", _USING)

    def list_tubes_watched(self) -> Any:
        """Return the names of the tubes that are watched."""
        return self._call("list-tubes-watched", _OK)

    def _call(self, command: str, replies: dict[str, Reply]) -> Any:
        logger.info("Calling %r", command)
        try:
            self._socket.sendall(f"{command}\r\n".encode(*_ENCODING))
        except (OSError, UnicodeError) as error:
            raise errors.ProtoError from error
        reply = protohandler.read_reply(self._read, replies)
        if self.job and "jid" in reply:
            make: Callable[..., Any] = self.job
            return make(conn=self, **reply)
        return reply

    def _read(self, size: int) -> str:
        data = self._socket.recv(size)
        if not data:
            self.close()
            message = f"Remote server {self.server}:{self.port} has closed connection"
            raise errors.ProtoError(message)
        return data.decode(*_ENCODING)


def _server_at(server: str, port: int) -> Server:
    address = (server, port)
    active = find(key_of(address))
    if isinstance(active, FakeBeanstalkd):  # and no guard, which keeps from the network
        return active
    # The first of several threads decides.
    return _own.get(key_of(address)) or _own.setdefault(
        key_of(address), FakeBeanstalkd(address, clock=MonotonicClock())
    )
