"""The wall clock of a test, as time-machine or freezegun have it, moved along with a clock."""

from __future__ import annotations

import datetime as dt
from typing import Protocol

__all__ = ["Freezer", "Traveller", "Wall", "WallClock"]


class Traveller(Protocol):
    """What time-machine's ``travel`` returns, and its fixture for pytest."""

    def shift(self, delta: dt.timedelta, /) -> None:
        """Move the time."""


class Freezer(Protocol):
    """What freezegun's ``freeze_time`` returns, and the fixture of pytest-freezer."""

    def tick(self, delta: dt.timedelta, /) -> object:
        """Move the time."""


Wall = Traveller | Freezer


class WallClock:
    """The wall clock, which is moved in whole microseconds, and never by rounding errors.

    Raises:
        TypeError: That can be moved by neither ``shift`` nor ``tick``.
    """

    def __init__(self, wall: Wall) -> None:
        shift = getattr(wall, "shift", None) or getattr(wall, "tick", None)
        if not callable(shift):
            message = (
                "wall is what time_machine.travel or freezegun.freeze_time returns when "
                f"it is entered, not {wall!r}"
            )
            raise TypeError(message)
        self._shift = shift
        self._begun_at = self._now()  # all in microseconds
        self._moved = 0

    @staticmethod
    def _now() -> int:
        now = dt.datetime.now(dt.UTC)
        epoch = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
        return (now - epoch) // dt.timedelta(microseconds=1)

    @property
    def begun_at(self) -> float:
        """The wall's time in seconds when this was made."""
        return self._begun_at / 1_000_000

    def move_to(self, seconds: float) -> None:
        """Have it moved by so much since this was made."""
        delta = round(seconds * 1_000_000) - self._moved
        if delta:
            self._shift(dt.timedelta(microseconds=delta))
            self._moved += delta

    def take_lead(self) -> float:
        """Return by how many seconds it was moved otherwise, and count that as moved.

        Raises:
            ValueError: It was moved back.
        """
        lead = self._now() - self._begun_at - self._moved
        if lead < 0:
            message = f"the wall's time was moved back, by {-lead / 1_000_000:g} s"
            raise ValueError(message)
        self._moved += lead
        return lead / 1_000_000
