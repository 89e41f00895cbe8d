"""Everything that inproc_tubes raises by design.

One class for each answer of beanstalkd, in its words, flat under one base; only the two
ends of a handle are one inside the other.
Where you would expect a builtin exception, the class is a subclass of that, too::

    TubesError
    ├── NotFoundError        (LookupError)   no such job or tube, or not yours now:
    │                                        its `NotFoundReason` says which
    ├── NotIgnoredError                      the last watched tube stays watched
    ├── TimedOutError        (TimeoutError)  a reserve, a join or a result took too long
    ├── DeadlineSoonError                    a job that you hold is about to expire
    ├── JobTooBigError       (ValueError)    the body is over ``max_job_size``
    ├── BadTubeNameError     (ValueError)    not a tube name by beanstalkd's grammar
    ├── TubeFullError        (queue.Full)    the tube has all the jobs it may have
    ├── DuplicateJobError                    the tube has a job with this key
    ├── TooManyTriesError                    (of a future) the job was tried too often
    ├── DrainingError                        the broker takes no new jobs
    ├── ClosedError                          the broker or the handle was closed
    │   └── StoppedError                     the broker or the consumer was stopped
    ├── ReentrantCallError   (RuntimeError)  called in the middle of another verb
    ├── ConnectionLostError  (ConnectionError) (remote) a verb cannot be repeated safely
    ├── NotSupportedError    (NotImplementedError) (remote) beanstalkd has no such thing
    ├── ServerError                          (remote) the server could not do it
    └── DeadlockError                        (testing) nobody could ever go on

Misuse raises a plain builtin: `ValueError` for a number out of range, `TypeError`
for a wrong type. Any other exception out of a verb is a bug in inproc_tubes.
"""

from __future__ import annotations

from enum import Enum
from queue import Full

__all__ = [
    "BadTubeNameError",
    "ClosedError",
    "ConnectionLostError",
    "DeadlineSoonError",
    "DeadlockError",
    "DrainingError",
    "DuplicateJobError",
    "JobTooBigError",
    "NotFoundError",
    "NotFoundReason",
    "NotIgnoredError",
    "NotSupportedError",
    "ReentrantCallError",
    "ServerError",
    "StoppedError",
    "TimedOutError",
    "TooManyTriesError",
    "TubeFullError",
    "TubesError",
]

_SHOWN = 60  # characters of a wrong name in a message: it fits a line


class TubesError(Exception):
    """The base of all that inproc_tubes raises by design."""


class NotFoundReason(Enum):
    """Why a verb has not found what it was asked for. See `NotFoundError`."""

    NEVER_PUT = "never put"
    """There was no job of this id yet."""
    DELETED = "deleted"
    """The job was deleted."""
    CANCELLED = "cancelled"
    """The job was deleted by `Broker.cancel`, maybe while somebody held it."""
    OUTDATED = "outdated"
    """The job was not reserved within its ``expires`` seconds, and was deleted."""
    GONE = "gone"
    """The job was deleted, or ended otherwise so long ago that it is not known any more."""
    EXPIRED = "expired"
    """The reservation of this handle has expired, at `NotFoundError.expired_at`."""
    HELD = "held"
    """Another consumer holds the job."""
    WRONG_STATE = "wrong state"
    """The job is in a `NotFoundError.state` that the verb is not for."""
    RESERVED_SINCE = "reserved since"
    """The job was reserved again after this handle was given out, and is not held."""
    ONLY_PEEKED = "only peeked"
    """The handle comes from a peek, and the verb is for jobs that are reserved."""
    FOREIGN = "foreign"
    """The handle belongs to another broker."""
    CONNECTION_LOST = "connection lost"
    """The connection that had reserved the job was lost, and its server gave it back."""
    NO_TUBE = "no tube"
    """There is no tube of this name."""
    NO_JOB = "no job"
    """There is no job in this `NotFoundError.state` in this tube."""


