"""Many jobs at once, by the engine: in which order, to whom, and in which books."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from inproc_tubes.core.job import JobState
from inproc_tubes.core.making import new_job
from tests.engine_driver import Holder, Queue, held, next_id, told

if TYPE_CHECKING:
    from inproc_tubes.core.record import AnyJob
    from inproc_tubes.core.session import Session


@pytest.fixture
def queue() -> Queue:
    return Queue()


def put_many(
    queue: Queue, count: int, priority: int = 0, delay: float = 0, ttr: float = 60
) -> list[int]:
    jobs = [new_job(f"body {n}", priority, delay, ttr) for n in range(count)]
    ids: list[int] = queue.do("put_many", queue.producer(), jobs, None)
    return ids


def reserve_many(queue: Queue, session: Session, n: int) -> list[int]:
    return [job.id for job in queue.do("reserve_many", session, n, 0)]


# Putting


def test_a_batch_has_ids_that_follow_each_other(queue: Queue) -> None:
    queue.put()
    assert put_many(queue, 3) == [2, 3, 4]
    assert queue.put() == 5
    assert [queue.job(i).body for i in (2, 3, 4)] == ["body 0", "body 1", "body 2"]


def test_each_job_of_a_batch_counts(queue: Queue) -> None:
    put_many(queue, 3, priority=1023)
    stats = queue.do("stats_tube", "default")
    assert (stats.total_jobs, stats.current_jobs_urgent) == (3, 3)
    assert queue.count("cmd_put") == 3


def test_a_batch_of_none_is_none(queue: Queue) -> None:
    assert put_many(queue, 0, priority=7) == []
    assert put_many(queue, 1) == [1]


def test_a_batch_of_none_makes_no_tube(queue: Queue) -> None:
    assert queue.do("put_many", queue.producer(), [], "new") == []
    assert "new" not in queue.do("list_tubes")


def test_a_more_urgent_batch_goes_before_jobs_that_are_there(queue: Queue) -> None:
    queue.put(5)
    put_many(queue, 2, priority=3)
    put_many(queue, 1, priority=4)
    assert queue.reserve_all(queue.session()) == [2, 3, 4, 1]


@pytest.mark.parametrize("first", [5, 3, 1])
def test_batches_are_served_by_priority_and_then_by_id(
    queue: Queue, first: int
) -> None:
    for priority in (first, 3, 1, 5):
        put_many(queue, 2, priority)
    session = queue.session()
    found = [(queue.job(i).priority, i) for i in reserve_many(queue, session, 9)]
    assert found == sorted(found)
    assert len(found) == 8


def test_a_delayed_batch_matures_in_order(queue: Queue) -> None:
    put_many(queue, 3, delay=5)
    assert queue.do("stats_job", 3).time_left == 5
    assert queue.next_due() == 105.0
    queue.to(105.0)
    assert queue.reserve_all(queue.session()) == [1, 2, 3]


def test_waiting_reserves_are_served_in_order(queue: Queue) -> None:
    requests = [queue.wait(queue.session()) for _ in range(2)]
    put_many(queue, 3)
    assert [told(request) for request in requests] == [1, 2]
    assert queue.state(3) == "ready"


def test_a_batch_in_a_paused_tube_serves_no_reserve(queue: Queue) -> None:
    request = queue.wait(queue.session())
    queue.do("pause_tube", "default", 5)
    put_many(queue, 2)
    assert told(request) is None
    queue.to(105.0)
    assert told(request) == 1


# Reserving


def test_a_batch_is_reserved_best_first(queue: Queue) -> None:
    for priority in (2, 1, 2, 1):
        queue.put(priority)
    assert reserve_many(queue, queue.session(), 3) == [2, 4, 1]


def test_a_batch_is_no_larger_than_what_is_ready(queue: Queue) -> None:
    put_many(queue, 2)
    queue.put(delay=9)
    session = queue.session()
    assert reserve_many(queue, session, 99) == [1, 2]
    assert reserve_many(queue, session, 99) == []


def test_a_batch_is_taken_from_all_watched_tubes(queue: Queue) -> None:
    for priority, tube in ((2, "a"), (1, "b"), (0, "c"), (0, "b"), (0, "paused")):
        queue.put(priority, tube=tube)
    queue.do("pause_tube", "paused", 5)
    assert reserve_many(queue, queue.session("a", "b", "paused"), 9) == [4, 2, 1]


def test_a_paused_tube_has_no_batch(queue: Queue) -> None:
    put_many(queue, 2)
    queue.do("pause_tube", "default", 5)
    assert reserve_many(queue, queue.session(), 2) == []


def test_each_job_of_a_batch_is_reserved_as_if_alone(queue: Queue) -> None:
    session = queue.session()
    for ttr in (9, 5, 7):
        queue.put(ttr=ttr)
    assert reserve_many(queue, session, 3) == [1, 2, 3]
    assert [queue.do("stats_job", i).time_left for i in (1, 2, 3)] == [9, 5, 7]
    assert held(session) == [1, 2, 3]
    assert [queue.job(i).reserves for i in (1, 2, 3)] == [1, 1, 1]
    assert queue.next_due() == 105.0
    queue.to(107.0)
    assert [queue.state(i) for i in (1, 2, 3)] == ["reserved", "ready", "ready"]
    assert queue.do("stats_tube", "default").current_jobs_reserved == 1


def test_each_job_counts_as_a_reserve_and_none_is_none(queue: Queue) -> None:
    session = queue.session()
    put_many(queue, 3)
    queue.do("reserve_many", session, 2, None)
    queue.do("reserve_many", session, 2, 0)
    queue.do("reserve_many", session, 2, 0)
    counts = queue.do("broker_counts")
    assert (counts["cmd_reserve"], counts["cmd_reserve_with_timeout"]) == (2, 1)
    assert session.is_worker


def test_a_batch_skips_what_has_left_and_what_came_back(queue: Queue) -> None:
    session = queue.session()
    put_many(queue, 8)
    for job_id in (2, 5):
        queue.do("delete", session, job_id, None)
    # Each has two entries, and both of them name a ready job.
    for job_id in (3, 1):
        queue.do("reserve_job", session, job_id)
        queue.do("release", session, job_id, None, None, 0)
    queue.do("reserve_job", session, 7)
    queue.do("release", session, 7, None, 9, 0)
    assert reserve_many(queue, session, 4) == [1, 3, 4, 6]
    assert reserve_many(queue, session, 4) == [8, 7]


@pytest.mark.parametrize("held", [0, 1])
def test_a_large_batch_loses_no_deadline(queue: Queue, held: int) -> None:
    session = queue.session()
    put_many(queue, 100 + held, ttr=5)
    for _ in range(held):
        queue.reserve(session)
    assert len(reserve_many(queue, session, 100)) == 100
    queue.to(105.0)
    assert queue.do("stats_tube", "default").current_jobs_ready == 100 + held


def test_many_batches_leave_no_pile_of_void_deadlines(queue: Queue) -> None:
    session = queue.session()
    for _ in range(9):
        put_many(queue, 50)
        for job_id in reserve_many(queue, session, 50):
            queue.do("delete", session, job_id, None)
    assert len(session.held._deadlines) < 200


# Looking in, and clearing up


def list_jobs(queue: Queue, *states: JobState, tube: str = "default") -> list[int]:
    found = queue.do("list_jobs", Holder(queue.engine.jobs), tube, states)
    assert all(job._original is queue.job(job.id) for job in found)
    return [job.id for job in found]


def clear_tube(queue: Queue, *states: JobState, tube: str = "default") -> int:
    """Return how many jobs were deleted; each of them is handed out, to be dropped."""
    gone = queue.do("clear_tube", tube, states)
    assert all(job._state is JobState.GONE for job in gone)
    return len(gone)


@pytest.fixture
def holder(queue: Queue) -> Session:
    """Put jobs in all states, none in its order; return a session that holds some."""
    session, other = queue.session(), queue.session()
    for priority in (3, 3, 1, 2):
        queue.put(priority)
    for delay in (9, 5, 7):
        queue.put(delay=delay)
    for ttr in (50, 30, 40):
        queue.put(ttr=ttr)
        queue.do(
            "reserve_job", other if ttr == 30 else session, next_id(queue.engine) - 1
        )
    for job_id in (13, 11, 12):
        while next_id(queue.engine) <= job_id:
            queue.put()
        queue.bury(session, job_id)
    queue.put(tube="other")
    return session


@pytest.mark.usefixtures("holder")
def test_jobs_are_listed_as_they_are_served(queue: Queue) -> None:
    assert list_jobs(queue, JobState.READY) == [3, 4, 1, 2]
    assert list_jobs(queue, JobState.DELAYED) == [6, 7, 5]
    assert list_jobs(queue, JobState.RESERVED) == [9, 10, 8]
    assert list_jobs(queue, JobState.BURIED) == [13, 11, 12]
    assert list_jobs(queue, JobState.BURIED, JobState.READY) == [13, 11, 12, 3, 4, 1, 2]
    assert list_jobs(queue, JobState.READY, tube="nowhere") == []


def test_what_has_left_is_not_listed_and_what_came_back_is_listed_once(
    queue: Queue,
) -> None:
    session = queue.session()
    put_many(queue, 4)
    queue.do("delete", session, 1, None)
    queue.do("reserve_job", session, 3)
    queue.do("release", session, 3, None, None, 0)
    assert list_jobs(queue, JobState.READY) == [2, 3, 4]


@pytest.mark.usefixtures("holder")
@pytest.mark.parametrize(
    ("state", "count"), [("ready", 4), ("delayed", 3), ("buried", 3)]
)
def test_clearing_deletes_the_jobs_of_a_state(
    queue: Queue, state: str, count: int
) -> None:
    assert clear_tube(queue, JobState(state)) == count
    assert list_jobs(queue, JobState(state)) == []
    assert len(queue.engine.jobs) == 14 - count
    stats = queue.do("stats_tube", "default")
    assert (stats.cmd_delete, queue.count("cmd_delete")) == (count, count)


def test_clearing_leaves_what_is_held(queue: Queue, holder: Session) -> None:
    states = (JobState.READY, JobState.DELAYED, JobState.BURIED)
    assert clear_tube(queue, *states) == 10
    assert sorted(queue.engine.jobs) == [8, 9, 10, 14]
    assert queue.reserve_all(holder) == []


def test_clearing_many_is_as_clearing_one(queue: Queue) -> None:
    put_many(queue, 300)
    assert clear_tube(queue, JobState.READY) == 300
    assert put_many(queue, 1) == [301]
    assert queue.reserve_all(queue.session()) == [301]


def test_a_tube_that_was_cleared_vanishes_unless_it_is_referred_to(
    queue: Queue,
) -> None:
    queue.put(tube="a")
    queue.put(tube="b")
    queue.producer("b")
    for tube in ("a", "b", "nowhere"):
        count = clear_tube(queue, JobState.READY, tube=tube)
        assert count == (tube != "nowhere")
    assert queue.do("list_tubes") == ["default", "b"]


def test_numbered_jobs_that_are_refused_count_once_though_they_are_put_again(
    queue: Queue,
) -> None:
    """The turn in which they were dropped may have been broken off at its end."""
    session = queue.producer()
    jobs: list[AnyJob] = [new_job("body", 0, 0, 60)]
    queue.engine.store.number(jobs)
    queue.do("drain")
    for _ in range(2):
        queue.do("put_numbered", session, jobs, None)
    assert queue.count("cmd_put") == 1
