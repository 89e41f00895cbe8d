"""One stream of commands to a protocol session and to a real beanstalkd.

Both live by one clock, the server's, which stands still between the steps. Every
reply is compared, and so is every silence.
"""

from __future__ import annotations

import contextlib
import re
import sys
import traceback
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    precondition,
    rule,
    run_state_machine_as_test,
)

from inproc_tubes import Broker, MonotonicClock
from inproc_tubes.protocol import ProtocolSession

from .real_server import RealServer, why_missing
from .test_stateful import rounds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .real_server import Wire

EXCLUDED = {
    "pid, uptime, rusage-*, id, hostname, os, platform": (
        "they tell of the process and the machine; the size of that reply with them"
    ),
    "several connections waiting on one tube": (
        "whom the server serves is the order of its multiset; ours is the longest wait"
    ),
    "moments of two connections within a few microseconds": (
        "at one instant the order is that of the server's heap: one reconnects"
    ),
    "a clock exactly at the end of a TTR": (
        "the server forgets to look at that connection again: it lands next to it"
    ),
    "a jump past a due moment": (
        "a late tick hides a reservation behind DEADLINE_SOON: a defect of the server, "
        "not copied; so time goes from one due moment to the next"
    ),
    "the nanosecond of pause-tube <tube> 0": (
        "in a clock that stands still it is for ever: our side hears the command "
        "a microsecond later, when the server's pause is over"
    ),
    "looking at a put whose body is still to come": (
        "the server shows memory that it has not written: a split command is "
        "completed in the same step"
    ),
    "watch, ignore, pause-tube and blocks of commands behind a reserve that waits": (
        "the harness must know who will wait where; other commands are sent"
    ),
}
"""What is not compared or not sent, and why."""

_MASKED = re.compile(
    rb"^(pid|uptime|rusage-utime|rusage-stime|id|hostname|os|platform): .*$",
    re.MULTILINE,
)
_SECOND = 1_000_000  # microseconds
_LATE = 3  # microseconds: how late the clock comes to a due moment
_TIE = 5  # microseconds: moments closer than that count as one
_CONNECTIONS = 3
_TURNS = 300  # of the server, until a reply is taken to be missing

ids = st.sampled_from([b"1", b"2", b"3", b"4", b"5", b"1", b"2", b"99", b" 2", b"003"])
priorities = st.sampled_from([b"0", b"1", b"1", b"2", b"1023", b"1024", b"4294967295"])
delays = st.sampled_from([b"0", b"0", b"0", b"1", b"2", b"3"])
ttrs = st.sampled_from([b"0", b"1", b"2", b"2", b"3", b"4", b"60"])
tubes = st.sampled_from([b"default", b"default", b"t", b"t", b"u"])
timeouts = st.sampled_from([b"0", b"0", b"1", b"2", b"3", b"x", b"-1", b"2 x"])
bounds = st.sampled_from([b"0", b"1", b"2", b"5", b"-1", b"4294967297", b"1 x"])
bodies = st.sampled_from([b"", b"a", b"bc", b"list-tubes"])
odd_numbers = st.sampled_from(
    [b"", b"x", b"-1", b"+1", b"1.5", b"1 ", b"4294967296", b"18446744073709551616"]
)


def line(word: bytes, *arguments: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """Make commands of a word and what comes behind it."""
    return st.tuples(*arguments).map(lambda args: b" ".join([word, *args]) + b"\r\n")


def put(numbers: tuple[bytes, bytes, bytes, bytes], end: bytes) -> bytes:
    priority, delay, ttr, body = numbers
    return b"put %b %b %b %d\r\n%b%b" % (priority, delay, ttr, len(body), body, end)


puts = st.builds(
    put,
    st.tuples(priorities, delays, ttrs, bodies),
    st.sampled_from([b"\r\n"] * 9 + [b"xx"]),
)
reserves = (
    line(b"reserve")
    | line(b"reserve-with-timeout", timeouts)
    | line(b"reserve-job", ids)
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
malformed = (
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
            b"put 0 0 1 65536\r\n" + 65538 * b"x",
            b"put 0 0 1 1 \r\n",
            b"use -t\r\n",
            b"use " + 200 * b"n" + b"\r\n",
            b"watch " + 201 * b"n" + b"\r\n",
            b"pause-tube -t 1\r\n",
            b"stats \r\n",
            b"list-tubes\n\r\n",
            300 * b"x" + b"\r\n",
        ]
    )
    | st.integers(218, 230).map(lambda size: size * b"x" + b"\r\n")
)
commands = st.one_of(puts, reserves, of_jobs, of_tubes, looks, malformed)