class NotFoundError(TubesError, LookupError):
    """There is no such job or tube, or the job is not yours in its present state.

    The most frequent reason is a reservation that ran out while you worked: the job went
    back to its tube, and somebody else has it now. Give it a longer ``ttr``, or
    call ``touch`` while you work.

    Attributes:
        job_id: The job that was asked for, or None if a tube was.
        tube: The tube that was asked for, or None if a job was.
        state: With ``tube``: the state in which no job was there, None where the tube
            itself does not exist. Else the present state of the job, None if it is gone.
        reason: Why it was not found.
        expired_at: When the reservation has expired, by the broker's clock; None if it
            has not.
        late: How many seconds ago that was; None if it has not.
        holder: The name of the consumer that holds the job now; None if nobody does.
    """

    def __init__(
        self,
        job_id: int | None = None,
        tube: str | None = None,
        state: str | None = None,
        reason: NotFoundReason | None = None,
        expired_at: float | None = None,
        late: float | None = None,
        holder: str | None = None,
    ) -> None:
        if reason is None:
            if job_id is not None:
                reason = NotFoundReason.DELETED
            else:
                reason = NotFoundReason.NO_JOB if state else NotFoundReason.NO_TUBE
        super().__init__(job_id, tube, state, reason, expired_at, late, holder)
        self.job_id = job_id
        self.tube = tube
        self.state = state
        self.reason = reason
        self.expired_at = expired_at
        self.late = late
        self.holder = holder

    def __str__(self) -> str:
        if self.job_id is None:
            if self.state is None:
                return f"tube {self.tube!r} does not exist"
            return f"tube {self.tube!r} has no {self.state} job"
        who = "another consumer" if self.holder is None else repr(self.holder)
        if self.state is None:
            now = "is gone"
        elif self.state == "reserved":
            now = f"is held by {who} now"
        else:
            now = f"is {self.state} now"
        return _TOLD[self.reason].format(self, now=now, who=who)


# What a `NotFoundError` tells of a job.
_TOLD = {
    NotFoundReason.NEVER_PUT: "job {0.job_id} was never put",
    NotFoundReason.DELETED: "job {0.job_id} was deleted",
    NotFoundReason.CANCELLED: "job {0.job_id} was cancelled",
    NotFoundReason.OUTDATED: (
        "job {0.job_id} was deleted, as nobody had reserved it in time"
    ),
    NotFoundReason.GONE: (
        "job {0.job_id} is gone: deleted, cancelled or outdated, too long ago to tell which"
    ),
    NotFoundReason.EXPIRED: (
        "the reservation of job {0.job_id} expired {0.late:.3g} s ago; the job {now}"
    ),
    NotFoundReason.HELD: "job {0.job_id} is held by {who}",
    NotFoundReason.WRONG_STATE: "job {0.job_id} is {0.state}, and this verb is not for such a job",
    NotFoundReason.RESERVED_SINCE: (
        "job {0.job_id} was reserved again after this handle was given out, and {now}"
    ),
    NotFoundReason.ONLY_PEEKED: "job {0.job_id} was only looked at, and not reserved",
    NotFoundReason.FOREIGN: "job {0.job_id} is another broker's",
    NotFoundReason.CONNECTION_LOST: (
        "the connection that held job {0.job_id} was lost, and so the server gave it back"
    ),
}


class NotIgnoredError(TubesError):
    """A consumer watches at least one tube: watch another before you ignore this.

    Attributes:
        tube: The tube that is still watched.
    """

    def __init__(self, tube: str) -> None:
        super().__init__(tube)
        self.tube = tube

    def __str__(self) -> str:
        return f"tube {self.tube!r} is the only one watched"


class TimedOutError(TubesError, TimeoutError):
    """The timeout has passed: no job (reserve), no result, or still work to do (join).

    Try again, or go and do something else. A put that waits for room raises
    `TubeFullError` instead.

    It is a ``TimeoutError``, as users of other libraries expect. But catch it by its own
    name: in ``try: with consumer.reserve(timeout=5) as job: ...`` a ``TimeoutError`` may
    as well be one of a network that the block has waited for, and its job is buried.
    `Consumer.reserve_nowait`, and a ``default``, raise none.

    Attributes:
        timeout: The timeout in seconds that has passed.
        missing: What was waited for.
    """

    def __init__(self, timeout: float, missing: str = "no job") -> None:
        super().__init__(timeout)
        self.timeout = timeout
        self.missing = missing

    def __str__(self) -> str:
        return f"{self.missing} within {self.timeout:g} s"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.timeout!r}, {self.missing!r})"


