"""Damaged files and odd arguments in bulk: a documented error that names the file, or a result.

Hypothesis draws the cases, the same ones in every run. The last test counts them.
"""

import io
import os
import random
import string
import zipfile
from collections import Counter
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from torch.utils.data import Subset, TensorDataset

from course.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from course.command.main import main
from course.command.parser import read_arguments
from course.command.ranks import Ranks
from course.command.settings import settings_from
from course.data import ClothingDataset, fashion_mnist, make_loaders, photo_transform
from course.files import downloads, kept, paths, sources
from course.files.folders import find_classes
from course.files.names import canonical, look_alikes
from course.files.pictures import ImageFileError, check_images, load_image
from course.models import make_head
from course.pretrained import predict_top_k
from course.tuning import make_model, sweep

CASES: Counter[str] = Counter()


def cases(number):
    """Run a test `number` times, with cases that are the same everywhere and kept nowhere."""
    return settings(
        max_examples=number,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


@st.composite
def damages(draw):
    """What happens to a file, as a list of steps; positions are parts of its length."""
    kinds = st.sampled_from(["flip", "insert", "delete", "cut", "double", "splice", "number"])
    step = st.tuples(kinds, st.floats(0, 1), st.floats(0, 1), st.binary(min_size=1, max_size=8))
    return draw(st.lists(step, min_size=1, max_size=3))


def damaged(data, steps):
    data = bytearray(data)
    for kind, where, other, new in steps:
        # Half of the damage goes to the first or last bytes, where formats keep their headers.
        at = int(where * len(data)) if other < 0.5 else int(where * 64) - 32
        at = min(at % max(1, len(data)), max(0, len(data) - 1))
        if kind == "flip" and data:
            data[at] ^= new[0] or 1
        elif kind == "insert":
            data[at:at] = new
        elif kind == "delete":
            del data[at : at + 1 + int(other * 40)]
        elif kind == "cut":
            del data[at:]
        elif kind == "double":
            data[at:at] = data[at : at + int(other * 200)]
        elif kind == "splice":
            source = int(other * len(data))
            data[at : at + 50] = data[source : source + 50]
        elif kind == "number":
            data[at : at + 4] = random.Random(new).choice([b"\xff" * 4, bytes(4), b"\0\0\0\x7f"])
    return bytes(data)


def assert_message(error, name):
    """One line that a terminal shows as it is, with the name of the file in it."""
    message = str(error)
    assert name in message, message
    assert message.isprintable(), repr(message)


# --- files ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pictures():
    """One picture of Fashion-MNIST in every format."""
    image = fashion_mnist(train=False)[0][0]
    result = {}
    for kind in ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF"):
        buffer = io.BytesIO()
        image.convert("RGB").save(buffer, kind)
        result[kind] = buffer.getvalue()
    buffer = io.BytesIO()
    image.save(buffer, "TIFF", compression="tiff_lzw")
    return {**result, "packed TIFF": buffer.getvalue()}


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "packed TIFF", "BMP", "GIF"])
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_pictures(tmp_path, pictures, kind):
    path = tmp_path / "a picture.jpg"

    @cases(60)
    @given(damages())
    def check(steps):
        CASES["picture"] += 1
        path.write_bytes(damaged(pictures[kind], steps))
        for only_check in (False, True):
            try:
                image = load_image(path, only_check)
            except ImageFileError as error:
                assert_message(error, "a picture.jpg")
            else:
                assert (
                    image.mode == "RGB" and len(image.tobytes()) == 3 * image.width * image.height
                )

    check()


NAMES = st.one_of(
    st.sampled_from(
        ["dress", ".hidden", "hat.jpg", "a\nb", "\x1b[2J", "\u202egpj", "é", "a b.PNG"]
    ),
    st.text(string.ascii_letters + ". \u200f\n-é", min_size=1, max_size=8),
).filter(lambda name: name.strip(". ") and os.name != "nt")
TREES = st.dictionaries(
    NAMES,
    st.one_of(st.none(), st.dictionaries(NAMES, st.sampled_from(["sound", "cut", "", "folder"]))),
    max_size=4,
)


