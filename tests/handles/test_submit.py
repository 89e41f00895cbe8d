"""Results: what becomes of a job, for whoever has submitted it."""

from __future__ import annotations

import _thread
import asyncio
import gc
import threading
import weakref
from concurrent.futures import CancelledError, Future, as_completed, wait
from contextlib import suppress
from traceback import walk_tb
from typing import TYPE_CHECKING, Any

import pytest

from inproc_tubes import (
    Broker,
    ClosedError,
    DeadlockError,
    DuplicateJobError,
    Job,
    JobFuture,
    NotFoundError,
    ReentrantCallError,
    TimedOutError,
    TooManyTriesError,
    TubeFullError,
)
from inproc_tubes.testing import FakeClock
from tests.threads import LONG, start, waiting

if TYPE_CHECKING:
    from collections.abc import Callable

    from inproc_tubes import Consumer, Producer


def outcome(future: JobFuture[Any, Any]) -> object:
    """Return what a future that is done says."""
    assert future.done()
    if future.cancelled():
        return "cancelled"
    error = future.exception()
    return future.result() if error is None else error


class Waiters(list[Any]):
    """A future's list of those who wait for several; it tells that somebody does."""

    def __init__(self) -> None:
        super().__init__()
        self.is_waited_for = threading.Event()

    def append(self, waiter: object) -> None:
        super().append(waiter)
        self.is_waited_for.set()


def wait_for_several(future: JobFuture) -> Future[Any]:
    """Have a thread wait for a future among others, and return once it waits."""
    future._waiters = waiters = Waiters()
    waiting = start(lambda: wait([future], LONG))
    assert waiters.is_waited_for.wait(LONG)
    return waiting


def result_in_a_loop(future: JobFuture) -> object:
    """Await a future in an event loop of its own."""

    async def main() -> object:
        return await future

    return asyncio.run(main())


# How a job ends


def test_a_future_is_pending_until_its_job_is_done(
    producer: Producer, consumer: Consumer
) -> None:
    future = producer.submit("scarf")
    assert (False, False) == (future.done(), future.running())
    assert "<JobFuture of job 1: pending>" == repr(future)
    job = consumer.reserve()
    assert (job.id, job.body) == (future.job_id, future.body)
    assert (False, True) == (future.done(), future.running())
    assert "<JobFuture of job 1: running>" == repr(future)
    job.finish("packed")
    assert "packed" == future.result(timeout=0)
    assert not future.running()
    assert "<JobFuture of job 1: finished>" == repr(future)


def bury_in_a_block(job: Job) -> None:
    with pytest.raises(ZeroDivisionError), job:
        _ = 1 / 0


ENDS: dict[str, tuple[Callable[[Broker, Job], object], object]] = {
    "finish": (lambda _, job: job.finish(5), 5),
    "finish with nothing": (lambda _, job: job.finish(), None),
    "delete": (lambda _, job: job.delete(), None),
    "block": (lambda _, job: job.__exit__(None, None, None), None),
    "fail": (lambda _, job: job.fail(KeyError("x")), KeyError),
    "failed block": (lambda _, job: bury_in_a_block(job), ZeroDivisionError),
    "cancel": (lambda broker, job: broker.cancel(job), "cancelled"),
    "close": (lambda broker, _: broker.close(), ClosedError),
}


@pytest.mark.parametrize(("verb", "expected"), ENDS.values(), ids=ENDS)
@pytest.mark.parametrize("again", [False, True])
def test_how_a_held_job_ends_is_what_its_future_says(
    broker: Broker,
    producer: Producer,
    consumer: Consumer,
    verb: Callable[[Broker, Job], object],
    expected: object,
    again: bool,  # noqa: FBT001 - a parameter
) -> None:
    future = producer.submit("scarf")
    if again:
        consumer.reserve().release()
    job = consumer.reserve()
    assert not future.done()
    verb(broker, job)
    found = outcome(future)
    assert (type(found) if isinstance(found, Exception) else found) == expected


