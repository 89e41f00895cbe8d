"""Put, take and acknowledge of other libraries, each as its documentation does it.

As in `cycles`, each function makes its own queue and returns the seconds that so many
cycles took. What stands in its first line is what is measured. They are imported
late, because a peer may not be installed.
"""

from __future__ import annotations

from time import perf_counter
from typing import Any

from .cycles import PRIORITY
from .measuring import BODY


def culsans(count: int) -> float:
    """``culsans.PriorityQueue().sync_q``: put, get, task_done."""
    import culsans  # noqa: PLC0415 - see above

    body = None
    jobs = culsans.PriorityQueue().sync_q
    start = perf_counter()
    for _ in range(count):
        jobs.put((PRIORITY, BODY))
        _, body = jobs.get()
        jobs.task_done()
    return _delivered(start, body)


def kombu(count: int) -> float:
    """``SimpleQueue`` on ``memory://``: put, get_nowait, message.ack."""
    from kombu import Connection  # noqa: PLC0415 - see above

    message: Any = None
    with Connection("memory://") as connection, connection.SimpleQueue("jobs") as jobs:
        start = perf_counter()
        for _ in range(count):
            jobs.put(BODY)
            message = jobs.get_nowait()
            message.ack()
        return _delivered(start, message.payload)


def dramatiq(count: int) -> float:
    """``StubBroker``: actor.send, next(consumer), consumer.ack; no worker."""
    from dramatiq import actor  # noqa: PLC0415 - see above
    from dramatiq.brokers.stub import StubBroker  # noqa: PLC0415 - see above

    def work(body: str) -> str:
        return body

    message: Any = None
    broker = StubBroker()
    worker = actor(work, broker=broker)
    consumer = broker.consume("default")
    start = perf_counter()
    for _ in range(count):
        worker.send(BODY)
        message = next(consumer)
        consumer.ack(message)
    return _delivered(start, *message.args)


def huey(count: int) -> float:
    """``MemoryHuey``: call the task, dequeue, execute, which is what its worker does."""
    from huey import MemoryHuey  # noqa: PLC0415 - see above

    done: list[str] = []

    def work_off(body: str) -> None:
        done.append(body)

    jobs = MemoryHuey("jobs", results=False)
    work = jobs.task()(work_off)
    start = perf_counter()
    for _ in range(count):
        work(BODY)
        jobs.execute(jobs.dequeue())
    return _delivered(start, done[count - 1])


def huey_storage(count: int) -> float:
    """``MemoryStorage``, the heap under it: enqueue, dequeue; it cannot acknowledge."""
    from huey.storage import MemoryStorage  # noqa: PLC0415 - see above

    body = None
    jobs = MemoryStorage("jobs")
    start = perf_counter()
    for _ in range(count):
        jobs.enqueue(BODY)
        body = jobs.dequeue()
    return _delivered(start, body)


def persist_queue(count: int) -> float:
    """``SQLiteAckQueue(":memory:")``: put, get, ack."""
    from persistqueue import SQLiteAckQueue  # noqa: PLC0415 - see above

    body = None
    jobs = SQLiteAckQueue(":memory:", auto_commit=True)
    start = perf_counter()
    for _ in range(count):
        jobs.put(BODY)
        body = jobs.get()
        jobs.ack(body)
    seconds = _delivered(start, body)
    jobs.close()
    return seconds


def _delivered(start: float, body: object) -> float:
    """Stop the clock, and see to it that what was taken is what was put."""
    seconds = perf_counter() - start
    assert body == BODY, body
    return seconds
