"""How the server in memory is reached, by every way to connect there is."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from socket import create_connection as early_create_connection
from typing import TYPE_CHECKING, Any

import pytest

from inproc_tubes import ClosedError
from inproc_tubes.fakes import FakeBeanstalkd
from tests.fakes.shared import PUT, UNIX, answers, ask

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """Listen on a real port, which no fake has anything to do with."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


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
