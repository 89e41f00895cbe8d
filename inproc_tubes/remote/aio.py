"""The handles for coroutines on a beanstalkd.

What waits is awaited; all else is a plain method that has its answer when it returns, as
with the handles in memory, and so is what a job does.

Why reserves are not aiostalk's
    On the server a job belongs to the connection that has reserved it. A job's verbs are
    plain methods, of any thread, that raise what the server says; a connection of aiostalk
    can only be awaited, and in its own loop. So a consumer has connections of greenstalk,
    as one for threads has, and only waits for their answers in the loop
    (``loop.sock_recv``). Its plain verbs block the loop for a round trip to the server.
    A producer's verbs are awaited all, and so aiostalk does its talking.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from math import inf
from typing import TYPE_CHECKING, Any, Self, TypeVar, overload
from weakref import WeakKeyDictionary

import aiostalk
import greenstalk

from inproc_tubes.checks import check_count, check_timeout, check_tube_name
from inproc_tubes.consumer import NO_DEFAULT
from inproc_tubes.core.job import Job, T
from inproc_tubes.core.keys import RAISE
from inproc_tubes.core.limits import (
    DEFAULT_DELAY,
    DEFAULT_PRIORITY,
    DEFAULT_TTR,
    DEFAULT_TUBE,
)
from inproc_tubes.errors import (
    ClosedError,
    JobTooBigError,
    ServerError,
    TimedOutError,
)
from inproc_tubes.verbs import adopt_verbs

from .connection import BROKEN, Connection, refusal_of
from .consumer import BaseRemoteConsumer
from .pool import Pool
from .producer import (
    BaseRemoteProducer,
    lost_put,
    max_job_size,
    no_results,
    put_commands,
    refuse_all,
)
from .reserving import Attempt, Dial, Wait
from .server import Away, as_os_error, wrong_greeting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType
    from typing import Literal, NoReturn

    from inproc_tubes.consumer import NoDefault
    from inproc_tubes.core.keys import OnDuplicate

    from .job import RemoteJob
    from .producer import PutCommand
    from .reserving import Answer
    from .server import Network, Server

__all__ = ["RemoteAsyncConsumer", "RemoteAsyncProducer", "sleep_in_loop"]


D = TypeVar("D")


class _LoopSleeper:
    """A coroutine that sleeps, see `Sleepers`."""

    def __init__(self, due_at: float) -> None:
        self.due_at = due_at
        self._loop = asyncio.get_running_loop()
        self.woken: asyncio.Future[None] = self._loop.create_future()

    def nudge(self) -> None:
        """Wake it."""
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        if not self.woken.done():
            self.woken.set_result(None)


async def sleep_in_loop(pool: Pool, until: float) -> None:
    """Sleep until that moment, or until the pool is closed or woken."""
    await _wait_for(pool, [], until)


async def _wait_for(
    pool: Pool, others: Iterable[asyncio.Future[Any]], until: float
) -> None:
    """Wait until one of these is done, until that moment, or until the pool is woken."""
    sleeper = _LoopSleeper(until)
    pool.note_sleeper(sleeper)
    try:
        with pool.network.sleepers.asleep(sleeper):
            left = pool.network.clock.seconds_until(until)
            await asyncio.wait(
                [*others, sleeper.woken],
                timeout=None if left == inf else max(0, left),
                return_when=asyncio.FIRST_COMPLETED,
            )
    finally:
        pool.forget_sleeper(sleeper)
        sleeper.woken.cancel()


async def _first_byte(connection: Connection) -> bytes:
    """Wait for the first byte of an answer."""
    loop = asyncio.get_running_loop()
    sock = connection.sock
    try:
        sock.settimeout(0)
        return await loop.sock_recv(sock, 1)
    except OSError:
        return b""
    finally:
        with suppress(OSError):  # it was closed
            sock.settimeout(None)


async def _wait_in_loop(pool: Pool, step: Wait | Dial) -> Answer:
    """Wait in the running loop for what a step asks for."""
    if isinstance(step, Dial):
        try:
            return await step.server.connect_in_loop(step.patience)
        except Away as away:
            return away
    connections, until, _ = step
    if len(connections) == 1 and until == inf:
        return connections[0], await _first_byte(connections[0])
    tasks = {asyncio.ensure_future(_first_byte(each)): each for each in connections}
    try:
        await _wait_for(pool, tasks, until)
        for task, connection in tasks.items():
            if task.done():
                return connection, task.result()
        return None
    finally:
        for task in tasks:
            task.cancel()
        # Before their sockets are closed, the loop must have forgotten them.
        await asyncio.gather(*tasks, return_exceptions=True)


async def _go(attempt: Attempt[T]) -> list[RemoteJob[T]]:
    """Take the steps of a reserve, and wait in the running loop in between."""
    try:
        steps = attempt.steps()
        step = next(steps)
        while True:
            step = steps.send(await _wait_in_loop(attempt.pool, step))
    except StopIteration as end:
        jobs: list[RemoteJob[T]] = end.value  # as in `go_in_thread`
        return jobs
    except BaseException:
        attempt.break_off()
        raise


class RemoteAsyncConsumer(BaseRemoteConsumer[T]):
    """Reserves jobs, in coroutines. Made by `RemoteBroker.async_consumer`.

    It has the verbs of `inproc_tubes.AsyncConsumer`: `reserve`, `reserve_many` and
    iteration are awaited, and all others are plain methods, as are those of its jobs.
    Each of these blocks the event loop for a round trip to the server.

    A cancelled `reserve` has no effect, except that a job which it had already got
    counts as reserved once more.
    """

    @overload
    async def reserve(self, timeout: float | None = None) -> Job[T]: ...  # noqa: ASYNC109 - as in memory
    @overload
    async def reserve(
        self,
        timeout: float | None = None,  # noqa: ASYNC109 - as above
        *,
        default: D,
    ) -> Job[T] | D: ...
    @overload
    async def reserve(self, timeout: float | None, default: D) -> Job[T] | D: ...  # noqa: ASYNC109 - as above
    async def reserve(
        self,
        timeout: float | None = None,  # noqa: ASYNC109 - as above
        default: D | NoDefault = NO_DEFAULT,
    ) -> Job[T] | D:
        """Take the most urgent job of all watched tubes; wait for one if need be.

        The same as `RemoteConsumer.reserve`, awaited. If it is cancelled, it has no
        effect.

        Args:
            timeout: Seconds to wait, None for ever, 0 not at all.
            default: What is returned if there was no job within the timeout. Without
                it, `TimedOutError` is raised.

        Returns:
            The job, or the default. The job is this consumer's for ``job.ttr`` seconds.

        Raises:
            TimedOutError: There was no job within the timeout.
            DeadlineSoonError: There is no job, and one that this handle holds already
                expires within a second. It is raised once: the next `reserve` waits,
                unless the job was touched.
            StoppedError: The consumer or the broker was stopped, maybe while this waited.
            ClosedError: The consumer or the broker was closed, maybe while this waited.

        Cost: that of `RemoteConsumer.reserve`.
        Source: OP_RESERVE, OP_RESERVE_TIMEOUT (prot.c).
        """
        attempt = Attempt(self._reserving, check_timeout(timeout), warned=True)
        try:
            return (await _go(attempt))[0]
        except TimedOutError:
            if default is NO_DEFAULT:
                raise
            return default

    async def reserve_many(
        self,
        n: int,
        timeout: float | None = None,  # noqa: ASYNC109 - as in memory
    ) -> list[Job[T]]:
        """Take up to ``n`` jobs at once; wait for the first if need be.

        The same as `RemoteConsumer.reserve_many`, awaited. If it is cancelled, it has
        no effect.

        Args:
            n: How many at most, 1 or more.
            timeout: Seconds to wait for the first, None for ever, 0 not at all.

        Returns:
            The jobs, in the order in which they were reserved, at least one.

        Raises:
            TimedOutError: There was no job within the timeout.
            DeadlineSoonError: There is no job, and one that this handle holds already
                expires within a second. It is raised once: the next `reserve` waits,
                unless the job was touched.
            StoppedError: The consumer or the broker was stopped, maybe while this waited.
            ClosedError: The consumer or the broker was closed, maybe while this waited.

        Cost: that of `RemoteConsumer.reserve_many`; the loop is blocked for all of the
        jobs but the first.
        """
        n = check_count(n)
        bound = check_timeout(timeout)
        return [*await _go(Attempt(self._reserving, bound, warned=True, count=n))]

    def __aiter__(self) -> Self:
        """Return the consumer: each step takes a job, see `__anext__`."""
        return self

    async def __anext__(self) -> RemoteJob[T]:
        """Take the next job; wait for it without end. Cancelled, this has no effect.

        Raises:
            StopAsyncIteration: The consumer or the broker was stopped or closed.
        """
        await asyncio.sleep(0)
        try:
            return (await _go(Attempt(self._reserving, None, warned=False)))[0]
        except ClosedError:
            raise StopAsyncIteration from None

    async def __aenter__(self) -> Self:
        """Return the handle, which the end of the with-block closes."""
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the handle, see `close`."""
        self.close()

    def __repr__(self) -> str:
        return f"<RemoteAsyncConsumer {self._name!r}: {self._description}>"


