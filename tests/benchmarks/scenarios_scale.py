"""Many jobs: what each verb costs on a large backlog, beside a small one."""

from __future__ import annotations

from queue import PriorityQueue
from time import perf_counter
from typing import TYPE_CHECKING

from inproc_tubes import Broker
from inproc_tubes.testing import FakeClock

from .measuring import BODY, Sides, at_most, dice, scenario

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .measuring import Effort

LARGE = 1_000_000
SMALL = 1_000
CYCLES = 4_000
PRIORITIES = 2**32  # where a small backlog comes to in the long run, it starts anew
SPREAD = 1 << 24  # of random priorities
LONG = 1e6  # seconds: nothing runs out while it is measured


class Backlog:
    """A broker with so many ready jobs, their priorities spread at random.

    Args:
        jobs: How many.
        spread: Their priorities are 0 to ``spread - 1``.
        steps: How many different priorities are at hand for `cycle`.
    """

    def __init__(self, jobs: int, spread: int, steps: int = CYCLES) -> None:
        chance = dice()
        self._broker = Broker()
        self._producer = self._broker.producer()
        self._consumer = self._broker.consumer()
        self._steps = [chance.randrange(spread) for _ in range(steps)]
        for _ in range(jobs):
            self._producer.put(BODY, chance.randrange(spread))

    def cycle(self) -> float:
        """Reserve, delete, put; the backlog stays as it is in size and in shape.

        The job that is put is less urgent than the one taken by a random step, as
        when events are simulated: so the priorities keep their spread, however long
        this goes on, and a new job's place may be anywhere.
        """
        producer = self._producer
        consumer = self._consumer
        start = perf_counter()
        for step in self._steps:
            job = consumer.reserve(timeout=0)
            job.delete()
            producer.put(BODY, (job.priority + step) % PRIORITIES)
        return (perf_counter() - start) / len(self._steps)


class PriorityBacklog:
    """`Backlog` of a ``queue.PriorityQueue``: the same priorities in the same order."""

    def __init__(self, jobs: int, spread: int, steps: int = CYCLES) -> None:
        chance = dice()
        self._queue: PriorityQueue[tuple[int, str]] = PriorityQueue()
        self._steps = [chance.randrange(spread) for _ in range(steps)]
        for _ in range(jobs):
            self._queue.put((chance.randrange(spread), BODY))

    def cycle(self) -> float:
        """Get, task_done, put; as `Backlog.cycle`."""
        queue = self._queue
        start = perf_counter()
        for step in self._steps:
            priority, _ = queue.get()
            queue.task_done()
            queue.put(((priority + step) % PRIORITIES, BODY))
        return (perf_counter() - start) / len(self._steps)


def _backlog(name: str, what: str, spread: int, bound: float = 1.5) -> None:
    @scenario(
        f"backlog-{name}",
        f"cycle on 1,000,000 ready jobs, {what}",
        "on 1,000",
        at_most(bound),
        group="backlog",
    )
    def backlog(effort: Effort) -> Iterator[Sides]:
        count = effort.count(CYCLES)
        large = Backlog(effort.size(LARGE), spread, count)
        small = Backlog(effort.size(SMALL), spread, count)
        yield Sides(large.cycle, small.cycle)


_backlog("one-priority", "one priority", 1)
_backlog("1000-priorities", "1,000 priorities", 1_000)
_backlog("random-priorities", "random priorities", SPREAD, 2)


