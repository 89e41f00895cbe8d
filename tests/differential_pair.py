"""One connection to a real beanstalkd and one to ours, and what they answer."""

from __future__ import annotations

import re
from math import inf
from typing import TYPE_CHECKING, Any

from inproc_tubes.protocol import ProtocolSession

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from inproc_tubes import Broker

    from .differential_choice import Choice
    from .real_server import RealServer, Wire

SECOND = 1_000_000  # microseconds

_STATS_SIZE = re.compile(rb"OK \d+(?=\r\n---\ncurrent-jobs-urgent)")
_MASKED = re.compile(
    rb"^(pid|uptime|rusage-utime|rusage-stime|hostname|os|platform"
    rb"|id(?=: [0-9a-f]{16}$)): .*$",
    re.MULTILINE,
)


def masked(replies: bytes) -> bytes:
    """Leave out what tells of the process and the machine, and the size of that."""
    return _MASKED.sub(rb"\1:", _STATS_SIZE.sub(b"OK", replies))


class ServersClock:
    """The real server's clock, for a broker: nobody sleeps by it."""

    def __init__(self, server: RealServer) -> None:
        self._server = server

    def now(self) -> float:
        return self._server.now

    def attach(self, broker: Any) -> None:
        """Need nothing of a broker: whoever moves the server's clock has it look."""

    def park(self, sleeper: Any, until: float) -> None:
        raise NotImplementedError  # pragma: no cover  # no session sleeps

    def seconds_until(self, moment: float) -> float:
        raise NotImplementedError  # pragma: no cover  # and no loop runs


class Pair:
    """One connection, twice.

    Attributes:
        begun: The command of which the beginning has been sent, if there is one.
        forgetful: The server may forget this connection, see EXCLUDED.
    """

    def __init__(self, broker: Broker, server: RealServer) -> None:
        self.real: Wire = server.connect()
        self.ours = ProtocolSession(broker, version=server.version)
        self._engine = broker._engine
        self.begun = b""
        self.forgetful = False
        self._sent = 0  # bytes of the command begun
        # What each has said, and has not been compared yet.
        self._ours = b""
        self._real = b""
        self._ended = False  # the real one
        self._with_timeout = False
        self._waited = False

    @property
    def keeps(self) -> bool:
        """Whether there are commands behind a reserve that waits."""
        return self.ours.waiting and bool(self.ours._input)

    def keeps_a(self, word: bytes) -> bool:
        """Whether there may be such a command behind a reserve that waits."""
        return self.keeps and word in self.ours._input

    def send(self, command: bytes, until: int, in_between: Callable[[], None]) -> None:
        """Go on with a command, as far as its byte `until`; else to its end.

        Args:
            command: The whole of it.
            until: Where to stop.
            in_between: Called when the server has heard it and ours has not.
        """
        end = until if self._sent < until < len(command) else len(command)
        piece = command[self._sent : end]
        self._sent = end % len(command)
        self.begun = command if self._sent else b""
        if command.startswith(b"reserve-with-timeout"):
            self._with_timeout = True
        elif command == b"reserve\r\n" and not self.ours.waiting:
            self._with_timeout = False
        self.real.send(piece)
        in_between()
        self.ours.receive(piece)

    def half_close(self, in_between: Callable[[], None]) -> None:
        self.real.half_close()
        in_between()
        self.ours.receive_eof()

    def close(self, in_between: Callable[[], None] = lambda: None) -> None:
        self.real.close()
        in_between()
        self.ours.close()

    def moments(self) -> Iterator[int]:
        """Return when the server may look at it, in microseconds."""
        session = self.ours.session
        requests = self._engine.queue.requests
        for ticket in session.tickets:
            timeout_at = requests[ticket].timeout_at
            if timeout_at < inf:
                yield round(timeout_at * SECOND)
        for job in session.held.in_sequence():
            moment = round(job._due_at * SECOND)
            yield from (moment - SECOND, moment)

    def listen(self) -> bool:
        """Take what ours says, and return whether that was anything."""
        said = b"".join(iter(self.ours.take, b""))
        self._ours += masked(said)
        return bool(said)

    def hear(self, choice: Choice) -> bool:
        """Read what the real one has said, and return whether that was anything.

        For whoever has just settled.
        """
        before = len(self._real)
        while reply := self.real.arrived():
            self._real += masked(reply)
            choice.hear(self.ours.session, reply)
        self._ended = reply == b""
        return len(self._real) > before

    def is_complete(self, choice: Choice) -> bool:
        """As `hear`, but return whether that is all that ours has said."""
        self.hear(choice)
        if self._ended or self.ours.closed:
            return self._ended
        return len(self._real) >= len(self._ours)

    def compare(self) -> None:
        """Compare what both have said, and whether they are closed."""
        real, self._real = self._real, b""
        ours, self._ours = self._ours, b""
        assert real == ours, f"beanstalkd: {real!r}\n      ours: {ours!r}"
        assert self._ended == self.ours.closed, "one is closed, the other is not"
        if b"DEADLINE_SOON" in ours and self._with_timeout:
            ready = any(tube.ready for tube in self.ours.session.watched)
            self.forgetful = self._waited or ready
        self._waited = self.ours.waiting
