"""What ``torch.save()`` may write so that ``read_torch_file`` can read it again.

`torch.save` pickles whatever it is given. That it cannot be loaded with ``weights_only=True``
turns out on the day when it is needed. So everything is looked through before it is written, and
the first value that would be refused is named by its place, such as "scheduler.state.best".
"""

import io
from collections import Counter, OrderedDict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from course.files.archives import CheckpointError, check_archive, one_line, tensors_in, trouble_with
from course.files.remedies import remedy_for, remedy_for_tensor
from course.files.trouble import reason_of
from course.files.writing import write_whole

PLAIN = {type(None), bool, int, float, str}
MAX_BITS = 2_000  # of an integer; a pickle that torch.load() takes has no more than 2,040
Dtypes = dict[int, torch.dtype]
TOO_DEEP = "something in it holds itself, or is nested too deeply: make it flat"


def write_torch_file(path: str | Path, content: Any) -> None:
    """Write tensors in lists and dictionaries with ``torch.save()``, whole or not at all.

    A tensor that shows only a part of its memory is written without the rest.

    Raises:
        CheckpointError: if a value could not be loaded again. The message names its place.
        OSError: if the system cannot write it. An older file at `path` stays as it was.
        MemoryError: if the memory is too small to hold the file once.
    """
    buffer = io.BytesIO()
    try:
        content = _copy(content, "", {})
        tensors_in(content)  # not too many containers around them
        torch.save(content, buffer)
        check_archive(buffer)
        write_whole(Path(path), buffer.getbuffer())
    except Exception as error:
        if trouble := trouble_with(path, "was not saved and is as it was", error):
            raise trouble from error
        reason = TOO_DEEP if isinstance(error, RecursionError) else reason_of(error)
        raise CheckpointError(one_line(f"{path} was not saved, {reason}")) from error


def _copy(value: Any, place: str, dtypes: Dtypes) -> Any:
    """Copy nested containers, and tensors where they could not be loaded as they are.

    Args:
        place: the keys that lead to `value`, such as "scheduler.state".
        dtypes: the dtype in which each piece of memory is saved, by its address.

    Raises:
        CheckpointError: if a value could not be loaded.
    """
    if type(value) is int and value.bit_length() > MAX_BITS:
        raise CheckpointError(f"{place or 'it'} has hundreds of digits: use str()")
    if type(value) in PLAIN:
        return value
    if isinstance(value, Tensor):
        return _copy_tensor(value, place, dtypes)
    if type(value) in (dict, OrderedDict, Counter):
        return _copy_dict(value, place, dtypes)
    if type(value) in (list, tuple, torch.Size):
        entries = [_copy(entry, _join(place, i), dtypes) for i, entry in enumerate(value)]
        return type(value)(entries)
    raise CheckpointError(f"{place or 'it'} is {remedy_for(value)}")


def _copy_dict(value: dict[Any, Any], place: str, dtypes: Dtypes) -> Any:
    result = type(value)()
    for key, entry in value.items():
        kinds = {type(part) for part in key} if type(key) is tuple else {type(key)}
        if not kinds <= PLAIN:
            raise CheckpointError(f"{place or 'it'} has the key {key!r:.80}, {remedy_for(key)}")
        result[key] = _copy(entry, _join(place, key), dtypes)
    if isinstance(value, OrderedDict):  # a state_dict() keeps the versions of its modules there
        vars(result).update(_copy(vars(value), _join(place, "__dict__"), dtypes))
    return result


def _copy_tensor(tensor: Tensor, place: str, dtypes: Dtypes) -> Tensor:
    if remedy := remedy_for_tensor(tensor):
        raise CheckpointError(f"{place or 'it'} {remedy}")
    tensor = tensor.detach()
    storage = tensor.untyped_storage()
    if tensor.nbytes != storage.nbytes():  # a part of a larger tensor, or its numbers overlap
        return tensor.clone()
    if dtypes.setdefault(storage.data_ptr(), tensor.dtype) != tensor.dtype:
        return tensor.clone()  # the same memory seen in two ways
    return tensor


def _join(place: str, key: Any) -> str:
    return f"{place}.{key}" if place else str(key)
