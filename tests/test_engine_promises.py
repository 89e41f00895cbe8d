"""Promises: what the engine leaves for the futures of submitted jobs."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any

import pytest

from inproc_tubes.core import results
from inproc_tubes.core.making import new_job
from inproc_tubes.core.promise import Promise
from inproc_tubes.core.record import JobState
from inproc_tubes.core.recovery import check, rebuild
from inproc_tubes.core.requests import OVER, ResultRequest
from inproc_tubes.core.turn import TURN
from inproc_tubes.errors import ClosedError, NotFoundError, TimedOutError
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
            for promise in self._left():  # as the shell does
                self.engine.dispatch.keep_promise(promise)
            turn.unfinished = None
        finally:
            self.due += self._left()
            turn.after.clear()
        check(self.engine)
        return result

    def _left(self) -> list[Promise]:
        return [item for item in self.engine.turn.after if isinstance(item, Promise)]

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


# Who waits for what becomes of a job


class Noting:
    """A sleeper that says who was woken."""

    def __init__(self, woken: list[object], request: object) -> None:
        self.woken = woken
        self.request = request

    def wake(self) -> None:
        self.woken.append(self.request)


class Waited(Submitting):
    """A queue with a job that was submitted, and requests for what becomes of it."""

    def __init__(self) -> None:
        super().__init__()
        self.woken: list[object] = []

    def ask(self, timeout: float | None = None, job_id: int = 1) -> ResultRequest:
        request = ResultRequest(timeout, job_id, self.future)
        request.sleeper = Noting(self.woken, request)
        self.take(results.await_end, self.engine, request)
        return request


@pytest.fixture
def waited() -> Waited:
    return Waited()


def test_a_request_waits_until_its_promise_is_due(waited: Waited) -> None:
    job = waited.hold()
    first, second = waited.ask(), waited.ask(timeout=60)
    assert [1, 2] == list(waited.engine.store.promises.requests)
    assert (first.rank, "result of job 1") == (3, first.describe())
    waited.take(results.finish, waited.engine, waited.me, job, "result")
    assert [first, second] == waited.woken
    assert waited.promise is first.outcome is second.outcome
    assert waited.promise is first.result()
    assert {} == waited.engine.store.promises.requests
    assert waited.engine.next_due() == inf


def test_a_request_for_what_is_over_does_not_wait(waited: Waited) -> None:
    job = waited.hold()
    waited.take(results.finish, waited.engine, waited.me, job, "result")
    # It was told.
    assert OVER is waited.ask().outcome
    # It is about to be told.
    waited.engine.turn.after.append(waited.promise)
    request = ResultRequest(None, 1, waited.future)
    results.await_end(waited.now, waited.engine, request)
    assert request.outcome is waited.promise


def test_a_request_for_a_job_of_another_future_does_not_wait(waited: Waited) -> None:
    waited.submit()
    waited.future = Future()
    assert OVER is waited.ask().outcome


def test_a_request_does_not_wait_where_the_timeout_is_0(waited: Waited) -> None:
    waited.submit()
    with pytest.raises(TimedOutError, match=r"^no result within 0 s$"):
        waited.ask(timeout=0)
    assert {} == waited.engine.store.promises.requests


def test_a_request_is_answered_when_its_timeout_has_passed(waited: Waited) -> None:
    waited.submit()
    late, patient = waited.ask(timeout=5), waited.ask()
    waited.now += 5
    waited.take(waited.engine.catch_up)
    assert [late] == waited.woken
    with pytest.raises(TimedOutError):
        late.result()
    waited.take(waited.engine.dispatch.withdraw, patient)
    waited.take(waited.engine.dispatch.withdraw, patient)  # twice is the same
    assert {} == waited.promise.tickets == waited.engine.store.promises.requests


def test_a_request_is_answered_when_the_queue_is_closed(waited: Waited) -> None:
    waited.submit()
    request = waited.ask()
    waited.engine.close("the end")
    assert [request] == waited.woken
    with pytest.raises(ClosedError, match=r"^the end$"):
        request.result()
    assert {} == waited.promise.tickets


@pytest.mark.parametrize("is_due", [False, True])
def test_requests_still_wait_after_a_turn_that_was_broken_off(
    waited: Waited,
    is_due: bool,  # noqa: FBT001 - a parameter
) -> None:
    job = waited.hold()
    request = waited.ask(timeout=5)
    waited.promise.tickets.clear()
    if is_due:
        del waited.engine.jobs[1]
        waited.me.held.remove(1)
        job._state = JobState.GONE
    waited.engine.turn.unfinished = TURN
    rebuild(waited.now, waited.engine)
    waited.engine.turn.unfinished = None
    check(waited.engine)
    assert {1: None} == waited.promise.tickets
    assert waited.engine.next_due() == waited.now + 5
    assert [waited.promise] * is_due == [
        item for item in waited.engine.turn.after if isinstance(item, Promise)
    ]
    assert [] == waited.woken
    assert request.outcome is None


def test_a_request_finds_its_promise_among_others_that_are_due(waited: Waited) -> None:
    job = waited.hold()
    waited.take(results.finish, waited.engine, waited.me, job, "result")
    waited.engine.turn.after.extend([Promise(Future()), waited.promise])
    request = ResultRequest(None, 1, waited.future)
    results.await_end(waited.now, waited.engine, request)
    assert request.outcome is waited.promise


def test_a_job_that_has_failed_is_not_withdrawn(queue: Submitting) -> None:
    job = queue.hold()
    queue.take(results.fail, queue.engine, queue.me, job, 5, None, ValueError("no"))
    assert queue.take(results.withdraw, queue.engine, 1, queue.future) is None
    assert "buried" == queue.state(1)


def test_who_was_closed_finishes_nothing_also_where_the_job_is_gone(
    queue: Submitting,
) -> None:
    job = queue.hold()
    queue.take(queue.engine.clients.close_session, queue.me, "closed")
    queue.take(queue.engine.delete, queue.session(), 1, None)
    with pytest.raises(ClosedError, match=r"^closed$"):
        queue.take(results.finish, queue.engine, queue.me, job, "result")
