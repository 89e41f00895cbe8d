"""What cannot be looked at where the core is compiled."""

from __future__ import annotations

import pytest

import inproc_tubes

__all__ = ["interpreted"]

interpreted = pytest.mark.skipif(
    inproc_tubes.compiled,
    reason="counts what the core executes, or replaces a part of it; it is compiled",
)
"""For a test that needs the bytecodes of the core, or its names to be looked up."""
