"""A connection to a beanstalkd, by greenstalk: one command at a time.

A connection is in step, or it is lost. What has been sent a command and has not read all
of its answer would take that for the answer to the next one. So whatever breaks off a
command, Ctrl-C included, ends the connection, and the server gives its jobs back.

Why greenstalk's verbs are not used for what may wait
    `greenstalk.Client.reserve` sends, and then blocks until the answer is there. Here the
    two are apart, so that one can wait in between for something else as well: a moment,
    several servers, an event loop. The bytes that are sent, and what reads and parses the
    answer, are greenstalk's.
"""

from __future__ import annotations

import socket
import struct
import threading
import weakref
from contextlib import suppress
from enum import Enum
from threading import get_ident
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Protocol, TypeVar

import greenstalk

from inproc_tubes.core.limits import DEFAULT_TUBE
from inproc_tubes.errors import DrainingError, ReentrantCallError, ServerError

from .codecs import DamagedBody

if TYPE_CHECKING:
    from collections.abc import Callable

    from .server import Server

__all__ = [
    "BROKEN",
    "Client",
    "Connection",
    "InHand",
    "Lost",
    "ReservationState",
    "refusal_of",
]

P = ParamSpec("P")
R = TypeVar("R")

# Windows has none. There an idle connection that the server has ended is found out only
# as it is used.
_TO_LOOK = socket.MSG_PEEK | getattr(socket, "MSG_DONTWAIT", 0)
_CAN_LOOK = hasattr(socket, "MSG_DONTWAIT")

# What greenstalk raises where a connection has ended or is out of step: it asserts that
# a line has its end, and unpacks what is in it.
BROKEN = (OSError, AssertionError, ValueError)

# Bytes that are read at a time.
_CHUNK = 65_536

# Seconds for the server to notice that we have hung up.
_GOODBYE = 1.0

# After so many seconds of silence the system asks whether the server's machine is there
# still, and then so often in such intervals.
_KEEPALIVE = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}


# What verbs expect; all else is an error of the server.
_ANSWERS = (
    greenstalk.NotFoundError,
    greenstalk.TimedOutError,
    greenstalk.DeadlineSoonError,
    greenstalk.JobTooBigError,
)


class Lost(Exception):  # noqa: N818 - it never leaves this package
    """The connection is lost.

    Attributes:
        sent: Whether the server may have got the command.
    """

    def __init__(self, *, sent: bool) -> None:
        super().__init__(sent)
        self.sent: bool = sent


class ReservationState(Enum):
    """What has become of a reservation."""

    HELD = "reserved"
    SETTLED = "settled"
    LOST = "lost"
    PEEKED = "looked at"


class InHand(Protocol):
    """A job that a connection has in hand: a `Reservation`."""

    @property
    def id(self) -> int:
        """The job's id, as the user knows it."""

    state: ReservationState
    """What has become of it."""
    handle: weakref.ref[object] | None
    """The job's handle, as long as the user has it."""


class _Reader:
    """Reads answers from a socket: whole ones, or it raises.

    A buffered file would not do: where the patience is over it gives a part of an answer
    or None, and a forked child finds its lock held by a thread that waits in the parent.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._data = b""

    def readline(self) -> bytes:
        """Return a line. Where this raises `BlockingIOError`, it may be called again."""
        while True:
            line, end, rest = self._data.partition(b"\n")
            if end:
                self._data = rest
                return line + end
            self._data += self._more()

    def read(self, size: int) -> bytes:
        """Return so many bytes."""
        parts = [self._data]
        missing = size - len(self._data)
        while missing > 0:
            parts.append(self._more())
            missing -= len(parts[-1])
        data = b"".join(parts)
        self._data = data[size:]
        return data[:size]

    def _more(self) -> bytes:
        data = self._sock.recv(_CHUNK)
        if not data:
            message = "the server has ended the connection"
            raise ConnectionError(message)
        return data


class Client(greenstalk.Client[bytes]):
    """greenstalk's client for bytes, which tells how far a command has come."""

    sent: bool = False  # whether the server may have got the whole command

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock, None)
        self._reader.close()
        self._reader = _Reader(sock)  # type: ignore[assignment]  # see there

    def close(self) -> None:
        """Close the socket."""
        self._sock.close()

    def _send_cmd(self, cmd: bytes, expected: bytes) -> list[bytes]:
        self.sent = False
        self._sock.sendall(cmd + b"\r\n")
        # Where this raises, the system has not taken all of it, and a beanstalkd does
        # nothing about a part of a command.
        self.sent = True
        return greenstalk._parse_response(self._reader.readline(), expected)

    def _read_chunk(self, size: int) -> bytes:
        data = self._reader.read(size + 2)
        body = data[:-2]
        return body if data.endswith(b"\r\n") else DamagedBody(body)

    def _stats_cmd(self, cmd: bytes) -> Any:
        size = self._int_cmd(cmd, b"OK")
        data = self._read_chunk(size)
        found: dict[str, object] = {**greenstalk._parse_stats(data)}
        # greenstalk takes a tube's name of digits for a number.
        for line in data.decode("ascii").splitlines():
            key, _, value = line.partition(": ")
            if key in {"name", "tube"}:
                found[key] = value.removeprefix('"').removesuffix('"')
        return found

    def begin_reserve(self, seconds: int | None) -> None:
        """Send a reserve, and do not wait for its answer."""
        self._sock.sendall(
            b"reserve\r\n"
            if seconds is None
            else b"reserve-with-timeout %d\r\n" % seconds
        )

    def end_reserve(self, first: bytes) -> greenstalk.Job[bytes]:
        """Read the answer, of whose first line a part has come, or all."""
        line = first
        if first and not first.endswith(b"\n"):
            line += self._reader.readline()
        job_id, size = map(int, greenstalk._parse_response(line, b"RESERVED"))
        return greenstalk.Job(job_id, self._read_chunk(size))


