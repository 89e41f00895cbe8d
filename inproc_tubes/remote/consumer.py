"""The handle for threads that reserve jobs of a beanstalkd."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self, TypeVar, overload

from inproc_tubes.checks import (
    check_count,
    check_job_id,
    check_timeout,
    check_tube_name,
)
from inproc_tubes.consumer import NO_DEFAULT
from inproc_tubes.core.job import Job, T
from inproc_tubes.core.text import counted, waiting
from inproc_tubes.errors import ClosedError, NotIgnoredError, TimedOutError
from inproc_tubes.names import name_here
from inproc_tubes.verbs import adopt_verbs

from .holder import RemoteHolder
from .pool import Pool
from .reserving import Attempt, Reserving, go_in_thread

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

    from inproc_tubes.consumer import NoDefault

    from .job import RemoteJob

__all__ = ["BaseRemoteConsumer", "RemoteConsumer"]


D = TypeVar("D")


class BaseRemoteConsumer(RemoteHolder[T]):
    """All of a consumer but how to wait for a job."""

    def __init__(self, looking: Pool, tubes: Iterable[str], name: str | None) -> None:
        called = name_here() if name is None else name
        super().__init__(
            Pool(looking.network, patient=looking.patient), looking, called
        )
        # Its jobs refer to another holder: a handle that is dropped closes.
        holder: RemoteHolder[T] = RemoteHolder(self._pool, looking, called)
        names = tuple(dict.fromkeys(tubes))
        self._reserving = Reserving(self._pool, holder, names)

    @property
    def name(self) -> str:
        """What it is called: see `RemoteBroker.consumer`."""
        return self._name

    def reserve_nowait(self) -> Job[T] | None:
        """Take the most urgent job of all watched tubes, if there is one; never wait.

        It is like `reserve` with the timeout 0 and the default None, but it never
        raises `DeadlineSoonError`.

        Returns:
            The job, or None. The job is this consumer's for ``job.ttr`` seconds.

        Raises:
            StoppedError: The consumer or the broker was stopped.
            ClosedError: The consumer or the broker was closed.

        Cost: a round trip.
        """
        attempt = Attempt(self._reserving, 0, warned=False)
        try:
            return go_in_thread(attempt)[0]
        except TimedOutError:
            return None

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

        Cost: O(number of tubes), and a round trip for each with the next reserve.
        Source: OP_WATCH (prot.c).
        """
        names = [check_tube_name(tube) for tube in tubes]
        reserving = self._reserving
        reserving.check_open()
        before = reserving.watched
        after = tuple(dict.fromkeys((*before, *names)))
        if after != before:
            reserving.watched = after
            reserving.look_again()
            reserving.tell()
        return len(reserving.watched)

    def ignore(self, tube: str) -> int:
        """Stop reserving from this tube; it need not be watched.

        Args:
            tube: Its name.

        Returns:
            How many tubes it watches now.

        Raises:
            NotIgnoredError: It is the only one that is watched.
            BadTubeNameError: The name is not a valid tube name.
            StoppedError: The consumer or the broker was stopped.
            ClosedError: The consumer or the broker was closed.

        Cost: O(number of tubes), and a round trip with the next reserve.
        Source: OP_IGNORE (prot.c).
        """
        name = check_tube_name(tube)
        reserving = self._reserving
        reserving.check_open()
        watched = list(reserving.watched)
        if name in watched:
            if len(watched) == 1:
                raise NotIgnoredError(name)
            place = watched.index(name)  # the last one moves into the hole
            watched[place] = watched[-1]
            del watched[-1]
            reserving.watched = tuple(watched)
            reserving.look_again()
            reserving.tell()
        return len(watched)

    def watching(self) -> list[str]:
        """Return the names of the tubes it watches, in beanstalkd's order.

        A consumer that was stopped watches none.

        Raises:
            ClosedError: The consumer or the broker was closed.

        Cost: O(number of tubes).
        """
        self._pool.check_open()
        reserving = self._reserving
        return [] if reserving.stopped is not None else list(reserving.watched)

    def reserve_job(self, job_id: int) -> RemoteJob[T]:
        """Take this job, whatever its tube and its place; never wait.

        It may be ready, in a paused tube too, delayed or buried.

        Args:
            job_id: The job's id.

        Returns:
            The job. It is this consumer's for ``job.ttr`` seconds.

        Raises:
            NotFoundError: Somebody holds it, maybe this consumer, or there is no such
                job.
            ValueError: Its body cannot be decoded; it is buried.
            ConnectionLostError: The server could not be reached for too long.
            StoppedError: The consumer or the broker was stopped.
            ClosedError: The consumer or the broker was closed.

        Cost: a round trip.
        Source: OP_RESERVE_JOB (prot.c).
        """
        number = check_job_id(job_id)
        self._reserving.check_open()
        return self._reserving.reserve_job(number)

    def stop(self) -> None:
        """Take no more jobs; those in hand stay valid.

        A reserve that waits raises `StoppedError`, and so does each later one; a loop
        over the consumer ends. The consumer watches no tube any more. `close` gives
        back the jobs that are left then. Stopping twice, or after closing, has no
        effect.

        It may be called from any thread, by a signal handler, and while the server is
        away.

        Cost: O(number of reserves that wait).
        """
        self._reserving.stop("the consumer was stopped")

    def close(self) -> None:
        """Give all jobs back and watch nothing; a reserve that waits raises `ClosedError`.

        The connections are closed, and so the server gives the jobs back. Closing twice
        has no effect.

        Cost: O(number of connections), and a round trip for each that has jobs.
        Source: connclose (conn.c).
        """
        self._pool.close("the consumer was closed")

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
        # Without a pool: the constructor has raised.
        if hasattr(self, "_pool"):
            self._pool.abandon()

    @property
    def _description(self) -> str:
        """What it watches and holds, and what waits, for its repr."""
        if self._pool.closed is not None:
            return self._pool.closed
        reserving = self._reserving
        names = ", ".join(map(repr, reserving.watched))
        parts = [
            reserving.stopped or f"watches {names}",
            f"holds {counted(len(self._pool.held), 'job')}",
        ]
        if reserving.waiting:
            parts.append(waiting([(len(reserving.waiting), "reserve")]))
        return "; ".join(parts)


