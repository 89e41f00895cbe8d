"""A worker that runs in the main thread ends by SIGINT and SIGTERM, as platforms expect."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from inproc_tubes import Broker, Job, worker
from inproc_tubes.worker import Worker
from tests.threads import LONG, start

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.worker.kinds import Lines

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="Windows cannot send itself these signals"
)

# Real clocks: a signal that comes as the main thread falls asleep is seen a second later.


def run_here(worker: Any) -> None:
    """Run a worker in the main thread."""
    assert threading.current_thread() is threading.main_thread()
    if isinstance(worker, Worker):
        worker.run()
    else:
        asyncio.run(worker.run())


def send(number: int) -> None:
    os.kill(os.getpid(), number)


def wait_until_lost(job: Job) -> None:
    while not job.lost:
        threading.Event().wait(0.001)


@pytest.fixture(params=["Worker", "AsyncWorker"])
def made(request: pytest.FixtureRequest) -> Any:
    """Make a worker of either kind, whose handlers are plain functions in threads."""
    return getattr(worker, request.param)


@pytest.fixture
def real() -> Iterator[Broker]:
    with Broker() as broker:
        yield broker


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_at_a_signal_it_finishes_what_is_in_hand_and_returns(
    made: Any, real: Broker, lines: Lines, number: int
) -> None:
    def interrupted(job: Job) -> None:
        send(number)
        lines.wait_for("is stopping, 1 job in hand")
        done.append(job.body)

    done: list[object] = []
    handlers: dict[str, Callable[[Job], None]] = {"default": interrupted}
    real.producer().put_many(["scarf", "piano"])
    size = {"threads": 1} if made is Worker else {"tasks": 1}
    before = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    run_here(made(real, handlers, **size))
    after = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    assert before == after
    assert ["scarf"] == done
    assert ["piano"] == [job.body for job in real.jobs("default")]


def test_at_a_signal_it_ends_at_once_if_it_waits_for_jobs(made: Any) -> None:
    with Broker() as broker:
        worker = made(broker, {"default": print})
        worker.every(0.001, "signals", None)
        worker.handles("signals")(lambda _: send(signal.SIGTERM))
        run_here(worker)


@pytest.mark.parametrize(
    ("number", "error", "code"),
    [(signal.SIGINT, KeyboardInterrupt, None), (signal.SIGTERM, SystemExit, 143)],
)
def test_at_a_second_signal_it_gives_back_what_is_in_hand_and_ends_at_once(
    made: Any,
    real: Broker,
    lines: Lines,
    number: int,
    error: type[BaseException],
    code: int | None,
) -> None:
    def interrupted(job: Job) -> None:
        send(signal.SIGTERM)
        lines.wait_for("is stopping, 1 job in hand")
        send(number)
        wait_until_lost(job)

    real.producer().put("scarf")
    with pytest.raises(error) as raised:
        run_here(made(real, {"default": interrupted}))
    assert code == getattr(raised.value, "code", None)
    assert ["scarf"] == [job.body for job in real.jobs("default", "ready")]
    assert "is abandoned after" in lines.of("WARNING")[0]


def test_after_the_stop_timeout_it_ends_normally(made: Any, real: Broker) -> None:
    def interrupted(job: Job) -> None:
        send(signal.SIGTERM)
        wait_until_lost(job)

    real.producer().put("scarf")
    run_here(made(real, {"default": interrupted}, stop_timeout=0.01))
    assert ["scarf"] == [job.body for job in real.jobs("default", "ready")]


def test_a_second_signal_that_comes_too_late_has_no_effect(
    made: Any, real: Broker, lines: Lines
) -> None:
    """All was done when it came: nothing is cut short."""

    def interrupted(job: Job) -> None:
        send(signal.SIGTERM)
        lines.wait_for("is stopping")
        job.delete()

    real.producer().put("scarf")
    worker = made(real, {"default": interrupted})
    worker.handles("other")(print)
    run_here(worker)
    assert [] == lines.of("WARNING")


def test_a_handler_that_python_has_not_set_becomes_the_default(
    made: Any, real: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = made(real)
    worker.handles("default")(lambda _: worker.stop())
    real.producer().put("scarf")
    before = signal.getsignal(signal.SIGTERM)
    real_getsignal = signal.getsignal

    def unknown(number: int) -> Any:
        return None if number == signal.SIGTERM else real_getsignal(number)

    try:
        with monkeypatch.context() as patch:
            patch.setattr(signal, "getsignal", unknown)
            run_here(worker)
        assert signal.SIG_DFL == signal.getsignal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)


def test_in_its_block_it_leaves_the_signals_alone(real: Broker) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with Worker(real, {"default": print}):
        assert before == signal.getsignal(signal.SIGTERM)


def test_in_another_thread_it_waits_for_a_stop_alone(real: Broker) -> None:
    before = signal.getsignal(signal.SIGTERM)
    worker = Worker(real)
    seen: list[object] = []

    @worker.handles("default")
    def note(_job: Job) -> None:
        seen.append(signal.getsignal(signal.SIGTERM))
        worker.stop()

    real.producer().put("scarf")
    start(worker.run).result(LONG)
    assert [before] == seen


# The end of a program

END = """
import asyncio, sys, threading
from inproc_tubes import Broker
from inproc_tubes.worker import AsyncWorker, Worker

broker = Broker()
begun = threading.Event()

def work(job):
    begun.set()
    while "stopped" not in repr(broker):
        threading.Event().wait(0.001)
    print("done")

async def work_in_a_task(job):
    begun.set()
    while "stopped" not in repr(broker):
        await asyncio.sleep(0.001)
    print("done")

broker.producer().put_many([*"ab"])
kind = sys.argv[1]
if kind == "block":
    worker = Worker(broker, {"default": work})
    worker.__enter__()
elif kind == "run":
    worker = Worker(broker, {"default": work})
    threading.Thread(target=worker.run).start()
else:
    handler = work_in_a_task if kind == "tasks" else work
    worker = AsyncWorker(broker, {"default": handler}, tasks=1)
    threading.Thread(target=asyncio.run, args=(worker.run(),)).start()
begun.wait()
"""


no_new_threads = pytest.mark.skipif(
    sys.version_info >= (3, 12),
    reason="asyncio.run starts a thread at its end, which newer ones refuse then",
)


@pytest.mark.parametrize(
    "kind",
    ["block", "run", "tasks", pytest.param("functions", marks=no_new_threads)],
)
def test_a_program_that_ends_waits_for_the_jobs_in_hand(kind: str) -> None:
    result = subprocess.run(  # noqa: S603  # our own script
        [sys.executable, "-W", "error", "-c", END, kind],
        capture_output=True,
        check=False,
        text=True,
        timeout=60,  # only a bug gets there
    )
    assert (0, "", "done\n") == (result.returncode, result.stderr, result.stdout)
