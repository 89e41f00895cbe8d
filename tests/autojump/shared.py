"""What the tests of jumping in event loops share: the loops, and how to run in them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

import uvloop

if TYPE_CHECKING:
    from collections.abc import Coroutine

T = TypeVar("T")

FACTORIES: dict[str, Any] = {"asyncio": None, "uvloop": uvloop.new_event_loop}

# Real seconds: so little that a test does not take long, and so much that nothing which
# can go on is taken for blocked.
GRACE = 0.1


def run_in(factory: Any, main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in a loop of this kind; a failure of a callback fails the test."""
    failures: list[dict[str, Any]] = []
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.get_loop().set_exception_handler(
            lambda _loop, context: failures.append(context)
        )
        result = runner.run(main)
    assert [] == failures
    return result
