"""Threads: handing a job to who waits for it, and many at once."""

from __future__ import annotations

from contextlib import contextmanager
from threading import Thread
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

from inproc_tubes import Broker
from inproc_tubes.clock import MonotonicClock
from inproc_tubes.testing import wait_until_waiting

from . import threads
from .measuring import BODY, Sides, at_most, dice, faster, scenario
from .report import figure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from inproc_tubes.clock import Parked

    from .measuring import Effort, Outcome


class CountingClock(MonotonicClock):
    """The real clock, which counts the threads that are woken from their sleep."""

    def __init__(self) -> None:
        self.woken: list[None] = []  # appending is atomic, adding is not

    def park(self, sleeper: Parked, until: float) -> None:
        """Sleep as ever."""
        super().park(sleeper, until)
        self.woken.append(None)


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
        clock.woken.clear()

    def _work(self, tube: str) -> None:
        for job in self._broker.consumer(tube):
            job.delete()

    def put(self, count: int) -> float:
        """Return the seconds of a put to one of them, which it wakes."""
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
        """Tell how many were woken."""
        each = len(self._clock.woken) / self.puts
        return f"{len(self._producers)} waiting: {each:.3f} threads woken by a put"


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
            lambda _: [many.note(), single.note()],
        )


def _worst_round(outcome: Outcome) -> list[str]:
    """Tell of the pair in which ours was slowest beside the peer."""
    place = outcome.ratios.index(min(outcome.ratios))
    ours, peer = outcome.pairs[place]
    told = f"{figure(ours, 's')} beside {figure(peer, 's')}"
    return [f"the worst round: {outcome.ratios[place]:.2f}, {told}"]


def _ping_pong(*, one_core: bool) -> None:
    where = _WHERE[one_core]

    @scenario(
        f"ping-pong{where.suffix}",
        f"hand-off there and back, two threads{where.words}",
        "queue.Queue",
        at_most(0.7),
        group="threads",
        needs=where.needs,
    )
    def ping_pong(effort: Effort) -> Iterator[Sides]:
        rounds = effort.count(5_000)
        with where.call() as call:
            yield Sides(
                lambda: call(threads.ping_pong_of_tubes, rounds) / rounds,
                lambda: call(threads.ping_pong_of_queues, rounds) / rounds,
            )


def _throughput(producers: int, consumers: int, *, one_core: bool) -> None:
    where = _WHERE[one_core]

    @scenario(
        f"throughput-{producers}p{consumers}c{where.suffix}",
        f"per job, {producers} producing, {consumers} consuming{where.words}",
        "queue.PriorityQueue",
        faster(1),
        group="throughput",
        needs=where.needs,
    )
    def throughput(effort: Effort) -> Iterator[Sides]:
        jobs = producers * effort.count(40_000 // producers)
        each = (producers, consumers, jobs)
        with where.call() as call:
            yield Sides(
                lambda: call(threads.tubes, *each) / jobs,
                lambda: call(threads.priority_queue, *each) / jobs,
                _worst_round,
            )


class _Where(NamedTuple):
    """Where threads run, and what that adds to a scenario."""

    call: Callable[[], AbstractContextManager[threads.Call]]
    suffix: str = ""
    words: str = ""
    needs: tuple[str, ...] = ()


# {whether all threads share one core: where they run}
_WHERE = {
    False: _Where(threads.anywhere),
    True: _Where(
        threads.on_one_core, "-one-core", ", one core", ("os:sched_setaffinity",)
    ),
}

for _one_core in _WHERE:
    _ping_pong(one_core=_one_core)
    _throughput(1, 1, one_core=_one_core)
    _throughput(4, 4, one_core=_one_core)
    _throughput(1, 16, one_core=_one_core)
