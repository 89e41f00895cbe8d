"""The list of what is not tested on a beanstalkd."""

from __future__ import annotations

import ast
from pathlib import Path

from tests.handles.not_portable import NOT_PORTABLE, NOT_PORTABLE_FILES


def test_each_name_in_the_list_is_a_test() -> None:
    names = {
        node.name
        for file in Path(__file__).parent.glob("test_*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef)
    }
    assert set() == NOT_PORTABLE.keys() - names


def test_each_file_in_the_list_is_there() -> None:
    files = {file.name for file in Path(__file__).parent.glob("test_*.py")}
    assert set() == NOT_PORTABLE_FILES.keys() - files
