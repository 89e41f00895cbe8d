r"""Bytes in, bytes out: our session and the real server are given the same table.

A case is a list of steps. `(who, data, reply)` sends bytes on the connection of that
name, made at first use, and wants exactly that reply, b"" for none so far; a `float`
moves the clock; `half` and `close` do so to a connection, and `ended` wants it ended.
"""

from __future__ import annotations

import gc
import re
from typing import TYPE_CHECKING, Any, Self, TypeAlias

import pytest

from inproc_tubes import Broker, ClosedError, DeadlockError
from inproc_tubes.protocol import ProtocolSession
from inproc_tubes.testing import FakeClock, wait_until_waiting

from .real_server import RealServer, why_missing
from .threads import LONG, waiting

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .real_server import Wire

Step: TypeAlias = "tuple[str, bytes, bytes] | tuple[str, str] | float"

HALF, CLOSE, ENDED, DRAIN = "half", "close", "ended", "drain"
TIMED_OUT = b"TIMED_OUT\r\n"
SOON = b"DEADLINE_SOON\r\n"

TURNS = 300  # of the server, until a reply is taken to be missing


def a(command: bytes, reply: bytes) -> tuple[str, bytes, bytes]:
    return ("a", command + b"\r\n", reply + b"\r\n" if reply else b"")


def b(command: bytes, reply: bytes) -> tuple[str, bytes, bytes]:
    return ("b", command + b"\r\n", reply + b"\r\n" if reply else b"")


def put(
    number: int, *, priority: int = 0, delay: int = 0, ttr: int = 60
) -> tuple[str, bytes, bytes]:
    return a(b"put %d %d %d 3\r\njob" % (priority, delay, ttr), b"INSERTED %d" % number)


def reserved(number: int) -> bytes:
    return b"RESERVED %d 3\r\njob" % number


def ok(text: bytes) -> bytes:
    return b"OK %d\r\n%b" % (len(text), text)


def job_stats(number: int, state: bytes, **changed: int) -> bytes:
    fields = {
        "pri": 0,
        "age": 0,
        "delay": 0,
        "ttr": 60,
        "time-left": 0,
        "file": 0,
        "reserves": 0,
        "timeouts": 0,
        "releases": 0,
        "buries": 0,
        "kicks": 0,
    } | {name.replace("_", "-"): value for name, value in changed.items()}
    lines = "".join(f"{name}: {value}\n" for name, value in fields.items()).encode()
    return ok(b"---\nid: %d\ntube: default\nstate: %b\n%b" % (number, state, lines))


def tube_stats(name: bytes, **changed: int) -> bytes:
    fields = {
        "current-jobs-urgent": 0,
        "current-jobs-ready": 0,
        "current-jobs-reserved": 0,
        "current-jobs-delayed": 0,
        "current-jobs-buried": 0,
        "total-jobs": 0,
        "current-using": 0,
        "current-watching": 0,
        "current-waiting": 0,
        "cmd-delete": 0,
        "cmd-pause-tube": 0,
        "pause": 0,
        "pause-time-left": 0,
    } | {key.replace("_", "-"): value for key, value in changed.items()}
    lines = "".join(f"{key}: {value}\n" for key, value in fields.items()).encode()
    return ok(b"---\nname: %b\n%b" % (name, lines))


NAME_200 = b"a" * 200

