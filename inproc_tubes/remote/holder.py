"""The verbs of one handle for its jobs: what a `RemoteJob`'s own verbs call."""

from __future__ import annotations

import logging
from contextlib import suppress
from math import ceil
from typing import TYPE_CHECKING, Generic

import greenstalk

from inproc_tubes.checks import check_duration, check_job_id, check_priority
from inproc_tubes.core.job import Job, T, refuse_to_pickle
from inproc_tubes.errors import (
    ConnectionLostError,
    NotFoundError,
    NotFoundReason,
    NotSupportedError,
    ReentrantCallError,
    ServerError,
    TubesError,
)
from inproc_tubes.failures import failure_of

from . import commands
from .codecs import decode
from .connection import Client, Lost, ReservationState
from .job import RemoteJob, new_job

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Concatenate, NoReturn, ParamSpec, SupportsIndex, TypeVar

    from inproc_tubes.core.record import AnyJob
    from inproc_tubes.core.statistics import JobStats

    from .pool import Pool
    from .reservation import Reservation
    from .server import Server

    P = ParamSpec("P")
    R = TypeVar("R")

__all__ = ["RemoteHolder", "cannot_move"]

_LOST = NotFoundReason.CONNECTION_LOST

_logger = logging.getLogger("inproc_tubes.remote")


