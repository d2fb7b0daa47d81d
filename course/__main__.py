"""The command ``course``, or ``python -m course``: what is better done outside a notebook."""

import argparse
import math
import os
import platform
import shutil
import signal
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

from course import paths  # torch and torchvision only later: who asks for help does not wait

EXAMPLES = """example: python -m course download
         python -m course train fashion-mnist --epochs 5 --batch-size 64
         python -m course train fashion-mnist --epochs 10 --resume
         torchrun --nproc-per-node=2 -m course train fashion-mnist
         python -m course predict PHOTO.jpg --model models/model_final.pth"""


class Parser(argparse.ArgumentParser):
    """Says in one line what is wrong with the arguments."""

    def error(self, message: str) -> NoReturn:
        message = "".join(
            c if c.isprintable() else repr(c)[1:-1] for c in " ".join(message.split())
        )
        self.exit(2, f"{self.prog}: {message} ({self.prog} --help lists what there is)\n")


def number(kind: type, low: float, high: float) -> Callable[[str], Any]:
    """What reads an option that must be a number from `low` to `high`."""

    def read(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            value = math.nan
        if not low <= value <= high:
            what = "a whole number" if kind is int else "a number"
            raise argparse.ArgumentTypeError(f"must be {what} from {low} to {high}, got {text!r}")
        return value

    return read


def make_parser() -> Parser:
    """All commands with their options."""
    style: Any = {"epilog": EXAMPLES, "formatter_class": argparse.RawDescriptionHelpFormatter}
    parser = Parser(prog="course", description="Tools of the PyTorch course.", **style)
    commands = parser.add_subparsers(metavar="command", required=True)

    def add(name: str, run: Callable[[Namespace], int], what: str) -> Parser:
        command: Parser = commands.add_parser(name, help=what, description=what, **style)
        command.set_defaults(run=run, fail=command.error)
        return command

    add("download", download, "fetch the photos and the weights, for a later day without network")
    add("doctor", doctor, "look whether everything is here that the course needs")
    add("lab", lab, "open the first notebook in JupyterLab; options of JupyterLab may follow")
    command = add("predict", predict, "name what is on photos: the five most probable classes")
    command.add_argument("photos", metavar="PHOTO", nargs="+")
    command.add_argument("--model", metavar="FILE", help="a model that course train has saved")
    command = add("train", train, "train a model, save it after every epoch and test it at the end")
    option = command.add_argument
    option("data", choices=("fashion-mnist", "clothing"))
    option(
        "--model", choices=("cnn", "mlp", "lstm", "clothing"), help="cnn, or clothing for photos"
    )
    for name, kind, default, what in (
        ("epochs", number(int, 1, 10**6), 5, "passes over the pictures"),
        ("batch-size", number(int, 1, 10**6), 64, "pictures a step, of all processes together"),
        ("learning-rate", number(float, 1e-9, 1000), 0.001, "of Adam"),
        ("seed", number(int, 0, 2**32 - 1), 0, "of weights and shuffling"),
        ("workers", number(int, 0, 256), 0, "processes that load pictures beside the main one"),
        ("limit", number(int, 1, 10**6), None, "pictures to use of each part, for a quick try"),
    ):
        what += "" if default is None else f" (default: {default})"
        option(f"--{name}", type=kind, default=default, metavar="N", help=what)
    option("--device", help="cpu, cuda, cuda:1, mps ... (default: the fastest)")
    option("--output", type=Path, default=paths.MODELS, help="folder (default: %(default)s)")
    what = "go on from a checkpoint, with the options as before (default: the newest in --output)"
    option("--resume", metavar="FILE", nargs="?", const="", help=what)
    option("--tensorboard", action="store_true", help="write curves for TensorBoard into --output")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code: 0 if it did all, 1 if not, 130 for Ctrl-C."""
    words = sys.argv[1:] if arguments is None else arguments
    parser = make_parser()
    args, more = parser.parse_known_args(words)
    if more and args.run is not lab:
        parser.error(f"unrecognized arguments: {' '.join(more)}")
    args.words, args.more = words, more
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C
    try:
        return args.run(args)
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped. Nothing half-done was kept.", file=sys.stderr)
        return 130
    finally:
        signal.signal(signal.SIGTERM, before)


def download(args: Namespace) -> int:
    """Fetch photos and weights, each also if the other cannot be had."""
    from course import download

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
            print(f"{name} {state}: {megabytes(path)} in {path}", flush=True)
    return code


def megabytes(path: Path) -> str:
    """The size of a file, or of all files in a folder."""
    size = sum(file.stat().st_size for file in [path, *path.rglob("*")] if file.is_file())
    return f"{size / 1e6:,.1f} MB"


def doctor(args: Namespace) -> int:
    """One line for each thing; what is only missing has a stand-in and is no problem."""
    lines = list(findings())
    for state, text in lines:
        print(f"{state:<8}{text}")
    return int(any(state == "problem" for state, _ in lines))


def findings() -> Iterator[tuple[str, str]]:
    """Pairs of ``ok``, ``missing`` or ``problem`` and what it is about, with the remedy."""
    import psutil

    def judge(good: bool, text: str, remedy: str, bad: str = "problem") -> tuple[str, str]:
        return ("ok", text) if good else (bad, f"{text}: {remedy}")

    version = platform.python_version()
    yield judge(sys.version_info >= (3, 11), f"Python {version}", "install 3.11 or newer")
    yield "ok", f"{os.cpu_count()} processor cores"
    free = psutil.virtual_memory().available / 1e9
    yield judge(free > 1, f"{free:.1f} GB of memory free", "close other programs")
    place = next(p for p in [paths.DATASETS, *paths.DATASETS.parents] if p.exists())
    free = shutil.disk_usage(place).free / 1e9
    remedy = "free some space, or set COURSE_DATASETS to a folder on another disk"
    yield judge(free > 1, f"{free:.1f} GB of disk free at {place}", remedy)
    remedy = "needed only to publish models; install it from https://git-lfs.com"
    yield judge(bool(shutil.which("git-lfs")), "git-lfs", remedy, "missing")
    things = [("photos", paths.PHOTOS), ("cache", paths.CACHE)]
    try:
        import torch
        import torchvision

        from course.device import pick_device
        from course.download import weights_path

        torchvision.ops.nms(torch.zeros(1, 4), torch.zeros(1), 0.5)  # compiled for this torch?
    except Exception as error:
        yield "problem", f"torch and torchvision do not fit ({error}): install both anew"
    else:
        yield "ok", f"torch {torch.__version__} and torchvision {torchvision.__version__} fit"
        yield "ok", f"device: {pick_device()}"
        things.append(("weights", weights_path()))
    for name, path in things:
        text = f"{name}: {megabytes(path)} in {path}"
        remedy = "run `python -m course download`; until then a stand-in is used"
        remedy = "filled by the notebooks" if name == "cache" else remedy
        yield judge(path.exists(), text, remedy, "missing")


def lab(args: Namespace) -> int:
    """Become JupyterLab."""
    from jupyterlab.labapp import main as start

    start([str(paths.PROJECT / "notebooks" / "00_start_here.ipynb"), *args.more])
    return 0


def predict(args: Namespace) -> int:
    """Answer for every photo that can be read."""
    from course import pretrained, train_command

    if args.model:
        try:
            model, classes = train_command.load_trained(args.model)
        except ValueError as error:
            args.fail(f"--model: {error}")
    else:
        pretrained.weights_or_stand_in()
        model = pretrained.load_mobilenet_v2()
    code = 0
    for photo in args.photos:
        try:
            if args.model:
                answers = train_command.classify(model, classes, photo)
            else:
                answers = pretrained.predict_top_k(model, photo)
        except (OSError, ValueError) as error:
            print(error, file=sys.stderr)
            code = 1
        else:
            print(photo, *(f"{share:8.1%}  {name}" for name, share in answers), sep="\n")
    return code


def train(args: Namespace) -> int:
    """See `course.train_command`."""
    from course.train_command import train

    return train(args)


if __name__ == "__main__":
    sys.exit(main())
