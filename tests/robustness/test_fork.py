"""A forked child destroys nothing of its parent's, and forking never hangs.

What bodies own stays as it was: a temporary folder, an open buffered file, a socket. The
parent may fork from any thread, in the middle of another thread's turn, or of its own.
"""

from __future__ import annotations

import os
from textwrap import dedent

import pytest

from tests.interpreted import interpreted
from tests.robustness.processes import run

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows cannot fork")

# What each script begins with: a broker full of bodies that own something.
OWNERS = """
import gc, multiprocessing, os, signal, socket, sys, tempfile, threading, warnings
from contextlib import suppress
from inproc_tubes import Broker, ClosedError, TubesError
from inproc_tubes.core.recovery import check
from inproc_tubes.testing import FakeClock, wait_until_waiting

# Since 3.12: threads may hold locks as the process forks. That is the point here.
warnings.filterwarnings("ignore", "This process .* is multi-threaded")

parent = os.getpid()
deaths = []

class Body:
    def __init__(self):
        self.folder = tempfile.TemporaryDirectory()
        self.file = open(os.path.join(self.folder.name, "file"), "w")
        self.file.write("buffered")
        self.near, self.far = socket.socketpair()
    def __del__(self):
        if os.getpid() != parent:
            print("a body died in the child", flush=True)
    def verify(self):
        assert os.listdir(self.folder.name) == ["file"]
        with open(self.file.name) as file:
            assert file.read() == "", "the child has flushed it"
        self.near.send(b"x")
        assert self.far.recv(1) == b"x"
        self.file.close()
        with open(self.file.name) as file:
            assert file.read() == "buffered"
        self.near.close()
        self.far.close()
        self.folder.cleanup()

clock = FakeClock()
broker = Broker(clock=clock)
producer, consumer = broker.producer(), broker.consumer()
producer.put(Body(), ttr=10)          # reserved
producer.put(Body())                  # buried
producer.put(Body())                  # reserved again
producer.put(Body(), delay=5)
producer.put(Body())                  # ready
broker.limit_tube("full", 1)
producer.put(Body(), tube="full")
job = consumer.reserve()
consumer.reserve().bury()
consumer.reserve().release()
again = consumer.reserve()

putting = threading.Thread(target=lambda: producer.put(Body(), tube="full"), daemon=True)
reserving = threading.Thread(target=broker.consumer("other").reserve, daemon=True)
putting.start()
reserving.start()
wait_until_waiting(broker, 2)

def in_child(exits=os._exit):
    for verb in (
        lambda: producer.put("job"),
        lambda: consumer.reserve(),
        lambda: job.delete(),
        lambda: again.release(),
        lambda: broker.clear_tube("default"),
        lambda: broker.join(),
        broker.tubes,
        broker.consumer,
    ):
        try:
            verb()
        except ClosedError as error:
            assert "parent" in str(error)
        else:
            raise AssertionError(verb)
    consumer.stop()
    broker.stop()
    assert job.lost
    global_names = ("broker", "producer", "consumer", "job", "again")
    for name in global_names:
        del globals()[name]
    gc.collect()
    with Broker() as own:
        own.producer().put("own")
        assert own.consumer().reserve(0).body == "own"
    sys.stdout.flush()
    exits(0)

def in_parent(child):
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

def verify():
    with broker._monitor.lock:
        check(broker._engine)
    full = broker.peek_ready("full")
    broker.delete(full.id)            # makes room
    full.body.verify()
    del full
    putting.join()
    producer.put("served", tube="other")
    reserving.join()
    clock.advance(5)
    job.delete()
    job.body.verify()
    again.delete()
    again.body.verify()
    broker.kick("default", 5)
    for tube in ("default", "full"):
        with broker.consumer(tube) as worker:
            with suppress(TubesError):
                while True:
                    with worker.reserve(timeout=0) as one:
                        one.body.verify()
    print("done")
"""


def forked(script: str) -> None:
    """Run a script after these preparations, and see that all went well."""
    assert "done\n" == run(OWNERS + script)


def test_a_child_destroys_nothing_that_bodies_own() -> None:
    forked("""
child = os.fork()
if not child:
    in_child()
in_parent(child)
verify()
""")


