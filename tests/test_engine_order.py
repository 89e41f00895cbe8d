"""Who is served with what, in which order."""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING

import pytest

from inproc_tubes.errors import DeadlineSoonError, TimedOutError, TubeFullError
from tests.engine_driver import Queue, held, told

if TYPE_CHECKING:
    from inproc_tubes.core.schedule import AnyRequest


@pytest.fixture
def queue() -> Queue:
    return Queue()


# Ready jobs


def test_ready_jobs_are_served_by_priority_and_then_by_id(queue: Queue) -> None:
    for priority in (5, 2**32 - 1, 0, 5, 1024, 0, 1023):
        queue.put(priority)
    assert queue.reserve_all(queue.session()) == [3, 6, 1, 4, 7, 5, 2]


def test_a_released_job_regains_its_place_by_id(queue: Queue) -> None:
    session = queue.session()
    for _ in range(3):
        queue.put(7)
    assert queue.reserve(session) == 1
    queue.do("release", session, 1, None, 7, 0)
    assert queue.reserve_all(session) == [1, 2, 3]


def test_a_job_released_with_another_priority_is_served_by_that(queue: Queue) -> None:
    session = queue.session()
    for _ in range(3):
        queue.put(7)
    assert queue.reserve(session) == 1
    queue.do("release", session, 1, None, 8, 0)
    assert queue.reserve_all(session) == [2, 3, 1]


def test_a_kicked_job_regains_its_place_by_id(queue: Queue) -> None:
    session = queue.session()
    for _ in range(4):
        queue.put(7)
    queue.bury(session, 2)
    queue.bury(session, 1)
    assert queue.do("kick", "default", 1) == 1
    queue.do("kick_job", 1, None)
    assert queue.reserve_all(session) == [1, 2, 3, 4]


def test_an_expired_job_regains_its_place_by_id(queue: Queue) -> None:
    session = queue.session()
    for _ in range(3):
        queue.put(7, ttr=10)
    assert queue.reserve(session) == 1
    queue.to(110.0)
    assert queue.reserve_all(session) == [1, 2, 3]


def test_a_matured_job_overtakes_younger_ones(queue: Queue) -> None:
    session = queue.session()
    queue.put(7, delay=1)
    queue.put(7)
    queue.put(7)
    queue.to(101.0)
    assert queue.reserve_all(session) == [1, 2, 3]


def test_the_jobs_of_a_closed_session_regain_their_places(queue: Queue) -> None:
    owner = queue.session()
    for _ in range(3):
        queue.put(7)
    assert queue.reserve(owner) == 1
    assert queue.reserve(owner) == 2
    queue.do("close_session", owner, "closed")
    assert queue.reserve_all(queue.session()) == [1, 2, 3]


@pytest.mark.parametrize("watched", list(permutations(["t1", "t2", "t3"])))
def test_the_best_job_of_all_watched_tubes_is_served_whatever_their_order(
    queue: Queue, watched: tuple[str, ...]
) -> None:
    session = queue.session(*watched)
    for tube, priority in [("t1", 5), ("t2", 5), ("t1", 5), ("t2", 1), ("t3", 5)]:
        queue.put(priority, tube=tube)
    queue.put(0, tube="unwatched")
    assert queue.reserve_all(session) == [4, 1, 2, 3, 5]


# Delayed jobs


def test_delayed_jobs_mature_by_their_moments_and_then_by_id(queue: Queue) -> None:
    for delay in (50, 20, 90, 20):
        queue.put(0, delay=delay)
    order = []
    while len(queue.engine.tubes["default"].delayed):
        order.append(queue.do("peek_delayed", "default").id)
        assert queue.do("kick", "default", 1) == 1
    assert order == [2, 4, 1, 3]


def test_a_delay_counts_from_its_own_put(queue: Queue) -> None:
    queue.put(0, delay=10)
    queue.to(105.0)
    queue.put(0, delay=4)
    assert queue.do("peek_delayed", "default").id == 2
    assert queue.next_due() == 109.0


def test_jobs_due_in_one_tick_reach_a_waiting_reserve_by_their_moments(
    queue: Queue,
) -> None:
    """Not the best of them: each is offered as it becomes ready."""
    request = queue.wait(queue.session())
    queue.put(10, delay=1.0)
    queue.put(0, delay=1.02)
    queue.to(102.0)
    assert told(request) == 1
    assert queue.state(2) == "ready"


def test_jobs_due_in_one_tick_queue_by_priority_if_no_reserve_waits(
    queue: Queue,
) -> None:
    queue.put(10, delay=1.0)
    queue.put(0, delay=1.02)
    queue.to(102.0)
    assert queue.reserve_all(queue.session()) == [2, 1]


