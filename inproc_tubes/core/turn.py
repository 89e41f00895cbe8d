"""The state of a turn, which tells whether one was broken off in its middle.

A shell begins a turn by setting ``unfinished`` to `TURN`, and ends it by setting it to
None. An error that is raised by design leaves through `Turn.refuse`, which ends it as
well. So a turn that is broken off by anything else (Ctrl-C, a ``RecursionError``, a
``MemoryError``) leaves ``unfinished`` set. The next turn then calls `recovery.rebuild`
before anything else.
"""

from __future__ import annotations

from collections import deque
from enum import Enum
from typing import TYPE_CHECKING, Final, Literal, NoReturn

from inproc_tubes.errors import ClosedError, StoppedError

from .native import mypyc_attr

if TYPE_CHECKING:
    from types import TracebackType

    from inproc_tubes.errors import TubesError

    from .event_log import EventLog
    from .record import AnyJob
    from .session import Session

__all__ = ["ALARM", "TURN", "Guard", "Turn"]


class _Mark(Enum):
    """What `Turn` is told by, where it is no job."""

    TURN = "a turn is under way"
    ALARM = "something is due sooner than the leaders sleep for"


TURN: Final[Literal[_Mark.TURN]] = _Mark.TURN
"""The value of ``Turn.unfinished`` while a turn is under way."""
ALARM: Final[Literal[_Mark.ALARM]] = _Mark.ALARM
"""In ``Turn.after``: the leaders of those who sleep must look again."""


@mypyc_attr(allow_interpreted_subclasses=True)
class Guard:
    """What takes the lock for a turn, in a with statement.

    The monitor that has the lock makes a subclass. That is for the compiler: of a class
    that it does not know it looks up the two methods each time.
    """

    __slots__ = ()

    def __enter__(self) -> object:
        """Take the lock."""

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Release it."""


class Turn:
    """What the engine is in the middle of, and what it leaves for afterwards.

    Attributes:
        unfinished: None between turns. A job: it is being handed out. A list of jobs:
            they are being put, or handed out. A session: it is being opened.
        batch: The jobs that a reserve_many under way has taken so far.
        after: What is left to do, and to drop, when the lock is free again. So no
            destructor runs inside a turn. A request is withdrawn. A promise is kept: its
            future is told. A session and a list
            of its jobs, in a tuple: their reservations are undone. Whoever is
            interrupted appends these, in one step that needs no further frame.
        log: What records events, from when somebody has subscribed to them.
    """

    __slots__ = ("after", "batch", "log", "unfinished")

    def __init__(self) -> None:
        self.unfinished: (
            Literal[_Mark.TURN] | AnyJob | list[AnyJob] | Session | None
        ) = None
        self.batch: list[AnyJob] | None = None
        self.after: deque[object] = deque()
        self.log: EventLog | None = None

    def refuse(self, error: TubesError) -> NoReturn:
        """End the turn by an error; nothing has changed. Cost: O(1)."""
        self.unfinished = None
        try:
            raise error
        finally:
            # Its traceback refers to this frame, and so to all that called it.
            del error

    def refuse_closed(self, session: Session) -> NoReturn:
        """Raise what a session is told that was closed. Cost: O(1)."""
        assert session.closed is not None  # the caller has looked
        self.refuse(ClosedError(session.closed))

    def refuse_if_stopped(self, session: Session) -> None:
        """Refuse to reserve for a session that was stopped, or closed. Cost: O(1)."""
        if session.closed is not None:
            self.refuse_closed(session)
        if session.stopped is not None:
            self.refuse(StoppedError(session.stopped))
