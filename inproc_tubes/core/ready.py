"""The ready jobs of a tube, in the order in which they are served: (priority, id).

Strategy
    Nearly always a job becomes ready as the youngest of the tube's usual priority, and
    leaves as the oldest. So the jobs of one priority stand in a *lane*, a deque in the
    order of their ids: both ends cost a few nanoseconds. All other jobs stand beside it,
    in `SideLanes`. The next job is the better one of the two heads.

    The lane takes over another priority when it is empty and two jobs of that priority
    come in a row. So a single job of an odd priority does not occupy it.

    A ready job that leaves from the middle (deleted, moved, or reserved by its id) leaves
    its entry behind. An entry is *live* while it names a ready job of the tube and of its
    priority. Dead
    entries are dropped when they come to a head, and all at once when they outnumber the
    live ones.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from .limits import DEFAULT_PRIORITY, URGENT_THRESHOLD
from .record import JobState
from .side_lanes import ID_BITS, ID_MASK, SideLanes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .limits import JobId
    from .record import AnyJob

__all__ = ["SWEEP_FLOOR", "ReadyJobs", "key_of"]

# Fewer dead entries than this are never swept: a sweep would cost more than they do.
SWEEP_FLOOR: Final = 64

_READY: Final = JobState.READY


def key_of(job: AnyJob) -> int:
    """Return the key that sorts ready jobs. Cost: O(1)."""
    return job._priority << ID_BITS | job._id


class ReadyJobs:
    """A lane, and the lanes beside it.

    The engine appends to ``lane`` and takes from it itself where that is allowed:

    - A new job, which is the youngest of all, may be appended if its priority is
      ``lane_priority``.
    - The first job of the lane is the next one to be served if ``in_order`` is true.
    """

    __slots__ = (
        "_dead",
        "_elsewhere",
        "_jobs",
        "_last_priority",
        "_others",
        "_tube",
        "_urgent_elsewhere",
        "in_order",
        "lane",
        "lane_priority",
    )

    def __init__(self, jobs: dict[int, AnyJob], tube: str) -> None:
        self._jobs = jobs  # the engine's, {id: job}
        self._tube = tube
        self.lane: deque[JobId] = deque()  # ids
        self.lane_priority: int = DEFAULT_PRIORITY
        self.in_order: bool = (
            True  # there are no others, and no entry of the lane is dead
        )
        self._others = SideLanes()
        self._dead = 0  # entries in lane and others that are not live
        # What is to be added to the length of the lane to count the ready jobs: the
        # others' entries, less the dead ones of both. And the same for urgent jobs.
        self._elsewhere = 0
        self._urgent_elsewhere = 0
        self._last_priority = DEFAULT_PRIORITY  # of the last job that missed the lane

    def __len__(self) -> int:
        return self.count

    @property
    def count(self) -> int:
        """How many there are. Cost: O(1).

        It is never an error, as `len` would be, where another thread is in the middle of
        a change: then it may be too small, even below 0.
        """
        return len(self.lane) + self._elsewhere

    @property
    def urgent(self) -> int:
        """How many have a priority below 1024. Cost: O(1)."""
        in_lane = len(self.lane) if self.lane_priority < URGENT_THRESHOLD else 0
        return in_lane + self._urgent_elsewhere

    def add(self, job: AnyJob) -> None:
        """Add a job. Cost: O(1) for the youngest in the lane, else O(log n)."""
        lane = self.lane
        priority = job._priority
        if priority != self.lane_priority and not lane:
            if priority == self._last_priority:
                self.lane_priority = priority
            self._last_priority = priority
        if priority == self.lane_priority and (not lane or lane[-1] < job._id):
            lane.append(job._id)
        else:
            self._others.add(priority, job._id)
            self._elsewhere += 1
            if priority < URGENT_THRESHOLD:
                self._urgent_elsewhere += 1
            self.in_order = False

    def add_many(self, jobs: list[AnyJob]) -> None:
        """Add jobs in whatever order.

        Cost: O(1) for each that is in order in the lane, else O(log n) for each.
        """
        if not self.lane and jobs:
            self.lane_priority = jobs[0]._priority
        priority = self.lane_priority
        fits = [job._id for job in jobs if job._priority == priority]
        fits.sort()
        lane = self.lane
        others: list[AnyJob] = []
        if len(fits) != len(jobs):
            others = [job for job in jobs if job._priority != priority]
        if not lane or (fits and lane[-1] < fits[0]):
            lane.extend(fits)
        elif len(fits) > len(lane) >> 3:  # merging costs less than a heap
            self.lane = deque(sorted((*lane, *fits)))
        else:
            others = jobs
        if others:
            for job in others:
                self._count_elsewhere(job._priority, 1)
            self.in_order = False
            self._others.add_many(map(key_of, others), len(others))

    def first(self) -> AnyJob | None:
        """Return the job that is served next, None without any.

        Cost: O(1), amortised over the dead entries that it drops.
        """
        lane = self.lane
        while lane and not self._is_live(self._jobs.get(lane[0]), self.lane_priority):
            lane.popleft()
            self._count_elsewhere(self.lane_priority, 1)
            self._dead -= 1
        heap = self._others.heap
        while heap and not self._is_live(
            self._jobs.get(heap[0] & ID_MASK), heap[0] >> ID_BITS
        ):
            self._others.drop_first()  # and its being dead: the count stays
            self._dead -= 1
        self.in_order = not (heap or self._dead)
        if not heap:
            return self._jobs[lane[0]] if lane else None
        if lane and self.lane_priority << ID_BITS | lane[0] <= heap[0]:
            return self._jobs[lane[0]]
        return self._jobs[heap[0] & ID_MASK]

    @property
    def first_key(self) -> int | None:
        """The key of the job that is served next, None without any. Cost: `first`."""
        job = self.first()
        return None if job is None else key_of(job)

    def pop(self) -> AnyJob | None:
        """Take the job that is served next, None without any. Cost: O(log n)."""
        job = self.first()
        if job is not None:
            if self.lane and self.lane[0] == job._id:
                self.lane.popleft()
            else:
                self._others.drop_first()
                self._elsewhere -= 1
                if job._priority < URGENT_THRESHOLD:
                    self._urgent_elsewhere -= 1
                if not self._others.heap:
                    self.in_order = not self._dead
        return job

    def pop_many(self, count: int) -> list[AnyJob]:
        """Take up to so many jobs, in order. Cost: O(log n) for each."""
        jobs: list[AnyJob] = []
        while len(jobs) < count:
            if self.in_order:
                lane = self.lane
                run = min(count - len(jobs), len(lane))
                jobs += [self._jobs[lane.popleft()] for _ in range(run)]
                break
            # A job that came back has two entries, both live until it changes its state.
            if jobs and self.first() is jobs[-1]:
                self.pop()
                self._count_elsewhere(jobs[-1]._priority, 1)
                self._dead -= 1
            elif (job := self.pop()) is not None:
                jobs.append(job)
            else:
                break
        return jobs

    def remove(self, job: AnyJob) -> None:
        """Take a job from the middle. Cost: O(1) amortised."""
        self._count_elsewhere(job._priority, -1)
        self._dead += 1
        self.in_order = False
        if self._dead > len(self) + SWEEP_FLOOR:
            left = [other for other in self._live() if other is not job]
            self.rebuild(left)

    def rebuild(self, jobs: list[AnyJob]) -> None:
        """Contain exactly these jobs. Cost: O(n log n)."""
        self.lane.clear()
        self._others.clear()
        self._dead = self._elsewhere = self._urgent_elsewhere = 0
        self.in_order = True
        self.add_many(jobs)

    def in_sequence(self) -> list[AnyJob]:
        """Return all jobs in the order in which they are served. Cost: O(n log n)."""
        return sorted(self._live(), key=key_of)

    def _count_elsewhere(self, priority: int, change: int) -> None:
        self._elsewhere += change
        if priority < URGENT_THRESHOLD:
            self._urgent_elsewhere += change

    def _is_live(self, job: AnyJob | None, priority: int) -> bool:
        return (
            job is not None
            and job._state is _READY
            and job._priority == priority
            and job._tube == self._tube
        )

    def _live(self) -> Iterable[AnyJob]:
        """Return the jobs whose entries are live, each once."""
        found: dict[int, AnyJob] = {}
        for job_id in self.lane:
            job = self._jobs.get(job_id)
            if job is not None and self._is_live(job, self.lane_priority):
                found[job_id] = job
        for key in self._others:
            job = self._jobs.get(key & ID_MASK)
            if job is not None and self._is_live(job, key >> ID_BITS):
                found[job._id] = job
        return found.values()

    def _check(self, ready: list[AnyJob]) -> None:
        """Raise AssertionError unless exactly these jobs are in it, and in order."""
        assert {id(job) for job in self._live()} == {id(job) for job in ready}
        entries = len(self.lane) + len(list(self._others))
        assert len(self) == len(ready) == entries - self._dead
        assert self._dead >= 0
        assert self.urgent == sum(job._priority < URGENT_THRESHOLD for job in ready)
        assert not self.in_order or not (self._others.heap or self._dead)
        ids = list(self.lane)
        assert ids == sorted(ids)
        self._others._check()
