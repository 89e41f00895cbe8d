"""What lives in one process can be neither pickled nor copied."""

from __future__ import annotations

import copy
import pickle
from typing import TYPE_CHECKING

import pytest

from inproc_tubes import Broker
from inproc_tubes.testing import FakeClock

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def broker() -> Broker:
    return Broker(clock=FakeClock())


@pytest.mark.parametrize(
    "what",
    ["Broker", "Producer", "Consumer", "AsyncProducer", "AsyncConsumer", "Job"],
)
@pytest.mark.parametrize(
    "double", [pickle.dumps, copy.copy, copy.deepcopy], ids=["pickle", "copy", "deep"]
)
def test_handles_and_jobs_can_be_neither_pickled_nor_copied(
    broker: Broker, what: str, double: Callable[[object], object]
) -> None:
    broker.producer().put("job")
    things = {
        "Broker": broker,
        "Producer": broker.producer(),
        "Consumer": broker.consumer(),
        "AsyncProducer": broker.async_producer(),
        "AsyncConsumer": broker.async_consumer(),
        "Job": broker.consumer().reserve(),
    }
    reason = (
        rf"^a {what} can be neither pickled nor copied: "
        r"its jobs live in this process, behind one lock$"
    )
    with pytest.raises(TypeError, match=reason):
        double(things[what])
