"""The rules of the queue: a pure function of its state and of the ``now`` it is given.

It decides who gets which job, and when, and what everybody who waits is answered. The
rules that it obeys:

1.  Every change of a job's state happens here and in what it holds: the `Dispatcher`,
    the `Clients`, the `Store`.
2.  It never asks what time it is. ``now`` does not run backwards.
3.  It never blocks, and it calls no user's code.
4.  Check first, change after: an illegal verb raises and *nothing has changed*, but for
    the counter of the command, which counts how often it was asked for (so does
    beanstalkd's). All errors leave through `Turn.refuse`.
5.  A job leaves its index before its sort key changes.
6.  A request is answered exactly once.
7.  No tube that is not paused has both a ready job and a waiting reserve: a job that
    becomes ready is handed, reserved, to the reserve that has waited longest.
8.  No put waits while there is room for it and nobody before it: see `admission`.
9.  The truth is in the jobs, the tubes, the sessions and the pending requests. All else
    is an index, which `recovery.rebuild` makes anew. A verb changes the truth by steps between
    which it is consistent, whatever becomes of the indexes.
10. What it drops is handed out (returned, or appended to ``turn.after``), so that no
    destructor runs inside a turn.

What falls due is carried out by `catch_up`, in the order of beanstalkd's ``prottick``
(prot.c): delays, then pauses, then reservations and timeouts; before the pauses lives
end, which it does not know. A shell calls it before
each verb when ``schedule.due_at`` has come, so that a verb sees no job in a state that
is over.

Function names in comments are those of beanstalkd's ``prot.c`` if not said otherwise.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Final, NoReturn

from inproc_tubes.errors import (
    ClosedError,
    DeadlineSoonError,
    DrainingError,
    JobTooBigError,
    NotFoundError,
    StoppedError,
    TimedOutError,
)

from .admission import Admission
from .clients import Clients
from .counts import CommandCounts
from .dispatcher import Dispatcher
from .failure import JobError
from .interventions import Interventions
from .limits import DEFAULT_TUBE, SAFETY_MARGIN
from .reasons import why_not
from .record import JobState
from .requests import (
    NOBODY,
    WITHOUT_WARNING,
    JoinRequest,
    PutRequest,
    ReserveRequest,
)
from .reserve_queue import ReserveQueue
from .schedule import Schedule
from .store import Store
from .tube import TubeList
from .turn import Turn
from .wire_puts import WirePuts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .failure import Failure
    from .job import AnyHandle
    from .limits import JobId, Seconds
    from .record import AnyJob
    from .session import Session
    from .tube import Tube

__all__ = ["Engine"]

# Final, as everywhere in the core: compiled code need not look them up.
_READY: Final = JobState.READY
_RESERVED: Final = JobState.RESERVED
_DELAYED: Final = JobState.DELAYED
_BURIED: Final = JobState.BURIED
_INVALID: Final = JobState.INVALID
_GONE: Final = JobState.GONE
_next: Final = next


class Engine:
    """Everything that happens in one broker. It has no lock.

    - Clients: `open_session`; what becomes of them, and what they use and watch: `Clients`.
    - All of it: `drain`, `stop`, `close`.
    - Tubes: `pause_tube`, `limit_tube`.
    - What the owner of the broker does to jobs: `Interventions`.
    - Putting: `put`, `put_many`, `wait_to_put`; over the wire `wire_puts`.
    - Reserving: `reserve`, `reserve_many`, `reserve_job`, `wait_to_reserve`.
    - Settling: `delete`, `release`, `bury`, `touch`; `settle`, `fail`, `cancel`.
    - Kicking: `kick`, `kick_job`.
    - Requests: `join`; `withdraw`, `time_out` and `fail_all` of `Dispatcher`.
    - Time: `catch_up`, `next_due`.

    Attributes:
        turn: What it is in the middle of.
        schedule: When it is to be asked again. It stays the same for life.
        stopped: What has stopped the broker, once it is.
        closed: What has closed the broker, once it is.
    """

    def __init__(self) -> None:
        self.turn: Turn = Turn()
        self.schedule: Schedule = Schedule(self.turn.after)
        self.counts: CommandCounts = CommandCounts()
        self.stopped: str | None = None
        self.closed: str | None = None
        self._begin()

    def _begin(self) -> None:
        """Have no jobs, and no clients."""
        self.store: Store = Store(self.turn.after)
        # The same dict, one step nearer; so are these:
        self.jobs: dict[int, AnyJob] = self.store.jobs
        self.tubes: dict[str, Tube] = self.store.tubes
        self.ids: Iterator[JobId] = self.store.ids
        self.queue: ReserveQueue = ReserveQueue()
        self.admission: Admission = Admission(self.tubes, self.store.keys)
        self.dispatch: Dispatcher = Dispatcher(
            self.turn,
            self.store,
            self.queue,
            self.admission,
            self.schedule,
            self.counts,
        )
        self.clients: Clients = Clients(self.dispatch)
        self.wire_puts: WirePuts = WirePuts(self.dispatch)
        self.interventions: Interventions = Interventions(self.dispatch)
        self.store.tube(DEFAULT_TUBE).pinned = True

    # Clients

    def open_session(
        self,
        now: float,
        used: str | None,
        watched: Iterable[str],
        stops: bool = True,  # noqa: FBT001, FBT002 - a turn passes arguments by position
        name: str = "",
    ) -> Session:
        """Add a client. Cost: O(number of tubes).

        Args:
            now: The moment.
            used: The tube that it puts into, None for one that does not put.
            watched: The tubes that it reserves from.
            stops: Whether `stop` applies to it; then it may be stopped already.
            name: What it is called, for whoever asks who holds a job.
        """
        session = self.clients.open(used, watched)
        session.stops = stops
        session.name = name
        if self.turn.log is not None:
            self.turn.log.opened(now, session)
        if self.stopped is not None and stops:
            self.clients.stop_session(now, session, self.stopped)
        return session

    def close(self, what: str) -> None:
        """End everything: what waits is answered, and the jobs are gone.

        Cost: O(number of sessions and requests).
        """
        if self.closed is None:
            self.closed = what
        what = self.closed
        for session in self.clients.everyone():
            session.closed = what
            jobs = session.held.in_sequence()
            for job in jobs:
                job._own_history().lost = True
            self.turn.after.append(jobs)
            session.held.rebuild([])
            self.turn.after.append(session.watched)  # their tubes refer to jobs
            session.watched = TubeList()
            session.used = session.only = session.watch_set = session.incoming = None
        for request in self.dispatch.requests():
            if request.outcome is None:
                request.outcome = ClosedError(what)
            request.sleeper.wake()
            request.sleeper = NOBODY
        self.store.promises.close(what)
        self.turn.after.append(self.dispatch)
        self._begin()
        self.schedule.rebuild((), (), ())  # it refers to the jobs, by their tubes
        self.schedule.due_at = -inf  # so that every verb calls catch_up, and is refused

    def drain(self, now: float) -> None:
        """Refuse every put from now on (enter_drain_mode), also those that wait.

        Cost: O(1), and O(log n) for each put that waits.
        """
        self.store.drain()
        puts = list(self.admission.puts.values())
        self.dispatch.refuse_puts(now, puts, lambda _: DrainingError())

    def stop(self, now: float, what: str) -> None:
        """Let all clients reserve no more, and nothing wait for what they would do.

        Puts that wait for room are refused, and joins, and those that come later. Over
        the wire all goes on. A second call has no effect.

        Cost: O(number of sessions and tubes), and O(log n) for each request.
        """
        if self.stopped is None:
            self.stopped = what
        what = self.stopped
        for session in self.clients.sessions:
            if session.stops:
                self.clients.stop_session(now, session, what)
        puts = list(self.admission.puts.values())
        self.dispatch.refuse_puts(now, puts, lambda _: StoppedError(what))
        for join in list(self.admission.joins.values()):
            self.dispatch.answer(join, StoppedError(what))

    # Tubes

    def pause_tube(self, now: float, name: str, delay: Seconds) -> None:
        """Deliver no job of this tube for so long; a new pause replaces the old.

        Cost: O(log n); with 0, that of serving the reserves that wait.
        """
        self.counts.pause_tube += 1
        tube = self.tubes.get(name)
        if tube is None:
            self.turn.refuse(NotFoundError(None, name))
        tube.cmd_pause_tube += 1
        if delay:
            tube.pause = delay
            tube.paused_until = now + delay
            if self.turn.log is not None:
                self.turn.log.tube_paused(now, name, delay)
            self.schedule.plan_tube(tube, tube.paused_until)
        else:
            self.dispatch.end_pause(now, tube)

    def limit_tube(self, now: float, name: str, maxsize: int) -> None:
        """Let the tube have so many jobs, 0 for any number; what fits comes in.

        A tube that is limited stays, though nothing else refers to it. A batch that
        waits and is too large for the new limit is refused.

        Cost: O(number of puts that wait there), and that of those let in.
        """
        tube = self.store.tube(name) if maxsize else self.tubes.get(name)
        if tube is not None:
            before = tube.maxsize
            too_large = self.admission.set_limit(tube, maxsize)
            if self.turn.log is not None and maxsize != before:
                self.turn.log.tube_limited(now, name, maxsize)
            self.dispatch.refuse_puts(now, too_large, self.admission.too_late)
            self.dispatch.after_leaving(now, tube)

    # Putting

    def put(self, now: float, session: Session, job: AnyJob, name: str | None) -> JobId:
        """Add a job to the tube of that name, or to the one the session uses.

        If a reserve waits for it, the job is its answer when this returns. A refusal
        while draining takes an id, as in enqueue_incoming_job. Returns the id, or 0 if
        the tube has no room: then `wait_to_put` decides what happens.

        Cost: O(1) for a job of the tube's usual priority, else O(log n); and O(1) for
        each watch set that the tube is in.
        """
        tube = session.used if name is None else self._tube_to_put(session, name, [job])
        if tube is None:
            self.turn.refuse_closed(session)
        session.is_producer = True
        if not tube.is_plain or job._delay:
            return self._put_with_care(now, tube, job)
        job_id: JobId = _next(self.ids)
        job._id = job_id
        job._tube = tube.name
        job._created_at = now
        self.jobs[job_id] = job  # from here on it is put
        tube.total_jobs += 1
        ready = tube.ready
        if job._priority == ready.lane_priority:
            ready.lane.append(job_id)  # it is the youngest of all
        else:
            ready.add(job)
        return job_id

    def _put_with_care(self, now: float, tube: Tube, job: AnyJob) -> JobId:
        """Put a job with a delay, or into a tube where something may be in the way."""
        if self.store.draining or not tube.admits(1):
            self._refuse_if_draining([job])
            return 0
        job._id = _next(self.ids)
        self.dispatch.insert(now, tube, job)
        return job._id

    def _tube_to_put(
        self, session: Session, name: str, jobs: list[AnyJob]
    ) -> Tube | None:
        """Return the tube of that name; None if the session was closed."""
        if session.closed is not None:
            return None
        session.is_producer = True
        if self.store.draining:
            self._refuse_if_draining(jobs)
        return self.store.tube(name)

    def _refuse_if_draining(self, jobs: list[AnyJob]) -> None:
        """Count puts that make no jobs now; refuse them if the broker drains."""
        self.counts.other_puts += len(jobs)
        if self.store.draining:
            self.store.number(jobs)
            self.turn.refuse(DrainingError())

    def put_numbered(
        self,
        now: float,
        session: Session,
        jobs: list[AnyJob],
        name: str | None,
        on_duplicate: str = "",
    ) -> None:
        """Put jobs that got their ids before: in a turn that this put has interrupted.

        They cannot wait, so they are let in although their tube may be full. If their
        session was closed meanwhile, or the broker drained, they are dropped; so are
        those whose keys are in use. A second call has no effect.

        Cost: that of `put` for each, and O(log n) if a younger job was put first.
        """
        if session.closed is not None or self.store.draining:
            self.counts.other_puts += len(jobs)
            self.turn.after.append(jobs.copy())
            jobs.clear()
            return
        tube = session.used if name is None else self.store.tube(name)
        assert tube is not None  # a session that puts uses a tube
        if jobs and all(self.jobs.get(job._id) is not job for job in jobs):
            session.is_producer = True
            if on_duplicate:
                self.dispatch.put_unique_later(now, tube, jobs, on_duplicate)
            else:
                self.dispatch.insert_many(now, tube, jobs, [job._id for job in jobs])

    def put_many(
        self,
        now: float,
        session: Session,
        jobs: list[AnyJob],
        name: str | None,
        on_duplicate: str = "",
    ) -> list[int] | None:
        """Add several jobs at once; each counts as a put.

        None means that there is no room for all of them: then `wait_to_put` decides.
        Where reserves wait, the first job goes to the first of them. For
        ``on_duplicate`` see `PutRequest`.

        Cost: O(1) for each job, and that of those handed over.
        """
        if not jobs and session.closed is None and not self.store.draining:
            session.is_producer = True
            return []
        tube = session.used if name is None else self._tube_to_put(session, name, jobs)
        if tube is None:
            self.turn.refuse_closed(session)
        session.is_producer = True
        if on_duplicate and not self.store.draining:
            return self.dispatch.put_unique(now, tube, jobs, on_duplicate)
        if self.store.draining or not tube.admits(len(jobs)):
            self._refuse_if_draining(jobs)
            return None
        ids = self.store.number(jobs)
        self.dispatch.insert_many(now, tube, jobs, ids)
        return ids

    def wait_to_put(self, now: float, request: PutRequest) -> None:
        """Let a put wait, after `put` or `put_many` has found no room.

        If there is room now, it has its outcome when this returns.

        Raises:
            TubeFullError: The timeout is 0, or the batch is larger than the limit.
            StoppedError: The broker was stopped: nobody makes room.

        Cost: O(log n) with a timeout, else O(1).
        """
        session = request.session
        if session.closed is not None:
            self.turn.refuse_closed(session)
        if self.store.draining:
            self.turn.refuse(DrainingError())
        tube = self.store.tube(request.tube) if request.tube else session.used
        assert tube is not None  # a session that puts uses a tube
        request.tube = tube.name
        if self.admission.admits(tube, request):
            self.dispatch.let_in(now, tube, request)
            self.dispatch.after_leaving(now, tube)
            return
        assert tube.occupancy is not None  # else it would have been admitted
        if request.timeout == 0 or request.size > tube.occupancy.maxsize:
            self.turn.refuse(self.admission.too_late(request))
        if self.stopped is not None:
            self.turn.refuse(StoppedError(self.stopped))
        self.schedule.enter(now, request)
        self.admission.add_put(tube, request)

    def refuse_put(
        self, _now: float, session: Session, size: int, limit: int, count: int
    ) -> NoReturn:
        """Count so many puts, of which one body is too large; no id is taken.

        Cost: O(1).
        """
        if session.closed is not None:
            self.turn.refuse_closed(session)
        self.counts.other_puts += count
        self.turn.refuse(JobTooBigError(size, limit))

    # Reserving

    def reserve(
        self, now: float, session: Session, timeout: float | None
    ) -> AnyHandle | None:
        """Take the first job by (priority, id) of all watched tubes not paused.

        None means that there is none: then `wait_to_reserve` decides what happens. The
        timeout decides here only which of two commands is counted.

        Cost: O(log n) amortised, and O(number of watched tubes) for the first session
        that watches exactly these.
        """
        tube = session.only
        if tube is None:
            if session.watch_set is None:
                self.turn.refuse_if_stopped(session)
            tube = self.queue.best_tube(session)
        if timeout is WITHOUT_WARNING or timeout is None:
            session.cmd_reserve += 1
        else:
            session.cmd_reserve_with_timeout += 1
        if tube is None or tube.paused_until:
            return None
        ready = tube.ready
        if not ready.in_order:
            job = ready.pop()
        elif ready.lane:
            job = self.jobs[ready.lane.popleft()]
        else:
            return None
        return None if job is None else self.dispatch.hold(now, job, session)

    def reserve_many(
        self, now: float, session: Session, n: int, timeout: float | None
    ) -> list[AnyHandle]:
        """Take up to ``n`` jobs as so many times `reserve` would.

        Each counts as a reserve; where there is none, none is counted. ``n`` is 0 for
        one that wanted one job, and was given it while it waited.

        Cost: O(log n) for each.
        """
        self.turn.refuse_if_stopped(session)
        session.is_worker = True
        taken: list[AnyJob] = []
        self.turn.batch = taken
        only = session.only
        if only is None:
            while (
                len(taken) < n and (tube := self.queue.best_tube(session)) is not None
            ):
                job = tube.ready.pop()
                assert job is not None  # it is the best
                taken.append(self.dispatch.hold(now, job, session))
        elif not only.paused_until:
            for job in only.ready.pop_many(n):
                taken.append(self.dispatch.hold(now, job, session))  # noqa: PERF401 - `batch` is seen, if this is broken off
        self.turn.unfinished = taken
        self.turn.batch = None
        if timeout is None:
            session.cmd_reserve += len(taken)
        else:
            session.cmd_reserve_with_timeout += len(taken)
        return taken  # type: ignore[return-value]  # every record is one

    def wait_to_reserve(self, now: float, request: ReserveRequest) -> None:
        """Let a reserve wait, after `reserve` has found nothing.

        Raises:
            DeadlineSoonError: A job that its session holds expires within the safety
                margin (conndeadlinesoon in conn.c), and the session was not yet told of
                that, unless it is a wire's. A ready job in a paused tube would delay
                this answer by a tick, which cannot be seen.
            TimedOutError: The timeout is 0.

        Cost: O(1), O(log n) with a timeout or where the session holds jobs.
        """
        session = request.session
        holds = len(session.held) > 0
        if holds and request.told_of_deadlines:
            job = session.held.soonest_untold()
            if job is not None and job._due_at - SAFETY_MARGIN <= now:
                self.dispatch.tell(session, job)
                self.turn.refuse(DeadlineSoonError(job._id, job._due_at - now))
        if request.timeout == 0:
            self.turn.refuse(TimedOutError(0))
        self.schedule.enter(now, request)
        self.queue.add(request)
        if holds:
            self.schedule.replan(session, warns=self.queue.warns(session))

    def reserve_job(self, now: float, session: Session, job_id: JobId) -> AnyHandle:
        """Take this job, whatever tube it is in, unless somebody holds it.

        Cost: O(log n).
        """
        self.turn.refuse_if_stopped(session)
        job = self.jobs.get(job_id)
        if job is None or job._state is _RESERVED or job._state is _INVALID:
            self.turn.refuse(why_not(self.store, now, job_id, None, session))
        session.is_worker = True
        self.store.leave(job)
        return self.dispatch.hold(now, job, session)

    # Settling

    def find(self, now: float, job_id: JobId, handle: AnyJob | None) -> AnyJob:
        """Return the job of that id, whatever its state.

        Raises:
            NotFoundError: There is none, or it was reserved since the handle was given
                out.

        Cost: O(1).
        """
        job = self.store.find(job_id, handle)
        if job is None:
            self.turn.refuse(why_not(self.store, now, job_id, handle))
        return job

    def _held(
        self, now: float, session: Session, job_id: JobId, handle: AnyJob | None
    ) -> AnyJob:
        """Return a job that the session holds: is_job_reserved_by_conn."""
        if session.closed is not None:
            self.turn.refuse_closed(session)
        job = self.store.find(job_id, handle)
        if job is None or session.held.get(job_id) is not job:
            self.turn.refuse(why_not(self.store, now, job_id, handle, session))
        return job

    def delete_held(
        self, session: Session, job_id: JobId, handle: AnyJob | None
    ) -> AnyJob | None:
        """Delete a job that the session holds, and return it for the caller to drop.

        None means that this is not as simple as it mostly is: then `delete` does it all.
        This part needs no ``now``.

        Cost: O(1).
        """
        recent = session.recent
        job = recent.get(job_id)
        if job is None or (job is not handle and handle is not None):
            return None
        tube = self.tubes[job._tube]
        if not tube.leaves_plainly or job._history.promise is not None:
            return None
        del self.jobs[job_id]  # from here on it is deleted, as in Store.delete
        del recent[job_id]
        tube.cmd_delete += 1
        job._state = _GONE
        if not (tube.using or tube.watching):
            self.dispatch.free_if_unreferenced(tube)
        return job

    def delete(
        self, now: float, session: Session, job_id: JobId, handle: AnyJob | None
    ) -> AnyJob:
        """End a job that the session holds, or that nobody holds; return it.

        Cost: O(1) amortised.
        """
        if session.closed is not None:
            self.turn.refuse_closed(session)
        job = self.store.find(job_id, handle)
        is_held = job is not None and session.held.get(job_id) is job
        if job is None or (
            not is_held and (job._state is _RESERVED or job._state is _INVALID)
        ):
            self.counts.other_deletes += 1
            self.turn.refuse(why_not(self.store, now, job_id, handle, session))
        if not is_held:
            self.store.leave(job)
            if job._history.lost and handle is job:
                job._history.lost = False  # late, and yet done by who had it
        tube = self.store.delete(job, done=True)
        if self.turn.log is not None:
            self.turn.log.deleted(now, job, is_held)
        if is_held:
            session.held.remove(job_id)
            self.dispatch.drop_if_idle(session)
        self.dispatch.after_leaving(now, tube)
        return job

    def release(
        self,
        now: float,
        session: Session,
        job_id: JobId,
        handle: AnyJob | None,
        priority: int | None,
        delay: Seconds,
        failure: Failure | None = None,
        name: str | None = None,
    ) -> None:
        """Give a held job back, to the tube of that name if any. Cost: O(log n)."""
        self.counts.release += 1
        job = self._held(now, session, job_id, handle)
        if name is not None and name != job._tube:
            error = self.admission.why_not(job, name)
            if error is not None:
                self.turn.refuse(error)
        history = job._own_history()
        session.held.remove(job_id)
        if priority is not None:
            job._priority = priority
        job._delay = delay
        history.releases += 1
        if failure is not None:
            history.error = JobError(*failure, job._tube, job._reserves, now)
        if self.turn.log is not None:
            self.turn.log.released(now, job, delay, failure is not None)
        self.dispatch.put_back(now, job, delay, name)
        self.dispatch.drop_if_idle(session)

    def bury(
        self,
        now: float,
        session: Session,
        job_id: JobId,
        handle: AnyJob | None,
        priority: int | None,
        failure: Failure | None = None,
    ) -> None:
        """Put a held job aside until it is kicked. Cost: O(1)."""
        self.counts.bury += 1
        job = self._held(now, session, job_id, handle)
        history = job._own_history()
        session.held.remove(job_id)
        if priority is not None:
            job._priority = priority
        history.buries += 1
        if failure is not None:
            history.error = JobError(*failure, job._tube, job._reserves, now)
        self.store.bury(job)
        if self.turn.log is not None:
            self.turn.log.buried(now, job, failure is not None, True)  # noqa: FBT003 - see there
        self.dispatch.drop_if_idle(session)
        self.dispatch.after_leaving(now, self.tubes[job._tube])

    def touch(
        self, now: float, session: Session, job_id: JobId, handle: AnyJob | None
    ) -> None:
        """Restart the time to run of a held job. Cost: O(log n)."""
        self.counts.touch += 1
        job = self._held(now, session, job_id, handle)
        if self.turn.log is not None:
            self.turn.log.touched(now, job)
        job._restart(now)
        session.held.postpone(job)

    def settle(self, now: float, session: Session, job: AnyJob) -> AnyJob | None:
        """Leave the with-block of a job that is done: delete it.

        What the block itself did with the job stands. Where the job was lost meanwhile,
        it is deleted if nobody has reserved it yet.

        Cost: that of `delete`.
        """
        is_held = session.held.get(job._id) is job
        if is_held or (job._history.lost and job._id in self.jobs):
            return self.delete(now, session, job._id, job)
        return None

    def fail(
        self, now: float, session: Session, job: AnyJob, failure: Failure | None
    ) -> None:
        """Leave the with-block of a job that has failed: bury it, if it is still held.

        Cost: that of `bury`.
        """
        if session.held.get(job._id) is job:
            self.bury(now, session, job._id, job, None, failure)

    def cancel(self, now: float, session: Session, job: AnyJob) -> None:
        """Leave the with-block of a job that was interrupted: release it, if it is held.

        Cost: that of `release`.
        """
        if session.held.get(job._id) is job:
            self.release(now, session, job._id, job, None, 0)

    def kick(self, now: float, name: str, bound: int) -> int:
        """Make up to ``bound`` buried jobs ready, or delayed ones if none is buried.

        kick_jobs: never both. Buried ones in order of burying, delayed ones in order of
        their moments, each offered to the waiting reserves at once.

        Cost: O(log n) for each job.
        """
        self.counts.kick += 1
        tube = self.tubes.get(name)
        if tube is None:
            return 0
        count = min(bound, len(tube.buried) or len(tube.delayed))
        for _ in range(count):
            if tube.buried:
                _, job = tube.buried.popitem(last=False)
            else:
                job = tube.delayed.pop()
            self._kick(now, job)
        return count

    def kick_job(self, now: float, job_id: JobId, handle: AnyJob | None) -> None:
        """Make this buried or delayed job ready. Cost: O(log n)."""
        job = self.find(now, job_id, handle)
        if job._state is not _BURIED and job._state is not _DELAYED:
            self.turn.refuse(why_not(self.store, now, job_id, handle))
        self.store.leave(job)
        self._kick(now, job)

    def _kick(self, now: float, job: AnyJob) -> None:
        job._own_history().kicks += 1
        if self.turn.log is not None:
            self.turn.log.kicked(now, job)
        self.dispatch.make_ready(now, job)

    # Requests

    def join(self, now: float, request: JoinRequest) -> None:
        """Let a join wait, unless the work is at its end: then it has its outcome.

        Raises:
            TimedOutError: The timeout is 0.
            StoppedError: The broker was stopped: nobody does the work.

        Cost: O(number of tubes), O(log n) with a timeout.
        """
        if self.admission.is_done(request):
            return
        if request.timeout == 0:
            self.turn.refuse(request.too_late())
        if self.stopped is not None:
            self.turn.refuse(StoppedError(self.stopped))
        self.schedule.enter(now, request)
        self.admission.add_join(request)

    # Time

    def catch_up(self, now: float) -> None:
        """Carry out all that is due by now. Cost: O(log n) for each job and request."""
        if self.closed is not None:
            self.turn.refuse(ClosedError(self.closed))
        self.dispatch.catch_up(now)

    def next_due(self) -> float:
        """Return the next moment at which something happens, inf for never.

        Cost: O(log n), amortised.
        """
        return self.schedule.next_due(self.queue.warns)
