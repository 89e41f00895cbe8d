"""Programs that run in an interpreter of their own."""

from __future__ import annotations

import subprocess
import sys

LONG = 60  # real seconds that only a bug will reach


def run(script: str, *arguments: str, timeout: float = LONG) -> str:
    """Run a script, to which every warning is an error, and return what it printed."""
    result = subprocess.run(  # noqa: S603 - our own interpreter and script
        [sys.executable, "-W", "error", "-c", script, *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert not result.returncode, result.stderr
    assert not result.stderr, result.stderr
    return result.stdout
