"""What has ended leaves nothing behind: no memory, no file descriptor, no thread."""

from __future__ import annotations

import asyncio
import gc
import sys
import weakref
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

from inproc_tubes import Broker, Consumer, TimedOutError, TubeFullError
from inproc_tubes.core.recovery import check
from inproc_tubes.testing import FakeClock
from tests.threads import LONG, waiting

if TYPE_CHECKING:
    from collections.abc import Callable

    Repeated: TypeAlias = "Callable[[Scene], object]"

# So often a thing is done before memory is measured, and measured again.
_FEW, _MANY = 1_000, 20_000


class Scene:
    """A broker with a job that things happen to."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.broker: Broker[str] = Broker(clock=self.clock)
        self.producer = self.broker.producer()
        self.consumer: Consumer[str] = self.broker.consumer()
        self.other: Consumer[str] = self.broker.consumer("default", "other")
        self.producer.put("job", ttr=10)

    def size(self) -> int:
        """Return how many bytes the broker has, in all that it refers to."""
        gc.collect()
        seen: set[int] = set()
        total = 0
        todo: list[Any] = [self.broker._monitor, self.broker._sleepers]
        while todo:
            one = todo.pop()
            if id(one) in seen or isinstance(one, type) or callable(one):
                continue
            seen.add(id(one))
            total += sys.getsizeof(one)
            todo += gc.get_referents(one)
        return total


def expire(scene: Scene) -> None:
    scene.consumer.reserve(timeout=0)
    scene.clock._time += 10


def expire_with_another_consumer(scene: Scene) -> None:
    scene.other.reserve(timeout=0)
    scene.clock.advance(10)


def touch(scene: Scene) -> None:
    if not len(scene.consumer._session.held):
        scene.consumer.reserve(timeout=0)
    scene.clock.advance(5)
    scene.consumer.touch(1)


def release(scene: Scene) -> None:
    scene.consumer.reserve(timeout=0).release(
        priority=scene.broker.peek(1).reserves % 5
    )


def release_with_a_delay(scene: Scene) -> None:
    scene.consumer.reserve(timeout=0).release(delay=3)
    scene.broker.kick_job(1)


def bury_and_kick(scene: Scene) -> None:
    scene.consumer.reserve(timeout=0).bury()
    scene.broker.kick("default", 1)


def work(scene: Scene) -> None:
    scene.producer.put("more", priority=3)
    scene.consumer.reserve(timeout=0).delete()


def delete_from_the_middle(scene: Scene) -> None:
    scene.broker.delete(scene.producer.put("more"))


def delete_a_delayed_job(scene: Scene) -> None:
    scene.broker.delete(scene.producer.put("more", delay=10))


def make_and_lose_a_tube(scene: Scene) -> None:
    scene.broker.delete(scene.producer.put("more", tube="fleeting"))


def pause(scene: Scene) -> None:
    scene.broker.pause_tube("default", 5)


def find_nothing(scene: Scene) -> None:
    with suppress(TimedOutError), scene.broker.consumer("nothing") as consumer:
        consumer.reserve(timeout=0)


def open_and_drop(scene: Scene) -> None:
    scene.broker.consumer("default", "other", "third")
    scene.broker.producer("fourth")


def find_no_room(scene: Scene) -> None:
    scene.broker.limit_tube("default", 1)
    with suppress(TubeFullError):
        scene.producer.put("more", timeout=0)


def peek(scene: Scene) -> None:
    scene.broker.peek(1)


REPEATED: list[Repeated] = [
    expire,
    expire_with_another_consumer,
    touch,
    release,
    release_with_a_delay,
    bury_and_kick,
    work,
    delete_from_the_middle,
    delete_a_delayed_job,
    make_and_lose_a_tube,
    pause,
    find_nothing,
    open_and_drop,
    find_no_room,
    peek,
]


@pytest.mark.parametrize("repeated", REPEATED)
@pytest.mark.usefixtures("no_collector")
def test_what_happens_often_takes_no_more_memory(
    repeated: Repeated, pytestconfig: pytest.Config
) -> None:
    scene = Scene()
    many = 100_000 if pytestconfig.getoption("soak") else _MANY // 10
    if repeated is expire:
        many = 100_000
    for _ in range(_FEW):
        repeated(scene)
    before = scene.size()
    for _ in range(many):
        repeated(scene)
    # Numbers have grown by a few bytes, and lists are longer or shorter by a few items.
    assert scene.size() < before + 2_000
    check(scene.broker._engine)


@pytest.mark.skipif(
    sys.platform != "linux", reason="the files of a process are not to be seen"
)
@pytest.mark.filterwarnings("ignore:unclosed event loop")
def test_a_loop_that_was_dropped_unclosed_leaves_nothing_behind() -> None:
    broker: Broker[str] = Broker()
    descriptors = Path("/proc/self/fd")
    tasks: list[asyncio.Task[Any]] = []

    def drop_a_loop(number: int) -> weakref.ref[asyncio.AbstractEventLoop]:
        loop = asyncio.new_event_loop()
        loop.set_exception_handler(lambda _loop, _context: None)  # of its dropped task
        consumer = broker.async_consumer("a", "b") if number % 2 else None
        verb = (
            broker.async_join("work", timeout=60)
            if consumer is None
            else consumer.reserve(timeout=60)
        )
        tasks.append(loop.create_task(verb))
        loop.run_until_complete(asyncio.sleep(0))
        assert 1 == broker._monitor.waiting
        tasks.clear()
        return weakref.ref(loop)

    broker.producer("work").put("job")
    drop_a_loop(0)  # whatever is made once
    gc.collect()
    broker.tubes()
    before = len(list(descriptors.iterdir())), len(broker._monitor.ways)
    for number in range(20):
        loop = drop_a_loop(number)
        gc.collect()
        assert loop() is None
        broker.tubes()
        assert 0 == broker._monitor.waiting
        check(broker._engine)
    assert before == (len(list(descriptors.iterdir())), len(broker._monitor.ways))
    assert {"default", "work"} == set(broker.tubes())
    assert 0 == broker.stats().current_connections


def test_an_autojumping_clock_keeps_no_thread_that_has_ended() -> None:
    clock = FakeClock(autojump=True)
    broker: Broker[str] = Broker(clock=clock)
    threads: list[weakref.ref[Thread]] = []

    def work(number: int) -> None:
        with broker.consumer() as consumer, suppress(TimedOutError):
            consumer.reserve(timeout=number)

    def run(number: int) -> None:
        thread = Thread(target=work, args=(number,))
        threads.append(weakref.ref(thread))
        thread.start()
        with suppress(TimedOutError):
            broker.consumer().reserve(timeout=10)
        thread.join(LONG)
        assert not thread.is_alive()

    for number in range(5):
        run(number)
    gc.collect()
    assert [None] * 5 == [thread() for thread in threads]
    assert {} == clock._users.parked


@pytest.mark.usefixtures("no_collector")
def test_a_broker_that_is_dropped_dies_at_once() -> None:
    broker: Broker[str] = Broker()
    producer, consumer = broker.producer(), broker.consumer()
    producer.put("job")
    with consumer.reserve(timeout=0):
        pass
    with suppress(TimedOutError):
        consumer.reserve(timeout=0.001)
    monitor = weakref.ref(broker._monitor)
    del broker, producer, consumer
    assert monitor() is None


def test_a_thread_that_ends_while_others_wait_leaves_nothing_behind() -> None:
    clock = FakeClock()
    broker: Broker[str] = Broker(clock=clock)
    futures = [
        waiting(broker, lambda: broker.consumer().reserve(timeout=5)) for _ in range(5)
    ]
    clock.advance(5)
    while futures:
        with pytest.raises(TimedOutError):
            futures.pop().result(LONG)
    gc.collect()
    assert 0 == broker._monitor.waiting
    assert {} == broker._sleepers._asleep
    assert broker._sleepers._leader is None
    broker.tubes()
    assert 0 == broker.stats().current_connections


@pytest.mark.usefixtures("no_collector")
def test_a_refused_verb_leaves_no_cycle_behind() -> None:
    """A loop that is refused again and again would wait for the collector."""

    class Body:
        pass

    broker: Broker[Body] = Broker(clock=FakeClock())
    broker.limit_tube("full", 1)
    producer = broker.producer("full")
    producer.put(Body())
    consumer = broker.consumer()
    for verb in (
        lambda body: producer.put(body, timeout=0),
        lambda body: producer.put_many([body, body], timeout=0),
        lambda _body: consumer.reserve(timeout=0),
        lambda _body: consumer.delete(5),
        lambda _body: consumer.release(5),
        lambda _body: broker.peek(5),
        lambda _body: broker.pause_tube("nowhere", 1),
        lambda _body: consumer.ignore("default"),
    ):
        body = Body()
        probe = weakref.ref(body)
        refused = []
        try:
            verb(body)
        except Exception as error:  # noqa: BLE001 - any one
            refused.append(type(error))
        assert refused
        del body
        assert probe() is None
        assert 0 == gc.collect()
