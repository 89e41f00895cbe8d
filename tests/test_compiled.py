"""What a user sees is the same whether the core is compiled or not.

The suite runs on both wheels. What is expected here is written out, for both.
"""

from __future__ import annotations

import _thread
import gc
import inspect
import traceback
import weakref
from functools import partial
from itertools import repeat
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING
from unittest import mock

import pytest

import inproc_tubes
from inproc_tubes import Broker, Consumer, Job, NotFoundError, Producer
from inproc_tubes.core import engine
from inproc_tubes.testing import FakeClock

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def broker() -> Broker:
    return Broker(clock=FakeClock())


def test_compiled_says_what_the_core_was_loaded_from() -> None:
    # A function of C has no code that could be looked at.
    assert inproc_tubes.compiled != hasattr(engine.Engine.put, "__code__")


def test_a_traceback_shows_each_step_of_a_verb(broker: Broker) -> None:
    broker.producer().put("job")
    consumer = broker.consumer()
    job = consumer.reserve()
    job.delete()
    with pytest.raises(NotFoundError) as caught:
        job.delete()
    steps = traceback.extract_tb(caught.value.__traceback__)[1:]
    assert [
        ("job.py", "delete"),
        ("turns.py", "_end"),
        ("turns.py", "_end_otherwise"),
        ("engine.py", "delete"),
        ("turn.py", "refuse"),
    ] == [(Path(step.filename).name, step.name) for step in steps]
    assert all(step.lineno for step in steps)


@pytest.mark.parametrize(
    ("verb", "signature"),
    [
        (
            Consumer.reserve,
            (
                "(self, timeout: 'float | None' = None, "
                "default: 'D | NoDefault' = NO_DEFAULT) -> 'Job[T] | D | W'"
            ),
        ),
        (Job.delete, "(self) -> 'None'"),
        (
            Producer.put,
            (
                "(self, body: 'T', priority: 'int' = 65536, delay: 'float' = 0, "
                "ttr: 'float' = 60, tube: 'str | None' = None, "
                "timeout: 'float | None' = None, key: 'str | None' = None, "
                "on_duplicate: 'OnDuplicate' = 'raise', "
                "expires: 'float | None' = None) -> 'int | W'"
            ),
        ),
    ],
)
def test_a_verb_has_its_signature_and_its_docstring(
    verb: Callable[..., object], signature: str
) -> None:
    assert signature == str(inspect.signature(verb))
    assert (verb.__doc__ or "").strip().endswith("(prot.c).")


def test_a_handle_and_a_job_are_shown(broker: Broker) -> None:
    producer = broker.producer()
    producer.put("job", priority=7)
    consumer = broker.consumer()
    job = consumer.reserve()
    assert "<Job 1 in 'default', reserved by 'MainThread', priority 7: 'job'>" == repr(
        job
    )
    assert "<Consumer 'MainThread': watches 'default'; holds 1 job>" == repr(consumer)
    assert "<Producer 'MainThread': uses 'default'>" == repr(producer)


def test_numbers_stay_as_they_were_given(broker: Broker) -> None:
    broker.producer().put("job", delay=0, ttr=60)
    broker.producer().put("job", delay=0.0, ttr=60.0)
    consumer = broker.consumer()
    whole, broken = consumer.reserve_many(2)
    assert ("0", "60") == (repr(whole.delay), repr(whole.ttr))
    assert ("0.0", "60.0") == (repr(broken.delay), repr(broken.ttr))
    whole.release(delay=5)
    assert "5" == repr(broker.peek(whole.id).delay)


def test_handles_and_jobs_may_be_referred_to_weakly(broker: Broker) -> None:
    producer, consumer = broker.producer(), broker.consumer()
    producer.put("job")
    job = consumer.reserve()
    told: list[object] = []
    seen = weakref.WeakSet[object]([job, broker.peek(1), producer, consumer])
    references = [weakref.ref(thing, told.append) for thing in (job, consumer)]
    job.delete()
    del job, producer, consumer
    gc.collect()
    assert 0 == len(seen)
    assert sorted(map(id, references)) == sorted(map(id, told))


def test_a_verb_of_one_handle_may_be_mocked(broker: Broker) -> None:
    broker.producer().put("job")
    consumer = broker.consumer()
    with mock.patch.object(consumer, "reserve", return_value="mocked") as reserve:
        found: object = consumer.reserve(timeout=5)
        assert "mocked" == found
        reserve.assert_called_with(timeout=5)


def test_a_verb_of_all_jobs_may_be_mocked(broker: Broker) -> None:
    broker.producer().put("job")
    job = broker.consumer().reserve()
    with mock.patch.object(Job, "delete", autospec=True) as delete:
        job.delete()
        delete.assert_called_once_with(job)
    assert "reserved" == job.stats().state
    job.delete()
    with pytest.raises(NotFoundError):
        job.stats()


def test_one_job_has_no_room_for_a_mock(broker: Broker) -> None:
    broker.producer().put("job")
    job = broker.consumer().reserve()
    with pytest.raises(
        AttributeError, match=r"^'Job' object attribute 'delete' is read-"
    ):
        mock.patch.object(job, "delete").start()
    with pytest.raises(AttributeError, match=r"^'Job' object has no attribute 'note'"):
        job.note = "x"  # type: ignore[attr-defined]  # on purpose


def test_a_handle_is_no_sequence(broker: Broker) -> None:
    with pytest.raises(TypeError, match=r"^'Producer' object is not iterable$"):
        iter(broker.producer())  # type: ignore[call-overload]  # on purpose
    with pytest.raises(TypeError, match=r"^'Consumer' object is not subscriptable$"):
        broker.consumer()[0]  # type: ignore[index]  # on purpose


def interrupting_clock() -> Callable[[], float]:
    """Return a clock that interrupts the program when it is read.

    All of it is C code, so the handler of the signal runs as late as the interpreter
    lets it.
    """
    interruptions = zip(iter(_thread.interrupt_main, 0), repeat(1_000_000.0))
    return partial(next, map(itemgetter(1), interruptions))


@pytest.mark.usefixtures("interruptible")
def test_an_interruption_that_comes_as_a_reserve_returns_loses_no_job(
    broker: Broker,
) -> None:
    broker.producer().put("job")
    consumer = broker.consumer()
    consumer._reserve._now = interrupting_clock()
    job = None
    with pytest.raises(KeyboardInterrupt):  # noqa: PT012 - when exactly is left open
        job = consumer.reserve(timeout=0)
        len([])  # after this call at the latest
    assert job is not None or 1 == broker.stats_tube("default").current_jobs_ready


@pytest.mark.usefixtures("interruptible")
def test_an_interruption_that_comes_as_a_block_is_entered_leaves_no_job_reserved(
    broker: Broker,
) -> None:
    broker.producer().put("job")
    consumer = broker.consumer()
    consumer._reserve._now = interrupting_clock()
    with pytest.raises(KeyboardInterrupt), consumer.reserve(timeout=0):
        len([])
    assert 1 == broker.stats_tube("default").current_jobs_ready


@pytest.mark.usefixtures("interruptible")
def test_an_interruption_that_comes_in_an_empty_block_leaves_no_job_reserved(
    broker: Broker,
) -> None:
    broker.producer().put("job")
    consumer = broker.consumer()
    consumer._reserve._now = interrupting_clock()
    with pytest.raises(KeyboardInterrupt), consumer.reserve(timeout=0):
        pass
    assert 0 == broker.stats_tube("default").current_jobs_reserved
