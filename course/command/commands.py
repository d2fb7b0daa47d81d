"""One function for each command. What they need is loaded late: who asks for help does not wait."""

from argparse import Namespace

from course.command.ranks import ranks_from_environment


def download(args: Namespace) -> int:
    """Fetch photos and weights."""
    from course.command.download import fetch_everything

    return fetch_everything()


def doctor(args: Namespace) -> int:
    """Try everything that the course needs."""
    from course.command.doctor import report

    return report()


def lab(args: Namespace) -> int:
    """Become JupyterLab."""
    from course.command.lab import start

    return start(args.rest)


def predict(args: Namespace) -> int:
    """Answer for every photo that can be read."""
    from course.command.predict import predict_photos

    return predict_photos(args.photos, args.model)


def train(args: Namespace) -> int:
    """Refuse what cannot work, keep the folder for this run alone, then load torch and train."""
    from contextlib import nullcontext
    from dataclasses import replace

    from course.command import runs
    from course.command.settings import settings_from

    ranks = ranks_from_environment()
    settings = settings_from(args, ranks)
    checkpoint = runs.find_checkpoint(settings.resume, settings.output)
    settings = replace(settings, resume=checkpoint)
    # The first of several processes claims the folder for all of them.
    with runs.claimed(settings.output, checkpoint) if ranks.first else nullcontext():
        from course.command.train import train as start

        return start(settings, ranks)
