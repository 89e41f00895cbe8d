"""The beginnings and ends of brokers and handles, the violent ones included."""

from __future__ import annotations

import copy
import gc
import os
import pickle
import subprocess
import sys
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from inproc_tubes import (
    Broker,
    ClosedError,
    Consumer,
    DeadlockError,
    Job,
    NotFoundError,
    Producer,
    TimedOutError,
    TubeFullError,
)
from inproc_tubes.testing import FakeClock
from tests.threads import LONG, waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class MeddlingClock(FakeClock):
    """Runs ``meddle``, once, the next time a turn reads the clock: under the lock.

    And ``meddle_in_park`` each time that a thread is about to sleep.
    """

    def __init__(self) -> None:
        self.meddle: Callable[[], object] | None = None
        self.meddle_in_park: Callable[[], object] = lambda: None
        self.lock_was_held = False
        self.lock: Any = None
        super().__init__()

    def attach(self, broker: Any) -> None:
        super().attach(broker)
        self.lock = broker._lock

    def park(self, waiter: Any, due_at: float) -> None:
        self.meddle_in_park()
        super().park(waiter, due_at)

    def now(self) -> float:
        meddle, self.meddle = self.meddle, None
        if meddle is not None:
            self.lock_was_held = self.lock.locked()
            meddle()
        return super().now()


@pytest.fixture
def clock() -> MeddlingClock:
    return MeddlingClock()


@pytest.fixture
def broker(clock: MeddlingClock) -> Broker:
    return Broker(clock=clock)


def held(broker: Broker, *bodies: str, ttr: float = 60) -> Consumer:
    """Return a consumer that holds these jobs."""
    consumer = broker.consumer()
    for body in bodies:
        broker.producer().put(body, ttr=ttr)
        consumer.reserve()
    return consumer


def state(broker: Broker, job_id: int = 1) -> str:
    return broker.stats_job(job_id).state


# Closing


def test_a_broker_ends_with_its_block(clock: MeddlingClock) -> None:
    with Broker(clock=clock) as broker:
        producer = broker.producer()
        broker.tubes()
    with pytest.raises(ClosedError, match=r"^the broker was closed$"):
        broker.tubes()
    with pytest.raises(ClosedError, match=r"^the broker was closed$"):
        producer.put("job")


def test_a_producer_ends_with_its_block(broker: Broker) -> None:
    with broker.producer("a") as producer:
        assert "a" in broker.tubes()
    assert "a" not in broker.tubes()
    with pytest.raises(ClosedError, match=r"^the producer was closed$"):
        producer.put("job")


def test_a_consumer_ends_with_its_block_and_gives_its_jobs_back(
    broker: Broker,
) -> None:
    with held(broker, "first", "second") as consumer:
        assert "reserved" == state(broker, 1) == state(broker, 2)
    assert "ready" == state(broker, 1) == state(broker, 2)
    with pytest.raises(ClosedError, match=r"^the consumer was closed$"):
        consumer.reserve()


def test_a_block_that_fails_closes_all_the_same(broker: Broker) -> None:
    def fail() -> None:
        with broker, broker.producer(), held(broker, "job"):
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    assert "<Broker: the broker was closed>" == repr(broker)


def test_a_closed_consumer_gives_back_in_the_order_of_reserving(
    broker: Broker,
) -> None:
    consumer = held(broker, "first", "second", "third")
    futures = [waiting(broker, broker.consumer().reserve) for _ in range(3)]
    consumer.close()
    bodies = [future.result(LONG).body for future in futures]
    assert ["first", "second", "third"] == bodies
    stats = broker.stats_job(1)
    assert (2, 0, 0) == (stats.reserves, stats.timeouts, stats.releases)


def test_closing_twice_does_no_harm(broker: Broker) -> None:
    handles: list[Producer | Consumer] = [broker.producer(), broker.consumer()]
    for handle in handles:
        handle.close()
        handle.close()
    assert 0 == broker.stats().current_connections
    handles = [broker.producer(), broker.consumer()]
    broker.close()
    broker.close()
    for handle in handles:
        handle.close()
        assert repr(handle).endswith(": the broker was closed>")


