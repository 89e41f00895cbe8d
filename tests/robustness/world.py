"""A broker whose verbs are broken off, and what must hold of it afterwards."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from inproc_tubes import Broker, ClosedError, Consumer, EventKind, Job, Producer
from inproc_tubes.core.making import new_job
from inproc_tubes.core.recovery import check
from inproc_tubes.core.requests import (
    WITHOUT_WARNING,
    JoinRequest,
    PutRequest,
    ReserveRequest,
    ResultRequest,
)
from inproc_tubes.core.results import await_end
from inproc_tubes.testing import FakeClock
from inproc_tubes.waiting.threads import ThreadSleeper

if TYPE_CHECKING:
    from collections.abc import Callable

    from inproc_tubes import Event, JobFuture, Subscription
    from inproc_tubes.clock import Parked
    from inproc_tubes.core.record import AnyJob
    from inproc_tubes.core.schedule import AnyRequest

    from .injection import Tracer


class MeanwhileClock(FakeClock):
    """A clock that does something as soon as a thread parks."""

    def __init__(self) -> None:
        super().__init__(start=1000.0)
        self.meanwhile: Callable[[], object] | None = None
        self.tracer: Tracer | None = None

    def park(self, sleeper: Parked, until: float) -> None:
        """Play what another thread does, and return as if woken by it."""
        meanwhile, self.meanwhile = self.meanwhile, None
        assert meanwhile is not None  # else it would park for ever
        assert self.tracer is not None  # the world is being broken
        with self.tracer.paused():
            meanwhile()
        super().park(sleeper, until)


class World:
    """A broker, what was put into it, and who waits there.

    Attributes:
        certain: The bodies of jobs that must be there.
        doubtful: The bodies of jobs that may be there: they are being put or deleted.
        batches: Of these bodies all are there, or none.
        either: Of these bodies one is there.
        handles: The jobs that their consumers were given.
        requests: What was let wait.
        futures: Those of the jobs that were submitted.
    """

    def __init__(self) -> None:
        self.clock = MeanwhileClock()
        self.broker: Broker = Broker(clock=self.clock)
        self.monitor = self.broker._monitor
        self.engine = self.monitor.engine
        self.producer: Producer = self.broker.producer("work")
        self.consumer: Consumer = self.broker.consumer("work")
        self.other: Consumer = self.broker.consumer("work")
        self.certain: set[str] = set()
        self.doubtful: set[str] = set()
        self.batches: list[set[str]] = []
        self.either: list[set[str]] = []
        self.handles: list[Job] = []
        self.requests: list[AnyRequest] = []
        self.futures: list[JobFuture] = []
        # Of each request, which does not refer to it any more once it is answered.
        self.sleepers: list[ThreadSleeper] = []
        self.told: list[Event] = []
        self.follows: Subscription | None = None
        self.blocks: list[Subscription] = []

    # Preparing

    def put(self, *bodies: str, **how: Any) -> int:
        """Put jobs that are certain to be there; return the id of the last one."""
        job_id = 0
        self.puts(*bodies)  # if this is broken off
        for body in bodies:
            job_id = self.producer.put(body, **how)
            self.certain.add(body)
        return job_id

    def puts(self, *bodies: str) -> None:
        """Note that a verb is going to put these."""
        self.doubtful.update(bodies)

    def deletes(self, *bodies: str) -> None:
        """Note that a verb is going to delete these."""
        self.certain.difference_update(bodies)
        self.doubtful.update(bodies)

    def reserve(self, consumer: Consumer | None = None) -> Job:
        """Reserve a job, as a consumer does that goes on to work at it."""
        job = (consumer or self.consumer).reserve(timeout=0)
        self.handles.append(job)
        return job

    def held(self, **how: Any) -> Job:
        """Put a job with the body "a", and reserve it."""
        self.put("a", **how)
        return self.reserve()

    def bury(self, *bodies: str) -> int:
        """Put jobs and bury them; return the id of the last one."""
        job_id = self.put(*bodies)
        for _ in bodies:
            self.consumer.reserve(timeout=0).bury()
        return job_id

    def submit(self, *bodies: str, **how: Any) -> None:
        """Put jobs with these bodies, and wait for what becomes of them."""
        self.certain.update(bodies)
        for body in bodies:
            self.futures.append(self.producer.submit(body, **how))

    def follow(self) -> Subscription:
        """Write down all events from now on."""
        self.follows = self.broker.subscribe(self.told.append)
        return self.follows

    # Waiting. The thread is missing: only its request and its sleeper are there.

    def _wait(self, verb: Callable[[float, Any], None], request: AnyRequest) -> None:
        def enter(now: float) -> None:
            verb(now, request)
            assert request.outcome is None
            self.broker._sleepers.enter(self.monitor, request)

        self.monitor.run(enter)
        assert isinstance(request.sleeper, ThreadSleeper)
        self.requests.append(request)
        self.sleepers.append(request.sleeper)

    def wait_to_reserve(
        self, *consumers: Consumer, timeout: float | None = None
    ) -> None:
        """Let these consumers wait for a job."""
        for consumer in consumers:
            request = ReserveRequest(consumer._session, timeout)
            self._wait(self.engine.wait_to_reserve, request)

    def iterate(self, consumer: Consumer) -> None:
        """Let a consumer wait for the next job of its for-loop."""
        self.wait_to_reserve(consumer, timeout=WITHOUT_WARNING)

    def wait_to_put(
        self, *bodies: str, timeout: float | None = None, tube: str = "work"
    ) -> None:
        """Let a put of these jobs wait for room."""
        jobs: list[AnyJob] = [new_job(body, 7, 0, 60) for body in bodies]
        request = PutRequest(self.producer._session, timeout, jobs, tube)
        self._wait(self.engine.wait_to_put, request)
        self.puts(*bodies)
        self.batches.append(set(bodies))

    def wait_to_join(self, *tubes: str, timeout: float | None = None) -> None:
        """Let a join wait for the end of the work in these tubes, or in all."""
        self._wait(self.engine.join, JoinRequest(timeout, list(tubes) or None))

    def wait_for_result(
        self, future: JobFuture, *, timeout: float | None = None
    ) -> None:
        """Let somebody wait for what becomes of a job."""
        request = ResultRequest(timeout, future.job_id, future)
        self._wait(lambda now, asked: await_end(now, self.engine, asked), request)

    # Checking

    def give(self, result: object) -> None:
        """Note which jobs a verb has returned."""
        results = result if isinstance(result, list) else [result]
        self.handles += [job for job in results if isinstance(job, Job)]

    def verify(self) -> None:
        """Take one more turn, and check that nothing is lost, stuck or miscounted."""
        with suppress(ClosedError):
            self.broker.tubes()
        assert not self.monitor.lock._is_owned()  # type: ignore[attr-defined]  # as the monitor asks
        assert not self.monitor.turn.after
        if self.engine.closed is None:
            check(self.engine)
            self._verify_jobs()
            self._verify_holders()
            self._verify_leader()
        else:
            assert {} == self.engine.jobs
            assert all(request.outcome is not None for request in self.requests)
        self._verify_requests()
        self._verify_futures()
        self._verify_events()

    def _verify_jobs(self) -> None:
        store = self.engine.store
        there = Counter(job._body for job in store.jobs.values())
        assert all(count == 1 for count in there.values()), there
        assert self.certain <= there.keys() <= self.certain | self.doubtful, there
        for batch in self.batches:
            assert batch <= there.keys() or not batch & there.keys()
        for pair in self.either:
            assert len(pair & there.keys()) == 1, there
        assert len(store.jobs) == store.total_jobs - store.total_deletes

    def _verify_holders(self) -> None:
        given = [*self.handles, *(request.outcome for request in self.requests)]
        for session in self.engine.clients.everyone():
            for job in session.held.in_sequence():
                assert not job._history.lost
                assert any(job is handle for handle in given), (
                    f"nobody was given {job._body}"
                )

    def _verify_requests(self) -> None:
        pending = self.engine.dispatch.requests()
        for request, sleeper in zip(self.requests, self.sleepers, strict=True):
            answered = request.outcome is not None
            assert answered != any(request is other for other in pending)
            if answered:
                assert not sleeper.token.locked(), "answered, and not woken"
        assert all(any(one is other for other in self.requests) for one in pending)

    def _verify_futures(self) -> None:
        """Check that a future is done, and whoever waits was told, if the job is gone."""
        pending = self.engine.store.promises.pending.values()
        for future in self.futures:
            assert future.done() != any(p.future is future for p in pending)

    def _verify_events(self) -> None:
        """Check that events are in order, and go on."""
        self.blocks.clear()
        log = self.monitor.turn.log
        if self.follows is None:
            # Nobody has the subscription, so it is over.
            assert log is None
        elif log is not None:
            if not self.follows._listener.is_over:
                self.broker.pause_tube("work", 7)
                assert EventKind.TUBE_PAUSED in {event.kind for event in self.told}
            # Once more, where that was interrupted.
            self.follows.unsubscribe()
            assert self.follows._listener not in log.subscribers
        moments = [event.at for event in self.told]
        assert moments == sorted(moments)
        begun: set[int | None] = set()
        ended: set[int | None] = set()
        for event in self.told:
            assert event.job_id is None or event.job_id not in ended
            if event.kind is EventKind.PUT:
                assert event.job_id not in begun
            begun.add(event.job_id)
            if event.kind is EventKind.DELETED:
                ended.add(event.job_id)

    def _verify_leader(self) -> None:
        sleepers = self.broker._sleepers
        waiting = {r.sleeper for r in self.requests if r.outcome is None}
        assert waiting == set(sleepers._asleep)
        leader = sleepers._leader
        if not waiting:
            assert leader is None
        else:
            assert leader in waiting
            assert 1 == self.monitor.ways.count(sleepers)
            assert self.engine.schedule.armed_for >= sleepers.armed_for
            due_at = self.engine.schedule.due_at
            assert sleepers.armed_for <= due_at or not leader.token.locked()
