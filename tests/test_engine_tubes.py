"""Tubes: pauses, their life, their lists; draining; what the statistics tell."""

from __future__ import annotations

import os
from typing import Any

import pytest

import inproc_tubes
from inproc_tubes import Broker
from inproc_tubes.errors import (
    DrainingError,
    JobTooBigError,
    NotFoundError,
    NotIgnoredError,
    TimedOutError,
)
from inproc_tubes.testing import FakeClock
from tests.engine_driver import Queue, next_id, told


@pytest.fixture
def queue() -> Queue:
    return Queue()


def tube_stats(queue: Queue, tube: str = "default") -> dict[str, Any]:
    stats: dict[str, Any] = queue.do("stats_tube", tube)
    return stats


# Pauses


def test_a_pause_stops_reserve(queue: Queue) -> None:
    session = queue.session()
    queue.put()
    queue.do("pause_tube", "default", 5)
    with pytest.raises(TimedOutError):
        queue.reserve(session)
    queue.to(104.9)
    with pytest.raises(TimedOutError):
        queue.reserve(session)
    queue.to(105.0)
    assert queue.reserve(session) == 1


def test_a_pause_stops_nothing_else(queue: Queue) -> None:
    session = queue.session()
    queue.put()
    queue.put(0, delay=3)
    queue.put(0, ttr=4)
    queue.do("reserve_job", session, 3)
    queue.do("pause_tube", "default", 100)
    assert queue.do("peek_ready", "default").id == 1
    assert queue.put() == 4
    queue.do("reserve_job", session, 4)
    queue.do("bury", session, 4, None, None)
    assert queue.do("kick", "default", 1) == 1
    queue.do("reserve_job", session, 4)
    queue.do("bury", session, 4, None, None)
    queue.do("kick_job", 4, None)
    queue.do("reserve_job", session, 4)
    queue.do("release", session, 4, None, 0, 0)
    queue.do("delete", session, 1, None)
    queue.to(104.0)
    assert [queue.state(i) for i in (2, 3, 4)] == ["ready"] * 3
    assert queue.job(3).past.timeouts == 1
    with pytest.raises(TimedOutError):
        queue.reserve(session)


@pytest.mark.parametrize("event", ["put", "release", "kick", "delay", "ttr", "close"])
def test_a_pause_keeps_every_new_job_from_who_waits(queue: Queue, event: str) -> None:
    owner = queue.session()
    if event != "put":
        queue.put(0, ttr=2, delay=2 if event == "delay" else 0)
    if event in {"release", "ttr", "close"}:
        assert queue.reserve(owner) == 1
    if event == "kick":
        queue.bury(owner, 1)
    before = queue.wait(queue.session())
    queue.do("pause_tube", "default", 5)
    after = queue.wait(queue.session())
    if event == "put":
        queue.put()
    if event == "release":
        queue.do("release", owner, 1, None, 0, 0)
    if event == "kick":
        queue.do("kick", "default", 1)
    if event == "close":
        queue.do("close_session", owner, "closed")
    queue.to(104.0)
    assert queue.state(1) == "ready"
    assert (told(before), told(after)) == (None, None)
    queue.to(105.0)
    assert (told(before), told(after)) == (1, None)


def test_the_job_of_an_open_tube_is_served_even_if_it_is_worse(queue: Queue) -> None:
    queue.put(0, tube="paused")
    queue.put(9, tube="open")
    queue.do("pause_tube", "paused", 100)
    assert queue.reserve_all(queue.session("paused", "open")) == [2]


def test_who_watches_an_open_tube_too_is_served_from_that(queue: Queue) -> None:
    queue.put(0, tube="paused")
    queue.do("pause_tube", "paused", 100)
    waiter = queue.wait(queue.session("paused", "open"))
    queue.put(9, tube="open")
    assert told(waiter) == 2


