"""Waiting for a job: who is served, and what else a waiter may be told."""

from __future__ import annotations

from typing import Any

import pytest

from inproc_tubes.engine import SAFETY_MARGIN
from inproc_tubes.errors import (
    ClosedError,
    DeadlineSoonError,
    DeadlockError,
    NotFoundError,
    NotIgnoredError,
    TimedOutError,
)
from inproc_tubes.waiting import Waiter
from tests.engine_driver import Queue, told


@pytest.fixture
def queue() -> Queue:
    return Queue()


# First come, first served


def test_waiters_are_served_first_come_first_served(queue: Queue) -> None:
    waiters = [queue.wait(queue.session()) for _ in range(6)]
    for _ in range(6):
        queue.put()
    assert [told(w) for w in waiters] == [1, 2, 3, 4, 5, 6]
    assert queue.engine.answered == waiters


def test_who_reserves_again_goes_to_the_end(queue: Queue) -> None:
    sessions = [queue.session() for _ in range(3)]
    waiters = [queue.wait(session) for session in sessions]
    served = []
    for _ in range(7):
        queue.put()
        at = next(i for i, waiter in enumerate(waiters) if told(waiter))
        served.append(at)
        waiters[at] = queue.wait(sessions[at])
    assert served == [0, 1, 2, 0, 1, 2, 0]


def test_a_timeout_does_not_disturb_the_order_of_the_others(queue: Queue) -> None:
    first = queue.wait(queue.session(), 1)
    others = [queue.wait(queue.session()) for _ in range(3)]
    queue.to(101.0)
    for _ in range(3):
        queue.put()
    assert told(first) is TimedOutError
    assert [told(w) for w in others] == [1, 2, 3]


def test_the_longest_waiting_is_first_over_all_tubes(queue: Queue) -> None:
    a = queue.wait(queue.session("t1", "t2"))
    b = queue.wait(queue.session("t2"))
    c = queue.wait(queue.session("t1"))
    queue.put(tube="t2")
    queue.put(tube="t2")
    queue.put(tube="t1")
    assert [told(w) for w in (a, b, c)] == [1, 2, 3]


def test_a_job_in_a_tube_that_he_does_not_watch_passes_a_waiter_by(
    queue: Queue,
) -> None:
    a = queue.wait(queue.session("t1"))
    b = queue.wait(queue.session("t2"))
    queue.put(tube="t2")
    assert (told(a), told(b)) == (None, 1)


def test_who_is_served_in_one_tube_waits_in_none(queue: Queue) -> None:
    waiter = queue.wait(queue.session("t1", "t2"))
    queue.put(tube="t1")
    queue.put(tube="t2")
    assert told(waiter) == 1
    assert queue.state(2) == "ready"
    assert queue.engine.waiting == 0


def test_several_waiters_of_one_session_are_served_one_by_one(queue: Queue) -> None:
    session = queue.session()
    first, second = queue.wait(session), queue.wait(session)
    queue.put()
    assert (told(first), told(second)) == (1, None)
    queue.put()
    assert told(second) == 2
    assert [record.id for record in session.held.values()] == [1, 2]


def test_any_way_of_becoming_ready_serves_who_waits(queue: Queue) -> None:
    owner = queue.session("a")
    for _ in range(4):
        queue.put(0, ttr=9, tube="a")
    assert [queue.reserve(owner) for _ in range(4)] == [1, 2, 3, 4]
    queue.do("bury", owner, 2, None, None)
    queue.put(0, delay=5, tube="b")
    session = queue.session("a", "b")

    waiter = queue.wait(session)
    queue.do("release", owner, 1, None, None, 0)
    assert told(waiter) == 1
    waiter = queue.wait(session)
    queue.do("kick", "a", 1)
    assert told(waiter) == 2
    waiter = queue.wait(session)
    queue.to(105.0)
    assert told(waiter) == 5
    queue.do("touch", owner, 4, None)
    # Its own jobs are about to expire, but for this it has no ear.
    waiter = queue.wait(session, hears_deadlines=False)
    for job_id in (1, 2, 5):
        queue.do("touch", session, job_id, None)
    queue.to(109.0)
    assert told(waiter) == 3
    waiter = queue.wait(session)
    queue.do("close_session", owner, "closed")
    assert told(waiter) == 4