adopt_verbs(RemoteAsyncConsumer)


class _Client(aiostalk.Client):  # type: ignore[misc]  # it has no types
    """aiostalk's client, its server, and the loop that it belongs to."""

    def __init__(self, server: Server) -> None:
        super().__init__(server.address, encoding=None)
        self.server = server
        self._made_after = server.breaks
        self._proven = False  # whether the server has answered anything
        self.loop = asyncio.get_running_loop()

    @property
    def is_alive(self) -> bool:
        """Whether the server has not ended it, as far as one can know."""
        return not (self._writer.is_closing() or self._reader.at_eof())

    def prove(self) -> None:
        """Note that the server has answered."""
        self._proven = True
        self.server.note_answer()

    def note_break(self, error: Exception) -> None:
        """Note that the server has ended it."""
        if not self._proven:
            self.server.note_break(self._made_after, error)

    def end(self) -> None:
        """End it, from whatever thread."""
        # It was never made; or the loop is closed, and so is the connection.
        with suppress(AttributeError, RuntimeError):
            self.loop.call_soon_threadsafe(self._writer.close)


async def _greet(client: _Client) -> None:
    """Ask first what `Server.connect` asks, and raise what that raises."""
    try:
        await client.use(DEFAULT_TUBE)
    except greenstalk.BeanstalkdError as error:
        raise refusal_of(error) from error
    except greenstalk.UnknownResponseError as error:
        answer = b" ".join([error.status, *error.values]) + b"\r\n"
        raise wrong_greeting(answer) from error


