"""The two kinds of workers, and what a test asks of each in the same way."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import Future, wait
from contextlib import contextmanager
from queue import Queue
from threading import Condition
from typing import TYPE_CHECKING, Any

from inproc_tubes.testing import FakeClock, wait_until_waiting
from inproc_tubes.worker import AsyncWorker, Worker
from tests import threads
from tests.threads import LONG

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from inproc_tubes import Broker, Job
    from tests.shells import LoopThread

AnyWorker = Any  # a Worker, or an AsyncWorker


class Gate:
    """Handlers that wait until the test lets them go on."""

    def __init__(self) -> None:
        self._entered: Queue[Job] = Queue()
        self._waiting: list[Future[None]] = []
        self.left: list[Job] = []

    def pass_through(self, job: Job) -> None:
        """Wait, as a handler in a thread."""
        self._enter(job).result(LONG)
        self.left.append(job)

    async def pass_through_in_a_task(self, job: Job) -> None:
        """Wait, as a handler in a task."""
        await asyncio.wrap_future(self._enter(job))
        self.left.append(job)

    def _enter(self, job: Job) -> Future[None]:
        future: Future[None] = Future()
        self._waiting.append(future)
        self._entered.put(job)
        return future

    def wait_for_job(self) -> Job:
        """Wait until a handler has begun, and return its job."""
        return self._entered.get(timeout=LONG)

    def open(self, error: BaseException | None = None) -> None:
        """Let all handlers that wait go on, or fail."""
        while self._waiting:
            future = self._waiting.pop()
            if not future.done():  # it was cancelled with its task
                future.set_exception(error) if error else future.set_result(None)


class Lines(logging.Handler):
    """The lines of a log, with their levels. A test may wait for one."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []
        self._changed = Condition()

    def emit(self, record: logging.LogRecord) -> None:
        with self._changed:
            self.records.append(record)
            self._changed.notify_all()

    def wait_for(self, text: str) -> None:
        """Wait until a line with this text has come."""
        with self._changed:
            assert self._changed.wait_for(
                lambda: any(text in line for _, line in self.lines), LONG
            ), f"no {text!r} in {self.lines}"

    @property
    def lines(self) -> list[tuple[str, str]]:
        """Each line with its level."""
        return [(each.levelname, each.getMessage()) for each in self.records]

    def of(self, level: str) -> list[str]:
        """Return the lines of this level."""
        return [line for found, line in self.lines if found == level]


class Kind:
    """Makes workers of one kind, and runs them."""

    def __init__(self, name: str, broker: Broker, loop: LoopThread | None) -> None:
        self.name = name
        self.broker = broker
        self._loop = loop
        self._in_tasks = name == "tasks"
        self.gate = Gate()

    @property
    def is_async(self) -> bool:
        """Whether the workers are for an event loop."""
        return self._loop is not None

    @property
    def through_gate(self) -> Callable[[Job], object]:
        """The handler that waits at the gate."""
        gate = self.gate
        return gate.pass_through_in_a_task if self._in_tasks else gate.pass_through

    def handler(self, function: Callable[[Job], object]) -> Callable[[Job], object]:
        """Make a handler of this kind that does the same as a function."""

        async def coroutine(job: Job) -> None:
            function(job)

        return coroutine if self._in_tasks else function

    def worker(
        self,
        handlers: Mapping[str, Callable[[Job], object]] | None = None,
        *,
        at_once: int = 1,
        **options: Any,
    ) -> AnyWorker:
        """Make a worker whose handlers are these functions."""
        made = {tube: self.handler(each) for tube, each in (handlers or {}).items()}
        if self.is_async:
            return AsyncWorker(self.broker, made, tasks=at_once, **options)
        return Worker(self.broker, made, threads=at_once, **options)

    def gated(self, *tubes: str, **options: Any) -> AnyWorker:
        """Make a worker whose handlers wait at the gate."""
        worker = self.worker(**options)
        worker.handles(*(tubes or ("default",)))(self.through_gate)
        return worker

    def start(self, worker: AnyWorker) -> Future[None]:
        """Run a worker, and return when it waits for jobs."""
        future = self.begin(worker)
        wait_until_waiting(self.broker, 1)
        return future

    def begin(self, worker: AnyWorker) -> Future[None]:
        """Run a worker beside the test."""
        if self._loop is None:
            return threads.start(worker.run)
        outcome: Future[None] = Future()
        self._loop.start(self._run(worker, outcome))
        return outcome

    async def _run(self, worker: AsyncWorker, outcome: Future[None]) -> None:
        try:
            await worker.run()
        except BaseException as error:  # noqa: BLE001 - it would end the loop
            outcome.set_exception(error)
        else:
            outcome.set_result(None)

    @contextmanager
    def entered(self, worker: AnyWorker) -> Iterator[None]:
        """Run a worker in its with-block, around that of the test."""
        if self._loop is None:
            with worker:
                yield
            return
        begun: Future[asyncio.Event] = Future()
        over = self._loop.start(self._in_its_block(worker, begun))
        wait([begun, over], LONG, "FIRST_COMPLETED")
        if not begun.done():
            over.result()
        block_ends = begun.result()
        error: BaseException | None = None
        try:
            yield
        except BaseException as raised:
            error = raised
            raise
        finally:
            self._error = error
            self._loop.loop.call_soon_threadsafe(block_ends.set)
            if error is None:
                over.result(LONG)
            else:
                wait([over], LONG)

    async def _in_its_block(
        self, worker: AsyncWorker, begun: Future[asyncio.Event]
    ) -> None:
        async with worker:
            block_ends = asyncio.Event()
            begun.set_result(block_ends)
            await block_ends.wait()
            _reraise(self._error)

    @property
    def clock(self) -> FakeClock:
        """The clock of the broker."""
        clock = self.broker.clock
        assert isinstance(clock, FakeClock)
        return clock

    def put(self, *bodies: Any, tube: str = "default", **options: Any) -> list[int]:
        """Put jobs."""
        return self.broker.producer(tube).put_many(bodies, **options)

    def states(self, tube: str = "default") -> dict[Any, str]:
        """Tell the states of a tube's jobs, by their bodies."""
        found: dict[Any, str] = {}
        for state in ("ready", "reserved", "delayed", "buried"):
            found |= {job.body: state for job in self.broker.jobs(tube, state)}
        return found

    def wait_until_idle(self) -> None:
        """Wait until a worker that does one job at a time has none in hand."""
        wait_until_waiting(self.broker, 1)


def _reraise(error: BaseException | None) -> None:
    if error is not None:
        raise error
