"""What becomes of a job that fails: `Backoff`, and what a handler may raise instead."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING

from inproc_tubes.checks import (
    check_duration,
    check_integer,
    check_number,
    check_priority,
    check_seconds,
)

if TYPE_CHECKING:
    from random import Random

__all__ = ["Backoff", "Bury", "Retry"]

_PUBLIC = "inproc_tubes.worker"  # what `Job.error` calls the module of an exception

_MAX_FACTOR = 2**32 - 1  # far more than anybody wants: it is the longest delay, too


@dataclass(frozen=True)
class Backoff:
    """How often a failed job is tried, and how long it waits before each new try.

    After the first try it waits for ``first`` seconds, and after each later try
    ``factor`` times as long as before, but never longer than ``max_delay``. Each delay
    is shortened by a random part, up to the fraction ``jitter`` of it, so that jobs
    that have failed together are not tried together again.

    A job that has failed ``max_tries`` times is buried. After a kick it may be tried as
    often again. Every reservation of a job counts as a try, also one that has expired,
    or that was given back because its worker had to stop.

    Args:
        first: Seconds after the first try.
        factor: 1 or more; 1 makes all delays the same.
        max_delay: The longest delay in seconds.
        jitter: From 0, for the exact delays, to 1.
        max_tries: 1 or more; None for any number.
        random: The generator for the jitter. A `random.Random` with a seed makes it the
            same each time.

    Raises:
        TypeError: One of them has the wrong type.
        ValueError: One of them is out of its range.
    """

    first: float = 1
    factor: float = 2
    max_delay: float = 300
    jitter: float = 0.1
    max_tries: int | None = 5
    random: Random | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_seconds("first", self.first)
        check_number("factor", self.factor, 1, _MAX_FACTOR)
        check_seconds("max_delay", self.max_delay)
        check_number("jitter", self.jitter, 0, 1)
        if self.max_tries is not None:
            check_integer("max_tries", self.max_tries, 1, inf)
        if self.random is not None and not callable(
            getattr(self.random, "random", None)
        ):
            message = f"random is a random.Random, not {type(self.random).__name__}"
            raise TypeError(message)

    def allows(self, tries: int, kicks: int = 0) -> bool:
        """Tell whether a job that has failed may be tried again.

        Args:
            tries: How often it was tried, this time included.
            kicks: How often it was kicked. Each kick allows ``max_tries`` more.

        Cost: O(1).
        """
        return self.max_tries is None or tries < self.max_tries * (1 + kicks)

    def delay(self, tries: int, kicks: int = 0) -> float:
        """Return for how many seconds a job that has failed waits.

        Args:
            tries: How often it was tried, this time included.
            kicks: How often it was kicked. Each kick begins with ``first`` again.

        Cost: O(1).
        """
        if self.max_tries is not None:
            tries = max(1, tries - self.max_tries * kicks)
        try:
            delay = self.first * float(self.factor) ** (tries - 1)
        except OverflowError:
            delay = self.max_delay if self.first else 0.0
        rng: Random | None = self.random
        drawn = random.random() if rng is None else rng.random()  # noqa: S311 - no secret
        return min(delay, self.max_delay) * (1 - self.jitter * drawn)


class Retry(Exception):  # noqa: N818 - it is no error, but an order
    """Raised by a handler to give the job back, and try it again later.

    It is tried again however often it was tried before.

    Args:
        delay: Seconds until it is ready again; None for what the handler's `Backoff`
            says, or 0 if it has none.
        priority: Its new priority; None keeps the present one.

    Raises:
        TypeError: One of them is not a number.
        ValueError: One of them is out of its range.
    """

    __module__ = _PUBLIC

    def __init__(self, delay: float | None = None, priority: int | None = None) -> None:
        super().__init__(delay, priority)
        self.delay: float | None = (
            None if delay is None else check_duration("delay", delay)
        )
        self.priority: int | None = (
            None if priority is None else check_priority(priority)
        )

    def __str__(self) -> str:
        return "" if self.delay is None else f"in {self.delay:g} s"


class Bury(Exception):  # noqa: N818 - as above
    """Raised by a handler to bury the job at once, as another try makes no sense.

    Args:
        reason: Why; it becomes the text of the job's error.
        priority: Its new priority; None keeps the present one.

    Raises:
        TypeError: The priority is no int.
        ValueError: It is out of its range.
    """

    __module__ = _PUBLIC

    def __init__(self, reason: str = "", priority: int | None = None) -> None:
        super().__init__(reason, priority)
        self.reason = reason
        self.priority: int | None = (
            None if priority is None else check_priority(priority)
        )

    def __str__(self) -> str:
        return self.reason
