"""How threads sleep: who is roused, who keeps time, and how they are interrupted."""

from __future__ import annotations

import subprocess
import sys
from _thread import interrupt_main
from collections import deque
from functools import partial
from operator import call
from threading import Condition, Event, Lock, current_thread
from typing import TYPE_CHECKING, Any

import pytest

from inproc_tubes import (
    Broker,
    ClosedError,
    Consumer,
    DrainingError,
    Job,
    Producer,
    TimedOutError,
)
from inproc_tubes.job import Record
from inproc_tubes.latch import _PATIENCE, crowd_latch, quick_latch
from inproc_tubes.parking import _release
from inproc_tubes.waiting import Waiter
from tests.shells import InterruptingClock
from tests.threads import LONG, signalled, start, waiting

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future
    from contextlib import AbstractContextManager

START = 1_000_000.0


class RecordingClock(InterruptingClock):
    """Knows who sleeps until when, and who was roused how often."""

    def __init__(self) -> None:
        super().__init__()
        self._changed = Condition()
        self._asleep: dict[str, float] = {}
        self.returns: dict[str, int] = {}

    def park(self, waiter: Any, due_at: float) -> None:
        name = current_thread().name
        self.interrupt_if_asked()
        with self._changed:
            self._asleep[name] = due_at - START
            self._changed.notify_all()
        super().park(waiter, due_at)
        with self._changed:
            del self._asleep[name]
            self.returns[name] = self.returns.get(name, 0) + 1

    def wait_until_asleep(self, **sleepers: float) -> None:
        """Block until exactly these sleep, each until its moment after START."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._asleep == sleepers, LONG), (
                self._asleep
            )


INF = float("inf")


@pytest.fixture
def clock() -> RecordingClock:
    return RecordingClock()


@pytest.fixture
def broker(clock: RecordingClock) -> Broker:
    return Broker(clock=clock)


# Who is roused, and who keeps time


def test_a_job_rouses_exactly_the_thread_that_is_served(
    broker: Broker, clock: RecordingClock
) -> None:
    names = ["first", "second", "third", "fourth"]
    producer = broker.producer()
    futures = {n: waiting(broker, broker.consumer().reserve, n) for n in names}
    clock.wait_until_asleep(**dict.fromkeys(names, INF))
    for name in names:
        producer.put(name)
        assert name == futures[name].result(LONG).body
    # The last one inherits the office of keeping time from the first, for whose job
    # there is a time to run; that may rouse it once.
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
        "put where nobody waits",
        "pause_tube",
        "delete",
    ],
)
def test_a_verb_rouses_as_many_threads_as_it_serves(
    broker: Broker,
    monkeypatch: pytest.MonkeyPatch,
    verb: Callable[[Producer, Broker], object],
    count: int,
) -> None:
    """Of twelve, two in each of six tubes, and one more who keeps time."""
    producer, holder = broker.producer("tube-1"), broker.consumer("tube-1")
    for _ in range(2):
        producer.put("buried")
        holder.reserve().bury()
    # A moment that nothing is earlier than, of which the keeper would have to hear.
    producer.put("held", ttr=1)
    holder.reserve()
    tubes = ["of-the-keeper", *(f"tube-{i % 6}" for i in range(12))]
    consumers = [broker.consumer(tube) for tube in tubes]
    for consumer in consumers:
        waiting(broker, consumer.reserve)
    beds = [waiter.bed for waiter in broker._threads._asleep]
    roused: dict[object, int] = {}

    def release(bed: Any) -> None:
        # It may be a forgotten broker's, which ends just now.
        roused[bed] = roused.get(bed, 0) + 1
        _release(bed)

    monkeypatch.setattr("inproc_tubes.parking._release", release)
    verb(producer, broker)
    times = [roused.get(bed, 0) for bed in beds]
    assert [0] * (13 - count) + [1] * count == sorted(times)
    broker.close()


def test_one_thread_keeps_time_for_all(broker: Broker, clock: RecordingClock) -> None:
    producer = broker.producer()
    producer.put("delayed", delay=10)
    futures = {n: waiting(broker, broker.consumer().reserve, n) for n in "abc"}
    clock.wait_until_asleep(a=10, b=INF, c=INF)
    # The keeper is served, and the one that came last keeps time.
    producer.put("now", ttr=100)
    assert "now" == futures["a"].result(LONG).body
    clock.wait_until_asleep(b=INF, c=10)
    # An earlier moment comes up: the keeper alone is roused to see it.
    producer.put("sooner", delay=5)
    clock.wait_until_asleep(b=INF, c=5)
    # One who comes with a still earlier one takes over.
    d = waiting(broker, lambda: broker.consumer().reserve(timeout=2), "d")
    clock.wait_until_asleep(b=INF, c=5, d=2)
    assert "b" not in clock.returns
    clock.advance(2)
    assert isinstance(d.exception(LONG), TimedOutError)
    clock.advance(3)
    assert "sooner" == futures["b"].result(LONG).body
    clock.advance(5)
    assert "delayed" == futures["c"].result(LONG).body


def test_a_moment_that_is_void_by_now_rouses_the_keeper_for_nothing(
    broker: Broker, clock: RecordingClock
) -> None:
    job_id = broker.producer().put("delayed", delay=10)
    future = waiting(broker, broker.consumer().reserve, "a")
    clock.wait_until_asleep(a=10)
    broker.delete(job_id)
    clock.advance(10)
    broker._threads.nudge()
    clock.wait_until_asleep(a=INF)
    broker.close()
    assert isinstance(future.exception(LONG), ClosedError)


def test_jobs_that_are_done_elsewhere_do_not_rouse_the_keeper_each(
    broker: Broker, clock: RecordingClock
) -> None:
    """Each of them has a moment, and is gone by the time the keeper has looked."""
    future = waiting(broker, broker.consumer().reserve, "keeper")
    clock.wait_until_asleep(keeper=INF)
    producer, consumer = broker.producer("other"), broker.consumer("other")
    producer.put("job", ttr=5)
    job = consumer.reserve()
    clock.wait_until_asleep(keeper=5)
    job.delete()
    broker._threads.nudge()
    with clock._changed:
        assert clock._changed.wait_for(lambda: 2 == clock.returns["keeper"], LONG)
    clock.wait_until_asleep(keeper=5)
    producer.put("job", ttr=5)
    consumer.reserve().delete()
    clock.wait_until_asleep(keeper=5)
    assert {"keeper": 2} == clock.returns
    broker.close()
    assert isinstance(future.exception(LONG), ClosedError)


def test_who_inherits_the_office_with_nothing_to_keep_hears_of_the_next_moment(
    broker: Broker, clock: RecordingClock
) -> None:
    """Also if that is later than all that his predecessor has waited for."""
    producer = broker.producer()
    first = waiting(broker, lambda: broker.consumer("a").reserve(timeout=5), "first")
    heir = waiting(broker, broker.consumer().reserve, "heir")
    clock.wait_until_asleep(first=5, heir=INF)
    clock.advance(5)
    assert isinstance(first.exception(LONG), TimedOutError)
    clock.wait_until_asleep(heir=INF)
    producer.put("delayed", delay=10)
    clock.wait_until_asleep(heir=15)
    clock.advance(10)
    assert "delayed" == heir.result(LONG).body


# Interrupted


def test_a_reservation_elsewhere_is_a_moment_for_the_keeper(
    broker: Broker, clock: RecordingClock
) -> None:
    future = waiting(broker, broker.consumer().reserve, "keeper")
    clock.wait_until_asleep(keeper=INF)
    broker.producer("other").put("job", ttr=5)
    holder = broker.consumer("other")
    assert "job" == holder.reserve().body
    clock.wait_until_asleep(keeper=5)
    broker.close()
    assert isinstance(future.exception(LONG), ClosedError)


def test_a_consumer_dropped_as_another_lies_down_gives_its_jobs_to_it(
    clock: RecordingClock,
) -> None:
    victims: list[Consumer] = []

    class Dropping(Broker):
        def _sleepers_changed(self) -> None:
            super()._sleepers_changed()
            victims.clear()

    broker = Dropping(clock=clock)
    victims.append(broker.consumer())
    broker.producer().put("job")
    assert "job" == victims[0].reserve().body
    assert "job" == broker.consumer().reserve().body


def test_an_interrupted_keeper_passes_its_office_on(
    broker: Broker, clock: RecordingClock
) -> None:
    broker.producer().put("delayed", delay=10)
    futures: list[Future[Job]] = []

    def interrupt() -> None:
        futures.append(waiting(broker, broker.consumer().reserve, "next"))
        clock.wait_until_asleep(next=INF)
        raise KeyboardInterrupt

    clock.interrupt = interrupt
    with pytest.raises(KeyboardInterrupt):
        broker.consumer().reserve()
    clock.wait_until_asleep(next=10)
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
        keeper = waiting(broker, consumers[0].reserve)
        follower = waiting(broker, consumers[1].reserve)
        broker.producer().put("delayed", delay=0.02)
        assert "delayed" == keeper.result(LONG).body
        broker.producer().put("now")
        assert "now" == follower.result(LONG).body


# Jobs that are left at the door


def test_a_job_that_is_put_as_somebody_begins_to_wait_is_not_overlooked(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits yet when it is put, and nobody has it when he begins to."""
    producer = broker.producer()

    def begin_late(*args: Any, **kwargs: Any) -> Waiter:
        producer.put("job")
        return Waiter(*args, **kwargs)

    monkeypatch.setattr("inproc_tubes.consumer.Waiter", begin_late)
    with broker.consumer() as consumer, consumer.reserve() as job:
        assert "job" == job.body


