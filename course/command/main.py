"""The command ``course``, or ``python -m course``: what is better done outside a notebook."""

import argparse
import platform
import shutil
import signal
import sys
from argparse import Namespace
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from course.files import paths  # torch and torchvision only later: who asks for help does not wait

EXAMPLES = """example: python -m course download
         python -m course train fashion-mnist --epochs 5 --batch-size 64
         python -m course train fashion-mnist --epochs 10 --resume
         torchrun --nproc-per-node=2 -m course train fashion-mnist
         python -m course predict PHOTO.jpg --model models/model_final.pth"""

NUMBERS = (  # options of training: name, kind, lowest and highest value, default, meaning
    ("epochs", int, 1, 10**6, 5, "passes over the pictures (default: 5)"),
    ("batch-size", int, 1, 10**6, 64, "pictures a step of all processes (default: 64)"),
    ("learning-rate", float, 1e-9, 1000, 0.001, "of Adam (default: 0.001)"),
    ("seed", int, 0, 2**32 - 1, 0, "of weights and shuffling (default: 0)"),
    ("workers", int, 0, 256, 0, "processes that load pictures ahead (default: 0)"),
    ("limit", int, 1, 10**6, None, "pictures to use of each part, for a quick try"),
)


class Parser(argparse.ArgumentParser):
    """Says in one line what is wrong with the arguments."""

    def error(self, message: str) -> NoReturn:
        line = "".join(c if c.isprintable() else " " for c in message)
        self.exit(2, f"{self.prog}: {line} ({self.prog} --help lists what there is)\n")


def make_parser() -> Parser:
    """All commands with their options."""
    style: Any = {"epilog": EXAMPLES, "formatter_class": argparse.RawDescriptionHelpFormatter}
    parser = Parser(prog="course", description="Tools of the PyTorch course.", **style)
    commands = parser.add_subparsers(metavar="command", required=True)

    def add(run: Callable[[Namespace], int], what: str) -> Parser:
        command: Parser = commands.add_parser(run.__name__, help=what, description=what, **style)
        command.set_defaults(run=run)
        return command

    add(download, "fetch the photos and the weights, for a later day without network")
    add(doctor, "look whether everything is here that the course needs")
    add(lab, "open the first notebook in JupyterLab")
    command = add(predict, "name what is on photos: the five most probable classes")
    command.add_argument("photos", metavar="PHOTO", nargs="+")
    command.add_argument("--model", metavar="FILE", help="a model that course train has saved")
    command = add(train, "train a model, save it after every epoch and at Ctrl-C, then test it")
    option = command.add_argument
    option("data", choices=("fashion-mnist", "clothing"))
    option("--model", choices=("cnn", "mlp", "lstm", "clothing"), help="cnn, for photos clothing")
    for name, kind, _, _, default, what in NUMBERS:
        option(f"--{name}", type=kind, default=default, metavar="N", help=what)
    option("--device", help="cpu, cuda, cuda:1, mps ... (default: the fastest)")
    option("--output", type=Path, default=paths.MODELS, help="folder (default: %(default)s)")
    what = "go on from a checkpoint, with the options as before (default: the newest in --output)"
    option("--resume", metavar="FILE", nargs="?", const="", help=what)
    option("--tensorboard", action="store_true", help="write curves for TensorBoard into --output")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code: 0 if it did all, 1 if not, 130 for Ctrl-C."""
    parser = make_parser()
    args = parser.parse_args(arguments)
    args.words = sys.argv[1:] if arguments is None else arguments
    for kind in (signal.SIGINT, signal.SIGTERM):
        signal.signal(kind, signal.default_int_handler)
    try:
        return args.run(args)
    except ValueError as error:
        parser.error(str(error))
    except (OSError, RuntimeError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        for kind in (signal.SIGINT, signal.SIGTERM):  # torchrun repeats that of the terminal
            signal.signal(kind, signal.SIG_IGN)
        print("\nStopped. Nothing half-done was kept.", file=sys.stderr)
        return 130


def download(args: Namespace) -> int:
    """Fetch photos and weights, each also if the other cannot be had."""
    from course.files import downloads

    code = 0
    for fetch in (downloads.download_photos, downloads.download_weights):
        try:
            print(f"Here: {fetch()}", flush=True)
        except downloads.DownloadError as error:
            print(error, file=sys.stderr)
            code = 1
    return code


def doctor(args: Namespace) -> int:
    """One line for each thing. All but torch can be done without, so only that is an error."""
    try:
        import torch
        import torchvision
    except Exception as error:  # what does not fit can fail in any way
        raise RuntimeError(f"torch and torchvision do not fit ({error}): reinstall them") from error
    from course.device import pick_device
    from course.files.downloads import weights_path

    fit = f"torch {torch.__version__}, torchvision {torchvision.__version__}, {pick_device()}"
    print(f"ok      Python {platform.python_version()}, {fit}")
    stand_in = "run `python -m course download`; until then a stand-in is used"
    weights, free = weights_path(), shutil.disk_usage(paths.PROJECT).free / 1e9
    for here, what, remedy in [
        (shutil.which("git-lfs"), "git-lfs", "to publish: https://git-lfs.com"),
        (paths.PHOTOS.exists(), f"photos in {paths.PHOTOS}", stand_in),
        (weights.exists(), f"weights in {weights}", stand_in),
        (free > 1, f"a GB of free disk (it has {free:.1f})", "free some space"),
    ]:
        print(f"ok      {what}" if here else f"missing {what}: {remedy}")
    return 0


def lab(args: Namespace) -> int:
    """Become JupyterLab."""
    from jupyterlab.labapp import main as start

    start([str(paths.PROJECT / "notebooks" / "00_start_here.ipynb")])
    return 0


def predict(args: Namespace) -> int:
    """Answer for every photo that can be read."""
    from course import pretrained, stand_ins
    from course.command import train

    if args.model:
        answer = train.load_trained(args.model)
    else:
        stand_ins.weights_or_stand_in()
        answer = partial(pretrained.predict_top_k, pretrained.load_mobilenet_v2())
    code = 0
    for photo in args.photos:
        try:
            lines = [f"{share:8.1%}  {name}" for name, share in answer(photo)]
            print(photo, *lines, sep="\n")
        except (OSError, ValueError) as error:
            print(error, file=sys.stderr)
            code = 1
    return code


def train(args: Namespace) -> int:
    """Look at the numbers, then see `course.command.train`."""
    for name, _, low, high, _, _ in NUMBERS:
        value = getattr(args, name.replace("-", "_"))
        if value is not None and not low <= value <= high:
            raise ValueError(f"--{name}: must be from {low} to {high}, got '{value}'")
    from course.command import train

    return train.train(args)
