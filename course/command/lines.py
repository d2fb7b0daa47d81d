"""Lines to paste into a terminal, and text that is safe to show in one."""

import os
import shlex
import subprocess

from course.command.ranks import Ranks

# Without these two, torchrun asks for the address of this computer's own name. Many laptops and
# containers have a name that nobody can look up, and then it waits for minutes.
ON_THIS_COMPUTER = "--standalone --local-addr=127.0.0.1"
BETWEEN_COMPUTERS = "--rdzv-backend=c10d --rdzv-endpoint=HOST:29400"


def again(*words: str, ranks: Ranks | None = None) -> str:
    """The line that starts ``course`` with these words, in as many processes as now."""
    join = subprocess.list2cmdline if os.name == "nt" else shlex.join
    rest = f"-m course {join(words)}"
    if ranks is None or ranks.world_size == 1:
        return f"python {rest}"
    line = f"{torchrun(ranks)} {rest}"
    # torch for Windows is built without libuv and has to be told. `cmd /c` sets a variable for
    # one line in the Command Prompt and in PowerShell alike.
    return f'cmd /c "set USE_LIBUV=0&& {line}"' if os.name == "nt" else line


def torchrun(ranks: Ranks) -> str:
    """How ``torchrun`` is called for so many processes."""
    start = f"torchrun --nproc-per-node={ranks.local_world_size}"
    if ranks.local_world_size == ranks.world_size:
        return f"{start} {ON_THIS_COMPUTER}"
    computers = ranks.world_size // ranks.local_world_size
    return f"{start} --nnodes={computers} {BETWEEN_COMPUTERS}"


def printable(text: object) -> str:
    """The text on one line, with an escape in the place of all that a terminal would obey."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in str(text)
    )
