"""What the engine keeps its jobs, moments and tubes in."""

from __future__ import annotations

from collections import OrderedDict
from math import inf
from typing import TYPE_CHECKING, Any

import pytest

from inproc_tubes import (
    delayed as delayed_module,
    selection as selection_module,
    session as session_module,
    tube as tube_module,
)
from inproc_tubes.agenda import Agenda
from inproc_tubes.engine import Engine
from inproc_tubes.job import JobState, Record, new_record
from inproc_tubes.selection import Selection
from inproc_tubes.session import Session
from inproc_tubes.tube import URGENT_THRESHOLD, Listing, Tube
from inproc_tubes.waiting import Waiter

if TYPE_CHECKING:
    from collections.abc import Callable


class Shelf:
    """A tube, and what an engine would do with its ready jobs."""

    def __init__(self) -> None:
        self.jobs: dict[int, Record] = {}
        self.tube = Tube("t", self.jobs)

    def add(self, *priorities: int) -> None:
        """Put new jobs of these priorities."""
        for priority in priorities:
            job_id = len(self.jobs) + 1
            record = new_record(job_id, "body", self.tube, priority, 0, 60, 100.0)
            self.jobs[job_id] = record
            self.tube.total_jobs += 1
            self.tube.add_ready(record)
            self.tube._check()

    def pop(self) -> int:
        """Reserve the first job."""
        first = self.tube.first_ready()
        record = self.tube.pop_ready()
        assert record is first
        self.hold(record)
        return record.id

    def take(self, job_id: int) -> None:
        """Reserve a job from the middle."""
        record = self.jobs[job_id]
        self.tube.remove_ready(record)
        self.hold(record)

    def hold(self, record: Record) -> None:
        """Let a job be reserved."""
        record.state = JobState.RESERVED
        self.tube._check()

    def give_back(self, job_id: int, priority: int) -> None:
        """Release a job."""
        record = self.jobs[job_id]
        record.priority = priority
        record.state = JobState.READY
        self.tube.add_ready(record)
        self.tube._check()

    def pop_all(self) -> list[int]:
        """Reserve all jobs in their order."""
        return [self.pop() for _ in range(self.tube.ready)]

    def entries(self) -> int:
        """Return how many entries there are, dead ones included."""
        return sum(map(len, self.tube._buckets.values()))


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


# A tube's ready jobs


def test_a_better_priority_becomes_the_front(shelf: Shelf) -> None:
    shelf.add(5, 5, 9)
    assert shelf.pop() == 1
    shelf.add(3, 3, 1, 5)
    assert list(shelf.tube._buckets) == [1, 3, 5, 9]
    assert shelf.pop_all() == [6, 4, 5, 2, 7, 3]


def test_an_empty_front_gives_way_to_a_better_priority(shelf: Shelf) -> None:
    shelf.add(5)
    assert shelf.pop() == 1
    shelf.add(3)
    assert list(shelf.tube._buckets) == [3]
    assert shelf.pop() == 2


def test_an_empty_front_stays_until_a_worse_priority_is_wanted(shelf: Shelf) -> None:
    shelf.add(5)
    assert shelf.pop() == 1
    shelf.add(7)
    assert list(shelf.tube._buckets) == [5, 7]
    assert shelf.pop() == 2
    assert list(shelf.tube._buckets) == [7]


def test_the_front_is_used_again_for_its_own_priority(shelf: Shelf) -> None:
    shelf.add(5, 5)
    assert shelf.pop() == 1
    shelf.give_back(1, 5)
    assert shelf.pop_all() == [1, 2]


def test_what_left_from_the_middle_is_not_served(shelf: Shelf) -> None:
    shelf.add(5, 5, 5, 7)
    shelf.take(1)
    shelf.take(3)
    assert shelf.entries() == 4
    assert shelf.pop_all() == [2, 4]


