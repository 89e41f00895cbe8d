"""What a run has to tell: a bar while it lasts, a table, and JSON."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from statistics import median
from typing import TYPE_CHECKING, Any, TextIO

from inproc_tubes import __version__, compiled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .curves import Chart
    from .measuring import Effort, Outcome

HEAD = (
    "scenario",
    "ours",
    "peer",
    "ratio",
    "min..max",
    "target",
    "met",
    "what",
    "against",
)
LEGEND = (
    "ratio: ours / peer where the target is <= or none, peer / ours where it is >=;\n"
    "the median of the pairs, measured in turns, and the extremes"
)
BAR = 30  # characters
LARGEST = 1_000_000  # that a scenario speaks of


class Progress:
    """A bar on one line that is written over and over."""

    def __init__(self, total: int, stream: TextIO) -> None:
        self._total = total
        self._done = 0
        self._stream = stream
        self._task = ""

    def begin(self, task: str) -> None:
        """Say what is going on now."""
        self._task = task
        self._draw()

    def tick(self, steps: int = 1) -> None:
        """Say that so much more is done."""
        self._done += steps
        self._draw()

    def end(self) -> None:
        """Leave the line."""
        self._stream.write("\n")

    def _draw(self) -> None:
        filled = BAR * self._done // max(1, self._total)
        bar = "#" * filled + "." * (BAR - filled)
        share = f"{self._done}/{self._total}"
        self._stream.write(f"\r[{bar}] {share:>9}  {self._task:<24}")
        self._stream.flush()


def figure(value: float | None, unit: str) -> str:
    """Write a figure with its unit, to three digits or so."""
    if value is None:
        return "-"
    if unit == "B":
        return f"{value:.0f} B"
    for scale, name in ((1, "s"), (1e3, "ms")):
        if value * scale >= 1:
            return f"{value * scale:.3g} {name}"
    return f"{value * 1e6:.3g} µs" if value * 1e6 < 1000 else f"{value * 1e3:.3g} ms"


def row(outcome: Outcome) -> tuple[str, ...]:
    """Write one row of the table."""
    scenario = outcome.scenario
    target = "-" if scenario.target is None else str(scenario.target)
    words = (scenario.what, scenario.peer)
    if outcome.skipped is not None:
        words = (scenario.what, f"skipped: {outcome.skipped}")
        return (scenario.name, "-", "-", "-", "-", target, "-", *words)
    met = {True: "yes", False: "NO", None: "-"}[outcome.met]
    ours = figure(outcome.ours, scenario.unit)
    if outcome.peer is None:
        ratios = ("-", "-")
    else:
        ratios = (
            f"{median(outcome.ratios):.2f}",
            f"{min(outcome.ratios):.2f}..{max(outcome.ratios):.2f}",
        )
    peer = figure(outcome.peer, scenario.unit)
    return (scenario.name, ours, peer, *ratios, target, met, *words)


def table(outcomes: Sequence[Outcome]) -> str:
    """Write the whole table, the legend and the notes."""
    rows = [HEAD, *map(row, outcomes)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for cells in rows:
        padded = [
            cell.rjust(width) if 1 <= place <= 4 else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        lines.append("  ".join(padded).rstrip())
    lines.insert(1, "  ".join("-" * width for width in widths))
    notes = [
        f"{outcome.scenario.name}: {note}"
        for outcome in outcomes
        for note in outcome.notes
    ]
    return "\n".join([*lines, "", LEGEND, *notes, ""])


def heading(effort: Effort) -> str:
    """Tell what was run, and on what."""
    here = machine()
    text = f"{here['python']}, {here['core']} core, {here['system']}, "
    text += f"{here['processor']}, "
    text += f"{here['cores']} cores; a {effort.name} run"
    if effort.largest < LARGEST:
        text += f": no backlog is larger than {effort.largest:,}"
    return text + "\n\n"


def machine() -> dict[str, Any]:
    """Tell where the figures are from."""
    return {
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "core": "compiled" if compiled else "pure",
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": os.cpu_count(),
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:  # noqa: PTH123 - a stream
            models = [line for line in lines if line.startswith("model name")]
    except OSError:
        models = []
    return models[0].partition(":")[2].strip() if models else platform.processor()


def as_json(
    outcomes: Sequence[Outcome], charts: Sequence[Chart], effort: Effort
) -> dict[str, Any]:
    """Put all figures into what `json` can write."""
    return {
        "inproc_tubes": __version__,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "effort": effort.name,
        "machine": machine(),
        "scenarios": [_scenario(outcome) for outcome in outcomes],
        "charts": [
            {"name": chart.name, "title": chart.title, "lines": chart.lines}
            for chart in charts
        ],
    }


def _scenario(outcome: Outcome) -> dict[str, Any]:
    scenario = outcome.scenario
    known: dict[str, Any] = {
        "name": scenario.name,
        "group": scenario.group,
        "what": scenario.what,
        "against": scenario.peer,
        "target": None if scenario.target is None else str(scenario.target),
        "unit": scenario.unit,
        "skipped": outcome.skipped,
        "notes": outcome.notes,
        "pairs": outcome.pairs,
    }
    if outcome.pairs:
        known |= {
            "ours": outcome.ours,
            "peer": outcome.peer,
            "ratio": None if outcome.peer is None else median(outcome.ratios),
            "met": outcome.met,
        }
    return known
