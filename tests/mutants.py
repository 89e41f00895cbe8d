"""Put small mistakes into the core and the protocol, and see which ones no test finds.

    python -m tests.mutants [COUNT] [--seed N] [--jobs N]

Each mistake is made in a copy of the tree, in which the fast tests are run until one of
them fails. A mistake with which they never end counts as found. All others are printed,
and the exit status is 1. Either a test is missing, or the program is equivalent: that is
signed in `EQUIVALENT`, with the reason. It needs a POSIX system.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from argparse import ArgumentParser
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from difflib import unified_diff
from itertools import count
from pathlib import Path
from queue import SimpleQueue
from random import Random, SystemRandom
from tempfile import TemporaryDirectory, TemporaryFile
from time import perf_counter
from typing import TYPE_CHECKING

from tests.benchmarks.report import Progress
from tests.mutating import Mutant, mutants

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).parents[1]
PACKAGE = "inproc_tubes"
FOLDERS = ("core", "protocol")
# What the tests read.
COPIED = (
    PACKAGE,
    "tests",
    "docs",
    "examples",
    "mkdocs.yml",
    "pyproject.toml",
    "README.md",
)

TESTS = (
    "test_ready_jobs.py",
    "test_ready_jobs_leaving.py",
    "test_side_lanes.py",
    "test_delayed_jobs.py",
    "test_held_jobs.py",
    "test_timer_queue.py",
    "test_requests.py",
    "test_tube*.py",
    "test_watch_set.py",
    "test_job_*.py",
    "test_engine_[a-qs-z]*.py",
    "test_engine_reserve.py",
    "test_protocol*.py",
    "handles/test_*.py",
    "fakes/test_s*.py",  # the others are about how one is reached
    "test_largest_numbers.py",
    "test_closed_handles.py",
    "test_puts_in_a_turn.py",
    "test_waiting*.py",
    # What takes more than a second.
    "test_ready_jobs_stress.py",
    "test_dropped_*.py",
    "test_costs_of_*.py",
    "test_engine_recovery.py",
    "robustness/test_broken_off.py",
    "test_stateful.py",
)
"""The fast tests, the fastest in front: patterns of their files."""

EQUIVALENT: dict[tuple[str, str, str], str] = (
    {
        (
            "core/engine.py",
            "if job._history.lost and handle is job:",
            "job._history.lost and handle is job -> (handle is job)",
        ): "what it writes then is there already",
        (
            "core/clients.py",
            "if tube is not None and tube in session.watched:",
            "tube is not None and tube in session.watched -> (tube in session.watched)",
        ): "no session watches None: that is for the type checker",
        (
            "core/ready.py",
            "if lane and self.lane_priority << ID_BITS | lane[0] <= heap[0]:",
            (
                "self.lane_priority << ID_BITS | lane[0] <= heap[0]"
                " -> (self.lane_priority << ID_BITS | lane[0] < heap[0])"
            ),
        ): "two entries with one key are those of the same job",
        (
            "core/dispatcher.py",
            "if due_at < session.planned_at or session.tickets:",
            "due_at < session.planned_at -> (due_at <= session.planned_at)",
        ): "`plan_deadline` compares them again: a matter of speed",
        (
            "core/requests.py",
            'self.held_up_by: str = ""',
            'self.held_up_by: str = "" -> pass',
        ): "`Admission.is_done` sets it before anybody reads it",
        (
            "core/requests.py",
            "rank = 0",
            "0 -> -1",
        ): "it is the lowest as before",
        (
            "core/requests.py",
            "rank = 2",
            "2 -> 3",
        ): "it is the highest as before",
        (
            "core/reserve_queue.py",
            "if not (tube.tickets or tube.watch_sets) or tube.paused_until:",
            (
                "not (tube.tickets or tube.watch_sets) or tube.paused_until"
                " -> tube.paused_until"
            ),
        ): "nothing is found there a little later: a matter of speed",
        (
            "core/store.py",
            "if difference > 0:",
            "0 -> -1",
        ): "0 is added to the one counter or taken from the other",
        (
            "core/store.py",
            "if difference > 0:",
            "difference > 0 -> (difference >= 0)",
        ): "as above",
        (
            "core/store.py",
            "job is None",
            (
                "job is None or handle is None or handle is job or ( isinstance(handle,"
                " PeekedJob) and handle._original is job and handle._reserves =="
                " job._reserves ) -> (handle is None or handle is job or"
                " (isinstance(handle, PeekedJob) and handle._original is job and"
                " (handle._reserves == job._reserves)))"
            ),
        ): "no handle is None as well: that is for the type checker",
    }
    | {
        (
            "core/engine.py",
            "if not (tube.using or tube.watching):",
            f"tube.using or tube.watching -> {other}",
        ): "`free_if_unreferenced` asks again: a matter of speed"
        for other in ("tube.using", "tube.watching", "(tube.using and tube.watching)")
    }
    | {
        (
            "core/clients.py",
            "return list(dict.fromkeys((*self.sessions, *self._abandoned)))",
            (
                "list(dict.fromkeys((*self.sessions, *self._abandoned)))"
                " -> dict.fromkeys((*self.sessions, *self._abandoned))"
            ),
        ): "nobody does more than go through it",
        (
            "core/side_lanes.py",
            "if lane and lane[0] == key & ID_MASK:",
            "lane and lane[0] == key & ID_MASK -> lane",
        ): "the next of the lane enters the heap earlier, and comes in its turn",
        (
            "core/reserve_queue.py",
            "session.only = session.watched[0]",
            "0 -> -1",
        ): "there is just one",
        (
            "core/session.py",
            "if job is None and job_id in self._timed:",
            "job is None and job_id in self._timed -> (job_id in self._timed)",
        ): "no job is in both: a matter of speed",
    }
    | {
        (
            "core/session.py",
            "self._number = 0  # the last one given",
            f"0 -> {first}",
        ): "only the order of the numbers matters"
        for first in (-1, 1)
    }
    | {
        (
            f"core/{name}.py",
            "SWEEP_FLOOR: Final = 64",
            f"64 -> {floor}",
        ): "a matter of speed"
        for name in ("delayed", "ready", "session", "watch_set")
        for floor in (63, 65)
    }
)
"""{(file, its line, what becomes of what): why the program does the same}."""

# No real server: what its tests compare it with is the table of replies, not us.
_OPTIONS = (
    *("-x", "-q", "-m", "not real", "-p", "no:cacheprovider"),
    # These plugins and no others: to import all takes longer than many a run.
    *("-p", "inproc_tubes.pytest_plugin", "-p", "hypothesispytest"),
    "--hypothesis-profile=mutants",
)

# A test that takes longer fails; it takes 5 s without a mistake.
_LONGEST = (
    *("-o", "faulthandler_timeout=40"),
    *("-o", "faulthandler_exit_on_timeout=true"),
)

_COMMAND = (sys.executable, "-m", "pytest", *_OPTIONS, *_LONGEST)
_FAILED = re.compile(r"^(?:FAILED|ERROR) (\S+?\.py)", re.MULTILINE)

# A run is given up after so many times what one without a mistake takes, and so many
# seconds: the machine may be busy.
PATIENCE = 4
GRACE = 20.0
# So many files of tests are tried before all of them.
LIKELY = 3
# KiB. A mistake by which something grows for ever is found here.
MEMORY = 4 << 20


class Copy:
    """A copy of the tree, in which one mistake is made at a time.

    Attributes:
        timeout: After how many seconds a run is given up; None: never.
    """

    def __init__(self, tree: Path, folder: Path, tests: Sequence[str]) -> None:
        self._folder = folder
        # Of the files that are written, in seconds. Python compiles a file anew if its
        # time or size has changed.
        self._times = count(1_000_000_000)
        self.timeout: float | None = None
        self._output = ""  # of the last run
        # {file: tests that have found a mistake in it}, the last one in front.
        self._found_by: defaultdict[str, list[str]] = defaultdict(list)
        ignored = shutil.ignore_patterns("__pycache__", ".*")
        for name in COPIED:
            if (tree / name).is_dir():
                shutil.copytree(tree / name, folder / name, ignore=ignored)
            else:
                shutil.copy(tree / name, folder)
        self._tests = [
            str(file)
            for pattern in tests
            for file in sorted((folder / "tests").glob(pattern))
        ]

    def finds(self, mutant: Mutant) -> bool:
        """Tell whether the tests find a mistake."""
        original = self._read(mutant.file)
        try:
            self._write(mutant.file, mutant.source(original))
            likely = self._found_by[mutant.file]
            if likely and not self.passes(likely[:LIKELY]):
                return True
            if self.passes():
                return False
            if failed := _FAILED.search(self._output):
                file = str(self._folder / failed[1])
                likely[:] = [file, *(other for other in likely if other != file)]
            return True
        finally:
            self._write(mutant.file, original)

    def prove(self) -> float:
        """See that the tests pass as it is, and are tests of this very copy.

        Returns:
            The seconds that they take.
        """
        start = perf_counter()
        if not self.passes():
            message = f"{self._output}\nThis fails without a mistake."
            raise SystemExit(message)
        seconds = perf_counter() - start
        original = self._read("__init__.py")
        self._write("__init__.py", "raise SystemError")
        if self.passes():
            message = "the tests are not run on the copy"
            raise SystemExit(message)
        self._write("__init__.py", original)
        return seconds

    def passes(self, tests: Sequence[str] = ()) -> bool:
        """Run all tests, or these; tell whether all of them pass, in time."""
        # First on the path: the pytest plugin is imported before pytest itself puts
        # anything there.
        environment = os.environ | {
            "PYTHONPATH": str(self._folder),
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        }
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        limited = ["/bin/sh", "-c", f'ulimit -v {MEMORY}; exec "$@"', "sh"]
        with TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
            process = subprocess.Popen(  # noqa: S603 - this very interpreter
                [*limited, *_COMMAND, *(tests or self._tests)],
                cwd=self._folder,
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                return process.wait(self.timeout) == 0
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)  # and what it has started
                process.wait()
                return False
            finally:
                output.seek(0)
                self._output = output.read()

    def _read(self, file: str) -> str:
        return (self._folder / PACKAGE / file).read_text(encoding="utf-8")

    def _write(self, file: str, source: str) -> None:
        path = self._folder / PACKAGE / file
        path.write_text(source, encoding="utf-8")
        now = next(self._times)
        os.utime(path, (now, now))


def sources(tree: Path) -> dict[str, str]:
    """Return {file: source} of all files in which mistakes are made."""
    package = tree / PACKAGE
    return {
        str(path.relative_to(package)): path.read_text(encoding="utf-8")
        for folder in FOLDERS
        for path in sorted((package / folder).glob("*.py"))
    }


def drawn(
    known: dict[str, str],
    number: int,
    seed: int,
    signed: dict[tuple[str, str, str], str],
) -> list[Mutant]:
    """Draw mutants of these sources, none of them signed as equivalent."""
    everything = [
        mutant
        for file, source in known.items()
        for mutant in mutants(file, source)
        if mutant.key(source) not in signed
    ]
    return Random(seed).sample(everything, min(number, len(everything)))  # noqa: S311 - a seed is asked for


def told(mutant: Mutant, source: str) -> str:
    """Describe a mutant that no test has found."""
    diff = unified_diff(
        source.splitlines(keepends=True),
        mutant.source(source).splitlines(keepends=True),
        mutant.file,
        mutant.operator,
        n=1,
    )
    return f"\n{PACKAGE}/{mutant.file}:{mutant.line}\n{''.join(diff)}"


def main(
    argv: Sequence[str] | None = None,
    tree: Path = ROOT,
    tests: Sequence[str] = TESTS,
) -> int:
    """Try so many mutants; return how many of them no test has found."""
    parser = ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("count", nargs="?", type=int, default=300, metavar="COUNT")
    parser.add_argument("--seed", type=int, default=SystemRandom().randrange(10**6))
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), metavar="N")
    options = parser.parse_args(argv)
    known = sources(tree)
    chosen = drawn(known, options.count, options.seed, EQUIVALENT)
    survivors = 0
    with ExitStack() as stack:
        copies = [
            Copy(tree, Path(stack.enter_context(TemporaryDirectory())), tests)
            for _ in range(options.jobs)
        ]
        executor = stack.enter_context(ThreadPoolExecutor(options.jobs))
        stack.callback(executor.shutdown, cancel_futures=True)
        progress = Progress(len(chosen), sys.stderr)
        stack.callback(progress.end)
        progress.begin("without a mistake")
        slowest = max(executor.map(Copy.prove, copies))
        free: SimpleQueue[Copy] = SimpleQueue()
        for copy in copies:
            copy.timeout = PATIENCE * slowest + GRACE
            free.put(copy)

        def is_found(mutant: Mutant) -> bool:
            copy = free.get()
            try:
                return copy.finds(mutant)
            finally:
                free.put(copy)

        for mutant, found in zip(chosen, executor.map(is_found, chosen), strict=True):
            if not found:
                survivors += 1
                # At once: a run may be cut short.
                sys.stdout.write(told(mutant, known[mutant.file]))
                sys.stdout.flush()
            progress.begin(f"{survivors} not found")
            progress.tick()
    sys.stdout.write(
        f"\n{len(chosen)} mutants, seed {options.seed}: {survivors} not found\n"
    )
    return survivors


if __name__ == "__main__":  # pragma: no cover - tests call `main`
    sys.exit(main() > 0)
