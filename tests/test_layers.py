"""The direction of imports, read from the source.

Decide in the core, wait in the shell: the core stays pure because nothing in it
*can* wait, ask the time or reach up to a shell. An import counts wherever it stands, in
a function or under TYPE_CHECKING too: whoever needs a name to explain itself depends
on it.
"""

from __future__ import annotations

import ast
from collections import deque
from pathlib import Path
from typing import NamedTuple

import pytest

import inproc_tubes


class Layer(NamedTuple):
    """A row of the table: folders and single modules, and which rows they may import.

    A layer may import itself.
    """

    members: set[str]
    below: set[str]


LAYERS = {
    "errors": Layer({"errors", "version"}, set()),
    "slips": Layer({"slips", "weak_registry"}, set()),
    "markup": Layer({"markup"}, set()),
    "verbs": Layer({"verbs", "extras"}, set()),
    "core": Layer({"core"}, {"errors", "markup", "verbs"}),
    "clock": Layer({"clock", "checks", "names"}, {"errors", "slips", "core"}),
    "monitor": Layer(
        {"monitor", "telling", "turns"}, {"errors", "slips", "core", "clock"}
    ),
    "at_exit": Layer({"at_exit"}, {"slips"}),
    "failures": Layer({"failures"}, {"core"}),
    "waiting": Layer({"waiting"}, {"errors", "slips", "core", "monitor"}),
    "handles": Layer(
        {
            "holder",
            "producer",
            "consumer",
            "async_consumer",
            "async_producer",
            "broker",
            "future",
            "subscriptions",
            "event_stream",
        },
        {
            "errors",
            "slips",
            "markup",
            "verbs",
            "core",
            "clock",
            "monitor",
            "at_exit",
            "failures",
            "waiting",
        },
    ),
    "remote": Layer(
        {"remote"},
        {
            "errors",
            "slips",
            "verbs",
            "core",
            "clock",
            "at_exit",
            "failures",
            "handles",
        },
    ),
    "portable": Layer({"portable"}, {"core", "clock", "handles", "remote"}),
    "face": Layer({"__init__"}, {"errors", "core", "clock", "handles", "portable"}),
    "command": Layer({"__main__", "doctor"}, {"errors", "core", "monitor"}),
    # What is built on events.
    "events": Layer(
        {"logs", "metrics", "tracing"}, {"errors", "verbs", "core", "handles"}
    ),
    # What shows a broker to people.
    "status": Layer(
        {"rates", "dashboard", "terminal"},
        {"errors", "verbs", "markup", "core", "handles"},
    ),
    # What is built on what users have: the face, and checks of arguments.
    "worker": Layer({"worker"}, {"verbs", "clock", "face"}),
    "protocol": Layer({"protocol"}, {"errors", "verbs", "core"}),
    "testing": Layer(
        {"testing"},
        {"errors", "verbs", "core", "clock", "waiting", "handles", "worker"},
    ),
    "fakes": Layer(
        {"fakes"},
        {
            "errors",
            "slips",
            "verbs",
            "core",
            "clock",
            "monitor",
            "handles",
            "protocol",
            "testing",
        },
    ),
    "plugin": Layer({"pytest_plugin"}, {"core", "handles", "testing", "fakes"}),
}
LAYER_OF = {member: name for name, row in LAYERS.items() for member in row.members}

# The layers that never wait, wake, tell the time or talk to the world outside.
PURE = {"errors", "markup", "verbs", "core", "protocol"}
IMPURE = {
    "_socket",
    "_thread",
    "asyncio",
    "concurrent",
    "datetime",
    "logging",
    "multiprocessing",
    "os",
    "queue",
    "random",
    "select",
    "selectors",
    "signal",
    "socket",
    "subprocess",
    "threading",
    "time",
}
# What is in such a module, and does none of that, and who may import it.
HARMLESS = {("errors", "queue.Full")}  # an exception

PACKAGE = "inproc_tubes"
FOLDER = Path(inproc_tubes.__file__).parent
FILES = sorted(path.relative_to(FOLDER) for path in FOLDER.rglob("*.py"))


def name_of(file: Path) -> str:
    """Name the module of a file, in full."""
    parts = (PACKAGE, *file.with_suffix("").parts)
    return ".".join(parts[:-1] if file.stem == "__init__" else parts)


MODULES = {name_of(file): file for file in FILES}


def read(file: Path) -> str:
    """Read a file of the package."""
    return (FOLDER / file).read_text(encoding="utf-8")


