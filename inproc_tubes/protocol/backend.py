"""What the protocol needs of a broker. It knows no lock and no thread, but who does.

These describe `inproc_tubes.Broker` and `inproc_tubes.monitor.Monitor` by what is called
here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Concatenate, ParamSpec, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from inproc_tubes.core.engine import Engine
    from inproc_tubes.core.job import JobHolder
    from inproc_tubes.core.session import Session
    from inproc_tubes.core.statistics import BrokerStats

__all__ = ["Backend", "TurnTaker"]

P = ParamSpec("P")
R = TypeVar("R")


class TurnTaker(Protocol):
    """What guards an engine: it takes one turn at a time."""

    engine: Engine

    def run(
        self,
        verb: Callable[Concatenate[float, P], R],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R:
        """Take a turn with ``verb(now, ...)``."""

    def open(self, used: str | None, watched: Iterable[str], *, stops: bool) -> Session:
        """Open a session, to which a stop of the broker applies or not."""

    def close_session(self, session: Session, what: str) -> None:
        """Close a session."""

    def abandon(self, session: Session) -> None:
        """Close the session of what was dropped."""

    def sleepers_changed(self) -> None:
        """Announce, inside a turn, that something has begun to wait."""


class Backend(Protocol):
    """A broker."""

    @property
    def _monitor(self) -> TurnTaker: ...

    def _holder_for(self, session: Session) -> JobHolder: ...

    @property
    def _max_job_size(self) -> int | None: ...

    def stats(self) -> BrokerStats:
        """Return the statistics of the whole broker."""
