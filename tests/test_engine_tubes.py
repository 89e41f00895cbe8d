"""Tubes: pauses, their life, their lists; ids, and draining."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

import pytest

from inproc_tubes.errors import (
    DrainingError,
    JobTooBigError,
    NotFoundError,
    TimedOutError,
)
from tests.engine_driver import Queue, next_id, told

if TYPE_CHECKING:
    from inproc_tubes.core.statistics import TubeStats


@pytest.fixture
def queue() -> Queue:
    return Queue()


def tube_stats(queue: Queue, tube: str = "default") -> TubeStats:
    stats: TubeStats = queue.do("stats_tube", tube)
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
    assert queue.job(3).timeouts == 1
    with pytest.raises(TimedOutError):
        queue.reserve(session)


@pytest.mark.parametrize("event", ["put", "release", "kick", "delay", "ttr", "close"])
def test_a_pause_keeps_every_new_job_from_a_waiting_reserve(
    queue: Queue, event: str
) -> None:
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


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("watched", [["default"], ["default", "other"]])
@pytest.mark.parametrize(
    "order",
    [
        ("pause", "put", "wait"),
        ("pause", "wait", "put"),
        ("put", "pause", "wait"),
        ("wait", "pause", "put"),
    ],
)
def test_a_put_into_a_paused_tube_is_kept_whether_a_reserve_waits_or_not(
    queue: Queue, order: tuple[str, ...], watched: list[str], count: int
) -> None:
    session, producer = queue.session(*watched), queue.producer()
    requests = []
    for step in order:
        if step == "pause":
            queue.do("pause_tube", "default", 5)
        elif step == "put":
            assert queue.offer(producer, count=count).outcome is not None
        else:
            requests += [queue.wait(session), queue.wait(queue.session())]
    queue.to(104.5)
    assert [told(request) for request in requests] == [None, None]
    assert queue.do("stats_tube", "default").current_jobs_ready == count
    queue.to(105.0)
    assert [told(r) for r in requests] == ([1, 2] if count > 1 else [1, None])


def test_the_job_of_an_open_tube_is_served_even_if_it_is_worse(queue: Queue) -> None:
    queue.put(0, tube="paused")
    queue.put(9, tube="open")
    queue.do("pause_tube", "paused", 100)
    assert queue.reserve_all(queue.session("paused", "open")) == [2]


def test_a_session_that_watches_an_open_tube_too_is_served_from_that(
    queue: Queue,
) -> None:
    queue.put(0, tube="paused")
    queue.do("pause_tube", "paused", 100)
    request = queue.wait(queue.session("paused", "open"))
    queue.put(9, tube="open")
    assert told(request) == 2


@pytest.mark.parametrize(("second", "end"), [(2, 103.0), (50, 151.0)])
def test_a_new_pause_replaces_the_old_one(
    queue: Queue, second: float, end: float
) -> None:
    request = queue.wait(queue.session())
    queue.do("pause_tube", "default", 10)
    queue.put()
    queue.to(101.0)
    queue.do("pause_tube", "default", second)
    assert queue.next_due() == end
    queue.to(end - 0.5)
    assert told(request) is None
    queue.to(end)
    assert told(request) == 1


def test_pausing_for_0_ends_a_pause_at_once_and_is_counted(queue: Queue) -> None:
    first, second = queue.wait(queue.session()), queue.wait(queue.session())
    queue.do("pause_tube", "default", 100)
    for priority in (9, 5, 0):
        queue.put(priority)
    queue.do("pause_tube", "default", 0)
    assert (told(first), told(second)) == (3, 2)
    assert queue.state(1) == "ready"
    stats = tube_stats(queue)
    assert (stats.pause, stats.pause_time_left) == (0, 0)
    assert stats.cmd_pause_tube == 2


def test_pausing_for_0_a_tube_that_is_not_paused_changes_nothing(queue: Queue) -> None:
    queue.do("pause_tube", "default", 0)
    assert queue.next_due() == inf
    assert tube_stats(queue).cmd_pause_tube == 1


def test_an_unknown_tube_is_not_paused_and_not_made(queue: Queue) -> None:
    with pytest.raises(NotFoundError) as caught:
        queue.do("pause_tube", "t", 5)
    assert caught.value.tube == "t"
    assert queue.do("list_tubes") == ["default"]
    assert queue.count("cmd_pause_tube") == 1


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
    assert (stats.pause, stats.pause_time_left) == (10, 6.0)
    queue.to(110.0)
    stats = tube_stats(queue)
    assert (stats.pause, stats.pause_time_left) == (0, 0)


def test_delays_go_on_after_the_end_of_a_pause(queue: Queue) -> None:
    request = queue.wait(queue.session())
    queue.do("pause_tube", "default", 1)
    queue.put(0, delay=3)
    queue.to(101.0)
    assert queue.next_due() == 103.0
    queue.to(103.0)
    assert told(request) == 1


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
    queue.put_from(session)
    queue.do("use", session, "t")
    queue.put_from(session)
    assert [queue.job(i).tube for i in (1, 2)] == ["default", "t"]
    assert queue.engine.tubes["default"].using == 0


def test_put_may_name_a_tube_for_one_job(queue: Queue) -> None:
    session = queue.producer("a")
    queue.put_from(session, tube="b")
    assert queue.job(1).tube == "b"
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
    assert tube_stats(queue, "t").cmd_delete == 1
    queue.do("delete", queue.session(), 2, None)
    with pytest.raises(NotFoundError):
        queue.do("stats_tube", "t")
    assert queue.next_due() == inf
    session = queue.session("t")
    stats = tube_stats(queue, "t")
    assert (stats.total_jobs, stats.cmd_delete, stats.cmd_pause_tube) == (0, 0, 0)
    assert (stats.pause, stats.pause_time_left) == (0, 0)
    queue.put(tube="t")
    assert queue.reserve(session) == 3
    assert queue.count("total_jobs") == 3


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
    queue.put_from(user)
    queue.do("delete", user, 1, None)
    assert tube_stats(queue, "t").cmd_delete == 1


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
        queue.do("refuse_put", session, 65536, 65535, 1)
    assert (caught.value.size, caught.value.limit) == (65536, 65535)
    stats = queue.do("broker_counts")
    assert (stats["cmd_put"], stats["total_jobs"]) == (1, 0)
    assert stats["current_producers"] == 0
    assert queue.put_from(session) == 1


def test_ids_are_never_used_again(queue: Queue) -> None:
    assert queue.put() == 1
    queue.do("delete", queue.session(), 1, None)
    assert queue.put(tube="t") == 2


def test_a_draining_engine_refuses_puts_alone_and_they_take_ids(queue: Queue) -> None:
    session, producer = queue.session(), queue.producer()
    queue.put()
    assert not queue.count("draining")
    queue.do("drain")
    with pytest.raises(DrainingError):
        queue.put_from(producer, tube="t")
    assert next_id(queue.engine) == 3
    assert queue.do("list_tubes") == ["default"]
    assert queue.reserve(session) == 1
    queue.do("release", session, 1, None, 0, 0)
    stats = queue.do("broker_counts")
    assert stats["draining"] is True
    assert (stats["cmd_put"], stats["total_jobs"]) == (2, 1)
    assert stats["current_producers"] == 1
