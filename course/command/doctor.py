"""``course doctor``: try what the course will do, and say how it went.

Each line begins with ``ok``, with ``note`` where the course works and something could be better, or
with ``fault`` where it will not work. What is missing is not fetched; what is damaged is repaired,
as in any other use of the course.
"""

import importlib.util
import os
import platform
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from course.command.errors import explain
from course.command.lines import printable
from course.command.places import has_home, places
from course.files import paths
from course.files.downloads import DownloadError
from course.waiting import CHOSEN_BY_USER

Line = tuple[str, str]  # the level, and what was found
DOWNLOAD = "run `python -m course download`; until then a stand-in is used"
GIGABYTE = 1e9


def report() -> int:
    """Try everything, print a line for each; returns 1 if there is a fault, else 0."""
    faults = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what they are about is said in the lines
        for check in CHECKS:
            for level, text in safely(check):
                print(f"{level:7} {printable(text)}", flush=True)
                faults += level == "fault"
    return 1 if faults else 0


def safely(check: Callable[[], Iterable[Line]]) -> Iterator[Line]:
    """The lines of a check, and one more for an error that it did not expect."""
    name = check.__name__.removeprefix("check_").replace("_", " ")
    try:
        yield from check()
    except DownloadError as error:  # then a stand-in is used
        yield "note", f"{name}: {explain(error)}"
    except Exception as error:  # what is broken can fail in any way
        yield "fault", f"{name}: {explain(error)}"


def check_installation() -> Iterator[Line]:
    """The version of Python, and whether the folders of the course are here."""
    yield "ok", f"Python {platform.python_version()} in {sys.prefix}"
    if paths.installed_without_folders():
        yield "fault", paths.HOW_TO_INSTALL
    if not has_home():
        yield "fault", "this user has no home, which Jupyter needs: set HOME to a folder"


def check_torch() -> Iterator[Line]:
    """Whether torch and torchvision fit each other, and whether the device computes."""
    try:
        import torch
        import torchvision

        boxes, scores = torch.tensor([[0.0, 0.0, 1.0, 1.0]]), torch.ones(1)
        torchvision.ops.nms(boxes, scores, 0.5)  # compiled for one version of torch
    except Exception as error:  # what does not fit can fail in any way
        reason = " ".join(str(error).split())
        yield "fault", f"torch and torchvision do not fit ({reason:.200}): reinstall both together"
        return
    from course.device import pick_device

    device = pick_device()
    cuda = f"CUDA {torch.version.cuda}" if torch.version.cuda else "no CUDA"
    versions = f"torch {torch.__version__} ({cuda}), torchvision {torchvision.__version__}"
    try:
        ones = torch.ones(8, 8, device=device)
        works = (ones @ ones).sum().item() == 8**3
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        yield "fault", f"{versions}: {device} does not compute ({reason:.200})"
        return
    yield "ok" if works else "fault", f"{versions}; computes on {device}"
    if shutil.which("nvidia-smi") and device.type != "cuda":
        advice = "choose CUDA on https://pytorch.org/get-started/locally, or update the driver"
        yield "note", f"there is an NVIDIA GPU, and this torch does not use it: {advice}"


def check_threads() -> Iterator[Line]:
    """How many threads compute, and how they wait for each other."""
    import torch

    cores = usable_cores()
    names = ("OMP_NUM_THREADS", *CHOSEN_BY_USER)
    is_set = [f"{name}={os.environ[name]}" for name in names if name in os.environ]
    threads = torch.get_num_threads()
    level = "ok" if threads <= cores else "note"
    yield level, f"{threads} threads on {cores} cores ({', '.join(is_set) or 'nothing is set'})"


def usable_cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def check_crowd() -> Iterator[Line]:
    """Whether other programs compute at the same time."""
    from course.command.crowd import busy_torch_processes

    cores = usable_cores()
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    if load > cores:
        yield "note", f"{load:.1f} processes want {cores} cores: close what you do not need"
    if others := busy_torch_processes():
        numbers = ", ".join(map(str, others))
        advice = "a training beside it takes about twice as long"
        yield "note", f"torch is computing in another process ({numbers}): {advice}"


