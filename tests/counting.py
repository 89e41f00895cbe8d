"""Count what a verb does, where a stopwatch would tell how busy the machine is.

Three things are counted: comparisons of what jobs and moments are sorted by, calls of
functions, and the objects that are looked at or changed in any way.
"""

from __future__ import annotations

import gc
from collections import Counter
from contextlib import contextmanager
from cProfile import Profile
from itertools import count
from typing import TYPE_CHECKING, Any

from inproc_tubes.engine import Engine
from inproc_tubes.job import Record, new_record
from inproc_tubes.session import Session
from inproc_tubes.tube import Tube
from inproc_tubes.waiting import Waiter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pytest

    Verb = Callable[..., object]


@contextmanager
def uncollected() -> Iterator[None]:
    """Keep finalisers, which the collector may run at any time, out of all counts."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


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


# Of dicts, because there is nothing to tell the six methods apart.
_Number: Any = type("_Number", (int,), _compared(int))
_Moment: Any = type("_Moment", (float,), _compared(float))


class Number(_Number):  # type: ignore[misc]  # it is made in this very module
    """An int for ids and priorities, whose comparisons are counted."""

    def __add__(self, other: int) -> Number:
        return Number(int.__add__(self, other))


class Moment(_Moment):  # type: ignore[misc]  # as above
    """A float for moments, whose comparisons are counted, and those of its sums."""

    def __add__(self, seconds: float) -> Moment:
        return Moment(float.__add__(self, seconds))

    def __sub__(self, seconds: float) -> Moment:
        return Moment(float.__sub__(self, seconds))


def compared(verb: Verb, *args: Any, **named: Any) -> int:
    """Return how often numbers and moments are compared in a verb."""
    before = next(_comparisons)
    verb(*args, **named)
    return next(_comparisons) - before - 1


class Line:
    """An engine in which every number that sorts jobs counts its comparisons.

    One client puts into the tube "default", and one reserves from it. With the types
    of plain numbers there are no calls but the engine's own.
    """

    def __init__(self, number: Any = Number, moment: Any = Moment) -> None:
        self._number = number
        self._moment = moment
        self.engine = Engine()
        self.engine.ids = map(number, count(1))  # type: ignore[assignment]  # as count
        self.engine._reservations = number(0)
        self.now: float = moment(100)
        self.producer = self.engine.open_session(self.now, "default", ())
        self.consumer = self.engine.open_session(self.now, None, ["default"])

    def to(self, moment: float) -> None:
        """Let time pass until then, as the next verb of a shell would."""
        self.now = self._moment(moment)
        self.engine.catch_up(self.now)

    def put(
        self,
        priority: int = 7,
        delay: float = 0,
        ttr: float = 60,
        *,
        tube: str | None = None,
    ) -> int:
        """Put a job, and return its id."""
        numbers = (self._number(priority), delay, ttr)
        return self.engine.put(self.now, self.producer, tube, "body", *numbers)

    def leave_at_the_door(self) -> None:
        """Put a job as a producer does while nobody waits."""
        tube = self.producer.used
        numbers = (self._number(7), 0, 60, self.now)
        record = new_record(next(self.engine.ids), "body", tube, *numbers)
        self.engine.inbox.append(record)

    def fill(self, n: int, delay: float = 0, ttr: float = 60) -> list[int]:
        """Put so many jobs of one priority, and return their ids."""
        numbers = (self._number(7), delay, ttr)
        bodies: list[Any] = ["body"] * n
        put_many = self.engine.put_many
        ids = put_many(self.now, self.producer, None, bodies, *numbers)
        assert ids is not None  # as the tube has no limit
        return ids

    def reserve(self) -> Record | None:
        """Reserve a job, if there is one."""
        return self.engine.reserve(self.now, self.consumer, 0)

    def reserve_all(self, n: int) -> list[Record]:
        """Reserve so many jobs."""
        return self.engine.reserve_many(self.now, self.consumer, n, 0)

    def do(self, verb: str, *args: Any) -> Any:
        """Call a verb of the engine with what the consumer holds."""
        return getattr(self.engine, verb)(self.now, self.consumer, *args)


# Calls


def called(verb: Verb, *args: Any) -> Counter[str]:
    """Return how often each function is called in a verb, built-in ones too.

    It takes a profiler that is written in C: a hook in Python would be in the way of
    what measures coverage.
    """
    profile = Profile()
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

# {a class: the names by which it is called}
_MADE_BY = {
    Tube: ["ledger.Tube"],
    Record: ["job.Record", "producer.Record", "batches.Record"],
    Session: ["engine.Session"],
    Waiter: ["waiting.Waiter", "consumer.Waiter"],
}


class Touches:
    """Knows which tubes, jobs, clients and waiters are read or changed.

    Whatever goes through many of them gives itself away, however it does so.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._touched: set[object] = set()
        self._patch = monkeypatch
        for cls, names in _MADE_BY.items():
            noting = self._noting(cls)
            for name in names:
                monkeypatch.setattr(f"inproc_tubes.{name}", noting)

    def _noting(self, cls: Any) -> type:
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
        self._touched.clear()
        verb(*args)
        return dict(Counter(type(one).__name__ for one in self._touched))
