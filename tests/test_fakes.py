"""The in-memory server: how it is reached, and how its sockets behave."""

from __future__ import annotations

import asyncio
import errno
import gc
import os
import select
import selectors
import socket
import threading
from concurrent.futures import Future
from math import inf
from socket import create_connection as early_create_connection
from typing import TYPE_CHECKING, Any

import pytest

from inproc_tubes import ClosedError, DeadlockError, MonotonicClock
from inproc_tubes.fakes import FakeBeanstalkd
from inproc_tubes.testing import FakeClock, wait_until_waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

HOME = ("127.0.0.1", 11300)
PUT = b"put 0 0 60 1\r\na\r\n"
PUT_LATE = b"put 0 10 60 1\r\na\r\n"
RESERVED = b"RESERVED 1 1\r\na\r\n"
UNIX = hasattr(socket, "AF_UNIX")


@pytest.fixture
def fake() -> Iterator[FakeBeanstalkd]:
    with FakeBeanstalkd() as fake:
        yield fake


@pytest.fixture
def sock(fake: FakeBeanstalkd) -> Iterator[socket.socket]:
    with socket.create_connection(fake.address) as sock:
        yield sock


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """Listen on a real port, which no fake has anything to do with."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


def ask(sock: socket.socket, command: bytes) -> bytes:
    sock.sendall(command)
    return sock.recv(1000)


def answers(sock: socket.socket) -> bool:
    return ask(sock, b"list-tube-used\r\n") == b"USING default\r\n"


def collect(leaked: list[Any]) -> None:
    leaked.clear()
    gc.collect()


def in_thread(function: Callable[[], object]) -> Future[Any]:
    future: Future[Any] = Future()

    def run() -> None:
        try:
            future.set_result(function())
        except BaseException as error:  # noqa: BLE001 # handed to who asks
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


# How it is reached.


def test_every_way_to_connect_leads_to_it(fake: FakeBeanstalkd) -> None:
    with socket.create_connection(fake.address) as a, socket.socket() as b:
        b.connect(fake.address)
        with socket.socket() as c, early_create_connection(fake.address) as d:
            assert c.connect_ex(fake.address) == 0
            assert [True] * 4 == [answers(sock) for sock in (a, b, c, d)]
            assert fake.connections == 4
    assert fake.connections == 0


@pytest.mark.parametrize(
    ("address", "alias"),
    [
        (("127.0.0.1", 11300), ("localhost", 11300)),
        (("localhost", 11300), ("127.0.0.1", 11300)),
        (("LocalHost", 11300), (b"127.0.0.1", 11300)),
        (("0.0.0.0", 11300), ("127.0.0.1", 11300)),  # noqa: S104 # nothing is bound
        (("", 11300), ("localhost", 11300)),
        (("beanstalkd", 1), ("Beanstalkd", 1)),
    ],
)
def test_one_place_may_have_several_names(address: Any, alias: Any) -> None:
    with FakeBeanstalkd(address) as fake:
        assert fake.address == address
        with socket.create_connection(alias) as sock:
            assert answers(sock)
        with socket.socket() as sock:
            sock.connect(alias)
            assert answers(sock)
            with socket.create_connection(sock.getpeername()) as again:
                assert answers(again)


def test_a_host_that_does_not_resolve_does_while_a_server_has_it() -> None:
    with FakeBeanstalkd(("beanstalkd.invalid", 11300)):
        found = socket.getaddrinfo("beanstalkd.invalid", 11300, type=socket.SOCK_STREAM)
        [(family, _, _, _, address)] = found
        assert (family, address[1]) == (socket.AF_INET, 11300)
        with socket.create_connection(("beanstalkd.invalid", "11300")) as sock:
            assert answers(sock)
            assert sock.getpeername() == address
        with pytest.raises(socket.gaierror):
            socket.getaddrinfo("beanstalkd.invalid", 11301)
        with pytest.raises(socket.gaierror):
            socket.getaddrinfo("beanstalkd.invalid", None)
    with pytest.raises(socket.gaierror):
        socket.getaddrinfo("beanstalkd.invalid", 11300)


def test_an_address_of_version_6_is_one_too() -> None:
    with FakeBeanstalkd(("0:0:0:0:0:0:0:1", 11300)), FakeBeanstalkd() as other:
        try:
            sock = socket.socket(socket.AF_INET6)
        except OSError:  # pragma: no cover # where the kernel has no IPv6
            pytest.skip("no IPv6 here")
        with sock:
            sock.connect(("::1", 11300, 0, 0))
            assert answers(sock)
            assert sock.getpeername() == ("::1", 11300, 0, 0)
            assert sock.getsockname()[0] == "::1"
            assert other.connections == 0


@pytest.mark.skipif(not UNIX, reason="no Unix sockets here")
@pytest.mark.parametrize("convert", [str, os.fsencode])
def test_a_path_is_an_address(tmp_path: Path, convert: Callable[[Path], Any]) -> None:
    path = tmp_path / "beanstalkd.sock"
    with FakeBeanstalkd(path) as fake, socket.socket(socket.AF_UNIX) as sock:
        assert fake.address == str(path)
        sock.connect(convert(path))
        assert answers(sock)
        assert (sock.getpeername(), sock.getsockname()) == (str(path), "")
        fake.drop()
        # Here the kernel knows at once, and not after a round trip.
        with pytest.raises(BrokenPipeError):
            sock.send(PUT)
        assert sock.recv(1) == b""
    assert not path.exists()


def test_other_addresses_behave_as_ever(
    fake: FakeBeanstalkd, listener: socket.socket
) -> None:
    with socket.create_connection(listener.getsockname()) as sock:
        served, _ = listener.accept()
        with served:
            served.sendall(b"hello")
            assert sock.recv(5) == b"hello"
            assert type(sock) is socket.socket
    with socket.socket() as sock:
        assert sock.connect_ex(listener.getsockname()) == 0
    with socket.socket(type=socket.SOCK_DGRAM) as datagrams:
        datagrams.connect(fake.address)
        assert type(datagrams) is socket.socket
    assert fake.connections == 0


@pytest.mark.parametrize("address", [None, "11300", ("127.0.0.1",), (None, 11300)])
def test_what_is_no_address_is_refused_as_ever(
    fake: FakeBeanstalkd, address: Any
) -> None:
    with socket.socket() as sock, pytest.raises(TypeError):
        sock.connect(address)
    assert fake.connections == 0


@pytest.mark.parametrize("address", [None, 11300, ("localhost",), ("localhost", "x")])
def test_a_server_needs_an_address(address: Any) -> None:
    with pytest.raises(TypeError, match=r"^address is \(host, port\) or a path, not "):
        FakeBeanstalkd(address)


def test_nothing_is_patched_but_while_one_is_active() -> None:
    def patched() -> list[Any]:
        loop = asyncio.BaseEventLoop
        return [
            vars(socket.socket).get("connect"),
            vars(socket.socket).get("connect_ex"),
            socket._socket.getaddrinfo,  # type: ignore[attr-defined] # not in typeshed
            loop.create_connection,
        ]

    before = patched()
    with FakeBeanstalkd():
        during = patched()
        with FakeBeanstalkd(("127.0.0.1", 11301)):
            assert patched() == during
        assert patched() == during
    assert patched() == before
    assert not set(before) & set(during)


def test_a_patch_of_another_hand_is_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def connect(self: socket.socket, address: Any, /) -> None:
        del self
        calls.append(address)

    monkeypatch.setattr(socket.socket, "connect", connect)
    with FakeBeanstalkd() as fake, socket.socket() as sock:
        sock.connect(("127.0.0.1", 11301))
        with socket.socket() as other:
            other.connect(fake.address)
            assert answers(other)
    assert calls == [("127.0.0.1", 11301)]
    assert vars(socket.socket)["connect"] is connect


def test_several_may_be_active_but_not_at_one_address(fake: FakeBeanstalkd) -> None:
    with FakeBeanstalkd(("127.0.0.1", 11301)) as other:
        with (
            socket.create_connection(fake.address) as a,
            socket.create_connection(other.address) as b,
        ):
            assert ask(a, PUT) == ask(b, PUT) == b"INSERTED 1\r\n"
        with pytest.raises(OSError, match=os.strerror(errno.EADDRINUSE)):
            FakeBeanstalkd(("localhost", 11300)).__enter__()
    with socket.create_connection(fake.address) as sock:
        assert answers(sock)


def test_after_its_end_clients_read_the_end_and_the_broker_is_closed() -> None:
    with FakeBeanstalkd() as fake:
        sock = socket.create_connection(fake.address)
    with sock:
        assert sock.recv(1) == b""
    with pytest.raises(ClosedError):
        fake.broker.tubes()


def test_it_may_be_entered_again_and_is_new_then() -> None:
    fake = FakeBeanstalkd()
    for _ in range(2):
        with fake, socket.create_connection(fake.address) as sock:
            assert ask(sock, PUT) == b"INSERTED 1\r\n"
    fake = FakeBeanstalkd()
    fake.refuse()
    with fake, pytest.raises(ConnectionRefusedError):
        socket.create_connection(fake.address)


# What a server offers to a test.


def test_its_broker_can_be_used_directly(
    fake: FakeBeanstalkd, sock: socket.socket
) -> None:
    fake.broker.producer().put(b"a")
    assert ask(sock, b"reserve\r\n") == RESERVED
    assert fake.broker.stats_job(1).state == "reserved"
    sock.close()
    assert fake.broker.stats_job(1).state == "ready"


def test_without_a_clock_it_has_one_that_jumps(fake: FakeBeanstalkd) -> None:
    assert isinstance(fake.clock, FakeClock)
    clock = MonotonicClock()
    assert FakeBeanstalkd(clock=clock).clock is clock


def test_it_answers_like_the_version_it_was_given() -> None:
    with (
        FakeBeanstalkd(version="1.13", max_job_size=10) as fake,
        socket.create_connection(fake.address) as sock,
    ):
        stats = ask(sock, b"stats\r\n")
        assert b'\nversion: "1.13"\n' in stats
        assert b"\nmax-job-size: 10\n" in stats
    with pytest.raises(ValueError, match=r"^version is one of 1\.12, 1\.13, not '2'$"):
        FakeBeanstalkd(version="2")


def test_reset_makes_it_new(fake: FakeBeanstalkd, sock: socket.socket) -> None:
    ask(sock, PUT)
    fake.drain()
    fake.refuse()
    old = fake.broker
    fake.reset()
    assert sock.recv(1) == b""
    assert fake.broker is not old
    assert fake.connections == 0
    with socket.create_connection(fake.address) as new:
        assert ask(new, PUT) == b"INSERTED 1\r\n"
        assert fake.connections == 1


def test_after_a_drop_the_first_send_succeeds_and_the_second_breaks(
    fake: FakeBeanstalkd, sock: socket.socket
) -> None:
    sock.send(PUT)
    fake.drop()
    assert fake.connections == 0
    assert sock.send(PUT) == len(PUT)
    assert sock.recv(1000) == b"INSERTED 1\r\n"
    assert sock.recv(1000) == b""
    with pytest.raises(BrokenPipeError):
        sock.send(PUT)


def test_who_is_dropped_is_not_handed_a_job_of_another(
    fake: FakeBeanstalkd, sock: socket.socket
) -> None:
    ask(sock, PUT)
    assert ask(sock, b"reserve\r\n") == RESERVED
    with socket.create_connection(fake.address) as other:
        answer = in_thread(lambda: ask(other, b"reserve\r\n"))
        wait_until_waiting(fake.broker, 1)
        fake.drop()
        assert answer.result(timeout=10) == b""
    assert fake.broker.stats_job(1).reserves == 1


def test_what_was_dropped_may_be_closed_already(
    fake: FakeBeanstalkd, sock: socket.socket
) -> None:
    fake.broker.close()
    fake.drop()
    assert sock.recv(1) == b""


def test_refusing_leaves_connections_alone(
    fake: FakeBeanstalkd, sock: socket.socket
) -> None:
    fake.refuse()
    with pytest.raises(ConnectionRefusedError), socket.socket() as late:
        late.connect(fake.address)
    with socket.socket() as late:
        assert late.connect_ex(fake.address) == errno.ECONNREFUSED
        fake.restore()
        assert late.connect_ex(fake.address) == 0
    assert answers(sock)


def test_both_tell_what_they_are(fake: FakeBeanstalkd, sock: socket.socket) -> None:
    assert repr(fake) == "<FakeBeanstalkd at ('127.0.0.1', 11300)>"
    assert repr(sock) == f"<FakeSocket in memory: {fake!r}>"
    sock.close()
    assert repr(sock) == "<FakeSocket in memory: [closed]>"


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
        while not answer.done():
            clock.advance(1)
        with pytest.raises(TimeoutError):
            answer.result(timeout=10)
        assert clock.now() >= 1_000_005


def test_a_read_that_nothing_will_ever_end_is_a_deadlock(sock: socket.socket) -> None:
    with pytest.raises(DeadlockError):
        sock.recv(1)
    sock.sendall(b"reserve\r\n")
    with pytest.raises(DeadlockError):
        sock.recv(1)
    # It is told once, and the connection goes on.
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
    with fake.broker._lock:
        sock.close()
    assert fake.connections == 0
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


# asyncio.


async def exchange(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, command: bytes
) -> bytes:
    writer.write(command)
    await writer.drain()
    return await reader.readline()


def test_asyncio_reaches_it(fake: FakeBeanstalkd) -> None:
    async def run() -> None:
        reader, writer = await asyncio.open_connection(*fake.address)
        assert await exchange(reader, writer, PUT) == b"INSERTED 1\r\n"
        assert fake.connections == 1
        assert writer.get_extra_info("peername") == HOME
        assert repr(writer.transport) == f"<FakeTransport in memory: {fake!r}>"
        assert not writer.is_closing()
        writer.close()
        assert writer.is_closing()
        writer.write(PUT)
        await writer.wait_closed()
        assert fake.connections == 0
        assert repr(writer.transport) == "<FakeTransport in memory: closed>"
        writer.transport.abort()

    asyncio.run(run())


@pytest.mark.skipif(not UNIX, reason="no Unix sockets here")
def test_asyncio_reaches_a_path(tmp_path: Path) -> None:
    async def run() -> None:
        path = tmp_path / "beanstalkd.sock"
        with FakeBeanstalkd(path):
            reader, writer = await asyncio.open_unix_connection(path)
            assert await exchange(reader, writer, PUT) == b"INSERTED 1\r\n"
            assert writer.get_extra_info("peername") == str(path)
            writer.close()
            await writer.wait_closed()
            with pytest.raises(FileNotFoundError):
                await asyncio.open_unix_connection(tmp_path / "other.sock")

    asyncio.run(run())


def test_asyncio_reaches_other_addresses_as_ever(fake: FakeBeanstalkd) -> None:
    async def hello(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello\n")
        writer.close()
        await writer.wait_closed()

    async def run() -> None:
        async with await asyncio.start_server(hello, "127.0.0.1", 0) as server:
            address = server.sockets[0].getsockname()
            reader, writer = await asyncio.open_connection(*address)
            assert await reader.readline() == b"hello\n"
            writer.close()
            await writer.wait_closed()
        assert fake.connections == 0

    asyncio.run(run())


def test_asyncio_is_refused_too(fake: FakeBeanstalkd) -> None:
    async def run() -> None:
        with pytest.raises(ValueError, match=r"^beanstalkd does not speak TLS$"):
            await asyncio.open_connection(*fake.address, ssl=True)
        fake.refuse()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(*fake.address)

    asyncio.run(run())


@pytest.mark.parametrize(
    "open_connection", [asyncio.open_connection, asyncio.open_unix_connection]
)
def test_a_loop_cannot_take_over_a_connected_socket(
    sock: socket.socket, open_connection: Callable[..., Any]
) -> None:
    async def run() -> None:
        reason = r"an in-memory connection has no file descriptor to wait for"
        with pytest.raises(OSError, match=reason):
            await open_connection(sock=sock)

    asyncio.run(run())


def test_a_loop_reads_what_another_thread_has_caused(fake: FakeBeanstalkd) -> None:
    async def run() -> None:
        reader, writer = await asyncio.open_connection(*fake.address)
        waiting = asyncio.create_task(exchange(reader, writer, b"reserve\r\n"))
        await asyncio.to_thread(wait_until_waiting, fake.broker, 1)
        put = fake.broker.producer().put
        await asyncio.to_thread(put, b"a")
        assert await waiting == b"RESERVED 1 1\r\n"
        assert await reader.readexactly(3) == b"a\r\n"
        writer.close()
        await writer.wait_closed()

    asyncio.run(run())


def test_a_dropped_loop_reads_the_end_and_its_second_write_breaks(
    fake: FakeBeanstalkd,
) -> None:
    async def run() -> None:
        reader, writer = await asyncio.open_connection(*fake.address)
        fake.drop()
        assert await exchange(reader, writer, PUT) == b""
        writer.write(PUT)
        with pytest.raises(BrokenPipeError):
            await writer.wait_closed()

    asyncio.run(run())


def test_a_loop_may_end_what_it_sends_and_read_on(fake: FakeBeanstalkd) -> None:
    async def run() -> None:
        reader, writer = await asyncio.open_connection(*fake.address)
        assert writer.can_write_eof()
        writer.write(b"list-tube-used\r\nreserve\r\n")
        writer.write_eof()
        writer.write_eof()
        assert await reader.read() == b"USING default\r\nTIMED_OUT\r\n"
        with pytest.raises(RuntimeError, match=r"^Cannot call write\(\) after"):
            writer.write(b"x")
        writer.close()
        await writer.wait_closed()

    asyncio.run(run())


class Recorder(asyncio.Protocol):
    """Notes what it hears; leaves at the end of what it reads."""

    def __init__(self) -> None:
        self.heard: list[object] = []
        self.lost = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        self.heard.append(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set_result(exc)


def test_a_transport_keeps_the_contract_of_asyncios(fake: FakeBeanstalkd) -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        transport, first = await loop.create_connection(Recorder, *fake.address)
        assert transport.get_write_buffer_size() == 0
        assert transport.get_write_buffer_limits() == (0, 0)
        transport.set_write_buffer_limits(high=1)
        with pytest.raises(TypeError, match=r"^data is a bytes-like object, not str$"):
            transport.write("x")  # type: ignore[arg-type] # what is refused
        second = Recorder()
        transport.set_protocol(second)
        assert transport.get_protocol() is second
        transport.pause_reading()
        assert not transport.is_reading()
        transport.write(memoryview(PUT))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert second.heard == []
        transport.resume_reading()
        assert transport.is_reading()
        transport.write(b"quit\r\n")
        assert await second.lost is None
        assert (first.heard, second.heard) == ([], [b"INSERTED 1\r\n"])

    asyncio.run(run())


def test_a_real_clock_keeps_time_for_loops() -> None:
    async def run() -> None:
        with FakeBeanstalkd(clock=MonotonicClock()) as fake:
            reader, writer = await asyncio.open_connection(*fake.address)
            waiting = asyncio.create_task(exchange(reader, writer, b"reserve\r\n"))
            await asyncio.sleep(0)
            producer = fake.broker.producer()
            producer.put(b"a", delay=60)
            producer.put(b"b", delay=0.01)
            async with asyncio.timeout(10):
                assert await waiting == b"RESERVED 2 1\r\n"
            writer.close()
            await writer.wait_closed()
            # Its last word to one that has left already.
            writer.transport._keep_time()  # type: ignore[attr-defined] # ours

    asyncio.run(run())


def test_a_loop_hears_of_no_deadlock() -> None:
    with FakeBeanstalkd(clock=MonotonicClock()) as fake:

        async def run() -> None:
            reader, writer = await asyncio.open_connection(*fake.address)
            fake.broker._answer_all(DeadlockError)
            assert await exchange(reader, writer, PUT) == b"INSERTED 1\r\n"
            writer.close()
            await writer.wait_closed()

        asyncio.run(run())


def test_a_transport_that_is_left_open_warns(fake: FakeBeanstalkd) -> None:
    leaked: list[object] = []

    async def run() -> None:
        loop = asyncio.get_running_loop()
        leaked.append(await loop.create_connection(Recorder, *fake.address))

    asyncio.run(run())
    fake.drop()
    with pytest.warns(ResourceWarning, match=r"^unclosed transport <FakeTransport"):
        collect(leaked)
    assert fake.broker._next_due() == inf
