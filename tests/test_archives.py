"""course.files.archives and savable: what can be saved can be loaded; every refusal fits its cause.

A value is either written and read again as it was, or refused on the day when it is saved, with
its place and a remedy. A file that cannot be read is told apart from a system that refuses it.
"""

import contextlib
import copy
import datetime
import decimal
import enum
import fractions
import inspect
import io
import json
import math
import os
import pickle
import socket
import tempfile
import types
import warnings
import zipfile
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils import parametrizations
from torch.optim import lr_scheduler

from course.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from course.files.archives import read_torch_file
from course.files.savable import write_torch_file

# torch says at first use which of its parts will go: quantized and sparse tensors, and the like.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(autouse=True)
def quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hundreds of small files need not be safe from a power cut."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a file.pth"


def same(left: Any, right: Any) -> bool:
    """Whether two values are the same to the last bit, in containers of the same types."""
    if isinstance(left, Tensor) and isinstance(right, Tensor):
        if (left.dtype, left.shape) != (right.dtype, right.shape):
            return False
        if left.numel() == 0:
            return True
        pair = [t.detach().resolve_conj().resolve_neg().clone() for t in (left, right)]
        first, second = (tensor.contiguous().reshape(-1).view(torch.uint8) for tensor in pair)
        return torch.equal(first, second)
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        keys = list(left) == list(right) and list(map(type, left)) == list(map(type, right))
        return keys and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list | tuple):
        return len(left) == len(right) and all(map(same, left, right))
    return left == right or (left != left and right != right)


def assert_kept(path: Path, value: Any) -> Any:
    write_torch_file(path, value)
    found = read_torch_file(path)
    assert same(found, value), found
    return found


def assert_not_saved(path: Path, value: Any, words: str) -> None:
    with pytest.raises(CheckpointError, match=words) as error:
        write_torch_file(path, value)
    assert str(error.value).startswith(f"{path} was not saved, ")
    assert str(error.value).isprintable()
    assert not list(path.parent.iterdir())


# --- Tensors

DTYPES = {str(v): v for v in vars(torch).values() if isinstance(v, torch.dtype)}


UNKNOWN_TO_FILES = {f"torch.{sign}int{bits}" for sign in ("", "u") for bits in range(1, 8)}
UNKNOWN_TO_FILES |= {name for name in DTYPES if name.startswith(("torch.qint", "torch.quint"))}


@pytest.mark.parametrize("name", DTYPES)
def test_a_tensor_of_every_dtype_is_kept_or_refused_while_saving(path: Path, name: str) -> None:
    try:
        tensor = torch.arange(64, dtype=torch.uint8).view(DTYPES[name])
    except RuntimeError:  # there is no such view
        tensor = torch.empty(4, dtype=DTYPES[name])
    if name not in UNKNOWN_TO_FILES:
        assert_kept(path, {"model": {"weight": tensor}})
        return
    words = r"model\.weight is (quantized: use \.dequantize|of torch\.\w+, .*: convert it with)"
    assert_not_saved(path, {"model": {"weight": tensor}}, words)


def test_the_dtypes_that_a_model_may_have_are_among_those_kept(path: Path) -> None:
    names = ["uint16", "uint32", "uint64", "float8_e4m3fn", "float8_e5m2", "bfloat16", "complex64"]
    tensors = {name: torch.ones(5).to(getattr(torch, name)) for name in names}
    assert list(assert_kept(path, tensors)) == names


