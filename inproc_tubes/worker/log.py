"""What a worker logs: one line for each thing that happens, and never a body unasked.

The name of the logger is "inproc_tubes.worker".
"""

from __future__ import annotations

import logging
import reprlib
import traceback
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from inproc_tubes import Job, TubesError

    from .policy import Backoff

__all__ = ["Log"]

_logger = logging.getLogger("inproc_tubes.worker")

_bodies = reprlib.Repr()
_bodies.maxstring = _bodies.maxother = 200


class Log:
    """Writes the lines of one worker.

    Args:
        worker: What the worker calls itself.
        bodies: Whether a job's line shows its body, shortened.
    """

    def __init__(self, worker: str, *, bodies: bool) -> None:
        self._worker = worker
        self._with_bodies = bodies

    # The worker

    def started(self, with_what: str, tubes: str) -> None:
        """Tell that it reserves jobs now."""
        _logger.info("%s for %s started with %s", self._worker, tubes, with_what)

    def stopping(self, in_hand: int) -> None:
        """Tell that it takes no more jobs, if it has some to finish."""
        if in_hand:
            jobs = "job" if in_hand == 1 else "jobs"
            _logger.info("%s is stopping, %d %s in hand", self._worker, in_hand, jobs)

    def stopped(self) -> None:
        """Tell that nothing is in hand any more."""
        _logger.info("%s stopped", self._worker)

    def crashed(self, error: BaseException) -> None:
        """Tell that an exception ends the worker."""
        _logger.critical(
            "%s ends by %s", self._worker, _headline(error), exc_info=error
        )

    def skipped(self, tube: str, error: TubesError) -> None:
        """Tell that a periodic job could not be put."""
        _logger.warning("the periodic job for %r is left out: %s", tube, error)

    # Its jobs

    def retried(
        self, job: Job, retry: Backoff | None, delay: float, error: Exception
    ) -> None:
        """Tell that a job has failed, and will be tried again."""
        _logger.warning(
            "%s failed (try %s), again in %s s: %s",
            self._name(job),
            _try(job, retry),
            _seconds(delay),
            _headline(error),
        )

    def buried(self, job: Job, retry: Backoff | None, error: Exception) -> None:
        """Tell that a job has failed, and was buried."""
        _logger.error(
            "%s failed (try %s) and is buried: %s",
            self._name(job),
            _try(job, retry),
            _headline(error),
            exc_info=error,
        )

    def not_begun(self, job: Job, error: TubesError) -> None:
        """Tell that a job was lost before its handler began."""
        _logger.warning("job %d was lost before it was begun: %s", job.id, error)

    def failed_late(self, job: Job, error: Exception) -> None:
        """Tell that a handler has failed whose job it had settled, or was taken away."""
        _logger.error(
            "%s was out of its handler's hands, which failed then: %s",
            self._name(job),
            _headline(error),
            exc_info=error,
        )

    def given_back(self, job: Job, error: BaseException) -> None:
        """Tell that a job was interrupted, and is ready again."""
        _logger.info("%s is given back: %s", self._name(job), _headline(error))

    def runs_long(self, job: Job, seconds: float) -> None:
        """Tell that a job is still running, and still touched."""
        name = self._name(job)
        _logger.warning("%s has been running for %s s", name, _seconds(seconds))

    def lost(self, job: Job, seconds: float) -> None:
        """Tell that a job has expired while its handler was running."""
        _logger.warning(
            "%s was lost after %s s: its time to run was over",
            self._name(job),
            _seconds(seconds),
        )

    def cancelled(self, job: Job, seconds: float) -> None:
        """Tell that a job was cancelled while its handler was running."""
        _logger.info("%s was cancelled after %s s", self._name(job), _seconds(seconds))

    def not_settled(self, job: Job, error: TubesError) -> None:
        """Tell that a handler has ended after its job was given back, or has gone."""
        _logger.warning("%s was not settled: %s", self._name(job), error)

    def abandoned(self, job: Job, seconds: float) -> None:
        """Tell that nobody waits any more for a handler that is still running."""
        name = self._name(job)
        _logger.warning("%s is abandoned after %s s", name, _seconds(seconds))

    def _name(self, job: Job) -> str:
        name = f"job {job.id} in {job.tube!r}"
        return (
            f"{name} with body {_bodies.repr(job.body)}" if self._with_bodies else name
        )


def _seconds(seconds: float) -> str:
    return f"{seconds:.2f}".rstrip("0").rstrip(".")


def _try(job: Job, retry: Backoff | None) -> str:
    most = 1 if retry is None else retry.max_tries
    return str(job.reserves) if most is None else f"{job.reserves} of {most}"


def _headline(error: BaseException) -> str:
    """Return the exception in one line, also if its own methods raise."""
    lines = traceback.format_exception_only(error)
    return " ".join("".join(lines).split())
