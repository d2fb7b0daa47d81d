"""Kept features: the same numbers as a plain pass, in order, and never stale."""

import os
import random
import subprocess
import sys

import numpy as np
import pytest
import safetensors.torch
import torch
import torchvision
from PIL import Image

from course import features, pretrained
from course.data import ClothingDataset, photo_transform
from course.features import extract_features
from course.files import paths
from course.files.pictures import ImageFileError
from course.models import ClothingClassifierMobileNet


def random_mobilenet():
    """MobileNetV2 with seeded random weights, and BatchNorm statistics that suit them.

    With statistics of 0 and 1 the signal would die out on its way, and all photos look the same.
    """
    torch.manual_seed(0)
    model = torchvision.models.mobilenet_v2(weights=None, dropout=0.0)
    for norm in model.modules():
        if isinstance(norm, torch.nn.BatchNorm2d):
            norm.momentum = 1.0  # take the statistics of one batch as they are
            torch.nn.init.uniform_(norm.weight, 0.5, 1.5)
            torch.nn.init.uniform_(norm.bias, -0.1, 0.1)
    with torch.no_grad():
        model.train()(torch.randn(8, 3, 64, 64))
    return model.eval()


def write_photos(folder):
    """Three classes with colour, grey and palette pictures of several sizes."""
    rng = np.random.default_rng(0)
    for name, modes in {"hat": ["RGB", "L"], "pants": ["P", "RGB", "RGB"], "shoes": ["L"]}.items():
        (folder / name).mkdir(parents=True)
        for i, mode in enumerate(modes):
            pixels = rng.integers(0, 256, (40 + 7 * i, 50, 3), dtype=np.uint8)
            image = Image.fromarray(pixels).convert(mode)
            image.save(folder / name / f"{i}.png")
    return folder


def clothes(folder):
    return ClothingDataset(folder, photo_transform(64))


@pytest.fixture
def photos(tmp_path):
    return write_photos(tmp_path / "train")


@pytest.fixture
def model(monkeypatch):
    monkeypatch.setattr(pretrained, "load_mobilenet_v2", random_mobilenet)
    return ClothingClassifierMobileNet()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    monkeypatch.setattr(paths, "CACHE", folder)
    return folder


@pytest.fixture
def passes(monkeypatch):
    """Counts how often the photos go through the network."""
    calls = []
    compute = features.compute_features

    def counted(*args):
        calls.append(args)
        return compute(*args)

    monkeypatch.setattr(features, "compute_features", counted)
    return calls


def plain(model, dataset):
    with torch.no_grad():
        return torch.cat([model.eval().extract_features(image[None]) for image, _ in dataset])


def test_same_numbers_as_a_plain_pass_in_order(model, photos):
    dataset = clothes(photos)
    result, targets = extract_features(model, dataset).tensors
    assert result.shape == (6, 1280)
    assert (result.dtype, targets.dtype) == (torch.float32, torch.int64)
    assert targets.tolist() == [0, 0, 1, 1, 1, 2]
    expected = plain(model, dataset)
    assert (result - expected).abs().max() <= 1e-4 * expected.abs().max()
    assert (expected[0] - expected[1]).abs().max() > 1e-2 * expected.abs().max()


def test_more_photos_than_a_batch(model, photos, monkeypatch):
    whole = extract_features(model, clothes(photos)).tensors[0]
    monkeypatch.setattr(features, "BATCH_SIZE", 1)
    dataset = clothes(photos)
    dataset.image_paths.reverse()
    dataset.labels.reverse()
    backwards, targets = extract_features(model, dataset).tensors
    torch.testing.assert_close(backwards.flip(0), whole, rtol=1e-4, atol=1e-5)
    assert targets.tolist() == [2, 1, 1, 1, 0, 0]


def test_a_head_can_be_trained_on_them_and_the_model_is_untouched(model, photos):
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    model.train()
    result, targets = extract_features(model, clothes(photos)).tensors
    torch.nn.functional.cross_entropy(model.head(result), targets).backward()
    assert model.head.output_layer.weight.grad.abs().sum() > 0
    assert model.training
    assert model.state_dict().keys() == before.keys()
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize(
    ("until", "shape"), [(1, (32, 32, 32)), (17, (160, 2, 2)), (18, (320, 2, 2))]
)
def test_maps_and_the_blocks_after_them_give_the_features(model, photos, passes, until, shape):
    maps, targets = extract_features(model, clothes(photos), until).tensors
    assert maps.shape == (6, *shape)
    assert maps.is_contiguous() and maps.dtype == torch.float32
    assert targets.tolist() == [0, 0, 1, 1, 1, 2]
    with torch.no_grad():
        result = model.base_model[until:](maps).mean(dim=(2, 3))
    torch.testing.assert_close(result, plain(model, clothes(photos)), rtol=1e-3, atol=1e-4)
    assert torch.equal(extract_features(model, clothes(photos), until).tensors[0], maps)
    assert len(passes) == 1, "the second call reads what the first kept"


