"""The benchmarks measure what they say they do; how fast anything is, is not asked."""

from __future__ import annotations

import json
import os
from importlib.util import find_spec
from io import StringIO
from typing import TYPE_CHECKING, Any

import pytest

from tests.benchmarks import __main__ as benchmarks, cycles, plots, report, threads
from tests.benchmarks.curves import Chart, charts
from tests.benchmarks.measuring import (
    SCENARIOS,
    TINY,
    Effort,
    Outcome,
    Scenario,
    Sides,
    Target,
    at_most,
    faster,
    measure,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

THREE = Effort("three pairs", largest=10, share=0, most_pairs=3)


def made_up(
    ours: Callable[[], float],
    peer: Callable[[], float] | None = None,
    *,
    needs: tuple[str, ...] = (),
    unit: str = "s",
) -> Scenario:
    """Make a scenario of figures that are known."""

    def setup(_effort: Effort) -> Iterator[Sides]:
        yield Sides(ours, peer, lambda outcome: [f"{len(outcome.pairs)} pairs"])

    what = "known figures"
    return Scenario("known", "group", what, "others", at_most(2), setup, needs, 5, unit)


def rows() -> list[object]:
    """List all scenarios; those of the real server are tests that need it."""
    return [
        pytest.param(
            scenario,
            id=scenario.name,
            marks=[
                pytest.mark.skipif(bool(why := scenario.missing()), reason=str(why)),
                *([pytest.mark.real] if "!beanstalkd" in scenario.needs else []),
            ],
        )
        for scenario in SCENARIOS.values()
    ]


@pytest.mark.parametrize("scenario", rows())
def test_every_scenario_runs_where_its_peer_is_installed(scenario: Scenario) -> None:
    outcome = measure(scenario, TINY)
    assert 1 == len(outcome.pairs)
    assert outcome.ours > 0
    assert outcome.peer is None or outcome.peer > 0
    assert scenario.name in report.table([outcome])


@pytest.mark.parametrize("idiom", cycles.IDIOMS)
def test_an_idiom_leaves_as_many_jobs_as_there_were(idiom: str) -> None:
    tubes = cycles.Tubes(backlog=3)
    assert tubes.time(idiom, 5) > 0
    stats = tubes._broker.stats_tube("default")
    assert (3, 0) == (stats.current_jobs_ready, stats.current_jobs_reserved)
    assert stats.cmd_delete >= 5


def cores() -> float:
    return len(os.sched_getaffinity(0))


@pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity"), reason="this system cannot pin a process"
)
def test_what_runs_on_one_core_has_one_and_leaves_us_all_others() -> None:
    before = cores()
    with threads.on_one_core() as call:
        assert 1 == call(cores)
    with threads.anywhere() as call:
        assert before == call(cores)


@pytest.mark.parametrize("chart", charts(), ids=lambda chart: chart.name)
def test_every_chart_has_a_figure_for_each_line_at_each_place(chart: Chart) -> None:
    ticks: list[None] = []
    chart.measure(TINY, lambda: ticks.append(None))
    assert len(ticks) == len(chart.axis)
    for points in chart.lines.values():
        assert [x for x, _ in points] == [x for x in chart.axis if x <= TINY.largest]
        assert all(y > 0 for _, y in points)


def test_the_sides_are_measured_in_turns_and_the_first_pair_does_not_count() -> None:
    turns: list[str] = []
    ticks: list[None] = []

    def side(name: str) -> float:
        turns.append(name)
        return float(len(turns))

    scenario = made_up(lambda: side("ours"), lambda: side("peer"))
    outcome = measure(scenario, THREE, lambda: ticks.append(None))
    assert 4 * ["ours", "peer"] == turns
    assert [(3.0, 4.0), (5.0, 6.0), (7.0, 8.0)] == outcome.pairs
    assert 3 == len(ticks)


def test_the_median_of_the_ratios_counts() -> None:
    outcome = Outcome(made_up(float, float), [(1.0, 2.0), (2.0, 2.0), (30.0, 2.0)])
    assert [0.5, 1.0, 15.0] == outcome.ratios
    assert (2.0, 2.0, True) == (outcome.ours, outcome.peer, outcome.met)
    row = report.row(outcome)
    assert ("2 s", "2 s", "1.00", "0.50..15.00", "<= 2", "yes") == row[1:7]


@pytest.mark.parametrize(
    ("target", "ratio", "met"),
    [
        (at_most(4), 4.0, True),
        (at_most(3.9), 4.0, False),
        (faster(0.25), 0.25, True),
        (faster(0.3), 0.25, False),
    ],
)
def test_a_target_has_a_direction(target: Target, ratio: float, met: bool) -> None:  # noqa: FBT001 - a parameter
    assert ratio == target.ratio(ours=8.0, peer=2.0)
    assert met == target.met_by(ratio)


