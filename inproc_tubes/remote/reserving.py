"""How a reserve goes, whoever waits for it: a thread or a coroutine.

`Reserving.steps` is a generator. It does all that does not wait, and yields what is to be
waited for: a `Wait` for answers or a moment, or a `Dial` for a new connection. It is
written once; `consumer` and `aio` say how to wait.
"""

from __future__ import annotations

import select
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

from .connection import Client, Connection, Lost, Standing
from .server import Away

if TYPE_CHECKING:
    from collections.abc import Generator

    from .connection import Reservation
    from .holder import RemoteHolder
    from .job import RemoteJob
    from .pool import Pool
    from .server import Server

    R = TypeVar("R")
    Steps: TypeAlias = "Generator[Wait | Dial, Answer, RemoteJob[T]]"
    Part: TypeAlias = "Generator[Wait | Dial, Answer, R]"

__all__ = ["Answer", "Dial", "Reserving", "Wait", "go_in_thread"]

# A whole number of seconds that is less than this more than it was to be is left to the
# server: it is more exact than to end the connection.
_SLACK = 0.05


class _UndecodableError(Exception):
    """A job was reserved that cannot be decoded, and was buried."""


class Wait(NamedTuple):
    """Wait until one of these connections has its answer, or until that moment."""

    connections: list[Connection]
    until: float
    wakes: int | None = None  # see `Pool.sleep`


class Dial(NamedTuple):
    """Make a new connection to this server."""

    server: Server


# What a wait has brought: a connection, and the first byte of its answer. What a dial has:
# a socket.
# None: the time is over, or it is to look again.
Answer: TypeAlias = "tuple[Connection, bytes] | socket.socket | Away | None"


