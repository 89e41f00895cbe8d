"""A limit of tries: a job that was reserved too often is buried."""

from __future__ import annotations

import pytest

from inproc_tubes.core.failure import Failure, JobError
from tests.engine_driver import Queue, told


@pytest.fixture
def queue() -> Queue:
    """Make an engine whose tube "default" lets a job be reserved twice."""
    queue = Queue()
    queue.do("limit_tries", "default", 2)
    return queue


def release(queue: Queue, delay: float = 0, failure: Failure | None = None) -> None:
    """Reserve the first job and release it."""
    session = queue.session()
    job_id = queue.reserve(session)
    queue.do("release", session, job_id, None, None, delay, failure)
    queue.do("close_session", session, "done")


def error(queue: Queue, job_id: int = 1) -> JobError:
    error = queue.job(job_id).error
    assert error is not None
    return error


def test_a_job_that_was_reserved_as_often_as_it_may_be_is_buried(
    queue: Queue,
) -> None:
    queue.put()
    release(queue)
    assert queue.state(1) == "ready"
    assert queue.job(1).error is None
    release(queue)
    assert queue.state(1) == "buried"
    assert error(queue) == ("tries", "reserved 2 times", "", "default", 2, 100.0)
    stats = queue.do("stats_job", 1)
    assert (stats.reserves, stats.releases, stats.buries) == (2, 2, 1)


def test_a_delay_does_not_save_it(queue: Queue) -> None:
    queue.put()
    release(queue)
    release(queue, delay=5)
    assert queue.state(1) == "buried"


def test_an_expiry_counts_as_well(queue: Queue) -> None:
    queue.put(ttr=5)
    release(queue)
    session = queue.session()
    queue.reserve(session)
    queue.to(105.0)
    assert queue.state(1) == "buried"
    assert error(queue).type == "tries"
    stats = queue.do("stats_job", 1)
    assert (stats.timeouts, stats.buries) == (1, 1)
    assert queue.job(1)._history.lost


def test_what_it_failed_with_is_told(queue: Queue) -> None:
    queue.put()
    release(queue, failure=Failure("ValueError", "first", "..."))
    assert error(queue).type == "ValueError"
    release(queue, failure=Failure("ValueError", "too heavy", "Traceback ..."))
    assert error(queue) == (
        "tries",
        "reserved 2 times; it failed last with ValueError: too heavy",
        "Traceback ...",
        "default",
        2,
        100.0,
    )


def test_who_kicks_it_gives_it_one_more_try(queue: Queue) -> None:
    queue.put()
    release(queue)
    release(queue, failure=Failure("ValueError", "too heavy", "Traceback ..."))
    queue.do("kick_job", 1, None)
    release(queue)
    assert queue.state(1) == "buried"
    # It does not tell that it was buried for its tries before.
    assert error(queue)[:3] == ("tries", "reserved 3 times", "Traceback ...")


def test_a_single_try_is_told_as_such(queue: Queue) -> None:
    queue.do("limit_tries", "default", 1)
    queue.put()
    release(queue)
    assert error(queue).text == "reserved once"


def test_a_consumer_that_is_closed_gives_its_job_back(queue: Queue) -> None:
    queue.put()
    for _ in range(3):
        session = queue.session()
        queue.reserve(session)
        queue.do("close_session", session, "closed")
    assert queue.state(1) == "ready"


def test_a_reservation_that_has_never_been_is_no_try(queue: Queue) -> None:
    session = queue.session()
    queue.put()
    release(queue)
    queue.do("pause_tube", "default", 5)
    request = queue.wait(session)
    queue.to(105.0)
    assert told(request) == 1
    queue.do("withdraw", request)
    assert queue.job(1).reserves == 1
    release(queue)
    assert queue.state(1) == "buried"


def test_a_limit_counts_what_was_before_it_and_ends_when_it_is_taken_back(
    queue: Queue,
) -> None:
    queue.do("limit_tries", "default", 0)
    queue.put()
    for _ in range(3):
        release(queue)
    queue.do("limit_tries", "default", 2)
    assert queue.state(1) == "ready"
    release(queue)
    assert queue.state(1) == "buried"


def test_other_tubes_have_no_limit(queue: Queue) -> None:
    queue.put(tube="other")
    session = queue.session("other")
    for _ in range(3):
        queue.reserve(session)
        queue.do("release", session, 1, None, None, 0)
    assert queue.state(1) == "ready"


def test_a_join_ends_with_such_a_burial(queue: Queue) -> None:
    queue.put()
    release(queue)
    join = queue.join("default")
    release(queue)
    assert told(join) == 1


def test_a_tube_with_such_a_limit_stays_until_that_is_taken_back(
    queue: Queue,
) -> None:
    queue.do("limit_tries", "jobs", 3)
    assert queue.do("stats_tube", "jobs").max_tries == 3
    queue.do("limit_tries", "jobs", 0)
    assert queue.do("list_tubes") == ["default"]
    queue.do("limit_tries", "nowhere", 0)
    assert queue.do("list_tubes") == ["default"]
