"""Unique jobs: what becomes of a put whose key is in use."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from inproc_tubes.core.keys import SWEEP_FLOOR, Keys
from inproc_tubes.core.making import new_job
from inproc_tubes.core.requests import PutRequest
from inproc_tubes.errors import DrainingError, DuplicateJobError, TubeFullError
from tests.engine_driver import Holder, Queue, Sleeper, held, told

if TYPE_CHECKING:
    from inproc_tubes.core.record import AnyJob
    from inproc_tubes.core.session import Session

MODES = ("raise", "keep", "replace")


@pytest.fixture
def queue() -> Queue:
    return Queue()


@pytest.fixture
def producer(queue: Queue) -> Session:
    return queue.producer()


def keyed(*keys: str | None, delay: float = 0) -> list[AnyJob]:
    jobs: list[AnyJob] = [new_job("body", 0, delay, 60) for _ in keys]
    for job, key in zip(jobs, keys, strict=True):
        job._own_history().key = key
    return jobs


def put(
    queue: Queue,
    session: Session,
    *keys: str | None,
    mode: str = "raise",
    tube: str | None = None,
    timeout: float | None = None,
) -> PutRequest:
    """Put jobs with these keys, and wait for room if need be."""
    jobs = keyed(*keys)
    request = PutRequest(session, timeout, jobs, tube or "", mode)
    request.outcome = queue.do("put_many", session, jobs, tube, mode)
    if request.outcome is None:
        request.sleeper = Sleeper(queue, request)
        queue.do("wait_to_put", request)
    return request


def found(queue: Queue, key: str, tube: str = "default") -> int | None:
    job = queue.do("find_key", Holder(queue.engine.jobs), tube, key)
    return None if job is None else job.id


# In whatever state


def ready(queue: Queue, session: Session) -> None:
    put(queue, session, "a")


def delayed(queue: Queue, session: Session) -> None:
    queue.do("put_many", session, keyed("a", delay=5), None, "raise")


def buried(queue: Queue, session: Session) -> None:
    put(queue, session, "a")
    queue.bury(queue.session(), 1)


def reserved(queue: Queue, session: Session) -> None:
    put(queue, session, "a")
    queue.reserve(queue.session())


STATES = [ready, delayed, buried, reserved]


@pytest.mark.parametrize("state", STATES)
def test_a_second_put_of_a_key_is_refused_whatever_the_state_of_the_first(
    queue: Queue, producer: Session, state: object
) -> None:
    assert callable(state)
    state(queue, producer)
    with pytest.raises(DuplicateJobError) as info:
        put(queue, producer, "a")
    error = info.value
    assert (error.key, error.tube, error.job_id) == ("a", "default", 1)
    assert queue.do("stats_tube", "default").total_jobs == 1
    assert queue.count("cmd_put") == 2
    # Its id is not spent.
    assert told(put(queue, producer, "b")) == [2]


@pytest.mark.parametrize("state", STATES)
def test_a_put_that_keeps_is_answered_the_id_that_is_there(
    queue: Queue, producer: Session, state: object
) -> None:
    assert callable(state)
    state(queue, producer)
    before = queue.state(1)
    assert told(put(queue, producer, "a", mode="keep")) == [1]
    assert queue.state(1) == before
    assert queue.do("stats_tube", "default").total_jobs == 1


@pytest.mark.parametrize("state", [ready, delayed, buried])
def test_a_put_that_replaces_deletes_a_job_that_nobody_holds(
    queue: Queue, producer: Session, state: object
) -> None:
    assert callable(state)
    state(queue, producer)
    assert told(put(queue, producer, "a", mode="replace")) == [2]
    stats = queue.do("stats_tube", "default")
    assert (stats.total_jobs, stats.cmd_delete) == (2, 1)
    assert found(queue, "a") == 2
    assert 1 not in queue.engine.jobs


def test_a_job_that_somebody_holds_is_not_replaced(
    queue: Queue, producer: Session
) -> None:
    reserved(queue, producer)
    with pytest.raises(DuplicateJobError):
        put(queue, producer, "a", mode="replace")
    assert queue.state(1) == "reserved"


@pytest.mark.parametrize("mode", MODES)
def test_a_key_that_is_not_in_use_is_put_in_every_mode(
    queue: Queue, producer: Session, mode: str
) -> None:
    assert told(put(queue, producer, "a", "b", None, mode=mode)) == [1, 2, 3]


def test_a_key_dies_with_its_job(queue: Queue, producer: Session) -> None:
    put(queue, producer, "a")
    queue.do("delete", producer, 1, None)
    assert found(queue, "a") is None
    assert told(put(queue, producer, "a")) == [2]


def test_a_key_survives_the_release_of_its_job(queue: Queue, producer: Session) -> None:
    put(queue, producer, "a")
    session = queue.session()
    for _ in range(2):  # renewed, the second time
        queue.reserve(session)
        queue.do("release", session, 1, None, None, 0)
    assert found(queue, "a") == 1
    assert queue.job(1).key == "a"


def test_each_tube_has_its_own_keys(queue: Queue, producer: Session) -> None:
    put(queue, producer, "a")
    assert told(put(queue, producer, "a", tube="other")) == [2]
    assert found(queue, "a", "other") == 2
    assert found(queue, "a", "nowhere") is None


def test_a_tube_that_comes_again_has_no_old_keys(
    queue: Queue, producer: Session
) -> None:
    put(queue, producer, "a", tube="other")
    queue.do("delete", producer, 1, None)
    assert told(put(queue, producer, "a", tube="other")) == [2]


def test_jobs_without_a_key_never_meet(queue: Queue, producer: Session) -> None:
    assert told(put(queue, producer, None, None)) == [1, 2]


def test_a_broker_that_drains_says_so_first(queue: Queue, producer: Session) -> None:
    put(queue, producer, "a")
    queue.do("drain")
    with pytest.raises(DrainingError):
        put(queue, producer, "a")


# Batches


@pytest.mark.parametrize("mode", ["raise", "replace"])
def test_one_duplicate_keeps_a_whole_batch_out(
    queue: Queue, producer: Session, mode: str
) -> None:
    reserved(queue, producer)
    with pytest.raises(DuplicateJobError):
        put(queue, producer, "b", "a", "c", mode=mode)
    assert list(queue.engine.jobs) == [1]
    assert found(queue, "b") is None


def test_a_batch_that_keeps_puts_what_is_not_there(
    queue: Queue, producer: Session
) -> None:
    put(queue, producer, "b")
    ids = told(put(queue, producer, "a", "b", "a", None, mode="keep"))
    assert ids == [2, 1, 2, 3]
    # One was kept, and one was the same as another of the batch.
    assert queue.count("cmd_put") == 5
    assert queue.do("stats_tube", "default").total_jobs == 3


def test_a_batch_replaces_several(queue: Queue, producer: Session) -> None:
    put(queue, producer, "a", "b", "c")
    assert told(put(queue, producer, "b", "x", "c", mode="replace")) == [4, 5, 6]
    assert sorted(queue.engine.jobs) == [1, 4, 5, 6]


def test_what_replaces_a_job_is_handed_to_the_reserve_that_waits(
    queue: Queue, producer: Session
) -> None:
    delayed(queue, producer)
    session = queue.session()
    queue.wait(session)
    put(queue, producer, "a", mode="replace")
    assert held(session) == [2]


# Where there is no room


@pytest.fixture
def full(queue: Queue, producer: Session) -> Session:
    """Return a session that puts into a tube with two jobs, the keys of one is "a"."""
    queue.do("limit_tube", "default", 2)
    put(queue, producer, "a")
    queue.put_from(producer)
    return producer


def test_what_needs_no_room_does_not_wait(queue: Queue, full: Session) -> None:
    waiting = queue.offer(full)
    with pytest.raises(DuplicateJobError):
        put(queue, full, "a")
    assert told(put(queue, full, "a", mode="keep")) == [1]
    assert told(put(queue, full, "a", mode="replace")) == [3]
    assert told(waiting) is None


@pytest.mark.parametrize("mode", MODES)
def test_a_new_key_waits_for_room(queue: Queue, full: Session, mode: str) -> None:
    request = put(queue, full, "b", mode=mode)
    assert told(request) is None
    queue.do("delete", full, 2, None)
    assert told(request) == [3]
    assert found(queue, "b") == 3
    assert queue.count("cmd_put") == 3


def test_of_several_jobs_with_one_key_one_needs_room(
    queue: Queue, full: Session
) -> None:
    batch = put(queue, full, "b", "b", None, "b", mode="keep", timeout=9)
    assert told(batch) is None
    with pytest.raises(TubeFullError) as caught:
        put(queue, full, "b", None, "b", "c", mode="keep", timeout=9)
    assert 3 == caught.value.count
    queue.do("limit_tube", "default", 1)
    assert isinstance(batch.outcome, TubeFullError)


def test_of_several_jobs_with_one_key_the_first_is_let_in(
    queue: Queue, full: Session
) -> None:
    batch = put(queue, full, "b", "b", None, mode="keep", timeout=9)
    for job_id in (1, 2):
        queue.do("delete", full, job_id, None)
    assert told(batch) == [3, 3, 4]


def test_of_two_that_wait_with_one_key_the_second_is_refused_as_the_first_is_in(
    queue: Queue, full: Session
) -> None:
    first = put(queue, full, "b")
    second = put(queue, full, "b")
    queue.do("delete", full, 2, None)
    assert told(first) == [3]
    assert told(second) is DuplicateJobError
    assert queue.answered == [first, second]
    assert queue.count("cmd_put") == 4


def test_of_two_that_wait_the_second_is_answered_the_id_of_the_first(
    queue: Queue, full: Session
) -> None:
    first = put(queue, full, "b", mode="keep")
    second = put(queue, full, "b", mode="keep")
    queue.do("delete", full, 2, None)
    assert (told(first), told(second)) == ([3], [3])
    # It has put nothing, which is all that is taken back.
    queue.do("withdraw", second)
    assert found(queue, "b") == 3
    queue.do("withdraw", first)
    assert found(queue, "b") is None


def test_of_two_that_wait_the_second_replaces_the_first(
    queue: Queue, full: Session
) -> None:
    first = put(queue, full, "b", mode="replace")
    second = put(queue, full, "b", mode="replace")
    queue.do("delete", full, 2, None)
    assert (told(first), told(second)) == ([3], [4])
    assert found(queue, "b") == 4
    # What has replaced a job is not taken back: both would be lost.
    queue.do("withdraw", second)
    assert found(queue, "b") == 4


def test_a_put_is_told_while_it_waits_that_a_finaliser_has_put_its_key(
    queue: Queue, full: Session
) -> None:
    request = put(queue, full, "b")
    jobs = keyed("b")
    queue.engine.store.number(jobs)
    queue.do("put_numbered", full, jobs, None, "raise")
    assert told(request) is DuplicateJobError


def test_there_may_be_such_a_key_by_the_time_that_a_put_begins_to_wait(
    queue: Queue, full: Session
) -> None:
    """A shell takes two turns, and anything may happen between them."""
    request = PutRequest(full, None, keyed("b"), "", "raise")
    assert queue.do("put_many", full, request.jobs, None, "raise") is None
    queue.do("limit_tube", "default", 0)
    put(queue, full, "b")
    queue.do("wait_to_put", request)
    assert told(request) is DuplicateJobError


def test_a_batch_waits_for_as_much_room_as_it_needs(
    queue: Queue, full: Session
) -> None:
    queue.do("limit_tube", "default", 3)
    queue.put_from(full)
    request = put(queue, full, "a", "b", mode="keep")
    assert told(request) is None
    queue.do("delete", full, 2, None)
    assert told(request) == [1, 4]


def test_a_batch_that_is_larger_than_the_limit_is_refused_if_it_has_to_wait(
    queue: Queue, full: Session
) -> None:
    with pytest.raises(TubeFullError):
        put(queue, full, "a", "b", "c", mode="keep")


def test_a_key_that_is_held_when_there_is_room_is_not_replaced(
    queue: Queue, full: Session
) -> None:
    request = put(queue, full, "a", "b", mode="replace")
    queue.do("reserve_job", queue.session(), 1)
    assert told(request) is None
    queue.do("delete", full, 2, None)
    assert told(request) is DuplicateJobError


# In the middle of a turn


@pytest.mark.parametrize(
    ("mode", "left"), [("raise", [1]), ("keep", [1, 3]), ("replace", [2, 3])]
)
def test_a_put_of_an_interrupted_turn_drops_what_is_not_wanted(
    queue: Queue, producer: Session, mode: str, left: list[int]
) -> None:
    put(queue, producer, "a")
    jobs = keyed("a", "b")
    assert queue.engine.store.number(jobs) == [2, 3]
    for _ in ("once", "twice has no effect"):
        queue.do("put_numbered", producer, jobs, None, mode)
    assert sorted(queue.engine.jobs) == left
    assert queue.count("cmd_put") == 3


def test_a_put_that_was_carried_out_and_broken_off_is_not_carried_out_again(
    queue: Queue, producer: Session
) -> None:
    jobs = keyed("a")
    queue.engine.store.number(jobs)
    again = jobs.copy()
    queue.do("put_numbered", producer, jobs, None, "replace")
    queue.do("put_numbered", producer, again, None, "replace")
    assert queue.engine.jobs == {1: again[0]}
    assert queue.count("cmd_put") == 1


# The index


def test_dead_keys_are_swept(queue: Queue, producer: Session) -> None:
    put(queue, producer, "stays")
    keys = queue.engine.store.keys
    for number in range(3 * SWEEP_FLOOR):
        put(queue, producer, f"key {number}")
        queue.do("delete", producer, number + 2, None)
    assert len(keys._ids) <= SWEEP_FLOOR + 2
    assert found(queue, "stays") == 1


def test_the_check_finds_a_key_that_is_missing_or_stands_for_another_job() -> None:
    (job,) = keyed("a")
    job._id, job._tube = 1, "t"
    keys = Keys({1: job})
    with pytest.raises(AssertionError):
        keys._check()
    keys.add(job)
    keys._check()
    keys._sweep_at = 0
    with pytest.raises(AssertionError):
        keys._check()
