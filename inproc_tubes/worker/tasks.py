"""The worker whose handlers are coroutines.

The tasks of a run
    One task, the *supervisor*, reserves a job whenever fewer than so many are in hand,
    and starts a task for it. A timer of the event loop keeps time. All of it is in the
    loop in which the run has begun; only `stop`, and a clock that is moved by hand, come
    from other threads, and they have the loop do what only it may do.
"""

from __future__ import annotations

import asyncio

# Here, although only asyncio uses it. What it registers for the end of the program comes
# before what a worker does then, and so the worker's is called first: it takes no more
# jobs when there is no thread any more for `asyncio.to_thread`.
import concurrent.futures.thread  # noqa: F401 - see above
from contextlib import suppress
from functools import partial
from inspect import isawaitable
from math import inf
from typing import TYPE_CHECKING, Generic, Self

from inproc_tubes.checks import check_integer, check_timeout
from inproc_tubes.verbs import BELONGS_HERE, adopt_verbs, refuse_to_pickle

from .attempt import is_cancellation
from .base import BaseWorker
from .policy import Backoff
from .run import Run
from .settings import Settings, T

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType
    from typing import NoReturn, SupportsIndex

    from inproc_tubes import AnyAsyncConsumer, AnyBroker, Job

    from .attempt import Attempt
    from .settings import Function

__all__ = ["AsyncWorker"]


