"""What the tests of several handles need."""

from __future__ import annotations

from typing import Any

import pytest

from inproc_tubes import Broker, Consumer, TimedOutError

MOST = 2**32 - 1  # of a priority, a delay, a ttr and a pause

Target = Any
BY = [
    pytest.param(lambda job: job, id="by handle"),
    pytest.param(lambda job: job.id, id="by id"),
]


def bodies(consumer: Consumer) -> list[Any]:
    """Take all that is ready, in the order it is served."""
    found = []
    while True:
        try:
            found.append(consumer.reserve(0).body)
        except TimedOutError:
            return found


def state(broker: Broker, job_id: int) -> str:
    return broker.stats_job(job_id).state