TENSORS: dict[str, Callable[[], Any]] = {
    "without dimensions": lambda: torch.tensor(1.5),
    "empty": lambda: torch.zeros(0),
    "empty in one dimension": lambda: torch.zeros(3, 0, 2),
    "two empty ones": lambda: [torch.zeros(0), torch.zeros(0, dtype=torch.int64)],
    "transposed": lambda: torch.rand(3, 4).t(),
    "permuted": lambda: torch.rand(2, 3, 4).permute(2, 0, 1),
    "channels last": lambda: torch.rand(2, 3, 4, 4).to(memory_format=torch.channels_last),
    "a part": lambda: torch.rand(1000)[3:8],
    "every second": lambda: torch.rand(1000)[::2],
    "one column": lambda: torch.rand(50, 50)[:, 7],
    "one number": lambda: torch.rand(1000)[500],
    "made smaller": lambda: torch.rand(10).resize_(4),
    "windows that overlap": lambda: torch.arange(10.0).unfold(0, 3, 1),
    "diagonal": lambda: torch.rand(5, 5).diagonal(),
    "expanded, but by one": lambda: torch.rand(3).expand(1, 3),
    "expanded to nothing": lambda: torch.rand(1).expand(0),
    "conjugated": lambda: torch.rand(3, dtype=torch.complex64).conj(),
    "imaginary part": lambda: torch.rand(3, dtype=torch.complex64).conj().imag,
    "a parameter": lambda: nn.Parameter(torch.rand(3)).data,
    "a number that is not one": lambda: torch.tensor([math.nan, math.inf, -0.0]),
    "with an attribute": lambda: setattr(t := torch.rand(2), "note", "mine") or t,
    "a buffer": lambda: nn.Buffer(torch.rand(2)).data,
    "a loss with its graph": lambda: torch.rand(3, requires_grad=True) * 2,
    "twice the same": lambda: [t := torch.rand(9), t],
    "parts of one": lambda: list(torch.rand(9).split(4)),
    "whole and part": lambda: [t := torch.rand(9), t[2:5], t.view(3, 3)],
    "one memory, two dtypes": lambda: [t := torch.rand(4), t.view(torch.int32)],
    "one memory, three dtypes": lambda: [
        t := torch.rand(4, dtype=torch.complex64), torch.view_as_real(t), t.view(torch.float64),
    ],
    "younger dtypes in one memory": lambda: [
        t := torch.arange(8, dtype=torch.uint8), t.view(torch.uint16), t.view(torch.float8_e5m2),
    ],
    "nested": lambda: {"a": [(torch.rand(2), {"b": torch.rand(1)})], 3: torch.Size([1, 2])},
}  # fmt: skip


@pytest.mark.parametrize("name", TENSORS)
def test_tensors_of_every_form_are_kept(path: Path, name: str) -> None:
    value = TENSORS[name]()
    before = copy.copy(value)
    assert_kept(path, value)
    assert same(before, value), "saving has changed what was saved"


def test_a_parameter_is_kept_as_a_tensor(path: Path) -> None:
    write_torch_file(path, {"weight": nn.Parameter(torch.ones(3))})
    found = read_torch_file(path)["weight"]
    assert type(found) is Tensor and not found.requires_grad and found.tolist() == [1, 1, 1]
    torch.save(dict(nn.Linear(2, 1).named_parameters()), path)  # as a learner does
    assert list(read_torch_file(path)) == ["weight", "bias"]


@pytest.mark.parametrize("name", ["my model-2.pth", "é (copy).pt", "a.b.c", "#1", "~x"])
def test_any_file_name_will_do(tmp_path: Path, name: str) -> None:
    """torch.save() calls the folder inside the archive as the file is called."""
    torch.save({"weight": torch.ones(3)}, tmp_path / name)
    assert read_torch_file(tmp_path / name)["weight"].tolist() == [1, 1, 1]


class MyTensor(Tensor):
    pass


REFUSED_TENSORS: dict[str, tuple[Callable[[], Tensor], str]] = {
    "expanded": (lambda: torch.ones(1).expand(8), r"repeats its numbers.*: use .clone\(\)"),
    "expanded rows": (lambda: torch.ones(3, 1).expand(3, 2), r"use .clone\(\)"),
    "one number broadcast": (lambda: torch.broadcast_to(torch.tensor(1), (2, 3)), r"use .clone"),
    "sparse": (lambda: torch.ones(3).to_sparse(), r"layout torch.sparse_coo: use .to_dense\(\)"),
    "compressed": (lambda: torch.eye(3).to_sparse_csr(), r"use .to_dense\(\)"),
    "mkldnn": (lambda: torch.ones(3).to_mkldnn(), r"use .to_dense\(\)"),
    "quantized": (
        lambda: torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8),
        r"quantized: use .dequantize\(\)",
    ),
    "nested": (
        lambda: torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]),
        "nested tensor: use list",
    ),
    "nowhere": (lambda: torch.ones(3, device="meta"), "on the device meta and has no numbers"),
    "a subclass": (lambda: torch.ones(3).as_subclass(MyTensor), r"MyTensor: use .as_subclass"),
    "a lazy parameter": (lambda: nn.LazyLinear(3).weight, "no shape yet: run one batch through"),
    "a lazy buffer": (
        lambda: nn.LazyBatchNorm1d().running_mean,  # type: ignore[return-value]
        "no shape yet: run one batch through",
    ),
}


@pytest.mark.parametrize("name", REFUSED_TENSORS)
def test_tensors_that_could_not_be_loaded_are_not_saved(path: Path, name: str) -> None:
    make, words = REFUSED_TENSORS[name]
    assert_not_saved(path, {"model": [{"mask": make()}]}, rf"model\.0\.mask .*{words}")


def test_a_part_of_a_large_tensor_is_saved_without_the_rest(path: Path) -> None:
    large = torch.rand(1_000_000)
    write_torch_file(path, {"first": large[:10], "last": large[-10:]})
    assert path.stat().st_size < 5_000


