"""The errors of connections in memory: those of the operating system, and our own.

All are `OSError`, since that is what a client expects of a connection.
"""

from __future__ import annotations

import errno
import os
from typing import NoReturn

__all__ = ["os_error", "parents", "refuse_to_connect", "refuse_use"]


def os_error(number: int) -> OSError:
    """Return an error as the operating system raises it."""
    return OSError(number, os.strerror(number))


def refuse_use(what: str) -> NoReturn:
    """Raise an error for what a connection in memory cannot do."""
    # No ValueError, io.UnsupportedOperation being one: selectors would swallow it.
    message = f"an in-memory connection has no {what}"
    raise OSError(errno.EOPNOTSUPP, message)


def refuse_to_connect(who: str) -> NoReturn:
    """Raise an error for who would go to the network at the address of a fake."""
    message = (
        f"{who} cannot be connected to a FakeBeanstalkd in memory, and may not reach "
        "a real server at its address: let it listen() on a port, and connect to that"
    )
    raise OSError(errno.EOPNOTSUPP, message)


def parents(number: int) -> OSError:
    """Return an error for a child process that uses its parent's fake."""
    message = (
        "the FakeBeanstalkd here is that of the parent process, in its memory: let it "
        "listen() on a port there, and connect to that, or start another in the child"
    )
    return OSError(number, message)
