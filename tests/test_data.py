"""Pictures of every kind, folders in every state, and the loaders made from them."""

import random
import re
import shutil
import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, TensorDataset, random_split

from course.data import (
    FASHION_CLASSES,
    IMAGENET_MEAN,
    IMAGENET_STD,
    ClothingDataset,
    denormalize,
    fashion_mnist,
    fashion_mnist_tensors,
    make_loaders,
    photo_transform,
)
from course.files.pictures import ImageFileError, check_images, load_image
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


def write_rgb_png(path, width, height, bits, row):
    """Put a PNG together byte by byte: Pillow can read kinds that it cannot write."""

    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", width, height, bits, 2, 0, 0, 0)
    pixels = zlib.compress(b"\0" + row)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)


# --- the dataset ------------------------------------------------------------------------------


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


def test_stray_and_hidden_files_are_left_out(folder):
    train = folder / "train"
    (train / ".DS_Store").write_bytes(b"\0\0\0\1Bud1")
    (train / "README.txt").write_bytes(b"not a class")
    (train / ".ipynb_checkpoints").mkdir()
    (train / "dress" / ".DS_Store").write_bytes(b"\0\0\0\1Bud1")
    (train / "dress" / "._0.jpg").write_bytes(b"what macOS puts into archives")
    (train / "dress" / "Thumbs.db").write_bytes(b"what Windows puts into folders")
    (train / "dress" / "notes.txt").write_bytes(b"nice dress")
    (train / "dress" / "folder.jpg").mkdir()
    dataset = ClothingDataset(train)
    assert dataset.classes == list(COLOURS)
    assert len(dataset) == 12
    check_images(dataset.image_paths)


@pytest.mark.parametrize("name", ["A.JPG", "b.Jpeg", "c.PNG", "d.TIF", "e.WebP", "f.GIF", "g.bmp"])
def test_case_of_the_extension_does_not_matter(folder, name):
    noise().save(folder / "train" / "dress" / name)
    assert len(ClothingDataset(folder / "train")) == 13


def test_missing_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no folder .*nowhere.*download_photos"):
        ClothingDataset(tmp_path / "nowhere")


def test_a_file_is_not_a_folder(folder):
    with pytest.raises(FileNotFoundError, match="no folder .*0.jpg"):
        ClothingDataset(folder / "train" / "dress" / "0.jpg")


def test_empty_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no class folder: put the pictures"):
        ClothingDataset(tmp_path)


def test_pictures_without_class_folders(folder):
    with pytest.raises(FileNotFoundError, match=r"dress' holds no class folder"):
        ClothingDataset(folder / "train" / "dress")


def test_empty_class_folder(folder):
    (folder / "train" / "skirt").mkdir()
    with pytest.raises(FileNotFoundError, match=r"skirt' holds no picture .*add some or remove"):
        ClothingDataset(folder / "train")


def test_one_folder_too_high(folder):
    with pytest.raises(
        FileNotFoundError, match=r"train' holds no picture .*, it is the data_dir that you want"
    ):
        ClothingDataset(folder)


# --- pictures that are fine --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "name"),
    [
        ("RGB", "a.jpg"),
        ("RGB", "a.png"),
        ("RGB", "a.webp"),
        ("RGB", "a.gif"),
        ("L", "grey.jpg"),
        ("L", "grey.png"),
        ("LA", "grey_alpha.png"),
        ("P", "palette.png"),
        ("RGBA", "alpha.png"),
        ("CMYK", "print.jpg"),
        ("CMYK", "print.tif"),
        ("1", "fax.png"),
        ("1", "fax.tif"),
        ("YCbCr", "video.jpg"),
        ("LAB", "lab.tif"),
    ],
)
def test_every_mode_becomes_rgb(tmp_path, mode, name):
    original = noise(size=(3, 2)).resize((30, 20)).convert(mode)
    original.save(tmp_path / name)
    image = load_image(tmp_path / name)
    assert image.mode == "RGB" and image.size == (30, 20)
    expected = np.asarray(original.convert("RGB"), dtype=float)
    difference = np.abs(np.asarray(image, dtype=float) - expected).mean()
    assert difference < 40 if name.endswith(("jpg", "webp", "gif")) else difference < 1


def test_transparent_pixels_become_white(tmp_path):
    image = Image.new("RGBA", (2, 1), (255, 0, 0, 255))
    image.putpixel((1, 0), (0, 0, 0, 0))
    image.save(tmp_path / "alpha.png")
    rgb = load_image(tmp_path / "alpha.png")
    assert [rgb.getpixel((x, 0)) for x in (0, 1)] == [(255, 0, 0), (255, 255, 255)]


def test_half_transparent_grey_is_mixed_with_white(tmp_path):
    Image.new("LA", (1, 1), (0, 128)).save(tmp_path / "la.png")
    assert load_image(tmp_path / "la.png").getpixel((0, 0)) == (127, 127, 127)


