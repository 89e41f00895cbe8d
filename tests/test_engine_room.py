"""Limited tubes: which puts wait for room, and when they are let in."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

import pytest

from inproc_tubes.core.making import new_job
from inproc_tubes.core.requests import PutRequest
from inproc_tubes.errors import TubeFullError
from tests.engine_driver import Queue, told

if TYPE_CHECKING:
    from collections.abc import Callable

    from inproc_tubes.core.session import Session


@pytest.fixture
def queue() -> Queue:
    """Make an engine whose tube "default" may have two jobs."""
    queue = Queue()
    queue.do("limit_tube", "default", 2)
    return queue


@pytest.fixture
def producer(queue: Queue) -> Session:
    return queue.producer()


def full(queue: Queue) -> None:
    queue.put()
    queue.put()


def putting(queue: Queue, tube: str = "default") -> int:
    waiting: int = queue.do("stats_tube", tube).current_putting
    return waiting


# Which puts wait


def test_puts_are_taken_until_the_limit_is_reached(
    queue: Queue, producer: Session
) -> None:
    assert [told(queue.offer(producer)) for _ in range(3)] == [[1], [2], None]
    assert putting(queue) == 1


def test_a_put_that_waits_for_room_waits_for_no_job(
    queue: Queue, producer: Session
) -> None:
    full(queue)
    queue.offer(producer)
    assert queue.waiting == 0
    assert queue.all_waiting == 1
    assert queue.count("current_waiting") == 0
    assert queue.do("stats_tube", "default").current_waiting == 0


def test_jobs_count_whatever_their_state(queue: Queue, producer: Session) -> None:
    queue.do("limit_tube", "default", 4)
    session = queue.session()
    queue.bury(session, queue.put())
    queue.do("reserve_job", session, queue.put())
    queue.put(delay=9)
    queue.put()
    assert told(queue.offer(producer)) is None


@pytest.mark.parametrize("tube", [None, "default"])
def test_a_put_is_kept_out_of_a_tube_that_it_uses_or_names(
    queue: Queue, tube: str | None
) -> None:
    full(queue)
    session = queue.producer("default" if tube is None else "other")
    assert told(queue.offer(session, tube=tube)) is None


def test_a_put_that_waits_stays_in_its_tube_when_another_is_used(
    queue: Queue, producer: Session
) -> None:
    full(queue)
    request = queue.offer(producer)
    queue.do("use", producer, "other")
    queue.do("delete", producer, 1, None)
    assert told(request) == [3]
    assert queue.job(3).tube == "default"


def test_a_put_that_finds_no_room_is_counted_once_and_spends_no_id(
    queue: Queue, producer: Session
) -> None:
    full(queue)
    for _ in range(3):
        with pytest.raises(TubeFullError) as info:
            queue.offer(producer, 0)
        assert (info.value.tube, info.value.maxsize, info.value.count) == (
            "default",
            2,
            1,
        )
    assert queue.count("cmd_put") == 5
    queue.do("delete", producer, 1, None)
    assert told(queue.offer(producer, 0)) == [3]


def test_a_refused_put_leaves_no_tube_and_no_request_behind(
    queue: Queue, producer: Session
) -> None:
    full(queue)
    with pytest.raises(TubeFullError):
        queue.offer(producer, 0)
    assert queue.all_waiting == 0
    assert not producer.puts
    assert queue.do("stats_tube", "default").total_jobs == 2


def test_there_may_be_room_by_the_time_that_a_put_begins_to_wait(
    queue: Queue, producer: Session
) -> None:
    """A shell takes two turns, and anything may happen between them."""
    full(queue)
    job = new_job("body", 0, 0, 60)
    assert queue.do("put", producer, job, None) == 0
    queue.do("delete", producer, 1, None)
    request = PutRequest(producer, 0, [job])
    queue.do("wait_to_put", request)
    assert (told(request), request.ticket) == ([3], 0)
    assert not queue.answered


def test_the_limit_may_be_gone_by_the_time_that_a_put_begins_to_wait(
    queue: Queue, producer: Session
) -> None:
    queue.do("limit_tube", "default", 0)
    request = PutRequest(producer, 0, [new_job("body", 0, 0, 60)])
    queue.do("wait_to_put", request)
    assert told(request) == [1]


# Which puts are let in


def be_deleted(queue: Queue, session: Session) -> None:
    queue.do("delete", session, 1, None)


def be_deleted_by_its_holder(queue: Queue, session: Session) -> None:
    queue.do("reserve_job", session, 1)
    queue.do("delete", session, 1, None)


def be_deleted_once_buried(queue: Queue, session: Session) -> None:
    queue.bury(session, 1)
    assert putting(queue) == 1
    queue.do("delete", session, 1, None)


def settle(queue: Queue, session: Session) -> None:
    job = queue.do("reserve_job", session, 1)
    queue.do("settle", session, job)


def be_cleared(queue: Queue, _session: Session) -> None:
    queue.do("clear_tube", "default", (queue.job(1)._state,))


def get_more_room(queue: Queue, _session: Session) -> None:
    queue.do("limit_tube", "default", 3)


def get_all_the_room(queue: Queue, _session: Session) -> None:
    queue.do("limit_tube", "default", 0)


@pytest.mark.parametrize(
    "leave",
    [
        be_deleted,
        be_deleted_by_its_holder,
        be_deleted_once_buried,
        settle,
        be_cleared,
        get_more_room,
        get_all_the_room,
    ],
)
def test_a_put_is_let_in_in_the_instant_in_which_there_is_room(
    queue: Queue, producer: Session, leave: Callable[[Queue, Session], None]
) -> None:
    full(queue)
    request = queue.offer(producer, 5)
    leave(queue, queue.session())
    assert told(request) == [3]
    assert queue.answered == [request]
    assert queue.state(3) == "ready"
    assert queue.all_waiting == 0
    assert queue.next_due() == inf


def test_puts_are_let_in_in_the_order_in_which_they_came(queue: Queue) -> None:
    full(queue)
    requests = [queue.offer(queue.producer()) for _ in range(3)]
    for job_id in (1, 2, 3):
        queue.do("delete", queue.producer(), job_id, None)
    assert [told(request) for request in requests] == [[3], [4], [5]]


def test_a_late_put_does_not_overtake_one_that_waits(
    queue: Queue, producer: Session
) -> None:
    queue.put()
    batch = queue.offer(producer, count=2)
    late = queue.offer(producer)
    with pytest.raises(TubeFullError):
        queue.offer(producer, 0)
    assert (told(batch), told(late)) == (None, None)
    queue.do("delete", producer, 1, None)
    assert (told(batch), told(late)) == ([2, 3], None)


def test_room_in_one_tube_is_none_in_another(queue: Queue, producer: Session) -> None:
    queue.do("limit_tube", "other", 1)
    full(queue)
    queue.put(tube="other")
    here, there = queue.offer(producer), queue.offer(producer, tube="other")
    queue.do("delete", producer, 3, None)
    assert (told(here), told(there)) == (None, [4])


def test_a_job_that_is_let_in_is_put_at_that_instant(
    queue: Queue, producer: Session
) -> None:
    full(queue)
    queue.offer(producer, delay=5)
    queue.to(110.0)
    queue.do("delete", producer, 1, None)
    stats = queue.do("stats_job", 3)
    assert (stats.state, stats.age, stats.time_left) == ("delayed", 0, 5)
    queue.to(115.0)
    assert queue.state(3) == "ready"


def test_a_job_that_is_let_in_goes_to_the_reserve_that_waits_for_it(
    queue: Queue, producer: Session
) -> None:
    queue.do("limit_tube", "default", 1)
    queue.put(delay=9)
    reserve = queue.wait(queue.session())
    request = queue.offer(producer)
    queue.do("delete", producer, 1, None)
    assert (told(request), told(reserve)) == ([2], 2)
    assert queue.answered == [reserve, request]


def test_a_reserve_makes_no_room(queue: Queue, producer: Session) -> None:
    full(queue)
    request = queue.offer(producer)
    session = queue.session()
    queue.reserve(session)
    queue.do("touch", session, 1, None)
    queue.do("release", session, 1, None, None, 0)
    assert told(request) is None


@pytest.mark.parametrize("delay", [0, 9])
def test_release_needs_no_room(queue: Queue, producer: Session, delay: int) -> None:
    full(queue)
    session = queue.session()
    queue.reserve(session)
    queue.offer(producer)
    queue.do("limit_tube", "default", 1)
    queue.do("release", session, 1, None, None, delay)
    assert queue.state(1) == ("delayed" if delay else "ready")


def test_kick_and_expiry_and_a_closed_consumer_need_no_room(
    queue: Queue, producer: Session
) -> None:
    queue.do("limit_tube", "default", 0)
    session = queue.session()
    queue.bury(session, queue.put())
    for ttr in (5, 60):
        queue.put(ttr=ttr)
        queue.reserve(session)
    queue.put(delay=7)
    queue.do("limit_tube", "default", 1)
    queue.offer(producer)
    assert queue.do("kick", "default", 1) == 1
    queue.to(105.0)
    queue.do("close_session", session, "closed")
    queue.to(107.0)
    assert [queue.state(job_id) for job_id in (1, 2, 3, 4)] == ["ready"] * 4
    assert putting(queue) == 1


# The limit


def test_a_limit_makes_a_tube_and_keeps_it(queue: Queue) -> None:
    queue.do("limit_tube", "jobs", 1)
    queue.do("delete", queue.producer(), queue.put(tube="jobs"), None)
    assert "jobs" in queue.do("list_tubes")
    assert queue.do("stats_tube", "jobs").maxsize == 1
    queue.do("limit_tube", "jobs", 0)
    assert "jobs" not in queue.do("list_tubes")


def test_no_limit_makes_no_tube(queue: Queue) -> None:
    queue.do("limit_tube", "jobs", 0)
    assert "jobs" not in queue.do("list_tubes")


def test_without_its_limit_a_tube_with_a_job_stays(queue: Queue) -> None:
    queue.put(tube="jobs")
    queue.do("limit_tube", "jobs", 1)
    queue.do("limit_tube", "jobs", 0)
    queue.do("limit_tube", "jobs", 0)
    assert queue.do("stats_tube", "jobs").maxsize == 0
    assert queue.do("stats_tube", "default").maxsize == 2


def test_a_lower_limit_keeps_the_jobs_that_are_in(
    queue: Queue, producer: Session
) -> None:
    full(queue)
    queue.do("limit_tube", "default", 1)
    request = queue.offer(producer)
    queue.do("delete", producer, 1, None)
    assert told(request) is None
    queue.do("delete", producer, 2, None)
    assert told(request) == [3]


def test_a_higher_limit_lets_in_as_many_as_fit(queue: Queue, producer: Session) -> None:
    full(queue)
    requests = [queue.offer(producer) for _ in range(3)]
    queue.do("limit_tube", "default", 4)
    assert [told(request) for request in requests] == [[3], [4], None]


# Batches


def test_a_batch_waits_until_all_of_it_fits(queue: Queue, producer: Session) -> None:
    queue.put()
    batch = queue.offer(producer, count=2)
    assert told(batch) is None
    queue.do("delete", producer, 1, None)
    assert told(batch) == [2, 3]
    assert [queue.state(job_id) for job_id in (2, 3)] == ["ready", "ready"]


def test_a_batch_larger_than_the_limit_is_refused_at_once(
    queue: Queue, producer: Session
) -> None:
    with pytest.raises(TubeFullError) as info:
        queue.offer(producer, count=3)
    assert info.value.count == 3
    assert not queue.engine.jobs


def test_a_batch_that_waits_is_refused_when_it_can_never_fit(
    queue: Queue, producer: Session
) -> None:
    full(queue)
    batch, single = queue.offer(producer, count=2), queue.offer(producer)
    queue.do("delete", producer, 1, None)
    assert (told(batch), told(single)) == (None, None)
    queue.do("limit_tube", "default", 1)
    assert (told(batch), told(single)) == (TubeFullError, None)
    queue.do("delete", producer, 2, None)
    assert told(single) == [3]


def test_a_batch_of_none_waits_for_nothing(queue: Queue, producer: Session) -> None:
    full(queue)
    assert told(queue.offer(producer, count=0)) == []
