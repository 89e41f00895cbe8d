"""What is asked of a server by one connection, for `Pool.ask`.

The names of these functions are those that errors tell.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import greenstalk

from inproc_tubes.core.limits import DEFAULT_TUBE
from inproc_tubes.core.record import JobState

from .connection import Client, Lost

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .connection import Connection

__all__ = [
    "clear_tube",
    "kick",
    "kick_job",
    "pause_tube",
    "peek",
    "peek_at",
    "stats",
    "stats_job",
    "stats_tube",
    "tubes",
]

_PEEKS = {
    JobState.READY: Client.peek_ready,
    JobState.DELAYED: Client.peek_delayed,
    JobState.BURIED: Client.peek_buried,
}


def tubes(connection: Connection) -> list[str]:
    """Return the names of all tubes."""
    return connection.ask(Client.tubes)


def stats(connection: Connection) -> greenstalk.Stats:
    """Return the statistics of the server."""
    return connection.ask(Client.stats)


def stats_tube(connection: Connection, tube: str) -> greenstalk.StatsTube:
    """Return the statistics of a tube."""
    return connection.ask(Client.stats_tube, tube)


def stats_job(connection: Connection, wire_id: int) -> greenstalk.StatsJob:
    """Return the statistics of a job."""
    return connection.ask(Client.stats_job, wire_id)


def peek(connection: Connection, wire_id: int) -> greenstalk.Job[bytes]:
    """Return a job without reserving it."""
    return connection.ask(Client.peek, wire_id)


def pause_tube(connection: Connection, tube: str, delay: int) -> None:
    """Let no job of a tube be reserved for so many seconds."""
    connection.ask(Client.pause_tube, tube, delay)


def kick_job(connection: Connection, wire_id: int) -> None:
    """Make a buried or delayed job ready."""
    connection.ask(Client.kick_job, wire_id)


@contextmanager
def _using(connection: Connection, tube: str) -> Iterator[None]:
    """Use a tube in this block. A tube that nobody uses ends, if it has no job."""
    connection.use(tube)
    try:
        yield
    finally:
        if not connection.lost:
            connection.use(DEFAULT_TUBE)


def peek_at(
    connection: Connection, tube: str, state: JobState
) -> greenstalk.Job[bytes]:
    """Return the first job of a tube in this state."""
    with _using(connection, tube):
        return connection.ask(_PEEKS[state])


def kick(connection: Connection, tube: str, bound: int) -> int:
    """Make up to so many buried jobs ready, or delayed ones; return how many."""
    connection.use(tube)
    count = connection.ask(Client.kick, bound)
    with suppress(Lost):  # the kick itself is done
        connection.use(DEFAULT_TUBE)
    return count


def clear_tube(connection: Connection, tube: str, state: JobState) -> int:
    """Delete all jobs of a tube in this state; return how many."""
    count = 0
    with _using(connection, tube):
        while True:
            try:
                found = connection.ask(_PEEKS[state])
            except greenstalk.NotFoundError:
                return count
            try:
                connection.ask(Client.delete, found.id)
            except greenstalk.NotFoundError:
                continue  # somebody was faster
            count += 1
