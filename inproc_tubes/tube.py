"""A tube: its ready, delayed and buried jobs, each in the order it is served.

Strategy
    Ready jobs are served by (priority, id). Nearly always a job is the youngest of
    its priority when it becomes ready, and the first of the best priority when it
    leaves. So there is a `SortedDict` from priority to a *bucket*, a heap of ids,
    and the bucket of the best priority is at hand: appending the highest id to a
    heap moves nothing, and taking the first compares ints in C. Against one
    `SortedList` of (priority, id) this halves the cost of a put and a reserve.

    A ready job that leaves from the middle (deleted, or reserved by its id) leaves
    its entry behind. An entry is *live* while it names a ready job of the bucket's
    priority; dead ones are dropped when they come to the top, or all at once when
    they outnumber the live. While none is dead (nearly always), the first of the
    front bucket need not be looked at before it is taken.

Only the engine calls these methods. They move jobs and keep the counts; the job's
own fields are the engine's to change, after the job has left its container and
before it enters the next.
"""

from __future__ import annotations

from collections import OrderedDict
from heapq import heappop, heappush
from math import inf
from typing import TYPE_CHECKING, Any

from sortedcontainers import SortedDict

from .checks import DEFAULT_PRIORITY
from .delayed import Delayed
from .job import JobState

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .job import Record
    from .room import Room
    from .waiting import Waiter

__all__ = ["URGENT_THRESHOLD", "Listing", "Tube"]

# beanstalkd's URGENT_THRESHOLD (dat.h): such jobs are counted, no more.
URGENT_THRESHOLD = 1024
# Fewer dead entries than this are never swept: it would cost more than they do.
_SWEEP_FLOOR = 64

_READY = JobState.READY


