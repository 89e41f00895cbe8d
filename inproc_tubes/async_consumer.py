"""The handle for coroutines that reserve jobs.

It holds a consumer that waits in the running event loop, and has the same verbs: those
that may wait are coroutines, and all others are plain methods.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic, Self, TypeVar, overload

from .checks import check_count, check_timeout
from .consumer import NO_DEFAULT, BaseConsumer, NoDefault, advised, order_of_serving
from .core.job import Job, T, refuse_to_pickle
from .core.requests import WITHOUT_WARNING, ReserveRequest
from .errors import ClosedError, TimedOutError
from .waiting.coroutines import LoopAnswer, LoopSleepers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType
    from typing import NoReturn, SupportsIndex

    from .core.job import AnyHandle
    from .monitor import Monitor

__all__ = ["AsyncConsumer", "open_async_consumer"]

D = TypeVar("D")


def _sleep_in_loop(
    monitor: Monitor, request: ReserveRequest
) -> Callable[[], LoopAnswer[ReserveRequest, AnyHandle]]:
    sleepers = LoopSleepers.of_running_loop(monitor)
    answer = sleepers.enter(monitor, request, ReserveRequest.result)
    return advised(monitor, request, lambda: answer)


class _LoopConsumer(BaseConsumer[LoopAnswer[ReserveRequest, Job[T]], T]):
    """A consumer whose reserves wait in the running loop."""

    __slots__ = ()

    def __init__(
        self, monitor: Monitor, tubes: Iterable[str], name: str | None
    ) -> None:
        super().__init__(monitor, tubes, _sleep_in_loop, name)

    def _undo(
        self,
        found: Job[T] | LoopAnswer[ReserveRequest, Job[T]] | None,
        taken: Iterable[Job[T]] = (),
    ) -> None:
        """Undo what a coroutine has done that was interrupted."""
        jobs = list(taken)
        if isinstance(found, Job):
            jobs.append(found)
        elif found is not None:
            found.withdraw()
            if not jobs:
                # This may be the collector, which drops a coroutine in whatever turn.
                return
        if jobs:
            self._turn.after.append((self._session, jobs))
        self._monitor.break_off()


class AsyncConsumer(Generic[T]):
    """A `Consumer` for coroutines. Made by `Broker.async_consumer`.

    Await what may wait: `reserve`, `reserve_many`, and iteration. Everything else never
    waits and is a plain method, `reserve_nowait` too, and so are the verbs of a job:
    ``with await consumer.reserve() as job``.

    `reserve` does not yield to the event loop if a job is ready, as `asyncio.Queue.get`
    does not. ``async for job in consumer`` does so before each job, so that a full tube
    does not keep the other tasks of the loop from running.

    A cancelled `reserve` has no effect. If it is cancelled in the moment in which it is
    answered, the job goes back to its place, or to the consumer that waits next.

    It may be shared by event loops and threads, which then hold their jobs in common.
    ``async with`` and ``with`` are the same: closing does not wait.
    """

    _consumer: _LoopConsumer[T]
    _reserve: Callable[[float | None], Job[T] | LoopAnswer[ReserveRequest, Job[T]]]

    def __init__(self, *_arguments: object, **_more: object) -> None:
        message = "an AsyncConsumer is made by Broker.async_consumer()"
        raise TypeError(message)

    @property
    def name(self) -> str:
        """Its name: see `Broker.consumer`."""
        return self._consumer.name

    @overload
    async def reserve(self, timeout: float | None = None) -> Job[T]: ...  # noqa: ASYNC109 - the engine's
    @overload
    async def reserve(
        self,
        timeout: float | None = None,  # noqa: ASYNC109 - the engine's
        *,
        default: D,
    ) -> Job[T] | D: ...
    @overload
    async def reserve(self, timeout: float | None, default: D) -> Job[T] | D: ...  # noqa: ASYNC109 - the engine's
    async def reserve(
        self,
        timeout: float | None = None,  # noqa: ASYNC109 - the engine's
        default: D | NoDefault = NO_DEFAULT,
    ) -> Job[T] | D:
        """Take the most urgent job of all watched tubes; wait for one if need be.

        The same as `Consumer.reserve`, awaited. If it is cancelled, it has no effect.

        Args:
            timeout: Seconds to wait, None for ever, 0 not at all.
            default: What is returned if there was no job within the timeout. Without
                it, `TimedOutError` is raised.

        Returns:
            The job, or the default. The job is this consumer's for ``job.ttr`` seconds.

        Raises:
            TimedOutError: There was no job within the timeout. Do not catch it as a
                ``TimeoutError``: the job's with-block may raise one, too.
            DeadlineSoonError: There is no job, and one that this handle holds already
                expires within a second. It is raised once: the next `reserve` waits,
                unless the job was touched.
            StoppedError: The consumer or the broker was stopped, maybe while this waited.
            ClosedError: The consumer or the broker was closed, maybe while this waited.

        Cost: O(log n) amortised for a job that is ready.
        Source: OP_RESERVE, OP_RESERVE_TIMEOUT (prot.c).
        """
        found = None
        try:
            found = self._reserve(timeout)
            return found if isinstance(found, Job) else await found
        except TimedOutError:
            self._consumer._undo(found)
            if default is NO_DEFAULT:
                raise
            return default
        except BaseException:
            self._consumer._undo(found)
            raise

    def reserve_nowait(self) -> Job[T] | None:
        """Take the most urgent job of all watched tubes, if there is one; never wait.

        It is like `reserve` with the timeout 0 and the default None, but it never
        raises `DeadlineSoonError`. It counts in the statistics only if there is a job.

        Returns:
            The job, or None. The job is this consumer's for ``job.ttr`` seconds.

        Raises:
            StoppedError: The consumer or the broker was stopped.
            ClosedError: The consumer or the broker was closed.

        Cost: O(log n) amortised.
        """
        return self._consumer.reserve_nowait()

    async def reserve_many(self, n: int, timeout: float | None = None) -> list[Job[T]]:  # noqa: ASYNC109 - as above
        """Take up to ``n`` jobs at once; wait for the first if need be.

        The same as `Consumer.reserve_many`, awaited. If it is cancelled, it has no
        effect.

        Args:
            n: How many at most, 1 or more.
            timeout: Seconds to wait for the first, None for ever, 0 not at all.

        Returns:
            The jobs, the most urgent first, at least one.

        Raises:
            TimedOutError: There was no job within the timeout. See `reserve`.
            DeadlineSoonError: There is no job, and one that this handle holds already
                expires within a second. It is raised once, see `reserve`.
            StoppedError: The consumer or the broker was stopped, maybe while this waited.
            ClosedError: The consumer or the broker was closed, maybe while this waited.

        Cost: O(log n) for each job.
        """
        n = check_count(n)
        timeout = check_timeout(timeout)
        consumer = self._consumer
        taken: list[Job[T]] = []
        found = None
        try:
            consumer._take(n, timeout, taken)
            if not taken:
                found = consumer.reserve(timeout)
                taken.append(found if isinstance(found, Job) else await found)
                consumer._take(n - 1, timeout, taken)
                taken.sort(key=order_of_serving)
            return taken  # noqa: TRY300 - in the block: it may be interrupted here
        except BaseException:
            consumer._undo(found, taken)
            raise

    def __aiter__(self) -> Self:
        """Return the consumer: each step takes a job, see `__anext__`."""
        return self

    async def __anext__(self) -> Job[T]:
        """Take the next job; wait for it without end. Cancelled, this has no effect.

        Raises:
            StopAsyncIteration: The consumer or the broker was stopped or closed.
        """
        await asyncio.sleep(0)
        found = None
        try:
            found = self._consumer.reserve(WITHOUT_WARNING)
            return found if isinstance(found, Job) else await found
        except ClosedError:
            raise StopAsyncIteration from None
        except BaseException:
            self._consumer._undo(found)
            raise

    def reserve_job(self, job_id: int) -> Job[T]:
        """Take this job, whatever its tube and its place; never wait.

        It may be ready, in a paused tube too, delayed or buried.

        Args:
            job_id: The job's id.

        Returns:
            The job. It is this consumer's for ``job.ttr`` seconds.

        Raises:
            NotFoundError: Somebody holds it, maybe this consumer, or there is no such
                job.
            StoppedError: The consumer or the broker was stopped.
            ClosedError: The consumer or the broker was closed.

        Cost: O(log n).
        Source: OP_RESERVE_JOB (prot.c).
        """
        return self._consumer.reserve_job(job_id)

    def delete(self, job_or_id: Job[T] | int) -> None:
        """Delete a job that this consumer holds, or that nobody holds.

        Args:
            job_or_id: A handle, or a job's id.

        Raises:
            NotFoundError: Another consumer holds it, most likely because the reservation
                has expired; or there is no such job (any more).
            ClosedError: The consumer or the broker was closed.

        Cost: O(1) amortised.
        Source: OP_DELETE (prot.c).
        """
        self._consumer.delete(job_or_id)

    def release(
        self,
        job_or_id: Job[T] | int,
        priority: int | None = None,
        delay: float = 0,
        error: BaseException | None = None,
        *,
        tube: str | None = None,
    ) -> None:
        """Give a job that this consumer holds back to its tube.

        Args:
            job_or_id: A handle, or a job's id.
            priority: Its new priority; None keeps the present one.
            delay: Seconds until it is ready again.
            error: What it failed with, to be kept as text in `Job.error`; None keeps
                what is there.
            tube: The tube to give it to instead; None for its own. The job keeps its id, its
                key and its counters.

        Raises:
            NotFoundError: This consumer does not hold it (any more).
            TubeFullError: The other tube has no room: this does not wait.
            DuplicateJobError: A job of the other tube has its key.
            BadTubeNameError: ``tube`` is not a valid tube name.
            ClosedError: The consumer or the broker was closed.

        Cost: O(log n), and with an error that of formatting it.
        Source: OP_RELEASE (prot.c).
        """
        self._consumer.release(job_or_id, priority, delay, error, tube=tube)

    def bury(
        self,
        job_or_id: Job[T] | int,
        priority: int | None = None,
        error: BaseException | None = None,
    ) -> None:
        """Put a job that this consumer holds aside, until somebody kicks it.

        Args:
            job_or_id: A handle, or a job's id.
            priority: Its new priority; None keeps the present one.
            error: What it failed with, to be kept as text in `Job.error`; None keeps
                what is there.

        Raises:
            NotFoundError: This consumer does not hold it (any more).
            ClosedError: The consumer or the broker was closed.

        Cost: O(1), and with an error that of formatting it.
        Source: OP_BURY (prot.c).
        """
        self._consumer.bury(job_or_id, priority, error)

    def touch(self, job_or_id: Job[T] | int) -> None:
        """Restart the time to run of a job that this consumer holds.

        Args:
            job_or_id: A handle, or a job's id.

        Raises:
            NotFoundError: This consumer does not hold it (any more).
            ClosedError: The consumer or the broker was closed.

        Cost: O(log n).
        Source: touch_job (prot.c): a reset to the full ttr, not an extension.
        """
        self._consumer.touch(job_or_id)

    def watch(self, *tubes: str) -> int:
        """Reserve from these tubes too; a reserve that waits already does so as well.

        Args:
            tubes: Names; watching a tube twice is the same as once.

        Returns:
            How many tubes it watches now.

        Raises:
            BadTubeNameError: One of the names is not valid; none is watched then.
            StoppedError: The consumer or the broker was stopped.
            ClosedError: The consumer or the broker was closed.

        Cost: O(number of tubes).
        Source: OP_WATCH (prot.c).
        """
        return self._consumer.watch(*tubes)

    def ignore(self, tube: str) -> int:
        """Stop reserving from this tube; it need not be watched.

        Args:
            tube: The name of a tube.

        Returns:
            How many tubes it watches now.

        Raises:
            NotIgnoredError: It is the only one that is watched.
            BadTubeNameError: The name is not a valid tube name.
            StoppedError: The consumer or the broker was stopped.
            ClosedError: The consumer or the broker was closed.

        Cost: O(number of watched tubes); O(n log n) for n that wait for the same tubes
        if something waits on this handle.
        Source: OP_IGNORE (prot.c).
        """
        return self._consumer.ignore(tube)

    def watching(self) -> list[str]:
        """Return the names of the tubes it watches, in beanstalkd's order.

        A consumer that was stopped watches none.

        Raises:
            ClosedError: The consumer or the broker was closed.

        Cost: O(number of tubes).
        """
        return self._consumer.watching()

    def stop(self) -> None:
        """Take no more jobs; those in hand stay valid.

        A reserve that waits raises `StoppedError`, and so does each later one; a loop
        over the consumer ends. The consumer watches no tube any more. `close` gives
        back the jobs that are left then. Stopping twice, or after closing, has no
        effect.

        It may be called from any thread, and at any moment. If a signal handler or a
        finaliser calls it in the middle of another verb, it is carried out at the end
        of that verb.

        Cost: O(log n) for each reserve that waits, and O(1) for each tube.
        """
        self._consumer.stop()

    def close(self) -> None:
        """Give all jobs back and watch nothing; a reserve that waits raises `ClosedError`.

        The jobs are ready again in the order in which they were reserved. Closing twice
        has no effect.

        Cost: O(log n) for each job and tube.
        Source: connclose (conn.c).
        """
        self._consumer.close()

    def __enter__(self) -> Self:
        """Return the handle, which the end of the with-block closes."""
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the handle, see `close`."""
        self._consumer.__exit__(exc_type, exc, traceback)

    async def __aenter__(self) -> Self:
        """Return the handle, which the end of the with-block closes."""
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the handle, see `close`."""
        self._consumer.__exit__(exc_type, exc, traceback)

    def __reduce_ex__(self, protocol: SupportsIndex, /) -> NoReturn:
        refuse_to_pickle(self, protocol)

    def __repr__(self) -> str:
        return f"<AsyncConsumer {self.name!r}: {self._consumer._description}>"


def open_async_consumer(
    monitor: Monitor, tubes: Iterable[str], name: str | None
) -> AsyncConsumer[T]:
    """Return a new consumer. For `Broker.async_consumer`."""
    consumer: AsyncConsumer[T] = AsyncConsumer.__new__(AsyncConsumer)
    consumer._consumer = _LoopConsumer(monitor, tubes, name)
    consumer._reserve = consumer._consumer.reserve
    return consumer