@pytest.mark.parametrize(("second", "end"), [(2, 103.0), (50, 151.0)])
def test_a_new_pause_replaces_the_old_one(
    queue: Queue, second: float, end: float
) -> None:
    waiter = queue.wait(queue.session())
    queue.do("pause_tube", "default", 10)
    queue.put()
    queue.to(101.0)
    queue.do("pause_tube", "default", second)
    assert queue.engine.next_due() == end
    queue.to(end - 0.5)
    assert told(waiter) is None
    queue.to(end)
    assert told(waiter) == 1


def test_pausing_for_0_ends_a_pause_at_once_and_is_counted(queue: Queue) -> None:
    first, second = queue.wait(queue.session()), queue.wait(queue.session())
    queue.do("pause_tube", "default", 100)
    for priority in (9, 5, 0):
        queue.put(priority)
    queue.do("pause_tube", "default", 0)
    assert (told(first), told(second)) == (3, 2)
    assert queue.state(1) == "ready"
    stats = tube_stats(queue)
    assert (stats["pause"], stats["pause_time_left"]) == (0, 0)
    assert stats["cmd_pause_tube"] == 2


def test_pausing_for_0_a_tube_that_is_not_paused_changes_nothing(queue: Queue) -> None:
    queue.do("pause_tube", "default", 0)
    assert queue.engine.next_due() == float("inf")
    assert tube_stats(queue)["cmd_pause_tube"] == 1


def test_an_unknown_tube_is_not_paused_and_not_made(queue: Queue) -> None:
    with pytest.raises(NotFoundError) as caught:
        queue.do("pause_tube", "t", 5)
    assert caught.value.tube == "t"
    assert queue.do("list_tubes") == ["default"]
    assert queue.engine.cmd_pause_tube == 1


def test_a_pause_as_long_as_can_be_lasts(queue: Queue) -> None:
    queue.put()
    queue.do("pause_tube", "default", 2**32 - 1)
    queue.to(100.0 + 2**32 - 2)
    assert queue.do("reserve", queue.session(), 0) is None
    queue.to(100.0 + 2**32 - 1)
    assert queue.reserve(queue.session()) == 1


def test_the_pause_is_told_as_it_was_given_and_as_what_is_left(queue: Queue) -> None:
    queue.do("pause_tube", "default", 10)
    queue.to(104.0)
    stats = tube_stats(queue)
    assert (stats["pause"], stats["pause_time_left"]) == (10, 6.0)
    queue.to(110.0)
    stats = tube_stats(queue)
    assert (stats["pause"], stats["pause_time_left"]) == (0, 0)


def test_delays_go_on_after_the_end_of_a_pause(queue: Queue) -> None:
    waiter = queue.wait(queue.session())
    queue.do("pause_tube", "default", 1)
    queue.put(0, delay=3)
    queue.to(101.0)
    assert queue.engine.next_due() == 103.0
    queue.to(103.0)
    assert told(waiter) == 1


# The life of a tube


def test_default_exists_for_ever(queue: Queue) -> None:
    session = queue.session("t", used="default")
    queue.do("use", session, "t")
    queue.do("close_session", session, "closed")
    assert queue.do("list_tubes") == ["default"]


def test_use_and_watch_make_a_tube_and_leaving_it_ends_it(queue: Queue) -> None:
    session = queue.session(used="default")
    queue.do("use", session, "a")
    queue.do("watch", session, ["b"])
    assert queue.do("list_tubes") == ["default", "a", "b"]
    assert queue.do("list_tube_used", session) == "a"
    queue.do("use", session, "a")
    assert queue.engine.tubes["a"].using == 1
    queue.do("use", session, "default")
    queue.do("ignore", session, "b")
    assert queue.do("list_tubes") == ["default"]


def test_use_moves_the_puts_of_a_session(queue: Queue) -> None:
    session = queue.producer()
    queue.do("put", session, None, "body", 0, 0, 60)
    queue.do("use", session, "t")
    queue.do("put", session, None, "body", 0, 0, 60)
    assert [queue.job(i).tube.name for i in (1, 2)] == ["default", "t"]
    assert queue.engine.tubes["default"].using == 0


