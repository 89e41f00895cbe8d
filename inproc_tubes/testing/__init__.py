"""Tools for tests of code that uses a broker: time that is moved by hand, assertions.

>>> from inproc_tubes import Broker
>>> from inproc_tubes.testing import FakeClock
>>> clock = FakeClock()
>>> broker = Broker(clock=clock)
>>> consumer = broker.consumer()
>>> job_id = broker.producer().put("work", ttr=60)
>>> lost = consumer.reserve()
>>> clock.advance(60)
>>> consumer.reserve().timeouts
1
"""

from __future__ import annotations

from .assertions import Drained, assert_empty, assert_put, drain, refute_put
from .clock import FakeClock, wait_until_waiting

__all__ = [
    "Drained",
    "FakeClock",
    "assert_empty",
    "assert_put",
    "drain",
    "refute_put",
    "wait_until_waiting",
]
