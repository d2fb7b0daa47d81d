"""Which processor to use, and the random numbers: how to repeat them, how to go on with them."""

import random
from typing import Any, cast

import numpy as np
import torch


def pick_device() -> torch.device:
    """Return the fastest device of this machine: CUDA, then Apple's MPS, then the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and torch, so that the same code draws the same numbers again.

    On a GPU some operations still add numbers in a varying order; see
    https://docs.pytorch.org/docs/stable/notes/randomness.html.
    """
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def random_states() -> dict[str, Any]:
    """Where the random numbers of Python, NumPy and torch stand, as plain values and tensors."""
    kind, numbers, *position = cast(tuple[Any, ...], np.random.get_state())
    return {
        "python_random": random.getstate(),
        "numpy_random": (kind, numbers.tolist(), *position),  # an array could not be saved
        "torch_random": torch.get_rng_state(),
        "cuda_random": torch.cuda.get_rng_state_all(),  # one for each GPU
    }


def set_random_states(states: dict[str, Any]) -> None:
    """Draw from now on what was drawn after :func:`random_states` gave these `states`.

    With another number of GPUs than then, those go on as they are.

    Raises:
        ValueError: if something is no such state. Those before it are set by then.
    """
    random.setstate(states["python_random"])
    _, _, position, *_ = states["numpy_random"]
    if not 0 <= position <= 624:  # NumPy would read beside its 624 numbers
        raise ValueError("no such random state")
    np.random.set_state(states["numpy_random"])
    torch.set_rng_state(states["torch_random"])
    if len(states["cuda_random"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(states["cuda_random"])
