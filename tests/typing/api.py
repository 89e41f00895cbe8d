"""The public face as a type checker sees it: checked, and never run."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from contextvars import Context
from typing import TYPE_CHECKING, Any, assert_type

import freezegun
import time_machine
from rich.console import Console
from starlette.applications import Starlette

from inproc_tubes import (
    AsyncConsumer,
    AsyncProducer,
    BadTubeNameError,
    Broker,
    BrokerSnapshot,
    BrokerStats,
    Clock,
    ClosedError,
    Consumer,
    DeadlineSoonError,
    DeadlockError,
    DrainingError,
    Event,
    EventKind,
    EventStream,
    HandleStats,
    HeldJob,
    Job,
    JobError,
    JobFuture,
    JobState,
    JobStats,
    JobTooBigError,
    MonotonicClock,
    NotFoundError,
    NotFoundReason,
    NotIgnoredError,
    Producer,
    ReentrantCallError,
    StoppedError,
    Subscription,
    TimedOutError,
    TooManyTriesError,
    TubeFullError,
    TubesError,
    TubeStats,
)
from inproc_tubes.dashboard import app
from inproc_tubes.fakes import FakeBeanstalkd
from inproc_tubes.logs import LEVELS, log_events
from inproc_tubes.metrics import BUCKETS, BrokerCollector
from inproc_tubes.terminal import watch
from inproc_tubes.testing import FakeClock, wait_until_waiting
from inproc_tubes.tracing import Tracing

if TYPE_CHECKING:
    import queue
    from collections.abc import Callable
    from concurrent.futures import Future

# Brokers and clocks

Broker()
Broker(clock=None, max_job_size=None)
Broker(clock=MonotonicClock(), max_job_size=10)
broker = Broker(clock=FakeClock())
with Broker() as opened:
    assert_type(opened, Broker)
assert_type(broker.close(), None)
assert_type(broker.stop(), None)
assert_type(broker.stop_at_exit(), None)
Broker(MonotonicClock())  # type: ignore[call-arg]  # by keyword only
Broker(clock=object())  # type: ignore[arg-type]  # no clock
Broker(max_job_size="10")  # type: ignore[arg-type]  # no number


class MyClock:
    """A user's own."""

    def now(self) -> float:
        """Return the time."""
        return 0.0

    def attach(self, timed: Any) -> None:
        """Learn of the monitor of a broker."""

    def park(self, sleeper: Any, until: float) -> None:
        """Sleep."""

    def seconds_until(self, moment: float) -> float:
        """Return how soon to look again."""
        return moment


Broker(clock=MyClock())
clocks: list[Clock] = [MonotonicClock(), FakeClock(), MyClock()]
assert_type(clocks[0].now(), float)
assert_type(MonotonicClock().now(), float)

fake = FakeClock()
FakeClock(5)
FakeClock(start=5.5, autojump=True)
FakeClock(start=None, loop_time=True, grace=0.5)
FakeClock(wall=time_machine.travel(0).start())
FakeClock(wall=freezegun.freeze_time("2030-01-01").start())
FakeClock(wall=object())  # type: ignore[arg-type]  # not a wall
FakeClock(5, True)  # type: ignore[call-arg]  # noqa: FBT003  # by keyword only
assert_type(fake.now(), float)
assert_type(fake.advance(1), None)
assert_type(fake.advance(seconds=0.5), None)
assert_type(fake.advance_to_next(), float)
assert_type(fake.follow_wall(), float)
assert_type(fake.drive(), None)
assert_type(fake.drive(asyncio.new_event_loop()), None)
assert_type(wait_until_waiting(broker, 2), None)
assert_type(wait_until_waiting(broker, n=2, timeout=0.5), None)
assert_type(fake.autojump, bool)

with FakeBeanstalkd(clock=fake) as fake_server:
    assert_type(fake_server, FakeBeanstalkd)
    assert_type(fake_server.listen(), tuple[str, int])
    assert_type(fake_server.listen(port=11300, host="::1"), tuple[str, int])

# Events


