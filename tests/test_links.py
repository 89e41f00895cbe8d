"""Links of the documents.

MkDocs checks the links between the pages as it builds them. Here are the others: those
to our own pages and files by their full address, and those to other sites, of which
there is a list, as the tests have no network.
"""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import inproc_tubes
from tests.documents import DOCS, PAGES, ROOT

SETTINGS = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
PACKAGE = Path(inproc_tubes.__file__).parent
IN_CODE = [PACKAGE / "__init__.py", PACKAGE / "__main__.py"]
DOCUMENTS = [*PAGES, *ROOT.glob("[CS]*.md"), *IN_CODE]
ADDRESS = re.compile(r"https://[^\s)>\"'`]*[^\s)>\"'`.,]|http://\S+")

# The sites that the documents name.
SITES = {
    "apscheduler.readthedocs.io",
    "beanstalkd.github.io",
    "docs.celeryq.dev",
    "github.com",
    "grantjenks.com",
    "huey.readthedocs.io",
    "hypothesis.readthedocs.io",
    "keepachangelog.com",
    "mypyc.readthedocs.io",
    "semver.org",
    "www.starlette.io",
}


def setting(name: str) -> str:
    """Return a plain setting of MkDocs."""
    found = re.search(rf"^{name}: (\S+)$", SETTINGS, re.MULTILINE)
    assert found
    return found[1]


SITE, SOURCES = setting("site_url"), setting("repo_url")

ADDRESSES = {
    address
    for document in DOCUMENTS
    for address in ADDRESS.findall(document.read_text(encoding="utf-8"))
}


def page_at(address: str) -> str:
    """Return which page of the documentation has this address."""
    path = urlsplit(address).path.strip("/")
    folder = (DOCS / path).is_dir()
    return f"{path}/index.md".lstrip("/") if folder else f"{path}.md"


def test_links_to_other_sites_are_well_formed_and_on_the_list() -> None:
    sites = set()
    for address in ADDRESSES:
        if not address.startswith(SITE):
            parts = urlsplit(address)
            assert parts.scheme == "https", address
            sites.add(parts.hostname)
    assert sites <= SITES


def test_links_to_our_own_pages_lead_to_a_page() -> None:
    assert page_at(SITE) == "index.md"
    for address in ADDRESSES:
        if address.startswith(SITE):
            assert (DOCS / page_at(address)).is_file(), address


@pytest.mark.skipif(
    not (ROOT / "hatch_build.py").exists(),
    reason="the tree is not complete, see .ci/run",
)
def test_links_to_our_own_files_lead_to_a_file() -> None:
    file = re.compile(re.escape(SOURCES) + r"/(?:blob|tree)/main/([^#]+)")
    paths = [found[1] for found in map(file.match, ADDRESSES) if found]
    assert paths
    assert [] == [path for path in paths if not (ROOT / path).exists()]


def test_a_page_names_every_example() -> None:
    text = (DOCS / "how-to" / "index.md").read_text(encoding="utf-8")
    for example in (ROOT / "examples").glob("*.py"):
        assert f"/examples/{example.name})" in text


@pytest.mark.parametrize("name", sorted(set(inproc_tubes.__all__) - {"compiled"}))
def test_the_reference_has_every_public_name(name: str) -> None:
    pages = (DOCS / "reference").glob("*.md")
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    home = getattr(inproc_tubes, name).__module__
    assert f"::: inproc_tubes.{name}\n" in text or f"::: {home}\n" in text
