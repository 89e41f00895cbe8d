"""The handle for those who reserve jobs and do them.

`BaseConsumer` is everything but how to wait for a job. A `Consumer` is one that waits in
its thread, and an `inproc_tubes.AsyncConsumer` holds one that waits in an event loop.
"""

from __future__ import annotations

from enum import Enum
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Final, Generic, Literal, Self, TypeVar, overload

from . import slips
from .checks import check_count, check_job_id, check_timeout, check_tube_name
from .core import questions
from .core.job import Job, T
from .core.requests import WITHOUT_WARNING, ReserveRequest
from .core.text import counted, waiting
from .errors import ClosedError, TimedOutError
from .holder import Holder, Reservations
from .turns import ReserveTurn
from .verbs import adopt_verbs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType

    from .core.job import AnyHandle
    from .monitor import Monitor
    from .waiting.threads import ThreadSleepers

__all__ = [
    "NO_DEFAULT",
    "BaseConsumer",
    "Consumer",
    "NoDefault",
    "advised",
    "open_consumer",
    "order_of_serving",
]

W = TypeVar("W")
D = TypeVar("D")


class _Missing(Enum):
    """What stands for no default."""

    NO_DEFAULT = "no default: the error is raised"

    def __repr__(self) -> str:
        return self.name  # in signatures


NO_DEFAULT: Final = _Missing.NO_DEFAULT
"""The default of a reserve that has none. None is a default, too."""
NoDefault = Literal[_Missing.NO_DEFAULT]

_ZERO = 0  # CPython has one object for it


