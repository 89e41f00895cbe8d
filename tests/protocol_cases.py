"""What the server answers, byte for byte: a table of conversations.

A case is a list of steps. `(who, data, reply)` sends bytes on the connection of that
name, made at first use, and wants exactly that reply, b"" for none so far; a `float`
moves the clock; `half` and `close` do so to a connection, and `ended` wants it ended.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence

Step: TypeAlias = "tuple[str, bytes, bytes] | tuple[str, str] | float"

HALF, CLOSE, ENDED, DRAIN = "half", "close", "ended", "drain"
TIMED_OUT = b"TIMED_OUT\r\n"
SOON = b"DEADLINE_SOON\r\n"


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
    "kick's bound may be any number of jobs": [
        *(put(number, delay=9) for number in range(1, 131)),
        a(b"kick 4294967296", b"KICKED 0"),
        a(b"kick 63", b"KICKED 63"),
        a(b"kick 64", b"KICKED 64"),
        a(b"kick 2147483648", b"KICKED 3"),
        put(131, delay=9),
        a(b"kick 4294967295", b"KICKED 1"),
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
    ],
    "the largest timeout": [
        a(b"reserve-with-timeout 2147483647", b""),
        2147483646.0,
        ("a", b"", b""),
        1.0,
        ("a", b"", TIMED_OUT),
    ],
    "1024 is the first priority that is not urgent": [
        a(b"use t", b"USING t"),
        put(1, priority=1023),
        put(2, priority=1024),
        a(
            b"stats-tube t",
            tube_stats(
                b"t",
                current_jobs_urgent=1,
                current_jobs_ready=2,
                total_jobs=2,
                current_using=1,
            ),
        ),
        a(b"reserve-job 2", reserved(2)),
        a(b"reserve-job 1", reserved(1)),
        a(b"release 2 1024 0", b"RELEASED"),
        a(
            b"stats-tube t",
            tube_stats(
                b"t",
                current_jobs_ready=1,
                current_jobs_reserved=1,
                total_jobs=2,
                current_using=1,
            ),
        ),
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
}

# What strtol makes of them, and what 1.13 does, which reads a number and what is behind.
_TIMEOUTS: dict[str, Sequence[Step]] = {
    "1.12": [
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
    "1.13": [
        a(b"reserve-with-timeout abc", b"BAD_FORMAT"),
        a(b"reserve-with-timeout ", b"BAD_FORMAT"),
        a(b"reserve-with-timeout -1", b"BAD_FORMAT"),
        a(b"reserve-with-timeout 2147483648", b"BAD_FORMAT"),
        a(b"reserve-with-timeout 4294967296", b"BAD_FORMAT"),
        a(b"reserve-with-timeout 0abc", b"TIMED_OUT"),
        a(b"reserve-with-timeout   0", b"TIMED_OUT"),
        a(b"reserve-with-timeout 1", b""),
        1.0,
        ("a", b"", TIMED_OUT),
        a(b"reserve-with-timeout 2147483647", b""),
        2e9,
        ("a", b"", b""),
    ],
}
VERSIONS = list(_TIMEOUTS)

# What both versions of the server answer alike, but for the names in statistics.
NAMES = [*CASES, "timeouts"]


def steps_of(name: str, version: str) -> Sequence[Step]:
    """Return a case, with the replies of a version."""
    if name == "timeouts":
        return _TIMEOUTS[version]
    return [
        (step[0], step[1], _as_told_by(version, step[2]))
        if isinstance(step, tuple) and len(step) == 3
        else step
        for step in CASES[name]
    ]


def _as_told_by(version: str, reply: bytes) -> bytes:
    """Return a reply of 1.12 as a version tells it: since 1.13 names are in quotes."""
    if version == "1.12" or not reply.startswith(b"OK "):
        return reply
    _, _, text = reply.partition(b"\r\n")
    text = re.sub(rb"^(name|tube): (.*)$", rb'\1: "\2"', text, flags=re.MULTILINE)
    return ok(text.removesuffix(b"\r\n")) + b"\r\n"
