"""What a tube has only where its jobs' leaving matters to somebody.

That is where it is limited, and while a join is held up by it. All other tubes have
none, so that there a put and a delete find out by one look at an attribute.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .waiting import Joiner, Putter

__all__ = ["Room"]


class Room:
    """The limit of one tube, who waits for room in it, and whom it holds up."""

    __slots__ = ("joiners", "maxsize", "putters", "tube")

    def __init__(self, tube: Any) -> None:
        self.tube = tube  # its Tube
        self.maxsize = 0  # 0: no limit
        # {ticket: putter}, longest waiting first
        self.putters: OrderedDict[int, Putter] = OrderedDict()
        self.joiners: dict[int, Joiner] = {}  # {ticket: joiner}

    def fits(self, count: int) -> bool:
        """Return whether so many more jobs may come in. Cost: O(1)."""
        return not self.maxsize or count <= self.maxsize - self.tube.count

    def takes(self, count: int) -> bool:
        """Return whether they may come in now, with nobody before them. Cost: O(1)."""
        return not self.putters and self.fits(count)

    def _check(self) -> None:
        # It is there for a reason.
        assert self.maxsize or self.joiners
        # Whoever has waited longest is first, has no room, and could have it one day.
        tickets = list(self.putters)
        assert tickets == sorted(tickets)
        for ticket, putter in self.putters.items():
            assert putter.ticket == ticket
            assert putter.tube is self.tube
            assert len(putter.bodies) <= self.maxsize
        if tickets:
            assert not self.fits(len(self.putters[tickets[0]].bodies))
        # It is not done, where it holds somebody up.
        for ticket, joiner in self.joiners.items():
            assert joiner.ticket == ticket
            assert joiner.held_up_by is self.tube
            assert self.tube.unfinished
