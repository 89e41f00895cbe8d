"""Cancelling a job, whoever holds it, and the memory of what has been cancelled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from inproc_tubes.core.gone import REMEMBERED, Gone
from inproc_tubes.core.recovery import rebuild
from inproc_tubes.core.turn import TURN
from inproc_tubes.errors import NotFoundError, NotFoundReason
from tests.breaking import BrokenOffError, break_off
from tests.engine_driver import Queue, held, unchecked
from tests.interpreted import interpreted
from tests.job_scene import JOB, STATES, Scene, foreign_handle, peeked

if TYPE_CHECKING:
    from collections.abc import Callable

HELD = ["mine", "other"]
CANCELLED = NotFoundReason.CANCELLED


def reason(verb: Callable[..., object], *args: Any) -> NotFoundReason:
    """Return why a verb is refused."""
    with pytest.raises(NotFoundError) as caught:
        verb(*args)
    return caught.value.reason


@pytest.mark.parametrize("state", ["ready", "delayed", "buried", *HELD])
def test_a_job_is_deleted_whatever_its_state(state: str) -> None:
    scene = Scene(state)
    job = scene.job
    before = scene.counters()
    assert scene.do("cancel_job", JOB, None) is job
    assert {"state": "gone"} == scene.fields()
    changed = {k: v for k, v in scene.counters().items() if v != before[k]}
    assert {"cmd_delete": before["cmd_delete"] + 1} == changed
    assert 1 == scene.do("stats_tube", "t").cmd_delete
    assert [] == held(scene.me) == held(scene.other)
    assert job._history.lost == (state in HELD)


@pytest.mark.parametrize("state", HELD)
@pytest.mark.parametrize("by_handle", [False, True])
@pytest.mark.parametrize("verb", ["delete", "touch", "release", "bury"])
def test_the_verbs_of_its_holder_tell_of_it(
    state: str, verb: str, *, by_handle: bool
) -> None:
    scene = Scene(state)
    job = scene.job
    scene.do("cancel_job", JOB, None)
    rest = {"release": (None, 0), "bury": (None,)}.get(verb, ())
    holder = scene.me if state == "mine" else scene.other
    handle = job if by_handle else None
    assert CANCELLED is reason(scene.do, verb, holder, JOB, handle, *rest)


def test_leaving_its_block_is_quiet() -> None:
    scene = Scene("mine")
    job = scene.job
    scene.do("cancel_job", JOB, None)
    assert scene.do("settle", scene.me, job) is None
    scene.do("fail", scene.me, job, None)
    scene.do("cancel", scene.me, job)


def test_any_handle_stands_for_the_job() -> None:
    scene = Scene("ready", renewed=True)
    look = peeked(scene)
    scene.do("reserve", scene.other, 0)
    scene.do("cancel_job", JOB, look)
    assert [] == held(scene.other)
    scene = Scene("other", renewed=True)
    scene.do("cancel_job", JOB, scene.stale)
    assert [] == held(scene.other)


@pytest.mark.parametrize("state", STATES)
def test_a_handle_of_another_broker_does_not(state: str) -> None:
    scene = Scene(state)
    before = scene.snapshot()
    foreign = foreign_handle()
    assert NotFoundReason.FOREIGN is reason(scene.do, "cancel_job", JOB, foreign)
    assert before == scene.snapshot()


@pytest.mark.parametrize(
    ("state", "why"),
    [("gone", NotFoundReason.DELETED), ("invalid", NotFoundReason.WRONG_STATE)],
)
def test_what_is_no_job_any_more_or_not_yet_is_not_cancelled(
    state: str, why: NotFoundReason
) -> None:
    scene = Scene(state)
    before = scene.snapshot()
    assert why is reason(scene.do, "cancel_job", JOB, None)
    assert before == scene.snapshot()


def test_twice_is_refused() -> None:
    scene = Scene("mine")
    scene.do("cancel_job", JOB, None)
    assert CANCELLED is reason(scene.do, "cancel_job", JOB, None)


def test_a_job_that_was_handed_to_a_reserve_that_waited_is_taken_back() -> None:
    queue = Queue()
    session = queue.session()
    request = queue.wait(session)
    job_id = queue.put()
    job = request.outcome
    queue.do("cancel_job", job_id, None)
    assert [] == held(session)
    assert request.outcome is job  # it was answered, and finds the job lost
    queue.do("withdraw", request)
    assert {} == queue.engine.jobs


def test_its_deadline_is_over() -> None:
    scene = Scene("mine")
    request = scene.queue.wait(scene.me)
    assert 149.0 == scene.queue.next_due()  # DEADLINE_SOON
    scene.do("cancel_job", JOB, None)
    scene.queue.to(150.0)
    assert request.outcome is None
    assert 0 == scene.do("broker_counts")["job_timeouts"]


def test_the_room_is_for_a_put_that_waits_and_a_join_goes_on() -> None:
    queue = Queue()
    queue.do("limit_tube", "default", 1)
    session, producer = queue.session(), queue.producer()
    job_id = queue.put()
    queue.reserve(session)
    put = queue.offer(producer)
    join = queue.join("default")
    queue.do("cancel_job", job_id, None)
    assert put.outcome == [2]
    assert join.outcome is None
    queue.do("cancel_job", 2, None)
    assert join.outcome == 0


def test_a_tube_goes_with_its_last_job_and_a_dropped_session_too() -> None:
    queue = Queue()
    session = queue.session("t")
    job_id = queue.put(tube="t")
    job = queue.do("reserve", session, 0)
    queue.do("abandon", session, "dropped")
    assert [session] == [s for s in queue.engine.clients.everyone() if s.is_abandoned]
    queue.do("cancel_job", job_id, None)
    assert not session.is_abandoned
    assert "t" not in queue.engine.tubes
    assert job._history.lost


def test_an_expired_job_was_cancelled_to_who_had_it_before() -> None:
    scene = Scene("mine")
    job = scene.job
    scene.queue.to(150.0)
    scene.do("cancel_job", JOB, None)
    assert CANCELLED is reason(scene.do, "touch", scene.me, JOB, job)


# The memory

REST: dict[str, tuple[Any, ...]] = {"peek": (), "stats_job": (None,)}


@pytest.mark.parametrize("verb", REST)
def test_it_is_told_to_everybody_who_asks_by_id(verb: str) -> None:
    scene = Scene("ready")
    scene.do("cancel_job", JOB, None)
    assert CANCELLED is reason(scene.do, verb, JOB, *REST[verb])
    assert CANCELLED is reason(scene.do, "reserve_job", scene.me, JOB)


def test_the_first_id_is_one() -> None:
    queue = Queue()
    job_id = queue.put()
    queue.do("delete", queue.session(), job_id, None)
    assert NotFoundReason.NEVER_PUT is reason(queue.do, "peek", 0)
    assert NotFoundReason.DELETED is reason(queue.do, "peek", job_id)
    assert NotFoundReason.NEVER_PUT is reason(queue.do, "peek", job_id + 1)


def test_a_job_that_is_not_remembered_was_deleted() -> None:
    gone = Gone()
    assert NotFoundReason.DELETED is gone.reason_of(1)
    gone.limit = 1
    gone.remember(3, CANCELLED)
    gone.remember(1, CANCELLED)
    gone.remember(5, CANCELLED)
    expected = [NotFoundReason.GONE] * 3 + [NotFoundReason.DELETED, CANCELLED]
    assert expected == [gone.reason_of(job_id) for job_id in range(1, 6)]


def test_only_so_many_are_remembered_and_the_reason_tells_so() -> None:
    queue = Queue()
    session = queue.session()
    first = queue.put()
    job = queue.do("reserve", session, 0)
    deleted = queue.put()
    queue.do("delete", session, deleted, None)
    queue.do("cancel_job", first, None)
    assert CANCELLED is reason(queue.do, "peek", first)
    assert NotFoundReason.DELETED is reason(queue.do, "peek", deleted)
    with unchecked():
        for _ in range(REMEMBERED):
            queue.do("cancel_job", queue.put(), None)
    assert 1024 == REMEMBERED == len(queue.engine.store.gone.reasons)
    assert NotFoundReason.GONE is reason(queue.do, "peek", first)
    # Who holds the job knows better, and a job that is younger was deleted for sure.
    assert CANCELLED is reason(queue.do, "touch", session, first, job)
    assert NotFoundReason.DELETED is reason(queue.do, "peek", deleted)
    queue.do("cancel_job", queue.put(), None)
    queue.do("cancel_job", queue.put(), None)
    assert NotFoundReason.GONE is reason(queue.do, "peek", deleted)


# Broken off


@interpreted
@pytest.mark.parametrize("state", ["ready", "delayed", "buried", *HELD])
def test_broken_off_it_is_done_or_has_never_been(state: str) -> None:
    results = set()
    at = 0
    while True:
        at += 1
        scene = Scene(state)
        engine, job = scene.engine, scene.job
        engine.turn.unfinished = TURN
        try:
            break_off(lambda: engine.clients.cancel_job(100.0, JOB, None), at)  # noqa: B023 - it is called here
        except BrokenOffError:
            rebuild(100.0, engine)
            engine.turn.unfinished = None
        else:
            break
        is_there = JOB in engine.jobs
        results.add(is_there)
        if is_there:
            assert job._history.lost is job._history.cancelled is False
            assert scene.owner == {"mine": "me", "other": "other"}.get(state)
        elif state in HELD:
            assert job._history.lost
            assert CANCELLED is reason(scene.do, "touch", scene.me, JOB, job)
        assert (JOB in engine.store.gone.reasons) != is_there
        engine.turn.after.clear()
        scene.do("list_tubes")  # which checks the engine
    assert {True, False} == results
