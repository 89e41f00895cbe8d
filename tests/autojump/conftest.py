"""What the tests of jumping share."""

from __future__ import annotations

from typing import Any

import pytest

from tests.autojump.shared import FACTORIES


@pytest.fixture(params=FACTORIES)
def factory(request: pytest.FixtureRequest) -> Any:
    """Make the loops of asyncio itself, and those of uvloop."""
    return FACTORIES[request.param]