class ServersClock:
    """The real server's clock, for a broker: nobody sleeps by it."""

    def __init__(self, server: RealServer) -> None:
        self._server = server

    def now(self) -> float:
        return self._server.now

    def attach(self, broker: Any) -> None:
        """Need nothing of a broker: whoever moves the server's clock has it look."""

    def park(self, waiter: Any, due_at: float) -> None:
        raise AssertionError(waiter, due_at)  # no session sleeps

    def seconds_until(self, moment: float) -> float:
        raise AssertionError(moment)  # pragma: no cover - nor in an event loop


def masked(reply: bytes) -> bytes:
    """Return a reply, statistics of the whole server without what is their own."""
    if b"\nrusage-utime: " not in reply:
        return reply
    return _MASKED.sub(rb"\1:", re.sub(rb"^OK \d+", b"OK", reply))


class Pair:
    """One connection, twice."""

    def __init__(self, broker: Broker, server: RealServer) -> None:
        self.ours = ProtocolSession(broker, version=server.version)
        self.real: Wire = server.connect()

    def send(self, data: bytes) -> None:
        self.real.send(data)
        self.ours.receive(data)

    def close(self) -> None:
        self.real.close()
        self.ours.close()

    def moments(self) -> list[int]:
        """Return when the server may look at it, in microseconds."""
        session = self.ours.session
        waits_until = [waiter.timeout_at for waiter in session.waiters.values()]
        ends = [record.due_at for record in session.held.values()]
        return [
            round(moment * _SECOND)
            for moment in (*waits_until, *ends, *(end - 1 for end in ends))
            if moment < float("inf")
        ]

    def compare(self) -> int:
        """Compare all replies that there are, and return how many."""
        ours = b"".join(iter(self.ours.take, b""))
        real = b""
        count = 0
        # Commands in one piece take the server a turn each, as does each KiB that it
        # skips of a body. The last look is for what should not come.
        patience = _TURNS if ours else 0
        while True:
            reply = self.real.poll()
            if reply:
                real += reply
                count += 1
            elif len(masked(real)) >= len(masked(ours)) or reply == b"" or not patience:
                break
            else:
                patience -= 1
        assert masked(real) == masked(ours), (
            f"beanstalkd: {masked(real)!r}\n      ours: {masked(ours)!r}"
        )
        assert (reply == b"") == self.ours.closed, "one is closed, the other is not"
        return count


