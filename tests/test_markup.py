"""HTML is escaped by construction."""

from __future__ import annotations

import pytest

from inproc_tubes.markup import cut, join, shown, table, tag


def test_texts_and_attributes_are_escaped() -> None:
    made = tag("a", "<b>&", tag("i", 1), href="\"'<>", class_="x", aria_label="y")
    assert str(made) == (
        '<a href="&quot;&#x27;&lt;&gt;" class="x" aria-label="y">'
        "&lt;b&gt;&amp;<i>1</i></a>"
    )


def test_an_attribute_may_have_no_value_or_be_left_out() -> None:
    made = tag("input", required=True, hidden=False, value=None, name="a")
    assert str(made) == '<input required name="a">'


def test_a_table_has_heads() -> None:
    assert str(table(["<a>"], [["<b>", 1]])) == (
        '<table><thead><tr><th scope="col">&lt;a&gt;</th></tr></thead><tbody><tr>'
        '<th scope="row">&lt;b&gt;</th><td>1</td></tr></tbody></table>'
    )
    assert str(join()) == ""


@pytest.mark.parametrize(
    ("text", "found"), [("abcde", "abcde"), ("abcdef", "ab..."), ("", "")]
)
def test_a_long_text_is_cut(text: str, found: str) -> None:
    assert cut(text, 5) == found


class Raises:
    def __repr__(self) -> str:
        raise ValueError


class Stubborn(str):
    __slots__ = ()

    def __getitem__(self, _: object) -> str:
        raise TypeError


class Uncut:
    def __repr__(self) -> str:
        return Stubborn("x" * 100)


def test_a_repr_is_cut_and_may_raise() -> None:
    assert shown("a", 20) == "'a'"
    assert len(shown("x" * 1000, 20)) == 20
    assert len(shown([["x" * 1000] * 10] * 10, 50)) == 50
    assert "Raises instance" in shown(Raises(), 50)
    assert shown(Uncut(), 50) == "<Uncut, whose repr raised TypeError>"
