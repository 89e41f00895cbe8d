"""A fake that listens on a real port as well."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from inproc_tubes import DeadlockError, MonotonicClock, ReentrantCallError
from inproc_tubes.fakes import FakeBeanstalkd
from inproc_tubes.testing import FakeClock, wait_until_waiting
from tests.fakes.shared import HOME, PUT, RESERVED, answers, ask

if TYPE_CHECKING:
    from collections.abc import Iterator

RESERVE = b"reserve\r\n"
BIG = b"x" * 60_000


@pytest.fixture
def fake() -> Iterator[FakeBeanstalkd]:
    with FakeBeanstalkd(clock=FakeClock()) as fake:
        yield fake


@pytest.fixture
def address(fake: FakeBeanstalkd) -> tuple[str, int]:
    return fake.listen()


@pytest.fixture
def sock(address: tuple[str, int]) -> Iterator[socket.socket]:
    with connect(address) as sock:
        yield sock


def connect(address: tuple[str, int]) -> socket.socket:
    sock = socket.create_connection(address, timeout=30)  # which only a bug reaches
    assert type(sock) is socket.socket
    return sock


def exchange(address: tuple[str, int], said: bytes) -> bytes:
    with connect(address) as sock:
        sock.sendall(said)
        return read_to_the_end(sock)


def read_to_the_end(sock: socket.socket) -> bytes:
    with sock.makefile("rb") as file:
        return file.read()


CHILD = """
import sys, greenstalk
with greenstalk.Client((sys.argv[1], int(sys.argv[2]))) as client:
    client.put("piano")
    client.delete(client.reserve())
    try:
        client.reserve(timeout=3600)
    except greenstalk.TimedOutError:
        print("an hour has passed")
