"""How a monitor takes its lock: fast for one thread, by yielding where many compete."""

from __future__ import annotations

from _thread import interrupt_main
from functools import partial
from operator import call
from threading import Event, RLock
from typing import TYPE_CHECKING, Any

import pytest

from inproc_tubes import Broker, ReentrantCallError, TimedOutError
from inproc_tubes.core.recovery import rebuild
from inproc_tubes.monitor import _ATTEMPTS, _guard, _let_guard_yield
from inproc_tubes.testing import FakeClock
from tests.meddling import MeddlingClock, held, state
from tests.threads import LONG, start, waiting

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from inproc_tubes.core.engine import Engine

YIELD = "inproc_tubes.monitor.yield_thread"


def yielding_guard(lock: RLock) -> AbstractContextManager[object]:
    guard = _guard(lock)
    _let_guard_yield(guard, lock)
    return guard


def is_taken(lock: RLock | OldLock) -> bool:
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
@pytest.mark.usefixtures("interruptible")
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


def test_a_turn_that_is_interrupted_as_it_releases_the_lock_releases_it_all_the_same(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end of a with statement is not protected for a few steps."""

    def interrupt(*_args: object) -> None:
        monkeypatch.undo()
        raise KeyboardInterrupt

    monkeypatch.setattr(type(broker._monitor.guard), "__exit__", interrupt)
    with pytest.raises(KeyboardInterrupt):
        broker.tubes()
    assert not is_taken(broker._monitor.lock)
    assert ["default"] == broker.tubes()


@pytest.mark.usefixtures("no_collector")
def test_a_finaliser_that_is_interrupted_as_it_takes_the_lock_releases_it(
    old_lock: OldLock, old_broker: Broker
) -> None:
    """And what it has left to do is done after the next turn."""
    consumer = held(old_broker, "job")

    def interrupt() -> None:
        raise KeyboardInterrupt

    old_lock.when_taken = interrupt
    with pytest.raises(KeyboardInterrupt):
        old_broker._monitor.abandon(consumer._session)
    assert not is_taken(old_lock)
    old_broker.tubes()
    assert "ready" == state(old_broker)


# A lock that cannot tell how often it was taken


class OldLock:
    """An RLock of an early CPython 3.11, or of gevent.

    Attributes:
        when_taken: Is called, once, when it has been taken.
        when_free: Is called, once, when it has been released.
    """

    def __init__(self) -> None:
        self._lock = RLock()
        self.when_taken: Callable[[], object] = lambda: None
        self.when_free: Callable[[], object] = lambda: None

    def acquire(self, blocking: bool = True) -> bool:  # noqa: FBT001, FBT002 - as that of a lock
        taken = self._lock.acquire(blocking)
        then, self.when_taken = self.when_taken, lambda: None
        then()
        return taken

    def release(self) -> None:
        self._lock.release()
        then, self.when_free = self.when_free, lambda: None
        then()

    __enter__ = acquire

    def __exit__(self, *_args: object) -> None:
        self.release()

    def _is_owned(self) -> bool:
        return self._lock._is_owned()  # type: ignore[attr-defined, no-any-return]  # as threading.Condition does


@pytest.fixture
def clock() -> MeddlingClock:
    return MeddlingClock()


@pytest.fixture
def old_broker(clock: MeddlingClock, monkeypatch: pytest.MonkeyPatch) -> Broker:
    with monkeypatch.context() as patch:
        patch.setattr("threading.RLock", OldLock)
        return Broker(clock=clock)


@pytest.fixture
def old_lock(old_broker: Broker) -> OldLock:
    lock: object = old_broker._monitor.lock
    assert isinstance(lock, OldLock)
    return lock


def interrupted(_now: float) -> None:
    """Serve as a verb that is broken off."""
    raise KeyboardInterrupt


def test_a_verb_in_the_middle_of_a_turn_is_refused_with_an_old_lock_too(
    clock: MeddlingClock, old_broker: Broker
) -> None:
    def call() -> None:
        with pytest.raises(ReentrantCallError):
            old_broker.stats()

    clock.meddle = call
    assert ["default"] == old_broker.tubes()
    assert clock.was_in_turn


def test_a_turn_goes_on_after_one_that_was_broken_off_with_an_old_lock_too(
    old_lock: OldLock, old_broker: Broker
) -> None:
    with pytest.raises(KeyboardInterrupt):
        old_broker._monitor.run(interrupted)
    assert ["default"] == old_broker.tubes()
    assert not is_taken(old_lock)


def test_two_turns_after_one_that_was_broken_off_recover_once(
    old_lock: OldLock, old_broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An old lock is released for a moment, and another thread takes its turn."""
    recovered: list[None] = []

    def count_and_rebuild(now: float, engine: Engine) -> None:
        recovered.append(None)
        rebuild(now, engine)

    monkeypatch.setattr("inproc_tubes.monitor.rebuild", count_and_rebuild)
    with pytest.raises(KeyboardInterrupt):
        old_broker._monitor.run(interrupted)
    others: list[list[str]] = []
    old_lock.when_free = lambda: others.append(start(old_broker.tubes).result(LONG))
    assert [["default"], ["default"]] == [old_broker.tubes(), *others]
    assert 1 == len(recovered)
    assert not is_taken(old_lock)


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