UNHELD_ENDS: dict[str, tuple[Callable[[Broker, int], object], object]] = {
    "delete": (lambda broker, job_id: broker.delete(job_id), None),
    "clear": (lambda broker, _: broker.clear_tube("default"), "cancelled"),
    "cancel": (lambda broker, job_id: broker.cancel(job_id), "cancelled"),
    "expiry": (lambda broker, _: broker.clock.advance(9), "cancelled"),  # type: ignore[attr-defined]  # a FakeClock
}


@pytest.mark.parametrize(("verb", "expected"), UNHELD_ENDS.values(), ids=UNHELD_ENDS)
def test_how_a_job_ends_that_nobody_holds_is_what_its_future_says(
    broker: Broker,
    producer: Producer,
    verb: Callable[[Broker, int], object],
    expected: object,
) -> None:
    future = producer.submit("scarf", expires=5)
    verb(broker, future.job_id)
    assert outcome(future) == expected


def test_a_job_that_comes_back_may_still_be_done(
    clock: FakeClock, broker: Broker, producer: Producer, consumer: Consumer
) -> None:
    future = producer.submit("scarf", ttr=5)
    consumer.reserve().release(error=ValueError())
    consumer.reserve().bury(error=ValueError())
    broker.kick("default", 1)
    consumer.reserve()
    clock.advance(5)
    assert not future.done()
    consumer.reserve().finish(1)
    assert 1 == future.result(0)


def test_a_job_that_has_failed_and_is_kicked_tells_nobody(
    broker: Broker, producer: Producer, consumer: Consumer
) -> None:
    future = producer.submit("scarf")
    error = ValueError("too heavy")
    consumer.reserve().fail(error, priority=3)
    assert error is future.exception(0)
    (buried,) = broker.jobs("default", "buried")
    assert buried.error is not None
    assert (3, "too heavy") == (buried.priority, buried.error.text)
    broker.kick("default", 1)
    consumer.reserve().finish(1)
    assert error is future.exception(0)


def test_a_job_that_was_tried_too_often_has_failed(
    clock: FakeClock, broker: Broker, producer: Producer, consumer: Consumer
) -> None:
    broker.limit_tries("default", 2)
    first, second = producer.submit("scarf"), producer.submit("piano", ttr=5)
    for _ in range(2):
        consumer.reserve().release()
    consumer.reserve()
    clock.advance(5)
    assert not second.done()
    consumer.reserve()
    clock.advance(5)
    for future in (first, second):
        error = future.exception(0)
        assert isinstance(error, TooManyTriesError)
        assert (future.job_id, 2) == (error.job_id, error.tries)


def test_a_result_of_a_job_that_nobody_has_submitted_is_dropped(
    broker: Broker, producer: Producer, consumer: Consumer
) -> None:
    producer.put_many(["a", "b"])
    consumer.reserve().finish(1)
    consumer.reserve().fail(ValueError())
    assert 1 == broker.stats().current_jobs_buried


def test_a_stranger_can_end_no_job(
    clock: FakeClock, broker: Broker, producer: Producer, consumer: Consumer
) -> None:
    future = producer.submit("scarf", ttr=5)
    late = consumer.reserve()
    clock.advance(5)
    other = broker.consumer().reserve()
    with pytest.raises(NotFoundError):
        late.finish(1)
    with pytest.raises(NotFoundError):
        late.fail(ValueError())
    other.bury()
    with pytest.raises(NotFoundError):
        other.finish(1)
    with pytest.raises(NotFoundError):
        other.fail(ValueError())
    assert not future.done()


def test_a_late_result_counts_if_nobody_has_the_job(
    clock: FakeClock, producer: Producer, consumer: Consumer
) -> None:
    future = producer.submit("scarf", ttr=5)
    job = consumer.reserve()
    clock.advance(6)
    job.finish("late")
    assert "late" == future.result(0)


# Cancelling


