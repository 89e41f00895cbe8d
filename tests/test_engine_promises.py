"""Promises: what the engine leaves for the futures of submitted jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from inproc_tubes.core import results
from inproc_tubes.core.making import new_job
from inproc_tubes.core.promise import Promise
from inproc_tubes.core.recovery import check, rebuild
from inproc_tubes.core.turn import TURN
from inproc_tubes.errors import ClosedError, NotFoundError
from tests.engine_driver import Queue

if TYPE_CHECKING:
    from inproc_tubes.core.record import AnyJob


class Future:
    """A future that nobody looks into."""

    def _resolve(self, promise: Promise) -> None:
        raise NotImplementedError

    def _leave_to_parent(self, error: ClosedError) -> None:
        raise NotImplementedError


class Submitting(Queue):
    """A queue with a session, and one job that was submitted to it.

    Attributes:
        due: The promises that were left for the shell, in this order.
    """

    def __init__(self, **how: Any) -> None:
        super().__init__()
        self.due: list[Promise] = []
        self.me = self.session(used="default")
        numbers = {"priority": 0, "delay": 0, "ttr": 60} | how
        self.new: AnyJob = new_job("body", **numbers)
        self.future = Future()
        self.promise = self.new._own_history().promise = Promise(self.future)

    def take(self, verb: Any, *args: Any) -> Any:
        """Call a verb, and take what it leaves."""
        turn = self.engine.turn
        turn.unfinished = TURN
        try:
            result = verb(self.now, *args)
            turn.unfinished = None
        finally:
            self.due += [item for item in turn.after if isinstance(item, Promise)]
            turn.after.clear()
        check(self.engine)
        return result

    def submit(self) -> None:
        self.take(self.engine.put_many, self.me, [self.new], None)

    def hold(self) -> AnyJob:
        self.submit()
        job: AnyJob = self.take(self.engine.reserve, self.me, 0)
        return job


@pytest.fixture
def queue() -> Submitting:
    return Submitting()


def test_a_promise_is_pending_until_its_job_is_gone(queue: Submitting) -> None:
    job = queue.hold()
    assert {1: queue.promise} == queue.engine.store.promises.pending
    assert queue.engine.delete_held(queue.me, 1, job) is None  # not so simple
    queue.take(queue.engine.delete, queue.me, 1, job)
    assert [queue.promise] == queue.due
    assert (None, None, False) == (
        queue.promise.result,
        queue.promise.error,
        queue.promise.cancelled,
    )
    assert {} == queue.engine.store.promises.pending


def test_a_job_that_nobody_has_submitted_is_deleted_as_ever(queue: Submitting) -> None:
    job_id = queue.put()
    assert queue.reserve(queue.me) == job_id
    assert queue.do("broker_counts")["cmd_delete"] == 0
    assert queue.take(lambda _now: queue.engine.delete_held(queue.me, job_id, None))


def test_a_result_is_in_the_promise(queue: Submitting) -> None:
    job = queue.hold()
    queue.take(results.finish, queue.engine, queue.me, job, "result")
    assert ["result"] == [promise.result for promise in queue.due]


def test_a_finish_that_is_refused_promises_nothing(queue: Submitting) -> None:
    job = queue.hold()
    with pytest.raises(NotFoundError):
        queue.take(results.finish, queue.engine, queue.session(), job, "result")
    assert queue.promise.result is None
    assert [] == queue.due
    queue.take(queue.engine.clients.close_session, queue.me, "closed")
    with pytest.raises(ClosedError):
        queue.take(results.finish, queue.engine, queue.me, job, "result")


def test_an_error_is_in_the_promise_and_the_job_is_buried(queue: Submitting) -> None:
    job, error = queue.hold(), ValueError("no")
    queue.take(results.fail, queue.engine, queue.me, job, 5, None, error)
    assert [error] == [promise.error for promise in queue.due]
    assert ("buried", 5) == (queue.state(1), job._priority)
    # It is a job like any other now.
    queue.take(queue.engine.clients.cancel_job, 1, None)
    assert 1 == len(queue.due)


def test_a_failure_without_an_exception_leaves_the_promise_pending(
    queue: Submitting,
) -> None:
    job = queue.hold()
    queue.take(results.fail_block, queue.engine, queue.me, job, None, None)
    assert [] == queue.due
    assert "buried" == queue.state(1)


def test_the_block_of_a_job_that_is_lost_fails_in_vain(queue: Submitting) -> None:
    job = queue.hold()
    queue.do("release", queue.me, 1, None, None, 0)
    queue.take(results.fail_block, queue.engine, queue.me, job, None, ValueError())
    assert [] == queue.due
    assert "ready" == queue.state(1)


def test_a_put_that_is_taken_back_is_cancelled(queue: Submitting) -> None:
    queue.submit()
    tube = queue.engine.store.undo_put(queue.new)
    assert tube.total_jobs == 0
    assert queue.promise.cancelled
    assert [queue.promise] == list(queue.engine.turn.after)


def test_a_job_that_is_held_is_not_withdrawn(queue: Submitting) -> None:
    job = queue.hold()
    assert queue.take(results.withdraw, queue.engine, 1, queue.future) is None
    queue.do("release", queue.me, 1, job, None, 5)
    # Nor is another one's.
    assert queue.take(results.withdraw, queue.engine, 1, Future()) is None
    assert queue.take(results.withdraw, queue.engine, 2, queue.future) is None
    assert queue.take(results.withdraw, queue.engine, 1, queue.future) is job
    assert [True] == [promise.cancelled for promise in queue.due]


def test_a_close_keeps_all_promises(queue: Submitting) -> None:
    queue.submit()
    queue.engine.close("closed")
    (promise,) = (i for i in queue.engine.turn.after if isinstance(i, Promise))
    assert isinstance(promise.error, ClosedError)
    assert "closed" == promise.error.what


# After a turn that was broken off


def rebuilt(queue: Submitting) -> list[Promise]:
    """Go on after a turn that was broken off; return the promises that are due."""
    queue.engine.turn.unfinished = TURN
    rebuild(queue.now, queue.engine)
    queue.engine.turn.unfinished = None
    check(queue.engine)
    return [item for item in queue.engine.turn.after if isinstance(item, Promise)]


def test_an_end_that_was_broken_off_before_it_has_never_been(queue: Submitting) -> None:
    queue.hold()
    queue.promise.result = "result"
    queue.promise.cancelled = True
    assert [] == rebuilt(queue)
    assert queue.promise.result is None


def test_an_end_that_was_broken_off_after_it_is_told(queue: Submitting) -> None:
    queue.hold()
    queue.promise.result = "result"
    del queue.engine.jobs[1]
    assert ["result"] == [promise.result for promise in rebuilt(queue)]


def test_a_burial_that_was_broken_off_after_it_is_told(queue: Submitting) -> None:
    job, error = queue.hold(), ValueError("no")
    queue.promise.error = error
    queue.engine.bury(queue.now, queue.me, 1, job, None)
    assert [error] == [promise.error for promise in rebuilt(queue)]
    assert job._history.promise is None


def test_a_submit_that_was_broken_off_after_it_is_known(queue: Submitting) -> None:
    queue.submit()
    queue.engine.store.promises.pending.clear()
    assert [] == rebuilt(queue)
    assert {1: queue.promise} == queue.engine.store.promises.pending
