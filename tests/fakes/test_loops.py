"""How event loops reach a fake, asyncio's and uvloop's: by streams, sockets and anyio."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any

import aiostalk
import anyio
import pytest
import trio

from inproc_tubes import DeadlockError, MonotonicClock
from inproc_tubes.fakes import FakeBeanstalkd, loop_routes
from inproc_tubes.testing import FakeClock
from tests.fakes.shared import PUT, RESERVED, UNIX

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator
    from pathlib import Path

    Run = Callable[[Coroutine[Any, Any, None]], None]

LOOPS = ["asyncio"]
try:
    import uvloop
except ImportError:  # pragma: no cover # Windows has none
    pass
else:
    LOOPS.append("uvloop")

USED = b"list-tube-used\r\n"
USING = b"USING default\r\n"


@pytest.fixture(params=LOOPS)
def run(request: pytest.FixtureRequest) -> Run:
    """Run a coroutine in a loop of this kind."""

    def in_loop(coroutine: Coroutine[Any, Any, None]) -> None:
        factory = uvloop.new_event_loop if request.param == "uvloop" else None
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(coroutine)

    return in_loop


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


async def exchange(host: Any, port: Any, **options: Any) -> bytes:
    reader, writer = await asyncio.open_connection(host, port, **options)
    writer.write(USED)
    reply = await reader.readline()
    writer.close()
    await writer.wait_closed()
    return reply


# Streams


def test_aiostalk_reaches_it(run: Run, fake: FakeBeanstalkd) -> None:
    async def main() -> None:
        async with aiostalk.Client(fake.address) as client:
            assert await client.put("piano") == 1
            assert (await client.reserve(timeout=0)).body == "piano"

    run(main())


@pytest.mark.parametrize("host", ["localhost", "127.1", b"127.0.0.1", "0x7f.1"])
def test_streams_reach_it_by_every_spelling(
    run: Run, fake: FakeBeanstalkd, host: Any
) -> None:
    async def main() -> None:
        assert await exchange(host, fake.address[1]) == USING
        assert await exchange(host, str(fake.address[1])) == USING

    run(main())


def test_streams_reach_it_by_a_name_that_resolves_to_it(
    run: Run, fake: FakeBeanstalkd, monkeypatch: pytest.MonkeyPatch
) -> None:
    def getaddrinfo(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        if host == "nowhere":
            raise socket.gaierror
        found = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
        return [(*found, ("127.0.0.9", port)), (*found, ("127.0.0.1", port))]

    async def asked(_: Any, *args: Any, **kwargs: Any) -> list[Any]:
        return getaddrinfo(*args, **kwargs)

    async def main() -> None:
        assert await exchange("alias", fake.address[1]) == USING
        with pytest.raises(socket.gaierror):
            await asyncio.open_connection("nowhere", fake.address[1])

    for name in LOOPS:
        cls = uvloop.Loop if name == "uvloop" else asyncio.BaseEventLoop
        monkeypatch.setattr(cls, "getaddrinfo", asked)
    run(main())


def test_a_host_that_does_not_resolve_does(run: Run) -> None:
    async def main() -> None:
        with FakeBeanstalkd(("queue.invalid", 7)):
            assert await exchange("queue.invalid", 7) == USING
            loop = asyncio.get_running_loop()
            [info, *_] = await loop.getaddrinfo("queue.invalid", 7)
            assert await exchange(*info[4][:2]) == USING
            with pytest.raises(socket.gaierror):
                await loop.getaddrinfo("queue.invalid", 8)
            with pytest.raises(socket.gaierror):
                await loop.getaddrinfo("other.invalid", 7)

    run(main())


def test_a_loop_learns_the_number_of_a_host_of_ours(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may do so in C, as uvloop does, where no audit hook sees it."""

    def getaddrinfo(*_: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.9", 0))]

    monkeypatch.setattr("inproc_tubes.fakes.registry._getaddrinfo", getaddrinfo)

    async def main() -> None:
        with FakeBeanstalkd(("queue.invalid", 7)):
            loop = asyncio.get_running_loop()
            with pytest.raises(socket.gaierror):
                await loop.getaddrinfo("queue.invalid", 8)
            assert await exchange("127.0.0.9", 7) == USING

    run(main())


@pytest.mark.skipif(not UNIX, reason="no Unix sockets here")
def test_streams_reach_a_path(run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        path = tmp_path / "socket"
        with FakeBeanstalkd(path):
            reader, writer = await asyncio.open_unix_connection(path)
            writer.write(USED)
            assert await reader.readline() == USING
            writer.close()
            await writer.wait_closed()
        with pytest.raises(FileNotFoundError):
            await asyncio.open_unix_connection(path)

    run(main())


def test_other_addresses_behave_as_ever(run: Run, fake: FakeBeanstalkd) -> None:
    async def hello(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.read(1) == b"x"
        writer.write(b"hello\n")
        writer.close()
        await writer.wait_closed()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with await asyncio.start_server(hello, "127.0.0.1", 0) as server:
            address = server.sockets[0].getsockname()
            reader, writer = await asyncio.open_connection(*address)
            writer.write(b"x")
            assert await reader.readline() == b"hello\n"
            writer.close()
            await writer.wait_closed()
            for _ in range(2):
                with socket.socket() as sock:
                    sock.settimeout(0)
                    await loop.sock_connect(sock, address)
                    await loop.sock_sendall(sock, b"x")
                    assert await loop.sock_recv(sock, 6) == b"hello\n"
                    buffer = bytearray(1)
                    assert await loop.sock_recv_into(sock, buffer) == 0
        with pytest.raises(socket.gaierror):
            await asyncio.open_connection("127.0.0.1", "no service")
        with socket.socket(type=socket.SOCK_DGRAM) as sock:
            sock.settimeout(0)
            await loop.sock_connect(sock, fake.address)
            assert type(sock) is socket.socket
        assert fake.connections == 0

    run(main())


@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
def test_a_loop_takes_over_no_socket_in_memory(run: Run, fake: FakeBeanstalkd) -> None:
    async def main() -> None:
        reason = r"an in-memory connection has no file descriptor to wait for"
        loop = asyncio.get_running_loop()
        with socket.create_connection(fake.address) as sock:
            for connect in (asyncio.open_connection, asyncio.open_unix_connection):
                with pytest.raises(OSError, match=reason):
                    await connect(sock=sock)
            with pytest.raises(OSError, match=reason):
                loop.add_reader(sock, print)

    run(main())


# Sockets


async def connected(address: Any) -> socket.socket:
    sock = socket.socket()
    sock.settimeout(0)
    await asyncio.get_running_loop().sock_connect(sock, address)
    return sock


def test_a_loop_connects_sockets_and_waits_for_them(
    run: Run, fake: FakeBeanstalkd
) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with await connected(fake.address) as sock:
            await loop.sock_sendall(sock, USED)
            assert await loop.sock_recv(sock, 5) == USING[:5]
            buffer = bytearray(100)
            assert await loop.sock_recv_into(sock, buffer) == len(USING) - 5
            assert buffer.startswith(USING[5:])
            await loop.sock_sendall(sock, b"reserve\r\n")
            waiting = asyncio.create_task(loop.sock_recv(sock, 100))
            await asyncio.sleep(0)
            assert not waiting.done()
            fake.broker.producer().put(b"a")
            assert await waiting == RESERVED
            await loop.sock_sendall(sock, b"quit\r\n")
            assert await loop.sock_recv(sock, 100) == b""
        with await connected(("localhost", fake.address[1])) as sock:
            waiting = asyncio.create_task(loop.sock_recv(sock, 100))
            await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
        assert fake.connections == 0

    run(main())


def test_a_socket_connects_by_a_name_that_resolves_to_it(
    run: Run, fake: FakeBeanstalkd, monkeypatch: pytest.MonkeyPatch
) -> None:
    def getaddrinfo(_: Any, port: int, *__: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr("inproc_tubes.fakes.registry._getaddrinfo", getaddrinfo)

    async def main() -> None:
        (await connected(("alias", fake.address[1]))).close()

    run(main())


def test_a_socket_is_not_connected_to_a_server_that_refuses(
    run: Run, fake: FakeBeanstalkd
) -> None:
    async def main() -> None:
        fake.refuse()
        loop = asyncio.get_running_loop()
        sock = socket.socket()
        sock.settimeout(0)
        with sock, pytest.raises(ConnectionRefusedError):
            await loop.sock_connect(sock, fake.address)

    run(main())


def test_a_real_clock_keeps_time_for_a_socket_of_a_loop(run: Run) -> None:
    async def main() -> None:
        with FakeBeanstalkd(clock=MonotonicClock()) as fake:
            loop = asyncio.get_running_loop()
            with await connected(fake.address) as sock:
                await loop.sock_sendall(sock, b"reserve\r\n")
                waiting = asyncio.create_task(loop.sock_recv(sock, 100))
                fake.broker.producer().put(b"a", delay=0.01)
                async with asyncio.timeout(10):
                    assert await waiting == RESERVED

    run(main())


def test_a_clock_moved_by_hand_answers_a_socket_of_a_loop(run: Run) -> None:
    async def main() -> None:
        clock = FakeClock()
        with FakeBeanstalkd(clock=clock) as fake:
            loop = asyncio.get_running_loop()
            with await connected(fake.address) as sock:
                await loop.sock_sendall(sock, b"reserve-with-timeout 30\r\n")
                waiting = asyncio.create_task(loop.sock_recv(sock, 100))
                await asyncio.sleep(0)
                clock.advance(30)
                async with asyncio.timeout(10):
                    assert await waiting == b"TIMED_OUT\r\n"

    run(main())


def test_a_socket_that_would_wait_for_ever_is_told(
    run: Run, fake: FakeBeanstalkd
) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with await connected(fake.address) as sock:
            waiting = asyncio.create_task(loop.sock_recv(sock, 100))
            await asyncio.sleep(0)
            fake.broker._monitor.fail_all(DeadlockError)
            with pytest.raises(DeadlockError):
                await waiting

    run(main())


def test_output_for_a_loop_that_was_closed_goes_nowhere(fake: FakeBeanstalkd) -> None:
    loop = asyncio.new_event_loop()
    reader = loop_routes._Reader(loop)
    loop.close()
    reader.nudge()
    assert fake.connections == 0


# anyio, and trio


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize("use_uvloop", [name == "uvloop" for name in LOOPS])
def test_anyio_reaches_it_on_asyncio(
    fake: FakeBeanstalkd, host: str, *, use_uvloop: bool
) -> None:
    async def main() -> None:
        async with await anyio.connect_tcp(host, fake.address[1]) as stream:
            await stream.send(PUT)
            assert await stream.receive() == b"INSERTED 1\r\n"

    anyio.run(main, backend_options={"use_uvloop": use_uvloop})


def test_trio_is_refused_and_told_what_to_do(fake: FakeBeanstalkd) -> None:
    async def main() -> None:
        with trio.socket.socket() as sock:
            await sock.connect(fake.address)

    with pytest.raises(OSError, match=r"trio.* let it listen\(\) on a port"):
        trio.run(main)


def test_every_class_of_loops_is_patched_once() -> None:
    class Loop(asyncio.SelectorEventLoop):
        pass

    class Bare(asyncio.AbstractEventLoop):
        pass

    owners = [patch._owner for patch in loop_routes.patches()]
    assert asyncio.BaseEventLoop in owners
    assert not {Loop, Bare, asyncio.AbstractEventLoop} & set(owners)
    assert len(set(loop_routes.patches())) == len(owners)
    assert loop_routes.patches() is loop_routes.patches()
