"""The record of a job: its state and its numbers, as the engine keeps them.

The handle that a user has is the same object: a `job.Job` is a record with verbs. The
record alone is what the engine reads and writes, a hundred times for each verb of a
user's. So it stands for itself, and can be compiled; a `Job` cannot, as there are weak
references to it.
"""

from __future__ import annotations

from enum import Enum
from math import inf
from typing import TYPE_CHECKING, Final, Protocol

from .native import mypyc_attr

if TYPE_CHECKING:
    from contextvars import Context
    from types import TracebackType
    from typing import Self, TypeAlias

    from .failure import JobError
    from .limits import JobId, Seconds
    from .promise import Promise

    # What the core deals with: a job, whatever it may be to its user.
    AnyJob: TypeAlias = "JobRecord"

__all__ = ["NO_HISTORY", "BlockHolder", "History", "JobRecord", "JobState"]


class JobState(Enum):
    """The state of a job; the values are beanstalkd's words."""

    READY = "ready"
    RESERVED = "reserved"
    DELAYED = "delayed"
    BURIED = "buried"
    #: The put line was read, but not yet the body. Only the wire shows this state.
    INVALID = "invalid"
    #: The job was deleted, or the handle is stale: somebody reserved the job again.
    GONE = "gone"


class History:
    """What most jobs have nothing of: what happened besides being reserved, and more.

    Attributes:
        timeouts: How often a reservation of it has expired.
        releases: How often it was released.
        buries: How often it was buried.
        kicks: How often it was kicked.
        burial: The number of its last burial. Buried jobs are served in this order.
        lost: Whether its last reservation has ended without a verb of its holder.
        expired_at: When that has expired; None if it has not.
        reserved_at: When its present reservation has begun, if it was touched since.
        cancelled: Whether it was cancelled while somebody held it.
        told_of: The end of its reservation that its holder was told of, by
            DEADLINE_SOON, and is not told of again; -inf without one.
        error: Its last failure that somebody told of.
        context: The context of its put, where that is kept.
        promise: What is promised to who has submitted it, None if nobody has.
        key: What it is unique by in its tube, None for nothing.
        successor: The id of the job that is put in its place; 0 nearly always.
        life: For how many seconds more it may be ready before it expires, as of when it
            was last not; inf for ever.
        expires_at: When it expires, while it is ready; inf else.
    """

    __slots__ = (
        "burial",
        "buries",
        "cancelled",
        "context",
        "error",
        "expired_at",
        "expires_at",
        "key",
        "kicks",
        "life",
        "lost",
        "promise",
        "releases",
        "reserved_at",
        "successor",
        "timeouts",
        "told_of",
    )

    def __init__(self) -> None:
        self.timeouts: int = 0
        self.releases: int = 0
        self.buries: int = 0
        self.kicks: int = 0
        self.burial: int = 0
        self.lost: bool = False
        self.expired_at: float | None = None
        self.reserved_at: float | None = None
        self.cancelled: bool = False
        self.told_of: float = -inf
        self.error: JobError | None = None
        self.context: Context | None = None
        self.promise: Promise | None = None
        self.key: str | None = None
        self.successor: JobId = 0
        self.life: float = inf
        self.expires_at: float = inf

    def copy(self) -> History:
        """Return that of the next reservation: neither lost nor told of. Cost: O(1)."""
        history = History()
        history.timeouts = self.timeouts
        history.releases = self.releases
        history.buries = self.buries
        history.kicks = self.kicks
        history.burial = self.burial
        history.error = self.error
        history.context = self.context
        history.promise = self.promise
        history.key = self.key
        history.life = self.life
        history.expires_at = self.expires_at
        return history


NO_HISTORY: Final = History()
"""The history of most jobs, which share it. It never changes: see `JobRecord.own_history`."""


class BlockHolder(Protocol):
    """What ends the with-block of a job: whoever has reserved it."""

    def _end(
        self,
        job_id: JobId,
        job: AnyJob | None,
        strict: bool,  # noqa: FBT001 - a keyword takes longer
    ) -> object:
        """Delete a job; leave its with-block, if not ``strict``."""

    def _abort(
        self, job: AnyJob, exc_type: type[BaseException], exc: BaseException | None
    ) -> None:
        """Leave the with-block of a job by an exception."""


@mypyc_attr(allow_interpreted_subclasses=True)
class JobRecord:
    """What the engine knows of a job."""

    __slots__ = (
        "_body",
        "_created_at",
        "_delay",
        "_due_at",
        "_history",
        "_holder",
        "_id",
        "_priority",
        "_reserves",
        "_state",
        "_ttr",
        "_tube",
    )

    # No __init__: a class with one takes twice as long to make its objects. See
    # `making.new_job`.
    _id: JobId
    _body: object  # any object: nobody looks into it
    _tube: str  # the name of its tube
    _priority: int
    _delay: Seconds  # as given last, by put or release
    _ttr: Seconds
    _created_at: float
    _state: JobState
    _due_at: float  # RESERVED: when it expires; DELAYED: when it is ready
    _holder: BlockHolder  # whose reservation is the last one: a `job.JobHolder`
    _reserves: int
    _history: History

    # The block is here to be compiled with the turns. The interpreter runs signal handlers
    # when it begins a function of its own; one that came in the compiled reserve would
    # else run before the block protects the job, or after it has protected it.

    def __enter__(self) -> Self:
        """Return the job, which the with-block does."""
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Settle the job by how its with-block was left.

        Left normally, it is deleted; left by an `Exception`, it is buried; left by any
        other exception, it is released.

        Raises:
            NotFoundError: The block ended normally, and somebody else has the job now.
        """
        if exc_type is None:
            self._holder._end(self._id, self, False)  # noqa: FBT003 - see there
        else:
            self._holder._abort(self, exc_type, exc)

    def _own_history(self) -> History:
        """Return its history, to be changed. Cost: O(1)."""
        if self._history is NO_HISTORY:
            self._history = History()
        return self._history

    def _restart(self, now: float) -> None:
        """Let its time to run begin anew. Cost: O(1)."""
        reserved_at = self._reserved_at()
        self._own_history().reserved_at = reserved_at
        self._due_at = now + self._ttr

    def _reserved_at(self) -> float:
        """Return when its reservation has begun, while it is held. Cost: O(1)."""
        # Nearly no job is touched: this need not be kept.
        reserved_at = self._history.reserved_at
        return self._due_at - self._ttr if reserved_at is None else reserved_at

    def _copy_into(self, job: JobRecord) -> None:
        """Give a new object the fields that `put` and the past have set."""
        job._id = self._id
        job._tube = self._tube
        job._created_at = self._created_at
        job._reserves = self._reserves
        # A copy, so that the old object stays a snapshot.
        history = self._history
        job._history = history if history is NO_HISTORY else history.copy()
