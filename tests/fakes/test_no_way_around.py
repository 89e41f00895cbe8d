"""That nothing gets past a fake, whatever others do with the functions it patches.

A real server listens at the fake's address here, and must never see a connection.
"""

from __future__ import annotations

import _socket
import socket
import ssl
import threading
from functools import partial
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import pytest

from inproc_tubes.fakes import FakeBeanstalkd, audit, registry, routing
from inproc_tubes.fakes.patches import Patch
from inproc_tubes.fakes.sockets import plug_in, socket_classes
from tests.fakes.shared import answers, in_thread

if TYPE_CHECKING:
    from collections.abc import Iterator

WHAT_TO_DO = r"may not reach a real server at its address: let it listen\(\) on a port"


@pytest.fixture
def address() -> Iterator[tuple[str, int]]:
    """The address of a real server, to which nobody connects."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()
        listener.settimeout(0)
        with pytest.raises(BlockingIOError):
            listener.accept()


@pytest.fixture
def fake(address: tuple[str, int]) -> Iterator[FakeBeanstalkd]:
    with FakeBeanstalkd(address) as fake:
        yield fake


def is_reached(fake: FakeBeanstalkd) -> bool:
    with socket.create_connection(fake.address) as sock:
        return answers(sock)


# Others replace what we patch.


def test_what_another_puts_over_ours_is_called_for_other_addresses(
    fake: FakeBeanstalkd, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    ours = socket.socket.connect

    def connect(self: socket.socket, address: Any, /) -> None:
        calls.append(address)
        ours(self, address)

    with monkeypatch.context() as other:
        other.setattr(socket.socket, "connect", connect)
        routing.rearm()
        assert is_reached(fake)  # by another layer of ours, over it
        with socket.socket() as sock, pytest.raises(ConnectionRefusedError):
            sock.connect(("127.0.0.1", 1))
    assert calls == [("127.0.0.1", 1)]
    assert socket.socket.connect is ours
    assert is_reached(fake)


def test_what_another_has_put_over_ours_stays_when_the_fake_ends(
    address: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    with FakeBeanstalkd(address):
        ours = socket.socket.connect

        def connect(self: socket.socket, address: Any, /) -> None:
            ours(self, address)

        monkeypatch.setattr(socket.socket, "connect", connect)
    assert vars(socket.socket)["connect"] is connect
    with socket.socket() as sock, pytest.raises(ConnectionRefusedError):
        sock.connect(("127.0.0.1", 1))


def test_a_layer_that_comes_to_light_again_is_as_good_as_new() -> None:
    class Owner:
        def name(self) -> list[str]:
            return ["theirs"]

    theirs = Owner.name
    patch = Patch(Owner, "name", lambda before: lambda self: [*before(self), "ours"])
    patch.apply()
    ours = Owner.name
    Owner.name = lambda self: [*ours(self), "another's"]  # type: ignore[method-assign] # it is what others do
    patch.apply()
    assert Owner().name() == ["theirs", "ours", "another's", "ours"]
    patch.undo()
    assert Owner().name() == ["theirs", "ours", "another's"]
    patch.undo()  # which is not ours
    Owner.name = ours  # type: ignore[method-assign] # as above
    patch.apply()
    assert Owner.name is ours
    patch.undo()
    assert Owner.name is theirs


# Others go past what we patch: see test_audit_hook.


def test_the_hook_does_what_is_to_be_done_at_each_event(
    fake: FakeBeanstalkd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Called here, since no tool that traces is told of what happens in a hook."""
    rearmed = []

    def see(event: str, *args: Any) -> None:
        audit.see(event, args, lambda: rearmed.append(event))

    with _socket_of_c() as sock, socket.socket(type=socket.SOCK_DGRAM) as datagrams:
        see("socket.__new__", sock, 0, 0, 0)
        see("socket.connect", sock, ("127.0.0.1", 1))
        see("socket.connect", datagrams, fake.address)
        with pytest.raises(OSError, match=WHAT_TO_DO):
            see("socket.connect", sock, fake.address)
    assert len(rearmed) == 4
    learned: list[str] = []
    monkeypatch.setattr(registry, "learn", learned.append)
    see("socket.gethostbyname", "queue")
    assert (learned, len(rearmed)) == (["queue"], 4)


