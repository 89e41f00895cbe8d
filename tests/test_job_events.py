"""What happens to a job by time, by a close, and at the end of its with-block."""

from __future__ import annotations

from typing import Any

import pytest

from inproc_tubes.core.failure import Failure, JobError
from inproc_tubes.core.job import Job, JobState
from inproc_tubes.core.requests import ReserveRequest
from inproc_tubes.errors import NotFoundError
from tests.job_scene import JOB, READY, Scene, peeked

EVENTS = [
    ("delayed", 120.0, READY),  # the delay field is kept
    ("mine", 150.0, READY | {"timeouts": 1}),
    ("ready", 1000.0, {}),
    ("buried", 1000.0, {}),
]


@pytest.mark.parametrize(("state", "moment", "expected"), EVENTS)
def test_time_changes_this_and_no_more(
    state: str, moment: float, expected: dict[str, Any]
) -> None:
    scene = Scene(state)
    scene.queue.to(moment - 0.001)
    scene.queue.now = moment  # that only the event itself makes a difference
    fields = scene.fields()
    scene.queue.to(moment)
    assert scene.fields() == fields | expected
    assert scene.queue.count("job_timeouts") == expected.get("timeouts", 0)


@pytest.mark.parametrize("state", ["ready", "delayed", "buried", "mine", "other"])
def test_closing_makes_the_own_jobs_ready_and_counts_nothing(state: str) -> None:
    scene = Scene(state)
    fields, counters = scene.fields(), scene.counters()
    scene.do("close_session", scene.me, "closed")
    assert scene.counters() == counters
    assert scene.fields() == fields | (READY if state == "mine" else {})


@pytest.mark.parametrize("end", ["ttr", "close", "release"])
@pytest.mark.parametrize("state", ["delayed", "buried"])
def test_a_job_reserved_by_its_id_is_ready_afterwards(state: str, end: str) -> None:
    """It is not delayed or buried again, and its delay field is kept."""
    scene = Scene(state)
    delay = scene.job.delay
    scene.do("reserve_job", scene.me, JOB)
    assert scene.job.delay == delay
    if end == "ttr":
        scene.queue.to(160.0)
    elif end == "close":
        scene.do("close_session", scene.me, "closed")
    else:
        scene.do("release", scene.me, JOB, None, None, 0)
    assert scene.job._state is JobState.READY
    assert scene.job.delay == (0 if end == "release" else delay)
    assert scene.job.buries == (1 if state == "buried" else 0)


def test_release_overwrites_priority_and_delay_each_time() -> None:
    scene = Scene("mine")
    scene.do("release", scene.me, JOB, None, 9, 1)
    job = scene.job
    assert (job._state, job.priority, job.delay) == (JobState.DELAYED, 9, 1)
    scene.queue.to(101.0)
    assert (job._state, job.delay) == (JobState.READY, 1)
    scene.do("reserve", scene.me, 0)
    scene.do("release", scene.me, JOB, None, 3, 0)
    job = scene.job
    assert (job._state, job.priority, job.delay) == (JobState.READY, 3, 0)
    assert job.releases == 2


@pytest.mark.parametrize("verb", ["kick", "kick_job", "maturing"])
def test_the_delay_field_survives_the_end_of_the_delay(verb: str) -> None:
    scene = Scene("delayed")
    if verb == "kick":
        scene.do("kick", "t", 1)
    elif verb == "kick_job":
        scene.do("kick_job", JOB, None)
    else:
        scene.queue.to(120.0)
    assert (scene.job._state, scene.job.delay) == (JobState.READY, 30)


def test_age_counts_from_put_and_is_never_reset() -> None:
    scene = Scene("mine")
    scene.do("release", scene.me, JOB, None, 0, 0)
    scene.queue.to(101.0)
    scene.do("reserve", scene.me, 0)
    scene.queue.to(102.0)
    scene.do("touch", scene.me, JOB, None)
    scene.queue.to(103.5)
    assert scene.do("stats_job", JOB).age == 13.5


def test_touch_is_a_reset_not_an_extension() -> None:
    scene = Scene("mine")
    scene.do("touch", scene.me, JOB, None)
    scene.do("touch", scene.me, JOB, None)
    scene.queue.to(159.9)
    assert (scene.job._state, scene.job.timeouts) == (JobState.RESERVED, 0)
    scene.queue.to(160.0)
    assert (scene.job._state, scene.job.timeouts) == (JobState.READY, 1)


# The old owner after an expiry


@pytest.mark.parametrize(
    ("verb", "rest"), [("touch", ()), ("release", (0, 0)), ("bury", (0,))]
)
@pytest.mark.parametrize("with_handle", [False, True])
def test_after_an_expiry_the_old_owner_may_do_nothing(
    verb: str, rest: tuple[Any, ...], *, with_handle: bool
) -> None:
    scene = Scene("mine")
    handle = scene.job if with_handle else None
    scene.queue.to(150.0)
    with pytest.raises(NotFoundError):
        scene.do(verb, scene.me, JOB, handle, *rest)
    assert scene.job._state is JobState.READY


