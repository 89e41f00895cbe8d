"""The last line, in programs of their own: a hook stays for the life of a process.

And in CPython 3.11 it is not installed in one that is traced, as this one may be. A real
server listens at the fake's address in each program, and must never see a connection.
"""

from __future__ import annotations

import sys
import threading
from typing import Any

import pytest

from inproc_tubes.fakes import audit
from tests.robustness.processes import run

PROGRAM = """
import _socket, socket
from inproc_tubes.fakes import FakeBeanstalkd, registry

listener = socket.create_server(("127.0.0.1", 0))
address = listener.getsockname()
theirs = socket.socket.connect, socket.socket.connect_ex

def tell(function):
    try:
        print(function())
    except OSError as error:
        print(type(error).__name__, error)

def talk(sock):
    with sock:
        sock.sendall(b"list-tube-used\\r\\n")
        return sock.recv(100)

def connect(sock, to=address, verb="connect"):
    try:
        return getattr(sock, verb)(to)
    finally:
        sock.close()

with FakeBeanstalkd(address) as fake:
{body}
    print(fake.connections, "connected")
listener.settimeout(0)
tell(listener.accept)
listener.close()
"""

REFUSED = "OSError [Errno 95] a {} past our patches cannot be connected to a "
USING = repr(b"USING default\r\n")

CASES: dict[str, tuple[str, list[str]]] = {
    "a connect that another puts back is mended with the next socket": (
        """
    socket.socket.connect, socket.socket.connect_ex = theirs
    print(talk(socket.create_connection(address)))
    socket.socket.connect, socket.socket.connect_ex = theirs
    sock = socket.socket()
    print(sock.connect_ex(address), talk(sock))
    """,
        [USING, "0 " + USING],
    ),
    "a socket that was made before is refused once": (
        """
    sock = socket.socket()
    socket.socket.connect, socket.socket.connect_ex = theirs
    tell(lambda: sock.connect(address))
    sock.connect(address)
    print(talk(sock))
    """,
        [REFUSED.format("socket.socket"), USING],
    ),
    "a socket of the module in C is refused": (
        """
    tell(lambda: connect(_socket.socket()))
    tell(lambda: connect(_socket.socket(), verb="connect_ex"))
    tell(lambda: connect(_socket.socket(), ("127.0.0.1", 1)))
    """,
        [
            REFUSED.format("_socket.socket"),
            REFUSED.format("_socket.socket"),
            "ConnectionRefusedError [Errno 111] Connection refused",
        ],
    ),
    "a class of somebody's own is refused": (
        """
    Own = type("Own", (_socket.socket,), {"__module__": "own"})
    tell(lambda: connect(Own()))
    """,
        [REFUSED.format("own.Own")],
    ),
    "a socket that connects as it sends is refused": (
        """
    fast = getattr(socket, "MSG_FASTOPEN", 0)
    with socket.socket() as sock:
        tell(lambda: sock.sendto(b"x", fast, address))
        tell(lambda: sock.sendmsg([b"x"], [], fast, address))
        tell(lambda: sock.sendmsg([b"x"]))
    """,
        [
            REFUSED.format("socket.socket"),
            REFUSED.format("socket.socket"),
            "BrokenPipeError [Errno 32] Broken pipe",
        ],
    ),
    "a server that takes no connections says so": (
        """
    fake.refuse()
    tell(lambda: connect(_socket.socket()))
    """,
        ["ConnectionRefusedError [Errno 111] Connection refused"],
    ),
    "a number of ours is learned as it is resolved": (
        """
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.9", 0))]
    registry._getaddrinfo = lambda *_: found
    with FakeBeanstalkd(("queue.invalid", 7)):
        tell(lambda: socket.gethostbyname("queue.invalid"))
        print(talk(socket.create_connection(("127.0.0.9", 7))))
    """,
        ["gaierror [Errno -2] Name or service not known", USING],
    ),
}


@pytest.mark.skipif(sys.platform != "linux", reason="the texts are those of Linux")
@pytest.mark.parametrize("case", CASES)
def test_nothing_that_python_does_gets_past_it(case: str) -> None:
    body, expected = CASES[case]
    *told, connected, accepted = run(PROGRAM.format(body=body)).splitlines()
    assert len(told) == len(expected)
    for line, beginning in zip(told, expected, strict=True):
        assert line.startswith(beginning)
    assert connected == "0 connected"
    assert accepted.startswith("BlockingIOError")


AFTERWARDS = """
import socket, threading
from inproc_tubes.fakes import FakeBeanstalkd
with FakeBeanstalkd() as fake:
    pass
connect = socket.socket.connect
with socket.socket() as sock:
    try:
        sock.connect(fake.address)
    except ConnectionRefusedError as error:
        print(error)
print("connect" in vars(socket.socket))
"""


def test_without_a_server_it_does_nothing() -> None:
    *_, told, is_patched = run(AFTERWARDS).splitlines()
    assert told.endswith("Connection refused")
    assert is_patched == "False"


# When it is installed


def test_it_is_installed_once_and_only_if_that_is_safe(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hooks: list[Any] = []
    monkeypatch.setattr(sys, "addaudithook", hooks.append)
    monkeypatch.setattr(audit, "_installed", [])
    for is_safe in (False, True, True):
        monkeypatch.setattr(audit, "is_safe", lambda is_safe=is_safe: is_safe)
        audit.install(lambda: None)
    assert len(hooks) == 1


@pytest.mark.parametrize("version", [(3, 11), (3, 12), (3, 13)])
def test_it_breaks_no_tool_that_traces(
    version: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "version_info", (*version, 0, "final", 0))
    tools = [(sys, "gettrace"), (sys, "getprofile")]
    tools += [(threading, "gettrace"), (threading, "getprofile")]
    for owner, name in tools:
        monkeypatch.setattr(owner, name, lambda: None)
    assert audit.is_safe()
    for owner, name in tools:
        with monkeypatch.context() as traced:
            traced.setattr(owner, name, lambda: print)
            assert audit.is_safe() == (version > (3, 11))
