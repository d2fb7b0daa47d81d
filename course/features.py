"""What the frozen base says about every photo, computed once and kept on disk.

A frozen network gives the same features for the same photo in every epoch. So the photos go through
it once, and after that a head trains on 1,280 numbers per photo instead of a photo. If the last
blocks are to be trained too, the pass stops before them and keeps feature maps.
"""

import copy
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import Any

import PIL
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torch.utils.data import Dataset, TensorDataset
from tqdm.auto import tqdm

from course.data import ClothingDataset, photos_behind
from course.files import kept, paths
from course.models import NUM_FEATURES, ClothingClassifierMobileNet

BATCH_SIZE = 16
DECODED_AT_ONCE = 8 * BATCH_SIZE  # photos in memory, however many there are
MOST_THREADS = 8  # that decode photos, because each may hold a huge one


@torch.no_grad()
def extract_features(
    model: ClothingClassifierMobileNet, dataset: Dataset[Any], until: int | None = None
) -> TensorDataset:
    """Run every photo through the frozen base once, or take what an earlier call kept.

    Args:
        model: its base gives the features; the head is not used.
        dataset: a `ClothingDataset`, or a part of one as ``random_split`` makes it, with a
            transform to ``(3, H, W) float32``. A transform that draws random numbers would draw
            them once for good: there is no augmentation here.
        until: the block of `model.base_model` to stop before; None for the whole base and pooling.

    Returns:
        Features ``(N, 1280) float32``, or maps ``(N, C, H, W) float32`` with `until`, and targets
        ``(N,) int64``, in the order of `dataset`, on the CPU.

    Raises:
        ValueError: if the transform is missing or cannot be recognised later, or `until` is wrong.
        ImageFileError: if a photo is damaged. It is named as soon as it is met; nothing is kept.
        OSError, MemoryError: if the system cannot read a photo, which may be good.
    """
    photos, indices = photos_of(dataset)
    targets = torch.tensor([photos.labels[i] for i in indices])  # (N,)

    key = cache_key(model, dataset, until)
    file = kept.file_of(paths.CACHE, photos.data_dir.absolute().name, key)
    features = kept.read_kept(file, key, shape_of_features(model, dataset, until))
    if features is None:
        features = compute_features(model, dataset, until)
        if cache_key(model, dataset, until) == key:  # no photo was changed meanwhile
            kept.keep(file, key, features)
    return TensorDataset(features, targets)


@torch.no_grad()
def compute_features(
    model: ClothingClassifierMobileNet, dataset: Dataset[Any], until: int | None = None
) -> Tensor:
    """Run all photos through the frozen base, with a progress bar.

    Returns:
        Features ``(N, 1280) float32``, or maps ``(N, C, H, W) float32`` with `until`, on the CPU.
    """
    photos, indices = photos_of(dataset)
    device = next(model.parameters()).device
    model = fold_batchnorm(model)

    results = []
    bar = tqdm(total=len(indices), desc=f"features of {photos.data_dir.name!r}", unit="photo")
    with bar, closing(decoded_batches(photos, indices)) as batches:
        for images in batches:  # (N, 3, H, W)
            images = images.to(device, memory_format=torch.channels_last)
            features = model.extract_features(images, until)  # (N, 1280)
            results.append(features.contiguous().cpu())
            bar.update(len(images))
    return torch.cat(results)


def decoded_batches(photos: ClothingDataset, indices: Sequence[int]) -> Generator[Tensor]:
    """The photos in batches ``(N, 3, H, W) float32``, a few batches decoded at a time.

    Decoding and the network take turns, and each has all processors for itself. At the same time
    they would be slower, because all of torch's threads wait for the one that was disturbed.
    Threads suffice for decoding, because a decoder leaves Python's lock free.
    """

    def decode(i: int) -> Tensor:
        image: Tensor = photos[i][0]  # (3, H, W)
        return image

    with decoders() as pool:
        for start in range(0, len(indices), DECODED_AT_ONCE):
            images = list(pool.map(decode, indices[start : start + DECODED_AT_ONCE]))
            for first in range(0, len(images), BATCH_SIZE):
                yield torch.stack(images[first : first + BATCH_SIZE])


