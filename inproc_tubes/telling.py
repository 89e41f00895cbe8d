"""How subscribers are told of events: after the turn, in order, by one thread at a time.

The engine records events, see `core.event_log`. `Teller.tell` takes them out one by one,
each under the lock, and calls the subscriber without it. Who finds another thread at that,
or is itself in the middle of it, since a subscriber has called a verb, leaves its events
to that one.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from .core.event_log import EventLog
from .errors import ReentrantCallError

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable

    from .core.event_log import Entry
    from .core.turn import Guard, Turn

__all__ = ["Teller"]

_LOG = logging.getLogger("inproc_tubes.events")

# Who tells goes on as long as there are events, and other threads may make them faster
# than he tells. After so many he leaves the rest to these.
_BATCH = 10_000


class Teller:
    """Who tells the subscribers of one broker.

    Attributes:
        log: The events that are still to be told.
    """

    __slots__ = ("_busy", "log")

    def __init__(self, after: deque[object]) -> None:
        # The call of `tell` that is under way, in whatever thread. Needs the lock.
        self._busy: object = None
        self.log: EventLog = EventLog(after)

    def tell(self, turn: Turn, guard: Guard, recover: Callable[[], None]) -> None:
        """Tell all that is to be told. To be called without the lock.

        An exception that breaks this off, as Ctrl-C does, leaves what is left to the next
        turn that has an event. Nobody is told of an event twice.
        """
        me = object()
        try:
            for _ in range(_BATCH):
                entry = self._next(me, turn, guard, recover)
                if entry is None:
                    return
                # Not here: a step of a block in a block is protected by neither.
                _call(entry)
                del entry  # it may refer to what has a destructor
            with guard:
                self._busy = None
        except BaseException:
            if self._busy is me:
                self._busy = None
            raise

    def _next(
        self, me: object, turn: Turn, guard: Guard, recover: Callable[[], None]
    ) -> Entry | None:
        """Take out the next event, None if there is none, or another call tells it."""
        with guard:
            if turn.unfinished is not None:
                try:
                    recover()
                except ReentrantCallError:
                    return None  # at the end of that turn
            if self._busy is None:
                self._busy = me
            elif self._busy is not me:
                return None
            if self.log.pending:
                return self.log.pending.popleft()
            self._busy = None
            return None


def _call(entry: Entry) -> None:
    """Tell one subscriber of one event."""
    subscriber, event, context, _ = entry
    try:
        context.run(subscriber._take, event)
    except Exception:  # noqa: BLE001 - whatever a user's function raises
        _LOG.exception("%r has failed to take %r", subscriber, event)
