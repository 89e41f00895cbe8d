"""The public face: complete, documented, and cheap to import."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sortedcontainers

import inproc_tubes
from inproc_tubes import errors

if TYPE_CHECKING:
    from collections.abc import Callable

VERBS = {
    "Broker": {
        "producer",
        "consumer",
        "tubes",
        "stats",
        "stats_tube",
        "stats_job",
        "peek",
        "peek_ready",
        "peek_delayed",
        "peek_buried",
        "kick",
        "kick_job",
        "delete",
        "pause_tube",
        "limit_tube",
        "jobs",
        "clear_tube",
        "join",
        "drain",
        "close",
    },
    "Producer": {"put", "put_many", "use", "using", "close"},
    "Consumer": {
        "watch",
        "ignore",
        "watching",
        "reserve",
        "reserve_many",
        "reserve_job",
        "delete",
        "release",
        "bury",
        "touch",
        "close",
    },
    "Job": {"delete", "release", "bury", "touch", "stats"},
}
# What coroutines have beside threads.
VERBS["Broker"] |= {"async_producer", "async_consumer", "async_join"}
VERBS["AsyncProducer"] = VERBS["Producer"]
VERBS["AsyncConsumer"] = VERBS["Consumer"]

# What a user of plain threads does not need, and should not pay for.
ON_DEMAND = (
    "asyncio",
    "dataclasses",
    "inproc_tubes.aio",
    "inproc_tubes.fakes",
    "inproc_tubes.protocol",
    "inproc_tubes.pytest_plugin",
    "inproc_tubes.testing",
    "pytest",
    "socket",
)


def members(name: str) -> dict[str, object]:
    """Find what a public class of ours offers, with what it inherits from us."""
    found: dict[str, object] = {}
    for cls in reversed(inspect.getmro(getattr(inproc_tubes, name))):
        if cls.__module__.startswith("inproc_tubes."):
            found |= vars(cls)
    return {key: value for key, value in found.items() if not key.startswith("_")}


CLASSES = [
    name
    for name in inproc_tubes.__all__
    if inspect.isclass(getattr(inproc_tubes, name))
]
# Functions and properties; a plain value or a slot has its line in the class docstring.
DOCUMENTED = [
    pytest.param(member, id=f"{name}.{key}")
    for name in CLASSES
    for key, member in members(name).items()
    if inspect.isroutine(member) or isinstance(member, property)
]
COSTED = [
    pytest.param(member, id=f"{name}.{key}")
    for name in VERBS
    for key, member in members(name).items()
    if inspect.isfunction(member) and not inspect.iscoroutinefunction(member)
]
TWINS = [
    pytest.param(name, key, member, id=f"{name}.{key}")
    for name in VERBS
    for key, member in members(name).items()
    if inspect.iscoroutinefunction(member)
]


def test_all_is_sorted_and_without_repetition() -> None:
    assert sorted(set(inproc_tubes.__all__)) == list(inproc_tubes.__all__)


def test_all_is_all_there_is() -> None:
    public = {
        name
        for name, value in vars(inproc_tubes).items()
        if not name.startswith("_")
        and not inspect.ismodule(value)
        and name not in {"annotations", "TYPE_CHECKING"}  # not its own
    }
    assert public | inproc_tubes._LATE.keys() == set(inproc_tubes.__all__)


@pytest.mark.parametrize("name", [*errors.__all__, *VERBS])
def test_a_public_class_is_within_reach(name: str) -> None:
    assert name in inproc_tubes.__all__


@pytest.mark.parametrize("name", VERBS)
def test_every_verb_is_there(name: str) -> None:
    assert set() == VERBS[name] - members(name).keys()


@pytest.mark.parametrize("name", inproc_tubes.__all__)
def test_every_public_name_is_documented(name: str) -> None:
    # Its own: a class without one would show what it inherits, or nothing.
    assert getattr(inproc_tubes, name).__doc__


@pytest.mark.parametrize("member", DOCUMENTED)
def test_every_public_method_is_documented(member: object) -> None:
    assert member.__doc__


@pytest.mark.parametrize("verb", COSTED)
def test_every_verb_tells_its_cost(verb: object) -> None:
    lines = inspect.cleandoc(verb.__doc__ or "").splitlines()
    assert any(line.startswith("Cost: ") for line in lines)


@pytest.mark.parametrize(("name", "key", "verb"), TWINS)
def test_a_verb_that_is_awaited_is_the_twin_of_one_that_is_not(
    name: str, key: str, verb: Callable[..., object]
) -> None:
    one = name.removeprefix("Async")
    key = key.removeprefix("async_")
    assert f"Same as `{one}.{key}`, awaited." == verb.__doc__
    twin = inspect.signature(members(one)[key])  # type: ignore[arg-type]  # a function
    assert twin == inspect.signature(verb)


def test_importing_the_package_is_cheap() -> None:
    script = """
import sys
sys.path[:0] = sys.argv[1:]
import inproc_tubes
print(*sys.modules)
"""
    paths = {
        str(Path(module.__file__).parents[1])
        for module in (inproc_tubes, sortedcontainers)
        if module.__file__ is not None
    }
    result = subprocess.run(  # noqa: S603  # our own script
        # Without `site`, which may import anything on behalf of other packages.
        [sys.executable, "-I", "-S", "-c", script, *sorted(paths)],
        capture_output=True,
        check=True,
        text=True,
    )
    loaded = result.stdout.split()
    assert "inproc_tubes" in loaded
    assert [] == [name for name in ON_DEMAND if name in loaded]
