"""Coroutines of one event loop: ours, and asyncio's own queues.

Each function runs an event loop of its own, and returns the seconds that so many rounds
took.
"""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import TYPE_CHECKING

from inproc_tubes import Broker

from .cycles import PRIORITY
from .measuring import BODY

if TYPE_CHECKING:
    from collections.abc import Coroutine


def cycle_of_tubes(count: int) -> float:
    """Ours: await put, await reserve, delete."""

    async def cycle() -> None:
        for _ in range(count):
            await producer.put(BODY)
            job = await consumer.reserve()
            job.delete()

    with Broker() as broker:
        producer, consumer = broker.async_producer(), broker.async_consumer()
        return _seconds(cycle())


def cycle_of_priority_queue(count: int) -> float:
    """``asyncio.PriorityQueue``: await put, await get, task_done."""
    jobs: asyncio.PriorityQueue[tuple[int, str]] = asyncio.PriorityQueue()

    async def cycle() -> None:
        for _ in range(count):
            await jobs.put((PRIORITY, BODY))
            await jobs.get()
            jobs.task_done()

    return _seconds(cycle())


def ping_pong_of_tubes(rounds: int) -> float:
    """Two coroutines, two tubes: each job that arrives is answered by one back."""
    with Broker() as broker:
        there, back = broker.async_producer("there"), broker.async_producer("back")
        at_home, abroad = broker.async_consumer("back"), broker.async_consumer("there")

        async def answer() -> None:
            for _ in range(rounds):
                (await abroad.reserve()).delete()
                await back.put(BODY)

        async def ask() -> None:
            for _ in range(rounds):
                await there.put(BODY)
                (await at_home.reserve()).delete()

        return _seconds(answer(), ask())


def ping_pong_of_queues(rounds: int) -> float:
    """Two coroutines, two ``asyncio.Queue``: put, get, task_done."""
    there: asyncio.Queue[str] = asyncio.Queue()
    back: asyncio.Queue[str] = asyncio.Queue()

    async def answer() -> None:
        for _ in range(rounds):
            await there.get()
            there.task_done()
            await back.put(BODY)

    async def ask() -> None:
        for _ in range(rounds):
            await there.put(BODY)
            await back.get()
            back.task_done()

    return _seconds(answer(), ask())


def _seconds(*work: Coroutine[None, None, None]) -> float:
    async def run() -> float:
        start = perf_counter()
        await asyncio.gather(*work)
        return perf_counter() - start

    return asyncio.run(run())
