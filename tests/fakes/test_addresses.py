"""Which addresses lead to a fake: those that would lead to a real server there."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Any

import pytest

from inproc_tubes.fakes import FakeBeanstalkd, registry
from inproc_tubes.fakes.addresses import key_of, key_of_connect, key_of_lookup
from tests.fakes.shared import HOME, UNIX, answers

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PORT = HOME[1]
INET, INET6 = socket.AF_INET, socket.AF_INET6


# What is no address: the errors of the operating system.


def connect(address: Any, family: int = INET) -> None:
    with socket.socket(family) as sock:
        sock.connect(address)


def connect_6(address: Any) -> None:
    connect(address, INET6)


def connect_ex(address: Any) -> int:
    with socket.socket() as sock:
        return sock.connect_ex(address)


def create(address: Any) -> None:
    socket.create_connection(address).close()


def outcome(function: Callable[[Any], object], address: Any) -> object:
    try:
        return function(address)
    except Exception as error:  # noqa: BLE001 # whatever it is, it is compared
        return type(error), str(error)


@pytest.mark.parametrize("verb", [connect, connect_6, connect_ex, create])
@pytest.mark.parametrize(
    "address",
    [
        None,
        "127.0.0.1",
        PORT,
        ["127.0.0.1", "x"],
        ("127.0.0.1",),
        ("127.0.0.1", PORT, 0, "x"),
        ("::1", PORT, 0, 0, 0),
        ("::1", PORT, -1),
        ("::1", PORT, 0, 1.0),
        ("127.0.0.1", float(PORT)),
        ("127.0.0.1", None),
        ("127.0.0.1", -1),
        ("127.0.0.1", 70_000),
        (None, float(PORT)),
        (127, PORT),
        (("127.0.0.1",), PORT),
        ("127.0.0.1 x", PORT),
        ("x" * 64, PORT),
        ("é" * 70, PORT),
        (b"\xff", PORT),
        ("256.0.0.1", PORT),
    ],
    ids=repr,
)
def test_what_is_no_address_has_the_same_error_as_ever(
    verb: Callable[[Any], object], address: Any
) -> None:
    before = outcome(verb, address)
    with FakeBeanstalkd() as fake:
        assert outcome(verb, address) == before
        assert fake.connections == 0
    assert isinstance(before, tuple)


@pytest.mark.parametrize(
    ("verb", "address"),
    [
        (connect, ("127.0.0.1", str(PORT))),  # and `create_connection` takes it
        (connect, ["127.0.0.1", PORT]),  # the same
        (connect, ("127.0.0.1", PORT, 0, 0)),
        (connect, ("127.0.0.1\0", PORT)),
        (connect, ("127.0.0.1", 65536 + PORT)),  # and `create_connection` takes it
        (connect, ("::1", PORT)),
        (connect_6, ("127.0.0.1", PORT)),
        (create, ("", PORT)),  # and `connect` takes it
        (create, ("127.0.0.1", "²")),
    ],
    ids=lambda one: getattr(one, "__name__", repr(one)),
)
def test_each_verb_is_as_strict_as_it_is(
    verb: Callable[[Any], object], address: Any
) -> None:
    test_what_is_no_address_has_the_same_error_as_ever(verb, address)


@pytest.mark.parametrize("address", [["127.0.0.1", PORT], ("127.0.0.1", str(PORT))])
def test_create_connection_takes_more_than_connect(
    fake: FakeBeanstalkd, address: Any
) -> None:
    with socket.create_connection(address) as sock:
        assert answers(sock)
    assert fake.connections == 0


# What is the same place.


@pytest.mark.parametrize(
    "host",
    [
        "127.1",
        "0x7f.1",
        "0177.0.0.1",
        "2130706433",
        "LocalHost",
        "ｌｏｃａｌｈｏｓｔ",  # noqa: RUF001 # as IDNA folds it
        b"localhost",
        bytearray(b"localhost"),
        "0",
    ],
    ids=repr,
)
def test_every_spelling_of_a_number_leads_to_it(
    fake: FakeBeanstalkd, host: Any
) -> None:
    with socket.create_connection((host, PORT)) as sock:
        assert answers(sock)
    with socket.socket() as sock:
        sock.connect((host, PORT))
        assert answers(sock)
    assert fake.connections == 0


@pytest.mark.parametrize(
    ("host", "family"), [("", INET), ("::ffff:127.0.0.1", INET6), ("::", INET6)]
)
def test_so_does_every_number_that_a_socket_connects_to(
    fake: FakeBeanstalkd, host: str, family: int
) -> None:
    assert key_of_connect(family, (host, PORT)) in {HOME, ("::1", PORT)}
    assert fake.connections == 0


def test_a_name_that_resolves_to_its_number_leads_to_it(
    fake: FakeBeanstalkd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a name in /etc/hosts does, which no test can add."""
    _resolve(monkeypatch, {"alias": "127.0.0.1", "elsewhere": "127.0.0.9"})
    with socket.socket() as sock:
        sock.connect(("alias", PORT))
        assert answers(sock)
    with socket.socket() as sock, pytest.raises(ConnectionRefusedError):
        sock.connect(("elsewhere", PORT))
    with socket.socket() as sock, pytest.raises(socket.gaierror):
        sock.connect(("nowhere", PORT))
    assert fake.connections == 0


