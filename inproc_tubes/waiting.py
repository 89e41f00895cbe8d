"""A consumer that waits, as the engine sees it: a question that is answered once."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .errors import TubesError
    from .job import Record

__all__ = ["Waiter"]


class Waiter:
    """One pending ``reserve``.

    The engine sets ``outcome`` exactly once, to the job (reserved already) or to the
    error to be raised, and lists the waiter in ``Engine.answered``. How the one who
    waits sleeps and is roused is the shell's affair: ``lot`` and ``bed`` are its own.
    """

    __slots__ = (
        "bed",
        "hears_deadlines",
        "lot",
        "outcome",
        "reservation",
        "session",
        "ticket",
        "timeout",
        "timeout_at",
    )

    def __init__(
        self, session: Any, timeout: float | None, *, hears_deadlines: bool = True
    ) -> None:
        self.session = session  # the Session that it waits for
        self.timeout = inf if timeout is None else timeout
        self.timeout_at = inf
        self.hears_deadlines = hears_deadlines  # is told DEADLINE_SOON
        self.ticket = 0  # the lower, the longer it has waited
        self.outcome: Record | TubesError | None = None
        self.reservation = 0  # with a job: the number of its reservation
        self.lot: Any = None  # where it sleeps, with all that sleep alike
        self.bed: Any = None  # what it sleeps on there

    @property
    def answered(self) -> bool:
        """Whether it has its outcome."""
        return self.outcome is not None