"""


def test_another_process_reaches_the_same_broker(
    fake: FakeBeanstalkd, address: tuple[str, int]
) -> None:
    child = subprocess.Popen(  # noqa: S603 # our own interpreter and script
        [sys.executable, "-c", CHILD, *map(str, address)],
        stdout=subprocess.PIPE,
        text=True,
    )
    wait_until_waiting(fake.broker, 1, timeout=60)
    assert fake.connections == 1
    fake.clock.advance(3600)
    told, _ = child.communicate(timeout=60)
    assert (told, child.returncode) == ("an hour has passed\n", 0)


def test_this_process_reaches_it_in_memory_at_its_own_address(
    fake: FakeBeanstalkd, sock: socket.socket
) -> None:
    with socket.create_connection(HOME) as other:
        assert ask(other, PUT) == b"INSERTED 1\r\n"
    assert ask(sock, RESERVE) == RESERVED
    assert fake.connections == 1
    sock.close()
    # The thread has noticed as soon as the job is there again.
    with socket.create_connection(HOME) as other:
        assert ask(other, RESERVE) == RESERVED


def test_real_time_is_kept_for_its_clients() -> None:
    with (
        FakeBeanstalkd(clock=MonotonicClock()) as fake,
        connect(fake.listen()) as sock,
    ):
        sock.sendall(RESERVE)
        wait_until_waiting(fake.broker, 1)
        fake.broker.producer().put(b"a", delay=0.01)
        assert sock.recv(100) == RESERVED


def test_commands_are_carried_out_in_whatever_pieces_they_come(
    sock: socket.socket,
) -> None:
    for octet in PUT:
        sock.sendall(bytes([octet]))
    sock.sendall(RESERVE + b"delete 1\r\nquit\r\nlist-tubes\r\n")
    with sock.makefile("rb") as file:
        assert file.readline() == b"INSERTED 1\r\n"
        assert file.read(len(RESERVED)) == RESERVED
        assert file.readline() == b"DELETED\r\n"


def test_a_half_closed_connection_can_be_read_to_its_end(sock: socket.socket) -> None:
    sock.sendall(b"list-tube-used\r\n" + RESERVE)
    sock.shutdown(socket.SHUT_WR)
    assert read_to_the_end(sock) == b"USING default\r\nTIMED_OUT\r\n"


def test_who_does_not_read_holds_up_nobody_but_himself(
    fake: FakeBeanstalkd, address: tuple[str, int], sock: socket.socket
) -> None:
    fake.broker.producer().put(BIG)
    count = 500  # 30 MB, more than all buffers on the way hold
    peeks = threading.Thread(target=sock.sendall, args=(count * b"peek 1\r\n",))
    peeks.start()
    peeks.join()
    with connect(address) as other:
        assert answers(other)
    with sock.makefile("rb") as file:
        for _ in range(count):
            assert file.readline() == b"FOUND 1 60000\r\n"
            assert file.read(len(BIG) + 2) == BIG + b"\r\n"


def test_a_connection_that_is_reset_gives_its_jobs_back(
    fake: FakeBeanstalkd, sock: socket.socket
) -> None:
    fake.broker.producer().put(b"a")
    assert ask(sock, RESERVE) == RESERVED
    sock.setsockopt(
        socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0"
    )  # for no time
    sock.close()
    assert fake.broker.consumer().reserve(timeout=None).id == 1


# Outages


def test_a_server_that_refuses_listens_no_more_until_it_is_restored(
    fake: FakeBeanstalkd, address: tuple[str, int], sock: socket.socket
) -> None:
    for _ in range(2):
        fake.refuse()
        with pytest.raises(ConnectionRefusedError):
            connect(address)
    assert answers(sock)
    late = fake.listen()
    with pytest.raises(ConnectionRefusedError):
        connect(late)
    for _ in range(2):
        fake.restore()
        with connect(address) as other, connect(late) as another:
            assert answers(other)
            assert answers(another)


def test_dropping_ends_its_connections_too(
    fake: FakeBeanstalkd, address: tuple[str, int], sock: socket.socket
) -> None:
    sock.sendall(RESERVE)
    wait_until_waiting(fake.broker, 1)
    fake.drop()
    assert read_to_the_end(sock) == b""
    with connect(address) as other:
        fake.reset()
        assert read_to_the_end(other) == b""
    with connect(address) as other:
        assert ask(other, PUT) == b"INSERTED 1\r\n"


def test_one_that_came_while_it_was_being_closed_is_reset(
    fake: FakeBeanstalkd, address: tuple[str, int]
) -> None:
    said = b"list-tube-used\r\nquit\r\n"
    assert exchange(address, said) == b"USING default\r\n"
    fake.broker.close()
    with pytest.raises(ConnectionError):
        exchange(address, said)


def test_a_deadlock_elsewhere_does_not_end_it(
    fake: FakeBeanstalkd, sock: socket.socket
) -> None:
    assert answers(sock)
    fake.broker._monitor.fail_all(DeadlockError)
    assert answers(sock)


def test_it_ends_with_the_server_and_begins_anew() -> None:
    threads = threading.active_count()
    fake = FakeBeanstalkd(clock=FakeClock())
    for _ in range(2):
        with fake:
            address = fake.listen()
            sock = connect(address)
            assert ask(sock, PUT) == b"INSERTED 1\r\n"
            assert threading.active_count() == threads + 1
        with sock:
            assert read_to_the_end(sock) == b""
        with pytest.raises(ConnectionRefusedError):
            connect(address)
        assert threading.active_count() == threads
        assert fake.connections == 0
    fake.refuse()
    fake.restore()


def test_it_is_not_waited_for_in_the_middle_of_a_turn(
    fake: FakeBeanstalkd, sock: socket.socket
) -> None:
    def refuse(_now: float) -> None:
        fake.refuse()

    with pytest.raises(ReentrantCallError):
        fake.broker._monitor.run(refuse)
    assert answers(sock)


def test_what_is_told_to_a_listener_that_has_ended_is_not_waited_for(
    fake: FakeBeanstalkd, address: tuple[str, int]
) -> None:
    [listener] = fake._listeners
    assert listener.address == address
    listener.stop()
    listener.refuse()
    listener.restore()
    listener.nudge()


# What it takes


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.0.0.5", "::1"])
def test_it_listens_on_loopback(fake: FakeBeanstalkd, host: str) -> None:
    number, port = fake.listen(host=host)
    assert number == ("127.0.0.1" if host == "localhost" else host)
    with connect((number, port)) as sock:
        assert answers(sock)


@pytest.mark.parametrize("host", ["0.0.0.0", "", "::", "10.0.0.1", "example.com"])  # noqa: S104 # refused
def test_it_listens_nowhere_else(fake: FakeBeanstalkd, host: str) -> None:
    message = r"^a FakeBeanstalkd listens on loopback only, and not on "
    with pytest.raises(ValueError, match=message):
        fake.listen(host=host)


def test_a_port_that_is_taken_is_an_error(
    fake: FakeBeanstalkd, address: tuple[str, int]
) -> None:
    with pytest.raises(OSError, match="Address already in use"):
        fake.listen(address[1])
    assert fake.listen(0) != address


def test_a_clock_that_jumps_by_itself_is_refused() -> None:
    message = (
        r"^an autojumping clock does not know .*: give .* clock=MonotonicClock\(\)"
    )
    with FakeBeanstalkd() as fake, pytest.raises(ValueError, match=message):
        fake.listen()


def test_it_listens_only_while_it_is_active() -> None:
    fake = FakeBeanstalkd(clock=FakeClock())
    with pytest.raises(RuntimeError, match=r"^the FakeBeanstalkd is not active: enter"):
        fake.listen()
    with fake:
        pass
    with pytest.raises(RuntimeError):
        fake.listen()


# Where nothing happens


def test_a_thread_that_is_woken_for_nothing_sleeps_on(
    fake: FakeBeanstalkd, sock: socket.socket
) -> None:
    assert answers(sock)
    [listener] = fake._listeners

    def look() -> None:
        listener._accept()  # and nobody comes
        for client in listener._clients:
            client.go_on()  # and there is nothing
        for _ in range(10_000):
            listener.nudge()  # until the pipe is full

    listener._have_done(look)
    assert answers(sock)