def test_a_job_that_comes_back_has_one_turn(shelf: Shelf) -> None:
    """Its old entry is live again, and the new one is dead once it is served."""
    shelf.add(5, 5)
    shelf.take(1)
    shelf.give_back(1, 5)
    assert shelf.entries() == 3
    assert shelf.pop_all() == [1, 2]
    assert shelf.tube.ready == 0


def test_a_job_that_comes_back_with_another_priority_has_its_new_place(
    shelf: Shelf,
) -> None:
    shelf.add(5, 5)
    shelf.take(1)
    shelf.give_back(1, 9)
    assert shelf.pop_all() == [2, 1]


def test_a_job_that_is_gone_leaves_a_dead_entry(shelf: Shelf) -> None:
    shelf.add(5, 5)
    shelf.take(1)
    del shelf.jobs[1]
    shelf.tube.cmd_delete += 1
    shelf.tube._check()
    assert shelf.pop() == 2


def test_dead_entries_are_swept_when_they_outnumber_the_live(shelf: Shelf) -> None:
    floor = tube_module._SWEEP_FLOOR
    total = 2 * floor + 1
    # The first job stays at the front, so that nothing is dropped on the way.
    shelf.add(0, *[5, 7] * floor)
    enough = (total + floor) // 2 + 1
    for job_id in range(2, enough + 1):
        shelf.take(job_id)
        assert shelf.entries() == total
    shelf.take(enough + 1)
    assert shelf.entries() == shelf.tube.ready == total - enough
    left = range(enough + 2, total + 1)
    assert shelf.pop_all() == [1, *sorted(left, key=lambda i: (i % 2, i))]


def test_a_sweep_keeps_one_entry_for_a_job_that_came_back(shelf: Shelf) -> None:
    floor = tube_module._SWEEP_FLOOR
    shelf.add(5)
    for _ in range(floor):
        shelf.take(1)
        shelf.give_back(1, 5)
    shelf.add(5)
    shelf.take(2)
    shelf.give_back(2, 6)
    assert shelf.entries() == floor + 3
    shelf.take(2)
    assert shelf.entries() == 1
    assert shelf.pop_all() == [1]


def test_a_sweep_of_everything_leaves_a_tube_that_still_works(shelf: Shelf) -> None:
    count = tube_module._SWEEP_FLOOR + 1
    shelf.add(*[5] * count)
    for job_id in range(count, 0, -1):
        shelf.take(job_id)
    assert (shelf.entries(), shelf.tube.ready) == (0, 0)
    shelf.add(9, 3)
    assert shelf.pop_all() == [count + 2, count + 1]


def test_the_dead_never_outgrow_the_living_by_more_than_the_floor(
    shelf: Shelf,
) -> None:
    for _ in range(300):
        shelf.add(5)
        shelf.take(len(shelf.jobs))
    assert shelf.entries() <= shelf.tube.ready + tube_module._SWEEP_FLOOR


def test_urgent_counts_ready_jobs_below_the_threshold(shelf: Shelf) -> None:
    shelf.add(URGENT_THRESHOLD - 1, URGENT_THRESHOLD, 0, 0)
    assert shelf.tube.urgent == 3
    shelf.take(2)
    assert shelf.tube.urgent == 3
    shelf.take(4)
    assert shelf.tube.urgent == 2
    assert shelf.pop_all() == [3, 1]
    assert shelf.tube.urgent == 0


@pytest.mark.parametrize(
    "refer",
    [
        lambda tube: setattr(tube, "pinned", True),
        lambda tube: setattr(tube, "using", 1),
        lambda tube: setattr(tube, "watching", 1),
        lambda tube: setattr(tube, "total_jobs", 1),
    ],
    ids=["pinned", "using", "watching", "job"],
)
def test_anything_at_all_keeps_a_tube(
    shelf: Shelf, refer: Callable[[Tube], object]
) -> None:
    assert not shelf.tube.referenced
    refer(shelf.tube)
    assert shelf.tube.referenced


