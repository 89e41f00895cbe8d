"""An autojumping clock finds out in one instant whether all threads wait.

If it looked at one thread after another, one that was answered meanwhile would be jumped
over: reservations would expire under a busy worker, or all would be told that they wait
for ever.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from threading import Thread, current_thread
from typing import TYPE_CHECKING

import pytest

from inproc_tubes import (
    Broker,
    ClosedError,
    Consumer,
    DeadlockError,
    Producer,
    TimedOutError,
)
from inproc_tubes.core.recovery import check
from inproc_tubes.testing import FakeClock, wait_until_waiting
from tests.threads import LONG, start

if TYPE_CHECKING:
    from collections.abc import Iterator

    from inproc_tubes.testing.stillness import Decision

_START = 1_000_000.0


@pytest.fixture(autouse=True)
def _threads_that_switch_all_the_time() -> Iterator[None]:
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


@pytest.fixture
def rounds(pytestconfig: pytest.Config) -> int:
    """How often the job goes round."""
    return 50_000 if pytestconfig.getoption("soak") else 1_000


class Player:
    """Reserves from one tube, and puts into the next one, as long as the job goes round."""

    def __init__(
        self, source: Broker[int], number: int, target: Broker[int], players: int
    ) -> None:
        self._consumer: Consumer[int] = source.consumer(f"to-{number}")
        self._last = 1 - players
        self._producer: Producer[int] = target.producer(f"to-{(number + 1) % players}")

    def serve(self, rounds: int) -> None:
        """Begin."""
        self._producer.put(rounds, ttr=1)

    def play(self) -> None:
        """Pass each job on, before it is deleted: it is never nobody's turn."""
        while True:
            job = self._consumer.reserve()
            # A jump to anything that is due would let the reservation expire.
            if job.body != self._last:
                self._producer.put(job.body - 1, ttr=1)
            job.delete()
            if job.body <= 0:
                return


@pytest.mark.parametrize("brokers", [1, 2])
@pytest.mark.parametrize("players", [2, 4])
def test_time_does_not_jump_over_a_thread_that_was_just_answered(
    brokers: int, players: int, rounds: int
) -> None:
    clock = FakeClock(autojump=True)  # made by this thread, which plays as well
    tables: list[Broker[int]] = [Broker(clock=clock) for _ in range(brokers)]
    everyone = [
        Player(
            tables[number % brokers], number, tables[(number + 1) % brokers], players
        )
        for number in range(players)
    ]

    def be_late() -> float:
        # It would be first to be answered by a jump.
        with tables[0].consumer("never") as consumer, suppress(TimedOutError):
            consumer.reserve(timeout=5)
        return clock.now()

    late = start(be_late)
    wait_until_waiting(tables[0], 1)
    others = [start(player.play) for player in everyone[1:]]
    # Each is known to the clock once it waits.
    for table in tables:
        sources = [
            number for number in range(1, players) if table is tables[number % brokers]
        ]
        wait_until_waiting(table, len(sources) + (table is tables[0]))
    everyone[0].serve(rounds)
    everyone[0].play()
    # Only now all wait, and there is nothing else to do.
    now = clock.now()
    for broker in tables:
        assert 0 == broker.stats().job_timeouts
        with broker._monitor.lock:  # another may still be in its last turn
            check(broker._engine)
    assert _START == now
    closer = start(lambda: [other.result(LONG) for other in others])
    with suppress(TimedOutError):
        tables[-1].consumer("never").reserve(timeout=10)
    assert _START + 5 == late.result(LONG)
    closer.result(LONG)


def test_workers_that_are_busy_keep_their_reservations() -> None:
    """While one works, others wait; a job is handed to who is asleep, again and again."""
    clock = FakeClock(autojump=True)
    broker: Broker[int] = Broker(clock=clock)
    producer = broker.producer("work")
    replies = broker.producer("replies")

    def work() -> int:
        worked = 0
        for job in broker.consumer("work"):
            replies.put(job.body)
            job.delete()
            worked += 1
        return worked

    workers = [start(work) for _ in range(3)]
    wait_until_waiting(broker, 3)
    replied = broker.consumer("replies")
    for number in range(1000):
        producer.put(number, ttr=1)
        with replied.reserve(timeout=100) as reply:
            assert number == reply.body
    assert _START == clock.now()
    assert 0 == broker.stats().job_timeouts
    broker.close()
    assert 1000 == sum(worker.result(LONG) for worker in workers)


def test_threads_that_really_wait_for_ever_are_told_all_at_once() -> None:
    clock = FakeClock(autojump=True)
    brokers: list[Broker[int]] = [Broker(clock=clock) for _ in range(2)]

    def wait(broker: Broker[int]) -> None:
        broker.consumer().reserve()

    threads = [start(lambda one=one: wait(one)) for one in brokers * 2]  # type: ignore[misc]  # mypy does not see the default's type
    for broker in brokers:
        wait_until_waiting(broker, 2)
    with pytest.raises(DeadlockError):
        wait(brokers[0])
    for thread in threads:
        with pytest.raises(DeadlockError):
            thread.result(LONG)
    assert _START == clock.now()


def test_a_thread_that_ends_while_all_others_wait_lets_time_jump() -> None:
    clock = FakeClock(autojump=True)
    broker: Broker[int] = Broker(clock=clock)
    broker.producer("late").put(1, delay=5)
    ended: list[Thread] = []

    def look_and_end() -> None:
        broker.tubes()
        ended.append(current_thread())

    thread = Thread(target=look_and_end)
    thread.start()
    assert 1 == broker.consumer("late").reserve().body
    assert _START + 5 == clock.now()
    thread.join(LONG)
    assert [thread] == ended


def test_a_close_while_all_wait_is_no_deadlock() -> None:
    for _ in range(50):
        clock = FakeClock(autojump=True)
        broker: Broker[int] = Broker(clock=clock)
        threads = [
            start(lambda broker=broker: list(broker.consumer()))  # type: ignore[misc]  # mypy does not see the default's type
            for _ in range(2)
        ]
        wait_until_waiting(broker, 2)
        broker.close()
        for thread in threads:
            assert [] == thread.result(LONG)
        with pytest.raises(ClosedError):
            broker.tubes()


class InterruptedClock(FakeClock):
    """Is interrupted, once, as it asks all brokers for the next moment."""

    interrupts = False
    interrupted = False

    def _look_around(self) -> Decision:
        self.interrupts = not self.interrupted
        return super()._look_around()

    def now(self) -> float:
        if self.interrupts:
            self.interrupts, self.interrupted = False, True
            raise KeyboardInterrupt
        return super().now()


def test_a_jump_that_is_interrupted_keeps_no_lock() -> None:
    """It has the locks of all brokers as it asks."""
    clock = InterruptedClock(autojump=True)
    brokers: list[Broker[int]] = [Broker(clock=clock) for _ in range(2)]
    consumer = brokers[0].consumer()
    with pytest.raises(KeyboardInterrupt):
        consumer.reserve(timeout=5)
    for broker in brokers:
        assert ["default"] == start(broker.tubes).result(LONG)
        assert 0 == broker._monitor.waiting
        check(broker._engine)
    with pytest.raises(TimedOutError):
        consumer.reserve(timeout=5)
    assert _START + 5 == clock.now()
