"""``python -m inproc_tubes``, and what it finds in a process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import inproc_tubes
from inproc_tubes.__main__ import main
from inproc_tubes.doctor import diagnose
from tests.robustness import processes
from tests.test_examples import assert_in_order, promised
from tests.threads import LONG

if TYPE_CHECKING:
    import pytest

TUTORIAL = Path(__file__).parent.parent / "examples" / "tutorial.py"


def run(*arguments: str) -> str:
    """Run ``python -m inproc_tubes`` in a process of its own."""
    result = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-W", "error", "-m", "inproc_tubes", *arguments],
        capture_output=True,
        text=True,
        check=True,
    )
    assert not result.stderr
    return result.stdout


def test_without_a_command_it_tells_the_version_and_the_commands() -> None:
    found = run()
    for part in (inproc_tubes.__version__, "demo", "doctor"):
        assert part in found
    assert f"{inproc_tubes.__version__}\n" == run("--version")


def test_the_demonstration_is_the_tutorial() -> None:
    assert_in_order(promised(TUTORIAL.read_text(encoding="utf-8")), run("demo"))


UNREAD = """
import builtins, sys, threading
from inproc_tubes.__main__ import main

def write(*text, before=print, **options):
    if threading.current_thread() is not threading.main_thread():
        raise BrokenPipeError
    before(*text, **options)

builtins.print = write
sys.argv = ["inproc_tubes", "demo"]
main()
"""


def test_the_demonstration_ends_when_nobody_reads_what_a_worker_does() -> None:
    """As ``python -m inproc_tubes demo | head -12`` does."""
    result = subprocess.run(  # noqa: S603 - as above
        [sys.executable, "-c", UNREAD], capture_output=True, timeout=LONG, check=False
    )
    assert (1, b"") == (result.returncode, result.stderr)


def test_the_doctor_tells_what_there_is() -> None:
    found = run("doctor")
    kind = "compiled" if inproc_tubes.compiled else "interpreted"
    for part in (inproc_tubes.__version__, kind, "greenstalk 2.1.1", "aiostalk"):
        assert part in found
    assert found.endswith("\n\nNo known traps were found.\n")


def test_the_commands_are_carried_out_in_this_process_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for command, part in {"": "usage:", "doctor": "Python", "demo": "medicine"}.items():
        monkeypatch.setattr(sys, "argv", ["inproc_tubes", *command.split()])
        main()
        assert part in capsys.readouterr().out


LATE = """
from inproc_tubes import Broker
before = Broker()
from gevent import monkey
monkey.patch_all()
from inproc_tubes.doctor import diagnose
after = Broker()
print(diagnose())
"""


def test_the_doctor_finds_a_patch_that_came_too_late() -> None:
    found = processes.run(LATE)
    assert "those of gevent" in found
    assert "1 of the living brokers was made before gevent has patched" in found


def test_the_doctor_finds_a_lock_of_nobody_it_knows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Lock:
        pass

    monkeypatch.setattr("threading.RLock", Lock)
    assert "those of others" == diagnose().facts["threads"]


def test_the_doctor_tells_of_a_python_without_the_gil(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: False, raising=False)
    found = diagnose()
    assert "off" == found.facts["GIL"]
    assert "without the GIL" in found.traps[0]


def test_the_doctor_tells_of_a_program_that_is_traced_on_an_old_python(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 11))
    monkeypatch.setattr(sys, "gettrace", lambda: print)
    assert any("traced" in trap for trap in diagnose().traps)


def test_the_doctor_tells_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inproc_tubes.doctor._version", lambda _package: None)
    monkeypatch.setattr("shutil.which", lambda _command: None)
    facts = diagnose().facts
    assert ("missing", "none", "not found") == (
        facts["sortedcontainers"],
        facts["clients"],
        facts["beanstalkd"],
    )
