from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from .real_server import START, RealServer, Wire, why_missing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(why_missing() is not None, reason=why_missing() or ""),
]

MICROSECOND = 0.000_001
ROUNDS = 300
WAITERS = 10


@pytest.fixture(params=["TCP", "Unix"])
def server(request: pytest.FixtureRequest) -> Iterator[RealServer]:
    with RealServer(unix_socket=request.param == "Unix") as server:
        yield server


def ask(wire: Wire, command: bytes) -> bytes:
    wire.send(command + b"\r\n")
    return wire.reply()


def put(wire: Wire, delay: int = 0, ttr: int = 60) -> bytes:
    return ask(wire, b"put 0 %d %d 3\r\njob" % (delay, ttr))


def statistics(wire: Wire, command: bytes) -> dict[bytes, bytes]:
    _, _, yaml = ask(wire, command).partition(b"---\n")
    return dict(line.split(b": ") for line in yaml.split(b"\n") if b": " in line)


def executable(path: Path, script: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!{shutil.which('sh')}\n{script}\n")
    path.chmod(0o755)


# The server and its connections.


def test_the_server_tells_its_version_and_its_address() -> None:
    with RealServer() as tcp, RealServer(unix_socket=True) as unix:
        told = statistics(tcp.connect(), b"stats")[b"version"]
        assert f'"{tcp.version}"'.encode() == told
        assert isinstance(tcp.address, tuple)
        assert tcp.address[0] == "127.0.0.1"
        assert isinstance(unix.address, str)
        for server in tcp, unix:
            assert put(server.connect()) == b"INSERTED 1\r\n"


def test_the_largest_job_can_be_chosen() -> None:
    with RealServer(max_job_size=2) as server:
        assert put(server.connect()) == b"JOB_TOO_BIG\r\n"


def test_a_reply_comes_with_its_body(server: RealServer) -> None:
    wire = server.connect()
    put(wire)
    wire.send(b"peek 1\r\nreserve\r\nlist-tubes\r\nlist-tube-used\r\n")
    assert wire.reply() == b"FOUND 1 3\r\njob\r\n"
    assert wire.reply() == b"RESERVED 1 3\r\njob\r\n"
    assert wire.reply() == b"OK 14\r\n---\n- default\n\r\n"
    assert wire.reply() == b"USING default\r\n"


def test_a_reply_may_be_larger_than_any_buffer() -> None:
    with RealServer(max_job_size=1 << 24) as server:
        wire = server.connect()
        body = b"x" * (1 << 24)
        assert ask(wire, b"put 0 0 60 %d\r\n" % len(body) + body) == b"INSERTED 1\r\n"
        wire.send(b"peek 1\r\n")
        assert wire.poll() == b"FOUND 1 %d\r\n%b\r\n" % (len(body), body)


def test_commands_sent_in_one_piece_are_polled_for_one_by_one(
    server: RealServer,
) -> None:
    wire = server.connect()
    wire.send(10 * b"list-tube-used\r\n")
    assert [wire.poll() for _ in range(10)] == 10 * [b"USING default\r\n"]
    assert wire.poll() is None


def test_several_connections_may_be_looked_at_after_one_settling(
    server: RealServer,
) -> None:
    wires = [server.connect(), server.connect()]
    for wire in wires:
        wire.send(b"list-tube-used\r\n")
    server.settle()
    assert [wire.arrived() for wire in wires] == 2 * [b"USING default\r\n"]
    assert [wire.arrived() for wire in wires] == [None, None]


def test_the_end_of_a_connection_reads_as_nothing(server: RealServer) -> None:
    wire = server.connect()
    wire.send(b"list-tube-used\r\nquit\r\n")
    assert wire.reply() == b"USING default\r\n"
    assert wire.reply() == b""
    assert wire.poll() == b""


def test_the_end_reads_as_nothing_also_if_more_was_sent_than_is_read() -> None:
    with RealServer(unix_socket=True) as server:
        wire = server.connect()
        wire.send(b"reserve\r\nquit\r\n")
        wire.send(100 * b"list-tube-used\r\n")
        put(server.connect())
        assert wire.reply() == b"RESERVED 1 3\r\njob\r\n"
        assert wire.reply() == b""


def test_a_half_closed_connection_is_still_answered(server: RealServer) -> None:
    wire = server.connect()
    wire.send(b"reserve\r\n")
    wire.half_close()
    assert wire.poll() == b"TIMED_OUT\r\n"
    assert wire.poll() == b""


def test_a_closed_connection_has_given_up_its_jobs(server: RealServer) -> None:
    owner, other = server.connect(), server.connect()
    put(owner)
    ask(owner, b"reserve")
    other.send(b"reserve\r\n")
    assert other.poll() is None
    owner.close()
    owner.close()
    assert other.poll() == b"RESERVED 1 3\r\njob\r\n"


def test_settling_moves_no_counter(server: RealServer) -> None:
    wire = server.connect()

    def counters() -> dict[bytes, bytes]:
        counted = statistics(wire, b"stats")
        return {name: counted[name] for name in counted if name.startswith(b"cmd-")}

    before = counters()
    server.settle()
    after = counters()
    assert int(after.pop(b"cmd-stats")) == int(before.pop(b"cmd-stats")) + 1
    assert before == after


def test_a_draining_server_refuses_the_very_next_put(server: RealServer) -> None:
    wire = server.connect()
    server.drain()
    assert put(wire) == b"DRAINING\r\n"
    assert statistics(wire, b"stats")[b"draining"] == b"true"


# The clock.


def test_time_stands_still_between_jumps(server: RealServer) -> None:
    wire = server.connect()
    assert server.now == START
    put(wire)
    ask(wire, b"reserve")
    for _ in range(ROUNDS):
        assert statistics(wire, b"stats-job 1")[b"time-left"] == b"60"


@pytest.mark.parametrize("seconds", [0.000_001, 0.1, 0.3, 0.999_999, 1.0, 7.123_457])
def test_a_jump_is_exact_to_the_microsecond(seconds: float) -> None:
    """Truncated seconds change at a whole second, and not a microsecond before."""
    with RealServer(unix_socket=True) as server:
        wire = server.connect()
        server.jump(seconds)
        put(wire)
        server.jump(10 - MICROSECOND)
        assert statistics(wire, b"stats-job 1")[b"age"] == b"9"
        server.jump(MICROSECOND)
        assert statistics(wire, b"stats-job 1")[b"age"] == b"10"
        assert server.now == pytest.approx(START + seconds + 10, abs=1e-9)


def test_advance_lands_a_microsecond_later(server: RealServer) -> None:
    server.advance(2.5)
    server.advance(0)
    assert server.now == pytest.approx(START + 2.500_002, abs=1e-9)


# What is due: (what is prepared by the owner, the waiter's command, the answer).
RESERVED = b"RESERVED 1 3\r\njob\r\n"
DUE_AFTER_TWO_SECONDS = {
    "delay": ([b"put 0 2 60 3\r\njob"], b"reserve", RESERVED),
    "pause": (
        [b"put 0 0 60 3\r\njob", b"pause-tube default 2"],
        b"reserve-with-timeout 9",
        RESERVED,
    ),
    "TTR": ([b"put 0 0 2 3\r\njob", b"reserve"], b"reserve", RESERVED),
    "timeout": ([], b"reserve-with-timeout 2", b"TIMED_OUT\r\n"),
}


def waiting_for(server: RealServer, what: str) -> tuple[Wire, bytes]:
    """Wait for what is due after two seconds; return also what will be answered."""
    preparations, command, answer = DUE_AFTER_TWO_SECONDS[what]
    owner, waiter = server.connect(), server.connect()
    for preparation in preparations:
        ask(owner, preparation)
    waiter.send(command + b"\r\n")
    return waiter, answer


@pytest.mark.parametrize("what", DUE_AFTER_TWO_SECONDS)
def test_what_is_due_has_been_answered_when_advance_returns(
    server: RealServer, what: str
) -> None:
    waiter, answer = waiting_for(server, what)
    server.advance(2 - 2 * MICROSECOND)
    assert waiter.poll() is None
    server.advance(0)
    # At the very instant all but the TTR are due; a microsecond later, the TTR too.
    assert waiter.poll() == (None if what == "TTR" else answer)


@pytest.mark.parametrize("what", DUE_AFTER_TWO_SECONDS)
def test_what_is_due_has_been_answered_after_one_jump(
    server: RealServer, what: str
) -> None:
    waiter, answer = waiting_for(server, what)
    server.advance(2)
    assert waiter.poll() == answer


def test_deadline_soon_is_answered_exactly_one_second_before(
    server: RealServer,
) -> None:
    owner = server.connect()
    put(owner, ttr=3)
    ask(owner, b"reserve")
    owner.send(b"reserve\r\n")
    server.jump(2 - MICROSECOND)
    assert owner.poll() is None
    server.jump(MICROSECOND)
    assert owner.poll() == b"DEADLINE_SOON\r\n"


def test_a_ttr_that_ends_at_the_very_instant_is_lost(server: RealServer) -> None:
    """It is why `advance` lands a microsecond later."""
    owner, waiter = server.connect(), server.connect()
    put(owner, ttr=2)
    ask(owner, b"reserve")
    waiter.send(b"reserve\r\n")
    server.jump(2)
    server.jump(1000)
    assert waiter.poll() is None
    job = statistics(server.connect(), b"stats-job 1")
    assert (job[b"state"], job[b"time-left"]) == (b"reserved", b"-1000")
    ask(owner, b"list-tube-used")
    assert waiter.poll() == RESERVED


def test_the_timeout_of_a_reserve_outlives_deadline_soon(server: RealServer) -> None:
    """With it, `conntickat` finds a moment at which `conn_timeout` has nothing to do.

    The connection is off the heap after that, like above.
    """
    owner, onlooker = server.connect(), server.connect()
    for command in b"reserve", b"reserve-with-timeout 3":
        job = put(owner, ttr=4).split()[-1]
        ask(owner, b"reserve")
        owner.send(command + b"\r\n")
        server.advance(3)
        assert owner.poll() == b"DEADLINE_SOON\r\n"
        assert ask(owner, b"touch " + job) == b"TOUCHED\r\n"
        for _ in range(5):
            server.advance(1)
        state = statistics(onlooker, b"stats-job " + job)[b"state"]
        assert state == (b"ready" if command == b"reserve" else b"reserved")
        assert ask(owner, b"list-tube-used") == b"USING default\r\n"
        assert statistics(onlooker, b"stats-job " + job)[b"state"] == b"ready"
        assert ask(owner, b"delete " + job) == b"DELETED\r\n"


def test_of_two_connections_due_at_the_same_instant_one_may_be_forgotten(
    server: RealServer,
) -> None:
    """`heapremove` of the last element swaps it with a parent that is no less.

    The parent is beyond the end of the heap then. Here it is the owner, when the
    waiter is moved in the heap because it is answered.
    """
    owner, waiter, onlooker = (server.connect() for _ in range(3))
    put(owner, ttr=2)
    put(owner, ttr=3)
    ask(owner, b"reserve")
    server.jump(1 + MICROSECOND)
    ask(owner, b"reserve")
    waiter.send(b"reserve\r\n")
    server.jump(1)  # 2 seconds and a microsecond: so much later both are due
    assert waiter.poll() == RESERVED
    server.jump(2 + MICROSECOND)
    assert statistics(onlooker, b"stats-job 1")[b"state"] == b"ready"
    assert statistics(onlooker, b"stats-job 2")[b"state"] == b"reserved"


def test_a_pause_of_no_length_ends_when_time_moves(server: RealServer) -> None:
    owner, waiter = server.connect(), server.connect()
    put(owner)
    ask(owner, b"pause-tube default 100")
    waiter.send(b"reserve\r\n")
    ask(owner, b"pause-tube default 0")
    assert waiter.poll() is None
    server.advance(0)
    assert waiter.poll() == RESERVED


# That nothing is left to luck.


def test_whoever_waits_is_answered_when_due_and_never_before(
    server: RealServer,
) -> None:
    waiters = [server.connect() for _ in range(WAITERS)]
    for _ in range(ROUNDS // WAITERS):
        for waiter in waiters:
            waiter.send(b"reserve-with-timeout 1\r\n")
        server.advance(0.9)
        assert [waiter.poll() for waiter in waiters] == WAITERS * [None]
        server.advance(0.1)
        assert [waiter.poll() for waiter in waiters] == WAITERS * [b"TIMED_OUT\r\n"]


def test_a_poll_sees_what_any_earlier_command_has_brought(server: RealServer) -> None:
    producer, consumer = server.connect(), server.connect()
    for number in range(1, ROUNDS + 1):
        consumer.send(b"reserve\r\n")
        assert consumer.poll() is None
        producer.send(b"put 0 0 60 3\r\njob\r\n")
        assert consumer.poll() == b"RESERVED %d 3\r\njob\r\n" % number
        assert producer.poll() == b"INSERTED %d\r\n" % number


# Where the server is not what is expected.


def test_a_server_that_gives_up_tells_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    executable(
        tmp_path / "beanstalkd", '[ "$1" = -v ] && exit 0; echo no such luck; exit 1'
    )
    monkeypatch.setenv("BEANSTALKD_PATH", str(tmp_path / "beanstalkd"))
    with (
        pytest.raises(RuntimeError, match=r"^beanstalkd gave up: no such luck$"),
        RealServer(),
    ):
        pass  # pragma: no cover  # it does not start


def test_a_wrapper_that_finds_the_semaphore_of_a_dead_one_is_started_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = tmp_path / "tried"
    executable(
        tmp_path / "bin" / "faketime",
        f'[ -e {tried} ] && exec {shutil.which("faketime")} "$@"\n'
        f"touch {tried}; echo 'faketime: sem_open: File exists'; exit 1",
    )
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    with RealServer() as server:
        assert put(server.connect()) == b"INSERTED 1\r\n"
    assert tried.exists()


def test_what_is_missing_has_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BEANSTALKD_PATH", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert why_missing() == "no beanstalkd on the PATH, and none at BEANSTALKD_PATH"
    executable(tmp_path / "sbin" / "beanstalkd", "exit 1")
    reason = "no faketime on the PATH, to move beanstalkd's clock"
    assert why_missing() == reason
    with pytest.raises(RuntimeError, match=f"^{reason}$"), RealServer():
        pass  # pragma: no cover  # it does not start
    executable(tmp_path / "bin" / "faketime", "exit 1")
    assert why_missing() is None
    monkeypatch.setenv("BEANSTALKD_PATH", str(tmp_path / "nowhere"))
    assert why_missing() == "no beanstalkd on the PATH, and none at BEANSTALKD_PATH"
