"""The store: which jobs and tubes there are, and in which index each job is.

A job that is READY, DELAYED or BURIED is in the index of that state in its tube, and a
RESERVED one is held by a session. The store moves jobs into their indexes and out of
them, and keeps the books of the tubes. It decides nothing.
"""

from __future__ import annotations

from itertools import count
from math import inf
from typing import TYPE_CHECKING, Final

from .gone import Gone
from .job import PeekedJob
from .keys import Keys
from .making import renewed
from .promises import Promises
from .record import JobState
from .tube import Tube, TubeList

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Iterable, Iterator

    from .limits import JobId
    from .record import AnyJob

__all__ = ["Store"]

_READY: Final = JobState.READY
_RESERVED: Final = JobState.RESERVED
_DELAYED: Final = JobState.DELAYED
_BURIED: Final = JobState.BURIED
_GONE: Final = JobState.GONE
_next: Final = next


class Store:
    """All jobs and tubes of one engine.

    Attributes:
        jobs: {id: job}. A job exists while it is in here.
        tubes: {name: tube}.
        tube_list: The same tubes in beanstalkd's order.
        keys: The keys of unique jobs.
        ids: The ids of jobs that are still to come.
        gone: How jobs have ended that were not simply deleted.
        promises: What is promised to who has submitted a job.
    """

    __slots__ = (
        "_burials",
        "_of_dead_tubes",
        "draining",
        "gone",
        "ids",
        "jobs",
        "keys",
        "promises",
        "recorded",
        "tube_list",
        "tubes",
    )

    def __init__(self, after: deque[object]) -> None:
        self.jobs: dict[int, AnyJob] = {}
        self.promises: Promises = Promises(after)
        self.tubes: dict[str, Tube] = {}
        self.tube_list: TubeList = TubeList()
        self.keys: Keys = Keys(self.jobs)
        self.ids: Iterator[JobId] = count(1)
        self.gone: Gone = Gone()
        # How many jobs were put into tubes that are gone, and how many were deleted.
        # One tuple, so that the two always agree.
        self._of_dead_tubes = 0, 0
        self.draining: bool = False  # whether puts are refused
        self.recorded: bool = False  # whether events are
        self._burials = 0

    @property
    def next_id(self) -> int:
        """The id of the next job. Cost: O(1)."""
        # A counter has no other way to tell; this one is asked only after a mistake.
        return int(repr(self.ids).removeprefix("count(").removesuffix(")"))

    def tube(self, name: str) -> Tube:
        """Return the tube of that name, made if it is new. Cost: O(1)."""
        tube = self.tubes.get(name)
        if tube is None:
            tube = Tube(name, self.jobs, draining=self.draining, recorded=self.recorded)
            self.tubes[name] = tube
            self.tube_list.append(tube)
        return tube

    def drain(self) -> None:
        """Let every tube refuse puts. Cost: O(number of tubes)."""
        self.draining = True
        for tube in self.tubes.values():
            tube.draining = True
            tube.settle()

    def record(self, *, recorded: bool) -> None:
        """Let events be recorded, or not any more. Cost: O(number of tubes)."""
        self.recorded = recorded
        for tube in self.tubes.values():
            tube.recorded = recorded
            tube.settle()

    def free(self, tube: Tube) -> None:
        """Remove a tube that nothing refers to; its counters and its pause go with it.

        Cost: O(1). Source: tube_dref and tube_free (tube.c).
        """
        jobs, deletes = self._of_dead_tubes
        del self.tubes[tube.name]
        self._of_dead_tubes = jobs + tube.total_jobs, deletes + tube.cmd_delete
        self.tube_list.remove(tube)

    def number(self, jobs: list[AnyJob]) -> list[int]:
        """Give new jobs their ids. Cost: O(1) for each."""
        ids = []
        for job in jobs:
            job._id = job_id = _next(self.ids)
            ids.append(job_id)
        return ids

    def find(self, job_id: JobId, handle: AnyJob | None) -> AnyJob | None:
        """Return the job of that id.

        None if there is none, or if it was reserved since that handle was given out.

        Cost: O(1).
        """
        job = self.jobs.get(job_id)
        if (
            job is None
            or handle is None
            or handle is job
            or (
                isinstance(handle, PeekedJob)
                and handle._original is job
                and handle._reserves == job._reserves
            )
        ):
            return job
        return None

    def leave(self, job: AnyJob) -> None:
        """Take a job that nobody holds out of its index. Cost: O(1) amortised."""
        tube = self.tubes[job._tube]
        if job._state is _READY:
            tube.ready.remove(job)
        elif job._state is _DELAYED:
            tube.delayed.remove(job)
        else:
            del tube.buried[job._id]

    def bury(self, job: AnyJob) -> None:
        """Make a job that is in no index the last of the buried ones. Cost: O(1)."""
        self._burials = job._own_history().burial = self._burials + 1
        job._state = _BURIED
        self.tubes[job._tube].buried[job._id] = job

    def transfer(self, job: AnyJob, tube: Tube) -> None:
        """Let a job that is in no index belong to another tube, and count there.

        Cost: O(1).
        """
        before = self.tubes[job._tube]
        job._tube = tube.name  # from here on it is moved
        before.total_jobs -= 1
        tube.total_jobs += 1
        self.keys.add(job)

    def renew(self, job: AnyJob) -> AnyJob:
        """Go on with a new object for a job, so that its old handles are stale.

        Cost: O(1).
        """
        new: AnyJob = renewed(job)
        self.jobs[job._id] = new
        job._state = _GONE
        return new

    def delete(self, job: AnyJob, *, done: bool = False) -> Tube:
        """End a job that is in no index; return its tube. Cost: O(1).

        Who has submitted it is told whether it is ``done``. All jobs that leave for good
        leave here, but for those that nobody has submitted: see `Engine.delete_held`.
        """
        promise = job._history.promise
        if promise is not None and not done:
            promise.cancelled = True
        del self.jobs[job._id]  # from here on it is deleted
        tube = self.tubes[job._tube]
        tube.cmd_delete += 1
        job._state = _GONE
        if promise is not None:
            self.promises.keep(job._id, promise)
        return tube

    def undo_put(self, job: AnyJob) -> Tube:
        """Let a job that nobody has reserved never have been. Cost: O(1) amortised."""
        tube = self.tubes[job._tube]
        self.leave(job)
        # In this order: see `_settle_counts`.
        tube.total_jobs -= 1
        promise = job._history.promise
        del self.jobs[job._id]
        job._state = _GONE
        if promise is not None:
            promise.cancelled = True
            self.promises.keep(job._id, promise)
        return tube

    def in_state(self, tube: Tube, state: JobState) -> list[AnyJob]:
        """Return the jobs of a tube that nobody holds, as they are served.

        Cost: O(n log n), O(n) for buried ones.
        """
        if state is _READY:
            return tube.ready.in_sequence()
        if state is _DELAYED:
            return tube.delayed.in_sequence()
        return list(tube.buried.values())

    @property
    def total_jobs(self) -> int:
        """How many jobs were ever put. Cost: O(number of tubes)."""
        return self._of_dead_tubes[0] + sum(t.total_jobs for t in self.tubes.values())

    @property
    def total_deletes(self) -> int:
        """How many jobs were ever deleted. Cost: O(number of tubes)."""
        return self._of_dead_tubes[1] + sum(
            tube.cmd_delete for tube in self.tubes.values()
        )

    # Recovery

    def rebuild(self, held: set[int]) -> None:
        """Make all indexes anew, for jobs of which these ids are held.

        A job that is RESERVED and not held was being reserved or released when a turn
        was broken off: it is ready. Cost: O(n log n).
        """
        self.gone.rebuild(self.jobs)
        groups: dict[str, dict[JobState, list[AnyJob]]] = {
            name: {} for name in self.tubes
        }
        for job in self.jobs.values():
            if job._state is _RESERVED and job._id not in held:
                job._state = _READY
            groups.setdefault(job._tube, {}).setdefault(job._state, []).append(job)
        for name, jobs in groups.items():
            tube = self.tube(name)
            tube.ready.rebuild(jobs.get(_READY, []))
            tube.delayed.rebuild(jobs.get(_DELAYED, []))
            buried = sorted(jobs.get(_BURIED, []), key=lambda job: job._history.burial)
            tube.buried.clear()
            tube.buried.update((job._id, job) for job in buried)
        self._settle_counts(groups)
        self.keys.rebuild(self.jobs.values())
        self.promises.rebuild(self.jobs)
        self.tube_list = TubeList(
            (*(t for t in self.tube_list if t.name in self.tubes), *self.tubes.values())
        )

    def _settle_counts(self, groups: dict[str, dict[JobState, list[AnyJob]]]) -> None:
        """Let the counters of the tubes agree with the jobs in them.

        A put adds its job before it counts it, a delete removes its job before it counts
        that, and a move takes its job to the other tube before it counts it there, and
        here no more. So it is plain what is missing.
        """
        moved = 0
        less: dict[Tube, int] = {}
        for name, jobs in groups.items():
            tube = self.tubes[name]
            invalid = len(jobs.get(JobState.INVALID, []))
            difference = sum(map(len, jobs.values())) - invalid - tube.count
            if difference > 0:
                tube.total_jobs += difference
                moved += difference
            else:
                less[tube] = -difference
        for tube, number in less.items():
            part = min(moved, number)
            moved -= part
            tube.total_jobs -= part
            tube.cmd_delete += number - part

    def _check(self, held: Iterable[AnyJob]) -> None:
        self.gone._check(self.jobs)
        by_id = {job._id: job for job in held}
        self.keys._check()
        self.promises._check(self.jobs)
        # Every job is in a living tube, under its id, and is held if it is reserved.
        for job_id, job in self.jobs.items():
            assert job._id == job_id
            assert job._tube in self.tubes
            assert job._state is not _GONE
            assert not job._history.successor
            runs = job._state is _READY and job._history.life != inf
            assert (job._history.expires_at != inf) == runs
            assert (job._state is _RESERVED) == (by_id.get(job_id) is job)
        assert by_id.keys() <= self.jobs.keys()
        assert list(self.tubes.values()) == sorted(
            self.tube_list, key=list(self.tubes.values()).index
        )
        for place, tube in enumerate(self.tube_list):
            assert self.tube_list.place(tube) == place
            self._check_tube(tube)

    def _check_tube(self, tube: Tube) -> None:
        here: dict[JobState, list[AnyJob]] = {state: [] for state in JobState}
        for job in self.jobs.values():
            if job._tube == tube.name:
                here[job._state].append(job)
        tube.ready._check(here[_READY])
        tube.delayed._check(here[_DELAYED])
        buried = sorted(here[_BURIED], key=lambda job: job._history.burial)
        assert list(tube.buried.items()) == [(job._id, job) for job in buried]
        mortal = [job for job in here[_READY] if job._history.life != inf]
        if tube.lives is not None:
            tube.lives._check(sorted(mortal, key=lambda job: job._id))
        assert tube.lives is not None or not mortal
        assert tube.reserved == len(here[_RESERVED])
        assert tube.referenced
        assert tube.draining == self.draining
        assert tube.recorded == self.recorded
        before = tube.is_plain, tube.leaves_plainly
        tube.settle()
        assert before == (tube.is_plain, tube.leaves_plainly)
