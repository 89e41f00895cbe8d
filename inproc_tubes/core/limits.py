"""The numbers of beanstalkd that the rules use, and the defaults of `put`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from typing import TypeAlias

    # A number of seconds that stays as it was given: compiled code makes of a plain
    # ``float`` a C double.
    Seconds: TypeAlias = "float | int"
    # The id of a job, which stays the object that it is: of a plain ``int`` compiled
    # code makes a number of its own, and a new object wherever it enters a dict.
    JobId: TypeAlias = "int | bool"

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

DEFAULT_TUBE: Final = "default"
# greenstalk's default. It leaves room for more and for less urgent jobs.
DEFAULT_PRIORITY: Final = 65536
DEFAULT_DELAY: Final[Seconds] = 0
DEFAULT_TTR: Final[Seconds] = 60
# beanstalkd's JOB_DATA_SIZE_LIMIT_DEFAULT (dat.h). A body of this size is accepted.
DEFAULT_MAX_JOB_SIZE: Final = 65535
# beanstalkd's read_u32 (prot.c): priorities, delays and TTRs have 32 bits.
MAX_PRIORITY: Final = 2**32 - 1
MAX_SECONDS: Final = 2**32 - 1
# beanstalkd's reserve-with-timeout (OP_RESERVE_TIMEOUT in prot.c) reads an int.
MAX_TIMEOUT: Final = 2**31 - 1
# beanstalkd's URGENT_THRESHOLD (dat.h): jobs below it are counted as urgent.
URGENT_THRESHOLD: Final = 1024
# beanstalkd's SAFETY_MARGIN (conn.c): this long before its first reservation ends, a
# client is answered DEADLINE_SOON.
SAFETY_MARGIN: Final = 1.0

# beanstalkd's is_valid_tube, NAME_CHARS and MAX_TUBE_NAME_LEN (prot.c).
_TUBE_NAME: Final = re.compile(r"[A-Za-z0-9+/;.$_()][A-Za-z0-9\-+/;.$_()]{0,199}")


def is_tube_name(name: str) -> bool:
    """Tell whether beanstalkd's grammar allows this name. Cost: O(length)."""
    return _TUBE_NAME.fullmatch(name) is not None