def delayed(tube: Tube, job_id: int, due_at: float) -> Record:
    """Make a job that is delayed until then."""
    record = tube._jobs[job_id] = new_record(job_id, "body", tube, 5, 1, 60, 100.0)
    record.state = JobState.DELAYED
    record.due_at = due_at
    return record


def test_a_tube_is_due_at_its_first_delay_or_the_end_of_its_pause(shelf: Shelf) -> None:
    tube = shelf.tube
    moments = [tube.due_at]
    record = delayed(tube, 1, 105.0)
    tube.delayed.add(record)
    moments.append(tube.due_at)
    tube.paused_until = 103.0
    moments.append(tube.due_at)
    tube.paused_until = 107.0
    moments.append(tube.due_at)
    tube.delayed.remove(record)
    del shelf.jobs[1]
    moments.append(tube.due_at)
    assert moments == [inf, 105.0, 103.0, 105.0, 107.0]


def hide_from_front(shelf: Shelf) -> None:
    shelf.tube._buckets[2] = []


def empty_another_bucket(shelf: Shelf) -> None:
    shelf.tube._buckets[9] = []


def swap_in_heap(shelf: Shelf) -> None:
    shelf.tube.front.reverse()


def lose_an_entry(shelf: Shelf) -> None:
    shelf.tube.front.pop()


def miscount_ready(shelf: Shelf) -> None:
    shelf.tube.ready += 1


def miscount_dead(shelf: Shelf) -> None:
    shelf.tube.dead += 1


def miscount_urgent(shelf: Shelf) -> None:
    shelf.tube.urgent += 1


def miscount_all(shelf: Shelf) -> None:
    shelf.tube.total_jobs += 1


def delay_a_ready_job(shelf: Shelf) -> None:
    shelf.tube.delayed.add(shelf.jobs[1])


def bury_a_ready_job(shelf: Shelf) -> None:
    shelf.tube.buried[1] = shelf.jobs[1]


def let_somebody_wait(shelf: Shelf) -> None:
    shelf.tube.waiters[1] = Waiter(Session(), None)


@pytest.mark.parametrize(
    "harm",
    [
        hide_from_front,
        empty_another_bucket,
        swap_in_heap,
        lose_an_entry,
        miscount_ready,
        miscount_dead,
        miscount_urgent,
        miscount_all,
        delay_a_ready_job,
        bury_a_ready_job,
        let_somebody_wait,
    ],
)
def test_a_check_of_a_tube_finds_what_is_wrong(
    shelf: Shelf, harm: Callable[[Shelf], None]
) -> None:
    shelf.add(5, 5, 5)
    assert shelf.tube.first_ready().id == 1  # now they are the front
    harm(shelf)
    with pytest.raises(AssertionError):
        shelf.tube._check()


def test_waiters_in_a_paused_tube_are_right(shelf: Shelf) -> None:
    shelf.add(5)
    let_somebody_wait(shelf)
    shelf.tube.paused_until = 105.0
    shelf.tube._check()


# A tube's delayed jobs


def test_delayed_jobs_are_taken_by_their_moments_then_by_their_ids(
    shelf: Shelf,
) -> None:
    line = shelf.tube.delayed
    for job_id, due_at in enumerate([105.0, 103.0, 105.0, 109.0, 101.0], start=1):
        line.add(delayed(shelf.tube, job_id, due_at))
        line._check()
    assert [record.id for record in line.in_order()] == [5, 2, 1, 3, 4]
    assert line.take(100.0) == []
    assert [record.id for record in line.take(105.0)] == [5, 2, 1, 3]
    assert (len(line), line.first()) == (1, shelf.jobs[4])
    assert line.pop() is shelf.jobs[4]
    assert (len(line), line.first()) == (0, None)


def test_a_job_that_has_left_is_not_taken(shelf: Shelf) -> None:
    line = shelf.tube.delayed
    for job_id in (1, 2, 3):
        line.add(delayed(shelf.tube, job_id, 100.0 + job_id))
    for job_id in (1, 2):
        line.remove(shelf.jobs[job_id])
        shelf.jobs[job_id].state = JobState.READY
    del shelf.jobs[2]
    line._check()
    assert len(line) == 1
    assert line.first() is shelf.jobs[3]
    assert line.take(inf) == [shelf.jobs[3]]


