"""The mutants are programs with one mistake each, and the script tells which survive."""

from __future__ import annotations

import ast
from pathlib import Path
from textwrap import dedent

import pytest

import inproc_tubes
from tests import mutants as script
from tests.mutating import OPERATORS, mutants

TREE = Path(inproc_tubes.__file__).parents[1]

# {operator: pairs of a statement, and what becomes of it}
SAMPLES: dict[str, list[tuple[str, list[str]]]] = {
    "another_arithmetic": [
        ("return a + b", ["return (a - b)"]),
        ("a.b -= c", ["a.b += c"]),
        ("return a << b | c", ["return (a << b & c)", "return (a >> b) | c"]),
        ("return a % b", []),
    ],
    "another_comparison": [
        ("return a < b", ["return (a <= b)", "return (a >= b)"]),
        ("return a is b", ["return (a is not b)"]),
        ("return a not in b", ["return (a in b)"]),
        (
            "return 0 <= a == b",
            [
                "return (0 < a == b)",
                "return (0 > a == b)",
                "return (0 <= a != b)",
            ],
        ),
    ],
    "another_constant": [
        ("return 1", ["return 2", "return 0"]),
        ("return 0.5", ["return 1.5", "return -0.5"]),
        ("return True", ["return False"]),
        ("return b'GO'", ["return b'?GO'"]),
        ("return 'a', None", []),
    ],
    "another_function": [
        ("return min(a, b)", ["return max(a, b)"]),
        ("return any(a)", ["return all(a)"]),
        ("return a.b.popleft()", ["return a.b.pop()"]),
        ("return a(b).c(d)", []),
    ],
    "another_jump": [
        ("while a: break", ["while a: continue"]),
        ("while a: continue", ["while a: break"]),
    ],
    "another_junction": [
        ("return a and b", ["return (a or b)", "return b", "return a"]),
        (
            "return a or b or c",
            [
                "return (a and b and c)",
                "return (b or c)",
                "return (a or c)",
                "return (a or b)",
            ],
        ),
    ],
    "negated": [
        ("if a: b()", ["if (not a): b()"]),
        ("while a(): b()", ["while (not a()): b()"]),
        ("return b if a else c", ["return b if (not a) else c"]),
        ("return [a for a in b if c]", ["return [a for a in b if (not c)]"]),
        ("return not a", ["return a"]),
        ("if a < b: c()", []),
        ("if not a: c()", ["if a: c()"]),
    ],
    "without_a_call": [
        ("return sorted(a)", ["return a"]),
        ("return list(a.b)", ["return a.b"]),
        ("return list()", []),
        ("return other(a)", []),
    ],
    "without_a_result": [
        ("return a", ["return None"]),
        ("return", ["pass"]),
        ("return None", []),
        ("return False", []),
    ],
    "without_a_statement": [
        ("a.b()", ["pass"]),
        ("a.b = c", ["pass"]),
        ("a[b] = c = d", ["pass"]),
        ("a = b", []),
        ("a.b += c", ["pass"]),
        ("del a[b]", ["pass"]),
        ("raise a", ["pass"]),
        ("while a: break", ["while a: pass"]),
        ("'docs'", []),
    ],
}


def changed(source: str, operator: str | None = None) -> list[str]:
    """Return the mutants of a source, by one operator or by all."""
    return [
        mutant.source(source)
        for mutant in mutants("file.py", source)
        if operator in {None, mutant.operator}
    ]


def test_every_operator_has_samples() -> None:
    assert SAMPLES.keys() == {operator.__name__ for operator in OPERATORS}


@pytest.mark.parametrize(
    ("operator", "before", "after"),
    [(name, *pair) for name, pairs in SAMPLES.items() for pair in pairs],
)
def test_an_operator_makes_these_programs(
    operator: str, before: str, after: list[str]
) -> None:
    head = "def f():\n    "
    made = changed(head + before, operator)
    assert [head + statement for statement in after] == made
    for program in made:
        assert ast.dump(ast.parse(program)) != ast.dump(ast.parse(head + before))


def test_a_mutant_of_the_package_is_another_program_that_compiles() -> None:
    known = script.sources(TREE)
    for mutant in script.drawn(known, 100, 7, {}):
        source = known[mutant.file]
        before, after = ast.parse(source), ast.parse(mutant.source(source))
        assert ast.dump(before) != ast.dump(after), mutant
        compile(after, mutant.file, "exec")


def test_a_change_is_made_in_its_place_and_nowhere_else() -> None:
    source = "def f():\n    a = 'µs', b > c  # a comment, µ\n    return 1\n"
    assert source.replace("b > c", "(b >= c)") in changed(source)


def test_a_line_is_named_by_its_number_and_for_the_list_by_its_text() -> None:
    source = "def f():\n    return (\n        a +\n        b\n    )\n"
    (mutant,) = mutants("core/f.py", source.replace("return", "a ="))
    assert 3 == mutant.line
    key = ("core/f.py", "a +", "a + b -> (a - b)")
    assert key == mutant.key(source)


