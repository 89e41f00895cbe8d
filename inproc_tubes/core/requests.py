"""Requests: what waits, as the engine sees it. Each is answered exactly once.

Four things can be waited for: a job (`ReserveRequest`), room in a tube that is full
(`PutRequest`), the end of the work in some tubes (`JoinRequest`), and what becomes of a
job that was submitted (`ResultRequest`).
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar

from inproc_tubes.errors import ClosedError, TimedOutError, TubesError

from .promise import Promise
from .record import JobRecord

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .job import AnyHandle
    from .promise import Resolvable
    from .record import AnyJob
    from .session import Session

__all__ = [
    "WITHOUT_WARNING",
    "JoinRequest",
    "PutRequest",
    "Request",
    "ReserveRequest",
    "ResultRequest",
    "Sleeper",
]

R = TypeVar("R")


def _no_end() -> float | None:
    return float("inf")  # an object of its own: `math.inf` is a user's


WITHOUT_WARNING: Final = _no_end()
"""This very object as the timeout of a reserve: wait for ever, and do not answer
DEADLINE_SOON. A loop waits like that.

It is typed like a timeout, and is compared before that is known not to be None: to
compiled code a ``float`` is a C double, and no object.
"""

OVER: Final = TubesError("the request is over")
"""The outcome of a request after its error was raised, or its job was given back."""


class Sleeper(Protocol):
    """Whoever waits for the answer, however it sleeps."""

    def wake(self) -> None:
        """Wake it: its request is answered. A second call has no effect."""


class _Nobody:
    """The sleeper of a request that nobody sleeps for."""

    __slots__ = ()

    def wake(self) -> None:
        """Do nothing."""


NOBODY: Final = _Nobody()
"""The sleeper of a request that nobody sleeps for."""


class Request(Generic[R]):
    """What all requests have in common.

    Attributes:
        outcome: What was asked for, or the error to be raised; None while it waits. The
            engine sets it once.
        sleeper: Who is woken by the answer.
        ticket: The lower, the longer it has waited; 0: it never has.
        timeout: In seconds; inf for no end.
        timeout_at: When it is answered at the latest, once it waits.
    """

    __slots__ = ("outcome", "sleeper", "ticket", "timeout", "timeout_at")

    #: Which is answered first if several timeouts pass in one instant: the lowest.
    rank = 1

    def __init__(self, timeout: float | None) -> None:
        self.outcome: R | TubesError | None = None
        self.sleeper: Sleeper = NOBODY
        self.ticket: int = 0
        self.timeout: float = inf if timeout is None else timeout
        self.timeout_at: float = inf

    def result(self) -> R:
        """Return what was asked for, or raise the error. Cost: O(1)."""
        outcome = self.outcome
        if isinstance(outcome, TubesError):
            # The error's traceback will hold the frames that hold the request, which
            # therefore must not hold the error. The ticket is not touched: the turn
            # that has answered the request may still be under way.
            self.outcome = OVER
            try:
                raise outcome
            finally:
                del outcome
        assert outcome is not None  # the caller was woken
        return outcome

    def too_late(self) -> TubesError:
        """Return the outcome when its timeout has passed. Cost: O(1)."""
        return TimedOutError(self.timeout)


class ReserveRequest(Request["AnyHandle"]):
    """One pending ``reserve``. Its outcome is the job, which is reserved already.

    Attributes:
        session: Whose.
        told_of_deadlines: Whether DEADLINE_SOON is an answer.
    """

    __slots__ = ("session", "told_of_deadlines")

    def __init__(self, session: Session, timeout: float | None) -> None:
        super().__init__(timeout)
        self.session: Session = session
        self.told_of_deadlines: bool = timeout is not WITHOUT_WARNING

    def result(self) -> AnyHandle:
        """Return the job, or raise the error.

        Also if its session was closed after it was answered, and before it woke: then
        the job is somebody else's. Cost: O(1).
        """
        if isinstance(self.outcome, JobRecord) and self.session.closed is not None:
            raise ClosedError(self.session.closed)
        return super().result()

    def describe(self) -> str:
        """Name the command, and the watched tubes. Cost: O(number of tubes)."""
        verb = "reserve"
        if self.timeout != inf:
            verb = f"reserve-with-timeout {self.timeout:g}"
        return f"{verb} from {_quoted(tube.name for tube in self.session.watched)}"


class PutRequest(Request["list[int]"]):
    """One pending ``put``, or a batch. Its outcome are the ids of its jobs.

    Attributes:
        session: Whose.
        jobs: The jobs, which are let in together, and get their ids then.
        tube: The name of their tube; "" for the one that the session uses.
        on_duplicate: What is done where their keys are in use, see `keys`; "" if they
            have none.
    """

    __slots__ = ("jobs", "on_duplicate", "session", "tube")

    rank = 0

    def __init__(
        self,
        session: Session,
        timeout: float | None,
        jobs: list[AnyJob],
        tube: str = "",
        on_duplicate: str = "",
    ) -> None:
        super().__init__(timeout)
        self.session: Session = session
        self.jobs: list[AnyJob] = jobs
        self.tube: str = tube
        self.on_duplicate: str = on_duplicate

    @property
    def size(self) -> int:
        """How many jobs it adds at the most: of those of one key, one.

        Cost: O(1), and for jobs with keys O(1) for each.
        """
        if not self.on_duplicate:
            return len(self.jobs)
        keys = [job._history.key for job in self.jobs]
        return keys.count(None) + len({*keys} - {None})

    def describe(self) -> str:
        """Name the command, and the tube that is full. Cost: O(1)."""
        used = self.session.used
        name = self.tube or ("" if used is None else used.name)
        return f"put into {name!r}, which is full"


class JoinRequest(Request[int]):
    """One pending ``join``. Its outcome is the number of buried jobs.

    Attributes:
        tubes: The names of the tubes; None for all that there are.
        held_up_by: The name of one of them that is not done yet.
    """

    __slots__ = ("held_up_by", "tubes")

    rank = 2

    def __init__(self, timeout: float | None, tubes: list[str] | None) -> None:
        super().__init__(timeout)
        self.tubes: list[str] | None = tubes
        self.held_up_by: str = ""

    def too_late(self) -> TubesError:
        """Return the outcome when its timeout has passed. Cost: O(1)."""
        return TimedOutError(self.timeout, "no end of the work")

    def describe(self) -> str:
        """Name the verb, and the tubes. Cost: O(number of tubes)."""
        return f"join of {'all tubes' if self.tubes is None else _quoted(self.tubes)}"


class ResultRequest(Request["Promise"]):
    """One who waits for a future. Its outcome is the promise, which is due then.

    Attributes:
        job_id: The job's id.
        future: The future.
        promise: What it waits for, once it waits.
    """

    __slots__ = ("future", "job_id", "promise")

    rank = 3

    def __init__(self, timeout: float | None, job_id: int, future: Resolvable) -> None:
        super().__init__(timeout)
        self.job_id: int = job_id
        self.future: Resolvable = future
        self.promise: Promise = Promise(future)  # replaced as soon as it waits

    def too_late(self) -> TubesError:
        """Return the outcome when its timeout has passed. Cost: O(1)."""
        return TimedOutError(self.timeout, "no result")

    def describe(self) -> str:
        """Name what is waited for. Cost: O(1)."""
        return f"result of job {self.job_id}"


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(repr(name) for name in names)
