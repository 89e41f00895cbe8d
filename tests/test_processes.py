"""A process that forks, and one that ends while threads wait."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest


def run(script: str) -> str:
    """Run a script in an interpreter of its own, to which every warning is an error."""
    result = subprocess.run(  # noqa: S603 - our own interpreter and script
        [sys.executable, "-W", "error", "-c", script],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (0, "") == (result.returncode, result.stderr)
    return result.stdout


FORKED = """
import os, threading, warnings
from inproc_tubes import Broker, ClosedError
from inproc_tubes.testing import FakeClock, wait_until_waiting

# Since 3.12: threads may hold locks as the process forks. That is the point here.
warnings.filterwarnings("ignore", "This process .* is multi-threaded")

broker = Broker(clock=FakeClock())
producer, consumer = broker.producer(), broker.consumer()
producer.put("job")
job = consumer.reserve()
waiting = threading.Thread(target=broker.consumer("other").reserve, daemon=True)
waiting.start()
wait_until_waiting(broker, 1)

# Another thread is in the middle of a turn.
inside, leave = threading.Event(), threading.Event()
def stay():
    with broker._monitor.lock:
        inside.set()
        leave.wait()
turn = threading.Thread(target=stay)
turn.start()
inside.wait()

child = os.fork()
if not child:
    for verb in (
        lambda: producer.put("job"),
        lambda: consumer.reserve(),
        lambda: consumer.watch("a"),
        lambda: job.delete(),
        broker.tubes,
        broker.stats,
        broker.producer,
        broker.consumer,
    ):
        try:
            verb()
        except ClosedError as error:
            print(error)
    print(list(consumer))
    broker.close()
    consumer.close()
    with Broker() as own:
        own.producer().put("the child's own")
        print(own.consumer().reserve(0).body, flush=True)
else:
    _, status = os.waitpid(child, 0)
    leave.set()
    turn.join()
    producer.put("served", tube="other")
    waiting.join()
    job.delete()
    print("the child's exit:", os.waitstatus_to_exitcode(status))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows cannot fork")
def test_after_a_fork_the_broker_is_the_parents() -> None:
    told = ["the broker belongs to the parent of this forked process"] * 8
    assert [*told, "[]", "the child's own", "the child's exit: 0"] == run(
        FORKED
    ).splitlines()


FORKED_IN_A_LOOP = """
import asyncio, os
from inproc_tubes import Broker, ClosedError

async def main():
    broker = Broker()
    producer, consumer = broker.async_producer(), broker.async_consumer()
    waiting = asyncio.create_task(consumer.reserve(timeout=60))
    await asyncio.sleep(0)
    child = os.fork()
    if not child:
        for verb in (lambda: producer.put("job"), consumer.reserve):
            try:
                await verb()
            except ClosedError as error:
                print(error, flush=True)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    await producer.put("job")
    print((await waiting).body, os.waitstatus_to_exitcode(status))

asyncio.run(main(), debug=True)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows cannot fork")
def test_after_a_fork_the_broker_is_the_parents_loops() -> None:
    told = ["the broker belongs to the parent of this forked process"] * 2
    assert [*told, "job 0"] == run(FORKED_IN_A_LOOP).splitlines()


BLOCKED = """
import threading
from inproc_tubes import Broker
from inproc_tubes.testing import wait_until_waiting

broker = Broker()
def work():
    for job in broker.consumer():
        pass
threads = [threading.Thread(target=work, daemon=True) for _ in range(5)]
threads.append(
    threading.Thread(target=lambda: broker.consumer().reserve(3600), daemon=True)
)
for thread in threads:
    thread.start()
broker.producer("later").put("never", delay=3600)
broker.producer("held").put("job")
holder = broker.consumer("held")
holder.reserve()
wait_until_waiting(broker, 6)
print("done")
"""


def test_an_interpreter_exits_while_daemon_threads_wait() -> None:
    assert "done\n" == run(BLOCKED)