def test_maps_depend_on_the_blocks_before_them_alone(model, photos, passes):
    maps = extract_features(model, clothes(photos), until=17).tensors[0]
    torch.nn.init.ones_(model.base_model[17].conv[0][0].weight)  # trained since
    assert torch.equal(extract_features(model, clothes(photos), until=17).tensors[0], maps)
    assert len(passes) == 1
    extract_features(model, clothes(photos), until=18)
    extract_features(model, clothes(photos))
    assert len(passes) == 3
    model.base_model[16].conv[0][1].running_mean += 1e-3
    extract_features(model, clothes(photos), until=17)
    assert len(passes) == 4


@pytest.mark.parametrize("until", [-1, 0, 19])
def test_a_block_that_is_not_there_is_refused(model, photos, passes, until):
    with pytest.raises(ValueError, match=f"until must be at least 1 and below 19, got {until}"):
        extract_features(model, clothes(photos), until)
    assert passes == []


def test_the_second_call_reads_what_the_first_kept(model, photos, cache, passes):
    first = extract_features(model, clothes(photos)).tensors
    second = extract_features(model, clothes(photos)).tensors
    assert len(passes) == 1
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    (kept,) = cache.iterdir()
    assert kept.name.startswith("features-train-")
    assert kept.suffix == ".safetensors"


def change_a_pixel(model, dataset):
    image = Image.open(dataset.image_paths[3])
    image.putpixel((0, 0), (1, 2, 3))
    image.save(dataset.image_paths[3])


def swap_two_photos(model, dataset):
    a, b = dataset.image_paths[2:4]
    first, second = a.read_bytes(), b.read_bytes()
    a.write_bytes(second)
    b.write_bytes(first)


def change_a_label(model, dataset):
    dataset.labels[0] = 2


def change_the_order(model, dataset):
    random.Random(0).shuffle(dataset.image_paths)


def drop_a_photo(model, dataset):
    dataset.image_paths.pop()
    dataset.labels.pop()


def change_the_transform(model, dataset):
    dataset.transform = photo_transform(96)


def change_a_weight(model, dataset):
    with torch.no_grad():
        model.base_model[0][0].weight[0, 0, 0, 0] += 1e-3


def change_a_running_mean(model, dataset):
    model.base_model[0][1].running_mean[0] += 1e-3


@pytest.mark.parametrize(
    "change",
    [
        change_a_pixel,
        swap_two_photos,
        change_a_label,
        change_the_order,
        drop_a_photo,
        change_the_transform,
        change_a_weight,
        change_a_running_mean,
    ],
)
def test_whatever_features_depend_on_makes_them_new(model, photos, passes, change):
    dataset = clothes(photos)
    extract_features(model, dataset)
    change(model, dataset)
    result, targets = extract_features(model, dataset).tensors
    assert len(passes) == 2
    assert targets.tolist() == dataset.labels
    torch.testing.assert_close(result, plain(model, dataset), rtol=1e-3, atol=1e-4)


def test_another_torch_makes_them_new(model, photos, passes, monkeypatch):
    extract_features(model, clothes(photos))
    monkeypatch.setattr(torch, "__version__", "99.1.2+cpu")
    extract_features(model, clothes(photos))
    assert len(passes) == 2


def test_another_head_or_place_changes_nothing(model, photos, passes, tmp_path):
    first = extract_features(model, clothes(photos)).tensors[0]
    torch.nn.init.zeros_(model.head.output_layer.weight)
    (tmp_path / "elsewhere").mkdir()
    moved = photos.rename(tmp_path / "elsewhere" / "train")
    assert torch.equal(extract_features(model, clothes(moved)).tensors[0], first)
    assert len(passes) == 1


def cut(path):
    path.write_bytes(path.read_bytes()[:-1000])


def empty(path):
    path.write_bytes(b"")


