"""Verbs that are called in a thread of their own."""

from __future__ import annotations

from concurrent.futures import Future, wait
from threading import Thread
from typing import TYPE_CHECKING, TypeVar

from inproc_tubes.testing import wait_until_waiting

if TYPE_CHECKING:
    from collections.abc import Callable

    from inproc_tubes import Broker
    from inproc_tubes.testing import FakeClock

T = TypeVar("T")

# Real seconds that only a bug will reach.
LONG = 60

# Real seconds for which others have the interpreter to themselves.
PAUSE = 0.001


def start(verb: Callable[[], T], name: str | None = None) -> Future[T]:
    """Call ``verb`` in a thread of its own."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            result = verb()
        except BaseException as error:  # noqa: BLE001 - the test looks at it
            future.set_exception(error)
        else:
            future.set_result(result)

    Thread(target=run, name=name, daemon=True).start()
    return future


def waiting(
    broker: Broker, verb: Callable[[], T], name: str | None = None
) -> Future[T]:
    """Call ``verb`` in a thread of its own, and return once it waits."""
    n = broker._monitor.waiting
    future = start(verb, name)
    wait_until_waiting(broker, n + 1)
    return future


def advance_until_done(clock: FakeClock, step: float, future: Future[T]) -> T:
    """Move a clock until another thread has ended, and return its result.

    A thread that moved it without a pause would hold the interpreter, and the broker's
    lock, nearly all the time.
    """
    while not future.done():
        clock.advance(step)
        wait([future], PAUSE)
    return future.result()


_SIGNALLED = """
import signal, sys, threading
from inproc_tubes import Broker
from inproc_tubes.testing import FakeClock, wait_until_waiting

broker = Broker(clock=FakeClock())

hits = []
def handle(number, frame):
    hits.append(number)
    if len(hits) == 1:
        raise KeyboardInterrupt
signal.signal(signal.SIGINT, handle)

def interrupt():
    wait_until_waiting(broker, 1)
    # CPython sleeps over a signal that comes just before its sem_wait: try again.
    while not hits:
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        threading.Event().wait(0.01)

helper = threading.Thread(target=interrupt)
"""


def signalled(script: str) -> str:
    """Return a program whose main thread is sent a Ctrl-C when something waits.

    The script is given its ``broker``, and starts the ``helper`` that sends it.
    """
    return _SIGNALLED + script
