"""One run of a worker, from its start to its end: what threads and tasks share."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from math import inf
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from inproc_tubes import ClosedError, ConnectionLostError, NotFoundError

from .attempt import Attempt
from .periodic import Beat
from .settings import T
from .timer import Timer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from inproc_tubes import Job

    from .settings import Settings

__all__ = ["Run"]

# What a container platform, a service manager and a terminal send.
_SIGNALS = (signal.SIGINT, signal.SIGTERM)

# A process that a signal has ended has this exit code and the signal's number.
_KILLED = 128


class Stoppable(Protocol):
    """A consumer, as far as a run needs to know it."""

    def stop(self) -> None:
        """Take no more jobs."""

    def close(self) -> None:
        """Give all jobs back."""

    def watching(self) -> list[str]:
        """Return the names of the tubes that it watches, none after a stop."""


C = TypeVar("C", bound=Stoppable)


class Run(Generic[C, T]):
    """One run of a worker. As an alarm, it is the end of the timeout of its stop.

    A *keeper* looks after it: a thread or an event loop. It rings the timer, and ends
    the run when it was stopped and nothing is in hand any more.

    Args:
        settings: What the worker was told.
        consumer: The one that takes all the jobs.
        wake: What has the keeper look again. It is called in any thread, and in a
            signal handler, and must not wait.

    Attributes:
        consumer: The consumer.
        timer: The timer.
        in_hand: The attempts that are being made.
        stopping: Whether it was stopped.
        ended: Whether it is over.
        due_at: When the timeout of the stop is over.
        gave_up: Whether that timeout was over, and what was in hand is abandoned.
    """

    def __init__(
        self, settings: Settings[T], consumer: C, wake: Callable[[], None]
    ) -> None:
        self._settings = settings
        self._log = settings.log
        self._clock = settings.broker.clock
        self._wake = wake
        self._told = False  # that it is stopping
        self._crash: BaseException | None = None
        self._signals: list[int] = []
        self._beats: list[Beat] = []
        self.consumer = consumer
        self.timer: Timer = Timer(self._clock, wake)
        self.in_hand: dict[Attempt[T], None] = {}
        self.stopping: bool = False
        self.ended: bool = False
        self.due_at: float = inf
        self.gave_up: bool = False
        self._cut_short = False  # whether anything was in hand then

    def start(self, with_what: str) -> None:
        """Begin to ring the timer, and tell that the worker has started."""
        settings = self._settings
        now = self._clock.now()
        self.timer.add(self)
        for periodic in settings.periodic:
            self._beats.append(Beat(settings.broker, periodic, now, self._log))
            self.timer.add(self._beats[-1])
        self._log.started(with_what, settings.tubes)

    # Jobs

    def begin(self, job: Job[T]) -> Attempt[T] | None:
        """Begin an attempt at a job that the consumer has reserved.

        Returns:
            None if the job is lost already, with the connection to its server.
        """
        settings = self._settings
        try:
            attempt = Attempt(
                job,
                settings.handlers[job.tube],
                self._clock.now,
                settings.max_runtime,
                self._log,
            )
        except (NotFoundError, ConnectionLostError, ClosedError) as error:
            self._log.not_begun(job, error)
            return None
        self.in_hand[attempt] = None
        # In this order: an attempt that is not given up with the others sees it here.
        if self.gave_up:
            attempt.abandoned = True
        self.timer.add(attempt)
        return attempt

    def finish(self, attempt: Attempt[T]) -> None:
        """Forget an attempt that was made."""
        self.timer.discard(attempt)
        del self.in_hand[attempt]

    def look(self) -> None:
        """Ring what is due. The keeper calls this when it has slept, or was woken."""
        if not self.stopping and self._is_broker_over():
            self.stop(self._settings.stop_timeout)
        if self.stopping and not self._told:
            self._told = True
            self._log.stopping(self._at_work())
        self.timer.look()

    def _is_broker_over(self) -> bool:
        """Tell whether the broker was stopped or closed by somebody else."""
        try:
            return not self.consumer.watching()
        except ClosedError:
            return True

    def _at_work(self) -> int:
        """Count the handlers that have not ended."""
        return sum(not attempt.settled for attempt in list(self.in_hand))

    # The end

    def stop(self, timeout: float | None) -> None:
        """Take no more jobs. In any thread, and in a signal handler; never waits."""
        self.stopping = True
        for beat in self._beats:
            beat.stopped = True
        if timeout is not None:
            self.due_at = min(self.due_at, self._clock.now() + timeout)
        self.consumer.stop()
        self._wake()

    def ring(self, now: float) -> None:
        """Give up all that is in hand: the timeout of the stop is over."""
        del now
        self.due_at = inf
        self.gave_up = True
        self.consumer.close()
        abandoned = [each for each in list(self.in_hand) if each.abandon()]
        self._cut_short = self._cut_short or bool(abandoned)
        self._wake()
        for attempt in abandoned:
            self._log.abandoned(attempt.job, attempt.runtime)

    def fail(self, error: BaseException) -> None:
        """End the worker by this exception, which its run raises in the end."""
        if self._crash is None:
            self._crash = error
        self.stop(self._settings.stop_timeout)
        self._log.crashed(error)

    def end(self) -> None:
        """Leave nothing behind, and give back what is left. Twice has no effect."""
        if self.ended:
            return
        self.ended = True
        self.timer.clear()
        for beat in self._beats:
            beat.close()
        self.consumer.close()
        self._settings.end()
        self._log.stopped()

    @property
    def state(self) -> str:
        """What it does, in words."""
        if self.ended:
            return "not running"
        jobs = self._at_work()
        in_hand = f"{jobs} job{'' if jobs == 1 else 's'} in hand"
        return f"stopping, {in_hand}" if self.stopping else in_hand

    def raise_what_ended_it(self) -> None:
        """Raise what has ended the worker, if that was no stop.

        Raises:
            BaseException: A handler has raised it.
            KeyboardInterrupt: A second SIGINT has taken jobs out of its hands.
            SystemExit: So has a second signal of another kind.
        """
        crash, self._crash = self._crash, None
        try:
            if crash is not None:
                raise crash
            if len(self._signals) > 1 and self._cut_short:
                number = self._signals[-1]
                if number == signal.SIGINT:
                    raise KeyboardInterrupt
                raise SystemExit(_KILLED + number)
        finally:
            del crash  # or it and this frame would keep each other

    @contextmanager
    def signals_stop_it(self) -> Iterator[None]:
        """Stop at the first signal, and at once at the second, in this block.

        Only the main thread gets signals; in others this has no effect.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        previous = {number: signal.getsignal(number) for number in _SIGNALS}
        try:
            for number in previous:
                signal.signal(number, self._on_signal)
            yield
        finally:
            for number, handler in previous.items():
                # None: it was not set by Python, and Python cannot set it again.
                signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        del frame
        self._signals.append(number)
        self.stop(self._settings.stop_timeout if len(self._signals) == 1 else 0)
