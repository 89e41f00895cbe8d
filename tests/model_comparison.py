"""The engine beside the naive model of it: how a verb is done, and what is compared."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields
from functools import cache
from math import inf
from typing import TYPE_CHECKING, Any, NamedTuple

from hypothesis.stateful import RuleBasedStateMachine, invariant

from inproc_tubes import TubesError
from inproc_tubes.core import questions
from inproc_tubes.core.engine import Engine
from inproc_tubes.core.job import Job, PeekedJob
from inproc_tubes.core.making import new_job
from inproc_tubes.core.promise import Promise
from inproc_tubes.core.recovery import check
from inproc_tubes.core.turn import TURN
from tests import model_statistics
from tests.engine_driver import Holder, next_id, verb_on
from tests.model_parts import FOREIGN, IS_OVER, Peek, Served, told
from tests.model_time import catch_up, next_due
from tests.naive_model import REMEMBERED, Model

if TYPE_CHECKING:
    from collections.abc import Callable

    from inproc_tubes.core.record import AnyJob
    from inproc_tubes.core.requests import (
        JoinRequest,
        PutRequest,
        ReserveRequest,
        ResultRequest,
    )
    from inproc_tubes.core.schedule import AnyRequest
    from inproc_tubes.core.session import Session
    from tests.event_follower import Follower

NOWHERE = 10**6  # the id of no job


class Handle(NamedTuple):
    """An object that stands for a job as it was under this reservation."""

    job: AnyJob
    reservation: int

    @property
    def fence(self) -> int:
        """What the model knows it by."""
        is_peek = isinstance(self.job, PeekedJob)
        return Peek(self.reservation) if is_peek else self.reservation


def fields_of(stats: Any) -> dict[str, Any]:
    """Do as `dataclasses.asdict`, but copy no value: here each is a plain one."""
    cls: Any = type(stats)
    return {name: getattr(stats, name) for name in _names(cls)}


@cache
def _names(cls: Any) -> list[str]:
    return [field.name for field in fields(cls)]


class Sleeper:
    """Writes down that its request was woken by an answer."""

    def __init__(self, request: AnyRequest, answered: list[AnyRequest]) -> None:
        self._request = request
        self._answered = answered

    def wake(self) -> None:
        if self._request.outcome is not None:
            self._answered.append(self._request)


class Told:
    """A future that writes down what it is told."""

    def __init__(self, told: dict[object, object], body: int) -> None:
        self._told = told
        self._body = body

    def _resolve(self, promise: Promise) -> None:
        outcome: object = "cancelled"
        if promise.error is not None:
            error = promise.error
            ours = isinstance(error, TubesError)
            outcome = ("failed", type(error) if ours else repr(error))
        elif not promise.cancelled:
            outcome = ("done", promise.result)
        # Where a turn was broken off, it may be told twice.
        assert self._told.setdefault(self._body, outcome) == outcome

    def _leave_to_parent(self, error: Exception) -> None:
        raise NotImplementedError


class EngineAndModel(RuleBasedStateMachine):
    """What every rule needs: how a verb is done, and what is compared.

    Attributes:
        sessions: {number: session}. The model knows them by these numbers.
        reserves: All reserves that have ever waited, as in the model; so are the others.
        handles: What was given out by reserving, each with its reservation.
        looks: What was given out by peeking.
        answered: The requests that were woken by an answer, as often as they were.
    """

    def __init__(self) -> None:
        super().__init__()
        self.engine = Engine()
        self.engine.store.gone.limit = REMEMBERED
        self.model = Model(100)
        self.model.add_tube("default")
        self.sessions: dict[int, Session] = {}
        self.reserves: list[ReserveRequest] = []
        self.puts: list[PutRequest] = []
        self.joins: list[JoinRequest] = []
        self.results: list[ResultRequest] = []
        self.handles: list[Handle] = []
        self.looks: list[Handle] = []
        self.answered: list[AnyRequest] = []
        self.bodies = 0  # each is another number
        self.promises: dict[int, Promise] = {}  # of the bodies that were submitted
        self.told: dict[object, object] = {}  # what has come of them
        self.follower: Follower | None = None  # from when events are recorded

    def body(self) -> int:
        self.bodies += 1
        return self.bodies

    # How a verb is done

    def turn(self) -> None:
        """Carry out what is due, as a shell does before each verb."""
        if self.model.now >= self.engine.schedule.due_at:
            self.take_turn(self.engine.catch_up, self.model.now)
        if next_due(self.model) <= self.model.now:
            theirs = self.shown()
            worlds = list(catch_up(self.model, self.model.now))
            same = [w for w in worlds if model_statistics.shown(w) == theirs]
            self.model = (same or worlds)[0]
            # To look counts as well.
            self.shown()
            model_statistics.shown(self.model)

    def take_turn(self, verb: Callable[..., Any], *args: Any) -> Any:
        """Call a verb of the engine as a shell does."""
        turn = self.engine.turn
        assert turn.unfinished is None
        turn.unfinished = TURN
        try:
            result = verb(*args)
            turn.unfinished = None
            return result
        finally:
            self.finish()
            assert turn.unfinished is None  # by an error, or above

    def finish(self) -> None:
        """Keep the promises that are due, and drop all else that a turn has left."""
        after = self.engine.turn.after
        for item in after:
            if isinstance(item, Promise):
                self.engine.dispatch.keep_promise(item)
                item.future._resolve(item)
        after.clear()
        log = self.engine.turn.log
        while log is not None and log.pending:
            subscriber, event, context, _ = log.pending.popleft()
            context.run(subscriber._take, event)

    def submitted(self, priority: int, delay: int, ttr: int) -> AnyJob:
        """Return a new job that somebody waits for."""
        job: AnyJob = new_job(self.body(), priority, delay, ttr)
        future = Told(self.told, self.bodies)
        self.promises[self.bodies] = job._own_history().promise = Promise(future)
        self.model.submitted.add(self.bodies)
        return job

    def ask(self, question: str, *args: Any) -> Any:
        """Ask a question about the engine."""
        verb = getattr(questions, question)
        return self.take_turn(verb, self.model.now, self.engine, *args)

    def shown(self) -> dict[str, Any]:
        """Return all that the engine shows; like the model's, it counts itself."""
        engine = self.engine
        return {
            "jobs": {
                job._id: (
                    self.owner(job),
                    job._body,
                    job._history.error,
                    job._history.key,
                    # What is left of a life is known while it stands still.
                    job._history.life if job._history.expires_at == inf else None,
                    job._history.expires_at,
                    fields_of(self.ask("stats_job", job._id)),
                )
                for job in engine.jobs.values()
            },
            "tubes": [
                fields_of(self.ask("stats_tube", tube.name))
                for tube in engine.store.tube_list
            ],
            "sessions": {
                number: (
                    session.used and session.used.name,
                    [tube.name for tube in session.watched],
                    [job._id for job in session.held.in_sequence()],
                    session.stopped,
                )
                for number, session in self.sessions.items()
                if session.is_abandoned or session in engine.clients.sessions
            },
            "outcomes": [self.outcome(request) for request in self.requests],
            "stats": Counter(self.ask("broker_counts")),
        }

    def owner(self, job: AnyJob) -> int | None:
        """Return who holds a job."""
        for number, session in self.sessions.items():
            if session.held.get(job._id) is job:
                return number
        return None

    def last_id(self) -> int:
        """Return the last id that was given to a job."""
        return next_id(self.engine) - 1

    @property
    def requests(self) -> list[AnyRequest]:
        """All that have ever waited."""
        return [*self.reserves, *self.puts, *self.joins, *self.results]

    def outcome(self, request: AnyRequest) -> object:
        outcome = request.outcome
        if isinstance(outcome, Job):
            return outcome._id
        if isinstance(outcome, Promise):
            return IS_OVER
        return told(outcome) if isinstance(outcome, TubesError) else outcome

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

    def verb(self, name: str, *args: Any, session: int | None = None) -> Any:
        """Take a turn with a verb of the engine that the model has too.

        A `Handle` among the arguments is an object for the one, and a number for the
        other.
        """
        self.turn()
        verb = verb_on(self.engine, name)
        client = [] if session is None else [self.sessions[session]]
        theirs = [arg.job if isinstance(arg, Handle) else arg for arg in args]
        number = [] if session is None else [session]
        ours = [arg.fence if isinstance(arg, Handle) else arg for arg in args]

        def of_engine() -> Any:
            result = self.take_turn(verb, self.model.now, *client, *theirs)
            return result._id if isinstance(result, Job) else result

        return self.both(of_engine, lambda: getattr(self.model, name)(*number, *ours))

    # What is chosen

    @property
    def open(self) -> list[int]:
        """The numbers of the sessions that are open."""
        clients = self.engine.clients.sessions
        return [n for n, session in self.sessions.items() if session in clients]

    def session(self, number: int) -> int:
        """Choose an open session."""
        return self.open[number % len(self.open)]

    def pair(self, session: int, number: int) -> tuple[int, int]:
        """Choose a session and a job: one that it, or another, holds; any; or none.

        Among those that are not there are the last ones that are gone.
        """
        jobs = self.model.jobs.values()
        who = self.session(session)
        owners = {job.id: job.owner for job in jobs if job.owner is not None}
        held = [(who if number % 4 == 3 else owners[i], i) for i in owners]
        gone = [i for i in range(1, self.model.ids + 1) if i not in self.model.jobs]
        there = self.model.jobs.keys()
        pairs = [(who, job_id) for job_id in (*there, *gone[-2:], NOWHERE)]
        if held and number % 4:
            pairs = held
        return pairs[number % len(pairs)]

    def fence(self, job_id: int, kind: int | None) -> Handle | None:
        """Choose a handle of a job, or none: see `model_machine.fences`."""
        job = self.model.jobs.get(job_id)
        if kind is None:
            return None
        if kind == 0 and job is not None:
            return Handle(self.engine.jobs[job_id], job.reservation)
        known = self.looks if kind == 2 else self.handles
        found = [handle for handle in known if handle.job._id == job_id]
        if found:
            return found[0]
        # One of another broker.
        foreign = new_job("foreign", 0, 0, 60)
        foreign._id = job_id
        foreign._reserves = job.reserves if job is not None else 0
        foreign._holder = Holder({})  # type: ignore[assignment]  # nobody calls it
        return Handle(foreign, FOREIGN)

    # What holds after each verb

    @invariant()
    def every_request_is_answered_once(self) -> None:
        assert len(self.answered) == len(set(self.answered))
        done = {request for request in self.requests if request.outcome is not None}
        assert set(self.answered) == done
        pending = {*self.engine.dispatch.requests()}
        waiting = [request for request in self.model.requests.all if request.waits]
        assert len(pending) == len(waiting)
        assert not pending & done

    @invariant()
    def who_has_submitted_a_job_is_told_what_has_come_of_it(self) -> None:
        assert self.told == self.model.kept

    @invariant()
    def the_engine_shows_what_the_model_shows(self) -> None:
        check(self.engine)
        assert self.shown() == model_statistics.shown(self.model)
        assert self.engine.schedule.due_at <= next_due(self.model)

    @invariant()
    def a_handle_is_valid_until_the_job_is_reserved_again(self) -> None:
        known = {id(handle.job) for handle in self.handles}
        for job_id, job in self.model.jobs.items():
            if job.owner is not None and id(self.engine.jobs[job_id]) not in known:
                self.handles.append(Handle(self.engine.jobs[job_id], job.reservation))
        find = self.engine.store.find
        for handle in (*self.handles, *self.looks):
            job_id = handle.job._id
            known_job = self.model.jobs.get(job_id)
            valid = (
                known_job is not None and known_job.reservation == handle.reservation
            )
            assert (find(job_id, handle.job) is not None) == valid

    @invariant()
    def events_tell_the_state_of_every_job(self) -> None:
        if self.follower is not None:
            self.follower.check(self.engine)

    @invariant()
    def a_job_is_lost_if_its_reservation_was_not_ended_by_its_holder(self) -> None:
        for handle in self.handles:
            # A late delete ends it all the same.
            is_there = handle.job._id in self.model.jobs
            cancelled = handle.reservation in self.model.cancelled
            if handle.reservation > 0 and (is_there or cancelled):
                lost = handle.reservation in self.model.lost
                assert handle.job._history.lost == lost

    @invariant()
    def a_reserve_was_given_what_it_holds(self) -> None:
        for request, ours in zip(
            self.reserves, self.model.requests.reserves, strict=True
        ):
            if isinstance(request.outcome, Job):
                assert isinstance(ours.outcome, Served)
                job = self.model.jobs.get(ours.outcome.id)
                holds = (
                    job is not None
                    and job.owner == ours.session
                    and job.reservation == ours.outcome.reservation
                )
                held = request.session.held.get(ours.outcome.id)
                assert (held is request.outcome) == holds
