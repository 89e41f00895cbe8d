"""Many jobs at once: what a batch costs less than its jobs one by one.

These are verbs and steps of `engine.Engine`, under the rules printed there. A batch
reads the clock once, and touches each container once where that can be.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from .errors import DrainingError
from .job import NO_PAST, JobState, Record
from .moves import Moves

if TYPE_CHECKING:
    from .session import Session
    from .tube import Tube

__all__ = ["Batches"]

_READY = JobState.READY
_RESERVED = JobState.RESERVED
_DELAYED = JobState.DELAYED


class Batches(Moves):
    """Putting and reserving by the hundred."""

    def put_many(
        self,
        now: float,
        session: Session,
        name: str | None,
        bodies: list[Any],
        priority: int,
        delay: float,
        ttr: float,
    ) -> list[int] | None:
        """Add several jobs at once; each counts as a put.

        None means that there is no room for all of them, and that it is for
        `wait_for_room` to say what comes of it. Where consumers wait, the first job
        goes to the first of them.

        Cost: O(1) for each job, and that of those handed over.
        """
        count = len(bodies)
        self.cmd_put += count
        session.is_producer = True
        if self.draining:
            self._new_ids(count)
            raise DrainingError
        if not bodies:
            return []
        tube: Tube | None = session.used if name is None else self.tube(name)
        assert tube is not None  # a session that puts uses a tube
        if tube.room is not None and not tube.room.takes(count):
            return None
        return self._insert(now, tube, bodies, priority, delay, ttr)

    def _new_ids(self, count: int) -> list[int]:
        return list(islice(self.ids, count))

    def _insert(
        self,
        now: float,
        tube: Tube,
        bodies: list[Any],
        priority: int,
        delay: float,
        ttr: float,
    ) -> list[int]:
        """Make jobs of these bodies; whoever waits is served in order."""
        ids = self._new_ids(len(bodies))
        jobs = self.jobs
        for job_id, body in zip(ids, bodies, strict=True):
            # new_record, written out: a call would take a fifth of it all.
            jobs[job_id] = record = Record()
            record.id = job_id
            record.body = body
            record.tube = tube
            record.priority = priority
            record.delay = delay
            record.ttr = ttr
            record.created_at = now
            record.state = _READY
            record.owner = None
            record.due_at = record.reservation = record.reserves = 0
            record.past = NO_PAST
        tube.total_jobs += len(ids)
        if delay:
            due_at = now + delay
            for job_id in ids:
                record = jobs[job_id]
                record.state = _DELAYED
                record.due_at = due_at
                tube.delayed.add(record)
            self._plan_tube(tube, due_at)
        else:
            tube.add_newest(priority, ids)
            self._serve_waiters(now, tube)
        return ids

    def reserve_many(
        self, now: float, session: Session, n: int, timeout: float | None
    ) -> list[Record]:
        """Take up to ``n`` jobs as so many times `reserve` would.

        Each counts as a reserve; where there is none, none is counted. ``n`` is 0 for
        who wanted one, and has been given it while it waited.

        Cost: O(log n) for each.
        """
        session.is_worker = True
        only = session.only
        records: list[Record] = []
        if only is None:
            selection = session.selection or self._select(session)
            while len(records) < n and (tube := selection.best()) is not None:
                record = tube.pop_ready()
                self._reserve(now, record, session)
                records.append(record)
        elif n and only.ready and not only.paused_until:
            records = only.pop_many(n)
            self._reserve_all(now, records, session)
        if timeout is None:
            self.cmd_reserve += len(records)
        else:
            self.cmd_reserve_with_timeout += len(records)
        return records

    def _reserve_all(self, now: float, records: list[Record], session: Session) -> None:
        """Let a session hold these jobs of one tube, which are in no container.

        As `_reserve` for each.
        """
        first = self._reservations + 1
        self._reservations += len(records)
        session.held.update(enumerate(records, first))
        for number, record in enumerate(records, first):
            record.state = _RESERVED
            record.owner = session
            record.reservation = number
            record.reserves += 1
            record.due_at = now + record.ttr
        # Nobody waits on this session, who would be told earlier: he would have had
        # these jobs.
        self._plan_session(session, now + min(record.ttr for record in records))
