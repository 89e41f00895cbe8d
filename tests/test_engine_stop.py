"""Stopping: who reserves no more, and what it says to those who wait."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from inproc_tubes import ClosedError, StoppedError, TimedOutError, TubeFullError
from tests.engine_driver import Queue, held, told

if TYPE_CHECKING:
    from inproc_tubes.core.session import Session


@pytest.fixture
def queue() -> Queue:
    return Queue()


@pytest.fixture
def session(queue: Queue) -> Session:
    return queue.session("a", "b")


def stop(queue: Queue, session: Session) -> None:
    queue.do("stop_session", session, "stopped")


def test_each_reserve_that_waits_is_answered_and_woken_once(
    queue: Queue, session: Session
) -> None:
    other = queue.session("a")
    requests = [
        queue.wait(session),
        queue.wait(session, 5),
        queue.wait(session, told_of_deadlines=False),
    ]
    waits_on = queue.wait(other)
    stop(queue, session)
    stop(queue, session)
    assert [StoppedError] * 3 == [told(request) for request in requests]
    assert requests == queue.answered
    assert told(waits_on) is None
    assert queue.put(tube="a") == told(waits_on)


@pytest.mark.parametrize("watched", [["a"], ["a", "b"]])
@pytest.mark.parametrize("looked", [False, True])
def test_a_stopped_session_is_refused_whatever_reserves(
    queue: Queue,
    watched: list[str],
    looked: bool,  # noqa: FBT001  # parametrised
) -> None:
    session = queue.session(*watched)
    job_id = queue.put(tube="a")
    if looked:
        assert queue.reserve(session) == job_id
        queue.do("release", session, job_id, None, None, 0)
    stop(queue, session)
    before = queue.count("cmd_reserve_with_timeout"), queue.count("cmd_watch")
    for verb, *args in (
        ("reserve", 0),
        ("reserve_many", 2, None),
        ("reserve_job", job_id),
        ("watch", ["c"]),
        ("ignore", "a"),
    ):
        with pytest.raises(StoppedError, match=r"^stopped$"):
            queue.do(verb, session, *args)
    after = queue.count("cmd_reserve_with_timeout"), queue.count("cmd_watch")
    assert before == after
    assert "ready" == queue.state(job_id)


def test_a_stopped_session_watches_nothing_and_its_tubes_may_go(
    queue: Queue, session: Session
) -> None:
    queue.put(tube="b")
    stop(queue, session)
    assert [] == queue.do("list_tubes_watched", session)
    assert ["default", "b"] == queue.do("list_tubes")
    assert 0 == queue.do("stats_tube", "b").current_watching
    assert 1 == queue.count("current_connections")


def test_the_jobs_in_hand_stay_valid(queue: Queue, session: Session) -> None:
    ids = [queue.put(tube="a", ttr=10) for _ in range(5)]
    jobs = [queue.do("reserve", session, 0) for _ in ids]
    stop(queue, session)
    queue.to(105)
    queue.do("touch", session, ids[0], jobs[0])
    queue.do("delete", session, ids[1], None)
    queue.do("release", session, ids[2], jobs[2], None, 0)
    queue.do("bury", session, ids[3], None, None)
    assert [ids[0], ids[4]] == held(session)
    queue.to(110)
    assert [ids[0]] == held(session)
    queue.do("settle", session, jobs[0])
    assert ["ready", "buried", "ready"] == [queue.state(ids[n]) for n in (2, 3, 4)]


def test_closing_gives_back_what_is_left(queue: Queue, session: Session) -> None:
    job_id = queue.put(tube="a")
    queue.reserve(session)
    stop(queue, session)
    queue.do("close_session", session, "closed")
    stop(queue, session)
    assert session.stopped == "stopped"
    assert "ready" == queue.state(job_id)
    with pytest.raises(ClosedError, match=r"^closed$"):
        queue.do("reserve", session, 0)


def test_a_closed_session_is_not_stopped(queue: Queue, session: Session) -> None:
    queue.do("close_session", session, "closed")
    stop(queue, session)
    assert session.stopped is None


def test_a_job_that_was_handed_over_before_the_stop_is_its_holders(
    queue: Queue, session: Session
) -> None:
    request = queue.wait(session)
    job_id = queue.put(tube="a")
    stop(queue, session)
    assert told(request) == job_id
    assert [job_id] == held(session)
    assert request.result().id == job_id


def test_a_broker_that_is_stopped_stops_all_sessions_now_and_later(
    queue: Queue,
) -> None:
    sessions = [queue.session("a"), queue.session("a", "b")]
    requests = [queue.wait(session) for session in sessions]
    queue.do("stop", "all stopped")
    queue.do("stop", "again")
    sessions.append(queue.session("c"))
    assert [StoppedError] * 2 == [told(request) for request in requests]
    for session in sessions:
        with pytest.raises(StoppedError, match=r"^all stopped$"):
            queue.do("reserve", session, 0)
    assert ["default"] == queue.do("list_tubes")


def test_over_the_wire_all_goes_on(queue: Queue) -> None:
    args = ("default", ["default"], False)
    connections = [queue.do("open_session", *args)]
    requests = [queue.wait(connections[0])]
    queue.do("stop", "all stopped")
    connections.append(queue.do("open_session", *args))
    requests.append(queue.wait(connections[1]))
    for connection in connections:
        connection.holder = object()
    ids = [queue.put_from(connection) for connection in connections]
    assert ids == [told(request) for request in requests]


def test_a_put_that_waits_is_refused_and_so_is_one_that_would_have_to(
    queue: Queue,
) -> None:
    producer = queue.producer("full")
    queue.do("limit_tube", "full", 1)
    queue.put_from(producer)
    requests = [queue.offer(producer), queue.offer(producer, 5)]
    queue.do("stop", "all stopped")
    assert [StoppedError] * 2 == [told(request) for request in requests]
    with pytest.raises(StoppedError, match=r"^all stopped$"):
        queue.offer(producer)
    # These do not wait.
    with pytest.raises(TubeFullError):
        queue.offer(producer, 0)
    with pytest.raises(TubeFullError):
        queue.offer(producer, count=2)
    queue.do("limit_tube", "full", 2)
    assert [told(queue.offer(producer))] == [[2]]


def test_a_join_that_waits_is_refused_and_so_is_one_that_would_have_to(
    queue: Queue,
) -> None:
    queue.put(tube="work")
    requests = [queue.join("work"), queue.join(timeout=5)]
    queue.do("stop", "all stopped")
    assert [StoppedError] * 2 == [told(request) for request in requests]
    with pytest.raises(StoppedError, match=r"^all stopped$"):
        queue.join("work")
    with pytest.raises(TimedOutError):
        queue.join("work", timeout=0)
    assert 0 == told(queue.join("default"))


def test_a_join_that_only_puts_have_held_up_ends_by_their_refusal(
    queue: Queue,
) -> None:
    producer = queue.producer("full")
    session = queue.session("full")
    queue.do("limit_tube", "full", 1)
    job_id = queue.put_from(producer)
    queue.bury(session, job_id)
    queue.offer(producer)
    request = queue.join("full")
    assert told(request) is None
    queue.do("stop", "all stopped")
    assert 1 == told(request)


def test_a_stopped_session_may_be_dropped_with_a_job_in_hand(
    queue: Queue, session: Session
) -> None:
    job_id = queue.put(tube="a", ttr=10)
    job = queue.do("reserve", session, 0)
    stop(queue, session)
    queue.do("abandon", session, "dropped")
    assert [job_id] == held(session)
    queue.do("stop", "all stopped")
    queue.do("settle", session, job)
    assert 0 == queue.count("current_jobs_reserved")


def test_a_stopped_session_is_not_warned_of_a_deadline(
    queue: Queue, session: Session
) -> None:
    queue.put(tube="a", ttr=10)
    queue.do("reserve", session, 0)
    request = queue.wait(session, 60)
    stop(queue, session)
    assert 110 == queue.next_due()
    queue.to(110)
    assert told(request) is StoppedError
