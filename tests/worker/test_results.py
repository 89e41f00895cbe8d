"""What a handler returns is the result of who has submitted the job."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from inproc_tubes import Broker
from inproc_tubes.testing import FakeClock
from inproc_tubes.worker import AsyncWorker, Backoff, Bury, Retry, Worker

if TYPE_CHECKING:
    from collections.abc import Callable

    from inproc_tubes import Job, JobFuture


def run(handler: Callable[[Job], object], **how: Any) -> JobFuture[Any, Any]:
    """Submit a job with the body 2, do it, and return its future."""
    broker = Broker(clock=FakeClock())
    future = broker.producer("t").submit(2)
    Worker(broker, {"t": handler}, threads=0, **how).run_until_empty()
    return future


def test_what_a_handler_returns_is_the_result() -> None:
    assert 4 == run(lambda job: job.body * 2).result(0)


def test_a_handler_that_returns_nothing_has_done_its_job() -> None:
    assert run(lambda _: None).result(0) is None


def test_a_handler_may_finish_its_job_itself() -> None:
    def handle(job: Job) -> str:
        job.finish("first")
        return "second"

    assert "first" == run(handle).result(0)


def test_what_a_handler_returns_ends_no_job_that_it_has_buried() -> None:
    def handle(job: Job) -> str:
        job.bury()
        return "result"

    assert not run(handle).done()


@pytest.mark.parametrize("retry", [None, Backoff(max_tries=3)])
def test_a_job_that_is_buried_for_good_has_failed(retry: Backoff | None) -> None:
    errors = []

    def handle(job: Job) -> None:
        errors.append(ValueError(job.reserves))
        raise errors[-1]

    future = run(handle, retry=retry)
    assert errors[-1] is future.exception(0)
    assert len(errors) == (1 if retry is None else 3)


def test_a_job_that_a_handler_buries_has_failed() -> None:
    def handle(_: Job) -> None:
        reason = "too heavy"
        raise Bury(reason, priority=3)

    error = run(handle).exception(0)
    assert isinstance(error, Bury)


def test_a_job_that_is_tried_again_has_the_result_of_the_last_try() -> None:
    def handle(job: Job) -> int:
        if job.reserves < 3:
            raise Retry(delay=5)
        return job.reserves

    assert 3 == run(handle).result(0)


def test_a_coroutine_has_a_result_and_so_has_a_function_in_a_thread() -> None:
    async def main() -> None:
        broker = Broker()

        async def twice(job: Job) -> int:
            return 2 * job.body  # type: ignore[no-any-return]  # it is a number

        def thrice(job: Job) -> int:
            return 3 * job.body  # type: ignore[no-any-return]  # the same

        producer = broker.async_producer()
        async with AsyncWorker(broker, {"twice": twice, "thrice": thrice}):
            futures = [
                await producer.submit(5, tube=tube) for tube in ("twice", "thrice")
            ]
            assert [10, 15] == await asyncio.gather(*futures)

    asyncio.run(main())
