"""The monitor of a broker: a lock, a clock, and the engine that the lock guards.

The law of the lock
    ``Monitor.lock`` guards the engine, and the sleepers of every way to wait. It is held
    for one *turn*: begin it, carry out what is due, do one verb, end it. It is never held
    while anything sleeps or while user's code runs. Every turn is written like this, in
    `Monitor.run` or where a verb is too short for a call::

        try:
            with monitor.guard:
                result = verb(monitor.begin(), ...)
                turn.unfinished = None
        except BaseException:
            monitor.break_off()
            raise
        if turn.after:
            monitor.finish()

A call in the middle of a turn
    The collector may run a finaliser at any point of a turn, a signal its handler, a
    profiler its hook. What is called there is on the thread that is in the turn. So the
    lock is reentrant, and ``turn.unfinished`` tells that a turn is under way. A put, a
    stop and a close are deferred to the end of that turn; all other verbs raise
    `ReentrantCallError`. Before ``unfinished`` is set, and after it is None again, the
    engine is consistent, and a call there is a turn like any other.

A turn that is broken off
    An exception that is not raised by design leaves ``turn.unfinished`` set. The next
    turn finds it so, and rebuilds the engine before it does anything else.

Destructors
    What a turn drops dies when the lock is free: a verb returns it to its shell, or
    appends it to ``turn.after``, which `Monitor.finish` empties.
"""

from __future__ import annotations

import os
import sys
import threading
from contextlib import suppress
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Concatenate, ParamSpec, Protocol, TypeVar

from .clock import yield_thread
from .core.engine import Engine
from .core.promise import Promise
from .core.recovery import rebuild
from .core.requests import JoinRequest, PutRequest, ReserveRequest, ResultRequest
from .core.session import Session
from .core.turn import ALARM, TURN, Guard
from .errors import ClosedError, ReentrantCallError, TubesError
from .names import name_here
from .weak_registry import WeakRegistry

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable, Iterable
    from types import FrameType

    from .clock import Clock
    from .core.record import AnyJob
    from .core.schedule import AnyRequest
    from .core.turn import Turn
    from .telling import Teller

__all__ = ["Deferred", "Monitor", "Sleepers"]

P = ParamSpec("P")
R = TypeVar("R")

# Attempts to take the lock until a thread sleeps on it after all: its owner is held up
# by more than a turn.
_ATTEMPTS = 64

# So many items of ``turn.after`` are done in one turn.
_BATCH = 64

_FORKED = "the broker belongs to the parent of this forked process"

_PACKAGE = __name__.partition(".")[0] + "."

_monitors: WeakRegistry[Monitor] = WeakRegistry()
# What a forked child has inherited, and must not destroy: it is the parent's.
_inherited: list[object] = []


class Sleepers(Protocol):
    """Those who sleep in one way. One of them, the leader, keeps time for all."""

    armed_for: float
    """Until when the leader sleeps if nothing earlier comes up; -inf: no leader."""

    def rearm(self, due_at: float) -> None:
        """Have the leader look again: something is due before ``armed_for``."""

    def nudge(self) -> None:
        """Have the leader take a turn; needs no lock, and takes none."""

    def recover(self) -> None:
        """Have all of them look around, and one lead, after a turn was broken off."""


class Deferred:
    """A verb to be called when the lock is free again. A second call has no effect.

    Attributes:
        begun: Whether it was called, and not finished.
    """

    __slots__ = ("begun", "verb")

    def __init__(self, verb: Callable[[float], object]) -> None:
        self.verb: Callable[[float], object] = verb
        self.begun: bool = False


# What is carried out of ``turn.after``. All else is only dropped.
_TO_DO = (Deferred, ReserveRequest, PutRequest, JoinRequest, ResultRequest, tuple)


