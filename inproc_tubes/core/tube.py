"""A tube: its ready, delayed and buried jobs, and who waits for what in it."""

from __future__ import annotations

from collections import OrderedDict
from math import inf
from typing import TYPE_CHECKING

from .delayed import DelayedJobs
from .ready import ReadyJobs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .limits import Seconds
    from .lives import Lives
    from .record import AnyJob
    from .watch_set import WatchSet

__all__ = ["Occupancy", "Tube", "TubeList"]


class Occupancy:
    """How many jobs a tube may have, and the requests that wait for jobs to leave it.

    A tube has one only while it is limited, or while a join waits for it. So for all
    other tubes a put and a delete find out by one look at an attribute.
    """

    __slots__ = ("joins", "maxsize", "puts")

    def __init__(self) -> None:
        self.maxsize: int = 0  # 0: no limit
        # The tickets of the puts that wait for room, longest waiting first, each with
        # how many jobs it brings.
        self.puts: OrderedDict[int, int] = OrderedDict()
        self.joins: dict[int, None] = {}  # the tickets of the joins that it holds up


class Tube:
    """A named tube. It exists while somebody uses or watches it, or a job is in it."""

    __slots__ = (
        "buried",
        "cmd_delete",
        "cmd_pause_tube",
        "delayed",
        "draining",
        "expired",
        "is_plain",
        "leaves_plainly",
        "lives",
        "max_tries",
        "name",
        "occupancy",
        "pause",
        "paused_until",
        "pinned",
        "ready",
        "recorded",
        "tickets",
        "total_jobs",
        "using",
        "watch_sets",
        "watching",
    )

    def __init__(
        self,
        name: str,
        jobs: dict[int, AnyJob],
        *,
        draining: bool = False,
        recorded: bool = False,
    ) -> None:
        self.name: str = name
        # Whether a job that is put without a delay is simply ready: nothing waits for a
        # job of this tube, or for jobs to leave it, puts are not refused, and nobody
        # records events. See `settle`.
        self.is_plain: bool = not (draining or recorded)
        # Whether a job that its holder deletes is simply gone: nothing waits for that.
        self.leaves_plainly: bool = not recorded
        self.draining: bool = draining
        self.recorded: bool = recorded  # whether there is a `Turn.log`
        self.ready: ReadyJobs = ReadyJobs(jobs, name)
        self.delayed: DelayedJobs = DelayedJobs(jobs, name)
        # {id: job}, longest buried first. For the type see `WatchSet.tickets`.
        self.buried: OrderedDict[int, AnyJob] = OrderedDict()
        self.lives: Lives | None = None  # from when the first of its jobs has one
        # The tickets of the reserves that wait for a job of this tube alone, longest
        # waiting first.
        self.tickets: OrderedDict[int, None] = OrderedDict()
        # The watch sets that it is in, as keys: sessions that watch it among others.
        self.watch_sets: dict[WatchSet[Tube], None] = {}
        self.occupancy: Occupancy | None = None
        self.max_tries: int = (
            0  # how often a job may be reserved; 0: any number of times
        )
        self.pinned: bool = False  # it stays although nothing refers to it
        self.using: int = 0
        self.watching: int = 0
        self.pause: Seconds = 0.0  # as given, while it lasts
        self.paused_until: float = 0.0  # 0.0: not paused
        self.total_jobs: int = 0
        self.cmd_delete: int = 0
        self.cmd_pause_tube: int = 0
        self.expired: int = 0  # how many of the deleted jobs

    def settle(self) -> None:
        """Set ``is_plain`` and ``leaves_plainly``, after what they depend on has changed.

        Cost: O(1).
        """
        self.leaves_plainly = not self.recorded and self.occupancy is None
        self.is_plain = self.leaves_plainly and not (
            self.draining or self.tickets or self.watch_sets
        )

    @property
    def count(self) -> int:
        """How many jobs are in it, whatever their state. Cost: O(1)."""
        return self.total_jobs - self.cmd_delete

    @property
    def reserved(self) -> int:
        """How many of them are reserved. Cost: O(1)."""
        return self.count - self.ready.count - len(self.delayed) - len(self.buried)

    @property
    def referenced(self) -> bool:
        """Whether anything keeps the tube alive. Cost: O(1)."""
        return bool(
            self.pinned
            or self.occupancy is not None
            or self.max_tries
            or self.using
            or self.watching
            or self.count
        )

    @property
    def waiting(self) -> int:
        """How many reserves wait for a job of it. Cost: O(number of watch sets)."""
        return len(self.tickets) + sum(len(group.tickets) for group in self.watch_sets)

    @property
    def first_ticket(self) -> int | None:
        """The ticket of the reserve that has waited longest for a job of it.

        Cost: O(number of watch sets that it is in).
        """
        first = next(iter(self.tickets), None)
        for watch_set in self.watch_sets:
            ticket = next(iter(watch_set.tickets), None)
            if ticket is not None and (first is None or ticket < first):
                first = ticket
        return first

    @property
    def best_key(self) -> int | None:
        """The key of the job that it would serve now; None without any, or if paused.

        Cost: O(1) amortised.
        """
        return None if self.paused_until else self.ready.first_key

    @property
    def unfinished(self) -> bool:
        """Whether there is work to come: all but buried jobs. Cost: O(1)."""
        occupancy = self.occupancy
        puts_wait = occupancy is not None and occupancy.puts
        return bool(self.count != len(self.buried) or puts_wait)

    @property
    def due_at(self) -> float:
        """When the first delay, life, or the pause is over, inf for never. Cost: O(1)."""
        job = self.delayed.first()
        ready_at = inf if job is None else job._due_at
        expires_at = inf if self.lives is None else self.lives.due_at
        return min(ready_at, expires_at, self.paused_until or inf)

    @property
    def maxsize(self) -> int:
        """How many jobs it may have, 0 for any number. Cost: O(1)."""
        return 0 if self.occupancy is None else self.occupancy.maxsize

    def fits(self, count: int) -> bool:
        """Return whether there is room for so many more jobs. Cost: O(1)."""
        maxsize = self.maxsize
        return not maxsize or count <= maxsize - self.count

    def admits(self, count: int) -> bool:
        """Return whether they may come in now, with no put before them. Cost: O(1)."""
        return self.occupancy is None or (not self.occupancy.puts and self.fits(count))


