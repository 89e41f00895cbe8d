"""Reserving: which request is served, when it times out, and what is watched."""

from __future__ import annotations

import pytest

from inproc_tubes.errors import NotFoundError, NotIgnoredError, TimedOutError
from tests.engine_driver import Queue, held, told


@pytest.fixture
def queue() -> Queue:
    return Queue()


# First come, first served


def test_reserves_are_served_first_come_first_served(queue: Queue) -> None:
    requests = [queue.wait(queue.session()) for _ in range(6)]
    for _ in range(6):
        queue.put()
    assert [told(w) for w in requests] == [1, 2, 3, 4, 5, 6]
    assert queue.answered == requests


def test_a_session_that_reserves_again_goes_to_the_end(queue: Queue) -> None:
    sessions = [queue.session() for _ in range(3)]
    requests = [queue.wait(session) for session in sessions]
    served = []
    for _ in range(7):
        queue.put()
        at = next(i for i, request in enumerate(requests) if told(request))
        served.append(at)
        requests[at] = queue.wait(sessions[at])
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


def test_a_job_in_a_tube_that_is_not_watched_passes_a_reserve_by(
    queue: Queue,
) -> None:
    a = queue.wait(queue.session("t1"))
    b = queue.wait(queue.session("t2"))
    queue.put(tube="t2")
    assert (told(a), told(b)) == (None, 1)


def test_a_reserve_that_is_served_in_one_tube_waits_in_none(queue: Queue) -> None:
    request = queue.wait(queue.session("t1", "t2"))
    queue.put(tube="t1")
    queue.put(tube="t2")
    assert told(request) == 1
    assert queue.state(2) == "ready"
    assert queue.waiting == 0


def test_several_reserves_of_one_session_are_served_one_by_one(queue: Queue) -> None:
    session = queue.session()
    first, second = queue.wait(session), queue.wait(session)
    queue.put()
    assert (told(first), told(second)) == (1, None)
    queue.put()
    assert told(second) == 2
    assert held(session) == [1, 2]


def test_any_way_of_becoming_ready_serves_a_waiting_reserve(queue: Queue) -> None:
    owner = queue.session("a")
    for _ in range(4):
        queue.put(0, ttr=9, tube="a")
    assert [queue.reserve(owner) for _ in range(4)] == [1, 2, 3, 4]
    queue.do("bury", owner, 2, None, None)
    queue.put(0, delay=5, tube="b")
    session = queue.session("a", "b")

    request = queue.wait(session)
    queue.do("release", owner, 1, None, None, 0)
    assert told(request) == 1
    request = queue.wait(session)
    queue.do("kick", "a", 1)
    assert told(request) == 2
    request = queue.wait(session)
    queue.to(105.0)
    assert told(request) == 5
    queue.do("touch", owner, 4, None)
    # Its own jobs are about to expire, which it is not told.
    request = queue.wait(session, told_of_deadlines=False)
    for job_id in (1, 2, 5):
        queue.do("touch", session, job_id, None)
    queue.to(109.0)
    assert told(request) == 3
    request = queue.wait(session)
    queue.do("close_session", owner, "closed")
    assert told(request) == 4


# TIMED_OUT


def test_timeout_zero_is_refused_at_once(queue: Queue) -> None:
    session = queue.session()
    with pytest.raises(TimedOutError) as caught:
        queue.reserve(session)
    assert caught.value.timeout == 0
    assert queue.waiting == 0


@pytest.mark.parametrize("timeout", [1, 0.25, 2**31 - 1])
def test_a_timeout_ends_at_its_moment(queue: Queue, timeout: float) -> None:
    request = queue.wait(queue.session(), timeout)
    assert queue.next_due() == 100.0 + timeout
    queue.to(100.0 + timeout - 0.125)
    assert told(request) is None
    queue.to(100.0 + timeout)
    assert isinstance(request.outcome, TimedOutError)
    assert request.outcome.timeout == timeout
    assert queue.answered == [request]
    assert queue.next_due() == float("inf")


def test_a_reserve_without_a_timeout_waits_for_ever(queue: Queue) -> None:
    request = queue.wait(queue.session())
    queue.to(1e12)
    assert told(request) is None
    assert queue.next_due() == float("inf")


def test_a_reserve_that_is_served_is_not_timed_out_too(queue: Queue) -> None:
    request = queue.wait(queue.session(), 5)
    queue.put()
    queue.to(105.0)
    assert told(request) == 1
    assert queue.answered == [request]


def test_timeouts_end_in_the_order_of_their_moments(queue: Queue) -> None:
    late = queue.wait(queue.session(), 5)
    early = queue.wait(queue.session(), 4)
    queue.to(110.0)
    assert queue.answered == [early, late]


# reserve_job


def test_reserve_job_is_exempt_from_deadline_soon(queue: Queue) -> None:
    session = queue.session()
    queue.put(ttr=1)
    queue.reserve(session)
    queue.put(tube="elsewhere")
    assert queue.do("reserve_job", session, 2) is queue.job(2)


def test_reserve_job_takes_from_a_paused_and_unwatched_tube(queue: Queue) -> None:
    session = queue.session()
    queue.put(tube="t")
    queue.do("pause_tube", "t", 100)
    job = queue.do("reserve_job", session, 1)
    assert session.held.get(1) is job is queue.job(1)
    assert job._holder is session.holder


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
    assert (queue.job(2).delay, queue.job(3).buries) == (30, 1)


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


def test_watch_serves_what_waits_on_the_session_at_once(queue: Queue) -> None:
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


def test_watch_of_a_paused_tube_serves_no_reserve_yet(queue: Queue) -> None:
    session = queue.session()
    request = queue.wait(session)
    queue.put(tube="t")
    queue.do("pause_tube", "t", 5)
    queue.do("watch", session, ["t"])
    assert told(request) is None
    queue.to(105.0)
    assert told(request) == 1


def test_ignore_takes_effect_on_what_waits_already(queue: Queue) -> None:
    session = queue.session("a", "b")
    request = queue.wait(session, 5)
    queue.do("ignore", session, "a")
    queue.put(tube="a")
    assert told(request) is None
    assert queue.state(1) == "ready"
    queue.put(tube="b")
    assert told(request) == 2


@pytest.mark.parametrize(
    ("verb", "tubes", "change", "others"),
    [("ignore", ("a", "b"), "b", ("a",)), ("watch", ("a",), ["b"], ("a", "b"))],
)
def test_a_reserve_keeps_its_turn_where_its_session_comes_to_wait_with_others(
    queue: Queue,
    verb: str,
    tubes: tuple[str, ...],
    change: object,
    others: tuple[str, ...],
) -> None:
    session = queue.session(*tubes)
    first, second = queue.wait(session), queue.wait(queue.session(*others))
    queue.do(verb, session, change)
    queue.put(tube="a")
    assert [told(first), told(second)] == [1, None]
