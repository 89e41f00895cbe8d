"""A thread that waits elsewhere holds an autojumping clock, and then it is told."""

from __future__ import annotations

import _thread
import gc
import threading
import time
import weakref
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from math import inf
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import greenstalk
import pytest

from inproc_tubes import Broker, DeadlockError, TimedOutError
from inproc_tubes.fakes import FakeBeanstalkd
from inproc_tubes.monitor import Deferred
from inproc_tubes.testing import FakeClock, wait_until_waiting
from tests.autojump.shared import GRACE
from tests.threads import LONG, start, waiting

if TYPE_CHECKING:
    from collections.abc import Callable

    from inproc_tubes.testing.stillness import Decision

START = 1_000_000.0
IN_VAIN = "time cannot jump, as something waits that no broker of the clock can wake"


def a_clock(**options: Any) -> FakeClock:
    return FakeClock(autojump=True, grace=GRACE, **options)


def told_of(broker: Broker[Any], what: str = "something else, at ") -> str:
    """Reserve in vain, and return the line that tells what was waited for elsewhere."""
    with pytest.raises(DeadlockError) as caught:
        broker.consumer().reserve(timeout=3600)
    assert IN_VAIN == caught.value.why
    assert "reserve-with-timeout 3600 from 'default'" == caught.value.verb
    assert "FakeClock.advance" in caught.value.advice
    (line,) = [line for line in caught.value.waits if what in line]
    return line


def test_an_idle_thread_of_a_pool_is_told_with_its_name_and_its_line() -> None:
    clock = a_clock()
    broker: Broker[str] = Broker(clock=clock)
    with ThreadPoolExecutor(1, thread_name_prefix="pool") as pool:
        pool.submit(broker.tubes).result(LONG)
        line = told_of(broker)
        assert START == clock.now()
    assert line.startswith("thread 'pool_0': something else, at ")
    assert "concurrent/futures/thread.py:" in line
    assert " in _worker (" in line
    assert "work_queue.get(block=True)" in line
    # The pool is shut down: its thread counts no more.
    with pytest.raises(TimedOutError):
        broker.consumer().reserve(timeout=3600)
    assert START + 3600 == clock.now()


def afterwards(thread: threading.Thread, verb: Callable[[], None]) -> None:
    """Call something when a thread has ended."""

    def wait() -> None:
        thread.join()
        verb()

    start(wait)


def joins(thread: threading.Thread) -> None:
    thread.join()


def gets_a_result(thread: threading.Thread) -> None:
    future: Future[None] = Future()
    afterwards(thread, lambda: future.set_result(None))
    future.result()


def gets_from_a_queue(thread: threading.Thread) -> None:
    queue: SimpleQueue[None] = SimpleQueue()
    afterwards(thread, lambda: queue.put(None))
    queue.get()


@pytest.mark.parametrize("wait", [joins, gets_a_result, gets_from_a_queue])
def test_whatever_a_thread_is_blocked_by_is_told(
    wait: Callable[[threading.Thread], None],
) -> None:
    """This thread has made the clock, and waits for one that waits for the clock."""
    clock = a_clock()
    broker: Broker[str] = Broker(clock=clock)
    errors: list[BaseException] = []

    def reserve() -> None:
        try:
            broker.consumer("a", "b").reserve()
        except DeadlockError as error:
            errors.append(error)

    thread = threading.Thread(target=reserve)
    thread.start()
    wait(thread)
    (error,) = errors
    assert str(error).startswith(f"{IN_VAIN}: reserve from 'a', 'b'\n")
    assert "  thread 'MainThread': something else, at " in str(error)
    assert f" in {wait.__name__}" in str(error)


def test_the_line_of_the_program_is_told_that_waits_in_a_library() -> None:
    broker: Broker[str] = Broker(clock=a_clock())
    used, end = threading.Event(), threading.Event()

    def work() -> None:
        broker.tubes()
        used.set()
        end.wait()

    worker = start(work, "the worker")
    assert used.wait(LONG)
    line = told_of(broker)
    end.set()
    worker.result(LONG)
    assert line.startswith("thread 'the worker': something else, at ")
    assert "/threading.py:" in line
    assert f", called at {__file__}:{work.__code__.co_firstlineno + 3} in work" in line


