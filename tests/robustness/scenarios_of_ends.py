"""Opening and closing, draining, joining, and what is due meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inproc_tubes import StoppedError, TimedOutError
from inproc_tubes.core.turn import TURN
from tests.robustness.scenario import refused, scenario

if TYPE_CHECKING:
    from tests.robustness.scenario import Verb
    from tests.robustness.world import World


@scenario
def open_consumer(world: World) -> Verb:
    return lambda: world.broker.consumer("work", "fresh")


@scenario
def open_producer(world: World) -> Verb:
    return lambda: world.broker.producer("fresh")


@scenario
def close_of_a_consumer(world: World) -> Verb:
    world.consumer.watch("other")
    world.put("a", "b", "c")
    world.reserve()
    world.reserve()
    return world.consumer.close


@scenario
def close_of_a_consumer_while_others_wait(world: World) -> Verb:
    world.put("a", "b")
    world.reserve()
    world.reserve()
    world.wait_to_reserve(world.consumer, world.other, world.other)
    return world.consumer.close


@scenario
def stop_of_a_consumer(world: World) -> Verb:
    world.consumer.watch("other")
    world.put("a", "b")
    world.reserve()
    return world.consumer.stop


@scenario
def stop_of_a_consumer_that_waits(world: World) -> Verb:
    world.consumer.watch("other", "fresh")
    world.put("a")
    world.reserve()
    world.wait_to_reserve(world.other, world.consumer, world.consumer, timeout=60)
    world.iterate(world.consumer)
    return world.consumer.stop


@scenario
def stop_of_a_consumer_in_the_middle_of_its_reserve(world: World) -> Verb:
    world.clock.meanwhile = world.consumer.stop
    return refused(StoppedError, world.consumer.reserve)


@scenario
def reserve_of_a_stopped_consumer(world: World) -> Verb:
    world.put("a")
    world.consumer.stop()
    return refused(StoppedError, world.consumer.reserve)


@scenario
def close_of_a_stopped_consumer(world: World) -> Verb:
    world.put("a", "b")
    world.reserve()
    world.reserve()
    world.consumer.stop()
    world.wait_to_reserve(world.other, world.other)
    return world.consumer.close


@scenario
def stop_of_the_broker(world: World) -> Verb:
    world.broker.limit_tube("work", 1)
    world.put("a")
    world.reserve()
    world.wait_to_put("b", timeout=60)
    world.wait_to_put("c")
    world.wait_to_reserve(world.consumer, world.other, timeout=60)
    world.iterate(world.other)
    world.wait_to_join("work", timeout=60)
    return world.broker.stop


@scenario
def open_a_consumer_of_a_stopped_broker(world: World) -> Verb:
    world.broker.stop()
    return lambda: world.broker.consumer("work", "fresh")


@scenario
def put_that_would_wait_in_a_stopped_broker(world: World) -> Verb:
    world.broker.limit_tube("work", 1)
    world.put("a")
    world.broker.stop()
    return refused(StoppedError, lambda: world.producer.put("b"))


@scenario
def close_of_a_producer(world: World) -> Verb:
    world.broker.limit_tube("work", 1)
    world.put("a")
    world.wait_to_put("b")
    world.wait_to_join("work")
    return world.producer.close


@scenario
def close_of_the_broker(world: World) -> Verb:
    world.broker.limit_tube("other", 1)
    world.put("b", tube="other")
    world.wait_to_put("c", tube="other")
    world.put("a")
    world.reserve()
    world.wait_to_reserve(world.consumer, world.other, timeout=60)
    world.wait_to_join(timeout=60)
    return world.broker.close


@scenario
def verb_after_a_consumer_was_dropped(world: World) -> Verb:
    consumer = world.broker.consumer("work")
    world.put("a", "b")
    world.reserve(consumer)
    lost = consumer.reserve()
    world.wait_to_reserve(world.other)
    with world.monitor.guard:
        world.monitor.turn.unfinished = TURN
        del consumer, lost
        world.monitor.turn.unfinished = None
    return world.broker.tubes


@scenario
def drain(world: World) -> Verb:
    world.broker.limit_tube("work", 1)
    world.put("a")
    world.wait_to_put("b")
    world.wait_to_put("c", timeout=60)
    world.wait_to_join("work")
    return world.broker.drain


@scenario
def join_of_nothing(world: World) -> Verb:
    world.bury("a")
    return lambda: world.broker.join("work")


@scenario
def join_that_waits(world: World) -> Verb:
    job = world.held()
    world.deletes("a")
    world.clock.meanwhile = job.delete
    return lambda: world.broker.join("work", timeout=60)


@scenario
def join_that_is_late(world: World) -> Verb:
    world.put("a")
    world.clock.meanwhile = lambda: world.clock.advance(5)
    return refused(TimedOutError, lambda: world.broker.join("work", timeout=5))


def _later(world: World, seconds: float) -> Verb:
    world.clock._time += seconds  # nobody has looked yet
    return world.broker.tubes


@scenario
def expiry(world: World) -> Verb:
    world.put("a", "b", ttr=5)
    world.reserve()
    world.reserve(world.other)
    return _later(world, 5)


@scenario
def expiry_for_a_waiting_consumer(world: World) -> Verb:
    world.put("a", "b", ttr=5)
    world.reserve()
    world.reserve()
    world.wait_to_reserve(world.other, world.other, timeout=60)
    return _later(world, 5)


@scenario
def expiry_of_a_dropped_consumers_job(world: World) -> Verb:
    consumer = world.broker.consumer("work")
    world.put("a", ttr=5)
    world.reserve(consumer)
    del consumer
    return _later(world, 5)


@scenario
def warning_of_a_deadline(world: World) -> Verb:
    world.put("a", ttr=5)
    world.reserve()
    world.wait_to_reserve(world.consumer)
    return _later(world, 4)


@scenario
def maturing(world: World) -> Verb:
    world.put("a", "b", delay=5)
    world.put("c", delay=6)
    return _later(world, 5)


@scenario
def maturing_for_a_waiting_consumer(world: World) -> Verb:
    world.put("a", "b", delay=5)
    world.other.watch("other")
    world.wait_to_reserve(world.consumer, world.other, timeout=60)
    return _later(world, 5)


@scenario
def expiry_of_the_last_try(world: World) -> Verb:
    world.broker.limit_tries("work", 1)
    world.put("a", ttr=5)
    world.reserve()
    world.wait_to_join("work")
    return _later(world, 5)


@scenario
def release_of_the_last_try(world: World) -> Verb:
    world.broker.limit_tries("work", 1)
    job = world.held()
    world.wait_to_join("work")
    return lambda: job.release(error=ValueError("last"))


@scenario
def limit_of_tries_for_a_new_tube(world: World) -> Verb:
    return lambda: world.broker.limit_tries("fresh", 3)


@scenario
def limit_of_tries_that_is_taken_back(world: World) -> Verb:
    world.broker.limit_tries("fresh", 3)
    return lambda: world.broker.limit_tries("fresh", None)


@scenario
def lives_that_end(world: World) -> Verb:
    world.broker.limit_tube("work", 2)
    world.put("a", "b", expires=5)
    world.put("c", tube="other", expires=5)
    world.deletes("a", "b", "c")
    world.wait_to_put("x", timeout=5)
    world.wait_to_join("other")
    return _later(world, 5)


@scenario
def lives_that_go_on(world: World) -> Verb:
    world.put("a", expires=5)
    world.put("b", expires=5, delay=1)
    world.reserve()
    return _later(world, 1)


@scenario
def release_of_a_job_that_expires(world: World) -> Verb:
    job = world.held(expires=5)
    return job.release


@scenario
def reserve_of_a_job_that_expires(world: World) -> Verb:
    world.put("a", expires=5)
    return lambda: world.consumer.reserve(timeout=0)


@scenario
def pause_that_runs_out(world: World) -> Verb:
    world.broker.pause_tube("work", 5)
    world.wait_to_reserve(world.consumer, timeout=60)
    world.put("a", "b")
    return _later(world, 5)


@scenario
def timeouts_that_pass(world: World) -> Verb:
    world.broker.limit_tube("work", 1)
    world.put("a")
    world.wait_to_put("b", timeout=5)
    world.wait_to_put("c")
    world.wait_to_join("work", timeout=5)
    world.other.watch("other")
    world.other.ignore("work")
    world.wait_to_reserve(world.other, timeout=5)
    return _later(world, 5)
