"""A program ends although its threads wait in a broker."""

from __future__ import annotations

import gc
import threading
import weakref
from typing import TYPE_CHECKING

import pytest

from inproc_tubes import Broker, StoppedError, at_exit
from tests.robustness.processes import run

if TYPE_CHECKING:
    from collections.abc import Callable

PROGRAM = """
import atexit, sys
from threading import Thread
from inproc_tubes import Broker, StoppedError
from inproc_tubes.testing import wait_until_waiting

def say(*words):  # a print is two writes, and others may come between
    sys.stdout.write(" ".join(map(str, words)) + "\\n")

broker = Broker()
broker.stop_at_exit()
broker.limit_tube("full", 1)
broker.producer("full").put(1)

def iterate():
    for job in broker.consumer():
        with job:
            say("done:", job.body)
    say("the loop has ended")

def wait(verb):
    try:
        verb()
    except StoppedError as error:
        say(error)

threads = [Thread(target=iterate)] + [
    Thread(target=wait, args=(verb,))
    for verb in (
        broker.consumer("none").reserve,
        lambda: broker.producer("full").put(2),
        lambda: broker.join("full"),
    )
]
"""


def test_threads_that_wait_in_a_broker_end_with_the_program() -> None:
    script = (
        PROGRAM
        + """
for thread in threads:
    assert not thread.daemon
    thread.start()
wait_until_waiting(broker, 4)
atexit.register(say, "and then comes atexit")
broker.producer().put("last")
say("main is over")
"""
    )
    *lines, last = run(script).splitlines()
    assert "and then comes atexit" == last
    told = "the broker was stopped, as the program ends"
    expected = ["done: last", "main is over", "the loop has ended", *[told] * 3]
    assert sorted(expected) == sorted(lines)


def test_a_thread_may_finish_its_job_after_the_end_of_the_main_thread() -> None:
    script = """
from threading import Event, Thread, main_thread
from inproc_tubes import Broker

broker = Broker()
broker.stop_at_exit()
begun = Event()

def work():
    for job in broker.consumer():
        with job:
            begun.set()
            main_thread().join()
            print("done:", job.body)
    print(broker)

broker.producer().put_many(["first", "second"])
Thread(target=work).start()
begun.wait()
"""
    assert "done: first\n<Broker: 1 ready in 1 tube; stopped>\n" == run(script)


def test_a_program_that_ends_already_says_so() -> None:
    script = """
from threading import Thread, main_thread
from inproc_tubes import Broker

def late():
    main_thread().join()
    try:
        Broker().stop_at_exit()
    except RuntimeError as error:
        print(error)

Thread(target=late).start()
"""
    assert "can't register atexit after shutdown\n" == run(script)


def test_a_broker_is_registered_once_and_not_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    called: list[Callable[[], None]] = []
    monkeypatch.setattr(threading, "_register_atexit", called.append)
    at_exit._register.cache_clear()
    try:
        brokers: list[Broker] = [Broker(), Broker()]
        for broker in [*brokers, *brokers]:
            broker.stop_at_exit()
        (stop_all,) = called
        gone = weakref.ref(brokers.pop(0))
        del broker
        gc.collect()
        assert gone() is None
        stop_all()
        stop_all()
        with pytest.raises(StoppedError, match=r"as the program ends$"):
            brokers[0].consumer().reserve()
    finally:
        at_exit._register.cache_clear()
