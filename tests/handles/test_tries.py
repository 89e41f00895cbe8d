"""A limit of tries, as the handles have it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from inproc_tubes.worker import Backoff, Worker
from tests.handles.shared import state

if TYPE_CHECKING:
    from inproc_tubes import Broker, Consumer, Producer
    from inproc_tubes.testing import FakeClock


def test_a_job_that_hangs_its_workers_does_not_come_back_for_ever(
    broker: Broker, clock: FakeClock, producer: Producer, consumer: Consumer
) -> None:
    broker.limit_tries("default", 3)
    producer.put("poison", ttr=10)
    jobs = []
    for _ in range(3):
        jobs.append(consumer.reserve(0))
        clock.advance(10)
    assert state(broker, 1) == "buried"
    assert all(job.lost for job in jobs)
    (buried,) = broker.jobs("default", "buried")
    assert buried.error is not None
    assert (buried.error.type, buried.error.attempt) == ("tries", 3)
    assert "tries: reserved 3 times" in repr(buried)


def test_a_job_that_kills_its_workers_does_not_come_back_for_ever(
    broker: Broker, producer: Producer, consumer: Consumer
) -> None:
    broker.limit_tries("default", 2)
    producer.put("poison")
    for _ in range(2):
        with pytest.raises(SystemExit), consumer.reserve(0):
            raise SystemExit
    assert state(broker, 1) == "buried"
    assert broker.stats_tube("default").max_tries == 2


def test_a_late_delete_of_such_a_job_is_in_time(
    broker: Broker, clock: FakeClock, producer: Producer, consumer: Consumer
) -> None:
    broker.limit_tries("default", 1)
    producer.put("slow", ttr=10)
    with consumer.reserve(0):
        clock.advance(10)
        assert state(broker, 1) == "buried"
    assert broker.jobs("default") == []


def test_none_takes_the_limit_back(
    broker: Broker, producer: Producer, consumer: Consumer
) -> None:
    broker.limit_tries("default", 1)
    broker.limit_tries("default", None)
    producer.put("job")
    consumer.reserve(0).release()
    assert state(broker, 1) == "ready"


@pytest.mark.parametrize(
    ("limit", "tries", "error"), [(2, 2, "tries"), (9, 3, "ValueError")]
)
def test_a_worker_keeps_its_own_policy_within_the_limit(
    broker: Broker, producer: Producer, limit: int, tries: int, error: str
) -> None:
    broker.limit_tries("default", limit)
    producer.put("job")

    def handler(job: object) -> None:
        raise ValueError(job)

    retry = Backoff(first=1, max_tries=3)
    worker = Worker(broker, {"default": handler}, threads=0, retry=retry)
    worker.run_until_empty()
    (job,) = broker.jobs("default", "buried")
    assert job.error is not None
    assert (job.reserves, job.error.type) == (tries, error)
