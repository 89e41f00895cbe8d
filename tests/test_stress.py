"""Real threads and event loops, between which the interpreter switches all the time."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from math import inf
from threading import Lock, Semaphore
from typing import TYPE_CHECKING, Any

import pytest

from inproc_tubes import Broker, ClosedError, Job
from inproc_tubes.core.recovery import check

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TUBES = ("t0", "t1", "t2")
PRODUCERS = CONSUMERS = 8
JOBS = 800  # of each producer
LOOPS = 3
LONG = 3600  # seconds: nothing that takes so long ever runs out here


@pytest.fixture(autouse=True)
def _threads_that_switch_all_the_time() -> Iterator[None]:
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


class Body:
    """Is the body of a job, and fails if two workers have it at once."""

    def __init__(self, key: int) -> None:
        self.key = key
        self._in_use = Lock()

    def take(self) -> None:
        assert self._in_use.acquire(blocking=False)

    def put_down(self) -> None:
        self._in_use.release()


def jobs(number: int) -> Iterator[tuple[Body, dict[str, Any]]]:
    """Return what a producer is to put, and how."""
    # The first one is never reserved.
    yield Body(-1), {}
    for i in range(JOBS):
        where = {"priority": i % 5, "tube": TUBES[i % len(TUBES)]}
        yield Body(number * JOBS + i), where


def produce(broker: Broker, number: int) -> None:
    with broker.producer("unwatched") as producer:
        for body, where in jobs(number):
            producer.put(body, ttr=LONG, **where)


async def produce_in_loop(broker: Broker, number: int) -> None:
    async with broker.async_producer("unwatched") as producer:
        for body, where in jobs(number):
            await producer.put(body, ttr=LONG, **where)


class Worker:
    def __init__(self, broker: Broker, number: int, done: Semaphore) -> None:
        self.seen: list[int] = []
        self._broker = broker
        self._done = done
        # With half of them there is a timeout to keep.
        self._timeout = LONG if number % 2 else None
        # Of a Consumer or, in a loop, of an AsyncConsumer.
        self._make: Callable[..., Any] = broker.consumer
        self._consumer: Any = self._make(*TUBES)

    def run(self) -> None:
        """Work until the broker is closed."""
        while True:
            try:
                job = self._consumer.reserve(self._timeout)
            except ClosedError:
                return
            self._work(job)

    def _work(self, job: Job) -> None:
        job.body.take()
        if job.reserves == 1:
            self._see_for_the_first_time(job)
        else:
            self._finish(job)

    def _see_for_the_first_time(self, job: Job) -> None:
        match job.body.key % 8:
            case 0:
                job.body.put_down()
                job.release(priority=job.priority + 1)
            case 1:
                job.body.put_down()
                job.release(delay=0.0001)
            case 2:
                job.body.put_down()
                job.bury()
                # There are never more kicks than burials.
                assert self._broker.kick(job.tube, 1) == 1
            case 3:
                # The consumer is closed while it holds the job. The next one is made
                # first: the broker may be closed as soon as others have done the job.
                job.body.put_down()
                closing, self._consumer = self._consumer, self._make(*TUBES)
                closing.close()
            case _:
                self._finish(job)

    def _finish(self, job: Job) -> None:
        self.seen.append(job.body.key)
        job.delete()
        self._done.release()


class AsyncWorker(Worker):
    def __init__(self, broker: Broker, number: int, done: Semaphore) -> None:
        super().__init__(broker, number, done)
        self._make = broker.async_consumer
        self._consumer = self._make(*TUBES)
        self._patient = True

    async def run_in_loop(self) -> None:
        """Work until the broker is closed; every other reserve may be cancelled."""
        while True:
            self._patient = not self._patient
            try:
                async with asyncio.timeout(None if self._patient else 0):
                    job = await self._consumer.reserve(self._timeout)
            except TimeoutError:
                continue
            except ClosedError:
                return
            self._work(job)


def run_loop(broker: Broker, number: int, workers: list[AsyncWorker]) -> None:
    """Let a producer and them all work in one loop, in this thread."""

    async def run() -> None:
        working = [worker.run_in_loop() for worker in workers]
        await asyncio.gather(produce_in_loop(broker, number), *working)

    asyncio.run(run(), debug=True)


@pytest.mark.parametrize("limit", [0, 5])
@pytest.mark.parametrize("loops", [0, LOOPS])
def test_every_job_is_seen_exactly_once_and_none_is_lost(
    limit: int, loops: int
) -> None:
    done = Semaphore(0)
    # The broker is closed first: nothing is left waiting, whatever fails.
    with ThreadPoolExecutor(PRODUCERS + CONSUMERS + LOOPS) as pool, Broker() as broker:
        for tube in TUBES:
            broker.limit_tube(tube, limit)
        workers = [Worker(broker, n, done) for n in range(CONSUMERS)]
        running = [pool.submit(worker.run) for worker in workers]
        # The first producers are coroutines, if there are loops.
        for number in range(loops):
            mates = [AsyncWorker(broker, n, done) for n in range(3)]
            running.append(pool.submit(run_loop, broker, number, mates))
            workers += mates
        numbers = range(loops, PRODUCERS)
        putting = [pool.submit(produce, broker, number) for number in numbers]
        for future in putting:
            future.result(timeout=60)
        for _ in range(PRODUCERS * JOBS):
            assert done.acquire(timeout=60)
        with broker._monitor.lock:
            check(broker._engine)
            current = len(broker._engine.jobs)
            assert {} == broker._engine.admission.puts
        stats = broker.stats()
        broker.close()
        for future in running:
            future.result(timeout=60)
        assert [{}] * len(broker._monitor.ways) == [
            way._asleep  # type: ignore[attr-defined]  # both ways have it
            for way in broker._monitor.ways
        ]
        assert {-inf} == {way.armed_for for way in broker._monitor.ways}
    seen = Counter(key for worker in workers for key in worker.seen)
    assert Counter(range(PRODUCERS * JOBS)) == seen
    assert PRODUCERS == current
    assert stats.cmd_put == stats.total_jobs == stats.cmd_delete + current
    assert stats.cmd_bury == stats.cmd_kick == PRODUCERS * JOBS / 8
    assert stats.cmd_release == 2 * PRODUCERS * JOBS / 8
    assert stats.job_timeouts == 0
