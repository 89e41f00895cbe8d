"""A server in memory, and a socket that is connected to it."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from inproc_tubes.fakes import FakeBeanstalkd

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def fake() -> Iterator[FakeBeanstalkd]:
    with FakeBeanstalkd() as fake:
        yield fake


@pytest.fixture
def sock(fake: FakeBeanstalkd) -> Iterator[socket.socket]:
    with socket.create_connection(fake.address) as sock:
        yield sock
