"""One stream of commands to a protocol session and to a real beanstalkd.

Both live by one clock, the server's, which stands still between the steps. Every
reply is compared, and so is every silence.
"""

from __future__ import annotations

import contextlib
import re
import sys
import traceback
from typing import TYPE_CHECKING, TextIO

import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from inproc_tubes import Broker, MonotonicClock
from inproc_tubes.core.job import JobState
from inproc_tubes.core.recovery import check
from inproc_tubes.protocol import ProtocolSession

from . import differential_commands as say
from .differential_choice import Choice, steer
from .differential_pair import SECOND, Pair, ServersClock
from .engine_driver import next_id
from .real_server import RealServer, why_missing
from .test_stateful import rounds

if TYPE_CHECKING:
    from collections.abc import Callable

EXCLUDED = {
    "pid, uptime, rusage-*, id, hostname, os, platform": (
        "they tell of the process and the machine; the size of that reply with them"
    ),
    "who is served of several that wait for one tube": (
        "the server promises no order, and ours is the longest wait; that it is one of "
        "them is compared, and all that comes of it: see differential_choice"
    ),
    "two connections that are due at the same instant": (
        "if the one that is last in the server's heap moves in it, `heapremove` may "
        "take out the other, which is then forgotten; a defect, not copied; what "
        "begins has a fraction of a second of its own, and where several things "
        "begin at once all the same, the server is started anew"
    ),
    "a clock exactly at the end of a TTR": (
        "the server forgets to look at that connection again: the clock lands beside it"
    ),
    "a jump past a due moment": (
        "a late tick hides a reservation behind DEADLINE_SOON: a defect of the server, "
        "not copied; so time goes from one due moment to the next"
    ),
    "going on after DEADLINE_SOON to a reserve-with-timeout that has waited": (
        "the server keeps that timeout: after each reply it looks at the connection "
        "when so much time has passed, and then not again, so that no TTR ends that "
        "is longer; a defect, not copied; such a connection reconnects at once"
    ),
    "the nanosecond of pause-tube <tube> 0": (
        "in a clock that stands still it is for ever: our side hears the command "
        "a microsecond later, when the server's pause is over"
    ),
    "peek while the body of a put is still to come": (
        "the server shows memory that it has not written; all else that can be asked "
        "about such a job is"
    ),
    "pause-tube <tube> 0 behind a reserve that waits": (
        "it is carried out at a time of its choosing, for the nanosecond above"
    ),
    "commands behind the reserves of two connections at once": (
        "answered in one tick, they take turns with each other"
    ),
}
"""What is not compared or not sent, and why."""

_PAUSES_FOR_NO_TIME = re.compile(rb"pause-tube.* 0+\r\n")
# Microseconds:
_LATE = 20  # how late the clock comes to a due moment, if there is room
_APART = 100  # between what begins at different times, in fractions of a second
_ROOM = 4  # to come between two due moments, and beside both
_TURNS = 60  # of the server, until a reply is taken to be missing
_CONNECTIONS = 4
_A_MOMENT = 10  # commands, until everything is looked at again
_A_WHILE = 30  # commands, until somebody hangs up again

who = st.integers(0, _CONNECTIONS - 1)
where_to_stop = st.sampled_from([0, 0, 0, 0, 3, 7, 12, 14, 20, 25])


