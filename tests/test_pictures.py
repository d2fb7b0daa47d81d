"""Pictures of every kind: read upright and as RGB, or refused with what is wrong and what helps."""

import ctypes
import errno
import io
import os
import random
import re
import struct
import subprocess
import sys
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps, PngImagePlugin

from course.data import ClothingDataset, make_loaders, photo_transform
from course.files import pictures
from course.files.orientation import orientation_in
from course.files.pictures import ImageFileError, check_images, load_image, upright_rgb
from course.stand_ins import photos_or_sketches


@pytest.fixture
def folder(tmp_path):
    """Three classes with four JPEG pictures each, in `train`."""
    for name, colour in {"dress": "red", "hat": "lime", "pants": "blue"}.items():
        (tmp_path / "train" / name).mkdir(parents=True)
        for i in range(4):
            Image.new("RGB", (40, 60), colour).save(tmp_path / "train" / name / f"{i}.jpg")
    return tmp_path


def noise(mode="RGB", size=(30, 20)):
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(pixels).convert(mode)


def write_png(path, width, height, bits, row, colour_type=2):
    """Put a PNG together byte by byte: Pillow can read kinds that it cannot write."""

    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, 0)
    pixels = zlib.compress(b"\0" + row)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)


def in_bytes(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


# --- pictures that are fine ------------------------------------------------------------------


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


def test_an_avif_photo_is_read_where_pillow_can(tmp_path):
    pytest.importorskip("PIL.AvifImagePlugin", reason="Pillow reads AVIF since 11.3")
    Image.new("RGB", (30, 20), "red").save(tmp_path / "x.avif")
    image = load_image(tmp_path / "x.avif")
    assert image.size == (30, 20) and image.getpixel((15, 10))[0] > 240


def test_a_photo_with_a_second_one_behind_it_gives_the_first(tmp_path):
    """Phones store depth and brightness as a second picture: the MPO format."""
    first, second = Image.new("RGB", (30, 20), "red"), Image.new("RGB", (15, 10), "blue")
    first.save(tmp_path / "x.jpg", format="MPO", save_all=True, append_images=[second])
    image = load_image(tmp_path / "x.jpg")
    assert image.size == (30, 20) and image.getpixel((15, 10))[0] > 240


def test_an_ordinary_photo_is_read_as_pillow_reads_it(tmp_path):
    for path in ClothingDataset(photos_or_sketches() / "validation").image_paths[::40]:
        with Image.open(path) as image:
            assert (
                load_image(path).tobytes()
                == ImageOps.exif_transpose(image).convert("RGB").tobytes()
            )


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


# --- which way up ----------------------------------------------------------------------------


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


X_RESOLUTION, UNIT, SOFTWARE, DATE, EXIF_LIST, GPS_LIST = 282, 296, 305, 306, 34665, 34853
ODD_TAGS = {  # number, type, count and value, as no camera should write them
    "resolution as text": (X_RESOLUTION, 2, 6, b"72dpi\0"),
    "resolution 0/0": (X_RESOLUTION, 5, 1, struct.pack("<2I", 0, 0)),
    "resolution 1/0": (X_RESOLUTION, 5, 1, struct.pack("<2I", 1, 0)),
    "negative resolution": (X_RESOLUTION, 10, 1, struct.pack("<2i", -72, 1)),
    "resolution below a negative number": (X_RESOLUTION, 10, 1, struct.pack("<2i", 72, -1)),
    "most negative resolution": (X_RESOLUTION, 10, 1, struct.pack("<2i", -(2**31), -1)),
    "resolution -0": (X_RESOLUTION, 10, 1, struct.pack("<2i", 0, -1)),
    "resolution nan": (X_RESOLUTION, 12, 1, struct.pack("<d", float("nan"))),
    "resolution infinite": (X_RESOLUTION, 12, 1, struct.pack("<d", float("inf"))),
    "resolution 1e308": (X_RESOLUTION, 12, 1, struct.pack("<d", 1e308)),
    "resolution float nan": (X_RESOLUTION, 11, 1, struct.pack("<f", float("nan"))),
    "resolution float -infinite": (X_RESOLUTION, 11, 1, struct.pack("<f", -float("inf"))),
    "no resolution": (X_RESOLUTION, 5, 0, b""),
    "two resolutions": (X_RESOLUTION, 5, 2, struct.pack("<4I", 72, 1, 300, 1)),
    "resolution a small number": (X_RESOLUTION, 3, 1, b"\x48\0"),
    "resolution a signed byte": (X_RESOLUTION, 6, 1, b"\xb8"),
    "resolution of bytes": (X_RESOLUTION, 7, 8, b"\xff" * 8),
    "type 0": (X_RESOLUTION, 0, 1, b"\1\0\0\0"),
    "type 13": (X_RESOLUTION, 13, 1, b"\1\0\0\0"),
    "type 16": (X_RESOLUTION, 16, 1, struct.pack("<Q", 2**63)),
    "type 99": (X_RESOLUTION, 99, 1, b"\1\0\0\0"),
    "type 65535": (X_RESOLUTION, 65535, 1, b"\1\0\0\0"),
    "4 billion resolutions": (X_RESOLUTION, 5, 2**32 - 1, struct.pack("<2I", 72, 1)),
    "4 billion bytes": (SOFTWARE, 1, 2**32 - 1, b"ab"),
    "2 billion letters": (SOFTWARE, 2, 2**31, b"ab"),
    "1 billion doubles": (SOFTWARE, 12, 2**30, b"ab"),
    "text without an end": (SOFTWARE, 2, 4, b"abcd"),
    "text in no encoding": (SOFTWARE, 2, 6, b"\xff\xfe\xfa\x80\x81\0"),
    "empty text": (SOFTWARE, 2, 0, b""),
    "text of line breaks": (SOFTWARE, 2, 5, b"\n\r\n\x1b\0"),
    "40 numbers in place of text": (SOFTWARE, 3, 40, bytes(80)),
    "unit as text": (UNIT, 2, 5, b"inch\0"),
    "unit 99": (UNIT, 3, 1, b"\x63\0"),
    "date of zeros": (DATE, 2, 20, b"0000:00:00 00:00:00\0"),
    "list that lies nowhere": (EXIF_LIST, 4, 1, struct.pack("<I", 2**31)),
    "list in itself": (EXIF_LIST, 4, 1, struct.pack("<I", 8)),
    "list before the file": (EXIF_LIST, 9, 1, struct.pack("<i", -8)),
    "list as text": (EXIF_LIST, 2, 6, b"abcde\0"),
    "position that lies nowhere": (GPS_LIST, 4, 1, struct.pack("<I", 2**32 - 1)),
    "position in itself": (GPS_LIST, 4, 1, struct.pack("<I", 8)),
    "position as double": (GPS_LIST, 12, 1, struct.pack("<d", 8.0)),
    "three lists in themselves": (330, 4, 3, struct.pack("<3I", 8, 8, 8)),
    "note of the maker": (37500, 7, 64, bytes(range(64))),
    "tag 0": (0, 3, 1, b"\0\0"),
    "tag 65535": (65535, 12, 3, struct.pack("<3d", float("nan"), float("inf"), -0.0)),
}


def list_of_tags(tags, start):
    """A list that begins at byte `start`; values of more than four bytes lie behind it."""
    tags, behind = sorted(tags), b""
    body = struct.pack("<H", len(tags))
    end = start + 2 + 12 * len(tags) + 4
    for tag, kind, count, value in tags:
        field = struct.pack("<I", end + len(behind)) if len(value) > 4 else value.ljust(4, b"\0")
        behind += value if len(value) > 4 else b""
        body += struct.pack("<HHI", tag, kind, count) + field
    return body + bytes(4) + behind


def exif_block(orientation, *tags):
    noted = (0x0112, 3, 1, struct.pack("<H", orientation))
    return b"Exif\0\0II*\0" + struct.pack("<I", 8) + list_of_tags([noted, *tags], start=8)


def tiff_file(orientation, odd):
    """The picture of `half_and_half` as a TIFF whose own list of tags holds the odd one."""
    pixels = in_bytes(half_and_half(), "PPM")[-64 * 32 * 3 :]
    numbers = {256: 64, 257: 32, 259: 1, 262: 2, 273: 8, 277: 3, 278: 32, 279: len(pixels)}
    tags = [(tag, 4, 1, struct.pack("<I", number)) for tag, number in numbers.items()]
    tags += [
        (258, 3, 3, struct.pack("<3H", 8, 8, 8)),
        (0x0112, 3, 1, struct.pack("<H", orientation)),
    ]
    start = 8 + len(pixels)
    return b"II*\0" + struct.pack("<I", start) + pixels + list_of_tags([*tags, odd], start)


def half_and_half():
    image = Image.new("RGB", (64, 32), "red")
    image.paste("blue", (32, 0, 64, 32))
    return image


def assert_upright(image, orientation):
    assert image.size == ((64, 32) if orientation < 5 else (32, 64))
    red_first = image.getpixel((4, 4))[0] > 128
    assert red_first == (orientation in (1, 4, 5, 6))


@pytest.mark.parametrize("name", ODD_TAGS)
def test_an_odd_tag_beside_the_rotation_does_no_harm(name):
    for orientation in range(1, 9):
        block = exif_block(orientation, ODD_TAGS[name])
        for kind in ("JPEG", "PNG", "WEBP"):
            data = in_bytes(half_and_half(), kind, exif=block)
            assert_upright(load_image(io.BytesIO(data)), orientation)
        data = tiff_file(orientation, ODD_TAGS[name])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # pytest undoes that of the package
            assert_upright(load_image(io.BytesIO(data)), orientation)


def test_a_block_that_ends_early_does_no_harm():
    block = exif_block(6, *ODD_TAGS.values())
    noted = block.index(struct.pack("<HHI", 0x0112, 3, 1)) + 12
    for length in [*range(noted + 30), *range(noted + 30, len(block), 17)]:
        data = in_bytes(half_and_half(), "JPEG", exif=block[:length])
        assert_upright(load_image(io.BytesIO(data)), 6 if length >= noted else 1)


@pytest.mark.parametrize("kind", [1, 3, 4, 6, 8, 9])
@pytest.mark.parametrize("order", "<>")
def test_the_rotation_is_understood_in_any_type_and_byte_order(kind, order):
    value = struct.pack(order + {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i"}[kind], 8)
    block = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    block += struct.pack(order + "HHHI", 1, 0x0112, kind, 1) + value.ljust(4, b"\0")
    for start in (b"", b"Exif\0\0", b"Exif\0\0Exif\0\0"):
        assert orientation_in(start + block) == 8


@pytest.mark.parametrize("value", [0, 9, 255, 65535])
def test_a_rotation_that_does_not_exist_is_none(value):
    data = in_bytes(half_and_half(), "JPEG", exif=exif_block(value))
    assert_upright(load_image(io.BytesIO(data)), 1)


XMP = b"""<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22"
 xmlns:tiff="http://ns.adobe.com/tiff/1.0/"><rdf:Description %s</rdf:RDF></x:xmpmeta>"""
ATTRIBUTE = XMP % b'tiff:Orientation="6"/>'
ELEMENT = XMP % b"><tiff:Orientation>6</tiff:Orientation></rdf:Description>"


@pytest.mark.parametrize("block", [ATTRIBUTE, ELEMENT])
@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_the_rotation_in_xmp_counts_where_exif_has_none(kind, block):
    """As in Pillow, with which other programs of a learner read the same photo."""
    no_rotation = Image.Exif()
    no_rotation[SOFTWARE] = "an editor"
    for exif, turned in ((b"", 6), (no_rotation, 6), (exif_block(3), 3), (exif_block(1), 1)):
        data = in_bytes(half_and_half(), kind, xmp=block, exif=exif)
        assert_upright(load_image(io.BytesIO(data)), turned)
        with Image.open(io.BytesIO(data)) as image:
            assert_upright(ImageOps.exif_transpose(image).convert("RGB"), turned)


def test_the_rotation_in_a_png_by_imagemagick_counts():
    block = exif_block(6)
    text = f"\nexif\n{len(block):8}\n{block.hex()}\n"
    info = PngImagePlugin.PngInfo()
    info.add_text("Raw profile type exif", text, zip=True)
    for broken in (False, True):
        if broken:
            info.add_text("Raw profile type exif", "\nexif\n 3\nxyz\n")
        data = in_bytes(half_and_half(), "PNG", pnginfo=info)
        assert_upright(load_image(io.BytesIO(data)), 1 if broken else 6)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_a_photo_is_turned_once_however_often_it_is_asked_for(kind):
    data = in_bytes(half_and_half(), kind, exif=exif_block(6), xmp=ATTRIBUTE)
    image = load_image(io.BytesIO(data))
    assert_upright(upright_rgb(upright_rgb(image)), 6)


# --- more than 8 bits ------------------------------------------------------------------------


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
    write_png(tmp_path / "rgb16.png", width=2, height=1, bits=16, row=row)
    image = load_image(tmp_path / "rgb16.png")
    assert [image.getpixel((x, 0)) for x in (0, 1)] == [(255, 128, 0), (0, 64, 255)]


@pytest.mark.parametrize("bits", [8, 9, 10, 11, 12, 13, 14, 15, 16])
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_16_bit_grey_that_does_not_use_the_whole_range_is_not_black(tmp_path, suffix, bits):
    values = np.array([[0, 2 ** (bits - 1), 2**bits - 1]], dtype=np.uint16)
    Image.fromarray(values).save(tmp_path / f"x.{suffix}")
    step = 2 ** (bits % 2)  # 9 bits are taken for 10, and so on
    assert brightness(tmp_path / f"x.{suffix}") == [0, 128 // step, 255 // step]


@pytest.mark.parametrize("bits", [10, 12, 14, 16, 17, 20, 24, 31])
def test_32_bit_values_of_any_depth(tmp_path, bits):
    values = np.array([[0, 2 ** (bits - 1), 2**bits - 1]], dtype=np.int32)
    Image.fromarray(values).save(tmp_path / "x.tif")
    step = 2 ** (bits % 2)
    assert brightness(tmp_path / "x.tif") == [0, 128 // step, 255 // step]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0, 0.5, 1], [0, 128, 255]),
        ([-0.003, 0.2, 1.002], [0, 51, 255]),  # as resizing leaves them
        ([0, 0, 0], [0, 0, 0]),
        ([0, 100.7, 255], [0, 100, 255]),
        ([0, 2048, 4095], [0, 128, 255]),
        ([0, 32768, 65535], [0, 128, 255]),
    ],
)
def test_floats_are_fractions_or_values_of_an_integer_file(tmp_path, values, expected):
    grey(tmp_path / "x.tif", np.float32, *values)
    assert brightness(tmp_path / "x.tif") == expected


def test_8_bits_as_floats_come_back(tmp_path):
    values = np.arange(256, dtype=np.float32) / 255
    grey(tmp_path / "x.tif", np.float32, *values)
    assert brightness(tmp_path / "x.tif") == list(range(256))


def test_12_bits_packed_without_gaps(tmp_path):
    """Two values in three bytes, as some microscopes write them."""
    tags = {256: 2, 257: 1, 258: 12, 259: 1, 262: 1, 273: 8, 277: 1, 278: 1, 279: 3}
    entries = [(tag, 4, 1, struct.pack("<I", number)) for tag, number in tags.items()]
    pixels = bytes([0x80, 0x0F, 0xFF])
    body = b"II*\0" + struct.pack("<I", 12) + pixels + b"\0" + list_of_tags(entries, 12)
    (tmp_path / "x.tif").write_bytes(body)
    assert brightness(tmp_path / "x.tif") == [128, 255]


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("colour_type", [2, 6])
def test_16_bit_colour_that_does_not_use_the_whole_range_is_not_black(tmp_path, bits, colour_type):
    top = 2**bits - 1
    pixels = [(top, 0, top // 2), (0, top // 4, 0)]
    opaque = (65535,) if colour_type == 6 else ()
    row = b"".join(struct.pack(f">{len(p + opaque)}H", *p, *opaque) for p in pixels)
    write_png(tmp_path / "x.png", 2, 1, 16, row, colour_type)
    image = load_image(tmp_path / "x.png")
    assert [image.getpixel((x, 0)) for x in (0, 1)] == [(255, 0, 127), (0, 63, 0)]


@pytest.mark.parametrize("compression", [1, 8])
@pytest.mark.parametrize("order", "<>")
def test_16_bit_colour_in_a_tiff_of_12_bits(tmp_path, order, compression):
    pixels = struct.pack(order + "6H", 4095, 0, 2047, 0, 1023, 0)
    data = zlib.compress(pixels) if compression == 8 else pixels
    numbers = {256: 2, 257: 1, 259: compression, 262: 2, 273: 8, 277: 3, 278: 1, 279: len(data)}
    entries = [(tag, 4, 1, number) for tag, number in numbers.items()]
    entries = sorted([*entries, (258, 3, 3, 8 + len(data))])
    body = struct.pack(order + "3H", 16, 16, 16) + struct.pack(order + "H", len(entries))
    for tag, kind, count, number in entries:
        body += struct.pack(order + "HHII", tag, kind, count, number)
    magic = b"II*\0" if order == "<" else b"MM\0*"
    start = struct.pack(order + "I", 8 + len(data) + 6)
    (tmp_path / "x.tif").write_bytes(magic + start + data + body + bytes(4))
    image = load_image(tmp_path / "x.tif")
    assert [image.getpixel((x, 0)) for x in (0, 1)] == [(255, 0, 127), (0, 63, 0)]


def test_a_dark_picture_of_8_bits_stays_dark(tmp_path):
    Image.new("RGB", (4, 4), (3, 2, 1)).save(tmp_path / "x.png")
    assert load_image(tmp_path / "x.png").getpixel((0, 0)) == (3, 2, 1)


def brightness(path):
    """The values of the first row, if the picture is grey."""
    rgb = np.asarray(load_image(path))
    assert (rgb[..., 0] == rgb[..., 1]).all() and (rgb[..., 0] == rgb[..., 2]).all()
    return rgb[0, :, 0].tolist()


# --- very large ones -------------------------------------------------------------------------


def test_a_photo_of_108_megapixels_is_read_at_half_its_width(tmp_path):
    image = Image.new("L", (12_000, 9_000), 60)
    image.paste(200, (0, 0, 6_000, 9_000))
    image.save(tmp_path / "phone.jpg")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_images([tmp_path / "phone.jpg"])
        image = load_image(tmp_path / "phone.jpg")
    assert image.size == (6_000, 4_500)
    assert image.getpixel((100, 100))[0] == 200 and image.getpixel((5_900, 100))[0] == 60


@pytest.mark.parametrize(("width", "size"), [(100, (100, 60)), (101, (51, 30)), (199, (100, 30))])
def test_only_a_jpeg_beyond_the_limit_is_halved(tmp_path, monkeypatch, width, size):
    monkeypatch.setattr(pictures, "FULL_PIXELS", 100 * 60)
    monkeypatch.setattr(pictures, "MAX_JPEG_PIXELS", 4 * 100 * 60)
    noise(size=(width, 60)).save(tmp_path / "x.jpg", exif=exif_block(6))
    noise(size=(width, 60)).save(tmp_path / "x.png")
    assert load_image(tmp_path / "x.jpg").size == size[::-1]
    assert load_image(tmp_path / "x.png").size == (width, 60)


@pytest.mark.parametrize(
    ("kind", "limit"), [("JPEG", "MAX_JPEG_PIXELS"), ("PNG", "MAX_PIXELS"), ("GIF", "MAX_PIXELS")]
)
def test_what_is_too_large_should_be_made_smaller_and_not_saved_again(
    tmp_path, monkeypatch, kind, limit
):
    monkeypatch.setattr(pictures, limit, 599)
    noise(size=(30, 20)).save(tmp_path / "x.jpg", kind)
    for only_check in (False, True):
        with pytest.raises(ImageFileError) as caught:
            load_image(tmp_path / "x.jpg", only_check)
        assert "(it has 30 x 20, more than 599 pixels): make it smaller" in str(caught.value)
        assert "save it again" not in str(caught.value)


@pytest.mark.parametrize("name", ["bomb.png", "bomb.gif", "bomb.webp", "bomb.bmp"])
def test_a_file_that_claims_to_be_huge_is_refused_in_our_words(tmp_path, name):
    """Pillow speaks of a decompression bomb, and suspects an attack."""
    path = tmp_path / name
    if name == "bomb.png":
        write_png(path, width=30_000, height=30_000, bits=8, row=b"")
    else:
        data = bytearray(in_bytes(noise(), name[5:]))
        place, size = {"gif": (6, b"\xff" * 4), "bmp": (18, b"\0\0\xff\0" * 2)}.get(
            name[5:], (26, b"\xff\x3f" * 2)
        )
        data[place : place + len(size)] = size
        path.write_bytes(data)
    with warnings.catch_warnings(), pytest.raises(ImageFileError) as caught:
        warnings.simplefilter("error")
        load_image(path)
    assert re.search(r"more than [\d,]+ pixels\): make it smaller", str(caught.value))
    assert "bomb D" not in str(caught.value) and "attack" not in str(caught.value)


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_cannot_be_packed_so_well_that_it_is_taken_for_truncated(tmp_path, progressive):
    image = Image.new("L", (4_000, 4_000), 255)
    image.save(tmp_path / "x.jpg", quality=1, optimize=True, progressive=progressive)
    assert load_image(tmp_path / "x.jpg").size == (4_000, 4_000)


def test_a_jpeg_that_claims_more_pixels_than_its_bytes_can_hold_is_refused(tmp_path):
    data = bytearray(in_bytes(noise(size=(64, 64)), "JPEG", progressive=True))
    place = data.index(b"\xff\xc2") + 5
    data[place : place + 4] = struct.pack(">HH", 16_000, 16_000)
    (tmp_path / "x.jpg").write_bytes(data)
    with pytest.raises(ImageFileError, match="it is truncated: 16,000 x 16,000 pixels need more"):
        load_image(tmp_path / "x.jpg")


def test_a_file_of_too_many_bytes_is_not_even_read(tmp_path, monkeypatch):
    with open(tmp_path / "x.jpg", "wb") as file:
        file.truncate(pictures.MAX_BYTES + 1)
    monkeypatch.setattr(pictures, "open", lambda *_: pytest.fail("it was opened"), raising=False)
    with pytest.raises(ImageFileError, match="bytes, more than .*: make it smaller"):
        load_image(tmp_path / "x.jpg")


# --- pictures that are not -------------------------------------------------------------------


def grey(path, dtype, *values):
    Image.fromarray(np.array([values], dtype=dtype)).save(path)


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
    "float.tif": (lambda path: grey(path, np.float32, -5, 1), "its values go from -5 to 1,"),
    "light years.tif": (lambda path: grey(path, np.float32, 0, 1e30), "its values go from 0 to 1e"),
    "small.tif": (lambda path: grey(path, np.float32, 0, 7), "its values go from 0 to 7, neither"),
    "nan.tif": (lambda path: grey(path, np.float32, 0, float("nan")), "its values go from nan"),
    "int32.tif": (lambda path: grey(path, np.int32, -1, 70_000), "its values go from -1 to 70000"),
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
    with pytest.raises(FileNotFoundError, match="gone.jpg") as caught:
        load_image(tmp_path / "gone.jpg")
    assert caught.value.errno == errno.ENOENT
    assert str(caught.value).isprintable() and "check the path" in str(caught.value)


def test_a_folder_is_no_picture_and_not_to_be_deleted(tmp_path):
    with pytest.raises(ImageFileError, match="cannot be read as a picture") as caught:
        load_image(tmp_path)
    assert str(caught.value).endswith("(it is not a file but a folder): choose a picture in it")


@pytest.mark.parametrize("name", ["a\0b.jpg", "\0"])
def test_an_impossible_name_is_refused(name):
    with pytest.raises(ImageFileError, match="null (byte|character).*: check the path"):
        load_image(name)


def test_a_link_that_leads_to_itself_is_refused(tmp_path):
    (tmp_path / "x.jpg").symlink_to("x.jpg")
    with pytest.raises(ImageFileError, match="it is a link that leads to itself"):
        load_image(tmp_path / "x.jpg")


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


# --- what people meet under the name of a photo ----------------------------------------------


def box(brand, *others):
    content = b"ftyp" + brand + bytes(4) + b"".join(others)
    return struct.pack(">I", 4 + len(content)) + content + bytes(100)


OTHER_CONTENTS = {
    "heic": (box(b"heic", b"mif1", b"heic"), "it is a HEIC photo", "save it as JPEG"),
    "heic of another brand": (box(b"mif1", b"heic", b"miaf"), "a HEIC photo", "save it as JPEG"),
    "burst of heic": (box(b"msf1", b"hevc"), "a HEIC photo", "save it as JPEG"),
    "jpeg xl": (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(50), "a JPEG XL photo", "save it as JPEG"),
    "bare jpeg xl": (b"\xff\x0a" + bytes(50), "a JPEG XL photo", "save it as JPEG"),
    "jpeg 2000": (b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(9), "a JPEG 2000 photo", "save it as JPEG"),
    "git lfs": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
        "it is a Git LFS pointer",
        "run `git lfs pull`",
    ),
    "empty": (b"", "it is empty", "save it again, replace it or delete it"),
    "zeros": (bytes(3000), "nothing but zeros", "save it again, replace it or delete it"),
    "web page": (b"<!DOCTYPE html><title>404</title>", "it is a web page", "save it again"),
    "web page after a comment": (b"\r\n<!-- hi -->\n<HTML><body>", "it is a web page", ""),
    "web page with a mark": (b"\xef\xbb\xbf<html lang='en'>", "it is a web page", ""),
    "drawing": (b"<?xml version='1.0'?><svg width='1'/>", "it is an SVG drawing", ""),
    "document": (b"%PDF-1.7", "it is a PDF document", ""),
    "archive": (b"PK\3\4" + bytes(30), "it is a ZIP archive", ""),
    "film": (box(b"isom", b"mp41"), "it is a film", ""),
    "film of a live photo": (box(b"qt  "), "it is a film", ""),
    "text": (b"my photo", "it is unknown, it begins with b'my photo'", ""),
    "one byte": (b"\xff", "it is unknown", ""),
}


@pytest.mark.parametrize("name", OTHER_CONTENTS)
def test_other_content_under_the_name_of_a_photo_is_named(folder, name):
    content, what, remedy = OTHER_CONTENTS[name]
    path = folder / "train" / "hat" / "1.jpg"
    path.write_bytes(content)
    dataset = ClothingDataset(folder / "train")
    for read in (load_image, lambda path: make_loaders(dataset, dataset)):
        with pytest.raises(ImageFileError) as caught:
            read(path)
        message = str(caught.value)
        assert message.startswith(f"{str(path)!r} cannot be read as a picture (cannot identify ")
        assert what in message and remedy in message.split("): ")[-1]
        assert message.isprintable()


def test_avif_without_support_gets_its_own_advice(tmp_path, monkeypatch):
    monkeypatch.delitem(pictures.READERS, "AVIF", raising=False)
    (tmp_path / "x.jpg").write_bytes(box(b"avif", b"mif1"))
    with pytest.raises(ImageFileError, match="it is AVIF.: save it as JPEG, or update Pillow"):
        load_image(tmp_path / "x.jpg")


def test_a_download_that_stopped_is_refused(tmp_path):
    data = in_bytes(noise(size=(300, 200)), "JPEG")
    (tmp_path / "x.jpg.part").write_bytes(data[: len(data) // 2])
    with pytest.raises(ImageFileError, match="truncated"):
        load_image(tmp_path / "x.jpg.part")


# --- trouble of the system is not damage -----------------------------------------------------


TROUBLE = {
    errno.EACCES: "ask for the right",
    errno.EPERM: "ask for the right",
    errno.EIO: "connect it",
    errno.ETIMEDOUT: "connect it",
    errno.ESTALE: "connect it",
    errno.ENOTCONN: "connect it",
    errno.EHOSTDOWN: "connect it",
    errno.ENODEV: "connect it",
    errno.EMFILE: "too many files are open",
    errno.ENFILE: "too many files are open",
    errno.ENOMEM: "memory is full",
    errno.EBUSY: "another program is using it",
    errno.ENAMETOOLONG: "shorter name",
    errno.ENOTDIR: "check the path",
}


def assert_no_damage(caught, path, advice):
    """The message is about the system, and nobody deletes a good photo because of it."""
    message = str(caught.value)
    assert not isinstance(caught.value, ImageFileError)
    assert str(path) in message and advice in message and message.isprintable()
    for harmful in ("delete", "replace", "save it again", "damaged"):
        assert harmful not in message


class File(io.BytesIO):
    """Opens well, and then the drive is away."""

    def __init__(self, error):
        super().__init__()
        self.error = error

    def read(self, *_):
        raise self.error


@pytest.mark.parametrize("number", TROUBLE)
@pytest.mark.parametrize("where", ["looking", "opening", "reading", "checking", "loading"])
def test_trouble_of_the_system_keeps_its_kind_and_gets_its_own_advice(
    folder, monkeypatch, number, where
):
    dataset = ClothingDataset(folder / "train")
    path = dataset.image_paths[0]
    error = OSError(number, os.strerror(number), str(path))

    def fail(*_):
        raise error

    if where == "looking":
        monkeypatch.setattr(pictures.os, "stat", fail)
    else:
        opened = fail if where == "opening" else lambda *_: File(error)
        monkeypatch.setattr(pictures, "open", opened, raising=False)
    with pytest.raises(type(error)) as caught:
        if where == "checking":
            check_images([path])
        elif where == "loading":
            make_loaders(dataset, dataset)
        else:
            load_image(path)
    monkeypatch.undo()
    assert_no_damage(caught, path, TROUBLE[number])
    assert caught.value.errno == number


@pytest.mark.parametrize("where", ["open", "_decode"])
def test_no_memory_is_not_damage(folder, monkeypatch, where):
    path = folder / "train" / "hat" / "0.jpg"

    def fail(*_):
        raise MemoryError

    monkeypatch.setattr(pictures, where, fail, raising=False)
    for read in (load_image, lambda path: check_images([path])):
        with pytest.raises(MemoryError) as caught:
            read(path)
        assert_no_damage(caught, path, "memory is full")


def test_an_open_file_that_cannot_be_read_is_not_damage():
    with pytest.raises(TimeoutError, match="the open file cannot be read .*: .*connect it"):
        load_image(File(OSError(errno.ETIMEDOUT, "Connection timed out")))
    with pytest.raises(OSError, match="the open file cannot be read .the tape broke.: .*try again"):
        load_image(File(OSError("the tape broke")))


def test_a_photo_that_vanishes_after_the_listing_is_a_missing_file(folder):
    dataset = ClothingDataset(folder / "train")
    dataset.image_paths[5].unlink()
    for use in (lambda: dataset[5], lambda: make_loaders(dataset, dataset)):
        with pytest.raises(FileNotFoundError, match=r"hat.1\.jpg.*make the dataset again"):
            use()


REAL_TROUBLE = """
import os, resource, sys
from pathlib import Path
from course.files.pictures import load_image

path = Path(sys.argv[2])
load_image(path.with_name("small.png"))
if sys.argv[1] == "permissions":
    path.chmod(0)
elif sys.argv[1] == "files":
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) - 1,) * 2)
elif sys.argv[1] == "memory":
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 50_000_000,) * 2)
try:
    load_image(path)
except (OSError, MemoryError) as error:
    print(type(error).__name__, str(error))
"""


def obey_permissions():
    """Let a file that may not be read be one for root, too: give up the right to overrule."""
    drop_from_bounding_set, may_overrule_permissions, may_search = 24, 1, 2
    for right in (may_overrule_permissions, may_search):
        ctypes.CDLL(None).prctl(drop_from_bounding_set, right)


@pytest.mark.skipif(sys.platform != "linux", reason="/proc and these rights are Linux's")
@pytest.mark.parametrize(
    ("trouble", "kind", "advice"),
    [
        ("permissions", "PermissionError", "ask for the right"),
        ("files", "OSError", "too many files are open"),
        ("memory", "MemoryError", "memory is full"),
    ],
)
def test_real_trouble_of_the_system(tmp_path, trouble, kind, advice):
    Image.new("RGB", (5_000, 4_000)).save(tmp_path / "x.png", compress_level=1)
    Image.new("RGB", (5, 4)).save(tmp_path / "small.png")
    result = subprocess.run(
        [sys.executable, "-c", REAL_TROUBLE, trouble, tmp_path / "x.png"],
        capture_output=True,
        text=True,
        preexec_fn=obey_permissions,
    )
    assert result.stdout.startswith(kind), result.stdout + result.stderr
    assert advice in result.stdout and "delete" not in result.stdout


def test_odd_tags_print_no_warning(tmp_path):
    for i, tag in enumerate(ODD_TAGS.values()):
        (tmp_path / f"{i}.tif").write_bytes(tiff_file(6, tag))
        (tmp_path / f"{i}.jpg").write_bytes(
            in_bytes(half_and_half(), "JPEG", exif=exif_block(6, tag))
        )
    code = "import sys; from course.files.pictures import *; check_images(sys.argv[1:])"
    command = [sys.executable, "-W", "always", "-c", code, *tmp_path.iterdir()]
    result = subprocess.run(command, capture_output=True, text=True)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
