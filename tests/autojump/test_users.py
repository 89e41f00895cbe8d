"""When everybody who uses a clock is seen to wait."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from inproc_tubes.testing import FakeClock, wait_until_waiting
from inproc_tubes.testing.loops import LoopUser
from inproc_tubes.testing.stillness import ThreadUser
from inproc_tubes.testing.users import State, Users

if TYPE_CHECKING:
    from collections.abc import Iterator


class Looks:
    """Two event loops that run, each in its thread, and when they were seen idle."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock = FakeClock()
        self.loops = [asyncio.new_event_loop() for _ in range(2)]
        self.idle = [LoopUser(self.clock, loop) for loop in self.loops]
        self.users = Users(1, wait_until_waiting.__code__)
        self._threads = [ThreadUser() for _ in self.idle]
        self.users._threads.update(enumerate(self._threads))
        running = dict(zip(self._threads, self.idle, strict=True))
        monkeypatch.setattr(self.users, "running", lambda: running)

    def look(self, *idle: tuple[int, int]) -> State:
        """Look at both, which were idle from the one stamp to the other."""
        for user, (since, until) in zip(self.idle, idle, strict=True):
            user.idle_since, user.idle_until = since, until
        return self.users.look(5)


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Iterator[Looks]:
    looks = Looks(monkeypatch)
    yield looks
    for loop in looks.loops:
        loop.close()


def test_loops_that_were_idle_at_the_same_time_wait(looks: Looks) -> None:
    assert State.WAITING == looks.look((3, 5), (4, 6))
    assert State.WAITING == looks.look((3, 4), (4, 4))
    assert [False, False] == [user.is_asked for user in looks.idle]


def test_loops_that_were_idle_one_after_the_other_may_have_sent_each_other_something(
    looks: Looks,
) -> None:
    assert State.UNSEEN == looks.look((3, 4), (5, 6))
    assert [True, False] == [user.is_asked for user in looks.idle]
    assert State.UNSEEN == looks.look((3, 4), (5, 6))  # it was asked, and will look
    assert State.WAITING == looks.look((3, 5), (5, 6))


def test_a_loop_that_was_seen_idle_but_once_was_idle_for_no_time(looks: Looks) -> None:
    assert State.UNSEEN == looks.look((4, 3), (2, 5))
    assert [True, False] == [user.is_asked for user in looks.idle]


def test_what_a_loop_was_before_the_last_that_anybody_did_tells_nothing(
    looks: Looks,
) -> None:
    looks.users.changed_at = 3
    assert State.UNSEEN == looks.look((3, 6), (4, 6))
    assert [True, False] == [user.is_asked for user in looks.idle]