def test_put_may_name_a_tube_for_one_job(queue: Queue) -> None:
    session = queue.producer("a")
    queue.do("put", session, "b", "body", 0, 0, 60)
    assert queue.job(1).tube.name == "b"
    assert queue.do("list_tube_used", session) == "a"


def test_looking_makes_no_tube(queue: Queue) -> None:
    for verb in ("stats_tube", "peek_ready", "peek_delayed", "peek_buried"):
        with pytest.raises(NotFoundError) as caught:
            queue.do(verb, "t")
        assert caught.value.tube == "t"
    assert queue.do("list_tubes") == ["default"]


@pytest.mark.parametrize("state", ["ready", "delayed", "buried", "reserved"])
def test_a_job_in_any_state_keeps_its_tube_alive(queue: Queue, state: str) -> None:
    session = queue.session()
    queue.put(0, delay=9 if state == "delayed" else 0, tube="t")
    if state == "buried":
        queue.bury(session, 1)
    if state == "reserved":
        queue.do("reserve_job", session, 1)
    assert queue.state(1) == state
    assert queue.do("list_tubes") == ["default", "t"]
    queue.do("delete", session, 1, None)
    assert queue.do("list_tubes") == ["default"]


def test_counters_and_pause_die_with_a_tube(queue: Queue) -> None:
    queue.put(tube="t")
    queue.do("pause_tube", "t", 100)
    queue.put(tube="t")
    queue.do("delete", queue.session(), 1, None)
    assert tube_stats(queue, "t")["cmd_delete"] == 1
    queue.do("delete", queue.session(), 2, None)
    with pytest.raises(NotFoundError):
        queue.do("stats_tube", "t")
    assert queue.engine.next_due() == float("inf")
    session = queue.session("t")
    stats = tube_stats(queue, "t")
    dead = ("total_jobs", "cmd_delete", "cmd_pause_tube", "pause", "pause_time_left")
    assert [stats[name] for name in dead] == [0] * 5
    queue.put(tube="t")
    assert queue.reserve(session) == 3
    assert queue.do("stats")["total_jobs"] == 3


def test_the_last_of_several_references_ends_a_tube(queue: Queue) -> None:
    user, watcher = queue.producer("t"), queue.session("t", "default")
    queue.put(tube="t")
    queue.do("delete", user, 1, None)
    queue.do("use", user, "default")
    assert queue.do("list_tubes") == ["default", "t"]
    queue.do("close_session", watcher, "closed")
    assert queue.do("list_tubes") == ["default"]


def test_a_user_alone_keeps_a_tube_through_a_delete(queue: Queue) -> None:
    user = queue.producer("t")
    queue.do("put", user, None, "body", 0, 0, 60)
    queue.do("delete", user, 1, None)
    assert tube_stats(queue, "t")["cmd_delete"] == 1


def test_closing_ends_the_tubes_that_only_the_session_referred_to(
    queue: Queue,
) -> None:
    session = queue.session("a", "b", used="c")
    queue.put(tube="b")
    queue.do("close_session", session, "closed")
    assert sorted(queue.do("list_tubes")) == ["b", "default"]


def test_a_session_may_use_no_tube(queue: Queue) -> None:
    session = queue.session()
    queue.do("use", session, "t")
    assert queue.engine.tubes["t"].using == 1
    queue.do("use", session, "u")
    assert queue.do("list_tubes") == ["default", "u"]


def test_a_tube_listed_twice_at_opening_is_watched_once(queue: Queue) -> None:
    session = queue.session("t", "t")
    assert queue.do("list_tubes_watched", session) == ["t"]
    assert queue.engine.tubes["t"].watching == 1


# Lists


def test_what_leaves_a_list_the_last_one_takes_its_place(queue: Queue) -> None:
    session = queue.session()
    queue.do("watch", session, ["a", "b", "c", "d"])
    queue.do("ignore", session, "a")
    assert queue.do("list_tubes_watched", session) == ["default", "d", "b", "c"]
    assert queue.do("list_tubes") == ["default", "d", "b", "c"]
    queue.do("ignore", session, "c")
    assert queue.do("list_tubes_watched", session) == ["default", "d", "b"]


