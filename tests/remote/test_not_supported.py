"""What a beanstalkd cannot do is refused at once, and nothing has happened."""

from __future__ import annotations

import inspect
from asyncio import run
from typing import TYPE_CHECKING, Any

import pytest

import inproc_tubes
from inproc_tubes import NotSupportedError, remote

if TYPE_CHECKING:
    from collections.abc import Callable

    from inproc_tubes.fakes import FakeBeanstalkd
    from inproc_tubes.remote import RemoteBroker

REFUSED: list[Any] = [
    pytest.param(lambda b: b.limit_tube("default", 5), id="limits"),
    pytest.param(lambda b: b.jobs("default"), id="lists"),
    pytest.param(lambda b: b.drain(), id="drain"),
    pytest.param(lambda b: b.cancel(1), id="cancel"),
    pytest.param(lambda b: b.producer().submit(1), id="submit"),
    pytest.param(lambda b: run(b.async_producer().submit(1)), id="async submit"),
    pytest.param(lambda b: b.find("key"), id="find"),
    pytest.param(lambda b: b.snapshot(), id="snapshot"),
    pytest.param(lambda b: b.subscribe(print), id="subscribe"),
    pytest.param(lambda b: b.events(), id="events"),
    pytest.param(lambda b: b.limit_tries("default", 5), id="tries"),
    pytest.param(lambda b: b.move(1, "a"), id="move"),
    pytest.param(lambda b: b.update(1, priority=5), id="update"),
    pytest.param(lambda b: b.bury(1), id="bury"),
    pytest.param(lambda b: b.consumer().release(1, tube="a"), id="release"),
    pytest.param(lambda b: b.producer(context=True), id="contexts"),
    pytest.param(lambda b: b.async_producer(context=True), id="async contexts"),
    pytest.param(lambda b: b.producer().put(1, key="a"), id="keys"),
    pytest.param(lambda b: b.producer().put(1, on_duplicate="keep"), id="duplicates"),
    pytest.param(lambda b: b.producer().put_many([1], key=str), id="keys of many"),
    pytest.param(lambda b: b.producer().put(1, expires=5), id="expires"),
    pytest.param(lambda b: b.producer().put_many([1], expires=5), id="many expire"),
]


@pytest.mark.parametrize("verb", REFUSED)
def test_it_is_refused(
    fake: FakeBeanstalkd, broker: RemoteBroker, verb: Callable[[Any], object]
) -> None:
    with pytest.raises(NotSupportedError, match=r"^beanstalkd has no ") as caught:
        verb(broker)
    assert caught.value.advice
    assert 0 == fake.broker.stats().cmd_put


def test_a_tube_without_a_limit_is_what_there_is(broker: RemoteBroker) -> None:
    broker.limit_tube("default", 0)
    broker.limit_tries("default", None)


# The verbs are those of a broker in memory


PAIRS = [
    (getattr(inproc_tubes, name), getattr(remote, f"Remote{name}"))
    for name in (
        "Broker",
        "Producer",
        "Consumer",
        "AsyncProducer",
        "AsyncConsumer",
        "Job",
    )
]
VERBS = [
    pytest.param(ours, theirs, name, id=f"{ours.__name__}.{name}")
    for ours, theirs in PAIRS
    for name in dir(ours)
    if not name.startswith("_")
]


@pytest.mark.parametrize(("ours", "theirs", "name"), VERBS)
def test_each_verb_is_there_and_takes_the_same(
    ours: type, theirs: type, name: str
) -> None:
    own, other = getattr(ours, name), getattr(theirs, name)
    assert other.__doc__
    assert inspect.iscoroutinefunction(own) == inspect.iscoroutinefunction(other)
    if callable(own):
        assert inspect.signature(own).parameters == inspect.signature(other).parameters
