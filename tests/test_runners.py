"""The fixtures and the clock in suites of other kinds, each run with its own tool.

The tools are installed, and switched off in our own suite. Here each run has one of them.
"""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    Run = Callable[..., pytest.RunResult]


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a small suite with our plugin and those that are named, in a process of its own."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")

    def run(*arguments: str) -> pytest.RunResult:
        return pytester.runpytest_subprocess(
            "-Werror",
            "--strict-markers",
            "-p",
            "inproc_tubes.pytest_plugin",
            *arguments,
        )

    return run


def test_a_unittest_case_has_the_fake(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile("""
        import unittest
        import greenstalk, pytest
        from inproc_tubes.testing import assert_put

        @pytest.mark.beanstalkd(address=("queue", 11300))
        class TestClient(unittest.TestCase):
            @pytest.fixture(autouse=True)
            def _server(self, fake_beanstalkd):
                self.server = fake_beanstalkd

            def setUp(self):
                self.client = greenstalk.Client(("queue", 11300))
                self.addCleanup(self.client.close)

            def test_put(self):
                self.client.put("x")
                assert_put(self.server.broker, "default", body=b"x")

            def test_reserve(self):
                with self.assertRaises(greenstalk.TimedOutError):
                    self.client.reserve(timeout=3600)

        @pytest.mark.beanstalkd(address=("queue", 11300))
        class TestWithoutFixture(unittest.TestCase):
            def test_put(self):
                with greenstalk.Client(("queue", 11300)) as client:
                    assert 1 == client.put("x")

        @pytest.mark.beanstalkd(address=("queue", 11300))
        class TestAsync(unittest.IsolatedAsyncioTestCase):
            async def test_reserve(self):
                import aiostalk
                async with aiostalk.Client(("queue", 11300)) as client:
                    with self.assertRaises(aiostalk.TimedOutError):
                        await client.reserve(timeout=3600)
    """)
    run().assert_outcomes(passed=4)


# One suite for all that run coroutines. {} is for what marks a test.
COROUTINES = """
    import asyncio
    import aiostalk, pytest
    from inproc_tubes import Broker, TimedOutError
    from inproc_tubes.testing import FakeClock

    @pytest.fixture
    def clock_of_our_own():
        return FakeClock(autojump=True)

    {mark}
    async def test_fixture(tubes_broker, fake_clock):
        with pytest.raises(TimedOutError):
            await tubes_broker.async_consumer().reserve(timeout=3600)
        assert 1_003_600 == fake_clock.now()

    {mark}
    @pytest.mark.beanstalkd(address=("queue", 11300))
    async def test_client():
        async with aiostalk.Client(("queue", 11300)) as client:
            with pytest.raises(aiostalk.TimedOutError):
                await client.reserve(timeout=3600)
            await client.put("late", delay=60)
            assert "late" == (await client.reserve()).body

    {mark}
    async def test_clock_of_before(clock_of_our_own):
        broker = Broker(clock=clock_of_our_own)
        reserving = asyncio.create_task(broker.async_consumer().reserve())
        await asyncio.sleep(0)
        broker.producer().put("x")
        assert "x" == (await reserving).body
        assert 1_000_000 == clock_of_our_own.now()

    {mark}
    async def test_loop_time():
        clock = FakeClock(autojump=True, loop_time=True)
        await asyncio.sleep(3600)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                await Broker(clock=clock).async_consumer().reserve(timeout=3600)
        assert 1_003_605 == clock.now()

    {mark}
    async def test_the_loop_is_as_before():
        loop = asyncio.get_running_loop()
        assert type(loop).time(loop) <= loop.time()
        await asyncio.sleep(0.001)

    {mark}
    async def test_a_generator_as_fixture(jobs):
        assert ["a", "b"] == jobs
"""
FIXTURE = """
    {fixture}
    async def jobs(tubes_broker):
        consumer = tubes_broker.async_consumer()
        for number, body in enumerate("ab"):
            tubes_broker.producer().put(body, delay=3600 * number)
        bodies = []
        async for job in consumer:
            with job:
                bodies.append(job.body)
            if len(bodies) == 2:
                break
        yield bodies
        with pytest.raises(TimedOutError):
            await tubes_broker.async_consumer("other").reserve(timeout=3600)
"""
MODES = {
    "strict": ("@pytest.mark.asyncio", "@__import__('pytest_asyncio').fixture"),
    "auto": ("", "@pytest.fixture"),
}
UVLOOP = """
    import uvloop

    def pytest_asyncio_loop_factories(config, item):
        return {"uvloop": uvloop.new_event_loop}
"""


@pytest.mark.parametrize("mode", MODES)
def test_pytest_asyncio_in_both_modes(
    pytester: pytest.Pytester, run: Run, mode: str
) -> None:
    mark, fixture = MODES[mode]
    pytester.makepyfile((COROUTINES + FIXTURE).format(mark=mark, fixture=fixture))
    scope = "asyncio_default_fixture_loop_scope=function"
    result = run("-p", "asyncio", f"--asyncio-mode={mode}", "-o", scope)
    result.assert_outcomes(passed=6)


def test_pytest_asyncio_on_uvloop(pytester: pytest.Pytester, run: Run) -> None:
    mark, fixture = MODES["auto"]
    pytester.makepyfile((COROUTINES + FIXTURE).format(mark=mark, fixture=fixture))
    pytester.makeconftest(UVLOOP)
    scope = "asyncio_default_fixture_loop_scope=function"
    result = run("-p", "asyncio", "--asyncio-mode=auto", "-o", scope)
    result.assert_outcomes(passed=6)


def test_pytest_asyncio_with_one_loop_for_the_session(
    pytester: pytest.Pytester, run: Run
) -> None:
    pytester.makepyfile(
        COROUTINES.format(mark="@pytest.mark.asyncio(loop_scope='session')")
        + FIXTURE.format(
            fixture="@__import__('pytest_asyncio').fixture(loop_scope='session')"
        )
    )
    scope = "asyncio_default_fixture_loop_scope=session"
    run("-p", "asyncio", "-o", scope).assert_outcomes(passed=6)


@pytest.mark.parametrize("use_uvloop", [False, True])
def test_the_plugin_of_anyio(
    pytester: pytest.Pytester, run: Run, *, use_uvloop: bool
) -> None:
    backend = f"""
    @pytest.fixture
    def anyio_backend():
        return "asyncio", {{"use_uvloop": {use_uvloop}}}
    """
    source = (COROUTINES + FIXTURE).format(
        mark="@pytest.mark.anyio", fixture="@pytest.fixture"
    )
    pytester.makepyfile(source + backend)
    run("-p", "anyio").assert_outcomes(passed=6)


def test_a_runner_of_asyncio(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile("""
        import asyncio
        import pytest, uvloop
        from inproc_tubes import TimedOutError

        @pytest.mark.parametrize("factory", [None, uvloop.new_event_loop])
        def test_it(tubes_broker, fake_clock, factory):
            async def reserve():
                with pytest.raises(TimedOutError):
                    await tubes_broker.async_consumer().reserve(timeout=3600)

            with asyncio.Runner(loop_factory=factory) as runner:
                runner.run(reserve())
                runner.run(reserve())
            assert 1_007_200 == fake_clock.now()
    """)
    run().assert_outcomes(passed=2)


MANY = """
    import greenstalk, pytest

    @pytest.mark.parametrize("number", range(20))
    def test_each_has_a_server_of_its_own(fake_beanstalkd, number):
        with greenstalk.Client(fake_beanstalkd.address) as client:
            assert 1 == client.put("x")
            with pytest.raises(greenstalk.TimedOutError):
                client.watch("other")
                client.ignore("default")
                client.reserve(timeout=3600)

    def test_the_session_has_one(session_tubes_broker):
        session_tubes_broker.producer().put("x")
"""


def test_processes_of_xdist(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile(MANY)
    run("-p", "xdist", "-n", "2").assert_outcomes(passed=21)


@pytest.mark.parametrize("seed", [1, 2])
def test_a_random_order(pytester: pytest.Pytester, run: Run, seed: int) -> None:
    pytester.makepyfile(MANY)
    result = run("-p", "randomly", f"--randomly-seed={seed}")
    result.assert_outcomes(passed=21)


def test_a_run_that_asks_for_nothing_costs_nothing() -> None:
    """What the plugin imports, beside what pytest has imported itself."""
    script = """
import sys
import pytest
before = set(sys.modules)
import inproc_tubes.pytest_plugin
print(*sorted(set(sys.modules) - before))
"""
    result = subprocess.run(  # noqa: S603 # our own script
        [sys.executable, "-c", script], capture_output=True, check=True, text=True
    )
    ours = ["inproc_tubes", "inproc_tubes.pytest_plugin", "inproc_tubes.version"]
    assert ours == result.stdout.split()
