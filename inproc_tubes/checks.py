"""What a handle accepts: numbers, names and bodies, checked before any lock.

Each function returns the value to go on with, or raises and has changed nothing.
A wrong type is a `TypeError`, a wrong value a `ValueError` that names the
parameter. The ranges are beanstalkd's; what it refuses with BAD_FORMAT is
refused here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from .core.job import JobState
from .core.keys import KEEP, RAISE, REPLACE
from .core.limits import MAX_PRIORITY, MAX_SECONDS, MAX_TIMEOUT, is_tube_name
from .errors import BadTubeNameError
from .slips import LONGEST_USUAL, warn

if TYPE_CHECKING:
    from collections.abc import Iterable

T = TypeVar("T")

__all__ = [
    "MAX_JOB_ID",
    "OCTETS",
    "check_bodies",
    "check_bound",
    "check_count",
    "check_duration",
    "check_expires",
    "check_function",
    "check_integer",
    "check_job_id",
    "check_key",
    "check_max_job_size",
    "check_maxsize",
    "check_number",
    "check_on_duplicate",
    "check_priority",
    "check_seconds",
    "check_states",
    "check_timeout",
    "check_tries",
    "check_tube_name",
    "first_size_beyond",
    "size_beyond",
]

MAX_JOB_ID = 2**64 - 1

# A wrong int of more bits is not printed in full.
_SHOWN_BITS = 128


def check_integer(what: str, value: object, low: int, high: float) -> int:
    """Return an int from ``low`` to ``high``."""
    if not isinstance(value, int) or isinstance(value, bool):
        message = f"{what} is an int, not {type(value).__name__}"
        raise TypeError(message)
    if not low <= value <= high:
        range_ = f"{low} or more" if high == math.inf else f"from {low} to {high}"
        message = f"{what} is {range_}, not {_shown(value)}"
        raise ValueError(message)
    return value


def check_number(what: str, value: object, low: float, high: float) -> float:
    """Return an int or a float from ``low`` to ``high``."""
    return _check_range(what, value, low, high, "")


def _check_range(what: str, value: object, low: float, high: float, unit: str) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        message = f"{what} is an int or a float, not {type(value).__name__}"
        raise TypeError(message)
    if not low <= value <= high:  # false for NaN, too
        message = f"{what} is from {low} to {high}{unit}, not {_shown(value)}"
        raise ValueError(message)
    return value


def _shown(value: float) -> str:
    # Python refuses to print an int of thousands of digits in decimal.
    if isinstance(value, int) and value.bit_length() > _SHOWN_BITS:
        return hex(value)[:20] + "..."
    return str(value)


def check_priority(value: object) -> int:
    """Return a priority, 0 (the most urgent) to 2**32 - 1."""
    return check_integer("priority", value, 0, MAX_PRIORITY)


def check_bound(value: object) -> int:
    """Return how many jobs to kick at most, 0 or more."""
    return check_integer("bound", value, 0, math.inf)


def check_maxsize(value: object) -> int:
    """Return how many jobs a tube may have, 0 for any number."""
    return check_integer("maxsize", value, 0, math.inf)


def check_count(value: object) -> int:
    """Return how many jobs to reserve at most, 1 or more."""
    return check_integer("n", value, 1, math.inf)


def check_tries(value: object) -> int:
    """Return how often a job may be reserved, 1 or more; 0 for None, any number."""
    return 0 if value is None else check_integer("n", value, 1, math.inf)


def check_job_id(value: object) -> int:
    """Return a job's id, 0 to 2**64 - 1 (no job has the id 0)."""
    return check_integer("a job id", value, 0, MAX_JOB_ID)


def check_max_job_size(value: object) -> int | None:
    """Return a limit for bodies in bytes, None for no limit."""
    return None if value is None else check_integer("max_job_size", value, 0, math.inf)


def check_seconds(what: str, value: object, most: int = MAX_SECONDS) -> float:
    """Return a duration in seconds, from 0 to ``most``, fractions allowed."""
    return _check_range(what, value, 0, most, " seconds")


def check_duration(what: str, value: object) -> float:
    """Return a delay or a time to run; warn if it looks like a time of day."""
    seconds = check_seconds(what, value)
    if seconds > LONGEST_USUAL:
        warn(
            f"{what} is a duration in seconds, and this one has more than 10 years: "
            "it looks like a time of day"
        )
    return seconds