class ServerAgainstOurs(RuleBasedStateMachine):
    """Whatever is said to both is answered alike by both."""

    compared = 0  # replies, by all machines

    def __init__(self) -> None:
        super().__init__()
        self.stack = contextlib.ExitStack()
        self.server = self.stack.enter_context(RealServer(unix_socket=True))
        self.broker = self.stack.enter_context(Broker(clock=ServersClock(self.server)))
        # As the connection does that the server's clock is moved by.
        self.control = ProtocolSession(self.broker, version=self.server.version)
        self.pairs = [Pair(self.broker, self.server) for _ in range(_CONNECTIONS)]
        self.last_reserving: Pair | None = None
        self.steps = 0
        self.draining = False

    def teardown(self) -> None:
        for pair in self.pairs:
            pair.ours.close()
        self.control.close()
        self.stack.close()

    @property
    def microseconds(self) -> int:
        return round(self.server.now * _SECOND)

    @rule(number=st.integers(0, _CONNECTIONS - 1), data=commands)
    def say(self, number: int, data: bytes) -> None:
        """Send a command, also behind a reserve that waits."""
        self.speak(number, data)

    @rule(number=st.integers(0, _CONNECTIONS - 1), data=puts | reserves | of_jobs)
    def work(self, number: int, data: bytes) -> None:
        """Send one of those that move jobs."""
        self.speak(number, data)

    @rule(
        number=st.integers(0, _CONNECTIONS - 1),
        data=commands,
        at=st.integers(1, 30),
    )
    def say_in_two_pieces(self, number: int, data: bytes, at: int) -> None:
        """Send a command split somewhere."""
        self.speak(number, data, at)

    @rule(
        seconds=st.sampled_from([0.25, 0.5, 1, 1, 2, 60]),
        times=st.integers(1, 3),
    )
    def let_time_pass(self, seconds: float, times: int) -> None:
        """Go to the next due moment, but no further than so many seconds."""
        for _ in range(times):
            due = self.next_due()
            target = self.microseconds + round(seconds * _SECOND)
            self.move(target if due is None else min(due + _LATE, target))

    @rule(number=st.integers(0, _CONNECTIONS - 1), half=st.booleans())
    def hang_up(self, number: int, half: bool) -> None:  # noqa: FBT001 - a rule's
        pair = self.pairs[number]
        if half:
            pair.real.half_close()
            pair.ours.receive_eof()
            self.compare()
        else:
            self.reconnect(number)

    @rule(number=st.integers(0, _CONNECTIONS - 1))
    def say_quit(self, number: int) -> None:
        self.speak(number, b"quit\r\n")

    @precondition(lambda self: self.steps > 15 and not self.draining)
    @rule()
    def drain(self) -> None:
        self.draining = True
        self.server.drain()
        self.broker.drain()

    def speak(self, number: int, data: bytes, at: int | None = None) -> None:
        pair = self.pairs[number]
        self.steps += 1
        if data.startswith(b"reserve") and any(
            other.ours.waiting and self.watch_one(pair, other)
            for other in self.pairs
            if other is not pair
        ):
            return
        if pair.ours.waiting and data.startswith((b"watch", b"ignore", b"pause")):
            return
        if data.startswith((b"reserve", b"touch")):
            if self.last_reserving not in {pair, None}:
                self.move(self.microseconds + _TIE + 2)
            self.last_reserving = pair
        if self.pauses_for_nothing(data):
            self.move(self.microseconds + _LATE)
            pair.real.send(data)
            self.server.jump(1 / _SECOND)
            pair.ours.receive(data)
            self.broker._look()
        elif at is None or at >= len(data):
            pair.send(data)
        else:
            pair.send(data[:at])
            self.compare()
            pair.send(data[at:])
        self.compare()

    def pauses_for_nothing(self, data: bytes) -> bool:
        words = data.split()
        return words[:1] == [b"pause-tube"] and words[-1].strip(b"0") == b""

    def watch_one(self, pair: Pair, other: Pair) -> bool:
        watched = {tube.name for tube in pair.ours.session.watched}
        return any(tube.name in watched for tube in other.ours.session.watched)

    def next_due(self) -> int | None:
        due_at = self.broker._next_due()
        return None if due_at == float("inf") else round(due_at * _SECOND)

    def move(self, target: int) -> None:
        """Let it be `target`, or a little later."""
        self.untie(target + _TIE)
        while any(abs(target - moment) <= 1 for moment in self.all_moments()):
            target += 1
        self.server.jump((target - self.microseconds) / _SECOND)
        self.broker._look()
        self.compare()

    def all_moments(self) -> Iterator[int]:
        for pair in self.pairs:
            yield from pair.moments()

    def untie(self, until: int) -> None:
        """Leave no two connections that are due at the same time before `until`."""
        seen: list[int] = []
        for number, pair in enumerate(self.pairs):
            mine = [moment for moment in pair.moments() if moment <= until]
            if any(abs(one - two) <= _TIE for one in mine for two in seen):
                self.reconnect(number)
            else:
                seen += mine

    def reconnect(self, number: int) -> None:
        self.pairs[number].close()
        self.pairs[number] = Pair(self.broker, self.server)
        self.compare()

    def compare(self) -> None:
        for pair in self.pairs:
            ServerAgainstOurs.compared += pair.compare()
        for number, pair in enumerate(self.pairs):
            if pair.ours.closed:
                self.reconnect(number)
        self.broker._engine._check()


@pytest.mark.real
@pytest.mark.skipif(why_missing() is not None, reason=str(why_missing()))
def test_a_session_answers_as_beanstalkd_does(
    request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    minutes = request.config.getoption("soak")
    differences = 0
    ServerAgainstOurs.compared = 0
    for _ in rounds(minutes, MonotonicClock.now, sys.stderr):
        try:
            run_state_machine_as_test(
                ServerAgainstOurs,
                settings=settings(
                    max_examples=200,
                    stateful_step_count=30,
                    database=None,  # a soak is to find other things, too
                    report_multiple_bugs=False,
                ),
            )
        except AssertionError:
            differences += 1
            traceback.print_exc()
    with capsys.disabled():
        sys.stderr.write(
            f"\n{ServerAgainstOurs.compared} replies compared, "
            f"{differences} differences found\n"
        )
    assert differences == 0
