"""What this process has, and what could go wrong in it: for a report of a bug.

``python -m inproc_tubes doctor`` prints it. Where the trouble is in a program of your own,
have that print it::

    from inproc_tubes.doctor import diagnose

    print(diagnose())
"""

from __future__ import annotations

import platform
import shutil
import sys
import threading
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from . import monitor
from .core.native import compiled
from .version import __version__

__all__ = ["Diagnosis", "diagnose"]

# The client libraries that a `FakeBeanstalkd` serves, by the names that pip knows.
_CLIENTS = (
    "greenstalk",
    "aiostalk",
    "pystalk",
    "pystalkd",
    "beanstalkc3",
    "pybeanstalk",
)

# What changes how threads or time go on, in the whole process: its package, and the
# module that does it.
_PATCHING = {"gevent": "gevent.monkey", "eventlet": "eventlet.patcher"}


class Diagnosis(NamedTuple):
    """What was found.

    Attributes:
        facts: {what: how it is}.
        traps: What may go wrong, a sentence each; none if nothing was found.
    """

    facts: dict[str, str]
    traps: list[str]

    def __str__(self) -> str:
        width = max(map(len, self.facts))
        lines = [f"{name:{width}}  {value}" for name, value in self.facts.items()]
        found = [f"- {trap}" for trap in self.traps] or ["No known traps were found."]
        return "\n".join([*lines, "", *found])


def diagnose() -> Diagnosis:
    """Look around in this process. Cost: some milliseconds."""
    facts = {
        "inproc_tubes": f"{__version__}, in {Path(__file__).parent}",
        "core": "compiled" if compiled else "interpreted",
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": platform.platform(),
        "GIL": "on" if _has_gil() else "off",
        "sortedcontainers": _version("sortedcontainers") or "missing",
        "clients": ", ".join(filter(None, map(_named, _CLIENTS))) or "none",
        "beanstalkd": shutil.which("beanstalkd") or "not found",
        "threads": _threads(),
    }
    return Diagnosis(facts, _traps())


def _traps() -> list[str]:
    traps = []
    if not _has_gil():
        traps.append(
            "This Python runs without the GIL. The broker's lock makes all verbs safe, but "
            "the suite is run with the GIL: please tell of what you see."
        )
    late = _made_before_a_patch()
    if late:
        traps.append(
            f"{late} of the living brokers {'was' if late == 1 else 'were'} made before "
            f"{_patching()} has patched the locks. Such a broker blocks all greenlets of a "
            "thread as soon as one waits: patch first, in the first lines of the program."
        )
    if sys.version_info < (3, 12) and sys.gettrace() is not None:
        traps.append(
            "This program is traced, on a CPython before 3.12: there a fake that is active "
            "cannot stop C code from getting past it, see `fakes`."
        )
    return traps


def _has_gil() -> bool:
    ask = getattr(sys, "_is_gil_enabled", None)  # since CPython 3.13
    return ask is None or bool(ask())


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _named(package: str) -> str | None:
    version = _version(package)
    return version and f"{package} {version}"


def _patching() -> str:
    """Return who replaces the locks of `threading` in this process, "" for nobody."""
    if type(threading.RLock()).__module__ == "_thread":  # of C, and of nobody else
        return ""
    return next(
        (name for name, module in _PATCHING.items() if module in sys.modules), "others"
    )


def _threads() -> str:
    patching = _patching()
    return f"those of {patching}" if patching else "the system's"


def _made_before_a_patch() -> int:
    """Return how many brokers have another lock than they would get now."""
    now = type(threading.RLock())
    return sum(type(each.lock) is not now for each in monitor._monitors)
