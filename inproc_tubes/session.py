"""A client of the engine: what beanstalkd calls a connection."""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from math import inf
from typing import TYPE_CHECKING

from .tube import Listing

if TYPE_CHECKING:
    from .job import Record
    from .tube import Tube
    from .waiting import Putter, Waiter

__all__ = ["Session"]

# Fewer void deadlines than this are never swept: it would cost more than they do.
_SWEEP_FLOOR = 64


class Session:
    """The tube it uses, those it watches, the jobs it holds, and who waits for it.

    The engine alone changes it. A handle owns one, and so does a connection over
    the protocol.
    """

    __slots__ = (
        "_deadlines",
        "_sweep_at",
        "closed",
        "held",
        "incoming",
        "is_producer",
        "is_worker",
        "only",
        "planned_at",
        "putters",
        "used",
        "waiters",
        "watched",
    )

    def __init__(self) -> None:
        self.used: Tube | None = None
        self.watched = Listing()
        self.only: Tube | None = None  # the watched tube, if it is just one
        # {number of the reservation: record}, in the order of reserving
        self.held: dict[int, Record] = {}
        # The job whose body is still to come, over the wire.
        self.incoming: Record | None = None
        # heap of (due_at, number of the reservation); void ones stay till they are
        # on top, or are swept
        self._deadlines: list[tuple[float, int]] = []
        self._sweep_at = _SWEEP_FLOOR
        self.waiters: dict[int, Waiter] = {}  # {ticket: waiter}
        self.putters: dict[int, Putter] = {}  # {ticket: putter}
        self.planned_at = inf  # when the engine will look at it, at the latest
        self.is_producer = False  # has ever put
        self.is_worker = False  # has ever reserved
        self.closed: str | None = None  # what was closed, once it is

    def add_deadline(self, record: Record) -> None:
        """Note when the reservation of a held job ends.

        Cost: O(1) amortised where all jobs have one TTR, else O(log n).
        """
        deadlines = self._deadlines
        heappush(deadlines, (record.due_at, record.reservation))
        if len(deadlines) > self._sweep_at:
            self._sweep()

    def add_deadlines(self, new: list[tuple[float, int]]) -> None:
        """Note many at once, as (due_at, number of the reservation), after they are held.

        Cost: O(1) for each where they are in order, and nothing else is held; else that
        of `add_deadline` for each.
        """
        deadlines = self._deadlines
        if len(new) == len(self.held):  # all others are void
            deadlines[:] = sorted(new)
            self._sweep_at = 2 * len(deadlines) + _SWEEP_FLOOR
            return
        for deadline in new:
            heappush(deadlines, deadline)
        if len(deadlines) > self._sweep_at:
            self._sweep()

    def _sweep(self) -> None:
        """Drop the void deadlines."""
        deadlines = self._deadlines
        deadlines[:] = [(r.due_at, n) for n, r in self.held.items()]
        heapify(deadlines)
        self._sweep_at = 2 * len(deadlines) + _SWEEP_FLOOR

    def soonest(self) -> Record | None:
        """Return the held job that expires first; the first reserved of several.

        Cost: O(1), amortised over the void deadlines it drops.
        """
        deadlines = self._deadlines
        while deadlines:
            due_at, reservation = deadlines[0]
            record = self.held.get(reservation)
            if record is not None and record.due_at == due_at:
                return record
            heappop(deadlines)
        return None

    def _check(self) -> None:
        # Every held job is reserved, by this session, under its number.
        for number, record in self.held.items():
            assert record.owner is self
            assert record.reservation == number
            assert (record.due_at, number) in self._deadlines
        assert list(self.held) == sorted(self.held)
        soonest = self.soonest()
        assert (soonest and soonest.due_at) == min(
            (r.due_at for r in self.held.values()), default=None
        )
        assert len(self._deadlines) <= self._sweep_at
        # It waits in each tube that it watches, and the engine will look in time.
        for tube in self.watched:
            assert set(self.waiters) <= set(tube.waiters)
        for ticket, putter in self.putters.items():
            assert putter.session is self
            assert putter.tube.room.putters[ticket] is putter
        assert self.only is (self.watched[0] if len(self.watched) == 1 else None)
        assert soonest is None or self.planned_at <= soonest.due_at
