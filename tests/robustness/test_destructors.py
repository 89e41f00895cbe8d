"""A body's destructor may do anything: the lock is free when the body dies.

It may call any verb, log into a handler that puts, or wait for a lock of the user's own
that another thread holds while it calls a verb.
"""

from __future__ import annotations

import gc
import logging
import sys
from contextlib import suppress
from logging.handlers import QueueHandler
from threading import Event, RLock
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

from inproc_tubes import (
    Broker,
    ClosedError,
    Consumer,
    DrainingError,
    Producer,
    TimedOutError,
    TubeFullError,
    TubesError,
)
from inproc_tubes.core.recovery import check
from inproc_tubes.testing import FakeClock
from tests.robustness.processes import run
from tests.threads import LONG, start, waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Will: TypeAlias = "Callable[[], object]"
    Drop: TypeAlias = "Callable[[Scene], None]"


class Body:
    """A body that does something as it dies."""

    def __init__(self, will: Will) -> None:
        self._will = will

    def __del__(self) -> None:
        self._will()


class Scene:
    """A broker, one job in each state whose body has a last will, and its executor.

    Attributes:
        deaths: Whether the lock was free when a body died, for each that has died.
    """

    def __init__(self, will: Callable[[Scene], object]) -> None:
        self.clock = FakeClock()
        self.broker: Broker[Any] = Broker(clock=self.clock)
        self.lock = self.broker._monitor.lock
        self.producer: Producer[Any] = self.broker.producer("bodies")
        self.consumer: Consumer[Any] = self.broker.consumer("bodies")
        self.other: Producer[Any] = self.broker.producer("wills")
        self.reader: Consumer[Any] = self.broker.consumer("wills")
        self.deaths: list[bool] = []
        self._will = will

    def body(self) -> Body:
        """Return a new body, to which nobody else refers."""
        return Body(self._execute)

    def _execute(self) -> None:
        self.deaths.append(not self.lock._is_owned())  # type: ignore[attr-defined]  # as the monitor asks
        with suppress(TubesError):
            self._will(self)

    def put(self, **how: Any) -> int:
        """Put such a body."""
        return self.producer.put(self.body(), **how)


# What a body does as it dies.

WILLS: dict[str, Callable[[Scene], object]] = {
    "put": lambda scene: scene.other.put("will"),
    "put with a delay": lambda scene: scene.other.put("will", delay=1),
    "put_many": lambda scene: scene.other.put_many(["will", "will"]),
    "reserve": lambda scene: scene.reader.reserve(timeout=0),
    "reserve_many": lambda scene: scene.reader.reserve_many(2, timeout=0),
    "work": lambda scene: scene.reader.reserve(timeout=0).delete(),
    "cancel": lambda scene: scene.broker.cancel(1),
    "delete": lambda scene: scene.broker.delete(1),
    "release": lambda scene: scene.consumer.release(1),
    "bury": lambda scene: scene.consumer.bury(1),
    "touch": lambda scene: scene.consumer.touch(1),
    "kick": lambda scene: scene.broker.kick("bodies", 5),
    "pause": lambda scene: scene.broker.pause_tube("wills", 1),
    "limit": lambda scene: scene.broker.limit_tube("wills", 1),
    "clear": lambda scene: scene.broker.clear_tube("bodies"),
    "watch": lambda scene: scene.reader.watch("bodies"),
    "use": lambda scene: scene.other.use("elsewhere"),
    "open": lambda scene: scene.broker.consumer("fresh"),
    "stats": lambda scene: scene.broker.stats(),
    "jobs": lambda scene: scene.broker.jobs("bodies"),
    "join": lambda scene: scene.broker.join("wills", timeout=0),
    "close a consumer": lambda scene: scene.consumer.close(),
    "close the broker": lambda scene: scene.broker.close(),
    "drain": lambda scene: scene.broker.drain(),
}


# How a body is dropped. All but the engine's references are gone by then.


def drop_by_id(scene: Scene) -> None:
    scene.broker.delete(scene.put())


def drop_by_reserving(scene: Scene) -> None:
    scene.put()
    scene.consumer.reserve(timeout=0).delete()


def drop_by_a_block(scene: Scene) -> None:
    scene.put()
    with scene.consumer.reserve(timeout=0):
        pass


