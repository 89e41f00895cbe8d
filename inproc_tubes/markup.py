"""HTML that is escaped by construction: what is no `Html` is text.

>>> from inproc_tubes.markup import tag
>>> print(tag("a", "<b>", href="?name=a&b"))
<a href="?name=a&amp;b">&lt;b&gt;</a>
"""

from __future__ import annotations

import reprlib
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Html", "cut", "join", "shown", "summary", "table", "tag"]

_EMPTY = frozenset({"input", "link", "meta"})


class Html:
    """A piece of HTML."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text: str = text

    def __str__(self) -> str:
        return self.text


def join(*parts: object) -> Html:
    """Put pieces of HTML and texts one behind the other; texts are escaped."""
    return Html(
        "".join(
            part.text if isinstance(part, Html) else escape(str(part)) for part in parts
        )
    )


def tag(name: str, /, *parts: object, **attributes: str | bool | None) -> Html:
    """Make an element.

    Args:
        name: The name of the element.
        parts: What is in it, pieces of HTML and texts.
        attributes: Its attributes; True for one without a value, False and None for none.
            A "_" at the end is dropped, any other one is a hyphen.

    Cost: O(length).
    """
    head = [name]
    for key, value in attributes.items():
        called = key.rstrip("_").replace("_", "-")
        if value is True:
            head.append(called)
        elif value is not None and value is not False:
            head.append(f'{called}="{escape(value)}"')
    start = f"<{' '.join(head)}>"
    return Html(start if name in _EMPTY else f"{start}{join(*parts)}</{name}>")


def table(heads: Iterable[object], rows: Iterable[Iterable[object]]) -> Html:
    """Make a table. The first cell of each row is the head of the row."""
    body = []
    for first, *rest in rows:
        cells = [tag("td", cell) for cell in rest]
        body.append(tag("tr", tag("th", first, scope="row"), *cells))
    head = tag("tr", *(tag("th", text, scope="col") for text in heads))
    return tag("table", tag("thead", head), tag("tbody", *body))


def cut(text: str, length: int) -> str:
    """Return the beginning of a text that is too long. Cost: O(length)."""
    return text if len(text) <= length else f"{text[: length - 3]}..."


def shown(body: object, length: int) -> str:
    """Return the repr of any object, cut; what it raises is no error."""
    brief = reprlib.Repr()
    brief.maxstring = brief.maxother = length
    try:
        return cut(brief.repr(body), length)
    except Exception as error:  # noqa: BLE001 - it is the user's code
        return f"<{type(body).__name__}, whose repr raised {type(error).__name__}>"


_ROWS = 100
_CELL = 1000


def summary(
    title: str, heads: Iterable[object], rows: Iterable[Iterable[object]]
) -> str:
    """Return a table with a title, for a notebook: cells and rows are cut."""
    cells = [[cut(str(cell), _CELL) for cell in row] for row in rows]
    left = len(cells) - _ROWS
    more = tag("p", f"and {left:,} more") if left > 0 else ""
    head = tag("p", tag("b", cut(title, _CELL)))
    return str(join(head, table(heads, cells[:_ROWS]) if cells else "", more))
