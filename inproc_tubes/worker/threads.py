"""The worker whose handlers run in threads.

The threads of a run
    Each thread that does jobs takes one after the other from the consumer, which all of
    them share. They are daemons, so that a handler that was given up does not keep the
    program from ending. The *keeper* is none. It keeps time, and ends when all others
    have ended or were given up. So a program that comes to its end waits for the jobs
    in hand.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Generic, Self

from inproc_tubes import ClosedError, DeadlineSoonError, TimedOutError
from inproc_tubes.checks import check_integer, check_timeout
from inproc_tubes.verbs import BELONGS_HERE, adopt_verbs, refuse_to_pickle

from .base import BaseWorker
from .policy import Backoff
from .run import Run
from .settings import Settings, T
from .timer import Sleeper

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType
    from typing import NoReturn, SupportsIndex

    from inproc_tubes import AnyBroker, AnyConsumer, Job

    from .attempt import Attempt
    from .settings import Function

__all__ = ["Worker"]

# CPython may miss a signal that comes in the very moment in which its main thread falls
# asleep. So that sleeps for so many seconds at most, and sees the signal then.
_GLANCE = 1.0

# Beyond any machine, but not beyond a wrong number.
_MAX_THREADS = 100_000


class Worker(BaseWorker[T]):
    """Does the jobs of some tubes, in threads.

    - Before it runs: `handles`, `every`.
    - `run` runs it until a signal or `stop` comes. With ``with worker:`` it runs beside
      the block, and stops at its end.
    - In a test, with ``threads=0``: `run_pending` and `run_until_empty`.

    A handler is called with the job. When it returns, the job is deleted, unless the
    handler has settled it. When it raises an `Exception`, the job is released with the
    delay of the `Backoff`, or buried after too many tries, and keeps the exception as
    `Job.error`. `Retry` and `Bury` decide otherwise. Any other exception gives the job
    back and ends the worker: `run` raises it.

    A job that is still being done after half of its ``ttr`` is touched, so that it does
    not expire. If a handler has lost its job in spite of that, ``job.lost`` is true,
    and its result is dropped. If the producer of a job keeps the context, see
    `Broker.producer`, the handler runs in it.

    All times are by the broker's clock. What happens is logged as "inproc_tubes.worker".
    A worker may run again after it has ended. It may be shared by threads.

    Args:
        broker: The broker.
        handlers: The handlers: a dict from the name of a tube to the function that does
            its jobs.
        threads: How many jobs are done at once. With 0 it has no threads.
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
        threads: int = 1,
        retry: Backoff | None = Backoff(),  # noqa: B008 - it is frozen
        max_runtime: float | None = None,
        stop_timeout: float | None = None,
        log_bodies: bool = False,
    ) -> None:
        self._threads = check_integer("threads", threads, 0, _MAX_THREADS)
        settings = Settings(
            type(self).__name__,
            broker,
            handlers,
            retry=retry,
            max_runtime=max_runtime,
            stop_timeout=stop_timeout,
            log_bodies=log_bodies,
            takes_coroutines=False,
        )
        super().__init__(settings)
        self._pool: _Pool[T] | None = None

    def run(self) -> None:
        """Do jobs until SIGINT, SIGTERM or `stop` comes; then finish the current ones.

        A second signal ends this at once, and gives back the jobs in hand. The handlers
        of the signals are restored at the end. Only the main thread gets signals: in
        another thread, this waits for `stop`.

        Raises:
            BaseException: A handler has raised it, and it is not an `Exception`.
            KeyboardInterrupt: A second SIGINT has come.
            SystemExit: A second SIGTERM has come: the exit code is 143.
            RuntimeError: The worker is running already, or has no handlers or no
                threads.
            ClosedError: The broker was closed before.

        Cost: that of the handlers.
        """
        if not self._threads:
            message = "a Worker without threads has run_pending and run_until_empty"
            raise RuntimeError(message)
        pool = self._begin()
        with pool.run.signals_stop_it():
            pool.start()
            pool.wait()
        pool.run.raise_what_ended_it()

    def stop(self, timeout: float | None = None) -> None:
        """Take no more jobs, and end when the current ones are done; do not wait.

        Jobs that are still in hand after the timeout are given back. The threads of
        their handlers are abandoned: they run on, but nothing waits for them, not even
        the end of the program. Of several timeouts, the one that ends first counts.

        It may be called from any thread, by a handler, and by a signal handler. If the
        worker is not running, it has no effect.

        Args:
            timeout: Seconds; None for no limit, 0 to give back everything at once.

        Raises:
            ValueError: The timeout is out of its range.
            TypeError: It is not a number.

        Cost: O(number of threads).
        """
        timeout = check_timeout(timeout)
        pool = self._pool
        if pool is not None:
            pool.run.stop(timeout)

    def __enter__(self) -> Self:
        """Let the worker run beside the with-block.

        Raises:
            RuntimeError: It is running already, or has no handlers.
            ClosedError: The broker was closed.
        """
        if self._threads:
            self._begin().start()
        else:
            self._pending_pool()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop the worker, and wait until the current jobs are done, see `stop`.

        Raises:
            BaseException: What has ended the worker, if the block has raised nothing.
        """
        pool = self._pool
        assert pool is not None  # `__enter__` has begun it
        pool.run.stop(self._settings.stop_timeout)
        pool.wait()
        if exc_type is None:
            pool.run.raise_what_ended_it()

    # Without threads

    def run_pending(self) -> int:
        """Do all jobs that are ready now, one after the other, in this thread.

        Jobs that become ready meanwhile are done too. Only with ``threads=0``. The
        worker runs from the first such call until `stop`, or the end of its with-block.
        During that time it puts the jobs of `every`.

        A job is touched only when the clock is moved by hand, as no other thread keeps
        time.

        Returns:
            How many.

        Raises:
            BaseException: A handler has raised it, and it is not an `Exception`.
            RuntimeError: The worker has threads, or no handlers.
            ClosedError: The broker was closed.

        Cost: that of the handlers.
        """
        return self._pending_pool().run_pending()

    def run_until_empty(self) -> int:
        """Do all jobs in this thread, also those that are delayed or retried.

        It moves the clock on to the next moment at which anything is due, until no job
        is ready, delayed or reserved in the tubes that have a handler. Only with
        ``threads=0`` and a `FakeClock`.

        Returns:
            How many jobs; each try counts.

        Raises:
            BaseException: A handler has raised it, and it is not an `Exception`.
            TypeError: The clock of the broker cannot be moved.
            RuntimeError: The worker has threads, or no handlers.
            ClosedError: The broker was closed.

        Cost: that of the handlers.
        """
        clock = self._settings.broker.clock
        advance = getattr(clock, "advance_to_next", None)
        if advance is None:
            message = f"run_until_empty moves a FakeClock, not a {type(clock).__name__}"
            raise TypeError(message)
        pool = self._pending_pool()
        count = pool.run_pending()
        while pool.has_jobs_to_come():
            advance()
            count += pool.run_pending()
        return count

    def __reduce_ex__(self, protocol: SupportsIndex, /) -> NoReturn:
        refuse_to_pickle(self, protocol, BELONGS_HERE)

    def __repr__(self) -> str:
        state = "not running" if self._pool is None else self._pool.run.state
        threads = _counted(self._threads)
        return f"<Worker for {self._settings.tubes} with {threads}: {state}>"

    def _begin(self) -> _Pool[T]:
        self._settings.begin()
        try:
            self._pool = _Pool(self._settings, self._threads)
        except BaseException:
            self._settings.end()
            raise
        return self._pool

    def _pending_pool(self) -> _Pool[T]:
        if self._threads:
            message = "run_pending() and run_until_empty() are for threads=0"
            raise RuntimeError(message)
        pool = self._pool
        if pool is not None and pool.run.stopping:
            pool.run.end()
        if pool is None or pool.run.ended:
            pool = self._begin()
            pool.run.start(_counted(0))
        return pool


adopt_verbs(Worker)


class _Pool(Generic[T]):
    """One run of a worker, and its threads.

    Attributes:
        run: What has nothing to do with threads.
    """

    def __init__(self, settings: Settings[T], threads: int) -> None:
        self._settings = settings
        clock = settings.broker.clock
        self._clock = clock
        self._keeper = Sleeper(clock)
        self._waiter = Sleeper(clock)
        consumer = settings.broker.consumer(*settings.handlers, name=settings.worker)
        self.run: Run[AnyConsumer[T], T] = Run(settings, consumer, self._keeper.wake)
        self._threads = [
            threading.Thread(target=self._work, name=f"worker {number}", daemon=True)
            for number in range(1, threads + 1)
        ]
        self._at_work = set(self._threads)
        self._doing: dict[Attempt[T], threading.Thread] = {}

    def start(self) -> None:
        """Start the threads.

        Raises:
            RuntimeError: There cannot be more threads, or the program ends already. None
                is left then.
        """
        keeper = threading.Thread(target=self._keep, name="worker keeper", daemon=False)
        left = [*self._threads]
        try:
            self._settings.broker.stop_at_exit()
            self.run.start(_counted(len(left)))
            keeper.start()
            self._threads.append(keeper)
            while left:
                left[0].start()
                del left[0]
        except BaseException:
            self._at_work -= {*left}
            self._threads = [each for each in self._threads if each not in left]
            if keeper in self._threads:
                self.run.stop(0)
                self.wait()
            else:
                self.run.end()
            raise

    def wait(self) -> None:
        """Wait until the run is over. If this is interrupted, it ends at once."""
        if not self._threads:
            self.run.end()
            return
        try:
            self._wait_until_ended()
        except BaseException:
            self.run.stop(0)
            self._wait_until_ended()
            raise

    def _wait_until_ended(self) -> None:
        while not self.run.ended:
            self._waiter.sleep(self._clock.now() + _GLANCE)
        given_up = self._given_up()
        for thread in self._threads:
            if thread not in given_up:
                thread.join()  # it has nothing left to do

    def _given_up(self) -> set[threading.Thread]:
        """Find the threads that nobody waits for."""
        doing = self._doing.copy()
        return {thread for attempt, thread in doing.items() if attempt.abandoned}

    # What the threads do

    def _keep(self) -> None:
        try:
            while self._at_work - self._given_up():
                self._keeper.sleep(self.run.timer.arm())
                try:
                    self.run.look()
                except BaseException as error:  # noqa: BLE001 - such as a log handler's
                    self.run.fail(error)
        finally:
            try:
                self.run.end()
            finally:
                self._waiter.wake()

    def _work(self) -> None:
        try:
            for job in self.run.consumer:
                self._do(job)
                del job  # nobody needs it while this waits
        except BaseException as error:  # noqa: BLE001 - it is raised where the run ends
            self.run.fail(error)
        finally:
            self._at_work.discard(threading.current_thread())
            self._keeper.wake()

    def _do(self, job: Job[T]) -> None:
        attempt = self.run.begin(job)
        if attempt is None:
            return
        self._doing[attempt] = threading.current_thread()
        try:
            if not attempt.abandoned:
                attempt.perform()
        finally:
            self.run.finish(attempt)
            del self._doing[attempt]

    # Without threads

    def run_pending(self) -> int:
        """Do all jobs that are ready, in the calling thread."""
        count = 0
        try:
            while (job := self._ready_job()) is not None:
                self._do(job)
                count += 1
        except BaseException:
            self.run.end()
            raise
        if self.run.stopping:
            self.run.end()
        return count

    def _ready_job(self) -> Job[T] | None:
        try:
            return self.run.consumer.reserve(timeout=0)
        except ClosedError:
            self.run.stop(None)
        except (TimedOutError, DeadlineSoonError):
            pass
        return None

    def has_jobs_to_come(self) -> bool:
        """Tell whether a job is ready, delayed or reserved, and the run is not over."""
        if self.run.ended:
            return False
        try:
            self._settings.broker.join(*self._settings.handlers, timeout=0)
        except TimedOutError:
            return True
        return False


def _counted(threads: int) -> str:
    return f"{threads} thread{'' if threads == 1 else 's'}"
