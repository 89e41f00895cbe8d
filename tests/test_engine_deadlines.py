"""DEADLINE_SOON, and when the engine is to be asked again."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any

import pytest

from inproc_tubes.core.limits import SAFETY_MARGIN
from inproc_tubes.core.turn import ALARM
from inproc_tubes.errors import DeadlineSoonError, TimedOutError
from tests.engine_driver import Queue, told

if TYPE_CHECKING:
    from inproc_tubes.core.session import Session


@pytest.fixture
def queue() -> Queue:
    return Queue()


def hold(queue: Queue, ttr: float, *tubes: str) -> Session:
    """Return a session that has just reserved a job of its own."""
    session = queue.session(*tubes)
    queue.put(0, ttr=ttr, tube=tubes[0] if tubes else "default")
    queue.reserve(session)
    return session


# DEADLINE_SOON


def test_with_ttr_1_the_whole_reservation_is_margin(queue: Queue) -> None:
    session = hold(queue, 1)
    with pytest.raises(DeadlineSoonError) as caught:
        queue.reserve(session)
    assert (caught.value.job_id, caught.value.time_left) == (1, 1.0)
    assert queue.state(1) == "reserved"
    assert queue.waiting == 0


@pytest.mark.parametrize("timeout", [None, 0.5, 100])
def test_in_the_margin_no_reserve_waits_whatever_its_timeout(
    queue: Queue, timeout: float | None
) -> None:
    session = hold(queue, 1)
    with pytest.raises(DeadlineSoonError):
        queue.wait(session, timeout)


def test_a_second_reserve_is_told_when_a_job_handed_to_the_first_nears_its_end(
    queue: Queue,
) -> None:
    """Although an earlier reservation of their session ends in the same second."""
    shared = hold(queue, 10)
    first, second = queue.wait(shared), queue.wait(shared)
    queue.put(ttr=9.5)
    queue.to(108.5)
    assert [told(first), told(second)] == [2, DeadlineSoonError]


def test_a_ready_job_suppresses_deadline_soon(queue: Queue) -> None:
    session = hold(queue, 1)
    queue.put()
    assert queue.reserve(session) == 2


def test_a_ready_job_of_an_unwatched_tube_does_not(queue: Queue) -> None:
    session = hold(queue, 1)
    queue.put(tube="unwatched")
    with pytest.raises(DeadlineSoonError):
        queue.reserve(session)


def test_nor_does_a_ready_job_of_a_paused_tube(queue: Queue) -> None:
    session = hold(queue, 1)
    queue.put()
    queue.do("pause_tube", "default", 100)
    with pytest.raises(DeadlineSoonError):
        queue.wait(session, 5)


def test_the_job_may_be_of_a_tube_that_is_not_watched(queue: Queue) -> None:
    session = queue.session()
    queue.put(0, ttr=1, tube="elsewhere")
    queue.do("reserve_job", session, 1)
    with pytest.raises(DeadlineSoonError):
        queue.reserve(session)


def test_the_margin_is_one_second_sharp(queue: Queue) -> None:
    session = hold(queue, 2)
    assert SAFETY_MARGIN == 1.0
    queue.to(100.9)
    with pytest.raises(TimedOutError):
        queue.reserve(session)
    queue.to(101.0)
    with pytest.raises(DeadlineSoonError) as caught:
        queue.reserve(session)
    assert caught.value.time_left == 1.0


def test_a_reserve_is_told_when_the_margin_begins(queue: Queue) -> None:
    session = hold(queue, 3)
    request = queue.wait(session, 10)
    assert queue.next_due() == 102.0
    queue.to(101.9)
    assert told(request) is None
    queue.to(102.0)
    assert isinstance(request.outcome, DeadlineSoonError)
    assert (request.outcome.job_id, request.outcome.time_left) == (1, 1.0)
    assert queue.state(1) == "reserved"
    assert queue.count("job_timeouts") == 0


# Told once


def test_a_session_that_was_told_of_a_reservation_waits_for_its_end(
    queue: Queue,
) -> None:
    session = hold(queue, 1)
    with pytest.raises(DeadlineSoonError):
        queue.wait(session)
    with pytest.raises(TimedOutError):
        queue.reserve(session)
    request = queue.wait(session)
    assert queue.next_due() == 101.0
    queue.to(100.9)
    assert told(request) is None
    queue.to(101.0)
    assert told(request) == 1


def test_whoever_was_told_while_it_waited_is_not_told_again(queue: Queue) -> None:
    session = hold(queue, 3)
    first = queue.wait(session)
    queue.to(102.0)
    assert told(first) is DeadlineSoonError
    second = queue.wait(session, 0.5)
    queue.to(102.5)
    assert told(second) is TimedOutError


def test_a_touch_puts_an_end_off_that_the_session_is_told_of_once_more(
    queue: Queue,
) -> None:
    session = hold(queue, 3)
    queue.to(102.0)
    with pytest.raises(DeadlineSoonError):
        queue.wait(session)
    queue.do("touch", session, 1, None)
    again = queue.wait(session, 10)
    assert queue.next_due() == 104.0
    queue.to(104.0)
    assert told(again) is DeadlineSoonError


def test_a_touch_that_puts_the_end_off_by_nothing_is_told_of_once(
    queue: Queue,
) -> None:
    session = hold(queue, 1)
    with pytest.raises(DeadlineSoonError):
        queue.wait(session)
    queue.do("touch", session, 1, None)
    assert told(queue.wait(session)) is None


def test_the_next_reservation_of_the_job_is_told_of_again(queue: Queue) -> None:
    session = hold(queue, 1)
    with pytest.raises(DeadlineSoonError):
        queue.wait(session)
    queue.do("release", session, 1, None, None, 0)
    assert queue.reserve(session) == 1
    with pytest.raises(DeadlineSoonError):
        queue.wait(session)


def test_each_job_is_told_of_for_itself(queue: Queue) -> None:
    session = hold(queue, 1)
    queue.to(100.5)
    queue.put(ttr=1)
    assert queue.reserve(session) == 2
    named = []
    for _ in range(2):
        with pytest.raises(DeadlineSoonError) as caught:
            queue.reserve(session)
        named.append((caught.value.job_id, caught.value.time_left))
    assert named == [(1, 0.5), (2, 1.0)]
    with pytest.raises(TimedOutError):
        queue.reserve(session)


def test_what_was_told_of_expires_in_its_order(queue: Queue) -> None:
    session = queue.session()
    for ttr in (1, 0.5, 0.7):
        queue.put(ttr=ttr)
    assert queue.reserve_all(session) == [1, 2, 3]
    with pytest.raises(DeadlineSoonError) as caught:
        queue.reserve(session)
    assert caught.value.job_id == 2
    requests = [queue.wait(queue.session()) for _ in range(3)]
    queue.to(101.0)
    assert [told(request) for request in requests] == [2, 3, 1]


def test_one_session_is_told_and_another_for_itself(queue: Queue) -> None:
    first, second = hold(queue, 1), hold(queue, 1)
    for session in (first, second):
        with pytest.raises(DeadlineSoonError):
            queue.reserve(session)


def test_who_waits_without_a_warning_takes_none_from_others(queue: Queue) -> None:
    session = hold(queue, 3)
    queue.wait(session, told_of_deadlines=False)
    queue.to(102.0)
    with pytest.raises(DeadlineSoonError):
        queue.wait(session)


def test_over_the_wire_it_is_told_as_often_as_it_asks(queue: Queue) -> None:
    connection = queue.connection()
    queue.put(ttr=1)
    assert queue.reserve(connection) == 1
    for _ in range(3):
        with pytest.raises(DeadlineSoonError):
            queue.wait(connection, 10)


def test_over_the_wire_it_is_told_again_after_it_has_waited(queue: Queue) -> None:
    connection = queue.connection()
    queue.put(ttr=3)
    assert queue.reserve(connection) == 1
    request = queue.wait(connection, 10)
    queue.to(102.0)
    assert told(request) is DeadlineSoonError
    with pytest.raises(DeadlineSoonError):
        queue.wait(connection, 10)


# Whoever waits


def test_a_timeout_before_the_margin_is_timed_out(queue: Queue) -> None:
    request = queue.wait(hold(queue, 3), 1.5)
    queue.to(101.5)
    assert told(request) is TimedOutError


def test_touch_while_waiting_puts_the_margin_off(queue: Queue) -> None:
    session = hold(queue, 3)
    request = queue.wait(session)
    queue.to(101.0)
    queue.do("touch", session, 1, None)
    queue.to(102.0)
    assert told(request) is None
    assert queue.next_due() == 103.0
    queue.to(103.0)
    assert told(request) is DeadlineSoonError


@pytest.mark.parametrize(
    ("verb", "rest"), [("delete", ()), ("bury", (None,)), ("release", (None, 60))]
)
def test_a_job_given_away_while_waiting_expires_no_more(
    queue: Queue, verb: str, rest: tuple[Any, ...]
) -> None:
    session = hold(queue, 3)
    request = queue.wait(session)
    queue.do(verb, session, 1, None, *rest)
    queue.to(110.0)
    assert told(request) is None


def test_the_job_that_expires_first_is_named(queue: Queue) -> None:
    session = queue.session()
    for ttr in (9, 3, 5):
        queue.put(0, ttr=ttr)
    assert queue.reserve_all(session) == [1, 2, 3]
    request = queue.wait(session)
    queue.to(102.0)
    assert isinstance(request.outcome, DeadlineSoonError)
    assert request.outcome.job_id == 2


def test_the_margins_of_others_do_not_matter(queue: Queue) -> None:
    hold(queue, 1)
    with pytest.raises(TimedOutError):
        queue.reserve(queue.session())
    request = queue.wait(queue.session())
    queue.to(100.5)
    assert told(request) is None


def test_all_reserves_of_a_session_are_told_but_those_without_warning(
    queue: Queue,
) -> None:
    session = hold(queue, 3)
    first = queue.wait(session)
    unwarned = queue.wait(session, told_of_deadlines=False)
    second = queue.wait(session)
    queue.to(102.0)
    assert told(first) is told(second) is DeadlineSoonError
    assert told(unwarned) is None
    assert queue.answered == [first, second]


def test_a_reserve_without_warning_waits_in_the_margin_too(queue: Queue) -> None:
    session = hold(queue, 1)
    request = queue.wait(session, told_of_deadlines=False)
    queue.to(100.5)
    assert told(request) is None
    queue.to(101.0)
    assert told(request) == 1


def test_a_job_taken_by_its_id_while_waiting_counts(queue: Queue) -> None:
    session = queue.session()
    request = queue.wait(session)
    queue.put(0, ttr=3, tube="elsewhere")
    queue.do("reserve_job", session, 1)
    assert queue.next_due() == 102.0
    queue.to(102.0)
    assert told(request) is DeadlineSoonError


def test_with_ttr_1_another_reserve_of_the_session_is_told_at_the_next_turn(
    queue: Queue,
) -> None:
    session = queue.session()
    first, second = queue.wait(session), queue.wait(session)
    queue.put(0, ttr=1)
    assert (told(first), told(second)) == (1, None)
    assert queue.engine.schedule.due_at <= queue.now
    queue.to(queue.now)
    assert told(second) is DeadlineSoonError


# When something is due


def test_next_due_is_the_exact_moment_whatever_became_void(queue: Queue) -> None:
    owner, other = queue.session(), queue.session()
    queue.put(0, delay=3)
    queue.put(0, ttr=4)
    queue.put(0, ttr=5)
    assert (queue.reserve(owner), queue.reserve(other)) == (2, 3)
    queue.do("pause_tube", "default", 2)
    due = [queue.next_due()]
    queue.do("pause_tube", "default", 0)
    due.append(queue.next_due())
    queue.do("delete", owner, 1, None)
    due.append(queue.next_due())
    queue.do("delete", owner, 2, None)
    due.append(queue.next_due())
    queue.do("touch", other, 3, None)
    due.append(queue.next_due())
    queue.do("delete", other, 3, None)
    due.append(queue.next_due())
    assert due == [102.0, 103.0, 104.0, 105.0, 105.0, inf]


def test_nothing_is_due_in_a_new_engine(queue: Queue) -> None:
    assert queue.engine.schedule.due_at == inf


def test_next_due_passes_to_the_later_delay_when_the_first_is_void(
    queue: Queue,
) -> None:
    queue.put(0, delay=3)
    queue.put(0, delay=7)
    queue.do("delete", queue.session(), 1, None)
    assert queue.next_due() == 107.0


def test_a_reserve_without_warning_is_not_due_before_the_reservation_ends(
    queue: Queue,
) -> None:
    session = hold(queue, 5)
    queue.wait(session, told_of_deadlines=False)
    assert queue.next_due() == 105.0
    queue.wait(session)
    assert queue.next_due() == 104.0


def test_a_job_that_expires_into_a_margin_is_told_of_in_the_same_moment(
    queue: Queue,
) -> None:
    """Its next holder is told at once that it has no more than a second for it."""
    queue.put(ttr=1)
    queue.do("reserve", queue.session(), 0)
    shared = queue.session()
    first, second = queue.wait(shared), queue.wait(shared)
    queue.to(101.0)
    assert [told(first), told(second)] == [1, DeadlineSoonError]


@pytest.mark.parametrize(("armed_for", "left"), [(109.0, []), (109.5, [ALARM])])
def test_an_alarm_is_left_if_what_is_due_next_comes_before_those_who_keep_time_wake(
    queue: Queue, armed_for: float, left: list[object]
) -> None:
    queue.put(delay=5)
    queue.put(delay=9)
    queue.engine.schedule.armed_for = armed_for
    queue.engine.catch_up(105.0)
    assert left == list(queue.engine.turn.after)


@pytest.mark.parametrize(
    ("due_at", "armed_for", "left"),
    [(110, 108, [ALARM]), (110, 107, []), (107, 110, [])],
)
def test_one_alarm_is_left_for_what_comes_before_all_else(
    queue: Queue, due_at: float, armed_for: float, left: list[object]
) -> None:
    schedule = queue.engine.schedule
    schedule.due_at, schedule.armed_for = due_at, armed_for
    schedule.expect(107)
    assert left == list(queue.engine.turn.after)
    assert schedule.due_at == 107