CASES: dict[str, Sequence[Step]] = {
    # What a line is
    "an unknown command": [
        a(b"nonsense", b"UNKNOWN_COMMAND"),
        a(b"", b"UNKNOWN_COMMAND"),
    ],
    "commands are known by how they begin": [
        a(b"reserved", b"BAD_FORMAT"),
        a(b"reserve-with-timeout", b"BAD_FORMAT"),
        a(b"reserve-job", b"BAD_FORMAT"),
        a(b"peek", b"UNKNOWN_COMMAND"),
        a(b"peek-readyy", b"BAD_FORMAT"),
        a(b"peek-delayed ", b"BAD_FORMAT"),
        a(b"peek-buried1", b"BAD_FORMAT"),
        a(b"stats-job", b"BAD_FORMAT"),
        a(b"stats ", b"BAD_FORMAT"),
        a(b"list-tubes-", b"BAD_FORMAT"),
        a(b"list-tubes-watchedd", b"BAD_FORMAT"),
        a(b"list-tube-used ", b"BAD_FORMAT"),
        a(b"kick", b"UNKNOWN_COMMAND"),
        a(b"kick-job", b"UNKNOWN_COMMAND"),
        a(b"PUT 0 0 1 1", b"UNKNOWN_COMMAND"),
        a(b" stats", b"UNKNOWN_COMMAND"),
        a(b"pause-tubedefault 0", b"PAUSED"),
        a(b"pause-tube", b"BAD_FORMAT"),
    ],
    "quit closes, whatever follows": [a(b"quitx", b""), ("a", ENDED)],
    "quit gives jobs back, and ends what was sent behind it": [
        put(1),
        a(b"reserve", reserved(1)),
        a(b"quit\r\ndelete 1", b""),
        ("a", ENDED),
        b(b"reserve-with-timeout 0", reserved(1)),
    ],
    "a zero byte": [a(b"sta\0ts", b"BAD_FORMAT"), a(b"\0", b"BAD_FORMAT")],
    "a line may have 224 bytes": [
        a(b"x" * 222, b"UNKNOWN_COMMAND"),
        a(b"x" * 223, b""),
        # Its CR was the 224th byte, and so it goes on to the next end.
        a(b"list-tube-used", b"BAD_FORMAT"),
        a(b"list-tube-used", b"USING default"),
    ],
    "a longer line is skipped to its end": [
        a(b"x" * 224, b"BAD_FORMAT"),
        a(b"x" * 1000, b"BAD_FORMAT"),
        a(b"list-tube-used", b"USING default"),
    ],
    "every 224th byte may hide an end": [
        a(b"x" * 447, b""),
        a(b"quit", b"BAD_FORMAT"),
        a(b"list-tube-used", b"USING default"),
    ],
    "only the first CR can end a line": [
        a(b"ab\rcd", b""),
        a(b"quit", b""),
        a(b"x" * 224, b"BAD_FORMAT"),
        a(b"list-tube-used", b"USING default"),
    ],
    "a lone LF is a character": [a(b"quit\n", b""), ("a", ENDED)],
    "a CR may come alone": [
        ("a", b"list-tube-used\r", b""),
        ("a", b"\nlist-tube-used\r\n", b"USING default\r\nUSING default\r\n"),
    ],
    # Numbers
    "numbers may have spaces and zeros before them": [
        ("a", b"put   007   0 0060  3\r\njob\r\n", b"INSERTED 1\r\n"),
        a(b"stats-job  01", job_stats(1, b"ready", pri=7)),
        a(b"peek   0000000000000000000000000000001", b"FOUND 1 3\r\njob"),
    ],
    "numbers have no sign, no fraction and nothing behind them": [
        a(b"peek +1", b"BAD_FORMAT"),
        a(b"peek -1", b"BAD_FORMAT"),
        a(b"peek 1.5", b"BAD_FORMAT"),
        a(b"peek 1 ", b"BAD_FORMAT"),
        a(b"peek 1a", b"BAD_FORMAT"),
        a(b"peek \t1", b"BAD_FORMAT"),
        a(b"peek ", b"BAD_FORMAT"),
        a(b"peek 18446744073709551615", b"NOT_FOUND"),
        a(b"peek 18446744073709551616", b"BAD_FORMAT"),
        a(b"delete x", b"BAD_FORMAT"),
        a(b"touch x", b"BAD_FORMAT"),
        a(b"kick-job x", b"BAD_FORMAT"),
        a(b"reserve-job x", b"BAD_FORMAT"),
        a(b"stats-job x", b"BAD_FORMAT"),
        a(b"release 1 0", b"BAD_FORMAT"),
        a(b"release 1 4294967296 0", b"BAD_FORMAT"),
        a(b"release 1 0 4294967296", b"BAD_FORMAT"),
        a(b"release 1 0 0 0", b"BAD_FORMAT"),
        a(b"release 12 34", b"BAD_FORMAT"),
        a(b"bury 1", b"BAD_FORMAT"),
        a(b"bury 1 4294967296", b"BAD_FORMAT"),
        a(b"release 1 4294967295 4294967295", b"NOT_FOUND"),
        a(b"bury 1 4294967295", b"NOT_FOUND"),
    ],
    "kick reads as strtoul does, into 32 bits": [
        put(1, delay=9),
        put(2, delay=9),
        put(3, delay=9),
        a(b"kick 0", b"KICKED 0"),
        a(b"kick 4294967297", b"KICKED 1"),
        a(b"kick \t+1abc", b"KICKED 1"),
        a(b"kick -1", b"KICKED 1"),
        a(b"kick -18446744073709551615", b"KICKED 0"),
        a(b"kick 18446744073709551616", b"BAD_FORMAT"),
        a(b"kick -18446744073709551616", b"BAD_FORMAT"),
        a(b"kick abc", b"BAD_FORMAT"),
        a(b"kick - 1", b"BAD_FORMAT"),
        a(b"kick ", b"BAD_FORMAT"),
    ],
    "pause-tube's name and delay": [
        a(b"pause-tube default 4294967295", b"PAUSED"),
        a(b"pause-tube    default    0", b"PAUSED"),
        a(b"pause-tube default 4294967296", b"BAD_FORMAT"),
        a(b"pause-tube default -1", b"BAD_FORMAT"),
        a(b"pause-tube default", b"BAD_FORMAT"),
        a(b"pause-tube abc123", b"BAD_FORMAT"),
        a(b"pause-tube default 1 ", b"BAD_FORMAT"),
        a(b"pause-tube * 1", b"BAD_FORMAT"),
        a(b"pause-tube -x 1", b"BAD_FORMAT"),
        a(b"pause-tube %b 1" % (b"a" * 201), b"BAD_FORMAT"),
        a(b"pause-tube nosuch 1", b"NOT_FOUND"),
    ],
    "the names of tubes": [
        a(b"use " + NAME_200, b"USING " + NAME_200),
        a(b"use A+/;.$_()-9", b"USING A+/;.$_()-9"),
        a(b"use 0", b"USING 0"),
        *(
            a(word + b" " + name, b"BAD_FORMAT")
            for word in (b"use", b"watch", b"ignore", b"stats-tube")
            for name in (
                NAME_200 + b"a",
                b"-x",
                b"a:b",
                b"a b",
                b"a*",
                b" a",
                b"a ",
                b"a\n",
                b"\xc3\xbc",
                b"",
            )
        ),
    ],
    # Putting
    "put's numbers": [
        a(b"put 4294967295 4294967295 4294967295 0\r\n", b"INSERTED 1"),
        a(b"put 4294967296 0 1 0", b"BAD_FORMAT"),
        a(b"put 0 4294967296 1 0", b"BAD_FORMAT"),
        a(b"put 0 0 4294967296 0", b"BAD_FORMAT"),
        a(b"put 0 0 1 4294967296", b"BAD_FORMAT"),
        a(b"put 0 0 1", b"BAD_FORMAT"),
        a(b"put -1 0 1 0", b"BAD_FORMAT"),
        a(b"put 0 0 1 -1", b"BAD_FORMAT"),
        a(b"put", b"UNKNOWN_COMMAND"),
        a(b"put 0 0 0 0\r\n", b"INSERTED 2"),
        a(b"stats-job 2", job_stats(2, b"ready", ttr=1)),
    ],
    "a body of the right size": [
        ("a", b"put 0 0 60 4\r\n\r\n\r\n\r\n", b"INSERTED 1\r\n"),
        a(b"peek 1", b"FOUND 1 4\r\n\r\n\r\n"),
        ("a", b"put 0 0 60 65535\r\n%b\r\n" % (b"x" * 65535), b"INSERTED 2\r\n"),
        ("a", b"put 0 0 60 0\r\n\r\n", b"INSERTED 3\r\n"),
        a(b"peek 3", b"FOUND 3 0\r\n"),
    ],
    "EXPECTED_CRLF takes an id, and the rest is read as commands": [
        ("a", b"put 0 0 60 1\r\nabc", b"EXPECTED_CRLF\r\n"),
        a(b"", b"UNKNOWN_COMMAND"),
        put(2),
        ("a", b"put 0 0 60 3\r\nabcde\r\n", b"EXPECTED_CRLF\r\nUNKNOWN_COMMAND\r\n"),
        a(b"peek 3", b"NOT_FOUND"),
        put(4),
    ],
    "a body after BAD_FORMAT is read as commands": [
        (
            "a",
            b"put 0 0 x 14\r\nlist-tube-used\r\n",
            b"BAD_FORMAT\r\nUSING default\r\n",
        ),
        (
            "a",
            b"put 0 0 1 14 \r\nlist-tube-used\r\n",
            b"BAD_FORMAT\r\nUSING default\r\n",
        ),
        put(1),
    ],
    "JOB_TOO_BIG swallows the body, and takes no id": [
        ("a", b"put 0 0 60 65536\r\n", b""),
        ("a", b"x" * 65000, b""),
        ("a", b"x" * 536 + b"\r", b""),
        ("a", b"\nlist-tube-used\r\n", b"JOB_TOO_BIG\r\nUSING default\r\n"),
        ("a", b"put 0 0 60 65536 x\r\n%b\r\n" % (b"x" * 65536), b"JOB_TOO_BIG\r\n"),
        put(1),
    ],
    "a half-received put can be seen": [
        ("a", b"put 7 2 0 3\r\n", b""),
        ("a", b"jo", b""),
        b(b"stats-job 1", job_stats(1, b"invalid", pri=7, delay=2, ttr=1)),
        b(b"delete 1", b"NOT_FOUND"),
        b(b"kick-job 1", b"NOT_FOUND"),
        b(b"reserve-job 1", b"NOT_FOUND"),
        b(b"touch 1", b"NOT_FOUND"),
        b(b"bury 1 0", b"NOT_FOUND"),
        b(b"release 1 0 0", b"NOT_FOUND"),
        b(b"peek-ready", b"NOT_FOUND"),
        b(b"put 0 0 60 3\r\njob", b"INSERTED 2"),
        1.0,
        ("a", b"b\r\n", b"INSERTED 1\r\n"),
        b(
            b"stats-job 1",
            job_stats(1, b"delayed", pri=7, delay=2, ttr=1, age=1, time_left=2),
        ),
    ],
    "a connection lost in the middle of a put": [
        ("a", b"use t\r\nput 0 0 60 3\r\njo", b"USING t\r\n"),
        b(b"list-tubes", ok(b"---\n- default\n- t\n")),
        ("a", CLOSE),
        b(b"stats-job 1", b"NOT_FOUND"),
        b(b"list-tubes", ok(b"---\n- default\n")),
        b(b"put 0 0 60 3\r\njob", b"INSERTED 2"),
    ],
    "a put half-closed": [
        ("a", b"put 0 0 60 3\r\njob\r", b""),
        ("a", HALF),
        ("a", ENDED),
        b(b"peek 1", b"NOT_FOUND"),
    ],
    "while draining": [
        put(1),
        a(b"reserve", reserved(1)),
        ("a", DRAIN),
        a(b"put 0 0 60 3\r\njob", b"DRAINING"),
        ("a", b"put 0 0 60 1\r\nabc", b"EXPECTED_CRLF\r\n"),
        a(b"", b"UNKNOWN_COMMAND"),
        a(b"put 0 0 60 65536\r\n" + b"x" * 65536, b"JOB_TOO_BIG"),
        a(b"release 1 0 0", b"RELEASED"),
        a(b"peek 2", b"NOT_FOUND"),
    ],
    # Reserving
    "reserve and delete": [
        put(1),
        a(b"reserve", reserved(1)),
        a(b"delete 1", b"DELETED"),
        a(b"delete 1", b"NOT_FOUND"),
    ],
    "reserve waits, and is answered once there is a job": [
        b(b"reserve", b""),
        put(1),
        ("b", b"", reserved(1) + b"\r\n"),
        a(b"stats-job 1", job_stats(1, b"reserved", reserves=1, time_left=60)),
    ],
    "commands sent while a reserve waits come after it": [
        ("b", b"reserve\r\ndelete 1\r\nreserve\r\nlist-tu", b""),
        put(1),
        ("b", b"", reserved(1) + b"\r\nDELETED\r\n"),
        put(2),
        ("b", b"bes\r\n", reserved(2) + b"\r\n" + ok(b"---\n- default\n") + b"\r\n"),
    ],
    "a timeout": [
        a(b"reserve-with-timeout 0", b"TIMED_OUT"),
        a(b"reserve-with-timeout 2", b""),
        1.0,
        ("a", b"", b""),
        1.0,
        ("a", b"", TIMED_OUT),
        a(b"reserve-with-timeout 2147483647", b""),
    ],
    "DEADLINE_SOON": [
        put(1, ttr=3),
        a(b"reserve", reserved(1)),
        a(b"reserve-with-timeout 1", b""),
        1.0,
        ("a", b"", TIMED_OUT),
        a(b"reserve", b""),
        1.0,
        ("a", b"", SOON),
        a(b"reserve-with-timeout 0", b"DEADLINE_SOON"),
        a(b"touch 1", b"TOUCHED"),
        a(b"reserve-with-timeout 0", b"TIMED_OUT"),
    ],
    "a reservation that runs out": [
        put(1, ttr=1),
        a(b"reserve", reserved(1)),
        b(b"reserve", b""),
        1.0,
        ("b", b"", reserved(1) + b"\r\n"),
        a(b"delete 1", b"NOT_FOUND"),
        b(b"touch 1", b"TOUCHED"),
        b(
            b"stats-job 1",
            job_stats(
                1, b"reserved", ttr=1, age=1, reserves=2, timeouts=1, time_left=1
            ),
        ),
    ],
    "a reserve that is half-closed": [
        b(b"use t", b"USING t"),
        a(b"watch t", b"WATCHING 2"),
        a(b"reserve\r\nlist-tube-used\r\nreserve", b""),
        b(
            b"stats-tube t",
            tube_stats(b"t", current_using=1, current_watching=1, current_waiting=1),
        ),
        ("a", HALF),
        ("a", b"", b"TIMED_OUT\r\nUSING default\r\nTIMED_OUT\r\n"),
        ("a", ENDED),
        b(b"stats-tube t", tube_stats(b"t", current_using=1)),
    ],
    "half-closed without a reserve": [
        ("a", b"list-tube-used\r\nlist-tu", b"USING default\r\n"),
        ("a", HALF),
        ("a", ENDED),
    ],
    "half-closed in a line that is too long, or a body": [
        ("a", b"x" * 300, b""),
        ("a", HALF),
        ("a", ENDED),
        ("b", b"put 0 0 1 65536\r\nabc", b""),
        ("b", HALF),
        ("b", ENDED),
    ],
    "a connection that ends gives its jobs back": [
        put(1),
        a(b"reserve", reserved(1)),
        b(b"reserve", b""),
        ("a", CLOSE),
        ("b", b"", reserved(1) + b"\r\n"),
        b(
            b"stats-job 1",
            job_stats(1, b"reserved", reserves=2, time_left=60),
        ),
    ],
    "reserve-job takes what nobody holds": [
        put(1),
        put(2, delay=9),
        a(b"reserve-job 1", reserved(1)),
        a(b"reserve-job 1", b"NOT_FOUND"),
        b(b"reserve-job 1", b"NOT_FOUND"),
        b(b"reserve-job 2", reserved(2)),
        b(b"reserve-job 3", b"NOT_FOUND"),
    ],
    # The other commands
    "release, bury and kick": [
        put(1),
        a(b"reserve", reserved(1)),
        a(b"release 1 9 2", b"RELEASED"),
        a(
            b"stats-job 1",
            job_stats(
                1, b"delayed", pri=9, delay=2, reserves=1, releases=1, time_left=2
            ),
        ),
        a(b"peek-delayed", b"FOUND 1 3\r\njob"),
        a(b"release 1 0 0", b"NOT_FOUND"),
        a(b"kick-job 1", b"KICKED"),
        a(b"kick-job 1", b"NOT_FOUND"),
        a(b"reserve", reserved(1)),
        a(b"bury 1 5", b"BURIED"),
        a(b"peek-buried", b"FOUND 1 3\r\njob"),
        a(b"peek-delayed", b"NOT_FOUND"),
        a(b"peek-ready", b"NOT_FOUND"),
        a(b"kick 5", b"KICKED 1"),
        a(b"peek-buried", b"NOT_FOUND"),
        a(b"peek-ready", b"FOUND 1 3\r\njob"),
        a(b"touch 1", b"NOT_FOUND"),
    ],
    "watch, ignore and list": [
        a(b"watch t", b"WATCHING 2"),
        a(b"watch t", b"WATCHING 2"),
        a(b"watch u", b"WATCHING 3"),
        a(b"use v", b"USING v"),
        a(b"ignore default", b"WATCHING 2"),
        a(b"list-tubes-watched", ok(b"---\n- u\n- t\n")),
        a(b"ignore nosuch", b"WATCHING 2"),
        a(b"ignore t", b"WATCHING 1"),
        a(b"ignore u", b"NOT_IGNORED"),
        a(b"list-tubes", ok(b"---\n- default\n- v\n- u\n")),
        a(b"list-tube-used", b"USING v"),
        a(b"stats-tube t", b"NOT_FOUND"),
    ],
    "a pause": [
        a(b"use t", b"USING t"),
        put(1),
        a(b"pause-tube t 2", b"PAUSED"),
        a(b"watch t", b"WATCHING 2"),
        a(b"reserve-with-timeout 0", b"TIMED_OUT"),
        b(b"watch t", b"WATCHING 2"),
        b(b"reserve", b""),
        0.75,
        a(
            b"stats-tube t",
            tube_stats(
                b"t",
                current_jobs_urgent=1,
                current_jobs_ready=1,
                total_jobs=1,
                current_using=1,
                current_watching=2,
                current_waiting=1,
                cmd_pause_tube=1,
                pause=2,
                pause_time_left=1,
            ),
        ),
        1.25,
        ("b", b"", reserved(1) + b"\r\n"),
        a(
            b"stats-tube t",
            tube_stats(
                b"t",
                current_jobs_reserved=1,
                total_jobs=1,
                current_using=1,
                current_watching=2,
                cmd_pause_tube=1,
            ),
        ),
        b(b"delete 1", b"DELETED"),
        a(b"pause-tube t 9", b"PAUSED"),
        a(b"pause-tube t 0", b"PAUSED"),
        0.0,
        a(
            b"stats-tube t",
            tube_stats(
                b"t",
                total_jobs=1,
                current_using=1,
                current_watching=2,
                cmd_delete=1,
                cmd_pause_tube=3,
            ),
        ),
    ],
    "timeouts as 1.12 reads them": [
        a(b"reserve-with-timeout abc", b"TIMED_OUT"),
        a(b"reserve-with-timeout ", b"TIMED_OUT"),
        a(b"reserve-with-timeout 0abc", b"TIMED_OUT"),
        a(b"reserve-with-timeout 4294967296", b"TIMED_OUT"),
        a(b"reserve-with-timeout -4294967296", b"TIMED_OUT"),
        a(b"reserve-with-timeout 9223372036854775808", b"BAD_FORMAT"),
        a(b"reserve-with-timeout -9223372036854775809", b"BAD_FORMAT"),
        a(b"reserve-with-timeout \t+4294967297", b""),
        1.0,
        ("a", b"", TIMED_OUT),
        a(b"reserve-with-timeout -1", b""),
        b(b"reserve-with-timeout 2147483648", b""),
        4e9,
        ("a", b"", b""),
        ("b", b"", b""),
    ],
}