class RemoteHolder(Generic[T]):
    """What settles the jobs that the connections of a handle have in hand.

    It is no handle: a handle that is dropped closes its connections, although its jobs
    refer to the holder still. `inproc_tubes.holder.Holder` is the same in memory.

    Args:
        pool: The connections, and the jobs that they have in hand.
        looking: The connections of the broker, which look at a job after a close, too.
        name: What the handle is called.
    """

    def __init__(self, pool: Pool, looking: Pool, name: str) -> None:
        self._pool = pool
        self._looking = looking
        self._name = name

    # Jobs come in

    def _job_of(self, reservation: Reservation, data: bytes) -> RemoteJob[T] | None:
        """Return the handle of a job; None if its body cannot be decoded.

        Such a job is buried, and the log says why.
        """
        try:
            body: T = decode(self._pool.network.codec, data)
        except ValueError as error:
            _logger.error("job %d is buried: %s", reservation.id, error)  # noqa: TRY400 - one line says all
            with suppress(NotFoundError, ConnectionLostError):
                self.bury(reservation.id)
            return None
        job = new_job(reservation, body, self)
        self._pool.note_handle(reservation, job)
        return job

    # What becomes of them

    def delete(self, job_or_id: Job[T] | int) -> None:
        """Delete a job that this consumer holds, or that nobody holds.

        Args:
            job_or_id: A handle, or a job's id.

        Raises:
            NotFoundError: Another consumer holds it, most likely because the reservation
                has expired; or there is no such job (any more).
            ConnectionLostError: The server could not be reached for too long.
            ClosedError: The consumer or the broker was closed.

        Cost: a round trip.
        Source: OP_DELETE (prot.c).
        """
        job_id, reservation = self._target_of(job_or_id)
        if not self._delete(job_id, reservation):
            raise self._not_found(job_id)

    def release(
        self,
        job_or_id: Job[T] | int,
        priority: int | None = None,
        delay: float = 0,
        error: BaseException | None = None,
        *,
        tube: str | None = None,
    ) -> None:
        """Give a job that this consumer holds back to its tube.

        Args:
            job_or_id: A handle, or a job's id.
            priority: Its new priority; None keeps the present one.
            delay: Seconds until it is ready again, rounded up to whole ones.
            error: What it failed with. This handle keeps it, but the server does not.
            tube: Not supported: None, for its own tube.

        Raises:
            NotSupportedError: It was to go to another tube.
            NotFoundError: This consumer does not hold it (any more).
            ClosedError: The consumer or the broker was closed.

        Cost: a round trip, and one more the first time if the priority is None.
        Source: OP_RELEASE (prot.c).
        """
        if tube is not None:
            raise cannot_move()
        job_id, reservation = self._target_of(job_or_id)
        if priority is not None:
            priority = check_priority(priority)
        seconds = ceil(check_duration("delay", delay))
        self._give(job_or_id, job_id, reservation, priority, seconds, error)

    def bury(
        self,
        job_or_id: Job[T] | int,
        priority: int | None = None,
        error: BaseException | None = None,
    ) -> None:
        """Put a job that this consumer holds aside, until somebody kicks it.

        Args:
            job_or_id: A handle, or a job's id.
            priority: Its new priority; None keeps the present one.
            error: What it failed with. This handle keeps it, but the server does not.

        Raises:
            NotFoundError: This consumer does not hold it (any more).
            ClosedError: The consumer or the broker was closed.

        Cost: a round trip, and one more the first time if the priority is None.
        Source: OP_BURY (prot.c).
        """
        job_id, reservation = self._target_of(job_or_id)
        if priority is not None:
            priority = check_priority(priority)
        self._give(job_or_id, job_id, reservation, priority, None, error)

    def touch(self, job_or_id: Job[T] | int) -> None:
        """Restart the time to run of a job that this consumer holds.

        Args:
            job_or_id: A handle, or a job's id.

        Raises:
            NotFoundError: This consumer does not hold it (any more).
            ClosedError: The consumer or the broker was closed.

        Cost: a round trip.
        Source: touch_job (prot.c): a reset to the full ttr, not an extension.
        """
        job_id, reservation = self._target_of(job_or_id)
        now = self._pool.network.clock.now()
        held = self._ask_holder(
            job_or_id, job_id, reservation, Client.touch, _as_greenstalk(reservation)
        )
        held.begun_at = now
        held.told = False

    # What a job's own verbs and its with-block call, besides

    def _finish(self, job: Job[T], result: object) -> None:
        """Delete a job that is done. Nobody can have submitted it, to ask for a result."""
        del result
        self.delete(job)

    def _fail(self, job: Job[T], error: BaseException, priority: int | None) -> None:
        """Bury a job for good."""
        self.bury(job, priority, error)

    def _end(
        self,
        job_id: int,
        job: AnyJob | None,
        strict: bool,  # noqa: FBT001 - as `inproc_tubes.core.job.JobHolder` has it
    ) -> object:
        """Delete a job; leave its with-block, if not ``strict``."""
        assert isinstance(job, RemoteJob)  # it is called by nothing else
        reservation = job._reservation
        if not strict and reservation.state in {
            ReservationState.SETTLED,
            ReservationState.PEEKED,
        }:
            return None  # what the block did with the job stands
        if strict or self._fenced(reservation):
            self.delete(job)
        elif not self._delete(job_id, reservation) and not self._is_gone(reservation):
            raise self._not_found(job_id)
        return None

    def _abort(
        self, job: AnyJob, exc_type: type[BaseException], exc: BaseException | None
    ) -> None:
        """Leave the with-block of a job by an exception."""
        assert isinstance(job, RemoteJob)  # it is called by nothing else
        reservation = job._reservation
        if reservation.state is not ReservationState.HELD or self._fenced(reservation):
            return
        # If the job or the server is gone, the exception of the block is the news.
        try:
            if issubclass(exc_type, Exception):
                self.bury(job, error=exc)
            else:
                self.release(job)
        except ReentrantCallError:
            # The collector ends a generator, in the middle of a verb of this thread.
            # Without its connection, the server gives the job back.
            assert reservation.connection is not None  # it is held
            reservation.connection.shut_down()
        except TubesError:
            pass

    def _is_lost(self, job: Job[T]) -> bool:
        """Tell whether the reservation is over, and its holder did not end it."""
        assert isinstance(job, RemoteJob)  # it is called by nothing else
        reservation = job._reservation
        if reservation.state is not ReservationState.HELD:
            return reservation.state is ReservationState.LOST
        return self._is_over(reservation)

    def _is_over(self, reservation: Reservation) -> bool:
        """Ask whether a reservation in hand is over, and note it if so.

        beanstalkd 1.12 can forget to end one whose connection is asked nothing: it looks
        in the very microsecond of the deadline, and does not look again (``conn_timeout``
        in prot.c). Whatever the connection is asked makes it look.
        """
        connection = reservation.connection
        if connection is None or not connection.is_alive():
            self._pool.end(reservation, ReservationState.LOST)
            return True
        before = reservation.stats
        try:
            now = self._stats_of_held(reservation)
        except (TubesError, ReentrantCallError):
            lost = True
        else:
            if before is None:
                reservation.stats = now
            lost = now.state != "reserved" or (
                before is not None and before.reserves != now.reserves
            )
            # Reserved so late, it is reserved by somebody else.
            lost = lost or reservation.is_over_at(self._pool.network.clock.now())
        if lost:
            self._pool.end(reservation, ReservationState.LOST)
        return lost

    def _stats_job(self, job_or_id: Job[T] | int) -> JobStats:
        """Return the statistics of a job."""
        if not isinstance(job_or_id, RemoteJob):
            job_id, _ = self._target_of(job_or_id)
            server, wire_id = self._pool.network.place_of(job_id)
            return self._ask_stats(server, wire_id, job_id)
        reservation = self._own(job_or_id)
        if self._fenced(reservation):
            raise NotFoundError(reservation.id, reason=NotFoundReason.RESERVED_SINCE)
        stats = self._stats_of(reservation)
        if reservation.stats is None:
            reservation.stats = stats
        return stats

    def _state_of(self, job: Job[T]) -> str:
        """Describe the state of a job as its handle sees it, without asking anybody."""
        assert isinstance(job, RemoteJob)  # it is called by nothing else
        return job._reservation.state.value

    @property
    def _jobs(self) -> dict[int, AnyJob]:
        """The jobs of an engine: none is in one."""
        return {}

    @property
    def _session(self) -> object:
        """What a broker in memory compares its sessions with, given one of our jobs."""
        return self._pool

    def __reduce_ex__(self, protocol: SupportsIndex, /) -> NoReturn:
        refuse_to_pickle(self, protocol)

    # What all of this is made of

    def _own(self, job: Job[T]) -> Reservation:
        """Return the reservation of a handle of this broker."""
        if (
            not isinstance(job, RemoteJob)
            or _pool_of(job).network is not self._pool.network
        ):
            raise NotFoundError(job.id, reason=NotFoundReason.FOREIGN)
        return job._reservation

    def _target_of(self, job_or_id: Job[T] | int) -> tuple[int, Reservation | None]:
        """Return a job's id, and its reservation if it is this holder's.

        Raises:
            NotFoundError: The handle is an old one, or that of another broker.
            TypeError: It is neither a job nor an id.
            ClosedError: The handle was closed.
        """
        if not isinstance(job_or_id, Job):
            job_id = check_job_id(job_or_id)
            self._pool.check_open()
            return job_id, self._pool.held.get(job_id)
        reservation = self._own(job_or_id)
        self._pool.check_open()
        current = self._pool.held.get(reservation.id)
        if reservation.state is ReservationState.PEEKED:
            return reservation.id, current
        if current is not None and current is not reservation:
            raise NotFoundError(
                reservation.id,
                state="reserved",
                reason=NotFoundReason.RESERVED_SINCE,
                holder=self._name,
            )
        mine = _pool_of(job_or_id) is self._pool
        return reservation.id, reservation if mine else None

    def _fenced(self, reservation: Reservation) -> bool:
        """Tell whether this holder has reserved the job again since."""
        current = self._pool.held.get(reservation.id)
        return current is not None and current is not reservation

    def _delete(self, job_id: int, reservation: Reservation | None) -> bool:
        """Delete a job, and tell whether it was there, and not another's."""
        self._pool.check_open()
        sent = False
        if reservation is not None and reservation.state is ReservationState.HELD:
            try:
                self._on_its_connection(reservation, Client.delete, reservation.wire_id)
            except greenstalk.NotFoundError:
                self._pool.end(reservation, ReservationState.LOST)
                return False
            except Lost as lost:
                sent = lost.sent
                self._pool.end(reservation, ReservationState.LOST)
            else:
                self._pool.end(reservation, ReservationState.SETTLED)
                return True
        server, wire_id = self._pool.network.place_of(job_id)
        if not self._delete_of_nobody(server, wire_id, sent=sent):
            return False
        if reservation is not None:
            self._pool.end(reservation, ReservationState.SETTLED)
        return True

    def _delete_of_nobody(self, server: Server, wire_id: int, *, sent: bool) -> bool:
        """Delete a job that nobody holds, and tell whether it was there.

        Was a delete of it sent before, whose answer is lost, it need not be there still.
        """
        fresh = False
        while True:
            connection = self._pool.take("delete", [server], fresh=fresh)
            try:
                connection.ask(Client.delete, wire_id)
            except greenstalk.NotFoundError:
                break
            except Lost as lost:
                sent = sent or lost.sent
                fresh = True
            else:
                return True
            finally:
                self._pool.give_back(connection)
        return sent and not self._exists(server, wire_id)

    def _give(
        self,
        job_or_id: Job[T] | int,
        job_id: int,
        reservation: Reservation | None,
        priority: int | None,
        delay: int | None,
        error: BaseException | None,
    ) -> None:
        """Release a job, or bury it if there is no delay."""
        failure = None if error is None else failure_of(error)
        if reservation is None or reservation.state is not ReservationState.HELD:
            raise self._not_held(job_or_id, job_id)
        known = reservation.stats
        if known is None and (priority is None or failure is not None):
            known = reservation.stats = self._stats_of(reservation)
        if priority is None:
            assert known is not None  # asked for above
            priority = known.priority
        target = _as_greenstalk(reservation)
        if failure is not None and isinstance(job_or_id, RemoteJob):
            job_or_id._note_failure(failure, self._pool.network.clock.now())
        if delay is None:
            self._ask_holder(
                job_or_id, job_id, reservation, Client.bury, target, priority
            )
        else:
            self._ask_holder(
                job_or_id, job_id, reservation, Client.release, target, priority, delay
            )
        self._pool.end(reservation, ReservationState.SETTLED)

    def _ask_holder(
        self,
        job_or_id: Job[T] | int,
        job_id: int,
        reservation: Reservation | None,
        command: Callable[Concatenate[Client, P], None],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Reservation:
        """Give a command for a job that this holder has in hand.

        Raises:
            NotFoundError: It has not.
        """
        if reservation is None or reservation.state is not ReservationState.HELD:
            raise self._not_held(job_or_id, job_id)
        try:
            self._on_its_connection(reservation, command, *args, **kwargs)
        except greenstalk.NotFoundError:
            self._pool.end(reservation, ReservationState.LOST)
            raise self._not_found(job_id) from None
        except Lost:
            self._pool.end(reservation, ReservationState.LOST)
            raise NotFoundError(job_id, reason=_LOST) from None
        except ServerError as error:
            if (
                error.answer == "BURIED"
            ):  # released without memory: it is buried instead
                self._pool.end(reservation, ReservationState.SETTLED)
            raise
        return reservation

    def _on_its_connection(
        self,
        reservation: Reservation,
        command: Callable[Concatenate[Client, P], R],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R:
        connection = reservation.connection
        assert connection is not None  # it was reserved
        try:
            return connection.ask(command, *args, **kwargs)
        except Lost:
            self._pool.check_open()  # the likely reason
            raise

    def _stats_of(self, reservation: Reservation) -> JobStats:
        """Return the statistics of a job, by the connection that holds it, if any."""
        if reservation.state is ReservationState.HELD:
            try:
                return self._stats_of_held(reservation)
            except NotFoundError as error:
                if error.reason is not _LOST:
                    raise
        return self._ask_stats(reservation.server, reservation.wire_id, reservation.id)

    def _stats_of_held(self, reservation: Reservation) -> JobStats:
        """Return the statistics of a job in hand. It does not wait for a lost server.

        Raises:
            NotFoundError: There is no such job any more, or its connection is lost.
        """
        try:
            found = self._on_its_connection(
                reservation, Client.stats_job, reservation.wire_id
            )
        except greenstalk.NotFoundError:
            self._pool.end(reservation, ReservationState.LOST)
            raise NotFoundError(reservation.id, reason=NotFoundReason.GONE) from None
        except Lost:
            self._pool.end(reservation, ReservationState.LOST)
            raise NotFoundError(reservation.id, reason=_LOST) from None
        return self._pool.network.job_stats(reservation.server, found)

    def _ask_stats(self, server: Server, wire_id: int, job_id: int) -> JobStats:
        try:
            found = self._looking.ask([server], commands.stats_job, wire_id)
        except greenstalk.NotFoundError:
            raise NotFoundError(job_id, reason=NotFoundReason.GONE) from None
        return self._pool.network.job_stats(server, found)

    def _not_held(self, job_or_id: Job[T] | int, job_id: int) -> NotFoundError:
        """Return the error for a verb that is for jobs in hand, and this one is not."""
        if isinstance(job_or_id, RemoteJob):
            reservation = job_or_id._reservation
            if reservation.state is ReservationState.PEEKED:
                return NotFoundError(job_id, reason=NotFoundReason.ONLY_PEEKED)
            connection = reservation.connection
            if connection is not None and connection.lost:
                return NotFoundError(job_id, reason=_LOST)
        return self._not_found(job_id)

    def _not_found(self, job_id: int) -> NotFoundError:
        """Return the error for a job that the server has not found, with its reason."""
        server, wire_id = self._pool.network.place_of(job_id)
        try:
            state = self._ask_stats(server, wire_id, job_id).state
        except NotFoundError as error:
            return error
        except ConnectionLostError:
            return NotFoundError(job_id, reason=_LOST)
        reason = NotFoundReason.WRONG_STATE
        if state == "reserved":
            reason = NotFoundReason.HELD
        return NotFoundError(job_id, state=state, reason=reason)

    def _exists(self, server: Server, wire_id: int) -> bool:
        try:
            self._ask_stats(server, wire_id, 0)
        except NotFoundError:
            return False
        return True

    def _is_gone(self, reservation: Reservation) -> bool:
        return not self._exists(reservation.server, reservation.wire_id)


def cannot_move() -> NotSupportedError:
    """Return the error for a job that is to go to another tube."""
    what = "way to move a job to another tube"
    return NotSupportedError(what, "put a new one there, and delete this one")


def _pool_of(job: Job[T]) -> Pool:
    holder: object = job._holder
    assert isinstance(holder, RemoteHolder)  # as that of each RemoteJob is
    return holder._pool


def _as_greenstalk(reservation: Reservation | None) -> greenstalk.Job[bytes]:
    return greenstalk.Job(0 if reservation is None else reservation.wire_id, b"")