def test_handles_are_counted_until_they_are_closed(broker: Broker) -> None:
    handles: list[Producer | Consumer] = [broker.producer("a"), broker.consumer("b")]
    assert 2 == broker.stats().current_connections
    for handle in handles:
        handle.close()
    assert 0 == broker.stats().current_connections
    assert 2 == broker.stats().total_connections
    assert ["default"] == broker.tubes()


PRODUCER_VERBS: dict[str, Callable[[Producer], object]] = {
    "put": lambda producer: producer.put("job"),
    "put in a tube": lambda producer: producer.put("job", tube="a"),
    "put too much": lambda producer: producer.put("x" * 65536),
    "put_many": lambda producer: producer.put_many(["job", "job"]),
    "put_many of none": lambda producer: producer.put_many([]),
    "put too many": lambda producer: producer.put_many(["job", "x" * 65536]),
    "use": lambda producer: producer.use("a"),
    "using": lambda producer: producer.using(),
}
CONSUMER_VERBS: dict[str, Callable[[Consumer], object]] = {
    "watch": lambda consumer: consumer.watch("a"),
    "ignore": lambda consumer: consumer.ignore("a"),
    "watching": lambda consumer: consumer.watching(),
    "reserve": lambda consumer: consumer.reserve(),
    "reserve at once": lambda consumer: consumer.reserve(timeout=0),
    "reserve_many": lambda consumer: consumer.reserve_many(2),
    "reserve_job": lambda consumer: consumer.reserve_job(1),
    "delete": lambda consumer: consumer.delete(1),
    "release": lambda consumer: consumer.release(1),
    "bury": lambda consumer: consumer.bury(1),
    "touch": lambda consumer: consumer.touch(1),
}
JOB_VERBS: dict[str, Callable[[Job], object]] = {
    "delete": lambda job: job.delete(),
    "release": lambda job: job.release(),
    "bury": lambda job: job.bury(),
    "touch": lambda job: job.touch(),
}
BROKER_VERBS: dict[str, Callable[[Broker], object]] = {
    "producer": lambda broker: broker.producer(),
    "consumer": lambda broker: broker.consumer(),
    "tubes": lambda broker: broker.tubes(),
    "stats": lambda broker: broker.stats(),
    "stats_tube": lambda broker: broker.stats_tube("default"),
    "stats_job": lambda broker: broker.stats_job(1),
    "peek": lambda broker: broker.peek(1),
    "peek_ready": lambda broker: broker.peek_ready("default"),
    "peek_delayed": lambda broker: broker.peek_delayed("default"),
    "peek_buried": lambda broker: broker.peek_buried("default"),
    "kick": lambda broker: broker.kick("default", 1),
    "kick_job": lambda broker: broker.kick_job(1),
    "delete": lambda broker: broker.delete(1),
    "pause_tube": lambda broker: broker.pause_tube("default", 1),
    "limit_tube": lambda broker: broker.limit_tube("default", 1),
    "jobs": lambda broker: broker.jobs("default"),
    "clear_tube": lambda broker: broker.clear_tube("default"),
    "join": lambda broker: broker.join(),
    "drain": lambda broker: broker.drain(),
}


@pytest.mark.parametrize("verb", PRODUCER_VERBS)
@pytest.mark.parametrize("closed", ["producer", "broker"])
def test_a_closed_producer_refuses_every_verb(
    broker: Broker, verb: str, closed: str
) -> None:
    producer = broker.producer()
    (producer if closed == "producer" else broker).close()
    with pytest.raises(ClosedError, match=rf"^the {closed} was closed$") as info:
        PRODUCER_VERBS[verb](producer)
    assert f"the {closed} was closed" == info.value.what


@pytest.mark.parametrize("verb", CONSUMER_VERBS)
@pytest.mark.parametrize("closed", ["consumer", "broker"])
def test_a_closed_consumer_refuses_every_verb(
    broker: Broker, verb: str, closed: str
) -> None:
    consumer = held(broker, "job")
    (consumer if closed == "consumer" else broker).close()
    with pytest.raises(ClosedError, match=rf"^the {closed} was closed$"):
        CONSUMER_VERBS[verb](consumer)
    assert [] == list(consumer)


