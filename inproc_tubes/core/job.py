"""A job: what `put` makes, what the engine keeps, and what `reserve` hands out.

All three are one object. Only `engine.Engine` changes its fields, and it does so by
these transitions::

                      put                     put with delay
                       │                            │
                       ▼       delay is over        ▼
     ┌──────────────▶ READY ◀──────────────────  DELAYED ◀──────┐
     │                 │  ▲         or kick                     │
     │         reserve │  └───────── kick ──────── BURIED       │
     │ release, expiry,▼                             ▲          │
     └───── close ─ RESERVED ──────── bury ──────────┘          │
                       └───────────── release with delay ───────┘

    reserve_job takes a READY, DELAYED or BURIED job;
    delete ends a job in any state.

Fencing
    A job that is reserved again is *renewed*: the engine goes on with a new object,
    and the new holder gets that one. The old object is ``GONE``, and is not in the
    engine any more. So whether a handle is still valid is one comparison of identity.

What a stale handle shows
    The old object is a snapshot of the job at the moment when it was renewed or
    deleted. Until then the handle of a reservation that is over shows the job as it is.
    A `PeekedJob` is a snapshot from the beginning.
"""

from __future__ import annotations

import reprlib
from typing import TYPE_CHECKING, Generic, NoReturn, Protocol

from inproc_tubes.verbs import refuse_to_pickle

from .record import BlockHolder, JobRecord, JobState

if TYPE_CHECKING:
    from contextvars import Context
    from typing import Any, SupportsIndex, TypeAlias

    from typing_extensions import TypeVar

    from .failure import JobError
    from .statistics import JobStats

    # A body is any object: `Any` is the default of its type.
    T = TypeVar("T", default=Any)
    AnyHandle: TypeAlias = "Job[Any]"
    AnySnapshot: TypeAlias = "PeekedJob[Any]"
else:
    from typing import TypeVar

    T = TypeVar("T")

__all__ = [
    "Job",
    "JobHolder",
    "JobState",
    "MadeJob",
    "PeekedJob",
    "refuse_to_pickle",
]

_SHOWN = 1000  # characters of a body in a notebook


class JobHolder(BlockHolder, Protocol):
    """The verbs of one session for jobs: what a job's own verbs call."""

    @property
    def _jobs(self) -> dict[int, JobRecord]:
        """The jobs of its broker."""

    @property
    def _session(self) -> object:
        """The session itself."""

    @property
    def _name(self) -> str:
        """What the session is called."""

    def release(
        self,
        job_or_id: Job | int,
        priority: int | None = None,
        delay: float = 0,
        error: BaseException | None = None,
        *,
        tube: str | None = None,
    ) -> None:
        """Give a job back."""

    def bury(
        self,
        job_or_id: Job | int,
        priority: int | None = None,
        error: BaseException | None = None,
    ) -> None:
        """Bury a job."""

    def touch(self, job_or_id: Job | int) -> None:
        """Restart the time to run of a job."""

    def _finish(self, job: Job, result: object) -> None:
        """Delete a job that is done, with a result."""

    def _fail(self, job: Job, error: BaseException, priority: int | None) -> None:
        """Bury a job for good."""

    def _is_lost(self, job: Job) -> bool:
        """Tell whether the reservation of a job is over, and its holder did not end it."""

    def _stats_job(self, job_or_id: Job | int) -> JobStats:
        """Return the statistics of a job."""

    def _state_of(self, job: Job) -> str:
        """Describe the state of the job as this handle sees it."""


