"""Puts that wait for room in a limited tube, each in a thread of its own."""

from __future__ import annotations

import queue
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from inproc_tubes import (
    Broker,
    ClosedError,
    Consumer,
    DeadlockError,
    DrainingError,
    JobTooBigError,
    Producer,
    TubeFullError,
)
from inproc_tubes.core.recovery import check
from inproc_tubes.core.requests import PutRequest
from inproc_tubes.testing import FakeClock, wait_until_waiting
from inproc_tubes.waiting.threads import ThreadSleepers
from tests.handles.shared import bodies
from tests.shells import InterruptingClock
from tests.threads import LONG, signalled, start, waiting

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def producer(broker: Broker) -> Producer:
    """Make a producer whose tube has the one job that it may have."""
    broker.limit_tube("default", 1)
    producer = broker.producer()
    producer.put("first")
    return producer


def test_without_a_limit_no_put_waits(broker: Broker) -> None:
    producer = broker.producer()
    assert [1, 2] == [producer.put("x", timeout=timeout) for timeout in (0, 5)]
    assert 0 == broker.stats_tube("default").maxsize


def test_a_put_waits_until_a_job_is_deleted(
    broker: Broker, producer: Producer, consumer: Consumer
) -> None:
    future = waiting(broker, lambda: producer.put("second", 5, 0, 7))
    assert 1 == broker.stats_tube("default").current_putting
    consumer.reserve().delete()
    assert 2 == future.result(LONG)
    job = consumer.reserve(0)
    assert ("second", 5, 7) == (job.body, job.priority, job.ttr)


def test_puts_of_several_producers_are_let_in_in_their_order(
    broker: Broker, producer: Producer, consumer: Consumer
) -> None:
    futures = []
    for n in range(3):
        putting = broker.producer("elsewhere").put if n % 2 else producer.put
        futures.append(
            waiting(broker, lambda put=putting, n=n: put(n, tube="default"))  # type: ignore[misc]  # defaults
        )
    for n, future in enumerate(futures):
        consumer.reserve(0).delete()
        assert n + 2 == future.result(LONG)
    assert [2] == bodies(consumer)


def test_a_put_with_a_timeout_of_0_is_refused_at_once(
    broker: Broker, producer: Producer
) -> None:
    with pytest.raises(TubeFullError) as caught:
        producer.put("second", timeout=0)
    assert ("default", 1, 1) == (
        caught.value.tube,
        caught.value.maxsize,
        caught.value.count,
    )
    assert 2 == broker.stats().cmd_put
    broker.delete(1)
    assert 2 == producer.put("second", timeout=0)


def test_a_full_tube_is_a_full_queue_to_a_stranger(producer: Producer) -> None:
    with pytest.raises(queue.Full):
        producer.put("second", timeout=0)


def test_a_put_raises_when_its_timeout_has_passed(
    broker: Broker, producer: Producer, clock: FakeClock
) -> None:
    future = waiting(broker, lambda: producer.put("second", timeout=5))
    clock.advance(4.9)
    assert 1 == broker.stats_tube("default").current_putting
    clock.advance(0.1)
    assert isinstance(future.exception(LONG), TubeFullError)
    assert 0 == broker.stats_tube("default").current_putting


def test_a_put_keeps_time_for_a_reserve_and_a_reserve_for_a_put(
    broker: Broker, producer: Producer, clock: FakeClock
) -> None:
    """Of all threads that wait for anything, one leads."""
    reserving = waiting(broker, broker.consumer("later").reserve)
    putting = waiting(broker, lambda: producer.put("second", timeout=5))
    broker.producer("later").put("late", delay=5)
    clock.advance(5)
    assert "late" == reserving.result(LONG).body
    assert isinstance(putting.exception(LONG), TubeFullError)


def test_a_put_waits_for_room_even_if_its_job_would_be_delayed(
    broker: Broker, producer: Producer, clock: FakeClock
) -> None:
    future = waiting(broker, lambda: producer.put("second", delay=5))
    clock.advance(60)
    broker.delete(1)
    assert 5 == broker.stats_job(future.result(LONG)).time_left


def test_a_higher_limit_lets_in_puts_that_wait(
    broker: Broker, producer: Producer
) -> None:
    futures = [waiting(broker, lambda: producer.put("x")) for _ in range(3)]
    broker.limit_tube("default", 2)
    assert 2 == futures[0].result(LONG)
    broker.limit_tube("default", 0)
    assert [3, 4] == [future.result(LONG) for future in futures[1:]]


