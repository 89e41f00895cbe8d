"""The handle for threads that put jobs on a beanstalkd."""

from __future__ import annotations

from contextlib import suppress
from math import ceil
from typing import TYPE_CHECKING, Generic, NamedTuple, NoReturn, Self

import greenstalk

from inproc_tubes.checks import (
    check_duration,
    check_priority,
    check_timeout,
    check_tube_name,
)
from inproc_tubes.core.job import T, refuse_to_pickle
from inproc_tubes.core.keys import RAISE
from inproc_tubes.core.limits import DEFAULT_DELAY, DEFAULT_PRIORITY, DEFAULT_TTR
from inproc_tubes.errors import ConnectionLostError, JobTooBigError, NotSupportedError
from inproc_tubes.names import name_here
from inproc_tubes.verbs import adopt_verbs

from . import commands
from .codecs import encode
from .connection import Client, Lost
from .pool import Pool
from .server import Away

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType
    from typing import Literal, SupportsIndex

    from inproc_tubes.core.keys import OnDuplicate

    from .codecs import Codec
    from .connection import Connection
    from .server import Network, Server

__all__ = [
    "BaseRemoteProducer",
    "PutCommand",
    "RemoteProducer",
    "lost_put",
    "no_results",
    "put_commands",
    "refuse_all",
    "refuse_key",
]


class PutCommand(NamedTuple):
    """What a put sends: a body that is encoded, and three whole numbers."""

    data: bytes
    priority: int
    delay: int
    ttr: int


def put_commands(
    codec: Codec,
    bodies: Iterable[object],
    priority: int,
    delay: float,
    ttr: float,
    tube: str | None,
    timeout: float | None,
) -> list[PutCommand]:
    """Check what a put was given, and encode it.

    Raises:
        TypeError: A body cannot be encoded, or a number is none.
        ValueError: A number is out of its range.
    """
    priority = check_priority(priority)
    seconds = ceil(check_duration("delay", delay))
    time_to_run = ceil(check_duration("ttr", ttr)) or 1
    if tube is not None:
        check_tube_name(tube)
    check_timeout(timeout)
    return [
        PutCommand(encode(codec, body), priority, seconds, time_to_run)
        for body in bodies
    ]


def refuse_all(key: object, on_duplicate: object, expires: object) -> None:
    """Raise `NotSupportedError` if a job is to have a key, or to expire."""
    if expires is not None:
        what = "jobs that expire before they are reserved"
        raise NotSupportedError(what, "put the time into the body")
    if key is not None or on_duplicate != RAISE:
        refuse_key(key)


def no_results() -> NotSupportedError:
    """Return the error for a job whose result is asked for."""
    what = "results of jobs"
    return NotSupportedError(what, "have the handler put an answer into another tube")


def refuse_key(key: object) -> NoReturn:
    """Raise `NotSupportedError`: there are no keys."""
    del key
    what = "keys of jobs"
    raise NotSupportedError(what, "keep the ids, or have consumers see what is done")


