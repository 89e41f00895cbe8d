"""Verbs, and the situations in which each of them is broken off.

A scenario prepares a world and returns the verb. It tells the world which jobs the verb
may put or delete; all others must stay.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from .world import World

Verb: TypeAlias = "Callable[[], object]"
Scenario: TypeAlias = "Callable[[World], Verb]"

_LISTED: list[Scenario] = []


def scenario(function: Scenario) -> Scenario:
    """List a scenario."""
    _LISTED.append(function)
    return function


def refused(error: type[Exception], verb: Verb) -> Verb:
    """Return a verb that is refused with that error."""

    def call() -> None:
        with pytest.raises(error):
            verb()

    return call


def all_scenarios() -> list[Scenario]:
    """Return those that were listed so far."""
    return list(_LISTED)