class Monitor:
    """Lock, clock and engine of one broker.

    Attributes:
        lock: See the law of the lock, above.
        guard: What takes the lock in a with statement.
        now: Reads the clock.
        engine: What the lock guards. It is never replaced.
        admin: The session of whoever asks the broker itself. It is not counted, and
            neither uses nor watches a tube.
        ways: The ways in which something may sleep now.
        teller: Who tells of events, from when somebody has subscribed to them.
    """

    __slots__ = (
        "__weakref__",
        "_thread",
        "admin",
        "clock",
        "engine",
        "guard",
        "lock",
        "now",
        "started_at",
        "teller",
        "turn",
        "waiting_changed",
        "ways",
    )

    def __init__(self, clock: Clock) -> None:
        # Looked up now: gevent and eventlet may have patched it since we were imported.
        self.lock: threading.RLock = threading.RLock()
        self.guard: Guard = _guard(self.lock)
        self._thread: int | None = threading.get_ident()  # None: contention is expected
        self.clock: Clock = clock
        self.now: Callable[[], float] = clock.now
        self.engine: Engine = Engine()
        self.turn: Turn = self.engine.turn
        self.admin: Session = Session()
        # Replaced and never changed: a finaliser may come while it is gone through.
        self.ways: tuple[Sleepers, ...] = ()
        self.teller: Teller | None = None
        self.started_at: float = clock.now()
        # Made by testing.wait_until_waiting: announces that something waits.
        self.waiting_changed: threading.Condition | None = None
        clock.attach(self)
        _monitors.add(self)

    # Turns

    def begin(self) -> float:
        """Begin a turn: recover, read the clock, and carry out what is due.

        Returns:
            The moment of the turn.

        Raises:
            ReentrantCallError: This thread is in a turn already.
            ClosedError: The broker was closed.
        """
        if self.turn.unfinished is not None:
            self.recover()
        self.turn.unfinished = TURN
        return self.catch_up()

    def catch_up(self) -> float:
        """Read the clock, and carry out what is due, in a turn that has begun."""
        now = self.now()
        if now >= self.engine.schedule.due_at:
            self.engine.catch_up(now)
        return now

    def run(
        self,
        verb: Callable[Concatenate[float, P], R],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R:
        """Take a turn with ``verb(now, ...)``.

        Raises:
            ReentrantCallError: This thread is in a turn already.
            ClosedError: The broker was closed.
        """
        turn = self.turn
        self._expect_contention()
        try:
            with self.guard:
                result = verb(self.begin(), *args, **kwargs)
                turn.unfinished = None
        except BaseException:
            self.break_off()
            raise
        if turn.after:
            self.finish()
        return result

    def recover(self) -> None:
        """Go on after a turn that was broken off. Needs the lock.

        Raises:
            ReentrantCallError: It was not: this is in the middle of it.
        """
        if self._is_taken_twice():
            raise ReentrantCallError
        if self.turn.unfinished is not None:
            rebuild(self.now(), self.engine)
            if self.engine.closed is not None:
                self._end_log()
            for way in self.ways:
                way.recover()
            self.reckon()
            self.turn.unfinished = None

    def _is_taken_twice(self) -> bool:
        """Tell whether this thread has taken the lock more than once."""
        if hasattr(self.lock, "_recursion_count"):
            return bool(self.lock._recursion_count() > 1)
        # Early 3.11, and gevent. A lock that is still owned after a release was taken
        # twice.
        self.lock.release()
        try:
            return bool(self.lock._is_owned())  # type: ignore[attr-defined]  # as threading.Condition does
        finally:
            self.lock.acquire()

    def break_off(self) -> None:
        """Leave a turn by an exception. To be called in its handler."""
        self._free_lock()
        if self.turn.after:
            self.finish(retry=False)

    def _free_lock(self) -> None:
        """Release the lock, if an exception has kept it.

        Nearly always the with statement has released it. But on its way out it is not
        protected for a few steps, at which a trace function may raise.
        """
        if self.lock._is_owned() and not _is_nested_call():  # type: ignore[attr-defined]  # as above
            while self.lock._is_owned():  # type: ignore[attr-defined]  # as above
                self.lock.release()

    def is_in_turn(self) -> bool:
        """Tell, without the lock, whether this is in the middle of a turn."""
        return self.turn.unfinished is not None and self.lock._is_owned()  # type: ignore[attr-defined]  # as above

    # After a turn

    def defer(self, verb: Callable[[float], object]) -> None:
        """Call ``verb(now)`` in a turn of its own, at once or as soon as it can be.

        For finalisers, which may run in the middle of a turn, in whatever thread: it
        never waits for the lock.
        """
        self.turn.after.append(Deferred(verb))
        if self.is_in_turn():
            return  # at the end of that turn
        try:
            is_free = self.lock.acquire(blocking=False)
            if is_free:
                self.lock.release()
        except BaseException:
            self._free_lock()
            raise
        if is_free:
            self.finish()
        else:
            # Whoever has the lock may have looked at ``after`` already.
            for way in self.ways:
                way.nudge()

    def finish(self, *, retry: bool = True) -> None:
        """Do what turns have left to do, and let what they dropped die.

        To be called when a turn has ended, without the lock. In the handler of an
        exception a verb that it has broken off is not called again, but after the next
        turn: the exception refers to jobs, as if a user had them.
        """
        turn = self.turn
        after = turn.after
        while after and (retry or not _was_first_begun(after)):
            dropped: list[object] = []
            try:
                with self.guard:
                    if turn.unfinished is not None:
                        self.recover()
                    self._take_what_is_left(dropped)
            except ReentrantCallError:
                return  # at the end of that turn
            except BaseException:
                self._free_lock()
                raise
            # Here callbacks of futures run, and destructors. They may call verbs.
            for item in dropped:
                if isinstance(item, Promise):
                    item.future._resolve(item)
                    item.told = True
            while dropped:
                dropped.pop()
            if self.teller is not None and self.teller.log.pending:
                self._tell(self.teller)

    def _tell(self, teller: Teller) -> None:
        """Tell of events. Callbacks run here, which may call verbs."""
        try:
            teller.tell(self.turn, self.guard, self.recover)
        except BaseException:
            self._free_lock()
            raise

    def _take_what_is_left(self, dropped: list[object]) -> None:
        """Do what is left to do, and take over what is to be dropped."""
        turn = self.turn
        after = turn.after
        turn.unfinished = TURN
        for _ in range(min(len(after), _BATCH)):
            # It stays in until it is done.
            item = after[0]
            if isinstance(item, _TO_DO):
                with suppress(TubesError):
                    self._carry_out(item, self.catch_up())
                turn.unfinished = TURN
            elif item is ALARM:
                self.rearm()
            else:
                dropped.append(item)
                if isinstance(item, Promise):
                    self.engine.dispatch.keep_promise(item)
                    if not item.told:
                        # It stays in until its future was told, which needs no lock.
                        after.append(item)
            after.popleft()
        turn.unfinished = None

    def _carry_out(
        self,
        item: Deferred | AnyRequest | tuple[Session, list[AnyJob]],
        now: float,
    ) -> None:
        """Do what is left to do."""
        if isinstance(item, Deferred):
            item.begun = True
            item.verb(now)
        elif isinstance(item, tuple):
            self.engine.dispatch.give_back(now, *item)
        else:
            self.engine.dispatch.withdraw(now, item)

    # Keeping time

    def rearm(self) -> None:
        """Have the leaders look again that sleep for too long. Needs the lock."""
        schedule = self.engine.schedule
        if schedule.due_at < schedule.armed_for:
            for way in self.ways:
                if schedule.due_at < way.armed_for:
                    way.rearm(schedule.due_at)
            self.reckon()

    def reckon(self) -> None:
        """Find until when the leaders sleep, after one is to sleep longer.

        Where one sleeps no more this may be put off. Needs the lock.
        """
        armed_for = -inf
        for way in self.ways:
            armed_for = max(armed_for, way.armed_for)
        self.engine.schedule.armed_for = armed_for

    def add_way(self, way: Sleepers) -> None:
        """Let something sleep in one more way, before anybody does. Cost: O(1)."""
        self.ways = (*self.ways, way)

    def sleepers_changed(self) -> None:
        """Announce that something has begun to wait. Needs the lock."""
        self._expect_contention()
        if self.waiting_changed is not None:
            self.waiting_changed.notify_all()

    @property
    def waiting(self) -> int:
        """How many requests wait, whatever for. Needs the lock."""
        engine = self.engine
        admission = engine.admission
        return (
            len(engine.queue.requests)
            + len(admission.puts)
            + len(admission.joins)
            + len(engine.store.promises.requests)
        )

    def _expect_contention(self) -> None:
        """Let the guard yield, if another thread has come.

        Not every turn asks: it is enough that most threads do so sooner or later.
        """
        if self._thread is not None and self._thread != threading.get_ident():
            self._thread = None
            _let_guard_yield(self.guard, self.lock)

    # Sessions

    def open(
        self,
        used: str | None,
        watched: Iterable[str],
        *,
        stops: bool = True,
        name: str | None = None,
    ) -> Session:
        """Open a session for a handle, or for a connection, which does not ``stop``.

        Without a name it has that of the task or the thread that opens it.

        Raises:
            ClosedError: The broker was closed.
        """
        if name is None:
            name = name_here()
        return self.run(self.engine.open_session, used, watched, stops, name)

    def stop_session(self, session: Session, what: str) -> None:
        """Let a session reserve no more, in the middle of a turn at its end."""
        self.run_or_defer(partial(_stop_session, self.engine, session, what))

    def close_session(self, session: Session, what: str) -> None:
        """Close a session, in the middle of a turn at its end. Twice has no effect."""
        self.run_or_defer(partial(_close_session, self.engine, session, what))

    def run_or_defer(self, verb: Callable[[float], None]) -> None:
        """Take a turn with a verb, if the broker is open; in a turn, at its end."""
        if self.is_in_turn():
            self.defer(verb)
            return
        with suppress(ClosedError):
            self.run(verb)

    def abandon(self, session: Session) -> None:
        """Close the session of a handle that was dropped. For finalisers."""
        if session.closed is None:
            what = "the handle was dropped"
            self.defer(partial(_abandon, self.engine, session, what))

    def stop(self, what: str) -> None:
        """Stop the broker, in the middle of a turn at its end. Twice has no effect."""
        self.run_or_defer(partial(_stop, self.engine, what))

    def close(self, what: str) -> None:
        """Close the broker, in the middle of a turn at its end."""
        if self.is_in_turn():
            self.close_later(what)
            return
        turn = self.turn
        try:
            with self.guard:
                if turn.unfinished is not None:
                    self.recover()
                turn.unfinished = TURN
                self._close(what)
                turn.unfinished = None
        except BaseException:
            self.break_off()
            raise
        if turn.after:
            self.finish()

    def close_later(self, what: str) -> None:
        """Close the broker as soon as it can be. For finalisers."""

        def close(_now: float) -> None:
            self._close(what)

        self.defer(close)

    def _close(self, what: str) -> None:
        """Close the engine, and tell of it. Needs the lock."""
        self.engine.close(what)
        self._end_log()

    def _end_log(self) -> None:
        """Record that the broker was closed, and nothing after that."""
        if self.turn.log is not None:
            self.turn.log.end(self.now())
            self.turn.log = None

    # For clocks that are moved by hand

    def lock_for_clock(self) -> None:
        """Let nothing happen, until `unlock_for_clock`."""
        self.lock.acquire()

    def unlock_for_clock(self) -> None:
        """Let things happen again."""
        if self.lock._is_owned():  # type: ignore[attr-defined]  # as above
            self.lock.release()

    def next_due(self) -> float:
        """Return when something is due next, inf for never."""
        try:
            return self.run(_next_due, self.engine)
        except ClosedError:
            return inf

    def look(self) -> None:
        """Carry out what is due."""
        with suppress(ClosedError):
            self.run(_nothing)

    def fail_all(self, error: Callable[[str], TubesError]) -> None:
        """Answer all that waits with an error, which is made of what it waits for."""
        with suppress(ClosedError):
            self.run(self.engine.dispatch.fail_all, error)

    # Fork

    def leave_to_parent(self) -> None:  # pragma: no cover - in a forked child
        """Close a forked child's copy, and destroy nothing of what is in it.

        Another thread of the parent may have been in the middle of a turn. So nothing
        is assumed of the indexes.
        """
        if not self.lock._is_owned():  # type: ignore[attr-defined]  # as above
            self.lock._at_fork_reinit()  # type: ignore[attr-defined]  # as logging does
        engine = self.engine
        _inherited.append((self.teller, self.turn.log))
        self.teller = self.turn.log = None
        self.waiting_changed = None
        self.ways = ()
        _inherited.append((engine.dispatch, engine.clients, list(self.turn.after)))
        _inherited.append(self.turn.unfinished)
        promises = {*engine.store.promises.pending.values()}
        promises.update(each for each in self.turn.after if isinstance(each, Promise))
        for promise in promises:
            promise.future._leave_to_parent(ClosedError(_FORKED))
        self.turn.after.clear()
        self.turn.batch = None
        self.turn.unfinished = None
        _inherited.extend(
            (session, session.held.in_sequence(), session.incoming)
            for session in engine.clients.everyone()
        )
        engine.close(_FORKED)
        self.turn.after.clear()


def _was_first_begun(after: deque[object]) -> bool:
    """Tell whether the first that is left to do is a verb that was broken off."""
    try:
        first = after[0]
    except IndexError:
        return False  # another thread has done it meanwhile
    return isinstance(first, Deferred) and first.begun


def _is_nested_call() -> bool:
    """Tell whether user's code that one of our functions has called, called this.

    That is: after our own frames, and after those of others, come ours again.
    """
    frame: FrameType | None = sys._getframe(1)
    gap = False
    while frame is not None:
        ours = frame.f_globals.get("__name__", "").startswith(_PACKAGE)
        if ours and gap:
            return True
        gap = gap or not ours
        frame = frame.f_back
    return False


def _stop(engine: Engine, what: str, now: float) -> None:
    engine.stop(now, what)


def _stop_session(engine: Engine, session: Session, what: str, now: float) -> None:
    engine.clients.stop_session(now, session, what)


def _close_session(engine: Engine, session: Session, what: str, now: float) -> None:
    engine.clients.close_session(now, session, what)


def _abandon(engine: Engine, session: Session, what: str, now: float) -> None:
    engine.clients.abandon(now, session, what)


def _next_due(_now: float, engine: Engine) -> float:
    return engine.next_due()


def _nothing(_now: float) -> None:
    """Serve as a verb where a turn is enough."""


# Two ways to take a lock in a with statement, each for its own kind of traffic.
#
# A lock's own with statement takes a third of what a put costs, since it makes two bound
# methods each time, ``__enter__`` and ``__exit__``. Here they are bound once and for all.
#
# Where threads compete, something else matters more. The interpreter stops a thread every
# few milliseconds to let another one run, mostly in the middle of a turn. The other soon
# wants the lock, sleeps on it, and is given it while the first one runs again; which soon
# wants the lock, and sleeps... So each turn costs a switch of threads: a convoy. It does
# not form if nobody owns the lock but a thread that runs. So a thread that finds the lock
# taken does not sleep on it, but yields to its owner, and tries again. Then four threads
# that put and four that reserve do three times as much.
#
# Either way a lock that was taken is released, whatever a signal handler raises and when:
# no step of Python, after which one may run, comes between taking it and the block.


def _guard(lock: threading.RLock) -> Guard:
    """Return what takes the lock as fast as can be while nobody else wants it."""
    methods = {"__enter__": lock.__enter__, "__exit__": lock.__exit__}
    guard: Guard = type("LockGuard", (Guard,), methods)()
    return guard


def _let_guard_yield(guard: Guard, lock: threading.RLock) -> None:
    """Let a guard yield to the owner of the lock, and sleep on it only in the end."""
    # `any` goes through the attempts, in C, and the first that is true has the lock.
    attempt = _Test.of(partial(lock.acquire, False))  # noqa: FBT003 - a keyword is slower
    pause = _Test.of(_pause)
    sleep = _Test.of(lock.acquire)
    attempts = (attempt, *(pause, attempt) * _ATTEMPTS, sleep)
    # On its class, which is its own: every handle has the guard at hand.
    type(guard).__enter__ = staticmethod(partial(any, attempts))  # type: ignore[method-assign]  # as above


class _Test:
    """Something that is true or not by what a function returns just then."""

    @classmethod
    def of(cls, ask: Callable[[], bool]) -> _Test:
        test: _Test = type("Test", (cls,), {"__bool__": staticmethod(ask)})()
        return test


def _pause() -> bool:
    yield_thread()
    return False


def _leave_all_to_parent() -> None:  # pragma: no cover - runs in a forked child only
    for monitor in _monitors:
        monitor.leave_to_parent()


# Windows cannot fork.
if hasattr(os, "register_at_fork"):  # pragma: no branch - tests run where one can
    os.register_at_fork(after_in_child=_leave_all_to_parent)
