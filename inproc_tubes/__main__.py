"""``python -m inproc_tubes``: the version, a demonstration, and a look around."""

from __future__ import annotations

import argparse
import os
import runpy
import threading
from pathlib import Path

from .doctor import diagnose
from .version import __version__

__all__: list[str] = []

_HERE = Path(__file__).parent

# In a wheel the tutorial is beside this, see pyproject.toml.
_TUTORIALS = (_HERE / "tutorial.txt", _HERE.parent / "examples" / "tutorial.py")


def _give_up(
    failure: threading.ExceptHookArgs,
) -> None:  # pragma: no cover - it ends the process
    """End the process: the other threads of the shop would wait for this one for ever.

    Most likely it could not print, since the reader of the output has ended.
    """
    if not issubclass(failure.exc_type, BrokenPipeError):
        threading.__excepthook__(failure)
    os._exit(1)


def main() -> None:
    """Do what the command line asks for."""
    parser = argparse.ArgumentParser(
        prog="python -m inproc_tubes",
        description=f"inproc_tubes {__version__}: beanstalkd's work queue, inside your "
        "process.",
        epilog="Documentation: https://inproc-tubes.readthedocs.io/",
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", metavar="command")
    commands.add_parser("demo", help="run the tutorial: a shop with three workers")
    commands.add_parser(
        "doctor", help="tell what this Python has, and what could go wrong"
    )
    command = parser.parse_args().command
    if command == "demo":
        before, threading.excepthook = threading.excepthook, _give_up
        try:
            tutorial = next(filter(Path.exists, _TUTORIALS))
            runpy.run_path(str(tutorial), run_name="__main__")
        finally:
            threading.excepthook = before
    elif command == "doctor":
        print(diagnose())  # noqa: T201 - what it is for
    else:
        parser.print_help()


if __name__ == "__main__":  # pragma: no cover - in a process of its own
    main()
