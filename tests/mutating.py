"""Small mistakes that are put into a source: one operator for each kind of mistake.

An operator is a function that is called with each node of the source's tree. It yields
changes: a node, and the one that is to stand in its place. A change is made in the text,
so that all else stays as it is, the comments too.

What only the type checker reads is left alone, and so is what only tests call.
"""

from __future__ import annotations

import ast
from copy import copy
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Change = tuple[ast.AST, ast.AST]
    Operator = Callable[[ast.AST], Iterator[Change]]


def with_fields(node: ast.AST, **fields: object) -> ast.AST:
    """Return a copy of a node in which some fields are others."""
    changed = copy(node)
    for name, value in fields.items():
        setattr(changed, name, value)
    return changed


# Operators

_OTHER_COMPARISONS: dict[type, tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}


def another_comparison(node: ast.AST) -> Iterator[Change]:
    """``<`` becomes ``<=`` or ``>=``, ``is`` becomes ``is not``, and so on."""
    if isinstance(node, ast.Compare):
        for place, operator in enumerate(node.ops):
            for other in _OTHER_COMPARISONS[type(operator)]:
                ops = [*node.ops[:place], other(), *node.ops[place + 1 :]]
                yield node, with_fields(node, ops=ops)


_OTHER_ARITHMETIC: dict[type, type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}


def another_arithmetic(node: ast.AST) -> Iterator[Change]:
    """``+`` becomes ``-``, ``<<`` becomes ``>>``, and so on."""
    if isinstance(node, (ast.BinOp, ast.AugAssign)):
        other = _OTHER_ARITHMETIC.get(type(node.op))
        if other is not None:
            yield node, with_fields(node, op=other())


def another_constant(node: ast.AST) -> Iterator[Change]:
    """A number becomes the next one or the one before, True False, bytes others."""
    if isinstance(node, ast.Constant):
        value = node.value
        if isinstance(value, bool):
            yield node, ast.Constant(not value)
        elif isinstance(value, (int, float)):
            yield node, ast.Constant(value + 1)
            yield node, ast.Constant(value - 1)
        elif isinstance(value, bytes):
            yield node, ast.Constant(b"?" + value)


def another_junction(node: ast.AST) -> Iterator[Change]:
    """``and`` becomes ``or``; one of the operands is dropped."""
    if isinstance(node, ast.BoolOp):
        other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield node, with_fields(node, op=other)
        for place in range(len(node.values)):
            left = [*node.values[:place], *node.values[place + 1 :]]
            yield node, left[0] if len(left) == 1 else with_fields(node, values=left)


def negated(node: ast.AST) -> Iterator[Change]:
    """A condition is negated; a ``not`` is dropped."""
    tests: list[ast.expr] = []
    if isinstance(node, (ast.If, ast.While, ast.IfExp)):
        tests = [node.test]
    elif isinstance(node, ast.comprehension):
        tests = node.ifs
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield node, node.operand
    for test in tests:
        # A comparison and a `not` have been negated already.
        if not isinstance(test, (ast.Compare, ast.UnaryOp)):
            yield test, ast.UnaryOp(ast.Not(), test)


def without_a_statement(node: ast.AST) -> Iterator[Change]:
    """A statement is dropped, but for the assignment of a local name."""
    if isinstance(node, ast.Expr):
        dropped = not isinstance(node.value, ast.Constant)  # a docstring
    elif isinstance(node, ast.Assign):
        dropped = not all(isinstance(target, ast.Name) for target in node.targets)
    elif isinstance(node, ast.AnnAssign):
        dropped = node.value is not None and not isinstance(node.target, ast.Name)
    else:
        kinds = (ast.AugAssign, ast.Break, ast.Continue, ast.Delete, ast.Raise)
        dropped = isinstance(node, kinds)
    if dropped:
        yield node, ast.Pass()


def without_a_result(node: ast.AST) -> Iterator[Change]:
    """A function returns None, or does not return there."""
    if isinstance(node, ast.Return):
        if node.value is None:
            yield node, ast.Pass()
        # None is as false as False.
        elif ast.unparse(node.value) not in {"None", "False"}:
            yield node, ast.Return(ast.Constant(None))


_OTHER_FUNCTIONS = {"min": "max", "max": "min", "any": "all", "all": "any"}
_OTHER_METHODS = {"popleft": "pop", "appendleft": "append"}


def another_function(node: ast.AST) -> Iterator[Change]:
    """``min`` becomes ``max``, ``any`` becomes ``all``, one end of a deque the other."""
    if isinstance(node, ast.Call):
        function = node.func
        if isinstance(function, ast.Name) and function.id in _OTHER_FUNCTIONS:
            yield function, ast.Name(_OTHER_FUNCTIONS[function.id])
        elif isinstance(function, ast.Attribute) and function.attr in _OTHER_METHODS:
            yield function, with_fields(function, attr=_OTHER_METHODS[function.attr])


