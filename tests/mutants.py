"""Small changes to a function's source, each of which is likely to make it wrong."""

import ast
import copy
import inspect
import linecache
import textwrap
from collections.abc import Callable, Iterator
from typing import Any

OPERATORS: dict[type, type] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Div,
    ast.MatMult: ast.Mult,
    ast.Pow: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Lt: ast.GtE,
    ast.LtE: ast.Gt,
    ast.Gt: ast.LtE,
    ast.GtE: ast.Lt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
}


def mutants(function: Callable[..., Any]) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Every mutant with the source that it has: an operator, a constant, a line, two arguments."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    original = ast.unparse(tree)
    seen = {original}
    for i, _ in enumerate(ast.walk(tree)):
        for change in (_operator, _constant, _line, _arguments):
            changed = copy.deepcopy(tree)
            node = list(ast.walk(changed))[i]
            if change(node):
                source = ast.unparse(ast.fix_missing_locations(changed))
                if source not in seen:
                    seen.add(source)
                    yield source, compiled(source, function)


def compiled(source: str, like: Callable[..., Any]) -> Callable[..., Any]:
    """The function of a source text, with the globals of another one."""
    name = f"<mutant {hash(source)}>"
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    memory = dict(like.__globals__)
    exec(compile(source, name, "exec"), memory)
    made: Callable[..., Any] = memory[like.__name__]
    return made


def _operator(node: ast.AST) -> bool:
    """Exchange an operator for its counterpart."""
    if isinstance(node, ast.BinOp | ast.AugAssign) and type(node.op) in OPERATORS:
        node.op = OPERATORS[type(node.op)]()
        return True
    if isinstance(node, ast.Compare) and type(node.ops[0]) in OPERATORS:
        node.ops[0] = OPERATORS[type(node.ops[0])]()
        return True
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        node.op = ast.UAdd()
        return True
    return False


def _constant(node: ast.AST) -> bool:
    """Another number, or the other truth."""
    if not isinstance(node, ast.Constant) or isinstance(node.value, str) or node.value is None:
        return False
    if isinstance(node.value, bool):
        node.value = not node.value
    elif isinstance(node.value, int | float):
        node.value = node.value + 1
    else:
        return False
    return True


def _line(node: ast.AST) -> bool:
    """Leave out the first line of a block that is no definition, docstring or return."""
    body = getattr(node, "body", None)
    if not isinstance(body, list):
        return False
    for i, statement in enumerate(body):
        is_call = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call)
        if len(body) > 1 and (is_call or isinstance(statement, ast.Assign | ast.AugAssign)):
            del body[i]
            return True
    return False


def _arguments(node: ast.AST) -> bool:
    """Exchange the first two arguments of a call, or the first two entries of a tuple."""
    entries = node.args if isinstance(node, ast.Call) else None
    if isinstance(node, ast.Tuple) and isinstance(node.ctx, ast.Load):
        entries = node.elts
    if entries is None or len(entries) < 2:
        return False
    entries[0], entries[1] = entries[1], entries[0]
    return True