def take(event: Event) -> None:
    """Take an event."""
    assert_type(event.kind, EventKind)
    assert_type(event.at, float)
    assert_type(event.tube, str | None)
    assert_type(event.job_id, int | None)
    assert_type(event.tries, int | None)
    assert_type(event.age, float | None)
    assert_type(event.waited, float | None)
    assert_type(event.held, float | None)
    assert_type(event.consumer, str | None)
    assert_type(event.priority, int | None)
    assert_type(event.delay, float | None)
    assert_type(event.limit, int | None)
    assert_type(event.source, str | None)
    assert_type(event.body, object)
    assert_type(event.error, JobError | None)
    event.tube = "other"  # type: ignore[misc]  # frozen


subscription = broker.subscribe(take)
assert_type(subscription, Subscription)
assert_type(subscription.unsubscribe(), None)
assert_type(subscription.kinds, frozenset[EventKind])
assert_type(subscription.bodies, bool)
subscription.kinds = frozenset()  # type: ignore[misc]  # it cannot be changed
with broker.subscribe(take, ["put", EventKind.BURIED], bodies=True) as opened_events:
    assert_type(opened_events, Subscription)
broker.subscribe(take, ["putt"])  # type: ignore[list-item]  # no kind


assert_type(log_events(broker), Subscription)
log_events(broker, logging.getLogger("x"), ["put"], {EventKind.PUT: logging.DEBUG})
assert_type(LEVELS, Mapping[EventKind, int])
log_events(broker, 5)  # type: ignore[arg-type]  # no logger


collector = BrokerCollector(broker, buckets=[0.1, 1], labels={"broker": "mail"})
assert_type(collector.close(), None)
assert_type(BUCKETS, tuple[float, ...])
with collector as opened_collector:
    assert_type(opened_collector, BrokerCollector)
BrokerCollector(broker, labels={"broker": 1})  # type: ignore[dict-item]  # no text


with Tracing(broker) as tracing:
    assert_type(tracing, Tracing)
    assert_type(tracing.close(), None)


@tracing.handler
def pack(job: Job[str]) -> int:
    """Pack a job."""
    with tracing.use(job), job:
        return len(job.body)


tracing.use("job")  # type: ignore[arg-type]  # no job


assert_type(app(broker), Starlette)
assert_type(app(broker, actions=True), Starlette)
app(broker, actions=1)  # type: ignore[arg-type]  # no bool
app("broker")  # type: ignore[arg-type]  # no broker

assert_type(watch(broker, interval=0.5, console=Console()), None)
watch(broker, console=print)  # type: ignore[arg-type]  # no console


async def follow() -> None:
    """Iterate over events."""
    async with broker.events(["put"], buffer=10) as events:
        assert_type(events, EventStream)
        assert_type(events.dropped, int)
        async for event in events:
            assert_type(event, Event)


# Producers

producer = broker.producer()
assert_type(producer, Producer)
assert_type(broker.producer("jobs"), Producer)
assert_type(broker.producer(tube="jobs"), Producer)
assert_type(broker.producer("jobs", context=True), Producer)
broker.producer("jobs", True)  # type: ignore[call-overload]  # noqa: FBT003  # by keyword only
with producer as opened_producer:
    assert_type(opened_producer, Producer)
assert_type(producer.put(object()), int)
assert_type(producer.put("body", 0, 1.5, 60), int)
assert_type(producer.put(b"body", priority=0, delay=1, ttr=0.5, tube="jobs"), int)
assert_type(producer.put(None, tube=None), int)
assert_type(producer.put("body", timeout=0.5), int)
assert_type(producer.put("body", key="k", on_duplicate="keep"), int)
assert_type(producer.put("body", key=None, on_duplicate="replace"), int)
assert_type(producer.put("body", expires=0.5), int)
producer.put("body", expires="soon")  # type: ignore[arg-type]  # seconds
producer.put("body", key=7)  # type: ignore[arg-type]  # a key is a str
producer.put("body", key="k", on_duplicate="ignore")  # type: ignore[arg-type]  # unknown
assert_type(producer.put_many(["a", b"b", None]), list[int])
assert_type(producer.put_many({"a": 1}, 0, 1.5, 60, tube="jobs"), list[int])
assert_type(producer.put_many((n for n in range(3)), timeout=None), list[int])
assert_type(producer.use("jobs"), None)
assert_type(producer.using(), str)
assert_type(producer.close(), None)
producer.put()  # type: ignore[call-arg]  # no body
producer.put("body", 1.5)  # type: ignore[arg-type]  # a priority is whole
producer.put_many(5)  # type: ignore[arg-type]  # no bodies
producer.put("body", ttr=None)  # type: ignore[arg-type]  # there is no "for ever"