class ServerAgainstOurs(RuleBasedStateMachine):
    """Whatever is said to both is answered alike by both."""

    compared = 0  # commands, by all machines

    def __init__(self) -> None:
        super().__init__()
        self.start()

    def start(self) -> None:
        """Start both servers and connect to them."""
        self.stack = contextlib.ExitStack()
        self.server = self.stack.enter_context(
            RealServer(unix_socket=True, max_job_size=say.MAX_JOB_SIZE)
        )
        clock = ServersClock(self.server)
        self.broker = self.stack.enter_context(
            Broker(clock=clock, max_job_size=say.MAX_JOB_SIZE)
        )
        self.engine = self.broker._engine
        # As the connection does that the server's clock is moved by.
        self.control = ProtocolSession(self.broker, version=self.server.version)
        self.choice = Choice()
        steer(self.engine, self.choice)
        self.pairs = [Pair(self.broker, self.server) for _ in range(_CONNECTIONS)]
        self.onlooker = Pair(self.broker, self.server)
        self.in_doubt = False  # whether the server may have forgotten a connection
        self.commands = 0
        self.hung_up_at = 0
        self.looked_at = 0
        self.drains_at = 0

    def teardown(self) -> None:
        for pair in (*self.pairs, self.onlooker):
            pair.close()
        self.control.close()
        self.stack.close()

    @invariant()
    def start_anew(self) -> None:
        """Go on with other servers where the server is in doubt."""
        if self.in_doubt:
            self.teardown()
            self.start()

    @initialize(after=st.sampled_from([0] * 15 + [40]))
    def begin(self, after: int) -> None:
        """Choose after how many commands the server drains; mostly it never does."""
        self.drains_at = after

    @rule(
        said=st.lists(
            st.tuples(who, say.commands, where_to_stop), min_size=1, max_size=6
        )
    )
    def talk(self, said: list[tuple[int, bytes, int]]) -> None:
        """Say whatever there is to say, some of it in pieces."""
        for number, command, until in said:
            self.speak(number, command, until)

    @rule(number=who, said=st.lists(say.working, min_size=1, max_size=6))
    def work(self, number: int, said: list[bytes]) -> None:
        """Say on one connection what moves jobs."""
        for command in said:
            self.speak(number, command)

    @rule(
        waits=st.lists(st.tuples(who, say.waits), min_size=2, max_size=3),
        number=who,
        said=st.lists(say.feeding, min_size=1, max_size=4),
    )
    def compete(
        self, waits: list[tuple[int, bytes]], number: int, said: list[bytes]
    ) -> None:
        """Let several wait, and say on one connection what serves them."""
        for waiter, command in waits:
            if waiter != number:
                self.speak(waiter, command)
        for command in said:
            self.speak(number, command)

    @rule(
        number=who,
        waits=st.lists(say.reserves, max_size=2),
        seconds=st.sampled_from([0.25, 0.5, 1, 1, 2, 60]),
        times=st.integers(1, 3),
    )
    def let_time_pass(
        self, number: int, waits: list[bytes], seconds: float, times: int
    ) -> None:
        """Go to the next due moment, but no further than so many seconds."""
        for command in waits:
            self.speak(number, command)
        for _ in range(times):
            due = self.broker._monitor.next_due() * SECOND
            self.move(round(min(due, self.now + seconds * SECOND)))

    @precondition(lambda self: self.commands - self.hung_up_at > _A_WHILE)
    @rule(number=who, half=st.booleans())
    def hang_up(self, number: int, half: bool) -> None:  # noqa: FBT001 - a rule's
        self.hung_up_at = self.commands
        self.get_apart()  # for the jobs that go to others
        if half:
            self.pairs[number].half_close(self.hear)
            self.compare()
        else:
            self.reconnect(number)

    @precondition(lambda self: self.commands - self.looked_at > _A_MOMENT)
    @rule()
    def look_at_everything(self) -> None:
        """Ask for all statistics there are."""
        questions = [b"stats", b"list-tubes"]
        questions += [b"stats-tube %b" % name.encode() for name in self.engine.tubes]
        questions += [b"stats-job %d" % job_id for job_id in self.engine.jobs]
        for question in questions:
            self.send(self.onlooker, question + b"\r\n")
        self.compare()
        self.looked_at = self.commands

    @property
    def now(self) -> int:
        return round(self.server.now * SECOND)

    def speak(self, number: int, command: bytes, until: int = 0) -> None:
        """Let a connection go on with what it has begun, or else begin a command."""
        begins = command.startswith((b"reserve", b"touch"))
        self.get_apart(self.pairs[number] if begins else None)
        pair = self.pairs[number]
        command = pair.begun or self.with_ids(pair, command)
        if self.in_doubt or self.is_excluded(pair, command):
            return
        if _PAUSES_FOR_NO_TIME.fullmatch(command):
            self.move(self.now + 1)
            is_alone = self.room_from(self.now) > _ROOM
            if is_alone and pair in self.pairs:  # time may have cost it its connection
                self.send(pair, command, until, self.a_microsecond)
        else:
            self.send(pair, command, until)
        self.compare()
        if self.commands == self.drains_at:
            self.server.drain()
            self.broker.drain()

    def send(
        self,
        pair: Pair,
        command: bytes,
        until: int = 0,
        in_between: Callable[[], None] | None = None,
    ) -> None:
        pair.send(command, until, in_between or self.hear)
        if not pair.begun:
            self.commands += 1
            ServerAgainstOurs.compared += 1

    def a_microsecond(self) -> None:
        self.server.jump(1 / SECOND)
        self.hear()
        self.broker._monitor.look()

    def hear(self, but: int | None = None) -> None:
        """Hear whom the server has served, where it had the choice.

        Commands in one piece take it a turn each.
        """
        if sum(pair.ours.waiting for pair in self.pairs) < 2:
            return
        pairs = [pair for i, pair in enumerate(self.pairs) if i != but]
        turns = 2 if any(pair.keeps for pair in pairs) else 1
        left = turns
        while left:
            self.server.settle()
            heard = [pair.hear(self.choice) for pair in pairs]
            left = turns if any(heard) else left - 1

    def with_ids(self, pair: Pair, command: bytes) -> bytes:
        """Put an id in place of each mark: of the jobs held, then of all others."""
        held = [job._id for job in pair.ours.session.held.in_sequence()]
        jobs = held + [job_id for job_id in self.engine.jobs if job_id not in held]
        jobs = jobs or [next_id(self.engine)]
        return re.sub(
            rb"@(\d)", lambda mark: b"%d" % jobs[int(mark[1]) % len(jobs)], command
        )

    def is_excluded(self, pair: Pair, command: bytes) -> bool:
        """Tell whether EXCLUDED has it that this is not sent now."""
        others = [other for other in self.pairs if other is not pair]
        if pair.ours.waiting:
            if _PAUSES_FOR_NO_TIME.fullmatch(command):
                return True
            if any(other.keeps for other in others):
                return True
        if command.startswith(b"peek "):
            return any(each.ours.session.incoming for each in self.pairs)
        return command.startswith(b"put") and any(o.keeps_a(b"peek ") for o in others)

    # Time

    def get_apart(self, own: Pair | None = None) -> None:
        """Let time pass until what begins now will be due alone.

        All durations are whole seconds, so it is the fractions that are compared. One
        connection may have several that are alike, if it is the only one.
        """
        while not self.in_doubt and any(
            abs(distance) < _APART and (distance or pair is not own)
            for pair in self.pairs
            for moment in pair.moments()
            for distance in [(moment - self.now + SECOND // 2) % SECOND - SECOND // 2]
        ):
            self.move(self.now + _APART)

    def room_from(self, moment: int) -> int:
        """Return how long it is from a moment until something more is due."""
        due = [moment for pair in self.pairs for moment in pair.moments()]
        due += [
            round(job._due_at * SECOND)
            for job in self.engine.jobs.values()
            if job._state is JobState.DELAYED
        ]
        due += [round(t.paused_until * SECOND) for t in self.engine.tubes.values()]
        return min((each - moment for each in due if each > moment), default=SECOND)

    def move(self, target: int) -> None:
        """Let it be `target`, or a little after what is due before.

        Never beyond what is due next, and beside the fractions of all moments.
        """
        due = self.broker._monitor.next_due() * SECOND
        if due <= target:
            room = self.room_from(round(due))
            target = max(round(due) + min(_LATE, room // 2), self.now + 1)
            self.in_doubt |= room < _ROOM
        if self.in_doubt:
            return
        self.server.jump((target - self.now) / SECOND)
        self.hear()
        self.broker._monitor.look()
        self.compare()

    def reconnect(self, number: int) -> None:
        others = [pair for pair in self.pairs if pair is not self.pairs[number]]
        self.pairs[number].close(lambda: self.hear(but=number))
        self.listen(others)  # first: whoever has got its jobs goes on, and may count
        self.pairs[number] = Pair(self.broker, self.server)
        self.compare()

    def listen(self, pairs: list[Pair]) -> None:
        """Compare what these connections hear."""
        while any(pair.listen() for pair in pairs):
            pass  # what one does may wake another
        # Commands in one piece take the server a turn each.
        for _ in range(_TURNS):
            self.server.settle()
            if all(pair.is_complete(self.choice) for pair in pairs):
                break
        if self.choice.is_clear:
            for pair in pairs:
                pair.compare()

    def compare(self) -> None:
        """Compare all, and reconnect those that have to."""
        self.listen([*self.pairs, self.onlooker])
        self.in_doubt |= not self.choice.is_clear
        self.choice.forget()
        check(self.engine)
        moments = [moment for pair in self.pairs for moment in {*pair.moments()}]
        self.in_doubt |= len(moments) > len({*moments})
        for number, pair in enumerate(self.pairs):
            if pair.ours.closed or pair.forgetful:
                self.reconnect(number)


def soak(
    machine: type[RuleBasedStateMachine],
    minutes: float,
    now: Callable[[], float],
    progress: TextIO,
) -> int:
    """Run the machine, tell each difference and go on; return how many there were."""
    differences = 0
    for _ in rounds(minutes, now, progress):
        try:
            run_state_machine_as_test(
                machine,
                settings=settings(
                    max_examples=200,
                    stateful_step_count=30 if minutes else 20,
                    database=None,  # a soak is to find other things, too
                    report_multiple_bugs=False,
                ),
            )
        except Exception:  # noqa: BLE001 - whatever it is, it is told
            differences += 1
            progress.write(f"\n{traceback.format_exc()}")
    return differences


@pytest.mark.real
@pytest.mark.skipif(why_missing() is not None, reason=str(why_missing()))
def test_a_session_answers_as_beanstalkd_does(request: pytest.FixtureRequest) -> None:
    minutes = request.config.getoption("soak")
    ServerAgainstOurs.compared = 0
    differences = soak(ServerAgainstOurs, minutes, MonotonicClock.now, sys.stderr)
    sys.stderr.write(
        f"\n{ServerAgainstOurs.compared} commands compared, "
        f"{differences} differences found\n"
    )
    assert differences == 0
