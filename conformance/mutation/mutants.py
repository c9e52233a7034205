"""Formulas broken in one place: every operator, sign, constant and choice of a file, one at a time.

mutmut leaves alone what stands at module level, where the rules of the tape are; cosmic-ray writes into the
checkout. Neither keeps a list of accepted survivors with reasons.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

OTHER_OPERATORS = {
    ast.Add: (ast.Sub,),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.Div,),
    ast.Div: (ast.Mult,),
    ast.FloorDiv: (ast.Mult,),
    ast.Mod: (ast.Add,),
    ast.Pow: (ast.Mult,),
    ast.BitAnd: (ast.BitOr,),
    ast.BitOr: (ast.BitAnd,),
    ast.And: (ast.Or,),
    ast.Or: (ast.And,),
    ast.Lt: (ast.LtE, ast.Gt),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.Lt),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
"""What an operator is exchanged for; a comparison for its bound's other side and for its contrary."""


@dataclass(frozen=True)
class Mutant:
    """A file with one expression changed.

    Attributes
    ----------
    file : str
        Path below the package.
    place : str
        Function or class the expression stands in; empty at module level.
    old, new : str
        The expression, before and after.
    line : int
        Its line.
    span : pair of ints
        Where it stands in the file, in bytes.
    number : int
        Which of those that look the same, from 1.
    """

    file: str
    place: str
    old: str
    new: str
    line: int
    span: tuple[int, int]
    number: int = 1

    @property
    def name(self) -> str:
        """As in the list of accepted survivors: it does not change when lines move."""
        again = f" ({self.number})" if self.number > 1 else ""
        return f"{self.file}:{self.place}: {self.old} -> {self.new}{again}"

    def source(self, source: str) -> str:
        """Give the file's source the changed expression."""
        start, stop = self.span
        whole = source.encode()
        return (whole[:start] + f"({self.new})".encode() + whole[stop:]).decode()


def mutants(file: str, source: str) -> list[Mutant]:
    """All mutants of a file, in the order of its lines.

    Parameters
    ----------
    file : str
        Path below the package, for their names.
    source : str
        What is in it.
    """
    starts = [0]
    for line in source.encode().splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    found = []
    seen: Counter[str] = Counter()
    for place, node in _formulas(ast.parse(source), ""):
        for changed in _changed(node):
            span = (
                starts[node.lineno - 1] + node.col_offset,
                starts[node.end_lineno - 1] + node.end_col_offset,
            )
            mutant = Mutant(file, place, ast.unparse(node), ast.unparse(changed), node.lineno, span)
            seen[mutant.name] += 1
            found.append(replace(mutant, number=seen[mutant.name]))
    return found


def _formulas(node: ast.AST, place: str) -> Iterator[tuple[str, ast.expr]]:
    """Every expression that computes; not annotations, docstrings, decorators, errors, zip's `strict`."""
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list", "type_comment"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if not isinstance(child, ast.AST) or isinstance(child, (ast.Raise, ast.JoinedStr, ast.Import)):
                continue
            if isinstance(child, ast.keyword) and child.arg == "strict":
                continue
            inner = place
            if isinstance(child, (ast.FunctionDef, ast.ClassDef)):
                inner = f"{place}.{child.name}".lstrip(".")
            if isinstance(child, ast.expr):
                yield inner, child
            yield from _formulas(child, inner)


def _changed(node: ast.expr) -> Iterator[ast.expr]:
    """The expression with one thing exchanged, in each way there is."""
    match node:
        case ast.BinOp(op=op) | ast.BoolOp(op=op):
            for other in OTHER_OPERATORS.get(type(op), ()):
                yield _with(node, op=other())
        case ast.Compare(ops=[op]):
            for other in OTHER_OPERATORS[type(op)]:
                yield _with(node, ops=[other()])
        case ast.UnaryOp(operand=operand, op=ast.USub() | ast.Invert() | ast.Not()):
            yield operand
        case ast.Constant(value=bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(value=int(value) | float(value)):
            yield ast.Constant(value + 1 if value else 1)
            if value == 1:
                yield ast.Constant(0)
        case ast.Call(func=ast.Attribute(attr="where"), args=[condition, a, b]):
            yield _with(node, args=[condition, b, a])


def _with(node: ast.expr, **fields: object) -> ast.expr:
    kept = {name: value for name, value in ast.iter_fields(node) if name not in fields}
    return type(node)(**kept, **fields)
