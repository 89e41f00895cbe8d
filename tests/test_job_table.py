"""Every state of a job and every verb: what may be done, and what it changes."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from enum import Enum
from itertools import count
from typing import Any, NamedTuple

import pytest
from sortedcontainers import SortedList

from inproc_tubes.engine import Engine
from inproc_tubes.errors import NotFoundError
from inproc_tubes.job import JobState
from inproc_tubes.waiting import Waiter

STATES = ["ready", "delayed", "buried", "mine", "other", "invalid", "gone"]
NOW = 100.0
JOB = 1


class Scene:
    """One job in a tube, put ten seconds ago, and two clients."""

    def __init__(self, state: str) -> None:
        self.engine = engine = Engine()
        self.me = engine.open_session(90.0, "t", ["t"])
        self.other = engine.open_session(90.0, "t", ["t"])
        delay = 30 if state == "delayed" else 0
        if state == "invalid":
            # The put line was read, the body was not.
            engine.begin_put(90.0, self.other, "body", 5, 0, 60)
        else:
            engine.put(90.0, self.me, None, "body", 5, delay, 60)
        self.record = engine.jobs[JOB]
        if state == "mine":
            engine.reserve(90.0, self.me, 0)
        if state == "other":
            engine.reserve(90.0, self.other, 0)
        if state == "buried":
            engine.reserve(90.0, self.other, 0)
            engine.bury(90.0, self.other, JOB, None, None)
        if state == "gone":
            engine.delete(90.0, self.me, JOB, None)
        engine._check()

    def do(self, verb: str, *args: Any) -> Any:
        """Call a verb of the engine at ``NOW``."""
        try:
            return getattr(self.engine, verb)(NOW, *args)
        finally:
            self.engine._check()

    def fields(self) -> dict[str, Any]:
        """Return what is known of the job and of its tube, by beanstalkd's names."""
        if JOB not in self.engine.jobs:
            return {"state": "gone"}
        owner = {None: None, self.me: "me", self.other: "other"}
        tube = self.engine.stats_tube(NOW, "t")
        return (
            self.engine.stats_job(NOW, JOB)
            | {"owner": owner[self.record.owner]}
            | {key: tube[key] for key in tube if key.startswith("cmd_")}
        )

    def counters(self) -> dict[str, int]:
        """Return the counters of the commands."""
        counters = {k: v for k, v in vars(self.engine).items() if k.startswith("cmd_")}
        return counters | {"cmd_delete": self.engine.cmd_delete}


class Verb(NamedTuple):
    """How a verb is called, what counts it, and what it changes in which state."""

    call: tuple[Any, ...]  # SELF stands for the session that calls
    counter: str | None
    legal: dict[str, dict[str, Any]]


SELF = object()
READY = {"state": "ready", "time_left": 0, "owner": None}
RESERVED = {"state": "reserved", "time_left": 60, "owner": "me"}
GONE = {"state": "gone"}
NOTHING: dict[str, Any] = {}

# Only what is named changes. The scenes: priority 5, ttr 60, put at 90.0; "delayed"
# until 120.0, "mine" and "other" until 150.0, and "buried" was reserved before.
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
# What the engine keeps of how often it was asked.
COUNTERS = ("cmd_", "deletes_of_nothing")
PAIRS = [(verb, state) for verb in VERBS for state in STATES]
LEGAL = [(verb, state) for verb, state in PAIRS if state in VERBS[verb].legal]
ILLEGAL = [pair for pair in PAIRS if pair not in LEGAL]


