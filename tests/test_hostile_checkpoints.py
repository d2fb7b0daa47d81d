"""Checkpoints made to do harm: each is refused by name, none runs code.

None takes more than 256 MiB of address space beyond what torch itself needs. A process that may
not have more loads them all, and none of the refusals is the system's refusal of memory.
"""

import builtins
import io
import json
import os
import pickle
import struct
import subprocess
import sys
import tarfile
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from course.checkpoint import CheckpointError, load_checkpoint, save_checkpoint

MARKER = "ran"  # a folder that a payload makes in the current one
LIMIT = 256 * 2**20


class Call:
    """An object whose pickle calls `function`."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


def torch_file(content: Any, **options: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer, **options)
    return buffer.getvalue()


def parts() -> tuple[nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(0)
    model = nn.Linear(8, 4)
    return model, torch.optim.Adam(model.parameters())


def sound(folder: Path) -> bytes:
    model, optimizer = parts()
    model(torch.ones(1, 8)).sum().backward()
    optimizer.step()
    save_checkpoint(folder / "sound.pth", model, optimizer, epoch=1)
    return (folder / "sound.pth").read_bytes()


def rebuilt(content: bytes, changes: dict[str, bytes], kind: int = zipfile.ZIP_STORED) -> bytes:
    """The same archive with some records replaced or added."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(buffer, "w", kind) as new:
        records = {name: old.read(name) for name in old.namelist()} | changes
        for name, data in records.items():
            new.writestr(zipfile.ZipInfo(name), data, compress_type=kind)
    return buffer.getvalue()


def lying_sizes(content: bytes, claim: int) -> bytes:
    """The first tensor claims `claim` numbers in the table of contents of the archive."""
    start = content.rindex(b"archive/data/0") - 46  # its entry in the central directory
    sizes = struct.pack("<II", claim, claim)
    return content[: start + 20] + sizes + content[start + 28 :]


def more_numbers(content: bytes) -> bytes:
    """The pickle claims a weight of 2**30 numbers; the record behind it has 32."""
    old = zipfile.ZipFile(io.BytesIO(content)).read("archive/data.pkl")
    position = old.index(b"K ", old.index(b"cpu"))
    return rebuilt(
        content, {"archive/data.pkl": old[:position] + b"J\0\0\0\x40" + old[position + 2 :]}
    )


def larger_view(content: bytes) -> bytes:
    """The pickle asks for a tensor of 2**30 x 8 numbers from a storage of 32."""
    old = zipfile.ZipFile(io.BytesIO(content)).read("archive/data.pkl")
    return rebuilt(
        content, {"archive/data.pkl": old.replace(b"K\x04K\x08\x86", b"J\0\0\0\x40K\x08\x86", 1)}
    )


def long_sizes(content: bytes) -> bytes:
    """A tensor of 100,000 dimensions, each a number of 100 bits."""
    old = zipfile.ZipFile(io.BytesIO(content)).read("archive/data.pkl")
    many = b"(" + (b"\x8a\x0d" + b"\x7f" * 13) * 100_000 + b"t"
    assert b"K\x04K\x08\x86" in old
    return rebuilt(content, {"archive/data.pkl": old.replace(b"K\x04K\x08\x86", many, 1)})


def twice(content: bytes) -> bytes:
    """Two records of one name: which one is meant?"""
    buffer = io.BytesIO(content)
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr("archive/data/0", bytes(128))
    return buffer.getvalue()


def changed(content: bytes, **changes: Any) -> bytes:
    return torch_file({**torch.load(io.BytesIO(content), weights_only=True), **changes})


def legacy_tar() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name in ("sys_info", "pickle", "storages", "tensors"):
            data = pickle.dumps(Call(os.mkdir, MARKER), protocol=2)
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def torchscript() -> bytes:
    code = b"import os\nos.mkdir('ran')\n"
    return rebuilt(
        torch_file({}), {"archive/constants.pkl": b"\x80\x02).", "archive/code/__torch__.py": code}
    )


def asks_for(program: bytes) -> bytes:
    return rebuilt(torch_file({}), {"archive/data.pkl": b"\x80\x02" + program + b"."})


def with_state(content: bytes) -> bytes:
    """A tensor that is given other memory than it has, after it was made."""
    program = zipfile.ZipFile(io.BytesIO(content)).read("archive/data.pkl")
    return rebuilt(content, {"archive/data.pkl": program[:-1] + b")b."})


def nested_tuples() -> bytes:
    """A pair of one pair twice, and so on, as a key: hashing it takes 2**60 steps."""
    pairs = b"".join(b"q%ch%c\x86" % (number, number) for number in range(60))
    return asks_for(b"})" + pairs + b"K\1s")


def nested_lists() -> list[Any]:
    lists: list[Any] = []
    for _ in range(60):
        lists = [lists, lists]
    return lists


def ring() -> list[Any]:
    lists: list[Any] = []
    lists.append(lists)
    return lists


def other_metadata(content: bytes) -> bytes:
    loaded = torch.load(io.BytesIO(content), weights_only=True)
    loaded["model"]._metadata = 3
    return torch_file(loaded)


