"""The broker: where handles come from, where one looks in, and where everything ends."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Generic, Self, TypeVar, overload

from .at_exit import stop_at_exit
from .checks import (
    check_bound,
    check_duration,
    check_job_id,
    check_key,
    check_max_job_size,
    check_maxsize,
    check_priority,
    check_states,
    check_timeout,
    check_tries,
    check_tube_name,
)
from .clock import MonotonicClock
from .consumer import open_consumer
from .core import questions
from .core.job import Job, JobState, T, refuse_to_pickle
from .core.limits import DEFAULT_MAX_JOB_SIZE, DEFAULT_TUBE
from .core.requests import JoinRequest
from .core.text import counted, counts, waiting
from .failures import failure_of
from .holder import Reservations, target_of
from .monitor import Monitor
from .names import check_name
from .producer import open_producer
from .version import __version__
from .waiting.threads import ThreadSleepers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType
    from typing import Literal, NoReturn, SupportsIndex, TypeAlias

    from .async_consumer import AsyncConsumer
    from .async_producer import AsyncProducer
    from .clock import Clock
    from .consumer import Consumer
    from .core.engine import Engine
    from .core.event import Event, EventKind
    from .core.job import JobHolder
    from .core.record import AnyJob
    from .core.session import Session
    from .core.statistics import BrokerSnapshot, BrokerStats, JobStats, TubeStats
    from .event_stream import EventStream
    from .producer import Producer
    from .subscriptions import Subscription

    UnheldStateName: TypeAlias = Literal["ready", "delayed", "buried"]
    StateName: TypeAlias = UnheldStateName | Literal["reserved"]
    KindName: TypeAlias = Literal[
        "put",
        "ready",
        "reserved",
        "touched",
        "released",
        "timed_out",
        "returned",
        "buried",
        "kicked",
        "moved",
        "updated",
        "deleted",
        "cancelled",
        "expired",
        "tube_paused",
        "tube_resumed",
        "tube_limited",
        "consumer_opened",
        "consumer_closed",
        "recovered",
        "closed",
    ]

__all__ = ["Broker"]

B = TypeVar("B")
X = TypeVar("X")

_STOPPED = "the broker was stopped"
_CLOSED = "the broker was closed"

_UNHELD_STATES = (JobState.READY, JobState.DELAYED, JobState.BURIED)
_ALL_STATES = (JobState.READY, JobState.RESERVED, JobState.DELAYED, JobState.BURIED)


class Broker(Generic[T]):
    """Named tubes of jobs, for the threads and the event loops of this process.

    - Handles: `producer`, `consumer`; for coroutines `async_producer`,
      `async_consumer`.
    - Looking: `tubes`, `peek`, `peek_ready`, `peek_delayed`, `peek_buried`, `find`,
      `stats`, `stats_tube`, `stats_job`, `jobs`, `snapshot`.
    - Intervening: `kick`, `kick_job`, `delete`, `cancel`, `clear_tube`, `pause_tube`,
      `limit_tube`, `limit_tries`, `move`, `update`, `bury`.
    - Events: `subscribe`; for coroutines `events`.
    - The end: `drain`, `join` or `async_join`, `stop`, `stop_at_exit`, `close`, or the
      end of a with-block.

    It may be shared by threads and event loops, and has no thread of its own. Jobs live
    in memory, and end with it. After a fork it belongs to the parent, and the child's
    copy is closed.

    Args:
        clock: The clock; None for the machine's monotonic clock.
        max_job_size: The largest body in bytes that is accepted, for bodies that have a
            size (``str``, counted as UTF-8, and bytes); None for no limit.
    """

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        max_job_size: int | None = DEFAULT_MAX_JOB_SIZE,
    ) -> None:
        self._max_job_size = check_max_job_size(max_job_size)
        if clock is None:
            clock = MonotonicClock()
        if isinstance(clock, type):
            message = f"clock is an object, not a class: {clock.__name__}()"
            raise TypeError(message)
        for method in ("now", "attach", "park", "seconds_until"):
            if not callable(getattr(clock, method, None)):
                message = f"a clock has {method}(), {type(clock).__name__} has not"
                raise TypeError(message)
        self._monitor = self._new_monitor(clock)
        self._engine = self._monitor.engine
        self._sleepers = ThreadSleepers(self._monitor)
        self._holder: Reservations[T] = Reservations(self._monitor, self._monitor.admin)
        self._id = os.urandom(8).hex()

    @staticmethod
    def _new_monitor(clock: Clock) -> Monitor:
        return Monitor(clock)

    @property
    def clock(self) -> Clock:
        """The clock that tells it the time. Cost: O(1)."""
        return self._monitor.clock

    @overload
    def producer(
        self,
        tube: str = DEFAULT_TUBE,
        *,
        context: bool = False,
        name: str | None = None,
    ) -> Producer[T]: ...
    @overload
    def producer(
        self,
        tube: str = DEFAULT_TUBE,
        *,
        context: bool = False,
        name: str | None = None,
        body: type[B],
    ) -> Producer[B]: ...
    def producer(
        self,
        tube: str = DEFAULT_TUBE,
        *,
        context: bool = False,
        name: str | None = None,
        body: type[B] | None = None,  # noqa: ARG002 - for type checkers
    ) -> Producer[T] | Producer[B]:
        """Return a new handle that puts into this tube.

        Args:
            tube: Its name.
            context: Whether each job keeps a copy of the context, see `contextvars`, in
                which it was put: `Job.context`. A handler that runs in it sees the
                request id, the language or the tracing span of the code that put the
                job.
            name: Its name in its repr and in `snapshot`; None for the name of the task
                or the thread that makes it.
            body: The type of the bodies, for type checkers only. Nothing checks it
                while the program runs.

        Raises:
            BadTubeNameError: The name is not a valid tube name.
            ClosedError: The broker was closed.

        Cost: O(1).
        """
        used = check_tube_name(tube)
        return open_producer(
            self._monitor,
            self._sleepers,
            used,
            self._max_job_size,
            context=context,
            name=check_name(name),
        )

    @overload
    def consumer(self, *tubes: str, name: str | None = None) -> Consumer[T]: ...
    @overload
    def consumer(
        self, *tubes: str, name: str | None = None, body: type[B]
    ) -> Consumer[B]: ...
    def consumer(
        self,
        *tubes: str,
        name: str | None = None,
        body: type[B] | None = None,  # noqa: ARG002 - for type checkers
    ) -> Consumer[T] | Consumer[B]:
        """Return a new handle that reserves from exactly these tubes.

        Once the broker was stopped, the handle is stopped from the beginning.

        Args:
            tubes: Their names. If there are none, it is "default".
            name: Its name, which `Job.holder` shows; None for the name of the task or
                the thread that makes it.
            body: The type of the bodies, for type checkers only. Nothing checks it
                while the program runs.

        Raises:
            BadTubeNameError: One of the names is not valid.
            ClosedError: The broker was closed.

        Cost: O(number of tubes).
        """
        names = [check_tube_name(tube) for tube in tubes] or [DEFAULT_TUBE]
        return open_consumer(self._monitor, self._sleepers, names, check_name(name))

    @overload
    def async_producer(
        self,
        tube: str = DEFAULT_TUBE,
        *,
        context: bool = False,
        name: str | None = None,
    ) -> AsyncProducer[T]: ...
    @overload
    def async_producer(
        self,
        tube: str = DEFAULT_TUBE,
        *,
        context: bool = False,
        name: str | None = None,
        body: type[B],
    ) -> AsyncProducer[B]: ...
    def async_producer(
        self,
        tube: str = DEFAULT_TUBE,
        *,
        context: bool = False,
        name: str | None = None,
        body: type[B] | None = None,  # noqa: ARG002 - for type checkers
    ) -> AsyncProducer[T] | AsyncProducer[B]:
        """Return a new handle, for coroutines, that puts into this tube.

        Args:
            tube: Its name.
            context: Whether each job keeps a copy of the context, see `contextvars`, in
                which it was put: `Job.context`. A handler that runs in it sees the
                request id, the language or the tracing span of the code that put the
                job.
            name: Its name in its repr and in `snapshot`; None for the name of the task
                or the thread that makes it.
            body: The type of the bodies, for type checkers only. Nothing checks it
                while the program runs.

        Raises:
            BadTubeNameError: The name is not a valid tube name.
            ClosedError: The broker was closed.

        Cost: O(1).
        """
        # Imported late: asyncio is slow to import, for one who uses plain threads.
        from .async_producer import open_async_producer  # noqa: PLC0415 - as above

        used = check_tube_name(tube)
        return open_async_producer(
            self._monitor,
            used,
            self._max_job_size,
            context=context,
            name=check_name(name),
        )

    @overload
    def async_consumer(
        self, *tubes: str, name: str | None = None
    ) -> AsyncConsumer[T]: ...
    @overload
    def async_consumer(
        self, *tubes: str, name: str | None = None, body: type[B]
    ) -> AsyncConsumer[B]: ...
    def async_consumer(
        self,
        *tubes: str,
        name: str | None = None,
        body: type[B] | None = None,  # noqa: ARG002 - for type checkers
    ) -> AsyncConsumer[T] | AsyncConsumer[B]:
        """Return a new handle, for coroutines, that reserves from these tubes.

        Once the broker was stopped, the handle is stopped from the beginning.

        Args:
            tubes: Their names. If there are none, it is "default".
            name: Its name, which `Job.holder` shows; None for the name of the task or
                the thread that makes it.
            body: The type of the bodies, for type checkers only. Nothing checks it
                while the program runs.

        Raises:
            BadTubeNameError: One of the names is not valid.
            ClosedError: The broker was closed.

        Cost: O(number of tubes).
        """
        from .async_consumer import open_async_consumer  # noqa: PLC0415 - see async_producer

        names = [check_tube_name(tube) for tube in tubes] or [DEFAULT_TUBE]
        return open_async_consumer(self._monitor, names, check_name(name))

    # Looking

    def tubes(self) -> list[str]:
        """Return the names of all tubes, in beanstalkd's order.

        Raises:
            ClosedError: The broker was closed.

        Cost: O(number of tubes).
        """
        return self._monitor.run(questions.list_tubes, self._engine)

    def stats(self) -> BrokerStats:
        """Return the statistics of the whole broker.

        Raises:
            ClosedError: The broker was closed.

        Cost: O(number of tubes and handles).
        Source: fmt_stats (prot.c).
        """
        known = self._monitor.run(questions.broker_counts, self._engine)
        return self._stats(known, self._monitor.now())

    def snapshot(self) -> BrokerSnapshot:
        """Return all statistics, and who holds which job, from one instant.

        Answers that are asked for one by one need not fit together: a tube that `tubes`
        has named may be gone when `stats_tube` asks for it. In the statistics this
        counts as one `stats`.

            >>> from inproc_tubes import Broker
            >>> from inproc_tubes.testing import FakeClock
            >>> clock = FakeClock()
            >>> broker = Broker(clock=clock)
            >>> job_id = broker.producer("orders", name="shop").put("scarf")
            >>> packer = broker.consumer("orders", name="packer-1")
            >>> job = packer.reserve()
            >>> clock.advance(5)
            >>> seen = broker.snapshot()
            >>> seen.tubes["orders"].current_jobs_reserved
            1
            >>> for handle in seen.handles:
            ...     for held in handle.holds:
            ...         print(handle.name, held.id, seen.now - held.reserved_at)
            packer-1 1 5.0

        Raises:
            ClosedError: The broker was closed.

        Cost: O(number of tubes and handles), and O(n log n) for n reserved jobs. The
        broker serves nobody meanwhile.
        """
        from .core.statistics import BrokerSnapshot  # noqa: PLC0415 - see _stats

        now, known, tubes, handles = self._monitor.run(
            questions.everything, self._engine
        )
        stats = self._stats(known, now)
        return BrokerSnapshot(now=now, stats=stats, tubes=tubes, handles=handles)

    def stats_tube(self, tube: str) -> TubeStats:
        """Return the statistics of a tube.

        Args:
            tube: The tube's name.

        Raises:
            NotFoundError: There is no such tube (now).
            BadTubeNameError: The name is not a valid tube name.
            ClosedError: The broker was closed.

        Cost: O(1).
        Source: fmt_stats_tube (prot.c).
        """
        name = check_tube_name(tube)
        return self._monitor.run(questions.stats_tube, self._engine, name)

    def stats_job(self, job_or_id: Job[T] | int) -> JobStats:
        """Return the statistics of a job, whatever its state.

        Args:
            job_or_id: A handle, or a job's id.

        Raises:
            NotFoundError: There is no such job (any more).
            ClosedError: The broker was closed.

        Cost: O(1).
        Source: fmt_job_stats (prot.c).
        """
        return self._holder._stats_job(job_or_id)

    def peek(self, job_id: int) -> Job[T]:
        """Return a job without reserving it, whatever its state.

        Args:
            job_id: The job's id.

        Raises:
            NotFoundError: There is no such job.
            ClosedError: The broker was closed.

        Cost: O(1).
        """
        number = check_job_id(job_id)
        return self._look(questions.peek, number)

    def peek_ready(self, tube: str = DEFAULT_TUBE) -> Job[T]:
        """Return the job that this tube would serve next, without reserving it.

        Args:
            tube: The tube's name.

        Raises:
            NotFoundError: The tube has no ready job.
            BadTubeNameError: The name is not a valid tube name.
            ClosedError: The broker was closed.

        Cost: O(1).
        """
        name = check_tube_name(tube)
        return self._look(questions.peek_ready, name)

    def peek_delayed(self, tube: str = DEFAULT_TUBE) -> Job[T]:
        """Return the job of this tube whose delay is over first.

        Args:
            tube: The tube's name.

        Raises:
            NotFoundError: The tube has no delayed job.
            BadTubeNameError: The name is not a valid tube name.
            ClosedError: The broker was closed.

        Cost: O(1).
        """
        name = check_tube_name(tube)
        return self._look(questions.peek_delayed, name)

    def peek_buried(self, tube: str = DEFAULT_TUBE) -> Job[T]:
        """Return the job of this tube that was buried first.

        Args:
            tube: The tube's name.

        Raises:
            NotFoundError: The tube has no buried job.
            BadTubeNameError: The name is not a valid tube name.
            ClosedError: The broker was closed.

        Cost: O(1).
        """
        name = check_tube_name(tube)
        return self._look(questions.peek_buried, name)

    def find(self, key: str, tube: str = DEFAULT_TUBE) -> Job[T] | None:
        """Return the job of this tube that was put with this key, whatever its state.

        Looking reserves nothing.

        Args:
            key: Its key, see `Producer.put`.
            tube: The tube's name; one that does not exist has no jobs.

        Returns:
            The job, None if there is no such job (any more).

        Raises:
            BadTubeNameError: The name is not a valid tube name.
            ClosedError: The broker was closed.

        Cost: O(1).
        """
        name, key = check_tube_name(tube), check_key(key)
        run, holder = self._monitor.run, self._holder
        return run(questions.find_key, self._engine, holder, name, key)

    def jobs(
        self, tube: str, state: JobState | StateName | None = None
    ) -> list[Job[T]]:
        """Return all jobs of this tube, or those in one state, in the order of service.

        That is the order of `JobState`: first the ready ones, the most urgent first;
        then those that consumers hold, beginning with the one that expires first; then
        the delayed ones, the soonest first; then the buried ones, the longest buried
        first. All of them are seen in one instant. Looking reserves nothing.

        Args:
            tube: The tube's name; one that does not exist has no jobs.
            state: A `JobState`, or its name such as "buried"; None for all.

        Raises:
            BadTubeNameError: The name is not a valid tube name.
            ClosedError: The broker was closed.

        Cost: O(n log n), and O(number of handles and of all reserved jobs) for those
        that are reserved. The broker serves nobody meanwhile.
        """
        name = check_tube_name(tube)
        states = check_states(state, _ALL_STATES)
        run, holder = self._monitor.run, self._holder
        return list(run(questions.list_jobs, self._engine, holder, name, states))

    # Intervening

    def kick(self, tube: str, bound: int) -> int:
        """Make buried jobs of a tube ready; if none is buried, delayed ones.

        Args:
            tube: The tube's name.
            bound: How many at most.

        Returns:
            How many.

        Raises:
            BadTubeNameError: The name is not a valid tube name.
            ClosedError: The broker was closed.

        Cost: O(log n) for each job.
        Source: kick_jobs (prot.c): never both in one call.
        """
        name = check_tube_name(tube)
        return self._monitor.run(self._engine.kick, name, check_bound(bound))

    def kick_job(self, job_or_id: Job[T] | int) -> None:
        """Make this buried or delayed job ready.

        Args:
            job_or_id: A handle, or a job's id.

        Raises:
            NotFoundError: It is neither buried nor delayed.
            ClosedError: The broker was closed.

        Cost: O(log n).
        Source: OP_KICKJOB (prot.c).
        """
        job_id, job = target_of(job_or_id)
        self._monitor.run(self._engine.kick_job, job_id, job)

    def move(self, job_or_id: Job[T] | int, tube: str) -> None:
        """Give a job that nobody holds to another tube.

        It keeps its id, its key, its counters and its state: a ready job is served there
        by its priority and id, a delayed one when its delay is over, and a buried one is
        the last to be kicked. Its holder moves a job by `Job.release`.

        Args:
            job_or_id: A handle, or a job's id.
            tube: The name of its new tube, which is made if it is new. Where that is its
                tube already, this has no effect.

        Raises:
            NotFoundError: A consumer holds it, or there is no such job.
            TubeFullError: The other tube has no room: this does not wait.
            DuplicateJobError: A job of the other tube has its key.
            BadTubeNameError: ``tube`` is not a valid tube name.
            ClosedError: The broker was closed.

        Cost: O(log n).
        """
        job_id, job = target_of(job_or_id)
        name = check_tube_name(tube)
        self._monitor.run(self._engine.interventions.move, job_id, job, name)

    def update(
        self,
        job_or_id: Job[T] | int,
        priority: int | None = None,
        delay: float | None = None,
    ) -> None:
        """Give a job that nobody holds another priority, or another delay.

        It keeps its id and its counters. A buried job stays buried: it has the new
        priority once it is kicked, and no delay.

        Args:
            job_or_id: A handle, or a job's id.
            priority: Its new priority; None keeps the present one.
            delay: Seconds from now until it is ready, 0 for now; None leaves it as it
                is.

        Raises:
            NotFoundError: A consumer holds it, or there is no such job.
            ClosedError: The broker was closed.

        Cost: O(log n).
        """
        job_id, job = target_of(job_or_id)
        if priority is not None:
            priority = check_priority(priority)
        if delay is not None:
            delay = check_duration("delay", delay)
        update = self._engine.interventions.update
        self._monitor.run(update, job_id, job, priority, delay)

    def bury(
        self,
        job_or_id: Job[T] | int,
        priority: int | None = None,
        error: BaseException | None = None,
    ) -> None:
        """Put a job that nobody holds aside, until somebody kicks it.

        It may be ready or delayed. Its holder buries a job by `Job.bury`.

        Args:
            job_or_id: A handle, or a job's id.
            priority: Its new priority; None keeps the present one.
            error: Why, to be kept as text in `Job.error`; None keeps what is there.

        Raises:
            NotFoundError: A consumer holds it, it is buried already, or there is no such
                job.
            ClosedError: The broker was closed.

        Cost: O(log n), and with an error that of formatting it.
        """
        job_id, job = target_of(job_or_id)
        if priority is not None:
            priority = check_priority(priority)
        failure = None if error is None else failure_of(error)
        bury = self._engine.interventions.put_aside
        self._monitor.run(bury, job_id, job, priority, failure)

    def delete(self, job_or_id: Job[T] | int) -> None:
        """Delete a job that nobody holds.

        Args:
            job_or_id: A handle, or a job's id.

        Raises:
            NotFoundError: A consumer holds it, or there is no such job.
            ClosedError: The broker was closed.

        Cost: O(1) amortised.
        Source: OP_DELETE (prot.c).
        """
        self._holder.delete(job_or_id)

    def cancel(self, job_or_id: Job[T] | int) -> None:
        """Delete a job, even while a consumer holds it.

        Its holder is not interrupted. But from now on `Job.lost` is true there, and the
        verbs of the job raise `NotFoundError` with the reason ``CANCELLED``. The end of
        its with-block raises nothing. So a long handler asks for `Job.lost` now and
        then, and gives up.

            >>> from inproc_tubes import Broker, NotFoundError
            >>> broker = Broker()
            >>> job_id = broker.producer().put("a long film")
            >>> job = broker.consumer().reserve()
            >>> broker.cancel(job_id)
            >>> job.lost
            True
            >>> try:
            ...     job.touch()
            ... except NotFoundError as error:
            ...     print(error)
            job 1 was cancelled

        In the statistics it counts as a delete.

        Args:
            job_or_id: A job's id, or any handle of it, also one of a job that was only
                looked at and has been reserved since.

        Raises:
            NotFoundError: There is no such job (any more).
            ClosedError: The broker was closed.

        Cost: O(1) amortised.
        """
        job_id, job = target_of(job_or_id)
        self._monitor.run(self._engine.clients.cancel_job, job_id, job)

    def pause_tube(self, tube: str, delay: float) -> None:
        """Let no consumer reserve from this tube for some time.

        Nothing else stops: jobs are put, kicked and peeked at, delays and reservations
        end, and `Consumer.reserve_job` still takes the job that it names.

        Args:
            tube: The tube's name.
            delay: Seconds; a new pause replaces the old, and 0 ends it.

        Raises:
            NotFoundError: There is no such tube (now).
            BadTubeNameError: The name is not a valid tube name.
            ClosedError: The broker was closed.

        Cost: O(log n).
        Source: OP_PAUSE_TUBE (prot.c).
        """
        name = check_tube_name(tube)
        delay = check_duration("delay", delay)
        self._monitor.run(self._engine.pause_tube, name, delay)

    def limit_tube(self, tube: str, maxsize: int) -> None:
        """Limit how many jobs this tube may have; `Producer.put` waits for room.

        All jobs of the tube count, whatever their state. If there are more already,
        they stay. Only puts wait for room: a job that is in the tube comes back from a
        reservation, a delay or a burial in any case. A limited tube does not vanish
        when its last job does. Puts that wait and have room now are let in.

        Args:
            tube: The tube's name.
            maxsize: How many, 0 for any number.

        Raises:
            BadTubeNameError: The name is not a valid tube name.
            ClosedError: The broker was closed.

        Cost: O(number of puts that wait there), and that of those let in.
        """
        name = check_tube_name(tube)
        self._monitor.run(self._engine.limit_tube, name, check_maxsize(maxsize))

    def limit_tries(self, tube: str, n: int | None) -> None:
        """Limit how often a job of this tube may be reserved; after that it is buried.

        When the reservation of a job that was reserved ``n`` times ends by a release,
        whatever its delay, or by an expiry, the job is buried instead. Its `Job.error`
        has the type "tries", and tells what it failed with before. So a job that kills
        or hangs its workers does not come back for ever.

        All reservations of a job count, also those before the limit and in another
        tube. A kick gives it one more try. A consumer that is closed gives its jobs
        back in any case. A tube with such a limit does not vanish when its last job
        does.

        Args:
            tube: The tube's name.
            n: How often, 1 or more; None for any number of times.

        Raises:
            BadTubeNameError: The name is not a valid tube name.
            ClosedError: The broker was closed.

        Cost: O(1).
        """
        name = check_tube_name(tube)
        limit = self._engine.interventions.limit_tries
        self._monitor.run(limit, name, check_tries(n))

    def clear_tube(
        self, tube: str, state: JobState | UnheldStateName | None = None
    ) -> int:
        """Delete all jobs of this tube that nobody holds, or those in one state.

        In the statistics each counts as a delete. The room goes to puts that wait.

        Args:
            tube: The tube's name; one that does not exist has no jobs.
            state: READY, DELAYED or BURIED of `JobState`, or its name; None for all
                three. Jobs that consumers hold stay.

        Returns:
            How many.

        Raises:
            BadTubeNameError: The name is not a valid tube name.
            ClosedError: The broker was closed.

        Cost: O(log n) for each job. The broker serves nobody meanwhile.
        """
        name = check_tube_name(tube)
        states = check_states(state, _UNHELD_STATES)
        return len(
            self._monitor.run(self._engine.interventions.clear_tube, name, states)
        )

    # Events

    def subscribe(
        self,
        callback: Callable[[Event], object],
        kinds: Iterable[EventKind | KindName] | None = None,
        *,
        bodies: bool = False,
    ) -> Subscription:
        """Call a function for each event: a job was put, reserved, buried and so on.

            >>> from inproc_tubes import Broker
            >>> broker = Broker()
            >>> def show(event):
            ...     print(event.kind.value, event.job_id, event.tube)
            >>> with broker.subscribe(show, ["put", "deleted"]):
            ...     job_id = broker.producer("orders").put("scarf")
            ...     broker.delete(job_id)
            put 1 orders
            deleted 1 orders

        It is called after the verb that caused the event, and before the verb returns,
        in the same thread. The broker's lock is free: the function may call verbs
        itself, and delays only the verb that called it. It runs in a copy of the
        context of the verb, see `contextvars`. What becomes due, such as the end of a
        reservation, is delivered by the thread or the event loop that keeps the time.

        All subscribers get the events in the order in which they happened, one at a
        time. If a verb ends while another thread delivers events, or is called by a
        callback, its events are delivered by that other thread, or after that callback:
        soon, but maybe after the verb has returned. While a callback blocks, the events
        of all others wait for it, in memory.

        A callback that raises is logged, by
        ``logging.getLogger("inproc_tubes.events")``, and disturbs nothing. Each event
        is delivered at most once. Where an exception comes in the middle of a verb
        (Ctrl-C, `RecursionError`), what has happened in it may be missing; if the
        broker had to recover, `EventKind.RECOVERED` says so.

        Args:
            callback: Called with each `Event`.
            kinds: Which events, as `EventKind` or their values; None for all.
            bodies: Whether the events show the bodies of the jobs.

        Returns:
            The subscription, which ends by its ``unsubscribe``, by its with-block or with
            the broker.

        Raises:
            ClosedError: The broker was closed.

        Cost: O(number of tubes). While somebody has subscribed, each event costs some
        microseconds; else nothing is recorded.
        """
        # Imported late: the dataclass of the events is slow to import.
        from .subscriptions import subscribe  # noqa: PLC0415 - as above

        return subscribe(self._monitor, callback, kinds, bodies=bodies)

    def events(
        self,
        kinds: Iterable[EventKind | KindName] | None = None,
        buffer: int = 1000,
        *,
        bodies: bool = False,
    ) -> EventStream:
        """Return an async iterator over the events, for a coroutine.

        ::

            async with broker.events(["buried"]) as events:
                async for event in events:
                    print(event.job_id, event.error)

        It begins with the block, and ends with it, or when the broker is closed. It
        yields the events in the same order as the callbacks of `subscribe` get them.

        Args:
            kinds: Which events, as `EventKind` or their values; None for all.
            buffer: How many events are kept at most until they are asked for. What does
                not fit is dropped, and counted in ``events.dropped``.
            bodies: Whether the events show the bodies of the jobs.

        Returns:
            The stream, which subscribes when its block begins. If the broker is closed by
            then, that raises `ClosedError`.

        Cost: O(1), and that of `subscribe` at the beginning of the block.
        """
        from .event_stream import new_stream  # noqa: PLC0415 - see async_producer

        return new_stream(self._monitor, kinds, buffer, bodies=bodies)

    # The end

    def join(self, *tubes: str, timeout: float | None = None) -> int:
        """Wait until these tubes have no ready, delayed or reserved job left.

        A put that waits for room counts as work, too. This does not wait for buried
        jobs, as they wait for somebody to kick them. Code that puts a new job for each
        job that it deletes should put first: otherwise a join may end between the two.

        Args:
            tubes: Their names. If there are none, these are all tubes, also those still
                to be made. One that does not exist has no jobs.
            timeout: Seconds to wait, None for ever, 0 not at all.

        Returns:
            How many buried jobs there are in them.

        Raises:
            TimedOutError: There is still work to do after the timeout.
            BadTubeNameError: One of the names is not valid.
            StoppedError: There is still work to do, and the broker was stopped, maybe
                while this waited.
            ClosedError: The broker was closed, maybe while this waited.

        Cost: O(number of tubes), and again each time that a tube it waits for is done.
        """
        request = _join_request(tubes, timeout)
        return self._sleepers.wait(
            self._monitor, self._engine.join, request, JoinRequest.result
        )

    async def async_join(self, *tubes: str, timeout: float | None = None) -> int:  # noqa: ASYNC109 - the engine's
        """Wait until these tubes have no ready, delayed or reserved job left.

        The same as `Broker.join`, awaited. If it is cancelled, it has no effect.

        Args:
            tubes: Their names. If there are none, these are all tubes, also those still
                to be made.
            timeout: Seconds to wait, None for ever, 0 not at all.

        Returns:
            How many buried jobs there are in them.

        Raises:
            TimedOutError: There is still work to do after the timeout.
            BadTubeNameError: One of the names is not valid.
            StoppedError: There is still work to do, and the broker was stopped, maybe
                while this waited.
            ClosedError: The broker was closed, maybe while this waited.

        Cost: O(number of tubes), and again each time that a tube it waits for is done.
        """
        from .waiting.coroutines import LoopSleepers  # noqa: PLC0415 - see async_producer

        request = _join_request(tubes, timeout)
        sleepers = LoopSleepers.of_running_loop(self._monitor)
        return await sleepers.wait(
            self._monitor, self._engine.join, request, JoinRequest.result
        )

    def drain(self) -> None:
        """Refuse every put from now on, for ever; everything else goes on.

        A put that waits for room raises `DrainingError`.

        Raises:
            ClosedError: The broker was closed.

        Cost: O(1), and O(log n) for each put that waits.
        Source: enter_drain_mode (prot.c), beanstalkd's answer to SIGUSR1.
        """
        self._monitor.run(self._engine.drain)

    def stop(self) -> None:
        """Stop all consumers: they finish the jobs in hand, and take no more.

        What waits raises `StoppedError`: a reserve; a put that waits for room, as
        nobody makes room now; and a join, as nobody does the work now. Each later
        reserve raises it too, and each later put or join that would have to wait. A
        loop over a consumer ends. Jobs in hand stay valid, and jobs are still put where
        there is room. Connections of fake clients go on. Stopping twice, or after
        closing, has no effect.

        It may be called from any thread, and at any moment. If a signal handler or a
        finaliser calls it in the middle of another verb, it is carried out at the end
        of that verb.

            >>> from contextlib import suppress
            >>> from inproc_tubes import Broker
            >>> broker = Broker()
            >>> job_ids = broker.producer().put_many(["scarf", "piano"])
            >>> for job in broker.consumer():
            ...     with suppress(Exception), job:
            ...         print(job.body)
            ...         broker.stop()  # as a handler of SIGTERM does
            scarf
            >>> broker.jobs("default")
            [<Job 2 in 'default', ready, priority 65536: 'piano'>]

        Cost: O(number of handles and tubes), and O(log n) for each request.
        """
        self._monitor.stop(_STOPPED)

    def stop_at_exit(self) -> None:
        """Stop the broker as the program ends, before its threads have to have ended.

        The interpreter waits for all threads that are not daemons before it calls any
        function of `atexit`. A thread that waits for a job would keep the program alive
        for ever. This stops the broker before that, as `concurrent.futures` does with
        its threads::

            broker = Broker()
            broker.stop_at_exit()

            def work():
                for job in broker.consumer("orders"):
                    with suppress(Exception), job:
                        ...

            Thread(target=work).start()  # ends after its job when the main thread ends

        It does not keep the broker alive. A second call has no effect.

        Raises:
            RuntimeError: The program is ending already.

        Cost: O(1).
        """
        stop_at_exit(self._monitor)

    def close(self) -> None:
        """Close the broker: what waits raises `ClosedError`, and the jobs are gone.

        Closing twice has no effect.

        Cost: O(number of handles and requests).
        """
        self._monitor.close(_CLOSED)

    def __enter__(self) -> Self:
        """Return the broker, which the end of the with-block closes."""
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the broker, see `close`."""
        if exc_type is GeneratorExit:
            # The block was suspended, in a generator or a coroutine, and nobody will
            # resume it: this may be the collector, in the middle of a turn.
            self._monitor.close_later(_CLOSED)
        else:
            self.close()

    def __reduce_ex__(self, protocol: SupportsIndex, /) -> NoReturn:
        refuse_to_pickle(self, protocol)

    def __repr__(self) -> str:
        engine = self._engine
        if engine.closed is not None:
            return f"<Broker: {engine.closed}>"
        # Without the lock, which this very thread may hold: a glance, no snapshot.
        tubes = list(engine.tubes.values())
        jobs = counts(
            (
                (sum(tube.ready.count for tube in tubes), "ready"),
                (sum(tube.reserved for tube in tubes), "reserved"),
                (sum(len(tube.delayed) for tube in tubes), "delayed"),
                (sum(len(tube.buried) for tube in tubes), "buried"),
            )
        )
        admission = engine.admission
        parts = (
            f"{jobs or 'no jobs'} in {counted(len(tubes), 'tube')}",
            waiting(
                (
                    (len(engine.queue.requests), "reserve"),
                    (len(admission.puts), "put"),
                    (len(admission.joins), "join"),
                    (len(engine.store.promises.requests), "result"),
                )
            ),
            "draining" if engine.store.draining else "",
            "stopped" if engine.stopped is not None else "",
        )
        return f"<Broker: {'; '.join(filter(None, parts))}>"

    def _repr_html_(self) -> str:
        """Return its repr and its tubes, for a notebook."""
        from .markup import summary  # noqa: PLC0415 - for notebooks alone

        # Without the lock, as `__repr__`. One that is closed has no tubes to show.
        closed = self._engine.closed is not None
        tubes = [] if closed else list(self._engine.tubes.values())
        rows = [
            (one.name, one.ready.count, one.reserved, len(one.delayed), len(one.buried))
            for one in tubes
        ]
        heads = ("tube", "ready", "reserved", "delayed", "buried")
        return summary(repr(self), heads, rows)

    def _stats(self, known: dict[str, int], now: float) -> BrokerStats:
        """Return the statistics of the broker, of which the engine knows so much."""
        # Imported late: these are slow to import.
        import platform  # noqa: PLC0415 - as above

        from .core.statistics import BrokerStats  # noqa: PLC0415 - as above

        draining = bool(known.pop("draining"))
        times = os.times()
        machine = platform.uname()
        return BrokerStats(
            **known,
            draining=draining,
            max_job_size=self._max_job_size,
            pid=os.getpid(),
            version=__version__,
            rusage_utime=times.user,
            rusage_stime=times.system,
            uptime=now - self._monitor.started_at,
            id=self._id,
            hostname=machine.node,
            os=machine.version,
            platform=machine.machine,
        )

    def _holder_for(self, session: Session) -> JobHolder:
        """Return what the jobs refer to that this session reserves. For the protocol."""
        return Reservations(self._monitor, session)

    def _look(self, question: Callable[[float, Engine, X], AnyJob], about: X) -> Job[T]:
        """Return a snapshot of the job that a question finds."""
        run = self._monitor.run
        return run(questions.snapshot, self._engine, self._holder, question, about)


def _join_request(tubes: Iterable[str], timeout: float | None) -> JoinRequest:
    names = [check_tube_name(tube) for tube in tubes] or None
    return JoinRequest(check_timeout(timeout), names)