class OurWire:
    def __init__(self, broker: Broker) -> None:
        self.session = ProtocolSession(broker)

    def exchange(self, data: bytes, _expected: bytes = b"") -> bytes:
        self.session.receive(data)
        return b"".join(iter(self.session.take, b""))

    def half_close(self) -> None:
        self.session.receive_eof()

    def close(self) -> None:
        self.session.close()

    @property
    def ended(self) -> bool:
        return self.session.closed


class OurServer:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.broker = Broker(clock=self.clock)

    def connect_control(self) -> None:
        """Open the connection that the real server's clock is moved by."""
        self.control = self.connect()

    def connect(self) -> OurWire:
        return OurWire(self.broker)

    def advance(self, seconds: float) -> None:
        # As late as the real server's clock: see real_server.
        self.clock.advance(seconds + 0.000_001)

    def drain(self) -> None:
        self.broker.drain()


class RealWire:
    def __init__(self, wire: Wire) -> None:
        self.wire = wire

    def exchange(self, data: bytes, expected: bytes) -> bytes:
        if data:
            self.wire.send(data)
        # What comes in one piece may take the server many turns. The last look is
        # for what should not come.
        replies = b""
        turns = 0
        while len(replies) < len(expected) and turns < TURNS:
            replies += self.wire.poll() or b""
            turns += 1
        return replies + (self.wire.poll() or b"")

    def half_close(self) -> None:
        self.wire.half_close()

    def close(self) -> None:
        self.wire.close()

    @property
    def ended(self) -> bool:
        return self.wire.poll() == b""


