"""What asks the command to stop: Ctrl-C, a scheduler, a terminal that closes, a reader who left.

Most commands are stopped where they are: the request is raised as an exception. Training has
something to lose, so it collects requests and looks at them between two batches.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType

# Ctrl-C; kill, timeout and schedulers; a terminal that closes; a limit of processor time; the
# warnings that batch systems send ahead; Ctrl-Break of Windows. Not every system has all of them.
NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGXCPU", "SIGUSR1", "SIGUSR2", "SIGBREAK")
STOPPING = [getattr(signal, name) for name in NAMES if hasattr(signal, name)]
NOBODY_READS = 13  # SIGPIPE, which Python turns into an error, and which Windows does not have


class Stopped(KeyboardInterrupt):
    """The command has been asked to stop; `number` is that of the signal."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    @property
    def exit_code(self) -> int:
        """What a shell makes of a signal: 130 for Ctrl-C, 143 for ``kill``."""
        return 128 + self.number


@dataclass
class StopRequests:
    """What has asked this process to stop so far, by the numbers of the signals."""

    numbers: list[int] = field(default_factory=list)
    patient: bool = False

    def add(self, number: int, _: FrameType | None = None) -> None:
        """Note a request, and act on it unless somebody looks at `numbers`."""
        self.numbers.append(number)
        if not self.patient:
            raise Stopped(number)

    def listen(self) -> None:
        """Start with no request, and take the signals over.

        Who ignores a signal has a reason: ``nohup`` for the terminal that closes, a shell for the
        Ctrl-C that is meant for another program.
        """
        self.numbers.clear()
        self.patient = False
        for number in STOPPING:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self.add)

    @contextmanager
    def collected(self) -> Iterator[list[int]]:
        """Inside, nothing is interrupted: look at the list that this gives."""
        self.patient = True
        try:
            yield self.numbers
        finally:
            self.patient = False

    def close(self) -> None:
        """From now on nothing interrupts, because what is left to do takes a moment."""
        self.patient = True
        for number in STOPPING:
            signal.signal(number, signal.SIG_IGN)


requests = StopRequests()  # one for the process, as signals are
