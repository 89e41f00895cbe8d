"""Subscriptions: who is called for the events of a broker."""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Self

from .checks import check_function
from .core.event import ALL_KINDS, Event, EventKind
from .core.job import refuse_to_pickle
from .monitor import Deferred
from .telling import Teller

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import NoReturn, SupportsIndex

    from .monitor import Monitor

__all__ = ["Listener", "Subscription", "check_flag", "check_kinds", "subscribe"]


class Listener:
    """What the log of events knows of a subscription.

    It is not the subscription itself: so that one which nobody refers to any more can
    end, see `Subscription.__del__`.

    Attributes:
        kinds: Which events it is called for.
        bodies: Whether these show the bodies of jobs.
        is_over: Whether it is called no more.
    """

    __slots__ = ("_callback", "bodies", "is_over", "kinds")

    def __init__(
        self,
        callback: Callable[[Event], object],
        kinds: frozenset[EventKind],
        *,
        bodies: bool,
    ) -> None:
        self._callback = callback
        self.kinds: frozenset[EventKind] = kinds
        self.bodies: bool = bodies
        self.is_over: bool = False

    def _take(self, event: Event) -> None:
        """Be told of an event; the teller calls it."""
        if not self.is_over:
            self._callback(event)

    def __repr__(self) -> str:
        which = "all events"
        if self.kinds != ALL_KINDS:
            which = ", ".join(kind.value for kind in EventKind if kind in self.kinds)
        state = ", over" if self.is_over else ""
        return f"<Subscription to {which or 'nothing'}{state}: {self._callback!r}>"


class Subscription:
    """A subscription to the events of a broker. Made by `Broker.subscribe`.

    It lasts until `unsubscribe`, or until the broker is closed. As a context manager it
    ends with its block.
    """

    # Weak, lest a broker that is dropped have to wait for the collector.
    _monitor: weakref.ref[Monitor]
    _listener: Listener
    _in_block: bool = False  # also while it is made

    def __init__(self, *_arguments: object, **_more: object) -> None:
        message = "a Subscription is made by Broker.subscribe()"
        raise TypeError(message)

    @property
    def kinds(self) -> frozenset[EventKind]:
        """The kinds of events that it is called for. Cost: O(1)."""
        return self._listener.kinds

    @property
    def bodies(self) -> bool:
        """Whether the events show the bodies of jobs. Cost: O(1)."""
        return self._listener.bodies

    def unsubscribe(self) -> None:
        """End it: the callback is called no more. Calling this twice has no effect.

        Events that have happened before are not delivered any more, either. It may be
        called at any moment, by the callback too. It does not wait for a call that is
        under way in another thread. If it is interrupted, as by Ctrl-C, call it again.

        Cost: O(number of subscriptions), and O(number of tubes) for the last one.
        """
        listener = self._listener
        listener.is_over = True
        monitor = self._monitor()
        if monitor is not None:
            monitor.defer(partial(_remove, monitor, listener))
        self._in_block = False

    def __enter__(self) -> Self:
        """Return the subscription, which ends with the with-block."""
        self._in_block = True
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the subscription, see `unsubscribe`."""
        self.unsubscribe()

    def __del__(self) -> None:
        # The end of its block was interrupted, or never came.
        if self._in_block:
            self.unsubscribe()

    def __reduce_ex__(self, protocol: SupportsIndex, /) -> NoReturn:
        refuse_to_pickle(self, protocol)

    def __repr__(self) -> str:
        return repr(self._listener)


def subscribe(
    monitor: Monitor,
    callback: Callable[[Event], object],
    kinds: Iterable[EventKind | str] | None,
    *,
    bodies: bool,
    in_block: bool = False,
) -> Subscription:
    """Have a callback called for the events of a broker: see `Broker.subscribe`.

    Args:
        monitor: That of the broker.
        callback: As there.
        kinds: As there.
        bodies: As there.
        in_block: Whether the subscription ends when nobody refers to it any more, as
            one does whose block has begun.
    """
    check_function("callback", callback)
    wanted = check_kinds(kinds)
    check_flag("bodies", bodies)
    listener = Listener(callback, wanted, bodies=bodies)
    end = Deferred(partial(_remove, monitor, listener))
    try:
        subscription = Subscription.__new__(Subscription)
        subscription._monitor = weakref.ref(monitor)
        subscription._listener = listener
        subscription._in_block = in_block
        monitor.run(_add, monitor, listener)
        return subscription  # noqa: TRY300 - an else block is not protected
    except BaseException:
        # Interrupted: nobody has got what could end it.
        monitor.turn.after.append(end)
        monitor.break_off()
        raise


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


def _add(_now: float, monitor: Monitor, listener: Listener) -> None:
    """Record events for a subscription from now on."""
    if monitor.teller is None:
        monitor.teller = Teller(monitor.turn.after)
    log = monitor.teller.log
    log.subscribers = [*log.subscribers, listener]
    monitor.turn.log = log
    monitor.engine.store.record(recorded=True)


def _remove(monitor: Monitor, listener: Listener, _now: float) -> None:
    """Record nothing more for a subscription. Twice has no effect."""
    if monitor.teller is None:
        return  # it was interrupted before it began
    log = monitor.teller.log
    log.subscribers = [each for each in log.subscribers if each is not listener]
    if not log.subscribers and monitor.turn.log is not None:
        monitor.turn.log = None
        monitor.engine.store.record(recorded=False)
