"""greenstalk, on a real beanstalkd over loopback and on ours in memory."""

from __future__ import annotations

import socket
import subprocess
from contextlib import contextmanager, suppress
from shutil import which
from time import perf_counter
from typing import TYPE_CHECKING

from inproc_tubes.clock import MonotonicClock
from inproc_tubes.fakes import FakeBeanstalkd

from .measuring import BODY

if TYPE_CHECKING:
    from collections.abc import Iterator

Address = tuple[str, int]


@contextmanager
def beanstalkd() -> Iterator[Address]:
    """Run a server at a free port of this machine, for as long as it is needed."""
    program = which("beanstalkd")
    assert program is not None  # the scenario is skipped without it
    # Bound, though never listened on: nobody else is given the port meanwhile.
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        host, port = holder.getsockname()
        server = subprocess.Popen([program, "-l", host, "-p", str(port)])  # noqa: S603 - as looked up
        try:
            _await((host, port), server)
            yield host, port
        finally:
            server.terminate()
            server.wait()


def _await(address: Address, server: subprocess.Popen[bytes]) -> None:
    """Wait until the server listens, unless it gives up."""
    while True:
        with suppress(ConnectionRefusedError):
            socket.create_connection(address).close()
            return
        with suppress(subprocess.TimeoutExpired):
            server.wait(timeout=0.005)
            message = "beanstalkd gave up"
            raise RuntimeError(message)


@contextmanager
def in_memory() -> Iterator[Address]:
    """Route an address of no machine's to a broker in memory, on the real clock."""
    with FakeBeanstalkd(("beanstalkd.invalid", 11300), clock=MonotonicClock()) as fake:
        yield fake.address


def greenstalk(address: Address, count: int) -> float:
    """``greenstalk.Client``: put, reserve, delete; return the seconds it took."""
    import greenstalk  # noqa: PLC0415 - it may not be installed

    body = None
    with greenstalk.Client(address) as client:
        start = perf_counter()
        for _ in range(count):
            client.put(BODY)
            job = client.reserve()
            body = job.body
            client.delete(job)
        seconds = perf_counter() - start
    assert body == BODY
    return seconds
