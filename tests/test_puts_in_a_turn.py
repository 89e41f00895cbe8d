"""Puts that interrupt another verb of their thread: they are carried out at its end.

A finaliser that the collector runs may put, or a signal handler, at any point of a turn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from inproc_tubes import Broker, ClosedError, DrainingError, TimedOutError
from inproc_tubes.core.recovery import check
from inproc_tubes.core.requests import ReserveRequest
from tests.interpreted import interpreted
from tests.meddling import MeddlingClock
from tests.threads import LONG, waiting

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def clock() -> MeddlingClock:
    return MeddlingClock()


@pytest.fixture
def broker(clock: MeddlingClock) -> Broker:
    return Broker(clock=clock)


def in_a_turn(
    broker: Broker, clock: MeddlingClock, verb: Callable[[], object]
) -> list[object]:
    """Call a verb in the middle of a turn, and return what it has returned."""
    results: list[object] = []
    clock.meddle = lambda: results.append(verb())
    broker.tubes()
    assert clock.was_in_turn
    check(broker._engine)
    return results


def test_the_id_is_returned_at_once_and_the_job_is_put_when_the_turn_ends(
    broker: Broker, clock: MeddlingClock
) -> None:
    producer = broker.producer()
    seen: list[int] = []

    def put() -> int:
        job_id = producer.put("job", priority=5, ttr=7)
        seen.append(len(broker._engine.jobs))
        return job_id

    assert [1] == in_a_turn(broker, clock, put)
    assert [0] == seen
    stats = broker.stats_job(1)
    assert ("ready", 5, 7) == (stats.state, stats.priority, stats.ttr)
    assert 2 == producer.put("next")


def test_a_batch_is_put_when_the_turn_ends(
    broker: Broker, clock: MeddlingClock
) -> None:
    producer = broker.producer()
    results = in_a_turn(
        broker, clock, lambda: producer.put_many([*"abc"], tube="batch")
    )
    assert [[1, 2, 3]] == results
    assert ["a", "b", "c"] == [job.body for job in broker.jobs("batch")]


def test_a_delayed_job_of_such_a_put_is_ready_in_its_own_time(
    broker: Broker, clock: MeddlingClock
) -> None:
    producer = broker.producer()
    in_a_turn(broker, clock, lambda: producer.put("job", delay=10))
    assert 1_000_010 == clock.advance_to_next()
    assert "job" == broker.peek_ready().body


@interpreted
def test_a_put_that_interrupts_the_beginning_of_a_wait_ends_it(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is no job yet when the reserve looks, and nothing waits when it is put."""
    producer = broker.producer()

    class Interrupted(ReserveRequest):
        def __init__(self, *args: Any) -> None:
            producer.put("job")
            super().__init__(*args)

    monkeypatch.setattr("inproc_tubes.turns.ReserveRequest", Interrupted)
    with broker.consumer() as consumer, consumer.reserve() as job:
        assert "job" == job.body


def test_such_a_put_serves_a_thread_that_waits(
    broker: Broker, clock: MeddlingClock
) -> None:
    producer = broker.producer()
    future = waiting(broker, broker.consumer().reserve)
    in_a_turn(broker, clock, lambda: producer.put("job"))
    assert "job" == future.result(LONG).body


def test_such_a_put_makes_its_tube_anew(broker: Broker, clock: MeddlingClock) -> None:
    producer = broker.producer()
    in_a_turn(broker, clock, lambda: producer.put("job", tube="orders"))
    assert "job" == broker.peek_ready("orders").body


@pytest.mark.usefixtures("no_collector")
def test_such_a_put_keeps_the_tube_of_a_producer_that_is_dropped_after_it(
    broker: Broker, clock: MeddlingClock
) -> None:
    producers = [broker.producer("orders")]
    broker.pause_tube("orders", 10)

    def put_and_drop() -> None:
        producers[0].put("job")
        producers.clear()

    in_a_turn(broker, clock, put_and_drop)
    with broker.consumer("orders") as consumer, pytest.raises(TimedOutError):
        consumer.reserve(timeout=0)  # it is paused still
    assert "job" == broker.peek_ready("orders").body


def test_such_a_put_needs_no_room(broker: Broker, clock: MeddlingClock) -> None:
    """It cannot wait."""
    producer = broker.producer()
    broker.limit_tube("default", 1)
    producer.put("first")
    in_a_turn(broker, clock, lambda: producer.put("second", timeout=0))
    assert ["first", "second"] == [job.body for job in broker.jobs("default")]


def test_such_a_put_holds_up_a_join_that_begins_with_it(
    broker: Broker, clock: MeddlingClock
) -> None:
    producer = broker.producer()
    clock.meddle = lambda: producer.put("job")
    assert 0 == broker.join()  # the turn of the join comes first
    with pytest.raises(TimedOutError):
        broker.join(timeout=0)


def test_such_a_put_is_refused_while_the_broker_drains(
    broker: Broker, clock: MeddlingClock
) -> None:
    producer = broker.producer()
    broker.drain()
    with pytest.raises(DrainingError):
        in_a_turn(broker, clock, lambda: producer.put("job"))
    assert 0 == broker.join(timeout=0)


def test_such_a_put_is_dropped_if_the_turn_that_it_interrupts_is_a_drain(
    broker: Broker, clock: MeddlingClock
) -> None:
    """Or whoever drains, joins and closes the broker would lose a job."""
    producer = broker.producer()
    clock.meddle = lambda: producer.put("job")
    broker.drain()
    assert 0 == broker.join(timeout=0)
    assert 0 == broker.stats().total_jobs
    check(broker._engine)


def test_a_put_that_is_dropped_is_counted_as_a_command(
    broker: Broker, clock: MeddlingClock
) -> None:
    producer = broker.producer()
    clock.meddle = lambda: producer.put("job")
    broker.drain()
    assert 1 == broker.stats().cmd_put


def test_such_a_put_is_dropped_if_its_producer_is_closed_before_it(
    broker: Broker, clock: MeddlingClock
) -> None:
    producer = broker.producer()

    def close_and_put() -> int:
        producer.close()
        return producer.put("job")

    assert [1] == in_a_turn(broker, clock, close_and_put)
    assert [] == broker.jobs("default")


def test_such_a_put_is_refused_at_once_if_its_producer_was_closed(
    broker: Broker, clock: MeddlingClock
) -> None:
    producer = broker.producer()
    producer.close()
    with pytest.raises(ClosedError, match=r"^the producer was closed$"):
        in_a_turn(broker, clock, lambda: producer.put("job"))
    assert 1 == broker.producer().put("next")  # no id was taken


def test_such_a_batch_of_none_puts_none(broker: Broker, clock: MeddlingClock) -> None:
    producer = broker.producer()
    results = in_a_turn(broker, clock, lambda: producer.put_many([], tube="new"))
    assert [[]] == results
    assert ["default"] == broker.tubes()
    assert 0 == broker.stats().cmd_put


def test_such_a_put_with_a_key_that_is_in_use_by_then_is_dropped(
    broker: Broker, clock: MeddlingClock
) -> None:
    """Its id is given at once, and nobody can be told any more."""
    producer = broker.producer()

    def put() -> list[int]:
        return [
            producer.put("a", key="k"),
            producer.put("b", key="k", on_duplicate="replace"),
            producer.put("c", key="k", on_duplicate="keep"),
            producer.put("d", key="k"),
        ]

    assert [[1, 2, 3, 4]] == in_a_turn(broker, clock, put)
    (job,) = broker.jobs("default")
    assert (2, "b", "k") == (job.id, job.body, job.key)
    assert 4 == broker.stats().cmd_put
