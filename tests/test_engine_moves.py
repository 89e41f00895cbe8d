"""Moving jobs to other tubes, and changing their numbers."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

import pytest

from inproc_tubes.core.failure import Failure
from inproc_tubes.core.making import new_job
from inproc_tubes.core.recovery import check, rebuild
from inproc_tubes.core.turn import TURN
from inproc_tubes.errors import (
    DuplicateJobError,
    NotFoundError,
    NotFoundReason,
    TubeFullError,
)
from tests.engine_driver import Queue, held, told

if TYPE_CHECKING:
    from inproc_tubes.core.session import Session


@pytest.fixture
def queue() -> Queue:
    return Queue()


def move(queue: Queue, job_id: int, tube: str = "other") -> None:
    queue.do("move", job_id, None, tube)


def update(
    queue: Queue, job_id: int, priority: int | None = None, delay: float | None = None
) -> None:
    queue.do("update", job_id, None, priority, delay)


def keyed(queue: Queue, key: str, tube: str = "default", life: float = inf) -> int:
    """Put a job with a key."""
    job = new_job("body", 0, 0, 60)
    job._own_history().key = key
    job._own_history().life = life
    (job_id,) = queue.do("put_many", queue.producer(tube), [job], None, "raise")
    number: int = job_id
    return number


def counts(queue: Queue, tube: str) -> tuple[int, int]:
    """Return how many jobs a tube has had, and how many were deleted there."""
    stats = queue.do("stats_tube", tube)
    return stats.total_jobs, stats.cmd_delete


# Moving


def test_a_ready_job_is_served_in_its_new_tube_by_its_priority_and_id(
    queue: Queue,
) -> None:
    queue.put(5)
    for priority in (5, 4, 6):
        queue.put(priority, tube="other")
    move(queue, 1)
    session = queue.session("other")
    assert queue.reserve_all(session) == [3, 1, 2, 4]
    assert queue.do("stats_tube", "default").current_jobs_ready == 0


def test_a_job_is_not_served_where_it_was_before(queue: Queue) -> None:
    queue.put()
    queue.put()
    move(queue, 1)
    assert queue.reserve_all(queue.session()) == [2]


def test_a_job_that_comes_back_is_served_once(queue: Queue) -> None:
    queue.put()
    move(queue, 1)
    move(queue, 1, "default")
    assert queue.reserve_all(queue.session()) == [1]
    queue.put(delay=5)
    move(queue, 2)
    move(queue, 2, "default")
    queue.to(105.0)
    assert queue.reserve_all(queue.session("default", "other")) == [2]


def test_a_delayed_job_is_ready_there_at_its_moment(queue: Queue) -> None:
    queue.put(delay=5)
    move(queue, 1)
    assert queue.next_due() == 105
    assert queue.do("stats_tube", "default").current_jobs_delayed == 0
    queue.to(105.0)
    assert queue.reserve_all(queue.session("other")) == [1]


def test_a_buried_job_is_the_last_to_be_kicked_there(queue: Queue) -> None:
    session = queue.session()
    queue.bury(session, queue.put())
    queue.bury(session, queue.put(tube="other"))
    move(queue, 1)
    assert queue.do("peek_buried", "other").id == 2
    assert queue.do("kick", "other", 5) == 2
    assert queue.job(1).buries == 1


def test_a_reserve_that_waits_is_handed_the_job_at_once(queue: Queue) -> None:
    session = queue.session("other")
    request = queue.wait(session)
    queue.put()
    move(queue, 1)
    assert told(request) == 1
    assert held(session) == [1]
    assert queue.job(1).tube == "other"


def test_the_counters_of_the_tubes_stay_true(queue: Queue) -> None:
    queue.session("other")
    queue.put()
    queue.put()
    move(queue, 1)
    assert counts(queue, "default") == (1, 0)
    assert counts(queue, "other") == (1, 0)
    queue.do("delete", queue.session(), 1, None)
    assert counts(queue, "other") == (1, 1)
    assert queue.count("total_jobs") == 2
    assert queue.count("cmd_delete") == 1


def test_a_tube_vanishes_when_its_last_job_moves_away(queue: Queue) -> None:
    queue.put(tube="gone")
    move(queue, 1, "new")
    assert queue.do("list_tubes") == ["default", "new"]
    queue.do("delete", queue.session(), 1, None)
    assert queue.count("total_jobs") == 1


def test_a_move_to_its_own_tube_has_no_effect(queue: Queue) -> None:
    queue.put()
    queue.do("limit_tube", "default", 1)
    move(queue, 1, "default")
    assert counts(queue, "default") == (1, 0)


def test_a_job_that_somebody_holds_is_not_moved_or_changed(queue: Queue) -> None:
    queue.put()
    queue.reserve(queue.session())
    for verb in (move, update):
        with pytest.raises(NotFoundError) as info:
            verb(queue, 1)
        assert info.value.reason is NotFoundReason.HELD
        with pytest.raises(NotFoundError) as info:
            verb(queue, 7)
        assert info.value.reason is NotFoundReason.NEVER_PUT
    assert queue.do("list_tubes") == ["default"]


def test_a_move_into_a_full_tube_is_refused(queue: Queue) -> None:
    queue.do("limit_tube", "other", 1)
    queue.put(tube="other")
    queue.put()
    with pytest.raises(TubeFullError):
        move(queue, 2)
    assert counts(queue, "default") == (1, 0)
    assert queue.job(2).tube == "default"


def test_a_move_does_not_overtake_a_put_that_waits(queue: Queue) -> None:
    queue.do("limit_tube", "other", 2)
    queue.put(tube="other")
    queue.put()
    batch = queue.offer(queue.producer("other"), count=2)
    with pytest.raises(TubeFullError):
        move(queue, 2)
    queue.do("delete", queue.session(), 1, None)
    assert told(batch) == [3, 4]


def test_a_move_out_of_a_full_tube_makes_room(queue: Queue) -> None:
    queue.do("limit_tube", "default", 1)
    queue.put()
    waiting = queue.offer(queue.producer())
    join = queue.join("default", "other")
    move(queue, 1)
    assert told(waiting) == [2]
    assert told(join) is None
    for job_id in (1, 2):
        queue.do("delete", queue.session(), job_id, None)
    assert told(join) == 0


def test_a_join_of_both_tubes_does_not_end_in_between(queue: Queue) -> None:
    queue.put()
    both, one = queue.join("default", "other"), queue.join("default")
    move(queue, 1)
    assert (told(both), told(one)) == (None, 0)


def test_a_key_goes_with_its_job(queue: Queue) -> None:
    keyed(queue, "a")
    move(queue, 1)
    assert queue.engine.store.keys.find("default", "a") is None
    assert keyed(queue, "a") == 2
    with pytest.raises(DuplicateJobError) as info:
        move(queue, 2)
    assert (info.value.tube, info.value.job_id) == ("other", 1)
    assert queue.job(2).tube == "default"
    keyed(queue, "b", "third")
    queue.do("delete", queue.session(), 2, None)
    move(queue, 1, "third")
    assert queue.do("list_tubes") == ["default", "third"]


def test_a_life_goes_on_in_the_new_tube(queue: Queue) -> None:
    keyed(queue, "a", life=30)
    queue.to(110.0)
    move(queue, 1)
    assert queue.next_due() == 130
    queue.session("other")
    queue.to(130.0)
    assert queue.engine.jobs == {}
    assert queue.do("stats_tube", "other").expired == 1
    assert queue.do("stats_tube", "default").expired == 0


def test_a_broker_that_drains_moves_jobs(queue: Queue) -> None:
    queue.put()
    queue.do("drain")
    move(queue, 1)
    assert queue.job(1).tube == "other"


@pytest.mark.parametrize("tubes", [("default", "other"), ("other", "default")])
def test_a_move_that_is_broken_off_before_it_is_counted_is_counted(
    queue: Queue, tubes: tuple[str, str]
) -> None:
    before, after = tubes
    queue.session("default", "other")
    queue.put(tube=before)
    engine = queue.engine
    engine.turn.unfinished = TURN
    engine.jobs[1]._tube = after
    rebuild(queue.now, engine)
    engine.turn.unfinished = None
    check(engine)
    assert counts(queue, before) == (0, 0)
    assert counts(queue, after) == (1, 0)


# Burying from outside


def bury(
    queue: Queue,
    job_id: int,
    priority: int | None = None,
    failure: Failure | None = None,
) -> None:
    queue.do("put_aside", job_id, None, priority, failure)


def test_a_ready_job_is_buried_and_served_no_more(queue: Queue) -> None:
    queue.put()
    queue.put()
    bury(queue, 1)
    assert queue.state(1) == "buried"
    assert queue.job(1).buries == 1
    assert queue.job(1).error is None
    session = queue.session()
    assert queue.reserve_all(session) == [2]
    queue.do("kick", "default", 1)
    assert queue.reserve_all(session) == [1]


def test_a_delayed_job_is_buried_and_is_not_due(queue: Queue) -> None:
    queue.put(delay=5)
    bury(queue, 1)
    assert queue.next_due() == inf
    queue.to(105.0)
    assert queue.state(1) == "buried"


def test_a_job_that_is_buried_is_the_last_to_be_kicked(queue: Queue) -> None:
    queue.put()
    queue.put()
    bury(queue, 2)
    bury(queue, 1)
    assert queue.do("peek_buried", "default").id == 2


def test_a_job_is_buried_with_a_priority_and_an_error(queue: Queue) -> None:
    queue.put(5)
    bury(queue, 1, 3, Failure("Error", "text", "..."))
    job = queue.job(1)
    assert job.priority == 3
    assert job.error is not None
    assert (job.error.text, job.error.tube, job.error.attempt) == ("text", "default", 0)


def test_a_life_stands_still_while_a_job_is_buried_from_outside(queue: Queue) -> None:
    keyed(queue, "a", life=30)
    queue.to(110.0)
    bury(queue, 1)
    assert queue.next_due() == inf
    queue.to(200.0)
    queue.do("kick", "default", 1)
    assert queue.next_due() == 220


def test_a_join_does_not_wait_for_a_job_that_is_buried(queue: Queue) -> None:
    queue.put()
    join = queue.join("default")
    bury(queue, 1)
    assert told(join) == 1


def test_a_job_that_is_held_or_buried_is_not_buried_from_outside(
    queue: Queue,
) -> None:
    queue.put()
    queue.put()
    queue.reserve(queue.session())
    bury(queue, 2)
    for job_id, reason in (
        (1, NotFoundReason.HELD),
        (2, NotFoundReason.WRONG_STATE),
        (7, NotFoundReason.NEVER_PUT),
    ):
        with pytest.raises(NotFoundError) as info:
            bury(queue, job_id, 3)
        assert info.value.reason is reason
    assert queue.job(2).buries == 1
    assert queue.count("cmd_bury") == 0


# Releasing to another tube


def reserved(queue: Queue) -> Session:
    queue.put()
    session = queue.session()
    queue.reserve(session)
    return session


def release(
    queue: Queue,
    session: Session,
    tube: str = "other",
    delay: float = 0,
    failure: Failure | None = None,
) -> None:
    queue.do("release", session, 1, None, None, delay, failure, tube)


def test_a_job_is_released_to_another_tube(queue: Queue) -> None:
    session = reserved(queue)
    other = queue.session("other")
    request = queue.wait(other)
    release(queue, session, failure=Failure("Error", "text", "..."))
    assert told(request) == 1
    assert queue.job(1).releases == 1
    error = queue.job(1).error
    assert error is not None
    assert error.tube == "default"  # where it has failed
    assert counts(queue, "default") == (0, 0)


def test_a_job_is_released_to_another_tube_after_a_delay(queue: Queue) -> None:
    release(queue, reserved(queue), delay=5)
    assert queue.state(1) == "delayed"
    queue.to(105.0)
    assert queue.reserve_all(queue.session("other")) == [1]


def test_a_release_to_its_own_tube_is_a_release(queue: Queue) -> None:
    queue.do("limit_tube", "default", 1)
    release(queue, reserved(queue), "default")
    assert queue.state(1) == "ready"
    assert counts(queue, "default") == (1, 0)


def test_a_release_to_a_full_tube_is_refused_and_the_job_is_held_on(
    queue: Queue,
) -> None:
    queue.do("limit_tube", "other", 1)
    session = reserved(queue)
    queue.put(tube="other")
    with pytest.raises(TubeFullError):
        release(queue, session)
    assert held(session) == [1]
    assert queue.job(1).releases == 0


def test_the_limit_of_tries_of_the_new_tube_counts(queue: Queue) -> None:
    queue.do("limit_tries", "default", 1)
    release(queue, reserved(queue))
    assert queue.state(1) == "ready"
    queue.do("limit_tries", "other", 2)
    session = queue.session("other")
    queue.reserve(session)
    release(queue, session, "default")
    assert queue.state(1) == "buried"
    assert queue.job(1).tube == "default"


# Changing


def test_a_ready_job_gets_another_priority(queue: Queue) -> None:
    for _ in range(3):
        queue.put(5)
    update(queue, 3, priority=1)
    update(queue, 1, priority=9)
    assert queue.do("stats_job", 1).priority == 9
    assert queue.reserve_all(queue.session()) == [3, 2, 1]


def test_a_priority_that_changes_there_and_back_changes_nothing(
    queue: Queue,
) -> None:
    queue.put(5)
    queue.put(5)
    update(queue, 1, priority=9)
    update(queue, 1, priority=5)
    assert queue.reserve_all(queue.session()) == [1, 2]


def test_a_consumer_of_several_tubes_is_served_by_the_new_priority(
    queue: Queue,
) -> None:
    session = queue.session("default", "other")
    queue.put(5)
    queue.put(4, tube="other")
    assert queue.reserve(session) == 2
    queue.do("release", session, 2, None, None, 0)
    update(queue, 1, priority=1)
    assert queue.reserve(session) == 1


def test_a_ready_job_is_delayed(queue: Queue) -> None:
    queue.put()
    update(queue, 1, delay=5)
    assert queue.state(1) == "delayed"
    assert queue.job(1).delay == 5
    assert queue.next_due() == 105


def test_a_delayed_job_is_ready_sooner_or_later_or_at_once(queue: Queue) -> None:
    for _ in range(3):
        queue.put(delay=10)
    queue.to(102.0)
    update(queue, 1, delay=3)
    update(queue, 2, delay=30)
    update(queue, 3, delay=0)
    assert queue.state(3) == "ready"
    assert queue.next_due() == 105
    queue.to(105.0)
    assert queue.state(1) == "ready"
    assert queue.next_due() == 132


def test_a_delayed_job_keeps_its_moment_if_its_priority_alone_changes(
    queue: Queue,
) -> None:
    queue.put(delay=10)
    queue.to(105.0)
    update(queue, 1, priority=3)
    assert queue.next_due() == 110
    assert queue.job(1).priority == 3


def test_a_job_whose_delay_is_taken_back_goes_to_the_reserve_that_waits(
    queue: Queue,
) -> None:
    session = queue.session()
    queue.put(delay=10)
    request = queue.wait(session)
    update(queue, 1, delay=0)
    assert told(request) == 1


def test_a_buried_job_stays_buried_and_has_its_new_priority_when_it_is_kicked(
    queue: Queue,
) -> None:
    session = queue.session()
    for _ in range(2):
        queue.bury(session, queue.put(5))
    update(queue, 2, priority=1, delay=30)
    assert queue.state(2) == "buried"
    queue.do("kick", "default", 2)
    assert queue.reserve_all(session) == [2, 1]


def test_nothing_changes_where_nothing_is_given(queue: Queue) -> None:
    queue.put(5)
    queue.put(5, delay=10)
    before = [queue.do("stats_job", job_id) for job_id in (1, 2)]
    update(queue, 1)
    update(queue, 2)
    assert before == [queue.do("stats_job", job_id) for job_id in (1, 2)]


def test_a_life_stands_still_while_a_job_is_delayed_again(queue: Queue) -> None:
    keyed(queue, "a", life=30)
    queue.to(110.0)
    update(queue, 1, delay=100)
    assert queue.next_due() == 210
    queue.to(210.0)
    assert queue.next_due() == 230
    # A change of its priority does not give it more.
    queue.to(220.0)
    update(queue, 1, priority=3)
    assert queue.next_due() == 230
