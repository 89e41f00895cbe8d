"""What is special to a worker of tasks: cancellation, loops, and its one timer."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from inproc_tubes import Broker, Job, TimedOutError
from inproc_tubes.testing import FakeClock
from inproc_tubes.worker import AsyncWorker, Backoff
from inproc_tubes.worker.run import Run
from tests.shells import in_a_loop
from tests.threads import LONG, start

if TYPE_CHECKING:
    from tests.worker.kinds import Lines


class Room:
    """Handlers that wait until they are cancelled."""

    def __init__(self, broker: Broker, tasks: int = 1) -> None:
        self.broker = broker
        self.worker = AsyncWorker(broker, {"default": self.wait}, tasks=tasks)
        self.jobs: asyncio.Queue[Job] = asyncio.Queue()
        self.cancelled: list[Job] = []

    async def wait(self, job: Job) -> None:
        self.jobs.put_nowait(job)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled.append(job)
            raise

    def ready(self) -> list[object]:
        return [job.body for job in self.broker.jobs("default", "ready")]


@in_a_loop
async def test_a_run_that_is_cancelled_gives_everything_back_at_once(
    broker: Broker,
) -> None:
    room = Room(broker, tasks=2)
    broker.producer().put_many(["scarf", "piano"])
    run = asyncio.create_task(room.worker.run())
    for _ in range(2):
        await room.jobs.get()
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert ["scarf", "piano"] == room.ready()
    assert 2 == len(room.cancelled)
    assert all(job.lost for job in room.cancelled)
    assert "not running" in repr(room.worker)


@in_a_loop
async def test_a_block_that_is_cancelled_gives_everything_back_at_once(
    broker: Broker,
) -> None:
    room = Room(broker)

    async def block() -> None:
        async with room.worker:
            broker.producer().put("scarf")
            await room.jobs.get()
            await asyncio.Event().wait()

    task = asyncio.create_task(block())
    while room.worker._group is None or not room.worker._group.run.in_hand:  # noqa: ASYNC110 - nothing tells it
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ["scarf"] == room.ready()


@in_a_loop
async def test_one_failure_in_a_task_group_gives_the_jobs_of_the_others_back(
    broker: Broker,
) -> None:
    rooms = [Room(broker) for _ in range(3)]

    async def fail() -> None:
        for room in rooms:
            await room.jobs.get()
        raise ValueError

    broker.producer().put_many(["a", "b", "c"])
    with pytest.raises(ExceptionGroup):  # noqa: PT012 - it is the group that raises
        async with asyncio.TaskGroup() as group:
            for room in rooms:
                group.create_task(room.worker.run())
            group.create_task(fail())
    assert ["a", "b", "c"] == rooms[0].ready()


@in_a_loop
async def test_a_run_waits_for_handlers_that_take_their_time_to_be_cancelled(
    broker: Broker,
) -> None:
    begun, end, cancelled = asyncio.Event(), asyncio.Event(), asyncio.Event()
    ended = []

    async def stubborn(job: Job) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
            await end.wait()
            ended.append(job.body)

    worker = AsyncWorker(broker, {"default": stubborn})
    broker.producer().put("scarf")
    run = asyncio.create_task(worker.run())
    await begun.wait()
    worker.stop(timeout=0)
    await cancelled.wait()
    # Nothing cancels it once more: neither another stop nor a cancelled run.
    worker.stop(timeout=0)
    run.cancel()
    for _ in range(10):
        await asyncio.sleep(0)
    assert not run.done()
    end.set()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert ["scarf"] == ended
    assert ["scarf"] == [job.body for job in broker.jobs("default", "ready")]


@in_a_loop
async def test_a_handler_that_was_given_up_and_fails_is_told_of(
    broker: Broker, lines: Lines
) -> None:
    begun = asyncio.Event()

    async def fail(_job: Job) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise ValueError from None

    worker = AsyncWorker(broker, {"default": fail})
    broker.producer().put("scarf")
    run = asyncio.create_task(worker.run())
    await begun.wait()
    worker.stop(timeout=0)
    await run
    assert ["scarf"] == [job.body for job in broker.jobs("default", "ready")]
    (line,) = lines.of("ERROR")
    assert line.startswith("job 1 in 'default' was out of its handler's hands")


@in_a_loop
async def test_a_handler_that_gives_its_task_up_gives_its_job_back(
    broker: Broker,
) -> None:
    tries: list[int] = []

    async def give_up(job: Job) -> None:
        tries.append(job.reserves)
        if job.reserves == 1:
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            await asyncio.sleep(0)

    async with AsyncWorker(broker, {"default": give_up}):
        broker.producer().put("scarf")
        await broker.async_join()
    assert 2 == len(tries)


@in_a_loop
async def test_a_task_that_is_cancelled_before_its_first_step_gives_its_job_back(
    broker: Broker,
) -> None:
    room = Room(broker, tasks=2)
    before = asyncio.all_tasks()
    run = asyncio.create_task(room.worker.run())
    while not broker._monitor.waiting:  # noqa: ASYNC110 - nothing tells it in this thread
        await asyncio.sleep(0)
    old = asyncio.all_tasks()
    broker.producer().put("scarf")
    while asyncio.all_tasks() == old:  # noqa: ASYNC110 - nothing tells it
        await asyncio.sleep(0)
    (new,) = asyncio.all_tasks() - old
    assert new.cancel()
    room.worker.stop()
    await run
    assert ["scarf"] == room.ready()
    assert [] == room.cancelled
    assert before == asyncio.all_tasks()


@in_a_loop
async def test_a_task_that_is_given_up_before_its_first_step_does_not_begin(
    broker: Broker, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Run.begin
    begun = asyncio.Event()

    def begin(run: Run[Any, Any], job: Job) -> Any:
        asyncio.get_running_loop().call_soon(run.ring, clock.now())
        begun.set()
        return real(run, job)

    monkeypatch.setattr(Run, "begin", begin)
    room = Room(broker)
    room.worker.every(1, "other", None)  # or the heartbeat would have the loop look
    broker.producer().put("scarf")
    run = asyncio.create_task(room.worker.run())
    await begun.wait()
    room.worker.stop()
    await run
    assert room.jobs.empty()
    assert ["scarf"] == room.ready()


def test_a_loop_that_ends_ends_its_workers(broker: Broker) -> None:
    """`asyncio.run` cancels all tasks that are left, the worker's own ones too."""
    tasks = []

    async def main() -> None:
        room = Room(broker)
        broker.producer().put("scarf")
        tasks.append(asyncio.create_task(room.worker.run()))
        await room.jobs.get()
        workers.append(room.worker)

    workers: list[AsyncWorker] = []
    asyncio.run(main())
    assert tasks[0].cancelled()
    assert ["scarf"] == [job.body for job in broker.jobs("default", "ready")]
    assert "not running" in repr(workers[0])
    workers[0].stop()  # its loop is closed


