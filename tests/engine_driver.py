"""An engine that is driven by hand, verb after verb."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from inproc_tubes.core import questions
from inproc_tubes.core.engine import Engine
from inproc_tubes.core.job import Job
from inproc_tubes.core.making import new_job
from inproc_tubes.core.recovery import check
from inproc_tubes.core.requests import (
    WITHOUT_WARNING,
    JoinRequest,
    PutRequest,
    ReserveRequest,
)
from inproc_tubes.core.turn import TURN
from inproc_tubes.errors import TubesError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from inproc_tubes.core.record import AnyJob
    from inproc_tubes.core.schedule import AnyRequest
    from inproc_tubes.core.session import Session


class _Checking:
    """Whether an engine is checked after each step."""

    on = True


@contextmanager
def unchecked() -> Iterator[None]:
    """Take steps that were checked before, in another engine, without the checks."""
    _Checking.on = False
    try:
        yield
    finally:
        _Checking.on = True


def take_turn(engine: Engine, verb: Callable[..., Any], *args: Any) -> Any:
    """Call a verb of an engine in a turn, as a shell does, and check the engine.

    An error that is not raised by design leaves the turn unfinished, and so fails the
    check.
    """
    turn = engine.turn
    assert turn.unfinished is None
    turn.unfinished = TURN
    try:
        result = verb(*args)
        turn.unfinished = None
        return result
    finally:
        turn.after.clear()
        if _Checking.on:
            check(engine)


def verb_on(engine: Engine, name: str) -> Callable[..., Any]:
    """Return a verb of an engine, or of one of its parts, by its name."""
    parts = (
        engine,
        engine.clients,
        engine.dispatch,
        engine.wire_puts,
        engine.interventions,
    )
    home = next(part for part in parts if hasattr(part, name))
    verb: Callable[..., Any] = getattr(home, name)
    return verb


def verb_of(engine: Engine, name: str) -> Callable[..., Any]:
    """Return a verb of an engine, or a question about it, by its name.

    Its first argument is ``now``.
    """
    if hasattr(questions, name):
        question = getattr(questions, name)
        return lambda now, *args: question(now, engine, *args)
    return verb_on(engine, name)


class Queue:
    """An engine with the time it is given; every step is followed by a check.

    Attributes:
        answered: The requests that were woken by an answer, in this order, as often as
            they were.
        withdrawn: Those that were woken without one.
    """

    def __init__(self) -> None:
        self.engine = Engine()
        self.now = 100.0
        self.answered: list[AnyRequest] = []
        self.withdrawn: list[AnyRequest] = []

    def to(self, now: float) -> None:
        """Let time pass until then, as the next verb of a shell would."""
        self.now = now
        if now >= self.engine.schedule.due_at:
            take_turn(self.engine, self.engine.catch_up, now)
        check(self.engine)

    def do(self, verb: str, *args: Any) -> Any:
        """Call a verb of the engine, or ask a question about it, now."""
        return take_turn(self.engine, verb_of(self.engine, verb), self.now, *args)

    def count(self, name: str) -> int:
        """Return one of the counts of the whole engine."""
        number: int = self.do("broker_counts")[name]
        return number

    def session(self, *watched: str, used: str | None = None) -> Session:
        """Open a session that watches these tubes, "default" if there are none."""
        return self.open(used, watched or ("default",))

    def connection(self) -> Session:
        """Open the session of a connection over the wire."""
        return self.open("default", ("default",), is_handle=False)

    def open(
        self, used: str | None, watched: tuple[str, ...], *, is_handle: bool = True
    ) -> Session:
        """Open a session."""
        session: Session = self.do("open_session", used, watched, is_handle)
        session.holder = Holder(self.engine.jobs, session)  # type: ignore[assignment]  # see there
        return session

    def producer(self, used: str = "default") -> Session:
        """Open a session that uses this tube and watches none."""
        return self.open(used, ())

    def put(
        self,
        priority: int = 0,
        delay: float = 0,
        ttr: float = 60,
        *,
        tube: str = "default",
    ) -> int:
        """Put a job from a session of its own and return its id."""
        session = self.producer(tube)
        job_id = self.put_from(session, priority, delay, ttr)
        self.do("close_session", session, "done")
        return job_id

    def put_from(
        self,
        session: Session,
        priority: int = 0,
        delay: float = 0,
        ttr: float = 60,
        *,
        tube: str | None = None,
    ) -> int:
        """Put a job from this session and return its id, 0 if there is no room."""
        job = new_job("body", priority, delay, ttr)
        job_id: int = self.do("put", session, job, tube)
        return job_id

    def reserve(self, session: Session) -> int:
        """Reserve with timeout 0, as a shell does, and return the job's id."""
        job = self.do("reserve", session, 0)
        if job is None:
            self.do("wait_to_reserve", ReserveRequest(session, 0))
        job_id: int = job.id
        return job_id

    def reserve_all(self, session: Session) -> list[int]:
        """Reserve until nothing is ready."""
        ids = []
        while job := self.do("reserve", session, 0):
            ids.append(job.id)
        return ids

    def wait(
        self,
        session: Session,
        timeout: float | None = None,
        *,
        told_of_deadlines: bool = True,
    ) -> ReserveRequest:
        """Reserve, find nothing, and wait."""
        if not told_of_deadlines:
            assert timeout is None
            timeout = WITHOUT_WARNING
        assert self.do("reserve", session, timeout) is None
        request = ReserveRequest(session, timeout)
        request.sleeper = Sleeper(self, request)
        self.do("wait_to_reserve", request)
        return request

    def offer(
        self,
        session: Session,
        timeout: float | None = None,
        *,
        count: int = 1,
        tube: str | None = None,
        delay: float = 0,
        ttr: float = 60,
    ) -> PutRequest:
        """Put a job, or a batch, and wait for room if need be."""
        jobs: list[AnyJob] = [new_job("body", 0, delay, ttr) for _ in range(count)]
        if count == 1:
            job_id = self.do("put", session, jobs[0], tube)
            ids = [job_id] if job_id else None
        else:
            ids = self.do("put_many", session, jobs, tube)
        request = PutRequest(session, timeout, jobs, tube or "")
        request.outcome = ids
        if ids is None:
            request.sleeper = Sleeper(self, request)
            self.do("wait_to_put", request)
        return request

    def join(self, *tubes: str, timeout: float | None = None) -> JoinRequest:
        """Wait until these tubes, or all, have no work left."""
        request = JoinRequest(timeout, list(tubes) or None)
        request.sleeper = Sleeper(self, request)
        self.do("join", request)
        return request

    def bury(self, session: Session, job_id: int, priority: int | None = None) -> None:
        """Reserve this job and bury it."""
        self.do("reserve_job", session, job_id)
        self.do("bury", session, job_id, None, priority)

    def job(self, job_id: int) -> Job:
        """Return a job."""
        return self.engine.jobs[job_id]  # type: ignore[return-value]  # a record is one

    def state(self, job_id: int) -> str:
        """Return the state of a job in beanstalkd's words."""
        return self.engine.jobs[job_id]._state.value

    @property
    def waiting(self) -> int:
        """How many reserves wait."""
        return len(self.engine.queue.requests)

    @property
    def all_waiting(self) -> int:
        """How many requests wait, whatever for."""
        return len(self.engine.dispatch.requests())

    def next_due(self) -> float:
        """Return when something happens next, inf for never."""
        moment: float = take_turn(self.engine, self.engine.next_due)
        return moment


