"""Events to logging: one line each, with a level by its kind."""

from __future__ import annotations

import doctest
import logging
from typing import Any

import pytest

from inproc_tubes import Broker, EventKind, logs
from inproc_tubes.core.event import Event
from inproc_tubes.core.failure import JobError
from inproc_tubes.logs import LEVELS, describe, log_events
from inproc_tubes.testing import FakeClock


@pytest.fixture
def broker() -> Broker:
    """Make a broker whose clock stands still."""
    return Broker(clock=FakeClock())


def test_events_are_logged_with_their_levels(
    broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with log_events(broker):
        broker.producer("orders").put("secret", delay=5)
        broker.kick("orders", 1)
        consumer = broker.consumer("orders", name="packer")
        consumer.reserve().release(delay=2, error=ValueError("torn\nin two"))
        consumer.close()
        broker.move(1, "other")
        broker.limit_tube("other", 3)
        broker.limit_tube("other", 0)
        broker.pause_tube("other", 7)
        broker.close()
    rest = "held 0.000 s by 'packer': ValueError: torn in two"
    assert [
        ("INFO", "put: job 1 in 'orders', for 5 s"),
        ("INFO", "kicked: job 1 in 'orders'"),
        ("INFO", "consumer opened: 'packer'"),
        ("DEBUG", "reserved: job 1 in 'orders', try 1 by 'packer'"),
        ("INFO", f"released: job 1 in 'orders', try 1, for 2 s, {rest}"),
        ("INFO", "consumer closed: 'packer'"),
        ("INFO", "moved: job 1 in 'other', from 'orders', try 1"),
        ("INFO", "tube limited: 'other', to 3 jobs"),
        ("INFO", "tube limited: 'other', to any number of jobs"),
        ("INFO", "tube paused: 'other', for 7 s"),
        ("INFO", "closed"),
    ] == [(record.levelname, record.getMessage()) for record in caplog.records]
    assert "secret" not in caplog.text
    assert isinstance(caplog.records[0].__dict__["event"], Event)


def test_a_line_is_one_line_whatever_the_names_are() -> None:
    error = JobError("E", "a\nb", "...", "t", 1, 0.0)
    kind = EventKind.BURIED
    event = Event(kind=kind, at=0.0, job_id=1, tube="t", consumer="a\nb", error=error)
    assert describe(event) == r"buried: job 1 in 't' by 'a\nb': E: a b"


def test_a_logger_a_level_and_the_kinds_may_be_chosen(
    broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    logger = logging.getLogger("mine")
    log_events(broker, logger, ["put", "deleted"], {EventKind.PUT: logging.ERROR})
    broker.delete(broker.producer().put("a"))
    assert [("mine", "ERROR", "put: job 1 in 'default'")] == [
        (record.name, record.levelname, record.getMessage())
        for record in caplog.records
    ]


@pytest.mark.parametrize(
    "arguments",
    [
        {"logger": None},
        {"logger": 1},
        {"levels": {EventKind.PUT: "INFO"}},
        {"levels": {EventKind.PUT: True}},
        {"levels": "INFO"},
        {"kinds": "put"},
    ],
)
def test_a_bad_argument_is_refused_and_changes_nothing(
    broker: Broker, arguments: dict[str, Any]
) -> None:
    with pytest.raises(TypeError):
        log_events(broker, **arguments)
    assert broker._monitor.turn.log is None


def test_every_level_is_that_of_a_kind() -> None:
    assert LEVELS.keys() <= set(EventKind)


def test_the_example_of_the_module_runs(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        failed = doctest.testmod(logs).failed
    finally:
        logging.getLogger("packing").handlers.clear()
    assert failed == 0, capsys.readouterr().out
