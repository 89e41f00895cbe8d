"""One connection to a real beanstalkd and one to ours, and what they answer."""

from __future__ import annotations

import re
from math import inf
from typing import TYPE_CHECKING, Any

from inproc_tubes.protocol import ProtocolSession

if TYPE_CHECKING:
    from collections.abc import Iterator

    from inproc_tubes import Broker

    from .real_server import RealServer, Wire

SECOND = 1_000_000  # microseconds

_TURNS = 60  # of the server, until a reply is taken to be missing
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

    def park(self, waiter: Any, due_at: float) -> None:
        raise NotImplementedError  # pragma: no cover  # no session sleeps


class Pair:
    """One connection, twice.

    Attributes:
        rest: What has not been sent yet of a command begun.
        forgetful: The server may forget to look at this connection, see EXCLUDED.
    """

    def __init__(self, broker: Broker, server: RealServer) -> None:
        self.real: Wire = server.connect()
        self.ours = ProtocolSession(broker, version=server.version)
        self.rest = b""
        self.forgetful = False
        self._with_timeout = False
        self._waited = False

    @property
    def keeps(self) -> bool:
        """Whether there are commands behind a reserve that waits."""
        return self.ours.waiting and bool(self.ours._input)

    def hear(self, data: bytes) -> None:
        """Tell it to ours, in advance of the real one."""
        if data.startswith(b"reserve-with-timeout"):
            self._with_timeout = True
        elif data.startswith(b"reserve\r") and not self.ours.waiting:
            self._with_timeout = False
        self.ours.receive(data)

    def close(self) -> None:
        self.real.close()
        self.ours.close()

    def moments(self) -> Iterator[int]:
        """Return when the server may look at it, in microseconds."""
        session = self.ours.session
        for waiter in session.waiters.values():
            if waiter.timeout_at < inf:
                yield round(waiter.timeout_at * SECOND)
        for record in session.held.values():
            moment = round(record.due_at * SECOND)
            yield from (moment - SECOND, moment)

    def shares_a_tube(self, other: Pair) -> bool:
        watched = {tube.name for tube in self.ours.session.watched}
        return any(tube.name in watched for tube in other.ours.session.watched)

    def compare(self) -> None:
        """Compare all replies that there are, and whether it is closed."""
        ours = masked(b"".join(iter(self.ours.take, b"")))
        real = b""
        # Commands in one piece take the server a turn each. There is always a last
        # look, for what should not come.
        patience = _TURNS
        while True:
            reply = self.real.poll()
            if reply:
                real += masked(reply)
            elif reply == b"" or len(real) >= len(ours) or not patience:
                break
            else:
                patience -= 1
        assert real == ours, f"beanstalkd: {real!r}\n      ours: {ours!r}"
        assert (reply == b"") == self.ours.closed, "one is closed, the other is not"
        if b"DEADLINE_SOON" in ours and self._with_timeout:
            ready = any(tube.ready for tube in self.ours.session.watched)
            self.forgetful = self._waited or ready
        self._waited = self.ours.waiting
