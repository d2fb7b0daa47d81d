"""Which processor to use, and how to make random numbers repeatable."""

import random

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
