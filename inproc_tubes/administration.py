"""What is nobody's job in particular: looking into a broker, and intervening."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from .checks import (
    DEFAULT_TUBE,
    check_bound,
    check_job_id,
    check_maxsize,
    check_seconds,
    check_states,
    check_timeout,
    check_tube_name,
)
from .door import Door
from .handle import Hands, Job, new_job, target_of
from .job import JobState
from .version import __version__
from .waiting import Joiner

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .parking import ThreadLot
    from .stats import BrokerStats, JobStats, TubeStats

__all__ = ["Administration"]

_UNHELD_STATES = (JobState.READY, JobState.DELAYED, JobState.BURIED)
_ALL_STATES = (JobState.READY, JobState.RESERVED, JobState.DELAYED, JobState.BURIED)


class Administration(Door):
    """The verbs of a `Broker` that need no handle."""

    __slots__ = ()

    _id: str
    _max_job_size: int | None
    _threads: ThreadLot

    # Looking

    def tubes(self) -> list[str]:
        """Return the names of all tubes, in beanstalkd's order.

        Raises:
            ClosedError: The broker was closed.

        Cost: O(number of tubes).
        """
        names: list[str] = self._ask(self._engine.list_tubes)
        return names

    def stats(self) -> BrokerStats:
        """Return the statistics of the whole broker.

        Raises:
            ClosedError: The broker was closed.

        Cost: O(number of tubes and handles).
        Source: fmt_stats (prot.c).
        """
        # Imported late, like all of .stats: see Hands._stats_job.
        import platform  # noqa: PLC0415 - as above

        from .stats import BrokerStats  # noqa: PLC0415 - as above

        known = self._ask(self._engine.stats)
        times = os.times()
        machine = platform.uname()
        return BrokerStats(
            **known,
            max_job_size=self._max_job_size,
            pid=os.getpid(),
            version=__version__,
            rusage_utime=times.user,
            rusage_stime=times.system,
            uptime=self._now() - self._started_at,
            id=self._id,
            hostname=machine.node,
            os=machine.version,
            platform=machine.machine,
        )

    def stats_tube(self, tube: str) -> TubeStats:
        """Return the statistics of a tube.

        Raises:
            NotFoundError: There is no such tube (now).
            BadTubeNameError: That is no tube name.
            ClosedError: The broker was closed.

        Cost: O(1).
        Source: fmt_stats_tube (prot.c).
        """
        from .stats import TubeStats  # noqa: PLC0415 - see Hands._stats_job

        name = check_tube_name(tube)
        return TubeStats(**self._ask(self._engine.stats_tube, name))

    def stats_job(self, job_or_id: Job | int) -> JobStats:
        """Return the statistics of a job, whatever its state.

        Raises:
            NotFoundError: There is no such job (any more).
            ClosedError: The broker was closed.

        Cost: O(1).
        Source: fmt_job_stats (prot.c).
        """
        return self._hands()._stats_job(job_or_id)

    def peek(self, job_id: int) -> Job:
        """Return a job without reserving it, whatever its state.

        Raises:
            NotFoundError: There is no such job.
            ClosedError: The broker was closed.

        Cost: O(1).
        """
        number = check_job_id(job_id)
        return self._hands()._job(self._ask(self._engine.peek, number))

    def peek_ready(self, tube: str = DEFAULT_TUBE) -> Job:
        """Return the job that this tube would serve next, without reserving it.

        Raises:
            NotFoundError: The tube has no ready job.
            BadTubeNameError: That is no tube name.
            ClosedError: The broker was closed.

        Cost: O(1).
        """
        name = check_tube_name(tube)
        return self._hands()._job(self._ask(self._engine.peek_ready, name))

    def peek_delayed(self, tube: str = DEFAULT_TUBE) -> Job:
        """Return the job of this tube whose delay is over first.

        Raises:
            NotFoundError: The tube has no delayed job.
            BadTubeNameError: That is no tube name.
            ClosedError: The broker was closed.

        Cost: O(1).
        """
        name = check_tube_name(tube)
        return self._hands()._job(self._ask(self._engine.peek_delayed, name))

    def peek_buried(self, tube: str = DEFAULT_TUBE) -> Job:
        """Return the job of this tube that was buried first.

        Raises:
            NotFoundError: The tube has no buried job.
            BadTubeNameError: That is no tube name.
            ClosedError: The broker was closed.

        Cost: O(1).
        """
        name = check_tube_name(tube)
        return self._hands()._job(self._ask(self._engine.peek_buried, name))

    def jobs(self, tube: str, state: JobState | str | None = None) -> list[Job]:
        """Return all jobs of this tube, or those in one state, as they are served.

        That is the order of `JobState`: first the ready ones, the most urgent first;
        then those that consumers hold, the one that expires first first; then the
        delayed, the soonest first; then the buried, the longest buried first. Who is
        in the list, and where, was so in one instant; the jobs' own fields go on
        changing. Looking reserves nothing.

        Args:
            tube: The tube's name; one that does not exist has no jobs.
            state: A `JobState`, or its name such as "buried"; None for all.

        Raises:
            BadTubeNameError: That is no tube name.
            ClosedError: The broker was closed.

        Cost: O(n log n), and O(number of handles and of all reserved jobs) for those
        that are reserved. The broker serves nobody meanwhile.
        """
        name = check_tube_name(tube)
        states = check_states(state, _ALL_STATES)
        found = self._ask(self._engine.list_jobs, name, states)
        hands = self._hands()
        return [new_job(hands, record, fence) for record, fence in found]

    # Intervening

    def kick(self, tube: str, bound: int) -> int:
        """Make buried jobs of a tube ready; if none is buried, delayed ones.

        Args:
            tube: The tube's name.
            bound: How many at most.

        Returns:
            How many.

        Raises:
            BadTubeNameError: That is no tube name.
            ClosedError: The broker was closed.

        Cost: O(log n) for each job.
        Source: kick_jobs (prot.c): never both in one call.
        """
        name = check_tube_name(tube)
        count: int = self._ask(self._engine.kick, name, check_bound(bound))
        return count

    def kick_job(self, job_or_id: Job | int) -> None:
        """Make this buried or delayed job ready.

        Raises:
            NotFoundError: It is neither buried nor delayed.
            ClosedError: The broker was closed.

        Cost: O(log n).
        Source: OP_KICKJOB (prot.c).
        """
        self._ask(self._engine.kick_job, *target_of(self, job_or_id))

    def delete(self, job_or_id: Job | int) -> None:
        """Delete a job that nobody holds.

        Raises:
            NotFoundError: A consumer holds it, or there is no such job.
            ClosedError: The broker was closed.

        Cost: O(1) amortised.
        Source: OP_DELETE (prot.c).
        """
        self._hands().delete(job_or_id)

    def pause_tube(self, tube: str, delay: float) -> None:
        """Let no consumer reserve from this tube for so long.

        Nothing else stops: jobs are put, kicked and peeked at, delays and reservations
        run out, and `Consumer.reserve_job` takes what it names.

        Args:
            tube: The tube's name.
            delay: Seconds; a new pause replaces the old, and 0 ends it.

        Raises:
            NotFoundError: There is no such tube (now).
            BadTubeNameError: That is no tube name.
            ClosedError: The broker was closed.

        Cost: O(log n).
        Source: OP_PAUSE_TUBE (prot.c).
        """
        name = check_tube_name(tube)
        self._ask(self._engine.pause_tube, name, check_seconds("delay", delay))

    def limit_tube(self, tube: str, maxsize: int) -> None:
        """Let this tube have so many jobs at most; `Producer.put` waits for room.

        All jobs of the tube count, whatever their state. There may be more already:
        they stay, and jobs that are in come back from a reservation, a delay or a
        burial without asking for room. A limited tube does not vanish when its last
        job does. Puts that wait and have room by now are let in. A put that is under
        way in another thread in this very moment may find no limit yet.

        Args:
            tube: The tube's name.
            maxsize: How many, 0 for any number.

        Raises:
            BadTubeNameError: That is no tube name.
            ClosedError: The broker was closed.

        Cost: O(number of puts that wait there), and that of those let in.
        """
        name = check_tube_name(tube)
        self._ask(self._engine.limit_tube, name, check_maxsize(maxsize))

    def clear_tube(self, tube: str, state: JobState | str | None = None) -> int:
        """Delete all jobs of this tube that nobody holds, or those in one state.

        In statistics each counts as a delete. The room is for puts that wait.

        Args:
            tube: The tube's name; one that does not exist has no jobs.
            state: READY, DELAYED or BURIED of `JobState`, or its name; None for all
                three. Jobs that consumers hold are theirs to delete.

        Returns:
            How many.

        Raises:
            BadTubeNameError: That is no tube name.
            ClosedError: The broker was closed.

        Cost: O(log n) for each job. The broker serves nobody meanwhile.
        """
        name = check_tube_name(tube)
        states = check_states(state, _UNHELD_STATES)
        count: int = self._ask(self._engine.clear_tube, name, states)
        return count

    # The end

    def join(self, *tubes: str, timeout: float | None = None) -> int:
        """Wait until these tubes have no ready, delayed or reserved job left.

        A put that waits for room there is work to come, too. Buried jobs wait for
        somebody to kick them, and nobody waits for them. Who puts a job for each that
        he deletes should put first, or a join may end between the two.

        Args:
            tubes: Their names; none stands for all tubes, also those still to be made.
                One that does not exist has no jobs.
            timeout: Seconds to wait, None for ever, 0 not at all.

        Returns:
            How many buried jobs there are in them.

        Raises:
            TimedOutError: There is still work to do after the timeout.
            BadTubeNameError: One of them is no tube name.
            ClosedError: The broker was closed, if need be while this waited.

        Cost: O(number of tubes), and again each time that a tube it waits for is done.
        """
        joiner = self._joiner(tubes, timeout)
        begin = self._engine.join
        buried: int
        buried = self._threads.wait(self, self._admin, joiner, begin, Joiner.told)
        return buried

    async def async_join(self, *tubes: str, timeout: float | None = None) -> int:  # noqa: ASYNC109 - the engine's
        """Same as `Broker.join`, awaited."""
        from .aio import LoopLot  # noqa: PLC0415 - see Broker.async_producer

        joiner = self._joiner(tubes, timeout)
        begin, lot = self._engine.join, LoopLot.here(self)
        buried: int = await lot.wait(self, self._admin, joiner, begin, Joiner.told)
        return buried

    def _joiner(self, tubes: Iterable[str], timeout: float | None) -> Joiner:
        names = [check_tube_name(tube) for tube in tubes] or None
        return Joiner(check_timeout(timeout), names)

    def drain(self) -> None:
        """Refuse every put from now on, for ever; all else goes on.

        A put that waits for room hears `DrainingError`.

        Raises:
            ClosedError: The broker was closed.

        Cost: O(1), and O(log n) for each put that waits.
        Source: enter_drain_mode (prot.c), beanstalkd's answer to SIGUSR1.
        """
        self._ask(self._engine.drain)

    def _ask(self, verb: Any, *args: Any) -> Any:
        return self._do(self._admin, verb, *args)

    def _hands(self) -> Hands:
        return Hands(self, self._admin)