@pytest.mark.parametrize("pop", [True, False])
def test_a_job_that_comes_back_for_the_same_moment_is_taken_once(
    shelf: Shelf,
    pop: bool,  # noqa: FBT001 - a parameter
) -> None:
    line = shelf.tube.delayed
    record = delayed(shelf.tube, 1, 105.0)
    line.add(record)
    line.remove(record)
    line.add(record)
    line._check()
    assert [record] == ([line.pop()] if pop else line.take(105.0))
    assert (len(line), line.first()) == (0, None)


def test_delayed_jobs_that_have_left_are_swept_when_they_outnumber_the_others(
    shelf: Shelf,
) -> None:
    line = shelf.tube.delayed
    floor = delayed_module.SWEEP_FLOOR
    for job_id in range(1, 3 * floor + 1):
        line.add(delayed(shelf.tube, job_id, 100.0 + job_id))
    for job_id in range(3 * floor, 1, -1):
        line.remove(shelf.jobs[job_id])
        shelf.jobs[job_id].state = JobState.READY
        line._check()
    assert len(line._heap) <= floor + 2
    assert [record.id for record in line.take(inf)] == [1]


# Selections


def selection_of(*shelves: Shelf) -> Selection:
    """Let the tubes be watched together."""
    selection = Selection([shelf.tube for shelf in shelves])
    for shelf in shelves:
        shelf.tube.selections[selection] = None
    selection._check()
    return selection


def shelves_of(*names: str) -> list[Shelf]:
    """Make tubes that share their jobs, and so their ids."""
    shelves = [Shelf() for _ in names]
    for shelf, name in zip(shelves, names, strict=True):
        shelf.jobs = shelves[0].jobs
        shelf.tube = Tube(name, shelf.jobs)
    return shelves


def test_the_best_tube_has_the_first_job_of_all() -> None:
    a, b, c = shelves_of("a", "b", "c")
    a.add(5)
    selection = selection_of(a, b, c)
    b.add(7, 3)
    a.add(3, 1)
    order = []
    while (tube := selection.best()) is not None:
        selection._check()
        order.append((a if tube is a.tube else b).pop())
    assert order == [5, 3, 4, 1, 2]
    c.add(9)
    assert selection.best() is c.tube


def test_a_paused_tube_is_passed_over_until_it_is_looked_at_again() -> None:
    a, b = shelves_of("a", "b")
    selection = selection_of(a, b)
    a.add(1)
    b.add(2)
    a.tube.paused_until = 105.0
    assert selection.best() is b.tube
    selection._check()
    a.tube.paused_until = 0.0
    selection.look_at(a.tube)
    selection._check()
    assert selection.best() is a.tube


def test_bounds_that_were_lowered_are_swept() -> None:
    a, b = shelves_of("a", "b")
    selection = selection_of(a, b)
    b.add(150)
    most = 0
    for priority in range(300, 0, -1):
        a.add(priority)
        selection._check()
        most = max(most, len(selection._heap))
    assert 60 < most <= 2 * 2 + selection_module._SWEEP_FLOOR
    for _ in range(149):
        assert selection.best() is a.tube
        a.pop()
    assert selection.best() is b.tube


def test_the_longest_waiting_is_first_over_tubes_and_selections(shelf: Shelf) -> None:
    assert shelf.tube.first_waiter is None
    selection = selection_of(shelf)
    crowd = [Waiter(Session(), None) for _ in range(3)]
    for ticket, waiter in enumerate(crowd):
        waiter.ticket = ticket
    selection.waiters.update({0: crowd[0], 2: crowd[2]})
    shelf.tube.waiters[1] = crowd[1]
    order: list[Waiter | None] = []
    for ticket in range(3):
        assert shelf.tube.waiting == 3 - ticket
        order.append(shelf.tube.first_waiter)
        selection.waiters.pop(ticket, None)
        shelf.tube.waiters.pop(ticket, None)
    assert order == crowd


