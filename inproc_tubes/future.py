"""The future of a job that was submitted: how the result comes back."""

from __future__ import annotations

import _thread
import logging
import weakref
from concurrent.futures import Future
from contextlib import suppress
from typing import TYPE_CHECKING, Generic

from .checks import check_timeout
from .core import results
from .core.job import T, refuse_to_pickle
from .core.record import JobState
from .core.requests import OVER, ResultRequest
from .errors import ClosedError
from .waiting.threads import ThreadSleepers

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import Any, NoReturn, Self, SupportsIndex

    from typing_extensions import TypeVar

    from .core.promise import Promise
    from .monitor import Monitor

    R = TypeVar("R", default=Any)
else:
    from typing import TypeVar

    R = TypeVar("R")

__all__ = ["JobFuture", "new_future"]

_LOG = logging.getLogger("concurrent.futures")  # where the base tells of callbacks

# Real seconds. Nobody has the lock of a future for so long, but who was interrupted.
_PATIENCE = 1.0

_DROPPED = "the broker was dropped"
_NOT_SET = "what becomes of a job is for its broker to say: see Job.finish and Job.fail"


class _Condition(_thread.RLock):  # type: ignore[misc]  # only typeshed says it is final
    """What the functions of `concurrent.futures` take for a future's condition.

    One of `threading` takes its lock in a function of Python. Ctrl-C may come there when
    the lock is taken and nobody yet sees to its release.
    """

    def notify_all(self) -> None:
        """Do nothing: nobody sleeps here."""