def test_of_several_tubes_the_soonest_delayed_job_is_first(queue: Queue) -> None:
    request = queue.wait(queue.session("t1", "t2"))
    queue.put(0, delay=2, tube="t1")
    queue.put(9, delay=1, tube="t2")
    queue.to(103.0)
    assert told(request) == 2


def test_jobs_due_at_one_moment_are_first_by_the_places_of_their_tubes(
    queue: Queue,
) -> None:
    request = queue.wait(queue.session("t1", "t2"))
    queue.put(0, delay=1, tube="t2")
    queue.put(9, delay=1, tube="t1")
    queue.put(0, delay=1, tube="t1")
    queue.to(101.0)
    assert told(request) == 2


# Buried jobs


def test_buried_jobs_are_kicked_in_the_order_of_burying(queue: Queue) -> None:
    session = queue.session()
    for _ in range(3):
        queue.put(5)
    for job_id, priority in [(3, 7), (1, 9), (2, 5)]:
        queue.bury(session, job_id, priority)
    assert queue.do("peek_buried", "default").id == 3
    assert queue.do("kick", "default", 2) == 2
    assert queue.do("peek_buried", "default").id == 2
    assert queue.reserve_all(session) == [3, 1]


def test_a_job_buried_again_goes_to_the_end(queue: Queue) -> None:
    session = queue.session()
    for _ in range(2):
        queue.put()
    for job_id in (1, 2, 1):
        queue.bury(session, job_id)
    assert queue.do("peek_buried", "default").id == 2


def test_kick_never_mixes_buried_and_delayed(queue: Queue) -> None:
    session = queue.session()
    queue.put()
    queue.put(0, delay=50)
    queue.bury(session, 1)
    assert [queue.do("kick", "default", 10) for _ in range(3)] == [1, 1, 0]


def test_kick_makes_no_more_than_bound_jobs_ready(queue: Queue) -> None:
    session = queue.session()
    for _ in range(3):
        queue.put()
    for job_id in (1, 2, 3):
        queue.bury(session, job_id)
    assert queue.do("kick", "default", 0) == 0
    assert queue.do("kick", "default", 2) == 2
    assert [queue.state(i) for i in (1, 2, 3)] == ["ready", "ready", "buried"]


def test_kick_takes_the_soonest_delayed_first(queue: Queue) -> None:
    for delay in (50, 20, 90):
        queue.put(0, delay=delay)
    assert queue.do("kick", "default", 1) == 1
    assert queue.do("peek_ready", "default").id == 2
    assert queue.state(1) == queue.state(3) == "delayed"


@pytest.mark.parametrize("state", ["delayed", "buried"])
def test_kick_s_bound_may_be_any_number_of_jobs(queue: Queue, state: str) -> None:
    session = queue.session()
    for job_id in range(1, 301):
        queue.put(0, delay=50 if state == "delayed" else 0)
        if state == "buried":
            queue.bury(session, job_id)
    bounds = (63, 64, 65, 2**32)
    assert [queue.do("kick", "default", n) for n in bounds] == [63, 64, 65, 108]
    assert queue.reserve_all(session) == list(range(1, 301))


def test_kick_concerns_one_tube_and_kick_job_any(queue: Queue) -> None:
    queue.put(0, delay=50, tube="t")
    assert queue.do("kick", "default", 5) == 0
    assert queue.do("kick", "no-such-tube", 5) == 0
    assert "no-such-tube" not in queue.engine.tubes
    queue.do("kick_job", 1, None)
    assert queue.state(1) == "ready"


# Hand-off: eager, and one job at a time


def test_a_job_put_while_a_reserve_waits_is_reserved_when_put_returns(
    queue: Queue,
) -> None:
    request = queue.wait(queue.session())
    assert told(request) is None
    job_id = queue.put(9, ttr=30)
    job = queue.job(job_id)
    assert told(request) == job_id
    assert (queue.state(job_id), job.reserves) == ("reserved", 1)
    assert (job._holder, job._due_at) == (request.session.holder, 130.0)
    assert request.session.held.get(job_id) is job is request.outcome
    assert queue.answered == [request]


def test_kick_hands_over_the_longest_buried_not_the_best(queue: Queue) -> None:
    session = queue.session()
    queue.put(9)
    queue.put(0)
    queue.bury(session, 1)
    queue.bury(session, 2)
    request = queue.wait(queue.session())
    assert queue.do("kick", "default", 2) == 2
    assert told(request) == 1
    assert queue.state(2) == "ready"


