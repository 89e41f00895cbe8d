"""The future of a job that was submitted: how the result comes back."""

from __future__ import annotations

import threading
import weakref
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from typing import TYPE_CHECKING, Generic

from .core import results
from .core.job import T, refuse_to_pickle
from .core.record import JobState
from .errors import ClosedError

if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any, NoReturn, SupportsIndex

    from typing_extensions import TypeVar

    from .core.promise import Promise
    from .monitor import Monitor

    R = TypeVar("R", default=Any)
else:
    from typing import TypeVar

    R = TypeVar("R")

__all__ = ["JobFuture"]


class JobFuture(Future[R], Generic[T, R]):
    """What becomes of a job, for whoever has submitted it. Made by `Producer.submit`.

    It is a `concurrent.futures.Future`: there are ``result``, ``exception``,
    ``add_done_callback``, and the functions ``wait`` and ``as_completed``. In an event
    loop it is awaited: ``await future``. It is done when

    - the job's consumer gives a result to `Job.finish`, or a worker's handler returns
      one;
    - the job is deleted: the result is None;
    - it is buried for good: by `Job.fail`, by the end of its with-block, or by a worker
      that does not try it again. It has failed with that exception, or with
      `TooManyTriesError` where `Broker.limit_tries` has buried it;
    - it has left the queue, and nobody has done it, as by `cancel` or
      `Broker.clear_tube`: the future is cancelled;
    - the broker is closed or dropped: it has failed with `ClosedError`.

    A job that is released, has expired or was buried by `Job.bury` may still be done.

    Callbacks run in the thread whose verb ends the job, when the broker's lock is free.

    Attributes:
        job_id: What `Producer.put` would have returned.
        body: The job's body.
    """

    def __init__(self, monitor: Monitor, body: T) -> None:
        super().__init__()
        self.job_id = 0
        self.body = body
        # Weak, lest the future keep alive a broker that nobody works for any more.
        itself = weakref.ref(self)

        def end(_monitor: object) -> None:
            future = itself()
            if future is not None:  # pragma: no branch - the reference is its own
                future._fail(ClosedError("the broker was dropped"))

        self._monitor = weakref.ref(monitor, end)

    def cancel(self) -> bool:
        """Take the job out of the queue, unless somebody holds it, or has done it.

        Returns:
            Whether it is cancelled now.

        Raises:
            ReentrantCallError: This is in the middle of a verb of this thread.

        Cost: O(1) amortised.
        """
        monitor = self._monitor()
        if monitor is not None and not self.done():
            with suppress(ClosedError):
                monitor.run(results.withdraw, monitor.engine, self.job_id, self)
        return self.cancelled()

    def running(self) -> bool:
        """Tell whether a consumer holds the job just now. Cost: O(1)."""
        monitor = self._monitor()
        job = None if monitor is None else monitor.engine.jobs.get(self.job_id)
        return (
            job is not None
            and job._state is JobState.RESERVED
            and results.is_promised(job, self)
        )

    def __await__(self) -> Generator[Any, None, R]:
        """Wait for the result in the running event loop.

        A task that is cancelled meanwhile cancels the job, as with
        `asyncio.wrap_future`; see `asyncio.shield`.
        """
        # Imported late: asyncio is slow to import, for one who uses plain threads.
        import asyncio  # noqa: PLC0415 - as above

        return asyncio.wrap_future(self).__await__()

    def __reduce_ex__(self, protocol: SupportsIndex, /) -> NoReturn:
        refuse_to_pickle(self, protocol)

    def __repr__(self) -> str:
        state = "running" if self.running() else self._state.lower().partition("_")[0]
        return f"<JobFuture of job {self.job_id}: {state}>"

    # For the monitor, without the lock

    def _resolve(self, promise: Promise) -> None:
        """Be done, as the promise says. A second call finishes a first one."""
        if promise.cancelled:
            super().cancel()
            self._tell_of_cancelling()
        elif promise.error is not None:
            self._fail(promise.error)
        else:
            result: Any = promise.result
            with suppress(InvalidStateError):
                self.set_result(result)
        # Where this was broken off before, those who wait were maybe not woken.
        with self._condition:
            self._condition.notify_all()

    def _tell_of_cancelling(self) -> None:
        """Wake those who wait for one of several futures."""
        with self._condition:
            if self._state == "CANCELLED":
                self.set_running_or_notify_cancel()

    def _fail(self, error: BaseException) -> None:
        with suppress(InvalidStateError):
            self.set_exception(error)

    def _leave_to_parent(
        self, error: ClosedError
    ) -> None:  # pragma: no cover - in a forked child
        """Be done in a forked child, and tell nobody: the callbacks are the parent's."""
        # Another thread of the parent may have had this lock.
        self._condition = threading.Condition()
        self._done_callbacks.clear()  # type: ignore[attr-defined]  # as the base has it
        self._waiters.clear()
        self._fail(error)
