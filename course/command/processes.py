"""Several processes train one model: how they find each other, and how they share the work.

``torchrun`` starts the processes. Each has its own copy of the model and takes its share of every
batch. `DistributedDataParallel` replaces their gradients by the mean, so all make the same step.
"""

import os
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from course.command.ranks import Ranks
from course.device import pick_device


def choose_device(name: str | None, ranks: Ranks) -> torch.device:
    """The device that was asked for, or the fastest; of several GPUs each process has its own.

    Raises:
        ValueError: if it cannot be used.
    """
    name = name or str(pick_device())
    if ranks.world_size > 1:
        name = f"cuda:{ranks.local_rank}" if name.startswith("cuda") else "cpu"
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError) as error:
        reason = " ".join(str(error).split())
        advice = "leave out --device to use the fastest that there is"
        raise ValueError(f"--device {name} cannot be used ({reason:.100}): {advice}") from error
    if device.type == "cuda":
        torch.cuda.set_device(device)
    return device


def loopback() -> str | None:
    """The network that leads from this computer to itself: ``lo`` on Linux, ``lo0`` on macOS."""
    names = [name for _, name in socket.if_nameindex()]
    return next((name for name in ("lo", "lo0") if name in names), None)


@contextmanager
def joined(ranks: Ranks, device: torch.device) -> Iterator[None]:
    """Inside, the processes can exchange numbers, and only the first one prints."""
    if ranks.world_size == 1:
        yield
        return
    if os.name == "nt":
        os.environ.setdefault("USE_LIBUV", "0")  # torch for Windows is built without it
    if ranks.world_size == ranks.local_world_size and (interface := loopback()):
        # Else gloo asks for the address of this computer's name, which many do not have.
        os.environ.setdefault("GLOO_SOCKET_IFNAME", interface)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        with redirect_stdout(sys.stdout if ranks.first else None):
            yield
    finally:
        dist.destroy_process_group()


@contextmanager
def first_alone(ranks: Ranks) -> Iterator[None]:
    """Let the first process do something alone, and then the others.

    It downloads, unpacks and computes what they find ready afterwards.
    """
    if ranks.world_size > 1 and not ranks.first:
        try:
            dist.barrier()
        except RuntimeError:
            sys.exit(1)  # the first process has failed, and has said why
    yield
    if ranks.world_size > 1 and ranks.first:
        dist.barrier()


def wrapped(network: nn.Module, ranks: Ranks) -> nn.Module:
    """What each process calls in place of the network, so that gradients become means."""
    return network if ranks.world_size == 1 else DistributedDataParallel(network)


def share_of(num_samples: int, ranks: Ranks) -> slice:
    """Which samples of a batch this process takes.

    The mean of means is the mean of all only for parts of the same size. A batch that cannot be
    divided evenly is therefore computed by each process as a whole.
    """
    if num_samples % ranks.world_size:
        return slice(None)
    return slice(ranks.rank, None, ranks.world_size)


def mean_of(values: Sequence[float], ranks: Ranks, device: torch.device) -> list[float]:
    """The means of these numbers over all processes."""
    if ranks.world_size == 1:
        return list(values)
    total = torch.tensor(values, dtype=torch.float64, device=device)
    dist.all_reduce(total)
    return (total / ranks.world_size).tolist()
