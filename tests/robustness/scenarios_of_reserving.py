"""Reserving: at once, and waiting."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from inproc_tubes import DeadlineSoonError, NotFoundError, TimedOutError
from tests.robustness.scenario import refused, scenario

if TYPE_CHECKING:
    from tests.robustness.scenario import Verb
    from tests.robustness.world import World


def _reserve(world: World, **how: Any) -> Verb:
    return lambda: world.consumer.reserve(**how)


@scenario
def reserve(world: World) -> Verb:
    world.put("a", "b")
    return _reserve(world, timeout=0)


@scenario
def reserve_with_a_timeout(world: World) -> Verb:
    world.put("a")
    return _reserve(world, timeout=5)


@scenario
def reserve_of_the_best_of_several_priorities(world: World) -> Verb:
    world.put("a", "b")
    world.put("c", priority=2)
    return _reserve(world, timeout=0)


@scenario
def reserve_after_one_left_from_the_middle(world: World) -> Verb:
    job_id = world.put("a")
    world.put("b")
    world.deletes("a")
    world.broker.delete(job_id)
    return _reserve(world, timeout=0)


@scenario
def reserve_from_several_tubes(world: World) -> Verb:
    world.consumer.watch("other", "third")
    world.put("a")
    world.put("b", tube="other", priority=3)
    return _reserve(world, timeout=0)


@scenario
def reserve_again(world: World) -> Verb:
    world.put("a")
    world.reserve().release()
    return _reserve(world, timeout=0)


@scenario
def reserve_while_another_job_is_held(world: World) -> Verb:
    world.put("a", "b", ttr=30)
    world.reserve()
    assert world.monitor.next_due() == world.clock.now() + 30
    return _reserve(world, timeout=0)


@scenario
def reserve_that_finds_nothing(world: World) -> Verb:
    return refused(TimedOutError, _reserve(world, timeout=0))


@scenario
def reserve_near_a_deadline(world: World) -> Verb:
    world.put("a", ttr=1)
    world.reserve()
    return refused(DeadlineSoonError, _reserve(world, timeout=5))


@scenario
def reserve_near_a_deadline_that_was_told_of(world: World) -> Verb:
    world.put("a", ttr=1)
    world.reserve()
    refused(DeadlineSoonError, _reserve(world, timeout=5))()
    world.clock.meanwhile = lambda: world.clock.advance(0.5)
    return refused(TimedOutError, _reserve(world, timeout=0.5))


@scenario
def reserve_that_waits_until_a_deadline_is_near(world: World) -> Verb:
    world.put("a", ttr=3)
    world.reserve()
    world.wait_to_reserve(world.consumer)
    world.clock.meanwhile = lambda: world.clock.advance(2)
    return refused(DeadlineSoonError, _reserve(world, timeout=5))


@scenario
def reserve_nowait(world: World) -> Verb:
    world.put("a", "b")
    return world.consumer.reserve_nowait


@scenario
def reserve_nowait_that_finds_nothing(world: World) -> Verb:
    return world.consumer.reserve_nowait


@scenario
def reserve_with_a_default(world: World) -> Verb:
    world.put("a")
    return _reserve(world, timeout=0, default=None)


@scenario
def reserve_with_a_default_that_waits(world: World) -> Verb:
    world.clock.meanwhile = lambda: world.clock.advance(5)
    return _reserve(world, timeout=5, default=None)


@scenario
def reserve_that_waits(world: World) -> Verb:
    world.clock.meanwhile = lambda: world.put("a")
    return _reserve(world)


@scenario
def reserve_that_waits_among_others(world: World) -> Verb:
    world.wait_to_reserve(world.other, world.other)
    world.clock.meanwhile = lambda: world.put("a", "b", "c")
    return _reserve(world, timeout=60)


@scenario
def reserve_that_waits_in_several_tubes(world: World) -> Verb:
    world.consumer.watch("other")
    world.clock.meanwhile = lambda: world.put("a", tube="other")
    return _reserve(world, timeout=60)


@scenario
def reserve_that_waits_while_holding(world: World) -> Verb:
    world.put("a")
    world.reserve()
    world.clock.meanwhile = lambda: world.put("b")
    return _reserve(world)


@scenario
def reserve_that_keeps_time_for_another(world: World) -> Verb:
    world.wait_to_reserve(world.other, timeout=60)
    world.clock.meanwhile = lambda: world.clock.advance(5)
    return refused(TimedOutError, _reserve(world, timeout=5))


@scenario
def reserve_that_waits_for_a_delay(world: World) -> Verb:
    world.put("a", delay=5)
    world.clock.meanwhile = lambda: world.clock.advance(5)
    return _reserve(world)


@scenario
def reserve_that_waits_and_is_closed(world: World) -> Verb:
    world.clock.meanwhile = world.consumer.close
    return lambda: list(world.consumer)


@scenario
def step_of_a_loop(world: World) -> Verb:
    world.put("a", "b")
    return lambda: next(world.consumer)


@scenario
def step_of_a_loop_that_waits(world: World) -> Verb:
    world.clock.meanwhile = lambda: world.put("a")
    return lambda: next(world.consumer)


@scenario
def reserve_many(world: World) -> Verb:
    world.put("a", "b", "c")
    return lambda: world.consumer.reserve_many(2, timeout=0)


@scenario
def reserve_many_of_several_priorities(world: World) -> Verb:
    world.put("a", "b")
    world.put("c", priority=2)
    return lambda: world.consumer.reserve_many(2)


@scenario
def reserve_many_of_several_tubes(world: World) -> Verb:
    world.consumer.watch("other")
    world.put("a", "b")
    world.put("c", tube="other", priority=3)
    return lambda: world.consumer.reserve_many(3)


@scenario
def reserve_many_again(world: World) -> Verb:
    world.put("a", "b")
    for job in [world.reserve(), world.reserve()]:
        job.release()
    return lambda: world.consumer.reserve_many(2)


@scenario
def reserve_many_that_waits(world: World) -> Verb:
    def put() -> None:
        world.producer.put_many(["a", "b", "c"])
        world.certain.update(("a", "b", "c"))

    world.puts("a", "b", "c")
    world.batches.append({"a", "b", "c"})
    world.clock.meanwhile = put
    return lambda: world.consumer.reserve_many(2, timeout=60)


@scenario
def reserve_job(world: World) -> Verb:
    world.put("a")
    job_id = world.put("b")
    return lambda: world.consumer.reserve_job(job_id)


@scenario
def reserve_job_that_is_delayed(world: World) -> Verb:
    job_id = world.put("a", delay=5)
    return lambda: world.consumer.reserve_job(job_id)


@scenario
def reserve_job_that_is_buried(world: World) -> Verb:
    job_id = world.bury("a", "b")
    world.put("c")
    world.wait_to_join("work")
    return lambda: world.consumer.reserve_job(job_id)


@scenario
def reserve_job_that_is_held(world: World) -> Verb:
    world.put("a")
    job = world.reserve(world.other)
    return refused(NotFoundError, lambda: world.consumer.reserve_job(job.id))
