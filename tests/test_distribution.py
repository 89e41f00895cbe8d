"""What is uploaded: complete, shown as it should be, and installed without a compiler."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sortedcontainers
from packaging.metadata import Metadata

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
FOLDERS = ("docs", "examples", "inproc_tubes", "tests")
FILES = {"CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "README.md", "SECURITY.md"}

# .ci/run has the suite meet the wheel too, with no more of the tree than it needs.
needs_tree = pytest.mark.skipif(
    not (ROOT / "hatch_build.py").exists(), reason="there is no source tree to build"
)


# The README, as PyPI shows it

TARGET = re.compile(
    r"\]\((?P<inline>[^)\s]*)|^\[[^\]]+\]: *(?P<reference>\S+)|"
    r"\b(?:href|src(?:set)?)=\"(?P<html>[^\"\s]*)",
    re.MULTILINE,
)
FENCE = re.compile(r"^```.*?^```$|`[^`\n]+`", re.MULTILINE | re.DOTALL)


def targets(text: str) -> list[str]:
    """Return what the links and images of a Markdown text lead to."""
    prose = FENCE.sub("", text)
    return [found[found.lastgroup or ""] for found in TARGET.finditer(prose)]


def test_links_of_every_kind_are_found() -> None:
    text = """[a](b) ![c](d.svg "e") `[not](this)` <img src="f"> <a href="g">
[h]: i
```text
[not](this)
```
"""
    assert ["b", "d.svg", "f", "g", "i"] == targets(text)


def test_no_link_of_the_readme_is_relative() -> None:
    found = targets((ROOT / "README.md").read_text(encoding="utf-8"))
    assert found
    assert [] == [each for each in found if not each.startswith(("https://", "#"))]


@needs_tree
def test_what_the_readme_links_to_in_the_repository_is_there() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    source = settings["project"]["urls"]["Source"]
    raw = source.replace("https://github.com", "https://raw.githubusercontent.com")
    begins = (f"{source}/blob/main/", f"{source}/tree/main/", f"{raw}/main/")
    paths = [
        target.removeprefix(begin).partition("#")[0]
        for target in targets((ROOT / "README.md").read_text(encoding="utf-8"))
        for begin in begins
        if target.startswith(begin)
    ]
    assert paths
    assert [] == [path for path in paths if not (ROOT / path).exists()]


# The changelog


@needs_tree
def test_the_changelog_is_in_the_form_of_keep_a_changelog() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    sections = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert "[Unreleased]" == sections[0]
    released = re.compile(r"^\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d$")
    assert [] == [each for each in sections[1:] if not released.match(each)]
    kinds = set(re.findall(r"^### (.*)$", text, re.MULTILINE))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    for section in sections:
        name = section.partition("]")[0]
        assert re.search(rf"^{re.escape(name)}\]: https://", text, re.MULTILINE)


# The files


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A source distribution of this tree."""
    folder = tmp_path_factory.mktemp("sdist")
    run(sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", folder)
    (found,) = folder.glob("*.tar.gz")
    return found


@pytest.fixture(scope="module")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that pip makes of it, where no compiler is to be found."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    options = ["--no-deps", "--no-index", "--no-build-isolation"]
    run(*pip, "wheel", *options, "-w", folder, sdist, PATH=str(folder), CC="false")
    (found,) = folder.glob("*.whl")
    return found


def run(*command: str | Path, **environment: str) -> str:
    """Run a command at the root of the tree; return what it prints."""
    result = subprocess.run(  # noqa: S603 - our own commands
        [str(part) for part in command],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert not result.returncode, result.stdout + result.stderr
    return result.stdout


def sources() -> Iterator[str]:
    """Yield the files that somebody who has the sdist should find."""
    yield from FILES
    for folder in FOLDERS:
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                yield path.relative_to(ROOT).as_posix()


@needs_tree
def test_the_sdist_has_all_there_is(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        found = {name.partition("/")[2] for name in archive.getnames()}
    assert [] == [each for each in sources() if each not in found]
    assert {"examples/tutorial.py", "inproc_tubes/py.typed"} <= found


@needs_tree
def test_the_wheel_has_the_package_alone_and_its_tutorial(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        tutorial = archive.read("inproc_tubes/tutorial.txt")
    tops = {name.partition("/")[0] for name in names}
    assert ["inproc_tubes"] == [top for top in tops if not top.endswith(".dist-info")]
    assert (ROOT / "examples" / "tutorial.py").read_bytes() == tutorial


@needs_tree
def test_the_metadata_is_complete(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith("/METADATA")]
        metadata = Metadata.from_email(archive.read(name))  # it raises if it is invalid
    urls = metadata.project_urls or {}
    assert {"Documentation", "Source", "Changelog", "Issues"} <= urls.keys()
    assert all(url.startswith("https://") for url in urls.values())
    assert "MIT" == metadata.license_expression
    assert ["LICENSE"] == metadata.license_files
    assert "text/markdown" == metadata.description_content_type
    assert metadata.author
    assert metadata.keywords
    versions = [
        each.rpartition(" ")[2]
        for each in metadata.classifiers or ()
        if re.search(r" 3\.\d+$", each)
    ]
    assert ["3.11", "3.12", "3.13", "3.14"] == versions


TRIED = """
import sys
from pathlib import Path
import inproc_tubes
from inproc_tubes import Broker

assert Path(inproc_tubes.__file__).is_relative_to(sys.prefix), inproc_tubes.__file__
assert not inproc_tubes.compiled
with Broker() as broker:
    broker.producer("orders").put("scarf")
    with broker.consumer("orders").reserve(timeout=0) as job:
        print(job.body)
"""


@needs_tree
def test_the_sdist_is_installed_in_a_fresh_environment_without_a_compiler(
    wheel: Path, tmp_path: Path
) -> None:
    venv.create(tmp_path, symlinks=True)
    python = next(path for path in tmp_path.glob("*/python*") if path.is_file())
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    run(*pip, "--python", python, "install", "--no-deps", "--no-index", wheel)
    site = Path(
        run(python, "-c", "import site; print(*site.getsitepackages())").strip()
    )
    shutil.copytree(Path(sortedcontainers.__file__).parent, site / "sortedcontainers")
    assert "scarf\n" == run(python, "-I", "-W", "error", "-c", TRIED)
    assert "Cleo" in run(python, "-I", "-W", "error", "-m", "inproc_tubes", "demo")
