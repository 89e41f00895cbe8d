"""Waiting for room, for the end of the work and for a batch, in whatever way.

Each test is about threads, about coroutines in two loops, and about both together on
one broker.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from inproc_tubes import (
    Broker,
    ClosedError,
    DrainingError,
    TimedOutError,
    TubeFullError,
)
from inproc_tubes.consumer import BaseConsumer
from inproc_tubes.core.recovery import check
from tests.shells import InterruptingClock
from tests.threads import LONG

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from tests.shells import AnyProducer, Shell


@pytest.fixture
def clock() -> InterruptingClock:
    return InterruptingClock()


@pytest.fixture
def broker(clock: InterruptingClock) -> Broker:
    """Make a broker whose default tube has the one job that it may have."""
    broker = Broker(clock=clock)
    broker.limit_tube("default", 1)
    broker.producer().put("first")
    return broker


def put(
    producer: AnyProducer, *bodies: str, timeout: float | None = None
) -> Callable[[], object]:
    """Return a put, or a batch, that is still to be called."""
    if len(bodies) > 1:
        return lambda: producer.put_many(bodies, timeout=timeout)
    return lambda: producer.put(*bodies, timeout=timeout)


# Room


def test_puts_are_let_in_in_the_order_in_which_they_came(
    broker: Broker, shell: Shell
) -> None:
    futures = [shell.waiting(put(shell.producer(), str(n))) for n in range(4)]
    for n, future in enumerate(futures, 2):
        broker.delete(n - 1)
        assert n == future.result(LONG)
    assert "3" == broker.peek_ready().body


def test_a_batch_waits_until_there_is_room_for_all_of_it(
    broker: Broker, shell: Shell
) -> None:
    broker.limit_tube("default", 2)
    batch = shell.waiting(put(shell.producer(), "a", "b"))
    behind = shell.waiting(put(shell.producer(), "c"))
    broker.delete(1)
    assert [2, 3] == batch.result(LONG)
    broker.delete(2)
    assert 4 == behind.result(LONG)


def test_what_there_is_room_for_does_not_wait(shell: Shell, broker: Broker) -> None:
    broker.delete(1)
    assert 2 == shell.run(put(shell.producer(), "one"))
    broker.limit_tube("default", 0)
    assert [3, 4] == shell.run(put(shell.producer(), "two", "three"))


def test_a_put_raises_when_its_timeout_has_passed(
    broker: Broker, clock: InterruptingClock, shell: Shell
) -> None:
    future = shell.waiting(put(shell.producer(), "second", timeout=5))
    clock.advance(5)
    assert isinstance(future.exception(LONG), TubeFullError)
    with pytest.raises(TubeFullError):
        shell.run(put(shell.producer(), "second", timeout=0))
    with pytest.raises(TubeFullError):
        shell.run(put(shell.producer(), "more", "than there may be"))
    assert 0 == broker._monitor.waiting


@pytest.mark.parametrize("end", ["producer", "broker", "drain"])
def test_an_end_ends_a_put_that_waits_for_room(
    broker: Broker, shell: Shell, end: str
) -> None:
    producer = shell.producer()
    future = shell.waiting(put(producer, "second"))
    ends = {"producer": producer.close, "broker": broker.close, "drain": broker.drain}
    ends[end]()
    error = DrainingError if end == "drain" else ClosedError
    assert isinstance(future.exception(LONG), error)


def test_an_interrupted_put_has_never_been(broker: Broker, shell: Shell) -> None:
    shell.interrupt(put(shell.producer(), "second"), lambda: None)
    assert 0 == broker._monitor.waiting
    # Let in, and gone again before anybody had it.
    shell.interrupt(put(shell.producer(), "second"), lambda: broker.delete(1))
    assert [] == list(broker._engine.jobs)
    check(broker._engine)


def test_a_put_that_was_let_in_too_late_makes_way_for_the_next(
    broker: Broker, shell: Shell
) -> None:
    first, other = shell.producer(), shell.producer()
    futures: list[Future[int]] = []

    def let_in() -> None:
        futures.append(shell.waiting(put(other, "next")))
        broker.delete(1)

    shell.interrupt(put(first, "second"), let_in)
    futures[0].result(LONG)
    assert "next" == broker.peek_ready().body
    check(broker._engine)


# The end


def test_a_join_waits_for_the_last_job(broker: Broker, shell: Shell) -> None:
    joins = [shell.waiting(shell.join(*tubes)) for tubes in ((), ("default",))]
    broker.consumer().reserve().bury()
    assert [1, 1] == [join.result(LONG) for join in joins]
    assert 0 == shell.run(shell.join("elsewhere"))


def test_a_join_raises_when_its_timeout_has_passed_and_when_the_broker_is_closed(
    broker: Broker, clock: InterruptingClock, shell: Shell
) -> None:
    with pytest.raises(TimedOutError):
        shell.run(shell.join(timeout=0))
    early = shell.waiting(shell.join(timeout=5))
    late = shell.waiting(shell.join())
    clock.advance(5)
    assert isinstance(early.exception(LONG), TimedOutError)
    broker.close()
    assert isinstance(late.exception(LONG), ClosedError)


def test_an_interrupted_join_leaves_nothing_behind(
    broker: Broker, shell: Shell
) -> None:
    for meanwhile in (lambda: None, lambda: broker.delete(1)):
        shell.interrupt(shell.join(), meanwhile)
        assert 0 == broker._monitor.waiting
        check(broker._engine)


# Batches


def test_reserve_many_takes_what_is_ready(broker: Broker, shell: Shell) -> None:
    broker.limit_tube("default", 0)
    broker.producer().put_many(["second", "third"])
    jobs = shell.run(lambda: shell.consumer().reserve_many(2))
    assert ["first", "second"] == [job.body for job in jobs]


def test_reserve_many_waits_for_the_first_and_takes_what_is_ready_by_then(
    broker: Broker, shell: Shell
) -> None:
    consumer = shell.consumer("a", "b")
    producer = broker.producer("a")
    future = shell.waiting(lambda: consumer.reserve_many(9))
    producer.put_many(["one", "two"])
    assert {"one"} <= {job.body for job in future.result(LONG)}
    handle: Any = getattr(consumer, "_consumer", consumer)
    held = len(handle._session.held)
    assert held == len(future.result(LONG))
    with pytest.raises(TimedOutError):
        shell.run(lambda: shell.consumer("c").reserve_many(2, timeout=0))


def test_a_job_that_has_become_ready_in_between_is_the_first_of_a_batch(
    broker: Broker, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    consumer = shell.consumer("a")
    take = BaseConsumer._take

    def put_after(*args: Any) -> None:
        take(*args)
        monkeypatch.undo()
        broker.producer("a").put_many(["one", "two"])

    monkeypatch.setattr(BaseConsumer, "_take", put_after)
    jobs = shell.run(lambda: consumer.reserve_many(9))
    assert ["one", "two"] == [job.body for job in jobs]


def test_an_interrupted_reserve_many_gives_its_jobs_back(
    broker: Broker, shell: Shell
) -> None:
    consumer = shell.consumer("a")
    shell.interrupt(
        lambda: consumer.reserve_many(2),
        lambda: broker.producer("a").put_many(["one", "two"]),
    )
    jobs = shell.run(lambda: consumer.reserve_many(3, timeout=0))
    assert [("one", 1), ("two", 1)] == [(job.body, job.reserves) for job in jobs]


def test_a_first_job_goes_back_if_the_rest_fails(
    broker: Broker, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    consumer = shell.consumer("a")
    future = shell.waiting(lambda: consumer.reserve_many(2))

    def fail(*_args: object) -> None:
        raise MemoryError

    monkeypatch.setattr(BaseConsumer, "_take", fail)
    broker.producer("a").put("one")
    assert isinstance(future.exception(LONG), MemoryError)
    monkeypatch.undo()
    assert [1] == [j.reserves for j in shell.run(lambda: consumer.reserve_many(2))]
