"""Reserves that end without a job: by a close, or withdrawn."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any

import pytest

from inproc_tubes.core.requests import OVER, ReserveRequest
from inproc_tubes.errors import ClosedError, DeadlockError, TimedOutError
from tests.engine_driver import Queue, held, take_turn, told

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


# Closing


def test_closing_answers_all_reserves_of_the_session_alone(queue: Queue) -> None:
    session = queue.session()
    first, second = queue.wait(session, 5), queue.wait(session)
    other = queue.wait(queue.session())
    queue.do("close_session", session, "the consumer was closed")
    assert isinstance(first.outcome, ClosedError)
    assert first.outcome.what == "the consumer was closed"
    assert told(second) is ClosedError
    queue.put()
    assert told(other) == 1


def test_a_closing_session_is_not_handed_its_own_jobs(queue: Queue) -> None:
    session = hold(queue, 60)
    request = queue.wait(session)
    other = queue.wait(queue.session())
    queue.do("close_session", session, "closed")
    assert told(request) is ClosedError
    assert told(other) == 1


def test_closing_twice_does_no_harm(queue: Queue) -> None:
    session = hold(queue, 60, "t")
    queue.do("close_session", session, "first")
    queue.do("close_session", session, "second")
    assert session.closed == "first"
    assert list(session.watched) == []
    assert queue.engine.tubes["t"].watching == 0


def test_a_closed_session_is_never_due(queue: Queue) -> None:
    session = hold(queue, 5)
    queue.do("close_session", session, "closed")
    assert queue.next_due() == inf
    queue.to(105.0)
    assert queue.job(1).timeouts == 0


def test_closing_the_engine_answers_all_requests(queue: Queue) -> None:
    holder = hold(queue, 60)
    requests = [queue.wait(holder), queue.wait(queue.session("t"), 5)]
    queue.engine.close("the broker was closed")
    assert [told(w) for w in requests] == [ClosedError, ClosedError]
    assert queue.answered == requests
    assert (queue.all_waiting, queue.engine.jobs) == (0, {})
    assert list(queue.engine.tubes) == ["default"]
    assert holder.closed == "the broker was closed"
    assert (held(holder), queue.engine.clients.sessions) == ([], {})
    assert queue.engine.schedule.due_at <= queue.now  # every verb is refused
    with pytest.raises(ClosedError, match=r"^the broker was closed$"):
        queue.engine.catch_up(queue.now)


def test_all_requests_can_be_answered_one_error(queue: Queue) -> None:
    session = queue.session()
    requests = [
        queue.wait(session),
        queue.wait(session, 5),
        queue.wait(queue.session()),
    ]
    take_turn(queue.engine, queue.engine.dispatch.fail_all, queue.now, DeadlockError)
    assert [told(w) for w in requests] == [DeadlockError] * 3
    assert queue.next_due() == inf


# Withdrawing: as if it had never waited


def test_a_second_withdrawal_does_not_take_the_job_from_the_next_reserve(
    queue: Queue,
) -> None:
    """A coroutine that is cancelled withdraws by its sleeper, and by itself."""
    session = queue.session()
    first, second, third = (queue.wait(session) for _ in range(3))
    queue.put()
    queue.do("withdraw", first)
    job = second.outcome
    assert job is queue.job(1)
    queue.do("withdraw", first)
    assert (told(second), told(third)) == (1, None)
    assert second.outcome is job
    assert held(session) == [1]
    assert queue.job(1).reserves == 1


def test_a_job_that_was_given_back_is_what_nobody_has_reserved(queue: Queue) -> None:
    session, other = queue.session(), queue.session()
    request = queue.wait(session)
    queue.put()
    queue.do("withdraw", request)
    assert request.outcome is OVER
    assert queue.reserve(other) == 1
    assert queue.job(1).reserves == 1
    queue.do("withdraw", request)
    assert held(other) == [1]


def test_a_reserve_that_withdraws_while_it_waits_is_gone_from_everywhere(
    queue: Queue,
) -> None:
    first = queue.wait(queue.session("a", "b"), 5)
    second = queue.wait(queue.session("b"))
    queue.do("withdraw", first)
    queue.do("withdraw", first)
    assert queue.withdrawn == [first]
    assert queue.waiting == 1
    assert queue.next_due() == inf
    queue.put(tube="b")
    assert (told(first), told(second)) == (None, 1)


def test_one_reserve_of_a_session_may_withdraw_alone(queue: Queue) -> None:
    session = queue.session()
    first, second = queue.wait(session), queue.wait(session)
    queue.do("withdraw", first)
    queue.put()
    assert told(second) == 1


def test_a_reserve_that_was_refused_has_nothing_to_withdraw(queue: Queue) -> None:
    session = queue.session()
    request = ReserveRequest(session, 0)
    with pytest.raises(TimedOutError):
        queue.do("wait_to_reserve", request)
    queue.do("withdraw", request)
    assert queue.waiting == 0


def test_a_reserve_that_was_answered_an_error_has_nothing_to_withdraw(
    queue: Queue,
) -> None:
    request = queue.wait(queue.session(), 5)
    queue.to(105.0)
    queue.do("withdraw", request)
    assert told(request) is TimedOutError
    assert queue.waiting == 0


def test_a_job_that_came_too_late_goes_back_to_its_place(queue: Queue) -> None:
    """Its reservation has never been."""
    session = queue.session()
    request = queue.wait(session)
    queue.put(5, delay=1)
    queue.put(5, delay=2)
    queue.to(101.0)
    assert told(request) == 1
    queue.to(102.0)
    queue.do("withdraw", request)
    stats = queue.do("stats_job", 1)
    counts = (stats.reserves, stats.timeouts, stats.releases, stats.time_left)
    assert counts == (0, 0, 0, 0)
    assert held(session) == []
    assert queue.reserve_all(queue.session()) == [1, 2]


def test_a_job_that_came_too_late_goes_to_the_next_reserve_that_waits(
    queue: Queue,
) -> None:
    first, second = queue.wait(queue.session()), queue.wait(queue.session())
    queue.put()
    queue.do("withdraw", first)
    assert told(second) == 1
    assert queue.job(1).reserves == 1


def test_a_job_that_came_too_late_stays_in_a_tube_paused_since(queue: Queue) -> None:
    first, second = queue.wait(queue.session()), queue.wait(queue.session())
    queue.put()
    queue.do("pause_tube", "default", 5)
    queue.do("withdraw", first)
    assert (queue.state(1), told(second)) == ("ready", None)
    queue.to(105.0)
    assert told(second) == 1


@pytest.mark.parametrize(
    ("verb", "rest", "state"),
    [
        ("release", (None, 0), "ready"),
        ("release", (None, 9), "delayed"),
        ("bury", (None,), "buried"),
    ],
)
def test_what_the_session_has_done_with_the_job_stands(
    queue: Queue, verb: str, rest: tuple[Any, ...], state: str
) -> None:
    session = queue.session()
    request = queue.wait(session)
    queue.put()
    queue.do(verb, session, 1, None, *rest)
    queue.do("withdraw", request)
    assert (queue.state(1), queue.job(1).reserves) == (state, 1)


def test_a_job_deleted_meanwhile_stays_deleted(queue: Queue) -> None:
    session = queue.session()
    request = queue.wait(session)
    queue.put()
    queue.do("delete", session, 1, None)
    queue.do("withdraw", request)
    assert not queue.engine.jobs


def test_a_job_expired_meanwhile_is_not_given_back_again(queue: Queue) -> None:
    request = queue.wait(queue.session())
    queue.put(0, ttr=5)
    queue.to(105.0)
    queue.do("withdraw", request)
    job = queue.job(1)
    assert (queue.state(1), job.reserves, job.timeouts) == ("ready", 1, 1)


@pytest.mark.parametrize("same", [True, False])
def test_a_job_reserved_anew_meanwhile_is_not_taken_away(
    queue: Queue, *, same: bool
) -> None:
    session = queue.session()
    request = queue.wait(session)
    queue.put(0, ttr=5)
    queue.to(105.0)
    taker = session if same else queue.session()
    assert queue.reserve(taker) == 1
    queue.do("withdraw", request)
    assert taker.held.get(1) is queue.job(1)
    assert queue.job(1).reserves == 2


def test_withdrawing_after_the_session_was_closed_changes_nothing(
    queue: Queue,
) -> None:
    session = queue.session()
    request = queue.wait(session)
    queue.put()
    queue.do("close_session", session, "closed")
    queue.do("withdraw", request)
    assert (queue.state(1), queue.job(1).reserves) == ("ready", 1)


def test_a_reserve_is_withdrawn_after_its_handle_was_dropped_with_a_job_in_hand(
    queue: Queue,
) -> None:
    """The collector may end a consumer before the coroutine that waits for it."""
    session = hold(queue, 60, "a", "b")
    job = queue.job(1)
    request = queue.wait(session)
    queue.do("abandon", session, "the handle was dropped")
    queue.do("withdraw", request)
    assert (queue.all_waiting, held(session)) == (0, [1])
    queue.put(tube="b")
    assert told(request) is None
    assert queue.job(1) is job


@pytest.mark.parametrize("served", [True, False])
def test_withdrawing_after_the_engine_was_closed_changes_nothing(
    queue: Queue, *, served: bool
) -> None:
    request = queue.wait(queue.session())
    if served:
        queue.put()
    assert told(request) == (1 if served else None)
    queue.engine.close("the broker was closed")
    queue.engine.dispatch.withdraw(queue.now, request)
    if served:
        assert request.outcome is OVER
    else:
        assert told(request) is ClosedError
    assert not queue.engine.jobs
