"""Our handles on a real beanstalkd, beside bare greenstalk on the same server."""

from __future__ import annotations

import threading
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING

from inproc_tubes import NotFoundError

from . import wire
from .measuring import BODY, Sides, at_most, scenario

if TYPE_CHECKING:
    from collections.abc import Iterator

    from inproc_tubes.remote import RemoteBroker, RemoteConsumer

    from .measuring import Effort

NEEDS = ("greenstalk", "!beanstalkd")
THREADS = (1, 4, 16)


def broker_at(address: wire.Address) -> RemoteBroker:
    """Return a broker whose bodies are what greenstalk's are."""
    from inproc_tubes.remote import connect  # noqa: PLC0415 - it may not be installed

    host, port = address
    return connect(f"beanstalk://{host}:{port}", "str")


def cycle(address: wire.Address, count: int) -> float:
    """Put, reserve and delete; return the seconds it took."""
    with broker_at(address) as broker:
        producer, consumer = broker.producer(), broker.consumer()
        start = perf_counter()
        for _ in range(count):
            producer.put(BODY)
            consumer.reserve().delete()
        return perf_counter() - start


@scenario(
    "remote-cycle",
    "put, reserve and delete, our handles on beanstalkd",
    "greenstalk on beanstalkd",
    at_most(1.3),
    group="remote",
    needs=NEEDS,
)
def remote_cycle(effort: Effort) -> Iterator[Sides]:
    count = effort.count(2_000)
    with wire.beanstalkd() as address:
        yield Sides(
            ours=lambda: cycle(address, count) / count,
            peer=lambda: wire.greenstalk(address, count) / count,
        )


def work_off(address: wire.Address, count: int, threads: int) -> float:
    """Have so many threads share a consumer; return the seconds they took."""
    with broker_at(address) as broker:
        producer, consumer = broker.producer(), broker.consumer()
        for _ in range(count):
            producer.put(BODY)
        left = iter(range(count - threads))

        def work(consumer: RemoteConsumer) -> None:
            try:
                while True:
                    consumer.reserve(timeout=0).delete()
                    next(left)
            except (StopIteration, NotFoundError, TimeoutError):
                pass

        workers = [
            threading.Thread(target=partial(work, consumer)) for _ in range(threads)
        ]
        start = perf_counter()
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        return perf_counter() - start


def add_throughput(threads: int) -> None:
    """Add the row for so many threads."""

    @scenario(
        f"remote-{threads}-threads",
        f"reserve and delete, {threads} threads share a consumer on beanstalkd",
        "put, reserve and delete, greenstalk",
        group="remote",
        needs=NEEDS,
        pairs=5,
    )
    def throughput(effort: Effort) -> Iterator[Sides]:
        count = effort.count(2_000)
        with wire.beanstalkd() as address:
            yield Sides(
                ours=lambda: work_off(address, count, threads) / count,
                peer=lambda: wire.greenstalk(address, count) / count,
            )


for number in THREADS:
    add_throughput(number)
