"""The fixtures, in test runs of their own: installed, only named, and both."""

from __future__ import annotations

import pytest

NAME = "inproc_tubes.pytest_plugin"
# Without the other plugins, see tests/test_runners.py.
ALONE = ("-p", "no:asyncio", "-p", "no:randomly")
STRICT = ("--strict-markers", "-Werror", *ALONE)


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

        def test_all(fake_clock, tubes_broker, fake_beanstalkd):
            assert fake_beanstalkd.clock is fake_clock
            with pytest.raises(TimedOutError):
                tubes_broker.consumer().reserve(timeout=30)
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
            # Itself, and what the package asks for its version.
            assert {"inproc_tubes.pytest_plugin", "inproc_tubes.version"} == ours
            assert "connect" not in vars(socket.socket)
    """)
    run.runpytest_subprocess(*STRICT).assert_outcomes(passed=1)


def test_the_broker_is_checked_at_teardown_and_closed(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile("""
        kept = []

        def test_breaks_it(tubes_broker):
            kept.append(tubes_broker)
            tubes_broker._engine.tubes["default"].total_jobs = 1

        def test_closes_it(tubes_broker):
            assert kept[0]._engine.closed
            tubes_broker.close()
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


# Addresses


def test_the_address_is_the_markers_else_that_of_the_fixture(
    pytester: pytest.Pytester,
) -> None:
    pytester.makeini("[pytest]\nbeanstalkd_address = unheeded:1")
    pytester.makeconftest("""
        import pytest

        @pytest.fixture(params=["queue:11301", ("queue", 11302)], ids=["text", "pair"])
        def beanstalkd_address(request, monkeypatch):
            monkeypatch.setenv("QUEUE", str(request.param))
            return request.param
    """)
    pytester.makepyfile("""
        import os, pytest

        def test_fixture(fake_beanstalkd, request):
            port = {"text": 11301, "pair": 11302}[request.node.callspec.id]
            assert ("queue", port) == fake_beanstalkd.address
            assert str(port) in os.environ["QUEUE"]

        @pytest.mark.beanstalkd(address="marked:1")
        def test_marker(fake_beanstalkd):
            assert ("marked", 1) == fake_beanstalkd.address
    """)
    pytester.runpytest(*STRICT).assert_outcomes(passed=4)


# Scopes


@pytest.mark.parametrize("scope", ["class", "module", "package", "session"])
def test_a_fixture_of_a_wider_scope_may_have_what_it_needs(
    pytester: pytest.Pytester, scope: str
) -> None:
    pytester.makepyfile(f"""
        import pytest

        @pytest.fixture(scope="{scope}")
        def application(
            {scope}_fake_beanstalkd, {scope}_fake_clock, {scope}_tubes_broker
        ):
            clocks = {{
                {scope}_fake_clock,
                {scope}_fake_beanstalkd.clock,
                {scope}_tubes_broker._monitor.clock,
            }}
            assert 1 == len(clocks)
            {scope}_tubes_broker.producer().put("warm")
            return {scope}_tubes_broker

        class TestIt:
            def test_first(self, application):
                application.producer().put("warmer")

            def test_second(self, application):
                assert 2 == application.stats().current_jobs_ready
    """)
    pytester.runpytest(*STRICT).assert_outcomes(passed=2)


def test_the_option_gives_the_plain_fixtures_another_scope(
    pytester: pytest.Pytester,
) -> None:
    pytester.makeini("[pytest]\nfake_beanstalkd_scope = module")
    pytester.makepyfile("""
        import pytest

        pytestmark = pytest.mark.beanstalkd(address="marked:1")

        @pytest.fixture(scope="module")
        def application(fake_beanstalkd, tubes_broker, fake_clock):
            assert ("marked", 1) == fake_beanstalkd.address
            fake_clock.advance(5)

        @pytest.mark.usefixtures("application")
        def test_first(fake_clock):
            assert 1_000_005 == fake_clock.now()

        def test_second(fake_clock):
            assert 1_000_005 == fake_clock.now()
    """)
    pytester.runpytest(*STRICT).assert_outcomes(passed=2)


def test_a_scope_that_there_is_not_is_an_error(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nfake_beanstalkd_scope = suite")
    result = pytester.runpytest(*STRICT)
    assert pytest.ExitCode.USAGE_ERROR == result.ret
    result.stderr.fnmatch_lines(["*fake_beanstalkd_scope is one of function, class, *"])


# The marker


def test_a_marker_without_the_fixture_applies_the_fake(
    pytester: pytest.Pytester,
) -> None:
    pytester.makeconftest("""
        import pytest

        def pytest_collection_modifyitems(items):
            for item in items:
                if item.name == "test_marked_late":
                    item.add_marker(pytest.mark.beanstalkd(address="queue:1"))
    """)
    pytester.makepyfile("""
        import socket, unittest, pytest

        def connect():
            with socket.create_connection(("queue", 1)) as client:
                client.sendall(b"list-tube-used\\r\\n")
                assert b"USING default\\r\\n" == client.recv(100)

        @pytest.fixture
        def application():
            connect()  # it is there before

        @pytest.mark.beanstalkd(address="queue:1")
        def test_it(application):
            connect()

        @pytest.mark.beanstalkd(address="queue:1")
        class TestAll:
            def test_it(self):
                connect()

        @pytest.mark.beanstalkd(address="queue:1")
        def test_both(fake_beanstalkd):
            connect()

        def test_marked_late():
            connect()

        def test_unmarked():
            with pytest.raises(OSError):
                connect()
    """)
    pytester.runpytest(*STRICT).assert_outcomes(passed=5)


def test_a_marker_of_one_test_does_not_fit_a_wider_scope(
    pytester: pytest.Pytester,
) -> None:
    pytester.makeini("[pytest]\nfake_beanstalkd_scope = session")
    pytester.makepyfile("""
        import pytest

        @pytest.mark.beanstalkd(version="1.13")
        def test_it(): ...
    """)
    result = pytester.runpytest(*STRICT)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*the marker is for a test of its own*"])


# Names


def test_the_name_of_broker_is_free_for_others(pytester: pytest.Pytester) -> None:
    source = """
        def test_it(broker, tubes_broker):
            assert broker is tubes_broker
    """
    pytester.makepyfile(source)
    result = pytester.runpytest(*STRICT)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*fixture 'broker' not found"])
    pytester.makeini("[pytest]\ntubes_broker_as_broker = true")
    pytester.runpytest(*STRICT).assert_outcomes(passed=1)
