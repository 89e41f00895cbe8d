"""How threads wait: in what order, until when, and how they are interrupted."""

from __future__ import annotations

import subprocess
import sys
from threading import Condition, current_thread
from typing import TYPE_CHECKING, Any

import pytest

from inproc_tubes import (
    Broker,
    ClosedError,
    Consumer,
    DeadlineSoonError,
    Job,
    NotFoundError,
    TimedOutError,
)
from inproc_tubes.testing import FakeClock, wait_until_waiting
from tests.threads import LONG, waiting

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

START = 1_000_000.0


class RecordingClock(FakeClock):
    """Knows who sleeps until when, and who was roused how often.

    ``interrupt``, if set, is called by the next thread that lies down, and may raise.
    """

    def __init__(self) -> None:
        super().__init__()
        self._changed = Condition()
        self._asleep: dict[str, float] = {}
        self.returns: dict[str, int] = {}
        self.interrupt: Callable[[], None] | None = None

    def park(self, waiter: Any, due_at: float) -> None:
        name = current_thread().name
        interrupt, self.interrupt = self.interrupt, None
        if interrupt is not None:
            interrupt()
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


# In what order


def test_consumers_are_served_in_the_order_in_which_they_began_to_wait(
    broker: Broker,
) -> None:
    futures = [waiting(broker, broker.consumer().reserve) for _ in range(5)]
    producer = broker.producer()
    ids = [producer.put(n) for n in range(5)]
    assert ids == [future.result(LONG).id for future in futures]


def test_who_waits_again_is_last_in_line(broker: Broker) -> None:
    producer = broker.producer()
    first = broker.consumer()
    served = waiting(broker, first.reserve)
    second = waiting(broker, broker.consumer().reserve)
    producer.put("for the first")
    served.result(LONG)
    again = waiting(broker, first.reserve)
    producer.put("for the second")
    producer.put("for the first again")
    assert "for the second" == second.result(LONG).body
    assert "for the first again" == again.result(LONG).body


def test_threads_on_one_handle_are_served_in_the_order_of_their_coming(
    broker: Broker,
) -> None:
    consumer = broker.consumer()
    futures = [waiting(broker, consumer.reserve) for _ in range(3)]
    ids = [broker.producer().put(n) for n in range(3)]
    jobs = [future.result(LONG) for future in futures]
    assert ids == [job.id for job in jobs]
    # They hold the jobs in common.
    consumer.delete(jobs[0])
    consumer.release(jobs[1].id)
    jobs[2].bury()


def test_who_watches_another_tube_is_passed_over(broker: Broker) -> None:
    longer = waiting(broker, broker.consumer("a").reserve)
    shorter = waiting(broker, broker.consumer("b").reserve)
    job_id = broker.producer("b").put("b")
    assert job_id == shorter.result(LONG).id
    assert not longer.done()
    broker.close()
    assert isinstance(longer.exception(LONG), ClosedError)


# What serves, and when

Prepared = tuple[int, "Callable[[], object]"]


def by_put(broker: Broker, _clock: FakeClock) -> Prepared:
    return 1, lambda: broker.producer("b").put("job")


def by_put_into_this_tube_alone(broker: Broker, _clock: FakeClock) -> Prepared:
    return 1, lambda: broker.producer("x").put("job", tube="b")


def by_release(broker: Broker, _clock: FakeClock) -> Prepared:
    broker.producer("b").put("job")
    job = broker.consumer("b").reserve()
    return job.id, job.release


def by_release_with_a_delay(broker: Broker, clock: FakeClock) -> Prepared:
    broker.producer("b").put("job")
    job = broker.consumer("b").reserve()
    job.release(delay=5)
    return job.id, lambda: clock.advance(5)


def by_kick(broker: Broker, _clock: FakeClock) -> Prepared:
    broker.producer("b").put("job")
    job = broker.consumer("b").reserve()
    job.bury()
    return job.id, lambda: broker.kick("b", 1)


def by_kick_of_a_delayed_job(broker: Broker, _clock: FakeClock) -> Prepared:
    job_id = broker.producer("b").put("job", delay=100)
    return job_id, lambda: broker.kick_job(job_id)


def by_delay(broker: Broker, clock: FakeClock) -> Prepared:
    job_id = broker.producer("b").put("job", delay=0.25)
    return job_id, lambda: clock.advance(0.25)


def by_expiry(broker: Broker, clock: FakeClock) -> Prepared:
    broker.producer("b").put("job", ttr=3)
    job = broker.consumer("b").reserve()
    broker.producer("x").put(job)  # which keeps it, and its consumer
    return job.id, lambda: clock.advance(3)


