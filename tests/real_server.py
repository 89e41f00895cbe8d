r"""A real beanstalkd whose clock a test moves.

The server runs under libfaketime, which reads the time from a file at every
call. That time stands still until the test replaces the file, so every instant is
exact, to the microsecond: the resolution of beanstalkd's own clock.

    with RealServer() as server:
        wire = server.connect()
        wire.send(b"reserve-with-timeout 5\r\n")
        assert wire.poll() is None
        server.advance(5)
        assert wire.poll() == b"TIMED_OUT\r\n"

**Barriers instead of sleeping.** The server is one thread around `epoll`, which
serves the ready connections in turn. So a command on a control connection, once
answered, shows that whatever reached the server before has been done. It takes two
of them, in one piece, to show that it has been answered as well: replies are written
in a later turn than the one that made them; the server ticks only *after* the command
that wakes it; and a connection just answered may keep its place at the head of the
turn. (Two never missed in some 60,000 rounds, on busy machines too; one did.) The
command is an unknown one, since that moves no counter. The control connection itself
shows in current-connections and total-connections, and in current-using and
current-watching of the tube `default`.

**At the very instant of a deadline** the server (1.12, by trying) does this:

    delay over                 ready          `prottick`: deadline <= now
    pause over                 un-paused      `prottick`: unpause_at <= now
    reserve-with-timeout over  TIMED_OUT      `prottick`: tickat <= now
    one second before the TTR  DEADLINE_SOON  `conndeadlinesoon`: deadline - 1 s <= now
    TTR over                   *nothing*      `conn_timeout`: only deadline < now

The last is worse than one microsecond of delay. `prottick` has taken the connection
off its heap by then, and only that connection's next reply puts it back: until then
the job stays reserved, however late it gets. `advance` therefore lands one
microsecond *after* the instant that it is asked for. The microseconds add up, so
that whatever began after one jump is over after a later one; comparing replies with
something that lands on the instant itself is sound as long as the steps are coarser
than the sum. What it does show in is truncated seconds (`time-left`,
`pause-time-left`, `age`): give the other side the same clock, `RealServer.now`, and
they agree too.

`pause-tube <tube> 0` pauses for a nanosecond, which in a clock that stands still is
for ever: follow it with `advance(0)`.

**One jump is one late tick**: whatever fell due on the way is carried out at its
end, in the tick's order. To have time flow, advance from one due moment to the next.
Of two connections that fall due at the same instant either may come first (they are
in one heap), so a TTR and another connection's timeout that end together have no
certain outcome; and one of them may be forgotten (`heapremove`, of the last in the heap
when its parent is its equal). Durations are whole seconds: what begins at different
fractions of a second never coincides.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable

START = 1_000_000.0
"""What the server's clock shows at first, in seconds: where FakeClock starts too."""

_MICROSECONDS = 1_000_000
_PATIENCE = 30.0  # seconds: for a reply that does not come, so only for a bug
_BARRIER = b"barrier\r\n"  # no command of beanstalkd's
_BARRIER_REPLY = b"UNKNOWN_COMMAND\r\n"

# The wrapper finds the library, and removes its semaphore in the end. It insists on
# setting FAKETIME, which would win over the file. The shell tells the server's pid.
_WRAPPED = ("-f", "+0", "sh", "-c", 'unset FAKETIME; echo $$; exec "$@"', "sh")

# A wrapper that was killed leaves its semaphore behind, and it is named after its
# pid: so says another that is given that pid. The next one is given another.
_STALE = b"File exists\n"


def why_missing() -> str | None:
    """Tell why a `RealServer` cannot be started here, or None if it can."""
    if _beanstalkd() is None:
        return "no beanstalkd on the PATH, and none at BEANSTALKD_PATH"
    if shutil.which("faketime") is None:
        return "no faketime on the PATH, to move beanstalkd's clock"
    return None


