"""What ``course train`` does: the loop of the lesson, in one process or in several."""

import contextlib
import hashlib
import os
import shlex
import subprocess
import sys
import tempfile
import textwrap
import time
from argparse import Namespace
from importlib.util import find_spec
from math import ceil, isfinite
from pathlib import Path
from typing import Any

import numpy
import torch
import torch.distributed as dist
from PIL import ImageOps
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Adam, Optimizer
from torch.utils.data import Subset, random_split
from torchvision.transforms.functional import to_tensor
from tqdm import tqdm  # tqdm.auto would call iter() twice and so draw another order

from course import data, models
from course.checkpoint import CheckpointError, load_checkpoint, read_checkpoint, save_checkpoint
from course.device import pick_device, seed_everything
from course.features import extract_features, tensor_bytes
from course.pretrained import weights_or_stand_in
from course.sketches import photos_or_sketches
from course.training import History, evaluate, train_one_epoch

FASHION = {"cnn": models.CNN, "mlp": models.MLP, "lstm": models.LSTMClassifier}
"""The models for Fashion-MNIST; the first is taken if none is named."""


def train(args: Namespace) -> int:
    """Train as the options say; returns the exit code."""
    rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    device = check(args, world)
    with contextlib.redirect_stdout(sys.stdout if rank == 0 else None):  # each line once
        if world == 1:
            return run(args, device)
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
        try:
            return run(args, device, rank)
        finally:
            dist.destroy_process_group()


def check(args: Namespace, world: int) -> torch.device:
    """Refuse options that cannot work before anything is done; returns the device."""
    fitting = list(FASHION) if args.data == "fashion-mnist" else ["clothing"]
    args.model = args.model or fitting[0]
    if args.model not in fitting:
        args.fail(f"--model {args.model} is not for {args.data}: choose {' or '.join(fitting)}")
    try:
        args.output.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=args.output).close()
    except OSError as error:
        args.fail(f"--output cannot be written ({error}): choose another folder")
    if args.resume == "":
        found = sorted(args.output.glob("checkpoint_epoch*.pth"), key=os.path.getmtime)
        args.resume = found[-1] if found else args.fail(f"--resume: no checkpoint in {args.output}")
    if args.tensorboard and find_spec("tensorboard") is None:
        args.fail("--tensorboard needs one more package: python -m pip install tensorboard")
    name = str(args.device or pick_device())
    if world > 1:  # a GPU for each process
        name = f"cuda:{os.environ['LOCAL_RANK']}" if name.startswith("cuda") else "cpu"
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError) as error:
        args.fail(f"--device {name} cannot be used: {textwrap.shorten(str(error), 90)}")
    if device.type == "cuda":
        torch.cuda.set_device(device)
    return device


def prepare(args: Namespace, device: torch.device) -> tuple[nn.Module, list[Any], dict[str, Any]]:
    """The network, what to train, validate and test with, and the classes and base of the network.

    Of the clothing classifier only the head is trained, on what its frozen base says.
    """
    seed_everything(args.seed)
    if args.data == "fashion-mnist":
        split = torch.Generator().manual_seed(0)  # the same for every seed
        parts: list[Any] = random_split(data.fashion_mnist_tensors(True), [55_000, 5_000], split)
        parts.append(data.fashion_mnist_tensors(False))
        parts = [Subset(part, range(len(part))[: args.limit]) for part in parts]
        return FASHION[args.model](), parts, {"classes": data.FASHION_CLASSES, "base": ""}
    folder = photos_or_sketches()
    weights_or_stand_in()
    names = ("train", "validation", "test")
    parts = [data.ClothingDataset(folder / name, data.photo_transform()) for name in names]
    for part in parts:
        step = ceil(len(part) / (args.limit or len(part)))  # some of each class
        part.image_paths, part.labels = part.image_paths[::step], part.labels[::step]
    classes = parts[0].classes
    model = models.ClothingClassifierMobileNet(len(classes)).to(device)
    features = [extract_features(model, part) for part in parts]
    return model.head, features, {"classes": classes, "base": digest(model.base_model)}


