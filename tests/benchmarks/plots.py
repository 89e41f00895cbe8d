"""Charts as SVG: the same figures give the same file, byte for byte."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from .curves import Chart

SETTINGS = {
    "svg.hashsalt": "inproc_tubes",  # ids that do not change from run to run
    "svg.fonttype": "none",  # text stays text
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
}


def draw(chart: Chart, folder: Path) -> Path:
    """Write one chart into the folder, and return the file."""
    import matplotlib as mpl  # noqa: PLC0415 - it may not be installed
    from matplotlib.figure import Figure  # noqa: PLC0415 - as above

    with mpl.rc_context(SETTINGS):
        figure = Figure(figsize=(6, 3.6), layout="constrained")
        axes = figure.subplots()
        for marker, (name, points) in zip("osD^", chart.lines.items(), strict=False):
            axes.plot(*zip(*points, strict=True), marker=marker, label=name)
        axes.set_xscale("log", base=chart.base)
        axes.set_ylim(bottom=0)
        axes.set(title=chart.title, xlabel=chart.x, ylabel=chart.y)
        axes.legend()
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"{chart.name}.svg"
        figure.savefig(file, metadata={"Date": None})
    return file
