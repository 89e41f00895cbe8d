"""Put, take and acknowledge in one thread: ours, and the standard library's.

What is measured is a statement, as a user would write it. There is one loop around all of
them, that of `timeit`, so that no call of ours is measured along with it.
"""

from __future__ import annotations

import gc
from itertools import islice
from queue import PriorityQueue, Queue, SimpleQueue
from timeit import Timer

from inproc_tubes import Broker

from .measuring import BODY

PRIORITY = 65536
"""The default priority of a job."""

STATEMENTS = {
    "cycle": "producer.put(BODY); consumer.reserve(timeout=0).delete()",
    "delete-job": (
        "producer.put(BODY); job = consumer.reserve(timeout=0); consumer.delete(job)"
    ),
    "delete-id": (
        "producer.put(BODY); job = consumer.reserve(timeout=0); consumer.delete(job.id)"
    ),
    "with": """
producer.put(BODY)
with consumer.reserve(timeout=0) as job: pass
""",
}
"""{idiom: what a consumer does, after a put}."""

# The one idiom that is a loop itself. It always leaves a job for its next round.
LOOP = "for job in islice(consumer, rounds): job.delete(); producer.put(BODY)"

IDIOMS = (*STATEMENTS, "for")


def seconds(statement: str, count: int, **names: object) -> float:
    """Return the seconds that a statement takes so many times, with these names."""
    known = {"gc": gc, "islice": islice, "BODY": BODY, "PRIORITY": PRIORITY} | names
    # `timeit` disables the collector, which is enabled in a user's program.
    return Timer(statement, "gc.enable()", globals=known).timeit(count)


class Tubes:
    """Ours, through the public handles.

    Args:
        backlog: How many jobs are ready all the time.
    """

    def __init__(self, backlog: int = 0) -> None:
        self._broker = Broker()
        self._producer = self._broker.producer()
        self._consumer = self._broker.consumer()
        self._producer.put_many([BODY] * backlog)

    def time(self, idiom: str, count: int) -> float:
        """Return the seconds that so many cycles take."""
        names = {"producer": self._producer, "consumer": self._consumer}
        if idiom != "for":
            return seconds(STATEMENTS[idiom], count, **names)
        self._producer.put(BODY)
        taken = seconds(LOOP, 1, rounds=count, **names)
        self._consumer.reserve(timeout=0).delete()
        return taken


class PriorityQueues:
    """``queue.PriorityQueue``: put, get, task_done.

    Args:
        backlog: How many jobs are in it all the time.
    """

    def __init__(self, backlog: int = 0) -> None:
        self._queue: PriorityQueue[tuple[int, str]] = PriorityQueue()
        for _ in range(backlog):
            self._queue.put((PRIORITY, BODY))

    def time(self, count: int) -> float:
        """Return the seconds that so many cycles take."""
        return seconds(
            "jobs.put((PRIORITY, BODY)); jobs.get(); jobs.task_done()",
            count,
            jobs=self._queue,
        )


def tubes(count: int) -> float:
    """Ours, in its shortest idiom; return the seconds that so many cycles take."""
    return Tubes().time("cycle", count)


def fifo_queue(count: int) -> float:
    """``queue.Queue``, which has no priorities: put, get, task_done."""
    return seconds("jobs.put(BODY); jobs.get(); jobs.task_done()", count, jobs=Queue())


def simple_queue(count: int) -> float:
    """``queue.SimpleQueue``, written in C: put, get, and nothing to acknowledge."""
    return seconds("jobs.put(BODY); jobs.get()", count, jobs=SimpleQueue())
