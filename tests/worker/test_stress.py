"""Handlers that fail, hang, are cancelled and killed at random, by both kinds of workers.

Each job is done or buried in the end. No two handlers have the same job in hand, while
the reservation of the one that had it first is alive.
"""

from __future__ import annotations

import asyncio
import ctypes
import threading
from collections import Counter
from concurrent.futures import wait
from contextlib import contextmanager, suppress
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from inproc_tubes import Job, TimedOutError
from inproc_tubes.core.recovery import check
from inproc_tubes.worker import Backoff, Bury, Retry
from tests.threads import PAUSE, advance_until_done

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

    from inproc_tubes import Broker
    from tests.worker.kinds import Kind

JOBS = 80
TUBES = ("a", "b", "c")
STEPS = {
    "return": 10,
    "fail": 5,
    "retry": 2,
    "bury": 1,
    "settle": 1,
    "hang": 3,
    "be cancelled": 2,
    "be killed": 1,
}
BACKOFF = Backoff(first=0.5, max_delay=4, max_tries=6)


class Killed(BaseException):
    """What a handler is killed by."""


def kill() -> None:
    """Have this thread interrupted, as another one might do."""
    thread = ctypes.c_ulong(threading.get_ident())
    interrupt = ctypes.pythonapi.PyThreadState_SetAsyncExc
    # One statement: the interruption may come before a second one.
    _ = interrupt(thread, ctypes.py_object(Killed)), threading.current_thread()


class Stress:
    """Handlers that do what chance says, and watch each other."""

    def __init__(self, broker: Broker, seed: int) -> None:
        self._broker = broker
        self._random = Random(seed)  # noqa: S311 - no secret
        self._lock = threading.Lock()
        self._in_hand: dict[int, Job] = {}
        self.steps: Counter[str] = Counter()
        self.overlaps: list[Job] = []
        self.returned: set[int] = set()

    @contextmanager
    def _step(self, job: Job) -> Iterator[str]:
        """Choose what to do with a job, and check that nobody else may do it."""
        with self._lock:
            other = self._in_hand.get(job.id)
            self._in_hand[job.id] = job
            step = self._random.choices(list(STEPS), [*STEPS.values()])[0]
            self.steps[step] += 1
            if other is not None and not other.lost:
                self.overlaps.append(job)  # pragma: no cover - and so the test fails
        try:
            yield step
            self.returned.add(job.body)
        finally:
            self._let_go(job)

    def _let_go(self, job: Job) -> None:
        with self._lock:
            if self._in_hand.get(job.id) is job:
                del self._in_hand[job.id]

    def _do(self, step: str, job: Job) -> None:
        if step == "fail":
            raise ValueError
        if step == "retry":
            raise Retry(delay=0.1)
        if step == "bury":
            raise Bury
        if step == "settle":
            self._let_go(job)  # before: another may have it before this thread goes on
            job.release(delay=1)
        if step == "be cancelled":
            raise asyncio.CancelledError

    def function(self, job: Job) -> None:
        """Do a job in a thread."""
        with self._step(job) as step:
            if step == "hang":
                with suppress(TimedOutError):
                    self._broker.consumer("nothing").reserve(timeout=10)
            if step == "be killed":
                kill()
            self._do(step, job)

    async def coroutine(self, job: Job) -> None:
        """Do a job in a task."""
        with self._step(job) as step:
            if step == "hang":
                with suppress(TimedOutError):
                    await self._broker.async_consumer("nothing").reserve(timeout=10)
            if step == "be killed":
                raise Killed
            self._do(step, job)


def left(broker: Broker) -> int:
    """Count the jobs that are neither done nor buried."""
    return sum(
        job_count
        for tube in TUBES
        for job_count in (
            len(broker.jobs(tube, state)) for state in ("ready", "reserved", "delayed")
        )
    )


@pytest.mark.parametrize("seed", range(2))
def test_every_job_is_done_or_buried_and_none_by_two_at_once(
    kind: Kind, seed: int
) -> None:
    stress = Stress(kind.broker, seed)
    worker = kind.worker(at_once=4, retry=BACKOFF, max_runtime=4, stop_timeout=20)
    function: Callable[[Job], Any] = (
        stress.coroutine if kind.name == "tasks" else stress.function
    )
    worker.handles(*TUBES)(function)
    random = Random(seed)  # noqa: S311 - no secret
    for number in range(JOBS):
        kind.put(
            number,
            tube=random.choice(TUBES),
            priority=random.randrange(3),
            delay=random.choice([0, 0, 1]),
            ttr=random.choice([1, 2, 5]),
        )
    ends = 0  # by a handler that was killed
    run: Future[None] = kind.begin(worker)
    while left(kind.broker):
        if run.done():
            assert isinstance(run.exception(), Killed)
            ends += 1
            run = kind.begin(worker)
        if kind.broker._monitor.waiting:  # or it would only get old
            kind.clock.advance(0.25)
        wait([run], PAUSE)
    worker.stop()
    with suppress(Killed):
        advance_until_done(kind.clock, 1, run)
    assert [] == stress.overlaps
    buried = {job.body for tube in TUBES for job in kind.broker.jobs(tube)}
    assert set(range(JOBS)) == stress.returned | buried
    assert 0 < len(buried) < JOBS
    assert STEPS.keys() == stress.steps.keys()
    assert 0 < ends <= stress.steps["be killed"]
    check(kind.broker._engine)
