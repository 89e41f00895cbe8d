"""The handle for those who put jobs.

`BaseProducer` is everything but how to wait for room. A `Producer` is one that waits in
its thread, and an `inproc_tubes.AsyncProducer` holds one that waits in an event loop.
"""

from __future__ import annotations

from contextvars import copy_context
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Generic, Self, TypeVar

from .checks import (
    OCTETS,
    check_bodies,
    check_duration,
    check_expires,
    check_function,
    check_key,
    check_on_duplicate,
    check_priority,
    check_timeout,
    check_tube_name,
    first_size_beyond,
)
from .core import questions
from .core.job import T, refuse_to_pickle
from .core.keys import KEEP, RAISE
from .core.limits import DEFAULT_DELAY, DEFAULT_PRIORITY, DEFAULT_TTR
from .core.making import new_job
from .core.promise import Promise
from .core.requests import PutRequest
from .core.text import counted, waiting
from .errors import ClosedError, DrainingError, ReentrantCallError
from .turns import PutTurn
from .verbs import adopt_verbs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType
    from typing import Any, Literal, NoReturn, SupportsIndex

    from .core.keys import OnDuplicate
    from .core.record import AnyJob
    from .future import JobFuture
    from .monitor import Monitor
    from .waiting.threads import ThreadSleepers

__all__ = ["BaseProducer", "Producer", "open_producer"]

W = TypeVar("W")
M = TypeVar("M")