def safetensors(header: str, claim: int | None = None) -> bytes:
    return struct.pack("<Q", len(header) if claim is None else claim) + header.encode() + bytes(64)


def hostile(folder: Path) -> dict[str, bytes]:
    good = sound(folder)
    content = torch.load(io.BytesIO(good), weights_only=True)
    wide = torch.zeros(1, dtype=torch.float64).expand(2**20, 2**20)
    state = {**content["optimizer"]["state"], "state": {0: {"exp_avg": wide}}}
    slip = "../" * 4 + MARKER
    return {
        "os.system": torch_file({**content, "extra": Call(os.system, f"mkdir {MARKER}")}),
        "os.mkdir": torch_file({**content, "extra": Call(os.mkdir, MARKER)}),
        "eval": torch_file(Call(builtins.eval, f"__import__('os').mkdir({MARKER!r})")),
        "in the weights": torch_file({**content, "model": {"weight": Call(os.mkdir, MARKER)}}),
        "getattr": torch_file(OrderedDict(state=Call(getattr, "", "format_map"))),
        "plain pickle": pickle.dumps(Call(os.mkdir, MARKER)),
        "legacy torch": torch_file(
            Call(os.mkdir, MARKER), _use_new_zipfile_serialization=False
        ),
        "legacy tar": legacy_tar(),
        "torchscript": torchscript(),
        "hostile pickle, good tensors": rebuilt(
            good, {"archive/data.pkl": pickle.dumps(Call(os.mkdir, MARKER), protocol=2)}
        ),
        "second pickle": rebuilt(
            good, {"archive/DATA.PKL": pickle.dumps(Call(os.mkdir, MARKER), protocol=2)}
        ),
        "nested persistent ids": asks_for(
            b"((X\x07\0\0\0storagecposix\nmkdir\n(X\x03\0\0\0ranttRQtQ"
        ),
        "protocol 4": asks_for(b"\x8c\x05posix\x8c\x05mkdir\x93\x8c\x03ran\x85R"),
        "instance": asks_for(b"(X\x03\0\0\0raniposix\nmkdir\n"),
        "allocates by bytearray": asks_for(b"cbuiltins\nbytearray\n\x8a\x05\0\0\0\0\x10\x85R"),
        "allocates by storage": asks_for(
            b"ctorch.storage\nUntypedStorage\n\x8a\x05\0\0\0\0\x10\x85R"
        ),
        "allocates by tensor": asks_for(b"ctorch\nTensor\n\x8a\x05\0\0\0\0\x10\x85R"),
        "allocates by the memory of another tensor": asks_for(
            b"ctorch.storage\nUntypedStorage\nq\0h\0\x8a\x05\0\0\0\0\x10\x85R"
        ),
        "allocates by a kind of memory": asks_for(b"ctorch\nUntypedStorage\nK\x05\x85R"),
        "allocates by a new object": asks_for(b"ctorch.storage\nUntypedStorage\nK\x05\x85\x81"),
        "calls a dtype": asks_for(b"ctorch\nuint16\n)R"),
        "calls what a call gave": asks_for(b"ccollections\nOrderedDict\n)R)R"),
        "calls a text": asks_for(b"X\x17\0\0\0collections OrderedDict)R"),
        "calls a mark": asks_for(b"(()R"),
        "takes more than there is": asks_for(b"R"),
        "remembers nothing": asks_for(b"h\x07"),
        "attributes for a tensor": with_state(torch_file(torch.ones(2))),
        "attributes for a list": asks_for(b"]}b"),
        "list of itself": changed(good, about=ring()),
        "list in list in list": changed(good, about=nested_lists()),
        "kind in list in list": changed(
            good, optimizer={**content["optimizer"], "kind": nested_lists()}
        ),
        "tuple in tuple as a key": nested_tuples(),
        "metadata of another kind": other_metadata(good),
        "bomb": rebuilt(good, {"archive/data/0": bytes(LIMIT)}, zipfile.ZIP_DEFLATED),
        "long pickle": asks_for(b"]" * 5_000_000),
        "deep pickle": asks_for(b"]" * 100_000 + b"a" * 99_999),
        "lying record": lying_sizes(good, 2**31),
        "more numbers than bytes": more_numbers(good),
        "view beyond its storage": larger_view(good),
        "moments that would unfold": changed(
            good, optimizer={**content["optimizer"], "state": state}
        ),
        "position beside the numbers": changed(
            good, numpy_random=(*content["numpy_random"][:2], 10**6, 0, 0.0)
        ),
        "random state of nothing": changed(good, torch_random=torch.zeros(3)),
        "no history": changed(good, history={"__class__": 1}),
        "version as a tensor": changed(good, version=torch.zeros(3)),
        "two records of one name": twice(good),
        "sizes that take long to multiply": long_sizes(good),
        "version as a novel": changed(good, version="1\n\x1b[2J" * 100_000),
        "slip": rebuilt(good, {f"archive/{slip}": b"x"}),
        "absolute": rebuilt(good, {f"/tmp/{MARKER}": b"x"}),
        "line break": rebuilt(good, {"archive/data/0\n1": b"x"}),
        "weight with a line break": changed(
            good, model={"weight": torch.zeros(4, 8), "bias\n\x1b[2J": torch.zeros(4)}
        ),
        "safetensors, long header": safetensors("{}", 2**62),
        "safetensors, overlapping": safetensors(
            '{"a":{"dtype":"F32","shape":[8],"data_offsets":[0,32]},'
            '"b":{"dtype":"F32","shape":[8],"data_offsets":[16,48]}}'
        ),
        "safetensors, unknown dtype": safetensors(
            '{"a":{"dtype":"X99","shape":[8],"data_offsets":[0,32]}}'
        ),
    }  # fmt: skip