class TubeList:
    """Tubes in beanstalkd's order: when one leaves, the last one takes its place.

    That is what ``ms_delete`` (ms.c) does, and clients see it.
    """

    __slots__ = ("_index", "_tubes")

    def __init__(self, tubes: Iterable[Tube] = ()) -> None:
        # A removal that was broken off leaves the last one in twice.
        self._tubes = list(dict.fromkeys(tubes))
        self._index = {tube: place for place, tube in enumerate(self._tubes)}

    def __iter__(self) -> Iterator[Tube]:
        return iter(self._tubes)

    def __len__(self) -> int:
        return len(self._tubes)

    def __contains__(self, tube: object) -> bool:
        return tube in self._index

    def __getitem__(self, place: int) -> Tube:
        return self._tubes[place]

    def place(self, tube: Tube) -> int:
        """Return the place of a tube. Cost: O(1)."""
        return self._index[tube]

    def append(self, tube: Tube) -> None:
        """Add a tube that is not in yet at the end. Cost: O(1)."""
        self._index[tube] = len(self._tubes)
        self._tubes.append(tube)

    def remove(self, tube: Tube) -> None:
        """Remove a tube; the last one moves to its place. Cost: O(1)."""
        place = self._index.pop(tube)
        last = self._tubes[-1]
        self._tubes[place] = last
        self._index[last] = place
        self._tubes.pop()
        self._index.pop(tube, None)  # it was the last one itself
