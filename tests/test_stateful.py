"""The engine against a naive model of it, by random verbs with small numbers.

The model keeps lists and sorts them each time. In one thing it is free: where the
reservations of several sessions run out in the same moment, any of them may come
first, and the model follows the engine.
"""

from __future__ import annotations

import io
import sys
from collections import Counter
from copy import deepcopy
from dataclasses import dataclass, field
from itertools import permutations
from math import inf
from typing import TYPE_CHECKING, Any, TextIO

from hypothesis import settings, strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from inproc_tubes import (
    ClosedError,
    DeadlineSoonError,
    MonotonicClock,
    NotFoundError,
    NotIgnoredError,
    TimedOutError,
    TubesError,
)
from inproc_tubes.engine import Engine
from inproc_tubes.job import Record
from inproc_tubes.waiting import Waiter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pytest

    from inproc_tubes.session import Session

NOWHERE = 10**6  # the id of no job


@dataclass
class ModelJob:
    id: int
    body: object
    tube: str
    priority: int
    delay: float
    ttr: float
    created_at: float
    state: str = "ready"
    due_at: float = 0
    owner: int | None = None
    reservation: int = 0
    burial: int = 0
    reserves: int = 0
    timeouts: int = 0
    releases: int = 0
    buries: int = 0
    kicks: int = 0


@dataclass
class ModelTube:
    pause: float = 0
    paused_until: float = 0
    total_jobs: int = 0
    cmd_delete: int = 0
    cmd_pause_tube: int = 0


@dataclass
class ModelSession:
    used: str | None
    watched: list[str]
    is_producer: bool = False
    is_worker: bool = False


@dataclass
class ModelWaiter:
    session: int
    timeout: float
    timeout_at: float
    hears_deadlines: bool
    outcome: object = None  # (job's id, reservation), or an error as `told` has it
    waits: bool = True


def told(error: TubesError) -> object:
    """Return an error as something that can be compared."""
    return type(error), error.args


def strike(names: list[str], name: str) -> None:
    """Take a name out as beanstalkd does: the last one takes its place."""
    names[names.index(name)] = names[-1]
    names.pop()


