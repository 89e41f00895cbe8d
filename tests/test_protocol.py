"""Bytes in, bytes out: our session and the real server are given the same table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from inproc_tubes.core.recovery import check

from .protocol_cases import (
    NAMES,
    TIMED_OUT,
    VERSIONS,
    a,
    b,
    ok,
    put,
    reserved,
    steps_of,
)
from .protocol_wires import ARealServer, OurServer, OurWire, run
from .real_server import why_missing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .protocol_cases import Step


OURS = pytest.mark.parametrize("version", VERSIONS)
CASE = pytest.mark.parametrize("name", NAMES)
REAL = pytest.mark.skipif(why_missing() is not None, reason=why_missing() or "")


@CASE
@OURS
def test_our_session_answers_as_the_table_says(name: str, version: str) -> None:
    server = OurServer(version)
    run(server, {}, steps_of(name, version))
    check(server.broker._engine)


@CASE
@OURS
def test_our_session_does_not_care_how_bytes_are_split(name: str, version: str) -> None:
    class Dribble(OurWire):
        def exchange(self, data: bytes, _expected: bytes = b"") -> bytes:
            replies = [
                super(Dribble, self).exchange(data[i : i + 1]) for i in range(len(data))
            ]
            return b"".join(replies) or super().exchange(b"")

    class Server(OurServer):
        def connect(self) -> OurWire:
            return Dribble(self.broker, self.version)

    run(Server(version), {}, steps_of(name, version))


@pytest.mark.real
@REAL
@CASE
def test_the_real_server_answers_as_the_table_says(name: str) -> None:
    with ARealServer() as server:
        run(server, {}, steps_of(name, server.version))


# Statistics of the whole server

BUSY: Sequence[Step] = [
    put(1),
    put(2, delay=9, priority=2000),
    put(3, priority=1024),
    ("a", b"put 0 0 60 65536\r\n%b\r\n" % (b"x" * 65536), b"JOB_TOO_BIG\r\n"),
    a(b"put 0 0 60 1x", b"BAD_FORMAT"),
    a(b"put 0 0 60", b"BAD_FORMAT"),
    a(b"peek 9", b"NOT_FOUND"),
    a(b"peek-ready", b"FOUND 1 3\r\njob"),
    a(b"peek-delayed", b"FOUND 2 3\r\njob"),
    a(b"peek-buried", b"NOT_FOUND"),
    a(b"reserve", reserved(1)),
    a(b"reserve-with-timeout 0", reserved(3)),
    a(b"reserve-with-timeout 0", b"TIMED_OUT"),
    a(b"reserve-job 9", b"NOT_FOUND"),
    a(b"delete 9", b"NOT_FOUND"),
    a(b"release 9 0 0", b"NOT_FOUND"),
    a(b"bury 3 0", b"BURIED"),
    a(b"use -", b"BAD_FORMAT"),
    a(b"use t", b"USING t"),
    a(b"watch t", b"WATCHING 2"),
    a(b"ignore default", b"WATCHING 1"),
    a(b"ignore t", b"NOT_IGNORED"),
    a(b"kick 1", b"KICKED 0"),
    a(b"kick-job 9", b"NOT_FOUND"),
    a(b"touch 9", b"NOT_FOUND"),
    a(b"stats-job 9", b"NOT_FOUND"),
    a(b"stats-tube u", b"NOT_FOUND"),
    a(b"list-tubes", ok(b"---\n- default\n- t\n")),
    a(b"list-tube-used", b"USING t"),
    a(b"list-tubes-watched", ok(b"---\n- t\n")),
    a(b"pause-tube u 1", b"NOT_FOUND"),
    a(b"pause-tube -u 1", b"BAD_FORMAT"),
    a(b"pause-tube t", b"BAD_FORMAT"),
    b(b"reserve-with-timeout 1", b""),
    1.5,
    ("b", b"", TIMED_OUT),
    b(b"reserve", b""),
    # As good as for ever, but not the same command.
    ("c", b"reserve-with-timeout 2147483647\r\n", b""),
]

# What differs from one process to another.
PRIVATE = {b"pid", b"rusage-utime", b"rusage-stime", b"id"}


def whole_stats(server: Any) -> list[bytes]:
    wires: dict[str, Any] = {}
    run(server, wires, BUSY)
    wire = wires["a"]
    # The size of the reply is not known before it comes.
    first, *lines = wire.exchange(b"stats\r\n", b"OK").split(b"\n")
    assert first.startswith(b"OK ")
    return [line for line in lines if line.partition(b":")[0] not in PRIVATE]


EXPECTED_STATS = b"""---
current-jobs-urgent: 0
current-jobs-ready: 0
current-jobs-reserved: 1
current-jobs-delayed: 1
current-jobs-buried: 1
cmd-put: 5
cmd-peek: 1
cmd-peek-ready: 1
cmd-peek-delayed: 1
cmd-peek-buried: 1
cmd-reserve: 2
cmd-reserve-with-timeout: 4
cmd-delete: 1
cmd-release: 1
cmd-use: 1
cmd-watch: 1
cmd-ignore: 2
cmd-bury: 1
cmd-kick: 1
cmd-touch: 1
cmd-stats: 1
cmd-stats-job: 1
cmd-stats-tube: 1
cmd-list-tubes: 1
cmd-list-tube-used: 1
cmd-list-tubes-watched: 1
cmd-pause-tube: 2
job-timeouts: 0
total-jobs: 3
max-job-size: 65535
current-tubes: 2
current-connections: 4
current-producers: 1
current-workers: 3
current-waiting: 2
total-connections: 4
version: "1.12"
uptime: 1
binlog-oldest-index: 0
binlog-current-index: 0
binlog-records-migrated: 0
binlog-records-written: 0
binlog-max-size: 10485760
draining: false
""".split(b"\n")[:-1]

MACHINE = [b"hostname", b"os", b"platform"]


@OURS
def test_our_session_tells_the_statistics_of_the_server(version: str) -> None:
    server = OurServer(version)
    server.connect_control()
    lines = whole_stats(server)
    expected = [line.replace(b"1.12", version.encode()) for line in EXPECTED_STATS]
    assert lines[: len(expected)] == expected
    assert [line.partition(b":")[0] for line in lines[-5:-2]] == MACHINE
    assert lines[-2:] == [b"\r", b""]


@pytest.mark.real
@REAL
def test_the_real_server_tells_the_same_statistics() -> None:
    with ARealServer() as server:
        ours = OurServer(server.version)
        ours.connect_control()
        assert whole_stats(server) == whole_stats(ours)
