"""Warnings of what is allowed, and yet is most likely a slip."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
import warnings
from typing import TYPE_CHECKING, Any

import pytest

from inproc_tubes import Broker, TimedOutError, slips
from inproc_tubes.slips import LONGEST_USUAL
from inproc_tubes.testing import FakeClock
from inproc_tubes.worker import Retry, Worker
from tests.threads import LONG, start

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NOON = 1_700_000_000  # a time of day


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(autojump=True)


@pytest.fixture
def broker(clock: FakeClock) -> Iterator[Broker]:
    with Broker(clock=clock) as broker:
        yield broker


def here(warned: pytest.WarningsRecorder) -> list[str]:
    """Return where each warning points to."""
    return [warning.filename for warning in warned]


# A time of day


async def put_in_a_loop(broker: Broker, **how: Any) -> object:
    return await broker.async_producer().put("x", **how)


DURATIONS: dict[str, Callable[[Broker, float], object]] = {
    "put delay": lambda b, x: b.producer().put("x", delay=x),
    "put ttr": lambda b, x: b.producer().put("x", ttr=x),
    "put_many delay": lambda b, x: b.producer().put_many(["x"], delay=x),
    "put_many ttr": lambda b, x: b.producer().put_many(["x"], ttr=x),
    "async put": lambda b, x: asyncio.run(put_in_a_loop(b, delay=x)),
    "release": lambda b, x: b.consumer("held").reserve().release(delay=x),
    "pause_tube": lambda b, x: b.pause_tube("default", x),
    "Retry": lambda _, x: Retry(delay=x),
    "every": lambda b, x: Worker(b, threads=0).every(1, "t", "x", ttr=x),
}


@pytest.mark.parametrize("verb", DURATIONS.values(), ids=DURATIONS)
@pytest.mark.parametrize("kind", [int, float])
def test_a_duration_that_looks_like_a_time_of_day_is_warned_of(
    broker: Broker, verb: Callable[[Broker, float], object], kind: type[float]
) -> None:
    broker.producer("held").put("job")
    with pytest.warns(RuntimeWarning, match="looks like a time of day") as warned:
        verb(broker, kind(NOON))
    assert [__file__] == here(warned)


@pytest.mark.parametrize("verb", DURATIONS.values(), ids=DURATIONS)
def test_ten_years_are_a_duration(
    broker: Broker, verb: Callable[[Broker, float], object]
) -> None:
    broker.producer("held").put("job")
    verb(broker, LONGEST_USUAL)


def test_a_warning_that_is_an_error_refuses_the_verb(broker: Broker) -> None:
    producer = broker.producer()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(RuntimeWarning):
            producer.put("x", delay=NOON)
    assert [] == broker.jobs("default")


# A loop that is blocked


async def in_loop(verb: Callable[[], object]) -> object:
    """Call a verb in a coroutine."""
    return verb()


@pytest.mark.parametrize("timeout", [5, None])
def test_a_reserve_that_blocks_a_loop_is_warned_of(
    broker: Broker, timeout: float | None
) -> None:
    broker.producer("orders").put("x", delay=3)
    with pytest.warns(RuntimeWarning, match="blocks all of its tasks") as warned:
        asyncio.run(in_loop(lambda: broker.consumer("orders").reserve(timeout)))
    assert [__file__] == here(warned)


def test_a_put_and_a_join_that_block_a_loop_are_warned_of(broker: Broker) -> None:
    broker.limit_tube("full", 1)
    producer = broker.producer("full")
    producer.put("x")

    def put() -> None:
        with pytest.raises(Exception, match="no room"):
            producer.put("y", timeout=5)

    def join() -> None:
        with pytest.raises(TimedOutError):
            broker.join("full", timeout=5)

    for verb in (put, join):
        with pytest.warns(RuntimeWarning, match="blocks all of its tasks"):
            asyncio.run(in_loop(verb))


def test_what_need_not_wait_blocks_no_loop(broker: Broker) -> None:
    producer, consumer = broker.producer(), broker.consumer()

    async def main() -> None:
        producer.put("x")
        consumer.reserve().delete()
        assert consumer.reserve(timeout=0, default=None) is None
        assert broker.join() == 0

    asyncio.run(main())


def test_a_thread_beside_a_loop_blocks_none() -> None:
    async def main() -> None:
        reserve = Broker().consumer().reserve
        assert await asyncio.to_thread(reserve, 0.001, "none") == "none"

    asyncio.run(main())


def test_a_reserve_whose_warning_is_an_error_has_no_effect(broker: Broker) -> None:
    producer, consumer = broker.producer(), broker.consumer()

    async def main() -> None:
        with pytest.raises(RuntimeWarning):
            consumer.reserve()

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        asyncio.run(main())
    assert 0 == broker.stats().current_waiting
    producer.put("x")
    assert "ready" == broker.peek(1).stats().state


def test_a_place_is_warned_of_once(tmp_path: Any) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        textwrap.dedent(
            """
            import asyncio
            from inproc_tubes import Broker

            async def main():
                consumer = Broker().consumer()
                for _ in range(3):
                    consumer.reserve(timeout=0.001, default=None)

            asyncio.run(main())
            """
        )
    )
    run = [sys.executable, "-W", "default", str(program)]
    result = subprocess.run(  # noqa: S603 - our own program
        run, capture_output=True, text=True, check=True
    )
    assert 1 == result.stderr.count("RuntimeWarning: this waits in a thread")
    assert f"{program}:8: " in result.stderr


# Waiting for nobody


@pytest.fixture
def _dev_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slips, "dev_mode", True)


def wait_for_a_job(broker: Broker) -> None:
    """Wait until the broker is closed, in this thread."""
    with pytest.raises(Exception, match="nothing will ever be due"):
        broker.consumer("orders").reserve()


async def await_a_job(broker: Broker) -> None:
    with pytest.raises(Exception, match="nothing will ever be due"):
        await broker.async_consumer("orders").reserve()


def step(broker: Broker) -> None:
    with pytest.raises(Exception, match="nothing will ever be due"):
        next(broker.consumer("orders"))


WAITS: tuple[Callable[[Broker], object], ...] = (
    wait_for_a_job,
    step,
    lambda broker: asyncio.run(await_a_job(broker)),
)


@pytest.mark.usefixtures("_dev_mode")
@pytest.mark.parametrize("wait", WAITS)
def test_in_development_mode_who_waits_for_nobody_is_warned(
    broker: Broker, wait: Callable[[Broker], object]
) -> None:
    broker.consumer("others")  # puts nothing
    with pytest.warns(RuntimeWarning, match="neither a job nor a producer") as warned:
        wait(broker)
    assert [__file__] == here(warned)


@pytest.mark.parametrize("wait", WAITS)
def test_otherwise_nobody_is_warned(
    broker: Broker, wait: Callable[[Broker], object]
) -> None:
    wait(broker)


@pytest.mark.usefixtures("_dev_mode")
def test_who_waits_for_a_while_or_for_somebody_is_not_warned(broker: Broker) -> None:
    assert broker.consumer("orders").reserve(5, None) is None
    producer = broker.producer("mails")  # may put elsewhere, too
    wait_for_a_job(broker)
    producer.put("x", delay=5)
    producer.close()
    # The job may come into any tube again.
    assert "x" == broker.consumer("mails").reserve().body


@pytest.mark.usefixtures("_dev_mode")
def test_a_worker_may_be_there_before_its_producers() -> None:
    broker = Broker(clock=FakeClock())
    done: list[object] = []

    def handle(job: Any) -> None:
        done.append(job.body)
        worker.stop()

    worker = Worker(broker, {"orders": handle}, threads=1)
    runner = start(worker.run)
    while not broker.stats().current_waiting:
        pass
    broker.producer("orders").put("x")
    runner.result(LONG)
    assert ["x"] == done