class ARealServer:
    def __init__(self) -> None:
        self.server = RealServer()
        self.advance = self.server.advance
        self.drain = self.server.drain

    def __enter__(self) -> Self:
        self.server.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.__exit__()

    def connect(self) -> RealWire:
        return RealWire(self.server.connect())


def run(server: Any, wires: dict[str, Any], steps: Sequence[Step]) -> None:
    for step in steps:
        if isinstance(step, float):
            server.advance(step)
            continue
        if step[0] not in wires:
            wires[step[0]] = server.connect()
        wire = wires[step[0]]
        if len(step) == 3:
            who, data, reply = step
            assert (who, data, reply) == (who, data, wire.exchange(data, reply))
        elif step[1] == HALF:
            wire.half_close()
        elif step[1] == CLOSE:
            wire.close()
        elif step[1] == DRAIN:
            server.drain()
        else:
            assert wire.ended


@pytest.mark.parametrize("steps", CASES.values(), ids=CASES)
def test_our_session_answers_as_the_table_says(steps: Sequence[Step]) -> None:
    server = OurServer()
    run(server, {}, steps)
    server.broker._engine._check()


@pytest.mark.parametrize("steps", CASES.values(), ids=CASES)
def test_our_session_does_not_care_how_bytes_are_split(steps: Sequence[Step]) -> None:
    class Dribble(OurWire):
        def exchange(self, data: bytes, _expected: bytes = b"") -> bytes:
            replies = [
                super(Dribble, self).exchange(data[i : i + 1]) for i in range(len(data))
            ]
            return b"".join(replies) or super().exchange(b"")

    class Server(OurServer):
        def connect(self) -> OurWire:
            return Dribble(self.broker)

    run(Server(), {}, steps)