def test_without_a_peer_the_figure_itself_is_measured_against_the_target() -> None:
    outcome = measure(made_up(lambda: 3.0, unit="B"), THREE)
    assert outcome.met is False
    assert ("3 B", "-", "-", "-", "<= 2", "NO") == report.row(outcome)[1:7]
    assert "known: 3 pairs\n" in report.table([outcome])


@pytest.mark.parametrize(
    ("need", "why"),
    [
        ("no_such_peer", "no_such_peer is not installed: pip install '.[bench]'"),
        ("!no-such-server", "there is no no-such-server on the PATH"),
        ("os:no_such_call", "this system has no os.no_such_call"),
    ],
)
def test_what_cannot_be_run_is_in_the_table_with_the_reason(
    need: str, why: str
) -> None:
    outcome = measure(
        made_up(float, needs=("json", "!python3", "os:getpid", need)), THREE
    )
    assert (why, [], None) == (outcome.skipped, outcome.pairs, outcome.met)
    assert f"skipped: {why}" == report.row(outcome)[-1]


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (2.5, "2.5 s"),
        (0.0123456, "12.3 ms"),
        (0.0005, "500 µs"),
        (1.239e-6, "1.24 µs"),
        (6.7e-8, "0.067 µs"),
    ],
)
def test_figures_have_three_digits_and_a_unit(seconds: float, written: str) -> None:
    assert written == report.figure(seconds, "s")


def test_the_bar_grows_on_one_line() -> None:
    stream = StringIO()
    progress = report.Progress(2, stream)
    progress.begin("a task")
    progress.tick()
    progress.end()
    first, second = stream.getvalue().split("\r")[1:]
    assert f"[{30 * '.'}]       0/2  a task" == first.rstrip()
    assert f"[{15 * '#'}{15 * '.'}]       1/2  a task" == second.rstrip()
    assert "\n" == stream.getvalue()[-1]


def test_a_run_prints_the_table_and_writes_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "figures.json"
    benchmarks.main(["cycle", "expiring", "--json", str(file)], TINY)
    figures: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    assert ["cycle", "expiring"] == [row["name"] for row in figures["scenarios"]]
    assert [1, 1] == [len(row["pairs"]) for row in figures["scenarios"]]
    assert {"python", "core", "system", "processor", "cores"} == figures[
        "machine"
    ].keys()
    out, err = capsys.readouterr()
    assert "a tiny run: no backlog is larger than 10" in out
    assert "queue.PriorityQueue" in out
    assert "2/2" in err


def test_a_group_is_asked_for_by_its_name() -> None:
    names = [scenario.name for scenario in benchmarks.chosen(["delayed", "waiters"])]
    assert ["delayed-put", "burst", "delayed-mature", "waiters"] == names
    assert len(SCENARIOS) == len(benchmarks.chosen([]))


def test_a_run_that_is_cut_short_tells_what_it_has(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(scenario: Scenario, *_: object) -> Outcome:
        if scenario.name == "expiring":
            raise KeyboardInterrupt
        return Outcome(scenario, [(1.0, 1.0)])

    monkeypatch.setattr(benchmarks, "measure", interrupted)
    with pytest.raises(KeyboardInterrupt):
        benchmarks.main(["cycle", "expiring", "--quick"])
    out = capsys.readouterr().out
    assert "cycle" in out
    assert "expiring" not in out


def test_an_unknown_name_is_refused_with_the_names_there_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit, match=r"^2$"):
        benchmarks.main(["cycel"])
    err = capsys.readouterr().err
    assert "there is no scenario 'cycel'" in err
    assert all(name in err for name in SCENARIOS)


def test_charts_are_refused_before_anything_is_measured_without_matplotlib(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(benchmarks, "find_spec", lambda _: None)
    with pytest.raises(SystemExit, match=r"^2$"):
        benchmarks.main(["cycle", "--plot", str(tmp_path)])
    assert "--plot needs matplotlib" in capsys.readouterr().err


@pytest.mark.skipif(find_spec("matplotlib") is None, reason="needs matplotlib")
def test_the_same_figures_give_the_same_file(  # pragma: no cover - the suite does without matplotlib
    tmp_path: Path,
) -> None:
    chart = charts()[0]
    chart.lines = {"one": [(1, 2.0), (10, 3.0)], "two": [(1, 4.0), (10, 5.0)]}
    first = plots.draw(chart, tmp_path / "first").read_bytes()
    assert first == plots.draw(chart, tmp_path / "second").read_bytes()
    assert all(name in first for name in (b"ready jobs", b"one", b"two"))
