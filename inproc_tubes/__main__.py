"""``python -m inproc_tubes``: the version, a demonstration, and a look around."""

from __future__ import annotations

import argparse
import runpy
from pathlib import Path

from .doctor import diagnose
from .version import __version__

__all__: list[str] = []

_HERE = Path(__file__).parent

# In a wheel the tutorial is beside this, see pyproject.toml.
_TUTORIALS = (_HERE / "tutorial.txt", _HERE.parent / "examples" / "tutorial.py")


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
        runpy.run_path(str(next(filter(Path.exists, _TUTORIALS))), run_name="__main__")
    elif command == "doctor":
        print(diagnose())  # noqa: T201 - what it is for
    else:
        parser.print_help()


if __name__ == "__main__":  # pragma: no cover - in a process of its own
    main()
