"""Admission: the puts that wait for room in a tube, and the joins that wait for its end.

Both wait for jobs to leave a tube. The rules:

1.  No put waits while there is room for it and nobody before it in its tube. A batch is
    let in as a whole, and what comes after it waits behind it.
2.  Only puts are kept out, and moves, which do not wait. A job that is in stays in: what
    comes back by a release, a kick or an expiry needs no room.
3.  A join is held up by one tube that is not done yet. When that is done, another one is
    looked for; with none left, the join ends, in that same instant.

beanstalkd has no limits: ``OUT_OF_MEMORY`` is the nearest that it answers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from inproc_tubes.errors import TubeFullError

from .keys import duplicate
from .tube import Occupancy

if TYPE_CHECKING:
    from inproc_tubes.errors import TubesError

    from .keys import Keys
    from .record import AnyJob
    from .requests import JoinRequest, PutRequest
    from .session import Session
    from .tube import Tube

__all__ = ["Admission"]


class Admission:
    """All pending puts and joins of one engine.

    Attributes:
        puts: {ticket: request}, longest waiting first.
        joins: The same.
    """

    __slots__ = ("_keys", "_tubes", "joins", "puts")

    def __init__(self, tubes: dict[str, Tube], keys: Keys) -> None:
        self._tubes = tubes  # the engine's
        self._keys = keys
        self.puts: dict[int, PutRequest] = {}
        self.joins: dict[int, JoinRequest] = {}

    def set_limit(self, tube: Tube, maxsize: int) -> list[PutRequest]:
        """Let a tube have so many jobs; return the puts that are too large for it.

        Cost: O(number of puts that wait there).
        """
        if tube.occupancy is None:
            if not maxsize:
                return []
            tube.occupancy = Occupancy()
            tube.settle()
        tube.occupancy.maxsize = maxsize
        waiting = tube.occupancy.puts.items()
        return [self.puts[ticket] for ticket, size in waiting if 0 < maxsize < size]

    def add_put(self, tube: Tube, request: PutRequest) -> None:
        """Let a put that has its ticket wait for room in a limited tube. Cost: O(1)."""
        assert tube.occupancy is not None  # else it would not wait
        self.puts[request.ticket] = request
        request.session.puts[request.ticket] = None
        tube.occupancy.puts[request.ticket] = request.size

    def next_put(self, tube: Tube) -> PutRequest | None:
        """Return the put that is let in next, None where none fits. Cost: O(1)."""
        if tube.occupancy is None or not tube.occupancy.puts:
            return None
        request = self.puts[next(iter(tube.occupancy.puts))]
        room = self._room_for(tube, request)
        return request if not room or tube.fits(room) else None

    def admits(self, tube: Tube, request: PutRequest) -> bool:
        """Return whether a put is let in now, with no other before it.

        A put that needs no room waits for nobody. Cost: that of `_room_for`.
        """
        room = self._room_for(tube, request)
        return not room or tube.admits(room)

    def _room_for(self, tube: Tube, request: PutRequest) -> int:
        """Return how many more jobs there are once a put is let in, or refused.

        Cost: O(1), and for jobs with keys O(1) for each.
        """
        on_duplicate = request.on_duplicate
        if not on_duplicate:
            return len(request.jobs)
        return self._keys.judge(tube.name, request.jobs, on_duplicate).room

    def remove_put(self, request: PutRequest) -> None:
        """Let a put wait no longer. Cost: O(1)."""
        tube = self._tubes[request.tube]
        assert tube.occupancy is not None  # see `drop_occupancy`
        tube.occupancy.puts.pop(request.ticket, None)
        request.session.puts.pop(request.ticket, None)
        del self.puts[request.ticket]

    def too_late(self, request: PutRequest) -> TubeFullError:
        """Return what is raised where a put has waited too long. Cost: O(1)."""
        occupancy = self._tubes[request.tube].occupancy
        assert occupancy is not None  # else it would not have waited
        return TubeFullError(request.tube, occupancy.maxsize, request.size)

    def why_not(self, job: AnyJob, name: str) -> TubesError | None:
        """Return why a job cannot be moved to the tube of that name, None if it can.

        A move never waits for room. Cost: O(1).
        """
        key = job._history.key
        other = None if key is None else self._keys.find(name, key)
        if other is not None:
            return duplicate(other)
        tube = self._tubes.get(name)
        if tube is None or tube.admits(1):
            return None
        assert tube.occupancy is not None  # else it would be admitted
        return TubeFullError(name, tube.occupancy.maxsize)

    def is_done(self, request: JoinRequest) -> bool:
        """Find what holds a join up; with nothing left, set its outcome.

        Cost: O(number of its tubes).
        """
        buried = 0
        # A tube that is named twice counts once.
        names = self._tubes if request.tubes is None else dict.fromkeys(request.tubes)
        for name in names:
            tube = self._tubes.get(name)
            if tube is not None:
                if tube.unfinished:
                    request.held_up_by = name
                    return False
                buried += len(tube.buried)
        request.outcome = buried
        return True

    def add_join(self, request: JoinRequest) -> None:
        """Let a join that has its ticket wait for the tube that holds it up.

        Cost: O(1).
        """
        self.joins[request.ticket] = request
        tube = self._tubes[request.held_up_by]
        if tube.occupancy is None:
            tube.occupancy = Occupancy()
            tube.settle()
        tube.occupancy.joins[request.ticket] = None

    def done_joins(self, tube: Tube) -> list[JoinRequest]:
        """Go on with the joins that a tube holds up; return those that have ended.

        Cost: O(number of tubes) for each join, where the tube is done.
        """
        occupancy = tube.occupancy
        if occupancy is None or not occupancy.joins or tube.unfinished:
            return []
        done = []
        for ticket in list(occupancy.joins):
            request = self.joins[ticket]
            if self.is_done(request):
                done.append(request)
            else:
                del occupancy.joins[ticket]
                self.add_join(request)
        return done

    def remove_join(self, request: JoinRequest) -> None:
        """Let a join wait no longer. Cost: O(1)."""
        tube = self._tubes.get(request.held_up_by)
        if tube is not None and tube.occupancy is not None:
            tube.occupancy.joins.pop(request.ticket, None)
            self.drop_occupancy(tube)
        del self.joins[request.ticket]

    def drop_occupancy(self, tube: Tube) -> None:
        """Drop what a tube has only while it is limited, or something waits there.

        Cost: O(1).
        """
        occupancy = tube.occupancy
        if occupancy is not None and not (
            occupancy.maxsize or occupancy.joins or occupancy.puts
        ):
            tube.occupancy = None
            tube.settle()

    # Recovery

    def rebuild(self, sessions: list[Session]) -> None:
        """Let all puts and joins wait anew. Cost: O(n)."""
        for session in sessions:
            session.puts.clear()
        for tube in self._tubes.values():
            if tube.occupancy is not None:
                tube.occupancy.puts.clear()
                tube.occupancy.joins.clear()
                self.drop_occupancy(tube)
        for put in self.puts.values():
            tube = self._tubes[put.tube]
            if tube.occupancy is None:  # the limit has just gone; it will be let in
                tube.occupancy = Occupancy()
            self.add_put(tube, put)
        for join in self.joins.values():
            if not self.is_done(join):
                self.add_join(join)

    def _check(self, sessions: list[Session]) -> None:
        occupied = [t for t in self._tubes.values() if t.occupancy is not None]
        listed: dict[int, str] = {}
        for tube in occupied:
            occupancy = tube.occupancy
            assert occupancy is not None
            # It is there for a reason.
            assert occupancy.maxsize or occupancy.joins
            # The longest waiting is first, has no room, and could have it one day.
            tickets = list(occupancy.puts)
            assert tickets == sorted(tickets)
            for ticket, size in occupancy.puts.items():
                request = self.puts[ticket]
                assert request.ticket == ticket
                assert request.tube == tube.name
                assert size == request.size <= occupancy.maxsize
                listed[ticket] = tube.name
            assert self.next_put(tube) is None
            # It is not done, where it holds a join up.
            for ticket in occupancy.joins:
                assert self.joins[ticket].held_up_by == tube.name
                listed[ticket] = tube.name
            assert not occupancy.joins or tube.unfinished
        assert listed.keys() == {**self.puts, **self.joins}.keys()
        for waiting in (self.puts, self.joins):
            assert list(waiting) == sorted(waiting)
        assert sum(len(s.puts) for s in sessions) == len(self.puts)
        for session in sessions:
            assert all(self.puts[ticket].session is session for ticket in session.puts)
