"""What the tests of brokers on a beanstalkd need."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from contextlib import suppress
from math import inf
from pathlib import Path
from time import monotonic  # noqa: TID251 - a bug, and nothing else, takes so long
from typing import TYPE_CHECKING, Self

from inproc_tubes.clock import yield_thread
from tests.threads import LONG

if TYPE_CHECKING:
    from collections.abc import Callable

    from inproc_tubes.remote import RemoteBroker


def wait_until(condition: Callable[[], bool]) -> None:
    """Let others run until something is so."""
    patience = monotonic() + LONG
    while not condition():
        assert monotonic() < patience
        yield_thread()


def wait_until_asleep(broker: RemoteBroker) -> None:
    """Let others run until a verb waits for a server that is away."""
    wait_until(lambda: broker._network.sleepers.next_due() < inf)


def wait_until_reserving(broker: RemoteBroker, n: int = 1) -> None:
    """Let others run until so many connections of this server wait for a job."""
    wait_until(lambda: broker.stats().current_waiting >= n)


class Beanstalkd:
    """A beanstalkd on a port of its own, by the clock of the machine, with its binlog.

    It may be killed, and started again.
    """

    def __init__(self, directory: object) -> None:
        self._directory = str(directory)
        # Bound here too, though never listened on: nobody else is given the port.
        self._holder = socket.socket()
        self._holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._holder.bind(("127.0.0.1", 0))
        self.port: int = self._holder.getsockname()[1]
        self.url = f"beanstalk://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, and return when it listens."""
        program = shutil.which(os.environ.get("BEANSTALKD_PATH", "beanstalkd"))
        assert program is not None
        # Without fsync: no power fails here.
        options = ["-l", "127.0.0.1", "-p", str(self.port), "-b", self._directory, "-F"]
        self._process = subprocess.Popen([program, *options])  # noqa: S603 - the server
        wait_until(self._listens)

    def _listens(self) -> bool:
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port), LONG).close()
            return True
        return False

    def hang(self) -> None:
        """Have it answer no more; the system takes connections for it still."""
        self._process.send_signal(signal.SIGSTOP)

    def overwrite(self, old: bytes, new: bytes) -> None:
        """Replace bytes in its binlog, once it was killed."""
        (file,) = Path(self._directory).glob("binlog.*")
        data = file.read_bytes()
        assert old in data
        file.write_bytes(data.replace(old, new))

    def kill(self) -> None:
        """End it as a crash would."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(LONG)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self._holder.close()
