"""What the whole suite shares: its options, and what a skip may mean."""

from __future__ import annotations

import gc
import os
import signal
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, Phase, settings

from tests.interpreted import interpreted

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

pytest_plugins = ["pytester", "tests.shells"]

REQUIRE_REAL = "INPROC_TUBES_REQUIRE_REAL"

# What a skipped test says that no server could pass: see tests/handles/not_portable.py.
NOT_PORTABLE = "not portable: "

# Reasons to skip a test of the real server that have nothing to do with the server.
NO_SERVER_COULD = (NOT_PORTABLE, interpreted.kwargs["reason"])

settings.register_profile(
    "suite",
    derandomize=True,  # a failure here is a failure everywhere
    # Neither of these may depend on how fast the machine is.
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "soak",
    settings.get_profile("suite"),
    derandomize=False,  # the point of soaking is to see what is new
    print_blob=True,
)
settings.register_profile(
    "mutants",
    settings.get_profile("suite"),
    # That there is a mistake is enough.
    phases=[Phase.explicit, Phase.generate],
    database=None,
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--soak``."""
    parser.addoption(
        "--soak",
        type=float,
        default=0.0,
        metavar="MINUTES",
        help="run the random tests for this long; 0, the default, is off",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Choose how random the random tests are."""
    profile = config.getoption("--hypothesis-profile")
    settings.load_profile(profile or ("soak" if config.getoption("soak") else "suite"))


def pytest_collection_finish() -> None:
    """Let the collector pass over what the suite itself is made of.

    Hundreds of tests collect on purpose. The modules and the thousands of tests, which
    live to the end, would take most of the time of each.
    """
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where the real server is required, do not let its tests be skipped."""
    report = yield
    if (
        REQUIRE_REAL in os.environ
        and report.skipped
        and item.get_closest_marker("real") is not None
        and not any(reason in str(report.longrepr) for reason in NO_SERVER_COULD)
    ):
        report.outcome = "failed"
        report.longrepr = f"{REQUIRE_REAL} is set, but: {report.longrepr}"
    return report


@pytest.fixture
def no_collector() -> Iterator[None]:
    """Let nothing be freed but by reference counting, or by hand."""
    gc.collect()
    gc.freeze()  # the reports of all tests so far, above all
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Have Ctrl-C raise, though whoever has started the tests may ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
