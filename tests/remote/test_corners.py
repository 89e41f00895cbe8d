"""What happens seldom: refusals, interruptions, and answers that come in between."""

from __future__ import annotations

import asyncio
import copy
from math import inf
from typing import TYPE_CHECKING, Any, NamedTuple

import greenstalk
import pytest

from inproc_tubes import (
    ClosedError,
    ConnectionLostError,
    DrainingError,
    NotFoundError,
    NotFoundReason,
    ServerError,
    StoppedError,
    TimedOutError,
    at_exit,
)
from inproc_tubes.fakes import FakeBeanstalkd
from inproc_tubes.remote import (
    RemoteBroker,
    RemoteConsumer,
    RemoteProducer,
    connect,
    connection,
    pool,
    server,
)
from inproc_tubes.remote.connection import Client, Lost, ReservationState
from inproc_tubes.remote.sleeping import ThreadSleeper
from tests.remote.shared import wait_until, wait_until_asleep
from tests.remote.test_outages import lose_answer_of
from tests.threads import LONG, start

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from inproc_tubes import Job
    from inproc_tubes.testing import FakeClock
    from tests.remote.shared import Beanstalkd


class Handles(NamedTuple):
    broker: RemoteBroker
    consumer: RemoteConsumer
    job: Job | None


URL = "beanstalk://beanstalkd.test"


# Refusals


def test_a_server_that_is_drained_takes_no_jobs(
    fake: FakeBeanstalkd, broker: RemoteBroker
) -> None:
    fake.drain()
    with pytest.raises(DrainingError):
        broker.producer().put(1)

    async def put() -> None:
        async with broker.async_producer() as async_producer:
            await async_producer.put(1)

    with pytest.raises(DrainingError):
        asyncio.run(put())


def test_a_server_without_memory_says_so(
    fake: FakeBeanstalkd, broker: RemoteBroker
) -> None:
    fake.broker.limit_tube("default", 1)
    producer = broker.producer()
    producer.put(1)
    with pytest.raises(ServerError, match=r"^the server has answered OUT_OF_MEMORY$"):
        producer.put(2)


def fail_once(
    monkeypatch: pytest.MonkeyPatch, word: bytes, error: type[BaseException]
) -> None:
    """Have the next command of this name fail."""
    before = Client._send_cmd

    def send(self: Client, cmd: bytes, expected: bytes) -> list[bytes]:
        if not cmd.startswith(word):
            return before(self, cmd, expected)
        monkeypatch.undo()
        raise error

    monkeypatch.setattr(Client, "_send_cmd", send)


@pytest.mark.parametrize(
    ("word", "verb"),
    [
        (b"list-tubes", lambda h: h.broker.tubes()),
        (b"kick", lambda h: h.broker.kick("default", 1)),
        (b"reserve-job", lambda h: h.consumer.reserve_job(2)),
        (b"touch", lambda h: h.job.touch()),
        (b"put", lambda h: h.broker.producer().put(1)),
        (b"reserve-with", lambda h: h.consumer.reserve_many(2)),
    ],
    ids=["tubes", "kick", "reserve_job", "touch", "put", "reserve_many"],
)
def test_an_internal_error_is_passed_on(
    broker: RemoteBroker,
    monkeypatch: pytest.MonkeyPatch,
    word: bytes,
    verb: Callable[..., object],
) -> None:
    broker.producer().put_many([1, 2, 3])
    consumer = broker.consumer()
    job = consumer.reserve()
    fail_once(monkeypatch, word, greenstalk.InternalError)
    with pytest.raises(ServerError, match=r"INTERNAL_ERROR$"):
        verb(Handles(broker, consumer, job))
    assert broker.tubes()  # in step


