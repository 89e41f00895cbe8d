"""What one verb of a handle touches and calls, whatever the backlog."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from inproc_tubes import Broker, TimedOutError, TubeFullError
from inproc_tubes.testing import FakeClock
from tests.counting import Touches, called, names
from tests.interpreted import interpreted

if TYPE_CHECKING:
    from collections.abc import Callable


class Loaded:
    """A broker with so many jobs in each state, of consumers and of tubes."""

    def __init__(self, n: int) -> None:
        self.broker = Broker(clock=FakeClock())
        self.producer = self.broker.producer()
        self.consumer = self.broker.consumer()
        self.empty = self.broker.consumer("empty")
        bodies = ["body"] * n
        ids = self.producer.put_many(bodies)
        for job in self.consumer.reserve_many(n):
            job.bury()
        self.buried = ids[n // 2]
        self.delayed = self.producer.put_many(bodies, delay=1_000)[n // 2]
        self.producer.put_many(bodies, ttr=1_000)
        self.held = self.consumer.reserve_many(n)[n // 2]
        self.ready = self.producer.put_many(bodies)[n // 2]
        self.others = [self.broker.consumer(name) for name in names(n)]
        self.last = self.broker.consumer("default", "empty")
        self.last.reserve()
        self.broker.limit_tube("full", n)
        self.producer.put_many(bodies, tube="full")

    def put(self, **how: Any) -> None:
        """Put a job."""
        self.producer.put("body", **how)

    def put_into_a_full_tube(self) -> None:
        """Find no room."""
        with pytest.raises(TubeFullError):
            self.put(tube="full", timeout=0)

    def reserve_in_vain(self) -> None:
        """Find the tube empty."""
        with pytest.raises(TimedOutError):
            self.empty.reserve(timeout=0)

    def join_in_vain(self) -> None:
        """Find that there is work left."""
        with pytest.raises(TimedOutError):
            self.broker.join("default", timeout=0)

    def delete_in_a_block(self) -> None:
        """Leave the with-block of a job."""
        with self.held:
            pass

    def bury_in_a_block(self) -> None:
        """Leave the with-block of a job by an exception."""
        with pytest.raises(OSError, match=r"^no$"), self.held:
            raise OSError("no")  # noqa: EM101 - no traceback is printed


VERBS: dict[str, Callable[[Loaded], object]] = {
    "put": lambda loaded: loaded.put(),
    "put with another priority": lambda loaded: loaded.put(priority=1),
    "put with a delay": lambda loaded: loaded.put(delay=9),
    "put elsewhere": lambda loaded: loaded.put(tube="tube-1"),
    "put into a full tube": Loaded.put_into_a_full_tube,
    "reserve": lambda loaded: loaded.consumer.reserve(),
    "reserve in vain": Loaded.reserve_in_vain,
    "reserve_many": lambda loaded: loaded.consumer.reserve_many(2),
    "reserve_nowait": lambda loaded: loaded.consumer.reserve_nowait(),
    "reserve_job": lambda loaded: loaded.consumer.reserve_job(loaded.ready),
    "iterate": lambda loaded: next(loaded.consumer),
    "delete": lambda loaded: loaded.held.delete(),
    "delete by the consumer": lambda loaded: loaded.consumer.delete(loaded.held),
    "delete by id": lambda loaded: loaded.consumer.delete(loaded.held.id),
    "leave a block": Loaded.delete_in_a_block,
    "fail in a block": Loaded.bury_in_a_block,
    "delete a ready one": lambda loaded: loaded.broker.delete(loaded.ready),
    "delete a delayed one": lambda loaded: loaded.broker.delete(loaded.delayed),
    "delete a buried one": lambda loaded: loaded.broker.delete(loaded.buried),
    "release": lambda loaded: loaded.held.release(),
    "release with a delay": lambda loaded: loaded.held.release(delay=9),
    "bury": lambda loaded: loaded.held.bury(),
    "touch": lambda loaded: loaded.held.touch(),
    "kick": lambda loaded: loaded.broker.kick("default", 2),
    "kick_job of a delayed one": lambda loaded: loaded.broker.kick_job(loaded.delayed),
    "kick_job of a buried one": lambda loaded: loaded.broker.kick_job(loaded.buried),
    "peek": lambda loaded: loaded.broker.peek(loaded.ready),
    "peek_ready": lambda loaded: loaded.broker.peek_ready(),
    "peek_delayed": lambda loaded: loaded.broker.peek_delayed(),
    "peek_buried": lambda loaded: loaded.broker.peek_buried(),
    "stats_job": lambda loaded: loaded.held.stats(),
    "stats_tube": lambda loaded: loaded.broker.stats_tube("default"),
    "use": lambda loaded: loaded.producer.use("tube-1"),
    "using": lambda loaded: loaded.producer.using(),
    "watch": lambda loaded: loaded.empty.watch("tube-1"),
    "watching": lambda loaded: loaded.empty.watching(),
    "pause_tube": lambda loaded: loaded.broker.pause_tube("default", 9),
    "limit_tube": lambda loaded: loaded.broker.limit_tube("default", 9),
    "join in vain": Loaded.join_in_vain,
    "open a producer": lambda loaded: loaded.broker.producer(),
    "open a consumer": lambda loaded: loaded.broker.consumer(),
    "close a consumer": lambda loaded: loaded.last.close(),
}
of_every_verb = pytest.mark.parametrize("verb", VERBS.values(), ids=VERBS)


@interpreted
@of_every_verb
def test_a_verb_touches_what_it_is_about_and_nothing_else(
    verb: Callable[[Loaded], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    touches = Touches(monkeypatch)
    brokers = [Loaded(n) for n in (10, 500)]
    small, large = [touches.count(verb, loaded) for loaded in brokers]
    assert small == large
    assert max(large.values()) <= 3


@of_every_verb
def test_a_verb_calls_the_same_functions_whatever_the_backlog(
    verb: Callable[[Loaded], object],
) -> None:
    verb(Loaded(10))  # some things are imported or made the first time
    brokers = [Loaded(n) for n in (10, 500)]
    small, large = [called(verb, loaded) for loaded in brokers]
    assert small == large


@interpreted
@pytest.mark.parametrize(
    "verb",
    ["delete", "delete by the consumer", "delete by id", "leave a block"],
)
def test_a_held_job_is_deleted_without_a_look_at_the_clock(verb: str) -> None:
    loaded = Loaded(10)
    loaded.held = loaded.consumer.reserve()
    calls = called(VERBS[verb], loaded)
    assert calls["Engine.delete_held"]
    assert not calls["FakeClock.now"]


@pytest.mark.parametrize("verb", ["put", "reserve", "release", "bury", "touch"])
def test_any_other_verb_looks_at_the_clock_once(verb: str) -> None:
    assert 1 == called(VERBS[verb], Loaded(10))["FakeClock.now"]
