"""Fixtures for pytest: `fake_clock`, `broker` and `fake_beanstalkd`.

Every test run of an environment in which we are installed loads this. So it imports
what a fixture needs when a test asks for it, and patches nothing before.
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

__all__ = ["broker", "fake_beanstalkd", "fake_clock"]

_INI = "beanstalkd_address"
_GUARD = "beanstalkd_guard"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the ini option."""
    parser.addini(
        _INI,
        "where fake_beanstalkd is reached: host:port, or the path of a Unix socket",
        default="127.0.0.1:11300",
    )
    parser.addini(
        _GUARD,
        "addresses, separated by spaces, where no test may reach a real beanstalkd",
        default="",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Add the marker."""
    config.addinivalue_line(
        "markers",
        "beanstalkd(address=..., version=..., max_job_size=...): "
        "the arguments of the fake_beanstalkd of this test",
    )
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


@pytest.fixture
def fake_clock() -> FakeClock:
    """A `FakeClock` that jumps by itself whenever all who use it wait."""
    from .testing import FakeClock  # noqa: PLC0415 - see the module

    return FakeClock(autojump=True)


@pytest.fixture
def broker(fake_clock: FakeClock) -> Iterator[Broker]:
    """A `Broker` that goes by ``fake_clock``; its state is checked in the end."""
    from .broker import Broker  # noqa: PLC0415 - see the module
    from .core.recovery import check  # noqa: PLC0415 - see the module

    with Broker(clock=fake_clock) as broker:
        yield broker
        with broker._monitor.lock:
            check(broker._engine)


@pytest.fixture
def fake_beanstalkd(
    request: pytest.FixtureRequest, fake_clock: FakeClock
) -> Iterator[FakeBeanstalkd]:
    """A `FakeBeanstalkd` that is reached during this test; it goes by ``fake_clock``.

    Its address is that of the marker ``beanstalkd``, else of the ini option
    ``beanstalkd_address``, else 127.0.0.1:11300.
    """
    from .fakes import FakeBeanstalkd  # noqa: PLC0415 - see the module

    marker = request.node.get_closest_marker("beanstalkd") or pytest.mark.beanstalkd
    options = {"address": request.config.getini(_INI), **marker.kwargs}
    address = _address(options.pop("address"))
    with FakeBeanstalkd(address, *marker.args, clock=fake_clock, **options) as server:
        yield server


def _address(given: Any) -> Any:
    """Take a str for host:port or a path, as a configuration file has it."""
    if not isinstance(given, str) or "/" in given:
        return given
    host, _, port = given.rpartition(":")
    if not host or not port.isdecimal():
        message = f"{given!r} is neither host:port nor a path with a slash in it"
        raise pytest.UsageError(message)
    return host.strip("[]"), int(port)
