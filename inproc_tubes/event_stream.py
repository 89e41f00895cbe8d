"""Events for coroutines: an async iterator with a bounded buffer."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Self

from .checks import check_integer
from .core.event import ALL_KINDS, EventKind
from .core.job import refuse_to_pickle
from .subscriptions import check_flag, check_kinds, subscribe
from .waiting.coroutines import Anchor

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType
    from typing import NoReturn, SupportsIndex

    from .core.event import Event
    from .monitor import Monitor
    from .subscriptions import Subscription

__all__ = ["EventStream", "new_stream"]


class _Buffer:
    """Events on their way into a loop. Threads fill it, and the loop empties it."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, size: int, kinds: frozenset[EventKind]
    ) -> None:
        self._loop = loop
        self._size = size
        self._kinds = kinds
        self._arrived = asyncio.Event()
        self._waiting = 0
        self.events: deque[Event] = deque()
        self.dropped = 0
        self.is_over = False

    def take(self, event: Event) -> None:
        """Keep an event, or count it if there is no room; in whatever thread."""
        if event.kind in self._kinds:
            if len(self.events) < self._size:
                self.events.append(event)
            else:
                self.dropped += 1
        if event.kind is EventKind.CLOSED:
            self.is_over = True
        if self._waiting:
            self.wake()

    def wake(self) -> None:
        """Have whoever waits look again; in whatever thread."""
        try:
            self._loop.call_soon_threadsafe(self._arrived.set)
        except RecursionError:
            raise
        except RuntimeError:  # the loop is closed
            self.is_over = True

    async def wait(self) -> None:
        """Wait until there is something to look at."""
        anchor = Anchor.of_running_loop()
        key = object()
        self._waiting += 1
        try:
            anchor.tasks[key] = asyncio.current_task()
            self._arrived.clear()
            # In this order: who comes in between finds that somebody waits.
            if not self.events and not self.is_over:
                await self._arrived.wait()
        finally:
            self._waiting -= 1
            anchor.tasks.pop(key, None)


class EventStream:
    """The events of a broker, for a coroutine. Made by `Broker.events`.

    It begins with its block, ``async with``, and ends with it, or when the broker is
    closed. ``async for`` iterates over the events, in order; it yields to the event loop
    only where it has to wait for one.

    Its buffer keeps events until they are asked for. An event that comes to a full
    buffer is dropped, and counted in `dropped`. The broker never waits for it.
    """

    _monitor: Monitor
    _kinds: frozenset[EventKind]
    _size: int
    _bodies: bool
    _buffer: _Buffer | None
    _subscription: Subscription | None

    def __init__(self, *_arguments: object, **_more: object) -> None:
        message = "an EventStream is made by Broker.events()"
        raise TypeError(message)

    @property
    def dropped(self) -> int:
        """How many events did not fit into the buffer."""
        return 0 if self._buffer is None else self._buffer.dropped

    async def __aenter__(self) -> Self:
        """Begin.

        Raises:
            RuntimeError: It has begun before.
            ClosedError: The broker was closed.
        """
        if self._buffer is not None:
            message = "an event stream has one block: call events() once more"
            raise RuntimeError(message)
        self._buffer = _Buffer(asyncio.get_running_loop(), self._size, self._kinds)
        self._subscription = subscribe(
            self._monitor,
            self._buffer.take,
            self._kinds | {EventKind.CLOSED},
            bodies=self._bodies,
            in_block=True,
        )
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the stream; drop what its buffer has."""
        if self._subscription is not None:
            self._subscription.unsubscribe()
        if self._buffer is not None:
            self._buffer.events.clear()
            self._buffer.is_over = True
            self._buffer.wake()

    def __aiter__(self) -> Self:
        """Return the stream: each step takes an event, see `__anext__`."""
        return self

    async def __anext__(self) -> Event:
        """Return the next event; wait for it if need be. Cancelled, it loses none.

        Cost: O(1).

        Raises:
            StopAsyncIteration: The stream or the broker is at its end.
            RuntimeError: It has not begun.
        """
        buffer = self._buffer
        if buffer is None:
            message = "an event stream begins with its block: async with"
            raise RuntimeError(message)
        while True:
            # There may be several tasks, and each event is for one of them.
            if buffer.events:
                return buffer.events.popleft()
            if buffer.is_over:
                raise StopAsyncIteration
            await buffer.wait()

    def __reduce_ex__(self, protocol: SupportsIndex, /) -> NoReturn:
        refuse_to_pickle(self, protocol)

    def __repr__(self) -> str:
        which = "all events"
        if self._kinds != ALL_KINDS:
            which = ", ".join(kind.value for kind in EventKind if kind in self._kinds)
        state = f"{self.dropped} dropped" if self.dropped else "none dropped"
        return f"<EventStream of {which or 'nothing'}: {state}>"


def new_stream(
    monitor: Monitor,
    kinds: Iterable[EventKind | str] | None,
    buffer: int,
    *,
    bodies: bool,
) -> EventStream:
    """Return a stream that has not begun. For `Broker.events`."""
    stream = EventStream.__new__(EventStream)
    stream._monitor = monitor
    stream._kinds = check_kinds(kinds)
    stream._size = check_integer("buffer", buffer, 1, float("inf"))
    check_flag("bodies", bodies)
    stream._bodies = bodies
    stream._buffer = None
    stream._subscription = None
    return stream
