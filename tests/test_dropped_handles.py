"""Brokers and handles that nobody refers to any more, and has not closed."""

from __future__ import annotations

import gc
import weakref
from typing import TYPE_CHECKING

import pytest

from inproc_tubes import (
    Broker,
    ClosedError,
    Consumer,
    DeadlockError,
    NotFoundError,
    TimedOutError,
    TubeFullError,
    TubesError,
)
from inproc_tubes.core.recovery import check
from inproc_tubes.testing import FakeClock
from tests.meddling import held, state
from tests.threads import LONG, start, waiting

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def broker(clock: FakeClock) -> Broker:
    return Broker(clock=clock)


# Handles


@pytest.mark.usefixtures("no_collector")
def test_a_dropped_consumer_gives_its_jobs_back(broker: Broker) -> None:
    consumer = held(broker, "first", "second")
    assert "reserved" == state(broker, 1) == state(broker, 2)
    del consumer
    assert "ready" == state(broker, 1) == state(broker, 2)
    assert 0 == broker.stats().current_connections


@pytest.mark.usefixtures("no_collector")
def test_a_dropped_consumer_gives_back_a_job_that_it_has_waited_for(
    broker: Broker,
) -> None:
    consumers = [broker.consumer()]
    future = waiting(broker, lambda: consumers[0].reserve().id)
    broker.producer().put("job")
    assert 1 == future.result(LONG)
    assert "reserved" == state(broker)
    consumers.clear()
    assert "ready" == state(broker)


@pytest.mark.usefixtures("no_collector")
def test_a_job_in_hand_stays_reserved_although_its_consumer_is_dropped(
    broker: Broker,
) -> None:
    broker.producer().put("job")
    job = broker.consumer().reserve()
    assert "reserved" == job.stats().state
    assert 0 == broker.stats().current_connections
    job.delete()
    with pytest.raises(NotFoundError):
        job.stats()
    check(broker._engine)


@pytest.mark.parametrize("end", ["release", "bury", "touch", "block"])
@pytest.mark.usefixtures("no_collector")
def test_a_job_in_hand_has_all_its_verbs_although_its_consumer_is_dropped(
    broker: Broker, end: str
) -> None:
    broker.producer().put("job")
    job = broker.consumer().reserve()
    if end == "block":
        with job:
            assert "reserved" == state(broker)
        assert {} == broker._engine.jobs
    else:
        getattr(job, end)()
        states = {"release": "ready", "bury": "buried", "touch": "reserved"}
        assert states[end] == state(broker)
    check(broker._engine)


@pytest.mark.usefixtures("no_collector")
def test_a_job_in_hand_expires_although_its_consumer_is_dropped(
    broker: Broker, clock: FakeClock
) -> None:
    broker.producer().put("job", ttr=5)
    job = broker.consumer().reserve()
    clock.advance(5)
    assert ("ready", 1) == (state(broker), job.timeouts)
    again = broker.consumer().reserve(timeout=0)
    with pytest.raises(NotFoundError):
        job.delete()
    again.delete()
    check(broker._engine)


@pytest.mark.usefixtures("no_collector")
def test_of_several_jobs_only_those_in_hand_stay_reserved(broker: Broker) -> None:
    consumer = broker.consumer()
    broker.producer().put_many([*"abcd"])
    jobs = consumer.reserve_many(4)
    del jobs[2], jobs[0]
    del consumer
    states = [state(broker, job_id) for job_id in (1, 2, 3, 4)]
    assert ["ready", "reserved", "ready", "reserved"] == states
    assert [2, 4] == [job.id for job in jobs]
    check(broker._engine)


@pytest.mark.usefixtures("no_collector")
def test_a_consumer_dropped_in_a_cycle_gives_its_jobs_back(broker: Broker) -> None:
    cycle: list[object] = [held(broker, "job")]
    cycle.append(cycle)
    del cycle
    assert "reserved" == state(broker)
    gc.collect()
    assert "ready" == state(broker)


@pytest.mark.usefixtures("no_collector")
def test_a_dropped_producer_leaves_its_tube(broker: Broker) -> None:
    producer = broker.producer("a")
    assert "a" in broker.tubes()
    del producer
    assert "a" not in broker.tubes()
    assert 0 == broker.stats().current_connections


@pytest.mark.usefixtures("no_collector")
def test_a_dropped_consumer_serves_a_reserve_that_waits(broker: Broker) -> None:
    consumer = held(broker, "job")
    future = waiting(broker, broker.consumer().reserve)
    del consumer
    assert "job" == future.result(LONG).body


@pytest.mark.usefixtures("no_collector")
def test_a_consumer_dropped_before_time_moves_has_lost_nothing_by_expiry(
    broker: Broker, clock: FakeClock
) -> None:
    consumer = held(broker, "job", ttr=5)
    del consumer
    clock.advance(100)
    assert 0 == broker.stats_job(1).timeouts


