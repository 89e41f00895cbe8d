"""Commands for the differential test: small numbers, so that much coincides.

In a command, ``@3`` stands for the id of the fourth job that there is: first come
those that the connection holds.
"""

from __future__ import annotations

from hypothesis import strategies as st

MAX_JOB_SIZE = 100
"""What the server is started with, so that the body that is too big is small."""

ids = st.sampled_from(
    [b"@0", b"@0", b"@1", b"@1", b"@2", b"@3", b"@4", b"@5", b"99", b" @0", b"00@1"]
)
priorities = st.sampled_from([b"0", b"1", b"1", b"2", b"1023", b"1024", b"4294967295"])
delays = st.sampled_from([b"0", b"0", b"0", b"1", b"2", b"3"])
ttrs = st.sampled_from([b"0", b"1", b"2", b"2", b"3", b"4", b"60"])
tubes = st.sampled_from([b"default", b"default", b"t", b"t", b"u"])
timeouts = st.sampled_from([b"0", b"0", b"0", b"1", b"2", b"3", b"2 x", b"x", b"-1"])
bounds = st.sampled_from([b"0", b"1", b"2", b"5", b"-1", b"4294967297", b"1 x"])
bodies = st.sampled_from(
    [b"a"] * 7 + [b"", b"list-tubes", MAX_JOB_SIZE * b"d", (MAX_JOB_SIZE + 1) * b"e"]
)
odd_numbers = st.sampled_from(
    [b"", b"x", b"-1", b"+1", b"1.5", b"1 ", b"4294967296", b"18446744073709551616"]
)


def line(word: bytes, *arguments: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """Make commands of a word and what comes behind it."""
    return st.tuples(*arguments).map(lambda args: b" ".join([word, *args]) + b"\r\n")


def weighted(
    *groups: tuple[int, st.SearchStrategy[bytes]],
) -> st.SearchStrategy[bytes]:
    """Choose a group, each as often as its weight says, and one of its commands."""
    choices = [commands for weight, commands in groups for _ in range(weight)]
    return st.sampled_from(choices).flatmap(lambda commands: commands)


def put(priority: bytes, delay: bytes, ttr: bytes, body: bytes, end: bytes) -> bytes:
    return b"put %b %b %b %d\r\n%b%b" % (priority, delay, ttr, len(body), body, end)


ends = st.sampled_from([b"\r\n"] * 14 + [b"xx"])
puts = st.builds(put, priorities, delays, ttrs, bodies, ends)
reserves = weighted(
    (1, line(b"reserve")),
    (4, line(b"reserve-with-timeout", timeouts)),
    (1, line(b"reserve-job", ids)),
)
of_jobs = (
    line(b"delete", ids)
    | line(b"release", ids, priorities, delays)
    | line(b"bury", ids, priorities)
    | line(b"touch", ids)
    | line(b"kick", bounds)
    | line(b"kick-job", ids)
)
of_tubes = (
    line(b"use", tubes)
    | line(b"watch", tubes)
    | line(b"ignore", tubes)
    | line(b"pause-tube", tubes, delays)
)
looks = (
    line(b"peek", ids)
    | st.sampled_from(
        [
            b"peek-ready\r\n",
            b"peek-delayed\r\n",
            b"peek-buried\r\n",
            b"list-tubes\r\n",
            b"list-tube-used\r\n",
            b"list-tubes-watched\r\n",
            b"stats\r\n",
        ]
    )
    | line(b"stats-job", ids)
    | line(b"stats-tube", tubes)
)
words = st.sampled_from(
    b"""put peek peek-ready peek-delayed peek-buried reserve reserve-with-timeout
    reserve-job delete release bury kick kick-job touch stats stats-job stats-tube
    use watch ignore list-tubes list-tube-used list-tubes-watched pause-tube PUT
    quitter""".split()
)
odd = (
    st.builds(
        lambda word, arguments: b" ".join([word, *arguments]) + b"\r\n",
        words,
        st.lists(odd_numbers | ids | tubes, max_size=5),
    )
    | st.sampled_from(
        [
            b"\r\n",
            b"\0\r\n",
            b"stats\0\r\n",
            b"put 0 0 1 1 \r\n",
            b"use -t\r\n",
            b"use " + 200 * b"n" + b"\r\n",
            b"watch " + 201 * b"n" + b"\r\n",
            b"pause-tube -t 1\r\n",
            b"pause-tubet 1\r\n",
            b"stats \r\n",
            b"list-tubes\n\r\n",
            300 * b"x" + b"\r\n",
        ]
    )
    | st.just(b"quit\r\n")
    | st.integers(218, 230).map(lambda size: size * b"x" + b"\r\n")
)

working = weighted((3, puts), (5, reserves), (6, of_jobs))
waits = weighted(
    (2, st.just(b"reserve\r\n")),
    (3, st.sampled_from([b"reserve-with-timeout %d\r\n" % n for n in range(1, 4)])),
)
feeding = weighted((4, puts), (2, of_jobs), (1, of_tubes), (1, reserves))
commands = weighted(
    (3, puts), (3, reserves), (3, of_jobs), (2, of_tubes), (2, looks), (2, odd)
)
