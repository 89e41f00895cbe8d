"""Closing answers and wakes everybody, and a race with it ends one way or the other.

Each race is run for a moment, and for ten seconds with ``--soak``.
"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter, deque
from contextlib import suppress
from functools import partial
from random import Random
from threading import Barrier
from time import process_time
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

from inproc_tubes import (
    Broker,
    ClosedError,
    DrainingError,
    Job,
    NotFoundError,
    TimedOutError,
    TubeFullError,
    TubesError,
)
from inproc_tubes.clock import MonotonicClock
from inproc_tubes.core.recovery import check
from inproc_tubes.testing import FakeClock, wait_until_waiting
from tests.robustness.injection import Injector
from tests.robustness.processes import run
from tests.threads import LONG, start

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

    from tests.shells import LoopThread

    Verb: TypeAlias = "Callable[[Broker[int]], object]"

_now = MonotonicClock.now
_THREADS = 3  # of those that race with a close


@pytest.fixture(autouse=True)
def _threads_that_switch_all_the_time() -> Iterator[None]:
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


@pytest.fixture
def seconds(pytestconfig: pytest.Config) -> float:
    """How long a race is run."""
    return 10 if pytestconfig.getoption("soak") else 0.1


# Everybody who waits


def waits_of_threads(broker: Broker[int]) -> list[Future[Any]]:
    """Let a thread wait in each way there is."""
    broker.limit_tube("full", 1)
    producer = broker.producer("full")
    producer.put(1)
    verbs: list[Callable[[], object]] = [
        lambda: broker.consumer("a").reserve(),
        lambda: broker.consumer("a").reserve(timeout=3600),
        lambda: broker.consumer("a", "b").reserve_many(3),
        lambda: next(broker.consumer("b")),
        lambda: producer.put(2),
        lambda: producer.put_many([2], timeout=3600),
        lambda: broker.join("full"),
        lambda: broker.join(timeout=3600),
    ]
    return [start(verb) for verb in verbs]


def waits_of_coroutines(
    broker: Broker[int], loops: list[LoopThread]
) -> list[Future[Any]]:
    """Let a coroutine wait in each way there is, in each of the loops."""
    producer = broker.async_producer("full")

    async def iterate() -> None:
        assert [] == [job async for job in broker.async_consumer("a", "b")]
        raise ClosedError(what="it ended")

    return [
        loop.start(coroutine)
        for loop in loops
        for coroutine in (
            broker.async_consumer("a").reserve(),
            broker.async_consumer("b").reserve_many(2, timeout=3600),
            iterate(),
            producer.put(3),
            broker.async_join("full", timeout=3600),
        )
    ]


def verify_that_all_end(futures: list[Future[Any]]) -> None:
    """Check that each was told of the close."""
    for future in futures:
        with pytest.raises((ClosedError, StopIteration)):
            future.result(LONG)


@pytest.mark.parametrize("clock", [FakeClock, MonotonicClock])
def test_a_close_ends_all_that_waits(
    clock: Callable[[], Any], loops: list[LoopThread]
) -> None:
    broker: Broker[int] = Broker(clock=clock())
    futures = waits_of_threads(broker)
    wait_until_waiting(broker, 8)
    futures += waits_of_coroutines(broker, loops)
    wait_until_waiting(broker, 18)
    broker.close()
    verify_that_all_end(futures)


def _closed_at(number: int, loops: list[LoopThread]) -> bool:
    """Break off a close in front of that bytecode, close again, and see all end."""
    broker: Broker[int] = Broker()
    futures = waits_of_threads(broker)
    wait_until_waiting(broker, 8)
    futures += waits_of_coroutines(broker, loops)
    wait_until_waiting(broker, 18)
    injector = Injector(number)
    injector.call(broker.close)
    broker.close()
    verify_that_all_end(futures)
    return injector.place is None


@pytest.mark.usefixtures("no_collector")
def test_a_close_that_was_broken_off_ends_all_that_waits_when_it_is_called_again(
    loops: list[LoopThread], pytestconfig: pytest.Config
) -> None:
    # Prime to the steps of its loops; 1 for every bytecode.
    stride = 1 if pytestconfig.getoption("soak") else 97
    number = 1
    while not _closed_at(number, loops):
        number += stride


@pytest.mark.parametrize("what", ["put", "tubes"])
@pytest.mark.usefixtures("no_collector")
def test_nobody_spins_or_sleeps_on_after_a_turn_of_a_closed_broker_was_broken_off(
    what: str,
) -> None:
    """Interrupted brokers once left workers at full speed for ever."""
    for number in range(1, 60, 3):
        broker: Broker[int] = Broker()
        producer = broker.producer("a")
        futures = waits_of_threads(broker)
        wait_until_waiting(broker, 8)
        verb = partial(producer.put, 1) if what == "put" else broker.tubes
        Injector(number).call(verb)
        broker.close()
        for future in futures:
            with suppress(ClosedError, StopIteration):
                future.result(LONG)


@pytest.mark.usefixtures("no_collector")
def test_threads_that_wait_take_no_time() -> None:
    """Also where the turn of one was broken off, and the leader was told to look."""
    broker: Broker[int] = Broker()
    futures = waits_of_threads(broker)
    wait_until_waiting(broker, 8)
    Injector(40).call(partial(broker.producer("a").put, 1))
    broker.tubes()
    before, until = process_time(), _now() + 0.2
    never = broker.consumer("never")
    with pytest.raises(TimedOutError):
        never.reserve(timeout=until - _now())
    assert process_time() - before < 0.15
    broker.close()
    for future in futures:
        with suppress(ClosedError, StopIteration):
            future.result(LONG)


# Races


def put(broker: Broker[int]) -> None:
    broker.producer("a").put(1)


def put_many(broker: Broker[int]) -> None:
    broker.producer("a").put_many([1, 2, 3])


def put_into_a_full_tube(broker: Broker[int]) -> None:
    broker.producer("full").put(1, timeout=0.001)


def reserve(broker: Broker[int]) -> None:
    with broker.consumer("a", "b") as consumer:
        consumer.reserve().delete()


def iterate(broker: Broker[int]) -> None:
    list(map(Job.delete, broker.consumer("a")))
    raise ClosedError(what="it ended")


def watch(broker: Broker[int]) -> None:
    consumer = broker.consumer("a")
    consumer.watch("b", "c")
    consumer.ignore("a")


def limit(broker: Broker[int]) -> None:
    broker.limit_tube("full", 2)
    broker.limit_tube("full", 0)
    broker.limit_tube("full", 1)


def join(broker: Broker[int]) -> None:
    broker.join("full")


def drain(broker: Broker[int]) -> None:
    broker.drain()
    raise DrainingError


def look(broker: Broker[int]) -> None:
    broker.stats()
    broker.jobs("a")
    repr(broker)


RACES: list[Verb] = [
    put,
    put_many,
    put_into_a_full_tube,
    reserve,
    iterate,
    watch,
    limit,
    join,
    drain,
    look,
]


@pytest.mark.parametrize("verb", RACES)
def test_a_verb_that_races_with_a_close_is_refused_or_has_happened(
    verb: Verb, seconds: float
) -> None:
    until = _now() + seconds
    outcomes: Counter[type] = Counter()
    random = Random(9)  # noqa: S311 - it is to be the same each time
    while _now() < until:
        barrier = Barrier(_THREADS + 1)
        broker: Broker[int] = Broker()
        broker.limit_tube("full", 1)
        broker.producer("full").put(1)
        broker.producer("a").put_many([1] * 10)

        def race(broker: Broker[int] = broker, barrier: Barrier = barrier) -> type:
            barrier.wait(LONG)
            try:
                while True:
                    with suppress(TimedOutError, TubeFullError, NotFoundError):
                        verb(broker)
            except TubesError as error:
                return type(error)

        threads = [start(race) for _ in range(_THREADS)]
        barrier.wait(LONG)
        for _ in range(random.randrange(50)):
            broker.tubes()  # a moment
        broker.close()
        outcomes.update(thread.result(LONG) for thread in threads)
        _verify_that_it_is_over(broker)
    assert outcomes.keys() <= {ClosedError, DrainingError}


def _verify_that_it_is_over(broker: Broker[int]) -> None:
    """Check that nothing has landed in a closed broker."""
    assert {} == broker._engine.jobs
    assert 0 == broker._monitor.waiting
    assert 0 == len(broker._engine.clients.sessions)
    with pytest.raises(ClosedError):
        broker.tubes()
    with pytest.raises(ClosedError):
        broker.consumer()
    assert not broker._monitor.turn.after


@pytest.mark.parametrize("verb", ["put", "put_many", "reserve", "iterate", "join"])
def test_a_coroutine_that_races_with_a_close_is_refused_or_has_happened(
    verb: str, seconds: float, loops: list[LoopThread]
) -> None:
    until = _now() + seconds

    async def race(broker: Broker[int], begun: Callable[[], object]) -> type:
        producer = broker.async_producer("a")
        consumer = broker.async_consumer("a", "b")
        begun()
        try:
            while True:
                await asyncio.sleep(0)
                if verb == "put":
                    await producer.put(1)
                elif verb == "put_many":
                    await producer.put_many([1, 2, 3])
                elif verb == "reserve":
                    (await consumer.reserve(timeout=None)).delete()
                elif verb == "iterate":
                    async for job in consumer:
                        job.delete()
                    return ClosedError
                else:
                    await broker.async_join("full")
        except TubesError as error:
            return type(error)

    while _now() < until:
        broker: Broker[int] = Broker()
        broker.limit_tube("full", 1)
        broker.producer("full").put(1)
        broker.producer("a").put_many([1] * 10)
        barrier = Barrier(len(loops) + 1)
        futures = [loop.start(race(broker, barrier.wait)) for loop in loops]
        barrier.wait(LONG)
        broker.close()
        assert [ClosedError] * len(loops) == [one.result(LONG) for one in futures]
        _verify_that_it_is_over(broker)


def test_handles_that_are_closed_while_others_put_and_reserve_lose_nothing(
    seconds: float,
) -> None:
    """Consumers come and go; each job is worked off once."""
    broker: Broker[int] = Broker()
    until = _now() + seconds
    worked: Counter[int] = Counter()

    def work() -> Counter[int]:
        own: Counter[int] = Counter()
        number = 0
        while _now() < until:
            number += 1
            with broker.consumer("a") as consumer, suppress(TimedOutError):
                for job in consumer.reserve_many(2, timeout=0.001):
                    # Every second time they go back as it is closed.
                    if number % 2:
                        job.delete()
                        own[job.body] += 1
        return own

    def produce(number: int) -> int:
        made = 0
        while _now() < until:
            with broker.producer("a") as producer:
                producer.put(number * 10**6 + made)
                made += 1
        return made

    workers = [start(work) for _ in range(2)]
    producers = [start(partial(produce, number)) for number in range(2)]
    made = sum(producer.result(seconds + LONG) for producer in producers)
    for worker in workers:
        worked.update(worker.result(seconds + LONG))
    check(broker._engine)
    left = [job.body for job in broker.jobs("a")]
    assert made == len(left) + worked.total()
    assert set(left).isdisjoint(worked.keys())
    assert {1} >= set(worked.values())


def test_a_process_ends_while_threads_wait() -> None:
    """They are no daemons; closing lets them end, and the process with them."""
    script = """
import threading
from inproc_tubes import Broker
from inproc_tubes.testing import wait_until_waiting

broker = Broker()
threads = [
    threading.Thread(target=lambda: list(broker.consumer())) for _ in range(20)
]
for thread in threads:
    thread.start()
wait_until_waiting(broker, 20)
broker.close()
print("done")
"""
    assert "done\n" == run(script)


class Racing(deque[object]):
    """What is left to do. As soon as somebody has seen it, another thread has done it."""

    def __len__(self) -> int:
        number = super().__len__()
        self.clear()
        return number


def test_who_is_interrupted_may_find_that_another_has_done_what_was_left() -> None:
    broker: Broker[int] = Broker()
    monitor = broker._monitor
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(monitor.turn, "after", Racing(["dropped"]))
        monitor.finish(retry=False)
    assert broker.producer().put(1) == 1