def test_datagrams_have_nothing_to_do_with_it(fake: FakeBeanstalkd) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.connect(fake.address)
        assert sock.connect_ex(fake.address) == 0


def _socket_of_c() -> Any:
    class Socket(_socket.socket):
        def __enter__(self) -> Any:
            return self

        def __exit__(self, *_: object) -> None:
            self.close()

    return Socket()


# What cannot be connected in memory.


@pytest.mark.parametrize("verb", ["connect", "connect_ex"])
def test_a_socket_that_does_not_block_is_refused(
    fake: FakeBeanstalkd, verb: str
) -> None:
    """A selector is to wait for it: so do trio, Twisted and Tornado."""
    with socket.socket() as sock:
        sock.settimeout(0)
        with pytest.raises(OSError, match=rf"does not block .*{WHAT_TO_DO}"):
            getattr(sock, verb)(fake.address)
    assert fake.connections == 0


def test_an_encrypted_socket_is_refused(fake: FakeBeanstalkd) -> None:
    context = ssl.create_default_context()
    with (
        context.wrap_socket(socket.socket(), server_hostname="x") as sock,
        pytest.raises(OSError, match="TLS"),
    ):
        sock.connect(fake.address)
    assert fake.connections == 0


def test_a_class_that_keeps_its_methods_in_its_objects_is_refused(
    fake: FakeBeanstalkd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As eventlet's does, which is `socket.socket` when that has patched it."""

    class Green:
        def __init__(self) -> None:
            self.fd = socket_classes()[0]()
            self.fileno = self.fd.fileno
            self.close = self.fd.close
            self.type = socket.SOCK_STREAM
            self.family = socket.AF_INET
            self.gettimeout = self.fd.gettimeout

        connect: Any = socket_classes()[0].connect
        connect_ex: Any = socket_classes()[0].connect_ex

    monkeypatch.setattr(socket, "socket", Green)
    green = Green()
    routing.rearm()
    with pytest.raises(OSError, match=rf"Green .*{WHAT_TO_DO}"):
        green.connect(fake.address)
    with pytest.raises(OSError, match=WHAT_TO_DO):
        green.connect_ex(fake.address)
    green.close()
    monkeypatch.undo()
    with _socket_of_c() as sock, pytest.raises(OSError, match=r"Socket.*cannot be"):
        plug_in(sock, fake)


@pytest.mark.parametrize("name", ["socket", "getaddrinfo"])
def test_a_mock_in_the_place_of_a_socket_is_left_alone(
    fake: FakeBeanstalkd, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    mock = Mock()
    monkeypatch.setattr(socket, name, mock)
    routing.rearm()
    assert getattr(socket, name) is mock
    monkeypatch.undo()
    assert is_reached(fake)


# What is done once, and at the same time.


def test_a_server_that_is_interrupted_as_it_begins_has_not_begun(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(routing, "_arm", interrupt)
    with pytest.raises(KeyboardInterrupt):
        FakeBeanstalkd().__enter__()
    assert registry.is_empty()


def test_servers_may_begin_and_end_in_several_threads_at_once(
    fake: FakeBeanstalkd,
) -> None:
    start = threading.Barrier(4)

    def serve(port: int) -> list[bool]:
        start.wait()
        served = []
        for _ in range(20):
            with FakeBeanstalkd(("queue.invalid", port)) as own:
                served.append(is_reached(own))
        return served

    threads = [in_thread(partial(serve, port)) for port in range(1, 5)]
    assert [thread.result(timeout=60) for thread in threads] == [[True] * 20] * 4
    assert is_reached(fake)