def check_expires(value: object) -> float | None:
    """Return for how many seconds a job may be ready, None for ever; never 0.

    0 stands for "no limit" in one place, and for "at once" in another.
    """
    if value is None:
        return None
    seconds = check_duration("expires", value)
    if not seconds:
        message = "expires is more than 0 seconds, or None for ever"
        raise ValueError(message)
    return seconds


def check_timeout(value: object) -> float | None:
    """Return a timeout in seconds, None for no end."""
    return None if value is None else check_seconds("timeout", value, MAX_TIMEOUT)


def check_tube_name(value: object) -> str:
    """Return a tube's name, or raise `BadTubeNameError`."""
    if not isinstance(value, str):
        message = f"a tube's name is a str, not {type(value).__name__}"
        if isinstance(value, (list, tuple, set, frozenset)):
            message += ": name several tubes one by one, as in consumer(*tubes)"
        raise TypeError(message)
    if not is_tube_name(value):
        raise BadTubeNameError(value)
    return value


def check_key(value: object) -> str:
    """Return a key, which is a str and not empty, as a plain one.

    A subclass may compare by code of its own, which must not run behind the lock.
    """
    if not isinstance(value, str):
        message = f"key is a str, not {type(value).__name__}"
        raise TypeError(message)
    if not value:
        message = "key is not empty"
        raise ValueError(message)
    return str.__str__(value)


def check_on_duplicate(value: object) -> str:
    """Return what is done where a key is in use."""
    if not isinstance(value, str):
        message = f"on_duplicate is a str, not {type(value).__name__}"
        raise TypeError(message)
    for word in (RAISE, KEEP, REPLACE):
        if str.__eq__(value, word):
            return word
    message = f"on_duplicate is one of raise, keep, replace, not {value!r}"
    raise ValueError(message)


def check_states(value: object, known: tuple[JobState, ...]) -> tuple[JobState, ...]:
    """Return the state of this name in a tuple, or all that are known for None."""
    if value is None:
        return known
    if not isinstance(value, (JobState, str)):
        message = f"state is a JobState or a str, not {type(value).__name__}"
        raise TypeError(message)
    word = value.value if isinstance(value, JobState) else value
    for state in known:
        if state.value == word:
            return (state,)
    names = ", ".join(state.value for state in known)
    message = f"state is one of {names}, not {word!r}"
    raise ValueError(message)


def check_bodies(value: Iterable[T]) -> list[T]:
    """Return the bodies of several jobs, which is no text and no dict."""
    if isinstance(value, (list, tuple)):
        return list(value)
    if isinstance(value, (str, bytes, bytearray, memoryview, Mapping)):
        message = (
            f"bodies is an iterable of bodies, not a {type(value).__name__}, "
            "each part of which would be a job: put it in a list, or use put"
        )
        raise TypeError(message)
    try:
        bodies = iter(value)
    except TypeError:
        message = f"bodies is an iterable of bodies, not {type(value).__name__}"
        raise TypeError(message) from None
    return list(bodies)


def check_function(what: str, value: object) -> None:
    """Raise unless this can be called."""
    if not callable(value):
        message = f"{what} is a function, not {type(value).__name__}"
        raise TypeError(message)


# The bodies of which no item takes more than four bytes. A memoryview has a size,
# too; any other object has none.
OCTETS = (str, bytes, bytearray)


def size_beyond(body: str | bytes | bytearray | memoryview, limit: int) -> int | None:
    """Return the size of a body in bytes (UTF-8) if it is over the limit, else None.

    The callers ask only where four bytes for a character would be too many.

    Cost: O(1), but O(n) for a str.
    """
    if isinstance(body, str):
        size = len(body.encode("utf-8", "surrogatepass"))
    elif isinstance(body, memoryview):
        size = body.nbytes
    else:
        size = len(body)
    return size if size > limit else None


def first_size_beyond(bodies: Iterable[Any], limit: int) -> int | None:
    """Return the size of the first of the bodies that is over the limit, else None.

    Cost: that of `size_beyond` for each.
    """
    for body in bodies:
        if (
            4 * len(body) > limit
            if isinstance(body, OCTETS)
            else isinstance(body, memoryview)
        ) and (size := size_beyond(body, limit)) is not None:
            return size
    return None
