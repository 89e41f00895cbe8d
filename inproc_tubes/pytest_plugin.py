"""Fixtures for pytest: `fake_clock`, `tubes_broker` and `fake_beanstalkd`.

Every test run of an environment in which we are installed loads this. So it imports
what a fixture needs when a test asks for it, and patches nothing before.

Each fixture is there in every scope: ``fake_clock`` lives as long as a test, or as the ini
option ``fake_beanstalkd_scope`` says, and ``session_fake_clock`` as long as the session; so
do those of a class, a module and a package. A broker and a server go by the clock of
their own scope.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .broker import Broker
    from .fakes import FakeBeanstalkd
    from .testing import FakeClock

__all__ = ["beanstalkd_address", "fake_beanstalkd", "fake_clock", "tubes_broker"]

_ADDRESS = "beanstalkd_address"
_SCOPE = "fake_beanstalkd_scope"
_BROKER = "tubes_broker_as_broker"
_GUARD = "beanstalkd_guard"

_SCOPES = ("function", "class", "module", "package", "session")


def _chosen(fixture_name: str, config: pytest.Config) -> Any:  # noqa: ARG001 - pytest names it
    """Return the scope that the ini option says."""
    return config.getini(_SCOPE)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the ini options."""
    parser.addini(
        _ADDRESS,
        "where fake_beanstalkd is reached: host:port, or the path of a Unix socket",
        default="127.0.0.1:11300",
    )
    parser.addini(
        _SCOPE,
        "the scope of fake_clock, tubes_broker and fake_beanstalkd: "
        + ", ".join(_SCOPES),
        default=_SCOPES[0],
    )
    parser.addini(_BROKER, "have tubes_broker by the name of broker, too", type="bool")
    parser.addini(
        _GUARD,
        "addresses, separated by spaces, where no test may reach a real beanstalkd",
        default="",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Add the marker, and the short name of a fixture if it is asked for."""
    config.addinivalue_line(
        "markers",
        "beanstalkd(address=..., version=..., max_job_size=...): have a fake_beanstalkd "
        "in this test, with these arguments",
    )
    if config.getini(_SCOPE) not in _SCOPES:
        message = f"{_SCOPE} is one of {', '.join(_SCOPES)}"
        raise pytest.UsageError(message)
    if config.getini(_BROKER):
        config.pluginmanager.register(_ShortNames(), "inproc_tubes.short_names")
    if guarded := config.getini(_GUARD).split():
        from .fakes.guarding import Guard  # noqa: PLC0415 - see the module

        advice = f"{_GUARD} lets no test reach a real server, ask for fake_beanstalkd"
        config.add_cleanup(Guard(map(_address, guarded), advice).lift)


@pytest.hookimpl(tryfirst=True)
def pytest_fixture_setup() -> None:
    """Mend what another plugin has replaced before this test."""
    _rearm()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call() -> None:
    """Mend what another plugin has replaced before this test."""
    _rearm()


def _rearm() -> None:
    # pytest-socket replaces `socket.socket` and its connect before each test, and after
    # it. A server that lives for longer than a test is to be reached all the same.
    routing = sys.modules.get("inproc_tubes.fakes.routing")
    if routing is not None:  # pragma: no branch - our own run has loaded it
        routing.rearm()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Let the marker have the fixture, though the test does not name it."""
    marker = item.get_closest_marker("beanstalkd")
    if not isinstance(item, pytest.Function) or marker is None:
        return
    if not any(name.endswith("fake_beanstalkd") for name in item.fixturenames):
        item.fixturenames.insert(0, "fake_beanstalkd")
    scope = item.config.getini(_SCOPE)
    if marker in item.own_markers and scope != _SCOPES[0]:
        message = (
            f"the marker is for a test of its own, and {_SCOPE} is {scope}: mark the "
            f"{scope}, or override beanstalkd_address"
        )
        pytest.fail(message, pytrace=False)


@pytest.fixture(scope="session")
def beanstalkd_address(request: pytest.FixtureRequest) -> Any:
    """Where `fake_beanstalkd` is reached, unless the marker says so; to be overridden.

    This one is the ini option's.
    """
    return request.config.getini(_ADDRESS)


class _ShortNames:
    """What the ini option adds."""

    @pytest.fixture(scope=_chosen)
    def broker(self, tubes_broker: Broker) -> Broker:
        """The same as `tubes_broker`."""
        return tubes_broker


def _address(given: Any) -> Any:
    """Take a str for host:port or a path, as a configuration file has it."""
    if not isinstance(given, str) or "/" in given:
        return given
    host, _, port = given.rpartition(":")
    if not host or not port.isdecimal():
        message = f"{given!r} is neither host:port nor a path with a slash in it"
        raise pytest.UsageError(message)
    return host.strip("[]"), int(port)


def _in_scope(scope: Any, prefix: str = "") -> tuple[Any, Any, Any]:
    """Make the three fixtures of one scope, whose names begin with the prefix."""

    def clock_of(request: pytest.FixtureRequest) -> FakeClock:
        clock: FakeClock = request.getfixturevalue(f"{prefix}fake_clock")
        return clock

    @pytest.fixture(scope=scope, name=f"{prefix}fake_clock")
    def fake_clock() -> FakeClock:
        """A `FakeClock` that jumps by itself whenever all who use it wait."""
        from .testing import FakeClock  # noqa: PLC0415 - see the module

        return FakeClock(autojump=True)

    @pytest.fixture(scope=scope, name=f"{prefix}tubes_broker")
    def tubes_broker(request: pytest.FixtureRequest) -> Iterator[Broker]:
        """A `Broker` that goes by the fake clock; its state is checked in the end."""
        from .broker import Broker  # noqa: PLC0415 - see the module
        from .core.recovery import check  # noqa: PLC0415 - see the module

        with Broker(clock=clock_of(request)) as broker:
            yield broker
            with broker._monitor.lock:
                check(broker._engine)

    @pytest.fixture(scope=scope, name=f"{prefix}fake_beanstalkd")
    def fake_beanstalkd(
        request: pytest.FixtureRequest, beanstalkd_address: Any
    ) -> Iterator[FakeBeanstalkd]:
        """A `FakeBeanstalkd` that is reached for so long; it goes by the fake clock.

        Its address is that of the marker ``beanstalkd``, else of the fixture
        ``beanstalkd_address``, else of the ini option of that name, else 127.0.0.1:11300.
        """
        from .fakes import FakeBeanstalkd  # noqa: PLC0415 - see the module

        marker = request.node.get_closest_marker("beanstalkd")
        given = pytest.mark.beanstalkd if marker is None else marker
        options = {"address": beanstalkd_address, **given.kwargs}
        address = _address(options.pop("address"))
        clock = clock_of(request)
        with FakeBeanstalkd(address, *given.args, clock=clock, **options) as server:
            yield server

    return fake_clock, tubes_broker, fake_beanstalkd


fake_clock: Any
tubes_broker: Any
fake_beanstalkd: Any
fake_clock, tubes_broker, fake_beanstalkd = _in_scope(_chosen)
# pytest looks at every name of a module, and not into a tuple.
_class_clock, _class_broker, _class_beanstalkd = _in_scope("class", "class_")
_module_clock, _module_broker, _module_beanstalkd = _in_scope("module", "module_")
_package_clock, _package_broker, _package_beanstalkd = _in_scope("package", "package_")
_session_clock, _session_broker, _session_beanstalkd = _in_scope("session", "session_")
