"""Events for coroutines: an async iterator with a bounded buffer."""

from __future__ import annotations

import asyncio
import copy
import gc
from contextlib import suppress
from threading import Thread
from typing import Any

import pytest

from inproc_tubes import Broker, ClosedError, EventKind, EventStream
from inproc_tubes.testing import FakeClock
from tests.threads import LONG


@pytest.fixture
def broker() -> Broker:
    """Make a broker whose clock stands still."""
    return Broker(clock=FakeClock())


async def soon(stream: EventStream) -> str:
    """Return the kind of the next event."""
    async with asyncio.timeout(LONG):
        return (await anext(stream)).kind.value


def test_a_stream_yields_what_has_happened_in_order(broker: Broker) -> None:
    async def main() -> list[str]:
        async with broker.events(["put", "deleted"], bodies=True) as events:
            broker.producer().put("a")
            broker.consumer().reserve().delete()
            first = await anext(events)
            assert first.body == "a"
            return [first.kind.value, await soon(events)]

    assert ["put", "deleted"] == asyncio.run(main())
    assert broker._monitor.turn.log is None


def test_a_stream_waits_for_the_next_event_of_another_thread(broker: Broker) -> None:
    async def main() -> str:
        async with broker.events() as events:
            waiting = asyncio.create_task(soon(events))
            await asyncio.sleep(0)
            thread = Thread(target=broker.producer().put, args=("a",))
            thread.start()
            kind = await waiting
            thread.join(LONG)
            return kind

    assert asyncio.run(main()) == "put"


def test_what_does_not_fit_is_dropped_and_counted(broker: Broker) -> None:
    async def main() -> None:
        events = broker.events(["put"], buffer=2)
        assert events.dropped == 0
        async with events:
            broker.producer().put_many(["a", "b", "c"])
            assert events.dropped == 1
            assert repr(events) == "<EventStream of put: 1 dropped>"
            assert [1, 2] == [(await anext(events)).job_id for _ in "ab"]
            broker.producer().put("d")
            assert (await anext(events)).job_id == 4

    asyncio.run(main())


def test_a_stream_ends_with_the_broker_after_what_it_has_buffered(
    broker: Broker,
) -> None:
    async def main() -> list[str]:
        async with broker.events(["put", "closed"]) as events:
            broker.producer().put("a")
            broker.close()
            return [event.kind.value async for event in events]

    assert ["put", "closed"] == asyncio.run(main())


def test_a_stream_that_waits_ends_with_the_broker(broker: Broker) -> None:
    async def main() -> list[str]:
        async with broker.events(["put"]) as events:
            asyncio.get_running_loop().call_soon(broker.close)
            return [event.kind.value async for event in events]

    assert [] == asyncio.run(main())


def test_a_stream_ends_with_its_block(broker: Broker) -> None:
    async def main() -> None:
        async with broker.events() as events:
            waiting = [asyncio.create_task(soon(events)) for _ in "ab"]
            await asyncio.sleep(0)
        for task in waiting:
            with pytest.raises(StopAsyncIteration):
                await task
        with pytest.raises(StopAsyncIteration):
            await anext(events)

    asyncio.run(main())


def test_a_stream_that_nobody_refers_to_is_over(broker: Broker) -> None:
    async def main() -> None:
        events = broker.events()
        await events.__aenter__()

    asyncio.run(main())
    gc.collect()
    assert broker._monitor.turn.log is None


def test_a_task_that_is_cancelled_loses_no_event(broker: Broker) -> None:
    async def main() -> str:
        async with broker.events() as events:
            waiting = asyncio.create_task(soon(events))
            await asyncio.sleep(0)
            broker.producer().put("a")
            waiting.cancel()
            with suppress(asyncio.CancelledError):
                await waiting
            return await soon(events)

    assert asyncio.run(main()) == "put"


def test_a_loop_that_is_closed_makes_no_trouble(broker: Broker) -> None:
    events = broker.events()
    loop = asyncio.new_event_loop()
    loop.run_until_complete(events.__aenter__())
    waiting = loop.create_task(soon(events))
    loop.run_until_complete(asyncio.sleep(0))
    waiting.cancel()
    with suppress(asyncio.CancelledError):
        loop.run_until_complete(waiting)
    loop.close()
    assert events._buffer is not None
    events._buffer.wake()
    broker.producer().put("a")
    assert events._buffer.is_over


def test_a_stream_lets_nobody_run_out_of_stack_unnoticed(broker: Broker) -> None:
    async def main() -> None:
        async with broker.events() as events:
            buffer = events._buffer
            assert buffer is not None

            class Exhausted:
                def call_soon_threadsafe(self, *_: object) -> None:
                    raise RecursionError

            loop, buffer._loop = buffer._loop, Exhausted()  # type: ignore[assignment]  # a loop
            with pytest.raises(RecursionError):
                buffer.wake()
            assert not buffer.is_over
            buffer._loop = loop

    asyncio.run(main())


def test_who_comes_just_before_a_task_waits_is_not_missed(broker: Broker) -> None:
    async def main() -> None:
        async with broker.events() as events:
            broker.producer().put("a")
            assert events._buffer is not None
            await events._buffer.wait()  # as if it had come after a look

    asyncio.run(main())


def test_a_stream_begins_once_and_with_its_block(broker: Broker) -> None:
    async def main() -> None:
        events = broker.events()
        assert repr(events) == "<EventStream of all events: none dropped>"
        assert repr(broker.events(())) == "<EventStream of nothing: none dropped>"
        with pytest.raises(RuntimeError, match="begins with its block"):
            await anext(events)
        async with events:
            pass
        with pytest.raises(RuntimeError, match="has one block"):
            await events.__aenter__()
        with pytest.raises(TypeError, match="neither pickled nor copied"):
            copy.copy(events)

    asyncio.run(main())


def test_a_stream_of_a_closed_broker_is_refused(broker: Broker) -> None:
    async def main() -> None:
        events = broker.events()
        broker.close()
        with pytest.raises(ClosedError):
            await events.__aenter__()
        await events.__aexit__(None, None, None)

    asyncio.run(main())


def test_a_block_that_never_began_may_end(broker: Broker) -> None:
    asyncio.run(broker.events().__aexit__(None, None, None))


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"kinds": "put"}, TypeError),
        ({"kinds": ["putt"]}, ValueError),
        ({"kinds": [None]}, TypeError),
        ({"buffer": 0}, ValueError),
        ({"buffer": -1}, ValueError),
        ({"buffer": 1.5}, TypeError),
        ({"buffer": None}, TypeError),
        ({"bodies": None}, TypeError),
    ],
)
def test_a_bad_stream_is_refused_at_once(
    broker: Broker, arguments: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        broker.events(**arguments)


def test_time_jumps_while_a_task_waits_for_events() -> None:
    clock = FakeClock(autojump=True)
    broker = Broker(clock=clock)
    start = clock.now()

    async def watch() -> list[float]:
        async with broker.events([EventKind.READY]) as events:
            begun.set()
            return [(await anext(events)).at]

    async def main() -> None:
        task = asyncio.create_task(watch())
        await begun.wait()
        broker.producer().put("a", delay=3600)
        (await broker.async_consumer().reserve()).delete()
        assert [start + 3600] == await task

    begun = asyncio.Event()
    asyncio.run(main())
