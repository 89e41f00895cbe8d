"""Those who wait, as the engine sees them: each a question that is answered once.

Three things are waited for: a job (`Waiter`), room in a tube that is full
(`Putter`), and the end of the work in some tubes (`Joiner`).
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any

from .errors import TimedOutError, TubeFullError, TubesError

if TYPE_CHECKING:
    from .job import Record

__all__ = ["Joiner", "Pending", "Putter", "Waiter"]


class Pending:
    """What all of them have in common.

    The engine sets ``outcome`` exactly once, to what was asked for or to the error to
    be raised, and lists the waiter in ``Engine.answered``. How the one who waits sleeps
    and is roused is the shell's affair: ``lot`` and ``bed`` are its own.
    """

    # Shared until they are changed: a pending reserve is made in no time.
    rank = 1
    """Whose timeout passes first among those of one instant: the lowest."""
    ticket = 0
    """The lower, the longer it has waited; 0: it never has."""
    timeout_at = inf
    outcome: Any = None
    lot: Any = None
    """Where it sleeps, with all that sleep alike."""
    bed: Any = None
    """What it sleeps on there."""

    def __init__(self, session: Any, timeout: float | None) -> None:
        self.session = session  # the Session that it waits for, if any
        self.timeout = inf if timeout is None else timeout

    @property
    def answered(self) -> bool:
        """Whether it has its outcome."""
        return self.outcome is not None

    def told(self) -> Any:
        """Return what was asked for, or raise the error."""
        outcome = self.outcome
        if isinstance(outcome, TubesError):
            # The error's traceback will hold the frames that hold the waiter, which
            # therefore must not hold the error. It has left the queue for good.
            self.outcome = None
            self.ticket = 0
            try:
                raise outcome
            finally:
                del outcome
        return outcome

    def too_late(self) -> TubesError:
        """Return what it hears when its timeout has passed."""
        return TimedOutError(self.timeout)


class Waiter(Pending):
    """One pending ``reserve``. Its outcome is the job, reserved already."""

    outcome: Record | TubesError | None
    reservation = 0
    """With a job: the number of its reservation."""
    hears_deadlines = True
    """Whether it is told DEADLINE_SOON."""

    def __init__(
        self, session: Any, timeout: float | None, *, hears_deadlines: bool = True
    ) -> None:
        # Pending.__init__, written out: this is made where two threads take turns.
        self.session = session
        self.timeout = inf if timeout is None else timeout
        if not hears_deadlines:
            self.hears_deadlines = False


class Putter(Pending):
    """One pending ``put``, or a batch. Its outcome are the ids of its jobs."""

    outcome: list[int] | TubesError | None
    rank = 0

    def __init__(
        self,
        session: Any,
        timeout: float | None,
        name: str | None,
        bodies: list[Any],
        priority: int,
        delay: float,
        ttr: float,
    ) -> None:
        super().__init__(session, timeout)
        self.name = name  # of the tube, None for the one that the session uses
        self.tube: Any = None  # the Tube, once it waits there
        self.bodies = bodies  # they are let in together
        self.priority = priority
        self.delay = delay
        self.ttr = ttr

    def too_late(self) -> TubesError:
        """Return what it hears when its timeout has passed."""
        return TubeFullError(self.tube.name, self.tube.room.maxsize, len(self.bodies))


class Joiner(Pending):
    """One pending ``join``. Its outcome is the number of buried jobs."""

    outcome: int | TubesError | None
    rank = 2

    def __init__(self, timeout: float | None, names: list[str] | None) -> None:
        super().__init__(None, timeout)
        self.names = names  # of the tubes, None for all there are
        self.held_up_by: Any = None  # one Tube among them that is not done yet