def test_cancel_takes_a_job_out_of_the_queue_that_nobody_holds(
    broker: Broker, producer: Producer
) -> None:
    future = producer.submit("scarf", delay=5)
    assert future.cancel()
    assert future.cancel()  # twice is the same
    assert [] == broker.jobs("default")
    assert 1 == broker.stats().cmd_delete
    with pytest.raises(CancelledError):
        future.result(0)
    assert "<JobFuture of job 1: cancelled>" == repr(future)


def test_cancel_leaves_a_job_to_its_holder(
    producer: Producer, consumer: Consumer
) -> None:
    future = producer.submit("scarf")
    job = consumer.reserve()
    assert not future.cancel()
    job.finish(1)
    assert not future.cancel()
    assert 1 == future.result(0)


def test_cancel_of_a_job_that_has_failed_leaves_it_buried(
    broker: Broker, producer: Producer, consumer: Consumer
) -> None:
    future = producer.submit("scarf")
    consumer.reserve().fail(ValueError())
    assert not future.cancel()
    assert 1 == len(broker.jobs("default", "buried"))


def test_a_job_that_is_replaced_is_cancelled(producer: Producer) -> None:
    first = producer.submit("scarf", key="order")
    with pytest.raises(DuplicateJobError):
        producer.submit("anvil", key="order")
    second = producer.submit("piano", key="order", on_duplicate="replace")
    assert (True, False) == (first.cancelled(), second.done())


# Whoever waits


def test_wait_and_as_completed_work(producer: Producer, consumer: Consumer) -> None:
    futures = [producer.submit(number) for number in range(4)]
    waiter = start(lambda: wait(futures, LONG))
    futures[3].cancel()
    for job in consumer.reserve_many(3):
        job.finish(job.body)
    assert set(futures) == waiter.result(LONG).done
    finished = [f.result() for f in as_completed(futures, LONG) if not f.cancelled()]
    assert {0, 1, 2} == set(finished)


def test_a_callback_runs_without_the_lock_and_may_call_verbs(
    broker: Broker, producer: Producer, consumer: Consumer
) -> None:
    seen = []

    def again(future: Any) -> None:
        seen.append((future.result(), broker._monitor.lock._is_owned()))  # type: ignore[attr-defined]  # as the monitor asks
        producer.put("from the callback")

    producer.submit("scarf").add_done_callback(again)
    consumer.reserve().finish(1)
    assert [(1, False)] == seen
    assert "from the callback" == consumer.reserve().body


def test_futures_are_told_in_the_order_of_their_jobs(
    broker: Broker, producer: Producer
) -> None:
    told: list[int] = []
    for number in range(100):  # more than fit in one turn
        future = producer.submit(number)
        future.add_done_callback(lambda f: told.append(f.body))
    broker.close()
    assert [*range(100)] == told


def test_a_callback_that_breaks_off_keeps_no_other_future_from_being_told(
    broker: Broker, producer: Producer
) -> None:
    first, second = producer.submit(1), producer.submit(2)

    def interrupt(_: object) -> None:
        raise KeyboardInterrupt

    first.add_done_callback(interrupt)
    with pytest.raises(KeyboardInterrupt):
        broker.clear_tube("default")
    broker.tubes()  # the next turn
    assert first.cancelled()
    assert second.cancelled()


def test_a_callback_that_breaks_off_keeps_no_other_callback_from_being_called(
    producer: Producer, consumer: Consumer
) -> None:
    future = producer.submit("scarf")
    told: list[object] = []

    def interrupt(_: object) -> None:
        raise KeyboardInterrupt

    future.add_done_callback(interrupt)
    future.add_done_callback(told.append)
    job = consumer.reserve()
    with pytest.raises(KeyboardInterrupt):
        job.finish(1)
    consumer.reserve_nowait()  # the next turn
    assert told == [future]


def test_a_callback_that_fails_is_logged(
    producer: Producer, consumer: Consumer, caplog: pytest.LogCaptureFixture
) -> None:
    future = producer.submit("scarf")
    told: list[object] = []
    future.add_done_callback(lambda _: int("x"))
    future.add_done_callback(told.append)
    consumer.reserve().finish(1)
    assert told == [future]
    assert ["concurrent.futures"] == [record.name for record in caplog.records]


