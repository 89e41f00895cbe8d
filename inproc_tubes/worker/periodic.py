"""A job that is put again and again, while its worker runs."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from inproc_tubes import ClosedError, NotFoundError, TubesError

if TYPE_CHECKING:
    from inproc_tubes import AnyBroker

    from .log import Log
    from .settings import Periodic

__all__ = ["Beat"]


class Beat:
    """Puts the job at each beat, as an alarm.

    The beats are counted from the start: none is late because an earlier one was. A beat
    is left out if the job of an earlier one is still ready, delayed or reserved, if
    there is no room for another, and if the time has gone on to the next beat already.
    A buried job waits for a person, and no beat waits for it.

    Attributes:
        due_at: When the next beat is.
        stopped: Whether there is to be none any more.
    """

    def __init__(
        self, broker: AnyBroker, periodic: Periodic, now: float, log: Log
    ) -> None:
        self._broker = broker
        self._periodic = periodic
        self._log = log
        self._producer = broker.producer(periodic.tube)
        self._last: int | None = None  # the id of the last job
        self.due_at: float = now + periodic.seconds
        self.stopped = False

    def ring(self, now: float) -> None:
        """Put the job, unless the last one is unfinished."""
        if self.stopped:
            self.due_at = inf
            return
        seconds, tube, body, priority, ttr = self._periodic
        self.due_at += seconds * (1 + (now - self.due_at) // seconds)
        try:
            if not self._is_unfinished():
                put = self._producer.put
                self._last = put(body, priority, ttr=ttr, timeout=0)
        except ClosedError:
            self.due_at = inf
        except TubesError as error:
            self._log.skipped(tube, error)

    def close(self) -> None:
        """Put nothing any more."""
        self._producer.close()

    def _is_unfinished(self) -> bool:
        if self._last is None:
            return False
        try:
            return self._broker.stats_job(self._last).state != "buried"
        except NotFoundError:
            return False
