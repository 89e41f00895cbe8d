"""Test code that waits for an hour, in no time at all.

The clock stands still until the test moves it. Threads that are blocked in a broker
wake up exactly when they should. With pytest, the two functions are tests as they are.

Prints:
    the reminder came after 3600 s, and not before
    a worker that hung for 60 s has lost its job
"""

from __future__ import annotations

from threading import Thread

from inproc_tubes import Broker, NotFoundError
from inproc_tubes.testing import FakeClock, wait_until_waiting


def test_a_reminder_comes_after_an_hour() -> None:
    """A thread is really blocked here, until the clock is moved."""
    clock = FakeClock()
    broker = Broker(clock=clock)
    came_at = []

    def remind() -> None:
        with broker.consumer("reminders").reserve():
            came_at.append(clock.now())

    put_at = clock.now()
    broker.producer("reminders").put("tea", delay=3600)
    thread = Thread(target=remind)
    thread.start()
    wait_until_waiting(broker, 1)

    clock.advance(3599)
    assert broker.stats().current_waiting == 1  # noqa: S101  # a test
    clock.advance(1)
    thread.join()
    assert came_at == [put_at + 3600]  # noqa: S101  # a test


def test_a_worker_that_hangs_loses_its_job() -> None:
    """No thread is needed where nobody waits."""
    clock = FakeClock()
    broker = Broker(clock=clock)
    broker.producer().put("work", ttr=60)
    consumer = broker.consumer()

    lost = consumer.reserve()
    clock.advance(60)
    assert consumer.reserve(timeout=0).timeouts == 1  # noqa: S101  # a test
    try:
        lost.delete()
    except NotFoundError:
        return
    raise AssertionError


if __name__ == "__main__":
    test_a_reminder_comes_after_an_hour()
    print("the reminder came after 3600 s, and not before")
    test_a_worker_that_hangs_loses_its_job()
    print("a worker that hung for 60 s has lost its job")
