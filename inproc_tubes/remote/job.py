"""A job on a beanstalkd, as its user has it."""

from __future__ import annotations

import reprlib
from typing import TYPE_CHECKING

from inproc_tubes.core.failure import JobError
from inproc_tubes.core.job import Job, T
from inproc_tubes.core.record import NO_HISTORY, JobState
from inproc_tubes.verbs import adopt_verbs

from .connection import ReservationState

if TYPE_CHECKING:
    from inproc_tubes.core.failure import Failure
    from inproc_tubes.core.job import JobHolder
    from inproc_tubes.core.statistics import JobStats

    from .reservation import Reservation

__all__ = ["RemoteJob", "new_job"]


class RemoteJob(Job[T]):
    """A `Job` on a beanstalkd. All but its id and body is asked for when needed.

    With a job the server sends only these two. So the first look at its tube, priority,
    ``ttr`` or counts costs a round trip (``stats-job``), and raises what that may
    raise: `NotFoundError` if the job was deleted. Further looks cost nothing, and show
    the job as it was at the first one; `stats` asks again.

    `error` is the exception that was given to this handle; the server does not keep it.
    There is no `context`.
    """

    __slots__ = ("_reservation",)

    _reservation: Reservation

    @property
    def tube(self) -> str:
        """The name of its tube."""
        return self._known.tube

    @property
    def priority(self) -> int:
        """Its priority: the lower, the more urgent."""
        return self._known.priority

    @property
    def delay(self) -> float:
        """The delay in seconds with which it was last put or released."""
        return self._known.delay

    @property
    def ttr(self) -> float:
        """Its time to run: how many seconds a reservation lasts."""
        return self._known.ttr

    @property
    def reserves(self) -> int:
        """How often it was reserved."""
        return self._known.reserves

    @property
    def timeouts(self) -> int:
        """How often a reservation of it has expired."""
        return self._known.timeouts

    @property
    def releases(self) -> int:
        """How often it was released."""
        return self._known.releases

    @property
    def buries(self) -> int:
        """How often it was buried."""
        return self._known.buries

    @property
    def kicks(self) -> int:
        """How often it was kicked."""
        return self._known.kicks

    @property
    def holder(self) -> str | None:
        """The name of the consumer of this process that holds it; None if none does.

        The server does not tell who else holds it.
        """
        held = self._reservation.state is ReservationState.HELD
        return self._holder._name if held else None

    @property
    def _known(self) -> JobStats:
        return self._reservation.stats or self._holder._stats_job(self)

    def _note_failure(self, failure: Failure, now: float) -> None:
        """Keep what it was given up for."""
        known = self._known
        error = JobError(*failure, known.tube, known.reserves, now)
        self._own_history().error = error

    def __repr__(self) -> str:
        stats = self._reservation.stats
        where = "" if stats is None else f" in {stats.tube!r}"
        state = self._reservation.state.value
        return f"<Job {self._id}{where}, {state}: {reprlib.repr(self._body)}>"


adopt_verbs(RemoteJob)


def new_job(reservation: Reservation, body: T, holder: JobHolder) -> RemoteJob[T]:
    """Return the handle of a job that was reserved, or looked at."""
    job: RemoteJob[T] = RemoteJob.__new__(RemoteJob)
    job._id = reservation.id
    job._body = body
    job._holder = holder
    job._history = NO_HISTORY
    job._state = JobState.RESERVED
    job._reservation = reservation
    return job
