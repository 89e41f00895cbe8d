"""Rates of the tubes of a broker, from what was seen between two looks at it."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from .core.statistics import BrokerSnapshot

__all__ = ["Rate", "Rates"]

_WINDOW = 60.0  # seconds, at most, if somebody looks so often
_STEP = 1.0  # looks that are nearer to each other are not kept


class Rate(NamedTuple):
    """How much happens in a tube, per second."""

    put: float
    deleted: float


class _Look(NamedTuple):
    at: float
    totals: dict[str, tuple[int, int]]  # by tube: put and deleted so far


class Rates:
    """The rates of one broker. May be shared by threads; has none of its own.

    A rate is that of the last minute, or of the time since the look before if nobody has
    looked for longer than that.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._looks: deque[_Look] = deque()  # the oldest first, `_STEP` apart or more

    def look(self, seen: BrokerSnapshot) -> dict[str, Rate]:
        """Return the rate of each tube since an earlier look, and keep this one.

        A tube is not in it where nothing is known: at the first look of all, and while
        the tube is younger than its name.

        Cost: O(number of tubes).
        """
        totals = {
            name: (stats.total_jobs, stats.cmd_delete)
            for name, stats in seen.tubes.items()
        }
        with self._lock:
            looks = self._looks
            # The last one stays, however old it is.
            while len(looks) > 1 and looks[0].at < seen.now - _WINDOW:
                looks.popleft()
            before = looks[0] if looks else None
            if not looks or seen.now - looks[-1].at >= _STEP:
                looks.append(_Look(seen.now, totals))
        if before is None or seen.now <= before.at:
            return {}
        seconds = seen.now - before.at
        rates = {}
        for name, (put, deleted) in totals.items():
            old_put, old_deleted = before.totals.get(name, (0, 0))
            if put >= old_put and deleted >= old_deleted:
                rates[name] = Rate(
                    (put - old_put) / seconds, (deleted - old_deleted) / seconds
                )
        return rates
