"""The machine of `tests.model_machine` with verbs that are broken off in their middle.

Nobody can say what such a verb has done. So it is looked at what must hold in any case,
and then the model is made anew from the engine.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import partial
from math import inf
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from hypothesis import strategies as st
from hypothesis.stateful import rule

from inproc_tubes import JobState, TubesError
from inproc_tubes.core import results
from inproc_tubes.core.failure import Failure
from inproc_tubes.core.job import Job
from inproc_tubes.core.making import new_job
from inproc_tubes.core.recovery import check, rebuild
from inproc_tubes.core.requests import JoinRequest, PutRequest, ReserveRequest
from inproc_tubes.core.session import Session
from inproc_tubes.core.turn import TURN
from tests.breaking import BrokenOffError, break_off
from tests.engine_driver import Holder
from tests.model_comparison import Sleeper
from tests.model_machine import EngineAgainstModel, tubes, which
from tests.model_sync import synchronise

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from inproc_tubes.core.engine import Engine
    from inproc_tubes.core.record import AnyJob
    from inproc_tubes.core.schedule import AnyRequest

_UNHELD = (JobState.READY, JobState.DELAYED, JobState.BURIED)


@dataclass
class Call:
    """What a verb is called with. Most verbs need only some of it."""

    engine: Engine
    now: float
    session: Session
    job_id: int
    name: str
    number: int  # 0 to 2
    jobs: list[AnyJob]  # alike, and not put yet
    put: PutRequest  # that has not begun to wait
    reserve: ReserveRequest  # the same
    join: JoinRequest  # the same
    known: AnyRequest | None  # one that waits, or has waited

    def settle(self) -> Thunk | None:
        job = self.session.held.soonest()
        return None if job is None else self.of_a_session(self.engine.settle, job)

    def fail(self) -> Thunk | None:
        job = self.session.held.soonest()
        fail, failure = self.engine.fail, Failure("Error", "no", "Error: no")
        return None if job is None else self.of_a_session(fail, job, failure)

    def cancel(self) -> Thunk | None:
        job = self.session.held.soonest()
        return None if job is None else self.of_a_session(self.engine.cancel, job)

    def begin_put(self) -> Thunk | None:
        if self.session.incoming is not None:
            return None
        numbers = (0, self.number, 1)
        part: Any = self.jobs[0]._body
        return partial(
            self.engine.wire_puts.begin_put, self.now, self.session, part, *numbers
        )

    def finish_put(self) -> Thunk | None:
        if self.session.incoming is None:
            return None
        body = repr(self.jobs[0]._body).encode()
        self.jobs[0]._body = body
        return partial(self.engine.wire_puts.finish_put, self.now, self.session, body)

    def put_numbered(self) -> Thunk:
        self.engine.store.number(self.jobs)
        put = self.engine.put_numbered
        return partial(put, self.now, self.session, self.jobs, self.name)

    def put_unique(self) -> Thunk:
        self.give_keys()
        put = self.engine.put_many
        return partial(put, self.now, self.session, self.jobs, self.name, "replace")

    def put_unique_later(self) -> Thunk:
        self.give_keys()
        self.engine.store.number(self.jobs)
        put = self.engine.put_numbered
        return partial(put, self.now, self.session, self.jobs, self.name, "replace")

    def give_keys(self) -> None:
        for job, key in zip(self.jobs, "ab", strict=False):
            job._own_history().key = key
        for job in self.jobs:
            job._own_history().life = 2

    def wait_to_reserve(self) -> Thunk | None:
        """Return None where there is a job, or none is given: no shell lets it wait."""
        if self.session.stopped is not None:
            return None
        watched = self.session.watched
        if any(len(tube.ready) and not tube.paused_until for tube in watched):
            return None
        return partial(self.engine.wait_to_reserve, self.now, self.reserve)

    def withdraw(self) -> Thunk | None:
        if self.known is None:
            return None
        return partial(self.engine.dispatch.withdraw, self.now, self.known)

    def use(self) -> Thunk | None:
        """Return None where a body is to come: till then a connection does no more."""
        if self.session.incoming is not None:
            return None
        return partial(self.engine.clients.use, self.now, self.session, self.name)

    def abandon(self) -> Thunk | None:
        """Return None where something waits: that keeps the handle alive."""
        session = self.session
        if session.tickets or session.puts or session.incoming:
            return None
        return partial(self.engine.clients.abandon, self.now, session, "dropped")

    def finish_job(self) -> Thunk | None:
        job = self.session.held.soonest()
        return None if job is None else self.with_engine(results.finish, job, "result")

    def fail_job(self) -> Thunk | None:
        job, failure = self.session.held.soonest(), Failure("Error", "no", "Error: no")
        error = ValueError("no")
        if job is None:
            return None
        return self.with_engine(results.fail, job, None, failure, error)

    def withdraw_job(self) -> Thunk | None:
        pending = self.engine.store.promises.pending
        if not pending:
            return None
        job_id = sorted(pending)[self.number % len(pending)]
        verb = results.withdraw
        return partial(verb, self.now, self.engine, job_id, pending[job_id].future)

    def with_engine(self, verb: Callable[..., object], *rest: object) -> Thunk:
        return partial(verb, self.now, self.engine, self.session, *rest)

    def of_a_job(self, verb: Callable[..., object], *rest: object) -> Thunk:
        return partial(verb, self.now, self.session, self.job_id, None, *rest)

    def of_a_tube(self, verb: Callable[..., object], *rest: object) -> Thunk:
        return partial(verb, self.now, self.name, *rest)

    def of_a_session(self, verb: Callable[..., object], *rest: object) -> Thunk:
        return partial(verb, self.now, self.session, *rest)


Thunk: TypeAlias = "Callable[[], object]"

VERBS: dict[str, Callable[[Call], Thunk | None]] = {
    "abandon": Call.abandon,
    "begin_put": Call.begin_put,
    "bury": lambda c: c.of_a_job(c.engine.bury, c.number),
    "put_aside": lambda c: partial(
        c.engine.interventions.put_aside, c.now, c.job_id, None, c.number, None
    ),
    "cancel": Call.cancel,
    "cancel_job": lambda c: partial(c.engine.clients.cancel_job, c.now, c.job_id, None),
    "catch_up": lambda c: partial(c.engine.catch_up, c.now),
    "clear_tube": lambda c: c.of_a_tube(c.engine.interventions.clear_tube, _UNHELD),
    "close_session": lambda c: c.of_a_session(c.engine.clients.close_session, "closed"),
    "delete": lambda c: c.of_a_job(c.engine.delete),
    "delete_held": lambda c: partial(c.engine.delete_held, c.session, c.job_id, None),
    "drain": lambda c: partial(c.engine.drain, c.now),
    "fail": Call.fail,
    "fail_job": Call.fail_job,
    "finish_job": Call.finish_job,
    "finish_put": Call.finish_put,
    "ignore": lambda c: c.of_a_session(c.engine.clients.ignore, c.name),
    "join": lambda c: partial(c.engine.join, c.now, c.join),
    "kick": lambda c: c.of_a_tube(c.engine.kick, c.number + 1),
    "kick_job": lambda c: partial(c.engine.kick_job, c.now, c.job_id, None),
    "limit_tube": lambda c: c.of_a_tube(c.engine.limit_tube, c.number),
    "limit_tries": lambda c: c.of_a_tube(c.engine.interventions.limit_tries, c.number),
    "move": lambda c: partial(
        c.engine.interventions.move, c.now, c.job_id, None, c.name
    ),
    "next_due": lambda c: c.engine.next_due,
    "open_session": lambda c: partial(
        c.engine.open_session,
        c.now,
        "t1",
        [c.name],
        True,  # noqa: FBT003 - a turn passes it by position
        "late",
    ),
    "pause_tube": lambda c: c.of_a_tube(c.engine.pause_tube, c.number),
    "put": lambda c: c.of_a_session(c.engine.put, c.jobs[0], c.name),
    "put_many": lambda c: c.of_a_session(c.engine.put_many, c.jobs, c.name),
    "put_numbered": Call.put_numbered,
    "put_unique": Call.put_unique,
    "put_unique_later": Call.put_unique_later,
    "release": lambda c: c.of_a_job(c.engine.release, c.number, c.number),
    "release_to": lambda c: c.of_a_job(c.engine.release, None, 0, None, c.name),
    "reserve": lambda c: c.of_a_session(c.engine.reserve, 0),
    "reserve_job": lambda c: c.of_a_session(c.engine.reserve_job, c.job_id),
    "reserve_many": lambda c: c.of_a_session(c.engine.reserve_many, 3, 0),
    "settle": Call.settle,
    "stop": lambda c: partial(c.engine.stop, c.now, "all"),
    "stop_session": lambda c: c.of_a_session(c.engine.clients.stop_session, "stopped"),
    "touch": lambda c: c.of_a_job(c.engine.touch),
    "update": lambda c: partial(
        c.engine.interventions.update, c.now, c.job_id, None, c.number, c.number or None
    ),
    "use": Call.use,
    "wait_to_put": lambda c: partial(c.engine.wait_to_put, c.now, c.put),
    "wait_to_reserve": Call.wait_to_reserve,
    "watch": lambda c: c.of_a_session(c.engine.clients.watch, [c.name, "t2"]),
    "withdraw": Call.withdraw,
    "withdraw_job": Call.withdraw_job,
}

# Those that may delete a job, and those after which a session may hold one no longer.
DELETING = {
    "cancel_job",
    "clear_tube",
    "delete",
    "delete_held",
    "put_unique",
    "put_unique_later",
    "finish_job",
    "settle",
    "withdraw",
    "withdraw_job",
}
RELEASING = {
    "abandon",
    "bury",
    "cancel",
    "cancel_job",
    "catch_up",
    "close_session",
    "delete",
    "delete_held",
    "fail",
    "fail_job",
    "finish_job",
    "release",
    "release_to",
    "settle",
    "withdraw",
}
OF_A_JOB = {
    "bury",
    "cancel",
    "cancel_job",
    "delete",
    "delete_held",
    "fail",
    "fail_job",
    "finish_job",
    "release",
    "release_to",
    "settle",
    "touch",
}
RESERVING = {"reserve", "reserve_job", "reserve_many", "wait_to_reserve"}


# Most verbs run less than 150 bytecodes of the core, and a few of them many more.
bytecodes = st.integers(1, 50) | st.integers(1, 150) | st.integers(1, 1500)


class Attempt(NamedTuple):
    """Which verb is broken off, where, and what it is called with."""

    verb: str
    session: int
    job: int
    name: str
    number: int
    delay: int
    at: int


attempts = st.builds(
    Attempt,
    verb=st.sampled_from(sorted(VERBS)),
    session=which,
    job=which,
    name=tubes,
    number=st.integers(0, 2),
    delay=st.sampled_from((0, 0, 1)),
    at=bytecodes,
)


class Before:
    """What there was before a verb was called."""

    def __init__(self, machine: BreakingMachine, call: Call) -> None:
        self.batch = {job._body for job in call.jobs}
        self.bodies = machine.bodies_by_id()
        # Any verb may first find that one of these has expired.
        jobs = machine.engine.jobs.values()
        self.mortal = {job._id for job in jobs if job._history.life < inf}
        self.pending = machine.engine.dispatch.requests()
        self.batches = [
            (put, {job._body for job in put.jobs})
            for put in machine.puts
            if put in self.pending
        ]
        self.held = {
            session: {id(job): job for job in session.held.in_sequence()}
            for session in machine.sessions.values()
        }


class BreakingMachine(EngineAgainstModel):
    """All the rules, and one that breaks any verb off, at any bytecode of the core."""

    def __init__(self) -> None:
        super().__init__()
        self.broken: Counter[str] = Counter()  # how often each verb was

    @rule(attempts=st.lists(attempts, min_size=1, max_size=4))
    def break_off(self, attempts: list[Attempt]) -> None:
        for attempt in attempts:
            self.break_off_one(attempt)
            self.every_request_is_answered_once()
            self.the_engine_shows_what_the_model_shows()
            self.a_handle_is_valid_until_the_job_is_reserved_again()

    def break_off_one(self, attempt: Attempt) -> None:
        verb, session, number = attempt.verb, attempt.session, attempt.number
        if verb in {"drain", "stop"} and attempt.at % 8:
            return  # it is for good
        if len(self.open) < 2 and verb in {"abandon", "close_session"}:
            return
        if verb == "catch_up":
            self.model.now += number + 1
        else:
            self.turn()
        who, job_id = self.pair(session, attempt.job)
        if who not in self.open and verb not in OF_A_JOB:
            who = self.session(session)  # an abandoned one has no other verbs
        if verb == "finish_put" and self.connections():
            who = self.connections()[0]
        call = self.call(who, job_id, attempt.name, number, attempt.delay)
        thunk = VERBS[verb](call)
        if thunk is not None:
            self.break_off_call(verb, call, thunk, attempt.at)

    def break_off_call(self, verb: str, call: Call, thunk: Thunk, at: int) -> None:
        before = Before(self, call)
        turn = self.engine.turn
        turn.unfinished = TURN
        result: object = None
        completed = False
        try:
            result = break_off(thunk, at)
        except BrokenOffError:
            self.broken[verb] += 1
        except TubesError:
            assert turn.unfinished is None  # it was refused
        else:
            turn.unfinished = None
            completed = True
        self.recover(call)
        if verb in {"abandon", "withdraw"}:
            # These are deferred, and tried again if they are broken off.
            self.take_turn(thunk)
        opened = result if verb == "open_session" and completed else None
        self.settle_sessions(opened)
        self.look(verb, call, before, completed=completed)
        synchronise(self)

    def call(self, who: int, job_id: int, name: str, number: int, delay: int) -> Call:
        """Prepare what the verb is called with."""
        client = self.sessions[who]
        jobs: list[AnyJob] = [new_job(self.body(), number, delay, 2) for _ in range(3)]
        put = PutRequest(client, 2, jobs[: number + 1], name)
        reserve = ReserveRequest(client, 2)
        join = JoinRequest(2, None if number else [name])
        for request in (put, reserve, join):
            request.sleeper = Sleeper(request, self.answered)
        requests = self.requests
        known = requests[job_id % len(requests)] if requests else None
        now = self.model.now
        return Call(
            self.engine,
            now,
            client,
            job_id,
            name,
            number,
            jobs,
            put,
            reserve,
            join,
            known,
        )

    def recover(self, call: Call) -> None:
        """Go on as the shells do: rebuild, and withdraw what was begun."""
        engine = self.engine
        rebuild(call.now, engine)
        engine.turn.unfinished = None
        self.finish()
        check(engine)
        begun = (call.put, call.reserve, call.join)
        for request in begun:
            if request.ticket or request.outcome is not None:
                self.withdraw_from_engine(request)
        check(engine)
        # A wait that was broken off is known to nobody any more.
        woken = [request for request in self.answered if request not in begun]
        self.answered[:] = dict.fromkeys(woken)

    def settle_sessions(self, opened: object) -> None:
        """Learn which sessions there are now."""
        if isinstance(opened, Session):
            opened.holder = Holder(self.engine.jobs, opened)  # type: ignore[assignment]  # nobody calls it
            self.sessions[self.model.numbers + 1] = opened
        clients = self.engine.clients.sessions
        self.sessions = {
            number: client
            for number, client in self.sessions.items()
            if client in clients or client.is_abandoned
        }

    # What holds in any case

    def bodies_by_id(self) -> dict[int, object]:
        """Return {id: body} of all jobs that are put."""
        jobs = self.engine.jobs.values()
        return {
            job._id: job._body for job in jobs if job._state is not JobState.INVALID
        }

    def look(self, verb: str, call: Call, before: Before, *, completed: bool) -> None:
        assert set(self.engine.clients.everyone()) == set(self.sessions.values())
        self.look_at_jobs(verb, before)
        self.look_at_requests(verb, call, before)
        self.look_at_holders(verb, call, before, completed=completed)

    def look_at_jobs(self, verb: str, before: Before) -> None:
        """See that every job is present once, or deleted once."""
        bodies = self.bodies_by_id()
        assert len(set(bodies.values())) == len(bodies)
        # A put that has waited may have replaced a job.
        replaces = any(put.on_duplicate == "replace" for put, _ in before.batches)
        for job_id, body in before.bodies.items():
            if job_id in bodies:
                assert bodies[job_id] == body
            else:
                assert verb in DELETING or replaces or job_id in before.mortal
        counts = self.ask("broker_counts")
        deleted = self.engine.store.total_deletes
        assert counts["total_jobs"] - deleted == len(bodies)
        # A batch is put as a whole, or not at all.
        new = {bodies[job_id] for job_id in bodies.keys() - before.bodies.keys()}
        batch = before.batch
        if verb in {"put_many", "put_numbered", "put_unique", "put_unique_later"}:
            assert new & batch in (batch, set())
        elif verb == "wait_to_put":
            # It was withdrawn; but a reserve may have been waiting for its jobs.
            handed = {self.engine.jobs[i]._body for i in bodies if self.is_held(i)}
            assert new & batch <= handed
        elif verb not in {"put", "finish_put"}:
            assert not new & batch
        for put, theirs in before.batches:
            let_in = isinstance(put.outcome, list)
            let = theirs if let_in else set()
            some = put.on_duplicate == "keep"  # those that were not there
            assert new & theirs == (let & new if some else let)
            new -= theirs
        assert new <= batch

    def is_held(self, job_id: int) -> bool:
        return self.engine.jobs[job_id]._state is JobState.RESERVED

    def look_at_requests(self, verb: str, call: Call, before: Before) -> None:
        """See that every request is answered, and was woken, or waits as before."""
        pending = self.engine.dispatch.requests()
        for request in before.pending:
            if request.outcome is not None:
                assert request not in pending
                assert request in self.answered
                self.look_at_answer(verb, call, request)
            elif request not in pending:
                assert verb == "withdraw"
                assert request is call.known
        assert set(pending) <= set(before.pending)

    def look_at_answer(self, verb: str, call: Call, request: AnyRequest) -> None:
        """See that a job that was handed out is held, and stays so."""
        job = request.outcome
        if isinstance(job, Job) and isinstance(request, ReserveRequest):
            held = request.session.held.get(job._id)
            # In a late tick it may have expired again.
            assert held is job or verb == "catch_up" or request is call.known

    def look_at_holders(
        self, verb: str, call: Call, before: Before, *, completed: bool
    ) -> None:
        """See that nobody holds what he was not given, and has lost nothing."""
        answers = {id(r.outcome) for r in self.reserves if r in before.pending}
        for session in self.sessions.values():
            had = before.held.get(session, {})
            has = {id(job) for job in session.held.in_sequence()}
            given = has - had.keys() - answers
            assert not given or (completed and verb in RESERVING)
            assert not given or session is call.session
            assert verb in RELEASING or had.keys() <= has
