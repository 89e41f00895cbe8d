"""With ``loop_time`` the timers of an event loop go by the clock of the brokers."""

from __future__ import annotations

import asyncio
import gc
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

import pytest

from inproc_tubes import Broker, DeadlockError, TimedOutError
from inproc_tubes.testing import FakeClock
from inproc_tubes.testing.loop_timers import LoopTimers
from tests.autojump.shared import GRACE, run_in
from tests.threads import LONG

if TYPE_CHECKING:
    from collections.abc import Callable

START = 1_000_000.0


def a_clock() -> FakeClock:
    return FakeClock(autojump=True, loop_time=True)


def test_a_sleep_takes_no_time(factory: Any) -> None:
    async def main() -> None:
        clock = a_clock()
        loop = asyncio.get_running_loop()
        await asyncio.sleep(86_400)
        assert START + 86_400 == clock.now() == loop.time()

    run_in(factory, main())


def test_timers_and_brokers_take_their_turns(factory: Any) -> None:
    async def main() -> list[tuple[str, float]]:
        clock = a_clock()
        broker = Broker(clock=clock)
        seen: list[tuple[str, float]] = []

        async def tick() -> None:
            for _ in range(3):
                await asyncio.sleep(10)
                seen.append(("tick", clock.now() - START))

        async def work() -> None:
            for delay in (5, 15, 25):
                broker.producer().put("job", delay=delay)
            for _ in range(3):
                with await broker.async_consumer().reserve():
                    seen.append(("job", clock.now() - START))

        async with asyncio.TaskGroup() as group:
            group.create_task(tick())
            group.create_task(work())
        return seen

    expected = [("job", 5), ("tick", 10), ("job", 15), ("tick", 20), ("job", 25)]
    assert [*expected, ("tick", 30)] == run_in(factory, main())


def test_a_timeout_of_the_loop_ends_a_reserve_in_time(factory: Any) -> None:
    async def main() -> None:
        clock = a_clock()
        consumer = Broker(clock=clock).async_consumer()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                await consumer.reserve(timeout=3600)
        assert START + 5 == clock.now()
        async with asyncio.timeout(60):
            with pytest.raises(TimedOutError):
                await consumer.reserve(timeout=6)
        assert START + 11 == clock.now()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(consumer.reserve(), 7)
        assert START + 18 == clock.now()
        with pytest.raises(DeadlockError):
            await consumer.reserve()

    run_in(factory, main())


def test_a_timer_may_be_cancelled_and_one_that_is_due_is_called_soon(
    factory: Any,
) -> None:
    async def main() -> None:
        clock = a_clock()
        loop = asyncio.get_running_loop()
        called: list[str] = []
        loop.call_later(5, called.append, "late")
        loop.call_later(1, called.append, "cancelled").cancel()
        both = [loop.call_later(7, called.append, "at 7") for _ in range(2)]
        loop.call_at(START + 7, both[1].cancel)
        loop.call_at(START + 7, called.append, "at 7, too")
        loop.call_later(0, called.append, "now")
        loop.call_at(START - 1, called.append, "before").cancel()
        await asyncio.sleep(0)
        assert ["now"] == called
        await asyncio.sleep(7)
        # In the order of their times, and of their making.
        assert ["now", "late", "at 7", "at 7", "at 7, too"] == called
        assert START + 7 == clock.now()

    run_in(factory, main())


def test_a_clock_that_is_moved_by_hand_drives_timers_as_well(factory: Any) -> None:
    async def main() -> None:
        clock = FakeClock(loop_time=True)
        sleeping = asyncio.create_task(asyncio.sleep(60, "slept"))
        await asyncio.sleep(0)
        clock.advance(59)
        await asyncio.sleep(0)
        assert not sleeping.done()
        assert START + 60 == clock.advance_to_next()
        assert "slept" == await sleeping

    run_in(factory, main())


def test_a_clock_of_before_the_loop_drives_it_from_its_first_use_on(
    factory: Any,
) -> None:
    clock = a_clock()
    broker = Broker(clock=clock)

    async def use() -> None:
        broker.tubes()
        await asyncio.sleep(5)

    run_in(factory, use())
    assert START + 5 == clock.now()

    async def drive() -> None:
        clock.drive()
        clock.drive(asyncio.get_running_loop())
        await asyncio.sleep(5)

    run_in(factory, drive())
    assert START + 10 == clock.now()