@pytest.mark.parametrize("verb", JOB_VERBS)
@pytest.mark.parametrize("closed", ["consumer", "broker"])
def test_a_job_of_a_closed_consumer_refuses_every_verb(
    broker: Broker, verb: str, closed: str
) -> None:
    broker.producer().put("job")
    consumer = broker.consumer()
    job = consumer.reserve()
    (consumer if closed == "consumer" else broker).close()
    with pytest.raises(ClosedError, match=rf"^the {closed} was closed$"):
        JOB_VERBS[verb](job)


@pytest.mark.parametrize("verb", BROKER_VERBS)
def test_a_closed_broker_refuses_every_verb(broker: Broker, verb: str) -> None:
    held(broker, "job")
    broker.close()
    with pytest.raises(ClosedError, match=r"^the broker was closed$"):
        BROKER_VERBS[verb](broker)


def test_the_block_of_a_job_that_failed_tells_its_own_exception(
    broker: Broker,
) -> None:
    broker.producer().put("job")

    def work() -> None:
        with broker.consumer().reserve():
            broker.close()
            raise LookupError

    with pytest.raises(LookupError):
        work()


def test_the_block_of_a_job_that_is_done_tells_of_the_close(broker: Broker) -> None:
    broker.producer().put("job")
    with (
        pytest.raises(ClosedError, match=r"^the broker was closed$"),
        broker.consumer().reserve(),
    ):
        broker.close()


# Dropped


@pytest.mark.usefixtures("no_collector")
def test_a_dropped_consumer_gives_its_jobs_back(broker: Broker) -> None:
    consumer = held(broker, "first", "second")
    assert "reserved" == state(broker, 1) == state(broker, 2)
    del consumer
    assert "ready" == state(broker, 1) == state(broker, 2)
    assert 0 == broker.stats().current_connections


@pytest.mark.usefixtures("no_collector")
def test_a_job_in_hand_keeps_its_consumer(broker: Broker) -> None:
    broker.producer().put("job")
    job = broker.consumer().reserve()
    assert "reserved" == job.stats().state
    job.delete()
    with pytest.raises(NotFoundError):
        job.stats()


@pytest.mark.usefixtures("no_collector")
def test_a_consumer_dropped_in_a_cycle_gives_its_jobs_back(broker: Broker) -> None:
    cycle: list[object] = [held(broker, "job")]
    cycle.append(cycle)
    del cycle
    assert "reserved" == state(broker)
    gc.collect()
    assert "ready" == state(broker)


@pytest.mark.usefixtures("no_collector")
def test_a_dropped_producer_leaves_its_tube(broker: Broker) -> None:
    producer = broker.producer("a")
    assert "a" in broker.tubes()
    del producer
    assert "a" not in broker.tubes()
    assert 0 == broker.stats().current_connections


@pytest.mark.usefixtures("no_collector")
def test_a_dropped_consumer_serves_who_waits(broker: Broker) -> None:
    consumer = held(broker, "job")
    future = waiting(broker, broker.consumer().reserve)
    del consumer
    assert "job" == future.result(LONG).body


@pytest.mark.usefixtures("no_collector")
def test_a_consumer_dropped_before_time_moves_has_lost_nothing_by_expiry(
    broker: Broker, clock: MeddlingClock
) -> None:
    consumer = held(broker, "job", ttr=5)
    del consumer
    clock.advance(100)
    assert 0 == broker.stats_job(1).timeouts


@pytest.mark.usefixtures("no_collector")
def test_a_handle_dropped_after_its_broker_was_closed_leaves_no_note(
    broker: Broker,
) -> None:
    consumer = held(broker, "job")
    broker.close()
    del consumer
    assert not broker._notes


@pytest.mark.usefixtures("no_collector")
def test_a_note_that_is_read_after_the_close_is_void(broker: Broker) -> None:
    consumer = held(broker, "job")
    del consumer
    assert 1 == len(broker._notes)
    broker.close()
    assert not broker._notes


