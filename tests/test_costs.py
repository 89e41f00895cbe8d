"""What verbs cost, counted: costs do not grow where the documentation says so.

Each is done on a small and on a large backlog. What may not grow at all is the same on
both; what may grow is held to a few times the logarithm, of which to go through the
large one would be a thousand times as much.
"""

from __future__ import annotations

from math import log2
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from inproc_tubes import Broker, TimedOutError, waiting
from inproc_tubes.engine import Engine
from inproc_tubes.testing import FakeClock
from tests.counting import Line, Moment, Touches, called, compared, uncollected

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from inproc_tubes import Consumer


@pytest.fixture(autouse=True)
def _uncollected() -> Iterator[None]:
    with uncollected():
        yield


# Comparisons

SMALL = 1_000
LARGE = 20_000
TIMES = 200
"""How often a verb is repeated: often enough for what is swept now and then."""

Counts = list[int]  # of comparisons, one for each time


def dice() -> Random:
    return Random(7)  # noqa: S311 - the same each time is the point


def putting(n: int) -> Counts:
    line = Line()
    line.fill(n)
    return [compared(line.put) for _ in range(TIMES)]


def taking_in(n: int) -> Counts:
    line = Line()
    line.fill(n)
    line.reserve()  # from now on theirs is known to be the best priority
    counts = []
    for _ in range(TIMES):
        line.leave_at_the_door()
        counts.append(compared(line.engine.take_in, line.now))
    return counts


def putting_with_a_known_priority(n: int) -> Counts:
    line = Line()
    for priority in range(100):
        line.put(priority)
    line.fill(n)
    priorities = dice().choices(range(100), k=TIMES)
    return [compared(line.put, p) for p in priorities]


