"""The future of a job that was submitted: how the result comes back."""

from __future__ import annotations

import logging
import threading
import weakref
from concurrent.futures import Future
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

_LOG = logging.getLogger("concurrent.futures")  # where the base tells of callbacks


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

    Waiting here keeps no time for the broker: that a job has expired, or a reservation,
    is told by the next verb, or by a consumer that waits.

    Callbacks run in the thread whose verb ends the job, when the broker's lock is free.

    Attributes:
        job_id: What `Producer.put` would have returned.
        body: The job's body.
    """

    def __init__(self, monitor: Monitor, body: T) -> None:
        super().__init__()
        self._make_lock()
        self.job_id = 0
        self.body = body
        self._telling = False  # whether those who wait are being told
        self._told = False  # whether all of them were
        # Weak, lest the future keep alive a broker that nobody works for any more.
        itself = weakref.ref(self)

        def end(_monitor: object) -> None:
            future = itself()
            if future is not None:  # pragma: no branch - the reference is its own
                future._fail(ClosedError("the broker was dropped"))

        self._monitor = weakref.ref(monitor, end)

    def _make_lock(self) -> None:
        # Taken by itself, no signal handler can come before it is sure to be released.
        self._lock = threading.RLock()
        self._condition = threading.Condition(self._lock)

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

    def result(self, timeout: float | None = None) -> R:
        """Wait for the result, as the base does."""
        is_nested = self._is_locked_here()  # as in a signal handler
        try:
            return super().result(timeout)
        except BaseException:
            if not is_nested:
                self._free_lock()
            raise

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Wait for what the job has failed with, None if it has not, as the base does."""
        is_nested = self._is_locked_here()  # as in a signal handler
        try:
            return super().exception(timeout)
        except BaseException:
            if not is_nested:
                self._free_lock()
            raise

    # The base takes its condition for these, and Ctrl-C might keep that taken.

    def done(self) -> bool:
        """Tell whether it is over, as the base does."""
        return self._state != "PENDING"

    def cancelled(self) -> bool:
        """Tell whether it was cancelled, as the base does."""
        return self._state == "CANCELLED_AND_NOTIFIED"

    def _free_lock(self) -> None:
        """Release the lock, if Ctrl-C has come between taking it and what releases it.

        Else the thread that does the job would wait for it for ever.
        """
        while self._is_locked_here():
            self._lock.release()

    def _is_locked_here(self) -> bool:
        return bool(self._lock._is_owned())  # type: ignore[attr-defined]  # as threading.Condition does

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
            self._settle("CANCELLED_AND_NOTIFIED", None, None)
        elif promise.error is not None:
            self._fail(promise.error)
        else:
            self._settle("FINISHED", promise.result, None)

    def _fail(self, error: BaseException) -> None:
        self._settle("FINISHED", None, error)

    def _settle(self, state: str, result: Any, error: BaseException | None) -> None:
        """Be done, and tell everybody.

        The methods of the base can do this only once: where Ctrl-C breaks them off, those
        who were not told yet never are. A second call of this tells them.
        """
        with self._lock:
            if self._state == "PENDING":
                self._result, self._exception = result, error
                self._state = state  # from here on it is done
            if not self._told:
                again, self._telling = self._telling, True
                for waiter in self._waiters:
                    # One that was told in part may have kept the lock of its event.
                    if not again or self not in waiter.finished_futures:
                        self._tell(waiter)
                self._told = True
            self._condition.notify_all()
        self._invoke_callbacks()

    def _tell(self, waiter: Any) -> None:
        """Tell one who waits for one of several futures that this one is done."""
        if self._state == "CANCELLED_AND_NOTIFIED":
            waiter.add_cancelled(self)
        elif self._exception is not None:
            waiter.add_exception(self)
        else:
            waiter.add_result(self)

    def _invoke_callbacks(self) -> None:
        """Call those that were not called yet."""
        callbacks = self._done_callbacks  # type: ignore[attr-defined]  # as the base has it
        while True:
            try:
                callback = callbacks[0]
            except IndexError:
                return
            # No signal handler runs between this and the call.
            del callbacks[0]
            try:
                callback(self)
            except Exception:  # noqa: BLE001 - as the base does
                _LOG.exception("exception calling callback for %r", self)

    def _leave_to_parent(
        self, error: ClosedError
    ) -> None:  # pragma: no cover - in a forked child
        """Be done in a forked child, and tell nobody: the callbacks are the parent's."""
        # Another thread of the parent may have had this lock.
        self._make_lock()
        self._done_callbacks.clear()  # type: ignore[attr-defined]  # as the base has it
        self._waiters.clear()
        self._fail(error)
