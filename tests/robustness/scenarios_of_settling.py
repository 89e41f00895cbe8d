"""What a consumer does with its job, and what others do with it."""

from __future__ import annotations

from contextlib import suppress
from math import inf
from typing import TYPE_CHECKING

from inproc_tubes import NotFoundError, TubeFullError
from tests.robustness.scenario import refused, scenario

if TYPE_CHECKING:
    from collections.abc import Generator

    from tests.robustness.scenario import Verb
    from tests.robustness.world import World


@scenario
def delete_by_the_job(world: World) -> Verb:
    job = world.held()
    world.deletes("a")
    return job.delete


@scenario
def delete_by_the_consumer(world: World) -> Verb:
    job = world.held()
    world.deletes("a")
    return lambda: world.consumer.delete(job)


@scenario
def delete_by_id(world: World) -> Verb:
    job = world.held()
    world.deletes("a")
    return lambda: world.consumer.delete(job.id)


@scenario
def delete_after_a_look_at_the_deadlines(world: World) -> Verb:
    job = world.held()
    world.deletes("a")
    assert world.monitor.next_due() < inf
    return job.delete


@scenario
def delete_of_a_ready_job(world: World) -> Verb:
    world.put("a", "b")
    job_id = world.put("c")
    world.deletes("c")
    return lambda: world.consumer.delete(job_id)


@scenario
def delete_of_a_delayed_job(world: World) -> Verb:
    job_id = world.put("a", delay=5)
    world.deletes("a")
    return lambda: world.broker.delete(job_id)


@scenario
def delete_of_a_buried_job(world: World) -> Verb:
    job_id = world.bury("a", "b")
    world.deletes("b")
    return lambda: world.broker.delete(job_id)


@scenario
def delete_of_a_foreign_job(world: World) -> Verb:
    job = world.held()
    return refused(NotFoundError, lambda: world.other.delete(job.id))


@scenario
def delete_of_the_last_job_of_a_tube(world: World) -> Verb:
    job_id = world.put("a", tube="gone")
    world.deletes("a")
    return lambda: world.broker.delete(job_id)


@scenario
def delete_of_the_last_held_job_of_a_tube(world: World) -> Verb:
    job = world.consumer.reserve_job(world.put("a", tube="gone"))
    world.handles.append(job)
    world.deletes("a")
    return job.delete


@scenario
def delete_that_makes_room(world: World) -> Verb:
    world.broker.limit_tube("work", 2)
    world.put("b")
    job = world.reserve()
    world.put("a")
    world.deletes("b")
    world.wait_to_put("x")
    world.wait_to_put("y", timeout=60)
    world.wait_to_join("work")
    return job.delete


@scenario
def delete_that_makes_room_for_a_batch_that_is_waited_for(world: World) -> Verb:
    world.broker.limit_tube("work", 2)
    job = world.held()
    world.deletes("a")
    world.wait_to_reserve(world.other, world.other)
    world.wait_to_put("x", "y")
    return job.delete


@scenario
def delete_that_ends_joins(world: World) -> Verb:
    job = world.held()
    world.put("b", tube="other")
    world.deletes("a")
    world.wait_to_join("work", timeout=60)
    world.wait_to_join()
    world.wait_to_join("work")
    return job.delete


@scenario
def block_of_a_job(world: World) -> Verb:
    job = world.held()
    world.deletes("a")

    def block() -> None:
        with job:
            pass

    return block


@scenario
def block_of_a_job_that_fails(world: World) -> Verb:
    job = world.held()

    def block() -> None:
        with suppress(ZeroDivisionError), job:
            raise ZeroDivisionError

    return block


@scenario
def block_of_a_job_that_is_interrupted(world: World) -> Verb:
    job = world.held()
    world.wait_to_reserve(world.other)

    def block() -> None:
        with suppress(SystemExit), job:
            raise SystemExit

    return block