@pytest.mark.skipif(os.name == "nt", reason="Windows does not allow such names")
def test_folders(tmp_path_factory, pictures):
    @cases(150)
    @given(TREES)
    def check(tree):
        CASES["folder"] += 1
        root = tmp_path_factory.mktemp("tree")
        for name, entries in tree.items():
            if entries is None:
                (root / name).write_bytes(b"a file beside the classes")
                continue
            (root / name).mkdir(exist_ok=True)
            for entry, kind in entries.items():
                if kind == "folder":
                    (root / name / entry).mkdir(exist_ok=True)
                elif not (root / name / entry).is_dir():
                    data = {"sound": pictures["PNG"], "cut": pictures["PNG"][:90], "": b""}[kind]
                    (root / name / entry).write_bytes(data)
        visible = [n for n, e in tree.items() if e is not None and n[0] != "."]
        try:
            classes = list(find_classes(root))
            assert classes == sorted(map(canonical, visible))
            dataset = ClothingDataset(root, photo_transform(8))
            assert len(dataset) == len(dataset.labels) > 0
            check_images(dataset.image_paths)
            loader, _ = make_loaders(dataset, dataset, batch_size=2)
            assert sum(len(targets) for _, targets in loader) == len(dataset)
        except (FileNotFoundError, ImageFileError) as error:
            assert_message(error, root.name)
        except ValueError as error:
            assert_message(error, root.name)
            assert "look alike" in str(error) and look_alikes(visible)

    check()


VERSION_2 = Path(__file__).parent / "data" / "checkpoint_version_2.pth"


@pytest.mark.parametrize("version", [2, 3])
def test_checkpoints(tmp_path, version):
    path = tmp_path / "a checkpoint.pt"
    torch.manual_seed(0)
    model = torch.nn.Linear(8, 3)
    optimizer = torch.optim.Adam(model.parameters())
    if version == 2:
        path.write_bytes(VERSION_2.read_bytes())
        load_checkpoint(path, model)
    else:
        save_checkpoint(path, model, optimizer, 1, about={"classes": ["hat"]})
    data = path.read_bytes()
    weight = model.weight.detach().clone()

    @cases(120)
    @given(damages())
    def check(steps):
        CASES["checkpoint"] += 1
        path.write_bytes(damaged(data, steps))
        fresh = torch.nn.Linear(8, 3)
        before = fresh.weight.detach().clone()
        state = torch.get_rng_state()
        try:
            loaded = load_checkpoint(path, fresh, torch.optim.Adam(fresh.parameters()))
            assert loaded.epoch == 1 and torch.equal(fresh.weight, weight)
        except CheckpointError as error:
            assert_message(error, "a checkpoint.pt")
            assert torch.equal(fresh.weight, before), "refused, but loaded in part"
            assert torch.equal(torch.get_rng_state(), state)
        assert list(tmp_path.iterdir()) == [path]

    check()


def test_archives(tmp_path, monkeypatch):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for split in ("train", "validation", "test"):
            archive.writestr(f"top/{split}/hat/a photo.jpg", f"{split} " * 50)
    data = buffer.getvalue()
    good = tmp_path / "good"
    (tmp_path / "zip").write_bytes(data)
    sources._unpack(tmp_path / "zip", good)
    digest = sources.folder_digest(good)
    listing = sources.listing_digest(sources._picture_sizes(good))
    photos = tmp_path / "datasets" / "photos"
    monkeypatch.setattr(paths, "PHOTOS", photos)
    monkeypatch.setattr(sources, "PHOTOS_DIGEST", digest)
    monkeypatch.setattr(sources, "PHOTOS_LISTING", listing)
    before = sorted(tmp_path.iterdir())

    @cases(250)
    @given(damages())
    def check(steps):
        CASES["archive"] += 1
        content = damaged(data, steps)
        downloads.fetch = lambda url, path: path.write_bytes(content)
        try:
            assert sources.download_photos() == photos
            assert sources.folder_digest(photos) == digest
            photos.rename(tmp_path / "result")
            for path in sorted((tmp_path / "result").rglob("*"), reverse=True):
                path.rmdir() if path.is_dir() else path.unlink()
            (tmp_path / "result").rmdir()
        except downloads.DownloadError as error:
            assert_message(error, str(photos))
        assert list(photos.parent.iterdir()) == [], "something half-done is left"
        assert sorted(tmp_path.iterdir()) in (before, [photos.parent, *before])

    monkeypatch.setattr(downloads, "fetch", downloads.fetch)  # undone afterwards
    check()


