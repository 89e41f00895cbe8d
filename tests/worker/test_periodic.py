"""Jobs that a worker puts again and again."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import pytest

from inproc_tubes import Producer
from inproc_tubes.worker import AsyncWorker, Worker

if TYPE_CHECKING:
    from inproc_tubes import Broker
    from inproc_tubes.testing import FakeClock
    from tests.worker.kinds import Kind, Lines


def test_a_job_is_put_at_each_beat_while_the_worker_runs(kind: Kind) -> None:
    done: list[float] = []
    worker = kind.worker({"reports": lambda _: done.append(kind.clock.now())})
    worker.every(60, "reports", "hourly")
    start = kind.clock.now()
    kind.clock.advance(100)
    with kind.entered(worker):
        for _ in range(3):
            kind.clock.advance(60)
            kind.wait_until_idle()
    kind.clock.advance(600)
    assert [start + 100 + 60 * n for n in (1, 2, 3)] == done


def test_it_has_the_body_priority_and_time_that_were_asked_for(kind: Kind) -> None:
    worker = kind.worker({"default": print})
    body = object()
    worker.every(1, "reports", body, priority=7, ttr=9)
    with kind.entered(worker):
        kind.clock.advance(1)
        job = kind.broker.peek_ready("reports")
        assert (7, 9) == (job.priority, job.ttr)
        assert body is job.body


def test_a_beat_is_left_out_while_the_last_job_is_unfinished(kind: Kind) -> None:
    worker = kind.gated("reports")
    worker.every(60, "reports", "hourly")
    with kind.entered(worker):
        kind.clock.advance(60)
        kind.gate.wait_for_job()
        kind.clock.advance(180)
        kind.gate.open()
        kind.wait_until_idle()
        assert 0 == len(kind.states("reports"))
        kind.clock.advance(60)
        assert 2 == kind.gate.wait_for_job().id
        kind.gate.open()


def test_nobody_waits_for_a_job_that_is_buried(kind: Kind) -> None:
    worker = kind.gated("reports", retry=None)
    worker.every(60, "reports", "hourly")
    with kind.entered(worker):
        for number in (1, 2):
            kind.clock.advance(60)
            assert number == kind.gate.wait_for_job().id
            kind.gate.open(ValueError())
            kind.wait_until_idle()
    assert 2 == len(kind.broker.jobs("reports", "buried"))


def test_a_beat_is_left_out_if_there_is_no_room(kind: Kind, lines: Lines) -> None:
    kind.put("other", tube="reports")
    kind.broker.limit_tube("reports", 1)
    worker = kind.worker({"default": print})
    worker.every(60, "reports", "hourly")
    with kind.entered(worker):
        kind.clock.advance(60)
        assert {"other": "ready"} == kind.states("reports")
        kind.broker.clear_tube("reports")
        kind.clock.advance(60)
        assert {"hourly": "ready"} == kind.states("reports")
    (line,) = lines.of("WARNING")
    assert line.startswith("the periodic job for 'reports' is left out: ")


def test_a_worker_that_is_stopping_puts_no_more(kind: Kind) -> None:
    worker = kind.gated()
    worker.every(60, "reports", "hourly")
    future = kind.start(worker)
    kind.put("scarf")
    kind.gate.wait_for_job()
    worker.stop()
    kind.clock.advance(600)
    kind.gate.open()
    future.result(10)
    assert {} == kind.states("reports")


def test_a_broker_that_is_closed_ends_the_beats(kind: Kind, lines: Lines) -> None:
    worker = kind.gated()
    worker.every(60, "reports", "hourly")
    future = kind.start(worker)
    kind.put("scarf")
    kind.gate.wait_for_job()
    kind.broker.close()
    kind.clock.advance(600)
    kind.gate.open()
    future.result(10)
    assert 1 == len(lines.of("WARNING"))  # the job that was in hand


def test_a_beat_that_comes_too_late_is_left_out(
    clock: FakeClock, broker: Broker
) -> None:
    """The next ones come when they always would have."""
    times: list[float] = []
    worker = Worker(broker, {"reports": lambda _: times.append(clock.now())}, threads=0)
    worker.every(60, "reports", "hourly")
    worker.run_pending()
    start = clock.now()
    clock._time += 200  # as if nothing had run meanwhile
    clock.advance(0)
    worker.run_pending()
    clock.advance(39)
    assert 0 == worker.run_pending()
    clock.advance(1)
    assert 1 == worker.run_pending()
    assert [start + 200, start + 240] == times


def test_a_worker_may_put_several_periodic_jobs(
    broker: Broker, clock: FakeClock
) -> None:
    worker = Worker(broker, {"default": print}, threads=0)
    worker.every(2, "a", None)
    worker.every(3, "b", None)
    with worker:
        assert 0 == worker.run_pending()
        clock.advance(6)
        assert 2 == broker.stats().current_producers
    assert 0 == broker.stats().current_producers
    assert 1 == broker.stats_tube("a").total_jobs  # nobody does it
    assert 1 == broker.stats_tube("b").total_jobs


@pytest.mark.parametrize("kind_of_worker", [Worker, AsyncWorker])
def test_the_defaults_are_those_of_a_put(kind_of_worker: Any) -> None:
    own = inspect.signature(kind_of_worker.every).parameters
    put = inspect.signature(Producer.put).parameters
    limits: dict[str, Any] = {"priority": 65536, "ttr": 60}
    for name, default in limits.items():
        assert own[name].default == put[name].default == default
