"""Workers on a beanstalkd."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest

from inproc_tubes import NotFoundError
from inproc_tubes.remote.holder import RemoteHolder
from inproc_tubes.worker import Backoff, Worker
from tests.remote.shared import wait_until, wait_until_reserving
from tests.shells import LoopThread
from tests.threads import LONG
from tests.worker.kinds import Kind, Lines

if TYPE_CHECKING:
    from collections.abc import Iterator

    from inproc_tubes import Job
    from inproc_tubes.fakes import FakeBeanstalkd
    from inproc_tubes.remote import RemoteBroker
    from inproc_tubes.testing import FakeClock


@pytest.fixture(params=["threads", "tasks", "functions in tasks"])
def kind(request: pytest.FixtureRequest, broker: RemoteBroker) -> Iterator[Kind]:
    loop = None if request.param == "threads" else LoopThread()
    kind = Kind(request.param, broker, loop)  # type: ignore[arg-type]  # as good as one
    yield kind
    kind.gate.open()
    if loop is not None:
        loop.close()


@pytest.fixture
def lines() -> Iterator[Lines]:
    lines = Lines()
    logger = logging.getLogger("inproc_tubes.worker")
    logger.setLevel(logging.DEBUG)
    logger.addHandler(lines)
    yield lines
    logger.removeHandler(lines)


def test_a_job_is_deleted_when_it_is_done_and_its_tries_come_from_the_server(
    kind: Kind, fake: FakeBeanstalkd
) -> None:
    tries = []

    def handle(job: Job) -> None:
        tries.append((job.body, job.reserves))
        if job.reserves < 3:
            raise ValueError(job.body)

    worker = kind.worker({"default": handle}, retry=Backoff(first=0))
    with kind.entered(worker):
        kind.put("a")
        wait_until(lambda: not fake.broker.jobs("default"))
    assert [("a", 1), ("a", 2), ("a", 3)] == tries


def test_a_job_that_fails_too_often_is_buried(
    kind: Kind, fake: FakeBeanstalkd, lines: Lines
) -> None:
    def handle(job: Job) -> None:
        raise ValueError(job.body)

    worker = kind.worker({"default": handle}, retry=Backoff(first=0, max_tries=2))
    with kind.entered(worker):
        kind.put("a")
        wait_until(lambda: bool(fake.broker.jobs("default", "buried")))
        lines.wait_for("job 1 in 'default' failed (try 2 of 2) and is buried")


def test_a_job_that_takes_long_is_touched(
    kind: Kind, fake: FakeBeanstalkd, clock: FakeClock
) -> None:
    with kind.entered(kind.gated()):
        kind.put("a", ttr=10)
        job = kind.gate.wait_for_job()
        for _ in range(4):
            before = fake.broker.stats().cmd_touch
            clock.advance(5)
            wait_until(lambda: fake.broker.stats().cmd_touch > before)  # noqa: B023 - it ends here
        assert not job.lost
        kind.gate.open()
    assert [] == fake.broker.jobs("default")


def test_a_handler_that_loses_its_job_with_the_connection_changes_nothing(
    kind: Kind, fake: FakeBeanstalkd, lines: Lines
) -> None:
    with kind.entered(kind.gated()):
        kind.put("a")
        kind.gate.wait_for_job()
        fake.drop()
        again = fake.broker.consumer().reserve(LONG)
        kind.gate.open()
        lines.wait_for("job 1 in 'default' was lost after 0 s")
        again.delete()


def test_a_job_that_is_lost_before_its_handler_begins_is_left_alone(
    kind: Kind, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker: Any = kind.broker
    done: list[Any] = []
    worker = kind.worker({"default": done.append})

    def stats(*_: object) -> object:
        monkeypatch.undo()
        raise NotFoundError(1)

    with kind.entered(worker):
        wait_until_reserving(broker)
        monkeypatch.setattr(RemoteHolder, "_stats_of", stats)
        broker.producer().put("a")
        lines.wait_for("job 1 was lost before it was begun: job 1 was deleted")
        broker.producer().put("b")
        wait_until(lambda: len(done) == 1)
    assert "b" == done[0].body


def test_periodic_jobs_are_put(
    kind: Kind, fake: FakeBeanstalkd, clock: FakeClock
) -> None:
    done: list[Any] = []
    worker = kind.worker({"default": lambda job: done.append(job.body)})
    worker.every(10, "default", "beat")
    with kind.entered(worker):
        wait_until_reserving(kind.broker)  # type: ignore[arg-type]  # it is one
        for beats in (1, 2):
            clock.advance(10)
            wait_until(lambda: len(done) == beats)  # noqa: B023 - it ends here
            wait_until(lambda: not fake.broker.jobs("default"))


def test_a_worker_without_threads_does_what_is_ready(broker: RemoteBroker) -> None:
    done: list[Any] = []
    worker = Worker(broker, {"default": lambda job: done.append(job.body)}, threads=0)
    broker.producer().put_many("ab")
    broker.producer().put("c", delay=5)
    with worker:
        assert 2 == worker.run_pending()
        assert 1 == worker.run_until_empty()
    assert list("abc") == done
