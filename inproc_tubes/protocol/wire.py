"""The words of beanstalkd's protocol: replies, numbers as commands spell them, YAML.

Each parser takes what follows a command's word in its line, and returns the command's
arguments. It is as lenient as the server is: a number may have spaces and zeros before
it, ``kick`` and (in 1.12) ``reserve-with-timeout`` read theirs as C does.

Function names in comments are those of beanstalkd's ``prot.c``.
"""

from __future__ import annotations

import re
from math import inf
from typing import TYPE_CHECKING

from inproc_tubes.core.limits import (
    MAX_PRIORITY,
    MAX_SECONDS,
    MAX_TIMEOUT,
    is_tube_name,
)
from inproc_tubes.errors import (
    DeadlineSoonError,
    DrainingError,
    JobTooBigError,
    NotFoundError,
    NotIgnoredError,
    TimedOutError,
    TubeFullError,
    TubesError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from inproc_tubes.core.record import AnyJob

__all__ = [
    "MAX_JOB_SIZE",
    "MAX_LINE",
    "BadFormatError",
    "anything",
    "bytes_of",
    "job",
    "job_id",
    "job_id_priority",
    "job_id_priority_delay",
    "kick_bound",
    "names",
    "nothing",
    "pause",
    "put_numbers",
    "refusal",
    "timeout_112",
    "timeout_113",
    "tube_name",
    "yaml",
]

# beanstalkd's LINE_BUF_SIZE (dat.h): a command's line with its CRLF.
MAX_LINE = 224
# beanstalkd's JOB_DATA_SIZE_LIMIT_MAX (dat.h): the option -z goes no further.
MAX_JOB_SIZE = 2**30

_MAX_ID = 2**64 - 1
_MAX_SIZE = 2**32 - 1

# Possessive, so that one run of digits is never taken for two numbers.
_NUMBER = re.compile(rb" *([0-9]++)")
# What C's strtol and strtoul accept.
_C_NUMBER = re.compile(rb"[ \t\n\v\f\r]*([+-]?)([0-9]++)")
_PAUSE = re.compile(rb" *([A-Za-z0-9\-+/;.$_()]++)")

_REFUSALS: tuple[tuple[type[TubesError], bytes], ...] = (
    (NotFoundError, b"NOT_FOUND\r\n"),
    (NotIgnoredError, b"NOT_IGNORED\r\n"),
    (TimedOutError, b"TIMED_OUT\r\n"),
    (DeadlineSoonError, b"DEADLINE_SOON\r\n"),
    (JobTooBigError, b"JOB_TOO_BIG\r\n"),
    (DrainingError, b"DRAINING\r\n"),
    (TubeFullError, b"OUT_OF_MEMORY\r\n"),
)


class BadFormatError(Exception):
    """A command's line is none of beanstalkd's: BAD_FORMAT.

    Attributes:
        counted: Which counter of `CommandCounts` moves nevertheless, None for none.
    """

    def __init__(self, counted: str | None = None) -> None:
        super().__init__(counted)
        self.counted = counted


# Arguments


def anything(_rest: bytes) -> tuple[()]:
    """Ignore what follows."""
    return ()


def nothing(rest: bytes) -> tuple[()]:
    """Refuse what follows."""
    if rest:
        raise BadFormatError
    return ()


def _read_numbers(rest: bytes, limits: Iterable[int]) -> tuple[list[int], bytes]:
    """Read as many numbers as there are limits (read_u64, read_u32)."""
    values = []
    for limit in limits:
        match = _NUMBER.match(rest)
        if match is None or int(match[1]) > limit:
            raise BadFormatError
        values.append(int(match[1]))
        rest = rest[match.end() :]
    return values, rest


def numbers(*limits: int) -> Callable[[bytes], tuple[int, ...]]:
    """Make a parser for so many numbers up to these limits, and nothing else."""

    def parse(rest: bytes) -> tuple[int, ...]:
        values, rest = _read_numbers(rest, limits)
        nothing(rest)
        return tuple(values)

    return parse


job_id: Callable[[bytes], tuple[int, ...]] = numbers(_MAX_ID)
job_id_priority: Callable[[bytes], tuple[int, ...]] = numbers(_MAX_ID, MAX_PRIORITY)
job_id_priority_delay: Callable[[bytes], tuple[int, ...]] = numbers(
    _MAX_ID, MAX_PRIORITY, MAX_SECONDS
)


def put_numbers(rest: bytes) -> tuple[int, int, int, int, bytes]:
    """Return priority, delay, ttr and size, and what follows them: see OP_PUT."""
    limits = (MAX_PRIORITY, MAX_SECONDS, MAX_SECONDS, _MAX_SIZE)
    (priority, delay, ttr, size), rest = _read_numbers(rest, limits)
    return priority, delay, ttr, size, rest


def tube_name(rest: bytes) -> tuple[str]:
    """Return a tube's name (is_valid_tube)."""
    name = rest.decode("latin-1")
    if not is_tube_name(name):
        raise BadFormatError
    return (name,)


def pause(rest: bytes) -> tuple[str, int]:
    """Return a tube's name and a delay; a name of wrong form is counted."""
    match = _PAUSE.match(rest)
    if match is None:
        raise BadFormatError
    (delay,) = numbers(MAX_SECONDS)(rest[match.end() :])
    try:
        (name,) = tube_name(match[1])
    except BadFormatError:
        raise BadFormatError(counted="pause_tube") from None
    return name, delay


def _c_number(match: re.Match[bytes]) -> int:
    return -int(match[2]) if match[1] == b"-" else int(match[2])


def kick_bound(rest: bytes) -> tuple[int]:
    """Return how many to kick: what strtoul leaves in 32 bits, garbage behind it."""
    match = _C_NUMBER.match(rest)
    if match is None or int(match[2]) > _MAX_ID:
        raise BadFormatError
    return (_c_number(match) % 2**32,)


def timeout_112(rest: bytes) -> tuple[float]:
    """Return a timeout: what strtol leaves in an int, and no end if it is negative."""
    match = _C_NUMBER.match(rest)
    value = 0 if match is None else _c_number(match)
    if not -(2**63) <= value < 2**63:
        raise BadFormatError
    value %= 2**32
    return (value if value <= MAX_TIMEOUT else inf,)


def timeout_113(rest: bytes) -> tuple[float]:
    """Return a timeout, whatever follows it."""
    (value,), _ = _read_numbers(rest, [MAX_TIMEOUT])
    return (value,)


# Replies


def refusal(error: TubesError) -> bytes:
    """Return the reply that says this."""
    return next(reply for kind, reply in _REFUSALS if isinstance(error, kind))


def bytes_of(body: object) -> bytes:
    """Return a body as the wire carries it: text as UTF-8, objects as their text."""
    if isinstance(body, (bytes, bytearray, memoryview)):
        return bytes(body)
    return str(body).encode("utf-8", "surrogatepass")


def job(word: bytes, found: AnyJob) -> bytes:
    """Return RESERVED or FOUND, with a job."""
    body = bytes_of(found._body)
    return b"%b %d %d\r\n%b\r\n" % (word, found._id, len(body), body)


def _ok(text: str) -> bytes:
    data = text.encode()
    return b"OK %d\r\n%b\r\n" % (len(data), data)


def yaml(fields: Mapping[str, object], quoted: Iterable[str]) -> bytes:
    """Return statistics; times in whole seconds, ``quoted`` fields in quotes."""
    lines = ["---\n"]
    for key, value in fields.items():
        lines.append(f'{key}: "{value}"\n' if key in quoted else f"{key}: {value}\n")
    return _ok("".join(lines))


def names(tubes: Iterable[str]) -> bytes:
    """Return a list of names."""
    return _ok("---\n" + "".join(f"- {name}\n" for name in tubes))
