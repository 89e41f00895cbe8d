"""A server that goes away, and comes back."""

from __future__ import annotations

import logging
from math import inf
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from inproc_tubes import (
    ClosedError,
    ConnectionLostError,
    NotFoundError,
    NotFoundReason,
    ServerError,
    StoppedError,
    TimedOutError,
)
from inproc_tubes.remote import connect
from inproc_tubes.remote.connection import Client
from tests.remote.shared import wait_until, wait_until_asleep
from tests.threads import LONG, start

if TYPE_CHECKING:
    from collections.abc import Callable

    from inproc_tubes.fakes import FakeBeanstalkd
    from inproc_tubes.remote import RemoteBroker, RemoteConsumer, RemoteProducer
    from inproc_tubes.testing import FakeClock


def go_away(fake: FakeBeanstalkd) -> None:
    fake.refuse()
    fake.drop()


class Handles(NamedTuple):
    broker: RemoteBroker
    producer: RemoteProducer
    consumer: RemoteConsumer


VERBS: list[Any] = [
    pytest.param(lambda h: h.producer.put("x"), id="put"),
    pytest.param(lambda h: h.broker.tubes(), id="tubes"),
    pytest.param(lambda h: h.broker.kick("default", 5), id="kick"),
    pytest.param(lambda h: h.broker.stats_job(1), id="stats_job"),
    pytest.param(lambda h: h.consumer.reserve_job(1), id="reserve_job"),
    pytest.param(lambda h: h.consumer.reserve(), id="reserve"),
    pytest.param(lambda h: h.consumer.delete(1), id="delete"),
]


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_waits_for_a_server_that_is_away(
    fake: FakeBeanstalkd,
    broker: RemoteBroker,
    clock: FakeClock,
    verb: Callable[..., object],
) -> None:
    producer, consumer = broker.producer(), broker.consumer()
    producer.put("job")
    go_away(fake)
    future = start(lambda: verb(Handles(broker, producer, consumer)))
    wait_until_asleep(broker)
    fake.restore()
    clock.advance(1)
    future.result(LONG)


@pytest.mark.parametrize("verb", [*VERBS[:5], VERBS[6]])
def test_a_verb_waits_no_longer_than_it_was_told_to(
    fake: FakeBeanstalkd, clock: FakeClock, verb: Callable[..., object]
) -> None:
    url = "beanstalk://beanstalkd.test"
    with connect(url, clock=clock, reconnect_timeout=0) as broker:
        producer, consumer = broker.producer(), broker.consumer()
        go_away(fake)
        with pytest.raises(ConnectionLostError) as caught:
            verb(Handles(broker, producer, consumer))
    assert "no beanstalkd could be reached: beanstalkd.test:11300: " in str(
        caught.value
    )