# Consumers

consumer = broker.consumer()
assert_type(consumer, Consumer)
assert_type(broker.consumer("jobs", "mails"), Consumer)
with consumer as opened_consumer:
    assert_type(opened_consumer, Consumer)
assert_type(consumer.watch("jobs", "mails"), int)
assert_type(consumer.ignore("jobs"), int)
assert_type(consumer.watching(), list[str])
assert_type(consumer.stop(), None)
assert_type(consumer.reserve(), Job)
assert_type(consumer.reserve(None), Job)
assert_type(consumer.reserve(timeout=0.5), Job)
assert_type(consumer.reserve(0.5, None), Job | None)
assert_type(consumer.reserve(timeout=0.5, default=str(1)), Job | str)
assert_type(consumer.reserve(default=bool(broker.tubes())), Job | bool)
assert_type(consumer.reserve_nowait(), Job | None)
assert_type(consumer.reserve_many(10), list[Job])
assert_type(consumer.reserve_many(n=10, timeout=0.5), list[Job])
assert_type(consumer.reserve_job(1), Job)
for each in consumer:
    assert_type(each, Job)
assert_type(next(consumer), Job)
broker.consumer(["jobs"])  # type: ignore[call-overload]  # not a list of them
consumer.reserve("5")  # type: ignore[call-overload]  # no number

# Results

future = producer.submit("body", 0, 1.5, 60, tube="jobs", timeout=1)
assert_type(future, JobFuture[Any, Any])
assert_type(future.job_id, int)
assert_type(future.cancel(), bool)
assert_type(future.result(timeout=1), Any)
receipt: JobFuture[str, int] = producer.submit("body", key="order", expires=5)
assert_type(receipt.result(), int)
assert_type(receipt.body, str)
plain: Future[int] = receipt
producer.submit("body", on_duplicate="keep")  # type: ignore[arg-type]  # whose?

# Their twins for coroutines


async def in_a_loop() -> None:
    """Await what may wait, and nothing else."""
    producer = broker.async_producer("jobs", context=False)
    assert_type(producer, AsyncProducer)
    assert_type(await producer.put(object()), int)
    assert_type(await producer.put("body", 0, 1.5, 60, tube="jobs", timeout=1), int)
    assert_type(await producer.put_many(["a", b"b"], timeout=None), list[int])
    receipt: JobFuture[str, int] = await producer.submit("body")
    assert_type(await receipt, int)
    assert_type(await asyncio.gather(receipt, receipt), tuple[int, int])
    assert_type(await producer.put("body", key="k", on_duplicate="keep"), int)
    assert_type(await producer.put_many(["a"], key=str, expires=5), list[int])
    assert_type(producer.use("jobs"), None)
    assert_type(producer.using(), str)
    async with producer as opened_producer:
        assert_type(opened_producer, AsyncProducer)
    consumer = broker.async_consumer("jobs", "mails")
    assert_type(consumer, AsyncConsumer)
    assert_type(consumer.watch("jobs", "mails"), int)
    assert_type(await consumer.reserve(), Job)
    assert_type(await consumer.reserve(timeout=0.5), Job)
    assert_type(await consumer.reserve(0.5, None), Job | None)
    assert_type(await consumer.reserve(timeout=0.5, default=str(1)), Job | str)
    assert_type(consumer.reserve_nowait(), Job | None)
    assert_type(await consumer.reserve_many(10, timeout=0.5), list[Job])
    assert_type(consumer.reserve_job(1), Job)
    with await consumer.reserve() as job:
        assert_type(job, Job)
        assert_type(consumer.touch(job), None)
        assert_type(consumer.release(job, error=ValueError()), None)
        assert_type(consumer.bury(job, error=ValueError()), None)
        assert_type(consumer.stop(), None)
    async for each in consumer:
        assert_type(each, Job)
    async with consumer as opened_consumer:
        assert_type(opened_consumer, AsyncConsumer)
    with producer, consumer:
        assert_type(consumer.close(), None)
    assert_type(await broker.async_join("jobs", timeout=5), int)
    consumer.reserve().delete()  # type: ignore[attr-defined]  # is to be awaited
    await producer.put("body", 1.5)  # type: ignore[arg-type]  # a priority is whole