def test_weights(tmp_path):
    """What is taken for whole gives the same numbers, or torch refuses it."""
    path = tmp_path / "weights.pth"
    weight = torch.rand(40, 30)
    torch.save({"weight": weight}, path)
    data = path.read_bytes()

    @cases(150)
    @given(damages())
    def check(steps):
        CASES["weights"] += 1
        path.write_bytes(damaged(data, steps))
        if sources.weights_are_whole(path):
            try:
                loaded = torch.load(path, weights_only=True)["weight"]
            except Exception:  # what torch reads beside the records has no checksum
                return
            assert torch.equal(loaded, weight)

    check()


def test_kept_features(tmp_path):
    path = tmp_path / "features.safetensors"
    features = torch.rand(4, 1280)
    kept.keep(path, "key", features)
    data = path.read_bytes()

    @cases(200)
    @given(damages())
    def check(steps):
        CASES["kept features"] += 1
        path.write_bytes(damaged(data, steps))
        read = kept.read_kept(path, "key", (4, 1280))
        assert read is None or torch.equal(read, features)
        assert list(tmp_path.iterdir()) == [path]

    check()


# --- arguments --------------------------------------------------------------------------------

WORDS = st.one_of(
    st.sampled_from(["download", "--help", "-h", "", "--", "-", "downloads", "down"]),
    st.text(max_size=10),
)


def test_the_command_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(paths, "PHOTOS", tmp_path / "photos")

    def unreachable(*args):
        raise downloads.DownloadError("there is no network here")

    monkeypatch.setattr(sources, "download_photos", unreachable)
    monkeypatch.setattr(sources, "download_weights", unreachable)

    @cases(200)
    @given(st.lists(WORDS, max_size=4))
    def check(words):
        CASES["command line"] += 1
        capsys.readouterr()
        try:
            code = main(words)
        except SystemExit as stop:  # how argparse ends a program
            code = stop.code
        out, err = capsys.readouterr()
        if code == 2:
            assert err.endswith("\n") and err[:-1].isprintable(), repr(err)
            assert err.startswith("course") and "--help" in err
        else:
            assert (code, bool(out), err) in [(0, True, ""), (1, False, err)]
        assert list(tmp_path.iterdir()) == []

    check()


OPTIONS = st.sampled_from(
    ["--epochs", "--batch-size", "--learning-rate", "--seed", "--limit", "--workers", "--model"]
    + ["--device", "--output", "--resume", "--resume=", "--tensorboard", "--", "-1", "cpu", "mlp"]
    + ["fashion-mnist", "clothing", "mnist", "out", "0", "7", "1e-3", "nan", "9" * 30, "~", "a b"]
)


def test_options_of_training(tmp_path, monkeypatch, capsys):
    """Whatever is typed: one line that says what is wrong, or settings that can be typed again."""
    monkeypatch.chdir(tmp_path)

    def settings_of(words):
        words = [*words, "--output", "out"]
        return settings_from(read_arguments(["train", *words]), Ranks(world_size=3))

    @cases(300)
    @given(st.lists(st.one_of(OPTIONS, st.text(max_size=5)), max_size=6))
    def check(words):
        CASES["options of training"] += 1
        try:
            settings = settings_of(["fashion-mnist", "--batch-size", "9", *words])
        except SystemExit as stop:
            assert stop.code in (0, 2)
            out, err = capsys.readouterr()
            assert out if stop.code == 0 else err[:-1].isprintable() and "--help" in err
        except ValueError as error:
            assert str(error).startswith(("--", "argument data: ", "the following arg"))
        else:
            assert settings_of(settings.words()[1:]) == settings
        assert [path.name for path in tmp_path.iterdir()] in ([], ["out"])

    check()


NUMBERS = st.one_of(st.integers(-3, 40), st.floats(-2, 2), st.sampled_from([float("nan"), 1e300]))
INTEGERS = st.integers(-3, 40)


@cases(150)
@given(INTEGERS, st.none() | INTEGERS, NUMBERS, NUMBERS)
def test_heads(num_classes, size_inner, dropout, learning_rate):
    CASES["head"] += 1
    sound = num_classes > 0 and (size_inner is None or size_inner > 0) and 0 <= dropout < 1
    try:
        head = make_head(num_classes, size_inner, dropout)
        assert sound and head(torch.zeros(2, 1280)).shape == (2, num_classes)
        make_model(learning_rate, size_inner, dropout, num_classes)
        assert 0 < learning_rate < float("inf")
    except ValueError as error:
        assert "must be" in str(error) and str(error).isprintable()
        assert not sound or not learning_rate > 0


