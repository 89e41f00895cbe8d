"""Measure, and tell: see the package's head."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from . import (  # each of the scenarios_* adds its rows to the table
    curves,
    plots,
    report,
    scenarios_batches as _batches,  # noqa: F401 - as above
    scenarios_cycles as _cycles,  # noqa: F401 - as above
    scenarios_footprint as _footprint,  # noqa: F401 - as above
    scenarios_idioms as _idioms,  # noqa: F401 - as above
    scenarios_remote as _remote,  # noqa: F401 - as above
    scenarios_scale as _scale,  # noqa: F401 - as above
    scenarios_threads as _threads,  # noqa: F401 - as above
    scenarios_tubes as _tubes,  # noqa: F401 - as above
)
from .measuring import FULL, QUICK, SCENARIOS, measure, pairs_of

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Sequence

    from .measuring import Effort, Outcome, Scenario


def arguments(argv: Sequence[str] | None) -> Namespace:
    """Read the command line; an unknown NAME is refused with the list of names."""
    parser = ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="a scenario or group")
    parser.add_argument("--quick", action="store_true", help="a minute; small sizes")
    parser.add_argument("--json", type=Path, metavar="FILE", help="all figures")
    parser.add_argument("--plot", type=Path, metavar="DIR", help="charts as SVG")
    options = parser.parse_args(argv)
    groups = dict.fromkeys(scenario.group for scenario in SCENARIOS.values())
    known = {*SCENARIOS, *groups}
    for name in options.names:
        if name not in known:
            parser.error(
                f"there is no scenario {name!r}; there are {', '.join(SCENARIOS)}; "
                f"and the groups {', '.join(groups)}"
            )
    if options.plot is not None and find_spec("matplotlib") is None:
        parser.error("--plot needs matplotlib: pip install '.[bench]'")
    return options


def chosen(names: Sequence[str]) -> list[Scenario]:
    """Return the scenarios of these names and groups, all of them for none."""
    return [
        scenario
        for scenario in sorted(SCENARIOS.values(), key=lambda s: s.setup.__module__)
        if not names or scenario.name in names or scenario.group in names
    ]


def main(argv: Sequence[str] | None = None, effort: Effort | None = None) -> None:
    """Run what was asked for, and print the table, also of a run that is cut short."""
    options = arguments(argv)
    if effort is None:
        effort = QUICK if options.quick else FULL
    scenarios = chosen(options.names)
    charts = [] if options.plot is None else curves.charts()
    total = sum(pairs_of(scenario, effort) for scenario in scenarios)
    progress = report.Progress(total + sum(len(c.axis) for c in charts), sys.stderr)
    outcomes: list[Outcome] = []
    try:
        for scenario in scenarios:
            progress.begin(scenario.name)
            outcomes.append(measure(scenario, effort, progress.tick))
        for chart in charts:
            progress.begin(chart.name)
            chart.measure(effort, progress.tick)
    finally:
        progress.end()
        sys.stdout.write(report.heading(effort))
        sys.stdout.write(report.table(outcomes))
        if options.json is not None:
            figures = report.as_json(outcomes, charts, effort)
            options.json.write_text(json.dumps(figures, indent=1) + "\n", "utf-8")
    for chart in charts:
        sys.stdout.write(f"drawn: {plots.draw(chart, options.plot)}\n")


if __name__ == "__main__":
    main()
