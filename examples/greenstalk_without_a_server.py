"""An application written for beanstalkd runs as it is, without a server.

`place` and `ship` are the application: they know greenstalk, and nothing of us. They
may be imported from anywhere, long before the fake is there.

This needs greenstalk (`pip install greenstalk`), which does not come with us: only
our extra `test` brings it.

Prints:
    shipping medicine
    shipping scarf
    shipping piano
    nothing to do for an hour
    the carrier has refused: anvil
    15 s + 3600 s have passed in no time
"""

from __future__ import annotations

import greenstalk

from inproc_tubes.fakes import FakeBeanstalkd

ADDRESS = ("127.0.0.1", 11300)


def place(item: str, *, urgent: bool = False, delay: int = 0) -> None:
    """Order an item."""
    with greenstalk.Client(ADDRESS, use="orders") as client:
        client.put(item, priority=0 if urgent else 999, delay=delay)


def ship() -> None:
    """Ship what is ordered, until nothing was for an hour."""
    with greenstalk.Client(ADDRESS, watch="orders") as client:
        while True:
            try:
                job = client.reserve(timeout=3600)
            except greenstalk.TimedOutError:
                print("nothing to do for an hour")
                return
            if job.body == "anvil":
                client.bury(job)  # too heavy
            else:
                print(f"shipping {job.body}")
                client.delete(job)


with FakeBeanstalkd(ADDRESS) as server:
    start = server.clock.now()
    place("scarf")
    place("anvil")
    place("medicine", urgent=True)
    place("piano", delay=15)
    ship()

    refused = server.broker.peek_buried("orders")
    print(f"the carrier has refused: {refused.body.decode()}")
    print(f"15 s + {server.clock.now() - start - 15:g} s have passed in no time")
