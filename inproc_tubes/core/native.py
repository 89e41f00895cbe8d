"""The core may be compiled: whether it is, and what a class tells the compiler.

See CONTRIBUTING.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from . import limits

if TYPE_CHECKING:
    # Whoever compiles has it: mypy brings it along.
    from mypy_extensions import mypyc_attr
else:
    C = TypeVar("C")

    def mypyc_attr(**_attributes: bool):  # noqa: ANN201 - typed above
        """Return a decorator that has no effect where nothing is compiled."""
        return lambda cls: cls


__all__ = ["compiled", "mypyc_attr"]

compiled: bool = not limits.__file__.endswith(".py")
"""Whether this is the compiled wheel. It has the same rules, and is faster."""
