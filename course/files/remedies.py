"""Why a value cannot be saved as a part of a checkpoint, and what to save in its place."""

import dataclasses
from collections.abc import Iterable, Mapping, Set
from datetime import date, datetime, time
from enum import Enum
from functools import cache
from io import BytesIO
from numbers import Number
from pathlib import PurePath
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

# The first kind that fits decides. numpy.float64 is a float, too, and numpy.str_ a str.
REMEDIES: list[tuple[type | tuple[type, ...], str]] = [
    (Enum, "use .value"),
    (np.bool_, "use bool()"),
    (np.integer, "use int()"),
    (np.floating, "use float()"),
    (np.ndarray, "use .tolist() or torch.from_numpy()"),
    (str, "use str()"),
    (int, "use int()"),
    (float, "use float()"),
    (complex, "use .real and .imag"),
    (np.generic, "use .item() or str()"),
    (Mapping, "use dict()"),
    ((bytes, bytearray, memoryview), "use list()"),
    (tuple, "use tuple()"),
    (Set, "use sorted()"),
    (PurePath, "use str()"),
    ((date, datetime, time), "use .isoformat()"),
    (Number, "use float()"),
    ((torch.dtype, torch.device, torch.layout, torch.memory_format), "use str()"),
    (torch.Generator, "use .get_state()"),
    ((nn.Module, torch.optim.Optimizer), "use .state_dict()"),
    (type, "use its name"),
    (Tensor, "use .item()"),  # as a key; as a value see `remedy_for_tensor`
]
LEAVE_OUT = "leave it out, and set it again after loading"
ANYTHING = "save what it holds as numbers, text, lists, dictionaries and tensors"


def remedy_for(value: Any) -> str:
    """What a value is and how to save it, such as "of type numpy.float64: use float()"."""
    return f"of type {_name_of(type(value))}: {_remedy(value)}"


def _name_of(kind: type) -> str:
    module = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    return module + kind.__qualname__


def _remedy(value: Any) -> str:
    for kind, remedy in REMEDIES:
        if isinstance(value, kind):
            return remedy
    if dataclasses.is_dataclass(value):
        return "use dataclasses.asdict()"
    if isinstance(value, Iterable):
        return "use list()"
    return LEAVE_OUT if callable(value) else ANYTHING


def remedy_for_tensor(tensor: Tensor) -> str | None:
    """Why a tensor, ``(...)`` of any dtype, cannot be saved and what to do; None if it can."""
    if is_lazy(tensor):
        return "has no shape yet: run one batch through the model first"
    if tensor.is_meta:
        return "is on the device meta and has no numbers: create it on the CPU or a GPU"
    if tensor.is_nested:
        return "is a nested tensor: use list(tensor.unbind())"
    if tensor.layout != torch.strided:
        return f"has the layout {tensor.layout}: use .to_dense()"
    if tensor.is_quantized:
        return "is quantized: use .dequantize(), or .int_repr() with its scale"
    if type(tensor) not in (Tensor, nn.Parameter):
        return f"is of type {_name_of(type(tensor))}: use .as_subclass(torch.Tensor)"
    return _remedy_for_numbers(tensor)


def _remedy_for_numbers(tensor: Tensor) -> str | None:
    repeated = [size for size, step in zip(tensor.shape, tensor.stride(), strict=True) if step == 0]
    if max(repeated, default=1) > 1:
        return "repeats its numbers, as expand() does, and cannot be filled again: use .clone()"
    if not _survives(tensor.dtype):
        return f"is of {tensor.dtype}, which torch.save() does not keep: convert it with .to()"
    return None


@cache
def _survives(dtype: torch.dtype) -> bool:
    """Whether this version of torch loads what it saves of a dtype."""
    file = BytesIO()
    try:
        torch.save(torch.empty(1, dtype=dtype), file)
        file.seek(0)
        return torch.load(file, weights_only=True).dtype == dtype
    except Exception:  # torch has a kind of error for each of its reasons
        return False
