"""pybeanstalk's interface, for code written for that library.

pybeanstalk itself cannot run on Python 3, so it alone is imitated; other clients run
unmodified, see `inproc_tubes.fakes`. Only the import changes:

>>> from inproc_tubes.fakes.beanstalk import serverconn, job
>>> c = serverconn.ServerConn("localhost", 99988)
>>> c.put("the first message")
{'jid': 1, 'state': 'ok'}
>>> c.job = job.Job
>>> c.reserve().Finish()
True

Not here: ``multiserverconn`` (it needs asyncore, which Python has dropped) and
``twisted_client``; of ``protohandler`` there is only what users set and call.
"""

from __future__ import annotations

from . import errors, job, protohandler, serverconn

__all__ = ["errors", "job", "protohandler", "serverconn"]
