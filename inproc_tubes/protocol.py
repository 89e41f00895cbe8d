r"""beanstalkd's text protocol, without a connection: bytes in, bytes out.

    >>> from inproc_tubes import Broker
    >>> from inproc_tubes.protocol import ProtocolSession
    >>> session = ProtocolSession(Broker())
    >>> session.receive(b"put 0 0 60 5\r\nhello\r\nreserve\r\n")
    >>> session.take()
    b'INSERTED 1\r\nRESERVED 1 5\r\nhello\r\n'

It reads no socket and knows no thread, so whoever owns the connection decides how
bytes travel and how one waits. What reads like an oddity is the server's: see `wire`.

Function names in comments are those of beanstalkd's ``prot.c``.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any

from . import wire
from .errors import ClosedError, DeadlockError, TubesError
from .job import Record
from .stats import JobStats, TubeStats
from .waiting import Waiter

if TYPE_CHECKING:
    from collections.abc import Callable

    from .broker import Broker
    from .door import Door

__all__ = ["ProtocolSession"]

# No command is begun while more than this waits to be taken, as the server begins
# none before the last reply is written.
_ENOUGH = 1 << 16

_QUOTED = {
    "1.12": {"version"},
    "1.13": {"version", "name", "tube", "hostname", "os", "platform"},
}


class Bell:
    """Where the waiters of one session wait: nobody sleeps, so it wakes nobody.

    It is no `door.Lot` with a keeper. Whoever waits for a session's output must see
    to it that somebody looks when something is due.
    """

    __slots__ = ("_ring",)

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring = ring

    def wake(self, _door: Door, _waiter: Waiter) -> None:
        """Tell the owner of the connection that its reserve was answered."""
        self._ring()


def _ignore() -> None:
    """Tell nobody."""


class ProtocolSession:
    """One connection: what the client has sent goes in, what the server says comes out.

    Nothing here blocks. A ``reserve`` that finds no job leaves the session `waiting`;
    commands that come meanwhile are carried out after it was answered.

    It is not to be used by several threads at once.

    Args:
        broker: Whose jobs these are.
        version: The beanstalkd that it answers like, "1.12" or "1.13".
        on_output: Called when a reserve that was waiting is answered: `take` has
            something now, and commands behind the reserve can go on. The broker's
            lock is held, and by any thread, so it may do no more than take a note.

    Raises:
        ValueError: There is no such version.
        ClosedError: The broker was closed.
    """

    __slots__ = (
        "__weakref__",
        "_bell",
        "_body",
        "_body_read",
        "_broker",
        "_closed",
        "_commands",
        "_ended",
        "_engine",
        "_in_long_line",
        "_input",
        "_max_job_size",
        "_output",
        "_quoted",
        "_to_skip",
        "_version",
        "_waiter",
        "session",
    )

    def __init__(
        self,
        broker: Broker,
        *,
        version: str = "1.12",
        on_output: Callable[[], None] | None = None,
    ) -> None:
        if version not in _COMMANDS:
            message = f"version is one of {', '.join(_COMMANDS)}, not {version!r}"
            raise ValueError(message)
        self._broker = broker
        self._engine = broker._engine
        self._version = version
        self._commands = _COMMANDS[version]
        self._quoted = _QUOTED[version]
        limit = broker._max_job_size
        self._max_job_size = min(inf if limit is None else limit, wire.MAX_JOB_SIZE)
        self._bell = Bell(_ignore if on_output is None else on_output)
        self._input = bytearray()
        self._output = bytearray()
        self._ended = False  # the client will send nothing more
        self._closed = False
        self._waiter: Waiter | None = None  # the reserve that waits
        self._body: bytearray | None = None  # of a half-received put, with its CRLF
        self._body_read = 0  # how much of it is there
        self._to_skip = 0  # bytes left of a body that is too large
        self._in_long_line = False
        # What the engine knows of it.
        self.session = broker._open("default", ["default"])

    @property
    def closed(self) -> bool:
        """Whether the server's end is closed; there may be output left to take."""
        return self._closed

    @property
    def waiting(self) -> bool:
        """Whether a reserve waits for its answer.

        What is received meanwhile is only kept: the server would not read it.
        """
        return self._waiter is not None and not self._waiter.answered

    def receive(self, data: bytes) -> None:
        """Take in what the client has sent, in whatever pieces.

        After `closed` it goes nowhere. With ``b""`` it goes on where it can.

        Raises:
            DeadlockError: Under an autojumping `FakeClock`: the reserve that waited
                will never be answered. The session has gone on without a reply.

        Cost: that of the commands.
        """
        if not self._closed:
            self._input += data
        self._go_on()

    def receive_eof(self) -> None:
        """Learn that the client will send nothing more.

        A reserve that waits hears TIMED_OUT, and when all is done the session closes.

        Cost: that of the commands left.
        """
        self._ended = True
        self._go_on()

    def take(self) -> bytes:
        """Go on where it can, and return what there is to send.

        To be called until it returns nothing.

        Raises:
            DeadlockError: As `receive`.

        Cost: that of the commands.
        """
        self._go_on()
        output = bytes(self._output)
        self._output.clear()
        return output

    def close(self) -> None:
        """Drop the connection; its jobs are ready again. Twice does no harm.

        Cost: O(log n) for each job and tube.
        Source: connclose (conn.c).
        """
        if not self._closed:
            self._closed = True
            self._input.clear()
            self._body = None
            self._broker._close_session(self.session, "the connection was closed")

    def __del__(self) -> None:
        # Without a session: the constructor has raised.
        if hasattr(self, "session"):
            self._broker._abandon(self.session)

    def __repr__(self) -> str:
        state = "closed" if self._closed else "waiting" if self.waiting else "open"
        return f"<ProtocolSession of {self._version}: {state}>"

    # The framing of h_conn and conn_process_io

    def _go_on(self) -> None:
        """Carry out what has come, until more must come or be taken first."""
        try:
            while not self._closed and len(self._output) <= _ENOUGH:
                if not (self._hear() and self._step()):
                    break
        except ClosedError:  # the broker was
            self.close()

    def _hear(self) -> bool:
        """Turn the outcome of a reserve into a reply; False if it still waits."""
        waiter = self._waiter
        if waiter is None:
            return True
        if self._ended:
            self._do(self._engine.time_out, waiter)
        outcome = waiter.outcome
        if outcome is None:
            return False
        self._waiter = None
        if isinstance(outcome, (ClosedError, DeadlockError)):
            raise outcome
        if isinstance(outcome, Record):
            self._output += wire.job(b"RESERVED", outcome)
        else:
            self._output += wire.refusal(outcome)
        return True

    def _step(self) -> bool:
        """Make one step of the input; False if it takes more of it."""
        if self._to_skip:
            moved = self._skip()
        elif self._body is not None:
            moved = self._fill(self._body)
        else:
            moved = self._read_line()
        if not moved and self._ended:
            self.close()
        return moved

    def _skip(self) -> bool:
        count = min(self._to_skip, len(self._input))
        del self._input[:count]
        self._to_skip -= count
        if not self._to_skip:
            self._output += b"JOB_TOO_BIG\r\n"
        return count > 0

    def _fill(self, body: bytearray) -> bool:
        start = self._body_read
        piece = self._input[: len(body) - start]
        del self._input[: len(piece)]
        self._body_read += len(piece)
        body[start : self._body_read] = piece
        if self._body_read == len(body):
            self._body = None
            self._answer(self._finish_put, bytes(body))
        return len(piece) > 0

    def _read_line(self) -> bool:
        """Read a command; what has no end within its first 224 bytes is skipped.

        Only the first CR can end it (scan_line_end), and so a CR that is the 224th
        byte is skipped too, and ends nothing.
        """
        size = min(len(self._input), wire.MAX_LINE)
        end = self._input.find(b"\r", 0, max(size - 1, 0))
        if end >= 0 and self._input[end + 1] == ord("\n"):
            line = bytes(self._input[:end])
            del self._input[: end + 2]
            if self._in_long_line:
                self._in_long_line = False
                self._output += b"BAD_FORMAT\r\n"
            else:
                self._dispatch(line)
            return True
        if size == wire.MAX_LINE:
            del self._input[:size]
            self._in_long_line = True
            return True
        return False

    # The commands of dispatch_cmd

    def _dispatch(self, line: bytes) -> None:
        if b"\0" in line:
            self._output += b"BAD_FORMAT\r\n"
            return
        for word, parse, handle in self._commands:
            if line.startswith(word):
                try:
                    arguments = parse(line[len(word) :])
                except wire.BadFormatError as error:
                    self._refuse_format(error.counted)
                else:
                    self._answer(handle, self, *arguments)
                return
        self._output += b"UNKNOWN_COMMAND\r\n"

    def _refuse_format(self, counted: str | None) -> None:
        if counted is not None:
            self._do(self._count, counted)
        self._output += b"BAD_FORMAT\r\n"

    def _count(self, _now: float, counter: str) -> None:
        setattr(self._engine, counter, getattr(self._engine, counter) + 1)

    def _answer(self, handle: Callable[..., bytes], *arguments: Any) -> None:
        try:
            self._output += handle(*arguments)
        except ClosedError:
            raise
        except TubesError as error:
            self._output += wire.refusal(error)

    def _do(self, verb: Any, *arguments: Any) -> Any:
        return self._broker._do(self.session, verb, *arguments)

    @property
    def _used(self) -> str:
        tube = self.session.used
        assert tube is not None  # every connection uses one
        return tube.name

    # Each command's handler returns its reply, b"" if that is for later.

    def _put(
        self, priority: int, delay: int, ttr: int, size: int, garbage: bytes
    ) -> bytes:
        if size > self._max_job_size:
            self._do(self._count, "cmd_put")
            self._to_skip = size + 2
            return b""
        if garbage:
            self._refuse_format("cmd_put")
            return b""
        # Peeked at by others before it is full: memory unread, in the server's case.
        self._body = body = bytearray(size + 2)
        self._body_read = 0
        shown = memoryview(body)[:size]
        self._do(self._engine.begin_put, self.session, shown, priority, delay, ttr or 1)
        return b""

    def _finish_put(self, body: bytes) -> bytes:
        if not body.endswith(b"\r\n"):
            self._do(self._engine.abort_put, self.session)
            return b"EXPECTED_CRLF\r\n"
        job_id = self._do(self._engine.finish_put, self.session, body[:-2])
        return b"INSERTED %d\r\n" % job_id

    def _reserve(self, timeout: int | None = None) -> bytes:
        record = self._do(self._reserve_or_wait, timeout)
        return b"" if record is None else wire.job(b"RESERVED", record)

    def _reserve_or_wait(self, now: float, timeout: int | None) -> Record | None:
        record = self._engine.reserve(now, self.session, timeout)
        if record is None:
            waiter = Waiter(self.session, timeout)
            waiter.lot = self._bell
            self._engine.wait(now, waiter)
            self._waiter = waiter
            self._broker._sleepers_changed()
        return record

    def _reserve_job(self, job_id: int) -> bytes:
        record = self._do(self._engine.reserve_job, self.session, job_id)
        return wire.job(b"RESERVED", record)

    def _delete(self, job_id: int) -> bytes:
        self._do(self._engine.delete, self.session, job_id, None)
        return b"DELETED\r\n"

    def _release(self, job_id: int, priority: int, delay: int) -> bytes:
        self._do(self._engine.release, self.session, job_id, None, priority, delay)
        return b"RELEASED\r\n"

    def _bury(self, job_id: int, priority: int) -> bytes:
        self._do(self._engine.bury, self.session, job_id, None, priority)
        return b"BURIED\r\n"

    def _touch(self, job_id: int) -> bytes:
        self._do(self._engine.touch, self.session, job_id, None)
        return b"TOUCHED\r\n"

    def _kick(self, bound: int) -> bytes:
        return b"KICKED %d\r\n" % self._do(self._engine.kick, self._used, bound)

    def _kick_job(self, job_id: int) -> bytes:
        self._do(self._engine.kick_job, job_id, None)
        return b"KICKED\r\n"

    def _peek(self, job_id: int) -> bytes:
        return wire.job(b"FOUND", self._do(self._engine.peek, job_id))

    def _peek_ready(self) -> bytes:
        return wire.job(b"FOUND", self._do(self._engine.peek_ready, self._used))

    def _peek_delayed(self) -> bytes:
        return wire.job(b"FOUND", self._do(self._engine.peek_delayed, self._used))

    def _peek_buried(self) -> bytes:
        return wire.job(b"FOUND", self._do(self._engine.peek_buried, self._used))

    def _use(self, name: str) -> bytes:
        self._do(self._engine.use, self.session, name)
        return b"USING %b\r\n" % name.encode()

    def _watch(self, name: str) -> bytes:
        count = self._do(self._engine.watch, self.session, [name])
        return b"WATCHING %d\r\n" % count

    def _ignore(self, name: str) -> bytes:
        return b"WATCHING %d\r\n" % self._do(self._engine.ignore, self.session, name)

    def _pause_tube(self, name: str, delay: int) -> bytes:
        self._do(self._engine.pause_tube, name, delay)
        return b"PAUSED\r\n"

    def _list_tubes(self) -> bytes:
        return wire.names(self._do(self._engine.list_tubes))

    def _list_tubes_watched(self) -> bytes:
        return wire.names(self._do(self._engine.list_tubes_watched, self.session))

    def _list_tube_used(self) -> bytes:
        name = self._do(self._engine.list_tube_used, self.session)
        return b"USING %b\r\n" % name.encode()

    def _stats(self) -> bytes:
        fields = self._broker.stats().as_dict()
        fields["version"] = self._version
        fields["max-job-size"] = self._max_job_size
        fields["draining"] = "true" if fields["draining"] else "false"
        for time in "rusage-utime", "rusage-stime":
            fields[time] = f"{fields[time]:.6f}"
        return wire.yaml(fields, self._quoted)

    def _stats_tube(self, name: str) -> bytes:
        known = self._do(self._engine.stats_tube, name)
        return wire.yaml(TubeStats(**_in_seconds(known)).as_dict(), self._quoted)

    def _stats_job(self, job_id: int) -> bytes:
        known = self._do(self._engine.stats_job, job_id)
        return wire.yaml(JobStats(**_in_seconds(known)).as_dict(), self._quoted)

    def _quit(self) -> bytes:
        self.close()
        return b""


