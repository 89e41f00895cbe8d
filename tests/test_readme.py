"""Every Python block of the README is a complete program, and runs.

What is said to be printed is; a block with fixtures is a file of tests, and passes.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"
BLOCK = re.compile(
    r"^```python\n(?P<source>.*?)^```\n"
    r"(?:\nIt prints:\n\n```text\n(?P<prints>.*?)^```\n)?",
    re.MULTILINE | re.DOTALL,
)
SETTINGS = re.compile(r"^```toml\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(*, of_tests: bool) -> list[object]:
    """Find the blocks, each with the number of its first line as its name."""
    text = README.read_text(encoding="utf-8")
    return [
        pytest.param(block["source"], line, block["prints"], id=f"line {line}")
        for block in BLOCK.finditer(text)
        for line in [text.count("\n", 0, block.start("source")) + 1]
        if ("import pytest\n" in block["source"]) == of_tests
    ]


@pytest.mark.parametrize(("source", "line", "prints"), blocks(of_tests=False))
def test_a_block_of_the_readme_runs(
    source: str, line: int, prints: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    # Empty lines before it, so that a traceback tells the README's own line.
    code = compile("\n" * (line - 1) + source, README, "exec")
    exec(code, {"__name__": "__main__"})  # noqa: S102  # our own README
    assert prints in {None, capsys.readouterr().out}


def test_there_are_blocks_of_both_kinds_and_some_print() -> None:
    found = list(BLOCK.finditer(README.read_text(encoding="utf-8")))
    assert any(block["prints"] for block in found)
    assert 0 < len(blocks(of_tests=True)) < len(found)


@pytest.mark.parametrize(("source", "line", "prints"), blocks(of_tests=True))
def test_a_block_of_tests_passes_with_the_settings_shown(
    source: str, line: int, prints: str | None, pytester: pytest.Pytester
) -> None:
    settings = "\n".join(SETTINGS.findall(README.read_text(encoding="utf-8")))
    assert "beanstalkd_address" in settings
    pytester.makepyprojecttoml(settings)
    pytester.makepyfile("\n" * (line - 1) + source)
    alone = ("-p", "no:asyncio", "-p", "no:randomly")  # see pyproject.toml
    result = pytester.runpytest(
        "--strict-markers", "--strict-config", "-Werror", *alone
    )
    result.assert_outcomes(passed=source.count("\ndef test_"))
    assert prints is None  # what tests print is not shown
