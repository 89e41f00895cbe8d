"""How threads sleep: which are woken, which one leads, and how they are interrupted."""

from __future__ import annotations

import subprocess
import sys
from threading import Condition, Event, current_thread
from typing import TYPE_CHECKING

import pytest

from inproc_tubes import Broker, ClosedError, Consumer, Job, Producer, TimedOutError
from inproc_tubes.core.recovery import check
from inproc_tubes.core.requests import ReserveRequest
from inproc_tubes.monitor import Monitor
from inproc_tubes.waiting.threads import ThreadSleeper
from tests.shells import InterruptingClock
from tests.threads import LONG, signalled, waiting

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future
    from threading import Lock

    from inproc_tubes.clock import Clock, Parked

START = 1_000_000.0
INF = float("inf")


class RecordingClock(InterruptingClock):
    """Knows which thread is parked until when, and how often each has returned."""

    def __init__(self) -> None:
        super().__init__()
        self._changed = Condition()
        self._parked_until: dict[str, float] = {}
        self.returns: dict[str, int] = {}

    def park(self, sleeper: Parked, until: float) -> None:
        name = current_thread().name
        self.interrupt_if_asked()
        with self._changed:
            self._parked_until[name] = until - START
            self._changed.notify_all()
        super().park(sleeper, until)
        with self._changed:
            del self._parked_until[name]
            self.returns[name] = self.returns.get(name, 0) + 1
            self._changed.notify_all()

    def wait_until_parked(self, **threads: float) -> None:
        """Block until exactly these are parked, each until its moment after START."""
        with self._changed:
            assert self._changed.wait_for(
                lambda: self._parked_until == threads, LONG
            ), self._parked_until

    def wait_until_returned(self, name: str, count: int) -> None:
        """Block until a thread has returned from so many parkings."""
        with self._changed:
            assert self._changed.wait_for(
                lambda: self.returns.get(name, 0) >= count, LONG
            ), self.returns


class OutOfStack:
    """A lock that cannot be released."""

    def __init__(self, lock: Lock) -> None:
        self.acquire = lock.acquire  # the thread may not quite sleep yet

    def release(self) -> None:
        raise RecursionError


def interrupted(_now: float) -> None:
    """Serve as a verb that is broken off."""
    raise KeyboardInterrupt


@pytest.fixture
def clock() -> RecordingClock:
    return RecordingClock()


@pytest.fixture
def broker(clock: RecordingClock) -> Broker:
    return Broker(clock=clock)


# Which threads are woken


def test_a_job_wakes_exactly_the_thread_that_is_served(
    broker: Broker, clock: RecordingClock
) -> None:
    names = ["first", "second", "third", "fourth"]
    producer = broker.producer()
    futures = {n: waiting(broker, broker.consumer().reserve, n) for n in names}
    clock.wait_until_parked(**dict.fromkeys(names, INF))
    for name in names:
        producer.put(name)
        assert name == futures[name].result(LONG).body
    # The last one leads after the first, for whose job there is a time to run. That
    # may wake it once.
    last = clock.returns.pop("fourth")
    assert dict.fromkeys(names[:3], 1) == clock.returns
    assert last in {1, 2}


