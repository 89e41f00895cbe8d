"""The engine against a naive model of it, by random verbs with small numbers."""

from __future__ import annotations

import io
import sys
from collections import Counter
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

from inproc_tubes import JobState, MonotonicClock, TubesError
from inproc_tubes.engine import Engine
from inproc_tubes.job import Record
from inproc_tubes.waiting import Joiner, Pending, Putter, Waiter
from tests.naive_model import UNHELD, Model, told

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pytest

    from inproc_tubes.session import Session

NOWHERE = 10**6  # the id of no job


TUBES = ("default", "t1", "t2")
tubes = st.sampled_from(TUBES)
names = st.sampled_from((*TUBES, "nowhere"))  # nobody makes that one
which = st.integers(0, 11)
priorities = st.sampled_from((0, 1, 1024))
delays = st.integers(0, 2)
ttrs = st.integers(1, 3)
timeouts = st.sampled_from((None, 1, 2, 3, 0))
limits = st.integers(0, 3)
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
        self.putters: list[Putter] = []
        self.joiners: list[Joiner] = []
        self.answered: list[Pending] = []

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
                    numbers.get(record.owner),
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
            "outcomes": [self.outcome(waiter) for waiter in self.everybody],
            "stats": Counter(engine.stats(now)),
        }

    @property
    def everybody(self) -> list[Pending]:
        """All who have ever waited."""
        return [*self.waiters, *self.putters, *self.joiners]

    def outcome(self, waiter: Pending) -> object:
        outcome = waiter.outcome
        if isinstance(waiter, Waiter) and isinstance(outcome, Record):
            return outcome.id, waiter.reservation
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
        for used, watched in (
            ("default", ["default"]),
            ("t1", ["t1", "default"]),
            ("default", ["default", "t1", "default"]),
        ):
            self.open_session(used, watched)
        for name, maxsize in limits:
            self.limit_tube(name, maxsize)
        for name, priority, ttr in jobs:
            self.put(1, name, priority, 0, ttr, None)
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
        timeout=timeouts,
    )
    def put(
        self,
        session: int,
        name: str | None,
        priority: int,
        delay: int,
        ttr: int,
        timeout: int | None,
    ) -> None:
        who = self.session(session)
        numbers = (priority, delay, ttr)
        if not self.verb("put", who, name, [self.model.ids], *numbers):
            self.wait_for_room(who, timeout, name, [[self.model.ids]], numbers)

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
        who = self.session(session)
        bodies: list[object] = [[self.model.ids, n] for n in range(count)]
        numbers = (priority, delay, ttr)
        if self.verb("put_many", who, name, bodies, *numbers) is None:
            self.wait_for_room(who, timeout, name, bodies, numbers)

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

    def wait_for_room(
        self,
        who: int,
        timeout: int | None,
        name: str | None,
        bodies: list[object],
        numbers: tuple[int, int, int],
    ) -> None:
        putter = Putter(self.sessions[who], timeout, name, bodies, *numbers)
        refused = self.both(
            lambda: self.engine.wait_for_room(self.model.now, putter),
            lambda: self.model.wait_for_room(who, timeout, name, bodies, *numbers),
        )
        if refused is None:
            self.putters.append(putter)

    @precondition(lambda self: self.putters)
    @rule(back=which)
    def withdraw_put(self, back: int) -> None:
        """Give up, be it with its jobs in already."""
        number = len(self.putters) - 1 - back % len(self.putters)
        self.turn()
        self.engine.withdraw(self.model.now, self.putters[number])
        self.model.withdraw_put(number)

    @rule(name=names, maxsize=limits)
    def limit_tube(self, name: str, maxsize: int) -> None:
        self.verb("limit_tube", None, name, maxsize)

    @precondition(lambda self: self.full())
    @rule(tube=which, maxsize=limits)
    def limit_a_full_tube(self, tube: int, maxsize: int) -> None:
        self.limit_tube(self.full()[tube % len(self.full())], maxsize)

    @rule(
        names=st.none() | st.lists(names, min_size=1, max_size=2),
        timeout=timeouts,
    )
    def join(self, names: list[str] | None, timeout: int | None) -> None:
        self.turn()
        joiner = Joiner(timeout, names)

        def begin() -> int | None:
            self.engine.join(self.model.now, joiner)
            return joiner.outcome  # type: ignore[return-value]  # no error yet

        if self.both(begin, lambda: self.model.join(names, timeout)) is None:
            self.joiners.append(joiner)

    @precondition(lambda self: self.joiners)
    @rule(back=which)
    def withdraw_join(self, back: int) -> None:
        number = len(self.joiners) - 1 - back % len(self.joiners)
        self.turn()
        self.engine.withdraw(self.model.now, self.joiners[number])
        self.model.withdraw_join(number)

    @rule(name=names, states=st.lists(st.sampled_from(UNHELD), unique=True))
    def clear_tube(self, name: str, states: list[str]) -> None:
        self.turn()
        self.both(
            lambda: self.engine.clear_tube(self.model.now, name, self.states(states)),
            lambda: self.model.clear_tube(name, tuple(states)),
        )

    def states(self, words: list[str]) -> tuple[JobState, ...]:
        return tuple(map(JobState, words))

    @rule(session=which, n=st.integers(1, 4), timeout=timeouts)
    def reserve_many(self, session: int, n: int, timeout: int | None) -> None:
        self.turn()
        who = self.session(session)
        engine, now = self.engine, self.model.now
        self.both(
            lambda: [
                record.id
                for record in engine.reserve_many(now, self.sessions[who], n, timeout)
            ],
            lambda: self.model.reserve_many(who, n, timeout),
        )

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
        states = [*UNHELD, "reserved"]
        self.both(
            lambda: [
                record.id
                for record, fence in self.engine.list_jobs(
                    self.model.now, name, self.states(states)
                )
                if record.reservation == fence
            ],
            lambda: self.model.list_jobs(name, tuple(states)),
        )

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
        done = {waiter for waiter in self.everybody if waiter.outcome is not None}
        assert set(self.answered) == done

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


def test_what_chance_seldom_comes_to_is_done_alike_too() -> None:
    machine = EngineAgainstModel()

    def check() -> None:
        machine.every_waiter_is_answered_once()
        machine.the_engine_shows_what_the_model_shows()

    machine.begin([("t1", 2)], [("default", 0, 3)], [(0, 0, False)])
    machine.reserve(0, None, hears=False)
    machine.put(1, "default", 0, 0, 3, None)
    check()
    # With its job in hand.
    machine.withdraw(0, late=True)
    check()
    for name in ("t1", "t1"):
        machine.put(0, name, 0, 0, 3, 0)
    machine.put_into_a_full_tube(0, 0, 2, 3, None)
    machine.put_into_a_full_tube(1, 0, 1, 3, 2)
    check()
    # The batch will never fit.
    machine.limit_a_full_tube(0, 1)
    check()
    machine.clear_tube("t1", ["ready"])
    check()
    # With its job in, and again with another that somebody has reserved.
    machine.withdraw_put(0)
    check()
    machine.put(0, "t1", 0, 0, 3, None)
    machine.put_into_a_full_tube(0, 0, 1, 3, None)
    machine.clear_tube("t1", ["ready"])
    machine.reserve_many(1, 4, None)
    machine.withdraw_put(0)
    check()
    machine.join(None, 3)
    check()
    machine.withdraw_join(0)
    machine.advance(3)
    check()


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