def snapshot(thing: Any, seen: dict[int, int] | None = None) -> Any:
    """Return all that can be reached, but the counters of the engine's commands."""
    seen = {} if seen is None else seen
    if thing is None or isinstance(thing, (int, float, str, Enum)):
        return thing
    if id(thing) in seen:
        return f"object {seen[id(thing)]}"
    seen[id(thing)] = len(seen)
    if isinstance(thing, Mapping):
        return [(snapshot(k, seen), snapshot(v, seen)) for k, v in thing.items()]
    if isinstance(thing, count):
        return repr(thing)
    if isinstance(thing, (list, tuple, deque, SortedList)):
        return [snapshot(item, seen) for item in thing]
    if isinstance(thing, Engine):
        names = [name for name in vars(thing) if not name.startswith(COUNTERS)]
    else:
        names = type(thing).__slots__
    return [(name, snapshot(getattr(thing, name), seen)) for name in names]


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
    before = snapshot(scene.engine)
    scene.engine.tubes["t"].cmd_delete += 1
    assert snapshot(scene.engine) != before
    scene.engine.tubes["t"].cmd_delete -= 1
    assert snapshot(scene.engine) == before
    scene.engine.jobs[JOB].own_past().kicks += 1
    assert snapshot(scene.engine) != before


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
    before, counters = snapshot(scene.engine), scene.counters()
    with pytest.raises(NotFoundError) as caught:
        call(scene, verb)
    assert snapshot(scene.engine) == before
    changed = difference(counters, scene.counters())
    assert list(changed) == list(counted(verb))
    assert changed == {name: counters[name] + 1 for name in changed}
    asked_for_a_tube = verb in {"peek_ready", "peek_delayed", "peek_buried"}
    assert caught.value.tube == ("t" if asked_for_a_tube else None)
    assert caught.value.job_id == (None if asked_for_a_tube else JOB)


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("verb", ["delete", "release", "bury", "touch"])
def test_a_fence_of_another_reservation_makes_every_verb_illegal(
    verb: str, state: str
) -> None:
    scene = Scene(state)
    before = snapshot(scene.engine)
    rest = {"release": (None, 0), "bury": (None,)}.get(verb, ())
    with pytest.raises(NotFoundError):
        scene.do(verb, scene.me, JOB, scene.record.reservation + 1, *rest)
    assert snapshot(scene.engine) == before


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("verb", ["kick_job", "stats_job"])
def test_a_fence_holds_for_verbs_without_a_session_too(verb: str, state: str) -> None:
    scene = Scene(state)
    before = snapshot(scene.engine)
    with pytest.raises(NotFoundError):
        scene.do(verb, JOB, scene.record.reservation + 1)
    assert snapshot(scene.engine) == before


@pytest.mark.parametrize(
    ("verb", "rest", "state"),
    [
        ("delete", (), "gone"),
        ("release", (None, 0), "ready"),
        ("bury", (None,), "buried"),
        ("touch", (), "reserved"),
    ],
)
def test_the_fence_of_its_own_reservation_lets_a_verb_pass(
    verb: str, rest: tuple[Any, ...], state: str
) -> None:
    scene = Scene("mine")
    scene.do(verb, scene.me, JOB, scene.record.reservation, *rest)
    assert scene.fields()["state"] == state


@pytest.mark.parametrize("timeout", [None, 0, 5.0])
@pytest.mark.parametrize("state", STATES)
def test_reserve_takes_ready_jobs_only(state: str, timeout: float | None) -> None:
    scene = Scene(state)
    fields, counters = scene.fields(), scene.counters()
    record = scene.do("reserve", scene.me, timeout)
    counter = "cmd_reserve" if timeout is None else "cmd_reserve_with_timeout"
    assert difference(counters, scene.counters()) == {counter: counters[counter] + 1}
    assert scene.me.is_worker
    if state == "ready":
        assert record is scene.record
        assert scene.fields() == fields | RESERVED | {"reserves": 1}
    else:
        assert record is None
        assert scene.fields() == fields


@pytest.mark.parametrize("state", STATES)
def test_kick_takes_delayed_and_buried_jobs_only(state: str) -> None:
    scene = Scene(state)
    fields = scene.fields()
    count = scene.do("kick", "t", 10)
    assert scene.engine.cmd_kick == 1
    if state in {"delayed", "buried"}:
        assert count == 1
        assert scene.fields() == fields | READY | {"kicks": 1}
    else:
        assert count == 0
        assert scene.fields() == fields


def test_put_without_a_delay_makes_a_ready_job() -> None:
    scene = Scene("gone")
    assert scene.do("put", scene.me, None, "body", 3, 0, 60) == 2
    assert scene.do("stats_job", 2) == {
        "id": 2,
        "tube": "t",
        "state": "ready",
        "priority": 3,
        "age": 0,
        "delay": 0,
        "ttr": 60,
        "time_left": 0,
        "reserves": 0,
        "timeouts": 0,
        "releases": 0,
        "buries": 0,
        "kicks": 0,
    }


