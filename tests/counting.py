"""Count what a verb does, where a stopwatch would measure how busy the machine is.

Three things are counted: comparisons of what jobs and moments are sorted by, calls of
functions, and the objects that are read or changed. The collector is off meanwhile.
"""

from __future__ import annotations

import gc
from collections import Counter
from contextlib import contextmanager
from cProfile import Profile
from importlib import import_module
from itertools import count
from typing import TYPE_CHECKING, Any

from inproc_tubes.core.engine import Engine
from inproc_tubes.core.making import new_job
from tests.engine_driver import verb_on

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pytest

    from inproc_tubes.core.job import Job
    from inproc_tubes.core.record import AnyJob
    from inproc_tubes.core.requests import ReserveRequest

    Verb = Callable[..., object]


@contextmanager
def no_collector() -> Iterator[None]:
    """Keep finalisers, which the collector may run at any time, out of a count."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def names(n: int) -> list[str]:
    """Return the names of so many tubes."""
    return [f"tube-{i}" for i in range(n)]


# Comparisons

_comparisons = count()
_OPERATORS = ("__lt__", "__le__", "__gt__", "__ge__", "__eq__", "__ne__")


def _compare(base: type, operator: str) -> Callable[[Any, Any], Any]:
    original = getattr(base, operator)

    def compare(one: Any, other: Any) -> Any:
        next(_comparisons)
        return original(one, other)

    return compare


def _compared(base: type) -> dict[str, Any]:
    operators = {operator: _compare(base, operator) for operator in _OPERATORS}
    return operators | {"__hash__": base.__hash__}


# Of dicts, because nothing else differs between the six methods.
_Number: Any = type("_Number", (int,), _compared(int))
_Moment: Any = type("_Moment", (float,), _compared(float))


class Number(_Number):  # type: ignore[misc]  # it is made in this very module
    """An int for ids and priorities, whose comparisons are counted.

    Those of the keys that are made of a priority and an id are counted as well.
    """

    def __lshift__(self, bits: int) -> Number:
        return Number(int.__lshift__(self, bits))

    def __or__(self, other: int) -> Number:
        return Number(int.__or__(self, other))


class Moment(_Moment):  # type: ignore[misc]  # as above
    """A float for moments, whose comparisons are counted, and those of its sums."""

    def __add__(self, seconds: float) -> Moment:
        return Moment(float.__add__(self, seconds))

    def __sub__(self, seconds: float) -> Moment:
        return Moment(float.__sub__(self, seconds))


def compared(verb: Verb, *args: Any, **named: Any) -> int:
    """Return how often numbers and moments are compared in a verb."""
    with no_collector():
        before = next(_comparisons)
        verb(*args, **named)
        return next(_comparisons) - before - 1


class Holder:
    """What calls the verbs of a reserved job. Here nothing does."""

    def __init__(self, jobs: object) -> None:
        self._jobs = jobs


class CountedEngine:
    """An engine in which every number that sorts jobs counts its comparisons.

    One session puts into the tube "default", and one reserves from it. With the types
    of plain numbers there are no calls but the engine's own.
    """

    def __init__(self, number: Any = Number, moment: Any = Moment) -> None:
        self._number = number
        self._moment = moment
        self.engine = Engine()
        ids: Any = map(number, count(1))
        self.engine.ids = self.engine.store.ids = ids
        self.now: float = moment(100)
        self.producer = self.engine.open_session(self.now, "default", ())
        self.consumer = self.engine.open_session(self.now, None, ["default"])
        self.consumer.holder = Holder(self.engine.jobs)  # type: ignore[assignment]  # see there
        self.engine.turn.unfinished = None

    def to(self, moment: float) -> None:
        """Let time pass until then, as the next verb of a shell would."""
        self.now = self._moment(moment)
        self.engine.catch_up(self.now)

    def job(self, priority: int = 7, delay: float = 0, ttr: float = 60) -> Job:
        """Return a new job."""
        return new_job("body", self._number(priority), delay, ttr)

    def put(
        self,
        priority: int = 7,
        delay: float = 0,
        ttr: float = 60,
        *,
        tube: str | None = None,
    ) -> int:
        """Put a job, and return its id."""
        job = self.job(priority, delay, ttr)
        return self.engine.put(self.now, self.producer, job, tube)

    def fill(self, n: int, delay: float = 0, ttr: float = 60) -> list[int]:
        """Put so many jobs of one priority, and return their ids."""
        jobs: list[AnyJob] = [self.job(7, delay, ttr) for _ in range(n)]
        ids = self.engine.put_many(self.now, self.producer, jobs, None)
        assert ids is not None  # the tube has no limit
        return ids

    def reserve(self) -> Job | None:
        """Reserve a job, if there is one."""
        return self.engine.reserve(self.now, self.consumer, 0)

    def reserve_all(self, n: int) -> list[Job]:
        """Reserve so many jobs."""
        return self.engine.reserve_many(self.now, self.consumer, n, 0)

    def wait(self, request: ReserveRequest) -> None:
        """Let a reserve wait."""
        self.engine.wait_to_reserve(self.now, request)

    def do(self, verb: str, *args: Any) -> Any:
        """Call a verb of the engine with what the consumer holds."""
        return verb_on(self.engine, verb)(self.now, self.consumer, *args)


# Calls


def called(verb: Verb, *args: Any) -> Counter[str]:
    """Return how often each function is called in a verb, built-in ones too.

    It takes a profiler that is written in C: a hook in Python would interfere with what
    measures coverage.
    """
    profile = Profile()
    with no_collector():
        profile.enable()
        verb(*args)
        profile.disable()
    calls: Counter[str] = Counter()
    for entry in profile.getstats():
        # The built-in ones have no code, but a name.
        name = getattr(entry.code, "co_qualname", entry.code)
        calls[str(name)] += entry.callcount
    return calls


# Objects

# The modules that make objects of a class, by its name.
_MADE_IN = {
    "Tube": ["core.store"],
    "WatchSet": ["core.reserve_queue"],
    "MadeJob": ["core.making"],
    "PeekedJob": ["core.making"],
    "Session": ["core.clients", "monitor"],
    "ReserveRequest": ["core.requests", "turns"],
    "PutRequest": ["core.requests", "producer"],
    "JoinRequest": ["core.requests", "broker"],
}


class Touches:
    """Knows which objects of these classes are read or changed.

    Whatever goes through many of them is found out, however it does so.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._touched: set[object] = set()
        for name, modules in _MADE_IN.items():
            first = import_module(f"inproc_tubes.{modules[0]}")
            watched = self._watched(getattr(first, name))
            for module in modules:
                monkeypatch.setattr(f"inproc_tubes.{module}.{name}", watched)

    def _watched(self, cls: Any) -> type:
        touched = self._touched

        def get(one: Any, name: str) -> Any:
            touched.add(one)
            return cls.__getattribute__(one, name)

        def put(one: Any, name: str, value: Any) -> None:
            touched.add(one)
            cls.__setattr__(one, name, value)

        return type(cls.__name__, (cls,), {"__getattribute__": get, "__setattr__": put})

    def count(self, verb: Verb, *args: Any) -> dict[str, int]:
        """Return how many of each class are touched in a verb."""
        with no_collector():
            self._touched.clear()
            verb(*args)
        return dict(Counter(type(one).__name__ for one in self._touched))