# Ids, sizes, draining


def test_a_job_that_is_too_big_takes_no_id_and_makes_no_producer(queue: Queue) -> None:
    session = queue.producer()
    with pytest.raises(JobTooBigError) as caught:
        queue.do("refuse_put", 65536, 65535)
    assert (caught.value.size, caught.value.limit) == (65536, 65535)
    stats = queue.do("stats")
    assert (stats["cmd_put"], stats["total_jobs"]) == (1, 0)
    assert stats["current_producers"] == 0
    assert queue.do("put", session, None, "body", 0, 0, 60) == 1


def test_ids_are_never_used_again(queue: Queue) -> None:
    assert queue.put() == 1
    queue.do("delete", queue.session(), 1, None)
    assert queue.put(tube="t") == 2


def test_a_draining_engine_refuses_puts_alone_and_they_take_ids(queue: Queue) -> None:
    session, producer = queue.session(), queue.producer()
    queue.put()
    assert not queue.do("stats")["draining"]
    queue.do("drain")
    with pytest.raises(DrainingError):
        queue.do("put", producer, "t", "body", 0, 0, 60)
    assert next_id(queue.engine) == 3
    assert queue.do("list_tubes") == ["default"]
    assert queue.reserve(session) == 1
    queue.do("release", session, 1, None, 0, 0)
    stats = queue.do("stats")
    assert stats["draining"] is True
    assert (stats["cmd_put"], stats["total_jobs"]) == (2, 1)
    assert stats["current_producers"] == 1


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
        "reserves": 0,
        "timeouts": 0,
        "releases": 0,
        "buries": 0,
        "kicks": 0,
    }
    stats = queue.do("stats_job", 1)
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
    assert queue.do("stats_job", 1) == expected | {
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
    assert [queue.do("stats_job", i)["time_left"] for i in (1, 2)] == [0, 0]


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
    }
    stats = tube_stats(queue, "t")
    assert stats == expected
    assert list(stats) == list(expected)


def test_urgent_are_ready_jobs_of_a_priority_below_1024(queue: Queue) -> None:
    session = queue.session()
    queue.put(1023)
    queue.put(1024)
    queue.put(0, delay=60)
    for stats in (tube_stats(queue), queue.do("stats")):
        assert (stats["current_jobs_urgent"], stats["current_jobs_ready"]) == (1, 2)
    assert queue.reserve(session) == 1
    assert tube_stats(queue)["current_jobs_urgent"] == 0
    queue.do("release", session, 1, None, 3, 0)
    assert tube_stats(queue)["current_jobs_urgent"] == 1
    queue.do("reserve_job", session, 1)
    assert tube_stats(queue)["current_jobs_urgent"] == 0


def test_who_waits_counts_in_each_of_his_tubes_and_once_in_all(queue: Queue) -> None:
    for _ in range(2):
        queue.wait(queue.session("default", "t"))

    def waiting() -> list[int]:
        counts = [tube_stats(queue, tube) for tube in ("default", "t")]
        counts.append(queue.do("stats"))
        return [stats["current_waiting"] for stats in counts]

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
    stats = queue.do("stats")
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
    queue.do("put", producer, None, "body", 5000, 0, 60)
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
    assert queue.do("stats") == expected


def test_producers_and_workers_are_counted_while_they_are_connected(
    queue: Queue,
) -> None:
    session = queue.session(used="default")
    counts = ("current_connections", "current_producers", "current_workers")
    told_before = [queue.do("stats")[name] for name in counts]
    queue.do("put", session, None, "body", 0, 0, 60)
    queue.do("reserve", session, 0)
    told_then = [queue.do("stats")[name] for name in counts]
    queue.do("close_session", session, "closed")
    told_after = [queue.do("stats")[name] for name in counts]
    assert (told_before, told_then, told_after) == ([1, 0, 0], [1, 1, 1], [0, 0, 0])
    assert queue.do("stats")["total_connections"] == 1


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
