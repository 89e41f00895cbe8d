"""Submitting jobs, and what tells their futures."""

from __future__ import annotations

from concurrent.futures import CancelledError
from contextlib import suppress
from typing import TYPE_CHECKING

import inproc_tubes.future  # noqa: F401 - else the first submit would import it
from inproc_tubes import TimedOutError
from tests.robustness.scenario import refused, scenario

if TYPE_CHECKING:
    from tests.robustness.scenario import Verb
    from tests.robustness.world import World


def _submit(world: World, body: str, **how: object) -> Verb:
    world.puts(body)
    submit = world.producer.submit
    return lambda: submit(body, **how)  # type: ignore[arg-type]  # the scenarios know


@scenario
def submit(world: World) -> Verb:
    return _submit(world, "x")


@scenario
def submit_with_a_delay(world: World) -> Verb:
    return _submit(world, "x", delay=5)


@scenario
def submit_to_a_waiting_consumer(world: World) -> Verb:
    world.wait_to_reserve(world.other)
    return _submit(world, "x")


@scenario
def submit_that_waits_for_room(world: World) -> Verb:
    world.broker.limit_tube("work", 1)
    world.put("a")
    world.deletes("a")
    world.clock.meanwhile = lambda: world.broker.delete(1)
    return _submit(world, "x")


@scenario
def finish(world: World) -> Verb:
    world.submit("a", "b")
    job = world.reserve()
    world.deletes("a")
    return lambda: job.finish("result")


@scenario
def finish_of_a_job_that_nobody_has_submitted(world: World) -> Verb:
    job = world.held()
    world.deletes("a")
    return lambda: job.finish("result")


@scenario
def finish_late(world: World) -> Verb:
    world.submit("a", ttr=5)
    job = world.reserve()
    world.clock.advance(6)
    world.deletes("a")
    return lambda: job.finish("result")


@scenario
def delete_of_a_submitted_job(world: World) -> Verb:
    world.submit("a", "b")
    job = world.reserve()
    world.deletes("a")
    return job.delete


@scenario
def fail(world: World) -> Verb:
    world.submit("a", "b")
    job = world.reserve()
    return lambda: job.fail(ValueError("no"))


@scenario
def block_of_a_submitted_job_that_fails(world: World) -> Verb:
    world.submit("a")
    job = world.reserve()

    def block() -> None:
        with suppress(ZeroDivisionError), job:
            _ = 1 / 0

    return block


@scenario
def cancel_of_a_future(world: World) -> Verb:
    world.submit("a", "b")
    world.deletes("a")
    return world.futures[0].cancel


@scenario
def cancel_of_a_future_whose_job_is_held(world: World) -> Verb:
    world.submit("a", "b")
    world.reserve()
    return world.futures[0].cancel


@scenario
def clear_of_submitted_jobs(world: World) -> Verb:
    world.submit("a", "b", "c")
    world.reserve()
    world.deletes("b", "c")
    return lambda: world.broker.clear_tube("work")


@scenario
def expiry_of_submitted_jobs(world: World) -> Verb:
    world.submit("a", expires=5)
    world.deletes("a")
    return lambda: world.clock.advance(6)


@scenario
def close_of_a_broker_with_submitted_jobs(world: World) -> Verb:
    world.submit("a", "b")
    world.submit("c", delay=5)
    world.reserve()
    return world.broker.close


@scenario
def result_that_waits(world: World) -> Verb:
    world.submit("a", expires=5)
    world.deletes("a")
    world.clock.meanwhile = lambda: world.clock.advance(6)
    return refused(CancelledError, world.futures[0].result)


@scenario
def result_that_is_late(world: World) -> Verb:
    world.submit("a")
    world.clock.meanwhile = lambda: world.clock.advance(6)
    return refused(TimedOutError, lambda: world.futures[0].result(5))


@scenario
def finish_of_a_job_whose_result_is_waited_for(world: World) -> Verb:
    world.submit("a", "b")
    job = world.reserve()
    world.wait_for_result(world.futures[0])
    world.deletes("a")
    return lambda: job.finish("result")


@scenario
def close_while_a_result_is_waited_for(world: World) -> Verb:
    world.submit("a", "b")
    world.wait_for_result(world.futures[1], timeout=60)
    return world.broker.close