class Wire:
    """One connection to the server: bytes to it, whole replies from it."""

    def __init__(self, sock: socket.socket, settle: Callable[[], None]) -> None:
        self._socket = sock
        self._settle = settle
        self._received = bytearray()
        self._ended = False

    def send(self, data: bytes) -> None:
        """Send `data` as it is, and wait for nothing."""
        self._socket.sendall(data)

    def reply(self) -> bytes:
        """Wait for the next whole reply, with its body, if it has one.

        `b""` when the server has closed the connection.

        Raises:
            TimeoutError: There is none. To ask whether there is one, `poll`.
        """
        while (reply := self._next_reply()) is None:
            self._receive()
        return reply

    def poll(self) -> bytes | None:
        """Return the next whole reply, or None if the server has sent none so far.

        The answer is certain: everything sent before, on any connection, has been
        carried out by then. Only commands sent in one piece take a turn each: there,
        `poll` again.
        """
        if (reply := self._next_reply()) is not None:
            return reply
        self._settle()
        return self.arrived()

    def arrived(self) -> bytes | None:
        """As `poll`, for whoever has settled: for several connections at once."""
        if (reply := self._next_reply()) is not None:
            return reply
        self._socket.settimeout(0)
        try:
            self._receive()
        except BlockingIOError:
            return None
        finally:
            self._socket.settimeout(_PATIENCE)
        return self.reply()

    def half_close(self) -> None:
        """Say that nothing more will be sent; replies still arrive."""
        self._socket.shutdown(socket.SHUT_WR)
        self._settle()

    def close(self) -> None:
        """Close the connection, and wait until the server has given up its jobs."""
        if self._socket.fileno() != -1:
            self._socket.close()
            self._settle()

    def _receive(self) -> None:
        try:
            data = self._socket.recv(1 << 20)
        except ConnectionResetError:
            data = b""  # it has closed, and not read all that was sent
        self._received += data
        self._ended = not data

    def _next_reply(self) -> bytes | None:
        line_end = self._received.find(b"\r\n")
        if line_end == -1:
            return b"" if self._ended else None
        size = line_end + 2
        words = bytes(self._received[:line_end]).split()
        if words[0] in (b"RESERVED", b"FOUND", b"OK"):
            size += int(words[-1]) + 2
        if len(self._received) < size:
            return b"" if self._ended else None
        reply = bytes(self._received[:size])
        del self._received[:size]
        return reply


