"""How asyncio reaches the server in memory, and how its transports behave."""

from __future__ import annotations

import asyncio
from math import inf
from typing import TYPE_CHECKING, Any

import pytest

from inproc_tubes import DeadlockError, MonotonicClock
from inproc_tubes.fakes import FakeBeanstalkd
from inproc_tubes.testing import wait_until_waiting
from tests.fakes.shared import HOME, PUT, UNIX, collect

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from pathlib import Path


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

    asyncio.run(run())


def test_a_transport_may_be_aborted_also_when_it_is_closed(
    fake: FakeBeanstalkd,
) -> None:
    async def run() -> None:
        _, writer = await asyncio.open_connection(*fake.address)
        try:
            writer.transport.abort()
        finally:
            was_closing = writer.is_closing()
            writer.close()
            await writer.wait_closed()
        writer.transport.abort()
        assert was_closing
        assert fake.connections == 0

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
    """Records what it receives, and is closed at the end of that."""

    def __init__(self) -> None:
        self.received: list[object] = []
        self.lost = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        self.received.append(data)

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
        assert second.received == []
        transport.resume_reading()
        assert transport.is_reading()
        transport.write(b"quit\r\n")
        assert await second.lost is None
        assert (first.received, second.received) == ([], [b"INSERTED 1\r\n"])

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
            # A last call to a transport that is closed already.
            writer.transport._keep_time()  # type: ignore[attr-defined] # ours

    asyncio.run(run())


def test_a_deadlock_does_not_end_the_connection_of_a_loop() -> None:
    with FakeBeanstalkd(clock=MonotonicClock()) as fake:

        async def run() -> None:
            reader, writer = await asyncio.open_connection(*fake.address)
            fake.broker._monitor.fail_all(DeadlockError)
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
    assert fake.broker._monitor.next_due() == inf
