"""Compiles the core with mypyc, where that is asked for; else the wheel is pure.

INPROC_TUBES_COMPILE=1 in the environment asks for it. Then the wheel is for this
platform and this version of CPython, and a compiler that fails is an error. Source
distributions and editable installs stay as they are.

The sources go into the wheel as well: tracebacks show them.
"""

from __future__ import annotations

import os
import sysconfig
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PACKAGE = "inproc_tubes"

# The versions that the compiled wheel was tested with.
NEEDED = ["mypy[mypyc]==2.4.1", "setuptools>=77"]

# What stays interpreted, and why.
INTERPRETED = {
    "core/__init__.py",  # nothing to compile
    "core/event.py",  # as statistics.py
    "core/failure.py",  # named tuples, one of them public
    "core/job.py",  # there are weak references to a job, and a user looks at its class
    "core/native.py",  # has one text for mypy, and another one where nothing is compiled
    "core/statistics.py",  # dataclasses, which are public and seldom made
}

# What is compiled besides the rest of the core: what the handles spend their time in. The
# public classes stay interpreted: a compiled method has neither a docstring nor the types
# in its signature, and its class no weak references. So does the protocol: mypy 2.4.1
# loses exceptions of functions that return an empty tuple, as some parsers do.
BESIDES = ("turns.py",)


def compiled_sources(root: Path) -> list[str]:
    """Return the modules to compile, as paths below the root."""
    package = root / PACKAGE
    core = sorted((package / "core").glob("*.py"))
    files = [*core, *(package / name for name in BESIDES)]
    return [
        str(file.relative_to(root))
        for file in files
        if file.relative_to(package).as_posix() not in INTERPRETED
    ]


def compile_into(root: Path, folder: Path) -> list[Path]:
    """Compile the modules; return the extensions, as paths below the folder."""
    from mypyc.build import mypycify  # noqa: PLC0415 - only this needs them
    from setuptools import Distribution  # noqa: PLC0415 - as above

    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        message = "mypyc relies on the GIL: a free-threaded CPython has the pure wheel"
        raise RuntimeError(message)
    before = Path.cwd()
    os.chdir(root)  # mypyc names modules by their paths
    try:
        extensions = mypycify(
            [
                "--config-file=pyproject.toml",
                # What is not compiled is not looked at: it may need what is not installed
                # where a wheel is built, as `remote` needs greenstalk.
                "--follow-imports=silent",
                f"--cache-dir={folder / 'cache'}",
                *compiled_sources(root),
            ],
            group_name=PACKAGE,
            target_dir=str(folder / "c"),
            opt_level="3",
            debug_level="0",
        )
        library = folder / "lib"
        build = Distribution({"name": PACKAGE, "ext_modules": extensions})
        command = build.get_command_obj("build_ext")
        command.build_lib, command.build_temp = str(library), str(folder / "o")
        command.ensure_finalized()
        command.run()
    finally:
        os.chdir(before)
    return [path.relative_to(library) for path in sorted(library.rglob("*.*"))]


class CompileHook(BuildHookInterface[Any]):
    """Adds the compiled modules to a wheel."""

    PLUGIN_NAME = "custom"

    @property
    def _is_asked_for(self) -> bool:
        wanted = os.environ.get("INPROC_TUBES_COMPILE", "") not in {"", "0"}
        return wanted and self.target_name == "wheel"

    def dependencies(self) -> list[str]:
        """Return what the build needs."""
        return NEEDED if self._is_asked_for else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, before the wheel is put together."""
        if not self._is_asked_for or version == "editable":
            return
        self._folder = TemporaryDirectory(prefix="inproc-tubes-")
        folder = Path(self._folder.name)
        for path in compile_into(Path(self.root), folder):
            build_data["force_include"][str(folder / "lib" / path)] = path.as_posix()
        build_data["pure_python"] = False
        build_data["infer_tag"] = True

    def finalize(
        self,
        version: str,  # noqa: ARG002 - hatchling's signature
        build_data: dict[str, Any],  # noqa: ARG002 - as above
        artifact_path: str,  # noqa: ARG002 - as above
    ) -> None:
        """Remove what the compiler has left."""
        if hasattr(self, "_folder"):
            self._folder.cleanup()
