"""Every public function tells its arguments, as an editor shows them."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

import pytest

import inproc_tubes
from inproc_tubes import (
    dashboard,
    doctor,
    fakes,
    logs,
    metrics,
    protocol,
    remote,
    terminal,
    testing,
    tracing,
    worker,
)
from inproc_tubes.fakes.beanstalk import serverconn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

MODULES: tuple[ModuleType, ...] = (
    inproc_tubes,
    dashboard,
    doctor,
    fakes,
    logs,
    metrics,
    protocol,
    remote,
    serverconn,
    terminal,
    testing,
    tracing,
    worker,
)
# `Clock` tells what a clock's methods are given, once for all clocks; named tuples have
# methods of their own. What is refused has nothing to tell of its argument.
ELSEWHERE = {"MonotonicClock", "JobError", "Drained"}
# Types only: their methods refer to those of the classes in memory.
TYPES = (
    "AnyBroker",
    "AnyProducer",
    "AnyConsumer",
    "AnyAsyncProducer",
    "AnyAsyncConsumer",
)
HOOKS = {"attach", "park", "seconds_until"}
REFUSED = {"set_result", "set_exception"}


def methods() -> Iterator[tuple[str, Callable[..., object]]]:
    """Yield the public functions, and the public methods of all public classes."""
    for module in MODULES:
        for name in module.__all__:
            cls = getattr(module, name)
            if inspect.isfunction(cls):
                yield name, cls
            if not inspect.isclass(cls) or name in {*ELSEWHERE, *TYPES}:
                continue
            hooks = set() if name == "Clock" else HOOKS
            for verb, method in inspect.getmembers(cls, inspect.isfunction):
                if not verb.startswith("_") and verb not in hooks | REFUSED:
                    yield f"{name}.{verb}", method


METHODS = dict(methods())


def test_there_are_methods() -> None:
    assert METHODS.keys() > {
        "Producer.put",
        "AsyncConsumer.reserve",
        "Worker.run",
        "watch",
    }
    assert len(METHODS) > 100


@pytest.mark.parametrize("name", METHODS)
def test_a_public_function_tells_its_arguments(name: str) -> None:
    method = METHODS[name]
    doc = inspect.getdoc(method)
    assert doc, "it has no docstring"
    parameters = [
        each for each in inspect.signature(method).parameters if each != "self"
    ]
    if parameters:
        _, _, described = doc.partition("\nArgs:\n")
        missing = [each for each in parameters if f"    {each}: " not in described]
        assert not missing
    assert "Same as" not in doc


@pytest.mark.parametrize("name", TYPES)
def test_a_method_of_a_type_refers_to_the_one_that_is_described(name: str) -> None:
    cls = getattr(inproc_tubes, name)
    described = name.removeprefix("Any")
    plain = described.removeprefix("Async")
    for verb, method in inspect.getmembers(cls, inspect.isfunction):
        # At run time nothing is known of what is only declared in several ways.
        if verb.startswith("_") or method.__name__ == "_overload_dummy":
            continue
        # What awaits nothing is described with the handle for threads.
        names = {described, plain, "Broker"} if verb == "close" else {described, plain}
        expected = {f"See `{each}.{verb}`." for each in names}
        assert expected & set((inspect.getdoc(method) or "").splitlines())


# What a with-block and a for-loop call. An editor shows it at the word ``with``.
CALLED = {
    "__enter__",
    "__exit__",
    "__aenter__",
    "__aexit__",
    "__iter__",
    "__next__",
    "__aiter__",
    "__anext__",
}


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_what_a_block_or_a_loop_calls_tells_what_it_does(module: ModuleType) -> None:
    missing = [
        f"{name}.{verb}"
        for name in module.__all__
        if inspect.isclass(cls := getattr(module, name)) and name not in TYPES
        for verb, method in inspect.getmembers(cls, inspect.isfunction)
        if verb in CALLED
        and method.__module__.startswith("inproc_tubes.")
        and not method.__doc__
    ]
    assert [] == missing
