"""All there is in one broker, and every question that can be asked about it.

Nothing here changes a job, a tube or a session: that is `engine.Engine`'s, which
builds on this. Each question counts itself, as beanstalkd's commands do.

Function names in comments are those of beanstalkd's ``prot.c`` if not said otherwise.
"""

from __future__ import annotations

from collections import deque
from itertools import count
from math import inf
from typing import TYPE_CHECKING, Any

from .agenda import Agenda
from .errors import NotFoundError
from .job import NO_PAST, JobState
from .session import Session
from .tube import Listing, Tube

if TYPE_CHECKING:
    from .job import Record
    from .selection import Selection
    from .waiting import Pending

__all__ = ["Ledger"]

_RESERVED = JobState.RESERVED
_DELAYED = JobState.DELAYED


class Ledger:
    """All tubes, jobs, sessions, waiters and counters of one broker."""

    def __init__(self) -> None:
        self.jobs: dict[int, Record] = {}  # {id: record}
        self.tubes: dict[str, Tube] = {}  # {name: tube}
        self.listing = Listing()  # the same tubes in beanstalkd's order
        self.sessions: dict[Session, None] = {}  # in order of opening
        # Jobs that were put and are not in their places yet, see `Engine.take_in`.
        self.inbox: deque[Record] = deque()
        self.ids = count(1)  # of jobs
        self.draining = False
        self.shut = False  # draining, and whoever has not seen it is in
        self.closed: str | None = None  # what closed it, once it is
        # Nothing is due before this moment: a lower bound, as in an Agenda.
        self.due_at = inf
        # Waiters that were answered, for the shell to rouse and strike out.
        self.answered: list[Pending] = []
        self.waiting = 0  # how many wait for a job
        # Who waits for something else, {ticket: waiter}, longest waiting first.
        self.others: dict[int, Pending] = {}
        # {the watched tubes: what their sessions share}
        self._selections: dict[frozenset[Tube], Selection] = {}
        self._tube_agenda: Agenda[Tube] = Agenda()  # delays and pauses
        self._session_agenda: Agenda[Session] = Agenda()  # reservations
        self._timeouts: Agenda[Pending] = Agenda()
        self._reservations = 0
        self._tickets = 0
        self._total_jobs_of_dead_tubes = 0
        self._deletes_of_dead_tubes = 0
        # What the tubes' counters do not tell of cmd_delete.
        self.deletes_of_nothing = 0
        self.cmd_put = 0
        self._job_timeouts = 0
        self._total_sessions = 0
        self.cmd_peek = 0
        self.cmd_peek_ready = 0
        self.cmd_peek_delayed = 0
        self.cmd_peek_buried = 0
        self.cmd_reserve = 0
        self.cmd_reserve_with_timeout = 0
        self.cmd_release = 0
        self.cmd_use = 0
        self.cmd_watch = 0
        self.cmd_ignore = 0
        self.cmd_bury = 0
        self.cmd_kick = 0
        self.cmd_touch = 0
        self.cmd_stats = 0
        self.cmd_stats_job = 0
        self.cmd_stats_tube = 0
        self.cmd_list_tubes = 0
        self.cmd_list_tube_used = 0
        self.cmd_list_tubes_watched = 0
        self.cmd_pause_tube = 0
        self.tube("default").pinned = True

    @property
    def cmd_delete(self) -> int:
        """How often a job was deleted, or would have been. Cost: O(number of tubes)."""
        deleted = sum(tube.cmd_delete for tube in self.listing)
        return deleted + self._deletes_of_dead_tubes + self.deletes_of_nothing

    @property
    def all_waiting(self) -> int:
        """How many wait: for a job, for room, or for the end. Cost: O(1)."""
        return self.waiting + len(self.others)

    def tube(self, name: str) -> Tube:
        """Return the tube of that name, made if it is new. Cost: O(1)."""
        tube = self.tubes.get(name)
        if tube is None:
            tube = self.tubes[name] = Tube(name, self.jobs)
            self.listing.append(tube)
        return tube

    def find(self, job_id: int, fence: int | None = None) -> Record:
        """Return the job, whatever its state. Cost: O(1)."""
        record = self.jobs.get(job_id)
        if record is None or (fence is not None and record.reservation != fence):
            raise NotFoundError(job_id)
        return record

    def peek(self, _now: float, job_id: int) -> Record:
        """Return this job. Cost: O(1)."""
        self.cmd_peek += 1
        return self.find(job_id)

    def peek_ready(self, _now: float, name: str) -> Record:
        """Return the tube's job that is served next, paused or not. Cost: O(1)."""
        self.cmd_peek_ready += 1
        tube = self.tubes.get(name)
        if tube is None or not tube.ready:
            raise NotFoundError(None, name, "ready")
        return tube.first_ready()

    def peek_delayed(self, _now: float, name: str) -> Record:
        """Return the tube's job whose delay is over first. Cost: O(1)."""
        self.cmd_peek_delayed += 1
        tube = self.tubes.get(name)
        if tube is None or not tube.delayed:
            raise NotFoundError(None, name, "delayed")
        record = tube.delayed.first()
        assert record is not None  # as there are some
        return record

    def peek_buried(self, _now: float, name: str) -> Record:
        """Return the tube's job that was buried first. Cost: O(1)."""
        self.cmd_peek_buried += 1
        tube = self.tubes.get(name)
        if tube is None or not tube.buried:
            raise NotFoundError(None, name, "buried")
        return next(iter(tube.buried.values()))

    def list_tubes(self, _now: float) -> list[str]:
        """Return the names of all tubes. Cost: O(number of tubes)."""
        self.cmd_list_tubes += 1
        return [tube.name for tube in self.listing]

    def list_tubes_watched(self, _now: float, session: Session) -> list[str]:
        """Return the names of the watched tubes. Cost: O(number of them)."""
        self.cmd_list_tubes_watched += 1
        return [tube.name for tube in session.watched]

    def list_tube_used(self, _now: float, session: Session) -> str:
        """Return the name of the used tube. Cost: O(1)."""
        self.cmd_list_tube_used += 1
        assert session.used is not None  # only asked of one that puts
        return session.used.name

    def stats_job(
        self, now: float, job_id: int, fence: int | None = None
    ) -> dict[str, Any]:
        """Return the fields of fmt_job_stats but ``file``. Cost: O(1)."""
        self.cmd_stats_job += 1
        record = self.find(job_id, fence)
        timed = record.state is _RESERVED or record.state is _DELAYED
        return {
            "id": record.id,
            "tube": record.tube.name,
            "state": record.state.value,
            "priority": record.priority,
            # The put may have read the clock after this turn did.
            "age": max(0, now - record.created_at),
            "delay": record.delay,
            "ttr": record.ttr,
            "time_left": record.due_at - now if timed else 0,
            "reserves": record.reserves,
            "timeouts": record.past.timeouts,
            "releases": record.past.releases,
            "buries": record.past.buries,
            "kicks": record.past.kicks,
        }

    def stats_tube(self, now: float, name: str) -> dict[str, Any]:
        """Return the fields of fmt_stats_tube, and two of ours. Cost: O(1)."""
        self.cmd_stats_tube += 1
        tube = self.tubes.get(name)
        if tube is None:
            raise NotFoundError(None, name)
        return {
            "name": name,
            "current_jobs_urgent": tube.urgent,
            "current_jobs_ready": tube.ready,
            "current_jobs_reserved": tube.reserved,
            "current_jobs_delayed": len(tube.delayed),
            "current_jobs_buried": len(tube.buried),
            "total_jobs": tube.total_jobs,
            "current_using": tube.using,
            "current_watching": tube.watching,
            "current_waiting": tube.waiting,
            "cmd_delete": tube.cmd_delete,
            "cmd_pause_tube": tube.cmd_pause_tube,
            "pause": tube.pause,
            "pause_time_left": tube.paused_until - now if tube.paused_until else 0,
            "maxsize": 0 if tube.room is None else tube.room.maxsize,
            "current_putting": 0 if tube.room is None else len(tube.room.putters),
        }

    def stats(self, _now: float) -> dict[str, Any]:
        """Return the fields of fmt_stats that the engine knows.

        Cost: O(number of tubes and sessions).
        """
        self.cmd_stats += 1
        tubes = self.listing
        commands = {k: v for k, v in vars(self).items() if k.startswith("cmd_")}
        return commands | {
            "cmd_delete": self.cmd_delete,
            "current_jobs_urgent": sum(t.urgent for t in tubes),
            "current_jobs_ready": sum(t.ready for t in tubes),
            "current_jobs_reserved": sum(t.reserved for t in tubes),
            "current_jobs_delayed": sum(len(t.delayed) for t in tubes),
            "current_jobs_buried": sum(len(t.buried) for t in tubes),
            "job_timeouts": self._job_timeouts,
            "total_jobs": self._total_jobs_of_dead_tubes
            + sum(t.total_jobs for t in tubes),
            "current_tubes": len(tubes),
            "current_connections": len(self.sessions),
            "current_producers": sum(s.is_producer for s in self.sessions),
            "current_workers": sum(s.is_worker for s in self.sessions),
            "current_waiting": self.waiting,
            "total_connections": self._total_sessions,
            "draining": self.draining,
        }

    def _check(self) -> None:
        """Raise AssertionError if the state is not as the rules want it."""
        # Every job is in a living tube, and every tube has its reasons.
        assert set(self.tubes.values()) == set(self.listing)
        for place, tube in enumerate(self.listing):
            assert self.listing.place(tube) == place
            assert self.tubes[tube.name] is tube
            assert tube.referenced
            tube._check()
        # Whom nothing has happened to share that.
        untouched = (NO_PAST.timeouts, NO_PAST.releases, NO_PAST.buries, NO_PAST.kicks)
        assert (*untouched, *NO_PAST.expired) == (0, 0, 0, 0)
        for job_id, record in self.jobs.items():
            assert record.id == job_id
            assert self.tubes[record.tube.name] is record.tube
            # Held by a session, or by nobody.
            holder = record.owner
            assert (holder is not None) == (record.state is _RESERVED)
            if holder is not None:
                assert isinstance(holder, Session)
                assert holder.held[record.reservation] is record
        # Sessions, and what they reckon with.
        for session in self.sessions:
            session._check()
        assert sum(len(s.held) for s in self.sessions) == sum(
            record.state is _RESERVED for record in self.jobs.values()
        )
        # A job whose body is still to come is in the tube that its session uses.
        for session in self.sessions:
            if session.incoming is not None:
                assert self.jobs[session.incoming.id] is session.incoming
                assert session.incoming.state is JobState.INVALID
                assert session.incoming.tube is session.used
        for tube in self.listing:
            watchers = [s for s in self.sessions if tube in s.watched]
            assert tube.watching == len(watchers)
            assert tube.using == sum(s.used is tube for s in self.sessions)
            waiting = [t for place in (tube, *tube.selections) for t in place.waiters]
            assert sorted(waiting) == sorted(t for s in watchers for t in s.waiters)
            assert self.due_at <= tube.due_at
        waiters = [w for s in self.sessions for w in s.waiters.values()]
        assert self.waiting == len(waiters)
        rooms = [tube.room for tube in self.listing if tube.room is not None]
        lines = [line for room in rooms for line in (room.putters, room.joiners)]
        assert self.others == {t: w for line in lines for t, w in line.items()}
        assert list(self.others) == sorted(self.others)
        assert sum(len(s.putters) for s in self.sessions) == sum(
            len(room.putters) for room in rooms
        )
        assert not self.draining or not any(room.putters for room in rooms)
        for waiter in (*waiters, *self.others.values()):
            assert waiter.outcome is None
            assert self.due_at <= waiter.timeout_at
        self._check_selections()
        # The agendas know of everything that will be due.
        self._tube_agenda._check()
        self._session_agenda._check()
        self._timeouts._check()

    def _check_selections(self) -> None:
        # They are those that sessions share, and no other.
        shared = [s.selection for s in self.sessions if s.selection is not None]
        assert set(self._selections.values()) == set(shared)
        for tubes, selection in self._selections.items():
            assert selection.tubes == tubes
            assert selection.users == shared.count(selection)
            selection._check()
        for tube in self.listing:
            assert set(tube.selections) == {s for s in shared if tube in s.tubes}