def test_a_job_whose_tube_goes_before_it_is_taken_in_makes_it_anew(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The producer turns to another tube in the middle of its put."""
    producer = broker.producer("orders")

    class Turning(Record):
        def __init__(self) -> None:
            producer.use("emails")

    monkeypatch.setattr("inproc_tubes.producer.Record", Turning)
    producer.put("job")
    assert ["default", "emails", "orders"] == sorted(broker.tubes())
    assert "job" == broker.peek_ready("orders").body
    broker._engine._check()


def test_a_job_that_is_left_at_the_door_is_seen_by_the_next_turn(
    broker: Broker,
) -> None:
    broker.producer().put("job")
    assert 1 == len(broker._engine.inbox)
    assert 1 == broker.stats_tube("default").current_jobs_ready
    assert not broker._engine.inbox


def test_the_repr_of_a_broker_tells_of_jobs_that_are_left_at_the_door(
    broker: Broker,
) -> None:
    producer = broker.producer()
    producer.put("job")
    producer.put("job", delay=1)
    assert "<Broker: 1 ready, 1 delayed in 1 tube>" == repr(broker)
    assert 2 == len(broker._engine.inbox)


def test_a_delayed_job_that_is_left_at_the_door_matures_by_its_own_time(
    broker: Broker, clock: RecordingClock
) -> None:
    producer = broker.producer()  # not dropped: that would be a turn
    producer.put("job", delay=10)
    assert START + 10 == clock.advance_to_next()
    assert "job" == broker.peek_ready().body


def test_a_job_that_is_left_at_the_door_keeps_the_tube_of_a_dropped_producer(
    broker: Broker,
) -> None:
    producer = broker.producer("orders")
    broker.pause_tube("orders", 10)
    producer.put("job")
    del producer
    assert 1 == len(broker._notes)
    with broker.consumer("orders") as consumer, pytest.raises(TimedOutError):
        consumer.reserve(timeout=0)  # it is paused still


def test_a_job_that_is_left_at_the_door_holds_up_a_join_if_a_put_is_interrupted(
    broker: Broker, clock: RecordingClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The put and the join have come in the middle of the put that left it."""
    broker.limit_tube("full", 1)
    producer, consumer = broker.producer("full"), broker.consumer("full")
    other = broker.producer("other")
    producer.put("buried")
    consumer.reserve().bury()
    futures: list[Future[int]] = []
    began, returned = Event(), Event()

    def interrupt() -> None:
        began.set()
        assert returned.wait(LONG)
        raise KeyboardInterrupt

    class Meddling(Record):
        def __init__(self) -> None:
            clock.interrupt = interrupt
            futures.append(waiting(broker, lambda: producer.put("too much")))
            assert began.wait(LONG)
            futures.append(waiting(broker, broker.join))

    monkeypatch.setattr("inproc_tubes.producer.Record", Meddling)
    other.put("job")
    returned.set()
    assert isinstance(futures[0].exception(LONG), KeyboardInterrupt)
    assert 1 == broker._engine.all_waiting
    broker.consumer("other").reserve().delete()
    assert 1 == futures[1].result(LONG)


def test_a_put_that_is_overtaken_by_a_drain_is_refused(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or it would be a surprise to who drains, joins and closes the broker."""
    producer = broker.producer()

    class Overtaken(Record):
        def __init__(self) -> None:
            broker.drain()

    monkeypatch.setattr("inproc_tubes.producer.Record", Overtaken)
    with pytest.raises(DrainingError):
        producer.put("job")
    assert 0 == broker.join(timeout=0)
    assert (1, 0) == (broker.stats().cmd_put, broker.stats().total_jobs)
    broker._engine._check()


def test_a_put_that_has_left_its_job_just_before_a_drain_is_not_refused(
    broker: Broker,
) -> None:
    class Overtaken(deque[Record]):
        def append(self, record: Record) -> None:
            super().append(record)
            broker.drain()

    broker._engine.inbox = Overtaken()
    assert 1 == broker.producer().put("job")
    assert "job" == broker.peek(1).body


def test_jobs_do_not_pile_up_at_the_door(broker: Broker) -> None:
    """Several producers would leave them faster than they can be taken in."""
    producer = broker.producer()
    left = []
    for _ in range(1000):
        producer.put("job")
        left.append(len(broker._engine.inbox))
    assert 255 == max(left)


# A crowd


def test_who_finds_the_lock_taken_lets_its_owner_go_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lock = Lock()
    gifts: list[None] = []

    def give_way() -> None:
        gifts.append(None)
        if len(gifts) == 3:
            lock.release()

    monkeypatch.setattr("inproc_tubes.latch.give_way", give_way)
    lock.acquire()
    with crowd_latch(lock):
        assert 3 == len(gifts)
        assert lock.locked()
    assert not lock.locked()


def test_who_has_been_patient_for_long_sleeps_on_the_lock_after_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lock = Lock()
    patient = Event()
    gifts: list[None] = []

    def give_way() -> None:
        gifts.append(None)
        if len(gifts) == _PATIENCE:
            patient.set()

    def take() -> bool:
        with crowd_latch(lock):
            return lock.locked()

    monkeypatch.setattr("inproc_tubes.latch.give_way", give_way)
    lock.acquire()
    future = start(take)
    assert patient.wait(LONG)
    lock.release()
    assert future.result(LONG)
    assert _PATIENCE == len(gifts)


@pytest.mark.parametrize("latch", [quick_latch, crowd_latch])
def test_a_latch_is_released_by_an_error_too(
    latch: Callable[[Lock], AbstractContextManager[object]],
) -> None:
    lock = Lock()
    with pytest.raises(AssertionError, match=r"^taken$"), latch(lock):
        raise AssertionError("taken" if lock.locked() else "free")
    assert not lock.locked()


@pytest.mark.parametrize("latch", [quick_latch, crowd_latch])
def test_a_latch_is_released_if_a_signal_raises_as_the_lock_is_taken(
    latch: Callable[[Any], AbstractContextManager[object]],
) -> None:
    """Or whoever closes his broker after a Ctrl-C would wait for ever."""
    lock = Lock()
    # The signal comes before the lock is taken, and its handler runs after: there is
    # no step of Python between the two.
    signalled: tuple[Callable[[], object], ...] = (interrupt_main, lock.acquire)

    class Interrupting:
        acquire = __enter__ = staticmethod(
            partial(next, filter(None, map(call, signalled)))
        )
        __exit__ = lock.__exit__

    with pytest.raises(KeyboardInterrupt), latch(Interrupting()):
        assert lock.locked()
    assert not lock.locked()


def test_another_thread_makes_a_broker_ready_for_a_crowd(broker: Broker) -> None:
    quick = broker._latch
    producer = broker.producer()
    for body in range(256):
        producer.put(body)
    assert quick is broker._latch
    # Not at once, but soon.
    start(lambda: producer.put_many(range(256))).result(LONG)
    assert quick is broker._latch
    start(lambda: [producer.put(body) for body in range(256)]).result(LONG)
    assert broker._crowd_latch is broker._latch


def test_a_handle_for_another_thread_makes_a_broker_ready_for_a_crowd(
    broker: Broker,
) -> None:
    start(broker.consumer).result(LONG)
    assert broker._crowd_latch is broker._latch


def test_the_first_to_wait_makes_a_broker_ready_for_a_crowd(broker: Broker) -> None:
    quick = broker._latch
    consumer = broker.consumer()
    broker.producer().put("job")
    consumer.reserve().delete()
    with pytest.raises(TimedOutError):
        consumer.reserve(timeout=0)
    assert quick is broker._latch
    future = waiting(broker, consumer.reserve)
    assert broker._crowd_latch is broker._latch
    broker.producer().put("job")
    assert "job" == future.result(LONG).body
