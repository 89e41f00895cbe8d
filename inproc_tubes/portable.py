"""What brokers have in common, in memory and on a beanstalkd: types, and `make_broker`.

An application that is to run on either is written against these types, and checked once::

    def main(broker: AnyBroker[dict[str, int]]) -> None:
        broker.producer("orders").put({"sku": 7})

The verbs are described where they are: in `Broker`, `Producer` and so on for jobs in
memory, and in `inproc_tubes.remote` for those on a beanstalkd.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, overload, runtime_checkable

from .core.job import T
from .core.limits import DEFAULT_DELAY, DEFAULT_PRIORITY, DEFAULT_TTR, DEFAULT_TUBE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType
    from typing import Self

    from typing_extensions import TypeVar

    from .broker import KindName, StateName, UnheldStateName
    from .clock import Clock
    from .core.event import Event, EventKind
    from .core.job import Job, JobState
    from .core.statistics import BrokerSnapshot, BrokerStats, JobStats, TubeStats
    from .event_stream import EventStream
    from .remote import Codec
    from .subscriptions import Subscription

    T_contra = TypeVar("T_contra", contravariant=True, default=Any)
    B = TypeVar("B")
    D = TypeVar("D")
else:
    from typing import TypeVar

    B = TypeVar("B")
    D = TypeVar("D")
    T_contra = TypeVar("T_contra", contravariant=True)

__all__ = [
    "AnyAsyncConsumer",
    "AnyAsyncProducer",
    "AnyBroker",
    "AnyConsumer",
    "AnyProducer",
    "make_broker",
]

_MEMORY = "memory://"


class _Handle(Protocol):
    """What can be closed, and closes itself at the end of its with-block."""

    def close(self) -> None:
        """Close it: what waits raises `ClosedError`, and jobs in hand go back.

        See `Broker.close`.
        """

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None: ...


class _AsyncHandle(_Handle, Protocol):
    """The same for ``async with``."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None: ...


class AnyProducer(_Handle, Protocol[T_contra]):
    """A `Producer`, or an `inproc_tubes.remote.RemoteProducer`."""

    def put(
        self,
        body: T_contra,
        priority: int = DEFAULT_PRIORITY,
        delay: float = DEFAULT_DELAY,
        ttr: float = DEFAULT_TTR,
        tube: str | None = None,
        timeout: float | None = None,
    ) -> int:
        """Put a job into a tube; if that is full, wait for room.

        See `Producer.put`.
        """

    def put_many(
        self,
        bodies: Iterable[T_contra],
        priority: int = DEFAULT_PRIORITY,
        delay: float = DEFAULT_DELAY,
        ttr: float = DEFAULT_TTR,
        tube: str | None = None,
        timeout: float | None = None,
    ) -> list[int]:
        """Put several jobs into a tube at once: all of them, or none.

        See `Producer.put_many`.
        """

    def use(self, tube: str) -> None:
        """Put into this tube from now on; it is made if it is new.

        See `Producer.use`.
        """

    def using(self) -> str:
        """Return the name of the tube it uses.

        See `Producer.using`.
        """


class AnyAsyncProducer(_AsyncHandle, Protocol[T_contra]):
    """An `AsyncProducer`, or an `inproc_tubes.remote.RemoteAsyncProducer`."""

    async def put(
        self,
        body: T_contra,
        priority: int = DEFAULT_PRIORITY,
        delay: float = DEFAULT_DELAY,
        ttr: float = DEFAULT_TTR,
        tube: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - the engine's
    ) -> int:
        """Put a job into a tube; if that is full, wait for room.

        See `AsyncProducer.put`.
        """

    async def put_many(
        self,
        bodies: Iterable[T_contra],
        priority: int = DEFAULT_PRIORITY,
        delay: float = DEFAULT_DELAY,
        ttr: float = DEFAULT_TTR,
        tube: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - the engine's
    ) -> list[int]:
        """Put several jobs into a tube at once: all of them, or none.

        See `AsyncProducer.put_many`.
        """

    def use(self, tube: str) -> None:
        """Put into this tube from now on; it is made if it is new.

        See `AsyncProducer.use`.
        """

    def using(self) -> str:
        """Return the name of the tube it uses.

        See `AsyncProducer.using`.
        """