def check_places() -> Iterator[Line]:
    """Whether files can be written where the course writes, and whether there is space."""
    tempfile.gettempdir()  # raises an error if there is no place for temporary files
    for place in places():
        where = f"{place.what} in {place.folder}"
        if not paths.can_write(place.folder):
            advice = f"make the folder writable, or set {place.variable} to another one"
            yield "fault" if place.needed else "note", f"no right to write {where}: {advice}"
            continue
        folders = (place.folder, *place.folder.parents)
        existing = next(folder for folder in folders if folder.exists())
        free = shutil.disk_usage(existing).free / GIGABYTE
        if free > 1:
            yield "ok", f"can write {where} ({free:,.0f} GB free)"
        else:
            yield "note", f"less than a GB is free for {where} ({free:.1f} GB): free some space"


def check_pictures() -> Iterator[Line]:
    """Whether pictures can be read: the shipped ones, and the photos if they are here."""
    from course.data import fashion_mnist
    from course.files import sources
    from course.files.folders import find_classes, find_images
    from course.files.pictures import load_image

    fashion = fashion_mnist(train=False)
    fashion[0]
    yield "ok", f"Fashion-MNIST can be read: {len(fashion):,} pictures to test with"
    if not paths.PHOTOS.exists():
        yield "note", f"photos in {paths.PHOTOS} are missing: {DOWNLOAD}"
        return
    part = sources.download_photos() / "test"  # they are here, so this only looks at them
    some_class = next(iter(find_classes(part).values()))
    load_image(find_images(some_class)[0])
    yield "ok", f"photos in {paths.PHOTOS} can be read"


def check_weights() -> Iterator[Line]:
    """Whether the weights of MobileNetV2 are here, and whether it works with them."""
    from course.files import sources
    from course.pretrained import load_mobilenet_v2
    from course.stand_ins import load_stand_in

    path = sources.weights_path()
    if path.exists():
        sources.download_weights()  # they are here, so this only looks at them
        load_mobilenet_v2()
        yield "ok", f"weights in {path} can be read"
    else:
        yield "note", f"weights in {path} are missing: {DOWNLOAD}"
        load_stand_in()


def check_jupyter() -> Iterator[Line]:
    """Whether notebooks can be opened, run by this Python, and tested."""
    for name, level, what in (
        ("jupyterlab", "fault", "notebooks cannot be opened"),
        ("ipykernel", "fault", "notebooks cannot be run"),
        ("nbval", "note", "notebooks cannot be tested"),
    ):
        if importlib.util.find_spec(name) is None:
            yield level, f"{name} is missing, so {what}: python -m pip install {name}"
    if not has_home() or importlib.util.find_spec("jupyter_client") is None:
        return
    from jupyter_client.kernelspec import KernelSpecManager

    spec: Any = KernelSpecManager().get_kernel_spec("python3")
    program = spec.argv[0]
    if os.path.basename(program) == program or same_environment(program, sys.executable):
        yield "ok", "the kernel 'python3' of Jupyter is this Python"
    else:
        advice = "choose another kernel in the notebook, or: jupyter kernelspec remove python3"
        yield "note", f"the kernel 'python3' is {program}, not {sys.executable}: {advice}"


def same_environment(one: str, other: str) -> bool:
    """Whether two Pythons lie in one folder. Those of two environments may link to the same."""
    folders = [os.path.realpath(os.path.dirname(os.path.abspath(path))) for path in (one, other)]
    return folders[0] == folders[1]


def check_git_lfs() -> Iterator[Line]:
    """Whether large files can be published."""
    if shutil.which("git-lfs"):
        yield "ok", "git-lfs"
    else:
        yield "note", "no git-lfs; only who publishes models needs it: https://git-lfs.com"


CHECKS = (
    check_installation,
    check_torch,
    check_threads,
    check_crowd,
    check_places,
    check_pictures,
    check_weights,
    check_jupyter,
    check_git_lfs,
)
