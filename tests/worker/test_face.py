"""What a user sees of workers is documented, and the two kinds are as alike as can be."""

from __future__ import annotations

import inspect
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from inproc_tubes.worker import AsyncWorker, Backoff, Bury, Retry, Worker
from tests.test_exports import text_of

if TYPE_CHECKING:
    from collections.abc import Callable

THREADS_ONLY = {"run_pending", "run_until_empty"}


def public(cls: type[Any]) -> dict[str, Any]:
    return {
        name: inspect.getattr_static(cls, name)
        for name in dir(cls)
        if not name.startswith("_")
    }


VERBS = [
    pytest.param(verb, id=f"{cls.__name__}.{name}")
    for cls in (Worker, AsyncWorker, Backoff)
    for name, verb in public(cls).items()
    if inspect.isfunction(verb)
]


def test_the_two_kinds_have_the_same_verbs() -> None:
    assert THREADS_ONLY == public(Worker).keys() - public(AsyncWorker).keys()
    assert set() == public(AsyncWorker).keys() - public(Worker).keys()


@pytest.mark.parametrize("name", public(AsyncWorker))
def test_a_verb_of_the_one_kind_is_that_of_the_other(name: str) -> None:
    one, other = public(Worker)[name], public(AsyncWorker)[name]
    assert inspect.signature(one) == inspect.signature(other)
    assert text_of(one).summary == text_of(other).summary
    assert (
        text_of(one).sections["Raises:"].splitlines()[0]
        == (text_of(other).sections["Raises:"].splitlines()[0])
    )


def test_the_two_kinds_are_made_of_the_same_arguments() -> None:
    one = dict(inspect.signature(Worker).parameters)
    other = dict(inspect.signature(AsyncWorker).parameters)
    del one["threads"], other["tasks"]
    assert one == other


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_tells_its_arguments_and_its_cost(verb: Callable[..., Any]) -> None:
    text = text_of(verb)
    assert any(line.startswith("Cost: ") for line in text.whole.splitlines())
    arguments = list(inspect.signature(verb).parameters)[1:]
    told = text.sections.get("Args:", "")
    assert [] == [name for name in arguments if f"{name}: " not in told]


@pytest.mark.parametrize("cls", [Worker, AsyncWorker, Backoff, Retry, Bury])
def test_every_class_tells_its_arguments(cls: type[Any]) -> None:
    told = text_of(cls).sections["Args:"]
    arguments = inspect.signature(cls).parameters
    assert [] == [name for name in arguments if f"{name}: " not in told]


def test_a_worker_of_threads_does_not_import_asyncio() -> None:
    script = """
import sys
from inproc_tubes import Broker, Job
from inproc_tubes.worker import Worker
broker = Broker()
broker.producer().put("scarf")
with Worker(broker, {"default": Job.delete}):
    broker.join()
print("asyncio" in sys.modules)
"""
    result = subprocess.run(  # noqa: S603  # our own script
        [sys.executable, "-c", script], capture_output=True, check=True, text=True
    )
    assert "False\n" == result.stdout
