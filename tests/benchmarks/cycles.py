"""Put, take and acknowledge in one thread: ours, and the standard library's.

Each function makes its own queue and returns the seconds that so many cycles took.
"""

from __future__ import annotations

from queue import PriorityQueue, Queue, SimpleQueue
from time import perf_counter

from inproc_tubes import Broker

from .measuring import BODY

PRIORITY = 65536
"""The default priority of a job."""


def tubes(count: int) -> float:
    """Ours: put, reserve, delete through the public handles."""
    with Broker() as broker:
        producer = broker.producer()
        consumer = broker.consumer()
        start = perf_counter()
        for _ in range(count):
            producer.put(BODY)
            consumer.reserve(timeout=0).delete()
        return perf_counter() - start


def priority_queue(count: int) -> float:
    """``queue.PriorityQueue``: put, get, task_done."""
    jobs: PriorityQueue[tuple[int, str]] = PriorityQueue()
    start = perf_counter()
    for _ in range(count):
        jobs.put((PRIORITY, BODY))
        jobs.get()
        jobs.task_done()
    return perf_counter() - start


def fifo_queue(count: int) -> float:
    """``queue.Queue``, which has no priorities: put, get, task_done."""
    jobs: Queue[str] = Queue()
    start = perf_counter()
    for _ in range(count):
        jobs.put(BODY)
        jobs.get()
        jobs.task_done()
    return perf_counter() - start


def simple_queue(count: int) -> float:
    """``queue.SimpleQueue``, written in C: put, get, and nothing to acknowledge."""
    jobs: SimpleQueue[str] = SimpleQueue()
    start = perf_counter()
    for _ in range(count):
        jobs.put(BODY)
        jobs.get()
    return perf_counter() - start
