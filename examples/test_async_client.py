"""A client of asyncio that waits for an hour, in no time: aiostalk, unchanged.

Run it with `pytest -rP`. It needs aiostalk and pytest-asyncio, which do not come with us.

Prints:
    3600 s later: time for tea
    nobody has put a job within 3600 s
    the worker gave up after 5 s of silence
    waited in vain for: reserve from 'reminders'
"""
# ruff: noqa: D103 # a test's name is a sentence, and its body made of asserts

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import aiostalk
import pytest

from inproc_tubes import DeadlockError
from inproc_tubes.fakes import FakeBeanstalkd
from inproc_tubes.testing import FakeClock

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.asyncio

ADDRESS = ("beanstalkd", 11300)


async def remind(text: str) -> None:
    """Put a reminder for in an hour: this is the application."""
    async with aiostalk.Client(ADDRESS, use="reminders") as client:
        await client.put(text, delay=3600)


async def next_reminder(within: int | None = None) -> str:
    """Wait for one: this is the application, too."""
    async with aiostalk.Client(ADDRESS, watch="reminders") as client:
        job = await client.reserve(within)
        await client.delete(job)
        body: str = job.body
        return body


@pytest.fixture
def server() -> Iterator[FakeBeanstalkd]:
    # As the fixture fake_beanstalkd, but that asyncio's timers go by its clock as well.
    clock = FakeClock(autojump=True, loop_time=True)
    with FakeBeanstalkd(ADDRESS, clock=clock) as server:
        yield server


async def test_a_reminder_comes_after_an_hour(server: FakeBeanstalkd) -> None:
    begun_at = server.clock.now()
    reminder, _ = await asyncio.gather(next_reminder(), remind("time for tea"))
    print(f"{server.clock.now() - begun_at:g} s later: {reminder}")


@pytest.mark.beanstalkd(address=ADDRESS)
async def test_a_reserve_times_out_after_an_hour() -> None:
    with pytest.raises(aiostalk.TimedOutError):
        await next_reminder(within=3600)
    print("nobody has put a job within 3600 s")


async def test_a_timeout_of_the_loop_is_as_quick(server: FakeBeanstalkd) -> None:
    begun_at = server.clock.now()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(5):
            await next_reminder(within=3600)
    print(f"the worker gave up after {server.clock.now() - begun_at:g} s of silence")


@pytest.mark.usefixtures("server")
async def test_a_wait_without_an_end_is_told() -> None:
    with pytest.raises(DeadlockError) as caught:
        await next_reminder()
    print(f"waited in vain for: {caught.value.verb}")
