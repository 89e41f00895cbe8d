"""A client of the engine: what beanstalkd calls a connection."""

from __future__ import annotations

from collections import OrderedDict
from heapq import heapify, heappop, heappush
from math import inf
from typing import TYPE_CHECKING, NoReturn

from .errors import ClosedError
from .tube import Listing

if TYPE_CHECKING:
    from .job import Record
    from .selection import Selection
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
        "_in_order_to",
        "closed",
        "held",
        "incoming",
        "is_producer",
        "is_worker",
        "only",
        "planned_at",
        "putters",
        "selection",
        "used",
        "waiters",
        "watched",
    )

    def __init__(self) -> None:
        self.used: Tube | None = None
        self.watched = Listing()
        # Where it looks for a job, and waits for one: the watched tube if it is just
        # one, else a selection, which is made when it is first needed.
        self.only: Tube | None = None
        self.selection: Selection | None = None
        # {number of the reservation: record}, in the order of reserving. Not a dict:
        # its last item takes ever longer to find where many have been deleted.
        self.held: OrderedDict[int, Record] = OrderedDict()
        # The job whose body is still to come, over the wire.
        self.incoming: Record | None = None
        # heap of (due_at, number of the reservation), for the numbers up to this one;
        # void ones stay till they are on top, or are swept
        self._deadlines: list[tuple[float, int]] = []
        self._in_order_to = 0
        self.waiters: dict[int, Waiter] = {}  # {ticket: waiter}
        self.putters: dict[int, Putter] = {}  # {ticket: putter}
        self.planned_at = inf  # when the engine will look at it, at the latest
        self.is_producer = False  # has ever put
        self.is_worker = False  # has ever reserved
        self.closed: str | None = None  # what was closed, once it is

    def refuse(self) -> NoReturn:
        """Raise what is told to a client that was closed. Cost: O(1)."""
        assert self.closed is not None  # the caller has looked
        raise ClosedError(self.closed)

    def move_deadline(self, record: Record) -> None:
        """Note that the reservation of a held job ends at another moment.

        Cost: O(log n).
        """
        if record.reservation <= self._in_order_to:
            heappush(self._deadlines, (record.due_at, record.reservation))
            self._sweep()

    def soonest(self) -> Record | None:
        """Return the held job that expires first; the first reserved of several.

        What was reserved since the last time is put in order only now: most jobs are
        gone before anybody asks.

        Cost: O(1), amortised over a O(log n) for each reservation that it sees.
        """
        held = self.held
        deadlines = self._deadlines
        if held and (last := next(reversed(held))) > self._in_order_to:
            for number, record in reversed(held.items()):
                if number <= self._in_order_to:
                    break
                heappush(deadlines, (record.due_at, number))
            self._in_order_to = last
            self._sweep()
        while deadlines:
            due_at, number = deadlines[0]
            soonest = held.get(number)
            if soonest is not None and soonest.due_at == due_at:
                return soonest
            heappop(deadlines)
        return None

    def _sweep(self) -> None:
        """Drop the void deadlines once they outnumber the others."""
        if len(self._deadlines) > 2 * len(self.held) + _SWEEP_FLOOR:
            last = self._in_order_to
            self._deadlines[:] = [
                (r.due_at, n) for n, r in self.held.items() if n <= last
            ]
            heapify(self._deadlines)

    def _check(self) -> None:
        # Every held job is reserved, by this session, under its number.
        for number, record in self.held.items():
            assert record.owner is self
            assert record.reservation == number
            if number <= self._in_order_to:
                assert (record.due_at, number) in self._deadlines
        assert list(self.held) == sorted(self.held)
        heap = self._deadlines
        assert all(heap[(i - 1) // 2] <= heap[i] for i in range(1, len(heap)))
        for ticket, putter in self.putters.items():
            assert putter.session is self
            assert putter.tube.room.putters[ticket] is putter
        # It waits where it looks, and the engine will look in time.
        assert self.only is (self.watched[0] if len(self.watched) == 1 else None)
        if self.selection is not None:
            assert self.only is None
            assert self.selection.tubes == set(self.watched)
        if self.waiters:
            place = self.only or self.selection
            assert place is not None
            assert set(self.waiters) <= set(place.waiters)
        assert all(self.planned_at <= r.due_at for r in self.held.values())
