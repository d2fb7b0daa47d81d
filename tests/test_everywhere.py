"""Any folder, any language and clock of the system, and a checkout that cannot be written."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from course.data import ClothingDataset
from course.files import paths
from new_python import be_nobody, obey_permissions
from notebook_files import NOTEBOOKS

ODD_NAME = "Olivier's garçons, größer 🎒"

USE_EVERYTHING = """
import warnings
import safetensors.torch, torch, torchvision
warnings.simplefilter("error")
from course import pretrained
from course.files import paths
from course.stand_ins import sketches
from course.checkpoint import load_checkpoint, save_checkpoint
from course.data import ClothingDataset, fashion_mnist, photo_transform
from course.features import extract_features
from course.models import ClothingClassifierMobileNet
from course.plots import show_images

sketches.COUNTS = {"train": 2, "validation": 1, "test": 1}
folder = sketches.draw_garments()
assert sketches.draw_garments() == folder == paths.SKETCHES
assert len(fashion_mnist(train=False)) == 10_000

pretrained.load_mobilenet_v2 = torchvision.models.mobilenet_v2  # any weights will do
dataset = ClothingDataset(folder / "validation", photo_transform(32))
features, _ = extract_features(ClothingClassifierMobileNet(), dataset).tensors
assert features.shape == (10, 1280)
assert len(list(paths.CACHE.glob("features-*"))) == 1
assert len(safetensors.torch.load_file(pretrained.STAND_IN)) > 100

head = torch.nn.Linear(3, 2)
optimizer = torch.optim.SGD(head.parameters())
paths.MODELS.mkdir(parents=True, exist_ok=True)
save_checkpoint(paths.MODELS / "last.pth", head, optimizer, epoch=4)
assert load_checkpoint(paths.MODELS / "last.pth", head, optimizer).epoch == 4
print("done in", paths.SKETCHES)
"""

ODD_SYSTEMS = {
    "ASCII only, clock of nowhere": {
        "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "TZ": "Nowhere/Land"
    },
    "Turkish, clock ahead of all": {
        "LC_ALL": "tr_TR.UTF-8", "PYTHONUTF8": "0", "TZ": "Pacific/Kiritimati"
    },
}  # fmt: skip


@pytest.fixture
def checkout() -> Iterator[Path]:
    """A copy of what the course needs, in a folder with an odd name."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, ODD_NAME)
        leave_out = shutil.ignore_patterns("__pycache__", "cache", "*-ubyte", "*.pth")
        for name in ("course", "models", "datasets/FashionMNIST"):
            shutil.copytree(paths.PROJECT / name, copy / name, ignore=leave_out)
        yield copy
        for path in (copy, *copy.rglob("*")):
            path.chmod(0o755)


def use_everything(
    checkout: Path, before: Callable[[], None] = obey_permissions, **environment: str
) -> str:
    """Run the important functions of the checkout, working in its parent folder."""
    ours = {"HOME": str(checkout.parent / "home"), "XDG_CACHE_HOME": "", "TQDM_DISABLE": "1"}
    rest = {k: v for k, v in os.environ.items() if k not in ("COURSE_DATASETS", "TORCH_HOME")}
    result = subprocess.run(
        [sys.executable, "-c", USE_EVERYTHING],
        env=rest | ours | {"PYTHONPATH": str(checkout)} | environment,
        cwd=checkout.parent,
        preexec_fn=before if os.name == "posix" else None,
        capture_output=True,
    )
    assert result.returncode == 0, result.stderr.decode(errors="replace")
    return result.stdout.decode(errors="replace")


@pytest.mark.parametrize("system", ODD_SYSTEMS)
def test_folder_language_and_clock_do_not_matter(system: str, checkout: Path) -> None:
    use_everything(checkout, **ODD_SYSTEMS[system])
    for written in ("datasets/drawn-garments/train/dress", "datasets/cache", "models/last.pth"):
        assert (checkout / written).exists()
    assert not list(checkout.parent.glob("home/**/pytorch-course"))


