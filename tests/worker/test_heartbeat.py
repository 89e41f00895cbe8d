"""A job that takes long is touched, and one that is lost all the same is told of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from inproc_tubes.worker import Backoff

if TYPE_CHECKING:
    from tests.worker.kinds import Kind, Lines

EXACT = Backoff(first=1, jitter=0)


def test_a_job_that_takes_long_does_not_expire(kind: Kind) -> None:
    with kind.entered(kind.gated()):
        kind.put("piano", ttr=60)
        job = kind.gate.wait_for_job()
        kind.clock.advance(1000)
        assert {"piano": "reserved"} == kind.states()
        assert not job.lost
        kind.gate.open()
        kind.wait_until_idle()
        assert {} == kind.states()
    assert 0 == job.timeouts


def test_a_job_is_touched_when_half_of_its_time_is_over(kind: Kind) -> None:
    with kind.entered(kind.gated()):
        kind.put("piano", ttr=60)
        job = kind.gate.wait_for_job()
        kind.clock.advance(29.9)
        assert pytest.approx(30.1) == job.stats().time_left
        kind.clock.advance(0.1)
        assert 60 == job.stats().time_left
        kind.clock.advance(29.9)
        assert pytest.approx(30.1) == job.stats().time_left
        kind.clock.advance(0.1)
        assert 60 == job.stats().time_left
        kind.gate.open()


def test_each_job_in_hand_has_its_own_heartbeat(kind: Kind) -> None:
    with kind.entered(kind.gated(at_once=3)):
        for ttr in (60, 1, 10):
            kind.put(f"within {ttr}", ttr=ttr)
        jobs = {kind.gate.wait_for_job() for _ in range(3)}
        kind.clock.advance(100)
        assert [False] * 3 == [job.lost for job in jobs]
        kind.gate.open()
    assert {} == kind.states()


def test_a_job_that_its_handler_has_settled_is_touched_no_more(
    kind: Kind, lines: Lines
) -> None:
    with kind.entered(kind.gated()):
        kind.put("piano", ttr=60)
        job = kind.gate.wait_for_job()
        job.bury()
        kind.clock.advance(1000)
        assert {"piano": "buried"} == kind.states()
        kind.gate.open()
    assert [] == lines.of("WARNING")


def test_a_job_that_runs_for_ever_is_told_of_each_ten_times_its_time(
    kind: Kind, lines: Lines
) -> None:
    with kind.entered(kind.gated()):
        kind.put("piano", ttr=60)
        kind.gate.wait_for_job()
        kind.clock.advance(599)
        assert [] == lines.of("WARNING")
        kind.clock.advance(1201)
        kind.gate.open()
    assert [
        "job 1 in 'default' has been running for 600 s",
        "job 1 in 'default' has been running for 1200 s",
        "job 1 in 'default' has been running for 1800 s",
    ] == lines.of("WARNING")


def test_after_max_runtime_a_job_is_touched_no_more_and_expires(
    kind: Kind, lines: Lines
) -> None:
    with kind.entered(kind.gated(max_runtime=100)):
        kind.put("piano", ttr=60)
        job = kind.gate.wait_for_job()
        kind.clock.advance(149)  # it was touched after 30, 60 and 90
        assert {"piano": "reserved"} == kind.states()
        kind.clock.advance(1)
        assert job.lost
        kind.broker.consumer().reserve(timeout=0).bury()
        kind.gate.open()
        kind.wait_until_idle()
        assert {"piano": "buried"} == kind.states()
    expected = "job 1 in 'default' was lost after 150 s: its time to run was over"
    assert [expected] == lines.of("WARNING")


def test_the_result_of_a_lost_job_that_nobody_else_has_is_counted(kind: Kind) -> None:
    with kind.entered(kind.gated(max_runtime=0)):
        kind.put("piano", ttr=60)
        job = kind.gate.wait_for_job()
        kind.clock.advance(60)
        assert job.lost
        kind.gate.open()
        kind.wait_until_idle()
        assert {} == kind.states()


def test_the_failure_of_a_lost_job_changes_nothing(kind: Kind, lines: Lines) -> None:
    with kind.entered(kind.gated(max_runtime=0, retry=EXACT)):
        kind.put("piano", ttr=60)
        kind.gate.wait_for_job()
        kind.clock.advance(60)
        (other := kind.broker.consumer()).reserve(timeout=0)
        kind.gate.open(ValueError())
        kind.wait_until_idle()
        assert {"piano": "reserved"} == kind.states()
        job = kind.broker.peek(1)
        assert (1, None) == (job.timeouts, job.error)
        other.close()
        assert 2 == kind.gate.wait_for_job().timeouts + 1
        kind.gate.open()
    assert 1 == len(lines.of("WARNING"))
    (line,) = lines.of("ERROR")
    assert line.endswith(
        "was out of its handler's hands, which failed then: ValueError"
    )


def test_a_worker_that_was_suspended_tells_once_that_its_job_was_lost(
    kind: Kind, lines: Lines
) -> None:
    with kind.entered(kind.gated()):
        kind.put("piano", ttr=60)
        job = kind.gate.wait_for_job()
        kind.clock._time += 100  # as if nothing had run meanwhile
        other = kind.broker.consumer()
        other.reserve(timeout=0)
        kind.clock.advance(0)
        assert job.lost
        lines.wait_for("was lost after 100 s")
        kind.gate.open()
        kind.wait_until_idle()
    assert 1 == len(lines.of("WARNING"))
    assert {"piano": "reserved"} == kind.states()


def test_a_job_in_hand_tells_that_a_worker_holds_it(kind: Kind) -> None:
    worker = kind.gated()
    with kind.entered(worker):
        kind.put("piano")
        assert type(worker).__name__ == kind.gate.wait_for_job().holder
        kind.gate.open()


def test_a_job_that_is_cancelled_is_touched_no_more_and_told_of(
    kind: Kind, lines: Lines
) -> None:
    with kind.entered(kind.gated()):
        kind.put("piano", ttr=60)
        job = kind.gate.wait_for_job()
        kind.broker.cancel(job)
        kind.clock.advance(1000)
        lines.wait_for("job 1 in 'default' was cancelled after 30 s")
        kind.gate.open()
        kind.wait_until_idle()
        assert {} == kind.states()
    assert [] == lines.of("WARNING")


def test_jobs_that_take_long_and_a_broker_that_is_closed(
    kind: Kind, lines: Lines
) -> None:
    future = kind.start(kind.gated())
    kind.put("piano", ttr=60)
    job = kind.gate.wait_for_job()
    kind.broker.close()
    kind.clock.advance(1000)
    assert job.lost
    kind.gate.open()
    future.result(10)
    expected = "job 1 in 'default' was not settled: the broker was closed"
    assert [expected] == lines.of("WARNING")
