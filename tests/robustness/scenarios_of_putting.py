"""Putting, alone and where others wait."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from inproc_tubes import DrainingError, DuplicateJobError, TubeFullError
from tests.robustness.scenario import refused, scenario

if TYPE_CHECKING:
    from tests.robustness.scenario import Verb
    from tests.robustness.world import World


def _put(world: World, body: str = "new", **how: Any) -> Verb:
    world.puts(body)
    return lambda: world.producer.put(body, **how)


def _put_many(world: World, *bodies: str, **how: Any) -> Verb:
    world.puts(*bodies)
    world.batches.append(set(bodies))
    return lambda: world.producer.put_many(bodies, **how)


@scenario
def put(world: World) -> Verb:
    world.put("a")
    return _put(world)


@scenario
def put_into_a_new_tube(world: World) -> Verb:
    return _put(world, tube="fresh")


@scenario
def put_out_of_order(world: World) -> Verb:
    world.put("a", "b")
    return _put(world, priority=3)


@scenario
def put_of_an_unusual_priority_twice(world: World) -> Verb:
    world.put("a", priority=3)
    return _put(world, priority=3)


@scenario
def put_with_a_delay(world: World) -> Verb:
    world.put("a", delay=5)
    return _put(world, delay=1)


@scenario
def put_with_a_delay_while_consumers_wait(world: World) -> Verb:
    world.wait_to_reserve(world.consumer, world.other, timeout=60)
    return _put(world, delay=1)


@scenario
def put_for_one_of_two_waiting_consumers(world: World) -> Verb:
    world.wait_to_reserve(world.consumer, world.other)
    return _put(world)


@scenario
def put_with_its_context(world: World) -> Verb:
    producer = world.broker.producer("work", context=True)
    world.puts("a")
    return lambda: producer.put("a")


@scenario
def put_for_a_loop(world: World) -> Verb:
    world.iterate(world.consumer)
    return _put(world)


@scenario
def put_for_a_consumer_of_several_tubes(world: World) -> Verb:
    world.other.watch("other", "third")
    world.wait_to_reserve(world.other, timeout=60)
    return _put(world, tube="other")


@scenario
def put_where_a_consumer_watches_several_tubes(world: World) -> Verb:
    world.other.watch("other")
    world.put("a", tube="other")
    world.reserve(world.other).delete()
    world.deletes("a")
    return _put(world, tube="other")


@scenario
def put_into_a_limited_tube(world: World) -> Verb:
    world.broker.limit_tube("work", 2)
    world.put("a")
    return _put(world)


@scenario
def put_into_a_full_tube(world: World) -> Verb:
    world.broker.limit_tube("work", 1)
    world.put("a")
    return refused(TubeFullError, _put(world, timeout=0))


@scenario
def put_behind_another_put(world: World) -> Verb:
    world.broker.limit_tube("work", 2)
    world.put("a")
    world.wait_to_put("b", "c")
    return refused(TubeFullError, _put(world, timeout=0))


@scenario
def put_that_waits_and_is_let_in(world: World) -> Verb:
    world.broker.limit_tube("work", 1)
    world.put("a")
    job = world.reserve()
    world.deletes("a")
    world.clock.meanwhile = job.delete
    return _put(world)


@scenario
def put_that_waits_and_is_late(world: World) -> Verb:
    world.broker.limit_tube("work", 1)
    world.put("a")
    world.clock.meanwhile = lambda: world.clock.advance(5)
    return refused(TubeFullError, _put(world, timeout=5))


@scenario
def put_while_draining(world: World) -> Verb:
    world.put("a")
    world.broker.drain()
    return refused(DrainingError, _put(world))


@scenario
def put_while_a_join_waits(world: World) -> Verb:
    world.put("a")
    world.wait_to_join("work")
    return _put(world)


@scenario
def put_many(world: World) -> Verb:
    world.put("a")
    return _put_many(world, "x", "y", "z")


@scenario
def put_many_into_a_new_tube(world: World) -> Verb:
    return _put_many(world, "x", "y", tube="fresh")


@scenario
def put_many_out_of_order(world: World) -> Verb:
    world.put("a", "b")
    return _put_many(world, "x", "y", priority=3)


@scenario
def put_many_with_a_delay(world: World) -> Verb:
    world.wait_to_reserve(world.consumer)
    return _put_many(world, "x", "y", delay=2)


@scenario
def put_many_for_waiting_consumers(world: World) -> Verb:
    world.wait_to_reserve(world.consumer, world.other, timeout=60)
    return _put_many(world, "x", "y", "z")


@scenario
def put_many_for_a_consumer_of_several_tubes(world: World) -> Verb:
    world.other.watch("other")
    world.wait_to_reserve(world.other)
    return _put_many(world, "x", "y")


@scenario
def put_many_into_a_limited_tube(world: World) -> Verb:
    world.broker.limit_tube("work", 2)
    return _put_many(world, "x", "y")


@scenario
def put_many_that_waits_and_is_let_in(world: World) -> Verb:
    world.broker.limit_tube("work", 2)
    world.put("a")
    job = world.reserve()
    world.deletes("a")
    world.clock.meanwhile = job.delete
    return _put_many(world, "x", "y")


@scenario
def put_with_a_key(world: World) -> Verb:
    world.put("a", key="k")
    return _put(world, key="other")


@scenario
def put_with_a_key_that_is_in_use(world: World) -> Verb:
    world.put("a", key="k")
    return refused(DuplicateJobError, _put(world, key="k"))


@scenario
def put_that_keeps_the_job_that_is_there(world: World) -> Verb:
    world.put("a", key="k")
    return _put(world, key="k", on_duplicate="keep")


@scenario
def put_that_replaces_a_job(world: World) -> Verb:
    world.put("a", key="k")
    world.deletes("a")
    world.batches.append({"new"})
    verb = _put(world, key="k", on_duplicate="replace")
    world.either.append({"a", "new"})
    return verb


@scenario
def put_that_replaces_a_buried_job_in_a_full_tube(world: World) -> Verb:
    world.broker.limit_tube("work", 1)
    world.put("a", key="k")
    world.consumer.reserve(timeout=0).bury()
    world.wait_to_put("x")
    world.deletes("a")
    world.wait_to_join()
    world.wait_to_reserve(world.consumer)
    world.either.append({"a", "new"})
    return _put(world, key="k", on_duplicate="replace")


@scenario
def put_with_a_key_that_waits_and_is_let_in(world: World) -> Verb:
    world.broker.limit_tube("work", 1)
    world.put("a")
    job = world.reserve()
    world.deletes("a")
    world.clock.meanwhile = job.delete
    return _put(world, key="k", on_duplicate="keep")


@scenario
def put_many_with_keys(world: World) -> Verb:
    world.put("y", key="y")
    world.puts("x")
    return lambda: world.producer.put_many(
        ["x", "y", "x"], key=str, on_duplicate="keep"
    )


@scenario
def put_many_that_replaces(world: World) -> Verb:
    world.put("a", key="x")
    world.deletes("a")
    world.either.append({"a", "x"})
    return _put_many(world, "x", "y", key=str, on_duplicate="replace")


@scenario
def put_that_expires(world: World) -> Verb:
    world.put("a")
    return _put(world, expires=5)


@scenario
def put_that_expires_for_a_waiting_consumer(world: World) -> Verb:
    world.wait_to_reserve(world.consumer, timeout=60)
    return _put(world, expires=5)


@scenario
def put_many_that_expire(world: World) -> Verb:
    world.wait_to_reserve(world.consumer)
    return _put_many(world, "x", "y", expires=5)
