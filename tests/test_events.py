"""Events: who is called, when, where, and what it disturbs."""

from __future__ import annotations

import copy
import gc
import logging
import weakref
from contextlib import ExitStack
from contextvars import ContextVar
from dataclasses import FrozenInstanceError
from threading import Event as Flag, Thread, get_ident
from typing import TYPE_CHECKING, Any

import pytest

from inproc_tubes import Broker, ClosedError, Event, EventKind, ReentrantCallError
from inproc_tubes.core.recovery import check
from inproc_tubes.fakes import FakeBeanstalkd
from inproc_tubes.testing import FakeClock, wait_until_waiting
from tests.threads import LONG

if TYPE_CHECKING:
    from collections.abc import Callable

JOB_KINDS = [kind for kind in EventKind if not kind.value.startswith("consumer")]


class Told:
    """A callback that writes down what it is told."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def __call__(self, event: Event) -> None:
        self.events.append(event)

    @property
    def kinds(self) -> list[str]:
        """The kinds of all that it was told."""
        return [event.kind.value for event in self.events]


@pytest.fixture
def broker() -> Broker:
    """Make a broker whose clock stands still."""
    return Broker(clock=FakeClock())


def test_the_life_of_a_job_is_told(broker: Broker) -> None:
    told = Told()
    broker.subscribe(told, JOB_KINDS)
    producer, consumer = broker.producer("a"), broker.consumer("a", name="w")
    producer.put("scarf", priority=7)
    consumer.reserve(timeout=0).touch()
    consumer.delete(1)
    assert ["put", "reserved", "touched", "deleted"] == told.kinds
    assert [None, "w", "w", "w"] == [event.consumer for event in told.events]
    assert {("a", 1, 7)} == {(e.tube, e.job_id, e.priority) for e in told.events}


def test_what_is_done_to_jobs_and_tubes_is_told(broker: Broker) -> None:
    told = Told()
    broker.subscribe(told, JOB_KINDS)
    producer, consumer = broker.producer("a"), broker.consumer("a")
    producer.put_many(["x", "y"], delay=5)
    broker.update(1, priority=3)
    broker.update(1, delay=0)
    broker.update(1, delay=9)
    broker.kick("a", 1)
    broker.kick_job(1)
    broker.move(1, "b")
    broker.move(1, "b")
    broker.bury(1, error=ValueError("why"))
    consumer.reserve_job(1).bury()
    broker.update(1, delay=2)
    broker.cancel(1)
    consumer.reserve_job(2)
    broker.cancel(2)
    producer.put("z", expires=1)
    broker.clock.advance(1)  # type: ignore[attr-defined]  # a FakeClock
    broker.jobs("a")
    producer.put("p")
    broker.clear_tube("a")
    expected = (
        "put put updated updated updated kicked kicked moved buried reserved buried "
        "updated "
        "cancelled reserved cancelled put expired put deleted"
    )
    assert expected.split() == told.kinds
    outside, inside = (event for event in told.events if event.kind.value == "buried")
    assert (outside.consumer, outside.held) == (None, None)
    assert outside.error is not None
    assert (inside.held, inside.error) == (0, None)
    check(broker._engine)


def test_a_job_that_is_replaced_is_deleted_after_the_other_was_put(
    broker: Broker,
) -> None:
    told = Told()
    broker.subscribe(told)
    producer = broker.producer()
    producer.put("a", key="k")
    producer.put("b", key="k", on_duplicate="replace")
    assert [("put", 1), ("put", 2), ("deleted", 1)] == [
        (event.kind.value, event.job_id) for event in told.events
    ]


def test_the_end_of_a_consumer_and_of_the_broker_are_told(broker: Broker) -> None:
    told = Told()
    broker.subscribe(told)
    broker.producer().put("a")
    consumer = broker.consumer(name="w")
    job = consumer.reserve()
    del consumer
    assert ["put", "consumer_opened", "reserved", "consumer_closed"] == told.kinds
    del job
    broker.consumer()
    broker.close()
    broker.close()
    assert ["consumer_opened", "consumer_closed", "closed"] == told.kinds[4:]


def test_the_jobs_of_a_consumer_that_is_dropped_are_returned(broker: Broker) -> None:
    told = Told()
    broker.producer().put("a")
    broker.subscribe(told, ["returned"])
    consumer = broker.consumer()
    consumer.reserve()
    del consumer
    assert ["returned"] == told.kinds


def test_connections_of_the_protocol_make_events() -> None:
    import greenstalk  # noqa: PLC0415 - only here

    told = Told()
    with FakeBeanstalkd(("tubes", 11300), clock=FakeClock()) as server:
        server.broker.subscribe(told)
        with greenstalk.Client(("tubes", 11300)) as client:
            client.put("a")
            client.delete(client.reserve(timeout=0))
    expected = "consumer_opened put reserved deleted consumer_closed"
    assert expected.split() == told.kinds[:5]


def test_a_callback_is_called_before_the_verb_returns_and_without_the_lock(
    broker: Broker,
) -> None:
    threads = []

    def look_from_elsewhere(_event: Event) -> None:
        threads.append(get_ident())
        other = Thread(target=broker.tubes)
        other.start()
        other.join(LONG)
        assert not other.is_alive()

    broker.subscribe(look_from_elsewhere, ["put"])
    broker.producer().put("a")
    assert [get_ident()] == threads


def test_a_callback_may_call_verbs_and_is_told_of_them_in_order(
    broker: Broker,
) -> None:
    told = Told()

    def delete(event: Event) -> None:
        assert event.job_id is not None
        broker.delete(event.job_id)

    broker.subscribe(delete, ["put"])
    broker.subscribe(told)
    broker.producer().put_many(["a", "b"])
    assert [("put", 1), ("put", 2), ("deleted", 1), ("deleted", 2)] == [
        (event.kind.value, event.job_id) for event in told.events
    ]


def test_a_callback_that_raises_is_logged_and_disturbs_nothing(
    broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    told = Told()

    def fail(_event: Event) -> None:
        message = "my fault"
        raise ValueError(message)

    broker.subscribe(fail)
    broker.subscribe(told)
    assert broker.producer().put("a") == 1
    assert ["put"] == told.kinds
    (record,) = caplog.records
    assert ("inproc_tubes.events", logging.ERROR) == (record.name, record.levelno)
    assert "my fault" in caplog.text
    assert "EventKind.PUT" in record.getMessage()


def test_an_interruption_of_a_callback_is_raised_and_the_rest_is_told_later(
    broker: Broker,
) -> None:
    told = Told()

    def interrupt(event: Event) -> None:
        if event.job_id == 1:
            raise KeyboardInterrupt

    broker.subscribe(interrupt, ["put"])
    broker.subscribe(told, ["put"])
    producer = broker.producer()
    with pytest.raises(KeyboardInterrupt):
        producer.put("a")
    assert [] == told.events
    producer.put("b")
    assert [1, 2] == [event.job_id for event in told.events]


def test_only_the_kinds_that_were_asked_for_are_told(broker: Broker) -> None:
    puts, nothing = Told(), Told()
    broker.subscribe(puts, [EventKind.PUT, "deleted"])
    broker.subscribe(nothing, [])
    broker.producer().put("a")
    broker.consumer().reserve().delete()
    assert ["put", "deleted"] == puts.kinds
    assert [] == nothing.events


def test_bodies_are_shown_to_those_who_have_asked(broker: Broker) -> None:
    without, with_bodies = Told(), Told()
    broker.subscribe(without)
    broker.subscribe(with_bodies, bodies=True)
    body = object()
    broker.producer().put(body)
    broker.pause_tube("default", 1)
    assert [None, None] == [event.body for event in without.events]
    assert with_bodies.events[0].body is body
    assert with_bodies.events[1].body is None


def test_a_block_that_is_over_tells_nothing_more(broker: Broker) -> None:
    told = Told()
    with broker.subscribe(told) as subscription:
        broker.producer().put("a")
    subscription.unsubscribe()
    broker.producer().put("b")
    assert ["put"] == told.kinds
    assert broker._monitor.turn.log is None
    check(broker._engine)


def test_a_subscription_that_nobody_refers_to_goes_on(broker: Broker) -> None:
    told = Told()
    broker.subscribe(told)
    gc.collect()
    broker.producer().put("a")
    assert ["put"] == told.kinds


def test_a_block_that_never_ends_is_over_when_nobody_refers_to_it(
    broker: Broker,
) -> None:
    told = Told()
    block = ExitStack()
    block.enter_context(broker.subscribe(told))
    broker.producer().put("a")
    del block
    broker.producer().put("b")
    assert ["put"] == told.kinds
    assert broker._monitor.turn.log is None


def test_one_of_two_subscriptions_may_end(broker: Broker) -> None:
    one, other = Told(), Told()
    subscription = broker.subscribe(one)
    broker.subscribe(other)
    subscription.unsubscribe()
    broker.producer().put("a")
    assert ([], ["put"]) == (one.kinds, other.kinds)


def test_a_callback_may_end_its_own_subscription(broker: Broker) -> None:
    seen = []

    def once(event: Event) -> None:
        seen.append(event)
        subscription.unsubscribe()

    subscription = broker.subscribe(once)
    broker.producer().put_many(["a", "b"])
    assert len(seen) == 1


def test_a_subscription_may_outlive_its_broker() -> None:
    broker = Broker()
    subscription = broker.subscribe(print)
    gone = weakref.ref(broker._monitor)
    del broker
    assert gone() is None  # without the collector
    subscription.unsubscribe()


def test_a_subscription_may_end_after_its_broker(broker: Broker) -> None:
    subscription = broker.subscribe(print, [])
    broker.close()
    subscription.unsubscribe()
    with pytest.raises(ClosedError):
        broker.subscribe(print)


def test_a_subscription_says_what_it_is(broker: Broker) -> None:
    some = broker.subscribe(print, ["buried", "put"])
    assert some.kinds == {EventKind.PUT, EventKind.BURIED}
    assert not some.bodies
    assert repr(some) == f"<Subscription to put, buried: {print!r}>"
    some.unsubscribe()
    assert repr(some) == f"<Subscription to put, buried, over: {print!r}>"
    assert repr(broker.subscribe(print)) == f"<Subscription to all events: {print!r}>"
    assert repr(broker.subscribe(print, ())) == f"<Subscription to nothing: {print!r}>"
    with pytest.raises(TypeError, match="neither pickled nor copied"):
        copy.copy(some)


def test_an_event_cannot_be_changed(broker: Broker) -> None:
    told = Told()
    broker.subscribe(told)
    broker.producer().put("a")
    (event,) = told.events
    with pytest.raises(FrozenInstanceError):
        event.tube = "b"  # type: ignore[misc]  # what is tried here
    assert not hasattr(event, "__dict__")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ((None,), TypeError),
        (("print",), TypeError),
        ((print, "put"), TypeError),
        ((print, EventKind.PUT), TypeError),
        ((print, 1), TypeError),
        ((print, [1]), TypeError),
        ((print, ["putt"]), ValueError),
    ],
)
def test_a_bad_subscription_is_refused_and_changes_nothing(
    broker: Broker, arguments: tuple[Any, ...], error: type[Exception]
) -> None:
    with pytest.raises(error):
        broker.subscribe(*arguments)
    with pytest.raises(TypeError, match="bodies is a bool, not int"):
        broker.subscribe(print, bodies=1)  # type: ignore[arg-type]  # what is tried here
    assert broker._monitor.turn.log is None


def test_who_subscribes_in_the_middle_of_a_verb_is_refused(broker: Broker) -> None:
    def in_a_turn(_now: float) -> None:
        with pytest.raises(ReentrantCallError):
            broker.subscribe(print)

    broker._monitor.run(in_a_turn)


def test_a_finaliser_in_the_middle_of_a_verb_may_unsubscribe(broker: Broker) -> None:
    told = Told()
    subscription = broker.subscribe(told)
    broker._monitor.run(lambda _now: subscription.unsubscribe())
    broker.producer().put("a")
    assert [] == told.events
    assert broker._monitor.turn.log is None


def test_a_put_in_the_middle_of_a_verb_is_told_at_its_end(broker: Broker) -> None:
    told = Told()
    broker.subscribe(told)
    producer = broker.producer()

    def in_a_turn(_now: float) -> list[str]:
        producer.put("a")
        broker._monitor.finish()  # as a finaliser may have it
        return told.kinds

    assert [] == broker._monitor.run(in_a_turn)
    assert ["put"] == told.kinds


def test_events_stay_behind_while_a_turn_of_the_same_thread_is_under_way(
    broker: Broker,
) -> None:
    told = Told()
    broker.subscribe(told)
    broker.producer().put("a")
    teller = broker._monitor.teller
    assert teller is not None
    monitor = broker._monitor

    def in_a_turn(now: float) -> None:
        monitor.engine.pause_tube(now, "default", 5)
        teller.tell(monitor.turn, monitor.guard, monitor.recover)
        assert ["put"] == told.kinds

    monitor.run(in_a_turn)
    assert ["put", "tube_paused"] == told.kinds


def test_who_is_interrupted_before_telling_keeps_nobody_from_it(
    broker: Broker,
) -> None:
    told = Told()
    broker.subscribe(told)
    monitor = broker._monitor
    teller = monitor.teller
    assert teller is not None

    def interrupt() -> None:
        raise KeyboardInterrupt

    def in_a_turn(_now: float) -> None:
        with pytest.raises(KeyboardInterrupt):
            teller.tell(monitor.turn, monitor.guard, interrupt)

    monitor.run(in_a_turn)
    broker.producer().put("a")
    assert ["put"] == told.kinds


def test_a_thread_that_finds_another_one_telling_leaves_its_events_to_that(
    broker: Broker,
) -> None:
    told: list[tuple[int | None, int]] = []
    busy, go_on = Flag(), Flag()

    def block(event: Event) -> None:
        told.append((event.job_id, get_ident()))
        if event.job_id == 1:
            busy.set()
            assert go_on.wait(LONG)

    broker.subscribe(block, ["put"])
    producer = broker.producer()
    first = Thread(target=producer.put, args=("a",))
    first.start()
    assert busy.wait(LONG)
    producer.put("b")  # returns, although the first event is still being told
    assert [1] == [job_id for job_id, _ in told]
    go_on.set()
    first.join(LONG)
    assert [(1, first.ident), (2, first.ident)] == told


def test_who_makes_events_for_ever_is_left_alone_after_a_while(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inproc_tubes.telling._BATCH", 3)
    told = Told()
    producer = broker.producer()

    def put_another(event: Event) -> None:
        told(event)
        producer.put("b")

    broker.subscribe(put_another)
    producer.put("a")
    assert len(told.events) == 3
    producer.put("a")
    assert [1, 2, 3, 4, 5, 6] == [event.job_id for event in told.events]


def test_a_callback_runs_in_the_context_of_the_verb(broker: Broker) -> None:
    request = ContextVar("request", default="none")
    seen = []

    def look(event: Event) -> None:
        seen.append((event.kind.value, request.get()))
        request.set("changed")

    broker.subscribe(look, ["put", "reserved"])
    request.set("7")
    broker.producer().put("a")
    assert request.get() == "7"
    assert [("put", "7")] == seen


def test_what_falls_due_is_told_by_whoever_keeps_the_time(broker: Broker) -> None:
    told = Told()
    consumer = broker.consumer()
    broker.producer().put("a", ttr=5)
    consumer.reserve()
    broker.subscribe(told, ["timed_out", "reserved"])
    waiting = broker.consumer()
    thread = Thread(target=waiting.reserve)
    thread.start()
    wait_until_waiting(broker, 1)
    broker.clock.advance(5)  # type: ignore[attr-defined]  # a FakeClock
    thread.join(LONG)
    assert ["timed_out", "reserved"] == told.kinds
    assert told.events[0].held == 5


def test_many_threads_are_told_of_in_the_order_of_the_broker() -> None:
    broker = Broker()
    told = Told()
    broker.subscribe(told, ["put", "reserved", "deleted"])

    def work() -> None:
        producer, consumer = broker.producer(), broker.consumer()
        for _ in range(200):
            producer.put("a")
            consumer.reserve().delete()

    threads = [Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG)
    broker.producer().put("last")
    puts = [event.job_id for event in told.events if event.kind is EventKind.PUT]
    assert list(range(1, 802)) == puts
    for job_id in range(1, 801):
        of_job = [e.kind.value for e in told.events if e.job_id == job_id]
        assert ["put", "reserved", "deleted"] == of_job


def test_what_an_event_refers_to_may_have_a_destructor_that_calls_verbs(
    broker: Broker,
) -> None:
    class Body:
        def __del__(self) -> None:
            producer.put("last words")

    producer = broker.producer()
    broker.subscribe(lambda _event: None, bodies=True)
    producer.put(Body())
    broker.consumer().reserve().delete()
    gc.collect()
    assert [2] == [job.id for job in broker.jobs("default")]


def subscribed(call: Callable[[Event], object]) -> Broker:
    """Make a broker with a subscriber."""
    broker = Broker(clock=FakeClock())
    broker.subscribe(call)
    return broker


def test_a_put_that_was_taken_back_is_deleted() -> None:
    told = Told()
    broker = subscribed(told)
    broker.limit_tube("default", 1)
    producer = broker.producer()
    producer.put("a")
    request_sleeper = Thread(target=producer.put, args=("b",))
    request_sleeper.start()
    wait_until_waiting(broker, 1)
    (request,) = broker._engine.admission.puts.values()
    broker.delete(1)
    request_sleeper.join(LONG)
    broker._monitor.run(broker._engine.dispatch.withdraw, request)
    assert ["tube_limited", "put", "deleted", "put", "deleted"] == told.kinds
