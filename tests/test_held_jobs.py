"""The jobs that a session holds, and which of them expires first."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest

from inproc_tubes.core import session as session_module
from inproc_tubes.core.making import renewed
from inproc_tubes.core.session import SWEEP_FLOOR, HeldJobs
from tests.engine_driver import Queue
from tests.index_jobs import Jobs, ids_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from inproc_tubes.core.record import AnyJob


class Holding:
    """Held jobs, and what an engine does with them; every step is checked."""

    def __init__(self, *moments: float) -> None:
        self.jobs = Jobs()
        self.held = HeldJobs()
        # In the order of reserving, found in the most simple way.
        self.expected: list[AnyJob] = []
        self.hold(*moments)

    def hold(self, *moments: float) -> None:
        """Reserve new jobs until these moments."""
        for moment in moments:
            self.hold_again(self.jobs.new(), moment)

    def hold_again(self, job: AnyJob, moment: float) -> None:
        """Reserve a job until that moment."""
        job = self.jobs.hold(job)
        job._due_at = moment
        self.held.recent[job._id] = job
        self.expected.append(job)
        self.check()

    def remove(self, job: AnyJob) -> None:
        """Give a job back."""
        self.held.remove(job._id)
        self.expected.remove(job)
        self.check()

    def touch(self, job: AnyJob, moment: float) -> None:
        """Let a job expire later."""
        job._due_at = moment
        self.held.postpone(job)
        self.check()

    def soonest(self) -> int:
        """Return the id of the job that expires first, 0 without any."""
        job = self.held.soonest()
        self.check()
        return 0 if job is None else job._id

    def expected_soonest(self) -> int:
        """Find the job that expires first; of several, `min` returns the first one."""
        jobs = self.expected
        return min(jobs, key=lambda job: job._due_at)._id if jobs else 0

    def check(self) -> None:
        """Compare them with what they should be."""
        held = self.held
        held._check()
        assert held.in_sequence() == self.expected
        assert len(held) == len(self.expected)
        for job_id, job in self.jobs.by_id.items():
            assert held.get(job_id) is (job if job in self.expected else None)


def test_the_first_to_expire_is_the_soonest() -> None:
    assert Holding(9.0, 5.0, 7.0).soonest() == 2


def test_of_several_that_expire_in_one_moment_the_first_reserved_is_soonest() -> None:
    holding = Holding(7.0, 5.0, 5.0)
    assert holding.soonest() == 2
    holding.hold(5.0)
    holding.remove(holding.expected[1])
    assert holding.soonest() == 3


def test_without_a_job_none_is_soonest() -> None:
    holding = Holding()
    assert holding.soonest() == 0
    assert holding.held.get(1) is None
    assert holding.held.in_sequence() == []


@pytest.mark.parametrize("asked", [False, True])
def test_a_job_is_held_until_it_is_removed(
    asked: bool,  # noqa: FBT001 - a parameter
) -> None:
    holding = Holding(9.0, 5.0, 7.0)
    if asked:
        assert holding.soonest() == 2
    job = holding.expected[1]
    assert holding.held.get(2) is job
    holding.remove(job)
    assert holding.held.get(2) is None
    assert holding.soonest() == 3
    with pytest.raises(KeyError):
        holding.held.remove(2)


def test_deadlines_are_put_in_order_when_somebody_asks() -> None:
    holding = Holding(9.0, 5.0, 7.0)
    held = holding.held
    assert (len(held.recent), held._deadlines) == (3, [])
    assert holding.soonest() == 2
    assert (len(held.recent), len(held._deadlines)) == (0, 3)
    holding.hold(3.0)
    holding.touch(holding.expected[3], 4.0)
    assert len(held._deadlines) == 3
    assert holding.soonest() == 4
    assert len(held._deadlines) == 4


def test_the_dict_of_recent_jobs_is_never_replaced() -> None:
    """The session has it at hand."""
    holding = Holding(9.0, 5.0)
    recent = holding.held.recent
    holding.soonest()
    holding.held.rebuild(holding.expected)
    holding.check()
    assert holding.held.recent is recent


def test_a_job_that_is_postponed_is_soonest_no_more() -> None:
    holding = Holding(5.0, 6.0)
    assert holding.soonest() == 1
    holding.touch(holding.expected[0], 7.0)
    assert holding.soonest() == 2
    holding.touch(holding.expected[1], 7.0)
    assert holding.soonest() == 1


def test_a_job_may_be_postponed_within_one_moment() -> None:
    holding = Holding(5.0, 6.0)
    job = holding.expected[0]
    assert holding.soonest() == 1
    holding.touch(job, 5.0)
    assert holding.soonest() == 1
    holding.remove(job)
    assert holding.soonest() == 2


def test_a_job_that_comes_back_is_the_last_one_reserved() -> None:
    holding = Holding(5.0, 5.0)
    job = holding.expected[0]
    assert holding.soonest() == 1
    holding.remove(job)
    holding.hold_again(job, 5.0)
    assert ids_of(holding.held.in_sequence()) == [2, 1]
    assert holding.soonest() == 2


@pytest.mark.parametrize(
    ("moments", "short", "long"), [((5.0, 999.0), 0, 1), ((999.0, 5.0), 1, 0)]
)
def test_void_deadlines_are_swept(
    moments: tuple[float, ...], short: int, long: int
) -> None:
    """A deadline that stays at the head must not keep all that came after it."""
    holding = Holding(*moments)
    most = 0
    for step in range(1, 500):
        holding.touch(holding.expected[long], 999.0 + step)
        assert holding.soonest() == short + 1
        most = max(most, len(holding.held._deadlines))
    assert most == 2 * 2 + SWEEP_FLOOR
    holding.remove(holding.expected[short])
    assert holding.soonest() == long + 1


def test_void_deadlines_are_swept_while_jobs_come_and_go() -> None:
    holding = Holding(5.0)
    most = 0
    for step in range(200):
        holding.hold(999.0 + step)
        assert holding.soonest() == 1
        holding.remove(holding.expected[1])
        most = max(most, len(holding.held._deadlines))
    assert most == 2 * 2 + SWEEP_FLOOR


@pytest.mark.parametrize("asked", [False, True])
def test_another_object_takes_the_place_of_a_held_one(
    asked: bool,  # noqa: FBT001 - a parameter
) -> None:
    holding = Holding(9.0, 5.0, 5.0)
    if asked:
        assert holding.soonest() == 2
    old = holding.expected[1]
    new = renewed(old)
    new._due_at = old._due_at
    holding.jobs.by_id[2] = holding.expected[1] = new
    holding.held.replace(new)
    holding.check()
    assert holding.held.soonest() is new
    holding.remove(new)
    assert holding.soonest() == 3


def test_held_jobs_are_rebuilt_from_the_jobs_alone() -> None:
    holding = Holding(9.0, 5.0)
    assert holding.soonest() == 2
    holding.hold(7.0)
    jobs = holding.expected
    holding.held._deadlines.append((0.0, 0, 0))
    holding.held.recent[1] = jobs[0]
    holding.held.rebuild(jobs)
    holding.check()
    assert (len(holding.held.recent), holding.held._deadlines) == (3, [])
    assert holding.soonest() == 2
    holding.held.rebuild([])
    assert (len(holding.held), holding.held.soonest()) == (0, None)


# Those that expire


@pytest.mark.parametrize("others", [1, 3, 400])
def test_the_jobs_that_expire_by_a_moment_come_in_their_order(others: int) -> None:
    """Among 400 others, they are too few for the heap to be divided."""
    holding = Holding(9.0, 5.0, 7.0, 5.0)
    for moment in range(10, 10 + others):
        job = holding.jobs.hold(holding.jobs.new())
        job._due_at = float(moment)
        holding.held.recent[job._id] = job
    assert [2, 4, 3] == ids_of(holding.held.take_due(8.0))


def test_a_job_that_was_touched_twice_expires_once() -> None:
    holding = Holding(5.0, 6.0, 99.0)
    assert holding.soonest() == 1
    first, second, _ = holding.expected
    holding.touch(first, 8.0)
    holding.touch(first, 7.0)
    holding.touch(first, 8.0)
    assert [second, first] == holding.held.take_due(8.0)
    holding.held.remove(1)
    holding.held.remove(2)
    assert holding.held.soonest() is holding.expected[2]
    assert [] == holding.held.take_due(98.0)


# What the verbs of the engine do to them


def test_the_soonest_deadline_is_found_past_void_ones() -> None:
    queue = Queue()
    session = queue.session()
    for ttr in (5, 3, 9):
        queue.put(ttr=ttr)
    assert queue.reserve_all(session) == [1, 2, 3]

    def soonest() -> int | None:
        job = session.held.soonest()
        return None if job is None else job._id

    order = [soonest()]
    queue.now = 101.0
    queue.do("touch", session, 2, None)
    order.append(soonest())
    queue.now = 103.0
    queue.do("touch", session, 2, None)
    order.append(soonest())
    queue.do("delete", session, 1, None)
    order.append(soonest())
    queue.do("release", session, 2, None, None, 0)
    order.append(soonest())
    queue.do("bury", session, 3, None, None)
    order.append(soonest())
    assert order == [2, 2, 1, 2, 3, None]


def test_a_touch_of_a_recent_job_is_seen() -> None:
    queue = Queue()
    session = queue.session()
    for ttr in (9, 5, 7):
        queue.put(ttr=ttr)
    assert queue.reserve_all(session) == [1, 2, 3]
    queue.now = 103.0
    queue.do("touch", session, 2, None)
    assert session.held.soonest() is queue.job(3)


def test_deadlines_that_are_touched_over_and_over_are_swept() -> None:
    queue = Queue()
    session = queue.session()
    for ttr in (5, 999):
        queue.put(ttr=ttr)
    assert queue.reserve_all(session) == [1, 2]
    for step in range(1, 500):
        queue.now = 100.0 + step / 1000
        queue.do("touch", session, 2, None)
        assert session.held.soonest() is queue.job(1)
    assert len(session.held._deadlines) <= 2 * 2 + SWEEP_FLOOR
    queue.do("delete", session, 1, None)
    assert session.held.soonest() is queue.job(2)


# The check of held jobs


def lose_a_deadline(held: HeldJobs) -> None:
    held._deadlines.pop()


def swap_deadlines(held: HeldJobs) -> None:
    held._deadlines.reverse()


def hold_in_two_places(held: HeldJobs) -> None:
    held.recent[1] = held._timed[1][1]


def hold_a_job_by_another_id(held: HeldJobs) -> None:
    held._timed[1], held._timed[2] = held._timed[2], held._timed[1]


def hold_a_recent_job_by_another_id(held: HeldJobs) -> None:
    held.recent[4] = held.recent.pop(3)


def forget_the_last_number(held: HeldJobs) -> None:
    held._number = 0


def expire_at_another_moment(held: HeldJobs) -> None:
    held._timed[1][1]._due_at += 1


@pytest.mark.parametrize(
    "harm",
    [
        lose_a_deadline,
        swap_deadlines,
        hold_in_two_places,
        hold_a_job_by_another_id,
        hold_a_recent_job_by_another_id,
        forget_the_last_number,
        expire_at_another_moment,
    ],
)
def test_a_check_of_held_jobs_finds_what_is_wrong(
    harm: Callable[[HeldJobs], None],
) -> None:
    holding = Holding(5.0, 9.0)
    assert holding.soonest() == 1
    holding.hold(7.0)
    harm(holding.held)
    with pytest.raises(AssertionError):
        holding.held._check()


# Random steps


def hold_some(holding: Holding, random: Random, now: float) -> None:
    holding.hold(*(now + random.randint(1, 9) for _ in range(random.randint(0, 3))))


def hold_one_again(holding: Holding, random: Random, now: float) -> None:
    others = [job for job in holding.jobs.by_id.values() if job not in holding.expected]
    if others:
        holding.hold_again(random.choice(others), now + random.randint(1, 9))


def remove_one(holding: Holding, random: Random, _now: float) -> None:
    if holding.expected:
        holding.remove(random.choice(holding.expected))


def touch_one(holding: Holding, random: Random, now: float) -> None:
    if holding.expected:
        job = random.choice(holding.expected)
        # Never earlier: a job's time to run is what it is.
        holding.touch(job, max(job._due_at, now + random.randint(1, 9)))


def expire(holding: Holding, _random: Random, now: float) -> None:
    while (job := holding.held.soonest()) is not None and job._due_at <= now:
        assert job._id == holding.expected_soonest()
        holding.remove(job)
    assert all(job._due_at > now for job in holding.expected)


def ask(holding: Holding, _random: Random, _now: float) -> None:
    assert holding.soonest() == holding.expected_soonest()


def rebuild(holding: Holding, _random: Random, _now: float) -> None:
    holding.held.rebuild(holding.expected)


STEPS = (
    *[hold_some, hold_one_again, remove_one, touch_one, touch_one, ask] * 4,
    *[expire, rebuild],
)


@pytest.mark.parametrize("seed", range(20))
def test_random_steps_agree_with_a_plain_list(
    monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(session_module, "SWEEP_FLOOR", 3)
    random = Random(seed)  # noqa: S311 - nothing secret
    holding = Holding()
    for step in range(300):
        random.choice(STEPS)(holding, random, 100.0 + step // 4)
        holding.check()
    expire(holding, random, 10_000.0)
    assert holding.soonest() == 0


def test_a_job_that_was_told_of_is_untold_no_more_and_yet_the_soonest() -> None:
    holding = Holding(5.0, 6.0, 5.0)
    held, (first, second, third) = holding.held, holding.expected
    held.tell(first)
    holding.check()
    assert held.soonest_untold() is third
    assert held.soonest() is first
    held.tell(third)
    held.tell(second)
    holding.check()
    assert held.soonest_untold() is None
    assert held.soonest() is first
    holding.remove(first)
    assert held.soonest() is third
    holding.touch(third, 9.0)
    assert held.soonest_untold() is third
    assert held.soonest() is second
    assert held.take_due(9.0) == [second, third]


def test_what_was_told_of_is_known_after_a_rebuild() -> None:
    holding = Holding(5.0, 6.0)
    holding.held.tell(holding.expected[0])
    holding.held.rebuild(holding.expected)
    holding.check()
    assert holding.held.soonest_untold() is holding.expected[1]
    assert holding.soonest() == 1


def test_void_deadlines_of_what_was_told_of_are_swept() -> None:
    holding = Holding(1.0)
    job = holding.expected[0]
    for moment in range(2, 3 * SWEEP_FLOOR):
        holding.held.tell(job)
        holding.touch(job, float(moment))
    assert len(holding.held._told) <= SWEEP_FLOOR + 2
    assert holding.soonest() == 1