@dataclass
class Model:
    now: float
    jobs: dict[int, ModelJob] = field(default_factory=dict)
    tubes: dict[str, ModelTube] = field(default_factory=dict)
    listing: list[str] = field(default_factory=list)
    sessions: dict[int, ModelSession] = field(default_factory=dict)
    waiters: list[ModelWaiter] = field(default_factory=list)
    commands: Counter[str] = field(default_factory=Counter)
    puts: int = 0
    opened: int = 0
    reservations: int = 0
    burials: int = 0
    job_timeouts: int = 0

    # What there is, in order

    def in_state(self, state: str, tube: str) -> list[ModelJob]:
        """Return a tube's jobs in this state, as they are served."""
        keys: dict[str, Callable[[ModelJob], object]] = {
            "ready": lambda job: (job.priority, job.id),
            "delayed": lambda job: (job.due_at, job.id),
            "buried": lambda job: job.burial,
            "reserved": lambda job: job.reservation,
        }
        jobs = [j for j in self.jobs.values() if (j.state, j.tube) == (state, tube)]
        return sorted(jobs, key=keys[state])  # type: ignore[arg-type]  # all compare

    def held(self, session: int) -> list[ModelJob]:
        """Return what a session holds, in the order of reserving."""
        jobs = [job for job in self.jobs.values() if job.owner == session]
        return sorted(jobs, key=lambda job: job.reservation)

    def soonest(self, session: int) -> ModelJob | None:
        return min(self.held(session), key=lambda job: job.due_at, default=None)

    def waiting(self, session: int) -> list[ModelWaiter]:
        return [w for w in self.waiters if w.waits and w.session == session]

    def waiting_in(self, tube: str) -> list[ModelWaiter]:
        """Return who waits in a tube, the longest waiting first."""
        return [
            waiter
            for waiter in self.waiters
            if waiter.waits and tube in self.sessions[waiter.session].watched
        ]

    # What happens to jobs and tubes

    def add_tube(self, name: str) -> None:
        if name not in self.tubes:
            self.tubes[name] = ModelTube()
            self.listing.append(name)

    def drop_tube(self, name: str | None) -> None:
        """Forget a tube that nothing refers to."""
        if name not in {"default", None, *(job.tube for job in self.jobs.values())}:
            assert name is not None  # mypy does not see it
            if not any(name in (s.used, *s.watched) for s in self.sessions.values()):
                del self.tubes[name]
                strike(self.listing, name)

    def reserve_for(self, session: int, job: ModelJob) -> None:
        self.reservations += 1
        job.state = "reserved"
        job.owner = session
        job.reservation = self.reservations
        job.reserves += 1
        job.due_at = self.now + job.ttr

    def answer(self, waiter: ModelWaiter, outcome: object) -> None:
        waiter.waits = False
        waiter.outcome = outcome

    def serve(self, tube: str) -> None:
        """Hand ready jobs, the best first, to those who wait, the first first."""
        if not self.tubes[tube].paused_until:
            pairs = zip(
                self.in_state("ready", tube), self.waiting_in(tube), strict=False
            )
            for job, waiter in pairs:
                self.reserve_for(waiter.session, job)
                self.answer(waiter, (job.id, job.reservation))

    def make_ready(self, job: ModelJob) -> None:
        job.owner = None
        job.state = "ready"
        self.serve(job.tube)

    def make_ready_in(self, job: ModelJob, delay: float) -> None:
        if delay:
            job.owner = None
            job.state = "delayed"
            job.due_at = self.now + delay
        else:
            self.make_ready(job)

    def find(self, job_id: int, fence: int | None = None) -> ModelJob:
        job = self.jobs.get(job_id)
        if job is None or fence not in {None, job.reservation}:
            raise NotFoundError(job_id)
        return job

    def mine(self, session: int, job_id: int, fence: int | None) -> ModelJob:
        job = self.find(job_id, fence)
        if job.owner != session:
            raise NotFoundError(job_id)
        return job

    # The verbs, as the engine has them

    def open_session(self, used: str | None, watched: list[str]) -> None:
        for name in filter(None, [used, *watched]):
            self.add_tube(name)
        self.opened += 1
        self.sessions[self.opened] = ModelSession(used, list(dict.fromkeys(watched)))

    def close_session(self, session: int, what: str) -> None:
        for waiter in self.waiting(session):
            self.answer(waiter, told(ClosedError(what)))
        for job in self.held(session):
            self.make_ready(job)
        gone = self.sessions[session]
        for name in list(gone.watched):
            strike(gone.watched, name)
            self.drop_tube(name)
        used, gone.used = gone.used, None
        self.drop_tube(used)
        del self.sessions[session]

    def use(self, session: int, name: str) -> None:
        self.commands["cmd_use"] += 1
        self.add_tube(name)
        old = self.sessions[session].used
        self.sessions[session].used = name
        self.drop_tube(old)

    def watch(self, session: int, names: list[str]) -> int:
        watched = self.sessions[session].watched
        for name in names:
            self.commands["cmd_watch"] += 1
            self.add_tube(name)
            if name not in watched:
                watched.append(name)
                self.serve(name)
        return len(watched)

    def ignore(self, session: int, name: str) -> int:
        self.commands["cmd_ignore"] += 1
        watched = self.sessions[session].watched
        if watched == [name]:
            raise NotIgnoredError(name)
        if name in watched:
            strike(watched, name)
            self.drop_tube(name)
        return len(watched)

    def pause_tube(self, name: str, delay: float) -> None:
        self.commands["cmd_pause_tube"] += 1
        tube = self.tubes.get(name)
        if tube is None:
            raise NotFoundError(None, name)
        tube.cmd_pause_tube += 1
        tube.pause = delay
        tube.paused_until = self.now + delay if delay else 0
        self.serve(name)

    def put(
        self,
        session: int,
        name: str | None,
        body: object,
        priority: int,
        delay: float,
        ttr: float,
    ) -> int:
        self.commands["cmd_put"] += 1
        self.puts += 1
        self.sessions[session].is_producer = True
        tube = name or self.sessions[session].used
        assert tube is not None  # every session of the test uses one
        self.add_tube(tube)
        self.tubes[tube].total_jobs += 1
        job = ModelJob(self.puts, body, tube, priority, delay, ttr, self.now)
        self.jobs[job.id] = job
        self.make_ready_in(job, delay)
        return job.id

    def reserve(self, session: int, timeout: float | None) -> int | None:
        verb = "cmd_reserve" if timeout is None else "cmd_reserve_with_timeout"
        self.commands[verb] += 1
        self.sessions[session].is_worker = True
        ready = [
            (job.priority, job.id)
            for name in self.sessions[session].watched
            if not self.tubes[name].paused_until
            for job in self.in_state("ready", name)
        ]
        if not ready:
            return None
        job = self.jobs[min(ready)[1]]
        self.reserve_for(session, job)
        return job.id

    def wait(self, session: int, timeout: float | None, *, hears: bool) -> None:
        soonest = self.soonest(session)
        if soonest is not None and hears and soonest.due_at - 1 <= self.now:
            raise DeadlineSoonError(soonest.id, soonest.due_at - self.now)
        if timeout == 0:
            raise TimedOutError(0)
        seconds = inf if timeout is None else timeout
        self.waiters.append(ModelWaiter(session, seconds, self.now + seconds, hears))

    def withdraw(self, number: int) -> None:
        waiter = self.waiters[number]
        waiter.waits = False
        held = self.held(waiter.session)
        for job in [j for j in held if waiter.outcome == (j.id, j.reservation)]:
            job.reserves -= 1
            self.make_ready(job)

    def reserve_job(self, session: int, job_id: int) -> int:
        job = self.find(job_id)
        if job.state == "reserved":
            raise NotFoundError(job_id)
        self.sessions[session].is_worker = True
        self.reserve_for(session, job)
        return job.id

    def delete(self, session: int, job_id: int, fence: int | None) -> None:
        self.commands["cmd_delete"] += 1
        job = self.find(job_id, fence)
        if job.owner not in {None, session}:
            raise NotFoundError(job_id)
        del self.jobs[job_id]
        self.tubes[job.tube].cmd_delete += 1
        self.drop_tube(job.tube)

    def release(
        self,
        session: int,
        job_id: int,
        fence: int | None,
        priority: int | None,
        delay: float,
    ) -> None:
        self.commands["cmd_release"] += 1
        job = self.mine(session, job_id, fence)
        job.priority = job.priority if priority is None else priority
        job.delay = delay
        job.releases += 1
        self.make_ready_in(job, delay)

    def bury(
        self, session: int, job_id: int, fence: int | None, priority: int | None
    ) -> None:
        self.commands["cmd_bury"] += 1
        job = self.mine(session, job_id, fence)
        job.priority = job.priority if priority is None else priority
        job.buries += 1
        job.owner = None
        job.state = "buried"
        self.burials += 1
        job.burial = self.burials

    def touch(self, session: int, job_id: int, fence: int | None) -> None:
        self.commands["cmd_touch"] += 1
        job = self.mine(session, job_id, fence)
        job.due_at = self.now + job.ttr

    def kick(self, name: str, bound: int) -> int:
        self.commands["cmd_kick"] += 1
        jobs = self.in_state("buried", name) or self.in_state("delayed", name)
        for job in jobs[:bound]:
            self.kick_job(job.id, None)
        return len(jobs[:bound])

    def kick_job(self, job_id: int, fence: int | None) -> None:
        job = self.find(job_id, fence)
        if job.state not in {"buried", "delayed"}:
            raise NotFoundError(job_id)
        job.kicks += 1
        self.make_ready(job)

    def peek(self, job_id: int) -> int:
        self.commands["cmd_peek"] += 1
        return self.find(job_id).id

    def peek_state(self, state: str, name: str) -> int:
        self.commands[f"cmd_peek_{state}"] += 1
        jobs = self.in_state(state, name)
        if not jobs:
            raise NotFoundError(None, name, state)
        return jobs[0].id

    # Statistics

    def stats_job(self, job_id: int, fence: int | None = None) -> dict[str, Any]:
        self.commands["cmd_stats_job"] += 1
        job = self.find(job_id, fence)
        fields = dict(vars(job))
        for name in ("body", "owner", "reservation", "burial", "created_at", "due_at"):
            del fields[name]
        timed = job.state in {"reserved", "delayed"}
        return fields | {
            "age": self.now - job.created_at,
            "time_left": job.due_at - self.now if timed else 0,
        }

    def count(self, state: str, names: list[str]) -> int:
        return sum(len(self.in_state(state, name)) for name in names)

    def counts(self, names: list[str]) -> dict[str, int]:
        states = ("ready", "reserved", "delayed", "buried")
        return {f"current_jobs_{s}": self.count(s, names) for s in states} | {
            "current_jobs_urgent": sum(
                job.priority < 1024
                for name in names
                for job in self.in_state("ready", name)
            )
        }

    def stats_tube(self, name: str) -> dict[str, Any]:
        self.commands["cmd_stats_tube"] += 1
        if name not in self.tubes:
            raise NotFoundError(None, name)
        fields = dict(vars(self.tubes[name]))
        until = fields.pop("paused_until")
        sessions = self.sessions.values()
        return {
            "name": name,
            **fields,
            **self.counts([name]),
            "current_using": sum(s.used == name for s in sessions),
            "current_watching": sum(name in s.watched for s in sessions),
            "current_waiting": len(self.waiting_in(name)),
            "pause_time_left": until - self.now if until else 0,
        }

    def stats(self) -> dict[str, Any]:
        self.commands["cmd_stats"] += 1
        sessions = self.sessions.values()
        return {
            **self.commands,
            **self.counts(self.listing),
            "job_timeouts": self.job_timeouts,
            "total_jobs": self.puts,
            "current_tubes": len(self.tubes),
            "current_connections": len(sessions),
            "current_producers": sum(s.is_producer for s in sessions),
            "current_workers": sum(s.is_worker for s in sessions),
            "current_waiting": sum(w.waits for w in self.waiters),
            "total_connections": self.opened,
            "draining": False,
        }

    # Time

    def moment_of(self, session: int) -> float:
        """Return when something happens to a session's reservations."""
        soonest = self.soonest(session)
        if soonest is None:
            return inf
        hears = any(waiter.hears_deadlines for waiter in self.waiting(session))
        return soonest.due_at - hears

    def next_of_clients(self) -> float:
        timeouts = [waiter.timeout_at for waiter in self.waiters if waiter.waits]
        return min([inf, *timeouts, *map(self.moment_of, self.sessions)])

    def next_due(self) -> float:
        delays = [job.due_at for job in self.jobs.values() if job.state == "delayed"]
        pauses = [t.paused_until for t in self.tubes.values() if t.paused_until]
        return min([self.next_of_clients(), *delays, *pauses])

    def catch_up(self, now: float) -> Iterator[Model]:
        """Yield all that may come of letting it be ``now``."""
        world = deepcopy(self)
        world.now = now
        due = [
            (job.due_at, place, job.id)
            for place, name in enumerate(world.listing)
            for job in world.in_state("delayed", name)
            if job.due_at <= now
        ]
        for _, _, job_id in sorted(due):
            world.make_ready(world.jobs[job_id])
        for name in world.listing:
            tube = world.tubes[name]
            if tube.paused_until and tube.paused_until <= now:
                tube.pause = tube.paused_until = 0
                world.serve(name)
        yield from world.end_moments()

    def end_moments(self) -> Iterator[Model]:
        moment = self.next_of_clients()
        if moment > self.now:
            yield self
            return
        expiring = [
            session
            for session in self.sessions
            if any(job.due_at <= moment for job in self.held(session))
        ]
        for order in permutations(expiring):
            world = deepcopy(self)
            world.end_moment(moment, order)
            yield from world.end_moments()

    def end_moment(self, moment: float, order: tuple[int, ...]) -> None:
        """Let one moment pass: a job beats DEADLINE_SOON, and that TIMED_OUT."""
        for session in order:
            due = [job for job in self.held(session) if job.due_at <= moment]
            for job in sorted(due, key=lambda job: job.due_at):
                job.timeouts += 1
                self.job_timeouts += 1
                self.make_ready(job)
        for session in self.sessions:
            soonest = self.soonest(session)
            if soonest is not None and soonest.due_at - 1 <= moment:
                left = max(0, soonest.due_at - self.now)
                error = told(DeadlineSoonError(soonest.id, left))
                for waiter in filter(
                    lambda w: w.hears_deadlines, self.waiting(session)
                ):
                    self.answer(waiter, error)
        for waiter in self.waiters:
            if waiter.waits and waiter.timeout_at <= moment:
                self.answer(waiter, told(TimedOutError(waiter.timeout)))

    def snapshot(self) -> dict[str, Any]:
        """Return what can be compared with `EngineAgainstModel.snapshot`."""
        return {
            "jobs": {
                job.id: (job.owner, job.reservation, job.body, self.stats_job(job.id))
                for job in self.jobs.values()
            },
            "tubes": [self.stats_tube(name) for name in self.listing],
            "sessions": {
                number: (s.used, s.watched, [job.id for job in self.held(number)])
                for number, s in self.sessions.items()
            },
            "outcomes": [waiter.outcome for waiter in self.waiters],
            "stats": Counter(self.stats()),  # in which what is missing is 0
        }


