"""A worker that is told to stop takes no more, and finishes what it has in hand."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from inproc_tubes import Broker, ClosedError, DeadlockError, Job
from inproc_tubes.testing import wait_until_waiting
from inproc_tubes.worker import Backoff
from inproc_tubes.worker.run import Run
from tests.threads import LONG, start
from tests.worker.kinds import Kind

if TYPE_CHECKING:
    from tests.worker.kinds import Lines


def test_a_stopped_worker_finishes_the_jobs_in_hand_and_takes_no_more(
    kind: Kind, lines: Lines
) -> None:
    worker = kind.gated(at_once=2)
    future = kind.start(worker)
    kind.put("scarf", "piano")
    jobs = {kind.gate.wait_for_job().body for _ in range(2)}
    kind.put("drum")
    worker.stop()
    lines.wait_for("is stopping, 2 jobs in hand")
    assert not future.done()
    kind.gate.open()
    future.result(LONG)
    assert {"scarf", "piano"} == jobs
    assert {"drum": "ready"} == kind.states()


def test_a_worker_that_waits_ends_at_once(kind: Kind, lines: Lines) -> None:
    worker = kind.gated(at_once=3)
    future = kind.start(worker)
    worker.stop()
    future.result(LONG)
    started, stopped = lines.of("INFO")
    assert started.startswith(type(worker).__name__)
    assert f"{type(worker).__name__} stopped" == stopped


def test_a_handler_may_stop_its_worker(kind: Kind) -> None:
    worker = kind.worker()
    worker.handles("default")(kind.handler(lambda _: worker.stop()))
    future = kind.begin(worker)
    kind.put("scarf", "piano")
    future.result(LONG)
    assert {"piano": "ready"} == kind.states()


def test_after_the_timeout_what_is_in_hand_is_given_back_to_its_old_place(
    kind: Kind, lines: Lines
) -> None:
    worker = kind.gated()
    future = kind.start(worker)
    kind.put("scarf", "piano")
    job = kind.gate.wait_for_job()
    worker.stop(timeout=5)
    kind.clock.advance(4.9)
    assert {"scarf": "reserved", "piano": "ready"} == kind.states()
    assert not future.done()
    kind.clock.advance(0.1)
    future.result(LONG)
    assert job.lost
    assert "scarf" == kind.broker.peek_ready().body
    assert {"scarf": "ready", "piano": "ready"} == kind.states()
    assert ["job 1 in 'default' is abandoned after 5 s"] == lines.of("WARNING")


def test_of_several_timeouts_the_first_to_be_over_counts(kind: Kind) -> None:
    worker = kind.gated()
    future = kind.start(worker)
    kind.put("scarf")
    job = kind.gate.wait_for_job()
    worker.stop()
    worker.stop(timeout=5)
    worker.stop(timeout=50)
    worker.stop()
    kind.clock.advance(5)
    future.result(LONG)
    assert job.lost


def test_a_timeout_of_nothing_ends_a_worker_at_once(kind: Kind) -> None:
    worker = kind.gated()
    future = kind.start(worker)
    kind.put("scarf")
    kind.gate.wait_for_job()
    worker.stop(timeout=0)
    future.result(LONG)
    assert {"scarf": "ready"} == kind.states()


def test_two_timeouts_that_end_one_after_the_other_give_back_each_job_once(
    kind: Kind, lines: Lines
) -> None:
    worker = kind.gated(at_once=2)
    future = kind.start(worker)
    kind.put("scarf", "piano")
    for _ in range(2):
        kind.gate.wait_for_job()
    worker.stop(timeout=0)
    worker.stop(timeout=0)
    future.result(LONG)
    worker.stop(timeout=0)
    assert 2 == len(lines.of("WARNING"))


def test_a_job_that_its_handler_had_settled_is_not_given_back(
    kind: Kind, lines: Lines
) -> None:
    worker = kind.gated()
    future = kind.start(worker)
    kind.put("scarf")
    kind.gate.wait_for_job().bury()
    worker.stop(timeout=0)
    future.result(LONG)
    assert {"scarf": "buried"} == kind.states()
    assert ["job 1 in 'default' is abandoned after 0 s"] == lines.of("WARNING")


def test_stopping_a_worker_that_does_not_run_has_no_effect(kind: Kind) -> None:
    worker = kind.gated()
    worker.stop()
    future = kind.start(worker)
    assert not future.done()
    worker.stop()
    future.result(LONG)
    worker.stop()


def test_a_worker_ends_with_its_block(kind: Kind, lines: Lines) -> None:
    def open_later() -> None:
        lines.wait_for("is stopping, 1 job in hand")
        kind.gate.open()

    with kind.entered(kind.gated()):
        kind.put("scarf")
        kind.gate.wait_for_job()
        kind.put("piano")
        opened = start(open_later)
    opened.result(LONG)
    assert {"piano": "ready"} == kind.states()


def test_a_block_waits_for_its_worker_no_longer_than_it_was_told(kind: Kind) -> None:
    worker = kind.gated(stop_timeout=5)
    with kind.entered(worker):
        kind.put("scarf")
        job = kind.gate.wait_for_job()
        worker.stop(timeout=0)
    assert job.lost


def test_a_worker_may_run_again_after_it_has_ended(kind: Kind) -> None:
    worker = kind.gated()
    for body in ("scarf", "piano"):
        with kind.entered(worker):
            kind.put(body)
            assert body == kind.gate.wait_for_job().body
            kind.gate.open()
    worker.stop()
    future = kind.start(worker)
    worker.stop()
    future.result(LONG)


def test_a_worker_runs_once_at_a_time(kind: Kind) -> None:
    worker = kind.gated()
    with kind.entered(worker):
        with pytest.raises(RuntimeError, match=r"Worker is running already$"):
            kind.begin(worker).result(LONG)
        with pytest.raises(RuntimeError, match=r"Worker is running already$"):
            kind.entered(worker).__enter__()
        kind.put("scarf")
        kind.gate.wait_for_job()
        kind.gate.open()


def test_a_worker_without_handlers_does_not_run(kind: Kind) -> None:
    with pytest.raises(RuntimeError, match=r"Worker has no handlers$"):
        kind.begin(kind.worker()).result(LONG)


def test_a_job_that_comes_as_the_timeout_is_over_is_not_begun(
    kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker has it already, and has not begun."""
    worker = kind.gated()
    future = kind.start(worker)
    real = Run.begin

    def late(run: Run[Any, Any], job: Job) -> Any:
        run.ring(kind.clock.now())
        return real(run, job)

    monkeypatch.setattr(Run, "begin", late)
    kind.put("scarf")
    worker.stop()
    future.result(LONG)
    assert {"scarf": "ready"} == kind.states()