# The type of the bodies

typed: Broker[bytes] = Broker(clock=FakeClock())
with typed as opened_typed:
    assert_type(opened_typed, Broker[bytes])
assert_type(typed.producer(), Producer[bytes])
assert_type(typed.consumer("jobs"), Consumer[bytes])
assert_type(typed.async_producer(), AsyncProducer[bytes])
assert_type(typed.async_consumer("jobs"), AsyncConsumer[bytes])
assert_type(typed.producer().put(b"body"), int)
assert_type(typed.producer().put_many([b"body"]), list[int])
assert_type(typed.producer().put_many([b"body"], key=bytes.hex), list[int])
typed.producer().put_many([b"body"], key=str.upper)  # type: ignore[arg-type]  # no bytes
typed.producer().put("body")  # type: ignore[arg-type]  # no bytes
typed.producer().put_many(["body"])  # type: ignore[list-item]  # no bytes
assert_type(typed.consumer().reserve(), Job[bytes])
assert_type(typed.consumer().reserve().body, bytes)
assert_type(typed.consumer().reserve_many(2), list[Job[bytes]])
assert_type(typed.consumer().reserve_job(1), Job[bytes])
assert_type(next(typed.consumer()), Job[bytes])
assert_type(typed.peek(1), Job[bytes])
assert_type(typed.peek_ready(), Job[bytes])
assert_type(typed.jobs("jobs"), list[Job[bytes]])
with typed.consumer().reserve() as typed_job:
    assert_type(typed_job.body, bytes)


async def in_a_loop_with_types() -> None:
    """Await jobs, whose bodies have a type."""
    assert_type(await typed.async_producer().put(b"body"), int)
    await typed.async_producer().put("body")  # type: ignore[arg-type]  # no bytes
    consumer = typed.async_consumer()
    assert_type(await consumer.reserve(), Job[bytes])
    assert_type(await consumer.reserve_many(2), list[Job[bytes]])
    async for each in consumer:
        assert_type(each.body, bytes)


# The type of the bodies of one tube


class Order:
    """What is in the tube "orders"."""

    item: str


assert_type(broker.producer("orders", body=Order), Producer[Order])
assert_type(broker.producer("orders", context=True, body=Order), Producer[Order])
assert_type(broker.consumer("orders", "more", body=Order), Consumer[Order])
assert_type(broker.async_producer("orders", body=Order), AsyncProducer[Order])
assert_type(broker.async_consumer("orders", body=Order), AsyncConsumer[Order])
assert_type(typed.consumer("orders", body=Order), Consumer[Order])
assert_type(broker.consumer("words", body=list[str]), Consumer[list[str]])
broker.producer("orders", body=Order).put(Order())
broker.producer("orders", body=Order).put("scarf")  # type: ignore[arg-type]  # no Order
order = broker.consumer("orders", body=Order).reserve()
assert_type(order, Job[Order])
assert_type(order.body.item, str)
str(order.body.itme)  # type: ignore[attr-defined]  # a slip of the pen
if (maybe := broker.consumer("orders", body=Order).reserve_nowait()) is not None:
    str(maybe.body.itme)  # type: ignore[attr-defined]  # the same
for an_order in broker.consumer("orders", body=Order):
    str(an_order.body.itme)  # type: ignore[attr-defined]  # the same
broker.consumer("orders", body=Order())  # type: ignore[call-overload]  # no type


async def in_a_loop_with_orders() -> None:
    """Await jobs of one tube."""
    consumer = broker.async_consumer("orders", body=Order)
    order = await consumer.reserve()
    assert_type(order, Job[Order])
    str(order.body.itme)  # type: ignore[attr-defined]  # a slip of the pen
    async for each in consumer:
        str(each.body.itme)  # type: ignore[attr-defined]  # the same


# Jobs, and by their ids

