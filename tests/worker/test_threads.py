"""What is special to a worker of threads: starting them, waiting for them, leaving."""

from __future__ import annotations

import asyncio
import threading
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from inproc_tubes import Broker, ClosedError, DeadlockError, Job
from inproc_tubes.testing import FakeClock, wait_until_waiting
from inproc_tubes.worker import Backoff, Worker
from tests.threads import LONG, start
from tests.worker.kinds import Kind
from tests.worker.test_outcomes import Script

if TYPE_CHECKING:
    from inproc_tubes.clock import Parked
    from tests.worker.kinds import Lines


class NoThreadError(RuntimeError):
    """What CPython raises where there can be no more threads."""


@pytest.mark.parametrize("name", ["worker keeper", "worker 1", "worker 3"])
def test_a_thread_that_cannot_be_started_leaves_none_behind(
    broker: Broker, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    real = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name == name:
            raise NoThreadError
        real(thread)

    before = set(threading.enumerate())
    worker = Worker(broker, {"default": Job.delete}, threads=3)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        for _ in range(2):
            with pytest.raises(NoThreadError):
                worker.run()
    assert set() == set(threading.enumerate()) - before
    assert 0 == broker.stats().current_workers
    with worker:
        broker.producer().put("scarf")
        broker.join()


def test_a_program_that_ends_already_starts_no_worker(
    kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_broker: Broker) -> None:
        raise NoThreadError

    worker = kind.gated()
    with monkeypatch.context() as patch:
        patch.setattr(Broker, "stop_at_exit", refuse)
        with pytest.raises(NoThreadError):
            kind.begin(worker).result(LONG)
    assert 0 == kind.broker.stats().current_workers
    with kind.entered(worker):
        pass


class Interrupting(FakeClock):
    """Raises an exception in this thread, when it sleeps for the first time."""

    def __init__(self) -> None:
        super().__init__()
        self.thread: threading.Thread | None = None

    def park(self, sleeper: Parked, until: float) -> None:
        if self.thread is threading.current_thread():
            self.thread = None
            raise KeyboardInterrupt
        super().park(sleeper, until)


def test_ctrl_c_while_the_block_waits_for_its_worker_ends_it_at_once() -> None:
    clock = Interrupting()
    with Broker(clock=clock) as broker:
        kind = Kind("threads", broker, None)
        with pytest.raises(KeyboardInterrupt), kind.gated():  # noqa: PT012 - its end raises
            kind.put("scarf")
            job = kind.gate.wait_for_job()
            clock.thread = threading.current_thread()
        assert job.lost
        assert {"scarf": "ready"} == kind.states()
        kind.gate.open()


def test_a_real_clock_wakes_the_keeper() -> None:
    with Broker() as broker:
        kind = Kind("threads", broker, None)
        worker = kind.gated()
        future = kind.start(worker)
        kind.put("scarf")
        kind.gate.wait_for_job()
        worker.stop(timeout=0.01)
        future.result(LONG)
        assert {"scarf": "ready"} == kind.states()
        kind.gate.open()


def test_a_handler_that_fails_after_it_was_abandoned_is_told_of(
    broker: Broker, lines: Lines
) -> None:
    kind = Kind("threads", broker, None)
    worker = kind.gated()
    future = kind.start(worker)
    kind.put("scarf")
    kind.gate.wait_for_job()
    worker.stop(timeout=0)
    future.result(LONG)
    kind.gate.open(ValueError("too late"))
    lines.wait_for("was out of its handler's hands")
    assert {"scarf": "ready"} == kind.states()


def test_time_jumps_over_delays_and_retries_if_the_clock_does() -> None:
    clock = FakeClock(autojump=True)
    start_at = clock.now()
    with Broker(clock=clock) as broker:
        script = Script(*[ValueError()] * 4)
        backoff = Backoff(first=100, factor=10, max_delay=10**6, jitter=0)
        with Worker(broker, {"default": script}, threads=3, retry=backoff):
            broker.producer().put("scarf", delay=50)
            assert 0 == broker.join()
    assert 5 == len(script.tries)
    assert 50 + 100 + 1000 + 10_000 + 100_000 == clock.now() - start_at


def test_time_jumps_to_the_end_of_a_stop_if_the_clock_does() -> None:
    clock = FakeClock(autojump=True)
    start_at = clock.now()
    with Broker(clock=clock) as broker:
        other = broker.consumer("never")

        def wait(_job: Job) -> None:
            begun.release()
            with suppress(ClosedError):
                other.reserve(timeout=100)

        begun = threading.Semaphore(0)
        with Worker(broker, {"default": wait}, stop_timeout=70) as worker:
            broker.producer().put("scarf", ttr=60)
            begun.acquire()
        assert 70 == clock.now() - start_at
        assert "scarf" == broker.peek_ready().body
        worker.stop()


def test_a_deadlock_ends_the_worker() -> None:
    """The one who runs the worker, and its threads, all wait for ever."""
    clock = FakeClock(autojump=True)
    with Broker(clock=clock) as broker, pytest.raises(DeadlockError):
        Worker(broker, {"default": Job.delete}, threads=2).run()


def test_a_body_lives_no_longer_than_its_job(broker: Broker) -> None:
    class Body:
        """Something that can be referred to weakly."""

    body = Body()
    ref = weakref.ref(body)
    with Worker(broker, {"default": lambda _: None}):
        broker.producer().put(body)
        del body
        wait_until_waiting(broker, 1)
        assert ref() is None


def test_cancellation_is_known_without_asyncio(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys  # noqa: PLC0415 - here alone

    from inproc_tubes.worker.attempt import is_cancellation  # noqa: PLC0415 - here alone

    assert is_cancellation(asyncio.CancelledError())
    assert not is_cancellation(SystemExit())
    monkeypatch.delitem(sys.modules, "asyncio")
    assert not is_cancellation(SystemExit())


def test_workers_share_a_broker_and_its_tubes(broker: Broker) -> None:
    done: list[object] = []
    handlers = {"default": lambda job: done.append(job.body)}
    with Worker(broker, handlers, threads=2), Worker(broker, handlers, threads=2):
        broker.producer().put_many(range(100))
        start(broker.join).result(LONG)
    assert set(range(100)) == set(done)
    assert 100 == len(done)