@pytest.mark.real
@pytest.mark.skipif(why_missing() is not None, reason=why_missing() or "")
@pytest.mark.parametrize("steps", CASES.values(), ids=CASES)
def test_the_real_server_answers_as_the_table_says(steps: Sequence[Step]) -> None:
    with ARealServer() as server:
        run(server, {}, steps)


# Statistics of the whole server

BUSY: Sequence[Step] = [
    put(1),
    put(2, delay=9, priority=2000),
    put(3, priority=1024),
    ("a", b"put 0 0 60 65536\r\n%b\r\n" % (b"x" * 65536), b"JOB_TOO_BIG\r\n"),
    a(b"put 0 0 60 1x", b"BAD_FORMAT"),
    a(b"put 0 0 60", b"BAD_FORMAT"),
    a(b"peek 9", b"NOT_FOUND"),
    a(b"peek-ready", b"FOUND 1 3\r\njob"),
    a(b"peek-delayed", b"FOUND 2 3\r\njob"),
    a(b"peek-buried", b"NOT_FOUND"),
    a(b"reserve", reserved(1)),
    a(b"reserve-with-timeout 0", reserved(3)),
    a(b"reserve-with-timeout 0", b"TIMED_OUT"),
    a(b"reserve-job 9", b"NOT_FOUND"),
    a(b"delete 9", b"NOT_FOUND"),
    a(b"release 9 0 0", b"NOT_FOUND"),
    a(b"bury 3 0", b"BURIED"),
    a(b"use -", b"BAD_FORMAT"),
    a(b"use t", b"USING t"),
    a(b"watch t", b"WATCHING 2"),
    a(b"ignore default", b"WATCHING 1"),
    a(b"ignore t", b"NOT_IGNORED"),
    a(b"kick 1", b"KICKED 0"),
    a(b"kick-job 9", b"NOT_FOUND"),
    a(b"touch 9", b"NOT_FOUND"),
    a(b"stats-job 9", b"NOT_FOUND"),
    a(b"stats-tube u", b"NOT_FOUND"),
    a(b"list-tubes", ok(b"---\n- default\n- t\n")),
    a(b"list-tube-used", b"USING t"),
    a(b"list-tubes-watched", ok(b"---\n- t\n")),
    a(b"pause-tube u 1", b"NOT_FOUND"),
    a(b"pause-tube -u 1", b"BAD_FORMAT"),
    a(b"pause-tube t", b"BAD_FORMAT"),
    b(b"reserve-with-timeout 1", b""),
    1.5,
    ("b", b"", TIMED_OUT),
    b(b"reserve", b""),
    # For ever, but not the same command.
    ("c", b"reserve-with-timeout -1\r\n", b""),
]

