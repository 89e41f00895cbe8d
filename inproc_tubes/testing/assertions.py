"""What a test asks of a broker: was this put, is it empty, does all of it run?

Each looks at one moment of the broker, and tells what there was when it fails. A job
counts in whatever state it is; what has been deleted is not there any more.
"""

from __future__ import annotations

import reprlib
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from inproc_tubes.checks import check_function, check_tube_name
from inproc_tubes.core.job import JobState
from inproc_tubes.core.making import peeked
from inproc_tubes.errors import NotFoundError

from .checking import check_broker

if TYPE_CHECKING:
    from collections.abc import Callable

    from inproc_tubes.broker import Broker
    from inproc_tubes.core.engine import Engine
    from inproc_tubes.core.job import Job
    from inproc_tubes.core.record import AnyJob

__all__ = ["Drained", "assert_empty", "assert_put", "drain", "refute_put"]

# More jobs than one wants to read are only counted.
_SHOWN_JOBS = 20
# A job that was run so often by one `drain` will never be done.
_TOO_OFTEN = 1000

# A body may be large, and its repr may raise.
_bodies = reprlib.Repr()
_bodies.maxstring = _bodies.maxother = 200
_bodies.maxdict = _bodies.maxlist = _bodies.maxtuple = 20

# None may be a body.
_anything: Any = object()


class _Seen(NamedTuple):
    """A job as it was at the moment of looking: the job goes on changing."""

    job: AnyJob
    tube: str
    state: str
    body: Any
    priority: int
    delay: float
    ttr: float

    def __str__(self) -> str:
        return (
            f"  job {self.job._id} in {self.tube!r}: {self.state}, "
            f"priority {self.priority}, delay {self.delay:g}, ttr {self.ttr:g}, "
            f"body {_bodies.repr(self.body)}"
        )


class Drained(NamedTuple):
    """What became of the jobs that `drain` ran; each run counts."""

    deleted: int
    """Deleted, since the handler returned, or by the handler itself."""
    buried: int
    """Buried, since the handler failed, or by the handler itself."""
    released: int
    """Given back by the handler, or lost because their time had run out."""
    errors: tuple[Exception, ...]
    """What the handler has raised, in order; an `AssertionError` ends `drain`."""


def assert_put(
    broker: Broker,
    tube: str,
    *,
    body: Any = _anything,
    priority: Any = _anything,
    delay: Any = _anything,
    ttr: Any = _anything,
    tolerance: float = 0.5,
) -> Job:
    """Assert that there is a job in this tube to which all arguments apply.

    Each of ``body``, ``priority``, ``delay`` and ``ttr`` is a value, or a function that
    is called with the job's value. Values are compared by ``==``. Where that gives no
    bool, as with arrays of numpy and tables of pandas, two are equal if they have the
    same ``shape`` and ``all()`` of the comparison is true.

    Args:
        broker: The broker, such as that of a fake server, whose bodies are bytes.
        tube: The tube's name.
        body: The body.
        priority: The priority that it has now.
        delay: The delay in seconds with which it was last put or released.
        ttr: The time to run in seconds.
        tolerance: By how many seconds a delay may differ. The default tells whole
            seconds apart, and ignores the fractions of a computed delay.

    Returns:
        The first such job.

    Raises:
        AssertionError: There is none.
        TypeError: Bodies like this one cannot be compared: give a function.
        BadTubeNameError: The name is not a valid tube name.
        ClosedError: The broker was closed.

    Cost: O(number of jobs).
    """
    wanted = _wanted(body, priority, delay, ttr)
    seen, matching = _look_for(broker, tube, wanted, tolerance)
    if not matching:
        message = f"no job in {tube!r}{_described(wanted)}{_told(seen)}"
        raise AssertionError(message)
    return peeked(matching[0].job, broker._holder)


def refute_put(
    broker: Broker,
    tube: str,
    *,
    body: Any = _anything,
    priority: Any = _anything,
    delay: Any = _anything,
    ttr: Any = _anything,
    tolerance: float = 0.5,
) -> None:
    """Assert that there is no such job; see `assert_put`.

    Args:
        broker: The broker.
        tube: The tube's name.
        body: The body, or a function that is asked about it.
        priority: The priority, or such a function.
        delay: The delay in seconds, or such a function.
        ttr: The time to run in seconds, or such a function.
        tolerance: By how many seconds a delay may differ.

    Raises:
        AssertionError: There is one.
        BadTubeNameError: The name is not a valid tube name.
        ClosedError: The broker was closed.

    Cost: O(number of jobs).
    """
    wanted = _wanted(body, priority, delay, ttr)
    _, matching = _look_for(broker, tube, wanted, tolerance)
    if matching:
        message = f"a job in {tube!r}{_described(wanted)}{_told(matching)}"
        raise AssertionError(message)


def assert_empty(broker: Broker) -> None:
    """Assert that there is no job in any tube, in any state.

    Args:
        broker: The broker.

    Raises:
        AssertionError: There is one.
        ClosedError: The broker was closed.

    Cost: O(number of jobs).
    """
    seen = _look(broker)
    if seen:
        message = f"the broker is not empty{_told(seen)}"
        raise AssertionError(message)


