"""A naive model of the engine: it keeps lists, and sorts them each time.

In one thing it is free: where the reservations of several sessions run out in the same
moment, any of them may come first, and `Model.catch_up` yields all that may come of it.
"""

from __future__ import annotations

from collections import Counter
from copy import deepcopy
from dataclasses import dataclass, field
from itertools import permutations
from math import inf
from typing import TYPE_CHECKING, Any

from inproc_tubes import (
    ClosedError,
    DeadlineSoonError,
    NotFoundError,
    NotIgnoredError,
    TimedOutError,
    TubeFullError,
    TubesError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

UNHELD = ("ready", "delayed", "buried")


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
    maxsize: int = 0


@dataclass
class ModelSession:
    used: str | None
    watched: list[str]
    is_producer: bool = False
    is_worker: bool = False


@dataclass(kw_only=True)
class ModelPending:
    timeout_at: float
    outcome: object = None  # what it asked for, or an error as `told` has it
    waits: bool = True


@dataclass
class ModelWaiter(ModelPending):
    """Its outcome is (the job's id, the reservation)."""

    session: int
    timeout: float
    hears_deadlines: bool


@dataclass
class ModelPutter(ModelPending):
    """Its outcome are the ids."""

    session: int
    tube: str
    bodies: list[object]
    numbers: tuple[int, float, float]  # priority, delay, ttr


@dataclass
class ModelJoiner(ModelPending):
    """Its outcome is how many jobs are buried."""

    names: list[str] | None
    timeout: float


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
    putters: list[ModelPutter] = field(default_factory=list)
    joiners: list[ModelJoiner] = field(default_factory=list)
    commands: Counter[str] = field(default_factory=Counter)
    ids: int = 0
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
            "reserved": lambda job: (job.due_at, job.reservation),
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
            used = any(name in (s.used, *s.watched) for s in self.sessions.values())
            if not used and not self.tubes[name].maxsize:
                del self.tubes[name]
                strike(self.listing, name)

    # Room, and the end

    @property
    def everybody(self) -> list[ModelPending]:
        """All who have ever waited."""
        return [*self.waiters, *self.putters, *self.joiners]

    def puts_into(self, tube: str) -> list[ModelPutter]:
        """Return who waits for room in a tube, the longest waiting first."""
        return [p for p in self.putters if p.waits and p.tube == tube]

    def fits(self, tube: str, count: int) -> bool:
        inside = sum(job.tube == tube for job in self.jobs.values())
        maxsize = self.tubes[tube].maxsize
        return not maxsize or inside + count <= maxsize

    def takes(self, tube: str, count: int) -> bool:
        return not self.puts_into(tube) and self.fits(tube, count)

    def insert(
        self, tube: str, bodies: list[object], priority: int, delay: float, ttr: float
    ) -> list[int]:
        ids = []
        for body in bodies:
            self.ids += 1
            self.puts += 1
            self.tubes[tube].total_jobs += 1
            job = ModelJob(self.ids, body, tube, priority, delay, ttr, self.now)
            self.jobs[job.id] = job
            self.make_ready_in(job, delay)
            ids.append(job.id)
        return ids

    def settle(self, tube: str) -> None:
        """Let in who has room now, and end the joins that have nothing to wait for."""
        while (line := self.puts_into(tube)) and self.fits(tube, len(line[0].bodies)):
            line[0].waits = False
            line[0].outcome = self.insert(tube, line[0].bodies, *line[0].numbers)
        for joiner in self.joiners:
            if joiner.waits and (buried := self.finished(joiner.names)) is not None:
                joiner.waits = False
                joiner.outcome = buried

    def finished(self, names: list[str] | None) -> int | None:
        """Return how many are buried in tubes without other jobs; None elsewhere."""
        tubes = self.listing if names is None else names
        jobs = [job.state for job in self.jobs.values() if job.tube in tubes]
        if any(map(self.puts_into, tubes)) or set(jobs) - {"buried"}:
            return None
        return len(jobs)

    def send_away(self, putters: list[ModelPutter], error: TubesError) -> None:
        for putter in putters:
            putter.waits = False
            putter.outcome = told(error)
        for tube in dict.fromkeys(putter.tube for putter in putters):
            self.settle(tube)

    def too_late(self, putter: ModelPutter) -> TubeFullError:
        maxsize = self.tubes[putter.tube].maxsize
        return TubeFullError(putter.tube, maxsize, len(putter.bodies))

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
        line = [p for p in self.putters if p.waits and p.session == session]
        self.send_away(line, ClosedError(what))
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
        """Return the id, or 0 if there is no room."""
        ids = self.put_many(session, name, [body], priority, delay, ttr)
        return ids[0] if ids else 0

    def put_many(
        self,
        session: int,
        name: str | None,
        bodies: list[object],
        priority: int,
        delay: float,
        ttr: float,
    ) -> list[int] | None:
        self.commands["cmd_put"] += len(bodies)
        self.sessions[session].is_producer = True
        tube = name or self.sessions[session].used
        assert tube is not None  # every session of the test uses one
        if not bodies:
            return []
        self.add_tube(tube)
        if not self.takes(tube, len(bodies)):
            return None
        return self.insert(tube, bodies, priority, delay, ttr)

    def wait_for_room(
        self,
        session: int,
        timeout: float | None,
        name: str | None,
        bodies: list[object],
        *numbers: Any,
    ) -> None:
        """Wait, where `put` has found no room just now."""
        seconds = inf if timeout is None else timeout
        tube = name or self.sessions[session].used
        assert tube is not None  # every session of the test uses one
        until = self.now + seconds
        putter = ModelPutter(session, tube, bodies, numbers, timeout_at=until)
        if not seconds or len(bodies) > self.tubes[tube].maxsize:
            raise self.too_late(putter)
        self.putters.append(putter)

    def withdraw_put(self, number: int) -> None:
        putter = self.putters[number]
        if putter.waits:
            putter.waits = False
            self.settle(putter.tube)
        for job_id in putter.outcome if isinstance(putter.outcome, list) else []:
            job = self.jobs.get(job_id)
            if job is not None and not job.reserves:
                self.puts -= 1
                self.tubes[job.tube].total_jobs -= 1
                self.remove(job)

    def remove(self, job: ModelJob) -> None:
        del self.jobs[job.id]
        self.settle(job.tube)
        self.drop_tube(job.tube)

    def limit_tube(self, name: str, maxsize: int) -> None:
        if maxsize:
            self.add_tube(name)
        if name in self.tubes:
            self.tubes[name].maxsize = maxsize
            for putter in self.puts_into(name):
                if 0 < maxsize < len(putter.bodies):
                    putter.waits = False
                    putter.outcome = told(self.too_late(putter))
            self.settle(name)
            self.drop_tube(name)

    def join(self, names: list[str] | None, timeout: float | None) -> int | None:
        buried = self.finished(names)
        if buried is None:
            seconds = inf if timeout is None else timeout
            if not seconds:
                raise TimedOutError(0)
            until = self.now + seconds
            self.joiners.append(ModelJoiner(names, seconds, timeout_at=until))
        return buried

    def withdraw_join(self, number: int) -> None:
        self.joiners[number].waits = False

    def list_jobs(self, name: str, states: tuple[str, ...]) -> list[int]:
        return [job.id for state in states for job in self.in_state(state, name)]

    def clear_tube(self, name: str, states: tuple[str, ...]) -> int:
        jobs = [job for state in states for job in self.in_state(state, name)]
        for job in jobs:
            del self.jobs[job.id]
            self.commands["cmd_delete"] += 1
            self.tubes[name].cmd_delete += 1
        if name in self.tubes:
            self.settle(name)
            self.drop_tube(name)
        return len(jobs)

    def reserve(self, session: int, timeout: float | None) -> int | None:
        verb = "cmd_reserve" if timeout is None else "cmd_reserve_with_timeout"
        self.commands[verb] += 1
        self.sessions[session].is_worker = True
        return self.take_best(session)

    def reserve_many(self, session: int, n: int, timeout: float | None) -> list[int]:
        self.sessions[session].is_worker = True
        ids: list[int] = []
        while len(ids) < n and (job_id := self.take_best(session)) is not None:
            ids.append(job_id)
        verb = "cmd_reserve" if timeout is None else "cmd_reserve_with_timeout"
        self.commands[verb] += len(ids)
        return ids

    def take_best(self, session: int) -> int | None:
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
        until = self.now + seconds
        self.waiters.append(ModelWaiter(session, seconds, hears, timeout_at=until))

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
        self.tubes[job.tube].cmd_delete += 1
        self.remove(job)

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
        self.settle(job.tube)

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
            "current_putting": len(self.puts_into(name)),
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
        timeouts = [waiter.timeout_at for waiter in self.everybody if waiter.waits]
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
        self.end_timeouts(moment)

    def end_timeouts(self, moment: float) -> None:
        """Tell who has waited too long: puts first, which makes room, and joins last."""
        for putter in self.putters:
            if putter.waits and putter.timeout_at <= moment:
                self.send_away([putter], self.too_late(putter))
        for waiter in self.waiters:
            if waiter.waits and waiter.timeout_at <= moment:
                self.answer(waiter, told(TimedOutError(waiter.timeout)))
        for joiner in self.joiners:
            if joiner.waits and joiner.timeout_at <= moment:
                joiner.waits = False
                joiner.outcome = told(TimedOutError(joiner.timeout))

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
            "outcomes": [waiter.outcome for waiter in self.everybody],
            "stats": Counter(self.stats()),  # in which what is missing is 0
        }
