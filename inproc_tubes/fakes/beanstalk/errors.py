"""pybeanstalk's exceptions.

FailureError
    JobError            the job is somebody else's
BeanStalkError
    ProtoError          client and server do not understand each other
        BadFormat, UnknownCommand, ExpectedCrlf, JobTooBig, NotFound, NotIgnored,
        DeadlineSoon, UnexpectedResponse
    ServerError         the server is in trouble
        OutOfMemory, InternalError, Draining
    NotConnected

They carry a text in ``args`` and nothing else, as they did.
"""
# ruff: noqa: N818 # the names are pybeanstalk's

from __future__ import annotations

__all__ = [
    "BadFormat",
    "BeanStalkError",
    "DeadlineSoon",
    "Draining",
    "ExpectedCrlf",
    "FailureError",
    "InternalError",
    "JobError",
    "JobTooBig",
    "NotConnected",
    "NotFound",
    "NotIgnored",
    "OutOfMemory",
    "ProtoError",
    "ServerError",
    "UnexpectedResponse",
    "UnknownCommand",
    "checkError",
]


class FailureError(Exception):
    """What the library itself refuses."""


class JobError(FailureError):
    """An immutable job was asked to change; reserve it first."""


class BeanStalkError(Exception):
    """What goes wrong between client and server."""


class ProtoError(BeanStalkError):
    """The server refused a command; without a text: it could not be sent."""


class BadFormat(ProtoError):
    """A number is negative or too large, or a tube's name is illegal."""


class UnknownCommand(ProtoError):
    """The server does not know the command; likely a body was read as one."""


class ExpectedCrlf(ProtoError):
    """A body is not as long as was said."""


class JobTooBig(ProtoError):
    """The body is as large as the largest that is allowed, or larger."""


class NotFound(ProtoError):
    """There is no such job, or it is not reserved here."""


class NotIgnored(ProtoError):
    """The last tube on the watch list stays there."""


class DeadlineSoon(ProtoError):
    """A job reserved here expires within a second: finish it first."""


class UnexpectedResponse(ProtoError):
    """The reply answers another command: the connection is out of step."""


class ServerError(BeanStalkError):
    """The server cannot, though the command was right."""


class OutOfMemory(ServerError):
    """The server has no memory left."""


class InternalError(ServerError):
    """The server has a bug."""


class Draining(ServerError):
    """The server takes no more jobs; put them elsewhere."""


class NotConnected(BeanStalkError):
    """There is no connection."""


_BY_WORD: dict[str, type[BeanStalkError]] = {
    "BAD_FORMAT": BadFormat,
    "DEADLINE_SOON": DeadlineSoon,
    "DRAINING": Draining,
    "EXPECTED_CRLF": ExpectedCrlf,
    "INTERNAL_ERROR": InternalError,
    "JOB_TOO_BIG": JobTooBig,
    "NOT_FOUND": NotFound,
    "NOT_IGNORED": NotIgnored,
    "OUT_OF_MEMORY": OutOfMemory,
    "UNKNOWN_COMMAND": UnknownCommand,
}


def checkError(linestr: str) -> None:  # noqa: N802 # pybeanstalk's name
    """Raise what an error word of the server's stands for; other lines are fine."""
    error = _BY_WORD.get(linestr)
    if error is not None:
        message = f"Server returned: {linestr}"
        raise error(message)
