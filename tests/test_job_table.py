"""Every state of a job and every verb: what may be done, and what it changes."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from inproc_tubes.core.job import Job, JobState
from inproc_tubes.errors import NotFoundError
from tests.job_scene import (
    JOB,
    READY,
    RESERVED,
    STATES,
    Scene,
    foreign_handle,
    peeked,
)


class Verb(NamedTuple):
    """How a verb is called, what counts it, and what it changes in which state."""

    call: tuple[Any, ...]  # SELF stands for the session that calls
    counter: str | None
    legal: dict[str, dict[str, Any]]


SELF = object()
GONE = {"state": "gone"}
NOTHING: dict[str, Any] = {}

# Only what is named changes.
VERBS = {
    "reserve_job": Verb(
        ("reserve_job", SELF, JOB),
        None,
        {
            "ready": RESERVED | {"reserves": 1},
            "delayed": RESERVED | {"reserves": 1},
            "buried": RESERVED | {"reserves": 2},
        },
    ),
    "delete": Verb(
        ("delete", SELF, JOB, None),
        "cmd_delete",
        {"ready": GONE, "delayed": GONE, "buried": GONE, "mine": GONE},
    ),
    "release": Verb(
        ("release", SELF, JOB, None, 9, 0),
        "cmd_release",
        {"mine": READY | {"priority": 9, "releases": 1}},
    ),
    "release with a delay": Verb(
        ("release", SELF, JOB, None, 9, 7),
        "cmd_release",
        {
            "mine": {
                "state": "delayed",
                "owner": None,
                "priority": 9,
                "delay": 7,
                "time_left": 7,
                "releases": 1,
            }
        },
    ),
    "release without a priority": Verb(
        ("release", SELF, JOB, None, None, 0),
        "cmd_release",
        {"mine": READY | {"releases": 1}},
    ),
    "bury": Verb(
        ("bury", SELF, JOB, None, 9),
        "cmd_bury",
        {"mine": READY | {"state": "buried", "priority": 9, "buries": 1}},
    ),
    "bury without a priority": Verb(
        ("bury", SELF, JOB, None, None),
        "cmd_bury",
        {"mine": READY | {"state": "buried", "buries": 1}},
    ),
    "touch": Verb(("touch", SELF, JOB, None), "cmd_touch", {"mine": {"time_left": 60}}),
    "kick_job": Verb(
        ("kick_job", JOB, None),
        None,
        {
            "delayed": READY | {"kicks": 1},
            "buried": READY | {"kicks": 1},
        },
    ),
    "peek": Verb(
        ("peek", JOB),
        "cmd_peek",
        {s: NOTHING for s in STATES if s != "gone"},
    ),
    "peek_ready": Verb(("peek_ready", "t"), "cmd_peek_ready", {"ready": NOTHING}),
    "peek_delayed": Verb(
        ("peek_delayed", "t"), "cmd_peek_delayed", {"delayed": NOTHING}
    ),
    "peek_buried": Verb(("peek_buried", "t"), "cmd_peek_buried", {"buried": NOTHING}),
    "stats_job": Verb(
        ("stats_job", JOB, None),
        "cmd_stats_job",
        {s: NOTHING for s in STATES if s != "gone"},
    ),
}
PAIRS = [(verb, state) for verb in VERBS for state in STATES]
LEGAL = [(verb, state) for verb, state in PAIRS if state in VERBS[verb].legal]
ILLEGAL = [pair for pair in PAIRS if pair not in LEGAL]


def call(scene: Scene, verb: str) -> Any:
    name, *args = VERBS[verb].call
    return scene.do(name, *(scene.me if arg is SELF else arg for arg in args))


def difference(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in after.items() if before.get(k) != v}


def counted(verb: str) -> dict[str, int]:
    counter = VERBS[verb].counter
    return {} if counter is None else {counter: 1}


def test_a_snapshot_sees_a_change_anywhere() -> None:
    scene = Scene("ready")
    before = scene.snapshot()
    scene.engine.tubes["t"].cmd_delete += 1
    assert scene.snapshot() != before
    scene.engine.tubes["t"].cmd_delete -= 1
    assert scene.snapshot() == before
    scene.job._own_history().kicks += 1
    assert scene.snapshot() != before


@pytest.mark.parametrize(("verb", "state"), LEGAL)
def test_a_legal_verb_changes_this_and_no_more(verb: str, state: str) -> None:
    scene = Scene(state)
    fields, counters = scene.fields(), scene.counters()
    call(scene, verb)
    changed = difference(counters, scene.counters())
    assert list(changed) == list(counted(verb))
    assert changed == {name: counters[name] + 1 for name in changed}
    expected = VERBS[verb].legal[state]
    assert scene.fields() == (expected if expected is GONE else fields | expected)


@pytest.mark.parametrize(("verb", "state"), ILLEGAL)
def test_an_illegal_verb_raises_and_changes_nothing(verb: str, state: str) -> None:
    scene = Scene(state)
    before, counters = scene.snapshot(), scene.counters()
    with pytest.raises(NotFoundError) as caught:
        call(scene, verb)
    assert scene.snapshot() == before
    changed = difference(counters, scene.counters())
    assert list(changed) == list(counted(verb))
    assert changed == {name: counters[name] + 1 for name in changed}
    asked_for_a_tube = verb in {"peek_ready", "peek_delayed", "peek_buried"}
    assert caught.value.tube == ("t" if asked_for_a_tube else None)
    assert caught.value.job_id == (None if asked_for_a_tube else JOB)


# Fencing

# What follows the handle in the arguments.
REST = {"release": (None, 0), "bury": (None,)}


def strange_handle(scene: Scene, kind: str) -> Job:
    """Return a handle of this job that is not valid (any more)."""
    if kind == "stale":
        return scene.stale
    if kind == "foreign":
        return foreign_handle()
    snapshot = peeked(scene)
    if scene.owner is None:
        scene.do("reserve_job", scene.me, JOB)
    else:
        session = getattr(scene, scene.owner)
        scene.do("release", session, JOB, None, None, 0)
        scene.do("reserve", session, 0)
    return snapshot


STRANGE = [
    *(("stale", state) for state in STATES if state != "invalid"),
    *(("foreign", state) for state in STATES),
    *(("peeked", s) for s in STATES if s not in {"gone", "invalid"}),
]


@pytest.mark.parametrize(("kind", "state"), STRANGE)
@pytest.mark.parametrize("verb", ["delete", "release", "bury", "touch"])
def test_a_handle_of_another_reservation_makes_every_verb_illegal(
    verb: str, kind: str, state: str
) -> None:
    scene = Scene(state, renewed=kind == "stale")
    handle = strange_handle(scene, kind)
    before = scene.snapshot()
    with pytest.raises(NotFoundError):
        scene.do(verb, scene.me, JOB, handle, *REST.get(verb, ()))
    assert scene.snapshot() == before


@pytest.mark.parametrize(("kind", "state"), STRANGE)
@pytest.mark.parametrize("verb", ["kick_job", "stats_job"])
def test_a_fence_holds_for_verbs_without_a_session_too(
    verb: str, kind: str, state: str
) -> None:
    scene = Scene(state, renewed=kind == "stale")
    handle = strange_handle(scene, kind)
    before = scene.snapshot()
    with pytest.raises(NotFoundError):
        scene.do(verb, JOB, handle)
    assert scene.snapshot() == before


@pytest.mark.parametrize("with_peeked", [False, True])
@pytest.mark.parametrize(
    ("verb", "state"),
    [
        ("delete", "gone"),
        ("release", "ready"),
        ("bury", "buried"),
        ("touch", "reserved"),
    ],
)
def test_the_handle_of_the_present_reservation_lets_a_verb_pass(
    verb: str, state: str, *, with_peeked: bool
) -> None:
    """Nor is a job that was looked at fenced, while nobody has reserved it since."""
    scene = Scene("mine")
    handle = peeked(scene) if with_peeked else scene.job
    scene.do(verb, scene.me, JOB, handle, *REST.get(verb, ()))
    assert scene.fields()["state"] == state


@pytest.mark.parametrize("state", ["ready", "delayed", "buried"])
def test_a_job_that_was_looked_at_can_be_deleted_until_somebody_reserves_it(
    state: str,
) -> None:
    scene = Scene(state)
    scene.do("delete", scene.me, JOB, peeked(scene))
    assert JOB not in scene.engine.jobs


def test_a_stale_handle_shows_the_job_as_it_was_when_it_was_reserved_again() -> None:
    scene = Scene("mine", renewed=True)
    handle = scene.stale
    assert (handle._state, handle.reserves, handle.releases) == (JobState.GONE, 1, 1)
    scene.do("release", scene.me, JOB, None, 9, 7)
    assert (handle.priority, handle.delay, handle.releases) == (5, 0, 1)
    assert (scene.job.priority, scene.job.delay, scene.job.releases) == (9, 7, 3)
    assert handle.body is scene.job.body


def test_the_handle_of_a_reservation_that_is_over_shows_the_job_as_it_is() -> None:
    scene = Scene("mine")
    handle = scene.job
    scene.do("release", scene.me, JOB, handle, 9, 7)
    assert handle is scene.job
    assert (handle.priority, handle.delay, handle.releases) == (9, 7, 1)


# Reserving, kicking and putting


@pytest.mark.parametrize("timeout", [None, 0, 5.0])
@pytest.mark.parametrize("state", STATES)
def test_reserve_takes_ready_jobs_only(state: str, timeout: float | None) -> None:
    scene = Scene(state)
    fields, counters = scene.fields(), scene.counters()
    job = scene.do("reserve", scene.me, timeout)
    counter = "cmd_reserve" if timeout is None else "cmd_reserve_with_timeout"
    assert difference(counters, scene.counters()) == {counter: counters[counter] + 1}
    if state == "ready":
        assert job is scene.job
        assert scene.fields() == fields | RESERVED | {"reserves": 1}
    else:
        assert job is None
        assert scene.fields() == fields


@pytest.mark.parametrize("state", STATES)
def test_whoever_tries_to_reserve_is_a_worker(state: str) -> None:
    scene = Scene(state)
    workers = scene.queue.count("current_workers")
    scene.do("reserve", scene.me, 0)
    assert scene.queue.count("current_workers") == workers + (state != "mine")


@pytest.mark.parametrize("state", STATES)
def test_kick_takes_delayed_and_buried_jobs_only(state: str) -> None:
    scene = Scene(state)
    fields = scene.fields()
    count = scene.do("kick", "t", 10)
    assert scene.queue.count("cmd_kick") == 1
    if state in {"delayed", "buried"}:
        assert count == 1
        assert scene.fields() == fields | READY | {"kicks": 1}
    else:
        assert count == 0
        assert scene.fields() == fields


@pytest.mark.parametrize(("delay", "state"), [(0, "ready"), (8, "delayed")])
def test_put_makes_a_ready_job_or_with_a_delay_a_delayed_one(
    delay: int, state: str
) -> None:
    scene = Scene("gone")
    assert scene.queue.put_from(scene.me, 3, delay, 60) == 2
    stats = scene.do("stats_job", 2)
    assert stats.as_dict() == {
        "id": 2,
        "tube": "t",
        "state": state,
        "pri": 3,
        "age": 0,
        "delay": delay,
        "ttr": 60,
        "time-left": delay,
        "file": 0,
        "reserves": 0,
        "timeouts": 0,
        "releases": 0,
        "buries": 0,
        "kicks": 0,
    }


def test_all_states_of_a_job_are_in_the_table() -> None:
    reserved = {"mine", "other"}
    states = {state.value for state in JobState}
    assert states == set(STATES) - reserved | {"reserved"}