def test_a_put_that_the_server_buries_is_an_error(
    broker: RemoteBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_once(monkeypatch, b"put", greenstalk.BuriedError)
    with pytest.raises(ServerError, match=r"BURIED$"):
        broker.producer().put(1)


def test_an_error_that_is_none_of_beanstalkds_has_its_name() -> None:
    class NewError(greenstalk.BeanstalkdError):
        pass

    error = NewError([])
    assert "NewError" in str(connection.refusal_of(error))


def test_a_reserve_may_be_refused(
    broker: RemoteBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> object:
        monkeypatch.undo()
        raise greenstalk.InternalError

    monkeypatch.setattr(Client, "end_reserve", refuse)
    with pytest.raises(ServerError):
        broker.consumer().reserve(0)


def test_a_reserve_of_what_is_no_beanstalkd_is_an_error(
    broker: RemoteBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> object:
        monkeypatch.undo()
        raise greenstalk.UnknownResponseError(status=b"HTTP", values=[])

    monkeypatch.setattr(Client, "end_reserve", refuse)
    with pytest.raises(ServerError, match=r"HTTP$"):
        broker.consumer().reserve(0)


# Answers that are lost


@pytest.mark.parametrize(
    ("word", "verb"),
    [
        (b"list-tubes", lambda h: h.broker.tubes()),
        (b"reserve-job", lambda h: h.consumer.reserve_job(1)),
        (b"use", lambda h: h.broker.producer().put(1, tube="a")),
        (b"use", lambda h: h.broker.producer("a")),
        (b"stats-job", lambda h: h.consumer.reserve_job(1).tube),
    ],
    ids=["tubes", "reserve_job", "put", "producer", "stats_job"],
)
def test_all_else_is_repeated(
    fake: FakeBeanstalkd,
    broker: RemoteBroker,
    monkeypatch: pytest.MonkeyPatch,
    word: bytes,
    verb: Callable[..., object],
) -> None:
    broker.producer().put(1)
    consumer = broker.consumer()
    lose_answer_of(fake, monkeypatch, word)
    verb(Handles(broker, consumer, None))


@pytest.mark.parametrize("timeout", [0, None])
def test_a_watch_is_repeated(
    fake: FakeBeanstalkd,
    broker: RemoteBroker,
    monkeypatch: pytest.MonkeyPatch,
    timeout: float | None,
) -> None:
    broker.producer("a").put(1)
    consumer = broker.consumer("a")
    fake.drop()
    lose_answer_of(fake, monkeypatch, b"watch")
    assert 1 == consumer.reserve(timeout).body


def test_a_tube_that_is_used_meanwhile_is_used_by_the_next_connection(
    fake: FakeBeanstalkd, broker: RemoteBroker
) -> None:
    producer = broker.producer("a")
    fake.drop()
    producer.use("b")
    assert "b" == broker.peek(producer.put(1)).tube
    lost = broker.producer("c")
    lost.use("d")
    assert ("MainThread", "d") == (lost.name, lost.using())


@pytest.mark.parametrize("verb", ["put", "reserve"])
def test_a_connection_that_ends_as_it_is_made_is_made_again(
    broker: RemoteBroker, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    broker.producer().put(1)
    producer, consumer = broker.producer(), broker.consumer()
    for each in (producer, consumer):
        each._pool._free[0].pop().close()

    def fail(*_: object) -> object:
        monkeypatch.undo()
        raise OSError

    monkeypatch.setattr(pool, "Connection", fail)
    future = start(lambda: producer.put(2) if verb == "put" else consumer.reserve())
    wait_until_asleep(broker)
    clock.advance(1)
    future.result(LONG)


# Closed, stopped and interrupted in between


def test_a_handle_that_is_closed_while_it_connects_holds_no_connection(
    fake: FakeBeanstalkd, broker: RemoteBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    producer = broker.producer()
    fake.drop()
    before = server.Server.connect

    def connect_late(self: server.Server, patience: float) -> socket.socket:
        producer.close()
        return before(self, patience)

    monkeypatch.setattr(server.Server, "connect", connect_late)
    with pytest.raises(ClosedError):
        producer.put(1)
    assert 0 == fake.connections


def test_a_consumer_that_is_closed_as_it_is_served_gives_the_job_back(
    fake: FakeBeanstalkd, broker: RemoteBroker
) -> None:
    broker.producer().put(1)
    consumer = broker.consumer()

    class Closing:
        def encode(self, body: Any) -> bytes:
            raise NotImplementedError(body)

        def decode(self, data: bytes) -> Any:
            consumer.close()
            return data

    broker._network.codec = Closing()
    with pytest.raises(ClosedError):
        consumer.reserve()
    wait_until(lambda: fake.broker.stats_tube("default").current_jobs_ready == 1)


def test_a_tube_that_is_watched_while_it_connects_is_watched(
    fake: FakeBeanstalkd, broker: RemoteBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker.producer("b").put(1)
    consumer = broker.consumer("a")
    fake.drop()
    consumer._pool._free[0].clear()
    before = server.Server.connect

    def connect_late(self: server.Server, patience: float) -> socket.socket:
        monkeypatch.undo()
        consumer.watch("b")
        return before(self, patience)

    monkeypatch.setattr(server.Server, "connect", connect_late)
    assert 1 == consumer.reserve().body


@pytest.mark.parametrize("timeout", [0, None])
@pytest.mark.parametrize("where", ["watch", "wait"])
def test_a_reserve_that_is_interrupted_leaves_no_connection(
    fake: FakeBeanstalkd,
    broker: RemoteBroker,
    monkeypatch: pytest.MonkeyPatch,
    where: str,
    timeout: float | None,
) -> None:
    consumer = broker.consumer("a")
    next(iter(consumer._pool._all)).close()
    consumer._pool._free[0].clear()

    def interrupt(*_: object) -> object:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(connection.Connection, where, interrupt)
        with pytest.raises(KeyboardInterrupt):
            consumer.reserve(timeout)
    assert 0 == fake.connections
    with pytest.raises(TimedOutError):
        consumer.reserve(0)


def test_what_waits_in_vain_goes_on_waiting(
    broker: RemoteBroker, fake: FakeBeanstalkd
) -> None:
    with connect(URL, "bytes") as others:
        consumer = broker.consumer()
        future = start(consumer.reserve)
        wait_until(lambda: fake.broker.stats().current_waiting == 1)
        others.producer().put(b"{")
        others.producer().put(b"1")
        assert 1 == future.result(LONG).body


def test_a_stop_just_before_a_sleep_is_not_slept_over(broker: RemoteBroker) -> None:
    broker._pool.sleep(inf, wakes=broker._pool.wakes - 1)


def test_stopping_twice_has_no_effect(broker: RemoteBroker) -> None:
    consumer = broker.consumer()
    consumer.stop()
    broker.stop()
    with pytest.raises(StoppedError, match=r"^the consumer was stopped$"):
        consumer.reserve()


def test_a_broker_is_stopped_as_the_program_ends(broker: RemoteBroker) -> None:
    broker.stop_at_exit()
    with broker.consumer() as kept:
        assert broker._at_exit in at_exit._monitors
        broker._at_exit.stop("the program ends")
        with pytest.raises(StoppedError, match=r"^the program ends$"):
            kept.reserve()
    alone = broker._at_exit
    consumer = broker.consumer()
    alone._broker = lambda: None  # type: ignore[assignment]  # it was dropped
    alone.stop("the program ends")
    assert list(consumer) == []


# Connections


def test_a_lost_connection_answers_nothing(broker: RemoteBroker) -> None:
    broker.tubes()
    (one,) = broker._pool._all
    one.close()
    one.close()
    with pytest.raises(Lost):
        one.ask(Client.tubes)
    assert not one.is_alive()


def test_a_connection_may_be_closed_within_its_command(broker: RemoteBroker) -> None:
    broker.tubes()
    (one,) = broker._pool._all

    def close(client: Client) -> bytes:
        one.close()
        return client._sock.recv(1)

    assert b"" == one.ask(close)
    assert not one.is_alive()


def test_a_connection_may_be_closed_while_another_thread_waits_for_it(
    broker: RemoteBroker,
) -> None:
    broker.tubes()
    (one,) = broker._pool._all
    future = start(lambda: one.ask(lambda client: client._sock.recv(1)))
    wait_until(lambda: one._owner != 0)
    assert one.is_alive()  # who uses it finds out
    one.close()
    assert b"" == future.result(LONG)


def test_where_one_cannot_look_a_connection_is_taken_to_be_alive(
    fake: FakeBeanstalkd, broker: RemoteBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker.tubes()
    (one,) = broker._pool._all
    monkeypatch.setattr(connection, "_CAN_LOOK", False)
    fake.drop()
    assert one.is_alive()
    monkeypatch.undo()
    one._client.close()
    assert not one.is_alive()


def test_a_forked_child_leaves_all_to_its_parent(broker: RemoteBroker) -> None:
    broker.producer().put(1)
    consumer = broker.consumer()
    job = consumer.reserve()
    server._leave_all_to_parent()
    with pytest.raises(ClosedError, match=r"forked child$"):
        consumer.reserve()
    assert job.lost


# Jobs


def test_a_job_may_be_finished_and_may_fail(broker: RemoteBroker) -> None:
    broker.producer().put_many([1, 2])
    consumer = broker.consumer()
    consumer.reserve().finish("a result")
    job = consumer.reserve()
    job.fail(ValueError("too heavy"), priority=5)
    stats = broker.stats_job(job)
    assert ("buried", 5) == (stats.state, stats.priority)
    assert job.error is not None
    assert "too heavy" == job.error.text
    assert "settled" == job._holder._state_of(job)
    with pytest.raises(NotFoundError):
        broker.stats_job(1)


def test_an_old_handle_is_fenced_off(broker: RemoteBroker) -> None:
    broker.producer().put(1)
    consumer = broker.consumer(name="packer")
    job = consumer.reserve()
    job.release()
    again = consumer.reserve()
    for verb in (job.delete, job.touch, job.stats):
        with pytest.raises(NotFoundError) as caught:
            verb()
        assert NotFoundReason.RESERVED_SINCE is caught.value.reason
    again.release()
    assert "packer" == consumer.name


def test_a_broker_fences_old_handles_of_its_own_off(broker: RemoteBroker) -> None:
    broker.producer().put(1)
    consumer = broker.consumer()
    job = consumer.reserve()
    job.release()
    consumer.reserve().bury()
    peeked = broker.peek(1)
    broker.kick_job(peeked)
    consumer.reserve()
    with pytest.raises(NotFoundError):
        broker.delete(job)


def test_why_a_job_was_not_found_need_not_be_known(
    fake: FakeBeanstalkd, clock: FakeClock
) -> None:
    with connect(URL, clock=clock, reconnect_timeout=0) as broker:
        consumer = broker.consumer()
        fake.refuse()
        fake.drop()
        with pytest.raises(NotFoundError) as caught:
            consumer.touch(7)
    assert NotFoundReason.CONNECTION_LOST is caught.value.reason


def test_a_job_that_is_gone_is_told_of_no_deadline(
    fake: FakeBeanstalkd, broker: RemoteBroker, clock: FakeClock
) -> None:
    broker.producer().put_many([1, 2, 3], ttr=10)
    consumer = broker.consumer()
    first, second, third = (consumer.reserve() for _ in range(3))
    fake.broker.cancel(first.id)
    assert 10 == second.ttr
    assert 10 == third.ttr
    third.release(delay=50)
    clock.advance(20)
    again = consumer.reserve(0)
    assert second.id == again.id
    assert consumer.reserve(0, default=None) is None


def test_a_job_that_another_thread_has_just_settled_is_told_of_no_deadline(
    broker: RemoteBroker, clock: FakeClock
) -> None:
    broker.producer().put(1, ttr=10)
    consumer = broker.consumer()
    job = consumer.reserve()
    assert 10 == job.ttr
    (held,) = consumer._pool.held.values()
    held.state = ReservationState.SETTLED  # and is about to be taken out
    clock.advance(9.5)
    assert consumer.reserve(0, default=None) is None


def test_a_job_that_another_thread_settles_during_a_look_is_not_lost(
    broker: RemoteBroker,
) -> None:
    broker.producer().put(1)
    consumer = broker.consumer()
    job = consumer.reserve()
    (held,) = consumer._pool.held.values()
    job.delete()
    with pytest.raises(NotFoundError):  # it was in hand when the look began
        consumer._stats_of_held(held)
    assert not job.lost


@pytest.mark.parametrize("seconds", [10.5, 20])
def test_a_job_that_has_expired_is_told_of_no_deadline(
    broker: RemoteBroker, clock: FakeClock, seconds: float
) -> None:
    broker.producer().put(1, ttr=10)
    consumer = broker.consumer()
    assert 10 == consumer.reserve().ttr
    clock.advance(seconds)
    other = broker.consumer()
    assert 1 == other.reserve().body
    assert consumer.reserve(0, default=None) is None


def test_a_tube_is_cleared_though_others_are_faster(
    broker: RemoteBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker.producer().put_many([1, 2])
    fail_once(monkeypatch, b"delete", greenstalk.NotFoundError)
    assert 2 == broker.clear_tube("default")


def test_a_look_at_a_job_of_a_broker_in_memory_finds_it_foreign(
    fake: FakeBeanstalkd, broker: RemoteBroker
) -> None:
    broker.producer().put(1)
    job = broker.consumer().reserve()
    memory = fake.broker.consumer()
    for verb in (memory.touch, memory.bury, memory.delete):
        with pytest.raises(NotFoundError):
            verb(job)
    job.delete()


# Event loops


def test_a_coroutine_that_cannot_connect_waits(
    fake: FakeBeanstalkd, broker: RemoteBroker, clock: FakeClock
) -> None:
    async def run() -> None:
        consumer = broker.async_consumer(name="packer")
        assert "<RemoteAsyncConsumer 'packer': watches 'default'; holds no jobs>" == (
            repr(consumer)
        )
        fake.refuse()
        task = asyncio.create_task(consumer.reserve())
        sleepers = broker._network.sleepers
        while sleepers.next_due() == inf:  # noqa: ASYNC110 - nothing tells it
            await asyncio.sleep(0)
        fake.restore()
        clock.advance(1)
        producer = broker.async_producer(name="shop")
        assert "shop" == producer.name
        await producer.put(1)
        assert 1 == (await task).body
        producer.close()

    asyncio.run(run(), debug=True)


def test_a_coroutine_may_be_cancelled_while_it_connects(broker: RemoteBroker) -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()

        async def never(*_: object) -> None:
            await asyncio.Event().wait()

        loop.sock_connect = never  # type: ignore[method-assign,assignment]  # it hangs
        task = asyncio.create_task(broker.async_consumer().reserve())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())


def test_an_awaited_join_looks_again(broker: RemoteBroker, clock: FakeClock) -> None:
    async def run() -> None:
        job_id = broker.producer().put(1)
        task = asyncio.create_task(broker.async_join())
        sleepers = broker._network.sleepers
        while sleepers.next_due() == inf:  # noqa: ASYNC110 - nothing tells it
            await asyncio.sleep(0)
        broker.delete(job_id)
        clock.advance(1)
        assert 0 == await task

    asyncio.run(run(), debug=True)


def test_a_coroutine_that_finds_no_address_waits(broker: RemoteBroker) -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()

        async def fail(*_: object, **__: object) -> None:
            raise OSError

        loop.getaddrinfo = fail  # type: ignore[method-assign,assignment]  # it fails
        task = asyncio.create_task(broker.async_consumer().reserve())
        sleepers = broker._network.sleepers
        while sleepers.next_due() == inf:  # noqa: ASYNC110 - nothing tells it
            await asyncio.sleep(0)
        broker.stop()
        with pytest.raises(StoppedError):
            await task

    asyncio.run(run(), debug=True)


def test_an_awaited_put_is_repeated_where_it_was_not_sent(
    fake: FakeBeanstalkd, broker: RemoteBroker
) -> None:
    async def run() -> None:
        async with broker.async_producer() as producer:
            await producer.put(1)
            (client,) = producer._all

            async def use(_: str) -> None:
                raise ConnectionError

            client.use = use
            assert 2 == await producer.put(2, tube="a")
            (client,) = producer._all

            async def put(*_: object) -> None:
                raise greenstalk.UnknownResponseError(status=b"HTTP", values=[])

            client.put = put
            with pytest.raises(ServerError, match=r"HTTP$"):
                await producer.put(3)

    asyncio.run(run(), debug=True)
    assert 1 == fake.broker.stats_tube("a").current_jobs_ready


def test_an_awaited_put_tries_again_and_again(
    fake: FakeBeanstalkd, broker: RemoteBroker, clock: FakeClock
) -> None:
    async def run() -> None:
        sleepers = broker._network.sleepers
        fake.refuse()
        async with broker.async_producer() as producer:
            task = asyncio.create_task(producer.put(1))
            for _ in range(3):
                while sleepers.next_due() == inf:  # noqa: ASYNC110 - nothing tells it
                    await asyncio.sleep(0)
                (sleeper,) = sleepers._asleep
                sleeper.nudge()
                clock.advance(1)
            fake.restore()
            while not task.done():
                await asyncio.sleep(0)
                clock.advance(1)
            assert 1 == await task

    asyncio.run(run(), debug=True)


# A clock that jumps


def test_a_clock_that_jumps_jumps_over_an_outage() -> None:
    with FakeBeanstalkd(("beanstalkd.test", 11300)) as fake:
        fake.refuse()
        with connect(URL, clock=fake.clock, reconnect_timeout=30) as broker:
            before = fake.clock.now()
            with pytest.raises(ConnectionLostError):
                broker.tubes()
            assert 30 == fake.clock.now() - before


# Odds and ends


def test_what_has_slept_long_enough_sleeps_no_more(broker: RemoteBroker) -> None:
    sleeper = ThreadSleeper(0)
    assert "a beanstalkd that is away" == sleeper.waits_for
    broker._network.sleepers.sleep(sleeper)


def test_a_kick_that_was_not_sent_is_repeated(
    broker: RemoteBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker.producer().put(1, delay=50)
    fail_once(monkeypatch, b"kick", OSError)
    assert 1 == broker.kick("default", 5)


def test_a_peek_whose_answer_is_lost_is_repeated(
    fake: FakeBeanstalkd, broker: RemoteBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker.producer().put(1)
    lose_answer_of(fake, monkeypatch, b"peek-ready")
    assert 1 == broker.peek_ready().body


def test_a_stop_after_a_close_has_no_effect(broker: RemoteBroker) -> None:
    broker.close()
    broker.stop()
    assert "<RemoteBroker: the broker was closed>" == repr(broker)


@pytest.mark.parametrize("kind", [RemoteBroker, RemoteConsumer, RemoteProducer])
def test_what_was_never_made_is_dropped_quietly(kind: Any) -> None:
    kind.__new__(kind)


def test_nothing_of_it_can_be_pickled(broker: RemoteBroker) -> None:
    broker.producer().put(1)
    consumer = broker.consumer()
    for each in (
        broker,
        consumer,
        consumer.reserve(),
        broker.producer(),
        broker.async_producer(),
        broker.async_consumer(),
    ):
        with pytest.raises(TypeError, match=r"can be neither pickled nor copied"):
            copy.copy(each)


def test_a_session_of_a_broker_in_memory_is_none_of_its(broker: RemoteBroker) -> None:
    broker.producer().put(1)
    job = broker.consumer().reserve()
    assert {} == job._holder._jobs
    assert job._holder._session is not None


@pytest.mark.real
def test_a_reserve_outlasts_the_patience_for_answers(
    beanstalkd: Beanstalkd, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = []
    before = connection._Reader._more

    def look(self: connection._Reader) -> bytes:
        looks.append(self)
        return before(self)

    with (
        connect(beanstalkd.url) as others,
        connect(beanstalkd.url, answer_timeout=0.02) as broker,
    ):
        producer, consumer = others.producer(), broker.consumer()
        monkeypatch.setattr(connection._Reader, "_more", look)
        future = start(consumer.reserve)
        wait_until(lambda: len(looks) > 2)
        producer.put(1)
        assert 1 == future.result(LONG).body
