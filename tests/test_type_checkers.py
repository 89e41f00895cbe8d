"""Other type checkers than mypy find in users' programs what mypy finds, and no more.

Each line of `tests/typing` that is to be an error says so for mypy, by a ``type: ignore``
with its reason. The others are told not to look at these comments, and must complain
about exactly these lines. Where one of them differs, the line says so as well.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[1]
PROGRAMS = sorted((ROOT / "tests/typing").glob("*.py"))

# Where the package and the other libraries are installed.
BIN = Path(sys.executable).parent
ENVIRONMENT = os.environ | {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}

Place = tuple[str, int]


def of_pyright(found: Any) -> Iterator[Place]:
    for one in found["generalDiagnostics"]:
        if one["severity"] == "error":
            yield Path(one["file"]).name, one["range"]["start"]["line"] + 1


def of_ty(found: Any) -> Iterator[Place]:
    for one in found:
        location = one["location"]
        yield Path(location["path"]).name, location["positions"]["begin"]["line"]


def of_pyrefly(found: Any) -> Iterator[Place]:
    for one in found["errors"]:
        yield Path(one["path"]).name, one["line"]


CHECKERS: dict[str, tuple[list[str], Callable[[Any], Iterator[Place]]]] = {
    "pyright": (["pyright", "--outputjson"], of_pyright),
    "ty": (["ty", "check", "--output-format", "gitlab"], of_ty),
    "pyrefly": (["pyrefly", "check", "--output-format", "json"], of_pyrefly),
}


def expected(checker: str) -> set[Place]:
    """Return the lines where an error is to be found."""
    wanted = set()
    for program in PROGRAMS:
        for number, line in enumerate(program.read_text("utf-8").splitlines(), 1):
            differs = re.search(r"# but not for (.*)$", line)
            if "# type: ignore[" in line and not (differs and checker in differs[1]):
                wanted.add((program.name, number))
    return wanted


@pytest.mark.parametrize("checker", CHECKERS)
def test_a_checker_finds_the_errors_of_a_users_program(checker: str) -> None:
    command, places = CHECKERS[checker]
    run = subprocess.run(  # noqa: S603 - a tool that we have installed
        [BIN / command[0], *command[1:]],
        cwd=ROOT,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.stdout, run.stderr
    found = set(places(json.loads(run.stdout)))
    missed = sorted(expected(checker) - found)
    surprising = sorted(found - expected(checker))
    assert (missed, surprising) == ([], [])


def test_every_public_name_has_a_type_that_is_written_down(tmp_path: Path) -> None:
    """So that each checker says the same of it, and need infer nothing."""
    run = subprocess.run(  # noqa: S603 - as above
        [BIN / "pyright", "--verifytypes", "inproc_tubes", "--ignoreexternal"],
        cwd=tmp_path,  # else it looks for the package in here
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Type completeness score: 100%" in run.stdout, run.stdout
