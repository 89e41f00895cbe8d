"""Jobs for tests of one index, without an engine around it."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

from inproc_tubes.core.job import JobState
from inproc_tubes.core.making import new_job, renewed
from inproc_tubes.core.ready import ReadyJobs

if TYPE_CHECKING:
    from random import Random

    from inproc_tubes.core.record import AnyJob


class Jobs:
    """All jobs by their ids, and what an engine does to a job outside its index."""

    def __init__(self) -> None:
        self.by_id: dict[int, AnyJob] = {}
        self._ids = count(1)

    def new(self, priority: int = 5) -> AnyJob:
        """Make the next job; it is ready, and in no index."""
        job = new_job("body", priority, 0, 60)
        job._id = next(self._ids)
        job._tube = "t"
        job._created_at = 100.0
        self.by_id[job._id] = job
        return job

    def new_delayed(self, due_at: float) -> AnyJob:
        """Make the next job; it is ready at that moment, and in no index."""
        job = self.new()
        job._state = JobState.DELAYED
        job._due_at = due_at
        return job

    def hold(self, job: AnyJob) -> AnyJob:
        """Reserve a job that is in no index; the second time it is renewed."""
        reserves = job._reserves
        if reserves:
            job._state = JobState.GONE
            job = renewed(job)
            self.by_id[job._id] = job
        job._state = JobState.RESERVED
        job._reserves = reserves + 1
        return job

    def delete(self, job: AnyJob) -> None:
        """Delete a job that is in no index."""
        del self.by_id[job._id]
        job._state = JobState.GONE

    def in_state(self, state: JobState) -> list[AnyJob]:
        """Return all jobs in that state, by their ids."""
        jobs = [job for job in self.by_id.values() if job._state is state]
        return sorted(jobs, key=lambda job: job._id)

    def some(self, state: JobState, random: Random, most: int) -> list[AnyJob]:
        """Return up to so many jobs in that state, chosen at random."""
        jobs = self.in_state(state)
        return random.sample(jobs, random.randint(0, min(most, len(jobs))))


def ids_of(jobs: list[AnyJob]) -> list[int]:
    """Return the ids of these jobs."""
    return [job._id for job in jobs]


class Shelf:
    """Ready jobs, and what an engine does with them; every step is checked."""

    def __init__(self) -> None:
        self.jobs = Jobs()
        self.index = ReadyJobs(self.jobs.by_id, "t")

    def check(self) -> None:
        """Compare the index with what the jobs say."""
        ready = self.expected()
        self.index._check(ready)
        assert self.index.in_sequence() == ready

    def expected(self) -> list[AnyJob]:
        """Return the ready jobs in their order, found in the most simple way."""
        return sorted(
            self.jobs.in_state(JobState.READY), key=lambda job: (job._priority, job._id)
        )

    def add(self, *priorities: int) -> None:
        """Put new jobs of these priorities, one after the other."""
        for priority in priorities:
            self.index.add(self.jobs.new(priority))
            self.check()

    def add_many(self, *priorities: int) -> None:
        """Put new jobs of these priorities together."""
        self.index.add_many([self.jobs.new(priority) for priority in priorities])
        self.check()

    def pop(self) -> int:
        """Reserve the first job."""
        first = self.index.first()
        job = self.index.pop()
        assert job is not None
        assert job is first
        return self.hold(job)

    def pop_all(self) -> list[int]:
        """Reserve all jobs in their order."""
        return [self.pop() for _ in range(len(self.index))]

    def pop_many(self, count: int) -> list[int]:
        """Reserve several jobs together."""
        jobs = self.index.pop_many(count)
        for job in jobs:
            self.jobs.hold(job)
        self.check()
        return ids_of(jobs)

    def take(self, *ids: int) -> None:
        """Reserve these jobs, wherever they are."""
        for job_id in ids:
            job = self.jobs.by_id[job_id]
            self.index.remove(job)
            self.hold(job)

    def hold(self, job: AnyJob) -> int:
        """Let a job be reserved."""
        self.jobs.hold(job)
        self.check()
        return job._id

    def give_back(self, job_id: int, priority: int) -> None:
        """Release a job."""
        self.index.add(self.return_(job_id, priority))
        self.check()

    def give_back_many(self, *ids: int, priority: int) -> None:
        """Let jobs come back together, as delayed ones do."""
        self.index.add_many([self.return_(job_id, priority) for job_id in ids])
        self.check()

    def return_(self, job_id: int, priority: int) -> AnyJob:
        """Make a reserved job ready."""
        job = self.jobs.by_id[job_id]
        job._priority = priority
        job._state = JobState.READY
        return job

    @property
    def lane(self) -> list[int]:
        """The ids in the lane, those of dead entries too."""
        return list(self.index.lane)

    @property
    def entries(self) -> int:
        """How many entries there are, dead ones too."""
        return len(self.index.lane) + self.beside

    @property
    def beside(self) -> int:
        """How many of them are beside the lane."""
        return len(list(self.index._others))
