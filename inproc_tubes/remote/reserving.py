"""How a reserve goes, whoever waits for it: a thread or a coroutine.

`Attempt.steps` is a generator. It does all that does not wait, and yields what is to be
waited for: a `Wait` for answers or a moment, or a `Dial` for a new connection. It is
written once; `go_in_thread` and `aio` say how to wait.

What breaks a reserve off
    An attempt knows each connection that it uses, until that is free again or the user
    has its job. Ctrl-C and the like may come between any two steps: `Attempt.break_off`
    ends these connections then, and the server gives their jobs back.
"""

from __future__ import annotations

import selectors
import socket
from contextlib import suppress
from math import ceil, inf
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeAlias, TypeVar

import greenstalk

from inproc_tubes.core.job import T
from inproc_tubes.core.limits import MAX_TIMEOUT, SAFETY_MARGIN
from inproc_tubes.errors import (
    DeadlineSoonError,
    NotFoundError,
    StoppedError,
    TimedOutError,
)

from .connection import Client, Connection, Lost, ReservationState
from .reservation import LATE
from .server import Away

if TYPE_CHECKING:
    from collections.abc import Generator

    from .holder import RemoteHolder
    from .job import RemoteJob
    from .pool import Pool
    from .reservation import Reservation
    from .server import Server

    R = TypeVar("R")
    Steps: TypeAlias = "Generator[Wait | Dial, Answer, list[RemoteJob[T]]]"
    Part: TypeAlias = "Generator[Wait | Dial, Answer, R]"

__all__ = ["Answer", "Attempt", "Dial", "Reserving", "Wait", "go_in_thread"]

# A whole number of seconds that is less than this more than it was to be is left to the
# server: it is more exact than to end the connection.
_SLACK = 0.05

# Seconds that a server has to answer at least, however short the timeout of a reserve: a
# packet that was lost is sent again after one.
_SHORTEST_PATIENCE = 2.0


class Wait(NamedTuple):
    """Wait until one of these connections has its answer, or until that moment."""

    connections: list[Connection]
    until: float
    wakes: int | None = None  # see `Pool.sleep`


class Dial(NamedTuple):
    """Make a new connection to this server, which has so many seconds to answer."""

    server: Server
    patience: float


# What a wait has brought: a connection, and the first byte of its answer. What a dial has:
# a socket.
# None: the time is over, or it is to look again.
Answer: TypeAlias = "tuple[Connection, bytes] | socket.socket | Away | None"


class Reserving(Generic[T]):
    """What a consumer watches, and what is the same for all of its reserves.

    Attributes:
        pool: Its connections.
        holder: What settles its jobs.
        watched: The tubes.
        stopped: Why it was stopped, None if it was not.
        waiting: The connections that wait for a job.
    """

    def __init__(
        self, pool: Pool, holder: RemoteHolder[T], tubes: tuple[str, ...]
    ) -> None:
        self.pool = pool
        self.holder = holder
        self.watched = tubes
        self.stopped: str | None = None
        self.waiting: dict[Connection, None] = {}  # changed by single steps

    # Any thread, any moment

    def check_open(self) -> None:
        """Raise what a reserve raises after a close or a stop."""
        self.pool.check_open()
        if self.stopped is not None:
            raise StoppedError(self.stopped)

    def stop(self, why: str) -> None:
        """Have each reserve raise `StoppedError`. In a signal handler, too."""
        if self.stopped is None:
            self.stopped = why
        self.look_again()

    def look_again(self) -> None:
        """Have what waits look again at what it watches, and whether it may."""
        for connection in list(self.waiting):
            connection.shut_down()
        self.pool.wake()

    def reserve_job(self, job_id: int) -> RemoteJob[T]:
        """Reserve the job of this id."""
        pool = self.pool
        server, wire_id = pool.network.place_of(job_id)
        fresh = False
        while True:
            connection = pool.take("reserve_job", [server], fresh=fresh)
            try:
                connection.reserving = True
                found = connection.ask(Client.reserve_job, wire_id)
                reservation = pool.accept(connection, found)
                job = self.holder._job_of(reservation, found.body)
                pool.end_reserving(connection)
            except greenstalk.NotFoundError:
                pool.end_reserving(connection)
                raise self.holder._not_found(job_id) from None
            except Lost:
                fresh = True
                continue
            except BaseException:
                connection.close()  # it may have the job
                raise
            if job is None:
                message = f"job {job_id} is buried: its body cannot be decoded"
                raise ValueError(message)
            return job

    # Connections

    def open(self) -> None:
        """Connect to the servers that are there, and watch."""
        for server in self.pool.network.servers:
            with suppress(Away, Lost):
                self._watch(self.pool.try_to_take(server))

    def tell(self) -> None:
        """Have a connection that is free watch what is to be watched."""
        for server in self.pool.network.servers:
            connection = self.pool.free_one(server)
            if connection is not None:
                with suppress(Lost):
                    self._watch(connection)

    def _watch(self, connection: Connection) -> None:
        try:
            connection.watch(self.watched)
        finally:
            self.pool.give_back(connection)

    def free_one(self, server: Server) -> Connection | None:
        """Take a connection that nobody uses, or whose jobs nobody can settle any more."""
        pool = self.pool
        found = pool.free_one(server, alive=False)
        if found is not None:
            return found
        now = pool.network.clock.now()
        for reservation in list(pool.held.values()):
            if reservation.server is not server:
                continue
            # Without its handle a job may still be settled by its id, until it expires.
            if reservation.is_dropped and reservation.stats is None:
                with suppress(NotFoundError):
                    reservation.stats = self.holder._stats_of_held(reservation)
            if reservation.is_over_at(now):
                self.holder._is_over(reservation)
        return pool.free_one(server, alive=False)

    def first_deadline(self) -> float:
        """Return when the first job in hand is to be told of, or asked for.

        It is told of a second before its end. If it was, it is asked for when it is over:
        see `RemoteHolder._is_over`.

        Raises:
            DeadlineSoonError: One is to be told of now.
        """
        now = self.pool.network.clock.now()
        first: tuple[float, Reservation] | None = None
        for reservation in list(self.pool.held.values()):
            if reservation.state is not ReservationState.HELD:
                continue
            if reservation.stats is None:
                try:
                    reservation.stats = self.holder._stats_of_held(reservation)
                except NotFoundError:
                    continue
            deadline_at = reservation.begun_at + reservation.stats.ttr
            if reservation.is_over_at(now):
                self.holder._is_over(reservation)
                continue
            late = reservation.told or deadline_at <= now
            due_at = deadline_at + (LATE if late else -SAFETY_MARGIN)
            if first is None or due_at < first[0]:
                first = (due_at, reservation)
        if first is None:
            return inf
        due_at, reservation = first
        if due_at <= now and not reservation.told:
            reservation.told = True
            raise DeadlineSoonError(reservation.id, due_at + SAFETY_MARGIN - now)
        return due_at


