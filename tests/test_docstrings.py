"""What docstrings promise: they are there, give shapes in one notation, and tell the truth."""

import ast
import importlib
import inspect
import re

import pytest
import torch
from torch import nn
from torchvision.models import mobilenet_v2

import course
from course.files import paths
from course.models import MODELS, ClothingClassifierMobileNet, make_head

FOLDER = paths.PROJECT / "course"
# The docstrings of answers to tasks are what a learner reads about them, not a reference.
PLACES = [
    path.relative_to(FOLDER).as_posix()
    for path in sorted(FOLDER.rglob("*.py"))
    if not path.match("exercises/chapter_*/*.py")
]
modules = pytest.mark.parametrize("place", PLACES)

LETTERS = dict(re.findall(r"^    ([A-Z])  (\w.*)$", course.__doc__, re.MULTILINE))
DTYPES = {str(value) for value in vars(torch).values() if isinstance(value, torch.dtype)}
DTYPE = rf"(?:{'|'.join(sorted(name.removeprefix('torch.') for name in DTYPES))})"

# A shape is ``(N, C, H, W) float32``: declared letters, numbers or dots, and a dtype. Only for
# tensors of any shape, ``(...)``, the dtype may be left out, because it may be any, too.
SIZE = rf"(?:[{''.join(LETTERS)}]|\d+|\.\.\.)"
SIZES = rf"{SIZE},|{SIZE}(?:, {SIZE})+"
SHAPE = re.compile(rf"``\((\.\.\.(?=\)``)|(?:\.\.\.|{SIZES})(?=\) {DTYPE}``))\)(?: ({DTYPE}))?``")

# What somebody may have meant as one: a tuple in quotes with a capital letter or a number in it,
# a tuple with a dtype, and letters without quotes.
WORD = r"[\w.*/+-]+"
TUPLE = rf"\((?:\.\.\.|{WORD},?|{WORD}(?:, ?{WORD})+)\)"
QUOTED = re.compile(rf"``(?=[^`]*(?:\b[A-Z]\b|\d)){TUPLE}(?: \w+)?``")
WITH_DTYPE = re.compile(rf"{TUPLE}(?:``)?,? {DTYPE}\b|\b{DTYPE} ``\(")
BARE = re.compile(rf"(?<![\w`])\((?=[^)]*[A-Z]){SIZE}(?:, {SIZE})*,?\)")
WRONG = re.compile("|".join(pattern.pattern for pattern in (QUOTED, WITH_DTYPE, BARE)))


def module_of(place):
    parts = ["course", *place.removesuffix(".py").split("/")]
    return importlib.import_module(".".join(part for part in parts if part != "__init__"))


def public_things(place):
    """Name and value of all public classes, functions and methods that a module defines."""
    module = module_of(place)
    for name, thing in vars(module).items():
        if name.startswith("_") or getattr(thing, "__module__", None) != module.__name__:
            continue
        if inspect.isclass(thing):
            yield name, thing
            yield from methods_of(thing)
        elif callable(thing):
            yield name, inspect.unwrap(thing)


def methods_of(cls):
    for name, method in vars(cls).items():
        method = getattr(method, "fget", None) or getattr(method, "__func__", method)
        if not name.startswith("_") and inspect.isfunction(method):
            yield f"{cls.__name__}.{name}", method


def overrides(thing):
    """Whether a method does what a class above already documents, as ``forward`` does."""
    owner, _, name = thing.__qualname__.rpartition(".")
    if not owner or inspect.isclass(thing):
        return False
    classes = getattr(importlib.import_module(thing.__module__), owner).__mro__[1:]
    return any(name in vars(cls) for cls in classes)


def has_docstring(thing):
    words = thing.__doc__ or ""
    made_by_dataclass = words.startswith(f"{thing.__name__}(")
    return bool(words.strip()) and not made_by_dataclass