def test_put_with_a_delay_makes_a_delayed_job() -> None:
    scene = Scene("gone")
    assert scene.do("put", scene.me, None, "body", 3, 8, 60) == 2
    stats = scene.do("stats_job", 2)
    assert (stats["state"], stats["delay"], stats["time_left"]) == ("delayed", 8, 8)


# What happens by itself, or from afar

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
    scene.engine.catch_up(moment - 0.001)
    fields = scene.fields()
    scene.engine.catch_up(moment)
    scene.engine._check()
    assert scene.fields() == fields | expected
    timeouts = expected.get("timeouts", 0)
    assert scene.engine.stats(moment)["job_timeouts"] == timeouts


@pytest.mark.parametrize("state", ["ready", "delayed", "buried", "mine", "other"])
def test_closing_makes_the_own_jobs_ready_and_counts_nothing(state: str) -> None:
    scene = Scene(state)
    fields, counters = scene.fields(), scene.counters()
    scene.do("close_session", scene.me, "closed")
    assert scene.fields() == fields | (READY if state == "mine" else {})
    # but for what looking has cost
    assert set(difference(counters, scene.counters())) == {
        "cmd_stats_job",
        "cmd_stats_tube",
    }


@pytest.mark.parametrize("end", ["ttr", "close", "release"])
@pytest.mark.parametrize("state", ["delayed", "buried"])
def test_a_job_reserved_by_its_id_is_ready_afterwards(state: str, end: str) -> None:
    """It is not delayed or buried again, and its delay field is kept."""
    scene = Scene(state)
    delay = scene.record.delay
    scene.do("reserve_job", scene.me, JOB)
    assert scene.record.delay == delay
    if end == "ttr":
        scene.engine.catch_up(160.0)
    elif end == "close":
        scene.do("close_session", scene.me, "closed")
    else:
        scene.do("release", scene.me, JOB, None, None, 0)
    scene.engine._check()
    assert scene.record.state is JobState.READY
    assert scene.record.delay == (0 if end == "release" else delay)
    assert scene.record.past.buries == (1 if state == "buried" else 0)


def test_release_overwrites_priority_and_delay_each_time() -> None:
    scene = Scene("mine")
    scene.do("release", scene.me, JOB, None, 9, 1)
    record = scene.record
    assert (record.state, record.priority, record.delay) == (JobState.DELAYED, 9, 1)
    scene.engine.catch_up(101.0)
    assert (record.state, record.delay) == (JobState.READY, 1)
    scene.engine.reserve(101.0, scene.me, 0)
    scene.engine.release(101.0, scene.me, JOB, None, 3, 0)
    scene.engine._check()
    assert (record.state, record.priority, record.delay) == (JobState.READY, 3, 0)
    assert record.past.releases == 2


@pytest.mark.parametrize("verb", ["kick", "kick_job", "maturing"])
def test_the_delay_field_survives_the_end_of_the_delay(verb: str) -> None:
    scene = Scene("delayed")
    if verb == "kick":
        scene.do("kick", "t", 1)
    elif verb == "kick_job":
        scene.do("kick_job", JOB, None)
    else:
        scene.engine.catch_up(120.0)
    assert (scene.record.state, scene.record.delay) == (JobState.READY, 30)


def test_age_counts_from_put_and_is_never_reset() -> None:
    scene = Scene("mine")
    scene.do("release", scene.me, JOB, None, 0, 0)
    scene.engine.reserve(101.0, scene.me, 0)
    scene.engine.touch(102.0, scene.me, JOB, None)
    assert scene.engine.stats_job(103.5, JOB)["age"] == 13.5


def test_touch_is_a_reset_not_an_extension() -> None:
    scene = Scene("mine")
    scene.do("touch", scene.me, JOB, None)
    scene.do("touch", scene.me, JOB, None)
    scene.engine.catch_up(159.9)
    assert (scene.record.state, scene.record.past.timeouts) == (JobState.RESERVED, 0)
    scene.engine.catch_up(160.0)
    assert (scene.record.state, scene.record.past.timeouts) == (JobState.READY, 1)


# The old owner after an expiry


