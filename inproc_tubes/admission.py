"""How many jobs a tube may have, who waits for room in it, and who for the end.

These are verbs and steps of `engine.Engine`, under the rules printed there, and under
three of their own:

1.  No put waits while there is room for it and nobody before it in its tube. A batch
    is let in as a whole, and whoever comes after it waits behind it.
2.  Only puts are kept out. A job that is in stays in: a release, a kick or an expiry
    needs no room.
3.  A join is held up by one tube that is not done yet. When that is done, another is
    looked for; with none left, the join is over, in that very instant.

beanstalkd has no limits: ``OUT_OF_MEMORY`` is the nearest that it says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .batches import Batches
from .errors import DrainingError
from .room import Room
from .waiting import Joiner, Putter

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .job import Record
    from .tube import Tube
    from .waiting import Pending

__all__ = ["Admission"]


class Admission(Batches):
    """The limits of tubes, waiting puts, and joins."""

    def limit_tube(self, now: float, name: str, maxsize: int) -> None:
        """Let the tube have so many jobs, 0 for any number; who fits comes in.

        A tube that is limited stays, though nothing else refers to it. A batch that
        waits and is too large for the new limit is refused.

        Cost: O(number of puts that wait there), and that of those let in.
        """
        tube = self.tube(name) if maxsize else self.tubes.get(name)
        if tube is None or (tube.room is None and not maxsize):
            return
        room = self._room(tube)
        room.maxsize = maxsize
        waiting = room.putters.values()
        self._send_away(
            now,
            [putter for putter in waiting if 0 < maxsize < len(putter.bodies)],
            lambda putter: putter.too_late(),
        )
        self._after_leaving(now, tube)
        self._free_if_unreferenced(tube)

    # Putting

    def wait_for_room(self, now: float, putter: Putter) -> None:
        """Let a put wait, after `put` or `put_many` has found no room.

        If there is room now, it does not: it has its outcome when this returns.

        Raises:
            TubeFullError: The timeout is 0, or the batch is larger than the limit.
            DrainingError: The broker is drained meanwhile.

        Cost: O(log n) with a timeout, else O(1).
        """
        if self.draining:
            raise DrainingError
        name = putter.name
        putter.tube = tube = putter.session.used if name is None else self.tube(name)
        room: Room | None = tube.room
        if room is None or room.takes(len(putter.bodies)):
            self._let_in(now, putter)
            return
        if putter.timeout == 0 or len(putter.bodies) > room.maxsize:
            raise putter.too_late()
        self._plan_timeout(now, putter)
        self.others[putter.ticket] = putter
        putter.session.putters[putter.ticket] = putter
        room.putters[putter.ticket] = putter

    def _let_in(self, now: float, putter: Putter) -> None:
        putter.outcome = self._insert(
            now, putter.tube, putter.bodies, putter.priority, putter.delay, putter.ttr
        )

    # The end

    def join(self, now: float, joiner: Joiner) -> None:
        """Let a join wait, unless the end has come: then it has its outcome.

        Raises:
            TimedOutError: The timeout is 0.

        Cost: O(number of tubes), O(log n) with a timeout.
        """
        if self._look_for_the_end(joiner):
            return
        if joiner.timeout == 0:
            raise joiner.too_late()
        self._plan_timeout(now, joiner)
        self.others[joiner.ticket] = joiner
        self._hold_up(joiner)

    def _tubes_of(self, joiner: Joiner) -> Iterable[Tube]:
        if joiner.names is None:
            return self.listing
        names = dict.fromkeys(joiner.names)  # a tube that is named twice counts once
        return [self.tubes[name] for name in names if name in self.tubes]

    def _look_for_the_end(self, joiner: Joiner) -> bool:
        """Find what holds a join up; with nothing left, set its outcome."""
        buried = 0
        for tube in self._tubes_of(joiner):
            if tube.unfinished:
                joiner.held_up_by = tube
                return False
            buried += len(tube.buried)
        joiner.outcome = buried
        return True

    def _hold_up(self, joiner: Joiner) -> None:
        self._room(joiner.held_up_by).joiners[joiner.ticket] = joiner

    # Leaving

    def _room(self, tube: Tube) -> Room:
        if tube.room is None:
            tube.room = Room(tube)
        return tube.room

    def _after_leaving(self, now: float, tube: Tube) -> None:
        """Let in who fits, and go on with the joins that this tube has held up.

        To be called after a job has left a tube that has a room, or was buried in it,
        and after a put waits there no longer.
        """
        room = tube.room
        assert room is not None  # the caller has looked
        while room.putters:
            putter = next(iter(room.putters.values()))
            if not room.fits(len(putter.bodies)):
                break
            self._strike_out(putter)
            self._let_in(now, putter)
            self.answered.append(putter)
        if room.joiners and not tube.unfinished:
            for joiner in list(room.joiners.values()):
                del room.joiners[joiner.ticket]
                if self._look_for_the_end(joiner):
                    self._strike_out(joiner)
                    self.answered.append(joiner)
                else:
                    self._hold_up(joiner)
        self._drop_room(tube)

    def _drop_room(self, tube: Tube) -> None:
        room = tube.room
        if room is not None and not room.maxsize and not room.joiners:
            tube.room = None

    def _strike_out(self, waiter: Pending) -> None:
        """Take one who waits for room, or for the end, from all lists."""
        del self.others[waiter.ticket]
        self._timeouts.forget(waiter)
        if isinstance(waiter, Putter):
            del waiter.session.putters[waiter.ticket]
            del waiter.tube.room.putters[waiter.ticket]
        else:
            assert isinstance(waiter, Joiner)  # there is no third kind
            waiter.held_up_by.room.joiners.pop(waiter.ticket, None)
            self._drop_room(waiter.held_up_by)

    def _send_away(self, now: float, putters: Iterable[Putter], error: Any) -> None:
        """Refuse these puts, all before anybody is let in in their place."""
        tubes: dict[Tube, None] = {}
        for putter in list(putters):
            self._strike_out(putter)
            putter.outcome = error(putter)
            self.answered.append(putter)
            tubes[putter.tube] = None
        for tube in tubes:
            self._after_leaving(now, tube)

    def _lose_patience(self, now: float, waiter: Pending) -> None:
        if isinstance(waiter, Putter):
            self._send_away(now, [waiter], Putter.too_late)
        elif isinstance(waiter, Joiner):
            self._strike_out(waiter)
            waiter.outcome = waiter.too_late()
            self.answered.append(waiter)
        else:
            super()._lose_patience(now, waiter)

    def _withdraw_other(self, now: float, waiter: Pending) -> None:
        """Leave the queue as if that put or join had never been.

        If the put was let in meanwhile, its jobs, whose ids nobody will ever hear, are
        taken back, but for those that somebody has reserved already.
        """
        if waiter.outcome is None:
            if waiter.ticket in self.others:
                self._strike_out(waiter)
                if isinstance(waiter, Putter):
                    self._after_leaving(now, waiter.tube)
        elif isinstance(waiter.outcome, list):
            self._take_back(now, waiter.outcome)

    def _take_back(self, now: float, ids: list[int]) -> None:
        for job_id in ids:
            record = self.jobs.get(job_id)
            if record is not None and not record.reserves:
                self._leave_container(record)
                record.tube.total_jobs -= 1
                self._forget(now, record)

    def _forget(self, now: float, record: Record) -> None:
        """Let a job be gone that is in no container any more."""
        tube: Tube = record.tube
        del self.jobs[record.id]
        if tube.room is not None:
            self._after_leaving(now, tube)
        self._free_if_unreferenced(tube)
