"""Metrics for Prometheus, as its own exposition shows them."""

from __future__ import annotations

from math import inf, nan
from threading import Thread
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

import pytest
from prometheus_client import CollectorRegistry, generate_latest, start_http_server
from prometheus_client.openmetrics.exposition import generate_latest as as_openmetrics
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as parse_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families as parse

from inproc_tubes import Broker, ClosedError
from inproc_tubes.metrics import BUCKETS, BrokerCollector
from inproc_tubes.testing import FakeClock
from tests.threads import LONG

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prometheus_client.core import Metric


class Scraped:
    """What a scrape has found: {(name, labels): value}."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self.families = list(families)
        self.samples = {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in self.families
            for sample in family.samples
        }

    def value(self, name: str, **labels: str) -> float | None:
        """Return the value of a sample, None if there is none."""
        key = f"inproc_tubes_{name}", tuple(sorted(labels.items()))
        return self.samples.get(key)


def scrape(*collectors: BrokerCollector) -> Scraped:
    """Expose the metrics of these as text, and parse it."""
    registry = CollectorRegistry()
    for collector in collectors:
        registry.register(collector)
    openmetrics = as_openmetrics(registry).decode()  # type: ignore[no-untyped-call]  # as it is
    theirs = Scraped(parse_openmetrics(openmetrics))  # type: ignore[no-untyped-call]  # as above
    ours = Scraped(parse(generate_latest(registry).decode()))
    assert ours.samples == theirs.samples
    return ours


@pytest.fixture
def clock() -> FakeClock:
    """Make a clock that stands still."""
    return FakeClock()


@pytest.fixture
def broker(clock: FakeClock) -> Broker:
    """Make a broker that goes by it."""
    return Broker(clock=clock)


def test_jobs_are_counted_by_tube_and_state(broker: Broker) -> None:
    producer = broker.producer("orders")
    producer.put_many(["a", "b", "c"])
    producer.put("d", delay=5)
    consumer = broker.consumer("orders")
    consumer.reserve()
    consumer.reserve().bury()
    collector = BrokerCollector(broker)  # what was put before counts here as well
    found = scrape(collector)
    for state in ("ready", "reserved", "delayed", "buried"):
        assert found.value("current_jobs", tube="orders", state=state) == 1
        assert found.value("current_jobs", tube="default", state=state) == 0


def test_every_event_is_counted(broker: Broker) -> None:
    collector = BrokerCollector(broker)
    broker.producer("orders").put_many(["a", "b"])
    broker.consumer("orders").reserve().delete()
    found = scrape(collector)
    for kind, number in (("put", 2), ("reserved", 1), ("deleted", 1)):
        assert found.value("events_total", tube="orders", kind=kind) == number
    assert found.value("events_total", tube="", kind="consumer_opened") == 1
    assert found.value("events_total", tube="orders", kind="buried") is None


def test_the_times_in_the_queue_and_in_hand_are_histograms(
    broker: Broker, clock: FakeClock
) -> None:
    collector = BrokerCollector(broker, buckets=[1, 10])
    producer, consumer = broker.producer(), broker.consumer()
    producer.put("a", delay=5)
    clock.advance(8)
    job = consumer.reserve()
    clock.advance(0.5)
    job.touch()
    job.release()
    consumer.reserve()
    clock.advance(60)
    consumer.reserve().delete()
    found = scrape(collector)
    assert found.value("queue_seconds_count", tube="default") == 1
    assert found.value("queue_seconds_sum", tube="default") == 3
    for bound, number in (("1.0", 2), ("10.0", 2), ("+Inf", 3)):
        assert found.value("hand_seconds_bucket", tube="default", le=bound) == number
    assert found.value("hand_seconds_sum", tube="default") == 60.5


def test_two_brokers_are_told_apart_by_a_label(broker: Broker) -> None:
    with (
        Broker() as other,
        BrokerCollector(broker, labels={"broker": "a"}) as one,
        BrokerCollector(other, labels={"broker": "b"}) as two,
    ):
        broker.producer().put("x")
        families = Scraped([*one.collect(), *two.collect()])
    for name, number in (("a", 1), ("b", None)):
        found = families.value("events_total", broker=name, tube="default", kind="put")
        assert found == number


def test_a_collector_that_is_closed_counts_no_more(broker: Broker) -> None:
    with BrokerCollector(broker) as collector:
        broker.producer().put("a")
    collector.close()
    broker.producer().put("b")
    found = scrape(collector)
    assert found.value("events_total", tube="default", kind="put") == 1
    assert broker._monitor.turn.log is None


def test_a_broker_that_was_closed_has_no_jobs(broker: Broker) -> None:
    collector = BrokerCollector(broker)
    broker.close()
    found = scrape(collector)
    assert found.value("events_total", tube="", kind="closed") == 1
    assert "inproc_tubes_current_jobs" not in {name for name, _ in found.samples}
    with pytest.raises(ClosedError):
        BrokerCollector(broker)


def test_a_server_of_prometheus_client_is_scraped(broker: Broker) -> None:
    registry = CollectorRegistry()
    registry.register(BrokerCollector(broker))
    broker.producer("orders").put("a")
    server, thread = start_http_server(0, addr="127.0.0.1", registry=registry)
    try:
        host, port = server.server_address[:2]
        with urlopen(f"http://{host!s}:{port}/metrics", timeout=LONG) as answer:
            found = Scraped(parse(answer.read().decode()))
    finally:
        server.shutdown()
        server.server_close()
        thread.join(LONG)
    assert found.value("current_jobs", tube="orders", state="ready") == 1


def test_threads_may_work_while_it_is_scraped() -> None:
    broker = Broker()
    collector = BrokerCollector(broker)

    def work() -> None:
        for _ in range(100):
            broker.delete(broker.producer().put("a"))

    threads = [Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(20):
        Scraped(collector.collect())  # not `scrape`, which looks twice
    for thread in threads:
        thread.join(LONG)
    broker.pause_tube("default", 1)  # all is told by then
    found = scrape(collector)
    assert found.value("events_total", tube="default", kind="put") == 300
    assert found.value("events_total", tube="default", kind="deleted") == 300


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"buckets": []}, ValueError),
        ({"buckets": [1, 1]}, ValueError),
        ({"buckets": [2, 1]}, ValueError),
        ({"buckets": [-1, 1]}, ValueError),
        ({"buckets": [1, inf]}, ValueError),
        ({"buckets": [nan]}, ValueError),
        ({"buckets": ["x"]}, ValueError),
        ({"buckets": 1}, TypeError),
        ({"labels": ["broker"]}, TypeError),
        ({"labels": {"broker": 1}}, TypeError),
        ({"labels": {1: "broker"}}, TypeError),
        ({"labels": {"tube": "x"}}, ValueError),
        ({"labels": {"a-b": "x"}}, ValueError),
    ],
)
def test_a_bad_argument_is_refused_and_changes_nothing(
    broker: Broker, arguments: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        BrokerCollector(broker, **arguments)
    assert broker._monitor.turn.log is None


def test_the_usual_buckets_rise() -> None:
    assert list(BUCKETS) == sorted(set(BUCKETS))
