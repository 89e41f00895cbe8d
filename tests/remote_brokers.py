"""Brokers on a beanstalkd, for tests of all brokers, with a clock that moves it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from inproc_tubes.fakes import FakeBeanstalkd
from inproc_tubes.remote import UnsafePickleCodec, connect
from inproc_tubes.testing import FakeClock
from tests.real_server import RealServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from inproc_tubes.remote import RemoteBroker

ADDRESS = ("beanstalkd.test", 11300)


class ServerClock(FakeClock):
    """A clock that a test moves by hand, and a beanstalkd's with it."""

    server: RealServer | None = None

    def advance(self, seconds: float) -> None:
        """Move both clocks: ours first, as the server answers what waits."""
        super().advance(seconds)
        if self.server is not None:
            self.server.advance(seconds)


@contextmanager
def broker_on(kind: str, clock: ServerClock) -> Iterator[RemoteBroker]:
    """Yield a broker on a server of this kind, "fake" or "real"."""
    if kind == "fake":
        with FakeBeanstalkd(ADDRESS, clock=clock):
            host, port = ADDRESS
            with connect(
                f"beanstalk://{host}:{port}", UnsafePickleCodec(), clock=clock
            ) as broker:
                yield broker
        return
    with RealServer() as server:
        clock.server = server
        assert isinstance(server.address, tuple)
        host, port = server.address
        with connect(
            f"beanstalk://{host}:{port}", UnsafePickleCodec(), clock=clock
        ) as broker:
            yield broker