# TIMED_OUT


def test_timeout_zero_is_refused_at_once(queue: Queue) -> None:
    session = queue.session()
    with pytest.raises(TimedOutError) as caught:
        queue.reserve(session)
    assert caught.value.timeout == 0
    assert queue.engine.waiting == 0


@pytest.mark.parametrize("timeout", [1, 0.25, 2**31 - 1])
def test_a_timeout_ends_at_its_moment(queue: Queue, timeout: float) -> None:
    waiter = queue.wait(queue.session(), timeout)
    assert queue.engine.next_due() == 100.0 + timeout
    queue.to(100.0 + timeout - 0.125)
    assert told(waiter) is None
    queue.to(100.0 + timeout)
    assert isinstance(waiter.outcome, TimedOutError)
    assert waiter.outcome.timeout == timeout
    assert queue.engine.answered == [waiter]
    assert queue.engine.next_due() == float("inf")


def test_without_a_timeout_one_waits_for_ever(queue: Queue) -> None:
    waiter = queue.wait(queue.session())
    queue.to(1e12)
    assert told(waiter) is None
    assert queue.engine.next_due() == float("inf")


def test_who_is_served_is_not_timed_out_too(queue: Queue) -> None:
    waiter = queue.wait(queue.session(), 5)
    queue.put()
    queue.to(105.0)
    assert told(waiter) == 1
    assert queue.engine.answered == [waiter]


def test_timeouts_end_in_the_order_of_their_moments(queue: Queue) -> None:
    late = queue.wait(queue.session(), 5)
    early = queue.wait(queue.session(), 4)
    queue.to(110.0)
    assert queue.engine.answered == [early, late]


# DEADLINE_SOON


def hold(queue: Queue, ttr: float, *tubes: str) -> Any:
    """Return a session that has just reserved a job of its own."""
    session = queue.session(*tubes)
    queue.put(0, ttr=ttr, tube=tubes[0] if tubes else "default")
    queue.reserve(session)
    return session


def test_with_ttr_1_the_whole_reservation_is_margin(queue: Queue) -> None:
    session = hold(queue, 1)
    with pytest.raises(DeadlineSoonError) as caught:
        queue.reserve(session)
    assert (caught.value.job_id, caught.value.time_left) == (1, 1.0)
    assert queue.state(1) == "reserved"
    assert queue.engine.waiting == 0


def test_in_the_margin_no_reserve_waits_whatever_its_timeout(queue: Queue) -> None:
    session = hold(queue, 1)
    for timeout in (None, 0.5, 100):
        with pytest.raises(DeadlineSoonError):
            queue.wait(session, timeout)


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


def test_a_waiter_is_told_when_the_margin_begins(queue: Queue) -> None:
    session = hold(queue, 3)
    waiter = queue.wait(session, 10)
    assert queue.engine.next_due() == 102.0
    queue.to(101.9)
    assert told(waiter) is None
    queue.to(102.0)
    assert isinstance(waiter.outcome, DeadlineSoonError)
    assert (waiter.outcome.job_id, waiter.outcome.time_left) == (1, 1.0)
    assert queue.state(1) == "reserved"
    assert queue.engine.stats(102.0)["job_timeouts"] == 0
    for _ in range(2):
        with pytest.raises(DeadlineSoonError):
            queue.wait(session, 10)
    queue.do("touch", session, 1, None)
    again = queue.wait(session, 10)
    assert queue.engine.next_due() == 104.0
    queue.to(104.0)
    assert told(again) is DeadlineSoonError


def test_a_timeout_before_the_margin_is_timed_out(queue: Queue) -> None:
    waiter = queue.wait(hold(queue, 3), 1.5)
    queue.to(101.5)
    assert told(waiter) is TimedOutError