def lose_a_bound(selection: Selection) -> None:
    selection._bounds.clear()


def lose_an_entry_of_the_heap(selection: Selection) -> None:
    selection._heap.clear()


def be_unknown_to_a_tube(selection: Selection) -> None:
    for tube in selection.tubes:
        tube.selections.clear()


def let_the_latest_be_first(selection: Selection) -> None:
    for ticket in (2, 1):
        selection.waiters[ticket] = Waiter(Session(), None)


@pytest.mark.parametrize(
    "harm",
    [
        lose_a_bound,
        lose_an_entry_of_the_heap,
        be_unknown_to_a_tube,
        let_the_latest_be_first,
    ],
)
def test_a_check_of_a_selection_finds_what_is_wrong(
    harm: Callable[[Selection], None],
) -> None:
    a, b = shelves_of("a", "b")
    selection = selection_of(a, b)
    a.add(1)
    harm(selection)
    with pytest.raises((AssertionError, KeyError)):
        selection._check()


# Agendas


def test_an_agenda_gives_things_by_their_moments_then_by_planning() -> None:
    agenda: Agenda[str] = Agenda()
    assert agenda.first() == (inf, None)
    for thing, moment in [("c", 3.0), ("b", 2.0), ("a", 1.0), ("b2", 2.0)]:
        agenda.plan(thing, moment)
        agenda._check()
    assert agenda.first() == (1.0, "a")
    assert agenda.take(0.5) == []
    assert agenda.take(2.0) == ["a", "b", "b2"]
    agenda._check()
    assert agenda.take(inf) == ["c"]
    assert agenda.first() == (inf, None)


def test_planning_again_can_only_be_earlier() -> None:
    agenda: Agenda[str] = Agenda()
    agenda.plan("a", 5.0)
    agenda.plan("a", 7.0)
    assert agenda.first() == (5.0, "a")
    agenda.plan("a", 3.0)
    agenda._check()
    assert agenda.first() == (3.0, "a")
    assert agenda.take(10.0) == ["a"]
    assert agenda.take(10.0) == []


def test_planning_for_the_same_moment_keeps_the_place() -> None:
    agenda: Agenda[str] = Agenda()
    for thing in ("a", "b", "a"):
        agenda.plan(thing, 5.0)
    assert agenda.take(5.0) == ["a", "b"]


def test_what_is_forgotten_can_be_planned_later() -> None:
    agenda: Agenda[str] = Agenda()
    agenda.plan("a", 5.0)
    agenda.forget("a")
    agenda.forget("a")
    assert agenda.first() == (inf, None)
    agenda.plan("a", 7.0)
    agenda._check()
    assert agenda.first() == (7.0, "a")


def test_a_check_of_an_agenda_finds_a_lost_thing() -> None:
    agenda: Agenda[str] = Agenda()
    agenda.plan("a", 5.0)
    agenda._keys.clear()
    with pytest.raises(AssertionError):
        agenda._check()


# Listings


def test_what_leaves_a_listing_the_last_one_takes_its_place() -> None:
    tubes = [Tube(name, {}) for name in "abcd"]
    listing = Listing()
    for tube in tubes:
        listing.append(tube)
    a, b, c, d = tubes
    assert list(listing) == [a, b, c, d]
    listing.remove(b)
    assert list(listing) == [a, d, c]
    assert [listing.place(tube) for tube in (a, d, c)] == [0, 1, 2]
    assert (b in listing, d in listing) == (False, True)
    listing.remove(c)
    assert list(listing) == [a, d]
    assert (len(listing), listing[0], listing[1]) == (2, a, d)
    listing.append(b)
    assert listing.place(b) == 2


# A session's deadlines


