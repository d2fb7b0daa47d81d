"""What the frozen base says about every photo, computed once and kept on disk.

A frozen network gives the same features for the same photo in every epoch. So the photos go through
it once, and after that a head trains on 1,280 numbers a photo instead of a photo. If the last
blocks are to be trained too, the pass stops before them and keeps feature maps. What is kept is
used again only if nothing has changed that it depends on; see `cache_key`.
"""

import copy
import hashlib
import math
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import PIL
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torch.utils.data import TensorDataset
from tqdm.auto import tqdm

from course.data import ClothingDataset
from course.files import paths
from course.files.pictures import check_images
from course.files.writing import write_whole
from course.models import NUM_FEATURES, ClothingClassifierMobileNet

BATCH_SIZE = 8  # what the network computes for 8 photos fits into the cache of a processor


@torch.no_grad()
def extract_features(
    model: ClothingClassifierMobileNet, dataset: ClothingDataset, until: int | None = None
) -> TensorDataset:
    """Run every photo through the frozen base once, or take what an earlier call kept.

    Args:
        dataset: photos with a transform to ``(3, H, W)`` float32. A transform that draws random
            numbers would be drawn once for good: there is no augmentation here.
        until: the block of `model.base_model` to stop before; None for the whole base and pooling.

    Returns:
        ``(N, 1280)`` float32 features, or maps such as ``(N, 160, 7, 7)`` with ``until=17``, and
        ``(N,)`` int64 targets, in the order of `dataset`, on the CPU.

    Raises:
        ValueError: if the transform is missing or cannot be recognised later, or `until` is wrong.
        ImageFileError: if a photo is damaged; it is found before the pass begins.
    """
    if until is not None and not 0 < until < len(model.base_model):
        raise ValueError(f"until must be at least 1 and below {len(model.base_model)}, got {until}")
    key = cache_key(model, dataset, until)
    path = paths.CACHE / f"features-{dataset.data_dir.name}-{key[:16]}.safetensors"
    shape: tuple[int, ...] = (NUM_FEATURES,)
    if until is not None:  # a map is smaller for small photos
        example = dataset[0][0].unsqueeze(0).to(next(model.parameters()).device)
        shape = tuple(fold_batchnorm(model).extract_features(example, until).shape[1:])
    kept = read_kept(path, key, torch.tensor(dataset.labels), shape)
    if kept is None:
        check_images(dataset.image_paths)
        kept = compute_features(model, dataset, until)
        if cache_key(model, dataset, until) == key:  # no photo was changed meanwhile
            keep(path, key, *kept)
    return TensorDataset(*kept)


@torch.no_grad()
def compute_features(
    model: ClothingClassifierMobileNet, dataset: ClothingDataset, until: int | None = None
) -> tuple[Tensor, Tensor]:
    """One pass of the frozen base over all photos: features (or maps) and targets ``(N,)``."""
    device = next(model.parameters()).device
    model, batches = fold_batchnorm(model), []
    title = f"features of {dataset.data_dir.name!r}"
    # Threads suffice for decoding, which leaves Python's lock free.
    with ThreadPoolExecutor() as pool, tqdm(total=len(dataset), desc=title, unit="photo") as bar:
        for start in range(0, len(dataset), BATCH_SIZE):
            indices = range(start, min(start + BATCH_SIZE, len(dataset)))
            images = torch.stack(list(pool.map(lambda i: dataset[i][0], indices)))
            images = images.to(device, memory_format=torch.channels_last)
            batches.append(model.extract_features(images, until).contiguous().cpu())
            bar.update(len(images))
    return torch.cat(batches), torch.tensor(dataset.labels)


