"""Servers that take connections, and answer nothing, a part, or something else."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, Any

import aiostalk
import greenstalk
import pytest

from inproc_tubes import (
    ClosedError,
    ConnectionLostError,
    JobTooBigError,
    ServerError,
    TimedOutError,
)
from inproc_tubes.remote import connect, connection
from inproc_tubes.remote.connection import Client, Connection
from inproc_tubes.remote.server import Server
from inproc_tubes.testing import FakeClock
from tests.remote.shared import wait_until_reserving
from tests.remote.test_corners import fail_once
from tests.threads import LONG, start

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from inproc_tubes.fakes import FakeBeanstalkd
    from inproc_tubes.remote import RemoteBroker
    from tests.remote.shared import Beanstalkd


async def _put(broker: RemoteBroker) -> None:
    with broker.async_producer() as producer:
        await producer.put(1)


async def _reserve(broker: RemoteBroker) -> None:
    with broker.async_consumer() as consumer:
        await consumer.reserve(0)


VERBS: list[Any] = [
    pytest.param(lambda b: b.tubes(), id="tubes"),
    pytest.param(lambda b: b.kick("default", 1), id="kick"),
    pytest.param(lambda b: b.delete(1), id="delete"),
    pytest.param(lambda b: b.producer().put(1), id="put"),
    pytest.param(lambda b: asyncio.run(_put(b)), id="async put"),
    pytest.param(lambda b: b.consumer().reserve_job(1), id="reserve_job"),
    pytest.param(lambda b: b.consumer().reserve(0), id="reserve"),
    pytest.param(lambda b: asyncio.run(_reserve(b)), id="async reserve"),
]


@contextmanager
def answering(answer: bytes) -> Iterator[str]:
    """Yield the URL of a server that gives this answer to all, and hangs up."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with suppress(OSError):
            while True:
                sock, _ = listener.accept()
                with closing(sock), suppress(OSError):
                    sock.recv(4096)
                    sock.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"beanstalk://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(LONG)


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(
    "answer", [b"", b"USING def", b"use default\r\n", b"USING default\r\n"]
)
def test_what_takes_connections_and_ends_them_is_away(
    verb: Callable[[Any], object], answer: bytes
) -> None:
    """The last answer is that of a connection which the system has made to itself."""
    with (
        answering(answer) as url,
        connect(url, reconnect_timeout=0) as broker,
        pytest.raises((ConnectionLostError, TimedOutError)),
    ):
        verb(broker)


def test_connections_that_end_together_are_one_break() -> None:
    server = Server(("a", 1), 0, FakeClock())
    for _ in range(10):
        server.note_break(0, ConnectionError())
    assert 1 == server.breaks
    assert not server.is_away
    for made_after in (1, 2):
        server.note_break(made_after, ConnectionError())
    assert server.is_away


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad\r\n", b"OUT_OF_MEMORY\r\n"])
def test_what_is_no_beanstalkd_is_told_of_at_once(
    verb: Callable[[Any], object], answer: bytes
) -> None:
    word = answer.split()[0].decode()
    with (
        answering(answer) as url,
        connect(url) as broker,
        pytest.raises(ServerError, match=f"^the server has answered {word}$"),
    ):
        verb(broker)


@pytest.mark.real
@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_waits_for_a_server_that_hangs_no_longer_than_it_was_told_to(
    beanstalkd: Beanstalkd, verb: Callable[[Any], object]
) -> None:
    with connect(beanstalkd.url, answer_timeout=0.02, reconnect_timeout=0) as broker:
        with suppress(ConnectionLostError):  # on a slow machine
            broker.tubes()
        beanstalkd.hang()
        with pytest.raises((ConnectionLostError, TimedOutError)):
            verb(broker)


@pytest.mark.real
def test_a_reserve_finds_that_its_server_hangs(beanstalkd: Beanstalkd) -> None:
    with connect(beanstalkd.url, answer_timeout=0.02) as broker:
        for consumer in (broker.consumer(), broker.consumer("a")):
            beanstalkd.hang()
            with pytest.raises(TimedOutError):
                consumer.reserve(0)


