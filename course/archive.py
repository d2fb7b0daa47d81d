"""Look into a file that torch.save() may have written, before torch.load() acts on it."""

import os
import pickle
import re
import zipfile
from typing import Any, BinaryIO

import torch

RECORDS = re.compile(r"\w+/(\.?data/)?\.?\w+(\.pkl)?")  # what torch.save() calls its records
GLOBALS = re.compile(  # all that the pickle of a checkpoint has to ask for
    r"collections (OrderedDict|Counter)|torch Size|torch\._utils _rebuild_tensor_v2"
    r"|torch (?!Typed|Untyped)\w+Storage"
)


class Promises(pickle.Unpickler):
    """Reads the pickle of a checkpoint without making a tensor, to see what it promises.

    It may ask for harmless things only, and each tensor must claim the bytes that its record has:
    torch 2.6 does not compare them and reads on in memory that belongs to others.
    """

    def __init__(self, archive: zipfile.ZipFile, record: zipfile.ZipInfo) -> None:
        super().__init__(archive.open(record))
        self.archive, self.folder = archive, record.filename.removesuffix("data.pkl")

    def find_class(self, module: str, name: str) -> Any:
        if not GLOBALS.fullmatch(f"{module} {name}"):
            raise pickle.UnpicklingError(f"it asks for {module} {name!r:.80}")
        if name.endswith("Storage"):
            return name
        if name == "_rebuild_tensor_v2":
            return lambda *args: None
        return super().find_class(module, name)

    def persistent_load(self, pid: Any) -> None:
        _, storage, key, _, length = pid
        claimed = length * getattr(torch, storage.replace("Storage", "Tensor")).dtype.itemsize
        if claimed != self.archive.getinfo(f"{self.folder}data/{key}").file_size:
            raise zipfile.BadZipFile("a tensor claims other bytes than it has")


def check_archive(file: BinaryIO) -> None:
    """Refuse what torch.save() would not have written for a checkpoint.

    Raises:
        pickle.UnpicklingError: if it holds more than tensors and plain values.
        zipfile.BadZipFile, KeyError: if it is damaged or its parts do not fit one another.
    """
    size = file.seek(0, os.SEEK_END)
    with zipfile.ZipFile(file) as archive:
        records = archive.infolist()
        pickles = [record for record in records if record.filename.lower().endswith(".pkl")]
        if not all(RECORDS.fullmatch(record.filename) for record in records):
            raise pickle.UnpicklingError("it has records of other names")
        if len(pickles) != 1 or pickles[0].file_size > 2**22:  # the tensors lie outside
            raise pickle.UnpicklingError("it has other pickles")
        if sum(record.file_size for record in records) > size or archive.comment:
            raise zipfile.BadZipFile("it would grow while unpacking")
        if damaged := archive.testzip():  # torch.load() does not compare the checksums
            raise zipfile.BadZipFile(f"wrong checksum in {damaged}")
        Promises(archive, pickles[0]).load()