def test_touch_while_waiting_puts_the_margin_off(queue: Queue) -> None:
    session = hold(queue, 3)
    waiter = queue.wait(session)
    queue.to(101.0)
    queue.do("touch", session, 1, None)
    queue.to(102.0)
    assert told(waiter) is None
    assert queue.engine.next_due() == 103.0
    queue.to(103.0)
    assert told(waiter) is DeadlineSoonError


@pytest.mark.parametrize(
    ("verb", "rest"), [("delete", ()), ("bury", (None,)), ("release", (None, 60))]
)
def test_a_job_given_away_while_waiting_expires_no_more(
    queue: Queue, verb: str, rest: tuple[Any, ...]
) -> None:
    session = hold(queue, 3)
    waiter = queue.wait(session)
    queue.do(verb, session, 1, None, *rest)
    queue.to(110.0)
    assert told(waiter) is None


def test_the_job_that_expires_first_is_named(queue: Queue) -> None:
    session = queue.session()
    for ttr in (9, 3, 5):
        queue.put(0, ttr=ttr)
    assert queue.reserve_all(session) == [1, 2, 3]
    waiter = queue.wait(session)
    queue.to(102.0)
    assert isinstance(waiter.outcome, DeadlineSoonError)
    assert waiter.outcome.job_id == 2


def test_the_margins_of_others_do_not_matter(queue: Queue) -> None:
    hold(queue, 1)
    with pytest.raises(TimedOutError):
        queue.reserve(queue.session())
    waiter = queue.wait(queue.session())
    queue.to(100.5)
    assert told(waiter) is None


def test_all_waiters_of_a_session_hear_it_but_those_who_do_not_listen(
    queue: Queue,
) -> None:
    session = hold(queue, 3)
    first = queue.wait(session)
    deaf = queue.wait(session, hears_deadlines=False)
    second = queue.wait(session)
    queue.to(102.0)
    assert told(first) is told(second) is DeadlineSoonError
    assert told(deaf) is None
    assert queue.engine.answered == [first, second]


def test_who_does_not_listen_waits_in_the_margin_too(queue: Queue) -> None:
    session = hold(queue, 1)
    waiter = queue.wait(session, 0.5, hears_deadlines=False)
    queue.to(100.5)
    assert told(waiter) is TimedOutError


def test_a_job_taken_by_its_id_while_waiting_counts(queue: Queue) -> None:
    session = queue.session()
    waiter = queue.wait(session)
    queue.put(0, ttr=3, tube="elsewhere")
    queue.do("reserve_job", session, 1)
    assert queue.engine.next_due() == 102.0
    queue.to(102.0)
    assert told(waiter) is DeadlineSoonError


def test_with_ttr_1_a_waiting_fellow_is_told_at_the_next_turn(queue: Queue) -> None:
    session = queue.session()
    first, second = queue.wait(session), queue.wait(session)
    queue.put(0, ttr=1)
    assert (told(first), told(second)) == (1, None)
    assert queue.engine.due_at <= queue.now
    queue.to(queue.now)
    assert told(second) is DeadlineSoonError


# reserve_job


def test_reserve_job_is_exempt_from_deadline_soon(queue: Queue) -> None:
    session = hold(queue, 1)
    queue.put(tube="elsewhere")
    assert queue.do("reserve_job", session, 2) is queue.job(2)


def test_reserve_job_takes_from_a_paused_and_unwatched_tube(queue: Queue) -> None:
    session = queue.session()
    queue.put(tube="t")
    queue.do("pause_tube", "t", 100)
    assert queue.do("reserve_job", session, 1).owner is session


def test_reserve_job_takes_from_the_middle(queue: Queue) -> None:
    session = queue.session()
    for _ in range(3):
        queue.put()
    queue.do("reserve_job", session, 2)
    assert queue.reserve_all(session) == [1, 3]


def test_reserve_job_makes_a_worker_only_if_it_succeeds(queue: Queue) -> None:
    session = queue.session()
    with pytest.raises(NotFoundError):
        queue.do("reserve_job", session, 1)
    assert not session.is_worker
    queue.put()
    queue.do("reserve_job", session, 1)
    assert session.is_worker


