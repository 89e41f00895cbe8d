"""What makes the docstrings of the package a reference that reads well.

`Names` is for MkDocs. Where a page or a docstring has a public name in single backticks,
the name becomes a link to its entry. So docstrings stay plain text in an editor.

`Plain` is for griffe, which reads the source. It shows the values of constants that are
defaults, and the types that a handle returns, which the source has as type variables.
"""

from __future__ import annotations

import re
import textwrap
from importlib import import_module
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from griffe import Extension
from markdown.extensions import Extension as MarkdownExtension
from markdown.inlinepatterns import InlineProcessor

from inproc_tubes.core import limits
from inproc_tubes.core.keys import RAISE

if TYPE_CHECKING:
    from griffe import Function, Object
    from markdown import Markdown
    from mkdocs.config.defaults import MkDocsConfig

# The modules whose public names the reference has.
MODULES = (
    "inproc_tubes",
    "inproc_tubes.dashboard",
    "inproc_tubes.worker",
    "inproc_tubes.testing",
    "inproc_tubes.fakes",
    "inproc_tubes.protocol",
    "inproc_tubes.doctor",
    "inproc_tubes.logs",
    "inproc_tubes.metrics",
    "inproc_tubes.remote",
    "inproc_tubes.terminal",
    "inproc_tubes.tracing",
)
# A plain word such as `drain` or `watch` may as well be a verb of a handle.
HOMES = {
    name: home
    for home in MODULES
    for name in import_module(home).__all__
    if not name.isalpha() or not name.islower()
}


class Names(InlineProcessor):
    """Public names in single backticks."""

    def handleMatch(  # type: ignore[override] # noqa: N802 - the base names it
        self, m: re.Match[str], data: str
    ) -> tuple[ET.Element | None, int | None, int | None]:
        """Make a link of a name; leave everything else to the next pattern."""
        name, _, verb = m["name"].partition(".")
        is_text_of_a_link = data[m.end() : m.end() + 1] == "]"
        if name not in HOMES or is_text_of_a_link:
            return None, None, None
        target = f"{HOMES[name]}.{name}" + (f".{verb}" if verb else "")
        link = ET.Element("autoref", {"identifier": target, "optional": ""})
        ET.SubElement(link, "code").text = m["text"]
        return link, m.start(), m.end()


class LinkNames(MarkdownExtension):
    """Adds the pattern before that of code."""

    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802 - the base names it
        """Add the pattern."""
        name = r"(?<![`\\])`(?P<text>(?P<name>[A-Za-z]\w*(?:\.\w+)?)(?:\(\))?)`(?!`)"
        md.inlinePatterns.register(Names(name, md), "names", 195)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Have the extension for all pages and docstrings."""
    config.markdown_extensions.append(LinkNames())  # type: ignore[arg-type]  # also objects
    return config


# How constants are shown that are defaults. Three dots: it is as if it was left out.
CONSTANTS = {
    **{name: repr(value) for name, value in vars(limits).items()},
    "RAISE": repr(RAISE),
    "NO_DEFAULT": "...",
    "_anything": "...",
}


# Where the docstrings of public classes are, if not there.
BASES = {"BaseConsumer": "Consumer", "BaseProducer": "Producer", "Holder": "Consumer"}


class Plain(Extension):
    """Signatures and docstrings as a reader wants them."""

    def on_function(self, *, func: Function, **_: Any) -> None:
        """Show the values of constants, and types without the bases' variables."""
        for parameter in func.parameters:
            if (default := str(parameter.default)) in CONSTANTS:
                parameter.default = CONSTANTS[default]
        if (returns := str(func.returns)) != (
            plain := re.sub(r" \| [WM]\b", "", returns)
        ):
            func.returns = plain

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Make Markdown of a docstring."""
        if obj.docstring:
            home = _public_class(obj)
            text = "\n\n".join(
                _as_markdown(paragraph, home)
                for paragraph in obj.docstring.value.split("\n\n")
            )
            # What a verb costs, and where it comes from, are lines of their own.
            text = re.sub(r"(?m)^(Cost|Source): ", r"\n**\1**: ", text)
            obj.docstring.value = re.sub(r"::$", ":", text, flags=re.MULTILINE)


def _public_class(obj: Object) -> str | None:
    """Return the public class that an object belongs to, or that inherits it."""
    owner = obj if obj.is_class or obj.parent is None else obj.parent
    name = BASES.get(owner.name, owner.name)
    return name if name in HOMES else None


def _as_markdown(paragraph: str, home: str | None) -> str:
    """Fence an example, as ``>>>`` would be a quotation; else link the class's verbs."""
    if paragraph.lstrip().startswith(">>> "):
        return f"```pycon\n{textwrap.dedent(paragraph)}\n```"
    if home is None:
        return paragraph
    members = dir(getattr(import_module(HOMES[home]), home))

    def link(match: re.Match[str]) -> str:
        verb = match[1]
        if verb not in members:
            return match[0]
        target = f"{HOMES[home]}.{home}.{verb}"
        return f'<autoref identifier="{target}" optional><code>{verb}</code></autoref>'

    return re.sub(r"(?<!`)`([a-z]\w*)`(?!`)", link, paragraph)