def test_all_that_wait_are_told_of_each_other() -> None:
    clock = a_clock()
    brokers: list[Broker[str]] = [Broker(clock=clock) for _ in range(2)]
    brokers[1].limit_tube("full", 1)
    brokers[1].producer("full").put("x")
    reserving = waiting(brokers[0], brokers[0].consumer("a").reserve, "reserving")
    putting = waiting(
        brokers[1], lambda: brokers[1].producer("full").put("y"), "putting"
    )
    joining = waiting(brokers[1], brokers[1].join, "joining")
    # This thread has made the clock, and waits for the others.
    errors = [future.exception(LONG) for future in (reserving, putting, joining)]
    verbs = [error.verb for error in errors if isinstance(error, DeadlockError)]
    expected = [
        "reserve from 'a'",
        "put into 'full', which is full",
        "join of all tubes",
    ]
    assert expected == verbs
    for error in errors:
        text = str(error)
        assert "  thread 'reserving': reserve from 'a', at " in text
        assert "  thread 'putting': put into 'full', which is full, at " in text
        assert "  thread 'joining': join of all tubes, at " in text
        assert "  thread 'MainThread': something else, at " in text


def test_a_thread_that_runs_now_and_then_is_not_blocked() -> None:
    """It polls: the same call in the same line, again and again."""
    clock = a_clock()
    broker: Broker[str] = Broker(clock=clock)
    used = threading.Event()
    never = threading.Event()

    def poll() -> str:
        broker.tubes()
        used.set()
        for _ in range(100):
            never.wait(GRACE / 20)
        broker.producer().put("at last")
        return "polled"

    polling = start(poll)
    assert used.wait(LONG)
    assert "at last" == broker.consumer().reserve(timeout=3600).body
    assert "polled" == polling.result(LONG)
    assert START == clock.now()


def test_a_thread_that_computes_in_c_is_not_blocked() -> None:
    clock = FakeClock(autojump=True, grace=0.01)
    broker: Broker[str] = Broker(clock=clock)
    used = threading.Event()

    def compute() -> None:
        broker.tubes()
        used.set()
        sum(range(30_000_000))  # without a step of Python
        broker.producer().put("computed")

    computing = start(compute)
    assert used.wait(LONG)
    assert "computed" == broker.consumer().reserve(timeout=3600).body
    computing.result(LONG)
    assert START == clock.now()


def test_a_thread_that_waits_for_its_turn_is_not_blocked() -> None:
    """Others may have the lock of a broker for long, on a machine with much to do."""
    broker: Broker[str] = Broker(clock=FakeClock(autojump=True, grace=0))
    other: Broker[str] = Broker()
    used = threading.Event()

    def work() -> None:
        broker.tubes()
        used.set()
        other.tubes()

    with other._monitor.lock:
        working = start(work)
        assert used.wait(LONG)
        # This thread itself has made the clock, and waits elsewhere.
        future = waiting(broker, broker.consumer().reserve)
        with pytest.raises(TimeoutError):
            future.exception(0.2)
    working.result(LONG)
    assert isinstance(future.exception(LONG), DeadlockError)


def test_a_thread_that_waits_in_a_broker_on_another_clock_is_blocked() -> None:
    broker: Broker[str] = Broker(clock=a_clock())
    other: Broker[str] = Broker()

    def work() -> None:
        broker.tubes()
        other.consumer().reserve()

    working = waiting(other, work)
    told_of(broker)
    other.close()
    assert "the broker was closed" == str(working.exception(LONG))


def test_who_waits_until_others_wait_is_not_blocked() -> None:
    """It gives up by itself, and tells that."""
    broker: Broker[str] = Broker(clock=FakeClock(autojump=True, grace=0))
    consumer = broker.consumer()
    future = waiting(broker, lambda: consumer.reserve(timeout=60))
    with pytest.raises(AssertionError, match=r"^1 of 2 wait$"):
        wait_until_waiting(broker, 2, timeout=0.1)
    broker.close()
    assert "the broker was closed" == str(future.exception(LONG))


def test_a_grace_without_an_end_never_ends() -> None:
    clock = FakeClock(autojump=True, grace=inf)
    broker: Broker[str] = Broker(clock=clock)
    future = waiting(broker, lambda: broker.consumer().reserve(timeout=60))
    with pytest.raises(TimeoutError):
        future.exception(0.1)
    broker.close()
    assert "the broker was closed" == str(future.exception(LONG))