def test_after_a_close_all_that_was_reserved_by_id_is_ready(queue: Queue) -> None:
    session = queue.session()
    for delay in (0, 30, 0):
        queue.put(0, delay=delay, tube="t")
    queue.bury(session, 3)
    for job_id in (1, 2, 3):
        queue.do("reserve_job", session, job_id)
    queue.do("close_session", session, "closed")
    assert [queue.state(i) for i in (1, 2, 3)] == ["ready"] * 3
    assert (queue.job(2).delay, queue.job(3).past.buries) == (30, 1)


# watch and ignore


def test_watching_twice_changes_nothing(queue: Queue) -> None:
    session = queue.session()
    assert [queue.do("watch", session, ["t"]) for _ in range(2)] == [2, 2]
    assert queue.do("watch", session, ["t", "u", "u"]) == 3
    assert queue.do("list_tubes_watched", session) == ["default", "t", "u"]
    assert queue.engine.tubes["t"].watching == 1


def test_only_the_last_watched_tube_is_not_ignored(queue: Queue) -> None:
    session = queue.session()
    with pytest.raises(NotIgnoredError) as caught:
        queue.do("ignore", session, "default")
    assert caught.value.tube == "default"
    assert queue.do("watch", session, ["t"]) == 2
    assert queue.do("ignore", session, "default") == 1
    with pytest.raises(NotIgnoredError):
        queue.do("ignore", session, "t")
    assert queue.do("list_tubes_watched", session) == ["t"]


def test_ignoring_what_is_not_watched_is_a_success(queue: Queue) -> None:
    session = queue.session()
    queue.put(tube="t")
    assert queue.do("ignore", session, "no-such-tube") == 1
    assert queue.do("ignore", session, "t") == 1
    assert "no-such-tube" not in queue.engine.tubes


def test_a_tube_is_served_from_when_it_is_watched_and_no_longer_when_ignored(
    queue: Queue,
) -> None:
    session = queue.session()
    for tube in ("t", "u", "u"):
        queue.put(tube=tube)
    with pytest.raises(TimedOutError):
        queue.reserve(session)
    queue.do("watch", session, ["t", "u"])
    assert [queue.reserve(session), queue.reserve(session)] == [1, 2]
    queue.do("ignore", session, "u")
    with pytest.raises(TimedOutError):
        queue.reserve(session)
    queue.do("ignore", session, "t")
    queue.put()
    assert queue.reserve(session) == 4


def test_watch_serves_who_waits_on_the_session_at_once(queue: Queue) -> None:
    session = queue.session()
    first, second = queue.wait(session), queue.wait(session)
    queue.put(9, tube="t")
    queue.put(0, tube="t")
    queue.put(0, tube="u")
    assert queue.do("watch", session, ["t", "u"]) == 3
    assert (told(first), told(second)) == (2, 1)
    assert queue.state(3) == "ready"


def test_a_tube_watched_while_waiting_keeps_the_order_of_waiting(queue: Queue) -> None:
    session = queue.session()
    first = queue.wait(session)
    second = queue.wait(queue.session("t"))
    queue.do("watch", session, ["t"])
    queue.put(tube="t")
    queue.put(tube="t")
    assert (told(first), told(second)) == (1, 2)


def test_watch_of_a_paused_tube_serves_nobody_yet(queue: Queue) -> None:
    session = queue.session()
    waiter = queue.wait(session)
    queue.put(tube="t")
    queue.do("pause_tube", "t", 5)
    queue.do("watch", session, ["t"])
    assert told(waiter) is None
    queue.to(105.0)
    assert told(waiter) == 1


def test_ignore_takes_effect_on_who_waits_already(queue: Queue) -> None:
    session = queue.session("a", "b")
    waiter = queue.wait(session, 5)
    queue.do("ignore", session, "a")
    queue.put(tube="a")
    assert told(waiter) is None
    assert queue.state(1) == "ready"
    queue.put(tube="b")
    assert told(waiter) == 2


# Closing


