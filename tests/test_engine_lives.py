"""Jobs that expire: how long a job may be ready before it is deleted."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

import pytest

from inproc_tubes.core.lives import SWEEP_FLOOR, Lives
from inproc_tubes.core.making import new_job
from inproc_tubes.core.record import JobState
from inproc_tubes.core.requests import PutRequest
from inproc_tubes.errors import NotFoundError, NotFoundReason
from tests.engine_driver import Queue, held, told

if TYPE_CHECKING:
    from inproc_tubes.core.record import AnyJob


@pytest.fixture
def queue() -> Queue:
    return Queue()


def put(
    queue: Queue,
    life: float = 30,
    *,
    delay: float = 0,
    count: int = 1,
    tube: str = "default",
) -> list[int]:
    """Put jobs that may be ready for so long, at 100.0."""
    jobs: list[AnyJob] = [new_job("body", 0, delay, 60) for _ in range(count)]
    for job in jobs:
        job._own_history().life = life
    session = queue.producer(tube)
    ids: list[int] = queue.do("put_many", session, jobs, None)
    queue.do("close_session", session, "done")
    return ids


def expired(queue: Queue, tube: str = "default") -> int:
    number: int = queue.do("stats_tube", tube).expired
    return number


def left(queue: Queue, job_id: int) -> float:
    return queue.engine.jobs[job_id]._history.life


# While it is ready


def test_a_job_that_nobody_reserves_in_time_is_deleted(queue: Queue) -> None:
    put(queue)
    assert queue.next_due() == 130
    queue.to(129.9)
    assert queue.state(1) == "ready"
    queue.to(130.0)
    assert queue.engine.jobs == {}
    stats = queue.do("stats_tube", "default")
    assert (stats.expired, stats.cmd_delete, stats.total_jobs) == (1, 1, 1)
    assert queue.next_due() == inf


def test_whoever_asks_for_it_is_told_that_it_was_not_reserved_in_time(
    queue: Queue,
) -> None:
    put(queue)
    queue.to(130.0)
    with pytest.raises(NotFoundError) as info:
        queue.do("peek", 1)
    assert info.value.reason is NotFoundReason.OUTDATED


def test_a_job_without_a_life_does_not_expire(queue: Queue) -> None:
    put(queue, inf)
    assert queue.next_due() == inf
    queue.to(10.0**9)
    assert queue.state(1) == "ready"


def test_a_reserved_job_does_not_expire(queue: Queue) -> None:
    put(queue)
    session = queue.session()
    queue.to(120.0)
    queue.reserve(session)
    queue.to(150.0)
    assert held(session) == [1]
    assert expired(queue) == 0


@pytest.mark.parametrize("delay", [0, 40])
def test_a_job_that_is_released_has_what_is_left(queue: Queue, delay: float) -> None:
    put(queue)
    session = queue.session()
    queue.to(120.0)
    queue.reserve(session)
    assert left(queue, 1) == 10
    queue.to(150.0)
    queue.do("release", session, 1, None, None, delay)
    queue.to(150.0 + delay)
    queue.to(159.9 + delay)
    assert queue.state(1) == "ready"
    queue.to(160.0 + delay)
    assert expired(queue) == 1


def test_a_job_whose_reservation_expires_has_what_is_left(queue: Queue) -> None:
    put(queue)
    session = queue.session()
    queue.to(120.0)
    queue.reserve(session)
    queue.to(180.0)
    assert queue.state(1) == "ready"
    assert queue.next_due() == 190


def test_a_job_of_a_consumer_that_is_closed_has_what_is_left(queue: Queue) -> None:
    put(queue)
    session = queue.session()
    queue.to(120.0)
    queue.reserve(session)
    queue.to(150.0)
    queue.do("close_session", session, "closed")
    assert queue.next_due() == 160


def test_a_reservation_that_has_never_been_costs_no_life(queue: Queue) -> None:
    session = queue.session()
    request = queue.wait(session)
    put(queue)
    assert told(request) == 1
    queue.do("withdraw", request)
    assert queue.next_due() == 130


def test_a_delayed_job_does_not_expire(queue: Queue) -> None:
    put(queue, delay=50)
    queue.to(149.0)
    assert queue.state(1) == "delayed"
    queue.to(150.0)
    assert queue.next_due() == 180


def test_a_buried_job_does_not_expire(queue: Queue) -> None:
    put(queue)
    queue.to(110.0)
    queue.bury(queue.session(), 1)
    queue.to(500.0)
    assert queue.state(1) == "buried"
    queue.do("kick_job", 1, None)
    assert queue.next_due() == 520


def test_the_life_of_a_job_runs_in_a_paused_tube(queue: Queue) -> None:
    put(queue)
    queue.do("pause_tube", "default", 60)
    queue.to(130.0)
    assert expired(queue) == 1


def test_a_job_that_waits_for_room_begins_to_live_as_it_is_let_in(
    queue: Queue,
) -> None:
    queue.do("limit_tube", "default", 1)
    queue.put()
    jobs: list[AnyJob] = [new_job("body", 0, 0, 60)]
    jobs[0]._own_history().life = 30
    session = queue.producer()
    assert queue.do("put_many", session, jobs, None) is None
    queue.do("wait_to_put", PutRequest(session, None, jobs))
    queue.to(200.0)
    queue.do("delete", session, 1, None)
    assert queue.next_due() == 230


def test_a_job_that_is_handed_over_at_once_keeps_its_whole_life(queue: Queue) -> None:
    session = queue.session()
    queue.wait(session)
    put(queue)
    assert held(session) == [1]
    assert left(queue, 1) == 30
    assert queue.engine.jobs[1]._history.expires_at == inf


# What comes of it, and in which order


def test_room_and_the_end_of_the_work_come_of_it(queue: Queue) -> None:
    queue.do("limit_tube", "default", 1)
    put(queue)
    waiting = queue.offer(queue.producer(), 30)
    queue.to(130.0)
    # Before its timeout, which passes in the same instant.
    assert told(waiting) == [2]
    put(queue, tube="other")
    join = queue.join("other", timeout=30)
    queue.to(160.0)
    assert told(join) == 0


def test_a_tube_vanishes_with_its_last_job(queue: Queue) -> None:
    put(queue, tube="gone")
    queue.do("pause_tube", "gone", 30)
    put(queue, tube="stays")
    queue.do("pause_tube", "stays", 30)
    queue.producer("stays")
    queue.to(130.0)
    assert queue.do("list_tubes") == ["default", "stays"]
    assert queue.do("stats_tube", "stays").pause == 0


def test_a_job_expires_before_the_pause_of_its_tube_ends(queue: Queue) -> None:
    session = queue.session()
    put(queue, tube="other")
    queue.do("watch", session, ["other"])
    queue.do("pause_tube", "default", 30)
    put(queue, tube="default")
    queue.do("delete", session, 1, None)
    request = queue.wait(session)
    queue.to(130.0)
    assert told(request) is None
    assert expired(queue) == 1


def test_a_delay_that_ends_in_the_same_instant_is_not_too_late(queue: Queue) -> None:
    put(queue, 30)
    put(queue, 30, delay=30)
    queue.to(130.0)
    assert list(queue.engine.jobs) == [2]
    assert queue.next_due() == 160


def test_in_one_instant_the_soonest_goes_first_then_the_tube_that_was_made_first(
    queue: Queue,
) -> None:
    """Each makes room for a put that waits, and these get their ids in that order."""
    waiting = []
    for tube in ("a", "b", "c"):
        queue.do("limit_tube", tube, 1)
    for tube, life in (("c", 20), ("b", 20), ("a", 25)):
        put(queue, life, tube=tube)
        waiting.append(queue.offer(queue.producer(tube)))
    queue.to(140.0)
    assert [told(request) for request in waiting] == [[5], [4], [6]]


def test_a_due_job_that_a_put_replaces_meanwhile_counts_as_replaced(
    queue: Queue,
) -> None:
    queue.do("limit_tube", "default", 2)
    put(queue, 20)
    jobs: list[AnyJob] = [new_job("body", 0, 0, 60) for _ in range(3)]
    for job, key in zip(jobs, ["key", "key", "other"], strict=True):
        job._own_history().key = key
    jobs[0]._own_history().life = 20
    session = queue.producer()
    queue.do("put_many", session, jobs[:1], None, "replace")
    # There is room for it as soon as the first job has expired.
    request = PutRequest(session, None, jobs[1:], "", "replace")
    assert queue.do("put_many", session, request.jobs, None, "replace") is None
    queue.do("wait_to_put", request)
    queue.to(120.0)
    assert told(request) == [3, 4]
    assert expired(queue) == 1


# The index


def test_dead_entries_are_swept() -> None:
    """One that expires first is at the head all the time, and keeps them in."""
    jobs: list[AnyJob] = [new_job("body", 0, 0, 60) for _ in range(2)]
    lives = Lives({1: jobs[0], 2: jobs[1]}, "t")
    for job_id, job in enumerate(jobs, 1):
        job._id, job._tube = job_id, "t"
        job._own_history().expires_at = 110.0
        lives.add(job)
    for moment in range(3 * SWEEP_FLOOR):
        jobs[1]._history.expires_at = 120.0 + moment
        lives.add(jobs[1])
        assert lives.due_at == 110
    assert len(lives._heap) <= SWEEP_FLOOR + 4
    lives._check(jobs)
    assert lives.take(110.0) == [jobs[0]]


def test_the_check_finds_a_job_that_is_missing_and_entries_out_of_order() -> None:
    job = new_job("body", 0, 0, 60)
    job._id, job._tube, job._state = 1, "t", JobState.READY
    job._own_history().expires_at = 130.0
    lives = Lives({1: job}, "t")
    with pytest.raises(AssertionError):
        lives._check([job])
    lives.add(job)
    lives._check([job])
    assert lives.due_at == 130
    lives._heap.append((1.0, 2))
    with pytest.raises(AssertionError):
        lives._check([job])