def fold_batchnorm(model: ClothingClassifierMobileNet) -> ClothingClassifierMobileNet:
    """Return a faster copy for evaluation, the same function to rounding.

    In evaluation mode BatchNorm multiplies and adds constants. They go into the weights of the
    convolution before it, and a third of the layers disappears. Pictures with their colours side by
    side in memory (``channels_last``) suit convolutions better, too.
    """
    model = copy.deepcopy(model).eval()
    for block in model.base_model.modules():
        if isinstance(block, nn.Sequential):
            for i in range(len(block) - 1):
                conv, norm = block[i], block[i + 1]
                if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                    block[i], block[i + 1] = fuse_conv_bn_eval(conv, norm), nn.Identity()
    return model.to(memory_format=torch.channels_last)


def cache_key(
    model: ClothingClassifierMobileNet, dataset: ClothingDataset, until: int | None = None
) -> str:
    """A digest of everything that the features depend on.

    That is: the weights and buffers of the blocks before `until`, the bytes and label of each photo
    in order, the transform, and how `compute_features` calculates. 3,068 photos take a fraction
    of a second.
    """
    transform = repr(dataset.transform)
    if dataset.transform is None:
        raise ValueError("the dataset has no transform: give it course.data.photo_transform()")
    if "Lambda" in transform or " at 0x" in transform:
        problem = "a step of the transform does not say its settings, so nothing kept could be told"
        remedy = "use torchvision's transforms, or a class with a __repr__ that names its settings"
        raise ValueError(f"{problem} from other: {remedy}, in place of {transform}")
    digest = hashlib.sha256()
    # Folding and channels_last change features by rounding only. bfloat16 would be twice as fast
    # where the processor has it, but moves features by about three parts in a hundred.
    device, version = next(model.parameters()).device, torch.__version__.rpartition(".")[0]
    numeric_path = f"float32, BatchNorm folded, channels_last, {device.type}, torch {version}"
    for setting in (numeric_path, transform, f"Pillow {PIL.__version__}"):
        digest.update(f"{setting}\n".encode())
    for name, tensor in model.base_model[:until].state_dict().items():
        description = f"{name} {tensor.dtype} {tuple(tensor.shape)}\n"
        digest.update(description.encode() + tensor_bytes(tensor))
    for image_path, label in zip(dataset.image_paths, dataset.labels, strict=True):
        data = image_path.read_bytes()
        digest.update(f"{label} {len(data)}\n".encode() + data)
    return digest.hexdigest()


def tensor_bytes(tensor: Tensor) -> bytes:
    """The numbers of a tensor as they lie in memory, in row-major order."""
    return tensor.detach().cpu().contiguous().numpy().tobytes()


def digest_of(key: str, features: Tensor, targets: Tensor) -> Tensor:
    """32 bytes that tell key and results from all others, so that damage is noticed."""
    data = key.encode() + tensor_bytes(features) + tensor_bytes(targets)
    return torch.tensor(list(hashlib.sha256(data).digest()), dtype=torch.uint8)


def read_kept(
    path: Path, key: str, targets: Tensor, shape: tuple[int, ...] = (NUM_FEATURES,)
) -> tuple[Tensor, Tensor] | None:
    """What an earlier call kept in `path`; None if there is nothing, or nothing sound.

    Whoever put the file there, reading it runs no code and takes little more than it should hold.
    """
    try:
        if not path.is_file() or path.stat().st_size > 4 * math.prod(shape) * len(targets) + 1000:
            return None
        kept = safetensors.torch.load(path.read_bytes())
        features = kept["features"]
        sound = features.shape == (len(targets), *shape) and torch.equal(
            kept["sha256"], digest_of(key, features, targets)
        )
    except Exception:  # cut off, or not such a file: a damaged one can raise anything
        return None
    return (features, targets) if sound and features.dtype == torch.float32 else None


def keep(path: Path, key: str, features: Tensor, targets: Tensor) -> None:
    """Write what `read_kept` reads; another process sees a whole file or none."""
    content = {"features": features, "sha256": digest_of(key, features, targets)}
    try:
        write_whole(path, safetensors.torch.save(content))
    except OSError as error:
        advice = "the next call computes them again: make the folder writable or free some space"
        message = f"the features could not be kept in {path.parent} ({error}), so {advice}"
        warnings.warn(message, stacklevel=3)
