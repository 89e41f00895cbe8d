from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from inproc_tubes.engine import Engine
from inproc_tubes.errors import DrainingError, NotFoundError, TimedOutError
from inproc_tubes.job import JobState
from inproc_tubes.waiting import Waiter
from tests.engine_driver import next_id

if TYPE_CHECKING:
    from inproc_tubes.session import Session


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def session(engine: Engine) -> Session:
    return engine.open_session(0, "default", ["default"])


def test_a_put_that_was_begun_has_an_id_and_is_invalid(
    engine: Engine, session: Session
) -> None:
    record = engine.begin_put(5, session, b"part", 7, 0, 60)
    engine._check()
    assert record.id == 1
    assert record.state is JobState.INVALID
    assert engine.peek(5, 1) is record
    assert engine.cmd_put == 1
    assert session.is_producer
    stats = engine.stats_job(6, 1)
    assert (stats["state"], stats["age"], stats["time_left"]) == ("invalid", 1, 0)
    assert engine.stats_tube(6, "default")["total_jobs"] == 0


def test_a_put_that_was_begun_can_only_be_looked_at(
    engine: Engine, session: Session
) -> None:
    engine.begin_put(0, session, b"", 0, 0, 60)
    for verb in (
        lambda: engine.reserve_job(0, session, 1),
        lambda: engine.delete(0, session, 1, None),
        lambda: engine.kick_job(0, 1, None),
        lambda: engine.touch(0, session, 1, None),
        lambda: engine.bury(0, session, 1, None, None),
        lambda: engine.release(0, session, 1, None, None, 0),
    ):
        with pytest.raises(NotFoundError):
            verb()
        engine._check()


def test_a_put_that_was_finished_is_as_any_other(
    engine: Engine, session: Session
) -> None:
    record = engine.begin_put(0, session, b"", 0, 0, 60)
    assert engine.finish_put(1, session, b"body") == 1
    engine._check()
    assert session.incoming is None
    assert engine.reserve(1, session, 0) is record
    assert record.body == b"body"
    assert engine.stats_tube(1, "default")["total_jobs"] == 1


def test_the_delay_of_a_put_begins_when_it_is_finished(
    engine: Engine, session: Session
) -> None:
    record = engine.begin_put(0, session, b"", 0, 5, 60)
    engine.finish_put(3, session, b"")
    engine._check()
    assert record.state is JobState.DELAYED
    assert record.due_at == 8


def test_a_put_that_was_finished_goes_to_who_waits(
    engine: Engine, session: Session
) -> None:
    waiter = Waiter(session, None)
    engine.wait(0, waiter)
    other = engine.open_session(0, "default", [])
    record = engine.begin_put(0, other, b"", 0, 0, 60)
    assert not waiter.answered
    engine.finish_put(0, other, b"")
    assert waiter.outcome is record
    engine._check()


def test_a_put_that_is_finished_while_draining_is_refused_and_gone(
    engine: Engine, session: Session
) -> None:
    engine.begin_put(0, session, b"", 0, 0, 60)
    engine.drain(0)
    with pytest.raises(DrainingError):
        engine.finish_put(0, session, b"")
    engine._check()
    assert not engine.jobs
    assert next_id(engine) == 2


def test_a_put_that_is_aborted_has_taken_its_id(
    engine: Engine, session: Session
) -> None:
    engine.begin_put(0, session, b"", 0, 0, 60)
    engine.abort_put(0, session)
    engine.abort_put(0, session)
    engine._check()
    assert not engine.jobs
    assert engine.put(0, session, None, b"", 0, 0, 60) == 2


def test_a_session_that_is_closed_aborts_its_put(engine: Engine) -> None:
    session = engine.open_session(0, "t", [])
    engine.begin_put(0, session, b"", 0, 0, 60)
    engine.close_session(0, session, "closed")
    engine._check()
    assert not engine.jobs
    assert "t" not in engine.tubes


def test_a_waiter_can_be_told_that_its_time_is_over(
    engine: Engine, session: Session
) -> None:
    waiter = Waiter(session, 9)
    engine.wait(0, waiter)
    engine.time_out(1, waiter)
    engine._check()
    assert isinstance(waiter.outcome, TimedOutError)
    assert engine.answered == [waiter]
    assert engine.waiting == 0


def test_a_waiter_that_was_answered_is_told_no_more(
    engine: Engine, session: Session
) -> None:
    waiter = Waiter(session, None)
    engine.wait(0, waiter)
    engine.put(0, session, None, b"", 0, 0, 60)
    outcome = waiter.outcome
    engine.time_out(1, waiter)
    assert waiter.outcome is outcome
    assert engine.answered == [waiter]
    engine._check()
