"""Events of a broker to `logging`, one line each.

>>> import logging, sys
>>> from inproc_tubes import Broker
>>> from inproc_tubes.logs import log_events
>>> log = logging.getLogger("packing")
>>> log.addHandler(logging.StreamHandler(sys.stdout))
>>> broker = Broker()
>>> packer = broker.consumer("orders", name="packer")
>>> with log_events(broker, log):
...     job_id = broker.producer("orders").put("scarf")
...     packer.reserve().bury(error=ValueError("torn"))
buried: job 1 in 'orders', try 1, held 0.000 s by 'packer': ValueError: torn
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

from .core.event import EventKind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .broker import Broker
    from .core.event import Event
    from .subscriptions import Subscription

__all__ = ["LEVELS", "log_events"]

LEVELS: Mapping[EventKind, int] = {
    EventKind.READY: logging.DEBUG,
    EventKind.RESERVED: logging.DEBUG,
    EventKind.TOUCHED: logging.DEBUG,
    EventKind.DELETED: logging.DEBUG,
    EventKind.TIMED_OUT: logging.WARNING,
    EventKind.RETURNED: logging.WARNING,
    EventKind.BURIED: logging.WARNING,
    EventKind.EXPIRED: logging.WARNING,
    EventKind.RECOVERED: logging.ERROR,
}
"""The level of each kind of event; INFO for those that are not here."""


def log_events(
    broker: Broker[object],
    logger: logging.Logger | str = "inproc_tubes",
    kinds: Iterable[EventKind | str] | None = None,
    levels: Mapping[EventKind, int] = LEVELS,
) -> Subscription:
    """Log the events of a broker, one line each; no body is shown.

    An event that the level of the logger leaves out still costs a little; one that
    ``kinds`` leaves out costs nothing. Each record has the event as its attribute
    ``event``.

    Args:
        broker: The broker.
        logger: A logger, or its name.
        kinds: Which events, see `Broker.subscribe`; None for all.
        levels: The level of each kind; INFO for a kind that is not in it.

    Returns:
        The subscription, which ends by its ``unsubscribe``, by its with-block or with the
        broker.

    Raises:
        TypeError: An argument is of the wrong type.
        ValueError: There is no such kind.
        ClosedError: The broker was closed.
    """
    if not callable(getattr(broker, "subscribe", None)):
        message = f"broker is a Broker, not {type(broker).__name__}"
        raise TypeError(message)
    if isinstance(logger, str):
        logger = logging.getLogger(logger)
    _check(logger, levels)
    known = {kind: levels.get(kind, logging.INFO) for kind in EventKind}
    to = logger

    def log(event: Event) -> None:
        level = known[event.kind]
        if to.isEnabledFor(level):
            to.log(level, "%s", describe(event), extra={"event": event})

    return broker.subscribe(log, kinds)  # type: ignore[arg-type]  # checked there


def _check(logger: object, levels: object) -> None:
    if not isinstance(logger, (logging.Logger, logging.LoggerAdapter)):
        message = f"logger is a Logger or its name, not {type(logger).__name__}"
        raise TypeError(message)
    if not isinstance(levels, Mapping):
        message = f"levels is a mapping, not {type(levels).__name__}"
        raise TypeError(message)
    for level in levels.values():
        if not isinstance(level, int) or isinstance(level, bool):
            message = f"a level is an int, not {level!r}"
            raise TypeError(message)


def describe(event: Event) -> str:
    """Return an event as one line of text. Cost: O(1)."""
    parts = [_subject_of(event)]
    if event.source is not None:
        parts.append(f"from {event.source!r}")
    if event.tries:
        parts.append(f"try {event.tries}")
    if event.delay:
        parts.append(f"for {event.delay:g} s")
    if event.limit is not None:
        parts.append(f"to {event.limit or 'any number of'} jobs")
    if event.held is not None:
        parts.append(f"held {event.held:.3f} s")
    line = event.kind.value.replace("_", " ") + ", ".join(filter(None, parts))
    if event.job_id is not None and event.consumer is not None:
        line += f" by {event.consumer!r}"
    return line if event.error is None else f"{line}: {event.error.headline}"


def _subject_of(event: Event) -> str:
    if event.job_id is not None:
        return f": job {event.job_id} in {event.tube!r}"
    subject = event.tube if event.consumer is None else event.consumer
    return "" if subject is None else f": {subject!r}"