def test_kick_job_hands_over_at_once(queue: Queue) -> None:
    queue.put(9, delay=50)
    request = queue.wait(queue.session())
    queue.do("kick_job", 1, None)
    assert told(request) == 1
    assert (queue.job(1).kicks, queue.job(1).reserves) == (1, 1)


def test_closing_hands_over_what_was_reserved_first_not_the_best(queue: Queue) -> None:
    owner = queue.session()
    queue.put(3)
    assert queue.reserve(owner) == 1
    queue.put(1)
    assert queue.reserve(owner) == 2
    request = queue.wait(queue.session())
    queue.do("close_session", owner, "closed")
    assert told(request) == 1
    assert queue.state(2) == "ready"


def test_several_expiries_in_one_tick_hand_over_the_earliest(queue: Queue) -> None:
    owner, other = queue.session(), queue.session()
    queue.put(0, ttr=6)
    queue.put(9, ttr=5)
    assert queue.reserve(owner) == 1
    assert queue.reserve(other) == 2
    request = queue.wait(queue.session())
    queue.to(107.0)
    assert told(request) == 2
    assert queue.state(1) == "ready"


def test_expiries_of_one_moment_hand_over_what_was_reserved_first(
    queue: Queue,
) -> None:
    owner = queue.session()
    queue.put(9, ttr=5)
    assert queue.reserve(owner) == 1
    queue.put(0, ttr=5)
    assert queue.reserve(owner) == 2
    request = queue.wait(queue.session())
    queue.to(105.0)
    assert told(request) == 1


def test_release_hands_over_that_very_job_whatever_its_priority(queue: Queue) -> None:
    owner = queue.session("default", "open")
    queue.put(0, tube="open")
    queue.put(0)
    assert queue.reserve(owner) == 1
    assert queue.reserve(owner) == 2
    request = queue.wait(queue.session("default", "open"))
    queue.do("release", owner, 1, None, 2**32 - 1, 0)
    queue.do("release", owner, 2, None, 0, 0)
    assert told(request) == 1
    assert queue.state(2) == "ready"


def test_at_the_end_of_a_pause_the_best_job_is_handed_over(queue: Queue) -> None:
    request = queue.wait(queue.session())
    second = queue.wait(queue.session())
    queue.do("pause_tube", "default", 5)
    for priority in (9, 0, 5):
        queue.put(priority)
    queue.to(105.0)
    assert (told(request), told(second)) == (2, 3)
    assert queue.state(1) == "ready"


# What falls due in one instant


def test_a_matured_job_beats_a_timeout_that_ended_before_it(queue: Queue) -> None:
    """In one late tick the delays come first, as in prottick."""
    request = queue.wait(queue.session(), 1.0)
    queue.put(0, delay=1.05)
    queue.to(102.0)
    assert told(request) == 1


def test_a_matured_job_beats_a_timeout_of_the_same_instant(queue: Queue) -> None:
    request = queue.wait(queue.session(), 1.0)
    queue.put(0, delay=1.0)
    queue.to(101.0)
    assert told(request) == 1


@pytest.mark.parametrize("pause", [1.0, 1.05])
def test_the_end_of_a_pause_beats_a_timeout(queue: Queue, pause: float) -> None:
    request = queue.wait(queue.session(), 1.0)
    queue.do("pause_tube", "default", pause)
    queue.put()
    queue.to(102.0)
    assert told(request) == 1


@pytest.mark.parametrize("verb", ["delay", "pause"])
def test_delays_and_pauses_beat_deadline_soon(queue: Queue, verb: str) -> None:
    session = queue.session()
    queue.put(0, ttr=3)
    assert queue.reserve(session) == 1
    request = queue.wait(session)
    if verb == "delay":
        queue.put(0, delay=2.0)
    else:
        queue.do("pause_tube", "default", 2.0)
        queue.put()
    queue.to(102.0)
    assert told(request) == 2


def test_an_expiry_beats_a_timeout_of_the_same_instant(queue: Queue) -> None:
    waiting_session = queue.session()
    owner = queue.session()
    queue.put(0, ttr=5)
    assert queue.reserve(owner) == 1
    request = queue.wait(waiting_session, 5.0)
    queue.to(105.0)
    assert told(request) == 1


@pytest.mark.parametrize(
    ("timeout", "answer"), [(4.9, TimedOutError), (5.0, 1), (5.1, 1)]
)
def test_between_an_expiry_and_a_timeout_the_earlier_wins_in_a_late_tick(
    queue: Queue, timeout: float, answer: object
) -> None:
    owner = queue.session()
    queue.put(0, ttr=5)
    assert queue.reserve(owner) == 1
    request = queue.wait(queue.session(), timeout)
    queue.to(110.0)
    assert told(request) == answer


