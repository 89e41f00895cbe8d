"""The fixtures, in test runs of their own: installed, only named, and both."""

from __future__ import annotations

import pytest

NAME = "inproc_tubes.pytest_plugin"
STRICT = ("--strict-markers", "-Werror")


@pytest.fixture(params=["entry point", "-p", "conftest", "both"])
def run(
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    pytester: pytest.Pytester,
) -> pytest.Pytester:
    """A test run into which the plugin comes in each of its ways."""
    if request.param in {"-p", "conftest"}:
        # As if it were not installed: no entry point is looked at.
        monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    if request.param == "-p":
        pytester.makeini(f"[pytest]\naddopts = -p {NAME}")
    if request.param in {"conftest", "both"}:
        pytester.makeconftest(f"pytest_plugins = ['{NAME}']")
    return pytester


def test_the_fixtures_go_by_one_clock(run: pytest.Pytester) -> None:
    run.makepyfile("""
        import socket, pytest
        from inproc_tubes import TimedOutError

        def test_all(fake_clock, broker, fake_beanstalkd):
            assert fake_beanstalkd.clock is fake_clock
            with pytest.raises(TimedOutError):
                broker.consumer().reserve(timeout=30)
            assert 1_000_030 == fake_clock.now()
            with socket.create_connection(("127.0.0.1", 11300)) as client:
                client.sendall(b"reserve-with-timeout 30\\r\\n")
                assert b"TIMED_OUT\\r\\n" == client.recv(100)
            assert 1_000_060 == fake_clock.now()
    """)
    run.runpytest(*STRICT).assert_outcomes(passed=1)


def test_nothing_is_imported_or_patched_for_tests_that_do_not_ask(
    run: pytest.Pytester,
) -> None:
    run.makepyfile("""
        import sys, socket

        def test_nothing():
            ours = {name for name in sys.modules if name.startswith("inproc_tubes.")}
            assert "inproc_tubes.pytest_plugin" in ours
            late = {"testing", "assertions", "protocol", "fakes"}
            assert not ours & {"inproc_tubes." + name for name in late}
            assert "connect" not in vars(socket.socket)
    """)
    run.runpytest_subprocess(*STRICT).assert_outcomes(passed=1)


def test_the_broker_is_checked_at_teardown_and_closed(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile("""
        kept = []

        def test_breaks_it(broker):
            kept.append(broker)
            broker._engine.tubes["default"].total_jobs = 1

        def test_closes_it(broker):
            assert kept[0]._engine.closed
            broker.close()
    """)
    pytester.runpytest(*STRICT).assert_outcomes(passed=2, errors=1)


def test_the_address_is_the_markers_else_the_options(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nbeanstalkd_address = beanstalkd:11301")
    pytester.makepyfile("""
        import pytest

        def test_option(fake_beanstalkd):
            assert ("beanstalkd", 11301) == fake_beanstalkd.address

        @pytest.mark.beanstalkd(address=("queue", 1))
        def test_pair(fake_beanstalkd):
            assert ("queue", 1) == fake_beanstalkd.address

        @pytest.mark.beanstalkd(address="[::1]:2")
        def test_text(fake_beanstalkd):
            assert ("::1", 2) == fake_beanstalkd.address

        @pytest.mark.beanstalkd(address="./socket", version="1.13")
        def test_path(fake_beanstalkd):
            assert "./socket" == fake_beanstalkd.address
            assert "1.13" == fake_beanstalkd.version
    """)
    pytester.runpytest(*STRICT).assert_outcomes(passed=4)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ("address='queue'", "*'queue' is neither host:port nor a path*"),
        ("port=1", "*TypeError*port*"),
        ("('queue', 1)", "*TypeError*positional*"),
    ],
)
def test_a_marker_that_makes_no_sense_is_an_error(
    pytester: pytest.Pytester, arguments: str, error: str
) -> None:
    pytester.makepyfile(f"""
        import pytest

        @pytest.mark.beanstalkd({arguments})
        def test_it(fake_beanstalkd): ...
    """)
    result = pytester.runpytest(*STRICT)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([error])