def test_any_clock_may_drive_a_loop_that_does_not_run_yet(factory: Any) -> None:
    clock = FakeClock(autojump=True)

    async def main() -> None:
        await asyncio.sleep(5)

    with asyncio.Runner(loop_factory=factory) as runner:
        clock.drive(runner.get_loop())
        runner.run(main())
    assert START + 5 == clock.now()


def test_no_loop_is_no_loop_to_drive() -> None:
    clock = FakeClock()
    with pytest.raises(RuntimeError, match=r"^no running event loop$"):
        clock.drive()
    with pytest.raises(TypeError, match=r"^loop is an event loop, not int$"):
        clock.drive(1)  # type: ignore[arg-type]  # what is refused


def test_timers_that_were_set_before_stay_real(factory: Any) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        called = asyncio.Event()
        loop.call_later(0.01, called.set)
        clock = a_clock()
        broker = Broker(clock=clock)
        waiting = asyncio.create_task(broker.async_consumer().reserve(timeout=3600))
        await called.wait()
        waiting.cancel()
        await asyncio.wait([waiting])
        assert START == clock.now()

    run_in(factory, main())


def test_the_loop_has_its_own_time_again_when_the_clock_is_gone(factory: Any) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        own = type(loop).time
        clock = FakeClock(loop_time=True)
        assert START == loop.time()
        sleeping = asyncio.create_task(asyncio.sleep(0.02, "slept"))
        loop.call_later(0.01, lambda: None).cancel()
        await asyncio.sleep(0)
        timers = LoopTimers.of(loop)
        assert timers is not None
        del clock
        gc.collect()
        # Who has kept its method from before.
        called: list[str] = []
        timers.call_later(0, called.append, "called")
        await asyncio.sleep(0)
        assert ["called"] == called
        begun_at = own(loop)
        assert abs(loop.time() - begun_at) < LONG
        assert LoopTimers.of(loop) is None
        assert "slept" == await sleeping
        assert own(loop) - begun_at >= 0.018
        await asyncio.sleep(0.001)

    run_in(factory, main())


def test_the_last_clock_has_the_loop(factory: Any) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        first = FakeClock(loop_time=True)
        consumer = Broker(clock=first).async_consumer()
        # Something that waits has a timer of its own, which keeps it.
        waiting = asyncio.create_task(consumer.reserve())
        sleeping = asyncio.create_task(asyncio.sleep(5))
        await asyncio.sleep(0)
        second = FakeClock(start=7, autojump=True, loop_time=True, grace=GRACE)
        assert 7 == loop.time()
        await sleeping
        assert (START, 12) == (first.now(), second.now())
        waiting.cancel()
        await asyncio.wait([waiting])
        del first, consumer
        gc.collect()
        # It is the other's now.
        assert second.now() == loop.time()

    run_in(factory, main())


def test_a_timer_waits_for_what_may_come_from_outside_but_not_for_ever(
    factory: Any,
) -> None:
    async def main() -> None:
        clock = FakeClock(autojump=True, loop_time=True, grace=GRACE)
        future: Future[str] = Future()
        outside = asyncio.create_task(asyncio.to_thread(future.result))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                await asyncio.shield(outside)
        assert START + 5 == clock.now()
        future.set_result("at last")
        async with asyncio.timeout(5):
            assert "at last" == await outside
        assert START + 5 == clock.now()

    run_in(factory, main())


def closed_at_once(loop: asyncio.AbstractEventLoop) -> None:
    async def main() -> None:
        asyncio.get_running_loop().call_later(5, print)

    loop.run_until_complete(main())
    loop.close()


def dropped(loop: asyncio.AbstractEventLoop) -> None:
    closed_at_once(loop)


@pytest.mark.parametrize("end", [closed_at_once, dropped])
def test_timers_of_a_loop_that_is_closed_or_gone_do_no_harm(
    factory: Any, end: Callable[[asyncio.AbstractEventLoop], None]
) -> None:
    clock = FakeClock()
    loop = (factory or asyncio.new_event_loop)()
    clock.drive(loop)
    timers = LoopTimers.of(loop)
    assert timers is not None
    end(loop)
    if end is dropped:
        del loop
        gc.collect()
    clock.advance(10)
    timers.fail_all(DeadlockError)
    timers.give_back()
    assert 0 == timers.waiting


def test_a_debugging_loop_has_nothing_to_complain_of(
    factory: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        clock = a_clock()
        asyncio.get_running_loop().set_debug(True)
        await asyncio.sleep(3600)
        assert START + 3600 == clock.now()

    run_in(factory, main())
    assert [] == caplog.messages