@pytest.mark.parametrize(
    "source",
    [
        "from a import b",
        "__all__ = [1]",
        "__slots__ = (1,)",
        "if TYPE_CHECKING:\n    a = 1\nelse:\n    a = 2",
        "a: Literal[1]",
        "@a(1)\nclass B: ...",
        "@a(1)\ndef b(c: Literal[1]) -> Literal[1]: ...",
        "def f():\n    assert a > 1",
        "def f():\n    a = f'{b + 1}'",
        "def f():\n    'docs'",
        "def _check(a):\n    a.b()",
        "def _check_all(a):\n    a.b()",
        "def check(a):\n    a.b()",
        "def __repr__(a):\n    return a",
        "def f():\n    if a:  # pragma: no cover - why\n        return 1",
    ],
)
def test_what_no_test_could_find_is_left_alone(source: str) -> None:
    assert [] == changed(source)


@pytest.mark.parametrize(
    ("source", "made"),
    [
        ("a: int = True", ["a: int = False"]),
        ("def f(a=True, *, b=c): ...", ["def f(a=False, *, b=c): ..."]),
        ("a.b = c + True", ["a.b = c + False"]),
        ("f = lambda: a < b", ["f = lambda: (a <= b)", "f = lambda: (a >= b)"]),
    ],
)
def test_outside_of_functions_only_constants_are_changed(
    source: str, made: list[str]
) -> None:
    assert made == changed(source)


def test_every_signed_mutant_exists_and_has_its_reason() -> None:
    known = script.sources(TREE)
    keys = {
        mutant.key(source)
        for file, source in known.items()
        for mutant in mutants(file, source)
    }
    assert script.EQUIVALENT.keys() <= keys
    assert all(script.EQUIVALENT.values())


# The script, on a small tree

LARGEST = """
def largest(a, b):
    return a if a >= b else b
"""
TESTS = ("test_l*.py",)
TESTED = """
from inproc_tubes.core.largest import largest

def test_largest():
    assert 2 == largest(1, 2) == largest(2, 1)
"""
PROFILE = """
from hypothesis import settings

settings.register_profile("mutants")
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    files = {
        "inproc_tubes/__init__.py": "",
        "inproc_tubes/pytest_plugin.py": "",
        "inproc_tubes/core/largest.py": LARGEST,
        "inproc_tubes/protocol/__init__.py": "",
        "tests/test_largest.py": TESTED,
        "tests/conftest.py": PROFILE,
        "docs/index.md": "",
        "examples/README": "",
        "mkdocs.yml": "",
        "pyproject.toml": "",
        "README.md": "",
    }
    for name, content in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    return tmp_path


@pytest.fixture
def copy(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> script.Copy:
    return script.Copy(tree, tmp_path_factory.mktemp("copy"), TESTS)


def test_the_script_lists_what_no_test_has_found(
    tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert 1 == script.main(["9", "--seed", "5", "--jobs", "2"], tree, TESTS)
    out, err = capsys.readouterr()
    assert out == dedent(
        """
        inproc_tubes/core/largest.py:3
        --- core/largest.py
        +++ another_comparison
        @@ -2,2 +2,2 @@
         def largest(a, b):
        -    return a if a >= b else b
        +    return a if (a > b) else b

        3 mutants, seed 5: 1 not found
        """
    )
    assert "3/3" in err
    assert LARGEST == (tree / "inproc_tubes/core/largest.py").read_text("utf-8")


def test_what_is_signed_as_equivalent_is_not_tried(
    tree: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    line = "return a if a >= b else b"
    key = ("core/largest.py", line, "a >= b -> (a > b)")
    monkeypatch.setattr(script, "EQUIVALENT", {key: "of two equals either will do"})
    assert 0 == script.main(["--seed", "5", "--jobs", "1"], tree, TESTS)
    assert "\n2 mutants, seed 5: 0 not found\n" == capsys.readouterr().out


@pytest.mark.parametrize("pattern", script.TESTS)
def test_every_pattern_finds_tests(pattern: str) -> None:
    assert list(Path(__file__).parent.glob(pattern))


def test_as_many_are_drawn_as_are_wanted_and_the_seed_decides_which() -> None:
    known = script.sources(TREE)
    some, same, others = [script.drawn(known, 20, seed, {}) for seed in (1, 1, 2)]
    assert 20 == len(set(some))
    assert some == same != others


def test_a_run_that_does_not_end_finds_the_mistake(copy: script.Copy) -> None:
    assert copy.passes()
    copy.timeout = 0
    (mutant, *_) = mutants("core/largest.py", LARGEST)
    assert copy.finds(mutant)


def test_nothing_is_tried_where_a_test_fails_anyway(tree: Path) -> None:
    test = tree / "tests/test_largest.py"
    test.write_text(TESTED.replace("2 ==", "3 ==", 1), encoding="utf-8")
    with pytest.raises(
        SystemExit, match=r"assert 3 == 2[\s\S]*fails without a mistake"
    ):
        script.main(["1", "--jobs", "1"], tree, TESTS)


def test_nothing_is_tried_where_the_tests_are_those_of_another_tree(
    copy: script.Copy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copy, "passes", lambda: True)
    with pytest.raises(SystemExit, match="are not run on the copy"):
        copy.prove()


def test_a_copy_is_as_it_was_when_a_mutant_has_been_tried(copy: script.Copy) -> None:
    (mutant, *_) = mutants("core/largest.py", LARGEST)
    copy.finds(mutant)
    assert copy.passes()
