"""What is seen of the servers of a broker: their tubes, and their counts added up."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

import greenstalk

from inproc_tubes.core.statistics import BrokerStats, TubeStats
from inproc_tubes.errors import NotFoundError

from . import commands

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .pool import Pool

__all__ = ["stats", "stats_tube", "tubes"]

# These counts of several servers are added up. All other figures are the first one's.
_SUMMED = ("current_", "cmd_", "total_", "job_", "binlog_records_")


def tubes(pool: Pool) -> list[str]:
    """Return the names of all tubes."""
    found: dict[str, None] = {}
    for server in pool.network.servers:
        found |= dict.fromkeys(pool.ask([server], commands.tubes))
    return list(found)


def stats(pool: Pool) -> BrokerStats:
    """Return the statistics of all servers."""
    found = [
        _as_ours(pool.ask([server], commands.stats), BrokerStats)
        for server in pool.network.servers
    ]
    draining = [each.pop("draining") == "true" for each in found]
    times = [
        (float(each.pop("rusage_utime")), float(each.pop("rusage_stime")))
        for each in found
    ]
    return BrokerStats(
        **_added_up(found),
        draining=all(draining),
        rusage_utime=times[0][0],
        rusage_stime=times[0][1],
    )


def stats_tube(pool: Pool, tube: str) -> TubeStats:
    """Return the statistics of a tube.

    Raises:
        NotFoundError: No server has it.
    """
    found = []
    for server in pool.network.servers:
        try:
            stats = pool.ask([server], commands.stats_tube, tube)
        except greenstalk.NotFoundError:
            continue
        found.append(_as_ours(stats, TubeStats))
    if not found:
        raise NotFoundError(tube=tube)
    for each in found:
        each["name"] = tube  # greenstalk takes one of digits for a number
    return TubeStats(**_added_up(found))


def _as_ours(
    found: Mapping[str, object], kind: type[BrokerStats | TubeStats]
) -> dict[str, Any]:
    """Return statistics by our names, 0 for what this server does not tell."""
    return {
        field.name: found.get(field.name.replace("_", "-"), 0) for field in fields(kind)
    }


def _added_up(found: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the counts of several servers added up, and all else of the first."""
    total = found[0]
    for name in total:
        if name.startswith(_SUMMED):
            total[name] = sum(each[name] for each in found)
    return total
