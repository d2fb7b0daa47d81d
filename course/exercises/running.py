"""Calling a learner's function: nothing of the learner's is changed, and all of it is seen."""

import ast
import contextlib
import copy
import inspect
import io
import linecache
import textwrap
import traceback
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from course.device import random_states, seed_everything, set_random_states

MOST_OF_AN_ARGUMENT = 60  # characters that a message shows


@dataclass(frozen=True)
class Outcome:
    """What a call did: its result, or the error; what it printed; the arguments afterwards."""

    result: Any = None
    error: BaseException | None = None
    printed: str = ""
    arguments_after: tuple[Any, ...] = ()


@contextlib.contextmanager
def nothing_else_changed() -> Iterator[None]:
    """Leave the states of all random generators, and whether gradients are on, as they were."""
    states = random_states()
    gradients = torch.is_grad_enabled()
    try:
        yield
    finally:
        set_random_states(states)
        torch.set_grad_enabled(gradients)


def call(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Outcome:
    """Call a function with copies of the arguments; random numbers start from the same seed."""
    copies = copy_of(arguments)
    printed = io.StringIO()
    seed_everything(0)
    try:
        with contextlib.redirect_stdout(printed):
            result = function(*copies)
            if isinstance(result, types.GeneratorType):
                result = None  # nothing of it was computed
    except (Exception, SystemExit) as error:
        return Outcome(error=error, printed=printed.getvalue(), arguments_after=copies)
    return Outcome(result, None, printed.getvalue(), copies)


def copy_of(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """A deep copy; tensors in the middle of a graph, which torch cannot copy, become leaves."""
    memo: dict[int, Any] = {}
    for argument in arguments:
        if isinstance(argument, Tensor) and not argument.is_leaf:
            memo[id(argument)] = argument.detach().clone().requires_grad_(True)
    return copy.deepcopy(arguments, memo)


def is_unsolved(answer: Any) -> bool:
    """Whether the dots of the task still stand there."""
    if answer is ...:
        return True
    if isinstance(answer, list | tuple):
        return any(is_unsolved(part) for part in answer)
    if isinstance(answer, dict):
        return any(is_unsolved(part) for part in answer.values())
    if not isinstance(answer, types.FunctionType):
        return False
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(answer)))
    except (OSError, SyntaxError):
        return answer.__code__.co_code == _nothing.__code__.co_code
    return _has_dots(tree)


def _nothing() -> None:
    pass


def _has_dots(tree: ast.AST) -> bool:
    """Whether dots stand for a value, or are all that a function does. ``x[..., 0]`` is neither."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            docstring = ast.get_docstring(node) is not None
            if all(_is_empty(statement) for statement in node.body[docstring:]):
                return True
        elif not isinstance(node, ast.Expr | ast.Subscript | ast.Tuple):
            children = ast.iter_child_nodes(node)
            if any(isinstance(c, ast.Constant) and c.value is ... for c in children):
                return True
    return False


def _is_empty(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
        return True  # dots, or a text
    return isinstance(statement, ast.Pass)


def where(error: BaseException, function: Callable[..., Any]) -> str:
    """The learner's own line in which an error arose, or an empty text."""
    code = getattr(function, "__code__", None)
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if code and frame.filename == code.co_filename]
    if not own:
        return ""
    line = linecache.getline(own[-1].filename, own[-1].lineno or 0).strip()
    return f"line {own[-1].lineno}: {line}"


def describe(thing: Any) -> str:
    """A value in few characters: small tensors as they are, large ones by shape and dtype."""
    if isinstance(thing, Tensor):
        if thing.numel() > 8:
            return f"tensor {tuple(thing.shape)} {str(thing.dtype).removeprefix('torch.')}"
        values = thing.detach().cpu()
        rounded = values.double().round(decimals=4) if values.is_floating_point() else values
        return str(rounded.tolist())
    text = f"{thing:.4g}" if isinstance(thing, float) else " ".join(repr(thing).split())
    if len(text) > MOST_OF_AN_ARGUMENT:
        text = text[: MOST_OF_AN_ARGUMENT - 1] + "…"
    return text