def test_a_process_of_multiprocessing_destroys_nothing() -> None:
    forked("""
process = multiprocessing.get_context("fork").Process(
    target=in_child, args=(lambda status: None,)
)
process.start()
process.join()
assert process.exitcode == 0, process.exitcode
verify()
""")


def test_a_process_may_fork_from_any_thread() -> None:
    forked("""
def work():
    child = os.fork()
    if not child:
        in_child()
    in_parent(child)
threads = [threading.Thread(target=work) for _ in range(3)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
verify()
""")


def test_a_process_may_fork_in_the_middle_of_another_threads_turn() -> None:
    """Wherever that is: the indexes of the child's copy may be half changed."""
    forked("""
from tests.robustness.injection import Visitor

def interrupted(number):
    # Another thread stops in front of this bytecode of a verb.
    inside, leave = threading.Event(), threading.Event()
    def stop():
        inside.set()
        leave.wait()
    def work():
        visitor = Visitor(number, stop)
        with visitor.armed():
            broker.pause_tube("default", 1)
            producer.put("more", tube="more", priority=number)
            broker.clear_tube("more")
        inside.set()
    thread = threading.Thread(target=work)
    thread.start()
    inside.wait()
    return thread, leave

for number in range(1, 700, 7):
    thread, leave = interrupted(number)
    child = os.fork()
    if not child:
        in_child()
    in_parent(child)
    leave.set()
    thread.join()
broker.pause_tube("default", 0)
verify()
""")


def test_a_process_may_fork_in_the_middle_of_its_own_turn() -> None:
    """A finaliser or a signal handler may fork, wherever it interrupts a verb."""
    forked("""
from tests.robustness.injection import Visitor

def fork():
    child = os.fork()
    if not child:
        # The rest of the turn is not carried out.
        with suppress(ClosedError):
            producer.put("job")
        sys.stdout.flush()
        os._exit(0)
    in_parent(child)

for number in range(1, 300, 7):
    visitor = Visitor(number, fork)
    with visitor.armed():
        producer.put("more", tube="more")
        broker.clear_tube("more")
verify()
""")


@interpreted
def test_a_reserve_that_forks_before_it_waits_is_told_in_the_child() -> None:
    """There it would wait in a queue that is closed already."""
    forked("""
from inproc_tubes import turns
from inproc_tubes.core.requests import ReserveRequest

class Forking(ReserveRequest):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        child = os.fork()
        if child:
            in_parent(child)
            producer.put("job", tube="forked")
        else:
            signal.alarm(40)  # if it waits all the same

turns.ReserveRequest = Forking
try:
    broker.consumer("forked").reserve(timeout=5).delete()
except ClosedError as error:
    assert os.getpid() != parent
    assert "parent" in str(error)
    sys.stdout.flush()
    os._exit(0)
turns.ReserveRequest = ReserveRequest
verify()
""")


def test_the_future_of_a_job_is_done_in_the_child_and_tells_nobody() -> None:
    script = """
        import os, sys
        from inproc_tubes import Broker, ClosedError

        broker = Broker()
        producer, consumer = broker.producer(), broker.consumer()
        future = producer.submit("scarf")
        told = []
        future.add_done_callback(lambda _: told.append("told"))
        with future._condition:  # as another thread may have it
            child = os.fork()
            if not child:
                error = future.exception(timeout=60)
                assert isinstance(error, ClosedError) and "forked" in error.what
                assert not told
                os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert not future.done()
        consumer.reserve().finish(1)
        assert (future.result(), told) == (1, ["told"])
    """
    assert run(dedent(script)) == ""


def test_forking_in_a_loop_beside_busy_threads_never_hangs() -> None:
    forked("""
stop = threading.Event()
def work():
    own, worker = broker.producer("busy"), broker.consumer("busy")
    while not stop.is_set():
        own.put("job")
        worker.reserve().delete()
threads = [threading.Thread(target=work) for _ in range(2)]
for thread in threads:
    thread.start()
for _ in range(50):
    child = os.fork()
    if not child:
        in_child()
    in_parent(child)
stop.set()
for thread in threads:
    thread.join()
verify()
""")