# What differs from one process to another.
PRIVATE = {b"pid", b"rusage-utime", b"rusage-stime", b"id"}


def whole_stats(server: Any) -> list[bytes]:
    wires: dict[str, Any] = {}
    run(server, wires, BUSY)
    wire = wires["a"]
    # The size of the reply is not known before it comes.
    first, *lines = wire.exchange(b"stats\r\n", b"OK").split(b"\n")
    assert first.startswith(b"OK ")
    return [line for line in lines if line.partition(b":")[0] not in PRIVATE]


EXPECTED_STATS = b"""---
current-jobs-urgent: 0
current-jobs-ready: 0
current-jobs-reserved: 1
current-jobs-delayed: 1
current-jobs-buried: 1
cmd-put: 5
cmd-peek: 1
cmd-peek-ready: 1
cmd-peek-delayed: 1
cmd-peek-buried: 1
cmd-reserve: 2
cmd-reserve-with-timeout: 4
cmd-delete: 1
cmd-release: 1
cmd-use: 1
cmd-watch: 1
cmd-ignore: 2
cmd-bury: 1
cmd-kick: 1
cmd-touch: 1
cmd-stats: 1
cmd-stats-job: 1
cmd-stats-tube: 1
cmd-list-tubes: 1
cmd-list-tube-used: 1
cmd-list-tubes-watched: 1
cmd-pause-tube: 2
job-timeouts: 0
total-jobs: 3
max-job-size: 65535
current-tubes: 2
current-connections: 4
current-producers: 1
current-workers: 3
current-waiting: 2
total-connections: 4
version: "1.12"
uptime: 1
binlog-oldest-index: 0
binlog-current-index: 0
binlog-records-migrated: 0
binlog-records-written: 0
binlog-max-size: 10485760
draining: false
""".split(b"\n")[:-1]

MACHINE = [b"hostname", b"os", b"platform"]


def test_our_session_tells_the_statistics_of_the_server() -> None:
    server = OurServer()
    server.connect_control()
    lines = whole_stats(server)
    assert lines[: len(EXPECTED_STATS)] == EXPECTED_STATS
    assert [line.partition(b":")[0] for line in lines[-5:-2]] == MACHINE
    assert lines[-2:] == [b"\r", b""]


@pytest.mark.real
@pytest.mark.skipif(why_missing() is not None, reason=why_missing() or "")
def test_the_real_server_tells_the_same_statistics() -> None:
    ours = OurServer()
    ours.connect_control()
    with ARealServer() as server:
        assert whole_stats(server) == whole_stats(ours)


def test_draining_shows_in_the_statistics() -> None:
    broker = Broker()
    broker.drain()
    assert b"\ndraining: true\n" in answer(ProtocolSession(broker), b"stats\r\n")


def test_what_the_process_has_used_is_told_to_the_microsecond() -> None:
    told = answer(ProtocolSession(Broker()), b"stats\r\n")
    assert re.search(rb"\nrusage-utime: \d+\.\d{6}\nrusage-stime: \d+\.\d{6}\n", told)


# A limited tube, which the server does not have


def test_a_put_into_a_full_tube_is_swallowed_with_its_body() -> None:
    """As by a server whose disk is full: the id is spent, and nothing is kept."""
    broker = Broker()
    broker.limit_tube("default", 1)
    session = ProtocolSession(broker)
    told = answer(
        session,
        b"put 0 0 60 5\r\nfirst\r\n"
        b"put 0 0 60 8\r\ndelete 1\r\n"
        b"stats-job 2\r\n"
        b"delete 1\r\n"
        b"put 0 0 60 5\r\nthird\r\n",
    )
    assert (
        b"INSERTED 1\r\nOUT_OF_MEMORY\r\nNOT_FOUND\r\nDELETED\r\nINSERTED 3\r\n"
    ) == told
    assert 3 == broker.stats().cmd_put
    assert 2 == broker.stats_tube("default").total_jobs
    broker._engine._check()


