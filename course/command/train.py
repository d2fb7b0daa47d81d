"""What ``course train`` does: the loop of the lesson, in one process or in several."""

import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Callable
from contextlib import ExitStack, redirect_stdout
from math import ceil
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from PIL import ImageOps
from torch import nn
from torch.optim import Adam
from torch.utils.data import Subset, random_split
from torchvision.transforms.functional import to_tensor
from tqdm import tqdm

from course import checkpoint, data, models
from course.device import pick_device, seed_everything
from course.features import extract_features
from course.files.pictures import load_image
from course.stand_ins import photos_or_sketches, weights_or_stand_in
from course.training import History, evaluate, train_one_epoch

MODELS: dict[str, dict[str, Any]] = {  # what can be trained on what; the first is the default
    "fashion-mnist": {"cnn": models.CNN, "mlp": models.MLP, "lstm": models.LSTMClassifier},
    "clothing": {"clothing": models.ClothingClassifierMobileNet},
}


def train(args: Namespace) -> int:
    """Train as the options say; returns the exit code."""
    rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    device = check(args, world)
    with redirect_stdout(sys.stdout if rank == 0 else None), ExitStack() as stack:  # one speaks
        if world > 1:
            dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
            stack.callback(dist.destroy_process_group)
        return run(args, device, rank, world)


def check(args: Namespace, world: int) -> torch.device:
    """Refuse options that cannot work before anything is done; returns the device."""
    fitting = list(MODELS[args.data])
    args.model = args.model or fitting[0]
    if args.model not in fitting:
        raise ValueError(f"--model {args.model} is not for {args.data}: choose {fitting}")
    if args.batch_size % world:
        raise ValueError(f"--batch-size must be a multiple of {world} for {world} processes")
    try:
        args.output.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=args.output).close()
    except OSError as error:
        raise ValueError(f"--output cannot be written ({error}): choose another folder") from error
    if args.resume == "":
        pattern = args.output / "checkpoint_epoch*.pth"
        args.resume = max(args.output.glob(pattern.name), key=os.path.getmtime, default=pattern)
    name = str(args.device or pick_device())
    if world > 1:  # a GPU for each process
        name = f"cuda:{os.environ['LOCAL_RANK']}" if name.startswith("cuda") else "cpu"
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"--device {name} cannot be used: {str(error):.100}") from error
    if device.type == "cuda":
        torch.cuda.set_device(device)
    return device


def prepare(args: Namespace, device: torch.device) -> tuple[nn.Module, list[Any], dict[str, Any]]:
    """The network, what to train, validate and test with, and what a checkpoint says of them.

    Of the clothing classifier only the head is trained, on what its frozen base says.
    """
    seed_everything(args.seed)
    kind = MODELS[args.data][args.model]
    if args.data == "fashion-mnist":
        split = torch.Generator().manual_seed(0)  # the same for every seed
        parts: list[Any] = random_split(data.fashion_mnist_tensors(True), [55_000, 5_000], split)
        parts.append(data.fashion_mnist_tensors(False))
        parts = [Subset(part, range(len(part))[: args.limit]) for part in parts]
        network, classes, base = kind(), data.FASHION_CLASSES, ""
    else:
        folder, base = photos_or_sketches(), weights_or_stand_in().name
        names = ("train", "validation", "test")
        photos = [data.ClothingDataset(folder / name, data.photo_transform()) for name in names]
        for part in photos:
            step = ceil(len(part) / (args.limit or len(part)))  # some of each class
            part.image_paths, part.labels = part.image_paths[::step], part.labels[::step]
        classes = photos[0].classes
        whole = kind(len(classes)).to(device)
        network, parts = whole.head, [extract_features(whole, part) for part in photos]
    settings = ("data", "model", "learning_rate", "batch_size", "seed", "limit")
    about = {"classes": classes, "base": base} | {name: getattr(args, name) for name in settings}
    return network.to(device), parts, about


