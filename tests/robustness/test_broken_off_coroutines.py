"""An exception at every bytecode of what coroutines await loses and sticks nothing.

The same as `test_broken_off` for verbs that run, or wait, in an event loop. Another
coroutine waits in the same loop meanwhile. It is answered, or the loop keeps time for it.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from functools import partial
from itertools import islice
from math import inf
from typing import Any, TypeAlias

import pytest

import inproc_tubes.event_stream  # noqa: F401 - else the first stream would import it
from inproc_tubes import ClosedError, Job, TimedOutError, TubesError, monitor
from inproc_tubes.core.recovery import check
from inproc_tubes.waiting.coroutines import LoopSleepers
from tests.robustness.injection import (
    Bytecode,
    Injector,
    Place,
    Recorder,
    Tracer,
)
from tests.robustness.world import World
from tests.shells import timers_of

AsyncVerb: TypeAlias = Callable[[], Awaitable[Any]]
_START = 1000.0  # of the clock
_SAMPLE = 7
_CALLBACKS = 5  # so many rounds of the loop, and what was scheduled has run

_seen: set[tuple[Bytecode, Bytecode]] = set()


class LoopWorld(World):
    """A world with coroutines, in a loop that several worlds share."""

    def __init__(self, loop: asyncio.AbstractEventLoop, tracer: Tracer) -> None:
        super().__init__()
        self.loop = loop
        self.clock.tracer = self.tracer = tracer
        # The loop's timers are real, and all of them are far away.
        self.clock.seconds_until = lambda moment: moment - self.clock.now()  # type: ignore[method-assign]  # as above
        self.async_consumer = self.broker.async_consumer("work")
        self.async_producer = self.broker.async_producer("work")
        self.neighbours: list[asyncio.Task[Any]] = []

    def neighbour(self, verb: AsyncVerb) -> None:
        """Let another coroutine wait in the loop."""

        async def begin() -> None:
            self.neighbours.append(asyncio.ensure_future(verb()))
            await asyncio.sleep(0)

        self.loop.run_until_complete(begin())
        assert 1 == self.monitor.waiting

    def neighbour_reserves(self) -> None:
        """Let another coroutine wait for a job of this tube."""
        self.other_consumer = self.broker.async_consumer("work")
        self.neighbour(partial(self.other_consumer.reserve, 60))

    def meanwhile(self, action: Callable[[], object]) -> None:
        """Do something in the loop as soon as the verb waits."""

        def act() -> None:  # pragma: no cover - a tracer is at work
            with self.tracer.paused(), suppress(TubesError):
                action()

        self.clock.meanwhile = act

    def run(self, verb: AsyncVerb) -> object:  # pragma: no cover - a tracer is at work
        """Run a verb in the loop, and what it has left there."""

        async def main() -> object:
            task = asyncio.ensure_future(verb())
            if self.clock.meanwhile is not None:
                # Not in the next round: an iteration yields before it reserves.
                call_soon = asyncio.get_running_loop().call_soon
                call_soon(call_soon, self.clock.meanwhile)
            try:
                return await task
            finally:
                with self.tracer.paused():
                    self.broker._monitor.look()
                for _ in range(_CALLBACKS):
                    await asyncio.sleep(0)

        return self.loop.run_until_complete(main())

    def verify_coroutines(self) -> None:
        """Take one more turn, check everything, and let the neighbours end."""
        with suppress(ClosedError):
            self.broker.tubes()
        self.loop.run_until_complete(self._settle())
        assert not self.monitor.lock._is_owned()  # type: ignore[attr-defined]  # as the monitor asks
        assert not self.monitor.turn.after
        check(self.engine)
        self._verify_jobs()
        asleep = [task for task in self.neighbours if not task.done()]
        for task in self.neighbours:
            if task.done() and task.exception() is None:
                self.give(task.result())
        self._verify_holders()
        if (
            len(asleep) != len(self.engine.dispatch.requests())
            or self.monitor.turn.log is not None
        ):
            # The coroutine is garbage, and its frames refer to its exception.
            gc.collect()
            self.broker.tubes()
        assert self.monitor.turn.log is None  # no stream of events is left
        assert len(asleep) == len(self.engine.dispatch.requests())
        self._verify_time_is_kept(asleep)
        for task in asleep:
            task.cancel()
        self.loop.run_until_complete(self._settle())
        assert not self.engine.dispatch.requests()
        self.broker.close()

    async def _settle(self) -> None:
        for _ in range(_CALLBACKS):
            await asyncio.sleep(0)

    def _verify_time_is_kept(self, asleep: list[asyncio.Task[Any]]) -> None:
        ways = [way for way in self.monitor.ways if isinstance(way, LoopSleepers)]
        assert len(ways) <= 1
        due_at = self.engine.schedule.due_at
        if asleep and due_at != inf:
            # A timer knows its sleepers by a weak reference, until it is cancelled.
            timers = [
                timer for timer in timers_of(self.loop) if timer._args[0]() is ways[0]
            ]
            left = due_at - _START + 1  # a timer is real, and time is not
            assert any(timer.when() <= self.loop.time() + left for timer in timers)
            assert ways[0].armed_for <= due_at


Scene: TypeAlias = Callable[[LoopWorld], AsyncVerb]


def reserve_of_a_ready_job(world: LoopWorld) -> AsyncVerb:
    world.put("a", "b")
    return world.async_consumer.reserve


def reserve_that_waits(world: LoopWorld) -> AsyncVerb:
    world.meanwhile(lambda: world.put("a"))
    return world.async_consumer.reserve


def reserve_that_waits_beside_another(world: LoopWorld) -> AsyncVerb:
    world.neighbour_reserves()
    world.meanwhile(lambda: world.put("a", "b"))
    return partial(world.async_consumer.reserve, 30)


def reserve_that_is_late(world: LoopWorld) -> AsyncVerb:
    world.neighbour_reserves()
    world.meanwhile(lambda: world.clock.advance(5))
    return partial(world.async_consumer.reserve, 5)


def reserve_that_is_cancelled(world: LoopWorld) -> AsyncVerb:
    world.neighbour_reserves()

    async def verb() -> Job:  # pragma: no cover - a tracer is at work
        task = asyncio.ensure_future(world.async_consumer.reserve(30))
        asyncio.get_running_loop().call_soon(task.cancel)
        with suppress(asyncio.CancelledError):
            return await task
        raise TimedOutError(0)

    return verb


def reserve_that_is_closed(world: LoopWorld) -> AsyncVerb:
    world.neighbour_reserves()
    world.meanwhile(world.async_consumer.close)
    return world.async_consumer.reserve


def step_of_a_loop_that_is_stopped(world: LoopWorld) -> AsyncVerb:
    world.put("a")
    job = world.async_consumer.reserve_job(1)
    world.handles.append(job)
    world.neighbour_reserves()
    world.meanwhile(world.async_consumer.stop)

    async def verb() -> None:  # pragma: no cover - a tracer is at work
        with suppress(StopAsyncIteration):
            await anext(world.async_consumer)

    return verb


def put_and_join_that_are_stopped(world: LoopWorld) -> AsyncVerb:
    world.broker.limit_tube("work", 1)
    world.put("a")
    world.puts("b")
    world.neighbour(partial(world.broker.async_join, "work"))
    world.meanwhile(world.broker.stop)
    return partial(world.async_producer.put, "b")


def block_that_is_cancelled(world: LoopWorld) -> AsyncVerb:
    world.put("a")
    job = world.async_consumer.reserve_job(1)
    world.handles.append(job)
    world.neighbour_reserves()

    async def verb() -> None:  # pragma: no cover - a tracer is at work
        with suppress(asyncio.CancelledError), job:
            raise asyncio.CancelledError

    return verb


def reserve_many_that_waits(world: LoopWorld) -> AsyncVerb:
    def put() -> None:  # pragma: no cover - a tracer is at work
        world.producer.put_many(["a", "b"])
        world.certain.update("ab")

    world.meanwhile(put)
    return partial(world.async_consumer.reserve_many, 3)


def step_of_a_loop(world: LoopWorld) -> AsyncVerb:
    world.put("a")
    return lambda: anext(world.async_consumer)


def step_of_a_loop_that_waits(world: LoopWorld) -> AsyncVerb:
    world.meanwhile(lambda: world.put("a"))
    return lambda: anext(world.async_consumer)


def put_for_a_neighbour(world: LoopWorld) -> AsyncVerb:
    world.neighbour_reserves()
    world.puts("a")
    return partial(world.async_producer.put, "a")


def put_that_waits(world: LoopWorld) -> AsyncVerb:
    world.broker.limit_tube("work", 1)
    world.put("a")
    job = world.reserve()
    world.deletes("a")
    world.puts("b")
    world.meanwhile(job.delete)
    return partial(world.async_producer.put, "b")


def put_many_that_waits(world: LoopWorld) -> AsyncVerb:
    world.broker.limit_tube("work", 2)
    world.put("a")
    job = world.reserve()
    world.deletes("a")
    world.puts("b", "c")
    world.batches.append({"b", "c"})
    world.meanwhile(job.delete)
    return partial(world.async_producer.put_many, ["b", "c"], timeout=30)


def join_that_waits(world: LoopWorld) -> AsyncVerb:
    world.put("a")
    job = world.reserve()
    world.neighbour_reserves()
    world.deletes("a")
    world.meanwhile(job.delete)
    return partial(world.broker.async_join, "work")


def result_that_waits(world: LoopWorld) -> AsyncVerb:
    world.submit("a")
    job = world.reserve()
    world.neighbour_reserves()
    world.deletes("a")
    world.meanwhile(lambda: job.finish("result"))

    async def verb() -> object:  # pragma: no cover - a tracer is at work
        return await world.futures[0]

    return verb


def event_that_waits(world: LoopWorld) -> AsyncVerb:
    world.neighbour_reserves()
    world.meanwhile(lambda: world.broker.limit_tube("work", 9))
    ended = []

    async def verb() -> None:  # pragma: no cover - a tracer is at work
        async with world.broker.events(["tube_limited"]) as events:
            await anext(events)
        ended.append(events)  # it dies where nothing breaks that off

    return verb


def event_that_is_there(world: LoopWorld) -> AsyncVerb:
    ended = []

    async def verb() -> None:  # pragma: no cover - a tracer is at work
        async with world.broker.events(["tube_limited"]) as events:
            world.broker.limit_tube("work", 9)
            await anext(events)
        ended.append(events)  # it dies where nothing breaks that off

    return verb


SCENES: list[Scene] = [
    reserve_of_a_ready_job,
    reserve_that_waits,
    reserve_that_waits_beside_another,
    reserve_that_is_late,
    reserve_that_is_cancelled,
    reserve_that_is_closed,
    step_of_a_loop_that_is_stopped,
    put_and_join_that_are_stopped,
    block_that_is_cancelled,
    reserve_many_that_waits,
    step_of_a_loop,
    step_of_a_loop_that_waits,
    put_for_a_neighbour,
    put_that_waits,
    put_many_that_waits,
    join_that_waits,
    result_that_waits,
    event_that_waits,
    event_that_is_there,
]


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """An event loop in which a callback may be broken off."""
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda _loop, _context: None)
    yield loop
    loop.close()


def carry_out(world: LoopWorld, scene: Scene) -> None:
    """Carry out a scene, traced, until it ends or is broken off."""
    verb = scene(world)
    with suppress(TimedOutError, ClosedError):
        world.give(world.tracer.call(partial(world.run, verb)))


def record(scene: Scene, loop: asyncio.AbstractEventLoop) -> Recorder:
    """Carry out a scene, check it, and return what has seen the bytecodes of it."""
    recorder = Recorder()
    world = LoopWorld(loop, recorder)
    carry_out(world, scene)
    world.verify_coroutines()
    return recorder


def break_off(
    scene: Scene, number: int, bytecode: Bytecode, loop: asyncio.AbstractEventLoop
) -> tuple[Place | None, AssertionError] | None:
    """Carry out a scenario up to that bytecode, for the ``number``-th time.

    Returns:
        What is wrong then.
    """
    injector = Injector(number, bytecode)
    world = LoopWorld(loop, injector)
    carry_out(world, scene)
    try:
        world.verify_coroutines()
    except AssertionError as error:
        return injector.place, error
    return None


@pytest.mark.usefixtures("no_collector")
# That may be broken off, too: a coroutine that was made, and is not awaited.
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")
@pytest.mark.parametrize("scene", SCENES, ids=lambda one: one.__name__)
def test_what_is_awaited_may_be_broken_off_at_every_bytecode(
    scene: Scene, loop: asyncio.AbstractEventLoop, pytestconfig: pytest.Config
) -> None:
    recorder = record(scene, loop)
    wrong = []
    executed = zip(recorder.paths, recorder.numbered(), strict=True)
    for number, (path, time_and_bytecode) in enumerate(executed, 1):
        # See test_broken_off for which are chosen.
        is_new = path not in _seen
        _seen.add(path)
        if not (is_new or number % _SAMPLE == 0 or pytestconfig.getoption("soak")):
            continue
        wrong.append(break_off(scene, *time_and_bytecode, loop))
    assert [] == list(filter(None, wrong))


@pytest.mark.usefixtures("no_collector")
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")  # as above
def test_this_would_notice_an_engine_that_is_not_rebuilt(
    loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(monitor, "rebuild", lambda _now, _engine: None)
    scene = put_for_a_neighbour
    some = islice(record(scene, loop).numbered(), 100, None, 7)
    assert any(break_off(scene, *at, loop) for at in some)