@pytest.mark.parametrize(
    ("verb", "count"),
    [
        (lambda producer, _: producer.put("job"), 1),
        (lambda producer, _: producer.put_many(["job"] * 3), 2),
        (lambda producer, _: producer.put("job", tube="tube-2"), 1),
        (lambda _, broker: broker.kick("tube-1", 2), 2),
        (lambda _, broker: broker.kick_job(1), 1),
        (lambda producer, _: producer.put("job", delay=100), 0),
        (lambda producer, _: producer.put("job", tube="elsewhere"), 0),
        (lambda _, broker: broker.pause_tube("tube-1", 100), 0),
        (lambda _, broker: broker.delete(1), 0),
    ],
    ids=[
        "put",
        "put_many",
        "put into another tube",
        "kick",
        "kick_job",
        "put with a delay",
        "put where nothing waits",
        "pause_tube",
        "delete",
    ],
)
def test_a_verb_wakes_as_many_threads_as_it_serves(
    broker: Broker,
    monkeypatch: pytest.MonkeyPatch,
    verb: Callable[[Producer, Broker], object],
    count: int,
) -> None:
    """Of twelve, two in each of six tubes, and one more, which leads."""
    producer, holder = broker.producer("tube-1"), broker.consumer("tube-1")
    for _ in range(2):
        producer.put("buried")
        holder.reserve().bury()
    # Nothing is due before this: an earlier moment would wake the leader.
    producer.put("held", ttr=1)
    held = holder.reserve()
    tubes = ["of-the-leader", *(f"tube-{i % 6}" for i in range(12))]
    consumers = [broker.consumer(tube) for tube in tubes]
    for consumer in consumers:
        waiting(broker, consumer.reserve)
    sleepers = list(broker._sleepers._asleep)
    assert broker._sleepers._leader is sleepers[0]
    woken: dict[ThreadSleeper, int] = {}
    unpark = ThreadSleeper.unpark

    def count_and_unpark(self: ThreadSleeper) -> None:
        # It may be that of a forgotten broker, which ends just now.
        woken[self] = woken.get(self, 0) + 1
        unpark(self)

    monkeypatch.setattr(ThreadSleeper, "unpark", count_and_unpark)
    verb(producer, broker)
    times = [woken.get(sleeper, 0) for sleeper in sleepers]
    assert [0] * (13 - count) + [1] * count == sorted(times)
    assert "held" == held.body
    broker.close()


