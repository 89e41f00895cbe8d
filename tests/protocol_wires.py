"""Connections to our session and to the real server, which are given the same steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from inproc_tubes import Broker
from inproc_tubes.protocol import ProtocolSession
from inproc_tubes.testing import FakeClock

from .protocol_cases import CLOSE, DRAIN, HALF
from .real_server import RealServer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .protocol_cases import Step
    from .real_server import Wire

TURNS = 300  # of the server, until a reply is taken to be missing


class OurWire:
    def __init__(self, broker: Broker, version: str) -> None:
        self.session = ProtocolSession(broker, version=version)

    def exchange(self, data: bytes, _expected: bytes = b"") -> bytes:
        self.session.receive(data)
        return b"".join(iter(self.session.take, b""))

    def half_close(self) -> None:
        self.session.receive_eof()

    def close(self) -> None:
        self.session.close()

    @property
    def ended(self) -> bool:
        return self.session.closed


class OurServer:
    def __init__(self, version: str) -> None:
        self.version = version
        self.clock = FakeClock()
        self.broker = Broker(clock=self.clock)

    def connect_control(self) -> None:
        """Open the connection that the real server's clock is moved by."""
        self.control = self.connect()

    def connect(self) -> OurWire:
        return OurWire(self.broker, self.version)

    def advance(self, seconds: float) -> None:
        # As late as the real server's clock: see real_server.
        self.clock.advance(seconds + 0.000_001)

    def drain(self) -> None:
        self.broker.drain()


class RealWire:
    def __init__(self, wire: Wire) -> None:
        self.wire = wire

    def exchange(self, data: bytes, expected: bytes) -> bytes:
        if data:
            self.wire.send(data)
        # What comes in one piece may take the server many turns. The last look is
        # for what should not come.
        replies = b""
        turns = 0
        while len(replies) < len(expected) and turns < TURNS:
            replies += self.wire.poll() or b""
            turns += 1
        return replies + (self.wire.poll() or b"")

    def half_close(self) -> None:
        self.wire.half_close()

    def close(self) -> None:
        self.wire.close()

    @property
    def ended(self) -> bool:
        return self.wire.poll() == b""


class ARealServer:
    def __init__(self) -> None:
        self.server = RealServer()
        self.advance = self.server.advance
        self.drain = self.server.drain

    def __enter__(self) -> Self:
        self.server.__enter__()
        self.version = self.server.version
        return self

    def __exit__(self, *_: object) -> None:
        self.server.__exit__()

    def connect(self) -> RealWire:
        return RealWire(self.server.connect())


def run(server: Any, wires: dict[str, Any], steps: Sequence[Step]) -> None:
    for step in steps:
        if isinstance(step, float):
            server.advance(step)
            continue
        if step[0] not in wires:
            wires[step[0]] = server.connect()
        wire = wires[step[0]]
        if len(step) == 3:
            who, data, reply = step
            assert (who, data, reply) == (who, data, wire.exchange(data, reply))
        elif step[1] == HALF:
            wire.half_close()
        elif step[1] == CLOSE:
            wire.close()
        elif step[1] == DRAIN:
            server.drain()
        else:
            assert wire.ended