class Reserving(Generic[T]):
    """What a consumer watches, and its reserves.

    Attributes:
        watched: The tubes.
        stopped: Why it was stopped, None if it was not.
        waiting: The connections that wait for a job.
    """

    def __init__(
        self, pool: Pool, holder: RemoteHolder[T], tubes: tuple[str, ...]
    ) -> None:
        self._pool = pool
        self._holder = holder
        self._network = pool.network
        self.watched = tubes
        self.stopped: str | None = None
        self.waiting: dict[Connection, None] = {}  # changed by single steps

    # Any thread, any moment

    def check_open(self) -> None:
        """Raise what a reserve raises after a close or a stop."""
        self._pool.check_open()
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
        self._pool.wake()

    # A reserve

    def steps(self, timeout: float | None, *, warned: bool) -> Steps[T]:
        """Reserve a job.

        Args:
            timeout: Seconds to wait, None for ever.
            warned: Whether it raises `DeadlineSoonError`.
        """
        clock, held = self._network.clock, self._pool.held
        until = inf if timeout is None else clock.now() + timeout
        while True:
            self.check_open()
            if timeout == 0 or len(self._network.servers) > 1 or (warned and held):
                for server in self._network.in_turn():
                    job = yield from self._look(server)
                    if job is not None:
                        return job
            deadline_at = self._first_deadline() if warned and held else inf
            now = clock.now()
            if timeout is not None and (timeout == 0 or now >= until):
                raise TimedOutError(timeout)
            job = yield from self._wait(now, until, deadline_at)
            if job is not None:
                return job

    def more(self, first: Reservation, count: int) -> list[RemoteJob[T]]:
        """Reserve up to so many jobs that are ready, by the connection of the first."""
        found: list[RemoteJob[T]] = []
        connection = first.connection
        assert connection is not None  # it was reserved
        try:
            while len(found) < count:
                job = connection.ask(Client.reserve, 0)
                reservation = self._pool.accept(connection, job)
                handle = self._holder._job_of(reservation, job.body)
                if handle is not None:
                    found.append(handle)
        except (Lost, greenstalk.TimedOutError, greenstalk.DeadlineSoonError):
            pass
        except BaseException:
            self._pool.drop(connection)  # nobody has a handle of what it has
            raise
        return found

    def reserve_job(self, job_id: int) -> RemoteJob[T]:
        """Reserve the job of this id."""
        server, wire_id = self._network.place_of(job_id)
        fresh = False
        while True:
            connection = self._pool.take("reserve_job", [server], fresh=fresh)
            connection.reserving = True
            try:
                found = connection.ask(Client.reserve_job, wire_id)
                reservation = self._pool.accept(connection, found)
            except greenstalk.NotFoundError:
                raise self._holder._not_found(job_id) from None
            except Lost:
                fresh = True
                continue
            except BaseException:
                self._pool.drop(connection)  # it may have the job
                raise
            finally:
                self._pool.end_reserving(connection)
            job = self._holder._job_of(reservation, found.body)
            if job is None:
                message = f"job {job_id} is buried: its body cannot be decoded"
                raise ValueError(message)
            return job

    def open(self) -> None:
        """Connect to the servers that are there, and watch."""
        for server in self._network.servers:
            with suppress(Away, Lost):
                self._watch(self._pool.try_to_take(server))

    def tell(self) -> None:
        """Have a connection that is free watch what is to be watched."""
        for server in self._network.servers:
            connection = self._pool.free_one(server)
            if connection is not None:
                with suppress(Lost):
                    self._watch(connection)

    def _watch(self, connection: Connection) -> None:
        try:
            connection.watch(self.watched)
        finally:
            self._pool.give_back(connection)

    @property
    def _patience(self) -> float:
        return self._network.answer_timeout

    def _connected(
        self, server: Server, *, fresh: bool = False
    ) -> Part[Connection | Away]:
        """Take a connection that watches what is to be watched, or say why not."""
        connection = None if fresh else self._pool.free_one(server, alive=False)
        if connection is None:
            made = yield Dial(server)
            if isinstance(made, Away):
                return made
            assert isinstance(made, socket.socket)
            try:
                connection = self._pool.adopt(server, made)
            except Away as away:
                return away
        connection.reserving = True
        try:
            connection.watch(self.watched)
        except Lost:
            self._give_up(connection)
            raise
        except BaseException:
            self._give_up(connection)
            raise
        return connection

    def _give_up(self, connection: Connection) -> None:
        self.waiting.pop(connection, None)
        self._pool.drop(connection)

    def _look(self, server: Server) -> Part[RemoteJob[T] | None]:
        """Reserve a job that is ready on a server; None if there is none."""
        fresh = False
        while True:
            try:
                connection = yield from self._connected(server, fresh=fresh)
            except Lost:
                fresh = True
                continue
            if isinstance(connection, Away):
                return None
            try:
                connection.begin_reserve(0)
                patience = self._network.clock.now() + self._patience
                answer = yield Wait([connection], patience)
                return self._take(answer, connection)
            except _UndecodableError:
                pass  # it is buried: look again
            except Lost:
                self._give_up(connection)
                self.check_open()
                fresh = True
            except BaseException:
                self._give_up(connection)
                raise

    def _take(self, answer: Answer, connection: Connection) -> RemoteJob[T] | None:
        """Return the job in an answer, and have the connection be free if it has none.

        Raises:
            _UndecodableError: There was a job that cannot be decoded.
            Lost: The connection has ended.
        """
        first = answer[1] if isinstance(answer, tuple) else b""
        found = connection.end_reserve(first)
        if found is None:
            self._pool.end_reserving(connection)
            return None
        self.waiting.pop(connection, None)
        reservation = self._pool.accept(connection, found)
        job = self._holder._job_of(reservation, found.body)
        self._pool.end_reserving(connection)
        if self._pool.closed is not None:
            self._give_up(connection)
            self._pool.check_open()
        if job is None:
            raise _UndecodableError
        return job

    def _first_deadline(self) -> float:
        """Return when the first job in hand is to be told of: a second before its end.

        Raises:
            DeadlineSoonError: That is now.
        """
        now = self._network.clock.now()
        first: tuple[float, Reservation] | None = None
        for reservation in list(self._pool.held.values()):
            if reservation.standing is not Standing.HELD or reservation.told:
                continue
            if reservation.stats is None:
                try:
                    stats = self._holder._stats_of(reservation)
                except NotFoundError:
                    continue
                reservation.stats = stats
            deadline_at = reservation.begun_at + reservation.stats.ttr
            if deadline_at <= now:
                continue  # it is over, and nobody need be told
            if first is None or deadline_at < first[0]:
                first = (deadline_at, reservation)
        if first is None:
            return inf
        deadline_at, reservation = first
        if deadline_at - SAFETY_MARGIN <= now:
            reservation.told = True
            raise DeadlineSoonError(reservation.id, deadline_at - now)
        return deadline_at - SAFETY_MARGIN

    def _wait(
        self, now: float, until: float, deadline_at: float
    ) -> Part[RemoteJob[T] | None]:
        """Wait for a job on all servers; None if it is time to look again."""
        watched = self.watched
        asked: list[Connection] = []
        try:
            retry_at = yield from self._get_ready(asked)
            bound = min(until, deadline_at, retry_at)
            wakes = self._pool.wakes
            self.check_open()
            if self.watched is not watched:
                return None
            until_when = self._begin(asked, now, bound)
            answer = yield Wait(asked, until_when, wakes)
            if not isinstance(answer, tuple):
                return None
            connection = answer[0]
            asked.remove(connection)
            try:
                return self._take(answer, connection)
            except _UndecodableError:
                raise
            except BaseException:
                self._give_up(connection)
                raise
            finally:
                self.waiting.pop(connection, None)
        except (_UndecodableError, Lost):
            return None  # to look again
        finally:
            for connection in asked:
                self.waiting.pop(connection, None)
                self._pool.hang_up(connection)

    def _get_ready(self, asked: list[Connection]) -> Part[float]:
        """Take a connection to each server; return when to try those that are away."""
        retry_at = inf
        for server in self._network.in_turn():
            connection = yield from self._connected(server)
            if isinstance(connection, Away):
                retry_at = min(retry_at, connection.retry_at)
            else:
                asked.append(connection)
                self.waiting[connection] = None
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
                bound = now + seconds + self._patience
        for connection in asked:
            connection.begin_reserve(seconds)
        return bound


def go_in_thread(pool: Pool, steps: Steps[T]) -> RemoteJob[T]:
    """Take the steps of a reserve, and wait in this thread in between."""
    try:
        step = next(steps)
        while True:
            step = steps.send(_wait_in_thread(pool, step))
    except StopIteration as end:
        job: RemoteJob[T] = end.value
        return job
    except BaseException:
        steps.close()  # it ends its connections
        raise


def _wait_in_thread(pool: Pool, step: Wait | Dial) -> Answer:
    """Wait in this thread for what a step asks for."""
    if isinstance(step, Dial):
        try:
            return step.server.connect()
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
    readable, _, _ = select.select([each.sock for each in connections], [], [], left)
    for connection in connections:
        if connection.sock in readable:
            return connection, connection.wait(0) or b""
    return None
