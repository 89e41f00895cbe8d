"""What the tests of workers share."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from inproc_tubes import Broker
from inproc_tubes.testing import FakeClock
from tests.shells import LoopThread
from tests.worker.kinds import Kind, Lines

if TYPE_CHECKING:
    from collections.abc import Iterator

KINDS = ["threads", "tasks", "functions in tasks"]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def broker(clock: FakeClock) -> Iterator[Broker]:
    with Broker(clock=clock) as broker:
        yield broker


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest, broker: Broker) -> Iterator[Kind]:
    """Let the test be about threads, about tasks, and about threads that tasks wait for."""
    if request.param == "threads":
        kind = Kind(request.param, broker, None)
        yield kind
        kind.gate.open()
        return
    loop = LoopThread()
    kind = Kind(request.param, broker, loop)
    yield kind
    kind.gate.open()
    loop.close()


@pytest.fixture
def lines() -> Iterator[Lines]:
    """What workers log."""
    lines = Lines()
    logger = logging.getLogger("inproc_tubes.worker")
    level = logger.level
    logger.setLevel(logging.DEBUG)
    logger.addHandler(lines)
    yield lines
    logger.removeHandler(lines)
    logger.setLevel(level)
