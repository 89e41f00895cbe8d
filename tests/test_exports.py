"""The public face: complete, documented, and cheap to import."""

from __future__ import annotations

import inspect
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

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
        "find",
        "kick",
        "kick_job",
        "delete",
        "pause_tube",
        "limit_tube",
        "limit_tries",
        "move",
        "update",
        "bury",
        "jobs",
        "clear_tube",
        "join",
        "drain",
        "close",
        "subscribe",
        "events",
    },
    "Producer": {"put", "put_many", "submit", "use", "using", "close"},
    "Consumer": {
        "watch",
        "ignore",
        "watching",
        "reserve",
        "reserve_many",
        "reserve_nowait",
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
    "inproc_tubes.async_consumer",
    "inproc_tubes.async_producer",
    "inproc_tubes.core.event",
    "inproc_tubes.core.event_log",
    "inproc_tubes.core.statistics",
    "inproc_tubes.event_stream",
    "inproc_tubes.fakes",
    "greenstalk",
    "inproc_tubes.portable",
    "inproc_tubes.protocol",
    "inproc_tubes.pytest_plugin",
    "inproc_tubes.remote",
    "inproc_tubes.subscriptions",
    "inproc_tubes.telling",
    "inproc_tubes.testing",
    "inproc_tubes.waiting.coroutines",
    "inproc_tubes.worker",
    "inspect",
    "logging",
    "pytest",
    "socket",
)

# Where users import from, beside the package itself.
PATHS = (
    "inproc_tubes.fakes",
    "inproc_tubes.fakes.beanstalk",
    "inproc_tubes.logs",
    "inproc_tubes.metrics",
    "inproc_tubes.protocol",
    "inproc_tubes.pytest_plugin",
    "inproc_tubes.remote",
    "inproc_tubes.testing",
    "inproc_tubes.tracing",
    "inproc_tubes.worker",
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
    if not name.startswith("Any")  # types alone: the verbs are described where they are
    for key, member in members(name).items()
    if inspect.isroutine(member) or isinstance(member, property)
]
COSTED = [
    pytest.param(member, id=f"{name}.{key}")
    for name in VERBS
    for key, member in members(name).items()
    if inspect.isfunction(member)
]
AWAITED = [
    pytest.param(name, key, member, id=f"{name}.{key}")
    for name in VERBS
    for key, member in members(name).items()
    if inspect.iscoroutinefunction(member)
]
PLAIN = [
    pytest.param(name, key, member, id=f"{name}.{key}")
    for name in ("AsyncProducer", "AsyncConsumer")
    for key, member in members(name).items()
    if inspect.isfunction(member) and not inspect.iscoroutinefunction(member)
]


class Text(NamedTuple):
    """A docstring: its first line, its sections by their headings, and all of it."""

    summary: str
    sections: dict[str, str]
    whole: str


def text_of(member: object) -> Text:
    """Divide a docstring into its sections, in Google's style."""
    whole = inspect.cleandoc(member.__doc__ or "")
    sections: dict[str, str] = {}
    for paragraph in whole.split("\n\n")[1:]:
        heading, _, rest = paragraph.partition("\n")
        if heading in {"Args:", "Returns:", "Raises:"}:
            sections[heading] = rest
    return Text(whole.partition("\n")[0], sections, whole)


def twin_of(name: str, key: str) -> Callable[..., object]:
    """Return the verb for threads that is the same as one for coroutines."""
    twin = members(name.removeprefix("Async"))[key.removeprefix("async_")]
    assert inspect.isfunction(twin)
    return twin


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
    assert public | inproc_tubes._MODULE_OF.keys() == set(inproc_tubes.__all__)


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
    lines = text_of(verb).whole.splitlines()
    assert any(line.startswith("Cost: ") for line in lines)


@pytest.mark.parametrize("verb", COSTED)
def test_a_verb_with_several_arguments_tells_them_all(
    verb: Callable[..., object],
) -> None:
    arguments = list(inspect.signature(verb).parameters)[1:]
    told = text_of(verb).sections.get("Args:", "")
    missing = [name for name in arguments if f"{name}: " not in told]
    assert len(arguments) < 2 or [] == missing


@pytest.mark.parametrize(("name", "key", "verb"), [*AWAITED, *PLAIN])
def test_a_verb_for_coroutines_takes_what_its_twin_takes(
    name: str, key: str, verb: Callable[..., object]
) -> None:
    twin = inspect.signature(twin_of(name, key))
    own = inspect.signature(verb)
    assert twin.parameters == own.parameters
    # A handle that may wait in either way returns something to be awaited, or not.
    either = {f"{own.return_annotation} | {wait}" for wait in ("W", "M")}
    assert twin.return_annotation in {own.return_annotation, *either}


@pytest.mark.parametrize(("name", "key", "verb"), AWAITED)
def test_a_verb_that_is_awaited_says_all_that_its_twin_does(
    name: str, key: str, verb: Callable[..., object]
) -> None:
    twin = f"{name.removeprefix('Async')}.{key.removeprefix('async_')}"
    own, other = text_of(verb), text_of(twin_of(name, key))
    assert f"The same as `{twin}`, awaited." in own.whole
    assert "cancelled" in own.whole
    assert own.summary == other.summary
    assert own.sections.keys() == other.sections.keys()
    assert own.sections.get("Raises:") == other.sections.get("Raises:")


@pytest.mark.parametrize(("name", "key", "verb"), PLAIN)
def test_a_verb_that_need_not_be_awaited_says_the_same_as_its_twin(
    name: str, key: str, verb: Callable[..., object]
) -> None:
    assert text_of(verb) == text_of(twin_of(name, key))


@pytest.mark.parametrize("name", ["AsyncProducer", "AsyncConsumer"])
def test_a_handle_for_coroutines_has_the_properties_of_its_twin(name: str) -> None:
    own, twin = (
        {
            key: text_of(member)
            for key, member in members(each).items()
            if isinstance(member, property)
        }
        for each in (name, name.removeprefix("Async"))
    )
    assert own == twin


@pytest.mark.parametrize("path", PATHS)
def test_a_public_path_says_what_there_is(path: str) -> None:
    module = import_module(path)
    names = module.__all__
    assert sorted(set(names)) == list(names)
    assert module.__doc__
    assert all(getattr(module, name).__doc__ for name in names)


def test_a_name_that_does_not_exist_is_an_attribute_error() -> None:
    name = "no_such_name"
    with pytest.raises(
        AttributeError, match=r"^module 'inproc_tubes' has no attribute 'no_such_name'$"
    ):
        getattr(inproc_tubes, name)


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
