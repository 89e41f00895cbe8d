"""Consumers and brokers that are stopped: take no more, finish what is in hand."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

import pytest

from inproc_tubes import (
    AsyncConsumer,
    Broker,
    ClosedError,
    Consumer,
    NotFoundError,
    StoppedError,
    TubeFullError,
)
from inproc_tubes.core.turn import TURN
from inproc_tubes.testing import FakeClock, wait_until_waiting
from tests.robustness.processes import run
from tests.threads import LONG, signalled, start, waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.shells import Shell


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def broker(clock: FakeClock) -> Iterator[Broker]:
    with Broker(clock=clock) as broker:
        yield broker


STOPS: dict[str, Callable[[Broker, Any], None]] = {
    "the consumer was stopped": lambda _broker, consumer: consumer.stop(),
    "the broker was stopped": lambda broker, _consumer: broker.stop(),
}


@pytest.mark.parametrize("what", STOPS)
def test_whoever_waits_is_told_in_threads_and_in_loops(
    broker: Broker, shell: Shell, what: str
) -> None:
    consumer = shell.consumer()
    verbs = [
        consumer.reserve,
        lambda: consumer.reserve(timeout=60),
        lambda: consumer.reserve_many(3),
    ]
    futures = [shell.start(verb) for verb in verbs]
    wait_until_waiting(broker, 3)
    STOPS[what](broker, consumer)
    for future in futures:
        with pytest.raises(StoppedError, match=f"^{what}$"):
            future.result(LONG)
    for verb in verbs:
        with pytest.raises(StoppedError, match=f"^{what}$"):
            shell.start(verb).result(LONG)


def test_a_loop_over_a_consumer_ends(broker: Broker, shell: Shell) -> None:
    consumer = shell.consumer()

    async def iterate() -> list[object]:
        return [job.body async for job in consumer]

    def loop() -> Any:
        if isinstance(consumer, AsyncConsumer):
            return iterate()
        return [job.body for job in consumer]

    broker.producer().put("job")
    future = shell.start(loop)
    wait_until_waiting(broker, 1)
    consumer.stop()
    assert ["job"] == future.result(LONG)
    assert [] == shell.start(loop).result(LONG)


def test_the_loop_of_a_consumer_that_was_made_too_late_ends_at_once(
    broker: Broker,
) -> None:
    broker.stop()
    broker.producer().put("job")
    consumer = broker.consumer()
    assert [] == list(consumer)
    assert "<Consumer 'MainThread': the broker was stopped; holds no jobs>" == repr(
        consumer
    )


def test_a_job_in_hand_is_finished(broker: Broker, clock: FakeClock) -> None:
    producer, consumer = broker.producer(), broker.consumer()
    ids = producer.put_many(range(7), ttr=10)
    jobs = consumer.reserve_many(7)
    consumer.stop()
    consumer.stop()
    jobs[0].delete()
    consumer.release(jobs[1], delay=60)
    jobs[2].bury()
    with pytest.raises(ZeroDivisionError), jobs[3]:
        raise ZeroDivisionError
    with jobs[4]:
        clock.advance(9)
        jobs[4].touch()
        clock.advance(9)
        assert jobs[5].lost
    assert not jobs[4].lost
    with pytest.raises(NotFoundError):
        jobs[6].release()
    states = [job.stats().state for job in broker.jobs("default")]
    assert ["ready", "ready", "delayed", "buried", "buried"] == states
    assert ids[5:] == [job.id for job in broker.jobs("default", "ready")]


def test_closing_gives_back_what_a_stopped_consumer_has_left(broker: Broker) -> None:
    broker.producer().put("job")
    with broker.consumer() as consumer:
        job = consumer.reserve()
        consumer.stop()
        assert "<Consumer 'MainThread': the consumer was stopped; holds 1 job>" == repr(
            consumer
        )
        assert [] == consumer.watching()
        assert "reserved" == job.stats().state
    assert "ready" == job.stats().state
    assert job.lost
    consumer.stop()
    with pytest.raises(ClosedError, match=r"^the consumer was closed$"):
        consumer.reserve()


def test_a_stopped_consumer_watches_no_more_tubes(broker: Broker) -> None:
    consumer = broker.consumer("a", "b")
    consumer.stop()
    for verb in (
        lambda: consumer.watch("c"),
        lambda: consumer.ignore("a"),
        lambda: consumer.reserve_job(1),
    ):
        with pytest.raises(StoppedError):
            verb()
    assert ["default"] == broker.tubes()


def test_a_batch_whose_first_job_came_just_before_the_stop_goes_back(
    broker: Broker,
) -> None:
    producer, consumer = broker.producer(), broker.consumer()
    future = waiting(broker, lambda: consumer.reserve_many(2))
    with broker._monitor.lock:  # so that it does not go on
        producer.put("job")
        consumer.stop()
    with pytest.raises(StoppedError):
        future.result(LONG)
    broker.tubes()
    job = broker.peek_ready()
    assert ("job", 0) == (job.body, job.reserves)


def test_a_reserve_that_was_answered_just_before_the_stop_has_its_job(
    broker: Broker,
) -> None:
    producer, consumer = broker.producer(), broker.consumer()
    future = waiting(broker, consumer.reserve)
    with broker._monitor.lock:  # so that it does not go on
        producer.put("job")
        consumer.stop()
    with future.result(LONG) as job:
        assert "job" == job.body


def test_a_bounded_pipeline_does_not_wedge_on_a_stage_that_has_left(
    broker: Broker, shell: Shell
) -> None:
    broker.limit_tube("full", 1)
    broker.producer("full").put(0)
    producer = shell.producer("full")
    verbs = [
        lambda: producer.put(1),
        lambda: producer.put_many([2], timeout=60),
        shell.join("full"),
        shell.join(timeout=60),
    ]
    futures = [shell.start(verb) for verb in verbs]
    wait_until_waiting(broker, 4)
    broker.stop()
    for future in (*futures, *map(shell.start, verbs)):
        with pytest.raises(StoppedError, match=r"^the broker was stopped$"):
            future.result(LONG)
    with pytest.raises(TubeFullError):
        shell.start(lambda: producer.put(1, timeout=0)).result(LONG)
    assert "<Broker: 1 ready in 2 tubes; stopped>" == repr(broker)
    # What need not wait is done.
    broker.clear_tube("full")
    assert 2 == shell.start(lambda: producer.put(1)).result(LONG)


def test_stopping_after_closing_has_no_effect(broker: Broker) -> None:
    consumer = broker.consumer()
    broker.close()
    consumer.stop()
    broker.stop()
    assert "<Broker: the broker was closed>" == repr(broker)


@pytest.mark.parametrize("what", STOPS)
def test_a_stop_in_the_middle_of_a_verb_is_carried_out_at_its_end(
    broker: Broker, what: str
) -> None:
    consumer, other = broker.consumer(), broker.consumer()
    future = waiting(broker, consumer.reserve)
    monitor = broker._monitor
    with monitor.guard:
        monitor.turn.unfinished = TURN
        STOPS[what](broker, consumer)
        assert 1 == monitor.waiting
        monitor.turn.unfinished = None
    other.watching()
    with pytest.raises(StoppedError, match=f"^{what}$"):
        future.result(LONG)


def test_a_stop_in_the_middle_of_a_verb_by_which_the_broker_closes_has_no_effect(
    broker: Broker,
) -> None:
    consumer = broker.consumer()
    monitor = broker._monitor
    with monitor.guard:
        monitor.turn.unfinished = TURN
        broker.close()
        consumer.stop()
        broker.stop()
        monitor.turn.unfinished = None
    monitor.finish()
    with pytest.raises(ClosedError, match=r"^the broker was closed$"):
        broker.tubes()
    assert not monitor.turn.after


def test_a_stop_by_a_signal_ends_the_loop_after_the_current_job(broker: Broker) -> None:
    """At whatever point of the loop the signal comes."""
    for _ in range(200):
        consumer: Consumer[int] = broker.consumer()
        producer = broker.producer()
        producer.put_many(range(3))
        hits: list[int] = []

        def handle(
            number: int,
            _frame: object,
            hits: list[int] = hits,
            consumer: Consumer[int] = consumer,
        ) -> None:
            consumer.stop()
            hits.append(number)

        before = signal.signal(signal.SIGALRM, handle)
        try:
            # Again and again: where threads are left over, CPython may miss the first.
            signal.setitimer(signal.ITIMER_REAL, 1e-4, 1e-2)
            stopped = False
            for job in consumer:
                assert not stopped
                with job:
                    producer.put(job.body)
                stopped = bool(hits)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        assert 0 == broker.stats().current_jobs_reserved
        assert 3 == broker.clear_tube("default")


def test_a_stop_by_a_signal_ends_a_loop_that_waits() -> None:
    script = """
consumer = broker.consumer()
broker.producer().put("job")

def handle(number, frame):
    hits.append(number)
    consumer.stop()
signal.signal(signal.SIGINT, handle)

helper.start()
for job in consumer:
    with job:
        print("done")
helper.join()
print("ended")
"""
    assert "done\nended\n" == run(signalled(script))


@pytest.mark.parametrize("autojump", [False, True])
def test_a_stop_by_a_thread_ends_all_loops(autojump: bool) -> None:  # noqa: FBT001  # parametrised
    clock = FakeClock(autojump=autojump)
    with Broker(clock=clock) as broker:
        consumers = [broker.consumer(*"ab"[: n % 3]) for n in range(6)]
        futures = [start(lambda c=c: list(c)) for c in consumers]  # type: ignore[misc]  # mypy does not see the default's type
        wait_until_waiting(broker, 6)
        broker.stop()
        assert [[]] * 6 == [future.result(LONG) for future in futures]