_CONVERSIONS = {"bool", "dict", "frozenset", "int", "list", "reversed", "set", "sorted"}


def without_a_call(node: ast.AST) -> Iterator[Change]:
    """``sorted(x)`` becomes ``x``, ``list(x)`` as well, and so on."""
    if (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in _CONVERSIONS
        and node.args
    ):
        yield node, node.args[0]


def another_jump(node: ast.AST) -> Iterator[Change]:
    """``break`` becomes ``continue``, and the other way round."""
    if isinstance(node, ast.Break):
        yield node, ast.Continue()
    elif isinstance(node, ast.Continue):
        yield node, ast.Break()


OPERATORS: tuple[Operator, ...] = (
    another_arithmetic,
    another_comparison,
    another_constant,
    another_function,
    another_jump,
    another_junction,
    negated,
    without_a_call,
    without_a_result,
    without_a_statement,
)


# Mutants


@dataclass(frozen=True)
class Mutant:
    """One small mistake in one file.

    Attributes:
        file: The file, as the report names it.
        line: The number of the line where the change begins.
        operator: The name of the operator.
        before: The text that is replaced.
        after: What it is replaced by.
        start: Where it begins, in bytes.
    """

    file: str
    line: int
    operator: str
    before: str
    after: str
    start: int

    def source(self, original: str) -> str:
        """Return the file with the mistake."""
        text = original.encode()
        end = self.start + len(self.before.encode())
        return (text[: self.start] + self.after.encode() + text[end:]).decode()

    def key(self, original: str) -> tuple[str, str, str]:
        """Return what names it still when other lines of the file have changed."""
        line = original.splitlines()[self.line - 1].strip()
        return self.file, line, " ".join(f"{self.before} -> {self.after}".split())


def mutants(file: str, source: str) -> Iterator[Mutant]:
    """Return all mutants of a file."""
    lines = source.splitlines(keepends=True)
    # Where each line begins, in bytes.
    begins = [0, *accumulate(len(line.encode()) for line in lines)]
    for node, in_function in _places(ast.parse(source), lines):
        # Outside of functions most mistakes fail as the module is imported.
        for operator in OPERATORS if in_function else (another_constant,):
            for old, new in operator(node):
                assert isinstance(old, (ast.expr, ast.stmt))  # these have places
                assert old.end_lineno is not None  # it comes from a source
                assert old.end_col_offset is not None  # as above
                start = begins[old.lineno - 1] + old.col_offset
                end = begins[old.end_lineno - 1] + old.end_col_offset
                before = source.encode()[start:end].decode()
                name = operator.__name__
                yield Mutant(file, old.lineno, name, before, _text(new), start)


def _text(node: ast.AST) -> str:
    """Write a node so that it can stand anywhere."""
    atoms = (ast.Attribute, ast.Call, ast.Constant, ast.Name, ast.Subscript)
    text = ast.unparse(node)
    return (
        f"({text})"
        if isinstance(node, ast.expr) and not isinstance(node, atoms)
        else text
    )


# Statements that only the type checker, tests or a reader need.
_UNTOUCHED = (ast.Assert, ast.Import, ast.ImportFrom, ast.JoinedStr)


def _places(
    node: ast.AST, lines: list[str], *, in_function: bool = False
) -> Iterator[tuple[ast.AST, bool]]:
    """Return all nodes that may be changed, and whether each is in a function."""
    yield node, in_function
    inside = in_function or isinstance(node, (ast.FunctionDef, ast.Lambda))
    for child in _children(node):
        line = lines[getattr(child, "lineno", 1) - 1]
        if not isinstance(child, _UNTOUCHED) and "pragma: no cover" not in line:
            yield from _places(child, lines, in_function=inside)


def _children(node: ast.AST) -> list[ast.AST]:
    """Return the nodes below a node, without annotations, decorators and the like."""
    if isinstance(node, ast.FunctionDef):
        # What nothing but tests, or a person at a prompt, calls.
        if node.name.startswith("_check") or node.name in {"check", "__repr__"}:
            return []
        defaults = [*node.args.defaults, *filter(None, node.args.kw_defaults)]
        return [*defaults, *node.body]
    if isinstance(node, ast.ClassDef):
        return [*node.body]
    if isinstance(node, ast.AnnAssign):
        return [*filter(None, [node.value])]
    typed = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    named = isinstance(node, ast.Assign) and ast.unparse(node.targets[0])
    if typed or named in {"__all__", "__slots__"}:
        return []
    return list(ast.iter_child_nodes(node))
