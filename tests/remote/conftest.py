"""A beanstalkd in memory whose time is moved by hand, and a broker on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from inproc_tubes.fakes import FakeBeanstalkd
from inproc_tubes.remote import RemoteBroker, connect
from inproc_tubes.testing import FakeClock
from tests.real_server import why_missing
from tests.remote.shared import Beanstalkd

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

URL = "beanstalk://beanstalkd.test:11300"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def fake(clock: FakeClock) -> Iterator[FakeBeanstalkd]:
    with FakeBeanstalkd(("beanstalkd.test", 11300), clock=clock) as server:
        yield server


@pytest.fixture
def broker(fake: FakeBeanstalkd, clock: FakeClock) -> Iterator[RemoteBroker]:
    del fake
    with connect(URL, clock=clock) as broker:
        yield broker


@pytest.fixture
def beanstalkd(tmp_path: Path) -> Iterator[Beanstalkd]:
    """A real one."""
    missing = why_missing()
    if missing is not None:  # pragma: no cover - where there is none
        pytest.skip(missing)
    with Beanstalkd(tmp_path) as server:
        yield server