def test_an_expanded_tensor_of_somebody_else_is_refused_with_the_remedy(path: Path) -> None:
    torch.save({"mask": torch.ones(1).expand(8)}, path)
    with pytest.raises(CheckpointError, match=r"as after expand\(\).*: save its \.clone\(\)"):
        read_torch_file(path)


def test_memory_that_is_shared_is_saved_once(path: Path) -> None:
    weight = torch.rand(500, 500)
    found = assert_kept(path, {"embedding": weight, "output": weight.t(), "again": weight})
    assert path.stat().st_size < 1_010_000
    assert len({tensor.untyped_storage().data_ptr() for tensor in found.values()}) == 1


# --- Models, optimizers and schedulers


class Extra(nn.Module):
    """A module with a state of its own beside its tensors."""

    def __init__(self, state: Any) -> None:
        super().__init__()
        self.state = state

    def get_extra_state(self) -> Any:
        return self.state

    def set_extra_state(self, state: Any) -> None:
        self.state = state


def with_buffer(tensor: Tensor) -> nn.Module:
    model = nn.Linear(2, 2)
    model.register_buffer("mask", tensor)
    return model


def tied() -> nn.Module:
    model = nn.Sequential(nn.Embedding(9, 4), nn.Linear(4, 9))
    model[1].weight = model[0].weight
    return model


def with_parameter(tensor: Tensor) -> nn.Module:
    model = nn.Module()
    model.weight = nn.Parameter(tensor)
    return model


def used(model: nn.Module, *inputs: Tensor) -> nn.Module:
    model(*inputs)
    return model


MODELS: dict[str, Callable[[], nn.Module]] = {
    "tied weights": tied,
    "batch norm": lambda: used(nn.BatchNorm2d(3), torch.rand(2, 3, 4, 4)),
    "channels last": lambda: nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last),  # type: ignore[call-overload]
    "half": lambda: nn.Linear(2, 2).half(),
    "bfloat16": lambda: nn.Linear(2, 2).bfloat16(),
    "lstm": lambda: nn.LSTM(3, 4, num_layers=2, bidirectional=True),
    "attention": lambda: nn.MultiheadAttention(4, 2),
    "weight norm": lambda: parametrizations.weight_norm(nn.Linear(3, 3)),
    "spectral norm": lambda: parametrizations.spectral_norm(nn.Linear(3, 3)),
    "lists and dictionaries": lambda: nn.ModuleDict(
        {"a": nn.ModuleList([nn.Linear(1, 1)]), "b": nn.ParameterList([torch.rand(2)])}
    ),
    "lazy, after a batch": lambda: used(nn.LazyLinear(3), torch.rand(2, 5)),
    "complex": lambda: with_parameter(torch.rand(3, dtype=torch.complex64)),
    "transposed": lambda: with_parameter(torch.rand(3, 4).t()),
    "a row of a table": lambda: with_parameter(torch.rand(100, 3)[4]),
    "without dimensions": lambda: with_parameter(torch.tensor(2.0)),
    "empty": lambda: with_parameter(torch.zeros(0, 3)),
    "no parameters": lambda: nn.Sequential(nn.ReLU(), nn.Flatten()),
    "uint16 buffer": lambda: with_buffer(torch.arange(5, dtype=torch.int32).to(torch.uint16)),
    "float8 buffer": lambda: with_buffer(torch.rand(5).to(torch.float8_e4m3fn)),
    "boolean buffer": lambda: with_buffer(torch.ones(3, 3).tril().bool()),
    "buffer of windows": lambda: with_buffer(torch.arange(9.0).unfold(0, 3, 3)),
    "buffer in two ways": lambda: nn.ModuleList(
        [with_buffer(t := torch.rand(4)), with_buffer(t.view(torch.int32))]
    ),
    "extra tensor": lambda: Extra(torch.rand(3)),
    "extra dictionary": lambda: Extra({"seen": 3, "names": ["a", None], 2: (1.5, True)}),
    "names with dots and more": lambda: nn.ModuleDict({"a-b c\n\u202e": nn.Linear(1, 1)}),
}
REFUSED_MODELS: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "expanded buffer": (lambda: with_buffer(torch.ones(1).expand(8)), r"model\.mask.*\.clone\(\)"),
    "lazy": (lambda: nn.LazyLinear(3), r"model\.weight has no shape yet: run one batch through"),
    "lazy inside": (lambda: nn.Sequential(nn.ReLU(), nn.LazyConv2d(3, 1)), r"model\.1\.weight has"),
    "sparse buffer": (lambda: with_buffer(torch.eye(3).to_sparse()), r"model\.mask.*\.to_dense"),
    "on meta": (lambda: nn.Linear(2, 2, device="meta"), r"model\.weight.* no numbers"),
    "subclass": (
        lambda: with_parameter(torch.rand(2).as_subclass(MyTensor)),
        r"model\.weight .*as_subclass\(torch\.Tensor\)",
    ),
    "extra set": (lambda: Extra({"seen": {1, 2}}), r"model\._extra_state\.seen .*set: use sorted"),
    "extra array": (lambda: Extra(np.ones(2)), r"model\._extra_state .*ndarray: use \.tolist\(\)"),
}  # fmt: skip


