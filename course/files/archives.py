"""Looking into the archives that ``torch.save()`` writes, before anything in them is loaded."""

import os
import pickletools
import re
import zipfile
from typing import BinaryIO

RECORDS = re.compile(r"\w+/(data\.pkl|(\.?data/)?\.?\w+)")  # what torch.save() calls its records
HARMLESS = re.compile(
    r"collections (OrderedDict|Counter)|torch (Size|\w+Storage)|torch\._utils _rebuild_tensor_v2"
)  # what the pickle of a checkpoint may ask for


def check_archive(file: BinaryIO) -> int:
    """Bytes of all tensors; raises an error of any kind for what torch.save() does not write."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    if file.read(4) != b"PK\3\4":  # torch.load() would take it for one of its older formats
        raise ValueError("torch.save() did not write it")
    with zipfile.ZipFile(file) as archive:
        records, folder = archive.infolist(), archive.namelist()[0].split("/")[0]
        sizes = {record.filename.partition("/")[2].lower(): record.file_size for record in records}
        if len(sizes) < len(records) or not all(map(RECORDS.fullmatch, archive.namelist())):
            raise ValueError("torch.save() does not write such records")
        if sum(sizes.values()) > size or sizes["data.pkl"] > 2**22 or archive.comment:
            raise ValueError("it would grow while loading")
        if damaged := archive.testzip():  # torch.load() does not compare the checksums
            raise ValueError(f"wrong checksum in {damaged}")
        program = pickletools.genops(archive.read(f"{folder}/data.pkl"))
        calls = {str(argument) for opcode, argument, _ in program if opcode.name == "GLOBAL"}
        if strange := ", ".join(sorted(call for call in calls if not HARMLESS.fullmatch(call))):
            raise ValueError(f"it asks for {strange!r:.80}, which could run a stranger's code")
        return sum(sizes[name] for name in sizes if name.startswith("data/"))
