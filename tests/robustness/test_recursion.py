"""A RecursionError in the middle of a verb loses, sticks and miscounts nothing."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

import inproc_tubes
from inproc_tubes import Broker, TubesError
from inproc_tubes.core.recovery import check
from tests.robustness.injection import Recorder
from tests.robustness.scenarios import SCENARIOS, Scenario
from tests.robustness.world import World

if TYPE_CHECKING:
    from types import FrameType

_DEEPEST = 60  # frames; no verb needs more
_ENOUGH = 5  # successes in a row: with more frames left it is the same

pytestmark = pytest.mark.usefixtures("no_collector")


def depth() -> int:
    """Return how many frames there are."""
    frame: FrameType | None = sys._getframe()
    number = 0
    while frame is not None:
        frame = frame.f_back
        number += 1
    return number


def fails_at(scenario: Scenario, left: int) -> bool:
    """Carry out a scenario with so many frames left; tell whether they are too few."""
    world = World()
    world.clock.tracer = Recorder()  # it is paused where another thread is played
    verb = scenario(world)
    usual = sys.getrecursionlimit()
    try:
        sys.setrecursionlimit(depth() + left)
        result = verb()
    except RecursionError:
        result = None
        failed = True
    else:
        failed = False
    finally:
        sys.setrecursionlimit(usual)
    world.give(result)
    world.verify()
    return failed


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda one: one.__name__)
def test_a_verb_may_run_out_of_frames_at_every_depth(scenario: Scenario) -> None:
    failed = [fails_at(scenario, left=1)]
    # Compiled code needs no frames.
    assert failed[0] or inproc_tubes.compiled
    while failed[-_ENOUGH:] != [False] * _ENOUGH:
        failed.append(fails_at(scenario, left=len(failed) + 1))
        assert len(failed) < _DEEPEST
    assert failed == sorted(failed, reverse=True)


def test_a_crawler_that_puts_in_a_recursion_loses_nothing() -> None:
    broker: Broker[int] = Broker()
    producer, consumer = broker.producer(), broker.consumer()
    put: list[int] = []
    deleted: list[int] = []

    def crawl(number: int) -> None:
        job_id = producer.put(number)
        put.append(job_id)
        with suppress(TubesError):
            job = consumer.reserve_job(max(1, job_id - 5))
            deleted.append(job.id)
            job.delete()
        crawl(number + 1)

    for _ in range(20):
        with pytest.raises(RecursionError):
            crawl(0)
        broker.tubes()
        check(broker._engine)
    there = {job.id for job in broker.jobs("default")}
    assert set(put) <= there | set(deleted)
    assert not there & set(deleted[:-1])