class _Holder(_Handle, Protocol[T]):
    """The verbs for jobs in hand, and for what is watched."""

    def delete(self, job_or_id: Job[T] | int) -> None:
        """Delete a job that this consumer holds, or that nobody holds.

        See `Consumer.delete`.
        """

    def release(
        self,
        job_or_id: Job[T] | int,
        *,
        priority: int | None = None,
        delay: float = 0,
        error: BaseException | None = None,
        tube: str | None = None,
    ) -> None:
        """Give a job that this consumer holds back to its tube.

        See `Consumer.release`.
        """

    def bury(
        self,
        job_or_id: Job[T] | int,
        *,
        priority: int | None = None,
        error: BaseException | None = None,
    ) -> None:
        """Put a job that this consumer holds aside, until somebody kicks it.

        See `Consumer.bury`.
        """

    def touch(self, job_or_id: Job[T] | int) -> None:
        """Restart the time to run of a job that this consumer holds.

        See `Consumer.touch`.
        """

    def reserve_job(self, job_id: int) -> Job[T]:
        """Take this job, whatever its tube and its place; never wait.

        See `Consumer.reserve_job`.
        """

    def reserve_nowait(self) -> Job[T] | None:
        """Take the most urgent job of all watched tubes, if there is one; never wait.

        See `Consumer.reserve_nowait`.
        """

    def watch(self, *tubes: str) -> int:
        """Reserve from these tubes too; a reserve that waits already does so as well.

        See `Consumer.watch`.
        """

    def ignore(self, tube: str) -> int:
        """Stop reserving from this tube; it need not be watched.

        See `Consumer.ignore`.
        """

    def watching(self) -> list[str]:
        """Return the names of the tubes it watches, in beanstalkd's order.

        See `Consumer.watching`.
        """

    def stop(self) -> None:
        """Take no more jobs; those in hand stay valid.

        See `Consumer.stop`.
        """


class AnyConsumer(_Holder[T], Protocol[T]):
    """A `Consumer`, or an `inproc_tubes.remote.RemoteConsumer`."""

    @overload
    def reserve(self, timeout: float | None = None) -> Job[T]:
        """Take the most urgent job of all watched tubes; wait for one if need be.

        See `Consumer.reserve`.
        """

    @overload
    def reserve(self, timeout: float | None = None, *, default: D) -> Job[T] | D: ...
    @overload
    def reserve(self, timeout: float | None, default: D) -> Job[T] | D: ...

    def reserve_many(self, n: int, timeout: float | None = None) -> list[Job[T]]:
        """Take up to ``n`` jobs at once; wait for the first if need be.

        See `Consumer.reserve_many`.
        """

    def __iter__(self) -> Self: ...

    def __next__(self) -> Job[T]: ...


class AnyAsyncConsumer(_Holder[T], _AsyncHandle, Protocol[T]):
    """An `AsyncConsumer`, or an `inproc_tubes.remote.RemoteAsyncConsumer`."""

    @overload
    async def reserve(self, timeout: float | None = None) -> Job[T]:  # noqa: ASYNC109 - the engine's
        """Take the most urgent job of all watched tubes; wait for one if need be.

        See `AsyncConsumer.reserve`.
        """

    @overload
    async def reserve(
        self,
        timeout: float | None = None,  # noqa: ASYNC109 - the engine's
        *,
        default: D,
    ) -> Job[T] | D: ...
    @overload
    async def reserve(self, timeout: float | None, default: D) -> Job[T] | D: ...  # noqa: ASYNC109 - the engine's

    async def reserve_many(
        self,
        n: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the engine's
    ) -> list[Job[T]]:
        """Take up to ``n`` jobs at once; wait for the first if need be.

        See `AsyncConsumer.reserve_many`.
        """

    def __aiter__(self) -> Self: ...

    async def __anext__(self) -> Job[T]: ...


