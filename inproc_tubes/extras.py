"""What is said where a package is missing that an extra brings along."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["from_extra"]


@contextmanager
def from_extra(name: str) -> Iterator[None]:
    """Guard the imports of a with-block: what is missing there, the extra has.

    Args:
        name: The extra.

    Raises:
        ModuleNotFoundError: It is not installed; the text says how to.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        message = f"{error.msg}: pip install 'inproc_tubes[{name}]'"
        raise ModuleNotFoundError(message, name=error.name) from error
