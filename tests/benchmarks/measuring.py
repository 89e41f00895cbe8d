"""Scenarios, and how they are measured: in pairs, ours and the peer's in turns.

What is said of the garbage collector: it stays enabled, as it is in a user's program.
After the set-up of a scenario it collects everything; before each measurement the
young generations only, since going through a backlog of a million jobs each time
would take longer than what is measured.
"""

from __future__ import annotations

import gc
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from random import Random
from shutil import which
from statistics import median
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


FEW = 3
"""A scenario of so few pairs makes its backlog anew each time, and is warm by then."""

BODY = "body"
"""What every job carries; shared, so that it costs nothing."""


@dataclass(frozen=True)
class Effort:
    """How much trouble is taken.

    Attributes:
        name: What to call it.
        largest: No backlog is larger than this, and not more threads wait.
        share: The part of the operations that is carried out.
        most_pairs: No scenario has more pairs than this.
        warms_up: Whether a pair is thrown away first.
    """

    name: str
    largest: int
    share: float
    most_pairs: int
    warms_up: bool = True

    def size(self, full: int) -> int:
        """Return how large a backlog is made for one that should be ``full``."""
        return min(full, self.largest)

    def count(self, full: int) -> int:
        """Return how many operations are measured for ``full`` of them."""
        return max(2, int(full * self.share))


FULL = Effort("full", largest=1_000_000, share=1, most_pairs=99)
QUICK = Effort("quick", largest=50_000, share=0.1, most_pairs=3)
# To see that a scenario runs at all.
TINY = Effort("tiny", largest=10, share=0, most_pairs=1, warms_up=False)


@dataclass(frozen=True)
class Target:
    """What the median ratio should be.

    Attributes:
        sense: "<=": the ratio is ours / peer's. ">=": it is peer's / ours, that is,
            so many times faster.
        bound: The ratio; without a peer, our figure itself.
    """

    sense: Literal["<=", ">="]
    bound: float

    def ratio(self, ours: float, peer: float) -> float:
        """Return the ratio of a pair."""
        return ours / peer if self.sense == "<=" else peer / ours

    def met_by(self, value: float) -> bool:
        """Tell whether this is as good as it should be."""
        return value <= self.bound if self.sense == "<=" else value >= self.bound

    def __str__(self) -> str:
        return f"{self.sense} {self.bound:g}"


def at_most(bound: float) -> Target:
    """Ours may take so many times as long as the peer."""
    return Target("<=", bound)


def faster(times: float) -> Target:
    """The peer must take so many times as long as ours."""
    return Target(">=", times)


@dataclass(frozen=True)
class Sides:
    """What is measured: each call returns seconds (or bytes) for one operation."""

    ours: Callable[[], float]
    peer: Callable[[], float] | None = None
    notes: Callable[[Outcome], list[str]] = lambda _: []
    """Called at the end, with the pairs: what else there is to tell."""


@dataclass(frozen=True)
class Scenario:
    """One row of the table.

    Attributes:
        name: What to ask for it by; its group's name asks for the whole group.
        what: The operation that is measured, in words.
        peer: What it is measured against, in words.
        target: What the ratio should be, None for orientation.
        needs: What it cannot do without: modules, programs with a "!" before the name,
            and functions that not every system has, as "module:name".
        pairs: How many.
        unit: Of the figures, "s" or "B".
    """

    name: str
    group: str
    what: str
    peer: str
    target: Target | None
    setup: Callable[[Effort], Iterator[Sides]]
    needs: tuple[str, ...] = ()
    pairs: int = 9
    unit: str = "s"

    def missing(self) -> str | None:
        """Tell why it cannot be run here, or None if it can."""
        for need in self.needs:
            if need.startswith("!"):
                if which(need[1:]) is None:
                    return f"there is no {need[1:]} on the PATH"
            elif ":" in need:
                module, _, function = need.partition(":")
                if not hasattr(import_module(module), function):
                    return f"this system has no {module}.{function}"
            elif find_spec(need) is None:
                return f"{need} is not installed: pip install '.[bench]'"
        return None


@dataclass
class Outcome:
    """What came of a scenario: its pairs, or why it was skipped."""

    scenario: Scenario
    pairs: list[tuple[float, float | None]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    skipped: str | None = None

    @property
    def ours(self) -> float:
        """Our median figure."""
        return median(ours for ours, _ in self.pairs)

    @property
    def peer(self) -> float | None:
        """The peer's median figure, None without a peer."""
        figures = [peer for _, peer in self.pairs if peer is not None]
        return median(figures) if figures else None

    @property
    def ratios(self) -> list[float]:
        """The ratio of each pair; without a peer, our figures."""
        target = self.scenario.target or at_most(1)
        return [
            ours if peer is None else target.ratio(ours, peer)
            for ours, peer in self.pairs
        ]

    @property
    def met(self) -> bool | None:
        """Whether the target is met, None if there is none, or nothing was run."""
        if self.scenario.target is None or not self.pairs:
            return None
        return self.scenario.target.met_by(median(self.ratios))


SCENARIOS: dict[str, Scenario] = {}
"""All of them by name, in the order of their modules."""


def scenario(
    name: str,
    what: str,
    peer: str,
    target: Target | None = None,
    *,
    group: str,
    needs: tuple[str, ...] = (),
    pairs: int = 9,
    unit: str = "s",
) -> Callable[
    [Callable[[Effort], Iterator[Sides]]], Callable[[Effort], Iterator[Sides]]
]:
    """Add a row to the table: see `Scenario` for the arguments."""

    def add(
        setup: Callable[[Effort], Iterator[Sides]],
    ) -> Callable[[Effort], Iterator[Sides]]:
        assert name not in SCENARIOS, name
        SCENARIOS[name] = Scenario(
            name, group, what, peer, target, setup, needs, pairs, unit
        )
        return setup

    return add


def pairs_of(scenario: Scenario, effort: Effort) -> int:
    """Return how many pairs are measured."""
    return min(scenario.pairs, effort.most_pairs)


def measure(
    scenario: Scenario, effort: Effort, tick: Callable[[], None] = lambda: None
) -> Outcome:
    """Measure all pairs of a scenario, calling ``tick`` after each."""
    outcome = Outcome(scenario, skipped=scenario.missing())
    if outcome.skipped is not None:
        return outcome
    with contextmanager(scenario.setup)(effort) as sides:
        gc.collect()
        # The interpreter specialises what runs often, and caches fill.
        if effort.warms_up and scenario.pairs > FEW:
            _pair(sides)
        for _ in range(pairs_of(scenario, effort)):
            outcome.pairs.append(_pair(sides))
            tick()
        outcome.notes += sides.notes(outcome)
    gc.collect()
    return outcome


def _pair(sides: Sides) -> tuple[float, float | None]:
    gc.collect(1)
    ours = sides.ours()
    if sides.peer is None:
        return ours, None
    gc.collect(1)
    return ours, sides.peer()


def dice() -> Random:
    """Return chance that is the same in every run."""
    return Random(20_241_124)  # noqa: S311 - nothing to guess here
