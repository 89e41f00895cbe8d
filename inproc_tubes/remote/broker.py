"""The broker on beanstalkds: where handles come from, and where one looks in."""

from __future__ import annotations

import weakref
from math import ceil, inf
from typing import TYPE_CHECKING, Generic, NoReturn, Self, TypeVar, overload

import greenstalk

from inproc_tubes.at_exit import stop_at_exit
from inproc_tubes.checks import (
    check_bound,
    check_duration,
    check_job_id,
    check_maxsize,
    check_number,
    check_seconds,
    check_states,
    check_timeout,
    check_tube_name,
)
from inproc_tubes.clock import MonotonicClock
from inproc_tubes.core.job import Job, T, refuse_to_pickle
from inproc_tubes.core.limits import DEFAULT_TUBE, MAX_TIMEOUT
from inproc_tubes.core.record import JobState
from inproc_tubes.core.text import counted
from inproc_tubes.errors import (
    ConnectionLostError,
    NotFoundError,
    NotFoundReason,
    NotSupportedError,
)
from inproc_tubes.names import check_name
from inproc_tubes.weak_registry import WeakRegistry

from . import commands, looking
from .addresses import addresses_in
from .codecs import codec_of, decode
from .connection import Lost
from .consumer import RemoteConsumer
from .holder import RemoteHolder, cannot_move
from .job import RemoteJob, new_job
from .joining import Join
from .pool import Pool
from .producer import RemoteProducer, refuse_key
from .reservation import Reservation
from .server import Network

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType
    from typing import SupportsIndex

    from inproc_tubes.broker import KindName, StateName, UnheldStateName
    from inproc_tubes.clock import Clock
    from inproc_tubes.core.event import Event, EventKind
    from inproc_tubes.core.statistics import BrokerStats, JobStats, TubeStats

    from .aio import RemoteAsyncConsumer, RemoteAsyncProducer
    from .codecs import Codec
    from .server import Server

__all__ = ["RemoteBroker", "connect"]

B = TypeVar("B")
R = TypeVar("R")

_STOPPED = "the broker was stopped"
_CLOSED = "the broker was closed"

_UNHELD_STATES = (JobState.READY, JobState.DELAYED, JobState.BURIED)


def connect(
    url: str,
    codec: Codec | str = "json",
    *,
    clock: Clock | None = None,
    answer_timeout: float = 10,
    reconnect_timeout: float | None = 60,
) -> RemoteBroker:
    """Return a broker on the beanstalkds of a URL.

    Nothing is connected yet. Each handle has connections of its own.

    Args:
        url: ``beanstalk://host:11300``, or several: ``beanstalk://a:11300,b:11300``.
        codec: How bodies become bytes: "json", "bytes", "str", "pickle" (unsafe, and
            warned of), or an object with ``encode`` and ``decode``.
        clock: The clock for what waits in this process; None for the machine's. In a
            test with a `FakeBeanstalkd`, give it the clock of that.
        answer_timeout: Seconds after which a connection whose server does not answer is
            given up, and a new one made.
        reconnect_timeout: For how many seconds a verb waits for a server that is away,
            before it raises `ConnectionLostError`; None for ever. A reserve waits for
            the server as long as its own timeout allows.

    Raises:
        ValueError: The URL or the codec is not valid, or a number is out of its range.
        TypeError: One of them has the wrong type.

    Cost: O(number of servers).
    """
    addresses = addresses_in(url)
    return RemoteBroker(
        Network(
            addresses,
            codec_of(codec),
            MonotonicClock() if clock is None else clock,
            answer_timeout=check_number(
                "answer_timeout", answer_timeout, 0.001, MAX_TIMEOUT
            ),
            reconnect_timeout=(
                inf
                if reconnect_timeout is None
                else check_seconds("reconnect_timeout", reconnect_timeout)
            ),
        )
    )


