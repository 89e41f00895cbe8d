"""A pytest file: where the package is installed, the fixtures are simply there.

Run it with `pytest -rP`. It needs greenstalk, which does not come with us.

Prints:
    a worker that hung for 60 s has lost its job
    shipped a scarf, and asked about it an hour later
    a client has waited for a day
"""
# ruff: noqa: D103, S101 # a test's name is a sentence, and its body made of asserts

from __future__ import annotations

from typing import TYPE_CHECKING

import greenstalk
import pytest

from inproc_tubes.testing import assert_empty, assert_put, drain

if TYPE_CHECKING:
    from inproc_tubes import Broker
    from inproc_tubes.fakes import FakeBeanstalkd
    from inproc_tubes.testing import FakeClock


def order(broker: Broker, item: str) -> None:
    """Have an item shipped, and its buyer asked: this is the application."""
    broker.producer("orders").put(f"shipped a {item}", priority=0)
    broker.producer("orders").put("and asked about it an hour later", delay=3600)


def test_a_worker_that_hangs_loses_its_job(
    tubes_broker: Broker, fake_clock: FakeClock
) -> None:
    tubes_broker.producer().put("work", ttr=60)
    consumer = tubes_broker.consumer()
    consumer.reserve()  # and never does it
    fake_clock.advance(60)
    assert consumer.reserve().timeouts == 1
    print("a worker that hung for 60 s has lost its job")


def test_an_order_is_shipped_and_asked_about(tubes_broker: Broker) -> None:
    order(tubes_broker, "scarf")
    assert_put(tubes_broker, "orders", body=lambda body: "scarf" in body, priority=0)
    assert_put(tubes_broker, "orders", delay=3600)
    done: list[str] = []
    drain(tubes_broker, "orders", lambda job: done.append(job.body), with_delayed=True)
    assert_empty(tubes_broker)
    print(", ".join(done))


@pytest.mark.beanstalkd(address=("beanstalkd", 11300))
def test_a_client_waits_for_a_day(fake_beanstalkd: FakeBeanstalkd) -> None:
    with greenstalk.Client(("beanstalkd", 11300)) as client:
        with pytest.raises(greenstalk.TimedOutError):
            client.reserve(timeout=86_400)
        assert fake_beanstalkd.clock.now() == 1_000_000 + 86_400
    print("a client has waited for a day")
