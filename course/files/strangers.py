"""What a file is that ``torch.save()`` did not write, told by its first bytes."""

from collections.abc import Collection

HEAD = 512  # how many bytes have to be looked at
GET = "check the path or get it again"
OPEN = "give the file of a model"
UNPACK = "unpack it first"
# How torch.save() began its files before it wrote zip archives.
OLD_TORCH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
CONVERT = "load it once with torch.load(path, weights_only=True) and save the result again"

KINDS = [  # what a file begins with, what it is, what to do
    (b"version https://git-lfs", "a Git LFS pointer", "run `git lfs pull`"),
    (OLD_TORCH, "a file of torch before version 1.6", CONVERT),
    (b"\x89HDF", "an HDF5 file, as Keras writes them", "save the model with torch"),
    (b"GGUF", "a GGUF file", "it is for llama.cpp: get the weights as a file of torch"),
    (b"\x93NUMPY", "a NumPy array", "read it with numpy.load()"),
    (b"\x89PNG", "a picture", OPEN),
    (b"\xff\xd8\xff", "a picture", OPEN),
    (b"GIF8", "a picture", OPEN),
    (b"RIFF", "a picture or a sound", OPEN),
    (b"%PDF", "a PDF", OPEN),
    (b"PK", "a damaged zip archive", GET),
    (b"\x1f\x8b", "a compressed archive", UNPACK),
    (b"BZh", "a compressed archive", UNPACK),
    (b"\xfd7zXZ", "a compressed archive", UNPACK),
    (b"7z\xbc\xaf", "a compressed archive", UNPACK),
    (b"Rar!", "a compressed archive", UNPACK),
]
ZIPS = [  # a part of the name of a record, what the archive is, what to do
    ("constants.pkl", "a TorchScript model", "torch.jit.load() is for it, if you trust its maker"),
    ("archive_format", "a program of torch.export", "torch.export.load() is for it"),
    (".npy", "an archive of NumPy arrays", "read it with numpy.load()"),
    ("model.weights.h5", "a Keras model", "save the model with torch"),
]


def kind_of_file(head: bytes) -> tuple[str, str]:
    """What a file is that begins with `head`, and what to do about it."""
    text = head.lstrip().lower()
    if not head:
        return "an empty file", GET
    for start, kind, advice in KINDS:
        if head.startswith(start):
            return kind, advice
    if text.startswith((b"<!doctype", b"<html", b"<head")):
        return "a web page", "download the file itself: such pages have a button for it"
    if head[4:9] == b"\0\0\0\0{":  # after the length of the header, which is below 4 GB
        return "a safetensors file", "read it with safetensors.torch.load_file()"
    if text.startswith((b"{", b"[")):
        return "a JSON file, which is a text", "give the file of weights that lies beside it"
    if head[:1] == b"\x08" and head[2:3] in (b"\x12", b"\x1a", b"\x3a", b"\x42"):
        return "an ONNX file", "it is for onnxruntime: give the file that torch.save() wrote"
    if head[257:262] == b"ustar":
        return "a tar archive", UNPACK
    if head[:1] == b"\x80" and head[1:2] <= b"\x05":
        return "a pickle, which could run a stranger's code", "get it as a file of torch.save()"
    return "no file of weights", GET


def kind_of_zip(names: Collection[str]) -> tuple[str, str]:
    """What a zip archive is that holds records of these `names`, and what to do about it."""
    for part, kind, advice in ZIPS:
        if any(part in name for name in names):
            return kind, advice
    return "another zip archive", UNPACK