def by_the_end_of_a_pause(broker: Broker, clock: FakeClock) -> Prepared:
    job_id = broker.producer("b").put("job")
    broker.pause_tube("b", 7)
    return job_id, lambda: clock.advance(7)


def by_a_pause_of_0(broker: Broker, _clock: FakeClock) -> Prepared:
    job_id = broker.producer("b").put("job")
    broker.pause_tube("b", 7)
    return job_id, lambda: broker.pause_tube("b", 0)


def by_close(broker: Broker, _clock: FakeClock) -> Prepared:
    broker.producer("b").put("job")
    other = broker.consumer("b")
    job_id = other.reserve().id
    return job_id, other.close


ARRIVALS = [
    by_put,
    by_put_into_this_tube_alone,
    by_release,
    by_release_with_a_delay,
    by_kick,
    by_kick_of_a_delayed_job,
    by_delay,
    by_expiry,
    by_the_end_of_a_pause,
    by_a_pause_of_0,
    by_close,
]


@pytest.mark.parametrize("arrival", ARRIVALS, ids=lambda arrival: arrival.__name__)
def test_a_job_is_in_waiting_hands_before_the_verb_returns(
    broker: Broker,
    clock: RecordingClock,
    arrival: Callable[[Broker, FakeClock], Prepared],
) -> None:
    job_id, bring = arrival(broker, clock)
    consumer = broker.consumer("a", "b", "c")
    future = waiting(broker, consumer.reserve)
    bring()
    assert "reserved" == broker.stats_job(job_id).state
    assert job_id == future.result(LONG).id
    broker._engine._check()


def test_a_consumer_of_several_tubes_takes_what_comes_first(
    broker: Broker, clock: RecordingClock
) -> None:
    other = broker.consumer("b")
    broker.producer("b").put("expired", ttr=2)
    held = other.reserve()
    broker.producer("c").put("un-paused")
    broker.pause_tube("c", 3)
    broker.producer("a").put("delayed", delay=1)
    broker.producer("d").put("last")
    broker.pause_tube("d", 4)
    consumer = broker.consumer("d", "c", "b", "a")
    bodies = []
    for _ in range(4):
        future = waiting(broker, consumer.reserve)
        clock.advance(1)
        job = future.result(LONG)
        bodies.append(job.body)
        job.delete()
    assert ["delayed", "expired", "un-paused", "last"] == bodies
    with pytest.raises(NotFoundError):
        held.delete()


def test_watch_from_another_thread_serves_who_waits(broker: Broker) -> None:
    job_id = broker.producer("b").put("job")
    consumer = broker.consumer("a")
    future = waiting(broker, consumer.reserve)
    assert 2 == consumer.watch("b")
    assert "reserved" == broker.stats_job(job_id).state
    assert job_id == future.result(LONG).id


def test_ignore_from_another_thread_takes_effect_at_once(broker: Broker) -> None:
    consumer = broker.consumer("a", "b")
    future = waiting(broker, consumer.reserve)
    assert 1 == consumer.ignore("b")
    ignored = broker.producer("b").put("ignored")
    assert "ready" == broker.stats_job(ignored).state
    job_id = broker.producer("a").put("job")
    assert job_id == future.result(LONG).id


def test_who_has_waited_longest_is_first_in_a_tube_that_he_watches_last(
    broker: Broker,
) -> None:
    consumer = broker.consumer("a")
    longer = waiting(broker, consumer.reserve)
    shorter = waiting(broker, broker.consumer("b").reserve)
    consumer.watch("b")
    first, second = (broker.producer("b").put(n) for n in range(2))
    assert first == longer.result(LONG).id
    assert second == shorter.result(LONG).id


# Until when


def test_a_job_beats_a_timeout_of_the_same_moment(
    broker: Broker, clock: RecordingClock
) -> None:
    job_id = broker.producer().put("job", delay=5)
    lucky = waiting(broker, lambda: broker.consumer().reserve(timeout=5))
    unlucky = waiting(broker, lambda: broker.consumer().reserve(timeout=5))
    clock.advance(5)
    assert job_id == lucky.result(LONG).id
    error = unlucky.exception(LONG)
    assert isinstance(error, TimedOutError)
    assert 5 == error.timeout


def test_no_timeout_ends_a_moment_too_early(
    broker: Broker, clock: RecordingClock
) -> None:
    waiting(broker, lambda: broker.consumer().reserve(timeout=5))
    clock.advance(4.999)
    assert 1 == broker.stats().current_waiting
    clock.advance(0.001)
    assert 0 == broker.stats().current_waiting


