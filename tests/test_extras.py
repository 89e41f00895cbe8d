"""What is said where a package is missing that an extra brings along."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

from inproc_tubes.extras import from_extra

NEEDS = {
    "dashboard": ("dashboard", "starlette"),
    "metrics": ("prometheus", "prometheus_client"),
    "remote": ("remote", "greenstalk"),
    "remote.RemoteAsyncConsumer": ("remote", "aiostalk"),
    "terminal": ("monitor", "rich"),
    "tracing": ("opentelemetry", "opentelemetry"),
}

TRY = """
import importlib, sys
package, name = sys.argv[1:]
sys.modules[package] = None  # as if it were not installed
path, _, attribute = f"inproc_tubes.{name}".partition(".Remote")
try:
    getattr(importlib.import_module(path), f"Remote{attribute}")
except ModuleNotFoundError as error:
    print(error)
    print(error.name)
"""


@pytest.mark.parametrize("name", NEEDS)
def test_a_missing_extra_is_told_with_what_installs_it(name: str) -> None:
    extra, package = NEEDS[name]
    result = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", TRY, package, name],
        capture_output=True,
        text=True,
        check=True,
    )
    told, missing = result.stdout.splitlines()
    assert told.endswith(f": pip install 'inproc_tubes[{extra}]'")
    assert package == missing.partition(".")[0]


def test_the_error_keeps_the_name_of_what_is_missing() -> None:
    with pytest.raises(ModuleNotFoundError) as caught, from_extra("x"):
        import_module("no_such_package")
    text = "No module named 'no_such_package': pip install 'inproc_tubes[x]'"
    assert (text, "no_such_package") == (str(caught.value), caught.value.name)


def test_other_errors_of_an_import_pass() -> None:
    with pytest.raises(ImportError, match="cannot import name"), from_extra("x"):
        from inproc_tubes.errors import no_such_name  # type: ignore[attr-defined]  # noqa: F401, PLC0415 - the point
