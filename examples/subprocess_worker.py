"""A worker in a process of its own, which is killed in the middle of a job.

The worker is any program that talks to a beanstalkd: this one in Python, with
greenstalk, which does not come with us. The fake listens on a real port for it, and goes
by a clock that the test moves.

Prints:
    the first worker has scarf
    it is killed, and the job is back
    the second worker has scarf
    it has waited for an hour, and leaves
    no job is left
"""

from __future__ import annotations

import subprocess
import sys

from inproc_tubes.fakes import FakeBeanstalkd
from inproc_tubes.testing import FakeClock, assert_empty, wait_until_waiting

WORKER = """
import sys, greenstalk

with greenstalk.Client((sys.argv[1], int(sys.argv[2])), watch="orders") as client:
    while True:
        try:
            job = client.reserve(timeout=3600)
        except greenstalk.TimedOutError:
            break
        print(job.body, flush=True)
        if sys.argv[3] == "slow":
            sys.stdin.read()  # for ever
        client.delete(job)
"""


def start_worker(address: tuple[str, int], speed: str) -> subprocess.Popen[str]:
    """Start a worker that connects to an address."""
    return subprocess.Popen(  # noqa: S603 - our own interpreter and script
        [sys.executable, "-c", WORKER, *map(str, address), speed],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def item_of(worker: subprocess.Popen[str]) -> str:
    """Wait until a worker tells what it ships."""
    return worker.stdout.readline().strip() if worker.stdout else ""


with FakeBeanstalkd(clock=FakeClock()) as server:
    address = server.listen()  # on a port that is free
    server.broker.producer("orders").put(b"scarf")

    with start_worker(address, "slow") as first:
        print(f"the first worker has {item_of(first)}")
        first.kill()
    with server.broker.consumer("orders") as consumer:
        consumer.reserve(timeout=None).release()  # waits until the server has noticed
    print("it is killed, and the job is back")

    with start_worker(address, "quick") as second:
        print(f"the second worker has {item_of(second)}")
        wait_until_waiting(server.broker, 1)  # it has shipped that, and wants more
        server.clock.advance(3600)
    print("it has waited for an hour, and leaves")
    assert_empty(server.broker)
    print("no job is left")
