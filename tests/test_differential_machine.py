"""That the differential test can fail, and keeps to what it excludes."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
from hypothesis.stateful import RuleBasedStateMachine, rule

from inproc_tubes.protocol import ProtocolSession

from . import differential_pair
from .differential_choice import Choice
from .differential_pair import SECOND
from .real_server import why_missing
from .test_differential import ServerAgainstOurs, soak

if TYPE_CHECKING:
    from collections.abc import Iterator

    from inproc_tubes.core.session import Session

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(why_missing() is not None, reason=str(why_missing())),
]

PUT = b"put 0 0 3 1\r\na"


@pytest.fixture
def machine() -> Iterator[ServerAgainstOurs]:
    machine = ServerAgainstOurs()
    yield machine
    machine.teardown()


def say_all(machine: ServerAgainstOurs, number: int, *commands: bytes) -> None:
    for command in commands:
        machine.speak(number, command + b"\r\n")


# That it can fail, and what becomes of it then.


class Liar(ProtocolSession):
    def take(self) -> bytes:
        return super().take().replace(b"USING default", b"USING another tube")


def test_a_session_that_lies_is_found_out(
    machine: ServerAgainstOurs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(differential_pair, "ProtocolSession", Liar)
    machine.speak(0, b"list-tube-used\r\n")
    machine.reconnect(0)
    with pytest.raises(AssertionError, match="beanstalkd: b'USING default") as caught:
        machine.speak(0, b"list-tube-used\r\n")
    assert r"ours: b'USING another tube\r\n'" in str(caught.value)


def test_a_session_that_closes_for_no_reason_is_found_out(
    machine: ServerAgainstOurs,
) -> None:
    machine.pairs[2].ours.close()
    with pytest.raises(AssertionError, match=r"^one is closed, the other is not"):
        machine.compare()


def test_a_soak_tells_each_difference_and_goes_on() -> None:
    class Different(RuleBasedStateMachine):
        @rule()
        def differ(self) -> None:
            raise AssertionError("a difference")  # noqa: EM101, TRY003 - short

    progress = io.StringIO()
    times = iter([0.0, 30.0, 60.0])
    assert soak(Different, 1, lambda: next(times), progress) == 2
    assert progress.getvalue().count("AssertionError: a difference") == 2


# What it does where EXCLUDED has something to say.


def test_what_begins_has_a_fraction_of_a_second_of_its_own(
    machine: ServerAgainstOurs,
) -> None:
    say_all(machine, 0, PUT, PUT, PUT, b"reserve", b"reserve")
    say_all(machine, 1, b"reserve")
    first, second, *_ = machine.pairs
    assert len({*first.moments()}) == 2  # at the same instant, twice
    assert not {m % SECOND for m in first.moments()} & {
        m % SECOND for m in second.moments()
    }


def test_servers_with_two_connections_due_together_are_replaced(
    machine: ServerAgainstOurs,
) -> None:
    say_all(machine, 0, b"watch t", b"use t", PUT, b"use default", PUT)
    say_all(machine, 0, b"reserve", b"reserve")
    say_all(machine, 1, b"reserve")
    say_all(machine, 2, b"watch t", b"ignore default", b"reserve")
    before = machine.server
    machine.start_anew()
    assert machine.server is before
    machine.hang_up(0, half=False)  # and the jobs go to both at once
    say_all(machine, 1, b"reserve")
    now = machine.now
    machine.let_time_pass(0, [], 60, 1)
    assert machine.now == now  # nothing more is said, and no time passes
    machine.start_anew()
    assert machine.server is not before
    assert not machine.in_doubt


def test_a_connection_that_the_server_may_forget_reconnects(
    machine: ServerAgainstOurs,
) -> None:
    for pair, command in (
        (machine.pairs[0], b"reserve"),
        (machine.pairs[1], b"reserve-with-timeout 9"),
    ):
        number = machine.pairs.index(pair)
        say_all(machine, number, PUT, b"reserve", command)
        machine.let_time_pass(number, [], 60, 1)
        assert (pair in machine.pairs) == (command == b"reserve")
        say_all(machine, number, b"delete @0")


def test_a_pause_for_no_time_is_not_sent_by_a_connection_that_time_has_cost(
    machine: ServerAgainstOurs,
) -> None:
    pair = machine.pairs[0]
    pair.forgetful = True
    say_all(machine, 0, b"pause-tube default 0")
    assert pair not in machine.pairs
    assert machine.engine.counts.pause_tube == 0
    say_all(machine, 0, b"pause-tube default 0")
    assert machine.engine.counts.pause_tube == 1


def test_a_connection_that_gets_jobs_goes_on_before_the_next_one_is_opened(
    machine: ServerAgainstOurs,
) -> None:
    say_all(machine, 0, PUT, b"reserve")
    say_all(machine, 1, b"reserve", *5 * [b"use t"], b"stats")
    machine.hang_up(0, half=False)
    assert machine.pairs[1].ours.session.held


def test_the_clock_lands_between_two_moments(machine: ServerAgainstOurs) -> None:
    say_all(machine, 0, PUT, b"reserve")
    due = max(machine.pairs[0].moments())
    job = machine.broker.producer().put(b"a", delay=3 + 10 / SECOND)
    assert machine.room_from(due) == 10
    machine.move(due + 1000)
    assert machine.now == due + 5
    machine.broker.delete(job)


def test_servers_where_two_moments_leave_no_room_are_replaced(
    machine: ServerAgainstOurs,
) -> None:
    say_all(machine, 0, PUT, b"reserve")
    due = max(machine.pairs[0].moments())
    machine.broker.producer().put(b"a", delay=3 + 3 / SECOND)
    machine.move(due)
    assert machine.in_doubt
    machine.start_anew()
    machine.move(machine.now + 1)


def test_the_clock_lands_beside_the_end_of_a_ttr(machine: ServerAgainstOurs) -> None:
    say_all(machine, 0, PUT, b"reserve")
    due = max(machine.pairs[0].moments())
    machine.move(due)
    assert machine.now == due + 20
    assert not machine.pairs[0].ours.session.held


def test_whom_the_server_serves_of_several_is_taken_over(
    machine: ServerAgainstOurs,
) -> None:
    """It goes on in its multiset, where the first one has come back as the last."""
    for number in (0, 1):
        say_all(machine, number, b"reserve")
    for job_id in (1, 2):
        say_all(machine, 3, PUT)
        assert machine.pairs[0].ours.session.held.get(job_id)
        say_all(machine, 0, b"delete %d" % job_id, b"reserve")
    say_all(machine, 3, PUT)
    assert machine.pairs[1].ours.session.held.get(3)


def test_one_that_the_server_could_not_have_served_is_found_out(
    machine: ServerAgainstOurs, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (0, 1):
        say_all(machine, number, b"reserve")
    elsewhere = machine.pairs[2].ours.session
    hear = Choice.hear

    def mishear(self: Choice, session: Session, reply: bytes) -> None:
        hear(self, elsewhere if reply.startswith(b"RESERVED") else session, reply)

    monkeypatch.setattr(Choice, "hear", mishear)
    say_all(machine, 3, PUT)
    say_all(machine, 0, b"delete 1", b"reserve")
    with pytest.raises(AssertionError, match="beanstalkd: b'RESERVED"):
        machine.speak(3, PUT + b"\r\n")


def test_where_the_order_of_two_choices_is_unknown_the_servers_are_replaced(
    machine: ServerAgainstOurs,
) -> None:
    for number in (0, 1):
        say_all(machine, number, b"reserve")
        machine.choice.hear(machine.pairs[number].ours.session, b"RESERVED 1 1\r\n")
    machine.speak(3, PUT + b"\r\n")
    assert machine.in_doubt


@pytest.mark.parametrize(
    "command",
    [b"watch t", b"ignore default", b"pause-tube default 1", b"peek 1", b"quit"],
)
def test_commands_behind_a_reserve_are_carried_out_when_it_is_answered(
    machine: ServerAgainstOurs, command: bytes
) -> None:
    say_all(machine, 2, PUT, PUT, b"reserve", b"reserve", b"bury 1 0", b"bury 2 0")
    for number in (0, 1):
        say_all(machine, number, b"reserve")
    say_all(machine, 0, command, b"list-tubes-watched")
    assert machine.pairs[0].keeps
    say_all(machine, 2, b"kick 2")
    assert not machine.pairs[0].keeps


EXCLUDED_WHEN = {
    "a pause for no time behind a reserve that waits": (
        (b"reserve",),
        (),
        b"pause-tube default 0",
    ),
    "behind a second one": ((b"reserve",), (b"reserve", b"use t"), b"use t"),
    "peek during a put": ((), (b"put 0 0 3 9",), b"peek @0"),
    "put before a peek": ((), (b"reserve", b"peek @0"), b"put 0 0 3 1\r\na"),
}


@pytest.mark.parametrize("when", EXCLUDED_WHEN)
def test_what_is_excluded_is_not_sent(machine: ServerAgainstOurs, when: str) -> None:
    first, second, command = EXCLUDED_WHEN[when]
    say_all(machine, 0, *first)
    say_all(machine, 1, *second)
    before = machine.commands
    say_all(machine, 0, command)
    assert machine.commands == before
    say_all(machine, 0, b"list-tubes")
    assert machine.commands == before + (when != "behind a second one")