class JobFuture(Future[R], Generic[T, R]):
    """The future result of a job. Made by `Producer.submit`.

    It is a `concurrent.futures.Future`: there are ``result``, ``exception``,
    ``add_done_callback``, and the functions ``wait`` and ``as_completed``. In an event
    loop it is awaited: ``await future``. It is done when

    - the job's consumer gives a result to `Job.finish`, or a worker's handler returns
      one;
    - the job is deleted: the result is None;
    - it is buried for good: by `Job.fail`, by the end of its with-block, or by a worker
      that does not try it again. It has failed with that exception, or with
      `TooManyTriesError` where `Broker.limit_tries` has buried it;
    - it leaves the queue without being done, as by `cancel` or `Broker.clear_tube`: the
      future is cancelled;
    - the broker is closed or dropped: it has failed with `ClosedError`.

    A job that is released, whose reservation expires, or that is buried by `Job.bury`
    may still be done: the future waits.

    ``result``, ``exception`` and ``await future`` keep time for the broker while they
    wait: a job expires then although no verb is called. The functions of
    `concurrent.futures` and `asyncio.wrap_future` do not: while only they wait, a job
    expires when the next verb is called.

    Callbacks run in the thread whose verb ends the job, when the broker's lock is free.

    Attributes:
        job_id: What `Producer.put` would have returned.
        body: The job's body.
    """

    job_id: int
    body: T
    _condition: Any  # what it is in `concurrent.futures`, typeshed does not say
    _untold: list[Any]  # who waits for one of several, and is to be told
    _asleep: dict[ResultRequest, None]  # who waits for this one
    _monitor: weakref.ref[Monitor]  # lest it keep alive a broker that nobody works for

    def __init__(self, *_arguments: object, **_more: object) -> None:
        message = "a JobFuture is made by Producer.submit()"
        raise TypeError(message)

    def cancel(self) -> bool:
        """Take the job out of the queue, unless it is done or somebody holds it.

        Returns:
            Whether it is cancelled.

        Raises:
            ReentrantCallError: It was called in the middle of another verb of this
                thread.

        Cost: O(1) amortised.
        """
        monitor = self._monitor()
        if monitor is not None and not self.done():
            with suppress(ClosedError):
                monitor.run(results.withdraw, monitor.engine, self.job_id, self)
        return self.cancelled()

    def result(self, timeout: float | None = None) -> R:
        """Wait for the result, and keep time for the broker meanwhile.

        Args:
            timeout: Seconds to wait, by the broker's clock; None for ever, 0 or less not
                at all.

        Returns:
            What `Job.finish` was given.

        Raises:
            concurrent.futures.CancelledError: The job has left the queue without being
                done.
            TimedOutError: The job was not done within the timeout.
            ClosedError: The broker was closed, or dropped.
            ReentrantCallError: It was called in the middle of another verb of this
                thread.
            BaseException: What the job has failed with.

        Cost: O(1), O(log n) with a timeout.
        """
        self._wait(timeout)
        try:
            return super().result(0)
        finally:
            del self  # the exception, which this refers to, refers to this frame

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Wait for what the job has failed with, as `result` does.

        Args:
            timeout: Seconds to wait, by the broker's clock; None for ever, 0 or less not
                at all.

        Returns:
            The exception, `ClosedError` if the broker was closed or dropped; None if the
            job was done.

        Raises:
            concurrent.futures.CancelledError: The job has left the queue without being
                done.
            TimedOutError: The job was not done within the timeout.
            ReentrantCallError: It was called in the middle of another verb of this
                thread.

        Cost: O(1), O(log n) with a timeout.
        """
        self._wait(timeout)
        return super().exception(0)

    def add_done_callback(self, fn: Callable[[Self], object]) -> None:
        """Call a function with this future when it is done; now, if it is done already.

        Args:
            fn: The function. If it raises an exception, that is logged.

        Cost: O(1).
        """
        super().add_done_callback(fn)  # type: ignore[arg-type]  # it is called with this

    def set_running_or_notify_cancel(self) -> NoReturn:
        """Refuse: the broker decides what becomes of a job.

        Raises:
            TypeError: Always.
        """
        raise TypeError(_NOT_SET)

    def set_result(self, result: R) -> NoReturn:  # noqa: ARG002 - the base's
        """Refuse: the broker decides what becomes of a job.

        Raises:
            TypeError: Always.
        """
        raise TypeError(_NOT_SET)

    def set_exception(self, exception: BaseException | None) -> NoReturn:  # noqa: ARG002 - the base's
        """Refuse: the broker decides what becomes of a job.

        Raises:
            TypeError: Always.
        """
        raise TypeError(_NOT_SET)

    # The base takes its lock for these.

    def done(self) -> bool:
        """Return whether it has a result or an exception, or was cancelled."""
        return self._state != "PENDING"

    def cancelled(self) -> bool:
        """Return whether it was cancelled."""
        return self._state == "CANCELLED_AND_NOTIFIED"

    def running(self) -> bool:
        """Return whether a consumer holds the job now. Cost: O(1)."""
        monitor = self._monitor()
        job = None if monitor is None else monitor.engine.jobs.get(self.job_id)
        return (
            job is not None
            and job._state is JobState.RESERVED
            and results.is_promised(job, self)
        )

    def __await__(self) -> Generator[Any, None, R]:
        """Wait for the result in the running event loop, and keep time meanwhile.

        A task that is cancelled meanwhile cancels the job, as with
        `asyncio.wrap_future`; see `asyncio.shield`.
        """
        if not self.done():
            yield from self._wait_in_loop()
        if self.cancelled():
            # Imported late: it is slow to import, for one who uses plain threads.
            from asyncio import CancelledError  # noqa: PLC0415 - as above

            raise CancelledError
        try:
            return super().result(0)
        finally:
            del self  # as in `result`

    # Waiting. No frame here refers to the monitor: it may be dropped meanwhile.

    def _wait(self, timeout: float | None) -> None:
        """Wait until it is over."""
        if isinstance(timeout, (int, float)):
            timeout = max(timeout, 0)  # what is left till a moment that has passed
        request = ResultRequest(check_timeout(timeout), self.job_id, self)
        if self.done():
            return
        self._asleep[request] = None
        try:
            sleepers = ThreadSleepers.of(self._living())
            self._hear(sleepers.wait(self._living(), self._ask, request, _promise_of))
        except ClosedError:
            pass  # on its way here it has told this future why
        finally:
            self._asleep.pop(request, None)
        if not self.done():
            self._lose_broker()

    def _wait_in_loop(self) -> Generator[Any, None, None]:
        """Wait in the running event loop until it is over."""
        import asyncio  # noqa: PLC0415 - see __await__

        from .waiting.coroutines import LoopSleepers  # noqa: PLC0415 - as above

        request = ResultRequest(None, self.job_id, self)
        answer = None
        self._asleep[request] = None
        try:
            sleepers = LoopSleepers.of_running_loop(self._living())
            answer = sleepers.ask(self._living(), self._ask, request, _promise_of)
            if answer is None:
                self._hear(_promise_of(request))
            else:
                self._hear((yield from answer.__await__()))
        except ClosedError:
            pass  # on its way here it has told this future why
        except BaseException as error:
            if answer is not None:
                answer.withdraw()
            if isinstance(error, asyncio.CancelledError):
                self.cancel()
            raise
        finally:
            self._asleep.pop(request, None)
        if not self.done():
            self._lose_broker()

    def _living(self) -> Monitor:
        """Return the monitor, or raise ClosedError."""
        monitor = self._monitor()
        if monitor is None:
            raise ClosedError(_DROPPED)
        return monitor

    def _ask(self, now: float, request: ResultRequest) -> None:
        """Let a request wait for what becomes of the job, in a turn."""
        results.await_end(now, self._living().engine, request)

    def _hear(self, promise: Promise | None) -> None:
        """Be over as soon as a promise is due. Who keeps it tells all others."""
        if promise is not None:
            self._decide(*_verdict(promise))

    def __reduce_ex__(self, protocol: SupportsIndex, /) -> NoReturn:
        refuse_to_pickle(self, protocol)

    def __repr__(self) -> str:
        state = "running" if self.running() else self._state.lower().partition("_")[0]
        return f"<JobFuture of job {self.job_id}: {state}>"

    # For the monitor, without the lock

    def _resolve(self, promise: Promise) -> None:
        """Be done, as the promise says. A second call finishes a first one."""
        self._settle(*_verdict(promise))

    def _lose_broker(self) -> None:
        """Be done: the broker was dropped. A second call finishes a first one."""
        self._settle("FINISHED", None, ClosedError(_DROPPED))
        for request in list(self._asleep):
            request.sleeper.wake()

    def _settle(self, state: str, result: Any, error: BaseException | None) -> None:
        """Be done, and tell everybody. A second call tells those who were not told."""
        self._decide(state, result, error)
        if self._untold:
            # Telling must be done once, and whole. Neither Ctrl-C nor any other exception
            # of a user's comes into a thread that nobody knows.
            try:
                _thread.start_new_thread(self._tell, ())
            except RuntimeError:  # there are too many, or the program ends
                self._tell()
        self._invoke_callbacks()

    def _decide(self, state: str, result: Any, error: BaseException | None) -> None:
        """Be done. A second call has no effect."""
        lock = self._condition
        if not lock.acquire(timeout=_PATIENCE):
            # `concurrent.futures.wait` takes the locks of its futures one by one. Ctrl-C
            # has come there, and nobody will release this one.
            self._condition = lock = _Condition()
            lock.acquire()
        try:
            if self._state == "PENDING":
                self._untold = list(self._waiters)
                self._result, self._exception = result, error
                self._state = state  # from here on it is done
        finally:
            lock.release()

    def _tell(self) -> None:
        """Tell those who wait for one of several futures that this one is done."""
        while True:
            try:
                waiter = self._untold.pop(0)
            except IndexError:
                return
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
        self._condition = _Condition()
        self._done_callbacks.clear()  # type: ignore[attr-defined]  # as the base has it
        self._waiters.clear()
        self._untold.clear()
        self._settle("FINISHED", None, error)


def _promise_of(request: ResultRequest) -> Promise | None:
    """Return the promise that a request has waited for, None if it was kept already."""
    if request.outcome is None or request.outcome is OVER:
        return None  # the broker was dropped, or all is over
    return request.result()


def _verdict(promise: Promise) -> tuple[str, object, BaseException | None]:
    """Return what a future becomes, by a promise: its state, result and exception."""
    if promise.cancelled:
        return "CANCELLED_AND_NOTIFIED", None, None
    if promise.error is not None:
        return "FINISHED", None, promise.error
    return "FINISHED", promise.result, None


def new_future(monitor: Monitor, body: T) -> JobFuture[T, Any]:
    """Return the future of a job that is not put yet. For `Producer.submit`."""
    future: JobFuture[T, Any] = JobFuture.__new__(JobFuture)
    Future.__init__(future)
    future._condition = _Condition()
    future.job_id = 0
    future.body = body
    future._untold = []
    future._asleep = {}
    itself = weakref.ref(future)

    def end(_monitor: object) -> None:
        future = itself()
        if future is not None:  # pragma: no branch - the reference is its own
            future._lose_broker()

    future._monitor = weakref.ref(monitor, end)
    return future