job = consumer.reserve()
with job as opened_job:
    assert_type(opened_job, Job)
assert_type(job.id, int)
assert_type(job.body, Any)
assert_type(job.tube, str)
assert_type(job.priority, int)
assert_type(job.delay, float)
assert_type(job.ttr, float)
assert_type(job.reserves, int)
assert_type(job.timeouts, int)
assert_type(job.releases, int)
assert_type(job.buries, int)
assert_type(job.kicks, int)
assert_type(job.lost, bool)
assert_type(job.context, Context | None)
assert_type(job.error, JobError | None)
assert job.error is not None
assert_type(job.error.type, str)
assert_type(job.error.text, str)
assert_type(job.error.traceback, str)
assert_type(job.error.tube, str)
assert_type(job.error.attempt, int)
assert_type(job.error.failed_at, float)
assert_type(job.error.headline, str)
job.error.text = "fine"  # type: ignore[misc]  # is frozen
assert_type(job.release(error=ValueError()), None)
assert_type(job.bury(error=KeyboardInterrupt()), None)
job.bury(error="too heavy")  # type: ignore[arg-type]  # no exception
job.bury(error=ValueError)  # type: ignore[arg-type]  # nor this
assert_type(job.delete(), None)
assert_type(job.finish("result"), None)
assert_type(job.finish(), None)
assert_type(job.fail(ValueError(), priority=5), None)
job.fail("no")  # type: ignore[arg-type]  # no exception
job.fail()  # type: ignore[call-arg]  # of what?
assert_type(job.release(), None)
assert_type(job.release(priority=1, delay=0.5), None)
job.release(30)  # type: ignore[call-arg]  # a priority, or a delay?
job.bury(5)  # type: ignore[call-arg]  # by keyword only
assert_type(job.release(priority=None, delay=5), None)
assert_type(job.bury(), None)
assert_type(job.bury(priority=5), None)
assert_type(job.touch(), None)
assert_type(job.stats(), JobStats)
job.id = 5  # type: ignore[misc]  # is read only
job.kick()  # type: ignore[attr-defined]  # is the broker's: kick_job

for target in (job, 1):
    assert_type(consumer.delete(target), None)
    assert_type(consumer.release(target), None)
    assert_type(consumer.release(target, priority=5, delay=0.5), None)
    assert_type(consumer.bury(target), None)
    assert_type(consumer.bury(target, priority=None), None)
    assert_type(consumer.touch(target), None)
    assert_type(broker.delete(target), None)
    assert_type(broker.cancel(target), None)
    assert_type(broker.kick_job(target), None)
    assert_type(broker.stats_job(target), JobStats)
assert_type(job.holder, str | None)
seen = broker.snapshot()
assert_type(seen, BrokerSnapshot)
assert_type(seen.stats, BrokerStats)
assert_type(seen.tubes["jobs"], TubeStats)
assert_type(seen.handles, tuple[HandleStats, ...])
assert_type(seen.handles[0].holds, tuple[HeldJob, ...])
assert_type(broker.consumer("jobs", name="packer").name, str)
assert_type(broker.producer("jobs", name="shop").name, str)
consumer.delete("1")  # type: ignore[arg-type]  # no id
consumer.reserve_job(job)  # type: ignore[arg-type]  # by its id only

# Administration

