"""Which of several that wait for one tube is served: the server's choice, taken over.

The server promises no order among them (`ms_take` follows the places of its multiset),
and ours is the longest wait. So there is one thing that is not compared: who, of all that
wait and watch the tube. The server is heard first, and ours then serves the same one if
it is one of those that it could have served. All that comes of it is compared as ever.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from inproc_tubes.core.dispatcher import Dispatcher

if TYPE_CHECKING:
    from inproc_tubes.core.engine import Engine
    from inproc_tubes.core.record import AnyJob
    from inproc_tubes.core.requests import ReserveRequest
    from inproc_tubes.core.session import Session

_RESERVED = re.compile(rb"RESERVED (\d+) ")


class Choice:
    """What the server has chosen since the last comparison.

    Attributes:
        is_clear: Whether there was never more than one to take it from.
    """

    def __init__(self) -> None:
        self._served: dict[int, list[Session]] = {}
        self.is_clear = True

    def hear(self, session: Session, reply: bytes) -> None:
        """Learn what the server has told the client of a session."""
        if match := _RESERVED.match(reply):
            self._served.setdefault(int(match[1]), []).append(session)

    def forget(self) -> None:
        """Begin a new comparison."""
        self._served.clear()
        self.is_clear = True

    def among(self, waiting: list[ReserveRequest], job_id: int) -> ReserveRequest:
        """Return the one that the server has served, else the first."""
        served = self._served.get(job_id, ())
        chosen = [request for request in waiting if request.session in served]
        if len(chosen) > 1:
            self.is_clear = False  # one after the other, but in which order?
        return (chosen or waiting)[0]


class _SteeredDispatcher(Dispatcher):
    """A dispatcher that hands a job to whom the server has served. See `steer`."""

    __slots__ = ()

    choice: Choice

    def hand_over(self, now: float, job: AnyJob, request: ReserveRequest) -> None:
        tube = self.tubes[job._tube]
        waiting = [
            each
            for each in self.queue.requests.values()
            if tube in each.session.watched
        ]
        assert waiting[0] is request, "not the longest wait"
        super().hand_over(now, job, self.choice.among(waiting, job._id))


def steer(engine: Engine, choice: Choice) -> None:
    """Let an engine serve whom the server has chosen."""
    kind = type(
        "SteeredDispatcher", (_SteeredDispatcher,), {"__slots__": (), "choice": choice}
    )
    # Another dispatcher in the place of the one there is: it keeps nothing itself.
    engine.dispatch = engine.clients._dispatch = engine.wire_puts._dispatch = kind(
        engine.turn,
        engine.store,
        engine.queue,
        engine.admission,
        engine.schedule,
        engine.counts,
    )
