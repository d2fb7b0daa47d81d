"""The dataset, its transforms and loaders, the parts of a data set, and Fashion-MNIST."""

import pickle
import shutil
import unicodedata

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from torch.utils.data import DataLoader, Subset, TensorDataset, random_split
from torchvision.transforms.functional import to_tensor

from course.data import (
    FASHION_CLASSES,
    FASHION_MEAN,
    FASHION_STD,
    IMAGENET_MEAN,
    IMAGENET_STD,
    TRANSFORMS,
    ClothingDataset,
    denormalize,
    fashion_mnist,
    fashion_mnist_tensors,
    fashion_transform,
    make_loaders,
    photo_parts,
    photo_transform,
    photos_behind,
)
from course.files.pictures import ImageFileError
from course.stand_ins import photos_or_sketches

COLOURS = {"dress": "red", "hat": "lime", "pants": "blue"}


@pytest.fixture
def folder(tmp_path):
    """Three classes with four JPEG pictures each, in `train` and `validation`."""
    for split in ("train", "validation"):
        for name, colour in COLOURS.items():
            (tmp_path / split / name).mkdir(parents=True)
            for i in range(4):
                Image.new("RGB", (40, 60), colour).save(tmp_path / split / name / f"{i}.jpg")
    return tmp_path


@pytest.fixture
def datasets(folder):
    transform = photo_transform(32)
    return (
        ClothingDataset(folder / "train", transform),
        ClothingDataset(folder / "validation", transform),
    )


def noise(mode="RGB", size=(30, 20)):
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(pixels).convert(mode)


# --- the dataset -----------------------------------------------------------------------------


def test_classes_are_sorted_and_numbered(folder):
    dataset = ClothingDataset(folder / "train")
    assert dataset.classes == ["dress", "hat", "pants"]
    assert dataset.class_to_idx == {"dress": 0, "hat": 1, "pants": 2}
    assert len(dataset) == 12
    assert dataset.labels == [0] * 4 + [1] * 4 + [2] * 4


def test_pictures_within_a_class_come_in_the_order_of_their_names(folder):
    names = [path.name for path in ClothingDataset(folder / "train").image_paths[:4]]
    assert names == ["0.jpg", "1.jpg", "2.jpg", "3.jpg"]


def test_without_a_transform_it_gives_rgb_images(folder):
    image, label = ClothingDataset(str(folder / "train"))[-1]
    assert image.mode == "RGB" and image.size == (40, 60)
    assert label == 2


def test_with_a_transform_it_gives_tensors(datasets):
    image, label = datasets[0][0]
    assert image.shape == (3, 32, 32) and image.dtype == torch.float32
    assert label == 0


def test_it_is_lazy(folder, monkeypatch):
    opened = []
    monkeypatch.setattr("course.data.load_image", lambda path: opened.append(path))
    dataset = ClothingDataset(folder / "train")
    assert opened == []
    dataset[5]
    assert opened == [dataset.image_paths[5]]


def test_index_past_the_end_ends_a_plain_loop(folder):
    with pytest.raises(IndexError):
        ClothingDataset(folder / "train")[12]
    assert len(list(ClothingDataset(folder / "train"))) == 12


def test_photos_in_subfolders_have_the_label_of_their_class(folder):
    (folder / "train" / "hat" / "2023").mkdir()
    noise().save(folder / "train" / "hat" / "2023" / "0.png")
    dataset = ClothingDataset(folder / "train")
    assert dataset.labels == [0] * 4 + [1] * 5 + [2] * 4
    image, label = dataset[dataset.image_paths.index(folder / "train" / "hat" / "2023" / "0.png")]
    assert image.size == (30, 20) and label == 1


# --- the loaders -----------------------------------------------------------------------------


@pytest.mark.parametrize("split", ["train", "validation"])
def test_damage_is_reported_when_the_loaders_are_made(datasets, split):
    dataset = datasets[split == "validation"]
    dataset.image_paths[7].write_bytes(dataset.image_paths[7].read_bytes()[:400])
    with pytest.raises(ImageFileError, match=rf"{split}.hat.3\.jpg"):
        make_loaders(*datasets)