class BaseProducer(PutTurn, Generic[W, M, T]):
    """A session that puts jobs.

    ``W`` and ``M`` are what waiting for room returns, for one job and for many: ids, or
    an awaitable of them.
    """

    __slots__ = ("__weakref__", "_items", "_max_job_size")

    def __init__(
        self,
        monitor: Monitor,
        tube: str,
        max_job_size: int | None,
        *,
        context: bool,
        name: str | None,
    ) -> None:
        self._max_job_size = max_job_size
        # No item of such a body takes more than four bytes: see OCTETS.
        self._items = inf if max_job_size is None else max_job_size // 4
        session = monitor.open(tube, (), name=name)
        super().__init__(monitor, session, keeps_context=context)

    @property
    def name(self) -> str:
        """Its name: see `Broker.producer`."""
        return self._session.name

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
    ) -> int | W:
        """Put a job into a tube; if that is full, wait for room.

        If a consumer waits for such a job, it has the job when this returns. Where
        `Broker.limit_tube` limits the tube, puts are let in in the order in which they
        came. A job that has waited gets its id, and its delay begins, when it is let
        in. A put that is interrupted while it waits leaves nothing behind.

        A finaliser, a weak reference's callback or a signal handler may call this in
        the middle of another verb: the id is returned at once, and the job is put when
        that verb ends, even into a full tube.

        Args:
            body: Any object. It is handed over by reference, and never inspected.
            priority: 0 to 2**32 - 1; the lower, the more urgent.
            delay: Seconds until it is ready, 0 to 2**32 - 1.
            ttr: Time to run: the seconds that a consumer has for the job once it has
                reserved it, up to 2**32 - 1; 0 becomes 1.
            tube: The tube for this job alone, None for the one that is used.
            timeout: Seconds to wait for room, None for ever, 0 not at all.
            key: A name for the job, which is unique in its tube as long as the job is
                there, whatever its state; None for no name.
            on_duplicate: What to do if a job of the tube has this key. "raise": raise
                `DuplicateJobError`. "keep": put nothing, and return the id of that job.
                "replace": put this one and delete that one; if somebody holds that one,
                raise. A job that replaces another needs no room.
            expires: Seconds for which it may be ready before it is deleted; None for
                ever. They run while it could be reserved, in a paused tube too, and
                stand still while it is reserved, delayed or buried. After that it has
                what is left.

        Returns:
            The job's id; the first is 1, and they rise.

        Raises:
            TubeFullError: There was no room within the timeout.
            DuplicateJobError: A job of the tube has this key, see ``on_duplicate``;
                maybe one that was put while this waited.
            JobTooBigError: The body is ``str``, ``bytes``, ``bytearray`` or
                ``memoryview``, and larger than the broker's ``max_job_size``.
            DrainingError: `Broker.drain` was called, maybe while this waited.
            BadTubeNameError: ``tube`` is not a valid tube name.
            StoppedError: There is no room, and the broker was stopped, maybe while this
                waited.
            ClosedError: The producer or the broker was closed, maybe while this waited.

        Cost: O(1) for a job of the tube's usual priority, else O(log n); and O(1) for
        each different set of several tubes, with this one among them, that is watched.
        Source: OP_PUT (prot.c).
        """
        # The defaults pass at once, and whole numbers of 28 bits, as others nearly always
        # are, without a call; so does a body that is far from the limit. A duration of
        # 28 bits has less than 9 years, and is no slip.
        if not (
            priority is DEFAULT_PRIORITY
            and ttr is DEFAULT_TTR
            and delay is DEFAULT_DELAY
        ) and not (
            type(priority) is type(delay) is type(ttr) is int
            and (priority | delay | ttr) >> 28 == 0
        ):
            priority = check_priority(priority)
            delay = check_duration("delay", delay)
            ttr = check_duration("ttr", ttr)
        if tube is not None:
            check_tube_name(tube)
        if timeout is not None:
            timeout = check_timeout(timeout)
        if (
            len(body) > self._items
            if isinstance(body, OCTETS)
            else isinstance(body, memoryview)
        ):
            self._check_size([body])
        if key is not None or expires is not None or on_duplicate is not RAISE:
            word = check_on_duplicate(on_duplicate)
            expires = check_expires(expires)
            keys = [None if key is None else check_key(key)]
            jobs = self._jobs_of([body], priority, delay, ttr, expires)
            found = self._put_jobs(jobs, tube, timeout, keys, word)
            return found[0] if isinstance(found, list) else self._wait_for_one(found)
        try:
            job_id = self._put(body, priority, delay, ttr or 1, tube)
        except ReentrantCallError:
            return self._put_later(self._jobs_of([body], priority, delay, ttr), tube)[0]
        if job_id:
            return job_id
        jobs = self._jobs_of([body], priority, delay, ttr)
        return self._wait_for_one(PutRequest(self._session, timeout, jobs, tube or ""))

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
    ) -> list[int] | M:
        """Put several jobs into a tube at once: all of them, or none.

        Nobody sees some of them without the others. Consumers that wait are served in
        their order: the first job goes to the first of them. Where the tube is limited,
        this waits until there is room for all; puts that come later wait behind it.
        In statistics each job counts as a put.

        Args:
            bodies: Any objects. All of them are taken from the iterable before anything
                is put. A text, bytes or a dict is no iterable of bodies.
            priority: That of each job, as in `put`.
            delay: The same.
            ttr: The same.
            tube: The tube for these jobs, None for the one that is used.
            timeout: Seconds to wait for room, None for ever, 0 not at all.
            key: A function that returns the key of each body, or None for one without:
                see `put`.
            on_duplicate: That of each job, see `put`. Of several bodies with the same key
                "keep" puts the first.
            expires: That of each job, see `put`.

        Returns:
            The jobs' ids, in the order of the bodies; those of new jobs rise.

        Raises:
            TubeFullError: There was no room for all of them within the timeout; raised
                at once if they are more than the tube may ever have.
            DuplicateJobError: A job of the tube has the key of one of them, see
                ``on_duplicate``; none of them was put.
            ValueError: Two of the bodies have the same key, and ``on_duplicate`` is not
                "keep".
            JobTooBigError: One of the bodies is too large, see `put`.
            DrainingError: `Broker.drain` was called, maybe while this waited.
            BadTubeNameError: ``tube`` is not a valid tube name.
            StoppedError: There is no room, and the broker was stopped, maybe while this
                waited.
            ClosedError: The producer or the broker was closed, maybe while this waited.

        Cost: O(1) for each job of the tube's usual priority, else O(log n); with a delay
        or where consumers wait, O(log n) for each.
        """
        bodies = check_bodies(bodies)
        priority = check_priority(priority)
        delay = check_duration("delay", delay)
        ttr = check_duration("ttr", ttr)
        if tube is not None:
            check_tube_name(tube)
        timeout = check_timeout(timeout)
        word = check_on_duplicate(on_duplicate)
        expires = check_expires(expires)
        if key is not None:
            check_function("key", key)
        keys = None if key is None else _keys_of(bodies, key, word)
        self._check_size(bodies)
        jobs = self._jobs_of(bodies, priority, delay, ttr, expires)
        found = self._put_jobs(jobs, tube, timeout, keys, word)
        return found if isinstance(found, list) else self._wait(found)

    def _submit(
        self,
        body: T,
        priority: int,
        delay: float,
        ttr: float,
        tube: str | None,
        timeout: float | None,
        key: str | None,
        on_duplicate: Literal["raise", "replace"],
        expires: float | None,
    ) -> tuple[JobFuture[T, Any], list[int] | M]:
        """Put a job, and return its future and its id, or what waits for that."""
        # Imported late: concurrent.futures is slow to import.
        from .future import new_future  # noqa: PLC0415 - as above

        priority = check_priority(priority)
        delay = check_duration("delay", delay)
        ttr = check_duration("ttr", ttr)
        if tube is not None:
            check_tube_name(tube)
        timeout = check_timeout(timeout)
        word = check_on_duplicate(on_duplicate)
        if word == KEEP:
            message = "a job that is there already has its own submitter: no 'keep'"
            raise ValueError(message)
        keys = [None if key is None else check_key(key)]
        expires = check_expires(expires)
        self._check_size([body])
        jobs = self._jobs_of([body], priority, delay, ttr, expires)
        future: JobFuture[T, Any] = new_future(self._monitor, body)
        jobs[0]._own_history().promise = Promise(future)
        mode = word if _give_keys(jobs, keys) else ""
        found = self._put_now(jobs, tube, timeout, mode)
        return future, found if isinstance(found, list) else self._wait(found)

    def use(self, tube: str) -> None:
        """Put into this tube from now on; it is made if it is new.

        Args:
            tube: The tube's name.

        Raises:
            BadTubeNameError: The name is not a valid tube name.
            ClosedError: The producer or the broker was closed.

        Cost: O(1).
        Source: OP_USE (prot.c).
        """
        self._monitor.run(
            self._engine.clients.use, self._session, check_tube_name(tube)
        )

    def using(self) -> str:
        """Return the name of the tube it uses.

        Raises:
            ClosedError: The producer or the broker was closed.

        Cost: O(1).
        """
        run = self._monitor.run
        return run(questions.list_tube_used, self._engine, self._session)

    def close(self) -> None:
        """Close the handle; a put that waits for room on it raises `ClosedError`.

        Closing twice has no effect.

        Cost: O(1), and O(log n) for each put that waits.
        """
        self._monitor.close_session(self._session, "the producer was closed")

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

    def __del__(self) -> None:
        # Without a session: the constructor has raised.
        if hasattr(self, "_session"):
            self._monitor.abandon(self._session)

    def __reduce_ex__(self, protocol: SupportsIndex, /) -> NoReturn:
        refuse_to_pickle(self, protocol)

    @property
    def _description(self) -> str:
        """What it uses, and what waits, for its repr."""
        session = self._session
        used = session.used
        if session.closed is not None or used is None:
            return str(session.closed)
        parts = [f"uses {used.name!r}"]
        occupancy = used.occupancy
        if occupancy is not None and occupancy.maxsize:
            parts[0] += f", {used.count} of {counted(occupancy.maxsize, 'job')}"
        if session.puts:
            parts.append(waiting([(len(session.puts), "put")]))
        return "; ".join(parts)

    def _wait(self, request: PutRequest) -> M:
        """Return what waits for room for several jobs."""
        raise NotImplementedError

    def _wait_for_one(self, request: PutRequest) -> W:
        """Return what waits for room for one job."""
        raise NotImplementedError

    def _check_size(self, bodies: list[T]) -> None:
        limit = self._max_job_size
        if limit is not None and (size := first_size_beyond(bodies, limit)) is not None:
            refuse = self._engine.refuse_put
            self._monitor.run(refuse, self._session, size, limit, len(bodies))

    def _jobs_of(
        self,
        bodies: list[T],
        priority: int,
        delay: float,
        ttr: float,
        expires: float | None = None,
    ) -> list[AnyJob]:
        """Return new jobs. Each has its own copy of the context, if it keeps one."""
        keep = self._keeps_context
        ttr = ttr or 1
        jobs: list[AnyJob] = [
            new_job(body, priority, delay, ttr, copy_context() if keep else None)
            for body in bodies
        ]
        if expires is not None:
            for job in jobs:
                job._own_history().life = expires
        return jobs

    def _put_jobs(
        self,
        jobs: list[AnyJob],
        tube: str | None,
        timeout: float | None,
        keys: list[str | None] | None,
        on_duplicate: str,
    ) -> list[int] | PutRequest:
        """Put several jobs, or jobs of a rare kind, now or at the end of a turn."""
        mode = on_duplicate if _give_keys(jobs, keys) else ""
        if self._monitor.is_in_turn():
            return self._put_later(jobs, tube, mode)
        return self._put_now(jobs, tube, timeout, mode)

    def _put_now(
        self,
        jobs: list[AnyJob],
        tube: str | None,
        timeout: float | None,
        on_duplicate: str,
    ) -> list[int] | PutRequest:
        """Put jobs; return their ids, or what is to wait for room."""
        session, put = self._session, self._engine.put_many
        ids = self._monitor.run(put, session, jobs, tube, on_duplicate)
        if ids is not None:
            return ids
        return PutRequest(session, timeout, list(jobs), tube or "", on_duplicate)

    def _put_later(
        self, jobs: list[AnyJob], tube: str | None, on_duplicate: str = ""
    ) -> list[int]:
        """Put jobs at the end of the turn of this thread that this call interrupts."""
        session = self._session
        engine = self._engine
        if session.closed is not None:
            raise ClosedError(session.closed)
        ids = engine.store.number(jobs)
        if engine.store.draining:
            raise DrainingError
        if jobs:
            self._monitor.defer(
                partial(
                    engine.put_numbered,
                    session=session,
                    jobs=jobs,
                    name=tube,
                    on_duplicate=on_duplicate,
                )
            )
        return ids