class Connection:
    """A connection. It may be shared by threads, and is one's at a time.

    Attributes:
        server: Its server.
        jobs: The reservations that belong to it, by the ids of the jobs on the server.
        watched: The tubes that it watches.
        used: The tube that it uses.
        lost: Whether it has ended.
        reserving: Whether it is reserving, and so not free although it has no job.
        awaited: Whether the answer to a reserve is still to come.

    Args:
        server: Its server.
        sock: Its socket.
        patience: Seconds to wait for an answer.
        note_end: Called when it has ended, with the reservations that it had.
    """

    def __init__(
        self,
        server: Server,
        sock: socket.socket,
        patience: float,
        note_end: Callable[[Connection, list[InHand]], None],
    ) -> None:
        self.server: Server = server
        self.jobs: dict[int, InHand] = {}
        self.watched: tuple[str, ...] = (DEFAULT_TUBE,)
        self.used: str = DEFAULT_TUBE
        self.lost: bool = False
        self.reserving: bool = False
        self.awaited: bool = False
        self._note_end = note_end
        self._made_after = server.breaks
        self._proven = False  # whether the server has answered anything
        self._shut = False  # whether it is us who have ended it
        # Held for a command and its answer. Reentrant, for a signal handler that comes
        # before the owner is noted.
        self._lock = threading.RLock()
        self._owner = 0  # the thread that holds it
        for name, value in _KEEPALIVE.items():
            if hasattr(socket, name):  # pragma: no branch - Windows lacks some
                sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.settimeout(None)
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            with suppress(OSError):  # Windows takes another type, and waits for ever
                sock.setsockopt(socket.SOL_SOCKET, option, _timeval(patience))
        self._client = Client(sock)
        # Not __del__: the collector may find the socket first, and warn that it is open.
        weakref.finalize(self, _close, self._client).atexit = False

    @property
    def sock(self) -> socket.socket:
        """Its socket, to wait for the answer to `begin_reserve`."""
        return self._client._sock

    # Commands that are answered at once

    def ask(
        self,
        command: Callable[Concatenate[Client, P], R],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R:
        """Give a command, and return its answer.

        Raises:
            greenstalk.NotFoundError: The server has said so.
            greenstalk.JobTooBigError: The same.
            greenstalk.TimedOutError: The same, to a reserve.
            greenstalk.DeadlineSoonError: The same.
            DrainingError: The server takes no new jobs.
            ServerError: It has refused otherwise, or is no beanstalkd.
            Lost: The connection has ended.
            ReentrantCallError: This thread is in the middle of a command.
        """
        if self._owner == get_ident():
            raise ReentrantCallError
        with self._lock:
            try:
                self._owner = get_ident()
                client = self._client
                client.sent = False
                # Awaited, it is another reserve's now: the job of this one has expired.
                if self.lost or self.awaited:
                    raise Lost(sent=False)  # noqa: TRY301 - what follows is one block
                # Not returned from here: a signal handler runs right after the call, and
                # that is to be within the block.
                answer = command(client, *args, **kwargs)
                self._prove()
            except (*_ANSWERS, Lost):
                raise
            except greenstalk.BeanstalkdError as error:
                raise refusal_of(error) from error
            except greenstalk.UnknownResponseError as error:
                self._end()
                raise ServerError(error.status.decode("ascii", "replace")) from error
            except BROKEN as error:
                self._break(error)
                raise Lost(sent=self._client.sent) from error
            except BaseException:
                self._end()  # it may be out of step
                raise
            finally:
                self._owner = 0
        return answer

    def use(self, tube: str) -> None:
        """Use a tube.

        Raises:
            Lost: The connection has ended. What was to be asked next was not sent.
        """
        if self.used != tube:
            try:
                self.ask(Client.use, tube)
            except Lost as lost:
                raise Lost(sent=False) from lost
            self.used = tube

    def watch(self, tubes: tuple[str, ...]) -> None:
        """Watch exactly these tubes."""
        if self.watched is tubes:
            return
        # In this order: a connection watches one tube at least.
        for tube in tubes:
            if tube not in self.watched:
                self.ask(Client.watch, tube)
        for tube in self.watched:
            if tube not in tubes:
                self.ask(Client.ignore, tube)
        self.watched = tubes

    def _prove(self) -> None:
        """Note that the server has answered."""
        if not self._proven:
            self._proven = True
            self.server.note_answer()

    # A reserve, which may wait between its two halves

    def begin_reserve(self, seconds: int | None) -> None:
        """Send a reserve. Until `end_reserve` nothing else may be asked.

        Raises:
            Lost: The connection has ended.
        """
        # Whoever is in the middle of a command for a job that has expired ends it first.
        with self._lock:
            self.awaited = True
            try:
                self._client.begin_reserve(seconds)
            except OSError as error:
                self._break(error)
                raise Lost(sent=False) from error

    def wait(self, seconds: float | None) -> bytes | None:
        """Wait for the beginning of the answer; b"" if the connection has ended.

        Returns:
            None if nothing has come within so many seconds; None for ever.
        """
        sock = self._client._sock
        try:
            if seconds is None:
                while True:
                    with suppress(BlockingIOError):  # there is more patience
                        return self._client._reader.readline()
            sock.settimeout(seconds)
            try:
                return sock.recv(1)
            finally:
                sock.settimeout(None)
        except (TimeoutError, BlockingIOError):
            return None
        except OSError:
            return b""

    def end_reserve(self, first: bytes) -> greenstalk.Job[bytes] | None:
        """Read the answer to a reserve; None if there was no job.

        Raises:
            Lost: The connection has ended.
            ServerError: This is no beanstalkd.
        """
        try:
            found = self._client.end_reserve(first)
        except (greenstalk.TimedOutError, greenstalk.DeadlineSoonError):
            found = None
        except greenstalk.BeanstalkdError as error:
            self.close()
            raise refusal_of(error) from error
        except greenstalk.UnknownResponseError as error:
            self.close()
            raise ServerError(error.status.decode("ascii", "replace")) from error
        except BROKEN as error:
            self._break(error)
            raise Lost(sent=True) from error
        self._prove()
        self.awaited = False
        return found

    # The end

    def is_alive(self) -> bool:
        """Tell whether the server has not ended it, as far as one can know."""
        if self.lost:
            return False
        # A thread that uses it will find out. An idle connection receives nothing: any
        # byte is an answer out of step, and no byte is the end.
        if self._owner or self._looks_alive():
            return True
        self.close()
        return False

    def _looks_alive(self) -> bool:
        """Tell whether nothing has come, not even the end."""
        if not _CAN_LOOK:
            return True
        try:
            self._client._sock.recv(1, _TO_LOOK)
        except BlockingIOError:
            return True
        except OSError:
            pass
        return False

    def shut_down(self) -> None:
        """Have whoever uses it find that it has ended. In any thread; never waits."""
        self._shut = True
        with suppress(OSError):
            self._client._sock.shutdown(socket.SHUT_RDWR)

    def hang_up(self) -> None:
        """End it, and wait until the server has noticed: its jobs are others' then.

        A server that has not noticed in time hangs, and is not waited for again.
        """
        try:
            sock = self._client._sock
            sock.shutdown(socket.SHUT_WR)
            sock.settimeout(0 if self.server.hangs else _GOODBYE)
            while sock.recv(4096):
                pass
        except TimeoutError:
            self.server.hangs = True
        except OSError:
            pass
        self.close()

    def close(self) -> None:
        """End it. Its jobs are lost."""
        if self._owner == get_ident():
            self.shut_down()  # in the middle of a command, which ends it then
            return
        if not self.lost and not self._lock.acquire(blocking=False):
            self.shut_down()
            self._lock.acquire()  # whoever has it is told at once
            self._lock.release()
        elif not self.lost:
            self._lock.release()
        self._end()

    def _break(self, error: Exception) -> None:
        """End it, as the server has ended it, or gives answers that are none."""
        self._end()
        if not (self._proven or self._shut):
            self.server.note_break(self._made_after, error)

    def _end(self) -> None:
        self.lost = True
        had = list(self.jobs.values())
        for reservation in had:
            reservation.state = ReservationState.LOST
        self.jobs.clear()
        self._note_end(self, had)
        _close(self._client)

    def leave_to_parent(self) -> None:
        """Be the parent's, in a forked child: the server is not told."""
        self._lock = threading.RLock()  # another thread may have held it
        self._owner = 0
        # The pool is not told: its lock may be held as well, and it is closed anyway.
        self._note_end = _note_nothing
        self._end()


def _note_nothing(_connection: Connection, _had: list[InHand]) -> None:
    pass


def _close(client: Client) -> None:
    with suppress(OSError):
        client.close()


def _timeval(seconds: float) -> bytes:
    """Return a timeout as the system has it: a socket's own costs a call for each read."""
    whole = int(seconds)
    return struct.pack("@ll", whole, int((seconds - whole) * 1_000_000))


def refusal_of(error: greenstalk.BeanstalkdError) -> Exception:
    """Return our error for an answer that no verb expects."""
    if isinstance(error, greenstalk.DrainingError):
        return DrainingError()
    for word, kind in greenstalk.ERROR_RESPONSES.items():
        if type(error) is kind:
            return ServerError(word.decode())
    return ServerError(type(error).__name__)
