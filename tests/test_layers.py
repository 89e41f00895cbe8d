"""The direction of imports, read from the source.

Decide in the core, wait in the shell: the core stays pure because nothing in it
*can* wait, ask the time or reach up to a shell.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import inproc_tubes

# A row imports only from the rows above it. A folder is one module, whose files may
# import each other.
LAYERS = (
    ("version", "errors", "words"),
    ("clock",),
    ("job",),
    ("checks",),
    ("stats",),
    ("waiting",),
    ("agenda",),
    ("delayed",),
    ("room",),
    ("tube",),
    ("selection",),
    ("session",),
    ("ledger",),
    ("watching",),
    ("moves",),
    ("batches",),
    ("admission",),
    ("clearing",),
    ("putting",),
    ("reserving",),
    ("settling",),
    ("engine",),
    ("latch",),
    ("door",),
    ("handle",),
    ("parking",),
    ("producer", "consumer"),
    ("aio",),
    ("administration",),
    ("broker",),
    ("wire",),
    ("commands",),
    ("protocol",),
    ("assertions",),
    ("testing",),
    ("fakes",),
    ("pytest_plugin",),
    ("__init__",),
)
PURE = {
    "admission",
    "agenda",
    "batches",
    "checks",
    "clearing",
    "commands",
    "delayed",
    "engine",
    "errors",
    "job",
    "ledger",
    "moves",
    "protocol",
    "putting",
    "reserving",
    "room",
    "selection",
    "session",
    "settling",
    "stats",
    "tube",
    "waiting",
    "watching",
    "wire",
    "words",
}
# Whatever waits, wakes, tells the time or talks to the world outside.
IMPURE = {"_thread", "asyncio", "logging", "queue", "socket", "threading", "time"}
# What is in such a module, and does none of that.
HARMLESS = {"queue.Full"}  # an exception

PACKAGE = "inproc_tubes"
FOLDER = Path(inproc_tubes.__file__).parent
FILES = sorted(path.relative_to(FOLDER) for path in FOLDER.rglob("*.py"))
ROW = {name: row for row, names in enumerate(LAYERS) for name in names}


def module(file: Path) -> str:
    """Name the module that a file of the package belongs to."""
    return file.parts[0].removesuffix(".py")


def imports(source: str, file: Path) -> set[str]:
    """Name in full all that a file imports, wherever in it the statement stands."""
    package = (PACKAGE, *file.parent.parts)
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) + 1 - node.level] if node.level else ()
            base = ".".join((*above, *filter(None, [node.module])))
            # The name may be a module (from . import job) or may be in one.
            found |= {f"{base}.{alias.name}" for alias in node.names}
    return found


def violations(source: str, file: Path) -> list[str]:
    """Tell what a file imports and should not."""
    name = module(file)
    wrong = []
    for imported in sorted(imports(source, file)):
        top, *rest = imported.split(".")
        if top != PACKAGE:
            if top in IMPURE and name in PURE and imported not in HARMLESS:
                wrong.append(f"{file} is pure, and imports {imported}")
            elif top == "time" and name != "clock":
                wrong.append(f"{file} is not clock.py, and imports {imported}")
            continue
        # A name that is no module's is a name in the face of the package.
        target = rest[0] if rest and rest[0] in ROW else "__init__"
        if name in PURE and target == "clock":
            wrong.append(f"{file} is pure, and imports {imported}")
        inside_one_folder = name == target and len(file.parts) > 1
        if ROW[target] >= ROW[name] and not inside_one_folder:
            wrong.append(f"{file} imports {imported}, which is not above it")
    return wrong


def test_every_pure_module_has_a_row() -> None:
    assert PURE <= ROW.keys()


@pytest.mark.parametrize("file", FILES, ids=str)
def test_every_module_has_a_row(file: Path) -> None:
    assert module(file) in ROW


@pytest.mark.parametrize("file", FILES, ids=str)
def test_a_module_imports_only_from_rows_above_it(file: Path) -> None:
    source = (FOLDER / file).read_text(encoding="utf-8")
    assert [] == violations(source, file)


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("engine.py", "import threading"),
        ("engine.py", "import asyncio.locks"),
        ("engine.py", "from time import monotonic"),
        ("engine.py", "def late():\n    import socket"),
        ("engine.py", "if TYPE_CHECKING:\n    from queue import Queue"),
        ("errors.py", "import queue"),
        ("engine.py", "from inproc_tubes.clock import Clock"),
        ("engine.py", "from inproc_tubes.broker import Broker"),
        ("engine.py", "from inproc_tubes import Broker"),
        ("engine.py", "from inproc_tubes import broker"),
        ("engine.py", "import inproc_tubes"),
        ("engine.py", "import inproc_tubes.engine"),
        ("engine.py", "from .broker import Broker"),
        ("engine.py", "from . import broker"),
        ("engine.py", "if TYPE_CHECKING:\n    from inproc_tubes.broker import Broker"),
        ("consumer.py", "def late():\n    from inproc_tubes.broker import Broker"),
        ("broker.py", "import time"),
        ("producer.py", "from inproc_tubes.consumer import Consumer"),
        ("fakes/sockets.py", "from inproc_tubes.pytest_plugin import broker"),
        ("fakes/sockets.py", "from ..pytest_plugin import broker"),
        ("fakes/sockets.py", "from .. import Broker"),
    ],
)
def test_a_violation_would_be_noticed(file: str, source: str) -> None:
    assert len(violations(source, Path(file))) == 1


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("clock.py", "import time"),
        ("engine.py", "from inproc_tubes import errors"),
        ("errors.py", "from queue import Full"),
        ("engine.py", "from inproc_tubes.tube import Tube"),
        ("engine.py", "from collections import deque"),
        ("engine.py", "from . import job"),
        ("broker.py", "import threading"),
        ("fakes/sockets.py", "from inproc_tubes.fakes.routes import route"),
        ("fakes/sockets.py", "from .routes import route"),
        ("fakes/sockets.py", "from ..protocol import Session"),
        ("__init__.py", "from inproc_tubes.broker import Broker"),
    ],
)
def test_what_is_allowed_is_not_a_violation(file: str, source: str) -> None:
    assert [] == violations(source, Path(file))
