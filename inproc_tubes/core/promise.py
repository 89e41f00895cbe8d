"""A promise: what becomes of a job, for whoever has submitted it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from .native import mypyc_attr

if TYPE_CHECKING:
    from inproc_tubes.errors import ClosedError

__all__ = ["Promise", "Resolvable"]


class Resolvable(Protocol):
    """What a submitter has in hand: a future."""

    def _resolve(self, promise: Promise) -> None:
        """Be done, as the promise says. A second call finishes a first one."""

    def _leave_to_parent(self, error: ClosedError) -> None:
        """Be done in a forked child, and tell nobody."""


@mypyc_attr(allow_interpreted_subclasses=True)
class Promise:
    """What becomes of a job that was submitted. What it says counts once it is due.

    Attributes:
        future: Who is told.
        result: What the job was finished with.
        error: What it has failed with for good, None if it has not.
        cancelled: Whether it has left the queue and nobody has done it.
        told: Whether the future was told.
        tickets: Those of the requests that wait for it, in their order.
    """

    __slots__ = ("cancelled", "error", "future", "result", "tickets", "told")

    def __init__(self, future: Resolvable) -> None:
        self.future: Resolvable = future
        self.told: bool = False
        self.tickets: dict[int, None] = {}
        self.reset()

    def reset(self) -> None:
        """Say what a plain delete comes to. Cost: O(1)."""
        self.result: object = None
        self.error: BaseException | None = None
        self.cancelled: bool = False