@pytest.mark.parametrize("suffix", ["png", "gif"])
def test_the_transparent_colour_of_a_palette_becomes_white(tmp_path, suffix):
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putpixel((1, 0), 1)
    image.save(tmp_path / f"p.{suffix}", transparency=1)
    rgb = load_image(tmp_path / f"p.{suffix}")
    assert [rgb.getpixel((x, 0)) for x in (0, 1)] == [(255, 0, 0), (255, 255, 255)]


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("kind", ["<u2", ">u2"])
def test_16_bit_grey_keeps_its_brightness(tmp_path, suffix, kind):
    values = np.array([[0, 255, 256, 32768, 65535]], dtype=kind)
    Image.fromarray(values).save(tmp_path / f"x.{suffix}")
    rgb = np.asarray(load_image(tmp_path / f"x.{suffix}"))
    assert rgb[0, :, 0].tolist() == [0, 0, 1, 128, 255]
    assert (rgb[..., 0] == rgb[..., 2]).all()


def test_16_bit_values_in_32_bits(tmp_path):
    Image.fromarray(np.array([[0, 32768, 65535]], dtype=np.int32)).save(tmp_path / "i.tif")
    assert np.asarray(load_image(tmp_path / "i.tif"))[0, :, 0].tolist() == [0, 128, 255]


def test_16_bit_colour(tmp_path):
    row = struct.pack(">6H", 0xFFFF, 0x8000, 0, 0, 0x4000, 0xFFFF)
    write_rgb_png(tmp_path / "rgb16.png", width=2, height=1, bits=16, row=row)
    image = load_image(tmp_path / "rgb16.png")
    assert [image.getpixel((x, 0)) for x in (0, 1)] == [(255, 128, 0), (0, 64, 255)]


@pytest.mark.parametrize(("mode", "name"), [("RGB", "x.jpg"), ("1", "x.png"), ("CMYK", "x.tif")])
def test_one_pixel(tmp_path, mode, name):
    noise(mode, (1, 1)).save(tmp_path / name)
    assert load_image(tmp_path / name).size == (1, 1)
    assert photo_transform(32)(load_image(tmp_path / name)).shape == (3, 32, 32)


@pytest.mark.parametrize("name", ["x.jpg", "x.png"])
def test_8000_by_8000_pixels(tmp_path, name):
    Image.new("RGB", (8000, 8000), "red").save(tmp_path / name)
    image = load_image(tmp_path / name)
    assert image.size == (8000, 8000)
    assert photo_transform(32)(image).shape == (3, 32, 32)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_rotation_noted_by_the_camera_is_applied(tmp_path, orientation):
    """Left half red, right half blue: with orientation 6 red must end on top, with 8 below."""
    image = Image.new("RGB", (64, 32), "red")
    image.paste("blue", (32, 0, 64, 32))
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.save(tmp_path / "x.jpg", exif=exif)
    upright = load_image(tmp_path / "x.jpg")
    assert upright.size == ((64, 32) if orientation < 5 else (32, 64))
    red_first = upright.getpixel((4, 4))[0] > 128
    assert red_first == (orientation in (1, 4, 5, 6))


def test_a_png_named_jpg_is_read_by_its_content(folder):
    noise().save(folder / "train" / "dress" / "0.jpg", format="png")
    dataset = ClothingDataset(folder / "train")
    assert dataset[0][0].size == (30, 20)
    check_images(dataset.image_paths)


def test_an_animation_gives_its_first_frame(tmp_path):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "x.gif", save_all=True, append_images=frames[1:])
    assert load_image(tmp_path / "x.gif").getpixel((0, 0)) == (255, 0, 0)


def test_a_picture_file_is_closed_after_reading(tmp_path):
    noise().save(tmp_path / "x.png")
    image = load_image(tmp_path / "x.png")
    (tmp_path / "x.png").unlink()  # Windows refuses while the file is open
    assert image.getpixel((0, 0))


# --- pictures that are not --------------------------------------------------------------------


def bomb(path):
    """A PNG of a few bytes that claims to hold 30,000 x 30,000 pixels."""
    write_rgb_png(path, width=30_000, height=30_000, bits=8, row=b"")


def truncated(path):
    noise(size=(300, 200)).save(path)
    path.write_bytes(path.read_bytes()[:-2000])


def broken_exif(path):
    exif = Image.Exif()
    exif[0x0112] = 6
    noise().save(path, exif=exif)
    path.write_bytes(path.read_bytes().replace(b"Exif\0\0MM\0*", b"Exif\0\0MM\0+"))