def test_all_who_wait_on_a_handle_hear_deadline_soon(
    broker: Broker, clock: RecordingClock
) -> None:
    consumer = broker.consumer()
    job_id = broker.producer().put("job", ttr=10)
    held = consumer.reserve()
    futures = [waiting(broker, consumer.reserve) for _ in range(3)]
    iterating = waiting(broker, lambda: next(consumer))
    stranger = waiting(broker, broker.consumer().reserve)
    clock.advance(9)
    errors = [future.exception(LONG) for future in futures]
    for error in errors:
        assert isinstance(error, DeadlineSoonError)
        assert (job_id, 1) == (error.job_id, error.time_left)
    # Each thread raises its own, or their tracebacks would be mingled.
    assert 3 == len({id(error) for error in errors})
    assert 2 == broker.stats().current_waiting
    held.delete()
    broker.close()
    assert isinstance(iterating.exception(LONG), StopIteration)
    assert isinstance(stranger.exception(LONG), ClosedError)


def test_who_begins_to_wait_within_the_margin_hears_deadline_soon_at_once(
    broker: Broker, clock: RecordingClock
) -> None:
    consumer = broker.consumer()
    broker.producer().put("job", ttr=10)
    held = consumer.reserve()
    clock.advance(9.5)
    with pytest.raises(DeadlineSoonError) as info:
        consumer.reserve()
    assert (held.id, 0.5) == (info.value.job_id, info.value.time_left)


def test_another_thread_hears_of_a_job_that_was_handed_over_within_its_margin(
    broker: Broker,
) -> None:
    consumer = broker.consumer()
    lucky = waiting(broker, consumer.reserve)
    other = waiting(broker, consumer.reserve)
    job_id = broker.producer().put("job", ttr=1)
    assert job_id == lucky.result(LONG).id
    assert isinstance(other.exception(LONG), DeadlineSoonError)


def test_iteration_waits_on_through_the_margin(
    broker: Broker, clock: RecordingClock
) -> None:
    consumer = broker.consumer()
    job_id = broker.producer().put("job", ttr=10)
    lost = consumer.reserve()
    future = waiting(broker, lambda: next(consumer))
    clock.advance(9.5)
    assert 1 == broker.stats().current_waiting
    clock.advance(0.5)
    job = future.result(LONG)
    assert (job_id, 1) == (job.id, job.timeouts)
    with pytest.raises(NotFoundError):
        lost.delete()


@pytest.mark.parametrize("closed", ["consumer", "broker"])
def test_iteration_ends_on_close(broker: Broker, closed: str) -> None:
    consumer = broker.consumer()
    bodies = []

    def work() -> None:
        for job in consumer:
            bodies.append(job.body)
            job.delete()

    future = waiting(broker, work)
    broker.producer().put("job")
    wait_until_waiting(broker, 1)
    if closed == "consumer":
        consumer.close()
    else:
        broker.close()
    future.result(LONG)
    assert ["job"] == bodies


def test_closing_a_consumer_rouses_all_who_wait_on_it_and_nobody_else(
    broker: Broker,
) -> None:
    consumer = broker.consumer()
    futures = [waiting(broker, consumer.reserve) for _ in range(3)]
    stranger = waiting(broker, broker.consumer().reserve)
    consumer.close()
    for future in futures:
        with pytest.raises(ClosedError, match=r"^the consumer was closed$"):
            future.result(LONG)
    assert 1 == broker.stats().current_waiting
    broker.producer().put("job")
    assert "job" == stranger.result(LONG).body


def test_closing_the_broker_rouses_everybody_and_it_stays_closed(
    broker: Broker,
) -> None:
    # The first of them keeps time, so that the office passes on while all leave.
    futures = [waiting(broker, broker.consumer().reserve) for _ in range(3)]
    broker.close()
    for future in futures:
        with pytest.raises(ClosedError, match=r"^the broker was closed$"):
            future.result(LONG)
    with pytest.raises(ClosedError):
        broker.tubes()


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
    broker._threads.nudge()
    clock.wait_until_asleep(a=INF)
    broker.close()
    assert isinstance(future.exception(LONG), ClosedError)


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


def test_a_reserve_interrupted_with_its_job_in_hand_gives_it_back(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_args: object) -> None:
        raise KeyboardInterrupt

    consumer = broker.consumer()
    broker.producer().put("job")
    with monkeypatch.context() as patch:
        patch.setattr("inproc_tubes.consumer.Job", interrupted)
        with pytest.raises(KeyboardInterrupt):
            consumer.reserve()
    stats = broker.stats_job(1)
    assert ("ready", 0) == (stats.state, stats.reserves)
    assert 1 == consumer.reserve().reserves