def digest(model: nn.Module) -> str:
    """A few characters that tell the weights of `model` from all others."""
    return hashlib.sha256(b"".join(map(tensor_bytes, model.state_dict().values()))).hexdigest()[:16]


class SharedModel(nn.Module):
    """Every process computes its part of a batch, and all get the logits of the whole.

    So loss and accuracy are those of one process. Not for models with BatchNorm: it sees parts.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = DistributedDataParallel(model)

    def forward(self, inputs: Tensor) -> Tensor:
        world, rank = dist.get_world_size(), dist.get_rank()
        size = ceil(len(inputs) / world)
        part = torch.arange(rank * size, rank * size + size)
        own = self.model(inputs[part.clamp(max=len(inputs) - 1)])  # repeats the last, where short
        logits = [torch.empty_like(own) for _ in range(world)]
        dist.all_gather(logits, own.detach())
        logits[rank] = own  # with its gradient
        if own.requires_grad:
            own.register_hook(lambda gradient: gradient * world)  # DDP takes the mean, not the sum
        return torch.cat(logits)[: len(inputs)]  # without the repeats


def run(args: Namespace, device: torch.device, rank: int = 0) -> int:
    """Prepare, train epoch by epoch, test once; returns the exit code."""
    if rank > 0:
        dist.barrier()  # the first process downloads and computes, then the others find it
    network, parts, about = prepare(args, device)
    if rank == 0 and dist.is_initialized():
        dist.barrier()
    network.to(device)
    for name in ("data", "model", "learning_rate", "batch_size", "seed", "limit"):
        about[name] = getattr(args, name)
    # As a part of the optimizer, this gets into every checkpoint.
    optimizer = Adam([{"params": network.parameters(), "about": about}], lr=args.learning_rate)
    train, val, test = parts
    loader_options = (args.batch_size, args.workers, args.seed)
    train_loader, val_loader = data.make_loaders(train, val, *loader_options)
    _, test_loader = data.make_loaders(train, test, args.batch_size)
    done, history, last = 0, History(), args.resume
    if last:
        done, history = resume(args, network, optimizer, train_loader.generator)
    model = SharedModel(network) if dist.is_initialized() else network
    criterion = nn.CrossEntropyLoss()
    board = None
    if args.tensorboard and rank == 0:
        from torch.utils.tensorboard import SummaryWriter

        folder = args.output / "tensorboard"
        print(f"Curves: tensorboard --logdir {shlex.quote(str(folder))}")
        run_folder = folder / f"{args.data}-{args.model}-seed{args.seed}"
        board = SummaryWriter(run_folder, purge_step=done + 1)  # hides what is trained again

    def show(loader: Any, title: str) -> Any:
        hide = True if rank > 0 else None  # None: only a terminal gets a bar
        return tqdm(loader, title, leave=False, unit="batch", disable=hide)

    def save(name: str) -> Path:
        path: Path = args.output / name
        if rank == 0:
            generator = train_loader.generator
            save_checkpoint(path, network, optimizer, done, generator=generator, history=history)
        return path

    print(f"{args.model} on {device}; pictures: {', '.join(f'{len(part):,}' for part in parts)}")
    try:
        while done < args.epochs:
            title, start = f"epoch {done + 1}/{args.epochs}", time.perf_counter()
            shown = show(train_loader, title)
            loss, accuracy = train_one_epoch(model, shown, criterion, optimizer, device)
            if not isfinite(loss):
                print(f"{title}: the loss is {loss}, so try a smaller --learning-rate")
                return 1
            shown = show(val_loader, "validation")
            val_loss, val_accuracy = evaluate(model, shown, criterion, device)
            seconds = time.perf_counter() - start
            print(
                f"{title}  loss {loss:.4f}, accuracy {accuracy:.4f}  validation: loss "
                f"{val_loss:.4f}, accuracy {val_accuracy:.4f}  {seconds:.1f} s",
                flush=True,
            )
            values = (loss, accuracy, val_loss, val_accuracy, seconds)
            for (name, series), value in zip(vars(history).items(), values, strict=True):
                series.append(value)
                if board:
                    board.add_scalar(name.replace("_", "/"), value, done + 1)
            done += 1
            last = save(f"checkpoint_epoch{done}.pth")
            if board:
                board.flush()
    except KeyboardInterrupt:
        words = [*args.words, "--resume", str(last)] if last else args.words
        print(f"\nStopped; kept: {last or 'nothing yet'}. Go on with:\n{command(*words)}")
        return 130
    loss, accuracy = evaluate(model, show(test_loader, "test"), criterion, device)
    print(f"test: loss {loss:.4f}, accuracy {accuracy:.4f}")
    final = save("model_final.pth")
    print(f"Saved {final}. Use it:\n{command('predict', 'PHOTO.jpg', '--model', str(final))}")
    return 0


def resume(
    args: Namespace, network: nn.Module, optimizer: Optimizer, generator: torch.Generator | None
) -> tuple[int, History]:
    """Load the checkpoint; returns the finished epochs and what was measured."""
    wanted, place = optimizer.param_groups[0]["about"], next(network.parameters()).device
    try:
        checkpoint = load_checkpoint(
            args.resume, network, optimizer, generator=generator, device=place
        )
    except CheckpointError as error:
        args.fail(f"--resume: {error}")
    found = optimizer.param_groups[0].get("about", {})
    for name, value in wanted.items():
        if found.get(name) != value:
            args.fail(f"--resume: {args.resume} has {name} {found.get(name)}, and not {value}")
    if checkpoint.epoch > args.epochs:
        args.fail(f"--resume: {args.resume} has {checkpoint.epoch} epochs already: ask for more")
    return checkpoint.epoch, checkpoint.history or History()


def command(*words: str) -> str:
    """A line to paste into a terminal."""
    world = os.environ.get("WORLD_SIZE", "1")
    several = world != "1" and words[0] == "train"
    start = ["torchrun", f"--nproc-per-node={world}"] if several else ["python"]
    join = subprocess.list2cmdline if os.name == "nt" else shlex.join
    return join([*start, "-m", "course", *words])


def load_trained(path: str) -> tuple[nn.Module, list[str]]:
    """The model that ``course train`` saved, in evaluation mode, and the names of its classes.

    Raises:
        CheckpointError: if there is none, or its base is not the one that is here.
    """
    content = read_checkpoint(Path(path))
    try:
        about = content["optimizer"]["state"]["param_groups"][0]["about"]
    except (KeyError, TypeError, IndexError) as error:
        raise CheckpointError(f"{path} was not saved by course train") from error
    if about["data"] == "fashion-mnist":
        model = FASHION[about["model"]]()
        load_checkpoint(path, model)
    else:
        model = models.ClothingClassifierMobileNet(len(about["classes"]))
        if digest(model.base_model) != about["base"]:
            raise CheckpointError(
                f"{path} was trained on another MobileNetV2 than the one that is here: run python "
                "-m course download, or train again"
            )
        load_checkpoint(path, model.head)
    return model.eval(), about["classes"]


def classify(model: nn.Module, classes: list[str], photo: str) -> list[tuple[str, float]]:
    """The five most probable classes with their probabilities, for a trained model.

    For Fashion-MNIST a photo becomes what those pictures are: grey, 28 x 28, light on black.
    """
    image = data.load_image(photo)
    inputs = data.photo_transform()(image)
    if not isinstance(model, models.ClothingClassifierMobileNet):
        image = image.convert("L")
        image.thumbnail((28, 28))
        corners = numpy.asarray(image)[:: image.height - 1 or 1, :: image.width - 1 or 1]
        image = ImageOps.invert(image) if corners.mean() > 127 else image
        pixels = to_tensor(ImageOps.pad(image, (28, 28)))
        inputs = (pixels - data.FASHION_MEAN) / data.FASHION_STD
    with torch.inference_mode():
        top = model(inputs.unsqueeze(0)).softmax(dim=1)[0].topk(min(5, len(classes)))
    return [(classes[i], p) for i, p in zip(top.indices, top.values.tolist(), strict=True)]
