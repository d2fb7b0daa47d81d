"""``course train``: the loop of the lesson, in one process or in several.

It is the loop of `course.training.fit`, with what a long run needs around it. It saves after every
epoch, it stops between two batches when it is asked to, and it goes on from there with the same
numbers, to the last bit.
"""

import signal
import sys
import time
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from course.checkpoint import remaining_batches, save_checkpoint
from course.command import curves, processes, runs
from course.command.lines import again
from course.command.notes import card_of
from course.command.prepare import Run, prepare
from course.command.ranks import Ranks
from course.command.settings import Settings
from course.command.signals import NOBODY_READS, Stopped, requests
from course.models import save_model
from course.training import History, evaluate, train_one_epoch

CRITERION = nn.CrossEntropyLoss()


def train(settings: Settings, ranks: Ranks) -> int:
    """Train from the beginning or from a checkpoint to the end; returns the exit code."""
    device = processes.choose_device(settings.device, ranks)
    with processes.joined(ranks, device):
        run = prepare(settings, ranks, device)
        with requests.collected() as asked:  # from now on, Ctrl-C stops between two batches
            while run.position.epoch < settings.epochs:
                if not train_epoch(run, asked):
                    return stop(run, asked)
            return finish(run)


def train_epoch(run: Run, asked: list[int]) -> bool:
    """Train on what is left of an epoch, and save; returns False if it was asked to stop.

    Args:
        asked: the signals that have asked so far.
    """
    start = time.perf_counter()
    number = run.position.epoch + 1
    order: Any = run.train_loader.generator
    order_at_start = order.clone_state()  # decides the order of this epoch
    try:
        done = train_batches(run, asked)
    except RuntimeError:
        if not asked:
            raise
        done = False  # Ctrl-C has only ended a process that loads pictures, too
    if not done:
        save(run, number, order_at_start)
        return False

    note_epoch(run, start)
    save(run, number, order)
    report(run)
    return True


def train_batches(run: Run, asked: list[int]) -> bool:
    """Train on the batches that are left of an epoch; returns False if it was asked to stop."""
    losses = run.position.batch_losses
    batches = tqdm(
        remaining_batches(run.train_loader, len(losses)),
        f"epoch {run.position.epoch + 1}/{run.settings.epochs}",
        len(run.train_loader),
        leave=False,
        initial=len(losses),
        disable=None if run.ranks.first else True,  # None: only a terminal gets a bar
    )
    for inputs, targets in batches:
        loss, accuracy, stopping = train_step(run, inputs, targets, asked)
        losses.append((loss * len(targets), round(accuracy * len(targets))))
        if stopping:
            return False
    return True


def train_step(run: Run, inputs: Tensor, targets: Tensor, asked: list[int]) -> list[float]:
    """Correct the network once, with a batch that all processes share.

    Args:
        inputs: ``(N, ...) float32``.
        targets: ``(N,) int64``.

    Returns:
        Mean loss and accuracy of the whole batch, and the fraction of processes that were asked to
        stop. All processes get the same numbers, so all stop after the same batch.
    """
    share = processes.share_of(len(targets), run.ranks)
    batch = (inputs[share], targets[share])
    loss, accuracy = train_one_epoch(run.model, [batch], CRITERION, run.optimizer, run.device)
    return processes.mean_of([loss, accuracy, bool(asked)], run.ranks, run.device)


def note_epoch(run: Run, start: float) -> None:
    """Add up what the batches gave, validate, and note both in the history."""
    position = run.position
    history = position.history or History()
    total_losses, hits = zip(*position.batch_losses, strict=True)
    num_samples = len(run.train_loader.dataset)  # type: ignore[arg-type]
    val_loss, val_accuracy = evaluate(run.network, run.val_loader, CRITERION, run.device)

    history.add(
        train_loss=sum(total_losses) / num_samples,
        train_accuracy=sum(hits) / num_samples,
        val_loss=val_loss,
        val_accuracy=val_accuracy,
        seconds=time.perf_counter() - start,
    )
    position.history = history
    position.epoch += 1
    position.batch_losses.clear()


def save(run: Run, number: int, order: torch.Generator) -> None:
    """Write checkpoint `number`; of several processes the first does it for all."""
    if not run.ranks.first:
        return
    save_checkpoint(
        runs.checkpoint_path(run.settings.output, number),
        run.network,
        run.optimizer,
        run.position.epoch,
        generator=order,
        history=run.position.history,
        batch_losses=run.position.batch_losses,
        about=run.position.about,
    )


def report(run: Run) -> None:
    """Print what the last epoch measured, and add it to the curves."""
    assert run.position.history is not None
    measured = vars(run.position.history).items()
    values = "".join(f"  {name} {series[-1]:.4f}" for name, series in measured)
    print(f"epoch {run.position.epoch}/{run.settings.epochs}{values}", flush=True)
    if run.board:
        curves.add_epoch(run.board, run.position.history, run.position.epoch)


def stop(run: Run, asked: list[int]) -> int:
    """Say what is kept, and how to go on; returns the exit code."""
    number = asked[0] if asked else signal.SIGTERM  # another process was asked
    epoch, settings = run.position.epoch + 1, run.settings
    kept = runs.checkpoint_path(settings.output, epoch)
    where = f"epoch {epoch}/{settings.epochs}, batch {len(run.position.batch_losses)}"
    line = again(*replace(settings, resume=kept).words(), ranks=run.ranks)
    message = f"\nStopped in {where}; kept: {kept}. Go on with:\n{line}"
    print(message, flush=True)
    if NOBODY_READS in asked:  # of the standard output; Ctrl-C ends what it was piped into, too
        print(message, file=sys.stderr)
    return Stopped(number).exit_code


def finish(run: Run) -> int:
    """Test once, save the model for good, say how to use it; returns the exit code."""
    loss, accuracy = evaluate(run.network, run.test_loader, CRITERION, run.device)
    print(f"test: loss {loss:.4f}, accuracy {accuracy:.4f}", flush=True)
    final = run.settings.output / runs.FINAL
    if run.ranks.first:
        save_model(final, run.whole, card_of(run.settings, run.position.about, loss, accuracy))
    line = again("predict", "PHOTO.jpg", "--model", str(final))
    print(f"Saved {final}. Use it:\n{line}", flush=True)
    return 0