class AsyncWorker(BaseWorker[T]):
    """Does the jobs of some tubes, in tasks of an event loop.

    It is like `Worker`, except that handlers are coroutine functions, `run` is awaited,
    and the with-block is an ``async with``. A handler that is a plain function runs in
    a thread, by `asyncio.to_thread`.

    A run belongs to the event loop in which it began; the worker itself belongs to no
    loop. A handler that blocks the loop stops the heartbeat of all jobs.

    Args:
        broker: The broker.
        handlers: The handlers: a dict from the name of a tube to the function that does
            its jobs.
        tasks: How many jobs are done at once.
        retry: What becomes of a job whose handler fails; None buries it at once.
        max_runtime: For how many seconds at most a job is touched; None for ever, with
            a warning in the log each 10 ``ttr``.
        stop_timeout: The timeout in seconds, see `stop`, for a stop by a signal, by the
            end of the with-block, or by the end of the program; None for no limit.
        log_bodies: Whether the log shows the bodies of jobs, shortened.

    Raises:
        BadTubeNameError: One of the names is not valid.
        TypeError: One of the arguments has the wrong type.
        ValueError: One of them is out of its range.
    """

    def __init__(
        self,
        broker: AnyBroker[T],
        handlers: Mapping[str, Function[T]] | None = None,
        *,
        tasks: int = 100,
        retry: Backoff | None = Backoff(),  # noqa: B008 - it is frozen
        max_runtime: float | None = None,
        stop_timeout: float | None = None,
        log_bodies: bool = False,
    ) -> None:
        self._tasks = check_integer("tasks", tasks, 1, inf)
        settings = Settings(
            type(self).__name__,
            broker,
            handlers,
            retry=retry,
            max_runtime=max_runtime,
            stop_timeout=stop_timeout,
            log_bodies=log_bodies,
            takes_coroutines=True,
        )
        super().__init__(settings)
        self._group: _Group[T] | None = None  # of the last run

    async def run(self) -> None:
        """Do jobs until SIGINT, SIGTERM or `stop` comes; then finish the current ones.

        A second signal ends this at once, and gives back the jobs in hand. The handlers
        of the signals are restored at the end. Only the main thread gets signals: in an
        event loop of another thread, this waits for `stop`. If it is cancelled, it ends
        at once, too.

        Raises:
            BaseException: A handler has raised it, and it is not an `Exception`.
            KeyboardInterrupt: A second SIGINT has come.
            SystemExit: A second SIGTERM has come: the exit code is 143.
            RuntimeError: The worker is running already, or has no handlers.
            ClosedError: The broker was closed before.

        Cost: that of the handlers.
        """
        group = self._begin()
        with group.run.signals_stop_it():
            group.start()
            await group.wait()
        group.run.raise_what_ended_it()

    def stop(self, timeout: float | None = None) -> None:
        """Take no more jobs, and end when the current ones are done; do not wait.

        Jobs that are still in hand after the timeout are given back, and their tasks
        are cancelled. A plain function in a thread cannot be cancelled: it runs on, and
        only the thread pool of the event loop waits for it. Of several timeouts, the
        one that ends first counts.

        It may be called from any thread, by a handler, and by a signal handler. If the
        worker is not running, it has no effect.

        Args:
            timeout: Seconds; None for no limit, 0 to give back everything at once.

        Raises:
            ValueError: The timeout is out of its range.
            TypeError: It is not a number.

        Cost: O(number of tasks).
        """
        timeout = check_timeout(timeout)
        group = self._group
        if group is not None:
            group.run.stop(timeout)

    async def __aenter__(self) -> Self:
        """Let the worker run beside the with-block.

        Raises:
            RuntimeError: It is running already, or has no handlers.
            ClosedError: The broker was closed.
        """
        self._begin().start()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop the worker, and wait until the current jobs are done, see `stop`.

        Raises:
            BaseException: What has ended the worker, if the block has raised nothing.
        """
        group = self._group
        assert group is not None  # `__aenter__` has begun it
        cancelled = exc is not None and is_cancellation(exc)
        group.run.stop(0 if cancelled else self._settings.stop_timeout)
        await group.wait()
        if exc_type is None:
            group.run.raise_what_ended_it()

    def __reduce_ex__(self, protocol: SupportsIndex, /) -> NoReturn:
        refuse_to_pickle(self, protocol, BELONGS_HERE)

    def __repr__(self) -> str:
        tasks = _counted(self._tasks)
        state = "not running" if self._group is None else self._group.run.state
        return f"<AsyncWorker for {self._settings.tubes} with {tasks}: {state}>"

    def _begin(self) -> _Group[T]:
        self._settings.begin()
        try:
            self._group = _Group(self._settings, self._tasks)
        except BaseException:
            self._settings.end()
            raise
        return self._group


adopt_verbs(AsyncWorker)


class _Group(Generic[T]):
    """One run of a worker, and its tasks.

    Attributes:
        run: What has nothing to do with tasks.
    """

    def __init__(self, settings: Settings[T], limit: int) -> None:
        self._settings = settings
        self._limit = limit
        self._loop = asyncio.get_running_loop()
        self._clock = settings.broker.clock
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: dict[Attempt[T], asyncio.Task[None]] = {}
        self._cancelled: set[Attempt[T]] = set()
        consumer = settings.broker.async_consumer(
            *settings.handlers, name=settings.worker
        )
        self.run: Run[AnyAsyncConsumer[T], T] = Run(settings, consumer, self._wake)

    def start(self) -> None:
        """Start the supervisor.

        Raises:
            RuntimeError: The program ends already.
        """
        try:
            self._settings.broker.stop_at_exit()
            self.run.start(_counted(self._limit))
        except BaseException:
            self.run.end()
            raise
        self._supervisor = self._loop.create_task(self._supervise())
        self._keep_time()

    async def wait(self) -> None:
        """Wait until the run is over. If this is cancelled, it ends at once."""
        cancelled = None
        while not self._supervisor.done():
            try:
                await asyncio.wait([self._supervisor])
            except asyncio.CancelledError as error:
                cancelled = error
                self.run.stop(0)
        if cancelled is not None:
            raise cancelled

    # Keeping time

    def _wake(self) -> None:
        """Have the loop look, from whatever thread."""
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._keep_time)

    def _keep_time(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.run.ended:
            return
        try:
            self.run.look()
        except BaseException as error:  # noqa: BLE001 - such as a log handler's
            self.run.fail(error)
        for attempt, task in self._tasks.items():
            if attempt.abandoned and attempt not in self._cancelled:
                self._cancelled.add(attempt)
                task.cancel()
        left = self._clock.seconds_until(self.run.timer.arm())
        if left != inf:
            self._timer = self._loop.call_later(max(0, left), self._keep_time)

    # What the tasks do

    async def _supervise(self) -> None:
        try:
            await self._take_jobs()
        except asyncio.CancelledError:
            self.run.stop(0)
        except BaseException as error:  # noqa: BLE001 - it is raised where the run ends
            self.run.fail(error)
        while self._tasks:
            try:
                await asyncio.wait(self._tasks.values())
            except asyncio.CancelledError:
                self.run.stop(0)
        self.run.end()
        self._keep_time()  # no more

    async def _take_jobs(self) -> None:
        slots = asyncio.Semaphore(self._limit)
        jobs = aiter(self.run.consumer)
        while True:
            await slots.acquire()
            try:
                job = await anext(jobs)
            except StopAsyncIteration:
                break
            # From here to the end of this round nothing else runs in the loop.
            attempt = self.run.begin(job)
            if attempt is None:
                slots.release()
                continue
            task = self._loop.create_task(
                self._perform(attempt), context=attempt.context
            )
            self._tasks[attempt] = task
            task.add_done_callback(partial(self._finish, attempt, slots))
            del job, attempt, task  # nobody needs them while this waits
        self._keep_time()  # if the broker was stopped, this sees it

    async def _perform(self, attempt: Attempt[T]) -> None:
        if attempt.abandoned:
            return
        handler, job = attempt.handler, attempt.job
        try:
            if handler.is_coroutine_function:
                result = handler.function(job)
            else:
                result = await asyncio.to_thread(_call, handler.function, job)
            if isawaitable(result):
                result = await result
        except BaseException as error:
            attempt.settle(error)
            if isinstance(error, Exception):
                return
            if isinstance(error, asyncio.CancelledError):
                raise
            # To raise it here would break the loop.
            self.run.fail(error)
        else:
            attempt.settle(None, result)

    def _finish(
        self, attempt: Attempt[T], slots: asyncio.Semaphore, task: asyncio.Task[None]
    ) -> None:
        del self._tasks[attempt]
        self.run.finish(attempt)
        slots.release()
        if task.cancelled():
            # Has no effect, unless it was cancelled before its first step.
            attempt.settle(asyncio.CancelledError())
        elif (error := task.exception()) is not None:
            self.run.fail(error)


def _call(function: Function[T], job: Job[T]) -> object:
    """Call a function in a thread, and let no `StopIteration` out of it.

    An asyncio future cannot have one: whoever awaits it would wait for ever.
    """
    try:
        return function(job)
    except StopIteration as error:
        message = "the handler has raised StopIteration"
        raise RuntimeError(message) from error


def _counted(tasks: int) -> str:
    return f"{tasks} task{'' if tasks == 1 else 's'}"