def test_closing_answers_all_waiters_of_the_session_alone(queue: Queue) -> None:
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
    waiter = queue.wait(session)
    other = queue.wait(queue.session())
    queue.do("close_session", session, "closed")
    assert told(waiter) is ClosedError
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
    assert queue.engine.next_due() == float("inf")
    queue.to(105.0)
    assert queue.job(1).past.timeouts == 0


def test_closing_the_engine_answers_everybody(queue: Queue) -> None:
    holder = hold(queue, 60)
    waiters = [queue.wait(holder), queue.wait(queue.session("t"), 5)]
    queue.engine.close("the broker was closed")
    assert [told(w) for w in waiters] == [ClosedError, ClosedError]
    assert queue.engine.answered == waiters
    assert (queue.engine.waiting, queue.engine.jobs, queue.engine.tubes) == (0, {}, {})
    assert holder.closed == "the broker was closed"
    assert (holder.held, queue.engine.sessions) == ({}, {})
    assert queue.engine.due_at <= queue.now  # every verb hears of it
    with pytest.raises(ClosedError, match=r"^the broker was closed$"):
        queue.engine.catch_up(queue.now)


def test_everybody_can_be_told_one_error(queue: Queue) -> None:
    session = queue.session()
    waiters = [queue.wait(session), queue.wait(session, 5), queue.wait(queue.session())]
    queue.engine.answer_all(DeadlockError)
    queue.engine._check()
    assert [told(w) for w in waiters] == [DeadlockError] * 3
    assert queue.engine.next_due() == float("inf")


# Withdrawing: as if one had never waited


def test_who_withdraws_while_waiting_is_gone_from_everywhere(queue: Queue) -> None:
    first = queue.wait(queue.session("a", "b"), 5)
    second = queue.wait(queue.session("b"))
    queue.do("withdraw", first)
    queue.do("withdraw", first)
    assert queue.engine.waiting == 1
    assert queue.engine.next_due() == float("inf")
    queue.put(tube="b")
    assert (told(first), told(second)) == (None, 1)


def test_one_waiter_of_a_session_may_withdraw_alone(queue: Queue) -> None:
    session = queue.session()
    first, second = queue.wait(session), queue.wait(session)
    queue.do("withdraw", first)
    queue.put()
    assert told(second) == 1


def test_who_was_refused_has_nothing_to_withdraw(queue: Queue) -> None:
    session = queue.session()
    waiter = Waiter(session, 0)
    with pytest.raises(TimedOutError):
        queue.do("wait", waiter)
    queue.do("withdraw", waiter)
    assert queue.engine.waiting == 0


def test_who_was_told_an_error_has_nothing_to_withdraw(queue: Queue) -> None:
    waiter = queue.wait(queue.session(), 5)
    queue.to(105.0)
    queue.do("withdraw", waiter)
    assert told(waiter) is TimedOutError
    assert queue.engine.waiting == 0


def test_a_job_that_came_too_late_goes_back_to_its_place(queue: Queue) -> None:
    """Its reservation has never been."""
    session = queue.session()
    waiter = queue.wait(session)
    queue.put(5, delay=1)
    queue.put(5, delay=2)
    queue.to(101.0)
    assert told(waiter) == 1
    queue.to(102.0)
    queue.do("withdraw", waiter)
    stats = queue.do("stats_job", 1)
    counts = ("reserves", "timeouts", "releases", "time_left")
    assert [stats[name] for name in counts] == [0, 0, 0, 0]
    assert not session.held
    assert queue.reserve_all(queue.session()) == [1, 2]


def test_a_job_that_came_too_late_goes_to_who_waits_next(queue: Queue) -> None:
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
def test_what_a_fellow_has_done_with_the_job_stands(
    queue: Queue, verb: str, rest: tuple[Any, ...], state: str
) -> None:
    session = queue.session()
    waiter = queue.wait(session)
    queue.put()
    queue.do(verb, session, 1, None, *rest)
    queue.do("withdraw", waiter)
    assert (queue.state(1), queue.job(1).reserves) == (state, 1)