def test_a_loop_that_ends_while_its_worker_waits_for_jobs(broker: Broker) -> None:
    async def main() -> None:
        task = asyncio.create_task(worker.run())
        while not broker._monitor.waiting:  # noqa: ASYNC110 - nothing tells it
            await asyncio.sleep(0)
        tasks.append(task)

    tasks: list[asyncio.Task[None]] = []
    worker = AsyncWorker(broker, {"default": print})
    asyncio.run(main())
    assert tasks[0].cancelled()
    assert "not running" in repr(worker)


def test_a_loop_that_ends_while_its_worker_stops(broker: Broker) -> None:
    async def main() -> None:
        room = Room(broker, tasks=2)
        broker.producer().put("scarf")
        tasks.append(asyncio.create_task(room.worker.run()))
        await room.jobs.get()
        room.worker.stop()
        for _ in range(10):
            await asyncio.sleep(0)

    tasks: list[asyncio.Task[None]] = []
    asyncio.run(main())
    assert tasks[0].cancelled()
    assert ["scarf"] == [job.body for job in broker.jobs("default", "ready")]


def test_a_worker_may_run_in_one_loop_after_the_other(broker: Broker) -> None:
    async def main() -> None:
        async with worker:
            broker.producer().put("scarf")
            await broker.async_join()

    done: list[object] = []

    async def note(job: Job) -> None:
        done.append(job.body)

    worker = AsyncWorker(broker, {"default": note})
    for _ in range(2):
        asyncio.run(main())
    assert ["scarf", "scarf"] == done