@contextmanager
def decoders() -> Iterator[ThreadPoolExecutor]:
    """Threads that decode photos. They end with the block, also after Ctrl-C or a damaged photo.

    By default each of them would start more threads for its share of torch's work, and they would
    be in each other's way.
    """
    num_threads = torch.get_num_threads()
    size = min(num_threads, MOST_THREADS)
    pool = ThreadPoolExecutor(size, initializer=torch.set_num_threads, initargs=(1,))
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(num_threads)  # what a thread sets holds for those to come, too


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
                conv = block[i]
                norm = block[i + 1]
                if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                    block[i] = fuse_conv_bn_eval(conv, norm)
                    block[i + 1] = nn.Identity()
    return model.to(memory_format=torch.channels_last)


def cache_key(
    model: ClothingClassifierMobileNet, dataset: Dataset[Any], until: int | None = None
) -> str:
    """A digest of everything that the features depend on.

    That is: the weights and buffers of the blocks before `until`, the bytes and label of each photo
    in order, the transform, and how `compute_features` calculates. 3,068 photos take a fraction
    of a second.
    """
    photos, indices = photos_of(dataset)
    settings = {
        "transform": settings_of(photos.transform),
        # bfloat16 would be twice as fast where the processor has it, but moves features by about
        # three parts in a hundred. Folding and channels_last change them by rounding only.
        "calculation": "float32, BatchNorm folded, channels_last",
        "device": next(model.parameters()).device.type,
        "torch": torch.__version__.rpartition(".")[0],
        "Pillow": PIL.__version__,
    }
    weights = model.base_model[:until].state_dict()
    files = [(photos.image_paths[i], photos.labels[i]) for i in indices]
    return kept.key_of(settings, weights, files)


def settings_of(transform: object) -> str:
    """What a transform says of itself; two that do different things must not say the same.

    Raises:
        ValueError: if there is no transform, or one of its steps does not say its settings.
    """
    if transform is None:
        raise ValueError("the dataset has no transform: give it course.data.photo_transform()")
    text = " ".join(repr(transform).split())  # on one line
    if "Lambda" in text or " at 0x" in text:
        problem = "a step of the transform does not say its settings, so nothing kept could be told"
        remedy = "use torchvision's transforms, or a class with a __repr__ that names its settings"
        raise ValueError(f"{problem} from other: {remedy}, in place of {text}")
    return text


def shape_of_features(
    model: ClothingClassifierMobileNet, dataset: Dataset[Any], until: int | None
) -> tuple[int, ...]:
    """The shape of what `compute_features` returns, without the pass over all photos.

    Raises:
        ValueError: if there is no block `until`, or none before it.
    """
    photos, indices = photos_of(dataset)
    if until is None:
        return len(indices), NUM_FEATURES
    if not 0 < until < len(model.base_model):
        raise ValueError(f"until must be at least 1 and below {len(model.base_model)}, got {until}")

    # Small photos have small maps, so one photo has to be tried.
    image = photos[indices[0]][0].unsqueeze(0)  # (1, 3, H, W)
    image = image.to(next(model.parameters()).device)
    maps = fold_batchnorm(model).extract_features(image, until)
    return len(indices), *maps.shape[1:]


def photos_of(dataset: Dataset[Any]) -> tuple[ClothingDataset, list[int]]:
    """The photos behind a dataset, and which of them belong to it.

    Raises:
        TypeError: if there are no photos behind it.
        ValueError: if it is empty.
    """
    behind = photos_behind(dataset)
    if behind is None:
        kind = type(dataset).__name__
        raise TypeError(f"features are for a ClothingDataset or a part of one, got a {kind}")
    if not behind[1]:
        raise ValueError("this part of the photos is empty: make it larger")
    return behind
