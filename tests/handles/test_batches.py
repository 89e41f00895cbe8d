"""Putting and reserving by the batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from inproc_tubes import (
    Broker,
    ClosedError,
    Consumer,
    DeadlineSoonError,
    DrainingError,
    Job,
    JobTooBigError,
    Producer,
    TimedOutError,
    TubeFullError,
)
from inproc_tubes.core.dispatcher import Dispatcher
from inproc_tubes.monitor import Monitor
from tests.handles.shared import bodies
from tests.interpreted import interpreted
from tests.threads import LONG, waiting

if TYPE_CHECKING:
    from collections.abc import Iterator

    from inproc_tubes.testing import FakeClock

# Putting


def test_put_many_returns_the_ids_in_the_order_of_the_bodies(
    broker: Broker, producer: Producer, consumer: Consumer
) -> None:
    assert [1, 2, 3] == producer.put_many([*"abc"])
    assert "b" == broker.peek(2).body
    assert ["a", "b", "c"] == bodies(consumer)


def test_put_many_has_the_defaults_of_put(broker: Broker, producer: Producer) -> None:
    (job_id,) = producer.put_many(["work"])
    stats = broker.stats_job(job_id)
    assert ("default", 65536, 0, 60) == (
        stats.tube,
        stats.priority,
        stats.delay,
        stats.ttr,
    )


def test_put_many_gives_each_job_the_same_numbers(
    broker: Broker, producer: Producer
) -> None:
    for job_id in producer.put_many(["a", "b"], 1, 2, 0, tube="jobs"):
        stats = broker.stats_job(job_id)
        assert ("jobs", 1, 2, 1) == (
            stats.tube,
            stats.priority,
            stats.delay,
            stats.ttr,
        )


def test_put_many_takes_what_can_be_gone_through_once(
    producer: Producer, consumer: Consumer
) -> None:
    def generate() -> Iterator[int]:
        yield from range(3)

    producer.put_many(generate())
    assert [0, 1, 2] == bodies(consumer)


def test_put_many_of_bodies_that_raise_puts_none(
    broker: Broker, producer: Producer
) -> None:
    def generate() -> Iterator[int]:
        yield 1
        raise LookupError

    with pytest.raises(LookupError):
        producer.put_many(generate())
    assert [] == broker.jobs("default")


def test_put_many_of_none_puts_none(broker: Broker, producer: Producer) -> None:
    assert [] == producer.put_many([])
    assert 0 == broker.stats().cmd_put


def test_one_body_too_big_refuses_the_batch(broker: Broker, producer: Producer) -> None:
    with pytest.raises(JobTooBigError) as caught:
        producer.put_many(["a", b"x" * 65536, "b"])
    assert (65536, 65535) == (caught.value.size, caught.value.limit)
    stats = broker.stats()
    assert (3, 0, 0) == (stats.cmd_put, stats.total_jobs, stats.current_producers)
    assert [1] == producer.put_many(["small"])


def test_without_a_size_limit_a_batch_may_have_any_bodies(clock: FakeClock) -> None:
    broker = Broker(clock=clock, max_job_size=None)
    assert [1, 2] == broker.producer().put_many(["x" * 100_000, b"x" * 100_000])


def test_draining_refuses_a_batch(broker: Broker, producer: Producer) -> None:
    broker.drain()
    with pytest.raises(DrainingError):
        producer.put_many(["a", "b"])


def test_consumers_that_wait_are_served_in_order(
    broker: Broker, producer: Producer
) -> None:
    futures = [waiting(broker, broker.consumer().reserve) for _ in range(3)]
    producer.put_many([*"abcd"])
    assert ["a", "b", "c"] == [future.result(LONG).body for future in futures]
    assert "d" == broker.peek_ready().body


def test_a_batch_waits_for_room_as_a_whole(
    broker: Broker, producer: Producer, consumer: Consumer
) -> None:
    broker.limit_tube("default", 3)
    producer.put_many([*"ab"])
    future = waiting(broker, lambda: producer.put_many([*"cd"]))
    assert ["a", "b"] == [job.body for job in broker.jobs("default")]
    consumer.reserve(0).delete()
    assert [3, 4] == future.result(LONG)


def test_a_batch_that_has_no_room_is_refused(
    broker: Broker, producer: Producer, clock: FakeClock
) -> None:
    broker.limit_tube("default", 3)
    with pytest.raises(TubeFullError) as caught:
        producer.put_many([*"abcd"])
    assert ("default", 3, 4) == (
        caught.value.tube,
        caught.value.maxsize,
        caught.value.count,
    )
    producer.put_many([*"ab"])
    with pytest.raises(TubeFullError):
        producer.put_many([*"cd"], timeout=0)
    future = waiting(broker, lambda: producer.put_many([*"cd"], timeout=5))
    clock.advance(5)
    assert isinstance(future.exception(LONG), TubeFullError)
    assert ["a", "b"] == [job.body for job in broker.jobs("default")]


# Reserving


def test_reserve_many_takes_up_to_n_jobs_best_first(
    producer: Producer, consumer: Consumer
) -> None:
    for priority in (2, 1, 2, 1):
        producer.put(f"priority {priority}", priority)
    jobs = consumer.reserve_many(3)
    assert [2, 4, 1] == [job.id for job in jobs]
    assert [3] == [job.id for job in consumer.reserve_many(3, timeout=0)]


def test_each_job_of_a_batch_is_a_handle_of_its_own(
    broker: Broker, producer: Producer, consumer: Consumer, other: Consumer
) -> None:
    producer.put_many([*"abcd"])
    first, second, third, fourth = consumer.reserve_many(9)
    first.delete()
    second.release(delay=5)
    third.bury()
    with fourth:
        assert fourth.body == "d"
    states = [broker.stats_job(job.id).state for job in (second, third)]
    assert ["delayed", "buried"] == states
    broker.kick_job(second.id)
    other.reserve(0)
    with pytest.raises(LookupError):
        second.touch()


def test_reserve_many_waits_for_the_first_and_takes_what_is_ready_by_then(
    broker: Broker, producer: Producer, consumer: Consumer
) -> None:
    future = waiting(broker, lambda: consumer.reserve_many(3))
    producer.put_many([*"abcd"])
    assert ["a", "b", "c"] == [job.body for job in future.result(LONG)]
    assert "d" == broker.peek_ready().body


def test_a_batch_of_one_that_has_waited_takes_no_more(
    broker: Broker, producer: Producer, consumer: Consumer
) -> None:
    future = waiting(broker, lambda: consumer.reserve_many(1))
    producer.put_many([*"ab"])
    assert ["a"] == [job.body for job in future.result(LONG)]
    assert "b" == broker.peek_ready().body


def test_the_batch_that_came_while_it_waited_is_best_first(
    broker: Broker, clock: FakeClock
) -> None:
    producer = broker.producer()
    producer.put("later, but more urgent", priority=1, delay=6)
    producer.put("soon", priority=2, delay=5)
    future = waiting(broker, lambda: broker.consumer().reserve_many(2))
    clock._time += 6  # nothing looks until both are ready
    broker._monitor.look()
    assert [1, 2] == [job.id for job in future.result(LONG)]


def test_reserve_many_times_out(
    broker: Broker, consumer: Consumer, clock: FakeClock
) -> None:
    with pytest.raises(TimedOutError):
        consumer.reserve_many(3, timeout=0)
    future = waiting(broker, lambda: consumer.reserve_many(3, timeout=5))
    clock.advance(5)
    assert isinstance(future.exception(LONG), TimedOutError)


def test_reserve_many_raises_deadline_soon(
    consumer: Consumer, job: Job, clock: FakeClock
) -> None:
    clock.advance(job.ttr - 1)
    with pytest.raises(DeadlineSoonError):
        consumer.reserve_many(3)


def test_each_job_counts_as_a_reserve(
    broker: Broker, producer: Producer, consumer: Consumer
) -> None:
    producer.put_many([*"abc"])
    consumer.reserve_many(2)
    consumer.reserve_many(2, timeout=0)
    with pytest.raises(TimedOutError):
        consumer.reserve_many(2, timeout=0)
    stats = broker.stats()
    assert (2, 2) == (stats.cmd_reserve, stats.cmd_reserve_with_timeout)


def test_a_batch_expires_job_by_job(
    broker: Broker, producer: Producer, consumer: Consumer, clock: FakeClock
) -> None:
    for ttr in (9, 5, 7):
        producer.put("x", ttr=ttr)
    jobs = consumer.reserve_many(3)
    future = waiting(broker, broker.consumer().reserve)
    clock.advance(5)
    assert 2 == future.result(LONG).id
    jobs[0].delete()
    with pytest.raises(LookupError):
        jobs[1].delete()


def test_a_batch_is_a_moment_for_the_leader(
    broker: Broker, producer: Producer, consumer: Consumer, clock: FakeClock
) -> None:
    leader = waiting(broker, broker.consumer("other").reserve)
    producer.put_many([*"ab"], ttr=5)
    consumer.reserve_many(2)
    assert clock.now() + 5 == broker._engine.schedule.armed_for
    broker.close()
    assert isinstance(leader.exception(LONG), ClosedError)


@pytest.mark.parametrize("closed", ["consumer", "broker"])
def test_closing_ends_a_reserve_many_that_waits(
    broker: Broker, consumer: Consumer, closed: str
) -> None:
    future = waiting(broker, lambda: consumer.reserve_many(2))
    (consumer if closed == "consumer" else broker).close()
    assert isinstance(future.exception(LONG), ClosedError)


def interrupted(*_args: object) -> Any:
    raise KeyboardInterrupt


@interpreted
def test_a_batch_interrupted_in_hand_goes_back_to_its_place(
    broker: Broker,
    producer: Producer,
    consumer: Consumer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    producer.put_many([*"abc"])
    hold = Dispatcher.hold

    def hold_two(*args: Any) -> Job:
        job = hold(*args)
        return job if job.id == 1 else interrupted()

    with monkeypatch.context() as patch:
        patch.setattr(Dispatcher, "hold", hold_two)
        with pytest.raises(KeyboardInterrupt):
            consumer.reserve_many(2)
    assert [("a", "ready"), ("b", "ready"), ("c", "ready")] == [
        (job.body, job.stats().state) for job in broker.jobs("default")
    ]
    assert [1, 2] == [job.id for job in consumer.reserve_many(2)]


def test_a_batch_interrupted_after_its_turn_goes_back_to_its_place(
    broker: Broker,
    producer: Producer,
    consumer: Consumer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupt_once(_monitor: Monitor) -> None:
        monkeypatch.undo()
        raise KeyboardInterrupt

    producer.put_many([*"abc"])
    # The handle of the first reservation is dropped after the turn of the second.
    consumer.reserve().release()
    monkeypatch.setattr(Monitor, "finish", interrupt_once)
    with pytest.raises(KeyboardInterrupt):
        consumer.reserve_many(2)
    assert [("ready", 1), ("ready", 0), ("ready", 0)] == [
        (job.stats().state, job.reserves) for job in broker.jobs("default")
    ]


def test_a_first_job_goes_back_if_the_rest_is_interrupted(
    broker: Broker, producer: Producer, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Interrupted(Consumer):
        __slots__ = ("takes",)

        takes: int

        def _take(self, n: int, timeout: float | None, taken: list[Job]) -> None:
            self.takes += 1
            if self.takes > 1:
                interrupted()
            super()._take(n, timeout, taken)

    monkeypatch.setattr("inproc_tubes.consumer.Consumer", Interrupted)
    consumer = broker.consumer()
    consumer.takes = 0  # type: ignore[attr-defined]  # it is an Interrupted
    future = waiting(broker, lambda: consumer.reserve_many(2))
    producer.put_many([*"ab"])
    assert isinstance(future.exception(LONG), KeyboardInterrupt)
    assert ["ready", "ready"] == [j.stats().state for j in broker.jobs("default")]
    assert [0, 0] == [job.reserves for job in broker.jobs("default")]