class Job(JobRecord, Generic[T]):
    """A job that was reserved, or looked at.

    A reserved job is a context manager. At its normal end the block deletes the job. If
    the block raises an `Exception`, the job is buried and keeps the exception: `error`.
    If it raises anything else, such as `asyncio.CancelledError`, `KeyboardInterrupt`,
    `SystemExit` or `GeneratorExit`, the job is released to its old place. If the block
    itself has deleted, released or buried the job, its end does nothing. If the job is
    `lost` at the normal end of the block, it is deleted where nobody else has reserved
    it, nothing happens where it was cancelled, and otherwise `NotFoundError` is raised.
    The block of a job that was only looked at changes nothing.

    A handle is *fenced*. When its reservation is over and the job is reserved again,
    even by the same consumer, the verbs of the handle raise `NotFoundError`, and its
    attributes stay as they were at that moment. It may be shared by threads.
    """

    __slots__ = ("__weakref__",)

    _body: T  # type: ignore[mutable-override]  # the engine does not look into it
    _holder: JobHolder  # type: ignore[mutable-override]  # a record only passes it on

    def __init__(self, *_arguments: object, **_more: object) -> None:
        message = (
            "a Job is made by Producer.put(), and handed out by Consumer.reserve()"
        )
        raise TypeError(message)

    @property
    def id(self) -> int:
        """The number that `Producer.put` returned."""
        return self._id

    @property
    def body(self) -> T:
        """The object that was put, by reference."""
        return self._body

    @property
    def tube(self) -> str:
        """The name of its tube."""
        return self._tube

    @property
    def priority(self) -> int:
        """Its priority: the lower, the more urgent."""
        return self._priority

    @property
    def delay(self) -> float:
        """The delay in seconds with which it was last put or released."""
        return self._delay

    @property
    def ttr(self) -> float:
        """Its time to run: how many seconds a reservation lasts."""
        return self._ttr

    @property
    def reserves(self) -> int:
        """How often it was reserved."""
        return self._reserves

    @property
    def timeouts(self) -> int:
        """How often a reservation of it has expired."""
        return self._history.timeouts

    @property
    def releases(self) -> int:
        """How often it was released."""
        return self._history.releases

    @property
    def buries(self) -> int:
        """How often it was buried."""
        return self._history.buries

    @property
    def kicks(self) -> int:
        """How often it was kicked."""
        return self._history.kicks

    @property
    def holder(self) -> str | None:
        """The name of the consumer that holds it, None if nobody does.

        It is the name that was given to `Broker.consumer`, or else the name of the
        thread or the task that made the consumer. For a job that was only looked at, it
        is the holder at that moment.
        """
        return self._holder._name if self._state is JobState.RESERVED else None

    @property
    def error(self) -> JobError | None:
        """What it failed with last; None if that is not known.

        Its with-block sets it, and so do `release`, `bury` and `fail` with the
        exception that they are given. It stays with the job until another failure
        replaces it.
        """
        return self._history.error

    @property
    def key(self) -> str | None:
        """Its key, which is unique in its tube; None for no key. See `Producer.put`."""
        return self._history.key

    @property
    def context(self) -> Context | None:
        """The context of its put; None if its producer did not keep it.

        It is a new copy each time, so that ``job.context.run`` is always possible. See
        `Broker.producer`.
        """
        context = self._history.context
        return None if context is None else context.copy()

    @property
    def lost(self) -> bool:
        """Whether the reservation is over, and this consumer did not end it.

        It has expired, or the job was cancelled, or the consumer or the broker was
        closed. Somebody else may have the job now, or have done it: the result of this
        handle comes too late. A job that was deleted, released or buried by its
        consumer is not lost, and neither is one that was only looked at.

        Raises:
            ReentrantCallError: It was called in the middle of another verb of this
                thread.

        Cost: O(1), and a turn.
        """
        return self._holder._is_lost(self)

    def delete(self) -> None:
        """Delete this job: it is done.

        Raises:
            NotFoundError: The reservation has expired and somebody else has reserved
                the job, or the job was deleted.
            ClosedError: The consumer or the broker was closed.

        Cost: O(1) amortised.
        Source: OP_DELETE (prot.c).
        """
        self._holder._end(self._id, self, True)  # noqa: FBT003 - see there

    def release(
        self,
        *,
        priority: int | None = None,
        delay: float = 0,
        error: BaseException | None = None,
        tube: str | None = None,
    ) -> None:
        """Give this job back to its tube.

        All arguments are keywords: ``release(30)`` would set the priority, and look
        like a delay.

        Args:
            priority: Its new priority; None keeps the present one.
            delay: Seconds until it is ready again.
            error: What it failed with, to be kept as text in `error`; None keeps what
                is there.
            tube: The tube to give it to instead; None for its own. The job keeps its id, its
                key and its counters.

        Raises:
            NotFoundError: The reservation is over, most likely because it expired.
            TubeFullError: The other tube has no room: this does not wait.
            DuplicateJobError: A job of the other tube has its key.
            BadTubeNameError: ``tube`` is not a valid tube name.
            ClosedError: The consumer or the broker was closed.

        Cost: O(log n), and with an error that of formatting it.
        Source: OP_RELEASE (prot.c).
        """
        self._holder.release(self, priority, delay, error, tube=tube)

    def bury(
        self, *, priority: int | None = None, error: BaseException | None = None
    ) -> None:
        """Put this job aside until somebody kicks it.

        Args:
            priority: Its new priority; None keeps the present one.
            error: What it failed with, to be kept as text in `error`; None keeps what
                is there.

        Raises:
            NotFoundError: The reservation is over, most likely because it expired.
            ClosedError: The consumer or the broker was closed.

        Cost: O(1), and with an error that of formatting it.
        Source: OP_BURY (prot.c).
        """
        self._holder.bury(self, priority, error)

    def finish(self, result: object = None) -> None:
        """Delete this job, as it is done, and give its result.

        If the job was submitted, this is the result of its `JobFuture`. Otherwise the
        result is dropped.

        Args:
            result: Any object. It is handed over by reference.

        Raises:
            NotFoundError: The reservation is over, most likely because it expired.
            ClosedError: The consumer or the broker was closed.

        Cost: O(1) amortised.
        """
        self._holder._finish(self, result)

    def fail(self, error: BaseException, *, priority: int | None = None) -> None:
        """Bury this job for good: it has failed, and is not tried again.

        It is like `bury`, but if the job was submitted, its `JobFuture` fails with the
        exception. The job may still be kicked; the future does not change then.

        Args:
            error: What it failed with, to be kept as text in `error`, too.
            priority: Its new priority; None keeps the present one.

        Raises:
            NotFoundError: The reservation is over, most likely because it expired.
            ClosedError: The consumer or the broker was closed.

        Cost: O(1), and that of formatting the error.
        """
        self._holder._fail(self, error, priority)

    def touch(self) -> None:
        """Restart the time to run of this job: its full ``ttr`` begins anew.

        Raises:
            NotFoundError: The reservation is over, most likely because it expired.
            ClosedError: The consumer or the broker was closed.

        Cost: O(log n).
        Source: touch_job (prot.c).
        """
        self._holder.touch(self)

    def stats(self) -> JobStats:
        """Return the statistics of this job.

        Raises:
            NotFoundError: The job was deleted, or somebody has reserved it since.
            ClosedError: The broker was closed.

        Cost: O(1).
        Source: fmt_job_stats (prot.c).
        """
        return self._holder._stats_job(self)

    def __reduce_ex__(self, protocol: SupportsIndex, /) -> NoReturn:
        refuse_to_pickle(self, protocol)

    def __repr__(self) -> str:
        # Without a holder: nobody has ever reserved it.
        holder: JobHolder | None = getattr(self, "_holder", None)
        state = self._state.value if holder is None else holder._state_of(self)
        error = self._history.error
        failed = "" if error is None else f"; {error.headline}"
        return (
            f"<Job {self._id} in {self._tube!r}, {state}, "
            f"priority {self._priority}: {reprlib.repr(self._body)}{failed}>"
        )

    def _repr_html_(self) -> str:
        """Return what its repr tells, and more of its body, for a notebook."""
        from inproc_tubes.markup import shown, summary  # noqa: PLC0415 - for notebooks alone

        holder: JobHolder | None = getattr(self, "_holder", None)
        error = self._history.error
        rows = [
            ("tube", self._tube),
            ("state", self._state.value if holder is None else holder._state_of(self)),
            ("priority", self._priority),
            ("reserved", f"{self._reserves} times"),
            ("body", shown(self._body, _SHOWN)),
            *([] if error is None else [("error", f"{error.type}: {error.text}")]),
        ]
        return summary(f"Job {self._id}", ("", ""), rows)


class MadeJob(Job[T]):
    """What every job is: `making` calls this class, as users do not call `Job`.

    It is called "Job" wherever that shows.
    """

    __slots__ = ()

    if not TYPE_CHECKING:
        # C's own: a class with a constructor in Python takes twice as long.
        __init__ = object.__init__


MadeJob.__name__ = MadeJob.__qualname__ = Job.__name__
MadeJob.__doc__ = Job.__doc__


class PeekedJob(MadeJob[T]):
    """A job that somebody has looked at: a snapshot that nobody has reserved.

    It is called "Job", too.
    """

    __slots__ = ("_held_by", "_original")

    _original: JobRecord  # the engine's object at that moment
    _held_by: str | None  # the name of who held it then

    @property
    def holder(self) -> str | None:
        """The name of the consumer that held it when it was looked at."""
        return self._held_by


PeekedJob.__name__ = PeekedJob.__qualname__ = Job.__name__