def test_it_is_tried_again_after_pauses_that_grow(
    fake: FakeBeanstalkd,
    broker: RemoteBroker,
    clock: FakeClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    producer = broker.producer()
    go_away(fake)
    with caplog.at_level(logging.INFO, "inproc_tubes.remote"):
        future = start(lambda: producer.put("x"))
        (server,) = broker._network.servers
        pauses = []
        for _ in range(8):
            wait_until_asleep(broker)
            pauses.append(server._pause)
            clock.advance(server._retry_at - clock.now())
        wait_until_asleep(broker)
        fake.restore()
        clock.advance(5)
        future.result(LONG)
    assert [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5, 5] == pytest.approx(pauses)
    first, last = caplog.messages
    assert first.startswith("beanstalkd at beanstalkd.test:11300 is away: ")
    assert "beanstalkd at beanstalkd.test:11300 is back" == last


def test_a_reserve_waits_for_the_server_as_long_as_for_a_job(
    fake: FakeBeanstalkd, broker: RemoteBroker, clock: FakeClock
) -> None:
    consumer = broker.consumer()
    go_away(fake)
    with pytest.raises(TimedOutError):
        consumer.reserve(0)
    future = start(lambda: consumer.reserve(3))
    sleepers = broker._network.sleepers
    while not future.done():
        wait_until(lambda: future.done() or sleepers.next_due() < inf)
        clock.advance(0.5)
    assert isinstance(future.exception(LONG), TimedOutError)


@pytest.mark.parametrize(
    ("end", "error"),
    [
        (lambda h: h.broker.stop(), StoppedError),
        (lambda h: h.consumer.stop(), StoppedError),
        (lambda h: h.broker.close(), ClosedError),
        (lambda h: h.consumer.close(), ClosedError),
    ],
    ids=["stop the broker", "stop", "close the broker", "close"],
)
def test_what_waits_for_a_server_is_told_of_the_end(
    fake: FakeBeanstalkd,
    broker: RemoteBroker,
    end: Callable[..., object],
    error: type[Exception],
) -> None:
    consumer = broker.consumer()
    go_away(fake)
    future = start(consumer.reserve)
    wait_until_asleep(broker)
    end(Handles(broker, broker.producer(), consumer))
    assert type(future.exception(LONG)) is error


def test_a_producer_that_waits_for_a_server_is_told_of_its_close(
    fake: FakeBeanstalkd, broker: RemoteBroker
) -> None:
    producer = broker.producer()
    go_away(fake)
    future = start(lambda: producer.put("x"))
    wait_until_asleep(broker)
    producer.close()
    assert isinstance(future.exception(LONG), ClosedError)


def test_what_is_used_and_watched_is_so_again(
    fake: FakeBeanstalkd, broker: RemoteBroker
) -> None:
    producer, consumer = broker.producer("a"), broker.consumer("b")
    consumer.watch("a")
    consumer.ignore("b")
    fake.drop()
    producer.put("x")
    assert "x" == consumer.reserve(0).body
    assert ["a"] == consumer.watching()


# What is lost with a connection


def test_a_put_whose_answer_is_lost_is_not_repeated(
    fake: FakeBeanstalkd, broker: RemoteBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    producer = broker.producer()
    lose_answer_of(fake, monkeypatch, b"put")
    with pytest.raises(ConnectionLostError, match=r"^put: beanstalkd\.test:11300 may "):
        producer.put("x")
    assert 1 == fake.broker.stats_tube("default").current_jobs_ready
    producer.put("y")  # goes on


@pytest.mark.parametrize("verb", ["kick", "kick_job"])
def test_a_kick_whose_answer_is_lost_is_not_repeated(
    fake: FakeBeanstalkd,
    broker: RemoteBroker,
    monkeypatch: pytest.MonkeyPatch,
    verb: str,
) -> None:
    producer = broker.producer()
    for _ in range(2):
        producer.put("x", delay=50)
    lose_answer_of(fake, monkeypatch, b"kick")
    with pytest.raises(ConnectionLostError, match=rf"^{verb}: "):
        broker.kick("default", 1) if verb == "kick" else broker.kick_job(1)
    assert 1 == fake.broker.stats_tube("default").current_jobs_delayed


def test_a_delete_whose_answer_is_lost_has_been_done(
    fake: FakeBeanstalkd, broker: RemoteBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker.producer().put("x")
    job = broker.consumer().reserve()
    lose_answer_of(fake, monkeypatch, b"delete")
    job.delete()
    assert not job.lost
    assert [] == fake.broker.jobs("default")


def test_a_delete_of_what_nobody_holds_whose_answer_is_lost_has_been_done(
    fake: FakeBeanstalkd, broker: RemoteBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = broker.producer().put("x")
    lose_answer_of(fake, monkeypatch, b"delete")
    broker.delete(job_id)
    assert [] == fake.broker.jobs("default")


def lose_answer_of(
    fake: FakeBeanstalkd, monkeypatch: pytest.MonkeyPatch, word: bytes
) -> None:
    """Have the server do a command, and end all connections before it answers."""
    before = Client._send_cmd

    def send(self: Client, cmd: bytes, expected: bytes) -> list[bytes]:
        if not cmd.startswith(word):
            return before(self, cmd, expected)
        monkeypatch.setattr(Client, "_send_cmd", before)
        self._sock.sendall(cmd + b"\r\n")
        self.sent = True
        fake.drop()
        return [self._reader.readline() for _ in iter(int, 1)]  # until it ends

    monkeypatch.setattr(Client, "_send_cmd", send)


@pytest.mark.parametrize("verb", ["release", "bury", "touch"])
def test_a_job_in_hand_is_lost_with_its_connection(
    fake: FakeBeanstalkd, broker: RemoteBroker, verb: str
) -> None:
    broker.producer().put("x")
    job = broker.consumer().reserve()
    assert job.tube
    fake.drop()
    assert job.lost
    with pytest.raises(NotFoundError) as caught:
        getattr(job, verb)()
    assert NotFoundReason.CONNECTION_LOST is caught.value.reason
    assert "ready" == job.stats().state


def test_a_verb_that_finds_its_connection_gone_says_so(
    fake: FakeBeanstalkd, broker: RemoteBroker
) -> None:
    broker.producer().put("x")
    job = broker.consumer().reserve()
    fake.drop()
    with pytest.raises(NotFoundError) as caught:
        job.touch()
    assert NotFoundReason.CONNECTION_LOST is caught.value.reason
    assert job.lost


def test_a_lost_job_that_nobody_has_yet_may_be_deleted(
    fake: FakeBeanstalkd, broker: RemoteBroker
) -> None:
    broker.producer().put("x")
    with broker.consumer().reserve():
        fake.drop()
    assert [] == fake.broker.jobs("default")


def test_the_block_of_a_lost_job_that_another_has_raises(
    fake: FakeBeanstalkd, broker: RemoteBroker
) -> None:
    broker.producer().put("x")
    job = broker.consumer().reserve()
    job.__enter__()
    fake.drop()
    again = broker.consumer().reserve()
    with pytest.raises(NotFoundError) as caught:
        job.__exit__(None, None, None)
    assert NotFoundReason.HELD is caught.value.reason
    again.delete()


def test_a_block_that_fails_when_its_job_is_lost_is_left_by_its_own_exception(
    fake: FakeBeanstalkd, broker: RemoteBroker
) -> None:
    broker.producer().put("x")
    with pytest.raises(ZeroDivisionError), broker.consumer().reserve():  # noqa: PT012 - the block is the subject
        fake.drop()
        raise ZeroDivisionError
    assert 1 == fake.broker.stats_tube("default").current_jobs_ready


def test_a_server_that_is_none_is_told_of(
    broker: RemoteBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    producer, consumer = broker.producer(), broker.consumer()
    monkeypatch.setattr(Client, "_send_cmd", lambda *_: parse(b"HTTP/1.1 400 Bad\r\n"))
    with pytest.raises(ServerError, match=r"^the server has answered HTTP/1\.1$"):
        producer.put("x")
    with pytest.raises(ServerError):
        consumer.delete(1)


def parse(line: bytes) -> list[bytes]:
    import greenstalk  # noqa: PLC0415 - for this alone

    return greenstalk._parse_response(line, b"OK")
