"""How a monitor takes its lock: fast for one thread, by yielding where many compete."""

from __future__ import annotations

from _thread import interrupt_main
from functools import partial
from operator import call
from threading import Event, RLock
from typing import TYPE_CHECKING, Any

import pytest

from inproc_tubes import Broker, TimedOutError
from inproc_tubes.monitor import _ATTEMPTS, _guard, _let_guard_yield
from inproc_tubes.testing import FakeClock
from tests.threads import LONG, start, waiting

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

YIELD = "inproc_tubes.monitor.yield_thread"


def yielding_guard(lock: RLock) -> AbstractContextManager[object]:
    guard = _guard(lock)
    _let_guard_yield(guard, lock)
    return guard


def is_taken(lock: RLock) -> bool:
    """Tell whether another thread would find the lock taken."""

    def attempt() -> bool:
        taken = not lock.acquire(blocking=False)
        if not taken:
            lock.release()
        return taken

    return start(attempt).result(LONG)


def yields(broker: Broker) -> bool:
    """Tell whether the guard of a broker yields to the owner of the lock."""
    monitor = broker._monitor
    enter: object = type(monitor.guard).__enter__
    return enter != monitor.lock.__enter__


@pytest.fixture
def broker() -> Broker:
    return Broker(clock=FakeClock())


# Competition


def test_a_thread_that_finds_the_lock_taken_yields_to_its_owner(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lock = RLock()
    taken, release, released = Event(), Event(), Event()
    pauses: list[None] = []

    def own() -> None:
        with lock:
            taken.set()
            assert release.wait(LONG)
        released.set()

    def pause() -> None:
        pauses.append(None)
        if len(pauses) == 3:
            release.set()
            assert released.wait(LONG)

    monkeypatch.setattr(YIELD, pause)
    owner = start(own)
    assert taken.wait(LONG)
    with yielding_guard(lock):
        assert 3 == len(pauses)
        assert is_taken(lock)
    assert not is_taken(lock)
    owner.result(LONG)


def test_a_thread_that_has_yielded_often_sleeps_on_the_lock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lock = RLock()
    yielded_often = Event()
    pauses: list[None] = []

    def pause() -> None:
        pauses.append(None)
        if len(pauses) == _ATTEMPTS:
            yielded_often.set()

    def take() -> bool:
        with yielding_guard(lock):
            return is_taken(lock)

    monkeypatch.setattr(YIELD, pause)
    with lock:
        future = start(take)
        assert yielded_often.wait(LONG)
    assert future.result(LONG)
    assert _ATTEMPTS == len(pauses)


def test_a_thread_that_has_the_lock_takes_it_again_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Or a call in the middle of a turn would sleep for ever."""
    pauses: list[None] = []
    monkeypatch.setattr(YIELD, lambda: pauses.append(None))
    lock = RLock()
    for guard in (_guard(lock), yielding_guard(lock)):
        with guard, guard:
            assert is_taken(lock)
        assert not is_taken(lock)
    assert [] == pauses


# Interruption


@pytest.mark.parametrize("make", [_guard, yielding_guard])
def test_an_error_releases_the_lock(
    make: Callable[[RLock], AbstractContextManager[object]],
) -> None:
    lock = RLock()
    with pytest.raises(AssertionError, match=r"^taken$"), make(lock):
        raise AssertionError("taken" if is_taken(lock) else "free")
    assert not is_taken(lock)


# CPython 3.13 warns of a partial in a class, where this test puts one.
@pytest.mark.filterwarnings("ignore:functools.partial will be:FutureWarning")
@pytest.mark.parametrize("make", [_guard, yielding_guard])
def test_a_signal_that_raises_as_the_lock_is_taken_releases_it(
    make: Callable[[Any], AbstractContextManager[object]],
) -> None:
    """Or the program could not even close its broker after a Ctrl-C."""
    lock = RLock()
    # The signal comes before the lock is taken, and its handler runs after: there is
    # no step of Python between the two.
    signalled: tuple[Callable[[], object], ...] = (interrupt_main, lock.acquire)

    class Interrupting:
        acquire = __enter__ = staticmethod(
            partial(next, filter(None, map(call, signalled)))
        )
        __exit__ = lock.__exit__

    with pytest.raises(KeyboardInterrupt), make(Interrupting()):
        pytest.fail("not interrupted")  # pragma: no cover - that is the point
    assert not is_taken(lock)  # pragma: no cover - the tracer was interrupted, too


# Which guard a broker has


def test_a_broker_that_one_thread_uses_takes_its_lock_as_fast_as_can_be(
    broker: Broker,
) -> None:
    producer, consumer = broker.producer(), broker.consumer()
    for body in range(256):
        producer.put(body)
        consumer.reserve().delete()
    with pytest.raises(TimedOutError):
        consumer.reserve(timeout=0)
    assert not yields(broker)


def test_a_broker_that_another_thread_puts_into_yields_soon(broker: Broker) -> None:
    producer = broker.producer()
    start(lambda: [producer.put(body) for body in range(256)]).result(LONG)
    start(lambda: producer.put_many(range(256))).result(LONG)
    assert yields(broker)


def test_a_broker_that_another_thread_opens_a_handle_of_yields(broker: Broker) -> None:
    start(broker.consumer).result(LONG)
    assert yields(broker)


def test_a_broker_in_which_something_waits_yields(broker: Broker) -> None:
    consumer = broker.consumer()
    future = waiting(broker, consumer.reserve)
    assert yields(broker)
    broker.producer().put("job")
    assert "job" == future.result(LONG).body