def drain(
    broker: Broker,
    tube: str,
    handler: Callable[[Job], object],
    *,
    with_delayed: bool = False,
) -> Drained:
    """Run every ready job of this tube, one after the other, until none is left.

    A job is deleted when the handler returns, and buried when it fails. If the handler
    itself has deleted, released or buried the job, nothing more happens to it. Jobs
    that become ready meanwhile are run too: if the handler puts a new job for each job,
    this never ends.

    Args:
        broker: The broker.
        tube: The tube's name.
        handler: What is called with each job.
        with_delayed: Move the broker's `FakeClock` on to the delayed jobs, and past
            the tube's pause, until no such job is left either.

    Raises:
        AssertionError: The handler has raised it: it is an assertion of the test, which
            must not be hidden. Or the handler gives a job back for ever.
        TypeError: The clock of the broker cannot be moved, or an argument has the wrong
            type.
        BadTubeNameError: The name is not a valid tube name.
        ClosedError: The broker was closed.

    Cost: that of the handler.
    """
    check_broker(broker)
    check_function("handler", handler)
    # Late: those who only assert need no worker.
    from inproc_tubes.worker import Worker  # noqa: PLC0415 - as above

    if with_delayed and not hasattr(broker.clock, "advance_to_next"):
        clock = type(broker.clock).__name__
        message = f"with_delayed moves a FakeClock, not a {clock}"
        raise TypeError(message)
    runs: Counter[int] = Counter()
    ends: Counter[str | None] = Counter()
    errors = []

    def run(job: Job) -> None:
        runs[job.id] += 1
        if runs[job.id] > _TOO_OFTEN:
            message = f"{job!r} was given back {_TOO_OFTEN} times"
            raise _FailedError(message)
        try:
            with job:
                handler(job)
        except AssertionError as error:
            raise _FailedError from error
        except Exception as error:  # noqa: BLE001 - the caller is given it
            errors.append(error)
        ends[_state_of(broker, job)] += 1

    # Nothing but the handler touches a job.
    with Worker(broker, {tube: run}, threads=0, max_runtime=0) as worker:
        try:
            _ = worker.run_until_empty() if with_delayed else worker.run_pending()
        except _FailedError as failed:
            raise failed.__cause__ or AssertionError(*failed.args) from None
    deleted, buried = ends[None], ends["buried"]
    return Drained(deleted, buried, ends.total() - deleted - buried, tuple(errors))


class _FailedError(BaseException):
    """Ends the worker of a `drain`: the test has failed."""


def _state_of(broker: Broker, job: Job) -> str | None:
    try:
        return broker.stats_job(job.id).state
    except NotFoundError:
        return None


# Verbs of a turn: they call no user's code.


def _snapshot(_now: float, engine: Engine) -> list[_Seen]:
    # A put that is only half received is none yet.
    return [
        _Seen(
            job,
            job._tube,
            job._state.value,
            job._body,
            job._priority,
            job._delay,
            job._ttr,
        )
        for job in engine.jobs.values()
        if job._state is not JobState.INVALID
    ]


def _look(broker: Broker) -> list[_Seen]:
    check_broker(broker)
    return broker._monitor.run(_snapshot, broker._engine)


def _look_for(
    broker: Broker, tube: str, wanted: dict[str, Any], tolerance: float
) -> tuple[list[_Seen], list[_Seen]]:
    """Return all jobs, those of the tube first, and those that are wanted."""
    name = check_tube_name(tube)
    seen = sorted(_look(broker), key=lambda job: job.tube != name)
    matching = [
        job
        for job in seen
        if job.tube == name
        and all(
            _fits(getattr(job, field), want, tolerance if field == "delay" else 0)
            for field, want in wanted.items()
        )
    ]
    return seen, matching


def _fits(value: Any, want: Any, tolerance: float) -> bool:
    # First, because a body may be a function itself.
    if value is want:
        return True
    if callable(want):
        return bool(want(value))
    if tolerance and isinstance(want, (int, float)):
        return bool(abs(value - want) <= tolerance)
    return _are_equal(value, want)


def _are_equal(value: Any, want: Any) -> bool:
    """Compare by ``==``, also where that gives no bool; see `assert_put`.

    Raises:
        TypeError: It gives something that has no truth and no ``all()``.
    """
    # Else numpy would stretch one of them, and pandas raise.
    if _shape(value) != _shape(want):
        return False
    try:
        equal = value == want
        while hasattr(equal, "all") and not isinstance(equal, bool):
            # Once for each dimension, where it goes along one of them.
            before, equal = equal, equal.all()
            if type(equal) is type(before):
                break
    except ValueError:
        if _shape(value) is None:
            raise
        return False  # tables with other labels
    try:
        return bool(equal)
    except (TypeError, ValueError) as error:
        kind = type(value).__name__
        message = f"== of two {kind} is neither True nor False: give a function instead"
        raise TypeError(message) from error


def _shape(value: Any) -> Any:
    """Return the shape of an array or a table; None for all else, numpy's scalars too."""
    return getattr(value, "shape", None) or None


def _wanted(body: Any, priority: Any, delay: Any, ttr: Any) -> dict[str, Any]:
    given = {"body": body, "priority": priority, "delay": delay, "ttr": ttr}
    return {field: want for field, want in given.items() if want is not _anything}


def _described(wanted: dict[str, Any]) -> str:
    parts = [f"{field}={_bodies.repr(want)}" for field, want in wanted.items()]
    return f" with {', '.join(parts)}" if parts else ""


def _told(seen: list[_Seen]) -> str:
    lines = [str(job) for job in seen[:_SHOWN_JOBS]]
    if len(seen) > _SHOWN_JOBS:
        lines.append(f"  and {len(seen) - _SHOWN_JOBS} more")
    return "; there is\n" + ("\n".join(lines) or "  no job at all")