def run(args: Namespace, device: torch.device, rank: int, world: int) -> int:
    """Prepare, train epoch by epoch, test once; returns the exit code.

    Several processes share every batch: each trains on its part, and DistributedDataParallel takes
    the mean of their gradients. For parts of the same size that is the gradient of the whole batch.
    """
    if rank > 0:
        dist.barrier()  # the first process downloads and computes, then the others find it
    network, (train, val, test), about = prepare(args, device)
    if rank == 0 and world > 1:
        dist.barrier()
    # As a part of the optimizer, this gets into every checkpoint.
    optimizer = Adam([{"params": network.parameters(), "about": about}], lr=args.learning_rate)
    loader, val_loader = data.make_loaders(train, val, args.batch_size, args.workers, args.seed)
    _, test_loader = data.make_loaders(train, test, args.batch_size)
    shuffling: Any = loader.generator
    position = checkpoint.Checkpoint(0, History(), [])
    if args.resume:
        state: Any = {"generator": shuffling, "device": device}
        position = checkpoint.load_checkpoint(args.resume, network, optimizer, **state)
        had = optimizer.param_groups[0].get("about", {})
        if other := {name: had.get(name) for name in about if had.get(name) != about[name]}:
            raise ValueError(f"{args.resume} was trained with {other}: do the same, or start anew")
        if position.epoch + bool(position.batch_losses) > args.epochs:
            raise ValueError(f"{args.resume} has come further than --epochs {args.epochs}")
    measured = position.batch_losses  # loss and number of hits, of each batch of the epoch
    model = nn.parallel.DistributedDataParallel(network) if world > 1 else network
    criterion = nn.CrossEntropyLoss()
    board = None
    if args.tensorboard and rank == 0:
        from torch.utils.tensorboard import SummaryWriter

        folder = args.output / "tensorboard" / f"{args.data}-{args.model}-seed{args.seed}"
        print(f"Curves: tensorboard --logdir {shlex.quote(str(folder.parent))}")
        board = SummaryWriter(folder, purge_step=position.epoch + 1)  # hides what comes again

    def save(name: str, order: torch.Generator) -> Path:
        path: Path = args.output / name
        if rank == 0:
            checkpoint.save_checkpoint(path, network, optimizer, generator=order, **vars(position))
        return path

    print(f"{args.model} on {device}; pictures: {len(train):,}, {len(val):,}, {len(test):,}")
    signals: list[int] = []  # from now on, Ctrl-C stops between two batches
    for kind in (signal.SIGINT, signal.SIGTERM):
        signal.signal(kind, lambda kind, _: signals.append(kind))
    try:
        while position.epoch < args.epochs:
            title, start = f"epoch {position.epoch + 1}/{args.epochs}", time.perf_counter()
            order = shuffling.clone_state()  # decides the order of this epoch
            rest = checkpoint.remaining_batches(loader, len(measured))
            hide = rank > 0 or None  # None: only a terminal gets a bar
            bar = tqdm(rest, title, len(loader), leave=False, initial=len(measured), disable=hide)
            for inputs, targets in bar:
                size = len(targets)  # a batch that cannot be shared equally is for all
                share = slice(rank, None, world) if size % world == 0 else slice(None)
                batch = inputs[share], targets[share]
                means = train_one_epoch(model, [batch], criterion, optimizer, device)
                total = torch.tensor([*means, len(signals)], device=device)
                if world > 1:
                    dist.all_reduce(total)
                loss, accuracy, stop = (total / world).tolist()
                measured.append((loss * size, round(accuracy * size)))
                if stop:
                    raise KeyboardInterrupt
            values = [sum(column) / len(train) for column in zip(*measured, strict=True)]
            values += evaluate(network, val_loader, criterion, device)
            values.append(time.perf_counter() - start)
            measured.clear()
            position.epoch += 1
            line = title
            for (name, series), value in zip(vars(position.history).items(), values, strict=True):
                series.append(value)
                line += f"  {name} {value:.4f}"
                if board:
                    board.add_scalar(name.replace("_", "/"), value, position.epoch)
            if board:
                board.flush()
            print(line, flush=True)
            save(f"checkpoint_epoch{position.epoch}.pth", shuffling)
    except (KeyboardInterrupt, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not signals:
            raise  # else it is only that Ctrl-C has ended a process that loads pictures
        last = save(f"checkpoint_epoch{position.epoch + 1}.pth", order)
        again = command(*args.words, "--resume", str(last), world=world)
        print(f"\nStopped in {title}, batch {len(measured)}; kept: {last}. Go on with:\n{again}")
        return 130
    loss, accuracy = evaluate(network, test_loader, criterion, device)
    print(f"test: loss {loss:.4f}, accuracy {accuracy:.4f}")
    final = save("model_final.pth", shuffling)
    print(f"Saved {final}. Use it:\n{command('predict', 'PHOTO.jpg', '--model', str(final))}")
    return 0


def command(*words: str, world: int = 1) -> str:
    """A line to paste into a terminal."""
    start = f"torchrun --nproc-per-node={world}" if world > 1 else "python"
    join = subprocess.list2cmdline if os.name == "nt" else shlex.join
    return f"{start} -m course {join(words)}"


def load_trained(path: str) -> Callable[[str], list[tuple[str, float]]]:
    """What finds the five most probable classes of a photo, with what ``course train`` saved.

    For Fashion-MNIST a photo becomes what those pictures are: grey, 28 x 28, light on black.

    Raises:
        CheckpointError: if there is no such file, or its base is not the one that is here.
    """
    content = checkpoint.read_checkpoint(path)
    try:
        about = content["optimizer"]["state"]["param_groups"][0]["about"]
        kind, classes, base = MODELS[about["data"]][about["model"]], about["classes"], about["base"]
    except (LookupError, TypeError) as error:
        raise checkpoint.CheckpointError(f"{path} was not saved by course train") from error
    if base and base != weights_or_stand_in().name:
        raise checkpoint.CheckpointError(f"{path} fits only {base}: train again")
    model = kind(num_classes=len(classes)).eval()
    (model.head if base else model).load_state_dict(content["model"])

    def classify(photo: str) -> list[tuple[str, float]]:
        image = load_image(photo)
        if base:
            inputs = data.photo_transform()(image)
        else:
            image = image.convert("L")
            image.thumbnail((28, 28))
            corners = to_tensor(image)[0, [0, 0, -1, -1], [0, -1, 0, -1]]
            image = ImageOps.invert(image) if corners.mean() > 0.5 else image
            pixels = to_tensor(ImageOps.pad(image, (28, 28)))
            inputs = (pixels - data.FASHION_MEAN) / data.FASHION_STD
        with torch.inference_mode():
            top = model(inputs.unsqueeze(0)).softmax(dim=1)[0].topk(min(5, len(classes)))
        return [(classes[i], p) for i, p in zip(top.indices, top.values.tolist(), strict=True)]

    return classify
