"""The small backbone: its file is read or refused with advice, and can be made again."""

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor
from torchvision.models import mobilenet_v2

from course import stand_ins
from course.data import FASHION_CLASSES, IMAGENET_MEAN, IMAGENET_STD
from course.files import paths
from course.stand_ins import STAND_IN, load_stand_in, train_backbone
from course.stand_ins.dressing import Dice, dress_up, pattern, silhouette
from course.stand_ins.train_backbone import Stage


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the shipped file, in its place."""
    path = Path(shutil.copy(STAND_IN, tmp_path))
    monkeypatch.setattr(stand_ins, "STAND_IN", path)
    return path


# --- Reading the file


def test_the_weights_fit_the_architecture_and_are_float32(copy: Path) -> None:
    weights = load_stand_in()
    mobilenet_v2(num_classes=len(FASHION_CLASSES)).load_state_dict(weights)
    assert {value.dtype for value in weights.values()} == {torch.float32, torch.int64}
    assert all(value.isfinite().all() for value in weights.values())


def test_a_missing_file_is_to_be_got_again(copy: Path) -> None:
    copy.unlink()
    with pytest.raises(FileNotFoundError, match="is missing: .*git checkout -- models/fashion_mo"):
        load_stand_in()


def test_a_course_without_its_folders_is_to_be_installed_again(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy.unlink()
    monkeypatch.setattr(paths, "PROJECT", copy.parent)
    with pytest.raises(FileNotFoundError, match="without its folders.*pip install -e") as caught:
        load_stand_in()
    assert "git checkout" not in str(caught.value)


@pytest.mark.parametrize("size", [0, 7, 100, 2_000_000, -1])
def test_a_cut_file_is_damaged(copy: Path, size: int) -> None:
    content = copy.read_bytes()
    copy.write_bytes(content[:size])
    with pytest.raises(ValueError, match="is damaged .*git checkout") as caught:
        load_stand_in()
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    "tensors",
    [{}, {"weight": torch.ones(2)}, mobilenet_v2(num_classes=7).state_dict()],
    ids=["nothing", "something else", "other classes"],
)
def test_a_whole_file_of_something_else_is_damaged(copy: Path, tensors: dict[str, Tensor]) -> None:
    save_file(tensors, copy)
    with pytest.raises(ValueError, match="is damaged .*git checkout") as caught:
        load_stand_in()
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (PermissionError(errno.EACCES, "Permission denied"), "ask for the right"),
        (OSError(errno.EIO, "Input/output error"), "connect it"),
        (OSError(errno.ESTALE, "Stale file handle"), "connect it"),
        (MemoryError(), "close other notebooks"),
    ],
)
def test_trouble_of_the_system_is_no_damage(
    error: BaseException, advice: str, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> bytes:
        raise error

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(type(error), match="cannot be read") as caught:
        load_stand_in()
    assert advice in str(caught.value)
    assert str(copy) in str(caught.value)
    assert "git checkout" not in str(caught.value)


@pytest.mark.parametrize("what", ["folder", "file in the way"])
def test_something_else_in_its_place_is_no_damage(copy: Path, what: str) -> None:
    copy.unlink()
    if what == "folder":
        copy.mkdir()
    else:
        stand_ins.STAND_IN = copy.parent / "file" / copy.name  # the fixture sets it back
        (copy.parent / "file").touch()
    with pytest.raises(OSError, match="cannot be read .*"):
        load_stand_in()


# --- Making it again


@pytest.fixture
def grey() -> Tensor:
    """Two bright discs with a dark spot, as if they were clothes: ``(2, 28, 28) uint8``."""
    y, x = torch.meshgrid(torch.arange(28), torch.arange(28), indexing="ij")
    disc = (x - 14) ** 2 + (y - 14) ** 2 < 100
    disc[14, 14] = False
    return (disc * torch.tensor([120, 250])[:, None, None]).to(torch.uint8)


@pytest.mark.parametrize("size", [24, 64, 112, 224])
def test_dressed_up_pictures_are_normalised_pictures(grey: Tensor, size: int) -> None:
    torch.manual_seed(0)
    images = dress_up(grey, size)
    assert images.shape == (2, 3, size, size)
    assert images.dtype == torch.float32
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (IMAGENET_MEAN, IMAGENET_STD))
    values = images * std + mean
    assert -1e-5 < values.min() < values.max() < 1 + 1e-5
    assert values.std() > 0.05


def test_a_picture_looks_different_each_time_and_the_same_with_the_same_seed(grey: Tensor) -> None:
    torch.manual_seed(0)
    first, second = dress_up(grey, 32), dress_up(grey, 32)
    torch.manual_seed(0)
    assert torch.equal(dress_up(grey, 32), first)
    assert not torch.allclose(first, second, atol=0.1)
    assert not torch.allclose(first[0], first[1], atol=0.1)


def test_the_silhouette_has_no_hole(grey: Tensor) -> None:
    bright = grey.unsqueeze(1) > 0
    closed = silhouette(grey.unsqueeze(1) / 255)
    assert closed[:, 0, 14, 14].tolist() == [1, 1]
    assert closed[bright].min() == 1
    assert closed[:, 0, 0, 0].tolist() == [0, 0]


def test_four_fabrics_in_ten_have_a_pattern() -> None:
    torch.manual_seed(0)
    patterns = pattern(Dice(1000, 24, torch.device("cpu")))
    assert 0 <= patterns.min() < patterns.max() <= 1
    assert 300 < (patterns.amax(dim=(1, 2, 3)) > 0).sum() < 500


@pytest.mark.parametrize("fraction", ["1", "1e-9"])
def test_a_small_training_writes_a_file_that_can_be_loaded(
    fraction: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    output = tmp_path / "new folder" / "backbone.safetensors"
    few = SimpleNamespace(
        data=torch.randint(256, (12, 28, 28), dtype=torch.uint8), targets=torch.arange(12) % 10
    )
    monkeypatch.setattr(train_backbone, "fashion_mnist", lambda train: few)
    monkeypatch.setattr(train_backbone, "STAGES", [Stage(24, 5, 1.5, 0.1), Stage(32, 4, 0.5, 0.01)])
    monkeypatch.setattr(sys, "argv", ["train", "--output", str(output), "--fraction", fraction])
    train_backbone.main()
    lines = capsys.readouterr().out.splitlines()
    assert len([line for line in lines if line.startswith("accuracy on")]) == 4
    assert os.listdir(output.parent) == [output.name]

    monkeypatch.setattr(stand_ins, "STAND_IN", output)
    weights = load_stand_in()
    steps = {"1": 12 * 1.5 // 5 + 12 * 0.5 // 4, "1e-9": 2}[fraction]
    assert weights["features.0.1.num_batches_tracked"] == steps
    with safe_open(output, "pt") as file:
        assert file.metadata()["classes"] == ", ".join(FASHION_CLASSES)
        assert file.get_tensor("classifier.1.bias").dtype == torch.float16


def test_importing_the_stand_ins_loads_neither_torch_nor_torchvision() -> None:
    code = "import sys, course.stand_ins; print({'torch', 'torchvision'} & sys.modules.keys())"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "set()"
