"""A job that a connection has in hand, or that somebody has looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .connection import ReservationState

if TYPE_CHECKING:
    import weakref

    from inproc_tubes.core.statistics import JobStats

    from .connection import Connection
    from .server import Server

__all__ = ["LATE", "Reservation"]

# Seconds by which a reservation may end later than it seems: the server's clock, and the
# way of its answer.
LATE = 1.0


class Reservation:
    """A job in hand, or one that was looked at; what is known of it without its body.

    Attributes:
        id: The job's id, as the user knows it.
        wire_id: Its id on its server.
        server: Its server.
        connection: The connection that has reserved it; None if it was looked at.
        begun_at: When it was reserved or touched last.
        stats: Its statistics, as they were when somebody first asked for them.
        state: Whether the job is still in hand.
        handle: The job's handle, as long as the user has it.
        told: Whether `DeadlineSoonError` was raised for it since.
    """

    __slots__ = (
        "begun_at",
        "connection",
        "handle",
        "id",
        "server",
        "state",
        "stats",
        "told",
        "wire_id",
    )

    def __init__(
        self,
        job_id: int,
        wire_id: int,
        server: Server,
        connection: Connection | None,
        begun_at: float,
    ) -> None:
        self.id: int = job_id
        self.wire_id: int = wire_id
        self.server: Server = server
        self.connection: Connection | None = connection
        self.begun_at: float = begun_at
        self.stats: JobStats | None = None
        self.handle: weakref.ref[object] | None = None
        self.told: bool = False
        self.state: ReservationState = (
            ReservationState.PEEKED if connection is None else ReservationState.HELD
        )

    @property
    def is_dropped(self) -> bool:
        """Whether the user had its handle, and has dropped that."""
        return self.handle is not None and self.handle() is None

    def is_over_at(self, now: float) -> bool:
        """Tell whether it has ended by then for sure, as far as its end is known."""
        deadline_at = self.deadline_at
        return deadline_at is not None and now >= deadline_at + LATE

    @property
    def deadline_at(self) -> float | None:
        """When the reservation ends, None if nobody has asked for its time to run."""
        stats = self.stats
        return None if stats is None else self.begun_at + stats.ttr