def flip_one_bit_of_a_feature(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def text(path):
    path.write_bytes(b"these are not features")


def other_tensors(path):
    safetensors.torch.save_file({"others": torch.zeros(3)}, path)


def features_without_their_digest(path):
    kept = safetensors.torch.load(path.read_bytes())
    kept["features"] += 1
    safetensors.torch.save_file(kept, path)


def features_of_another_key(path):
    kept = safetensors.torch.load(path.read_bytes())["features"]
    features.keep(path, "0" * 64, kept, torch.tensor([0, 0, 1, 1, 1, 2]))


@pytest.mark.parametrize(
    "damage",
    [
        cut,
        empty,
        flip_one_bit_of_a_feature,
        text,
        other_tensors,
        features_without_their_digest,
        features_of_another_key,
    ],
)
def test_a_damaged_file_is_noticed_and_replaced(model, photos, cache, passes, damage):
    first = extract_features(model, clothes(photos)).tensors
    (kept,) = cache.iterdir()
    damage(kept)
    for _ in range(2):  # the second reads what the first put in place
        again = extract_features(model, clothes(photos)).tensors
        assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert len(passes) == 2
    assert list(cache.iterdir()) == [kept]


def test_a_folder_that_cannot_be_written_costs_time_not_results(model, photos, cache, passes):
    cache.write_bytes(b"a file stands where the folder should be")
    with pytest.warns(UserWarning, match="could not be kept in .*cache"):
        result = extract_features(model, clothes(photos)).tensors[0]
    assert torch.isfinite(result).all()


def test_nothing_half_written_stays_when_the_disk_is_full(model, photos, cache, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.warns(UserWarning, match="No space left"):
        extract_features(model, clothes(photos))
    assert list(cache.iterdir()) == []


def test_a_photo_changed_during_the_pass_is_not_kept(model, photos, cache, monkeypatch):
    compute = features.compute_features

    def compute_then_change(model, dataset, until):
        result = compute(model, dataset, until)
        change_a_pixel(model, dataset)
        return result

    monkeypatch.setattr(features, "compute_features", compute_then_change)
    extract_features(model, clothes(photos))
    assert not cache.exists()


def test_a_damaged_photo_is_named_before_the_pass(model, photos, passes):
    (photos / "shoes" / "0.png").write_bytes(b"not a picture")
    with pytest.raises(ImageFileError, match=r"0\.png"):
        extract_features(model, clothes(photos))
    assert passes == []


def test_a_dataset_without_a_transform_is_refused(model, photos):
    with pytest.raises(ValueError, match="photo_transform"):
        extract_features(model, ClothingDataset(photos))


@pytest.mark.parametrize(
    "step", [torchvision.transforms.Lambda(lambda image: image), lambda image: image]
)
def test_transforms_that_cannot_be_recognised_are_refused(model, photos, step):
    """Two Lambda steps look alike: torchvision prints both as ``Lambda()``."""
    transform = torchvision.transforms.Compose([photo_transform(64), step])
    with pytest.raises(ValueError, match="__repr__"):
        extract_features(model, ClothingDataset(photos, transform))


TWO_AT_ONCE = """
import sys
sys.path.insert(0, {tests!r})
import test_features as t
t.pretrained.load_mobilenet_v2 = t.random_mobilenet
from pathlib import Path
t.paths.CACHE = Path({cache!r})
model = t.ClothingClassifierMobileNet()
for _ in range(3):
    result = t.extract_features(model, t.clothes({photos!r})).tensors[0]
    for kept in t.paths.CACHE.glob("*.safetensors"):
        kept.unlink(missing_ok=True)
t.extract_features(model, t.clothes({photos!r}))
print(t.features.digest_of('', result, result).tolist())
"""


def test_two_processes_at_once_do_no_harm(model, photos, cache, passes):
    script = TWO_AT_ONCE.format(
        tests=os.path.dirname(__file__), cache=str(cache), photos=str(photos)
    )
    command = [sys.executable, "-c", script]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    both = [subprocess.Popen(command, cwd=paths.PROJECT, **pipes) for _ in range(2)]
    results = [process.communicate(timeout=300) for process in both]
    assert [process.returncode for process in both] == [0, 0], results
    assert all("Warning" not in stderr for _, stderr in results), results
    expected = extract_features(model, clothes(photos)).tensors[0]
    assert passes == []  # what they left is whole and right
    digest = str(features.digest_of("", expected, expected).tolist())
    assert [stdout.strip() for stdout, _ in results] == [digest, digest]
    assert [path.suffix for path in cache.iterdir()] == [".safetensors"]


def test_a_base_in_training_mode_learns_nothing_on_the_way(model, photos, passes):
    model.base_model.train()
    before = {name: t.clone() for name, t in model.base_model.state_dict().items()}
    extract_features(model, clothes(photos), until=17)
    assert model.base_model.training
    assert all(torch.equal(t, before[name]) for name, t in model.base_model.state_dict().items())
