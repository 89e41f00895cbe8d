"""Handles that are shared, reserves that wait, and what they leave behind."""

from __future__ import annotations

import gc
import os
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import greenstalk
import pytest

from inproc_tubes import (
    ClosedError,
    DeadlineSoonError,
    NotFoundError,
    NotFoundReason,
    ReentrantCallError,
    StoppedError,
    TimedOutError,
)
from inproc_tubes.remote.connection import Client, ReservationState
from tests.remote.shared import wait_until, wait_until_reserving
from tests.threads import LONG, advance_until_done, start

if TYPE_CHECKING:
    from inproc_tubes.fakes import FakeBeanstalkd
    from inproc_tubes.remote import RemoteBroker
    from inproc_tubes.testing import FakeClock


def test_a_reserve_that_waits_holds_up_no_verb_of_its_consumer(
    broker: RemoteBroker,
) -> None:
    producer, consumer = broker.producer(), broker.consumer()
    for body in range(3):
        producer.put(body)
    jobs = [consumer.reserve() for _ in range(3)]
    future = start(consumer.reserve)
    wait_until_reserving(broker)
    jobs[0].touch()
    jobs[1].bury()
    jobs[2].delete()
    assert "reserved" == jobs[0].stats().state
    jobs[0].release()
    assert 0 == future.result(LONG).body


def test_a_connection_is_used_again_when_its_job_is_settled(
    fake: FakeBeanstalkd, broker: RemoteBroker
) -> None:
    producer, consumer = broker.producer(), broker.consumer()
    for _ in range(5):
        producer.put("x")
        consumer.reserve().delete()
        producer.put("x")
        consumer.reserve_many(5)[0].delete()
    assert 2 == fake.connections


def test_a_batch_shares_one_connection_until_the_last_is_settled(
    fake: FakeBeanstalkd, broker: RemoteBroker
) -> None:
    producer, consumer = broker.producer(), broker.consumer()
    producer.put_many(range(5))
    first, *rest = consumer.reserve_many(5)
    first.delete()
    with pytest.raises(TimedOutError):
        consumer.reserve(0)
    assert 3 == fake.connections
    for job in rest:
        job.delete()
    with pytest.raises(TimedOutError):
        consumer.reserve(0)
    assert 3 == fake.connections


def test_a_tube_that_is_watched_meanwhile_serves_a_reserve_that_waits(
    broker: RemoteBroker,
) -> None:
    consumer = broker.consumer("a")
    future = start(consumer.reserve)
    wait_until_reserving(broker)
    consumer.watch("b")
    wait_until(lambda: "b" in broker.tubes())
    broker.producer("b").put("x")
    assert "x" == future.result(LONG).body


def test_a_tube_that_is_ignored_meanwhile_serves_it_no_more(
    broker: RemoteBroker,
) -> None:
    consumer = broker.consumer("a", "b")
    future = start(consumer.reserve)
    wait_until_reserving(broker)
    consumer.ignore("b")
    wait_until(lambda: "b" not in broker.tubes())
    broker.producer("b").put("x")
    broker.producer("a").put("y")
    assert "y" == future.result(LONG).body


def test_stop_and_close_end_a_reserve_that_waits(broker: RemoteBroker) -> None:
    for end, error in (("stop", StoppedError), ("close", ClosedError)):
        consumer = broker.consumer()
        future = start(consumer.reserve)
        wait_until_reserving(broker)
        getattr(consumer, end)()
        assert type(future.exception(LONG)) is error


def test_a_loop_ends_with_a_stop_and_the_job_in_hand_stays_valid(
    broker: RemoteBroker,
) -> None:
    broker.producer().put_many(range(3))
    done = []
    for job in broker.consumer():
        broker.stop()
        job.touch()
        with job:
            done.append(job.body)
    assert [0] == done
    assert [] == broker.consumer().watching()
    with pytest.raises(StoppedError):
        broker.join("default")


