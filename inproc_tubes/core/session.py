"""A client of the engine: what beanstalkd calls a connection."""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from math import inf
from typing import TYPE_CHECKING, Final

from .heaps import take_due
from .tube import TubeList

if TYPE_CHECKING:
    from .job import JobHolder
    from .limits import JobId
    from .record import AnyJob
    from .tube import Tube
    from .watch_set import WatchSet

__all__ = ["SWEEP_FLOOR", "HeldJobs", "Session"]

# Fewer void deadlines than this are never swept: a sweep would cost more than they do.
SWEEP_FLOOR: Final = 64


class HeldJobs:
    """The jobs that a session holds, and which of them expires first.

    Strategy
        Most jobs are gone before anybody asks which expires first. So a reservation only
        enters the dict ``recent``. When somebody asks, the jobs in it get their numbers
        and their places in a heap of deadlines, and ``recent`` is empty again. There
        are two: those that the session was told of, by DEADLINE_SOON, stand apart.

    ``recent`` is never replaced: the session has it at hand.
    """

    __slots__ = ("_deadlines", "_number", "_timed", "_told", "recent")

    def __init__(self) -> None:
        self.recent: dict[int, AnyJob] = {}  # {id: job}, in the order of reserving
        # {id: (number, job)}: the others. The numbers are in the order of reserving.
        self._timed: dict[int, tuple[int, AnyJob]] = {}
        self._number = 0  # the last one given
        # Heaps of (due_at, number, id). Void ones stay until they are at the head, or
        # are swept. Where a job belongs, its `History.told_of` says.
        self._deadlines: list[tuple[float, int, int]] = []
        self._told: list[tuple[float, int, int]] = []

    def __len__(self) -> int:
        return len(self.recent) + len(self._timed)

    def get(self, job_id: JobId) -> AnyJob | None:
        """Return the held job of that id, if any. Cost: O(1)."""
        job = self.recent.get(job_id)
        if job is None and job_id in self._timed:
            job = self._timed[job_id][1]
        return job

    def remove(self, job_id: JobId) -> None:
        """Hold this job no longer. Cost: O(1)."""
        if job_id in self.recent:
            del self.recent[job_id]
        else:
            del self._timed[job_id]

    def replace(self, job: AnyJob) -> None:
        """Hold another object for a job that is held. Cost: O(1)."""
        if job._id in self.recent:
            self.recent[job._id] = job
        else:
            self._timed[job._id] = (self._timed[job._id][0], job)

    def in_sequence(self) -> list[AnyJob]:
        """Return the held jobs in the order of reserving. Cost: O(n log n)."""
        return [job for _, job in sorted(self._timed.values(), key=_number_of)] + list(
            self.recent.values()
        )

    def postpone(self, job: AnyJob) -> None:
        """Note that this job now expires later. Cost: O(log n)."""
        if job._id in self._timed:
            number, _ = self._timed[job._id]
            heappush(self._deadlines, (job._due_at, number, job._id))
            self._sweep()

    def soonest(self) -> AnyJob | None:
        """Return the job that expires first; of several, the first one reserved.

        Cost: O(1), amortised over O(log n) for each reservation that it sees.
        """
        job = self.soonest_untold()
        told = self._first(self._told)
        if job is None or (
            told is not None
            and (told._due_at, self._order_of(told))
            < (job._due_at, self._order_of(job))
        ):
            return told
        return job

    def soonest_untold(self) -> AnyJob | None:
        """Return the job that expires first of those that nobody was told of.

        Cost: as `soonest`.
        """
        self._time_recent()
        return self._first(self._deadlines)

    def tell(self, job: AnyJob) -> None:
        """Note that the session was told of the end of this reservation.

        A touch gives it another end. Cost: O(log n).
        """
        self._time_recent()
        job._own_history().told_of = job._due_at
        heappush(self._told, (job._due_at, self._order_of(job), job._id))
        self._sweep()

    def _first(self, heap: list[tuple[float, int, int]]) -> AnyJob | None:
        """Return the job whose deadline is at the head of a heap; drop void ones."""
        while heap:
            job = self._job_of(heap[0])
            if job is not None and self._heap_of(job) is heap:
                return job
            heappop(heap)
        return None

    def _heap_of(self, job: AnyJob) -> list[tuple[float, int, int]]:
        was_told = job._history.told_of == job._due_at
        return self._told if was_told else self._deadlines

    def _order_of(self, job: AnyJob) -> int:
        return self._timed[job._id][0]

    def take_due(self, moment: float) -> list[AnyJob]:
        """Return the jobs that expire by then, the soonest first.

        The caller removes all of them. Cost: O(log n) for each, and at most O(n).
        """
        self._time_recent()
        jobs: dict[AnyJob, None] = {}  # one that was touched may have two deadlines
        due = take_due(self._deadlines, moment) + take_due(self._told, moment)
        for deadline in sorted(due):
            job = self._job_of(deadline)
            if job is not None:
                jobs[job] = None
        return list(jobs)

    def _time_recent(self) -> None:
        """Give the jobs in ``recent`` their numbers and deadlines."""
        if self.recent:
            for job_id, job in self.recent.items():
                self._number += 1
                self._timed[job_id] = self._number, job
                heap = self._heap_of(job)
                heappush(heap, (job._due_at, self._number, job_id))
            self.recent.clear()
            self._sweep()

    def _job_of(self, deadline: tuple[float, int, int]) -> AnyJob | None:
        """Return the job whose deadline this is, None where it is void."""
        due_at, number, job_id = deadline
        entry = self._timed.get(job_id)
        if entry is not None and entry[0] == number and entry[1]._due_at == due_at:
            return entry[1]
        return None

    def rebuild(self, jobs: list[AnyJob]) -> None:
        """Contain exactly these jobs, in the order of reserving. Cost: O(n)."""
        self._timed.clear()
        self._deadlines.clear()
        self._told.clear()
        self.recent.clear()
        self.recent.update((job._id, job) for job in jobs)

    def _sweep(self) -> None:
        """Drop the void deadlines once they outnumber the others."""
        for heap in (self._deadlines, self._told):
            if len(heap) > 2 * len(self._timed) + SWEEP_FLOOR:
                heap[:] = [
                    (job._due_at, number, job_id)
                    for job_id, (number, job) in self._timed.items()
                    if self._heap_of(job) is heap
                ]
                heapify(heap)

    def _check(self) -> None:
        for heap in (self._deadlines, self._told):
            assert all(heap[(i - 1) // 2] <= heap[i] for i in range(1, len(heap)))
        assert not self.recent.keys() & self._timed.keys()
        for job_id, (number, job) in self._timed.items():
            assert job._id == job_id
            assert number <= self._number
            assert (job._due_at, number, job_id) in self._heap_of(job)
        assert all(job._id == job_id for job_id, job in self.recent.items())


def _number_of(entry: tuple[int, AnyJob]) -> int:
    return entry[0]


class Session:
    """The tube it uses, those it watches, the jobs it holds, and who waits for it.

    The engine alone changes it. A handle owns one, and so does a connection over the
    protocol.
    """

    __slots__ = (
        "closed",
        "cmd_reserve",
        "cmd_reserve_with_timeout",
        "held",
        "holder",
        "incoming",
        "is_abandoned",
        "is_consumer",
        "is_producer",
        "is_worker",
        "name",
        "only",
        "planned_at",
        "puts",
        "recent",
        "stopped",
        "stops",
        "tickets",
        "used",
        "watch_set",
        "watched",
    )

    __deletable__: Final = ("holder",)  # for the compiler

    holder: JobHolder
    """What a job that it reserves calls. Set by who opens the session."""

    def __init__(self) -> None:
        # It reserves: it belongs to a consumer, or to a connection.
        self.is_consumer: bool = False
        self.used: Tube | None = None
        self.watched: TubeList = TubeList()
        # Where it looks for a job, and waits for one: the watched tube if there is just
        # one, else a watch set, which is made when it is first needed.
        self.only: Tube | None = None
        self.watch_set: WatchSet[Tube] | None = None
        self.held: HeldJobs = HeldJobs()
        self.recent: dict[int, AnyJob] = (
            self.held.recent
        )  # the same dict, one step nearer
        # The job whose body is still to come, over the wire.
        self.incoming: AnyJob | None = None
        self.tickets: dict[int, None] = {}  # of its reserves that wait
        self.puts: dict[int, None] = {}  # of its puts that wait
        self.planned_at: float = inf  # when the engine looks at it, at the latest
        self.cmd_reserve: int = 0
        self.cmd_reserve_with_timeout: int = 0
        self.is_producer: bool = False  # has ever put
        self.is_worker: bool = False  # has reserved otherwise than the counters tell
        self.is_abandoned: bool = False  # is no client, and still holds jobs
        self.name: str = ""  # of the handle, to be shown
        # A handle: it stops with the broker, and is told once of each end of a
        # reservation. The wire knows no stop, and tells as often as one asks.
        self.stops: bool = True
        self.stopped: str | None = None  # what was stopped, once it reserves no more
        self.closed: str | None = None  # what was closed, once it is
