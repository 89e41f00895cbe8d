"""When the work in some tubes is done, by the engine."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

import pytest

from inproc_tubes.core.job import JobState
from inproc_tubes.core.recovery import check
from inproc_tubes.core.requests import JoinRequest, ReserveRequest
from inproc_tubes.errors import ClosedError, TimedOutError, TubeFullError
from tests.engine_driver import Queue, told

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def queue() -> Queue:
    return Queue()


def test_a_join_without_work_does_not_wait(queue: Queue) -> None:
    request = queue.join("default", "nowhere")
    assert (told(request), request.ticket) == (0, 0)
    assert told(queue.join()) == 0
    assert "nowhere" not in queue.do("list_tubes")


@pytest.mark.parametrize("state", ["ready", "delayed", "reserved"])
@pytest.mark.parametrize("tubes", [(), ("default",), ("nowhere", "default")])
def test_a_join_ends_in_the_instant_in_which_the_last_job_goes(
    queue: Queue, state: str, tubes: tuple[str, ...]
) -> None:
    session = queue.session()
    queue.put(delay=9 if state == "delayed" else 0)
    if state == "reserved":
        queue.reserve(session)
    request = queue.join(*tubes)
    assert (told(request), queue.all_waiting) == (None, 1)
    queue.do("delete", session, 1, None)
    assert told(request) == 0
    assert queue.answered == [request]
    assert queue.all_waiting == 0


def test_buried_jobs_hold_no_join_up_and_are_counted(queue: Queue) -> None:
    session = queue.session()
    for _ in range(3):
        queue.put()
    queue.bury(session, 1)
    request = queue.join("default")
    queue.bury(session, 2)
    assert told(request) is None
    queue.bury(session, 3)
    assert told(request) == 3
    assert told(queue.join(timeout=0)) == 3


def test_kicked_jobs_are_work_again(queue: Queue) -> None:
    session = queue.session()
    queue.bury(session, queue.put())
    queue.do("kick", "default", 1)
    request = queue.join()
    queue.do("delete", session, 1, None)
    assert told(request) == 0


def test_a_job_that_moves_on_before_it_is_deleted_holds_the_join_up(
    queue: Queue,
) -> None:
    """A pipeline's worker puts into the next tube first."""
    session = queue.session("first", "second", used="second")
    queue.put(tube="first")
    request = queue.join("first", "second")
    queue.reserve(session)
    queue.put_from(session)
    queue.do("delete", session, 1, None)
    assert told(request) is None
    queue.do("delete", session, 2, None)
    assert told(request) == 0


def test_other_tubes_are_not_waited_for(queue: Queue) -> None:
    queue.put(tube="other")
    session = queue.session()
    queue.put()
    request, all_of_them = queue.join("default"), queue.join()
    queue.do("delete", session, 2, None)
    assert (told(request), told(all_of_them)) == (0, None)


def test_all_tubes_are_also_those_made_since(queue: Queue) -> None:
    session = queue.session()
    queue.put()
    request = queue.join()
    queue.put(tube="new")
    queue.do("delete", session, 1, None)
    assert told(request) is None
    queue.do("delete", session, 2, None)
    assert told(request) == 0


def test_a_named_tube_may_be_made_while_a_join_waits(queue: Queue) -> None:
    session = queue.session()
    queue.put()
    request = queue.join("default", "new")
    queue.put(tube="new")
    queue.do("delete", session, 1, None)
    queue.do("delete", session, 2, None)
    assert told(request) == 0


def test_several_joins_are_answered_in_the_order_in_which_they_came(
    queue: Queue,
) -> None:
    session = queue.session()
    queue.put()
    requests = [queue.join(), queue.join("default"), queue.join("default")]
    queue.do("delete", session, 1, None)
    assert queue.answered == requests


def test_clearing_ends_a_join(queue: Queue) -> None:
    queue.put()
    request = queue.join()
    queue.do("clear_tube", "default", (JobState.READY,))
    assert told(request) == 0


def test_a_tube_that_held_a_join_up_vanishes_as_any_other(queue: Queue) -> None:
    session = queue.session()
    queue.put(tube="jobs")
    request = queue.join("jobs")
    queue.do("delete", session, 1, None)
    assert told(request) == 0
    assert "jobs" not in queue.do("list_tubes")


# Puts that wait are work to come


def test_a_put_that_waits_holds_a_join_up(queue: Queue) -> None:
    queue.do("limit_tube", "default", 1)
    session = queue.session()
    queue.bury(session, queue.put())
    put = queue.offer(queue.producer())
    request = queue.join("default")
    assert (told(put), told(request)) == (None, None)
    queue.do("delete", session, 1, None)
    assert (told(put), told(request)) == ([2], None)
    queue.do("delete", session, 2, None)
    assert told(request) == 0


