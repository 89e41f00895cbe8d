"""In-memory beanstalkd servers, for real client libraries in tests.

>>> import greenstalk
>>> from inproc_tubes.fakes import FakeBeanstalkd
>>> with FakeBeanstalkd(), greenstalk.Client(("127.0.0.1", 11300)) as client:
...     client.put("work")
...     client.reserve(timeout=30).body
1
'work'
"""

from __future__ import annotations

from .server import FakeBeanstalkd

__all__ = ["FakeBeanstalkd"]
