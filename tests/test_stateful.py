"""The engine against a naive model of it, by random verbs with small numbers."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING, TextIO

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from inproc_tubes import MonotonicClock, NotFoundError, NotFoundReason
from inproc_tubes.core.failure import Failure
from tests.interpreted import interpreted
from tests.model_breaking import VERBS, Attempt, BreakingMachine
from tests.model_machine import EngineAgainstModel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.model_comparison import Handle


def rounds(
    minutes: float, now: Callable[[], float], progress: TextIO
) -> Iterator[None]:
    """Yield once, and again until so many minutes have passed."""
    start = now()
    number = 1
    yield
    while (spent := (now() - start) / 60) < minutes:
        bar = "#" * int(20 * spent / minutes)
        times = f"{spent:.1f} of {minutes:g} minutes"
        progress.write(f"\r[{bar:20}] {number} rounds, {times}")
        progress.flush()
        number += 1
        yield


def test_the_engine_does_what_a_naive_model_does_broken_off_or_not(
    request: pytest.FixtureRequest,
) -> None:
    minutes = request.config.getoption("soak")
    for _ in rounds(minutes, MonotonicClock.now, sys.stderr):
        run_state_machine_as_test(
            EngineAgainstModel,
            settings=settings(max_examples=150, stateful_step_count=40),
        )
        run_state_machine_as_test(
            BreakingMachine,
            settings=settings(max_examples=50, stateful_step_count=40),
        )


def check(machine: EngineAgainstModel) -> None:
    """Check what hypothesis checks after every rule."""
    machine.every_request_is_answered_once()
    machine.the_engine_shows_what_the_model_shows()
    machine.a_handle_is_valid_until_the_job_is_reserved_again()
    machine.a_reserve_was_given_what_it_holds()


def test_what_chance_seldom_comes_to_is_done_alike_too() -> None:
    machine = EngineAgainstModel()
    machine.begin([("t1", 2)], [("default", 0, 3)], [(0, 0, True)])
    machine.reserve(0, None, warned=False)
    machine.put(1, "default", 0, 0, 3, None)
    check(machine)
    # After it was given its job.
    machine.withdraw_reserve(0, late=True)
    check(machine)
    for name in ("t1", "t1"):
        machine.put(0, name, 0, 0, 3, 0)
    machine.put_into_a_full_tube(0, 0, 2, 3, None)
    machine.put_into_a_full_tube(1, 0, 1, 3, 2)
    check(machine)
    # The batch will never fit.
    machine.limit_a_full_tube(0, 1)
    check(machine)
    machine.clear_tube("t1", ["ready"])
    check(machine)
    # With its job in, and again with another that somebody has reserved.
    machine.withdraw_put(0)
    check(machine)
    machine.put(0, "t1", 0, 0, 3, None)
    machine.put_into_a_full_tube(0, 0, 1, 3, None)
    machine.clear_tube("t1", ["ready"])
    machine.reserve_many(1, 4, None)
    machine.withdraw_put(0)
    check(machine)
    machine.join(None, 3)
    machine.join(["t2"], None)
    check(machine)
    machine.put(0, "t2", 0, 0, 3, None)
    machine.join(["t2"], None)
    machine.clear_tube("t2", ["ready"])
    check(machine)
    machine.withdraw_join(0)
    machine.advance(3)
    check(machine)


def test_keys_of_puts_that_wait_are_alike_too() -> None:
    machine = EngineAgainstModel()
    machine.begin([("t1", 2)], [], [])
    machine.put_unique(0, "t1", ["a", "b"], "raise", 0, None)
    for mode in ("raise", "keep", "replace", "raise"):
        machine.put_unique_into_a_full_tube(0, 0, ["c"], mode, None)
    machine.put_unique_into_a_full_tube(0, 0, ["a", None], "replace", None)
    machine.reserve_job(0, 0)
    check(machine)
    machine.limit_a_full_tube(0, 3)
    check(machine)
    # Some are answered by the job of another, and take back nothing.
    for back in range(5):
        machine.withdraw_put(back)
        check(machine)
    machine.limit_tube("t1", 0)
    check(machine)
    machine.put_unique_by_a_finaliser(0, "t1", ["a", "x"], "raise")
    machine.put_unique_by_a_finaliser(0, "t1", ["b", "x"], "keep")
    machine.look_at_a_tube("t1", "ready")
    machine.drain(27)
    machine.put_unique(0, "t1", ["y"], "raise", 0, None)
    machine.put_unique_by_a_finaliser(0, "t1", ["y"], "raise")
    check(machine)


def test_connections_and_draining_are_done_alike_too() -> None:
    machine = EngineAgainstModel()
    machine.begin([], [], [])
    # As a shell deletes the jobs of its own session.
    machine.put(0, "default", 0, 0, 3, None)
    machine.reserve(0, 0, warned=True)
    machine.delete(0, 1, 0, quick=True)
    check(machine)
    # With its body still to come.
    machine.begin_put(0, 0, 0, 3)
    machine.use(0, "t2")
    machine.abandon(0)
    machine.begin_put(0, 0, 0, 3)
    check(machine)
    machine.drain(27)
    check(machine)
    machine.put_by_a_finaliser(0, None, 1, 0, 0)
    machine.begin_put(1, 0, 0, 3)
    machine.finish_put(0)
    machine.abandon(0)
    check(machine)


def test_holders_that_fail_or_are_dropped_are_alike_too() -> None:
    machine = EngineAgainstModel()
    machine.begin([], [("default", 0, 3)] * 3, [])
    machine.reserve_many(0, 3, 0)
    check(machine)
    # By its block, while it is held.
    machine.leave_a_block(0, 0, Failure("ValueError", "text", "traceback"))
    assert machine.model.jobs[3].state == "buried"
    check(machine)
    # It is forgotten with the last of its two jobs.
    machine.abandon(0)
    for is_known in (True, False):
        machine.delete(0, 1, None, quick=True)
        assert (1 in machine.model.sessions) == is_known
        check(machine)
    machine.put(1, "default", 0, 0, 3, None)
    machine.join(None, None)
    machine.stop(27)
    machine.open_session("t2", ["t2"], stops=True)
    assert machine.model.sessions[machine.model.numbers].stopped
    check(machine)


def test_a_put_that_replaces_a_job_that_is_due_is_alike_too() -> None:
    machine = EngineAgainstModel()
    machine.begin([("t1", 2)], [], [])
    machine.put_unique(0, "t1", [None], "raise", 0, None, 2)
    machine.put_unique(0, "t1", ["a"], "raise", 0, None, 2)
    machine.put_unique(0, "t1", ["a", "b"], "replace", 0, None)
    machine.advance(2)
    check(machine)
    machine.begin_put(1, 0, 0, 3)
    machine.use(2, "t1")
    machine.begin_put(2, 0, 0, 3)
    for session in (0, 0):
        machine.finish_put(session)
    check(machine)


def test_blocks_that_are_cancelled_and_old_handles_are_alike_too() -> None:
    machine = EngineAgainstModel()
    machine.begin([], [("default", 0, 3)], [])
    for _ in range(2):
        machine.reserve(0, 0, warned=True)
        check(machine)
        machine.leave_a_block(0, 0, "cancel")
        assert machine.model.jobs[1].state == "ready"
        check(machine)
    # By the handle of the first reservation.
    machine.touch(0, 0, 1)
    check(machine)
    machine.reserve(0, 0, warned=True)
    check(machine)
    last = machine.handles[-1]
    machine.cancel_job(0, 0, None)
    machine.verb("touch", 1, last, session=1)
    check(machine)


def test_moves_are_alike_too() -> None:
    machine = EngineAgainstModel()
    machine.begin([("t2", 1)], [("default", 0, 3), ("default", 0, 3)], [])
    machine.put_unique(0, "t1", ["a"], "raise", 0, None)
    machine.put_unique(0, "default", ["a"], "raise", 2, None)
    names = ("t2", "t1", "t1", "t2")  # full, with its key, and at last with both
    for job, name in enumerate(names):
        machine.move_job(0, job, None, name)
        check(machine)
    machine.reserve(0, 0, warned=True)
    check(machine)
    for name in ("t2", "t1"):
        machine.release_to(0, 1, None, name, None)
        check(machine)
    for job in range(4):
        machine.reserve_job(0, 2 * job)
        machine.bury(0, 1, None, None, None)
        machine.move_job(0, job, None, "t1")
        machine.update(0, job, None, 1023, 1)
        check(machine)
    machine.reserve_many(1, 2, None)
    for job in range(4):
        machine.move_job(0, job, None, "default")
        machine.update(0, job, None, 0, 0)
        check(machine)
    machine.advance(3)
    check(machine)


def test_what_waits_while_all_is_stopped_is_alike_too() -> None:
    machine = EngineAgainstModel()
    machine.begin([("t1", 1)], [("t1", 0, 3)], [])
    machine.reserve(0, None, warned=True)
    machine.stop(27)
    check(machine)
    machine.put_into_a_full_tube(0, 0, 1, 3, None)
    machine.join(["t1"], None)
    check(machine)


def why(machine: EngineAgainstModel, job_id: int, fence: Handle | None) -> object:
    """Return why the first session may not touch a job, on both sides."""
    error, args = machine.verb("touch", job_id, fence, session=1)
    assert error is NotFoundError
    return args[3]


def test_every_reason_is_alike() -> None:
    machine = EngineAgainstModel()
    machine.begin([], [("default", 0, 3)] * 4, [])
    machine.look_at_a_job(0, 0, None)
    (look,) = machine.looks
    assert why(machine, 1, look) is NotFoundReason.ONLY_PEEKED
    machine.reserve(0, 0, warned=True)
    check(machine)
    machine.verb("release", 1, None, None, 0, session=1)
    assert why(machine, 1, look) is NotFoundReason.RESERVED_SINCE
    assert why(machine, 1, None) is NotFoundReason.WRONG_STATE
    machine.reserve(1, 0, warned=True)
    check(machine)
    assert why(machine, 1, None) is NotFoundReason.HELD
    held = machine.handles[-1]
    assert why(machine, 1, machine.fence(2, 2)) is NotFoundReason.FOREIGN
    for _ in range(4):
        machine.cancel_job(0, 0, None)
        check(machine)
    assert why(machine, 4, None) is NotFoundReason.CANCELLED
    assert why(machine, 1, held) is NotFoundReason.CANCELLED
    assert why(machine, 1, None) is NotFoundReason.GONE
    assert why(machine, 5, None) is NotFoundReason.NEVER_PUT
    machine.put(0, "default", 0, 0, 3, None)
    machine.delete(0, 0, None, quick=False)
    assert why(machine, 5, None) is NotFoundReason.DELETED


def test_an_expiry_is_alike_also_after_a_verb_was_broken_off() -> None:
    machine = BreakingMachine()
    machine.begin([], [("default", 0, 3), ("t2", 0, 3)], [])
    machine.reserve(0, 0, warned=True)
    machine.reserve_job(1, 2)
    machine.advance(3)
    for _ in range(2):
        assert why(machine, 1, None) is NotFoundReason.EXPIRED
        machine.break_off([Attempt("pause_tube", 0, 0, "t2", 1, 0, 5)])
        check(machine)
    # Whose session is gone by now.
    machine.close_session(0)
    machine.break_off([Attempt("pause_tube", 0, 0, "t2", 1, 0, 5)])
    assert machine.verb("touch", 1, None, session=2)[1][3] is NotFoundReason.WRONG_STATE


def filled() -> BreakingMachine:
    """Return a machine in which every verb has something to do."""
    machine = BreakingMachine()
    ready = [("default", 0, 3), ("t2", 0, 3), ("t2", 1, 3)]
    machine.begin([("t1", 2)], ready, [])
    machine.put_many(1, "t1", 2, 0, 0, 3, 0)
    machine.reserve(0, 0, warned=True)
    machine.put(0, "default", 0, 2, 3, None, submits=True)
    machine.put(0, "t2", 0, 0, 3, None, submits=True)
    machine.put_many(1, "t1", 2, 0, 0, 3, None)
    machine.put(0, "t1", 0, 0, 3, 3)
    machine.reserve(0, 3, warned=True)
    machine.reserve_job(1, 4)
    machine.join(["t1"], None)
    machine.begin_put(2, 0, 0, 3)
    machine.open_session("t2", ["t2"], stops=True)
    machine.reserve_many(3, 1, 0)
    machine.a_handle_is_valid_until_the_job_is_reserved_again()
    return machine


@interpreted
@pytest.mark.parametrize("verb", sorted(VERBS))
def test_every_verb_may_be_broken_off_at_any_bytecode(verb: str) -> None:
    broken = 0
    for at in (8, 16, 64, 10**6):  # `drain` and `stop` take multiples of 8 only
        for session, job, name in (
            (0, 1, "default"),
            (1, 2, "t1"),
            (2, 3, "t2"),
            (3, 0, "t2"),
        ):
            machine = filled()
            machine.break_off([Attempt(verb, session, job, name, 1, 0, at)])
            machine.come_late(3)
            machine.the_engine_shows_what_the_model_shows()
            broken += machine.broken[verb]
    assert broken


def test_where_no_request_waits_none_is_withdrawn() -> None:
    machine = BreakingMachine()
    machine.begin([], [("default", 0, 3)], [])
    machine.break_off([Attempt("withdraw", 0, 0, "default", 0, 0, 9)])
    assert not machine.broken


@interpreted
def test_a_session_that_was_abandoned_calls_the_verbs_of_its_jobs_alone() -> None:
    machine = filled()
    machine.abandon(3)
    (abandoned,) = machine.sessions.keys() - {*machine.open}
    chosen = [job for job in range(12) if machine.pair(0, job)[0] == abandoned]
    assert chosen
    for job in chosen:
        for verb in ("touch", "put"):
            machine.break_off([Attempt(verb, 0, job, "t2", 0, 0, 9)])
        machine.reserve_job(0, job)
    assert machine.broken["put"] == len(chosen)


def test_what_no_shell_does_is_left_out() -> None:
    machine = BreakingMachine()
    machine.begin([], [("default", 0, 3)], [])
    machine.break_off([Attempt("finish_put", 0, 0, "default", 0, 0, 8)])
    machine.begin_put(0, 0, 0, 3)
    for _ in range(2):
        machine.close_session(1)
        machine.time_out(0, 0)
    machine.stop_session(0, 3)
    machine.break_off([Attempt("wait_to_reserve", 0, 0, "default", 0, 0, 8)])
    never = [("begin_put", 8), ("drain", 9), ("abandon", 8), ("close_session", 8)]
    for verb, at in never:
        machine.break_off([Attempt(verb, 0, 0, "default", 0, 0, at)])
    assert not machine.broken


def test_without_soaking_there_is_one_round() -> None:
    progress = io.StringIO()
    assert len(list(rounds(0, lambda: 0.0, progress))) == 1
    assert progress.getvalue() == ""


def test_soaking_goes_on_until_the_minutes_are_over_and_tells_how_far_it_is() -> None:
    times = iter([0.0, 30.0, 60.0, 90.0])
    progress = io.StringIO()
    assert len(list(rounds(1.5, lambda: next(times), progress))) == 3
    assert progress.getvalue() == (
        "\r[######              ] 1 rounds, 0.5 of 1.5 minutes"
        "\r[#############       ] 2 rounds, 1.0 of 1.5 minutes"
    )
