"""Which of several processes this is: ``torchrun`` tells each in its environment."""

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Ranks:
    """The place of this process among all that train together.

    Args:
        rank: its number; the first process, 0, speaks and writes for all.
        world_size: how many there are.
        local_rank: its number on this computer, which says what GPU it takes.
        local_world_size: how many there are on this computer.
    """

    rank: int = 0
    world_size: int = 1
    local_rank: int = 0
    local_world_size: int = 1

    @property
    def first(self) -> bool:
        """Whether this process speaks and writes for all."""
        return self.rank == 0


def ranks_from_environment() -> Ranks:
    """Read what ``torchrun`` has set; without it there is one process."""
    world_size = int(os.environ.get("WORLD_SIZE", 1))
    return Ranks(
        rank=int(os.environ.get("RANK", 0)),
        world_size=world_size,
        local_rank=int(os.environ.get("LOCAL_RANK", 0)),
        local_world_size=int(os.environ.get("LOCAL_WORLD_SIZE", world_size)),
    )
