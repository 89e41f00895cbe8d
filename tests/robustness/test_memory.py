"""A MemoryError in the middle of a verb loses, sticks and miscounts nothing.

First every allocation of every verb fails, one at a time: CPython's own test module can do
that. Then memory really runs out, under a limit of the address space. Both happen in
processes of their own.
"""

from __future__ import annotations

import importlib.util
import sys

import pytest

import inproc_tubes
from tests.robustness.processes import run

EACH_ALLOCATION = """
import gc, os, signal, sys
from contextlib import suppress
from _testcapi import remove_mem_hooks, set_nomemory
import inproc_tubes
from tests.robustness.injection import Recorder
from tests.robustness.scenarios import SCENARIOS, putting
from tests.robustness.world import World

FAILURES = (MemoryError, RuntimeError, SystemError)
if inproc_tubes.compiled:
    FAILURES += (TypeError,)  # an int of which no float could be made
ENOUGH = 3  # successes in a row: it allocates no more

def carry_out(scenario, number):
    world = World()
    world.clock.tracer = Recorder()  # it is paused where another thread is played
    verb = scenario(world)
    result = None
    failed = False
    set_nomemory(number, number + 1)
    try:
        result = verb()
    except FAILURES:
        failed = True  # a lock that cannot be made is a RuntimeError
    finally:
        remove_mem_hooks()
    world.give(result)
    world.verify()
    return failed

def carry_out_all(scenario):
    failures = successes = number = 0
    while successes < ENOUGH:
        if carry_out(scenario, number):
            failures += 1
            successes = 0
        else:
            successes += 1
        number += 1
    # A delete allocates next to nothing.
    assert failures > 5 * ENOUGH or scenario is not putting.put_many

gc.disable()
sys.unraisablehook = lambda _: None  # generators that die as memory fails
outcomes = []
for scenario in SCENARIOS:
    # In a child: in a few places a failing allocation crashes the interpreter itself. And
    # where it is of a number or a tuple, compiled code ends the process.
    child = os.fork()
    if not child:
        status = 1
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # compiled code says why it ends
        try:
            carry_out_all(scenario)
            status = 0
        except BaseException as error:
            print(scenario.__name__, repr(error), flush=True)
        finally:
            os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    outcomes.append(status)
crashed = outcomes.count(-signal.SIGSEGV)
ended = outcomes.count(-signal.SIGABRT) if inproc_tubes.compiled else 0
assert outcomes.count(0) + crashed + ended == len(outcomes), outcomes
# Compiled code makes a float without a look at whether that has failed.
assert crashed < len(outcomes) / (6 if inproc_tubes.compiled else 20)
print("done")
"""


@pytest.mark.skipif(
    importlib.util.find_spec("_testcapi") is None,
    reason="this interpreter came without CPython's test module",
)
@pytest.mark.skipif(
    sys.version_info >= (3, 12),
    reason="since CPython 3.12 a failing allocation often crashes the interpreter",
)
def test_every_allocation_of_a_verb_may_fail() -> None:
    assert "done\n" == run(EACH_ALLOCATION)


needs_linux = pytest.mark.skipif(
    sys.platform != "linux", reason="elsewhere the address space has no such limit"
)
needs_an_interpreted_core = pytest.mark.skipif(
    inproc_tubes.compiled,
    reason="compiled code ends the process if there is no memory for a number or a tuple",
)

EXHAUST = """
import resource
from collections import deque  # it needs no large block itself

def pages():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0])

before = resource.getrlimit(resource.RLIMIT_AS)

def limit(room):
    most = pages() * resource.getpagesize() + room if room else before[0]
    resource.setrlimit(resource.RLIMIT_AS, (most, before[1]))

def exhaust(hoard):
    # From large to small, until no block of any size is left.
    for size in (1 << 20, 1 << 16, 1 << 12, 400, 100, 40):
        try:
            while True:
                hoard.append(bytes(size))
        except MemoryError:
            pass
"""

EXHAUSTED = """
from inproc_tubes import Broker, TimedOutError
from inproc_tubes.core.recovery import check

broker = Broker()
producer, consumer = broker.producer(), broker.consumer("default", "other")
put, batches, lost, size = [], [], 0, 300
deleted = {}  # not a set: see FULL_OF_PRIORITIES

def put_one():
    put.append(producer.put("one", priority=len(put) % 3))

def put_later():
    put.append(producer.put("later", delay=3600))

def put_batch():
    batches.append(size)
    producer.put_many([("batch", len(batches))] * size, tube="other")

def work():
    job = consumer.reserve(timeout=0)
    deleted[job.id] = None
    job.delete()

def work_many():
    for job in consumer.reserve_many(50, timeout=0):
        deleted[job.id] = None
        consumer.delete(job)

def give_back():
    consumer.reserve(timeout=0).release(delay=0.001)

def open_and_close():
    with broker.consumer(*(f"tube-{number}" for number in range(100))):
        pass

verbs = (put_one, put_later, put_batch, work, work_many, give_back, open_and_close)
calls = verbs * 10
for number in range(12):
    hoard = deque()
    limit(2 << 20)
    try:
        exhaust(hoard)
    except MemoryError:
        pass
    for verb in calls:
        try:
            verb()
        except (MemoryError, SystemError):
            lost += 1  # CPython loses some a MemoryError on its way
            given_back = 0
            while hoard and given_back < number:
                # What takes no memory itself.
                hoard.pop()
                given_back += 1
        except TimedOutError:
            pass
    del hoard
    limit(None)
    broker.tubes()
    check(broker._engine)
assert lost, "memory did not run out"
there = {job.id for tube in broker.tubes() for job in broker.jobs(tube)}
assert set(put) <= there | set(deleted)
found = {}
for job in broker.jobs("other"):
    found.setdefault(job.body, set()).add(job.id)
for number, size in enumerate(batches, 1):
    # Some may have been deleted. Ids of a batch follow each other.
    ids = found.get(("batch", number), set())
    if ids:
        first = min(ids)
        everything = {i for i in range(first - size, first + size) if i in ids or i in deleted}
        assert size <= len(everything)
print("done")
"""


@needs_linux
@needs_an_interpreted_core
def test_memory_may_run_out_in_any_verb() -> None:
    assert "done\n" == run(EXHAUST + EXHAUSTED)


# CPython keeps an element in a set for which the set was to grow and could not. Full to its
# last place, the set is searched for ever. So the core keeps no set.
FULL_OF_PRIORITIES = """
from inproc_tubes.core.side_lanes import ID_BITS, MAX_LANES, SMALL_HEAP, SideLanes

lanes = SideLanes()
end = 2 * SMALL_HEAP + MAX_LANES
for priority in range(end):
    lanes.add(priority, priority)
for _ in range(end * 2 // 5):
    lanes.drop_first()  # the heap has room
priorities = list(range(end, end + MAX_LANES))
room_for_keys = [number << ID_BITS | number for number in priorities]
hoard, lost = deque(), 0
limit(1 << 20)
exhaust(hoard)
room_for_keys.clear()  # there is memory for them, and for no larger table
for priority in priorities:
    try:
        lanes.add(priority, priority)
    except MemoryError:
        lost += 1
hoard.clear()
limit(None)
assert lost, "memory did not run out"
print("done")
"""


@needs_linux
@needs_an_interpreted_core
def test_memory_may_run_out_while_new_priorities_come() -> None:
    assert "done\n" == run(EXHAUST + FULL_OF_PRIORITIES)