def test_what_is_too_big_is_refused_before_it_waits(
    broker: Broker, producer: Producer
) -> None:
    with pytest.raises(JobTooBigError):
        producer.put("x" * 65536)
    assert 0 == broker.stats_tube("default").current_putting


def test_a_worker_that_reserves_and_puts_into_its_own_full_tube_can_time_out(
    broker: Broker, producer: Producer, consumer: Consumer
) -> None:
    """Its job counts while it holds it: it must not wait for itself for ever."""
    with (
        pytest.raises(TubeFullError),
        consumer.reserve(),
    ):
        producer.put("follows", timeout=0)
    assert "buried" == broker.stats_job(1).state


# The end


@pytest.mark.parametrize("closed", ["producer", "broker"])
def test_closing_ends_a_put_that_waits(
    broker: Broker, producer: Producer, closed: str
) -> None:
    future = waiting(broker, lambda: producer.put("second"))
    (producer if closed == "producer" else broker).close()
    error = future.exception(LONG)
    assert isinstance(error, ClosedError)
    assert f"the {closed} was closed" == str(error)
    assert 0 == broker._monitor.waiting


def test_closing_a_producer_leaves_the_puts_of_others_waiting(
    broker: Broker, producer: Producer
) -> None:
    future = waiting(broker, lambda: broker.producer().put("second"))
    producer.close()
    broker.delete(1)
    assert 2 == future.result(LONG)


def test_draining_ends_a_put_that_waits(broker: Broker, producer: Producer) -> None:
    futures = [waiting(broker, lambda: producer.put("x")) for _ in range(2)]
    broker.drain()
    for future in futures:
        assert isinstance(future.exception(LONG), DrainingError)
    broker.delete(1)
    assert [] == broker.jobs("default")


def test_an_autojumping_clock_lets_a_put_time_out_at_once() -> None:
    clock = FakeClock(autojump=True)
    broker = Broker(clock=clock)
    broker.limit_tube("default", 1)
    producer = broker.producer()
    producer.put("first")
    begun = clock.now()
    with pytest.raises(TubeFullError):
        producer.put("second", timeout=3600)
    assert 3600 == clock.now() - begun
    with pytest.raises(DeadlockError):
        producer.put("third")
    check(broker._engine)


# Interrupted


@pytest.fixture
def clock() -> InterruptingClock:
    return InterruptingClock()


@pytest.mark.parametrize("exception", [KeyboardInterrupt, SystemExit, RuntimeError])
def test_an_interrupted_put_leaves_nothing_behind(
    broker: Broker,
    producer: Producer,
    clock: InterruptingClock,
    exception: type[BaseException],
) -> None:
    def interrupt() -> None:
        assert 1 == broker._monitor.waiting
        raise exception

    clock.interrupt = interrupt
    with pytest.raises(exception):
        producer.put("second", timeout=5)
    assert 0 == broker._monitor.waiting
    broker.delete(1)
    assert [] == broker.jobs("default")
    assert 0 == broker.stats().current_waiting


def test_a_job_let_in_for_an_interrupted_put_has_never_been(
    broker: Broker, producer: Producer, clock: InterruptingClock
) -> None:
    def interrupt() -> None:
        broker.delete(1)
        assert 2 == broker.peek_ready().id
        raise KeyboardInterrupt

    clock.interrupt = interrupt
    with pytest.raises(KeyboardInterrupt):
        producer.put("second")
    assert [] == broker.jobs("default")
    stats = broker.stats_tube("default")
    assert (1, 1) == (stats.total_jobs, stats.cmd_delete)
    assert 3 == producer.put("third", timeout=0)


def test_a_job_that_somebody_has_by_then_stays(
    broker: Broker, producer: Producer, consumer: Consumer, clock: InterruptingClock
) -> None:
    def interrupt() -> None:
        broker.delete(1)
        assert "second" == consumer.reserve(0).body
        raise KeyboardInterrupt

    clock.interrupt = interrupt
    with pytest.raises(KeyboardInterrupt):
        producer.put("second")
    assert "reserved" == broker.stats_job(2).state


