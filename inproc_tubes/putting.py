"""Putting a job: how it comes in, by itself or at the door, and over the wire.

These are verbs of `engine.Engine`, under the rules printed there.

Function names in comments are those of beanstalkd's ``prot.c`` if not said otherwise.
"""

from __future__ import annotations

from heapq import heappush
from typing import TYPE_CHECKING, Any, NoReturn

from .clearing import Clearing
from .errors import DrainingError, JobTooBigError, TubeFullError
from .job import JobState, Record, new_record
from .tube import URGENT_THRESHOLD
from .waiting import Putter

if TYPE_CHECKING:
    from .session import Session
    from .tube import Tube

__all__ = ["Putting"]


class Putting(Clearing):
    """The ways into a tube, but for batches and for those who wait for room."""

    def put(
        self,
        now: float,
        session: Session,
        name: str | None,
        body: Any,
        priority: int,
        delay: float,
        ttr: float,
    ) -> int:
        """Add a job to the tube of that name, or to the one the session uses.

        If somebody waits for it, it is his already when this returns. A refusal
        while draining takes an id, as in enqueue_incoming_job. 0 means that the tube
        has no room, and that it is for `wait_for_room` to say what comes of it.

        Cost: O(1) for a new or the best priority, else O(log n); and O(1) for each
        selection that the tube is in.
        """
        self.cmd_put += 1
        session.is_producer = True
        if self.draining:
            next(self.ids)
            raise DrainingError
        tube: Tube | None = session.used if name is None else self.tube(name)
        assert tube is not None  # a session that puts uses a tube
        if tube.room is not None and not tube.room.takes(1):
            return 0
        record = new_record(next(self.ids), body, tube, priority, delay, ttr, now)
        self.jobs[record.id] = record
        tube.total_jobs += 1
        if delay:
            self._delay(now, record)
        else:
            self._make_ready(now, record)
        return record.id

    def take_in(self, now: float) -> None:
        """Put the jobs of the inbox to their places: the first step of every turn.

        While nobody waits, a put need not take a turn: it leaves its job in the inbox,
        which is the one thing of the engine's that is touched without the lock. The
        job has its id and its moment, and whoever takes the next turn finds it. What
        makes a put more than that (a limit, a tube by its name, a join that waits) has
        it take a turn.

        After it has left its job, a put looks whether anybody waits, and whether the
        broker drains, and takes a turn then. He who begins to wait, or who drains it,
        says so first, and looks into the inbox afterwards: one of the two sees the
        other. And one put in 256 takes a turn in any case: it is kept waiting there
        while another takes in, so that several cannot leave jobs faster than that,
        which would never come to an end.

        Cost: O(1) for each job of the best priority, else O(log n).
        """
        inbox = self.inbox
        jobs = self.jobs
        if self.shut:
            self._turn_away()
        while inbox:
            record = inbox.popleft()
            tube = record.tube
            if tube.gone:
                # Its producer has been closed, or has turned to another, meanwhile.
                record.tube = tube = self.tube(tube.name)
            self.cmd_put += 1
            jobs[record.id] = record
            tube.total_jobs += 1
            if record.delay:
                self._delay(record.created_at, record)
            elif tube.waiters and not (tube.selections or tube.paused_until):
                # Moves._make_ready, written out
                self._hand_over(now, record, next(iter(tube.waiters.values())))
            elif (
                record.priority != tube.front_priority
                or tube.waiters
                or tube.selections
            ):
                self._make_ready(now, record)
            else:
                # Tube.add_ready, written out
                heappush(tube.front, record.id)
                tube.ready += 1
                if record.priority < URGENT_THRESHOLD:
                    tube.urgent += 1

    def _turn_away(self) -> None:
        """Refuse the jobs of the inbox, each of which took an id."""
        while self.inbox:
            self.cmd_put += 1
            self.inbox.popleft().state = JobState.INVALID

    def drain(self, now: float) -> None:
        """Refuse every put from now on (enter_drain_mode), also those that wait.

        Cost: that of `take_in`, and O(1) for each put that waits.
        """
        self.draining = True
        # Whoever leaves a job from now on sees it; this is for those who have not.
        self.take_in(now)
        self.shut = True
        waiting = [w for w in self.others.values() if isinstance(w, Putter)]
        self._send_away(now, waiting, lambda _: DrainingError())

    def refuse_put(
        self, _now: float, size: int, limit: int, count: int = 1
    ) -> NoReturn:
        """Count so many puts, of which one body is too large; no id is taken.

        Cost: O(1).
        """
        self.cmd_put += count
        raise JobTooBigError(size, limit)

    # Putting over the wire, where a job is known before its body has arrived

    def begin_put(
        self,
        now: float,
        session: Session,
        body: Any,
        priority: int,
        delay: float,
        ttr: float,
    ) -> Record:
        """Take an id for a job whose body is still to come; it is INVALID till then.

        It can be peeked at, and nothing else. A session that uses a tube has at most
        one such job, in that tube. Cost: O(1).
        """
        self.cmd_put += 1
        session.is_producer = True
        job_id = next(self.ids)
        record = new_record(job_id, body, session.used, priority, delay, ttr, now)
        record.state = JobState.INVALID
        self.jobs[record.id] = record
        session.incoming = record
        return record

    def finish_put(self, now: float, session: Session, body: Any) -> int:
        """Put the session's half-received job, now that its body is there.

        It does not wait for room: whoever waits over the wire is not heard meanwhile.

        Raises:
            DrainingError: The broker is draining. The id is spent, as it is below.
            TubeFullError: The tube has no room, as for the server, whose disk is full
                (walresvput in enqueue_incoming_job).

        Cost: that of `put`.
        """
        record = session.incoming
        assert record is not None  # it was begun
        tube: Tube = record.tube
        if self.draining:
            self.abort_put(now, session)
            raise DrainingError
        if tube.room is not None and not tube.room.takes(1):
            self.abort_put(now, session)
            raise TubeFullError(tube.name, tube.room.maxsize)
        session.incoming = None
        record.body = body
        tube.total_jobs += 1
        if record.delay:
            self._delay(now, record)
        else:
            self._make_ready(now, record)
        return record.id

    def abort_put(self, _now: float, session: Session) -> None:
        """Forget the session's half-received job, if any; its id is spent. Cost: O(1)."""
        if session.incoming is not None:
            del self.jobs[session.incoming.id]
            session.incoming = None
