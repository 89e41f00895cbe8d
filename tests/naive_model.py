"""A naive model of the engine: it keeps lists, and sorts them each time.

What falls due is in `tests.model_time`, and what the statistics tell in
`tests.model_statistics`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING, Any

from inproc_tubes import (
    ClosedError,
    DeadlineSoonError,
    DrainingError,
    JobError,
    NotFoundError,
    NotFoundReason,
    NotIgnoredError,
    StoppedError,
    TimedOutError,
    TooManyTriesError,
    TubeFullError,
    TubesError,
)
from inproc_tubes.core.failure import Failure, tries_error
from inproc_tubes.core.requests import OVER
from tests import model_keys
from tests.model_parts import (
    FOREIGN,
    IS_OVER,
    ModelJob,
    ModelJoin,
    ModelPut,
    ModelRequests,
    ModelReserve,
    ModelResult,
    ModelSession,
    ModelTube,
    Peek,
    Served,
    strike,
    told,
)

if TYPE_CHECKING:
    from collections.abc import Callable


REMEMBERED = 2
"""How many jobs are remembered that have ended otherwise than by a delete."""


@dataclass
class Model:
    now: float
    jobs: dict[int, ModelJob] = field(default_factory=dict)
    tubes: dict[str, ModelTube] = field(default_factory=dict)
    listing: list[str] = field(default_factory=list)
    sessions: dict[int, ModelSession] = field(default_factory=dict)
    requests: ModelRequests = field(default_factory=ModelRequests)
    commands: Counter[str] = field(default_factory=Counter)
    ids: int = 0
    puts: int = 0
    opened: int = 0
    numbers: int = 0  # the number of the last session
    reservations: int = 0
    lost: set[int] = field(default_factory=set)  # reservations that nobody ended
    # The bodies of submitted jobs, and what came of those that have ended.
    submitted: set[object] = field(default_factory=set)
    kept: dict[object, object] = field(default_factory=dict)
    # Those of them that have expired, each with the moment and who had it.
    expired: dict[int, tuple[float, int]] = field(default_factory=dict)
    cancelled: set[int] = field(default_factory=set)  # reservations
    # How jobs have ended that were not deleted, for the last of them; and the highest id
    # of all others.
    gone: dict[int, NotFoundReason] = field(default_factory=dict)
    forgotten: int = 0
    burials: int = 0
    job_timeouts: int = 0
    draining: bool = False
    stopped: str | None = None

    # What there is, in order

    def in_state(self, state: str, tube: str) -> list[ModelJob]:
        """Return a tube's jobs in this state, as they are served."""
        keys: dict[str, Callable[[ModelJob], object]] = {
            "ready": lambda job: (job.priority, job.id),
            "delayed": lambda job: (job.due_at, job.id),
            "buried": lambda job: job.burial,
            "reserved": lambda job: (job.due_at, *self.place(job), job.reservation),
        }
        jobs = [j for j in self.jobs.values() if (j.state, j.tube) == (state, tube)]
        return sorted(jobs, key=keys[state])  # type: ignore[arg-type]  # all compare

    def place(self, job: ModelJob) -> tuple[int, int]:
        """Return the place of a job's holder among all: the abandoned come last."""
        assert job.owner is not None
        return self.sessions[job.owner].abandoned, job.owner

    def inside(self, tube: str) -> list[ModelJob]:
        """Return a tube's jobs, but those whose bodies are still to come."""
        jobs = self.jobs.values()
        return [job for job in jobs if job.tube == tube and job.state != "invalid"]

    def held(self, session: int) -> list[ModelJob]:
        """Return what a session holds, in the order of reserving."""
        jobs = [job for job in self.jobs.values() if job.owner == session]
        return sorted(jobs, key=lambda job: job.reservation)

    def soonest(self, session: int) -> ModelJob | None:
        return min(self.held(session), key=lambda job: job.due_at, default=None)

    def untold(self, session: int) -> ModelJob | None:
        """Return the job that expires first of those that it was not told of."""
        jobs = [job for job in self.held(session) if job.told_of != job.due_at]
        return min(jobs, key=lambda job: job.due_at, default=None)

    def tell(self, session: int, job: ModelJob) -> None:
        if self.sessions[session].stops:
            job.told_of = job.due_at

    def waiting(self, session: int) -> list[ModelReserve]:
        return [r for r in self.requests.reserves if r.waits and r.session == session]

    def waiting_in(self, tube: str) -> list[ModelReserve]:
        """Return the reserves that wait in a tube, the longest waiting first."""
        return [
            request
            for request in self.requests.reserves
            if request.waits and tube in self.sessions[request.session].watched
        ]

    # What happens to jobs and tubes

    def add_tube(self, name: str) -> None:
        if name not in self.tubes:
            self.tubes[name] = ModelTube()
            self.listing.append(name)

    def drop_tube(self, name: str | None) -> None:
        """Forget a tube that nothing refers to."""
        if name not in {"default", None} and not self.inside(str(name)):
            assert name is not None  # mypy does not see it
            used = any(name in (s.used, *s.watched) for s in self.sessions.values())
            tube = self.tubes[name]
            if not (used or tube.maxsize or tube.max_tries):
                del self.tubes[name]
                strike(self.listing, name)

    # Room, and the end

    def puts_into(self, tube: str) -> list[ModelPut]:
        """Return the puts that wait for room in a tube, the longest waiting first."""
        return [p for p in self.requests.puts if p.waits and p.tube == tube]

    def fits(self, tube: str, count: int) -> bool:
        maxsize = self.tubes[tube].maxsize
        return not maxsize or len(self.inside(tube)) + count <= maxsize

    def has_room(self, put: ModelPut) -> bool:
        """Tell whether the first of the puts that wait in a tube is let in."""
        if not put.on_duplicate:
            return self.fits(put.tube, len(put.bodies))
        room = model_keys.room_for(self, model_keys.Batch.of(put))
        return not room or self.fits(put.tube, room)

    def takes(self, tube: str, count: int) -> bool:
        return not self.puts_into(tube) and self.fits(tube, count)

    def insert(
        self, tube: str, bodies: list[object], priority: int, delay: float, ttr: float
    ) -> list[int]:
        ids = []
        for body in bodies:
            self.ids += 1
            job = ModelJob(self.ids, body, tube, priority, delay, ttr, self.now)
            self.add_job(job)
            ids.append(job.id)
        return ids

    def add_job(self, job: ModelJob) -> None:
        self.puts += 1
        self.tubes[job.tube].total_jobs += 1
        self.jobs[job.id] = job
        self.make_ready_in(job, job.delay)

    def settle_tube(self, tube: str) -> None:
        """Let in what has room now, and end the joins that have nothing to wait for."""
        while (line := self.puts_into(tube)) and self.has_room(line[0]):
            put = line[0]
            if put.on_duplicate:
                model_keys.let_in(self, put)
            else:
                put.waits = False
                put.outcome = put.own = self.insert(tube, put.bodies, *put.numbers)
        for join in self.requests.joins:
            if join.waits and (buried := self.finished(join.names)) is not None:
                join.waits = False
                join.outcome = buried

    def finished(self, names: list[str] | None) -> int | None:
        """Return how many are buried in tubes without other jobs; None elsewhere."""
        tubes = self.listing if names is None else dict.fromkeys(names)
        jobs = [job.state for tube in tubes for job in self.inside(tube)]
        if any(map(self.puts_into, tubes)) or set(jobs) - {"buried"}:
            return None
        return len(jobs)

    def send_away(self, puts: list[ModelPut], error: TubesError) -> None:
        for put in puts:
            put.waits = False
            put.outcome = told(error)
        for tube in dict.fromkeys(put.tube for put in puts):
            self.settle_tube(tube)

    def too_late(self, put: ModelPut) -> TubeFullError:
        maxsize = self.tubes[put.tube].maxsize
        return TubeFullError(put.tube, maxsize, put.size)

    def reserve_for(self, session: int, job: ModelJob) -> None:
        self.reservations += 1
        job.life = min(job.life, job.expires_at - self.now)
        job.expires_at = inf
        job.state = "reserved"
        job.owner = session
        job.reservation = self.reservations
        job.reserves += 1
        job.due_at = self.now + job.ttr
        job.reserved_at = self.now
        job.told_of = 0

    def answer(self, request: ModelReserve, outcome: object) -> None:
        request.waits = False
        request.outcome = outcome

    def serve(self, tube: str) -> None:
        """Hand ready jobs, the best first, to those that wait, the first first."""
        if not self.tubes[tube].paused_until:
            pairs = zip(
                self.in_state("ready", tube), self.waiting_in(tube), strict=False
            )
            for job, request in pairs:
                self.reserve_for(request.session, job)
                self.answer(request, Served(job.id, job.reservation))

    def leave_holder(self, job: ModelJob) -> None:
        """Take a job from its holder, which is forgotten if it was abandoned."""
        owner, job.owner = job.owner, None
        if owner is not None and self.sessions[owner].is_abandoned:
            self.drop_if_idle(owner)

    def drop_if_idle(self, session: int) -> None:
        if not self.held(session):
            del self.sessions[session]

    def make_ready(self, job: ModelJob) -> None:
        self.leave_holder(job)
        job.state = "ready"
        job.expires_at = self.now + job.life
        self.serve(job.tube)

    def make_ready_in(self, job: ModelJob, delay: float) -> None:
        if delay:
            self.leave_holder(job)
            job.state = "delayed"
            job.due_at = self.now + delay
        else:
            self.make_ready(job)

    def find(self, job_id: int, fence: int | None = None) -> ModelJob:
        """Return a job, unless it was reserved since that reservation."""
        job = self.jobs.get(job_id)
        if job is None or fence not in {None, job.reservation}:
            raise self.not_found(job_id, fence)
        return job

    def mine(self, session: int, job_id: int, fence: int | None) -> ModelJob:
        job = self.jobs.get(job_id)
        if job is None or fence not in {None, job.reservation} or job.owner != session:
            raise self.not_found(job_id, fence, session)
        return job

    def not_found(
        self, job_id: int, fence: int | None = None, session: int | None = None
    ) -> NotFoundError:
        """Tell why."""
        if fence == FOREIGN:
            return NotFoundError(job_id, None, None, NotFoundReason.FOREIGN)
        job = self.jobs.get(job_id)
        state = None if job is None else job.state
        holder = None if job is None else self.holder(job)
        end = self.end_of(job_id, fence) if job is None else None
        if end is NotFoundReason.CANCELLED:
            return NotFoundError(job_id, None, None, end)
        last = job.reservation if fence is None and job is not None else fence
        when, who = None, None
        if last is not None and not isinstance(fence, Peek):
            when, who = self.expired.get(last, (None, None))
        if when is not None and (fence is not None or who == session):
            expired, late = NotFoundReason.EXPIRED, self.now - when
            return NotFoundError(job_id, None, state, expired, when, late, holder)
        if job is None:
            return NotFoundError(job_id, None, None, end)
        if job.state == "reserved" and job.owner != session:
            reason = NotFoundReason.HELD
        elif fence not in {None, job.reservation}:
            reason = NotFoundReason.RESERVED_SINCE
        elif isinstance(fence, Peek):
            reason = NotFoundReason.ONLY_PEEKED
        else:
            reason = NotFoundReason.WRONG_STATE
        return NotFoundError(job_id, None, state, reason, holder=holder)

    def holder(self, job: ModelJob) -> str | None:
        """Return the name of who holds a job."""
        return None if job.owner is None else self.sessions[job.owner].name

    def end_of(self, job_id: int, fence: int | None) -> NotFoundReason:
        """Tell what has become of a job that is not there."""
        if fence in self.cancelled and not isinstance(fence, Peek):
            return NotFoundReason.CANCELLED
        if not 0 < job_id <= self.ids:
            return NotFoundReason.NEVER_PUT
        is_known = job_id > self.forgotten
        return self.gone.get(
            job_id, NotFoundReason.DELETED if is_known else NotFoundReason.GONE
        )

    def remember(self, job_id: int, reason: NotFoundReason) -> None:
        self.gone[job_id] = reason
        if len(self.gone) > REMEMBERED:
            oldest = min(self.gone, key=list(self.gone).index)
            self.forgotten = max(self.forgotten, oldest)
            del self.gone[oldest]

    # Sessions and tubes, as the engine has them

    def open_session(
        self,
        used: str | None,
        watched: list[str],
        stops: bool,  # noqa: FBT001 - a turn passes arguments by position
    ) -> None:
        for name in filter(None, [used, *watched]):
            self.add_tube(name)
        self.opened += 1
        self.numbers += 1
        client = ModelSession(
            used,
            list(dict.fromkeys(watched)),
            stops=stops,
            name=f"client {self.numbers}",
        )
        self.sessions[self.numbers] = client
        if self.stopped is not None and stops:
            self.stop_session(self.numbers, self.stopped)

    def stop_session(self, session: int, what: str) -> None:
        client = self.sessions[session]
        if client.stopped is None:
            client.stopped = what
            for request in self.waiting(session):
                self.answer(request, told(StoppedError(what)))
            self.watch_nothing(session)

    def stop(self, what: str) -> None:
        self.stopped = what = self.stopped or what
        for number, client in self.sessions.items():
            if client.stops and not client.is_abandoned:
                self.stop_session(number, what)
        line = [put for put in self.requests.puts if put.waits]
        self.send_away(line, StoppedError(what))
        for join in self.requests.joins:
            if join.waits:
                join.waits = False
                join.outcome = told(StoppedError(what))

    def refuse_if_stopped(self, session: int) -> None:
        stopped = self.sessions[session].stopped
        if stopped is not None:
            raise StoppedError(stopped)

    def close_session(self, session: int, what: str) -> None:
        for request in self.waiting(session):
            self.answer(request, told(ClosedError(what)))
        line = [p for p in self.requests.puts if p.waits and p.session == session]
        self.send_away(line, ClosedError(what))
        self.abort_put(session)
        for job in self.held(session):
            self.lost.add(job.reservation)
            self.make_ready(job)
        self.leave_tubes(session)
        del self.sessions[session]

    def leave_tubes(self, session: int) -> None:
        self.watch_nothing(session)
        gone = self.sessions[session]
        used, gone.used = gone.used, None
        self.drop_tube(used)

    def watch_nothing(self, session: int) -> None:
        watched = self.sessions[session].watched
        for name in list(watched):
            strike(watched, name)
            self.drop_tube(name)

    def abandon(self, session: int, what: str) -> None:
        """Drop the handle of a session whose jobs somebody has, if it holds any."""
        if not self.held(session):
            self.close_session(session, what)
        else:
            last = max(client.abandoned for client in self.sessions.values())
            self.sessions[session].abandoned = last + 1
            self.leave_tubes(session)

    def drain(self) -> None:
        self.draining = True
        line = [put for put in self.requests.puts if put.waits]
        self.send_away(line, DrainingError())

    def use(self, session: int, name: str) -> None:
        self.commands["cmd_use"] += 1
        self.add_tube(name)
        old = self.sessions[session].used
        self.sessions[session].used = name
        self.drop_tube(old)

    def watch(self, session: int, names: list[str]) -> int:
        self.refuse_if_stopped(session)
        watched = self.sessions[session].watched
        for name in names:
            self.commands["cmd_watch"] += 1
            self.add_tube(name)
            if name not in watched:
                watched.append(name)
                self.serve(name)
        return len(watched)

    def ignore(self, session: int, name: str) -> int:
        self.refuse_if_stopped(session)
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

    def limit_tube(self, name: str, maxsize: int) -> None:
        if maxsize:
            self.add_tube(name)
        if name in self.tubes:
            self.tubes[name].maxsize = maxsize
            for put in self.puts_into(name):
                if 0 < maxsize < put.size:
                    put.waits = False
                    put.outcome = told(self.too_late(put))
            self.settle_tube(name)
            self.drop_tube(name)

    def clear_tube(self, name: str, states: tuple[str, ...]) -> int:
        jobs = [job for state in states for job in self.in_state(state, name)]
        for job in jobs:
            del self.jobs[job.id]
            self.keep(job, "cancelled")
            self.commands["cmd_delete"] += 1
            self.tubes[name].cmd_delete += 1
        if name in self.tubes:
            self.settle_tube(name)
            self.drop_tube(name)
        return len(jobs)

    # Putting

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
        if self.draining:
            self.ids += len(bodies)
            raise DrainingError
        tube = name or self.sessions[session].used
        assert tube is not None  # every session of the test uses one
        if not bodies:
            return []
        self.add_tube(tube)
        if not self.takes(tube, len(bodies)):
            return None
        return self.insert(tube, bodies, priority, delay, ttr)

    def put_numbered(
        self,
        session: int,
        name: str | None,
        job_id: int,
        body: object,
        numbers: tuple[int, float, float],
    ) -> None:
        """Put a job that has its id, whether there is room or not."""
        tube = name or self.sessions[session].used
        assert tube is not None  # every session of the test uses one
        self.commands["cmd_put"] += 1
        if not self.draining:
            self.sessions[session].is_producer = True
            self.add_tube(tube)
            self.add_job(ModelJob(job_id, body, tube, *numbers, self.now))

    def wait_to_put(
        self,
        session: int,
        timeout: float | None,
        name: str | None,
        bodies: list[object],
        *numbers: Any,
        batch: model_keys.Batch | None = None,
    ) -> None:
        """Wait, where `put` has found no room just now."""
        seconds = inf if timeout is None else timeout
        tube = name or self.sessions[session].used
        assert tube is not None  # every session of the test uses one
        until = self.now + seconds
        put = ModelPut(session, tube, bodies, numbers, timeout_at=until)
        if batch is not None:
            put.keys, put.on_duplicate = batch.keys, batch.on_duplicate
            put.life = batch.life
        if not seconds or put.size > self.tubes[tube].maxsize:
            raise self.too_late(put)
        if self.stopped is not None:
            raise StoppedError(self.stopped)
        self.requests.puts.append(put)

    def withdraw_put(self, number: int) -> None:
        put = self.requests.puts[number]
        if put.waits:
            put.waits = False
            self.settle_tube(put.tube)
        for job_id in put.own:
            job = self.jobs.get(job_id)
            if job is not None and not job.reserves:
                self.puts -= 1
                self.tubes[job.tube].total_jobs -= 1
                self.remove(job)

    def keep(self, job: ModelJob, outcome: object) -> None:
        """Tell whoever has submitted a job what has come of it."""
        if job.body in self.submitted:
            self.submitted.discard(job.body)
            self.kept[job.body] = outcome
            for request in self.requests.results:
                if request.waits and request.body == job.body:
                    request.waits = False
                    request.outcome = IS_OVER

    def await_end(self, body: object, timeout: float | None) -> None:
        if timeout == 0:
            raise TimedOutError(0, "no result")
        seconds = inf if timeout is None else timeout
        until = self.now + seconds
        self.requests.results.append(ModelResult(body, seconds, timeout_at=until))

    def withdraw_result(self, number: int) -> None:
        self.requests.results[number].waits = False

    def remove(self, job: ModelJob, outcome: object = "cancelled") -> None:
        del self.jobs[job.id]
        self.keep(job, outcome)
        self.leave_holder(job)
        self.settle_tube(job.tube)
        self.drop_tube(job.tube)

    def begin_put(
        self, session: int, body: object, priority: int, delay: int, ttr: int
    ) -> None:
        """Take an id for a job whose body is still to come."""
        self.commands["cmd_put"] += 1
        self.ids += 1
        client = self.sessions[session]
        client.is_producer = True
        client.incoming = self.ids
        job = ModelJob(
            self.ids, body, str(client.used), priority, delay, ttr, self.now, "invalid"
        )
        self.jobs[job.id] = job

    def abort_put(self, session: int) -> None:
        client = self.sessions[session]
        self.jobs.pop(client.incoming or 0, None)
        client.incoming = None

    def finish_put(self, session: int, body: object) -> int:
        job = self.jobs[self.sessions[session].incoming or 0]
        self.abort_put(session)
        if self.draining:
            raise DrainingError
        if not self.takes(job.tube, 1):
            raise TubeFullError(job.tube, self.tubes[job.tube].maxsize)
        job.body = body
        self.add_job(job)
        return job.id

    # Joining

    def join(self, names: list[str] | None, timeout: float | None) -> int | None:
        buried = self.finished(names)
        if buried is None:
            seconds = inf if timeout is None else timeout
            if not seconds:
                raise TimedOutError(0)
            if self.stopped is not None:
                raise StoppedError(self.stopped)
            until = self.now + seconds
            self.requests.joins.append(ModelJoin(names, seconds, timeout_at=until))
        return buried

    def withdraw_join(self, number: int) -> None:
        self.requests.joins[number].waits = False

    # Reserving

    def reserve(self, session: int, timeout: float | None) -> int | None:
        self.refuse_if_stopped(session)
        verb = "cmd_reserve" if timeout is None else "cmd_reserve_with_timeout"
        self.commands[verb] += 1
        self.sessions[session].is_worker = True
        return self.take_best(session)

    def reserve_many(self, session: int, n: int, timeout: float | None) -> list[int]:
        self.refuse_if_stopped(session)
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

    def wait_to_reserve(
        self, session: int, timeout: float | None, *, told_of_deadlines: bool
    ) -> None:
        job = self.untold(session)
        if told_of_deadlines and job is not None and job.due_at - 1 <= self.now:
            self.tell(session, job)
            raise DeadlineSoonError(job.id, job.due_at - self.now)
        if timeout == 0:
            raise TimedOutError(0)
        seconds = inf if timeout is None else timeout
        until = self.now + seconds
        self.requests.reserves.append(
            ModelReserve(session, seconds, told_of_deadlines, timeout_at=until)
        )

    def withdraw_reserve(self, number: int) -> None:
        request = self.requests.reserves[number]
        request.waits = False
        held = self.held(request.session)
        for job in [j for j in held if request.outcome == Served(j.id, j.reservation)]:
            job.reserves -= 1
            self.make_ready(job)
        if isinstance(request.outcome, Served):
            request.outcome = told(OVER)

    def reserve_job(self, session: int, job_id: int) -> int:
        self.refuse_if_stopped(session)
        job = self.jobs.get(job_id)
        if job is None or job.state in {"reserved", "invalid"}:
            raise self.not_found(job_id, None, session)
        self.sessions[session].is_worker = True
        self.reserve_for(session, job)
        return job.id

    # Settling

    def delete(
        self, session: int, job_id: int, fence: int | None, result: object = None
    ) -> int:
        self.commands["cmd_delete"] += 1
        job = self.jobs.get(job_id)
        if (
            job is None
            or fence not in {None, job.reservation}
            or job.owner not in {None, session}
            or job.state == "invalid"
        ):
            raise self.not_found(job_id, fence, session)
        if fence is not None and not isinstance(fence, Peek) and job.owner is None:
            self.expired.pop(fence, None)  # late, and yet done by who had it
        self.tubes[job.tube].cmd_delete += 1
        self.remove(job, ("done", result))
        return job_id

    def finish(self, session: int, job_id: int, fence: int, result: object) -> int:
        job = self.jobs.get(job_id)
        mine = job is not None and job.reservation == fence
        late = mine and job is not None and job.owner is None and fence in self.lost
        if not late and not (mine and job is not None and job.owner == session):
            self.commands["cmd_delete"] += 1
            raise self.not_found(job_id, fence, session)
        return self.delete(session, job_id, fence, result)

    def fail(
        self, session: int, job_id: int, fence: int, failure: Failure, error: object
    ) -> None:
        self.bury(session, job_id, fence, None, failure)
        self.keep(self.jobs[job_id], ("failed", repr(error)))

    def withdraw_job(self, job_id: int) -> None:
        job = self.jobs.get(job_id)
        if job is not None and job.body in self.submitted and job.owner is None:
            self.cancel_job(job_id, None)

    def cancel_job(self, job_id: int, fence: int | None) -> int:
        job = self.jobs.get(job_id)
        if job is None or fence == FOREIGN or job.state == "invalid":
            raise self.not_found(job_id, fence)
        if job.owner is not None:
            self.lost.add(job.reservation)
            self.cancelled.add(job.reservation)
        self.remember(job_id, NotFoundReason.CANCELLED)
        self.commands["cmd_delete"] += 1
        self.tubes[job.tube].cmd_delete += 1
        self.remove(job)
        return job_id

    def note(self, job: ModelJob, failure: Failure | None) -> None:
        if failure is not None:
            job.error = JobError(*failure, job.tube, job.reserves, self.now)

    def release(
        self,
        session: int,
        job_id: int,
        fence: int | None,
        priority: int | None,
        delay: float,
        failure: Failure | None = None,
    ) -> None:
        self.commands["cmd_release"] += 1
        job = self.mine(session, job_id, fence)
        job.priority = job.priority if priority is None else priority
        job.delay = delay
        job.releases += 1
        self.note(job, failure)
        self.put_back(job, delay)

    def bury(
        self,
        session: int,
        job_id: int,
        fence: int | None,
        priority: int | None,
        failure: Failure | None = None,
    ) -> None:
        self.commands["cmd_bury"] += 1
        job = self.mine(session, job_id, fence)
        job.priority = job.priority if priority is None else priority
        job.buries += 1
        self.note(job, failure)
        self.set_aside(job)

    def set_aside(self, job: ModelJob) -> None:
        self.leave_holder(job)
        job.state = "buried"
        self.burials += 1
        job.burial = self.burials
        self.settle_tube(job.tube)

    def put_back(self, job: ModelJob, delay: float) -> None:
        """Give a job back, or bury it if it was tried too often."""
        if 0 < self.tubes[job.tube].max_tries <= job.reserves:
            job.buries += 1
            failure = tries_error(job.reserves, job.tube, self.now, job.error)
            job.error = failure
            self.set_aside(job)
            self.keep(job, ("failed", TooManyTriesError))
        else:
            self.make_ready_in(job, delay)

    def limit_tries(self, name: str, tries: int) -> None:
        if tries:
            self.add_tube(name)
        if name in self.tubes:
            self.tubes[name].max_tries = tries
            self.drop_tube(name)

    def touch(self, session: int, job_id: int, fence: int | None) -> None:
        self.commands["cmd_touch"] += 1
        job = self.mine(session, job_id, fence)
        job.due_at = self.now + job.ttr

    def leave_a_block(
        self, session: int, job_id: int, fence: int, end: Failure | str | None
    ) -> None:
        """Leave the block of the job of this reservation: by a failure, "cancel", None."""
        job = self.jobs.get(job_id)
        is_held = job is not None and (job.owner, job.reservation) == (session, fence)
        if end is None:
            if is_held or (fence in self.lost and job is not None):
                self.delete(session, job_id, fence)
        elif is_held and isinstance(end, Failure):
            self.bury(session, job_id, fence, None, end)
        elif is_held:
            self.release(session, job_id, fence, None, 0)

    def kick(self, name: str, bound: int) -> int:
        self.commands["cmd_kick"] += 1
        jobs = self.in_state("buried", name) or self.in_state("delayed", name)
        for job in jobs[:bound]:
            self.kick_job(job.id, None)
        return len(jobs[:bound])

    def kick_job(self, job_id: int, fence: int | None) -> None:
        job = self.find(job_id, fence)
        if job.state not in {"buried", "delayed"}:
            raise self.not_found(job_id, fence)
        job.kicks += 1
        self.make_ready(job)

    # Looking

    def peek(self, job_id: int) -> int:
        self.commands["cmd_peek"] += 1
        return self.find(job_id).id

    def peek_state(self, state: str, name: str) -> int:
        self.commands[f"cmd_peek_{state}"] += 1
        jobs = self.in_state(state, name)
        if not jobs:
            raise NotFoundError(None, name, state)
        return jobs[0].id

    def list_jobs(self, name: str, states: tuple[str, ...]) -> list[int]:
        return [job.id for state in states for job in self.in_state(state, name)]