def member_of(name: str) -> str:
    """Name the folder or the single module of the package where a name is from."""
    _, *rest = name.split(".")
    # What is no module's is a name in the face of the package.
    return rest[0] if rest and rest[0] in LAYER_OF else "__init__"


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
    layer = LAYER_OF[member_of(name_of(file))]
    wrong = []
    for imported in sorted(imports(source, file)):
        top = imported.partition(".")[0]
        if top == PACKAGE:
            target = LAYER_OF[member_of(imported)]
            if target not in {layer, *LAYERS[layer].below}:
                wrong.append(f"{file} imports {imported}, which is not below it")
        elif layer in PURE and top in IMPURE and (layer, imported) not in HARMLESS:
            wrong.append(f"{file} is pure, and imports {imported}")
        elif top == "time" and file != Path("clock.py"):
            wrong.append(f"{file} is not clock.py, and imports {imported}")
    return wrong


Graph = dict[str, set[str]]


def module_of(imported: str) -> str:
    """Name the module that an import reaches: of two that match, the inner one."""
    return imported if imported in MODULES else imported.rpartition(".")[0]


def graph_of(sources: dict[str, str]) -> Graph:
    """Find which of these modules each of them imports."""
    return {
        name: {
            module_of(imported)
            for imported in imports(source, MODULES[name])
            if module_of(imported) in MODULES
        }
        for name, source in sources.items()
    }


def reached_from(start: str, graph: Graph) -> set[str]:
    """Find what is imported by a module, and by what it imports, and so on."""
    found: set[str] = set()
    left = deque([start])
    while left:
        new = graph[left.popleft()] - found
        found |= new
        left += new
    return found


def circles(graph: Graph) -> list[set[str]]:
    """Find the strongly connected components: modules that import each other."""
    reached = {name: reached_from(name, graph) for name in graph}
    components = {
        frozenset(other for other in reached[name] if name in reached[other])
        for name in graph
    }
    return [set(component) for component in components if component]


# The table


def test_every_row_imports_from_rows_above_it_in_the_table() -> None:
    seen: set[str] = set()
    for name, row in LAYERS.items():
        assert row.below <= seen
        seen.add(name)


def test_every_member_is_in_one_row() -> None:
    members = [member for row in LAYERS.values() for member in row.members]
    assert len(members) == len(set(members))


def test_every_member_of_a_row_exists() -> None:
    assert {file.parts[0].removesuffix(".py") for file in FILES} == LAYER_OF.keys()


def test_every_pure_layer_has_a_row() -> None:
    assert PURE <= LAYERS.keys()


def test_a_pure_layer_imports_only_pure_ones() -> None:
    assert all(LAYERS[name].below <= PURE for name in PURE)


# The package


@pytest.mark.parametrize("file", FILES, ids=str)
def test_a_module_imports_only_from_layers_below_it(file: Path) -> None:
    assert [] == violations(read(file), file)


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = graph_of({name: read(file) for name, file in MODULES.items()})
    assert graph.keys() == MODULES.keys()
    assert [] == circles(graph)


WORKER = [file for file in FILES if file.parts[0] == "worker"]


def reaches(source: str) -> list[str]:
    """Find the private names that code reads of anything but of its own object."""
    return [
        ast.unparse(node)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Attribute)
        and node.attr.startswith("_")
        and not node.attr.endswith("__")
        and ast.unparse(node.value) != "self"
    ]


@pytest.mark.parametrize("file", WORKER, ids=str)
def test_a_worker_uses_nothing_that_a_user_could_not(file: Path) -> None:
    assert [] == reaches(read(file))


# What the tests above would notice


