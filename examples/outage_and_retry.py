"""A worker's retry loop meets an outage that comes and goes as the test says.

The server is lost while the first order is being shipped, so that job cannot be
deleted, and comes again. This needs greenstalk, which does not come with us.

Prints:
    shipping scarf
    no server: trying again in 1 s
    no server: trying again in 2 s
    shipping scarf
"""

from __future__ import annotations

from typing import Any

import greenstalk

from inproc_tubes.fakes import FakeBeanstalkd
from inproc_tubes.testing import assert_empty


def work(ship: Any, sleep: Any) -> None:
    """Ship until there was nothing to do for a minute: this is the application."""
    wait = 1
    while True:
        try:
            with greenstalk.Client(("127.0.0.1", 11300), watch="orders") as client:
                while True:
                    job = client.reserve(timeout=60)
                    wait = 1
                    ship(job.body)
                    client.delete(job)
        except greenstalk.TimedOutError:
            return
        except ConnectionError:
            print(f"no server: trying again in {wait} s")
            sleep(wait)
            wait *= 2


with FakeBeanstalkd() as server:  # at 127.0.0.1:11300
    back_at = server.clock.now() + 3
    server.broker.producer("orders").put(b"scarf")

    def ship(item: str) -> None:
        """Lose the server the first time."""
        print(f"shipping {item}")
        if server.clock.now() < back_at:
            server.refuse()  # no new connection
            server.drop()  # and the end of those that are

    def sleep(seconds: int) -> None:
        """Take no time; the server comes back when it is due."""
        server.clock.advance(seconds)
        if server.clock.now() >= back_at:
            server.restore()

    work(ship, sleep)
    assert_empty(server.broker)