@pytest.mark.parametrize("make", ["producer", "consumer"])
def test_a_handle_that_was_never_made_needs_no_end(broker: Broker, make: str) -> None:
    """Its finaliser runs all the same, and a warning would be an error."""
    broker.close()
    with pytest.raises(ClosedError):
        getattr(broker, make)()
    gc.collect()


@pytest.mark.usefixtures("no_collector")
def test_an_error_told_to_a_waiter_is_in_no_reference_cycle() -> None:
    broker = Broker(clock=FakeClock(autojump=True))
    consumer = broker.consumer()
    with pytest.raises(TimedOutError):
        consumer.reserve(timeout=5)
    gone = weakref.ref(consumer)
    del consumer
    assert gone() is None


@pytest.mark.usefixtures("no_collector")
def test_an_error_told_to_a_put_is_in_no_reference_cycle() -> None:
    broker = Broker(clock=FakeClock(autojump=True))
    broker.limit_tube("default", 1)
    producer = broker.producer()
    producer.put("job")
    with pytest.raises(TubeFullError):
        producer.put("x", timeout=5)
    with pytest.raises(DeadlockError):
        producer.put_many("x")
    gone = weakref.ref(producer)
    del producer
    assert gone() is None


@pytest.mark.usefixtures("no_collector")
def test_an_error_told_to_a_join_is_in_no_reference_cycle() -> None:
    broker = Broker(clock=FakeClock(autojump=True))
    broker.producer().put("job")
    with pytest.raises(TimedOutError):
        broker.join(timeout=5)
    gone = weakref.ref(broker)
    del broker
    assert gone() is None


# Dropped under the lock

