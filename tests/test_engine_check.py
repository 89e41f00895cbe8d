"""The check of an engine finds whatever its indexes say wrongly.

What the checks of the single indexes find is told in the tests of those.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, TypeAlias

import pytest

from inproc_tubes.core.job import JobState
from inproc_tubes.core.making import renewed
from inproc_tubes.core.recovery import check
from inproc_tubes.core.tube import Occupancy, Tube, TubeList
from inproc_tubes.core.turn import TURN
from inproc_tubes.core.watch_set import WatchSet
from inproc_tubes.errors import TimedOutError
from tests.engine_driver import Queue

if TYPE_CHECKING:
    from collections.abc import Callable

    from inproc_tubes.core.requests import JoinRequest


class Filled(Queue):
    """An engine that has something of everything.

    Its tube "default" is paused. 1 and 2 are reserved in it, 3 to 5 ready, 6 delayed,
    7 and 8 buried; and the body of 10 is to come. "full" has room for its job 9 alone.

    Attributes:
        holder: Holds the reserved jobs.
        alone: Waits for a job of "x", twice.
        sharing: Waits for a job of "x" or "y".
        reserves: The requests of both.
        puts: Two that wait for room in "full".
        joins: Two that wait for the end of "default".
    """

    def __init__(self) -> None:
        super().__init__()
        self.holder = self.session()
        for ttr in (9, 5):
            self.put(ttr=ttr)
        assert self.reserve_all(self.holder) == [1, 2]
        for priority in (65536, 65536, 7):
            self.put(priority)
        self.put(delay=20)
        self.user = self.session(used="default")
        for _ in range(2):
            self.bury(self.user, self.put())
        self.do("pause_tube", "default", 50)
        self.alone = self.session("x")
        self.sharing = self.session("x", "y")
        sessions = (self.alone, self.sharing, self.alone)
        self.reserves = [self.wait(session, 60) for session in sessions]
        self.do("limit_tube", "full", 1)
        self.producing = self.producer("full")
        self.offer(self.producing)
        self.puts = [self.offer(self.producing) for _ in range(2)]
        self.joins = [self.join("default") for _ in range(2)]
        self.do("begin_put", self.user, memoryview(b"body"), 0, 0, 60)

    def tube(self, name: str = "default") -> Tube:
        """Return a tube."""
        return self.engine.tubes[name]

    def occupancy(self, name: str) -> Occupancy:
        """Return how full a tube may be, and who waits for that."""
        occupancy = self.tube(name).occupancy
        assert occupancy is not None
        return occupancy

    def delay_again(self, job_id: int) -> None:
        """Let a job be delayed that is ready as well."""
        self.job(job_id)._due_at = 105.0
        self.tube().delayed.add(self.job(job_id))

    def lose_deadline(self) -> None:
        """Let it not be known when a held job expires."""
        self.holder.held.soonest()
        self.holder.held._deadlines.pop()


Harm: TypeAlias = "Callable[[Filled], object]"

OF_JOBS: dict[str, Harm] = {
    "has another id": lambda q: setattr(q.job(3), "_id", 99),
    "is in no tube that there is": lambda q: setattr(q.job(3), "_tube", "z"),
    "is gone": lambda q: setattr(q.job(1), "_state", JobState.GONE),
    "is in the index of another state": lambda q: setattr(
        q.job(4), "_state", JobState.DELAYED
    ),
    "is delayed and ready": lambda q: q.delay_again(3),
    "is buried and ready": lambda q: q.tube().buried.update({3: q.job(3)}),
    "is reserved, and nobody holds it": lambda q: q.holder.held.remove(1),
    "is held, and not reserved": lambda q: setattr(q.job(2), "_state", JobState.READY),
    "is held, and deleted": lambda q: q.engine.jobs.pop(1),
    "is held by an old handle": lambda q: q.engine.jobs.update({1: renewed(q.job(1))}),
    "was buried last, and is first": lambda q: q.tube().buried.move_to_end(7),
    "is buried nowhere": lambda q: q.tube().buried.popitem(),
    "was to come, and is not there": lambda q: q.engine.jobs.pop(10),
    "is to come for another tube": lambda q: setattr(q.job(10), "_tube", "x"),
    "is to come for no tube": lambda q: setattr(q.user, "used", None),
}

OF_TUBES: dict[str, Harm] = {
    "is not listed": lambda q: q.engine.store.tube_list.remove(q.tube("x")),
    "is listed, and does not exist": lambda q: q.engine.store.tube_list.append(
        Tube("z", {})
    ),
    "is listed nowhere": lambda q: setattr(q.engine.store, "tube_list", TubeList()),
    "is listed elsewhere": lambda q: q.engine.store.tube_list._index.update(
        {q.tube("x"): 0}
    ),
    "miscounts its jobs": lambda q: setattr(q.tube(), "total_jobs", 99),
    "miscounts its users": lambda q: setattr(q.tube(), "using", 9),
    "miscounts its watchers": lambda q: setattr(q.tube(), "watching", 9),
    "is kept alive by nothing": lambda q: q.engine.store.tube("z"),
    "drains alone": lambda q: setattr(q.tube("full"), "draining", True),
    "claims to be plain": lambda q: setattr(q.tube("x"), "is_plain", True),
    "is unpaused, and keeps its job from a request": lambda q: q.tube("x").ready.add(
        q.job(3)
    ),
    "is full for no reason": lambda q: setattr(q.occupancy("full"), "maxsize", 0),
    "has room for a put that waits": lambda q: setattr(
        q.occupancy("full"), "maxsize", 2
    ),
    "holds up a join, and is done": lambda q: q.engine.admission.add_join(
        _held_up_by(q, "y")
    ),
}

OF_SESSIONS: dict[str, Harm] = {
    "has lost a deadline": lambda q: q.lose_deadline(),
    "looks in no tube": lambda q: setattr(q.holder, "only", None),
    "looks in one tube of two": lambda q: setattr(q.sharing, "only", q.tube("x")),
    "is planned too late": lambda q: setattr(q.holder, "planned_at", inf),
    "waits without a request": lambda q: q.alone.tickets.update({99: None}),
    "waits without a ticket": lambda q: q.alone.tickets.clear(),
    "puts without a ticket": lambda q: q.producing.puts.clear(),
    "is closed, and a client": lambda q: setattr(q.user, "closed", "why"),
    "is forgotten, and watches": lambda q: q.engine.clients.sessions.pop(q.alone),
    "shares a watch set uncounted": lambda q: setattr(q.sharing.watch_set, "users", 2),
    "shares a watch set that is unknown": lambda q: setattr(
        q.sharing, "watch_set", WatchSet([q.tube("x"), q.tube("y")])
    ),
    "shares a watch set that its tube does not know": lambda q: q.tube(
        "x"
    ).watch_sets.clear(),
}

OF_REQUESTS: dict[str, Harm] = {
    "is answered, and waits": lambda q: setattr(
        q.reserves[0], "outcome", TimedOutError(60)
    ),
    "is of another session": lambda q: setattr(q.reserves[0], "session", q.sharing),
    "waits in no tube": lambda q: q.tube("x").tickets.clear(),
    "waits behind a later one": lambda q: q.tube("x").tickets.move_to_end(1),
    "is listed behind a later one": lambda q: q.engine.queue.requests.update(
        {1: q.engine.queue.requests.pop(1)}
    ),
    "has no timer": lambda q: q.engine.schedule._requests.forget(q.reserves[0]),
    "has a timer too many": lambda q: q.engine.schedule._requests.plan(
        q.puts[0], 999.0
    ),
    "waits for room behind a later one": lambda q: q.occupancy("full").puts.move_to_end(
        4
    ),
    "is too large ever to be let in": lambda q: q.puts[1].jobs.extend(q.puts[0].jobs),
    "waits for room in another tube": lambda q: setattr(q.puts[0], "tube", "x"),
    "waits for room, and is unknown": lambda q: q.engine.admission.puts.clear(),
    "waits for an end, and is unknown": lambda q: q.engine.admission.joins.clear(),
    "waits for the end of another tube": lambda q: setattr(
        q.joins[0], "held_up_by", "full"
    ),
}

OF_THE_ENGINE: dict[str, Harm] = {
    "looks too late": lambda q: setattr(q.engine.schedule, "due_at", inf),
    "is in the middle of a turn": lambda q: setattr(q.engine.turn, "unfinished", TURN),
    "is in the middle of a batch": lambda q: setattr(q.engine.turn, "batch", []),
    "drains, and lets puts wait": lambda q: q.engine.store.drain(),
}


def _held_up_by(queue: Filled, name: str) -> JoinRequest:
    request = queue.joins[0]
    del queue.occupancy("default").joins[request.ticket]
    request.held_up_by = name
    return request


def test_an_engine_that_has_something_of_everything_is_right() -> None:
    check(Filled().engine)


@pytest.mark.parametrize(
    "harm",
    [
        pytest.param(harm, id=f"{subject} {what}")
        for subject, harms in [
            ("a job", OF_JOBS),
            ("a tube", OF_TUBES),
            ("a session", OF_SESSIONS),
            ("a request", OF_REQUESTS),
            ("the engine", OF_THE_ENGINE),
        ]
        for what, harm in harms.items()
    ],
)
def test_a_check_of_an_engine_finds_what_is_wrong(harm: Harm) -> None:
    queue = Filled()
    harm(queue)
    with pytest.raises((AssertionError, KeyError, ValueError)):
        check(queue.engine)
