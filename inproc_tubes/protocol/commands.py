"""beanstalkd's commands: what each of them does and answers, for one connection.

The table at the end has them all, each with the parser of its arguments, from `wire`.

Function names in comments are those of beanstalkd's ``prot.c``.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, TypeAlias

from inproc_tubes.core import questions
from inproc_tubes.core.record import JobRecord
from inproc_tubes.core.requests import ReserveRequest
from inproc_tubes.errors import (
    ClosedError,
    DeadlockError,
    DrainingError,
    TubeFullError,
    TubesError,
)

from . import wire

if TYPE_CHECKING:
    from collections.abc import Callable

    from inproc_tubes.core.requests import Sleeper
    from inproc_tubes.core.session import Session
    from inproc_tubes.core.statistics import JobStats, TubeStats

    from .backend import Backend

__all__ = ["VERSIONS", "Body", "Commands", "Outcome", "Quit", "Skip"]

_BAD_FORMAT = b"BAD_FORMAT\r\n"

_QUOTED = {
    "1.12": {"version"},
    "1.13": {"version", "name", "tube", "hostname", "os", "platform"},
}


class Body:
    """A put wants its body first, then `Commands.finish_put`."""

    __slots__ = ("octets", "received")

    def __init__(self, size: int) -> None:
        self.octets: bytearray = bytearray(size + 2)  # with its CRLF
        self.received: int = 0  # how many of them have come


class Skip:
    """So many bytes are to be thrown away; then comes the reply."""

    __slots__ = ("left", "reply")

    def __init__(self, size: int, reply: bytes) -> None:
        self.left: int = size + 2  # with its CRLF
        self.reply: bytes = reply


class Quit:
    """The connection is to be closed."""

    __slots__ = ()


# What comes of a command: its reply, or what is to happen first. The outcome of a
# request is for `Commands.reply_to`.
Outcome: TypeAlias = "bytes | Body | Skip | ReserveRequest | Quit"


class Commands:
    """The commands of one connection.

    Args:
        broker: Whose jobs these are.
        session: What the engine knows of the connection.
        version: One of `VERSIONS`.
        sleeper: What is woken when a reserve that waits is answered.
    """

    __slots__ = (
        "_broker",
        "_engine",
        "_max_job_size",
        "_monitor",
        "_quoted",
        "_session",
        "_sleeper",
        "_table",
        "_version",
    )

    def __init__(
        self, broker: Backend, session: Session, version: str, sleeper: Sleeper
    ) -> None:
        self._broker = broker
        self._monitor = broker._monitor
        self._engine = broker._monitor.engine
        self._session = session
        self._sleeper = sleeper
        self._version = version
        self._table = _TABLES[version]
        self._quoted = _QUOTED[version]
        limit = broker._max_job_size
        self._max_job_size = min(inf if limit is None else limit, wire.MAX_JOB_SIZE)

    def carry_out(self, line: bytes) -> Outcome:
        """Carry out the command in a line without its CRLF.

        Raises:
            ClosedError: The broker was closed.

        Cost: that of the command.
        Source: dispatch_cmd.
        """
        if b"\0" in line:
            return _BAD_FORMAT
        for word, parse, handle in self._table:
            if line.startswith(word):
                try:
                    arguments = parse(line[len(word) :])
                except wire.BadFormatError as bad:
                    return self._refuse_format(bad.counted)
                try:
                    return handle(self, *arguments)
                except ClosedError:
                    raise
                except TubesError as error:
                    return wire.refusal(error)
        return b"UNKNOWN_COMMAND\r\n"

    def _refuse_format(self, counted: str | None) -> bytes:
        if counted is not None:
            self._monitor.run(self._count, counted)
        return _BAD_FORMAT

    def _count(self, _now: float, command: str) -> None:
        counts = self._engine.counts
        setattr(counts, command, getattr(counts, command) + 1)

    @property
    def _used(self) -> str:
        tube = self._session.used
        assert tube is not None  # every connection uses one
        return tube.name

    # Putting

    def _put(
        self, priority: int, delay: int, ttr: int, size: int, garbage: bytes
    ) -> Outcome:
        if size > self._max_job_size:
            self._monitor.run(self._count, "other_puts")
            return Skip(size, b"JOB_TOO_BIG\r\n")
        if garbage:
            return self._refuse_format("other_puts")
        # Peeked at by others before it is full: memory unread, in the server's case.
        body = Body(size)
        shown = memoryview(body.octets)[:size]
        begin = self._engine.wire_puts.begin_put
        self._monitor.run(begin, self._session, shown, priority, delay, ttr or 1)
        return body

    def finish_put(self, body: Body) -> bytes:
        """Carry out the put whose body has come.

        Raises:
            ClosedError: The broker was closed.

        Cost: O(log n).
        Source: enqueue_incoming_job.
        """
        octets = bytes(body.octets)
        if not octets.endswith(b"\r\n"):
            self._monitor.run(self._engine.wire_puts.abort_put, self._session)
            return b"EXPECTED_CRLF\r\n"
        try:
            job_id = self._monitor.run(
                self._engine.wire_puts.finish_put, self._session, octets[:-2]
            )
        except (DrainingError, TubeFullError) as error:
            return wire.refusal(error)
        return b"INSERTED %d\r\n" % job_id

    # Reserving

    def _reserve(self, timeout: float | None = None) -> Outcome:
        outcome = self._monitor.run(self._reserve_or_wait, timeout)
        if isinstance(outcome, ReserveRequest):
            return outcome
        return wire.job(b"RESERVED", outcome)

    def _reserve_or_wait(
        self, now: float, timeout: float | None
    ) -> JobRecord | ReserveRequest:
        job = self._engine.reserve(now, self._session, timeout)
        if job is not None:
            return job
        request = ReserveRequest(self._session, timeout)
        request.sleeper = self._sleeper
        self._engine.wait_to_reserve(now, request)
        self._monitor.sleepers_changed()
        return request

    def time_out(self, request: ReserveRequest) -> None:
        """Let a reserve wait no longer: its client has nothing more to send.

        Raises:
            ClosedError: The broker was closed.

        Cost: O(log n) with a timeout, else O(1).
        """
        self._monitor.run(self._engine.dispatch.time_out, request)

    def reply_to(self, request: ReserveRequest) -> bytes:
        """Return the reply to a reserve that waited, once it has its outcome.

        Raises:
            ClosedError: The broker was closed.
            DeadlockError: The reserve would never have been answered.

        Cost: O(size of the body).
        """
        outcome = request.outcome
        if isinstance(outcome, JobRecord):
            return wire.job(b"RESERVED", outcome)
        assert outcome is not None  # the caller has looked
        if isinstance(outcome, (ClosedError, DeadlockError)):
            raise outcome
        return wire.refusal(outcome)

    def _reserve_job(self, job_id: int) -> bytes:
        record = self._monitor.run(self._engine.reserve_job, self._session, job_id)
        return wire.job(b"RESERVED", record)

    # What becomes of a job

    def _delete(self, job_id: int) -> bytes:
        self._monitor.run(self._engine.delete, self._session, job_id, None)
        return b"DELETED\r\n"

    def _release(self, job_id: int, priority: int, delay: int) -> bytes:
        self._monitor.run(
            self._engine.release, self._session, job_id, None, priority, delay
        )
        return b"RELEASED\r\n"

    def _bury(self, job_id: int, priority: int) -> bytes:
        self._monitor.run(self._engine.bury, self._session, job_id, None, priority)
        return b"BURIED\r\n"

    def _touch(self, job_id: int) -> bytes:
        self._monitor.run(self._engine.touch, self._session, job_id, None)
        return b"TOUCHED\r\n"

    def _kick(self, bound: int) -> bytes:
        return b"KICKED %d\r\n" % self._monitor.run(
            self._engine.kick, self._used, bound
        )

    def _kick_job(self, job_id: int) -> bytes:
        self._monitor.run(self._engine.kick_job, job_id, None)
        return b"KICKED\r\n"

    # Peeking

    def _peek(self, job_id: int) -> bytes:
        return wire.job(
            b"FOUND", self._monitor.run(questions.peek, self._engine, job_id)
        )

    def _peek_ready(self) -> bytes:
        return wire.job(
            b"FOUND", self._monitor.run(questions.peek_ready, self._engine, self._used)
        )

    def _peek_delayed(self) -> bytes:
        return wire.job(
            b"FOUND",
            self._monitor.run(questions.peek_delayed, self._engine, self._used),
        )

    def _peek_buried(self) -> bytes:
        return wire.job(
            b"FOUND", self._monitor.run(questions.peek_buried, self._engine, self._used)
        )

    # Tubes

    def _use(self, name: str) -> bytes:
        self._monitor.run(self._engine.clients.use, self._session, name)
        return b"USING %b\r\n" % name.encode()

    def _watch(self, name: str) -> bytes:
        count = self._monitor.run(self._engine.clients.watch, self._session, [name])
        return b"WATCHING %d\r\n" % count

    def _ignore(self, name: str) -> bytes:
        return b"WATCHING %d\r\n" % self._monitor.run(
            self._engine.clients.ignore, self._session, name
        )

    def _pause_tube(self, name: str, delay: int) -> bytes:
        self._monitor.run(self._engine.pause_tube, name, delay)
        return b"PAUSED\r\n"

    def _list_tubes(self) -> bytes:
        return wire.names(self._monitor.run(questions.list_tubes, self._engine))

    def _list_tubes_watched(self) -> bytes:
        return wire.names(
            self._monitor.run(questions.list_tubes_watched, self._engine, self._session)
        )

    def _list_tube_used(self) -> bytes:
        name = self._monitor.run(questions.list_tube_used, self._engine, self._session)
        return b"USING %b\r\n" % name.encode()

    # Statistics

    def _stats(self) -> bytes:
        stats = self._broker.stats()
        fields = stats.as_dict()
        fields["version"] = self._version
        fields["max-job-size"] = self._max_job_size
        fields["draining"] = "true" if stats.draining else "false"
        fields["uptime"] = _in_seconds(stats.uptime)
        for time in "rusage-utime", "rusage-stime":
            fields[time] = f"{fields[time]:.6f}"
        return wire.yaml(fields, self._quoted)

    def _stats_tube(self, name: str) -> bytes:
        known = self._monitor.run(questions.stats_tube, self._engine, name)
        return self._tell(known)

    def _stats_job(self, job_id: int) -> bytes:
        known = self._monitor.run(questions.stats_job, self._engine, job_id)
        return self._tell(known)

    def _tell(self, stats: TubeStats | JobStats) -> bytes:
        # Imported late: dataclasses are slow to import.
        from dataclasses import replace  # noqa: PLC0415 - as above

        from inproc_tubes.core.statistics import TubeStats  # noqa: PLC0415 - as above

        if isinstance(stats, TubeStats):
            left = _in_seconds(stats.pause_time_left)
            stats = replace(stats, pause=_in_seconds(stats.pause), pause_time_left=left)
        else:
            stats = replace(
                stats,
                age=_in_seconds(stats.age),
                delay=_in_seconds(stats.delay),
                ttr=_in_seconds(stats.ttr),
                time_left=_in_seconds(stats.time_left),
            )
        return wire.yaml(stats.as_dict(), self._quoted)

    # The end

    def _quit(self) -> Quit:
        return Quit()


def _in_seconds(value: float) -> int:
    """Truncate a time, but not what is whole and has lost a bit in a subtraction."""
    return int(round(value, 6))


_Row: TypeAlias = (
    "tuple[bytes, Callable[[bytes], tuple[object, ...]], Callable[..., Outcome]]"
)


# A command is known by the word its line begins with, and the first that fits wins:
# which_cmd. What reads its argument at the word's very end, is one with it.
def _table(timeout: Callable[[bytes], tuple[float]]) -> tuple[_Row, ...]:
    return (
        (b"put ", wire.put_numbers, Commands._put),
        (b"peek ", wire.job_id, Commands._peek),
        (b"peek-ready", wire.nothing, Commands._peek_ready),
        (b"peek-delayed", wire.nothing, Commands._peek_delayed),
        (b"peek-buried", wire.nothing, Commands._peek_buried),
        (b"reserve-with-timeout ", timeout, Commands._reserve),
        (b"reserve-job ", wire.job_id, Commands._reserve_job),
        (b"reserve", wire.nothing, Commands._reserve),
        (b"delete ", wire.job_id, Commands._delete),
        (b"release ", wire.job_id_priority_delay, Commands._release),
        (b"bury ", wire.job_id_priority, Commands._bury),
        (b"kick ", wire.kick_bound, Commands._kick),
        (b"kick-job ", wire.job_id, Commands._kick_job),
        (b"touch ", wire.job_id, Commands._touch),
        (b"stats-job ", wire.job_id, Commands._stats_job),
        (b"stats-tube ", wire.tube_name, Commands._stats_tube),
        (b"stats", wire.nothing, Commands._stats),
        (b"use ", wire.tube_name, Commands._use),
        (b"watch ", wire.tube_name, Commands._watch),
        (b"ignore ", wire.tube_name, Commands._ignore),
        (b"list-tubes-watched", wire.nothing, Commands._list_tubes_watched),
        (b"list-tube-used", wire.nothing, Commands._list_tube_used),
        (b"list-tubes", wire.nothing, Commands._list_tubes),
        (b"quit", wire.anything, Commands._quit),
        (b"pause-tube", wire.pause, Commands._pause_tube),
    )


_TABLES = {
    "1.12": _table(wire.timeout_112),
    "1.13": _table(wire.timeout_113),
}
VERSIONS = tuple(_TABLES)
