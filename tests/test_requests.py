"""What whoever has waited is told when it wakes, and that nobody keeps an error."""

from __future__ import annotations

import weakref
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from inproc_tubes.core.making import new_job
from inproc_tubes.core.requests import JoinRequest, ReserveRequest
from inproc_tubes.core.session import Session
from inproc_tubes.core.turn import Turn
from inproc_tubes.errors import ClosedError, TimedOutError

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def session() -> Session:
    return Session()


def test_a_reserve_returns_its_job(session: Session) -> None:
    request = ReserveRequest(session, 5)
    request.outcome = job = new_job("body", 0, 0, 60)
    assert job is request.result()


def test_a_reserve_that_was_answered_and_then_closed_raises_what_was_closed(
    session: Session,
) -> None:
    """The job is somebody else's by now."""
    request = ReserveRequest(session, 5)
    request.outcome = new_job("body", 0, 0, 60)
    session.closed = "the consumer was closed"
    with pytest.raises(ClosedError, match="the consumer was closed"):
        request.result()


def test_a_reserve_that_has_timed_out_says_so_though_it_was_closed_since(
    session: Session,
) -> None:
    request = ReserveRequest(session, 5)
    request.outcome = TimedOutError(5)
    session.closed = "the consumer was closed"
    with pytest.raises(TimedOutError):
        request.result()


def raised_by_a_request(error: TimedOutError) -> None:
    request = JoinRequest(5, None)
    request.outcome = error
    del error
    with suppress(TimedOutError):
        request.result()


def raised_by_a_request_that_is_kept(error: TimedOutError) -> None:
    KEPT.outcome = error
    del error
    with suppress(TimedOutError):
        KEPT.result()


KEPT = JoinRequest(5, None)


def raised_by_a_turn(error: TimedOutError) -> None:
    errors = [error]
    del error
    with suppress(TimedOutError):
        Turn().refuse(errors.pop())


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize(
    "raise_it",
    [raised_by_a_request, raised_by_a_request_that_is_kept, raised_by_a_turn],
)
def test_an_error_that_was_raised_and_caught_dies_at_once(
    raise_it: Callable[[TimedOutError], None],
) -> None:
    """Its traceback refers to frames, and these to jobs."""
    errors = [TimedOutError(5)]
    error = weakref.ref(errors[0])
    raise_it(errors.pop())
    assert error() is None