def test_a_job_deleted_meanwhile_stays_deleted(queue: Queue) -> None:
    session = queue.session()
    waiter = queue.wait(session)
    queue.put()
    queue.do("delete", session, 1, None)
    queue.do("withdraw", waiter)
    assert not queue.engine.jobs


def test_a_job_expired_meanwhile_is_not_given_back_again(queue: Queue) -> None:
    waiter = queue.wait(queue.session())
    queue.put(0, ttr=5)
    queue.to(105.0)
    queue.do("withdraw", waiter)
    record = queue.job(1)
    assert (queue.state(1), record.reserves, record.past.timeouts) == ("ready", 1, 1)


@pytest.mark.parametrize("same", [True, False])
def test_a_job_reserved_anew_meanwhile_is_not_taken_away(
    queue: Queue, *, same: bool
) -> None:
    session = queue.session()
    waiter = queue.wait(session)
    queue.put(0, ttr=5)
    queue.to(105.0)
    taker = session if same else queue.session()
    assert queue.reserve(taker) == 1
    queue.do("withdraw", waiter)
    assert queue.job(1).owner is taker
    assert queue.job(1).reserves == 2


def test_withdrawing_after_the_session_was_closed_changes_nothing(
    queue: Queue,
) -> None:
    session = queue.session()
    waiter = queue.wait(session)
    queue.put()
    queue.do("close_session", session, "closed")
    queue.do("withdraw", waiter)
    assert (queue.state(1), queue.job(1).reserves) == ("ready", 1)


@pytest.mark.parametrize("served", [True, False])
def test_withdrawing_after_the_engine_was_closed_changes_nothing(
    queue: Queue, *, served: bool
) -> None:
    waiter = queue.wait(queue.session())
    if served:
        queue.put()
    answer = 1 if served else ClosedError
    queue.engine.close("the broker was closed")
    queue.engine.withdraw(queue.now, waiter)
    assert told(waiter) == answer
    assert not queue.engine.jobs


# When something is due


def test_next_due_is_the_exact_moment_whatever_became_void(queue: Queue) -> None:
    owner, other = queue.session(), queue.session()
    queue.put(0, delay=3)
    queue.put(0, ttr=4)
    queue.put(0, ttr=5)
    assert (queue.reserve(owner), queue.reserve(other)) == (2, 3)
    queue.do("pause_tube", "default", 2)
    due = [queue.engine.next_due()]
    queue.do("pause_tube", "default", 0)
    due.append(queue.engine.next_due())
    queue.do("delete", owner, 1, None)
    due.append(queue.engine.next_due())
    queue.do("delete", owner, 2, None)
    due.append(queue.engine.next_due())
    queue.do("touch", other, 3, None)
    due.append(queue.engine.next_due())
    queue.do("delete", other, 3, None)
    due.append(queue.engine.next_due())
    queue.engine._check()
    assert due == [102.0, 103.0, 104.0, 105.0, 105.0, float("inf")]


def test_nothing_is_due_in_a_new_engine(queue: Queue) -> None:
    assert queue.engine.due_at == float("inf")


def test_next_due_passes_to_the_later_delay_when_the_first_is_void(
    queue: Queue,
) -> None:
    queue.put(0, delay=3)
    queue.put(0, delay=7)
    queue.do("delete", queue.session(), 1, None)
    assert queue.engine.next_due() == 107.0


def test_a_deaf_waiter_is_not_due_before_the_end_of_the_reservation(
    queue: Queue,
) -> None:
    session = hold(queue, 5)
    queue.wait(session, hears_deadlines=False)
    assert queue.engine.next_due() == 105.0
    queue.wait(session)
    assert queue.engine.next_due() == 104.0


def test_a_job_that_expires_into_a_margin_is_told_of_in_the_same_moment(
    queue: Queue,
) -> None:
    """Its next holder hears at once that it has no more than a second for it."""
    queue.put(ttr=1)
    queue.do("reserve", queue.session(), 0)
    shared = queue.session()
    first, second = queue.wait(shared), queue.wait(shared)
    queue.to(101.0)
    assert [told(first), told(second)] == [1, DeadlineSoonError]
