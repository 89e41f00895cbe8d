"""Every Python block of the README and of the documentation runs.

A block is a complete program. What the page says that it prints, it prints. A block of
tests is a file for pytest, and passes. The tutorial is followed from its first line to
its last, in a folder of its own.
"""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.documents import DOCS, PAGES, Block, blocks

if TYPE_CHECKING:
    from pathlib import Path

TUTORIAL = DOCS / "tutorial.md"

# What is not run, by its first line, and why.
NOT_RUN = {
    "python3 -m venv .venv\n": "the tests have an environment, and no network",
}


def of_language(language: str) -> list[Block]:
    """Return all blocks outside the tutorial in this language."""
    pages = [page for page in PAGES if page != TUTORIAL]
    found = [block for page in pages for block in blocks(page)]
    return [block for block in found if block.language == language]


PYTHON = of_language("python")
PROGRAMS = [block for block in PYTHON if not block.is_a_test]
TESTS = [block for block in PYTHON if block.is_a_test]
SETTINGS = [each for each in of_language("toml") if "[tool.pytest]" in each.source]
SETTINGS.sort(
    key=lambda block: block.page.parent.name != "reference"
)  # has all of them

# Installed for runs of their own, see pyproject.toml.
ALONE = ("-p", "no:asyncio", "-p", "no:randomly")
STRICT = ("--strict-markers", "--strict-config", "-Werror")


def compiled(block: Block) -> object:
    """Compile a block, such that a traceback tells its line in the page."""
    return compile("\n" * (block.line - 1) + block.source, block.page, "exec")


@pytest.mark.parametrize("block", PROGRAMS, ids=lambda block: block.name)
def test_a_program_runs(block: Block, capsys: pytest.CaptureFixture[str]) -> None:
    exec(compiled(block), {"__name__": "__main__"})  # type: ignore[arg-type]  # noqa: S102
    printed = capsys.readouterr().out
    if block.prints is not None:
        assert_printed(block.prints, printed, in_order=block.in_order)


@pytest.mark.parametrize("block", TESTS, ids=lambda block: block.name)
def test_a_block_of_tests_passes(block: Block, pytester: pytest.Pytester) -> None:
    pytester.makepyprojecttoml(SETTINGS[0].source)
    pytester.makepyfile("\n" * (block.line - 1) + block.source)
    result = pytester.runpytest(*STRICT, *ALONE)
    result.assert_outcomes(passed=block.source.count("\ndef test_"))
    assert block.prints is None  # what tests print is not shown


@pytest.mark.parametrize("block", SETTINGS, ids=lambda block: block.name)
def test_settings_are_those_that_pytest_knows(
    block: Block, pytester: pytest.Pytester
) -> None:
    pytester.makepyprojecttoml(block.source)
    pytester.makepyfile("def test_it(): pass")
    pytester.runpytest(*STRICT, *ALONE).assert_outcomes(passed=1)


def test_there_are_blocks_of_all_kinds() -> None:
    assert PROGRAMS
    assert TESTS
    assert any(block.prints for block in PROGRAMS)


def test_no_block_is_hidden_by_an_indentation() -> None:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        fences = re.findall(r"^ *```python", text, re.MULTILINE)
        assert len(fences) == sum(each.language == "python" for each in blocks(page))


def assert_printed(said: str, output: str, *, in_order: bool) -> None:
    """Compare what a page says with what was printed.

    A line of three dots stands for any lines, and a duration for any duration.
    """
    if not in_order:
        said, output = (
            "".join(sorted(each.splitlines(keepends=True))) for each in (said, output)
        )
    pattern = re.escape(said).replace(r"\.\.\." + "\\\n", r"(?:.*\n)+?")
    pattern = re.sub(r"in\\ \d+\\\.\d+s", r"in [0-9.]+s", pattern)
    assert re.fullmatch(pattern, output), output


def test_the_tutorial_does_what_it_says(tmp_path: Path) -> None:
    for block in blocks(TUTORIAL):
        if block.title:
            (tmp_path / block.title).write_text(block.source, encoding="utf-8")
        elif block.language == "sh" and not block.source.startswith(tuple(NOT_RUN)):
            program, *arguments = block.source.split()
            how = [] if program == "python" else ["-m", program, "-p", "no:asyncio"]
            result = subprocess.run(  # noqa: S603 - our own tutorial
                [sys.executable, *how, *arguments],
                cwd=tmp_path,
                capture_output=True,
                check=True,
                text=True,
                timeout=60,  # only a bug gets there
            )
            assert not result.stderr
            assert block.prints is not None
            assert_printed(block.prints, result.stdout, in_order=block.in_order)


def test_the_tutorial_says_where_to_write_each_program() -> None:
    programs = [each for each in blocks(TUTORIAL) if each.language == "python"]
    assert len(programs) > 3
    assert all(each.title for each in programs)
