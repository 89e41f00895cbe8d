"""How the reprs count: for a person at a prompt."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["counted", "counts", "waiting"]


def counted(count: int, noun: str) -> str:
    """Return "no jobs", "1 job" or "2 jobs"."""
    return f"{count or 'no'} {noun}{'s' * (count != 1)}"


def counts(numbers: Iterable[tuple[int, str]]) -> str:
    """Return "1 ready, 2 buried": what there is, without what there is not."""
    return ", ".join(f"{number} {word}" for number, word in numbers if number > 0)


def waiting(numbers: Iterable[tuple[int, str]]) -> str:
    """Return "1 reserve waits, 2 puts wait", without what does not."""
    return ", ".join(
        f"{counted(number, verb)} {'waits' if number == 1 else 'wait'}"
        for number, verb in numbers
        if number
    )
