"""Statistics of a job, of a tube, and of all, by the engine and by a broker."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pytest

import inproc_tubes
from inproc_tubes import Broker
from inproc_tubes.core.making import new_job
from inproc_tubes.errors import NotFoundError, NotIgnoredError, TimedOutError
from inproc_tubes.testing import FakeClock
from tests.engine_driver import Queue

if TYPE_CHECKING:
    from inproc_tubes.core.statistics import TubeStats


@pytest.fixture
def queue() -> Queue:
    return Queue()


def tube_stats(queue: Queue, tube: str = "default") -> TubeStats:
    stats: TubeStats = queue.do("stats_tube", tube)
    return stats


# Statistics of a job


def test_the_statistics_of_a_job_are_exact(queue: Queue) -> None:
    session = queue.session("t")
    queue.put(7, delay=30, ttr=60, tube="t")
    queue.to(104.0)
    expected = {
        "id": 1,
        "tube": "t",
        "state": "delayed",
        "priority": 7,
        "age": 4.0,
        "delay": 30,
        "ttr": 60,
        "time_left": 26.0,
        "file": 0,
        "reserves": 0,
        "timeouts": 0,
        "releases": 0,
        "buries": 0,
        "kicks": 0,
        "holder": None,
    }
    stats = asdict(queue.do("stats_job", 1))
    assert stats == expected
    assert list(stats) == list(expected)

    queue.do("kick_job", 1, None)
    assert queue.reserve(session) == 1
    queue.to(164.0)
    assert queue.reserve(session) == 1
    queue.do("bury", session, 1, None, 8)
    queue.do("kick", "t", 1)
    assert queue.reserve(session) == 1
    queue.do("release", session, 1, None, 9, 0)
    assert queue.reserve(session) == 1
    queue.to(165.5)
    assert asdict(queue.do("stats_job", 1)) == expected | {
        "state": "reserved",
        "priority": 9,
        "age": 65.5,
        "delay": 0,
        "time_left": 58.5,
        "reserves": 4,
        "timeouts": 1,
        "releases": 1,
        "buries": 1,
        "kicks": 2,
    }


def test_time_left_is_0_unless_something_runs(queue: Queue) -> None:
    session = queue.session()
    queue.put()
    queue.put()
    queue.bury(session, 2)
    assert [queue.do("stats_job", i).time_left for i in (1, 2)] == [0, 0]


# Statistics of a tube


def test_the_statistics_of_a_tube_are_exact(queue: Queue) -> None:
    session = queue.session("t", "u")
    for priority in (0, 1023, 1024, 5, 5, 5):
        queue.put(priority, tube="t")
    queue.put(0, delay=9, tube="t")
    queue.put(0, delay=8, tube="t")
    assert queue.reserve(session) == 1
    for job_id in (4, 5, 6):
        queue.bury(session, job_id)
    queue.do("delete", session, 6, None)
    with pytest.raises(NotFoundError):
        queue.do("delete", session, 6, None)
    for name in ("t", "u"):
        queue.do("pause_tube", name, 20)
    queue.wait(session)
    queue.wait(queue.session("t"))
    queue.producer("t")
    queue.to(104.0)
    expected = {
        "name": "t",
        "current_jobs_urgent": 1,
        "current_jobs_ready": 2,
        "current_jobs_reserved": 1,
        "current_jobs_delayed": 2,
        "current_jobs_buried": 2,
        "total_jobs": 8,
        "current_using": 1,
        "current_watching": 2,
        "current_waiting": 2,
        "cmd_delete": 1,
        "cmd_pause_tube": 1,
        "pause": 20,
        "pause_time_left": 16.0,
        "maxsize": 0,
        "current_putting": 0,
        "expired": 0,
        "max_tries": 0,
    }
    stats = asdict(tube_stats(queue, "t"))
    assert stats == expected
    assert list(stats) == list(expected)


def test_urgent_are_ready_jobs_of_a_priority_below_1024(queue: Queue) -> None:
    session = queue.session()
    queue.put(1023)
    queue.put(1024)
    queue.put(0, delay=60)
    for stats in (asdict(tube_stats(queue)), queue.do("broker_counts")):
        assert (stats["current_jobs_urgent"], stats["current_jobs_ready"]) == (1, 2)
    assert queue.reserve(session) == 1
    assert tube_stats(queue).current_jobs_urgent == 0
    queue.do("release", session, 1, None, 3, 0)
    assert tube_stats(queue).current_jobs_urgent == 1
    queue.do("reserve_job", session, 1)
    assert tube_stats(queue).current_jobs_urgent == 0


@pytest.mark.parametrize(
    ("priority", "urgent"), [(0, True), (1023, True), (1024, False), (1025, False)]
)
@pytest.mark.parametrize("how", ["one", "one by one", "at once", "back again"])
def test_1024_is_the_first_priority_that_is_not_urgent(
    queue: Queue, priority: int, how: str, *, urgent: bool
) -> None:
    """However they come in: that decides where they stand among the ready jobs."""
    count = 1 if how == "one" else 3
    if how == "at once":
        jobs = [new_job("body", priority, 0, 60) for _ in range(count)]
        queue.do("put_many", queue.producer(), jobs, None)
    else:
        for _ in range(count):
            queue.put(priority)
    if how == "back again":
        session = queue.session()
        for job_id in (2, 1, 3):
            queue.do("reserve_job", session, job_id)
        for job_id in (3, 2, 1):
            queue.do("release", session, job_id, None, None, 0)
    assert tube_stats(queue).current_jobs_ready == count
    assert tube_stats(queue).current_jobs_urgent == (count if urgent else 0)
    assert queue.count("current_jobs_urgent") == (count if urgent else 0)


def test_a_waiting_reserve_counts_in_each_of_its_tubes_and_once_in_all(
    queue: Queue,
) -> None:
    for _ in range(2):
        queue.wait(queue.session("default", "t"))

    def waiting() -> list[int]:
        tubes = [tube_stats(queue, tube) for tube in ("default", "t")]
        of_tubes = [stats.current_waiting for stats in tubes]
        return [*of_tubes, queue.count("current_waiting")]

    assert waiting() == [2, 2, 2]
    queue.put()
    assert waiting() == [1, 1, 1]


# Statistics of all


def test_a_verb_that_misses_is_counted_all_the_same(queue: Queue) -> None:
    session = queue.session()
    misses: list[tuple[Any, ...]] = [
        ("delete", session, 9, None),
        ("release", session, 9, None, 0, 0),
        ("bury", session, 9, None, 0),
        ("touch", session, 9, None),
        ("stats_job", 9),
        ("stats_tube", "t"),
        ("peek", 9),
        ("peek_ready", "default"),
        ("peek_delayed", "default"),
        ("peek_buried", "default"),
        ("pause_tube", "t", 1),
        ("kick_job", 9, None),
        ("reserve_job", session, 9),
    ]
    for miss in misses:
        with pytest.raises(NotFoundError):
            queue.do(*miss)
    with pytest.raises(NotIgnoredError):
        queue.do("ignore", session, "default")
    with pytest.raises(TimedOutError):
        queue.reserve(session)
    stats = queue.do("broker_counts")
    assert {k for k, v in stats.items() if k.startswith("cmd_") and v == 1} == {
        "cmd_delete",
        "cmd_release",
        "cmd_bury",
        "cmd_touch",
        "cmd_stats",  # this one
        "cmd_stats_job",
        "cmd_stats_tube",
        "cmd_peek",
        "cmd_peek_ready",
        "cmd_peek_delayed",
        "cmd_peek_buried",
        "cmd_pause_tube",
        "cmd_ignore",
        "cmd_reserve_with_timeout",
    }
    assert sum(v for k, v in stats.items() if k.startswith("cmd_")) == 14


def test_the_statistics_of_all_are_exact(queue: Queue) -> None:
    session = queue.session("t", "default")
    for priority in (0, 1, 2, 2000):
        queue.put(priority, ttr=5, tube="t")
    queue.put(0, delay=50)
    dead = queue.put(0, tube="dead")
    queue.do("delete", session, dead, None)
    queue.do("use", session, "t")
    queue.do("watch", session, ["u", "v"])
    queue.do("ignore", session, "v")
    queue.do("reserve", session, None)
    queue.do("reserve", session, 3)
    queue.do("bury", session, 2, None, 0)
    queue.do("touch", session, 1, None)
    queue.do("kick", "t", 1)
    queue.do("reserve_job", session, 4)
    queue.do("bury", session, 4, None, 0)
    queue.to(105.0)
    assert queue.reserve(session) == 1
    queue.do("release", session, 1, None, 1, 0)
    assert queue.reserve(session) == 2
    producer = queue.producer("t")
    queue.put_from(producer, 5000)
    queue.do("peek", 1)
    queue.do("peek_ready", "t")
    queue.do("peek_delayed", "default")
    queue.do("peek_buried", "t")
    queue.do("stats_job", 1)
    queue.do("stats_tube", "t")
    queue.do("list_tubes")
    queue.do("list_tube_used", session)
    queue.do("list_tubes_watched", session)
    queue.do("pause_tube", "u", 9)
    queue.wait(queue.session("u"))
    # Sessions that put() has opened and closed: six.
    expected = {
        "current_jobs_urgent": 2,
        "current_jobs_ready": 3,
        "current_jobs_reserved": 1,
        "current_jobs_delayed": 1,
        "current_jobs_buried": 1,
        "cmd_put": 7,
        "cmd_peek": 1,
        "cmd_peek_ready": 1,
        "cmd_peek_delayed": 1,
        "cmd_peek_buried": 1,
        "cmd_reserve": 2,
        "cmd_reserve_with_timeout": 3,
        "cmd_delete": 1,
        "cmd_release": 1,
        "cmd_use": 1,
        "cmd_watch": 2,
        "cmd_ignore": 1,
        "cmd_bury": 2,
        "cmd_kick": 1,
        "cmd_touch": 1,
        "cmd_stats": 1,
        "cmd_stats_job": 1,
        "cmd_stats_tube": 1,
        "cmd_list_tubes": 1,
        "cmd_list_tube_used": 1,
        "cmd_list_tubes_watched": 1,
        "cmd_pause_tube": 1,
        "job_timeouts": 1,
        "total_jobs": 7,
        "current_tubes": 3,
        "current_connections": 3,
        "current_producers": 1,
        "current_workers": 2,
        "current_waiting": 1,
        "total_connections": 9,
        "draining": False,
    }
    assert queue.do("broker_counts") == expected


def test_producers_and_workers_are_counted_while_they_are_connected(
    queue: Queue,
) -> None:
    session = queue.session(used="default")
    counts = ("current_connections", "current_producers", "current_workers")
    told_before = [queue.count(name) for name in counts]
    queue.put_from(session)
    queue.do("reserve", session, 0)
    told_then = [queue.count(name) for name in counts]
    queue.do("close_session", session, "closed")
    told_after = [queue.count(name) for name in counts]
    assert (told_before, told_then, told_after) == ([1, 0, 0], [1, 1, 1], [0, 0, 0])
    assert queue.count("total_connections") == 1


def test_the_broker_tells_beanstalkd_s_fields_in_its_order() -> None:
    clock = FakeClock()
    with Broker(clock=clock, max_job_size=1000) as broker:
        broker.producer().put("body")
        clock.advance(2.5)
        stats = broker.stats()
        told_by_wire = stats.as_dict()
    assert " ".join(told_by_wire) == (
        "current-jobs-urgent current-jobs-ready current-jobs-reserved "
        "current-jobs-delayed current-jobs-buried cmd-put cmd-peek cmd-peek-ready "
        "cmd-peek-delayed cmd-peek-buried cmd-reserve cmd-reserve-with-timeout "
        "cmd-delete cmd-release cmd-use cmd-watch cmd-ignore cmd-bury cmd-kick "
        "cmd-touch cmd-stats cmd-stats-job cmd-stats-tube cmd-list-tubes "
        "cmd-list-tube-used cmd-list-tubes-watched cmd-pause-tube job-timeouts "
        "total-jobs max-job-size current-tubes current-connections "
        "current-producers current-workers current-waiting total-connections pid "
        "version rusage-utime rusage-stime uptime binlog-oldest-index "
        "binlog-current-index binlog-records-migrated binlog-records-written "
        "binlog-max-size draining id hostname os platform"
    )
    assert len(told_by_wire) == 51
    assert stats.max_job_size == 1000
    assert (stats.uptime, told_by_wire["uptime"]) == (2.5, 2)
    assert stats.pid == os.getpid()
    assert stats.version == inproc_tubes.__version__
    assert min(stats.rusage_utime, stats.rusage_stime) >= 0
    binlog = {k: v for k, v in told_by_wire.items() if k.startswith("binlog")}
    assert list(binlog.values()) == [0, 0, 0, 0, 10485760]
    assert len(stats.id) == 16
    assert int(stats.id, 16) >= 0
    assert (stats.hostname, stats.os, stats.platform) == os.uname()[1:2] + os.uname()[
        3:
    ]


def test_a_job_s_statistics_have_beanstalkd_s_names_and_whole_seconds() -> None:
    clock = FakeClock()
    with Broker(clock=clock) as broker:
        job_id = broker.producer("t").put("body", 7, delay=10)
        clock.advance(2.5)
        stats = broker.stats_job(job_id)
    assert (stats.age, stats.time_left) == (2.5, 7.5)
    told_by_wire = stats.as_dict()
    assert list(told_by_wire.items()) == [
        ("id", 1),
        ("tube", "t"),
        ("state", "delayed"),
        ("pri", 7),
        ("age", 2),
        ("delay", 10),
        ("ttr", 60),
        ("time-left", 7),
        ("file", 0),
        ("reserves", 0),
        ("timeouts", 0),
        ("releases", 0),
        ("buries", 0),
        ("kicks", 0),
    ]


def test_a_tube_s_statistics_have_beanstalkd_s_names_and_whole_seconds() -> None:
    clock = FakeClock()
    with Broker(clock=clock) as broker:
        broker.pause_tube("default", 10)
        clock.advance(2.5)
        stats = broker.stats_tube("default")
    assert (stats.pause, stats.pause_time_left) == (10, 7.5)
    assert list(stats.as_dict().items()) == [
        ("name", "default"),
        ("current-jobs-urgent", 0),
        ("current-jobs-ready", 0),
        ("current-jobs-reserved", 0),
        ("current-jobs-delayed", 0),
        ("current-jobs-buried", 0),
        ("total-jobs", 0),
        ("current-using", 0),
        ("current-watching", 0),
        ("current-waiting", 0),
        ("cmd-delete", 0),
        ("cmd-pause-tube", 1),
        ("pause", 10),
        ("pause-time-left", 7),
    ]


@pytest.mark.parametrize(
    ("timeout", "name"), [(None, "cmd_reserve"), (0, "cmd_reserve_with_timeout")]
)
def test_the_reserves_of_a_session_count_when_it_is_gone(
    queue: Queue, timeout: float | None, name: str
) -> None:
    session = queue.session()
    queue.put()
    queue.do("reserve", session, timeout)
    queue.do("close_session", session, "closed")
    assert queue.count(name) == 1