def putting_with_a_new_priority(n: int) -> Counts:
    line = Line()
    priorities = dice().sample(range(2**32), n // 10 + TIMES)
    for priority in priorities[TIMES:]:
        line.put(priority)
    return [compared(line.put, p) for p in priorities[:TIMES]]


def putting_with_a_delay(n: int) -> Counts:
    line = Line()
    line.fill(n, delay=1)
    delays = dice().sample(range(2, 2**32), n // 10 + TIMES)
    for delay in delays[TIMES:]:
        line.put(delay=delay)
    return [compared(line.put, delay=d) for d in delays[:TIMES]]


def putting_with_ever_shorter_delays(n: int) -> Counts:
    line = Line()
    line.fill(n, delay=2**30)
    delays = range(TIMES, 0, -1)
    return [compared(line.put, delay=d) for d in delays]


def reserving(n: int) -> Counts:
    line = Line()
    line.fill(n)
    return [compared(line.reserve) for _ in range(TIMES)]


def reserving_by_ever_worse_priority(n: int) -> Counts:
    line = Line()
    for priority in dice().sample(range(2**32), n // 10 + TIMES):
        line.put(priority)
    return [compared(line.reserve) for _ in range(TIMES)]


def reserving_by_id(n: int) -> Counts:
    line = Line()
    ids = dice().sample(line.fill(n), TIMES)
    return [compared(line.do, "reserve_job", i) for i in ids]


def deleting(n: int) -> Counts:
    line = Line()
    line.fill(n)
    held = dice().sample(line.reserve_all(n), TIMES)
    return [compared(line.do, "delete_held", r, r.reservation) for r in held]


def deleting_ready_ones(n: int) -> Counts:
    line = Line()
    ids = dice().sample(line.fill(n), n // 2 + TIMES)
    return [compared(line.do, "delete", i, None) for i in ids]


def deleting_delayed_ones(n: int) -> Counts:
    line = Line()
    ids = dice().sample(line.fill(n, delay=9), n // 2 + TIMES)
    return [compared(line.do, "delete", i, None) for i in ids]


def releasing(n: int) -> Counts:
    """The oldest last, each of which comes before all others."""
    line = Line()
    line.fill(n)
    held = reversed(line.reserve_all(TIMES))
    return [compared(line.do, "release", r.id, None, None, 0) for r in held]


def releasing_with_a_delay(n: int) -> Counts:
    line = Line()
    line.fill(TIMES)
    held = line.reserve_all(TIMES)
    line.fill(n, delay=9)
    return [compared(line.do, "release", r.id, None, None, 1) for r in held]


def burying(n: int) -> Counts:
    line = Line()
    line.fill(n)
    held = dice().sample(line.reserve_all(n), TIMES)
    return [compared(line.do, "bury", r.id, None, None) for r in held]


def kicking(n: int) -> Counts:
    line = Line()
    line.fill(n + TIMES)
    for record in line.reserve_all(TIMES):
        line.do("bury", record.id, None, None)
    kick = line.engine.kick
    return [compared(kick, line.now, "default", 1) for _ in range(TIMES)]


def kicking_delayed_ones(n: int) -> Counts:
    line = Line()
    line.fill(n, delay=9)
    kick = line.engine.kick
    return [compared(kick, line.now, "default", 1) for _ in range(TIMES)]


def touching(n: int) -> Counts:
    line = Line()
    line.fill(n)
    held = dice().sample(line.reserve_all(n), TIMES)
    line.consumer.soonest()  # they are in order
    return [compared(line.do, "touch", r.id, None) for r in held]


def touching_over_and_over(n: int) -> Counts:
    line = Line()
    line.fill(n // 10)
    held = line.reserve_all(n // 10)
    line.consumer.soonest()
    counts = []
    for moment in range(3):
        line.now = Moment(101 + moment)
        counts += [compared(line.do, "touch", record.id, None) for record in held]
    return counts


def asking_for_the_soonest(n: int) -> Counts:
    line = Line()
    line.fill(n)
    held = line.reserve_all(n)
    line.consumer.soonest()
    counts = []
    for record in held[:TIMES]:
        line.do("delete_held", record, record.reservation)
        counts.append(compared(line.consumer.soonest))
    return counts


def asking_for_the_soonest_time_and_again(n: int) -> Counts:
    line = Line()
    line.fill(n + TIMES)
    line.reserve_all(n)
    counts = []
    for _ in range(TIMES):
        line.reserve()
        counts.append(compared(line.consumer.soonest))
    return counts[1:]


def waiting_with_a_timeout(n: int) -> Counts:
    line = Line()
    timeouts = dice().sample(range(1, 2**31), n // 10 + TIMES)
    waiters = [waiting.Waiter(line.consumer, timeout) for timeout in timeouts]
    counts = [compared(line.engine.wait, line.now, w) for w in waiters]
    return counts[-TIMES:]


def waiting_no_longer(n: int) -> Counts:
    line = Line()
    timeouts = dice().sample(range(1, 2**31), n // 10 + TIMES)
    waiters = [waiting.Waiter(line.consumer, timeout) for timeout in timeouts]
    for waiter in waiters:
        line.engine.wait(line.now, waiter)
    return [compared(line.engine.withdraw, line.now, w) for w in waiters[:TIMES]]


@pytest.mark.parametrize(
    "verb",
    [
        putting,
        taking_in,
        putting_with_a_known_priority,
        deleting,
        burying,
    ],
)
def test_a_verb_compares_as_little_on_a_large_backlog_as_on_a_small(
    verb: Callable[[int], Counts],
) -> None:
    small, large = verb(SMALL), verb(LARGE)
    assert max(small) == max(large)
    assert max(large) <= 6


@pytest.mark.parametrize(
    "verb",
    [
        deleting_ready_ones,
        deleting_delayed_ones,
        putting_with_a_delay,
        reserving_by_id,
        touching_over_and_over,
    ],
)
def test_a_verb_compares_as_little_on_average(verb: Callable[[int], Counts]) -> None:
    for n in SMALL, LARGE:
        counts = verb(n)
        assert sum(counts) <= 12 * len(counts)


@pytest.mark.parametrize(
    "verb",
    [
        putting_with_a_new_priority,
        putting_with_ever_shorter_delays,
        reserving,
        reserving_by_ever_worse_priority,
        releasing,
        releasing_with_a_delay,
        kicking,
        kicking_delayed_ones,
        touching,
        asking_for_the_soonest,
        asking_for_the_soonest_time_and_again,
        waiting_with_a_timeout,
        waiting_no_longer,
    ],
)
def test_a_verb_compares_no_more_than_a_heap_does(
    verb: Callable[[int], Counts],
) -> None:
    for n in SMALL, LARGE:
        # Pairs compare twice: whether they are equal, and which is less.
        assert max(verb(n)) <= 4 * log2(n) + 12


@pytest.mark.parametrize("n", [SMALL, LARGE // 2])
@pytest.mark.parametrize("delays", [[9], [3, 1, 2]])
def test_jobs_that_mature_together_compare_no_more_than_in_a_heap(
    n: int, delays: list[float]
) -> None:
    line = Line()
    for delay in delays:
        line.fill(n // len(delays), delay=delay)
    assert compared(line.to, 109) <= 4 * log2(n) * n
    assert not line.engine.listing[0].delayed


@pytest.mark.parametrize("n", [SMALL, LARGE // 2])
@pytest.mark.parametrize("ttrs", [[9], [3, 1, 2]])
def test_reservations_that_end_together_compare_no_more_than_in_a_heap(
    n: int, ttrs: list[float]
) -> None:
    line = Line()
    for ttr in ttrs:
        line.fill(n // len(ttrs), ttr=ttr)
    line.reserve_all(n)
    assert compared(line.to, 109) <= 4 * log2(n) * n
    assert not line.consumer.held


@pytest.mark.parametrize("state", ["delayed", "reserved"])
def test_a_job_that_is_due_costs_nothing_to_those_that_are_not(state: str) -> None:
    counts = []
    for n in SMALL, LARGE:
        line = Line()
        line.fill(n)
        line.reserve_all(n // 2)
        line.fill(n, delay=1000)
        line.put(priority=0, delay=9, ttr=9)
        if state == "reserved":
            line.to(109)
            line.reserve()
        line.consumer.soonest()
        counts.append(compared(line.to, 118))
    assert counts[1] <= counts[0] + 8 * log2(LARGE / SMALL)


# Tubes that a consumer watches


def names(n: int) -> list[str]:
    return [f"tube-{i}" for i in range(n)]


def reserving_from_the_only_one_filled(n: int) -> Counts:
    line = Line()
    line.fill(TIMES + 1)
    line.do("watch", names(n))
    line.reserve()  # the first time it has to look at all of them
    return [compared(line.reserve) for _ in range(TIMES)]


def reserving_where_all_are_filled(n: int) -> Counts:
    line = Line()
    for name in dice().choices(names(n), k=n + TIMES):
        line.put(tube=name)
    line.do("watch", names(n))
    line.reserve()
    return [compared(line.reserve) for _ in range(TIMES)]


def putting_into_one_of_many_watched_tubes(n: int) -> Counts:
    line = Line()
    line.do("watch", names(n))
    line.reserve()
    return [compared(line.put) for _ in range(TIMES)]


def test_a_reserve_does_not_compare_tubes_that_have_no_job() -> None:
    few, many = map(reserving_from_the_only_one_filled, (10, 1_000))
    assert max(few) == max(many)


def test_a_reserve_compares_the_tubes_that_have_jobs_as_a_heap_does() -> None:
    for n in 10, 1_000:
        assert max(reserving_where_all_are_filled(n)) <= 8 * log2(n) + 24


def test_a_put_does_not_compare_tubes_that_are_watched_along_with_its_own() -> None:
    few, many = map(putting_into_one_of_many_watched_tubes, (10, 1_000))
    assert max(few) == max(many)


# Objects and calls, of one verb through the handles


class Shop:
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

    def put(self, **how: Any) -> None:
        """Put a job, and see to it that it comes to its place."""
        self.producer.put("body", **how)
        self.producer.using()

    def reserve_in_vain(self) -> None:
        """Find the tube empty."""
        with pytest.raises(TimedOutError):
            self.empty.reserve(timeout=0)


VERBS: dict[str, Callable[[Shop], object]] = {
    "put": lambda shop: shop.put(),
    "put with another priority": lambda shop: shop.put(priority=1),
    "put with a delay": lambda shop: shop.put(delay=9),
    "put elsewhere": lambda shop: shop.put(tube="tube-1"),
    "reserve": lambda shop: shop.consumer.reserve(),
    "reserve in vain": Shop.reserve_in_vain,
    "reserve_many": lambda shop: shop.consumer.reserve_many(2),
    "reserve_job": lambda shop: shop.consumer.reserve_job(shop.ready),
    "delete": lambda shop: shop.held.delete(),
    "delete a ready one": lambda shop: shop.broker.delete(shop.ready),
    "delete a delayed one": lambda shop: shop.broker.delete(shop.delayed),
    "delete a buried one": lambda shop: shop.broker.delete(shop.buried),
    "release": lambda shop: shop.held.release(),
    "release with a delay": lambda shop: shop.held.release(delay=9),
    "bury": lambda shop: shop.held.bury(),
    "touch": lambda shop: shop.held.touch(),
    "kick": lambda shop: shop.broker.kick("default", 2),
    "kick_job of a delayed one": lambda shop: shop.broker.kick_job(shop.delayed),
    "kick_job of a buried one": lambda shop: shop.broker.kick_job(shop.buried),
    "peek": lambda shop: shop.broker.peek(shop.ready),
    "peek_ready": lambda shop: shop.broker.peek_ready(),
    "peek_delayed": lambda shop: shop.broker.peek_delayed(),
    "peek_buried": lambda shop: shop.broker.peek_buried(),
    "stats_job": lambda shop: shop.held.stats(),
    "stats_tube": lambda shop: shop.broker.stats_tube("default"),
    "use": lambda shop: shop.producer.use("tube-1"),
    "watch": lambda shop: shop.empty.watch("tube-1"),
    "pause_tube": lambda shop: shop.broker.pause_tube("default", 9),
    "open a consumer": lambda shop: shop.broker.consumer(),
    "close a consumer": lambda shop: shop.last.close(),
}
of_every_verb = pytest.mark.parametrize("verb", VERBS.values(), ids=VERBS)


@pytest.fixture
def touches(monkeypatch: pytest.MonkeyPatch) -> Touches:
    return Touches(monkeypatch)


@of_every_verb
def test_a_verb_touches_what_it_is_about_and_nothing_else(
    verb: Callable[[Shop], object], touches: Touches
) -> None:
    shops = [Shop(n) for n in (10, 500)]
    small, large = [touches.count(verb, shop) for shop in shops]
    assert small == large
    assert max(large.values()) <= 3


@of_every_verb
def test_a_verb_calls_the_same_functions_whatever_the_backlog(
    verb: Callable[[Shop], object],
) -> None:
    verb(Shop(10))  # some things are imported or made the first time
    shops = [Shop(n) for n in (10, 500)]
    small, large = [called(verb, shop) for shop in shops]
    assert small == large


# Many at once


def maturing(n: int) -> Callable[[], object]:
    """Prepare so many jobs for becoming ready in one moment."""
    line = Line(int, float)
    line.fill(n, delay=9)
    return lambda: line.to(109)


def expiring(n: int) -> Callable[[], object]:
    """Prepare the end of so many reservations in one moment."""
    line = Line(int, float)
    line.fill(n, ttr=9)
    line.reserve_all(n)
    return lambda: line.to(109)


def closing(n: int) -> Callable[[], object]:
    """Prepare the end of a consumer that holds so many jobs."""
    line = Line(int, float)
    line.fill(n)
    line.reserve_all(n)
    return lambda: line.do("close_session", "closed")


def ending_a_pause(n: int) -> Callable[[], object]:
    """Prepare so many jobs to be handed to as many who wait."""
    line = Line(int, float)
    line.engine.pause_tube(line.now, "default", 9)
    for _ in range(n):
        line.engine.wait(line.now, waiting.Waiter(line.consumer, None))
    line.fill(n)
    return lambda: line.to(109)


@pytest.mark.parametrize("prepare", [maturing, expiring, closing, ending_a_pause])
def test_what_is_done_to_many_jobs_at_once_is_done_once_for_each(
    prepare: Callable[[int], Callable[[], object]],
) -> None:
    few, many = [called(prepare(n)).total() for n in (100, 1_000)]
    assert few >= 3 * 100  # each of them is moved, by more than one call
    assert many <= 10 * few


# Consumers that watch many tubes, and those who wait


def watching(n: int, *filled: str) -> tuple[Broker, Consumer]:
    """Let a consumer watch so many tubes; jobs are in some of them."""
    broker = Broker(clock=FakeClock())
    consumer = broker.consumer(*names(n))
    for name in filled:
        broker.producer(name).put_many(["body"] * 3)
    if filled:
        consumer.reserve()  # the first time it has to look at all of them
    return broker, consumer


def test_a_reserve_touches_no_tube_that_has_no_job(touches: Touches) -> None:
    for n in 10, 1_000:
        _broker, consumer = watching(n, "tube-7")
        touched = touches.count(consumer.reserve)
        assert {"Session": 1, "Tube": 1, "Record": 1} == touched


def test_a_reserve_calls_nothing_for_a_tube_that_has_no_job() -> None:
    few, many = [called(watching(n, "tube-7")[1].reserve) for n in (10, 1_000)]
    assert few == many


def test_a_reserve_looks_at_a_few_of_the_tubes_that_have_jobs() -> None:
    _broker, consumer = watching(1_000, *names(1_000))
    looks = [called(consumer.reserve)["Tube.first_ready"] for _ in range(2_000)]
    assert 1 <= max(looks) <= 3


def test_a_reserve_that_finds_nothing_touches_no_tube(touches: Touches) -> None:
    _broker, consumer = watching(1_000)

    def reserve() -> None:
        with pytest.raises(TimedOutError):
            consumer.reserve(timeout=0)

    reserve()
    assert {"Session": 1, "Waiter": 1} == touches.count(reserve)


def test_who_begins_to_wait_touches_no_tube_but_the_first_time(
    touches: Touches,
) -> None:
    line = Line(int, float)
    line.do("watch", names(1_000))

    def wait() -> None:
        line.engine.wait(line.now, waiting.Waiter(line.consumer, None))

    assert 1_001 == touches.count(wait)["Tube"]
    assert {"Session": 1, "Waiter": 1} == touches.count(wait)


class Crowd:
    """An engine, and consumers that wait in it, each of which watches these tubes."""

    def __init__(self, *watched: list[str]) -> None:
        self._engine = Engine()
        self._producer = self._engine.open_session(100, "tube-0", ())
        for tubes in watched:
            session = self._engine.open_session(100, None, tubes)
            self._engine.wait(100, waiting.Waiter(session, None))

    def put(self) -> None:
        """Put a job that is for the first of them."""
        self._engine.put(100, self._producer, None, "body", 0, 0, 60)


CROWDS: dict[str, Callable[[int], Crowd]] = {
    "each in a tube of its own": lambda n: Crowd(*([name] for name in names(n))),
    "all in one tube": lambda n: Crowd(*[["tube-0"]] * n),
    "all in the same tubes": lambda n: Crowd(*[names(20)] * n),
    "one in all tubes": lambda n: Crowd(names(n)),
}


@pytest.mark.parametrize("crowd", CROWDS.values(), ids=CROWDS)
def test_a_put_touches_none_but_the_one_who_is_served(
    crowd: Callable[[int], Crowd], touches: Touches
) -> None:
    # Who puts, and who is served.
    served = {"Session": 2, "Waiter": 1, "Record": 1, "Tube": 1}
    assert [served] * 2 == [touches.count(crowd(n).put) for n in (2, 1_000)]


@pytest.mark.parametrize("crowd", CROWDS.values(), ids=CROWDS)
def test_a_put_calls_nothing_for_those_who_are_not_served(
    crowd: Callable[[int], Crowd],
) -> None:
    alone, in_a_crowd = [called(crowd(n).put) for n in (2, 1_000)]
    assert alone == in_a_crowd