class DeadlineSoonError(TubesError):
    """A job that this handle holds expires within a second.

    Finish it, ``touch`` it or ``release`` it, and then reserve again. This is raised
    once for each reservation, and again after a touch: a `reserve` after it waits as if
    nothing were due.

    Attributes:
        job_id: The job that expires first.
        time_left: Seconds until it does.
    """

    def __init__(self, job_id: int, time_left: float) -> None:
        super().__init__(job_id, time_left)
        self.job_id = job_id
        self.time_left = time_left

    def __str__(self) -> str:
        return f"the reservation of job {self.job_id} ends in {self.time_left:g} s"


class JobTooBigError(TubesError, ValueError):
    """The body is larger than the broker's ``max_job_size``.

    Attributes:
        size: The body's size in bytes.
        limit: The largest size that is taken, in bytes.
    """

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(size, limit)
        self.size = size
        self.limit = limit

    def __str__(self) -> str:
        return f"the body has {self.size} bytes, at most {self.limit} are taken"


class BadTubeNameError(TubesError, ValueError):
    """A tube's name is 1 to 200 bytes of ``A-Za-z0-9-+/;.$_()``, no ``-`` first.

    Attributes:
        name: What was given instead.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name

    def __str__(self) -> str:
        shown = self.name if len(self.name) <= _SHOWN else self.name[:_SHOWN] + "..."
        return (
            f"{shown!r} is not a tube name: 1 to 200 of A-Za-z0-9-+/;.$_() "
            "are, and the first is not '-'"
        )


class TubeFullError(TubesError, Full):
    """The tube has as many jobs as `Broker.limit_tube` lets it have.

    All of them count, buried ones too. Put later, or wait longer for room; if it stays
    full, it has too few consumers, or jobs that nobody kicks or deletes.

    Attributes:
        tube: The tube's name.
        maxsize: How many jobs it may have.
        count: How many were to be put, together.
    """

    def __init__(self, tube: str, maxsize: int, count: int = 1) -> None:
        super().__init__(tube, maxsize, count)
        self.tube = tube
        self.maxsize = maxsize
        self.count = count

    def __str__(self) -> str:
        more = "one more job" if self.count == 1 else f"{self.count} more jobs"
        return f"tube {self.tube!r} has no room for {more}: it may have {self.maxsize}"


class DuplicateJobError(TubesError):
    """The tube has a job with this key already, and a key is for one job at a time.

    Put with ``on_duplicate="keep"`` to be given the id of that job, or with "replace" to
    put the new one in its place. A job that somebody holds cannot be replaced.

    Attributes:
        key: The key.
        tube: The tube's name.
        job_id: The job that has it.
    """

    def __init__(self, key: str, tube: str, job_id: int) -> None:
        super().__init__(key, tube, job_id)
        self.key = key
        self.tube = tube
        self.job_id = job_id

    def __str__(self) -> str:
        shown = self.key if len(self.key) <= _SHOWN else self.key[:_SHOWN] + "..."
        return (
            f"tube {self.tube!r} has job {self.job_id} with the key {shown!r} already"
        )


class TooManyTriesError(TubesError):
    """The job was reserved as often as `Broker.limit_tries` lets it be, and is buried.

    What a `JobFuture` has failed with. Its consumers may have died, hung, or given it
    back each time. `Job.error` has the last failure that is known.

    Attributes:
        job_id: The job.
        tube: Its tube's name.
        tries: How often it was reserved.
    """

    def __init__(self, job_id: int, tube: str, tries: int) -> None:
        super().__init__(job_id, tube, tries)
        self.job_id = job_id
        self.tube = tube
        self.tries = tries

    def __str__(self) -> str:
        often = "once" if self.tries == 1 else f"{self.tries} times"
        return (
            f"job {self.job_id} of tube {self.tube!r} is buried: "
            f"it was reserved {often}"
        )


class DrainingError(TubesError):
    """The broker is being drained: it takes no new jobs, and those it has are done."""

    def __str__(self) -> str:
        return "the broker is draining and takes no new jobs"


class ClosedError(TubesError):
    """The broker or the handle was closed, by this program itself.

    Attributes:
        what: What was closed, and how: ``"the broker was closed"``.
    """

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


class StoppedError(ClosedError):
    """The consumer or the broker was stopped: it gives out no more jobs.

    Finish the jobs in hand, which are valid as before, and then end.

    Attributes:
        what: What was stopped, and how: ``"the consumer was stopped"``.
    """


class ReentrantCallError(TubesError, RuntimeError):
    """A verb was called in the middle of another verb of the same broker and thread.

    A finaliser that the collector runs, a weak reference's callback, a signal handler
    or a profiler's hook may interrupt a verb at any point. There it may `put`,
    `put_many`, stop and close: that is carried out at the end of the interrupted verb.
    Any other verb would wait for its own thread, for ever. Call it later, or from
    another thread.
    """

    def __str__(self) -> str:
        return (
            "called in the middle of another verb, by a finaliser or a signal handler"
        )


class ConnectionLostError(TubesError, ConnectionError):
    """The connection to a beanstalkd was lost, and the verb cannot be repeated safely.

    Either the answer to a put or a kick has not come: nobody knows whether it was
    carried out. Put the job again if doing it twice is no harm. Or no server could be
    reached for as long as `inproc_tubes.remote.connect` was told to wait: then nothing
    has happened.

    Attributes:
        verb: What was to be done.
        why: What is known of it.
    """

    def __init__(self, verb: str, why: str) -> None:
        super().__init__(verb, why)
        self.verb = verb
        self.why = why

    def __str__(self) -> str:
        return f"{self.verb}: {self.why}"


class NotSupportedError(TubesError, NotImplementedError):
    """A broker on a beanstalkd cannot do what one in memory can. Nothing has happened.

    Attributes:
        what: What was asked for.
        advice: What to do instead.
    """

    def __init__(self, what: str, advice: str = "") -> None:
        super().__init__(what, advice)
        self.what = what
        self.advice = advice

    def __str__(self) -> str:
        text = f"beanstalkd has no {self.what}"
        return f"{text}: {self.advice}" if self.advice else text


class ServerError(TubesError):
    """The beanstalkd could not do it, or the server is no beanstalkd.

    Attributes:
        answer: The answer of the server, such as OUT_OF_MEMORY.
    """

    def __init__(self, answer: str) -> None:
        super().__init__(answer)
        self.answer = answer

    def __str__(self) -> str:
        return f"the server has answered {self.answer}"


class DeadlockError(TubesError):
    """Under an autojumping `FakeClock`, nothing could ever go on.

    Without it the test would hang. The likely cause is a job that was never put,
    or put into a tube that nobody watches, or never deleted; or a thread or a coroutine
    that waits for something else than the clock's brokers.

    Attributes:
        verb: The wait that this ends, and its tubes: ``"reserve from 'orders'"``; "" if
            it was no wait.
        why: Why it would never have ended.
        waits: Where each thread and coroutine stands, and what it waits for: a line each.
        advice: What can be done about it.
    """

    def __init__(
        self,
        verb: str = "",
        why: str = "every thread waits, and nothing will ever be due",
        waits: tuple[str, ...] = (),
        advice: str = "",
    ) -> None:
        super().__init__(verb, why, waits, advice)
        self.verb = verb
        self.why = why
        self.waits = waits
        self.advice = advice

    def __str__(self) -> str:
        title = f"{self.why}: {self.verb}" if self.verb else self.why
        lines = [title, *(f"  {line}" for line in self.waits)]
        return "\n".join([*lines, self.advice] if self.advice else lines)