def drop_after_an_expiry(scene: Scene) -> None:
    job_id = scene.put(ttr=1)
    scene.consumer.reserve(timeout=0)
    scene.clock.advance(1)
    scene.consumer.reserve(timeout=0)
    scene.consumer.delete(job_id)


def drop_by_clear_tube(scene: Scene) -> None:
    scene.put(delay=5)
    scene.put()
    scene.put()
    scene.consumer.reserve(timeout=0).bury()
    scene.broker.clear_tube("bodies")


def drop_by_close_of_the_broker(scene: Scene) -> None:
    scene.put(delay=5)
    scene.put()
    scene.put()
    scene.consumer.reserve(timeout=0)
    scene.broker.close()


def drop_by_a_full_tube(scene: Scene) -> None:
    scene.broker.limit_tube("bodies", 1)
    scene.producer.put("stays")
    with suppress(TubeFullError):
        scene.put(timeout=0)
    with suppress(ClosedError):  # the destructor may have closed it
        scene.broker.limit_tube("bodies", 0)


def drop_by_a_closed_producer(scene: Scene) -> None:
    scene.producer.close()
    with suppress(ClosedError):
        scene.put()


def drop_by_a_draining_broker(scene: Scene) -> None:
    scene.broker.drain()
    with suppress(DrainingError):
        scene.producer.put_many([scene.body(), scene.body()])


def drop_of_a_put_that_waits(scene: Scene) -> None:
    """The thread that waits is told, and drops the body. Another one may as well."""
    scene.broker.limit_tube("bodies", 1)
    scene.producer.put("stays")
    future = waiting(scene.broker, scene.put)
    scene.producer.close()
    with suppress(ClosedError):
        future.result(LONG)
    scene.broker.limit_tube("bodies", 0)


def drop_by_a_replaced_exception(scene: Scene) -> None:
    """The first exception refers to the body, and dies as the second is raised."""
    scene.producer.close()
    with suppress(ClosedError):
        try:
            scene.put()
        except ClosedError:
            scene.consumer.close()
            raise ClosedError(str(list(scene.consumer))) from None


def drop_by_a_turn_that_was_broken_off(scene: Scene) -> None:
    usual = scene.producer._now

    def broken() -> float:
        scene.producer._now = usual
        raise KeyboardInterrupt

    scene.producer._now = broken
    with suppress(KeyboardInterrupt):
        scene.put()


DROPS: list[Drop] = [
    drop_by_id,
    drop_by_reserving,
    drop_by_a_block,
    drop_after_an_expiry,
    drop_by_clear_tube,
    drop_by_close_of_the_broker,
    drop_by_a_full_tube,
    drop_by_a_closed_producer,
    drop_by_a_draining_broker,
    drop_of_a_put_that_waits,
    drop_by_a_replaced_exception,
    drop_by_a_turn_that_was_broken_off,
]


@pytest.mark.parametrize("drop", DROPS, ids=lambda one: one.__name__)
@pytest.mark.parametrize("will", WILLS)
@pytest.mark.usefixtures("no_collector")
def test_the_lock_is_free_when_a_body_dies(drop: Drop, will: str) -> None:
    scene = Scene(WILLS[will])
    drop(scene)
    gc.collect()  # a traceback, and what it refers to, may be a cycle
    assert scene.deaths
    assert all(scene.deaths)
    with suppress(ClosedError):
        scene.broker.tubes()
        check(scene.broker._engine)
    assert not scene.lock._is_owned()  # type: ignore[attr-defined]  # as the monitor asks


class Peer:
    """A thread that holds the user's lock while it calls a verb."""

    def __init__(self, broker: Broker[Any]) -> None:
        self._broker = broker
        self.users_lock = RLock()
        self._holds = Event()
        self.goes_on = Event()

    def work(self) -> None:
        """Take the lock, and call a verb when the other thread is in its own."""
        with self.users_lock:
            self._holds.set()
            assert self.goes_on.wait(LONG)
            self._broker.tubes()

    def start(self) -> Any:
        """Start the thread, and return when it has the lock."""
        future = start(self.work)
        assert self._holds.wait(LONG)
        return future


