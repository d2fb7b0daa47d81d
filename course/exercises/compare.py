"""Whether two results are the same, and if not, in which way a tensor usually goes wrong."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


def same(wanted: Any, given: Any, relative: float) -> bool:
    """Whether two results agree: numbers to rounding, everything else exactly."""
    return difference(wanted, given, relative) is None


def difference(wanted: Any, given: Any, relative: float) -> str | None:
    """Say in which way `given` is not `wanted`, or None. The wanted values are not told.

    Args:
        relative: how far a number may be off, as a share of the largest of the tensor.
    """
    if isinstance(wanted, Tensor):
        return _tensor_difference(wanted, given, relative)
    if isinstance(wanted, bool | str) or wanted is None:
        return None if type(given) is type(wanted) and given == wanted else _kind(wanted, given)
    if isinstance(wanted, int | float | np.number):
        return _number_difference(wanted, given, relative)
    if isinstance(wanted, Mapping):
        return _mapping_difference(wanted, given, relative)
    if isinstance(wanted, Sequence):
        return _sequence_difference(wanted, given, relative)
    if isinstance(wanted, nn.Module):
        if not isinstance(given, nn.Module):
            return _kind(wanted, given)
        return difference(dict(wanted.state_dict()), dict(given.state_dict()), relative)
    if isinstance(wanted, torch.dtype | torch.device):
        return None if given == wanted else _kind(wanted, given)
    return None if type(given) is type(wanted) else _kind(wanted, given)


def name_of_type(thing: Any) -> str:
    """A type in the words of the course: a tensor, a float, a list …"""
    if thing is None:
        return "nothing"
    name = "tensor" if isinstance(thing, Tensor) else type(thing).__name__
    return f"an {name}" if name[0] in "aeiouAEIOU" else f"a {name}"


def _kind(wanted: Any, given: Any) -> str:
    if given is None:
        return "It gives nothing back: end it with a line that begins with `return`."
    if type(given) is type(wanted):
        return "The result is another one."
    return f"It gives {name_of_type(given)}, and {name_of_type(wanted)} is asked for."


def _tensor_difference(wanted: Tensor, given: Any, relative: float) -> str | None:
    """The first of the usual faults: type, shape, dtype, device, nan, graph, values."""
    if not isinstance(given, Tensor):
        return _kind(wanted, given)
    if given.shape != wanted.shape:
        return _shape_difference(wanted, given)
    if given.dtype != wanted.dtype:
        return f"The dtype is {given.dtype}, and {wanted.dtype} is asked for."
    if given.device != wanted.device:
        return f"The result lies on {given.device}, and the input on {wanted.device}."
    if given.is_floating_point() and given.isnan().any() and not wanted.isnan().any():
        return "There is nan in the result: something was divided by zero, or inf minus inf."
    if wanted.requires_grad and not given.requires_grad:
        return "The values have lost their graph, so no gradient can flow back through them."
    if not _close(wanted, given, relative):
        return "The shape is right, and the values are not."
    return None


def _shape_difference(wanted: Tensor, given: Tensor) -> str:
    ours, yours = tuple(wanted.shape), tuple(given.shape)
    said = f"The shape is {yours}, and {ours} is asked for."
    if given.numel() == wanted.numel() and given.dim() != wanted.dim():
        return f"{said} The numbers are as many, but one dimension is too many or missing."
    if given.dim() > wanted.dim() and given.numel() > wanted.numel():
        return f"{said} Two tensors may have been broadcast against each other."
    return said


def _close(wanted: Tensor, given: Tensor, relative: float) -> bool:
    if not wanted.is_floating_point():
        return torch.equal(wanted, given)
    finite = wanted.detach()[wanted.isfinite()]
    scale = finite.abs().max().item() if finite.numel() else 1.0
    return torch.allclose(
        given.detach(), wanted.detach(), rtol=relative, atol=relative * scale, equal_nan=True
    )


def _number_difference(wanted: Any, given: Any, relative: float) -> str | None:
    if isinstance(given, Tensor) and given.numel() == 1:
        return "It gives a tensor with one number: `.item()` makes a Python number of it."
    if isinstance(given, bool) or not isinstance(given, int | float | np.number):
        return _kind(wanted, given)
    if given != given and wanted == wanted:
        return "The result is nan."
    if isinstance(wanted, int):
        return None if given == wanted else "The number is another one."
    close = abs(given - wanted) <= relative * max(abs(wanted), relative)
    return None if close or given == wanted else "The number is another one."


def _sequence_difference(wanted: Sequence[Any], given: Any, relative: float) -> str | None:
    """Lists, tuples and sizes count as alike; only what is in them is compared."""
    if not isinstance(given, Sequence) or isinstance(given, str):
        return _kind(wanted, given)
    if len(given) != len(wanted):
        return f"There are {len(given)} entries, and {len(wanted)} are asked for."
    for i, (ours, yours) in enumerate(zip(wanted, given, strict=True)):
        if found := difference(ours, yours, relative):
            return f"Entry {i}: {found}"
    return None


def _mapping_difference(wanted: Mapping[Any, Any], given: Any, relative: float) -> str | None:
    if not isinstance(given, Mapping):
        return _kind(wanted, given)
    if set(given) != set(wanted):
        missing = sorted(map(str, set(wanted) - set(given)))
        unknown = sorted(map(str, set(given) - set(wanted)))
        return f"The keys differ: missing {missing}, not asked for {unknown}."
    for key, ours in wanted.items():
        if found := difference(ours, given[key], relative):
            return f"{key!r}: {found}"
    return None
