"""How often the commands were carried out, for `stats`: beanstalkd's ``cmd-*``."""

from __future__ import annotations

__all__ = ["CommandCounts"]


class CommandCounts:
    """The commands that nothing else counts.

    A put, a reserve and a delete are counted where they leave a trace: in their tube, or
    in their session. What is here besides is what left no such trace any more.
    """

    __slots__ = (
        "bury",
        "ignore",
        "job_timeouts",
        "kick",
        "list_tube_used",
        "list_tubes",
        "list_tubes_watched",
        "other_deletes",
        "other_puts",
        "other_reserves",
        "other_reserves_with_timeout",
        "pause_tube",
        "peek",
        "peek_buried",
        "peek_delayed",
        "peek_ready",
        "release",
        "stats",
        "stats_job",
        "stats_tube",
        "total_sessions",
        "touch",
        "use",
        "watch",
    )

    def __init__(self) -> None:
        self.bury: int = 0
        self.ignore: int = 0
        self.job_timeouts: int = 0  # how often a reservation has expired
        self.kick: int = 0
        self.list_tube_used: int = 0
        self.list_tubes: int = 0
        self.list_tubes_watched: int = 0
        self.other_deletes: int = 0  # of jobs that were not there
        self.other_puts: int = 0  # puts that made no job (yet)
        self.other_reserves: int = 0  # of sessions that are closed
        self.other_reserves_with_timeout: int = 0
        self.pause_tube: int = 0
        self.peek: int = 0
        self.peek_buried: int = 0
        self.peek_delayed: int = 0
        self.peek_ready: int = 0
        self.release: int = 0
        self.stats: int = 0
        self.stats_job: int = 0
        self.stats_tube: int = 0
        self.total_sessions: int = 0  # how many were ever opened
        self.touch: int = 0
        self.use: int = 0
        self.watch: int = 0
