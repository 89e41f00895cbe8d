"""A fake in a forked child: it is the parent's, and says so as a client expects it."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from typing import TYPE_CHECKING

import pytest

from inproc_tubes.fakes import FakeBeanstalkd
from inproc_tubes.testing import FakeClock
from tests.fakes.shared import HOME, PUT, answers, ask
from tests.robustness.processes import run

if TYPE_CHECKING:
    from collections.abc import Callable

PARENTS = r"the FakeBeanstalkd here is that of the parent process"

FORKED = """
import os, socket, sys, threading, warnings
from inproc_tubes.fakes import FakeBeanstalkd
from inproc_tubes.testing import FakeClock, wait_until_waiting

# Since 3.12: threads may hold locks as the process forks. That is the point here.
warnings.filterwarnings("ignore", "This process .* is multi-threaded")

def ask(sock):
    sock.sendall(b"list-tube-used\\r\\n")
    return sock.recv(100)

def tell(function):
    try:
        print(function(), flush=True)
    except OSError as error:
        print(type(error).__name__, error, flush=True)

with FakeBeanstalkd(clock=FakeClock()) as fake:
    port = fake.listen()
    sock = socket.create_connection(fake.address)
    waiting = socket.create_connection(fake.address)
    waiting.sendall(b"reserve\\r\\n")
    reader = threading.Thread(target=waiting.recv, args=(1,))
    reader.start()
    wait_until_waiting(fake.broker, 1)
    [listener] = fake._listeners
    remote = socket.create_connection(port)
    ask(remote)
    [client] = listener._clients
    connection = next(iter(fake._connections))
    with connection._lock:  # another thread is in the middle of a command
        child = os.fork()
    if not child:
        print(client.sock.fileno(), listener._socket.fileno())
        tell(lambda: ask(sock))
        tell(lambda: ask(waiting))
        tell(lambda: sock.shutdown(socket.SHUT_WR))
        tell(lambda: socket.create_connection(fake.address))
        sock.close()
        waiting.close()
        try:
            fake.listen()
        except RuntimeError as error:
            print(error)
        with socket.create_connection(port) as real:
            tell(lambda: ask(real))
        remote.close()
        with FakeBeanstalkd() as own, socket.create_connection(own.address) as sock:
            tell(lambda: ask(sock))
        fake.__exit__(None, None, None)
        with fake, socket.create_connection(fake.address) as sock:
            tell(lambda: ask(sock))
        sys.stdout.flush()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    tell(lambda: ask(remote))
    remote.close()
    sock.close()
    fake.drop()
    reader.join()
    waiting.close()
try:
    socket.create_connection(port)
except ConnectionRefusedError:
    print("the child's exit:", os.waitstatus_to_exitcode(status))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows cannot fork")
def test_after_a_fork_it_is_the_parents() -> None:
    told = run(FORKED).splitlines()
    parents = PARENTS + ", in its memory: let it listen() on a port there, and connect"
    parents += " to that, or start another in the child"
    reset = f"ConnectionResetError [Errno {errno.ECONNRESET}] {parents}"
    assert told == [
        "-1 -1",
        reset,
        reset,
        reset,
        f"ConnectionRefusedError [Errno {errno.ECONNREFUSED}] {parents}",
        "the FakeBeanstalkd is not active: enter it first, in a with block",
        *[repr(b"USING default\r\n")] * 4,
        "the child's exit: 0",
    ]


# The same without a child, step by step.


def test_an_inherited_connection_refuses_everything(
    fake: FakeBeanstalkd, sock: socket.socket
) -> None:
    for connection in fake._connections:
        connection.leave_to_parent()
    uses: list[Callable[[], object]] = [
        lambda: sock.send(PUT),
        lambda: sock.recv(1),
        lambda: sock.shutdown(socket.SHUT_WR),
    ]
    for use in uses:
        with pytest.raises(ConnectionResetError, match=PARENTS):
            use()


def test_an_inherited_server_refuses_until_it_is_entered_again() -> None:
    fake = FakeBeanstalkd(clock=FakeClock())
    with fake:
        fake.listen()
        [listener] = fake._listeners
        with socket.create_connection(listener.address) as sock:
            assert answers(sock)
            clients = list(listener._clients)
            listener.stop()
            listener._clients.update(dict.fromkeys(clients))  # as without the thread
            fake.leave_to_parent()
        with pytest.raises(ConnectionRefusedError, match=PARENTS):
            socket.create_connection(HOME)
        with pytest.raises(RuntimeError, match="not active"):
            fake.listen()
        with FakeBeanstalkd() as other, socket.create_connection(HOME) as sock:
            assert ask(sock, PUT) == b"INSERTED 1\r\n"
            assert other.connections == 1
    with fake, socket.create_connection(HOME) as sock:
        assert answers(sock)


def test_an_inherited_transport_is_lost(fake: FakeBeanstalkd) -> None:
    async def main() -> None:
        reader, writer = await asyncio.open_connection(*HOME)
        for connection in fake._connections:
            connection.leave_to_parent()
        writer.write(PUT)
        with pytest.raises(ConnectionResetError, match=PARENTS):
            await reader.readline()
        writer.close()
        other, writer = await asyncio.open_connection(*HOME)
        fake.broker.producer().put(b"a")
        for connection in fake._connections:
            connection.leave_to_parent()
            connection.on_output()
        with pytest.raises(ConnectionResetError, match=PARENTS):
            await other.readline()
        writer.close()

    asyncio.run(main())
