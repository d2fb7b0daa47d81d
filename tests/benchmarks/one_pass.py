"""What one pass over the photos takes beside its forward passes alone.

    python tests/benchmarks/one_pass.py
    python tests/benchmarks/one_pass.py --photos 600 --rounds 7

It needs the photos and the weights, and for all photos 3 GB of memory and about five minutes on two
idle cores. Three ways take turns, in another order in each round:

forward passes alone   the batches lie in memory, decoded
one thing at a time    decode a batch, then compute it; no key, nothing is kept
extract_features       with an empty cache: key, decoding in all threads, computing, keeping

The ratios are medians of the rounds. The features of all three have to be the same to the last bit.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from course.data import ClothingDataset, photo_transform
from course.features import BATCH_SIZE, extract_features, fold_batchnorm
from course.files import paths
from course.models import ClothingClassifierMobileNet

SPLITS = ("train", "validation", "test")
BAR = 1.35  # times the forward passes alone


def photos_of_all_parts(num_photos: int | None) -> list[ClothingDataset]:
    """Training, validation and test photos, or about `num_photos` of them in all."""
    parts = [ClothingDataset(paths.PHOTOS / name, photo_transform()) for name in SPLITS]
    total = sum(len(part) for part in parts)
    step = 1 if num_photos is None else max(1, total // num_photos)
    for part in parts:
        part.image_paths = part.image_paths[::step]
        part.labels = part.labels[::step]
    return parts


def decoded(part: ClothingDataset, start: int) -> Tensor:
    """One batch ``(N, 3, H, W) float32`` as the pass gives it to the network."""
    indices = range(start, min(start + BATCH_SIZE, len(part)))
    images = torch.stack([part[i][0] for i in indices])
    return images.to(memory_format=torch.channels_last)


@torch.no_grad()
def forward_passes_alone(
    folded: ClothingClassifierMobileNet, batches: list[list[Tensor]]
) -> list[Tensor]:
    return [torch.cat([folded.extract_features(batch) for batch in part]) for part in batches]


@torch.no_grad()
def one_thing_at_a_time(
    folded: ClothingClassifierMobileNet, parts: list[ClothingDataset]
) -> list[Tensor]:
    results = []
    for part in parts:
        starts = range(0, len(part), BATCH_SIZE)
        features = [folded.extract_features(decoded(part, start)) for start in starts]
        results.append(torch.cat(features))
    return results


def whole_pass(model: ClothingClassifierMobileNet, parts: list[ClothingDataset]) -> list[Tensor]:
    """What a learner calls, with a cache that is empty each time."""
    with tempfile.TemporaryDirectory() as folder:
        paths.CACHE = Path(folder)
        return [extract_features(model, part).tensors[0] for part in parts]


def measure(
    ways: dict[str, Callable[[], list[Tensor]]], num_rounds: int
) -> tuple[dict[str, list[float]], bool]:
    """Seconds of each way in each round, and whether all features were the same."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    same = True
    expected: list[Tensor] = []
    names = list(ways)
    for turn in range(num_rounds):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            start = time.perf_counter()
            features = ways[name]()
            seconds[name].append(time.perf_counter() - start)
            expected = expected or features
            same = same and all(map(torch.equal, features, expected))
    return seconds, same


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=int, help="about how many, in place of all")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()

    model = ClothingClassifierMobileNet()
    folded = fold_batchnorm(model)
    parts = photos_of_all_parts(args.photos)
    total = sum(len(part) for part in parts)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {total} photos")

    batches = [
        [decoded(part, start) for start in range(0, len(part), BATCH_SIZE)] for part in parts
    ]
    ways: dict[str, Callable[[], list[Tensor]]] = {
        "forward passes alone": lambda: forward_passes_alone(folded, batches),
        "one thing at a time": lambda: one_thing_at_a_time(folded, parts),
        "extract_features": lambda: whole_pass(model, parts),
    }
    forward_passes_alone(folded, [part[:5] for part in batches])  # the first ones are slower
    seconds, same = measure(ways, args.rounds)

    base = seconds["forward passes alone"]
    for name, taken in seconds.items():
        ratio = statistics.median(a / b for a, b in zip(taken, base, strict=True))
        each = 1000 * statistics.median(taken) / total
        print(f"{name:22} {statistics.median(taken):7.2f} s {each:7.2f} ms per photo {ratio:7.2f}")
    print(f"the same features to the last bit: {same}   (bar of the last ratio: {BAR})")


if __name__ == "__main__":
    main()
