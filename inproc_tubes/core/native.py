"""What a class of the core tells a compiler. See `record.JobRecord`."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    # Whoever compiles has it: mypy brings it along.
    from mypy_extensions import mypyc_attr
else:
    C = TypeVar("C")

    def mypyc_attr(**_attributes: bool):  # noqa: ANN201 - typed above
        """Return a decorator that has no effect where nothing is compiled."""
        return lambda cls: cls


__all__ = ["mypyc_attr"]
