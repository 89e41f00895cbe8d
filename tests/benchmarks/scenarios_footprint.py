"""What it weighs: bytes for a job, and seconds for the import."""

from __future__ import annotations

import linecache
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING

import inproc_tubes
from inproc_tubes import Broker
from inproc_tubes.core.job import Job
from inproc_tubes.core.making import new_job

from .measuring import BODY, Sides, at_most, scenario

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .measuring import Effort, Outcome

STOPWATCH = """
from time import perf_counter
start = perf_counter()
import {modules}
print(perf_counter() - start)
"""


class Weighing:
    """What so many ready jobs weigh, by the line that has allocated it."""

    def __init__(self, jobs: int) -> None:
        self._jobs = jobs
        self._lines: list[str] = []

    def __call__(self) -> float:
        """Return the bytes for each."""
        with Broker() as broker:
            producer = broker.producer()
            tracemalloc.start()
            try:
                for _ in range(self._jobs):
                    producer.put(BODY)
                total, _ = tracemalloc.get_traced_memory()
                snapshot = tracemalloc.take_snapshot()
            finally:
                tracemalloc.stop()
        self._lines = [
            f"{stat.size / self._jobs:7.1f} B  {self._place(stat.traceback[0])}"
            for stat in snapshot.statistics("lineno")
            if stat.size >= self._jobs  # a byte for each, and more
        ]
        return total / self._jobs

    @staticmethod
    def _place(frame: tracemalloc.Frame) -> str:
        line = linecache.getline(frame.filename, frame.lineno).strip()
        return f"{Path(frame.filename).name}:{frame.lineno}: {line}"

    def notes(self, _outcome: Outcome) -> list[str]:
        """Tell who has allocated what, for each job."""
        return [*self._lines, job_alone()]


def job_alone() -> str:
    """Tell what the object of one job weighs by itself."""
    job = new_job(BODY, 0, 0, 60)
    size = sys.getsizeof(job)
    slots = len(Job.__slots__)
    return f"of which the job itself: {size} B, {slots} slots (with the collector's)"


@scenario(
    "memory",
    "bytes for a ready job that shares a small body",
    "",
    at_most(260),
    group="footprint",
    pairs=3,
    unit="B",
)
def memory(effort: Effort) -> Iterator[Sides]:
    weighing = Weighing(effort.size(100_000))
    yield Sides(weighing, notes=weighing.notes)


def importing(modules: str) -> Callable[[], float]:
    """Return what measures an import in a fresh interpreter."""
    path = [str(Path(inproc_tubes.__file__).parents[1]), os.environ.get("PYTHONPATH")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, path))}
    # What is installed has its bytecode beside it.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    code = STOPWATCH.format(modules=modules)

    def run() -> float:
        done = subprocess.run(  # noqa: S603 - this very interpreter
            [sys.executable, "-c", code],
            env=environment,
            check=True,
            capture_output=True,
            text=True,
        )
        return float(done.stdout)

    return run


@scenario(
    "import",
    "import inproc_tubes",
    "import queue, threading, sortedcontainers",
    at_most(1.5),
    group="footprint",
    pairs=21,
)
def import_(effort: Effort) -> Iterator[Sides]:  # noqa: ARG001 - there is but one size
    yield Sides(
        importing("inproc_tubes"), importing("queue, threading, sortedcontainers")
    )
