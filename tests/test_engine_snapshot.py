"""Everything in one instant: the statistics of all there is, and who holds what."""

from __future__ import annotations

from typing import Any

from inproc_tubes.core.statistics import HandleStats, HeldJob
from tests.engine_driver import Queue, held


def handles(queue: Queue) -> list[HandleStats]:
    """Return all handles."""
    _, _, _, found = queue.do("everything")
    return list(found)


def handle(name: str, kind: Any, **more: Any) -> HandleStats:
    """Return a handle that has no more than this."""
    nothing: dict[str, Any] = {
        "using": None,
        "watching": (),
        "waiting": 0,
        "putting": 0,
        "holds": (),
    }
    return HandleStats(name=name, kind=kind, **(nothing | more))


def holds(queue: Queue) -> list[tuple[int, float, float]]:
    """Return what the only handle that holds jobs holds, since when, and how long."""
    (jobs,) = [handle.holds for handle in handles(queue) if handle.holds]
    return [(job.id, job.reserved_at, job.time_left) for job in jobs]


def test_there_is_each_tube_and_each_session_and_the_moment() -> None:
    queue = Queue()
    queue.producer("a").name = "shop"
    packer = queue.session("a", "b")
    packer.name = "packer"
    client = queue.session(used="default")
    client.stops = False
    queue.put(tube="a", ttr=60)
    queue.reserve(packer)
    queue.wait(packer)
    queue.to(103.0)
    now, counts, tubes, (*_, shop, packing, last) = queue.do("everything")
    assert now == 103.0
    assert (1, 1) == (counts["current_jobs_reserved"], counts["current_waiting"])
    assert list(tubes) == ["default", "a", "b"]
    for name, stats in tubes.items():
        assert queue.do("stats_tube", name) == stats
    job = HeldJob(id=1, tube="a", reserved_at=100.0, time_left=57.0)
    assert shop == handle("shop", "producer", using="a")
    watching = ("a", "b")
    expected = handle("packer", "consumer", watching=watching, waiting=1, holds=(job,))
    assert packing == expected
    wired = handle("", "connection", using="default", watching=("default",))
    assert last == wired


def test_it_counts_as_one_look_at_the_statistics_and_as_nothing_else() -> None:
    queue = Queue()
    queue.producer("a")
    before = queue.do("broker_counts")
    _, counts, _, _ = queue.do("everything")
    changed = {key: n - before[key] for key, n in counts.items() if n != before[key]}
    assert {"cmd_stats": 1} == changed


def test_a_put_that_waits_is_told_of() -> None:
    queue = Queue()
    queue.do("limit_tube", "default", 1)
    producer = queue.producer()
    queue.offer(producer)
    queue.offer(producer, count=1)
    assert [1] == [each.putting for each in handles(queue) if each.using == "default"]


def test_a_job_that_was_touched_is_held_since_it_was_reserved() -> None:
    queue = Queue()
    session = queue.session()
    for _ in range(2):
        queue.put(ttr=60)
    queue.reserve_all(session)
    for moment, left in ((110.0, 60.0), (130.0, 60.0)):
        queue.to(moment)
        queue.do("touch", session, 1, None)
        assert [(1, 100.0, left), (2, 100.0, 160.0 - moment)] == holds(queue)


def test_each_reservation_begins_anew() -> None:
    queue = Queue()
    session = queue.session()
    queue.put(ttr=60)
    for moment in (100.0, 110.0, 120.0):
        queue.to(moment)
        queue.reserve(session)
        queue.to(moment + 5)
        queue.do("touch", session, 1, None)
        assert [(1, moment, 60.0)] == holds(queue)
        queue.do("release", session, 1, None, None, 0)
    assert [] == [handle for handle in handles(queue) if handle.holds]


def test_a_withdrawn_reservation_has_never_begun() -> None:
    queue = Queue()
    session = queue.session()
    request = queue.wait(session)
    queue.put(ttr=60)
    queue.to(110.0)
    queue.do("touch", session, 1, None)
    queue.do("withdraw", request)
    queue.to(120.0)
    queue.reserve(session)
    assert [(1, 120.0, 60.0)] == holds(queue)


def test_a_session_that_was_dropped_stays_while_its_user_has_its_job() -> None:
    queue = Queue()
    session = queue.session()
    queue.put(ttr=60)
    job = queue.do("reserve", session, 0)
    queue.do("abandon", session, "dropped")
    assert [(1, 100.0, 60.0)] == holds(queue)
    assert [1] == held(session) == [job.id]
    queue.do("release", session, 1, job, None, 0)
    assert [] == [handle for handle in handles(queue) if handle.holds]