class RemoteConsumer(BaseRemoteConsumer[T]):
    """Reserves jobs from the tubes it watches. Made by `RemoteBroker.consumer`.

    It has the verbs of `inproc_tubes.Consumer`, and may be shared by threads as that.
    Each job in hand and each reserve that waits has a connection of its own, so that a
    reserve that waits holds up nothing else.
    """

    def __init__(self, looking: Pool, tubes: Iterable[str], name: str | None) -> None:
        super().__init__(looking, tubes, name)
        self._reserving.open()

    @overload
    def reserve(self, timeout: float | None = None) -> Job[T]: ...
    @overload
    def reserve(self, timeout: float | None = None, *, default: D) -> Job[T] | D: ...
    @overload
    def reserve(self, timeout: float | None, default: D) -> Job[T] | D: ...
    def reserve(
        self, timeout: float | None = None, default: D | NoDefault = NO_DEFAULT
    ) -> Job[T] | D:
        """Take the most urgent job of all watched tubes; wait for one if need be.

        Jobs are served by priority, the oldest of the same priority first. While the
        server is away this waits for it, too. A job whose body cannot be decoded is
        buried, and this goes on.

        Args:
            timeout: Seconds to wait, None for ever, 0 not at all.
            default: What is returned if there was no job within the timeout. Without
                it, `TimedOutError` is raised.

        Returns:
            The job, or the default. The job is this consumer's for ``job.ttr`` seconds.

        Raises:
            TimedOutError: There was no job within the timeout.
            DeadlineSoonError: There is no job, and one that this handle holds already
                expires within a second. It is raised once: the next `reserve` waits,
                unless the job was touched.
            StoppedError: The consumer or the broker was stopped, maybe while this waited.
            ClosedError: The consumer or the broker was closed, maybe while this waited.

        Cost: a round trip for a job that is ready; one more if this consumer has others
        in hand and would have to wait, and once one for each of these.
        Source: OP_RESERVE, OP_RESERVE_TIMEOUT (prot.c).
        """
        attempt = Attempt(self._reserving, check_timeout(timeout), warned=True)
        try:
            return go_in_thread(attempt)[0]
        except TimedOutError:
            if default is NO_DEFAULT:
                raise
            return default

    def reserve_many(self, n: int, timeout: float | None = None) -> list[Job[T]]:
        """Take up to ``n`` jobs at once; wait for the first if need be.

        It does not wait for more than one: when that has come, it takes what else is
        ready by then on the same server, one by one.

        Args:
            n: How many at most, 1 or more.
            timeout: Seconds to wait for the first, None for ever, 0 not at all.

        Returns:
            The jobs, in the order in which they were reserved, at least one. Each is
            this consumer's for its own ``ttr``, and all share one connection.

        Raises:
            TimedOutError: There was no job within the timeout.
            DeadlineSoonError: There is no job, and one that this handle holds already
                expires within a second. It is raised once: the next `reserve` waits,
                unless the job was touched.
            StoppedError: The consumer or the broker was stopped, maybe while this waited.
            ClosedError: The consumer or the broker was closed, maybe while this waited.

        Cost: a round trip for each job, and one more if there are fewer.
        """
        n = check_count(n)
        bound = check_timeout(timeout)
        return [*go_in_thread(Attempt(self._reserving, bound, warned=True, count=n))]

    def __iter__(self) -> Self:
        """Return the consumer: each step takes a job, see `__next__`."""
        return self

    def __next__(self) -> RemoteJob[T]:
        """Take the next job; wait for it without end.

        Raises:
            StopIteration: The consumer or the broker was stopped or closed.
        """
        try:
            return go_in_thread(Attempt(self._reserving, None, warned=False))[0]
        except ClosedError:
            raise StopIteration from None

    def __repr__(self) -> str:
        return f"<RemoteConsumer {self._name!r}: {self._description}>"


adopt_verbs(RemoteConsumer)
