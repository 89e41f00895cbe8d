"""A failure: what is kept of the exception that a job was given up for.

It is all text. The exception itself would keep alive the frames that it went through,
and all that is in them.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["TRIES", "Failure", "JobError", "tries_error"]

TRIES = "tries"
"""The type of the error of a job that was reserved too often: see `tries_error`."""

_SHOWN = 72  # characters of an error in the repr of its job: most of them fit


class Failure(NamedTuple):
    """An exception as text, see `JobError`."""

    type: str
    text: str
    traceback: str


class JobError(NamedTuple):
    """What a job failed with: `Job.error`."""

    type: str
    """The name of the exception's class, with its module if that is not builtins.

    "tries" where the job was buried by `Broker.limit_tries`.
    """
    text: str
    """What ``str`` makes of the exception."""
    traceback: str
    """What the interpreter prints of an exception that nobody catches."""
    tube: str
    """The tube that the job was in."""
    attempt: int
    """Which try it was: how often the job had been reserved, 1 for the first time."""
    failed_at: float
    """When the job was released or buried, by the clock of the broker."""

    @property
    def headline(self) -> str:
        """The exception in one short line."""
        line = " ".join(f"{self.type}: {self.text}".split()).removesuffix(":")
        return line if len(line) <= _SHOWN else f"{line[: _SHOWN - 3]}..."


def tries_error(tries: int, tube: str, now: float, last: JobError | None) -> JobError:
    """Return the error of a job that is buried after so many tries.

    It keeps what the job failed with before, if anybody told. Cost: O(1).
    """
    text = "reserved once" if tries == 1 else f"reserved {tries} times"
    traceback = ""
    if last is not None:
        traceback = last.traceback
        # One that was kicked after this, and failed once more, has such an error already.
        if last.type != TRIES:
            text += f"; it failed last with {last.headline}"
    return JobError(TRIES, text, traceback, tube, tries, now)