@pytest.mark.parametrize("fenced", [False, True])
def test_but_delete_the_job_if_no_session_holds_it_yet(*, fenced: bool) -> None:
    scene = Scene("mine")
    handle = scene.job if fenced else None
    scene.queue.to(150.0)
    scene.do("delete", scene.me, JOB, handle)
    assert JOB not in scene.engine.jobs


def test_and_not_even_that_once_another_session_holds_it() -> None:
    scene = Scene("mine")
    scene.queue.to(150.0)
    scene.do("reserve", scene.other, 0)
    with pytest.raises(NotFoundError):
        scene.do("delete", scene.me, JOB, None)
    assert scene.owner == "other"


def test_the_same_client_may_reserve_an_expired_job_again() -> None:
    scene = Scene("mine")
    old_handle = scene.job
    scene.queue.to(150.0)
    assert scene.do("reserve", scene.me, 0) is scene.job is not old_handle
    assert (scene.job.reserves, scene.job.timeouts) == (2, 1)
    with pytest.raises(NotFoundError):
        scene.do("delete", scene.me, JOB, old_handle)
    scene.do("delete", scene.me, JOB, None)


def test_an_expired_job_goes_straight_to_the_reserve_that_waits() -> None:
    scene = Scene("mine")
    request = ReserveRequest(scene.other, None)
    scene.do("wait_to_reserve", request)
    scene.queue.to(150.0)
    job = scene.job
    assert request.outcome is job
    assert (job.priority, job._due_at) == (5, 210.0)
    assert (job.reserves, job.timeouts, job.releases) == (2, 1, 0)
    with pytest.raises(NotFoundError):
        scene.do("delete", scene.me, JOB, None)


# The end of a with-block

FAILURE = Failure("ValueError", "no", "ValueError: no")
# {how it ends: the verb for it, and what that is told besides the job}
ENDS: dict[str, tuple[str, tuple[Any, ...]]] = {
    "done": ("settle", ()),
    "failed": ("fail", (FAILURE,)),
    "interrupted": ("cancel", ()),
}


def leave(scene: Scene, job: Job, end: str) -> Any:
    """Leave the block of a job."""
    verb, rest = ENDS[end]
    return scene.do(verb, scene.me, job, *rest)


@pytest.mark.parametrize(
    ("end", "state"), [("done", "gone"), ("failed", "buried"), ("interrupted", "ready")]
)
def test_a_block_deletes_its_job_or_buries_or_releases_it(end: str, state: str) -> None:
    scene = Scene("mine")
    job = scene.job
    gone = leave(scene, job, end)
    assert scene.fields()["state"] == state
    # It is handed out, so that its body dies outside the turn.
    assert gone is (job if end == "done" else None)
    told = JobError(*FAILURE, "t", 1, 100.0) if end == "failed" else None
    assert job.error == told


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize(
    ("verb", "rest", "state"),
    [
        ("delete", (), "gone"),
        ("release", (None, 0), "ready"),
        ("release", (None, 9), "delayed"),
        ("bury", (None,), "buried"),
    ],
)
def test_what_a_block_has_done_with_its_job_stands(
    verb: str, rest: tuple[Any, ...], state: str, end: str
) -> None:
    scene = Scene("mine")
    job = scene.job
    scene.do(verb, scene.me, JOB, job, *rest)
    leave(scene, job, end)
    assert scene.fields()["state"] == state
    assert job.error is None


@pytest.mark.parametrize(
    ("end", "state"), [("done", "gone"), ("failed", "ready"), ("interrupted", "ready")]
)
def test_a_job_expired_in_its_block_is_deleted_if_it_is_done(
    end: str, state: str
) -> None:
    scene = Scene("mine")
    job = scene.job
    scene.queue.to(150.0)
    leave(scene, job, end)
    assert scene.fields()["state"] == state
    assert (job.releases, job.buries) == (0, 0)


@pytest.mark.parametrize("taker", ["me", "other"])
def test_a_job_reserved_anew_is_no_longer_the_block_s(taker: str) -> None:
    scene = Scene("mine")
    job = scene.job
    scene.queue.to(150.0)
    scene.do("reserve", getattr(scene, taker), 0)
    leave(scene, job, "failed")
    leave(scene, job, "interrupted")
    with pytest.raises(NotFoundError):
        leave(scene, job, "done")
    assert scene.owner == taker


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("state", ["ready", "mine", "expired"])
def test_the_block_of_a_job_that_was_only_looked_at_changes_nothing(
    state: str, end: str
) -> None:
    scene = Scene("ready" if state == "ready" else "mine")
    if state == "expired":
        scene.queue.to(150.0)
    handle = peeked(scene)
    before = scene.snapshot()
    leave(scene, handle, end)
    assert scene.snapshot() == before


def test_a_job_that_has_expired_and_was_buried_since_is_not_the_block_s() -> None:
    """That it was lost is told by the history of its old object."""
    scene = Scene("mine")
    job = scene.job
    scene.queue.to(150.0)
    scene.queue.bury(scene.other, JOB)
    with pytest.raises(NotFoundError):
        leave(scene, job, "done")
    assert scene.fields()["state"] == "buried"