assert_type(broker.tubes(), list[str])
assert_type(broker.peek(1), Job)
assert_type(broker.peek_ready(), Job)
assert_type(broker.peek_ready("jobs"), Job)
assert_type(broker.peek_delayed("jobs"), Job)
assert_type(broker.peek_buried(tube="jobs"), Job)
assert_type(broker.kick("jobs", 5), int)
assert_type(broker.kick(tube="jobs", bound=5), int)
assert_type(broker.pause_tube("jobs", 0.5), None)
assert_type(broker.move(1, "other"), None)
assert_type(broker.move(broker.peek(1), tube="other"), None)
assert_type(broker.update(1, priority=5), None)
assert_type(broker.update(broker.peek(1), 5, 1.5), None)
broker.update(1, delay="soon")  # type: ignore[arg-type]  # seconds
assert_type(broker.bury(1), None)
assert_type(broker.bury(broker.peek(1), 5, error=ValueError("why")), None)
broker.bury(1, error="why")  # type: ignore[arg-type]  # no exception
assert_type(broker.limit_tries("jobs", 3), None)
assert_type(broker.limit_tries(tube="jobs", n=None), None)
assert_type(broker.find("key"), Job | None)
assert_type(broker.find("key", tube="jobs"), Job | None)
assert_type(broker.limit_tube("jobs", 5), None)
assert_type(broker.limit_tube(tube="jobs", maxsize=0), None)
assert_type(broker.jobs("jobs"), list[Job])
assert_type(broker.jobs("jobs", JobState.READY), list[Job])
assert_type(broker.jobs("jobs", state="buried"), list[Job])
assert_type(broker.clear_tube("jobs"), int)
assert_type(broker.clear_tube("jobs", state=JobState.BURIED), int)
assert_type(broker.join(), int)
assert_type(broker.join("jobs", "mails", timeout=0.5), int)
broker.jobs("jobs", "burried")  # type: ignore[arg-type]  # no such state
broker.clear_tube("jobs", "reserved")  # type: ignore[arg-type]  # are their holders'
broker.jobs()  # type: ignore[call-arg]  # of which tube?
broker.limit_tube("jobs", None)  # type: ignore[arg-type]  # 0 is no limit
assert_type(broker.drain(), None)

# Statistics

stats = broker.stats()
assert_type(stats, BrokerStats)
assert_type(stats.cmd_put, int)
assert_type(stats.max_job_size, int | None)
assert_type(stats.uptime, float)
assert_type(stats.draining, bool)
assert_type(stats.id, str)
assert_type(stats.as_dict(), dict[str, int | float | str | None])
tube_stats = broker.stats_tube("jobs")
assert_type(tube_stats, TubeStats)
assert_type(tube_stats.current_jobs_ready, int)
assert_type(tube_stats.pause_time_left, float)
assert_type(tube_stats.maxsize, int)
assert_type(tube_stats.current_putting, int)
assert_type(tube_stats.as_dict(), dict[str, int | float | str | None])
job_stats = broker.stats_job(1)
assert_type(job_stats.state, str)
assert_type(job_stats.time_left, float)
assert_type(job_stats.as_dict(), dict[str, int | float | str | None])
job_stats.priority = 5  # type: ignore[misc]  # is frozen
assert_type(JobState("ready"), JobState)
word: str = JobState.READY.value

# Errors

errors: list[type[TubesError]] = [
    BadTubeNameError,
    ClosedError,
    DeadlineSoonError,
    DeadlockError,
    DrainingError,
    JobTooBigError,
    NotFoundError,
    NotIgnoredError,
    ReentrantCallError,
    StoppedError,
    TimedOutError,
    TooManyTriesError,
    TubeFullError,
]
stopped: ClosedError = StoppedError("the consumer was stopped")
assert_type(stopped.what, str)
full: queue.Full = TubeFullError("jobs", 5)
stranger: Callable[[], TimeoutError | LookupError] = lambda: (  # noqa: E731
    TimedOutError(1) if stats.draining else NotFoundError(1)
)
reentrant: RuntimeError = ReentrantCallError()
invalid: list[ValueError] = [BadTubeNameError("-"), JobTooBigError(2, 1)]

try:
    consumer.reserve(0)
except NotFoundError as error:
    assert_type(error.job_id, int | None)
    assert_type(error.tube, str | None)
    assert_type(error.state, str | None)
    assert_type(error.reason, NotFoundReason)
    assert_type(error.expired_at, float | None)
    assert_type(error.late, float | None)
    assert_type(error.holder, str | None)
except NotIgnoredError as error:
    assert_type(error.tube, str)
except TimedOutError as error:
    assert_type(error.timeout, float)
except DeadlineSoonError as error:
    assert_type(error.job_id, int)
    assert_type(error.time_left, float)
except TubeFullError as error:
    assert_type(error.tube, str)
    assert_type(error.maxsize, int)
    assert_type(error.count, int)
except JobTooBigError as error:
    assert_type(error.size, int)
    assert_type(error.limit, int)
except BadTubeNameError as error:
    assert_type(error.name, str)
except ClosedError as error:
    assert_type(error.what, str)
