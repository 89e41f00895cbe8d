"""The connections of one handle.

How a waiting reserve holds nobody up
    On the server a job belongs to the connection that has reserved it, and a connection
    that waits for a job takes no other command. So a connection here never does both: a
    reserve waits on one that has no job in hand, and a connection that has a job in hand
    is asked only what is answered at once. When its jobs are settled it is free, and the
    next reserve waits on it. A handle has as many connections as it has jobs in hand and
    reserves waiting, at most; `reserve_many` takes all its jobs by one.

    What the server would have told a client with all of this on one connection is known
    here: DEADLINE_SOON is reckoned from the statistics of the jobs in hand, and is asked
    for only when a reserve is about to wait.

A server that is away
    Each verb tries again, after the pauses of `Server`, until the broker's
    ``reconnect_timeout`` is over. `close` and `stop` wake what sleeps. A new connection
    watches and uses what the handle does before anything is asked of it.
"""

from __future__ import annotations

import threading
import weakref
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

from inproc_tubes.errors import ClosedError, ConnectionLostError
from inproc_tubes.weak_registry import WeakRegistry

from .connection import Connection, InHand, Lost, ReservationState
from .reservation import Reservation
from .server import Away
from .sleeping import ThreadSleeper

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterable

    import greenstalk

    from .job import RemoteJob
    from .server import Network, Server
    from .sleeping import Sleeper

__all__ = ["Pool"]

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

_FORKED = "the broker is the parent's: this is a forked child"