def test_a_foreign_thread_that_has_ended_lets_time_jump_and_is_not_kept() -> None:
    clock = a_clock()
    broker: Broker[str] = Broker(clock=clock)
    used: SimpleQueue[int] = SimpleQueue()
    known = set(threading._active)  # type: ignore[attr-defined]  # all that threading keeps

    def use() -> None:  # pragma: no cover - nor is it known to coverage
        broker.tubes()
        used.put(threading.get_ident())

    for _ in range(5):
        _thread.start_new_thread(use, ())
        used.get(timeout=LONG)
        with pytest.raises(TimedOutError):
            broker.consumer().reserve(timeout=60)
    assert START + 300 == clock.now()
    gc.collect()
    assert 1 == len(clock._users._threads)
    assert known == set(threading._active)  # type: ignore[attr-defined]  # as above


def test_a_foreign_thread_that_waits_elsewhere_is_told_by_its_number() -> None:
    broker: Broker[str] = Broker(clock=a_clock())
    used: SimpleQueue[int] = SimpleQueue()
    end, ended = _thread.allocate_lock(), threading.Event()
    end.acquire()

    def use() -> None:  # pragma: no cover - nor is it known to coverage
        broker.tubes()
        used.put(threading.get_ident())
        end.acquire()
        ended.set()

    _thread.start_new_thread(use, ())
    ident = used.get(timeout=LONG)
    line = told_of(broker)
    end.release()
    assert ended.wait(LONG)
    assert line.startswith(f"thread {ident}: something else, at {__file__}:")


def test_a_thread_that_has_ended_is_not_kept_by_a_report() -> None:
    """Frames refer to each other, and to what is in them."""
    broker: Broker[str] = Broker(clock=a_clock())
    used, end = threading.Event(), threading.Event()

    class Local:
        """A variable of a thread."""

    locals_of_it: list[weakref.ref[Local]] = []

    def work() -> None:
        local = Local()
        locals_of_it.append(weakref.ref(local))
        broker.tubes()
        used.set()
        end.wait()

    gc.disable()
    try:
        worker = threading.Thread(target=work)
        worker.start()
        assert used.wait(LONG)
        told_of(broker)
        end.set()
        worker.join(LONG)
        assert [None] == [local() for local in locals_of_it]
    finally:
        gc.enable()


def test_what_turns_have_left_to_do_comes_before_a_jump() -> None:
    """Another thread's finaliser may have found the lock taken."""
    clock = a_clock()
    broker: Broker[str] = Broker(clock=clock)
    monitor = broker._monitor
    holder = broker.consumer()
    broker.producer().put("held", ttr=60)
    holder.reserve()
    session = holder._session
    left = [
        Deferred(partial(monitor.engine.clients.abandon, session=session, what="gone"))
    ]
    jump = clock._jump_if_all_wait

    def leave_and_jump() -> Decision:
        monitor.turn.after.extend(left)
        left.clear()
        return jump()

    clock._jump_if_all_wait = leave_and_jump  # type: ignore[method-assign]  # see above
    job = broker.consumer().reserve(timeout=3600)
    assert ("held", 0) == (job.body, job.timeouts)
    assert START == clock.now()


def test_a_deadlock_through_a_client_names_the_command_and_the_tubes() -> None:
    with (
        FakeBeanstalkd() as server,
        greenstalk.Client(server.address, watch=["orders", "mail"]) as client,
    ):
        with pytest.raises(DeadlockError) as caught:
            client.reserve()
        assert "reserve from 'mail', 'orders'" == caught.value.verb
        (line,) = caught.value.waits
        assert "thread 'MainThread': reserve from 'mail', 'orders', at " in line
        assert f", called at {__file__}:" in line
        # The connection goes on.
        with pytest.raises(greenstalk.TimedOutError):
            client.reserve(timeout=3600)


def test_a_client_that_waits_while_a_thread_is_blocked_is_told_the_same() -> None:
    with (
        FakeBeanstalkd(clock=a_clock()) as server,
        ThreadPoolExecutor(1) as pool,
        greenstalk.Client(server.address) as client,
    ):
        pool.submit(server.broker.tubes).result(LONG)
        with pytest.raises(DeadlockError) as caught:
            client.reserve(timeout=3600)
        assert IN_VAIN == caught.value.why
        assert "reserve-with-timeout 3600 from 'default'" == caught.value.verb


def test_the_grace_is_about_a_second_unless_it_is_given() -> None:
    broker: Broker[str] = Broker(clock=FakeClock(autojump=True))
    begun_at = time.perf_counter()
    future = waiting(broker, lambda: broker.consumer().reserve(timeout=60))
    assert isinstance(future.exception(LONG), DeadlockError)
    assert time.perf_counter() - begun_at >= 0.9
