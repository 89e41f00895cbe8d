"""The keys of unique jobs: which job has which key in its tube.

Strategy
    The truth is in the jobs. An entry here is *live* while the job that it names is in
    that tube, with that key. So nobody tells the index that a job has gone, and a delete
    costs nothing more. Dead entries are dropped when they are met, and all at once when
    the entries have doubled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from inproc_tubes.errors import DuplicateJobError

from .record import JobState

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Literal, TypeAlias

    from .limits import JobId
    from .record import AnyJob

    OnDuplicate: TypeAlias = Literal["raise", "keep", "replace"]

__all__ = ["KEEP", "RAISE", "REPLACE", "SWEEP_FLOOR", "Keys", "Verdict", "duplicate"]

RAISE: Final = "raise"
"""What a put does where its key is in use: it raises `DuplicateJobError`."""
KEEP: Final = "keep"
"""It leaves the job that is there, and is answered its id."""
REPLACE: Final = "replace"
"""It takes the place of the job that is there, unless somebody holds that."""

# Fewer entries than this are never swept: a sweep would cost more than they do.
SWEEP_FLOOR: Final = 64


def duplicate(job: AnyJob) -> DuplicateJobError:
    """Return what is raised where the key of this job is in the way. Cost: O(1)."""
    return DuplicateJobError(str(job._history.key), job._tube, job._id)


class Verdict:
    """What is to be done with jobs of which some keys may be in use.

    Attributes:
        error: Why none of them is put, None if they are.
        new: Those to be put.
        there: For each of the jobs the one that has its key, None without any.
        room: How many more jobs there are afterwards; where they are sure to be refused,
            0, as that takes none.
    """

    __slots__ = ("error", "new", "room", "there")

    def __init__(
        self,
        error: DuplicateJobError | None,
        new: list[AnyJob],
        there: list[AnyJob | None],
        room: int,
    ) -> None:
        self.error: DuplicateJobError | None = error
        self.new: list[AnyJob] = new
        self.there: list[AnyJob | None] = there
        self.room: int = room

    @property
    def replaced(self) -> list[AnyJob]:
        """The jobs that make way for new ones. Cost: O(n)."""
        if len(self.new) < len(self.there):
            return []  # they are kept
        return [job for job in self.there if job is not None]


class Keys:
    """{tube: {key: job}}, of the jobs that have one."""

    __slots__ = ("_ids", "_jobs", "_sweep_at")

    def __init__(self, jobs: dict[int, AnyJob]) -> None:
        self._jobs = jobs  # the engine's, {id: job}
        self._ids: dict[tuple[str, str], JobId] = {}  # {(tube, key): id}
        self._sweep_at = SWEEP_FLOOR

    def find(self, tube: str, key: str) -> AnyJob | None:
        """Return the job of this tube that has this key, None without any. Cost: O(1)."""
        job_id = self._ids.get((tube, key))
        if job_id is None:
            return None
        job = self._jobs.get(job_id)
        if job is None or not self._is_live(job, tube, key):
            del self._ids[tube, key]
            return None
        return job

    def judge(self, tube: str, jobs: list[AnyJob], on_duplicate: str) -> Verdict:
        """Say what is to be done with new jobs for a tube: all of them, or none.

        Cost: O(1) for each.
        """
        there = [self._in_the_way(tube, job) for job in jobs]
        if on_duplicate == KEEP:
            return self._keep(jobs, there)
        room = there.count(None)
        for other in there:
            if other is None:
                continue
            # Whether it is held may change with every reserve: a put that waits for
            # room is told when there is some.
            if on_duplicate == RAISE:
                return Verdict(duplicate(other), [], there, 0)
            if other._state is JobState.RESERVED:
                return Verdict(duplicate(other), [], there, room)
        return Verdict(None, jobs, there, room)

    @staticmethod
    def _keep(jobs: list[AnyJob], there: list[AnyJob | None]) -> Verdict:
        """Of several new jobs with the same key put the first."""
        new: list[AnyJob] = []
        first: dict[str, AnyJob] = {}
        for place, job in enumerate(jobs):
            key = job._history.key
            if key is not None and there[place] is None:
                there[place] = first.get(key)
                first.setdefault(key, job)
            if there[place] is None:
                new.append(job)
        return Verdict(None, new, there, len(new))

    def _in_the_way(self, tube: str, job: AnyJob) -> AnyJob | None:
        key = job._history.key
        return None if key is None else self.find(tube, key)

    def add(self, job: AnyJob) -> None:
        """Enter a job that is in its tube, if it has a key. Cost: O(1) amortised."""
        key = job._history.key
        if key is not None:
            self._ids[job._tube, key] = job._id
            if len(self._ids) > self._sweep_at:
                self.rebuild(self._jobs[i] for i in self._living())

    def _living(self) -> list[JobId]:
        """Return the ids of the jobs whose entries are live."""
        return [
            job_id
            for (tube, key), job_id in self._ids.items()
            if (job := self._jobs.get(job_id)) is not None
            and self._is_live(job, tube, key)
        ]

    @staticmethod
    def _is_live(job: AnyJob, tube: str, key: str) -> bool:
        return job._tube == tube and job._history.key == key

    def rebuild(self, jobs: Iterable[AnyJob]) -> None:
        """Contain exactly these jobs, of which none is replaced. Cost: O(n)."""
        self._ids = {
            (job._tube, key): job._id
            for job in jobs
            if (key := job._history.key) is not None
        }
        self._sweep_at = 2 * len(self._ids) + SWEEP_FLOOR

    def _check(self) -> None:
        """Raise AssertionError unless each key of each tube has one job."""
        keyed = [job for job in self._jobs.values() if job._history.key is not None]
        assert sorted(self._living()) == sorted(job._id for job in keyed)
        assert len(self._ids) <= self._sweep_at
        for job in keyed:
            assert self._ids[job._tube, str(job._history.key)] == job._id