def test_a_reserve_that_waits_is_told_of_a_deadline_once(
    broker: RemoteBroker, clock: FakeClock
) -> None:
    broker.producer().put("x", ttr=10)
    consumer = broker.consumer()
    job = consumer.reserve()
    future = start(consumer.reserve)
    wait_until_reserving(broker)
    clock.advance(9)
    error = future.exception(LONG)
    assert isinstance(error, DeadlineSoonError)
    assert (job.id, 1) == (error.job_id, error.time_left)
    assert consumer.reserve(0, default=None) is None
    job.touch()
    clock.advance(9)
    with pytest.raises(DeadlineSoonError):
        consumer.reserve(0)


def test_a_reserve_that_waits_asks_for_a_job_whose_time_is_over(
    broker: RemoteBroker, clock: FakeClock
) -> None:
    """A server that has forgotten to end the reservation does so when it is asked."""
    broker.producer().put("x", ttr=10)
    consumer = broker.consumer()
    job = consumer.reserve()
    (held,) = consumer._pool.held.values()
    assert held.connection is not None
    assert 10 == job.ttr
    clock.advance(9)
    with pytest.raises(DeadlineSoonError):
        consumer.reserve()
    # This server has more time for it than the consumer knows of.
    held.connection.ask(Client.touch, greenstalk.Job(held.wire_id, b""))
    before = broker.stats().cmd_stats_job
    future = start(consumer.reserve)
    wait_until_reserving(broker)
    clock.advance(2)
    wait_until(lambda: not consumer._pool.held)
    assert before + 1 == broker.stats().cmd_stats_job
    assert ReservationState.LOST is held.state
    clock.advance(8)
    assert "x" == future.result(LONG).body


def test_a_touch_puts_off_what_a_reserve_that_waits_is_told(
    broker: RemoteBroker, clock: FakeClock
) -> None:
    broker.producer().put("x", ttr=10)
    consumer = broker.consumer()
    job = consumer.reserve()
    future = start(consumer.reserve)
    wait_until_reserving(broker)
    clock.advance(5)
    job.touch()
    clock.advance(5)
    wait_until_reserving(broker)
    assert not future.done()
    clock.advance(4)
    assert isinstance(future.exception(LONG), DeadlineSoonError)


def test_a_part_of_a_second_is_kept_here(
    broker: RemoteBroker, clock: FakeClock
) -> None:
    consumer = broker.consumer()
    for timeout in (0.3, 1.7):
        future = start(lambda: consumer.reserve(timeout, default="none"))  # noqa: B023 - it ends here
        wait_until_reserving(broker)
        assert not future.done()
        assert "none" == advance_until_done(clock, 0.1, future)
    assert 0 == broker.stats().current_waiting


def test_an_interrupted_reserve_gives_its_job_back(
    fake: FakeBeanstalkd, broker: RemoteBroker
) -> None:
    broker.producer().put("x")
    consumer = broker.consumer()

    class Interrupting:
        def encode(self, body: object) -> bytes:
            raise NotImplementedError

        def decode(self, data: bytes) -> object:
            raise KeyboardInterrupt(data)

    codec = broker._network.codec
    broker._network.codec = Interrupting()
    with pytest.raises(KeyboardInterrupt):
        consumer.reserve()
    broker._network.codec = codec
    assert 1 == fake.broker.stats_tube("default").current_jobs_ready
    assert "x" == consumer.reserve(0).body


def test_a_dropped_consumer_gives_its_jobs_back_but_for_those_of_its_user(
    fake: FakeBeanstalkd, broker: RemoteBroker
) -> None:
    broker.producer().put_many("ab")
    consumer = broker.consumer()
    kept = consumer.reserve()
    consumer.reserve()
    del consumer
    gc.collect()
    assert 1 == fake.broker.stats_tube("default").current_jobs_reserved
    kept.touch()
    with pytest.raises(NotFoundError):
        broker.delete(kept.id)
    del kept
    gc.collect()
    assert 0 == fake.broker.stats_tube("default").current_jobs_reserved


def test_closing_the_broker_ends_what_a_dropped_consumer_has_left(
    fake: FakeBeanstalkd, broker: RemoteBroker
) -> None:
    broker.producer().put("a")
    job = broker.consumer().reserve()
    broker.close()
    assert 0 == fake.connections
    assert job.lost


