"""Every example runs, without a warning, and prints what it promises.

The promise is the lines indented under "Prints:" in the example's docstring. They
appear in this order; other lines may stand between them. A file of tests is run by
pytest, which shows what each of them has printed.
"""

from __future__ import annotations

import ast
import signal
import subprocess
import sys
import textwrap
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))
_SIDE_BY_SIDE = 6


def promised(source: str) -> list[str]:
    """Read from an example's docstring which lines it prints."""
    docstring = ast.get_docstring(ast.parse(source)) or ""
    _, _, below = docstring.partition("Prints:\n")
    lines = []
    for line in below.splitlines():
        if line and not line.startswith(" "):
            break  # the list ends where the indentation does
        if line:
            lines.append(line)
    return textwrap.dedent("\n".join(lines)).splitlines()


def assert_in_order(lines: list[str], output: str) -> None:
    """Check that the lines are in the output, in their order."""
    rest = iter(output.splitlines())
    for line in lines:
        assert line in rest, f"{line!r} is missing, or not in its place:\n{output}"


def run(example: Path) -> subprocess.CompletedProcess[str]:
    """Run an example to its end."""
    # Without the cache, which is the outer run's; with the plugin for coroutines, which
    # our own suite does without.
    pytest_too = ["-m", "pytest", "-rP", "-p", "no:cacheprovider", "-p", "asyncio"]
    pytest_too += ["-o", "asyncio_default_fixture_loop_scope=function"]
    how = pytest_too if example.name.startswith("test_") else []
    return subprocess.run(  # noqa: S603  # our own example
        [sys.executable, "-W", "error", *how, example],
        capture_output=True,
        check=False,
        text=True,
        timeout=60,  # only a bug gets there
    )


@pytest.fixture(scope="module")
def runs(
    request: pytest.FixtureRequest,
) -> Iterator[dict[Path, Future[subprocess.CompletedProcess[str]]]]:
    """All examples of this session, begun side by side: most of them wait for time."""
    names = {item.name for item in request.session.items}
    test = test_an_example_prints_what_it_promises.__name__
    chosen = [one for one in EXAMPLES if f"{test}[{one.name}]" in names]
    with ThreadPoolExecutor(_SIDE_BY_SIDE) as pool:
        yield {example: pool.submit(run, example) for example in chosen}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_an_example_prints_what_it_promises(
    example: Path, runs: dict[Path, Future[subprocess.CompletedProcess[str]]]
) -> None:
    result = runs[example].result()
    assert (0, "") == (result.returncode, result.stderr)
    assert_in_order(promised(example.read_text(encoding="utf-8")), result.stdout)


INTERRUPTED = """
import runpy, signal, sys, threading
from itertools import count

run = runpy.run_path(sys.argv[1])["run"]

hits = []
def handle(number, frame):
    hits.append(number)
    if len(hits) == 1:
        raise KeyboardInterrupt
signal.signal(signal.SIGINT, handle)

def words():
    for number in count(1):
        # CPython sleeps over a signal that comes just before its sem_wait: try again.
        if number > 5 and not hits:
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        yield str(number)

run(words())
print(threading.active_count(), "thread")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pthread_kill")
def test_ctrl_c_empties_the_pipeline() -> None:
    pipeline = next(path for path in EXAMPLES if path.name == "pipeline.py")
    result = subprocess.run(  # noqa: S603  # our own example
        [sys.executable, "-W", "error", "-c", INTERRUPTED, pipeline],
        capture_output=True,
        check=False,
        text=True,
        timeout=60,  # only a bug gets there
    )
    assert (0, "") == (result.returncode, result.stderr)
    *lines, told, threads = result.stdout.splitlines()
    assert "1 thread" == threads
    # All that went in came out, in its order.
    counts = f"{len(lines)} in, {len(lines)} out, 0 buried"
    assert f"stopped by Ctrl-C: {counts}" == told
    assert [f"{n} squared is {n**2}" for n in range(1, len(lines) + 1)] == lines
    assert len(lines) >= 5


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to send")
@pytest.mark.parametrize("signals", [1, 2])
def test_a_worker_that_is_sent_sigterm_finishes_its_job_and_at_the_second_gives_it_back(
    signals: int,
) -> None:
    shutdown = next(path for path in EXAMPLES if path.name == "graceful_shutdown.py")
    seconds = ["1", "60"][signals - 1]
    with subprocess.Popen(  # noqa: S603  # our own example
        [sys.executable, "-W", "error", shutdown, seconds],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as program:
        assert program.stdout is not None
        for line in ("packs piano", "Worker is stopping, 1 job in hand")[:signals]:
            while program.stdout.readline().rstrip() != line:
                assert program.poll() is None
            program.send_signal(signal.SIGTERM)
        stdout, stderr = program.communicate(timeout=60)  # only a bug gets there
    assert "" == stderr
    if signals == 1:
        assert_in_order(["has packed piano", "left over: ['scarf']"], stdout)
        assert 0 == program.returncode
    else:
        assert "has packed" not in stdout
        assert_in_order(["left over: ['piano', 'scarf']"], stdout)
        assert 128 + signal.SIGTERM == program.returncode


def test_a_pipeline_with_all_that_it_needs_takes_25_lines_of_glue() -> None:
    thumbnails = next(path for path in EXAMPLES if path.name == "thumbnails.py")
    source = thumbnails.read_text(encoding="utf-8")
    _, _, glue = source.partition("# The glue\n")
    lines = [
        line
        for line in glue.splitlines()
        if line and not line.lstrip().startswith(("#", '"""'))
    ]
    assert 15 < len(lines) <= 25


def test_there_are_examples() -> None:
    names = {example.name for example in EXAMPLES}
    assert names > {"tutorial.py", "test_with_fixtures.py"}


def test_promises_are_read_from_the_docstring() -> None:
    source = '''"""Title.

    Prints:
        one
          two

        three

    More text.
    """
    '''
    assert ["one", "  two", "three"] == promised(textwrap.dedent(source))


@pytest.mark.parametrize("source", ["", '"""Title."""', '"""Prints: nothing."""'])
def test_an_example_need_not_promise_anything(source: str) -> None:
    assert [] == promised(source)


def test_other_lines_may_stand_between_the_promised_ones() -> None:
    assert_in_order(["a", "b"], "x\na\nx\nb\nx\n")


@pytest.mark.parametrize("output", ["", "b\na\n", "a b\n", "a\n"])
def test_a_broken_promise_is_noticed(output: str) -> None:
    with pytest.raises(AssertionError, match="is missing, or not in its place"):
        assert_in_order(["a", "b"], output)
