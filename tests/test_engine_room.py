"""The engine's limits: who is let in, and when, and what becomes of a waiting put."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from inproc_tubes.errors import (
    ClosedError,
    DeadlockError,
    DrainingError,
    TubeFullError,
)
from inproc_tubes.waiting import Putter
from tests.engine_driver import Queue, next_id, told

if TYPE_CHECKING:
    from collections.abc import Callable

    from inproc_tubes.session import Session


@pytest.fixture
def queue() -> Queue:
    """Make an engine whose tube "default" may have two jobs."""
    queue = Queue()
    queue.do("limit_tube", "default", 2)
    return queue


@pytest.fixture
def producer(queue: Queue) -> Session:
    return queue.producer()


def full(queue: Queue) -> None:
    queue.put()
    queue.put()


def putting(queue: Queue, tube: str = "default") -> int:
    waiting: int = queue.do("stats_tube", tube)["current_putting"]
    return waiting


# Who waits


def test_puts_are_taken_until_the_limit_is_reached(
    queue: Queue, producer: Session
) -> None:
    assert [told(queue.offer(producer)) for _ in range(3)] == [[1], [2], None]
    assert putting(queue) == 1


def test_who_waits_for_room_waits_for_no_job(queue: Queue, producer: Session) -> None:
    full(queue)
    queue.offer(producer)
    assert queue.engine.waiting == 0
    assert queue.engine.all_waiting == 1
    assert queue.do("stats")["current_waiting"] == 0
    assert queue.do("stats_tube", "default")["current_waiting"] == 0


def test_jobs_count_whatever_their_state(queue: Queue, producer: Session) -> None:
    queue.do("limit_tube", "default", 4)
    session = queue.session()
    queue.bury(session, queue.put())
    queue.do("reserve_job", session, queue.put())
    queue.put(delay=9)
    queue.put()
    assert told(queue.offer(producer)) is None


@pytest.mark.parametrize("tube", [None, "default"])
def test_a_put_is_kept_out_of_a_tube_that_it_uses_or_names(
    queue: Queue, tube: str | None
) -> None:
    full(queue)
    session = queue.producer("default" if tube is None else "other")
    assert told(queue.offer(session, tube=tube)) is None


def test_a_put_that_waits_stays_in_its_tube_when_another_is_used(
    queue: Queue, producer: Session
) -> None:
    full(queue)
    putter = queue.offer(producer)
    queue.do("use", producer, "other")
    queue.do("delete", producer, 1, None)
    assert told(putter) == [3]
    assert queue.job(3).tube.name == "default"


def test_a_put_that_finds_no_room_is_counted_once_and_spends_no_id(
    queue: Queue, producer: Session
) -> None:
    full(queue)
    for _ in range(3):
        with pytest.raises(TubeFullError) as info:
            queue.offer(producer, 0)
        assert (info.value.tube, info.value.maxsize, info.value.count) == (
            "default",
            2,
            1,
        )
    assert queue.engine.cmd_put == 5
    queue.do("delete", producer, 1, None)
    assert told(queue.offer(producer, 0)) == [3]


def test_a_refused_put_leaves_no_tube_and_no_waiter_behind(
    queue: Queue, producer: Session
) -> None:
    full(queue)
    with pytest.raises(TubeFullError):
        queue.offer(producer, 0)
    assert queue.engine.all_waiting == 0
    assert not producer.putters
    assert queue.do("stats_tube", "default")["total_jobs"] == 2


def test_there_may_be_room_by_the_time_that_a_put_begins_to_wait(
    queue: Queue, producer: Session
) -> None:
    """A shell takes two turns, and anything may happen between them."""
    full(queue)
    assert queue.do("put", producer, None, "body", 0, 0, 60) == 0
    queue.do("delete", producer, 1, None)
    putter = Putter(producer, 0, None, ["body"], 0, 0, 60)
    queue.do("wait_for_room", putter)
    assert (told(putter), putter.ticket) == ([3], 0)
    assert not queue.engine.answered


def test_the_limit_may_be_gone_by_the_time_that_a_put_begins_to_wait(
    queue: Queue, producer: Session
) -> None:
    queue.do("limit_tube", "default", 0)
    putter = Putter(producer, 0, None, ["body"], 0, 0, 60)
    queue.do("wait_for_room", putter)
    assert told(putter) == [1]


# Who is let in


def vanish(queue: Queue, session: Session) -> None:
    queue.do("delete", session, 1, None)


def vanish_from_a_hand(queue: Queue, session: Session) -> None:
    queue.do("reserve_job", session, 1)
    queue.do("delete", session, 1, None)


def vanish_from_the_grave(queue: Queue, session: Session) -> None:
    queue.bury(session, 1)
    assert putting(queue) == 1
    queue.do("delete", session, 1, None)


def settle(queue: Queue, session: Session) -> None:
    record = queue.do("reserve_job", session, 1)
    queue.do("settle", session, record, record.reservation, False)  # noqa: FBT003 - as a shell calls it


def be_cleared(queue: Queue, _session: Session) -> None:
    queue.do("clear_tube", "default", (queue.job(1).state,))


def get_more_room(queue: Queue, _session: Session) -> None:
    queue.do("limit_tube", "default", 3)


def get_all_the_room(queue: Queue, _session: Session) -> None:
    queue.do("limit_tube", "default", 0)


@pytest.mark.parametrize(
    "leave",
    [
        vanish,
        vanish_from_a_hand,
        vanish_from_the_grave,
        settle,
        be_cleared,
        get_more_room,
        get_all_the_room,
    ],
)
def test_a_put_is_let_in_in_the_instant_in_which_there_is_room(
    queue: Queue, producer: Session, leave: Callable[[Queue, Session], None]
) -> None:
    full(queue)
    putter = queue.offer(producer, 5)
    leave(queue, queue.session())
    assert told(putter) == [3]
    assert queue.engine.answered == [putter]
    assert queue.state(3) == "ready"
    assert queue.engine.all_waiting == 0
    assert queue.engine.next_due() == float("inf")


def test_puts_are_let_in_in_the_order_in_which_they_came(queue: Queue) -> None:
    full(queue)
    putters = [queue.offer(queue.producer()) for _ in range(3)]
    for job_id in (1, 2, 3):
        queue.do("delete", queue.producer(), job_id, None)
    assert [told(putter) for putter in putters] == [[3], [4], [5]]


def test_a_late_put_does_not_overtake_one_that_waits(
    queue: Queue, producer: Session
) -> None:
    queue.put()
    batch = queue.offer(producer, count=2)
    late = queue.offer(producer)
    with pytest.raises(TubeFullError):
        queue.offer(producer, 0)
    assert (told(batch), told(late)) == (None, None)
    queue.do("delete", producer, 1, None)
    assert (told(batch), told(late)) == ([2, 3], None)


def test_room_in_one_tube_is_none_in_another(queue: Queue, producer: Session) -> None:
    queue.do("limit_tube", "other", 1)
    full(queue)
    queue.put(tube="other")
    here, there = queue.offer(producer), queue.offer(producer, tube="other")
    queue.do("delete", producer, 3, None)
    assert (told(here), told(there)) == (None, [4])


def test_a_job_that_is_let_in_is_put_at_that_instant(
    queue: Queue, producer: Session
) -> None:
    full(queue)
    queue.offer(producer, delay=5)
    queue.to(110.0)
    queue.do("delete", producer, 1, None)
    stats = queue.do("stats_job", 3)
    assert (stats["state"], stats["age"], stats["time_left"]) == ("delayed", 0, 5)
    queue.to(115.0)
    assert queue.state(3) == "ready"


def test_a_job_that_is_let_in_goes_to_who_waits_for_it(
    queue: Queue, producer: Session
) -> None:
    queue.do("limit_tube", "default", 1)
    queue.put(delay=9)
    waiter = queue.wait(queue.session())
    putter = queue.offer(producer)
    queue.do("delete", producer, 1, None)
    assert (told(putter), told(waiter)) == ([2], 2)
    assert queue.engine.answered == [waiter, putter]


def test_who_reserves_makes_no_room(queue: Queue, producer: Session) -> None:
    full(queue)
    putter = queue.offer(producer)
    session = queue.session()
    queue.reserve(session)
    queue.do("touch", session, 1, None)
    queue.do("release", session, 1, None, None, 0)
    assert told(putter) is None


@pytest.mark.parametrize("delay", [0, 9])
def test_release_needs_no_room(queue: Queue, producer: Session, delay: int) -> None:
    full(queue)
    session = queue.session()
    queue.reserve(session)
    queue.offer(producer)
    queue.do("limit_tube", "default", 1)
    queue.do("release", session, 1, None, None, delay)
    assert queue.state(1) == ("delayed" if delay else "ready")


def test_kick_and_expiry_and_a_closed_consumer_need_no_room(
    queue: Queue, producer: Session
) -> None:
    queue.do("limit_tube", "default", 0)
    session = queue.session()
    queue.bury(session, queue.put())
    for ttr in (5, 60):
        queue.put(ttr=ttr)
        queue.reserve(session)
    queue.put(delay=7)
    queue.do("limit_tube", "default", 1)
    queue.offer(producer)
    assert queue.do("kick", "default", 1) == 1
    queue.to(105.0)
    queue.do("close_session", session, "closed")
    queue.to(107.0)
    assert [queue.state(job_id) for job_id in (1, 2, 3, 4)] == ["ready"] * 4
    assert putting(queue) == 1


# The limit


def test_a_limit_makes_a_tube_and_keeps_it(queue: Queue) -> None:
    queue.do("limit_tube", "jobs", 1)
    queue.do("delete", queue.producer(), queue.put(tube="jobs"), None)
    assert "jobs" in queue.do("list_tubes")
    assert queue.do("stats_tube", "jobs")["maxsize"] == 1
    queue.do("limit_tube", "jobs", 0)
    assert "jobs" not in queue.do("list_tubes")


def test_no_limit_makes_no_tube(queue: Queue) -> None:
    queue.do("limit_tube", "jobs", 0)
    assert "jobs" not in queue.do("list_tubes")


def test_without_its_limit_a_tube_with_a_job_stays(queue: Queue) -> None:
    queue.put(tube="jobs")
    queue.do("limit_tube", "jobs", 1)
    queue.do("limit_tube", "jobs", 0)
    queue.do("limit_tube", "jobs", 0)
    assert queue.do("stats_tube", "jobs")["maxsize"] == 0
    assert queue.do("stats_tube", "default")["maxsize"] == 2


def test_a_lower_limit_keeps_the_jobs_that_are_in(
    queue: Queue, producer: Session
) -> None:
    full(queue)
    queue.do("limit_tube", "default", 1)
    putter = queue.offer(producer)
    queue.do("delete", producer, 1, None)
    assert told(putter) is None
    queue.do("delete", producer, 2, None)
    assert told(putter) == [3]


def test_a_higher_limit_lets_in_as_many_as_fit(queue: Queue, producer: Session) -> None:
    full(queue)
    putters = [queue.offer(producer) for _ in range(3)]
    queue.do("limit_tube", "default", 4)
    assert [told(putter) for putter in putters] == [[3], [4], None]


# Batches


def test_a_batch_waits_until_all_of_it_fits(queue: Queue, producer: Session) -> None:
    queue.put()
    batch = queue.offer(producer, count=2)
    assert told(batch) is None
    queue.do("delete", producer, 1, None)
    assert told(batch) == [2, 3]
    assert [queue.state(job_id) for job_id in (2, 3)] == ["ready", "ready"]


def test_a_batch_larger_than_the_limit_is_refused_at_once(
    queue: Queue, producer: Session
) -> None:
    with pytest.raises(TubeFullError) as info:
        queue.offer(producer, count=3)
    assert info.value.count == 3
    assert not queue.engine.jobs


def test_a_batch_that_waits_is_refused_when_it_can_never_fit(
    queue: Queue, producer: Session
) -> None:
    full(queue)
    batch, single = queue.offer(producer, count=2), queue.offer(producer)
    queue.do("delete", producer, 1, None)
    assert (told(batch), told(single)) == (None, None)
    queue.do("limit_tube", "default", 1)
    assert (told(batch), told(single)) == (TubeFullError, None)
    queue.do("delete", producer, 2, None)
    assert told(single) == [3]


def test_a_batch_of_none_waits_for_nothing(queue: Queue, producer: Session) -> None:
    full(queue)
    assert told(queue.offer(producer, count=0)) == []


# Timeouts


def test_a_put_times_out_with_the_tube_and_its_limit(
    queue: Queue, producer: Session
) -> None:
    full(queue)
    putter = queue.offer(producer, 5)
    assert queue.engine.next_due() == 105.0
    queue.to(104.9)
    assert told(putter) is None
    queue.to(105.0)
    assert str(putter.outcome) == (
        "tube 'default' has no room for one more job: it may have 2"
    )
    assert queue.engine.answered == [putter]
    assert not producer.putters


def test_who_gives_up_makes_way_for_those_behind(
    queue: Queue, producer: Session
) -> None:
    queue.put()
    batch = queue.offer(producer, 5, count=2)
    single = queue.offer(producer, 9)
    queue.to(105.0)
    assert (told(batch), told(single)) == (TubeFullError, [2])


def test_room_beats_a_timeout_of_the_same_instant(
    queue: Queue, producer: Session
) -> None:
    queue.put()
    batch = queue.offer(producer, 5, count=2)
    single = queue.offer(producer, 5)
    queue.to(105.0)
    assert (told(batch), told(single)) == (TubeFullError, [2])
    assert queue.engine.answered == [batch, single]


def test_a_job_let_in_by_a_timeout_beats_that_of_a_reserve(
    queue: Queue, producer: Session
) -> None:
    queue.put(delay=99)
    waiter = queue.wait(queue.session(), 5)
    queue.offer(producer, 5, count=2)
    queue.offer(producer)
    queue.to(105.0)
    assert told(waiter) == 2


# The end


def test_a_closed_session_takes_its_puts_along(queue: Queue, producer: Session) -> None:
    queue.do("limit_tube", "other", 1)
    queue.put()
    queue.put(tube="other")
    stranger = queue.producer()
    batch = queue.offer(producer, count=2)
    theirs = queue.offer(stranger)
    mine = queue.offer(producer, 7)
    elsewhere = queue.offer(producer, tube="other")
    queue.do("close_session", producer, "closed")
    assert [told(p) for p in (batch, mine, elsewhere)] == [ClosedError] * 3
    assert len({id(p.outcome) for p in (batch, mine, elsewhere)}) == 3
    assert told(theirs) == [3]
    assert queue.engine.next_due() == float("inf")


def test_a_closed_engine_answers_puts_too(queue: Queue, producer: Session) -> None:
    full(queue)
    putter = queue.offer(producer, 5)
    queue.engine.close("over")
    assert told(putter) is ClosedError
    assert queue.engine.answered == [putter]
    assert queue.engine.all_waiting == 0
    assert not producer.putters  # nor their bodies
    queue.engine.withdraw(100.0, putter)


def test_draining_refuses_those_who_wait_and_lets_nobody_in(
    queue: Queue, producer: Session
) -> None:
    queue.put()
    putters = [queue.offer(producer, count=2), queue.offer(producer)]
    queue.do("drain")
    assert [told(putter) for putter in putters] == [DrainingError] * 2
    assert next_id(queue.engine) == 2
    queue.do("delete", producer, 1, None)
    assert not queue.engine.jobs


def test_who_begins_to_wait_while_draining_is_refused(
    queue: Queue, producer: Session
) -> None:
    queue.do("drain")
    with pytest.raises(DrainingError):
        queue.do("wait_for_room", Putter(producer, None, None, ["body"], 0, 0, 60))


def test_a_batch_that_is_refused_while_draining_spends_its_ids(
    queue: Queue, producer: Session
) -> None:
    """As so many puts would, each of them."""
    queue.do("drain")
    with pytest.raises(DrainingError):
        queue.offer(producer, count=3)
    assert (next_id(queue.engine), queue.engine.cmd_put) == (4, 3)


def test_all_who_wait_may_be_told_an_error(queue: Queue, producer: Session) -> None:
    queue.put()
    putters = [queue.offer(producer, count=2), queue.offer(producer)]
    waiter, joiner = queue.wait(queue.session("other")), queue.join()
    queue.engine.answer_all(DeadlockError)
    queue.engine._check()
    assert [told(w) for w in (*putters, waiter, joiner)] == [DeadlockError] * 4
    assert queue.engine.all_waiting == 0


# Interrupted


def test_who_withdraws_leaves_no_trace_and_makes_way(
    queue: Queue, producer: Session
) -> None:
    queue.put()
    batch, single = queue.offer(producer, 5, count=2), queue.offer(producer)
    queue.do("withdraw", batch)
    queue.do("withdraw", batch)
    assert (told(batch), told(single)) == (None, [2])
    assert queue.engine.next_due() == float("inf")


def test_jobs_let_in_for_nobody_are_taken_back(queue: Queue, producer: Session) -> None:
    queue.do("limit_tube", "default", 1)
    queue.put()
    putter, behind = queue.offer(producer, delay=5), queue.offer(producer)
    queue.do("delete", producer, 1, None)
    assert (told(putter), told(behind)) == ([2], None)
    queue.do("withdraw", putter)
    assert told(behind) == [3]
    assert list(queue.engine.jobs) == [3]
    stats = queue.do("stats_tube", "default")
    assert (stats["total_jobs"], stats["cmd_delete"]) == (2, 1)
    assert stats["current_jobs_delayed"] == 0


def test_a_tube_that_held_only_what_is_taken_back_vanishes(
    queue: Queue, producer: Session
) -> None:
    queue.do("limit_tube", "jobs", 1)
    first = queue.put(tube="jobs")
    putter = queue.offer(producer, tube="jobs")
    queue.do("limit_tube", "jobs", 0)
    queue.do("delete", producer, first, None)
    assert told(putter) == [2]
    queue.do("withdraw", putter)
    assert "jobs" not in queue.do("list_tubes")
    assert queue.do("stats")["total_jobs"] == 1


def reserved(queue: Queue, session: Session) -> None:
    queue.do("reserve_job", session, 3)


def buried(queue: Queue, session: Session) -> None:
    queue.bury(session, 3)


def released(queue: Queue, session: Session) -> None:
    queue.do("reserve_job", session, 3)
    queue.do("release", session, 3, None, None, 0)


@pytest.mark.parametrize("use", [reserved, buried, released])
def test_a_job_that_somebody_has_had_is_not_taken_back(
    queue: Queue, producer: Session, use: Callable[[Queue, Session], None]
) -> None:
    full(queue)
    batch = queue.offer(producer, count=2)
    queue.do("clear_tube", "default", (queue.job(1).state,))
    assert told(batch) == [3, 4]
    use(queue, queue.session())
    queue.do("withdraw", batch)
    assert list(queue.engine.jobs) == [3]


def test_a_job_that_is_gone_need_not_be_taken_back(
    queue: Queue, producer: Session
) -> None:
    full(queue)
    putter = queue.offer(producer)
    for job_id in (1, 3):
        queue.do("delete", producer, job_id, None)
    queue.do("withdraw", putter)
    assert list(queue.engine.jobs) == [2]


def test_who_was_told_an_error_has_nothing_to_withdraw(
    queue: Queue, producer: Session
) -> None:
    full(queue)
    putter = queue.offer(producer, 5)
    queue.to(105.0)
    queue.do("withdraw", putter)
    assert told(putter) is TubeFullError


# The check itself


def let_one_wait_who_fits(queue: Queue) -> None:
    queue.engine.tubes["default"].room.maxsize = 3  # type: ignore[union-attr]  # is there


def wait_for_what_never_comes(queue: Queue) -> None:
    queue.engine.tubes["default"].room.maxsize = 0  # type: ignore[union-attr]  # is there


def forget_who_waits(queue: Queue) -> None:
    queue.engine.others.clear()


def forget_whose_it_is(queue: Queue) -> None:
    next(iter(queue.engine.sessions)).putters.clear()


def drain_only_in_name(queue: Queue) -> None:
    queue.engine.draining = True


@pytest.mark.parametrize(
    "harm",
    [
        let_one_wait_who_fits,
        wait_for_what_never_comes,
        forget_who_waits,
        forget_whose_it_is,
        drain_only_in_name,
    ],
)
def test_a_check_finds_what_is_wrong_with_a_waiting_put(
    queue: Queue, producer: Session, harm: Callable[[Queue], Any]
) -> None:
    full(queue)
    queue.offer(producer)
    harm(queue)
    with pytest.raises(AssertionError):
        queue.engine._check()
