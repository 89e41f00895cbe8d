"""A server in memory, and what pybeanstalk's interface has of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from inproc_tubes.fakes import FakeBeanstalkd
from inproc_tubes.fakes.beanstalk import job, serverconn
from tests.skin.shared import HOME

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def fake() -> Iterator[FakeBeanstalkd]:
    with FakeBeanstalkd(HOME) as fake:
        yield fake


@pytest.fixture
def conn(fake: FakeBeanstalkd) -> serverconn.ServerConn:
    """Return a connection that nobody closes."""
    return serverconn.ServerConn(*fake.address)


@pytest.fixture
def jobs(conn: serverconn.ServerConn) -> serverconn.ServerConn:
    """Return a connection whose replies are jobs."""
    conn.job = job.Job
    return conn


@pytest.fixture
def reserved(jobs: serverconn.ServerConn) -> job.Job:
    jobs.put("a")
    one: job.Job = jobs.reserve()
    return one