@pytest.mark.parametrize("end", ["timeout", "close", "drain", "withdraw"])
def test_a_put_that_gives_up_ends_a_join(queue: Queue, end: str) -> None:
    queue.do("limit_tube", "default", 1)
    queue.bury(queue.session(), queue.put())
    producer = queue.producer()
    put = queue.offer(producer, 5)
    request = queue.join("default")
    if end == "timeout":
        queue.to(105.0)
        assert told(put) is TubeFullError
    elif end == "close":
        queue.do("close_session", producer, "closed")
    elif end == "drain":
        queue.do("drain")
    else:
        queue.do("withdraw", put)
    assert told(request) == 1


def test_the_end_beats_a_timeout_of_the_same_instant(queue: Queue) -> None:
    queue.do("limit_tube", "default", 1)
    queue.bury(queue.session(), queue.put())
    first = queue.offer(queue.producer(), 5)
    request = queue.join(timeout=5)
    last = queue.offer(queue.producer(), 5)
    queue.to(105.0)
    assert [told(w) for w in (first, request, last)] == [
        TubeFullError,
        1,
        TubeFullError,
    ]


# Timeouts and ends


def test_a_join_without_a_timeout_is_refused_at_once(queue: Queue) -> None:
    queue.put()
    with pytest.raises(TimedOutError):
        queue.join(timeout=0)
    assert queue.all_waiting == 0


def test_a_join_times_out(queue: Queue) -> None:
    queue.put(tube="jobs")
    request = queue.join(timeout=5)
    assert queue.next_due() == 105.0
    queue.to(105.0)
    assert told(request) is TimedOutError
    assert queue.answered == [request]
    assert "jobs" in queue.engine.tubes
    assert queue.engine.tubes["jobs"].occupancy is None


def test_a_join_may_wait_as_long_as_can_be(queue: Queue) -> None:
    queue.put()
    request = queue.join(timeout=2**31 - 1)
    assert queue.next_due() == 100.0 + 2**31 - 1
    queue.to(100.0 + 2**31 - 1.5)
    assert told(request) is None
    queue.to(100.0 + 2**31 - 1)
    assert told(request) is TimedOutError


def test_a_withdrawn_join_waits_no_longer(queue: Queue) -> None:
    queue.put()
    request, other = queue.join(timeout=5), queue.join()
    for _ in range(2):
        queue.do("withdraw", request)
    assert queue.withdrawn == [request]
    assert queue.next_due() == inf
    queue.do("delete", queue.session(), 1, None)
    assert (told(request), told(other)) == (None, 0)
    queue.do("withdraw", other)


def test_a_closed_engine_answers_joins_too(queue: Queue) -> None:
    queue.put()
    request = queue.join(timeout=5)
    queue.engine.close("over")
    assert told(request) is ClosedError


def test_draining_leaves_a_join_be(queue: Queue) -> None:
    queue.put()
    request = queue.join()
    queue.do("drain")
    assert told(request) is None
    queue.do("delete", queue.session(), 1, None)
    assert told(request) == 0


# The check itself


def hold_it_up_by_nothing(queue: Queue) -> None:
    queue.engine.tubes["default"].total_jobs = 0


def look_elsewhere(queue: Queue) -> None:
    for request in queue.engine.admission.joins.values():
        request.held_up_by = "elsewhere"


def have_no_reason(queue: Queue) -> None:
    occupancy = queue.engine.tubes["default"].occupancy
    assert occupancy is not None
    occupancy.joins.clear()


@pytest.mark.parametrize(
    "harm", [hold_it_up_by_nothing, look_elsewhere, have_no_reason]
)
def test_a_check_finds_what_is_wrong_with_a_join(
    queue: Queue, harm: Callable[[Queue], None]
) -> None:
    queue.put()
    queue.join()
    harm(queue)
    with pytest.raises(AssertionError):
        check(queue.engine)


def test_a_request_says_what_it_waits_for(queue: Queue) -> None:
    session = queue.session("a", "b")
    assert "reserve from 'a', 'b'" == ReserveRequest(session, None).describe()
    late = ReserveRequest(session, 5)
    assert "reserve-with-timeout 5 from 'a', 'b'" == late.describe()
    assert "join of 'a', 'b'" == JoinRequest(None, ["a", "b"]).describe()
    assert "join of all tubes" == JoinRequest(None, None).describe()
