"""Verbs of which somebody is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import inproc_tubes.subscriptions  # noqa: F401 - else the first one would import it
from tests.robustness.scenario import scenario

if TYPE_CHECKING:
    from tests.robustness.scenario import Verb
    from tests.robustness.world import World


@scenario
def subscribe(world: World) -> Verb:
    return world.follow


@scenario
def unsubscribe(world: World) -> Verb:
    subscription = world.follow()
    world.put("a")
    return subscription.unsubscribe


@scenario
def unsubscribe_that_is_one_of_two(world: World) -> Verb:
    subscription = world.follow()
    world.follow()
    return subscription.unsubscribe


@scenario
def end_of_a_block_of_a_subscription(world: World) -> Verb:
    # It dies with this list, where nothing breaks that off.
    world.blocks.append(world.broker.subscribe(world.told.append).__enter__())
    return lambda: world.blocks[0].__exit__(None, None, None)


@scenario
def put_that_is_told(world: World) -> Verb:
    world.follow()
    world.puts("x")
    return lambda: world.producer.put("x")


@scenario
def put_that_is_told_to_a_waiting_consumer(world: World) -> Verb:
    world.follow()
    world.wait_to_reserve(world.other)
    world.puts("x")
    return lambda: world.producer.put("x")


@scenario
def puts_that_are_told(world: World) -> Verb:
    world.follow()
    world.puts("x", "y")
    world.batches.append({"x", "y"})
    return lambda: world.producer.put_many(["x", "y"])


@scenario
def reserve_that_is_told(world: World) -> Verb:
    world.put("a", "b")
    world.follow()
    return lambda: world.consumer.reserve(timeout=0)


@scenario
def delete_that_is_told(world: World) -> Verb:
    job = world.held()
    world.follow()
    world.deletes("a")
    return job.delete


@scenario
def release_that_is_told(world: World) -> Verb:
    job = world.held()
    world.follow()
    return lambda: job.release(error=ValueError("why"))


@scenario
def bury_that_is_told(world: World) -> Verb:
    job = world.held()
    world.follow()
    return job.bury


@scenario
def close_of_a_consumer_that_is_told(world: World) -> Verb:
    world.held()
    world.follow()
    return world.consumer.close


@scenario
def expiry_that_is_told(world: World) -> Verb:
    world.held(ttr=5)
    world.follow()
    world.clock.advance(5)
    return world.broker.tubes


@scenario
def verb_of_a_callback(world: World) -> Verb:
    world.follow()
    world.broker.subscribe(lambda _: world.broker.kick("work", 1), ["buried"])
    job = world.held()
    return job.bury


@scenario
def close_of_a_broker_that_is_told(world: World) -> Verb:
    world.put("a")
    world.follow()
    return world.broker.close
