"""An exception at every bytecode of every verb loses, sticks and miscounts nothing.

See `World.verify` for what is checked after each.

By default a bytecode that was broken off, called from the same place, in one scenario
already is broken off in every seventh other one. With ``--soak`` all are.
"""

from __future__ import annotations

import gc

import pytest

import inproc_tubes
from inproc_tubes import monitor
from tests.robustness.injection import Bytecode, Injector, Place, Recorder
from tests.robustness.scenarios import SCENARIOS, Scenario, putting
from tests.robustness.world import World

_SAMPLE = 7
_COLLECT_EVERY = 500  # worlds: each is a cycle

_seen: set[tuple[Bytecode, Bytecode]] = set()

pytestmark = [
    pytest.mark.usefixtures("no_collector"),
    # Where a generator is being closed an exception goes no further than to be reported.
    pytest.mark.filterwarnings("ignore:Exception ignored in. <generator object"),
]


def record(scenario: Scenario) -> Recorder:
    """Carry out a scenario, check it, and return what has seen the bytecodes of it."""
    world = World()
    recorder = world.clock.tracer = Recorder()
    verb = scenario(world)
    world.give(recorder.call(verb))
    world.verify()
    # Of the quickest verb. Compiled, a block has no bytecode of ours at all.
    assert inproc_tubes.compiled or len(recorder.paths) > 50
    return recorder


def break_off(
    scenario: Scenario, number: int, bytecode: Bytecode
) -> tuple[Place, AssertionError] | None:
    """Carry out a scenario up to that bytecode, for the ``number``-th time.

    Returns:
        What is wrong then.
    """
    world = World()
    injector = world.clock.tracer = Injector(number, bytecode)
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
    recorder = record(scenario)
    executed = zip(recorder.paths, recorder.numbered(), strict=True)
    for number, (path, time_and_bytecode) in enumerate(executed, 1):
        is_new = path not in _seen
        _seen.add(path)
        if is_new or number % _SAMPLE == 0 or pytestconfig.getoption("soak"):
            wrong.append(break_off(scenario, *time_and_bytecode))
        if number % _COLLECT_EVERY == 0:
            gc.collect()
    assert [] == list(filter(None, wrong))


def test_this_would_notice_an_engine_that_is_not_rebuilt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(monitor, "rebuild", lambda _now, _engine: None)
    scenario = putting.put_for_a_loop
    assert any(break_off(scenario, *at) for at in record(scenario).numbered())