@pytest.mark.parametrize(
    ("verb", "rest"), [("touch", ()), ("release", (0, 0)), ("bury", (0,))]
)
def test_after_an_expiry_the_old_owner_may_do_nothing(
    verb: str, rest: tuple[Any, ...]
) -> None:
    scene = Scene("mine")
    scene.engine.catch_up(150.0)
    with pytest.raises(NotFoundError):
        getattr(scene.engine, verb)(150.0, scene.me, JOB, None, *rest)
    assert scene.record.state is JobState.READY


@pytest.mark.parametrize("fenced", [False, True])
def test_but_delete_the_job_if_nobody_has_it_yet(*, fenced: bool) -> None:
    scene = Scene("mine")
    fence = scene.record.reservation if fenced else None
    scene.engine.catch_up(150.0)
    scene.engine.delete(150.0, scene.me, JOB, fence)
    scene.engine._check()
    assert JOB not in scene.engine.jobs


def test_and_not_even_that_once_somebody_has() -> None:
    scene = Scene("mine")
    scene.engine.catch_up(150.0)
    scene.engine.reserve(150.0, scene.other, 0)
    with pytest.raises(NotFoundError):
        scene.engine.delete(150.0, scene.me, JOB, None)
    assert scene.record.owner is scene.other


def test_the_same_client_may_reserve_an_expired_job_again() -> None:
    scene = Scene("mine")
    old_fence = scene.record.reservation
    scene.engine.catch_up(150.0)
    assert scene.engine.reserve(150.0, scene.me, 0) is scene.record
    assert (scene.record.reserves, scene.record.past.timeouts) == (2, 1)
    with pytest.raises(NotFoundError):
        scene.engine.delete(150.0, scene.me, JOB, old_fence)
    scene.engine.delete(150.0, scene.me, JOB, None)
    scene.engine._check()


def test_an_expired_job_goes_straight_to_who_waits() -> None:
    scene = Scene("mine")
    waiter = Waiter(scene.other, None)
    scene.do("wait", waiter)
    scene.engine.catch_up(150.0)
    scene.engine._check()
    record = scene.record
    assert waiter.outcome is record
    assert (record.priority, record.due_at) == (5, 210.0)
    assert (record.reserves, record.past.timeouts, record.past.releases) == (2, 1, 0)
    with pytest.raises(NotFoundError):
        scene.engine.delete(150.0, scene.me, JOB, None)


# The end of a with-block


def settle(scene: Scene, now: float, *, failed: bool) -> None:
    """Leave a block that began with the first reservation of "mine"."""
    scene.engine.settle(now, scene.me, scene.record, 1, failed)
    scene.engine._check()


@pytest.mark.parametrize(("failed", "state"), [(False, "gone"), (True, "buried")])
def test_a_block_deletes_its_job_or_buries_it(*, failed: bool, state: str) -> None:
    scene = Scene("mine")
    settle(scene, NOW, failed=failed)
    assert scene.fields()["state"] == state


@pytest.mark.parametrize("failed", [False, True])
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
    verb: str, rest: tuple[Any, ...], state: str, *, failed: bool
) -> None:
    scene = Scene("mine")
    scene.do(verb, scene.me, JOB, 1, *rest)
    settle(scene, NOW, failed=failed)
    assert scene.fields()["state"] == state


@pytest.mark.parametrize(("failed", "state"), [(False, "gone"), (True, "ready")])
def test_a_job_expired_in_its_block_is_deleted_if_it_is_done(
    *, failed: bool, state: str
) -> None:
    scene = Scene("mine")
    scene.engine.catch_up(150.0)
    settle(scene, 150.0, failed=failed)
    assert scene.fields()["state"] == state


@pytest.mark.parametrize("taker", ["me", "other"])
def test_a_job_taken_anew_is_no_longer_the_block_s(taker: str) -> None:
    scene = Scene("mine")
    scene.engine.catch_up(150.0)
    scene.engine.reserve(150.0, getattr(scene, taker), 0)
    settle(scene, 150.0, failed=True)
    with pytest.raises(NotFoundError):
        settle(scene, 150.0, failed=False)
    assert scene.fields()["owner"] == taker


def test_all_states_of_a_job_are_in_the_table() -> None:
    reserved = {"mine", "other"}
    states = {state.value for state in JobState}
    assert states == set(STATES) - reserved - {"gone"} | {"reserved"}