class BaseRemoteProducer(Generic[T]):
    """All of a producer but how it puts."""

    def __init__(self, pool: Pool, tube: str, name: str | None) -> None:
        self._pool = pool
        self._name = name_here() if name is None else name
        self._tube = tube

    @property
    def name(self) -> str:
        """What it is called: see `RemoteBroker.producer`."""
        return self._name

    def using(self) -> str:
        """Return the name of the tube it uses.

        Raises:
            ClosedError: The producer or the broker was closed.

        Cost: O(1).
        """
        self._pool.check_open()
        return self._tube

    def close(self) -> None:
        """Put no more; a put that waits for a server raises `ClosedError`.

        Closing twice has no effect.

        Cost: O(number of connections).
        """
        self._close("the producer was closed")

    def _close(self, why: str) -> None:
        self._pool.close(why)

    def __enter__(self) -> Self:
        """Return the handle, which the end of the with-block closes."""
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the handle, see `close`."""
        self.close()

    def __reduce_ex__(self, protocol: SupportsIndex, /) -> NoReturn:
        refuse_to_pickle(self, protocol)

    def __repr__(self) -> str:
        state = self._pool.closed or f"uses {self._tube!r}"
        return f"<{type(self).__name__} {self._name!r}: {state}>"


class RemoteProducer(BaseRemoteProducer[T]):
    """Puts jobs into the tube it uses. Made by `RemoteBroker.producer`.

    It has the verbs of `inproc_tubes.Producer`, and may be shared by threads as that:
    each thread that is putting has a connection of its own meanwhile.
    """

    def __init__(self, network: Network, tube: str, name: str | None) -> None:
        super().__init__(Pool(network), tube, name)
        for server in network.servers:
            with suppress(Away, Lost):
                self._use(self._pool.try_to_take(server))

    def put(
        self,
        body: T,
        priority: int = DEFAULT_PRIORITY,
        delay: float = DEFAULT_DELAY,
        ttr: float = DEFAULT_TTR,
        tube: str | None = None,
        timeout: float | None = None,
        key: str | None = None,
        on_duplicate: OnDuplicate = RAISE,
        expires: float | None = None,
    ) -> int:
        """Put a job into a tube.

        Args:
            body: What the codec of the broker can encode.
            priority: 0 to 2**32 - 1; the lower, the more urgent.
            delay: Seconds until it is ready, rounded up to whole ones.
            ttr: Time to run: the seconds that a consumer has for the job once it has
                reserved it, rounded up to whole ones; 0 becomes 1.
            tube: The tube for this job alone, None for the one that is used.
            timeout: Has no effect: a tube of beanstalkd is never full.
            key: Not supported.
            on_duplicate: Not supported.
            expires: Not supported.

        Returns:
            The job's id.

        Raises:
            NotSupportedError: The job was to have a key, or to expire. Nothing was sent.
            TypeError: The body cannot be encoded. Nothing was sent.
            JobTooBigError: The encoded body is larger than the server takes.
            ConnectionLostError: The answer is lost, and the job may have been put or
                not; or no server could be reached for too long.
            DrainingError: The server takes no new jobs.
            BadTubeNameError: ``tube`` is not a valid tube name.
            ServerError: The server has no memory for it, for instance.
            ClosedError: The producer or the broker was closed, maybe while this waited.

        Cost: a round trip, and one more where the tube is another than last time.
        Source: OP_PUT (prot.c).
        """
        refuse_all(key, on_duplicate, expires)
        codec = self._pool.network.codec
        (command,) = put_commands(codec, [body], priority, delay, ttr, tube, timeout)
        return self._put(command, self._tube if tube is None else tube)

    def put_many(
        self,
        bodies: Iterable[T],
        priority: int = DEFAULT_PRIORITY,
        delay: float = DEFAULT_DELAY,
        ttr: float = DEFAULT_TTR,
        tube: str | None = None,
        timeout: float | None = None,
        key: Callable[[T], str | None] | None = None,
        on_duplicate: OnDuplicate = RAISE,
        expires: float | None = None,
    ) -> list[int]:
        """Put several jobs into a tube, one after the other.

        beanstalkd cannot put them at once: others see some of them before the rest, and
        if one cannot be put, those before it were.

        Args:
            bodies: What the codec of the broker can encode. All of them are taken from
                the iterable, and encoded, before anything is put.
            priority: That of each job, as in `put`.
            delay: The same.
            ttr: The same.
            tube: The tube for these jobs, None for the one that is used.
            timeout: Has no effect: a tube of beanstalkd is never full.
            key: Not supported.
            on_duplicate: Not supported.
            expires: Not supported.

        Returns:
            The jobs' ids, in the order of the bodies.

        Raises:
            NotSupportedError: The jobs were to have keys, or to expire. Nothing was sent.
            TypeError: One of the bodies cannot be encoded. Nothing was sent.
            JobTooBigError: One of them is larger than the server takes.
            ConnectionLostError: The answer for one is lost, or no server could be reached
                for too long.
            DrainingError: The server takes no new jobs.
            BadTubeNameError: ``tube`` is not a valid tube name.
            ServerError: The server has no memory for them, for instance.
            ClosedError: The producer or the broker was closed, maybe while this waited.

        Cost: a round trip for each.
        """
        refuse_all(key, on_duplicate, expires)
        codec = self._pool.network.codec
        commands = put_commands(
            codec, list(bodies), priority, delay, ttr, tube, timeout
        )
        name = self._tube if tube is None else tube
        self._pool.check_open()
        return [self._put(command, name) for command in commands]

    def submit(
        self,
        body: T,
        priority: int = DEFAULT_PRIORITY,
        delay: float = DEFAULT_DELAY,
        ttr: float = DEFAULT_TTR,
        tube: str | None = None,
        timeout: float | None = None,
        key: str | None = None,
        on_duplicate: Literal["raise", "replace"] = RAISE,
        expires: float | None = None,
    ) -> NoReturn:
        """Not supported: a beanstalkd does not tell what becomes of a job.

        Args:
            body: A body.
            priority: A priority.
            delay: Seconds.
            ttr: Seconds.
            tube: A tube's name.
            timeout: Seconds.
            key: A name for the job.
            on_duplicate: "raise" or "replace".
            expires: Seconds.

        Raises:
            NotSupportedError: Always.

        Cost: O(1).
        """
        del body, priority, delay, ttr, tube, timeout, key, on_duplicate, expires
        raise no_results()

    def use(self, tube: str) -> None:
        """Put into this tube from now on; it is made if it is new.

        Args:
            tube: Its name.

        Raises:
            BadTubeNameError: The name is not a valid tube name.
            ClosedError: The producer or the broker was closed.

        Cost: a round trip.
        Source: OP_USE (prot.c).
        """
        name = check_tube_name(tube)
        self._pool.check_open()
        self._tube = name
        for server in self._pool.network.servers:
            connection = self._pool.free_one(server)
            if connection is not None:
                with suppress(Lost):  # the next put makes another
                    self._use(connection)

    def __del__(self) -> None:
        # Without a pool: the constructor has raised.
        if hasattr(self, "_pool"):
            self._pool.abandon()

    def _use(self, connection: Connection) -> None:
        try:
            connection.use(self._tube)
        finally:
            self._pool.give_back(connection)

    def _put(self, command: PutCommand, tube: str) -> int:
        pool = self._pool
        network = pool.network
        fresh = False
        while True:
            connection = pool.take("put", network.in_turn(), fresh=fresh)
            server = connection.server
            try:
                connection.use(tube)
                wire_id = connection.ask(Client.put, *command)
                return network.public_id(server, wire_id)
            except Lost as lost:
                if lost.sent:
                    pool.check_open()  # the likely reason
                    raise lost_put(server) from lost
                fresh = True
            except greenstalk.JobTooBigError:
                size = len(command.data)
                raise JobTooBigError(size, max_job_size(pool, server)) from None
            finally:
                pool.give_back(connection)


adopt_verbs(RemoteProducer)


def lost_put(server: Server) -> ConnectionLostError:
    """Return the error for a put whose answer is lost."""
    why = f"{server} may have got the job or not: the connection was lost before it said so"
    return ConnectionLostError("put", why)


def max_job_size(pool: Pool, server: Server) -> int:
    """Ask how large a body may be."""
    return int(pool.ask([server], commands.stats)["max-job-size"])
