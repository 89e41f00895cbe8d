"""gevent and eventlet may patch a program after it has imported inproc_tubes.

That works as it does with ``queue``: a broker that is made after the patch lets greenlets
wait, and wakes them. Each test is a program of its own, since a patch is for life.
"""

from __future__ import annotations

import importlib.util

import pytest

from tests.robustness.processes import run

PROGRAM = """
import sys
from inproc_tubes import Broker, ClosedError, TimedOutError, TubeFullError
from inproc_tubes.core.recovery import check
{patch}
import queue, threading, time

broker = Broker()
producer, consumer = broker.producer(), broker.consumer()

# Greenlets wait, and are served in their order; the others run meanwhile.
told = []
def work(number):
    job = broker.consumer().reserve()
    told.append((number, job.body))
    job.delete()
workers = [spawn(work, number) for number in range(3)]
ticks = []
def tick():
    for number in range(5):
        ticks.append(number)
        switch()
ticking = spawn(tick)
switch()
switch()
assert broker._monitor.waiting == 3, broker._monitor.waiting
producer.put_many([*"abc"])
for worker in workers:
    wait(worker)
wait(ticking)
assert sorted(told) == [(0, "a"), (1, "b"), (2, "c")], told
assert len(ticks) == 5

# So do plain threads, which are greenlets now.
received = queue.Queue()
def loop():
    for job in consumer:
        received.put(job.body)
        job.delete()
threads = [threading.Thread(target=loop) for _ in range(2)]
for thread in threads:
    thread.start()
for number in range(50):
    producer.put(number)
assert sorted(received.get(timeout=10) for _ in range(50)) == list(range(50))

# Time is kept while greenlets sleep, and nobody is blocked by who waits.
late = []
def be_late():
    try:
        broker.consumer("never").reserve(timeout=0.05)
    except TimedOutError:
        late.append("reserve")
    broker.limit_tube("full", 1)
    filler = broker.producer("full")
    filler.put("one")
    try:
        filler.put("two", timeout=0.05)
    except TubeFullError:
        late.append("put")
    producer.put("soon", delay=0.05, tube="delayed")
    late.append(broker.consumer("delayed").reserve(timeout=10).body)
    filler.use("joined")
    filler.put("work")
    worker = spawn(lambda: broker.consumer("joined").reserve().delete())
    broker.join("joined", timeout=10)
    wait(worker)
    late.append("join")
wait(spawn(be_late))
assert late == ["reserve", "put", "soon", "join"], late

# A greenlet that is killed while it waits leaves nothing behind.
doomed = spawn(lambda: broker.consumer("doomed").reserve())
switch()
assert broker._monitor.waiting == 3
kill(doomed)
switch()
assert broker._monitor.waiting == 2, broker._monitor.waiting
check(broker._engine)

# A greenlet switch in the middle of a turn is none: the lock is not given away.
busy = [spawn(lambda: [producer.put("x", tube="busy") for _ in range(100)]) for _ in range(5)]
for greenlet in busy:
    wait(greenlet)
assert broker.stats_tube("busy").current_jobs_ready == 500

# Closing reaches all of them.
closed = []
def be_closed():
    try:
        broker.consumer("never").reserve()
    except ClosedError:
        closed.append(1)
last = [spawn(be_closed) for _ in range(3)]
switch()
broker.close()
for greenlet in last:
    wait(greenlet)
for thread in threads:
    thread.join(10)
    assert not thread.is_alive()
assert closed == [1, 1, 1]
print("done")
"""

GEVENT = """
from gevent import monkey
monkey.patch_all()
import gevent

spawn = gevent.spawn
switch = lambda: gevent.sleep(0)
wait = lambda greenlet: greenlet.get(timeout=10)
kill = lambda greenlet: greenlet.kill()
"""

EVENTLET = """
import warnings
warnings.simplefilter("ignore")  # its own, about its own end
import eventlet
eventlet.monkey_patch()

spawn = eventlet.spawn
switch = lambda: eventlet.sleep(0)
wait = lambda greenlet: greenlet.wait()
kill = lambda greenlet: greenlet.kill()
"""


def missing(package: str) -> pytest.MarkDecorator:
    """Skip where this package is not installed."""
    is_missing = importlib.util.find_spec(package) is None
    return pytest.mark.skipif(is_missing, reason=f"{package} is not installed")


@pytest.mark.parametrize(
    "patch",
    [
        pytest.param(GEVENT, id="gevent", marks=missing("gevent")),
        pytest.param(EVENTLET, id="eventlet", marks=missing("eventlet")),
    ],
)
def test_a_program_may_be_patched_after_the_import(patch: str) -> None:
    assert "done\n" == run(PROGRAM.format(patch=patch))
