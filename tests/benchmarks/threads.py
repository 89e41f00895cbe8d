"""Threads that put and threads that take: one measurement for each kind of queue."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from queue import PriorityQueue, Queue
from threading import Barrier, Thread
from time import perf_counter
from typing import TYPE_CHECKING, Any, Protocol

from inproc_tubes import Broker

from .cycles import PRIORITY
from .measuring import BODY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    class Call(Protocol):
        """What calls a side with its sizes, and returns the seconds that it took."""

        def __call__(self, side: Callable[..., float], *sizes: int) -> float: ...


STOP = "stop"
LAST = 2**32 - 1
"""The least urgent priority: a consumer that takes this job has taken all others."""

SMALL_STACK = 256 * 1024  # bytes: for a thousand threads that sleep


@contextmanager
def small_stacks() -> Iterator[None]:
    """Start threads with small stacks meanwhile."""
    before = threading.stack_size(SMALL_STACK)
    try:
        yield
    finally:
        threading.stack_size(before)


@contextmanager
def anywhere() -> Iterator[Call]:
    """Call functions here. Their threads run wherever the system lets them."""

    def call(side: Callable[..., float], *sizes: int) -> float:
        return side(*sizes)

    yield call


@contextmanager
def on_one_core() -> Iterator[Call]:
    """Call functions in a process of its own, all of whose threads share one core."""
    fresh = get_context("spawn")  # a forked one would have copies of our locks
    with ProcessPoolExecutor(1, fresh, initializer=_share_one_core) as process:

        def call(side: Callable[..., float], *sizes: int) -> float:
            return process.submit(side, *sizes).result()

        yield call


def _share_one_core() -> None:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def throughput(
    producers: list[Callable[[], None]],
    consumers: list[Callable[[], None]],
    stop: Callable[[], None],
) -> float:
    """Return the seconds until all have ended, the consumers after ``stop``."""
    barrier = Barrier(1 + len(producers) + len(consumers))

    def started(work: Callable[[], None]) -> Thread:
        def run() -> None:
            barrier.wait()
            work()

        thread = Thread(target=run)
        thread.start()
        return thread

    putting = [started(work) for work in producers]
    taking = [started(work) for work in consumers]
    barrier.wait()
    start = perf_counter()
    for thread in putting:
        thread.join()
    stop()
    for thread in taking:
        thread.join()
    return perf_counter() - start


def tubes(producers: int, consumers: int, jobs: int) -> float:
    """Ours: a handle for each thread; put; reserve and delete."""
    with Broker() as broker:
        share = jobs // producers

        def put() -> None:
            producer = broker.producer()
            for _ in range(share):
                producer.put(BODY)

        def take() -> None:
            consumer = broker.consumer()
            while True:
                job = consumer.reserve()
                job.delete()
                if job.body is STOP:
                    return

        def stop() -> None:
            with broker.producer() as producer:
                for _ in range(consumers):
                    producer.put(STOP, LAST)

        return throughput([put] * producers, [take] * consumers, stop)


def priority_queue(producers: int, consumers: int, jobs: int) -> float:
    """``queue.PriorityQueue``: put; get and task_done."""
    queue: PriorityQueue[tuple[int, str]] = PriorityQueue()
    share = jobs // producers

    def put() -> None:
        for _ in range(share):
            queue.put((PRIORITY, BODY))

    def take() -> None:
        while True:
            _, body = queue.get()
            queue.task_done()
            if body is STOP:
                return

    def stop() -> None:
        for _ in range(consumers):
            queue.put((LAST, STOP))

    return throughput([put] * producers, [take] * consumers, stop)


def fifo_queue(producers: int, consumers: int, jobs: int) -> float:
    """``queue.Queue``: put; get and task_done."""
    queue: Queue[str] = Queue()
    share = jobs // producers

    def put() -> None:
        for _ in range(share):
            queue.put(BODY)

    def take() -> None:
        while True:
            body = queue.get()
            queue.task_done()
            if body is STOP:
                return

    def stop() -> None:
        for _ in range(consumers):
            queue.put(STOP)

    return throughput([put] * producers, [take] * consumers, stop)


def ping_pong_of_tubes(rounds: int) -> float:
    """Two threads, two tubes: each job that arrives is answered by one back."""
    with Broker() as broker:
        there, back = broker.producer("there"), broker.producer("back")
        at_home, abroad = broker.consumer("back"), broker.consumer("there")

        def answer() -> None:
            for _ in range(rounds):
                abroad.reserve().delete()
                back.put(BODY)

        def ask() -> None:
            for _ in range(rounds):
                there.put(BODY)
                at_home.reserve().delete()

        return throughput([ask], [answer], lambda: None)


def ping_pong_of_queues(rounds: int) -> float:
    """Two threads, two ``queue.Queue``: put, get, task_done."""
    there: Queue[Any] = Queue()
    back: Queue[Any] = Queue()

    def answer() -> None:
        for _ in range(rounds):
            there.get()
            there.task_done()
            back.put(BODY)

    def ask() -> None:
        for _ in range(rounds):
            there.put(BODY)
            back.get()
            back.task_done()

    return throughput([ask], [answer], lambda: None)