def test_a_full_tube_is_looked_at_when_the_body_is_there() -> None:
    broker = Broker()
    broker.limit_tube("default", 1)
    session = ProtocolSession(broker)
    assert b"" == answer(session, b"put 0 0 60 3\r\njo")
    broker.producer().put("meanwhile", timeout=0)
    assert b"OUT_OF_MEMORY\r\n" == answer(session, b"b\r\n")
    assert b"" == answer(session, b"put 0 0 60 3\r\njo")
    broker.delete(2)
    assert b"INSERTED 3\r\n" == answer(session, b"b\r\n")


def test_a_put_over_the_wire_does_not_overtake_one_that_waits() -> None:
    broker = Broker()
    broker.limit_tube("default", 2)
    session = ProtocolSession(broker)
    broker.producer().put("first")
    future = waiting(broker, lambda: broker.producer().put_many(["a", "b"]))
    assert b"OUT_OF_MEMORY\r\n" == answer(session, b"put 0 0 60 3\r\njob\r\n")
    assert b"DELETED\r\n" == answer(session, b"delete 1\r\n")
    assert [3, 4] == future.result(LONG)


def test_only_puts_are_kept_out_over_the_wire() -> None:
    broker = Broker()
    session = ProtocolSession(broker)
    answer(session, b"put 0 0 60 3\r\njob\r\n" * 2 + b"reserve\r\nreserve\r\n")
    broker.limit_tube("default", 1)
    told = answer(session, b"release 1 0 9\r\nbury 2 0\r\nkick 1\r\n")
    assert b"RELEASED\r\nBURIED\r\nKICKED 1\r\n" == told


def test_a_limit_shows_in_no_statistics_of_the_wire() -> None:
    broker = Broker()
    broker.limit_tube("default", 1)
    told = answer(ProtocolSession(broker), b"stats-tube default\r\n")
    assert b"maxsize" not in told
    assert b"putting" not in told


# Version 1.13

VERSION_113 = [
    (b"abc", b"BAD_FORMAT\r\n"),
    (b"", b"BAD_FORMAT\r\n"),
    (b"-1", b"BAD_FORMAT\r\n"),
    (b"2147483648", b"BAD_FORMAT\r\n"),
    (b"4294967296", b"BAD_FORMAT\r\n"),
    (b"0abc", b"TIMED_OUT\r\n"),
    (b"  0", b"TIMED_OUT\r\n"),
    (b"2147483647", b""),
]


def answer(session: ProtocolSession, data: bytes) -> bytes:
    session.receive(data)
    return b"".join(iter(session.take, b""))


@pytest.mark.parametrize(("timeout", "reply"), VERSION_113)
def test_timeouts_as_1_13_reads_them(timeout: bytes, reply: bytes) -> None:
    session = ProtocolSession(Broker(), version="1.13")
    assert answer(session, b"reserve-with-timeout %b\r\n" % timeout) == reply


def test_1_13_puts_strings_in_quotes() -> None:
    session = ProtocolSession(Broker(), version="1.13")
    answer(session, b"put 0 0 60 0\r\n\r\n")
    assert b'\ntube: "default"\nstate: ready\n' in answer(session, b"stats-job 1\r\n")
    assert b'---\nname: "default"\n' in answer(session, b"stats-tube default\r\n")
    told = answer(session, b"stats\r\n")
    assert b'\nversion: "1.13"\n' in told
    assert re.search(rb'\nhostname: ".*"\nos: ".*"\nplatform: ".*"\n\r\n\Z', told)
    assert answer(session, b"list-tubes\r\n") == ok(b"---\n- default\n") + b"\r\n"


def test_there_is_no_other_version() -> None:
    with pytest.raises(ValueError, match=r"version is one of 1\.12, 1\.13, not '1\.4'"):
        ProtocolSession(Broker(), version="1.4")
    gc.collect()  # what was not made to its end ends without a word


# What the server does not have: handles on the same broker, and its end


def test_connections_and_handles_share_the_jobs() -> None:
    with Broker() as broker:
        session = ProtocolSession(broker)
        consumer = broker.consumer()
        answer(session, b"put 5 0 60 3\r\njob\r\n")
        with consumer.reserve(timeout=0) as job:
            assert (job.body, job.priority) == (b"job", 5)
        for body in "\u00fcber\ud800", bytearray(b"b"), memoryview(b"m"), {"a": 1}:
            broker.producer().put(body)
        told = answer(session, 4 * b"reserve\r\n")
        assert told == (
            b"RESERVED 2 8\r\n\xc3\xbcber\xed\xa0\x80\r\n"
            b"RESERVED 3 1\r\nb\r\nRESERVED 4 1\r\nm\r\nRESERVED 5 8\r\n{'a': 1}\r\n"
        )


def test_fractions_of_seconds_are_cut_off_on_the_wire() -> None:
    clock = FakeClock(start=0.1)
    broker = Broker(clock=clock)
    session = ProtocolSession(broker)
    broker.producer().put(b"", delay=2.9, ttr=1.5)
    clock.advance(1.2)
    told = answer(session, b"stats-job 1\r\n")
    assert b"\nage: 1\ndelay: 2\nttr: 1\ntime-left: 1\n" in told