def test_a_worker_needs_a_running_loop(broker: Broker) -> None:
    worker = AsyncWorker(broker, {"default": print})
    coroutine = worker.run()
    with pytest.raises(RuntimeError, match="no running event loop"):
        coroutine.send(None)
    coroutine.close()

    async def main() -> None:
        async with worker:
            pass

    asyncio.run(main())


@in_a_loop
async def test_no_more_jobs_are_reserved_than_are_done_at_once(broker: Broker) -> None:
    room = Room(broker, tasks=3)
    broker.producer().put_many(range(10))
    run = asyncio.create_task(room.worker.run())
    for _ in range(3):
        await room.jobs.get()
    for _ in range(10):
        await asyncio.sleep(0)
    assert 3 == broker.stats().current_jobs_reserved
    room.worker.stop(timeout=0)
    await run


@in_a_loop
async def test_a_stop_has_effect_while_all_tasks_are_busy(broker: Broker) -> None:
    room = Room(broker, tasks=1)
    broker.producer().put_many(["scarf", "piano"])
    run = asyncio.create_task(room.worker.run())
    await room.jobs.get()
    room.worker.stop(timeout=0)
    await run
    assert ["scarf", "piano"] == room.ready()


@in_a_loop
async def test_a_timeout_is_over_by_a_real_clock() -> None:
    with Broker() as broker:
        room = Room(broker)
        broker.producer().put("scarf")
        run = asyncio.create_task(room.worker.run())
        await room.jobs.get()
        room.worker.stop(timeout=0.01)
        await run
        assert ["scarf"] == room.ready()


@in_a_loop
async def test_a_stop_may_come_from_another_thread(
    broker: Broker, clock: FakeClock
) -> None:
    room = Room(broker)
    broker.producer().put("scarf")
    run = asyncio.create_task(room.worker.run())
    await room.jobs.get()
    await asyncio.to_thread(room.worker.stop, timeout=5)
    await asyncio.to_thread(clock.advance, 5)
    await run
    assert ["scarf"] == room.ready()
    start(room.worker.stop).result(LONG)


@in_a_loop
async def test_a_body_lives_no_longer_than_its_job(broker: Broker) -> None:
    import gc  # noqa: PLC0415 - here alone
    import weakref  # noqa: PLC0415 - here alone

    class Body:
        """Something that can be referred to weakly."""

    async def nothing(job: Job) -> None: ...

    body = Body()
    ref = weakref.ref(body)
    async with AsyncWorker(broker, {"default": nothing}):
        broker.producer().put(body)
        del body
        await broker.async_join()
        for _ in range(5):
            await asyncio.sleep(0)
        gc.collect()
        assert ref() is None


def test_time_jumps_over_retries_and_heartbeats_if_the_clock_does() -> None:
    clock = FakeClock(autojump=True)
    broker = Broker(clock=clock)
    start_at = clock.now()

    async def fail_and_wait(job: Job) -> None:
        if job.reserves == 1:
            raise ValueError
        with pytest.raises(TimedOutError):
            await broker.async_consumer("never").reserve(timeout=500)

    async def main() -> None:
        backoff = Backoff(first=100, jitter=0)
        async with AsyncWorker(broker, {"default": fail_and_wait}, retry=backoff):
            broker.producer().put("scarf", delay=50, ttr=60)
            await broker.async_join()

    asyncio.run(main())
    assert 50 + 100 + 500 == clock.now() - start_at
    assert 0 == broker.stats().job_timeouts