@pytest.mark.usefixtures("no_collector")
def test_a_handle_dropped_after_its_broker_was_closed_leaves_nothing_to_do(
    broker: Broker,
) -> None:
    consumer = held(broker, "job")
    broker.close()
    del consumer
    assert not broker._monitor.turn.after


@pytest.mark.usefixtures("no_collector")
def test_what_a_dropped_handle_has_left_to_do_is_void_after_the_close(
    broker: Broker,
) -> None:
    consumers = [held(broker, "job")]
    with broker._monitor.lock:
        # The finaliser does not wait for the lock.
        start(consumers.clear).result(LONG)
    assert 1 == len(broker._monitor.turn.after)
    broker.close()
    assert not broker._monitor.turn.after


@pytest.mark.usefixtures("no_collector")
def test_a_consumer_that_is_dropped_while_another_thread_has_the_lock_wakes_the_leader(
    broker: Broker,
) -> None:
    """There may be no other turn for a long time."""
    consumers = [held(broker, "job")]
    future = waiting(broker, broker.consumer().reserve)
    with broker._monitor.lock:
        start(consumers.clear).result(LONG)
        assert "reserved" == broker._engine.jobs[1]._state.value
    assert "job" == future.result(LONG).body


@pytest.mark.parametrize("make", ["producer", "consumer"])
def test_a_handle_that_was_never_made_needs_no_end(broker: Broker, make: str) -> None:
    """Its finaliser runs all the same, and a warning would be an error."""
    broker.close()
    with pytest.raises(ClosedError):
        getattr(broker, make)()
    gc.collect()


@pytest.mark.parametrize(
    "refused",
    [
        lambda consumer: consumer.reserve(timeout=0),
        lambda consumer: consumer.reserve_many(2, timeout=0),
        lambda consumer: consumer.reserve_job(1),
        lambda consumer: consumer.delete(1),
        lambda consumer: consumer.ignore("default"),
    ],
    ids=["reserve", "reserve_many", "reserve_job", "delete", "ignore"],
)
@pytest.mark.usefixtures("no_collector")
def test_an_error_that_refuses_a_verb_is_in_no_reference_cycle(
    broker: Broker, refused: Callable[[Consumer], object]
) -> None:
    consumer = broker.consumer()
    with pytest.raises(TubesError):
        refused(consumer)
    gone = weakref.ref(consumer)
    del consumer
    assert gone() is None


@pytest.mark.usefixtures("no_collector")
def test_an_error_that_ends_a_reserve_is_in_no_reference_cycle() -> None:
    broker = Broker(clock=FakeClock(autojump=True))
    consumer = broker.consumer()
    with pytest.raises(TimedOutError):
        consumer.reserve(timeout=5)
    gone = weakref.ref(consumer)
    del consumer
    assert gone() is None


@pytest.mark.usefixtures("no_collector")
def test_an_error_that_ends_a_put_is_in_no_reference_cycle() -> None:
    broker = Broker(clock=FakeClock(autojump=True))
    broker.limit_tube("default", 1)
    producer = broker.producer()
    producer.put("job")
    with pytest.raises(TubeFullError):
        producer.put("x", timeout=5)
    with pytest.raises(DeadlockError):
        producer.put_many([*"x"])
    gone = weakref.ref(producer)
    del producer
    assert gone() is None


@pytest.mark.usefixtures("no_collector")
def test_an_error_that_ends_a_join_is_in_no_reference_cycle() -> None:
    broker = Broker(clock=FakeClock(autojump=True))
    broker.producer().put("job")
    with pytest.raises(TimedOutError):
        broker.join(timeout=5)
    gone: list[weakref.ref[object]]
    gone = [weakref.ref(broker), weakref.ref(broker._monitor)]
    del broker
    assert not any(ref() for ref in gone)


# Brokers


@pytest.mark.usefixtures("no_collector")
def test_a_dropped_broker_is_freed_at_once(clock: FakeClock) -> None:
    broker = Broker(clock=clock)
    consumer = held(broker, "job")
    with pytest.raises(TimedOutError):
        broker.consumer("other").reserve(timeout=0)
    gone: list[weakref.ref[object]]
    gone = [weakref.ref(broker), weakref.ref(broker._monitor)]
    del broker, consumer
    assert not any(ref() for ref in gone)


@pytest.mark.usefixtures("no_collector")
def test_a_closed_broker_drops_the_bodies(broker: Broker) -> None:
    class Body:
        pass

    consumer = broker.consumer()
    gone = []
    for delay in (0, 0, 5):
        body = Body()
        gone.append(weakref.ref(body))
        broker.producer().put(body, delay=delay)
        del body
    consumer.reserve()
    assert all(ref() is not None for ref in gone)
    broker.close()
    assert all(ref() is None for ref in gone)
