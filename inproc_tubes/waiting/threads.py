"""How threads wait: each on a token of its own, and one keeps time for all.

After the leader and the followers of Java's ``DelayQueue``: of the threads that sleep,
one, the leader, wakes when the next moment is due and carries it out. The others sleep
without a limit until they are answered. The leader passes its part on when it leaves, to
the thread that came last: that one is answered last, and so the leader changes as seldom
as can be.
"""

from __future__ import annotations

import threading
from math import inf
from typing import TYPE_CHECKING, TypeVar
from weakref import ref

from inproc_tubes.errors import ClosedError
from inproc_tubes.slips import runs_event_loop, warn

if TYPE_CHECKING:
    from collections.abc import Callable
    from threading import Lock

    from inproc_tubes.core.schedule import AnyRequest
    from inproc_tubes.monitor import Monitor

__all__ = ["ThreadSleeper", "ThreadSleepers"]

_BLOCKS = (
    "this waits in a thread that runs an event loop, and blocks all of its tasks: "
    "await it on async_consumer, async_producer or async_join"
)

Q = TypeVar("Q", bound="AnyRequest")
R = TypeVar("R")


class ThreadSleeper:
    """A thread that sleeps until its request is answered.

    Attributes:
        token: Held while it sleeps.
    """

    __slots__ = ("_request", "_sleepers", "token")

    def __init__(self, sleepers: ThreadSleepers, request: AnyRequest) -> None:
        # Looked up now, for gevent: see Monitor.
        self.token: Lock = threading.Lock()
        self.token.acquire()
        self._sleepers = sleepers
        self._request = request

    @property
    def answered(self) -> bool:
        """Whether its request has its outcome."""
        return self._request.outcome is not None

    @property
    def waits_for(self) -> str:
        """What its request is, and for which tubes."""
        return self._request.describe()

    def wake(self) -> None:
        """Wake it: its request is answered. Needs the monitor's lock."""
        self._sleepers.leave(self)
        self.unpark()

    def unpark(self) -> None:
        """Have it look around."""
        try:
            self.token.release()
        except RecursionError:
            raise  # nobody was woken
        except RuntimeError:
            pass  # woken already: two may wake the same thread


class ThreadSleepers:
    """The threads that sleep in one monitor, which refers to them.

    `enter`, `leave` and `rearm` need the monitor's lock.
    """

    __slots__ = ("_asleep", "_leader", "_monitor", "armed_for")

    def __init__(self, monitor: Monitor) -> None:
        # Weak, lest a broker that is dropped have to wait for the collector.
        self._monitor = ref(monitor)  # where it is dead, `enter` makes it anew
        monitor.add_way(self)
        self._asleep: dict[ThreadSleeper, None] = {}  # in the order of coming
        self._leader: ThreadSleeper | None = None
        # Until when the leader sleeps, if nothing earlier comes up.
        self.armed_for: float = -inf

    def enter(self, monitor: Monitor, request: AnyRequest) -> None:
        """Let the calling thread be woken for a request that the engine let wait."""
        # The collector clears it before it calls finalisers, which may wait.
        self._monitor = ref(monitor)
        request.sleeper = sleeper = ThreadSleeper(self, request)
        self._asleep[sleeper] = None
        # A moment earlier than the leader knows of is this very request's, whose thread
        # is awake. To let it lead saves waking the leader.
        if self._leader is None or monitor.engine.schedule.due_at < self.armed_for:
            self._lead(sleeper)
            monitor.rearm()
        monitor.sleepers_changed()

    def _lead(self, sleeper: ThreadSleeper) -> None:
        self._leader = sleeper
        monitor = self._monitor()
        if monitor is None:
            return  # the collector has it, and all that sleeps here
        # Not the exact moment, Engine.next_due: then each job that is reserved elsewhere
        # would wake the leader, as the first one that is due.
        due_at = monitor.engine.schedule.due_at
        self.armed_for = due_at
        monitor.reckon()

    def leave(self, sleeper: ThreadSleeper) -> None:
        """Let a thread be woken no more, and another one lead. Twice has no effect."""
        if self._asleep.pop(sleeper, sleeper) is sleeper:  # it was not in
            return
        if self._leader is not sleeper:
            return
        if self._asleep:
            self._lead(next(reversed(self._asleep)))
            if self.armed_for != inf:
                self.nudge()
        else:
            self._leader = None
            self.armed_for = -inf

    def sleep(self, request: Q, result: Callable[[Q], R]) -> R:
        """Sleep until a request that has entered is answered.

        The caller withdraws the request if this is interrupted.

        Returns:
            ``result(request)``.
        """
        self._park(request)
        return result(request)

    @classmethod
    def of(cls, monitor: Monitor) -> ThreadSleepers:
        """Return those of a monitor."""
        return next(way for way in monitor.ways if isinstance(way, cls))

    def wait(
        self,
        monitor: Monitor,
        verb: Callable[[float, Q], None],
        request: Q,
        result: Callable[[Q], R],
    ) -> R:
        """Take a turn with ``verb(now, request)``, and sleep if it has no answer yet.

        Interrupted, it leaves the queue as if it had never asked.

        Returns:
            ``result(request)``.
        """
        turn = monitor.turn
        broker = ref(monitor)
        try:
            monitor.run(self._ask, monitor, verb, request)
            # The broker may be dropped while somebody waits for a future of it.
            del monitor
            self._park(request)
            return result(request)
        except BaseException:
            turn.after.append(request)  # by `finish`, it is withdrawn
            left = broker()
            if left is not None:
                left.break_off()
            raise

    def _ask(
        self, now: float, monitor: Monitor, verb: Callable[[float, Q], None], request: Q
    ) -> None:
        """Ask in a turn, and enter if there is no answer yet."""
        verb(now, request)
        if request.outcome is None:
            self.enter(monitor, request)

    def _park(self, request: AnyRequest) -> None:
        """Sleep until the request is answered, keeping time if this thread leads.

        Or until the broker is dropped.
        """
        # In this order: it is replaced after the request is answered.
        sleeper = request.sleeper
        if request.outcome is None and runs_event_loop():
            warn(_BLOCKS)
        while request.outcome is None:
            monitor = self._monitor()
            if monitor is None:
                return
            if monitor.engine.closed is not None:
                # It does not know of the request: the process was forked in this turn.
                raise ClosedError(  # pragma: no cover - runs in a forked child only
                    monitor.engine.closed
                )
            assert isinstance(sleeper, ThreadSleeper)  # `enter` has set it
            clock = monitor.clock
            del monitor
            leads = self._leader is sleeper
            clock.park(sleeper, self.armed_for if leads else inf)
            if sleeper.answered:
                return
            self._look_around(sleeper)

    def _look_around(self, sleeper: ThreadSleeper) -> None:
        """Carry out what is due."""
        monitor = self._monitor()
        if monitor is not None:
            monitor.look()
            with monitor.guard:
                if not sleeper.answered and self._leader is sleeper:
                    self._lead(sleeper)

    def rearm(self, due_at: float) -> None:
        """Have the leader look again: something is due before ``armed_for``."""
        self.armed_for = due_at
        self.nudge()

    def nudge(self) -> None:
        """Have the leader take a turn; needs no lock, and takes none."""
        leader = self._leader
        if leader is not None:
            leader.unpark()

    def recover(self) -> None:
        """Have all of them look around, and one lead, after a turn was broken off."""
        self._leader = None
        self.armed_for = -inf
        for sleeper in self._asleep:
            self._lead(sleeper)
            sleeper.unpark()
