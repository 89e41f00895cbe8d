"""How threads wait: each on a lock of its own, and one keeps time for all.

After the leader and the followers of Java's ``DelayQueue``: of the threads that
sleep, one, the keeper, wakes when the next moment is due and carries it out. The
others sleep without a limit until they are served. The keeper passes its office on
when it leaves, to the thread that came last: that one is served last, and so the
office changes hands as seldom as can be.
"""

from __future__ import annotations

from math import inf
from threading import Lock
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from .door import Door
    from .session import Session
    from .waiting import Pending

__all__ = ["ThreadLot"]


class ThreadLot:
    """The threads that sleep in one door. Its methods want the door's lock.

    (All but `wait`, `sleep` and `park`, which want it free, and `nudge`, which takes
    what there is.)
    """

    __slots__ = ("_asleep", "_keeper", "armed_for")

    def __init__(self) -> None:
        self._asleep: dict[Pending, None] = {}  # in order of their coming
        self._keeper: Pending | None = None
        # Until when the keeper sleeps, if nothing earlier comes up; a moment that
        # nothing is earlier than while there is no keeper.
        self.armed_for = -inf

    def enter(self, door: Door, waiter: Pending) -> None:
        """Make the bed of a waiter that the engine has let wait."""
        waiter.lot = self
        waiter.bed = bed = Lock()
        bed.acquire()
        self._asleep[waiter] = None
        # A moment earlier than the keeper knows of is this very waiter's, who is
        # awake: it saves rousing the keeper to become the keeper. It may be that
        # nothing is due then, which is soon found out.
        due_at = door._engine.due_at
        if self._keeper is None or due_at < self.armed_for:
            self._appoint(waiter, due_at)
            door._reckon()
        door._sleepers_changed()

    def _appoint(self, waiter: Pending, due_at: float) -> None:
        self._keeper = waiter
        self.armed_for = due_at

    def park(self, door: Door, waiter: Pending) -> None:
        """Sleep until the waiter is answered, keeping time if it is the keeper."""
        while True:
            if not door._notes:
                is_keeper = self._keeper is waiter
                door._clock.park(waiter, self.armed_for if is_keeper else inf)
            if waiter.outcome is not None:
                return
            door._look()
            with door._lock:
                if self._keeper is waiter:
                    # Not next_due(): that would have each job reserved elsewhere
                    # rouse it, as the first one whose moment comes up.
                    self._appoint(waiter, door._engine.due_at)
                    door._reckon()

    def sleep(self, door: Door, waiter: Pending, then: Callable[[Any], Any]) -> Any:
        """Sleep until there is an answer, and return ``then(waiter)``."""
        self.park(door, waiter)
        return then(waiter)

    def wait(
        self,
        door: Door,
        session: Session,
        waiter: Pending,
        verb: Any,
        then: Callable[[Any], Any],
    ) -> Any:
        """Take a turn with ``verb(now, waiter)``, and `sleep` if that has no answer.

        Interrupted, it leaves the queue as if it had never asked.
        """
        try:
            if door._begin_to_wait(session, self, waiter, verb):
                self.park(door, waiter)
            return then(waiter)
        except BaseException:
            door._give_up(self, waiter)
            raise

    def wake(self, door: Door, waiter: Pending) -> None:
        """Rouse a waiter that was answered."""
        self.leave(door, waiter)
        _release(waiter.bed)

    def leave(self, door: Door, waiter: Pending) -> None:
        """Strike a waiter out, and pass its office on."""
        self._asleep.pop(waiter, None)
        if self._keeper is waiter:
            if self._asleep:
                due_at = door._engine.next_due()
                self._appoint(next(reversed(self._asleep)), due_at)
                door._reckon()
                if self.armed_for != inf:
                    self.nudge()
            else:
                self._keeper = None
                self.armed_for = -inf

    def rearm(self, due_at: float) -> None:
        """Have the keeper look again: a moment before ``armed_for`` has come up."""
        self.armed_for = due_at
        self.nudge()

    def nudge(self) -> None:
        """Rouse the keeper, if there is one; needs no lock."""
        keeper = self._keeper
        if keeper is not None:
            _release(keeper.bed)


def _release(bed: Any) -> None:
    try:  # noqa: SIM105 - `suppress` takes longer than all the rest of it
        bed.release()
    except RuntimeError:
        pass  # roused already: two may rouse the same thread
