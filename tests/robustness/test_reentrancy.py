"""Whatever is called in the middle of a verb, on its thread, is safe there.

A trace function, a profiler, the collector, a weak reference and a signal handler call
verbs at points that nobody chooses. A put and a close are carried out once, in order, at
the end of the interrupted turn at the latest. All other verbs raise `ReentrantCallError`
at once, or do what they always do where no turn is under way.
"""

from __future__ import annotations

import gc
import logging
import signal
import sys
import weakref
from contextlib import suppress
from functools import partial
from itertools import count
from logging.handlers import QueueHandler
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

from inproc_tubes import (
    Broker,
    NotFoundError,
    Producer,
    ReentrantCallError,
    TimedOutError,
)
from inproc_tubes.core.recovery import check
from tests.robustness.injection import Bytecode, Recorder, Visitor
from tests.robustness.scenarios import ends, putting, reserving, settling, tubes
from tests.robustness.world import World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.robustness.scenarios import Scenario

    Visit: TypeAlias = "Callable[[VisitedWorld], None]"

VISITED: list[Scenario] = [
    putting.put,
    putting.put_for_a_loop,
    putting.put_many_for_waiting_consumers,
    reserving.reserve,
    reserving.reserve_that_waits,
    reserving.reserve_job,
    settling.delete_by_id,
    settling.release_for_a_waiting_consumer,
    settling.bury_that_ends_a_join,
    settling.kick_of_buried_jobs,
    tubes.limit_that_is_lowered,
    tubes.watch_while_waiting,
    ends.join_that_waits,
    ends.expiry,
    ends.close_of_a_consumer,
    ends.maturing_for_a_waiting_consumer,
]
_COLLECT_EVERY = 500  # worlds: each is a cycle

_seen: set[tuple[Bytecode, Bytecode]] = set()


def visit_puts(world: VisitedWorld) -> None:  # pragma: no cover - a tracer is at work
    """Put two jobs and a batch: their ids are known at once, and rise."""
    first = world.visits.put("first", priority=5)
    second = world.visits.put("second", priority=5)
    batch = world.visits.put_many(["third", "fourth"], priority=5)
    assert 0 < first < second < batch[0] < batch[1]
    world.certain.update(("first", "second", "third", "fourth"))


def visit_close(world: VisitedWorld) -> None:  # pragma: no cover - a tracer is at work
    """Close a handle; in a turn that happens at its end."""
    world.visitor.close()
    world.visits.close()


def visit_stop(world: VisitedWorld) -> None:  # pragma: no cover - a tracer is at work
    """Stop a consumer; in a turn that happens at its end."""
    world.visitor.stop()
    world.visitor.stop()


def visit_others(world: VisitedWorld) -> None:  # pragma: no cover - a tracer is at work
    """Call other verbs, which may be refused, and change nothing then."""
    for verb in (
        world.broker.tubes,
        lambda: world.visitor.reserve(timeout=0),
        lambda: world.visitor.delete(10**6),
        lambda: world.visits.use("elsewhere"),
        lambda: world.broker.limit_tube("elsewhere", 3),
        lambda: world.visited.lost,
    ):
        with suppress(ReentrantCallError, TimedOutError, NotFoundError):
            verb()


VISITS: list[Visit] = [visit_puts, visit_close, visit_stop, visit_others]


class VisitedWorld(World):
    """A world with handles for who interrupts its verbs, in a tube of their own."""

    def __init__(self) -> None:
        super().__init__()
        self.visitor = self.broker.consumer("visits")
        self.visits = self.broker.producer("visits")
        self.visited = self.visitor.reserve_job(
            self.visits.put("visited", tube="visited")
        )
        self.handles.append(self.visited)
        self.certain.add("visited")


def interrupt(
    scenario: Scenario, number: int, bytecode: Bytecode, visit: Visit
) -> None:
    """Carry out a scenario with a visit in front of that bytecode.

    It comes when that is executed for the ``number``-th time.
    """
    world = VisitedWorld()
    visits = 0

    def call() -> None:  # pragma: no cover - a tracer is at work
        nonlocal visits
        visits += 1
        visit(world)

    visitor = world.clock.tracer = Visitor(number, call, bytecode)
    verb = scenario(world)
    world.give(visitor.call(verb))
    assert 1 == visits
    world.verify()
    if visit is visit_puts:
        there = [job.body for job in world.broker.jobs("visits")]
        assert ["first", "second", "third", "fourth"] == there
    closed = [world.visitor._session.closed, world.visits._session.closed]
    assert (visit is visit_close) == all(closed) == any(closed)
    assert (visit is visit_stop) == (world.visitor._session.stopped is not None)


