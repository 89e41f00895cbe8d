"""What ``stats_job``, ``stats_tube``, ``stats`` and ``snapshot`` tell.

The fields are beanstalkd's, in its order, with its meaning (``doc/protocol.txt``).
As attributes they are in snake_case and times are exact; `as_dict` gives them as the
server's YAML would have them: names with hyphens, ages and times left in whole
seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Literal

from inproc_tubes.verbs import adopt_verbs

from .text import counted, counts, waiting

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "BrokerSnapshot",
    "BrokerStats",
    "HandleStats",
    "HeldJob",
    "JobStats",
    "TubeStats",
]

# The one field whose word is not spelled out on the wire.
_WIRE_NAMES = {"priority": "pri"}
# What beanstalkd knows nothing of.
_OURS = {"maxsize", "current_putting", "expired", "holder", "max_tries"}
# Durations that run; the server prints them truncated.
_RUNNING = {"age", "time_left", "pause_time_left", "uptime"}


class _Stats:
    """What the three have in common."""

    __slots__ = ()

    def as_dict(self) -> dict[str, int | float | str | None]:
        """Return the fields under beanstalkd's names, in its order. Cost: O(1)."""
        return {
            _WIRE_NAMES.get(name, name.replace("_", "-")): (
                int(value) if name in _RUNNING else value
            )
            for name, value in (
                (field.name, getattr(self, field.name))
                for field in fields(self)  # type: ignore[arg-type]  # each is one
                if field.name not in _OURS
            )
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStats(_Stats):
    """A job.

    Attributes:
        id: The job's id.
        tube: The name of the tube it is in.
        state: ``"ready"``, ``"reserved"``, ``"delayed"`` or ``"buried"``; ``"invalid"``
            while its body is still coming, over the protocol.
        priority: The lower, the more urgent.
        age: Seconds since it was put.
        delay: Seconds, as last given by put or release.
        ttr: Seconds that a reservation lasts.
        time_left: Seconds till the reservation or the delay is over, else 0.
        file: Always 0: there is no binlog.
        reserves: How often it was reserved.
        timeouts: How often a reservation has expired.
        releases: How often it was released.
        buries: How often it was buried.
        kicks: How often it was kicked.
        holder: The name of the consumer that holds it, None if nobody does. This is
            ours, and not in `as_dict`.
    """

    id: int
    tube: str
    state: str
    priority: int
    age: float
    delay: float
    ttr: float
    time_left: float
    file: int = 0
    reserves: int
    timeouts: int
    releases: int
    buries: int
    kicks: int
    holder: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TubeStats(_Stats):
    """A tube, since it was made; it is made anew after nothing referred to it.

    Attributes:
        name: The tube's name.
        current_jobs_urgent: Ready jobs with a priority below 1024.
        current_jobs_ready: Ready jobs.
        current_jobs_reserved: Jobs that some consumer holds.
        current_jobs_delayed: Jobs whose delay runs.
        current_jobs_buried: Buried jobs.
        total_jobs: Jobs put so far; one that was moved counts where it is now.
        current_using: Producers that use the tube.
        current_watching: Consumers that watch it.
        current_waiting: Consumers that wait for a job of it.
        cmd_delete: Jobs deleted so far.
        cmd_pause_tube: How often it was paused.
        pause: Seconds, as given, while it is paused, else 0.
        pause_time_left: Seconds till the pause is over.
        maxsize: How many jobs it may have, 0 for any number. This and what follows is
            ours, and not in `as_dict`.
        current_putting: Puts that wait for room, a batch as one.
        expired: Jobs that have expired so far; they count as deleted, too.
        max_tries: How often a job may be reserved, 0 for any number of times.
    """

    name: str
    current_jobs_urgent: int
    current_jobs_ready: int
    current_jobs_reserved: int
    current_jobs_delayed: int
    current_jobs_buried: int
    total_jobs: int
    current_using: int
    current_watching: int
    current_waiting: int
    cmd_delete: int
    cmd_pause_tube: int
    pause: float
    pause_time_left: float
    maxsize: int
    current_putting: int
    expired: int
    max_tries: int

    def __repr__(self) -> str:
        jobs = counts(
            (
                (self.current_jobs_ready, "ready"),
                (self.current_jobs_reserved, "reserved"),
                (self.current_jobs_delayed, "delayed"),
                (self.current_jobs_buried, "buried"),
            )
        )
        who = (
            f"{counted(self.current_using, 'producer')}, "
            f"{counted(self.current_watching, 'consumer')}"
        )
        waits = ((self.current_waiting, "reserve"), (self.current_putting, "put"))
        parts = (
            jobs or "no jobs",
            f"at most {self.maxsize}" if self.maxsize else "",
            who,
            waiting(waits),
            f"paused for {self.pause_time_left:g} s more" if self.pause else "",
        )
        return f"<TubeStats of {self.name!r}: {'; '.join(filter(None, parts))}>"

    def _repr_html_(self) -> str:
        """Return all fields, for a notebook."""
        from inproc_tubes.markup import summary  # noqa: PLC0415 - for notebooks alone

        named = [(field.name, getattr(self, field.name)) for field in fields(self)]
        return summary(f"Tube {self.name}", ("", ""), named[1:])


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerStats(_Stats):
    """The whole broker, since it was made.

    The ``current_jobs_*`` are sums over the tubes. A ``cmd_*`` counts how often the
    command was given, also when it was refused with a beanstalkd answer such as
    NOT_FOUND. A handle is a connection; one that has ever put is a producer, one
    that has ever reserved a worker. Nothing is on disk: the ``binlog_*`` are what a
    server without a binlog prints.

    Attributes:
        job_timeouts: How often a reservation has expired.
        max_job_size: The largest body in bytes, None for no limit.
        current_waiting: How many consumers wait now.
        pid: The process.
        version: That of inproc_tubes.
        rusage_utime: The process's CPU time in user mode, in seconds.
        rusage_stime: The same in the kernel.
        uptime: Seconds since the broker was made.
        draining: Whether puts are refused.
        id: 16 random hexadecimal digits.
        hostname: The machine.
        os: The operating system's version.
        platform: The machine's architecture.
    """

    current_jobs_urgent: int
    current_jobs_ready: int
    current_jobs_reserved: int
    current_jobs_delayed: int
    current_jobs_buried: int
    cmd_put: int
    cmd_peek: int
    cmd_peek_ready: int
    cmd_peek_delayed: int
    cmd_peek_buried: int
    cmd_reserve: int
    cmd_reserve_with_timeout: int
    cmd_delete: int
    cmd_release: int
    cmd_use: int
    cmd_watch: int
    cmd_ignore: int
    cmd_bury: int
    cmd_kick: int
    cmd_touch: int
    cmd_stats: int
    cmd_stats_job: int
    cmd_stats_tube: int
    cmd_list_tubes: int
    cmd_list_tube_used: int
    cmd_list_tubes_watched: int
    cmd_pause_tube: int
    job_timeouts: int
    total_jobs: int
    max_job_size: int | None
    current_tubes: int
    current_connections: int
    current_producers: int
    current_workers: int
    current_waiting: int
    total_connections: int
    pid: int
    version: str
    rusage_utime: float
    rusage_stime: float
    uptime: float
    binlog_oldest_index: int = 0
    binlog_current_index: int = 0
    binlog_records_migrated: int = 0
    binlog_records_written: int = 0
    binlog_max_size: int = 10485760
    draining: bool
    id: str
    hostname: str
    os: str
    platform: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldJob:
    """A job that a handle holds.

    Attributes:
        id: The job's id.
        tube: The name of the tube it is in.
        reserved_at: When it was reserved, by the broker's clock.
        time_left: Seconds till the reservation expires.
    """

    id: int
    tube: str
    reserved_at: float
    time_left: float


@dataclass(frozen=True, slots=True, kw_only=True)
class HandleStats:
    """A producer or a consumer, for threads or for coroutines; or a client's connection.

    Attributes:
        name: Its name; see `Broker.consumer`.
        kind: ``"producer"``, ``"consumer"``, or ``"connection"`` of a client over the
            protocol. A consumer that was dropped while its user had jobs in hand is one
            as long as it holds them.
        using: The tube that it puts into, None for a consumer.
        watching: The tubes that it reserves from.
        waiting: How many reserves wait on it.
        putting: How many puts wait for room on it, a batch as one.
        holds: The jobs that it holds, in the order of reserving.
    """

    name: str
    kind: Literal["producer", "consumer", "connection"]
    using: str | None
    watching: tuple[str, ...]
    waiting: int
    putting: int
    holds: tuple[HeldJob, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerSnapshot:
    """All of a broker in one instant.

    Attributes:
        now: The instant, by the broker's clock.
        stats: The statistics of the whole broker.
        tubes: Those of each tube, by its name, in beanstalkd's order.
        handles: All handles, in the order in which they were made.
    """

    now: float
    stats: BrokerStats
    tubes: Mapping[str, TubeStats]
    handles: tuple[HandleStats, ...]

    def __repr__(self) -> str:
        held = sum(len(handle.holds) for handle in self.handles)
        parts = (
            counted(len(self.tubes), "tube"),
            counted(len(self.handles), "handle"),
            f"{counted(held, 'job')} held",
        )
        return f"<BrokerSnapshot at {self.now:.10g}: {', '.join(parts)}>"


for _public in (JobStats, TubeStats, BrokerStats):
    adopt_verbs(_public)
