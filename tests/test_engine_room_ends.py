"""How a put that waits for room ends otherwise: too late, refused, or withdrawn."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING
from weakref import ref

import pytest

from inproc_tubes.core.making import new_job
from inproc_tubes.core.recovery import check
from inproc_tubes.core.requests import PutRequest
from inproc_tubes.errors import (
    ClosedError,
    DeadlockError,
    DrainingError,
    TubeFullError,
)
from tests.engine_driver import Queue, next_id, take_turn, told

if TYPE_CHECKING:
    from collections.abc import Callable

    from inproc_tubes.core.schedule import AnyRequest
    from inproc_tubes.core.session import Session
    from inproc_tubes.core.tube import Occupancy


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


# Timeouts


def test_a_put_times_out_with_the_tube_and_its_limit(
    queue: Queue, producer: Session
) -> None:
    full(queue)
    request = queue.offer(producer, 5)
    assert queue.next_due() == 105.0
    queue.to(104.9)
    assert told(request) is None
    queue.to(105.0)
    assert str(request.outcome) == (
        "tube 'default' has no room for one more job: it may have 2"
    )
    assert queue.answered == [request]
    assert not producer.puts


def test_a_put_may_wait_as_long_as_can_be(queue: Queue, producer: Session) -> None:
    full(queue)
    request = queue.offer(producer, 2**31 - 1)
    assert queue.next_due() == 100.0 + 2**31 - 1
    queue.to(100.0 + 2**31 - 1.5)
    assert told(request) is None
    queue.to(100.0 + 2**31 - 1)
    assert told(request) is TubeFullError


def test_a_put_that_times_out_makes_way_for_those_behind(
    queue: Queue, producer: Session
) -> None:
    queue.put()
    batch = queue.offer(producer, 5, count=2)
    single = queue.offer(producer, 9)
    queue.to(105.0)
    assert (told(batch), told(single)) == (TubeFullError, [2])


def test_room_beats_a_timeout_of_the_same_instant(
    queue: Queue, producer: Session
) -> None:
    queue.put()
    batch = queue.offer(producer, 5, count=2)
    single = queue.offer(producer, 5)
    queue.to(105.0)
    assert (told(batch), told(single)) == (TubeFullError, [2])
    assert queue.answered == [batch, single]


def test_a_job_let_in_by_a_timeout_beats_that_of_a_reserve(
    queue: Queue, producer: Session
) -> None:
    queue.put(delay=99)
    reserve = queue.wait(queue.session(), 5)
    queue.offer(producer, 5, count=2)
    queue.offer(producer)
    queue.to(105.0)
    assert told(reserve) == 2


# The end


def test_a_closed_session_ends_its_waiting_puts(
    queue: Queue, producer: Session
) -> None:
    queue.do("limit_tube", "other", 1)
    queue.put()
    queue.put(tube="other")
    other = queue.producer()
    batch = queue.offer(producer, count=2)
    theirs = queue.offer(other)
    mine = queue.offer(producer, 7)
    elsewhere = queue.offer(producer, tube="other")
    queue.do("close_session", producer, "closed")
    assert [told(p) for p in (batch, mine, elsewhere)] == [ClosedError] * 3
    assert len({id(p.outcome) for p in (batch, mine, elsewhere)}) == 3
    assert told(theirs) == [3]
    assert queue.next_due() == inf


def test_a_closed_engine_answers_puts_too(queue: Queue, producer: Session) -> None:
    full(queue)
    request = queue.offer(producer, 5)
    queue.engine.close("over")
    assert told(request) is ClosedError
    assert queue.answered == [request]
    assert queue.all_waiting == 0
    queue.engine.dispatch.withdraw(100.0, request)
    assert queue.all_waiting == 0


def test_a_closed_engine_keeps_no_body_of_a_waiting_put(
    queue: Queue, producer: Session
) -> None:
    full(queue)
    body = {"body"}
    alive = ref(body)
    request = PutRequest(producer, None, [new_job(body, 0, 0, 60)])
    queue.do("wait_to_put", request)
    del body, request
    assert alive() is not None
    queue.engine.close("over")
    queue.engine.turn.after.clear()
    assert alive() is None


def test_draining_refuses_the_puts_that_wait_and_lets_none_in(
    queue: Queue, producer: Session
) -> None:
    queue.put()
    requests = [queue.offer(producer, count=2), queue.offer(producer)]
    queue.do("drain")
    assert [told(request) for request in requests] == [DrainingError] * 2
    assert next_id(queue.engine) == 2
    queue.do("delete", producer, 1, None)
    assert not queue.engine.jobs


def test_draining_ends_all_puts_that_wait_whatever_their_tubes_and_producers(
    queue: Queue, producer: Session
) -> None:
    queue.do("limit_tube", "other", 1)
    queue.put()
    queue.put(tube="other")
    reserve = queue.wait(queue.session("third"))
    requests = [
        queue.offer(producer, 5, count=2),
        queue.offer(queue.producer("other"), 7),
        queue.offer(producer, tube="other"),
    ]
    asked = queue.count("cmd_put")
    queue.do("drain")
    assert [told(request) for request in requests] == [DrainingError] * 3
    assert len({id(request.outcome) for request in requests}) == 3
    assert queue.answered == requests
    assert (queue.waiting, queue.all_waiting) == (1, 1)
    assert (putting(queue), putting(queue, "other")) == (0, 0)
    assert not producer.puts
    assert queue.next_due() == inf
    # They were counted as they came, and took no ids.
    assert (queue.count("cmd_put"), next_id(queue.engine)) == (asked, 3)
    assert queue.count("total_jobs") == 2
    assert told(reserve) is None
    queue.do("withdraw", requests[0])
    assert sorted(queue.engine.jobs) == [1, 2]


def test_a_put_that_waits_is_refused_once_though_draining_is_asked_for_twice(
    queue: Queue, producer: Session
) -> None:
    full(queue)
    request = queue.offer(producer)
    queue.do("drain")
    queue.do("drain")
    assert queue.answered == [request]


def test_a_put_that_begins_to_wait_while_draining_is_refused(
    queue: Queue, producer: Session
) -> None:
    queue.do("drain")
    with pytest.raises(DrainingError):
        queue.do("wait_to_put", PutRequest(producer, None, [new_job("x", 0, 0, 60)]))


def test_a_batch_that_is_refused_while_draining_spends_its_ids(
    queue: Queue, producer: Session
) -> None:
    """As so many puts would, each of them."""
    queue.do("drain")
    with pytest.raises(DrainingError):
        queue.offer(producer, count=3)
    assert (next_id(queue.engine), queue.count("cmd_put")) == (4, 3)


def test_all_that_waits_may_be_answered_an_error(
    queue: Queue, producer: Session
) -> None:
    queue.put()
    requests: list[AnyRequest] = [
        queue.offer(producer, count=2),
        queue.offer(producer),
        queue.wait(queue.session("other")),
        queue.join(),
    ]
    take_turn(queue.engine, queue.engine.dispatch.fail_all, queue.now, DeadlockError)
    assert [told(request) for request in requests] == [DeadlockError] * 4
    assert len({id(request.outcome) for request in requests}) == 4
    assert queue.all_waiting == 0


# Interrupted


def test_a_withdrawn_put_leaves_no_trace_and_makes_way(
    queue: Queue, producer: Session
) -> None:
    queue.put()
    batch, single = queue.offer(producer, 5, count=2), queue.offer(producer)
    queue.do("withdraw", batch)
    queue.do("withdraw", batch)
    assert (told(batch), told(single)) == (None, [2])
    assert queue.next_due() == inf


def test_jobs_that_were_let_in_are_taken_back_by_a_withdrawal(
    queue: Queue, producer: Session
) -> None:
    queue.do("limit_tube", "default", 1)
    queue.put()
    request, behind = queue.offer(producer, delay=5), queue.offer(producer)
    queue.do("delete", producer, 1, None)
    assert (told(request), told(behind)) == ([2], None)
    queue.do("withdraw", request)
    assert told(behind) == [3]
    assert list(queue.engine.jobs) == [3]
    stats = queue.do("stats_tube", "default")
    assert (stats.total_jobs, stats.cmd_delete) == (2, 1)
    assert stats.current_jobs_delayed == 0
    assert queue.count("cmd_put") == 3  # what was taken back was asked for


def test_a_tube_that_held_only_what_is_taken_back_vanishes(
    queue: Queue, producer: Session
) -> None:
    queue.do("limit_tube", "jobs", 1)
    first = queue.put(tube="jobs")
    request = queue.offer(producer, tube="jobs")
    queue.do("limit_tube", "jobs", 0)
    queue.do("delete", producer, first, None)
    assert told(request) == [2]
    queue.do("withdraw", request)
    assert "jobs" not in queue.do("list_tubes")
    assert queue.count("total_jobs") == 1


def reserved(queue: Queue, session: Session) -> None:
    queue.do("reserve_job", session, 3)


def buried(queue: Queue, session: Session) -> None:
    queue.bury(session, 3)


def released(queue: Queue, session: Session) -> None:
    queue.do("reserve_job", session, 3)
    queue.do("release", session, 3, None, None, 0)


@pytest.mark.parametrize("use", [reserved, buried, released])
def test_a_job_that_was_reserved_is_not_taken_back(
    queue: Queue, producer: Session, use: Callable[[Queue, Session], None]
) -> None:
    full(queue)
    batch = queue.offer(producer, count=2)
    queue.do("clear_tube", "default", (queue.job(1)._state,))
    assert told(batch) == [3, 4]
    use(queue, queue.session())
    queue.do("withdraw", batch)
    assert list(queue.engine.jobs) == [3]


def test_a_job_that_is_gone_need_not_be_taken_back(
    queue: Queue, producer: Session
) -> None:
    full(queue)
    request = queue.offer(producer)
    for job_id in (1, 3):
        queue.do("delete", producer, job_id, None)
    queue.do("withdraw", request)
    assert list(queue.engine.jobs) == [2]


def test_a_put_that_was_answered_an_error_has_nothing_to_withdraw(
    queue: Queue, producer: Session
) -> None:
    full(queue)
    request = queue.offer(producer, 5)
    queue.to(105.0)
    queue.do("withdraw", request)
    assert told(request) is TubeFullError


# The check itself


def occupancy(queue: Queue) -> Occupancy:
    found = queue.engine.tubes["default"].occupancy
    assert found is not None
    return found


def let_one_wait_that_fits(queue: Queue) -> None:
    occupancy(queue).maxsize = 3


def wait_for_what_never_comes(queue: Queue) -> None:
    occupancy(queue).maxsize = 0


def forget_what_waits(queue: Queue) -> None:
    queue.engine.admission.puts.clear()


def forget_whose_it_is(queue: Queue) -> None:
    next(iter(queue.engine.clients.sessions)).puts.clear()


def drain_only_in_name(queue: Queue) -> None:
    queue.engine.store.draining = True


@pytest.mark.parametrize(
    "harm",
    [
        let_one_wait_that_fits,
        wait_for_what_never_comes,
        forget_what_waits,
        forget_whose_it_is,
        drain_only_in_name,
    ],
)
def test_a_check_finds_what_is_wrong_with_a_waiting_put(
    queue: Queue, producer: Session, harm: Callable[[Queue], None]
) -> None:
    full(queue)
    queue.offer(producer)
    harm(queue)
    # A KeyError, where a ticket stands for no request.
    with pytest.raises((AssertionError, KeyError)):
        check(queue.engine)
