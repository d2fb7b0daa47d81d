"""Kept features: the same numbers as a plain pass, in order, and never stale."""

import errno
import itertools
import os
import random
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image
from torch.utils.data import Subset, TensorDataset, random_split

from course import data, features
from course.data import ClothingDataset, photo_transform
from course.features import decoded_batches, extract_features, fold_batchnorm
from course.files import kept, paths
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
def model():
    return ClothingClassifierMobileNet(base=random_mobilenet())


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
    (path,) = cache.iterdir()
    assert path.name.startswith("features-train-")
    assert path.suffix == ".safetensors"


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


# --- Only a part of the photos ----------------------------------------------------------------


def half(dataset):
    return random_split(dataset, [3, 3], torch.Generator().manual_seed(0))[0]


PARTS = {
    "random_split": half,
    "Subset": lambda dataset: Subset(dataset, [4, 0, 2]),
    "a range": lambda dataset: Subset(dataset, range(5, 0, -2)),
    "NumPy's indices": lambda dataset: Subset(dataset, np.array([1, 5])),
    "the same photo twice": lambda dataset: Subset(dataset, [3, 3, 0, 3]),
    "part of a part": lambda dataset: Subset(half(dataset), [2, 0]),
    "part of a part of a part": lambda dataset: Subset(Subset(half(dataset), [2, 1, 0]), [1, 2]),
    "all, in another order": lambda dataset: Subset(dataset, [5, 4, 3, 2, 1, 0]),
}


@pytest.mark.parametrize("until", [None, 17])
@pytest.mark.parametrize("cut", PARTS.values(), ids=PARTS)
def test_a_part_of_the_photos_has_features_in_its_own_order(model, photos, passes, cut, until):
    part = cut(clothes(photos))
    result, targets = extract_features(model, part, until).tensors
    assert targets.dtype == torch.int64
    assert targets.tolist() == [label for _, label in part]
    with torch.no_grad():
        expected = torch.cat([model.eval().extract_features(x[None], until) for x, _ in part])
    torch.testing.assert_close(result, expected, rtol=1e-3, atol=1e-4)
    assert torch.equal(extract_features(model, cut(clothes(photos)), until).tensors[0], result)
    assert len(passes) == 1, "the second call reads what the first kept"


def test_each_part_is_kept_for_itself(model, photos, cache, passes):
    whole = clothes(photos)
    halves = random_split(whole, [0.5, 0.5], torch.Generator().manual_seed(0))
    for dataset in (whole, *halves) * 2:
        assert len(extract_features(model, dataset)) == len(dataset)
    assert len(passes) == 3
    assert len(list(cache.iterdir())) == 3


def test_a_changed_photo_of_the_other_part_changes_nothing(model, photos, passes):
    first, second = random_split(clothes(photos), [0.5, 0.5], torch.Generator().manual_seed(0))
    extract_features(model, first)
    outside = first.dataset.image_paths[second.indices[0]]
    Image.new("RGB", (30, 30), "red").save(outside)
    extract_features(model, first)
    assert len(passes) == 1
    extract_features(model, second)
    inside = first.dataset.image_paths[first.indices[0]]
    Image.new("RGB", (30, 30), "red").save(inside)
    extract_features(model, first)
    assert len(passes) == 3


def test_an_empty_part_is_refused(model, photos):
    with pytest.raises(ValueError, match="empty"):
        extract_features(model, Subset(clothes(photos), []))


@pytest.mark.parametrize("dataset", [TensorDataset(torch.zeros(3, 1)), [1, 2], Subset([1, 2], [0])])
def test_a_dataset_without_photos_is_refused_by_its_kind(model, dataset):
    with pytest.raises(TypeError, match=f"ClothingDataset.*got a {type(dataset).__name__}"):
        extract_features(model, dataset)


NAMES = ["größer 🎒", "$x_1$", "a b.c", "日本語", "12", "O'Neill", "hat-hat", "Ω", "k", "l", "m"]