class BaseConsumer(Holder[T], Generic[W, T]):
    """A session that reserves jobs.

    ``W`` is what waiting for a job returns: a job, or an awaitable of one.
    """

    __slots__ = ("_reserve",)

    def __init__(
        self,
        monitor: Monitor,
        tubes: Iterable[str],
        enter: Callable[[Monitor, ReserveRequest], Callable[[], W]],
        name: str | None,
    ) -> None:
        session = monitor.open(None, tubes, name=name)
        session.holder = Reservations(monitor, session)
        super().__init__(monitor, session)
        self._reserve = ReserveTurn(monitor, session, enter)

    @property
    def name(self) -> str:
        """Its name: see `Broker.consumer`."""
        return self._session.name

    @overload
    def reserve(self, timeout: float | None = None) -> Job[T] | W: ...
    @overload
    def reserve(
        self, timeout: float | None = None, *, default: D
    ) -> Job[T] | W | D: ...
    @overload
    def reserve(self, timeout: float | None, default: D) -> Job[T] | W | D: ...
    def reserve(
        self, timeout: float | None = None, default: D | NoDefault = NO_DEFAULT
    ) -> Job[T] | D | W:
        """Take the most urgent job of all watched tubes; wait for one if need be.

        Jobs are served by priority, the oldest of the same priority first. Consumers
        are served in the order in which they began to wait.

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
        # 0 and None, of which loops are made, pass without a call.
        if (
            timeout is not None
            and timeout is not _ZERO
            and timeout is not WITHOUT_WARNING
        ):
            timeout = check_timeout(timeout)
        try:
            return self._reserve[timeout]  # type: ignore[return-value]  # a job, or what waits
        except TimedOutError:
            if default is NO_DEFAULT:
                raise
            return default

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
        taken: list[Job[T]] = []
        try:
            self._take(1, 0, taken)
            return taken[0] if taken else None
        except BaseException:
            self._turn.after.append((self._session, taken))
            self._monitor.break_off()
            raise

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
        names = [check_tube_name(tube) for tube in tubes]
        return self._monitor.run(self._engine.clients.watch, self._session, names)

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
        name = check_tube_name(tube)
        return self._monitor.run(self._engine.clients.ignore, self._session, name)

    def watching(self) -> list[str]:
        """Return the names of the tubes it watches, in beanstalkd's order.

        A consumer that was stopped watches none.

        Raises:
            ClosedError: The consumer or the broker was closed.

        Cost: O(number of tubes).
        """
        run = self._monitor.run
        return run(questions.list_tubes_watched, self._engine, self._session)

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
        number = check_job_id(job_id)
        taken: list[Job[T]] = []
        try:
            with self._guard:
                now = self._monitor.begin()
                taken.append(self._engine.reserve_job(now, self._session, number))
                self._turn.unfinished = None
            if self._turn.after:
                self._monitor.finish()
            return taken[0]
        except BaseException:
            self._turn.after.append((self._session, taken))
            self._monitor.break_off()
            raise

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
        self._monitor.stop_session(self._session, "the consumer was stopped")

    def close(self) -> None:
        """Give all jobs back and watch nothing; a reserve that waits raises `ClosedError`.

        The jobs are ready again in the order in which they were reserved. Closing twice
        has no effect.

        Cost: O(log n) for each job and tube.
        Source: connclose (conn.c).
        """
        self._monitor.close_session(self._session, "the consumer was closed")

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
        self.close()

    def __del__(self) -> None:
        # Without a session: the constructor has raised.
        if hasattr(self, "_session"):
            self._monitor.abandon(self._session)

    @property
    def _description(self) -> str:
        """What it watches and holds, and what waits, for its repr."""
        session = self._session
        if session.closed is not None:
            return session.closed
        names = ", ".join(repr(tube.name) for tube in list(session.watched))
        parts = [
            session.stopped or f"watches {names}",
            f"holds {counted(len(session.held), 'job')}",
        ]
        if session.tickets:
            parts.append(waiting([(len(session.tickets), "reserve")]))
        return "; ".join(parts)

    def _take(self, n: int, timeout: float | None, taken: list[Job[T]]) -> None:
        """Reserve up to so many of the jobs that are ready.

        The caller gives them back if this is interrupted.
        """
        with self._guard:
            now = self._monitor.begin()
            taken += self._engine.reserve_many(now, self._session, n, timeout)
            self._turn.unfinished = None
        if self._turn.after:
            self._monitor.finish()


def order_of_serving(job: Job[T]) -> tuple[int, int]:
    """Return what sorts jobs that were taken together."""
    return job._priority, job._id


def advised(
    monitor: Monitor, request: ReserveRequest, sleep: Callable[[], W]
) -> Callable[[], W]:
    """Return what sleeps; in development mode it warns before, if nobody could put.

    Who reserves in a loop of a worker's thread is not told. Needs the lock.
    """
    if (
        slips.dev_mode
        and request.timeout == inf
        and questions.nobody_could_put(monitor.engine)
    ):
        return partial(_warn_and, sleep)
    return sleep


def _warn_and(sleep: Callable[[], W]) -> W:
    slips.warn(
        "this waits for a job without a timeout, and there is neither a job nor a "
        "producer that could put one"
    )
    return sleep()


class Consumer(BaseConsumer[Job[T], T]):
    """Reserves jobs from the tubes it watches. Made by `Broker.consumer`.

    - Tubes: `watch`, `ignore`, `watching`.
    - Getting jobs: `reserve`, `reserve_nowait`, `reserve_many`, `reserve_job`, and
      iteration: ``for job in consumer`` waits for ever, and ends when the consumer or
      the broker is stopped or closed.
    - With a job that it holds: `delete`, `release`, `bury`, `touch`.
    - The end: `stop`, to finish the jobs in hand; then `close`, or the end of a
      with-block, which makes its jobs ready again. Garbage collection does the same,
      except for jobs that the program still refers to.

    It may be shared by threads, which then hold their jobs in common, as the users of
    one connection would: each may delete what another one has reserved, and each may
    get a `DeadlineSoonError` because of it.
    """

    def __init__(self, *_arguments: object, **_more: object) -> None:
        message = "a Consumer is made by Broker.consumer()"
        raise TypeError(message)

    def reserve_many(self, n: int, timeout: float | None = None) -> list[Job[T]]:
        """Take up to ``n`` jobs at once; wait for the first if need be.

        It waits for one job only. Together with it, it takes the others that are ready
        by then. In statistics each job counts as a reserve.

        Args:
            n: How many at most, 1 or more.
            timeout: Seconds to wait for the first, None for ever, 0 not at all.

        Returns:
            The jobs, the most urgent first, at least one. Each is this consumer's for
            its own ``ttr``. All of these times begin now, also that of the job that is
            done last.

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
        taken: list[Job[T]] = []
        try:
            self._take(n, timeout, taken)
            if not taken:
                # Unlike `append`, this leaves no step between the two calls.
                taken.extend(map(self.reserve, (timeout,)))
                self._take(n - 1, timeout, taken)
                taken.sort(key=order_of_serving)
            return taken  # noqa: TRY300 - in the block: it may be interrupted here
        except BaseException:
            self._turn.after.append((self._session, taken))
            self._monitor.break_off()
            raise

    def __iter__(self) -> Self:
        """Return the consumer: each step takes a job, see `__next__`."""
        return self

    def __next__(self) -> Job[T]:
        """Take the next job; wait for it without end.

        Raises:
            StopIteration: The consumer or the broker was stopped or closed.
        """
        try:
            return self._reserve[WITHOUT_WARNING]  # type: ignore[return-value]  # as above
        except ClosedError:
            raise StopIteration from None

    def __repr__(self) -> str:
        return f"<Consumer {self.name!r}: {self._description}>"


adopt_verbs(Consumer)


def open_consumer(
    monitor: Monitor, sleepers: ThreadSleepers, tubes: Iterable[str], name: str | None
) -> Consumer[T]:
    """Return a new consumer. For `Broker.consumer`."""
    consumer: Consumer[T] = Consumer.__new__(Consumer)
    enter = partial(_sleep_in_thread, sleepers)
    BaseConsumer.__init__(consumer, monitor, tubes, enter, name)
    return consumer


def _sleep_in_thread(
    sleepers: ThreadSleepers, monitor: Monitor, request: ReserveRequest
) -> Callable[[], AnyHandle]:
    sleepers.enter(monitor, request)
    sleep = partial(sleepers.sleep, request, ReserveRequest.result)
    return advised(monitor, request, sleep)