def load_all(folder: Path) -> None:
    """Load every file of `folder` with little memory; print what happened to each."""
    parts()  # what torch imports late is not the files' doing
    if sys.platform == "linux":
        import resource

        used = int(Path("/proc/self/statm").read_bytes().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + LIMIT, used + LIMIT))
    results = {}
    for path in sorted(folder.glob("*.pth")):
        model, optimizer = parts()
        before = model.weight.detach().clone(), torch.get_rng_state()
        try:
            load_checkpoint(path, model, optimizer)
            results[path.stem] = "LOADED"
        except CheckpointError as error:
            results[path.stem] = str(error)
            cause = str(error.__cause__).split("\n")[0]  # without torch's list of its functions
            short = isinstance(error.__cause__, MemoryError) or "alloc" in cause
            unchanged = torch.equal(before[0], model.weight) and not optimizer.state
            if short or not unchanged or not torch.equal(before[1], torch.get_rng_state()):
                results[path.stem] = f"CHANGED OR OUT OF MEMORY: {error.__cause__}"
    print(json.dumps(results))


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("hostile")
    files = hostile(folder)
    (folder / "a sound one.pth").write_bytes((folder / "sound.pth").read_bytes())
    for name, content in files.items():
        (folder / f"{name}.pth").write_bytes(content)
    result = subprocess.run(
        [sys.executable, __file__, folder], cwd=folder, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    assert not list(folder.rglob(MARKER)), "a payload ran"
    assert not Path("/tmp", MARKER).exists()
    found: dict[str, str] = json.loads(result.stdout)
    assert found.pop("a sound one") == found.pop("sound") == "LOADED"
    assert sorted(found) == sorted(files)
    return found


def test_at_least_twelve_and_each_is_refused_by_name(results: dict[str, str]) -> None:
    assert len(results) >= 12
    wrong = {
        name: text[:300]
        for name, text in results.items()
        if f"{name}.pth" not in text or not text.isprintable() or len(text) > 1000
    }
    assert not wrong


def test_some_in_this_process_too(tmp_path: Path) -> None:
    files = hostile(tmp_path)
    for name, match in {
        "slip": "such records",
        "second pickle": "such records",
        "long pickle": "would grow",
        "os.mkdir": "stranger's code",
        "bomb": "would grow",
        "lying record": "would grow",
        "more numbers than bytes": "claims other bytes",
        "position beside the numbers": "no such random state",
        "moments that would unfold": "claims other bytes",
        "sizes that take long to multiply": "argument 'size' failed",
        "allocates by the memory of another tensor": "calls 'torch.storage UntypedStorage'",
        "allocates by a kind of memory": "calls 'torch UntypedStorage'",
        "allocates by a new object": "instructions that torch.save.. does not write",
        "calls a dtype": "calls 'torch uint16'",
        "calls what a call gave": "calls 'made by collections OrderedDict'",
        "calls a text": "calls ''",
        "attributes for a tensor": "sets the attributes",
        "list of itself": "would grow",
        "list in list in list": "would grow",
        "tuple in tuple as a key": "would grow",
    }.items():
        (tmp_path / "x.pth").write_bytes(files[name])
        with pytest.raises(CheckpointError, match=match):
            load_checkpoint(tmp_path / "x.pth", *parts())


def test_torch_alone_would_obey_them(tmp_path: Path) -> None:
    """What is refused here beyond ``weights_only=True``, and what it would do."""
    files = hostile(tmp_path)
    five = asks_for(b"ctorch.storage\nUntypedStorage\nK\x05\x85R")
    assert torch.load(io.BytesIO(five), weights_only=True).nbytes() == 5
    torch.load(io.BytesIO(files["attributes for a tensor"]), weights_only=True)


def test_the_payloads_are_real(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for call in (
        Call(os.system, f"mkdir {MARKER}"),
        Call(os.mkdir, MARKER),
        Call(builtins.eval, f"__import__('os').mkdir({MARKER!r})"),
    ):
        for zipped in (True, False):
            content = torch_file(call, _use_new_zipfile_serialization=zipped)
            torch.load(io.BytesIO(content), weights_only=False)
            os.rmdir(MARKER)


if __name__ == "__main__":
    load_all(Path(sys.argv[1]))