class Middle:
    """A broker with many ready jobs, and verbs for some from the middle."""

    def __init__(self, jobs: int) -> None:
        self.broker = Broker()
        self.producer = self.broker.producer()
        self.consumer = self.broker.consumer()
        self._ids = [self.put() for _ in range(jobs)]
        self._places = {job_id: place for place, job_id in enumerate(self._ids)}

    def put(self) -> int:
        """Put one more."""
        return self.producer.put(BODY, ttr=LONG)

    def time(
        self,
        count: int,
        verb: Callable[[int], object],
        before: Callable[[int], object] = abs,
        after: Callable[[int], object] = abs,
    ) -> float:
        """Return the seconds for one call of ``verb`` with a job's id.

        ``before`` is called with all the ids first, and ``after`` in the end; `abs`
        does nothing to a job.
        """
        chance = dice()
        seconds = 0.0
        calls = 0
        while calls < count:
            # A tenth of a small backlog at a time, so that it stays one.
            few = max(1, min(len(self._ids) // 10, count - calls))
            quarter = len(self._ids) // 4
            places = range(quarter, max(quarter + few, 3 * quarter))
            ids = [self._ids[place] for place in chance.sample(places, few)]
            for job_id in ids:
                before(job_id)
            start = perf_counter()
            for job_id in ids:
                verb(job_id)
            seconds += perf_counter() - start
            for job_id in ids:
                after(job_id)
            calls += few
        return seconds / calls

    def release(self, count: int) -> float:
        """Release what was reserved by its id."""
        return self.time(count, self.consumer.release, self.consumer.reserve_job)

    def bury(self, count: int) -> float:
        """Bury what was reserved by its id."""
        return self.time(
            count,
            self.consumer.bury,
            before=self.consumer.reserve_job,
            after=self.broker.kick_job,
        )

    def kick(self, count: int) -> float:
        """Kick what was reserved by its id and buried."""

        def bury(job_id: int) -> None:
            self.consumer.reserve_job(job_id)
            self.consumer.bury(job_id)

        return self.time(count, self.broker.kick_job, bury)

    def touch(self, count: int) -> float:
        """Touch what was reserved by its id."""
        return self.time(
            count,
            self.consumer.touch,
            before=self.consumer.reserve_job,
            after=self.consumer.release,
        )

    def touch_held(self, count: int) -> float:
        """Touch one of many that are held."""
        return self.time(count, self.consumer.touch)

    def delete(self, count: int) -> float:
        """Delete a ready job by its id; another is put in its stead."""

        def replace(job_id: int) -> None:
            place = self._places.pop(job_id)
            self._ids[place] = another = self.put()
            self._places[another] = place

        return self.time(count, self.broker.delete, after=replace)

    def hold_all(self) -> None:
        """Reserve every job."""
        for _ in self._ids:
            self.consumer.reserve(timeout=0)


def _middle(
    name: str, verb: Callable[[Middle, int], float], *, hold: bool = False
) -> None:
    what = f"{name} from the middle of 1,000,000 ready"
    if hold:
        what = "touch, 1,000,000 reserved"

    @scenario(f"middle-{name}", what, "of 1,000", at_most(2), group="middle")
    def middle(effort: Effort) -> Iterator[Sides]:
        count = effort.count(4_000)
        large = Middle(effort.size(LARGE))
        small = Middle(effort.size(SMALL))
        if hold:
            large.hold_all()
            small.hold_all()
        yield Sides(lambda: verb(large, count), lambda: verb(small, count))


_middle("release", Middle.release)
_middle("bury", Middle.bury)
_middle("kick", Middle.kick)
_middle("touch", Middle.touch)
_middle("touch-held", Middle.touch_held, hold=True)
_middle("delete", Middle.delete)


@scenario(
    "middle-delete-all",
    "delete each of 1,000,000 by id, at random",
    "of 1,000",
    at_most(2),
    group="middle",
    pairs=3,
)
def delete_all(effort: Effort) -> Iterator[Sides]:
    """Delete them all, so that whatever was put off comes due."""

    def of(jobs: int, rounds: int) -> float:
        seconds = 0.0
        for _ in range(rounds):
            with Broker() as broker:
                producer = broker.producer()
                ids = [producer.put(BODY) for _ in range(jobs)]
                dice().shuffle(ids)
                start = perf_counter()
                for job_id in ids:
                    broker.delete(job_id)
                seconds += perf_counter() - start
        return seconds / (jobs * rounds)

    yield Sides(
        lambda: of(effort.size(LARGE), 1),
        lambda: of(effort.size(SMALL), effort.count(50)),
    )


@scenario(
    "delayed-put",
    "put with delay, 1,000,000 delayed jobs",
    "1,000 delayed jobs",
    at_most(2),
    group="delayed",
)
def delayed_put(effort: Effort) -> Iterator[Sides]:
    chance = dice()
    delays = [LONG * (1 + chance.random()) for _ in range(effort.count(4_000))]

    def of(jobs: int) -> Callable[[], float]:
        broker = Broker()
        producer = broker.producer()
        for _ in range(jobs):
            producer.put(BODY, delay=LONG * (1 + chance.random()))

        def put() -> float:
            ids = []
            start = perf_counter()
            for delay in delays:
                ids.append(producer.put(BODY, delay=delay))  # noqa: PERF401 - measured
            seconds = perf_counter() - start
            for job_id in ids:
                broker.delete(job_id)
            return seconds / len(delays)

        return put

    yield Sides(of(effort.size(LARGE)), of(effort.size(SMALL)))


def mature(jobs: int) -> float:
    """Return the seconds in which so many delays end, all in one instant."""
    clock = FakeClock()
    with Broker(clock=clock) as broker:
        broker.producer().put_many([BODY] * jobs, delay=60)
        start = perf_counter()
        clock.advance(60)
        seconds = perf_counter() - start
        assert broker.stats_tube("default").current_jobs_ready == jobs
    return seconds


@scenario(
    "burst",
    "1,000,000 delays over in one instant, all of them",
    "",
    at_most(0.4),
    group="delayed",
    pairs=5,
)
def burst(effort: Effort) -> Iterator[Sides]:
    yield Sides(lambda: mature(effort.size(LARGE)))


@scenario(
    "delayed-mature",
    "1,000,000 delays over in one instant, per job",
    "as many plain puts",
    at_most(3),
    group="delayed",
    pairs=3,
)
def delayed_mature(effort: Effort) -> Iterator[Sides]:
    jobs = effort.size(LARGE)

    def put() -> float:
        with Broker(clock=FakeClock()) as broker:
            producer = broker.producer()
            start = perf_counter()
            for _ in range(jobs):
                producer.put(BODY)
            return (perf_counter() - start) / jobs

    yield Sides(lambda: mature(jobs) / jobs, put)


@scenario(
    "expiring",
    "100,000 reservations over in one instant, per job",
    "1,000 reservations",
    at_most(2),
    group="expiring",
    pairs=5,
)
def expiring(effort: Effort) -> Iterator[Sides]:
    """Let them run out and reserve them again, so many times."""

    def of(jobs: int, rounds: int) -> Callable[[], float]:
        clock = FakeClock()
        broker = Broker(clock=clock)
        producer = broker.producer()
        consumer = broker.consumer()
        for _ in range(jobs):
            producer.put(BODY, ttr=60)

        def expire() -> float:
            seconds = 0.0
            for _ in range(rounds):
                for _ in range(jobs):
                    consumer.reserve(timeout=0)
                start = perf_counter()
                clock.advance(60)
                seconds += perf_counter() - start
            assert broker.stats_tube("default").current_jobs_ready == jobs
            return seconds / (jobs * rounds)

        return expire

    yield Sides(of(effort.size(100_000), 1), of(effort.size(SMALL), effort.count(30)))