@pytest.mark.parametrize("source", ["broker._monitor", "self.run.consumer._session"])
def test_a_reach_into_something_private_would_be_noticed(source: str) -> None:
    assert [source] == reaches(source)


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("core/engine.py", "import threading"),
        ("core/engine.py", "import asyncio.locks"),
        ("core/engine.py", "from time import monotonic"),
        ("core/engine.py", "def late():\n    import socket"),
        ("core/engine.py", "if TYPE_CHECKING:\n    from queue import Queue"),
        ("core/engine.py", "from queue import Full"),
        ("core/engine.py", "import logging"),
        ("errors.py", "import queue"),
        ("protocol/wire.py", "import time"),
        ("protocol/wire.py", "import socket"),
        ("core/engine.py", "from inproc_tubes.clock import Clock"),
        ("core/engine.py", "from inproc_tubes.checks import check_count"),
        ("core/engine.py", "from inproc_tubes.monitor import Monitor"),
        ("core/engine.py", "from inproc_tubes.broker import Broker"),
        ("core/engine.py", "from inproc_tubes import Broker"),
        ("core/engine.py", "from inproc_tubes import broker"),
        ("core/engine.py", "import inproc_tubes"),
        ("core/engine.py", "import inproc_tubes.broker"),
        ("core/engine.py", "from ..broker import Broker"),
        ("core/engine.py", "from .. import broker"),
        (
            "core/engine.py",
            "if TYPE_CHECKING:\n    from inproc_tubes.broker import Broker",
        ),
        ("core/job.py", "from inproc_tubes.protocol import ProtocolSession"),
        ("errors.py", "from .core.job import Job"),
        ("clock.py", "from .monitor import Monitor"),
        ("monitor.py", "from .broker import Broker"),
        ("monitor.py", "from .waiting.threads import ThreadSleepers"),
        ("waiting/threads.py", "from inproc_tubes.consumer import Consumer"),
        ("broker.py", "import time"),
        ("broker.py", "from .protocol import ProtocolSession"),
        ("broker.py", "from .testing import FakeClock"),
        ("broker.py", "from . import Broker"),
        ("protocol/session.py", "from inproc_tubes.broker import Broker"),
        ("protocol/session.py", "from inproc_tubes.monitor import Monitor"),
        ("protocol/session.py", "from inproc_tubes.checks import check_count"),
        ("worker/run.py", "from inproc_tubes.core.job import Job"),
        ("worker/run.py", "from inproc_tubes.monitor import Monitor"),
        ("worker/run.py", "from inproc_tubes.broker import Broker"),
        ("worker/run.py", "from inproc_tubes.testing import FakeClock"),
        ("worker/run.py", "import time"),
        ("broker.py", "from .worker import Worker"),
        ("__init__.py", "from .worker import Worker"),
        ("testing/clock.py", "import time"),
        ("testing/clock.py", "from inproc_tubes.fakes import FakeBeanstalkd"),
        ("fakes/server.py", "from inproc_tubes.pytest_plugin import broker"),
        ("fakes/server.py", "from ..pytest_plugin import broker"),
        ("fakes/server.py", "from .. import Broker"),
        ("fakes/beanstalk/job.py", "from ...pytest_plugin import broker"),
        ("__init__.py", "from .protocol import ProtocolSession"),
    ],
)
def test_a_violation_would_be_noticed(file: str, source: str) -> None:
    assert len(violations(source, Path(file))) == 1


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("clock.py", "import time"),
        ("errors.py", "from queue import Full"),
        ("core/engine.py", "from inproc_tubes import errors"),
        ("core/engine.py", "from inproc_tubes.errors import ClosedError"),
        ("core/engine.py", "from collections import deque"),
        ("core/engine.py", "from inproc_tubes.core.tube import Tube"),
        ("core/engine.py", "from .tube import Tube"),
        ("core/engine.py", "from . import job"),
        ("monitor.py", "from .core.engine import Engine"),
        ("broker.py", "import threading"),
        ("broker.py", "from .consumer import Consumer"),
        ("broker.py", "def late():\n    from .async_consumer import AsyncConsumer"),
        ("protocol/session.py", "from inproc_tubes.core.job import Job"),
        ("worker/run.py", "from inproc_tubes import Broker"),
        ("worker/run.py", "from inproc_tubes.checks import check_timeout"),
        ("worker/run.py", "from .timer import Timer"),
        ("fakes/server.py", "from inproc_tubes.fakes.routing import add"),
        ("fakes/server.py", "from .routing import add"),
        ("fakes/server.py", "from ..protocol import ProtocolSession"),
        ("fakes/beanstalk/job.py", "from . import errors"),
        ("__init__.py", "from inproc_tubes.broker import Broker"),
    ],
)
def test_what_is_allowed_is_not_a_violation(file: str, source: str) -> None:
    assert [] == violations(source, Path(file))


@pytest.mark.parametrize(
    ("sources", "found"),
    [
        ({"core.tube": "from .job import Job", "core.job": "import re"}, []),
        (
            {"core.tube": "from .job import Job", "core.job": "from . import tube"},
            [{"core.job", "core.tube"}],
        ),
        (
            {
                "core.tube": "if TYPE_CHECKING:\n    from .job import Job",
                "core.job": "def late():\n    from .limits import DEFAULT_TTR",
                "core.limits": "import inproc_tubes.core.tube",
                "core.ready": "from .tube import Tube",
            },
            [{"core.job", "core.tube", "core.limits"}],
        ),
        ({"core.tube": "from .tube import Tube"}, [{"core.tube"}]),
        (
            {"fakes": "from .server import Server", "fakes.server": "import socket"},
            [],
        ),
        (
            {
                "fakes": "from .server import Server",
                "fakes.server": "from . import Server",
            },
            [{"fakes", "fakes.server"}],
        ),
        (
            {
                "broker": "from .consumer import Consumer",
                "consumer": "from .broker import Broker",
                "fakes.routing": "from .streams import connect_stream",
                "fakes.streams": "from inproc_tubes.fakes.routing import route",
            },
            [{"broker", "consumer"}, {"fakes.routing", "fakes.streams"}],
        ),
    ],
)
def test_a_circle_would_be_noticed(
    sources: dict[str, str], found: list[set[str]]
) -> None:
    graph = {name: set[str]() for name in MODULES}
    graph |= graph_of({f"{PACKAGE}.{name}": text for name, text in sources.items()})
    expected = [{f"{PACKAGE}.{name}" for name in circle} for circle in found]
    assert sorted(circles(graph), key=min) == sorted(expected, key=min)
