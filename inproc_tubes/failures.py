"""How the exception that a job was given up for becomes text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .core.failure import Failure

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["failure_of"]

# Characters of a text or a traceback that are kept: dozens of frames, and yet a tube may
# have thousands of buried jobs.
_KEPT = 16_000

# A class of these is called by its name alone, as in a traceback.
_UNNAMED_MODULES = ("builtins", "__main__")


def failure_of(error: object) -> Failure:
    """Return an exception as text.

    To be called without the lock: it calls methods of the exception. Where they raise,
    their part of the text says so.

    Raises:
        TypeError: It is no exception.

    Cost: that of formatting its traceback.
    """
    if not isinstance(error, BaseException):
        message = f"an error is an exception, not {type(error).__name__}"
        raise TypeError(message)
    return Failure(
        _text_of(_name_of, error), _text_of(str, error), _text_of(_traceback_of, error)
    )


def _text_of(render: Callable[[BaseException], str], error: BaseException) -> str:
    try:
        # Nothing of a subclass of str, either.
        text = "".join(("", render(error)))
    except Exception:  # noqa: BLE001 - whatever a user's method raises
        return "<not to be had: formatting it has failed>"
    return text if len(text) <= _KEPT else f"[...]{text[-_KEPT:]}"


def _name_of(error: BaseException) -> str:
    kind = type(error)
    if kind.__module__ in _UNNAMED_MODULES:
        return kind.__qualname__
    return f"{kind.__module__}.{kind.__qualname__}"


def _traceback_of(error: BaseException) -> str:
    import traceback  # noqa: PLC0415 - slow to import, for one whose jobs do not fail

    return "".join(traceback.format_exception(error))
