"""How a thread is seen to be blocked, and how it is told where it stands."""

from __future__ import annotations

import itertools
import sys
import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from inproc_tubes.testing.stillness import (
    Stillness,
    ThreadUser,
    _work_of,
    outwards,
    stand,
)
from tests.threads import LONG, start

if TYPE_CHECKING:
    from types import FrameType


def test_the_steps_in_which_nothing_changes_are_added_up() -> None:
    stillness = Stillness()
    seconds = []
    for moment, what in enumerate("aaabba"):
        stillness.see(what, moment, 10)
        seconds.append(stillness.seconds)
    assert [None, 1, 2, None, 1, None] == seconds


def test_a_long_pause_between_two_looks_counts_for_no_more_than_a_step() -> None:
    """The whole process may have been stopped."""
    stillness = Stillness()
    for moment in (0, 100, 200):
        stillness.see("a", moment, 0.5)
    assert 1 == stillness.seconds


def look(user: ThreadUser, frame: FrameType | None, times: int = 2) -> float | None:
    for moment in range(times):
        user.see(frame, test_the_caller_itself_runs.__code__, moment, 1)
    return user.stillness.seconds


def test_a_thread_that_nobody_can_look_at_is_believed_to_be_blocked() -> None:
    """A greenlet has a number of its own, and no frame that could be found."""
    assert 1 == look(ThreadUser(), None)


def test_the_caller_itself_runs() -> None:
    frame = sys._getframe()
    assert None is look(ThreadUser(), frame)
    del frame


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux is asked")
def test_a_thread_that_is_blocked_does_no_work_and_one_that_runs_does() -> None:
    begun, end = threading.Event(), threading.Event()
    numbers = []

    def block() -> None:
        numbers.append(threading.get_native_id())
        begun.set()
        assert end.wait(LONG)

    blocked = start(block)
    assert begun.wait(LONG)
    (number,) = numbers
    # It may be on its way to sleep.
    assert any(_work_of(number) == _work_of(number) for _ in itertools.count())
    end.set()
    blocked.result(LONG)
    own = threading.get_native_id()
    assert _work_of(own) != _work_of(own)


def test_a_thread_that_there_is_not_does_no_work() -> None:
    assert None is _work_of(2**30)


def test_where_nobody_stands_is_told_as_well() -> None:
    assert "nobody knows where" == stand(outwards(None))


def test_the_line_of_whoever_stands_there_is_told() -> None:
    frame = sys._getframe()
    told = stand(outwards(frame))  # here
    del frame
    assert told.startswith(f"at {__file__}:")
    assert told.endswith(
        " in test_the_line_of_whoever_stands_there_is_told "
        "(told = stand(outwards(frame))  # here)"
    )


def test_code_without_a_source_is_told_by_its_number() -> None:
    frames: dict[str, FrameType] = {}
    source = "import sys\ndef work():\n    return sys._getframe()\nframe = work()"
    exec(compile(source, "<made up>", "exec"), frames)  # noqa: S102 - our own
    assert "at <made up>:3 in work" == stand([frames["frame"]])


def test_a_library_that_calls_itself_has_no_line_of_the_program() -> None:
    frames: dict[str, FrameType] = {}
    source = "import sys\nframe = sys._getframe()"
    file = threading.__file__.replace("threading", "made_up")
    exec(compile(source, file, "exec"), frames)  # noqa: S102 - our own
    assert f"at {file}:2 in <module>" == stand([frames["frame"]])


def test_who_stands_in_no_line_stands_at_the_head_of_the_function() -> None:
    """So it is within what the compiler has added, as the end of an ``async with``."""
    code = compile("frame = 1", "<made up>", "exec")
    frame: Any = SimpleNamespace(f_code=code, f_globals={}, f_lineno=None)
    assert "at <made up>:1 in <module>" == stand([frame])