@pytest.mark.skipif(os.name == "nt", reason="Windows has no read-only bit for folders")
def test_a_read_only_checkout_is_left_as_it_is(checkout: Path) -> None:
    home = checkout.parent / "home"
    home.mkdir()
    before = sorted(checkout.rglob("*"))
    for path in (checkout, *before):
        path.chmod(0o555 if path.is_dir() else 0o444)
    assert str(home) in use_everything(checkout)
    assert sorted(checkout.rglob("*")) == before
    assert len(list(home.rglob("drawn-garments/train/dress/*.jpg"))) == 2
    assert len(list(home.rglob("pytorch-course/models/last.pth"))) == 1


@pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="only root becomes somebody else"
)
def test_a_user_without_a_name_and_a_home_can_use_it(checkout: Path) -> None:
    """As in a container that is started for any user: nothing but /tmp can be written."""
    temporary = checkout.parent / "temporary"
    temporary.mkdir()
    temporary.chmod(0o1777)
    for folder in (checkout.parent, *(path for path in checkout.rglob("*") if path.is_dir())):
        folder.chmod(0o755)
    before = sorted(checkout.rglob("*"))
    use_everything(checkout, be_nobody, HOME="/", TMPDIR=str(temporary))
    assert sorted(checkout.rglob("*")) == before
    (ours,) = temporary.glob("pytorch-course-*")
    assert len(list(ours.rglob("drawn-garments/train/dress/*.jpg"))) == 2
    assert (ours / "models" / "last.pth").exists()


def tracked_files() -> list[str]:
    command = ["git", "ls-files", "-z"]
    listing = subprocess.run(command, cwd=paths.PROJECT, capture_output=True, check=True).stdout
    return listing.decode().split("\0")[:-1]


def test_every_file_name_is_possible_on_every_system() -> None:
    files = tracked_files()
    folders = {parent.as_posix() for name in files for parent in Path(name).parents}
    names = {*files, *folders}
    assert len({name.lower() for name in names}) == len(names)
    reserved = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
    for name in files:
        assert len(name) < 100 and name.isascii()
        for part in name.split("/"):
            assert not re.search(r'[<>:"\\|?*\x00-\x1f]|[. ]$', part), name
            assert not reserved.fullmatch(part), name


def names_no_encoding(call: ast.Call) -> bool:
    """Whether a call reads or writes text in whatever encoding the system prefers."""
    function = call.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    texts = [a.value for a in call.args if isinstance(a, ast.Constant) and type(a.value) is str]
    if any(keyword.arg == "encoding" for keyword in call.keywords):
        return False
    if name == "open":
        modes = [text for text in texts if re.fullmatch("[rwxabt+]+", text)]
        by_default = not call.args if isinstance(function, ast.Attribute) else len(call.args) == 1
        return (by_default or bool(modes)) and not call.keywords and "b" not in "".join(modes)
    return name in ("read_text", "write_text")


def test_text_files_are_opened_with_their_encoding() -> None:
    sources = {
        path.name: path.read_text(encoding="utf-8")
        for folder in ("course", "tests")
        for path in (paths.PROJECT / folder).rglob("*.py")
    }
    for path in NOTEBOOKS:
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            if cell["cell_type"] == "code":
                source = re.sub(r"^%%.*", "", "".join(cell["source"]))  # a cell that writes a file
                sources[f"{path.name}, cell {cell['id']}"] = source
    wrong = [
        f"{name}: {ast.unparse(node)}"
        for name, source in sources.items()
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and names_no_encoding(node)
    ]
    assert not wrong, "\n".join(wrong)


def test_the_encoding_rule_knows_text_from_bytes() -> None:
    for code in ("open(p)", "open(p, 'w')", "p.open()", "p.open('a')", "p.read_text()"):
        assert names_no_encoding(ast.parse(code, mode="eval").body), code
    for code in (
        "open(p, 'rb')",
        "Image.open(p)",
        "tarfile.open(fileobj=p, mode='w')",
        "p.open('wb')",
        "p.read_text(encoding='utf-8')",
    ):
        assert not names_no_encoding(ast.parse(code, mode="eval").body), code


def test_class_folders_that_differ_by_case_are_refused(tmp_path: Path) -> None:
    for name in ("dress", "Dress", "hat"):
        (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / name / "1.JPG").touch()
    if len(list(tmp_path.iterdir())) == 2:  # the file system takes them for one
        assert len(ClothingDataset(tmp_path)) == 2
    else:
        with pytest.raises(ValueError, match=r"look alike: \['Dress', 'dress'\]: rename one"):
            ClothingDataset(tmp_path)