class RemoteBroker(Generic[T]):
    """The tubes of one or several beanstalkds. Made by `connect`.

    It has the verbs of `inproc_tubes.Broker`. What a beanstalkd cannot do raises
    `NotSupportedError`. Jobs outlive it: `close` ends its handles, and nothing else.

    With several servers, puts go in turn to those that can be reached; reserves are
    served by all of them; the id of a job says on which server it is. Verbs that look
    at a tube look at all servers.

    It may be shared by threads and event loops, and has no thread of its own. After a
    fork it belongs to the parent, and the child's copy is closed.
    """

    def __init__(self, network: Network) -> None:
        _check_network(network)
        self._network = network
        self._pool = Pool(network)
        # For what waits for a server by itself, or must not wait: in an event loop.
        self._hasty_pool = Pool(network, patient=False)
        self._holder: RemoteHolder[T] = RemoteHolder(
            self._pool, self._pool, "the broker"
        )
        self._stopped: str | None = None
        self._consumers: WeakRegistry[RemoteConsumer[T] | RemoteAsyncConsumer[T]]
        self._consumers = WeakRegistry()
        self._producers: WeakRegistry[RemoteProducer[T] | RemoteAsyncProducer[T]]
        self._producers = WeakRegistry()
        self._at_exit = _AtExit(self)

    @property
    def clock(self) -> Clock:
        """The clock for what waits here. Cost: O(1)."""
        return self._network.clock

    @overload
    def producer(
        self,
        tube: str = DEFAULT_TUBE,
        *,
        context: bool = False,
        name: str | None = None,
    ) -> RemoteProducer[T]: ...
    @overload
    def producer(
        self,
        tube: str = DEFAULT_TUBE,
        *,
        context: bool = False,
        name: str | None = None,
        body: type[B],
    ) -> RemoteProducer[B]: ...
    def producer(
        self,
        tube: str = DEFAULT_TUBE,
        *,
        context: bool = False,
        name: str | None = None,
        body: type[B] | None = None,  # noqa: ARG002 - for type checkers
    ) -> RemoteProducer[T] | RemoteProducer[B]:
        """Return a new handle that puts into this tube.

        Args:
            tube: Its name.
            context: Not supported: a context cannot leave its process.
            name: Its name in its repr; None for the name of the task or the thread that
                makes it. The server is not told.
            body: The type of the bodies, for type checkers only.

        Raises:
            NotSupportedError: A context was asked for.
            BadTubeNameError: The name is not a valid tube name.
            ClosedError: The broker was closed.

        Cost: a connection.
        """
        used, called = check_tube_name(tube), check_name(name)
        _refuse_context(context)
        self._pool.check_open()
        producer: RemoteProducer[T] = RemoteProducer(self._network, used, called)
        self._producers.add(producer)
        return producer

    @overload
    def consumer(self, *tubes: str, name: str | None = None) -> RemoteConsumer[T]: ...
    @overload
    def consumer(
        self, *tubes: str, name: str | None = None, body: type[B]
    ) -> RemoteConsumer[B]: ...
    def consumer(
        self,
        *tubes: str,
        name: str | None = None,
        body: type[B] | None = None,  # noqa: ARG002 - for type checkers
    ) -> RemoteConsumer[T] | RemoteConsumer[B]:
        """Return a new handle that reserves from exactly these tubes.

        Once the broker was stopped, the handle is stopped from the beginning.

        Args:
            tubes: Their names. If there are none, it is "default".
            name: Its name in its repr and for `Job.holder`; None for the name of the
                task or the thread that makes it. The server is not told.
            body: The type of the bodies, for type checkers only.

        Raises:
            BadTubeNameError: One of the names is not valid.
            ClosedError: The broker was closed.

        Cost: a connection, and a round trip for each tube.
        """
        names = [check_tube_name(tube) for tube in tubes] or [DEFAULT_TUBE]
        self._pool.check_open()
        consumer: RemoteConsumer[T] = RemoteConsumer(
            self._pool, names, check_name(name)
        )
        self._add_consumer(consumer)
        return consumer

    @overload
    def async_producer(
        self,
        tube: str = DEFAULT_TUBE,
        *,
        context: bool = False,
        name: str | None = None,
    ) -> RemoteAsyncProducer[T]: ...
    @overload
    def async_producer(
        self,
        tube: str = DEFAULT_TUBE,
        *,
        context: bool = False,
        name: str | None = None,
        body: type[B],
    ) -> RemoteAsyncProducer[B]: ...
    def async_producer(
        self,
        tube: str = DEFAULT_TUBE,
        *,
        context: bool = False,
        name: str | None = None,
        body: type[B] | None = None,  # noqa: ARG002 - for type checkers
    ) -> RemoteAsyncProducer[T] | RemoteAsyncProducer[B]:
        """Return a new handle, for coroutines, that puts into this tube.

        Args:
            tube: Its name.
            context: Not supported: a context cannot leave its process.
            name: Its name in its repr; None for the name of the task or the thread that
                makes it. The server is not told.
            body: The type of the bodies, for type checkers only.

        Raises:
            NotSupportedError: A context was asked for.
            BadTubeNameError: The name is not a valid tube name.
            ClosedError: The broker was closed.

        Cost: O(1); it connects with its first put.
        """
        # Imported late: asyncio is slow to import, for one who uses plain threads.
        from .aio import RemoteAsyncProducer  # noqa: PLC0415 - as above

        used, called = check_tube_name(tube), check_name(name)
        _refuse_context(context)
        self._pool.check_open()
        producer: RemoteAsyncProducer[T] = RemoteAsyncProducer(
            self._network, used, called
        )
        self._producers.add(producer)
        return producer

    @overload
    def async_consumer(
        self, *tubes: str, name: str | None = None
    ) -> RemoteAsyncConsumer[T]: ...
    @overload
    def async_consumer(
        self, *tubes: str, name: str | None = None, body: type[B]
    ) -> RemoteAsyncConsumer[B]: ...
    def async_consumer(
        self,
        *tubes: str,
        name: str | None = None,
        body: type[B] | None = None,  # noqa: ARG002 - for type checkers
    ) -> RemoteAsyncConsumer[T] | RemoteAsyncConsumer[B]:
        """Return a new handle, for coroutines, that reserves from these tubes.

        Once the broker was stopped, the handle is stopped from the beginning.

        Args:
            tubes: Their names. If there are none, it is "default".
            name: Its name in its repr and for `Job.holder`; None for the name of the
                task or the thread that makes it. The server is not told.
            body: The type of the bodies, for type checkers only.

        Raises:
            BadTubeNameError: One of the names is not valid.
            ClosedError: The broker was closed.

        Cost: O(number of tubes); it connects with its first reserve.
        """
        from .aio import RemoteAsyncConsumer  # noqa: PLC0415 - see async_producer

        names = [check_tube_name(tube) for tube in tubes] or [DEFAULT_TUBE]
        self._pool.check_open()
        consumer: RemoteAsyncConsumer[T] = RemoteAsyncConsumer(
            self._hasty_pool, names, check_name(name)
        )
        self._add_consumer(consumer)
        return consumer

    # Looking

    def tubes(self) -> list[str]:
        """Return the names of all tubes, in beanstalkd's order.

        Raises:
            ConnectionLostError: A server could not be reached for too long.
            ClosedError: The broker was closed.

        Cost: a round trip to each server.
        """
        return looking.tubes(self._pool)

    def stats(self) -> BrokerStats:
        """Return the statistics of the server; of several, with their counts added up.

        Raises:
            ConnectionLostError: A server could not be reached for too long.
            ClosedError: The broker was closed.

        Cost: a round trip to each server.
        Source: fmt_stats (prot.c).
        """
        return looking.stats(self._pool)

    def stats_tube(self, tube: str) -> TubeStats:
        """Return the statistics of a tube, added up where several servers have it.

        Args:
            tube: Its name.

        Raises:
            NotFoundError: There is no such tube (now).
            BadTubeNameError: The name is not a valid tube name.
            ConnectionLostError: A server could not be reached for too long.
            ClosedError: The broker was closed.

        Cost: a round trip to each server.
        Source: fmt_stats_tube (prot.c).
        """
        return looking.stats_tube(self._pool, check_tube_name(tube))

    def stats_job(self, job_or_id: Job[T] | int) -> JobStats:
        """Return the statistics of a job, whatever its state.

        Args:
            job_or_id: A handle, or a job's id.

        Raises:
            NotFoundError: There is no such job (any more).
            ConnectionLostError: The server could not be reached for too long.
            ClosedError: The broker was closed.

        Cost: a round trip.
        Source: fmt_job_stats (prot.c).
        """
        if isinstance(job_or_id, RemoteJob):
            self._holder._own(job_or_id)
            return job_or_id.stats()
        return self._holder._stats_job(job_or_id)

    def peek(self, job_id: int) -> RemoteJob[T]:
        """Return a job without reserving it, whatever its state.

        Args:
            job_id: The job's id.

        Raises:
            NotFoundError: There is no such job.
            ValueError: Its body cannot be decoded.
            ConnectionLostError: The server could not be reached for too long.
            ClosedError: The broker was closed.

        Cost: a round trip.
        """
        number = check_job_id(job_id)
        server, wire_id = self._network.place_of(number)
        try:
            found = self._pool.ask([server], commands.peek, wire_id)
        except greenstalk.NotFoundError:
            raise NotFoundError(number, reason=NotFoundReason.GONE) from None
        return self._looked_at(server, found)

    def peek_ready(self, tube: str = DEFAULT_TUBE) -> RemoteJob[T]:
        """Return the job that this tube would serve next, without reserving it.

        Args:
            tube: Its name.

        Raises:
            NotFoundError: The tube has no ready job.
            ValueError: Its body cannot be decoded.
            BadTubeNameError: The name is not a valid tube name.
            ConnectionLostError: A server could not be reached for too long.
            ClosedError: The broker was closed.

        Cost: three round trips, but one for "default", to each server that has none.
        """
        return self._peek_at(tube, JobState.READY)

    def peek_delayed(self, tube: str = DEFAULT_TUBE) -> RemoteJob[T]:
        """Return the job of this tube whose delay is over first.

        Args:
            tube: Its name.

        Raises:
            NotFoundError: The tube has no delayed job.
            ValueError: Its body cannot be decoded.
            BadTubeNameError: The name is not a valid tube name.
            ConnectionLostError: A server could not be reached for too long.
            ClosedError: The broker was closed.

        Cost: that of `peek_ready`.
        """
        return self._peek_at(tube, JobState.DELAYED)

    def peek_buried(self, tube: str = DEFAULT_TUBE) -> RemoteJob[T]:
        """Return the job of this tube that was buried first.

        Args:
            tube: Its name.

        Raises:
            NotFoundError: The tube has no buried job.
            ValueError: Its body cannot be decoded.
            BadTubeNameError: The name is not a valid tube name.
            ConnectionLostError: A server could not be reached for too long.
            ClosedError: The broker was closed.

        Cost: that of `peek_ready`.
        """
        return self._peek_at(tube, JobState.BURIED)

    def snapshot(self) -> NoReturn:
        """Not supported: a beanstalkd tells nothing of its connections.

        Raises:
            NotSupportedError: Always.

        Cost: O(1).
        """
        what = "look at all there is in one instant"
        raise NotSupportedError(what, "ask stats, tubes and stats_tube one by one")

    def find(self, key: str, tube: str = DEFAULT_TUBE) -> NoReturn:
        """Not supported: jobs have no keys there.

        Args:
            key: A key.
            tube: The tube's name.

        Raises:
            NotSupportedError: Always.
            BadTubeNameError: The name is not a valid tube name.

        Cost: O(1).
        """
        check_tube_name(tube)
        refuse_key(key)

    def jobs(self, tube: str, state: JobState | StateName | None = None) -> NoReturn:
        """Not supported: a beanstalkd shows but the first job of each state.

        Args:
            tube: The tube's name.
            state: A `JobState`, or its name.

        Raises:
            NotSupportedError: Always.
            BadTubeNameError: The name is not a valid tube name.

        Cost: O(1).
        """
        check_tube_name(tube)
        check_states(state, tuple(JobState))
        what = "list of all jobs of a tube"
        raise NotSupportedError(what, "peek_ready and so on show the first one")

    # Intervening

    def kick(self, tube: str, bound: int) -> int:
        """Make buried jobs of a tube ready; if none is buried, delayed ones.

        Args:
            tube: The tube's name.
            bound: How many at most.

        Returns:
            How many.

        Raises:
            ConnectionLostError: The answer is lost, and the jobs may have been kicked or
                not; or a server could not be reached for too long.
            BadTubeNameError: The name is not a valid tube name.
            ClosedError: The broker was closed.

        Cost: three round trips to each server, but one for "default".
        Source: kick_jobs (prot.c): never both in one call, but by several servers.
        """
        name = check_tube_name(tube)
        left = min(check_bound(bound), _MAX_BOUND)
        count = 0
        for server in self._network.servers:
            if left == 0:
                break
            kicked = self._once("kick", server, commands.kick, name, left)
            count += kicked
            left -= kicked
        return count

    def kick_job(self, job_or_id: Job[T] | int) -> None:
        """Make this buried or delayed job ready.

        Args:
            job_or_id: A handle, or a job's id.

        Raises:
            NotFoundError: It is neither buried nor delayed.
            ConnectionLostError: The answer is lost, and the job may have been kicked or
                not; or the server could not be reached for too long.
            ClosedError: The broker was closed.

        Cost: a round trip.
        Source: OP_KICKJOB (prot.c).
        """
        job_id = self._id_of(job_or_id)
        server, wire_id = self._network.place_of(job_id)
        try:
            self._once("kick_job", server, commands.kick_job, wire_id)
        except greenstalk.NotFoundError:
            raise self._holder._not_found(job_id) from None

    def delete(self, job_or_id: Job[T] | int) -> None:
        """Delete a job that nobody holds.

        Args:
            job_or_id: A handle, or a job's id.

        Raises:
            NotFoundError: A consumer holds it, or there is no such job.
            ConnectionLostError: The server could not be reached for too long.
            ClosedError: The broker was closed.

        Cost: a round trip.
        Source: OP_DELETE (prot.c).
        """
        self._holder.delete(self._id_of(job_or_id))

    def cancel(self, job_or_id: Job[T] | int) -> NoReturn:
        """Not supported: on a beanstalkd only its holder can delete a job that is held.

        Args:
            job_or_id: A handle, or a job's id.

        Raises:
            NotSupportedError: Always.

        Cost: O(1).
        """
        del job_or_id
        what = "way to delete a job that a consumer holds"
        raise NotSupportedError(what, "delete one that nobody holds")

    def pause_tube(self, tube: str, delay: float) -> None:
        """Let no consumer reserve from this tube for some time.

        Nothing else stops: jobs are put, kicked and peeked at, delays and reservations
        end, and `Consumer.reserve_job` still takes the job that it names.

        Args:
            tube: The tube's name.
            delay: Seconds, rounded up to whole ones; a new pause replaces the old, and 0
                ends it.

        Raises:
            NotFoundError: There is no such tube (now).
            BadTubeNameError: The name is not a valid tube name.
            ConnectionLostError: A server could not be reached for too long.
            ClosedError: The broker was closed.

        Cost: a round trip to each server.
        Source: OP_PAUSE_TUBE (prot.c).
        """
        name = check_tube_name(tube)
        seconds = ceil(check_duration("delay", delay))
        found = False
        for server in self._network.servers:
            try:
                self._pool.ask([server], commands.pause_tube, name, seconds)
            except greenstalk.NotFoundError:
                continue
            found = True
        if not found:
            raise NotFoundError(tube=name)

    def limit_tube(self, tube: str, maxsize: int) -> None:
        """Not supported, but for no limit: a tube of beanstalkd has none.

        Args:
            tube: The tube's name.
            maxsize: 0 for any number.

        Raises:
            NotSupportedError: There was to be a limit.
            BadTubeNameError: The name is not a valid tube name.

        Cost: O(1).
        """
        check_tube_name(tube)
        if check_maxsize(maxsize):
            what = "limit of jobs for a tube"
            raise NotSupportedError(what, "look at stats_tube before a put")

    def limit_tries(self, tube: str, n: int | None) -> None:
        """Not supported, but for no limit: beanstalkd serves a job again and again.

        Args:
            tube: The tube's name.
            n: None for any number.

        Raises:
            NotSupportedError: There was to be a limit.
            BadTubeNameError: The name is not a valid tube name.

        Cost: O(1).
        """
        check_tube_name(tube)
        if n is not None:
            what = "limit of tries for a tube"
            raise NotSupportedError(what, "a Worker's Backoff has one")

    def move(self, job_or_id: Job[T] | int, tube: str) -> NoReturn:
        """Not supported: a job of beanstalkd stays in its tube.

        Args:
            job_or_id: A handle, or a job's id.
            tube: The name of a tube.

        Raises:
            NotSupportedError: Always.
            BadTubeNameError: The name is not a valid tube name.

        Cost: O(1).
        """
        del job_or_id
        check_tube_name(tube)
        raise cannot_move()

    def update(
        self,
        job_or_id: Job[T] | int,
        priority: int | None = None,
        delay: float | None = None,
    ) -> NoReturn:
        """Not supported: on a beanstalkd only who holds a job can change it.

        Args:
            job_or_id: A handle, or a job's id.
            priority: A priority.
            delay: Seconds.

        Raises:
            NotSupportedError: Always.

        Cost: O(1).
        """
        del job_or_id, priority, delay
        what = "way to change a job that nobody holds"
        raise NotSupportedError(what, "reserve_job it, and release it")

    def bury(
        self,
        job_or_id: Job[T] | int,
        priority: int | None = None,
        error: BaseException | None = None,
    ) -> NoReturn:
        """Not supported: on a beanstalkd only who holds a job can bury it.

        Args:
            job_or_id: A handle, or a job's id.
            priority: A priority.
            error: An error.

        Raises:
            NotSupportedError: Always.

        Cost: O(1).
        """
        del job_or_id, priority, error
        what = "way to bury a job that nobody holds"
        raise NotSupportedError(what, "reserve_job it, and bury it")

    def clear_tube(
        self, tube: str, state: JobState | UnheldStateName | None = None
    ) -> int:
        """Delete all jobs of this tube that nobody holds, or those in one state.

        One after the other: others may put and reserve meanwhile.

        Args:
            tube: The tube's name; one that does not exist has no jobs.
            state: READY, DELAYED or BURIED of `JobState`, or its name; None for all
                three.

        Returns:
            How many.

        Raises:
            BadTubeNameError: The name is not a valid tube name.
            ConnectionLostError: A server could not be reached for too long.
            ClosedError: The broker was closed.

        Cost: two round trips for each job, and what `peek_ready` costs.
        """
        name = check_tube_name(tube)
        states = check_states(state, _UNHELD_STATES)
        self._pool.check_open()
        return sum(
            self._pool.ask([server], commands.clear_tube, name, each)
            for server in self._network.servers
            for each in states
        )

    # Events

    def subscribe(
        self,
        callback: Callable[[Event], object],
        kinds: Iterable[EventKind | KindName] | None = None,
        *,
        bodies: bool = False,
    ) -> NoReturn:
        """Not supported: a beanstalkd does not tell what happens.

        Args:
            callback: A function.
            kinds: Kinds of events, or None.
            bodies: Whether the events show bodies.

        Raises:
            NotSupportedError: Always.

        Cost: O(1).
        """
        del callback, kinds, bodies
        raise _no_events()

    def events(
        self,
        kinds: Iterable[EventKind | KindName] | None = None,
        buffer: int = 1000,
        *,
        bodies: bool = False,
    ) -> NoReturn:
        """Not supported: a beanstalkd does not tell what happens.

        Args:
            kinds: Kinds of events, or None.
            buffer: How many events wait at most.
            bodies: Whether the events show bodies.

        Raises:
            NotSupportedError: Always.

        Cost: O(1).
        """
        del kinds, buffer, bodies
        raise _no_events()

    # The end

    def join(self, *tubes: str, timeout: float | None = None) -> int:
        """Wait until these tubes have no ready, delayed or reserved job left.

        beanstalkd cannot tell: this looks again and again, at most once a second.

        Args:
            tubes: Their names. If there are none, these are all tubes, also those still
                to be made. One that does not exist has no jobs.
            timeout: Seconds to wait, None for ever, 0 not at all.

        Returns:
            How many buried jobs there are in them.

        Raises:
            TimedOutError: There is still work to do after the timeout.
            BadTubeNameError: One of the names is not valid.
            ConnectionLostError: A server could not be reached for too long.
            StoppedError: There is still work to do, and the broker was stopped, maybe
                while this waited.
            ClosedError: The broker was closed, maybe while this waited.

        Cost: a round trip for each tube and server, with each look.
        """
        join = self._join(tubes, timeout)
        while (until := join.look()) is not None:
            self._pool.sleep(until)
        return join.buried

    async def async_join(self, *tubes: str, timeout: float | None = None) -> int:  # noqa: ASYNC109 - that of `join`
        """Wait until these tubes have no ready, delayed or reserved job left.

        The same as `RemoteBroker.join`, awaited. If it is cancelled, it has no effect.

        Args:
            tubes: Their names. If there are none, these are all tubes, also those still
                to be made.
            timeout: Seconds to wait, None for ever, 0 not at all.

        Returns:
            How many buried jobs there are in them.

        Raises:
            TimedOutError: There is still work to do after the timeout.
            BadTubeNameError: One of the names is not valid.
            ConnectionLostError: A server could not be reached for too long.
            StoppedError: There is still work to do, and the broker was stopped, maybe
                while this waited.
            ClosedError: The broker was closed, maybe while this waited.

        Cost: a round trip for each tube and server, with each look.
        """
        from .aio import sleep_in_loop  # noqa: PLC0415 - see async_producer

        join = self._join(tubes, timeout)
        while (until := join.look()) is not None:
            await sleep_in_loop(self._pool, until)
        return join.buried

    def drain(self) -> NoReturn:
        """Not supported: only who runs a beanstalkd can drain it, by SIGUSR1.

        Raises:
            NotSupportedError: Always.

        Cost: O(1).
        """
        what = "command to drain it"
        raise NotSupportedError(what, "send SIGUSR1 to its process")

    def stop(self) -> None:
        """Stop all consumers of this broker, so that each finishes what is in hand.

        A reserve that waits raises `StoppedError`, and so do a join that waits and each
        later reserve; a loop over a consumer ends. Jobs in hand stay valid, and jobs can
        be put. Other processes go on. Stopping twice, or after closing, has no effect.

        It may be called from any thread, by a signal handler, and while the server is
        away.

        Cost: O(number of consumers, and of reserves that wait).
        """
        self._stop(_STOPPED)

    def stop_at_exit(self) -> None:
        """Stop the broker as the program ends, before its threads have to have ended.

        See `inproc_tubes.Broker.stop_at_exit`. A second call has no effect.

        Raises:
            RuntimeError: The program is ending already.

        Cost: O(1).
        """
        stop_at_exit(self._at_exit)

    def close(self) -> None:
        """Close all handles: what waits raises `ClosedError`, and jobs in hand go back.

        The other jobs stay with the server. Closing twice has no effect.

        Cost: that of closing each handle.
        """
        for producer in self._producers:
            producer._close(_CLOSED)
        for consumer in self._consumers:
            consumer._pool.close(_CLOSED)
        self._pool.close(_CLOSED)
        self._hasty_pool.close(_CLOSED)
        # A consumer may have been dropped while the user still has its jobs.
        for connection in self._network.connections:
            connection.shut_down() if connection.reserving else connection.close()

    def __enter__(self) -> Self:
        """Return the broker, which the end of the with-block closes."""
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the broker, see `close`."""
        self.close()

    def __del__(self) -> None:
        # Without pools: the constructor has raised.
        if hasattr(self, "_hasty_pool"):
            self._pool.abandon()
            self._hasty_pool.abandon()

    def __reduce_ex__(self, protocol: SupportsIndex, /) -> NoReturn:
        refuse_to_pickle(self, protocol)

    def __repr__(self) -> str:
        if self._pool.closed is not None:
            return f"<RemoteBroker: {self._pool.closed}>"
        handles = (
            counted(len(self._producers), "producer"),
            counted(len(self._consumers), "consumer"),
        )
        places = ",".join(map(str, self._network.servers))
        stopped = "" if self._stopped is None else "; stopped"
        return f"<RemoteBroker at {places}: {', '.join(handles)}{stopped}>"

    # What all of this is made of

    def _add_consumer(
        self, consumer: RemoteConsumer[T] | RemoteAsyncConsumer[T]
    ) -> None:
        self._consumers.add(consumer)
        if self._stopped is not None:
            consumer._reserving.stop(self._stopped)

    def _stop(self, why: str) -> None:
        if self._stopped is None and self._pool.closed is None:
            self._stopped = why
        for consumer in self._consumers:
            consumer._reserving.stop(why)
        self._pool.wake()

    def _join(self, tubes: Iterable[str], timeout: float | None) -> Join:
        names = [check_tube_name(tube) for tube in tubes]
        return Join(
            self._hasty_pool, names, check_timeout(timeout), lambda: self._stopped
        )

    def _id_of(self, job_or_id: Job[T] | int) -> int:
        """Return the id of a job that is no old handle."""
        if not isinstance(job_or_id, Job):
            return check_job_id(job_or_id)
        self._pool.check_open()
        reservation = self._holder._own(job_or_id)
        holder: object = job_or_id._holder
        assert isinstance(holder, RemoteHolder)  # as that of each RemoteJob is
        if holder._fenced(reservation):
            raise NotFoundError(reservation.id, reason=NotFoundReason.RESERVED_SINCE)
        return reservation.id

    def _once(
        self,
        verb: str,
        server: Server,
        command: Callable[..., R],
        *args: object,
    ) -> R:
        """Ask a server for what may not be done twice."""
        fresh = False
        while True:
            connection = self._pool.take(verb, [server], fresh=fresh)
            try:
                return command(connection, *args)
            except Lost as lost:
                if lost.sent:
                    self._pool.check_open()  # the likely reason
                    why = f"{server} may have done it or not: the connection was lost"
                    raise ConnectionLostError(verb, why) from lost
                fresh = True
            finally:
                self._pool.give_back(connection)

    def _looked_at(self, server: Server, found: greenstalk.Job[bytes]) -> RemoteJob[T]:
        job_id = self._network.public_id(server, found.id)
        reservation = Reservation(
            job_id, found.id, server, None, self._network.clock.now()
        )
        return new_job(
            reservation, decode(self._network.codec, found.body), self._holder
        )

    def _peek_at(self, tube: str, state: JobState) -> RemoteJob[T]:
        name = check_tube_name(tube)
        for server in self._network.servers:
            try:
                found = self._pool.ask([server], commands.peek_at, name, state)
            except greenstalk.NotFoundError:
                continue
            return self._looked_at(server, found)
        raise NotFoundError(tube=name, state=state.value)


def _check_network(value: object) -> None:
    if not isinstance(value, Network):
        message = "a RemoteBroker is made by connect()"
        raise TypeError(message)


class _AtExit:
    """A broker, as the end of the program sees it."""

    def __init__(self, broker: RemoteBroker[T]) -> None:
        self._consumers = broker._consumers
        self._broker = weakref.ref(broker)

    def stop(self, why: str) -> None:
        """Stop it, or what is left of it."""
        broker = self._broker()
        if broker is not None:
            broker._stop(why)
        for consumer in self._consumers:
            consumer._reserving.stop(why)


# The most that beanstalkd's ``kick`` takes (an unsigned int in prot.c).
_MAX_BOUND = 2**32 - 1


def _refuse_context(context: bool) -> None:  # noqa: FBT001 - as its callers were given it
    if context:
        what = "context of a put"
        raise NotSupportedError(what, "put what is needed into the body")


def _no_events() -> NotSupportedError:
    return NotSupportedError("events", "stats and stats_tube have counts to compare")
