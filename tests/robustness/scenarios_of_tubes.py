"""Pausing, limiting, clearing, watching and using tubes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.robustness.scenario import scenario

if TYPE_CHECKING:
    from tests.robustness.scenario import Verb
    from tests.robustness.world import World


@scenario
def pause(world: World) -> Verb:
    world.put("a")
    return lambda: world.broker.pause_tube("work", 5)


@scenario
def pause_while_consumers_wait(world: World) -> Verb:
    world.wait_to_reserve(world.consumer, timeout=60)
    return lambda: world.broker.pause_tube("work", 5)


@scenario
def end_of_a_pause(world: World) -> Verb:
    world.broker.pause_tube("work", 5)
    world.other.watch("other")
    world.wait_to_reserve(world.consumer, world.other)
    world.put("a", "b", "c")
    return lambda: world.broker.pause_tube("work", 0)


@scenario
def limit_of_a_new_tube(world: World) -> Verb:
    return lambda: world.broker.limit_tube("fresh", 2)


@scenario
def limit_that_is_raised(world: World) -> Verb:
    world.broker.limit_tube("work", 2)
    world.put("a", "b")
    world.wait_to_put("c")
    world.wait_to_put("d", timeout=60)
    return lambda: world.broker.limit_tube("work", 3)


@scenario
def limit_that_is_lowered(world: World) -> Verb:
    world.broker.limit_tube("work", 2)
    world.put("a")
    world.wait_to_put("b", "c")
    world.wait_to_put("d")
    return lambda: world.broker.limit_tube("work", 1)


@scenario
def limit_that_is_lifted(world: World) -> Verb:
    world.broker.limit_tube("work", 1)
    world.put("a")
    world.reserve()
    world.wait_to_put("b")
    world.wait_to_reserve(world.other)
    return lambda: world.broker.limit_tube("work", 0)


@scenario
def clear_of_a_tube(world: World) -> Verb:
    world.bury("a")
    world.put("b", delay=5)
    world.put("c", "d")
    world.reserve()
    world.deletes("a", "b", "d")
    return lambda: world.broker.clear_tube("work")


@scenario
def clear_of_a_limited_tube(world: World) -> Verb:
    world.broker.limit_tube("work", 2)
    world.put("a", "b")
    world.deletes("a", "b")
    world.wait_to_put("c")
    world.wait_to_join("work")
    return lambda: world.broker.clear_tube("work")


@scenario
def clear_of_a_tube_that_vanishes(world: World) -> Verb:
    world.put("a", "b", tube="gone")
    world.deletes("a", "b")
    world.wait_to_join("gone")
    return lambda: world.broker.clear_tube("gone", "ready")


@scenario
def watch(world: World) -> Verb:
    return lambda: world.consumer.watch("other", "third")


@scenario
def watch_while_waiting(world: World) -> Verb:
    world.wait_to_reserve(world.other, world.consumer, world.consumer)
    world.put("a", tube="third")
    return lambda: world.consumer.watch("other", "third")


@scenario
def watch_of_one_more_of_several(world: World) -> Verb:
    world.consumer.watch("other")
    world.other.watch("other")
    world.wait_to_reserve(world.consumer, world.other)
    return lambda: world.consumer.watch("third")


@scenario
def ignore(world: World) -> Verb:
    world.consumer.watch("other")
    return lambda: world.consumer.ignore("other")


@scenario
def ignore_while_waiting(world: World) -> Verb:
    world.consumer.watch("other", "third")
    world.wait_to_reserve(world.consumer, world.other, world.consumer)
    return lambda: world.consumer.ignore("other")


@scenario
def snapshot(world: World) -> Verb:
    world.held().touch()
    world.put("b", delay=5)
    world.wait_to_reserve(world.other)
    world.broker.snapshot()  # which imports, the first time
    return world.broker.snapshot


@scenario
def use(world: World) -> Verb:
    world.producer.use("other")
    return lambda: world.producer.use("fresh")
