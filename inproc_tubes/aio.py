"""The handles for coroutines.

Each holds a handle that waits in the running event loop, and has the same verbs: those
that may wait are coroutines, and all others are plain methods.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Generic, Self, TypeVar, overload

from .checks import check_count, check_timeout
from .consumer import NO_DEFAULT, BaseConsumer, NoDefault, advised, order_of_serving
from .core.job import Job, T, refuse_to_pickle
from .core.keys import RAISE
from .core.limits import DEFAULT_DELAY, DEFAULT_PRIORITY, DEFAULT_TTR
from .core.requests import WITHOUT_WARNING, PutRequest, ReserveRequest
from .errors import ClosedError, TimedOutError
from .producer import BaseProducer
from .waiting.coroutines import LoopAnswer, LoopSleepers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType
    from typing import Any, Literal, NoReturn, SupportsIndex

    from .core.job import AnyHandle
    from .core.keys import OnDuplicate
    from .future import JobFuture
    from .monitor import Monitor

__all__ = [
    "AsyncConsumer",
    "AsyncProducer",
    "open_async_consumer",
    "open_async_producer",
]

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


class _LoopProducer(BaseProducer[Awaitable[int], Awaitable[list[int]], T]):
    """A producer whose puts wait in the running loop."""

    __slots__ = ()

    def _wait(self, request: PutRequest) -> Awaitable[list[int]]:
        sleepers = LoopSleepers.of_running_loop(self._monitor)
        wait_to_put = self._engine.wait_to_put
        return sleepers.wait(self._monitor, wait_to_put, request, PutRequest.result)

    async def _wait_for_one(self, request: PutRequest) -> int:
        (job_id,) = await self._wait(request)
        return job_id


class AsyncProducer(Generic[T]):
    """A `Producer` for coroutines. Made by `Broker.async_producer`.

    Await what may wait: `put`, `put_many` and `submit`. Everything else never waits and
    is a plain method.

    It may be shared by event loops and by threads. ``async with`` and ``with`` are the
    same: closing does not wait.
    """

    _producer: _LoopProducer[T]
    _put: Callable[..., int | Awaitable[int]]

    def __init__(self, *_arguments: object, **_more: object) -> None:
        message = "an AsyncProducer is made by Broker.async_producer()"
        raise TypeError(message)

    @property
    def name(self) -> str:
        """Its name: see `Broker.producer`."""
        return self._producer.name

    async def put(
        self,
        body: T,
        priority: int = DEFAULT_PRIORITY,
        delay: float = DEFAULT_DELAY,
        ttr: float = DEFAULT_TTR,
        tube: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - the engine's
        key: str | None = None,
        on_duplicate: OnDuplicate = RAISE,
        expires: float | None = None,
    ) -> int:
        """Put a job into a tube; if that is full, wait for room.

        The same as `Producer.put`, awaited. If it is cancelled while it waits, it has
        no effect.

        Args:
            body: Any object. It is handed over by reference, and never inspected.
            priority: 0 to 2**32 - 1; the lower, the more urgent.
            delay: Seconds until it is ready, 0 to 2**32 - 1.
            ttr: Time to run: the seconds that a consumer has for the job once it has
                reserved it, up to 2**32 - 1; 0 becomes 1.
            tube: The tube for this job alone, None for the one that is used.
            timeout: Seconds to wait for room, None for ever, 0 not at all.
            key: A name for the job, which is unique in its tube as long as the job is
                there, whatever its state; None for no name.
            on_duplicate: What to do if a job of the tube has this key. "raise": raise
                `DuplicateJobError`. "keep": put nothing, and return the id of that job.
                "replace": put this one and delete that one; if somebody holds that one,
                raise. A job that replaces another needs no room.
            expires: Seconds for which it may be ready before it is deleted; None for
                ever. They run while it could be reserved, in a paused tube too, and
                stand still while it is reserved, delayed or buried. After that it has
                what is left.

        Returns:
            The job's id; the first is 1, and they rise.

        Raises:
            TubeFullError: There was no room within the timeout.
            DuplicateJobError: A job of the tube has this key, see ``on_duplicate``;
                maybe one that was put while this waited.
            JobTooBigError: The body is ``str``, ``bytes``, ``bytearray`` or
                ``memoryview``, and larger than the broker's ``max_job_size``.
            DrainingError: `Broker.drain` was called, maybe while this waited.
            BadTubeNameError: ``tube`` is not a valid tube name.
            StoppedError: There is no room, and the broker was stopped, maybe while this
                waited.
            ClosedError: The producer or the broker was closed, maybe while this waited.

        Cost: that of `Producer.put`.
        Source: OP_PUT (prot.c).
        """
        found = self._put(
            body, priority, delay, ttr, tube, timeout, key, on_duplicate, expires
        )
        return found if isinstance(found, int) else await found

    async def put_many(
        self,
        bodies: Iterable[T],
        priority: int = DEFAULT_PRIORITY,
        delay: float = DEFAULT_DELAY,
        ttr: float = DEFAULT_TTR,
        tube: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - the engine's
        key: Callable[[T], str | None] | None = None,
        on_duplicate: OnDuplicate = RAISE,
        expires: float | None = None,
    ) -> list[int]:
        """Put several jobs into a tube at once: all of them, or none.

        The same as `Producer.put_many`, awaited. If it is cancelled while it waits, it
        has no effect.

        Args:
            bodies: Any objects. All of them are taken from the iterable before anything
                is put. A text, bytes or a dict is no iterable of bodies.
            priority: That of each job, as in `put`.
            delay: The same.
            ttr: The same.
            tube: The tube for these jobs, None for the one that is used.
            timeout: Seconds to wait for room, None for ever, 0 not at all.
            key: A function that returns the key of each body, or None for one without:
                see `put`.
            on_duplicate: That of each job, see `put`. Of several bodies with the same key
                "keep" puts the first.
            expires: That of each job, see `put`.

        Returns:
            The jobs' ids, in the order of the bodies; those of new jobs rise.

        Raises:
            TubeFullError: There was no room for all of them within the timeout; raised
                at once if they are more than the tube may ever have.
            DuplicateJobError: A job of the tube has the key of one of them, see
                ``on_duplicate``; none of them was put.
            ValueError: Two of the bodies have the same key, and ``on_duplicate`` is not
                "keep".
            JobTooBigError: One of the bodies is too large, see `put`.
            DrainingError: `Broker.drain` was called, maybe while this waited.
            BadTubeNameError: ``tube`` is not a valid tube name.
            StoppedError: There is no room, and the broker was stopped, maybe while this
                waited.
            ClosedError: The producer or the broker was closed, maybe while this waited.

        Cost: that of `Producer.put_many`.
        """
        found = self._producer.put_many(
            bodies,
            priority,
            delay,
            ttr,
            tube,
            timeout,
            key,
            on_duplicate,
            expires,
        )
        return found if isinstance(found, list) else await found

    async def submit(
        self,
        body: T,
        priority: int = DEFAULT_PRIORITY,
        delay: float = DEFAULT_DELAY,
        ttr: float = DEFAULT_TTR,
        tube: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - the engine's
        key: str | None = None,
        on_duplicate: Literal["raise", "replace"] = RAISE,
        expires: float | None = None,
    ) -> JobFuture[T, Any]:
        """Put a job as `put` does, and return a future of its result.

        The same as `Producer.submit`, awaited. Then await the future: ``await future``.
        If this is cancelled while it waits for room, it has no effect.

        Args:
            body: Any object. It is handed over by reference, and never inspected.
            priority: 0 to 2**32 - 1; the lower, the more urgent.
            delay: Seconds until it is ready, 0 to 2**32 - 1.
            ttr: Time to run, see `put`.
            tube: The tube for this job alone, None for the one that is used.
            timeout: Seconds to wait for room, None for ever, 0 not at all. It does not
                limit how long the future waits.
            key: A name for the job, see `put`.
            on_duplicate: "raise" or "replace", see `put`. The future of the job that is
                replaced is cancelled.
            expires: Seconds for which it may be ready before it is deleted, and the
                future cancelled; None for ever.

        Returns:
            The future. See `JobFuture` for when it is done.

        Raises:
            TubeFullError: There was no room within the timeout.
            DuplicateJobError: A job of the tube has this key, see ``on_duplicate``.
            JobTooBigError: The body is too large, see `put`.
            DrainingError: `Broker.drain` was called, maybe while this waited.
            BadTubeNameError: ``tube`` is not a valid tube name.
            StoppedError: There is no room, and the broker was stopped, maybe while this
                waited.
            ClosedError: The producer or the broker was closed, maybe while this waited.
            ReentrantCallError: It was called in the middle of another verb of this
                thread.

        Cost: that of `Producer.put`, and of making a future.
        """
        future, found = self._producer._submit(
            body, priority, delay, ttr, tube, timeout, key, on_duplicate, expires
        )
        (future.job_id,) = found if isinstance(found, list) else await found
        return future

    def use(self, tube: str) -> None:
        """Put into this tube from now on; it is made if it is new.

        Args:
            tube: The tube's name.

        Raises:
            BadTubeNameError: The name is not a valid tube name.
            ClosedError: The producer or the broker was closed.

        Cost: O(1).
        Source: OP_USE (prot.c).
        """
        self._producer.use(tube)

    def using(self) -> str:
        """Return the name of the tube it uses.

        Raises:
            ClosedError: The producer or the broker was closed.

        Cost: O(1).
        """
        return self._producer.using()

    def close(self) -> None:
        """Close the handle; a put that waits for room on it raises `ClosedError`.

        Closing twice has no effect.

        Cost: O(1), and O(log n) for each put that waits.
        """
        self._producer.close()

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
        self._producer.__exit__(exc_type, exc, traceback)

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
        self._producer.__exit__(exc_type, exc, traceback)

    def __reduce_ex__(self, protocol: SupportsIndex, /) -> NoReturn:
        refuse_to_pickle(self, protocol)

    def __repr__(self) -> str:
        return f"<AsyncProducer {self.name!r}: {self._producer._description}>"


def open_async_producer(
    monitor: Monitor,
    tube: str,
    max_job_size: int | None,
    *,
    context: bool,
    name: str | None,
) -> AsyncProducer[T]:
    """Return a new producer. For `Broker.async_producer`."""
    producer: AsyncProducer[T] = AsyncProducer.__new__(AsyncProducer)
    producer._producer = _LoopProducer(
        monitor, tube, max_job_size, context=context, name=name
    )
    producer._put = producer._producer.put
    return producer