@pytest.mark.parametrize(
    "drop",
    [
        drop_by_id,
        drop_by_reserving,
        drop_by_clear_tube,
        drop_by_a_full_tube,
        drop_after_an_expiry,
        drop_by_a_draining_broker,
    ],
    ids=lambda one: one.__name__,
)
def test_a_destructor_may_wait_for_a_thread_that_calls_a_verb(drop: Drop) -> None:
    """It takes a lock of the user's, under which another thread takes ours."""

    def take_the_users_lock(_scene: Scene) -> None:
        peer.goes_on.set()
        assert peer.users_lock.acquire(timeout=LONG)
        peer.users_lock.release()

    scene = Scene(take_the_users_lock)
    peer = Peer(scene.broker)
    future = peer.start()
    drop(scene)
    assert all(scene.deaths)
    future.result(LONG)


class _ToTube(QueueHandler):
    """Puts the records of a log into a tube."""

    def enqueue(self, record: logging.LogRecord) -> None:
        """Put a record."""
        self.queue.put(record)  # type: ignore[attr-defined]  # it is a producer


@pytest.fixture
def log() -> Iterator[logging.Logger]:
    """A log that goes nowhere yet."""
    log = logging.getLogger("inproc_tubes.tests.destructors")
    log.propagate = False
    yield log
    for handler in list(log.handlers):
        log.removeHandler(handler)
        handler.close()


@pytest.mark.parametrize("drop", [drop_by_id, drop_by_clear_tube, drop_by_a_block])
def test_a_destructor_may_log_into_a_tube(drop: Drop, log: logging.Logger) -> None:
    scene = Scene(lambda _scene: log.warning("dying"))
    log.addHandler(_ToTube(scene.other))  # type: ignore[arg-type]  # only `enqueue` uses it
    drop(scene)
    messages = [job.body.getMessage() for job in scene.broker.jobs("wills")]
    assert len(scene.deaths) * ["dying"] == messages
    assert messages


def test_a_destructor_that_waits_for_a_job_is_given_it() -> None:
    """The verb that drops the body has ended, and other threads go on."""
    scene = Scene(lambda scene: scene.reader.reserve().delete())
    scene.put()
    future = waiting(scene.broker, lambda: scene.broker.delete(1))
    scene.other.put("job")
    future.result(LONG)
    assert [True] == scene.deaths
    with pytest.raises(TimedOutError):
        scene.reader.reserve(timeout=0)


def test_bodies_that_delete_one_another_die_without_a_recursion() -> None:
    """Each refers to the next job, as a linked list would.

    Since CPython 3.13 a long chain over a plain dict is a recursion, too.
    """
    links = 5000 if sys.version_info < (3, 13) else 100
    broker: Broker[Any] = Broker()
    producer = broker.producer()
    died = []

    class Link:
        def __init__(self, number: int) -> None:
            self.number = number

        def __del__(self) -> None:
            died.append(self.number)
            if self.number > 1:
                broker.delete(self.number - 1)

    for number in range(1, links + 1):
        assert number == producer.put(Link(number))
    broker.delete(links)
    assert list(range(links, 0, -1)) == died
    check(broker._engine)


def test_a_finaliser_at_the_end_of_the_interpreter_raises_nothing() -> None:
    """The globals of modules may be gone by then."""
    script = """
import threading
from inproc_tubes import Broker

class Body:
    def __init__(self, producer):
        self.producer = producer
    def __del__(self):
        self.producer.put("at the end")

broker = Broker()
producer, consumer = broker.producer(), broker.consumer()
for _ in range(3):
    producer.put(Body(producer))
job = consumer.reserve()
cycle = [broker, producer, consumer, job, Body(broker.producer("other"))]
cycle.append(cycle)
waits = threading.Thread(target=broker.consumer("never").reserve, daemon=True)
waits.start()
del broker, producer, consumer, job
print("done")
"""
    assert "done\n" == run(script)


@pytest.mark.usefixtures("no_collector")
def test_a_body_outlives_no_job_longer_than_the_verb_that_ends_it() -> None:
    """It dies before the verb returns, where nobody else refers to it."""
    scene = Scene(lambda _scene: None)
    for drop in (drop_by_id, drop_by_reserving, drop_by_clear_tube):
        before = len(scene.deaths)
        drop(scene)
        assert before < len(scene.deaths)