@pytest.mark.parametrize("names", [NAMES, NAMES[1:2], NAMES[:3]])
def test_any_number_of_classes_with_any_names(model, tmp_path, names):
    photos = tmp_path / "wardrobe [a-z] 🎒"
    for i, name in enumerate(names):
        (photos / name).mkdir(parents=True)
        Image.new("RGB", (20, 30), (20 * i, 10, 255 - 20 * i)).save(photos / name / "photo.png")
    dataset = clothes(photos)
    result, targets = extract_features(model, dataset).tensors
    assert result.shape == (len(names), 1280)
    assert targets.tolist() == list(range(len(names)))
    again = extract_features(model, dataset).tensors[0]
    assert torch.equal(again, result)


# --- What was kept ----------------------------------------------------------------------------


def cut(path):
    path.write_bytes(path.read_bytes()[:-1000])


def empty(path):
    path.write_bytes(b"")


def flip_one_bit_of_a_feature(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def text(path):
    path.write_bytes(b"these are not features")


def features_of_another_key(path):
    kept.keep(path, "0" * 64, torch.rand(6, 1280))


@pytest.mark.parametrize(
    "damage", [cut, empty, flip_one_bit_of_a_feature, text, features_of_another_key]
)
def test_a_damaged_file_is_noticed_and_replaced(model, photos, cache, passes, damage, capsys):
    """Many more kinds of damage: see test_kept.py."""
    first = extract_features(model, clothes(photos)).tensors
    (path,) = cache.iterdir()
    damage(path)
    assert capsys.readouterr().out == ""
    for line in (f"{str(path)!r} is damaged. The features in it are computed again.\n", ""):
        # The second call reads what the first put in place.
        again = extract_features(model, clothes(photos)).tensors
        assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
        assert capsys.readouterr().out == line
    assert len(passes) == 2
    assert list(cache.iterdir()) == [path]


def test_a_file_that_was_removed_is_made_again(model, photos, cache, passes):
    first = extract_features(model, clothes(photos)).tensors[0]
    (path,) = cache.iterdir()
    path.unlink()
    assert torch.equal(extract_features(model, clothes(photos)).tensors[0], first)
    assert list(cache.iterdir()) == [path]
    assert len(passes) == 2


def test_a_folder_that_cannot_be_written_costs_time_not_results(
    model, photos, cache, passes, capsys
):
    cache.write_bytes(b"a file stands where the folder should be")
    for _ in range(2):
        result = extract_features(model, clothes(photos)).tensors[0]
        assert torch.isfinite(result).all()
        (line,) = capsys.readouterr().out.splitlines()
        assert "cannot be kept in" in line and "in the way" in line
    assert len(passes) == 2


def test_nothing_half_written_stays_when_the_disk_is_full(
    model, photos, cache, monkeypatch, capsys
):
    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    extract_features(model, clothes(photos))
    (line,) = capsys.readouterr().out.splitlines()
    assert "No space left" in line and "free some space" in line
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


# --- Photos that cannot be read ---------------------------------------------------------------


def test_a_damaged_photo_is_named_and_nothing_is_kept(model, photos, cache):
    (photos / "shoes" / "0.png").write_bytes(b"not a picture")
    with pytest.raises(ImageFileError, match=r"0\.png"):
        extract_features(model, clothes(photos))
    assert not cache.exists()


def test_of_two_damaged_photos_the_first_is_named(model, photos, monkeypatch):
    """Also where the second is met earlier: a batch is decoded in any order."""
    load_image = data.load_image

    def slow_for_the_first(path):
        if path.parent.name == "hat":
            time.sleep(0.1)
        return load_image(path)

    monkeypatch.setattr(data, "load_image", slow_for_the_first)
    for name in ("shoes/0.png", "hat/1.png"):
        (photos / name).write_bytes(b"not a picture")
    with pytest.raises(ImageFileError, match=r"hat.1\.png"):
        extract_features(model, clothes(photos))


def decoding_threads():
    return [thread for thread in threading.enumerate() if "ThreadPool" in thread.name]


SYSTEM = [
    PermissionError(errno.EACCES, "Permission denied"),
    OSError(errno.EIO, "Input/output error"),
    TimeoutError(errno.ETIMEDOUT, "Connection timed out"),
    OSError(errno.EMFILE, "Too many open files"),
    MemoryError(),
]


@pytest.mark.parametrize("error", SYSTEM, ids=repr)
@pytest.mark.parametrize("number", [0, 2])
def test_a_drive_that_goes_away_is_not_called_damage(
    model, photos, cache, monkeypatch, error, number
):
    """First while the key is made, then in the middle of the pass."""
    dataset = clothes(photos)
    broken = dataset.image_paths[number]
    place, name = ((Path, "read_bytes"), (data, "load_image"))[number > 0]
    original = getattr(place, name)

    def fail_for_one(path, *args):
        if path == broken:
            raise error if place is data else type(error)(*error.args)
        return original(path, *args)

    monkeypatch.setattr(place, name, fail_for_one)
    with pytest.raises(type(error)) as caught:
        extract_features(model, dataset)
    if place is Path:
        assert broken.name in str(caught.value)
        assert not any(word in str(caught.value) for word in ("damaged", "delete", "replace"))
    else:
        assert caught.value is error, "load_image has its own advice"
    assert decoding_threads() == []
    assert not cache.exists()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such pipes")
def test_a_photo_that_has_become_a_pipe_is_named(model, photos):
    dataset = clothes(photos)
    dataset.image_paths[2].unlink()
    os.mkfifo(dataset.image_paths[2])
    with pytest.raises(ImageFileError, match="not a file"):
        extract_features(model, dataset)


# --- Decoding in batches -----------------------------------------------------------------------


def numbered(count, log=None):
    """Samples as a dataset of photos has them; each notes in `log` that it was decoded."""

    class Photos:
        def __getitem__(self, i):
            time.sleep(random.Random(i).uniform(0, 0.002))
            if log is not None:
                log.append(i)
            return torch.full((3, 2, 2), float(i)), i % 3

    return Photos(), list(range(count))


@pytest.mark.parametrize("count", [1, 15, 16, 17, 48, 49, 100])
def test_batches_come_in_order_and_none_is_lost(count):
    batches = list(decoded_batches(*numbered(count)))
    assert [len(batch) for batch in batches[:-1]] == [16] * (len(batches) - 1)
    assert torch.cat(batches)[:, 0, 0, 0].tolist() == list(range(count))


def test_nothing_is_decoded_while_a_batch_is_in_use():
    log = []
    for used, _ in enumerate(decoded_batches(*numbered(300, log))):
        before = len(log)
        time.sleep(0.01)  # time enough to run ahead
        assert len(log) == before
        assert before == min(300, 128 * (1 + used * 16 // 128)), "a few batches at a time"


def test_several_photos_are_decoded_at_the_same_time():
    torch_threads = torch.get_num_threads()
    at_work = []

    class Photos:
        def __getitem__(self, i):
            at_work.append(threading.current_thread().name)
            time.sleep(0.002)
            return torch.zeros(3, 2, 2), 0

    list(decoded_batches(Photos(), range(64)))
    assert len(set(at_work)) == min(torch_threads, features.MOST_THREADS)


@pytest.mark.parametrize("end", ["all are used", "closed", "a damaged photo"])
def test_torch_computes_with_as_many_threads_as_before(end):
    """In the main thread all the time, and in threads that are started later."""
    before = torch.get_num_threads()
    photos, indices = numbered(200)
    batches = decoded_batches(photos, [*indices, *([None] if end == "a damaged photo" else [])])
    next(batches)
    assert torch.get_num_threads() == before
    if end == "closed":
        batches.close()
    elif end == "all are used":
        list(batches)
    else:
        with pytest.raises(TypeError):
            list(batches)
    assert decoding_threads() == []
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(torch.get_num_threads).result() == before


@pytest.mark.parametrize("batch_size", [1, 2, 4, 16])
@pytest.mark.parametrize("until", [None, 3])
def test_the_features_are_those_of_a_pass_that_does_one_thing_at_a_time(
    model, photos, monkeypatch, batch_size, until
):
    """To the last bit: more decoded at once changes when, and nothing else."""
    monkeypatch.setattr(features, "BATCH_SIZE", batch_size)
    dataset = clothes(photos)
    folded = fold_batchnorm(model)
    expected = []
    with torch.no_grad():
        for start in range(0, len(dataset), batch_size):
            indices = range(start, min(start + batch_size, len(dataset)))
            images = torch.stack([dataset[i][0] for i in indices])
            images = images.to(memory_format=torch.channels_last)
            expected.append(folded.extract_features(images, until))
    assert torch.equal(extract_features(model, dataset, until).tensors[0], torch.cat(expected))


@pytest.fixture
def hears_ctrl_c():
    """Tests that run as a background job were told to ignore Ctrl-C."""
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, handler)


def interrupted_in_the_network(monkeypatch):
    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(ClothingClassifierMobileNet, "extract_features", interrupt)


def interrupted_while_it_waits(monkeypatch):
    """Ctrl-C arrives in the main thread, which waits for a photo."""

    load_image = data.load_image
    number = itertools.count()

    def interrupt(path):
        if next(number) in (5, 40):  # Python can swallow one, for example in a destructor
            os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.05)
        return load_image(path)

    monkeypatch.setattr(data, "load_image", interrupt)


@pytest.mark.parametrize("interrupted", [interrupted_in_the_network, interrupted_while_it_waits])
@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C is no signal there")
def test_ctrl_c_ends_it_at_once_and_leaves_no_thread(
    model, photos, cache, monkeypatch, hears_ctrl_c, interrupted
):
    dataset = clothes(photos)
    dataset.image_paths = dataset.image_paths * 100
    dataset.labels = dataset.labels * 100
    interrupted(monkeypatch)
    start = time.perf_counter()
    with pytest.raises(KeyboardInterrupt):
        extract_features(model, dataset)
    assert time.perf_counter() - start < 5
    assert decoding_threads() == []
    assert not cache.exists()


# --- What cannot be kept ----------------------------------------------------------------------


def test_a_dataset_without_a_transform_is_refused(model, photos):
    with pytest.raises(ValueError, match="photo_transform"):
        extract_features(model, ClothingDataset(photos))


@pytest.mark.parametrize(
    "step", [torchvision.transforms.Lambda(lambda image: image), lambda image: image]
)
def test_transforms_that_cannot_be_recognised_are_refused(model, photos, step):
    """Two Lambda steps look alike: torchvision prints both as ``Lambda()``."""
    transform = torchvision.transforms.Compose([photo_transform(64), step])
    with pytest.raises(ValueError, match="__repr__") as caught:
        extract_features(model, ClothingDataset(photos, transform))
    assert str(caught.value).isprintable(), "it is one line"


TWO_AT_ONCE = """
import sys
sys.path.insert(0, {tests!r})
import test_features as t
from pathlib import Path
t.paths.CACHE = Path({cache!r})
model = t.ClothingClassifierMobileNet(base=t.random_mobilenet())
for _ in range(3):
    result = t.extract_features(model, t.clothes({photos!r})).tensors[0]
    for path in t.paths.CACHE.glob("*.safetensors"):
        path.unlink(missing_ok=True)
t.extract_features(model, t.clothes({photos!r}))
print(t.kept.digest_of('', result).tolist())
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
    digest = str(kept.digest_of("", expected).tolist())
    assert [stdout.strip() for stdout, _ in results] == [digest, digest]
    assert [path.suffix for path in cache.iterdir()] == [".safetensors"]


def test_a_base_in_training_mode_learns_nothing_on_the_way(model, photos, passes):
    model.base_model.train()
    before = {name: t.clone() for name, t in model.base_model.state_dict().items()}
    extract_features(model, clothes(photos), until=17)
    assert model.base_model.training
    assert all(torch.equal(t, before[name]) for name, t in model.base_model.state_dict().items())