def snapshot(broker: Broker) -> dict[str, object]:
    stats = broker.stats().as_dict()
    for name in ("rusage-utime", "rusage-stime", "cmd-stats", "cmd-reserve"):
        del stats[name]
    return stats


@pytest.mark.parametrize("exception", [KeyboardInterrupt, SystemExit, RuntimeError])
def test_an_interrupted_reserve_leaves_the_queue_as_it_was(
    broker: Broker, clock: RecordingClock, exception: type[BaseException]
) -> None:
    consumer = broker.consumer()
    with pytest.raises(TimedOutError):
        consumer.reserve(timeout=0)
    broker.producer().put("job", delay=10)
    before = snapshot(broker)

    def interrupt() -> None:
        assert 1 == broker._engine.waiting
        raise exception

    clock.interrupt = interrupt
    with pytest.raises(exception):
        consumer.reserve()
    assert before == snapshot(broker)
    broker._engine._check()


@pytest.mark.parametrize("exception", [KeyboardInterrupt, SystemExit, RuntimeError])
def test_a_job_that_came_too_late_goes_back_to_its_place(
    broker: Broker, clock: RecordingClock, exception: type[BaseException]
) -> None:
    producer = broker.producer()
    consumer = broker.consumer()

    def interrupt() -> None:
        first = producer.put("first")
        assert "reserved" == broker.stats_job(first).state
        producer.put("second")
        raise exception

    clock.interrupt = interrupt
    with pytest.raises(exception):
        consumer.reserve()
    stats = broker.stats_job(1)
    assert ("ready", 0, 0) == (stats.state, stats.reserves, stats.releases)
    broker._engine._check()
    assert ["first", "second"] == [consumer.reserve(0).body for _ in range(2)]


def test_a_job_that_came_too_late_goes_to_the_next_who_waits(
    broker: Broker, clock: RecordingClock
) -> None:
    futures: list[Future[Job]] = []

    def interrupt() -> None:
        futures.append(waiting(broker, broker.consumer().reserve))
        broker.producer().put("job")
        raise KeyboardInterrupt

    clock.interrupt = interrupt
    with pytest.raises(KeyboardInterrupt):
        broker.consumer().reserve()
    job = futures[0].result(LONG)
    assert ("job", 1) == (job.body, job.reserves)


@pytest.mark.parametrize("end", ["consumer", "broker", "job", "expiry"])
def test_what_became_of_a_job_before_the_interruption_stands(
    broker: Broker, clock: RecordingClock, end: str
) -> None:
    consumer = broker.consumer()

    def interrupt() -> None:
        job_id = broker.producer().put("job", ttr=1)
        ends: dict[str, Callable[[], None]] = {
            "consumer": consumer.close,
            "broker": broker.close,
            "job": lambda: consumer.delete(job_id),
            "expiry": lambda: clock.advance(1),
        }
        ends[end]()
        raise KeyboardInterrupt

    clock.interrupt = interrupt
    with pytest.raises(KeyboardInterrupt):
        consumer.reserve()
    if end == "broker":
        assert broker._engine.closed
    else:
        states = {"consumer": ["ready"], "job": [], "expiry": ["ready"]}
        jobs = broker._engine.jobs.values()
        assert states[end] == [record.state.value for record in jobs]
        broker._engine._check()


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


def test_an_interrupted_iteration_gives_its_job_back(
    broker: Broker, clock: RecordingClock
) -> None:
    def interrupt() -> None:
        broker.producer().put("job")
        raise KeyboardInterrupt

    clock.interrupt = interrupt
    with pytest.raises(KeyboardInterrupt):
        next(broker.consumer())
    assert "ready" == broker.stats_job(1).state


SIGNALLED = """
import signal, threading
from inproc_tubes import Broker
from inproc_tubes.testing import FakeClock, wait_until_waiting

broker = Broker(clock=FakeClock())
consumer = broker.consumer()

hits = []
def handle(number, frame):
    hits.append(number)
    if len(hits) == 1:
        raise KeyboardInterrupt
signal.signal(signal.SIGINT, handle)

def interrupt():
    wait_until_waiting(broker, 1)
    # CPython sleeps over a signal that comes just before its sem_wait: try again.
    while not hits:
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        threading.Event().wait(0.01)

helper = threading.Thread(target=interrupt)
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
        [sys.executable, "-W", "error", "-c", SIGNALLED],
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
