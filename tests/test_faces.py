"""What an editor and an error show of the public classes: their own names."""

from __future__ import annotations

import inspect
import pickle
from importlib import import_module
from types import FunctionType
from typing import TYPE_CHECKING

import pytest

from inproc_tubes import (
    AsyncConsumer,
    AsyncProducer,
    Broker,
    Consumer,
    EventStream,
    Job,
    JobFuture,
    Producer,
    Subscription,
)
from inproc_tubes.verbs import adopt_verbs
from inproc_tubes.worker import AsyncWorker, Worker

if TYPE_CHECKING:
    from collections.abc import Callable

MODULES = [
    "inproc_tubes.logs",
    "inproc_tubes.remote",
    "inproc_tubes.metrics",
    "inproc_tubes.tracing",
    "inproc_tubes.terminal",
    "inproc_tubes.dashboard",
    "inproc_tubes",
    "inproc_tubes.doctor",
    "inproc_tubes.fakes",
    "inproc_tubes.protocol",
    "inproc_tubes.testing",
    "inproc_tubes.worker",
]
CLASSES = {
    f"{module}.{name}": getattr(import_module(module), name)
    for module in MODULES
    for name in import_module(module).__all__
    if inspect.isclass(getattr(import_module(module), name))
}


def functions(cls: type) -> dict[str, FunctionType]:
    """Return what a class offers that is written in Python, in this package."""
    found = {}
    for name in dir(cls):
        member = inspect.getattr_static(cls, name)
        function = getattr(member, "__func__", getattr(member, "fget", member))
        if (
            not name.startswith("_")
            and isinstance(function, FunctionType)
            and function.__module__.startswith("inproc_tubes")
        ):
            found[name] = function
    return found


# A protocol is for type checkers: nobody calls its methods.
VERBS = {
    f"{name}.{verb}": (cls, verb, function)
    for name, cls in CLASSES.items()
    if not vars(cls).get("_is_protocol")
    for verb, function in functions(cls).items()
}


def test_there_are_verbs_of_every_kind() -> None:
    expected = {
        "inproc_tubes.AsyncConsumer.reserve",
        "inproc_tubes.Consumer.delete",
        "inproc_tubes.Consumer.name",
        "inproc_tubes.JobStats.as_dict",
        "inproc_tubes.fakes.FakeBeanstalkd.listen",
        "inproc_tubes.testing.FakeClock.advance",
        "inproc_tubes.worker.AsyncWorker.every",
    }
    assert VERBS.keys() > expected


@pytest.mark.parametrize("name", VERBS)
def test_a_verb_has_the_name_of_its_public_class(name: str) -> None:
    cls, verb, function = VERBS[name]
    assert f"{cls.__name__}.{verb}" == function.__qualname__
    assert cls.__module__ == function.__module__


@pytest.mark.parametrize("name", VERBS)
def test_a_wrong_argument_is_told_with_the_public_class(name: str) -> None:
    cls, verb, function = VERBS[name]
    with pytest.raises(TypeError, match=rf"^{cls.__name__}\.{verb}\(\) "):
        function(None, no_such_argument=1)


@pytest.mark.parametrize(
    "name", [name for name, (cls, _, _) in VERBS.items() if cls in {Consumer, Worker}]
)
def test_a_verb_is_pickled_by_the_name_of_its_class(name: str) -> None:
    cls, verb, _ = VERBS[name]
    member = getattr(cls, verb)
    if not isinstance(member, property):
        assert pickle.loads(pickle.dumps(member)) is member  # noqa: S301 - our own


class Base:
    kind = "a plain value"

    def verb(self, number: int, *, word: str = "a") -> str:
        """Do something."""
        return word * number

    def other(self) -> str:
        return "of the base"

    @property
    def name(self) -> str:
        """What it is called."""
        return "base"


class Face(Base):
    def other(self) -> str:
        return f"own, not {super().other()}"


Base.verb.__dict__["mark"] = 1
Base.__module__ = Face.__module__ = "inproc_tubes.face"
adopt_verbs(Face)


def test_what_is_adopted_is_as_it_was() -> None:
    copy = vars(Face)["verb"]
    assert inspect.signature(Base.verb) == inspect.signature(copy)
    assert (Base.verb.__doc__, 1) == (copy.__doc__, copy.mark)
    assert Base.verb.__code__ is copy.__code__
    assert "aa" == Face().verb(2)
    assert "bb" == Face().verb(2, word="b")
    assert "base" == Face().name
    assert Base.name.__doc__ == Face.name.__doc__
    assert "kind" not in vars(Face)


def test_what_a_class_has_of_its_own_is_not_replaced() -> None:
    assert "own, not of the base" == Face().other()


def test_the_base_keeps_its_name() -> None:
    assert "Base.verb" == Base.verb.__qualname__


# What is not made by users

MAKERS: dict[Callable[..., object], str] = {
    Job: "a Job is made by Producer.put(), and handed out by Consumer.reserve()",
    Producer: "a Producer is made by Broker.producer()",
    Consumer: "a Consumer is made by Broker.consumer()",
    AsyncProducer: "an AsyncProducer is made by Broker.async_producer()",
    AsyncConsumer: "an AsyncConsumer is made by Broker.async_consumer()",
    JobFuture: "a JobFuture is made by Producer.submit()",
    Subscription: "a Subscription is made by Broker.subscribe()",
    EventStream: "an EventStream is made by Broker.events()",
}


@pytest.mark.parametrize("cls", MAKERS, ids=lambda cls: cls.__name__)
def test_a_class_that_users_do_not_call_says_who_makes_it(
    cls: Callable[..., object],
) -> None:
    for arguments in ((), ("orders",)):
        with pytest.raises(TypeError) as caught:
            cls(*arguments)
        assert MAKERS[cls] == str(caught.value)
    with pytest.raises(TypeError, match=r"^an? \w+ is made by "):
        cls(tube="orders")


def test_a_job_is_called_a_job() -> None:
    with Broker() as broker:
        broker.producer().put("body")
        job = broker.consumer().reserve()
        assert isinstance(job, Job)
        assert ("Job", Job.__doc__) == (type(job).__name__, type(job).__doc__)
        assert Job.__module__ == type(job).__module__


# What an editor completes

# Private names of a class, `_is_protocol` of `Generic` among them, that are listed with
# the public ones. Speed needs some: a handle has what its turns need, one step nearer.
MOST = {Broker: 12, Consumer: 14, AsyncConsumer: 4, AsyncProducer: 4, Job: 20}


@pytest.mark.parametrize("cls", [Broker, Consumer, AsyncConsumer, AsyncProducer, Job])
def test_private_names_are_few(cls: type) -> None:
    private = [
        name for name in dir(cls) if name.startswith("_") and not name.startswith("__")
    ]
    assert len(private) <= MOST[cls], private


def test_workers_have_no_more_than_they_need() -> None:
    for cls in (Worker, AsyncWorker):
        private = [n for n in dir(cls) if n.startswith("_") and n[1] != "_"]
        assert len(private) <= 4, private
