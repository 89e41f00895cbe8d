"""What the tests of pybeanstalk's interface share."""

from __future__ import annotations

from typing import Any

HOST, PORT = HOME = ("127.0.0.1", 11300)


def same(expected: dict[str, Any], actual: Any) -> bool:
    """Compare as text, which is in order: what users have printed."""
    return str(expected) == str(actual)