def _in_seconds(known: dict[str, Any]) -> dict[str, Any]:
    """Truncate times, but not what is whole and has lost a bit in a subtraction."""
    return {
        key: int(round(value, 6)) if isinstance(value, float) else value
        for key, value in known.items()
    }


# A command is known by the word its line begins with, and the first that fits wins:
# which_cmd. What reads its argument at the word's very end, is one with it.
def _commands(timeout: Any) -> tuple[tuple[bytes, Any, Any], ...]:
    session = ProtocolSession
    return (
        (b"put ", wire.put_numbers, session._put),
        (b"peek ", wire.job_id, session._peek),
        (b"peek-ready", wire.nothing, session._peek_ready),
        (b"peek-delayed", wire.nothing, session._peek_delayed),
        (b"peek-buried", wire.nothing, session._peek_buried),
        (b"reserve-with-timeout ", timeout, session._reserve),
        (b"reserve-job ", wire.job_id, session._reserve_job),
        (b"reserve", wire.nothing, session._reserve),
        (b"delete ", wire.job_id, session._delete),
        (b"release ", wire.job_id_priority_delay, session._release),
        (b"bury ", wire.job_id_priority, session._bury),
        (b"kick ", wire.kick_bound, session._kick),
        (b"kick-job ", wire.job_id, session._kick_job),
        (b"touch ", wire.job_id, session._touch),
        (b"stats-job ", wire.job_id, session._stats_job),
        (b"stats-tube ", wire.tube_name, session._stats_tube),
        (b"stats", wire.nothing, session._stats),
        (b"use ", wire.tube_name, session._use),
        (b"watch ", wire.tube_name, session._watch),
        (b"ignore ", wire.tube_name, session._ignore),
        (b"list-tubes-watched", wire.nothing, session._list_tubes_watched),
        (b"list-tube-used", wire.nothing, session._list_tube_used),
        (b"list-tubes", wire.nothing, session._list_tubes),
        (b"quit", wire.anything, session._quit),
        (b"pause-tube", wire.pause, session._pause_tube),
    )


_COMMANDS = {
    "1.12": _commands(wire.timeout_112),
    "1.13": _commands(wire.timeout_113),
}