def test_a_thread_may_go_on_before_the_turn_ends_that_has_answered_it(
    broker: Broker, clock: RecordingClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It needs no lock to look at what it was answered."""
    unpark = ThreadSleeper.unpark
    result = ReserveRequest.result
    answered = Event()

    def unpark_and_let_it_go_on(self: ThreadSleeper) -> None:
        unpark(self)
        assert answered.wait(LONG)

    def result_and_tell(self: ReserveRequest) -> Job:
        try:
            return result(self)
        finally:
            answered.set()

    monkeypatch.setattr(ThreadSleeper, "unpark", unpark_and_let_it_go_on)
    monkeypatch.setattr(ReserveRequest, "result", result_and_tell)
    consumer = broker.consumer()
    future = waiting(broker, lambda: consumer.reserve(timeout=5))
    clock.advance(5)
    assert isinstance(future.exception(LONG), TimedOutError)
    assert 0 == broker._monitor.waiting
    check(broker._engine)


# Which thread leads


def test_one_thread_leads_and_keeps_time_for_all(
    broker: Broker, clock: RecordingClock
) -> None:
    producer = broker.producer()
    producer.put("delayed", delay=10)
    futures = {n: waiting(broker, broker.consumer().reserve, n) for n in "abc"}
    clock.wait_until_parked(a=10, b=INF, c=INF)
    # The leader is served, and the one that came last leads.
    producer.put("now", ttr=100)
    assert "now" == futures["a"].result(LONG).body
    clock.wait_until_parked(b=INF, c=10)
    # An earlier moment comes up: the leader alone is woken to see it.
    producer.put("sooner", delay=5)
    clock.wait_until_parked(b=INF, c=5)
    # One that brings a still earlier moment leads itself.
    d = waiting(broker, lambda: broker.consumer().reserve(timeout=2), "d")
    clock.wait_until_parked(b=INF, c=5, d=2)
    assert "b" not in clock.returns
    clock.advance(2)
    assert isinstance(d.exception(LONG), TimedOutError)
    clock.advance(3)
    assert "sooner" == futures["b"].result(LONG).body
    clock.advance(5)
    assert "delayed" == futures["c"].result(LONG).body


def test_a_moment_that_has_become_void_wakes_the_leader_for_nothing(
    broker: Broker, clock: RecordingClock
) -> None:
    job_id = broker.producer().put("delayed", delay=10)
    future = waiting(broker, broker.consumer().reserve, "a")
    clock.wait_until_parked(a=10)
    broker.delete(job_id)
    clock.advance(10)
    broker._sleepers.nudge()
    clock.wait_until_parked(a=INF)
    broker.close()
    assert isinstance(future.exception(LONG), ClosedError)


def test_jobs_that_are_done_elsewhere_do_not_wake_the_leader_each(
    broker: Broker, clock: RecordingClock
) -> None:
    """Each of them has a moment, and is gone by the time the leader has looked."""
    future = waiting(broker, broker.consumer().reserve, "leader")
    clock.wait_until_parked(leader=INF)
    producer, consumer = broker.producer("other"), broker.consumer("other")
    producer.put("job", ttr=5)
    job = consumer.reserve()
    clock.wait_until_parked(leader=5)
    job.delete()
    broker._sleepers.nudge()
    clock.wait_until_returned("leader", 2)
    clock.wait_until_parked(leader=5)
    producer.put("job", ttr=5)
    consumer.reserve().delete()
    clock.wait_until_parked(leader=5)
    assert {"leader": 2} == clock.returns
    broker.close()
    assert isinstance(future.exception(LONG), ClosedError)


def test_a_new_leader_that_nothing_is_due_for_is_woken_for_the_next_moment(
    broker: Broker, clock: RecordingClock
) -> None:
    """Also if that is later than all that the leader before it has waited for."""
    producer = broker.producer()
    first = waiting(broker, lambda: broker.consumer("a").reserve(timeout=5), "first")
    second = waiting(broker, broker.consumer().reserve, "second")
    clock.wait_until_parked(first=5, second=INF)
    clock.advance(5)
    assert isinstance(first.exception(LONG), TimedOutError)
    clock.wait_until_parked(second=INF)
    producer.put("delayed", delay=10)
    clock.wait_until_parked(second=15)
    clock.advance(10)
    assert "delayed" == second.result(LONG).body


def test_a_reservation_elsewhere_is_a_moment_for_the_leader(
    broker: Broker, clock: RecordingClock
) -> None:
    future = waiting(broker, broker.consumer().reserve, "leader")
    clock.wait_until_parked(leader=INF)
    broker.producer("other").put("job", ttr=5)
    holder = broker.consumer("other")
    assert "job" == holder.reserve().body
    clock.wait_until_parked(leader=5)
    broker.close()
    assert isinstance(future.exception(LONG), ClosedError)


def test_nothing_leads_when_nothing_waits(
    broker: Broker, clock: RecordingClock
) -> None:
    sleepers = broker._sleepers
    future = waiting(broker, lambda: broker.consumer().reserve(timeout=5))
    assert 1 == len(sleepers._asleep)
    assert START + 5 == sleepers.armed_for == broker._engine.schedule.armed_for
    clock.advance(5)
    assert isinstance(future.exception(LONG), TimedOutError)
    assert {} == sleepers._asleep
    assert sleepers._leader is None
    assert -INF == sleepers.armed_for


def test_after_a_turn_that_was_broken_off_all_threads_look_and_one_leads(
    broker: Broker, clock: RecordingClock
) -> None:
    """Whom the broken turn has woken, and who leads, is not known."""
    broker.producer().put("delayed", delay=10)
    futures = {n: waiting(broker, broker.consumer().reserve, n) for n in "abc"}
    clock.wait_until_parked(a=10, b=INF, c=INF)
    with pytest.raises(KeyboardInterrupt):
        broker._monitor.run(interrupted)
    broker.tubes()
    for name in futures:
        clock.wait_until_returned(name, 1)
    clock.wait_until_parked(a=INF, b=INF, c=10)
    clock.advance(10)
    assert "delayed" == futures["a"].result(LONG).body
    broker.close()


def test_a_put_that_runs_out_of_stack_as_it_wakes_a_thread_loses_nothing(
    broker: Broker, clock: RecordingClock
) -> None:
    """The next turn wakes it."""
    producer = broker.producer()
    future = waiting(broker, broker.consumer().reserve, "a")
    clock.wait_until_parked(a=INF)
    (sleeper,) = broker._sleepers._asleep
    token = sleeper.token
    sleeper.token = OutOfStack(token)  # type: ignore[assignment]  # it has what is called
    with pytest.raises(RecursionError):
        producer.put("job")
    assert not future.done()
    sleeper.token = token
    broker.tubes()
    assert "job" == future.result(LONG).body
    check(broker._engine)


def test_a_close_that_runs_out_of_stack_as_it_wakes_a_thread_is_ended_by_the_next_one(
    broker: Broker, clock: RecordingClock
) -> None:
    futures = {n: waiting(broker, broker.consumer().reserve, n) for n in "ab"}
    clock.wait_until_parked(a=INF, b=INF)
    first, _ = broker._sleepers._asleep
    token = first.token
    first.token = OutOfStack(token)  # type: ignore[assignment]  # it has what is called
    with pytest.raises(RecursionError):
        broker.close()
    assert not any(future.done() for future in futures.values())
    first.token = token
    broker.close()
    for future in futures.values():
        assert isinstance(future.exception(LONG), ClosedError)


# Interrupted


def test_a_consumer_that_is_dropped_as_another_parks_gives_its_jobs_to_it(
    clock: RecordingClock,
) -> None:
    dropped: list[Consumer] = []

    class Dropping(Monitor):
        def sleepers_changed(self) -> None:
            super().sleepers_changed()
            dropped.clear()

    class DroppingBroker(Broker):
        @staticmethod
        def _new_monitor(clock: Clock) -> Monitor:
            return Dropping(clock)

    broker = DroppingBroker(clock=clock)
    dropped.append(broker.consumer())
    broker.producer().put("job")
    assert "job" == dropped[0].reserve().body
    assert "job" == broker.consumer().reserve().body


def test_a_leader_that_is_interrupted_has_another_thread_lead(
    broker: Broker, clock: RecordingClock
) -> None:
    broker.producer().put("delayed", delay=10)
    futures: list[Future[Job]] = []

    def interrupt() -> None:
        futures.append(waiting(broker, broker.consumer().reserve, "next"))
        clock.wait_until_parked(next=INF)
        raise KeyboardInterrupt

    clock.interrupt = interrupt
    with pytest.raises(KeyboardInterrupt):
        broker.consumer().reserve()
    clock.wait_until_parked(next=10)
    clock.advance(10)
    assert "delayed" == futures[0].result(LONG).body


INTERRUPTED = """
consumer = broker.consumer()

helper.start()
try:
    consumer.reserve()
except KeyboardInterrupt:
    print("interrupted", broker.stats().current_waiting)
helper.join()
broker.producer().put("job")
print(consumer.reserve(0).body)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pthread_kill")
def test_ctrl_c_interrupts_a_reserve() -> None:
    result = subprocess.run(  # noqa: S603 - our own interpreter and script
        [sys.executable, "-W", "error", "-c", signalled(INTERRUPTED)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ("interrupted 0\njob\n", "") == (result.stdout, result.stderr)


# In real time


def test_a_delayed_job_arrives_on_the_real_clock() -> None:
    with Broker() as broker:
        consumers: list[Consumer] = [broker.consumer() for _ in range(2)]
        leader = waiting(broker, consumers[0].reserve)
        follower = waiting(broker, consumers[1].reserve)
        broker.producer().put("delayed", delay=0.02)
        assert "delayed" == leader.result(LONG).body
        broker.producer().put("now")
        assert "now" == follower.result(LONG).body
