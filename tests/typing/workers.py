"""Workers as a type checker sees them: checked, and never run."""

from __future__ import annotations

from random import Random
from typing import Any, assert_type

from inproc_tubes import Broker, Clock, Job
from inproc_tubes.testing import FakeClock
from inproc_tubes.worker import AsyncWorker, Backoff, Bury, Retry, Worker

broker = Broker()
words: Broker[str] = Broker(clock=FakeClock())
assert_type(words.clock, Clock)


def print_word(job: Job[str]) -> None:
    """Do something with a word."""
    assert_type(job.body, str)


async def await_word(job: Job[str]) -> int:
    """Wait for something that has to do with a word."""
    return len(job.body)


# What becomes of jobs

Backoff()
Backoff(1, 2, 300, 0.1, 5)
backoff = Backoff(first=0.5, factor=1.5, max_delay=60, jitter=0, max_tries=None)
Backoff(random=Random(7))  # noqa: S311 - no secret
assert_type(backoff.delay(3), float)
assert_type(backoff.delay(3, kicks=1), float)
assert_type(backoff.allows(3, kicks=1), bool)
Backoff(first="1")  # type: ignore[arg-type]  # no number
Retry()
Retry(delay=30, priority=5)
Retry("30")  # type: ignore[arg-type]  # no number
assert_type(Retry(30).delay, float | None)
Bury()
assert_type(Bury("why", priority=5).reason, str)

# Workers of threads

assert_type(Worker(broker), Worker[Any])
worker = Worker(words, {"words": print_word}, threads=4, retry=backoff)
assert_type(worker, Worker[str])
Worker(words, retry=None, max_runtime=60, stop_timeout=20.5, log_bodies=True)
Worker(words, {"words": 7})  # type: ignore[dict-item]  # no function
Worker(words, 4)  # type: ignore[arg-type]  # no functions
Worker(words, {}, 4)  # type: ignore[call-arg]  # by keyword only
assert_type(worker.run(), None)
assert_type(worker.stop(), None)
assert_type(worker.stop(timeout=0.5), None)
assert_type(worker.run_pending(), int)
assert_type(worker.run_until_empty(), int)
assert_type(worker.every(60, "words", "hourly", priority=5, ttr=10), None)
worker.every(60, "words", 7)  # type: ignore[arg-type]  # no body of this broker
with worker as entered:
    assert_type(entered, Worker[str])


@worker.handles("words", "names", retry=None)
def note(job: Job[str]) -> bool:
    """Note a word."""
    return bool(job.body)


note("word")  # type: ignore[arg-type]  # it is still the function that it was
worker.handles("words", retry=5)  # type: ignore[arg-type]  # no backoff

# Workers of tasks

assert_type(AsyncWorker(broker, tasks=10), AsyncWorker[Any])
async_worker = AsyncWorker(words, {"words": await_word, "names": print_word})
assert_type(async_worker, AsyncWorker[str])


@async_worker.handles("words", retry=Backoff())
async def wait_for(job: Job[str]) -> int:
    """Wait for a word."""
    return len(job.body)


async def main() -> None:
    """Run it."""
    assert_type(await async_worker.run(), None)
    assert_type(async_worker.stop(timeout=1), None)
    async with async_worker as running:
        assert_type(running, AsyncWorker[str])
    async_worker.every(60, "words", "hourly")
    await wait_for("word")  # type: ignore[arg-type]  # no job
