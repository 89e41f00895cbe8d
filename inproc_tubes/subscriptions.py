"""Subscriptions: who is called for the events of a broker."""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from typing import TYPE_CHECKING, Self

from .checks import check_function
from .core.event import ALL_KINDS, Event, EventKind
from .core.job import refuse_to_pickle
from .telling import Teller

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import NoReturn, SupportsIndex

    from .monitor import Monitor

__all__ = ["Subscription", "check_flag", "check_kinds", "subscribe"]


class Subscription:
    """Whoever is called for the events of a broker. Made by `Broker.subscribe`.

    As a context manager it ends with its block.
    """

    kinds: frozenset[EventKind]
    """The kinds of events that it is called for."""
    bodies: bool
    """Whether the events show the bodies of jobs."""

    # Weak, lest a broker that is dropped have to wait for the collector.
    _monitor: weakref.ref[Monitor]
    _callback: Callable[[Event], object]
    _is_over: bool

    def __init__(self, *_arguments: object, **_more: object) -> None:
        message = "a Subscription is made by Broker.subscribe()"
        raise TypeError(message)

    def unsubscribe(self) -> None:
        """Be called no more, also not for what has happened before. Twice has no effect.

        It may be called at any moment, by the callback too. A call that is under way in
        another thread is not waited for.

        Cost: O(number of subscriptions), and O(number of tubes) for the last one.
        """
        self._is_over = True
        monitor = self._monitor()
        if monitor is not None:
            monitor.run_or_defer(lambda _now: _remove(monitor, self))

    def __enter__(self) -> Self:
        """Return the subscription, which ends with the with-block."""
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the subscription, see `unsubscribe`."""
        self.unsubscribe()

    def _take(self, event: Event) -> None:
        """Be told of an event; the teller calls it."""
        if not self._is_over:
            self._callback(event)

    def __reduce_ex__(self, protocol: SupportsIndex, /) -> NoReturn:
        refuse_to_pickle(self, protocol)

    def __repr__(self) -> str:
        which = "all events"
        if self.kinds != ALL_KINDS:
            which = ", ".join(kind.value for kind in EventKind if kind in self.kinds)
        state = ", over" if self._is_over else ""
        return f"<Subscription to {which or 'nothing'}{state}: {self._callback!r}>"


def subscribe(
    monitor: Monitor,
    callback: Callable[[Event], object],
    kinds: Iterable[EventKind | str] | None,
    *,
    bodies: bool,
) -> Subscription:
    """Have a callback called for the events of a broker: see `Broker.subscribe`."""
    check_function("callback", callback)
    wanted = check_kinds(kinds)
    check_flag("bodies", bodies)
    subscription = Subscription.__new__(Subscription)
    subscription.kinds = wanted
    subscription.bodies = bodies
    subscription._monitor = weakref.ref(monitor)
    subscription._callback = callback
    subscription._is_over = False
    monitor.run(_add, monitor, subscription)
    return subscription


def check_flag(what: str, value: object) -> None:
    """Raise unless this is a bool."""
    if not isinstance(value, bool):
        message = f"{what} is a bool, not {type(value).__name__}"
        raise TypeError(message)


def check_kinds(value: Iterable[object] | None) -> frozenset[EventKind]:
    """Return the kinds that are named, all of them for None."""
    if value is None:
        return ALL_KINDS
    if isinstance(value, (str, bytes, EventKind)) or not isinstance(value, Iterable):
        message = (
            f"kinds is an iterable of EventKind or of their values, not {value!r}: "
            "put a single one in a list"
        )
        raise TypeError(message)
    known = {kind.value: kind for kind in EventKind}
    kinds = []
    for item in value:
        if not isinstance(item, (EventKind, str)):
            message = f"a kind is an EventKind or a str, not {type(item).__name__}"
            raise TypeError(message)
        word = item.value if isinstance(item, EventKind) else item
        if word not in known:
            message = f"a kind is one of {', '.join(known)}, not {word!r}"
            raise ValueError(message)
        kinds.append(known[word])
    return frozenset(kinds)


def _add(_now: float, monitor: Monitor, subscription: Subscription) -> None:
    """Record events for a subscription from now on."""
    if monitor.teller is None:
        monitor.teller = Teller(monitor.turn.after)
    log = monitor.teller.log
    log.subscribers = [*log.subscribers, subscription]
    monitor.turn.log = log
    monitor.engine.store.record(recorded=True)


def _remove(monitor: Monitor, subscription: Subscription) -> None:
    """Record nothing more for a subscription."""
    assert monitor.teller is not None  # there was a subscription
    log = monitor.teller.log
    log.subscribers = [each for each in log.subscribers if each is not subscription]
    if not log.subscribers:
        monitor.turn.log = None
        monitor.engine.store.record(recorded=False)