class Holder:
    """What the jobs of a session refer to. Here nobody calls their verbs."""

    def __init__(self, jobs: dict[int, AnyJob], session: Session | None = None) -> None:
        self._jobs = jobs
        self._session = session

    @property
    def _name(self) -> str:
        return "" if self._session is None else self._session.name

    def _state_of(self, job: Job) -> str:
        """Serve the repr of a job, in what pytest says of a failed assertion."""
        return job._state.value  # pragma: no cover - as above


class Sleeper:
    """Writes down that its request was woken, by its answer or because it withdraws."""

    def __init__(self, queue: Queue, request: AnyRequest) -> None:
        self._queue = queue
        self._request = request

    def wake(self) -> None:
        queue, request = self._queue, self._request
        answered = request.outcome is not None
        (queue.answered if answered else queue.withdrawn).append(request)


def next_id(engine: Engine) -> int:
    """Return the id of the job that is put next."""
    return int(repr(engine.ids).removeprefix("count(").removesuffix(")"))


def held(session: Session) -> list[int]:
    """Return the ids of the jobs that a session holds, in the order of reserving."""
    return [job._id for job in session.held.in_sequence()]


def told(request: AnyRequest) -> object:
    """Return what a request was answered: a job's id, an error's class, or nothing.

    A put is answered its ids, and a join how many jobs are buried.
    """
    outcome = request.outcome
    if isinstance(outcome, TubesError):
        return type(outcome)
    return outcome.id if isinstance(outcome, Job) else outcome