@scenario
def block_of_a_generator_that_is_closed(world: World) -> Verb:
    job = world.held()

    def work() -> Generator[None, None, None]:
        with job:
            yield

    generator = work()
    next(generator)
    return generator.close


@scenario
def block_of_a_job_that_fails_after_a_stop(world: World) -> Verb:
    job = world.held()
    world.consumer.stop()

    def block() -> None:
        with suppress(ZeroDivisionError), job:
            raise ZeroDivisionError

    return block


@scenario
def block_of_a_job_that_has_expired(world: World) -> Verb:
    job = world.held(ttr=1)
    world.deletes("a")
    world.clock.advance(1)

    def block() -> None:
        with job:
            pass

    return block


@scenario
def release(world: World) -> Verb:
    job = world.held()
    world.put("b")
    return job.release


@scenario
def release_with_another_priority(world: World) -> Verb:
    job = world.held()
    world.put("b")
    return lambda: job.release(priority=3)


@scenario
def release_with_a_delay(world: World) -> Verb:
    job = world.held()
    world.wait_to_reserve(world.other, timeout=60)
    return lambda: job.release(delay=5)


@scenario
def release_for_a_waiting_consumer(world: World) -> Verb:
    job = world.held()
    world.wait_to_reserve(world.other, world.other)
    return job.release


@scenario
def release_for_the_same_consumer(world: World) -> Verb:
    job = world.held()
    world.wait_to_reserve(world.consumer, timeout=50)
    return lambda: world.consumer.release(job.id)


@scenario
def release_of_a_dropped_consumers_job(world: World) -> Verb:
    consumer = world.broker.consumer("work")
    world.put("a")
    job = world.reserve(consumer)
    del consumer
    return job.release


@scenario
def release_with_an_error(world: World) -> Verb:
    job = world.held()
    return lambda: job.release(delay=5, error=ValueError("no"))


@scenario
def loss_that_is_asked_for(world: World) -> Verb:
    job = world.held(ttr=5)
    world.clock._time += 5  # nobody has looked yet

    return lambda: job.lost


@scenario
def bury(world: World) -> Verb:
    job = world.held()
    return job.bury


@scenario
def bury_that_ends_a_join(world: World) -> Verb:
    world.bury("b")
    job = world.held()
    world.wait_to_join("work")
    return lambda: job.bury(priority=3)


@scenario
def touch(world: World) -> Verb:
    job = world.held()
    return job.touch


@scenario
def touch_after_a_look_at_the_deadlines(world: World) -> Verb:
    job = world.held(ttr=5)
    assert world.monitor.next_due() < inf
    world.wait_to_reserve(world.consumer)
    return lambda: world.consumer.touch(job)


@scenario
def touch_of_a_job_that_has_expired(world: World) -> Verb:
    job = world.held(ttr=5)
    world.clock.advance(5)
    world.reserve(world.other)
    return refused(NotFoundError, job.touch)


@scenario
def cancel_of_a_held_job(world: World) -> Verb:
    job = world.held()
    world.deletes("a")
    return lambda: world.broker.cancel(job.id)


@scenario
def cancel_of_a_job_whose_deadline_is_near(world: World) -> Verb:
    job = world.held(ttr=5)
    world.deletes("a")
    world.wait_to_reserve(world.consumer)
    return lambda: world.broker.cancel(job)


@scenario
def cancel_of_a_dropped_consumers_job(world: World) -> Verb:
    consumer = world.broker.consumer("work")
    world.put("a")
    job = world.reserve(consumer)
    world.deletes("a")
    del consumer
    return lambda: world.broker.cancel(job)


@scenario
def cancel_of_a_buried_job(world: World) -> Verb:
    job_id = world.bury("a", "b")
    world.deletes("b")
    return lambda: world.broker.cancel(job_id)