class RemoteAsyncProducer(BaseRemoteProducer[T]):
    """Puts jobs, in coroutines. Made by `RemoteBroker.async_producer`.

    It has the verbs of `inproc_tubes.AsyncProducer`, and may be shared by event loops:
    each put that is under way has a connection of its own.
    """

    def __init__(self, network: Network, tube: str, name: str | None) -> None:
        super().__init__(Pool(network, patient=False), tube, name)
        # Those that nobody uses, and all of them, each for its own loop only.
        self._free: WeakKeyDictionary[asyncio.AbstractEventLoop, list[_Client]]
        self._free = WeakKeyDictionary()
        self._all: dict[_Client, None] = {}  # changed by single steps

    async def put(
        self,
        body: T,
        priority: int = DEFAULT_PRIORITY,
        delay: float = DEFAULT_DELAY,
        ttr: float = DEFAULT_TTR,
        tube: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - as in memory
        key: str | None = None,
        on_duplicate: OnDuplicate = RAISE,
        expires: float | None = None,
    ) -> int:
        """Put a job into a tube.

        The same as `RemoteProducer.put`, awaited. Cancelled while the server has not
        answered, the job may have been put or not.

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

        Cost: that of `RemoteProducer.put`.
        Source: OP_PUT (prot.c).
        """
        refuse_all(key, on_duplicate, expires)
        codec = self._pool.network.codec
        (command,) = put_commands(codec, [body], priority, delay, ttr, tube, timeout)
        return await self._put(command, self._tube if tube is None else tube)

    async def put_many(
        self,
        bodies: Iterable[T],
        priority: int = DEFAULT_PRIORITY,
        delay: float = DEFAULT_DELAY,
        ttr: float = DEFAULT_TTR,
        tube: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - as in memory
        key: Callable[[T], str | None] | None = None,
        on_duplicate: OnDuplicate = RAISE,
        expires: float | None = None,
    ) -> list[int]:
        """Put several jobs into a tube, one after the other.

        The same as `RemoteProducer.put_many`, awaited. Cancelled, some of them may have
        been put.

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

        Cost: that of `RemoteProducer.put_many`.
        """
        refuse_all(key, on_duplicate, expires)
        codec = self._pool.network.codec
        commands = put_commands(
            codec, list(bodies), priority, delay, ttr, tube, timeout
        )
        name = self._tube if tube is None else tube
        self._pool.check_open()
        return [await self._put(command, name) for command in commands]

    async def submit(
        self,
        body: T,
        priority: int = DEFAULT_PRIORITY,
        delay: float = DEFAULT_DELAY,
        ttr: float = DEFAULT_TTR,
        tube: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - as in memory
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
        """Put into this tube from now on; it is made with the next put if it is new.

        Args:
            tube: Its name.

        Raises:
            BadTubeNameError: The name is not a valid tube name.
            ClosedError: The producer or the broker was closed.

        Cost: O(1).
        Source: OP_USE (prot.c).
        """
        name = check_tube_name(tube)
        self._pool.check_open()
        self._tube = name

    def _close(self, why: str) -> None:
        super()._close(why)
        for client in list(self._all):
            client.end()

    async def __aenter__(self) -> Self:
        """Return the handle, which the end of the with-block closes."""
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the handle, see `close`."""
        self.close()

    def __del__(self) -> None:
        # Without a dict: the constructor has raised.
        for client in list(getattr(self, "_all", ())):
            client.end()

    async def _put(self, command: PutCommand, tube: str) -> int:
        network = self._pool.network
        while True:
            client = await self._take()
            server = client.server
            in_step = False
            sent = False
            too_big = False
            try:
                async with asyncio.timeout(network.answer_timeout):
                    if client.used_tube != tube:
                        await client.use(tube)
                        client.used_tube = tube
                    sent = True
                    wire_id: int = await client.put(*command)
                in_step = True
                client.prove()
                return network.public_id(server, wire_id)
            except greenstalk.JobTooBigError:
                in_step = True
                too_big = True
            except greenstalk.BeanstalkdError as error:
                in_step = True
                raise refusal_of(error) from error
            except greenstalk.UnknownResponseError as error:
                raise ServerError(error.status.decode("ascii", "replace")) from error
            except BROKEN as error:
                self._pool.check_open()  # the likely reason
                client.note_break(error)
                if sent:
                    raise lost_put(server) from error
            finally:
                if in_step and self._pool.closed is None:
                    self._free[client.loop].append(client)
                else:
                    self._drop(client)
            if too_big:
                limit = max_job_size(self._pool, server)
                raise JobTooBigError(len(command.data), limit)

    async def _take(self) -> _Client:
        """Take a connection to the first of the servers that is there."""
        network = self._pool.network
        free = self._free.setdefault(asyncio.get_running_loop(), [])
        give_up_at: float | None = None
        while True:
            self._pool.check_open()
            away: list[Away] = []
            for server in network.in_turn():
                client = await self._idle(server, free)
                if client is not None:
                    return client
                try:
                    return await self._connect(server)
                except Away as error:
                    away.append(error)
            if give_up_at is None:
                give_up_at = network.clock.now() + network.reconnect_timeout
            until = self._pool.time_to_retry("put", away, give_up_at)
            await sleep_in_loop(self._pool, until)

    async def _idle(self, server: Server, free: list[_Client]) -> _Client | None:
        """Take a connection that nobody uses, if there is one."""
        while True:
            client = next((each for each in free if each.server is server), None)
            if client is None:
                return None
            free.remove(client)
            alive = False
            try:
                # Twice, for the loop to see that the server has ended it, if so.
                await asyncio.sleep(0)
                await asyncio.sleep(0)
                alive = client.is_alive
            finally:
                if not alive:
                    self._drop(client)
            if alive:
                return client

    async def _connect(self, server: Server) -> _Client:
        server.check_not_away()
        client = _Client(server)
        try:
            async with asyncio.timeout(self._pool.network.answer_timeout):
                await client.connect()
                await _greet(client)
        except BROKEN as error:
            client.end()
            raise server.note_failure(as_os_error(error)) from error
        except BaseException:
            client.end()
            raise
        server.note_success()
        self._all[client] = None
        return client

    def _drop(self, client: _Client) -> None:
        self._all.pop(client, None)
        client.end()


adopt_verbs(RemoteAsyncProducer)
