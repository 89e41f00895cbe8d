r"""beanstalkd's text protocol, without a connection: bytes in, bytes out.

>>> from inproc_tubes import Broker
>>> from inproc_tubes.protocol import ProtocolSession
>>> session = ProtocolSession(Broker())
>>> session.receive(b"put 0 0 60 5\r\nhello\r\nreserve\r\n")
>>> session.take()
b'INSERTED 1\r\nRESERVED 1 5\r\nhello\r\n'
"""

from __future__ import annotations

from .session import ProtocolSession

__all__ = ["ProtocolSession"]