def _keys_of(
    bodies: Iterable[T], key: Callable[[T], str | None], on_duplicate: str
) -> list[str | None]:
    """Return the keys of these bodies, or raise and have changed nothing."""
    keys: list[str | None] = []
    known = set()
    for body in bodies:
        name = key(body)
        if name is not None:
            name = check_key(name)
            if name in known and on_duplicate != KEEP:
                message = f"two of the bodies have the key {name!r}"
                raise ValueError(message)
            known.add(name)
        keys.append(name)
    return keys


def _give_keys(jobs: list[AnyJob], keys: list[str | None] | None) -> bool:
    """Give each job its key, if there are any; tell whether there are."""
    given = False
    for job, key in zip(jobs, keys or (), strict=False):
        if key is not None:
            job._own_history().key = key
            given = True
    return given


class Producer(BaseProducer[int, list[int], T]):
    """Puts jobs into the tube it uses. Made by `Broker.producer`.

    - Putting: `put`, `put_many`; `submit`, if you want the result.
    - Tubes: `use`, `using`.
    - The end: `close`, or the end of a with-block. A put that waits then raises
      `ClosedError`.

    It may be shared by threads. It is a context manager that closes itself.
    """

    _sleepers: ThreadSleepers

    def __init__(self, *_arguments: object, **_more: object) -> None:
        message = "a Producer is made by Broker.producer()"
        raise TypeError(message)

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
    ) -> JobFuture[T, Any]:
        """Put a job as `put` does, and return a future of its result.

        Args:
            body: Any object. It is handed over by reference, and never inspected.
            priority: 0 to 2**32 - 1; the lower, the more urgent.
            delay: Seconds until it is ready, 0 to 2**32 - 1.
            ttr: Time to run, see `put`.
            tube: The tube for this job alone, None for the one that is used.
            timeout: Seconds to wait for room, None for ever, 0 not at all. It does not
                limit how long the future waits.
            key: A name for the job, see `put`.
            on_duplicate: "raise" or "replace", see `put`. The future of the job that is
                replaced is cancelled.
            expires: Seconds for which it may be ready before it is deleted, and the
                future cancelled; None for ever.

        Returns:
            The future. See `JobFuture` for when it is done.

        Raises:
            TubeFullError: There was no room within the timeout.
            DuplicateJobError: A job of the tube has this key, see ``on_duplicate``.
            JobTooBigError: The body is too large, see `put`.
            DrainingError: `Broker.drain` was called, maybe while this waited.
            BadTubeNameError: ``tube`` is not a valid tube name.
            StoppedError: There is no room, and the broker was stopped, maybe while this
                waited.
            ClosedError: The producer or the broker was closed, maybe while this waited.
            ReentrantCallError: It was called in the middle of another verb of this
                thread.

        Cost: that of `Producer.put`, and of making a future.
        """
        future, ids = self._submit(
            body, priority, delay, ttr, tube, timeout, key, on_duplicate, expires
        )
        (future.job_id,) = ids
        return future

    def _wait(self, request: PutRequest) -> list[int]:
        wait_to_put = self._engine.wait_to_put
        return self._sleepers.wait(
            self._monitor, wait_to_put, request, PutRequest.result
        )

    def _wait_for_one(self, request: PutRequest) -> int:
        return self._wait(request)[0]

    def __repr__(self) -> str:
        return f"<Producer {self.name!r}: {self._description}>"


adopt_verbs(Producer)


def open_producer(
    monitor: Monitor,
    sleepers: ThreadSleepers,
    tube: str,
    max_job_size: int | None,
    *,
    context: bool,
    name: str | None,
) -> Producer[T]:
    """Return a new producer. For `Broker.producer`."""
    producer: Producer[T] = Producer.__new__(Producer)
    producer._sleepers = sleepers
    BaseProducer.__init__(
        producer, monitor, tube, max_job_size, context=context, name=name
    )
    return producer