def test_a_deadlock_ends_the_worker(kind: Kind) -> None:
    """Nothing tells a clock that jumps of a loop. So this is what it would do."""
    future = kind.start(kind.gated())
    kind.broker._monitor.fail_all(DeadlockError)
    with pytest.raises(DeadlockError):
        future.result(LONG)


# The end of the broker


def test_a_worker_ends_when_its_broker_is_stopped(kind: Kind) -> None:
    future = kind.start(kind.gated())
    kind.put("scarf")
    kind.gate.wait_for_job()
    kind.put("piano")
    kind.broker.stop()
    assert not future.done()
    kind.gate.open()
    future.result(LONG)
    assert {"piano": "ready"} == kind.states()


def test_a_worker_whose_broker_was_stopped_waits_no_longer_than_it_was_told(
    kind: Kind, lines: Lines
) -> None:
    worker = kind.gated(at_once=2, stop_timeout=5)
    future = kind.start(worker)
    kind.put("scarf")
    job = kind.gate.wait_for_job()
    wait_until_waiting(kind.broker, 1)
    kind.broker.stop()
    lines.wait_for("is stopping, 1 job in hand")
    kind.clock.advance(5)
    future.result(LONG)
    assert job.lost


def test_a_worker_ends_when_its_broker_is_closed(kind: Kind, lines: Lines) -> None:
    future = kind.start(kind.gated())
    kind.put("scarf")
    kind.gate.wait_for_job()
    kind.broker.close()
    kind.gate.open()
    future.result(LONG)
    expected = "job 1 in 'default' was not settled: the broker was closed"
    assert [expected] == lines.of("WARNING")


def test_a_worker_does_not_start_with_a_broker_that_was_closed(kind: Kind) -> None:
    kind.broker.close()
    worker = kind.gated()
    for _ in range(2):
        with pytest.raises(ClosedError):
            kind.begin(worker).result(LONG)


def test_a_worker_for_a_broker_that_was_stopped_ends_at_once(kind: Kind) -> None:
    kind.broker.stop()
    kind.put("scarf")
    kind.begin(kind.gated()).result(LONG)
    assert {"scarf": "ready"} == kind.states()


def test_a_draining_broker_is_worked_off_retries_included(kind: Kind) -> None:
    with kind.entered(kind.gated(retry=Backoff(first=5, jitter=0))):
        kind.put("scarf")
        kind.broker.drain()
        kind.gate.wait_for_job()
        kind.gate.open(ValueError())
        kind.wait_until_idle()
        kind.clock.advance(5)
        assert 2 == kind.gate.wait_for_job().reserves
        kind.gate.open()
    assert {} == kind.states()


# Threads


def test_no_thread_is_left() -> None:
    before = set(threading.enumerate())
    with Broker() as broker:
        kind = Kind("threads", broker, None)
        for _ in range(3):
            with kind.entered(kind.gated(at_once=5)):
                kind.put("scarf")
                kind.gate.wait_for_job()
                assert 6 == len(set(threading.enumerate()) - before)
                kind.gate.open()
            assert set() == set(threading.enumerate()) - before


def test_a_thread_that_was_abandoned_ends_with_its_handler(broker: Broker) -> None:
    kind = Kind("threads", broker, None)
    worker = kind.gated()
    future = kind.start(worker)
    kind.put("scarf")
    kind.gate.wait_for_job()
    (thread,) = [each for each in threading.enumerate() if each.name == "worker 1"]
    worker.stop(timeout=0)
    future.result(LONG)
    assert thread.is_alive()
    assert thread.daemon
    kind.gate.open()
    thread.join(LONG)
    assert not thread.is_alive()
    assert ["scarf"] == [job.body for job in kind.gate.left]
    assert {"scarf": "ready"} == kind.states()
