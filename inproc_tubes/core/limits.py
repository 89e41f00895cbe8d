"""The numbers of beanstalkd that the rules use, and the defaults of `put`."""

from __future__ import annotations

import re

__all__ = [
    "DEFAULT_DELAY",
    "DEFAULT_MAX_JOB_SIZE",
    "DEFAULT_PRIORITY",
    "DEFAULT_TTR",
    "DEFAULT_TUBE",
    "MAX_PRIORITY",
    "MAX_SECONDS",
    "MAX_TIMEOUT",
    "SAFETY_MARGIN",
    "URGENT_THRESHOLD",
    "is_tube_name",
]

DEFAULT_TUBE = "default"
# greenstalk's default. It leaves room for more and for less urgent jobs.
DEFAULT_PRIORITY = 65536
DEFAULT_DELAY: float = 0
DEFAULT_TTR: float = 60
# beanstalkd's JOB_DATA_SIZE_LIMIT_DEFAULT (dat.h). A body of this size is accepted.
DEFAULT_MAX_JOB_SIZE = 65535
# beanstalkd's read_u32 (prot.c): priorities, delays and TTRs have 32 bits.
MAX_PRIORITY = MAX_SECONDS = 2**32 - 1
# beanstalkd's reserve-with-timeout (OP_RESERVE_TIMEOUT in prot.c) reads an int.
MAX_TIMEOUT = 2**31 - 1
# beanstalkd's URGENT_THRESHOLD (dat.h): jobs below it are counted as urgent.
URGENT_THRESHOLD = 1024
# beanstalkd's SAFETY_MARGIN (conn.c): this long before its first reservation ends, a
# client is answered DEADLINE_SOON.
SAFETY_MARGIN = 1.0

# beanstalkd's is_valid_tube, NAME_CHARS and MAX_TUBE_NAME_LEN (prot.c).
_TUBE_NAME = re.compile(r"[A-Za-z0-9+/;.$_()][A-Za-z0-9\-+/;.$_()]{0,199}")


def is_tube_name(name: str) -> bool:
    """Tell whether beanstalkd's grammar allows this name. Cost: O(length)."""
    return _TUBE_NAME.fullmatch(name) is not None
