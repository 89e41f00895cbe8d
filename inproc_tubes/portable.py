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
    from collections.abc import Iterable
    from types import TracebackType
    from typing import Self

    from typing_extensions import TypeVar

    from .broker import StateName, UnheldStateName
    from .clock import Clock
    from .core.job import Job, JobState
    from .core.statistics import BrokerSnapshot, BrokerStats, JobStats, TubeStats
    from .remote import Codec

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

    def close(self) -> None: ...

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
    ) -> int: ...

    def put_many(
        self,
        bodies: Iterable[T_contra],
        priority: int = DEFAULT_PRIORITY,
        delay: float = DEFAULT_DELAY,
        ttr: float = DEFAULT_TTR,
        tube: str | None = None,
        timeout: float | None = None,
    ) -> list[int]: ...

    def use(self, tube: str) -> None: ...

    def using(self) -> str: ...


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
    ) -> int: ...

    async def put_many(
        self,
        bodies: Iterable[T_contra],
        priority: int = DEFAULT_PRIORITY,
        delay: float = DEFAULT_DELAY,
        ttr: float = DEFAULT_TTR,
        tube: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - the engine's
    ) -> list[int]: ...

    def use(self, tube: str) -> None: ...

    def using(self) -> str: ...


class _Holder(_Handle, Protocol[T]):
    """The verbs for jobs in hand, and for what is watched."""

    def delete(self, job_or_id: Job[T] | int) -> None: ...

    def release(
        self,
        job_or_id: Job[T] | int,
        *,
        priority: int | None = None,
        delay: float = 0,
        error: BaseException | None = None,
        tube: str | None = None,
    ) -> None: ...

    def bury(
        self,
        job_or_id: Job[T] | int,
        *,
        priority: int | None = None,
        error: BaseException | None = None,
    ) -> None: ...

    def touch(self, job_or_id: Job[T] | int) -> None: ...

    def reserve_job(self, job_id: int) -> Job[T]: ...

    def reserve_nowait(self) -> Job[T] | None: ...

    def watch(self, *tubes: str) -> int: ...

    def ignore(self, tube: str) -> int: ...

    def watching(self) -> list[str]: ...

    def stop(self) -> None: ...


class AnyConsumer(_Holder[T], Protocol[T]):
    """A `Consumer`, or an `inproc_tubes.remote.RemoteConsumer`."""

    @overload
    def reserve(self, timeout: float | None = None) -> Job[T]: ...
    @overload
    def reserve(self, timeout: float | None = None, *, default: D) -> Job[T] | D: ...
    @overload
    def reserve(self, timeout: float | None, default: D) -> Job[T] | D: ...

    def reserve_many(self, n: int, timeout: float | None = None) -> list[Job[T]]: ...

    def __iter__(self) -> Self: ...

    def __next__(self) -> Job[T]: ...


class AnyAsyncConsumer(_Holder[T], _AsyncHandle, Protocol[T]):
    """An `AsyncConsumer`, or an `inproc_tubes.remote.RemoteAsyncConsumer`."""

    @overload
    async def reserve(self, timeout: float | None = None) -> Job[T]: ...  # noqa: ASYNC109 - the engine's
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
    ) -> list[Job[T]]: ...

    def __aiter__(self) -> Self: ...

    async def __anext__(self) -> Job[T]: ...


@runtime_checkable
class AnyBroker(_Handle, Protocol[T]):
    """A `Broker`, or an `inproc_tubes.remote.RemoteBroker`."""

    @property
    def clock(self) -> Clock: ...

    @overload
    def producer(
        self,
        tube: str = DEFAULT_TUBE,
        *,
        context: bool = False,
        name: str | None = None,
    ) -> AnyProducer[T]: ...
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
    def consumer(self, *tubes: str, name: str | None = None) -> AnyConsumer[T]: ...
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
    ) -> AnyAsyncProducer[T]: ...
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
    ) -> AnyAsyncConsumer[T]: ...
    @overload
    def async_consumer(
        self, *tubes: str, name: str | None = None, body: type[B]
    ) -> AnyAsyncConsumer[B]: ...

    def tubes(self) -> list[str]: ...

    def stats(self) -> BrokerStats: ...

    def stats_tube(self, tube: str) -> TubeStats: ...

    def stats_job(self, job_or_id: Job[T] | int) -> JobStats: ...

    def peek(self, job_id: int) -> Job[T]: ...

    def peek_ready(self, tube: str = DEFAULT_TUBE) -> Job[T]: ...

    def peek_delayed(self, tube: str = DEFAULT_TUBE) -> Job[T]: ...

    def peek_buried(self, tube: str = DEFAULT_TUBE) -> Job[T]: ...

    def snapshot(self) -> BrokerSnapshot: ...

    def find(self, key: str, tube: str = DEFAULT_TUBE) -> Job[T] | None: ...

    def jobs(
        self, tube: str, state: JobState | StateName | None = None
    ) -> list[Job[T]]: ...

    def cancel(self, job_or_id: Job[T] | int) -> None: ...

    def kick(self, tube: str, bound: int) -> int: ...

    def kick_job(self, job_or_id: Job[T] | int) -> None: ...

    def delete(self, job_or_id: Job[T] | int) -> None: ...

    def move(self, job_or_id: Job[T] | int, tube: str) -> None: ...

    def update(
        self,
        job_or_id: Job[T] | int,
        priority: int | None = None,
        delay: float | None = None,
    ) -> None: ...

    def pause_tube(self, tube: str, delay: float) -> None: ...

    def limit_tube(self, tube: str, maxsize: int) -> None: ...

    def limit_tries(self, tube: str, n: int | None) -> None: ...

    def clear_tube(
        self, tube: str, state: JobState | UnheldStateName | None = None
    ) -> int: ...

    def join(self, *tubes: str, timeout: float | None = None) -> int: ...

    async def async_join(self, *tubes: str, timeout: float | None = None) -> int: ...  # noqa: ASYNC109 - the engine's

    def drain(self) -> None: ...

    def stop(self) -> None: ...

    def stop_at_exit(self) -> None: ...


def make_broker(
    url: str, codec: Codec | str = "json", *, clock: Clock | None = None
) -> AnyBroker[Any]:
    """Return a broker in memory, or one on beanstalkds.

    Args:
        url: ``memory://``, or ``beanstalk://host:11300`` and so on: see
            `inproc_tubes.remote.connect`. That needs the extra ``inproc_tubes[remote]``.
        codec: How bodies become bytes, on a beanstalkd.
        clock: What tells the time; the machine's monotonic clock if None.

    Raises:
        ValueError: That is no such URL or codec.
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