def test_damage_is_found_behind_a_split(datasets):
    datasets[0].image_paths[7].write_bytes(b"")
    parts = random_split(datasets[0], [8, 4], torch.Generator().manual_seed(0))
    with pytest.raises(ImageFileError, match=r"hat.3\.jpg"):
        make_loaders(*parts)


@pytest.mark.parametrize("num_workers", [0, 2])
def test_damage_after_the_check_is_still_named(datasets, num_workers):
    """The photo is damaged while training runs; worker processes must not hide which one."""
    train_loader, _ = make_loaders(*datasets, batch_size=4, num_workers=num_workers)
    datasets[0].image_paths[7].write_bytes(b"")
    with pytest.raises(ImageFileError, match=r"hat.3\.jpg' cannot be read .*\(cannot identify"):
        list(train_loader)


def test_different_classes_are_named(folder):
    shutil.rmtree(folder / "validation" / "hat")
    (folder / "validation" / "skirt").mkdir()
    noise().save(folder / "validation" / "skirt" / "0.png")
    with pytest.raises(
        ValueError, match=r"different classes; only one of them has \['hat', 'skirt'\]: rename"
    ):
        make_loaders(ClothingDataset(folder / "train"), ClothingDataset(folder / "validation"))


@pytest.mark.parametrize(
    ("name", "twin", "shown"),
    [
        ("hat", "h\u0430t", r"['hat', 'h\u0430t']"),
        ("hat", "hat ", "['hat', 'hat ']"),
        ("hat", "Hat", "['Hat', 'hat']"),
        ("hat", "hat\u200b", r"['hat', 'hat\u200b']"),
        ("кот", "кит", "['кит', 'кот']"),
    ],
)
def test_different_classes_that_look_alike_are_shown_with_what_differs(folder, name, twin, shown):
    for split, label in (("train", name), ("validation", twin)):
        (folder / split / "hat").rename(folder / split / label)
    with pytest.raises(ValueError) as caught:
        make_loaders(ClothingDataset(folder / "train"), ClothingDataset(folder / "validation"))
    assert f"hold different classes; only one of them has {shown}: rename" in str(caught.value)


def test_classes_that_differ_only_in_how_the_system_stores_them_are_the_same(folder):
    for split, form in (("train", "NFC"), ("validation", "NFD")):
        (folder / split / "hat").rename(folder / split / unicodedata.normalize(form, "zoë"))
    train, val = ClothingDataset(folder / "train"), ClothingDataset(folder / "validation")
    assert train.class_to_idx == val.class_to_idx
    assert [len(loader.dataset) for loader in make_loaders(train, val)] == [12, 12]


def test_only_the_photos_of_a_part_are_looked_at(datasets):
    datasets[0].image_paths[7].write_bytes(b"")
    healthy = Subset(datasets[0], [0, 1, 11])
    make_loaders(healthy, healthy)
    with pytest.raises(ImageFileError, match=r"hat.3\.jpg"):
        make_loaders(healthy, Subset(Subset(datasets[0], [3, 7, 9]), [0, 1]))


def test_each_photo_is_looked_at_once_also_behind_two_parts(datasets, monkeypatch):
    looked_at = []
    monkeypatch.setattr("course.data.check_images", lambda paths: looked_at.append(list(paths)))
    parts = random_split(datasets[0], [8, 4], torch.Generator().manual_seed(0))
    make_loaders(parts[0], datasets[0])
    assert looked_at == [datasets[0].image_paths]


@pytest.mark.parametrize("num_classes", [1, 2, 100])
@pytest.mark.parametrize("num_workers", [0, 2])
def test_any_number_of_classes_goes_through_the_loaders(tmp_path, num_classes, num_workers):
    names = [f"{i} $x_{i}$ é 🧢" for i in range(num_classes)]
    for name in names:
        (tmp_path / name).mkdir()
        for i in range(2):
            Image.new("RGB", (8, 8)).save(tmp_path / name / f"{i}.png")
    dataset = ClothingDataset(tmp_path, photo_transform(8))
    _, loader = make_loaders(dataset, dataset, batch_size=64, num_workers=num_workers)
    targets = torch.cat([targets for _, targets in loader])
    assert [dataset.classes[i] for i in targets[::2]] == sorted(names)


