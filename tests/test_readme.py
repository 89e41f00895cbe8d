"""Every Python block of the README is a complete program, and runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks() -> list[object]:
    """Find the blocks, each with the number of its first line as its name."""
    text = README.read_text(encoding="utf-8")
    return [
        pytest.param(block[1], line, id=f"line {line}")
        for block in BLOCK.finditer(text)
        for line in [text.count("\n", 0, block.start(1)) + 1]
    ]


@pytest.mark.parametrize(("source", "line"), blocks())
def test_a_block_of_the_readme_runs(source: str, line: int) -> None:
    # Empty lines before it, so that a traceback tells the README's own line.
    code = compile("\n" * (line - 1) + source, README, "exec")
    exec(code, {"__name__": "__main__"})  # noqa: S102  # our own README