@scenario
def cancel_that_makes_room(world: World) -> Verb:
    world.broker.limit_tube("work", 1)
    job = world.held()
    world.deletes("a")
    world.wait_to_put("x")
    world.wait_to_join("work")
    return lambda: world.broker.cancel(job)


@scenario
def kick_of_buried_jobs(world: World) -> Verb:
    world.bury("a", "b", "c")
    world.wait_to_reserve(world.other)
    return lambda: world.broker.kick("work", 2)


@scenario
def kick_of_delayed_jobs(world: World) -> Verb:
    world.put("a", "b", "c", delay=5)
    return lambda: world.broker.kick("work", 2)


@scenario
def kick_job_that_is_buried(world: World) -> Verb:
    job_id = world.bury("a", "b")
    return lambda: world.broker.kick_job(job_id)


@scenario
def kick_job_for_a_waiting_consumer(world: World) -> Verb:
    world.wait_to_reserve(world.other, timeout=60)
    job_id = world.put("a", delay=5)
    return lambda: world.broker.kick_job(job_id)


@scenario
def release_to_another_tube(world: World) -> Verb:
    world.other.watch("other")
    world.other.ignore("work")
    world.wait_to_reserve(world.other)
    job = world.held()
    return lambda: job.release(tube="other")


@scenario
def release_to_a_new_tube_with_a_delay(world: World) -> Verb:
    job = world.held()
    world.wait_to_join("work")
    return lambda: world.consumer.release(job, delay=5, tube="fresh")


@scenario
def release_to_a_full_tube(world: World) -> Verb:
    world.broker.limit_tube("other", 1)
    world.put("b", tube="other")
    job = world.held()
    return refused(TubeFullError, lambda: job.release(tube="other"))


@scenario
def move_of_a_ready_job(world: World) -> Verb:
    world.put("a", "b", expires=5)
    return lambda: world.broker.move(1, "other")


@scenario
def move_for_a_waiting_consumer(world: World) -> Verb:
    world.other.watch("other")
    world.other.ignore("work")
    world.wait_to_reserve(world.other)
    world.put("a", key="k")
    return lambda: world.broker.move(1, "other")


@scenario
def move_that_makes_room(world: World) -> Verb:
    world.broker.limit_tube("work", 1)
    world.put("a")
    world.wait_to_put("x")
    world.wait_to_join("work", "other")
    return lambda: world.broker.move(1, "other")


@scenario
def move_of_the_last_job_of_a_tube(world: World) -> Verb:
    world.put("a", tube="gone", delay=5)
    return lambda: world.broker.move(1, "fresh")


@scenario
def move_of_a_buried_job(world: World) -> Verb:
    world.bury("a", "b")
    return lambda: world.broker.move(1, "other")


@scenario
def bury_of_a_ready_job(world: World) -> Verb:
    world.bury("a")
    world.put("b", "c", expires=5)
    return lambda: world.broker.bury(2, 3, ValueError("why"))


@scenario
def bury_of_a_delayed_job_that_is_joined(world: World) -> Verb:
    world.put("a", delay=5)
    world.wait_to_join("work")
    return lambda: world.broker.bury(1)


@scenario
def update_of_a_priority(world: World) -> Verb:
    world.put("a", "b", expires=5)
    return lambda: world.broker.update(2, priority=1)


@scenario
def update_that_delays(world: World) -> Verb:
    world.put("a", "b", expires=5)
    return lambda: world.broker.update(1, delay=5)


@scenario
def update_of_a_delay(world: World) -> Verb:
    world.put("a", "b", delay=5)
    return lambda: world.broker.update(1, 3, 9)


@scenario
def update_that_ends_a_delay(world: World) -> Verb:
    world.put("a", delay=5)
    world.wait_to_reserve(world.other)
    return lambda: world.broker.update(1, delay=0)


@scenario
def update_of_a_buried_job(world: World) -> Verb:
    world.bury("a")
    return lambda: world.broker.update(1, 3, 9)
