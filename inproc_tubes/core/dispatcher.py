"""The dispatcher: it matches jobs with the reserves, and room with the puts, that wait.

It keeps these rules, whatever verb or moment makes it move:

1.  No tube that is not paused has both a ready job and a waiting reserve: a job that
    becomes ready is handed, reserved, to the reserve that has waited longest.
2.  No put waits while there is room for it and nobody before it: see `admission`.
3.  A request is answered once. It is woken as it is answered.
4.  What falls due is carried out in the order of beanstalkd's ``prottick`` (prot.c):
    delays, then pauses, then reservations and timeouts. Lives end before pauses do.

It checks nothing: the verbs of `engine.Engine` have done so.

Function names in comments are those of beanstalkd's ``prot.c`` if not said otherwise.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Final

from inproc_tubes.errors import (
    DeadlineSoonError,
    NotFoundReason,
    TimedOutError,
    TooManyTriesError,
)

from .failure import tries_error
from .limits import SAFETY_MARGIN
from .lives import Lives
from .native import mypyc_attr
from .ready import key_of
from .record import NO_HISTORY, JobRecord, JobState
from .requests import NOBODY, OVER, JoinRequest, PutRequest, ReserveRequest
from .turn import TURN

if TYPE_CHECKING:
    from collections.abc import Callable

    from inproc_tubes.errors import TubesError

    from .admission import Admission
    from .counts import CommandCounts
    from .job import AnyHandle
    from .keys import Verdict
    from .limits import Seconds
    from .promise import Promise
    from .record import AnyJob
    from .reserve_queue import ReserveQueue
    from .schedule import AnyRequest, Schedule
    from .session import Session
    from .store import Store
    from .tube import Tube
    from .turn import Turn

__all__ = ["Dispatcher"]

_READY: Final = JobState.READY
_RESERVED: Final = JobState.RESERVED
_DELAYED: Final = JobState.DELAYED


@mypyc_attr(allow_interpreted_subclasses=True)  # a test says who is served
class Dispatcher:
    """What moves jobs between states, and answers requests."""

    __slots__ = (
        "admission",
        "counts",
        "jobs",
        "queue",
        "schedule",
        "store",
        "tubes",
        "turn",
    )

    def __init__(
        self,
        turn: Turn,
        store: Store,
        queue: ReserveQueue,
        admission: Admission,
        schedule: Schedule,
        counts: CommandCounts,
    ) -> None:
        self.turn: Turn = turn
        self.store: Store = store
        self.jobs: dict[int, AnyJob] = store.jobs
        self.tubes: dict[str, Tube] = store.tubes
        self.queue: ReserveQueue = queue
        self.admission: Admission = admission
        self.schedule: Schedule = schedule
        self.counts: CommandCounts = counts

    # Into a tube

    def insert(self, now: float, tube: Tube, job: AnyJob) -> None:
        """Add a job that has its id to a tube."""
        job._tube = tube.name
        job._created_at = now
        if job._delay:
            job._state = _DELAYED
            job._due_at = now + job._delay
        self.jobs[job._id] = job  # from here on it is put
        tube.total_jobs += 1
        if self.turn.log is not None:
            self.turn.log.put(now, job)
        if job._delay:
            self.delay(tube, job)
        else:
            self.make_ready(now, job)

    def delay(self, tube: Tube, job: AnyJob) -> None:
        """Give a delayed job that is in no index its place."""
        tube.delayed.add(job)
        self.schedule.plan_tube(tube, job._due_at)

    def insert_many(
        self,
        now: float,
        tube: Tube,
        jobs: list[AnyJob],
        ids: list[int],
        request: PutRequest | None = None,
        answer: list[int] | None = None,
    ) -> None:
        """Add jobs that have these ids, and are alike, all of them or none.

        If there is a request for it, that is answered: by the ids, if not otherwise.
        """
        name = tube.name
        for job in jobs:
            job._tube = name
            job._created_at = now
        delay = jobs[0]._delay
        if delay:
            for job in jobs:
                job._state = _DELAYED
                job._due_at = now + delay
        self.turn.unfinished = jobs
        self.jobs.update(zip(ids, jobs, strict=True))
        if request is not None:
            request.outcome = ids if answer is None else answer
        self.turn.unfinished = TURN  # from here on they are put
        tube.total_jobs += len(jobs)
        self.store.promises.add(jobs[0])  # who submits a job puts it alone
        self._record_puts(now, jobs)
        if delay:
            for job in jobs:
                tube.delayed.add(job)
            self.schedule.plan_tube(tube, now + delay)
        else:
            tube.ready.add_many(jobs)
            if jobs[0]._history.life != inf:
                for job in jobs:
                    self.start_life(now, tube, job)
            for watch_set in tube.watch_sets:
                watch_set.offer(tube, key_of(jobs[0]))
            self.serve(now, tube)

    def _record_puts(self, now: float, jobs: list[AnyJob]) -> None:
        if self.turn.log is not None:
            for job in jobs:
                self.turn.log.put(now, job)

    def let_in(self, now: float, tube: Tube, request: PutRequest) -> None:
        """Answer a put that waits: there is room for it now."""
        jobs = request.jobs
        if request.on_duplicate:
            verdict = self.store.keys.judge(tube.name, jobs, request.on_duplicate)
            if verdict.error is not None:
                request.outcome = verdict.error
                return
            jobs = verdict.new
            self.store.number(jobs)
            self.insert_unique(now, tube, verdict, request)
        else:
            self.insert_many(now, tube, jobs, self.store.number(jobs), request)
        self.counts.other_puts -= len(jobs)  # they count as jobs from now on

    # Unique jobs

    def put_unique(
        self, now: float, tube: Tube, jobs: list[AnyJob], on_duplicate: str
    ) -> list[int] | None:
        """Put jobs with keys; None means that there is no room for them.

        Raises:
            DuplicateJobError: A key is in use, and that is not allowed.

        Cost: that of `insert_many`.
        """
        verdict = self.store.keys.judge(tube.name, jobs, on_duplicate)
        if verdict.error is not None:
            self.counts.other_puts += len(jobs)
            self.turn.refuse(verdict.error)
        if verdict.room and not tube.admits(verdict.room):
            self.counts.other_puts += len(jobs)
            return None
        self.counts.other_puts += len(jobs) - len(verdict.new)
        self.store.number(verdict.new)
        ids = self.insert_unique(now, tube, verdict)
        self.after_leaving(now, tube)
        return ids

    def put_unique_later(
        self, now: float, tube: Tube, jobs: list[AnyJob], on_duplicate: str
    ) -> None:
        """Put jobs with keys that have their ids, or drop those that are not wanted."""
        verdict = self.store.keys.judge(tube.name, jobs, on_duplicate)
        self.counts.other_puts += len(jobs) - len(verdict.new)
        if verdict.new:
            self.insert_unique(now, tube, verdict)
            self.after_leaving(now, tube)
        self.turn.after.append(jobs.copy())
        jobs.clear()

    def insert_unique(
        self,
        now: float,
        tube: Tube,
        verdict: Verdict,
        request: PutRequest | None = None,
    ) -> list[int]:
        """Add the new ones of some jobs, which have their ids; delete the replaced.

        Returns the ids that stand for all of them. If there is a request, that is
        answered.
        """
        new = verdict.new
        replaced = verdict.replaced
        # To each either a new job or one that is kept, or both.
        entering = iter(new)
        ids: list[int] = []
        for other in verdict.there:
            if other is None or replaced:
                job = next(entering)
                ids.append(job._id)
                if other is not None:
                    # From when the new one is put, this one is deleted.
                    other._own_history().successor = job._id
            else:
                ids.append(other._id)
        if new:
            new_ids = [job._id for job in new]
            self.insert_many(now, tube, new, new_ids, request, ids)
        elif request is not None:
            request.outcome = ids
        for job in new:
            self.store.keys.add(job)
        for job in replaced:
            self.store.leave(job)
            self.store.delete(job)
            if self.turn.log is not None:
                self.turn.log.deleted(now, job, False)  # noqa: FBT003 - see there
            self.turn.after.append(job)
        if request is not None:
            # These were waited for. What has replaced another job is not taken back.
            self.turn.after.append(request.jobs)
            pairs = zip(request.jobs, verdict.there, strict=True)
            request.jobs = [job for job, other in pairs if other is None]
        return ids

    # Into a reservation, and out of it

    def hold(self, now: float, job: AnyJob, session: Session) -> AnyHandle:
        """Let a session hold a job that is in no index; return its handle."""
        history = job._history
        if history is not NO_HISTORY and history.expires_at != inf:
            self.stop_life(now, job)
        reserves = job._reserves
        if reserves:
            self.turn.after.append(job)  # the handle of its last holder
            job = self.store.renew(job)
        turn = self.turn
        turn.unfinished = job
        job._state = _RESERVED
        job._holder = session.holder
        job._reserves = reserves + 1
        job._due_at = due_at = now + job._ttr
        session.recent[job._id] = job  # from here on it is held
        if turn.log is not None:
            turn.log.reserved(now, job)
        if due_at < session.planned_at or session.tickets:
            self.schedule.plan_deadline(session, job)
        return job  # type: ignore[return-value]  # every record is one

    def make_ready(self, now: float, job: AnyJob) -> None:
        """Give a job that is in no index its place, or to the reserve that waits."""
        tube = self.tubes[job._tube]
        job._state = _READY
        request = self.queue.first_for(tube)
        if request is not None:
            self.hand_over(now, job, request)
            return
        tube.ready.add(job)
        if job._history.life != inf:
            self.start_life(now, tube, job)
        for watch_set in tube.watch_sets:
            watch_set.offer(tube, key_of(job))

    def put_back(
        self, now: float, job: AnyJob, delay: Seconds, name: str | None = None
    ) -> None:
        """Give a job that was released, or has expired, its place, or bury it.

        If a tube is named, it belongs to that from now on. It is buried if it was
        reserved as often as its tube allows.
        """
        tube = before = self.tubes[job._tube]
        if name is not None and name != tube.name:
            tube = self.store.tube(name)
            self.store.transfer(job, tube)
            if self.turn.log is not None:
                self.turn.log.moved(now, job, before.name)
        if tube.max_tries and job._reserves >= tube.max_tries:
            history = job._own_history()
            history.buries += 1
            history.error = tries_error(job._reserves, tube.name, now, history.error)
            if history.promise is not None:
                history.promise.error = TooManyTriesError(
                    job._id, tube.name, job._reserves
                )
            self.store.bury(job)
            if self.turn.log is not None:
                self.turn.log.buried(now, job, True, False)  # noqa: FBT003 - see there
            self.store.promises.fail(job)
            self.after_leaving(now, tube)
        elif delay:
            job._due_at = now + delay
            job._state = _DELAYED
            self.delay(tube, job)
        else:
            self.make_ready(now, job)
        if tube is not before:
            self.after_leaving(now, before)

    def start_life(self, now: float, tube: Tube, job: AnyJob) -> None:
        """Let the life of a job run: it is ready."""
        self._begin_life(now, tube, job)
        self.schedule.plan_tube(tube, job._history.expires_at)

    def _begin_life(self, now: float, tube: Tube, job: AnyJob) -> None:
        history = job._own_history()
        if history.expires_at == inf:
            history.expires_at = now + history.life
        if tube.lives is None:
            tube.lives = Lives(self.jobs, tube.name)
        tube.lives.add(job)

    def stop_life(self, now: float, job: AnyJob) -> None:
        """Let the life of a job stand still: it is ready no longer."""
        history = job._own_history()
        history.life = max(0.0, history.expires_at - now)
        history.expires_at = inf

    def hand_over(self, now: float, job: AnyJob, request: ReserveRequest) -> None:
        """Answer a reserve with a job that is in no index."""
        before = self.turn.unfinished
        held = self.hold(now, job, request.session)
        request.outcome = held  # from here on it is answered
        self.turn.unfinished = before
        self.strike_out(request)

    def serve(self, now: float, tube: Tube) -> None:
        """Answer the reserves that wait for a job of this tube, as long as it has one."""
        # process_queue: only here is there a choice of jobs, and the best goes first.
        while (request := self.queue.first_for(tube)) is not None:
            job = tube.ready.pop()
            if job is None:
                break
            self.hand_over(now, job, request)

    def give_back(self, now: float, session: Session, jobs: list[AnyJob]) -> None:
        """Undo reservations that their consumer was never told of.

        Cost: that of `release` for each.
        """
        for job in jobs:
            if session.held.get(job._id) is job:
                session.held.remove(job._id)
                if self.turn.log is not None:
                    self.turn.log.returned(now, job)
                # Another object: if this is tried again, it has no effect.
                renewed = self.store.renew(job)
                renewed._reserves -= 1
                self.make_ready(now, renewed)
        self.drop_if_idle(session)

    # Requests

    def answer(self, request: AnyRequest, error: TubesError) -> None:
        """Answer a request with an error."""
        request.outcome = error
        self.strike_out(request)

    def strike_out(self, request: AnyRequest) -> None:
        """Wake a request that has its outcome, and let it wait no longer."""
        request.sleeper.wake()
        request.sleeper = NOBODY  # it refers to the request, and that to the job
        self.remove(request)

    def remove(self, request: AnyRequest) -> None:
        """Let a request wait no longer."""
        self.schedule.leave(request)
        if isinstance(request, ReserveRequest):
            self.queue.remove(request)
        elif isinstance(request, PutRequest):
            self.admission.remove_put(request)
        elif isinstance(request, JoinRequest):
            self.admission.remove_join(request)
        else:
            self.store.promises.remove_request(request)

    def withdraw(self, now: float, request: AnyRequest) -> None:
        """Leave the queue as if that request had never been.

        If a reserve was answered meanwhile with a job, the job goes back to its place,
        and its reservation has never been. If a put was let in, its jobs, whose ids
        nobody will ever know, are taken back, but for those that somebody has reserved.

        Cost: that of `release`, or of `delete` for each job that was put.
        """
        if isinstance(request, ReserveRequest):
            if request.ticket in self.queue.requests:
                self.strike_out(request)
            if isinstance(request.outcome, JobRecord):
                self.give_back(now, request.session, [request.outcome])
                request.outcome = OVER
        elif isinstance(request, PutRequest):
            if request.ticket in self.admission.puts:
                self.strike_out(request)
                self.after_leaving(now, self.tubes[request.tube])
            if isinstance(request.outcome, list):
                self._take_back(now, request.jobs)
        elif (
            request.ticket in self.admission.joins
            or request.ticket in self.store.promises.requests
        ):
            self.strike_out(request)

    def keep_promise(self, promise: Promise) -> None:
        """Answer the requests that wait for a promise that is due. Cost: O(1) for each."""
        for ticket in list(promise.tickets):
            request = self.store.promises.requests[ticket]
            request.outcome = promise
            self.strike_out(request)

    def time_out(self, _now: float, request: ReserveRequest) -> None:
        """Answer a reserve TIMED_OUT ahead of time, unless it was answered.

        conn_process_io does so to a client that has hung up half-way. Cost: O(log n)
        with a timeout, else O(1).
        """
        if request.outcome is None:
            self.answer(request, TimedOutError(request.timeout))

    def _take_back(self, now: float, jobs: list[AnyJob]) -> None:
        for put in jobs:
            job = self.jobs.get(put._id)
            if job is not None and not job._reserves:
                tube = self.store.undo_put(job)
                if self.turn.log is not None:
                    self.turn.log.deleted(now, job, False)  # noqa: FBT003 - see there
                self.counts.other_puts += 1  # it was asked for
                self.after_leaving(now, tube)

    def refuse_puts(
        self,
        now: float,
        requests: list[PutRequest],
        error: Callable[[PutRequest], TubesError],
    ) -> None:
        """Refuse these puts, all before another is let in in their place."""
        for request in requests:
            request.outcome = error(request)
            self.strike_out(request)
        for name in dict.fromkeys(request.tube for request in requests):
            self.after_leaving(now, self.tubes[name])

    def fail_all(self, _now: float, error: Callable[[str], TubesError]) -> None:
        """Answer every request with an error, which is made of what it waits for.

        Cost: O(number of requests), and for each that of its tubes.
        """
        # All of them get their outcomes first, so that nobody is let in meanwhile.
        requests = self.requests()
        for request in requests:
            request.outcome = error(request.describe())
        for request in requests:
            self.strike_out(request)

    def requests(self) -> list[AnyRequest]:
        """Return all pending requests."""
        return [
            *self.queue.requests.values(),
            *self.admission.puts.values(),
            *self.admission.joins.values(),
            *self.store.promises.requests.values(),
        ]

    def after_leaving(self, now: float, tube: Tube) -> None:
        """Go on after a job has left a tube or was buried, or a put waits no longer.

        The puts that fit now are let in, and the joins that this tube has held up go on.
        """
        while (request := self.admission.next_put(tube)) is not None:
            self.let_in(now, tube, request)
            self.strike_out(request)
        for join in self.admission.done_joins(tube):
            self.strike_out(join)
        self.admission.drop_occupancy(tube)
        self.free_if_unreferenced(tube)

    # Tubes and sessions

    def free_if_unreferenced(self, tube: Tube) -> None:
        """Remove a tube that nothing keeps alive any more."""
        if not tube.referenced:
            self.store.free(tube)
            self.schedule.forget_tube(tube)

    def end_pause(self, now: float, tube: Tube) -> None:
        """Deliver the jobs of a tube again."""
        was_paused = tube.paused_until != 0.0
        tube.paused_until = tube.pause = 0.0
        if was_paused and self.turn.log is not None:
            self.turn.log.tube_resumed(now, tube.name)
        self.serve(now, tube)
        for watch_set in tube.watch_sets:
            watch_set.look_at(tube)

    def rebuild_lives(self, now: float) -> None:
        """Let the lives of all ready jobs run anew. The schedule is made anew after this.

        Cost: O(n log n).
        """
        for tube in self.tubes.values():
            if tube.lives is not None:
                tube.lives.rebuild([])
        for job in self.jobs.values():
            if job._state is _READY and job._history.life != inf:
                self._begin_life(now, self.tubes[job._tube], job)

    def drop_if_idle(self, session: Session) -> None:
        """Forget a session that is no client and holds no job."""
        if session.is_abandoned and not len(session.held):
            session.is_abandoned = False
            self.schedule.forget_session(session)

    # Time

    def catch_up(self, now: float) -> None:
        """Carry out all that is due by now, in the order of prottick.

        Cost: O(log n) for each job and request that is due.
        """
        tubes = self.schedule.take_tubes(now)
        self._mature(now, tubes)
        tubes = self._end_lives(now, tubes)
        for tube in sorted(tubes, key=self.store.tube_list.place):
            if tube.paused_until and tube.paused_until <= now:
                self.end_pause(now, tube)
        for tube in tubes:
            if tube.due_at != inf:
                self.schedule.plan_tube(tube, tube.due_at)
        while (moment := self.schedule.first_of_clients) <= now:
            self._end_moment(now, moment)
        self.schedule.settle()

    def _mature(self, now: float, tubes: list[Tube]) -> None:
        """Make delayed jobs ready: the soonest first, on a tie by the tube's place."""
        due: list[tuple[float, int, int]] = []
        for tube in tubes:
            jobs = tube.delayed.take(now)
            if self.queue.first_for(tube) is None:
                # Nobody sees in which order they become ready.
                for job in jobs:
                    job._state = _READY
                    if self.turn.log is not None:
                        self.turn.log.ready(now, job)
                    if job._history.life != inf:
                        self.start_life(now, tube, job)
                tube.ready.add_many(jobs)
                for watch_set in tube.watch_sets:
                    watch_set.look_at(tube)
            else:
                place = self.store.tube_list.place(tube)
                due += [(job._due_at, place, job._id) for job in jobs]
        due.sort()
        for _, _, job_id in due:
            job = self.jobs[job_id]
            job._state = _READY
            if self.turn.log is not None:
                self.turn.log.ready(now, job)
            self.make_ready(now, job)

    def _end_lives(self, now: float, tubes: list[Tube]) -> list[Tube]:
        """Delete the jobs that expire: the soonest first, on a tie by the tube's place.

        Before pauses end: a job that has expired is handed to nobody. Returns the tubes
        that are still there.
        """
        due: list[tuple[float, int, int]] = []
        for tube in tubes:
            if tube.lives is not None:
                place = self.store.tube_list.place(tube)
                jobs = tube.lives.take(now)
                due += [(job._history.expires_at, place, job._id) for job in jobs]
        due.sort()
        for _, _, job_id in due:
            job = self.jobs.get(job_id)
            # A put that was let in meanwhile may have replaced it.
            if job is not None:
                self.store.leave(job)
                self.store.gone.remember(job_id, NotFoundReason.OUTDATED)
                tube = self.store.delete(job)
                tube.expired += 1
                if self.turn.log is not None:
                    self.turn.log.expired(now, job)
                self.turn.after.append(job)
                self.after_leaving(now, tube)
        return [tube for tube in tubes if self.tubes.get(tube.name) is tube]

    def _end_moment(self, now: float, moment: float) -> None:
        """Carry out what falls due for clients in one moment: a job beats an error.

        In conn_timeout a client that is late is told DEADLINE_SOON although it has just
        been given a job, which it then holds unknowingly. That is not copied: here the
        moments pass in their order, even when all are late.
        """
        sessions = self.schedule.take_sessions(moment)
        for session in sessions:
            for job in session.held.take_due(moment):
                self._expire(now, session, job)
        # A session that was handed a job that expires within the margin is told, too.
        for session in sessions + self.schedule.take_sessions(moment):
            self._tell_of_deadline(now, moment, session)
        for request in self.schedule.take_requests(moment):
            if request.outcome is None:
                self._time_out(now, request)

    def _expire(self, now: float, session: Session, job: AnyJob) -> None:
        history = job._own_history()
        session.held.remove(job._id)
        history.timeouts += 1
        history.lost = True
        history.expired_at = job._due_at
        self.counts.job_timeouts += 1
        if self.turn.log is not None:
            self.turn.log.timed_out(now, job)
        self.put_back(now, job, 0)
        self.drop_if_idle(session)

    def _tell_of_deadline(self, now: float, moment: float, session: Session) -> None:
        job = session.held.soonest_untold()
        if job is not None and job._due_at - SAFETY_MARGIN <= moment:
            left = max(0.0, job._due_at - now)
            requests = [self.queue.requests[ticket] for ticket in session.tickets]
            told = [request for request in requests if request.told_of_deadlines]
            for request in told:
                self.answer(request, DeadlineSoonError(job._id, left))
            if told:
                self.tell(session, job)
        self.schedule.replan(session, warns=self.queue.warns(session))

    def tell(self, session: Session, job: AnyJob) -> None:
        """Note that a handle is told of the end of a reservation, and not again.

        The server tells a connection as often as it asks: one that asks again at once is
        told a hundred thousand times in the last second.
        """
        if session.stops:
            session.held.tell(job)

    def _time_out(self, now: float, request: AnyRequest) -> None:
        """Answer a request whose timeout has passed."""
        if isinstance(request, PutRequest):
            self.refuse_puts(now, [request], self.admission.too_late)
        else:
            request.outcome = request.too_late()
            self.strike_out(request)