class Tube:
    """A named tube. It exists while somebody uses or watches it, or a job is in it."""

    __slots__ = (
        "_buckets",
        "_jobs",
        "buried",
        "cmd_delete",
        "cmd_pause_tube",
        "dead",
        "delayed",
        "front",
        "front_priority",
        "gone",
        "name",
        "pause",
        "paused_until",
        "pinned",
        "ready",
        "room",
        "selections",
        "total_jobs",
        "urgent",
        "using",
        "waiters",
        "watching",
    )

    def __init__(self, name: str, jobs: dict[int, Record]) -> None:
        self.name = name
        self._jobs = jobs  # the engine's, {id: record}
        # A heap of ids for each priority; only the front bucket is ever empty. The
        # first is for the jobs that will most likely come.
        self._buckets: SortedDict[int, list[int]] = SortedDict({DEFAULT_PRIORITY: []})
        self.front_priority, self.front = self._buckets.peekitem(0)
        self.dead = 0  # entries in buckets that are not live
        self.delayed = Delayed(jobs)
        # {id: record}, longest buried first. Not a dict: the first of a dict that
        # is consumed from its front takes ever longer to find.
        self.buried: OrderedDict[int, Record] = OrderedDict()
        # {ticket: waiter} of those who watch it alone, longest waiting first
        self.waiters: OrderedDict[int, Waiter] = OrderedDict()
        # {Selection: None}, in which those wait who watch it among others
        self.selections: dict[Any, None] = {}
        self.ready = 0
        self.urgent = 0
        self.gone = False  # nothing has referred to it, and there may be another
        self.pinned = False  # stays although nothing refers to it
        self.room: Room | None = None  # where its jobs' leaving matters to somebody
        self.using = 0
        self.watching = 0
        self.pause = 0.0  # as given, while it lasts
        self.paused_until = 0.0  # 0.0: not paused
        self.total_jobs = 0
        self.cmd_delete = 0
        self.cmd_pause_tube = 0

    @property
    def reserved(self) -> int:
        """How many of them are reserved. Cost: O(1)."""
        return self.count - self.ready - len(self.delayed) - len(self.buried)

    @property
    def referenced(self) -> bool:
        """Whether anything keeps the tube alive. Cost: O(1)."""
        return bool(
            self.pinned
            or self.room is not None
            or self.using
            or self.watching
            or self.count
        )

    @property
    def waiting(self) -> int:
        """How many wait for a job of it. Cost: O(number of selections it is in)."""
        return len(self.waiters) + sum(len(s.waiters) for s in self.selections)

    @property
    def first_waiter(self) -> Waiter | None:
        """Who has waited longest for a job of it.

        Cost: O(number of selections it is in).
        """
        first: Waiter | None = None
        if self.waiters:
            first = next(iter(self.waiters.values()))
        for selection in self.selections:
            if selection.waiters:
                waiter = next(iter(selection.waiters.values()))
                if first is None or waiter.ticket < first.ticket:
                    first = waiter
        return first

    @property
    def count(self) -> int:
        """How many jobs are in it, whatever their state. Cost: O(1)."""
        return self.total_jobs - self.cmd_delete

    @property
    def unfinished(self) -> bool:
        """Whether there is work to come: all but buried jobs. Cost: O(1)."""
        waits = self.room is not None and self.room.putters
        return bool(self.count != len(self.buried) or waits)

    @property
    def due_at(self) -> float:
        """When the first delay or the pause is over, inf for never. Cost: O(1)."""
        record = self.delayed.first()
        ready_at = inf if record is None else record.due_at
        return min(ready_at, self.paused_until or inf)

    def add_ready(self, record: Record) -> None:
        """Put a job to its place by (priority, id).

        Cost: O(1) for the youngest of its priority, else O(log n).
        """
        heappush(self._bucket(record.priority), record.id)
        self._added(1, (record.priority, record.id))

    def add_newest(self, priority: int, ids: list[int]) -> None:
        """Add jobs that are younger than all others, the oldest of them first.

        Cost: O(1) for each, and O(log n) for the priority.
        """
        bucket = self._bucket(priority)
        bucket += ids  # what is highest needs no sifting: it stays a heap
        self._added(len(ids), (priority, ids[0]))

    def _bucket(self, priority: int) -> list[int]:
        """Return the bucket of that priority, made if it is new."""
        bucket = self._buckets.get(priority)
        if bucket is None:
            self._buckets[priority] = bucket = []
        if priority < self.front_priority:
            if not self.front:
                del self._buckets[self.front_priority]
            self.front_priority = priority
            self.front = bucket
        return bucket

    def _added(self, count: int, first: tuple[int, int]) -> None:
        self.ready += count
        if first[0] < URGENT_THRESHOLD:
            self.urgent += count
        for selection in self.selections:
            selection.offer(self, first)

    def first_ready(self) -> Record:
        """Return the job that is served next; there must be one.

        Cost: O(1), amortised over the dead entries it drops.
        """
        jobs = self._jobs
        while True:
            front = self.front
            while front:
                record = jobs.get(front[0])
                if (
                    record is not None
                    and record.state is _READY
                    and record.priority == self.front_priority
                ):
                    return record
                heappop(front)
                self.dead -= 1
            del self._buckets[self.front_priority]
            self.front_priority, self.front = self._buckets.peekitem(0)

    def list_ready(self) -> list[Record]:
        """Return all ready jobs as they are served. Cost: O(n log n)."""
        live = self._live()
        return [self._jobs[i] for p in sorted(live) for i in sorted(live[p])]

    def pop_ready(self) -> Record:
        """Take the job that is served next; there must be one. Cost: O(log n)."""
        record = self.first_ready()
        heappop(self.front)
        self.ready -= 1
        if self.front_priority < URGENT_THRESHOLD:
            self.urgent -= 1
        return record

    def pop_many(self, count: int) -> list[Record]:
        """Take up to so many jobs that are served next. Cost: O(log n) for each."""
        jobs = self._jobs
        taken: list[Record] = []
        count = min(count, self.ready)
        while len(taken) < count:
            first = self.first_ready()
            front = self.front
            if taken and first is taken[-1]:  # a dead entry of a job that came back
                heappop(front)
                self.dead -= 1
                continue
            # Where all entries are live, no more of them need be looked at.
            run = 1 if self.dead else min(count - len(taken), len(front))
            if len(front) <= 4 * run:  # sorting them all costs less, and makes a heap
                front.sort()
                ids = front[:run]
                del front[:run]
            else:
                ids = [heappop(front) for _ in range(run)]
            taken += [jobs[job_id] for job_id in ids]
            if self.front_priority < URGENT_THRESHOLD:
                self.urgent -= run
        self.ready -= len(taken)
        return taken

    def remove_ready(self, record: Record) -> None:
        """Take a job from the middle. Cost: O(1) amortised."""
        self.ready -= 1
        if record.priority < URGENT_THRESHOLD:
            self.urgent -= 1
        self.dead += 1
        if self.dead > self.ready + _SWEEP_FLOOR:
            self._sweep(record)

    def _sweep(self, leaving: Record) -> None:
        """Drop every dead entry, and that of the job that is leaving."""
        live = self._live(leaving)
        # A sorted list is a heap. Without any job an empty front is left.
        self._buckets = SortedDict((p, sorted(live[p])) for p in live)
        if not self._buckets:
            self._buckets[self.front_priority] = []
        self.front_priority, self.front = self._buckets.peekitem(0)
        self.dead = 0

    def _live(self, leaving: Record | None = None) -> dict[int, set[int]]:
        """Return the ids of each priority whose entries are live."""
        get = self._jobs.get
        live: dict[int, set[int]] = {}
        for priority, bucket in self._buckets.items():
            # A set, because a job that came back has two entries, both alive.
            ids = {
                job_id
                for job_id in bucket
                if (record := get(job_id)) is not None
                and record.state is _READY
                and record.priority == priority
                and record is not leaving
            }
            if ids:
                live[priority] = ids
        return live

    def _ready_keys(self) -> Iterator[tuple[int, int]]:
        """Find the ready jobs without a glance at the buckets, for checks."""
        for record in self._jobs.values():
            if record.tube is self and record.state is _READY:
                yield record.priority, record.id

    def _check(self) -> None:
        # The front is the bucket of the best priority, and no other is empty.
        self._buckets._check()
        assert self._buckets.peekitem(0) == (self.front_priority, self.front)
        assert self._buckets.peekitem(0)[1] is self.front
        assert all(self._buckets.values()[1:])
        # Every ready job has a live entry; what is not live is counted as dead.
        here = [r for r in self._jobs.values() if r.tube is self]
        for bucket in self._buckets.values():
            assert all(bucket[(i - 1) // 2] <= bucket[i] for i in range(1, len(bucket)))
        ready = {job_id for _, job_id in self._ready_keys()}
        assert all(i in self._buckets[self._jobs[i].priority] for i in ready)
        assert len(ready) == self.ready
        assert sum(map(len, self._buckets.values())) == self.ready + self.dead
        assert self.dead >= 0
        assert self.urgent == sum(
            self._jobs[i].priority < URGENT_THRESHOLD for i in ready
        )
        # The delayed jobs are in the order of their moments.
        self.delayed._check()
        delayed = [r for r in here if r.state is JobState.DELAYED]
        assert self.delayed.in_order() == sorted(
            delayed, key=lambda r: (r.due_at, r.id)
        )
        # The other states.
        assert {r.id: r for r in here if r.state is JobState.BURIED} == self.buried
        assert sum(r.state is JobState.RESERVED for r in here) == self.reserved
        # Whoever has waited longest is first, and is not kept from a job.
        assert list(self.waiters) == sorted(self.waiters)
        assert not self.waiting or not self.ready or self.paused_until
        if self.room is not None:
            assert self.room.tube is self
            self.room._check()


class Listing:
    """Tubes in beanstalkd's order of listing: what leaves, the last one takes its place.

    That is what ``ms_delete`` (ms.c) does, and clients see it.
    """

    __slots__ = ("_index", "_tubes")

    def __init__(self) -> None:
        self._tubes: list[Tube] = []
        self._index: dict[Tube, int] = {}  # {tube: its place in _tubes}

    def __iter__(self) -> Iterator[Tube]:
        return iter(self._tubes)

    def __len__(self) -> int:
        return len(self._tubes)

    def __contains__(self, tube: object) -> bool:
        return tube in self._index

    def __getitem__(self, place: int) -> Tube:
        return self._tubes[place]

    def place(self, tube: Tube) -> int:
        """Return where the tube stands. Cost: O(1)."""
        return self._index[tube]

    def append(self, tube: Tube) -> None:
        """Add a tube that is not in yet at the end. Cost: O(1)."""
        self._index[tube] = len(self._tubes)
        self._tubes.append(tube)

    def remove(self, tube: Tube) -> None:
        """Take a tube out; the last one moves to its place. Cost: O(1)."""
        place = self._index.pop(tube)
        last = self._tubes.pop()
        if last is not tube:
            self._tubes[place] = last
            self._index[last] = place
