"""A reserve that a signal handler breaks off, wherever it can, takes no job with it."""

from __future__ import annotations

import dis
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from inproc_tubes import NotFoundError, TimedOutError
from inproc_tubes.remote import connect
from tests.remote.conftest import URL
from tests.remote.shared import wait_until
from tests.robustness.injection import Interrupt, Tracer

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType, FrameType

    from inproc_tubes.fakes import FakeBeanstalkd

# A finaliser of another test's is not to be broken off.
pytestmark = pytest.mark.usefixtures("no_collector")

# Below the handles: `reserve` and so on hand a job to the caller, and call nothing after.
_FILES = {"reserving.py", "pool.py", "connection.py", "holder.py", "reservation.py"}

# The interpreter runs a signal handler after a call, as a function begins, and before it
# goes round a loop again.
_CHECKS = {"RESUME", "JUMP_BACKWARD"}
_CALLS = {"CALL", "CALL_KW", "CALL_FUNCTION_EX"}


@cache
def _points(
    code: CodeType,
) -> set[int]:  # pragma: no cover - a trace function is not traced
    """Return the offsets in front of which a signal handler can run."""
    found = set()
    after_call = False
    for each in dis.get_instructions(code):
        if after_call or each.opname in _CHECKS:
            found.add(each.offset)
        after_call = each.opname in _CALLS
    return found


class Signal(Tracer):
    """Raises `Interrupt` at the point of this number where a signal handler can run."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.left = number

    def step(
        self, frame: FrameType, /
    ) -> None:  # pragma: no cover - a trace function is not traced
        """Count a point, and raise at the right one."""
        if frame.f_lasti in _points(frame.f_code):
            self.left -= 1
            if self.left == 0:
                raise Interrupt

    def _looks_into(
        self, code: CodeType
    ) -> bool:  # pragma: no cover - a trace function is not traced
        file = Path(code.co_filename)
        return file.name in _FILES and file.parent.name == "remote"


VERBS: list[Any] = [
    pytest.param(lambda consumer: consumer.reserve(0), id="look"),
    pytest.param(lambda consumer: consumer.reserve(), id="wait"),
    pytest.param(lambda consumer: consumer.reserve_nowait(), id="nowait"),
    pytest.param(lambda consumer: consumer.reserve_many(3), id="many"),
    pytest.param(lambda consumer: consumer.reserve_job(1), id="by id"),
]


@pytest.mark.parametrize("verb", VERBS)
def test_the_job_is_the_users_or_the_servers(
    fake: FakeBeanstalkd, verb: Callable[[Any], object]
) -> None:
    number, ended = 0, False
    with connect(URL, clock=fake.broker.clock) as others:
        others.producer().put_many([1, 2])
    while not ended:
        number += 1
        signal = Signal(number)
        with connect(URL, clock=fake.broker.clock) as broker:
            consumer = broker.consumer()
            jobs = signal.call(lambda consumer=consumer: verb(consumer))  # type: ignore[misc]  # a default binds
            ended = signal.left > 0
            if not ended:
                assert jobs is None
                wait_until(lambda: fake.broker.stats().current_jobs_ready == 2)
                # It can be used as before.
                assert consumer.reserve(0).body in {1, 2}
        wait_until(lambda: fake.broker.stats().current_jobs_ready == 2)
    assert number > 20


def test_a_wait_that_is_broken_off_leaves_nothing(fake: FakeBeanstalkd) -> None:
    number, ended = 0, False
    while not ended:
        number += 1
        signal = Signal(number)
        with connect(URL, clock=fake.broker.clock, answer_timeout=0.001) as broker:
            consumer = broker.consumer()

            def verb(
                consumer: Any = consumer,
            ) -> None:  # pragma: no cover - here it is the signal that traces
                with pytest.raises(TimedOutError):
                    consumer.reserve(0)

            signal.call(verb)
            ended = signal.left > 0
            assert not consumer._reserving.waiting
            assert not consumer._pool.held
    assert number > 20


SETTLING: list[Any] = [
    pytest.param(lambda job: job.delete(), id="delete"),
    pytest.param(lambda job: job.release(), id="release"),
    pytest.param(lambda job: job.bury(), id="bury"),
    pytest.param(lambda job: job.touch(), id="touch"),
    pytest.param(lambda job: job.stats(), id="stats"),
    pytest.param(lambda job: job.lost, id="lost"),
]


@pytest.mark.parametrize("verb", SETTLING)
def test_nothing_is_in_hand_that_the_consumer_does_not_know(
    fake: FakeBeanstalkd, verb: Callable[[Any], object]
) -> None:
    number, ended = 0, False
    while not ended:
        number += 1
        signal = Signal(number)
        with connect(URL, clock=fake.broker.clock) as broker:
            broker.producer().put(1)
            consumer = broker.consumer()
            job = consumer.reserve(0)
            signal.call(lambda job=job: verb(job))  # type: ignore[misc]  # as above
            ended = signal.left > 0
            wait_until(
                lambda consumer=consumer: (  # type: ignore[misc]  # as above
                    fake.broker.stats().current_jobs_reserved
                    <= len(consumer._pool.held)
                )
            )
            for held in list(consumer._pool.held):
                with suppress(NotFoundError):  # it may be settled, and not yet noted
                    consumer.delete(held)
            assert not consumer._pool.held
            broker.clear_tube("default")
    assert number > 3


def test_a_producer_goes_on(fake: FakeBeanstalkd) -> None:
    number, ended = 0, False
    while not ended:
        number += 1
        signal = Signal(number)
        with connect(URL, clock=fake.broker.clock) as broker:
            producer = broker.producer()
            signal.call(lambda producer=producer: producer.put(1))  # type: ignore[misc]  # as above
            ended = signal.left > 0
            producer.put(2)
            assert 1 == len(list(producer._pool._all))
            broker.clear_tube("default")
    assert number > 3
