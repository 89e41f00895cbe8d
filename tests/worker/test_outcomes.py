"""What becomes of a job when its handler ends."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from inproc_tubes import Job
from inproc_tubes.worker import Backoff, Bury, Retry

if TYPE_CHECKING:
    from tests.worker.kinds import Kind, Lines

EXACT = Backoff(first=1, factor=2, jitter=0, max_tries=3)


class Script:
    """A handler that does one thing after the other, and notes the tries."""

    def __init__(self, *steps: Any) -> None:
        self._steps = list(steps)
        self.tries: list[tuple[Any, int]] = []

    def __call__(self, job: Job) -> None:
        self.tries.append((job.body, job.reserves))
        step = self._steps.pop(0) if self._steps else None
        if isinstance(step, BaseException):
            raise step
        if step is not None:
            step(job)


def test_a_job_whose_handler_returns_is_deleted(kind: Kind) -> None:
    script = Script()
    worker = kind.worker({"default": script})
    with kind.entered(worker):
        kind.put("scarf", "piano")
        kind.wait_until_idle()
        assert {} == kind.states()
    assert [("scarf", 1), ("piano", 1)] == script.tries


def test_priorities_hold_across_the_tubes_of_a_worker(kind: Kind) -> None:
    script = Script()
    worker = kind.worker({"orders": script, "emails": script})
    kind.put("slow", tube="orders", priority=9)
    kind.put("urgent", tube="emails", priority=1)
    kind.put("usual", tube="orders", priority=5)
    with kind.entered(worker):
        kind.wait_until_idle()
    assert ["urgent", "usual", "slow"] == [body for body, _ in script.tries]


def test_one_function_may_do_the_jobs_of_several_tubes(kind: Kind) -> None:
    script = Script()
    worker = kind.worker()
    worker.handles("orders", "emails")(kind.handler(script))
    with kind.entered(worker):
        kind.put("scarf", tube="orders")
        kind.put("hello", tube="emails")
        kind.wait_until_idle()
    assert {"scarf", "hello"} == {body for body, _ in script.tries}


def test_a_handler_may_fail_by_whatever_exception(kind: Kind) -> None:
    errors = [StopIteration(), StopAsyncIteration(), TimeoutError(), MemoryError()]
    script = Script(*errors)
    with kind.entered(kind.worker({"default": script}, retry=None)):
        kind.put(*range(len(errors)))
        kind.wait_until_idle()
    assert dict.fromkeys(range(len(errors)), "buried") == kind.states()


def test_a_job_that_fails_is_tried_again_after_a_growing_delay(kind: Kind) -> None:
    script = Script(ValueError("one"), ValueError("two"))
    with kind.entered(kind.worker({"default": script}, retry=EXACT)):
        kind.put("scarf")
        kind.wait_until_idle()
        job = kind.broker.peek_delayed()
        assert job.error is not None
        assert ("ValueError", "one", 1) == (
            job.error.type,
            job.error.text,
            job.error.attempt,
        )
        assert 1 == job.delay
        kind.clock.advance(0.9)
        assert {"scarf": "delayed"} == kind.states()
        kind.clock.advance(0.1)
        kind.wait_until_idle()
        assert 2 == kind.broker.peek_delayed().delay
        kind.clock.advance(2)
        kind.wait_until_idle()
        assert {} == kind.states()
    assert [("scarf", 1), ("scarf", 2), ("scarf", 3)] == script.tries


def test_a_job_that_has_failed_often_enough_is_buried(kind: Kind) -> None:
    script = Script(*[ValueError(n) for n in range(3)])
    with kind.entered(kind.worker({"default": script}, retry=EXACT)):
        kind.put("scarf")
        for seconds in (1, 2, 0):
            kind.wait_until_idle()
            kind.clock.advance(seconds)
        (job,) = kind.broker.jobs("default", "buried")
        assert job.error is not None
        assert ("2", 3) == (job.error.text, job.error.attempt)
        assert "raise step" in job.error.traceback
        assert "buried, priority 65536: 'scarf'; ValueError: 2" in repr(job)


def test_a_job_that_is_kicked_may_be_tried_as_often_again(kind: Kind) -> None:
    script = Script(*[ValueError(n) for n in range(5)])
    with kind.entered(kind.worker({"default": script}, retry=EXACT)):
        kind.put("scarf")
        for seconds in (1, 2, 0):
            kind.wait_until_idle()
            kind.clock.advance(seconds)
        assert {"scarf": "buried"} == kind.states()
        kind.broker.kick("default", 1)
        kind.wait_until_idle()
        assert 1 == kind.broker.peek_delayed().delay
        kind.clock.advance(1)
        kind.wait_until_idle()
        assert 2 == kind.broker.peek_delayed().delay
        kind.clock.advance(2)
        kind.wait_until_idle()
        assert {} == kind.states()
    assert 6 == len(script.tries)


def test_without_a_backoff_a_job_is_buried_at_once(kind: Kind) -> None:
    with kind.entered(kind.worker({"default": Script(ValueError())}, retry=None)):
        kind.put("scarf")
        kind.wait_until_idle()
        assert {"scarf": "buried"} == kind.states()


def test_a_handler_may_have_a_backoff_of_its_own(kind: Kind) -> None:
    worker = kind.worker(retry=None)
    fails = kind.handler(Script(*[ValueError()] * 3))
    worker.handles("patient", retry=Backoff(first=7, jitter=0))(fails)
    worker.handles("strict", retry=None)(fails)
    worker.handles("usual")(fails)
    with kind.entered(worker):
        for tube in ("patient", "strict", "usual"):
            kind.put(tube, tube=tube)
            kind.wait_until_idle()
        assert 7 == kind.broker.peek_delayed("patient").delay
        assert {"strict": "buried"} == kind.states("strict")
        assert {"usual": "buried"} == kind.states("usual")


def test_a_handler_may_ask_for_a_retry_however_often_it_has_tried(kind: Kind) -> None:
    script = Script(*[Retry(delay=30, priority=7)] * 4)
    with kind.entered(kind.worker({"default": script}, retry=EXACT)):
        kind.put("scarf")
        for attempt in range(1, 5):
            kind.wait_until_idle()
            job = kind.broker.peek_delayed()
            assert (30, 7) == (job.delay, job.priority)
            assert job.error is not None
            assert "inproc_tubes.worker.Retry: in 30 s" == job.error.headline
            assert attempt == job.error.attempt
            kind.clock.advance(30)
        kind.wait_until_idle()
        assert {} == kind.states()


@pytest.mark.parametrize(("retry", "delays"), [(EXACT, [1, 2]), (None, [0, 0])])
def test_a_retry_without_a_delay_has_that_of_the_backoff(
    kind: Kind, retry: Backoff | None, delays: list[float]
) -> None:
    seen: list[float] = []
    script = Script(Retry(), Retry(), lambda job: seen.append(job.delay))
    with kind.entered(kind.worker({"default": script}, retry=retry)):
        kind.put("scarf")
        kind.wait_until_idle()
        kind.clock.advance(delays[0])
        kind.wait_until_idle()
        kind.clock.advance(delays[1])
        kind.wait_until_idle()
    assert delays[1:] == seen
    assert 3 == len(script.tries)


def test_a_handler_may_have_its_job_buried_at_once(kind: Kind) -> None:
    script = Script(Bury("no such address", priority=7))
    with kind.entered(kind.worker({"default": script})):
        kind.put("scarf")
        kind.wait_until_idle()
        job = kind.broker.peek_buried()
        assert 7 == job.priority
        assert job.error is not None
        assert "inproc_tubes.worker.Bury: no such address" == job.error.headline


@pytest.mark.parametrize(
    ("settle", "state"),
    [
        (Job.delete, {}),
        (Job.bury, {"scarf": "buried"}),
        (lambda job: job.release(delay=5), {"scarf": "delayed"}),
    ],
)
def test_what_a_handler_has_done_with_its_job_stands(
    kind: Kind, settle: Any, state: dict[str, str]
) -> None:
    def settle_and_fail(job: Job) -> None:
        settle(job)
        raise ValueError

    for step in (settle, settle_and_fail):
        with kind.entered(kind.worker({"default": Script(step)})):
            kind.put("scarf")
            kind.wait_until_idle()
            assert state == kind.states()
        kind.broker.clear_tube("default")


def test_a_job_that_its_handler_gave_back_may_be_done_again_meanwhile(
    kind: Kind,
) -> None:
    """The end of the first attempt has no effect on the second."""
    worker = kind.gated(at_once=2)
    with kind.entered(worker):
        kind.put("scarf")
        first = kind.gate.wait_for_job()
        first.release()
        second = kind.gate.wait_for_job()
        assert (1, 2) == (first.reserves, second.reserves)
        kind.gate.open(ValueError())
    assert {"scarf": "delayed"} == kind.states()


def test_a_cancelled_handler_gives_its_job_back_and_the_worker_goes_on(
    kind: Kind,
) -> None:
    script = Script(asyncio.CancelledError())
    with kind.entered(kind.worker({"default": script})):
        kind.put("scarf")
        kind.wait_until_idle()
        assert {} == kind.states()
    assert [("scarf", 1), ("scarf", 2)] == script.tries


class Broken(BaseException):
    """Neither an Exception nor a cancellation."""


@pytest.mark.parametrize("error", [Broken(), SystemExit(3), KeyboardInterrupt()])
def test_any_other_exception_gives_the_job_back_and_ends_the_worker(
    kind: Kind, error: BaseException
) -> None:
    worker = kind.worker({"default": Script(error)})
    future = kind.start(worker)
    kind.put("scarf", "piano")
    with pytest.raises(type(error)) as raised:
        future.result(10)
    assert error is raised.value
    assert {"scarf": "ready", "piano": "ready"} == kind.states()
    job = kind.broker.peek_ready()
    assert ("scarf", 1, 1, None) == (job.body, job.reserves, job.releases, job.error)


def test_what_has_ended_the_worker_is_raised_at_the_end_of_its_block(
    kind: Kind,
) -> None:
    worker = kind.worker({"default": Script(Broken())})
    with pytest.raises(Broken), kind.entered(worker):
        kind.put("scarf")


def test_an_exception_of_the_block_comes_before_that_of_a_handler(kind: Kind) -> None:
    worker = kind.worker({"default": Script(Broken())})
    with pytest.raises(ZeroDivisionError), kind.entered(worker):  # noqa: PT012 - a block
        kind.put("scarf")
        raise ZeroDivisionError


def test_the_others_finish_their_jobs_when_one_handler_ends_the_worker(
    kind: Kind, lines: Lines
) -> None:
    worker = kind.gated("slow", at_once=2)
    worker.handles("fatal")(kind.handler(Script(Broken())))
    future = kind.start(worker)
    kind.put("piano", tube="slow")
    kind.gate.wait_for_job()
    kind.put("scarf", tube="fatal")
    lines.wait_for("is stopping, 1 job in hand")
    kind.gate.open()
    with pytest.raises(Broken):
        future.result(10)
    assert {} == kind.states("slow")
    assert {"scarf": "ready"} == kind.states("fatal")


def test_of_several_exceptions_that_end_the_worker_the_first_is_raised(
    kind: Kind, lines: Lines
) -> None:
    worker = kind.gated(at_once=2)
    future = kind.start(worker)
    kind.put("scarf", "piano")
    for _ in range(2):
        kind.gate.wait_for_job()
    kind.gate.open(Broken())
    with pytest.raises(Broken):
        future.result(10)
    assert 2 == len(lines.of("CRITICAL"))
    assert {"scarf": "ready", "piano": "ready"} == kind.states()
