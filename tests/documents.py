"""The documents of the project, and the blocks in them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
DOCS = ROOT / "docs"
PAGES = [README, *sorted(DOCS.rglob("*.md"))]

_BLOCK = re.compile(
    r'^```(?P<language>\w+)(?: title="(?P<title>[^"]+)")?\n(?P<source>.*?)^```$',
    re.MULTILINE | re.DOTALL,
)
_PRINTS = re.compile(
    r"\nIt prints(?P<how>|,[^\n]* in any order):\n\n```text\n(?P<prints>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


class Block(NamedTuple):
    """A block of code, and what the page says that it prints."""

    page: Path
    line: int  # the number of its first line
    language: str
    title: str | None
    source: str
    prints: str | None
    in_order: bool  # whether it prints its lines in that order

    @property
    def name(self) -> str:
        """Its place, for the name of a test."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def is_a_test(self) -> bool:
        """Whether it is a file for pytest."""
        return "import pytest\n" in self.source


def blocks(page: Path) -> list[Block]:
    """Return the blocks of a page, in their order."""
    text = page.read_text(encoding="utf-8")
    found = []
    for match in _BLOCK.finditer(text):
        prints = _PRINTS.match(text, match.end() + 1)
        found.append(
            Block(
                page,
                text.count("\n", 0, match.start("source")) + 1,
                match["language"],
                match["title"],
                match["source"],
                prints and prints["prints"],
                in_order=not (prints and prints["how"]),
            )
        )
    return found
