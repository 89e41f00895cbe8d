"""A clock that is moved by hand, or that jumps by itself.

Whether it may jump is for `users` to find out. All are looked at in one instant: with the
locks of all brokers of the clock.
"""

from __future__ import annotations

import itertools
import sys
import threading
import weakref
from contextlib import contextmanager
from functools import partial
from math import inf
from typing import TYPE_CHECKING

from inproc_tubes.checks import check_integer, check_seconds
from inproc_tubes.errors import DeadlockError
from inproc_tubes.verbs import BELONGS_HERE, refuse_to_pickle

from .checking import check_broker
from .stillness import Decision
from .users import State, Users

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator
    from typing import NoReturn, SupportsIndex

    from inproc_tubes.broker import Broker
    from inproc_tubes.clock import Parked, Timed

    from .wall import Wall, WallClock

__all__ = ["FakeClock", "wait_until_waiting"]

# So often a parked thread looks whether another one has ended or is blocked, and an event
# loop whether time may jump now, which nobody tells them.
_GLANCE = 0.005

_START = 1_000_000.0

_ELSEWHERE = "time cannot jump, as something waits that no broker of the clock can wake"
_ADVICE_ELSEWHERE = (
    "End such threads and tasks before (shut a pool down), or let them wait in a broker; "
    "or move the clock by hand (FakeClock.advance). FakeClock(grace=...) gives them more "
    "time, and FakeClock(loop_time=True) runs an event loop's timers by the clock."
)
_NOTHING_DUE = "every thread waits, and nothing will ever be due"
_ADVICE = "Put the job that is waited for, watch its tube, or wait with a timeout."


