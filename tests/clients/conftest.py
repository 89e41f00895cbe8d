"""What the five clients' tests share: the servers, and two ways to look on.

A shared test body takes ``server`` (or ``unix_path``) and so runs twice: on the
in-memory fake, and on a real beanstalkd whose clock is moved by libfaketime. Both
must answer alike. The real one is skipped, with its reason, where it is missing.

Tests of what only the fake can do (outages, time that jumps by itself) take ``fake``.
"""

from __future__ import annotations

import socket
import threading
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

import pytest

from tests.real_server import RealServer, why_missing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from inproc_tubes.fakes import FakeBeanstalkd

    Until = Callable[[Callable[[], bool]], None]

T = TypeVar("T")

_WHY_MISSING = why_missing()
_BOTH = [
    "fake",
    pytest.param(
        "real",
        marks=[
            pytest.mark.real,
            pytest.mark.skipif(_WHY_MISSING is not None, reason=str(_WHY_MISSING)),
        ],
    ),
]

# A bound on asking again that only a bug will reach: it counts questions, not time.
_QUESTIONS = 200_000


@dataclass(frozen=True)
class Server:
    """What a shared test body may ask of either server."""

    address: tuple[str, int]
    version: str
    advance: Callable[[float], object]
    drain: Callable[[], object]


class InThread(Protocol):
    """The type of the fixture ``in_thread``."""

    def __call__(self, function: Callable[[], T], /) -> Future[T]: ...


@pytest.fixture(params=_BOTH)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """Start an empty server, in memory or real, for one test."""
    if request.param == "fake":
        fake: FakeBeanstalkd = request.getfixturevalue("fake")
        yield Server(fake.address, fake.version, fake.clock.advance, fake.drain)
        return
    with RealServer() as real:
        assert not isinstance(real.address, str)
        yield Server(real.address, real.version, real.advance, real.drain)


@pytest.fixture(params=_BOTH)
def unix_path(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Start an empty server, in memory or real, that listens on a Unix socket."""
    if request.param == "fake":
        # Imported here so that the real server's half runs without the fakes.
        from inproc_tubes.fakes import FakeBeanstalkd  # noqa: PLC0415 # see above

        path = str(tmp_path / "beanstalkd.sock")
        with FakeBeanstalkd(path):
            yield path
        return
    with RealServer(unix_socket=True) as real:
        assert isinstance(real.address, str)
        yield real.address


@pytest.fixture
def fake() -> Iterator[FakeBeanstalkd]:
    """Start an in-memory server whose time jumps when all of its users wait."""
    from inproc_tubes.fakes import FakeBeanstalkd  # noqa: PLC0415 # as in unix_path

    with FakeBeanstalkd() as fake:
        yield fake


@pytest.fixture
def until() -> Until:
    """Return a function that asks until the answer is yes.

    A server notices a closed connection, or a command of another one, when it gets
    round to it. Every question is a round trip to the server, which lets it.
    """

    def ask(question: Callable[[], bool]) -> None:
        assert any(question() for _ in range(_QUESTIONS)), "it never came true"

    return ask


@pytest.fixture
def in_thread() -> InThread:
    """Return a function that calls another one in a thread of its own.

    The thread is a daemon: where a failing test leaves it waiting for a job, the end of
    the server ends it.
    """

    def start(function: Callable[[], T]) -> Future[T]:
        future: Future[T] = Future()

        def run() -> None:
            try:
                future.set_result(function())
            except BaseException as error:  # noqa: BLE001 # handed to who asks
                future.set_exception(error)

        threading.Thread(target=run, daemon=True).start()
        return future

    return start


@pytest.fixture
def stats_keys() -> list[str]:
    """Return the keys of ``stats``, in the server's order (``fmt_stats``)."""
    return """
        current-jobs-urgent current-jobs-ready current-jobs-reserved
        current-jobs-delayed current-jobs-buried
        cmd-put cmd-peek cmd-peek-ready cmd-peek-delayed cmd-peek-buried
        cmd-reserve cmd-reserve-with-timeout cmd-delete cmd-release
        cmd-use cmd-watch cmd-ignore cmd-bury cmd-kick cmd-touch
        cmd-stats cmd-stats-job cmd-stats-tube
        cmd-list-tubes cmd-list-tube-used cmd-list-tubes-watched cmd-pause-tube
        job-timeouts total-jobs max-job-size
        current-tubes current-connections current-producers current-workers
        current-waiting total-connections
        pid version rusage-utime rusage-stime uptime
        binlog-oldest-index binlog-current-index binlog-records-migrated
        binlog-records-written binlog-max-size
        draining id hostname os platform
    """.split()  # noqa: SIM905 # a list would be one key to a line


@pytest.fixture
def stats_tube_keys() -> list[str]:
    """Return the keys of ``stats-tube``, in the server's order."""
    return """
        name
        current-jobs-urgent current-jobs-ready current-jobs-reserved
        current-jobs-delayed current-jobs-buried total-jobs
        current-using current-watching current-waiting
        cmd-delete cmd-pause-tube pause pause-time-left
    """.split()  # noqa: SIM905 # a list would be one key to a line


@pytest.fixture
def stats_job_keys() -> list[str]:
    """Return the keys of ``stats-job``, in the server's order."""
    return """
        id tube state pri age delay ttr time-left file
        reserves timeouts releases buries kicks
    """.split()  # noqa: SIM905 # a list would be one key to a line


@pytest.fixture
def dead_address() -> Iterator[tuple[str, int]]:
    """Return an address where nobody listens, and where nobody else can begin to."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        address: tuple[str, int] = holder.getsockname()
        yield address