@pytest.mark.parametrize("batch_size", [0, -3])
def test_batch_size_must_be_positive(datasets, batch_size):
    with pytest.raises(ValueError, match=f"batch_size should be .* got batch_size={batch_size}"):
        make_loaders(*datasets, batch_size=batch_size)


def test_batches_and_the_short_last_one(datasets):
    train_loader, val_loader = make_loaders(*datasets, batch_size=5)
    for loader in (train_loader, val_loader):
        batches = list(loader)
        assert [len(targets) for _, targets in batches] == [5, 5, 2]
        assert batches[0][0].shape == (5, 3, 32, 32) and batches[0][0].dtype == torch.float32
        assert batches[0][1].dtype == torch.int64


def order(loader):
    return torch.cat([batch[-1] for batch in loader]).tolist()


@pytest.fixture
def numbers():
    return TensorDataset(torch.arange(100)), TensorDataset(torch.arange(30))


def test_training_is_shuffled_and_validation_is_not(numbers):
    train_loader, val_loader = make_loaders(*numbers)
    assert order(train_loader) != list(range(100))
    assert sorted(order(train_loader)) == list(range(100))
    assert order(val_loader) == list(range(30))


def test_the_same_seed_gives_the_same_order_whatever_else_is_drawn(numbers):
    first = make_loaders(*numbers, seed=3)[0]
    orders = [order(first), order(first)]
    torch.rand(7)
    second = make_loaders(*numbers, seed=3)[0]
    assert [order(second), order(second)] == orders
    assert orders[0] != orders[1], "each epoch has its own order"
    assert order(make_loaders(*numbers, seed=4)[0]) != orders[0]


def test_workers_do_not_change_the_order(numbers):
    alone = make_loaders(*numbers, seed=3)[0]
    helped = make_loaders(*numbers, seed=3, num_workers=2)[0]
    assert order(helped) == order(alone)
    assert order(helped) == order(alone)


def test_a_transform_that_gives_different_sizes_cannot_be_stacked(folder):
    noise(size=(50, 20)).save(folder / "train" / "dress" / "wide.png")
    dataset = ClothingDataset(folder / "train", photo_transform().transforms[0])
    with pytest.raises(RuntimeError, match="equal size"):
        list(DataLoader(dataset, batch_size=13))


# --- what is behind a part -------------------------------------------------------------------


def test_a_dataset_is_behind_itself(datasets):
    assert photos_behind(datasets[0]) == (datasets[0], list(range(12)))


def test_a_part_of_a_part_of_a_part_is_traced_to_the_whole(datasets):
    generator = torch.Generator().manual_seed(3)
    part = random_split(datasets[0], [9, 3], generator)[0]
    part = Subset(random_split(part, [6, 3], generator)[0], torch.tensor([4, 0, 2]))
    whole, indices = photos_behind(part)
    assert whole is datasets[0] and all(type(i) is int for i in indices)
    assert [whole.labels[i] for i in indices] == [label for _, label in part]
    for (image, _), i in zip(part, indices, strict=True):
        assert torch.equal(image, whole[i][0])


@pytest.mark.parametrize("make", [lambda data: data, lambda data: Subset(data, [0])])
def test_other_datasets_have_no_photos_behind_them(make):
    assert photos_behind(make(TensorDataset(torch.zeros(3)))) is None


# --- the parts of a data set -----------------------------------------------------------------


def make_classes(place, **counts):
    for name, count in counts.items():
        (place / name).mkdir(parents=True)
        for i in range(count):
            Image.new("RGB", (8, 6)).save(place / name / f"{i:02}.png")
    return place


def photos_in(part):
    whole, indices = photos_behind(part)
    return [whole.image_paths[i] for i in indices]


