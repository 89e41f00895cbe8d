"""A wait for the end of the work in some tubes."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from inproc_tubes.errors import (
    ConnectionLostError,
    NotFoundError,
    StoppedError,
    TimedOutError,
)

from . import looking

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .pool import Pool

__all__ = ["Join"]

# Seconds between two looks, at first and at most.
_FIRST = 0.05
_LONGEST = 1.0


class Join:
    """One wait, by looking again and again: beanstalkd cannot tell of the end.

    Attributes:
        buried: How many buried jobs there were at the last look.

    Args:
        pool: Whose connections look. They do not wait for a server that is away: this
            does, so that it ends in time, and may be stopped meanwhile.
        tubes: The names of the tubes; none for all of them.
        timeout: Seconds to wait, None for ever.
        stopped: Returns why the broker was stopped, None if it was not.
    """

    def __init__(
        self,
        pool: Pool,
        tubes: Iterable[str],
        timeout: float | None,
        stopped: Callable[[], str | None],
    ) -> None:
        self.buried: int = 0
        self._pool = pool
        self._clock = pool.network.clock
        self._tubes = list(dict.fromkeys(tubes))
        self._timeout = timeout
        self._stopped = stopped
        self._until = inf if timeout is None else self._clock.now() + timeout
        self._give_up_at: float | None = None
        self._pause = _FIRST

    def look(self) -> float | None:
        """Look once. Return when to look again, None if all is done.

        Raises:
            TimedOutError: There is work left, and the time is over.
            StoppedError: There is work left, and the broker was stopped.
            ConnectionLostError: A server is away for too long.
            ClosedError: The broker was closed.
        """
        lost: ConnectionLostError | None = None
        try:
            left, self.buried = self._count()
            if not left:
                return None
            self._give_up_at = None
        except ConnectionLostError as error:
            lost = error
        now = self._clock.now()
        stopped = self._stopped()
        if stopped is not None:
            raise StoppedError(stopped)
        if self._timeout is not None and now >= self._until:
            raise TimedOutError(self._timeout, "no end of the work")
        if lost is not None:
            if self._give_up_at is None:
                self._give_up_at = now + self._pool.network.reconnect_timeout
            if now >= self._give_up_at:
                raise lost
        again_at = min(self._until, now + self._pause)
        self._pause = min(2 * self._pause, _LONGEST)
        return again_at

    def _count(self) -> tuple[int, int]:
        """Count what is to be done in these tubes, and what is buried."""
        left = buried = 0
        for tube in self._tubes or looking.tubes(self._pool):
            try:
                stats = looking.stats_tube(self._pool, tube)
            except NotFoundError:
                continue
            left += stats.current_jobs_ready + stats.current_jobs_reserved
            left += stats.current_jobs_delayed
            buried += stats.current_jobs_buried
        return left, buried