TURNS: dict[str, Callable[[Broker, Producer, Consumer], object]] = {
    "put": lambda _broker, producer, _consumer: producer.put("more", tube="more"),
    "reserve": lambda _broker, _producer, consumer: consumer.reserve(0),
    "delete": lambda _broker, _producer, consumer: consumer.delete(3),
    "stats": lambda broker, _producer, _consumer: broker.stats(),
    "close": lambda _broker, _producer, consumer: consumer.close(),
    "open": lambda broker, _producer, _consumer: broker.consumer(),
    "advance": lambda broker, _producer, _consumer: broker._look(),
}


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("in_a_cycle", [False, True])
@pytest.mark.parametrize("somebody_waits", [False, True])
@pytest.mark.usefixtures("no_collector")
def test_a_consumer_dropped_within_a_turn_gives_its_jobs_back(
    broker: Broker,
    clock: MeddlingClock,
    turn: str,
    in_a_cycle: bool,  # noqa: FBT001 - a parameter of the test
    somebody_waits: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """A collection may come at any time, also in a critical section."""
    producer, consumer = broker.producer(), broker.consumer()
    victims: list[object] = [held(broker, "first", "second")]
    producer.put("spare", tube="spare")
    future = None
    if somebody_waits:
        future = waiting(broker, broker.consumer().reserve)
    if in_a_cycle:
        victims.append(victims)
        clock.meddle = gc.collect
        del victims
    else:
        clock.meddle = victims.clear
    TURNS[turn](broker, producer, consumer)
    assert clock.lock_was_held
    if future is not None:
        assert future.result(LONG).body in {"first", "second"}
    broker.tubes()
    broker._engine._check()
    reserved = (turn == "reserve") + somebody_waits
    assert reserved == broker.stats().current_jobs_reserved
    assert 3 + (turn == "put") - (turn == "delete") == len(broker._engine.jobs)


@pytest.mark.usefixtures("no_collector")
def test_the_block_of_a_generator_that_is_dropped_takes_no_lock_either(
    broker: Broker, clock: MeddlingClock
) -> None:
    def work() -> Iterator[str]:
        with broker.consumer() as consumer, consumer.reserve() as job:
            yield job.body

    broker.producer().put("job")
    doomed = [work()]
    assert "job" == next(doomed[0])
    clock.meddle = doomed.clear
    with pytest.raises(NotFoundError):
        broker.peek_ready()
    assert clock.lock_was_held
    assert "job" == broker.peek_buried().body
    assert 0 == broker.stats().current_connections


ENDS_OF_BROKERS: dict[str, Callable[[Broker, Producer], object]] = {
    "verb": lambda _broker, producer: producer.using(),
    "close of a handle": lambda _broker, producer: producer.close(),
    "close of the broker": lambda broker, _producer: broker.close(),
    "advance": lambda broker, _producer: broker._look(),
    "next moment": lambda broker, _producer: broker._next_due(),
}


@pytest.mark.parametrize("turn", ENDS_OF_BROKERS)
@pytest.mark.usefixtures("no_collector")
def test_the_block_of_a_broker_that_is_dropped_within_a_turn_closes_it(
    clock: MeddlingClock, turn: str
) -> None:
    def work() -> Iterator[Broker]:
        with Broker(clock=clock) as broker:
            yield broker

    doomed = [work()]
    broker = next(doomed[0])
    producer = broker.producer()
    future = waiting(broker, broker.consumer().reserve)
    if turn in {"close of the broker", "next moment"}:
        doomed.clear()  # these do not read the clock
    else:
        clock.meddle = doomed.clear
    with suppress(ClosedError):
        ENDS_OF_BROKERS[turn](broker, producer)
    assert not doomed
    with pytest.raises(ClosedError, match=r"^the broker was closed$"):
        future.result(LONG)
    assert "<Broker: the broker was closed>" == repr(broker)


@pytest.mark.usefixtures("no_collector")
def test_a_consumer_that_dies_with_a_body_is_noted_for_the_next_turn(
    broker: Broker,
) -> None:
    """The engine drops the body at the end of its verb: under the lock."""
    consumer = held(broker, "job")
    body = broker.producer().put([consumer])
    del consumer
    broker.delete(body)
    assert 1 == len(broker._notes)
    assert "ready" == state(broker)


@pytest.mark.usefixtures("no_collector")
def test_a_consumer_that_dies_with_a_body_serves_who_waits(broker: Broker) -> None:
    consumer = held(broker, "job")
    body = broker.producer("bodies").put([consumer])
    del consumer
    future = waiting(broker, broker.consumer().reserve)
    broker.delete(body)
    assert "job" == future.result(LONG).body


@pytest.mark.usefixtures("no_collector")
def test_a_consumer_dropped_just_before_another_sleeps_serves_it(
    broker: Broker, clock: MeddlingClock
) -> None:
    """The note comes after the last look at the notes, and before the sleep."""
    victims = [held(broker, "job")]
    clock.meddle_in_park = victims.clear
    assert "job" == broker.consumer().reserve().body


# The broker's own end


@pytest.mark.usefixtures("no_collector")
def test_a_dropped_broker_is_freed_at_once(clock: MeddlingClock) -> None:
    broker = Broker(clock=clock)
    consumer = held(broker, "job")
    with pytest.raises(TimedOutError):
        broker.consumer("other").reserve(timeout=0)
    gone = weakref.ref(broker)
    del broker, consumer
    assert gone() is None


@pytest.mark.usefixtures("no_collector")
def test_a_closed_broker_lets_go_of_the_bodies(broker: Broker) -> None:
    class Body:
        pass

    consumer = broker.consumer()
    gone = []
    for delay in (0, 0, 5):
        body = Body()
        gone.append(weakref.ref(body))
        broker.producer().put(body, delay=delay)
        del body
    consumer.reserve()
    assert all(ref() is not None for ref in gone)
    broker.close()
    assert all(ref() is None for ref in gone)


# Copies


@pytest.mark.parametrize(
    "what",
    ["Broker", "Producer", "Consumer", "AsyncProducer", "AsyncConsumer", "Job"],
)
@pytest.mark.parametrize(
    "double", [pickle.dumps, copy.copy, copy.deepcopy], ids=["pickle", "copy", "deep"]
)
def test_nothing_that_lives_here_is_doubled(
    broker: Broker, what: str, double: Callable[[object], object]
) -> None:
    broker.producer().put("job")
    things = {
        "Broker": broker,
        "Producer": broker.producer(),
        "Consumer": broker.consumer(),
        "AsyncProducer": broker.async_producer(),
        "AsyncConsumer": broker.async_consumer(),
        "Job": broker.consumer().reserve(),
    }
    reason = (
        rf"^a {what} can be neither pickled nor copied: "
        r"its jobs live in this process, behind one lock$"
    )
    with pytest.raises(TypeError, match=reason):
        double(things[what])


# Processes


def run(script: str) -> str:
    """Run a script in an interpreter of its own, to which every warning is an error."""
    result = subprocess.run(  # noqa: S603 - our own interpreter and script
        [sys.executable, "-W", "error", "-c", script],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (0, "") == (result.returncode, result.stderr)
    return result.stdout


FORKED = """
import os, threading, warnings
from inproc_tubes import Broker, ClosedError
from inproc_tubes.testing import FakeClock, wait_until_waiting

# Since 3.12: threads may hold locks as the process forks. That is the point here.
warnings.filterwarnings("ignore", "This process .* is multi-threaded")

broker = Broker(clock=FakeClock())
producer, consumer = broker.producer(), broker.consumer()
producer.put("job")
job = consumer.reserve()
waiting = threading.Thread(target=broker.consumer("other").reserve, daemon=True)
waiting.start()
wait_until_waiting(broker, 1)

# Another thread is in the middle of a turn.
inside, leave = threading.Event(), threading.Event()
def stay():
    with broker._lock:
        inside.set()
        leave.wait()
turn = threading.Thread(target=stay)
turn.start()
inside.wait()

child = os.fork()
if not child:
    for verb in (
        lambda: producer.put("job"),
        lambda: consumer.reserve(),
        lambda: consumer.watch("a"),
        lambda: job.delete(),
        broker.tubes,
        broker.stats,
        broker.producer,
        broker.consumer,
    ):
        try:
            verb()
        except ClosedError as error:
            print(error)
    print(list(consumer))
    broker.close()
    consumer.close()
    with Broker() as own:
        own.producer().put("the child's own")
        print(own.consumer().reserve(0).body, flush=True)
else:
    _, status = os.waitpid(child, 0)
    leave.set()
    turn.join()
    producer.put("served", tube="other")
    waiting.join()
    job.delete()
    print("the child's exit:", os.waitstatus_to_exitcode(status))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows cannot fork")
def test_after_a_fork_the_broker_is_the_parents() -> None:
    told = ["the broker belongs to the parent of this forked process"] * 8
    assert [*told, "[]", "the child's own", "the child's exit: 0"] == run(
        FORKED
    ).splitlines()


FORKED_IN_A_LOOP = """
import asyncio, os
from inproc_tubes import Broker, ClosedError

async def main():
    broker = Broker()
    producer, consumer = broker.async_producer(), broker.async_consumer()
    waiting = asyncio.create_task(consumer.reserve(timeout=60))
    await asyncio.sleep(0)
    child = os.fork()
    if not child:
        for verb in (lambda: producer.put("job"), consumer.reserve):
            try:
                await verb()
            except ClosedError as error:
                print(error, flush=True)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    await producer.put("job")
    print((await waiting).body, os.waitstatus_to_exitcode(status))

asyncio.run(main(), debug=True)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows cannot fork")
def test_after_a_fork_the_broker_is_the_parents_loops() -> None:
    told = ["the broker belongs to the parent of this forked process"] * 2
    assert [*told, "job 0"] == run(FORKED_IN_A_LOOP).splitlines()


BLOCKED = """
import threading
from inproc_tubes import Broker
from inproc_tubes.testing import wait_until_waiting

broker = Broker()
def work():
    for job in broker.consumer():
        pass
threads = [threading.Thread(target=work, daemon=True) for _ in range(5)]
threads.append(
    threading.Thread(target=lambda: broker.consumer().reserve(3600), daemon=True)
)
for thread in threads:
    thread.start()
broker.producer("later").put("never", delay=3600)
broker.producer("held").put("job")
holder = broker.consumer("held")
holder.reserve()
wait_until_waiting(broker, 6)
print("done")
"""


def test_an_interpreter_exits_while_daemon_threads_wait() -> None:
    assert "done\n" == run(BLOCKED)
