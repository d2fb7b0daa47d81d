"""What can be typed after ``course``."""

import argparse
from argparse import Namespace
from collections.abc import Callable
from typing import Any, NoReturn

from course.command import commands
from course.command.lines import printable, torchrun
from course.command.ranks import Ranks
from course.command.settings import MODEL_NAMES, NUMBERS, Settings

TWO = Ranks(world_size=2, local_world_size=2)
EXAMPLES = f"""example: python -m course download
         python -m course train fashion-mnist --epochs 5 --batch-size 64
         python -m course train fashion-mnist --epochs 10 --resume
         python -m course train MY_PHOTOS --output models/mine
         {torchrun(TWO)} -m course train fashion-mnist
         python -m course predict PHOTO.jpg --model models/model_final.pth"""


class Parser(argparse.ArgumentParser):
    """Says in one line what is wrong with the arguments."""

    def error(self, message: str) -> NoReturn:
        line = printable(" ".join(message.split()))
        self.exit(2, f"{self.prog}: {line} ({self.prog} --help lists what there is)\n")


def make_parser() -> Parser:
    """All commands with their options."""
    style: Any = {"epilog": EXAMPLES, "formatter_class": argparse.RawDescriptionHelpFormatter}
    parser = Parser(prog="course", description="Tools of the PyTorch course.", **style)
    parsers = parser.add_subparsers(metavar="command", required=True)

    def add(run: Callable[[Namespace], int], what: str) -> Parser:
        command: Parser = parsers.add_parser(run.__name__, help=what, description=what, **style)
        command.set_defaults(run=run)
        return command

    add(commands.download, "fetch the photos and the weights, for a later day without network")
    add(commands.doctor, "try everything that the course needs")
    add(commands.lab, "open the first notebook in JupyterLab, which gets all further options")
    add_predict_options(add(commands.predict, "name what is on photos: the most probable classes"))
    what = "train a model, save it after every epoch and at Ctrl-C, then test it"
    add_train_options(add(commands.train, what))
    return parser


def add_predict_options(command: Parser) -> None:
    """The options of ``course predict``."""
    command.add_argument("photos", metavar="PHOTO", nargs="+", help="a picture file")
    help_model = "a model or a checkpoint that course train has saved (default: MobileNetV2)"
    command.add_argument("--model", metavar="FILE", help=help_model)


def add_train_options(command: Parser) -> None:
    """The options of ``course train``, with the defaults of `Settings`."""
    option = command.add_argument
    option(
        "data",
        nargs="?",  # it is required, but see `data_and_resume`
        help="fashion-mnist, clothing, or a folder that holds one folder per class",
    )
    option("--model", choices=MODEL_NAMES, help="default: mlp for fashion-mnist, else clothing")
    for number in NUMBERS:
        default = getattr(Settings, number.name.replace("-", "_"))
        shown = "" if default is None else f" (default: {default})"
        option(
            f"--{number.name}",
            type=number.kind,
            default=default,
            metavar="N",
            help=number.meaning + shown,
        )
    option("--device", help="cpu, cuda, cuda:1, mps ... (default: the fastest)")
    what = "where the run is kept (default: %(default)s)"
    option("--output", metavar="FOLDER", default=Settings.output, help=what)
    what = "go on from a checkpoint, with the options as before (default: the newest in --output)"
    option("--resume", metavar="FILE", nargs="?", const="", help=what)
    option("--tensorboard", action="store_true", help="write curves for TensorBoard into --output")


def read_arguments(words: list[str] | None) -> Namespace:
    """Parse what was typed; only ``course lab`` may have options that are not its own."""
    parser = make_parser()
    args, rest = parser.parse_known_args(words)
    if rest and args.run is not commands.lab:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    args.rest = rest
    return args
