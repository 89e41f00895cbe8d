"""How the sockets in memory behave: what they do, how they end, and what they refuse."""

from __future__ import annotations

import errno
import os
import select
import selectors
import socket
from threading import Semaphore
from typing import TYPE_CHECKING

import pytest

from inproc_tubes import DeadlockError, MonotonicClock
from inproc_tubes.fakes import FakeBeanstalkd
from inproc_tubes.testing import FakeClock, wait_until_waiting
from tests.fakes.shared import HOME, PUT, RESERVED, answers, ask, collect, in_thread
from tests.threads import advance_until_done

if TYPE_CHECKING:
    from collections.abc import Callable

    from inproc_tubes.clock import Parked


# What a socket does.


def test_it_is_still_a_socket(sock: socket.socket) -> None:
    assert isinstance(sock, socket.socket)
    assert (sock.family, sock.type) == (socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
    assert sock.getpeername() == HOME
    host, port = sock.getsockname()
    assert host == "127.0.0.1"
    assert 32768 <= port < 61000


def test_a_socket_that_was_bound_keeps_its_port(fake: FakeBeanstalkd) -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        name = sock.getsockname()
        sock.connect(fake.address)
        assert sock.getsockname() == name


def test_it_is_connected_once(fake: FakeBeanstalkd, sock: socket.socket) -> None:
    with pytest.raises(OSError, match=os.strerror(errno.EISCONN)):
        sock.connect(fake.address)
    assert sock.connect_ex(fake.address) == errno.EISCONN


def test_the_methods_of_a_subclass_stay_in_front(fake: FakeBeanstalkd) -> None:
    class Counting(socket.socket):
        received = 0

        def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
            data = super().recv(bufsize, flags)
            self.received += len(data)
            return data

    for _ in range(2):
        with Counting() as sock:
            sock.connect(fake.address)
            assert answers(sock)
            assert sock.received == len(b"USING default\r\n")
            assert isinstance(sock, Counting)


def test_a_reply_with_its_body_comes_in_one_read(sock: socket.socket) -> None:
    ask(sock, PUT)
    assert ask(sock, b"reserve\r\n") == RESERVED


def test_what_is_not_read_stays(sock: socket.socket) -> None:
    sock.sendall(b"list-tube-used\r\n")
    assert sock.recv(5, socket.MSG_PEEK) == b"USING"
    assert sock.recv(6) == b"USING "
    assert sock.recv(0) == b""
    assert sock.recv(1000) == b"default\r\n"


def test_commands_may_come_in_pieces_and_together(sock: socket.socket) -> None:
    assert sock.send(b"list-tube") == 9
    assert sock.send(b"") == 0
    assert sock.sendmsg([b"-used\r", bytearray(b"\n"), memoryview(PUT)]) == 24
    assert sock.recv(1000) == b"USING default\r\nINSERTED 1\r\n"


def test_it_reads_into_buffers(sock: socket.socket) -> None:
    buffer = bytearray(10)
    sock.sendall(b"list-tube-used\r\n")
    assert sock.recv_into(buffer, 5) == 5
    assert sock.recv_into(memoryview(buffer)[5:]) == 5
    assert buffer == b"USING defa"
    assert sock.recv_into(bytearray(10)) == 5


def test_it_makes_files(sock: socket.socket) -> None:
    with sock.makefile("rwb") as file:
        file.write(PUT + b"reserve\r\n")
        file.flush()
        assert file.readline() == b"INSERTED 1\r\n"
        assert file.read(len(RESERVED)) == RESERVED
    with sock.makefile("r", newline="\r\n", encoding="ascii") as text:
        sock.sendall(b"list-tube-used\r\n")
        assert text.readline() == "USING default\r\n"


def test_a_file_keeps_the_connection_open(
    fake: FakeBeanstalkd, sock: socket.socket
) -> None:
    file = sock.makefile("rb")
    sock.sendall(b"list-tube-used\r\n")
    sock.close()
    assert fake.connections == 1
    assert file.readline() == b"USING default\r\n"
    file.close()
    assert fake.connections == 0


def test_without_waiting_there_may_be_nothing(sock: socket.socket) -> None:
    with pytest.raises(BlockingIOError):
        sock.recv(1, socket.MSG_DONTWAIT)
    sock.setblocking(False)  # noqa: FBT003 # it takes it so
    with pytest.raises(BlockingIOError):
        sock.recv(1)
    assert answers(sock)


def test_a_timeout_is_in_the_clocks_time(
    fake: FakeBeanstalkd, sock: socket.socket
) -> None:
    begin = fake.clock.now()
    sock.settimeout(5)
    sock.sendall(b"reserve-with-timeout 30\r\n")
    with pytest.raises(TimeoutError, match=r"^timed out$"):
        sock.recv(1)
    assert fake.clock.now() == begin + 5
    sock.settimeout(25)
    # At the very same moment: what comes in time is read.
    assert sock.recv(1000) == b"TIMED_OUT\r\n"
    assert fake.clock.now() == begin + 30


def test_a_timeout_can_be_reached_by_hand() -> None:
    clock = FakeClock()
    with (
        FakeBeanstalkd(clock=clock) as fake,
        socket.create_connection(fake.address, timeout=5) as sock,
    ):
        sock.sendall(b"reserve\r\n")
        answer = in_thread(lambda: sock.recv(1))
        wait_until_waiting(fake.broker, 1)
        # The reader may not sleep yet; then its five seconds begin later.
        with pytest.raises(TimeoutError):
            advance_until_done(clock, 1, answer)
        assert clock.now() >= 1_000_005


def test_a_read_that_nothing_will_ever_end_is_a_deadlock(sock: socket.socket) -> None:
    with pytest.raises(DeadlockError):
        sock.recv(1)
    sock.sendall(b"reserve\r\n")
    with pytest.raises(DeadlockError):
        sock.recv(1)
    # The connection goes on.
    assert answers(sock)


def test_a_wait_ends_with_a_job_from_another_thread(
    fake: FakeBeanstalkd, sock: socket.socket
) -> None:
    sock.sendall(b"reserve\r\n")
    answer = in_thread(lambda: sock.recv(1000))
    wait_until_waiting(fake.broker, 1)
    fake.broker.producer().put(b"a")
    assert answer.result(timeout=10) == RESERVED


def test_several_threads_may_read_from_one_socket(
    fake: FakeBeanstalkd, sock: socket.socket
) -> None:
    readers = [in_thread(lambda: sock.recv(4)) for _ in range(3)]
    # Four bytes for each; whoever is too late for one reply waits for the next.
    sock.sendall(b"list-tube-used\r\n")
    parts = [reader.result(timeout=10) for reader in readers]
    assert sorted(parts) == sorted([b"USIN", b"G de", b"faul"])
    assert sock.recv(1000) == b"t\r\n"
    assert fake.connections == 1


def test_a_real_clock_keeps_time_for_readers() -> None:
    with (
        FakeBeanstalkd(clock=MonotonicClock()) as fake,
        socket.create_connection(fake.address, timeout=0.01) as sock,
        socket.create_connection(fake.address) as other,
    ):
        with pytest.raises(TimeoutError):
            sock.recv(1)
        sock.settimeout(60)
        sock.sendall(b"reserve\r\n")
        answer = in_thread(lambda: sock.recv(1000))
        wait_until_waiting(fake.broker, 1)
        fake.broker.producer().put(b"a", delay=0.01)
        assert answer.result(timeout=10) == RESERVED
        fake.broker.producer().put(b"b", delay=0.01)
        assert ask(other, b"reserve\r\n") == b"RESERVED 2 1\r\nb\r\n"


class ParkingClock(FakeClock):
    """Tells how often a thread has parked."""

    def __init__(self) -> None:
        super().__init__()
        self.parked = Semaphore(0)

    def park(self, sleeper: Parked, until: float) -> None:
        self.parked.release()
        super().park(sleeper, until)


def test_after_a_turn_that_was_broken_off_a_thread_that_reads_looks_again() -> None:
    """What the broken turn has told it is not known."""

    def interrupted(_now: float) -> None:
        raise KeyboardInterrupt

    clock = ParkingClock()
    with (
        FakeBeanstalkd(clock=clock) as fake,
        socket.create_connection(fake.address) as sock,
    ):
        sock.sendall(b"reserve\r\n")
        answer = in_thread(lambda: sock.recv(1000))
        assert clock.parked.acquire(timeout=10)
        with pytest.raises(KeyboardInterrupt):
            fake.broker._monitor.run(interrupted)
        fake.broker.tubes()
        assert clock.parked.acquire(timeout=10)
        fake.broker.producer().put(b"a")
        assert answer.result(timeout=10) == RESERVED


# How it ends.


def test_after_close_every_use_is_a_bad_descriptor(sock: socket.socket) -> None:
    sock.close()
    sock.close()
    uses: list[Callable[[], object]] = [
        lambda: sock.send(b"x"),
        lambda: sock.sendall(b"x"),
        lambda: sock.recv(1),
        lambda: sock.recv_into(bytearray(1)),
        lambda: sock.shutdown(socket.SHUT_RDWR),
        lambda: sock.connect(HOME),
        lambda: sock.settimeout(1),
        sock.getpeername,
        sock.getsockname,
    ]
    for use in uses:
        with pytest.raises(OSError, match=os.strerror(errno.EBADF)) as error:
            use()
        assert error.value.errno == errno.EBADF
    assert sock.fileno() == -1
    assert sock.recv(0) == b""


def test_a_closed_socket_cannot_connect(fake: FakeBeanstalkd) -> None:
    sock = socket.socket()
    sock.close()
    with pytest.raises(OSError, match=os.strerror(errno.EBADF)):
        sock.connect(fake.address)
    assert fake.connections == 0


def test_closing_ends_the_read_of_another_thread(
    fake: FakeBeanstalkd, sock: socket.socket
) -> None:
    sock.sendall(b"reserve\r\n")
    answer = in_thread(lambda: sock.recv(1))
    wait_until_waiting(fake.broker, 1)
    sock.close()
    with pytest.raises(OSError, match=os.strerror(errno.EBADF)):
        answer.result(timeout=10)


def test_quitting_ends_the_connection(
    fake: FakeBeanstalkd, sock: socket.socket
) -> None:
    assert ask(sock, b"quit\r\n") == b""
    assert fake.connections == 0


def test_a_half_closed_connection_can_be_read_to_its_end(sock: socket.socket) -> None:
    sock.sendall(b"list-tube-used\r\nreserve\r\n")
    sock.shutdown(socket.SHUT_WR)
    with pytest.raises(BrokenPipeError):
        sock.send(b"x")
    with sock.makefile("rb") as file:
        assert file.read() == b"USING default\r\nTIMED_OUT\r\n"
    sock.shutdown(socket.SHUT_WR)


def test_a_connection_shut_for_reading_is_at_its_end(sock: socket.socket) -> None:
    sock.sendall(b"list-tube-used\r\n")
    sock.shutdown(socket.SHUT_RD)
    assert sock.recv(1000) == b"USING default\r\n"
    assert sock.recv(1000) == b""
    with pytest.raises(OSError, match=os.strerror(errno.EINVAL)):
        sock.shutdown(7)


def test_shutting_it_ends_the_read_of_another_thread(
    fake: FakeBeanstalkd, sock: socket.socket
) -> None:
    sock.sendall(b"reserve\r\n")
    answer = in_thread(lambda: sock.recv(1000) + sock.recv(1000))
    wait_until_waiting(fake.broker, 1)
    sock.shutdown(socket.SHUT_RDWR)
    assert answer.result(timeout=10) in {b"", b"TIMED_OUT\r\n"}
    assert fake.connections == 0


def test_a_socket_that_is_collected_gives_its_jobs_back(fake: FakeBeanstalkd) -> None:
    fake.broker.producer().put(b"a")
    leaked = [socket.create_connection(fake.address)]
    assert ask(leaked[0], b"reserve\r\n") == RESERVED
    with pytest.warns(ResourceWarning, match="unclosed"):
        collect(leaked)
    assert fake.connections == 0
    assert fake.broker.peek_ready().id == 1


def test_a_socket_may_be_closed_in_the_middle_of_a_turn(
    fake: FakeBeanstalkd, sock: socket.socket
) -> None:
    """A finaliser may do it, when the collector runs just then."""
    fake.broker.producer().put(b"a")
    assert ask(sock, b"reserve\r\n") == RESERVED

    def close(_now: float) -> None:
        sock.close()

    fake.broker._monitor.run(close)
    assert fake.connections == 0
    assert fake.broker.peek_ready().id == 1


def test_a_socket_may_be_closed_in_the_middle_of_another_threads_turn(
    fake: FakeBeanstalkd, sock: socket.socket
) -> None:
    """A finaliser may do it, and must not wait."""
    fake.broker.producer().put(b"a")
    assert ask(sock, b"reserve\r\n") == RESERVED
    with fake.broker._monitor.lock:
        in_thread(sock.close).result(timeout=10)
        assert fake.connections == 0
    fake.broker.tubes()
    assert fake.broker.peek_ready().id == 1


# What it cannot do.


def test_selectors_are_refused_with_the_reason(sock: socket.socket) -> None:
    reason = r"an in-memory connection has no file descriptor to wait for"
    with selectors.DefaultSelector() as selector, pytest.raises(OSError, match=reason):
        selector.register(sock, selectors.EVENT_READ)
    with pytest.raises(OSError, match=reason):
        select.select([sock], [], [], 0)
    with pytest.raises(OSError, match=reason):
        sock.detach()
    with pytest.raises(OSError, match=reason):
        sock.dup()


def test_what_tcp_clients_do_not_use_is_refused(sock: socket.socket) -> None:
    uses: list[Callable[[], object]] = [
        lambda: sock.recvfrom(1),
        lambda: sock.recvfrom_into(bytearray(1)),
        lambda: sock.recvmsg(1),
        lambda: sock.recvmsg_into([bytearray(1)]),
        lambda: sock.sendto(b"x", HOME),
        lambda: sock.sendmsg([b"x"], [(0, 0, b"")]),
        lambda: sock.recv(1, socket.MSG_WAITALL),
    ]
    for use in uses:
        with pytest.raises(OSError, match=r"^\[.*\] an in-memory connection has no "):
            use()


def test_sizes_are_checked(sock: socket.socket) -> None:
    with pytest.raises(ValueError, match=r"^negative buffersize in recv$"):
        sock.recv(-1)
    with pytest.raises(ValueError, match=r"^negative buffersize in recv_into$"):
        sock.recv_into(bytearray(1), -1)
    with pytest.raises(ValueError, match=r"^buffer too small for requested bytes$"):
        sock.recv_into(bytearray(1), 2)