def test_a_folder_of_classes_is_cut_in_three_with_a_share_of_each_class(tmp_path):
    folder = make_classes(tmp_path, dress=60, hat=20, pants=3)
    parts = photo_parts(folder, photo_transform(8))
    counts = [
        [
            len(list(filter(lambda path: path.parent.name == name, photos_in(part))))
            for part in parts
        ]
        for name in ("dress", "hat", "pants")
    ]
    assert counts == [[42, 9, 9], [14, 3, 3], [1, 1, 1]]
    everything = [path for part in parts for path in photos_in(part)]
    assert sorted(everything) == sorted(folder.glob("*/*.png")), "each photo in exactly one part"
    for part in parts:
        assert photos_in(part) == sorted(photos_in(part))
        assert part[0][0].shape == (3, 8, 8)


def test_the_same_seed_cuts_the_same_parts(tmp_path):
    folder = make_classes(tmp_path, dress=20, hat=20)
    first, second, other = (photo_parts(folder, None, seed) for seed in (0, 0, 1))
    assert list(map(photos_in, first)) == list(map(photos_in, second))
    assert photos_in(first[2]) != photos_in(other[2])


@pytest.mark.parametrize("val", ["validation", "val", "valid", "Val"])
def test_a_folder_that_is_split_already_is_used_as_it_is(tmp_path, val):
    for name, count in {"train": 5, val: 2, "test": 3}.items():
        make_classes(tmp_path / name, dress=count, hat=count)
    parts = photo_parts(str(tmp_path), photo_transform(8))
    assert [part.data_dir.name for part in parts] == ["train", val, "test"]
    assert [len(part) for part in parts] == [10, 4, 6]


@pytest.mark.parametrize("missing", ["validation", "test", "both"])
def test_a_missing_part_is_cut_off_the_training_photos(tmp_path, missing):
    make_classes(tmp_path / "train", dress=20, hat=20)
    for name in {"validation", "test"} - {missing} if missing != "both" else ():
        make_classes(tmp_path / name, dress=2, hat=2)
    train, val, test = photo_parts(tmp_path)
    cut = {"validation": (34, 6, 4), "test": (34, 4, 6), "both": (28, 6, 6)}[missing]
    assert (len(train), len(val), len(test)) == cut
    assert not set(photos_in(train)) & {*photos_in(val), *photos_in(test)}


def test_parts_with_different_classes_are_refused(tmp_path):
    for name in ("train", "val"):
        make_classes(tmp_path / name, dress=2, hat=2)
    make_classes(tmp_path / "test", dress=2, skirt=2)
    with pytest.raises(ValueError, match=r"only one of them has \['hat', 'skirt'\]: rename"):
        photo_parts(tmp_path)


@pytest.mark.parametrize("count", [1, 2])
def test_a_class_with_too_few_photos_cannot_be_cut(tmp_path, count):
    make_classes(tmp_path, dress=20, hat=count)
    message = f"class 'hat' has {count} photos, too few to be cut into parts: it needs at least 3"
    with pytest.raises(ValueError, match=message):
        photo_parts(tmp_path)


def test_parts_of_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no folder .*nowhere.*: check the path"):
        photo_parts(tmp_path / "nowhere")


def test_the_parts_go_into_the_loaders(tmp_path):
    train, val, test = photo_parts(make_classes(tmp_path, a=10, b=10), photo_transform(8))
    for loader in (*make_loaders(train, val, batch_size=4), make_loaders(train, test)[1]):
        images, targets = next(iter(loader))
        assert images.shape[1:] == (3, 8, 8) and targets.dtype == torch.int64


# --- transforms and Fashion-MNIST ------------------------------------------------------------


def test_photo_transform_squashes_scales_and_normalises():
    result = photo_transform(8)(Image.new("RGB", (40, 60), (255, 0, 51)))
    assert result.shape == (3, 8, 8)
    colour = torch.tensor([1.0, 0.0, 0.2])
    expected = (colour - torch.tensor(IMAGENET_MEAN)) / torch.tensor(IMAGENET_STD)
    assert torch.allclose(result.mean(dim=(1, 2)), expected, atol=1e-5)


