"""What a file really holds, told by its first bytes and not by its name.

What people meet under the name of a photo is often something else: a HEIC photo of a phone that was
only renamed, the web page of a server that had no photo, or the small text that Git LFS leaves in
place of a large file. Each has its own remedy.
"""

LENGTH_OF_START = 512  # bytes that are enough to tell

# The kinds of pictures that can be read, under the names that Pillow has for them.
# Numbers are the places of the bytes in the file. GIF, for example, begins with "GIF8".
SIGNATURES: list[tuple[int, bytes, str]] = [
    (0, b"\xff\xd8\xff", "JPEG"),
    (0, b"\x89PNG\r\n\x1a\n", "PNG"),
    (0, b"GIF8", "GIF"),
    (0, b"BM", "BMP"),
    (0, b"II*\0", "TIFF"),
    (0, b"MM\0*", "TIFF"),
    (0, b"II+\0", "TIFF"),  # BigTIFF, for more than 4 GB
    (0, b"MM\0+", "TIFF"),
    (8, b"WEBPVP8", "WEBP"),
]

# The same for what is no picture that can be read.
OTHER_SIGNATURES: list[tuple[int, bytes, str]] = [
    (0, b"version https://git-lfs", "a Git LFS pointer"),
    (0, b"\xff\x0a", "a JPEG XL photo"),
    (0, b"\0\0\0\x0cJXL ", "a JPEG XL photo"),
    (0, b"\0\0\0\x0cjP  ", "a JPEG 2000 photo"),
    (0, b"\xff\x4f\xff\x51", "a JPEG 2000 photo"),
    (0, b"8BPS", "a Photoshop document"),
    (0, b"%PDF", "a PDF document"),
    (0, b"%!PS", "a PostScript document"),
    (0, b"PK\3\4", "a ZIP archive"),
    (0, b"Rar!", "a RAR archive"),
    (0, b"7z\xbc\xaf", "a 7-Zip archive"),
    (0, b"\x1f\x8b", "a gzip archive"),
    (0, b"\x1aE\xdf\xa3", "a film"),
    (8, b"AVI ", "a film"),
    (4, b"ftyp", "a film"),
    (0, b"bplist", "a property list of macOS"),
]

# HEIC, AVIF and films all begin with the size of a box, "ftyp" and one of many brands.
HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}
AVIF_BRANDS = {b"avif", b"avis"}

REMEDIES = {
    "a HEIC photo": "save it as JPEG",
    "AVIF": "save it as JPEG, or update Pillow",
    "a JPEG XL photo": "save it as JPEG",
    "a JPEG 2000 photo": "save it as JPEG",
    "a Git LFS pointer": "run `git lfs pull` to fetch the picture itself",
}
USUAL_REMEDY = "save it again, replace it or delete it"


def what_it_is(start: bytes) -> str:
    """Name the content of a file: "JPEG", "PNG" and so on for pictures, else words for people.

    Args:
        start: the first `LENGTH_OF_START` bytes of the file, or all if it has fewer.
    """
    if not start:
        return "empty"
    if not start.strip(b"\0"):
        return "nothing but zeros, as when a copy is interrupted"
    brands = _brands(start)
    if brands & AVIF_BRANDS:
        return "AVIF"
    if brands & HEIC_BRANDS:
        return "a HEIC photo"
    for place, signature, kind in SIGNATURES + OTHER_SIGNATURES:
        if start.startswith(signature, place):
            return kind
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype html", b"<html", b"<head", b"<body")) or b"<html" in text:
        return "a web page"
    if b"<svg" in text:
        return "an SVG drawing"
    return f"unknown, it begins with {start[:8]!r}"


def _brands(start: bytes) -> set[bytes]:
    """The brands in the first box of an ISO media file, four bytes each; none in other files."""
    if start[4:8] != b"ftyp":
        return set()
    size = int.from_bytes(start[:4], "big")
    box = start[8:size]  # the main brand, a version, and all brands that fit
    return {box[i : i + 4] for i in range(0, len(box), 4)}
