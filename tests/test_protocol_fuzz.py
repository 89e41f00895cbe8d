"""Arbitrary bytes in arbitrary pieces: nothing but the protocol's replies comes out."""

from __future__ import annotations

import re

from hypothesis import given, strategies as st

from inproc_tubes import Broker
from inproc_tubes.core.recovery import check
from inproc_tubes.protocol import ProtocolSession
from inproc_tubes.testing import FakeClock

LIMIT = 20

WORDS = (
    b"UNKNOWN_COMMAND|BAD_FORMAT|NOT_FOUND|NOT_IGNORED|TIMED_OUT|DEADLINE_SOON|"
    b"JOB_TOO_BIG|EXPECTED_CRLF|DRAINING|DELETED|RELEASED|BURIED|TOUCHED|KICKED|PAUSED"
)
LINE = re.compile(
    rb"(?:%b|INSERTED \d+|KICKED \d+|WATCHING \d+|USING [\w\-+/;.$()]{1,200})\r\n"
    rb"|(?:RESERVED \d+|FOUND \d+|OK) (\d+)\r\n" % WORDS
)

COMMANDS = [
    b"put ", b"peek ", b"peek-ready", b"peek-delayed", b"peek-buried", b"reserve",
    b"reserve-with-timeout ", b"reserve-job ", b"delete ", b"release ", b"bury ",
    b"kick ", b"kick-job ", b"touch ", b"stats", b"stats-job ", b"stats-tube ",
    b"use ", b"watch ", b"ignore ", b"list-tubes", b"list-tube-used",
    b"list-tubes-watched", b"quit", b"pause-tube ",
]  # fmt: skip
small = st.sampled_from(
    [b"0", b"1", b"2", b"3", b"21", b"-1", b"4294967296", b" ", b""]
)
arguments = st.lists(small | st.sampled_from([b"t", b"default"]), max_size=4)
line = st.builds(
    lambda command, words: command + b" ".join(words) + b"\r\n",
    st.sampled_from(COMMANDS),
    arguments,
)
whole_put = st.builds(
    lambda numbers, body: b"put %d %d %d %d\r\n%b\r\n" % (*numbers, len(body), body),
    st.tuples(*[st.integers(0, 3)] * 3),
    st.binary(max_size=LIMIT + 5),
)
piece = (
    whole_put
    | line
    | st.binary(max_size=30)
    | st.sampled_from([b"\r", b"\n", b"\0", b"x" * 222, b"x" * 223, b"x" * 500])
)
stream = st.lists(piece, max_size=12).map(b"".join)
# Who sends how many bytes of his stream next, and what passes before that.
turns = st.lists(
    st.tuples(st.integers(0, 1), st.integers(1, 300), st.sampled_from([0, 0, 0.5, 1])),
    max_size=40,
)


def assert_replies(output: bytes) -> None:
    """See that it is made of whole replies."""
    while output:
        match = LINE.match(output)
        assert match is not None, output
        output = output[match.end() :]
        if match[1] is not None:
            size = int(match[1])
            assert output[size : size + 2] == b"\r\n"
            output = output[size + 2 :]


def take_all(session: ProtocolSession) -> bytes:
    return b"".join(iter(session.take, b""))


@given(st.tuples(stream, stream), turns, st.sampled_from(["close", "half-close"]))
def test_nothing_but_replies_comes_out(
    streams: tuple[bytes, bytes], turns: list[tuple[int, int, float]], end: str
) -> None:
    clock = FakeClock()
    broker = Broker(clock=clock, max_job_size=LIMIT)
    sessions = [ProtocolSession(broker), ProtocolSession(broker)]
    rest = list(streams)
    replies = [b"", b""]
    for who, size, seconds in turns:
        clock.advance(seconds)
        session = sessions[who]
        session.receive(rest[who][:size])
        rest[who] = rest[who][size:]
        replies[who] += take_all(session)
        check(broker._engine)
        # It keeps what it cannot act on, and that is no more than this.
        assert session._body is None or len(session._body.octets) <= LIMIT + 2
        assert session.waiting or len(session._input) < 224
    for who, session in enumerate(sessions):
        session.receive(rest[who])
        if end == "half-close":
            session.receive_eof()
        replies[who] += take_all(session)
        check(broker._engine)
        assert session.closed or end == "close"
        session.close()
        assert_replies(replies[who])
    check(broker._engine)
    assert broker.stats().current_waiting == 0


@given(st.tuples(stream, st.lists(st.integers(1, 50), max_size=50)))
def test_how_the_bytes_are_split_is_all_the_same(
    case: tuple[bytes, list[int]],
) -> None:
    data, sizes = case
    whole, split = (
        ProtocolSession(Broker(clock=FakeClock(), max_job_size=LIMIT)) for _ in "12"
    )
    whole.receive(data)
    expected = take_all(whole)
    replies = b""
    for size in sizes:
        split.receive(data[:size])
        replies += split.take()
        data = data[size:]
    split.receive(data)
    replies += take_all(split)
    # What differs from one moment to the next.
    assert re.sub(rb"(rusage.*|id): .*", b"", replies) == re.sub(
        rb"(rusage.*|id): .*", b"", expected
    )
    assert split.closed == whole.closed
    assert split.waiting == whole.waiting
