"""The verbs that every public class has, and those that it inherits.

The classes behind the public ones share what they have in common by bases, which no user
knows. A function tells its errors by the class that it was written in:
``BaseProducer.put() missing 1 required positional argument: 'body'``. So a public class
has copies of the functions, which have its name and share their code. They are made as
the module is imported; a call costs the same.
"""

from __future__ import annotations

from types import FunctionType
from typing import NoReturn

__all__ = ["BELONGS_HERE", "adopt_verbs", "refuse_to_pickle"]

BELONGS_HERE = "it belongs to the threads of this process"
"""Why that cannot be pickled which holds no jobs."""


def adopt_verbs(cls: type) -> None:
    """Give a class a copy of each public method and property of its bases.

    Args:
        cls: A public class, whose bases of this package are not public. What comes from
            elsewhere is left alone, and so are functions that are compiled.
    """
    package = __name__.partition(".")[0]
    for base in cls.__mro__[1:]:
        if base.__module__.partition(".")[0] != package:
            continue
        for name, member in vars(base).items():
            if name.startswith("_") or name in vars(cls):
                continue
            if isinstance(member, FunctionType):
                setattr(cls, name, _copy(member, cls))
            elif isinstance(member, property):
                assert isinstance(member.fget, FunctionType)  # they are only read
                setattr(cls, name, property(_copy(member.fget, cls)))


def _copy(function: FunctionType, cls: type) -> FunctionType:
    """Return the same function as that of another class."""
    copy = FunctionType(
        function.__code__,
        function.__globals__,
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    copy.__kwdefaults__ = function.__kwdefaults__
    copy.__annotations__ = function.__annotations__
    copy.__doc__ = function.__doc__
    copy.__dict__.update(function.__dict__)
    copy.__module__ = cls.__module__
    copy.__qualname__ = f"{cls.__qualname__}.{function.__name__}"
    return copy


def refuse_to_pickle(
    self: object,
    _protocol: object,
    why: str = "its jobs live in this process, behind one lock",
) -> NoReturn:
    """Raise a TypeError. Serves as ``__reduce_ex__`` of all that lives in a process.

    Args:
        self: What is to be pickled or copied.
        why: Why it cannot be.
    """
    name = type(self).__name__
    article = "an" if name[0] in "AEIOU" else "a"
    message = f"{article} {name} can be neither pickled nor copied: {why}"
    raise TypeError(message)
