"""The engine beside the naive model of it: every verb is done by both, at random."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from math import inf
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from inproc_tubes import JobState, TubesError
from inproc_tubes.core import results
from inproc_tubes.core.event_log import EventLog
from inproc_tubes.core.failure import Failure
from inproc_tubes.core.making import new_job, peeked
from inproc_tubes.core.requests import (
    OVER,
    WITHOUT_WARNING,
    JoinRequest,
    PutRequest,
    ReserveRequest,
    ResultRequest,
)
from tests import model_keys, model_moves, model_statistics
from tests.engine_driver import Holder
from tests.event_follower import Follower
from tests.model_comparison import EngineAndModel, Handle, Sleeper
from tests.model_parts import UNHELD, Served, told
from tests.model_time import next_due

if TYPE_CHECKING:
    from inproc_tubes.core.record import AnyJob
    from inproc_tubes.core.schedule import AnyRequest

TUBES = ("default", "t1", "t2")
tubes = st.sampled_from(TUBES)
names = st.sampled_from((*TUBES, "nowhere"))  # nobody makes that one
which = st.integers(0, 11)
priorities = st.sampled_from((0, 1, 1023, 1024))
delays = st.integers(0, 2)
ttrs = st.integers(1, 3)
timeouts = st.sampled_from((None, 1, 2, 3, 0))
limits = st.integers(0, 3)
failures = st.none() | st.builds(
    Failure, type=st.just("Error"), text=st.sampled_from("ab"), traceback=st.just("...")
)
# How a block is left: normally, by a failure, or by a cancellation.
ends = failures | st.just("cancel")
keys = st.lists(st.sampled_from(("a", "b", None)), min_size=1, max_size=2)
lives = st.sampled_from((inf, 1, 2, 3))
modes = st.sampled_from(("raise", "keep", "replace"))
# None: by its id. Else by a handle: 0 that of the job now, 1 one of before, 2 a look.
fences = st.sampled_from((None, None, 0, 0, 1, 2))


class EngineAgainstModel(EngineAndModel):
    """The rules: one for each verb."""

    # Events

    @rule(really=st.integers(0, 2))
    def follow(self, really: int) -> None:
        """Begin to record events, or end it. Without them verbs take shorter ways."""
        if really == 2:
            self.follower = None if self.follower else Follower(self.engine)
            log = EventLog(self.engine.turn.after) if self.follower else None
            if log is not None and self.follower is not None:
                log.subscribers = [self.follower]
            self.engine.turn.log = log
            self.engine.store.record(recorded=log is not None)

    # Sessions and tubes

    @initialize(
        limits=st.lists(st.tuples(tubes, limits), max_size=4),
        jobs=st.lists(st.tuples(tubes, priorities, ttrs), max_size=6),
        reserves=st.lists(st.tuples(which, timeouts, st.booleans()), max_size=8),
    )
    def begin(
        self,
        limits: list[tuple[str, int]],
        jobs: list[tuple[str, int, int]],
        reserves: list[tuple[int, int | None, bool]],
    ) -> None:
        for used, watched, stops in (
            ("default", ["default"], True),
            ("t1", ["t1", "default"], True),
            ("default", ["default", "t1", "default"], False),
        ):
            self.open_session(used, watched, stops)
        for name, maxsize in limits:
            self.limit_tube(name, maxsize)
        for name, priority, ttr in jobs:
            self.put(1, name, priority, 0, ttr, None, submits=priority > 0)
        for session, timeout, warned in reserves:
            self.reserve(session, timeout, warned)

    @precondition(lambda self: len(self.open) < 4)
    @rule(
        used=tubes,
        watched=st.lists(tubes, min_size=1, max_size=3),
        stops=st.booleans(),
    )
    def open_session(self, used: str, watched: list[str], stops: bool) -> None:  # noqa: FBT001 - hypothesis passes it by name
        self.turn()
        name = f"client {self.model.numbers + 1}"
        session = self.take_turn(
            self.engine.open_session, self.model.now, used, watched, stops, name
        )
        session.holder = Holder(self.engine.jobs, session)
        self.model.open_session(used, watched, stops)
        self.sessions[self.model.numbers] = session

    @rule(session=which, really=st.integers(0, 3))
    def stop_session(self, session: int, really: int) -> None:
        # It is for good, so that most sessions should be without.
        if really == 3:
            number = self.session(session)
            for _ in ("once", "twice has no effect"):
                self.verb("stop_session", "stopped", session=number)

    @precondition(lambda self: len(self.open) > 1)
    @rule(session=which)
    def close_session(self, session: int) -> None:
        number = self.session(session)
        self.verb("close_session", "closed", session=number)
        # Twice has no effect.
        gone = self.sessions.pop(number)
        self.take_turn(self.engine.clients.close_session, self.model.now, gone, "again")
        assert gone.closed == "closed"

    @precondition(lambda self: len(self.open) > 1)
    @rule(session=which)
    def abandon(self, session: int) -> None:
        """Drop the handle of a session; its user has all jobs that it holds."""
        number = self.session(session)
        client = self.sessions[number]
        # What waits keeps its handle alive, and a connection has no handles.
        if not (client.tickets or client.puts or client.incoming):
            self.verb("abandon", "dropped", session=number)

    @rule(session=which, name=tubes)
    def use(self, session: int, name: str) -> None:
        number = self.session(session)
        # A connection does nothing else before the body of its put has come.
        if self.sessions[number].incoming is None:
            self.verb("use", name, session=number)

    @rule(session=which, names=st.lists(tubes, min_size=1, max_size=2))
    def watch(self, session: int, names: list[str]) -> None:
        self.verb("watch", names, session=self.session(session))

    @rule(session=which, name=names)
    def ignore(self, session: int, name: str) -> None:
        self.verb("ignore", name, session=self.session(session))

    @rule(name=names, delay=delays)
    def pause_tube(self, name: str, delay: int) -> None:
        self.verb("pause_tube", name, delay)

    @rule(really=st.integers(0, 40))
    def drain(self, really: int) -> None:
        # It is for good, so most of the runs should be without.
        if really == 27:
            self.verb("drain")

    @rule(really=st.integers(0, 40))
    def stop(self, really: int) -> None:
        # As `drain`.
        if really == 27:
            self.verb("stop", "all stopped")
            self.verb("stop", "twice has no effect")

    # Putting

    @rule(
        session=which,
        name=st.none() | tubes,
        priority=priorities,
        delay=st.just(0) | delays,
        ttr=ttrs,
        timeout=timeouts,
        submits=st.booleans(),
    )
    def put(
        self,
        session: int,
        name: str | None,
        priority: int,
        delay: int,
        ttr: int,
        timeout: int | None,
        submits: bool = False,  # noqa: FBT001, FBT002 - hypothesis passes it by name
    ) -> None:
        self.turn()
        who = self.session(session)
        numbers = (priority, delay, ttr)
        if submits:
            self.submit(who, name, numbers, timeout)
            return
        body = self.body()
        job = new_job(body, *numbers)
        put, client, now = self.engine.put, self.sessions[who], self.model.now
        job_id = self.both(
            lambda: self.take_turn(put, now, client, job, name),
            lambda: self.model.put(who, name, body, *numbers),
        )
        if job_id == 0:
            self.wait_to_put(who, timeout, name, [job], numbers)

    def submit(
        self,
        who: int,
        name: str | None,
        numbers: tuple[int, int, int],
        timeout: int | None,
    ) -> None:
        """Put a job that somebody waits for."""
        job = self.submitted(*numbers)
        put, client, now = self.engine.put_many, self.sessions[who], self.model.now
        ids = self.both(
            lambda: self.take_turn(put, now, client, [job], name),
            lambda: self.model.put_many(who, name, [job._body], *numbers),
        )
        if ids is None:
            self.wait_to_put(who, timeout, name, [job], numbers)

    @rule(
        session=which,
        name=st.none() | tubes,
        count=st.integers(0, 3),
        priority=priorities,
        delay=st.just(0) | delays,
        ttr=ttrs,
        timeout=timeouts,
    )
    def put_many(
        self,
        session: int,
        name: str | None,
        count: int,
        priority: int,
        delay: int,
        ttr: int,
        timeout: int | None,
    ) -> None:
        self.turn()
        who = self.session(session)
        numbers = (priority, delay, ttr)
        jobs: list[AnyJob] = [new_job(self.body(), *numbers) for _ in range(count)]
        put, client, now = self.engine.put_many, self.sessions[who], self.model.now
        bodies: list[object] = [job._body for job in jobs]
        ids = self.both(
            lambda: self.take_turn(put, now, client, jobs, name),
            lambda: self.model.put_many(who, name, bodies, *numbers),
        )
        if ids is None:
            self.wait_to_put(who, timeout, name, jobs, numbers)

    @rule(
        session=which,
        name=st.none() | tubes,
        keys=keys,
        on_duplicate=modes,
        delay=st.just(0) | delays,
        timeout=timeouts,
        life=lives,
    )
    def put_unique(
        self,
        session: int,
        name: str | None,
        keys: list[str | None],
        on_duplicate: str,
        delay: int,
        timeout: int | None,
        life: float = inf,
    ) -> None:
        self.turn()
        who, numbers = self.session(session), (0, delay, 3)
        batch = self.batch(who, name, keys, on_duplicate, numbers, life)
        jobs, mode = self.jobs_of(batch), self.mode_of(batch)
        put, client, now = self.engine.put_many, self.sessions[who], self.model.now
        ids = self.both(
            lambda: self.take_turn(put, now, client, jobs, name, mode),
            lambda: model_keys.put_unique(self.model, who, batch),
        )
        if ids is None:
            self.wait_to_put(who, timeout, name, jobs, numbers, batch)

    def batch(
        self,
        who: int,
        name: str | None,
        keys: list[str | None],
        on_duplicate: str,
        numbers: tuple[int, int, int],
        life: float,
    ) -> model_keys.Batch:
        if on_duplicate != "keep" and any(keys):
            keys = list(dict.fromkeys(keys))  # a shell refuses all else
        tube = name or str(self.model.sessions[who].used)
        bodies: list[object] = [self.body() for _ in keys]
        return model_keys.Batch(tube, bodies, keys, on_duplicate, numbers, life)

    def jobs_of(self, batch: model_keys.Batch) -> list[AnyJob]:
        jobs: list[AnyJob] = [new_job(body, *batch.numbers) for body in batch.bodies]
        for job, key in zip(jobs, batch.keys, strict=True):
            job._own_history().key = key
            job._own_history().life = batch.life
        return jobs

    def mode_of(self, batch: model_keys.Batch) -> str:
        """Return what a shell tells the engine: nothing of keys, if there are none."""
        return batch.on_duplicate if any(batch.keys) else ""

    @rule(
        session=which,
        name=st.none() | tubes,
        keys=keys,
        on_duplicate=modes,
        life=lives,
    )
    def put_unique_by_a_finaliser(
        self,
        session: int,
        name: str | None,
        keys: list[str | None],
        on_duplicate: str,
        life: float = inf,
    ) -> None:
        self.turn()
        who = self.session(session)
        batch = self.batch(who, name, keys, on_duplicate, (0, 0, 60), life)
        jobs, mode = self.jobs_of(batch), self.mode_of(batch)
        ids = self.engine.store.number(jobs)
        self.model.ids += len(ids)
        put, client, now = self.engine.put_numbered, self.sessions[who], self.model.now
        for _ in ("once", "twice has no effect"):
            self.take_turn(put, now, client, jobs, name, mode)
        model_keys.put_numbered(self.model, who, batch, ids)

    @precondition(lambda self: self.full())
    @rule(
        session=which,
        tube=which,
        keys=keys,
        on_duplicate=modes,
        timeout=timeouts,
        life=lives,
    )
    def put_unique_into_a_full_tube(
        self,
        session: int,
        tube: int,
        keys: list[str | None],
        on_duplicate: str,
        timeout: int | None,
        life: float = inf,
    ) -> None:
        name = self.full()[tube % len(self.full())]
        self.put_unique(session, name, keys, on_duplicate, 0, timeout, life)

    @precondition(lambda self: self.full())
    @rule(
        session=which, tube=which, count=st.integers(1, 2), ttr=ttrs, timeout=timeouts
    )
    def put_into_a_full_tube(
        self, session: int, tube: int, count: int, ttr: int, timeout: int | None
    ) -> None:
        name = self.full()[tube % len(self.full())]
        self.put_many(session, name, count, 0, 0, ttr, timeout)

    def full(self) -> list[str]:
        return [name for name in self.model.tubes if not self.model.takes(name, 1)]

    def wait_to_put(
        self,
        who: int,
        timeout: int | None,
        name: str | None,
        jobs: list[AnyJob],
        numbers: tuple[int, int, int],
        batch: model_keys.Batch | None = None,
    ) -> None:
        mode = self.mode_of(batch) if batch else ""
        request = PutRequest(self.sessions[who], timeout, jobs, name or "", mode)
        request.sleeper = Sleeper(request, self.answered)
        wait, now = self.engine.wait_to_put, self.model.now
        bodies = [job._body for job in jobs]
        refused = self.both(
            lambda: self.take_turn(wait, now, request),
            lambda: self.model.wait_to_put(
                who, timeout, name, bodies, *numbers, batch=batch
            ),
        )
        if refused is None:
            self.puts.append(request)

    @rule(
        session=which,
        name=st.none() | tubes,
        count=st.integers(1, 2),
        priority=priorities,
        delay=delays,
    )
    def put_by_a_finaliser(
        self, session: int, name: str | None, count: int, priority: int, delay: int
    ) -> None:
        """Put jobs that have their ids already, after one that is younger."""
        self.turn()
        who, numbers = self.session(session), (priority, delay, 60)
        jobs: list[AnyJob] = [new_job(self.body(), *numbers) for _ in range(count)]
        ids = self.engine.store.number(jobs)
        bodies = [job._body for job in jobs]
        self.model.ids += count
        self.put(session, name, priority, 0, 60, 0)
        put, client, now = self.engine.put_numbered, self.sessions[who], self.model.now
        # A second call has no effect, but that a refusal is counted again.
        for _ in range(1 if self.model.draining else 2):
            self.take_turn(put, now, client, jobs, name)
        for job_id, body in zip(ids, bodies, strict=True):
            self.model.put_numbered(who, name, job_id, body, numbers)

    @rule(session=which, priority=priorities, delay=delays, ttr=ttrs)
    def begin_put(self, session: int, priority: int, delay: int, ttr: int) -> None:
        """Read the line of a put, over the wire, but not yet its body."""
        number = self.session(session)
        if self.sessions[number].incoming is None:
            numbers = (priority, delay, ttr)
            self.verb("begin_put", self.body(), *numbers, session=number)

    @precondition(lambda self: self.connections())
    @rule(session=which)
    def finish_put(self, session: int) -> None:
        number = self.connections()[session % len(self.connections())]
        self.verb("finish_put", b"%d" % self.body(), session=number)

    @precondition(lambda self: self.connections())
    @rule(session=which)
    def abort_put(self, session: int) -> None:
        number = self.connections()[session % len(self.connections())]
        self.verb("abort_put", session=number)

    def connections(self) -> list[int]:
        """Return the sessions from which a body is still to come."""
        return [n for n in self.open if self.sessions[n].incoming is not None]

    @precondition(lambda self: self.puts)
    @rule(back=which)
    def withdraw_put(self, back: int) -> None:
        """Give up, be it with its jobs in already."""
        number = len(self.puts) - 1 - back % len(self.puts)
        self.turn()
        self.withdraw_from_engine(self.puts[number])
        self.model.withdraw_put(number)

    def withdraw_from_engine(self, request: AnyRequest) -> None:
        self.take_turn(self.engine.dispatch.withdraw, self.model.now, request)

    @rule(name=names, maxsize=limits)
    def limit_tube(self, name: str, maxsize: int) -> None:
        self.verb("limit_tube", name, maxsize)

    @precondition(lambda self: self.full())
    @rule(tube=which, maxsize=limits)
    def limit_a_full_tube(self, tube: int, maxsize: int) -> None:
        self.limit_tube(self.full()[tube % len(self.full())], maxsize)

    @rule(name=names, tries=limits)
    def limit_tries(self, name: str, tries: int) -> None:
        self.verb("limit_tries", name, tries)

    # Joining and clearing

    @rule(
        names=st.none() | st.lists(names, min_size=1, max_size=2),
        timeout=timeouts,
    )
    def join(self, names: list[str] | None, timeout: int | None) -> None:
        self.turn()
        request = JoinRequest(timeout, names)
        request.sleeper = Sleeper(request, self.answered)

        def begin() -> object:
            self.take_turn(self.engine.join, self.model.now, request)
            return request.outcome

        if self.both(begin, lambda: self.model.join(names, timeout)) is None:
            self.joins.append(request)

    @precondition(lambda self: self.joins)
    @rule(back=which)
    def withdraw_join(self, back: int) -> None:
        number = len(self.joins) - 1 - back % len(self.joins)
        self.turn()
        self.withdraw_from_engine(self.joins[number])
        self.model.withdraw_join(number)

    @rule(name=names, states=st.lists(st.sampled_from(UNHELD), unique=True))
    def clear_tube(self, name: str, states: list[str]) -> None:
        self.turn()
        clear, now = self.engine.interventions.clear_tube, self.model.now
        self.both(
            lambda: len(self.take_turn(clear, now, name, self.states(states))),
            lambda: self.model.clear_tube(name, tuple(states)),
        )

    def states(self, words: list[str]) -> tuple[JobState, ...]:
        return tuple(map(JobState, words))

    # Reserving

    @rule(session=which, n=st.integers(1, 4), timeout=timeouts)
    def reserve_many(self, session: int, n: int, timeout: int | None) -> None:
        self.turn()
        who = self.session(session)
        reserve, now, client = (
            self.engine.reserve_many,
            self.model.now,
            self.sessions[who],
        )
        self.both(
            lambda: [
                job._id for job in self.take_turn(reserve, now, client, n, timeout)
            ],
            lambda: self.model.reserve_many(who, n, timeout),
        )

    @rule(session=which, timeout=timeouts, warned=st.booleans())
    def reserve(self, session: int, timeout: int | None, warned: bool) -> None:  # noqa: FBT001 - hypothesis passes it by name
        who = self.session(session)
        # Whoever is not warned waits for ever.
        seconds = timeout if warned else None
        if self.verb("reserve", seconds, session=who) is not None:
            return
        timeout_given = seconds if warned else WITHOUT_WARNING
        request = ReserveRequest(self.sessions[who], timeout_given)
        request.sleeper = Sleeper(request, self.answered)
        wait, now = self.engine.wait_to_reserve, self.model.now
        refused = self.both(
            lambda: self.take_turn(wait, now, request),
            lambda: self.model.wait_to_reserve(who, seconds, told_of_deadlines=warned),
        )
        if refused is None:
            self.reserves.append(request)

    @precondition(lambda self: self.reserves)
    @rule(back=which, late=st.booleans())
    def withdraw_reserve(self, back: int, late: bool) -> None:  # noqa: FBT001 - hypothesis passes it by name
        """Give up, if it is ``late`` with a job that it was given already."""
        jobs = {Served(job.id, job.reservation) for job in self.model.jobs.values()}
        ours = self.model.requests.reserves
        served = [n for n, request in enumerate(ours) if request.outcome in jobs]
        numbers = (late and served) or range(len(self.reserves))
        number = numbers[-1 - back % len(numbers)]
        self.turn()
        request = self.reserves[number]
        outcome = request.outcome
        self.withdraw_from_engine(request)
        self.model.withdraw_reserve(number)
        if request.outcome is OVER:
            self.model.requests.reserves[number].outcome = told(OVER)
        # Nobody has seen its job, whose reservation has never been.
        self.handles = [h for h in self.handles if h.job is not outcome]
        self.looks = [h for h in self.looks if h.job._original is not outcome]  # type: ignore[attr-defined]  # a look is a PeekedJob

    @rule(session=which, seconds=st.just(0))
    def time_out(self, session: int, seconds: int) -> None:
        """Answer a reserve ahead of its time, as for a connection half closed."""
        del seconds
        self.turn()
        waiting = [n for n, r in enumerate(self.model.requests.reserves) if r.waits]
        if waiting:
            number = waiting[session % len(waiting)]
            request, ours = self.reserves[number], self.model.requests.reserves[number]
            self.take_turn(self.engine.dispatch.time_out, self.model.now, request)
            assert isinstance(request.outcome, TubesError)
            self.model.answer(ours, told(request.outcome))

    @rule(session=which, job=which)
    def reserve_job(self, session: int, job: int) -> None:
        who, job_id = self.pair(session, 2 * job)
        if who in self.open:
            self.verb("reserve_job", job_id, session=who)

    # Settling

    @rule(session=which, job=which, kind=fences, quick=st.booleans())
    def delete(self, session: int, job: int, kind: int | None, quick: bool) -> None:  # noqa: FBT001 - hypothesis passes it by name
        """Delete a job; where it is ``quick``, as a shell does."""
        who, job_id = self.pair(session, job)
        fence = self.fence(job_id, kind)
        client, handle = self.sessions[who], fence and fence.job
        if quick and self.take_turn(self.engine.delete_held, client, job_id, handle):
            self.model.delete(who, job_id, fence and fence.fence)
        else:
            self.verb("delete", job_id, fence, session=who)

    @rule(session=which, job=which, kind=fences)
    def cancel_job(self, session: int, job: int, kind: int | None) -> None:
        _, job_id = self.pair(session, job)
        self.verb("cancel_job", job_id, self.fence(job_id, kind))

    @rule(
        session=which,
        job=which,
        kind=fences,
        priority=st.none() | priorities,
        delay=delays,
        failure=failures,
    )
    def release(
        self,
        session: int,
        job: int,
        kind: int | None,
        priority: int | None,
        delay: int,
        failure: Failure | None,
    ) -> None:
        who, job_id = self.pair(session, job)
        fence = self.fence(job_id, kind)
        self.verb("release", job_id, fence, priority, delay, failure, session=who)

    @rule(
        session=which,
        job=which,
        kind=fences,
        priority=st.none() | priorities,
        failure=failures,
    )
    def bury(
        self,
        session: int,
        job: int,
        kind: int | None,
        priority: int | None,
        failure: Failure | None,
    ) -> None:
        who, job_id = self.pair(session, job)
        fence = self.fence(job_id, kind)
        self.verb("bury", job_id, fence, priority, failure, session=who)

    @rule(session=which, job=which, kind=fences)
    def touch(self, session: int, job: int, kind: int | None) -> None:
        who, job_id = self.pair(session, job)
        self.verb("touch", job_id, self.fence(job_id, kind), session=who)

    @precondition(lambda self: self.handles)
    @rule(session=which, back=which, end=ends)
    def leave_a_block(self, session: int, back: int, end: Failure | str | None) -> None:
        """Leave the with-block of a job, maybe of one that is lost since long."""
        self.turn()
        handle = self.handles[-1 - back % len(self.handles)]
        job_id, fence = handle.job._id, handle.reservation
        job = self.model.jobs.get(job_id)
        who = self.session(session)
        if job is not None and job.owner is not None and session % 4:
            who = job.owner
        client, now, engine = self.sessions[who], self.model.now, self.engine

        def of_engine() -> None:
            if end is None:
                self.take_turn(engine.settle, now, client, handle.job)
            elif isinstance(end, Failure):
                self.take_turn(engine.fail, now, client, handle.job, end)
            else:
                self.take_turn(engine.cancel, now, client, handle.job)

        self.both(of_engine, lambda: self.model.leave_a_block(who, job_id, fence, end))

    @rule(session=which, job=which, kind=fences, name=tubes)
    def move_job(self, session: int, job: int, kind: int | None, name: str) -> None:
        _, job_id = self.pair(session, 4 * job)
        fence = self.fence(job_id, kind)
        self.turn()
        verb, now = self.engine.interventions.move, self.model.now
        handle, number = fence and fence.job, fence and fence.fence
        self.both(
            lambda: self.take_turn(verb, now, job_id, handle, name),
            lambda: model_moves.move(self.model, job_id, number, name),
        )

    @rule(
        session=which,
        job=which,
        kind=fences,
        priority=st.none() | priorities,
        delay=st.none() | delays,
    )
    def update(
        self,
        session: int,
        job: int,
        kind: int | None,
        priority: int | None,
        delay: int | None,
    ) -> None:
        _, job_id = self.pair(session, 4 * job)
        fence = self.fence(job_id, kind)
        self.turn()
        verb, now = self.engine.interventions.update, self.model.now
        handle, number = fence and fence.job, fence and fence.fence
        self.both(
            lambda: self.take_turn(verb, now, job_id, handle, priority, delay),
            lambda: model_moves.update(self.model, job_id, number, priority, delay),
        )

    @rule(
        session=which,
        job=which,
        kind=fences,
        priority=st.none() | priorities,
        failure=failures,
    )
    def put_aside(
        self,
        session: int,
        job: int,
        kind: int | None,
        priority: int | None,
        failure: Failure | None,
    ) -> None:
        _, job_id = self.pair(session, 4 * job)
        fence = self.fence(job_id, kind)
        self.turn()
        verb, now = self.engine.interventions.put_aside, self.model.now
        handle, number = fence and fence.job, fence and fence.fence
        self.both(
            lambda: self.take_turn(verb, now, job_id, handle, priority, failure),
            lambda: model_moves.bury(self.model, job_id, number, priority, failure),
        )

    @rule(session=which, job=which, kind=fences, name=tubes, failure=failures)
    def release_to(
        self,
        session: int,
        job: int,
        kind: int | None,
        name: str,
        failure: Failure | None,
    ) -> None:
        who, job_id = self.pair(session, job)
        fence = self.fence(job_id, kind)
        self.turn()
        verb, now, client = self.engine.release, self.model.now, self.sessions[who]
        handle, number = fence and fence.job, fence and fence.fence
        self.both(
            lambda: self.take_turn(
                verb, now, client, job_id, handle, None, 0, failure, name
            ),
            lambda: model_moves.release(self.model, who, job_id, number, name, failure),
        )

    @precondition(lambda self: self.handles)
    @rule(session=which, back=which, fails=st.booleans())
    def end_with_a_result(self, session: int, back: int, fails: bool) -> None:  # noqa: FBT001 - hypothesis passes it by name
        """Finish a job, or let it fail for good, maybe one that is lost since long."""
        self.turn()
        handle = self.handles[-1 - back % len(self.handles)]
        job, fence = handle.job, handle.reservation
        known = self.model.jobs.get(job._id)
        who = self.session(session)
        if known is not None and known.owner is not None and session % 4:
            who = known.owner
        client, now, engine = self.sessions[who], self.model.now, self.engine
        failure, error = Failure("ValueError", "no", "..."), ValueError("no")

        def of_engine() -> int | None:
            if fails:
                verb = results.fail
                rest = (job, None, failure, error)
                self.take_turn(verb, now, engine, client, *rest)
                return None
            self.take_turn(results.finish, now, engine, client, job, "result")
            return job._id

        def of_model() -> int | None:
            if fails:
                self.model.fail(who, job._id, fence, failure, error)
                return None
            return self.model.finish(who, job._id, fence, "result")

        self.both(of_engine, of_model)

    @precondition(lambda self: self.promises)
    @rule(back=which)
    def withdraw_job(self, back: int) -> None:
        """Cancel a future, maybe that of a job that is gone or has failed."""
        self.turn()
        jobs = self.model.jobs.values()
        ids = {job.body: job.id for job in jobs}
        body = [*self.promises][-1 - back % len(self.promises)]
        job_id = ids.get(body, 0)
        future = self.promises[body].future
        self.take_turn(results.withdraw, self.model.now, self.engine, job_id, future)
        self.model.withdraw_job(job_id)

    @precondition(lambda self: self.model.submitted)
    @rule(back=which, timeout=timeouts)
    def await_end(self, back: int, timeout: int | None) -> None:
        """Wait for what becomes of a job that was submitted, if it is there."""
        self.turn()
        jobs = [j for j in self.model.jobs.values() if j.body in self.model.submitted]
        if not jobs:
            return  # it waits for room
        job = jobs[-1 - back % len(jobs)]
        future = self.promises[job.body].future  # type: ignore[index]  # bodies are ints
        request = ResultRequest(timeout, job.id, future)
        request.sleeper = Sleeper(request, self.answered)
        verb, now = results.await_end, self.model.now
        refused = self.both(
            lambda: self.take_turn(verb, now, self.engine, request),
            lambda: self.model.await_end(job.body, timeout),
        )
        if refused is None:
            self.results.append(request)

    @precondition(lambda self: self.results)
    @rule(back=which)
    def withdraw_result(self, back: int) -> None:
        number = len(self.results) - 1 - back % len(self.results)
        self.turn()
        self.withdraw_from_engine(self.results[number])
        self.model.withdraw_result(number)

    @rule(name=names, bound=st.integers(0, 3))
    def kick(self, name: str, bound: int) -> None:
        self.verb("kick", name, bound)

    @rule(session=which, job=which, kind=fences)
    def kick_job(self, session: int, job: int, kind: int | None) -> None:
        _, job_id = self.pair(session, 2 * job)
        self.verb("kick_job", job_id, self.fence(job_id, kind))

    # Looking

    @rule(session=which, job=which, kind=fences)
    def look_at_a_job(self, session: int, job: int, kind: int | None) -> None:
        _, job_id = self.pair(session, job)
        self.turn()
        self.both(lambda: self.ask("peek", job_id)._id, lambda: self.model.peek(job_id))
        fence = self.fence(job_id, kind)
        self.both(
            lambda: asdict(self.ask("stats_job", job_id, fence and fence.job)),
            lambda: model_statistics.stats_job(
                self.model, job_id, fence and fence.fence
            ),
        )
        # The body of a put that was begun is still to come: that is another object.
        if job_id in self.model.jobs and self.model.jobs[job_id].state != "invalid":
            holder: Any = Holder(self.engine.jobs)
            look = peeked(self.engine.jobs[job_id], holder)
            self.looks.append(Handle(look, self.model.jobs[job_id].reservation))

    @rule(name=names, state=st.sampled_from(("ready", "delayed", "buried")))
    def look_at_a_tube(self, name: str, state: str) -> None:
        self.turn()
        self.both(
            lambda: self.ask(f"peek_{state}", name)._id,
            lambda: self.model.peek_state(state, name),
        )
        self.both(
            lambda: asdict(self.ask("stats_tube", name)),
            lambda: model_statistics.stats_tube(self.model, name),
        )
        states = [*UNHELD, "reserved"]
        holder = Holder(self.engine.jobs)
        for key in "ab":
            found = self.ask("find_key", holder, name, key)
            ours = model_keys.find(self.model, name, key)
            assert (found and found._id) == (ours and ours.id)
        self.both(
            lambda: [
                look._id
                for look in self.ask("list_jobs", holder, name, self.states(states))
                if self.engine.store.find(look._id, look) is look._original
            ],
            lambda: self.model.list_jobs(name, tuple(states)),
        )

    @rule(seconds=st.just(0))
    def look_at_everything(self, seconds: int) -> None:
        del seconds
        self.turn()

        def of_engine() -> object:
            now, counts, tubes, handles = self.ask("everything")
            by_name = {name: asdict(stats) for name, stats in tubes.items()}
            return now, Counter(counts), by_name, [asdict(each) for each in handles]

        self.both(of_engine, lambda: model_statistics.everything(self.model))

    # Time

    @rule(seconds=st.integers(1, 3))
    def advance(self, seconds: int) -> None:
        """Let time flow, as `FakeClock.advance` does."""
        until = self.model.now + seconds
        while (moment := self.take_turn(self.engine.next_due)) <= until:
            assert moment == next_due(self.model)
            self.move(max(moment, self.model.now))
        assert next_due(self.model) > until
        self.move(until)

    def move(self, moment: float) -> None:
        """Do what is due at a moment, or before it."""
        self.model.now = moment
        self.turn()

    @rule(seconds=st.integers(1, 3))
    def come_late(self, seconds: int) -> None:
        """Let time jump over the moments on the way."""
        self.move(self.model.now + seconds)