DAMAGED = {
    "zero.jpg": (lambda path: path.write_bytes(b""), "cannot identify"),
    "text.jpg": (lambda path: path.write_bytes(b"<html>404 not found</html>"), "cannot identify"),
    "cut.jpg": (truncated, "truncated"),
    "cut.png": (truncated, "truncated"),
    "head.jpg": (lambda path: path.write_bytes(b"\xff\xd8\xff\xe0\0\x10JFIF\0"), ""),
    "bomb.png": (bomb, "decompression bomb"),
    "float.tif": (
        lambda path: Image.fromarray(np.linspace(0, 1, 6, dtype=np.float32)[None]).save(path),
        "its values are neither 8- nor 16-bit",
    ),
    "int32.tif": (
        lambda path: Image.fromarray(np.array([[0, 70_000]], dtype=np.int32)).save(path),
        "its values are neither",
    ),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_file_is_named_with_the_reason_and_the_remedy(folder, name):
    damage, reason = DAMAGED[name]
    damage(folder / "train" / "hat" / name)
    message = rf"{re.escape(name)}' cannot be read .*{reason}.*save it again, replace it or delete"
    with pytest.raises(ImageFileError, match=message):
        load_image(folder / "train" / "hat" / name)
    with pytest.raises(ImageFileError, match=message):
        check_images(ClothingDataset(folder / "train").image_paths)


def test_broken_exif_is_either_read_or_reported(folder):
    file = folder / "train" / "hat" / "0.jpg"
    broken_exif(file)
    try:
        assert load_image(file).mode == "RGB"
    except ImageFileError as error:
        assert "0.jpg" in str(error)


def test_a_missing_file_stays_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="gone.jpg"):
        load_image(tmp_path / "gone.jpg")


def test_a_folder_is_no_picture(tmp_path):
    with pytest.raises(ImageFileError, match="cannot be read as a picture"):
        load_image(tmp_path)


def test_the_first_of_several_damaged_pictures_is_named(folder):
    for i in range(3):
        (folder / "train" / "hat" / f"{i}.jpg").write_bytes(b"")
    with pytest.raises(ImageFileError, match=r"hat.0\.jpg"):
        check_images(ClothingDataset(folder / "train").image_paths)


def test_the_quick_check_gives_a_small_picture(tmp_path):
    noise(size=(400, 320)).save(tmp_path / "x.jpg")
    assert load_image(tmp_path / "x.jpg", only_check=True).size == (50, 40)


def cuts(data, draw):
    """Lengths to cut a file to: anywhere, and in its last few bytes."""
    return [draw.randrange(len(data)) for _ in range(3)] + [len(data) - draw.randrange(1, 40)]


def assert_every_cut_is_found(sources, dataset_dir, draw):
    (dataset_dir / "hat").mkdir(parents=True)
    count = 0
    for source in sources:
        data = source.read_bytes()
        for length in cuts(data, draw):
            (dataset_dir / "hat" / f"{count}.jpg").write_bytes(data[:length])
            count += 1
    dataset = ClothingDataset(dataset_dir)
    for path in dataset.image_paths:
        with pytest.raises(ImageFileError, match=re.escape(path.name)):
            load_image(path)
    with pytest.raises(ImageFileError, match=re.escape(dataset.image_paths[0].name)):
        check_images(dataset.image_paths)


def test_jpegs_cut_anywhere_are_found(tmp_path):
    sources = []
    for i, options in enumerate([{}, {"progressive": True}, {"quality": 95, "subsampling": 0}]):
        sources.append(tmp_path / f"{i}.jpg")
        noise(size=(90 + i, 70)).resize((300, 200)).save(sources[-1], **options)
    assert_every_cut_is_found(sources, tmp_path / "train", random.Random(0))


def test_photos_cut_anywhere_are_found(tmp_path):
    draw = random.Random(0)
    photos = draw.sample(ClothingDataset(photos_or_sketches() / "validation").image_paths, 20)
    assert_every_cut_is_found(photos, tmp_path / "train", draw)


# --- the loaders ------------------------------------------------------------------------------


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
    dataset = ClothingDataset(folder / "train", photo_transform().transforms[1])
    with pytest.raises(RuntimeError, match="equal size"):
        list(DataLoader(dataset, batch_size=13))


# --- transforms and Fashion-MNIST --------------------------------------------------------------


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


def test_fashion_mnist_as_torchvision_gives_it():
    train, test = fashion_mnist(True), fashion_mnist(False)
    assert (len(train), len(test)) == (60_000, 10_000)
    image, label = train[0]
    assert (image.size, image.mode, label) == ((28, 28), "L", 9)
    assert train.classes == FASHION_CLASSES
    assert fashion_mnist(False, transform=lambda image: image.size)[0] == ((28, 28), 9)


def test_fashion_mnist_is_unpacked_whole_also_by_two_processes_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr("course.files.paths.CACHE", tmp_path / "cache")
    copy, faster = shutil.copyfile, []

    def copyfile(*files):
        if not faster:
            faster.append("the other process")
            fashion_mnist(False)
        return copy(*files)

    monkeypatch.setattr(shutil, "copyfile", copyfile)
    assert len(fashion_mnist(False)) == 10_000
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["fashion-mnist"]


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
