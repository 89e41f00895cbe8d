"""An engine that is driven by hand, verb after verb."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from inproc_tubes.engine import Engine
from inproc_tubes.errors import TubesError
from inproc_tubes.job import Record
from inproc_tubes.waiting import Joiner, Pending, Putter, Waiter

if TYPE_CHECKING:
    from inproc_tubes.session import Session


class Queue:
    """An engine with the time it is given; every step is followed by a check."""

    def __init__(self) -> None:
        self.engine = Engine()
        self.now = 100.0

    def to(self, now: float) -> None:
        """Let time pass until then, as the next verb of a shell would."""
        self.now = now
        if now >= self.engine.due_at:
            self.engine.catch_up(now)
        self.engine._check()

    def do(self, verb: str, *args: Any) -> Any:
        """Call a verb of the engine now."""
        try:
            return getattr(self.engine, verb)(self.now, *args)
        finally:
            self.engine._check()

    def session(self, *watched: str, used: str | None = None) -> Session:
        """Open a session that watches these tubes, "default" if there are none."""
        session: Session = self.do("open_session", used, watched or ("default",))
        return session

    def producer(self, used: str = "default") -> Session:
        """Open a session that uses this tube and watches none."""
        session: Session = self.do("open_session", used, ())
        return session

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
        job_id: int = self.do("put", session, None, "body", priority, delay, ttr)
        self.do("close_session", session, "done")
        return job_id

    def reserve(self, session: Session) -> int:
        """Reserve with timeout 0, as a shell does, and return the job's id."""
        record = self.do("reserve", session, 0)
        if record is None:
            self.do("wait", Waiter(session, 0))
        job_id: int = record.id
        return job_id

    def reserve_all(self, session: Session) -> list[int]:
        """Reserve until nothing is ready."""
        ids = []
        while record := self.do("reserve", session, 0):
            ids.append(record.id)
        return ids

    def wait(
        self,
        session: Session,
        timeout: float | None = None,
        *,
        hears_deadlines: bool = True,
    ) -> Waiter:
        """Reserve, find nothing, and wait."""
        assert self.do("reserve", session, timeout) is None
        waiter = Waiter(session, timeout, hears_deadlines=hears_deadlines)
        self.do("wait", waiter)
        return waiter

    def offer(
        self,
        session: Session,
        timeout: float | None = None,
        *,
        count: int = 1,
        tube: str | None = None,
        delay: float = 0,
        ttr: float = 60,
    ) -> Putter:
        """Put a job, or a batch, and wait for room if need be."""
        bodies: list[Any] = ["body"] * count
        if count == 1:
            job_id = self.do("put", session, tube, "body", 0, delay, ttr)
            ids = [job_id] if job_id else None
        else:
            ids = self.do("put_many", session, tube, bodies, 0, delay, ttr)
        putter = Putter(session, timeout, tube, bodies, 0, delay, ttr)
        putter.outcome = ids
        if ids is None:
            self.do("wait_for_room", putter)
        return putter

    def join(self, *tubes: str, timeout: float | None = None) -> Joiner:
        """Wait until these tubes, or all, have no work left."""
        joiner = Joiner(timeout, list(tubes) or None)
        self.do("join", joiner)
        return joiner

    def bury(self, session: Session, job_id: int, priority: int | None = None) -> None:
        """Reserve this job and bury it."""
        self.do("reserve_job", session, job_id)
        self.do("bury", session, job_id, None, priority)

    def job(self, job_id: int) -> Record:
        """Return the record of a job."""
        return self.engine.jobs[job_id]

    def state(self, job_id: int) -> str:
        """Return the state of a job in beanstalkd's words."""
        return self.engine.jobs[job_id].state.value


def next_id(engine: Engine) -> int:
    """Return the id of the job that is put next."""
    return int(repr(engine.ids).removeprefix("count(").removesuffix(")"))


def told(waiter: Pending) -> object:
    """Return what a waiter was answered: a job's id, an error's class, or nothing.

    A put hears its ids, and a join how many jobs are buried.
    """
    outcome = waiter.outcome
    if isinstance(outcome, TubesError):
        return type(outcome)
    return outcome.id if isinstance(outcome, Record) else outcome