@pytest.mark.real
def test_a_close_waits_once_for_a_server_that_hangs(
    beanstalkd: Beanstalkd, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = []
    before = socket.socket.settimeout

    def settimeout(self: socket.socket, seconds: float | None) -> None:
        waits.append(seconds)
        before(self, seconds)

    monkeypatch.setattr(connection, "_GOODBYE", 0.02)
    with connect(beanstalkd.url) as broker:
        handles = [broker.producer() for _ in range(5)]
        beanstalkd.hang()
        monkeypatch.setattr(socket.socket, "settimeout", settimeout)
        broker.close()
    assert [0.02, 0, 0, 0, 0] == waits[: len(handles)]


@pytest.mark.real
@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows cannot fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_child_may_be_forked_while_a_reserve_waits(beanstalkd: Beanstalkd) -> None:
    with connect(beanstalkd.url) as broker:
        consumer = broker.consumer()
        future = start(consumer.reserve)
        wait_until_reserving(broker)
        child = os.fork()
        if child == 0:  # pragma: no cover - coverage is the parent's
            code = 1
            with suppress(BaseException):
                try:
                    consumer.reserve(0)
                except ClosedError:
                    code = 0
            os._exit(code)
        assert 0 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        broker.producer().put(1)
        assert 1 == future.result(LONG).body


@pytest.mark.parametrize(
    ("word", "verb"),
    [
        (b"watch", lambda b: b.consumer("a")),
        (b"use", lambda b: b.producer("a")),
        (b"delete", lambda b: b.delete(1)),
        (b"delete", lambda b: b.consumer().reserve().delete()),
        (b"stats-job", lambda b: b.consumer().reserve().ttr),
        (b"release", lambda b: b.consumer().reserve().release()),
    ],
    ids=["watch", "use", "delete", "delete a held one", "stats-job", "release"],
)
def test_each_refusal_is_an_error_of_ours(
    broker: RemoteBroker,
    monkeypatch: pytest.MonkeyPatch,
    word: bytes,
    verb: Callable[[Any], object],
) -> None:
    broker.producer().put(1)
    fail_once(monkeypatch, word, greenstalk.OutOfMemoryError)
    with pytest.raises(ServerError):
        verb(broker)


def test_a_job_that_was_buried_for_want_of_memory_is_not_in_hand(
    broker: RemoteBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker.producer().put(1)
    consumer = broker.consumer()
    job = consumer.reserve()
    fail_once(monkeypatch, b"release", greenstalk.BuriedError)
    with pytest.raises(ServerError, match=r"BURIED$"):
        job.release(priority=1)
    assert not consumer._pool.held


def test_a_tube_may_be_named_by_digits(broker: RemoteBroker) -> None:
    broker.producer("007").put(1)
    job = broker.consumer("007").reserve()
    assert "007" == job.tube
    assert "007" == broker.stats_tube("007").name


@pytest.mark.parametrize("verb", ["reserve_job", "reserve_many"])
def test_what_is_interrupted_gives_its_jobs_back(
    fake: FakeBeanstalkd,
    broker: RemoteBroker,
    monkeypatch: pytest.MonkeyPatch,
    verb: str,
) -> None:
    broker.producer().put_many([1, 2])
    consumer = broker.consumer()
    before = Connection.ask

    def ask(self: Connection, command: Any, *args: Any) -> None:
        assert command in {Client.reserve, Client.reserve_job}
        before(self, command, *args)
        raise KeyboardInterrupt

    monkeypatch.setattr(Connection, "ask", ask)
    with pytest.raises(KeyboardInterrupt):
        getattr(consumer, verb)(1 if verb == "reserve_job" else 2)
    assert 0 == fake.broker.stats_tube("default").current_jobs_reserved


def test_an_awaited_put_that_is_too_big_says_so(broker: RemoteBroker) -> None:
    async def put() -> None:
        async with broker.async_producer() as producer:
            with pytest.raises(JobTooBigError) as caught:
                await producer.put("x" * 70_000)
            assert 65_535 == caught.value.limit
            await producer.put("x")

    asyncio.run(put())


def test_an_answer_may_come_in_parts() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"FOUND 1 5\r\nhe")
        reader = connection._Reader(ours)
        assert b"FOUND 1 5\r\n" == reader.readline()
        theirs.sendall(b"llo\r\nDEL")
        assert b"hello\r\n" == reader.read(7)
        theirs.shutdown(socket.SHUT_WR)
        with pytest.raises(ConnectionError):
            reader.readline()


def test_a_reserve_that_cannot_be_sent_is_repeated(
    broker: RemoteBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker.producer().put(1)

    def fail(*_: object) -> None:
        monkeypatch.undo()
        raise OSError

    consumer = broker.consumer()
    monkeypatch.setattr(Client, "begin_reserve", fail)
    assert 1 == consumer.reserve().body


def test_an_awaited_put_may_be_cancelled_while_it_connects(
    fake: FakeBeanstalkd, broker: RemoteBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def put() -> None:
        entered = asyncio.Event()

        async def never(*_: object) -> None:
            entered.set()
            await asyncio.Event().wait()

        monkeypatch.setattr(aiostalk.Client, "use", never)
        async with broker.async_producer() as producer:
            task = asyncio.create_task(producer.put(1))
            await entered.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await asyncio.sleep(0)

    asyncio.run(put())
    assert 0 == fake.connections