def test_an_expired_job_of_another_beats_deadline_soon(queue: Queue) -> None:
    """Both fall into one instant, and a job is better than an error."""
    session, other = queue.session(), queue.session()
    queue.put(0, ttr=3)
    queue.put(0, ttr=2)
    assert queue.reserve(session) == 1
    assert queue.reserve(other) == 2
    request = queue.wait(session)
    queue.to(102.0)
    assert told(request) == 2


def test_a_deadline_beats_a_timeout_of_the_same_instant(queue: Queue) -> None:
    session = queue.session()
    queue.put(0, ttr=3)
    assert queue.reserve(session) == 1
    request = queue.wait(session, 2.0)
    queue.to(102.0)
    assert told(request) is DeadlineSoonError


@pytest.mark.parametrize("order", list(permutations(["put", "reserve", "join"])))
def test_in_one_instant_puts_time_out_first_then_reserves_then_joins(
    queue: Queue, order: tuple[str, ...]
) -> None:
    """In whatever order they came. Of one kind the first that came is first."""
    queue.do("limit_tube", "full", 1)
    queue.put(tube="full")
    producer, consumer = queue.producer("full"), queue.session()
    requests: dict[str, list[AnyRequest]] = {kind: [] for kind in order}
    for kind in (*order, *reversed(order)):
        if kind == "put":
            requests[kind].append(queue.offer(producer, 5))
        elif kind == "reserve":
            requests[kind].append(queue.wait(consumer, 5))
        else:
            requests[kind].append(queue.join(timeout=5))
    queue.to(105.0)
    assert queue.answered == [
        *requests["put"],
        *requests["reserve"],
        *requests["join"],
    ]
    answers = [told(request) for request in queue.answered]
    assert answers == [TubeFullError] * 2 + [TimedOutError] * 4


def test_in_one_instant_a_delete_answers_the_reserve_then_the_put_then_the_join(
    queue: Queue,
) -> None:
    """The put lets its job in, which is the reserve's, and then it is answered."""
    queue.do("limit_tube", "default", 1)
    queue.put(delay=99)
    reserve = queue.wait(queue.session())
    put = queue.offer(queue.producer())
    session = queue.session()
    queue.do("delete", session, 1, None)
    join = queue.join("default")
    queue.do("delete", reserve.session, 2, None)
    assert queue.answered == [reserve, put, join]


def test_delays_come_before_pauses(queue: Queue) -> None:
    """So at the end of the pause the job that matures then takes part."""
    request = queue.wait(queue.session())
    queue.do("pause_tube", "default", 5)
    queue.put(9)
    queue.put(0, delay=5)
    queue.to(105.0)
    assert told(request) == 2


def test_a_delay_in_an_open_tube_comes_before_the_end_of_a_pause(queue: Queue) -> None:
    request = queue.wait(queue.session("paused", "open"))
    queue.do("pause_tube", "paused", 1)
    queue.put(0, tube="paused")
    queue.put(9, delay=2, tube="open")
    queue.to(103.0)
    assert told(request) == 2


def test_pauses_end_in_the_order_of_the_tubes(queue: Queue) -> None:
    request = queue.wait(queue.session("t1", "t2"))
    queue.do("pause_tube", "t2", 1)
    queue.do("pause_tube", "t1", 2)
    queue.put(0, tube="t2")
    queue.put(9, tube="t1")
    queue.to(103.0)
    assert told(request) == 2


@pytest.mark.parametrize("step", [0.25, 3.0])
def test_a_session_that_was_told_deadline_soon_holds_no_hidden_job(
    queue: Queue, step: float
) -> None:
    """Late or not: beanstalkd, when late, reserves the job again and conceals it."""
    session = queue.session()
    queue.put(0, ttr=2)
    assert queue.reserve(session) == 1
    request = queue.wait(session)
    while queue.now < 103.0:
        queue.to(queue.now + step)
    job = queue.job(1)
    assert told(request) is DeadlineSoonError
    assert queue.state(1) == "ready"
    assert (job.reserves, job.timeouts) == (1, 1)
    assert held(session) == []
    queue.do("delete", queue.session(), 1, None)


def test_a_reserve_without_warning_is_given_its_session_s_own_expired_job(
    queue: Queue,
) -> None:
    session = queue.session()
    queue.put(0, ttr=2)
    assert queue.reserve(session) == 1
    request = queue.wait(session, told_of_deadlines=False)
    queue.to(101.5)
    assert told(request) is None
    assert queue.next_due() == 102.0
    queue.to(102.0)
    assert told(request) == 1
    assert (queue.job(1).reserves, queue.job(1).timeouts) == (2, 1)