@modules
def test_everything_public_has_a_docstring(place):
    missing = [
        f"course/{place}: {name} has no docstring"
        for name, thing in public_things(place)
        if not has_docstring(thing) and not overrides(thing)
    ]
    if not (module_of(place).__doc__ or "").strip():
        missing.append(f"course/{place}: the module has no docstring")
    assert not missing, "\n" + "\n".join(missing)


@modules
def test_everything_public_has_type_hints(place):
    missing = []
    for name, thing in public_things(place):
        signature = inspect.signature(thing.__init__ if inspect.isclass(thing) else thing)
        missing += [
            f"course/{place}: {name} has no type hint for {parameter.name!r}"
            for parameter in signature.parameters.values()
            if parameter.annotation is parameter.empty
            and parameter.name not in ("self", "cls")
            and is_written_here(place, thing)
        ]
        if signature.return_annotation is signature.empty and is_written_here(place, thing):
            missing.append(f"course/{place}: {name} has no type hint for what it returns")
    assert not missing, "\n" + "\n".join(missing)


def is_written_here(place, thing):
    """Not the ``__init__`` that an exception, a tuple or a dataclass got from elsewhere."""
    function = thing.__init__ if inspect.isclass(thing) else thing
    code = getattr(function, "__code__", None)
    return code is not None and code.co_filename == str(FOLDER / place)


# --- shapes


def takes_or_gives_tensors(function):
    signature = inspect.signature(function)
    hints = [parameter.annotation for parameter in signature.parameters.values()]
    words = " ".join(map(inspect.formatannotation, [*hints, signature.return_annotation]))
    words = re.sub(r"dict\[str, [\w.]*Tensor\]", "", words)  # a state dict holds all shapes
    return re.search(r"\bTensor(Dataset)?\b", words) is not None


@modules
def test_a_function_of_tensors_gives_their_shapes(place):
    missing = []
    for name, thing in public_things(place):
        owner, _, method = name.rpartition(".")
        if inspect.isclass(thing) or not takes_or_gives_tensors(thing):
            continue
        if method == "forward":
            thing = getattr(module_of(place), owner)  # the class says what goes in and comes out
        if not SHAPE.search(thing.__doc__ or ""):
            missing.append(f"course/{place}: {name} gives no shape like ``(N, 3, H, W) float32``")
    assert not missing, "\n" + "\n".join(missing)


def docstrings(place):
    """All docstrings of a file, also of what is private, with the names of their owners."""
    tree = ast.parse((FOLDER / place).read_text(encoding="utf-8"))
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.walk(tree):
        if isinstance(node, kinds) and ast.get_docstring(node):
            yield getattr(node, "name", "the module"), ast.get_docstring(node)


def wrong_shapes(words):
    """What looks like a shape but is not written in the notation of ``course/__init__.py``."""
    words = SHAPE.sub("", " ".join(words.split()))
    return [match[0] for match in WRONG.finditer(words)]


@pytest.mark.parametrize(
    "words",
    [
        "``(N, C, H, W) float32``",
        "``(N,) int64``",
        "``(N, 1280) float32``",
        "``(...)`` and ``(..., 3, H, W) float32``",
        "points ``(x, y)``, a call ``f(x, y)``, a range (0, 1) or [0, 1), all (N samples), (3)",
    ],
)
def test_right_notation_is_accepted(words):
    assert not wrong_shapes(words)


@pytest.mark.parametrize(
    "words",
    [
        "``(N, num_classes) float32``",
        "``(N, num_classes)``",
        "``(3, size, size) float32``",
        "``(size, size) float32``",
        "``(B, C, H, W) float32``",
        "``(N, 1280)`` float32",
        "``(N,)`` int64",
        "``(N) int64``",
        "``(N, 3, H/32, W/32) float32``",
        "``(N, 1280)``",
        "``(N, C) float``",
        "int64 ``(N,)``",
        "(N, C, H, W)",
        "(N, 1280) float32",
        "``(N, C,\n    H) float31``",
    ],
)
def test_wrong_notation_is_found(words):
    assert wrong_shapes(words)


