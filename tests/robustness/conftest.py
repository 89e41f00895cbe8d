"""What the tests of robustness share."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def uncollected() -> Iterator[None]:
    """Let nothing be collected but what a test makes, and only when it asks for it.

    Finalisers stay out of what is broken off, and a collection takes no time.
    """
    gc.collect()
    gc.freeze()  # as `no_collector` does
    gc.disable()
    yield
    gc.enable()