@pytest.mark.parametrize("scenario", VISITED, ids=lambda one: one.__name__)
@pytest.mark.usefixtures("no_collector")
def test_a_verb_may_be_interrupted_by_others_at_every_bytecode(
    scenario: Scenario, pytestconfig: pytest.Config
) -> None:
    world = VisitedWorld()
    recorder = world.clock.tracer = Recorder()
    verb = scenario(world)
    recorder.call(verb)
    executed = zip(recorder.paths, recorder.numbered(), strict=True)
    for number, (path, time_and_bytecode) in enumerate(executed, 1):
        # With --soak all of them, else each in its turn where none was before.
        chosen = VISITS[number % len(VISITS)]
        is_new = path not in _seen
        _seen.add(path)
        for visit in VISITS:
            if pytestconfig.getoption("soak") or (is_new and visit is chosen):
                interrupt(scenario, *time_and_bytecode, visit)
        if number % _COLLECT_EVERY == 0:
            gc.collect()


@pytest.mark.usefixtures("no_collector")
def test_a_reserve_may_be_interrupted_by_the_put_that_it_waits_for() -> None:
    def scenario(world: World) -> Callable[[], object]:
        world.clock.meanwhile = lambda: world.put("meanwhile")
        return lambda: world.consumer.reserve(timeout=60)

    world = World()
    recorder = world.clock.tracer = Recorder()
    verb = scenario(world)
    recorder.call(verb)
    bodies = set()
    for number, bytecode in recorder.numbered():
        world = World()
        visit = partial(world.put, "visit")
        visitor = Visitor(number, visit, bytecode)
        world.clock.tracer = visitor
        verb = scenario(world)
        job: Any = visitor.call(verb)
        world.give(job)
        world.verify()
        bodies.add(job.body)
    assert {"visit", "meanwhile"} == bodies


class Hook:
    """Calls verbs from wherever the interpreter calls a hook; not from itself."""

    def __init__(self, broker: Broker[int]) -> None:
        self.broker = broker
        self.producer = broker.producer("hooks")
        self.put: list[int] = []
        self.refused = 0
        self._numbers = count()
        self._inside = False

    def __call__(self, *_args: object) -> None:
        """Put a job, and try another verb."""
        if self._inside:  # pragma: no branch - as in the next line
            return  # pragma: no cover - a tracer is at work
        self._inside = True
        self.put.append(self.producer.put(next(self._numbers)))
        try:
            self.broker.tubes()
        except ReentrantCallError:
            self.refused += 1
        self._inside = False

    def verify(self) -> None:
        """Check that all has arrived, once and in order."""
        assert self.put
        assert self.refused
        jobs = self.broker.jobs("hooks")
        assert self.put == [job.id for job in jobs]
        assert list(range(len(jobs))) == [job.body for job in jobs]
        check(self.broker._engine)


def work(broker: Broker[int], rounds: int) -> None:
    """Put, reserve, release, reserve again and delete."""
    producer, consumer = broker.producer(), broker.consumer("default", "other")
    for number in range(rounds):
        producer.put(number)
        consumer.reserve(timeout=0).release(delay=number % 2)
        with suppress(TimedOutError):
            consumer.reserve(timeout=0).delete()


@pytest.fixture
def hook() -> Hook:
    return Hook(Broker())


def test_a_profiler_may_call_verbs(hook: Hook) -> None:
    before = sys.getprofile()
    sys.setprofile(hook)
    try:
        work(hook.broker, 10)
    finally:
        sys.setprofile(before)
    hook.verify()


def test_a_trace_function_may_call_verbs(hook: Hook) -> None:
    before = sys.gettrace()

    def trace(*_args: object) -> Any:  # pragma: no cover - a tracer is at work
        hook()
        return trace

    sys.settrace(trace)
    try:
        work(hook.broker, 10)
    finally:
        sys.settrace(before)
    hook.verify()