TUBES = ("default", "t1", "t2")
tubes = st.sampled_from(TUBES)
names = st.sampled_from((*TUBES, "nowhere"))  # nobody makes that one
which = st.integers(0, 11)
priorities = st.sampled_from((0, 1, 1024))
delays = st.integers(0, 2)
ttrs = st.integers(1, 3)
timeouts = st.sampled_from((None, 1, 2, 3, 0))
fences = st.sampled_from(
    (None, None, 0, 0, 1)
)  # none, that of the job now, that before


class EngineAgainstModel(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.engine = Engine()
        self.model = Model(100)
        self.model.add_tube("default")
        # {number: session}, [waiter]: the model knows them by these numbers
        self.sessions: dict[int, Session] = {}
        self.waiters: list[Waiter] = []
        self.answered: list[Waiter] = []

    # How a verb is done

    def turn(self) -> None:
        """Carry out what is due, as a door does before each verb."""
        if self.model.now >= self.engine.due_at:
            self.engine.catch_up(self.model.now)
        if self.model.next_due() <= self.model.now:
            theirs = self.snapshot()
            worlds = list(self.model.catch_up(self.model.now))
            same = [world for world in worlds if world.snapshot() == theirs]
            self.model = (same or worlds)[0]

    def snapshot(self) -> dict[str, Any]:
        """Return all that the engine shows; like the model's, it counts itself."""
        now, engine = self.model.now, self.engine
        numbers = {session: number for number, session in self.sessions.items()}
        return {
            "jobs": {
                record.id: (
                    numbers.get(record.owner),  # type: ignore[call-overload]  # or None
                    record.reservation,
                    record.body,
                    engine.stats_job(now, record.id),
                )
                for record in engine.jobs.values()
            },
            "tubes": [engine.stats_tube(now, tube.name) for tube in engine.listing],
            "sessions": {
                number: (
                    session.used and session.used.name,
                    [tube.name for tube in session.watched],
                    [record.id for record in session.held.values()],
                )
                for number, session in self.sessions.items()
            },
            "outcomes": [self.outcome(waiter) for waiter in self.waiters],
            "stats": Counter(engine.stats(now)),
        }

    def outcome(self, waiter: Waiter) -> object:
        if isinstance(waiter.outcome, Record):
            return waiter.outcome.id, waiter.reservation
        return waiter.outcome and told(waiter.outcome)

    def both(self, theirs: Callable[[], Any], ours: Callable[[], Any]) -> Any:
        """Do one verb on both sides; return what came of it, which is the same."""
        results = []
        for verb in (theirs, ours):
            try:
                results.append(verb())
            except TubesError as error:
                results.append(told(error))
        assert results[0] == results[1]
        return results[0]

    def verb(self, name: str, session: int | None, *args: Any) -> Any:
        """Take a turn with a verb that the engine and the model have in common."""
        self.turn()
        theirs, ours = getattr(self.engine, name), getattr(self.model, name)

        def of_engine() -> Any:
            who = () if session is None else (self.sessions[session],)
            result = theirs(self.model.now, *who, *args)
            return result.id if isinstance(result, Record) else result

        def of_model() -> Any:
            return ours(*(() if session is None else (session,)), *args)

        return self.both(of_engine, of_model)

    def session(self, number: int) -> int:
        """Choose an open session."""
        return list(self.sessions)[number % len(self.sessions)]

    def pair(self, session: int, number: int) -> tuple[int, int]:
        """Choose a session and a job: one that it, or another, holds; any; or none."""
        jobs = self.model.jobs.values()
        who = self.session(session)
        owners = {job.id: job.owner for job in jobs if job.owner is not None}
        held = [(who if number % 4 == 3 else owners[i], i) for i in owners]
        pairs = [(who, job_id) for job_id in (*self.model.jobs, NOWHERE)]
        if held and number % 4:
            pairs = held
        return pairs[number % len(pairs)]

    def fence(self, job_id: int, back: int | None) -> int | None:
        job = self.model.jobs.get(job_id)
        return None if job is None or back is None else job.reservation - back

    # Sessions and tubes

    @initialize(
        jobs=st.lists(st.tuples(tubes, priorities, ttrs), max_size=6),
        reserves=st.lists(st.tuples(which, timeouts, st.booleans()), max_size=8),
    )
    def begin(
        self,
        jobs: list[tuple[str, int, int]],
        reserves: list[tuple[int, int | None, bool]],
    ) -> None:
        for used, watched in (
            ("default", ["default"]),
            ("t1", ["t1", "default"]),
            ("default", ["default", "t1", "default"]),
        ):
            self.open_session(used, watched)
        for name, priority, ttr in jobs:
            self.verb("put", 1, name, [self.model.puts], priority, 0, ttr)
        for session, timeout, hears in reserves:
            self.reserve(session, timeout, hears)

    @precondition(lambda self: len(self.sessions) < 4)
    @rule(used=tubes, watched=st.lists(tubes, min_size=1, max_size=3))
    def open_session(self, used: str, watched: list[str]) -> None:
        self.turn()
        session = self.engine.open_session(self.model.now, used, watched)
        self.model.open_session(used, watched)
        self.sessions[self.model.opened] = session

    @precondition(lambda self: len(self.sessions) > 1)
    @rule(session=which)
    def close_session(self, session: int) -> None:
        number = self.session(session)
        self.verb("close_session", number, "closed")
        # Twice does no harm.
        gone = self.sessions.pop(number)
        self.engine.close_session(self.model.now, gone, "again")
        assert gone.closed == "closed"

    @rule(session=which, name=tubes)
    def use(self, session: int, name: str) -> None:
        self.verb("use", self.session(session), name)

    @rule(session=which, names=st.lists(tubes, min_size=1, max_size=2))
    def watch(self, session: int, names: list[str]) -> None:
        self.verb("watch", self.session(session), names)

    @rule(session=which, name=names)
    def ignore(self, session: int, name: str) -> None:
        self.verb("ignore", self.session(session), name)

    @rule(name=names, delay=delays)
    def pause_tube(self, name: str, delay: int) -> None:
        self.verb("pause_tube", None, name, delay)

    # Jobs

    @rule(
        session=which,
        name=st.none() | tubes,
        priority=priorities,
        delay=st.just(0) | delays,
        ttr=ttrs,
    )
    def put(
        self, session: int, name: str | None, priority: int, delay: int, ttr: int
    ) -> None:
        who = self.session(session)
        self.verb("put", who, name, [self.model.puts], priority, delay, ttr)

    @rule(session=which, timeout=timeouts, hears=st.booleans())
    def reserve(self, session: int, timeout: int | None, hears: bool) -> None:  # noqa: FBT001 - hypothesis passes it by name
        who = self.session(session)
        if self.verb("reserve", who, timeout) is not None:
            return
        waiter = Waiter(self.sessions[who], timeout, hears_deadlines=hears)
        refused = self.both(
            lambda: self.engine.wait(self.model.now, waiter),
            lambda: self.model.wait(who, timeout, hears=hears),
        )
        if refused is None:
            self.waiters.append(waiter)

    @precondition(lambda self: self.waiters)
    @rule(back=which, late=st.booleans())
    def withdraw(self, back: int, late: bool) -> None:  # noqa: FBT001 - hypothesis passes it by name
        """Give up, if it is late with the job in one's hands already."""
        jobs = {(job.id, job.reservation) for job in self.model.jobs.values()}
        served = [n for n, w in enumerate(self.model.waiters) if w.outcome in jobs]
        numbers = (late and served) or range(len(self.waiters))
        number = numbers[-1 - back % len(numbers)]
        self.turn()
        self.engine.withdraw(self.model.now, self.waiters[number])
        self.model.withdraw(number)

    @rule(session=which, job=which)
    def reserve_job(self, session: int, job: int) -> None:
        who, job_id = self.pair(session, 2 * job)
        self.verb("reserve_job", who, job_id)

    @rule(session=which, job=which, back=fences)
    def delete(self, session: int, job: int, back: int | None) -> None:
        who, job_id = self.pair(session, job)
        self.verb("delete", who, job_id, self.fence(job_id, back))

    @rule(
        session=which,
        job=which,
        back=fences,
        priority=st.none() | priorities,
        delay=delays,
    )
    def release(
        self,
        session: int,
        job: int,
        back: int | None,
        priority: int | None,
        delay: int,
    ) -> None:
        who, job_id = self.pair(session, job)
        fence = self.fence(job_id, back)
        self.verb("release", who, job_id, fence, priority, delay)

    @rule(session=which, job=which, back=fences, priority=st.none() | priorities)
    def bury(
        self, session: int, job: int, back: int | None, priority: int | None
    ) -> None:
        who, job_id = self.pair(session, job)
        self.verb("bury", who, job_id, self.fence(job_id, back), priority)

    @rule(session=which, job=which, back=fences)
    def touch(self, session: int, job: int, back: int | None) -> None:
        who, job_id = self.pair(session, job)
        self.verb("touch", who, job_id, self.fence(job_id, back))

    @rule(name=names, bound=st.integers(0, 3))
    def kick(self, name: str, bound: int) -> None:
        self.verb("kick", None, name, bound)

    @rule(session=which, job=which, back=fences)
    def kick_job(self, session: int, job: int, back: int | None) -> None:
        _, job_id = self.pair(session, 2 * job)
        self.verb("kick_job", None, job_id, self.fence(job_id, back))

    # Looking

    @rule(session=which, job=which, back=fences)
    def look_at_a_job(self, session: int, job: int, back: int | None) -> None:
        _, job_id = self.pair(session, job)
        self.verb("peek", None, job_id)
        self.verb("stats_job", None, job_id, self.fence(job_id, back))

    @rule(name=names, state=st.sampled_from(("ready", "delayed", "buried")))
    def look_at_a_tube(self, name: str, state: str) -> None:
        self.turn()
        peek = getattr(self.engine, f"peek_{state}")
        self.both(
            lambda: peek(self.model.now, name).id,
            lambda: self.model.peek_state(state, name),
        )
        self.verb("stats_tube", None, name)

    # Time

    @rule(seconds=st.integers(1, 3))
    def advance(self, seconds: int) -> None:
        """Let time flow, as `FakeClock.advance` does."""
        until = self.model.now + seconds
        while (moment := self.engine.next_due()) <= until:
            assert moment == self.model.next_due()
            self.move(max(moment, self.model.now))
        assert self.model.next_due() > until
        self.move(until)

    def move(self, moment: float) -> None:
        """Do what is due at a moment, or before it."""
        self.model.now = moment
        self.turn()

    @rule(seconds=st.integers(1, 3))
    def come_late(self, seconds: int) -> None:
        """Let time jump over the moments on the way."""
        self.move(self.model.now + seconds)

    @invariant()
    def every_waiter_is_answered_once(self) -> None:
        self.answered += self.engine.answered
        self.engine.answered.clear()
        assert len(self.answered) == len(set(self.answered))
        assert set(self.answered) == {w for w in self.waiters if w.outcome is not None}

    @invariant()
    def the_engine_shows_what_the_model_shows(self) -> None:
        self.engine._check()
        assert self.snapshot() == self.model.snapshot()
        assert self.engine.due_at <= self.model.next_due()


def rounds(
    minutes: float, now: Callable[[], float], progress: TextIO
) -> Iterator[None]:
    """Yield once, and again until so many minutes have passed."""
    start = now()
    number = 1
    yield
    while (spent := (now() - start) / 60) < minutes:
        bar = "#" * int(20 * spent / minutes)
        times = f"{spent:.1f} of {minutes:g} minutes"
        progress.write(f"\r[{bar:20}] {number} rounds, {times}")
        progress.flush()
        number += 1
        yield


def test_the_engine_does_what_a_naive_model_does(
    request: pytest.FixtureRequest,
) -> None:
    minutes = request.config.getoption("soak")
    for _ in rounds(minutes, MonotonicClock.now, sys.stderr):
        run_state_machine_as_test(
            EngineAgainstModel,
            settings=settings(max_examples=200, stateful_step_count=40),
        )


def test_without_soaking_there_is_one_round() -> None:
    progress = io.StringIO()
    assert len(list(rounds(0, lambda: 0.0, progress))) == 1
    assert progress.getvalue() == ""


def test_soaking_goes_on_until_the_minutes_are_over_and_tells_how_far_it_is() -> None:
    times = iter([0.0, 30.0, 60.0, 90.0])
    progress = io.StringIO()
    assert len(list(rounds(1.5, lambda: next(times), progress))) == 3
    assert progress.getvalue() == (
        "\r[######              ] 1 rounds, 0.5 of 1.5 minutes"
        "\r[#############       ] 2 rounds, 1.0 of 1.5 minutes"
    )