def test_a_generator_that_is_dropped_in_a_block_gives_its_job_back(
    fake: FakeBeanstalkd, broker: RemoteBroker
) -> None:
    broker.producer().put("a")
    consumer = broker.consumer()

    def work() -> object:
        with consumer.reserve() as job:
            yield job

    steps = iter(work())  # type: ignore[call-overload]  # a generator is one
    job = next(steps)
    connection = job._reservation.connection
    connection._owner = threading.get_ident()  # in the middle of a command
    steps.close()
    connection._owner = 0
    wait_until(lambda: fake.broker.stats_tube("default").current_jobs_ready == 1)


def test_a_verb_within_another_of_the_same_connection_is_refused(
    broker: RemoteBroker,
) -> None:
    broker.producer().put("a")
    job = broker.consumer().reserve()

    def within(client: object) -> None:
        del client
        job.touch()

    with pytest.raises(ReentrantCallError):
        job._reservation.connection.ask(within)  # type: ignore[attr-defined]  # it is one


def test_a_job_of_another_broker_is_none_here(
    broker: RemoteBroker, fake: FakeBeanstalkd
) -> None:
    fake.broker.producer().put("a")
    foreign = fake.broker.consumer().reserve()
    for verb in (broker.consumer().touch, broker.delete, broker.stats_job):
        with pytest.raises(NotFoundError) as caught:
            verb(foreign)
        assert NotFoundReason.FOREIGN is caught.value.reason
    broker.producer().put(1)
    job = broker.consumer().reserve()
    with pytest.raises(NotFoundError):
        fake.broker.delete(job)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows cannot fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_has_a_closed_broker_and_the_parent_goes_on(
    broker: RemoteBroker,
) -> None:
    broker.producer().put("a")
    consumer = broker.consumer()
    job = consumer.reserve()
    child = os.fork()
    if child == 0:  # pragma: no cover - coverage is the parent's
        code = 1
        with suppress(BaseException):
            try:
                consumer.reserve(0)
            except ClosedError as error:
                code = 0 if "forked child" in str(error) and job.lost else 2
        os._exit(code)
    assert 0 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    job.delete()


def test_handles_and_brokers_show_what_they_are(broker: RemoteBroker) -> None:
    producer = broker.producer("a", name="shop")
    consumer = broker.consumer("a", name="packer")
    assert "<RemoteProducer 'shop': uses 'a'>" == repr(producer)
    producer.put("x")
    job = consumer.reserve()
    assert "<Job 1, reserved: 'x'>" == repr(job)
    assert ("packer", "a") == (job.holder, job.tube)
    assert "<Job 1 in 'a', reserved: 'x'>" == repr(job)
    future = start(lambda: consumer.reserve(5))
    wait_until_reserving(broker)
    assert (
        "<RemoteConsumer 'packer': watches 'a'; holds 1 job; 1 reserve waits>"
    ) == repr(consumer)
    assert ("<RemoteBroker at beanstalkd.test:11300: 1 producer, 1 consumer>") == repr(
        broker
    )
    broker.stop()
    assert isinstance(future.exception(LONG), StoppedError)
    assert (
        "<RemoteBroker at beanstalkd.test:11300: 1 producer, 1 consumer; stopped>"
    ) == repr(broker)
    broker.close()
    assert "<RemoteBroker: the broker was closed>" == repr(broker)
    assert "<RemoteProducer 'shop': the broker was closed>" == repr(producer)
    assert "<RemoteConsumer 'packer': the broker was closed>" == repr(consumer)


def test_a_join_looks_again_until_the_work_is_done(
    broker: RemoteBroker, clock: FakeClock
) -> None:
    broker.producer().put_many("ab")
    consumer = broker.consumer()
    consumer.reserve().bury()
    job = consumer.reserve()
    with pytest.raises(TimedOutError):
        broker.join(timeout=0)
    future = start(broker.join)
    sleepers = broker._network.sleepers
    wait_until(lambda: sleepers.next_due() == clock.now() + 0.05)
    job.delete()
    clock.advance(0.05)
    assert 1 == future.result(LONG)
    assert 0 == broker.join("nowhere")
