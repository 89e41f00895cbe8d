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
        self.bury = 0
        self.ignore = 0
        self.job_timeouts = 0  # how often a reservation has expired
        self.kick = 0
        self.list_tube_used = 0
        self.list_tubes = 0
        self.list_tubes_watched = 0
        self.other_deletes = 0  # of jobs that were not there
        self.other_puts = 0  # puts that made no job (yet)
        self.other_reserves = 0  # of sessions that are closed
        self.other_reserves_with_timeout = 0
        self.pause_tube = 0
        self.peek = 0
        self.peek_buried = 0
        self.peek_delayed = 0
        self.peek_ready = 0
        self.release = 0
        self.stats = 0
        self.stats_job = 0
        self.stats_tube = 0
        self.total_sessions = 0  # how many were ever opened
        self.touch = 0
        self.use = 0
        self.watch = 0