class FakeClock:
    """A clock that stands still until it is moved. Several brokers may go by it.

    When it is moved, everything that becomes due on the way happens, moment by moment
    in order, as if time had passed. Threads and coroutines that are blocked in a broker
    wake up.

    Args:
        start: The time at which it starts, in seconds; None for that of ``wall``, or
            else 1,000,000, far from any real clock, so that code that does not use the
            clock is found.
        autojump: Let time jump to the next due moment whenever everybody waits: every
            living thread that has used one of the clock's brokers, and the thread that
            has made the clock, waits in one of them, or runs an event loop in which all
            tasks wait for one of them, or for each other. If nothing will ever be due
            then, all of them get a `DeadlockError`. Time does not jump while one of
            them waits for something else: a thread, a process, a network, or a timer of
            the event loop that is due before.
        loop_time: Run the timers of the event loops that use the clock by the clock, too:
            ``asyncio.sleep``, ``asyncio.timeout``, ``loop.call_later``. That begins with
            the first use in a loop, or if the clock is made there; see `drive`.
        grace: For how many real seconds a thread or a task that waits for something
            else may hold up an autojumping clock. If nothing has moved for that time,
            everything that waits in the clock's brokers gets a `DeadlockError`; and if
            nothing waits there, time jumps to the next timer of ``loop_time``. Use
            ``math.inf`` under a debugger.
        wall: What ``time_machine.travel`` or ``freezegun.freeze_time`` has returned as it
            was entered. It is moved along whenever the clock is.

    Raises:
        ValueError: ``start`` or ``grace`` is negative or NaN, or ``start`` is infinite.
        TypeError: One of them is not a number, or ``wall`` is not such an object.
    """

    def __init__(
        self,
        start: float | None = None,
        *,
        autojump: bool = False,
        loop_time: bool = False,
        grace: float = 1.0,
        wall: Wall | None = None,
    ) -> None:
        self._grace = grace if grace == inf else check_seconds("grace", grace)
        if start is not None:
            start = float(check_seconds("start", start))
        self._wall: WallClock | None = None
        if wall is not None:
            from .wall import WallClock  # noqa: PLC0415 - most tests have none

            self._wall = WallClock(wall)
            start = self._wall.begun_at if start is None else start
        self._time = self._start = _START if start is None else start
        self._autojump = autojump
        self._loop_time = loop_time
        # The monitors of the brokers that go by it, in the order of coming.
        self._timed: weakref.WeakValueDictionary[int, Timed] = (
            weakref.WeakValueDictionary()
        )
        self._numbers = itertools.count()
        # Guards the moving of time. It is taken before the lock of any broker.
        self._lock = threading.RLock()
        # The thread that moves the time: what it does then is no use of the clock.
        self._mover: int | None = None
        self._users = Users(self._grace, wait_until_waiting.__code__)
        self._poller: threading.Thread | None = None
        self._note_use()

    @property
    def autojump(self) -> bool:
        """Whether time jumps by itself. Cost: O(1)."""
        return self._autojump

    def now(self) -> float:
        """Return the time in seconds. Cost: O(1)."""
        if (self._autojump or self._loop_time) and (
            self._mover is None or self._mover != threading.get_ident()
        ):
            self._note_use()
        return self._time

    def attach(self, timed: Timed) -> None:
        """Move the time of this broker's monitor too. Cost: O(1)."""
        self._timed[next(self._numbers)] = timed

    def park(self, sleeper: Parked, until: float) -> None:  # noqa: ARG002 - who moves time wakes
        """Let the calling thread sleep until it is woken. Cost: O(1)."""
        if not self._autojump:
            sleeper.token.acquire()
            return
        user = self._users.current()
        self._users.parked[user] = sleeper
        try:
            self._jump_if_all_wait()
            while not sleeper.token.acquire(timeout=_GLANCE):
                self._jump_if_all_wait()
        finally:
            self._users.parked.pop(user, None)

    def seconds_until(self, moment: float) -> float:  # noqa: ARG002 - no moment comes by itself
        """Return inf: whoever moves the time tells the brokers. Cost: O(1)."""
        return inf

    def advance(self, seconds: float) -> None:
        """Let time pass, through every due moment on the way.

        Args:
            seconds: How many; fractions count.

        Raises:
            ValueError: ``seconds`` is negative, NaN or infinite.
            TypeError: It is not a number.

        Cost: that of what falls due.
        """
        seconds = check_seconds("seconds", seconds)
        self.now()  # it uses the clock
        with self._moving():
            until = self._time + seconds
            while (moment := self._next_due()) <= until:
                self._move(moment)
            self._move(until)

    def advance_to_next(self) -> float:
        """Go on to the next moment at which something is due, and return it.

        Raises:
            DeadlockError: Nothing will ever be due.

        Cost: that of what falls due.
        """
        self.now()  # it uses the clock
        with self._moving():
            moment = self._next_due()
            if moment == inf:
                raise DeadlockError(why="nothing will ever be due")
            self._move(moment)
            return self._time

    def follow_wall(self) -> float:
        """Advance to the time of the ``wall``, after something else has moved that.

        Returns:
            By how many seconds that was.

        Raises:
            ValueError: The wall was moved back.
            TypeError: The clock has no wall.

        Cost: that of what falls due.
        """
        if self._wall is None:
            message = "the clock was made without a wall to follow"
            raise TypeError(message)
        with self._moving():
            lead = self._wall.take_lead()
            self.advance(lead)
            return lead

    def drive(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        """Run the timers of an event loop by this clock, as ``loop_time`` does.

        That is ``asyncio.sleep``, ``asyncio.timeout``, ``loop.call_later``, and
        ``loop.time`` itself. Timers that were set before still go by the loop's own
        time. When the clock is gone, all timers do.

        Args:
            loop: The loop, None for the running one. Another one must not run.

        Raises:
            RuntimeError: None is running.
            TypeError: It is not an event loop.

        Cost: O(1).
        """
        import asyncio  # noqa: PLC0415 - there is no loop without it

        from .loop_timers import LoopTimers  # noqa: PLC0415 - it imports asyncio

        if loop is None:
            loop = asyncio.get_running_loop()
        given: object = loop
        if not isinstance(given, asyncio.AbstractEventLoop):
            message = f"loop is an event loop, not {type(given).__name__}"
            raise TypeError(message)
        timers = LoopTimers.of(loop)
        if timers is None or not timers.goes_by(self):
            self.attach(LoopTimers(self, loop))

    # Moving

    @contextmanager
    def _moving(self) -> Iterator[None]:
        """Let nobody else move the time."""
        with self._lock:
            before, self._mover = self._mover, threading.get_ident()
            try:
                yield
            finally:
                self._mover = before

    def _all_timed(self) -> list[Timed]:
        # Without a lock: a broker may be made in the middle of another one's turn.
        refs = sorted(self._timed.valuerefs(), key=lambda ref: ref.key)
        return [timed for timed in (ref() for ref in refs) if timed is not None]

    def _next_due(self) -> float:
        return min((timed.next_due() for timed in self._all_timed()), default=inf)

    def _set_time(self, moment: float) -> None:
        self._time = max(self._time, moment)
        if self._wall is not None:
            self._wall.move_to(self._time - self._start)

    def _move(self, moment: float) -> None:
        self._set_time(moment)
        for timed in self._all_timed():
            timed.look()
        self._users.note_change()

    # Who uses the clock

    def _note_use(self) -> None:
        """Note that the calling thread uses the clock, and the event loop that it runs."""
        thread = self._users.current()
        events = sys.modules.get("asyncio.events")
        loop = None if events is None else events._get_running_loop()
        if loop is None:
            return
        if self._loop_time:
            self.drive(loop)
        if self._autojump:
            user = self._users.loop(loop)
            if user is None:
                from .loops import LoopUser  # noqa: PLC0415 - it imports asyncio

                user = LoopUser(self, loop)
                self._users.add_loop(loop, user)
            user.thread = weakref.ref(thread)
            user.ask()

    def _look_later(self) -> None:
        """Have the event loops look again, in a moment.

        A thread does so, and no timer of theirs, which may go by any clock.
        """
        with self._lock:
            if self._poller is None or not self._poller.is_alive():
                poller = threading.Thread(
                    target=_poll, args=(weakref.ref(self),), name="FakeClock"
                )
                poller.daemon = True
                self._poller = poller
                poller.start()

    def _ask(self) -> bool:
        """Have the event loops look, and tell whether that may be of use again."""
        with self._lock:
            running = self._users.running()
            if not running or not (self._users.parked or self._waiting()):
                self._poller = None
                return False
        for user in running.values():
            user.ask()
        return True

    # Jumping

    def _jump_if_all_wait(self) -> Decision:
        """Let time jump if everybody waits; each that waits calls this."""
        with self._moving():
            # Before all brokers are locked: what was left to do may run destructors.
            self._finish_up()
            with self._standstill():
                decision = self._look_around()
            if decision is Decision.GONE_ON:
                self._move(self._time)
            return decision

    def _finish_up(self) -> float:
        """Do what turns have left to do, and return when something is due next.

        A dropped consumer's job may answer a request.
        """
        before = self._waiting()
        moment = self._next_due()
        if self._waiting() != before:
            self._users.note_change()
        return moment

    def _look_around(self) -> Decision:
        """Set the time if everybody waits, or end all waits; with all locks."""
        if not self._waiting() and not self._users.parked:
            return Decision.IDLE
        moment = self._finish_up()
        state = self._users.look(moment - self._time)
        if state is State.BUSY:
            return Decision.HELD
        if state is State.UNSEEN:
            return Decision.AGAIN
        if state is State.BLOCKED:
            told = self._fail_all(_ELSEWHERE, _ADVICE_ELSEWHERE)
        else:
            told = moment == inf and self._fail_all(_NOTHING_DUE, _ADVICE)
        if not told:
            # Where nobody could be told, only timers of loops wait. They have their time.
            self._set_time(moment)
        return Decision.GONE_ON

    def _fail_all(self, why: str, advice: str) -> bool:
        """Answer all that waits in a broker, and tell whether there was any."""
        waits = tuple(self._users.describe(self))
        error = partial(DeadlockError, why=why, waits=waits, advice=advice)
        before = self._waiting()
        for timed in self._all_timed():
            timed.fail_all(error)
        return bool(self._users.parked) or self._waiting() != before

    def _waiting(self) -> int:
        return sum(timed.waiting for timed in self._all_timed())

    @contextmanager
    def _standstill(self) -> Iterator[None]:
        """Hold the locks of all brokers, always taken in the same order."""
        held: list[Timed] = []
        try:
            for timed in self._all_timed():
                timed.lock_for_clock()
                held.append(timed)
            yield
        finally:
            for timed in reversed(held):
                timed.unlock_for_clock()

    def __reduce_ex__(self, protocol: SupportsIndex, /) -> NoReturn:
        refuse_to_pickle(self, protocol, BELONGS_HERE)

    def __repr__(self) -> str:
        kind = "autojumping " if self._autojump else ""
        return f"<{kind}FakeClock at {self._time:.12g}>"


def _poll(clock: weakref.ref[FakeClock]) -> None:
    """Have a clock ask its event loops again and again, in a thread, while it lives."""
    pause = threading.Lock()
    pause.acquire()
    while True:
        pause.acquire(timeout=_GLANCE)
        polling = clock()
        if polling is None or not polling._ask():
            return
        del polling


def wait_until_waiting(broker: Broker, n: int, timeout: float = 10) -> None:
    """Block until at least ``n`` verbs wait in this broker.

    A reserve waits for a job, a put for room, and a join for the end of the work. This
    sleeps on a condition that each of them announces as it begins to wait. It blocks
    the thread: in a coroutine write ``await asyncio.to_thread(wait_until_waiting,
    broker, n)``.

    Args:
        broker: The broker.
        n: How many.
        timeout: Real seconds after which the test has a bug.

    Raises:
        AssertionError: Fewer verbs waited within the timeout.
        TypeError: It is not a broker in memory, or ``n`` is not a number.
        ValueError: ``n`` is negative.

    Cost: O(1) for each that begins to wait.
    """
    check_broker(broker)
    check_integer("n", n, 0, inf)
    monitor = broker._monitor
    with monitor.lock:
        if monitor.waiting_changed is None:
            monitor.waiting_changed = threading.Condition(monitor.lock)
        changed = monitor.waiting_changed
        if not changed.wait_for(lambda: monitor.waiting >= n, timeout):
            message = f"{monitor.waiting} of {n} wait"
            raise AssertionError(message)