def test_a_wait_for_several_is_told_once_though_the_telling_was_broken_off(
    producer: Producer, consumer: Consumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    future = producer.submit("scarf")
    waiting = wait_for_several(future)
    begin = _thread.start_new_thread
    begun: list[int] = []

    def interrupt(*how: Any) -> int:
        begun.append(1)
        if len(begun) == 1:
            raise KeyboardInterrupt
        return begin(*how)

    monkeypatch.setattr(_thread, "start_new_thread", interrupt)
    job = consumer.reserve()
    with pytest.raises(KeyboardInterrupt):
        job.finish(1)
    assert not waiting.done()
    consumer.reserve_nowait()  # the next turn
    assert {future} == waiting.result(LONG).done
    assert 2 <= len(begun)


def test_a_wait_for_several_is_told_however_they_end(
    broker: Broker,
    producer: Producer,
    consumer: Consumer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Waiter:
        def add_result(self, future: JobFuture) -> None:
            told.append(("result", future.job_id))

        def add_exception(self, future: JobFuture) -> None:
            told.append(("exception", future.job_id))

        def add_cancelled(self, future: JobFuture) -> None:
            told.append(("cancelled", future.job_id))

    def refuse(*_how: object) -> int:
        raise RuntimeError

    # They are told in this thread where no other can be started.
    monkeypatch.setattr(_thread, "start_new_thread", refuse)
    told: list[tuple[str, int]] = []
    for body in range(3):
        future: Any = producer.submit(body)
        future._waiters.append(Waiter())
    consumer.reserve().finish(1)
    consumer.reserve().fail(ValueError("no"))
    broker.clear_tube("default")
    assert told == [("result", 1), ("exception", 2), ("cancelled", 3)]


def test_two_that_tell_who_waits_for_several_tell_each_once(producer: Producer) -> None:
    class Waiter:
        def add_result(self, future: JobFuture) -> None:
            future._tell()
            told.append(self)

    told: list[object] = []
    future = producer.submit("scarf")
    waiters = [Waiter(), Waiter()]
    future._untold = list(waiters)
    future._tell()
    assert [*reversed(waiters)] == told


def test_who_was_interrupted_as_he_took_the_lock_holds_up_nobody(
    producer: Producer, consumer: Consumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    future = producer.submit("scarf")
    # As Ctrl-C leaves it, in `concurrent.futures.wait`.
    future._condition.acquire()
    monkeypatch.setattr("inproc_tubes.future._PATIENCE", 0)
    job = consumer.reserve()
    start(lambda: job.finish(1)).result(LONG)
    assert 1 == start(future.result).result(LONG)


def test_asking_whether_a_future_is_over_and_a_cancel_take_no_lock_of_it(
    producer: Producer, consumer: Consumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    future = producer.submit("scarf")
    consumer.reserve()
    monkeypatch.setattr(future, "_condition", None)
    assert (False, False) == (future.done(), future.cancelled())
    assert not future.cancel()


def test_in_the_middle_of_a_verb_nobody_can_wait(
    broker: Broker, producer: Producer
) -> None:
    future = producer.submit("scarf")

    def verb(_now: float) -> None:
        for ask in (future.result, future.exception):
            with pytest.raises(ReentrantCallError):
                ask()

    async def main() -> None:
        broker._monitor.run(verb)
        with pytest.raises(ReentrantCallError):
            broker._monitor.run(lambda _: next(future.__await__()))

    asyncio.run(main())
    broker.tubes()  # the next turn
    assert 0 == broker._monitor.waiting


def test_what_becomes_of_a_job_is_not_set_by_hand(producer: Producer) -> None:
    future = producer.submit("scarf")
    for verb in (
        future.set_running_or_notify_cancel,
        lambda: future.set_result(1),
        lambda: future.set_exception(ValueError()),
    ):
        with pytest.raises(
            TypeError, match=r"^what becomes of a job is for its broker"
        ):
            verb()
    assert not future.done()


@pytest.mark.parametrize("timeout", ["1", float("nan"), True])
def test_a_bad_timeout_is_refused_though_the_future_is_over(
    producer: Producer, timeout: Any
) -> None:
    future = producer.submit("scarf")
    for _ in range(2):
        for ask in (future.result, future.exception):
            with pytest.raises((TypeError, ValueError), match="timeout"):
                ask(timeout)
        future.cancel()


def test_in_the_middle_of_a_verb_nothing_is_submitted(
    broker: Broker, producer: Producer
) -> None:
    def verb(_now: float) -> None:
        with pytest.raises(ReentrantCallError):
            producer.submit("scarf")

    broker._monitor.run(verb)
    assert [] == broker.jobs("default")


def test_a_submit_waits_for_room_no_longer_than_its_timeout(
    broker: Broker, producer: Producer
) -> None:
    broker.limit_tube("default", 1)
    producer.put("x")
    with pytest.raises(TubeFullError):
        producer.submit("y", timeout=0)
    waiting = start(lambda: producer.submit("y"))
    broker.delete(1)
    assert 2 == waiting.result(LONG).job_id


# Who waits keeps time


@pytest.mark.parametrize("ask", [JobFuture.result, JobFuture.exception])
def test_who_waits_for_a_result_keeps_time_for_the_broker(
    ask: Callable[[JobFuture], object],
) -> None:
    broker = Broker(clock=FakeClock(autojump=True))
    future = broker.producer().submit("scarf", expires=30)
    with pytest.raises(CancelledError):
        ask(future)
    assert 30 == broker.clock.now() - broker._monitor.started_at


def test_a_task_that_waits_for_a_result_keeps_time_for_the_broker() -> None:
    async def main() -> None:
        broker = Broker(clock=FakeClock(autojump=True))
        broker.limit_tries("default", 1)
        future = await broker.async_producer().submit("scarf", ttr=30)
        broker.consumer().reserve()
        with pytest.raises(TooManyTriesError):
            await future
        assert 30 == broker.clock.now() - broker._monitor.started_at

    asyncio.run(main())


def test_a_timeout_is_in_seconds_of_the_brokers_clock() -> None:
    broker = Broker(clock=FakeClock(autojump=True))
    future = broker.producer().submit("scarf")
    with pytest.raises(TimedOutError, match=r"^no result within 3000 s$"):
        future.result(3000)
    assert 3000 == broker.clock.now() - broker._monitor.started_at
    with pytest.raises(TimedOutError):
        future.exception(-1)
    assert 0 == broker._monitor.waiting


def test_who_waits_for_a_result_that_nobody_can_bring_is_told_so() -> None:
    broker = Broker(clock=FakeClock(autojump=True))
    future = broker.producer().submit("scarf")
    with pytest.raises(DeadlockError, match="result of job 1"):
        future.result()


def test_a_task_that_waits_for_a_result_that_nobody_can_bring_is_told_so() -> None:
    async def main() -> None:
        broker = Broker(clock=FakeClock(autojump=True))
        future = broker.producer().submit("scarf")
        with pytest.raises(DeadlockError, match="result of job 1"):
            await future
        assert 0 == broker._monitor.waiting
        assert not future.done()

    asyncio.run(main())


def test_those_who_wait_for_results_are_seen(
    broker: Broker, producer: Producer, consumer: Consumer
) -> None:
    future = producer.submit("scarf")
    waiters = [waiting(broker, future.result) for _ in range(2)]
    assert "2 results wait" in repr(broker)
    consumer.reserve().finish(1)
    assert [1, 1] == [waiter.result(LONG) for waiter in waiters]
    assert 0 == broker._monitor.waiting


def test_who_waits_has_the_result_before_a_callback_is_through(
    broker: Broker, producer: Producer, consumer: Consumer
) -> None:
    future = producer.submit("scarf")
    waiter = waiting(broker, future.result)
    found: list[object] = []
    future.add_done_callback(lambda _: found.append(waiter.result(LONG)))
    consumer.reserve().finish(1)
    assert [1] == found


@pytest.mark.parametrize("ask", [JobFuture.result, result_in_a_loop])
def test_a_result_that_is_about_to_be_told_is_there(
    producer: Producer, consumer: Consumer, ask: Callable[[JobFuture], object]
) -> None:
    future = producer.submit("scarf")
    found: list[object] = []

    def ask_first(promise: object) -> None:
        # The moment between the turn and the telling: another thread asks.
        del future._resolve
        found.append(start(lambda: ask(future)).result(LONG))
        JobFuture._resolve(future, promise)  # type: ignore[arg-type]  # a Promise

    future._resolve = ask_first  # type: ignore[method-assign]  # as above
    consumer.reserve().finish(1)
    assert [1] == found


# Nobody waits for ever


def test_who_waits_for_a_result_is_told_that_the_broker_was_closed(
    broker: Broker, producer: Producer
) -> None:
    future = producer.submit("scarf")
    waiter = waiting(broker, future.result)
    broker.close()
    with pytest.raises(ClosedError, match=r"^the broker was closed$"):
        waiter.result(LONG)


def test_a_result_that_came_before_the_end_counts_after_it(
    broker: Broker, producer: Producer, consumer: Consumer
) -> None:
    future = producer.submit("scarf")
    closing: list[int] = []

    def close_first(_promise: object) -> None:
        if closing:
            raise KeyboardInterrupt  # the close leaves it untold
        closing.append(1)
        with suppress(KeyboardInterrupt):
            broker.close()
        del future._resolve
        assert not future.done()
        assert 1 == start(future.result).result(LONG)

    future._resolve = close_first  # type: ignore[method-assign, assignment]  # as above
    consumer.reserve().finish(1)


@pytest.mark.parametrize("is_closed", [True, False])
def test_a_task_that_waits_for_a_result_is_told_of_the_end(
    broker: Broker,
    producer: Producer,
    is_closed: bool,  # noqa: FBT001 - a parameter
) -> None:
    future = producer.submit("scarf")

    async def main() -> None:
        task = asyncio.ensure_future(future)
        await asyncio.sleep(0)
        if is_closed:
            broker.close()
        else:
            future.cancel()
        with pytest.raises(ClosedError if is_closed else asyncio.CancelledError):
            await task

    asyncio.run(main())


@pytest.mark.parametrize("ask", [JobFuture.result, result_in_a_loop])
def test_who_comes_before_the_end_of_a_dropped_broker_is_told(
    producer: Producer, ask: Callable[[JobFuture], object]
) -> None:
    future = producer.submit("scarf")
    future._monitor = lambda: None  # type: ignore[assignment]  # a dead reference
    with pytest.raises(ClosedError, match=r"^the broker was dropped$"):
        ask(future)


def test_who_waits_for_a_result_is_told_that_the_broker_was_dropped() -> None:
    broker = Broker(clock=FakeClock())
    future = broker.producer().submit("scarf")
    waiter = waiting(broker, future.result)
    del broker
    gc.collect()
    with pytest.raises(ClosedError, match=r"^the broker was dropped$"):
        waiter.result(LONG)


def test_a_task_that_waits_for_a_result_is_told_that_the_broker_was_dropped() -> None:
    async def main() -> None:
        broker = Broker(clock=FakeClock())
        future = broker.producer().submit("scarf")

        async def ask() -> object:
            return await future

        task = asyncio.create_task(ask())
        await asyncio.sleep(0)
        assert 1 == broker._monitor.waiting
        del broker
        gc.collect()
        with pytest.raises(ClosedError, match=r"^the broker was dropped$"):
            await task

    asyncio.run(main())


def test_a_future_ends_when_its_broker_is_dropped() -> None:
    broker = Broker(clock=FakeClock())
    future = broker.producer().submit("scarf")
    del broker
    gc.collect()
    with pytest.raises(ClosedError, match=r"^the broker was dropped$"):
        future.result(LONG)
    assert not future.running()
    assert not future.cancel()


def test_a_future_that_was_dropped_is_told_all_the_same(
    producer: Producer, consumer: Consumer
) -> None:
    told: list[object] = []
    producer.submit("scarf").add_done_callback(lambda f: told.append(f.result()))
    gc.collect()
    consumer.reserve().finish(1)
    assert [1] == told


def test_a_future_that_is_done_keeps_nothing_alive(
    producer: Producer, consumer: Consumer
) -> None:
    future = producer.submit("scarf")
    consumer.reserve().finish(1)
    gone = weakref.ref(future)
    del future
    assert gone() is None


@pytest.mark.parametrize("ask", [JobFuture.result, result_in_a_loop])
@pytest.mark.parametrize("waits", [True, False])
def test_the_frames_that_an_error_has_passed_do_not_lead_back_to_it(
    broker: Broker,
    producer: Producer,
    consumer: Consumer,
    ask: Callable[[JobFuture], object],
    waits: bool,  # noqa: FBT001 - a parameter
) -> None:
    future = producer.submit("scarf")
    job = consumer.reserve()
    if waits:
        asking = waiting(broker, lambda: ask(future))
        job.fail(ValueError("too heavy"))
        error = asking.exception(LONG)
    else:
        job.fail(ValueError("too heavy"))
        error = start(lambda: ask(future)).exception(LONG)
    assert isinstance(error, ValueError)
    ours = [
        frame.f_locals
        for frame, _ in walk_tb(error.__traceback__)
        if frame.f_globals["__name__"].startswith("inproc_tubes.")
    ]
    assert ours
    assert {name for names in ours for name in names} <= {"timeout", "__class__"}


def test_a_future_that_dies_with_its_broker_is_told_nothing() -> None:
    broker = Broker(clock=FakeClock())
    gone = weakref.ref(broker.producer().submit("scarf"))
    del broker
    gc.collect()
    assert gone() is None


# Coroutines


def test_a_future_is_awaited(broker: Broker) -> None:
    async def main() -> None:
        producer, consumer = broker.async_producer(), broker.consumer()
        futures = [await producer.submit(number) for number in range(3)]
        task = asyncio.gather(*futures, asyncio.wrap_future(futures[0]))
        await asyncio.sleep(0)
        for job in consumer.reserve_many(3):
            job.finish(job.body)
        assert [0, 1, 2, 0] == await task
        broker.limit_tube("default", 1)
        await producer.put("x")
        waiting = asyncio.ensure_future(producer.submit("y"))
        await asyncio.sleep(0)
        broker.clear_tube("default")
        assert 5 == (await waiting).job_id

    asyncio.run(main())


def test_an_await_that_is_cancelled_leaves_a_job_in_hand_to_its_consumer(
    broker: Broker,
) -> None:
    async def main() -> None:
        future = await broker.async_producer().submit("scarf")
        job = broker.consumer().reserve()
        task = asyncio.ensure_future(future)
        await asyncio.sleep(0)
        assert 1 == broker._monitor.waiting
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert 0 == broker._monitor.waiting
        job.finish(1)
        assert 1 == await future

    asyncio.run(main())


def test_an_await_of_a_job_that_is_cancelled_is_cancelled(broker: Broker) -> None:
    async def main() -> None:
        future = await broker.async_producer().submit("scarf")
        task = asyncio.ensure_future(future)
        await asyncio.sleep(0)
        broker.cancel(future.job_id)
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(asyncio.CancelledError):
            await future

    asyncio.run(main())


def test_an_await_that_is_cancelled_cancels_the_job(broker: Broker) -> None:
    async def main() -> None:
        future = await broker.async_producer().submit("scarf")
        task = asyncio.ensure_future(future)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(0)
        assert future.cancelled()

    asyncio.run(main())
    assert [] == broker.jobs("default")