def _resolve(monkeypatch: pytest.MonkeyPatch, hosts: dict[str, str]) -> None:
    def getaddrinfo(host: str, port: int | None, *_: Any) -> list[Any]:
        if host not in hosts:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(INET, socket.SOCK_STREAM, 6, "", (hosts[host], port))]

    monkeypatch.setattr("inproc_tubes.fakes.registry._getaddrinfo", getaddrinfo)


def test_the_number_of_a_host_of_ours_is_learned_as_it_is_resolved(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Somebody resolves it for another service, and then connects to the number."""
    _resolve(monkeypatch, {"machine.invalid": "127.0.0.9"})
    with FakeBeanstalkd(("machine.invalid", PORT)) as fake:
        registry.learn("other.invalid")
        assert _reached(INET, "127.0.0.9") is None
        registry.learn(b"Machine.invalid")
        with socket.socket() as sock:
            sock.connect(("127.0.0.9", PORT))
            assert answers(sock)
    with socket.socket() as sock, pytest.raises(ConnectionRefusedError):
        sock.connect(("127.0.0.9", PORT))
    assert fake.connections == 0


def test_a_host_of_ours_that_does_not_exist_teaches_nothing() -> None:
    with FakeBeanstalkd(("machine.invalid", PORT)):
        for host in (None, "machine.invalid", "other.invalid", "127.0.0.1"):
            registry.learn(host)
        assert _reached(INET, "127.0.0.1") is None


def test_localhost_is_on_both_versions_but_for_another_server() -> None:
    with FakeBeanstalkd(("localhost", PORT)) as fake:
        assert _reached(INET6, "::1") is fake
        assert _reached(INET6, "localhost") is fake
        assert fake.peer_name(INET6) == ("::1", PORT, 0, 0)
        with FakeBeanstalkd(("::1", PORT)) as other:
            assert _reached(INET6, "::1") is other
            assert _reached(INET, "localhost") is fake


def _reached(family: int, host: str) -> Any:
    return registry.find(key_of_connect(family, (host, PORT)))


def test_to_listen_at_an_address_of_a_fake_it_is_resolved_as_ever(
    fake: FakeBeanstalkd,
) -> None:
    assert fake.connections == 0
    [info] = socket.getaddrinfo(
        "0.0.0.0",  # noqa: S104 # nothing is bound
        PORT,
        INET,
        socket.SOCK_STREAM,
    )
    assert info[4] == ("0.0.0.0", PORT)  # noqa: S104 # as above


@pytest.mark.skipif(not UNIX, reason="no Unix sockets here")
def test_a_path_leads_to_it_by_every_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path)
    with FakeBeanstalkd("./socket") as fake:
        assert fake.address == "./socket"
        for path in (
            "socket",
            b"link/socket",
            bytearray(os.fsencode(tmp_path / "socket")),
        ):
            with socket.socket(socket.AF_UNIX) as sock:
                sock.connect(path)
                assert answers(sock)
        for wrong in (None, tmp_path / "socket", HOME, 7):
            with (
                socket.socket(socket.AF_UNIX) as sock,
                pytest.raises(TypeError, match="bytes-like"),
            ):
                sock.connect(wrong)  # type: ignore[arg-type] # that is it
    with FakeBeanstalkd("\0beanstalkd"), socket.socket(socket.AF_UNIX) as sock:
        sock.connect(b"\0beanstalkd")
        assert answers(sock)


@pytest.mark.parametrize(
    "address", [None, 7, ("a",), ("a", "x"), ("a", "²"), ("a", -1), (7, 7), ("a\0", 7)]
)
def test_what_is_written_down_may_be_no_address(address: Any) -> None:
    assert key_of(address) is None


def test_what_is_written_down_may_be_text_and_any_number() -> None:
    assert key_of(("LOCALHOST", "11300")) == HOME
    assert key_of(("", 99_999)) == ("127.0.0.1", 99_999)
    assert key_of_lookup("Queue", b"7") == ("queue", 7)
    assert key_of_lookup(None, 7) is None
    assert key_of_connect(socket.AddressFamily.AF_APPLETALK, HOME) is None
