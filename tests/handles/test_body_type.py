"""The type of the bodies: for type checkers alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from inproc_tubes import Broker


@pytest.mark.parametrize("kind", [str, list[str], object])
def test_a_body_s_type_is_not_checked(broker: Broker, kind: type) -> None:
    producers: tuple[Any, ...] = (
        broker.producer("t", body=kind),
        broker.async_producer("t", body=kind)._producer,
    )
    consumers: tuple[Any, ...] = (
        broker.consumer("t", body=kind),
        broker.async_consumer("t", body=kind),
    )
    for producer, consumer in zip(producers, consumers, strict=True):
        producer.put(5)
        job = consumer.reserve_nowait()
        assert job is not None
        assert 5 == job.body