class Attempt(Generic[T]):
    """One reserve that is under way.

    Attributes:
        pool: The connections of its consumer.

    Args:
        reserving: What is the same for all reserves of its consumer.
        timeout: Seconds to wait for the first job, None for ever.
        warned: Whether it raises `DeadlineSoonError`.
        count: How many jobs it reserves at most, if they are ready.
    """

    def __init__(
        self,
        reserving: Reserving[T],
        timeout: float | None,
        *,
        warned: bool,
        count: int = 1,
    ) -> None:
        self._count = count
        self.pool: Pool = reserving.pool
        self._reserving = reserving
        self._network = reserving.pool.network
        self._timeout = timeout
        self._warned = warned
        self._until = inf if timeout is None else self._network.clock.now() + timeout
        self._using: dict[Connection, None] = {}

    def steps(self) -> Steps[T]:
        """Reserve jobs, one at least. What is yielded is to be waited for."""
        network, held, timeout = self._network, self.pool.held, self._timeout
        while True:
            self._reserving.check_open()
            warned = self._warned and bool(held)
            if timeout == 0 or len(network.servers) > 1 or warned:
                for server in network.in_turn():
                    job = yield from self._look(server)
                    if job is not None:
                        jobs = self._with_more(job)
                        self._using = {}  # from here on the user has them
                        return jobs
            deadline_at = self._reserving.first_deadline() if warned else inf
            now = network.clock.now()
            if timeout is not None and (timeout == 0 or now >= self._until):
                raise TimedOutError(timeout)
            job = yield from self._wait(now, deadline_at)
            if job is not None:
                jobs = self._with_more(job)
                self._using = {}  # as above
                return jobs

    def _with_more(self, first: RemoteJob[T]) -> list[RemoteJob[T]]:
        """Reserve more jobs that are ready, by the connection of the first."""
        jobs = [first]
        connection = first._reservation.connection
        assert connection is not None  # it was reserved
        with suppress(Lost, greenstalk.TimedOutError, greenstalk.DeadlineSoonError):
            while len(jobs) < self._count:
                found = connection.ask(Client.reserve, 0)
                reservation = self.pool.accept(connection, found)
                job = self._reserving.holder._job_of(reservation, found.body)
                if job is not None:
                    jobs.append(job)
        return jobs

    def break_off(self) -> None:
        """End all connections that it uses. The server gives back what they have got."""
        for connection in list(self._using):
            self._end(connection)

    def _end(self, connection: Connection) -> None:
        self._reserving.waiting.pop(connection, None)
        connection.hang_up()
        del self._using[connection]

    @property
    def _patience(self) -> float:
        """For how many seconds a server may leave this unanswered."""
        left = self._until - self._network.clock.now()
        return min(self._network.answer_timeout, max(left, _SHORTEST_PATIENCE))

    def _connected(
        self, server: Server, *, fresh: bool = False
    ) -> Part[Connection | Away]:
        """Take a connection that watches what is to be watched, or say why not.

        Raises:
            Lost: It has ended.
        """
        connection = None if fresh else self._reserving.free_one(server)
        if connection is None:
            made = yield Dial(server, self._patience)
            if isinstance(made, Away):
                return made
            assert isinstance(made, socket.socket)
            try:
                connection = self.pool.adopt(server, made)
            except Away as away:
                return away
        self._using[connection] = None
        connection.reserving = True
        connection.watch(self._reserving.watched)
        return connection

    def _look(self, server: Server) -> Part[RemoteJob[T] | None]:
        """Reserve a job that is ready on a server; None if there is none."""
        fresh = False
        while True:
            try:
                connection = yield from self._connected(server, fresh=fresh)
                if isinstance(connection, Away):
                    return None
                connection.begin_reserve(0)
                patience = self._network.clock.now() + self._patience
                answer = yield Wait([connection], patience)
                found, job = self._take(answer, connection)
            except Lost:
                self.break_off()
                self._reserving.check_open()
                fresh = True
                continue
            if job is not None or not found:
                return job

    def _wait(self, now: float, deadline_at: float) -> Part[RemoteJob[T] | None]:
        """Wait for a job on all servers; None if it is time to look again."""
        reserving = self._reserving
        watched = reserving.watched
        asked: list[Connection] = []
        try:
            retry_at = yield from self._get_ready(asked)
            wakes = self.pool.wakes
            reserving.check_open()
            if reserving.watched is not watched:
                self.break_off()
                return None
            bound = self._begin(asked, now, min(self._until, deadline_at, retry_at))
            answer = yield Wait(asked, bound, wakes)
            if not isinstance(answer, tuple):
                self.break_off()
                return None
            served = answer[0]
            _, job = self._take(answer, served)
        except Lost:
            self.break_off()
            return None
        for connection in asked:
            if connection is not served:
                self._end(connection)
        return job

    def _take(
        self, answer: Answer, connection: Connection
    ) -> tuple[bool, RemoteJob[T] | None]:
        """Return the job in an answer, and have the connection be free if it has none.

        Returns:
            Whether there was a job, and that; None if it cannot be decoded: it is buried.

        Raises:
            Lost: The connection has ended.
        """
        first = answer[1] if isinstance(answer, tuple) else b""
        found = connection.end_reserve(first)
        self._reserving.waiting.pop(connection, None)
        job: RemoteJob[T] | None = None
        if found is not None:
            reservation = self.pool.accept(connection, found)
            job = self._reserving.holder._job_of(reservation, found.body)
            if self.pool.closed is not None:
                self.pool.check_open()
        if job is None:
            del self._using[connection]
            self.pool.end_reserving(connection)
        else:
            connection.reserving = False
        return found is not None, job

    def _get_ready(self, asked: list[Connection]) -> Part[float]:
        """Take a connection to each server; return when to try those that are away."""
        retry_at = inf
        for server in self._network.in_turn():
            connection = yield from self._connected(server)
            if isinstance(connection, Away):
                retry_at = min(retry_at, connection.retry_at)
            else:
                asked.append(connection)
                self._reserving.waiting[connection] = None
        return retry_at

    def _begin(self, asked: list[Connection], now: float, bound: float) -> float:
        """Send the reserves; return until when to wait for an answer."""
        if bound == inf:
            seconds = None
        else:
            left = max(0.0, bound - now)
            seconds = min(ceil(left), MAX_TIMEOUT)
            if asked and seconds - left < _SLACK:
                # The server keeps the time, and is given some to answer.
                patience = min(self._network.answer_timeout, _SHORTEST_PATIENCE)
                bound = now + seconds + patience
        for connection in asked:
            connection.begin_reserve(seconds)
        return bound


