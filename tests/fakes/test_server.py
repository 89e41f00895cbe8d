"""What the server in memory offers to a test."""

from __future__ import annotations

import errno
import socket

import pytest

from inproc_tubes import MonotonicClock
from inproc_tubes.fakes import FakeBeanstalkd
from inproc_tubes.testing import FakeClock, wait_until_waiting
from tests.fakes.shared import PUT, RESERVED, answers, ask, in_thread


def test_its_broker_can_be_used_directly(
    fake: FakeBeanstalkd, sock: socket.socket
) -> None:
    fake.broker.producer().put(b"a")
    assert ask(sock, b"reserve\r\n") == RESERVED
    assert fake.broker.stats_job(1).state == "reserved"
    sock.close()
    assert fake.broker.stats_job(1).state == "ready"


def test_a_stop_of_its_broker_is_no_concern_of_its_clients(
    fake: FakeBeanstalkd, sock: socket.socket
) -> None:
    answer = in_thread(lambda: ask(sock, b"reserve\r\n"))
    wait_until_waiting(fake.broker, 1)
    consumer = fake.broker.consumer()
    fake.broker.stop()
    with socket.create_connection(fake.address) as other:
        assert ask(other, PUT) == b"INSERTED 1\r\n"
        assert answer.result(timeout=10) == RESERVED
        assert ask(other, PUT) == b"INSERTED 2\r\n"
        assert ask(other, b"reserve\r\n").startswith(b"RESERVED 2")
    assert list(consumer) == []


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


def test_a_dropped_connection_is_not_handed_the_job_of_another(
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
