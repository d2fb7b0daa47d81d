"""The command ``course``, or ``python -m course``: what is better done outside a notebook."""

import argparse
import sys
from collections.abc import Callable
from typing import NoReturn


class Parser(argparse.ArgumentParser):
    """Says in one line what is wrong with the arguments."""

    def error(self, message: str) -> NoReturn:
        message = "".join(c if c.isprintable() else repr(c)[1:-1] for c in message)
        self.exit(2, f"{self.prog}: {message} ({self.prog} --help lists what there is)\n")


def main(arguments: list[str] | None = None) -> int:
    """Run one sub-command; returns the exit code: 0 if it did all, 1 if not, 130 for Ctrl-C."""
    example = "example: python -m course download"
    parser = Parser(prog="course", description="Tools of the PyTorch course.", epilog=example)
    commands = parser.add_subparsers(metavar="command", required=True)
    what = "fetch the photos and the weights, for a later day without network"
    command = commands.add_parser("download", help=what, description=what, epilog=example)
    command.set_defaults(run=download)
    run: Callable[[], int] = parser.parse_args(arguments).run
    try:
        return run()
    except KeyboardInterrupt:
        print("\nStopped. Nothing half-done was kept.", file=sys.stderr)
        return 130


def download() -> int:
    """Fetch photos and weights, each also if the other cannot be had."""
    from course import download, paths  # only now: who asks for help does not wait for imports

    things = [
        ("Photos", paths.PHOTOS, download.download_photos),
        ("Weights", download.weights_path(), download.download_weights),
    ]
    code = 0
    for name, place, fetch in things:
        state = "already here" if place.exists() else "fetched"
        try:
            path = fetch()
        except download.DownloadError as error:
            print(error, file=sys.stderr)
            code = 1
        else:
            size = sum(file.stat().st_size for file in [path, *path.rglob("*")] if file.is_file())
            print(f"{name} {state}: {size / 1e6:,.1f} MB in {path}", flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
