from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.interpreted import interpreted

SKIPPED = """
    import pytest

    @pytest.mark.real
    @pytest.mark.skipif(True, reason="no server")
    def test_skipped_by_a_mark():
        pass

    @pytest.mark.real
    def test_skipped_by_itself():
        pytest.skip("no server")

    @pytest.mark.skip(reason="another reason")
    def test_skipped_but_not_real():
        pass
"""


Run = Callable[..., pytest.RunResult]


@pytest.fixture
def run(pytester: pytest.Pytester, request: pytest.FixtureRequest) -> Iterator[Run]:
    """Run a suite that has our conftest's hooks."""
    profile = settings.get_current_profile_name()
    conftest = request.config.pluginmanager.get_plugin(
        str(Path(__file__).with_name("conftest.py"))
    )
    assert conftest is not None
    pytester.makeini("[pytest]\nmarkers = real\naddopts = -p no:asyncio -p no:randomly")

    def run(source: str, *arguments: str) -> pytest.RunResult:
        pytester.makepyfile(source)
        return pytester.runpytest_inprocess(*arguments, plugins=[conftest])

    yield run
    settings.load_profile(profile)  # an inner run leaves its own behind


def test_a_real_test_may_be_skipped(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("INPROC_TUBES_REQUIRE_REAL", raising=False)
    run(SKIPPED).assert_outcomes(skipped=3)


def test_a_skipped_real_test_fails_where_the_server_is_required(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INPROC_TUBES_REQUIRE_REAL", "1")
    result = run(SKIPPED)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    # A mark skips during setup, where a failure is called an error.
    result.assert_outcomes(skipped=1, failed=1, errors=1)
    result.stdout.fnmatch_lines(["*INPROC_TUBES_REQUIRE_REAL is set, but: *no server*"])


def test_what_no_server_could_pass_may_be_skipped(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    excused = f"""
        import pytest

        @pytest.mark.real
        @pytest.mark.skipif(True, reason="{interpreted.kwargs["reason"]}")
        def test_of_an_interpreted_core():
            pass

        @pytest.mark.real
        def test_of_what_is_not_portable():
            pytest.skip("not portable: no server can do it")
    """
    monkeypatch.setenv("INPROC_TUBES_REQUIRE_REAL", "1")
    run(excused).assert_outcomes(skipped=2)


@pytest.mark.parametrize(
    ("arguments", "minutes"),
    [((), 0.0), (("--soak=0.5",), 0.5), (("--soak", "30"), 30.0)],
)
def test_soak_is_a_number_of_minutes_and_off_by_default(
    run: Run, arguments: tuple[str, ...], minutes: float
) -> None:
    source = f"""
        def test_soak(pytestconfig):
            assert pytestconfig.getoption("soak") == {minutes}
    """
    run(source, *arguments).assert_outcomes(passed=1)
    assert ("soak" if minutes else "suite") == settings.get_current_profile_name()
