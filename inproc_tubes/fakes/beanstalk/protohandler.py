"""What pybeanstalk checks before it sends, and how it reads replies."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from . import errors

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["MAX_JOB_SIZE", "Reply", "check_name", "load_yaml", "read_reply"]

MAX_JOB_SIZE = 65535
"""The last connected server's; bodies must be smaller, on all connections."""

_NAME = re.compile(r"^[a-zA-Z0-9+\(\)/;.$_][a-zA-Z0-9+\(\)/;.$_-]{0,199}$")

# pybeanstalk reads by as much until it has a line, and forgets what is behind the
# reply. A connection that is out of step is so in its particular way because of it.
_PIECE = 10

_NUMBER = re.compile(r"[-+]?[0-9]+")

# The scalars of YAML 1.1, as far as beanstalkd can write them.
_CONSTANTS: dict[str, bool | None] = {
    form: value
    for words, value in (
        (("yes", "true", "on"), True),
        (("no", "false", "off"), False),
        (("null", "~", ""), None),
    )
    for word in words
    for form in (word, word.capitalize(), word.upper())
}
_INTEGERS = (
    (re.compile(r"[-+]?(0|[1-9][0-9_]*)"), 10),
    (re.compile(r"[-+]?0[0-7_]+"), 8),
    (re.compile(r"[-+]?0x_*[0-9a-fA-F][0-9a-fA-F_]*"), 16),
    (re.compile(r"[-+]?0b_*[01][01_]*"), 2),
)
_FLOAT = re.compile(r"[-+]?([0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*)([eE][-+][0-9]+)?")


class Reply(NamedTuple):
    """What is behind one word of the server's."""

    state: str
    fields: tuple[str, ...] = ()
    parse: Callable[[str], Any] | None = None
    """How to read the body; None if there is none."""


def check_name(name: str) -> None:
    """Raise `errors.BadFormat` if no tube can have this name."""
    if not _NAME.match(name):
        message = "Illegal name"
        raise errors.BadFormat(message)


def read_reply(
    read: Callable[[int], str], replies: Mapping[str, Reply]
) -> dict[str, Any]:
    """Read a reply, and return it as pybeanstalk's dict, in Python 2.7's order.

    Args:
        read: Returns at least one character and at most so many.
        replies: By their first words, those that are no errors.

    Raises:
        BeanStalkError: What the server has answered, or that it answered something
            else.
    """
    received = ""
    while "\r\n" not in received:
        received += read(_PIECE)
    line, _, body = received.partition("\r\n")
    errors.checkError(line)
    word, *values = line.split(" ")
    expected = replies.get(word)
    if expected is None or len(values) != len(expected.fields):
        message = f"Response was: {word} {' '.join(values)}"
        raise errors.UnexpectedResponse(message)
    state, fields, parse = expected
    reply: dict[str, Any] = dict(zip(fields, map(_intit, values), strict=True))
    if parse is None:
        return {**reply, "state": state}
    size = reply["bytes"] + 2
    while len(body) < size:
        body += read(size - len(body))
    if len(body) > size or not body.endswith("\r\n"):
        message = "Data not properly sent from server"
        raise errors.ExpectedCrlf(message)
    data = parse(body[:-2])
    if "jid" in reply:
        return {"data": data, **reply, "state": state}
    return {"data": data, "state": state, **reply}


def load_yaml(text: str) -> Any:
    """Read a list or a dict as beanstalkd writes them.

    Plain words become what YAML 1.1 says, a tube's name of digits too.
    """
    _, *lines = text.splitlines()
    if lines[0].startswith("- "):
        return [_scalar(line.removeprefix("- ")) for line in lines]
    pairs = (line.partition(": ") for line in lines)
    return {key: _scalar(value) for key, _, value in pairs}


def _scalar(text: str) -> Any:
    if text.startswith('"'):
        return text[1:-1]
    if text.startswith("#"):  # a comment, with nothing before it
        return None
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    for pattern, base in _INTEGERS:
        if pattern.fullmatch(text):
            return int(text.replace("_", ""), base)
    if _FLOAT.fullmatch(text):
        return float(text.replace("_", ""))
    return text


def _intit(text: str) -> int | str:
    return int(text) if _NUMBER.fullmatch(text) else text