class Clientele:
    """An engine and a session that holds jobs of these TTRs, reserved at 100.0."""

    def __init__(self, *ttrs: float) -> None:
        self.engine = Engine()
        self.session = self.engine.open_session(100.0, "default", ["default"])
        for ttr in ttrs:
            self.engine.put(100.0, self.session, None, "body", 0, 0, ttr)
            self.engine.reserve(100.0, self.session, 0)
        self.engine._check()

    def soonest(self) -> int | None:
        """Return the id of the job that expires first."""
        record = self.session.soonest()
        return None if record is None else record.id


def test_the_soonest_deadline_is_found_past_void_ones() -> None:
    clients = Clientele(5, 3, 9)
    engine, session = clients.engine, clients.session
    order = [clients.soonest()]
    engine.touch(101.0, session, 2, None)
    order.append(clients.soonest())
    engine.touch(103.0, session, 2, None)
    order.append(clients.soonest())
    engine.delete(103.0, session, 1, None)
    order.append(clients.soonest())
    engine.release(103.0, session, 2, None, None, 0)
    order.append(clients.soonest())
    engine.bury(103.0, session, 3, None, None)
    order.append(clients.soonest())
    engine._check()
    assert order == [2, 2, 1, 2, 3, None]


def test_of_deadlines_of_one_moment_the_first_reserved_is_soonest() -> None:
    assert Clientele(5, 5).soonest() == 1


@pytest.mark.parametrize(
    ("ttrs", "short", "long"), [((5, 999), 1, 2), ((999, 5), 2, 1)]
)
def test_void_deadlines_are_swept(
    ttrs: tuple[float, ...], short: int, long: int
) -> None:
    """A deadline that stays at the top must not keep all that came after it."""
    clients = Clientele(*ttrs)
    session = clients.session
    most = 0
    for step in range(1, 500):
        clients.engine.touch(100.0 + step / 1000, session, long, None)
        clients.engine._check()
        assert clients.soonest() == short
        most = max(most, len(session._deadlines))
    assert most <= 2 * (2 + session_module._SWEEP_FLOOR)
    clients.engine.delete(101.0, session, short, None)
    assert clients.soonest() == long


def test_deadlines_are_put_in_order_when_somebody_asks() -> None:
    clients = Clientele(9, 5, 7)
    session = clients.session
    assert session._deadlines == []
    assert clients.soonest() == 2
    clients.engine.put(100.0, session, None, "body", 0, 0, 3)
    clients.engine.reserve(100.0, session, 0)
    clients.engine.touch(100.0, session, 4, None)
    assert len(session._deadlines) == 3
    assert clients.soonest() == 4
    assert len(session._deadlines) == 4
    clients.engine._check()


def lose_a_deadline(session: Session) -> None:
    session._deadlines.clear()


def hold_out_of_order(session: Session) -> None:
    session.held = OrderedDict(reversed(session.held.items()))


def disown(session: Session) -> None:
    session.held[1].owner = None


def be_planned_too_late(session: Session) -> None:
    session.planned_at = inf


def forget_the_only_tube(session: Session) -> None:
    session.only = None


def wait_nowhere(session: Session) -> None:
    session.waiters[1] = Waiter(session, None)


@pytest.mark.parametrize(
    "harm",
    [
        lose_a_deadline,
        hold_out_of_order,
        disown,
        be_planned_too_late,
        forget_the_only_tube,
        wait_nowhere,
    ],
)
def test_a_check_of_a_session_finds_what_is_wrong(
    harm: Callable[[Session], None],
) -> None:
    session = Clientele(5, 9).session
    assert session.soonest() is not None  # now they are in order
    harm(session)
    with pytest.raises(AssertionError):
        session._check()


# The engine's own check


def test_a_check_of_the_engine_finds_what_is_wrong() -> None:
    harms: list[tuple[str, Any]] = [
        ("waiting", 1),
        ("due_at", inf),
        ("listing", Listing()),
    ]
    for name, value in harms:
        engine = Clientele(5).engine
        engine.pause_tube(100.0, "default", 9)
        engine._check()
        setattr(engine, name, value)
        with pytest.raises(AssertionError):
            engine._check()