@cases(60)
@given(INTEGERS, INTEGERS, st.integers(0, 7), st.integers(-(2**63), 2**63 - 1))
def test_loaders(train_size, val_size, batch_size, seed):
    CASES["loaders"] += 1
    train = TensorDataset(torch.arange(max(0, train_size)))
    val = TensorDataset(torch.arange(max(0, val_size)))
    try:
        train_loader, val_loader = make_loaders(train, val, batch_size, seed=seed)
    except ValueError as error:
        assert batch_size < 1 or len(train) == 0, error
    else:
        order = [int(i) for (batch,) in train_loader for i in batch]
        assert sorted(order) == list(range(len(train)))
        assert [int(i) for (batch,) in val_loader for i in batch] == list(range(len(val)))


@cases(60)
@given(
    st.none() | st.integers(-5, 1005),
    st.sampled_from(["RGB", "L", "RGBA", "P", "I;16", "1", "CMYK", "LA"]),
    st.sampled_from([1, 2, 3, 10, 12, 1000]),
    st.none() | st.lists(st.text(), max_size=12),
)
def test_top_k(k, mode, num_classes, categories):
    CASES["top k"] += 1
    model = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    model.append(torch.nn.Linear(3, num_classes))
    model.transform = photo_transform(8)
    model.categories = [f"class {i}" for i in range(num_classes)]
    names = model.categories if categories is None else categories
    try:
        found = predict_top_k(model, Image.new(mode, (5, 4)), k, categories)
        assert len(found) == (min(5, num_classes) if k is None else k)
        assert {name for name, _ in found} <= set(names)
        assert [p for _, p in found] == sorted((p for _, p in found), reverse=True)
    except ValueError as error:
        if len(names) != num_classes:
            assert f"for {len(names)} categories" in str(error)
        else:
            assert not 1 <= k <= num_classes and f"to {num_classes}, got {k}" in str(error)


@cases(60)
@given(INTEGERS, st.integers(1, 9), st.integers(1, 9))
def test_transforms(size, width, height):
    CASES["transform"] += 1
    try:
        result = photo_transform(size)(Image.new("RGB", (width, height)))
        assert result.shape == (3, size, size) and result.isfinite().all()
    except ValueError as error:
        assert size < 1 and "must be" in str(error)


@cases(25)
@given(st.lists(NUMBERS, max_size=2), st.lists(st.none() | INTEGERS, max_size=2), NUMBERS, INTEGERS)
def test_sweeps(learning_rates, sizes_inner, dropout, num_epochs):
    CASES["sweep"] += 1
    data = TensorDataset(torch.rand(3, 1280), torch.tensor([0, 1, 1]))
    try:
        trials = sweep(data, data, learning_rates, sizes_inner, [dropout], (0,), min(num_epochs, 2))
        assert len(trials) == len(learning_rates) * len(sizes_inner)
    except ValueError as error:
        assert "must be" in str(error) and str(error).isprintable()


@cases(25)
@given(st.lists(st.integers(-1, 30), max_size=5), st.lists(st.integers(0, 30), max_size=5))
def test_sweeps_of_any_classes(train_targets, val_targets):
    CASES["sweep"] += 1
    targets = torch.tensor(train_targets + val_targets, dtype=torch.int64)
    data = TensorDataset(torch.rand(len(targets), 1280), targets)
    train = Subset(data, range(len(train_targets)))
    val = Subset(data, range(len(train_targets), len(data)))
    try:
        (trial,) = sweep(train, val, num_epochs=1)
        assert 0 <= trial.val_accuracy <= 1 and trial.history.val_loss[0] >= 0
        assert train_targets and val_targets and min(train_targets) >= 0
    except ValueError as error:
        assert "must be" in str(error) and str(error).isprintable()
        assert not train_targets or not val_targets or min(train_targets) < 0


def test_1_000_cases_were_tried(request):
    """Counts what the tests above did, if all of them ran."""
    tests = {item.originalname for item in request.session.items if item.path == Path(__file__)}
    here = {name for name in globals() if name.startswith("test_")}
    if here <= tests:
        assert sum(CASES.values()) >= 1_000, CASES
    print(sum(CASES.values()), dict(CASES))
