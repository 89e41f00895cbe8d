"""Bad input raises at once, and nothing is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from inproc_tubes import BadTubeNameError, NotIgnoredError
from inproc_tubes.remote import RemoteBroker
from inproc_tubes.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable

    from inproc_tubes.fakes import FakeBeanstalkd

HUGE = 2**32

PRODUCER: list[Any] = [
    ({"priority": -1}, ValueError),
    ({"priority": HUGE}, ValueError),
    ({"priority": 1.5}, TypeError),
    ({"delay": -1}, ValueError),
    ({"delay": float("nan")}, ValueError),
    ({"delay": "1"}, TypeError),
    ({"ttr": float("inf")}, ValueError),
    ({"ttr": True}, TypeError),
    ({"tube": "a b"}, BadTubeNameError),
    ({"tube": 5}, TypeError),
    ({"timeout": -1}, ValueError),
    ({"timeout": "1"}, TypeError),
]
OTHERS: list[Any] = [
    pytest.param(lambda h: h.consumer.reserve(-1), ValueError, id="timeout"),
    pytest.param(lambda h: h.consumer.reserve("1"), TypeError, id="no timeout"),
    pytest.param(lambda h: h.consumer.reserve_many(0), ValueError, id="count"),
    pytest.param(lambda h: h.consumer.watch("a", "-"), BadTubeNameError, id="watch"),
    pytest.param(lambda h: h.consumer.ignore("-"), BadTubeNameError, id="ignore"),
    pytest.param(lambda h: h.consumer.ignore("default"), NotIgnoredError, id="last"),
    pytest.param(lambda h: h.consumer.reserve_job(-1), ValueError, id="id"),
    pytest.param(lambda h: h.consumer.delete("1"), TypeError, id="no id"),
    pytest.param(lambda h: h.job.release(priority=-1), ValueError, id="priority"),
    pytest.param(lambda h: h.job.release(delay=-1), ValueError, id="delay"),
    pytest.param(lambda h: h.job.release(error="text"), TypeError, id="no error"),
    pytest.param(lambda h: h.job.bury(priority="1"), TypeError, id="no priority"),
    pytest.param(lambda h: h.broker.producer("a b"), BadTubeNameError, id="producer"),
    pytest.param(lambda h: h.broker.consumer("a b"), BadTubeNameError, id="consumer"),
    pytest.param(lambda h: h.broker.consumer(name=""), ValueError, id="name"),
    pytest.param(lambda h: h.broker.kick("default", -1), ValueError, id="bound"),
    pytest.param(lambda h: h.broker.pause_tube("default", -1), ValueError, id="pause"),
    pytest.param(lambda h: h.broker.peek(2**64), ValueError, id="peek"),
    pytest.param(lambda h: h.broker.peek_ready("a b"), BadTubeNameError, id="look"),
    pytest.param(lambda h: h.broker.clear_tube("a", "held"), ValueError, id="state"),
    pytest.param(lambda h: h.broker.join("a b"), BadTubeNameError, id="join"),
    pytest.param(lambda h: h.broker.join(timeout=-1), ValueError, id="join timeout"),
]


class Handles:
    def __init__(self, broker: RemoteBroker) -> None:
        self.broker = broker
        self.producer = broker.producer()
        self.producer.put("x")
        self.consumer = broker.consumer()
        self.job = self.consumer.reserve()


def sent(fake: FakeBeanstalkd) -> list[object]:
    """Tell how often each command was given, and what jobs there are."""
    stats = fake.broker.stats().as_dict()
    return [
        *(value for name, value in stats.items() if name.startswith("cmd-p")),
        *(value for name, value in stats.items() if name.startswith("current-jobs")),
        fake.broker.tubes(),
    ]


@pytest.mark.parametrize(("arguments", "error"), PRODUCER, ids=str)
def test_a_bad_put_is_refused(
    fake: FakeBeanstalkd,
    broker: RemoteBroker,
    arguments: dict[str, Any],
    error: type[Exception],
) -> None:
    handles = Handles(broker)
    before = sent(fake)
    with pytest.raises(error):
        handles.producer.put("x", **arguments)
    with pytest.raises(error):
        handles.producer.put_many("x", **arguments)
    assert before == sent(fake)


@pytest.mark.parametrize(("verb", "error"), OTHERS)
def test_any_other_bad_verb_is_refused(
    fake: FakeBeanstalkd,
    broker: RemoteBroker,
    verb: Callable[[Handles], object],
    error: type[Exception],
) -> None:
    handles = Handles(broker)
    before = sent(fake)
    with pytest.raises(error):
        verb(handles)
    assert before == sent(fake)
    assert not handles.job.lost
    assert ["default"] == handles.consumer.watching()


def test_a_worker_works_for_brokers_only() -> None:
    with pytest.raises(
        TypeError, match=r"^the broker of the Worker is a Broker, not int$"
    ):
        Worker(5)  # type: ignore[arg-type]  # that is the point


def test_a_broker_is_made_by_connect_only() -> None:
    with pytest.raises(TypeError, match=r"^a RemoteBroker is made by connect\(\)$"):
        RemoteBroker("beanstalk://a")  # type: ignore[arg-type]  # that is the point