def optimizer_of(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD([*model.parameters(), nn.Parameter(torch.zeros(1))], lr=0.1)


@pytest.mark.parametrize("name", MODELS)
def test_models_of_every_form_come_back(path: Path, name: str) -> None:
    torch.manual_seed(0)
    model = MODELS[name]()
    save_checkpoint(path, model, optimizer_of(model), 1)
    torch.manual_seed(1)
    other = MODELS[name]()
    load_checkpoint(path, other, optimizer_of(other))
    assert same(other.state_dict(), model.state_dict())


@pytest.mark.parametrize("name", REFUSED_MODELS)
def test_models_that_would_not_come_back_are_not_saved(path: Path, name: str) -> None:
    make, words = REFUSED_MODELS[name]
    with pytest.raises(CheckpointError, match=f"was not saved, {words}"):
        save_checkpoint(path, make(), optimizer_of(nn.Linear(1, 1)), 1)
    assert not path.exists()


OPTIMIZERS = {
    name: kind
    for name, kind in vars(torch.optim).items()
    if inspect.isclass(kind) and issubclass(kind, torch.optim.Optimizer) and name != "Optimizer"
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_of_torch_goes_on(path: Path, name: str) -> None:
    def start() -> tuple[nn.Module, torch.optim.Optimizer]:
        torch.manual_seed(0)
        model = nn.Embedding(5, 3, sparse=True) if name == "SparseAdam" else nn.Linear(5, 3, False)
        return model, OPTIMIZERS[name](model.parameters(), lr=0.01)  # type: ignore[call-arg]

    def train(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        inputs = torch.arange(5) if name == "SparseAdam" else torch.eye(5)

        def closure() -> float:
            optimizer.zero_grad()
            loss = model(inputs).square().sum()
            loss.backward()
            return loss.item()

        optimizer.step(closure)

    whole, stopped, resumed = start(), start(), start()
    for _ in range(2):
        train(*whole)
        train(*stopped)
    save_checkpoint(path, *stopped, 1)
    load_checkpoint(path, *resumed)
    for _ in range(2):
        train(*whole)
        train(*resumed)
    assert same(whole[0].state_dict(), resumed[0].state_dict())


class Halved:
    """What LambdaLR may be given in place of a function: an object, whose attributes it saves."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, epoch: int) -> float:
        self.calls += 1
        return 0.5**epoch


SCHEDULERS: dict[str, Callable[[Any], Any]] = {
    "StepLR": lambda o: lr_scheduler.StepLR(o, 2),
    "MultiStepLR": lambda o: lr_scheduler.MultiStepLR(o, [1, 3]),
    "LambdaLR": lambda o: lr_scheduler.LambdaLR(o, lambda epoch: 0.9**epoch),
    "LambdaLR of an object": lambda o: lr_scheduler.LambdaLR(o, Halved()),
    "MultiplicativeLR": lambda o: lr_scheduler.MultiplicativeLR(o, lambda epoch: 0.9),
    "ConstantLR": lambda o: lr_scheduler.ConstantLR(o),
    "LinearLR": lambda o: lr_scheduler.LinearLR(o),
    "ExponentialLR": lambda o: lr_scheduler.ExponentialLR(o, 0.9),
    "PolynomialLR": lambda o: lr_scheduler.PolynomialLR(o),
    "CosineAnnealingLR": lambda o: lr_scheduler.CosineAnnealingLR(o, 5),
    "CosineAnnealingWarmRestarts": lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 2),
    "CyclicLR": lambda o: lr_scheduler.CyclicLR(o, 0.01, 0.1),
    "OneCycleLR": lambda o: lr_scheduler.OneCycleLR(o, 0.1, total_steps=9),
    "ReduceLROnPlateau": lambda o: lr_scheduler.ReduceLROnPlateau(o, patience=0),
    "SequentialLR": lambda o: lr_scheduler.SequentialLR(
        o, [lr_scheduler.LinearLR(o), lr_scheduler.StepLR(o, 2)], milestones=[2]
    ),
    "ChainedScheduler": lambda o: lr_scheduler.ChainedScheduler(
        [lr_scheduler.LinearLR(o), lr_scheduler.StepLR(o, 2)]
    ),
}


@pytest.mark.parametrize("name", SCHEDULERS)
def test_every_scheduler_of_torch_goes_on(path: Path, name: str) -> None:
    def start() -> tuple[nn.Module, torch.optim.Optimizer, Any]:
        model = nn.Linear(1, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        return model, optimizer, SCHEDULERS[name](optimizer)

    def train(optimizer: torch.optim.Optimizer, scheduler: Any) -> list[float]:
        seen = []
        for _ in range(3):
            optimizer.step()
            scheduler.step(*([1.0] if name == "ReduceLROnPlateau" else []))
            seen.append(optimizer.param_groups[0]["lr"])
        return seen

    whole, stopped, resumed = start(), start(), start()
    train(*whole[1:])
    train(*stopped[1:])
    save_checkpoint(path, *stopped[:2], 1, scheduler=stopped[2])
    load_checkpoint(path, *resumed[:2], scheduler=resumed[2])
    assert train(*whole[1:]) == train(*resumed[1:])


def test_a_scheduler_with_a_number_of_numpy_is_told_where(path: Path) -> None:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1)
    plateau = lr_scheduler.ReduceLROnPlateau(optimizer, patience=np.int64(3))  # type: ignore[arg-type]
    milestones = lr_scheduler.MultiStepLR(optimizer, list(np.array([10, 20])))
    for scheduler, words in (
        (plateau, r"scheduler\.state\.patience is of type numpy.int64: use int\(\)"),
        (milestones, r"scheduler\.state\.milestones has the key .*10.*numpy.int64: use int\(\)"),
    ):
        with pytest.raises(CheckpointError, match=f"was not saved, {words}"):
            save_checkpoint(path, nn.Linear(1, 1), optimizer, 1, scheduler=scheduler)


# --- Other values


class Color(enum.IntEnum):
    RED = 1


class Word(str):
    pass


@dataclass
class Settings:
    epochs: int = 3


Point = namedtuple("Point", ["x", "y"])
GOOD: list[Any] = [
    None, True, 0, -1, 2**63, -(2**1000), 0.1, math.inf, math.nan, -0.0, "", "a\n\x1b\0", "\ud800é",
    [], (), {}, [[]], ((),), {"": {}}, {1: 2, False: 3, None: 4, 0.5: 5, (1, "a"): 6},
    OrderedDict(b=1, a=2), Counter("abba"), torch.Size([2, 3]), list(range(1000)), "x" * 10_000,
]  # fmt: skip


@pytest.mark.parametrize("value", GOOD, ids=lambda value: f"{type(value).__name__} {value!r:.20}")
def test_plain_values_are_kept(path: Path, value: Any) -> None:
    assert_kept(path, {"about": value})


def test_the_attributes_of_a_state_dict_are_kept(path: Path) -> None:
    state = nn.BatchNorm1d(2).state_dict()
    state.more = torch.ones(3)  # type: ignore[attr-defined]
    write_torch_file(path, [state])
    found = read_torch_file(path)[0]
    assert same(found, state) and same(vars(found), vars(state)) and "_metadata" in vars(found)


BAD: dict[str, tuple[Any, str]] = {
    "numpy float": (np.float64(0.5), r"numpy\.float64: use float\(\)"),
    "numpy short float": (np.float32(0.5), r"numpy\.float32: use float\(\)"),
    "numpy integer": (np.int64(3), r"numpy\.int64: use int\(\)"),
    "numpy bool": (np.bool_(True), r"numpy\.bool_?: use bool\(\)"),
    "numpy text": (np.str_("a"), r"numpy\.str_: use str\(\)"),
    "numpy date": (np.datetime64("2020"), r"use \.item\(\) or str\(\)"),
    "numpy array": (np.ones(3), r"numpy\.ndarray: use \.tolist\(\) or torch\.from_numpy"),
    "set": ({1, 2}, r"set: use sorted\(\)"),
    "frozenset": (frozenset([1]), r"frozenset: use sorted\(\)"),
    "range": (range(3), r"range: use list\(\)"),
    "deque": (deque([1]), r"collections\.deque: use list\(\)"),
    "iterator": (iter([1]), r"list_iterator: use list\(\)"),
    "bytes": (b"ab", r"bytes: use list\(\)"),
    "bytearray": (bytearray(2), r"bytearray: use list\(\)"),
    "complex": (1j, r"complex: use \.real and \.imag"),
    "path": (Path("a"), r"pathlib\..*Path: use str\(\)"),
    "date": (datetime.date(2020, 1, 1), r"datetime\.date: use \.isoformat\(\)"),
    "decimal": (decimal.Decimal("0.1"), r"decimal\.Decimal: use float\(\)"),
    "fraction": (fractions.Fraction(1, 3), r"fractions\.Fraction: use float\(\)"),
    "enum": (Color.RED, r"Color: use \.value"),
    "kind of text": (Word("a"), r"Word: use str\(\)"),
    "named tuple": (Point(1, 2), r"Point: use tuple\(\)"),
    "defaultdict": (defaultdict(list), r"collections\.defaultdict: use dict\(\)"),
    "mapping": (types.MappingProxyType({}), r"mappingproxy: use dict\(\)"),
    "dataclass": (Settings(), r"Settings: use dataclasses\.asdict\(\)"),
    "dtype": (torch.float32, r"torch\.dtype: use str\(\)"),
    "device": (torch.device("cpu"), r"torch\.device: use str\(\)"),
    "generator": (torch.Generator(), r"Generator: use \.get_state\(\)"),
    "module": (nn.Linear(1, 1), r"Linear: use \.state_dict\(\)"),
    "class": (nn.Linear, r"type: use its name"),
    "function": (lambda x: x, r"function: leave it out, and set it again after loading"),
    "print": (print, r"leave it out"),
    "object": (object(), r"object: save what it holds as numbers, text"),
    "ellipsis": (..., r"ellipsis: save what it holds"),
    "long number": (10**700, r"has hundreds of digits: use str\(\)"),
    "key of numpy": ({np.int64(3): 1}, r"has the key .*3.*numpy\.int64: use int\(\)"),
    "key of a path": ({Path("a"): 1}, r"has the key .*: use str\(\)"),
    "key of a tensor": ({torch.ones(1): 1}, r"has the key tensor.*: use \.item\(\)"),
    "key of tuples": ({(1, (2, 3)): 1}, r"has the key \(1, \(2, 3\)\), of type tuple"),
}


@pytest.mark.parametrize("name", BAD)
def test_other_values_are_refused_with_their_place_and_a_remedy(path: Path, name: str) -> None:
    value, words = BAD[name]
    assert_not_saved(path, {"scheduler": {"state": [0, {"best": value}]}},
                     r"scheduler\.state\.1\.best .*" + words)  # fmt: skip
    assert_not_saved(path, value, r"was not saved, it .*" + words)


LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5),
    st.sampled_from([torch.tensor(1.0), torch.rand(4)[1:3], torch.zeros(0), torch.Size([3])]),
)  # fmt: skip
KEYS = st.one_of(st.text(max_size=3), st.integers(-3, 3), st.none())


def nests(leaves: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    def around(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        lists = st.lists(inner, max_size=3)
        return st.one_of(lists, lists.map(tuple), st.dictionaries(KEYS, inner, max_size=3))

    return st.recursive(leaves, around, max_leaves=12)


cases = settings(max_examples=50, derandomize=True, database=None, deadline=None)


@cases
@given(nests(LEAVES))
def test_any_nest_of_good_values_is_kept(value: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        assert_kept(Path(folder, "x"), value)


@cases
@given(nests(LEAVES), st.sampled_from(sorted(BAD)), st.lists(KEYS, min_size=1, max_size=4))
def test_one_bad_value_anywhere_is_found(around: Any, name: str, keys: list[Any]) -> None:
    value, words = BAD[name]
    for number, key in enumerate(reversed(keys)):
        value = {key: value} if number % 2 == 0 else [around, {key: value}]
    with tempfile.TemporaryDirectory() as folder:
        assert_not_saved(Path(folder, "x"), value, words)


def test_what_holds_itself_is_refused(path: Path) -> None:
    ring: list[Any] = [1]
    ring.append({"again": ring})
    assert_not_saved(path, {"about": ring}, "holds itself, or is nested too deeply: make it flat")


def test_a_list_that_is_too_long_is_told_to_become_a_tensor(path: Path) -> None:
    losses = [0.5] * 500_000
    assert_not_saved(path, {"batch_losses": losses}, "keep long lists of numbers as tensors")
    assert_kept(path, {"batch_losses": torch.tensor(losses)})
    assert_kept(path, {"batch_losses": losses[:50_000]})
    path.unlink()
    assert_not_saved(path, [()] * 600_000, "keep long lists of numbers as tensors")
    assert_not_saved(path, [tuple([0] * 510_000)], "would grow .*: keep long lists of num")


def test_what_torch_itself_cannot_write_is_refused_in_its_words(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "save", Mock(side_effect=RuntimeError("no\nsuch thing")))
    assert_not_saved(path, {}, "was not saved, no such thing")


# --- Files of other kinds


def zip_of(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, b"content")
    return buffer.getvalue()


def torch_bytes(content: Any, **options: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer, **options)
    return buffer.getvalue()


def numpy_bytes(**arrays: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def scripted() -> bytes:
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.script(nn.Linear(2, 1)), buffer)
    return buffer.getvalue()


def exported() -> bytes:
    buffer = io.BytesIO()
    torch.export.save(torch.export.export(nn.Linear(2, 1), (torch.ones(1, 2),)), buffer)
    return buffer.getvalue()


HEADER = json.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
ONNX = b"\x08\x0a\x12\x07pytorch\x1a\x062.14.1:\x10\x0a\x04node" + bytes(20)
FILES: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "is an empty file .* check the path or get it again"),
    "pointer": (
        lambda: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n",
        "is a Git LFS pointer .*: run `git lfs pull`",
    ),
    "page": (lambda: b"\n<!DOCTYPE html><html>", "is a web page .*: download the file itself"),
    "old page": (lambda: b"<HTML><body>404", "is a web page"),
    "safetensors": (
        lambda: len(HEADER).to_bytes(8, "little") + HEADER + bytes(4),
        r"is a safetensors file .*: read it with safetensors\.torch\.load_file\(\)",
    ),
    "onnx": (lambda: ONNX, "is an ONNX file .*: it is for onnxruntime"),
    "json": (lambda: b'{"model": "mlp"}', "is a JSON file, .*: give the file of weights"),
    "picture": (lambda: b"\x89PNG\r\n\x1a\n" + bytes(9), "is a picture .*: give the file of a mod"),
    "photo": (lambda: b"\xff\xd8\xff\xe0" + bytes(9), "is a picture"),
    "pdf": (lambda: b"%PDF-1.7", "is a PDF"),
    "keras": (lambda: b"\x89HDF\r\n\x1a\n" + bytes(9), "is an HDF5 file, as Keras writes them"),
    "keras 3": (lambda: zip_of("config.json", "model.weights.h5"), "is a Keras model"),
    "gguf": (lambda: b"GGUF" + bytes(9), "is a GGUF file"),
    "npy": (lambda: b"\x93NUMPY\x01\0" + bytes(9), r"is a NumPy array .*: .*numpy\.load\(\)"),
    "npz": (
        lambda: numpy_bytes(a=np.ones(2)),
        r"is an archive of NumPy arrays .*: read it with numpy\.load\(\)",
    ),
    "gzip": (lambda: b"\x1f\x8b\x08" + bytes(9), "is a compressed archive .*: unpack it first"),
    "tar": (lambda: bytes(257) + b"ustar" + bytes(200), "is a tar archive .*: unpack it first"),
    "zip": (lambda: zip_of("folder/model.pth", "README.md"), "is another zip archive .*: unpack"),
    "empty zip": (lambda: zip_of(), "is a damaged zip archive"),
    "half a zip": (lambda: zip_of("archive/data.pkl")[:40], "is damaged .*: get it again"),
    "pickle": (lambda: pickle.dumps([1]), "is a pickle, .* stranger's code .*: get it as a file"),
    "old pickle": (lambda: pickle.dumps([1], protocol=2), "is a pickle"),
    "torch 1.5": (
        lambda: torch_bytes({"a": torch.ones(1)}, _use_new_zipfile_serialization=False),
        r"is a file of torch before version 1\.6 .*: load it once with torch\.load\(path, weights",
    ),
    "whole model": (
        lambda: torch_bytes(nn.Sequential(nn.Linear(2, 1))),
        r"holds a whole model and asks for '.*torch\.nn\.modules.*, .*: get its state_dict",
    ),
    "numpy inside": (
        lambda: torch_bytes({"loss": np.float64(1)}),
        "asks for .*numpy.*, which could run a stranger's code",
    ),
    "script": (scripted, r"is a TorchScript model .*: torch\.jit\.load\(\) is for it"),
    "export": (exported, r"is a program of torch\.export .*: torch\.export\.load\(\) is for it"),
    "text": (lambda: b"hello", "is no file of weights .*: check the path or get it again"),
    "noise": (lambda: bytes(range(128, 256)) * 9, "is no file of weights"),
    "a zip without a pickle": (lambda: zip_of("archive/data/0"), "is damaged .it has no data.pkl"),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_another_kind_is_called_by_its_name(path: Path, name: str) -> None:
    make, words = FILES[name]
    path.write_bytes(make())
    with pytest.raises(CheckpointError, match=f"^[^:]*a file.pth {words}") as error:
        read_torch_file(path)
    assert str(error.value).isprintable() and len(str(error.value)) < 400
    with pytest.raises(CheckpointError, match=words):
        load_checkpoint(path, nn.Linear(1, 1))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("none.pth", r"none\.pth is missing \(no such file\): check the path"),
        ("no/folder/run.pth", r"is missing \(no such file\): check the path"),
        ("*.pth", r"\*\.pth is missing: give the name of one file, without \* and \?"),
        ("run?.pth", "is missing: give the name of one file"),
        ("~/run.pth", "is missing: write the path of your home in place of ~"),
        ("https://example.com/run.pth", "is an address: download it and give the file"),
        ("https:/example.com/run.pth", "is an address"),
        ("https://example.com/" + "x" * 300, "is an address"),
        ("s3://bucket/run.pth", "is an address"),
        (".", "is a folder .no such file.: give a file that lies in it"),
        ("two\nlines.pth", r"two\\nlines\.pth is missing"),
        ("a\0b", r"a\\x00b is missing"),
    ],
)
def test_a_path_at_which_no_file_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for given_as in (str, Path):
        with pytest.raises(CheckpointError, match=words) as error:
            read_torch_file(given_as(name))
        assert str(error.value).isprintable()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such files")
def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with contextlib.chdir(tmp_path), socket.socket(socket.AF_UNIX) as unix:
        unix.bind("socket")
        for name in ("pipe", "socket", os.devnull):
            with pytest.raises(CheckpointError, match="is not a file: give the path of a file"):
                read_torch_file(name)


# --- A system that refuses

TROUBLE: list[tuple[BaseException, str]] = [
    (PermissionError(13, "Permission denied"), "ask for the right"),
    (PermissionError(1, "Operation not permitted"), "ask for the right"),
    (OSError(5, "Input/output error"), "the drive or network folder does not answer"),
    (TimeoutError(110, "Connection timed out"), "the drive or network folder does not answer"),
    (OSError(116, "Stale file handle"), "the drive or network folder does not answer"),
    (OSError(24, "Too many open files"), "too many files are open"),
    (OSError(12, "Cannot allocate memory"), "memory is full"),
    (MemoryError(), "memory is full"),
    (OSError(16, "Device or resource busy"), "another program is using it"),
]


STEPS = ["os.stat", "course.files.archives.open", "zipfile.ZipFile.testzip", "torch.load"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has other numbers")
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(("error", "advice"), TROUBLE, ids=lambda value: f"{value!r:.30}")
def test_trouble_of_the_system_is_not_called_damage(
    path: Path, monkeypatch: pytest.MonkeyPatch, step: str, error: BaseException, advice: str
) -> None:
    write_torch_file(path, {"weight": torch.ones(3)})
    monkeypatch.setattr(step, Mock(side_effect=error), raising=False)
    words = rf"a file\.pth cannot be read \(.*\): {advice}"
    with pytest.raises(type(error), match=words) as raised:
        read_torch_file(path)
    monkeypatch.undo()
    assert not isinstance(raised.value, CheckpointError)
    assert getattr(raised.value, "errno", None) == getattr(error, "errno", None)
    wrong = ("missing", "damaged", "unsafe", "get it again", "save it again", "delete")
    assert not any(word in str(raised.value) for word in wrong)


@pytest.mark.parametrize("error", [
    RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
    RuntimeError("unable to mmap 80 bytes from file </x>: Cannot allocate memory (12)"),
])  # fmt: skip
def test_full_memory_as_torch_says_it(
    path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    write_torch_file(path, {"weight": torch.ones(3)})
    monkeypatch.setattr(torch, "load", Mock(side_effect=error))
    with pytest.raises(MemoryError, match="cannot be read .not enough memory.: memory is full"):
        read_torch_file(path)


@contextlib.contextmanager
def somebody_else() -> Iterator[None]:
    """Root may read everything: be somebody else for a while."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(1)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
def test_a_file_that_may_not_be_read() -> None:
    with tempfile.TemporaryDirectory() as name:  # the one of pytest is closed to others
        os.chmod(name, 0o755)
        path = Path(name, "folder", "run.pth")
        write_torch_file(path, {"weight": torch.ones(3)})
        for place in (path, path.parent):
            place.chmod(0)
            with somebody_else(), pytest.raises(PermissionError, match="cannot be read .*: ask"):
                read_torch_file(path)
            place.chmod(0o755)
        assert read_torch_file(path)["weight"].tolist() == [1, 1, 1]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such limit")
def test_too_many_open_files(path: Path) -> None:
    import resource

    write_torch_file(path, {"weight": torch.ones(3)})
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = max(map(int, os.listdir("/proc/self/fd"))) if os.path.isdir("/proc/self/fd") else 64
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + 2, hard))
    try:
        with contextlib.ExitStack() as stack:
            with contextlib.suppress(OSError):
                while True:
                    stack.enter_context(open(path, "rb"))
            with pytest.raises(OSError, match="cannot be read .*: too many files are open"):
                read_torch_file(path)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert read_torch_file(path)["weight"].tolist() == [1, 1, 1]


def test_warnings_are_not_hidden_from_whoever_loads(path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write_torch_file(path, {"weight": torch.ones(3), "about": {"classes": ["hat"]}})
        read_torch_file(path)
