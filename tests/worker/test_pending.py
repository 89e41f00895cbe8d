"""A worker without threads, in tests: what is due runs where it is asked for."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from inproc_tubes import Broker, ClosedError, Job
from inproc_tubes.testing import FakeClock
from inproc_tubes.worker import Backoff, Retry, Worker
from tests.worker.test_outcomes import Broken, Script

if TYPE_CHECKING:
    from tests.worker.kinds import Lines

EXACT = Backoff(first=10, factor=2, jitter=0, max_tries=3)


def test_what_is_ready_is_done_in_the_calling_thread(broker: Broker) -> None:
    ran: list[object] = []
    worker = Worker(
        broker,
        {"default": lambda job: ran.append((job.body, threading.current_thread()))},
        threads=0,
    )
    producer = broker.producer()
    producer.put("usual")
    producer.put("urgent", priority=1)
    producer.put("later", delay=5)
    before = threading.active_count()
    assert 2 == worker.run_pending()
    assert 0 == worker.run_pending()
    assert before == threading.active_count()
    here = threading.current_thread()
    assert [("urgent", here), ("usual", here)] == ran


def test_what_becomes_ready_meanwhile_is_done_too(broker: Broker) -> None:
    producer = broker.producer("emails")
    worker = Worker(broker, threads=0)
    worker.handles("orders")(lambda _: producer.put("hello"))
    worker.handles("emails")(script := Script())
    broker.producer("orders").put("scarf")
    assert 2 == worker.run_pending()
    assert [("hello", 1)] == script.tries


def test_a_job_is_touched_if_its_handler_moves_the_clock(
    broker: Broker, clock: FakeClock
) -> None:
    worker = Worker(broker, {"default": lambda _: clock.advance(1000)}, threads=0)
    broker.producer().put("piano", ttr=60)
    assert 1 == worker.run_pending()
    assert 0 == broker.stats().job_timeouts
    assert 0 == broker.stats().current_jobs_reserved


@pytest.mark.parametrize("autojump", [True, False])
def test_retries_and_delays_run_to_the_end_in_no_time(*, autojump: bool) -> None:
    clock = FakeClock(autojump=autojump)
    broker = Broker(clock=clock)
    start = clock.now()
    script = Script(ValueError(), ValueError(), Retry(1000))
    worker = Worker(broker, {"default": script}, threads=0, retry=EXACT)
    producer = broker.producer()
    producer.put("scarf")
    producer.put("later", delay=86_400)
    assert 5 == worker.run_until_empty()
    assert 86_400 == clock.now() - start
    assert [1, 2, 3, 4, 1] == [attempt for _, attempt in script.tries]
    assert 0 == worker.run_until_empty()


def test_a_paused_tube_and_a_job_that_expires_are_waited_for(
    broker: Broker, clock: FakeClock
) -> None:
    start = clock.now()
    worker = Worker(broker, {"paused": Job.delete, "default": Job.delete}, threads=0)
    broker.producer("paused").put("a")
    broker.pause_tube("paused", 100)
    broker.producer().put("b", ttr=200)
    other = broker.consumer()
    other.reserve()  # and never does it
    assert 2 == worker.run_until_empty()
    assert 200 == clock.now() - start


def test_a_job_that_fails_too_often_is_buried_and_not_waited_for(
    broker: Broker,
) -> None:
    worker = Worker(
        broker, {"default": Script(*[ValueError()] * 3)}, threads=0, retry=EXACT
    )
    broker.producer().put("scarf")
    assert 3 == worker.run_until_empty()
    assert "scarf" == broker.peek_buried().body


def test_periodic_jobs_do_not_keep_it_from_ending(broker: Broker) -> None:
    script = Script()
    worker = Worker(broker, {"default": script, "reports": script}, threads=0)
    worker.every(60, "reports", "report")
    broker.producer().put("later", delay=150)
    assert 3 == worker.run_until_empty()
    assert ["report", "report", "later"] == [body for body, _ in script.tries]


def test_a_handler_may_stop_it(broker: Broker) -> None:
    worker = Worker(broker, threads=0)
    worker.handles("default")(lambda _: worker.stop())
    broker.producer().put_many(["scarf", "piano"])
    assert 1 == worker.run_until_empty()
    assert "not running" in repr(worker)
    assert 1 == worker.run_pending()  # it runs again


def test_it_runs_again_after_it_was_stopped_from_outside(broker: Broker) -> None:
    worker = Worker(broker, {"default": Job.delete}, threads=0)
    with worker:
        broker.producer().put("scarf")
        worker.stop()
        assert 1 == worker.run_pending()
        assert 1 == broker.stats().current_workers
    assert 0 == broker.stats().current_workers
    assert "not running" in repr(worker)


def test_an_exception_that_is_none_gives_the_job_back_and_is_raised_at_once(
    broker: Broker, lines: Lines
) -> None:
    worker = Worker(broker, {"default": Script(Broken())}, threads=0)
    broker.producer().put("scarf")
    with pytest.raises(Broken):
        worker.run_pending()
    assert "scarf" == broker.peek_ready().body
    assert "not running" in repr(worker)
    with worker:
        assert 1 == worker.run_pending()
    assert [] == lines.of("CRITICAL")


def test_a_handler_may_run_what_else_is_pending(broker: Broker) -> None:
    worker = Worker(broker, threads=0)
    counts: list[int] = []
    worker.handles("outer")(lambda _: counts.append(worker.run_pending()))
    worker.handles("inner")(Job.delete)
    broker.producer("outer").put("a", ttr=1)
    broker.producer("inner").put_many([*"bc"])
    assert 1 == worker.run_pending()
    assert [2] == counts


def test_a_broker_that_is_closed_or_stopped_has_nothing_pending() -> None:
    broker = Broker(clock=FakeClock())
    worker = Worker(broker, {"default": Job.delete}, threads=0)
    broker.producer().put("scarf", delay=5)
    with worker:
        broker.stop()
        assert 0 == worker.run_until_empty()
    broker.close()
    with pytest.raises(ClosedError):
        worker.run_pending()


def test_a_broker_that_is_closed_by_a_handler_ends_it(lines: Lines) -> None:
    broker = Broker(clock=FakeClock())
    worker = Worker(broker, {"default": lambda _: broker.close()}, threads=0)
    broker.producer().put_many(["scarf", "piano"])
    assert 1 == worker.run_until_empty()
    assert 1 == len(lines.of("WARNING"))


def test_with_threads_it_cannot_be_asked_for_what_is_pending(broker: Broker) -> None:
    worker = Worker(broker, {"default": Job.delete})
    for verb in (worker.run_pending, worker.run_until_empty):
        with pytest.raises(RuntimeError, match=r"are for threads=0$"):
            verb()


def test_without_threads_it_cannot_run_by_itself(broker: Broker) -> None:
    worker = Worker(broker, {"default": Job.delete}, threads=0)
    with pytest.raises(
        RuntimeError, match=r"^a Worker without threads has run_pending"
    ):
        worker.run()


def test_without_handlers_nothing_is_pending(broker: Broker) -> None:
    worker = Worker(broker, threads=0)
    with pytest.raises(RuntimeError, match=r"^the Worker has no handlers$"):
        worker.run_pending()


def test_a_clock_that_cannot_be_moved_is_refused() -> None:
    with (
        Broker() as broker,
        pytest.raises(
            TypeError, match=r"^run_until_empty moves a FakeClock, not a Mono"
        ),
    ):
        Worker(broker, {"default": Job.delete}, threads=0).run_until_empty()


def test_a_worker_that_was_dropped_gives_its_tubes_up(broker: Broker) -> None:
    import gc  # noqa: PLC0415 - here alone

    worker = Worker(broker, {"default": Job.delete}, threads=0)
    worker.run_pending()
    assert 1 == broker.stats().current_workers
    del worker
    gc.collect()
    assert 0 == broker.stats().current_workers
