"""The handle for coroutines that put jobs.

It holds a producer that waits in the running event loop, and has the same verbs: those
that may wait are coroutines, and all others are plain methods.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING, Generic, Self

from .core.job import T, refuse_to_pickle
from .core.keys import RAISE
from .core.limits import DEFAULT_DELAY, DEFAULT_PRIORITY, DEFAULT_TTR
from .core.requests import PutRequest
from .producer import BaseProducer
from .waiting.coroutines import LoopSleepers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType
    from typing import Any, Literal, NoReturn, SupportsIndex

    from .core.keys import OnDuplicate
    from .future import JobFuture
    from .monitor import Monitor

__all__ = ["AsyncProducer", "open_async_producer"]


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