class RealServer:
    """A beanstalkd on a free port of 127.0.0.1, or on a Unix socket.

    Attributes:
        address: (host, port), or the path of the Unix socket.
        version: As `beanstalkd -v` tells it, "1.12" for instance.
    """

    address: tuple[str, int] | str
    version: str

    def __init__(
        self, *, unix_socket: bool = False, max_job_size: int | None = None
    ) -> None:
        self._unix_socket = unix_socket
        self._max_job_size = max_job_size
        self._now = round(START * _MICROSECONDS)
        self._wires: list[Wire] = []

    @property
    def now(self) -> float:
        """What the server's clock shows, in seconds."""
        return self._now / _MICROSECONDS

    def __enter__(self) -> Self:
        program = _beanstalkd()
        faketime = shutil.which("faketime")
        if program is None or faketime is None:
            raise RuntimeError(why_missing())
        with contextlib.ExitStack() as stack:
            self._start(program, faketime, stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def connect(self) -> Wire:
        """Open a connection that the server has accepted; it is closed at the end."""
        wire = Wire(self._socket(), self.settle)
        self._wires.append(wire)
        self.settle()
        return wire

    def advance(self, seconds: float) -> None:
        """Move the clock by `seconds` and a microsecond more, in one jump.

        On return the server has done and answered all that is due.
        """
        self._move(round(seconds * _MICROSECONDS) + 1)

    def jump(self, seconds: float) -> None:
        """Move the clock by exactly `seconds`, else as `advance`.

        A TTR that is over at that very instant is then lost, see above.
        """
        self._move(round(seconds * _MICROSECONDS))

    def settle(self) -> None:
        """Wait until the server has done and answered whatever has reached it."""
        self._control.send(2 * _BARRIER)
        replies = self._control.reply() + self._control.reply()
        assert replies == 2 * _BARRIER_REPLY, replies

    def drain(self) -> None:
        """Send SIGUSR1: from now on the server answers DRAINING to every put.

        A signal that `kill` has left pending is handled before the server's next
        return from the kernel, so before it can have read any later command.
        """
        os.kill(self._pid, signal.SIGUSR1)

    def _start(self, program: str, faketime: str, stack: contextlib.ExitStack) -> None:
        self.version = (
            subprocess.run(  # noqa: S603  # the program is the one to be tested
                [program, "-v"], check=True, capture_output=True, text=True
            )
            .stdout.strip()
            .removeprefix("beanstalkd ")
        )
        self._directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        self._write_time()
        if self._unix_socket:
            self.address = str(self._directory / "socket")
            arguments = ["-l", f"unix:{self.address}"]
        else:
            # Bound here too, though never listened on: nobody else is given the port.
            holder = stack.enter_context(socket.socket())
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            holder.bind(("127.0.0.1", 0))
            host, port = self.address = holder.getsockname()
            arguments = ["-l", host, "-p", str(port)]
        if self._max_job_size is not None:
            arguments += ["-z", str(self._max_job_size)]
        while True:
            self._process = subprocess.Popen(  # noqa: S603  # as above
                [faketime, *_WRAPPED, program, *arguments],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                bufsize=0,  # else what follows the pid is lost to `communicate`
                env=os.environ
                | {
                    "FAKETIME_TIMESTAMP_FILE": str(self._directory / "now"),
                    "FAKETIME_NO_CACHE": "1",
                    "FAKETIME_FMT": "%s",
                },
            )
            assert self._process.stdout is not None
            line = self._process.stdout.readline()
            if not line.endswith(_STALE):
                break
            self._process.communicate()
        self._pid = int(line)
        stack.callback(self._stop)
        self._control = Wire(self._first_socket(), self.settle)
        self._wires.append(self._control)

    def _stop(self) -> None:
        for wire in self._wires:
            wire._socket.close()
        if self._process.poll() is None:
            os.kill(self._pid, signal.SIGTERM)
        self._process.communicate()

    def _move(self, microseconds: int) -> None:
        # What was sent before happens before. The server also reads its clock twice
        # to place a connection in its heap, which is no moment to move it.
        self.settle()
        self._now += microseconds
        self._write_time()
        self.settle()

    def _socket(self) -> socket.socket:
        if isinstance(self.address, str):
            sock = socket.socket(socket.AF_UNIX)
        else:
            sock = socket.socket(socket.AF_INET)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(_PATIENCE)
        try:
            sock.connect(self.address)
        except OSError:
            sock.close()
            raise
        return sock

    def _first_socket(self) -> socket.socket:
        while True:
            with contextlib.suppress(ConnectionRefusedError, FileNotFoundError):
                return self._socket()
            # It does not listen yet: see for a moment whether it gives up instead.
            with contextlib.suppress(subprocess.TimeoutExpired):
                output, _ = self._process.communicate(timeout=0.005)
                message = f"beanstalkd gave up: {output.decode().strip()}"
                raise RuntimeError(message)

    def _write_time(self) -> None:
        seconds, microseconds = divmod(self._now, _MICROSECONDS)
        new = self._directory / "new"
        # libfaketime truncates what it computes in floating point: the half
        # microsecond behind keeps it from falling short by one.
        new.write_text(f"{seconds}.{microseconds:06}5\n")
        new.replace(self._directory / "now")


def _beanstalkd() -> str | None:
    """Find the server, also beside the PATH: daemons live in sbin."""
    path = os.environ.get("PATH", os.defpath).split(os.pathsep)
    path += [str(Path(directory).with_name("sbin")) for directory in path if directory]
    return shutil.which(
        os.environ.get("BEANSTALKD_PATH", "beanstalkd"), path=os.pathsep.join(path)
    )