class Pool:
    """Some connections, free or not, and what sleeps until there is one.

    Attributes:
        network: The servers.
        patient: Whether its verbs wait for a server that is away. In an event loop they
            must not.
        closed: Why it was closed, None if it was not.
        abandoned: Whether nobody will ask for a connection any more.
        held: The reservations that are not over, by the ids of the jobs.
        wakes: How often `wake` was called.

    Args:
        network: The same.
        patient: The same.
    """

    def __init__(self, network: Network, *, patient: bool = True) -> None:
        self.network: Network = network
        self.patient: bool = patient
        self._patience = network.reconnect_timeout if patient else 0
        self.closed: str | None = None
        self.abandoned: bool = False
        self.wakes: int = 0
        self.held: dict[int, Reservation] = {}
        # Guards which connections are free. Reentrant, for a verb in a signal handler.
        self._lock = threading.RLock()
        # Changed by single steps, without a lock, as are the others.
        self._free: list[list[Connection]] = [[] for _ in network.servers]
        # Weak: what a verb was about to use when it was broken off closes itself.
        self._all: WeakRegistry[Connection] = WeakRegistry()
        self._sleepers: dict[Sleeper, None] = {}

    def check_open(self) -> None:
        """Raise `ClosedError` if it was closed."""
        if self.closed is not None:
            raise ClosedError(self.closed)
        if self.network.forked:
            raise ClosedError(_FORKED)

    # Connections

    def free_one(self, server: Server, *, alive: bool = True) -> Connection | None:
        """Take a connection that nobody uses, if there is one.

        Args:
            server: Its server.
            alive: Whether it is looked whether the server has ended it. Who can ask again
                need not.
        """
        free = self._free[server.index]
        while True:
            try:
                connection = free.pop()
            except IndexError:
                return None
            if not alive or connection.is_alive():
                return connection
            connection.close()

    def adopt(self, server: Server, sock: socket.socket) -> Connection:
        """Have a new connection, made of a socket, as one of its own.

        Raises:
            Away: It has ended already.
        """
        try:
            connection = Connection(
                server, sock, self.network.answer_timeout, self._note_end
            )
        except OSError as error:
            sock.close()
            raise server.note_failure(error) from error
        self._all.add(connection)
        self.network.connections.add(connection)
        if self.closed is not None or self.network.forked:
            connection.close()
            self.check_open()
        return connection

    def try_to_take(self, server: Server, *, fresh: bool = False) -> Connection:
        """Take a connection to a server.

        Args:
            server: The server.
            fresh: Whether it is to be a new one.

        Raises:
            Away: There is none, and no new one can be made.
        """
        free = None if fresh else self.free_one(server)
        return free or self.adopt(server, server.connect(self.network.answer_timeout))

    def give_back(self, connection: Connection) -> None:
        """Note that nobody uses a connection any more."""
        if connection.lost or self.abandoned:
            connection.close()
            return
        self._free[connection.server.index].append(connection)
        if self.closed is not None:
            connection.close()

    def _note_end(self, connection: Connection, had: list[InHand]) -> None:
        """Note that a connection has ended, and lost these jobs."""
        self._all.discard(connection)
        with self._lock:
            for reservation in had:
                if self.held.get(reservation.id) is reservation:
                    del self.held[reservation.id]

    # Jobs

    def accept(
        self, connection: Connection, found: greenstalk.Job[bytes]
    ) -> Reservation:
        """Note that a connection has reserved a job."""
        network = self.network
        job_id = network.public_id(connection.server, found.id)
        reservation = Reservation(
            job_id, found.id, connection.server, connection, network.clock.now()
        )
        with self._lock:
            older = self.held.get(job_id)
            connection.jobs[found.id] = reservation
            self.held[job_id] = reservation
        if older is not None:  # it has expired
            self.end(older, ReservationState.LOST)
        return reservation

    def note_handle(self, reservation: Reservation, job: RemoteJob[T]) -> None:
        """Note that the user has the handle of a job.

        A handle that was dropped keeps the connections that have a job which the user has.
        """

        def note_dropped(_: object) -> None:
            connection = reservation.connection
            if (
                self.abandoned
                and connection is not None
                and not _has_handle(connection)
            ):
                connection.close()

        reservation.handle = weakref.ref(job, note_dropped)

    def end(self, reservation: Reservation, state: ReservationState) -> None:
        """Note that a reservation is over; its connection is free if it has no other."""
        # Another thread may have settled the job meanwhile: it is not lost then.
        if reservation.state is not ReservationState.SETTLED:
            reservation.state = state
        connection = reservation.connection
        assert connection is not None  # it was reserved
        try:
            with self._lock:
                if self.held.get(reservation.id) is reservation:
                    del self.held[reservation.id]
                if connection.jobs.get(reservation.wire_id) is not reservation:
                    return
                del connection.jobs[reservation.wire_id]
                is_free = not connection.jobs and not connection.reserving
        except BaseException:
            connection.close()  # what it has is noted nowhere else
            raise
        if is_free:
            self.give_back(connection)

    def end_reserving(self, connection: Connection) -> None:
        """Note that a connection reserves no more; it is free if it has no job."""
        with self._lock:
            connection.reserving = False
            is_free = not connection.jobs
        if is_free:
            self.give_back(connection)

    # Verbs that are answered at once

    def take(
        self, verb: str, servers: Iterable[Server], *, fresh: bool = False
    ) -> Connection:
        """Take a connection to the first of these servers that is there.

        Args:
            verb: What it is for.
            servers: The servers.
            fresh: Whether it is to be a new one: another was lost with this verb, and a
                server that hangs is found out only by a new one.

        Raises:
            ConnectionLostError: None of them could be reached for too long.
            ClosedError: It was closed, maybe while this waited.
        """
        servers = list(servers)
        give_up_at: float | None = None
        while True:
            self.check_open()
            away: list[Away] = []
            for server in servers:
                try:
                    return self.try_to_take(server, fresh=fresh)
                except Away as error:
                    away.append(error)
            if give_up_at is None:
                give_up_at = self.network.clock.now() + self._patience
            self.sleep(self.time_to_retry(verb, away, give_up_at))

    def time_to_retry(self, verb: str, away: list[Away], give_up_at: float) -> float:
        """Return when to try again servers that are away.

        Raises:
            ConnectionLostError: It is time to give up.
        """
        if self.network.clock.now() >= give_up_at:
            tries = "; ".join(map(str, away))
            why = f"no beanstalkd could be reached: {tries}"
            raise ConnectionLostError(verb, why) from away[0].why
        return min(give_up_at, *(each.retry_at for each in away))

    def sleep(self, until: float, wakes: int | None = None) -> None:
        """Sleep until that moment, or until it is closed or woken.

        Args:
            until: That moment.
            wakes: What `wakes` was when there was a reason to sleep.
        """
        sleeper = ThreadSleeper(until)
        self._sleepers[sleeper] = None
        try:
            if self.closed is None and wakes in {None, self.wakes}:
                self.network.sleepers.sleep(sleeper)
        finally:
            del self._sleepers[sleeper]

    def note_sleeper(self, sleeper: Sleeper) -> None:
        """Wake this one as well, when it is closed or woken."""
        self._sleepers[sleeper] = None

    def forget_sleeper(self, sleeper: Sleeper) -> None:
        """Wake it no more."""
        self._sleepers.pop(sleeper, None)

    def wake(self) -> None:
        """Wake what sleeps. In any thread, and in a signal handler."""
        self.wakes += 1
        for sleeper in list(self._sleepers):
            sleeper.nudge()

    def ask(
        self,
        servers: Iterable[Server],
        command: Callable[Concatenate[Connection, P], R],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R:
        """Have something asked of one of these servers, again if the answer is lost.

        Raises:
            greenstalk.NotFoundError: The server has said so.
            ConnectionLostError: None of the servers could be reached for too long.
            TubesError: The server has refused otherwise.
        """
        fresh = False
        while True:
            connection = self.take(command.__name__, servers, fresh=fresh)
            try:
                return command(connection, *args, **kwargs)
            except Lost:
                fresh = True
            finally:
                self.give_back(connection)

    # The end

    def close(self, why: str) -> None:
        """End all connections. A verb that waits is told. Twice has no effect."""
        if self.closed is None:
            self.closed = why
        self.wake()
        for connection in self._all:
            if connection.reserving:
                # The waiting reserve ends it: an event loop must not lose a socket that it watches.
                connection.shut_down()
            else:
                connection.hang_up()

    def abandon(self) -> None:
        """End all connections that have no job in hand; nobody asks any more."""
        self.abandoned = True
        for connection in self._all:
            if not _has_handle(connection):
                connection.close()


def _has_handle(connection: Connection) -> bool:
    """Tell whether the user has a handle of one of the jobs of a connection."""
    return any(
        each.handle is not None and each.handle() is not None
        for each in list(connection.jobs.values())
    )