def test_an_interrupted_put_makes_way_for_the_next(
    broker: Broker, producer: Producer, clock: InterruptingClock
) -> None:
    def interrupt() -> None:
        futures.append(waiting(broker, lambda: producer.put("third")))
        broker.delete(1)
        raise KeyboardInterrupt

    futures: list[Any] = []
    clock.interrupt = interrupt
    with pytest.raises(KeyboardInterrupt):
        producer.put("second")
    assert 3 == futures[0].result(LONG)
    assert ["third"] == [job.body for job in broker.jobs("default")]


def test_a_put_interrupted_before_it_waits_takes_its_job_back(
    broker: Broker, producer: Producer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There was room by its second turn."""

    def interrupted(_request: PutRequest) -> list[int]:
        assert 2 == broker.peek_ready().id
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        between(patch, lambda: broker.delete(1))
        patch.setattr(PutRequest, "result", interrupted)
        with pytest.raises(KeyboardInterrupt):
            producer.put("second")
    assert [] == broker.jobs("default")


INTERRUPTED = """
broker.limit_tube("default", 1)
producer = broker.producer()
producer.put("first")

helper.start()
try:
    broker.join() if sys.argv[1] == "join" else producer.put("second")
except KeyboardInterrupt:
    print("interrupted", broker)
helper.join()
broker.delete(1)
print(broker.join(timeout=0), broker.jobs("default"))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pthread_kill")
@pytest.mark.parametrize("verb", ["put", "join"])
def test_ctrl_c_interrupts_a_put_and_a_join(verb: str) -> None:
    result = subprocess.run(  # noqa: S603 - our own interpreter and script
        [sys.executable, "-W", "error", "-c", signalled(INTERRUPTED), verb],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    told = "interrupted <Broker: 1 ready in 1 tube>\n0 []\n"
    assert (told, "") == (result.stdout, result.stderr)


# Between the two turns of a put


def between(monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[], object]) -> None:
    """Let something happen after a put has found no room, and before it waits."""
    wait = ThreadSleepers.wait

    def late(*args: Any) -> Any:
        meanwhile()
        return wait(*args)

    monkeypatch.setattr(ThreadSleepers, "wait", late)


def test_room_that_comes_between_the_turns_of_a_put_is_taken(
    broker: Broker, producer: Producer, monkeypatch: pytest.MonkeyPatch
) -> None:
    between(monkeypatch, lambda: broker.delete(1))
    assert 2 == producer.put("second", timeout=0)


def test_a_reserve_that_waits_is_served_by_a_put_that_need_not_wait_after_all(
    broker: Broker, producer: Producer, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker.delete(1)
    producer.put("late", delay=9)
    future = waiting(broker, broker.consumer().reserve)
    with monkeypatch.context() as patch:
        between(patch, lambda: broker.delete(2))
        producer.put("third")
    assert "third" == future.result(LONG).body


def test_a_close_between_the_turns_of_a_put_ends_it(
    producer: Producer, monkeypatch: pytest.MonkeyPatch
) -> None:
    between(monkeypatch, producer.close)
    with pytest.raises(ClosedError, match=r"^the producer was closed$"):
        producer.put("second")


# Between threads


def test_a_bounded_tube_never_has_more_than_its_limit(broker: Broker) -> None:
    broker.limit_tube("default", 3)
    most: list[int] = []

    def produce() -> None:
        with broker.producer() as producer:
            for n in range(50):
                producer.put(n)
                most.append(broker._engine.tubes["default"].count)

    futures = [start(produce) for _ in range(4)]
    taken: list[int] = []
    with broker.consumer() as consumer:
        while len(taken) < 200:
            with consumer.reserve() as job:
                taken.append(job.body)
    for future in futures:
        future.result(LONG)
    assert sorted(taken) == sorted(4 * [*range(50)])
    assert max(most) <= 3


def test_all_that_waits_is_counted_whatever_it_waits_for(
    broker: Broker, producer: Producer
) -> None:
    reserving = start(broker.consumer("idle").reserve)
    putting = start(lambda: producer.put("second"))
    joining = start(broker.join)
    wait_until_waiting(broker, 3)
    assert 1 == broker.stats().current_waiting
    assert (
        "<Broker: 1 ready in 2 tubes; 1 reserve waits, 1 put waits, 1 join waits>"
    ) == repr(broker)
    broker.close()
    for future in (reserving, putting, joining):
        assert isinstance(future.exception(LONG), ClosedError)
