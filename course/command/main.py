"""Where the command ``course`` starts, and all the ways in which it ends."""

import sys

from course.command import streams
from course.command.errors import explain
from course.command.parser import make_parser, read_arguments
from course.command.signals import NOBODY_READS, Stopped, requests


def main(arguments: list[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: what was typed after ``course``; None for that of the terminal.

    Returns:
        The exit code: 0 if it did all, 1 if not, 2 if it was asked for what makes no sense, and
        128 plus the number of the signal that stopped it, so 130 for Ctrl-C.
    """
    requests.listen()
    try:
        streams.protect()
        return run(arguments)
    except Stopped as stop:
        requests.close()
        if stop.number != NOBODY_READS:
            print("\nStopped. Nothing half-done was kept.", file=sys.stderr)
        return stop.exit_code
    finally:
        requests.patient = True  # Python writes out what is left of the output, then it ends


def run(arguments: list[str] | None) -> int:
    """Run one command, and say in one line what went wrong."""
    try:
        args = read_arguments(arguments)
        code: int = args.run(args)
        sys.stdout.flush()
    except ValueError as error:
        make_parser().error(str(error))
    except (OSError, RuntimeError, MemoryError, ImportError) as error:
        print(explain(error), file=sys.stderr)
        return 1
    if complaint := streams.complaint():
        print(complaint, file=sys.stderr)
        return code or 1
    return code