def test_what_has_lost_a_bit_in_a_subtraction_is_not_cut_off() -> None:
    clock = FakeClock(start=1_000_000.3)
    session = ProtocolSession(Broker(clock=clock))
    answer(session, b"put 0 0 60 0\r\n\r\nreserve\r\n")
    clock.advance(6.7)
    assert b"\nage: 6\n" in answer(session, b"stats-job 1\r\n")
    clock.advance(0.3)
    told = answer(session, b"stats-job 1\r\n")
    assert b"\nage: 7\n" in told
    assert b"\ntime-left: 53\n" in told


def test_ten_tenths_of_a_second_are_one_second_of_uptime() -> None:
    clock = FakeClock(start=0.1)
    session = ProtocolSession(Broker(clock=clock))
    for _ in range(10):
        clock.advance(0.1)
    assert b"\nuptime: 1\n" in answer(session, b"stats\r\n")


@pytest.mark.parametrize("limit", [None, 2**31])
def test_no_limit_is_the_largest_that_the_server_knows(limit: int | None) -> None:
    session = ProtocolSession(Broker(max_job_size=limit))
    assert b"\nmax-job-size: 1073741824\n" in answer(session, b"stats\r\n")
    assert answer(session, b"put 0 0 60 1073741825\r\n") == b""
    assert session._body is None


def test_a_half_received_job_can_be_peeked_at() -> None:
    broker = Broker()
    session = ProtocolSession(broker)
    answer(session, b"put 0 0 60 5\r\nabc")
    assert answer(ProtocolSession(broker), b"peek 1\r\n") == (
        b"FOUND 1 5\r\nabc\0\0\r\n"
    )
    broker._engine._check()
    assert answer(session, b"de\r\n") == b"INSERTED 1\r\n"
    assert broker.peek(1).body == b"abcde"


def test_who_owns_the_connection_is_told_when_a_reserve_is_answered() -> None:
    broker = Broker()
    told: list[str] = []
    session = ProtocolSession(broker, on_output=lambda: told.append("output"))
    assert answer(session, b"reserve\r\nuse t\r\n") == b""
    assert session.waiting
    assert repr(session) == "<ProtocolSession of 1.12: waiting>"
    wait_until_waiting(broker, 1)
    assert told == []
    broker.producer().put(b"job")
    assert told == ["output"]
    assert repr(session) == "<ProtocolSession of 1.12: open>"
    assert broker.tubes() == ["default"]
    session.receive(b"")
    assert broker.tubes() == ["default", "t"]
    assert session.take() == b"RESERVED 1 3\r\njob\r\nUSING t\r\n"
    assert repr(session) == "<ProtocolSession of 1.12: open>"
    session.close()
    assert repr(session) == "<ProtocolSession of 1.12: closed>"


def test_a_broker_that_is_closed_closes_its_connections() -> None:
    broker = Broker()
    waits, works, asks = (ProtocolSession(broker) for _ in range(3))
    answer(waits, b"reserve\r\n")
    broker.close()
    assert answer(waits, b"stats\r\n") == b""
    assert answer(works, b"delete 1\r\n") == b""
    assert answer(asks, b"stats\r\n") == b""
    assert waits.closed
    assert works.closed
    assert asks.closed
    with pytest.raises(ClosedError):
        ProtocolSession(broker)


def test_a_reserve_that_nobody_will_ever_answer_raises_and_is_over() -> None:
    broker = Broker()
    session = ProtocolSession(broker)
    session.receive(b"reserve\r\nlist-tube-used\r\n")
    broker._answer_all(DeadlockError)
    with pytest.raises(DeadlockError):
        session.take()
    assert session.take() == b"USING default\r\n"


def test_a_job_that_came_before_the_end_of_input_is_delivered() -> None:
    broker = Broker()
    session = ProtocolSession(broker)
    session.receive(b"reserve\r\n")
    broker.producer().put(b"job")
    session.receive_eof()
    assert session.take() == b"RESERVED 1 3\r\njob\r\n"
    assert session.closed


def test_a_closed_session_takes_nothing_in() -> None:
    broker = Broker()
    session = ProtocolSession(broker)
    session.receive(b"put 0 0 60 3\r\njo")
    session.close()
    session.close()
    session.receive(b"b\r\n")
    session.receive_eof()
    assert session.take() == b""
    assert not session._input
    assert broker.stats().total_jobs == 0
    broker._engine._check()


def test_a_session_that_is_dropped_gives_its_jobs_back() -> None:
    broker = Broker()
    session = ProtocolSession(broker)
    answer(session, b"put 0 0 60 3\r\njob\r\nreserve\r\nput 0 0 60 3\r\njo")
    del session
    gc.collect()
    assert broker.consumer().reserve(timeout=0).body == b"job"
    assert list(broker._engine.jobs) == [1]
    broker._engine._check()


# Memory


def test_a_body_that_is_too_large_is_not_kept() -> None:
    session = ProtocolSession(Broker())
    session.receive(b"put 0 0 60 4294967295\r\n")
    for _ in range(10):
        session.receive(b"x" * 100_000)
        assert not session._input
    assert session._body is None


def test_a_line_without_an_end_is_not_kept() -> None:
    session = ProtocolSession(Broker())
    for _ in range(10):
        session.receive(b"x" * 100_000)
        assert len(session._input) < 224


def test_no_command_is_begun_before_the_replies_so_far_are_taken() -> None:
    session = ProtocolSession(Broker())
    body = b"x" * 65535
    answer(session, b"put 0 0 60 65535\r\n%b\r\n" % body)
    session.receive(50 * b"peek 1\r\n")
    assert len(session._output) < 3 * len(body)
    found = b"FOUND 1 65535\r\n%b\r\n" % body
    assert b"".join(iter(session.take, b"")) == 50 * found