def go_in_thread(attempt: Attempt[T]) -> list[RemoteJob[T]]:
    """Take the steps of a reserve, and wait in this thread in between."""
    try:
        steps = attempt.steps()
        step = next(steps)
        while True:
            step = steps.send(_wait_in_thread(attempt.pool, step))
    except StopIteration as end:
        # The interpreter handles no signal from here until the caller has the jobs.
        jobs: list[RemoteJob[T]] = end.value
        return jobs
    except BaseException:
        attempt.break_off()
        raise


def _wait_in_thread(pool: Pool, step: Wait | Dial) -> Answer:
    """Wait in this thread for what a step asks for."""
    if isinstance(step, Dial):
        try:
            return step.server.connect(step.patience)
        except Away as away:
            return away
    connections, until, wakes = step
    clock = pool.network.clock
    if not connections:
        pool.sleep(until, wakes)
        return None
    left = None if until == inf else max(0.0, until - clock.now())
    if len(connections) == 1:
        (connection,) = connections
        first = connection.wait(left)
        return None if first is None else (connection, first)
    # Not `select.select`, which knows but the first 1,024 files of a process.
    with selectors.DefaultSelector() as selector:
        for connection in connections:
            selector.register(connection.sock, selectors.EVENT_READ, connection)
        for key, _ in selector.select(left):
            connection = key.data
            return connection, connection.wait(0) or b""
    return None
