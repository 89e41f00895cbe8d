"""An exception at every bytecode of every verb loses, sticks and miscounts nothing.

See `World.verify` for what is checked after each.

By default a bytecode that was broken off, called from the same place, in one scenario
already is broken off in every seventh other one. With ``--soak`` all are.
"""

from __future__ import annotations

import gc

import pytest

from inproc_tubes import monitor
from tests.robustness.injection import Injector, Place, Recorder
from tests.robustness.scenarios import SCENARIOS, Scenario, putting
from tests.robustness.world import World

_SAMPLE = 7
_COLLECT_EVERY = 500  # worlds: each is a cycle

_seen: set[tuple[object, ...]] = set()

pytestmark = [
    pytest.mark.usefixtures("uncollected"),
    # Where a generator is being closed an exception goes no further than to be reported.
    pytest.mark.filterwarnings("ignore:Exception ignored in. <generator object"),
]


def record(scenario: Scenario) -> list[tuple[object, ...]]:
    """Carry out a scenario, check it, and return the bytecodes of its verb."""
    world = World()
    recorder = world.clock.tracer = Recorder()
    verb = scenario(world)
    world.give(recorder.call(verb))
    world.verify()
    assert len(recorder.paths) > 50  # of the quickest
    return recorder.paths


def break_off(scenario: Scenario, number: int) -> tuple[Place, AssertionError] | None:
    """Carry out a scenario up to that bytecode; return what is wrong then."""
    world = World()
    injector = world.clock.tracer = Injector(number)
    verb = scenario(world)
    world.give(injector.call(verb))
    place = injector.place
    assert place is not None, "a scenario takes the same way each time"
    try:
        world.verify()
    except AssertionError as error:
        return place, error
    return None


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda one: one.__name__)
def test_a_verb_may_be_broken_off_at_every_bytecode(
    scenario: Scenario, pytestconfig: pytest.Config
) -> None:
    wrong = []
    for number, path in enumerate(record(scenario), 1):
        is_new = path not in _seen
        _seen.add(path)
        if is_new or number % _SAMPLE == 0 or pytestconfig.getoption("soak"):
            wrong.append(break_off(scenario, number))
        if number % _COLLECT_EVERY == 0:
            gc.collect()
    assert [] == list(filter(None, wrong))


def test_this_would_notice_an_engine_that_is_not_rebuilt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(monitor, "rebuild", lambda _now, _engine: None)
    numbers = range(1, len(record(putting.put_for_a_loop)) + 1)
    assert any(break_off(putting.put_for_a_loop, number) for number in numbers)
