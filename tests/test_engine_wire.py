"""Puts in two steps, and reserves that are timed out by hand: as the wire needs them."""

from __future__ import annotations

from typing import Any

import pytest

from inproc_tubes.core.job import JobState
from inproc_tubes.errors import (
    DrainingError,
    NotFoundError,
    TimedOutError,
    TubeFullError,
)
from tests.engine_driver import Queue, next_id, told

BODY = memoryview(b"part")


@pytest.fixture
def queue() -> Queue:
    return Queue()


def test_a_put_that_was_begun_has_an_id_and_is_invalid(queue: Queue) -> None:
    session = queue.producer()
    queue.do("begin_put", session, BODY, 7, 0, 60)
    job = queue.job(1)
    assert job._state is JobState.INVALID
    assert session.incoming is job
    assert queue.do("peek", 1) is job
    assert queue.count("cmd_put") == 1
    assert session.is_producer
    queue.to(101.0)
    stats = queue.do("stats_job", 1)
    assert (stats.state, stats.age, stats.time_left) == ("invalid", 1, 0)
    assert queue.do("stats_tube", "default").total_jobs == 0


@pytest.mark.parametrize(
    ("verb", "rest"),
    [
        ("delete", (None,)),
        ("touch", (None,)),
        ("bury", (None, None)),
        ("release", (None, None, 0)),
        ("reserve_job", ()),
    ],
)
def test_a_put_that_was_begun_can_only_be_looked_at(
    queue: Queue, verb: str, rest: tuple[Any, ...]
) -> None:
    session = queue.session(used="default")
    queue.do("begin_put", session, BODY, 0, 0, 60)
    with pytest.raises(NotFoundError):
        queue.do(verb, session, 1, *rest)
    with pytest.raises(NotFoundError):
        queue.do("kick_job", 1, None)
    assert queue.state(1) == "invalid"


def test_a_put_that_was_finished_is_as_any_other(queue: Queue) -> None:
    session = queue.session(used="default")
    queue.do("begin_put", session, BODY, 0, 0, 60)
    queue.to(101.0)
    assert queue.do("finish_put", session, b"body") == 1
    assert session.incoming is None
    assert queue.reserve(session) == 1
    assert queue.job(1).body == b"body"
    assert queue.do("stats_tube", "default").total_jobs == 1
    stats = queue.do("broker_counts")
    assert (stats["cmd_put"], stats["total_jobs"]) == (1, 1)


def test_the_delay_of_a_put_begins_when_it_is_finished_and_its_age_when_it_is_begun(
    queue: Queue,
) -> None:
    session = queue.producer()
    queue.do("begin_put", session, BODY, 0, 5, 60)
    queue.to(103.0)
    queue.do("finish_put", session, b"")
    stats = queue.do("stats_job", 1)
    assert (stats.state, stats.time_left, stats.age) == ("delayed", 5, 3)
    assert queue.next_due() == 108.0


def test_a_put_that_was_finished_goes_to_the_reserve_that_waits(queue: Queue) -> None:
    request = queue.wait(queue.session())
    producer = queue.producer()
    queue.do("begin_put", producer, BODY, 0, 0, 60)
    assert told(request) is None
    queue.do("finish_put", producer, b"")
    assert told(request) == 1


def test_a_put_that_is_finished_while_draining_is_refused_and_gone(
    queue: Queue,
) -> None:
    session = queue.producer()
    queue.do("begin_put", session, BODY, 0, 0, 60)
    queue.do("drain")
    assert queue.state(1) == "invalid"
    with pytest.raises(DrainingError):
        queue.do("finish_put", session, b"")
    assert session.incoming is None
    assert not queue.engine.jobs
    assert next_id(queue.engine) == 2
    assert queue.count("cmd_put") == 1


def test_a_put_that_is_finished_when_its_tube_is_full_is_refused_and_gone(
    queue: Queue,
) -> None:
    session = queue.producer()
    queue.do("begin_put", session, BODY, 0, 0, 60)
    queue.do("limit_tube", "default", 1)
    queue.put()
    with pytest.raises(TubeFullError):
        queue.do("finish_put", session, b"")
    assert list(queue.engine.jobs) == [2]
    assert queue.count("cmd_put") == 2


def test_a_put_that_is_aborted_has_taken_its_id(queue: Queue) -> None:
    session = queue.producer()
    queue.do("begin_put", session, BODY, 0, 0, 60)
    queue.do("abort_put", session)
    queue.do("abort_put", session)
    assert not queue.engine.jobs
    assert queue.put_from(session) == 2


def test_a_session_that_is_closed_aborts_its_put(queue: Queue) -> None:
    session = queue.producer("t")
    queue.do("begin_put", session, BODY, 0, 0, 60)
    queue.do("close_session", session, "closed")
    assert not queue.engine.jobs
    assert session.incoming is None
    assert "t" not in queue.engine.tubes


def test_a_reserve_can_be_timed_out_ahead_of_its_time(queue: Queue) -> None:
    request = queue.wait(queue.session(), 9)
    queue.to(101.0)
    queue.do("time_out", request)
    assert isinstance(request.outcome, TimedOutError)
    assert request.outcome.timeout == 9
    assert queue.answered == [request]
    assert queue.waiting == 0


def test_a_reserve_that_was_answered_is_not_timed_out_too(queue: Queue) -> None:
    request = queue.wait(queue.session())
    queue.put()
    queue.do("time_out", request)
    assert told(request) == 1
    assert queue.answered == [request]