@modules
def test_shapes_are_written_in_the_declared_notation(place):
    wrong = [
        f"course/{place}: {name}: {shape!r} is not like ``(N, 3, H, W) float32``"
        for name, words in docstrings(place)
        if place != "__init__.py"  # which declares the notation
        for shape in wrong_shapes(words)
    ]
    assert not wrong, "\n" + "\n".join(wrong)


# --- what goes in and comes out

NETWORKS = {
    **{kind.__name__: kind for kind in MODELS.values()},
    "make_head": make_head,
}
SIZES_TO_TRY = [
    {"N": 1, "T": 1, "H": 32, "W": 32, "F": 1, "K": 1},
    {"N": 3, "T": 5, "H": 40, "W": 64, "F": 7, "K": 2},
    {"N": 2, "T": 28, "H": 224, "W": 192, "F": 28, "K": 12},
]


def shapes_after(word, thing):
    """The shapes in the paragraph of a docstring that begins with a word such as "Input:"."""
    paragraph = re.search(rf"^ *{word} (.*?)(?:\n\s*\n|\n *\w+: |\Z)", thing.__doc__, re.S | re.M)
    assert paragraph, f"the docstring of {thing.__name__} has no line with {word!r}"
    found = SHAPE.findall(" ".join(paragraph[1].split()))
    assert found, f"the docstring of {thing.__name__} gives no shape after {word!r}"
    return found


def sizes_of(shape, letters):
    return tuple(int(letters.get(size, size)) for size in re.findall(r"\w+", shape))


def build(kind, letters):
    """The network for so many classes and features, with random weights."""
    known = {"num_classes": letters["K"], "num_features": letters["F"]}
    arguments = {name: known[name] for name in inspect.signature(kind).parameters if name in known}
    if kind is ClothingClassifierMobileNet:
        arguments["base"] = mobilenet_v2()
    return kind(**arguments).eval()


@pytest.mark.parametrize("letters", SIZES_TO_TRY, ids=str)
@pytest.mark.parametrize("name", NETWORKS)
def test_what_the_docstring_of_a_network_promises_goes_in_and_comes_out(name, letters):
    network = build(NETWORKS[name], letters)
    ((promised, dtype),) = shapes_after("Output:", NETWORKS[name])
    for shape, input_dtype in shapes_after("Input:", NETWORKS[name]):
        inputs = torch.rand(sizes_of(shape, letters)).to(getattr(torch, input_dtype))
        with torch.no_grad():
            outputs = network(inputs)
        assert outputs.shape == sizes_of(promised, letters), f"{name} of ({shape})"
        assert outputs.dtype == getattr(torch, dtype), f"{name} of ({shape})"


@pytest.mark.parametrize("letters", SIZES_TO_TRY, ids=str)
def test_features_are_what_their_docstring_promises(letters):
    network = build(ClothingClassifierMobileNet, letters)
    (taken, taken_dtype), (given, given_dtype), (maps, maps_dtype) = SHAPE.findall(
        ClothingClassifierMobileNet.extract_features.__doc__
    )
    photos = torch.rand(sizes_of(taken, letters)).to(getattr(torch, taken_dtype))
    with torch.no_grad():
        features = network.extract_features(photos)
        before = network.extract_features(photos, until=17)
    assert features.shape == sizes_of(given, letters)
    assert features.dtype == getattr(torch, given_dtype)
    assert len(before.shape) == len(maps.split(", "))
    assert before.dtype == getattr(torch, maps_dtype)


def test_every_network_of_the_course_says_what_goes_in_and_comes_out():
    for kind in MODELS.values():
        assert issubclass(kind, nn.Module)
        assert shapes_after("Input:", kind) and shapes_after("Output:", kind)