@runtime_checkable
class AnyBroker(_Handle, Protocol[T]):
    """A `Broker`, or an `inproc_tubes.remote.RemoteBroker`."""

    @property
    def clock(self) -> Clock:
        """The clock that tells it the time. Cost: O(1).

        See `Broker.clock`.
        """

    @overload
    def producer(
        self,
        tube: str = DEFAULT_TUBE,
        *,
        context: bool = False,
        name: str | None = None,
    ) -> AnyProducer[T]:
        """Return a new handle that puts into this tube.

        See `Broker.producer`.
        """

    @overload
    def producer(
        self,
        tube: str = DEFAULT_TUBE,
        *,
        context: bool = False,
        name: str | None = None,
        body: type[B],
    ) -> AnyProducer[B]: ...

    @overload
    def consumer(self, *tubes: str, name: str | None = None) -> AnyConsumer[T]:
        """Return a new handle that reserves from exactly these tubes.

        See `Broker.consumer`.
        """

    @overload
    def consumer(
        self, *tubes: str, name: str | None = None, body: type[B]
    ) -> AnyConsumer[B]: ...

    @overload
    def async_producer(
        self,
        tube: str = DEFAULT_TUBE,
        *,
        context: bool = False,
        name: str | None = None,
    ) -> AnyAsyncProducer[T]:
        """Return a new handle, for coroutines, that puts into this tube.

        See `Broker.async_producer`.
        """

    @overload
    def async_producer(
        self,
        tube: str = DEFAULT_TUBE,
        *,
        context: bool = False,
        name: str | None = None,
        body: type[B],
    ) -> AnyAsyncProducer[B]: ...

    @overload
    def async_consumer(
        self, *tubes: str, name: str | None = None
    ) -> AnyAsyncConsumer[T]:
        """Return a new handle, for coroutines, that reserves from these tubes.

        See `Broker.async_consumer`.
        """

    @overload
    def async_consumer(
        self, *tubes: str, name: str | None = None, body: type[B]
    ) -> AnyAsyncConsumer[B]: ...

    def tubes(self) -> list[str]:
        """Return the names of all tubes, in beanstalkd's order.

        See `Broker.tubes`.
        """

    def stats(self) -> BrokerStats:
        """Return the statistics of the whole broker.

        See `Broker.stats`.
        """

    def stats_tube(self, tube: str) -> TubeStats:
        """Return the statistics of a tube.

        See `Broker.stats_tube`.
        """

    def stats_job(self, job_or_id: Job[T] | int) -> JobStats:
        """Return the statistics of a job, whatever its state.

        See `Broker.stats_job`.
        """

    def peek(self, job_id: int) -> Job[T]:
        """Return a job without reserving it, whatever its state.

        See `Broker.peek`.
        """

    def peek_ready(self, tube: str = DEFAULT_TUBE) -> Job[T]:
        """Return the job that this tube would serve next, without reserving it.

        See `Broker.peek_ready`.
        """

    def peek_delayed(self, tube: str = DEFAULT_TUBE) -> Job[T]:
        """Return the job of this tube whose delay is over first.

        See `Broker.peek_delayed`.
        """

    def peek_buried(self, tube: str = DEFAULT_TUBE) -> Job[T]:
        """Return the job of this tube that was buried first.

        See `Broker.peek_buried`.
        """

    def snapshot(self) -> BrokerSnapshot:
        """Return all statistics, and who holds which job, from one instant.

        See `Broker.snapshot`.
        """

    def find(self, key: str, tube: str = DEFAULT_TUBE) -> Job[T] | None:
        """Return the job of this tube that was put with this key, whatever its state.

        See `Broker.find`.
        """

    def jobs(
        self, tube: str, state: JobState | StateName | None = None
    ) -> list[Job[T]]:
        """Return all jobs of this tube, or those in one state, in the order of service.

        See `Broker.jobs`.
        """

    def cancel(self, job_or_id: Job[T] | int) -> None:
        """Delete a job, even while a consumer holds it.

        See `Broker.cancel`.
        """

    def kick(self, tube: str, bound: int) -> int:
        """Make buried jobs of a tube ready; if none is buried, delayed ones.

        See `Broker.kick`.
        """

    def kick_job(self, job_or_id: Job[T] | int) -> None:
        """Make this buried or delayed job ready.

        See `Broker.kick_job`.
        """

    def delete(self, job_or_id: Job[T] | int) -> None:
        """Delete a job that nobody holds.

        See `Broker.delete`.
        """

    def move(self, job_or_id: Job[T] | int, tube: str) -> None:
        """Give a job that nobody holds to another tube.

        See `Broker.move`.
        """

    def update(
        self,
        job_or_id: Job[T] | int,
        priority: int | None = None,
        delay: float | None = None,
    ) -> None:
        """Give a job that nobody holds another priority, or another delay.

        See `Broker.update`.
        """

    def bury(
        self,
        job_or_id: Job[T] | int,
        priority: int | None = None,
        error: BaseException | None = None,
    ) -> None:
        """Put a job that nobody holds aside, until somebody kicks it.

        See `Broker.bury`.
        """

    def pause_tube(self, tube: str, delay: float) -> None:
        """Let no consumer reserve from this tube for some time.

        See `Broker.pause_tube`.
        """

    def limit_tube(self, tube: str, maxsize: int) -> None:
        """Limit how many jobs this tube may have; `Producer.put` waits for room.

        See `Broker.limit_tube`.
        """

    def limit_tries(self, tube: str, n: int | None) -> None:
        """Limit how often a job of this tube may be reserved; after that it is buried.

        See `Broker.limit_tries`.
        """

    def clear_tube(
        self, tube: str, state: JobState | UnheldStateName | None = None
    ) -> int:
        """Delete all jobs of this tube that nobody holds, or those in one state.

        See `Broker.clear_tube`.
        """

    def subscribe(
        self,
        callback: Callable[[Event], object],
        kinds: Iterable[EventKind | KindName] | None = None,
        *,
        bodies: bool = False,
    ) -> Subscription:
        """Call a function for each event: a job was put, reserved, buried and so on.

        See `Broker.subscribe`.
        """

    def events(
        self,
        kinds: Iterable[EventKind | KindName] | None = None,
        buffer: int = 1000,
        *,
        bodies: bool = False,
    ) -> EventStream:
        """Return an async iterator over the events, for a coroutine.

        See `Broker.events`.
        """

    def join(self, *tubes: str, timeout: float | None = None) -> int:
        """Wait until these tubes have no ready, delayed or reserved job left.

        See `Broker.join`.
        """

    async def async_join(self, *tubes: str, timeout: float | None = None) -> int:  # noqa: ASYNC109 - the engine's
        """Wait until these tubes have no ready, delayed or reserved job left.

        See `Broker.async_join`.
        """

    def drain(self) -> None:
        """Refuse every put from now on, for ever; everything else goes on.

        See `Broker.drain`.
        """

    def stop(self) -> None:
        """Stop all consumers: they finish the jobs in hand, and take no more.

        See `Broker.stop`.
        """

    def stop_at_exit(self) -> None:
        """Stop the broker as the program ends, before its threads have to have ended.

        See `Broker.stop_at_exit`.
        """


def make_broker(
    url: str, codec: Codec | str = "json", *, clock: Clock | None = None
) -> AnyBroker[Any]:
    """Return a broker in memory, or one on beanstalkds.

    Args:
        url: ``memory://``, or ``beanstalk://host:11300`` and so on: see
            `inproc_tubes.remote.connect`. That needs the extra ``inproc_tubes[remote]``.
        codec: How bodies become bytes, on a beanstalkd.
        clock: The clock; None for the machine's monotonic clock.

    Raises:
        ValueError: The URL or the codec is not valid.
        TypeError: One of them has the wrong type.
        ModuleNotFoundError: The extra is not installed.

    Cost: O(1).
    """
    # Imported late: an application in memory need not have greenstalk.
    if url == _MEMORY:
        from .broker import Broker  # noqa: PLC0415 - as above

        return Broker(clock=clock)
    if isinstance(url, str) and not url.startswith("beanstalk://"):
        message = f"a URL is memory:// or beanstalk://host:11300, not {url!r}"
        raise ValueError(message)
    from .remote import connect  # noqa: PLC0415 - as above

    return connect(url, codec, clock=clock)
