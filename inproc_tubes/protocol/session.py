"""The framing of the protocol: lines and bodies, in whatever pieces they come.

It reads no socket and knows no thread, so whoever owns the connection decides how bytes
travel and how one waits. What each command does is in `commands`.

Function names in comments are those of beanstalkd's ``prot.c``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from inproc_tubes.core.requests import ReserveRequest
from inproc_tubes.errors import ClosedError
from inproc_tubes.verbs import BELONGS_HERE, refuse_to_pickle

from .commands import VERSIONS, Body, Commands, Skip
from .wire import MAX_LINE

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn, SupportsIndex

    from inproc_tubes.core.session import Session

    from .backend import Backend
    from .commands import Outcome

__all__ = ["ProtocolSession"]

# No command is begun while more than this waits to be taken, as the server begins
# none before the last reply is written.
_ENOUGH = 1 << 16


class _Notifier:
    """The sleeper of one connection. Nothing sleeps: it only tells of the answer.

    Whoever waits for a session's output must see to it that somebody looks when something
    is due.
    """

    __slots__ = ("_notify",)

    def __init__(self, notify: Callable[[], None]) -> None:
        self._notify = notify

    def wake(self) -> None:
        """Tell the owner of the connection that its reserve was answered."""
        self._notify()


def _ignore() -> None:
    """Serve as an ``on_output`` where there is none."""


class ProtocolSession:
    """One connection: what the client sends goes in, what the server answers comes out.

    Nothing here blocks. A ``reserve`` that finds no job leaves the session `waiting`;
    commands that come meanwhile are carried out after its answer.

    Do not use it in several threads at once.

    Args:
        broker: Whose jobs these are.
        version: The version of beanstalkd whose answers it gives, "1.12" or "1.13".
        on_output: Called when a reserve that was waiting is answered: `take` has
            something now, and commands behind the reserve can go on. It is called in
            any thread, while the broker's lock is held: it may only set a flag or
            release a lock.

    Raises:
        ValueError: There is no such version.
        ClosedError: The broker was closed.
    """

    __slots__ = (
        "__weakref__",
        "_body",
        "_broker",
        "_closed",
        "_commands",
        "_ended",
        "_in_long_line",
        "_input",
        "_output",
        "_request",
        "_skip",
        "_version",
        "session",
    )

    def __init__(
        self,
        broker: Backend,
        *,
        version: str = "1.12",
        on_output: Callable[[], None] | None = None,
    ) -> None:
        if version not in VERSIONS:
            message = f"version is one of {', '.join(VERSIONS)}, not {version!r}"
            raise ValueError(message)
        if not hasattr(broker, "_holder_for"):
            message = f"broker is a Broker, not {type(broker).__name__}"
            raise TypeError(message)
        self._broker = broker
        self._version = version
        self._input = bytearray()
        self._output = bytearray()
        self._ended = False  # the client will send nothing more
        self._closed = False
        # What the last command wants before the next is read: at most one of these.
        self._request: ReserveRequest | None = None
        self._body: Body | None = None
        self._skip: Skip | None = None
        self._in_long_line = False  # whose beginning is thrown away already
        # What the engine knows of it.
        self.session: Session = broker._monitor.open(
            "default", ["default"], stops=False
        )
        # The wire knows ids, and no handles: nobody calls the verbs of its jobs.
        self.session.holder = broker._holder_for(self.session)
        notifier = _Notifier(_ignore if on_output is None else on_output)
        self._commands = Commands(broker, self.session, version, notifier)

    @property
    def closed(self) -> bool:
        """Whether the server's end is closed; there may be output left to take."""
        return self._closed

    @property
    def waiting(self) -> bool:
        """Whether a reserve waits for its answer.

        What is received meanwhile is only kept, as the server would not read it.
        """
        return self._request is not None and self._request.outcome is None

    @property
    def waits_for(self) -> str:
        """Which command is waiting, and for which tubes; "" if none is."""
        request = self._request
        return "" if request is None else request.describe()

    def receive(self, data: bytes) -> None:
        """Take in what the client has sent, in pieces of any size.

        After `closed` it is dropped. With ``b""`` the session only goes on with what it
        has.

        Args:
            data: Some bytes.

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

        A reserve that waits is answered TIMED_OUT, and when all is done the session closes.

        Cost: that of the commands left.
        """
        self._ended = True
        self._go_on()

    def take(self) -> bytes:
        """Carry out what has been received, and return what is to be sent.

        Call it until it returns nothing.

        Raises:
            DeadlockError: As `receive`.

        Cost: that of the commands.
        """
        self._go_on()
        output = bytes(self._output)
        self._output.clear()
        return output

    def close(self) -> None:
        """Drop the connection; its jobs are ready again. Closing twice has no effect.

        Cost: O(log n) for each job and tube.
        Source: connclose (conn.c).
        """
        if not self._closed:
            self._closed = True
            self._input.clear()
            self._body = None
            self._broker._monitor.close_session(
                self.session, "the connection was closed"
            )

    def __del__(self) -> None:
        # Without a session: the constructor has raised.
        if hasattr(self, "session"):
            self._broker._monitor.abandon(self.session)

    def __reduce_ex__(self, protocol: SupportsIndex, /) -> NoReturn:
        refuse_to_pickle(self, protocol, BELONGS_HERE)

    def __repr__(self) -> str:
        state = "closed" if self._closed else "waiting" if self.waiting else "open"
        return f"<ProtocolSession of {self._version}: {state}>"

    # The framing of h_conn and conn_process_io

    def _go_on(self) -> None:
        """Carry out what has come, until more must come or be taken first."""
        try:
            while not self._closed and len(self._output) <= _ENOUGH:
                if not (self._answer() and self._step()):
                    break
        except ClosedError:  # the broker was
            self.close()

    def _answer(self) -> bool:
        """Turn the outcome of a reserve into a reply; False if it still waits."""
        request = self._request
        if request is None:
            return True
        if self._ended:
            self._commands.time_out(request)
        if request.outcome is None:
            return False
        self._request = None
        self._output += self._commands.reply_to(request)
        return True

    def _step(self) -> bool:
        """Make one step of the input; False if it takes more of it."""
        if self._skip is not None:
            moved = self._throw_away(self._skip)
        elif self._body is not None:
            moved = self._fill(self._body)
        else:
            moved = self._read_line()
        if not moved and self._ended:
            self.close()
        return moved

    def _throw_away(self, skip: Skip) -> bool:
        count = min(skip.left, len(self._input))
        del self._input[:count]
        skip.left -= count
        if not skip.left:
            self._skip = None
            self._output += skip.reply
        return count > 0

    def _fill(self, body: Body) -> bool:
        start = body.received
        piece = self._input[: len(body.octets) - start]
        del self._input[: len(piece)]
        body.received += len(piece)
        body.octets[start : body.received] = piece
        if body.received == len(body.octets):
            self._body = None
            self._output += self._commands.finish_put(body)
        return len(piece) > 0

    def _read_line(self) -> bool:
        """Read a command; what has no end within its first 224 bytes is skipped.

        Only the first CR can end it (scan_line_end), and so a CR that is the 224th
        byte is skipped too, and ends nothing.
        """
        if not self._input:
            return False
        size = min(len(self._input), MAX_LINE)
        end = self._input.find(b"\r", 0, max(size - 1, 0))
        if end >= 0 and self._input[end + 1] == ord("\n"):
            line = bytes(self._input[:end])
            del self._input[: end + 2]
            if self._in_long_line:
                self._in_long_line = False
                self._output += b"BAD_FORMAT\r\n"
            else:
                self._begin(self._commands.carry_out(line))
            return True
        if size == MAX_LINE:
            del self._input[:size]
            self._in_long_line = True
            return True
        return False

    def _begin(self, outcome: Outcome) -> None:
        """Do what comes of a command."""
        if isinstance(outcome, bytes):
            self._output += outcome
        elif isinstance(outcome, ReserveRequest):
            self._request = outcome
        elif isinstance(outcome, Body):
            self._body = outcome
        elif isinstance(outcome, Skip):
            self._skip = outcome
        else:  # Quit
            self.close()