def test_denormalize_undoes_it():
    image = noise()
    tensor = photo_transform(20)(image.resize((20, 20)))
    back = (denormalize(tensor) * 255).round().byte().permute(1, 2, 0).numpy()
    assert (back == np.asarray(image.resize((20, 20)))).all()
    assert denormalize(torch.full((2, 3, 4, 4), 9.0)).max() == 1.0


@pytest.mark.parametrize("size", [(28, 28), (40, 60), (300, 20), (1, 1), (5, 900)])
@pytest.mark.parametrize("background", [0, 255])
def test_fashion_transform_makes_any_photo_grey_small_and_light_on_black(size, background):
    image = Image.new("RGB", size, (background,) * 3)
    image.paste((90, 160, 130), (size[0] // 4, size[1] // 4, size[0] - size[0] // 4, size[1]))
    before = image.tobytes()
    result = fashion_transform()(image)
    assert result.shape == (1, 28, 28) and result.dtype == torch.float32
    assert image.tobytes() == before, "the photo itself is left alone"

    # The same steps by hand.
    grey = image.convert("L")
    grey.thumbnail((28, 28))
    if to_tensor(grey)[0, [0, 0, -1, -1], [0, -1, 0, -1]].mean() > 0.5:
        grey = ImageOps.invert(grey)
    expected = (to_tensor(ImageOps.pad(grey, (28, 28))) - FASHION_MEAN) / FASHION_STD
    torch.testing.assert_close(result, expected, rtol=0, atol=1e-6)


def test_fashion_transform_leaves_the_pictures_of_fashion_mnist_as_they_are():
    images, _ = fashion_mnist_tensors(train=False)[:50]
    dark = images[:, 0, [0, 0, -1, -1], [0, -1, 0, -1]].mean(dim=1) < 0
    test_set = fashion_mnist(False, fashion_transform())
    result = torch.stack([test_set[i][0] for i in range(50)])
    assert dark.sum() > 40
    torch.testing.assert_close(result[dark], images[dark], rtol=0, atol=1e-6)


def test_transforms_are_found_by_their_names():
    assert TRANSFORMS["photo_transform"](size=32)(noise()).shape == (3, 32, 32)
    assert TRANSFORMS["photo_transform"]()(noise()).shape == (3, 224, 224)
    assert TRANSFORMS["fashion_transform"]()(noise()).shape == (1, 28, 28)


@pytest.mark.parametrize("name", TRANSFORMS)
def test_transforms_say_their_settings_and_travel_to_other_processes(name):
    transform = TRANSFORMS[name]()
    assert " at 0x" not in repr(transform) and repr(TRANSFORMS[name]()) == repr(transform)
    copied = pickle.loads(pickle.dumps(transform))
    assert torch.equal(copied(noise()), transform(noise()))


def test_fashion_mnist_as_torchvision_gives_it():
    train, test = fashion_mnist(True), fashion_mnist(False)
    assert (len(train), len(test)) == (60_000, 10_000)
    image, label = train[0]
    assert (image.size, image.mode, label) == ((28, 28), "L", 9)
    assert train.classes == FASHION_CLASSES
    assert fashion_mnist(False, transform=lambda image: image.size)[0] == ((28, 28), 9)


def test_fashion_mnist_tensors_are_normalised():
    images, targets = fashion_mnist_tensors(train=True).tensors
    assert images.shape == (60_000, 1, 28, 28) and images.dtype == torch.float32
    assert targets.dtype == torch.int64 and targets.bincount().tolist() == [6000] * 10
    assert abs(images.mean().item()) < 1e-3
    assert abs(images.std().item() - 1) < 1e-3
    assert len(fashion_mnist_tensors(train=False)) == 10_000


def test_the_photos_or_their_stand_ins():
    folder = photos_or_sketches()
    train = ClothingDataset(folder / "train", photo_transform(64))
    validation = ClothingDataset(folder / "validation", photo_transform(64))
    assert len(train.classes) == 10 and train.classes == validation.classes
    assert len(train) > len(validation) >= 100
    images, targets = next(iter(DataLoader(validation, batch_size=8)))
    assert images.shape == (8, 3, 64, 64)
    assert targets.tolist() == [0] * 8
