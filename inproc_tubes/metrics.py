"""Metrics of a broker for Prometheus. Needs the extra ``prometheus``.

from prometheus_client import REGISTRY
from inproc_tubes.metrics import BrokerCollector

collector = BrokerCollector(broker)
REGISTRY.register(collector)
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter
from itertools import accumulate
from math import isfinite
from typing import TYPE_CHECKING, Self

from .core.event import EventKind
from .errors import ClosedError
from .extras import from_extra

with from_extra("prometheus"):
    from prometheus_client.core import (
        CounterMetricFamily,
        GaugeMetricFamily,
        HistogramMetricFamily,
    )
    from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import TracebackType

    from prometheus_client.core import Metric

    from .broker import Broker
    from .core.event import Event

__all__ = ["BUCKETS", "BrokerCollector"]

BUCKETS: tuple[float, ...] = (
    0.001,
    0.005,
    0.01,
    0.05,
    0.1,
    0.5,
    1.0,
    5.0,
    10.0,
    60.0,
    300.0,
    3600.0,
)
"""The upper bounds of the histograms, in seconds."""

_STATES = ("ready", "reserved", "delayed", "buried")


class _Durations:
    """A histogram of one tube."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def add(self, seconds: float) -> None:
        """Count a duration."""
        self._counts[bisect_left(self._bounds, seconds)] += 1
        self.sum += seconds

    @property
    def buckets(self) -> list[tuple[str, float]]:
        """How many are not longer than each bound, as the exposition has it."""
        names = [*map(str, self._bounds), "+Inf"]
        return list(zip(names, map(float, accumulate(self._counts)), strict=True))


class BrokerCollector(Collector):
    """Collects the metrics of one broker, from now on.

    - ``inproc_tubes_current_jobs{tube, state}``: how many jobs there are, a gauge.
    - ``inproc_tubes_events_total{tube, kind}``: how often each kind of event has
      happened, a counter. The tube of what happens to a consumer or the broker is "".
    - ``inproc_tubes_queue_seconds{tube}``: how long jobs have waited until they were
      reserved for the first time, without their delay, a histogram.
    - ``inproc_tubes_hand_seconds{tube}``: how long jobs were in hand, a histogram.

    A collector that is registered with prometheus_client's ``REGISTRY`` is asked at each
    scrape. Where there are several brokers, ``labels`` tells them apart.

    Args:
        broker: The broker.
        buckets: The upper bounds of the histograms, in seconds.
        labels: More labels for every metric, such as ``{"broker": "mail"}``.

    Raises:
        TypeError: An argument is of the wrong type.
        ValueError: The buckets do not rise, or are no finite numbers; or a label cannot
            have that name.
        ClosedError: The broker was closed.
    """

    def __init__(
        self,
        broker: Broker[object],
        buckets: Iterable[float] = BUCKETS,
        labels: dict[str, str] | None = None,
    ) -> None:
        self._bounds = _check_buckets(buckets)
        self._labels = {} if labels is None else _check_labels(labels)
        self._broker = broker
        self._lock = threading.Lock()
        self._events: Counter[tuple[str, str]] = Counter()
        self._queue: dict[str, _Durations] = {}
        self._hand: dict[str, _Durations] = {}
        self._subscription = broker.subscribe(self._take)

    def close(self) -> None:
        """Stop counting. Calling this twice has no effect."""
        self._subscription.unsubscribe()

    def __enter__(self) -> Self:
        """Return the collector, which the end of the with-block closes."""
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the collector, see `close`."""
        self.close()

    def _take(self, event: Event) -> None:
        tube = event.tube or ""
        with self._lock:
            self._events[tube, event.kind.value] += 1
            if event.waited is not None:
                self._add(self._queue, tube, event.waited)
            if event.held is not None and event.kind is not EventKind.TOUCHED:
                self._add(self._hand, tube, event.held)

    def _add(self, into: dict[str, _Durations], tube: str, seconds: float) -> None:
        if tube not in into:
            into[tube] = _Durations(self._bounds)
        into[tube].add(seconds)

    def describe(self) -> Iterable[Metric]:
        """Return the metrics that do not depend on a tube's jobs, for the registry.

        Returns:
            What `collect` yields, without the jobs: the broker is not asked.
        """
        yield self._jobs({})
        with self._lock:
            yield from self._counted()

    def collect(self) -> Iterator[Metric]:
        """Return the metrics, for the registry. A broker that was closed has no jobs.

        Returns:
            One family for each metric, see the class.

        Cost: that of `Broker.snapshot`.
        """
        tubes: dict[str, list[int]] = {}
        try:
            for name, stats in self._broker.snapshot().tubes.items():
                tubes[name] = [
                    stats.current_jobs_ready,
                    stats.current_jobs_reserved,
                    stats.current_jobs_delayed,
                    stats.current_jobs_buried,
                ]
        except ClosedError:
            pass
        yield self._jobs(tubes)
        with self._lock:
            counted = self._counted()
        yield from counted

    def _jobs(self, tubes: dict[str, list[int]]) -> Metric:
        jobs = GaugeMetricFamily(
            "inproc_tubes_current_jobs",
            "How many jobs there are.",
            labels=[*self._labels, "tube", "state"],
        )
        more = self._labels.values()
        for tube, numbers in tubes.items():
            for state, number in zip(_STATES, numbers, strict=True):
                jobs.add_metric([*more, tube, state], number)
        return jobs

    def _counted(self) -> list[Metric]:
        more = self._labels.values()
        events = CounterMetricFamily(
            "inproc_tubes_events",
            "How often each kind of event has happened.",
            labels=[*self._labels, "tube", "kind"],
        )
        for (tube, kind), number in self._events.items():
            events.add_metric([*more, tube, kind], number)
        return [
            events,
            self._histogram(
                "inproc_tubes_queue_seconds",
                "How long jobs have waited until they were reserved.",
                self._queue,
            ),
            self._histogram(
                "inproc_tubes_hand_seconds", "How long jobs were in hand.", self._hand
            ),
        ]

    def _histogram(
        self, name: str, text: str, durations: dict[str, _Durations]
    ) -> Metric:
        histogram = HistogramMetricFamily(name, text, labels=[*self._labels, "tube"])
        for tube, found in durations.items():
            histogram.add_metric(
                [*self._labels.values(), tube], found.buckets, found.sum
            )
        return histogram


def _check_buckets(value: Iterable[float]) -> tuple[float, ...]:
    bounds = tuple(float(bound) for bound in value)
    if not bounds or not all(map(isfinite, bounds)) or bounds[0] < 0:
        message = f"buckets are finite numbers of seconds, not {bounds!r}"
        raise ValueError(message)
    if list(bounds) != sorted(set(bounds)):
        message = f"buckets rise, unlike {bounds!r}"
        raise ValueError(message)
    return bounds


def _check_labels(value: object) -> dict[str, str]:
    if not isinstance(value, dict):
        message = f"labels is a dict, not {type(value).__name__}"
        raise TypeError(message)
    for name, text in value.items():
        if not isinstance(name, str) or not isinstance(text, str):
            message = f"labels are of str, unlike {name!r}: {text!r}"
            raise TypeError(message)
        if name in {"tube", "state", "kind", "le"} or not name.isidentifier():
            message = f"no label of its own can be called {name!r}"
            raise ValueError(message)
    return dict(value)