@pytest.fixture
def _eager_collector() -> Iterator[None]:
    """Let the collector run all the time."""
    usual = gc.get_threshold()
    gc.collect()
    gc.set_threshold(2, 2, 2)
    yield
    gc.set_threshold(*usual)
    gc.collect()


@pytest.mark.usefixtures("_eager_collector")
def test_the_callbacks_of_the_collector_may_call_verbs(hook: Hook) -> None:
    gc.set_threshold(100)  # or each put would make for one more, for ever
    gc.callbacks.append(hook)
    try:
        work(hook.broker, 200)
    finally:
        gc.callbacks.remove(hook)
    hook.verify()


class Cycle:
    """Garbage that the collector alone finds."""

    def __init__(self) -> None:
        self.itself = self


@pytest.mark.usefixtures("_eager_collector")
def test_the_callback_of_a_weak_reference_may_call_verbs(hook: Hook) -> None:
    references = []  # no set: one may be dead before it could be hashed
    for number in range(2000):
        gc.set_threshold(2 + number % 61, 1, 1)  # another bytecode each time
        references.append(weakref.ref(Cycle(), hook))
        work(hook.broker, 1)
    gc.set_threshold(0)  # no more of them
    hook.verify()


class Finalised(Cycle):
    """Garbage that puts a job as it is collected."""

    put: int = 0

    def __init__(self, producer: Producer[int]) -> None:
        super().__init__()
        self._producer = producer

    def __del__(self) -> None:
        Finalised.put += 1
        self._producer.put(Finalised.put)


@pytest.mark.usefixtures("_eager_collector")
def test_the_puts_of_collected_garbage_all_arrive(pytestconfig: pytest.Config) -> None:
    rounds = 100_000 if pytestconfig.getoption("soak") else 2_000
    Finalised.put = 0
    broker: Broker[int] = Broker()
    graves = broker.producer("graves")
    producer, consumer = broker.producer(), broker.consumer()
    for number in range(rounds):
        Finalised(graves)
        producer.put(number)
        with consumer.reserve(timeout=0) as job:
            assert number == job.body
    gc.collect()
    assert rounds == Finalised.put
    bodies = [job.body for job in broker.jobs("graves")]
    assert sorted(bodies) == list(range(1, rounds + 1))
    assert bodies == sorted(bodies)


class Notice(Cycle):
    """Garbage that logs as it is collected."""

    def __init__(self, log: logging.Logger) -> None:
        super().__init__()
        self._log = log

    def __del__(self) -> None:
        self._log.warning("collected")


class TubeHandler(QueueHandler):
    """Puts the records of a log into a tube, as the README of logging advises."""

    def enqueue(self, record: logging.LogRecord) -> None:
        """Put a record."""
        self.queue.put(record)  # type: ignore[attr-defined]  # it is a producer


@pytest.mark.usefixtures("_eager_collector")
def test_a_log_may_go_into_a_tube_from_anywhere() -> None:
    broker: Broker[Any] = Broker()
    log = logging.getLogger("inproc_tubes.tests.reentrancy")
    log.propagate = False
    handler = TubeHandler(broker.producer("log"))  # type: ignore[arg-type]  # only `enqueue` uses it
    log.addHandler(handler)
    before = signal.signal(signal.SIGALRM, lambda *_args: log.warning("signalled"))
    try:
        signal.setitimer(signal.ITIMER_REAL, 3e-4, 3e-4)
        producer, consumer = broker.producer(), broker.consumer()
        for number in range(1000):
            Notice(log)
            producer.put(number)
            consumer.reserve(timeout=0).delete()
        gc.collect()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        log.removeHandler(handler)
        handler.close()
    messages = [job.body.getMessage() for job in broker.jobs("log")]
    assert 1000 == messages.count("collected")
    assert 0 < messages.count("signalled") == len(messages) - 1000


def test_a_signal_handler_may_call_verbs(hook: Hook) -> None:
    before = signal.signal(signal.SIGALRM, hook)
    try:
        signal.setitimer(signal.ITIMER_REAL, 3e-4, 3e-4)
        while len(hook.put) < 100 or not hook.refused:
            work(hook.broker, 5)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    hook.verify()
