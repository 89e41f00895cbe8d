"""Threads: handing a job to who waits for it, and many at once."""

from __future__ import annotations

from contextlib import contextmanager
from threading import Thread
from time import perf_counter
from typing import TYPE_CHECKING, Any

from inproc_tubes import Broker
from inproc_tubes.clock import MonotonicClock
from inproc_tubes.testing import wait_until_waiting

from . import threads
from .measuring import BODY, Sides, at_most, dice, faster, scenario

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .measuring import Effort


class CountingClock(MonotonicClock):
    """The real clock, which counts the threads that are roused from their sleep."""

    def __init__(self) -> None:
        self.roused: list[None] = []  # appending is atomic, adding is not

    def park(self, waiter: Any, due_at: float) -> None:
        """Sleep as ever."""
        super().park(waiter, due_at)
        self.roused.append(None)


class Waiters:
    """So many threads, each blocked on a tube of its own."""

    def __init__(self, broker: Broker, clock: CountingClock, count: int) -> None:
        self.puts = 0
        self._broker = broker
        self._clock = clock
        self._producers = [broker.producer(f"tube-{n}") for n in range(count)]
        self._chance = dice()
        self.threads = [
            Thread(target=self._work, args=[f"tube-{number}"])
            for number in range(count)
        ]
        for thread in self.threads:
            thread.start()
        wait_until_waiting(broker, count)
        clock.roused.clear()

    def _work(self, tube: str) -> None:
        for job in self._broker.consumer(tube):
            job.delete()

    def put(self, count: int) -> float:
        """Return the seconds of a put to one of them, whom it rouses."""
        seconds = 0.0
        for _ in range(count):
            producer = self._chance.choice(self._producers)
            start = perf_counter()
            producer.put(BODY)
            seconds += perf_counter() - start
            # It has the job, works it off and waits again.
            wait_until_waiting(self._broker, len(self._producers))
        self.puts += count
        return seconds / count

    def note(self) -> str:
        """Tell how many were roused."""
        each = len(self._clock.roused) / self.puts
        return f"{len(self._producers)} waiting: {each:.3f} threads roused by a put"


@contextmanager
def waiting(count: int) -> Iterator[Waiters]:
    """Have so many threads wait, and end them."""
    clock = CountingClock()
    with threads.small_stacks(), Broker(clock=clock) as broker:
        waiters = Waiters(broker, clock, count)
        yield waiters
    for thread in waiters.threads:
        thread.join()


@scenario(
    "waiters",
    "put to one of 1,000 waiters on 1,000 tubes",
    "a single waiter",
    at_most(1.5),
    group="waiters",
)
def waiters(effort: Effort) -> Iterator[Sides]:
    count = effort.count(2_000)
    with waiting(effort.size(1_000)) as many, waiting(1) as single:
        yield Sides(
            lambda: many.put(count),
            lambda: single.put(count),
            lambda: [many.note(), single.note()],
        )


@scenario(
    "ping-pong",
    "hand-off there and back, two threads",
    "queue.Queue",
    at_most(1),
    group="threads",
)
def ping_pong(effort: Effort) -> Iterator[Sides]:
    rounds = effort.count(5_000)
    yield Sides(
        lambda: threads.ping_pong_of_tubes(rounds) / rounds,
        lambda: threads.ping_pong_of_queues(rounds) / rounds,
    )


def _throughput(producers: int, consumers: int) -> None:
    name = f"{producers}p{consumers}c"

    @scenario(
        f"throughput-{name}",
        f"per job, {producers} producing, {consumers} consuming",
        "queue.PriorityQueue",
        faster(1),
        group="throughput",
    )
    def throughput(effort: Effort) -> Iterator[Sides]:
        jobs = producers * effort.count(40_000 // producers)
        yield Sides(
            lambda: threads.tubes(producers, consumers, jobs) / jobs,
            lambda: threads.priority_queue(producers, consumers, jobs) / jobs,
        )


_throughput(1, 1)
_throughput(4, 4)
_throughput(1, 16)
